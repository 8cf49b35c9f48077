//! `mantlet monitor` as a scheduled job calls it.

use std::fmt::Write as _;

use serde_json::Value;

use crate::program::{expect, run};

/// A table of 3,000 rows: two columns that go together, words, gaps; `drifted` moves each in its own way.
pub fn table(drifted: bool) -> String {
    let mut text = String::from("id,amount,limit,city,age\n");
    let mut random = 7_u64 + u64::from(drifted);
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(random >> 33).unwrap()) / f64::from(1_u32 << 31)
    };
    for row in 0..3000 {
        let (amount, age, at) = (next() * 100.0, 20.0 + next() * 50.0, next());
        let limit = if drifted { 500.0 - amount } else { 400.0 + amount } + next() * 30.0;
        let city = match at {
            at if at < 0.5 => "Bern",
            at if drifted && at < 0.53 => "Atlantis",
            _ => "Oslo",
        };
        let age =
            if next() < if drifted { 0.08 } else { 0.01 } { String::new() } else { format!("{age:.1}") };
        let amount = if drifted { amount * 1.2 } else { amount };
        writeln!(text, "u-{row},{amount:.2},{limit:.2},{city},{age}").unwrap();
    }
    text
}

#[test]
fn what_changed_is_named_and_an_unchanged_table_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("reference.csv"), table(false)).unwrap();
    std::fs::write(at("later.csv"), table(true)).unwrap();
    let (reference, later, profile) = (at("reference.csv"), at("later.csv"), at("profile.json"));
    let keys = at("keys");
    let made = expect(0, ["monitor", "baseline", &reference, "--out", &profile, "--storage", &keys]);
    assert!(made.out.contains("3000 rows, 5 columns"), "{}", made.out);
    assert!(made.out.contains("`id` has a word of its own"), "{}", made.out);
    let same = expect(
        0,
        ["monitor", "drift", &reference, "--baseline", &profile, "--storage", &keys, "--format", "json"],
    );
    let report: Value = serde_json::from_str(&same.out).unwrap();
    assert_eq!(report["findings"].as_array().unwrap().len(), 0);
    let drifted = expect(
        1,
        ["monitor", "drift", &later, "--baseline", &profile, "--storage", &keys, "--format", "json"],
    );
    let report: Value = serde_json::from_str(&drifted.out).unwrap();
    let named = |rule: &str, part: &str| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().any(|finding| finding["name"] == rule && finding["place"]["part"] == part)
    };
    assert!(named("drift-marginal-shift", "column amount"), "{}", drifted.out);
    assert!(named("drift-missing-values", "column age"), "{}", drifted.out);
    assert!(named("drift-new-words", "column city"), "{}", drifted.out);
    assert!(named("drift-joint-shift", "columns amount and limit"), "{}", drifted.out);
    assert!(!named("drift-marginal-shift", "column age"), "{}", drifted.out);
    let again = expect(
        1,
        ["monitor", "drift", &later, "--baseline", &profile, "--storage", &keys, "--format", "json"],
    );
    assert_eq!(again.out, drifted.out, "the same report, byte for byte");
    for format in ["text", "markdown", "html", "sarif"] {
        let told = expect(
            1,
            ["monitor", "drift", &later, "--baseline", &profile, "--storage", &keys, "--format", format],
        );
        assert!(told.out.contains("drift-joint-shift"), "{format}");
    }
}

#[test]
fn wrong_input_is_told_from_a_failed_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("t.csv"), table(false)).unwrap();
    std::fs::write(at("other.csv"), "a,b\n1,2\n").unwrap();
    std::fs::write(at("broken.json"), "{\"version\": 1}").unwrap();
    let (table, profile, keys) = (at("t.csv"), at("profile.json"), at("keys"));
    expect(0, ["monitor", "baseline", &table, "--out", &profile, "--without", "id", "--storage", &keys]);
    let no_profile = expect(3, ["monitor", "drift", &table, "--baseline", &at("broken.json")]);
    assert!(no_profile.err.contains("is no profile"), "{}", no_profile.err);
    expect(3, ["monitor", "drift", &table, "--baseline", &profile, "--storage", &keys, "--alpha", "0.9"]);
    let other = run(["monitor", "drift", &at("other.csv"), "--baseline", &profile, "--storage", &keys]);
    assert!(other.code == 4 && other.err.contains("no column `amount`"), "{} {}", other.code, other.err);
    // A column that the profile has not was not looked at, and that is said.
    let wide = at("wide.csv");
    let text: String = std::fs::read_to_string(&table)
        .unwrap()
        .lines()
        .enumerate()
        .map(|(row, line)| if row == 0 { format!("{line},extra\n") } else { format!("{line},{}\n", row % 7) })
        .collect();
    std::fs::write(&wide, text).unwrap();
    let partial = expect(2, ["monitor", "drift", &wide, "--baseline", &profile, "--storage", &keys]);
    assert!(partial.out.contains("`extra` is not in the profile"), "{}", partial.out);
}

