//! Artifacts behind addresses, read where they lie: Hugging Face, object stores, HTTPS, OCI registries, MLflow,
//! Artifactory, remotes of DVC, PyTorch Hub.
//!
//! [`Remote::list`] finds out what an address stands for, [`Remote::open`] gives a source that reads it in ranges, a few
//! blocks in memory. Nothing but what the address names is contacted. What a server says is checked, and what cannot be
//! read is an error, never absent.

mod address;
mod blocks;
mod bucket;
mod dvc;
mod http;
mod hub;
mod image;
mod jfrog;
mod keyring;
mod mirror;
mod mlflow;
mod offline;
mod table;
mod torchhub;
mod way;
mod web;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use mantlet_vocab::Gap;
use tokio::runtime::{Handle, Runtime};

use crate::address::{Address, shown};
use crate::blocks::Promised;
pub use crate::blocks::RemoteSource;
use crate::http::{Ask, Http};
pub use crate::mirror::{Mirror, Passed};
pub use crate::offline::{read_answers, read_texts};
pub use crate::way::Outward;

/// Why an address cannot be examined at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// It is no address.
    #[error("`{uri}` is not {form}")]
    Address {
        /// As written, without secrets.
        uri: String,
        /// What it should look like.
        form: &'static str,
    },
    /// A variable of the environment says something impossible.
    #[error("{variable}: {why}")]
    Environment {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The other side does not answer, or not sensibly.
    #[error("{uri} cannot be read: {why}")]
    Unreachable {
        /// The address, without secrets.
        uri: String,
        /// Why.
        why: String,
    },
}

/// How much is asked of a server, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// To connect.
    pub connect: Duration,
    /// To begin an answer.
    pub answer: Duration,
    /// To send a block or a document.
    pub body: Duration,
    /// To transfer one file.
    pub object: Duration,
    /// Bytes of a document such as a listing or a manifest.
    pub document: usize,
    /// Bytes of a file that is copied to disk because the server knows no ranges.
    pub spool: u64,
    /// Files of a listing; as many gaps, and as many folders that wait.
    pub objects: usize,
    /// To find out what an address stands for, all its pages and folders together.
    pub listing: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            body: Duration::from_secs(60),
            object: Duration::from_secs(3_600),
            document: 16 << 20,
            spool: 4 << 30,
            objects: 100_000,
            listing: Duration::from_secs(900),
        }
    }
}

/// What an address stands for.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files, by name.
    pub objects: Vec<Object>,
    /// What is there and cannot be examined.
    pub gaps: Vec<Gap>,
    /// What a person may want to know: the commit a branch stands for.
    pub notes: Vec<String>,
    /// Gaps beyond which only their being there is told.
    most: usize,
}

impl Listing {
    fn new(limits: &Limits) -> Self {
        Self { most: limits.objects, ..Self::default() }
    }

    fn gap(&mut self, what: &str, why: impl Into<String>, remedy: &str) {
        match self.gaps.len() {
            count if count < self.most => {
                self.gaps.push(Gap { what: shown(what), why: why.into(), remedy: remedy.to_owned() });
            }
            count if count == self.most => self.gaps.push(Gap {
                what: "the listing".into(),
                why: "more of it cannot be examined than is told here".into(),
                remedy: "do not use what a server lists like that".into(),
            }),
            _ => {}
        }
    }

    /// Order that does not depend on the server.
    fn sort(&mut self) {
        self.objects.sort_by(|a, b| a.name.cmp(&b.name));
        self.objects.dedup_by(|a, b| a.name == b.name);
        self.gaps.sort();
        self.gaps.dedup();
    }
}

/// One file behind an address.
#[derive(Debug)]
pub struct Object {
    /// Its address as reports name it.
    pub name: String,
    /// Its path below the address that was listed; empty when that named it.
    pub path: String,
    /// The digest it is promised under.
    promised: Option<Promised>,
    /// Whether that digest is checked in any case, since it is the name of the content.
    pinned: bool,
    reach: Reachable,
}

#[derive(Debug)]
enum Reachable {
    Web(Ask),
    Bucket(bucket::Place),
    /// A file of this machine: a remote of DVC may be a folder.
    File(PathBuf),
}

/// Variables of the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The way to remote artifacts.
pub struct Remote {
    runtime: Option<Runtime>,
    http: Http,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("limits", &self.http.limits).finish_non_exhaustive()
    }
}

