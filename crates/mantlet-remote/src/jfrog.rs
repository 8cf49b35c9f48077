//! JFrog Artifactory: folders and digests by its storage interface, which every edition has, contents by their path.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use mantlet_vocab::Digest;
use serde_json::Value;

use crate::address::{Address, encoded, listable, local_host, shown};
use crate::blocks::Promised;
use crate::http::{Ask, Http, Secret};
use crate::{Environment, Listing, Object, Reachable, RemoteError, web};

/// How deep folders nest.
const MAX_DEPTH: usize = 32;
/// Folders that are asked for beside files.
const MAX_FOLDERS: usize = 10_000;
const MORE: &str = "it has more folders or files than are listed";
const REMEDY: &str = "name its folders one by one";

/// The server, and who asks.
#[derive(Debug)]
pub(crate) struct Server {
    /// Up to `/artifactory`.
    url: String,
    secret: Option<Secret>,
    /// Why the credentials of the environment are not sent.
    held_back: Option<String>,
}

impl Server {
    pub(crate) fn new(address: &Address, environment: Environment<'_>) -> Result<Self, RemoteError> {
        let wrong = |why: String| RemoteError::Environment { variable: "JFROG_URL", why };
        let said = |name: &str| environment(name).filter(|value| !value.is_empty());
        let theirs = said("JFROG_URL").map(|url| {
            let url = url.trim_end_matches('/');
            if url.ends_with("/artifactory") { url.to_owned() } else { format!("{url}/artifactory") }
        });
        let server = if let Address::Artifactory { server, .. } = address { server.as_deref() } else { None };
        let url = match server {
            Some(host) if local_host(host) => format!("http://{host}/artifactory"),
            Some(host) => format!("https://{host}/artifactory"),
            None => theirs.clone().ok_or_else(|| {
                wrong("it is not set: set it, or name the server as jfrog://host/repository/path".into())
            })?,
        };
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err(wrong("it is no web address".into()));
        }
        let value = match (said("JFROG_ACCESS_TOKEN"), said("JFROG_USER"), said("JFROG_PASSWORD")) {
            (Some(token), ..) => Some(format!("Bearer {token}")),
            (None, Some(user), Some(password)) => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            (None, None, None) => None,
            _ => return Err(wrong("JFROG_USER and JFROG_PASSWORD belong together".into())),
        };
        let (secret, held_back) =
            Secret::bound(&url, value, theirs.as_deref(), "JFROG_URL").map_err(wrong)?;
        Ok(Self { url, secret, held_back })
    }

    fn ask(&self, url: String) -> Ask {
        Ask { url, home: self.url.clone(), secret: self.secret.clone(), ..Ask::default() }
    }

    async fn item(&self, http: &Http, path: &str) -> Result<Value, String> {
        let ask = self.ask(format!("{}/api/storage/{}", self.url, encoded(path, true)));
        let (status, _, body) = http.document(&ask).await?;
        if status != StatusCode::OK {
            let note = self.held_back.as_ref().filter(|_| matches!(status.as_u16(), 401 | 403));
            return Err(web::said(status) + &note.map_or(String::new(), |note| format!("; {note}")));
        }
        serde_json::from_slice(&body).map_err(|_| "the server's answer is no JSON".to_owned())
    }
}

pub(crate) async fn list(
    http: &Http,
    server: &Server,
    address: &Address,
    uri: &str,
) -> Result<Listing, String> {
    let Address::Artifactory { path, .. } = address else { return Ok(Listing::default()) };
    let mut listing =
        Listing { notes: server.held_back.iter().cloned().collect(), ..Listing::new(&http.limits) };
    let mut shelf = Shelf::new(server, uri, path);
    while let Some(wanted) = shelf.next(&mut listing, http.limits.objects) {
        match server.item(http, &wanted.path).await {
            Ok(answer) => {
                if !shelf.take(&answer, &wanted, &mut listing, http.limits.objects) {
                    break;
                }
            }
            Err(why) if wanted.depth == 0 => return Err(why),
            // One folder that may not be read does not hide the others.
            Err(why) => listing.gap(&shelf.name(&wanted.path), why, "look at it yourself"),
        }
    }
    if listing.objects.is_empty() && listing.gaps.is_empty() {
        return Err("there are no files under that name".into());
    }
    Ok(listing)
}

