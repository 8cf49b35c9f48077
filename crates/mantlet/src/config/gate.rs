//! `[data.gate]`: what holds a new batch, for all of them, by class of impact and by feed.

use std::collections::{BTreeMap, BTreeSet};

use mantlet_vocab::{Impact, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SeverityWord;

/// People whose consent can be asked for at most.
const EYES_MOST: usize = 5;

/// What holds a new batch. What is said of its class of impact goes before what is said of all, what is said of its feed
/// before both.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// Findings of this severity and above hold a batch; `suspicious` when absent.
    #[schemars(with = "Option<SeverityWord>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Severity>,
    /// Checks that hold a batch whatever the severity of what they find, by the names that `mantlet explain` knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<String>,
    /// Checks whose findings are told and hold no batch; `injection-suspected` is one of them unless `holds` names it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
    /// People whose consent lets a held batch through; never fewer than its class of impact asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eyes: Option<usize>,
    /// Whether a batch that nobody signed is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<bool>,
    /// Columns whose words are groups of people: a batch that labels one of them otherwise than the batch before it did is
    /// told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Columns that may honestly decide: groups are compared among rows that agree in them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<String>,
    /// The label that groups are compared by; `1` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// Whether models are trained with and without each feed, to see which of them decides what a model says in a
    /// segment. It takes seconds to minutes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub influence: bool,
    /// The columns of feedback, when batches hold some: accounts that steer it together are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback: Option<FeedbackColumns>,
    /// By class of impact: low, medium, high or critical.
    #[schemars(with = "BTreeMap<String, GateTerms>")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub impact: BTreeMap<ImpactClass, GateTerms>,
    /// By feed, as `mantlet data deliver --feed` names it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub feeds: BTreeMap<String, GateTerms>,
}

/// What the columns of feedback stand for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackColumns {
    /// Who.
    pub account: String,
    /// Of what.
    pub item: String,
    /// What was said: a rating, a click, a report.
    pub value: String,
    /// When; acts of one day belong together. Without it, time does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// A class of impact as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImpactClass {
    /// Annoying.
    Low,
    /// Costs time or some money.
    Medium,
    /// Money, access or rights.
    High,
    /// Safety.
    Critical,
}

impl From<Impact> for ImpactClass {
    fn from(impact: Impact) -> Self {
        match impact {
            Impact::Low => Self::Low,
            Impact::Medium => Self::Medium,
            Impact::High => Self::High,
            Impact::Critical => Self::Critical,
        }
    }
}

/// What holds batches of one class of impact, or of one feed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GateTerms {
    /// Findings of this severity and above hold a batch.
    #[schemars(with = "Option<SeverityWord>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Severity>,
    /// Checks that hold a batch whatever the severity of what they find.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<String>,
    /// Checks whose findings are told and hold no batch; `injection-suspected` is one of them unless `holds` names it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
    /// People whose consent lets a held batch through; never fewer than the class of impact asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eyes: Option<usize>,
    /// Whether a batch that nobody signed is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<bool>,
}

impl Gate {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn own(&self) -> GateTerms {
        GateTerms {
            threshold: self.threshold,
            holds: self.holds.clone(),
            told: self.told.clone(),
            eyes: self.eyes,
            signed: self.signed,
        }
    }

    /// What holds a batch of this feed in a system of this class.
    #[must_use]
    pub fn terms(&self, impact: Impact, feed: &str) -> GateTerms {
        let mut terms = self.own();
        for more in self.impact.get(&impact.into()).into_iter().chain(self.feeds.get(feed)) {
            // What is said nearer takes a check from one list to the other.
            terms.told.retain(|name| !more.holds.contains(name));
            terms.holds.retain(|name| !more.told.contains(name));
            terms.told.extend(more.told.iter().cloned());
            terms.holds.extend(more.holds.iter().cloned());
            terms.threshold = more.threshold.or(terms.threshold);
            terms.eyes = more.eyes.or(terms.eyes);
            terms.signed = more.signed.or(terms.signed);
        }
        terms
    }

    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let own = self.own();
        let all = || std::iter::once(&own).chain(self.impact.values()).chain(self.feeds.values());
        if let Some(eyes) = all().find_map(|terms| terms.eyes.filter(|eyes| !(1..=EYES_MOST).contains(eyes)))
        {
            return Some(format!("asks for the consent of {eyes} people; 1 to {EYES_MOST} can be asked"));
        }
        let known: BTreeSet<&str> = mantlet_datachecks::abouts()
            .into_iter()
            .chain(mantlet_detectors::text::text_abouts())
            .chain(mantlet_drift::fairness::all().iter().map(|room| room.about))
            .map(|about| about.name)
            .chain([UNSIGNED])
            .collect();
        for terms in all() {
            if let Some(name) =
                terms.holds.iter().chain(&terms.told).find(|name| !known.contains(name.as_str()))
            {
                return Some(format!(
                    "names `{name}`, which is no check of training data; `mantlet explain` lists them"
                ));
            }
            if let Some(name) = terms.holds.iter().find(|name| terms.told.contains(name)) {
                return Some(format!("both holds a batch for `{name}` and only tells it; name it once"));
            }
        }
        None
    }
}

