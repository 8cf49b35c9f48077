//! The scan: where a label is said less or more often than everything else about the rows explains.
//!
//! Cells that name a feed or a labeler are held against their peers: what all rows together say about such a row.
//! Cells that name segments alone are held against their own past. Every cell is looked at after every batch, over
//! every window that ends there; the chance of any false alarm in the whole scan is kept by dividing it over
//! families, directions, cells and windows (Bonferroni, weighted; feed by segment gets half, as that is where slow
//! poison can be seen first). How far honest cells stray from the model is measured on the cells themselves and
//! taken into the variance, so that a model that fits badly costs sight and not false alarms.
//!
//! Long because the families, the windows and what they are held against only make sense beside each other.

use serde::{Deserialize, Serialize};

use super::grid::{Grid, Role, Sums, Tally};
use super::real;
use super::tail::{chi_squared, tail};

/// When an alarm is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScanSettings {
    /// The chance of any false alarm in a scan of a table without change.
    pub alpha: f64,
    /// Batches that segments are compared with; a quarter of all, at least two, when 0.
    pub base: usize,
    /// The least share of the expected rows that is missing, or of added ones, that is told.
    pub least: f64,
}

impl Default for ScanSettings {
    fn default() -> Self {
        Self { alpha: 0.01, base: 0, least: 0.05 }
    }
}

/// Longest window, in batches.
const LONGEST: usize = 26;
/// The part of alpha for labels that are dropped; the rest is for labels that are added.
const DROPPED: f64 = 0.7;
/// Honest cells stray at least this much from the model.
const STRAY_LEAST: f64 = 0.01;
/// What is assumed of a family with too few cells to measure it.
const STRAY_UNKNOWN: f64 = 0.04;
/// Below that many expected rows a window tells nothing.
const FEWEST: f64 = 5.0;

/// A cell that turned.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// Its axes, by place.
    pub axes: Vec<usize>,
    /// Its level on each.
    pub levels: Vec<u16>,
    /// Whether the label is said too seldom.
    pub few: bool,
    /// The batches of the strongest window, from and to.
    pub window: (usize, usize),
    /// The batch after which the alarm could first be given.
    pub first: usize,
    /// Rows of the window, with the label, and expected to have it.
    pub rows: u64,
    /// Rows with the label.
    pub seen: u64,
    /// Rows expected to have it.
    pub expected: f64,
    /// The chance of so much in any cell of the scan.
    pub chance: f64,
    /// The earliest batch at which this could have been told honestly, had the label turned in every row.
    pub earliest_whole: Option<usize>,
    /// The same, at the strength that was measured over the window.
    pub earliest: Option<usize>,
    /// How the change is spread, for a single feed or labeler.
    pub spread: Option<Spread>,
    z: f64,
}

/// A cell: its axes, by place, and its level on each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spot {
    /// Its axes, by place.
    pub axes: Vec<usize>,
    /// Its level on each.
    pub levels: Vec<u16>,
}

impl Alarm {
    /// The cell.
    #[must_use]
    pub fn spot(&self) -> Spot {
        Spot { axes: self.axes.clone(), levels: self.levels.clone() }
    }

    /// The share of rows that should have the label and do not, or of the others that should not and do.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.few {
            (1.0 - real(self.seen) / self.expected).clamp(0.0, 1.0)
        } else {
            let others = (real(self.rows) - self.expected).max(1.0);
            ((real(self.seen) - self.expected) / others).clamp(0.0, 1.0)
        }
    }
}

/// How a labeler's or feed's change is spread over what they label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The chance that the change is so uneven over segments, were it even; adjusted for the axes.
    pub even: f64,
    /// The share of likely rows whose label is missing beyond what is expected.
    pub lost: f64,
    /// Its standard error.
    pub lost_error: f64,
}

/// What part of alpha a family of cells has, by the roles of its axes.
const fn part(roles: &[Role]) -> f64 {
    match roles {
        [Role::Feed, Role::Segment] | [Role::Segment, Role::Feed] => 0.5,
        [Role::Feed] | [Role::Labeler] => 0.08,
        [Role::Labeler, Role::Segment] | [Role::Segment, Role::Labeler] => 0.1,
        [Role::Segment] => 0.05,
        [Role::Segment, Role::Segment] => 0.15,
        _ => 0.04,
    }
}

