//! The list of detectors.

use mantlet_vocab::About;

use crate::Detector;

mod dependency_lost;
mod guard_rule_failed;
mod input_off_schema;
mod input_outlier;
pub(crate) mod pinned_attack;
mod query_boundary_walk;
mod query_budget_spent;
mod query_extraction;
mod query_local_search;
mod request_malformed;
mod traffic_unseen;

pub use dependency_lost::dependency_lost;
pub use guard_rule_failed::guard_rule_failed;
pub use request_malformed::request_malformed;
pub use traffic_unseen::traffic_unseen;

/// Every detector, in the order of reports.
#[must_use]
pub fn all() -> Vec<Box<dyn Detector>> {
    vec![
        Box::new(input_off_schema::InputOffSchema),
        Box::new(input_outlier::InputOutlier),
        Box::new(query_boundary_walk::QueryBoundaryWalk),
        Box::new(query_local_search::QueryLocalSearch),
        Box::new(query_extraction::QueryExtraction),
        Box::new(query_budget_spent::QueryBudgetSpent),
    ]
}

/// The identity cards of what a configuration may set: every detector and pinned rules.
#[must_use]
pub fn configurable() -> Vec<&'static About> {
    let mut abouts: Vec<_> = all().iter().map(|detector| detector.about()).collect();
    abouts.push(&pinned_attack::ABOUT);
    abouts
}

/// The identity card of every signal: what a configuration may set, text rules among it, and what guard and gateway
/// raise themselves.
#[must_use]
pub fn abouts() -> Vec<&'static About> {
    let mut abouts = configurable();
    abouts.extend(crate::text::text_abouts());
    abouts.extend([
        &request_malformed::ABOUT,
        &guard_rule_failed::ABOUT,
        &dependency_lost::ABOUT,
        &traffic_unseen::ABOUT,
    ]);
    abouts
}
