//! One row's walk along the boundary.

use serde::{Deserialize, Serialize};

use crate::{Constraints, Random};

/// What a walk looks at while it asks and is answered.
pub(super) struct Look<'a> {
    pub(super) original: &'a [f32],
    pub(super) constraints: &'a Constraints,
    pub(super) directions: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Phase {
    /// Trying start rows.
    Starting,
    /// Halving the way between the original and an adversarial row.
    Halving { from: Vec<f32>, low: f32, high: f32 },
    /// Random directions around the boundary point, with their changes in units of intervals.
    Feeling { changes: Vec<Vec<f32>> },
    /// Stepping along the estimated normal, halving the step until the row is adversarial.
    Stepping { normal: Vec<f32>, reach: f32, tries: u32 },
    /// No more.
    Done,
}

/// One row's walk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Walk {
    pub(super) row: usize,
    pub(super) label: usize,
    pub(super) queries: u64,
    starts: Vec<Vec<f32>>,
    phase: Phase,
    /// The current adversarial row near the boundary.
    here: Vec<f32>,
    step: u32,
    best: Option<(f32, Vec<f32>, usize)>,
    pending: Vec<Vec<f32>>,
    broken: bool,
}

impl Walk {
    pub(super) const fn new(row: usize, label: usize, starts: Vec<Vec<f32>>) -> Self {
        Self {
            row,
            label,
            queries: 0,
            starts,
            phase: Phase::Starting,
            here: Vec::new(),
            step: 1,
            best: None,
            pending: Vec::new(),
            broken: false,
        }
    }

    pub(super) const fn done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    pub(super) const fn broken(&self) -> bool {
        self.broken
    }

    pub(super) fn best(&self) -> Option<&[f32]> {
        self.best.as_ref().map(|(_, row, _)| row.as_slice())
    }

    pub(super) fn best_distance(&self) -> Option<f32> {
        self.best.as_ref().map(|(distance, _, _)| *distance)
    }

    pub(super) fn best_class(&self) -> Option<usize> {
        self.best.as_ref().map(|(_, _, class)| *class)
    }

