//! Labels that come months late, in any order and corrected, on every engine: the same windows, restated alike.

use super::*;

/// The label of a decision: for the last weeks the model is often wrong.
fn truth(row: u64, rows: u64) -> bool {
    let score = score(row);
    let drawn = ((mantlet_drift::mix(row ^ 77) >> 11) as f64) / (1_u64 << 53) as f64;
    if row * 10 > rows * 8 { drawn < 0.5 } else { drawn < score }
}

fn score(row: u64) -> f64 {
    (mantlet_drift::mix(row) % 1000) as f64 / 1000.0
}

/// Decisions of half a year in CSV and Parquet; a reference with labels; and the labels in three tables.
fn write(tables: &Tables, rows: u64) {
    let day = |row: u64| date(20_730 + (row * 180 / rows) as i32);
    let csv = |from: u64, to: u64| {
        let line = |row: u64| format!("d-{row},{},{}\n", day(row), score(row));
        (from..to).map(line).collect::<String>()
    };
    std::fs::create_dir_all(tables.path("inside/decisions")).unwrap();
    let half = rows / 2;
    std::fs::write(tables.path("inside/decisions/0.csv"), format!("id,day,score\n{}", csv(0, half))).unwrap();
    let own = half..rows;
    let days = own.clone().map(|row| 20_730 + (row * 180 / rows) as i32);
    let ids: ArrayRef = Arc::new(own.clone().map(|row| Some(format!("d-{row}"))).collect::<StringArray>());
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values(days));
    let scores: ArrayRef = Arc::new(own.map(|row| Some(score(row))).collect::<Float64Array>());
    let batch = RecordBatch::try_from_iter([("id", ids), ("day", days), ("score", scores)]).unwrap();
    let groups = WriterProperties::builder().set_max_row_group_row_count(Some(700)).build();
    let file = File::create(tables.path("inside/decisions/1.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(groups)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut text = String::from("id,day,score,fraud\n");
    for row in 0..4000 {
        let row = row + (1 << 40);
        writeln!(text, "r-{row},2026-01-01,{},{}", score(row), u8::from(truth(row, u64::MAX / 16))).unwrap();
    }
    std::fs::write(tables.path("inside/reference.csv"), text).unwrap();
    // Early ones of the first half; then, months later and backwards, all of them, every ninth of which is wrong; then
    // what was wrong once more.
    std::fs::create_dir_all(tables.path("came")).unwrap();
    let label = |row: u64, turned: bool| format!("d-{row},{}\n", u8::from(truth(row, rows) != turned));
    let early: String = (0..rows / 4).map(|row| label(row, row % 5 == 0)).collect();
    std::fs::write(tables.path("came/0.csv"), format!("id,fraud\n{early}")).unwrap();
    let late: String = (0..rows).rev().map(|row| label(row, row % 9 == 0)).collect();
    std::fs::write(tables.path("came/1.csv"), format!("id,fraud\n{late},1\nd-0,\n")).unwrap();
    let again: String = (0..rows).filter(|row| row % 9 == 0).fold(String::new(), |mut text, row| {
        writeln!(text, "{{\"id\":\"d-{row}\",\"fraud\":{}}}", u8::from(truth(row, rows))).unwrap();
        text
    });
    std::fs::write(tables.path("came/2.jsonl"), again).unwrap();
}

#[test]
fn late_labels_restate_the_past_in_the_same_bytes_on_every_engine() {
    let tables = Tables::new(40);
    write(&tables, 12_000);
    let scheduler = tables.start("scheduler", None);
    let _executors = [(); 2].map(|()| tables.start("executor", Some(&scheduler.address)));
    let datafusion = ["--engine", "datafusion", "--memory", "128"].map(str::to_owned).to_vec();
    let engines = [Vec::new(), datafusion, tables.cluster(&scheduler.address)];
    let (decisions, reference) = (tables.text("inside/decisions"), tables.text("inside/reference.csv"));
    let fixed = ["monitor", "labels", &decisions, "--reference", &reference, "--score", "score"];
    let fixed: Vec<&str> =
        fixed.into_iter().chain(["--label", "fraud", "--id", "id", "--time", "day"]).collect();
    let mut first: Option<(Vec<String>, Vec<u8>)> = None;
    for (at, engine) in engines.iter().enumerate() {
        let history = tables.text(&format!("history-{at}.json"));
        let ask = |came: &str, more: &[&str]| {
            let labels = tables.text(came);
            let own = ["--labels", &labels, "--history", &history];
            let asked = fixed.iter().copied().chain(own).chain(more.iter().copied()).map(str::to_owned);
            let ran = run(asked.chain(engine.iter().cloned()));
            assert!(ran.code <= 2, "{engine:?}: {} {}", ran.code, ran.err);
            ran.out
        };
        let told = vec![
            ask("came/0.csv", &[]),
            ask("came", &[]),
            ask("came", &["--format", "json"]),
            ask("came", &["--every", "month", "--format", "json"]),
        ];
        assert!(told[1].contains("restated: ") && told[1].contains("labels were corrected"), "{}", told[1]);
        assert!(told[2].contains("performance-fell"), "{}", told[2]);
        assert!(told[2].contains("2 labels have no identifier or no value"), "{}", told[2]);
        let kept = std::fs::read(&history).unwrap();
        match &first {
            None => first = Some((told, kept)),
            Some((streamed, history)) => {
                for (told, streamed) in told.iter().zip(streamed) {
                    assert_eq!(told, streamed, "{engine:?}");
                }
                assert_eq!(&kept, history, "{engine:?}");
            }
        }
    }
    // What executors may not read, they do not join.
    let inside = tables.text("inside");
    let role = |role: &str, address: Option<&str>| {
        Role::start_in(tables.holder.path(), role, address, &inside, &["--storage", &tables.text("keys")])
    };
    let scheduler = role("scheduler", None);
    let _executor = role("executor", Some(&scheduler.address));
    let labels = tables.text("came");
    let asked = fixed.iter().copied().chain(["--labels", &labels]).map(str::to_owned);
    let outside = run(asked.chain(tables.cluster(&scheduler.address)));
    let told = "0.csv lies below no root";
    assert!(outside.code == 4 && outside.err.contains(told), "{}", outside.err);
}
