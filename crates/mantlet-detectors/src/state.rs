//! What is remembered of one caller, and the facts of a row in its light.
//!
//! A row's facts depend on the rows before it and on nothing else: neither on how rows were cut into requests nor
//! on the answers. What depends on answers ([`CallerState::answered`]) has a memory of its own.

use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};

use crate::{Encoded, Profile};

/// Evidence from which a stream is not honest traffic, unless honest sessions already showed more: a likelihood
/// ratio of about 3,000 against traffic three times as odd as the training table.
pub(crate) const EVIDENCE: f64 = 8.0;

/// Log-likelihood ratios of a new row by how rare it is among honest rows: (rarity below, ratio). Honest traffic is
/// granted up to four times the training table's share of such rows, so that drift is not an attack; attack
/// traffic is taken to have 40 % below 0.01 and 20 % up to 0.05.
const RATIOS: [(f64, f64); 2] = [(0.01, 2.303), (0.05, 0.511)];
/// The ratio of a row that is not rare: ln(0.40 / 0.84).
const COMMON: f64 = -0.742;
/// Evidence beyond this many times the threshold is not kept, so that a caller can recover.
const CAP: f64 = 5.0;

/// A row nearer than this (squared) is the same row.
const SAME: f32 = 1e-9;
/// A point is on a line when it is off by less than this share of the shortest leg.
const OFF_LINE: f64 = 0.02;
/// Legs that differ by more than this factor say nothing about a line in `f32`.
const LEGS: f64 = 8.0;

/// How much is remembered of one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateLimits {
    /// Recent distinct rows kept, at most 64.
    pub trail: usize,
    /// Length of the window of the extraction budget in milliseconds.
    pub window_ms: u64,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { trail: 48, window_ms: 24 * 3_600_000 }
    }
}

/// What is remembered of one caller: bounded by [`StateLimits`], serialisable, advanced one row at a time.
///
/// The states of one caller on two machines cannot be merged (they are orders, not sums): each is told the rows of the
/// other instead, and takes them as its own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CallerState {
    /// Rows seen so far.
    pub rows: u64,
    /// When the last row came.
    pub last: Millis,
    /// Recent distinct rows, a ring.
    trail: Vec<f32>,
    /// Squared distances between them: of each to those in the places before it.
    between: Vec<f32>,
    /// The next place of the ring to write.
    place: usize,
    /// Bit n: whether the distinct row n rows ago was on a line.
    aligned: u64,
    /// Bit n: whether the distinct row n rows ago was very near one before it.
    #[serde(default)]
    close: u64,
    /// Bit n: whether the new row n rows ago was rare.
    rare: u64,
    evidence: f64,
    window: Millis,
    spent: u64,
    answers: Answers,
}

/// Recent rows with their labels, a ring.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Answers {
    rows: Vec<f32>,
    labels: Vec<u32>,
    place: usize,
    /// Bit n: whether answer n answers ago differed from that of a near row.
    flips: u64,
}

/// The facts of one row in the light of its caller's past.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RowFacts {
    /// The row's number in the caller's stream, counted from 1.
    pub row: u64,
    /// Outlier score; 1.0 is the calibrated threshold.
    pub outlier: f64,
    /// The share of honest rows at least as odd as this one.
    pub rarity: f64,
    /// Whether this row repeats a remembered one exactly.
    pub repeats: bool,
    /// Distinct remembered rows very near this one.
    pub near: u32,
    /// Distance to the nearest distinct remembered row, in the profile's space; 0 when there is none.
    pub nearest: f64,
    /// Whether this row lies on a straight line through two remembered ones.
    pub on_line: bool,
    /// How many of the recent distinct rows did.
    pub aligned: u32,
    /// Rare rows among the last sixteen new ones.
    pub rare: u32,
    /// Evidence that the stream is not honest traffic: a sum of log-likelihood ratios, never below 0.
    pub evidence: f64,
    /// New rows asked about in the current budget window.
    pub spent: u64,
}

impl CallerState {
    /// Takes the rows of one request, before the model is asked.
    pub fn advance(
        &mut self,
        profile: &Profile,
        rows: &Encoded,
        limits: &StateLimits,
        now: Millis,
    ) -> Vec<RowFacts> {
        (0..rows.rows.rows()).map(|row| self.step(profile, rows.rows.row(row), limits, now)).collect()
    }

    /// Counts rows that were asked about and cannot be shown, as new ones.
    pub fn count(&mut self, rows: u64, limits: &StateLimits, now: Millis) {
        if rows > 0 {
            if now.since(self.window) >= limits.window_ms {
                (self.window, self.spent) = (now, 0);
            }
            self.rows = self.rows.saturating_add(rows);
            self.spent = self.spent.saturating_add(rows);
        }
    }

