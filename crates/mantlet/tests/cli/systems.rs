//! Systems behind further routes of one gateway: each with versions, a rollout, a kill switch and a record of its own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mantlet_columns::Row;
use mantlet_vocab::Millis;
use serde_json::Value;

use crate::program::{Folder, Up, credit, expect, http, run};
use crate::running::{ROW, as_person};
use crate::versions::{endpoint, endpoint_of, two_versions};

const WELL: &str = "{\"model_name\":\"model\",\"model_version\":\"v1\",\"outputs\":[]}";

fn get(up: &Up, path: &str) -> String {
    http(&up.address("gateway"), &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).1
}

/// What `/status` says of a route.
fn route(up: &Up, name: &str) -> Value {
    let status: Value = serde_json::from_str(&get(up, "/status")).unwrap();
    let routes = status["routes"].as_array().unwrap();
    routes.iter().find(|route| route["model"] == name).unwrap().clone()
}

fn waits(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < Duration::from_secs(90), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A folder of its own for the system of the route `loans`.
fn loans() -> Folder {
    let folder = Folder::with_model();
    folder.edit(|text| text.replacen("name = \"credit\"", "name = \"loans\"", 1));
    std::fs::write(folder.path.join("turned.onnx"), credit(true).1).unwrap();
    folder
}

/// Admits what its document names, through the route of the installation.
fn admit(folder: &Folder, password: &str, version: &str) {
    let protected = run(["protect", folder.text(), "--route", "loans", "--format", "json"]);
    assert!(matches!(protected.code, 0..=2), "{}", protected.err);
    let record: Value = serde_json::from_str(&protected.out).unwrap();
    if record["passport"].is_null() {
        registry(folder, password, &["admit", version]);
    }
}

/// `mantlet registry ... --route loans`, as ada.
fn registry(folder: &Folder, password: &str, words: &[&str]) {
    let more = [folder.text(), "--route", "loans", "--user", "ada", "--note", "test"];
    as_person(password, std::iter::once("registry").chain(words.iter().copied()).chain(more));
}

/// An installation whose route `loans` leads to another system, both with v1 before users and v2 admitted.
fn two_systems(route: &str) -> (Folder, Folder, String) {
    let (folder, password) = two_versions(&credit(true).1);
    let other = loans();
    let system = format!(
        "\n[[gateway.routes]]\nname = \"loans\"\nsystem = \"{}\"\nmode = \"observe\"\n{route}\n",
        other.text()
    );
    folder.edit(|text| text + &system);
    admit(&folder, &password, "v1");
    registry(&folder, &password, &["promote", "v1"]);
    other.edit(|text| text.replace("\"model.onnx\"", "\"turned.onnx\"").replace("\"v1\"", "\"v2\""));
    admit(&folder, &password, "v2");
    other.edit(|text| text.replace("\"turned.onnx\"", "\"model.onnx\"").replace("\"v2\"", "\"v1\""));
    (folder, other, password)
}

/// Every file below a folder whose path says so.
fn files(below: &Path, of: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![below.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if of(&path.to_string_lossy()) {
                found.push(path);
            }
        }
    }
    found
}

fn recorded(below: &Path) -> Vec<Row> {
    let read = |file: &PathBuf| {
        mantlet_columns::read_rows(file, Millis(0), Millis(u64::MAX), usize::MAX, |_| true).unwrap()
    };
    files(below, |path| path.ends_with(".parquet")).iter().flat_map(read).collect()
}

