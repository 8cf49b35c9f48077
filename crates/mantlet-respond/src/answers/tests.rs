//! The five answers are there for every kind of alert, and plain.

use mantlet_vocab::{Finding, Mode, Severity, Signal};

use super::*;
use crate::alert::Alert;
use crate::playbook::Playbook;

/// Words a person woken at night should not have to know. They belong in the details.
const RESEARCH: [&str; 22] = [
    "adversarial",
    "epsilon",
    "gradient",
    "perturb",
    "logit",
    "hopskipjump",
    "l_inf",
    "linf",
    "martingale",
    "fidelity",
    "badnets",
    "tpr",
    "fpr",
    "hyper",
    "latent",
    "white-box",
    "black-box",
    "evasion",
    "exfiltrat",
    "aml.",
    "ml0",
    "surrogate",
];

fn finding() -> Finding {
    Finding {
        name: "pickle-unsafe-global".to_owned(),
        title: "a pickle names a function that can run commands".to_owned(),
        severity: Severity::Malicious,
        confidence: mantlet_vocab::Confidence::High,
        place: mantlet_vocab::Place::artifact("weights.pt"),
        message: "`posix.system` can run shell commands".to_owned(),
        why: String::new(),
        help: String::new(),
        trace: vec![],
        facts: Default::default(),
        atlas: vec![],
        owasp: vec![],
    }
}

fn live(kind: AlertKind) -> Alert {
    let mut alert = Alert::new(kind, "cheque reader", Impact::High, Millis(1_790_035_199_999));
    alert.since = Millis(1_790_035_100_000);
    alert.caller = Some("k-12".to_owned());
    alert.route = Some("read".to_owned());
    alert.version = Some("v1".to_owned());
    alert.serving = true;
    alert.queries = 412;
    alert.in_doubt = 398;
    alert.exchanges = vec!["x-1".to_owned(), "x-2".to_owned()];
    alert.signals = vec![Signal {
        name: "query-boundary-walk".to_owned(),
        impact: Impact::High,
        confidence: mantlet_vocab::Confidence::High,
        score: 1.4,
        message: "24 of 24 rows lie on one line".to_owned(),
        facts: Default::default(),
    }];
    alert.noticed = vec!["24 of 24 rows lie on one line".to_owned()];
    alert
}

pub(crate) fn examples() -> Vec<Alert> {
    let at = Millis(1_790_035_199_999);
    let mut alerts: Vec<Alert> = AlertKind::ALL.into_iter().filter(|kind| kind.is_live()).map(live).collect();
    for serving in [false, true] {
        alerts.push(Alert::backdoor("cheque reader", Impact::High, at, "v2", "7", serving));
        alerts.push(Alert::artifact("cheque reader", Impact::High, at, "weights.pt", &[finding()], serving));
    }
    alerts.push(Alert::regression(
        "cheque reader",
        Impact::High,
        at,
        "case-1",
        "the guard's profile was replaced",
    ));
    alerts.push(Alert::data("cheque reader", Impact::High, at, "train.csv", &[finding()]));
    for name in ["drift-marginal-shift", "segment-loss"] {
        let mut told = finding();
        told.name = name.to_owned();
        alerts.push(Alert::behaviour("cheque reader", Impact::High, at, &told, "`mantlet monitor segments`"));
    }
    alerts
}

#[test]
fn every_kind_answers_the_five_questions_in_plain_sentences() {
    for mode in [Mode::Observe, Mode::Advise, Mode::Enforce] {
        for alert in examples() {
            let mut incident = Incident::open(&alert, mode);
            Playbook::default().plan(&mut incident, &alert, alert.at);
            assert!(incident.title.starts_with("cheque reader: ") && incident.title.len() < 120);
            for (question, answer) in incident.five.pairs() {
                let place = format!("{} {mode:?}: {question}: {answer}", incident.kind);
                assert!(answer.len() > 20 && answer.ends_with('.'), "{place}");
                assert!(!answer.contains("..") || answer.contains("..."), "{place}");
                assert!(!answer.contains("  "), "{place}");
                // What scanners found is quoted in their words.
                if !answer.contains("posix") {
                    let lower = answer.to_lowercase();
                    let term = RESEARCH.iter().find(|term| lower.contains(*term));
                    assert_eq!(term, None, "{place}");
                }
            }
            assert!(incident.five.next.contains("mantlet incident"), "{}", incident.five.next);
        }
    }
}

#[test]
fn a_step_in_force_names_its_end_its_reach_and_its_undoing() {
    let alert = live(AlertKind::BoundaryWalk);
    let mut incident = Incident::open(&alert, Mode::Enforce);
    Playbook::default().plan(&mut incident, &alert, alert.at);
    let step = &mut incident.steps[0];
    step.state = StepState::Applied;
    step.expires = Some(alert.at.plus(900_000));
    incident.refresh();
    let id = &incident.id;
    let first = incident.five.next.lines().next().unwrap_or_default();
    assert_eq!(
        first,
        format!(
            "Done: Slow key k-12 down to 6 requests a minute until 00:14 UTC on 2026-09-22. Touches one key; no \
             other caller. Undo: `mantlet incident undo {id} s1`, then key k-12 asks as fast as before."
        )
    );
}

#[test]
fn several_keys_are_spoken_of_as_several() {
    for mut alert in examples().into_iter().filter(|alert| alert.kind.is_live()) {
        let mut incident = Incident::open(&alert, Mode::Observe);
        alert.caller = Some("k-13".to_owned());
        incident.join(&alert);
        let text = incident.plain();
        for wrong in [") is ", ") sends ", ") asks ", ") does ", "this was them"] {
            assert!(!text.contains(wrong), "{wrong} in {text}");
        }
    }
}

#[test]
fn decisions_are_counted_and_listed_by_a_command() {
    let incident = Incident::open(&live(AlertKind::BoundaryWalk), Mode::Observe);
    let text = &incident.five.decisions;
    assert!(text.starts_with("398 decisions given to key k-12 since 23:58 UTC on 2026-09-21"), "{text}");
    assert!(text.contains(&format!("`mantlet incident show {} --decisions`", incident.id)), "{text}");
    let candidate = Alert::backdoor("cheque reader", Impact::High, Millis(0), "v2", "7", false);
    assert!(Incident::open(&candidate, Mode::Observe).five.decisions.starts_with("None:"));
}

#[test]
fn many_steps_alike_are_one_line_and_failures_stand_for_themselves() {
    let mut alert = live(AlertKind::BoundaryWalk);
    let mut incident = Incident::open(&alert, Mode::Enforce);
    for key in 0..9 {
        alert.caller = Some(format!("k-{key}"));
        incident.join(&alert);
        Playbook::default().plan(&mut incident, &alert, alert.at);
    }
    for step in &mut incident.steps {
        step.state = StepState::Applied;
    }
    let slowed = incident.steps.iter().filter(|step| step.action.word() == "throttle-key").count();
    assert_eq!(slowed, 9);
    let why = "the switch is gone".to_owned();
    incident.steps.last_mut().unwrap().state = StepState::Failed { why, undoing: false };
    incident.refresh();
    let next = &incident.five.next;
    assert!(next.contains("Slow 9 keys (k-0, k-1, k-2, ...) down to 6 requests a minute each"), "{next}");
    assert!(next.contains("COULD NOT BE DONE") && next.contains("the switch is gone"), "{next}");
    assert!(next.lines().count() < 12, "{next}");
    let grouped: usize = incident.step_groups().iter().map(|group| group.steps().len()).sum();
    assert_eq!(grouped, incident.steps.len());
}
