//! What a system report holds: plain values that `protect` and `demo` fill in and [`super::html`] words.

mod shown;
mod story;

use mantlet_vocab::{Digest, Examination, Gap, Impact, Millis, Severity};
use serde::{Deserialize, Serialize};
pub use shown::*;
pub use story::*;

/// Everything `report.html` says. Empty parts are left out of the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemReport {
    /// The system's name.
    pub system: String,
    /// What the system decides, in one plain sentence.
    pub purpose: String,
    /// How much harm its decisions can do.
    pub impact: Impact,
    /// When the report was made.
    pub made_at: Millis,
    /// The version of mantlet that made it.
    pub mantlet: String,
    /// The command that made it.
    pub command: String,
    /// The verdict, in plain words.
    pub verdict: VerdictBlock,
    /// The model versions that were judged.
    pub models: Vec<ModelCard>,
    /// Clean, perturbed and difference pictures.
    pub evasion: Vec<EvasionGrid>,
    /// How many rows hold as more is done to them.
    #[serde(default)]
    pub curves: Vec<HoldCurve>,
    /// Recovered triggers, one panel per model version.
    pub triggers: Vec<TriggerPanel>,
    /// Fidelity of a stolen copy over the number of queries.
    pub extraction: Vec<ExtractionCurve>,
    /// Who was in the training data: ROC curves.
    pub membership: Vec<MembershipRoc>,
    /// Incidents and how they were answered.
    pub incidents: Vec<IncidentStory>,
    /// Detection results per seed.
    pub seeds: Vec<SeedTable>,
    /// Every probe with its outcome.
    pub probes: Vec<ProbeRow>,
    /// Every other figure worth a row.
    pub figures: Vec<Figure>,
    /// Results of the take-in station.
    pub examinations: Vec<NamedExamination>,
    /// The severity at and above which a finding fails the take-in.
    pub threshold: Severity,
    /// What was not examined at all.
    pub gaps: Vec<Gap>,
    /// Sources and licences of data shown in the report.
    pub credits: Vec<String>,
}

impl SystemReport {
    /// A report of this system with a verdict and nothing else yet.
    #[must_use]
    pub fn new(system: impl Into<String>, impact: Impact, made_at: Millis, verdict: VerdictBlock) -> Self {
        Self {
            system: system.into(),
            purpose: String::new(),
            impact,
            made_at,
            mantlet: String::new(),
            command: String::new(),
            verdict,
            models: Vec::new(),
            evasion: Vec::new(),
            curves: Vec::new(),
            triggers: Vec::new(),
            extraction: Vec::new(),
            membership: Vec::new(),
            incidents: Vec::new(),
            seeds: Vec::new(),
            probes: Vec::new(),
            figures: Vec::new(),
            examinations: Vec::new(),
            threshold: Severity::Suspicious,
            gaps: Vec::new(),
            credits: Vec::new(),
        }
    }

    /// The same report with only what concerns one model version.
    #[must_use]
    pub fn of_version(&self, version: &str) -> Self {
        let mut own = self.clone();
        own.models.retain(|model| model.version == version);
        own.evasion.retain(|grid| grid.model == version);
        own.triggers.retain(|panel| panel.model == version);
        own.extraction.retain(|curve| curve.model == version);
        own.membership.retain(|roc| roc.model == version);
        own.probes.retain(|probe| probe.model == version);
        own
    }
}

/// How something is to be read at a glance. Never told by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// As it should be.
    Good,
    /// A person should look.
    Warning,
    /// Wrong.
    Bad,
    /// Neither.
    Neutral,
}

/// The verdict: one headline, a few sentences, what to do now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictBlock {
    /// How to read it.
    pub tone: Tone,
    /// One sentence: "v1 is admitted; v2 is refused because it hides a backdoor".
    pub headline: String,
    /// What led to it, one plain sentence each.
    pub sentences: Vec<String>,
    /// What to do now.
    pub next: Vec<NextStep>,
}

/// Something to do, and the command that does it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NextStep {
    /// What to do, in plain words.
    pub what: String,
    /// The command, when there is one.
    pub command: Option<String>,
}

