//! What monitors find becomes incidents beside those of the guard: opened once, joined after, told by who runs.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::monitor::table;
use crate::program::{Folder, Up, expect};
use crate::reviews::sink;
use crate::running::served_by;

fn listed(folder: &Folder) -> Vec<String> {
    expect(0, ["incident", "list", folder.text()]).out.lines().map(str::to_owned).collect()
}

fn shown(folder: &Folder, id: &str) -> Value {
    let told = expect(0, ["incident", "show", id, folder.text(), "--json"]);
    serde_json::from_str(&told.out).unwrap()
}

#[test]
fn drift_opens_incidents_once_with_five_answers_and_people_are_told() {
    let (folder, _) = served_by("ada");
    let at = |name: &str| folder.path.join(name).to_str().unwrap().to_owned();
    std::fs::write(at("reference.csv"), table(false)).unwrap();
    std::fs::write(at("later.csv"), table(true)).unwrap();
    let (profile, later) = (at("profile.json"), at("later.csv"));
    expect(0, ["monitor", "baseline", &at("reference.csv"), "--out", &profile]);
    let drift = |now: &str, code: i32| {
        let options = [
            "monitor",
            "drift",
            now,
            "--baseline",
            &profile,
            "--incidents",
            folder.text(),
            "--format",
            "json",
        ];
        expect(code, options)
    };
    // Nothing found, nothing raised.
    drift(&at("reference.csv"), 0);
    assert!(listed(&folder).is_empty());
    let told = drift(&later, 1);
    let report: Value = serde_json::from_str(&told.out).unwrap();
    let found = report["findings"].as_array().unwrap();
    let raised = found.iter().filter(|finding| finding["severity"] != "note").count();
    let first = listed(&folder);
    assert!(raised >= 4 && first.len() == raised, "{raised}: {first:?}");
    assert!(told.err.contains("incidents opened"), "{}", told.err);
    // The same again, from another file: nothing new is opened.
    std::fs::copy(&later, at("even-later.csv")).unwrap();
    let again = drift(&at("even-later.csv"), 1);
    assert!(again.err.contains("incidents taken in by"), "{}", again.err);
    assert_eq!(listed(&folder).len(), raised);
    let id =
        first.iter().find(|line| line.contains("column amount")).unwrap().split_whitespace().next().unwrap();
    let incident = shown(&folder, id);
    assert_eq!((&incident["kind"], &incident["alerts"]), (&"drift".into(), &2.into()), "{incident}");
    for answer in ["changed", "suspicious", "affected", "decisions", "next"] {
        assert!(incident["five"][answer].as_str().unwrap().len() > 20, "{answer}: {incident}");
    }
    let plain = expect(0, ["incident", "show", id, folder.text()]).out;
    assert!(plain.contains("WHAT CHANGED") && plain.contains("mantlet data freeze"), "{plain}");
    // Whoever runs the installation tells people, once for each, by the channels of guard incidents.
    let (address, taken) = sink();
    folder.edit(|text| {
        let channel = format!("[notify]\nwebhook = \"http://{address}/incidents\"\n");
        if text.contains("[notify]\n") {
            text.replace("[notify]\n", &channel)
        } else {
            format!("{text}\n{channel}")
        }
    });
    let up = Up::start(&folder.path);
    let mut news = Vec::new();
    let begun = Instant::now();
    // The first delivery is turned away and comes again.
    while news.len() < raised {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} of {raised}", news.len());
        let (_, body) = taken.recv_timeout(Duration::from_secs(30)).unwrap();
        let id =
            first.iter().map(|line| line.split_whitespace().next().unwrap()).find(|id| body.contains(*id));
        let id = id.unwrap_or_else(|| panic!("{body}")).to_owned();
        if !news.contains(&id) {
            news.push(id);
        }
    }
    // While it runs: another finding is told within seconds, a known one is not.
    let older = |line: &str| {
        let (rest, age) = line.rsplit_once(',').unwrap();
        age.parse::<f64>().map_or_else(|_| line.to_owned(), |age| format!("{rest},{:.1}", age + 25.0))
    };
    let text: Vec<String> = table(false).lines().map(older).collect();
    std::fs::write(at("moved.csv"), text.join("\n") + "\n").unwrap();
    drift(&at("moved.csv"), 1);
    let fresh: Vec<String> = listed(&folder).into_iter().filter(|line| !first.contains(line)).collect();
    let fresh: Vec<&str> = fresh
        .iter()
        .map(|line| line.split_whitespace().next().unwrap())
        .filter(|id| !news.iter().any(|known| known == id))
        .collect();
    assert!(!fresh.is_empty(), "{:?}", listed(&folder));
    let mut left: Vec<&str> = fresh.clone();
    while !left.is_empty() {
        let (_, body) = taken.recv_timeout(Duration::from_secs(30)).unwrap();
        left.retain(|id| !body.contains(*id));
    }
    drift(&later, 1);
    assert!(taken.recv_timeout(Duration::from_secs(3)).is_err(), "what is known is not told again");
    up.interrupt();
    let deliveries = shown(&folder, id)["deliveries"].as_array().unwrap().len();
    assert_eq!(deliveries, 1, "told once, by one channel");
    expect(0, ["audit", "verify", folder.text()]);
}
