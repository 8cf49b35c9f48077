//! Profiles that are merged, columns whose types are declared, engines that are refused, and reports that are drawn and
//! kept for the console.

use serde_json::Value;

use crate::monitor::table;
use crate::program::{Folder, expect, run};

/// The counts of a profile.
fn counts(path: &str) -> Value {
    let profile: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    profile["counts"].clone()
}

#[test]
fn profiles_that_divide_rows_alike_merge_to_that_of_all_rows_and_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let keys = at("keys");
    let whole = table(false);
    let lines: Vec<&str> = whole.lines().collect();
    let part = |rows: &[&str]| format!("{}\n{}\n", lines[0], rows.join("\n"));
    std::fs::write(at("all.csv"), &whole).unwrap();
    std::fs::write(at("a.csv"), part(&lines[1..1_200])).unwrap();
    std::fs::write(at("b.csv"), part(&lines[1_200..])).unwrap();
    let baseline = |tables: &[&str], out: &str, like: &[&str]| {
        let tables: Vec<String> = tables.iter().map(|name| at(name)).collect();
        let mut all = vec!["monitor", "baseline"];
        all.extend(tables.iter().map(String::as_str));
        all.extend(["--out", out, "--storage", &keys]);
        all.extend(like);
        expect(0, all)
    };
    let [of_all, of_a, of_b, both] = ["all.json", "pa.json", "pb.json", "both.json"].map(at);
    baseline(&["all.csv"], &of_all, &[]);
    baseline(&["a.csv"], &of_a, &["--like", &of_all]);
    baseline(&["b.csv"], &of_b, &["--like", &of_all]);
    let said = expect(0, ["monitor", "merge", &of_a, &of_b, "--out", &both, "--storage", &keys]).out;
    assert!(said.contains("3000 rows of 2 profiles"), "{said}");
    assert_eq!(counts(&both), counts(&of_all), "every count is that of all rows");
    // It is signed, and taken as a reference.
    expect(0, ["monitor", "drift", &at("all.csv"), "--baseline", &both, "--storage", &keys]);
    // A profile with edges of its own does not merge.
    let own = at("own.json");
    baseline(&["b.csv"], &own, &[]);
    let refused = run(["monitor", "merge", &of_a, &own, "--out", &both, "--storage", &keys]);
    assert!(refused.code == 3 && refused.err.contains("--like"), "{}", refused.err);
    // Nor does one that was changed since it was signed.
    let text = std::fs::read_to_string(&of_b).unwrap().replace("\"rows\":1801", "\"rows\":1802");
    std::fs::write(&of_b, text + " ").unwrap();
    let refused = run(["monitor", "merge", &of_a, &of_b, "--out", &both, "--storage", &keys]);
    assert!(refused.code == 3 && refused.err.contains("refused"), "{}", refused.err);
}

#[test]
fn a_column_is_read_as_it_is_declared() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // Codes of a merchant that look like numbers in one file and like words in the next.
    let rows = |word: &dyn Fn(u32) -> String| {
        let rows: String = (0..400).map(|row| format!("{},{}\n", word(row), row % 7)).collect();
        format!("merchant,amount\n{rows}")
    };
    std::fs::write(at("1.csv"), rows(&|row| (10 + row % 9).to_string())).unwrap();
    std::fs::write(at("2.csv"), rows(&|row| format!("M{}", row % 9))).unwrap();
    let (one, two, out, keys) = (at("1.csv"), at("2.csv"), at("p.json"), at("keys"));
    let made = ["monitor", "baseline", &one, &two, "--out", &out, "--storage", &keys];
    let wrong = run(made);
    assert!(wrong.code == 4 && wrong.err.contains("`merchant`"), "{}", wrong.err);
    expect(0, [&made[..], &["--type", "merchant=words"]].concat());
    let profile = std::fs::read_to_string(&out).unwrap();
    assert!(profile.contains("\"10\"") && profile.contains("\"M3\""), "{profile}");
    let wrong = run([&made[..], &["--type", "merchant=codes"]].concat());
    assert!(wrong.code == 3 && wrong.err.contains("COLUMN=KIND"), "{}", wrong.err);
}

#[test]
fn what_only_streams_says_so_when_an_engine_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, "text,at\na b,2026-01-01\n").unwrap();
    let path = path.to_str().unwrap();
    for command in [
        vec!["monitor", "texts", path, "--reference", path, "--text", "text"],
        vec!["monitor", "watch", path, "--reference", path, "--time", "at"],
        vec!["monitor", "ranges", path],
    ] {
        let refused = run([&command[..], &["--engine", "datafusion"]].concat());
        assert!(refused.code == 3 && refused.err.contains("streamed here"), "{command:?}: {}", refused.err);
    }
}

#[test]
fn every_kind_of_drift_is_drawn_and_the_report_is_kept_where_alarms_become_incidents() {
    let system = Folder::with_model();
    let home = system.text();
    let at = |name: &str| system.path.join(name).to_str().unwrap().to_owned();
    std::fs::write(at("reference.csv"), table(false)).unwrap();
    std::fs::write(at("later.csv"), table(true)).unwrap();
    let (reference, later, profile, keys) =
        (at("reference.csv"), at("later.csv"), at("profile.json"), at("keys"));
    expect(0, ["monitor", "baseline", &reference, "--out", &profile, "--storage", &keys]);
    let drift = ["monitor", "drift", &later, "--baseline", &profile, "--storage", &keys, "--format", "html"];
    let page = expect(1, drift).out;
    for title in [
        "a column has drifted",
        "a column has words the reference has not",
        "two columns hang together differently",
    ] {
        assert!(page.contains(&format!("aria-label=\"{title}: before and now\"")), "{title}: {page}");
    }
    assert_eq!(page.matches("<svg class=\"chart\"").count(), page.matches("<article").count(), "{page}");
    let kept = expect(1, [&drift[..], &["--incidents", home]].concat());
    assert!(kept.err.contains("the report is kept"), "{}", kept.err);
    assert_eq!(kept.out, page, "the report is the same, byte for byte");
    let log = expect(0, ["audit", "show", home]).out;
    assert!(log.contains("examination-kept"), "{log}");
    expect(0, ["audit", "verify", home]);
}
