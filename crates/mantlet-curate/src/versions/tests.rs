//! Payments of which one feed sends cents, another local time, and all another name.

use std::fmt::Write as _;

use mantlet_datachecks::version::look;
use mantlet_vocab::Place;

use mantlet_datachecks::version::How;
use mantlet_dataset::Dataset;

use super::{Versions, feeds_apart, versions};
use crate::mix_share;

/// Payments of four feeds; `change` gives the cells of a row of one feed.
fn table(seed: u64, change: impl Fn(usize, f64, u64, &'static str) -> (f64, u64, &'static str)) -> Dataset {
    let mut text = String::from("feed,amount,time,kind\n");
    for row in 0..8_000_u64 {
        let share = |stream: u64| mix_share(row, seed * 100 + stream);
        let feed = (share(1) * 4.0) as usize;
        let kind = ["travel", "grocery", "fuel"][(share(2) * share(3) * 3.0) as usize];
        let of = if kind == "travel" { 1.2 } else { 0.0 };
        let amount = (3.0 + of + 1.7 * (share(4) + share(5) + share(6) - 1.5)).exp();
        let minutes = (((share(7) + share(8)) * 0.5 * 1440.0) as u64 + 600) % 1440;
        let (amount, minutes, kind) = change(feed, amount, minutes, kind);
        let (hour, minute) = (minutes % 1440 / 60, minutes % 60);
        let day = 1 + row % 28;
        writeln!(text, "b{feed},{amount:.2},2024-03-{day:02}T{hour:02}:{minute:02}:00Z,{kind}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), text).unwrap();
    let copies = vec![(folder.path().join("t.csv"), "t.csv".to_owned())];
    Dataset::open_copies(copies, std::sync::Arc::new(folder)).unwrap()
}

fn said(found: &Versions) -> Vec<(String, String)> {
    let place = Place::artifact("t");
    let one = |own: mantlet_vocab::Finding| (own.name, own.place.part.unwrap_or_default());
    let mut said: Vec<(String, String)> = look(&found.changes, &place).into_iter().map(one).collect();
    said.sort();
    said
}

#[test]
fn units_clocks_and_names_are_told_with_their_feed() {
    let plain = |_: usize, amount: f64, minutes: u64, kind: &'static str| (amount, minutes, kind);
    let before = table(1, plain);
    let same = versions(&before, &table(2, plain), Some("feed"), &[]).unwrap();
    assert_eq!((said(&same), same.rows), (vec![], [8_000, 8_000]));
    let now = table(3, |feed, amount, minutes, kind| {
        let amount = if feed == 2 { amount * 100.0 } else { amount };
        let minutes = if feed == 1 { minutes + 120 } else { minutes };
        (amount, minutes, if kind == "travel" { "trips" } else { kind })
    });
    let found = versions(&before, &now, Some("feed"), &[]).unwrap();
    let part = |name: &str, part: &str| (name.to_owned(), part.to_owned());
    assert_eq!(
        said(&found),
        [
            part("version-renamed-words", "column kind"),
            part("version-time-shift", "column time of feed=b1"),
            part("version-unit-change", "column amount of feed=b2"),
        ]
    );
    // The same in one table, beside the other feeds; a name nobody else uses is no matter of feeds.
    let alone = feeds_apart(&now, "feed", &[]).unwrap();
    assert_eq!(said(&alone), said(&found)[1..].to_vec());
    assert_eq!(said(&feeds_apart(&before, "feed", &[]).unwrap()), vec![]);
    // Without a feed, the share of the rows is said.
    let found = versions(&before, &now, None, &["time".into()]).unwrap();
    let Some(How::Unit(own)) = found.changes.iter().map(|change| &change.how).next() else { panic!() };
    assert!((own.share - 0.25).abs() < 0.03 && own.unit.times == 100.0, "{own:?}");
    assert!(versions(&before, &now, Some("nobody"), &[]).is_err());
}
