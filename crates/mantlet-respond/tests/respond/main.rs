//! Alerts to incidents to steps: joining, escalating, undoing, ending, and starting again after a crash.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use mantlet_respond::*;
use mantlet_vocab::{Action, Confidence, Impact, Millis, Mode, Signal};

use crate::panel::Panel;

mod laws;
mod panel;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn signal(name: &str) -> Signal {
    Signal {
        name: name.into(),
        impact: Impact::High,
        confidence: Confidence::High,
        score: 1.5,
        message: "24 of 24 rows lie on one line".into(),
        facts: BTreeMap::new(),
    }
}

fn seen(caller: &str, at: u64, signals: Vec<Signal>, action: Action) -> Seen {
    Seen {
        at: Millis(at),
        exchange: format!("x-{caller}-{at}"),
        system: "cheques".into(),
        impact: Impact::High,
        route: "read".into(),
        caller: caller.into(),
        version: "v1".into(),
        row: 0,
        signals,
        action,
    }
}

fn walk_alert(caller: &str, at: u64) -> Alert {
    let mut alert = Alert::new(AlertKind::BoundaryWalk, "cheques", Impact::High, Millis(at));
    alert.caller = Some(caller.into());
    alert.queries = at;
    alert
}

fn walk_incident(mode: Mode, at: u64) -> Incident {
    let mut desk = Desk::new(Playbook::default(), vec![]);
    let intake = desk.receive(&walk_alert("k", at), mode);
    desk.incident(&intake.incident).unwrap().clone()
}

#[test]
fn an_attack_is_one_alert_at_once_and_hints_must_be_many_and_frequent() {
    let (mut streams, playbook) = (Streams::default(), Playbook::default());
    for at in 0..10 {
        assert_eq!(streams.observe(&seen("k", at, vec![], Action::Allow), &playbook), None);
    }
    let alert = streams
        .observe(&seen("k", 10, vec![signal("query-boundary-walk")], Action::Flag), &playbook)
        .expect("an alert");
    assert_eq!((alert.queries, alert.in_doubt, alert.since), (11, 11, Millis(0)));
    assert_eq!(alert.exchanges.len(), 11);
    // A benign caller with two percent odd inputs never makes an alert; a broken feed does.
    for at in 0..1_000 {
        let signals = if at % 50 == 0 { vec![signal("input-outlier")] } else { vec![] };
        assert_eq!(streams.observe(&seen("benign", at, signals, Action::Allow), &playbook), None);
    }
    let alerts = (0..10)
        .filter_map(|at| {
            streams.observe(&seen("broken", at, vec![signal("input-outlier")], Action::Flag), &playbook)
        })
        .collect::<Vec<_>>();
    assert_eq!(alerts.len(), 6);
    assert_eq!(alerts[0].kind, AlertKind::Outlier);
}

#[test]
fn what_the_guard_let_through_unmarked_is_counted_by_its_row_numbers() {
    let (mut streams, playbook) = (Streams::default(), Playbook::default());
    let numbered = |at, row| Seen { row, ..seen("k", at, vec![signal("query-boundary-walk")], Action::Flag) };
    let first = streams.observe(&numbered(1, 40), &playbook).expect("an alert");
    assert_eq!((first.queries, first.in_doubt), (40, 40));
    streams.observe(&seen("k", 2, vec![], Action::Allow), &playbook);
    let second = streams.observe(&numbered(3, 50), &playbook).expect("an alert");
    assert_eq!((second.queries, second.in_doubt), (50, 50), "seen ones are not counted twice");
    for at in 4..10 {
        streams.observe(&seen("k", at, vec![], Action::Throttle { retry_after_ms: 1 }), &playbook);
    }
    let third = streams.observe(&numbered(10, 52), &playbook).expect("an alert");
    assert_eq!((third.queries, third.in_doubt), (58, 52), "what was refused at the door got no number");
    let after_quiet = streams.observe(&numbered(3 + 11 * 60_000, 5_000), &playbook).expect("an alert");
    assert_eq!(after_quiet.queries, 1, "what lies before a quiet time is not its");
}

