//! `mantlet data labels` on texts and pictures as a pipeline calls it.

use serde_json::Value;

use crate::data::uniform;
use crate::pictures::draw;
use crate::program::{expect, run};

fn findings(out: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(out).unwrap();
    report["findings"].as_array().unwrap().clone()
}

#[test]
fn turned_labels_of_texts_are_listed_and_a_text_nobody_named_is_not_learned_from() {
    let holder = tempfile::tempdir().unwrap();
    let (table, rows) = (holder.path().join("t.csv"), holder.path().join("rows.csv"));
    let kinds = [["refund", "invoice", "charged", "balance"], ["deploy", "rollback", "branch", "container"]];
    let common = ["please", "look", "at", "this", "before", "monday", "thanks", "again", "team"];
    let mut text = String::from("amount,message,topic\n");
    let mut turned = Vec::new();
    for row in 0..1_200_u64 {
        let class = (row % 2) as usize;
        let pick =
            |words: &[&'static str], stream| words[(uniform(row, stream) * words.len() as f64) as usize];
        let mut words: Vec<&str> = (0..6).map(|at| pick(&common, 10 + at)).collect();
        words.extend((0..3).map(|at| pick(&kinds[class], 30 + at)));
        let flipped = uniform(row, 50) < 0.04;
        if flipped {
            turned.push(row + 1);
        }
        let topic = ["billing", "operations"][class ^ usize::from(flipped)];
        text.push_str(&format!("{:.3},{} {row},{topic}\n", uniform(row, 60), words.join(" ")));
    }
    std::fs::write(&table, text).unwrap();
    let (table, rows) = (table.to_str().unwrap(), rows.to_str().unwrap());
    let command = [
        "data", "labels", table, "--label", "topic", "--text", "message", "--rows", rows, "--format", "json",
    ];
    let told = expect(0, command);
    assert_eq!(findings(&told.out)[0]["name"], "label-error", "{}", told.out);
    let listed: Vec<u64> = std::fs::read_to_string(rows)
        .unwrap()
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap().parse().unwrap())
        .collect();
    let hits = listed.iter().filter(|row| turned.contains(row)).count();
    assert!(
        hits * 10 >= turned.len() * 7 && hits * 10 >= listed.len() * 9,
        "{hits} of {turned:?}, {listed:?}"
    );
    assert_eq!(expect(0, command).out, told.out, "the same report, byte for byte");
    // The numbers say nothing of the topic, and the text is not taken for a column of words.
    let plain = run(["data", "labels", table, "--label", "topic", "--format", "json"]);
    assert!(plain.code != 0 && plain.out.contains("not learned from"), "{} {}", plain.out, plain.err);
    let both =
        run(["data", "labels", table, "--label", "topic", "--text", "message", "--probability", "a=amount"]);
    assert_eq!(both.code, 3, "{}", both.err);
}

#[test]
fn pictures_in_the_folder_of_another_label_are_named() {
    let holder = tempfile::tempdir().unwrap();
    let (root, rows) = (holder.path().join("photos"), holder.path().join("rows.csv"));
    draw(&root, false);
    let mut moved = Vec::new();
    for row in (8..900).step_by(36) {
        let name = format!("p{row:03}.png");
        std::fs::rename(root.join("kind0").join(&name), root.join("kind2").join(&name)).unwrap();
        moved.push(format!("kind2/{name}"));
    }
    let (root, rows) = (root.to_str().unwrap(), rows.to_str().unwrap());
    let told = run(["data", "labels", root, "--pictures", "--rows", rows, "--format", "json"]);
    assert!(told.code <= 1, "{}", told.err);
    let findings = findings(&told.out);
    assert!(findings.iter().any(|finding| finding["name"] == "label-error"), "{}", told.out);
    let listed = std::fs::read_to_string(rows).unwrap();
    assert!(listed.starts_with("picture,given,likely,margin\n"), "{listed}");
    let hits = moved.iter().filter(|name| listed.contains(name.as_str())).count();
    let all = listed.lines().count() - 1;
    assert!(hits * 10 >= moved.len() * 8 && hits * 10 >= all * 8, "{hits} of {}, {all} told", moved.len());
    assert!(told.out.contains("kind2/p"), "rows are called by their file: {}", told.out);
    let wrong = run(["data", "labels", root, "--pictures", "--label", "kind"]);
    assert_eq!(wrong.code, 3, "{}", wrong.err);
}
