//! The search: every segment is tested, the chances are adjusted for all of them, and of segments that tell the same
//! story one is named.
//!
//! Long because errors, signals and shifts are tested side by side, and share how segments are named.

use std::collections::HashMap;

use super::residual::{Part, Parts, overlap};
use super::told::Told;
use super::way::{Cause, Cells, Fork, both, causes, moments, way};
use crate::cube::{Cell, Cube, Layout, RANK};
use crate::drift::plain;
use crate::statistic::{binomial_tail, normal_tails, real};
use crate::{DriftError, Profile};

/// Candidates that are looked at for what is left of them, strongest first.
const CANDIDATES: usize = 2000;

/// When a segment is named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SegmentSettings {
    /// The chance of any false alarm, over all segments and measures.
    pub alpha: f64,
    /// The fewest rows on each side.
    pub rows: u64,
    /// The least rise of a segment's error rate, beyond what happened everywhere.
    pub loss: f64,
    /// The least move of a segment's mean rank (0 to 1), beyond what happened everywhere.
    pub shift: f64,
    /// Segments named at most, of each kind.
    pub most: usize,
}

impl Default for SegmentSettings {
    fn default() -> Self {
        Self { alpha: 0.01, rows: 200, loss: 0.03, shift: 0.06, most: 5 }
    }
}

/// One condition of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Literal {
    /// The dimension's place in the layout.
    pub dimension: usize,
    /// The level.
    pub level: u8,
}

/// A segment that is named.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its conditions; levels of one dimension are alternatives.
    pub conditions: Vec<(usize, Vec<u8>)>,
    /// The measure that moved; nothing for errors.
    pub measure: Option<usize>,
    /// Rows now.
    pub rows: u64,
    /// The error rate, or the mean rank, in the reference.
    pub before: f64,
    /// The same now.
    pub now: f64,
    /// The same over all rows, in the reference and now.
    pub everywhere: (f64, f64),
    /// The part of all errors now that is this segment's excess; 0 for shifts.
    pub share: f64,
    /// The chance, adjusted for every test of the search.
    pub chance: f64,
    /// The error rate that the segment's past and what happened everywhere explain; 0 for shifts.
    pub expected: f64,
    /// Its part of all rows, in the reference and now.
    pub reach: (f64, f64),
    /// The forks from all rows to a segment of errors.
    pub way: Vec<Fork>,
    /// What else moved in a segment of errors, and not elsewhere.
    pub causes: Vec<Cause>,
    /// What its rows say, where somebody looked at them.
    pub told: Told,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    /// The reference's profile.
    pub profile: &'a Profile,
    /// How segments were cut.
    pub layout: &'a Layout,
    /// Segments in which errors rose, worst first.
    pub losses: Vec<Found>,
    /// Segments in which a column moved by itself, worst first.
    pub shifts: Vec<Found>,
    /// By signal of the guard: segments in which it fired more, worst first.
    pub raised: Vec<(String, Vec<Found>)>,
    /// Tests made.
    pub tests: u64,
}

/// One test of one segment.
#[derive(Debug, Clone)]
struct Candidate {
    literals: Vec<Literal>,
    rows: u64,
    before: f64,
    now: f64,
    excess: f64,
    z: f64,
    chance: f64,
}

struct Pair {
    literals: Vec<Literal>,
    before: Cell,
    now: Cell,
    /// Whether a column of many numbers is one of its own.
    is_cut: bool,
}

impl<'a> Segments<'a> {
    /// Tests every segment of both cubes.
    ///
    /// # Errors
    /// When the cubes are not of this layout.
    pub fn search(
        profile: &'a Profile,
        layout: &'a Layout,
        reference: &Cube,
        current: &Cube,
        settings: SegmentSettings,
    ) -> Result<Self, DriftError> {
        Self::searched(profile, layout, [reference, current], settings, false)
    }