#[test]
fn counting_one_more_gives_the_incident_that_receiving_an_alert_gives() {
    let kinds = ["query-boundary-walk", "query-budget-spent", "query-local-search", "input-outlier"];
    let (mut counted, mut taken) = (0, 0);
    for seed in 0..24_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let callers = 1 + seed % 4;
        let mut sides = [(); 2].map(|()| (Streams::default(), Desk::new(Playbook::default(), vec![])));
        let mut at = 1_000;
        for number in 0..700 {
            at += if draw(200) == 0 { 20 * 60_000 } else { draw(50) };
            let caller = format!("k{}", draw(callers));
            let mut signals = Vec::new();
            if draw(5) > 0 {
                let rarest = draw(4) + 1;
                let mut one = signal(kinds[draw(rarest) as usize]);
                one.score = 0.5 + draw(100) as f64 / 20.0;
                one.message = format!("{number}");
                signals.push(one);
            }
            let action = if draw(20) == 0 { Action::Refuse } else { Action::Flag };
            let mut one = seen(&caller, at, signals, action);
            one.exchange = format!("x{number}");
            for (side, (streams, desk)) in sides.iter_mut().enumerate() {
                let playbook = desk.playbook().clone();
                let Some(raised) = streams.take(&one, &playbook) else { continue };
                taken += side;
                if side == 1 && desk.more(streams, &mut one.clone(), raised, Mode::Observe).is_some() {
                    counted += 1;
                    continue;
                }
                let intake = desk.receive(&streams.alert(&one, raised), Mode::Observe);
                streams.told(&one.system, &one.caller, &intake.incident);
            }
        }
        let [by_alerts, by_counting] = sides.map(|(_, desk)| {
            let mut incidents: Vec<Incident> = desk.incidents().cloned().collect();
            incidents.iter_mut().for_each(Incident::refresh);
            incidents
        });
        assert_eq!(by_alerts, by_counting, "seed {seed}");
        assert!(!by_alerts.is_empty());
    }
    assert!(counted * 10 > taken * 8, "{counted} of {taken} were counted only");
}

#[test]
fn alerts_of_one_caller_join_and_others_stay_apart_until_they_look_like_one_attack() {
    let mut desk = Desk::new(Playbook::default(), vec![]);
    let first = desk.receive(&walk_alert("a", 1_000), Mode::Enforce);
    assert!(first.opened && first.planned.len() == 2, "throttle, and divert at high impact: {first:?}");
    let mut copy = walk_alert("a", 2_000);
    copy.kind = AlertKind::Extraction;
    assert_eq!(desk.receive(&copy, Mode::Enforce).incident, first.incident, "another kind, the same caller");
    let second = desk.receive(&walk_alert("b", 3_000), Mode::Enforce);
    assert!(second.opened && second.incident != first.incident);
    // The third key within the window: one attack with many keys.
    let third = desk.receive(&walk_alert("c", 4_000), Mode::Enforce);
    assert!(!third.opened && third.changed);
    let joint = desk.incident(&third.incident).unwrap();
    assert_eq!(joint.callers, ["b", "c"]);
    assert!(joint.steps.iter().any(|step| step.action.key() == Some("c")), "its key is contained too");
    // Long after, the same caller is a new incident; another system always is.
    assert!(desk.receive(&walk_alert("a", 2_000 + 31 * 60_000), Mode::Enforce).opened);
    let mut elsewhere = walk_alert("a", 2_100);
    elsewhere.system = "other".into();
    assert!(desk.receive(&elsewhere, Mode::Enforce).opened);
    // A closed incident takes nothing in.
    let late = 200 * 60_000;
    let last = desk.receive(&walk_alert("a", late), Mode::Enforce).incident;
    desk.incident_mut(&last).unwrap().close(Millis(late), "ada", "a test");
    assert!(desk.receive(&walk_alert("a", late + 1), Mode::Enforce).opened);
}

#[test]
fn the_answer_is_escalated_when_it_goes_on_and_modes_decide_who_acts() {
    for (mode, state) in [
        (Mode::Observe, StepState::Recorded),
        (Mode::Advise, StepState::Proposed),
        (Mode::Enforce, StepState::Applying),
    ] {
        let mut desk = Desk::new(Playbook::default(), vec![]);
        let id = desk.receive(&walk_alert("k", 1_000), mode).incident;
        assert!(desk.incident(&id).unwrap().steps.iter().all(|step| step.state == state));
        assert!(!desk.receive(&walk_alert("k", 1_001), mode).changed);
        assert!(!desk.receive(&walk_alert("k", 1_002), mode).changed);
        let third = desk.receive(&walk_alert("k", 1_003), mode);
        assert!(third.escalated, "{mode:?}");
        let incident = desk.incident(&id).unwrap();
        let words: Vec<&str> = incident.steps.iter().map(|step| step.action.word()).collect();
        assert_eq!(words, ["throttle-key", "divert-key", "block-key"]);
        for at in 1_004..1_100 {
            assert!(!desk.receive(&walk_alert("k", at), mode).changed, "nothing new to say");
        }
        assert_eq!(desk.incident(&id).unwrap().steps.len(), 3);
    }
}

