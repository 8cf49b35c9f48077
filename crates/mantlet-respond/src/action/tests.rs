//! Every room's `cases.md` is run, and the house is in order.

use mantlet_vocab::{Confidence, Impact, Millis, Mode};

use super::*;
use crate::alert::{AlertKind, RuleDraft};

#[test]
fn the_house_is_in_order() {
    assert_eq!(About::faults(&abouts()), []);
}

#[test]
fn every_case_of_every_room_holds() {
    let mut ran = 0;
    for action in all() {
        let about = action.about();
        let mut heading = "";
        let mut situation = None;
        for line in about.cases.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            } else if let Some(text) = line.strip_prefix("situation: ") {
                situation = Some(text);
            } else if let Some(expected) = line.strip_prefix("plans: ") {
                let text = situation.take().expect("a situation stands before `plans`");
                assert_eq!(planned(action, text), expected, "{}: {heading}", about.name);
                ran += 1;
            }
        }
        assert!(situation.is_none(), "{}: {heading} has no `plans`", about.name);
    }
    assert!(ran >= 8 * 5);
}

#[test]
fn every_draft_says_whom_it_touches_and_how_it_is_undone() {
    for action in all() {
        for line in action.about().cases.lines() {
            let Some(text) = line.strip_prefix("situation: ") else { continue };
            let Some(draft) = draft(action, text) else { continue };
            assert!(!draft.blast_radius.plain.is_empty() && !draft.why.is_empty() && draft.lasts_ms > 0);
            assert!(matches!(draft.undo, Undo::By { .. }), "{text}");
            assert_eq!(format!("action-{}", draft.action.word()), action.about().name);
        }
    }
}

fn planned(action: &dyn Action, text: &str) -> &'static str {
    match draft(action, text) {
        Some(draft) if draft.automatic => "automatic",
        Some(_) => "proposed",
        None => "nothing",
    }
}

fn draft(action: &dyn Action, text: &str) -> Option<Draft> {
    let mut alert = Alert::new(AlertKind::Other, "cheques", Impact::Low, Millis(1));
    let (mut rung, mut callers) = (0, 1);
    for pair in text.split_whitespace() {
        let (key, value) = pair.split_once('=').expect("key=value");
        match key {
            "kind" => alert.kind = AlertKind::from_word(value).expect("a kind"),
            "caller" => alert.caller = Some(value.to_owned()),
            "callers" => callers = value.parse().expect("a number"),
            "confidence" => alert.confidence = value.parse::<Confidence>().expect("a confidence"),
            "impact" => alert.system_impact = value.parse::<Impact>().expect("an impact"),
            "rung" => rung = value.parse().expect("a number"),
            "version" => alert.version = Some(value.to_owned()),
            "subject" => alert.subject = Some(value.to_owned()),
            "serving" => alert.serving = value == "yes",
            "worst" => alert = alert.fact("worst", value),
            "batch" => alert = alert.fact("batch", value),
            "case" => alert.cases.push(value.to_owned()),
            "pin" => {
                alert.rule = Some(RuleDraft {
                    name: "r".to_owned(),
                    plain: "streams like it".to_owned(),
                    rule: serde_json::Value::Null,
                });
            }
            other => panic!("unknown key {other}"),
        }
    }
    let mut incident = Incident::open(&alert, Mode::Enforce);
    incident.callers.extend((1..callers).map(|n| format!("other-{n}")));
    let playbook = Playbook::default();
    action.plan(&Situation { incident: &incident, alert: &alert, rung, playbook: &playbook })
}
