//! What a project of DVC on this machine keeps elsewhere: named by its `.dvc` and `dvc.lock` files, addressed by content.

mod project;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::StatusCode;
use object_store::path::Path as Key;
use serde_json::Value;

use crate::address::{Address, Cloud, listable, plain, shown};
use crate::blocks::{Comparison, Promised};
use crate::bucket::{self, Place};
use crate::dvc::project::Out;
pub(crate) use crate::dvc::project::Project;
use crate::http::{Ask, Http};
use crate::{Environment, Listing, Object, Reachable, RemoteError, web};

const MORE: &str = "the project keeps more files than are listed";
/// Remotes that are named by other remotes.
const MAX_STEPS: usize = 4;

/// The remotes of a project that its files lie in, by name.
#[derive(Debug)]
pub(crate) struct Store(BTreeMap<String, Result<Kept, String>>);

/// Where a remote keeps its files.
#[derive(Debug)]
enum Kept {
    Web(String),
    Bucket(Place),
    Folder(PathBuf),
}

impl Store {
    /// # Errors
    /// When the remote that the user or the project names for everything cannot be used.
    pub(crate) fn new(
        http: &Http,
        project: &Project,
        environment: Environment<'_>,
    ) -> Result<Self, RemoteError> {
        let mut remotes = BTreeMap::new();
        for out in &project.outs {
            let name = out.remote.as_deref().or(project.remote.as_deref()).unwrap_or("");
            if !remotes.contains_key(name) {
                remotes.insert(name.to_owned(), Kept::new(http, project, name, environment));
            }
        }
        let whole = project.remote.as_deref().unwrap_or("");
        match remotes.get(whole) {
            Some(Err(why)) => Err(RemoteError::Unreachable { uri: project.shown.clone(), why: why.clone() }),
            _ => Ok(Self(remotes)),
        }
    }
}

impl Kept {
    fn new(http: &Http, project: &Project, name: &str, environment: Environment<'_>) -> Result<Self, String> {
        if name.is_empty() {
            return Err("the project names no remote for everything: add `?remote=NAME`".into());
        }
        let none = |name: &str| format!("the project has no remote `{name}` with a `url` in .dvc/config");
        let mut settings = project.remotes.get(name).ok_or_else(|| none(name))?;
        let mut url = settings.get("url").ok_or_else(|| none(name))?.clone();
        // A remote may be a folder of another.
        for _ in 0..MAX_STEPS {
            let Some(rest) = url.strip_prefix("remote://") else { break };
            let (other, below) = rest.split_once('/').unwrap_or((rest, ""));
            settings = project.remotes.get(other).ok_or_else(|| none(other))?;
            let base = settings.get("url").ok_or_else(|| none(other))?;
            url = format!("{}/{below}", base.trim_end_matches('/'));
        }
        let said = |key: &str| settings.get(key).filter(|value| !value.is_empty());
        if ["version_aware", "worktree"].iter().any(|key| said(key).is_some_and(|value| value == "true")) {
            return Err(format!(
                "remote `{name}` keeps files under their own names and versions: scan {} itself",
                shown(&url)
            ));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            // As DVC takes it: from where the configuration lies.
            return Ok(Self::Folder(project.root.join(".dvc").join(&url)));
        };
        let address = match scheme {
            "azure" => {
                let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
                let account = said("account_name").cloned();
                let parsed = Address::parse(&format!("az://{bucket}/{path}")).map_err(|e| e.to_string())?;
                match (parsed, account) {
                    (Address::Bucket { bucket, path, .. }, Some(account)) => {
                        Address::Bucket { cloud: Cloud::Azure(Some(account)), bucket, path }
                    }
                    (parsed, _) => parsed,
                }
            }
            "s3" | "gs" | "https" | "http" => Address::parse(&url).map_err(|error| error.to_string())?,
            _ => {
                return Err(format!(
                    "remote `{name}` is reached by `{scheme}://`, which is not spoken: `dvc pull`, and scan the copy"
                ));
            }
        };
        let own = environment("AWS_ENDPOINT_URL_S3").or_else(|| environment("AWS_ENDPOINT_URL"));
        // A project may name any server: credentials go where the environment says.
        if let Some(endpoint) = said("endpointurl").filter(|_| scheme == "s3")
            && own.as_deref().map(|url| url.trim_end_matches('/')) != Some(endpoint.trim_end_matches('/'))
        {
            return Err(format!(
                "remote `{name}` names the server {}: set AWS_ENDPOINT_URL to it if your credentials are for it",
                shown(endpoint)
            ));
        }
        if scheme.starts_with("http") {
            if let Some(key) =
                ["auth", "user", "password", "custom_auth_header"].iter().find(|key| said(key).is_some())
            {
                return Err(format!(
                    "remote `{name}` wants credentials over http (`{key}`), which are not sent: `dvc pull`, and scan the copy"
                ));
            }
            return Ok(Self::Web(url.trim_end_matches('/').to_owned()));
        }
        Place::new(http, &address, environment).map(Self::Bucket).map_err(|error| error.to_string())
    }