/// The windows looked at after each batch, over the whole table: from and to, both within.
fn windows(batches: usize, from: usize) -> impl Iterator<Item = (usize, usize)> {
    (from..batches)
        .flat_map(move |to| (from.max((to + 1).saturating_sub(LONGEST))..=to).map(move |start| (start, to)))
}

struct Family<'a> {
    axes: &'a [usize],
    alpha: f64,
    past: bool,
    cells: Vec<(Vec<u16>, &'a [Tally])>,
}

/// What a cell's windows are held against.
struct Held {
    level: Vec<f64>,
    honest: Honest,
    base: usize,
}

/// How much a cell has drawn the model to itself: it was learned from, too.
#[derive(Debug, Clone, Copy, Default)]
struct Pull {
    /// The cell's part of what its segment, or its batch, was fitted on (its leverage).
    part: f64,
    /// What the cell lacks over the whole table, as a share of what is expected of it.
    lack: f64,
    /// What is expected of it over the whole table.
    expected: f64,
}

impl Held {
    fn sums(&self, tallies: &[Tally], (from, to): (usize, usize)) -> Sums {
        let mut sums = Sums::default();
        for batch in from..=to {
            if let (Some(tally), Some(&level)) = (tallies.get(batch), self.level.get(batch)) {
                sums.take(tally, level);
            }
        }
        sums
    }

    /// What is expected in a window from a batch on, with its variance: honest cells stray from the model by a
    /// normal factor of the spread that was measured; the base batches before the window tell more about this one.
    fn expect(&self, tallies: &[Tally], sums: &Sums, from: usize, pull: Pull) -> (f64, f64) {
        let (mut factor, mut unsure) = (self.honest.middle, self.honest.unsure + self.honest.stray.powi(2));
        if from >= self.base {
            let base = self.sums(tallies, (0, self.base - 1));
            if base.expected > 0.0 {
                let noise = base.variance / (base.expected * base.expected);
                let trust = unsure / (unsure + noise);
                factor += trust * (base.seen / base.expected - factor);
                unsure *= 1.0 - trust;
            }
        }
        // Without the cell the model would expect this much more, and be this much less sure: over the whole table
        // these are the deleted residual and its variance.
        let drawn = pull.part / (1.0 - pull.part);
        let factor = factor.max(0.01) * (1.0 + drawn * pull.lack);
        let wider = 1.0 + drawn * (sums.expected / pull.expected.max(sums.expected).max(1e-9));
        (sums.expected * factor, sums.variance * factor * wider + unsure * sums.expected * sums.expected)
    }
}

/// The cell that turned most, if any did beyond chance. Named cells are meant to be taken out and everything
/// counted anew before asking again.
#[must_use]
pub fn scan(grid: &Grid, settings: &ScanSettings) -> Option<Alarm> {
    let batches = grid.batches.len();
    let base = base(batches, settings);
    let level = grid.level();
    let fitted = Fitted::of(grid, &level);
    let mut best: Option<Alarm> = None;
    for family in families(grid, settings) {
        let held = Held { level: level.clone(), honest: Honest::of(&family, &level), base };
        let from = if family.past { base } else { 0 };
        let tests = real((family.cells.len() * windows(batches, from).count()) as u64);
        for (levels, tallies) in &family.cells {
            for few in [true, false] {
                let direction = if few { DROPPED } else { 1.0 - DROPPED };
                let pull = if family.past {
                    Pull::default()
                } else {
                    fitted.pull(grid, family.axes, levels, tallies, &held)
                };
                let factor = tests * settings.alpha / (family.alpha * direction);
                let found = look(tallies, &held, (batches, from), few, (factor, pull), settings);
                let Some((window, first, sums, expected, variance, chance)) = found else { continue };
                let z = (sums.seen - expected).abs() / variance.sqrt();
                let better = best.as_ref().is_none_or(|best| (chance, -z) < (best.chance, -best.z));
                if better {
                    best = Some(Alarm {
                        axes: family.axes.to_vec(),
                        levels: levels.clone(),
                        few,
                        window,
                        first,
                        rows: whole(sums.rows),
                        seen: whole(sums.seen),
                        expected,
                        chance,
                        earliest_whole: None,
                        earliest: None,
                        spread: None,
                        z,
                    });
                    if let Some(best) = &mut best {
                        let share = best.share();
                        let at = |share| {
                            earliest(
                                tallies,
                                &held,
                                (window.0, batches),
                                few,
                                share,
                                (factor, pull),
                                settings,
                            )
                        };
                        best.earliest_whole = at(1.0);
                        best.earliest = at(share);
                    }
                }
            }
        }
    }
    if let Some(best) = &mut best {
        widen(grid, best, &level);
        best.spread = spread(grid, best, &level);
    }
    best
}

