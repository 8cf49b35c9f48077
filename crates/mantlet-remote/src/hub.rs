//! Repositories of Hugging Face: the public HTTP interface, pinned to one commit before anything is read.

use std::path::PathBuf;

use http::{StatusCode, Uri, header};
use mantlet_vocab::Digest;
use serde_json::Value;

use crate::address::{Address, encoded, listable};
use crate::blocks::Promised;
use crate::http::{Ask, Http, Secret, joined, origin, text};
use crate::{Environment, Listing, Object, Reachable, RemoteError, web};

const PAGES: usize = 1_000;
const MORE: &str = "it has more files than are listed";

/// Where the interface is, and who asks.
#[derive(Debug)]
pub(crate) struct Endpoint {
    url: String,
    secret: Option<Secret>,
}

impl Endpoint {
    pub(crate) fn new(environment: Environment<'_>) -> Result<Self, RemoteError> {
        let url = environment("HF_ENDPOINT").filter(|url| !url.is_empty());
        let url = url.unwrap_or_else(|| "https://huggingface.co".to_owned());
        let url = url.trim_end_matches('/').to_owned();
        let wrong = |why: String| RemoteError::Environment { variable: "HF_ENDPOINT", why };
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err(wrong("it is no web address".into()));
        }
        let secret = token(environment).map(|token| Secret::new(&url, &format!("Bearer {token}")));
        Ok(Self { secret: secret.transpose().map_err(wrong)?, url })
    }
}

/// The token, from where Hugging Face's own tools take it.
fn token(environment: Environment<'_>) -> Option<String> {
    let given = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].into_iter().find_map(environment);
    if given.is_some() {
        return given.filter(|token| !token.trim().is_empty()).map(|token| token.trim().to_owned());
    }
    if environment("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|value| value == "1") {
        return None;
    }
    let path = environment("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| {
        let home = environment("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = environment("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(environment("HOME")?).join(".cache")));
            Some(cache?.join("huggingface"))
        });
        Some(home?.join("token"))
    })?;
    let token = std::fs::read_to_string(path).ok()?;
    (!token.trim().is_empty()).then(|| token.trim().to_owned())
}

pub(crate) async fn list(http: &Http, endpoint: &Endpoint, address: &Address) -> Result<Listing, String> {
    let Address::Hub { kind, repository, revision, path } = address else { return Ok(Listing::default()) };
    let api = format!("{}/api/{kind}/{repository}", endpoint.url);
    let answer = json(http, endpoint, &format!("{api}/revision/{}", encoded(revision, false))).await?;
    let commit = commit(&answer.1)?;
    let tree = Tree::new(endpoint, kind, repository, revision, path, commit);
    let shown = &tree.shown;
    let mut listing =
        Listing { notes: vec![format!("{shown} is commit {commit}")], ..Listing::new(&http.limits) };
    let below = if path.is_empty() { String::new() } else { format!("/{}", encoded(path, true)) };
    let mut next = Some(format!("{api}/tree/{commit}{below}?recursive=true"));
    for page in 0.. {
        let Some(url) = next.take() else { break };
        let full = listing.objects.len().max(listing.gaps.len()) >= http.limits.objects;
        if page == PAGES || full {
            listing.gap(shown, MORE, "name its folders one by one");
            break;
        }
        let (link, entries) = match json(http, endpoint, &url).await {
            // A file has no tree.
            Err(why) if page == 0 && !path.is_empty() && why.contains("404") => {
                listing.objects.push(tree.object(path, "", None));
                return Ok(listing);
            }
            other => other?,
        };
        if !tree.take(&entries, &mut listing, http.limits.objects)? {
            return Ok(listing);
        }
        next = link;
    }
    Ok(listing)
}

/// The commit that a revision is.
pub(crate) fn commit(answer: &Value) -> Result<&str, String> {
    let sha = answer.get("sha").and_then(Value::as_str).unwrap_or("");
    if sha.len() != 40 || !sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("the server does not say which commit that is".into());
    }
    Ok(sha)
}

