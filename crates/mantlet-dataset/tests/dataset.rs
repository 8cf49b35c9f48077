//! Tables in every format, whole and in parts, and what is wrong with them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use mantlet_dataset::{Dataset, DatasetError, Kind, Lane, count, profile};
use mantlet_drift::{Buckets, Profile, mix};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

const ROWS: usize = 20_000;

/// A row of the test table: an amount that is missing now and then, a city, a count.
fn row(at: usize) -> (Option<f64>, &'static str, i32) {
    let random = mix(at as u64);
    let amount = (!random.is_multiple_of(50)).then_some((random % 1_000_000) as f64 / 128.0);
    let city = ["Bern", "Oslo", "Rome", "Turin"][(random >> 32) as usize % 4];
    (amount, city, (random >> 40) as i32 % 30)
}

fn batch(rows: impl Iterator<Item = usize> + Clone) -> RecordBatch {
    let amount: ArrayRef = Arc::new(rows.clone().map(|at| row(at).0).collect::<Float64Array>());
    let city: ArrayRef = Arc::new(rows.clone().map(|at| Some(row(at).1)).collect::<StringArray>());
    let count: ArrayRef = Arc::new(rows.map(|at| row(at).2).collect::<Int32Array>());
    RecordBatch::try_from_iter_with_nullable([
        ("amount", amount, true),
        ("city", city, true),
        ("count", count, true),
    ])
    .unwrap()
}

fn parquet(path: &Path, rows: std::ops::Range<usize>) {
    let batch = batch(rows);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_max_row_group_row_count(Some(3000))
        .build();
    let mut writer =
        ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn csv(path: &Path, rows: std::ops::Range<usize>) {
    let mut text = String::from("amount,city,count\n");
    for at in rows {
        let (amount, city, count) = row(at);
        text += &format!("{},{city},{count}\n", amount.map(|a| a.to_string()).unwrap_or_default());
    }
    fs::write(path, text).unwrap();
}

fn json(path: &Path, rows: std::ops::Range<usize>) {
    let mut text = String::new();
    for at in rows {
        let (amount, city, count) = row(at);
        let amount = amount.map_or("null".to_owned(), |amount| amount.to_string());
        text += &format!("{{\"count\":{count},\"city\":\"{city}\",\"amount\":{amount}}}\n");
    }
    fs::write(path, text).unwrap();
}

fn arrow(path: &Path, rows: std::ops::Range<usize>) {
    let batch = batch(rows);
    let mut writer =
        arrow_ipc::writer::FileWriter::try_new(fs::File::create(path).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}

fn open(path: &Path) -> Dataset {
    Dataset::open(&[path.to_owned()]).unwrap()
}

/// The profile without the name of its source, with columns by name.
fn plain(path: &Path) -> Profile {
    let mut profile = profile(&open(path), &[]).unwrap().value;
    profile.source = String::new();
    profile
}

#[test]
fn one_table_in_four_formats_has_one_profile() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    parquet(&at("t.parquet"), 0..ROWS);
    csv(&at("t.csv"), 0..ROWS);
    json(&at("t.jsonl"), 0..ROWS);
    arrow(&at("t.arrow"), 0..ROWS);
    let expected = plain(&at("t.parquet"));
    assert_eq!(expected.counts.rows, ROWS as u64);
    assert!(matches!(expected.column("amount").unwrap().1.buckets, Buckets::Numbers { .. }));
    assert!(matches!(expected.column("city").unwrap().1.buckets, Buckets::Words { .. }));
    for name in ["t.csv", "t.jsonl", "t.arrow"] {
        assert_eq!(plain(&at(name)), expected, "{name}");
    }
    for name in ["t.csv", "t.jsonl", "t.arrow", "t.parquet"] {
        assert_eq!(count(&open(&at(name)), &expected).unwrap().value, expected.counts, "{name}");
    }
}

#[test]
fn a_folder_of_batches_is_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.parquet");
    parquet(&whole, 0..ROWS);
    let parts = folder.path().join("parts");
    fs::create_dir(&parts).unwrap();
    parquet(&parts.join("2026-01.parquet"), 0..7_001);
    csv(&parts.join("2026-02.csv"), 7_001..7_002);
    parquet(&parts.join("2026-03.parquet"), 7_002..ROWS);
    fs::write(parts.join("_SUCCESS"), "").unwrap();
    fs::write(parts.join("readme.md"), "no table").unwrap();
    assert_eq!(open(&parts).files().count(), 3);
    assert_eq!(plain(&parts), plain(&whole));
}

