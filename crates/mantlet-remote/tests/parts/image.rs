//! A fake of an OCI registry: token, index, manifest, blobs.

use mantlet_vocab::{ArtifactSummary, Coverage, Digest, Verdict};
use serde_json::json;

use super::server::{Reply, Seen, Server};
use super::{EVIL, list, look, names, reasons, verdict};

struct Content {
    layer: Vec<u8>,
    config: Vec<u8>,
    manifest: Vec<u8>,
    index: Vec<u8>,
}

fn content(layer: &[u8]) -> Content {
    let config = b"{\"a\": 1}".to_vec();
    let described = |bytes: &[u8]| json!({ "digest": Digest::of(bytes).to_string(), "size": bytes.len() });
    let mut layer_entry = described(layer);
    layer_entry["annotations"] = json!({ "org.opencontainers.image.title": "model.pkl" });
    let manifest = json!({ "schemaVersion": 2, "config": described(&config), "layers": [layer_entry] });
    let manifest = manifest.to_string().into_bytes();
    let index = json!({ "schemaVersion": 2, "manifests": [described(&manifest)] }).to_string().into_bytes();
    Content { layer: layer.to_vec(), config, manifest, index }
}

/// A registry that wants a token from itself; `shown` is what it shows as the layer.
fn registry(layer: &[u8], shown: Vec<u8>, realm: Option<String>) -> Server {
    let content = content(layer);
    Server::start(move |seen: &Seen| {
        let host = seen.header("host").unwrap_or("").to_owned();
        if seen.path() == "/token" {
            return if seen.header("authorization") == Some("Basic YWRhOmdlaGVpbQ==")
                && seen.target.contains("scope=repository%3Ateam%2Fmodel%3Apull")
            {
                Reply::json(&json!({ "token": "short-lived" }))
            } else {
                Reply::new(401, "")
            };
        }
        if seen.header("authorization") != Some("Bearer short-lived") {
            let realm = realm.clone().unwrap_or_else(|| format!("http://{host}/token"));
            return Reply::new(401, "")
                .with("www-authenticate", format!("Bearer realm=\"{realm}\",service=\"reg\""));
        }
        let path = seen.path().strip_prefix("/v2/team/model/").unwrap_or("");
        let manifest = Digest::of(&content.manifest).to_string();
        match path {
            "manifests/v1" => Reply::new(200, content.index.clone()),
            path if path == format!("manifests/{manifest}") => Reply::new(200, content.manifest.clone()),
            path if path.ends_with(&Digest::of(&content.config).to_string()) => {
                Reply::file(seen, &content.config, "\"c\"")
            }
            path if path.ends_with(&Digest::of(&content.layer).to_string()) => {
                Reply::file(seen, &shown, "\"l\"")
            }
            _ => Reply::new(404, ""),
        }
    })
}

const NAMELESS: [(&str, &str); 2] = [("MANTLET_OCI_USERNAME", "ada"), ("MANTLET_OCI_PASSWORD", "geheim")];

/// The credentials, and the registry they are for.
fn person(registry: &str) -> [(&str, &str); 3] {
    [NAMELESS[0], NAMELESS[1], ("MANTLET_OCI_REGISTRY", registry)]
}

#[test]
fn an_image_is_followed_from_tag_to_blobs() {
    let registry = registry(EVIL, EVIL.to_vec(), None);
    let address = registry.address.to_string();
    let person = person(&address);
    let uri = format!("oci://{}/team/model:v1", registry.address);
    let seen = look(&uri, &person, false);
    assert_eq!(verdict(&seen), Verdict::Found, "{}", reasons(&seen));
    assert_eq!(names(&seen).len(), 2);
    assert!(names(&seen).iter().any(|name| name.ends_with("/model.pkl")), "{:?}", names(&seen));
    assert_eq!(seen.gaps, []);
    assert!(!serde_json::to_string(&seen).unwrap().contains("short-lived"));
    let digest = Digest::of(&content(EVIL).manifest);
    let pinned = format!("oci://{}/team/model@{digest}", registry.address);
    assert_eq!(verdict(&look(&pinned, &person, false)), Verdict::Found);
    let other = format!("oci://{}/team/model@sha256:{}", registry.address, "0".repeat(64));
    assert_eq!(verdict(&look(&other, &person, false)), Verdict::NotFullyExamined);
    let anonymous = look(&uri, &[], false);
    assert!(reasons(&anonymous).contains("MANTLET_OCI_USERNAME"), "{}", reasons(&anonymous));
}

#[test]
fn blobs_that_are_not_their_digest_are_refused() {
    let registry = registry(EVIL, b"\x80\x04]\x94.".to_vec(), None);
    let seen = look(
        &format!("oci://{}/team/model:v1", registry.address),
        &person(&registry.address.to_string()),
        false,
    );
    assert_eq!(verdict(&seen), Verdict::NotFullyExamined);
    assert!(reasons(&seen).contains("promised was"), "{}", reasons(&seen));
}

