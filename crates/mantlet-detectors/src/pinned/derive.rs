//! From the recorded stream of a confirmed attack to the rule that stops its like.

use std::collections::BTreeSet;

use mantlet_kernels::distance as distance2;
use mantlet_vocab::{Digest, Millis, NamedValue, Relation, Tensor};

use super::{Boundary, Constraint, Pin, PinError, PinnedRule, Trace, side_by_side};
use crate::{CallerState, Profile, RowFacts, StateLimits};

/// The most centres a region has.
const CENTRES: usize = 64;

/// Ordinary rows and what is known of them, beside the profile.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ordinary<'a> {
    /// The rows, as requests have them; training rows, as a rule.
    pub inputs: &'a [NamedValue],
    /// How far the best score of each is above the next, where it is known.
    pub margins: &'a [f32],
    /// Relations that may hold between the values of every ordinary row.
    pub relations: &'a [Relation],
}

/// Derives the rule that stops a confirmed attack, its replay and unseen variants, and no honest traffic.
///
/// # Errors
/// When nothing in the trace differs enough from honest traffic.
pub fn derive(trace: &Trace, profile: &Profile) -> Result<PinnedRule, PinError> {
    derive_from(trace, profile, &Ordinary::default())
}

/// As [`derive()`], with ordinary rows at hand: then boundaries, broken relations and unsure answers are pinned too, and
/// regions stay clear of every ordinary row.
///
/// # Errors
/// As [`derive()`].
pub fn derive_from(
    trace: &Trace,
    profile: &Profile,
    ordinary: &Ordinary<'_>,
) -> Result<PinnedRule, PinError> {
    let honest = &profile.honest;
    let mut state = CallerState::default();
    let limits = StateLimits::default();
    let mut facts: Vec<RowFacts> = Vec::new();
    let mut wins: Vec<Vec<f32>> = Vec::new();
    let mut first: Vec<Vec<f32>> = Vec::new();
    let mut margins = Vec::new();
    for row in &trace.rows {
        let encoded = profile.encode(&row.inputs);
        facts.extend(state.advance(profile, &encoded, &limits, Millis(0)));
        let rows = (0..encoded.rows.rows()).map(|index| encoded.rows.row(index).to_vec());
        if row.success {
            wins.extend(rows);
            margins.extend(row.margin);
        } else if first.len() < 16 {
            first.extend(rows);
        }
    }
    let (mut pins, mut words) = (Vec::new(), Vec::new());

    let near = facts.iter().map(|row| row.near).max().unwrap_or(0);
    let near = (near >= honest.near_needed).then(|| (honest.near_needed * 3 / 4).max(honest.near + 2));
    let aligned = facts.iter().map(|row| row.aligned).max().unwrap_or(0);
    // Where no honest row ever lies on a line, one is enough; the attack may have won with its first.
    let lines = if profile.lines_are_sure() { 1 } else { honest.aligned_needed + 1 };
    let aligned = (aligned >= lines).then_some(lines);
    let evidence = facts.iter().map(|row| row.evidence).fold(0.0, f64::max);
    let lower = (0.6 * honest.evidence_needed).max(1.2 * honest.evidence);
    let evidence = (evidence >= honest.evidence_needed).then_some(lower);
    if near.is_some() || aligned.is_some() || evidence.is_some() {
        let mut said = Vec::new();
        if let Some(near) = near {
            said.push(format!(
                "a caller who asks about {near} slight variations of one input (honest callers reach {})",
                honest.near
            ));
        }
        if let Some(aligned) = aligned {
            let times = if aligned == 1 { "once".to_owned() } else { format!("{aligned} times") };
            said.push(format!(
                "a caller who {times} asks about a point on the straight line between two earlier inputs, as \
                 halving the way to the decision boundary does"
            ));
        }
        if let Some(evidence) = evidence {
            said.push(format!(
                "a caller whose new inputs together are too odd for ordinary use (evidence {evidence:.1}, honest \
                 callers reach {:.1})",
                honest.evidence
            ));
        }
        words.push(said.join("; "));
        pins.push(Pin::Stream { near, aligned, evidence });
    }

    let plain: Vec<Vec<f32>> = {
        let encoded = profile.encode(ordinary.inputs);
        (0..encoded.rows.rows()).map(|row| encoded.rows.row(row).to_vec()).collect()
    };
    first.extend_from_slice(&plain);
    if let Some((centres, radii)) = region(&wins, &first, honest.radius) {
        words.push(match centres.len() {
            1 => "inputs within reach of the place where the attack succeeded".to_owned(),
            many => format!("inputs within reach of the {many} places where the attack succeeded"),
        });
        pins.push(Pin::Region { centres, radii });
    }

    if let Some(constraint) = constraint(&facts, profile) {
        let mut said = Vec::new();
        if let Some(outlier) = constraint.outlier {
            said.push(format!(
                "single inputs {outlier:.1} times as far from the training data as the outlier limit"
            ));
        }
        if let Some(rare) = constraint.rare {
            said.push(format!(
                "{rare} rare inputs among a caller's last sixteen new ones (honest callers reach {})",
                honest.rare
            ));
        }
        words.push(said.join("; "));
        pins.push(Pin::Constraint(constraint));
    }

    distinct(&mut wins);
    // A stream says more than its rows do: where it is pinned, single rows need not be told from ordinary ones.
    let streams = pins.iter().any(|pin| matches!(pin, Pin::Stream { .. }));
    if !streams && let Some(boundary) = Boundary::learn(profile, &wins, &plain) {
        words.push(format!(
            "inputs beyond a boundary learned between {} rows the attack succeeded with and {} ordinary ones",
            wins.len(),
            plain.len()
        ));
        pins.push(Pin::Learned(boundary));
    }
    let broken = broken(trace, profile, ordinary);
    if !broken.is_empty() {
        words.push(format!(
            "inputs that break one of {} relations between columns that hold in every training row",
            broken.len()
        ));
        pins.push(Pin::Relations { broken });
    }
    if let Some(margin) = unsure(&margins, ordinary.margins) {
        words.push(format!(
            "answers whose best score is less than {margin:.4} above the next (so are {} of {} ordinary ones)",
            ordinary.margins.iter().filter(|own| **own < margin).count(),
            ordinary.margins.len()
        ));
        pins.push(Pin::Unsure { margin });
    }

    if pins.is_empty() {
        return Err(PinError::Nothing { rows: trace.rows.len() });
    }
    Ok(PinnedRule::of(&trace.case, &trace.attack, pins.into_iter().zip(words).collect()))
}

