//! Runs every room's `cases.md`.

use mantlet_vocab::{About, Place};

use super::{Somewhere, all, look, strength, uneven};

fn feeds(case: &str) -> Vec<Somewhere> {
    let one = |(at, share): (usize, &str)| {
        let same = (share.parse::<f64>().unwrap() * 500.0).round() as u64;
        Somewhere { name: format!("F{at}"), counts: vec![vec![same, 500 - same], vec![500 - same, same]] }
    };
    case.split_whitespace().enumerate().map(one).collect()
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
            } else if line == "```feeds" {
                let relation = uneven("mark", "feed", &feeds(lines.next().unwrap()));
                let found = look(&relation.into_iter().collect::<Vec<_>>(), &Place::artifact("t"));
                assert_eq!(!found.is_empty(), heading.starts_with("hit"), "{heading}: {found:#?}");
                count += 1;
            }
        }
        assert!(count >= 5);
    }
}

#[test]
fn the_places_are_named() {
    let relation = uneven("mark", "feed", &feeds("0.95 0.9 0.5 0.5 0.5")).unwrap();
    let names: Vec<&str> = relation.there.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, relation.rows, relation.reversed), (vec!["F0", "F1"], 2_000, false));
    let relation = uneven("mark", "feed", &feeds("0.9 0.88 0.92 0.1")).unwrap();
    assert_eq!((relation.there[0].0.as_str(), relation.reversed), ("F3", true));
}

#[test]
fn strength_has_no_bias_and_survives_odd_tables() {
    assert_eq!(strength(&[vec![10, 0], vec![0, 10]]).round(), 1.0);
    assert_eq!(strength(&[]), 0.0);
    assert_eq!(strength(&[vec![], vec![0, 0, 1]]), 0.0);
    assert_eq!(strength(&[vec![5, 5], vec![5, 5]]), 0.0);
    assert_eq!(uneven("a", "feed", &[]), None);
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
