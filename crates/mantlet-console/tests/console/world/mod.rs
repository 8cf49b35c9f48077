//! A world in memory behind the console's ports; incidents and steps are the real engine's.
//!
//! Long because everything that is shown stands in one place.

mod acts;
mod batches;
mod reports;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mantlet_access::{ApiKey, Role, Scope, Session, User};
use mantlet_console::{
    AuditLine, AuditTail, Console, ConsoleConfig, Live, People, Ports, Review, ReviewState, Soon,
    VersionEvidence, Views,
};
use mantlet_registry::rollout::{Arm, Observation, Phase, Plan, Rollout};
use mantlet_registry::{ModelVersion, State, System, Transition};
use mantlet_report::svg::Raster;
use mantlet_report::{
    Admission, Basis, EvasionGrid, EvasionItem, Field, Input, ModelCard, SystemReport, Tone, VerdictBlock,
};
use mantlet_respond::{Alert, AlertKind, Desk, Incident, IncidentFilter, Playbook, Traffic};
use mantlet_store::Ledgers;
use mantlet_vocab::{
    Action, Confidence, Decision, Digest, Exchange, Impact, Millis, Mode, NamedValue, Request, Signal,
    Tensor, Value,
};

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const NOW: Millis = Millis(1_790_035_800_000);

pub(crate) fn now() -> Millis {
    NOW
}

#[derive(Debug, Default)]
pub(crate) struct World {
    users: Mutex<BTreeMap<String, User>>,
    sessions: Mutex<BTreeMap<Digest, Session>>,
    incidents: Mutex<BTreeMap<String, Incident>>,
    pub(crate) reviews: Mutex<BTreeMap<String, Review>>,
    pub(crate) orders: Mutex<Vec<String>>,
    audit: Mutex<Vec<AuditLine>>,
    pub(crate) manage: Mutex<String>,
    pub(crate) rollout: Mutex<Option<Rollout>>,
    pub(crate) diverted: Mutex<Option<String>>,
    pub(crate) ledgers: Mutex<Ledgers>,
}

pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) live: Live,
    pub(crate) addr: SocketAddr,
    pub(crate) incident: String,
    _console: Console,
    _runtime: tokio::runtime::Runtime,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let world = Arc::new(World::default());
        for (name, role) in [("ada", Role::Admin), ("vic", Role::Viewer), ("rae", Role::Reviewer)] {
            let user = User::new(name, role, PASSWORD, &[7; 16], NOW).unwrap();
            world.users.lock().unwrap().insert(name.to_owned(), user);
        }
        let incident = incident();
        let id = incident.id.clone();
        world.incidents.lock().unwrap().insert(id.clone(), incident);
        for (n, answer) in [(1, "8"), (2, "<script>alert(1)</script>")] {
            let review = review(n, answer, &id);
            world.reviews.lock().unwrap().insert(review.id.clone(), review);
        }
        world.deliver();
        world.note("mantlet", "incident.opened", &id, serde_json::json!({ "impact": "high" }));
        let live = Live::default();
        for n in 0..4 {
            live.push(&exchange(n, Action::Allow, "k-teller"));
        }
        let ports = Ports {
            views: world.clone(),
            people: world.clone(),
            actions: world.clone(),
            batches: world.clone(),
            live: live.clone(),
        };
        let config = ConsoleConfig { clock: now, ..ConsoleConfig::new(([127, 0, 0, 1], 0).into()) };
        let console = runtime.block_on(Console::start(config, ports)).unwrap();
        Self { world, live, addr: console.addr(), incident: id, _console: console, _runtime: runtime }
    }
}

fn signal(name: &str, score: f64, message: &str) -> Signal {
    let (impact, confidence) = (Impact::High, Confidence::High);
    Signal { name: name.into(), impact, confidence, score, message: message.into(), facts: BTreeMap::new() }
}

