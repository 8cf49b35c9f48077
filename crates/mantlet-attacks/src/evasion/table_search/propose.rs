//! Rows worth asking.

use crate::Goal;
use crate::evasion::ball::length;
use crate::evasion::hunt::Base;

/// Rows of another decision: the nearest of the pool, else random ones. A few more than wanted are given, since
/// repair may bring some back over the border.
pub(super) fn targets(base: &mut Base, row: usize, wanted: usize) -> Vec<Vec<f32>> {
    let original = base.original(row).to_vec();
    let label = base.rows[row].label;
    let fits = |own: Option<&usize>| match base.goal {
        Goal::Class { class } => own.is_none_or(|own| *own == class),
        Goal::Leave => own.is_none_or(|own| *own != label),
        Goal::Moved { .. } | Goal::Ranked { .. } => true,
    };
    let Some(pool) = &base.pool else {
        return (0..4 * wanted).map(|_| base.start(row)).collect();
    };
    let mut near: Vec<(f32, usize)> = (0..pool.rows())
        .filter(|&index| fits(base.pool_labels.get(index)))
        .map(|index| (base.constraints.distances(&original, pool.row(index)).of(base.norm), index))
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    let many = if base.goal.column().is_some() { 8 * wanted } else { 2 * wanted };
    near.into_iter().take(many).map(|(_, index)| pool.row(index).to_vec()).collect()
}

/// The row with one value moved towards that of the target, wholly or in part.
pub(super) fn takeovers(base: &Base, row: usize, here: &[f32], target: &[f32]) -> Vec<Vec<f32>> {
    let original = base.original(row);
    let mut proposals = Vec::new();
    for at in 0..here.len() {
        if here[at] == target[at] || base.constraints.at(at).immutable {
            continue;
        }
        for share in [0.5, 1.0] {
            let mut proposal = here.to_vec();
            proposal[at] += share * (target[at] - here[at]);
            base.constraints.repair(original, &mut proposal);
            if proposal != here && !proposals.contains(&proposal) {
                proposals.push(proposal);
            }
        }
    }
    proposals
}

/// Random changes of the best row that bring it nearer to the original, or of another row that was met while
/// there is none.
pub(super) fn changes(base: &mut Base, row: usize, met: &[Vec<f32>], wanted: usize) -> Vec<Vec<f32>> {
    let best = base.rows[row].best.as_ref().map(|best| best.values.clone());
    let Some(best) = best else {
        // Nothing is past the border yet: further starts.
        return (0..wanted.min(4)).map(|_| base.start(row)).collect();
    };
    let original = base.original(row).to_vec();
    let shift = base.shift_of(row, &best);
    let distance = length(&shift);
    let changed: Vec<usize> = (0..shift.len()).filter(|&at| shift[at] != 0.0).collect();
    if changed.is_empty() {
        return Vec::new();
    }
    let mut proposals = Vec::with_capacity(wanted);
    for _ in 0..wanted {
        let mut next = shift.clone();
        let pick = changed[base.random.below(changed.len())];
        match base.random.below(8) {
            0 => next[pick] = 0.0,
            1 | 2 => next[pick] *= base.random.between(0.2, 0.98),
            3 => {
                let share = base.random.between(0.8, 0.99);
                next.iter_mut().for_each(|value| *value *= share);
            }
            4 => {
                // One value back, another further.
                let other = base.random.below(next.len());
                next[pick] *= base.random.between(0.0, 0.7);
                next[other] += base.random.normal() * 0.3 * distance;
            }
            5 => {
                // Around the original and a little inwards.
                let spread = 0.15 * distance;
                next.iter_mut().for_each(|value| *value += spread * base.random.normal() * 0.4);
                let long = length(&next).max(1e-9);
                let reach = distance * base.random.between(0.9, 0.995) / long;
                next.iter_mut().for_each(|value| *value *= reach);
            }
            6 if !met.is_empty() => {
                // Some values of another row that was met.
                let which = base.random.below(met.len());
                let other = base.shift_of(row, &met[which]);
                for (value, other) in next.iter_mut().zip(&other) {
                    if base.random.unit() < 0.15 {
                        *value = *other * base.random.between(0.2, 0.9);
                    }
                }
            }
            _ => {
                for &at in &changed {
                    if base.random.unit() < 0.3 {
                        next[at] *= base.random.between(0.0, 1.0);
                    }
                }
            }
        }
        let proposal = base.shifted(row, &next);
        // A row that is not nearer cannot be better.
        let near = base.constraints.distances(&original, &proposal).of(base.norm);
        if base.rows[row].best.as_ref().is_some_and(|best| near < best.distance) {
            proposals.push(proposal);
        }
    }
    if proposals.is_empty() {
        // Never an empty turn while there is budget: straight inwards.
        proposals.push(base.shifted(row, &shift.iter().map(|value| value * 0.97).collect::<Vec<_>>()));
    }
    proposals
}
