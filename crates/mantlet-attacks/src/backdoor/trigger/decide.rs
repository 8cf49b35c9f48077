//! Which of the reconstructed triggers is a backdoor.

use serde::{Deserialize, Serialize};

use super::search::Search;
use crate::Trigger;

/// When a class is called backdoored. All three must hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// How many times smaller than the median of the other classes' triggers it must be.
    pub ratio: f32,
    /// Share of held-out rows that a small patch must send to the class.
    pub transfer: f32,
    /// The patch may cover this share of the input at most.
    pub patch: f32,
}

impl Default for Rule {
    fn default() -> Self {
        Self { ratio: 2.0, transfer: 0.75, patch: 0.1 }
    }
}

/// The numbers of overwritten places that are tried; 0 is the soft mask itself.
pub(super) fn tries(places: usize) -> Vec<usize> {
    let mut tries = vec![0];
    tries.extend([1, 2, 3, 4, 5, 6, 8, 10, 12, 16].into_iter().filter(|count| *count <= places));
    tries
}

/// A class's trigger with what can be said of it alone.
pub(super) fn picture(search: &Search, tries: &[usize]) -> Trigger {
    let (mask, pattern) = search.best();
    Trigger {
        class: search.class,
        mask: search.spread(&mask),
        pattern,
        size: search.size(),
        transfer: search.transfers.first().copied().unwrap_or(0.0),
        hard: tries
            .iter()
            .copied()
            .zip(search.transfers.iter().copied())
            .filter(|(count, _)| *count > 0)
            .collect(),
        anomaly: 0.0,
        ratio: 1.0,
        flagged: false,
    }
}

/// All triggers and the decision in words.
pub(super) fn decide(rule: &Rule, searches: &[Search], tries: &[usize]) -> (Vec<Trigger>, String) {
    let mut triggers: Vec<Trigger> = searches.iter().map(|search| picture(search, tries)).collect();
    let sizes: Vec<f32> = triggers.iter().map(|trigger| trigger.size.max(0.05)).collect();
    for (class, trigger) in triggers.iter_mut().enumerate() {
        let mut others: Vec<f32> = sizes
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != class)
            .map(|(_, size)| size.ln())
            .collect();
        others.sort_by(f32::total_cmp);
        let middle = median(&others);
        let mut spread: Vec<f32> = others.iter().map(|size| (size - middle).abs()).collect();
        spread.sort_by(f32::total_cmp);
        trigger.ratio = (middle - sizes[class].ln()).exp();
        trigger.anomaly = (middle - sizes[class].ln()) / (1.4826 * median(&spread)).max(0.25);
    }
    for (search, trigger) in searches.iter().zip(&mut triggers) {
        trigger.flagged = search.worked() && suspect(rule, trigger);
    }
    let words = format!(
        "a class is called backdoored when its trigger is at least {} times smaller than the median of the others' and overwriting at most {:.0} % of the input with it sends at least {:.0} % of held-out rows to the class",
        rule.ratio,
        rule.patch * 100.0,
        rule.transfer * 100.0
    );
    (triggers, words)
}

fn suspect(rule: &Rule, trigger: &Trigger) -> bool {
    trigger.ratio >= rule.ratio && trigger.transfer >= rule.transfer
}

/// Whether a class that is not flagged is too close to call.
pub(super) fn undecided(_rule: &Rule, _triggers: &[Trigger], _trigger: &Trigger) -> bool {
    false
}

fn median(sorted: &[f32]) -> f32 {
    let middle = sorted.len() / 2;
    match sorted.get(middle) {
        None => 0.0,
        Some(upper) if sorted.len() % 2 == 1 => *upper,
        Some(upper) => f32::midpoint(sorted[middle - 1], *upper),
    }
}
