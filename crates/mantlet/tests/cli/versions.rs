//! Versions beside the one that serves, and budgets of text rules, as the configuration has them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::program::{Folder, Up, credit, http, run};
use crate::running::{ROW, as_person, served_by};

/// An endpoint that answers everything with this body; its address.
pub fn endpoint(body: &'static str) -> String {
    endpoint_of("200 OK", body)
}

/// One that is ready, and answers every call with this status and body.
pub fn endpoint_of(status: &'static str, body: &'static str) -> String {
    serve(move |head, _| {
        let status = if head.starts_with("GET ") { "200 OK" } else { status };
        (format!("{status}\r\ncontent-type: application/json"), body.to_owned())
    })
}

/// One that answers by a function of head and body: with a status and headers, and a body.
pub fn serve(answer: impl Fn(&str, &str) -> (String, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let (mut taken, mut some) = (Vec::new(), [0; 4096]);
                while let Ok(count @ 1..) = stream.read(&mut some) {
                    taken.extend_from_slice(&some[..count]);
                    let text = String::from_utf8_lossy(&taken);
                    let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
                    let long = head.lines().find_map(|line| {
                        line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
                    });
                    if rest.len() < long.unwrap_or(0) {
                        continue;
                    }
                    let (head, body) = answer(head, rest);
                    let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    let _ = stream.write_all(answer.as_bytes());
                    taken.clear();
                }
            });
        }
    });
    address
}

/// An address nobody listens on.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A folder where v1 serves and v2, this model, is admitted; and the password of ada, who did so.
pub fn two_versions(v2: &[u8]) -> (Folder, String) {
    let (folder, password) = served_by("ada");
    std::fs::write(folder.path.join("turned.onnx"), v2).unwrap();
    let other = |text: String| text.replace("\"model.onnx\"", "\"turned.onnx\"").replace("\"v1\"", "\"v2\"");
    folder.edit(other);
    let protected = run(["protect", folder.text(), "--format", "json"]);
    let record: serde_json::Value = serde_json::from_str(&protected.out).unwrap();
    if record["passport"].is_null() {
        as_person(&password, ["registry", "admit", "v2", folder.text(), "--user", "ada", "--note", "test"]);
    }
    folder.edit(|text| text.replace("\"turned.onnx\"", "\"model.onnx\"").replace("\"v2\"", "\"v1\""));
    (folder, password)
}

/// The version that answered.
pub fn version(up: &Up, key: &str) -> String {
    let (status, body) = up.infer("model", key, ROW);
    assert_eq!(status, 200, "{body}");
    let said: serde_json::Value = serde_json::from_str(&body).unwrap();
    said["model_version"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_version_gets_its_configured_share_and_a_fallback_stands_in() {
    // v2 says the opposite.
    let (folder, _) = two_versions(&credit(true).1);
    let wrong = |folder: &Folder, words: &str| {
        let refused = run(["up", folder.text()]);
        assert!(refused.code >= 2 && refused.err.contains(words), "{} {}", refused.code, refused.err);
    };
    folder.edit(|text| text.replacen("[gateway]", "[gateway]\nweights = { v9 = 100 }", 1));
    wrong(&folder, "version v9 is not on record");
    folder.edit(|text| text.replace("weights = { v9 = 100 }", "fallback = \"v9\""));
    wrong(&folder, "version v9 is not on record");
    folder.edit(|text| text.replace("fallback = \"v9\"", "weights = { v2 = 100 }"));
    let up = Up::start(&folder.path);
    let key = up.said["api_key"].as_str().unwrap().to_owned();
    assert_eq!(version(&up, &key), "v2", "its share is everybody");
    // Taken over while it runs.
    folder.edit(|text| text.replace("weights = { v2 = 100 }", "# nothing beside"));
    let since = Instant::now();
    while version(&up, &key) != "v1" {
        assert!(since.elapsed() < Duration::from_secs(20), "the share was not taken back");
        std::thread::sleep(Duration::from_millis(100));
    }
    up.interrupt();

    let stand_in = endpoint("{\"model_name\":\"model\",\"model_version\":\"stand-in\",\"outputs\":[]}");
    let gone = nobody();
    folder.edit(|text| {
        let kept = text.lines().filter(|line| !line.starts_with("upstream "));
        let text = kept.collect::<Vec<_>>().join("\n");
        let own = format!("upstream = \"{gone}\"\nversions = {{ v2 = \"{stand_in}\" }}\nfallback = \"v2\"");
        text.replacen("[gateway]", &format!("[gateway]\n{own}"), 1)
    });
    let up = Up::start(&folder.path);
    assert_eq!(version(&up, &key), "stand-in");
    // Without it, the caller is told.
    folder.edit(|text| text.replace("fallback = \"v2\"", ""));
    let since = Instant::now();
    while !matches!(up.infer("model", &key, ROW).0, 502 | 503) {
        assert!(since.elapsed() < Duration::from_secs(20), "the fallback was not taken away");
        std::thread::sleep(Duration::from_millis(100));
    }
    up.interrupt();
}

#[test]
fn budgets_of_text_rules_are_configured_and_what_is_over_them_is_decided_by_on_failure() {
    let (folder, _) = served_by("ada");
    let reply = "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}";
    let upstream = endpoint(reply);
    let budget = |what: &str| {
        folder.edit(|text| {
            let ours = ["upstream ", "mode ", "speaks ", "on_failure ", "text_"];
            let kept = text.lines().filter(|line| !ours.iter().any(|key| line.starts_with(key)));
            let text = kept.collect::<Vec<_>>().join("\n");
            let ours = format!(
                "[gateway]\nupstream = \"{upstream}\"\nspeaks = \"text\"\nmode = \"enforce\"\non_failure = \"refuse\"\n{what}"
            );
            text.replacen("[gateway]", &ours, 1)
        });
    };
    budget("text_bytes = 64\n");
    let up = Up::start(&folder.path);
    let key = up.said["api_key"].as_str().unwrap().to_owned();
    let ask = |words: &str| {
        let body =
            format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{words}\"}}]}}");
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        http(&up.address("gateway"), &request)
    };
    let long = "the shop opens at nine and closes at six ".repeat(4);
    assert_eq!(ask("when does the shop open?").0, 200);
    let (status, body) = ask(&long);
    assert_eq!(status, 403, "{body}");
    budget("");
    let since = Instant::now();
    loop {
        let (status, body) = ask(&long);
        if status == 200 {
            break;
        }
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "the larger budget was not taken over: {status} {body}"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    up.interrupt();
}
