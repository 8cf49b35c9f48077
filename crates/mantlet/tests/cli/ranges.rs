//! `mantlet monitor ranges` as a scheduled job calls it, and segments by a signal of the guard.

use std::fmt::Write as _;

use crate::data::{report, uniform};
use crate::program::{Folder, expect, run};

/// Decisions in three regions; in one of them fewer are granted, and scored lower.
fn decisions(odd: bool) -> String {
    let mut text = String::from("region,plan,score,said,probe\n");
    for row in 0..6_000_u64 {
        let stream = if odd { 100 } else { 0 };
        let region = ["north", "south", "east"][(uniform(row, stream + 1) * 3.0) as usize];
        let plan = (uniform(row, stream + 2) * 4.0) as u64;
        let low = odd && region == "south";
        let score = 0.5 * uniform(row, stream + 3) + if low { 0.1 } else { 0.25 };
        let said = if uniform(row, stream + 4) < if low { 0.12 } else { 0.3 } { "grant" } else { "refuse" };
        let probed = uniform(row, stream + 5) < if low && plan == 2 { 0.2 } else { 0.01 };
        writeln!(text, "{region},p{plan},{score:.4},{said},{}", u8::from(probed)).unwrap();
    }
    text
}

const DECLARED: &str = r#"
[[monitor.ranges]]
name = "grants"
column = "said"
word = "grant"
least = 0.2
most = 0.4

[[monitor.ranges]]
name = "grants-by-region"
column = "said"
word = "grant"
segment = "region"
least = 0.2

[[monitor.ranges]]
name = "score"
column = "score"
segment = "region"
least = 0.4
"#;

#[test]
fn a_rate_that_leaves_its_range_in_one_region_is_told_and_becomes_an_incident() {
    let folder = Folder::with_model();
    folder.edit(|text| format!("{text}{DECLARED}"));
    let at = |name: &str| folder.path.join(name).to_str().unwrap().to_owned();
    std::fs::write(at("good.csv"), decisions(false)).unwrap();
    std::fs::write(at("odd.csv"), decisions(true)).unwrap();
    let home = folder.text();
    let good = expect(0, ["monitor", "ranges", &at("good.csv"), "--folder", home, "--format", "json"]);
    assert!(report(&good).is_empty(), "{}", good.out);
    let asked =
        ["monitor", "ranges", &at("odd.csv"), "--folder", home, "--incidents", home, "--format", "json"];
    let odd = expect(1, asked);
    let mut parts: Vec<String> =
        report(&odd).iter().map(|finding| finding["place"]["part"].as_str().unwrap().to_owned()).collect();
    parts.sort();
    // All rows together are within, and so are the other regions.
    assert_eq!(
        parts,
        ["range grants-by-region, rows with region=south", "range score, rows with region=south"],
        "{}",
        odd.out
    );
    assert!(report(&odd).iter().all(|finding| finding["name"] == "range-crossed"));
    let listed = expect(0, ["incident", "list", home]).out;
    let ids = listed.lines().filter_map(|line| line.split_whitespace().next());
    let incidents: String = ids.map(|id| run(["incident", "show", id, home, "--json"]).out).collect();
    let answers =
        ["grants-by-region", "region=south", "at least 20.0 %", "mantlet monitor segments", "data freeze"];
    for part in answers {
        assert!(incidents.contains(part), "{part}: {incidents}");
    }
    // The page of the report says so in words.
    let page = at("ranges.html");
    run(["monitor", "ranges", &at("odd.csv"), "--folder", home, "--format", "html", "--output", &page]);
    assert!(std::fs::read_to_string(&page).unwrap().contains("declared safe is at least 20.0 %"));
    // Few rows beyond a bound are not told, and not called fine either.
    let few: String = decisions(true).lines().take(140).map(|line| format!("{line}\n")).collect();
    std::fs::write(at("few.csv"), few).unwrap();
    let few = expect(2, ["monitor", "ranges", &at("few.csv"), "--folder", home, "--format", "json"]);
    assert!(report(&few).is_empty(), "{}", few.out);
    // Nothing is guessed: without a declaration there is nothing to hold.
    folder.edit(|text| text.replace(DECLARED, ""));
    let none = run(["monitor", "ranges", &at("odd.csv"), "--folder", home]);
    assert!(none.code >= 3 && none.err.contains("declares no range"), "{}", none.err);
    folder.edit(|text| format!("{text}{}", DECLARED.replace("most = 0.4", "most = 0.1")));
    let wrong = run(["monitor", "ranges", &at("odd.csv"), "--folder", home]);
    assert!(wrong.code >= 3 && wrong.err.contains("is empty"), "{}", wrong.err);
}

#[test]
fn a_signal_that_fires_more_in_one_segment_is_named() {
    let holder = tempfile::tempdir().unwrap();
    let at = |name: &str| holder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("before.csv"), decisions(false)).unwrap();
    std::fs::write(at("now.csv"), decisions(true)).unwrap();
    std::fs::write(at("same.csv"), decisions(false)).unwrap();
    let look = |table: &str, code: i32| {
        let (table, before) = (at(table), at("before.csv"));
        let asked = ["monitor", "segments", &table, "--reference", &before, "--signal", "probe"];
        let without = ["--without", "score", "--without", "said", "--format", "json"];
        expect(code, [&asked[..], &without[..]].concat())
    };
    assert!(report(&look("same.csv", 0)).is_empty());
    let told = look("now.csv", 1);
    let findings = report(&told);
    assert_eq!(findings.len(), 1, "{}", told.out);
    assert_eq!(findings[0]["name"], "segment-signal");
    let message = findings[0]["message"].as_str().unwrap();
    assert!(
        message.contains("region=south") && message.contains("plan=p2") && message.contains("`probe`"),
        "{message}"
    );
}
