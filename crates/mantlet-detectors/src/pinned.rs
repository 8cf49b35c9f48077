//! The guard rule that a confirmed attack yields.
//!
//! A rule pins up to three things, and any of them matching is a hit: how the attack's stream behaved, where in the
//! input space it succeeded, and what its rows were that honest rows are not. Each threshold is put between what
//! simulated honest sessions reach (written in the profile) and what the attack did; where the two touch, that
//! thing is not pinned.

use mantlet_kernels::distance as distance2;
use mantlet_vocab::{Digest, Millis, NamedValue, Signal};
use serde::{Deserialize, Serialize};

use crate::rooms::pinned_attack::ABOUT;
use crate::{CallerState, Encoded, Profile, RowFacts, StateLimits};

/// The most centres a region has.
const CENTRES: usize = 64;
/// Rows rarer than this are odd.
const ODD: f64 = 0.05;

/// The recorded stream of a confirmed attack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trace {
    /// Id of the case.
    pub case: String,
    /// Name of the attack, when known.
    pub attack: String,
    /// Its queries in order.
    pub rows: Vec<TraceRow>,
}

/// One query of an attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceRow {
    /// The inputs, one row.
    pub inputs: Vec<NamedValue>,
    /// The label the model gave, when it was asked.
    pub label: Option<usize>,
    /// Whether the attack succeeded with this row.
    pub success: bool,
}

/// Why a trace yields no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Nothing in the trace differs from honest traffic.
    #[error("nothing in the {rows} rows of the trace differs enough from honest traffic to be pinned")]
    Nothing {
        /// Rows of the trace.
        rows: usize,
    },
}

/// A guard rule derived from a confirmed attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedRule {
    /// Id, `pin-` and the start of a digest of what is pinned.
    pub id: String,
    /// The case it comes from.
    pub case: String,
    /// The attack's name, when known.
    pub attack: String,
    /// What is pinned; any of them matching is a hit.
    pub pins: Vec<Pin>,
    /// What it stops, in plain words, one line each.
    pub description: Vec<String>,
}

/// One thing a rule pins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "pin")]
pub enum Pin {
    /// How the attack's stream behaves.
    Stream {
        /// Distinct near rows from which it matches.
        near: Option<u32>,
        /// Rows on straight lines from which it matches.
        aligned: Option<u32>,
        /// Evidence against honest traffic from which it matches.
        evidence: Option<f64>,
    },
    /// Where in the input space the attack succeeded: balls around its successful rows.
    Region {
        /// Centres, in the profile's space.
        centres: Vec<Vec<f32>>,
        /// Radius around each.
        radii: Vec<f32>,
    },
    /// What honest rows are not and the attack's rows were.
    Constraint(Constraint),
}

/// A constraint on rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// Outlier score from which a single row matches.
    pub outlier: Option<f64>,
    /// Rare rows among the last sixteen new ones from which the stream matches.
    pub rare: Option<u32>,
}

impl Pin {
    /// Which row matches first, and why.
    fn look(&self, encoded: &Encoded, rows: &[RowFacts]) -> Option<(u64, String)> {
        match self {
            Self::Stream { near, aligned, evidence } => rows.iter().find_map(|row| {
                if near.is_some_and(|near| row.near >= near) {
                    return Some((row.row, format!("varies {} recent rows slightly", row.near)));
                }
                if row.on_line && aligned.is_some_and(|aligned| row.aligned >= aligned) {
                    return Some((row.row, "lies on a straight line through two earlier rows".into()));
                }
                (evidence.is_some_and(|evidence| row.evidence >= evidence))
                    .then(|| (row.row, "continues a stream too odd to be ordinary use".into()))
            }),
            Self::Region { centres, radii } => rows.iter().enumerate().find_map(|(index, row)| {
                let values = (index < encoded.rows.rows()).then(|| encoded.rows.row(index))?;
                centres
                    .iter()
                    .zip(radii)
                    .any(|(centre, radius)| distance2(values, centre) <= radius * radius)
                    .then(|| (row.row, "lies where the attack succeeded".into()))
            }),
            Self::Constraint(Constraint { outlier, rare }) => rows.iter().find_map(|row| {
                let odd = outlier.is_some_and(|outlier| row.outlier >= outlier);
                let many = rare.is_some_and(|rare| row.rare >= rare && row.rarity <= ODD);
                (odd || many)
                    .then(|| (row.row, "is what the attack's rows were and honest rows are not".into()))
            }),
        }
    }
}