    fn searched(
        profile: &'a Profile,
        layout: &'a Layout,
        [reference, current]: [&Cube; 2],
        settings: SegmentSettings,
        outside: bool,
    ) -> Result<Self, DriftError> {
        let (whole_before, whole_now) = (reference.whole(layout), current.whole(layout));
        if Cube::empty(layout).merge(reference).is_err() || Cube::empty(layout).merge(current).is_err() {
            return Err(DriftError::Counts);
        }
        let pairs = pairs(layout, reference, current);
        let judged = |pair: &&Pair| pair.before.judged >= settings.rows && pair.now.judged >= settings.rows;
        let mut tests = pairs.iter().filter(judged).count() as u64;
        for measure in 0..layout.measures.len() {
            let own = |pair: &&Pair| !pair.is_cut && measured(pair, measure, settings.rows);
            tests += pairs.iter().filter(own).count() as u64;
        }
        let cut: Vec<bool> = layout.dimensions.iter().map(|dimension| dimension.is_cut).collect();
        let search = Search { settings, tests: real(tests.max(1)), outside, cut };
        let mut losses = search.losses(&pairs, &whole_before, &whole_now);
        if !losses.is_empty() {
            let cells: Cells<'_> =
                pairs.iter().map(|pair| (pair.literals.as_slice(), (&pair.before, &pair.now))).collect();
            let asked = real((losses.len() * layout.measures.len()) as u64);
            let whole = (&whole_before, &whole_now);
            for found in &mut losses {
                found.reach = reach(&cells, found, whole);
                found.causes = causes(&cells, found, whole, settings, asked);
                found.way = way(layout, &cells, found);
            }
        }
        let mut shifts = Vec::new();
        for measure in 0..layout.measures.len() {
            shifts.extend(search.shifts(&pairs, measure, &whole_before, &whole_now));
        }
        shifts.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let shifts = shifts.into_iter().map(|(_, found)| found).take(settings.most).collect();
        Ok(Self { profile, layout, losses, shifts, raised: Vec::new(), tests })
    }

    /// The same search over cubes whose errors are rows on which a signal of the guard fired. A signal may be new, so
    /// what it does outside of a segment is what the segment is compared with, beside its own past.
    ///
    /// # Errors
    /// When the cubes are not of this layout.
    pub fn search_signal(
        profile: &'a Profile,
        layout: &'a Layout,
        (reference, current): (&Cube, &Cube),
        signal: &str,
        settings: SegmentSettings,
    ) -> Result<Self, DriftError> {
        let mut found = Self::searched(profile, layout, [reference, current], settings, true)?;
        found.raised = vec![(signal.to_owned(), std::mem::take(&mut found.losses))];
        Ok(found)
    }

    /// Takes in what a search of the same layout found for another signal; what moved is the same in both.
    pub fn beside(&mut self, other: Self) {
        self.raised.extend(other.raised);
        self.tests = self.tests.saturating_add(other.tests);
    }

    /// A segment in words: `channel=api, plan in (free, trial)`.
    #[must_use]
    pub fn words(&self, found: &Found) -> String {
        let condition = |(dimension, levels): &(usize, Vec<u8>)| {
            let Some(dimension) = self.layout.dimensions.get(*dimension) else { return String::new() };
            let label = |level: &u8| dimension.labels.get(usize::from(*level)).map_or("?", String::as_str);
            let name = plain(&self.profile.columns[dimension.column].name);
            let is_cut = dimension.is_cut;
            match levels.as_slice() {
                [level] => format!("{name}={}", plain(label(level))),
                levels => {
                    let mut labels: Vec<String> = levels.iter().map(|level| plain(label(level))).collect();
                    if !is_cut {
                        labels.sort();
                    }
                    format!("{name} in ({})", labels.join(", "))
                }
            }
        };
        found.conditions.iter().map(condition).collect::<Vec<_>>().join(", ")
    }
}

/// Every segment of one to three dimensions that both sides have rows in.
fn pairs(layout: &Layout, reference: &Cube, current: &Cube) -> Vec<Pair> {
    let many = layout.dimensions.len();
    let mut choices: Vec<Vec<usize>> = Vec::new();
    for a in 0..many {
        choices.push(vec![a]);
        for b in a + 1..many {
            choices.push(vec![a, b]);
            choices.extend((b + 1..many).map(|c| vec![a, b, c]));
        }
    }
    let mut pairs = Vec::new();
    for dimensions in choices {
        let is_cut = dimensions.iter().any(|&at| layout.dimensions.get(at).is_some_and(|own| own.is_cut));
        let mut before: HashMap<Vec<u8>, Cell> =
            reference.segments(layout, &dimensions).into_iter().collect();
        for (levels, now) in current.segments(layout, &dimensions) {
            let literals = dimensions.iter().zip(&levels);
            let literals = literals.map(|(&dimension, &level)| Literal { dimension, level }).collect();
            let before = before
                .remove(&levels)
                .unwrap_or_else(|| Cell { measures: vec![[0; 3]; now.measures.len()], ..Cell::default() });
            pairs.push(Pair { literals, before, now, is_cut });
        }
    }
    pairs
}

