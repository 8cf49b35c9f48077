//! What the content of a picture says of its label: the labels of the pictures that look most like it.

use mantlet_kernels::{Layout, sgemm};

use super::grid::Rows;
use crate::feed::real;

/// Pictures that others are compared with.
const SAMPLE: usize = 2_048;
/// Of them, the nearest are asked.
const NEAREST: usize = 7;
/// Rows compared at once.
const BLOCK: usize = 256;

/// The pictures that others are compared with.
pub struct Content<'a> {
    rows: &'a Rows,
    sample: Vec<usize>,
    values: Vec<f32>,
    squares: Vec<f32>,
}

/// By row asked for, the rows that look most like it, nearest first.
pub type Neighbours = Vec<Vec<u32>>;

impl<'a> Content<'a> {
    /// Every so many rows are kept.
    #[must_use]
    pub fn new(rows: &'a Rows) -> Self {
        let all = rows.labels.len();
        let step = all.div_ceil(SAMPLE).max(1);
        let sample: Vec<usize> = (0..all).step_by(step).collect();
        let values: Vec<f32> = sample.iter().flat_map(|&row| rows.row(row).iter().copied()).collect();
        let dims = rows.dims().max(1);
        let squares = values.chunks_exact(dims).map(|row| row.iter().map(|v| v * v).sum()).collect();
        Self { rows, sample, values, squares }
    }

    /// The nearest of the sample, a row itself and those that `skip` names left out.
    #[must_use]
    pub fn neighbours(&self, rows: &[usize], skip: impl Fn(usize) -> bool) -> Neighbours {
        self.nearest(rows, &[], (&self.values, &self.squares), skip)
    }

    /// The nearest by the numbers of a row that `by` names alone.
    pub(super) fn neighbours_by(
        &self,
        by: &[bool],
        rows: &[usize],
        skip: impl Fn(usize) -> bool,
    ) -> Neighbours {
        let dims = self.rows.dims().max(1);
        let mut values = self.values.clone();
        values.chunks_exact_mut(dims).for_each(|row| blind(row, by));
        let squares: Vec<f32> =
            values.chunks_exact(dims).map(|row| row.iter().map(|v| v * v).sum()).collect();
        self.nearest(rows, by, (&values, &squares), skip)
    }

    fn nearest(
        &self,
        rows: &[usize],
        by: &[bool],
        (values, squares): (&[f32], &[f32]),
        skip: impl Fn(usize) -> bool,
    ) -> Neighbours {
        let (dims, many) = (self.rows.dims(), self.sample.len());
        let mut out = Vec::with_capacity(rows.len());
        let mut products = vec![0.0_f32; BLOCK * many];
        let skipped: Vec<bool> = self.sample.iter().map(|&row| skip(row)).collect();
        for block in rows.chunks(BLOCK) {
            let mut own: Vec<f32> =
                block.iter().flat_map(|&row| self.rows.row(row).iter().copied()).collect();
            own.chunks_exact_mut(dims.max(1)).for_each(|row| blind(row, by));
            sgemm(
                (block.len(), dims, many),
                -2.0,
                &own,
                Layout::row_major(dims),
                values,
                Layout::transposed(dims),
                0.0,
                &mut products,
                Layout::row_major(many),
            );
            for (&row, products) in block.iter().zip(products.chunks_exact(many)) {
                let mut near: Vec<(f32, u32)> = Vec::with_capacity(NEAREST + 1);
                for (at, product) in products.iter().enumerate() {
                    if skipped[at] || self.sample[at] == row {
                        continue;
                    }
                    let far = product + squares[at];
                    if near.len() == NEAREST && near.last().is_some_and(|last| far >= last.0) {
                        continue;
                    }
                    let place = near.partition_point(|other| other.0 <= far);
                    near.insert(place, (far, u32::try_from(self.sample[at]).unwrap_or(u32::MAX)));
                    near.truncate(NEAREST);
                }
                out.push(near.into_iter().map(|(_, row)| row).collect());
            }
        }
        out
    }

    /// The chance of a label that these neighbours give, never quite 0 or 1.
    #[must_use]
    pub fn chance(&self, neighbours: &[u32], label: u16) -> f64 {
        let same =
            neighbours.iter().filter(|&&row| self.rows.labels.get(row as usize) == Some(&label)).count();
        (real(same as u64) + 0.5) / real(neighbours.len() as u64 + 1)
    }

    /// Whether these neighbours speak for another label: more of them have that one.
    #[must_use]
    pub fn is_against(&self, neighbours: &[u32], label: u16) -> bool {
        let mut counts: [(u16, usize); NEAREST] = [(u16::MAX, 0); NEAREST];
        for &row in neighbours.iter().take(NEAREST) {
            let Some(&own) = self.rows.labels.get(row as usize) else { continue };
            if let Some(place) = counts.iter_mut().find(|(other, count)| *count == 0 || *other == own) {
                *place = (own, place.1 + 1);
            }
        }
        let most = |wanted: bool| {
            let of = counts.iter().filter(|(own, _)| (*own == label) == wanted);
            of.map(|(_, count)| *count).max().unwrap_or(0)
        };
        most(false) > most(true)
    }
}

/// Numbers that are not looked at are nothing.
fn blind(row: &mut [f32], by: &[bool]) {
    row.iter_mut().zip(by).filter(|(_, by)| !**by).for_each(|(value, _)| *value = 0.0);
}
