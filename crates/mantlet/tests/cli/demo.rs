//! The demo from end to end, with one seed of attacks.

use std::path::Path;

use crate::program::{expect, mantlet, run};

fn demo(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    ["demo", "--dir", folder, "--seeds", "1", "--no-serve"].map(str::to_owned).to_vec()
}

#[test]
fn the_demo_holds_and_leaves_a_report_and_a_whole_log() {
    let holder = tempfile::tempdir().unwrap();
    let folder = holder.path().join("demo");
    let first = expect(0, demo(&folder));
    for words in ["v2", "refused", "passport", "held", "0 refused", "detect", "contain"] {
        assert!(first.out.contains(words), "`{words}` is missing in: {}", first.out);
    }
    assert!(!first.out.contains("NOT HELD"), "{}", first.out);
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.len() > 20_000 && page.contains("<svg"));
    for outside in ["src=\"http", "src='http", "href=\"http", "@import", "url(http"] {
        assert!(!page.contains(outside), "the report needs the network: {outside}");
    }
    let name = folder.to_str().unwrap();
    assert!(expect(0, ["audit", "verify", name]).out.contains("whole"));
    let versions = expect(0, ["registry", "list", name]).out;
    assert!(versions.contains("serving") && versions.contains("refused"), "{versions}");
    assert!(expect(0, ["incident", "list", name]).out.contains("cheque-reader"));
    // What worked once is kept: without a guard it still works, and says so.
    let replayed = expect(1, ["attack", "replay", "--folder", name]);
    assert!(replayed.out.contains("evasion"), "{}", replayed.out);
    // Its decisions are on record; the known-good version, which made them, stands by them.
    let again = expect(0, ["monitor", "redecide", name, "--format", "json"]);
    assert!(again.out.contains("decided again by v1, 0 of them made by another version"), "{}", again.out);
    let none = run(["monitor", "redecide", name, "--with", "v9"]);
    assert!(none.code == 3 && none.err.contains("version v9 is not on record"), "{} {}", none.code, none.err);
    let when = run(["monitor", "redecide", name, "--since", "tuesday"]);
    assert!(when.code == 3 && when.err.contains("--since is a time such as"), "{} {}", when.code, when.err);
    // The refused version was never signed, so it decides nothing.
    let other = run(["monitor", "redecide", name, "--with", "v2"]);
    assert!(other.code == 4 && other.err.contains("could not be verified"), "{} {}", other.code, other.err);
    // Again in the same folder starts over.
    let second = expect(0, demo(&folder));
    assert_eq!(steady(&first.out), steady(&second.out));
}

/// The lines that a seed decides: what was trained, refused and attacked.
fn steady(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains("% right") || line.contains("without a guard")).collect()
}

#[test]
fn the_demo_touches_no_folder_that_is_not_its_own() {
    let holder = tempfile::tempdir().unwrap();
    std::fs::write(holder.path().join("thesis.txt"), "ours").unwrap();
    let refused = run(demo(holder.path()));
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(refused.err.contains("not a demo's folder") && refused.err.contains("--dir"), "{}", refused.err);
    assert_eq!(std::fs::read_dir(holder.path()).unwrap().count(), 1);
    let unknown = run(["demo", "assistant", "--dir", holder.path().to_str().unwrap()]);
    assert_eq!(unknown.code, 3);
}

#[test]
fn the_fraud_demo_names_the_bank_bounds_the_loss_and_says_the_same_again() {
    let holder = tempfile::tempdir().unwrap();
    let folder = holder.path().to_str().unwrap();
    let first = expect(0, ["demo", "fraud", "--dir", folder]);
    for words in
        ["simulated", "held: feed=bank-4, kind=digital", "it names the feed", "that bounds what they cost"]
    {
        assert!(first.out.contains(words), "`{words}` is missing in: {}", first.out);
    }
    for file in ["report.html", "report.json", "review.csv", "decide-again.csv", "weeks/week-12.csv"] {
        assert!(holder.path().join("fraud").join(file).metadata().unwrap().len() > 20, "{file}");
    }
    let second = expect(0, ["demo", "fraud", "--dir", folder]);
    assert_eq!(first.out, second.out);
}

#[test]
fn an_interrupt_ends_the_demo_cleanly_and_it_can_be_run_again() {
    let holder = tempfile::tempdir().unwrap();
    let folder = holder.path().join("demo");
    for _ in 0..2 {
        let _ = std::fs::remove_file(folder.join("model/v2.onnx"));
        let mut child = mantlet(demo(&folder))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !folder.join("model/v2.onnx").exists() {
            assert!(child.try_wait().unwrap().is_none(), "it ended early");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let pid = child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(4));
    }
    assert!(folder.join(".mantlet-demo").exists());
}
