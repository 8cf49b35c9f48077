//! Runs every room's `cases.md`.

use mantlet_vocab::{About, Finding, Place};

use super::{Again, SameFile, all, look};
use crate::split::{Known, Row};

fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

fn found(kind: &str, case: &str) -> Vec<Finding> {
    let words: Vec<&str> = case.split_whitespace().collect();
    let place = Place::artifact("week-2");
    if kind == "file" {
        let [file, batch, feed, state] = [0, 1, 2, 3].map(|at| words[at].to_owned());
        return look(&[Again::File(&SameFile { file, batch, feed, state })], &place);
    }
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    let row = |at: u64| {
        let form = mix(at) % number(1);
        Row { exact: form, near: form + 5_000_000, label: 1 + form % 2 }
    };
    let mut known = Known::with_room(1_000_000);
    (0..4_000).for_each(|at| known.add(row(at)));
    let mut shared = known.shared();
    for at in 0..1_000 {
        let mut own = row(at + 9_000_000);
        if at < number(3) {
            own = row(at);
            if words[2] == "near" {
                own.exact = mix(at + 77);
            }
        }
        known.look(own, &mut shared);
    }
    look(&[Again::Rows(&shared)], &place)
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
            } else if let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) {
                let found = found(kind, lines.next().unwrap());
                let hit = found.iter().any(|one| one.name == room.about.name);
                assert_eq!(hit, heading.starts_with("hit"), "{}: {heading}: {found:#?}", room.about.name);
                count += 1;
            }
        }
        assert!(count >= 3, "{count}");
    }
}

#[test]
fn what_came_again_is_counted_and_named() {
    let rows = found("rows", "of 1000000 again 500");
    let count = rows[0].facts["rows"].as_u64().unwrap();
    assert!((500..510).contains(&count), "{rows:#?}");
    assert_eq!(rows[0].trace[0], "row 1 is row 1 of those before");
    let file = found("file", "b.csv week-1 other rejected");
    assert!(file[0].message.contains("batch week-1 (feed other), which is rejected"), "{file:#?}");
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
