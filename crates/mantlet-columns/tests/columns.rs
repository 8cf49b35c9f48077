//! Exchanges into columns and back, and the tables users bring.
//!
//! Long because every test looks at the same exchange.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, ListArray, RecordBatch, StringArray,
    types::{Int8Type, Int32Type},
};
use mantlet_columns::{
    Cells, ColumnsError, FEATURES_MOST, Keep, Places, Redaction, Row, Table, TableError, TableLimits, batch,
    is_left_out, read_rows, read_table, rows, schema, write_rows,
};
use mantlet_vocab::{
    Action, Confidence, Decision, Exchange, Impact, Millis, Mode, NamedValue, Reply, Request, Signal, Tensor,
    Value,
};
use proptest::prelude::*;

fn exchange(id: &str, at: u64) -> Exchange {
    let named = |name: &str, value| NamedValue { name: name.into(), value };
    let signal = Signal {
        name: "stream-walk".into(),
        impact: Impact::High,
        confidence: Confidence::High,
        score: 1.5,
        message: "a secret prompt".into(),
        facts: [].into(),
    };
    Exchange {
        id: id.into(),
        at: Millis(at),
        system: "cheques".into(),
        route: "digits".into(),
        caller: "0a".into(),
        version: "v1".into(),
        generation: 3,
        request: Request {
            model: "digits".into(),
            version: None,
            inputs: vec![
                named("pixels", Value::F32(Tensor::new([2, 2], vec![0.0, 1.0, 2.0, f32::NAN]).unwrap())),
                named("note", Value::Text(Tensor::new([1], vec!["private".to_owned()]).unwrap())),
                named("age", Value::I64(Tensor::new([2, 1], vec![7, 8]).unwrap())),
            ],
            pieces: vec![],
        },
        reply: Some(Reply {
            outputs: vec![named(
                "scores",
                Value::F32(Tensor::new([2, 3], vec![0.1, 0.7, 0.2, 0.9, 0.0, 0.1]).unwrap()),
            )],
            pieces: vec![],
        }),
        decision: Decision {
            action: Action::Allow,
            proposed: Action::Throttle { retry_after_ms: 5 },
            mode: Mode::Observe,
            signals: vec![signal],
        },
        status: 200,
        took_ms: 1.25,
    }
}

#[test]
fn an_exchange_becomes_a_row_without_its_text() {
    let row = Row::of(&exchange("e1", 5));
    assert_eq!(row.features[..3], [0.0, 1.0, 2.0]);
    assert_eq!((row.features.len(), row.features[3].is_nan(), row.rows), (6, true, 2));
    assert_eq!((row.label.as_str(), row.scores.as_slice()), ("1", [0.1, 0.7, 0.2].as_slice()));
    assert_eq!(
        (row.action.as_str(), row.proposed.as_str(), row.mode.as_str()),
        ("allow", "throttle", "observe")
    );
    assert_eq!(
        (row.signals.as_slice(), row.signal_scores.as_slice()),
        (&["stream-walk".to_owned()][..], &[1.5][..])
    );
    let text = format!("{row:?}");
    assert!(!text.contains("private") && !text.contains("secret"), "{text}");
}

#[test]
fn rows_survive_json_with_every_kind_of_number() {
    let mut row = Row::of(&exchange("e1", 5));
    row.features = vec![0.1, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, -0.0];
    let text = serde_json::to_string(&row).unwrap();
    let again: Row = serde_json::from_str(&text).unwrap();
    let bits = |row: &Row| row.features.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&again), bits(&row));
    assert!(serde_json::from_str::<Row>(&text.replace("inf", "much")).is_err());
}

