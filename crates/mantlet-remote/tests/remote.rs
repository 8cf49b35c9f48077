//! Remote artifacts against servers on this machine. The servers of Hugging Face, S3, Google, Azure, OCI registries,
//! MLflow, Artifactory and GitHub are fakes, projects of DVC are folders as DVC writes them: they speak the part of the
//! protocol that is used, and nothing else of the real ones is tested here.

#[path = "parts/azure.rs"]
mod azure;
#[path = "parts/bucket.rs"]
mod bucket;
#[path = "parts/dvc.rs"]
mod dvc;
#[path = "parts/hub.rs"]
mod hub;
#[path = "parts/image.rs"]
mod image;
#[path = "parts/jfrog.rs"]
mod jfrog;
#[path = "parts/mlflow.rs"]
mod mlflow;
#[path = "parts/server.rs"]
mod server;
#[path = "parts/table.rs"]
mod table;
#[path = "parts/torchhub.rs"]
mod torchhub;
#[path = "parts/way.rs"]
mod way;
#[path = "parts/web.rs"]
mod web;

use std::time::Duration;

use mantlet_remote::{Limits, Listing, Remote, RemoteError};
use mantlet_scan::{Options, scan_source};
use mantlet_vocab::{Examination, Severity, Verdict};

/// Protocol 0: `os.system("true")`.
const EVIL: &[u8] = b"cos\nsystem\n(S'true'\ntR.";

fn remote() -> Remote {
    let limits = Limits {
        answer: Duration::from_secs(5),
        body: Duration::from_millis(500),
        spool: 3 << 20,
        document: 1 << 20,
        ..Limits::default()
    };
    Remote::new(limits).expect("the system gives threads")
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn list(uri: &str, environment: &[(&str, &str)]) -> Result<Listing, RemoteError> {
    let environment =
        |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    remote().list(uri, &environment)
}

/// A listing within limits that are soon reached.
fn hurried(uri: &str, environment: &[(&str, &str)]) -> Result<Listing, RemoteError> {
    let environment =
        |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let limits = Limits { objects: 5, listing: Duration::from_secs(2), ..Limits::default() };
    Remote::new(limits).expect("the system gives threads").list(uri, &environment)
}

/// Everything an address stands for, scanned as the program does it.
fn look(uri: &str, environment: &[(&str, &str)], verify: bool) -> Examination {
    let environment =
        |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let remote = remote();
    let gap = |error: RemoteError| mantlet_vocab::Gap {
        what: uri.to_owned(),
        why: error.to_string(),
        remedy: String::new(),
    };
    let mut examination = Examination::default();
    match remote.list(uri, &environment) {
        Ok(listing) => {
            examination.gaps.extend(listing.gaps);
            for object in &listing.objects {
                match remote.open(object, verify) {
                    Ok(source) => {
                        let options = Options { full_content: verify, ..Options::default() };
                        examination.merge(scan_source(&object.name, &source, &options));
                    }
                    Err(error) => examination.gaps.push(gap(error)),
                }
            }
        }
        Err(error) => examination.gaps.push(gap(error)),
    }
    examination
}

fn names(examination: &Examination) -> Vec<&str> {
    examination.artifacts.iter().map(|artifact| artifact.path.as_str()).collect()
}

fn verdict(examination: &Examination) -> Verdict {
    examination.verdict(Severity::Suspicious)
}

/// Every reason why something was not examined.
fn reasons(examination: &Examination) -> String {
    serde_json::to_string(&(&examination.gaps, &examination.artifacts)).expect("it is plain data")
}

/// A large benign file: a safetensors header, and tensors that no structural scan reads.
fn weights(len: usize) -> Vec<u8> {
    let data = len - 8 - 128;
    let mut header = format!("{{\"w\":{{\"dtype\":\"U8\",\"shape\":[{data}],\"data_offsets\":[0,{data}]}}}}");
    header.extend(std::iter::repeat_n(' ', 128 - header.len()));
    let mut bytes = 128_u64.to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend((0..data).map(|index| (index / 3 % 251) as u8));
    bytes
}