    /// Where content of this digest lies: `ab/cdef…`, since version 3 below `files/md5`.
    fn reach(&self, name: &str, old: bool) -> Result<Reachable, String> {
        let (first, rest) = name.split_at(2);
        let below = if old { format!("{first}/{rest}") } else { format!("files/md5/{first}/{rest}") };
        Ok(match self {
            Self::Web(url) => {
                let url = format!("{url}/{below}");
                Reachable::Web(Ask { home: url.clone(), url, ..Ask::default() })
            }
            Self::Bucket(place) => {
                let key = match place.path.as_ref() {
                    "" => below,
                    prefix => format!("{prefix}/{below}"),
                };
                Reachable::Bucket(place.at(Key::parse(key).map_err(|error| error.to_string())?))
            }
            Self::Folder(folder) => Reachable::File(folder.join(below)),
        })
    }
}

pub(crate) async fn list(http: &Http, project: &Project, store: &Store) -> Result<Listing, String> {
    let mut listing = Listing { notes: project.notes.clone(), ..Listing::new(&http.limits) };
    for (what, why, remedy) in &project.gaps {
        listing.gap(what, why.clone(), remedy);
    }
    for out in &project.outs {
        if listing.objects.len().max(listing.gaps.len()) >= http.limits.objects {
            listing.gap(&project.shown, MORE, "name its files one by one");
            break;
        }
        if let Err(why) = take(http, project, store, out, &mut listing).await {
            listing.gap(&project.name(&out.path), why, "`dvc pull`, and scan the copy");
        }
    }
    if listing.objects.is_empty() && listing.gaps.is_empty() {
        return Err("the project keeps nothing elsewhere under that name".into());
    }
    Ok(listing)
}

/// Adds what one `out` stands for: a file, or those of a folder.
async fn take(
    http: &Http,
    project: &Project,
    store: &Store,
    out: &Out,
    listing: &mut Listing,
) -> Result<(), String> {
    let remote = out.remote.as_deref().or(project.remote.as_deref()).unwrap_or("");
    let kept = match store.0.get(remote) {
        Some(Ok(kept)) => kept,
        Some(Err(why)) => return Err(why.clone()),
        None => return Err(format!("there is no remote `{remote}`")),
    };
    let promised = |sum| if out.old { Promised::Md5OfText(sum) } else { Promised::Md5(sum) };
    let wrong = || format!("its digest `{}` is no MD5", out.digest.chars().take(80).collect::<String>());
    let object = |path: &str, digest: &str| {
        let sum = Promised::md5(digest)?;
        let reach = kept.reach(digest, out.old).ok()?;
        let (name, path) = (project.name(path), project.below(path));
        Some(Object { name, path, promised: Some(promised(sum)), pinned: true, reach })
    };
    let Some(digest) = out.digest.strip_suffix(".dir") else {
        listing.objects.push(object(&out.path, &out.digest).ok_or_else(wrong)?);
        return Ok(());
    };
    let sum = Promised::md5(digest).ok_or_else(wrong)?;
    let manifest = small(http, &kept.reach(&out.digest, out.old)?).await?;
    let mut comparison = Comparison::new(Promised::Md5(sum));
    comparison.take(&manifest);
    comparison.end().map_err(|why| format!("the list of its files is not the one promised: {why}"))?;
    let files: Value =
        serde_json::from_slice(&manifest).map_err(|_| "the list of its files is no JSON".to_owned())?;
    for file in files.as_array().ok_or("the list of its files makes no sense")? {
        let word = |name: &str| file.get(name).and_then(Value::as_str).unwrap_or("");
        let (below, digest) = (word("relpath"), word("md5"));
        let path = format!("{}/{below}", out.path);
        let fits = listable(below) && plain(below) && !below.starts_with('/') && listable(&path);
        if !project.wants(&path) {
            continue;
        }
        if listing.objects.len() >= http.limits.objects {
            return Err(MORE.into());
        }
        match object(&path, digest).filter(|_| fits) {
            Some(object) => listing.objects.push(object),
            None => listing.gap(
                &project.name(&out.path),
                "the list of its files names one that leads elsewhere or has no MD5",
                "look at it yourself",
            ),
        }
    }
    Ok(())
}

/// A document of a remote.
async fn small(http: &Http, reach: &Reachable) -> Result<Bytes, String> {
    match reach {
        Reachable::Web(ask) => {
            let (status, _, body) = http.document(ask).await?;
            if status == StatusCode::OK { Ok(body) } else { Err(web::said(status)) }
        }
        Reachable::Bucket(place) => bucket::whole(place).await,
        Reachable::File(path) => project::read(path, http.limits.document as u64).map(Bytes::from),
    }
}

/// Reads a text as each of the things that DVC writes, for the fuzzer.
pub(crate) fn read(text: &str) {
    let _ = (written::settings(text), written::value(text));
}

/// A path of this machine as it stands in an address.
fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}
