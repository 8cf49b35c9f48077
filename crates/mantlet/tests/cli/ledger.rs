//! What the ledger of batches lets happen: nothing is approved before its gate, what cannot be read is held, what was let
//! through is taken back, and what was delivered before comes in by no other door.

use std::fmt::Write as _;

use crate::data::{person, week, with_password};
use crate::gates::Gate;
use crate::program::{Ran, expect, run};

/// People who decide, and what they type.
struct People<'a> {
    gate: &'a Gate,
    keys: Vec<(&'static str, String)>,
}

impl<'a> People<'a> {
    fn of(gate: &'a Gate) -> Self {
        let names = ["bea", "cem", "dan"];
        let keys = names.map(|name| (name, person(gate.folder.text(), name, "reviewer"))).into();
        Self { gate, keys }
    }

    fn types(&self, who: usize, arguments: &[&str]) -> Ran {
        let (name, password) = &self.keys[who];
        let more =
            ["--note", "looked", "--folder", self.gate.folder.text(), "--user", name, "--password-stdin"];
        with_password(password, &[&["data"][..], arguments, &more].concat())
    }

    fn delivers(&self, name: &str, file: &str, feed: &str) {
        let own = ["data", "deliver", name, file, "--feed", feed, "--folder", self.gate.folder.text()];
        let came =
            with_password(&self.gate.password, &[&own[..], &["--user", "ann", "--password-stdin"]].concat());
        assert_eq!(came.code, 0, "{}", came.err);
    }
}

#[test]
fn nothing_is_approved_before_its_gate_and_what_cannot_be_read_is_held_and_taken_back() {
    let gate = Gate::new("feed = \"feed\"", "[data.gate.impact.low]\neyes = 3");
    let people = People::of(&gate);
    let home = gate.folder.text();
    let usable = || run(["data", "batches", "--folder", home, "--usable"]);
    // Three people are asked for, and none of them before the gate ran.
    let broken = gate.write("broken.parquet", "PAR1 and no footer PAR1");
    people.delivers("broken", &broken, "bank");
    for who in 0..3 {
        let early = people.types(who, &["approve", "broken"]);
        assert!(early.code != 0 && early.err.contains("`mantlet data gate broken`"), "{}", early.err);
    }
    assert_eq!(usable().out, "");
    // What cannot be read is held, with an incident that says why.
    let gated = run(["data", "gate", "broken", "--folder", home]);
    assert_eq!(gated.code, 2, "{} {}", gated.out, gated.err);
    assert!(gated.err.contains("is held") && gated.err.contains("incident opened"), "{}", gated.err);
    let batches = expect(0, ["data", "batches", "--folder", home]).out;
    assert!(batches.contains(" held ") && batches.contains("unread-batch"), "{batches}");
    let incidents = expect(0, ["incident", "list", home]).out;
    assert!(incidents.contains("batch broken of feed bank is held"), "{incidents}");
    let id = incidents.split_whitespace().next().unwrap();
    let shown = expect(0, ["incident", "show", id, home]).out;
    assert!(shown.contains("broken.parquet"), "{shown}");
    for (who, is_last) in [(0, false), (1, false), (2, true)] {
        let said = people.types(who, &["approve", "broken"]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(said.out.contains("is approved"), is_last, "{}", said.out);
    }
    // It stops no gate of another batch: it is left out, and named with what takes it back.
    let clean = gate.write("clean.csv", &week(1));
    let (held, ran) = gate.gate("clean", &clean, "bank");
    assert!(held.is_empty() && ran.err.contains("`mantlet data withdraw broken`"), "{held:?} {}", ran.err);
    let thrown = people.types(0, &["reject", "broken"]);
    assert!(thrown.code != 0 && thrown.err.contains("`mantlet data withdraw`"), "{}", thrown.err);
    let back = people.types(0, &["withdraw", "broken"]);
    assert!(back.code == 0 && back.out.contains("is withdrawn"), "{} {}", back.out, back.err);
    let now = usable();
    assert!(now.out.lines().eq([clean.as_str()]), "{}", now.out);
    assert!(now.err.contains("batch broken was taken back by bea (looked)"), "{}", now.err);
    let (held, ran) = gate.gate("again", &gate.write("again.csv", &week(2)), "bank");
    assert!(held.is_empty() && !ran.err.contains("broken"), "{held:?} {}", ran.err);
    // What passed is taken back as well, and no gate lets it through again; what was never let through is not.
    let back = people.types(1, &["withdraw", "clean", "again"]);
    assert_eq!((back.code, back.out.lines().count()), (0, 2), "{} {}", back.out, back.err);
    assert_eq!(usable().out, "");
    let gated = run(["data", "gate", "clean", "--folder", home]);
    assert!(gated.code > 2 && gated.err.contains("is withdrawn"), "{} {}", gated.code, gated.err);
    people.delivers("later", &gate.write("later.csv", &week(3)), "bank");
    let early = people.types(1, &["withdraw", "later"]);
    assert!(early.code != 0 && early.err.contains("only what passed or was approved"), "{}", early.err);
    let log = expect(0, ["audit", "verify", home]).out;
    assert!(log.contains("whole"), "{log}");
}

/// The same table as JSON Lines.
fn json_lines(table: &str) -> String {
    let mut text = String::new();
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [feed, kind, amount, risk, label] = cells[..] else { panic!("{line}") };
        let line = format!(
            "{{\"feed\":\"{feed}\",\"kind\":\"{kind}\",\"amount\":{amount},\"risk\":{risk},\"label\":{label}}}"
        );
        writeln!(text, "{line}").unwrap();
    }
    text
}

#[test]
fn what_was_delivered_before_is_held_under_any_name_feed_and_format() {
    let gate = Gate::new("feed = \"feed\"", "");
    let people = People::of(&gate);
    let home = gate.folder.text();
    let file = gate.write("o1.csv", &week(1));
    gate.passes("o1", &file);
    gate.held("o2", &file, &["batch-file-again"]);
    let copy = gate.write("copy.csv", &week(1));
    let (held, ran) = gate.gate("x1", &copy, "elsewhere");
    assert!(held.iter().any(|name| name == "batch-file-again"), "{held:?}");
    assert!(ran.out.contains("batch o1 (feed bank), which is passed"), "{}", ran.out);
    // The same rows as another file; and rows that are new.
    let lines = gate.write("o1.jsonl", &json_lines(&week(1)));
    gate.held("lines", &lines, &["batch-rows-again"]);
    gate.passes("week-2", &gate.write("week-2.csv", &week(2)));
    // Let through all the same, a copy is learned from once.
    let said = people.types(0, &["approve", "x1"]);
    assert!(said.out.contains("is approved"), "{} {}", said.out, said.err);
    let usable = expect(0, ["data", "batches", "--folder", home, "--usable"]);
    assert_eq!(usable.out.lines().count(), 2, "{}", usable.out);
    assert!(usable.err.contains("of batch x1 stands above already"), "{}", usable.err);
    // What was thrown out comes in by no other door.
    let third = gate.write("week-3.csv", &week(3));
    people.delivers("thrown", &third, "bank");
    assert_eq!(people.types(0, &["reject", "thrown"]).code, 0);
    let (held, ran) = gate.gate("door", &third, "elsewhere");
    assert!(held.iter().any(|name| name == "batch-file-again"), "{held:?}");
    assert!(ran.out.contains("which is rejected"), "{}", ran.out);
}