#[test]
fn labels_come_from_any_usual_head() {
    let label = |outputs: Vec<Value>| {
        let mut exchange = exchange("e", 1);
        let outputs = outputs.into_iter().map(|value| NamedValue { name: "o".into(), value });
        exchange.reply = Some(Reply { outputs: outputs.collect(), pieces: vec![] });
        Row::of(&exchange).label
    };
    let floats = |shape: &[usize], data: &[f32]| Value::F32(Tensor::new(shape, data.to_vec()).unwrap());
    let whole = Value::I64(Tensor::new([2], vec![4, 5]).unwrap());
    let text = Value::Text(Tensor::new([1, 1], vec!["yes".to_owned()]).unwrap());
    assert_eq!(label(vec![whole, floats(&[2, 2], &[0.9, 0.1, 0.5, 0.5])]), "4");
    assert_eq!(label(vec![floats(&[1, 2], &[0.9, 0.1]), text]), "yes");
    assert_eq!(label(vec![floats(&[1, 3], &[f32::NAN, 0.5, 0.5])]), "1");
    assert_eq!(label(vec![floats(&[1, 1], &[0.5])]), "", "one score names no class");
    assert_eq!(label(vec![]), "");
}

#[test]
fn equal_requests_have_equal_digests_and_no_others() {
    let digest = |change: fn(&mut Exchange)| {
        let mut exchange = exchange("e", 1);
        change(&mut exchange);
        Row::of(&exchange).request
    };
    let same = digest(|_| {});
    assert_eq!(same, digest(|e| e.caller = "other".into()));
    assert_ne!(same, digest(|e| e.request.inputs[0].name = "pixel".into()));
    assert_ne!(same, digest(|e| e.request.inputs.swap(0, 2)));
    assert_ne!(
        same,
        digest(|e| e.request.inputs[1].value = Value::Text(Tensor::new([1], vec!["p".into()]).unwrap()))
    );
    let shaped = digest(|e| e.request.inputs[2].value = Value::I64(Tensor::new([1, 2], vec![7, 8]).unwrap()));
    assert_ne!(same, shaped);
}

#[test]
fn gigantic_inputs_are_cut_and_the_cut_is_counted() {
    let mut exchange = exchange("e", 1);
    let data = vec![1.0_f32; FEATURES_MOST + 10];
    exchange.request.inputs[0].value = Value::F32(Tensor::new([1, data.len()], data).unwrap());
    let row = Row::of(&exchange);
    assert_eq!((row.features.len(), row.features_cut), (FEATURES_MOST, 12));
}

/// What goes on record of the exchange above under a redaction.
fn kept(redaction: &Redaction) -> Row {
    redaction.fields(&redaction.exchange(&exchange("e1", 5))).row()
}

#[test]
fn what_is_left_out_is_nowhere_in_the_row_and_the_rest_is_as_it_was() {
    let whole = Row::of(&exchange("e1", 5));
    let plain = kept(&Redaction::default());
    let bits = |row: &Row| row.features.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!((bits(&plain), &plain.request, &plain.caller), (bits(&whole), &whole.request, &whole.caller));

    let known = |list: &[(&str, Places)]| {
        let list = list.iter().map(|(name, places)| ((*name).to_owned(), places.clone()));
        Redaction { features: Some(list.collect()), ..Redaction::default() }
    };
    let of = |width, places: &[usize]| Places::Of { width, places: places.to_vec() };
    let second = known(&[("pixels", of(2, &[1])), ("age", of(1, &[])), ("note", of(1, &[]))]);
    let row = kept(&second);
    let out: Vec<bool> = row.features.iter().map(|value| is_left_out(*value)).collect();
    assert_eq!(out, [false, true, false, true, false, false], "of both rows the second value, and no age");
    assert_eq!((row.features[0], row.features[2], row.features[4], row.features_cut), (0.0, 2.0, 7.0, 0));
    assert_eq!((row.label.as_str(), row.rows, row.caller.as_str()), ("1", 2, "0a"));
    assert_ne!(row.request, whole.request, "the digest says nothing of what is left out");
    // Two requests that differ in what is left out have one digest; those that differ elsewhere have not.
    let digest = |change: fn(&mut Exchange)| {
        let mut exchange = exchange("e", 1);
        change(&mut exchange);
        second.fields(&second.exchange(&exchange)).row().request
    };
    let pixels = |at: usize| match at {
        1 => digest(|e| {
            let data = vec![0.0, 9.0, 2.0, 9.0];
            e.request.inputs[0].value = Value::F32(Tensor::new([2, 2], data).unwrap());
        }),
        _ => digest(|e| {
            let data = vec![9.0, 1.0, 2.0, f32::NAN];
            e.request.inputs[0].value = Value::F32(Tensor::new([2, 2], data).unwrap());
        }),
    };
    assert_eq!(pixels(1), row.request);
    assert_ne!(pixels(0), row.request);

    // What nobody named, and rows of another width, stay out whole; a whole number too.
    let row = kept(&known(&[("pixels", of(3, &[1]))]));
    assert!(row.features.len() == 6 && row.features.iter().all(|value| is_left_out(*value)), "{row:?}");
    let row = kept(&known(&[("pixels", of(2, &[])), ("age", Places::All)]));
    let out: Vec<bool> = row.features.iter().map(|value| is_left_out(*value)).collect();
    assert_eq!(out, [false, false, false, false, true, true]);
}

