//! The gateway alone, without a store behind it: what its layers cost by themselves.
//!
//! `guarded_proxy pass|identity|rules|chat|canary LISTEN UPSTREAM`, addresses as `address:port`; a key begins with `key`
//! and is its own caller. Nothing is recorded. `rules` has a profile of 784 columns learned from drawn rows, as
//! `cargo xtask bench gateway` draws them; `canary` sends a tenth of the callers to a second version.

use std::sync::Arc;

use mantlet_detectors::{Learning, Profile};
use mantlet_gateway::{
    Clock, Gateway, GatewayConfig, KeyLookup, Keys, Kind, Ports, Reviewed, Reviews, Route, Soon, Ticket,
    Upstream,
};
use mantlet_guard::shared::InMemory;
use mantlet_guard::{Controls, Guard, GuardConfig, Nowhere, Overloaded, RulePolicy, Split};
use mantlet_vocab::{Exchange, Impact, Millis, Mode, NamedValue, Tensor, Value};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct One;

impl Keys for One {
    fn lookup(&self, presented: &str, _: &str, _: Millis) -> KeyLookup {
        if presented.starts_with("key") {
            KeyLookup::Valid { id: presented.into(), until: None }
        } else {
            KeyLookup::Invalid
        }
    }
}

impl Reviews for One {
    fn file(&self, _: &Exchange, _: bool) -> Result<Ticket, Overloaded> {
        Err(Overloaded)
    }
    fn poll(&self, _: &str, _: &str) -> Reviewed {
        Reviewed::Unknown
    }
    fn goes_on<'a>(&'a self, _: &'a str, _: &'a Exchange) -> Soon<'a, bool> {
        Box::pin(std::future::ready(false))
    }
}

impl Clock for One {
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Millis(u64::try_from(since.as_millis()).unwrap_or(0))
    }
}

fn profile() -> Result<Profile, Box<dyn std::error::Error>> {
    const ROWS: usize = 1500;
    let mut seed = 3_u64;
    let mut unit = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f32 / 16_777_216.0
    };
    let data = (0..ROWS * 784).map(|_| unit()).collect();
    let inputs = [NamedValue { name: "X".into(), value: Value::F32(Tensor::new([ROWS, 784], data)?) }];
    let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    let learning = Learning {
        inputs: &inputs,
        labels: None,
        classes: &classes,
        scores: None,
        outlier_rate: 0.001,
        seed: 1,
    };
    Ok(Profile::learn(&learning)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap_or_default();
    let (mode, listen, upstream) = (next(), next(), next());
    let chat = mode == "chat";
    // One key asks for everything: its budget of new inputs would be spent within a second, and each exchange marked.
    let budget = "query-budget-spent";
    let ordinary =
        RulePolicy { flag: Some(1e6), throttle: Some(1e6), ..RulePolicy::for_rule(budget, Impact::Low) };
    let config = GuardConfig {
        rules: [(budget.to_owned(), ordinary)].into(),
        limit: Some(mantlet_guard::RateLimit { per_minute: 4e9, burst: 1_000_000_000 }),
        mode: if chat { Mode::Enforce } else { Mode::Observe },
        ..GuardConfig::default()
    };
    let profile = if mode == "rules" { Some(Arc::new(profile()?)) } else { None };
    let controls = Controls::new();
    if mode == "canary" {
        let (stable, candidate) = ("1".into(), "2".into());
        controls.set_split(Some(Split {
            rollout: "bench".into(),
            stable,
            candidate,
            share: 1_000,
            shadow: false,
        }));
    }
    let guard = Guard::new(config, profile, vec![], Arc::new(controls))?;
    let version =
        Upstream { version: "1".into(), url: format!("http://{upstream}"), weight: 1, ..Upstream::default() };
    let second = Upstream { version: "2".into(), weight: 0, ..version.clone() };
    let mut route = Route::new("model".into(), vec![version, second], Arc::new(guard));
    route.inspect = matches!(mode.as_str(), "rules" | "chat");
    if chat {
        route.kind = Kind::Text { prefix: String::new() };
    }
    let config =
        GatewayConfig { listen: listen.parse()?, anonymous: mode == "pass", ..GatewayConfig::default() };
    let one = Arc::new(One);
    let ports = Ports {
        keys: one.clone(),
        reviews: one.clone(),
        recorder: Arc::new(Nowhere),
        events: Arc::new(Nowhere),
        clock: one,
        limits: Arc::new(InMemory::default()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let _gateway = Gateway::start(config, vec![route], ports).await?;
        std::future::pending::<Result<(), Box<dyn std::error::Error>>>().await
    })
}