#[test]
fn a_rollout_on_one_route_is_taken_back_while_another_goes_on() {
    let well = endpoint(WELL);
    let errs = endpoint_of("500 Internal Server Error", "{\"error\":\"out of memory\"}");
    let table = format!("upstream = \"{well}\"\nversions = {{ v2 = \"{errs}\" }}");
    let (folder, _other, password) = two_systems(&table);
    folder.edit(|text| {
        let own = format!("[gateway]\nupstream = \"{well}\"\nversions = {{ v2 = \"{well}\" }}");
        text.replacen("[gateway]", &own, 1).replacen("upstream = \"built-in\"\n", "", 1)
    });
    let key =
        |n: usize| expect(0, ["keys", "add", &format!("caller {n}"), folder.text()]).out.trim().to_owned();
    let keys: Vec<String> = (0..12).map(key).collect();
    let up = Up::start(&folder.path);
    let ask =
        |up: &Up, model: &str| -> Vec<u16> { keys.iter().map(|key| up.infer(model, key, ROW).0).collect() };
    for model in ["model", "loans"] {
        assert_eq!(ask(&up, model), [200; 12], "{model}: nobody has the candidate");
    }

    // Both at half of the callers, with more samples to wait for than will come.
    let start = |more: &[&str]| {
        let words = ["registry", "rollout", "start", "v2", folder.text(), "--user", "ada", "--note", "test"];
        let plan = ["--steps", "50", "--samples", "100000", "--step-seconds", "1"];
        as_person(&password, words.into_iter().chain(plan).chain(more.iter().copied()));
    };
    start(&[]);
    waits("the first rollout does not begin", || route(&up, "model")["rollout"]["candidate"] == "v2");
    assert_eq!(route(&up, "loans")["rollout"], Value::Null, "another route's rollout is none of its");
    start(&["--route", "loans"]);
    let mut erred = false;
    waits("the bad version was not taken back", || {
        let answers = ask(&up, "loans");
        erred |= answers.contains(&500);
        ask(&up, "model");
        erred && route(&up, "loans")["rollout"].is_null()
    });
    for _ in 0..3 {
        assert_eq!(ask(&up, "loans"), [200; 12], "everybody has the version before");
    }
    let split = route(&up, "model")["rollout"].clone();
    assert_eq!((&split["candidate"], &split["share"]), (&"v2".into(), &5_000.into()), "{split}");
    let metrics = get(&up, "/metrics");
    let share = "mantlet_gateway_rollout_share{route=\"model\",version=\"v2\",shadow=\"no\"} 5000";
    assert!(metrics.contains(share) && !metrics.contains("rollout_share{route=\"loans\""), "{metrics}");
    let status = |more: &[&str]| -> Value {
        let words = ["registry", "rollout", "status", folder.text(), "--json"];
        serde_json::from_str(&expect(0, words.into_iter().chain(more.iter().copied())).out).unwrap()
    };
    let (own, other) = (status(&[]), status(&["--route", "loans"]));
    assert_eq!((&own["route"], &own["phase"]["phase"]), (&"model".into(), &"canary".into()), "{own}");
    assert_eq!((&other["route"], &other["phase"]["phase"]), (&"loans".into(), &"rolled-back".into()));

    // The kill switch of one route stops no decision of the other.
    registry(&folder, &password, &["divert"]);
    waits("the switch is not followed", || ask(&up, "loans") == [202; 12]);
    assert_eq!(ask(&up, "model"), [200; 12]);
    assert!(route(&up, "loans")["diverted"].is_string() && route(&up, "model")["diverted"].is_null());

    // All of it is so after a restart.
    up.interrupt();
    let up = Up::start(&folder.path);
    assert_eq!(ask(&up, "loans"), [202; 12]);
    assert_eq!(ask(&up, "model"), [200; 12]);
    assert_eq!(route(&up, "model")["rollout"], split);
    assert_eq!(route(&up, "loans")["rollout"], Value::Null);
    registry(&folder, &password, &["divert", "--off"]);
    waits("the switch is not released", || ask(&up, "loans") == [200; 12]);
    up.interrupt();

    let retired = expect(0, ["registry", "list", folder.text(), "--route", "loans"]).out;
    let v2 = retired.lines().find(|line| line.starts_with("v2")).unwrap();
    assert!(v2.contains("retired"), "{retired}");
    assert!(!expect(0, ["registry", "list", folder.text()]).out.contains("retired"));
    expect(0, ["audit", "verify", folder.text()]);
    let entries = files(&folder.path.join(".mantlet"), |path| path.contains("audit"));
    let audit: String = entries
        .iter()
        .map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned())
        .collect();
    let back: Vec<&str> = audit.lines().filter(|line| line.contains("rollout-rolled-back")).collect();
    assert!(
        !back.is_empty() && back.iter().all(|line| line.contains("\"route\":\"loans\"")),
        "the log names the route: {back:?}"
    );

    // Each system's exchanges are in a record of their own.
    let storage = folder.path.join(".mantlet");
    let own = recorded(&storage.join("exchanges"));
    let others = recorded(&storage.join("systems/loans/exchanges"));
    assert!(own.len() >= 24 && own.iter().all(|row| row.route == "model"), "{}", own.len());
    assert!(others.len() >= 24 && others.iter().all(|row| row.system == "loans" && row.route == "loans"));
    assert!(others.iter().all(|row| row.features == [0.5, 0.25]), "with what came in");
}

#[test]
fn a_system_behind_a_route_is_served_by_version_and_what_it_cannot_have_is_told() {
    let (folder, other, password) = two_systems("upstream = \"built-in\"");
    let up = Up::start(&folder.path);
    let key = up.said["api_key"].as_str().unwrap().to_owned();
    let version = |model: &str| {
        let (status, body) = up.infer(model, &key, ROW);
        assert_eq!(status, 200, "{body}");
        let said: Value = serde_json::from_str(&body).unwrap();
        said["model_version"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!((version("model"), version("loans")), ("v1".into(), "v1".into()));
    registry(&folder, &password, &["promote", "v2"]);
    waits("the promoted version does not answer", || version("loans") == "v2");
    assert_eq!(version("model"), "v1", "the model's own version is another matter");
    registry(&folder, &password, &["rollback"]);
    waits("the version before does not answer", || version("loans") == "v1");
    // Rows that its own profile does not know are told on its route.
    let far = ROW.replace("0.5,0.25", "9e9,-5e9");
    assert_eq!(up.infer("loans", &key, &far).0, 200);
    let off = |line: &str| line.contains("signal=\"input-off-schema\"") && line.contains("route=\"loans\"");
    assert!(get(&up, "/metrics").lines().any(off));
    up.interrupt();

    let wrong = |words: &str| {
        let refused = run(["config", "check", folder.text()]);
        assert!(refused.code >= 2 && refused.err.contains(words), "{} {}", refused.code, refused.err);
    };
    other.edit(|text| text.replacen("name = \"loans\"", "name = \"credit\"", 1));
    wrong("which is the model's own");
    other.edit(|text| text.replacen("name = \"credit\"", "name = \"loans\"", 1));
    folder.edit(|text| {
        text + &format!(
            "\n[[gateway.routes]]\nname = \"again\"\nupstream = \"built-in\"\nsystem = \"{}\"\n",
            other.text()
        )
    });
    wrong("behind two routes");
    let unknown = run(["registry", "list", folder.text(), "--route", "nowhere"]);
    assert!(unknown.code >= 2 && unknown.err.contains("there is no route `nowhere`"), "{}", unknown.err);
}
