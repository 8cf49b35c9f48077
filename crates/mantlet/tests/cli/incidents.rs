//! What monitors find becomes incidents beside those of the guard: opened once, joined after, told by who runs.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::influences::{complaints, embeddings};
use crate::monitor::{decisions, judged, table};
use crate::program::{Folder, Up, expect};
use crate::reviews::sink;
use crate::running::served_by;
use crate::watching;

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
    let keys = at("keys");
    expect(0, ["monitor", "baseline", &at("reference.csv"), "--out", &profile, "--storage", &keys]);
    let drift = |now: &str, code: i32| {
        let options = [
            "monitor",
            "drift",
            now,
            "--baseline",
            &profile,
            "--storage",
            &keys,
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

/// A monitor, what it is told besides the table, a table that is as before, one that is not, and what is then found.
struct Monitor<'a> {
    command: &'a str,
    options: Vec<&'a str>,
    same: &'a str,
    turned: &'a str,
    finding: &'a str,
    kind: &'a str,
}

#[test]
fn every_other_monitor_opens_incidents_and_joins_what_is_open() {
    let (folder, _) = served_by("ada");
    let at = |name: &str| folder.path.join(name).to_str().unwrap().to_owned();
    let write = |name: &str, text: &str| {
        std::fs::write(at(name), text).unwrap();
        at(name)
    };
    let segments = write("judged.csv", &judged(false, 3));
    let performance = write("scored.csv", &decisions(0..10, 99, true).0);
    let fairness = write("lent.csv", &watching::lent(0..6_000, false));
    let online = write("hours.csv", &watching::decisions(0..240, 10_000));
    let texts = complaints(&folder.path.join("texts.csv"), 0, false);
    let vectors = embeddings(&folder.path.join("vectors.npy"), 0, false);
    let monitors = [
        Monitor {
            command: "segments",
            options: vec!["--reference", &segments, "--label", "truth", "--prediction", "said"],
            same: &write("judged-same.csv", &judged(false, 5)),
            turned: &write("judged-turned.csv", &judged(true, 5)),
            finding: "segment-loss",
            kind: "performance",
        },
        Monitor {
            command: "labels",
            options: vec![
                "--reference",
                &performance,
                "--score",
                "score",
                "--label",
                "fraud",
                "--time",
                "when",
                "--id",
                "id",
            ],
            same: &write("scored-same.csv", &decisions(10..13, 99, false).0),
            turned: &write("scored-turned.csv", &decisions(10..16, 13, false).0),
            finding: "performance-contradicted",
            kind: "performance",
        },
        Monitor {
            command: "fairness",
            options: vec![
                "--reference",
                &fairness,
                "--decision",
                "granted",
                "--group",
                "district",
                "--given",
                "income",
            ],
            same: &write("lent-same.csv", &watching::lent(10_000..16_000, false)),
            turned: &write("lent-turned.csv", &watching::lent(20_000..26_000, true)),
            finding: "fairness-gap-grew",
            kind: "drift",
        },
        Monitor {
            command: "watch",
            options: vec![
                "--reference",
                &online,
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
            ],
            same: &write("hours-same.csv", &watching::decisions(240..340, 10_000)),
            turned: &write("hours-turned.csv", &watching::decisions(240..440, 340)),
            finding: "online-slow-evasion",
            kind: "performance",
        },
        Monitor {
            command: "texts",
            options: vec!["--reference", &texts, "--text", "text"],
            same: &complaints(&folder.path.join("texts-same.csv"), 1, false),
            turned: &complaints(&folder.path.join("texts-turned.csv"), 7, true),
            finding: "unlike-texts",
            kind: "drift",
        },
        Monitor {
            command: "embeddings",
            options: vec!["--reference", &vectors],
            same: &embeddings(&folder.path.join("vectors-same.npy"), 1, false),
            turned: &embeddings(&folder.path.join("vectors-turned.npy"), 7, true),
            finding: "unlike-embeddings",
            kind: "drift",
        },
    ];
    // Labels come apart from the decisions, those of either table.
    let labels = [
        write("labels-same.csv", &format!("id,fraud\n{}", decisions(10..13, 99, false).1)),
        write("labels-turned.csv", &format!("id,fraud\n{}", decisions(10..16, 13, false).1)),
    ];
    for monitor in &monitors {
        let run = |table: &str, code: i32| {
            let mut own = vec!["monitor", monitor.command, table];
            own.extend(&monitor.options);
            if monitor.command == "labels" {
                own.extend(["--labels", &labels[usize::from(table == monitor.turned)]]);
            }
            own.extend(["--incidents", folder.text(), "--format", "json"]);
            expect(code, own)
        };
        let before = listed(&folder);
        run(monitor.same, 0);
        assert_eq!(listed(&folder), before, "{}: nothing found, nothing raised", monitor.command);
        let told = run(monitor.turned, 1);
        let report: Value = serde_json::from_str(&told.out).unwrap();
        let found = report["findings"].as_array().unwrap();
        let raised = found.iter().filter(|finding| finding["severity"] != "note").count();
        let ids = |lines: &[String]| -> Vec<String> {
            lines.iter().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
        };
        let known = ids(&before);
        let opened: Vec<String> =
            ids(&listed(&folder)).into_iter().filter(|id| !known.contains(id)).collect();
        assert!(told.err.contains("incidents opened"), "{}: {}", monitor.command, told.err);
        assert!((1..=raised).contains(&opened.len()), "{}: {raised} findings, {opened:?}", monitor.command);
        let incidents: Vec<Value> = opened.iter().map(|id| shown(&folder, id)).collect();
        let named = incidents.iter().find(|incident| incident["facts"]["finding"] == monitor.finding);
        let named = named.unwrap_or_else(|| panic!("{}: {incidents:#?}", monitor.command));
        assert_eq!(named["kind"], monitor.kind, "{named}");
        for answer in ["changed", "suspicious", "affected", "decisions", "next"] {
            assert!(named["five"][answer].as_str().unwrap().len() > 20, "{answer}: {named}");
        }
        let again = run(monitor.turned, 1);
        assert!(again.err.contains("incidents taken in by"), "{}: {}", monitor.command, again.err);
        assert!(!again.err.contains("incidents opened"), "{}: {}", monitor.command, again.err);
        assert_eq!(listed(&folder).len(), before.len() + opened.len(), "{}", monitor.command);
        let alerts = |incident: &Value| incident["alerts"].as_u64().unwrap();
        let id = named["id"].as_str().unwrap();
        assert!(alerts(&shown(&folder, id)) > alerts(named), "{}: {id}", monitor.command);
    }
    expect(0, ["audit", "verify", folder.text()]);
}
