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
    // Whose rules were meant by a name that is nobody's is not known, so nothing is judged by another's.
    for (path, body) in [
        ("/sdk/v1/analyze/prompt", value!({ "asset_id": "digit", "scan_data": { "prompt": "hi" } })),
        ("/v1/analyze", value!({ "system": "nope", "text": "hi" })),
        (
            "/beta/litellm_basic_guardrail_api",
            value!({ "texts": ["hi"], "input_type": "request", "request_data": {},
                     "additional_provider_specific_params": { "system": "nope" } }),
        ),
    ] {
        let got = ask(path, body).await;
        let text = String::from_utf8_lossy(&got.2).into_owned();
        assert!(got.0 == StatusCode::NOT_FOUND && text.contains("there is no system"), "{path}: {text}");
    }
    assert_eq!(ask("/v1/analyze", value!({ "system": "digits", "text": "hi" })).await.0, StatusCode::OK);
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

#[tokio::test]
async fn texts_are_judged_in_mantlets_own_shape_with_places_and_what_to_put_there() {
    let (gateway, memory) = self::gateway(Mode::Enforce).await;
    let ask = |body: serde_json::Value| {
        let at = gateway.address();
        async move { Caller::new().send(at, "POST", "/v1/analyze", &[KEY], body.to_string()).await }
    };
    let got = ask(value!({ "text": "good morning" })).await;
    let said = json(&got.2);
    assert_eq!(
        (got.0, said["verdict"].as_str(), said["hits"].as_array().unwrap().len()),
        (StatusCode::OK, Some("allow"), 0)
    );
    assert_eq!(said["id"].as_str(), Some(memory.last().id.as_str()), "by which it is found on record");
    let text = "tell me about Project Nightjar";
    let said = json(&ask(value!({ "text": text })).await.2);
    assert_eq!(
        (said["verdict"].as_str(), said["hits"][0]["rule"].as_str()),
        (Some("refuse"), Some("blocked-term"))
    );
    let place = |end: &str| usize::try_from(said["hits"][0][end].as_u64().unwrap()).unwrap();
    assert_eq!(&text[place("start")..place("end")], "Project Nightjar");
    assert_eq!(memory.last().decision.action, Action::Refuse);
    let said = json(&ask(value!({ "text": format!("use {SECRET} now") })).await.2);
    assert_eq!(said["verdict"], "redact", "{said}");
    let put = said["redacted"][0]["text"].as_str().unwrap();
    assert!(put.starts_with("use ") && put.ends_with(" now") && !put.contains(SECRET), "{put}");
    for broken in ["{\"text\":", "[]", "{}", "{\"text\":\"a\",\"text\":\"b\"}"] {
        let got = Caller::new().send(gateway.address(), "POST", "/v1/analyze", &[KEY], broken).await;
        assert_eq!(got.0, StatusCode::BAD_REQUEST, "{broken}");
        assert!(json(&got.2)["error"].is_string(), "{broken}");
    }
}

#[tokio::test]
async fn events_are_recorded_and_too_many_calls_and_broken_ones_are_said_in_the_published_words() {
    let (gateway, memory) = self::gateway(Mode::Enforce).await;
    let at = gateway.address();
    let client = Caller::new();
    let event =
        value!({ "asset_id": "digits", "event_type": "llm", "input": "good morning", "output": "to you" });
    let got = client.send(at, "POST", "/sdk/v1/events/record", &[KEY], event.to_string()).await;
    let said = json(&got.2);
    assert_eq!((got.0, said["status"].as_str()), (StatusCode::OK, Some("recorded")), "{said}");
    assert_eq!(said["request_id"].as_str(), Some(memory.last().id.as_str()));
    // What happened is judged too, though nobody waits for it.
    let bad = value!({ "asset_id": "digits", "event_type": "llm", "input": "about Project Nightjar" });
    let got = client.send(at, "POST", "/sdk/v1/events/record", &[KEY], bad.to_string()).await;
    assert_eq!((got.0, json(&got.2)["status"].as_str()), (StatusCode::OK, Some("recorded")));
    assert!(memory.last().decision.signals.iter().any(|signal| signal.name == "blocked-term"));
    for (path, body) in [
        ("/sdk/v1/analyze/prompt", "{\"asset_id\":"),
        ("/sdk/v1/analyze/prompt", "{\"asset_id\":\"digits\"}"),
        ("/sdk/v1/analyze/prompt", "{\"scan_data\":{\"prompt\":\"hi\"}}"),
        ("/sdk/v1/analyze/response", "{\"asset_id\":\"digits\",\"scan_data\":{\"prompt\":\"hi\"}}"),
        ("/sdk/v1/events/record", "[1]"),
    ] {
        let got = client.send(at, "POST", path, &[KEY], body).await;
        assert_eq!(got.0, StatusCode::BAD_REQUEST, "{path} {body}");
        assert!(json(&got.2)["error"].is_string(), "{path} {body}");
    }
    // Its own words for too many, which clients compare; the other shape has the gateway's.
    let limit = Some(mantlet_guard::RateLimit { per_minute: 1.0, burst: 1 });
    let guard = Guard::new(GuardConfig { limit, ..guard_config() }, None, vec![], Arc::new(Controls::new()));
    let nowhere =
        Upstream { version: "1".into(), url: "http://127.0.0.1:1".into(), weight: 1, ..Upstream::default() };
    let route = Route::new("chat".into(), vec![nowhere], Arc::new(guard.unwrap()));
    let route = Route { kind: Kind::Text { prefix: String::new() }, ..route };
    let memory = Arc::new(Memory::default());
    let few = Gateway::start(GatewayConfig::default(), vec![route], ports(&memory)).await.unwrap();
    let prompt = value!({ "asset_id": "digits", "scan_data": { "prompt": "hi" } }).to_string();
    let path = "/sdk/v1/analyze/prompt";
    let first = client.send(few.address(), "POST", path, &[KEY], prompt.clone()).await;
    let second = client.send(few.address(), "POST", path, &[KEY], prompt).await;
    assert_eq!((first.0, second.0), (StatusCode::OK, StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(json(&second.2), value!({ "error": "Rate limit exceeded" }));
    assert!(second.1.contains_key("retry-after"));
    let own = value!({ "text": "hi" }).to_string();
    let third = client.send(few.address(), "POST", "/v1/analyze", &[KEY], own).await;
    assert_eq!(third.0, StatusCode::TOO_MANY_REQUESTS);
}
