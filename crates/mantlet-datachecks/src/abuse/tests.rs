//! Runs every room's `cases.md`.

use mantlet_vocab::About;

use super::{Words, all};

#[test]
fn every_case_holds() {
    for room in all() {
        let mut heading = "";
        let mut count = 0;
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            } else if let Some(wanted) = line.strip_prefix("```").filter(|wanted| !wanted.is_empty()) {
                let text = lines.next().unwrap();
                let told = (room.look)(&Words::of(text)).map_or("none", super::Abuse::word);
                assert_eq!(told, wanted, "{heading}: {text}");
                assert_eq!(wanted != "none", heading.starts_with("hit"), "{heading}");
                count += 1;
            }
        }
        assert!(count >= 12, "{count} cases");
    }
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