/// What stands in the ledger when a batch is held for want of a signature.
pub const UNSIGNED: &str = "unsigned-batch";

/// What stands in the ledger when a batch is held because it cannot be read.
pub const UNREAD: &str = "unread-batch";

/// What holds no batch unless the configuration says so: a trained model's guess about one text, which 2 in a hundred
/// ordinary texts get as well. Few batches of texts would pass, and what holds every batch is soon waved through.
const GUESSES: [&str; 1] = ["injection-suspected"];

impl GateTerms {
    /// Whether what a check found holds a batch.
    #[must_use]
    pub fn holds(&self, name: &str, severity: Severity) -> bool {
        let among = |names: &[String]| names.iter().any(|own| own == name);
        if among(&self.told) || among(&self.holds) {
            return !among(&self.told);
        }
        severity >= self.threshold.unwrap_or(Severity::Suspicious) && !GUESSES.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feed_goes_before_the_class_and_the_class_before_all() {
        let gate: Gate = toml::from_str(
            "threshold = \"suspicious\"\ntold = [\"flood-near-copies\"]\n[impact.high]\neyes = 3\nholds = \
             [\"flood-near-copies\"]\n[feeds.partner]\nsigned = true\nthreshold = \"note\"\ntold = [\"label-error\"]\n",
        )
        .unwrap();
        assert_eq!(gate.fault(), None);
        let (low, high, partner) = (
            gate.terms(Impact::Low, "own"),
            gate.terms(Impact::High, "own"),
            gate.terms(Impact::High, "partner"),
        );
        assert!(!low.holds("flood-near-copies", Severity::Suspicious));
        assert!(high.holds("flood-near-copies", Severity::Note) && high.eyes == Some(3));
        assert!(partner.holds("label-flip", Severity::Note) && !low.holds("label-flip", Severity::Note));
        assert!(!partner.holds("label-error", Severity::Suspicious));
        assert_eq!((partner.signed, high.signed, partner.eyes), (Some(true), None, Some(3)));
    }

    #[test]
    fn a_guess_is_told_and_holds_only_where_it_is_named() {
        let suspicious = |terms: &GateTerms, name: &str| terms.holds(name, Severity::Suspicious);
        let usual = Gate::default().terms(Impact::High, "own");
        assert!(!suspicious(&usual, "injection-suspected") && suspicious(&usual, "prompt-injection"));
        let all: Gate = toml::from_str("threshold = \"note\"").unwrap();
        assert!(!suspicious(&all.terms(Impact::High, "own"), "injection-suspected"));
        let strict: Gate = toml::from_str(
            "holds = [\"injection-suspected\"]\n[feeds.own]\ntold = [\"injection-suspected\"]\n",
        )
        .unwrap();
        assert_eq!(strict.fault(), None);
        assert!(suspicious(&strict.terms(Impact::High, "foreign"), "injection-suspected"));
        assert!(!suspicious(&strict.terms(Impact::High, "own"), "injection-suspected"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, why) in [
            ("eyes = 0", "1 to 5"),
            ("holds = [\"label-flop\"]", "no check"),
            ("holds = [\"label-flip\"]\ntold = [\"label-flip\"]", "name it once"),
            ("[feeds.a]\neyes = 9", "1 to 5"),
        ] {
            let gate: Gate = toml::from_str(text).unwrap();
            assert!(gate.fault().is_some_and(|fault| fault.contains(why)), "{text}");
        }
    }
}
