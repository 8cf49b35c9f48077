//! OCI registries: the manifest by tag or digest, then every blob by its digest.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use mantlet_vocab::Digest;
use serde_json::Value;

use crate::address::{Address, listable, local_host};
use crate::blocks::Promised;
use crate::http::{Ask, Http};
use crate::keyring::Keyring;
use crate::{Environment, Listing, Object, Reachable, RemoteError, web};

const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// Manifests of one index.
const MAX_MANIFESTS: usize = 64;
const MORE: &str = "its index names more manifests than are read";
/// Nested indexes.
const MAX_DEPTH: usize = 3;

/// A registry, and who asks.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    pub(crate) url: String,
    /// `user:password`, in the form of basic authentication.
    pub(crate) basic: Option<String>,
    /// Why the credentials of the environment are not sent.
    pub(crate) held_back: Option<String>,
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
    let keyring = Arc::new(Keyring::new(registry.clone(), repository));
    let mut pulled = Pulled::new(&keyring, host, repository, reference);
    let mut listing =
        Listing { notes: registry.held_back.iter().cloned().collect(), ..Listing::new(&http.limits) };
    while let Some((reference, depth)) = pulled.next(&mut listing) {
        let body = manifest(http, &keyring, format!("{}/manifests/{reference}", pulled.base)).await?;
        let found = Digest::of(&body);
        if reference.starts_with("sha256:") && found.to_string() != reference {
            return Err(format!(
                "the manifest is not the one asked for: its digest is {found}, not {reference}"
            ));
        }
        if depth == 0 {
            listing.notes.push(format!("{} is {found}", pulled.shown));
        }
        pulled.take(&body, depth, &mut listing, http.limits.objects)?;
    }
    Ok(listing)
}

/// The manifests of one reference: an index leads to others.
pub(crate) struct Pulled<'a> {
    keyring: &'a Arc<Keyring>,
    shown: String,
    base: String,
    waiting: Vec<(String, usize)>,
    seen: usize,
}

impl<'a> Pulled<'a> {
    pub(crate) fn new(keyring: &'a Arc<Keyring>, host: &str, repository: &str, reference: &str) -> Self {
        let sign = if reference.starts_with("sha256:") { '@' } else { ':' };
        Self {
            keyring,
            shown: format!("oci://{host}/{repository}{sign}{reference}"),
            base: format!("{}/v2/{repository}", keyring.url()),
            waiting: vec![(reference.to_owned(), 0)],
            seen: 0,
        }
    }

    /// The next manifest to ask for, and how many indexes lead to it.
    pub(crate) fn next(&mut self, listing: &mut Listing) -> Option<(String, usize)> {
        let (reference, depth) = self.waiting.pop()?;
        self.seen += 1;
        if self.seen > MAX_MANIFESTS || depth > MAX_DEPTH {
            listing.gap(&self.shown, MORE, "name them by digest");
            return None;
        }
        Some((reference, depth))
    }

    /// Takes what a manifest names: other manifests, and blobs by their digests.
    pub(crate) fn take(
        &mut self,
        body: &[u8],
        depth: usize,
        listing: &mut Listing,
        most: usize,
    ) -> Result<(), String> {
        let manifest: Value =
            serde_json::from_slice(body).map_err(|_| "the manifest is no JSON".to_owned())?;
        let list = |name: &str| manifest.get(name).and_then(Value::as_array).into_iter().flatten();
        for inner in list("manifests") {
            // Read as a digest, since it becomes part of an address.
            let digest = inner.get("digest").and_then(Value::as_str);
            match digest.and_then(|text| text.parse::<Digest>().ok()) {
                Some(_) if self.waiting.len() + self.seen >= MAX_MANIFESTS => {
                    listing.gap(&self.shown, MORE, "name them by digest");
                    break;
                }
                Some(digest) => self.waiting.push((digest.to_string(), depth + 1)),
                None => {
                    let why = "a manifest of the index has no SHA-256 digest";
                    listing.gap(&self.shown, why, "pull it yourself");
                }
            }
        }
        let blobs: Vec<&Value> =
            manifest.get("config").into_iter().chain(list("layers")).chain(list("blobs")).collect();
        if blobs.is_empty() && list("manifests").next().is_none() {
            listing.gap(&self.shown, "its manifest names neither blobs nor manifests", "pull it yourself");
        }
        for blob in blobs {
            if listing.objects.len() == most {
                listing.gap(&self.shown, "it has more blobs than are listed", "pull it yourself");
                break;
            }
            match self.object(blob) {
                Some(object) => listing.objects.push(object),
                None => listing.gap(
                    &self.shown,
                    "a blob has no SHA-256 digest",
                    "pull it yourself and scan the copy",
                ),
            }
        }
        Ok(())
    }

    fn object(&self, blob: &Value) -> Option<Object> {
        let digest = blob.get("digest").and_then(Value::as_str)?.parse::<Digest>().ok()?;
        let title = blob
            .get("annotations")
            .and_then(|all| all.get("org.opencontainers.image.title"))
            .and_then(Value::as_str)
            .filter(|title| listable(title));
        let path = format!("blobs/sha256/{}", digest.hex());
        let path = title.map_or(path.clone(), |title| format!("{path}/{}", title.trim_matches('/')));
        let ask = Ask {
            url: format!("{}/blobs/{digest}", self.base),
            home: self.keyring.url().to_owned(),
            keyring: Some(Arc::clone(self.keyring)),
            ..Ask::default()
        };
        let name = format!("{}/{path}", self.shown);
        Some(Object {
            name,
            path,
            promised: Some(Promised::Sha256(digest)),
            pinned: true,
            reach: Reachable::Web(ask),
        })
    }
}

async fn manifest(http: &Http, keyring: &Arc<Keyring>, url: String) -> Result<bytes::Bytes, String> {
    let home = keyring.url().to_owned();
    let keyring = Some(Arc::clone(keyring));
    let (status, _, body) =
        http.document(&Ask { url, home, keyring, accept: Some(MANIFESTS), ..Ask::default() }).await?;
    if status == StatusCode::OK { Ok(body) } else { Err(web::said(status)) }
}
