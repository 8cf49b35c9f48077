//! Runs every room's `cases.md`, and the law that sums do not depend on order.

use mantlet_vocab::{About, Finding, Place};

use super::{Range, Stands, Sums, all, hold, look};
use crate::mix;

fn range(words: &[&str]) -> Range {
    let [kind, least, most, rows] = words[..] else { panic!("{words:?}") };
    Range {
        name: "case".into(),
        column: "said".into(),
        word: (kind == "share").then(|| "yes".into()),
        segment: None,
        least: least.parse().ok(),
        most: most.parse().ok(),
        rows: rows.parse().unwrap(),
    }
}

fn sums(text: &str) -> Sums {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (rows, value): (u64, f64) = (words[0].parse().unwrap(), words[2].parse().unwrap());
    let mut sums = Sums::default();
    match words.get(4) {
        None => (0..rows).for_each(|row| sums.hit((row as f64) < (value * rows as f64).round())),
        Some(spread) => {
            let spread: f64 = spread.parse().unwrap();
            (0..rows).for_each(|row| sums.number(value + if row % 2 == 0 { spread } else { -spread }));
        }
    }
    sums
}

fn found(case: &str) -> Vec<Finding> {
    let mut parts = case.split('|').map(str::trim);
    let range = range(&parts.next().unwrap().split_whitespace().collect::<Vec<_>>());
    assert_eq!(range.fault(), None);
    let held = hold(parts.map(|part| (&range, None, sums(part))), 0.01);
    // What is neither within nor told is said.
    for one in &held {
        let silent = matches!(one.stands, Stands::Within | Stands::Crossed);
        assert_eq!(one.gap().is_none(), silent, "{case}");
    }
    look(&held, "look", &Place::artifact("t"))
}

#[test]
fn every_case_holds() {
    for room in all() {
        let mut heading = "";
        let mut lines = room.about.cases.lines();
        let mut cases = 0;
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            } else if line == "```range" {
                let case = lines.next().unwrap();
                let told = found(case);
                assert_eq!(told.len(), usize::from(heading.starts_with("hit")), "{heading}: {told:#?}");
                for finding in &told {
                    assert_eq!(finding.trace.len(), 5, "{heading}");
                    assert!(finding.trace[4].contains("look"), "{heading}");
                }
                cases += 1;
            }
        }
        assert!(cases >= 8, "{cases}");
    }
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    let faults = About::faults(&abouts);
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn ranges_that_make_no_sense_are_refused() {
    for words in [
        ["share", "-", "-", "100"],
        ["share", "0.4", "0.2", "100"],
        ["share", "0.2", "40", "100"],
        ["mean", "0.2", "0.2", "100"],
        ["mean", "-", "inf", "100"],
        ["mean", "-", "1", "0"],
    ] {
        assert!(range(&words).fault().is_some(), "{words:?}");
    }
    assert_eq!(range(&["mean", "-5", "40", "100"]).fault(), None);
}

#[test]
fn sums_are_the_same_in_any_order() {
    let values: Vec<f64> = (0..1_000).map(|at| (mix(at) >> 11) as f64 / 1e9 - 4e6).collect();
    let mut whole = Sums::default();
    values.iter().for_each(|&value| whole.number(value));
    let (mut parts, mut other) = (Sums::default(), Sums::default());
    values[..300].iter().rev().for_each(|&value| parts.number(value));
    values[300..].iter().for_each(|&value| other.number(value));
    other.number(f64::NAN);
    parts.merge(&other);
    assert_eq!(parts, whole);
}

/// Decisions whose true share is the bound itself: the alarms of 400 tables of two segments stay within 1 %.
#[test]
fn a_share_on_its_bound_is_hardly_ever_told() {
    let range = range(&["share", "0.2", "0.4", "100"]);
    let told = |set: u64| {
        let counted = |at: u64| {
            let mut sums = Sums::default();
            (0..400)
                .for_each(|row| sums.hit((mix(row ^ mix(set * 2 + at)) >> 11) as f64 / 2_f64.powi(53) < 0.4));
            (&range, Some(at.to_string()), sums)
        };
        hold([counted(0), counted(1)], 0.01).iter().any(|held| held.stands == Stands::Crossed)
    };
    let alarms = (0..400).filter(|&set| told(set)).count();
    // Of a chance of 1 % each, more than eleven in 400 have a chance of one in a thousand.
    assert!(alarms <= 11, "{alarms}");
}
