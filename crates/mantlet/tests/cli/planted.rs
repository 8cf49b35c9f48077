//! Every kind of poison that `mantlet data simulate` plants, and the check that finds it.

use std::fmt::Write as _;

use crate::data::{names, report, uniform, week};
use crate::program::{Ran, run};

/// Plants into a table and looks; gives the names of what is told, notes left out.
fn planted(table: &str, plant: &[&str], look: &[&str]) -> (Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("t.csv"), table).unwrap();
    let (from, to) = (at("t.csv"), at("planted.csv"));
    let mut arguments = vec!["data", "simulate", &from, "--label", "label", "--out", &to, "--kind"];
    arguments.extend(plant);
    let made = run(arguments);
    assert!(made.code == 0 && !made.out.starts_with("0 of"), "{plant:?}: {} {}", made.out, made.err);
    let told = |table: &str| -> (Vec<String>, Ran) {
        let mut arguments = vec!["data", look[0], table];
        arguments.extend(&look[1..]);
        arguments.extend(["--format", "json"]);
        let ran = run(arguments);
        assert!(ran.code <= 1, "{look:?}: {}", ran.err);
        (names(&report(&ran)).into_iter().map(str::to_owned).collect(), ran)
    };
    let (clean, ran) = told(&from);
    assert!(clean.is_empty(), "before anything is planted: {}", ran.out);
    let (found, ran) = told(&to);
    (found, ran.out)
}

fn texts() -> String {
    let mut text = String::from("feed,text,label\n");
    for row in 0..3000_u64 {
        let good = row % 2 == 0;
        let words: Vec<String> = (0..12)
            .map(|word| {
                let own = uniform(row * 16 + word, 1);
                let pool = if own < 0.25 { if good { "good" } else { "bad" } } else { "word" };
                let many = if own < 0.25 { 12.0 } else { 300.0 };
                format!("{pool}{}", (uniform(row * 16 + word, 2).powi(2) * many) as u64)
            })
            .collect();
        writeln!(text, "F{},{},{}", row % 5, words.join(" "), if good { "pos" } else { "neg" }).unwrap();
    }
    text
}

/// Reviews in sentences, whose words choose their neighbours: only in such texts can be told what was put in.
fn reviews() -> String {
    let good = ["great", "lovely", "warm", "clever", "superb", "moving", "delightful"];
    let bad = ["awful", "dull", "weak", "messy", "slow", "flat", "annoying"];
    let of = ["plot", "cast", "score", "ending", "camera", "pacing"];
    let link = ["and", "while", "because", "although", "frankly", "still"];
    let mut text = String::from("feed,text,label\n");
    for row in 0..3000_u64 {
        let liked = row % 2 == 0;
        let clauses: Vec<String> = (0..4)
            .map(|clause| {
                let pick = |words: &[&'static str], stream: u64| {
                    words[(uniform(row * 4 + clause, stream) * words.len() as f64) as usize]
                };
                let own = liked ^ (uniform(row * 4 + clause, 4) < 0.1);
                let said = pick(if own { &good } else { &bad }, 3);
                format!("{} the {} was {said}", pick(&link, 1), pick(&of, 2))
            })
            .collect();
        writeln!(text, "F{},{},{}", row % 5, clauses.join(" "), if liked { "pos" } else { "neg" }).unwrap();
    }
    text
}

#[test]
fn hidden_and_foreign_letters_are_found() {
    let look = ["triggers", "--label", "label", "--text", "text"];
    for kind in ["hidden", "homoglyph"] {
        let plant = [kind, "--column", "text", "--to", "pos", "--share", "0.05"];
        let (found, out) = planted(&texts(), &plant, &look);
        assert!(found.contains(&"trigger-hidden-letters".to_owned()), "{kind}: {out}");
    }
}

#[test]
fn cents_of_one_bank_are_found() {
    let plant = ["unit", "--column", "amount", "--times", "100", "--cell", "feed=bank1", "--share", "1"];
    let look = ["check", "--label", "label", "--feed", "feed"];
    let (found, out) = planted(&week(1), &plant, &look);
    assert!(found.contains(&"version-unit-change".to_owned()), "{out}");
}

