//! Decisions and the labels that come for them, late, corrected and in any order.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use mantlet_dataset::{
    Cut, Dataset, Decided, Labels, Late, Span, Stream, Truth, reference, windows, windows_by,
};
use mantlet_drift::performance::{Scale, Tally};
use parquet::arrow::ArrowWriter;

fn open(path: &Path) -> Dataset {
    Dataset::open(&[path.to_owned()]).unwrap()
}

fn decided() -> Decided {
    Decided { score: "score".into(), prediction: None, threshold: 0.5, positive: "1".into() }
}

/// Sixty days of ten decisions, from Monday, 2026-10-05 on.
fn decisions(folder: &Path, labels: bool) -> PathBuf {
    let path = folder.join("decisions.csv");
    let mut text = String::from(if labels { "id,when,score,fraud\n" } else { "id,when,score\n" });
    for at in 0_i64..600 {
        let day = jiff::civil::date(2026, 10, 5) + jiff::Span::new().days(at / 10);
        let score = (at % 100) as f64 / 100.0;
        text += &format!("{at},{day}T08:00:00Z,{score}");
        text += &if labels { format!(",{}\n", u8::from(at % 7 < 3)) } else { "\n".into() };
    }
    fs::write(&path, text).unwrap();
    path
}

fn names(found: &[(String, Tally)]) -> Vec<(&str, u64, u64)> {
    found.iter().map(|(name, tally)| (name.as_str(), tally.rows(), tally.labelled())).collect()
}

fn scale(dataset: &Dataset) -> Scale {
    reference(dataset, &decided(), Truth::None).unwrap().0
}

#[test]
fn windows_are_days_weeks_months_rows_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open(&decisions(folder.path(), true));
    let scale = scale(&dataset);
    let cut = |cut: &Cut| windows(&dataset, &decided(), Truth::Column("fraud"), &scale, cut).unwrap().value;
    let weeks = cut(&Cut::Time("when".into(), Span::Week));
    assert_eq!(names(&weeks)[..2], [("2026-W41", 70, 70), ("2026-W42", 70, 70)]);
    assert_eq!(weeks.len(), 9);
    assert_eq!(
        names(&cut(&Cut::Time("when".into(), Span::Month))),
        [("2026-10", 270, 270), ("2026-11", 300, 300), ("2026-12", 30, 30)]
    );
    assert_eq!(names(&cut(&Cut::Time("when".into(), Span::Day)))[0], ("2026-10-05", 10, 10));
    assert_eq!(
        names(&cut(&Cut::Rows(250))),
        [("rows 1 to 250", 250, 250), ("rows 251 to 500", 250, 250), ("rows 501 to 750", 100, 100)]
    );
    assert_eq!(names(&cut(&Cut::Value("fraud".into()))), [("0", 342, 342), ("1", 258, 258)]);
    // The parts of a reference hold its rows once.
    let parts = reference(&dataset, &decided(), Truth::Column("fraud")).unwrap().1;
    assert_eq!(parts.iter().map(Tally::labelled).collect::<Vec<_>>(), [60; 10]);
}

