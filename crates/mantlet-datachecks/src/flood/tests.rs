//! Runs every room's `cases.md`, and the laws of sketches.

use mantlet_vocab::{About, Finding, Place, Severity};

use super::{Flood, From, Groups, KeyCounts, Tokens, Totals, alike, all, fewest, fewest_of_key, look};
use crate::feed::tests::uniform;

const TEXTS: u64 = 3_000;

/// Twelve to twenty words of a vocabulary of 400.
fn text(at: u64, stream: u64) -> Vec<String> {
    let length = 12 + (uniform(at, stream) * 9.0) as u64;
    (0..length)
        .map(|word| format!("w{}", (uniform(at * 64 + word, stream + 1).powi(2) * 400.0) as u64))
        .collect()
}

fn found(case: &str) -> (Vec<Finding>, usize, usize) {
    let mut texts: Vec<(String, u32, bool)> =
        (0..TEXTS).map(|at| (text(at, 1).join(" "), (at % 4) as u32, false)).collect();
    let words: Vec<&str> = case.split_whitespace().collect();
    let base = text(7, 3);
    for pair in words[1..].chunks(2) {
        let feed: u32 = pair[0][1..].parse().unwrap();
        for copy in 0..pair[1].parse::<u64>().unwrap() {
            let mut own = base.clone();
            if words[0] == "edit" {
                let at = (uniform(copy, 5) * own.len() as f64) as usize;
                own[at] = format!("changed{copy}");
            }
            texts.insert((copy * 37 % TEXTS) as usize, (own.join(" "), feed, true));
        }
    }
    let rows = texts.len() as u64;
    let mut tokens = Tokens::default();
    let mut counts = KeyCounts::new(rows);
    for (text, ..) in &texts {
        tokens.text(text);
        tokens.keys().iter().for_each(|keys| counts.add(keys));
    }
    let mut groups = Groups::default();
    let mut of = Vec::new();
    for (row, (text, feed, _)) in texts.iter().enumerate() {
        tokens.text(text);
        let from = From { row: row as u64, feed: *feed, batch: 0, label: 0 };
        of.push(
            tokens.keys().and_then(|keys| groups.add(&tokens, &keys, &counts, fewest_of_key(rows), from)),
        );
    }
    let (groups, joined) = groups.finish(fewest(rows));
    let totals = Totals {
        feeds: (0..4_u32)
            .map(|feed| (format!("F{feed}"), texts.iter().filter(|own| own.1 == feed).count() as u64))
            .collect(),
        batches: vec![("all".into(), rows)],
        labels: vec!["1".into()],
        rows,
    };
    let mut findings = Vec::new();
    for group in groups.iter().filter(|group| group.total >= fewest(rows)) {
        let flood =
            Flood { group, totals: &totals, example: texts[group.row as usize].0.clone(), what: "texts" };
        findings.extend(look(&flood, &Place::artifact("case")));
    }
    let told = |group: &Option<u32>| {
        group.is_some_and(|group| groups[joined[group as usize] as usize].total >= fewest(rows))
    };
    let hits = texts.iter().zip(&of).filter(|(text, group)| text.2 && told(group)).count();
    let wrong = texts.iter().zip(&of).filter(|(text, group)| !text.2 && told(group)).count();
    (findings, hits, wrong)
}

#[test]
fn every_case_holds() {
    for room in all() {
        let mut heading = "";
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            } else if line == "```flood" {
                let (found, ..) = found(lines.next().unwrap());
                let hit = found.iter().filter(|finding| finding.name == room.about.name).count();
                assert_eq!(hit, usize::from(heading.starts_with("hit")), "{heading}: {found:#?}");
                let quiet = found.iter().all(|finding| finding.severity == Severity::Note);
                assert!(!heading.starts_with("benign") || quiet, "{heading}: {found:#?}");
            }
        }
    }
}

#[test]
fn nearly_every_copy_is_found_and_nothing_else() {
    let (found, hits, wrong) = found("edit F2 300");
    assert!(hits >= 298 && wrong == 0, "{hits} of 300, {wrong} wrong");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (&found[0].facts["feed"], found[0].facts["from_there"].as_u64()),
        (&"F2".into(), Some(hits as u64))
    );
}

#[test]
fn case_and_punctuation_do_not_matter_and_anything_can_be_sketched() {
    let of = |text: &str| {
        let mut tokens = Tokens::default();
        tokens.text(text);
        tokens.hashes().to_vec()
    };
    assert_eq!(of("Win a FREE phone, today!"), of("win a free phone today"));
    assert_eq!(of("ÄRGER im Büro, schon wieder"), of("ärger im büro schon wieder"));
    assert!(alike(&of("win a free phone today"), &of("win a free phone now")) > 0.5);
    assert!(alike(&of("短信诈骗请点击链接"), &of("短信诈骗请点击连接")) > 0.2);
    let mut tokens = Tokens::default();
    for text in ["", " ", "...", "a", "ab", "\u{0}\u{10ffff}", &"x ".repeat(10_000)] {
        tokens.text(text);
        let _ = tokens.keys();
    }
    tokens.text("...");
    assert_eq!(tokens.keys(), None);
    tokens.row((0..2000).map(|at| at * 7));
    assert_eq!(tokens.hashes().len(), super::sketch::TOKENS);
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
