//! A fake of the part of Hugging Face's interface that is used.

use mantlet_remote::RemoteError;
use mantlet_vocab::{Digest, Verdict};
use serde_json::json;

use super::server::{Reply, Seen, Server};
use super::{EVIL, list, look, names, reasons, verdict};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// `org/model` with three files on two pages; the large one lies on another host. `liar` shows other weights.
fn hub(liar: bool) -> (Server, Server) {
    let weights = super::weights(3 << 20);
    let promised = Digest::of(&weights).hex();
    let mut shown = weights;
    if liar {
        let last = shown.len() - 1;
        shown[last] ^= 1;
    }
    // Another host of this machine: a token must not go there.
    let store = Server::on("127.0.0.2:0", move |seen| Reply::file(seen, &shown, "\"w\""));
    let blob = store.url("/blob?signature=x");
    let hub = Server::start(move |seen: &Seen| {
        if seen.header("authorization") != Some("Bearer hf_geheim") {
            return Reply::new(401, "{}");
        }
        let file =
            |path: &str, size: usize| json!({ "type": "file", "path": path, "size": size, "oid": "00" });
        match seen.target.as_str() {
            "/api/models/org/model/revision/main" | "/api/models/org/model/revision/refs%2Fpr%2F1" => {
                Reply::json(&json!({ "sha": COMMIT }))
            }
            target if target == format!("/api/models/org/model/tree/{COMMIT}?recursive=true") => {
                Reply::json(&json!([file("README.md", 5), { "type": "directory", "path": "sub" }])).with(
                    "link",
                    format!("</api/models/org/model/tree/{COMMIT}?recursive=true&cursor=2>; rel=\"next\""),
                )
            }
            target if target.ends_with("cursor=2") => {
                let mut weights = file("model.safetensors", 3 << 20);
                weights["lfs"] = json!({ "oid": promised, "size": 3 << 20 });
                Reply::json(&json!([weights, file("sub/call.pkl", 20), file("../../etc/passwd", 1)]))
            }
            target if target == format!("/api/models/org/model/tree/{COMMIT}/sub?recursive=true") => {
                Reply::json(&json!([file("sub/call.pkl", 20)]))
            }
            _ => match seen.path().strip_prefix(&format!("/org/model/resolve/{COMMIT}/")) {
                Some("README.md") => Reply::file(seen, b"Hello", "\"r\""),
                Some("sub/call.pkl") => Reply::file(seen, EVIL, "\"c\""),
                Some("model.safetensors") => Reply::redirect(&blob),
                _ => Reply::new(404, "{}"),
            },
        }
    });
    (hub, store)
}

#[test]
fn a_repository_is_listed_at_one_commit_and_the_token_stays_at_home() {
    let (hub, store) = hub(false);
    let environment = [("HF_ENDPOINT", &*hub.url("")), ("HF_TOKEN", "hf_geheim")];
    let seen = look("hf://org/model", &environment, true);
    assert_eq!(
        names(&seen),
        [
            "hf://org/model@main/README.md",
            "hf://org/model@main/model.safetensors",
            "hf://org/model@main/sub/call.pkl"
        ]
    );
    assert_eq!(verdict(&seen), Verdict::Found, "{}", reasons(&seen));
    assert_eq!(seen.gaps.len(), 1, "the path that leads elsewhere: {:?}", seen.gaps);
    assert!(store.requests().len() >= 2);
    assert!(store.requests().iter().all(|request| request.header("authorization").is_none()));
    assert!(!serde_json::to_string(&seen).unwrap().contains("geheim"));
    let listing = list("hf://org/model", &environment).unwrap();
    assert!(listing.notes[0].contains(COMMIT) && !format!("{listing:?}").contains("geheim"));
    // A folder, a file, and a branch with slashes.
    assert_eq!(names(&look("hf://org/model/sub", &environment, false)), ["hf://org/model@main/sub/call.pkl"]);
    let one = look("hf://org/model@refs%2Fpr%2F1/sub/call.pkl", &environment, false);
    assert_eq!(names(&one), ["hf://org/model@refs%2Fpr%2F1/sub/call.pkl"]);
    assert_eq!(verdict(&one), Verdict::Found);
    let absent = look("hf://org/model/absent.bin", &environment, false);
    assert_eq!(verdict(&absent), Verdict::NotFullyExamined);
}

