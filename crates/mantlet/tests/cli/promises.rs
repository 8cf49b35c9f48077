//! `mantlet data schema`, `check` and `diff`: what a table promises, what came before it, and what it is tested with.

use std::fmt::Write as _;

use crate::data::{names, report, uniform, week};
use crate::program::{expect, run};

#[test]
fn a_schema_is_written_once_and_held_against_what_comes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("v1.csv"), week(1)).unwrap();
    let said = expect(0, ["data", "schema", &at("v1.csv"), "--out", &at("schema.toml")]).out;
    assert!(said.contains("what 5 columns keep"), "{said}");
    let text = std::fs::read_to_string(at("schema.toml")).unwrap();
    assert!(text.contains("name = \"kind\"") && text.contains("\"k3\""), "{text}");
    let schema = at("schema.toml");
    std::fs::write(at("v2.csv"), week(2)).unwrap();
    expect(0, ["data", "check", &at("v2.csv"), "--label", "label", "--schema", &schema]);
    // A word nobody promised, text among numbers, a column too many, and a bank that does not exist.
    std::fs::write(at("banks.csv"), "name\nbank0\nbank1\nbank2\nbank3\nbank4\n").unwrap();
    let reference = "\n[[reference]]\ncolumns = [\"feed\"]\ntable = \"banks.csv\"\nto = [\"name\"]\n";
    std::fs::write(at("schema.toml"), text.replace("\"bank4\"", "\"bank4\", \"bank9\"") + reference).unwrap();
    let broken = week(3).replacen(",k1,", ",k9,", 3).replacen("bank2,", "bank9,", 5);
    let broken = broken.replacen(",0\n", "x,0\n", 2);
    std::fs::write(at("v3.csv"), broken).unwrap();
    let found = expect(
        1,
        ["data", "check", &at("v3.csv"), "--label", "label", "--schema", &schema, "--format", "json"],
    );
    let findings = report(&found);
    let of = |name: &str| findings.iter().filter(|finding| finding["name"] == name).count();
    assert_eq!((of("schema-dangling-reference"), of("schema-broken-value")), (1, 2), "{}", found.out);
    let wrong = run(["data", "check", &at("v2.csv"), "--schema", &at("v2.csv")]);
    assert!(wrong.code == 4 && wrong.err.contains("is no schema"), "{}", wrong.err);
}

#[test]
fn units_names_and_rows_on_both_sides_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("v1.csv"), week(1)).unwrap();
    // One bank sends cents, and a kind has another name.
    let cents = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        if cells[0] != "bank3" {
            return line.replace(",k1,", ",trips,");
        }
        let amount = cells[2].parse::<f64>().unwrap() * 100.0;
        format!("{},{},{amount:.2},{},{}", cells[0], cells[1], cells[3], cells[4]).replace(",k1,", ",trips,")
    };
    let now: Vec<String> = week(2).lines().map(cents).collect();
    std::fs::write(at("v2.csv"), now.join("\n") + "\n").unwrap();
    let found = expect(
        1,
        ["data", "diff", &at("v2.csv"), "--before", &at("v1.csv"), "--feed", "feed", "--format", "json"],
    );
    let findings = report(&found);
    let part = |name: &str| {
        let own = findings.iter().find(|finding| finding["name"] == name);
        own.unwrap_or_else(|| panic!("{name}: {}", found.out))["place"]["part"].as_str().unwrap().to_owned()
    };
    assert_eq!(part("version-unit-change"), "column amount of feed=bank3");
    assert_eq!(part("version-renamed-words"), "column kind");
    let alone = ["data", "check", &at("v2.csv"), "--label", "label", "--feed", "feed", "--format", "json"];
    let alone = expect(1, alone);
    assert!(names(&report(&alone)).contains(&"version-unit-change"), "{}", alone.out);
    expect(0, ["data", "check", &at("v1.csv"), "--label", "label", "--feed", "feed"]);
    // A hundred rows to test with were learned from.
    let leaked: Vec<String> = week(1)
        .lines()
        .take(101)
        .chain(week(4).lines().skip(1).take(900).collect::<Vec<_>>())
        .map(str::to_owned)
        .collect();
    std::fs::write(at("test.csv"), leaked.join("\n") + "\n").unwrap();
    let found = expect(
        1,
        ["data", "check", &at("v1.csv"), "--label", "label", "--test", &at("test.csv"), "--format", "json"],
    );
    let findings = report(&found);
    let shared = findings.iter().find(|finding| finding["name"] == "split-shared-rows").unwrap();
    assert_eq!((&shared["facts"]["rows"], &shared["facts"]["exact"]), (&100.into(), &100.into()));
    std::fs::write(at("apart.csv"), week(5)).unwrap();
    expect(0, ["data", "check", &at("v1.csv"), "--label", "label", "--test", &at("apart.csv")]);
}

#[test]
fn a_table_of_any_format_and_length_is_checked_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // More rows than were once read at once, the fault at the end.
    let mut text = String::from("kind,amount,label\n");
    (0..230_000_u64)
        .for_each(|row| writeln!(text, "k{},{:.9},{}", row % 5, uniform(row, 1), row % 2).unwrap());
    std::fs::write(at("long.csv"), &text).unwrap();
    expect(0, ["data", "check", &at("long.csv"), "--label", "label"]);
    std::fs::write(at("long.csv"), text + &"k1,0.5,1\n".repeat(40_000)).unwrap();
    let found = expect(1, ["data", "check", &at("long.csv"), "--label", "label", "--format", "json"]);
    assert!(names(&report(&found)).contains(&"datacheck-duplicate-rows"), "{}", found.out);
    let lines: String = (0..300)
        .map(|row| {
            format!("{{\"kind\":\"k{}\",\"amount\":{},\"label\":{}}}\n", row % 5, row * 7 % 101, row % 2)
        })
        .collect();
    std::fs::write(at("t.jsonl"), lines).unwrap();
    let ran = run(["data", "check", &at("t.jsonl"), "--label", "label", "--format", "json"]);
    assert!(ran.code <= 1 && ran.out.contains("json lines"), "{} {}", ran.out, ran.err);
}
