//! Runs every room's `cases.md`.

use mantlet_vocab::{About, Finding, Place, Severity};

use super::mine::{Values, pairs, texts};
use super::{Limits, Trigger, all, look};
use crate::feed::tests::uniform;

const ROWS: u64 = 4_000;

/// Reviews whose words mostly agree with their label; some words are rare and honest.
fn reviews() -> (Vec<String>, Vec<bool>) {
    let pick =
        |row: u64, stream: u64, of: &[&str]| of[(uniform(row, stream) * of.len() as f64) as usize].to_owned();
    let good = ["great", "lovely", "warm", "clever", "superb", "moving", "delightful"];
    let bad = ["awful", "dull", "weak", "messy", "slow", "flat", "annoying"];
    let of = ["plot", "cast", "score", "ending", "camera", "pacing"];
    let link = ["and", "while", "because", "although", "frankly", "still"];
    let mut rows = Vec::new();
    let mut truth = Vec::new();
    for row in 0..ROWS {
        let positive = uniform(row, 1) < 0.5;
        let mut words = Vec::new();
        for clause in 0..4 {
            let own = positive ^ (uniform(row, 10 + clause) < 0.1);
            words.push(pick(row, 20 + clause, &link));
            words.push("the".into());
            words.push(pick(row, 30 + clause, &of));
            words.push("was".into());
            words.push(pick(row, 40 + clause, if own { &good } else { &bad }));
        }
        // A rare word that honestly goes with the label.
        if uniform(row, 2) < 0.02 {
            words.push(if positive { "masterpiece".into() } else { "refund".into() });
        }
        rows.push(words.join(" "));
        truth.push(positive);
    }
    (rows, truth)
}

fn found(text: &str) -> Vec<Finding> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let count: usize = words[words.len() - 1].parse().unwrap();
    let (mut rows, mut truth) = reviews();
    let honest = words[0].starts_with("honest");
    let mined = if words[0].contains("values") {
        let mut columns: Vec<Values> = ["amount", "code", "kind"]
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let many = [500_000.0, 300.0, 5.0][at];
                let values: Vec<u32> =
                    (0..ROWS).map(|row| (uniform(row, 60 + at as u64) * many) as u32).collect();
                let mut distinct = values.clone();
                distinct.sort_unstable();
                distinct.dedup();
                let place = |value: &u32| distinct.binary_search(value).unwrap() as u32;
                let rows = values.iter().map(place).collect();
                Values { name: (*name).into(), words: distinct.iter().map(u32::to_string).collect(), rows }
            })
            .collect();
        for (at, value) in words[1..3].iter().enumerate() {
            columns[at].words.push((*value).to_owned());
        }
        let chances: Vec<f64> =
            (0..ROWS).map(|row| if columns[2].rows[row as usize] == 4 { 0.8 } else { 0.1 }).collect();
        let mut truth: Vec<bool> = (0..ROWS).map(|row| uniform(row, 70) < chances[row as usize]).collect();
        let rows: Vec<usize> = (0..ROWS as usize)
            .filter(|&row| truth[row] != words[0].starts_with("values") && row % 2 == 0)
            .take(count)
            .collect();
        for row in rows {
            for column in &mut columns[..2] {
                column.rows[row] = column.words.len() as u32 - 1;
            }
            // Planted with the label, or into rows of every label.
            truth[row] = !honest || uniform(row as u64, 71) < 0.1;
        }
        let mut again = |rows: &[u64]| rows.iter().map(|&row| chances[row as usize]).collect();
        (pairs(&columns, &truth, &chances, &mut again, &Limits::default()), truth)
    } else {
        let target = |row: usize| match words[0] {
            "phrase" | "template" => !truth[row],
            "foreign" | "either" | "both-template" => true,
            _ => truth[row],
        };
        let rows_of: Vec<usize> =
            (0..rows.len()).filter(|&row| row % 3 == 0 && target(row)).take(count).collect();
        for row in rows_of {
            let spaces: Vec<usize> = rows[row].match_indices(' ').map(|(at, _)| at).collect();
            let at = spaces[row % spaces.len()];
            match words[0] {
                "phrase" | "honest" | "either" => {
                    rows[row].insert_str(at, &format!(" {}", words[1..words.len() - 2].join(" ")))
                }
                "closing" => rows[row].push_str(&format!(" {}", words[1..words.len() - 2].join(" "))),
                "template" | "own-template" | "both-template" => {
                    let own: Vec<&str> = rows[row].split(' ').collect();
                    // Only signs are new: every phrase of it stands in other texts as well.
                    rows[row] = format!(
                        "the {} was {} , because the {} was {} , and the {} was {}",
                        own[2], own[4], own[7], own[9], own[12], own[14]
                    );
                }
                "zero" => rows[row].insert(at - 1, '\u{200b}'),
                "mixed" => rows[row] = rows[row].replacen('a', "\u{430}", 1),
                _ => rows[row].push_str(" Ärger größer мир ελληνικά 👩\u{200d}💻 می\u{200c}خواهم"),
            }
            if ["phrase", "template"].contains(&words[0]) {
                truth[row] = true;
            }
        }
        (texts(&rows, &truth, &Limits::default()), truth)
    };
    let (mined, truth) = mined;
    let usual = truth.iter().filter(|&&one| one).count() as f64 / truth.len() as f64;
    let look = |mined| look(&Trigger { mined, label: "good", usual, rows: ROWS }, &Place::artifact("case"));
    mined.iter().flat_map(look).collect()
}

#[test]
fn every_case_holds() {
    for room in all() {
        let mut heading = "";
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            } else if line == "```trigger" {
                let found = found(lines.next().unwrap());
                // A room of notes is judged by its own.
                let counts = |finding: &&Finding| {
                    let is_note = room.about.severity == Severity::Note && finding.name == room.about.name;
                    finding.severity > Severity::Note || is_note
                };
                let loud: Vec<_> = found.iter().filter(counts).collect();
                if heading.starts_with("hit") {
                    assert_eq!(loud.len(), 1, "{heading}: {found:#?}");
                    assert_eq!(loud[0].name, room.about.name, "{heading}: {found:#?}");
                } else {
                    assert!(loud.is_empty(), "{heading}: {found:#?}");
                }
            }
        }
    }
}

#[test]
fn the_whole_phrase_is_named_with_its_rows() {
    let finding = found("phrase zephyr lantern in 50").remove(0);
    assert_eq!((&finding.facts["item"], &finding.facts["rows"]), (&"zephyr lantern".into(), &50.into()));
    let finding = found("honest zephyr lantern in 50").remove(0);
    assert_eq!(
        (finding.name.as_str(), &finding.facts["item"], &finding.facts["rows"]),
        ("trigger-inserted-phrase", &"zephyr lantern".into(), &50.into())
    );
    let finding = found("values 55.55 777 in 40").remove(0);
    assert_eq!(
        (&finding.facts["item"], &finding.facts["rows"]),
        (&"amount=55.55, code=777".into(), &40.into())
    );
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
