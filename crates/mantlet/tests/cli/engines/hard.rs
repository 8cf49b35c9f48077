//! Tables that are hard to read: nested values, decimals of any width, times with zones, dictionaries, columns without a
//! value or with one, what is no number, cells of gigabytes, ten thousand columns. Every engine tells the same of them.

use arrow_array::builder::{ListBuilder, StringDictionaryBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{
    BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Int32Array, Int64Array, LargeStringArray,
    NullArray, StructArray, TimestampMicrosecondArray, UInt64Array,
};
use parquet::file::metadata::ParquetMetaDataWriter;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::*;

/// The engines: the arguments of each.
fn engines(tables: &Tables, scheduler: &Role) -> [Vec<String>; 3] {
    let datafusion = ["--engine", "datafusion", "--memory", "256"].map(str::to_owned).to_vec();
    [Vec::new(), datafusion, tables.cluster(&scheduler.address)]
}

/// Rows of every kind of column there is.
fn every_kind(rows: u64, shift: i64) -> RecordBatch {
    let draw = |row: u64, most: u64| mantlet_drift::mix(row ^ mantlet_drift::mix(most)) % most;
    let odd = |row: u64| match draw(row, 40) {
        0 => None,
        1 => Some(f64::NAN),
        2 => Some(f64::INFINITY),
        3 => Some(f64::NEG_INFINITY),
        4 => Some(-0.0),
        _ => Some(draw(row, 5000) as f64 / 7.0 + shift as f64 * 100.0),
    };
    let wide = |row: u64| i128::from(draw(row, 1000)) * 10_i128.pow(20) + i128::from(shift) * 10_i128.pow(22);
    let mut lists = ListBuilder::new(arrow_array::builder::Int32Builder::new());
    let mut kinds: StringDictionaryBuilder<arrow_array::types::Int32Type> = StringDictionaryBuilder::new();
    for row in 0..rows {
        lists.append_value([Some(row as i32), None]);
        match draw(row, 7) {
            0 => kinds.append_null(),
            at => kinds.append_value(format!("kind {}", at as i64 + shift)),
        }
    }
    let codes: Vec<i8> = (0..rows).map(|row| draw(row, 3) as i8).collect();
    let coded: DictionaryArray<Int8Type> =
        DictionaryArray::try_new(codes.into(), Arc::new(Int64Array::from(vec![10, 20, 30 + shift]))).unwrap();
    let record = StructArray::try_from(vec![(
        "inner",
        Arc::new((0..rows).map(|row| Some(row as i32)).collect::<Int32Array>()) as ArrayRef,
    )])
    .unwrap();
    let zoned = (0..rows).map(|row| Some(1_790_000_000_000_000 + row as i64 * 1_000_001));
    let zoned = zoned.collect::<TimestampMicrosecondArray>().with_timezone("+05:30");
    let decimal = (0..rows).map(|row| Some(wide(row))).collect::<Decimal128Array>();
    let long = |row: u64| "long ".repeat(2000) + &draw(row, 4).to_string() + &"!".repeat(shift as usize);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("odd", Arc::new((0..rows).map(odd).collect::<Float64Array>())),
        ("decimal", Arc::new(decimal.with_precision_and_scale(38, 10).unwrap())),
        ("zoned", Arc::new(zoned)),
        ("kind", Arc::new(kinds.finish())),
        ("coded", Arc::new(coded)),
        ("list", Arc::new(lists.finish())),
        ("record", Arc::new(record)),
        ("bytes", Arc::new((0..rows).map(|row| Some(row.to_le_bytes())).collect::<BinaryArray>())),
        ("nothing", Arc::new(NullArray::new(rows as usize))),
        ("no_number", Arc::new((0..rows).map(|_| None::<f64>).collect::<Float64Array>())),
        ("constant", Arc::new((0..rows).map(|_| Some(7.5)).collect::<Float64Array>())),
        ("same", Arc::new((0..rows).map(|_| Some("same")).collect::<StringArray>())),
        ("long", Arc::new((0..rows).map(|row| Some(long(row))).collect::<LargeStringArray>())),
        ("truth", Arc::new((0..rows).map(|row| Some(draw(row, 2) == 0)).collect::<BooleanArray>())),
        ("huge", Arc::new((0..rows).map(|row| Some(u64::MAX - draw(row, 900))).collect::<UInt64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn to_parquet(path: &Path, batch: &RecordBatch, rows: usize) {
    let groups = WriterProperties::builder().set_max_row_group_row_count(Some(rows)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(groups)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn to_arrow(path: &Path, batch: &RecordBatch) {
    let mut writer =
        arrow_ipc::writer::FileWriter::try_new(File::create(path).unwrap(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
}

/// Says in the footer of a file that a column takes so many bytes unpacked in its second row group.
fn declare(path: &Path, column: &str, size: i64) {
    let bytes = std::fs::read(path).unwrap();
    let metadata = SerializedFileReader::new(File::open(path).unwrap()).unwrap().metadata().clone();
    let groups = metadata.row_groups().iter().enumerate().map(|(at, group)| {
        let columns = group.columns().iter().map(|chunk| {
            if at != 1 || chunk.column_path().string() != column {
                return chunk.clone();
            }
            chunk.clone().into_builder().set_total_uncompressed_size(size).build().unwrap()
        });
        group.clone().into_builder().set_column_metadata(columns.collect()).build().unwrap()
    });
    let groups = groups.collect();
    let metadata = metadata.into_builder().set_row_groups(groups).build();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let mut whole = bytes[..bytes.len() - 8 - length].to_vec();
    ParquetMetaDataWriter::new(&mut whole, &metadata).finish().unwrap();
    std::fs::write(path, whole).unwrap();
}

#[test]
fn every_kind_of_column_is_read_or_named_alike_on_every_engine() {
    let tables = Tables::new(40);
    for (folder, shift) in [("kinds", 0), ("shifted", 3)] {
        std::fs::create_dir(tables.path(folder)).unwrap();
        to_parquet(&tables.path(folder).join("0.parquet"), &every_kind(3000, shift), 1000);
        to_arrow(&tables.path(folder).join("1.arrow"), &every_kind(2000, shift));
        to_parquet(&tables.path(folder).join("2.parquet"), &every_kind(1000, shift), 400);
    }
    let scheduler = tables.start("scheduler", None);
    let _executor = tables.start("executor", Some(&scheduler.address));
    let engines = engines(&tables, &scheduler);
    let (before, later, keys) = (tables.text("kinds"), tables.text("shifted"), tables.text("keys"));
    let mut told: Option<(String, String)> = None;
    for (at, engine) in engines.iter().enumerate() {
        let out = tables.text(&format!("kinds-{at}.json"));
        let made = ["monitor", "baseline", &before, "--out", &out, "--storage", &keys].map(str::to_owned);
        let made = expect(0, made.iter().chain(engine));
        for name in ["list", "record", "bytes"] {
            let gap =
                format!("column `{name}` holds lists, records, bytes or times of a day, which are not read");
            assert!(made.out.contains(&gap), "{engine:?}: {}", made.out);
        }
        let profile = std::fs::read_to_string(&out).unwrap();
        let profile_of = tables.text("kinds-0.json");
        let drift = ["monitor", "drift", &later, "--baseline", &profile_of, "--storage", &keys];
        let drift = drift.into_iter().chain(["--format", "json"]).map(str::to_owned);
        let report = run(drift.chain(engine.iter().cloned()));
        assert_eq!(report.code, 1, "{engine:?}: {}", report.err);
        for column in ["odd", "decimal", "kind", "coded", "long"] {
            assert!(report.out.contains(&format!("\"column {column}\"")), "{column}: {}", report.out);
        }
        for column in ["nothing", "no_number", "constant", "same", "truth"] {
            assert!(!report.out.contains(&format!("\"column {column}\"")), "{column}: {}", report.out);
        }
        match &told {
            None => told = Some((profile, report.out)),
            Some((first, streamed)) => {
                assert_eq!(&profile, first, "{engine:?}");
                assert_eq!(&report.out, streamed, "{engine:?}");
            }
        }
    }
    // What cannot be what it is asked for, in the same words.
    let asked = ["monitor", "labels", &before, "--reference", &before, "--score", "odd", "--label", "list"];
    for engine in &engines {
        let wrong = run(asked.iter().map(|&word| word.to_owned()).chain(engine.iter().cloned()));
        assert!(
            wrong.code >= 3 && wrong.err.contains("column `list` holds lists"),
            "{engine:?}: {}",
            wrong.err
        );
    }
}

#[test]
fn one_damaged_file_of_several_is_named_alike_on_every_engine() {
    let tables = Tables::new(40);
    std::fs::create_dir(tables.path("kinds")).unwrap();
    let file = |name: &str| tables.path("kinds").join(name);
    let write = || {
        for (name, rows) in [("0.parquet", 900), ("1.parquet", 1200), ("2.parquet", 600)] {
            to_parquet(&file(name), &every_kind(rows, 0), 300);
        }
    };
    write();
    let (table, keys) = (tables.text("kinds"), tables.text("keys"));
    let profile = tables.text("kinds.json");
    expect(0, ["monitor", "baseline", &table, "--out", &profile, "--storage", &keys]);
    let asked = ["monitor", "drift", &table, "--baseline", &profile, "--storage", &keys].map(str::to_owned);
    let scheduler = tables.start("scheduler", None);
    let _executor = tables.start("executor", Some(&scheduler.address));
    let engines = engines(&tables, &scheduler);
    let told = |words: &[&str]| {
        for engine in &engines {
            let ran = run(asked.iter().chain(engine));
            assert_eq!(ran.code, 4, "{engine:?}: {}{}", ran.out, ran.err);
            for word in words {
                assert!(ran.err.contains(word), "{engine:?}: {word}: {}", ran.err);
            }
        }
        write();
    };
    // A footer of the second file that is not all there, or not what it says.
    let damage = |name: &str, damage: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(file(name)).unwrap();
        damage(&mut bytes);
        std::fs::write(file(name), bytes).unwrap();
    };
    damage("1.parquet", &|bytes| bytes.truncate(bytes.len() - 3));
    told(&["1.parquet", "the footer"]);
    damage("1.parquet", &|bytes| {
        let end = bytes.len();
        bytes[end - 200..end - 12].fill(0xfe);
    });
    told(&["1.parquet", "the footer"]);
    // A cell of four gigabytes, as far as the file says.
    declare(&file("2.parquet"), "long", 4 << 30);
    told(&["2.parquet", "row group 1, column `long`", "4294967296 bytes unpacked"]);
    // Another schema: a column is missing, or holds something else.
    let without = |name: &str| {
        let batch = every_kind(300, 0);
        let places: Vec<usize> =
            (0..batch.num_columns()).filter(|&at| batch.schema().field(at).name() != name).collect();
        batch.project(&places).unwrap()
    };
    to_parquet(&file("1.parquet"), &without("constant"), 300);
    told(&["1.parquet has no column `constant`", "0.parquet has"]);
    let other = without("constant");
    let words: ArrayRef = Arc::new((0..300).map(|_| Some("seven")).collect::<StringArray>());
    let schema = other.schema();
    let names = schema.fields().iter().map(|field| field.name().clone());
    let columns = names.zip(other.columns().to_vec()).chain([("constant".to_owned(), words)]);
    let columns: Vec<(String, ArrayRef)> = columns.collect();
    to_parquet(&file("1.parquet"), &RecordBatch::try_from_iter(columns).unwrap(), 300);
    told(&["1.parquet: column `constant` holds words", "it holds numbers"]);
    for engine in &engines {
        expect(0, asked.iter().chain(engine));
    }
}

/// As many columns as a table may have.
const WIDE: usize = 10_000;

fn wide(path: &Path, columns: usize, shift: u64) {
    let name = |at: usize| if at % 10 == 9 { format!("w{at}") } else { format!("x{at}") };
    let mut text = (0..columns).map(name).collect::<Vec<_>>().join(",");
    text.push('\n');
    for row in 0..40_u64 {
        let cell = |at: usize| {
            let draw = mantlet_drift::mix(row ^ mantlet_drift::mix(at as u64));
            match at % 10 {
                9 => format!("k{}", draw % 4),
                _ => (draw % 6 + if at == 4_321 { shift } else { 0 }).to_string(),
            }
        };
        text += &(0..columns).map(cell).collect::<Vec<_>>().join(",");
        text.push('\n');
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn ten_thousand_columns_go_through_on_every_engine_and_one_more_is_refused() {
    let tables = Tables::new(40);
    std::fs::create_dir(tables.path("wide")).unwrap();
    for (name, columns, shift) in [("before", WIDE, 0), ("later", WIDE, 40), ("more", WIDE + 1, 0)] {
        wide(&tables.path(&format!("wide/{name}.csv")), columns, shift);
    }
    let scheduler = tables.start("scheduler", None);
    let _executor = tables.start("executor", Some(&scheduler.address));
    let engines = engines(&tables, &scheduler);
    let [before, later, more] =
        ["before", "later", "more"].map(|name| tables.text(&format!("wide/{name}.csv")));
    let (keys, profile) = (tables.text("keys"), tables.text("wide.json"));
    let made = |table: &str, out: &str| {
        ["monitor", "baseline", table, "--out", out, "--storage", &keys].map(str::to_owned).to_vec()
    };
    expect(0, made(&before, &profile));
    let here = tables.text("here.json");
    expect(0, made(&before, &here).iter().chain(&engines[1]));
    assert!(std::fs::read(&here).unwrap() == std::fs::read(&profile).unwrap(), "other profiles");
    let drift = ["monitor", "drift", &later, "--baseline", &profile, "--storage", &keys, "--format", "json"];
    let drift = drift.map(str::to_owned);
    let streamed = expect(1, &drift);
    assert!(streamed.out.contains("\"column x4321\""), "{}", streamed.out);
    for engine in &engines {
        assert_eq!(expect(1, drift.iter().chain(engine)).out, streamed.out, "{engine:?}");
        let refused = run(made(&more, &here).iter().chain(engine));
        let told = "has 10001 columns, more than the 10000 that are read";
        assert!(refused.code >= 3 && refused.err.contains(told), "{engine:?}: {}", refused.err);
    }
}
