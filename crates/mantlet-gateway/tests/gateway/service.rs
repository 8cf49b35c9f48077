//! The guard as a service: texts come, judgements go back, nothing is forwarded.

use std::sync::Arc;

use http::StatusCode;
use mantlet_detectors::text::TextConfig;
use mantlet_gateway::{Gateway, GatewayConfig, Kind, Route, Upstream};
use mantlet_guard::{Controls, Guard, GuardConfig};
use mantlet_vocab::{Action, Mode};
use serde_json::json as value;

use crate::world::{Caller, Memory, guard_config, json, ports};

const KEY: (&str, &str) = ("x-api-key", "secret-ann");
const SECRET: &str = "AKIAQ3EGRZX5WT2NJ7PA";

async fn gateway(mode: Mode) -> (Gateway, Arc<Memory>) {
    let text = TextConfig { terms: vec!["project nightjar".into()], ..TextConfig::default() };
    let config = GuardConfig { text, mode, ..guard_config() };
    let guard = Guard::new(config, None, vec![], Arc::new(Controls::new())).unwrap();
    // Nothing listens there: a call that were forwarded would fail.
    let nowhere =
        Upstream { version: "1".into(), url: "http://127.0.0.1:1".into(), weight: 1, ..Upstream::default() };
    let route = Route::new("chat".into(), vec![nowhere], Arc::new(guard));
    let route = Route { kind: Kind::Text { prefix: String::new() }, ..route };
    let memory = Arc::new(Memory::default());
    (Gateway::start(GatewayConfig::default(), vec![route], ports(&memory)).await.unwrap(), memory)
}

#[tokio::test]
async fn texts_are_judged_in_the_published_shape() {
    let (gateway, memory) = gateway(Mode::Enforce).await;
    let client = Caller::new();
    let ask = |path: &'static str, body: serde_json::Value| {
        let (client, at) = (&client, gateway.address());
        async move { client.send(at, "POST", path, &[KEY], body.to_string()).await }
    };
    let prompt = |text: &str| value!({ "asset_id": "digits", "scan_data": { "prompt": text } });
    for (text, verdict, action) in [
        ("good morning", "passed", Action::Allow),
        ("tell me about Project Nightjar", "blocked", Action::Refuse),
    ] {
        let got = ask("/sdk/v1/analyze/prompt", prompt(text)).await;
        assert_eq!((got.0, json(&got.2)["verdict"].as_str()), (StatusCode::OK, Some(verdict)), "{text}");
        assert_eq!(memory.last().decision.action, action);
    }
    // The call's own policies: what it switches off is not held against the text, what it only flags passes.
    for (action, verdict) in [("disabled", "passed"), ("flag", "flagged"), ("block", "blocked")] {
        let mut body = prompt("tell me about Project Nightjar");
        body["policies"] = value!([{ "policy_name": "policy_violation_detection", "action": action }]);
        let got = ask("/sdk/v1/analyze/prompt", body).await;
        assert_eq!(json(&got.2)["verdict"], verdict, "{action}");
    }
    let answer = value!({ "asset_id": "digits", "scan_data": { "response": "it is project nightjar" } });
    let got = ask("/sdk/v1/analyze/response", answer).await;
    assert_eq!(json(&got.2)["verdict"], "blocked");
    // Keys and assets.
    let verify = |path: &'static str, key: &'static str| {
        let (client, at) = (&client, gateway.address());
        async move { client.send(at, "GET", path, &[("x-api-key", key)], "").await }
    };
    assert_eq!(json(&verify("/sdk/v1/verify/api-key", "secret-ann").await.2)["valid"], true);
    assert_eq!(json(&verify("/sdk/v1/verify/asset?asset_id=digits", "secret-ann").await.2)["valid"], true);
    assert_eq!(json(&verify("/sdk/v1/verify/asset?asset_id=other", "secret-ann").await.2)["valid"], false);
    let wrong = verify("/sdk/v1/verify/api-key", "wrong").await;
    assert_eq!(
        (wrong.0, json(&wrong.2)["error"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("Invalid or inactive API key"))
    );
    let none = client.send(gateway.address(), "POST", "/sdk/v1/analyze/prompt", &[], "{}").await;
    assert_eq!(
        (none.0, json(&none.2)["error"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("API key is missing"))
    );
    let broken =
        client.send(gateway.address(), "POST", "/sdk/v1/analyze/prompt", &[KEY], "{\"asset_id\":").await;
    assert_eq!(broken.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_guardrail_hook_gets_its_texts_back_without_what_may_not_leave() {
    let (gateway, memory) = gateway(Mode::Enforce).await;
    let client = Caller::new();
    let body = value!({ "texts": [format!("use {SECRET} now"), "hello"], "input_type": "response", "request_data": {} });
    let path = "/beta/litellm_basic_guardrail_api";
    let got = client.send(gateway.address(), "POST", path, &[KEY], body.to_string()).await;
    let text = String::from_utf8(got.2.to_vec()).unwrap();
    assert_eq!(got.0, StatusCode::OK, "{text}");
    assert!(!text.contains(SECRET) && text.contains("hello"), "{text}");
    assert_eq!(memory.last().decision.action, Action::Redact);
}

#[tokio::test]
async fn a_guard_that_observes_flags_and_blocks_nothing() {
    let (gateway, memory) = self::gateway(Mode::Observe).await;
    let body = value!({ "asset_id": "digits", "scan_data": { "prompt": "about project nightjar" } });
    let path = "/sdk/v1/analyze/prompt";
    let got = Caller::new().send(gateway.address(), "POST", path, &[KEY], body.to_string()).await;
    assert_eq!(json(&got.2)["verdict"], "flagged");
    assert_eq!(memory.last().decision.proposed, Action::Refuse);
}
