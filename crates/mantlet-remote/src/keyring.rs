//! Who we are for an OCI registry: the token it wants, asked for when it wants one, and again when it ends; and for
//! servers that a variable names.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use http::StatusCode;
use serde_json::Value;

use crate::address::{encoded, host_of, shown};
use crate::http::{Ask, Http, Secret, origin};
use crate::image::Registry;

/// Tokens that are asked for in one listing and the scan of its blobs. They last minutes.
const MAX_TOKENS: u32 = 256;

/// The credentials of one repository, shared by all that is read of it.
#[derive(Debug)]
pub(crate) struct Keyring {
    registry: Registry,
    repository: String,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    secret: Option<Secret>,
    tokens: u32,
}

impl Keyring {
    pub(crate) fn new(registry: Registry, repository: &str) -> Self {
        Self { registry, repository: repository.to_owned(), held: Mutex::default() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.registry.url
    }

    /// What is sent now.
    pub(crate) fn secret(&self) -> Option<Secret> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).secret.clone()
    }

    /// Whether an address is that of the registry itself, which alone may ask who we are.
    pub(crate) fn is_for(&self, uri: &http::Uri) -> bool {
        self.registry.url.parse().is_ok_and(|url| origin(&url) == origin(uri))
    }

    /// Answers a challenge to a request that was sent with `sent`. What another request was given since is taken first.
    pub(crate) fn renew<'a>(
        &'a self,
        http: &'a Http,
        sent: Option<&'a Secret>,
        challenge: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Secret, String>> + Send + 'a>> {
        Box::pin(async move {
            {
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                let newer =
                    held.secret.as_ref().filter(|held| sent.is_none_or(|sent| sent.value != held.value));
                if let Some(newer) = newer {
                    return Ok(newer.clone());
                }
                held.tokens += 1;
                if held.tokens > MAX_TOKENS {
                    return Err("the registry asks again and again who we are".into());
                }
            }
            let fresh = self.answer(http, challenge).await?;
            self.held.lock().unwrap_or_else(PoisonError::into_inner).secret = Some(fresh.clone());
            Ok(fresh)
        })
    }

    /// Does what the registry asks for before it shows anything.
    async fn answer(&self, http: &Http, challenge: &str) -> Result<Secret, String> {
        let needed = self.registry.held_back.clone().unwrap_or_else(|| {
            "it needs credentials: MANTLET_OCI_USERNAME and MANTLET_OCI_PASSWORD with MANTLET_OCI_REGISTRY, \
             or `docker login`"
                .to_owned()
        });
        let (scheme, realm, service) = read(challenge);
        if scheme.eq_ignore_ascii_case("basic") {
            let basic = self.registry.basic.as_ref().ok_or(needed)?;
            return Secret::new(&self.registry.url, &format!("Basic {basic}"));
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err("it asks for a kind of credentials that is not known".into());
        }
        let realm = realm.ok_or("it does not say where to ask for a token")?;
        let mut url = realm.to_owned();
        let scope = format!("repository:{}:pull", self.repository);
        let mut mark = if realm.contains('?') { '&' } else { '?' };
        for (name, value) in [("service", service), ("scope", Some(scope.as_str()))] {
            if let Some(value) = value {
                url.push_str(&format!("{mark}{name}={}", encoded(value, false)));
                mark = '&';
            }
        }
        // A registry may send us to another house for a token, but not with the user's password.
        let related = related(&self.registry.url, realm);
        let secret = match &self.registry.basic {
            Some(basic) if related => Some(Secret::new(realm, &format!("Basic {basic}"))?),
            _ => None,
        };
        let ask = Ask { url, home: self.registry.url.clone(), secret, ..Ask::default() };
        let (status, _, body) = http.document(&ask).await?;
        if status != StatusCode::OK {
            return Err(format!("the registry gives no token (answer {}); {needed}", status.as_u16()));
        }
        self.token(&body)
    }

    /// The token in an answer.
    pub(crate) fn token(&self, body: &[u8]) -> Result<Secret, String> {
        let value: Value = serde_json::from_slice(body).map_err(|_| "the token is no JSON".to_owned())?;
        let token = ["token", "access_token"].iter().find_map(|name| value.get(name)?.as_str());
        Secret::new(&self.registry.url, &format!("Bearer {}", token.ok_or("the registry gives no token")?))
    }
}

impl Secret {
    /// Credentials that are for the server of a variable, where an address may name any other: with why they are held
    /// back.
    pub(crate) fn bound(
        url: &str,
        value: Option<String>,
        theirs: Option<&str>,
        variable: &str,
    ) -> Result<(Option<Self>, Option<String>), String> {
        let place = |url: &str| url.parse::<http::Uri>().ok().map(|uri| origin(&uri));
        let same = theirs.is_some_and(|theirs| place(theirs).is_some_and(|it| place(url) == Some(it)));
        let held_back = (value.is_some() && !same).then(|| {
            let but = if theirs.is_some() { "which is another server" } else { "which is not set" };
            format!("{} is sent no credentials: they are for {variable}, {but}", shown(url))
        });
        let secret = value.filter(|_| same).map(|value| Self::new(url, &value)).transpose()?;
        Ok((secret, held_back))
    }
}

/// Scheme, realm and service of a challenge (RFC 9110, 11.6.1).
pub(crate) fn read(challenge: &str) -> (&str, Option<&str>, Option<&str>) {
    let (scheme, parameters) = challenge.split_once(' ').unwrap_or((challenge, ""));
    (scheme, parameter(parameters, "realm"), parameter(parameters, "service"))
}

fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(',').find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// Whether two addresses are of one house: the same host, or the same registered name by its last two parts.
pub(crate) fn related(registry: &str, realm: &str) -> bool {
    let host = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        host_of(rest.split(['/', '?']).next().unwrap_or("")).to_ascii_lowercase()
    };
    let (one, other) = (host(registry), host(realm));
    let name = |host: &str| {
        let parts: Vec<&str> = host.rsplit('.').collect();
        // Country codes with a second level (`co.uk`) are no name of a house.
        (parts.len() >= 2 && parts[0].len() > 2 || parts.len() >= 2 && parts[1].len() > 3)
            .then(|| format!("{}.{}", parts[1], parts[0]))
    };
    let number = one.parse::<std::net::IpAddr>().is_ok();
    one == other || (!number && name(&one).is_some() && name(&one) == name(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_in_the_house() {
        for (registry, realm, expected) in [
            ("https://registry-1.docker.io", "https://auth.docker.io/token", true),
            ("https://ghcr.io", "https://ghcr.io/token", true),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", true),
            ("https://ghcr.io", "https://evil.example/token", false),
            ("https://a.co.uk", "https://b.co.uk/token", false),
            ("http://127.0.0.1:5000", "http://127.0.0.1:6000/token", true),
            ("http://127.0.0.1:5000", "http://10.0.0.1/token", false),
        ] {
            assert_eq!(related(registry, realm), expected, "{registry} {realm}");
        }
        let challenge = r#"realm="https://a/token",service="s",scope="x""#;
        assert_eq!(parameter(challenge, "realm"), Some("https://a/token"));
        assert_eq!(parameter(challenge, "error"), None);
    }
}
