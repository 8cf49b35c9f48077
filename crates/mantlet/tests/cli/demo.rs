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

/// The story of the poisoned feed, with what it says checked against what the commands say of the folder it leaves.
#[test]
fn the_fraud_demo_runs_the_product_and_bounds_the_loss() {
    let holder = tempfile::tempdir().unwrap();
    let told = expect(0, ["demo", "fraud", "--dir", holder.path().to_str().unwrap(), "--no-serve"]);
    let folder = holder.path().join("fraud");
    let name = folder.to_str().unwrap();
    assert!(told.out.contains("simulated") && !told.out.contains("did not hold"), "{}", told.out);
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let report: serde_json::Value = serde_json::from_str(&read("report.json")).unwrap();
    let figure = |part: &str| {
        let figures = report["figures"].as_array().unwrap();
        let own = figures.iter().find(|own| own["name"].as_str().unwrap().contains(part));
        own.unwrap_or_else(|| panic!("{part}"))["value"].as_f64().unwrap()
    };
    // Without the gate nothing is to be seen, and the fraud goes through; with it, it does not.
    assert!((figure("v1: right") - figure("v2: right")).abs() < 0.01);
    let through = ["v1", "v2", "v3"].map(|own| figure(&format!("{own}: digital fraud of bank-4")));
    assert!(
        through[1] > through[0] + 0.1 && through[2] - through[0] < (through[1] - through[0]) / 2.0,
        "{through:?}"
    );
    // The ledger: only batches of the one bank are held, from some week on; all others passed.
    let batches = expect(0, ["data", "batches", "--folder", name]).out;
    let held: Vec<&str> =
        batches.lines().filter(|line| line.starts_with("week-") && line.contains(" held ")).collect();
    assert!(
        !held.is_empty()
            && held.iter().all(|line| line.contains("-bank-4 ") && line.contains("feed-label-shift")),
        "{batches}"
    );
    // Those in which it began are taken back, and all the rest passed.
    let back: Vec<&str> = batches.lines().filter(|line| line.contains(" withdrawn ")).collect();
    assert!(back.iter().all(|line| line.contains("-bank-4 ")), "{batches}");
    assert!(back.is_empty() || told.out.contains("taken back, as the first gate"), "{}", told.out);
    let passed = batches.lines().filter(|line| line.contains(" passed ")).count();
    assert_eq!(passed + held.len() + back.len(), 48, "{batches}");
    assert!(batches.contains("retraining is frozen: held by an incident"), "{batches}");
    assert_eq!(expect(0, ["data", "batches", "--folder", name, "--usable"]).out, "");
    // The alarm: since when, who, how many, why, which rows, how to hold retraining.
    let incidents = expect(0, ["incident", "list", name]).out;
    assert!(
        incidents.contains("bank=bank-4, kind=digital")
            && incidents.contains("-bank-4 of feed bank-4 is held"),
        "{incidents}"
    );
    let alarm = incidents.lines().find(|line| line.contains("bank=bank-4, kind=digital")).unwrap();
    let shown = expect(0, ["incident", "show", alarm.split_whitespace().next().unwrap(), name, "--json"]).out;
    let incident: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let five = |answer: &str| incident["five"][answer].as_str().unwrap().to_owned();
    assert!(five("changed").starts_with("Since 2026-0"), "{}", five("changed"));
    assert!(five("suspicious").contains("ip_risk rose in this segment only"), "{}", five("suspicious"));
    assert!(
        five("affected").contains("Bank=bank-4, kind=digital: ")
            && five("affected").contains(" decisions since 2026-0")
    );
    assert!(
        five("decisions").contains("most of them fraud that the model called legitimate"),
        "{}",
        five("decisions")
    );
    assert!(
        five("next").contains("Review these 40 rows first: pay-")
            && five("next").contains("Done: Hold retraining"),
        "{}",
        five("next")
    );
    // The rows to review are decisions of the segment, nearly all of them fraud that went through.
    let review = read("review.csv");
    let rows: Vec<&str> = review.lines().skip(1).filter(|line| line.contains("bank-4,digital")).collect();
    assert_eq!(rows.len(), 40, "{review}");
    assert!(rows.iter().all(|line| line.ends_with("legitimate,fraud")), "{review}");
    // The loss is bounded: what truly was fraud is less than what v1 stops of it.
    let (bound, lost) = (figure("the bound of the loss"), figure("of that amount, truly fraud"));
    assert!(bound > lost && lost > 0.5 * bound, "{lost} of {bound}");
    let list = read("decide-again.csv");
    let sum: f64 = list
        .lines()
        .skip(1)
        .filter(|line| line.contains(",v2,legitimate,fraud,"))
        .map(|line| line.split(',').nth(6).unwrap().parse::<f64>().unwrap())
        .sum();
    assert!((sum - bound).abs() < 1.0, "{sum} {bound}");
    // Every transition is in the log.
    let log = expect(0, ["audit", "verify", name]).out;
    assert!(log.contains("whole"), "{log}");
    let page = read("report.html");
    for words in ["<svg", "Rows to look at first", "by bank", "week-0"] {
        assert!(page.contains(words), "{words}");
    }
}

/// A report without the clock: when it was made, when things happened, the ids of incidents, and where it lies.
fn timeless(folder: &Path) -> String {
    fn blank(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                for key in ["made_at", "at", "expires"] {
                    fields.remove(key);
                }
                fields.values_mut().for_each(blank);
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(blank),
            _ => {}
        }
    }
    let text = std::fs::read_to_string(folder.join("fraud/report.json")).unwrap();
    let mut report: serde_json::Value = serde_json::from_str(&text).unwrap();
    blank(&mut report);
    let text = report.to_string().replace(folder.to_str().unwrap(), "FOLDER");
    // An id is eight hexadecimal digits.
    let mut parts = text.split("inc-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "inc-" + part.get(8..).unwrap_or_default())
}

#[test]
fn one_seed_tells_the_fraud_story_in_the_same_bytes() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for folder in &folders {
        expect(0, ["demo", "fraud", "--dir", folder.path().to_str().unwrap(), "--no-serve"]);
    }
    let [one, other] = folders.each_ref().map(tempfile::TempDir::path);
    for file in ["review.csv", "review-batch.csv", "decide-again.csv"] {
        let read = |folder: &Path| std::fs::read(folder.join("fraud").join(file)).unwrap();
        assert!(read(one) == read(other) && read(one).len() > 100, "{file}");
    }
    let (first, second) = (timeless(one), timeless(other));
    assert!(first.len() > 5_000 && first.contains("digital fraud of bank-4"), "{first}");
    assert_eq!(first, second);
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