    /// Takes one encoded row.
    pub(crate) fn step(
        &mut self,
        profile: &Profile,
        row: &[f32],
        limits: &StateLimits,
        now: Millis,
    ) -> RowFacts {
        let capacity = limits.trail.clamp(4, 64);
        self.fit(row.len(), capacity);
        self.rows += 1;
        self.last = self.last.max(now);
        if now.since(self.window) >= limits.window_ms {
            (self.window, self.spent) = (now, 0);
        }
        let radius = profile.honest.radius * profile.honest.radius;
        let mut distances = [0.0_f32; 64];
        let held = self.trail.len() / row.len().max(1);
        let (mut repeats, mut near, mut nearest) = (false, 0, f32::INFINITY);
        mantlet_kernels::distances(row, &self.trail, &mut distances);
        for &distance in &distances[..held] {
            if distance <= SAME {
                repeats = true;
            } else {
                near += u32::from(distance < radius);
                nearest = nearest.min(distance);
            }
        }
        let score = profile.typical.score(row);
        let rarity = profile.typical.rarity(score);
        let on_line = !repeats && self.on_line(&distances[..held], f64::from(radius));
        if !repeats {
            self.aligned = self.aligned << 1 | u64::from(on_line);
            self.close = self.close << 1 | u64::from(near > 0);
            self.remember(row, &distances[..held], capacity);
        }
        // Only what is new carries evidence and spends budget: retries do not.
        if !repeats && near == 0 {
            self.rare = self.rare << 1 | u64::from(rarity <= RATIOS[0].0);
            let ratio = RATIOS.iter().find(|(below, _)| rarity <= *below).map_or(COMMON, |(_, ratio)| *ratio);
            let most = CAP * profile.honest.evidence_needed.min(1e6);
            self.evidence = (self.evidence + ratio).clamp(0.0, most);
            self.spent += 1;
        }
        RowFacts {
            row: self.rows,
            outlier: f64::from(score) / f64::from(profile.typical.threshold),
            rarity,
            repeats,
            near,
            nearest: if nearest.is_finite() { f64::from(nearest.sqrt()) } else { 0.0 },
            on_line,
            aligned: self.aligned.count_ones(),
            rare: (self.rare & 0xffff).count_ones(),
            evidence: self.evidence,
            spent: self.spent,
        }
    }

    /// Takes the labels the model gave to the rows of one request; says after each row how often, in the recent
    /// past, near rows had different labels.
    pub fn answered(
        &mut self,
        profile: &Profile,
        rows: &Encoded,
        labels: &[usize],
        limits: &StateLimits,
    ) -> Vec<u32> {
        let capacity = limits.trail.clamp(4, 64);
        let width = rows.rows.row_len().max(1);
        let radius = profile.honest.radius * profile.honest.radius;
        let answers = &mut self.answers;
        if answers.rows.len() != answers.labels.len() * width || answers.labels.len() > capacity {
            *answers = Answers::default();
        }
        let mut counts = Vec::with_capacity(labels.len());
        for (row, &label) in (0..rows.rows.rows()).zip(labels) {
            let row = rows.rows.row(row);
            let label = u32::try_from(label).unwrap_or(u32::MAX);
            let mut flip = false;
            let mut known = false;
            let mut distances = [0.0_f32; 64];
            mantlet_kernels::distances(row, &answers.rows, &mut distances);
            for (&distance, &theirs) in distances.iter().zip(&answers.labels) {
                known |= distance <= SAME;
                flip |= distance < radius && theirs != label;
            }
            if !known {
                answers.flips = answers.flips << 1 | u64::from(flip);
                if answers.labels.len() < capacity {
                    make_room(&mut answers.rows, width, capacity * width);
                    answers.rows.extend_from_slice(row);
                    answers.labels.push(label);
                } else {
                    let place = answers.place % capacity;
                    answers.rows[place * width..(place + 1) * width].copy_from_slice(row);
                    answers.labels[place] = label;
                    answers.place = (place + 1) % capacity;
                }
            }
            counts.push(answers.flips.count_ones());
        }
        counts
    }

    /// How suspicious this caller looks, for choosing whom to forget: 0 is nothing known.
    #[must_use]
    pub fn suspicion(&self) -> f64 {
        let steps = self.aligned.count_ones() + self.close.count_ones() + self.answers.flips.count_ones();
        self.evidence + f64::from(steps)
    }