fn incident() -> Incident {
    let mut alert =
        Alert::new(AlertKind::BoundaryWalk, "cheque reader", Impact::High, Millis(NOW.0 - 60_000));
    alert.caller = Some("k-9f21".into());
    alert.route = Some("digits".into());
    alert.version = Some("v1".into());
    alert.serving = true;
    alert.since = Millis(NOW.0 - 75_000);
    alert.queries = 42;
    alert.exchanges = (0..42).map(|n| format!("x-{n:04}")).collect();
    alert.in_doubt = 42;
    alert.traffic = Some(Traffic { callers: 4, per_minute: 310.0, caller_per_minute: 168.0 });
    alert.signals = vec![
        signal(
            "stream-boundary-walk",
            1.8,
            "each picture is one step from the last and the reading flips between 3 and 8",
        ),
        signal("stream-near-duplicates", 1.2, "38 of the last 42 pictures are nearly the same"),
    ];
    let mut desk = Desk::new(Playbook::default(), Vec::new());
    let intake = desk.receive(&alert, Mode::Advise);
    let mut incident = desk.remove(&intake.incident).unwrap();
    incident.revision = 1;
    incident
}

fn digit() -> Raster {
    let rows = [0x3c, 0x66, 0x66, 0x3c, 0x2e, 0x66, 0x3c, 0x00_u32];
    let values = (0..64_u32)
        .map(|i| (rows[i as usize / 8] >> (7 - i % 8) & 1) as f32 * 13.0 + (i % 5) as f32 * 0.6)
        .collect();
    Raster::grey(8, 8, values, 0.0, 16.0)
}

fn review(n: u64, answer: &str, incident: &str) -> Review {
    let mut inputs = vec![Input::Picture(digit())];
    if n == 2 {
        let field = |name: &str, value: &str| Field { name: name.into(), value: value.into() };
        inputs =
            vec![Input::Fields { fields: vec![field("amount", "1200.00"), field("purpose", "<b>car</b>")] }];
    }
    Review {
        id: format!("rev-{n:04}"),
        exchange: format!("x-{n:04}"),
        at: Millis(NOW.0 - 40_000 + n),
        system: "cheque reader".into(),
        route: "digits".into(),
        caller: "k-9f21".into(),
        version: "v1".into(),
        inputs,
        answer: Some(answer.into()),
        scores: vec![("8".into(), 0.52), ("3".into(), 0.44), ("9".into(), 0.03)],
        owner: "credit desk".into(),
        deadline: Millis(NOW.0 + 3_600_000),
        releases: false,
        written: Vec::new(),
        asked: !answer.is_empty(),
        goes_on: false,
        choices: (0..10).map(|class| class.to_string()).collect(),
        signals: vec![signal(
            "stream-boundary-walk",
            1.8,
            "the caller is searching for the place where the reading flips",
        )],
        incident: Some(incident.to_owned()),
        state: ReviewState::Waiting,
    }
}

pub(crate) fn exchange(n: u64, action: Action, caller: &str) -> Exchange {
    let pixels = Tensor::new([1, 64], vec![0.5; 64]).unwrap();
    let signals =
        if action == Action::Allow { vec![] } else { vec![signal("stream-boundary-walk", 1.8, "x")] };
    Exchange {
        id: format!("x-{n:04}"),
        at: Millis(NOW.0 - 10_000 + n),
        system: "cheque reader".into(),
        route: "digits".into(),
        caller: caller.into(),
        version: "v1".into(),
        generation: 1,
        request: Request {
            inputs: vec![NamedValue { name: "pixels".into(), value: Value::F32(pixels) }],
            ..Request::default()
        },
        reply: None,
        decision: Decision { action: action.clone(), proposed: action, mode: Mode::Enforce, signals },
        status: 200,
        took_ms: 1.8,
    }
}

impl World {
    fn note(&self, actor: &str, action: &str, subject: &str, detail: serde_json::Value) {
        let mut audit = self.audit.lock().unwrap();
        let index = audit.len() as u64;
        let (actor, action, subject) = (actor.to_owned(), action.to_owned(), subject.to_owned());
        audit.push(AuditLine { index, at: NOW, actor, action, subject, detail });
    }

