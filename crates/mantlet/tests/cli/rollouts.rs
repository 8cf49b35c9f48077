//! A version goes before users step by step, by the program alone: taken back when it errs, promoted when it does not.

use std::time::{Duration, Instant};

use crate::program::{Folder, Up, credit, expect};
use crate::running::{ROW, as_person};
use crate::versions::{endpoint, endpoint_of, two_versions, version};

/// Keys of so many callers.
fn callers(folder: &Folder, count: usize) -> Vec<String> {
    let key =
        |n: usize| expect(0, ["keys", "add", &format!("caller {n}"), folder.text()]).out.trim().to_owned();
    (0..count).map(key).collect()
}

fn start(folder: &Folder, password: &str, samples: &str) {
    let rollout = ["registry", "rollout", "start", "v2", folder.text(), "--user", "ada", "--note", "test"];
    let plan = ["--steps", "50", "--samples", samples, "--step-seconds", "1"];
    as_person(password, rollout.into_iter().chain(plan));
}

/// What the audit log holds, once it was found whole.
fn audit(folder: &Folder) -> String {
    expect(0, ["audit", "verify", folder.text()]);
    let mut text = String::new();
    let mut folders = vec![folder.path.join(".mantlet")];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains("audit") {
                text.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
            }
        }
    }
    text
}

fn status(folder: &Folder) -> serde_json::Value {
    let said = expect(0, ["registry", "rollout", "status", folder.text(), "--json"]).out;
    serde_json::from_str(&said).unwrap()
}

#[test]
fn a_version_that_errs_is_taken_back_at_once_and_a_kill_switch_stops_every_decision() {
    let (folder, password) = two_versions(&credit(true).1);
    let well = endpoint("{\"model_name\":\"model\",\"model_version\":\"v1\",\"outputs\":[]}");
    let errs = endpoint_of("500 Internal Server Error", "{\"error\":\"out of memory\"}");
    folder.edit(|text| {
        let kept = text.lines().filter(|line| !line.starts_with("upstream "));
        let own = format!("[gateway]\nupstream = \"{well}\"\nversions = {{ v2 = \"{errs}\" }}");
        kept.collect::<Vec<_>>().join("\n").replacen("[gateway]", &own, 1)
    });
    let keys = callers(&folder, 12);
    let up = Up::start(&folder.path);
    let ask = |key: &String| up.infer("model", key, ROW).0;
    assert!(keys.iter().all(|key| ask(key) == 200), "nobody has the candidate");
    // More samples than will come: the step does not end by itself.
    start(&folder, &password, "100000");
    let (began, mut erred, mut calm) = (Instant::now(), None, 0);
    while calm < 3 {
        assert!(began.elapsed() < Duration::from_secs(90), "it was not taken back: {}", status(&folder));
        let answers: Vec<u16> = keys.iter().map(ask).collect();
        if answers.contains(&500) {
            erred.get_or_insert_with(Instant::now);
            calm = 0;
        } else if erred.is_some() {
            calm += 1;
        }
        assert!(erred.is_none_or(|since| since.elapsed() < Duration::from_secs(10)), "ten seconds of errors");
    }
    println!("taken back {:.1} s after the first error", erred.unwrap().elapsed().as_secs_f64());
    assert_eq!(status(&folder)["phase"]["phase"], "rolled-back");
    // A person diverts the whole path, and lets it flow again.
    let switch = |more: &[&str], expected: u16| {
        let command = ["registry", "divert", folder.text(), "--user", "ada", "--note", "we look into it"];
        as_person(&password, command.into_iter().chain(more.iter().copied()));
        let since = Instant::now();
        while keys.iter().any(|key| ask(key) != expected) {
            assert!(since.elapsed() < Duration::from_secs(20), "the switch is not followed");
        }
    };
    switch(&[], 202);
    switch(&["--off"], 200);
    up.interrupt();
    let audit = audit(&folder);
    for entry in ["rollout-started", "rollout-rolled-back"] {
        assert!(audit.contains(entry), "{entry}");
    }
    assert!(!audit.contains("rollout-promoted"));
}

#[test]
fn a_version_that_does_no_worse_is_promoted() {
    // The same model under other bytes: a longer name of its producer.
    let (_, mut same) = credit(false);
    same.extend([b"\x12\x05".as_slice(), b"again"].concat());
    let (folder, password) = two_versions(&same);
    let keys = callers(&folder, 12);
    let up = Up::start(&folder.path);
    assert!(keys.iter().all(|key| version(&up, key) == "v1"));
    start(&folder, &password, "30");
    let (began, mut both) = (Instant::now(), false);
    loop {
        let answered: Vec<String> = keys.iter().map(|key| version(&up, key)).collect();
        let new = answered.iter().filter(|version| *version == "v2").count();
        both |= new > 0 && new < keys.len();
        if new == keys.len() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(90), "it was not promoted: {}", status(&folder));
    }
    assert!(both, "it went before some of them first");
    up.interrupt();
    assert_eq!(status(&folder)["phase"]["phase"], "promoted");
    let audit = audit(&folder);
    for entry in ["rollout-started", "rollout-promoted"] {
        assert!(audit.contains(entry), "{entry}");
    }
    assert!(!audit.contains("rollout-rolled-back"));
}
