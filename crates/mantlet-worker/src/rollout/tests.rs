//! A rollout over real files and a store in memory, with traffic that remembers how it was moved.

use std::sync::Mutex;
use std::time::Instant;

use mantlet_registry::disk::sign_path;
use mantlet_registry::rollout::{Arm, Observation, Outputs, Plan, Rollout, Step};
use mantlet_registry::{ModelVersion, Registry, RegistryStore as _, State, System, TrustedKeys, VersionId};
use mantlet_seal::PrivateKey;
use mantlet_store::{FixedClock, Options, Store};
use mantlet_vocab::{
    Action, Decision, Exchange, Impact, Millis, Mode, NamedValue, Reply, Request, Tensor, Value,
};

use super::{Analyst, Done, Traffic, observation, output_of, start};

#[derive(Default)]
struct Moves {
    said: Mutex<Vec<String>>,
    dead: bool,
}

impl Moves {
    fn say(&self, text: String) {
        self.said.lock().unwrap().push(text);
    }
}

impl Traffic for Moves {
    fn follow(&self, rollout: Option<&Rollout>) {
        self.say(
            rollout.map_or("none".into(), |rollout| format!("{} {}", rollout.candidate, rollout.share())),
        );
    }
    fn serve_only(&self, version: &str) {
        self.say(format!("only {version}"));
    }
    fn divert(&self, reason: &str) {
        self.say(format!("divert: {reason}"));
    }
    async fn is_ready(&self, _: &str) -> bool {
        !self.dead
    }
}

struct World {
    folder: tempfile::TempDir,
    store: Store,
}

fn key() -> PrivateKey {
    PrivateKey::generate(&[7; 32]).unwrap()
}

fn id(version: &str) -> VersionId {
    VersionId { system: "cheques".into(), version: version.into() }
}

fn plan() -> Plan {
    let step = |share, samples| Step { share, samples, dwell_ms: 0 };
    Plan { steps: vec![step(1_000, 50), step(5_000, 50)], ..Plan::default() }
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = std::sync::Arc::new(FixedClock::new(Millis(1)));
        let store = Store::open(&folder.path().join("store"), clock, Options::default()).await.unwrap();
        let world = Self { folder, store };
        let registry = world.registry();
        let system = System {
            name: "cheques".into(),
            decides: "digits".into(),
            impact: Impact::Medium,
            mode: Mode::Enforce,
            owner: "ada".into(),
            created: Millis(0),
            serving: None,
            known_good: None,
        };
        registry.put_system(&system).await.unwrap();
        for version in ["v1", "v2"] {
            let path = world.folder.path().join(version);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("model.onnx"), vec![version.as_bytes()[1]; 1 << 20]).unwrap();
            let (manifest, signature) = sign_path(&path, None, &key()).unwrap();
            let model = ModelVersion {
                system: "cheques".into(),
                version: version.into(),
                digest: manifest.root(),
                path,
                signature: Some(signature),
                state: State::Candidate,
                added_by: "ada".into(),
                added: Millis(1),
                approvals: vec![],
                reasons: vec![],
                evidence: None,
            };
            let model = registry.add(model).await.unwrap();
            registry.admit(&model, vec!["no finding".into()], "mantlet", Millis(2)).await.unwrap();
        }
        registry.promote(&id("v1"), "ada", "go", Millis(3)).await.unwrap();
        registry.mark_known_good(&id("v1"), "ada", Millis(4)).await.unwrap();
        world
    }

    fn registry(&self) -> Registry<Store, TrustedKeys> {
        Registry::new(self.store.clone(), TrustedKeys(vec![key().public()]))
    }

    fn analyst(&self, traffic: Moves) -> Analyst<Store, TrustedKeys, Moves> {
        Analyst::new(self.registry(), traffic, "cheques")
    }

    async fn begin(&self, name: &str) {
        self.registry().start_rollout(&id("v2"), plan(), name, "ada", "faster", Millis(5)).await.unwrap();
    }

    async fn audited(&self) -> Vec<String> {
        let entries = self.store.audit().tail(100).await.unwrap();
        entries.into_iter().map(|entry| entry.action).filter(|action| action.starts_with("rollout")).collect()
    }
}

fn seen(arm: Arm, at: u64, failed: bool) -> Observation {
    Observation {
        arm,
        at: Millis(at),
        failed: Some(failed),
        took_ms: 1.0,
        signalled: Some(false),
        output: None,
    }
}

