//! Runs every room's `cases.md`, and what a schema that was inferred says of later tables.

use mantlet_vocab::{About, Finding, Place, Severity};
use proptest::prelude::*;

use super::{Holds, Inferring, Judge, Judged, Keys, Lane, Schema, SchemaError, all, look};

/// A table as a lane of words for each column; an empty cell is missing.
fn lanes(rows: &[Vec<String>], columns: usize) -> Vec<(Vec<u32>, Vec<String>)> {
    (0..columns)
        .map(|column| {
            let mut words: Vec<String> = Vec::new();
            let keys = rows.iter().map(|row| {
                let word = row.get(column).map(String::as_str).unwrap_or_default();
                if word.is_empty() {
                    return u32::MAX;
                }
                let place = words.iter().position(|known| known == word).unwrap_or_else(|| {
                    words.push(word.to_owned());
                    words.len() - 1
                });
                place as u32
            });
            (keys.collect(), words)
        })
        .collect()
}

fn borrowed(lanes: &[(Vec<u32>, Vec<String>)]) -> Vec<Lane<'_>> {
    lanes.iter().map(|(keys, words)| Lane { keys, words }).collect()
}

fn judge(schema: &Schema, header: &[String], rows: &[Vec<String>], foreign: Vec<Keys>) -> Judged {
    let mut judge = Judge::new(schema, header, foreign).unwrap();
    // Two batches say the same as one.
    for half in rows.chunks(rows.len().div_ceil(2).max(1)) {
        judge.batch(&borrowed(&lanes(half, header.len())));
    }
    judge.finish()
}

fn found(case: &str) -> Vec<Finding> {
    let mut lines = case.lines().peekable();
    let schema: Schema = serde_json::from_str(lines.next().unwrap()).unwrap();
    let mut foreign = Vec::new();
    while let Some(line) = lines.next_if(|line| line.starts_with('@')) {
        let rows: Vec<Vec<String>> =
            line.split_whitespace().map(|word| vec![word.trim_start_matches('@').to_owned()]).collect();
        let mut keys = Keys::default();
        keys.batch(&borrowed(&lanes(&rows, 1)));
        foreign.push(keys);
    }
    let split = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<String>>();
    let header = split(lines.next().unwrap());
    let rows: Vec<Vec<String>> = lines
        .flat_map(|line| {
            let (text, times) = line.rsplit_once(" *").map_or((line, 1), |(a, b)| (a, b.parse().unwrap()));
            (0..times).map(move |at: u32| split(&text.replace("{i}", &at.to_string()))).collect::<Vec<_>>()
        })
        .collect();
    look(&judge(&schema, &header, &rows, foreign), &Place::artifact("t.csv"))
}

#[test]
fn every_case_holds() {
    for room in all() {
        let mut heading = "";
        let mut count = 0;
        let mut rest = room.about.cases;
        while let Some((before, after)) = rest.split_once("```schema\n") {
            heading = before.lines().rev().find_map(|line| line.strip_prefix("## ")).unwrap_or(heading);
            let (case, after) = after.split_once("\n```").unwrap();
            let found = found(case);
            let hit = found.iter().any(|finding| finding.name == room.about.name);
            assert_eq!(hit, heading.starts_with("hit"), "{}: {heading}: {found:#?}", room.about.name);
            assert!(!heading.starts_with("benign") || found.is_empty(), "{heading}: {found:#?}");
            rest = after;
            count += 1;
        }
        assert!(count >= 4, "{}: {count} cases", room.about.name);
    }
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}

fn payments(from: u32, count: u32) -> (Vec<String>, Vec<Vec<String>>) {
    let header = ["order", "amount", "kind", "day", "note"].map(String::from).to_vec();
    let row = |at: u32| {
        let kind = ["card", "cash", "gift"][(at % 3) as usize];
        let day = format!("2024-{:02}-{:02}", 1 + at % 12, 1 + at % 28);
        let note = if at.is_multiple_of(10) { String::new() } else { format!("thanks number {at}") };
        vec![format!("AB-{:05}", at), format!("{}.25", at % 300), kind.to_owned(), day, note]
    };
    (header, (from..from + count).map(row).collect())
}

