//! An alert: one thing worth a person's attention, whatever station raised it.
//!
//! Long because its kinds and how much harm each can mean stand with it.

use std::collections::BTreeMap;

use mantlet_vocab::{Confidence, Finding, Impact, Millis, Severity, Signal};
use serde::{Deserialize, Serialize};

use crate::record::FiveAnswers;

/// What kind of trouble an alert is about. The order is the order of gravity within one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// Something no room of ours has words for yet.
    Other,
    /// An endpoint, a record or shared counts that a route needs are not there.
    Dependency,
    /// Inputs that break the profile: types, ranges, categories.
    Profile,
    /// Inputs unlike anything the model was trained on.
    Outlier,
    /// What a model is asked about, or what it says, is no longer what it was.
    Drift,
    /// Many nearly identical requests.
    Probing,
    /// A check of training data found something.
    Data,
    /// The model errs more than it used to, on the whole or in a segment.
    Performance,
    /// Systematic questioning that yields a copy of the model.
    Extraction,
    /// Step by step search for the place where the decision flips.
    BoundaryWalk,
    /// A file that was taken in is dangerous.
    Artifact,
    /// An attack that used to be stopped now passes.
    Regression,
    /// A model carries a hidden trigger.
    Backdoor,
}

impl AlertKind {
    /// The word used in records and configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Dependency => "dependency",
            Self::Profile => "profile",
            Self::Outlier => "outlier",
            Self::Drift => "drift",
            Self::Probing => "probing",
            Self::Data => "data",
            Self::Performance => "performance",
            Self::Extraction => "extraction",
            Self::BoundaryWalk => "boundary-walk",
            Self::Artifact => "artifact",
            Self::Regression => "regression",
            Self::Backdoor => "backdoor",
        }
    }

    /// The kind a word of [`AlertKind::word`] names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Other,
        Self::Dependency,
        Self::Profile,
        Self::Outlier,
        Self::Drift,
        Self::Probing,
        Self::Data,
        Self::Performance,
        Self::Extraction,
        Self::BoundaryWalk,
        Self::Artifact,
        Self::Regression,
        Self::Backdoor,
    ];

    /// The kind of alert a detector's or rule's signal belongs to, by the words in its name.
    #[must_use]
    pub fn of_signal(name: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["dependency-lost"]) {
            Self::Dependency
        } else if has(&["regression", "replay"]) {
            Self::Regression
        } else if has(&["boundary", "evasion", "pinned", "adversarial"]) {
            Self::BoundaryWalk
        } else if has(&["extraction", "theft", "budget"]) {
            Self::Extraction
        } else if has(&["local-search", "near-repeat", "duplicate", "probing"]) {
            Self::Probing
        } else if has(&["outlier", "distance", "novel"]) {
            Self::Outlier
        } else if has(&["profile", "schema", "range", "category", "type"]) {
            Self::Profile
        } else if has(&["backdoor", "trigger"]) {
            Self::Backdoor
        } else {
            Self::Other
        }
    }

    /// A hint alone is not an attack: it never leads to an automatic step.
    #[must_use]
    pub const fn is_hint(self) -> bool {
        matches!(
            self,
            Self::Other | Self::Dependency | Self::Profile | Self::Outlier | Self::Drift | Self::Data
        )
    }

    /// Whether a hint of it says something of its caller, so that it has to be a good part of what the caller asked. What
    /// a route lacks is no caller's doing: a share in it means nothing, and nobody waits for one.
    #[must_use]
    pub const fn is_of_the_caller(self) -> bool {
        !matches!(self, Self::Dependency)
    }

    /// Whether it is about one caller's requests.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(
            self,
            Self::Other
                | Self::Dependency
                | Self::Profile
                | Self::Outlier
                | Self::Probing
                | Self::Extraction
                | Self::BoundaryWalk
        )
    }

    /// Whether it comes from looking back at tables, again and again: an incident that is open takes in what is told
    /// of the same thing, however late.
    #[must_use]
    pub const fn recurs(self) -> bool {
        matches!(self, Self::Drift | Self::Performance | Self::Data)
    }

    /// ATLAS and OWASP ids, for the details under the plain words.
    #[must_use]
    pub const fn ids(self) -> &'static [&'static str] {
        match self {
            Self::Other | Self::Dependency => &[],
            Self::Profile | Self::Outlier => &["AML.T0043", "ML01:2023"],
            Self::Drift => &["AML.T0059", "ML08:2023"],
            Self::Performance => &["AML.T0015", "ML01:2023"],
            Self::Probing => &["AML.T0042", "AML.T0043.001", "ML01:2023"],
            Self::Data => &["AML.T0020", "ML02:2023"],
            Self::Extraction => &["AML.T0024.002", "ML05:2023"],
            Self::BoundaryWalk => &["AML.T0015", "AML.T0043.001", "ML01:2023"],
            Self::Artifact => &["AML.T0010.003", "AML.T0018.002", "ML06:2023"],
            Self::Regression => &["AML.T0015", "ML01:2023"],
            Self::Backdoor => &["AML.T0018.000", "AML.T0043.004", "ML10:2023"],
        }
    }
}

