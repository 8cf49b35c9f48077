//! A history of the gateway as a table: its lists as columns, in files, row groups and parts alike.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;

use mantlet_columns::{NOT_RECORDED, Row, write_rows};
use mantlet_dataset::{Column, Dataset, DatasetError, Kind, Lane, Part, signal_cube_by};
use mantlet_vocab::Millis;

fn row(at: u64) -> Row {
    Row {
        id: format!("e{at}"),
        at: Millis(1_780_000_000_000 + at * 1_000),
        features: vec![at as f32, 0.5, -1.0],
        rows: 1,
        label: (at % 2).to_string(),
        scores: vec![0.25, 0.75],
        signals: if at % 10 == 3 { vec!["query-sweep".into(), "odd".into()] } else { Vec::new() },
        signal_scores: if at % 10 == 3 { vec![0.9, 0.2] } else { Vec::new() },
        ..Row::default()
    }
}

fn write(path: &Path, rows: &[Row]) {
    write_rows(File::create(path).unwrap(), path, rows).unwrap();
}

fn numbers(lane: &Lane) -> Vec<f64> {
    match lane {
        Lane::Numbers(values) => values.clone(),
        Lane::Words { .. } => Vec::new(),
    }
}

#[test]
fn lists_become_columns_and_a_request_of_many_rows_is_its_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows: Vec<Row> = (0..3_000).map(row).collect();
    // Two rows in one request, one refused without features, one of a width of its own.
    rows[7] = Row { features: vec![7.0, 0.5, -1.0, 8.0, 8.0, 8.0], rows: 2, ..row(7) };
    rows[8] = Row { features: Vec::new(), label: String::new(), scores: Vec::new(), ..row(8) };
    rows[9] = Row { features: vec![1.0; 900], ..row(9) };
    write(&folder.path().join("a.parquet"), &rows[..1_000]);
    write(&folder.path().join("b.parquet"), &rows[1_000..]);
    let table = Dataset::open(&[folder.path().to_owned()]).unwrap();
    assert!(table.is_history());
    assert!(table.notes()[0].contains("more than one row"), "{:?}", table.notes());
    let names: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
    for name in ["features.0", "features.2", "scores.1", "signals", "signals.odd", "signal_scores.0"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    for name in ["features", "features.3", "scores", "scores.2"] {
        assert!(!names.contains(&name), "{name}: {names:?}");
    }
    assert_eq!(table.column("at").unwrap().kind, Kind::Times);
    let named = |name: &str| table.column(name).unwrap();
    let words = Column { kind: Kind::Words, ..named("signals") };
    let wanted = [
        named("features.0"),
        named("features.2"),
        named("scores.1"),
        words,
        named("signals.query-sweep"),
        named("signals.never-seen"),
        named("at"),
    ];
    let mut seen = 0;
    table
        .stream(&wanted, |first, lanes| {
            let values: Vec<Vec<f64>> = lanes.iter().map(numbers).collect();
            for row in first as usize..first as usize + lanes[0].len() {
                let at = row - first as usize;
                let fired = row % 10 == 3;
                match row {
                    8 => assert!(values[0][at].is_nan() && values[2][at].is_nan()),
                    9 => assert!(values[0][at] == 1.0 && values[1][at] == 1.0),
                    _ => assert_eq!((values[0][at], values[1][at], values[2][at]), (row as f64, -1.0, 0.75)),
                }
                let strongest = lanes[3].word(at).unwrap().into_owned();
                assert_eq!(strongest, if fired { "query-sweep" } else { "none" });
                assert_eq!((values[4][at], values[5][at]), (f64::from(u8::from(fired)), 0.0));
                assert_eq!(values[6][at], 1_780_000_000.0 + row as f64);
            }
            seen += lanes[0].len();
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, 3_000);
}

#[test]
fn features_have_the_names_they_are_given_also_where_parts_are_read_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &(0..2_000).map(row).collect::<Vec<_>>());
    let names = ["amount", "age", "debt"].map(str::to_owned);
    let open = || Dataset::open(std::slice::from_ref(&path)).unwrap();
    let table = open().with_features(&names).unwrap();
    let wanted = [table.column("amount").unwrap(), table.column("debt").unwrap()];
    let mut whole = Vec::new();
    table
        .stream(&wanted, |_, lanes| {
            whole.extend(numbers(&lanes[0]).into_iter().zip(numbers(&lanes[1])));
            Ok(())
        })
        .unwrap();
    assert_eq!((whole.len(), whole[1_999]), (2_000, (1_999.0, -1.0)));
    // As an executor of a cluster gets them.
    let mut apart = Vec::new();
    for part in table.parts().unwrap() {
        let part: Part = serde_json::from_str(&serde_json::to_string(&part).unwrap()).unwrap();
        part.stream(&wanted, |_, lanes, _| {
            apart.extend(numbers(&lanes[0]).into_iter().zip(numbers(&lanes[1])));
            Ok(())
        })
        .unwrap();
    }
    assert_eq!(apart, whole);
    let fault = open().with_features(&names[..2]).unwrap_err();
    assert!(matches!(fault, DatasetError::Features { found: 3, named: 2, .. }), "{fault}");
    let doubled = ["amount", "label", "debt"].map(str::to_owned);
    let fault = open().with_features(&doubled).unwrap_err();
    assert!(matches!(fault, DatasetError::Doubled { .. }), "{fault}");
    let csv = folder.path().join("t.csv");
    std::fs::write(&csv, "a,b\n1,2\n").unwrap();
    let fault = Dataset::open(&[csv]).unwrap().with_features(&names).unwrap_err();
    assert!(matches!(fault, DatasetError::NoHistory { .. }), "{fault}");
}

