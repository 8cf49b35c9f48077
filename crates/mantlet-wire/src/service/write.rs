//! The answer to a call of the service.

use serde_json::{Value, json};

use super::{Examine, Hit, Judgement, Outcome, Service, policy_of};
use crate::Refusal;

/// Writes a judgement in the call's shape: always status 200, since the call itself went well.
///
/// LiteLLM's answer carries redacted texts only in its list of texts. When something was to be taken out of another
/// part, which that answer cannot do, it says to block instead.
#[must_use]
pub fn write_service(service: Service, examine: &Examine, judgement: &Judgement) -> Refusal {
    let body = match service {
        Service::Analyze => analyze(judgement),
        Service::LiteLlm => litellm(examine, judgement),
        Service::ArgusPrompt | Service::ArgusResponse => argus(examine, judgement),
        Service::ArgusEvent => json!({ "request_id": judgement.id, "status": "recorded" }),
        Service::ArgusVerifyKey | Service::ArgusVerifyAsset => json!({ "valid": true }),
    };
    answer(&body, &judgement.id)
}

/// Answers [`Service::ArgusVerifyKey`] and [`Service::ArgusVerifyAsset`].
#[must_use]
pub fn write_valid(valid: bool) -> Refusal {
    answer(&json!({ "valid": valid }), "")
}

fn answer(body: &Value, id: &str) -> Refusal {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if !id.is_empty() {
        headers.push(("x-mantlet-exchange", id.to_owned()));
    }
    Refusal { status: 200, headers, body: body.to_string() }
}

fn analyze(judgement: &Judgement) -> Value {
    let verdict = match judgement.outcome {
        Outcome::Passed => "allow",
        Outcome::Flagged => "flag",
        Outcome::Redacted => "redact",
        Outcome::Blocked => "refuse",
    };
    let hits: Vec<Value> = judgement
        .hits
        .iter()
        .map(|Hit { rule, pointer, range, score, .. }| {
            json!({ "rule": rule, "pointer": pointer, "start": range.start, "end": range.end, "score": score })
        })
        .collect();
    let redacted: Vec<Value> =
        judgement.edits.iter().map(|edit| json!({ "pointer": edit.pointer, "text": edit.text })).collect();
    json!({
        "id": judgement.id,
        "verdict": verdict,
        "reason": judgement.reason,
        "hits": hits,
        "redacted": redacted,
    })
}

fn litellm(examine: &Examine, judgement: &Judgement) -> Value {
    let mut texts = examine.texts.clone();
    // The conversation repeats the texts, so what is taken out there must be taken out of an equal text too.
    let mut missed = false;
    for edit in &judgement.edits {
        let place = edit.pointer.strip_prefix("/texts/").and_then(|place| place.parse::<usize>().ok());
        match place.and_then(|place| texts.get_mut(place)) {
            Some(text) => text.clone_from(&edit.text),
            None => {
                let was = examine.pieces.iter().find(|piece| piece.pointer == edit.pointer);
                let repeated = was.is_some_and(|piece| examine.texts.contains(&piece.text));
                missed |= !repeated || edit.pointer.starts_with("/tool");
            }
        }
    }
    match judgement.outcome {
        Outcome::Blocked => json!({ "action": "BLOCKED", "blocked_reason": judgement.reason }),
        Outcome::Redacted if missed => json!({
            "action": "BLOCKED",
            "blocked_reason": format!("{} (in a part that this interface cannot redact)", judgement.reason),
        }),
        Outcome::Redacted => json!({ "action": "GUARDRAIL_INTERVENED", "texts": texts }),
        Outcome::Passed | Outcome::Flagged => json!({ "action": "NONE" }),
    }
}

fn argus(examine: &Examine, judgement: &Judgement) -> Value {
    // There is no way to hand redacted texts back, so what needs them is stopped.
    let word = |outcome: Outcome| match outcome {
        Outcome::Passed => "passed",
        Outcome::Flagged => "flagged",
        Outcome::Redacted | Outcome::Blocked => "blocked",
    };
    let taken = |outcome: Outcome| match outcome {
        Outcome::Passed => "disabled",
        Outcome::Flagged => "flag",
        Outcome::Redacted | Outcome::Blocked => "block",
    };
    let violated: Vec<Value> = judgement
        .hits
        .iter()
        .filter(|hit| hit.outcome != Outcome::Passed)
        .map(|hit| {
            json!({
                "policy_name": policy_of(&hit.rule, examine.reply),
                "policy_id": hit.rule,
                "action_taken": taken(hit.outcome),
                "details": { "score": hit.score, "rule": hit.rule, "start": hit.range.start, "end": hit.range.end },
            })
        })
        .collect();
    let applied: Vec<Value> = examine
        .policies
        .iter()
        .map(|policy| {
            let action = match policy.action {
                super::PolicyAction::Block => "block",
                super::PolicyAction::Flag => "flag",
                super::PolicyAction::Disabled => "disabled",
            };
            json!({ "policy_name": policy.name, "action": action, "metadata": {} })
        })
        .collect();
    json!({
        "request_id": judgement.id,
        "verdict": word(judgement.outcome),
        "policies_violated": violated,
        "policies_applied": applied,
    })
}
