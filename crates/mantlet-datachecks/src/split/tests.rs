//! Runs every room's `cases.md`.

use mantlet_vocab::{About, Finding, Place, Severity};

use super::{Known, Row, SharedKeys, Split, all, look};

fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

fn found(kind: &str, case: &str) -> Vec<Finding> {
    let words: Vec<&str> = case.split_whitespace().collect();
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    let place = Place::artifact("t");
    if kind == "keys" {
        let keys =
            SharedKeys { column: "customer".into(), keys: number(2), shared: number(0), rows: 30, test: 900 };
        return look(&[Split::Keys(&keys)], &place);
    }
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
    look(&[Split::Rows(&shared)], &place)
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
                let hit =
                    found.iter().any(|one| one.name == room.about.name && one.severity > Severity::Note);
                assert_eq!(hit, heading.starts_with("hit"), "{}: {heading}: {found:#?}", room.about.name);
                count += 1;
            }
        }
        assert!(count >= 3, "{count}");
    }
}

#[test]
fn a_coarse_table_is_a_note_and_copies_are_counted() {
    let coarse = found("rows", "of 20000 copied 0");
    assert_eq!((coarse.len(), coarse[0].severity), (1, Severity::Note), "{coarse:#?}");
    let copied = found("rows", "of 1000000 copied 30");
    // Thirty, and those of a thousand rows that chance gives.
    let count = |fact: &str| copied[0].facts[fact].as_u64().unwrap();
    assert!((30..45).contains(&count("rows")) && count("rows") == count("exact"), "{copied:#?}");
    assert_eq!(copied[0].trace[0], "row 1 to test with is row 1 to learn from");
    // Without room for the rows, nothing is claimed of them.
    let mut small = Known::with_room(10);
    (0..100).for_each(|at| small.add(Row { exact: at, near: at, label: 0 }));
    assert!(small.is_full());
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