/// Judged decisions; when `broken`, one segment is wrong in three of five.
pub fn judged(broken: bool, seed: u64) -> String {
    let mut text = String::from("channel,plan,risk,truth,said\n");
    let mut random = seed;
    for _ in 0..12_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (channel, plan) = (["web", "app", "api"][(random >> 40) as usize % 3], (random >> 44) % 4);
        let bad = broken && channel == "api" && plan == 2;
        let wrong = (random >> 50) % 100 < if bad { 60 } else { 5 };
        let truth = (random >> 57) % 2;
        let said = if wrong { 1 - truth } else { truth };
        let (truth, said) = (["no", "yes"][truth as usize], ["no", "yes"][said as usize]);
        writeln!(text, "{channel},p{plan},0.{:05},{truth},{said}", (random >> 33) % 90_000).unwrap();
    }
    text
}

/// Decisions of ten days; from the sixth on those of `api` with plan 2 err more and their risk is higher, in the second
/// part of `moved` only.
fn dated(broken: bool, moved: bool, seed: u64) -> String {
    let mut text = String::from("id,day,channel,plan,risk,truth,said\n");
    let mut random = seed;
    for row in 0..12_000_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (channel, plan) = (["web", "app", "api"][(random >> 40) as usize % 3], (random >> 44) % 4);
        let (day, bad) = (row / 1_200 + 1, broken && channel == "api" && plan == 2 && row >= 6_000);
        let truth = (random >> 57).is_multiple_of(4);
        let wrong = (random >> 50) % 100 < if bad && truth { 90 } else { 5 };
        let words = |yes: bool| if yes { "fraud" } else { "fine" };
        let risk = (random >> 33) % 60_000 + if bad && moved { 30_000 } else { 0 };
        let (truth, said) = (words(truth), words(truth ^ wrong));
        writeln!(text, "p-{row},2026-03-{day:02},{channel},p{plan},0.{risk:05},{truth},{said}").unwrap();
    }
    text
}

#[test]
fn a_segment_of_errors_says_since_when_who_how_many_why_and_which_rows() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, text: String| std::fs::write(at(name), text).unwrap();
    write("before.csv", dated(false, false, 3));
    write("moved.csv", dated(true, true, 5));
    write("same-inputs.csv", dated(true, false, 5));
    let (before, list, page) = (at("before.csv"), at("review.csv"), at("page.html"));
    let segments = |now: &str, more: &[&str]| {
        let fixed = [
            "monitor",
            "segments",
            now,
            "--reference",
            &before,
            "--label",
            "truth",
            "--prediction",
            "said",
            "--time",
            "day",
            "--id",
            "id",
        ];
        expect(1, fixed.into_iter().chain(more.iter().copied()))
    };
    let told = segments(&at("moved.csv"), &["--review-out", &list, "--format", "json"]);
    let report: Value = serde_json::from_str(&told.out).unwrap();
    let losses = |report: &Value| -> Vec<Value> {
        report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|f| f["name"] == "segment-loss")
            .cloned()
            .collect()
    };
    let found = losses(&report);
    assert_eq!(found.len(), 1, "{}", told.out);
    let said = |at: usize| found[0]["trace"][at].as_str().unwrap().to_owned();
    assert!(
        said(0).starts_with("what changed: since 2026-03-06, channel=api, plan=p2: the model errs on "),
        "{}",
        said(0)
    );
    assert!(
        said(1).starts_with("what is suspicious: likely cause: risk rose in this segment only, by "),
        "{}",
        said(1)
    );
    let many: u64 = found[0]["facts"]["rows"].as_u64().unwrap();
    assert!(
        said(2).contains("channel=api, plan=p2: ") && said(2).contains(" decisions since 2026-03-06"),
        "{}",
        said(2)
    );
    assert!(said(3).contains("most of them fraud that the model called fine"), "{}", said(3));
    assert!(
        said(4).contains("review these 40 rows first: p-") && said(4).contains("`mantlet data freeze --note"),
        "{}",
        said(4)
    );
    // The rows: named, written beside, in the segment, since the change, and wrong.
    let rows = std::fs::read_to_string(&list).unwrap();
    let lines: Vec<&str> = rows.lines().collect();
    assert_eq!(lines[0], "segment,row,id,day,channel,plan,risk,truth,said");
    let named = found[0]["facts"]["review"].as_array().unwrap();
    assert_eq!((lines.len(), named.len()), (41, 40));
    for (line, name) in lines[1..].iter().zip(named) {
        assert!(
            line.contains(name.as_str().unwrap())
                && line.contains(",api,p2,")
                && line.ends_with(",fraud,fine"),
            "{line}"
        );
        assert!(line.contains("2026-03-06") || line.split(',').nth(4).unwrap() > "2026-03-06", "{line}");
    }
    assert!(many > 500 && named.len() < 60);
    segments(&at("moved.csv"), &["--format", "html", "--output", &page]);
    let page = std::fs::read_to_string(page).unwrap();
    for words in
        ["by channel", "by plan", "errors of the model in this segment", "Rows to look at first (40)"]
    {
        assert!(page.contains(words), "{words}");
    }
    // The same errors without any input that moved: the inputs are no cause, and that is said.
    let told = segments(&at("same-inputs.csv"), &["--format", "json"]);
    let found = losses(&serde_json::from_str(&told.out).unwrap());
    let cause = found[0]["facts"]["likely_cause"].as_str().unwrap();
    assert!(cause.starts_with("no column moved in this segment"), "{cause}");
}

