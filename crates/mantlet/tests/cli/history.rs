//! What the gateway writes is what every monitor reads: requests through a running one, its Parquet through each command.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use mantlet_columns::{Row, write_rows};
use mantlet_vocab::Millis;
use serde_json::Value;

use crate::data::{names, report, uniform};
use crate::program::{Folder, Up, expect, run};
use crate::running::served_by;

const REQUESTS: u64 = 1_000;

/// Requests of ordinary callers; later ones of the callers with little income owe more.
fn ask(folder: &Folder, key: &mut Option<String>, later: bool) {
    let up = Up::start(&folder.path);
    let key = key.get_or_insert_with(|| up.said["api_key"].as_str().unwrap().to_owned());
    for request in 0..REQUESTS {
        let stream = u64::from(later) * 10;
        let income = [0.25, 0.5, 0.75, 1.0][(uniform(request, stream + 1) * 4.0) as usize];
        let mut debt = uniform(request, stream + 2);
        if later && income < 0.6 {
            debt = 0.6 + 0.4 * debt;
        }
        let body = format!(
            r#"{{"inputs":[{{"name":"input","shape":[1,2],"datatype":"FP32","data":[{income},{debt:.4}]}}]}}"#
        );
        let (status, said) = up.infer("model", key, &body);
        assert_eq!(status, 200, "{said}");
    }
    up.interrupt();
}

