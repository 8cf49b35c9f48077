//! The list of detectors.

use mantlet_vocab::About;

use crate::Detector;

mod input_off_schema;
mod input_outlier;
pub(crate) mod pinned_attack;
mod query_boundary_walk;
mod query_budget_spent;
mod query_extraction;
mod query_local_search;

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

/// The identity cards of every detector and of pinned rules.
#[must_use]
pub fn abouts() -> Vec<&'static About> {
    let mut abouts: Vec<_> = all().iter().map(|detector| detector.about()).collect();
    abouts.push(&pinned_attack::ABOUT);
    abouts
}