#[test]
fn a_profile_that_was_changed_or_that_nobody_signed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("t.csv"), table(false)).unwrap();
    let (table, profile, keys) = (at("t.csv"), at("profile.json"), at("keys"));
    let made = expect(0, ["monitor", "baseline", &table, "--out", &profile, "--storage", &keys]);
    assert!(made.out.contains("profile.json.sig"), "{}", made.out);
    // What any verifier of model signatures takes.
    let whole = expect(0, ["verify", &profile, "--storage", &keys]);
    assert!(whole.out.contains("is what was signed"), "{}", whole.out);
    let drift = |more: &[&str]| {
        let fixed = ["monitor", "drift", &table, "--baseline", &profile];
        run(fixed.into_iter().chain(more.iter().copied()))
    };
    assert_eq!(drift(&["--storage", &keys]).code, 0);
    let key = at("keys/keys/signing.pub");
    assert_eq!(drift(&["--trust", &key]).code, 0);
    // Another installation does not trust this one's key, whatever it accepts without signature.
    std::fs::create_dir_all(at("others")).unwrap();
    let untrusted = drift(&["--storage", &at("others"), "--accept-unsigned"]);
    assert!(untrusted.code == 3 && untrusted.err.contains("is refused"), "{}", untrusted.err);
    // One row moved from one bucket into another, as somebody would who wants a drift unseen.
    let text = std::fs::read_to_string(&profile).unwrap();
    let changed = text.replacen("3000", "3001", 1);
    assert_ne!(text, changed);
    std::fs::write(&profile, &changed).unwrap();
    for more in [&["--storage", keys.as_str()][..], &["--storage", &keys, "--accept-unsigned"]] {
        let refused = drift(more);
        assert!(refused.code == 3 && refused.err.contains("were signed, these have"), "{}", refused.err);
    }
    std::fs::write(&profile, &text).unwrap();
    std::fs::remove_file(at("profile.json.sig")).unwrap();
    let unsigned = drift(&["--storage", &keys]);
    assert!(unsigned.code == 3 && unsigned.err.contains("it has no signature"), "{}", unsigned.err);
    let accepted = drift(&["--accept-unsigned"]);
    assert!(accepted.code == 2 && accepted.out.contains("carries no signature"), "{}", accepted.out);
}

#[test]
fn the_segment_that_broke_is_named_with_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("reference.csv"), judged(false, 3)).unwrap();
    std::fs::write(at("same.csv"), judged(false, 5)).unwrap();
    std::fs::write(at("broken.csv"), judged(true, 5)).unwrap();
    let reference = at("reference.csv");
    let options = ["--reference", &reference, "--label", "truth", "--prediction", "said", "--format", "json"];
    let (same, broken) = (at("same.csv"), at("broken.csv"));
    expect(0, ["monitor", "segments", &same].into_iter().chain(options));
    let told = expect(1, ["monitor", "segments", &broken].into_iter().chain(options));
    let report: Value = serde_json::from_str(&told.out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{}", told.out);
    assert_eq!(findings[0]["name"], "segment-loss");
    assert_eq!(findings[0]["place"]["part"], "segment channel=api, plan=p2");
    expect(3, ["monitor", "segments", &broken, "--reference", &reference, "--label", "truth"]);
    // Cut as a stored profile lays them out: the same, and no other column is read for it.
    let (profile, keys) = (at("profile.json"), at("keys"));
    let baseline = ["monitor", "baseline", &reference, "--out", &profile, "--storage", &keys];
    let without = ["--without", "truth", "--without", "said"];
    expect(0, baseline.into_iter().chain(without));
    let stored = ["--baseline", &profile, "--storage", &keys];
    let again = expect(1, ["monitor", "segments", &broken].into_iter().chain(options).chain(stored));
    assert_eq!(again.out, told.out);
    expect(0, baseline);
    let mixed = expect(3, ["monitor", "segments", &broken].into_iter().chain(options).chain(stored));
    assert!(mixed.err.contains("divides rows by `truth`"), "{}", mixed.err);
}

