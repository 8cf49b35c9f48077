//! A caller that must prove again who it is: what counts as proof, for whom, where, until when, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use mantlet_gateway::{Clock, Gateway, GatewayConfig, KeyLookup, Keys, Kind, Oidc, Route, Upstream};
use mantlet_guard::shared::InMemory;
use mantlet_guard::{Controls, Guard, GuardConfig, RulePolicy, StepUp};
use mantlet_vocab::{Impact, Millis};
use serde_json::json;

use crate::peer::{Peer, ok};
use crate::text::ask;
use crate::tokens::Key;
use crate::world::{Caller, Memory, Now, guard_config, ports};

const CHAT: &str = "/v1/chat/completions";
const STEP_UP: &str = "/mantlet/v1/step-up";
const TEXT: &str = "I am anna@post.example.org";

/// Keys `secret-<user>`; `second-<user>` is the same user's second one.
struct Two;

impl Keys for Two {
    fn lookup(&self, presented: &str, _: &str, _: Millis) -> KeyLookup {
        match presented.strip_prefix("secret-") {
            Some(id) => KeyLookup::Valid { id: id.into(), until: None },
            None => KeyLookup::Invalid,
        }
    }
    fn seconds(&self, id: &str, presented: &str, _: Millis) -> bool {
        presented.strip_prefix("second-") == Some(id)
    }
}

/// A clock that is put forward.
struct Later(AtomicU64);

impl Clock for Later {
    fn now(&self) -> Millis {
        Now.now().plus(self.0.load(Ordering::Relaxed))
    }
}

struct World {
    gateway: Gateway,
    clock: Arc<Later>,
    memory: Arc<Memory>,
    client: Caller,
}

impl World {
    /// Replicas share what is counted and the key of challenges, nothing else.
    async fn start(upstream: std::net::SocketAddr, limits: &Arc<InMemory>, oidc: Option<Oidc>) -> Self {
        let rule = RulePolicy {
            redact: None,
            step_up: Some(1.0),
            ..RulePolicy::for_rule("personal-data", Impact::High)
        };
        let rules = [("personal-data".to_owned(), rule)];
        let route = |model: &str, prefix: &str| {
            let config = GuardConfig { rules: rules.clone().into(), route: model.into(), ..guard_config() };
            let guard = Guard::new(config, None, vec![], Arc::new(Controls::new())).unwrap();
            let guard = guard.with_step_up(StepUp::new([9; 32], 60_000, 600_000));
            let version = Upstream {
                version: "1".into(),
                url: format!("http://{upstream}"),
                weight: 1,
                ..Upstream::default()
            };
            Route {
                kind: Kind::Text { prefix: prefix.into() },
                ..Route::new(model.into(), vec![version], Arc::new(guard))
            }
        };
        let memory = Arc::new(Memory::default());
        let clock = Arc::new(Later(AtomicU64::new(0)));
        let mut ports = ports(&memory);
        ports.keys = Arc::new(Two);
        ports.clock = clock.clone();
        ports.limits = limits.clone();
        let config = GatewayConfig { oidc, ..GatewayConfig::default() };
        let routes = vec![route("chat", ""), route("other", "/other")];
        let gateway = Gateway::start(config, routes, ports).await.unwrap();
        Self { gateway, clock, memory, client: Caller::new() }
    }

    async fn say(&self, bearer: &str, pass: &str) -> (StatusCode, Option<String>) {
        let bearer = format!("Bearer {bearer}");
        let headers = [("authorization", &*bearer), ("x-mantlet-pass", pass)];
        let headers = &headers[..if pass.is_empty() { 1 } else { 2 }];
        let got = self.client.send(self.gateway.address(), "POST", CHAT, headers, ask(TEXT, false)).await;
        let challenge = got.1.get("x-mantlet-challenge").map(|value| value.to_str().unwrap().to_owned());
        if got.0 == StatusCode::UNAUTHORIZED && challenge.is_some() {
            let words = got.1["www-authenticate"].to_str().unwrap();
            assert!(words.contains("insufficient_user_authentication"), "{words}");
        }
        (got.0, challenge)
    }

    async fn challenge(&self, bearer: &str) -> String {
        let (status, challenge) = self.say(bearer, "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        challenge.unwrap()
    }

    async fn answer(
        &self,
        bearer: &str,
        second: &str,
        challenge: &str,
        model: &str,
    ) -> (StatusCode, serde_json::Value) {
        let bearer = format!("Bearer {bearer}");
        let headers = [("authorization", &*bearer), ("x-mantlet-second-key", second)];
        let headers = &headers[..if second.is_empty() { 1 } else { 2 }];
        let body = json!({ "challenge": challenge, "model": model }).to_string();
        let got = self.client.send(self.gateway.address(), "POST", STEP_UP, headers, body).await;
        (got.0, serde_json::from_slice(&got.2).unwrap_or_default())
    }
}

fn answers() -> Box<crate::peer::Answers> {
    Box::new(|_| {
        ok(json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hm" }, "finish_reason": "stop" }]
        })
        .to_string())
    })
}

