//! Marks over all pictures, whatever label they have: pictures that lie far from all others in one and the same way.
//!
//! A mark moves its pictures in one direction, so that they lie nearer to each other, seen from what is usual, than
//! pictures without it do. Some pictures are starts; from those that have others closest to their own direction it is
//! turned towards the mean of what lies beyond half of it, until nothing changes (mean shift). How far the pictures are
//! apart is measured on those that had no part in the direction.

use mantlet_kernels::{Layout, sgemm};

use super::content::Content;
use super::grid::Rows;
use super::mark::{FEWEST, apart, between, some, unit, within};
use super::several::{Asked, Shared, shares};
use super::whiten::{White, dot};
use crate::feed::real;

/// Pictures that directions are made of at most.
const POOL: usize = 16_384;
/// Pictures that are starts at most, and those of them that are followed.
const STARTS: usize = 512;
const FOLLOWED: usize = 64;
/// Numbers gone through in one step of all starts, at most.
const WORK: usize = 512 << 20;
const ROUNDS: usize = 12;
/// A mark in more of all pictures is what they look like.
const MOST: f64 = 0.2;
/// Starts inside a group that lies so far apart are that group.
const CLEAR: f64 = 9.0;
/// A mark of more than this share of the numbers is left in when content is asked: nothing else would be left.
const COVERED: f64 = 0.4;
/// Starts compared at once.
const BLOCK: usize = 64;

/// Pictures that lie apart.
struct Far {
    inside: Vec<bool>,
    apart: f64,
}

/// Starts with the nearest company first, as places in the pool.
fn starts(pool: &[f32], dims: usize) -> Vec<usize> {
    let many = pool.len() / dims;
    let lengths: Vec<f32> = pool.chunks_exact(dims).map(|row| dot(row, row).sqrt().max(1e-6)).collect();
    let places: Vec<usize> = (0..many).step_by(many.div_ceil(STARTS).max(1)).collect();
    let mut close: Vec<(f32, usize)> = Vec::with_capacity(places.len());
    let mut products = vec![0.0_f32; BLOCK * many];
    for block in places.chunks(BLOCK) {
        let mut own: Vec<f32> = Vec::with_capacity(block.len() * dims);
        for &at in block {
            own.extend(pool[at * dims..][..dims].iter().map(|value| value / lengths[at]));
        }
        let (plain, turned) = (Layout::row_major(dims), Layout::transposed(dims));
        let out = Layout::row_major(many);
        sgemm((block.len(), dims, many), 1.0, &own, plain, pool, turned, 0.0, &mut products, out);
        for (&at, products) in block.iter().zip(products.chunks_exact_mut(many)) {
            products.iter_mut().zip(&lengths).for_each(|(product, length)| *product /= length);
            products[at] = f32::NEG_INFINITY;
            let most = FEWEST.min(many - 1);
            if most == 0 {
                continue;
            }
            products.select_nth_unstable_by(most - 1, |a, b| b.total_cmp(a));
            close.push((products[..most].iter().sum(), at));
        }
    }
    close.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let followed = (WORK / pool.len().max(1)).clamp(16, FOLLOWED);
    close.into_iter().take(followed).map(|(_, at)| at).collect()
}

/// The rows that lie beyond half of the way to the mean of the group that a start leads to.
fn follow(own: &[&[f32]], start: usize) -> Option<Vec<bool>> {
    let near = nearest(own, &unit(own[start].to_vec())?);
    let mut direction = between(own, |at| Some(near[at]))?;
    let mut inside = near;
    for _ in 0..ROUNDS {
        let values: Vec<f32> = own.iter().map(|row| dot(row, &direction)).collect();
        let cut = halfway(&values, &inside);
        let next: Vec<bool> = values.iter().map(|&value| value > cut).collect();
        let many = next.iter().filter(|&&inside| inside).count();
        if many < FEWEST || real(many as u64) > MOST * real(own.len() as u64) {
            return None;
        }
        let still = next == inside;
        inside = next;
        if still {
            break;
        }
        direction = between(own, |at| Some(inside[at]))?;
    }
    Some(inside)
}

