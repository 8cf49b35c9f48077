//! What was not looked at is never called clean, and what is read is never written over.

use std::fmt::Write as _;

use serde_json::Value;

use crate::data::uniform;
use crate::program::{expect, run};

struct Tables(tempfile::TempDir);

impl Tables {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.at(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Payments of six weeks of days, with an amount, what was said and what was true. `wrong` is the chance of an error where
/// the amount is above 250, elsewhere it is 1 in 10.
fn payments(seed: u64, wrong: f64) -> String {
    let mut text = String::from("day,amount,age,kind,said,true,none\n");
    for row in 0..12_000_u64 {
        let draw = |stream: u64| uniform(seed * 100_000 + row, stream);
        let (amount, age) = (draw(1) * 300.0, 18.0 + draw(2) * 60.0);
        let truth = u8::from(draw(3) < 0.3);
        let chance = if amount > 250.0 { wrong } else { 0.1 };
        let said = if draw(4) < chance { 1 - truth } else { truth };
        let kind = ["card", "cash", "wire"][(draw(5) * 3.0) as usize];
        let word = |positive: u8| if positive == 1 { "yes" } else { "no" };
        writeln!(text, "{},{amount:.2},{age:.2},{kind},{},{},", row / 300, word(said), word(truth)).unwrap();
    }
    text
}

fn gaps(out: &str) -> String {
    let report: Value = serde_json::from_str(out).unwrap();
    report["artifacts"][0]["gaps"].to_string()
}

#[test]
fn errors_in_a_range_of_a_number_are_found() {
    let tables = Tables::new();
    let reference = tables.write("then.csv", &payments(1, 0.1));
    let (same, worse) =
        (tables.write("same.csv", &payments(2, 0.1)), tables.write("worse.csv", &payments(3, 0.7)));
    let look = |now: &str, code: i32| {
        let judged = ["--label", "true", "--prediction", "said", "--without", "day", "--without", "none"];
        let named = ["monitor", "segments", now, "--reference", &reference, "--format", "json"];
        expect(code, [&named[..], &judged].concat()).out
    };
    look(&same, 0);
    let told = look(&worse, 1);
    let report: Value = serde_json::from_str(&told).unwrap();
    let first = &report["findings"][0];
    assert_eq!(first["name"], "segment-loss", "{told}");
    let place = first["place"]["part"].as_str().unwrap();
    assert!(place.starts_with("segment amount") && place.contains("and above"), "{place}");
    assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{told}");
}

#[test]
fn a_positive_that_no_row_has_is_asked_about_and_rows_without_labels_are_said() {
    let tables = Tables::new();
    let (then, now) =
        (tables.write("then.csv", &payments(1, 0.1)), tables.write("now.csv", &payments(2, 0.1)));
    let fairness = |more: &[&str]| {
        let named =
            ["monitor", "fairness", &now, "--reference", &then, "--decision", "said", "--group", "kind"];
        run([&named[..], &["--format", "json"], more].concat())
    };
    for wrong in [&[][..], &["--positive", "fraud"]] {
        let ran = fairness(wrong);
        assert!(ran.code == 3 && ran.err.contains("--positive"), "{} {}", ran.code, ran.err);
    }
    let ran = fairness(&["--positive", "yes"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let ran = fairness(&["--positive", "yes", "--label", "none"]);
    assert!(ran.code == 2 && gaps(&ran.out).contains("has a label in `none`"), "{}{}", ran.out, ran.err);
    let watch = |more: &[&str]| {
        let named = ["monitor", "watch", &now, "--reference", &then, "--time", "day", "--season", "none"];
        run([&named[..], &["--prediction", "said", "--format", "json"], more].concat())
    };
    for wrong in [&[][..], &["--positive", "fraud"]] {
        let ran = watch(wrong);
        assert!(ran.code == 3 && ran.err.contains("--positive"), "{} {}", ran.code, ran.err);
    }
    let ran = watch(&["--positive", "yes", "--segment", "kind", "--label", "true"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let ran = watch(&["--positive", "yes", "--segment", "amount"]);
    assert!(ran.code == 2 && gaps(&ran.out).contains("`amount` divides nothing"), "{}{}", ran.out, ran.err);
    let ran = watch(&["--positive", "yes", "--label", "none"]);
    assert!(ran.code == 2 && gaps(&ran.out).contains("has a label in `none`"), "{}{}", ran.out, ran.err);
    let named =
        ["monitor", "segments", &now, "--reference", &then, "--label", "none", "--prediction", "said"];
    let ran = run([&named[..], &["--format", "json"]].concat());
    assert!(ran.code == 2 && gaps(&ran.out).contains("errors were not looked for"), "{}{}", ran.out, ran.err);
}

#[test]
fn a_column_without_a_text_is_said() {
    let tables = Tables::new();
    let mut text = String::from("text,other\n");
    (0..300).for_each(|row| writeln!(text, ",the delivery number {row} came late").unwrap());
    let table = tables.write("t.csv", &text);
    for (column, code) in [("text", 2), ("other", 0)] {
        for command in ["texts", "floods"] {
            let ran = run(["data", command, &table, "--text", column, "--format", "json"]);
            let said = gaps(&ran.out).contains("no row has a text in column `text`");
            // Sentences that differ in a number are near copies, which is another matter.
            let as_expected = ran.code == code || (command == "floods" && column == "other");
            assert!(as_expected && said == (column == "text"), "{command} {column}: {}{}", ran.out, ran.err);
        }
    }
}

#[test]
fn a_column_that_went_or_came_is_said_and_the_others_are_compared() {
    let tables = Tables::new();
    let (whole, later) = (payments(1, 0.1), payments(2, 0.1));
    // Without the last column but one, and with ages doubled.
    let cut = |text: &str, age: f64| -> String {
        let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        text.lines()
            .map(cells)
            .map(|mut cells| {
                cells.remove(5);
                if let Ok(own) = cells[2].parse::<f64>() {
                    cells[2] = format!("{:.2}", own + age);
                }
                cells.join(",") + "\n"
            })
            .collect()
    };
    let (before, same) = (tables.write("before.csv", &whole), tables.write("same.csv", &cut(&later, 0.0)));
    let older = tables.write("older.csv", &cut(&later, 30.0));
    let diff = |from: &str, to: &str, code: i32| {
        expect(code, ["data", "diff", to, "--before", from, "--format", "json"]).out
    };
    assert!(diff(&before, &same, 2).contains("column `true` is gone"));
    assert!(diff(&same, &before, 2).contains("column `true` is new"));
    let told = diff(&before, &older, 1);
    assert!(told.contains("column `true` is gone") && told.contains("column age"), "{told}");
}

#[test]
fn columns_that_were_not_crossed_are_said() {
    let tables = Tables::new();
    let table = |columns: usize| {
        let mut text = (0..columns).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",") + "\n";
        for row in 0..400_u64 {
            let cells = (0..columns as u64).map(|column| format!("{:.4}", uniform(row, column)));
            writeln!(text, "{}", cells.collect::<Vec<_>>().join(",")).unwrap();
        }
        tables.write(&format!("{columns}.csv"), &text)
    };
    let keys = tables.at("keys");
    for (columns, code) in [(64, 0), (70, 2)] {
        let (table, profile) = (table(columns), tables.at(&format!("{columns}.json")));
        expect(0, ["monitor", "baseline", &table, "--out", &profile, "--storage", &keys]);
        let named = ["monitor", "drift", &table, "--baseline", &profile, "--storage", &keys];
        let ran = expect(code, [&named[..], &["--format", "json"]].concat());
        assert_eq!(gaps(&ran.out).contains("first 64 of 70 columns"), columns == 70, "{}", ran.out);
    }
}

#[test]
fn nothing_is_written_over_what_is_read() {
    let tables = Tables::new();
    let text = payments(1, 0.1);
    let (table, other) = (tables.write("t.csv", &text), tables.write("u.csv", &text));
    let link = tables.at("link.csv");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&table, &link).unwrap();
    #[cfg(not(unix))]
    std::fs::hard_link(&table, &link).unwrap();
    let keys = tables.at("keys");
    for out in [table.as_str(), &link] {
        let flip = ["--label", "true", "--kind", "flip", "--to", "yes"];
        let segments = ["--label", "true", "--prediction", "said"];
        let watch = ["--reference", &other, "--time", "day", "--prediction", "said", "--positive", "yes"];
        let group = ["--decision", "said", "--positive", "yes", "--group", "kind"];
        for command in [
            [&["data", "simulate", &table, "--out", out][..], &flip].concat(),
            [&["data", "simulate", &table, "--out", &tables.at("new.csv"), "--truth", out][..], &flip]
                .concat(),
            vec!["monitor", "baseline", &table, "--out", out, "--storage", &keys],
            vec!["data", "schema", &table, "--out", out],
            vec!["data", "labels", &table, "--label", "true", "--rows", out],
            vec!["data", "texts", &table, "--text", "kind", "--rows", out],
            vec!["data", "floods", &table, "--rows", out],
            vec!["data", "check", &table, "--label", "true", "--output", out],
            [&["monitor", "segments", &other, "--reference", &table, "--review-out", out][..], &segments]
                .concat(),
            [&["monitor", "watch", &table, "--alerts", out][..], &watch].concat(),
            [&["monitor", "fairness", &other, "--reference", &table, "--output", out][..], &group].concat(),
        ] {
            let ran = run(command.clone());
            assert!(
                ran.code == 3 && ran.err.contains("name another file"),
                "{command:?}: {} {}",
                ran.code,
                ran.err
            );
            assert_eq!(std::fs::read_to_string(&table).unwrap(), text, "{command:?}");
        }
    }
    // A file that is not read may be replaced.
    let flip = ["--label", "true", "--kind", "flip", "--to", "yes", "--out", &other];
    expect(0, [&["data", "simulate", &table][..], &flip].concat());
    assert_ne!(std::fs::read_to_string(&other).unwrap(), text);
}

#[test]
fn a_copy_in_which_nothing_was_planted_is_an_error_and_is_not_left() {
    let tables = Tables::new();
    let table = tables.write("t.csv", &payments(1, 0.1));
    let plant = |out: &str, cell: &str| {
        run([
            "data", "simulate", &table, "--label", "true", "--kind", "flip", "--to", "yes", "--cell", cell,
            "--out", out,
        ])
    };
    let out = tables.at("copy.csv");
    let ran = plant(&out, "kind=nosuch");
    assert!(ran.code == 3 && ran.err.contains("nothing was planted"), "{} {}", ran.code, ran.err);
    assert!(!std::path::Path::new(&out).exists());
    let ran = plant(&tables.at("copy.parquet"), "kind=card");
    assert!(ran.code == 3 && ran.err.contains("written as CSV"), "{} {}", ran.code, ran.err);
    assert_eq!(plant(&out, "kind=card").code, 0);
    assert!(std::path::Path::new(&out).exists());
    // Nor is a folder of copies.
    let folder = tables.at("ramp");
    let ramp = ["--kind", "flip", "--to", "yes", "--cell", "kind=nosuch", "--ramp", "--out", &folder];
    let ran = run([&["data", "simulate", &table, "--label", "true"][..], &ramp].concat());
    assert!(ran.code == 3 && !std::path::Path::new(&folder).exists(), "{} {}", ran.code, ran.err);
}
