//! What goes on record by policy, and what of failures reaches it: the alert, the incident and the audit log, through the
//! running program.

use std::path::Path;
use std::time::{Duration, Instant};

use mantlet_columns::{Row, is_left_out};
use mantlet_vocab::Millis;

use crate::data::uniform;
use crate::history::files;
use crate::program::{Folder, Up, expect, run};
use crate::running::{ROW, served_by};

fn rows(files: &[String]) -> Vec<Row> {
    let read = |file: &String| {
        mantlet_columns::read_rows(Path::new(file), Millis(0), Millis(u64::MAX), usize::MAX, |_| true)
            .unwrap()
    };
    files.iter().flat_map(read).collect()
}

/// Some ordinary requests.
fn ask(up: &Up, key: &str) {
    for request in 0..150 {
        let (income, debt) = (uniform(request, 1), uniform(request, 2));
        let body = format!(
            r#"{{"inputs":[{{"name":"input","shape":[1,2],"datatype":"FP32","data":[{income:.4},{debt:.4}]}}]}}"#
        );
        assert_eq!(up.infer("model", key, &body).0, 200);
    }
}

fn key_of(up: &Up) -> String {
    up.said["api_key"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_recorded_is_policy_and_monitors_say_what_is_not() {
    let (folder, _) = served_by("ada");
    let up = Up::start(&folder.path);
    let key = key_of(&up);
    ask(&up, &key);
    up.interrupt();
    let before = files(&folder);
    let whole = rows(&before);
    let caller = whole[0].caller.clone();
    assert!(whole.len() == 150 && !caller.is_empty() && whole.iter().all(|row| row.caller == caller));
    assert!(whole.iter().flat_map(|row| &row.features).all(|value| !is_left_out(*value)));

    // A policy that names no feature of the model is told of, before anything runs.
    let policy = "\n[record]\ncallers = \"digest\"\nrequests = \"left-out\"\nreplies = \"left-out\"\nwithout = [\"debt\"]\n";
    folder.edit(|text| text + &policy.replace("debt", "dept"));
    let refused = run(["up", folder.text()]);
    assert!(
        refused.code == 3 && refused.err.contains("`dept`") && refused.err.contains("debt"),
        "{}",
        refused.err
    );
    folder.edit(|text| text.replace("without = [\"dept\"]", "without = [\"debt\"]\nonly = [\"income\"]"));
    let refused = run(["config", "check", folder.text()]);
    assert!(refused.code == 3 && refused.err.contains("record.only"), "{}", refused.err);
    folder.edit(|text| text.replace("\nonly = [\"income\"]", ""));

    let up = Up::start(&folder.path);
    ask(&up, &key);
    up.interrupt();
    let now: Vec<String> = files(&folder).into_iter().filter(|file| !before.contains(file)).collect();
    let kept = rows(&now);
    assert_eq!(kept.len(), 150);
    for row in &kept {
        assert!(
            !is_left_out(row.features[0]) && is_left_out(row.features[1]) && row.features.len() == 2,
            "{row:?}"
        );
        assert!(row.caller == kept[0].caller && row.caller != caller && row.caller.len() > 16, "{row:?}");
        assert!(row.request.is_empty() && row.label.is_empty() && row.scores.is_empty(), "{row:?}");
    }
    // The key itself, and what came of it, stand nowhere in the bytes.
    for file in &now {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(caller.len()).any(|part| part == caller.as_bytes()), "{file}");
    }

    // A monitor says what is not recorded, and takes it for no drift.
    let at = |name: &str| folder.path.join(name).to_str().unwrap().to_owned();
    let (profile, storage) = (at("profile.json"), at(".mantlet"));
    let monitor = |what: &'static str, tables: &[String], more: &[&str]| {
        let mut arguments = vec!["monitor", what];
        arguments.extend(tables.iter().map(String::as_str));
        arguments.extend(more);
        run(arguments)
    };
    let made = ["--out", &profile, "--storage", &storage, "--features", "income,debt"];
    let other =
        ["--without", "scores.0", "--without", "scores.1", "--without", "took_ms", "--without", "generation"];
    let baseline = monitor(
        "baseline",
        &before,
        &[&made[..], &other, &["--without", "label", "--without", "caller"]].concat(),
    );
    assert_eq!(baseline.code, 0, "{}", baseline.err);
    let drift =
        monitor("drift", &now, &["--baseline", &profile, "--storage", &storage, "--features", "income,debt"]);
    let said = drift.out.clone() + &drift.err;
    assert!(said.contains("`debt` is not recorded, as `[record]` says"), "{said}");
    assert!(!said.contains("column debt"), "{said}");
    let same = monitor(
        "drift",
        &before,
        &["--baseline", &profile, "--storage", &storage, "--features", "income,debt"],
    );
    assert!(!(same.out.clone() + &same.err).contains("is not recorded"), "{} {}", same.out, same.err);
    // What happened is not looked at as if it were whole.
    let looked = run(["watch", "--from", now[0].as_str(), "--system", folder.text()]);
    assert!(
        (looked.out.clone() + &looked.err).contains("features are not recorded"),
        "{} {}",
        looked.out,
        looked.err
    );
}

