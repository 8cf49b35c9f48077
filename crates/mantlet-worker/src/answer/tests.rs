//! The loop driven with synthetic events, fake hands and clock, and sinks on loopback.

mod sinks;
mod world;

use std::time::Duration;

use mantlet_respond::{
    Alert, AlertKind, Incident, IncidentFilter, IncidentState, IncidentStore, Playbook, StepState,
};
use mantlet_vocab::{Impact, Millis, Mode};
use serde_json::Value;
use tokio::sync::mpsc;

use self::sinks::{HttpSink, SmtpSink};
use self::world::{TestAnswer, World, config, event};
use super::core::Wish;
use super::*;

fn quick(webhooks: Vec<WebhookConfig>, mails: Vec<MailConfig>) -> NotifyConfig {
    NotifyConfig { webhooks, mails, backoff_ms: 1, timeout_ms: 2_000, ..NotifyConfig::default() }
}

fn webhook(sink: &HttpSink) -> WebhookConfig {
    WebhookConfig { url: format!("http://{}/hook?token=geheim", sink.addr), secret: Secret::new(KEY) }
}

fn mail(sink: &SmtpSink) -> MailConfig {
    MailConfig {
        host: "127.0.0.1".to_owned(),
        port: Some(sink.addr.port()),
        security: Security::Plain,
        user: None,
        password: None,
        from: "mantlet <alerts@example.org>".to_owned(),
        to: vec!["on-call@example.org".to_owned()],
    }
}

const KEY: &str = "a key of enough bytes";

async fn settle(answer: &mut TestAnswer, told: &mut mpsc::UnboundedReceiver<Outcome>, count: usize) {
    for _ in 0..count {
        let outcome = tokio::time::timeout(Duration::from_secs(20), told.recv()).await.expect("an outcome");
        answer.delivered(outcome.unwrap()).await;
    }
    answer.tick().await;
}

#[tokio::test]
async fn an_attack_is_found_contained_escalated_and_measured() {
    let world = World::default();
    let (mut answer, _told) = world.answer(Mode::Enforce, NotifyConfig::default()).await;
    // Forty unmarked rows before the first marked one.
    world.play(&mut answer, "hostile", 10_000, 41..=41).await;
    let incident = world.only().await;
    assert_eq!(incident.state, IncidentState::Contained);
    assert_eq!(world.board.words(), ["throttle-key", "divert-key"]);
    let times = incident.times();
    assert_eq!((times.detect_queries, times.contain_ms, times.contain_queries), (41, Some(0), Some(0)));
    assert_eq!(incident.in_doubt, 41);
    // It goes on: three more, and the key is refused. Nobody else is touched.
    world.play(&mut answer, "hostile", 10_000, 42..=44).await;
    assert_eq!(world.board.words(), ["throttle-key", "divert-key", "block-key"]);
    assert!(world.board.0.lock().unwrap().values().all(|order| order.action.key() == Some("hostile")));
    // Hundreds more change nothing but counts, which are kept at the next tick.
    world.play(&mut answer, "hostile", 10_000, 45..=400).await;
    answer.tick().await;
    let incident = world.only().await;
    assert_eq!((incident.steps.len(), incident.queries), (3, 400));
    assert!(incident.revision < 20, "not every event is written: {}", incident.revision);
    let actions: Vec<String> = world.book.0.lock().unwrap().iter().map(|entry| entry.1.clone()).collect();
    assert_eq!(
        actions,
        ["containment-apply", "containment-apply", "incident-open", "containment-apply"],
        "what was done is in the audit log"
    );
}