#[test]
fn a_key_that_hammers_although_slowed_is_escalated_too() {
    let mut desk = Desk::new(Playbook::default(), vec![]);
    let id = desk.receive(&walk_alert("k", 1_000), Mode::Enforce).incident;
    let hits: Vec<Option<String>> =
        (1_001..1_031).map(|at| desk.refused("cheques", "k", Millis(at))).collect();
    assert_eq!(hits.iter().flatten().count(), 1);
    assert_eq!(hits[29], Some(id));
    assert_eq!(desk.refused("cheques", "benign", Millis(1_100)), None);
}

#[test]
fn steps_end_in_time_by_themselves_and_a_roll_back_only_reminds() {
    block_on(async {
        let hands = Hands::new(Switchboard::new(Panel::default()), MemoryIncidents::default());
        let mut desk = Desk::new(Playbook::default(), vec![]);
        let mut alert = Alert::backdoor("cheques", Impact::High, Millis(1), "v2", "7", true);
        alert.route = Some("read".into());
        let id = desk.receive(&alert, Mode::Enforce).incident;
        let mut incident = desk.remove(&id).unwrap();
        let deeds = hands.attend(&mut incident, Millis(2)).await.unwrap();
        assert_eq!(deeds.len(), 2, "roll back and hold; diverting everybody waits for a person");
        assert_eq!(hands.actuator.switches().look().version["cheques"], None);
        hands.apply(&mut incident, "s3", "ada", Millis(3)).await.unwrap();
        assert_eq!(hands.actuator.switches().look().paths.len(), 1);
        let end = incident.step("s3").unwrap().expires.unwrap();
        assert!(hands.attend(&mut incident, Millis(end.0 - 1)).await.unwrap().is_empty());
        let deeds = hands.attend(&mut incident, end).await.unwrap();
        assert_eq!((deeds.len(), deeds[0].verb), (1, "expire"));
        assert!(hands.actuator.switches().look().paths.is_empty());
        assert_eq!(incident.step("s3").unwrap().state, StepState::Expired);
        // Weeks later the roll-back still holds, and people were reminded once.
        let later = Millis(30 * 86_400_000);
        let deeds = hands.attend(&mut incident, later).await.unwrap();
        assert!(deeds.iter().all(|deed| deed.verb == "remind") && deeds.len() == 2);
        assert!(hands.attend(&mut incident, later).await.unwrap().is_empty());
        assert_eq!(hands.actuator.switches().look().version["cheques"], None);
        hands.undo(&mut incident, "s1", "ada", later).await.unwrap();
        assert_eq!(hands.actuator.switches().look().version["cheques"].as_deref(), Some("v2"));
    });
}

#[test]
fn a_crash_at_any_point_is_finished_at_the_next_start() {
    block_on(async {
        let store = MemoryIncidents::default();
        let mut incident = walk_incident(Mode::Enforce, 1_000);
        // Crash after planning, before the deed.
        let hands = Hands::new(Switchboard::new(Panel::default()), &store);
        hands.save(&mut incident).await.unwrap();
        let restarted = |at: u64| {
            let store = &store;
            async move {
                let hands = Hands::new(Switchboard::new(Panel::default()), store);
                let mut incident = store.list(&IncidentFilter::open()).await.unwrap().remove(0);
                hands.resume(&mut incident, Millis(at)).await.unwrap();
                (hands, incident)
            }
        };
        let (first, incident) = restarted(2_000).await;
        assert!(first.actuator.switches().look().keys["k"].per_minute.is_some());
        assert_eq!(incident.times().contain_ms, Some(1_000));
        let end = incident.step("s1").unwrap().expires.unwrap();
        // Crash while in force: put in force again, not longer than before.
        let (second, incident) = restarted(3_000).await;
        assert_eq!(second.actuator.switches().look(), first.actuator.switches().look());
        assert_eq!(incident.step("s1").unwrap().expires, Some(end));
        // Crash in the middle of undoing: undone.
        let mut stopped = incident.clone();
        stopped.steps[1].state = StepState::Undoing;
        second.save(&mut stopped).await.unwrap();
        let (third, incident) = restarted(4_000).await;
        assert_eq!(incident.step("s2").unwrap().state, StepState::Undone);
        assert!(!third.actuator.switches().look().keys["k"].diverted);
        // Down beyond the end: ended at once.
        let (fourth, incident) = restarted(end.0 + 1).await;
        assert!(fourth.actuator.switches().look().keys.is_empty());
        assert_eq!(incident.state, IncidentState::Open);
    });
}