/// Waits until an incident tells of it in these words, and finds in the audit log that it was opened.
fn told(folder: &Folder, case: &str, words: &str) {
    let since = Instant::now();
    loop {
        let listed = expect(0, ["incident", "list", folder.text()]).out;
        let ids = listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
        let shown = ids.map(|id| {
            let told = expect(0, ["incident", "show", &id, folder.text(), "--json"]).out;
            (id, serde_json::from_str::<serde_json::Value>(&told).unwrap()["noticed"].to_string())
        });
        let shown: Vec<(String, String)> = shown.collect();
        let log = expect(0, ["audit", "show", folder.text(), "--last", "400"]).out;
        let opened = |id: &str| log.lines().any(|line| line.contains("incident-open") && line.contains(id));
        if shown.iter().any(|(id, noticed)| noticed.contains(words) && opened(id)) {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{case}: {shown:?} {log}");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(expect(0, ["audit", "verify", folder.text()]).out.contains("whole"), "{case}");
}

fn metrics(up: &Up) -> String {
    crate::program::http(
        &up.address("gateway"),
        "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .1
}

const CHOICES: [(&str, &str, u16); 3] =
    [("refuse", "refuse", 403), ("divert", "divert", 202), ("pass-and-flag", "flag", 200)];

/// Each failure under each choice: the caller, the metrics, the incident and the audit log, of one program.
#[test]
fn a_lost_profile_is_answered_as_configured_and_stands_in_the_audit_log() {
    for (choice, action, status) in CHOICES {
        let (folder, _) = served_by("ada");
        std::fs::remove_file(folder.path.join(".mantlet/versions/v1/profile.json"))
            .or_else(|_| {
                find(&folder.path.join(".mantlet"), "profile.json").map_or(Ok(()), std::fs::remove_file)
            })
            .unwrap();
        folder.edit(|text| text.replacen("[gateway]", &format!("[gateway]\non_failure = \"{choice}\""), 1));
        folder.edit(|text| text.replace("mode = \"observe\"", "mode = \"enforce\""));
        let up = Up::start(&folder.path);
        let key = key_of(&up);
        for _ in 0..8 {
            let (got, body) = up.infer("model", &key, ROW);
            assert_eq!(got, status, "{choice}: {body}");
        }
        let counted = metrics(&up);
        assert!(counted.contains("signal=\"guard-rule-failed\""), "{choice}: {counted}");
        assert!(counted.contains(&format!("action=\"{action}\"")), "{choice}: {counted}");
        told(&folder, choice, "its `on_failure` decided");
        up.interrupt();
        let kept = rows(&files(&folder));
        let own = kept.iter().filter(|row| row.signals.iter().any(|name| name == "guard-rule-failed"));
        assert!(
            own.clone().count() == 8 && own.into_iter().all(|row| row.action == action),
            "{choice}: {kept:?}"
        );
    }
}

fn find(folder: &Path, name: &str) -> Option<std::path::PathBuf> {
    std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find_map(|path| if path.is_dir() { find(&path, name) } else { path.ends_with(name).then_some(path) })
}

#[test]
fn a_lost_upstream_is_answered_as_configured_and_stands_in_the_audit_log() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (choice, action, status) in
        [("refuse", "refuse", 502), ("divert", "divert", 202), ("pass-and-flag", "flag", 502)]
    {
        let (folder, _) = served_by("ada");
        folder.edit(|text| {
            let own = format!("upstream = \"http://{nobody}\"\nupstream_on_failure = \"{choice}\"");
            text.replacen("upstream = \"built-in\"", &own, 1)
        });
        let up = Up::start(&folder.path);
        let key = key_of(&up);
        let got: Vec<u16> = (0..8).map(|_| up.infer("model", &key, ROW).0).collect();
        // Once it has failed often it is left alone for a while, which is 503.
        assert!(got[0] == status && got.iter().all(|got| *got == status || *got == 503), "{choice}: {got:?}");
        let counted = metrics(&up);
        assert!(counted.contains("signal=\"dependency-lost\""), "{choice}: {counted}");
        assert!(counted.contains(&format!("action=\"{action}\"")), "{choice}: {counted}");
        told(&folder, choice, "upstream: ");
        up.interrupt();
        let kept = rows(&files(&folder));
        let own =
            |row: &&Row| row.signals.iter().any(|name| name == "dependency-lost") && row.action == action;
        assert_eq!(kept.iter().filter(own).count(), 8, "{choice}: {kept:?}");
    }
}

/// Files may not grow beyond a size, as on a disk that is full: the write-ahead reaches it first.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_the_record_is_answered_as_configured_and_nothing_acknowledged_is_missing() {
    use std::io::BufRead as _;
    use std::process::{Command, Stdio};

    // So many rows in one request that some dozens of requests fill the write-ahead.
    let numbers = vec!["0.5"; 8_192].join(",");
    let body =
        format!(r#"{{"inputs":[{{"name":"input","shape":[4096,2],"datatype":"FP32","data":[{numbers}]}}]}}"#);
    for (choice, status) in [("refuse", 503), ("divert", 202), ("pass-and-flag", 200)] {
        let (folder, _) = served_by("ada");
        folder.edit(|text| {
            text.replacen("[gateway]", &format!("[gateway]\nrecord_on_failure = \"{choice}\""), 1)
        });
        // Below the 4 MiB at which a segment is begun anew, above what the database's own files take here.
        let mut child = Command::new("prlimit")
            .args(["--fsize=3500000", "sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .args([env!("CARGO_BIN_EXE_mantlet"), "up", folder.text(), "--format", "json"])
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let up = Up { child, said: serde_json::from_str(&line).unwrap() };
        let key = key_of(&up);
        let (mut taken, mut full) = (0, 0);
        // Requests are many, and they end soon after the disk is full.
        for _ in 0..250 {
            let (got, said) = up.infer("model", &key, &body);
            let lost = metrics(&up).contains("signal=\"dependency-lost\"");
            assert!(got == 200 || (got == status && lost), "{choice}: {got} {said}");
            taken += usize::from(got == 200);
            full += usize::from(lost);
            if full >= 12 {
                break;
            }
        }
        assert!(taken > 10 && full >= 12, "{choice}: {taken} answered, {full} of them on a full disk");
        told(&folder, choice, "record: ");
        up.interrupt();
        // What was answered is on record after all: the rows stayed in memory until the segment was written.
        let kept = rows(&files(&folder));
        let answered = kept.iter().filter(|row| row.status == 200).count();
        assert!(answered >= taken, "{choice}: {answered} of {taken} on record");
    }
}

/// A model whose file is gone, or is not what was signed, is not served by a program that starts, and the file is named.
#[test]
fn a_model_file_that_is_gone_or_changed_is_named_and_nothing_is_served() {
    for gone in [true, false] {
        let (folder, _) = served_by("ada");
        let versions = folder.path.join(".mantlet/versions");
        let model = find(&versions, "model.onnx").expect("the admitted copy");
        if gone {
            std::fs::remove_file(&model).unwrap();
        } else {
            let mut bytes = std::fs::read(&model).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&model, bytes).unwrap();
        }
        let mut child = crate::program::mantlet(["up", folder.text(), "--format", "json"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let since = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if since.elapsed() > Duration::from_secs(60) {
                child.kill().unwrap();
                panic!("gone {gone}: it serves");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let ended = crate::program::ran(&child.wait_with_output().unwrap());
        assert!(ended.code >= 3 && ended.out.is_empty(), "gone {gone}: {} {}", ended.code, ended.out);
        assert!(ended.err.contains("v1") || ended.err.contains("model.onnx"), "gone {gone}: {}", ended.err);
    }
}
