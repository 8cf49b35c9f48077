//! Limits on tokens, cost, bytes and places: reserved before the model is asked, put right after, whoever's they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use mantlet_gateway::{Belongs, Gateway, GatewayConfig, KeyLookup, Keys, Kind, Route, Upstream};
use mantlet_guard::shared::{Ask, InMemory, LimitRule, Per, Price, SharedLimits as _, What};
use mantlet_guard::{Controls, Guard, GuardConfig};
use mantlet_vocab::{Action, Millis};

use crate::peer::{Peer, ok};
use crate::text::{Streaming, ask, events};
use crate::world::{Caller, Got, Memory, guard_config, ports};

const CHAT: &str = "/v1/chat/completions";

/// Keys `secret-<user>-<n>`, which belong to their user, all of one tenant.
struct Owned;

impl Keys for Owned {
    fn lookup(&self, presented: &str, _: &str, _: Millis) -> KeyLookup {
        match presented.strip_prefix("secret-") {
            Some(id) => KeyLookup::Valid { id: id.into(), until: None },
            None => KeyLookup::Invalid,
        }
    }
    fn belongs(&self, id: &str) -> Belongs {
        Belongs { user: id.split_once('-').map(|(user, _)| user.into()), tenant: Some("acme".into()) }
    }
}

struct Limited {
    gateway: Gateway,
    memory: Arc<Memory>,
    limits: Arc<InMemory>,
    client: Caller,
}

impl Limited {
    async fn start(upstream: std::net::SocketAddr, config: GuardConfig) -> Self {
        let version = Upstream {
            version: "1".into(),
            url: format!("http://{upstream}"),
            weight: 1,
            ..Upstream::default()
        };
        let guard = Guard::new(config, None, vec![], Arc::new(Controls::new())).unwrap();
        let route = Route {
            kind: Kind::Text { prefix: String::new() },
            ..Route::new("chat".into(), vec![version], Arc::new(guard))
        };
        let memory = Arc::new(Memory::default());
        let limits = Arc::new(InMemory::default());
        let mut ports = ports(&memory);
        ports.keys = Arc::new(Owned);
        ports.limits = limits.clone();
        let gateway = Gateway::start(GatewayConfig::default(), vec![route], ports).await.unwrap();
        Self { gateway, memory, limits, client: Caller::new() }
    }

    async fn say(&self, key: &str, body: impl Into<bytes::Bytes>) -> Got {
        let key = format!("Bearer secret-{key}");
        self.client.send(self.gateway.address(), "POST", CHAT, &[("authorization", &key)], body.into()).await
    }

