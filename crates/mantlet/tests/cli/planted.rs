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