    /// Bytes it holds, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let floats = self.trail.capacity() + self.between.capacity() + self.answers.rows.capacity();
        size_of::<Self>() + 4 * (floats + self.answers.labels.capacity())
    }

    /// Starts afresh when the profile or the limits have changed since the state was stored.
    fn fit(&mut self, width: usize, capacity: usize) {
        let held = self.trail.len() / width.max(1);
        let fits = self.trail.len() == held * width
            && held <= capacity
            && self.between.len() == triangle(held)
            && (held == capacity || self.place == 0)
            && self.place < capacity;
        if !fits {
            (self.trail, self.between, self.place) = (Vec::new(), Vec::new(), 0);
        }
    }

    /// Whether the row with these distances to the remembered ones lies on a line through two of them. The triangle
    /// of three points has its area by Heron's formula; it is flat when its height over the longest leg is small
    /// beside its shortest leg. Legs within the radius do not count: an input made a little lighter or darker again
    /// and again moves along a line too, and is a local search if it is anything.
    fn on_line(&self, distances: &[f32], radius: f64) -> bool {
        distances.iter().enumerate().any(|(i, &a)| {
            let between = self.between.get(triangle(i)..triangle(i + 1)).unwrap_or(&[]);
            may_be_flat(a, &distances[..i], between)
                && distances.iter().zip(between).any(|(&b, &c)| is_flat(a, b, c, radius))
        })
    }

    fn remember(&mut self, row: &[f32], distances: &[f32], capacity: usize) {
        let held = distances.len();
        if held < capacity {
            make_room(&mut self.trail, row.len(), capacity * row.len());
            make_room(&mut self.between, held, triangle(capacity));
            self.trail.extend_from_slice(row);
            self.between.extend_from_slice(distances);
            return;
        }
        let place = self.place;
        self.trail[place * row.len()..(place + 1) * row.len()].copy_from_slice(row);
        self.place = (place + 1) % capacity;
        self.between[triangle(place)..triangle(place + 1)].copy_from_slice(&distances[..place]);
        for (slot, &distance) in distances.iter().enumerate().skip(place + 1) {
            self.between[triangle(slot) + place] = distance;
        }
    }
}

/// How many pairs there are of so many things, and so where the distances of the next one to them begin.
const fn triangle(count: usize) -> usize {
    count * count.saturating_sub(1) / 2
}

/// Makes room for more values, half as many again at a time, and never for more than there will be: of thousands of
/// callers, room that stays empty is most of the memory.
fn make_room(values: &mut Vec<f32>, more: usize, most: usize) {
    if values.capacity() - values.len() < more {
        let half = (values.len() / 2).min(most.saturating_sub(values.len()));
        values.reserve_exact(half.max(more));
    }
}

const FLAT: f64 = OFF_LINE * OFF_LINE;

/// Whether the triangle with these squared legs is flat.
fn is_flat(a: f32, b: f32, c: f32, radius: f64) -> bool {
    let (a, b, c) = (f64::from(a), f64::from(b), f64::from(c));
    let sum = a + b - c;
    // Sixteen times the squared area.
    let area = 4.0 * a * b - sum * sum;
    let (short, long) = (a.min(b).min(c), a.max(b).max(c));
    // (2 area / long)^2 < FLAT * short^2, with every length squared.
    short > radius && area < 4.0 * FLAT * short * long && long <= LEGS * LEGS * short
}

/// Whether any of the triangles with the leg `a` may be flat: the same in `f32`, four at a time, without a branch. What
/// rounding in `f32` can change is at most a few times its step, relative to the longest leg squared; a hundred times
/// that is granted.
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "what is no number counts as flat")]
fn may_be_flat(a: f32, b: &[f32], c: &[f32]) -> bool {
    const GRANTED: f32 = 1e-5;
    #[expect(clippy::cast_possible_truncation, reason = "a bound that rounding cannot matter to")]
    const FOUR_FLAT: f32 = 4.0 * FLAT as f32;
    let less = |x: f32, y: f32| if x < y { x } else { y };
    let more = |x: f32, y: f32| if x > y { x } else { y };
    let mut any = 0_u32;
    for (&b, &c) in b.iter().zip(c) {
        let sum = a + b - c;
        let area = 4.0 * a * b - sum * sum;
        let (short, long) = (less(less(a, b), c), more(more(a, b), c));
        any |= u32::from(!(area >= FOUR_FLAT * short * long + GRANTED * long * long));
    }
    any != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_flat_is_never_passed_over() {
        let mut seed = 7_u64;
        let mut unit = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as f32 / 16_777_216.0
        };
        let (mut flat, mut passed) = (0, 0);
        for _ in 0..200_000 {
            // A point near the line through two others, in a plane, of any size.
            let size = 10.0_f32.powf(unit() * 8.0 - 4.0);
            let (along, off) = (unit() * 3.0 - 1.0, unit() * 0.06);
            let a = size * (along * along + off * off);
            let b = size * ((along - 1.0) * (along - 1.0) + off * off);
            let may = may_be_flat(a, &[b], &[size]);
            if is_flat(a, b, size, 0.0) {
                flat += 1;
                assert!(may, "{a} {b} {size}");
            }
            passed += u32::from(!may);
        }
        assert!(flat > 10_000 && passed > 10_000, "{flat} {passed}");
        assert!(may_be_flat(f32::NAN, &[1.0], &[1.0]) && may_be_flat(f32::INFINITY, &[1.0], &[1.0]));
    }
}