#[test]
fn callers_and_requests_are_digests_that_only_the_key_gives() {
    let under = |key: u8| Redaction {
        caller: Keep::Digest,
        request: Keep::Digest,
        key: [key; 32],
        ..Redaction::default()
    };
    let (row, again, other) = (kept(&under(1)), kept(&under(1)), kept(&under(2)));
    let whole = Row::of(&exchange("e1", 5));
    assert_eq!((&row.caller, &row.request), (&again.caller, &again.request));
    assert!(row.caller != other.caller && row.request != other.request);
    assert!(row.caller != whole.caller && row.request != whole.request && row.request.len() == 64);
    assert_eq!(row.caller, under(1).caller("0a"), "what to look for");
    assert_ne!(row.caller, under(1).caller("0b"));
    let out = Redaction {
        caller: Keep::LeftOut,
        request: Keep::LeftOut,
        without_reply: true,
        ..Redaction::default()
    };
    let row = kept(&out);
    assert_eq!((row.caller.as_str(), row.request.as_str(), row.label.as_str()), ("", "", ""));
    assert!(row.scores.is_empty() && row.features.len() == 6 && row.signals == whole.signals);
    assert!(!format!("{:?}", under(1)).contains("key"), "a key is never printed");
}

#[test]
fn a_value_that_is_left_out_is_null_in_parquet_and_a_nan_that_was_sent_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let places = Places::Of { width: 2, places: vec![0] };
    let features = [("pixels".to_owned(), places)].into_iter().collect();
    let row = kept(&Redaction { features: Some(features), ..Redaction::default() });
    let whole = Row::of(&exchange("e2", 6));
    write_rows(File::create(&path).unwrap(), &path, &[row, whole]).unwrap();
    let all = read_rows(&path, Millis(0), Millis(u64::MAX), usize::MAX, |_| true).unwrap();
    let out = |row: &Row| row.features.iter().map(|value| is_left_out(*value)).collect::<Vec<_>>();
    assert_eq!(out(&all[0]), [true, false, true, false, true, true]);
    assert_eq!(out(&all[1]), [false; 6]);
    assert!(all[0].features[3].is_nan() && all[1].features[3].is_nan());
    // As another reader sees it.
    let batches =
        parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(File::open(&path).unwrap(), 10)
            .unwrap();
    let nulls: Vec<usize> = batches
        .map(|batch| {
            let batch = batch.unwrap();
            let lists = batch.column_by_name("features").unwrap();
            let lists = lists.as_any().downcast_ref::<ListArray>().unwrap();
            arrow_array::Array::null_count(lists.values())
        })
        .collect();
    assert_eq!(nulls, [4]);
}