/// A source that adds a label to everything is named as a whole, not by the segment in which it showed first: when
/// what is left of it without that segment has too many as well.
fn widen(grid: &Grid, best: &mut Alarm, level: &[f64]) {
    let source = best.axes.iter().position(|&axis| grid.axes[axis].role != Role::Segment);
    let segments = best.axes.iter().filter(|&&axis| grid.axes[axis].role == Role::Segment).count();
    let (Some(place), 1, false) = (source, segments, best.few) else { return };
    let (axis, own) = (best.axes[place], best.levels[place]);
    let sums = |axes: &[usize], of: &[u16]| {
        let mut sums = Sums::default();
        let at = grid.crossings().iter().position(|crossing| crossing.axes == axes)?;
        let (_, tallies) = grid.cells(at).find(|(levels, _)| levels == of)?;
        for batch in best.window.0..=best.window.1 {
            sums.take(tallies.get(batch)?, *level.get(batch)?);
        }
        Some(sums)
    };
    let (Some(whole), Some(cell)) = (sums(&[axis], &[own]), sums(&best.axes, &best.levels)) else { return };
    let (seen, expected) = (whole.seen - cell.seen, whole.expected - cell.expected);
    if seen > expected && tail(seen, expected, whole.variance - cell.variance, false) < 1e-3 {
        (best.axes, best.levels) = (vec![axis], vec![own]);
        (best.rows, best.seen, best.expected) =
            (self::whole(whole.rows), self::whole(whole.seen), whole.expected);
    }
}

/// How many batches segments are compared with.
pub(super) fn base(batches: usize, settings: &ScanSettings) -> usize {
    let base = if settings.base == 0 { (batches / 4).max(2) } else { settings.base };
    base.clamp(1, batches.max(1))
}

fn families<'a>(grid: &'a Grid, settings: &ScanSettings) -> Vec<Family<'a>> {
    let mut families = Vec::new();
    let roles = |axes: &[usize]| axes.iter().map(|&axis| grid.axes[axis].role).collect::<Vec<_>>();
    for (at, crossing) in grid.crossings().iter().enumerate() {
        let roles = roles(&crossing.axes);
        let past = roles.iter().all(|role| *role == Role::Segment);
        // A cell without enough rows in the whole table cannot turn visibly; leaving it out looks at no label.
        let seen = |(_, tallies): &(Vec<u16>, &[Tally])| {
            tallies.iter().map(Tally::expected).sum::<f64>() >= 4.0 * FEWEST
        };
        let cells: Vec<_> = grid.cells(at).filter(seen).collect();
        if !cells.is_empty() {
            families.push(Family { axes: &crossing.axes, alpha: part(&roles), past, cells });
        }
    }
    // Families of one kind share their part by their number of cells; what absent kinds leave goes to the others.
    let kinds: Vec<Vec<Role>> = families
        .iter()
        .map(|family| {
            let mut roles = roles(family.axes);
            roles.sort_unstable();
            roles
        })
        .collect();
    let mut present: Vec<&Vec<Role>> = kinds.iter().collect();
    present.sort_unstable();
    present.dedup();
    let parts: f64 = present.iter().map(|kind| part(kind)).sum();
    let cells: Vec<usize> = families.iter().map(|family| family.cells.len()).collect();
    for (at, family) in families.iter_mut().enumerate() {
        let of_kind: usize =
            kinds.iter().zip(&cells).filter(|(kind, _)| **kind == kinds[at]).map(|(_, cells)| cells).sum();
        let share = real(cells[at] as u64) / real(of_kind.max(1) as u64);
        family.alpha *= settings.alpha * share / parts;
    }
    families
}

/// What the model was fitted on: everything, and each level of each segment.
struct Fitted {
    whole: f64,
    levels: Vec<Vec<f64>>,
}

impl Fitted {
    fn of(grid: &Grid, level: &[f64]) -> Self {
        let expected = |tallies: &[Tally]| {
            let mut sums = Sums::default();
            tallies.iter().zip(level).for_each(|(tally, &level)| sums.take(tally, level));
            sums.expected
        };
        let mut levels: Vec<Vec<f64>> =
            grid.axes.iter().map(|axis| vec![0.0; axis.levels.len() + 1]).collect();
        for (at, crossing) in grid.crossings().iter().enumerate() {
            let &[axis] = crossing.axes.as_slice() else { continue };
            for (own, tallies) in grid.cells(at) {
                if let Some(sum) = own.first().and_then(|&own| levels[axis].get_mut(usize::from(own))) {
                    *sum = expected(tallies);
                }
            }
        }
        Self { whole: expected(grid.whole()), levels }
    }