    /// A rollout of v2 at its second step, in which it fails more often than v1: `worse` in a hundred.
    pub(crate) fn rolls(worse: u64) -> Rollout {
        let plan = Plan { slow_ms: Some(50.0), ..Plan::default() };
        let mut rollout = Rollout {
            id: "roll-1".into(),
            system: "cheque reader".into(),
            route: None,
            candidate: "v2".into(),
            stable: "v1".into(),
            phase: Phase::Canary(1),
            paused: false,
            revision: 2,
            started_by: "ada".into(),
            started: Millis(NOW.0 - 600_000),
            since: Millis(NOW.0 - 300_000),
            evidence: mantlet_registry::rollout::Evidence::new(&plan, Millis(NOW.0 - 300_000)),
            lines: Vec::new(),
            plan,
        };
        for n in 0..1_200_u64 {
            let arm = if n % 2 == 0 { Arm::Candidate } else { Arm::Baseline };
            let failed = arm == Arm::Candidate && (n / 2) % 100 < worse;
            let seen = Observation {
                arm,
                at: Millis(NOW.0 - 290_000 + n),
                failed: Some(failed),
                took_ms: 12.0,
                signalled: Some(n % 97 == 0),
                output: None,
            };
            rollout.evidence.see(&rollout.plan, &seen);
        }
        rollout.moved(Phase::Canary(1), "advanced", "mantlet", "200 observations of each, nothing worse", NOW)
    }

    fn system() -> System {
        System {
            name: "cheque reader".into(),
            decides: "Reads the digits of an amount. What it reads is paid out.".into(),
            impact: Impact::High,
            mode: Mode::Advise,
            owner: "Payments team".into(),
            created: Millis(NOW.0 - 86_400_000),
            serving: Some("v2".into()),
            known_good: Some("v1".into()),
        }
    }

    fn version(name: &str, state: State, reason: &str) -> ModelVersion {
        ModelVersion {
            system: "cheque reader".into(),
            version: name.into(),
            digest: Digest::of(name.as_bytes()),
            path: format!("models/{name}.onnx").into(),
            signature: Some(format!("models/{name}.onnx.sig").into()),
            state,
            added_by: "ada".into(),
            added: Millis(NOW.0 - 7_200_000),
            approvals: vec![],
            reasons: vec![reason.into()],
            evidence: None,
        }
    }

    fn report() -> SystemReport {
        let verdict = VerdictBlock {
            tone: Tone::Good,
            headline: "v1 may serve".into(),
            sentences: vec![],
            next: vec![],
        };
        let mut report = SystemReport::new("cheque reader", Impact::High, NOW, verdict);
        report.models = vec![ModelCard {
            version: "v1".into(),
            path: "models/v1.onnx".into(),
            digest: None,
            size: 91_000,
            admission: Admission::Admitted,
            reasons: vec![],
            facts: vec![("Accuracy".into(), "98.3 % of 360 test rows".into())],
            passport: None,
        }];
        let item = EvasionItem {
            truth: "8".into(),
            before: ("8".into(), Some(0.99)),
            after: ("3".into(), Some(0.61)),
            clean: Input::Picture(digit()),
            perturbed: Input::Picture(Raster {
                values: digit().values.iter().map(|v| v * 0.8 + 1.0).collect(),
                ..digit()
            }),
        };
        report.evasion = vec![EvasionGrid {
            model: "v1".into(),
            title: "92 of 100 digits can be turned".into(),
            sentence: "Left the clean digit, right what the attack changed.".into(),
            items: vec![item; 3],
            basis: Basis {
                n: 100,
                of: "test rows".into(),
                seeds: vec![11],
                command: "mantlet attack run".into(),
                note: None,
            },
        }];
        report
    }
}

