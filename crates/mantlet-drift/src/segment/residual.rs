//! What is left of a segment's change once the segments named before it are taken out.

use std::collections::HashMap;

use super::search::Literal;

/// Rows of a segment, and how much of the change lies in it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Part {
    pub(super) rows: f64,
    pub(super) excess: f64,
}

/// Every segment that was counted, by its literals in the order of their dimensions.
pub(super) type Parts = HashMap<Vec<Literal>, Part>;

/// What of `segment` lies in `named`. Exact where both together are a segment that was counted; else the share of
/// `named` that lies in `segment` is taken to be that of the rows that share what both have in common.
pub(super) fn overlap(parts: &Parts, segment: &[Literal], named: &[Literal]) -> Part {
    let mut both: Vec<Literal> = segment.to_vec();
    for literal in named {
        match both.iter().find(|other| other.dimension == literal.dimension) {
            Some(other) if other.level != literal.level => return Part::default(),
            Some(_) => {}
            None => both.push(*literal),
        }
    }
    both.sort_unstable();
    if both.len() <= 3 {
        return parts.get(&both).copied().unwrap_or_default();
    }
    let common: Vec<Literal> = segment.iter().filter(|literal| named.contains(literal)).copied().collect();
    let rows = |literals: &[Literal]| parts.get(literals).map_or(0.0, |part| part.rows);
    let share = rows(segment) / rows(&common).max(1.0);
    let named = parts.get(named).copied().unwrap_or_default();
    Part { rows: named.rows * share, excess: named.excess * share }
}