    fn pull(&self, grid: &Grid, axes: &[usize], levels: &[u16], tallies: &[Tally], held: &Held) -> Pull {
        let sums = held.sums(tallies, (0, tallies.len().saturating_sub(1)));
        let segment = axes.iter().zip(levels).find(|(axis, _)| grid.axes[**axis].role == Role::Segment);
        let of = segment.and_then(|(&axis, &level)| self.levels[axis].get(usize::from(level)).copied());
        let of = of.unwrap_or(self.whole);
        if sums.expected <= 0.0 || of <= 0.0 {
            return Pull::default();
        }
        let lack = (1.0 - sums.seen / sums.expected).clamp(-1.0, 1.0);
        Pull { part: (sums.expected / of).clamp(0.0, 0.5), lack, expected: sums.expected }
    }
}

/// How honest cells of a family lie around the model.
#[derive(Debug, Clone, Copy)]
struct Honest {
    /// What the middle cell has of what is expected: one that turned far moves the whole, not the middle.
    middle: f64,
    /// Its variance.
    unsure: f64,
    /// How far cells stray from the middle beyond chance, as a share of what is expected.
    stray: f64,
}

impl Honest {
    /// Measured over all batches: the middle is the weighted median, the spread the value at which half of the
    /// cells lie within the middle half of a normal distribution.
    fn of(family: &Family<'_>, level: &[f64]) -> Self {
        let mut cells: Vec<Sums> = Vec::new();
        for (_, tallies) in &family.cells {
            let mut sums = Sums::default();
            tallies.iter().zip(level).for_each(|(tally, &level)| sums.take(tally, level));
            if sums.expected >= 4.0 * FEWEST {
                cells.push(sums);
            }
        }
        if cells.len() < 6 {
            return Self { middle: 1.0, unsure: 0.0, stray: STRAY_UNKNOWN };
        }
        let middle = weighted_median(&cells).clamp(0.5, 2.0);
        // The variance of a median is pi / 2 that of a mean.
        let (expected, variance) =
            cells.iter().fold((0.0, 0.0), |(e, v), s| (e + s.expected, v + s.variance));
        let unsure = std::f64::consts::FRAC_PI_2 * variance / (expected * expected);
        let median = |stray: f64| {
            let mut away: Vec<f64> = cells
                .iter()
                .map(|sums| {
                    let expected = sums.expected * middle;
                    let variance = sums.variance * middle + stray * stray * expected * expected;
                    (sums.seen - expected).abs() / variance.max(1e-9).sqrt()
                })
                .collect();
            away.sort_unstable_by(f64::total_cmp);
            f64::midpoint(away[(away.len() - 1) / 2], away[away.len() / 2])
        };
        // The middle of a few cells is itself uncertain: only what lies beyond its own error is straying.
        let usual = 0.6745 * (1.0 + 1.0 / real(cells.len() as u64).sqrt());
        let (mut low, mut high) = (STRAY_LEAST, 0.5);
        if median(low) <= usual {
            return Self { middle, unsure, stray: low };
        }
        for _ in 0..30 {
            let between = f64::midpoint(low, high);
            if median(between) > usual { low = between } else { high = between }
        }
        Self { middle, unsure, stray: high }
    }
}

/// The ratio of seen to expected that half of what is expected lies below.
fn weighted_median(cells: &[Sums]) -> f64 {
    let mut ratios: Vec<(f64, f64)> =
        cells.iter().map(|sums| (sums.seen / sums.expected, sums.expected)).collect();
    ratios.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half = ratios.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (ratio, weight) in ratios {
        below += weight;
        if below >= half {
            return ratio;
        }
    }
    1.0
}

type Look = ((usize, usize), usize, Sums, f64, f64, f64);