#[test]
fn rows_survive_parquet_and_filters_apply() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let mut kept: Vec<Row> = (0..3_000).map(|n| Row::of(&exchange(&format!("e{n}"), n))).collect();
    kept.iter_mut().for_each(|row| row.features[3] = -1.0);
    kept[7].signals.clear();
    kept[7].signal_scores.clear();
    write_rows(File::create(&path).unwrap(), &path, &kept).unwrap();
    let all = read_rows(&path, Millis(0), Millis(u64::MAX), usize::MAX, |_| true).unwrap();
    assert_eq!(all, kept);
    let some = read_rows(&path, Millis(10), Millis(20), 3, |row| row.at.0 % 2 == 0).unwrap();
    assert_eq!(some.iter().map(|row| row.at.0).collect::<Vec<_>>(), [10, 12, 14]);
    let bytes = fs::read(&path).unwrap();
    for cut in [0, 3, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..cut]).unwrap();
        let fault = read_rows(&path, Millis(0), Millis(9), 9, |_| true);
        assert!(matches!(fault, Err(ColumnsError::Parquet { .. })), "{cut}");
    }
    let gone = read_rows(&folder.path().join("no"), Millis(0), Millis(9), 9, |_| true);
    assert!(matches!(gone, Err(ColumnsError::Io { verb: "read", .. })));
    #[cfg(target_os = "linux")]
    {
        let full = Path::new("/dev/full");
        let file = fs::OpenOptions::new().write(true).open(full).unwrap();
        match write_rows(file, full, &kept).unwrap_err() {
            ColumnsError::Io { source, .. } => assert_eq!(source.kind(), std::io::ErrorKind::StorageFull),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn foreign_columns_are_named() {
    let good = batch(&[Row::of(&exchange("e", 1))]).unwrap();
    assert_eq!(good.schema(), schema());
    let other: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    for index in 0..good.num_columns() {
        let name = good.schema().field(index).name().clone();
        let fields = schema().fields().clone();
        let columns = good.columns().iter().zip(fields.iter()).map(|(column, field)| {
            (field.name().clone(), if *field.name() == name { other.clone() } else { column.clone() })
        });
        let batch = RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap();
        match rows(&batch) {
            Err(ColumnsError::Schema { column }) => assert_eq!(column, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn csv(text: &[u8]) -> Result<Table, TableError> {
    csv_with(text, &TableLimits::default())
}

fn csv_with(text: &[u8], limits: &TableLimits) -> Result<Table, TableError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    fs::write(&path, text).unwrap();
    read_table(&path, limits)
}

#[test]
fn csv_columns_get_the_narrowest_type() {
    let table =
        csv(b"\xef\xbb\xbfage;pay; job ;id\r\n39;1.5; clerk;007\r\n?;2;\"a;b\";008\r\n50;NA;;009\r\n")
            .unwrap();
    let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!((names, table.rows, table.cut), (vec!["age", "pay", "job", "id"], 3, false));
    assert_eq!(table.columns[0].cells, Cells::Integers(vec![Some(39), None, Some(50)]));
    assert_eq!(table.columns[1].cells, Cells::Numbers(vec![Some(1.5), Some(2.0), None]));
    assert_eq!(table.columns[2].cells, Cells::Texts(vec![Some("clerk".into()), Some("a;b".into()), None]));
    assert_eq!(table.column("id").unwrap().cells.text(0).as_deref(), Some("007"));
    assert_eq!(table.columns[0].cells.number(2), Some(50.0));
}

#[test]
fn csv_faults_name_their_line() {
    match csv(b"a,b\n1,2\n3\n").unwrap_err() {
        TableError::Csv { line, reason, .. } => {
            assert_eq!((line, reason.as_str()), (3, "1 fields where the header has 2"));
        }
        other => panic!("{other}"),
    }
    assert!(matches!(csv(b"a,b\n1,\xff\n"), Err(TableError::Csv { .. })));
    assert!(matches!(csv(b""), Err(TableError::Empty { .. })));
    assert!(matches!(csv(b"a,b\n"), Err(TableError::Empty { what: "rows", .. })));
    assert!(matches!(csv(b"PAR1 but no more"), Err(TableError::Parquet { .. })));
    let gone = read_table(Path::new("no/such/file"), &TableLimits::default());
    assert!(matches!(gone, Err(TableError::Io { .. })));
    let narrow = TableLimits { columns: 2, ..TableLimits::default() };
    assert!(matches!(csv_with(b"a,b,c\n1,2,3\n", &narrow), Err(TableError::Wide { found: 3, most: 2, .. })));
}

#[test]
fn large_tables_are_cut_and_say_so() {
    let mut text = b"a,b\n".to_vec();
    for n in 0..1_000 {
        text.extend_from_slice(format!("{n},x\n").as_bytes());
    }
    let few = csv_with(&text, &TableLimits { rows: 10, ..TableLimits::default() }).unwrap();
    assert_eq!((few.rows, few.cut), (10, true));
    let short = csv_with(&text, &TableLimits { bytes: 100, ..TableLimits::default() }).unwrap();
    assert!(short.cut && short.rows > 5 && short.rows < 30, "{}", short.rows);
    let exact = csv_with(&text, &TableLimits { rows: 1_000, ..TableLimits::default() }).unwrap();
    assert_eq!((exact.rows, exact.cut), (1_000, false));
}

#[test]
fn parquet_tables_of_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let jobs: DictionaryArray<Int8Type> = vec![Some("clerk"), None, Some("clerk")].into_iter().collect();
    let write = |columns: Vec<(&str, ArrayRef)>| {
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let file = File::create(&path).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    };
    write(vec![
        ("age", Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
        ("pay", Arc::new(Float64Array::from(vec![1.5, f64::NAN, 2.5]))),
        ("ok", Arc::new(BooleanArray::from(vec![true, false, true]))),
        ("name", Arc::new(StringArray::from(vec![Some("a"), Some("b"), None]))),
        ("job", Arc::new(jobs)),
    ]);
    let table = read_table(&path, &TableLimits::default()).unwrap();
    assert_eq!(table.columns[0].cells, Cells::Integers(vec![Some(1), None, Some(3)]));
    assert_eq!(table.columns[1].cells, Cells::Numbers(vec![Some(1.5), None, Some(2.5)]));
    assert_eq!(table.columns[2].cells, Cells::Integers(vec![Some(1), Some(0), Some(1)]));
    assert_eq!(table.columns[3].cells, Cells::Texts(vec![Some("a".into()), Some("b".into()), None]));
    assert_eq!(table.columns[4].cells, Cells::Texts(vec![Some("clerk".into()), None, Some("clerk".into())]));
    let cut = read_table(&path, &TableLimits { rows: 2, ..TableLimits::default() }).unwrap();
    assert_eq!((cut.rows, cut.cut), (2, true));
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    write(vec![("odd", Arc::new(list))]);
    let fault = read_table(&path, &TableLimits::default()).unwrap_err();
    assert!(matches!(&fault, TableError::Kind { column, .. } if column == "odd"), "{fault}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = csv(&bytes);
        let _ = csv(&[b"PAR1".as_slice(), &bytes, b"PAR1"].concat());
    }

    #[test]
    fn numbers_written_are_numbers_read(values in prop::collection::vec(any::<i32>(), 1..50)) {
        let mut text = "n,f\n".to_owned();
        values.iter().for_each(|value| text.push_str(&format!("{value},{:?}\n", f64::from(*value) / 4.0 + 0.125)));
        let table = csv(text.as_bytes()).unwrap();
        let read: Vec<_> = (0..values.len()).map(|row| table.columns[0].cells.number(row).unwrap()).collect();
        prop_assert_eq!(read, values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>());
        prop_assert!(matches!(table.columns[1].cells, Cells::Numbers(_)));
    }
}
