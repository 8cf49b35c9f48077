//! The guard as a service: what other programs send, and what they read in the answer.

use mantlet_vocab::Kind;
use mantlet_wire::Limits;
use mantlet_wire::service::{
    Examine, Hit, Judgement, Outcome, PolicyAction, Service, policy_of, read_service, refuse_service,
    service, write_service, write_valid,
};
use mantlet_wire::text::Edit;
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(service: Service, body: &Value) -> Examine {
    read_service(service, body.to_string().as_bytes(), &Limits::default()).unwrap()
}

fn judged(outcome: Outcome, edits: Vec<Edit>) -> Judgement {
    let hits = match outcome {
        Outcome::Passed => Vec::new(),
        outcome => vec![Hit {
            rule: "text-secret".into(),
            pointer: "/texts/0".into(),
            range: 3..7,
            score: 0.5,
            outcome,
        }],
    };
    Judgement { outcome, reason: "a secret".into(), id: "e1".into(), hits, edits }
}

fn written(service: Service, examine: &Examine, judgement: &Judgement) -> Value {
    let answer = write_service(service, examine, judgement);
    assert_eq!(answer.status, 200);
    serde_json::from_str(&answer.body).unwrap()
}

/// As LiteLLM 1.110 sends it: every member is there, most are `null`.
fn litellm() -> Value {
    json!({
        "input_type": "request", "litellm_call_id": "c1", "litellm_trace_id": "t1",
        "structured_messages": [{ "role": "system", "content": "sys" }, { "role": "user", "content": "my key is k" }],
        "images": null,
        "tools": [{ "type": "function", "function": { "name": "ls", "description": "d" } }],
        "texts": ["my key is k", ""],
        "request_data": { "user_api_key_hash": "h", "user_api_key_end_user_id": null, "user_api_key_user_id": "u" },
        "request_headers": { "user-agent": "x" }, "litellm_version": "1.110.2",
        "additional_provider_specific_params": { "system": "bank" }, "tool_calls": null, "model": "m",
    })
}

#[test]
fn litellms_hook_is_read_and_answered() {
    let examine = read(Service::LiteLlm, &litellm());
    assert!(!examine.reply);
    assert_eq!((examine.user.as_deref(), examine.system.as_deref()), (Some("u"), Some("bank")));
    assert_eq!((examine.session.as_deref(), examine.model.as_deref()), (Some("t1"), Some("m")));
    assert_eq!(examine.tools, ["ls"]);
    let pieces: Vec<_> =
        examine.pieces.iter().map(|p| (p.kind, p.pointer.as_str(), p.text.as_str())).collect();
    for piece in [
        (Kind::System, "/structured_messages/0/content", "sys"),
        (Kind::User, "/structured_messages/1/content", "my key is k"),
        (Kind::User, "/texts/0", "my key is k"),
        (Kind::ToolDefinition, "/tools/0/function/description", "d"),
    ] {
        assert!(pieces.contains(&piece), "{piece:?} in {pieces:?}");
    }
    assert!(!pieces.iter().any(|(_, _, text)| text.contains("1.110") || *text == "h"));
    let passed = written(Service::LiteLlm, &examine, &judged(Outcome::Passed, Vec::new()));
    assert_eq!(passed, json!({ "action": "NONE" }));
    let blocked = written(Service::LiteLlm, &examine, &judged(Outcome::Blocked, Vec::new()));
    assert_eq!(blocked, json!({ "action": "BLOCKED", "blocked_reason": "a secret" }));
    let edit = |pointer: &str| Edit { pointer: pointer.into(), text: "my key is [1]".into() };
    let edits = vec![edit("/texts/0"), edit("/structured_messages/1/content")];
    let redacted = written(Service::LiteLlm, &examine, &judged(Outcome::Redacted, edits));
    assert_eq!(redacted, json!({ "action": "GUARDRAIL_INTERVENED", "texts": ["my key is [1]", ""] }));
    // What cannot be taken out is not let through.
    let edits = vec![edit("/structured_messages/0/content")];
    let stopped = written(Service::LiteLlm, &examine, &judged(Outcome::Redacted, edits));
    assert_eq!(stopped["action"], "BLOCKED");

    let mut reply = litellm();
    reply["input_type"] = json!("response");
    let examine = read(Service::LiteLlm, &reply);
    assert!(examine.reply);
    assert!(examine.pieces.iter().any(|p| p.pointer == "/texts/0" && p.kind == Kind::Assistant));
}