/// The files of the history so far: each day has a folder.
pub fn files(folder: &Folder) -> Vec<String> {
    let inside = |path: &Path| -> Vec<_> {
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut found: Vec<String> = inside(&folder.path.join(".mantlet/exchanges"))
        .iter()
        .filter(|day| day.is_dir())
        .flat_map(|day| inside(day))
        .map(|path| path.to_str().unwrap().to_owned())
        .filter(|path| path.ends_with(".parquet"))
        .collect();
    found.sort();
    found
}

fn read_rows(path: &Path) -> Vec<Row> {
    mantlet_columns::read_rows(path, Millis(0), Millis(u64::MAX), usize::MAX, |_| true).unwrap()
}

/// The same rows with their time spread over as many hours, for a watch that needs days.
fn spread(files: &[String], first: u64, to: &Path) {
    let mut rows = files.iter().flat_map(|file| read_rows(Path::new(file))).collect::<Vec<_>>();
    for (at, row) in rows.iter_mut().enumerate() {
        row.at = Millis(1_780_000_000_000 + (first + at as u64 / 14) * 3_600_000);
    }
    write_rows(File::create(to).unwrap(), to, &rows).unwrap();
}

#[test]
fn every_monitor_reads_what_the_gateway_wrote() {
    let (folder, _) = served_by("ada");
    folder.edit(|text| {
        let limits = |line: &&str| {
            let line = line.trim_start_matches(['#', ' ']);
            !line.starts_with("requests_per_minute") && !line.starts_with("burst")
        };
        let kept = text.lines().filter(limits).collect::<Vec<_>>().join("\n");
        kept.replacen("[gateway]", "[gateway]\nburst = 5000\nrequests_per_minute = 100000", 1)
    });
    let mut key = None;
    ask(&folder, &mut key, false);
    let before = files(&folder);
    assert!(!before.is_empty(), "the gateway wrote no Parquet");
    ask(&folder, &mut key, true);
    let now: Vec<String> = files(&folder).into_iter().filter(|file| !before.contains(file)).collect();
    assert!(!now.is_empty(), "the gateway wrote no Parquet the second time");
    let holder = tempfile::tempdir().unwrap();
    let at = |name: &str| holder.path().join(name).to_str().unwrap().to_owned();
    let run_on = |code: i32, head: &[&str], tables: &[String], more: &[&str]| {
        let mut arguments: Vec<&str> = head.to_vec();
        arguments.extend(tables.iter().map(String::as_str));
        arguments.extend(more);
        expect(code, arguments)
    };
    let with = |mut arguments: Vec<String>, tables: &[String]| {
        for table in tables {
            arguments.extend(["--reference".to_owned(), table.clone()]);
        }
        arguments
    };

    // The profile knows the features by the model's own names, and scores and signals by theirs.
    let profile = at("profile.json");
    let storage = folder.path.join(".mantlet");
    let storage = storage.to_str().unwrap();
    let named = ["--features", "income,debt", "--without", "took_ms", "--without", "generation"];
    let made = ["--out", &profile, "--storage", storage];
    run_on(0, &["monitor", "baseline"], &before, &[&made[..], &named[..]].concat());
    let known: Value = serde_json::from_str(&std::fs::read_to_string(&profile).unwrap()).unwrap();
    let known: Vec<&str> =
        known["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    for name in ["income", "debt", "scores.0", "scores.1", "signals"] {
        assert!(known.contains(&name), "{name}: {known:?}");
    }
    assert!(!known.iter().any(|name| *name == "at" || name.starts_with("features.")), "{known:?}");
    // Whoever misses one name is told so.
    let missing = ["--baseline", &profile, "--storage", storage, "--features", "income"];
    let wrong = run([&["monitor", "drift", &now[0]][..], &missing].concat());
    assert!(wrong.code >= 3 && wrong.err.contains("2 features"), "{}", wrong.err);

    // What drifted is named as the model calls it.
    let told =
        ["--baseline", &profile, "--storage", storage, "--named-by", folder.text(), "--format", "json"];
    let same = run_on(2, &["monitor", "drift"], &before, &told);
    assert_eq!(report(&same).len(), 0, "{}", same.out);
    let drift = run_on(1, &["monitor", "drift"], &now, &told);
    let parts: Vec<String> = report(&drift).iter().map(|f| f["place"]["part"].to_string()).collect();
    assert!(parts.iter().any(|part| part.contains("column debt")), "{parts:?}");
    assert!(!parts.iter().any(|part| part.contains("column income")), "{parts:?}");

    // Segments: debt moved where income is low only.
    let arguments = with(vec!["monitor".into(), "segments".into()], &before);
    let arguments: Vec<String> = arguments.into_iter().chain(now.iter().cloned()).collect();
    let more = ["--features", "income,debt", "--storage", storage, "--format", "json"];
    let without = ["scores.0", "scores.1", "label", "took_ms", "generation", "features_cut", "rows"];
    let mut arguments: Vec<String> = arguments.into_iter().chain(more.map(str::to_owned)).collect();
    arguments.extend(without.iter().flat_map(|name| ["--without".to_owned(), (*name).to_owned()]));
    let segments = run(&arguments);
    let told = report(&segments);
    let shift = told.iter().find(|finding| finding["name"] == "segment-shift");
    let message = shift.map(|finding| finding["message"].to_string()).unwrap_or_default();
    assert!(
        message.contains("income") && message.contains("`debt` rose"),
        "{} {}",
        segments.out,
        segments.err
    );

    // Labels that came later, by the exchange's own id.
    let mut late = String::from("id,repaid\n");
    let mut validation = String::from("scores.1,repaid\n");
    let scored: Vec<_> = before.iter().flat_map(|file| read_rows(Path::new(file))).collect();
    for (number, row) in scored.iter().enumerate() {
        let repaid = u8::from(uniform(number as u64, 77) < f64::from(row.scores[1]));
        writeln!(validation, "{},{repaid}", row.scores[1]).unwrap();
    }
    for (number, row) in now.iter().flat_map(|file| read_rows(Path::new(file))).enumerate() {
        // The model's promise no longer holds.
        let repaid = u8::from(uniform(number as u64, 78) < 1.0 - f64::from(row.scores[1]));
        writeln!(late, "{},{repaid}", row.id).unwrap();
    }
    std::fs::write(at("late.csv"), late).unwrap();
    std::fs::write(at("validation.csv"), validation).unwrap();
    let (late, validation) = (at("late.csv"), at("validation.csv"));
    let asked = [
        "--reference",
        &validation,
        "--score",
        "scores.1",
        "--label",
        "repaid",
        "--labels",
        &late,
        "--id",
        "id",
    ];
    let asked = [&asked[..], &["--time", "at", "--every", "month", "--format", "json"]].concat();
    let labels = run_on(1, &["monitor", "labels"], &now, &asked);
    assert!(names(&report(&labels)).iter().any(|name| name.starts_with("performance-")), "{}", labels.out);
    let asked = [
        &["--reference", &validation, "--score", "scores.1", "--label", "repaid"][..],
        &["--format", "json"],
    ]
    .concat();
    let quiet = run_on(0, &["monitor", "labels"], &before, &asked);
    assert_eq!(report(&quiet).len(), 0, "{}", quiet.out);

    // Groups: those with little income are answered otherwise now.
    let mut arguments = with(vec!["monitor".into(), "fairness".into()], &before);
    arguments.extend(now.iter().cloned());
    let more = ["--decision", "label", "--group", "income", "--features", "income,debt", "--format", "json"];
    arguments.extend(more.map(str::to_owned));
    let fairness = run(&arguments);
    assert_eq!(fairness.code, 1, "{} {}", fairness.out, fairness.err);
    assert!(names(&report(&fairness)).contains(&"fairness-gap-grew"), "{}", fairness.out);

    // The watch, over hours.
    let (old, new) = (holder.path().join("old.parquet"), holder.path().join("new.parquet"));
    spread(&before, 0, &old);
    spread(&now, 30, &new);
    let (old, new) = (at("old.parquet"), at("new.parquet"));
    let asked = ["--time", "at", "--season", "none", "--prediction", "label", "--column", "debt"];
    let asked = [&["monitor", "watch", &new, "--reference", &old][..], &asked[..]].concat();
    let watched = expect(1, [&asked[..], &["--features", "income,debt", "--format", "json"]].concat());
    let findings: Vec<Value> = report(&watched);
    let told = |part: &str| findings.iter().any(|finding| finding.to_string().contains(part));
    assert!(told("positive decisions") || told("high values of debt"), "{}", watched.out);
}
