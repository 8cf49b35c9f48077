//! Runs every room's `cases.md`, and the laws all rooms share.
//!
//! A case is a table: `text *40` repeats a line forty times, with `{i}` as the number of the repetition, `{i%5}` its
//! remainder and `{h}` a fraction that differs each time. The fence names the label column, ranges and words.

use std::collections::BTreeSet;

use mantlet_vocab::{About, Finding, Place, Severity};
use proptest::prelude::*;

use super::all;
use crate::{Cell, Kind, TableSummary, infer};

struct Case {
    heading: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    options: String,
}

fn cases(markdown: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut heading = String::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title.to_owned();
        } else if let Some(options) = line.strip_prefix("```csv ") {
            let mut body = lines.by_ref().take_while(|line| *line != "```");
            let header = split(body.next().unwrap());
            let mut seed = 0;
            let rows = body.flat_map(|line| expand(line, &mut seed)).collect();
            cases.push(Case { heading: heading.clone(), header, rows, options: options.to_owned() });
        }
    }
    cases
}

fn split(line: &str) -> Vec<String> {
    line.split(',').map(str::to_owned).collect()
}

fn expand(line: &str, seed: &mut u64) -> Vec<Vec<String>> {
    let (text, times) =
        line.rsplit_once(" *").map_or((line, 1), |(text, times)| (text, times.parse().unwrap()));
    let one = |i: u64| {
        let mut text = text.replace("{i}", &i.to_string());
        for modulus in 2..100_u64 {
            text = text.replace(&format!("{{i%{modulus}}}"), &(i % modulus).to_string());
        }
        while let Some(at) = text.find("{h}") {
            *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = *seed;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            // After a digit it is that number's fraction, alone a fraction of 1.
            let digit = at > 0 && text.as_bytes()[at - 1].is_ascii_digit();
            let fraction = format!("{}.{:06}", if digit { "" } else { "0" }, (mixed >> 20) % 1_000_000);
            text.replace_range(at..at + 3, &fraction);
        }
        split(&text)
    };
    (0..times).map(one).collect()
}

fn summarise(case: &Case) -> TableSummary {
    let mut label = None;
    let mut ranges = Vec::new();
    let mut words = Vec::new();
    for option in case.options.split_whitespace() {
        let (key, value) = option.split_once('=').unwrap();
        if key == "label" {
            label = Some(value);
        } else if let Some(column) = key.strip_prefix("range:") {
            let (low, high) = value.split_once("..").unwrap();
            ranges.push((column, (low.parse().unwrap(), high.parse().unwrap())));
        } else if let Some(column) = key.strip_prefix("words:") {
            words.push((column, value.split('|').map(str::to_owned).collect::<Vec<_>>()));
        }
    }
    let mut columns = infer(&case.header, &case.rows, label);
    for column in &mut columns {
        column.range = ranges.iter().find(|(name, _)| *name == column.name).map(|(_, range)| *range);
        column.categories =
            words.iter().find(|(name, _)| *name == column.name).map(|(_, words)| words.clone());
    }
    let mut table = TableSummary::new(columns);
    for row in &case.rows {
        let cells: Vec<Cell<'_>> = row.iter().map(|cell| Cell::parse(cell)).collect();
        table.row(&cells);
    }
    table
}

fn check(case: &Case) -> Vec<Finding> {
    crate::check(&summarise(case), Place::artifact("t.csv"))
}

#[test]
fn each_room_hits_its_hits_and_nothing_else() {
    for room in all() {
        let name = room.about.name;
        for case in cases(room.about.cases) {
            let found = check(&case);
            let hit = found.iter().any(|finding| finding.name == name);
            assert_eq!(hit, case.heading.starts_with("hit"), "{name}: {}: {found:#?}", case.heading);
            if case.heading.starts_with("benign") {
                assert!(
                    found.iter().all(|finding| finding.severity == Severity::Note),
                    "{}: {found:#?}",
                    case.heading
                );
            }
        }
    }
}

#[test]
fn the_house_is_in_order() {
    assert_eq!(About::faults(&crate::abouts()), []);
}

#[test]
fn the_order_of_rows_does_not_change_what_is_found() {
    for room in all() {
        for mut case in cases(room.about.cases) {
            let names =
                |found: Vec<Finding>| -> BTreeSet<String> { found.into_iter().map(|f| f.name).collect() };
            let before = names(check(&case));
            case.rows.reverse();
            let middle = case.rows.len() / 3;
            case.rows.rotate_left(middle);
            assert_eq!(before, names(check(&case)), "{}", case.heading);
        }
    }
}

#[test]
fn a_targeted_flip_is_suspicious_and_says_its_direction() {
    let about = all().iter().find(|room| room.about.name == "datacheck-label-outlier").unwrap().about;
    let finding =
        check(&cases(about.cases)[0]).into_iter().find(|finding| finding.name == about.name).unwrap();
    assert_eq!(finding.severity, Severity::Suspicious);
    assert_eq!(finding.facts["main_direction"], "red -> green");
}

#[test]
fn contradicting_copies_are_suspicious_and_coarse_columns_are_not() {
    let severity = |markdown: &str| {
        let found = check(&cases(markdown).remove(0));
        found.into_iter().find(|finding| finding.name == "datacheck-conflicting-labels").unwrap().severity
    };
    let copies = "```csv label=y\na,b,y\n{h},{h},{i%2} *100\n5.{i},1,0 *3\n5.{i},1,1 *3\n```";
    assert_eq!(severity(copies), Severity::Suspicious);
    let coarse = "```csv label=y\na,b,y\n{i%7},{i%5},0 *140\n{i%3},{i%2},1 *12\n```";
    assert_eq!(severity(coarse), Severity::Note);
}

#[test]
fn what_was_not_looked_at_is_said() {
    let place = Place::artifact("t.csv");
    let empty = TableSummary::new(infer(&["a", "y"], &[], None));
    assert_eq!(empty.gaps(&place).len(), 1);
    let examination = crate::examine(&empty, place, 0, None, "csv");
    assert_eq!(examination.verdict(Severity::Suspicious).exit_code(), 2);
}

fn any_cell() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{0,2}", "-?[0-9]{1,3}", Just("inf".to_owned()), Just("1e308".to_owned()), "\\PC{0,120}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_table_makes_a_room_panic(rows in prop::collection::vec(prop::collection::vec(any_cell(), 0..5), 0..140)) {
        let header = ["a", "b", "c", "label"];
        let rows_of = rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect::<Vec<Vec<&str>>>();
        let columns = infer(&header, &rows_of, None);
        prop_assert_eq!(columns[3].kind, Kind::Label);
        let mut table = TableSummary::new(columns);
        for row in &rows {
            table.row(&row.iter().map(|cell| Cell::parse(cell)).collect::<Vec<_>>());
        }
        let found = crate::check(&table, Place::artifact("t"));
        prop_assert_eq!(found, crate::check(&table, Place::artifact("t")));
    }
}
