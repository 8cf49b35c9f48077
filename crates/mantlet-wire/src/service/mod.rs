//! The guard as a service: applications and gateways that send texts to be judged instead of traffic to be passed on.
//!
//! Three shapes: mantlet's own `POST /v1/analyze`; the hook that LiteLLM's generic guardrail calls
//! (`/beta/litellm_basic_guardrail_api`, as LiteLLM 1.110 writes it); and the published shape of the Repello Argus SDK
//! API (`/sdk/v1/...`), which LiteLLM's `guardrail: repelloai` speaks. Reading and writing only: who may ask, and what
//! is judged, is for the callers of this crate.

mod read;
mod write;

use mantlet_vocab::Piece;
use serde_json::json;

use crate::Refusal;
use crate::text::{Edit, named};

pub use read::read_service;
pub use write::{write_service, write_valid};

/// A call of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// `POST /v1/analyze`
    Analyze,
    /// `POST /beta/litellm_basic_guardrail_api`
    LiteLlm,
    /// `POST /sdk/v1/analyze/prompt`
    ArgusPrompt,
    /// `POST /sdk/v1/analyze/response`
    ArgusResponse,
    /// `POST /sdk/v1/events/record`
    ArgusEvent,
    /// `GET /sdk/v1/verify/api-key`
    ArgusVerifyKey,
    /// `GET /sdk/v1/verify/asset`
    ArgusVerifyAsset,
}

impl Service {
    /// Every call.
    pub const ALL: [Self; 7] = [
        Self::Analyze,
        Self::LiteLlm,
        Self::ArgusPrompt,
        Self::ArgusResponse,
        Self::ArgusEvent,
        Self::ArgusVerifyKey,
        Self::ArgusVerifyAsset,
    ];

    /// The call's stable name, used in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Analyze => "analyze",
            Self::LiteLlm => "litellm-guardrail",
            Self::ArgusPrompt => "argus-prompt",
            Self::ArgusResponse => "argus-response",
            Self::ArgusEvent => "argus-event",
            Self::ArgusVerifyKey => "argus-verify-key",
            Self::ArgusVerifyAsset => "argus-verify-asset",
        }
    }

    /// Whether errors have the shape of the Argus API.
    const fn argus(self) -> bool {
        !matches!(self, Self::Analyze | Self::LiteLlm)
    }
}

/// The call that a method and a path (without query) make. Paths are compared as they are.
#[must_use]
pub fn service(method: &str, path: &str) -> Option<Service> {
    Some(match (method, path) {
        ("POST", "/v1/analyze") => Service::Analyze,
        ("POST", "/beta/litellm_basic_guardrail_api") => Service::LiteLlm,
        ("POST", "/sdk/v1/analyze/prompt") => Service::ArgusPrompt,
        ("POST", "/sdk/v1/analyze/response") => Service::ArgusResponse,
        ("POST", "/sdk/v1/events/record") => Service::ArgusEvent,
        ("GET", "/sdk/v1/verify/api-key") => Service::ArgusVerifyKey,
        ("GET", "/sdk/v1/verify/asset") => Service::ArgusVerifyAsset,
        _ => return None,
    })
}

/// Texts to be judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Examine {
    /// Whether the texts are a model's answer; else they are what it is asked.
    pub reply: bool,
    /// The texts.
    pub pieces: Vec<Piece>,
    /// Parts that are no text and were not looked at.
    pub opaque: u32,
    /// The system they belong to: `system`, or Argus' `asset_id`.
    pub system: Option<String>,
    /// The model, when the caller says it.
    pub model: Option<String>,
    /// The caller's name for who asks.
    pub user: Option<String>,
    /// The caller's name for the conversation.
    pub session: Option<String>,
    /// Argus: whether the exchange shall be kept.
    pub save: bool,
    /// Argus: policies the call brings itself.
    pub policies: Vec<Policy>,
    /// LiteLLM: the list of texts as it came, which the answer repeats with what was taken out.
    pub texts: Vec<String>,
    /// Names of tools that are offered.
    pub tools: Vec<String>,
}

/// A policy that a call brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name, one of the published ones.
    pub name: String,
    /// What it asks for.
    pub action: PolicyAction,
    /// The whole policy as JSON: lists of topics, competitors, patterns.
    pub details: String,
}

/// What a policy asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyAction {
    /// `block`
    Block,
    /// `flag`
    Flag,
    /// `disabled`
    Disabled,
}

impl Examine {
    /// What the call's own policies say of a rule's hits; `None` when they say nothing.
    #[must_use]
    pub fn action_for(&self, rule: &str) -> Option<PolicyAction> {
        let name = policy_of(rule, self.reply);
        self.policies.iter().find(|policy| policy.name == name).map(|policy| policy.action)
    }
}

/// The published policy that a rule's hits belong to, by the words of the rule's name.
#[must_use]
pub fn policy_of(rule: &str, reply: bool) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| rule.contains(word));
    if has(&["secret", "credential"]) {
        "secrets_keys_detection"
    } else if has(&["personal", "pii"]) {
        "pii_detection"
    } else if has(&["injection", "jailbreak", "persistence", "invisible"]) {
        "prompt_injection_detection"
    } else if has(&["leak", "canary"]) {
        "system_prompt_leak_detection"
    } else if has(&["toxic"]) {
        "toxicity_detection"
    } else if has(&["topic"]) {
        "banned_topics_detection"
    } else if has(&["competitor"]) {
        "competitor_mention_detection"
    } else if has(&["language"]) {
        "language_violation_detection"
    } else if has(&["unsafe"]) {
        if reply { "unsafe_response_detection" } else { "unsafe_prompt_protection" }
    } else {
        "policy_violation_detection"
    }
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nothing speaks against the texts.
    Passed,
    /// Something does; they may go on.
    Flagged,
    /// They may go on with the edits made.
    Redacted,
    /// They must not go on.
    Blocked,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The rule.
    pub rule: String,
    /// The piece, by its pointer.
    pub pointer: String,
    /// Where in the piece, in bytes.
    pub range: std::ops::Range<usize>,
    /// How sure, 0 to 1.
    pub score: f64,
    /// What the hit alone would lead to.
    pub outcome: Outcome,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What was decided.
    pub outcome: Outcome,
    /// Why, in plain words, when anything was found.
    pub reason: String,
    /// The exchange's id; Argus' clients expect a UUID.
    pub id: String,
    /// What was found.
    pub hits: Vec<Hit>,
    /// Texts to put in the place of those that came.
    pub edits: Vec<Edit>,
}

/// The error answer of a call's shape; `id` names the exchange.
#[must_use]
pub fn refuse_service(service: Service, status: u16, reason: &str, id: &str) -> Refusal {
    let text = if service.argus() {
        match status {
            // The published words, which clients compare.
            401 if reason.contains("missing") => "API key is missing".to_owned(),
            401 => "Invalid or inactive API key".to_owned(),
            429 => "Rate limit exceeded".to_owned(),
            _ => named(reason, id),
        }
    } else {
        named(reason, id)
    };
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if !id.is_empty() {
        headers.push(("x-mantlet-exchange", id.to_owned()));
    }
    Refusal { status, headers, body: json!({ "error": text }).to_string() }
}