/// Whether a text is an address this crate is for.
#[must_use]
pub fn is_remote(text: &str) -> bool {
    address::SCHEMES
        .iter()
        .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")))
}

impl Remote {
    /// Straight to each server. Nothing is contacted yet.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(limits: Limits) -> std::io::Result<Self> {
        Self::through(limits, &Outward::default())
    }

    /// With the proxy and the authorities that the user names. Nothing is contacted yet.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn through(limits: Limits, outward: &Outward) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        // The client needs the runtime to be there when it is made.
        let http = runtime.block_on(async { Http::new(limits, outward) }).map_err(std::io::Error::other)?;
        Ok(Self { runtime: Some(runtime), http })
    }

    fn handle(&self) -> Handle {
        self.runtime.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }

    /// The files that an address stands for.
    ///
    /// # Errors
    /// When it is no address, the environment is wrong, or the other side cannot be read.
    pub fn list(&self, uri: &str, environment: Environment<'_>) -> Result<Listing, RemoteError> {
        let address = Address::parse(uri)?;
        let lost = |why: String| RemoteError::Unreachable { uri: shown(uri), why };
        let mut listing = match &address {
            Address::Web { url } => {
                let ask = Ask { url: url.clone(), home: url.clone(), ..Ask::default() };
                let name = shown(url);
                let object = Object {
                    name,
                    path: String::new(),
                    promised: None,
                    pinned: false,
                    reach: Reachable::Web(ask),
                };
                Listing { objects: vec![object], ..Listing::default() }
            }
            Address::Hub { .. } => {
                let endpoint = hub::Endpoint::new(environment)?;
                self.timely(hub::list(&self.http, &endpoint, &address)).map_err(lost)?
            }
            Address::Bucket { .. } => {
                let place = bucket::Place::new(&self.http, &address, environment)?;
                self.timely(bucket::list(&self.http, &place, &address)).map_err(lost)?
            }
            Address::Image { .. } => {
                let registry = image::Registry::new(&address, environment)?;
                self.timely(image::list(&self.http, &registry, &address)).map_err(lost)?
            }
            Address::Mlflow { .. } => {
                let server = mlflow::Server::new(&address, environment)?;
                self.timely(mlflow::list(&self.http, &server, &address, uri)).map_err(lost)?
            }
            Address::Artifactory { .. } => {
                let server = jfrog::Server::new(&address, environment)?;
                self.timely(jfrog::list(&self.http, &server, &address, uri)).map_err(lost)?
            }
            Address::Dvc { path, remote } => {
                let project = dvc::Project::open(path, remote.as_deref(), &self.http.limits)
                    .map_err(|why| RemoteError::Unreachable { uri: shown(uri), why })?;
                let store = dvc::Store::new(&self.http, &project, environment)?;
                self.timely(dvc::list(&self.http, &project, &store)).map_err(lost)?
            }
            Address::TorchHub { .. } => {
                let forge = torchhub::Forge::new(environment)?;
                self.timely(torchhub::list(&self.http, &forge, &address)).map_err(lost)?
            }
        };
        listing.sort();
        Ok(listing)
    }

    /// A listing, if it comes in time.
    fn timely(&self, listing: impl Future<Output = Result<Listing, String>>) -> Result<Listing, String> {
        let limit = self.http.limits.listing;
        let timed = async { tokio::time::timeout(limit, listing).await };
        self.handle()
            .block_on(timed)
            .unwrap_or_else(|_| Err(format!("its listing takes longer than {} s", limit.as_secs())))
    }

    /// Opens a file. With `verify` it is read once beforehand and compared with the digest it is promised under; where
    /// that digest is its very name, always.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was promised.
    pub fn open(&self, object: &Object, verify: bool) -> Result<RemoteSource, RemoteError> {
        let lost = |why: String| RemoteError::Unreachable { uri: object.name.clone(), why };
        let handle = self.handle();
        let source = match &object.reach {
            Reachable::Web(ask) => web::open(&self.http, &handle, ask.clone()),
            Reachable::Bucket(place) => bucket::open(&self.http, &handle, place),
            Reachable::File(path) => web::file(path, &self.http.limits),
        }
        .map_err(lost)?;
        if let Some(promised) = object.promised.filter(|_| verify || object.pinned) {
            source.verify(promised).map_err(lost)?;
        }
        Ok(source)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // A connection that hangs must not keep the process.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