/// A segment's part of all rows, on both sides.
fn reach(cells: &Cells<'_>, found: &Found, (before, now): (&Cell, &Cell)) -> (f64, f64) {
    let (old, new) = both(cells, &found.conditions);
    (real(old.rows) / real(before.rows).max(1.0), real(new.rows) / real(now.rows).max(1.0))
}

fn measured(pair: &Pair, measure: usize, rows: u64) -> bool {
    let has = |cell: &Cell| cell.measures.get(measure).is_some_and(|sums| sums[0] >= rows);
    has(&pair.before) && has(&pair.now)
}

struct Search {
    settings: SegmentSettings,
    tests: f64,
    /// Whether a segment is compared with what happened outside of it, instead of everywhere.
    outside: bool,
    /// By dimension: whether its levels are ranges of a number.
    cut: Vec<bool>,
}

/// By how much a segment's rate should have grown, for what it did outside of the segment: as a factor where it was seen
/// there often enough to tell one (with two deviations of it), else by as many rows of a hundred.
fn outside(before: (Cell, Cell), now: (Cell, Cell), own: f64) -> f64 {
    let rest = |(whole, part): &(Cell, Cell)| {
        (real(whole.errors.saturating_sub(part.errors)), real(whole.judged.saturating_sub(part.judged)))
    };
    let ((hits_before, rows_before), (hits_now, rows_now)) = (rest(&before), rest(&now));
    let rate = |hits: f64, rows: f64| (hits + 0.5) / (rows + 1.0);
    let (was, is) = (rate(hits_before, rows_before), rate(hits_now, rows_now));
    let added = (own + (is - was).max(0.0)) / own;
    if hits_before < 5.0 {
        return added.max(1.0);
    }
    let deviation = (1.0 / (hits_before + 0.5) + 1.0 / (hits_now + 0.5)).sqrt();
    (is / was * (2.0 * deviation).exp()).max(added).max(1.0)
}

impl Search {
    /// Segments in which the model errs more than its own past and what happened everywhere explain.
    fn losses(&self, pairs: &[Pair], before: &Cell, now: &Cell) -> Vec<Found> {
        let rate = |cell: &Cell| (real(cell.errors) + 0.5) / (real(cell.judged) + 1.0);
        let everywhere = (rate(before), rate(now));
        let rise = everywhere.1 / everywhere.0;
        let mut parts = Parts::new();
        let mut candidates = Vec::new();
        parts.insert(Vec::new(), Part { rows: real(now.judged), excess: 0.0 });
        for pair in pairs {
            // A past without a single one says little of how rare they are there: as rare as anywhere, at most.
            let was = if self.outside {
                (real(pair.before.errors) + everywhere.0) / (real(pair.before.judged) + 1.0)
            } else {
                rate(&pair.before)
            };
            let rise = match self.outside {
                true if pair.now.judged.saturating_mul(2) <= now.judged => {
                    let light =
                        |cell: &Cell| Cell { errors: cell.errors, judged: cell.judged, ..Cell::default() };
                    outside(
                        (light(before), light(&pair.before)),
                        (light(now), light(&pair.now)),
                        was.max(everywhere.0),
                    )
                }
                _ => rise,
            };
            let expected = (was * rise).min(1.0);
            let excess = real(pair.now.errors) - expected * real(pair.now.judged);
            parts.insert(pair.literals.clone(), Part { rows: real(pair.now.judged), excess });
            if pair.before.judged < self.settings.rows || pair.now.judged < self.settings.rows {
                continue;
            }
            // Given how many errors there are on both sides together, how many fall to now is binomial; errors that
            // are not rare make this test cautious.
            let weight = real(pair.now.judged) * rise;
            let chance = binomial_tail(
                pair.now.errors,
                pair.before.errors + pair.now.errors,
                weight / (weight + real(pair.before.judged)),
            );
            let size = excess / real(pair.now.judged);
            let adjusted = chance * self.tests;
            if size >= self.settings.loss && adjusted <= self.settings.alpha {
                let spread = (expected.max(1e-6)
                    * (1.0 - expected).max(1e-6)
                    * (1.0 / real(pair.now.judged) + rise / real(pair.before.judged)))
                .sqrt();
                candidates.push(Candidate {
                    literals: pair.literals.clone(),
                    rows: pair.now.judged,
                    before: rate(&pair.before),
                    now: rate(&pair.now),
                    excess,
                    z: size / spread,
                    chance: adjusted,
                });
            }
        }
        let named = self.name(&parts, candidates, self.settings.loss);
        let all = real(now.errors).max(1.0);
        named
            .into_iter()
            .map(|group| self.found(&group, None, everywhere, all))
            .take(self.settings.most)
            .collect()
    }

