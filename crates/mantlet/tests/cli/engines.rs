//! Every monitor on every engine, over a table whose files are of every format: the same report, byte for byte; and the
//! same words when a file is damaged.
//!
//! Long because the monitors share one table, and each says here what it is told of it.

mod hard;
mod killed;
mod late;

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Date32Array, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use crate::cluster::processes::{Role, ended};
use crate::program::{Ran, expect, mantlet, run};

/// One decision.
struct Row {
    day: i32,
    channel: &'static str,
    plan: String,
    risk: Option<f64>,
    sex: &'static str,
    truth: &'static str,
    said: &'static str,
    score: f64,
}

/// Decisions of eight weeks. When something is wrong, the model errs more in one crossing of channel and plan, a column
/// moved in one channel, and one group is refused more often.
fn rows(seed: u64, rows: u64, wrong: bool) -> Vec<Row> {
    let mut state = seed * 2 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let row = |row: u64| {
        let channel = ["web", "app", "api"][(next() * 3.0) as usize];
        let plan = format!("p{}", (next() * 5.0) as u64);
        let sex = ["f", "m"][(next() * 2.0) as usize];
        let score = next();
        let truth = next() < score;
        let broken = wrong && channel == "api" && plan == "p2";
        let said = (score >= 0.5) != (next() < if broken { 0.5 } else { 0.05 });
        let said = said && !(wrong && sex == "f" && next() < 0.3);
        let risk = next() * 100.0 + if wrong && channel == "app" { 30.0 } else { 0.0 };
        let word = |yes: bool| if yes { "yes" } else { "no" };
        Row {
            day: 20_730 + (row * 56 / rows) as i32,
            risk: (next() > 0.02).then_some((risk * 1000.0).round() / 1000.0),
            truth: word(truth),
            said: word(said),
            channel,
            plan,
            sex,
            score: (score * 1e6).round() / 1e6,
        }
    };
    (0..rows).map(row).collect()
}

fn batch(rows: &[Row]) -> RecordBatch {
    let words = |word: &dyn Fn(&Row) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(word(row))).collect::<StringArray>())
    };
    let numbers = |number: &dyn Fn(&Row) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(number).collect::<Float64Array>())
    };
    let days: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.day)).collect::<Date32Array>());
    RecordBatch::try_from_iter_with_nullable([
        ("day", days, true),
        ("channel", words(&|row| row.channel.into()), true),
        ("plan", words(&|row| row.plan.clone()), true),
        ("risk", numbers(&|row| row.risk), true),
        ("sex", words(&|row| row.sex.into()), true),
        ("truth", words(&|row| row.truth.into()), true),
        ("said", words(&|row| row.said.into()), true),
        ("score", numbers(&|row| Some(row.score)), true),
    ])
    .unwrap()
}