#[test]
fn weights_that_are_not_those_of_the_commit_are_refused_when_all_is_read() {
    let (hub, _store) = hub(true);
    let environment = [("HF_ENDPOINT", &*hub.url("")), ("HF_TOKEN", "hf_geheim")];
    let seen = look("hf://org/model/model.safetensors", &environment, true);
    assert_eq!(names(&seen).len(), 1, "a file named by itself has no promise");
    let seen = look("hf://org/model", &environment, true);
    assert!(reasons(&seen).contains("promised was"), "{}", reasons(&seen));
}

#[test]
fn tokens_come_from_where_the_tools_of_hugging_face_take_them() {
    let (hub, _store) = hub(false);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "hf_geheim\n").unwrap();
    let home = folder.path().to_str().unwrap();
    let url = hub.url("");
    assert!(list("hf://org/model", &[("HF_ENDPOINT", &url), ("HF_HOME", home)]).is_ok());
    let fault = list("hf://org/model", &[("HF_ENDPOINT", &url)]).unwrap_err().to_string();
    assert!(fault.contains("401") && fault.contains("HF_TOKEN"), "{fault}");
    let switched_off = [("HF_ENDPOINT", &*url), ("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
    assert!(list("hf://org/model", &switched_off).is_err());
    let clear = list("hf://org/model", &[("HF_ENDPOINT", "http://example.invalid"), ("HF_TOKEN", "x")]);
    assert!(matches!(clear, Err(RemoteError::Environment { .. })), "{clear:?}");
}

#[test]
fn listings_that_make_no_sense_are_errors() {
    for answer in [json!({ "sha": "main" }), json!({}), json!([1])] {
        let server = Server::start(move |_| Reply::json(&answer));
        assert!(list("hf://org/model", &[("HF_ENDPOINT", &server.url(""))]).is_err());
    }
    // A next page on another host.
    let server = Server::start(|seen| match seen.path() {
        path if path.contains("revision") => Reply::json(&json!({ "sha": COMMIT })),
        _ => Reply::json(&json!([])).with("link", "<http://127.0.0.2:1/x>; rel=\"next\""),
    });
    let fault = list("hf://org/model", &[("HF_ENDPOINT", &server.url(""))]).unwrap_err().to_string();
    assert!(fault.contains("somewhere else"), "{fault}");
}

#[test]
fn listings_without_end_are_cut_and_say_so() {
    for kind in ["odd", "file", "directory"] {
        let server = Server::start(move |seen| match seen.path() {
            path if path.contains("revision") => Reply::json(&json!({ "sha": COMMIT })),
            path => {
                let entry =
                    |index: usize| json!({ "type": kind, "path": format!("{}-{index}", seen.target.len()) });
                let next = format!("<{path}?{}>; rel=\"next\"", "x".repeat(seen.target.len() % 4_000));
                if kind == "directory" {
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
                Reply::json(&json!((0..50).map(entry).collect::<Vec<_>>())).with("link", next)
            }
        });
        match super::hurried("hf://org/model", &[("HF_ENDPOINT", &server.url(""))]) {
            Ok(listing) => {
                assert!(listing.objects.len() <= 5 && (1..=6).contains(&listing.gaps.len()), "{listing:?}");
                assert!(server.requests().len() <= 3, "{kind}: {}", server.requests().len());
            }
            Err(fault) => assert!(fault.to_string().contains("longer than 2 s"), "{kind}: {fault}"),
        }
    }
}