#[test]
fn a_registry_that_shows_the_digest_one_thing_and_the_scan_another_is_caught() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let layer = super::weights(12 << 20);
    let honest = content(&layer);
    let (manifest, config) = (honest.manifest.clone(), honest.config.clone());
    static READ: AtomicUsize = AtomicUsize::new(0);
    let registry = Server::start(move |seen: &Seen| {
        let path = seen.path();
        if path.contains("/manifests/") {
            return Reply::new(200, manifest.clone());
        }
        if path.ends_with(&Digest::of(&config).to_string()) {
            return Reply::file(seen, &config, "\"c\"");
        }
        let mut bytes = layer.clone();
        // The first blocks come twice: once for the digest, once for the scan.
        if seen.range().is_some_and(|(start, _)| start == 0) && READ.fetch_add(1, Ordering::Relaxed) > 0 {
            bytes[20] ^= 1;
        }
        Reply::file(seen, &bytes, "\"l\"")
    });
    let seen = look(&format!("oci://{}/team/model:v1", registry.address), &[], false);
    assert_eq!(verdict(&seen), Verdict::NotFullyExamined, "{}", reasons(&seen));
    assert!(reasons(&seen).contains("not the content that was verified"), "{}", reasons(&seen));
}

#[test]
fn a_password_does_not_go_to_a_foreign_house() {
    let thief = Server::on("127.0.0.2:0", |_| Reply::json(&json!({ "token": "x" })));
    let registry = registry(EVIL, EVIL.to_vec(), Some(thief.url("/token")));
    let uri = format!("oci://{}/team/model:v1", registry.address);
    assert!(list(&uri, &person(&registry.address.to_string())).is_err());
    assert_eq!(thief.requests().len(), 1);
    assert!(thief.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_password_goes_to_the_registry_it_is_for_and_no_other() {
    for challenge in ["Basic realm=\"x\"", "Bearer realm=\"REALM\",service=\"reg\""] {
        let evil = Server::start(move |seen: &Seen| {
            let realm = format!("http://{}/token", seen.header("host").unwrap_or(""));
            Reply::new(401, "").with("www-authenticate", challenge.replace("REALM", &realm))
        });
        let uri = format!("oci://{}/team/model:v1", evil.address);
        for environment in [&NAMELESS[..], &person("corp.example")[..], &person("127.0.0.1:1")[..]] {
            let fault = list(&uri, environment).unwrap_err().to_string();
            assert!(fault.contains("MANTLET_OCI_REGISTRY") && !fault.contains("geheim"), "{fault}");
        }
        assert!(evil.requests().iter().all(|request| request.header("authorization").is_none()));
    }
    // Where none are needed, it is said all the same.
    let open = content(EVIL);
    let server = Server::start(move |_| Reply::new(200, open.manifest.clone()));
    let listing = list(&format!("oci://{}/team/model:v1", server.address), &NAMELESS).unwrap();
    assert!(listing.notes.iter().any(|note| note.contains("MANTLET_OCI_REGISTRY")), "{:?}", listing.notes);
}

/// A registry whose tokens are good for a few requests, and what it was asked.
fn forgetful(layer: &[u8], uses: usize) -> Server {
    use std::sync::Mutex;
    let content = content(layer);
    // How many tokens were given, and how often the last one was used.
    let state = Mutex::new((0_usize, 0_usize));
    Server::start(move |seen: &Seen| {
        let host = seen.header("host").unwrap_or("").to_owned();
        let mut state = state.lock().expect("nobody panicked");
        if seen.path() == "/token" {
            *state = (state.0 + 1, 0);
            return Reply::json(&json!({ "token": format!("token-{}", state.0) }));
        }
        if seen.header("authorization") != Some(format!("Bearer token-{}", state.0).as_str())
            || state.1 >= uses
        {
            return Reply::new(401, "")
                .with("www-authenticate", format!("Bearer realm=\"http://{host}/token\""));
        }
        state.1 += 1;
        match seen.path().strip_prefix("/v2/team/model/").unwrap_or("") {
            "manifests/v1" => Reply::new(200, content.index.clone()),
            path if path.starts_with("manifests/") => Reply::new(200, content.manifest.clone()),
            path if path.ends_with(&Digest::of(&content.config).to_string()) => {
                Reply::file(seen, &content.config, "\"c\"")
            }
            _ => Reply::file(seen, &content.layer, "\"l\""),
        }
    })
}

#[test]
fn a_token_that_ends_during_a_scan_is_renewed_and_a_registry_that_takes_none_is_left() {
    let asked = |server: &Server| server.requests().iter().filter(|seen| seen.path() == "/token").count();
    let layer = super::weights(12 << 20);
    let registry = forgetful(&layer, 2);
    let seen = look(&format!("oci://{}/team/model:v1", registry.address), &[], false);
    assert_eq!((seen.gaps.len(), seen.artifacts.len()), (0, 2), "{}", reasons(&seen));
    let whole = |artifact: &ArtifactSummary| artifact.coverage == Coverage::Complete;
    assert!(seen.artifacts.iter().all(whole), "{}", reasons(&seen));
    // Manifests, a configuration, a dozen blocks that are digested: two requests a token.
    assert!((3..=12).contains(&asked(&registry)), "{}", asked(&registry));

    let hopeless = forgetful(&layer, 0);
    let seen = look(&format!("oci://{}/team/model:v1", hopeless.address), &[], false);
    assert_eq!(verdict(&seen), Verdict::NotFullyExamined);
    assert!(reasons(&seen).contains("answers 401"), "{}", reasons(&seen));
    assert_eq!(asked(&hopeless), 1);
}