#[test]
fn a_signal_that_the_later_table_never_saw_is_none_there() {
    let folder = tempfile::tempdir().unwrap();
    let (before, later) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    write(&before, &(0..2_000).map(row).collect::<Vec<_>>());
    let quiet = |at| Row { signals: Vec::new(), signal_scores: Vec::new(), ..row(at) };
    write(&later, &(0..2_000).map(quiet).collect::<Vec<_>>());
    let (before, later) = (Dataset::open(&[before]).unwrap(), Dataset::open(&[later]).unwrap());
    let without = ["id", "request"].map(str::to_owned);
    let profile = mantlet_dataset::profile(&before, &without).unwrap().value;
    assert!(profile.column("signals.query-sweep").is_some() && profile.column("at").is_none());
    let counted = mantlet_dataset::count(&later, &profile).unwrap();
    assert_eq!(counted.value.rows, 2_000);
    let reference = mantlet_dataset::Reference::of(profile).unwrap();
    let stream = mantlet_dataset::Stream;
    let signal = "signals.query-sweep".to_owned();
    let layout = mantlet_drift::Layout::of_errors(reference.profile());
    let fired = |table: &Dataset| {
        let cube = signal_cube_by(&stream, table, &reference, &signal).unwrap().value;
        let whole = cube.whole(&layout);
        (whole.judged, whole.errors)
    };
    assert_eq!((fired(&before), fired(&later)), ((2_000, 200), (2_000, 0)));
}

/// A history with wide inputs, such as pictures, keeps all its other columns.
#[test]
fn lists_beyond_what_is_unfolded_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let wide = |at| Row { features: vec![0.5; 3_072], ..row(at) };
    write(&path, &(0..50).map(wide).collect::<Vec<_>>());
    let table = Dataset::open(&[path]).unwrap();
    assert_eq!(table.column("features").unwrap().kind, Kind::Other);
    assert!(table.column("scores.1").is_some() && table.column("features.0").is_none());
    let measured = mantlet_dataset::profile(&table, &[]).unwrap();
    assert!(measured.gaps.iter().any(|gap| gap.contains("`features`")), "{:?}", measured.gaps);
}

#[test]
fn features_that_are_not_recorded_are_told_of_by_name_and_missing_ones_are_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let open = |rows: &[Row]| {
        write(&path, rows);
        let names = ["amount", "age", "debt"].map(str::to_owned);
        Dataset::open(std::slice::from_ref(&path)).unwrap().with_features(&names).unwrap()
    };
    let rows = |feature: &dyn Fn(u64) -> f32| -> Vec<Row> {
        (0..400).map(|at| Row { features: vec![at as f32, feature(at), -1.0], ..row(at) }).collect()
    };
    let never = open(&rows(&|_| NOT_RECORDED));
    assert_eq!(never.left_out(), [("age".to_owned(), true)]);
    assert!(
        never.notes().iter().any(|note| note.contains("`age` is not recorded, as")),
        "{:?}",
        never.notes()
    );
    let wanted = [never.column("age").unwrap(), never.column("amount").unwrap()];
    let stream = |(first, lanes): (u64, &[Lane])| {
        let (age, amount) = (numbers(&lanes[0]), numbers(&lanes[1]));
        assert!(age.iter().all(|value| value.is_nan()));
        assert!(amount.iter().zip(first..).all(|(value, row)| *value == row as f64));
    };
    never
        .stream(&wanted, |first, lanes| {
            stream((first, &lanes));
            Ok(())
        })
        .unwrap();
    let since = open(&rows(&|at| if at < 100 { 0.5 } else { NOT_RECORDED }));
    assert_eq!(since.left_out(), [("age".to_owned(), false)]);
    assert!(since.notes().iter().any(|note| note.contains("in some rows")), "{:?}", since.notes());
    // Values that callers did not give are another matter.
    let missing = open(&rows(&|_| f32::NAN));
    assert!(missing.left_out().is_empty() && missing.notes().is_empty(), "{:?}", missing.notes());
}