#[tokio::test]
async fn a_person_undoes_and_the_rest_ends_by_itself() {
    let world = World::default();
    let (mut answer, _told) = world.answer(Mode::Enforce, NotifyConfig::default()).await;
    world.play(&mut answer, "hostile", 0, 1..=1).await;
    let id = world.only().await.id;
    let undo = Wish::Undo { step: "s1".to_owned() };
    let incident = answer.wish(&id, &undo, "ada").await.unwrap();
    assert_eq!(incident.step("s1").unwrap().state, StepState::Undone);
    assert_eq!(answer.wish(&id, &undo, "ada").await.unwrap().timeline, incident.timeline, "twice is once");
    // What a person took back is not done again while it goes on.
    world.play(&mut answer, "hostile", 0, 2..=3).await;
    assert_eq!(world.board.words(), ["divert-key"]);
    let wrong = answer.wish("inc-none", &undo, "ada").await.unwrap_err();
    assert!(matches!(wrong, AnswerError::NoIncident(_)));
    let day = Playbook::default().divert_ms;
    world.clock.set(day + 50);
    answer.tick().await;
    assert_eq!(world.board.words(), ["divert-key"]);
    world.clock.set(day + 500);
    answer.tick().await;
    assert!(world.board.words().is_empty());
    let incident = world.only().await;
    assert_eq!(
        (incident.state, &incident.step("s2").unwrap().state),
        (IncidentState::Open, &StepState::Expired)
    );
    let close = Wish::Close { why: "a stolen key, replaced".to_owned() };
    assert_eq!(answer.wish(&id, &close, "ada").await.unwrap().state, IncidentState::Closed);
}

#[tokio::test]
async fn another_process_asks_through_the_store() {
    let world = World::default();
    let (mut answer, _told) = world.answer(Mode::Advise, NotifyConfig::default()).await;
    world.play(&mut answer, "hostile", 0, 1..=1).await;
    assert!(world.board.words().is_empty(), "advise mode proposes");
    let mut incident = world.only().await;
    incident.steps[0].state = StepState::Applying;
    incident.steps[0].by = "ada".to_owned();
    incident.revision += 1;
    world.store.save(&incident).await.unwrap();
    // Meanwhile the attack goes on, so both sides have news.
    world.play(&mut answer, "hostile", 0, 2..=3).await;
    answer.tick().await;
    assert_eq!(world.board.words(), ["throttle-key"]);
    let incident = world.only().await;
    assert_eq!((incident.steps[0].by.as_str(), incident.queries), ("ada", 3));
}

#[tokio::test]
async fn a_crash_in_the_middle_of_containment_is_finished_and_ends_in_time() {
    let mut world = World::default();
    let (mut answer, _told) = world.answer(Mode::Enforce, NotifyConfig::default()).await;
    world.play(&mut answer, "hostile", 0, 1..=1).await;
    // As it stands in the store when the process dies between writing and doing.
    let mut incident = world.only().await;
    incident.steps[1].state = StepState::Applying;
    incident.revision += 1;
    world.store.save(&incident).await.unwrap();
    drop(answer);
    world.crash();
    world.clock.set(60_000);
    let (mut answer, _told) = world.answer(Mode::Enforce, NotifyConfig::default()).await;
    assert_eq!(world.board.words(), ["throttle-key", "divert-key"]);
    assert_eq!(world.only().await.step("s1").unwrap().expires, incident.step("s1").unwrap().expires);
    // It still joins what the caller does next, and ends when it should have.
    world.play(&mut answer, "hostile", 60_000, 2..=2).await;
    world.clock.set(Playbook::default().throttle_ms + 200);
    answer.tick().await;
    assert_eq!(world.board.words(), ["divert-key"]);
    // Down beyond the end of everything.
    drop(answer);
    world.crash();
    world.clock.set(10 * 86_400_000);
    let (_answer, _told) = world.answer(Mode::Enforce, NotifyConfig::default()).await;
    assert!(world.board.words().is_empty());
    assert_eq!(world.only().await.state, IncidentState::Open);
}

#[test]
fn every_detector_has_words_of_its_own() {
    for about in mantlet_detectors::configurable() {
        assert_ne!(AlertKind::of_signal(about.name), AlertKind::Other, "{}", about.name);
    }
}

