//! One mark in many pictures of a label: a fixed patch, or a pattern blended over them.
//!
//! Rows are whitened by what pictures of one label usually differ by. A planted pattern moves its pictures far along
//! one direction in which hardly any other picture lies; natural kinds of a label (a seven with a bar) move less, and
//! pictures of other labels lie there too. The direction is found as the strongest of the signs (spatial sign
//! covariance: Visuri, Koivunen and Oja 2000; whitening before the spectrum: Hayase and others, SPECTRE, 2021), then
//! turned towards the difference of the two groups it parts. How far they are apart is measured on rows that did not
//! have a part in the direction.

use super::among::left_alone;
use super::content::Content;
use super::grid::Rows;
use super::whiten::{White, dot};
use crate::feed::real;

/// Pictures a mark has at least.
pub const FEWEST: usize = 16;
/// Pictures of a part of one.
const PARTS: usize = 5;
/// Directions looked at.
const DIRECTIONS: usize = 5;
const ROUNDS: usize = 12;
/// Pictures of each side whose content is asked.
const ASKED: usize = 512;

/// A mark.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// The label of its pictures.
    pub label: u16,
    /// Its pictures, rising.
    pub rows: Vec<u64>,
    /// Pictures of the label.
    pub of: u64,
    /// Pictures of other labels that lie as far along its direction.
    pub elsewhere: u64,
    /// How far its pictures lie from the others of the label, in deviations, measured on rows apart.
    pub apart: f64,
    /// What the content of its pictures says of the label.
    pub own: f64,
    /// What the content of the label's other pictures says of it.
    pub usual: f64,
    /// What the content of pictures of other labels says of it.
    pub base: f64,
    /// Where it lies: left, top, right and bottom, in hundredths of the sides.
    pub within: [u8; 4],
    /// How many other labels have a mark at that place, and how many labels there are.
    pub beside: (usize, usize),
}

impl Mark {
    /// Whether what else is in its pictures speaks against the label.
    #[must_use]
    pub fn is_contradicted(&self) -> bool {
        contradicted([self.own, self.usual, self.base], self.rows.len() as u64)
    }
}

/// Whether shares of neighbours of the label speak against it: where content tells labels apart at all, at most half
/// of what is usual beyond the base, and not by chance.
pub(super) fn contradicted([own, usual, base]: [f64; 3], rows: u64) -> bool {
    let telling = usual - base;
    let middle = base + 0.5 * telling;
    // A share of seven neighbours deviates by at most half; they are not independent, so each row counts once.
    let deviation = 0.5 / real(rows.max(1)).sqrt();
    telling >= 0.2 && own + deviation <= middle + 0.1 && own <= middle
}

/// Two groups along a direction: the place of the cut among the falling values, and the value there.
fn parted(values: &[f32]) -> Option<(Vec<usize>, usize)> {
    let many = values.len();
    let mut order: Vec<usize> = (0..many).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    let (mut sum, mut squares) = (0.0_f64, 0.0_f64);
    let (all, all_squares) = values.iter().fold((0.0_f64, 0.0_f64), |(sum, squares), &value| {
        (sum + f64::from(value), squares + f64::from(value).powi(2))
    });
    let mut best: Option<(f64, usize)> = None;
    for (at, &row) in order.iter().enumerate().take(many / 2) {
        let value = f64::from(values[row]);
        sum += value;
        squares += value * value;
        let (top, rest) = (real(at as u64 + 1), real((many - at - 1) as u64));
        if at + 1 < FEWEST / 2 {
            continue;
        }
        let within = (squares - sum * sum / top) + (all_squares - squares - (all - sum).powi(2) / rest);
        if best.is_none_or(|(least, _)| within < least) {
            best = Some((within, at + 1));
        }
    }
    best.map(|(_, cut)| (order, cut))
}

pub(super) fn unit(mut direction: Vec<f32>) -> Option<Vec<f32>> {
    let length = dot(&direction, &direction).sqrt();
    if !(length > 1e-6 && length.is_finite()) {
        return None;
    }
    direction.iter_mut().for_each(|value| *value /= length);
    Some(direction)
}

