//! A confirmed attack: its stream as a trace, and the smallest campaign that shows it again.

use mantlet_attacks::{Detail, Goal, Material, State};
use mantlet_detectors::{Trace, TraceRow};
use mantlet_redteam::{Campaign, Case, Learner, NoJournal, ProbeReport, Target};
use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};

use super::{Hurried, Layout, Stream};

/// The most start rows a smallest campaign keeps.
const STARTS: usize = 40;
/// Rows tried alone.
const TRIED: usize = 3;

/// A hit, kept so that anybody can see it and try it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reproducer {
    /// Version of this form.
    pub format: u32,
    /// The case's id.
    pub id: String,
    /// The attack.
    pub attack: String,
    /// Whether the case holds one row only, or the whole campaign because no single row showed it again.
    pub minimal: bool,
    /// One row before and after, with the model's classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Example>,
    /// What is replayed.
    pub case: Case,
}

/// One row before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// As it was.
    pub before: Vec<f32>,
    /// As it was sent.
    pub after: Vec<f32>,
    /// The model's class of the first.
    pub class_before: Option<usize>,
    /// The model's class of the second.
    pub class_after: Option<usize>,
}

/// Whether the attack worked with the file's gradients, so that an endpoint sees its results only.
pub(super) fn by_gradients(report: &ProbeReport) -> bool {
    matches!(
        report.outcome.as_ref().map(|outcome| &outcome.detail),
        Some(Detail::Evasion { gradients: true, .. })
    )
}

/// The rows an attack with gradients ended with: what an endpoint would be sent.
pub(super) fn results(campaign: &Campaign, report: &ProbeReport) -> Vec<(usize, Tensor)> {
    let outcome = report.outcome.iter().flat_map(|outcome| &outcome.rows);
    let hits = outcome.filter(|row| row.state == State::Hit);
    hits.filter_map(|row| Some((row.row, one(campaign, row.changed.as_ref()?)?))).collect()
}

/// The trace of a confirmed attack, with its successes marked.
pub(super) fn trace(campaign: &Campaign, report: &ProbeReport, stream: &Stream, layout: &Layout) -> Trace {
    if damages(campaign) {
        return damaged(campaign, report, stream, layout);
    }
    let mut trace = Trace { case: String::new(), attack: campaign.attack.clone(), rows: Vec::new() };
    let succeeds = success(campaign, report);
    for (at, (row, label, margin)) in stream.iter().enumerate() {
        let Some(tensor) = one(campaign, row) else { continue };
        let success = succeeds(at, row, label);
        trace.rows.push(TraceRow { inputs: layout.inputs(&tensor), label, margin, success });
    }
    trace
}

/// The attack that damages rows as sensors and forms do.
const DAMAGE: &str = "robustness-corruptions";
/// Damaged rows kept in a trace.
const DAMAGED: usize = 400;
/// Undamaged rows kept before them.
const UNDAMAGED: usize = 16;

/// Whether an attack is one of damage, of which a guard can be told.
pub(super) fn damages(campaign: &Campaign) -> bool {
    campaign.attack == DAMAGE
}

/// What was asked about, and of the damaged rows those that were misread although the row itself was read right: at most
/// so many, spread over all kinds of damage.
pub(super) fn misread<'s>(
    campaign: &Campaign,
    report: &ProbeReport,
    stream: &'s Stream,
    most: usize,
) -> Vec<(&'s [f32], Option<usize>, Option<f32>)> {
    let labels = &campaign.material.labels;
    let before = report.outcome.iter().flat_map(|outcome| outcome.rows.iter().map(|row| row.before));
    let before: Vec<Option<usize>> = before.collect();
    let n = labels.len().max(1);
    let wrong: Vec<_> = stream
        .iter()
        .enumerate()
        .skip(n)
        .filter(|(at, (_, label, _))| {
            let own = labels.get(at % n).copied();
            before.get(at % n).copied().flatten() == own && label.is_some() && *label != own
        })
        .map(|(_, heard)| heard)
        .collect();
    let step = wrong.len().div_ceil(most.max(1)).max(1);
    wrong.into_iter().step_by(step).collect()
}

/// The trace of damage: some rows as they were, then what was misread.
fn damaged(campaign: &Campaign, report: &ProbeReport, stream: &Stream, layout: &Layout) -> Trace {
    let mut trace = Trace { case: String::new(), attack: campaign.attack.clone(), rows: Vec::new() };
    let plain = stream.iter().take(campaign.material.labels.len().min(UNDAMAGED)).map(|heard| (heard, false));
    let wrong = misread(campaign, report, stream, DAMAGED).into_iter().map(|heard| (heard, true));
    for ((row, label, margin), success) in plain.chain(wrong) {
        let Some(tensor) = one(campaign, row) else { continue };
        trace.rows.push(TraceRow { inputs: layout.inputs(&tensor), label, margin, success });
    }
    trace
}