#[tokio::test]
async fn observe_and_advise_touch_nobody() {
    for mode in [Mode::Observe, Mode::Advise] {
        let world = World::default();
        let (mut answer, _told) = world.answer(mode, NotifyConfig::default()).await;
        world.play(&mut answer, "hostile", 0, 1..=50).await;
        answer.tick().await;
        assert!(world.board.words().is_empty());
        assert_eq!(world.only().await.steps.len(), 3);
    }
}

#[tokio::test]
async fn a_webhook_is_signed_retried_and_its_outcome_kept() {
    let sink = HttpSink::start(vec![503, 200]).await;
    let world = World::default();
    world.clock.set(1_790_035_199_999);
    let (mut answer, mut told) = world.answer(Mode::Enforce, quick(vec![webhook(&sink)], vec![])).await;
    world.play(&mut answer, "hostile", 1_790_035_199_999, 1..=1).await;
    settle(&mut answer, &mut told, 1).await;
    let requests = sink.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        requests[0].header("webhook-id"),
        requests[1].header("webhook-id"),
        "receivers can tell a repeat"
    );
    let request = &requests[1];
    let seconds = request.header("webhook-timestamp").parse().unwrap();
    assert_eq!(seconds, 1_790_035_200);
    let (id, signature) = (request.header("webhook-id"), request.header("webhook-signature"));
    assert!(verify(KEY.as_bytes(), &id, seconds, &request.body, &signature));
    assert!(!verify(KEY.as_bytes(), &id, seconds + 1, &request.body, &signature));
    assert!(!verify(b"another key of enough bytes", &id, seconds, &request.body, &signature));
    let document: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&document["type"], &document["version"]), (&"incident.opened".into(), &1.into()));
    let incident: Incident = serde_json::from_value(document["data"]["incident"].clone()).unwrap();
    assert_eq!(incident.five.pairs().iter().filter(|(_, answer)| !answer.is_empty()).count(), 5);
    let kept = world.only().await;
    assert_eq!((kept.deliveries.len(), kept.deliveries[0].attempts), (1, 2));
    assert_eq!(kept.deliveries[0].failed, None);
    let all = serde_json::to_string(&kept).unwrap();
    assert!(!all.contains("geheim") && all.contains(&format!("webhook http://{}", sink.addr)));
}

#[tokio::test]
async fn redirects_refusals_and_dead_ends_are_failures_that_are_said() {
    let (redirecting, target) = (HttpSink::start(vec![307]).await, HttpSink::start(vec![200]).await);
    redirecting.redirect_to(&target);
    let refusing = HttpSink::start(vec![401]).await;
    let world = World::default();
    let closed = WebhookConfig { url: "http://127.0.0.1:1/".to_owned(), secret: Secret::new(KEY) };
    let hooks = vec![webhook(&redirecting), webhook(&refusing), closed];
    let notify = NotifyConfig { attempts: 2, ..quick(hooks, vec![]) };
    let (mut answer, mut told) = world.answer(Mode::Enforce, notify).await;
    world.play(&mut answer, "hostile", 0, 1..=1).await;
    settle(&mut answer, &mut told, 3).await;
    let mut outcomes: Vec<(u32, String)> = world
        .only()
        .await
        .deliveries
        .into_iter()
        .map(|delivery| (delivery.attempts, delivery.failed.unwrap_or_default()))
        .collect();
    outcomes.sort();
    assert_eq!(
        outcomes,
        [
            (1, "answered 307; redirects are not followed".to_owned()),
            (1, "answered 401".to_owned()),
            (2, "cannot connect".to_owned())
        ]
    );
    assert!(target.requests().is_empty());
    assert!(world.only().await.timeline.iter().any(|line| line.what.contains("could not tell webhook")));
}

