//! What servers answer, read without a server: for the fuzzer and its twin among the tests.

use std::sync::Arc;

use serde_json::Value;

use crate::address::Address;
use crate::http::{Ask, joined, origin};
use crate::image::{Pulled, Registry};
use crate::keyring::{Keyring, read, related};
use crate::mlflow::{Folders, artifact_uri};
use crate::{Limits, Listing, Reachable, dvc, hub, is_remote, jfrog, mlflow, shown, torchhub, web};

/// Files of a listing.
const MOST: usize = 40;

/// Reads a text as each of the things that servers and people write. Nothing is contacted.
#[doc(hidden)]
pub fn read_texts(text: &str) {
    let _ = (is_remote(text), shown(text), Address::parse(text).map(|address| format!("{address:?}")));
    dvc::read(text);
    let _ = (hub::following(text), read(text), web::range_of(text));
    if let Some((base, target)) = text.split_once('\n')
        && let Ok(base) = base.parse::<::http::Uri>()
    {
        let _ = (joined(&base, target).map(|uri| origin(&uri)), related(base.path(), target));
    }
}

/// Reads bytes as what a registry answers, one document a line in the order it is asked: 0 Hugging Face (a revision,
/// then pages of its tree), 1 OCI (a manifest or an index, then what that names), 2 MLflow (where the files are, then
/// folders), 3 OCI's token, 4 Artifactory (files and folders), 5 the `hubconf.py` of a repository. Gives the path and the address of each file listed, addresses below
/// `http://127.0.0.1:1/`. Nothing is contacted.
#[doc(hidden)]
#[must_use]
pub fn read_answers(kind: u8, answers: &[u8]) -> Vec<(String, String)> {
    let limits = Limits { objects: MOST, ..Limits::default() };
    let mut listing = Listing::new(&limits);
    let mut lines = answers.split(|byte| *byte == b'\n').take(100);
    // What stops a listing is said to the user and no matter here.
    let _ = match kind % 6 {
        0 => tree(&mut lines, &mut listing),
        1 => image(&mut lines, &mut listing),
        2 => run(&mut lines, &mut listing),
        4 => shelf(&mut lines, &mut listing),
        5 => {
            let _ = torchhub::weights(&String::from_utf8_lossy(answers));
            None
        }
        _ => registry().and_then(|registry| Keyring::new(registry, "a/b").token(answers).ok()).map(drop),
    };
    listing.sort();
    let files = listing.objects.into_iter().map(|object| match object.reach {
        Reachable::Web(Ask { url, .. }) => (object.path, url),
        Reachable::Bucket(place) => (object.path, place.path.to_string()),
        Reachable::File(path) => (object.path, path.display().to_string()),
    });
    files.collect()
}

/// The environment in which every server is this machine.
fn here(name: &str) -> Option<String> {
    matches!(name, "HF_ENDPOINT" | "MLFLOW_TRACKING_URI").then(|| "http://127.0.0.1:1".to_owned())
}

fn registry() -> Option<Registry> {
    let address = Address::parse("oci://127.0.0.1:1/a/b:v1").ok()?;
    Registry::new(&address, &here).ok()
}

fn json(line: Option<&[u8]>) -> Option<Value> {
    serde_json::from_slice(line?).ok()
}

fn tree<'a>(lines: &mut impl Iterator<Item = &'a [u8]>, listing: &mut Listing) -> Option<()> {
    let endpoint = hub::Endpoint::new(&here).ok()?;
    let revision = json(lines.next())?;
    let tree = hub::Tree::new(&endpoint, "models", "a/b", "main", "sub", hub::commit(&revision).ok()?);
    while tree.take(&json(lines.next())?, listing, MOST).ok()? {}
    Some(())
}

fn image<'a>(lines: &mut impl Iterator<Item = &'a [u8]>, listing: &mut Listing) -> Option<()> {
    let keyring = Arc::new(Keyring::new(registry()?, "a/b"));
    let mut pulled = Pulled::new(&keyring, "127.0.0.1:1", "a/b", "v1");
    while let Some((_, depth)) = pulled.next(listing) {
        pulled.take(lines.next()?, depth, listing, MOST).ok()?;
    }
    Some(())
}

