//! OCI registries: the manifest by tag or digest, then every blob by its digest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};
use mantlet_vocab::Digest;
use serde_json::Value;

use crate::address::{Address, encoded, host_of, listable, local_host};
use crate::http::{Ask, Http, Secret, text};
use crate::{Environment, Listing, Object, Reachable, RemoteError, web};

const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// Manifests of one index.
const MAX_MANIFESTS: usize = 64;
const MORE: &str = "its index names more manifests than are read";
/// Nested indexes.
const MAX_DEPTH: usize = 3;

/// A registry, and who asks.
#[derive(Debug)]
pub(crate) struct Registry {
    url: String,
    /// `user:password`, in the form of basic authentication.
    basic: Option<String>,
    /// Why the credentials of the environment are not sent.
    held_back: Option<String>,
}

impl Registry {
    pub(crate) fn new(address: &Address, environment: Environment<'_>) -> Result<Self, RemoteError> {
        let registry = if let Address::Image { registry, .. } = address { registry.as_str() } else { "" };
        let url = match registry {
            "docker.io" => "https://registry-1.docker.io".to_owned(),
            local if local_host(local) => format!("http://{local}"),
            other => format!("https://{other}"),
        };
        let said = |name: &str| environment(name).filter(|value| !value.is_empty());
        let theirs = said("MANTLET_OCI_REGISTRY");
        let mut held_back = None;
        let basic = match (said("MANTLET_OCI_USERNAME"), said("MANTLET_OCI_PASSWORD")) {
            // An address may name any registry: the credentials are for one.
            (Some(user), Some(password)) if theirs.as_deref().is_some_and(|name| same(name, registry)) => {
                Some(STANDARD.encode(format!("{user}:{password}")))
            }
            (Some(_), Some(_)) => docker(environment, registry).or_else(|| {
                let but = match &theirs {
                    Some(_) => "names another registry",
                    None => "is not set: set it to the registry they are for",
                };
                held_back = Some(format!(
                    "{registry} is sent no credentials: MANTLET_OCI_USERNAME and MANTLET_OCI_PASSWORD are for the one in MANTLET_OCI_REGISTRY, which {but}"
                ));
                None
            }),
            (None, None) => docker(environment, registry),
            _ => {
                let why = "MANTLET_OCI_USERNAME and MANTLET_OCI_PASSWORD belong together".into();
                return Err(RemoteError::Environment { variable: "MANTLET_OCI_USERNAME", why });
            }
        };
        Ok(Self { url, basic, held_back })
    }
}

/// Whether two names are of one registry: the same host and port, written with or without `https://`.
fn same(one: &str, other: &str) -> bool {
    let name = |text: &str| {
        let host = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/').to_ascii_lowercase();
        let host = host.strip_suffix(":443").unwrap_or(&host);
        match host {
            "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
            host => host.to_owned(),
        }
    };
    name(one) == name(other)
}

/// What `docker login` left for this registry in plain form; helpers of the desktop are not asked.
fn docker(environment: Environment<'_>, registry: &str) -> Option<String> {
    let folder = environment("DOCKER_CONFIG").or_else(|| Some(environment("HOME")? + "/.docker"))?;
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join("config.json")).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    let auths = value.get("auths")?;
    let names = [registry.to_owned(), format!("https://{registry}")];
    let hub = (registry == "docker.io").then(|| "https://index.docker.io/v1/".to_owned());
    let auth = names.iter().chain(hub.iter()).find_map(|name| auths.get(name)?.get("auth")?.as_str())?;
    (!auth.is_empty()).then(|| auth.to_owned())
}