#[tokio::test]
async fn a_mail_reads_well_and_follow_ups_form_one_thread() {
    let sink = SmtpSink::start().await;
    let world = World::default();
    let (mut answer, mut told) = world.answer(Mode::Enforce, quick(vec![], vec![mail(&sink)])).await;
    world.play(&mut answer, "hostile", 0, 1..=4).await;
    settle(&mut answer, &mut told, 2).await;
    let mails = sink.mails();
    assert_eq!(mails.len(), 2);
    let id = world.only().await.id;
    let first = mails[0].replace("=\r\n", "");
    assert!(first.contains("Subject: [high] cheques: key hostile is feeling for the point"), "{first}");
    assert!(first.contains(&format!("Message-ID: <{id}@example.org>")), "{first}");
    for heading in ["WHAT CHANGED", "WHAT IS SUSPICIOUS", "WHICH DECISIONS MAY BE WRONG", "WHAT TO DO NOW"] {
        assert!(first.contains(heading), "{first}");
    }
    assert!(first.contains(&format!("mantlet incident undo {id} s1")), "{first}");
    assert!(mails[1].contains("Subject: escalated: "), "{}", mails[1]);
    assert!(mails[1].contains(&format!("In-Reply-To: <{id}@example.org>")));
    let deliveries = world.only().await.deliveries;
    assert!(deliveries.len() == 2 && deliveries.iter().all(|delivery| delivery.failed.is_none()));
}

#[tokio::test]
async fn the_same_news_is_told_once_and_a_storm_is_held_back() {
    let sink = HttpSink::start(vec![200]).await;
    let world = World::default();
    let notify = NotifyConfig { most_an_hour: 3, ..quick(vec![webhook(&sink)], vec![]) };
    let (mut answer, mut told) = world.answer(Mode::Advise, notify).await;
    let alert = |subject: &str, at| {
        let mut alert = Alert::new(AlertKind::Data, "cheques", Impact::High, Millis(at));
        alert.subject = Some(subject.to_owned());
        alert
    };
    answer.alert(&alert("train.csv", 1)).await;
    let first = world.only().await.id;
    answer.wish(&first, &Wish::Close { why: "looked at".to_owned() }, "ada").await.unwrap();
    // Closed and found again within the cooldown: an incident, but no second notice.
    world.clock.set(60_000);
    answer.alert(&alert("train.csv", 60_000)).await;
    // Ten more of other kinds within the hour: three notices in all.
    for n in 0..10 {
        answer.alert(&alert(&format!("other-{n}.csv"), 60_001 + n)).await;
    }
    settle(&mut answer, &mut told, 3).await;
    assert_eq!(sink.requests().len(), 3);
    let incidents = world.store.list(&IncidentFilter::default()).await.unwrap();
    assert_eq!(incidents.len(), 12);
    let untold = |what: &str| {
        incidents
            .iter()
            .filter(|incident| incident.timeline.iter().any(|line| line.what.contains(what)))
            .count()
    };
    assert_eq!((untold("people were told the same"), untold("3 notices were sent within an hour")), (1, 8));
    // A restart after the cooldown.
    drop(answer);
    world.clock.set(2 * 3_600_000);
    let (mut answer, mut told) = world.answer(Mode::Advise, quick(vec![webhook(&sink)], vec![])).await;
    let waiting = sink.requests().len();
    answer.alert(&alert("train.csv", 2 * 3_600_000)).await;
    // The nine that were held back are still news within a day; the last one is the same as one of them.
    settle(&mut answer, &mut told, 9).await;
    assert_eq!(sink.requests().len(), waiting + 9);
}