#[test]
fn what_a_table_keeps_is_written_down_and_held_against_the_next() {
    let (header, rows) = payments(0, 1000);
    let mut inferring = Inferring::new(header.clone());
    inferring.batch(&borrowed(&lanes(&rows, header.len())));
    let schema = inferring.finish();
    let column = |name: &str| schema.columns.iter().find(|column| column.name == name).unwrap();
    assert_eq!(column("order").pattern.as_deref(), Some("[A-Z]{2}[\\-][0-9]{5}"));
    assert_eq!((column("amount").kind, column("amount").range), (Holds::Numbers, Some([0.0, 598.25])));
    assert_eq!(column("kind").words.as_ref().unwrap().len(), 3);
    assert_eq!((column("day").kind, column("note").missing), (Holds::Times, 0.2));
    assert_eq!(schema.keys[0].columns, ["order"]);
    assert_eq!(schema.check(), Ok(()));
    let text = serde_json::to_string(&schema).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&text).unwrap(), schema);
    let place = Place::artifact("t");
    let (_, later) = payments(1000, 1000);
    assert_eq!(look(&judge(&schema, &header, &later, Vec::new()), &place), []);
    let mut broken = later.clone();
    broken[3][1] = "12,50 EUR".into();
    broken[4][2] = "crypto".into();
    broken[5][0] = "AB-1".into();
    broken[6][0] = broken[7][0].clone();
    let found = look(&judge(&schema, &header, &broken, Vec::new()), &place);
    let mut names: Vec<(&str, String)> =
        found.iter().map(|finding| (finding.name.as_str(), finding.place.to_string())).collect();
    names.sort();
    assert_eq!(
        names,
        [
            ("schema-broken-value", "t (column amount)".to_owned()),
            ("schema-broken-value", "t (column kind)".to_owned()),
            ("schema-broken-value", "t (column order)".to_owned()),
            ("schema-doubled-key", "t (column order)".to_owned()),
        ]
    );
    assert!(found.iter().all(|finding| finding.severity == Severity::Suspicious));
}

#[test]
fn a_schema_that_makes_no_sense_is_refused() {
    let schema = |text: &str| serde_json::from_str::<Schema>(text).unwrap();
    let fault = |text: &str| Judge::new(&schema(text), &[], Vec::new()).err();
    assert_eq!(fault(r#"{"version":2,"column":[]}"#), Some(SchemaError::Version { found: 2 }));
    let twice = fault(r#"{"version":1,"column":[{"name":"a"},{"name":"a"}]}"#);
    assert_eq!(twice, Some(SchemaError::Twice("a".into())));
    let unknown = fault(r#"{"version":1,"column":[{"name":"a"}],"unique":[{"columns":["b"]}]}"#);
    assert_eq!(unknown, Some(SchemaError::Unknown("b".into())));
    for pattern in ["(", "(a|b)*a(a|b){30}"] {
        let text = format!(r#"{{"version":1,"column":[{{"name":"a","pattern":"{pattern}"}}]}}"#);
        assert!(matches!(fault(&text), Some(SchemaError::Pattern { .. })), "{pattern}");
    }
    let bound = fault(r#"{"version":1,"column":[{"name":"a","range":[0,1]}]}"#);
    assert!(matches!(bound, Some(SchemaError::Bound { .. })), "{bound:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_table_makes_a_room_panic(rows in prop::collection::vec(prop::collection::vec("\\PC{0,12}", 0..4), 0..60)) {
        let header: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        let mut inferring = Inferring::new(header.clone());
        inferring.batch(&borrowed(&lanes(&rows, 3)));
        let schema = inferring.finish();
        // What was inferred from a table holds of it.
        let found = look(&judge(&schema, &header, &rows, Vec::new()), &Place::artifact("t"));
        prop_assert!(found.is_empty(), "{found:?}");
    }
}