/// The strongest window of a cell, and the batch after which the alarm could first be given; nothing when no
/// window is beyond chance. `factor` turns a window's chance into the scan's.
fn look(
    tallies: &[Tally],
    held: &Held,
    (batches, from): (usize, usize),
    few: bool,
    (factor, pull): (f64, Pull),
    settings: &ScanSettings,
) -> Option<Look> {
    let mut best: Option<Look> = None;
    let mut first = None;
    for window in windows(batches, from) {
        let sums = held.sums(tallies, window);
        if sums.expected < FEWEST {
            continue;
        }
        let (expected, variance) = held.expect(tallies, &sums, window.0, pull);
        let away = if few { expected - sums.seen } else { sums.seen - expected };
        // Three deviations are never an alarm: what is kept out here could not come through below.
        if away < 3.0 * variance.sqrt() || away < settings.least * expected {
            continue;
        }
        let chance = (tail(sums.seen, expected, variance, few) * factor).min(1.0);
        if chance <= settings.alpha {
            first.get_or_insert(window.1);
            if best.as_ref().is_none_or(|best| chance < best.5) {
                best = Some((window, 0, sums, expected, variance, chance));
            }
        }
    }
    best.map(|(window, _, sums, expected, variance, chance)| {
        (window, first.unwrap_or(window.1), sums, expected, variance, chance)
    })
}

/// The first batch after which a change of this share, from the window's first batch on, has even odds to be told.
fn earliest(
    tallies: &[Tally],
    held: &Held,
    (from, batches): (usize, usize),
    few: bool,
    share: f64,
    (factor, pull): (f64, Pull),
    settings: &ScanSettings,
) -> Option<usize> {
    (from..batches).find(|&to| {
        let sums = held.sums(tallies, (from, to));
        let (expected, variance) = held.expect(tallies, &sums, from, Pull { lack: 0.0, ..pull });
        let seen = if few { expected * (1.0 - share) } else { expected + share * (sums.rows - expected) };
        sums.expected >= FEWEST && tail(seen, expected, variance, few) * factor <= settings.alpha
    })
}

/// How the change of a single feed or labeler is spread over the segments they label.
fn spread(grid: &Grid, alarm: &Alarm, level: &[f64]) -> Option<Spread> {
    let (&[axis], &[own]) = (alarm.axes.as_slice(), alarm.levels.as_slice()) else { return None };
    let mut whole = Sums::default();
    let mut even: f64 = 1.0;
    let mut axes = 0_u64;
    for (at, crossing) in grid.crossings().iter().enumerate() {
        let within = |tallies: &[Tally]| {
            let mut sums = Sums::default();
            for batch in alarm.window.0..=alarm.window.1 {
                if let (Some(tally), Some(&level)) = (tallies.get(batch), level.get(batch)) {
                    sums.take(tally, level);
                }
            }
            sums
        };
        if crossing.axes == [axis] {
            if let Some((_, tallies)) = grid.cells(at).find(|(levels, _)| levels == &[own]) {
                whole = within(tallies);
            }
            continue;
        }
        let Some(place) = crossing.axes.iter().position(|&other| other == axis) else { continue };
        let parts: Vec<Sums> = grid
            .cells(at)
            .filter(|(levels, _)| levels[place] == own)
            .map(|(_, tallies)| within(tallies))
            .filter(|sums| sums.rows >= 20.0)
            .collect();
        if parts.len() < 2 {
            continue;
        }
        let sum = |of: fn(&Sums) -> f64| parts.iter().map(of).sum::<f64>();
        let others = |sums: &Sums| if alarm.few { sums.expected } else { sums.rows - sums.expected };
        let rate = (sum(|s| s.seen) - sum(|s| s.expected)) / parts.iter().map(others).sum::<f64>().max(1.0);
        let statistic: f64 = parts
            .iter()
            .map(|sums| {
                let should = sums.expected + rate * others(sums);
                let variance = sums.variance + (rate * others(sums)).abs();
                (sums.seen - should).powi(2) / variance.max(0.5)
            })
            .sum();
        even = even.min(chi_squared(statistic, real(parts.len() as u64 - 1)));
        axes += 1;
    }
    if whole.expected <= 0.0 {
        return None;
    }
    let added = ((whole.seen - whole.expected) / (whole.rows - whole.expected).max(1.0)).max(0.0);
    let likely = whole.likely_expected.max(1.0);
    let lost = (added * (whole.likely_rows - likely).max(0.0) + likely - whole.likely_seen) / likely;
    let lost_error = (whole.likely_rows * 0.25).max(1.0).sqrt() / likely;
    Some(Spread { even: (even * real(axes.max(1))).min(1.0), lost, lost_error })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count that was summed as a number"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}
