//! `mantlet monitor watch` and `mantlet monitor fairness` as a scheduled job calls them.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use crate::program::{expect, run};

fn uniform(row: u64, stream: u64) -> f64 {
    let mut mixed = (row ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Hours of 120 decisions, busier by day; from hour `evaded` on the fraud of one channel is missed more and more.
pub fn decisions(hours: Range<u64>, evaded: u64) -> String {
    let mut text = String::from("at,channel,said,fraud\n");
    for hour in hours {
        let by_day = 1.0 + 0.5 * (hour as f64 * std::f64::consts::TAU / 24.0).sin();
        for at in 0..120 {
            let row = hour * 1_000 + at;
            let channel = if uniform(row, 1) < 0.3 { "api" } else { "web" };
            let fraud = uniform(row, 2) < 0.3 * by_day;
            let late = hour.saturating_sub(evaded) as f64;
            let missed =
                if channel == "api" && hour >= evaded { 0.1 + 0.4 * (late / 40.0).min(1.0) } else { 0.1 };
            let said = if fraud { uniform(row, 3) >= missed } else { uniform(row, 3) < 0.05 };
            let stamp = 1_780_000_000_000 - 1_780_000_000_000 % 86_400_000 + hour * 3_600_000 + at * 20_000;
            writeln!(text, "{stamp},{channel},{},{}", u8::from(said), u8::from(fraud)).unwrap();
        }
    }
    text
}

#[test]
fn a_class_that_is_missed_more_and_more_is_told_once_and_the_watch_goes_on() {
    let holder = tempfile::tempdir().unwrap();
    let at = |name: &str| holder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("before.csv"), decisions(0..240, 10_000)).unwrap();
    std::fs::write(at("quiet.csv"), decisions(240..340, 10_000)).unwrap();
    std::fs::write(at("later.csv"), decisions(240..440, 340)).unwrap();
    let (before, state, alerts, digest) =
        (at("before.csv"), at("state.json"), at("alerts.jsonl"), at("digest.md"));
    let watch = |table: &str, code: i32| {
        let told = expect(
            code,
            [
                "monitor",
                "watch",
                table,
                "--reference",
                &before,
                "--time",
                "at",
                "--prediction",
                "said",
                "--label",
                "fraud",
                "--segment",
                "channel",
                "--cooldown",
                "500",
                "--state",
                &state,
                "--alerts",
                &alerts,
                "--digest",
                &digest,
                "--format",
                "json",
            ],
        );
        serde_json::from_str::<Value>(&told.out).unwrap()
    };
    watch(&at("quiet.csv"), 0);
    assert!(!Path::new(&alerts).exists());
    assert!(std::fs::read_to_string(&digest).unwrap().contains("Nothing changed"));
    let report = watch(&at("later.csv"), 1);
    let findings = report["findings"].as_array().unwrap();
    let lines_of = |finding: &Value| -> Vec<String> {
        finding["trace"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    };
    let evasion = findings.iter().find(|finding| {
        finding["name"] == "online-slow-evasion"
            && lines_of(finding).iter().any(|line| line.contains("channel api"))
    });
    let trace = lines_of(evasion.unwrap_or_else(|| panic!("{findings:#?}")));
    let questions =
        ["what changed", "what is suspicious", "who and what", "which decisions", "what to do now"];
    assert!(trace.iter().zip(questions).all(|(line, question)| line.starts_with(question)), "{trace:?}");
    assert!(trace[4].contains("mantlet monitor segments"), "{trace:?}");
    assert!(findings.len() <= 3, "{findings:#?}");
    // The alarm is drawn: what was usual and what was seen, with where it began and where it was told.
    let picture = &evasion.unwrap()["facts"]["picture"];
    let number = |key: &str| picture[key].as_u64().unwrap() as usize;
    let (since, told, seen) = (number("since"), number("told"), picture["seen"].as_array().unwrap());
    assert!(
        picture["kind"] == "timeline" && since <= told && told + 1 == seen.len() && seen.len() <= 48,
        "{picture}"
    );
    let lines = std::fs::read_to_string(&alerts).unwrap();
    assert_eq!(lines.lines().count(), findings.len());
    assert!(std::fs::read_to_string(&digest).unwrap().contains("missed"));
    // Nothing is told twice.
    let again = watch(&at("later.csv"), 0);
    assert_eq!(again["findings"].as_array().unwrap().len(), 0);
    assert_eq!(std::fs::read_to_string(&alerts).unwrap(), lines);
    let other = run([
        "monitor",
        "watch",
        &at("later.csv"),
        "--reference",
        &before,
        "--time",
        "at",
        "--prediction",
        "said",
        "--state",
        &state,
    ]);
    assert_eq!(other.code, 3, "{}", other.err);
    assert!(other.err.contains("other options"), "{}", other.err);
    let short = at("short.csv");
    std::fs::write(&short, decisions(0..5, 10_000)).unwrap();
    let thin =
        run(["monitor", "watch", &short, "--reference", &short, "--time", "at", "--prediction", "said"]);
    assert_eq!(thin.code, 3, "{}", thin.err);
    assert!(thin.err.contains("too few bins"), "{}", thin.err);
}

/// Loans by district and income; when `planted`, one district is granted fewer.
pub fn lent(rows: Range<u64>, planted: bool) -> String {
    let mut text = String::from("district,income,granted\n");
    for row in rows {
        let district = if uniform(row, 1) < 0.25 { "north" } else { "south" };
        let income = if uniform(row, 2) < 0.5 { "low" } else { "high" };
        let share = if income == "low" { 0.3 } else { 0.6 };
        let share = if planted && district == "north" { share - 0.15 } else { share };
        writeln!(text, "{district},{income},{}", u8::from(uniform(row, 3) < share)).unwrap();
    }
    text
}

#[test]
fn a_bias_planted_into_a_new_version_is_named() {
    let holder = tempfile::tempdir().unwrap();
    let at = |name: &str| holder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("before.csv"), lent(0..6_000, false)).unwrap();
    std::fs::write(at("same.csv"), lent(10_000..16_000, false)).unwrap();
    std::fs::write(at("turned.csv"), lent(20_000..26_000, true)).unwrap();
    let compare = |table: &str, code: i32| {
        expect(
            code,
            [
                "monitor",
                "fairness",
                table,
                "--reference",
                &at("before.csv"),
                "--decision",
                "granted",
                "--group",
                "district",
                "--given",
                "income",
                "--format",
                "json",
            ],
        )
    };
    compare(&at("same.csv"), 0);
    let told: Value = serde_json::from_str(&compare(&at("turned.csv"), 1).out).unwrap();
    let findings = told["findings"].as_array().unwrap();
    assert_eq!((findings.len(), &findings[0]["name"]), (1, &"fairness-gap-grew".into()), "{findings:#?}");
    assert_eq!(findings[0]["facts"]["group"], "district=north");
}
