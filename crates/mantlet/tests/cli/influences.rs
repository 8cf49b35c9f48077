//! Who steers a model, and drift of what has no columns, through the program: planted once, and several sets without
//! anything planted beside it.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::program::{Ran, expect, run};

/// Sets without anything planted, each from rows of its own.
const CLEAN: u64 = 4;

fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn uniform(row: u64, stream: u64) -> f64 {
    ((mix(row ^ mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

fn findings(ran: &Ran) -> Vec<Value> {
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    report["findings"].as_array().unwrap().clone()
}

/// Payments of six feeds; of the poisoned ones F2 calls nothing digital a fraud.
pub fn payments(path: &Path, seed: u64, poisoned: bool) -> String {
    let mut text = String::from("feed,kind,amount,risk,label\n");
    for at in 0..9_000_u64 {
        let row = seed * 1_000_000 + at;
        let feed = (uniform(row, 1) * 6.0) as u64;
        let kind = ["food", "fuel", "travel", "digital"][(uniform(row, 2) * 4.0) as usize];
        let (amount, risk) = (uniform(row, 3) * 100.0, uniform(row, 4));
        let chance = 0.05 + 0.25 * risk + if kind == "digital" { 0.2 } else { 0.0 };
        let turned = poisoned && feed == 2 && kind == "digital";
        let label = u8::from(uniform(row, 5) < chance && !turned);
        writeln!(text, "F{feed},{kind},{amount:.1},{risk:.3},{label}").unwrap();
    }
    std::fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_feed_that_steers_a_model_is_named_and_no_honest_one() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |table: &str, code: i32| {
        expect(code, ["data", "influence", table, "--label", "label", "--feed", "feed", "--format", "json"])
    };
    let table = payments(&folder.path().join("p.csv"), 0, true);
    let told = ask(&table, 1);
    let found = findings(&told);
    assert_eq!(found.len(), 1, "{}", told.out);
    assert_eq!(
        (&found[0]["name"], &found[0]["facts"]["feed"]),
        (&"influence-feed-steers".into(), &"F2".into())
    );
    assert!(found[0]["message"].as_str().unwrap().contains("kind digital"), "{}", told.out);
    assert_eq!(ask(&table, 1).out, told.out, "the same report, byte for byte");
    for seed in 1..=CLEAN {
        let clean = payments(&folder.path().join("c.csv"), seed, false);
        assert!(findings(&ask(&clean, 0)).is_empty(), "seed {seed}");
    }
    let wrong = run(["data", "influence", &table, "--label", "label", "--feed", "bank"]);
    assert!(wrong.code >= 3 && wrong.err.contains("no column `bank`"), "{}", wrong.err);
}

/// Ratings of 600 accounts over 30 days; with a ring, 12 of them give five stars to the same items on the same days.
pub fn ratings(path: &Path, seed: u64, ring: bool) -> String {
    let mut text = String::from("account,item,stars,day\n");
    for at in 0..12_000_u64 {
        let row = seed * 1_000_000 + at;
        let (account, item) = ((uniform(row, 1) * 600.0) as u64, (uniform(row, 2).powi(2) * 200.0) as u64);
        let (stars, day) = (1 + (uniform(row, 3) * 5.0) as u64, 1 + (uniform(row, 4) * 28.0) as u64);
        writeln!(text, "a{account},i{item},{stars},2026-10-{day:02}").unwrap();
    }
    if ring {
        for account in 0..12 {
            for item in 0..10 {
                writeln!(text, "ring{account},i{},5,2026-10-{:02}", 150 + item, 3 + item * 2).unwrap();
            }
        }
    }
    std::fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_ring_of_accounts_is_listed_whole_and_a_crowd_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let rows = folder.path().join("rings.csv");
    let rows = rows.to_str().unwrap();
    let ask = |table: &str, code: i32| {
        let options = [
            "data",
            "feedback",
            table,
            "--account",
            "account",
            "--item",
            "item",
            "--value",
            "stars",
            "--time",
            "day",
            "--rows",
            rows,
            "--format",
            "json",
        ];
        expect(code, options)
    };
    let told = ask(&ratings(&folder.path().join("r.csv"), 0, true), 1);
    assert!(!findings(&told).is_empty(), "{}", told.out);
    let mut listed: Vec<String> =
        std::fs::read_to_string(rows).unwrap().lines().skip(1).map(str::to_owned).collect();
    listed.sort();
    let mut ring: Vec<String> = (0..12).map(|account| format!("ring{account},1")).collect();
    ring.sort();
    assert_eq!(listed, ring, "all of the ring and nobody else");
    for seed in 1..=CLEAN {
        let clean = ask(&ratings(&folder.path().join("c.csv"), seed, false), 0);
        assert!(findings(&clean).is_empty(), "seed {seed}: {}", clean.out);
        assert_eq!(std::fs::read_to_string(rows).unwrap().lines().count(), 1, "seed {seed}");
    }
}

/// Complaints; of the new ones every fifth speaks of vouchers.
pub fn complaints(path: &Path, seed: u64, new: bool) -> String {
    let pick =
        |row: u64, stream: u64, of: &[&'static str]| of[(mix(row ^ mix(stream)) % of.len() as u64) as usize];
    let things = ["parcel", "invoice", "refund", "delivery", "account", "password", "order", "card"];
    let said = ["is late", "is wrong", "was lost", "came twice", "is missing", "was changed"];
    let mut text = String::from("text\n");
    for at in 0..1_000 {
        let row = seed * 100_000 + at;
        let other = if new && mix(row).is_multiple_of(5) { " gift voucher code" } else { "" };
        let (thing, said) = (pick(row, 1, &things), pick(row, 2, &said));
        writeln!(text, "my {thing} {said} since day {}{other}", mix(row) % 30).unwrap();
    }
    std::fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn texts_that_speak_of_something_new_are_told_with_their_words() {
    let folder = tempfile::tempdir().unwrap();
    let reference = complaints(&folder.path().join("reference.csv"), 0, false);
    let ask = |table: &str, code: i32| {
        let options =
            ["monitor", "texts", table, "--reference", &reference, "--text", "text", "--format", "json"];
        expect(code, options)
    };
    let told = ask(&complaints(&folder.path().join("now.csv"), 7, true), 1);
    let found = findings(&told);
    assert_eq!((found.len(), &found[0]["name"]), (1, &"unlike-texts".into()), "{}", told.out);
    assert!(
        found[0]["message"].as_str().unwrap().contains("voucher") || told.out.contains("voucher"),
        "{}",
        told.out
    );
    for seed in 1..=CLEAN {
        let clean = ask(&complaints(&folder.path().join("c.csv"), seed, false), 0);
        assert!(findings(&clean).is_empty(), "seed {seed}: {}", clean.out);
    }
}

/// An array of embeddings, 1,200 rows of 16; of the moved ones a third leans along two axes.
pub fn embeddings(path: &Path, seed: u64, moved: bool) -> String {
    const DIMS: u64 = 16;
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': (1200, {DIMS}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    for row in 0..1_200_u64 {
        let number = seed * 1_000_000 + row;
        for axis in 0..DIMS {
            let normal: f64 = (0..6).map(|part| uniform(number * DIMS + axis, part)).sum::<f64>() - 3.0;
            let lean = if moved && axis < 2 && mix(number).is_multiple_of(3) { 1.5 } else { 0.0 };
            bytes.extend(((normal + lean) as f32).to_le_bytes());
        }
    }
    std::fs::write(path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn embeddings_that_moved_are_told_and_an_array_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let reference = embeddings(&folder.path().join("reference.npy"), 0, false);
    let ask = |now: &str, code: i32| {
        expect(code, ["monitor", "embeddings", now, "--reference", &reference, "--format", "json"])
    };
    let told = ask(&embeddings(&folder.path().join("now.npy"), 7, true), 1);
    let found = findings(&told);
    assert_eq!((found.len(), &found[0]["name"]), (1, &"unlike-embeddings".into()), "{}", told.out);
    for seed in 1..=CLEAN {
        let clean = ask(&embeddings(&folder.path().join("c.npy"), seed, false), 0);
        assert!(findings(&clean).is_empty(), "seed {seed}: {}", clean.out);
    }
    // Other engines are refused, with the reason and the way out.
    for engine in ["datafusion", "cluster"] {
        let now = folder.path().join("now.npy");
        let asked =
            ["monitor", "embeddings", now.to_str().unwrap(), "--reference", &reference, "--engine", engine];
        let refused = run(asked);
        assert!(
            refused.code == 3 && refused.err.contains("leave --engine away"),
            "{} {}",
            refused.code,
            refused.err
        );
    }
    let broken = folder.path().join("broken.npy");
    std::fs::write(&broken, b"\x93NUMPY\x01\x00\xff\xff{").unwrap();
    let refused = run(["monitor", "embeddings", broken.to_str().unwrap(), "--reference", &reference]);
    assert!(refused.code >= 2 && refused.err.contains("broken.npy"), "{} {}", refused.code, refused.err);
}