/// The mean of some rows less that of the others, as a unit.
pub(super) fn between(rows: &[&[f32]], inside: impl Fn(usize) -> Option<bool>) -> Option<Vec<f32>> {
    let dims = rows.first()?.len();
    let (mut sums, mut counts) = ([vec![0.0_f32; dims], vec![0.0_f32; dims]], [0.0_f32; 2]);
    for (at, row) in rows.iter().enumerate() {
        let Some(side) = inside(at).map(usize::from) else { continue };
        counts[side] += 1.0;
        sums[side].iter_mut().zip(*row).for_each(|(sum, value)| *sum += value);
    }
    if counts.contains(&0.0) {
        return None;
    }
    let [rest, own] = &sums;
    unit(own.iter().zip(rest).map(|(own, rest)| own / counts[1] - rest / counts[0]).collect())
}

/// The strongest directions of the signs of the rows.
fn directions(rows: &[&[f32]]) -> Vec<Vec<f32>> {
    let Some(dims) = rows.first().map(|row| row.len()) else { return Vec::new() };
    let signs: Vec<Vec<f32>> = rows.iter().filter_map(|row| unit(row.to_vec())).collect();
    let start = |at: usize, dim: usize| {
        let mixed = ((dim * DIRECTIONS + at) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        f32::from(u16::try_from(mixed >> 48).unwrap_or(0)) / 32_768.0 - 1.0
    };
    let mut own: Vec<Vec<f32>> =
        (0..DIRECTIONS.min(dims)).map(|at| (0..dims).map(|dim| start(at, dim)).collect()).collect();
    for _ in 0..ROUNDS {
        let mut next = vec![vec![0.0_f32; dims]; own.len()];
        for row in &signs {
            for (direction, next) in own.iter().zip(&mut next) {
                let weight = dot(row, direction);
                next.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        let mut kept: Vec<Vec<f32>> = Vec::new();
        for mut direction in next {
            for before in &kept {
                let weight = dot(&direction, before);
                direction.iter_mut().zip(before).for_each(|(value, before)| *value -= weight * before);
            }
            kept.extend(unit(direction));
        }
        own = kept;
    }
    own
}

/// How far apart two groups lie, in deviations within them.
pub(super) fn apart(values: &[f32], inside: &[bool]) -> f64 {
    let (mut sums, mut squares, mut counts) = ([0.0_f64; 2], [0.0_f64; 2], [0.0_f64; 2]);
    for (&value, &inside) in values.iter().zip(inside) {
        let side = usize::from(inside);
        sums[side] += f64::from(value);
        squares[side] += f64::from(value).powi(2);
        counts[side] += 1.0;
    }
    if counts[0] < 2.0 || counts[1] < 2.0 {
        return 0.0;
    }
    let within: f64 = (0..2).map(|side| squares[side] - sums[side] * sums[side] / counts[side]).sum();
    let deviation = (within / (counts[0] + counts[1])).max(1e-12).sqrt();
    (sums[1] / counts[1] - sums[0] / counts[0]) / deviation
}

/// A group of a label's rows that lies apart.
struct Group {
    inside: Vec<bool>,
    apart: f64,
    elsewhere: u64,
}

/// Follows a direction to the two groups it parts, and measures them on rows that had no part in it.
fn group(rows: &Rows, white: &White, label: u16, own: &[&[f32]], start: Vec<f32>) -> Option<Group> {
    let mut direction = start;
    let mut inside = vec![false; own.len()];
    for _ in 0..ROUNDS {
        let values: Vec<f32> = own.iter().map(|row| dot(row, &direction)).collect();
        let (order, cut) = parted(&values)?;
        inside.fill(false);
        order[..cut].iter().for_each(|&at| inside[at] = true);
        let next = between(own, |at| Some(inside[at]))?;
        let still = dot(&next, &direction) > 1.0 - 1e-6;
        direction = next;
        if still {
            break;
        }
    }
    // Halves that look at each other: every second row of each side.
    let mut halves = vec![false; own.len()];
    let mut seen = [0_usize; 2];
    for (half, &side) in halves.iter_mut().zip(&inside) {
        *half = seen[usize::from(side)] % 2 == 1;
        seen[usize::from(side)] += 1;
    }
    let of = |half: bool| between(own, |at| (halves[at] == half).then_some(inside[at]));
    let (first, second) = (of(false)?, of(true)?);
    let values: Vec<f32> =
        own.iter().zip(&halves).map(|(row, &half)| dot(row, if half { &first } else { &second })).collect();
    let apart = apart(&values, &inside);
    let mean = |side: bool| {
        let of = values.iter().zip(&inside).filter(|(_, inside)| **inside == side);
        let (sum, count) = of.fold((0.0_f32, 0.0_f32), |(sum, count), (value, _)| (sum + value, count + 1.0));
        sum / count.max(1.0)
    };
    let cut = mean(true).midpoint(mean(false));
    let inside: Vec<bool> = values.iter().map(|&value| value > cut).collect();
    let beyond = |row: usize| {
        let row = white.row(row);
        dot(row, &first).midpoint(dot(row, &second)) > cut
    };
    let others = rows.labels.iter().enumerate().filter(|(_, own)| **own != label);
    let elsewhere = others.filter(|(row, _)| beyond(*row)).count() as u64;
    Some(Group { inside, apart, elsewhere })
}

/// Up to this many rows, evenly.
pub(super) fn some(rows: &[usize]) -> Vec<usize> {
    rows.iter().step_by(rows.len().div_ceil(ASKED).max(1)).copied().collect()
}

/// What neighbours of the label say on average.
fn said(
    content: &Content<'_>,
    left: &[bool],
    rows: &[usize],
    label: u16,
    skip: &impl Fn(usize) -> bool,
) -> f64 {
    let rows = some(rows);
    let near = content.neighbours_by(left, &rows, skip);
    let sum: f64 = near.iter().map(|near| content.chance(near, label)).sum();
    sum / real(rows.len().max(1) as u64)
}

/// The box in which a mark's pictures differ most from those that look most like them otherwise.
pub(super) fn within(
    rows: &Rows,
    content: &Content<'_>,
    own: &[usize],
    skip: &impl Fn(usize) -> bool,
) -> [u8; 4] {
    let Some(grid) = rows.grid else { return [0, 0, 100, 100] };
    let own = some(own);
    let mut heat = vec![0.0_f32; grid.across * grid.down];
    let mut differ = vec![0.0_f32; rows.dims()];
    for (&row, near) in own.iter().zip(content.neighbours(&own, skip)) {
        let many = f32::from(u16::try_from(near.len().max(1)).unwrap_or(u16::MAX));
        differ.iter_mut().zip(rows.row(row)).for_each(|(sum, value)| *sum += value);
        for other in near {
            let other = rows.row(other as usize);
            differ.iter_mut().zip(other).for_each(|(sum, value)| *sum -= value / many);
        }
    }
    for (dim, value) in differ.iter().enumerate() {
        let (x, y) = grid.cell(dim);
        heat[y * grid.across + x] += value.abs();
    }
    let most = heat.iter().copied().fold(0.0, f32::max);
    let (mut from, mut to) = ((grid.across, grid.down), (0, 0));
    for (at, _) in heat.iter().enumerate().filter(|(_, value)| **value >= most * 0.5) {
        let (x, y) = (at % grid.across, at / grid.across);
        from = (from.0.min(x), from.1.min(y));
        to = (to.0.max(x + 1), to.1.max(y + 1));
    }
    let part = |at: usize, of: usize| u8::try_from(at * 100 / of.max(1)).unwrap_or(100);
    [part(from.0, grid.across), part(from.1, grid.down), part(to.0, grid.across), part(to.1, grid.down)]
}

/// The marks of each label, furthest apart first. What is natural and what is planted is for the rooms to say.
pub(super) fn marks(
    rows: &Rows,
    content: &Content<'_>,
    white: &White,
    labels: usize,
    least_apart: f64,
) -> Vec<Mark> {
    let mut out = Vec::new();
    for label in 0..u16::try_from(labels).unwrap_or(u16::MAX) {
        let places: Vec<usize> = (0..rows.labels.len()).filter(|&row| rows.labels[row] == label).collect();
        if places.len() < 3 * FEWEST {
            continue;
        }
        let own: Vec<&[f32]> = places.iter().map(|&row| white.row(row)).collect();
        let mut groups: Vec<Group> = Vec::new();
        for direction in directions(&own) {
            let other: Vec<f32> = direction.iter().map(|value| -value).collect();
            groups.extend(
                [direction, other].into_iter().filter_map(|start| group(rows, white, label, &own, start)),
            );
        }
        let size = |inside: &[bool]| inside.iter().filter(|&&inside| inside).count();
        // What other labels do not have; each may be a part of one mark, on one kind of content.
        let is_own = |group: &Group| {
            let own = size(&group.inside);
            group.apart >= least_apart && group.elsewhere * 10 <= own as u64 && own * 20 <= places.len() * 9
        };
        let parts: Vec<&Group> =
            groups.iter().filter(|group| is_own(group) && size(&group.inside) >= PARTS).collect();
        if parts.len() > 1 {
            let any: Vec<bool> =
                (0..own.len()).map(|at| parts.iter().any(|group| group.inside[at])).collect();
            let whole = between(&own, |at| Some(any[at]));
            groups.extend(whole.and_then(|start| self::group(rows, white, label, &own, start)));
        }
        groups.retain(|group| group.apart >= least_apart && size(&group.inside) >= FEWEST);
        // Clear and large ones first.
        let weight = |group: &Group| {
            let own = if is_own(group) { 1.0 } else { 0.1 };
            own * group.apart * real(size(&group.inside) as u64).sqrt()
        };
        groups.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
        let mut kept: Vec<Group> = Vec::new();
        for group in groups {
            let same = |other: &Group| {
                let shared = group.inside.iter().zip(&other.inside).filter(|(a, b)| **a && **b).count();
                shared * 2 > size(&group.inside).min(size(&other.inside))
            };
            if !kept.iter().any(same) {
                kept.push(group);
            }
        }
        for group in kept {
            let side = |wanted: bool| -> Vec<usize> {
                places
                    .iter()
                    .zip(&group.inside)
                    .filter(|(_, own)| **own == wanted)
                    .map(|(row, _)| *row)
                    .collect()
            };
            let (marked, others) = (side(true), side(false));
            let skip = |row: usize| marked.binary_search(&row).is_ok();
            let elsewhere: Vec<usize> =
                (0..rows.labels.len()).filter(|&row| rows.labels[row] != label).collect();
            // By what the mark leaves alone: a frame looks most like other frames.
            let left = left_alone(rows, content, &some(&marked), &skip);
            out.push(Mark {
                label,
                of: places.len() as u64,
                elsewhere: group.elsewhere,
                apart: group.apart,
                own: said(content, &left, &marked, label, &skip),
                usual: said(content, &left, &others, label, &skip),
                base: said(content, &left, &elsewhere, label, &skip),
                within: within(rows, content, &marked, &skip),
                beside: (0, labels),
                rows: marked.into_iter().map(|row| row as u64).collect(),
            });
        }
    }
    for at in 0..out.len() {
        let own = &out[at];
        let meet = |other: &&Mark| {
            let (a, b) = (own.within, other.within);
            a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
        };
        let mut others: Vec<u16> = out.iter().filter(meet).map(|other| other.label).collect();
        others.sort_unstable();
        others.dedup();
        out[at].beside.0 = others.len().saturating_sub(1);
    }
    out.sort_by(|a, b| b.apart.total_cmp(&a.apart).then(a.label.cmp(&b.label)));
    out
}
