//! MLflow: a model version or a run by the tracking server's interface, its files through the artifact proxy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::Value;

use crate::address::{Address, Tracked, encoded, listable, local_host, plain, shown};
use crate::http::{Ask, Http, Secret};
use crate::{Environment, Listing, Object, Reachable, RemoteError, web};

/// Folders that are listed, and how deep they nest.
const MAX_FOLDERS: usize = 10_000;
const MAX_DEPTH: usize = 32;
const MORE: &str = "it has more folders or files than are listed";
/// Names that lead to other names.
const MAX_STEPS: usize = 4;

/// The tracking server, and who asks.
#[derive(Debug)]
pub(crate) struct Server {
    url: String,
    secret: Option<Secret>,
    /// Why the credentials of the environment are not sent.
    held_back: Option<String>,
}

impl Server {
    pub(crate) fn new(address: &Address, environment: Environment<'_>) -> Result<Self, RemoteError> {
        let wrong = |why: String| RemoteError::Environment { variable: "MLFLOW_TRACKING_URI", why };
        let said = |name: &str| environment(name).filter(|value| !value.is_empty());
        let server = if let Address::Mlflow { server, .. } = address { server.as_deref() } else { None };
        let url = match server {
            Some(host) if local_host(host) => format!("http://{host}"),
            Some(host) => format!("https://{host}"),
            None => said("MLFLOW_TRACKING_URI").ok_or_else(|| {
                wrong("it is not set: set it, or name the server as mlflow://host/...".into())
            })?,
        };
        let url = url.trim_end_matches('/').to_owned();
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err(wrong("it is no web address".into()));
        }
        let basic = |user, password| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let value = match (said("MLFLOW_TRACKING_TOKEN"), said("MLFLOW_TRACKING_USERNAME")) {
            (Some(token), _) => Some(format!("Bearer {token}")),
            (None, Some(user)) => Some(basic(user, said("MLFLOW_TRACKING_PASSWORD").unwrap_or_default())),
            (None, None) => None,
        };
        let theirs = said("MLFLOW_TRACKING_URI");
        let (secret, held_back) =
            Secret::bound(&url, value, theirs.as_deref(), "MLFLOW_TRACKING_URI").map_err(wrong)?;
        Ok(Self { url, secret, held_back })
    }

    fn ask(&self, url: String) -> Ask {
        Ask { url, home: self.url.clone(), secret: self.secret.clone(), ..Ask::default() }
    }

    async fn json(&self, http: &Http, path: &str) -> Result<Value, String> {
        let (status, _, body) = http.document(&self.ask(format!("{}{path}", self.url))).await?;
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
    let Address::Mlflow { what, .. } = address else { return Ok(Listing::default()) };
    let mut listing =
        Listing { notes: server.held_back.iter().cloned().collect(), ..Listing::new(&http.limits) };
    let (place, wanted) = artifacts(http, server, what).await?;
    let Some(mut folders) = Folders::new(server, uri, &place, wanted, &mut listing)? else {
        return Ok(listing);
    };
    while let Some(folder) = folders.next(&mut listing, http.limits.objects) {
        let url = format!("/api/2.0/mlflow-artifacts/artifacts?path={}", encoded(&folder.0, false));
        let answer = server.json(http, &url).await?;
        if !folders.take(&answer, folder, &mut listing, http.limits.objects) {
            return Ok(listing);
        }
    }
    if listing.objects.is_empty() && listing.gaps.is_empty() {
        if wanted.is_empty() {
            return Err("there are no files under that name".into());
        }
        // A file is listed as an empty folder.
        listing.objects.push(folders.object(&folders.top, ""));
    }
    Ok(listing)
}

/// The folders of a run, each listed by a request of its own.
pub(crate) struct Folders<'a> {
    server: &'a Server,
    uri: &'a str,
    /// What the files are called after.
    shown: String,
    /// Before the path of each file.
    base: String,
    top: String,
    waiting: Vec<(String, usize)>,
    seen: usize,
}

impl<'a> Folders<'a> {
    /// The folder a name leads to; none, and a gap, when its files are not behind the server.
    pub(crate) fn new(
        server: &'a Server,
        uri: &'a str,
        place: &str,
        wanted: &str,
        listing: &mut Listing,
    ) -> Result<Option<Self>, String> {
        let root = match place.strip_prefix("mlflow-artifacts:") {
            // The proxy's own address may be named: only the path counts, the server is the one the user named.
            Some(rest) => match rest.strip_prefix("//") {
                Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
                None => rest.trim_start_matches('/'),
            },
            None => {
                let remedy = "scan that address, with the credentials it needs";
                let why = format!("its files are not behind the server but at {}", shown(place));
                listing.gap(uri, why, remedy);
                return Ok(None);
            }
        };
        if !plain(root) {
            return Err("the server names a path that leads elsewhere".into());
        }
        let top = [root.trim_matches('/'), wanted]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/");
        let base = format!("{}/api/2.0/mlflow-artifacts/artifacts", server.url);
        let shown = shown(uri).trim_end_matches('/').to_owned();
        let waiting = vec![(top.clone(), 0)];
        Ok(Some(Self { server, uri, shown, base, top, waiting, seen: 0 }))
    }