#[test]
fn late_labels_are_the_same_in_any_division_and_the_last_word_counts() {
    let folder = tempfile::tempdir().unwrap();
    let whole = open(&decisions(folder.path(), true));
    let scale = scale(&whole);
    let cut = Cut::Time("when".into(), Span::Month);
    let expected = windows(&whole, &decided(), Truth::Column("fraud"), &scale, &cut).unwrap().value;
    let later = tempfile::tempdir().unwrap();
    let bare = open(&decisions(later.path(), false));
    // Labels come backwards, in two tables of different formats; every eleventh is wrong at first.
    let labels = later.path().join("labels");
    fs::create_dir(&labels).unwrap();
    let mut text = String::from("case;outcome\n");
    for at in (0_i64..600).rev() {
        text += &format!("{at};{}\n", u8::from((at % 7 < 3) ^ (at % 11 == 0)));
    }
    text += ";1\n5000;1\n";
    fs::write(labels.join("1.csv"), text).unwrap();
    let corrected: Vec<i64> = (0..600).filter(|at| at % 11 == 0).collect();
    let outcomes: ArrayRef =
        Arc::new(corrected.iter().map(|at| Some(f64::from(u8::from(at % 7 < 3)))).collect::<Float64Array>());
    let cases: ArrayRef = Arc::new(Int64Array::from(corrected.clone()));
    let batch = RecordBatch::try_from_iter([("case", cases), ("outcome", outcomes)]).unwrap();
    let file = fs::File::create(labels.join("2.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let late = Late::of(&open(&labels), "case", "outcome", "1").unwrap();
    let (joined, came) =
        windows_by(&Stream, &bare, &decided(), Truth::Late("id", &late), &scale, &cut).unwrap();
    assert_eq!(joined.value, expected);
    let came = came.unwrap();
    assert_eq!((came.labels, came.incomplete, came.corrected), (601, 1, corrected.len() as u64));
    // The same labels in another order are the same; other ones are not.
    let read = |text: &str| {
        let path = later.path().join("some.csv");
        fs::write(&path, text).unwrap();
        Labels::read(&open(&path), "id", "was", "1").unwrap().came()
    };
    let one = read("id,was\na,1\nb,0\n");
    assert_eq!(read("id,was\nb,0\na,1\n"), one);
    assert_ne!(read("id,was\na,0\nb,1\n"), one);
    assert_ne!(read("id,was\na,1\nc,0\n"), one);
}

#[test]
fn words_are_labels_and_wide_identifiers_keep_their_digits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    // Two identifiers that one float stands for.
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![9_007_199_254_740_992, 9_007_199_254_740_993]));
    let scores: ArrayRef = Arc::new(Float64Array::from(vec![0.9, 0.1]));
    let said: ArrayRef = Arc::new(StringArray::from(vec!["fraud", "fine"]));
    let batch = RecordBatch::try_from_iter([("id", ids), ("score", scores), ("said", said)]).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let labels = folder.path().join("labels.csv");
    fs::write(&labels, "id,was\n9007199254740992,fraud\n9007199254740993,fine\n").unwrap();
    let labels = Late::of(&open(&labels), "id", "was", "fraud").unwrap();
    let came = labels.read().unwrap().came();
    assert_eq!((came.labels, came.corrected), (2, 0));
    let dataset = open(&path);
    let decided = Decided { prediction: Some("said".into()), positive: "fraud".into(), ..decided() };
    let scale = scale(&dataset);
    let found =
        windows(&dataset, &decided, Truth::Late("id", &labels), &scale, &Cut::Rows(10)).unwrap().value;
    let mut expected = Tally::empty(&scale);
    expected.take(&scale, 0.9, Some(true), Some(true));
    expected.take(&scale, 0.1, Some(false), Some(false));
    assert_eq!(found, [("rows 1 to 10".to_owned(), expected)]);
}

#[test]
fn what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    fs::write(&path, "score,when,batch\n0.5,2026-11-02,a\n,2026-11-02,b\n0.7,,c\n").unwrap();
    let dataset = open(&path);
    let scale = scale(&dataset);
    let cut = Cut::Time("when".into(), Span::Day);
    let found = windows(&dataset, &decided(), Truth::None, &scale, &cut).unwrap();
    assert_eq!(
        found.gaps,
        [
            "1 decisions lie in no window: their time or value is missing",
            "1 decisions have no score or no prediction and were not counted"
        ]
    );
    let said = |cut: &Cut, decided: &Decided| {
        windows(&dataset, decided, Truth::None, &scale, cut).unwrap_err().to_string()
    };
    let none = said(&Cut::Value("week".into()), &decided());
    assert!(none.contains("no column `week`, which the command line has"), "{none}");
    let kind = said(&Cut::Time("batch".into(), Span::Day), &decided());
    assert!(kind.contains("column `batch` holds words") && kind.contains("it holds times"), "{kind}");
    let score = said(&cut, &Decided { score: "batch".into(), ..decided() });
    assert!(score.contains("it holds numbers"), "{score}");
    let many = folder.path().join("many.csv");
    let rows: String = (0..2000).map(|at| format!("0.5,{at}\n")).collect();
    fs::write(&many, format!("score,batch\n{rows}")).unwrap();
    let many = open(&many);
    let said = windows(&many, &decided(), Truth::None, &scale, &Cut::Value("batch".into())).unwrap_err();
    assert!(said.to_string().contains("more than 1024 windows; take longer ones"), "{said}");
}
