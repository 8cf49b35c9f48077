//! SARIF: what the schema asks for and what its text asks for beyond it.

use mantlet_report::{Format, Style, examination};
use mantlet_vocab::{Examination, Place};
use serde_json::Value;

use crate::sample;

pub(crate) fn sarif(of: &Examination) -> Value {
    let style = Style { rooms: &[&sample::ROOM], ..Style::default() };
    let text = examination(of, Format::Sarif, style);
    if let Ok(folder) = std::env::var("MANTLET_SARIF_OUT") {
        std::fs::write(format!("{folder}/sample.sarif"), &text).unwrap();
    }
    serde_json::from_str(&text).unwrap()
}

/// Reads every reference inside the log and fails when one hangs in the air.
pub(crate) fn check(log: &Value) {
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    let rules = driver["rules"].as_array().unwrap();
    let mut names: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rules.len(), "rule ids are unique (3.19.23)");
    let taxon = |reference: &Value| {
        let taxonomy = run["taxonomies"]
            .as_array()
            .unwrap()
            .iter()
            .find(|t| t["name"] == reference["toolComponent"]["name"]);
        taxonomy.unwrap()["taxa"].as_array().unwrap().iter().any(|taxon| taxon["id"] == reference["id"])
    };
    for rule in rules {
        for relation in rule["relationships"].as_array().into_iter().flatten() {
            assert!(taxon(&relation["target"]));
        }
        assert!(!rule["shortDescription"]["text"].as_str().unwrap().is_empty());
        assert!(!rule["help"]["text"].as_str().unwrap().is_empty());
    }
    let mut prints = std::collections::BTreeSet::new();
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(result["taxa"].as_array().into_iter().flatten().all(taxon));
        assert!(prints.insert(result["partialFingerprints"]["mantletFinding/v1"].as_str().unwrap()));
        let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
        check_uri(uri);
        let message = result["message"]["text"].as_str().unwrap();
        assert!(
            !message.contains("](") && !message.replace("{{", "").replace("}}", "").contains(['{', '}']),
            "{message}"
        );
    }
    for artifact in run["artifacts"].as_array().unwrap() {
        check_uri(artifact["location"]["uri"].as_str().unwrap());
    }
}

fn check_uri(uri: &str) {
    assert!(!uri.is_empty() && uri.is_ascii());
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/%:+".contains(c);
    assert!(uri.chars().all(plain), "{uri}");
    for part in uri.split('%').skip(1) {
        assert!(part.len() >= 2 && part[..2].chars().all(|c| c.is_ascii_hexdigit()), "{uri}");
    }
}

#[test]
fn rules_results_and_taxonomies_hang_together() {
    let log = sarif(&sample::examination());
    check(&log);
    let run = &log["runs"][0];
    assert_eq!(run["results"][0]["level"], "error");
    assert_eq!(run["results"][1]["locations"][0]["physicalLocation"]["region"]["startLine"], 4);
    assert_eq!(run["invocations"][0]["toolExecutionNotifications"].as_array().unwrap().len(), 2);
    assert_eq!(run["taxonomies"][0]["name"], "MITRE ATLAS");
    assert_eq!(run["artifacts"][0]["hashes"]["sha-256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_fingerprint_survives_moved_bytes_but_not_another_place() {
    let print = |change: fn(&mut Place)| {
        let mut one = sample::examination();
        one.findings.truncate(1);
        change(&mut one.findings[0].place);
        sarif(&one)["runs"][0]["results"][0]["partialFingerprints"]["mantletFinding/v1"].clone()
    };
    let first = print(|_| ());
    assert_eq!(first, print(|place| place.span = None));
    assert_ne!(first, print(|place| place.artifact.push('2')));
}

#[test]
fn paths_become_uris() {
    let uri = |path: &str| {
        let mut one = sample::examination();
        one.findings[0].place = Place::artifact(path);
        sarif(&one)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            .clone()
    };
    assert_eq!(uri("/models/a b.pt"), "file:///models/a%20b.pt");
    assert_eq!(uri("a:b/ü.pt"), "a%3Ab/%C3%BC.pt");
    assert_eq!(uri("s3://bucket/x#y"), "s3://bucket/x%23y");
}