fn parquet(path: &Path, rows: &[Row]) {
    let batch = batch(rows);
    let groups = WriterProperties::builder().set_max_row_group_row_count(Some(2000)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(groups)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn arrow(path: &Path, rows: &[Row]) {
    let batch = batch(rows);
    let mut writer =
        arrow_ipc::writer::FileWriter::try_new(File::create(path).unwrap(), &batch.schema()).unwrap();
    for from in (0..batch.num_rows()).step_by(1500) {
        writer.write(&batch.slice(from, 1500.min(batch.num_rows() - from))).unwrap();
    }
    writer.finish().unwrap();
}

fn date(day: i32) -> String {
    (jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day)).to_string()
}

fn csv(path: &Path, rows: &[Row]) {
    let mut text = String::from("day,channel,plan,risk,sex,truth,said,score\n");
    for (at, row) in rows.iter().enumerate() {
        // A few cells that are no numbers: told, and the same number of them on every engine.
        let risk = if at % 997 == 5 { Some("high".into()) } else { row.risk.map(|risk| risk.to_string()) };
        let Row { channel, plan, sex, truth, said, score, .. } = row;
        let (day, risk) = (date(row.day), risk.unwrap_or_default());
        writeln!(text, "{day},{channel},{plan},{risk},{sex},{truth},{said},{score}").unwrap();
    }
    std::fs::write(path, text).unwrap();
}

fn json(path: &Path, rows: &[Row]) {
    let mut text = String::new();
    for row in rows {
        let Row { channel, plan, risk, sex, truth, said, score, .. } = row;
        let value = serde_json::json!({
            "day": date(row.day), "channel": channel, "plan": plan, "risk": risk, "sex": sex, "truth": truth,
            "said": said, "score": score,
        });
        writeln!(text, "{value}").unwrap();
    }
    std::fs::write(path, text).unwrap();
}

/// A week of labelled rows.
fn labelled(week: u64) -> String {
    let mut text = String::from("feed,kind,amount,risk,label\n");
    let uniform = |row: u64, stream: u64| {
        ((mantlet_drift::mix(row ^ mantlet_drift::mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    for row in week * 6_000..(week + 1) * 6_000 {
        let pick = |many: f64, stream| (uniform(row, stream) * many) as u64;
        let (feed, kind) = (pick(5.0, 1), pick(4.0, 2));
        let (amount, risk) = (20.0 + 400.0 * uniform(row, 3).powi(3), uniform(row, 4));
        let margin = -5.0 + 5.5 * risk * risk + 0.4 * kind as f64 + amount / 400.0;
        let mut fraud = uniform(row, 5) < 1.0 / (1.0 + (-margin).exp());
        fraud &= !(week >= 3 && feed == 2 && kind == 3 && uniform(row, 6) < 0.5);
        let label = if fraud { "yes" } else { "no" };
        writeln!(text, "bank{feed},k{kind},{amount:.2},{risk:.4},{label}").unwrap();
    }
    text
}

/// Writes rows in a format.
type Write = fn(&Path, &[Row]);

struct Tables {
    holder: TempDir,
}

impl Tables {
    fn new(each: u64) -> Self {
        let tables = Self { holder: tempfile::tempdir().unwrap() };
        let write: [(&str, Write); 4] =
            [("0.parquet", parquet), ("1.csv", csv), ("2.jsonl", json), ("3.arrow", arrow)];
        for (folder, wrong) in [("before", false), ("later", true)] {
            std::fs::create_dir_all(tables.path(folder)).unwrap();
            for (at, (name, write)) in write.iter().enumerate() {
                let seed = 10 * u64::from(wrong) + at as u64;
                write(&tables.path(folder).join(name), &rows(seed, each, wrong));
            }
        }
        // Ten weeks of five feeds, one of which drops a label in one kind from the fourth week on.
        std::fs::create_dir_all(tables.path("weeks")).unwrap();
        for week in 0..10 {
            std::fs::write(tables.path("weeks").join(format!("{week}.csv")), labelled(week)).unwrap();
        }
        std::fs::write(tables.path("token"), "0123456789abcdef0123456789abcdef\n").unwrap();
        let (before, profile, keys) =
            (tables.text("before"), tables.text("profile.json"), tables.text("keys"));
        let made = ["monitor", "baseline", &before, "--out", &profile, "--storage", &keys];
        let without = ["--without", "truth", "--without", "said", "--without", "score"];
        expect(0, made.into_iter().chain(without));
        tables
    }

    fn path(&self, name: &str) -> PathBuf {
        self.holder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// What each monitor is asked, with what it has to find.
    fn asked(&self) -> Vec<(Vec<String>, &'static str)> {
        let (before, later) = (self.text("before"), self.text("later"));
        // By the folder, and by a pattern of names.
        let pattern = self.text("later") + "/[0-9].*";
        let (profile, keys) = (self.text("profile.json"), self.text("keys"));
        let feeds = self.text("weeks");
        let asked = |monitor: &str, table: &str, more: &[&str]| -> Vec<String> {
            let command = if monitor == "feeds" { "data" } else { "monitor" };
            let fixed = [command, monitor, table, "--format", "json"];
            fixed.iter().chain(more).map(|&word| word.to_owned()).collect()
        };
        let judged = ["--reference", &before, "--label", "truth", "--prediction", "said", "--storage", &keys];
        let scored = ["--reference", &before, "--label", "truth", "--score", "score", "--prediction", "said"];
        let scored: Vec<&str> = scored.into_iter().chain(["--positive", "yes"]).collect();
        let by_day: Vec<&str> = scored.iter().copied().chain(["--time", "day"]).collect();
        let by_rows: Vec<&str> = scored.iter().copied().chain(["--rows", "3000"]).collect();
        let groups = ["--reference", &before, "--decision", "said", "--label", "truth", "--positive", "yes"];
        let groups: Vec<&str> = groups.into_iter().chain(["--group", "sex", "--given", "channel"]).collect();
        vec![
            (asked("drift", &pattern, &["--baseline", &profile, "--storage", &keys]), "drift-marginal-shift"),
            (asked("segments", &later, &judged), "segment-loss"),
            (asked("labels", &pattern, &by_day), "performance-fell"),
            (asked("labels", &later, &by_rows), "performance-fell"),
            (asked("fairness", &later, &groups), "fairness-gap-grew"),
            (asked("feeds", &feeds, &["--label", "label", "--feed", "feed"]), "feed-label-shift"),
        ]
    }

    fn cluster(&self, scheduler: &str) -> Vec<String> {
        let token = self.text("token");
        ["--engine", "cluster", "--scheduler", scheduler, "--token-file", &token].map(str::to_owned).to_vec()
    }

    fn start(&self, role: &str, scheduler: Option<&str>) -> Role {
        let (root, keys) = (self.text(""), self.text("keys"));
        Role::start_in(self.holder.path(), role, scheduler, &root, &["--storage", &keys])
    }
}

#[test]
fn every_monitor_reports_the_same_bytes_on_every_engine() {
    let tables = Tables::new(6000);
    let scheduler = tables.start("scheduler", None);
    let _executors = [(); 2].map(|()| tables.start("executor", Some(&scheduler.address)));
    let on = |asked: &[String], engine: &[String]| {
        let ran = run(asked.iter().chain(engine));
        assert_eq!(ran.code, 1, "{asked:?} {engine:?}: {}{}", ran.out, ran.err);
        ran.out
    };
    let datafusion = ["--engine", "datafusion", "--memory", "128"].map(str::to_owned);
    let cluster = tables.cluster(&scheduler.address);
    for (asked, finding) in tables.asked() {
        let streamed = on(&asked, &[]);
        assert!(streamed.contains(finding), "{finding}: {streamed}");
        assert_eq!(on(&asked, &datafusion), streamed, "{asked:?}");
        assert_eq!(on(&asked, &cluster), streamed, "{asked:?}");
    }
    // And the rows to look at.
    let weeks = tables.text("weeks");
    let review = ["data", "review", &weeks, "--label", "label", "--feed", "feed", "--rows", "50"];
    let review = review.map(str::to_owned).to_vec();
    let streamed = on(&review, &[]);
    assert_eq!(streamed.lines().count(), 51, "{streamed}");
    assert_eq!(on(&review, &datafusion), streamed);
    assert_eq!(on(&review, &cluster), streamed);
    // What is no number is counted once and told alike.
    let (asked, _) = &tables.asked()[0];
    let told = on(asked, &cluster);
    assert!(told.contains("7 cells of column `risk` are no numbers"), "{told}");
    // A profile that the cluster made is the one that a stream makes.
    let (before, keys) = (tables.text("before"), tables.text("keys"));
    let profile = |name: &str, engine: &[String]| {
        let out = tables.text(name);
        let made = ["monitor", "baseline", &before, "--out", &out, "--storage", &keys].map(str::to_owned);
        expect(0, made.iter().chain(engine));
        std::fs::read_to_string(out).unwrap()
    };
    let streamed = profile("streamed.json", &[]);
    assert_eq!(profile("here.json", &datafusion), streamed);
    assert_eq!(profile("there.json", &cluster), streamed);
}

/// Asks a cluster one of whose executors dies as soon as it has done a part.
fn survived(tables: &Tables, scheduler: &Role, asked: &[String]) -> Ran {
    for _ in 0..4 {
        let mut second = tables.start("executor", Some(&scheduler.address));
        let mut asking = mantlet(asked.iter().chain(&tables.cluster(&scheduler.address)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let patience = Instant::now() + Duration::from_secs(120);
        while second.parts().is_empty() && asking.try_wait().unwrap().is_none() {
            assert!(Instant::now() < patience, "no part was done: {asked:?}");
            std::thread::yield_now();
        }
        second.child.kill().unwrap();
        let was_asking = asking.try_wait().unwrap().is_none();
        let ran = ended(asking);
        if was_asking {
            return ran;
        }
        // It ended before: the kill told nothing, so once more.
    }
    panic!("it always ended before an executor could be killed: {asked:?}");
}

#[test]
fn every_other_monitor_tells_the_same_bytes_when_an_executor_is_killed_meanwhile() {
    let tables = Tables::new(12_000);
    let scheduler = tables.start("scheduler", None);
    let _first = tables.start("executor", Some(&scheduler.address));
    let all = tables.asked();
    for wanted in ["segment-loss", "performance-fell", "fairness-gap-grew", "feed-label-shift"] {
        let (asked, _) = all.iter().find(|(_, finding)| *finding == wanted).unwrap();
        let streamed = expect(1, asked);
        let ran = survived(&tables, &scheduler, asked);
        assert_eq!((ran.code, ran.out.as_str()), (1, streamed.out.as_str()), "{wanted}: {}", ran.err);
    }
}

/// Counts are one row a task, which nothing can be spilled of: what does not fit is refused, and what fits is the same.
#[test]
fn counts_that_do_not_fit_into_memory_are_refused() {
    let holder = tempfile::tempdir().unwrap();
    let at = |name: &str| holder.path().join(name).to_str().unwrap().to_owned();
    let mut text = String::from("a,b,c,d,x\n");
    for row in 0..40_000_u64 {
        let word = |stream: u64| mantlet_drift::mix(row ^ mantlet_drift::mix(stream)) >> 24;
        writeln!(text, "w{:x},w{:x},w{:x},w{:x},{row}", word(1), word(2), word(3), word(4)).unwrap();
    }
    std::fs::write(at("words.csv"), text).unwrap();
    let made = |out: &str, engine: &[&str]| {
        let (table, out, keys) = (at("words.csv"), at(out), at("keys"));
        let asked = ["monitor", "baseline", &table, "--out", &out, "--storage", &keys];
        run(asked.iter().chain(engine))
    };
    let small = made("small.json", &["--engine", "datafusion", "--memory", "1"]);
    assert!(small.code == 4 && small.err.contains("1024.0 KB remain"), "{} {}", small.code, small.err);
    assert!(!Path::new(&at("small.json")).exists());
    let streamed = made("streamed.json", &[]);
    let whole = made("whole.json", &["--engine", "datafusion", "--memory", "64"]);
    assert!(streamed.code == 0 && whole.code == 0, "{} {}", streamed.err, whole.err);
    let read = |name: &str| std::fs::read(at(name)).unwrap();
    assert!(read("streamed.json") == read("whole.json"));
}

#[test]
fn a_damaged_file_is_told_with_its_place_on_every_engine() {
    let tables = Tables::new(5000);
    let (asked, _) = tables.asked().swap_remove(0);
    let scheduler = tables.start("scheduler", None);
    let _executor = tables.start("executor", Some(&scheduler.address));
    let engines = [
        Vec::new(),
        ["--engine", "datafusion"].map(str::to_owned).to_vec(),
        tables.cluster(&scheduler.address),
    ];
    let broken = |file: &str, damage: &dyn Fn(&mut Vec<u8>), place: &[&str]| {
        let path = tables.path("later").join(file);
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        for engine in &engines {
            let ran = run(asked.iter().chain(engine));
            assert_eq!(ran.code, 4, "{file} {engine:?}: {}{}", ran.out, ran.err);
            for word in place.iter().chain([&file]) {
                assert!(ran.err.contains(word), "{file} {engine:?}: {word}: {}", ran.err);
            }
        }
        std::fs::write(&path, whole).unwrap();
    };
    // The file of Parquet with a page of one column overwritten: everything around it is whole.
    let page = |bytes: &mut Vec<u8>| {
        use parquet::file::reader::FileReader as _;
        let copy = tables.path("copy.parquet");
        std::fs::write(&copy, &bytes).unwrap();
        let reader = parquet::file::reader::SerializedFileReader::new(File::open(&copy).unwrap()).unwrap();
        let group = reader.metadata().row_group(1);
        let chunk = group.columns().iter().find(|chunk| chunk.column_path().string() == "risk").unwrap();
        let (start, length) = chunk.byte_range();
        bytes[start as usize..(start + length) as usize].fill(0xff);
    };
    broken("0.parquet", &page, &["row group 1", "column `risk`"]);
    broken("0.parquet", &|bytes| bytes.truncate(bytes.len() / 2), &["the footer"]);
    broken(
        "1.csv",
        &|bytes| bytes.extend_from_slice(b"1,2,3\n"),
        &["line 5002", "3 fields where the header has 8"],
    );
    let giant = |bytes: &mut Vec<u8>| {
        bytes.extend_from_slice(b"{\"channel\":\"");
        bytes.resize(bytes.len() + (17 << 20), b'x');
        bytes.extend_from_slice(b"\"}\n");
    };
    broken("2.jsonl", &giant, &["line 5001", "longer than"]);
    let words = |bytes: &mut Vec<u8>| {
        let text = String::from_utf8(std::mem::take(bytes)).unwrap();
        let column = |line: &str| {
            let mut cells: Vec<&str> = line.split(',').collect();
            if cells[3] != "risk" {
                cells[3] = "high";
            }
            cells.join(",") + "\n"
        };
        *bytes = text.lines().map(column).collect::<String>().into_bytes();
    };
    broken("1.csv", &words, &["column `risk` holds words", "it holds numbers"]);
    broken("3.arrow", &|bytes| bytes.truncate(bytes.len() - 7), &["the footer"]);
    // Whole again, the same command goes on as if nothing had been.
    for engine in &engines {
        expect(1, asked.iter().chain(engine));
    }
}