    /// Segments in which a column moved by itself, with the strength by which they are ranked.
    fn shifts(&self, pairs: &[Pair], measure: usize, before: &Cell, now: &Cell) -> Vec<(f64, Found)> {
        let mean = |cell: &Cell| cell.measures.get(measure).map_or(0.0, |&sums| moments(sums).0);
        let everywhere = (mean(before), mean(now));
        let moved = everywhere.1 - everywhere.0;
        let mut parts = Parts::new();
        let mut candidates = Vec::new();
        let rows = |cell: &Cell| cell.measures.get(measure).map_or(0, |sums| sums[0]);
        parts.insert(Vec::new(), Part { rows: real(rows(now)), excess: 0.0 });
        for pair in pairs.iter().filter(|pair| !pair.is_cut) {
            let (Some(&old), Some(&new)) =
                (pair.before.measures.get(measure), pair.now.measures.get(measure))
            else {
                continue;
            };
            let ((was, spread_was), (is, spread_is)) = (moments(old), moments(new));
            let size = is - was - moved;
            let excess = if old[0] > 0 { size * real(new[0]) } else { 0.0 };
            parts.insert(pair.literals.clone(), Part { rows: real(new[0]), excess });
            if !measured(pair, measure, self.settings.rows) {
                continue;
            }
            // Ranks are bounded, so a few hundred rows make their mean normal enough; a segment of one value has no
            // spread of its own and is given that of one step.
            let step = 1.0 / real(RANK * RANK);
            let spread = (spread_was.max(step) / real(old[0]) + spread_is.max(step) / real(new[0])).sqrt();
            let adjusted = normal_tails(size / spread) * self.tests;
            if size.abs() >= self.settings.shift && adjusted <= self.settings.alpha {
                candidates.push(Candidate {
                    literals: pair.literals.clone(),
                    rows: new[0],
                    before: was,
                    now: is,
                    excess,
                    z: (size / spread).abs(),
                    chance: adjusted,
                });
            }
        }
        let named = self.name(&parts, candidates, self.settings.shift);
        named
            .into_iter()
            .map(|group| {
                let strength = group.iter().map(|candidate| candidate.z).fold(0.0, f64::max);
                let mut found = self.found(&group, Some(measure), everywhere, f64::INFINITY);
                found.share = 0.0;
                (strength, found)
            })
            .collect()
    }