    /// What a bucket holds, to a unit: by how much can still be taken of it.
    fn level(&self, bucket: &str, rule: LimitRule) -> f64 {
        let allowance = mantlet_guard::shared::Allowance::Rate {
            per_minute: rule.most,
            burst: rule.burst.unwrap_or(rule.most),
        };
        let ask = |amount| Ask { bucket: bucket.into(), allowance, amount };
        let (mut low, mut high) = (-1e7, 1e7);
        for _ in 0..40 {
            let middle: f64 = f64::midpoint(low, high);
            if self.limits.take_at(&[ask(middle)], std::time::Instant::now()).is_ok() {
                self.limits.charge(&[ask(-middle)]);
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// A limit that hardly fills while a test runs.
const fn rule(what: What, per: Per, burst: f64) -> LimitRule {
    LimitRule { what, per, most: 0.6, burst: Some(burst) }
}

fn config(limits: Vec<LimitRule>) -> GuardConfig {
    GuardConfig { limits, reply_tokens: 100, ..guard_config() }
}

fn bounded(text: &str, most: u64) -> String {
    serde_json::json!({ "model": "m", "max_tokens": most, "messages": [{ "role": "user", "content": text }] })
        .to_string()
}

fn counted(input: u64, output: u64) -> String {
    serde_json::json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "well" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output }
    })
    .to_string()
}

#[tokio::test]
async fn tokens_are_reserved_before_and_counted_after() {
    let peer = Peer::start(Box::new(|_| ok(counted(30, 10)))).await;
    let tokens = rule(What::Tokens, Per::User, 200.0);
    let world = Limited::start(peer.address, config(vec![tokens])).await;
    let level = || world.level("digits/tokens/user/ann", tokens);
    // 100 are reserved for the reply, 40 are used.
    for used in 1..=2 {
        assert_eq!(world.say("ann-1", ask("hello", false)).await.0, StatusCode::OK);
        let left = level();
        assert!((left - (200.0 - 40.0 * f64::from(used))).abs() < 1.0, "{left}");
    }
    // 120 are left: another key of the same user shares them, and a reply of 150 is too much to begin with.
    let over = world.say("ann-2", bounded("hello", 150)).await;
    assert_eq!(over.0, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = over.1["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(wait > 600, "at 0.6 a minute: {wait}");
    let said = String::from_utf8(over.2.to_vec()).unwrap();
    assert!(said.contains("over the limit of tokens"), "{said}");
    assert_eq!(world.memory.last().decision.action.word(), "throttle");
    assert_eq!(peer.count(), 2, "the model was not asked");
    assert!((level() - 120.0).abs() < 1.0, "what was refused costs nothing");
    // Another user has a bucket of its own.
    assert_eq!(world.say("bob-1", bounded("hello", 150)).await.0, StatusCode::OK);
    // More than a bucket holds is let through when it is full, and owed.
    assert_eq!(world.say("cyd-1", bounded("hello", 100_000)).await.0, StatusCode::OK);
    let text = world.client.send(world.gateway.admin_address(), "GET", "/metrics", &[], "").await.2;
    assert!(String::from_utf8(text.to_vec()).unwrap().contains("direction=\"output\"} 40"));
}

#[tokio::test]
async fn a_reply_that_used_more_is_owed_and_a_failed_one_costs_nothing() {
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let peer = Peer::start(Box::new(move |_| {
        let mut answer = ok(counted(300, 200));
        if failing.load(Ordering::Relaxed) {
            answer = ok(r#"{"error":{"message":"no","type":"server_error","param":null,"code":null}}"#);
            *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        answer
    }))
    .await;
    let tokens = rule(What::Tokens, Per::Key, 200.0);
    let world = Limited::start(peer.address, config(vec![tokens])).await;
    let level = || world.level("digits/tokens/key/ann-1", tokens);
    assert_eq!(world.say("ann-1", ask("hello", false)).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert!((level() - 200.0).abs() < 1.0, "{}", level());
    fails.store(false, Ordering::Relaxed);
    assert_eq!(world.say("ann-1", ask("hello", false)).await.0, StatusCode::OK);
    let over = world.say("ann-1", bounded("hi", 1)).await;
    assert_eq!(over.0, StatusCode::TOO_MANY_REQUESTS, "300 are owed");
    let wait: u64 = over.1["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(wait, 3_600, "an hour is the longest that is named");
}

#[tokio::test]
async fn streams_are_counted_with_and_without_a_count_of_the_upstreams() {
    let streaming = Streaming::start().await;
    let tokens = rule(What::Tokens, Per::Tenant, 1_000.0);
    let world = Limited::start(streaming.address, config(vec![tokens])).await;
    let level = || world.level("digits/tokens/tenant/acme", tokens);
    let answer = streaming.answer();
    answer.send(events(&["Hello", " there", " you"])).await.unwrap();
    drop(answer);
    assert_eq!(world.say("ann-1", ask("hello", true)).await.0, StatusCode::OK);
    settled(&world, 1).await;
    let estimated = 1_000.0 - level();
    assert!((8.0..20.0).contains(&estimated), "{estimated}: a request and a reply of a few words");
    let answer = streaming.answer();
    let mut stream = String::from_utf8(events(&["Hello"])).unwrap();
    let usage = serde_json::json!({
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
        "usage": { "prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100 }
    });
    stream = stream.replace("data: [DONE]", &format!("data: {usage}\n\ndata: [DONE]"));
    answer.send(stream.into_bytes()).await.unwrap();
    drop(answer);
    assert_eq!(world.say("bob-7", ask("hello", true)).await.0, StatusCode::OK);
    settled(&world, 2).await;
    let both = 1_000.0 - level();
    assert!((both - estimated - 100.0).abs() < 1.5, "{both} {estimated}");
}

/// Waits until so many exchanges are over.
async fn settled(world: &Limited, count: usize) {
    let over = async {
        while world.memory.exchanges.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), over).await.unwrap();
}

#[tokio::test]
async fn cost_follows_the_model_that_is_named() {
    let peer = Peer::start(Box::new(|_| ok(counted(1_000, 1_000)))).await;
    // A dollar, in millionths.
    let cost = rule(What::Cost, Per::Tenant, 1_000_000.0);
    let dear = Price { input: 10.0, output: 90.0, ..Price::default() };
    let mut config = config(vec![cost]);
    config.prices =
        [("m".to_owned(), dear), ("default".to_owned(), Price { request: 0.5, ..Price::default() })].into();
    let world = Limited::start(peer.address, config).await;
    let spent = || 1_000_000.0 - world.level("digits/cost/tenant/acme", cost);
    assert_eq!(world.say("ann-1", ask("hello", false)).await.0, StatusCode::OK);
    assert!((spent() - 100_000.0).abs() < 10.0, "{}", spent());
    let other = ask("hello", false).replace("\"m\"", "\"other\"");
    assert_eq!(world.say("bob-1", other.clone()).await.0, StatusCode::OK);
    assert!((spent() - 600_000.0).abs() < 10.0, "{}", spent());
    let over = world.say("bob-1", other).await;
    assert_eq!(over.0, StatusCode::TOO_MANY_REQUESTS);
    let text = world.client.send(world.gateway.admin_address(), "GET", "/metrics", &[], "").await.2;
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains("mantlet_gateway_cost_millionths_total{route=\"digits\"} 600000"), "{text}");
}

#[tokio::test]
async fn a_place_is_held_until_the_stream_is_over_and_bytes_count_before() {
    let streaming = Streaming::start().await;
    let places = LimitRule { what: What::Concurrency, per: Per::Key, most: 1.0, burst: None };
    let bytes = rule(What::Bytes, Per::Route, 1_000.0);
    let world = Arc::new(Limited::start(streaming.address, config(vec![places, bytes])).await);
    let answer = streaming.answer();
    let first = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.say("ann-1", ask("hello", true)).await }
    });
    answer.send(events(&["Hello"])).await.unwrap();
    let refused = async {
        while world.say("ann-1", ask("hello", true)).await.0 != StatusCode::TOO_MANY_REQUESTS {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    drop(answer);
    assert_eq!(first.await.unwrap().0, StatusCode::OK);
    let answer = streaming.answer();
    answer.send(events(&["Hello"])).await.unwrap();
    drop(answer);
    assert_eq!(world.say("ann-1", ask("hello", true)).await.0, StatusCode::OK, "the place is free again");
    let over = world.say("bob-1", ask(&"x".repeat(1_000), true)).await;
    assert_eq!(over.0, StatusCode::TOO_MANY_REQUESTS);
    assert!(String::from_utf8(over.2.to_vec()).unwrap().contains("over the limit of bytes"));
    assert!(matches!(world.memory.last().decision.action, Action::Throttle { .. }));
}