fn run<'a>(lines: &mut impl Iterator<Item = &'a [u8]>, listing: &mut Listing) -> Option<()> {
    let uri = "mlflow:///runs:/a/sub";
    let server = mlflow::Server::new(&Address::parse(uri).ok()?, &here).ok()?;
    let place = artifact_uri(&json(lines.next())?)?;
    let mut folders = Folders::new(&server, uri, &place, "sub", listing).ok()??;
    while let Some(folder) = folders.next(listing, MOST) {
        if !folders.take(&json(lines.next())?, folder, listing, MOST) {
            break;
        }
    }
    Some(())
}

fn shelf<'a>(lines: &mut impl Iterator<Item = &'a [u8]>, listing: &mut Listing) -> Option<()> {
    let uri = "jfrog://127.0.0.1:1/models/sub";
    let server = jfrog::Server::new(&Address::parse(uri).ok()?, &here).ok()?;
    let mut shelf = jfrog::Shelf::new(&server, uri, "models/sub");
    while let Some(wanted) = shelf.next(listing, MOST) {
        if !shelf.take(&json(lines.next())?, &wanted, listing, MOST) {
            break;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A protocol, the lines of its answers, and the files these lead to: name and path.
    type Case = (u8, String, &'static [(&'static str, &'static str)]);

    #[test]
    fn answers_lead_to_files_below_their_server_only() {
        let digest = "ab".repeat(32);
        let cases: [Case; 6] = [
            (
                0,
                format!(
                    "{{\"sha\":\"{}\"}}\n[{{\"type\":\"file\",\"path\":\"sub/a b.pkl\"}},\
                     {{\"type\":\"file\",\"path\":\"../x\"}},{{\"type\":\"file\",\"path\":\"/etc/x\"}}]",
                    "0".repeat(40)
                ),
                &[("a b.pkl", "/a/b/resolve/0000000000000000000000000000000000000000/sub/a%20b.pkl")],
            ),
            (
                1,
                // An index whose digest would lead to another path, beside one that is a digest.
                format!(
                    "{{\"manifests\":[{{\"digest\":\"sha256:x/../../../../token\"}},\
                     {{\"digest\":\"sha256:{digest}\"}}]}}\n\
                     {{\"layers\":[{{\"digest\":\"sha256:{digest}\"}},{{\"digest\":\"sha256:../x\"}}]}}\n\
                     {{\"layers\":[{{\"digest\":\"sha256:{}\"}}]}}",
                    "cd".repeat(32)
                ),
                &[(
                    "blobs/sha256/abababababababababababababababababababababababababababababababab",
                    "/v2/a/b/blobs/sha256:abababababababababababababababababababababababababababababababab",
                )],
            ),
            (
                2,
                "{\"run\":{\"info\":{\"artifact_uri\":\"mlflow-artifacts:/1/2/artifacts\"}}}\n\
                 {\"files\":[{\"path\":\"m.pkl\"},{\"path\":\"../x\"},{\"path\":\"d\",\"is_dir\":true}]}\n\
                 {\"files\":[{\"path\":\"e?f\"}]}"
                    .to_owned(),
                &[
                    ("d/e?f", "/api/2.0/mlflow-artifacts/artifacts/1/2/artifacts/sub/d/e%3Ff"),
                    ("m.pkl", "/api/2.0/mlflow-artifacts/artifacts/1/2/artifacts/sub/m.pkl"),
                ],
            ),
            (3, "{\"token\":\"a\\u0000b\"}".to_owned(), &[]),
            (
                4,
                "{\"children\":[{\"uri\":\"/../x\"},{\"uri\":\"/a/b\"},{\"uri\":\"/m?.pkl\",\"folder\":false},\
                 {\"uri\":\"/d\",\"folder\":true}]}\n\
                 {\"children\":[]}\n\
                 {\"downloadUri\":\"http://evil.example/x\",\"checksums\":{\"sha256\":\"../x\"}}"
                    .to_owned(),
                &[("m?.pkl", "/artifactory/models/sub/m%3F.pkl")],
            ),
            (5, "x = 'https://dl.example/a.pth'".to_owned(), &[]),
        ];
        for (kind, answers, expected) in cases {
            let expected: Vec<(String, String)> = expected
                .iter()
                .map(|(path, url)| ((*path).to_owned(), format!("http://127.0.0.1:1{url}")))
                .collect();
            assert_eq!(read_answers(kind, answers.as_bytes()), expected, "{answers}");
        }
    }
}
