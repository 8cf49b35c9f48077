//! A key has asked about more new inputs than its use explains.

use mantlet_vocab::{About, Confidence, Impact, Severity, Signal};

use crate::{Detector, Observation};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "query-budget-spent",
    title: "a key has asked about more new inputs than its use explains",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0024.002"],
    owasp: &["ML05:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Counts new rows against the budget.
pub(crate) struct QueryBudgetSpent;

impl Detector for QueryBudgetSpent {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn look(&self, seen: &Observation<'_>) -> Option<Signal> {
        let budget = seen.budget.unwrap_or_else(|| seen.profile.proposed_budget()).max(1);
        let spent = seen.rows.iter().map(|row| row.spent).max()?;
        #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
        let score = spent as f64 / budget as f64;
        (score >= 1.0).then(|| {
            let message = format!("{spent} new inputs asked about in this window, the budget is {budget}");
            ABOUT.signal(score, message).fact("spent", spent).fact("budget", budget)
        })
    }
}
