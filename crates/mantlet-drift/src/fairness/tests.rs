//! Runs every room's `cases.md`.

use mantlet_vocab::{About, Finding, Place};

use super::{FairnessSettings, Grouped, all, gaps, look};
use crate::mix;

fn uniform(row: u64, stream: u64) -> f64 {
    ((mix(row ^ mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

fn table(shares: [f64; 2], missed: [f64; 2], honest: bool, given: bool, stream: u64) -> Grouped {
    let mut own = Grouped::default();
    for row in 0..6_000_u64 {
        let group = usize::from(uniform(row, stream) < 0.3);
        // Rows of one honest kind win half as often; the second group has more of them.
        let low = honest && uniform(row, stream + 1) < [0.2, 0.8][group];
        let share = shares[group] * if low { 0.5 } else { 1.0 };
        let label = uniform(row, stream + 2) < share;
        let said =
            if label { uniform(row, stream + 3) >= missed[group] } else { uniform(row, stream + 4) < 0.02 };
        let stratum = if given && low { "low" } else { "" }.to_owned();
        let word = ["a", "b"][group].to_owned();
        own.all.entry(stratum.clone()).or_default().take(said, Some(label));
        own.groups
            .entry(("group".into(), word))
            .or_default()
            .entry(stratum)
            .or_default()
            .take(said, Some(label));
    }
    own
}

fn found(case: &str) -> Vec<Finding> {
    let (before, after) = case.split_once(" | ").unwrap();
    let numbers =
        |text: &str| text.split(' ').filter_map(|word| word.parse::<f64>().ok()).collect::<Vec<_>>();
    let (before, now) = (numbers(before), numbers(after));
    let honest = after.ends_with("mix");
    let missed = if now.len() == 4 { [now[2], now[3]] } else { [0.1, 0.1] };
    let before = table([before[0], before[1]], [0.1, 0.1], honest, honest, 10);
    let now = table([now[0], now[1]], missed, honest, honest, 20);
    look(&gaps(&before, &now, FairnessSettings::default()), &Place::artifact("t"))
}

#[test]
fn every_case_of_every_room() {
    for room in all() {
        let mut title = String::new();
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(found) = line.strip_prefix("## ") {
                title = found.to_owned();
            } else if line == "```fairness" {
                let found = found(lines.next().unwrap());
                let told = found.iter().any(|finding| finding.name == room.about.name);
                assert_eq!(told, title.starts_with("hit"), "{}: {title}: {found:#?}", room.about.name);
            }
        }
    }
}

#[test]
fn an_honest_column_explains_a_gap_only_when_it_is_given() {
    let [blind, seen] = [false, true].map(|given| {
        let before = table([0.4, 0.4], [0.1, 0.1], true, given, 10);
        let now = table([0.4, 0.4], [0.1, 0.1], true, given, 20);
        look(&gaps(&before, &now, FairnessSettings::default()), &Place::artifact("t")).len()
    });
    assert!(blind > 0 && seen == 0, "{blind} {seen}");
}

#[test]
fn unchanged_tables_are_hardly_ever_told() {
    let told = (0..60).filter(|seed| {
        let before = table([0.3, 0.3], [0.1, 0.1], false, false, 1_000 + 20 * seed);
        let now = table([0.3, 0.3], [0.1, 0.1], false, false, 5_000 + 20 * seed);
        !look(&gaps(&before, &now, FairnessSettings::default()), &Place::artifact("t")).is_empty()
    });
    assert!(told.count() <= 3);
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
