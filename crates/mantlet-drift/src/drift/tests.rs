//! Runs every room's `cases.md`, and the laws all rooms share.
//!
//! A column of a case is `name | reference | current`; a side is `[missing SHARE] [zero SHARE] [with|against NAME
//! SHARE] normal MEAN SD`, `words a=60 b=40` (weights) or `tail N SALT` (N words of equal chance, drawn by the salt).
//! Values are quantiles of the hashed row number, so a case is the same at every run.

use std::collections::BTreeMap;

use mantlet_vocab::{Finding, Place};
use proptest::prelude::*;

use super::{all, look};
use crate::{
    Buckets, ColumnProfile, Comparison, Counter, Counts, NumberSketch, Profile, Settings, WordSketch, mix,
};

const ROWS: u64 = 4000;

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Missing,
    Number(f64),
    Word(String),
}

/// A number from 0 to 1 that differs for each row and stream.
fn uniform(row: u64, stream: u64) -> f64 {
    ((mix(row ^ mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

fn normal(p: f64) -> f64 {
    -std::f64::consts::SQRT_2 * statrs::function::erf::erfc_inv(2.0 * p)
}

fn side(text: &str, stream: u64, ranks: &mut BTreeMap<String, Vec<f64>>, name: &str) -> Vec<Value> {
    let mut words = text.split_whitespace().peekable();
    let (mut missing, mut zero, mut tie) = (0.0, 0.0, None);
    let mut values = Vec::new();
    while let Some(word) = words.next() {
        let mut number = || words.next().unwrap().parse::<f64>().unwrap();
        match word {
            "missing" => missing = number(),
            "zero" => zero = number(),
            "with" | "against" => {
                let other = words.next().unwrap().to_owned();
                tie = Some((other, words.next().unwrap().parse::<f64>().unwrap(), word == "against"));
            }
            "normal" => {
                let (mean, deviation) = (number(), number());
                let mut rank = Vec::new();
                for row in 0..ROWS {
                    let own = uniform(row, stream + 1);
                    let p = match &tie {
                        Some((other, share, against)) if uniform(row, stream + 2) < *share => {
                            let p = ranks[other][row as usize];
                            if *against { 1.0 - p } else { p }
                        }
                        _ => own,
                    };
                    rank.push(p);
                    values.push(if uniform(row, stream + 3) < zero {
                        Value::Number(0.0)
                    } else {
                        Value::Number(mean + deviation * normal(p))
                    });
                }
                ranks.insert(name.to_owned(), rank);
            }
            "words" => {
                let weights: Vec<(String, f64)> = words
                    .by_ref()
                    .map(|pair| pair.split_once('=').unwrap())
                    .map(|(word, weight)| (word.to_owned(), weight.parse().unwrap()))
                    .collect();
                let all: f64 = weights.iter().map(|(_, weight)| weight).sum();
                for row in 0..ROWS {
                    let mut left = uniform(row, stream + 1) * all;
                    let word = weights.iter().find(|(_, weight)| {
                        left -= weight;
                        left < 0.0
                    });
                    values.push(Value::Word(word.unwrap_or(&weights[0]).0.clone()));
                }
            }
            "tail" => {
                let (many, salt) = (number(), number());
                for row in 0..ROWS {
                    let at = (uniform(row, stream + 4 + salt as u64) * many) as u64;
                    values.push(Value::Word(format!("w{at}")));
                }
            }
            other => panic!("no such word in a case: {other}"),
        }
    }
    for (row, value) in values.iter_mut().enumerate() {
        if uniform(row as u64, stream + 5) < missing {
            *value = Value::Missing;
        }
    }
    values
}

type Sides = (Vec<(String, Vec<Value>)>, Vec<(String, Vec<Value>)>);

fn cases(markdown: &str) -> Vec<(String, Sides)> {
    let mut cases = Vec::new();
    let mut heading = String::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title.to_owned();
        } else if line == "```columns" {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            let mut ranks = [BTreeMap::new(), BTreeMap::new()];
            for (at, line) in lines.by_ref().take_while(|line| *line != "```").enumerate() {
                let [name, reference, current] = line.split('|').map(str::trim).collect::<Vec<_>>()[..]
                else {
                    panic!("{line}")
                };
                let stream = 100 * (at as u64 + 1);
                before.push((name.to_owned(), side(reference, stream, &mut ranks[0], name)));
                after.push((name.to_owned(), side(current, stream + 50, &mut ranks[1], name)));
            }
            cases.push((heading.clone(), (before, after)));
        }
    }
    cases
}

fn buckets(values: &[Value]) -> Buckets {
    let mut numbers = NumberSketch::default();
    let mut words = WordSketch::default();
    let mut numeric = false;
    for (row, value) in values.iter().enumerate() {
        match value {
            Value::Missing => {}
            Value::Number(value) => {
                numeric = true;
                numbers.take(row as u64, *value);
            }
            Value::Word(word) => words.take(word, 1),
        }
    }
    if numeric { Buckets::of_numbers(&numbers) } else { Buckets::of_words(&words) }
}

fn codes(columns: &[ColumnProfile], values: &[(String, Vec<Value>)]) -> Vec<Vec<u16>> {
    let code = |column: &ColumnProfile, value: &Value| match value {
        Value::Missing => 0,
        Value::Number(value) => column.buckets.number(Some(*value)),
        Value::Word(word) => column.buckets.dictionary().code(Some(word)),
    };
    columns
        .iter()
        .zip(values)
        .map(|(column, (_, values))| {
            let dictionary = column.buckets.dictionary();
            let code = |value: &Value| match value {
                Value::Word(word) => dictionary.code(Some(word)),
                other => code(column, other),
            };
            values.iter().map(code).collect()
        })
        .collect()
}

fn count(columns: &[ColumnProfile], codes: &[Vec<u16>]) -> Counts {
    let mut counter = Counter::new(columns);
    counter.add(codes).unwrap();
    counter.finish()
}

fn compared((before, after): &Sides) -> (Profile, Counts) {
    let columns: Vec<ColumnProfile> = before
        .iter()
        .map(|(name, values)| ColumnProfile { name: name.clone(), buckets: buckets(values) })
        .collect();
    let mut profile = Profile::new("case", columns);
    profile.counts = count(&profile.columns, &codes(&profile.columns, before));
    let current = count(&profile.columns, &codes(&profile.columns, after));
    profile.check().unwrap();
    (profile, current)
}

fn found(sides: &Sides) -> Vec<Finding> {
    let (profile, current) = compared(sides);
    let comparison = Comparison::new(&profile, &current, Settings::default()).unwrap();
    look(&comparison, &Place::artifact("case"))
}

#[test]
fn every_case_holds() {
    for room in all() {
        let cases = cases(room.about.cases);
        assert!(cases.len() >= 3, "{} has too few cases", room.about.name);
        for (heading, sides) in cases {
            let found = found(&sides);
            let hit = found.iter().any(|finding| finding.name == room.about.name);
            assert_eq!(hit, heading.starts_with("hit"), "{}: {heading}: {found:#?}", room.about.name);
            if !heading.starts_with("hit") {
                let names: Vec<_> = found.iter().map(|finding| (&finding.name, &finding.message)).collect();
                let moved = heading.contains("margins moved");
                assert!(found.is_empty() || moved, "{}: {heading}: {names:?}", room.about.name);
            }
        }
    }
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    let faults = mantlet_vocab::About::faults(&abouts);
    assert!(faults.is_empty(), "{faults:?}");
}

/// 100 comparisons without any change, of eight columns and their 28 pairs: at 1 % for each whole comparison, more
/// than 4 alarms have a chance of 0.3 %, and the comparisons are the same at every run.
#[test]
fn comparisons_without_change_are_silent() {
    let mut alarms = Vec::new();
    for set in 0..100_u64 {
        let mut sides: Sides = (Vec::new(), Vec::new());
        let kinds = ["normal 0 1", "zero 0.5 normal 3 1", "tail 600 0", "missing 0.02 normal 0 1"];
        let mut ranks = [BTreeMap::new(), BTreeMap::new()];
        for at in 0..8_u64 {
            let name = format!("c{at}");
            let kind = kinds[(at % 4) as usize];
            let stream = 1_000_000 + set * 2_000 + at * 100;
            sides.0.push((name.clone(), side(kind, stream, &mut ranks[0], &name)));
            sides.1.push((name.clone(), side(kind, stream + 50, &mut ranks[1], &name)));
        }
        let (profile, current) = compared(&sides);
        // Effect sizes are not asked for here: the chances alone must hold.
        let settings = Settings { shape: 0.0, missing: 0.0, new: -1.0, joint: 0.0, ..Settings::default() };
        if Comparison::new(&profile, &current, settings).unwrap().drifted() {
            alarms.push(set);
        }
    }
    assert!(alarms.len() <= 4, "{} alarms: {alarms:?}", alarms.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// However the rows are divided, and in whatever order the parts are added, counts and profile are the same.
    #[test]
    fn the_division_of_rows_does_not_matter(cuts in prop::collection::vec(0_usize..ROWS as usize, 0..5), turn in any::<bool>()) {
        let text = "a | normal 0 1 | normal 0.2 1\nb | words x=5 y=3 | words x=5 z=1\nc | missing 0.3 normal 0 1 | normal 0 1";
        let sides = cases(&format!("## hit\n```columns\n{text}\n```")).remove(0).1;
        let (profile, whole) = compared(&sides);
        let codes = codes(&profile.columns, &sides.1);
        let mut cuts = cuts;
        cuts.extend([0, ROWS as usize]);
        cuts.sort_unstable();
        let mut parts: Vec<Counts> = cuts
            .windows(2)
            .map(|cut| codes.iter().map(|codes| codes[cut[0]..cut[1]].to_vec()).collect::<Vec<_>>())
            .map(|codes| count(&profile.columns, &codes))
            .collect();
        if turn {
            parts.reverse();
        }
        let mut merged = Counts::empty(&profile.columns);
        for part in &parts {
            merged.merge(part).unwrap();
        }
        prop_assert_eq!(merged, whole);
    }

    /// Damaged profiles are refused or compared, and never panic.
    #[test]
    fn damaged_profiles_do_no_harm(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let sides = cases("## hit\n```columns\na | normal 0 1 | normal 0.2 1\nb | words x=5 y=3 | words x=5 z=1\n```").remove(0).1;
        let (profile, current) = compared(&sides);
        let mut text = serde_json::to_vec(&profile).unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(damaged) = serde_json::from_slice::<Profile>(&text)
            && damaged.check().is_ok()
            && let Ok(comparison) = Comparison::new(&damaged, &current, Settings::default())
        {
            let _ = look(&comparison, &Place::artifact("x"));
        }
    }
}