#[tokio::test]
async fn a_second_key_answers_once_for_its_own_caller_and_route_and_in_time() {
    let peer = Peer::start(answers()).await;
    let limits = Arc::new(InMemory::default());
    let world = World::start(peer.address, &limits, None).await;
    let replica = World::start(peer.address, &limits, None).await;
    let challenge = world.challenge("secret-ann").await;
    assert_eq!(world.memory.last().decision.action.word(), "step-up");
    assert_eq!(peer.count(), 0, "the model is not asked");
    let forbidden = StatusCode::FORBIDDEN;
    // The challenge alone proves nothing, nor does the same key, another's second key, or a forged challenge.
    for (bearer, second, challenge, model) in [
        ("secret-ann", "", challenge.clone(), "chat"),
        ("secret-ann", "secret-ann", challenge.clone(), "chat"),
        ("secret-ann", "second-eve", challenge.clone(), "chat"),
        ("secret-eve", "second-eve", challenge.clone(), "chat"),
        ("secret-ann", "second-ann", challenge.clone(), "other"),
        ("secret-ann", "second-ann", challenge.replace("su2.", "su2.1"), "chat"),
        ("secret-ann", "second-ann", "su2.1.2.3".into(), "chat"),
    ] {
        let got = world.answer(bearer, second, &challenge, model).await;
        assert_eq!(got.0, forbidden, "{bearer} {second} {challenge} {model}: {}", got.1);
    }
    let unknown = world.answer("nobody", "second-ann", &challenge, "chat").await;
    assert_eq!(unknown.0, StatusCode::UNAUTHORIZED);
    assert_eq!(world.say("secret-ann", "").await.0, StatusCode::UNAUTHORIZED);

    let (status, granted) = world.answer("secret-ann", "second-ann", &challenge, "chat").await;
    assert_eq!(status, StatusCode::OK, "{granted}");
    assert_eq!(world.say("secret-ann", "").await.0, StatusCode::OK);
    assert_eq!(world.memory.last().decision.action.word(), "flag", "what was seen stays seen");
    assert_eq!(world.say("secret-eve", "").await.0, StatusCode::UNAUTHORIZED);
    // Answered once, on whichever replica.
    for world in [&world, &replica] {
        let again = world.answer("secret-ann", "second-ann", &challenge, "chat").await;
        assert_eq!(again.0, forbidden);
        assert!(again.1.to_string().contains("answered before"), "{}", again.1);
    }
    // The pass is the caller's own, on every replica, and the upstream never sees it.
    let pass = granted["pass"].as_str().unwrap();
    assert_eq!(replica.say("secret-eve", pass).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(replica.say("secret-ann", "sp2.1.9999999999999.aa").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(replica.say("secret-ann", pass).await.0, StatusCode::OK);
    assert!(!peer.last().headers.contains_key("x-mantlet-pass"));
    // It ends, and so does the time to answer.
    world.clock.0.store(600_001, Ordering::Relaxed);
    let late = world.challenge("secret-ann").await;
    assert_eq!(world.say("secret-ann", pass).await.0, StatusCode::UNAUTHORIZED);
    world.clock.0.store(600_001 + 61_000, Ordering::Relaxed);
    let over = world.answer("secret-ann", "second-ann", &late, "chat").await;
    assert!(over.0 == forbidden && over.1.to_string().contains("too old"), "{}", over.1);
    let text = world.client.send(world.gateway.admin_address(), "GET", "/metrics", &[], "").await.2;
    let text = String::from_utf8(text.to_vec()).unwrap();
    for (how, count) in [("answered", 1), ("again", 1), ("expired", 1), ("not-renewed", 3), ("forged", 4)] {
        let line = format!("mantlet_gateway_step_ups_total{{how=\"{how}\"}} {count}");
        assert!(text.contains(&line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn a_token_made_before_the_challenge_does_not_answer_it() {
    let key = Key::new(1, "a");
    let public = key.public();
    let provider = Peer::start(Box::new(move |asked| {
        let issuer = format!("http://{}", asked.headers["host"].to_str().unwrap());
        match asked.path.as_str() {
            "/keys" => ok(json!({ "keys": [public] }).to_string()),
            _ => ok(json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }).to_string()),
        }
    }))
    .await;
    let issuer = format!("http://{}", provider.address);
    let oidc = Oidc {
        issuer: issuer.clone(),
        audience: "scoring".into(),
        caller: "sub".into(),
        models: None,
        user: None,
        tenant: None,
        leeway_s: 30,
    };
    let peer = Peer::start(answers()).await;
    let world = World::start(peer.address, &Arc::default(), Some(oidc)).await;
    let token = |at: u64| {
        let now = Now.now().0 / 1_000;
        key.claims(
            &json!({ "iss": issuer, "aud": "scoring", "sub": "ann", "exp": now + 900, "auth_time": at }),
        )
    };
    let old = token(Now.now().0 / 1_000 - 5);
    // Until the provider's keys are read.
    let known = async {
        while world.say(&old, "").await.0 == StatusCode::SERVICE_UNAVAILABLE {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), known).await.unwrap();
    let challenge = world.challenge(&old).await;
    let stale = world.answer(&old, "second-ann", &challenge, "chat").await;
    assert!(stale.0 == StatusCode::FORBIDDEN && stale.1.to_string().contains("not authenticated again"));
    // A minute later she signs in again.
    world.clock.0.store(30_000, Ordering::Relaxed);
    let fresh = token(Now.now().0 / 1_000 + 20);
    assert_eq!(world.answer(&fresh, "", &challenge, "chat").await.0, StatusCode::OK);
    assert_eq!(world.say(&old, "").await.0, StatusCode::OK, "it is the caller that stepped up");
    assert_eq!(world.answer(&fresh, "", &challenge, "chat").await.0, StatusCode::FORBIDDEN);
}
