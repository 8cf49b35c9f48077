//! What the signals of one rule lead to, where that is not what is built in.

use mantlet_guard::RulePolicy;
use mantlet_vocab::{Mode, OnFailure};
use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::strict::nearest;
use super::{Gateway, ModeWord, OnFailureWord};

/// A rule's own mode, or more of its own policy.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Rule {
    /// A mode.
    Mode(#[schemars(with = "ModeWord")] Mode),
    /// What its signals lead to.
    Policy(Policy),
}

/// What the signals of a rule lead to, by their score: 1.0 is the rule's own threshold, and the strongest action whose
/// score is reached wins. What is not named stays as it is built in; `false` takes it away.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// A mode of its own: observe, advise or enforce.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ModeWord>")]
    pub mode: Option<Mode>,
    /// Passes and is marked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<Score>,
    /// What was found is taken out, and the rest passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redact: Option<Score>,
    /// Is answered with less detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coarsen: Option<Score>,
    /// Is refused for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Score>,
    /// Is withheld for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divert: Option<Score>,
    /// Is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse: Option<Score>,
    /// What happens to a request when the rule itself fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OnFailureWord>")]
    pub on_failure: Option<OnFailure>,
}

/// From which score an action is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Score {
    /// From this one.
    At(f64),
    /// From none, whatever is built in: `false`.
    Never(bool),
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Score;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a score, or false for never")
            }

            fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Score, E> {
                if on { Err(E::invalid_value(Unexpected::Bool(on), &self)) } else { Ok(Score::Never(on)) }
            }

            fn visit_f64<E: serde::de::Error>(self, score: f64) -> Result<Score, E> {
                Ok(Score::At(score))
            }

            fn visit_i64<E: serde::de::Error>(self, score: i64) -> Result<Score, E> {
                Ok(Score::At(score as f64))
            }

            fn visit_u64<E: serde::de::Error>(self, score: u64) -> Result<Score, E> {
                Ok(Score::At(score as f64))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Rule {
    /// Puts what is named into a policy.
    pub fn apply(&self, to: &mut RulePolicy) {
        match self {
            Self::Mode(mode) => to.mode = Some(*mode),
            Self::Policy(own) => {
                to.mode = own.mode.or(to.mode);
                let scores = [
                    (&mut to.flag, own.flag),
                    (&mut to.redact, own.redact),
                    (&mut to.coarsen, own.coarsen),
                    (&mut to.throttle, own.throttle),
                    (&mut to.divert, own.divert),
                    (&mut to.refuse, own.refuse),
                ];
                for (score, named) in scores {
                    match named {
                        Some(Score::At(named)) => *score = Some(named),
                        Some(Score::Never(_)) => *score = None,
                        None => {}
                    }
                }
                to.on_failure = own.on_failure.unwrap_or(to.on_failure);
            }
        }
    }

    /// Whether every score can be reached.
    pub fn is_sensible(&self) -> bool {
        let Self::Policy(own) = self else { return true };
        let scores = [own.flag, own.redact, own.coarsen, own.throttle, own.divert, own.refuse];
        scores.into_iter().flatten().all(|score| match score {
            Score::At(score) => score.is_finite() && score > 0.0,
            Score::Never(_) => true,
        })
    }
}

impl Gateway {
    /// Why a rule that is named, here or on a further route, is none.
    pub(super) fn unknown_rule(&self) -> Option<String> {
        let routes = self.routes.iter().flat_map(|route| route.rules.keys());
        let named: Vec<&String> = self.rules.keys().chain(self.step_up.rules.keys()).chain(routes).collect();
        if named.is_empty() {
            return None;
        }
        let abouts =
            mantlet_detectors::configurable().into_iter().chain(mantlet_detectors::text::text_abouts());
        let judges = self.judges.iter().map(|judge| judge.name.as_str());
        let known: Vec<&str> = abouts.map(|about| about.name).chain(judges).collect();
        let name = named.into_iter().find(|name| !known.contains(&name.as_str()))?;
        let near = nearest(known.into_iter(), name).map(|near| format!(", did you mean `{near}`?"));
        Some(format!("has no rule `{name}` to set{}; `mantlet explain` lists them", near.unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Rule;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mode (observe, advise or enforce), or a table of actions and their scores")
            }

            fn visit_str<E: serde::de::Error>(self, mode: &str) -> Result<Rule, E> {
                Mode::deserialize(StrDeserializer::new(mode)).map(Rule::Mode)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
                Policy::deserialize(MapAccessDeserializer::new(map)).map(Rule::Policy)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