pub(crate) async fn list(http: &Http, registry: &Registry, address: &Address) -> Result<Listing, String> {
    let Address::Image { registry: host, repository, reference } = address else {
        return Ok(Listing::default());
    };
    let base = format!("{}/v2/{repository}", registry.url);
    let mut session = Session { http, registry, repository, secret: None };
    let sign = if reference.starts_with("sha256:") { '@' } else { ':' };
    let shown = format!("oci://{host}/{repository}{sign}{reference}");
    let mut listing =
        Listing { notes: registry.held_back.iter().cloned().collect(), ..Listing::new(&http.limits) };
    let mut waiting = vec![(reference.clone(), 0)];
    let mut manifests = 0;
    while let Some((reference, depth)) = waiting.pop() {
        manifests += 1;
        if manifests > MAX_MANIFESTS || depth > MAX_DEPTH {
            listing.gap(&shown, MORE, "name them by digest");
            break;
        }
        let body = session.manifest(&format!("{base}/manifests/{reference}")).await?;
        let found = Digest::of(&body);
        if reference.starts_with("sha256:") && found.to_string() != reference {
            return Err(format!(
                "the manifest is not the one asked for: its digest is {found}, not {reference}"
            ));
        }
        if depth == 0 {
            listing.notes.push(format!("{shown} is {found}"));
        }
        let manifest: Value =
            serde_json::from_slice(&body).map_err(|_| "the manifest is no JSON".to_owned())?;
        let list = |name: &str| manifest.get(name).and_then(Value::as_array).into_iter().flatten();
        for inner in list("manifests") {
            match inner.get("digest").and_then(Value::as_str) {
                Some(_) if waiting.len() + manifests >= MAX_MANIFESTS => {
                    listing.gap(&shown, MORE, "name them by digest");
                    break;
                }
                Some(digest) if digest.starts_with("sha256:") => {
                    waiting.push((digest.to_owned(), depth + 1));
                }
                _ => listing.gap(&shown, "a manifest of the index has no SHA-256 digest", "pull it yourself"),
            }
        }
        let blobs: Vec<&Value> =
            manifest.get("config").into_iter().chain(list("layers")).chain(list("blobs")).collect();
        if blobs.is_empty() && list("manifests").next().is_none() {
            listing.gap(&shown, "its manifest names neither blobs nor manifests", "pull it yourself");
        }
        for blob in blobs {
            if listing.objects.len() == http.limits.objects {
                listing.gap(&shown, "it has more blobs than are listed", "pull it yourself");
                break;
            }
            let word = |name: &str| blob.get(name).and_then(Value::as_str);
            let Some(digest) = word("digest").and_then(|text| text.parse::<Digest>().ok()) else {
                listing.gap(&shown, "a blob has no SHA-256 digest", "pull it yourself and scan the copy");
                continue;
            };
            let title = blob
                .get("annotations")
                .and_then(|all| all.get("org.opencontainers.image.title"))
                .and_then(Value::as_str)
                .filter(|title| listable(title));
            let path = format!("blobs/sha256/{}", digest.hex());
            let path = title.map_or(path.clone(), |title| format!("{path}/{}", title.trim_matches('/')));
            let ask = Ask {
                url: format!("{base}/blobs/{digest}"),
                home: registry.url.clone(),
                secret: session.secret.clone(),
                ..Ask::default()
            };
            let name = format!("{shown}/{path}");
            let reach = Reachable::Web(ask);
            listing.objects.push(Object { name, path, digest: Some(digest), pinned: true, reach });
        }
    }
    Ok(listing)
}

struct Session<'a> {
    http: &'a Http,
    registry: &'a Registry,
    repository: &'a str,
    secret: Option<Secret>,
}

impl Session<'_> {
    async fn manifest(&mut self, url: &str) -> Result<bytes::Bytes, String> {
        for attempt in 0..2 {
            let ask = Ask {
                url: url.to_owned(),
                home: self.registry.url.clone(),
                secret: self.secret.clone(),
                accept: Some(MANIFESTS),
                ..Ask::default()
            };
            let (status, headers, body) = self.http.document(&ask).await?;
            match status {
                StatusCode::OK => return Ok(body),
                StatusCode::UNAUTHORIZED if attempt == 0 => {
                    let challenge = text(&headers, header::WWW_AUTHENTICATE).unwrap_or("").to_owned();
                    self.secret = Some(self.answer(&challenge).await?);
                }
                other => return Err(web::said(other)),
            }
        }
        Err("the registry asks again and again who we are".into())
    }

    /// Does what the registry asks for before it shows anything.
    async fn answer(&self, challenge: &str) -> Result<Secret, String> {
        let needed = self.registry.held_back.clone().unwrap_or_else(|| {
            "it needs credentials: MANTLET_OCI_USERNAME and MANTLET_OCI_PASSWORD with MANTLET_OCI_REGISTRY, \
             or `docker login`"
                .to_owned()
        });
        let (scheme, parameters) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            let basic = self.registry.basic.as_ref().ok_or(needed)?;
            return Secret::new(&self.registry.url, &format!("Basic {basic}"));
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err("it asks for a kind of credentials that is not known".into());
        }
        let realm = parameter(parameters, "realm").ok_or("it does not say where to ask for a token")?;
        let mut url = realm.to_owned();
        let scope = format!("repository:{}:pull", self.repository);
        let mut mark = if realm.contains('?') { '&' } else { '?' };
        for (name, value) in [("service", parameter(parameters, "service")), ("scope", Some(scope.as_str()))]
        {
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
        let (status, _, body) = self.http.document(&ask).await?;
        if status != StatusCode::OK {
            return Err(format!("the registry gives no token (answer {}); {needed}", status.as_u16()));
        }
        let value: Value = serde_json::from_slice(&body).map_err(|_| "the token is no JSON".to_owned())?;
        let token = ["token", "access_token"].iter().find_map(|name| value.get(name)?.as_str());
        Secret::new(&self.registry.url, &format!("Bearer {}", token.ok_or("the registry gives no token")?))
    }
}

fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(',').find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// Whether two addresses are of one house: the same host, or the same registered name by its last two parts.
fn related(registry: &str, realm: &str) -> bool {
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