/// Decisions of some weeks from Monday, 2026-10-05 on, 400 a week: score, and its label where it has come. From week
/// `lowered` on three in ten positives are labelled negative.
pub fn decisions(weeks: std::ops::Range<u64>, lowered: u64, labels: bool) -> (String, String) {
    let (mut decisions, mut outcomes) =
        (String::from(if labels { "id,when,score,fraud\n" } else { "id,when,score\n" }), String::new());
    let mut random = 11 + weeks.start;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(random >> 33).unwrap()) / f64::from(1_u32 << 31)
    };
    for week in weeks {
        for row in 0..400 {
            let day = jiff::civil::date(2026, 10, 5)
                + jiff::Span::new().days(i64::try_from(week * 7 + row % 7).unwrap());
            let score = next();
            let label = u8::from(next() < score && !(week >= lowered && next() < 0.3));
            write!(decisions, "d-{week}-{row},{day},{score:.6}").unwrap();
            decisions += &if labels { format!(",{label}\n") } else { "\n".into() };
            writeln!(outcomes, "d-{week}-{row},{label}").unwrap();
        }
    }
    (decisions, outcomes)
}

#[test]
fn labels_that_come_late_restate_the_past_and_contradict_the_scores() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
    write("reference.csv", &decisions(0..10, 99, true).0);
    let (later, outcomes) = decisions(10..16, 13, false);
    write("later.csv", &later);
    let outcomes: Vec<&str> = outcomes.lines().collect();
    // Two weeks first, then all, the newest first.
    write("first.csv", &format!("id,fraud\n{}\n", outcomes[..800].join("\n")));
    let all: Vec<&str> = outcomes.iter().rev().copied().collect();
    write("all.csv", &format!("id,fraud\n{}\n", all.join("\n")));
    let (reference, table, history) = (at("reference.csv"), at("later.csv"), at("history.json"));
    let base =
        ["monitor", "labels", &table, "--reference", &reference, "--score", "score", "--label", "fraud"];
    let base: Vec<&str> = base.into_iter().chain(["--time", "when", "--history", &history]).collect();
    // Before any label there is an estimate of each week.
    let none = expect(0, base.iter().copied());
    assert_eq!(none.out.matches("estimated").count(), 6, "{}", none.out);
    assert!(none.out.contains("2026-W51"), "{}", none.out);
    let first = at("first.csv");
    let early = expect(0, base.iter().copied().chain(["--id", "id", "--labels", &first]));
    assert!(early.out.contains("restated: 2026-W51, 0 labels then and 400 now"), "{}", early.out);
    let told = at("all.csv");
    let full = expect(1, base.iter().copied().chain(["--id", "id", "--labels", &told]));
    assert!(full.out.contains("performance-contradicted"), "{}", full.out);
    assert!(full.out.contains("unknown    labels of 2027-W01 contradict the estimate"), "{}", full.out);
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&history).unwrap()).unwrap();
    let windows = kept["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 6);
    assert!(windows.iter().all(|window| window["labelled"] == 400), "{kept}");
    assert!(windows[2]["estimated"]["Ok"].is_array() && windows[3]["estimated"]["Err"].is_object(), "{kept}");
    let json = |more: &[&str]| {
        expect(1, base.iter().copied().chain(["--id", "id", "--labels", &told]).chain(more.iter().copied()))
            .out
    };
    let report = json(&["--format", "json"]);
    assert_eq!(report, json(&["--format", "json"]), "the same report, byte for byte");
    let report: Value = serde_json::from_str(&report).unwrap();
    let named: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
    assert!(named.contains(&"performance-contradicted"), "{named:?}");
    // Wrong use is told with its remedy.
    let wrong = expect(3, base.iter().copied().chain(["--id", "id"]));
    assert!(wrong.err.contains("--labels"), "{}", wrong.err);
    write("history.json", "{}");
    let damaged = expect(3, base.iter().copied());
    assert!(damaged.err.contains("is no history"), "{}", damaged.err);
    std::fs::remove_file(&history).unwrap();
    let foreign = at("foreign.csv");
    write("foreign.csv", "id,fraud\nnobody,1\n");
    let apart = expect(2, base.iter().copied().chain(["--id", "id", "--labels", &foreign]));
    assert!(apart.out.contains("none of the 1 labels belongs to a decision"), "{}", apart.out);
    let unlabelled = expect(
        4,
        [
            "monitor",
            "labels",
            &table,
            "--reference",
            &reference,
            "--score",
            "score",
            "--label",
            "fraud",
            "--positive",
            "yes",
        ],
    );
    assert!(unlabelled.err.contains("0 positive labels"), "{}", unlabelled.err);
}