async fn feed(analyst: &mut Analyst<Store, TrustedKeys, Moves>, count: u64, at: u64, failing: bool) -> Done {
    for caller in 0..count {
        analyst.observe(caller, &seen(Arm::Baseline, at, false), Millis(at)).await;
        let done = analyst.observe(caller, &seen(Arm::Candidate, at, failing), Millis(at)).await;
        if done != Done::Nothing {
            return done;
        }
    }
    Done::Nothing
}

#[tokio::test]
async fn a_good_version_is_taken_on_and_every_step_is_in_the_audit_log() {
    let world = World::new().await;
    let mut analyst = world.analyst(Moves::default());
    assert_eq!(analyst.tick(Millis(5)).await, Done::Nothing);
    world.begin("r").await;
    assert_eq!(analyst.tick(Millis(6)).await, Done::Nothing, "nothing was seen yet");
    feed(&mut analyst, 50, 10, false).await;
    analyst.tick(Millis(11)).await;
    // A restart: what was observed goes on.
    feed(&mut analyst, 30, 20, false).await;
    analyst.tick(Millis(21)).await;
    let mut analyst = world.analyst(Moves::default());
    analyst.tick(Millis(22)).await;
    assert_eq!(analyst.rollout().unwrap().evidence.tally().candidate, 30);
    feed(&mut analyst, 20, 23, false).await;
    assert_eq!(analyst.tick(Millis(24)).await, Done::Advanced(mantlet_registry::rollout::Phase::Promoted));
    assert_eq!(*analyst.traffic().said.lock().unwrap(), ["v2 5000", "only v2"]);
    assert_eq!(world.audited().await, ["rollout-started", "rollout-advanced", "rollout-promoted"]);
    assert_eq!(world.store.system("cheques").await.unwrap().unwrap().serving.as_deref(), Some("v2"));
}

#[tokio::test]
async fn a_bad_version_is_gone_and_the_old_one_confirmed_within_a_second() {
    let world = World::new().await;
    let mut analyst = world.analyst(Moves::default());
    world.begin("r").await;
    analyst.tick(Millis(6)).await;
    let begun = Instant::now();
    let done = feed(&mut analyst, 50, 10, true).await;
    let Done::Returned { to, ahead, ready, took_ms } = done else { panic!("{done:?}") };
    assert_eq!((to.as_str(), ahead, ready), ("v1", true, true));
    assert!(took_ms < 1_000.0 && begun.elapsed().as_secs_f64() < 5.0, "{took_ms}");
    println!("taken back and confirmed in {took_ms:.1} ms");
    assert_eq!(*analyst.traffic().said.lock().unwrap(), ["v2 1000", "only v1"]);
    assert_eq!(world.audited().await, ["rollout-started", "rollout-rolled-back"]);
    assert_eq!(analyst.tick(Millis(20)).await, Done::Nothing);
}

/// Labels come late, from people who decided: they reach the analysis like everything else, and count.
#[tokio::test]
async fn labels_that_prove_the_candidate_wrong_take_it_back() {
    let world = World::new().await;
    world.begin("r").await;
    let mut analyst = world.analyst(Moves::default());
    analyst.tick(Millis(6)).await;
    for n in 0..400 {
        assert_eq!(analyst.label("v9", Millis(n), true, Millis(n)).await, Done::Nothing, "no version of it");
        analyst.label("v1", Millis(n), false, Millis(n)).await;
        let done = analyst.label("v2", Millis(n), n % 2 == 0, Millis(n)).await;
        if let Done::Returned { to, .. } = done {
            assert_eq!(to, "v1");
            println!("half of its labels wrong: taken back after {n}");
            assert_eq!(world.audited().await, ["rollout-started", "rollout-rolled-back"]);
            // The handle takes labels as well, and has no use for them now.
            let handle = start(world.analyst(Moves::default()), crate::answer::SystemClock);
            assert!(handle.sink().label("v2", Millis(n), true).is_ok());
            handle.stop().await;
            return;
        }
    }
    panic!("400 labels, half of them wrong, and it stays");
}

#[tokio::test]
async fn without_a_version_to_return_to_people_decide() {
    for dead in [false, true] {
        let world = World::new().await;
        let mut analyst = world.analyst(Moves { dead, ..Moves::default() });
        world.begin("r").await;
        analyst.tick(Millis(6)).await;
        if !dead {
            std::fs::write(world.folder.path().join("v1/model.onnx"), b"other").unwrap();
        }
        let done = feed(&mut analyst, 50, 10, true).await;
        let said = analyst.traffic().said.lock().unwrap().clone();
        if dead {
            assert!(matches!(done, Done::Returned { ready: false, .. }), "{done:?}");
        } else {
            assert!(matches!(done, Done::Diverted(_)), "{done:?}");
            assert!(!said.iter().any(|said| said.starts_with("only")), "{said:?}");
        }
        assert!(said.last().unwrap().starts_with("divert"), "{said:?}");
    }
}

