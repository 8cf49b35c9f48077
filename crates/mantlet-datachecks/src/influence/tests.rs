//! Runs every room's `cases.md`.

use mantlet_vocab::{About, Place};

use super::{Effect, InfluenceSettings, all, look};

#[test]
fn every_case_holds() {
    for room in all() {
        let mut heading = "";
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            } else if line == "```influence" {
                let numbers: Vec<f64> =
                    lines.next().unwrap().split(' ').filter_map(|word| word.parse().ok()).collect();
                let effect = Effect {
                    feed: "F4".into(),
                    rows: 100,
                    segment: Some(("kind".into(), "digital".into())),
                    label: "1".into(),
                    with: numbers[0],
                    without: numbers[1],
                    usual: numbers[2],
                    said: (0.01, 0.04),
                };
                let found = look(&[effect], InfluenceSettings::default(), &Place::artifact("case"));
                assert_eq!(found.len(), usize::from(heading.starts_with("hit")), "{heading}: {found:#?}");
                assert!(found.iter().all(|finding| finding.facts["feed"] == "F4"));
            }
        }
    }
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