#[tokio::test]
async fn the_running_loop_takes_events_wishes_and_a_new_configuration() {
    use mantlet_guard::Events;
    let (sink, world) = (HttpSink::start(vec![200]).await, World::default());
    let parts = (world.board.clone(), world.store.clone(), world.book.clone(), world.clock.clone());
    let notify = quick(vec![webhook(&sink)], vec![]);
    let handle =
        start(config(Mode::Enforce, notify.clone()), parts.0, parts.1, parts.2, parts.3).await.unwrap();
    for row in 1..=50 {
        handle.sink().emit(event("hostile", row, row, "query-boundary-walk")).unwrap();
    }
    handle.settle().await.unwrap();
    let id = world.only().await.id;
    assert!(world.board.words().contains(&"throttle-key"));
    let incident = handle.wishes().undo(&id, "s1", "ada").await.unwrap();
    assert_eq!(incident.step("s1").unwrap().state, StepState::Undone);
    assert!(handle.wishes().contain(&id, "s9", "ada").await.is_err());
    let mut broken = config(Mode::Observe, notify);
    broken.notify.webhooks[0].url = "ftp://example.org".to_owned();
    assert!(matches!(handle.reload(broken).await, Err(ReloadError::Config(ConfigError::WebhookUrl))));
    handle.reload(config(Mode::Observe, NotifyConfig::default())).await.unwrap();
    handle.sink().emit(event("another", 60, 1, "query-boundary-walk")).unwrap();
    let wishes = handle.wishes();
    handle.stop().await;
    assert_eq!(
        world.board.0.lock().unwrap().values().filter(|o| o.action.key() == Some("another")).count(),
        0
    );
    assert_eq!(
        world.store.list(&IncidentFilter::default()).await.unwrap().len(),
        2,
        "what waited was worked on"
    );
    assert_eq!(wishes.undo(&id, "s1", "ada").await.unwrap_err(), AnswerError::Ended);
    assert!(!sink.requests().is_empty(), "notices under way were finished");
}

#[test]
fn configuration_that_cannot_work_is_refused_and_secrets_stay_secret() {
    let hook = |url: &str, secret: &str| {
        let webhooks = vec![WebhookConfig { url: url.to_owned(), secret: Secret::new(secret) }];
        config(Mode::Observe, quick(webhooks, vec![])).check()
    };
    assert_eq!(hook("https://example.org/x", KEY), Ok(()));
    assert_eq!(hook("https://example.org/x", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Ok(()));
    assert_eq!(hook("example.org/x", KEY), Err(ConfigError::WebhookUrl));
    assert!(matches!(hook("https://example.org", "short"), Err(ConfigError::WebhookSecret { .. })));
    let mail = |host: &str, security, to: &[&str]| {
        let mail = MailConfig {
            host: host.to_owned(),
            port: None,
            security,
            user: None,
            password: None,
            from: "a@example.org".to_owned(),
            to: to.iter().map(|&to| to.to_owned()).collect(),
        };
        config(Mode::Observe, quick(vec![], vec![mail])).check()
    };
    assert_eq!(mail("smtp.example.org", Security::Starttls, &["b@example.org"]), Ok(()));
    assert_eq!(mail("smtp.example.org", Security::Tls, &["b@example.org"]), Ok(()));
    assert_eq!(mail("127.0.0.1", Security::Plain, &["b@example.org"]), Ok(()));
    for host in ["smtp.example.org", "127.0.0.1.example.org", "10.0.0.1"] {
        assert!(matches!(
            mail(host, Security::Plain, &["b@example.org"]),
            Err(ConfigError::PlainMail { .. })
        ));
    }
    assert!(matches!(mail("::1", Security::Plain, &[]), Err(ConfigError::NoRecipient { .. })));
    assert!(matches!(mail("::1", Security::Plain, &["b@x\r\nBcc: c@y"]), Err(ConfigError::Address { .. })));
    let secret =
        WebhookConfig { url: "https://example.org/T0/geheim".to_owned(), secret: Secret::new("geheim") };
    let printed = format!("{:?} {}", secret.secret, serde_json::to_string(&secret).unwrap());
    assert!(!printed.contains("geheim"), "{printed}");
}

#[test]
fn the_signature_is_that_of_standard_webhooks() {
    // The example of the specification's reference libraries.
    let key = super::webhook::key_of(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
    let header = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
    assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}