impl std::fmt::Display for AlertKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// What else was going on, to estimate how many a step would touch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Callers seen lately.
    pub callers: u64,
    /// Requests a minute of all callers.
    pub per_minute: f64,
    /// Requests a minute of the caller in question.
    pub caller_per_minute: f64,
}

/// A guard rule that a confirmed attack yielded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleDraft {
    /// Its name.
    pub name: String,
    /// What it pins, in plain words.
    pub plain: String,
    /// The rule as the guard reads it.
    pub rule: serde_json::Value,
}

/// One thing worth a person's attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// When it was raised.
    pub at: Millis,
    /// What kind of trouble.
    pub kind: AlertKind,
    /// The system of the configuration.
    pub system: String,
    /// The system's impact class.
    pub system_impact: Impact,
    /// How sure the detector is.
    pub confidence: Confidence,
    /// The route, for live alerts.
    #[serde(default)]
    pub route: Option<String>,
    /// The caller's key id, for live alerts.
    #[serde(default)]
    pub caller: Option<String>,
    /// The model version concerned.
    #[serde(default)]
    pub version: Option<String>,
    /// The file, data set or case concerned.
    #[serde(default)]
    pub subject: Option<String>,
    /// Whether what is concerned answers real requests now.
    #[serde(default)]
    pub serving: bool,
    /// What detectors noticed, strongest first.
    #[serde(default)]
    pub signals: Vec<Signal>,
    /// What was noticed, in one line of plain words each.
    #[serde(default)]
    pub noticed: Vec<String>,
    /// Named figures.
    #[serde(default)]
    pub facts: BTreeMap<String, serde_json::Value>,
    /// Start of the caller's current activity; the attack began then or later.
    pub since: Millis,
    /// Requests the caller made since then.
    #[serde(default)]
    pub queries: u64,
    /// Ids of decisions that were given out and may be wrong, newest last, bounded.
    #[serde(default)]
    pub exchanges: Vec<String>,
    /// How many such decisions there are in all.
    #[serde(default)]
    pub in_doubt: u64,
    /// Replayable cases behind it.
    #[serde(default)]
    pub cases: Vec<String>,
    /// What else was going on.
    #[serde(default)]
    pub traffic: Option<Traffic>,
    /// The five answers, where who raises it knows them; `next` holds a task a line.
    #[serde(default)]
    pub told: Option<FiveAnswers>,
    /// The guard rule a confirmed attack yielded.
    #[serde(default)]
    pub rule: Option<RuleDraft>,
}

impl Alert {
    /// An alert with nothing but its kind, its system and its time.
    #[must_use]
    pub fn new(kind: AlertKind, system: &str, system_impact: Impact, at: Millis) -> Self {
        Self {
            at,
            kind,
            system: system.to_owned(),
            system_impact,
            confidence: Confidence::High,
            route: None,
            caller: None,
            version: None,
            subject: None,
            serving: false,
            signals: Vec::new(),
            noticed: Vec::new(),
            facts: BTreeMap::new(),
            since: at,
            queries: 0,
            exchanges: Vec::new(),
            in_doubt: 0,
            cases: Vec::new(),
            traffic: None,
            told: None,
            rule: None,
        }
    }

    /// A model version was found to carry a hidden trigger. `forced` is the class it forces, `serving`
    /// whether the version answers real requests now.
    #[must_use]
    pub fn backdoor(
        system: &str,
        impact: Impact,
        at: Millis,
        version: &str,
        forced: &str,
        serving: bool,
    ) -> Self {
        let mut alert = Self::new(AlertKind::Backdoor, system, impact, at);
        alert.version = Some(version.to_owned());
        alert.serving = serving;
        alert.fact("forced", forced)
    }

    /// A file that was taken in has findings. The findings' own words are kept, worst first.
    #[must_use]
    pub fn artifact(
        system: &str,
        impact: Impact,
        at: Millis,
        file: &str,
        findings: &[Finding],
        serving: bool,
    ) -> Self {
        let mut alert = Self::new(AlertKind::Artifact, system, impact, at);
        alert.subject = Some(file.to_owned());
        alert.serving = serving;
        alert.told_by(findings)
    }

    /// A check of training data has findings.
    #[must_use]
    pub fn data(system: &str, impact: Impact, at: Millis, data: &str, findings: &[Finding]) -> Self {
        let mut alert = Self::new(AlertKind::Data, system, impact, at);
        alert.subject = Some(data.to_owned());
        alert.told_by(findings)
    }

    /// What an incident about a batch is about.
    #[must_use]
    pub fn batch_subject(batch: &str, feed: &str) -> String {
        format!("batch {batch} of feed {feed}")
    }