fn soon<'a, T: Send + 'a>(value: T) -> Soon<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Views for World {
    fn systems(&self) -> Soon<'_, Vec<System>> {
        soon(vec![Self::system()])
    }
    fn versions<'a>(&'a self, _: &'a str) -> Soon<'a, Vec<ModelVersion>> {
        soon(vec![
            Self::version("v1", State::KnownGood, "No trigger was found for any of 10 classes."),
            Self::version("v2", State::Serving, "Trained on more rows."),
        ])
    }
    fn history<'a>(&'a self, system: &'a str) -> Soon<'a, Vec<Transition>> {
        soon(vec![Transition {
            at: Millis(NOW.0 - 3_600_000),
            actor: "ada".into(),
            system: system.into(),
            version: "v2".into(),
            digest: Digest::of(b"v2"),
            from: Some(State::Admitted),
            to: State::Serving,
            reason: "better on thin pens".into(),
        }])
    }
    fn rollout<'a>(&'a self, _: &'a str) -> Soon<'a, Option<Rollout>> {
        soon(self.rollout.lock().unwrap().clone())
    }
    fn diverted<'a>(&'a self, _: &'a str) -> Soon<'a, Option<String>> {
        soon(self.diverted.lock().unwrap().clone())
    }
    fn evidence<'a>(&'a self, _: &'a str, _: &'a str) -> Soon<'a, VersionEvidence> {
        soon(VersionEvidence { report: Some(Self::report()) })
    }
    fn incidents<'a>(&'a self, filter: &'a IncidentFilter) -> Soon<'a, Vec<Incident>> {
        let all = self.incidents.lock().unwrap();
        soon(all.values().filter(|incident| filter.admits(incident)).cloned().collect())
    }
    fn incident<'a>(&'a self, id: &'a str) -> Soon<'a, Option<Incident>> {
        soon(self.incidents.lock().unwrap().get(id).cloned())
    }
    fn reviews(&self, waiting_only: bool) -> Soon<'_, Vec<Review>> {
        let all = self.reviews.lock().unwrap();
        soon(
            all.values()
                .filter(|review| !waiting_only || review.state == ReviewState::Waiting)
                .cloned()
                .collect(),
        )
    }
    fn review<'a>(&'a self, id: &'a str) -> Soon<'a, Option<Review>> {
        soon(self.reviews.lock().unwrap().get(id).cloned())
    }
    fn audit(&self, most: usize) -> Soon<'_, AuditTail> {
        let audit = self.audit.lock().unwrap();
        let lines = audit.iter().rev().take(most).cloned().collect();
        soon(AuditTail {
            lines,
            size: audit.len() as u64,
            root: "8a7b".repeat(11),
            signed: Some("mantlet-7f3a, just now".into()),
        })
    }
    fn reports(&self) -> Soon<'_, Vec<mantlet_store::Report>> {
        Box::pin(async { Ok(vec![reports::reported()]) })
    }
    fn report<'a>(&'a self, id: &'a str) -> Soon<'a, Option<mantlet_store::Report>> {
        Box::pin(async move { Ok(Some(reports::reported()).filter(|report| report.id == id)) })
    }
    fn keys(&self) -> Soon<'_, Vec<ApiKey>> {
        let key =
            |n: u8, label: &str| ApiKey::generate(&[n; 38], label, vec![Scope::InferAny], NOW, None).record;
        soon(vec![key(1, "tellers"), ApiKey { revoked: Some(NOW), ..key(2, "trial") }])
    }
}

impl People for World {
    fn user<'a>(&'a self, name: &'a str) -> Soon<'a, Option<User>> {
        soon(self.users.lock().unwrap().get(name).cloned())
    }
    fn save_user<'a>(&'a self, user: &'a User) -> Soon<'a, ()> {
        self.users.lock().unwrap().insert(user.name.clone(), user.clone());
        soon(())
    }
    fn open_session<'a>(&'a self, session: &'a Session) -> Soon<'a, ()> {
        self.note(&session.user, "person.signed-in", "console", serde_json::Value::Null);
        self.sessions.lock().unwrap().insert(session.hash, session.clone());
        soon(())
    }
    fn session<'a>(&'a self, hash: &'a Digest) -> Soon<'a, Option<Session>> {
        soon(self.sessions.lock().unwrap().get(hash).cloned())
    }
    fn end_session<'a>(&'a self, hash: &'a Digest) -> Soon<'a, ()> {
        self.sessions.lock().unwrap().remove(hash);
        soon(())
    }
    fn end_sessions_of<'a>(&'a self, user: &'a str) -> Soon<'a, ()> {
        self.sessions.lock().unwrap().retain(|_, session| session.user != user);
        soon(())
    }
    fn managing_key<'a>(&'a self, presented: &'a str, _: Millis) -> Soon<'a, Option<String>> {
        let known = self.manage.lock().unwrap();
        soon((!known.is_empty() && *known == presented).then(|| "k-manage".to_owned()))
    }
}
