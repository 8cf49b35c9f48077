//! `init`, `protect`, `up` on a model of one's own, through a kill and a restart.

use std::time::{Duration, Instant};

use crate::program::{Folder, Up, credit, expect, run};

pub const ROW: &str = r#"{"inputs":[{"name":"input","shape":[1,2],"datatype":"FP32","data":[0.5,0.25]}]}"#;

fn served() -> Folder {
    served_by("ada").0
}

/// A folder whose model was admitted and promoted by this person, and their password.
pub fn served_by(name: &str) -> (Folder, String) {
    let folder = Folder::with_model();
    let password = promote(&folder, name);
    (folder, password)
}

/// Runs a command as a person, who proves it by this password.
pub fn as_person<'a>(password: &str, arguments: impl IntoIterator<Item = &'a str>) {
    let arguments: Vec<&str> = arguments.into_iter().chain(["--password-stdin"]).collect();
    let mut child = crate::program::mantlet(&arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{password}\n").as_bytes()).unwrap();
    let ran = crate::program::ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
}

/// Admits and promotes the model of a folder.
fn promote(folder: &Folder, name: &str) -> String {
    let protected = run(["protect", folder.text(), "--format", "json"]);
    assert!(matches!(protected.code, 0..=2), "{}", protected.err);
    let added = expect(0, ["users", "add", name, folder.text(), "--role", "admin"]).out;
    let password = added.split_whitespace().max_by_key(|word| word.len()).unwrap().to_owned();
    let act = |what: &str| {
        as_person(&password, ["registry", what, "v1", folder.text(), "--user", name, "--note", "test"]);
    };
    let record: serde_json::Value = serde_json::from_str(&protected.out).unwrap();
    if record["passport"].is_null() {
        act("admit");
    }
    act("promote");
    password
}

fn entries(folder: &Folder) -> u64 {
    let said = expect(0, ["audit", "verify", folder.text()]).out;
    said.split("whole: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap()
}

#[test]
fn a_model_is_served_guarded_and_survives_a_kill() {
    let folder = served();
    let up = Up::start(&folder.path);
    let key = up.said["api_key"].as_str().unwrap().to_owned();
    let (status, body) = up.infer("model", &key, ROW);
    assert_eq!(status, 200, "{body}");
    assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["outputs"].is_array());
    for (wrong, code) in [("mk_none_none", 401), ("", 401)] {
        let (status, body) = up.infer("model", wrong, ROW);
        assert_eq!((status, body.contains("\"error\"")), (code, true), "{body}");
    }
    let (status, body) = up.infer("model", &key, "{\"inputs\":[");
    assert_eq!((status, body.contains("\"error\"")), (400, true), "{body}");
    // A key revoked by another process is not believed for long.
    let other = expect(0, ["keys", "add", "second", folder.text()]).out;
    let other = other.split_whitespace().find(|word| word.starts_with("mk_")).unwrap().to_owned();
    let within = |wanted: u16| {
        let since = Instant::now();
        while up.infer("model", &other, ROW).0 != wanted {
            assert!(since.elapsed() < Duration::from_secs(10), "still not {wanted}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    within(200);
    let id = other.split('_').nth(1).unwrap();
    expect(0, ["keys", "revoke", id, folder.text()]);
    within(401);
    // A key is followed by another; it counts for the overlap, or ends when there is none.
    let words = |out: &str| out.split_whitespace().find(|word| word.starts_with("mk_")).unwrap().to_owned();
    let first = words(&expect(0, ["keys", "add", "third", folder.text(), "--user", "ada"]).out);
    let (id, rotate) = (first.split('_').nth(1).unwrap().to_owned(), ["keys", "rotate"]);
    let second = words(&expect(0, [rotate[0], rotate[1], id.as_str(), folder.text()]).out);
    let infers = |key: &str, wanted: u16| {
        let since = Instant::now();
        while up.infer("model", key, ROW).0 != wanted {
            assert!(since.elapsed() < Duration::from_secs(10), "still not {wanted}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    infers(&second, 200);
    infers(&first, 200);
    expect(0, [rotate[0], rotate[1], id.as_str(), folder.text(), "--hours", "0"]);
    infers(&first, 401);
    infers(&second, 200);
    let listed = expect(0, ["keys", "list", folder.text()]).out;
    assert!(listed.lines().any(|line| line.starts_with(&id) && line.contains("expired")), "{listed}");
    assert_ne!(
        run([rotate[0], rotate[1], id.as_str(), folder.text()]).code,
        0,
        "an ended key is not followed"
    );
    let before = entries(&folder);
    // Killed without a chance to say goodbye: what was acknowledged is there, and it starts again.
    let mut up = up;
    up.child.kill().unwrap();
    up.child.wait().unwrap();
    assert!(entries(&folder) >= before);
    let again = Up::start(&folder.path);
    assert!(again.said["api_key"].is_null(), "credentials are shown once");
    assert_eq!(again.infer("model", &key, ROW).0, 200);
    again.interrupt();
}

#[test]
fn a_changed_configuration_is_taken_over_and_a_broken_one_is_not() {
    let folder = served();
    let up = Up::start(&folder.path);
    let key = up.said["api_key"].as_str().unwrap().to_owned();
    let until = |wanted: u16| {
        let since = Instant::now();
        while up.infer("model", &key, ROW).0 != wanted {
            assert!(since.elapsed() < Duration::from_secs(10), "still not {wanted}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    until(200);
    folder.edit(|text| text.replacen("[gateway]", "[gateway]\nrequests_per_minuet = 1", 1));
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(up.infer("model", &key, ROW).0, 200, "the old configuration serves on");
    folder.edit(|text| {
        let text = text.replace("requests_per_minuet = 1\n", "");
        let kept = text.lines().filter(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            !line.starts_with("requests_per_minute") && !line.starts_with("burst")
        });
        let text = kept.collect::<Vec<_>>().join("\n");
        text.replacen("[gateway]", "[gateway]\nrequests_per_minute = 1\nburst = 1", 1)
    });
    until(429);
    up.interrupt();
}

#[test]
fn an_address_that_is_taken_is_named_and_nothing_is_left_locked() {
    let folder = served();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    folder.edit(|text| text.replacen("127.0.0.1:0", &address, 1));
    let refused = run(["up", folder.text()]);
    assert_eq!(refused.code, 4, "{}", refused.out);
    assert!(refused.err.contains(&address), "{}", refused.err);
    drop(taken);
    Up::start(&folder.path).interrupt();
}

#[test]
fn two_services_never_share_a_store() {
    let folder = served();
    let first = Up::start(&folder.path);
    let second = run(["up", folder.text()]);
    assert_eq!(second.code, 4, "{}", second.out);
    assert!(second.err.contains("in use") || second.err.contains("another process"), "{}", second.err);
    first.interrupt();
}

#[test]
fn past_decisions_are_turned_by_another_version_and_listed() {
    let (folder, password) = served_by("ada");
    let up = Up::start(&folder.path);
    let key = up.said["api_key"].as_str().unwrap().to_owned();
    for (income, debt) in [(0.9, 0.1), (0.1, 0.9), (0.8, 0.2)] {
        let row = ROW.replace("0.5,0.25", &format!("{income},{debt}"));
        assert_eq!(up.infer("model", &key, &row).0, 200);
    }
    up.interrupt();
    // The version that decided agrees with itself.
    let same = expect(0, ["monitor", "redecide", folder.text(), "--with", "v1", "--format", "json"]);
    let same: serde_json::Value = serde_json::from_str(&same.out).unwrap();
    assert_eq!(same["findings"].as_array().unwrap().len(), 0);
    std::fs::write(folder.path.join("turned.onnx"), credit(true).1).unwrap();
    folder.edit(|text| {
        let text = text.replace("\"model.onnx\"", "\"turned.onnx\"").replace("\"v1\"", "\"v2\"");
        assert!(text.contains("turned.onnx") && text.contains("\"v2\""), "{text}");
        text
    });
    let protected = run(["protect", folder.text(), "--format", "json"]);
    assert!(matches!(protected.code, 0..=2), "{}", protected.err);
    let record: serde_json::Value = serde_json::from_str(&protected.out).unwrap();
    if record["passport"].is_null() {
        let admit = ["registry", "admit", "v2", folder.text(), "--user", "ada", "--note", "test"];
        as_person(&password, admit);
    }
    let turned = expect(1, ["monitor", "redecide", folder.text(), "--with", "v2", "--format", "json"]);
    let turned: serde_json::Value = serde_json::from_str(&turned.out).unwrap();
    let findings = turned["findings"].as_array().unwrap();
    assert!(!findings.is_empty() && findings.iter().all(|finding| finding["name"] == "decision-overturned"));
    let shown = expect(1, ["monitor", "redecide", folder.text(), "--with", "v2"]);
    assert!(shown.out.contains("v1"), "{}", shown.out);
}

#[test]
fn one_decision_has_a_dossier_and_a_window_has_its_amounts() {
    let (folder, password) = served_by("ada");
    folder.edit(|text| text.replacen("[data]", "[data]\nfeatures = [\"income\", \"debt\"]", 1));
    let up = Up::start(&folder.path);
    let key = up.said["api_key"].as_str().unwrap().to_owned();
    for (income, debt) in [(0.9, 0.1), (0.1, 0.9), (0.75, 0.25)] {
        let row = ROW.replace("0.5,0.25", &format!("{income},{debt}"));
        assert_eq!(up.infer("model", &key, &row).0, 200);
    }
    up.interrupt();
    std::fs::write(folder.path.join("turned.onnx"), credit(true).1).unwrap();
    folder.edit(|text| text.replace("\"model.onnx\"", "\"turned.onnx\"").replace("\"v1\"", "\"v2\""));
    let protected = run(["protect", folder.text(), "--format", "json"]);
    let record: serde_json::Value = serde_json::from_str(&protected.out).unwrap();
    if record["passport"].is_null() {
        as_person(&password, ["registry", "admit", "v2", folder.text(), "--user", "ada", "--note", "test"]);
    }
    // Every decision, with what was at stake in each.
    let asked = ["monitor", "redecide", folder.text(), "--with", "v2", "--amount", "income"];
    let all = expect(1, [&asked[..], &["--since", "2020-01-01"]].concat());
    let lines: Vec<&str> = all.out.lines().filter(|line| line.contains(" by v1: ")).collect();
    assert_eq!(lines.len(), 3, "{}", all.out);
    for amount in ["0.90", "0.10", "0.75"] {
        assert!(lines.iter().any(|line| line.contains(&format!("  {amount}"))), "{amount}: {}", all.out);
    }
    let json = expect(1, [&asked[..], &["--since", "2020-01-01", "--format", "json"]].concat());
    // What was `0` and what was `1` are told apart, each with its own bound; together they are all of it.
    let turned: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let mut bounds: Vec<f64> = Vec::new();
    for finding in turned["findings"].as_array().unwrap() {
        let amount = finding["facts"]["amount"].as_f64().unwrap();
        let said = format!("at most {amount:.2} is at stake");
        assert!(finding["message"].as_str().unwrap().contains(&said), "{said}: {finding}");
        bounds.push(amount);
    }
    bounds.sort_by(f64::total_cmp);
    // Features are kept in single precision.
    let near = |one: f64, other: f64| (one - other).abs() < 1e-6;
    assert!(bounds.len() == 2 && near(bounds[0], 0.1) && near(bounds[1], 1.65), "{bounds:?}: {}", json.out);
    // Before any of them there is nothing to decide again.
    let none = run([&asked[..], &["--until", "2020-01-01", "--format", "json"]].concat());
    assert!(!none.out.contains("decision-overturned"), "{}", none.out);
    let wrong = run([&asked[..], &["--since", "yesterday"]].concat());
    assert!(wrong.code >= 3 && wrong.err.contains("since"), "{}", wrong.err);
    // One decision: what came in, which version, what the guard said, who approved, what the other version says.
    let line = lines.iter().find(|line| line.contains("  0.75")).unwrap();
    let id = line.split_whitespace().nth(1).unwrap();
    let one = run(["monitor", "redecide", folder.text(), "--with", "v2", "--id", id]);
    for part in [id, "income = 0.75", "debt = 0.25", "version v1", "guard ", "again   version v2", "not 1"] {
        assert!(one.out.contains(part), "{part}: {}", one.out);
    }
    let nobody = run(["monitor", "redecide", folder.text(), "--with", "v2", "--id", "nothing"]);
    assert!(!nobody.out.contains("decision nothing"), "{}", nobody.out);
}