    /// One segment for each story: the strongest first, then each that is still large and unlikely once those named
    /// before are taken out; neighbours that differ in one level are named together.
    fn name(&self, parts: &Parts, mut candidates: Vec<Candidate>, least: f64) -> Vec<Vec<Candidate>> {
        // What words tell is told by them; ranges of numbers tell the rest.
        let is_cut = |own: &Candidate| {
            own.literals.iter().any(|literal| self.cut.get(literal.dimension) == Some(&true))
        };
        candidates.sort_by(|a, b| {
            is_cut(a).cmp(&is_cut(b)).then(b.z.total_cmp(&a.z)).then_with(|| a.literals.cmp(&b.literals))
        });
        candidates.truncate(CANDIDATES);
        let mut groups: Vec<Vec<Candidate>> = Vec::new();
        for candidate in candidates {
            let (mut rows, mut excess) = (real(candidate.rows), candidate.excess);
            for named in groups.iter().flatten() {
                let part = overlap(parts, &candidate.literals, &named.literals, &self.cut);
                rows -= part.rows;
                excess -= part.excess;
            }
            let left = excess / rows.max(1.0);
            // The spread of one row follows from the segment's own test.
            let row_spread = candidate.excess.abs() / (candidate.z * real(candidate.rows).sqrt());
            let z = excess.abs() / (row_spread * rows.max(1.0).sqrt());
            let same_way = (excess > 0.0) == (candidate.excess > 0.0);
            let stands = same_way
                && rows >= real(self.settings.rows) / 2.0
                && left.abs() >= least
                && normal_tails(z) * self.tests <= self.settings.alpha;
            if !stands {
                continue;
            }
            match groups.iter().position(|group| neighbours(group, &candidate, &self.cut)) {
                Some(at) => groups[at].push(candidate),
                None if groups.len() < 4 * self.settings.most => groups.push(vec![candidate]),
                None => {}
            }
        }
        let strength = |group: &[Candidate]| group.first().map_or(0.0, |own| own.z);
        groups.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
        groups
    }

    fn found(
        &self,
        group: &[Candidate],
        measure: Option<usize>,
        everywhere: (f64, f64),
        all_errors: f64,
    ) -> Found {
        let mut conditions: Vec<(usize, Vec<u8>)> = Vec::new();
        for literal in group.iter().flat_map(|candidate| &candidate.literals) {
            match conditions.iter_mut().find(|(dimension, _)| *dimension == literal.dimension) {
                Some((_, levels)) if levels.contains(&literal.level) => {}
                Some((_, levels)) => {
                    levels.push(literal.level);
                    if self.cut.get(literal.dimension) == Some(&true) {
                        levels.sort_unstable();
                    }
                }
                None => conditions.push((literal.dimension, vec![literal.level])),
            }
        }
        conditions.sort();
        let rows: u64 = group.iter().map(|candidate| candidate.rows).sum();
        let mean = |of: fn(&Candidate) -> f64| {
            group.iter().map(|candidate| of(candidate) * real(candidate.rows)).sum::<f64>()
                / real(rows).max(1.0)
        };
        Found {
            conditions,
            measure,
            rows,
            before: mean(|candidate| candidate.before),
            now: mean(|candidate| candidate.now),
            everywhere,
            share: group.iter().map(|candidate| candidate.excess).sum::<f64>() / all_errors,
            chance: group.iter().map(|candidate| candidate.chance).fold(1.0, f64::min),
            expected: match measure {
                Some(_) => 0.0,
                None => (mean(|candidate| candidate.before) * everywhere.1 / everywhere.0).min(1.0),
            },
            reach: (0.0, 0.0),
            way: Vec::new(),
            causes: Vec::new(),
            told: Told::default(),
        }
    }
}

/// Whether a segment has the conditions of a group but for the level in which the group's members already differ,
/// or may begin to; of a single column, whether they are ranges of a number that touch.
fn neighbours(group: &[Candidate], candidate: &Candidate, cut: &[bool]) -> bool {
    let Some(first) = group.first().filter(|first| first.literals.len() == candidate.literals.len()) else {
        return false;
    };
    if (first.excess > 0.0) != (candidate.excess > 0.0) {
        return false;
    }
    if let [own] = candidate.literals.as_slice() {
        // Of a single column only ranges of a number that touch.
        let touch = |other: &Candidate| {
            let [other] = other.literals.as_slice() else { return false };
            other.dimension == own.dimension && other.level.abs_diff(own.level) == 1
        };
        return cut.get(own.dimension) == Some(&true) && group.iter().any(touch);
    }
    let apart = |a: &Candidate| -> Option<usize> {
        let mut apart = None;
        for (one, other) in a.literals.iter().zip(&candidate.literals) {
            if one.dimension != other.dimension || (one.level != other.level && apart.is_some()) {
                return None;
            }
            if one.level != other.level {
                apart = Some(one.dimension);
            }
        }
        apart
    };
    let dimension = apart(first);
    dimension.is_some() && group.iter().all(|member| apart(member) == dimension)
}