#[test]
fn the_argus_shape_is_read_and_answered() {
    // As LiteLLM's `guardrail: repelloai` sends it.
    let examine =
        read(Service::ArgusPrompt, &json!({ "asset_id": "bank", "scan_data": { "prompt": "my key is k" } }));
    assert_eq!((examine.system.as_deref(), examine.reply, examine.save), (Some("bank"), false, true));
    assert_eq!(examine.pieces.len(), 1);
    assert_eq!((examine.pieces[0].kind, &*examine.pieces[0].pointer), (Kind::User, "/scan_data/prompt"));
    // With everything the published shape has.
    let examine = read(
        Service::ArgusResponse,
        &json!({
            "asset_id": "bank", "scan_data": { "response": "r" }, "session_id": "s", "user_id": "u", "save": false,
            "metadata": { "note": "not for judging" },
            "policies": [
                { "policy_name": "secrets_keys_detection", "action": "flag", "patterns": [{ "name": "n", "pattern": "p" }] },
                { "action": "disabled", "policy_name": "pii_detection" },
            ],
        }),
    );
    assert!(examine.reply && !examine.save);
    assert_eq!(examine.pieces.len(), 1);
    assert_eq!(examine.pieces[0].kind, Kind::Assistant);
    assert_eq!(examine.action_for("text-secret"), Some(PolicyAction::Flag));
    assert_eq!(examine.action_for("text-personal-data"), Some(PolicyAction::Disabled));
    assert_eq!(examine.action_for("text-injection"), None);
    assert!(examine.policies[0].details.contains("\"pattern\":\"p\""));
    let body = written(Service::ArgusResponse, &examine, &judged(Outcome::Blocked, Vec::new()));
    assert_eq!(body["verdict"], "blocked");
    assert_eq!(body["request_id"], "e1");
    assert_eq!(body["policies_violated"][0]["policy_name"], "secrets_keys_detection");
    assert_eq!(body["policies_violated"][0]["action_taken"], "block");
    assert_eq!(
        body["policies_applied"][1],
        json!({ "policy_name": "pii_detection", "action": "disabled", "metadata": {} })
    );
    for (outcome, verdict) in [(Outcome::Passed, "passed"), (Outcome::Flagged, "flagged")] {
        let body = written(Service::ArgusResponse, &examine, &judged(outcome, Vec::new()));
        assert_eq!(body["verdict"], verdict);
    }
    // A text to be redacted cannot be handed back.
    let body = written(Service::ArgusResponse, &examine, &judged(Outcome::Redacted, Vec::new()));
    assert_eq!(body["verdict"], "blocked");
    let event = read(
        Service::ArgusEvent,
        &json!({ "asset_id": "a", "events": [{ "node_type": "TOOL", "input": { "q": "text" } }] }),
    );
    assert!(event.pieces.iter().any(|piece| piece.text == "text"));
    assert_eq!(write_valid(false).body, r#"{"valid":false}"#);
    assert_eq!(
        refuse_service(Service::ArgusPrompt, 401, "the key is missing", "").body,
        r#"{"error":"API key is missing"}"#
    );
    assert_eq!(
        refuse_service(Service::ArgusPrompt, 401, "no", "").body,
        r#"{"error":"Invalid or inactive API key"}"#
    );
    assert_eq!(
        refuse_service(Service::ArgusPrompt, 429, "no", "").body,
        r#"{"error":"Rate limit exceeded"}"#
    );
}

#[test]
fn the_own_shape_is_read_and_answered() {
    let examine = read(
        Service::Analyze,
        &json!({
            "direction": "reply", "system": "bank", "text": "answer", "documents": ["doc"], "tool_results": [{ "x": "out" }],
            "messages": [{ "role": "user", "content": "q" }], "tools": [{ "name": "ls" }], "note": "n",
        }),
    );
    let pieces: Vec<_> = examine.pieces.iter().map(|p| (p.kind, p.text.as_str())).collect();
    for piece in [
        (Kind::Assistant, "answer"),
        (Kind::Document, "doc"),
        (Kind::ToolResult, "out"),
        (Kind::User, "q"),
        (Kind::ToolDefinition, "ls"),
        (Kind::Unknown, "n"),
        (Kind::Unknown, "note"),
    ] {
        assert!(pieces.contains(&piece), "{piece:?} in {pieces:?}");
    }
    let edits = vec![Edit { pointer: "/text".into(), text: "[1]".into() }];
    let body = written(Service::Analyze, &examine, &judged(Outcome::Redacted, edits));
    assert_eq!(body["verdict"], "redact");
    assert_eq!(body["redacted"][0], json!({ "pointer": "/text", "text": "[1]" }));
    assert_eq!(body["hits"][0]["rule"], "text-secret");
}

#[test]
fn malformed_calls_have_a_name() {
    for (service, body, name) in [
        (Service::Analyze, r#"{}"#, "wire-missing-field"),
        (Service::Analyze, r#"{"text":"a","text":"b"}"#, "wire-duplicate-key"),
        (Service::Analyze, r#"{"text":"a","direction":"sideways"}"#, "wire-syntax"),
        (Service::LiteLlm, r#"{"texts":["a"]}"#, "wire-missing-field"),
        (Service::LiteLlm, r#"{"input_type":"request","texts":[1]}"#, "wire-syntax"),
        (Service::ArgusPrompt, r#"{"scan_data":{"prompt":"a"}}"#, "wire-missing-field"),
        (Service::ArgusPrompt, r#"{"asset_id":"a","scan_data":{"response":"a"}}"#, "wire-missing-field"),
        (Service::ArgusPrompt, r#"{"asset_id":"a","scan_data":{"prompt":1}}"#, "wire-missing-field"),
        (
            Service::ArgusPrompt,
            r#"{"asset_id":"a","scan_data":{"prompt":"a"},"policies":[{"policy_name":"p","action":"maybe"}]}"#,
            "wire-syntax",
        ),
        (Service::ArgusVerifyKey, "{}", "wire-trailing-data"),
    ] {
        let defect = read_service(service, body.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(defect.name(), name, "{body}");
    }
}

#[test]
fn paths_and_policies_have_one_meaning() {
    assert_eq!(service("POST", "/sdk/v1/analyze/prompt"), Some(Service::ArgusPrompt));
    assert_eq!(service("GET", "/sdk/v1/analyze/prompt"), None);
    assert_eq!(service("POST", "/sdk/v1/analyze/prompt/"), None);
    assert_eq!(policy_of("text-unsafe-code", true), "unsafe_response_detection");
    assert_eq!(policy_of("indirect-injection", false), "prompt_injection_detection");
    assert_eq!(policy_of("personal-data", true), "pii_detection");
    assert_eq!(policy_of("prompt-leak", true), "system_prompt_leak_detection");
    assert_eq!(policy_of("anything-else", true), "policy_violation_detection");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for service in Service::ALL {
            let _ = read_service(service, &bytes, &Limits::default());
        }
    }
}
