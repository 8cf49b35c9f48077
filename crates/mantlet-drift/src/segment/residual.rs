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
///
/// Ranges of a number go with errors as words seldom do, and that share would be too small: with one of them among both,
/// it is the least change of any three of their conditions, which all hold it.
pub(super) fn overlap(parts: &Parts, segment: &[Literal], named: &[Literal], cut: &[bool]) -> Part {
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
    if both.iter().any(|literal| cut.get(literal.dimension) == Some(&true)) {
        return held(parts, &both);
    }
    let common: Vec<Literal> = segment.iter().filter(|literal| named.contains(literal)).copied().collect();
    let rows = |literals: &[Literal]| parts.get(literals).map_or(0.0, |part| part.rows);
    let share = rows(segment) / rows(&common).max(1.0);
    let named = parts.get(named).copied().unwrap_or_default();
    Part { rows: named.rows * share, excess: named.excess * share }
}

/// The part with the least change of all that three of these conditions make.
fn held(parts: &Parts, both: &[Literal]) -> Part {
    let mut least: Option<Part> = None;
    for (at, a) in both.iter().enumerate() {
        for (next, b) in both.iter().enumerate().skip(at + 1) {
            for c in both.iter().skip(next + 1) {
                let part = parts.get([*a, *b, *c].as_slice()).copied().unwrap_or_default();
                if least.is_none_or(|least| part.excess.abs() < least.excess.abs()) {
                    least = Some(part);
                }
            }
        }
    }
    least.unwrap_or_default()
}
