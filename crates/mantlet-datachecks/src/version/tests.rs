//! Runs every room's `cases.md`, and what the searches say of tables without any such change.

use std::collections::BTreeMap;

use mantlet_vocab::{About, Finding, Place, Severity};

use super::{Changed, Company, Hours, How, all, look, pairs, renamed, scaled, shifted};

/// A fraction that belongs to a row and a stream.
fn uniform(row: u64, stream: u64) -> f64 {
    let mix = |value: u64| {
        let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    ((mix(row ^ mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// A normal number (Box and Muller).
fn normal(row: u64, stream: u64) -> f64 {
    let (one, two) = (uniform(row, stream), uniform(row, stream ^ 0xabcd));
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos()
}

fn amounts(stream: u64) -> Vec<f64> {
    (0..4_000).map(|row| (normal(row, stream) + 3.2).exp()).collect()
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

fn changed(how: How) -> Vec<Finding> {
    let change =
        Changed { column: "c".into(), who: String::new(), beside: "the earlier version".into(), how };
    look(&[change], &Place::artifact("t"))
}

fn of_amounts(case: &str) -> Vec<Finding> {
    let words: Vec<&str> = case.split_whitespace().collect();
    let number = |at: usize| words[at].parse::<f64>().unwrap();
    let now = amounts(2).into_iter().enumerate().map(|(row, value)| {
        let row = row as u64;
        match words[0] {
            "times" if uniform(row, 9) < number(3) => value * number(1),
            "grow" => value * number(1),
            "tail" if uniform(row, 9) < number(1) => (normal(row, 11) * 0.7 + 6.0).exp(),
            "spread" => ((value.ln() - 3.2) * number(1) + 3.2).exp(),
            _ => value,
        }
    });
    scaled(&sorted(amounts(1)), &sorted(now.collect()), 20).map_or(Vec::new(), |own| changed(How::Unit(own)))
}

fn of_times(case: &str) -> Vec<Finding> {
    let words: Vec<&str> = case.split_whitespace().collect();
    let number = |at: usize| words[at].parse::<f64>().unwrap();
    let time = |row: u64, stream: u64| {
        if words[0] == "flat" {
            return uniform(row, stream) * 86_400.0;
        }
        let peak = if uniform(row, stream ^ 77) < 0.6 { 12.0 } else { 19.5 };
        (peak + normal(row, stream) * 1.8) * 3_600.0
    };
    let (mut before, mut now) = (Hours::default(), Hours::default());
    for row in 0..3_000 {
        before.take(time(row, 1));
        let moved = match words[0] {
            "by" if uniform(row, 9) < number(3) => time(row, 2) + number(1) * 60.0,
            "flat" => time(row, 2) + number(1) * 60.0,
            "night" if uniform(row, 9) < number(1) => (3.0 + normal(row, 5)) * 3_600.0,
            _ => time(row, 2),
        };
        now.take(moved + 86_400.0 * 19_000.0);
    }
    shifted(&before, &now).map_or(Vec::new(), |own| changed(How::Clock(own)))
}

fn of_words(case: &str) -> Vec<Finding> {
    const KINDS: [&str; 4] = ["travel", "grocery", "fuel", "digital"];
    let alone = case.contains("alone");
    let row = |row: u64, stream: u64| {
        let kind = ((uniform(row, stream) * uniform(row, stream ^ 3) * 4.0) as usize).min(3);
        let of = if alone { (uniform(row, stream ^ 4) * 4.0) as usize } else { kind };
        let amount = ((uniform(row, stream ^ 5) * 4.0) as usize + of) / 2;
        let channel = usize::from(uniform(row, stream ^ 6) < 0.1 + 0.25 * of as f64);
        (kind, amount, channel)
    };
    let mut counts = [BTreeMap::new(), BTreeMap::new()];
    let mut company: [BTreeMap<String, Company>; 2] = Default::default();
    let mut all_rows = [Company::new(2, 8), Company::new(2, 8)];
    for side in 0..2_usize {
        for at in 0..4_000_u64 {
            let (kind, mut amount, mut channel) = row(at, side as u64 * 100 + 1);
            let mut word = KINDS[kind].to_owned();
            for change in case.split_whitespace().filter(|_| side == 1) {
                if let Some((from, to)) = change.split_once('=')
                    && word == from
                {
                    if case.starts_with("other") {
                        (amount, channel) = (0, 0);
                    }
                    word = to.to_owned();
                } else if let Some(new) = case.strip_prefix("new ")
                    && word == "travel"
                    && uniform(at, 42) < 0.5
                {
                    word = new.to_owned();
                }
            }
            *counts[side].entry(word.clone()).or_insert(0_u64) += 1;
            for own in [company[side].entry(word).or_insert_with(|| Company::new(2, 8)), &mut all_rows[side]]
            {
                own.rows += 1;
                own.levels[0][amount] += 1;
                own.levels[1][channel] += 1;
            }
        }
    }
    let Some((gone, came)) = pairs(&counts[0], &counts[1], [4_000, 4_000]) else { return Vec::new() };
    let of = |side: usize, named: &[super::Named]| -> Vec<Company> {
        named.iter().map(|named| company[side][&named.word].clone()).collect()
    };
    let found = renamed(&gone, &came, &of(0, &gone), &of(1, &came), [&all_rows[0], &all_rows[1]]);
    if found.is_empty() { Vec::new() } else { changed(How::Names(found)) }
}

#[test]
fn every_case_holds() {
    for room in all() {
        let mut heading = "";
        let mut count = 0;
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            }
            let found = match line {
                "```amounts" => of_amounts(lines.next().unwrap()),
                "```times" => of_times(lines.next().unwrap()),
                "```words" => of_words(lines.next().unwrap()),
                _ => continue,
            };
            let hit = found.iter().any(|finding| finding.name == room.about.name);
            assert_eq!(hit, heading.starts_with("hit"), "{}: {heading}: {found:#?}", room.about.name);
            count += 1;
        }
        assert!(count >= 5, "{}: {count}", room.about.name);
    }
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}

#[test]
fn the_unit_and_its_share_are_named() {
    let found = of_amounts("times 100 share 0.1");
    assert_eq!((found[0].severity, found[0].facts["times"].as_f64()), (Severity::Suspicious, Some(100.0)));
    assert!((found[0].facts["share"].as_f64().unwrap() - 0.1).abs() < 0.02, "{found:#?}");
    assert!(found[0].message.contains("euros and cents"), "{}", found[0].message);
    // Another currency is told as a factor, and as no more than a note.
    let found = of_amounts("grow 1.9");
    assert_eq!(found[0].severity, Severity::Note, "{found:#?}");
    let celsius: Vec<f64> = (0..3_000).map(|row| 14.0 + 8.0 * normal(row, 3)).collect();
    let fahrenheit = (0..3_000).map(|row| (14.0 + 8.0 * normal(row, 4)) * 1.8 + 32.0).collect();
    let own = scaled(&sorted(celsius), &sorted(fahrenheit), 20).unwrap();
    assert_eq!((own.unit.times, own.unit.plus), (1.8, 32.0));
    assert!(own.share > 0.97, "{own:?}");
}

#[test]
fn the_shift_is_named_and_the_words_are_mapped() {
    assert_eq!(of_times("by 120 share 1")[0].facts["minutes"], 120);
    assert_eq!(of_times("by -330 share 0.5")[0].facts["minutes"], -330);
    let found = of_words("travel=trips grocery=food");
    assert_eq!(found[0].facts["renamed"]["travel"], "trips");
    assert_eq!(found[0].facts["renamed"]["grocery"], "food");
    assert_eq!(found[0].severity, Severity::Suspicious);
}

#[test]
fn what_did_not_change_is_not_told() {
    for seed in 0..200_u64 {
        let draw = |side: u64| -> Vec<f64> {
            let (row, stream) = (|at: u64| at + side * 10_000, seed * 7 + 1_000);
            sorted(
                (0..1_000)
                    .map(|at| match seed % 4 {
                        0 => normal(row(at), stream).exp(),
                        1 => uniform(row(at), stream) * 50.0,
                        2 => normal(row(at), stream),
                        _ => (uniform(row(at), stream) * 100.0).floor(),
                    })
                    .collect(),
            )
        };
        assert_eq!(scaled(&draw(0), &draw(1), 1), None, "{seed}");
        let hours = |side: u64| {
            let mut hours = Hours::default();
            (0..1_000).for_each(|at| hours.take((13.0 + 3.0 * normal(at + side * 10_000, seed)) * 3_600.0));
            hours
        };
        assert_eq!(shifted(&hours(0), &hours(1)), None, "{seed}");
    }
    let nothing: [f64; 0] = [];
    assert_eq!(scaled(&nothing, &nothing, 1), None);
    assert_eq!(scaled(&[f64::INFINITY; 300], &[f64::NEG_INFINITY; 300], 1), None);
}
