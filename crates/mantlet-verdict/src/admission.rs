//! The outcome of weighing: verdict, decision and reasons.

use mantlet_vocab::{Impact, Severity, Verdict};
use serde::{Deserialize, Serialize};

/// Whether the model may serve. The order is the order of caution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admit {
    /// It may.
    Admit,
    /// A person decides.
    NeedsPerson,
    /// It may not.
    Refuse,
}

impl Admit {
    /// The words used in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Admit => "admitted",
            Self::NeedsPerson => "needs a person",
            Self::Refuse => "refused",
        }
    }
}

/// What a reason does to the decision. The order is the order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    /// Was examined and is within the policy.
    Passed,
    /// Worth knowing; changes nothing.
    Noted,
    /// Was not examined, so a person decides.
    NotExamined,
    /// Was found, and a person decides.
    Asks,
    /// Was found, and refuses the model.
    Refuses,
}

impl ReasonKind {
    /// The decision this reason alone leads to.
    #[must_use]
    pub const fn decision(self) -> Admit {
        match self {
            Self::Passed | Self::Noted => Admit::Admit,
            Self::NotExamined | Self::Asks => Admit::NeedsPerson,
            Self::Refuses => Admit::Refuse,
        }
    }

    /// The word that stands before a reason in a report.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Noted => "noted",
            Self::NotExamined => "not examined",
            Self::Asks => "asks a person",
            Self::Refuses => "refuses",
        }
    }
}

/// One reason for the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// What it does to the decision.
    pub kind: ReasonKind,
    /// How bad it is.
    pub severity: Severity,
    /// One or two sentences in plain words.
    pub plain: String,
    /// What it rests on: a finding's or probe's name, and the place or the figures.
    pub evidence: String,
    /// What would change it.
    pub remedy: String,
}

/// The verdict on a model for a system of some impact class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Admission {
    /// Clean, found or not fully examined.
    pub verdict: Verdict,
    /// May it serve?
    pub decision: Admit,
    /// The impact class it was weighed for.
    pub impact: Impact,
    /// Why, heaviest first.
    pub reasons: Vec<Reason>,
    /// The process exit code of the verdict.
    pub exit_code: u8,
}

impl Admission {
    /// The decision and its heaviest reason, in one or two sentences.
    #[must_use]
    pub fn headline(&self) -> String {
        let system = format!("a system of {} impact", self.impact);
        let lead = match self.decision {
            Admit::Admit => format!("Admitted for {system}."),
            Admit::NeedsPerson => format!("Not admitted yet: a person must decide, for {system}."),
            Admit::Refuse => format!("Refused for {system}."),
        };
        let heaviest = self.reasons.first().filter(|reason| reason.kind.decision() == self.decision);
        match heaviest {
            Some(reason) if self.decision != Admit::Admit => format!("{lead} {}", reason.plain),
            _ => lead,
        }
    }

    /// Every reason in one line, heaviest first; the same said of several things is one line with their number.
    #[must_use]
    pub fn lines(&self) -> Vec<(ReasonKind, String)> {
        let mut lines: Vec<(ReasonKind, &str, usize)> = Vec::new();
        for reason in &self.reasons {
            match lines.iter_mut().find(|line| line.0 == reason.kind && line.1 == reason.plain) {
                Some(line) => line.2 += 1,
                None => lines.push((reason.kind, &reason.plain, 1)),
            }
        }
        let said = |(kind, plain, times): (ReasonKind, &str, usize)| match times {
            1 => (kind, plain.to_owned()),
            _ => (kind, format!("{plain} ({times} times)")),
        };
        lines.into_iter().map(said).collect()
    }

    /// The reasons that decided, or all that passed when nothing did.
    pub fn deciding(&self) -> impl Iterator<Item = &Reason> {
        self.reasons.iter().filter(|reason| reason.kind.decision() == self.decision)
    }
}
