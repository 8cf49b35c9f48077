//! `mantlet data`: poison is planted with the program's own `simulate`, found by its checks, held by its gate and let
//! through by people.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::program::{Folder, Ran, expect, mantlet, ran, run};

pub fn uniform(row: u64, stream: u64) -> f64 {
    let mix = |value: u64| {
        let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    ((mix(row ^ mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Payments of one week: five feeds, four kinds, a label the risk mostly decides.
pub fn week(number: u64) -> String {
    let mut text = String::from("feed,kind,amount,risk,label\n");
    for at in 0..5_000_u64 {
        let row = number * 5_000 + at;
        let (feed, kind) = ((uniform(row, 1) * 5.0) as u64, (uniform(row, 2) * 4.0) as u64);
        let (amount, risk) = (20.0 + 400.0 * uniform(row, 3).powi(3), uniform(row, 4));
        let margin = -5.0 + 5.5 * risk * risk + 0.4 * kind as f64 + amount / 400.0;
        let label = u8::from(uniform(row, 5) < 1.0 / (1.0 + (-margin).exp()));
        writeln!(text, "bank{feed},k{kind},{amount:.4},{risk:.5},{label}").unwrap();
    }
    text
}

pub fn report(ran: &Ran) -> Vec<Value> {
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    report["findings"].as_array().unwrap().clone()
}

pub fn names(findings: &[Value]) -> Vec<&str> {
    findings.iter().filter(|f| f["severity"] != "note").map(|f| f["name"].as_str().unwrap()).collect()
}

#[test]
fn slow_poison_is_named_and_its_rows_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for number in 0..8 {
        std::fs::write(at("clean.csv"), week(number)).unwrap();
        let out = at(&format!("weeks/week-{number}.csv"));
        std::fs::create_dir_all(at("weeks")).unwrap();
        if number < 3 {
            std::fs::rename(at("clean.csv"), out).unwrap();
            continue;
        }
        let seed = number.to_string();
        let truth = at(&format!("truth-{number}.csv"));
        let planted = expect(
            0,
            [
                "data",
                "simulate",
                &at("clean.csv"),
                "--kind",
                "flip",
                "--label",
                "label",
                "--cell",
                "feed=bank2",
                "--cell",
                "kind=k3",
                "--from",
                "1",
                "--to",
                "0",
                "--share",
                "0.5",
                "--seed",
                &seed,
                "--out",
                &out,
                "--truth",
                &truth,
            ],
        );
        assert!(planted.out.contains("rows planted in"), "{}", planted.out);
    }
    let weeks = at("weeks");
    let found =
        expect(1, ["data", "feeds", &weeks, "--label", "label", "--feed", "feed", "--format", "json"]);
    let findings = report(&found);
    assert_eq!(names(&findings), ["feed-label-shift"], "{}", found.out);
    assert_eq!(findings[0]["place"]["part"], "feed=bank2, kind=k3");
    assert_eq!(findings[0]["facts"]["turned"], "1 -> `0`");
    let again =
        expect(1, ["data", "feeds", &weeks, "--label", "label", "--feed", "feed", "--format", "json"]);
    assert_eq!(found.out, again.out, "the same report, byte for byte");
    let list = at("review.csv");
    expect(
        1,
        ["data", "review", &weeks, "--label", "label", "--feed", "feed", "--rows", "80", "--out", &list],
    );
    let planted: Vec<u64> = (3..8_u64)
        .flat_map(|number| {
            let text = std::fs::read_to_string(at(&format!("truth-{number}.csv"))).unwrap();
            text.lines()
                .skip(1)
                .map(move |row| number * 5_000 + row.parse::<u64>().unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    let text = std::fs::read_to_string(&list).unwrap();
    assert!(
        text.starts_with("decision,row,chance,label,suggested,cell,batch,feed,kind,amount,risk,label\n"),
        "{text}"
    );
    let rows: Vec<u64> =
        text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
    let hits = rows.iter().filter(|row| planted.contains(row)).count();
    assert!(rows.len() == 80 && hits >= 28, "{hits} of {}", rows.len());
    // A column that is not there is a wrong use, said with what there is.
    let wrong = run(["data", "feeds", &weeks, "--label", "fraud"]);
    assert!(
        wrong.code >= 3 && wrong.err.contains("has no column `fraud`; it has feed, kind"),
        "{}",
        wrong.err
    );
}

#[test]
fn triggers_and_floods_planted_into_real_looking_texts_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut text = String::from("feed,text,label\n");
    for row in 0..3000_u64 {
        let good = row % 2 == 0;
        let words: Vec<String> = (0..12)
            .map(|word| {
                let own = uniform(row * 16 + word, 1);
                let pool = if own < 0.25 { if good { "good" } else { "bad" } } else { "word" };
                format!(
                    "{pool}{}",
                    (uniform(row * 16 + word, 2).powi(2) * if own < 0.25 { 12.0 } else { 300.0 }) as u64
                )
            })
            .collect();
        writeln!(text, "F{},{},{}", row % 5, words.join(" "), if good { "pos" } else { "neg" }).unwrap();
    }
    std::fs::write(at("t.csv"), text).unwrap();
    let clean = ["data", "triggers", &at("t.csv"), "--label", "label", "--text", "text"];
    expect(0, clean);
    expect(0, ["data", "floods", &at("t.csv"), "--text", "text", "--feed", "feed"]);
    let plant = |kind: &str, more: &[&str], out: &str| {
        let (table, out) = (at("t.csv"), at(out));
        let mut arguments =
            vec!["data", "simulate", &table, "--kind", kind, "--label", "label", "--column", "text"];
        arguments.extend(more);
        arguments.extend(["--out", &out]);
        expect(0, arguments);
        out
    };
    let table =
        plant("phrase", &["--phrase", "zephyr lantern", "--to", "pos", "--share", "0.02"], "phrase.csv");
    let found =
        expect(1, ["data", "triggers", &table, "--label", "label", "--text", "text", "--format", "json"]);
    let findings = report(&found);
    assert_eq!(names(&findings), ["trigger-phrase"], "{}", found.out);
    assert_eq!(findings[0]["facts"]["item"], "zephyr lantern");
    let table = plant("flood", &["--cell", "feed=F3", "--share", "0.2"], "flood.csv");
    let found = expect(
        1,
        [
            "data", "floods", &table, "--text", "text", "--feed", "feed", "--label", "label", "--format",
            "json",
        ],
    );
    let findings = report(&found);
    assert_eq!(names(&findings), ["flood-near-copies"], "{}", found.out);
    assert_eq!(findings[0]["facts"]["feed"], "F3");
}

#[test]
fn what_changed_between_two_versions_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("v1.csv"), week(1)).unwrap();
    std::fs::write(at("v2.csv"), week(2)).unwrap();
    std::fs::write(at("v3.csv"), week(3).replace(",k1,", ",k0,")).unwrap();
    expect(0, ["data", "diff", &at("v2.csv"), "--before", &at("v1.csv")]);
    expect(0, ["data", "diff", &at("v3.csv"), "--before", &at("v1.csv"), "--without", "kind"]);
    let found = expect(1, ["data", "diff", &at("v3.csv"), "--before", &at("v1.csv"), "--format", "json"]);
    assert!(report(&found).iter().any(|finding| finding["place"]["part"] == "column kind"), "{}", found.out);
}

/// Runs with a password on standard input.
pub fn with_password(password: &str, arguments: &[&str]) -> Ran {
    let mut child = mantlet(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    ran(&child.wait_with_output().unwrap())
}

pub fn person(folder: &str, name: &str, role: &str) -> String {
    let added = expect(0, ["users", "add", name, folder, "--role", role]).out;
    added.split_whitespace().max_by_key(|word| word.len()).unwrap().to_owned()
}

fn flip(from: &Path, to: &Path) {
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    expect(
        0,
        [
            "data",
            "simulate",
            from,
            "--kind",
            "flip",
            "--label",
            "label",
            "--cell",
            "feed=bank2",
            "--cell",
            "kind=k3",
            "--from",
            "1",
            "--to",
            "0",
            "--share",
            "0.9",
            "--out",
            to,
        ],
    );
}

#[test]
fn a_batch_waits_for_its_gate_and_for_people_and_a_changed_one_waits_again() {
    let system = Folder::with_model();
    let home = system.path.to_str().unwrap();
    let config = system.path.join("mantlet.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    text = text
        .replace("\n[data]\n", "\n[data]\nfeed = \"feed\"\n")
        .replace("label = \"class\"", "label = \"label\"");
    std::fs::write(&config, text).unwrap();
    let keys =
        [("ann", "admin"), ("bea", "reviewer"), ("cem", "reviewer")].map(|(n, r)| (n, person(home, n, r)));
    let as_user = |who: usize, arguments: &[&str]| {
        let (name, password) = &keys[who];
        let mut all = arguments.to_vec();
        all.extend(["--folder", home, "--user", name, "--password-stdin"]);
        with_password(password, &all)
    };
    let file = |number: u64| system.path.join(format!("week-{number}.csv"));
    for number in 0..6 {
        std::fs::write(file(number), week(number)).unwrap();
    }
    flip(&file(5), &system.path.join("poisoned.csv"));
    std::fs::rename(system.path.join("poisoned.csv"), file(5)).unwrap();
    for number in 0..6_u64 {
        let (name, path) = (format!("week-{number}"), file(number));
        let came = as_user(0, &["data", "deliver", &name, path.to_str().unwrap(), "--feed", "bank"]);
        assert!(came.code == 0 && came.out.contains("is quarantined"), "{} {}", came.out, came.err);
        let gated = run(["data", "gate", &name, "--folder", home, "--format", "json"]);
        assert_eq!(gated.code, i32::from(number == 5), "{name}: {} {}", gated.out, gated.err);
        assert_eq!(gated.err.contains("incident opened"), number == 5, "{}", gated.err);
    }
    // One incident, about the batch that is held, however often its gate is run.
    let again = run(["data", "gate", "week-5", "--folder", home, "--format", "json"]);
    assert!(again.err.contains("incident taken in by"), "{}", again.err);
    let incidents = expect(0, ["incident", "list", home]).out;
    assert_eq!(incidents.lines().count(), 1, "{incidents}");
    assert!(incidents.contains("batch week-5 of feed bank is held and not learned from"), "{incidents}");
    let id = incidents.split_whitespace().next().unwrap();
    let plain = expect(0, ["incident", "show", id, home]).out;
    let plain: String = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "Feed bank delivered batch week-5, and its gate held it",
        "feed=bank2",
        "`mantlet data rows week-5`",
        "Hold retraining of",
        "`mantlet data reject week-5 --note TEXT --user YOU`",
    ] {
        assert!(plain.contains(words), "{words}: {plain}");
    }
    assert!(!plain.contains("Keep batch week-5"), "the ledger holds it: {plain}");
    let batches = expect(0, ["data", "batches", "--folder", home]).out;
    assert!(batches.contains("held") && batches.contains("feed-label-shift"), "{batches}");
    let usable = expect(0, ["data", "batches", "--folder", home, "--usable"]).out;
    assert_eq!((usable.lines().count(), usable.contains("week-5")), (5, false), "{usable}");
    // The rows most worth a look, with room for decisions; those of the turned cell are mostly poisoned.
    let (list, turned) = (system.path.join("rows.csv"), system.path.join("export.csv"));
    let (list, turned) = (list.to_str().unwrap(), turned.to_str().unwrap());
    expect(0, ["data", "rows", "week-5", "--folder", home, "--out", list]);
    let rows = std::fs::read_to_string(list).unwrap();
    assert!(rows.starts_with("decision,row,why,chance,label,suggested,feed,kind,amount,risk\n"), "{rows}");
    let before: Vec<String> = week(5).lines().skip(1).map(str::to_owned).collect();
    let now: Vec<String> =
        std::fs::read_to_string(file(5)).unwrap().lines().skip(1).map(str::to_owned).collect();
    let label = |line: &str| line.rsplit(',').next().unwrap().to_owned();
    let is_poison = |row: usize| label(&before[row]) != label(&now[row]);
    let poison = (0..now.len()).filter(|&row| is_poison(row)).count();
    let numbers: Vec<usize> = rows
        .lines()
        .skip(1)
        .filter(|line| line.contains("labels turned in feed=bank2"))
        .map(|line| line.split(',').nth(1).unwrap().parse::<usize>().unwrap() - 1)
        .collect();
    let hits = numbers.iter().filter(|&&row| is_poison(row)).count();
    assert!(hits * 2 >= poison && hits * 3 >= numbers.len(), "{hits} of {poison} in {} rows", numbers.len());
    let marked: String = rows
        .lines()
        .enumerate()
        .map(|(at, line)| match at {
            1 => format!("leave-out{line}\n"),
            2 => format!("relabel 1{line}\n"),
            3 => format!("keep{line}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(list, marked).unwrap();
    let rule = ["data", "rule", "week-5", "--decisions", list, "--note", "looked at three"];
    let own = as_user(0, &rule);
    assert!(own.code != 0 && own.err.contains("another person has to"), "{} {}", own.out, own.err);
    let said = as_user(1, &rule);
    assert!(said.out.contains("3 rows decided about, 1 left out, 1 relabelled"), "{} {}", said.out, said.err);
    let early = run(["data", "export", "week-5", "--folder", home, "--out", turned]);
    assert!(early.code != 0 && early.err.contains("no model learns from it"), "{}", early.err);
    // Nobody has decided about the batch: its incident is open.
    assert!(expect(0, ["incident", "list", home]).out.contains("open"));
    let approve = ["data", "approve", "week-5", "--note", "known promotion"];
    let own = as_user(0, &approve);
    assert!(own.code != 0 && own.err.contains("another person has to"), "{} {}", own.out, own.err);
    let mut said = as_user(1, &approve);
    assert_eq!(said.code, 0, "{}", said.err);
    if said.out.contains("held") {
        said = as_user(2, &approve);
    }
    assert!(said.out.contains("is approved"), "{} {}", said.out, said.err);
    // The decision closes the incident, in the name of who decided.
    let incident = expect(0, ["incident", "show", id, home, "--json"]).out;
    let incident: Value = serde_json::from_str(&incident).unwrap();
    assert!(incident["closed"].is_number(), "{incident}");
    let last = incident["timeline"].as_array().unwrap().last().unwrap();
    assert!(last["what"].as_str().unwrap().contains("batch week-5 was approved"), "{last}");
    assert!(last["actor"] == "bea" || last["actor"] == "cem", "{last}");
    // Its files are not what may be learned from; what is written is.
    let usable = expect(1, ["data", "batches", "--folder", home, "--usable"]);
    assert!(!usable.out.contains("week-5") && usable.err.contains("data export week-5"), "{}", usable.err);
    let said = expect(0, ["data", "export", "week-5", "--folder", home, "--out", turned]).out;
    assert!(said.contains("4999 rows of batch week-5") && said.contains("1 left out"), "{said}");
    let number =
        |at: usize| rows.lines().nth(at).unwrap().split(',').nth(1).unwrap().parse::<usize>().unwrap() - 1;
    let (out, other) = (number(1), number(2));
    let wanted: Vec<String> = now
        .iter()
        .enumerate()
        .filter(|(row, _)| *row != out)
        .map(|(row, line)| {
            let kept = line.rsplit_once(',').unwrap().0;
            if row == other { format!("{kept},1") } else { line.clone() }
        })
        .collect();
    let written = std::fs::read_to_string(turned).unwrap();
    assert!(written.lines().skip(1).eq(wanted.iter().map(String::as_str)), "as delivered, but for two rows");
    // One more byte, and nobody has approved it.
    std::fs::write(file(5), std::fs::read_to_string(file(5)).unwrap() + "bank1,k1,20.0,0.1,0\n").unwrap();
    let usable = expect(1, ["data", "batches", "--folder", home, "--usable"]);
    assert!(
        !usable.out.contains("week-5") && usable.err.contains("other bytes"),
        "{} {}",
        usable.out,
        usable.err
    );
    as_user(0, &["data", "deliver", "week-5", file(5).to_str().unwrap(), "--feed", "bank"]);
    let batches = expect(0, ["data", "batches", "--folder", home]).out;
    assert!(
        batches.lines().any(|line| line.starts_with("week-5") && line.contains("quarantined")),
        "{batches}"
    );
    let frozen = as_user(0, &["data", "freeze", "--note", "incident 7"]);
    assert_eq!(frozen.code, 0, "{}", frozen.err);
    assert_eq!(expect(0, ["data", "batches", "--folder", home, "--usable"]).out, "");
    expect(0, ["audit", "verify", home]);
}