fn fault(path: &Path) -> DatasetError {
    match Dataset::open(&[path.to_owned()]) {
        Err(fault) => fault,
        Ok(dataset) => profile(&dataset, &[]).unwrap_err(),
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let mut whole = Vec::new();
    let path = folder.path().join("whole.parquet");
    parquet(&path, 0..ROWS);
    whole.append(&mut fs::read(&path).unwrap());
    let cases: Vec<(PathBuf, &str)> = vec![
        (folder.path().join("none.csv"), "cannot read"),
        (write("ragged.csv", b"a,b\n1,2\n3\n"), "line 3: 1 fields where the header has 2"),
        (write("bytes.csv", b"a,b\n1,\xff\xfe\n"), "not UTF-8"),
        (write("header.csv", b"a,b\n"), "holds no rows"),
        (write("empty.csv", b""), "holds no rows"),
        (write("twice.csv", b"a,a\n1,2\n"), "two columns `a`"),
        (write("list.jsonl", b"{\"a\":1}\n[1]\n"), "line 2: the line is no object"),
        (write("cut.jsonl", b"{\"a\":1}\n{\"a\":"), "line 2: it is no JSON"),
        (write("cut.parquet", &whole[..whole.len() / 2]), "the footer"),
        (write("junk.arrow", b"ARROW1\0\0junk"), "the footer"),
    ];
    for (path, words) in cases {
        let said = fault(&path).to_string();
        assert!(said.contains(words), "{}: {said}", path.display());
        assert!(said.contains(path.file_name().unwrap().to_str().unwrap()), "{said}");
    }
    // A page header is damaged: the row group is named.
    let mut damaged = whole.clone();
    damaged[4..60].fill(0xff);
    let said = fault(&write("damaged.parquet", &damaged)).to_string();
    assert!(said.contains("row group 0"), "{said}");
    let none = Dataset::open(&[tempfile::tempdir().unwrap().path().to_owned()]).unwrap_err().to_string();
    assert!(none.contains("cannot read") || none.contains("holds no table"), "{none}");
}

#[test]
fn a_row_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.csv");
    let mut bytes = b"a,b\n1,\"".to_vec();
    bytes.resize(40 << 20, b'x');
    fs::write(&path, &bytes).unwrap();
    assert!(fault(&path).to_string().contains("longer than"), "{}", fault(&path));
    let path = folder.path().join("long.jsonl");
    bytes[..7].copy_from_slice(b"{\"a\": \"");
    fs::write(&path, &bytes).unwrap();
    assert!(fault(&path).to_string().contains("longer than"), "{}", fault(&path));
}

#[test]
fn columns_are_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let first = write("1.csv", "a,b\n1,x\n2,y\n");
    let gone = write("2.csv", "a\n1\n");
    let turned = write("3.csv", "a,b\nred,x\nblue,y\n");
    let said = Dataset::open(&[first.clone(), gone.clone()]).unwrap_err().to_string();
    assert!(said.contains("2.csv has no column `b`, which") && said.contains("1.csv has"), "{said}");
    let said = Dataset::open(&[first.clone(), turned.clone()]).unwrap_err().to_string();
    assert!(said.contains("3.csv: column `a` holds words") && said.contains("it holds numbers"), "{said}");
    let pinned = profile(&open(&first), &[]).unwrap().value;
    let said = count(&open(&gone), &pinned).unwrap_err().to_string();
    assert!(said.contains("no column `b`, which the profile has"), "{said}");
    // Text files are read as the profile has it: words where numbers were are counted and said.
    let counted = count(&open(&turned), &pinned).unwrap();
    assert_eq!(counted.gaps, ["2 cells of column `a` are no numbers and count as missing"]);
    let said = profile(&open(&first), &["z".to_owned()]).unwrap_err().to_string();
    assert!(said.contains("no column `z`"), "{said}");
}

#[test]
fn kinds_are_told_from_the_head() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let mut text = String::from("\u{feff}id;when;zip;flag;share\n");
    for at in 0..200 {
        text +=
            &format!("u-{at};2026-01-{:02};0{};true;{}\n", at % 28 + 1, 1000 + at % 9, f64::from(at) / 7.0);
    }
    fs::write(&path, text).unwrap();
    let dataset = open(&path);
    let kinds: Vec<(&str, Kind)> =
        dataset.columns().iter().map(|column| (column.name.as_str(), column.kind)).collect();
    let expected = [
        ("id", Kind::Words),
        ("when", Kind::Times),
        ("zip", Kind::Words),
        ("flag", Kind::Numbers),
        ("share", Kind::Numbers),
    ];
    assert_eq!(kinds, expected);
    let profiled = profile(&dataset, &[]).unwrap();
    assert_eq!(profiled.value.columns.len(), 4);
    assert_eq!(profiled.gaps, ["column `id` has a word of its own in most rows and is not judged"]);
}

#[test]
fn a_column_without_any_value_is_missing_throughout() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let words: ArrayRef = Arc::new((0..500).map(|_| None::<&str>).collect::<StringArray>());
    let numbers: ArrayRef = Arc::new((0..500).map(|_| None::<f64>).collect::<Float64Array>());
    let batch =
        RecordBatch::try_from_iter_with_nullable([("word", words, true), ("number", numbers, true)]).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let profiled = profile(&open(&path), &[]).unwrap().value;
    for counts in &profiled.counts.columns {
        assert_eq!((counts[0], counts.iter().sum::<u64>()), (500, 500));
    }
}

#[test]
fn times_are_seconds_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let words = ["2026-11-03", "2026-11-03T10:00:00Z", "2026-11-03 10:00:00", "2026-11-03T10:00:00.5+02:00"];
    // 2026-11-03 is 20,760 days after 1970-01-01.
    let day = 20_760.0 * 86_400.0;
    let expected = [day, day + 36_000.0, day + 36_000.0, day + 28_800.5];
    let csv = write("t.csv", &format!("when\n{}\n", words.join("\n")));
    let lines: Vec<String> = words.iter().map(|word| format!("{{\"when\":\"{word}\"}}\n")).collect();
    let json = write("t.jsonl", &lines.concat());
    let parquet = folder.path().join("t.parquet");
    let micros = expected.iter().map(|seconds| (seconds * 1e6) as i64);
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(micros));
    let batch = RecordBatch::try_from_iter([("when", times)]).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(&parquet).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for path in [csv, json, parquet] {
        let dataset = open(&path);
        assert_eq!(
            dataset.columns().first().map(|column| column.kind),
            Some(Kind::Times),
            "{}",
            path.display()
        );
        let mut found = Vec::new();
        let unreadable = dataset
            .stream(dataset.columns(), |_, lanes| {
                found.extend(lanes);
                Ok(())
            })
            .unwrap();
        assert_eq!(
            (found, unreadable),
            (vec![Lane::Numbers(expected.to_vec())], vec![0]),
            "{}",
            path.display()
        );
    }
}
