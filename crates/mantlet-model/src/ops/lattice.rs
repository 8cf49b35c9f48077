//! Rearrangements whose source is found axis by axis: transposing, slicing, repeating, padding, picking.

use mantlet_vocab::Tensor;

use crate::run::{Fail, Run, count};

/// For each output axis, the offset in the source that each position adds; `None` lies outside the source.
#[derive(Debug)]
pub(crate) struct Lattice {
    axes: Vec<Vec<Option<usize>>>,
    len: usize,
}

impl Lattice {
    /// Reserves room for the tables and the result of this shape.
    pub(crate) fn new(run: &mut Run, axes: Vec<Vec<Option<usize>>>, width: usize) -> Result<Self, Fail> {
        let shape: Vec<usize> = axes.iter().map(Vec::len).collect();
        let len = run.shape(&shape, width)?;
        Ok(Self { axes, len })
    }

    /// Visits runs along the last axis: the start in the result and the offset of the source, if inside.
    fn each(&self, mut visit: impl FnMut(usize, Option<usize>, &[Option<usize>])) {
        let one = [Some(0)];
        if self.len == 0 {
            return;
        }
        let (inner, outer) = match self.axes.split_last() {
            Some((inner, outer)) => (inner.as_slice(), outer),
            None => (one.as_slice(), [].as_slice()),
        };
        let mut at = vec![0_usize; outer.len()];
        for start in (0..self.len).step_by(inner.len()) {
            let base = at.iter().zip(outer).try_fold(0, |sum, (&index, table)| Some(sum + table[index]?));
            visit(start, base, inner);
            for (position, table) in at.iter_mut().zip(outer).rev() {
                *position += 1;
                if *position < table.len() {
                    break;
                }
                *position = 0;
            }
        }
    }

    /// The result, with `fill` outside the source.
    pub(crate) fn gather<T: Clone>(&self, source: &[T], fill: &T) -> Vec<T> {
        let mut out = Vec::with_capacity(self.len);
        let straight = self.axes.last().is_none_or(|inner| contiguous(inner));
        self.each(|_, base, inner| match base {
            None => out.extend(std::iter::repeat_n(fill, inner.len()).cloned()),
            Some(base) if straight => {
                let from = base + inner[0].unwrap_or(0);
                out.extend_from_slice(&source[from..from + inner.len()]);
            }
            Some(base) => out.extend(
                inner
                    .iter()
                    .map(|offset| offset.map_or_else(|| fill.clone(), |at| source[base + at].clone())),
            ),
        });
        out
    }

    /// Adds a gradient of the result onto the gradient of the source.
    pub(crate) fn scatter_add(&self, gradient: &[f32], target: &mut [f32]) {
        self.each(|start, base, inner| {
            let Some(base) = base else { return };
            for (offset, value) in inner.iter().zip(&gradient[start..]) {
                if let Some(at) = offset {
                    target[base + at] += value;
                }
            }
        });
    }

    /// The gradient of a source of this shape.
    pub(crate) fn backward(&self, run: &mut Run, gradient: &Tensor, shape: &[usize]) -> Result<Tensor, Fail> {
        debug_assert!(count(shape).is_ok());
        let mut sum = run.zeros(shape)?;
        self.scatter_add(gradient.data(), sum.data_mut());
        Ok(sum)
    }
}

fn contiguous(table: &[Option<usize>]) -> bool {
    let first = table.first().copied().flatten();
    first.is_some_and(|first| table.iter().enumerate().all(|(index, &offset)| offset == Some(first + index)))
}