#[test]
fn what_could_not_be_done_or_undone_is_said_and_tried_again() {
    block_on(async {
        let hands = Hands::new(Switchboard::new(Panel::default()), MemoryIncidents::default());
        let mut incident = walk_incident(Mode::Enforce, 1);
        hands.actuator.switches().break_it(true);
        let deeds = hands.attend(&mut incident, Millis(2)).await.unwrap();
        assert!(deeds.iter().all(|deed| deed.failed.is_some()) && deeds.len() == 2);
        assert_eq!(incident.contained, None);
        assert!(incident.five.next.contains("COULD NOT BE DONE"), "{}", incident.five.next);
        hands.actuator.switches().break_it(false);
        hands.apply(&mut incident, "s1", "ada", Millis(3)).await.unwrap();
        hands.actuator.switches().break_it(true);
        let end = incident.step("s1").unwrap().expires.unwrap();
        hands.attend(&mut incident, end).await.unwrap();
        assert!(incident.step("s1").unwrap().state.may_hold(), "a failed undo may still be in force");
        hands.actuator.switches().break_it(false);
        hands.attend(&mut incident, end.plus(1)).await.unwrap();
        assert_eq!(incident.step("s1").unwrap().state, StepState::Expired);
    });
}

#[test]
fn somebody_elses_change_is_never_overwritten() {
    block_on(async {
        let hands = Hands::new(Switchboard::new(Panel::default()), MemoryIncidents::default());
        let mut mine = walk_incident(Mode::Advise, 1);
        hands.save(&mut mine).await.unwrap();
        let mut theirs = mine.clone();
        hands.apply(&mut theirs, "s1", "ada", Millis(2)).await.unwrap();
        let refused = hands.apply(&mut mine, "s2", "bob", Millis(3)).await;
        assert!(matches!(refused, Err(RespondError::Store(IncidentStoreError::Conflict { .. }))));
        assert_eq!(hands.store.load(&mine.id).await.unwrap().unwrap(), theirs);
        let unknown = hands.undo(&mut theirs, "s9", "ada", Millis(4)).await;
        assert!(matches!(unknown, Err(RespondError::NoStep { .. })));
    });
}

#[test]
fn a_closed_incident_stays_watched_until_its_steps_have_ended() {
    block_on(async {
        let hands = Hands::new(Switchboard::new(Panel::default()), MemoryIncidents::default());
        let mut incident = walk_incident(Mode::Enforce, 1);
        hands.attend(&mut incident, Millis(2)).await.unwrap();
        incident.close(Millis(3), "ada", "the client was broken");
        assert_eq!(incident.state, IncidentState::Contained);
        hands.attend(&mut incident, Millis(2 * 86_400_000)).await.unwrap();
        assert_eq!(incident.state, IncidentState::Closed);
        assert!(hands.actuator.switches().look().keys.is_empty());
    });
}

#[test]
fn texts_are_narrow_and_nothing_a_caller_named_becomes_markup_or_control() {
    let mut alert = walk_alert("k\u{1b}[31m<b>*", 5_000);
    alert.in_doubt = 12;
    alert.exchanges = (0..12).map(|n| format!("0b7e-{n}")).collect();
    alert.signals = vec![signal("query-boundary-walk")];
    let mut incident = Incident::open(&alert, Mode::Advise);
    Playbook::default().plan(&mut incident, &alert, Millis(5_000));
    let plain = incident.plain();
    assert!(!plain.contains('\u{1b}') && !incident.subject_line().contains('\u{1b}'));
    let order: Vec<usize> = [
        "WHAT CHANGED",
        "WHAT IS SUSPICIOUS",
        "WHO AND WHAT",
        "WHICH DECISIONS",
        "WHAT TO DO NOW",
        "DETAILS",
        "TIMELINE",
    ]
    .iter()
    .map(|heading| plain.find(heading).expect("a heading"))
    .collect();
    assert!(order.is_sorted());
    for line in plain.lines() {
        assert!(line.chars().count() <= 78 || line.contains('`'), "{line}");
    }
    assert!(plain.contains("time to detect: at most"));
    let markdown = incident.markdown();
    assert!(markdown.contains("\\<b\\>\\*") && !markdown.contains("<b>"));
    let round: Incident = serde_json::from_str(&serde_json::to_string(&incident).unwrap()).unwrap();
    assert_eq!(round, incident);
}