/// A file or folder that is asked for.
pub(crate) struct Wanted {
    path: String,
    depth: usize,
    folder: bool,
}

/// What lies below one path.
pub(crate) struct Shelf<'a> {
    server: &'a Server,
    shown: String,
    top: &'a str,
    waiting: Vec<Wanted>,
    folders: usize,
}

impl<'a> Shelf<'a> {
    pub(crate) fn new(server: &'a Server, uri: &str, top: &'a str) -> Self {
        let waiting = vec![Wanted { path: top.to_owned(), depth: 0, folder: true }];
        Self { server, shown: shown(uri).trim_end_matches('/').to_owned(), top, waiting, folders: 0 }
    }

    fn name(&self, path: &str) -> String {
        format!("{}{}", self.shown, path.strip_prefix(self.top).unwrap_or(path))
    }

    /// What to ask for next.
    pub(crate) fn next(&mut self, listing: &mut Listing, most: usize) -> Option<Wanted> {
        let wanted = self.waiting.pop()?;
        self.folders += usize::from(wanted.folder);
        if self.folders > MAX_FOLDERS || wanted.depth > MAX_DEPTH || listing.gaps.len() > most {
            listing.gap(&self.shown, MORE, REMEDY);
            return None;
        }
        Some(wanted)
    }

    /// Takes what the server says of it; whether there is room for more.
    pub(crate) fn take(
        &mut self,
        answer: &Value,
        wanted: &Wanted,
        listing: &mut Listing,
        most: usize,
    ) -> bool {
        let Some(children) = answer.get("children").and_then(Value::as_array) else {
            // A folder without children has an empty list.
            if answer.get("downloadUri").is_some() || answer.get("checksums").is_some() {
                let object = self.object(answer, &wanted.path);
                if object.promised.is_none() {
                    listing.notes.push(format!("{} is stated without a digest to compare with", object.name));
                }
                listing.objects.push(object);
            } else {
                let why = "the server says neither what is in it nor that it is a file";
                listing.gap(&self.name(&wanted.path), why, "look at it yourself");
            }
            return true;
        };
        for child in children {
            let name = child.get("uri").and_then(Value::as_str).unwrap_or("").trim_start_matches('/');
            let path = format!("{}/{name}", wanted.path);
            if name.contains('/') || !listable(name) || !listable(&path) {
                let why = "the server lists a file whose name leads elsewhere";
                listing.gap(&self.name(&wanted.path), why, "look at it yourself");
                continue;
            }
            if self.waiting.len() + listing.objects.len() >= most {
                listing.gap(&self.shown, MORE, REMEDY);
                return false;
            }
            let folder = child.get("folder").and_then(Value::as_bool) == Some(true);
            self.waiting.push(Wanted { path, depth: wanted.depth + 1, folder });
        }
        true
    }

    fn object(&self, answer: &Value, path: &str) -> Object {
        let sum = |name: &str| answer.get("checksums")?.get(name)?.as_str();
        let promised = sum("sha256")
            .and_then(|hex| Digest::from_hex(hex).ok())
            .map(Promised::Sha256)
            .or_else(|| sum("md5").and_then(Promised::md5).map(Promised::Md5));
        Object {
            name: self.name(path),
            path: path.strip_prefix(self.top).unwrap_or(path).trim_start_matches('/').to_owned(),
            promised,
            pinned: promised.is_some(),
            // Where the server says it is to be fetched from is not asked: it is below the server that was named.
            reach: Reachable::Web(self.server.ask(format!("{}/{}", self.server.url, encoded(path, true)))),
        }
    }
}