/// A row in the shape of the campaign's.
pub(super) fn one(campaign: &Campaign, row: &[f32]) -> Option<Tensor> {
    let mut shape = campaign.material.rows.shape().to_vec();
    *shape.first_mut()? = 1;
    Tensor::new(shape, row.to_vec()).ok()
}

/// Whether a row of a stream is a success: its place, the row, the class that was answered.
type Succeeds<'a> = Box<dyn Fn(usize, &[f32], Option<usize>) -> bool + 'a>;

/// What makes a row of the stream a success.
fn success<'a>(campaign: &'a Campaign, report: &'a ProbeReport) -> Succeeds<'a> {
    let Some(outcome) = &report.outcome else {
        return Box::new(|_: usize, _: &[f32], _: Option<usize>| false);
    };
    let material = &campaign.material;
    match &outcome.detail {
        Detail::Evasion { norm, radius, .. } => {
            let (norm, radius) = (*norm, *radius);
            let originals: Vec<(usize, usize)> =
                outcome.rows.iter().filter_map(|row| Some((row.row, row.before?))).collect();
            let ended: Vec<&Vec<f32>> = outcome
                .rows
                .iter()
                .filter(|row| row.state == State::Hit)
                .filter_map(|row| row.changed.as_ref())
                .collect();
            let start = |row: &[f32]| {
                let same = |rows: &Tensor| (0..rows.rows()).any(|index| rows.row(index) == row);
                same(&material.rows) || material.pool.as_ref().is_some_and(same)
            };
            Box::new(move |_: usize, row: &[f32], label: Option<usize>| {
                if ended.iter().any(|changed| changed.as_slice() == row) {
                    return true;
                }
                let near = |(index, class): &(usize, usize)| {
                    let original = material.rows.row(*index);
                    label.is_some_and(|label| label != *class)
                        && material.constraints.distances(original, row).of(norm) <= radius
                        && material.constraints.obeys(original, row)
                };
                material.goal == Goal::Leave
                    && radius.is_finite()
                    && originals.iter().any(near)
                    && !start(row)
            })
        }
        Detail::Extraction { .. } => {
            let reached = report.curve.iter().find(|point| point.fidelity.value >= 0.8);
            let last = reached.or(report.curve.last()).map(|point| point.queries);
            Box::new(move |at: usize, _: &[f32], _: Option<usize>| last == Some(at + 1))
        }
        _ => Box::new(|_: usize, _: &[f32], _: Option<usize>| false),
    }
}

/// The smallest campaign that shows the hit again: one row where one row does, else the whole.
pub(super) fn smallest(
    campaign: &Campaign,
    report: &ProbeReport,
    target: &mut dyn Target,
    learner: &mut dyn Learner,
) -> Option<Reproducer> {
    let outcome = report.outcome.as_ref()?;
    let mut hits: Vec<_> = outcome.rows.iter().filter(|row| row.state == State::Hit).collect();
    let evasion = matches!(outcome.detail, Detail::Evasion { .. });
    hits.sort_by(|a, b| {
        let far =
            |row: &mantlet_attacks::RowOutcome| row.distances.map_or(f32::MAX, |distances| distances.l2);
        far(a).total_cmp(&far(b)).then(a.row.cmp(&b.row))
    });
    let of = |case: Case, minimal: bool, hit: Option<(&[f32], &mantlet_attacks::RowOutcome)>| Reproducer {
        format: 1,
        id: case.id.clone(),
        attack: case.attack.clone(),
        minimal,
        example: hit.and_then(|(before, row)| {
            Some(Example {
                before: before.to_vec(),
                after: row.changed.clone()?,
                class_before: row.before,
                class_after: row.after,
            })
        }),
        case,
    };
    if evasion {
        for hit in hits.iter().take(TRIED) {
            let mut one = campaign.clone();
            one.material = alone(&campaign.material, hit.row);
            let Ok(report) = one.run_with(target, learner, &mut NoJournal, &mut Hurried::default()) else {
                break;
            };
            let Some(case) = Case::of(&one, &report) else { continue };
            let row = report.outcome.as_ref().and_then(|outcome| outcome.rows.first().cloned());
            let before = one.material.rows.row(0).to_vec();
            return Some(of(case, true, row.as_ref().map(|row| (before.as_slice(), row))));
        }
    }
    let hit = hits.first().filter(|_| evasion).filter(|hit| hit.row < campaign.material.rows.rows());
    let example = hit.map(|hit| (campaign.material.rows.row(hit.row), *hit));
    Case::of(campaign, report).map(|case| of(case, false, example))
}

/// The material with one row, and fewer start rows.
fn alone(material: &Material, row: usize) -> Material {
    let mut one = material.clone();
    one.rows = material.rows.select(&[row]);
    one.labels = material.labels.get(row).copied().into_iter().collect();
    // Where ranks count, every row of the pool is a place.
    if let (Some(pool), false) = (&material.pool, matches!(material.goal, Goal::Ranked { .. })) {
        let kept: Vec<usize> = (0..pool.rows().min(STARTS)).collect();
        one.pool_labels.truncate(kept.len());
        one.pool = Some(pool.select(&kept));
    }
    one
}