    /// The values of the rows asked last.
    pub(super) fn pending(&self) -> impl Iterator<Item = f32> + '_ {
        self.pending.iter().flatten().copied()
    }

    /// Makes the rows to ask next and says how many; 0 ends the walk.
    pub(super) fn ask(&mut self, look: &Look<'_>, left: u64, random: &mut Random) -> usize {
        self.pending.clear();
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        if left > 0 {
            let mut phase = std::mem::replace(&mut self.phase, Phase::Done);
            match &mut phase {
                Phase::Starting => self.pending.extend(self.starts.pop()),
                Phase::Halving { from, low, high } => {
                    let share = f32::midpoint(*low, *high);
                    let mut row: Vec<f32> =
                        look.original.iter().zip(from.iter()).map(|(o, f)| o + share * (f - o)).collect();
                    look.constraints.repair(look.original, &mut row);
                    self.pending.push(row);
                }
                Phase::Feeling { changes } => {
                    *changes = self.feel(look, left, random);
                }
                Phase::Stepping { normal, reach, .. } => {
                    let mut row: Vec<f32> = self
                        .here
                        .iter()
                        .zip(normal.iter())
                        .enumerate()
                        .map(|(place, (here, normal))| here + *reach * normal * look.constraints.width(place))
                        .collect();
                    look.constraints.repair(look.original, &mut row);
                    self.pending.push(row);
                }
                Phase::Done => {}
            }
            self.phase = phase;
        }
        if self.pending.is_empty() {
            self.phase = Phase::Done;
        }
        self.queries += self.pending.len() as u64;
        self.pending.len()
    }

    /// Asks random directions; returns their changes as they were after repair.
    fn feel(&mut self, look: &Look<'_>, left: usize, random: &mut Random) -> Vec<Vec<f32>> {
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let (len, wanted) = (look.original.len() as f32, look.directions as f32 * (self.step as f32).sqrt());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive count")]
        let count = (wanted as usize).min(left);
        if count < 2 {
            return Vec::new();
        }
        let distance = look.constraints.distances(look.original, &self.here).l2;
        let probe = if self.step == 1 { 0.1 } else { (len.sqrt() * tolerance(len) * distance).max(1e-4) };
        let mut changes = Vec::with_capacity(count);
        for _ in 0..count {
            let mut direction: Vec<f32> = (0..look.original.len())
                .map(|place| if look.constraints.at(place).immutable { 0.0 } else { random.normal() })
                .collect();
            normalise(&mut direction);
            let mut row = self.here.clone();
            for (place, (value, direction)) in row.iter_mut().zip(&direction).enumerate() {
                let width = look.constraints.width(place);
                let change = probe * direction * width;
                // A whole number moves by whole steps, at random in proportion, or not at all.
                *value += if look.constraints.at(place).integer {
                    let (whole, rest) = (change.trunc(), change.fract());
                    whole + if random.unit() < rest.abs().max(0.1) { change.signum() } else { 0.0 }
                } else {
                    change
                };
            }
            look.constraints.repair(look.original, &mut row);
            changes.push(
                row.iter()
                    .zip(&self.here)
                    .enumerate()
                    .map(|(place, (row, here))| (row - here) / look.constraints.width(place))
                    .collect(),
            );
            self.pending.push(row);
        }
        changes
    }

    /// Takes the labels of the rows asked last.
    pub(super) fn answer(&mut self, look: &Look<'_>, labels: &[usize]) {
        if labels.len() != self.pending.len() {
            self.broken = true;
            self.phase = Phase::Done;
            return;
        }
        for (row, &class) in self.pending.iter().zip(labels) {
            if class == self.label || !look.constraints.obeys(look.original, row) {
                continue;
            }
            let distance = look.constraints.distances(look.original, row).l2;
            if self.best.as_ref().is_none_or(|(best, _, _)| distance < *best) {
                self.best = Some((distance, row.clone(), class));
            }
        }
        let evaded = labels.first().is_some_and(|class| *class != self.label);
        let first = self.pending.first().cloned().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a row's length")]
        let len = look.original.len() as f32;
        let phase = std::mem::replace(&mut self.phase, Phase::Done);
        self.phase = match phase {
            Phase::Starting if evaded => Phase::Halving { from: first, low: 0.0, high: 1.0 },
            Phase::Starting => Phase::Starting,
            Phase::Halving { from, low, high } => {
                let middle = f32::midpoint(low, high);
                let (low, high) = if evaded { (low, middle) } else { (middle, high) };
                if evaded || self.here.is_empty() {
                    self.here = if evaded { first } else { from.clone() };
                }
                if high - low > tolerance(len).max(1e-4) {
                    Phase::Halving { from, low, high }
                } else {
                    if high >= 1.0 {
                        self.here = from;
                    }
                    Phase::Feeling { changes: Vec::new() }
                }
            }
            Phase::Feeling { changes } => {
                let normal = estimate(&changes, labels, self.label);
                let distance = look.constraints.distances(look.original, &self.here).l2;
                #[expect(clippy::cast_precision_loss, reason = "a step number")]
                let reach = distance / (self.step as f32).sqrt();
                if normal.is_empty() || reach <= 0.0 {
                    self.next_step()
                } else {
                    Phase::Stepping { normal, reach, tries: 0 }
                }
            }
            Phase::Stepping { .. } if evaded => {
                self.step += 1;
                Phase::Halving { from: first, low: 0.0, high: 1.0 }
            }
            Phase::Stepping { normal, reach, tries } if tries < 12 => {
                Phase::Stepping { normal, reach: reach / 2.0, tries: tries + 1 }
            }
            Phase::Stepping { .. } => self.next_step(),
            Phase::Done => Phase::Done,
        };
    }

    fn next_step(&mut self) -> Phase {
        self.step += 1;
        if self.step > 10_000 { Phase::Done } else { Phase::Feeling { changes: Vec::new() } }
    }
}

/// How exactly the boundary is found, as a share of the way.
fn tolerance(len: f32) -> f32 {
    1.0 / (len * len.sqrt())
}

/// The estimated normal: the mean of changes weighted by which side they fell, less the mean side.
fn estimate(changes: &[Vec<f32>], labels: &[usize], label: usize) -> Vec<f32> {
    let sides: Vec<f32> = labels.iter().map(|class| if *class == label { -1.0 } else { 1.0 }).collect();
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let mean = sides.iter().sum::<f32>() / sides.len().max(1) as f32;
    // All on one side: the mean of the changes is all there is.
    let offset = if mean.abs() >= 1.0 { 0.0 } else { mean };
    let mut normal = vec![0.0; changes.first().map_or(0, Vec::len)];
    for (change, side) in changes.iter().zip(&sides) {
        for (normal, change) in normal.iter_mut().zip(change) {
            *normal += (side - offset) * change;
        }
    }
    if normalise(&mut normal) { normal } else { Vec::new() }
}

/// Scales to length 1; false when there is no direction.
fn normalise(values: &mut [f32]) -> bool {
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 1e-30 && length.is_finite() {
        values.iter_mut().for_each(|value| *value /= length);
        true
    } else {
        false
    }
}
