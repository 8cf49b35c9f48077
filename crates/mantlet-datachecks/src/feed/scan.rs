//! The scan: where a label is said less or more often than everything else about the rows explains.
//!
//! Cells that name a feed or a labeler are held against their peers: what all rows together say about such a row.
//! Cells that name segments alone are held against their own past. Every cell is looked at after every batch, over
//! every window that ends there, its batches weighing alike and by how long it has lasted, as poison that grows does.
//! The chance of any false alarm in the whole scan is divided over families and directions (feed by segment gets half,
//! as that is where slow poison can be seen first), and within them kept by the chance of the strongest test of all
//! cells (`control`). How far honest cells stray from the model is measured on the cells themselves and taken into the
//! variance, so that a model that fits badly costs sight and not false alarms.
//!
//! Long because the families, the windows and what they are held against only make sense beside each other.

use serde::{Deserialize, Serialize};

use super::control::{Control, Courses, FEWEST, Known, Test, tests};
use super::grid::{Grid, Role, Sums, Tally};
use super::held::{Due, Fitted, Held, Honest, Pull};
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

/// The part of alpha for labels that are dropped; the rest is for labels that are added.
const DROPPED: f64 = 0.7;

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

pub(super) struct Family<'a> {
    axes: &'a [usize],
    alpha: f64,
    past: bool,
    pub(super) cells: Vec<(Vec<u16>, &'a [Tally])>,
}

impl Family<'_> {
    /// What is expected in each cell, in rows that scatter like whole numbers.
    fn counts<'a>(&'a self, held: &'a Held) -> impl Iterator<Item = f64> + 'a {
        let sums = |tallies: &[Tally]| held.sums(tallies, (0, tallies.len().saturating_sub(1)));
        self.cells.iter().map(move |(_, tallies)| {
            let sums = sums(tallies);
            sums.expected * sums.expected / sums.variance.max(1e-9)
        })
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
    let shares: Vec<f64> = grid.whole().iter().map(|tally| real(tally.ones)).collect();
    // Cells that name a source are tested from the first batch on, the others after their base.
    let mut drawn = [0, base].map(|from| (Courses::new(&shares, from), Known::new()));
    for family in families(grid, settings) {
        let held = Held { level: level.clone(), honest: Honest::of(&family, &level), base };
        let from = if family.past { base } else { 0 };
        let (courses, known) = &mut drawn[usize::from(family.past)];
        let [dropped, added] =
            [true, false].map(|few| Control::new(courses, family.counts(&held), few, known));
        for (levels, tallies) in &family.cells {
            for few in [true, false] {
                let direction = if few { DROPPED } else { 1.0 - DROPPED };
                let pull = if family.past {
                    Pull::default()
                } else {
                    fitted.pull(grid, family.axes, levels, tallies, &held)
                };
                let control = if few { &dropped } else { &added };
                let bar = Bar { control, factor: settings.alpha / (family.alpha * direction) };
                let found = look(tallies, &held, (batches, from), few, (bar, pull), settings);
                let Some((window, first, sums, expected, z, chance)) = found else { continue };
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
                            earliest(tallies, &held, (window.0, batches), few, share, (bar, pull), settings)
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

/// What turns a test's chance into the scan's.
#[derive(Clone, Copy)]
struct Bar<'a> {
    control: &'a Control,
    factor: f64,
}

impl Bar<'_> {
    fn chance(&self, test: Test, tail: f64) -> f64 {
        (self.control.chance(tail / test.part()) * self.factor).min(1.0)
    }
}

type Look = ((usize, usize), usize, Sums, f64, f64, f64);

/// The strongest window of a cell, and the batch after which the alarm could first be given; nothing when no
/// window is beyond chance.
fn look(
    tallies: &[Tally],
    held: &Held,
    (batches, from): (usize, usize),
    few: bool,
    (bar, pull): (Bar<'_>, Pull),
    settings: &ScanSettings,
) -> Option<Look> {
    let mut best: Option<Look> = None;
    let mut first = None;
    let each: Vec<Sums> = (0..batches).map(|batch| held.sums(tallies, (batch, batch))).collect();
    let dues: Vec<Due> = (0..batches).map(|from| held.due(tallies, from, pull)).collect();
    for test in tests(batches, from) {
        let window = (test.from, test.to);
        let sums = held.sums(tallies, window);
        if sums.expected < FEWEST {
            continue;
        }
        let due = &dues[test.from];
        let (expected, variance) = due.expect(&sums);
        let away = if few { expected - sums.seen } else { sums.seen - expected };
        if away < settings.least * expected {
            continue;
        }
        let (seen, like, variance) =
            if test.grows { due.weigh(&each, test, &sums) } else { (sums.seen, expected, variance) };
        let z = if few { like - seen } else { seen - like } / variance.sqrt();
        // Three deviations are never an alarm: what is kept out here could not come through below.
        if z < 3.0 {
            continue;
        }
        let chance = bar.chance(test, tail(seen, like, variance, few));
        if chance <= settings.alpha {
            first.get_or_insert(window.1);
            if best.as_ref().is_none_or(|best| (chance, -z) < (best.5, -best.4)) {
                best = Some((window, 0, sums, expected, z, chance));
            }
        }
    }
    best.map(|(window, _, sums, expected, z, chance)| {
        (window, first.unwrap_or(window.1), sums, expected, z, chance)
    })
}

/// The first batch after which a change of this share, from the window's first batch on, has even odds to be told.
fn earliest(
    tallies: &[Tally],
    held: &Held,
    (from, batches): (usize, usize),
    few: bool,
    share: f64,
    (bar, pull): (Bar<'_>, Pull),
    settings: &ScanSettings,
) -> Option<usize> {
    (from..batches).find(|&to| {
        let sums = held.sums(tallies, (from, to));
        let (expected, variance) = held.due(tallies, from, Pull { lack: 0.0, ..pull }).expect(&sums);
        let seen = if few { expected * (1.0 - share) } else { expected + share * (sums.rows - expected) };
        let test = Test { from, to, grows: false };
        sums.expected >= FEWEST && bar.chance(test, tail(seen, expected, variance, few)) <= settings.alpha
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
