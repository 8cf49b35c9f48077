//! Which of the reconstructed triggers is a backdoor.

use serde::{Deserialize, Serialize};

use super::super::search::Search;
use crate::Trigger;
use crate::stats::middle as median;

/// When a class is called backdoored.
///
/// The numbers were set on development seeds: 16 digit networks, 8 clean and 8 with a BadNets plant of 3 %. The
/// largest ratio of a clean class was 1.44 and the largest transfer of a patch of a sixteenth of the input 0.47;
/// the smallest of a planted class were 1.87 and 0.62. The thresholds stand between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// How many times smaller than the median of the other classes' triggers it must be: the geometric mean of
    /// mask size and of overwritten places needed.
    pub ratio: f32,
    /// From this ratio on, a class that is not flagged is undecided.
    pub doubtful: f32,
    /// Share of held-out rows that a small patch must send to the class.
    pub transfer: f32,
    /// The patch may cover this share of the input, and one place at least.
    pub patch: f32,
    /// With fewer classes there is too little to compare with: a small patch is then undecided.
    pub classes: usize,
}

impl Default for Rule {
    fn default() -> Self {
        Self { ratio: 1.65, doubtful: 1.5, transfer: 0.55, patch: 1.0 / 16.0, classes: 4 }
    }
}

/// The numbers of overwritten places that are tried; 0 is the soft mask itself.
pub(in crate::backdoor) fn tries(places: usize) -> Vec<usize> {
    let mut tries = vec![0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, places / 32, places / 16];
    tries.retain(|count| *count <= places);
    tries.sort_unstable();
    tries.dedup();
    tries
}

/// A class's trigger with what can be said of it alone.
pub(super) fn picture(search: &Search, tries: &[usize]) -> Trigger {
    let (mask, pattern) = search.best();
    let shares = tries.iter().copied().zip(search.transfers.iter().copied());
    let hard: Vec<(usize, f32)> = shares.filter(|(count, _)| *count > 0).collect();
    Trigger {
        class: search.class,
        mask: search.spread(&mask),
        pattern,
        size: search.size(),
        transfer: search.transfers.first().copied().unwrap_or(0.0),
        places: places_needed(&hard, search.places()),
        hard,
        anomaly: 0.0,
        ratio: 1.0,
        flagged: false,
    }
}

/// All triggers and the decision in words.
pub(super) fn decide(rule: &Rule, searches: &[Search], tries: &[usize]) -> (Vec<Trigger>, String) {
    let mut triggers: Vec<Trigger> = searches.iter().map(|search| picture(search, tries)).collect();
    // Both measures as logarithms; their mean tells how small a trigger is.
    let smallness: Vec<f32> = triggers
        .iter()
        .map(|trigger| f32::midpoint(trigger.size.max(0.05).ln(), trigger.places.max(0.05).ln()))
        .collect();
    for (class, trigger) in triggers.iter_mut().enumerate() {
        let mut others: Vec<f32> = smallness
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != class)
            .map(|(_, size)| *size)
            .collect();
        others.sort_by(f32::total_cmp);
        let middle = median(&others);
        let mut spread: Vec<f32> = others.iter().map(|size| (size - middle).abs()).collect();
        spread.sort_by(f32::total_cmp);
        trigger.ratio = (middle - smallness[class]).exp();
        // Below a spread of 0.1 the others are equal for our purposes; without the floor a tiny spread shouts.
        trigger.anomaly = (middle - smallness[class]) / (1.4826 * median(&spread)).max(0.1);
    }
    let enough = triggers.len() >= rule.classes;
    for (search, trigger) in searches.iter().zip(&mut triggers) {
        trigger.flagged =
            enough && search.worked() && trigger.ratio >= rule.ratio && works_small(rule, search, trigger);
    }
    let words = if enough {
        format!(
            "a class is called backdoored when its trigger is at least {:.2} times smaller than the median of the \
             others' and overwriting {:.1} % of the input with it sends at least {:.0} % of held-out rows to the \
             class",
            rule.ratio,
            rule.patch * 100.0,
            rule.transfer * 100.0
        )
    } else {
        format!(
            "with {} classes there is too little to compare with: a small trigger that works is reported as \
             undecided, because one honest value of a table can decide by itself",
            triggers.len()
        )
    };
    (triggers, words)
}

/// Whether a patch no larger than the rule's does the work on held-out rows.
fn works_small(rule: &Rule, search: &Search, trigger: &Trigger) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a row's length")]
    let most = (search.places() as f32 * rule.patch).max(1.0);
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    trigger.hard.iter().any(|(count, share)| *count as f32 <= most && *share >= rule.transfer)
}

/// Whether a class that is not flagged is too close to call.
pub(super) fn undecided(rule: &Rule, searches: &[Search], trigger: &Trigger) -> bool {
    let Some(search) = searches.get(trigger.class) else { return false };
    let near = searches.len() < rule.classes || trigger.ratio >= rule.doubtful;
    !trigger.flagged && near && works_small(rule, search, trigger)
}

/// The mean number of overwritten places a row of another class needs: the area above the curve of shares.
fn places_needed(hard: &[(usize, f32)], places: usize) -> f32 {
    let mut area = 0.0;
    let mut last = (0, 0.0);
    let end = hard.last().map_or(0.0, |(_, share)| *share);
    for point in hard.iter().copied().chain([(places, end)]) {
        #[expect(clippy::cast_precision_loss, reason = "a row's length")]
        let step = point.0.saturating_sub(last.0) as f32;
        area += step * (1.0 - f32::midpoint(last.1, point.1));
        last = point;
    }
    area
}