/// The rows whose own direction is closest to this one.
fn nearest(own: &[&[f32]], direction: &[f32]) -> Vec<bool> {
    let close: Vec<f32> =
        own.iter().map(|row| dot(row, direction) / dot(row, row).sqrt().max(1e-6)).collect();
    let mut order: Vec<usize> = (0..own.len()).collect();
    order.sort_by(|&a, &b| close[b].total_cmp(&close[a]).then(a.cmp(&b)));
    let mut near = vec![false; own.len()];
    order.iter().take(FEWEST).for_each(|&at| near[at] = true);
    near
}

/// The middle between the mean of the values inside and that of the others.
fn halfway(values: &[f32], inside: &[bool]) -> f32 {
    let mean = |side: bool| {
        let of = values.iter().zip(inside).filter(|(_, inside)| **inside == side);
        let (sum, count) = of.fold((0.0_f32, 0.0_f32), |(sum, count), (value, _)| (sum + value, count + 1.0));
        sum / count.max(1.0)
    };
    mean(true).midpoint(mean(false))
}

/// Measures a group on rows that had no part in its direction, and says which of all rows belong to it.
fn measured(white: &White, rows: &Rows, pool: &[usize], own: &[&[f32]], inside: &[bool]) -> Option<Far> {
    let mut halves = vec![false; own.len()];
    let mut seen = [0_usize; 2];
    for (half, &side) in halves.iter_mut().zip(inside) {
        *half = seen[usize::from(side)] % 2 == 1;
        seen[usize::from(side)] += 1;
    }
    let of = |half: bool| between(own, |at| (halves[at] == half).then_some(inside[at]));
    let (first, second) = (of(false)?, of(true)?);
    let values: Vec<f32> =
        own.iter().zip(&halves).map(|(row, &half)| dot(row, if half { &first } else { &second })).collect();
    let apart = apart(&values, inside);
    let cut = halfway(&values, inside);
    let mut all: Vec<bool> = (0..rows.labels.len())
        .map(|row| {
            let row = white.row(row);
            dot(row, &first).midpoint(dot(row, &second)) > cut
        })
        .collect();
    pool.iter().zip(&values).for_each(|(&row, &value)| all[row] = value > cut);
    Some(Far { inside: all, apart })
}

/// Groups of pictures that lie far from all others in one way, furthest first, and how many starts were followed.
fn far(rows: &Rows, white: &White, least_apart: f64) -> (Vec<Far>, usize) {
    let all = rows.labels.len();
    let pool: Vec<usize> = (0..all).step_by(all.div_ceil(POOL).max(1)).collect();
    if pool.len() < 3 * FEWEST {
        return (Vec::new(), 0);
    }
    let own: Vec<&[f32]> = pool.iter().map(|&row| white.row(row)).collect();
    let flat: Vec<f32> = own.iter().flat_map(|row| row.iter().copied()).collect();
    let starts = starts(&flat, rows.dims());
    drop(flat);
    let mut groups: Vec<Far> = Vec::new();
    for &start in &starts {
        if groups.iter().any(|group| group.apart >= CLEAR && group.inside[pool[start]]) {
            continue;
        }
        let Some(inside) = follow(&own, start) else { continue };
        let Some(group) = measured(white, rows, &pool, &own, &inside) else { continue };
        let many = group.inside.iter().filter(|&&inside| inside).count();
        if group.apart >= least_apart && many >= FEWEST && real(many as u64) <= MOST * real(all as u64) {
            groups.push(group);
        }
    }
    groups.sort_by(|a, b| b.apart.total_cmp(&a.apart));
    let size = |inside: &[bool]| inside.iter().filter(|&&inside| inside).count();
    let mut kept: Vec<Far> = Vec::new();
    for group in groups {
        let same = |other: &Far| {
            let shared = group.inside.iter().zip(&other.inside).filter(|(a, b)| **a && **b).count();
            shared * 2 > size(&group.inside).min(size(&other.inside))
        };
        if !kept.iter().any(same) {
            kept.push(group);
        }
    }
    (kept, starts.len())
}