#[tokio::test]
async fn people_pause_and_end_it_and_another_switch_ends_it_too() {
    let world = World::new().await;
    let mut analyst = world.analyst(Moves::default());
    world.begin("r").await;
    analyst.tick(Millis(6)).await;
    world.registry().pause_rollout("cheques", true, "bob", "lunch", Millis(7)).await.unwrap();
    feed(&mut analyst, 50, 10, false).await;
    assert_eq!(analyst.tick(Millis(11)).await, Done::Nothing);
    world.registry().pause_rollout("cheques", false, "bob", "back", Millis(12)).await.unwrap();
    assert!(matches!(analyst.tick(Millis(13)).await, Done::Advanced(_)));
    world.registry().abort_rollout("cheques", "bob", "no", Millis(14)).await.unwrap();
    analyst.tick(Millis(15)).await;
    assert!(analyst.rollout().is_none());
    assert_eq!(analyst.traffic().said.lock().unwrap().last().unwrap(), "none");
    world.begin("again").await;
    analyst.tick(Millis(16)).await;
    world.registry().promote(&id("v2"), "ada", "by hand", Millis(17)).await.unwrap();
    analyst.tick(Millis(18)).await;
    assert!(analyst.rollout().is_some(), "the candidate serves: the rollout is completed, not aborted");
}

fn exchange(version: &str, action: Action, status: u16, reply: Option<Reply>) -> Exchange {
    Exchange {
        id: "e".into(),
        at: Millis(1),
        system: "cheques".into(),
        route: "digits".into(),
        caller: "ann".into(),
        version: version.into(),
        generation: 1,
        request: Request::default(),
        reply,
        decision: Decision { action, ..Decision::allow(Mode::Enforce) },
        status,
        took_ms: 3.0,
    }
}

#[tokio::test]
async fn an_exchange_counts_for_the_version_that_was_asked() {
    let world = World::new().await;
    world.begin("r").await;
    let rollout = world.store.rollout("cheques").await.unwrap().unwrap();
    let scores = |a: f32| {
        let value = Value::F32(Tensor::new([1, 2], vec![a, 0.5]).unwrap());
        Some(Reply { outputs: vec![NamedValue { name: "p".into(), value }], pieces: vec![] })
    };
    let look = |version, action, status, reply| {
        observation(&exchange(version, action, status, reply), &rollout)
            .map(|(_, seen)| (seen.arm, seen.failed, seen.signalled))
    };
    let throttle = Action::Throttle { retry_after_ms: 1 };
    assert_eq!(look("v1", Action::Allow, 200, scores(0.1)), Some((Arm::Baseline, Some(false), Some(false))));
    assert_eq!(look("v2", Action::Flag, 200, scores(0.1)), Some((Arm::Candidate, Some(false), Some(true))));
    assert_eq!(look("v2", Action::Allow, 502, None), Some((Arm::Candidate, Some(true), Some(false))));
    assert_eq!(look("v2", Action::Allow, 400, None), Some((Arm::Candidate, Some(true), Some(false))));
    assert_eq!(look("v2", Action::Allow, 499, None), Some((Arm::Candidate, None, Some(false))));
    assert_eq!(look("v2", Action::Divert, 202, None), Some((Arm::Candidate, None, Some(true))));
    assert_eq!(look("v2", Action::Divert, 202, scores(0.1)), Some((Arm::Candidate, Some(false), Some(true))));
    assert_eq!(look("v2", throttle, 429, None), None);
    assert_eq!(look("v2", Action::Refuse, 403, None), None);
    assert_eq!(look("v9", Action::Allow, 200, scores(0.1)), None);
    let classes = Outputs::Classes(2);
    assert_eq!(output_of(&scores(0.9).unwrap(), &classes), Some(0));
    assert_eq!(output_of(&scores(f32::NAN).unwrap(), &classes), None);
    assert_eq!(output_of(&Reply::default(), &classes), None);
    assert_eq!(output_of(&scores(0.9).unwrap(), &Outputs::Scores(vec![0.5])), Some(1));
    assert_eq!(output_of(&scores(f32::NAN).unwrap(), &Outputs::Scores(vec![0.5])), None);
}