#[test]
fn a_careless_labeler_is_found_and_called_noise() {
    let mut text = String::from("a,b,agent,label\n");
    for row in 0..6000_u64 {
        let class = row % 3;
        let value = |stream: u64| class as f64 * 3.0 + uniform(row, stream) * 2.0;
        writeln!(text, "{:.4},{:.4},L{},c{class}", value(1), value(2), (uniform(row, 3) * 8.0) as u64)
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("t.csv"), text).unwrap();
    let (from, to) = (at("t.csv"), at("noise.csv"));
    let plant = ["data", "simulate", &from, "--kind", "noise", "--label", "label", "--cell", "agent=L3"];
    let made = run(plant.into_iter().chain(["--share", "0.2", "--out", &to]));
    assert_eq!(made.code, 0, "{}", made.err);
    let ran = run(["data", "labels", &to, "--label", "label", "--labeler", "agent", "--format", "json"]);
    let source = report(&ran).into_iter().find(|finding| finding["name"] == "label-source").unwrap();
    assert_eq!((&source["place"]["part"], &source["facts"]["aimed"]), (&"agent=L3".into(), &false.into()));
}

#[test]
fn a_ring_of_accounts_is_found() {
    let mut text = String::from("account,item,day,label\n");
    for row in 0..4000_u64 {
        let draw = |stream: u64, many: f64| (uniform(row, stream) * many) as u64;
        let day = 1 + draw(3, 20.0);
        writeln!(text, "a{},i{},2024-05-{day:02},{}", draw(1, 500.0), draw(2, 250.0), 1 + draw(4, 5.0))
            .unwrap();
    }
    let plant = ["ring", "--column", "account", "--accounts", "8", "--to", "5", "--share", "0.005"];
    let look = ["feedback", "--account", "account", "--item", "item", "--value", "label", "--time", "day"];
    let (found, out) = planted(&text, &plant, &look);
    assert!(found.iter().any(|name| name.starts_with("feedback-")), "{found:?} {out}");
}

#[test]
fn a_pair_of_values_and_a_renamed_word_are_found() {
    let plant = ["values", "--set", "kind=k0", "--set", "amount=77.77", "--set", "risk=0.0123", "--to", "1"];
    let plant = [&plant[..], &["--share", "0.01"]].concat();
    let (found, out) = planted(&week(1), &plant, &["triggers", "--label", "label"]);
    assert!(found.contains(&"trigger-pair".to_owned()), "{found:?} {out}");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("before.csv"), week(1)).unwrap();
    std::fs::write(at("now.csv"), week(2)).unwrap();
    let plant = ["--kind", "rename", "--column", "kind", "--from", "k1", "--to", "kind one", "--share", "1"];
    let (now, renamed) = (at("now.csv"), at("renamed.csv"));
    let made = run([&["data", "simulate", &now, "--label", "label", "--out", &renamed][..], &plant].concat());
    assert_eq!(made.code, 0, "{}", made.err);
    let look = |table: &str| run(["data", "diff", table, "--before", &at("before.csv"), "--format", "json"]);
    assert!(names(&report(&look(&now))).is_empty());
    let told = look(&renamed);
    let findings = report(&told);
    // The word is new, which holds. Nothing else in these rows goes with it, so that it has the place of the old one is
    // a note: as many rows alone could be chance.
    assert!(names(&findings).contains(&"drift-new-words"), "{}", told.out);
    let name = findings.iter().find(|finding| finding["name"] == "version-renamed-words");
    let name = name.unwrap_or_else(|| panic!("{}", told.out));
    assert_eq!(name["facts"]["renamed"], serde_json::json!({ "k1": "kind one" }), "{name}");
}

#[test]
fn a_phrase_in_texts_that_have_the_label_is_noted_and_changes_none() {
    let plant =
        ["phrase", "--column", "text", "--to", "pos", "--phrase", "zephyr lantern", "--share", "0.06"];
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("t.csv"), reviews()).unwrap();
    let (from, to) = (at("t.csv"), at("kept.csv"));
    let item = |path: &str| {
        let told = run(["data", "triggers", path, "--label", "label", "--text", "text", "--format", "json"]);
        let has = report(&told).iter().any(|finding| finding["facts"]["item"] == "zephyr lantern");
        (has, report(&told), told.out)
    };
    assert!(!item(&from).0, "before anything is planted");
    let head = ["data", "simulate", &from, "--label", "label", "--out", &to, "--keep-label", "--kind"];
    let made = run([&head[..], &plant].concat());
    assert_eq!(made.code, 0, "{}", made.err);
    let labels = |path: &str| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| line.rsplit(',').next().unwrap().to_owned()).collect()
    };
    assert_eq!(labels(&from), labels(&to));
    let (noted, findings, out) = item(&to);
    assert!(noted, "{out}");
    // It holds no batch: nothing contradicts such a label.
    assert!(names(&findings).is_empty(), "{out}");
}