    /// The gate of a batch held it. `eyes` people have to consent before a model may learn from it.
    #[must_use]
    pub fn held(
        system: &str,
        impact: Impact,
        at: Millis,
        (batch, feed, eyes): (&str, &str, usize),
        findings: &[Finding],
    ) -> Self {
        let mut alert = Self::data(system, impact, at, &Self::batch_subject(batch, feed), findings);
        let said = |text: &str| text.trim_end_matches('.').to_owned();
        let mut suspicious: Vec<String> = alert.noticed.iter().take(3).map(|line| said(line)).collect();
        if suspicious.is_empty() {
            suspicious.push("it could not be examined to its end".to_owned());
        }
        alert.told = Some(FiveAnswers {
            changed: format!("Feed {feed} delivered batch {batch}, and its gate held it."),
            suspicious: format!("{}.", suspicious.join(". ")),
            affected: format!(
                "Nobody by this batch: no model learns from it. Models that learned from earlier batches of {feed} may \
                 have learned the same."
            ),
            decisions: format!(
                "None by this batch. Those of a version trained since {feed} turned: decide them again with \
                 `mantlet monitor redecide`."
            ),
            next: format!(
                "Look at its rows: `mantlet data rows {batch}`, or on the console under Data.\n{} to let it through: \
                 `mantlet data approve {batch} --note TEXT --user YOU`; or throw it out: `mantlet data reject {batch} --note \
                 TEXT --user YOU`.\nAsk {feed} what changed.",
                if eyes > 1 {
                    format!("{eyes} people other than who delivered it have")
                } else {
                    "Another person than who delivered it has".to_owned()
                }
            ),
        });
        let strongest =
            findings.iter().max_by(|a, b| (a.severity, a.confidence).cmp(&(b.severity, b.confidence)));
        let pictures = strongest.into_iter().flat_map(|finding| &finding.facts);
        for (name, value) in pictures.filter(|(name, _)| name.starts_with("picture")) {
            alert.facts.insert(name.clone(), value.clone());
        }
        alert.fact("batch", batch).fact("feed", feed)
    }

    /// A stored attack that used to be stopped now passes. `change` says what was changed before.
    #[must_use]
    pub fn regression(system: &str, impact: Impact, at: Millis, case: &str, change: &str) -> Self {
        let mut alert = Self::new(AlertKind::Regression, system, impact, at);
        alert.subject = Some(case.to_owned());
        alert.cases = vec![case.to_owned()];
        alert.serving = true;
        alert.fact("change", change)
    }

    /// Adds a named figure.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    fn told_by(mut self, findings: &[Finding]) -> Self {
        let mut findings: Vec<Finding> = findings.to_vec();
        Finding::sort(&mut findings);
        self.confidence = findings.iter().map(|finding| finding.confidence).max().unwrap_or(Confidence::Low);
        let worst = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Note);
        let count = findings.len();
        self.noticed = findings
            .iter()
            .take(MOST_NOTICED)
            .map(|finding| format!("{}: {} ({})", finding.title, finding.message, finding.place))
            .collect();
        self.fact("worst", worst.word()).fact("findings", count)
    }

    /// How much harm this alert can mean: the system's impact class, one step milder for mere hints, one
    /// step worse for a hidden trigger or a failed defence in what answers real requests.
    #[must_use]
    pub fn impact(&self) -> Impact {
        impact(self.kind, self.confidence, self.system_impact, self.serving)
    }
}

/// How much harm an alert of this kind can mean.
pub(crate) fn impact(kind: AlertKind, confidence: Confidence, system: Impact, serving: bool) -> Impact {
    let serious = matches!(kind, AlertKind::Backdoor | AlertKind::Regression) && serving;
    if serious && confidence >= Confidence::Medium {
        worse(system)
    } else if kind.is_hint() || confidence == Confidence::Low {
        milder(system)
    } else {
        system
    }
}

/// Lines of findings kept in an alert.
pub(crate) const MOST_NOTICED: usize = 8;

const fn worse(impact: Impact) -> Impact {
    match impact {
        Impact::Low => Impact::Medium,
        Impact::Medium => Impact::High,
        Impact::High | Impact::Critical => Impact::Critical,
    }
}

const fn milder(impact: Impact) -> Impact {
    match impact {
        Impact::Low | Impact::Medium => Impact::Low,
        Impact::High => Impact::Medium,
        Impact::Critical => Impact::High,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impact_follows_the_system_and_moves_one_step() {
        let alert = |kind| Alert::new(kind, "s", Impact::High, Millis(0));
        assert_eq!(alert(AlertKind::BoundaryWalk).impact(), Impact::High);
        assert_eq!(alert(AlertKind::Outlier).impact(), Impact::Medium);
        let mut backdoor = Alert::backdoor("s", Impact::High, Millis(0), "v2", "7", false);
        assert_eq!(backdoor.impact(), Impact::High, "a candidate decides nothing yet");
        backdoor.serving = true;
        assert_eq!(backdoor.impact(), Impact::Critical);
        backdoor.confidence = Confidence::Low;
        assert_eq!(backdoor.impact(), Impact::Medium);
    }

    #[test]
    fn every_kind_has_its_word_and_known_ids() {
        for kind in AlertKind::ALL {
            assert_eq!(AlertKind::from_word(kind.word()), Some(kind));
            assert!(kind.ids().iter().all(|id| mantlet_vocab::catalogue::title(id).is_some()), "{kind}");
        }
    }
}