/// What was decided about a model version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admission {
    /// It may serve.
    Admitted,
    /// It may not.
    Refused,
    /// A person has to decide.
    NeedsPerson,
}

/// One model version and what was decided about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// The version's name.
    pub version: String,
    /// The file.
    pub path: String,
    /// Its digest.
    pub digest: Option<Digest>,
    /// Its size in bytes.
    pub size: u64,
    /// The decision.
    pub admission: Admission,
    /// Why, one plain sentence each.
    pub reasons: Vec<String>,
    /// Further facts, in order: name, value.
    pub facts: Vec<(String, String)>,
    /// The signed passport, when one was written.
    pub passport: Option<Passport>,
}

/// A signed passport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passport {
    /// The file.
    pub path: String,
    /// The key that signed.
    pub key: String,
    /// The command that verifies it.
    pub verify: String,
}

/// What a figure or picture rests on: how many, which seeds, and how to get it again.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Basis {
    /// How many rows, queries or trials.
    pub n: u64,
    /// What was counted: "test rows", "queries".
    pub of: String,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The command that reproduces it.
    pub command: String,
    /// What has to be said with it: "a lower bound", "one model only".
    pub note: Option<String>,
}

/// An interval around a figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Level, 0.95 as a rule.
    pub level: f64,
    /// How it was computed: "Wilson", "bootstrap".
    pub method: String,
}

impl Interval {
    /// The 95 % score interval of `hits` out of `n` (E. B. Wilson, 1927); `None` for no trials.
    #[must_use]
    pub fn wilson(hits: u64, n: u64) -> Option<Self> {
        if n == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let (p, n) = (hits.min(n) as f64 / n as f64, n as f64);
        let z = 1.959_963_984_540_054_f64;
        let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let (low, high) = ((centre - half).clamp(0.0, 1.0), (centre + half).clamp(0.0, 1.0));
        Some(Self { low: low.min(p), high: high.max(p), level: 0.95, method: "Wilson".to_owned() })
    }
}

/// How a figure's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A share from 0 to 1, written as per cent.
    Share,
    /// A whole number.
    Count,
    /// Milliseconds, written as a duration.
    Millis,
    /// Bytes.
    Bytes,
    /// A bare number.
    Plain,
}

/// A number with everything needed to believe it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is, in plain words.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// How it is written.
    pub unit: Unit,
    /// How sure it is.
    pub interval: Option<Interval>,
    /// What it rests on.
    pub basis: Basis,
}

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The attack worked.
    Hit,
    /// The attack did not work within its budget.
    Miss,
    /// The probe could not tell.
    Undecided,
    /// The probe itself failed.
    Error,
    /// The probe was not run.
    NotExamined,
}

/// One probe of one model version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeRow {
    /// The room's name, for `mantlet explain`.
    pub name: String,
    /// The room's title.
    pub title: String,
    /// The model version.
    pub model: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How to read that for this system (a hit within policy is no cause for alarm).
    pub tone: Tone,
    /// What it means, in one plain sentence.
    pub sentence: String,
    /// What it spent, of what it might have, what it left open, its seed, and how to run it again.
    #[serde(default)]
    pub spent: String,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Why it was not run, when it was not.
    pub gap: Option<Gap>,
    /// ATLAS and OWASP ids.
    pub ids: Vec<String>,
}

/// One seed's results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedRow {
    /// The seed.
    pub seed: u64,
    /// One cell per column.
    pub cells: Vec<String>,
    /// Whether the promise held on this seed.
    pub held: bool,
}

/// Results per seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedTable {
    /// The heading.
    pub title: String,
    /// What is promised and whether it held, in plain words.
    pub sentence: String,
    /// Column headings, without seed and held.
    pub columns: Vec<String>,
    /// One per seed.
    pub rows: Vec<SeedRow>,
    /// What it rests on.
    pub basis: Basis,
}

/// A take-in result with the name of what was taken in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedExamination {
    /// "model files", "training data", "dependencies".
    pub name: String,
    /// The result.
    pub examination: Examination,
    /// The command that reproduces it.
    pub command: String,
}