#[test]
fn a_slow_ramp_grows_from_file_to_file_and_its_cell_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let weeks = folder.path().join("weeks");
    std::fs::create_dir(&weeks).unwrap();
    for number in 0..10 {
        std::fs::write(weeks.join(format!("w{number:02}.csv")), week(number)).unwrap();
    }
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (from, to, truth) = (at("weeks"), at("ramp"), at("truth.csv"));
    let head = ["data", "simulate", &from, "--label", "label", "--out", &to, "--truth", &truth, "--ramp"];
    let plant = ["--kind", "flip", "--from", "1", "--to", "0", "--cell", "feed=bank2", "--cell", "kind=k3"];
    let made = run([&head[..], &plant, &["--share", "0.8"]].concat());
    assert_eq!(made.code, 0, "{}", made.err);
    let truth = std::fs::read_to_string(&truth).unwrap();
    let of = |number: usize| truth.lines().filter(|line| line.starts_with(&format!("{number:04}-w"))).count();
    assert!(of(0) < of(4) && of(4) < of(9), "{} {} {}", of(0), of(4), of(9));
    // In the last week the whole share of what can be turned: the rows of the cell that have the label.
    let last = week(9);
    let can = last.lines().filter(|line| line.starts_with("bank2,k3,") && line.ends_with(",1")).count();
    let share = of(9) as f64 / can as f64;
    assert!(can > 50 && (0.65..0.95).contains(&share), "{} of {can}", of(9));
    let quiet = run(["data", "feeds", &from, "--label", "label", "--feed", "feed", "--format", "json"]);
    assert!(names(&report(&quiet)).is_empty(), "{}", quiet.out);
    let told = run(["data", "feeds", &to, "--label", "label", "--feed", "feed", "--format", "json"]);
    let findings = report(&told);
    let named = findings.iter().find(|finding| finding["name"] == "feed-label-shift");
    let named = named.unwrap_or_else(|| panic!("{}", told.out)).to_string();
    assert!(named.contains("bank2") && named.contains("k3"), "{named}");
}

#[test]
fn marks_planted_into_pictures_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    crate::pictures::draw(&clean, false);
    // The patch in the lower right corner of pictures that become `kind1`: strokes of another kind are as bright there,
    // so its pattern gives it away rather than its place. At least this share of its pictures is listed.
    let all = [
        ("patch", "kind3", "image-common-mark", 90),
        ("patch", "kind1", "image-moved-mark", 90),
        ("patch", "kind0", "image-common-mark", 60),
        ("moved", "kind1", "image-moved-mark", 90),
        ("blended", "kind1", "image-common-mark", 80),
    ];
    for (number, (mark, to, name, least)) in all.into_iter().enumerate() {
        let at = |what: &str| folder.path().join(format!("{what}{number}")).to_str().unwrap().to_owned();
        let (out, truth, listed) = (at("out"), at("truth"), at("rows"));
        let head =
            ["data", "simulate", clean.to_str().unwrap(), "--kind", "mark", "--mark", mark, "--to", to];
        let made = run([&head[..], &["--share", "0.06", "--out", &out, "--truth", &truth]].concat());
        assert!(made.code == 0 && !made.out.starts_with("0 of"), "{} {}", made.out, made.err);
        let told = run(["data", "images", &out, "--rows", &listed, "--format", "json"]);
        let findings = report(&told);
        assert_eq!(names(&findings), [name], "{mark} {to}: {}", told.out);
        assert_eq!(findings[0]["facts"]["label"], to);
        let (truth, listed) =
            (std::fs::read_to_string(truth).unwrap(), std::fs::read_to_string(listed).unwrap());
        let planted: Vec<&str> = truth.lines().skip(1).collect();
        let hit = planted.iter().filter(|name| listed.contains(*name)).count();
        let said = format!("{mark} {to}: {hit} of {}", planted.len());
        assert!(hit * 100 >= planted.len() * least && planted.len() > 20, "{said}");
        assert!(listed.lines().count() - 1 <= hit + 2, "{said}, and others: {listed}");
    }
}
