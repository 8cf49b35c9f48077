//! Runs every room's `cases.md`.

use mantlet_vocab::{About, Finding, Place};

use super::{Act, Acts, all, look, rings};
use crate::feed::tests::uniform;

fn acts(case: &str, seed: u64) -> Acts {
    let number = |word: &str| -> u64 {
        let mut words = case.split(' ').skip_while(|own| *own != word);
        words.nth(1).unwrap().parse().unwrap()
    };
    let (ring, items, others, days) = (number("ring"), number("items"), number("others"), number("days"));
    let mut own = Acts {
        accounts: (0..400 + ring).map(|account| format!("a{account}")).collect(),
        items: (0..80).map(|item| format!("i{item}")).collect(),
        values: (1..=5).map(|value: u32| value.to_string()).collect(),
        ..Acts::default()
    };
    let mut ordinary = |account: u64, count: u64| {
        for at in 0..count {
            let row = account * 1_000 + at;
            // Some items are rated by nearly everybody, and most ratings are good.
            let item = (uniform(row, seed).powi(2) * 80.0) as u32;
            let value = (uniform(row, seed + 1).sqrt() * 5.0) as u32;
            let time = (uniform(row, seed + 2) * 60.0) as i32;
            own.acts.push(Act { account: account as u32, item, value, time });
        }
    };
    (0..400).for_each(|account| ordinary(account, 5 + (uniform(account, seed + 3) * 25.0) as u64));
    for account in 400..400 + ring {
        ordinary(account, others);
    }
    for account in 400..400 + ring {
        for at in 0..items {
            let time = 20 + at as i32 + (uniform(account * 100 + at, seed + 4) * days as f64) as i32;
            own.acts.push(Act { account: account as u32, item: 70 + at as u32, value: 4, time });
        }
    }
    own
}

fn found(case: &str, seed: u64) -> Vec<Finding> {
    let acts = acts(case, seed);
    rings(&acts).0.iter().flat_map(|ring| look(ring, &acts, &Place::artifact("case"))).collect()
}

#[test]
fn every_case_holds() {
    for room in all() {
        let mut heading = "";
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            } else if line == "```feedback" {
                let found = found(lines.next().unwrap(), 100);
                assert_eq!(found.len(), usize::from(heading.starts_with("hit")), "{heading}: {found:#?}");
            }
        }
    }
}

#[test]
fn the_ring_is_told_whole_with_its_items_and_without_honest_accounts() {
    let acts = acts("ring 12 items 4 others 2 days 1", 7);
    let (found, crowded) = rings(&acts);
    assert!(!crowded && found.len() == 1, "{found:?}");
    assert_eq!(found[0].accounts, (400..412).collect::<Vec<_>>());
    let mut items: Vec<u32> = found[0].steered.iter().map(|own| own.item).collect();
    items.sort_unstable();
    assert_eq!(items, [70, 71, 72, 73]);
    assert!(found[0].steered.iter().all(|own| own.value == 4 && own.with > own.without));
}

#[test]
fn honest_tables_are_quiet() {
    let told = (0..40).filter(|seed| !found("ring 0 items 0 others 0 days 1", 1_000 + 10 * seed).is_empty());
    assert!(told.count() <= 1);
    assert!(rings(&Acts::default()).0.is_empty());
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