/// The id of what is pinned.
pub(super) fn id_of(case: &str, pins: &[Pin]) -> String {
    let text = serde_json::to_vec(&(case, pins)).unwrap_or_default();
    format!("pin-{}", &Digest::of(&text).hex()[..12])
}

/// Each row once, in order of first appearance.
fn distinct(rows: &mut Vec<Vec<f32>>) {
    let mut seen = BTreeSet::new();
    rows.retain(|row| seen.insert(row.iter().map(|value| value.to_bits()).collect::<Vec<u32>>()));
}

/// The candidates that hold in every ordinary row and are broken by at least two, and a tenth, of the attack's successes.
fn broken(trace: &Trace, profile: &Profile, ordinary: &Ordinary<'_>) -> Vec<Relation> {
    if ordinary.relations.is_empty() {
        return Vec::new();
    }
    let Some(plain) = side_by_side(profile, ordinary.inputs) else { return Vec::new() };
    let wins: Vec<Tensor<f32>> = trace
        .rows
        .iter()
        .filter(|row| row.success)
        .filter_map(|row| side_by_side(profile, &row.inputs))
        .collect();
    let holds = |relation: &Relation| (0..plain.rows()).all(|row| relation.holds(plain.row(row)));
    let breaks = |relation: &Relation| {
        let count =
            wins.iter().filter(|win| (0..win.rows()).any(|row| !relation.holds(win.row(row)))).count();
        count >= 2 && count * 10 >= wins.len()
    };
    ordinary.relations.iter().filter(|relation| breaks(relation) && holds(relation)).cloned().collect()
}

/// A margin that at most one ordinary answer in a thousand stays below and four fifths of the attack's successes do.
fn unsure(wins: &[f32], ordinary: &[f32]) -> Option<f32> {
    let mut plain: Vec<f32> = ordinary.iter().copied().filter(|margin| margin.is_finite()).collect();
    if plain.len() < 100 || wins.is_empty() {
        return None;
    }
    plain.sort_by(f32::total_cmp);
    // Half of the smallest margin that still is common, so that rows like it are not met.
    let margin = 0.5 * plain[plain.len() / 1_000];
    let below = wins.iter().filter(|own| **own < margin).count();
    (margin > 0.0 && below * 5 >= wins.len() * 4).then_some(margin)
}

/// Balls around successful rows. A ball stays clear of the rows the attack began with, which are often honest
/// inputs: it reaches at most four tenths of the way to the nearest of them.
fn region(wins: &[Vec<f32>], first: &[Vec<f32>], radius: f32) -> Option<(Vec<Vec<f32>>, Vec<f32>)> {
    let (mut centres, mut radii): (Vec<Vec<f32>>, Vec<f32>) = (Vec::new(), Vec::new());
    // The last successes are the refined ones.
    for win in wins.iter().rev() {
        let clear = first.iter().map(|row| distance2(row, win)).fold(f32::INFINITY, f32::min).sqrt();
        let reach = radius.min(0.4 * clear);
        let apart = centres.iter().all(|centre| distance2(centre, win) > radius * radius / 4.0);
        if reach > 1e-3 && apart && centres.len() < CENTRES {
            centres.push(win.clone());
            radii.push(reach);
        }
    }
    (!centres.is_empty()).then_some((centres, radii))
}

fn constraint(facts: &[RowFacts], profile: &Profile) -> Option<Constraint> {
    let mut scores: Vec<f64> = facts.iter().map(|row| row.outlier).collect();
    scores.sort_by(f64::total_cmp);
    // A fifth of the attack's rows, far beyond the limit that an honest row in a thousand reaches.
    let strong = scores.get(scores.len() * 4 / 5).copied().unwrap_or(0.0);
    let outlier = (strong >= 1.5).then(|| (1.0 + strong) / 2.0);
    let most = facts.iter().map(|row| row.rare).max().unwrap_or(0);
    let limit = (profile.honest.rare + 3).max(6);
    let rare = (most >= limit).then_some(limit);
    (outlier.is_some() || rare.is_some()).then_some(Constraint { outlier, rare })
}