impl PinnedRule {
    /// Judges the rows of a request.
    #[must_use]
    pub fn look(&self, encoded: &Encoded, rows: &[RowFacts]) -> Option<Signal> {
        let (row, why) =
            self.pins.iter().filter_map(|pin| pin.look(encoded, rows)).min_by_key(|(row, _)| *row)?;
        let message = format!("row {row} {why}, as in the confirmed attack of case {}", self.case);
        Some(ABOUT.signal(1.0, message).fact("rule", self.id.as_str()).fact("case", self.case.as_str()))
    }
}

/// Derives the rule that stops a confirmed attack, its replay and unseen variants, and no honest traffic.
///
/// # Errors
/// When nothing in the trace differs enough from honest traffic.
pub fn derive(trace: &Trace, profile: &Profile) -> Result<PinnedRule, PinError> {
    let honest = &profile.honest;
    let mut state = CallerState::default();
    let limits = StateLimits::default();
    let mut facts: Vec<RowFacts> = Vec::new();
    let mut wins: Vec<Vec<f32>> = Vec::new();
    let mut first: Vec<Vec<f32>> = Vec::new();
    for row in &trace.rows {
        let encoded = profile.encode(&row.inputs);
        facts.extend(state.advance(profile, &encoded, &limits, Millis(0)));
        let rows = (0..encoded.rows.rows()).map(|index| encoded.rows.row(index).to_vec());
        if row.success {
            wins.extend(rows);
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
        if let Some(near) = near {
            words.push(format!(
                "a caller who asks about {near} slight variations of one input (honest callers reach {})",
                honest.near
            ));
        }
        if let Some(aligned) = aligned {
            let times = if aligned == 1 { "once".to_owned() } else { format!("{aligned} times") };
            words.push(format!(
                "a caller who {times} asks about a point on the straight line between two earlier inputs, as \
                 halving the way to the decision boundary does"
            ));
        }
        if let Some(evidence) = evidence {
            words.push(format!(
                "a caller whose new inputs together are too odd for ordinary use (evidence {evidence:.1}, honest \
                 callers reach {:.1})",
                honest.evidence
            ));
        }
        pins.push(Pin::Stream { near, aligned, evidence });
    }

    if let Some((centres, radii)) = region(&wins, &first, honest.radius) {
        words.push(match centres.len() {
            1 => "inputs within reach of the place where the attack succeeded".to_owned(),
            many => format!("inputs within reach of the {many} places where the attack succeeded"),
        });
        pins.push(Pin::Region { centres, radii });
    }

    if let Some(constraint) = constraint(&facts, profile) {
        if let Some(outlier) = constraint.outlier {
            words.push(format!(
                "single inputs {outlier:.1} times as far from the training data as the outlier limit"
            ));
        }
        if let Some(rare) = constraint.rare {
            words.push(format!(
                "{rare} rare inputs among a caller's last sixteen new ones (honest callers reach {})",
                honest.rare
            ));
        }
        pins.push(Pin::Constraint(constraint));
    }

    if pins.is_empty() {
        return Err(PinError::Nothing { rows: trace.rows.len() });
    }
    let text = serde_json::to_vec(&(&trace.case, &pins)).unwrap_or_default();
    let id = format!("pin-{}", &Digest::of(&text).hex()[..12]);
    Ok(PinnedRule { id, case: trace.case.clone(), attack: trace.attack.clone(), pins, description: words })
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
