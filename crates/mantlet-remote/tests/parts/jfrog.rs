//! A fake of JFrog Artifactory: its storage interface and its downloads, below `/artifactory`.

use mantlet_vocab::{Digest, Verdict};
use serde_json::{Value, json};

use super::server::{Reply, Seen, Server};
use super::{EVIL, list, look, names, reasons, verdict, weights};

const CLEAN: &[u8] = b"\x80\x04]\x94.";

fn folder(children: &[(&str, bool)]) -> Value {
    let children: Vec<Value> =
        children.iter().map(|(uri, folder)| json!({ "uri": uri, "folder": folder })).collect();
    json!({ "repo": "models", "path": "/x", "children": children })
}

fn file(sums: &Value) -> Value {
    json!({ "repo": "models", "downloadUri": "http://evil.example/x", "size": "9", "checksums": sums })
}

/// `models` with four files; `stored` is what a download of `v1/good.pkl` really gives.
fn artifactory(may: impl Fn(&Seen) -> bool + Send + Sync + 'static, stored: &'static [u8]) -> Server {
    let weights = weights(3 << 20);
    Server::start(move |seen: &Seen| {
        if !may(seen) {
            return Reply::new(401, r#"{"errors":[{"status":401}]}"#);
        }
        let sha256 = |bytes: &[u8]| json!({ "sha1": "00", "sha256": Digest::of(bytes).hex() });
        match seen.path() {
            "/artifactory/api/storage/models" => Reply::json(&folder(&[("/v1", true), ("/..", false)])),
            "/artifactory/api/storage/models/v1" => Reply::json(&folder(&[
                ("/big.safetensors", false),
                ("/good.pkl", false),
                ("/old.pkl", false),
                ("/sub", true),
                ("/closed", true),
            ])),
            "/artifactory/api/storage/models/v1/sub" => Reply::json(&folder(&[("/a%20call.pkl", false)])),
            "/artifactory/api/storage/models/v1/big.safetensors" => Reply::json(&file(&sha256(&weights))),
            "/artifactory/api/storage/models/v1/good.pkl" => Reply::json(&file(&sha256(CLEAN))),
            // An old server knows no SHA-256.
            "/artifactory/api/storage/models/v1/old.pkl" => {
                Reply::json(&file(&json!({ "md5": "5e4a64cf69ec3dba8f2d92edbb9b5c71" })))
            }
            "/artifactory/api/storage/models/v1/sub/a%2520call.pkl" => Reply::json(&file(&sha256(EVIL))),
            "/artifactory/models/v1/big.safetensors" => Reply::file(seen, &weights, "\"w\""),
            "/artifactory/models/v1/good.pkl" => Reply::file(seen, stored, "\"g\""),
            "/artifactory/models/v1/old.pkl" => Reply::file(seen, b"\x80\x04N.", "\"o\""),
            "/artifactory/models/v1/sub/a%2520call.pkl" => Reply::file(seen, EVIL, "\"e\""),
            _ => Reply::new(404, ""),
        }
    })
}

#[test]
fn folders_are_listed_and_each_file_compared_with_its_digest() {
    let server = artifactory(|seen| seen.header("authorization").is_none(), CLEAN);
    let host = server.address;
    let seen = look(&format!("jfrog://{host}/models"), &[], false);
    let wanted = ["v1/big.safetensors", "v1/good.pkl", "v1/sub/a%20call.pkl"]
        .map(|it| format!("jfrog://{host}/models/{it}"));
    assert_eq!(names(&seen), wanted, "{}", reasons(&seen));
    assert_eq!(verdict(&seen), Verdict::Found);
    // What leads elsewhere, what may not be read, and what is not what its MD5 says.
    let gaps = reasons(&seen);
    assert!(gaps.contains("leads elsewhere") && gaps.contains("/v1/closed"), "{gaps}");
    assert!(gaps.contains("promised was md5:5e4a64cf") && seen.gaps.len() == 3, "{gaps}");
    for uri in ["models/v1/good.pkl", "models/v1/big.safetensors"] {
        let one = look(&format!("jfrog://{host}/{uri}"), &[], false);
        assert_eq!(
            (verdict(&one), names(&one)),
            (Verdict::Clean, vec![format!("jfrog://{host}/{uri}").as_str()])
        );
    }
    assert!(list(&format!("jfrog://{host}/nothing"), &[]).unwrap_err().to_string().contains("404"));
    // Nothing of what the server said was asked elsewhere, and contents come by their own path.
    assert!(server.requests().iter().all(|request| request.path().starts_with("/artifactory/")));
    let changed = artifactory(|_| true, b"\x80\x04K\x01.");
    let seen = look(&format!("jfrog://{}/models/v1/good.pkl", changed.address), &[], false);
    assert_eq!(verdict(&seen), Verdict::NotFullyExamined);
    assert!(reasons(&seen).contains("promised was sha256:"), "{}", reasons(&seen));
}

#[test]
fn credentials_go_to_the_server_of_the_environment_only() {
    let token = |seen: &Seen| seen.header("authorization") == Some("Bearer geheim");
    let basic = |seen: &Seen| seen.header("authorization") == Some("Basic YWRhOmdlaGVpbQ==");
    let (one, two) = (artifactory(token, CLEAN), artifactory(basic, CLEAN));
    let (first, second) = (one.url("/"), two.url("/artifactory/"));
    let person = [("JFROG_USER", "ada"), ("JFROG_PASSWORD", "geheim"), ("JFROG_URL", second.as_str())];
    for (server, environment) in
        [(&one, &[("JFROG_ACCESS_TOKEN", "geheim"), ("JFROG_URL", first.as_str())][..]), (&two, &person[..])]
    {
        for uri in [
            "jfrog:///models/v1/good.pkl".to_owned(),
            format!("jfrog://{}/models/v1/good.pkl", server.address),
        ] {
            assert_eq!(verdict(&look(&uri, environment, false)), Verdict::Clean, "{uri}");
        }
    }
    let before = one.requests().len();
    let fault = list(&format!("jfrog://{}/models", one.address), &person).unwrap_err().to_string();
    assert!(fault.contains("no credentials") && !fault.contains("geheim"), "{fault}");
    assert!(one.requests()[before..].iter().all(|request| request.header("authorization").is_none()));
    assert!(list("jfrog:///models", &[]).unwrap_err().to_string().contains("JFROG_URL"));
    assert!(
        list("jfrog://h.example/models", &[person[0]]).unwrap_err().to_string().contains("belong together")
    );
}

#[test]
fn folders_without_end_are_cut_and_said() {
    for is_folder in [true, false] {
        let server = Server::start(move |_: &Seen| {
            let names: Vec<String> = (0..200).map(|at| format!("/f{at}")).collect();
            Reply::json(&folder(&names.iter().map(|name| (name.as_str(), is_folder)).collect::<Vec<_>>()))
        });
        let listing = super::hurried(&format!("jfrog://{}/models", server.address), &[]).unwrap();
        assert!(listing.objects.is_empty() && (1..=6).contains(&listing.gaps.len()), "{listing:?}");
        assert!(server.requests().len() <= 3);
    }
}