/// The numbers of a row that a mark leaves alone; all of them when it leaves too few.
pub(super) fn left_alone(
    rows: &Rows,
    content: &Content<'_>,
    asked: &[usize],
    skip: &impl Fn(usize) -> bool,
) -> Vec<bool> {
    let mut differ = vec![0.0_f32; rows.dims()];
    for (&row, near) in asked.iter().zip(content.neighbours(asked, skip)) {
        let many = f32::from(u16::try_from(near.len().max(1)).unwrap_or(u16::MAX));
        differ.iter_mut().zip(rows.row(row)).for_each(|(sum, value)| *sum += value);
        for other in near {
            let other = rows.row(other as usize);
            differ.iter_mut().zip(other).for_each(|(sum, value)| *sum -= value / many);
        }
    }
    let most = differ.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let left: Vec<bool> = differ.iter().map(|value| value.abs() < 0.5 * most).collect();
    let covered = left.iter().filter(|&&left| !left).count();
    if real(covered as u64) > COVERED * real(left.len() as u64) { vec![true; left.len()] } else { left }
}

/// The marks that go with several labels which their content does not explain.
pub(super) fn shared(
    rows: &Rows,
    content: &Content<'_>,
    white: &White,
    labels: usize,
    least_apart: f64,
) -> Vec<Shared> {
    let (groups, looks) = far(rows, white, least_apart);
    let shares = shares(&rows.labels, labels);
    let mut out: Vec<Shared> = Vec::new();
    for group in groups {
        let is_inside = |row: usize| group.inside.get(row).copied().unwrap_or(false);
        let side = |wanted: bool| -> Vec<usize> {
            (0..rows.labels.len()).filter(|&row| is_inside(row) == wanted).collect()
        };
        let inside = side(true);
        let (asked, others) = (some(&inside), some(&side(false)));
        let left = left_alone(rows, content, &asked, &is_inside);
        let ask = |of: &[usize]| -> Vec<bool> {
            let near = content.neighbours_by(&left, of, is_inside);
            of.iter().zip(&near).map(|(&row, near)| content.is_against(near, rows.labels[row])).collect()
        };
        let said = ask(&asked);
        let usual = ask(&others).into_iter().filter(|&against| against).count();
        let usual = real(usual as u64 + 1) / real(others.len() as u64 + 2);
        let given: Vec<u16> = asked.iter().map(|&row| rows.labels[row]).collect();
        let own = Asked { given: &given, against: &said, usual, shares: &shares, looks: real(looks as u64) };
        let Some(own) = own.labels() else { continue };
        let of = |row: &&usize| own.contains(&rows.labels[**row]);
        take_in(
            &mut out,
            Shared {
                rows: inside.iter().filter(of).map(|&row| row as u64).collect(),
                of: rows.labels.iter().filter(|label| own.contains(label)).count() as u64,
                labels: own,
                asked: asked.len() as u64,
                against: said.iter().filter(|&&against| against).count() as u64,
                usual,
                fixed: Some((group.apart, within(rows, content, &inside, &is_inside))),
            },
        );
    }
    out
}

/// Adds a mark; a mark lies apart otherwise on one kind of content than on another, so what stands at the same place for
/// the same labels is one.
fn take_in(out: &mut Vec<Shared>, mark: Shared) {
    let same = |other: &&mut Shared| {
        let (Some((_, own)), Some((_, other_box))) = (mark.fixed, other.fixed) else { return false };
        let meet = |low: usize, high: usize| own[low] < other_box[high] && other_box[low] < own[high];
        other.labels == mark.labels && meet(0, 2) && meet(1, 3)
    };
    let Some(other) = out.iter_mut().find(same) else {
        out.push(mark);
        return;
    };
    other.rows.extend(&mark.rows);
    other.rows.sort_unstable();
    other.rows.dedup();
    other.asked += mark.asked;
    other.against += mark.against;
    if let (Some((_, own)), Some((_, more))) = (&mut other.fixed, mark.fixed) {
        *own = [own[0].min(more[0]), own[1].min(more[1]), own[2].max(more[2]), own[3].max(more[3])];
    }
}
