//! What a guard is told: limits, mode, and what each rule's signals lead to.

use std::collections::BTreeMap;

use mantlet_detectors::StateLimits;
use mantlet_detectors::text::TextConfig;
use mantlet_vocab::{Detail, Impact, Mode, OnFailure};
use serde::{Deserialize, Serialize};

use crate::shared::{LimitRule, Prices};

/// How one guarded route is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardConfig {
    /// The system's name.
    pub system: String,
    /// The route's name.
    pub route: String,
    /// How much harm its decisions can do.
    pub impact: Impact,
    /// How far automation may go.
    pub mode: Mode,
    /// Requests per key; `None` for no limit.
    pub limit: Option<RateLimit>,
    /// Limits on requests, rows, tokens, bytes, cost and concurrency, kept together with other replicas when there are
    /// any.
    pub limits: Vec<LimitRule>,
    /// What exchanges cost, by the model's name; `default` is every other's. Limits on cost count by it.
    pub prices: Prices,
    /// Tokens a reply is taken to have before it is there, when the request sets no bound. What it had is counted
    /// afterwards.
    pub reply_tokens: u64,
    /// What happens to a request when `limits` cannot be counted now.
    pub limits_on_failure: OnFailure,
    /// What happens to a request when the model's endpoint cannot be reached, breaks off or is too slow. There is no
    /// answer to let through then: to pass and mark is to tell the caller of the failure as a plain proxy would.
    pub upstream_on_failure: OnFailure,
    /// What happens to a request when what is done cannot be recorded.
    pub record_on_failure: OnFailure,
    /// What happens to a request while guards of other replicas are out of reach and only a part of what callers do is
    /// seen here.
    pub replicas_on_failure: OnFailure,
    /// What each rule's signals lead to; a rule that is not named has [`RulePolicy::for_rule`].
    pub rules: BTreeMap<String, RulePolicy>,
    /// New rows a key may ask about in one window before the extraction budget is spent; `None` for the
    /// profile's proposal.
    pub extraction_budget: Option<u64>,
    /// Callers remembered at once.
    pub callers: usize,
    /// Bytes of what is remembered of all callers together, about. Callers with long histories take the room of more
    /// callers with short ones.
    pub memory: usize,
    /// What is remembered of one caller.
    pub state: StateLimits,
    /// The most rows one request may have.
    pub rows: usize,
    /// What text rules look for.
    pub text: TextConfig,
    /// The most bytes of text of one message that text rules look at; more is too much at once.
    pub text_bytes: usize,
    /// The most microseconds text rules may take for one message.
    pub text_micros: u64,
    /// The most values in the tensors of one request that rules look at; more is too much at once.
    pub tensor_values: usize,
    /// The most microseconds rules may take over the tensors of one request.
    pub tensor_micros: u64,
    /// Names of judges of text, which have policies like rules.
    pub judges: Vec<String>,
    /// What is left of replies when a rule asks for less detail.
    pub detail: Detail,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            system: "system".into(),
            route: "route".into(),
            impact: Impact::Medium,
            mode: Mode::Enforce,
            limit: Some(RateLimit { per_minute: 600.0, burst: 120 }),
            limits: Vec::new(),
            prices: Prices::new(),
            reply_tokens: 512,
            limits_on_failure: OnFailure::Refuse,
            upstream_on_failure: OnFailure::Refuse,
            record_on_failure: OnFailure::PassAndFlag,
            replicas_on_failure: OnFailure::PassAndFlag,
            rules: BTreeMap::new(),
            extraction_budget: None,
            callers: 2048,
            memory: 7 << 20,
            state: StateLimits::default(),
            rows: 4096,
            text: TextConfig::default(),
            text_bytes: 4 << 20,
            text_micros: 2_000_000,
            tensor_values: 4 << 20,
            tensor_micros: 2_000_000,
            judges: Vec::new(),
            detail: Detail::Digits(2),
        }
    }
}

/// So many requests a minute, with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests a minute.
    pub per_minute: f64,
    /// Requests at once.
    pub burst: u32,
}

/// What a rule's signals lead to, by score (1.0 is the detector's own threshold). The strongest action whose
/// score is reached wins; `None` means never.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RulePolicy {
    /// Pass and mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<f64>,
    /// Take out what was found, and pass the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redact: Option<f64>,
    /// Answer with less detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coarsen: Option<f64>,
    /// Refuse for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<f64>,
    /// Ask the caller to prove again who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_up: Option<f64>,
    /// Withhold for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divert: Option<f64>,
    /// Refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuse: Option<f64>,
    /// A mode of its own, when it must differ from the route's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What happens when the rule itself fails.
    pub on_failure: OnFailure,
}

impl RulePolicy {
    /// The policy of a rule the configuration does not name.
    #[must_use]
    pub fn for_rule(rule: &str, impact: Impact) -> Self {
        let none = Self {
            flag: Some(1.0),
            redact: None,
            coarsen: None,
            throttle: None,
            step_up: None,
            divert: None,
            refuse: None,
            mode: None,
            on_failure: OnFailure::PassAndFlag,
        };
        let blocking = if impact >= Impact::High { OnFailure::Refuse } else { OnFailure::PassAndFlag };
        match rule {
            "input-off-schema" | "pinned-attack" => Self { refuse: Some(1.0), on_failure: blocking, ..none },
            "query-boundary-walk" | "query-local-search" | "query-extraction" => {
                Self { divert: Some(2.0), refuse: Some(4.0), on_failure: blocking, ..none }
            }
            "secret-exposed" => Self { redact: Some(1.0), on_failure: blocking, ..none },
            "prompt-leak" | "blocked-term" | "tool-not-allowed" => {
                Self { refuse: Some(1.0), on_failure: blocking, ..none }
            }
            "prompt-injection" | "prompt-jailbreak" | "indirect-injection" | "text-invisible"
            | "link-exfiltration" => Self { refuse: Some(2.0), on_failure: blocking, ..none },
            "prompt-variations" | "prompt-persistence" => Self { throttle: Some(2.0), ..none },
            "query-budget-spent" => Self { throttle: Some(1.0), on_failure: blocking, ..none },
            _ => none,
        }
    }
}