    fn object(&self, path: &str, below: &str) -> Object {
        let shown = &self.shown;
        Object {
            name: if below.is_empty() { shown.clone() } else { format!("{shown}/{below}") },
            path: below.to_owned(),
            promised: None,
            pinned: false,
            reach: Reachable::Web(self.server.ask(format!("{}/{}", self.base, encoded(path, true)))),
        }
    }

    /// The next folder to ask for, and how deep it is.
    pub(crate) fn next(&mut self, listing: &mut Listing, most: usize) -> Option<(String, usize)> {
        let (folder, depth) = self.waiting.pop()?;
        self.seen += 1;
        if self.seen > MAX_FOLDERS || depth > MAX_DEPTH || listing.gaps.len() > most {
            listing.gap(self.uri, MORE, "name its folders one by one");
            return None;
        }
        Some((folder, depth))
    }

    /// Takes what the server says is in a folder; whether there is room for more.
    pub(crate) fn take(
        &mut self,
        answer: &Value,
        (folder, depth): (String, usize),
        listing: &mut Listing,
        most: usize,
    ) -> bool {
        // A folder without files has no list at all.
        let files = answer.get("files").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for file in files {
            let name = file.get("path").and_then(Value::as_str).unwrap_or("");
            let path = format!("{folder}/{name}");
            if name.contains('/') || !listable(name) || !listable(path.trim_start_matches('/')) {
                listing.gap(
                    self.uri,
                    "the server lists a file whose name leads elsewhere",
                    "look at the run yourself",
                );
                continue;
            }
            if self.waiting.len() + listing.objects.len() >= most {
                listing.gap(self.uri, MORE, "name its folders one by one");
                return false;
            }
            if file.get("is_dir").and_then(Value::as_bool) == Some(true) {
                self.waiting.push((path, depth + 1));
            } else {
                let below = path.strip_prefix(self.top.as_str()).unwrap_or(&path);
                listing.objects.push(self.object(&path, below.trim_start_matches('/')));
            }
        }
        true
    }
}

/// A text within an answer.
fn word(answer: &Value, path: &[&str]) -> Option<String> {
    path.iter().try_fold(answer, |value, name| value.get(name)).and_then(Value::as_str).map(str::to_owned)
}

/// Where the server says the files are, for what was asked of it.
pub(crate) fn artifact_uri(answer: &Value) -> Option<String> {
    [&["run", "info", "artifact_uri"][..], &["model", "info", "artifact_uri"], &["artifact_uri"]]
        .into_iter()
        .find_map(|path| word(answer, path))
}

/// Where the files of a name are, and which of them are wanted.
async fn artifacts<'a>(http: &Http, server: &Server, what: &'a Tracked) -> Result<(String, &'a str), String> {
    let nowhere = || "the server does not say where the files are".to_owned();
    if let Tracked::Run { id, path } = what {
        let run =
            server.json(http, &format!("/api/2.0/mlflow/runs/get?run_id={}", encoded(id, false))).await?;
        let place = artifact_uri(&run).ok_or_else(nowhere)?;
        return Ok((place, path));
    }
    let (name, version) = match what {
        Tracked::Alias { name, alias } => {
            let query = format!("name={}&alias={}", encoded(name, false), encoded(alias, false));
            let found =
                server.json(http, &format!("/api/2.0/mlflow/registered-models/alias?{query}")).await?;
            let version = word(&found, &["model_version", "version"]).ok_or_else(nowhere)?;
            (name.clone(), version)
        }
        Tracked::Version { name, version } => (name.clone(), version.clone()),
        Tracked::Run { .. } => return Err(nowhere()),
    };
    let query = format!("name={}&version={}", encoded(&name, false), encoded(&version, false));
    let found =
        server.json(http, &format!("/api/2.0/mlflow/model-versions/get-download-uri?{query}")).await?;
    let mut place = artifact_uri(&found).ok_or_else(nowhere)?;
    for _ in 0..MAX_STEPS {
        if let Some(id) = place.strip_prefix("models:/m-") {
            let path = format!("/api/2.0/mlflow/logged-models/m-{}", encoded(id, false));
            let model = server.json(http, &path).await?;
            place = artifact_uri(&model).ok_or_else(nowhere)?;
        } else if let Some(run) = place.strip_prefix("runs:/") {
            let (id, path) = run.split_once('/').unwrap_or((run, ""));
            let (id, path) = (encoded(id, false), path.to_owned());
            let run = server.json(http, &format!("/api/2.0/mlflow/runs/get?run_id={id}")).await?;
            let root = artifact_uri(&run).ok_or_else(nowhere)?;
            place = format!("{}/{path}", root.trim_end_matches('/'));
        } else {
            return Ok((place, ""));
        }
    }
    Err("the server leads from name to name".into())
}