/// The files of one commit.
pub(crate) struct Tree<'a> {
    shown: String,
    /// Before the path of each file.
    url: String,
    endpoint: &'a Endpoint,
    path: &'a str,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(
        endpoint: &'a Endpoint,
        kind: &str,
        repository: &str,
        revision: &str,
        path: &'a str,
        commit: &str,
    ) -> Self {
        let folder = if kind == "models" { String::new() } else { format!("{kind}/") };
        let shown = format!("hf://{folder}{repository}@{}", revision.replace('/', "%2F"));
        let url = format!("{}/{folder}{repository}/resolve/{commit}/", endpoint.url);
        Self { shown, url, endpoint, path }
    }

    fn object(&self, file: &str, below: &str, digest: Option<Digest>) -> Object {
        let url = format!("{}{}", self.url, encoded(file, true));
        let (home, secret) = (self.endpoint.url.clone(), self.endpoint.secret.clone());
        let ask = Ask { url, home, secret, ..Ask::default() };
        let name = format!("{}/{file}", self.shown);
        Object {
            name,
            path: below.to_owned(),
            promised: digest.map(Promised::Sha256),
            pinned: false,
            reach: Reachable::Web(ask),
        }
    }

    /// Takes one page of the listing; whether there is room for another.
    pub(crate) fn take(&self, entries: &Value, listing: &mut Listing, most: usize) -> Result<bool, String> {
        for entry in entries.as_array().ok_or("the server's listing makes no sense")? {
            let word = |name: &str| entry.get(name).and_then(Value::as_str);
            let Some(file) = word("path") else { return Err("the server's listing makes no sense".into()) };
            match word("type") {
                Some("directory") => {}
                Some("file") if listable(file) && !file.starts_with('/') => {
                    if listing.objects.len() == most {
                        listing.gap(&self.shown, MORE, "name its folders one by one");
                        return Ok(false);
                    }
                    let digest = entry.get("lfs").and_then(|lfs| lfs.get("oid")).and_then(Value::as_str);
                    let digest = digest.and_then(|hex| Digest::from_hex(hex).ok());
                    let inside = file.strip_prefix(self.path).unwrap_or(file).trim_start_matches('/');
                    listing.objects.push(self.object(file, inside, digest));
                }
                _ => listing.gap(
                    &format!("{}/{file}", self.shown),
                    "it is no file that can be named",
                    "look at it in the browser",
                ),
            }
        }
        Ok(true)
    }
}

/// A document of the interface, and the address of its next page.
async fn json(http: &Http, endpoint: &Endpoint, url: &str) -> Result<(Option<String>, Value), String> {
    let ask = Ask {
        url: url.to_owned(),
        home: endpoint.url.clone(),
        secret: endpoint.secret.clone(),
        accept: Some("application/json"),
        ..Ask::default()
    };
    let (status, headers, body) = http.document(&ask).await?;
    if status != StatusCode::OK {
        let hint = match status.as_u16() {
            401 | 403 if endpoint.secret.is_none() => "; a private or gated repository needs HF_TOKEN",
            _ => "",
        };
        return Err(web::said(status) + hint);
    }
    let value = serde_json::from_slice(&body).map_err(|_| "the server's answer is no JSON".to_owned())?;
    let at: Uri = url.parse().map_err(|_| "the address is malformed".to_owned())?;
    let next = match text(&headers, header::LINK).and_then(following) {
        Some(target) => {
            let next = joined(&at, target).ok_or("the next page of the listing has no address")?;
            if origin(&next) != origin(&at) {
                return Err("the next page of the listing is somewhere else".into());
            }
            Some(next.to_string())
        }
        None => None,
    };
    Ok((next, value))
}

/// The target of `rel="next"`.
pub(crate) fn following(link: &str) -> Option<&str> {
    link.split(',').find_map(|one| {
        let (target, relation) = one.split_once(';')?;
        relation.contains("rel=\"next\"").then(|| target.trim().trim_start_matches('<').trim_end_matches('>'))
    })
}
