//! Walking two tensors of different shapes as one (ONNX multidirectional broadcasting).

use mantlet_vocab::Tensor;

use super::strides;
use crate::run::{Fail, Run, count};

/// The common shape of two operands and how each is walked.
#[derive(Debug)]
pub(crate) struct Broadcast {
    /// The common shape.
    pub(crate) shape: Vec<usize>,
    /// Its number of elements.
    pub(crate) len: usize,
    /// `(length, stride in a, stride in b)` from outer to inner, neighbours merged where both allow.
    axes: Vec<(usize, usize, usize)>,
}

impl Broadcast {
    pub(crate) fn new(a: &[usize], b: &[usize]) -> Result<Self, Fail> {
        let rank = a.len().max(b.len());
        let pad = |shape: &[usize]| {
            let mut padded = vec![1; rank - shape.len()];
            padded.extend_from_slice(shape);
            padded
        };
        let (left, right) = (pad(a), pad(b));
        let (left_strides, right_strides) = (strides(&left), strides(&right));
        let mut shape = Vec::with_capacity(rank);
        let mut axes: Vec<(usize, usize, usize)> = Vec::with_capacity(rank);
        for index in 0..rank {
            let length = match (left[index], right[index]) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return Err(format!("shapes {a:?} and {b:?} do not fit each other").into()),
            };
            shape.push(length);
            if length == 1 {
                continue;
            }
            let stride = |own: usize, strides: &[usize]| if own == 1 { 0 } else { strides[index] };
            let (sa, sb) = (stride(left[index], &left_strides), stride(right[index], &right_strides));
            match axes.last_mut() {
                Some(last) if last.1 == sa.saturating_mul(length) && last.2 == sb.saturating_mul(length) => {
                    *last = (last.0.saturating_mul(length), sa, sb);
                }
                _ => axes.push((length, sa, sb)),
            }
        }
        let len = count(&shape)?;
        Ok(Self { shape, len, axes })
    }

    /// Visits innermost runs: `(start in result, start in a, start in b, length, stride a, stride b)`.
    pub(crate) fn each(&self, mut visit: impl FnMut(usize, usize, usize, usize, usize, usize)) {
        if self.len == 0 {
            return;
        }
        let Some((&(length, sa, sb), outer)) = self.axes.split_last() else {
            visit(0, 0, 0, 1, 0, 0);
            return;
        };
        let mut at = vec![0_usize; outer.len()];
        let (mut ia, mut ib) = (0, 0);
        for start in (0..self.len).step_by(length) {
            visit(start, ia, ib, length, sa, sb);
            for (position, &(axis, oa, ob)) in at.iter_mut().zip(outer).rev() {
                *position += 1;
                ia += oa;
                ib += ob;
                if *position < axis {
                    break;
                }
                ia -= oa * axis;
                ib -= ob * axis;
                *position = 0;
            }
        }
    }

    /// The result of `f` on each pair.
    pub(crate) fn map<A, B, O>(&self, a: &[A], b: &[B], out: &mut Vec<O>, f: impl Fn(&A, &B) -> O) {
        self.each(|_, ia, ib, length, sa, sb| match (sa, sb) {
            (1, 1) => out.extend(a[ia..ia + length].iter().zip(&b[ib..ib + length]).map(|(a, b)| f(a, b))),
            (1, 0) => {
                let b = &b[ib];
                out.extend(a[ia..ia + length].iter().map(|a| f(a, b)));
            }
            (0, 1) => {
                let a = &a[ia];
                out.extend(b[ib..ib + length].iter().map(|b| f(a, b)));
            }
            _ => out.extend((0..length).map(|i| f(&a[ia + i * sa], &b[ib + i * sb]))),
        });
    }
}

/// Sums a gradient of a broadcast result down to the shape of one operand.
pub(crate) fn reduce_to(run: &mut Run, gradient: Tensor, shape: &[usize]) -> Result<Tensor, Fail> {
    if gradient.shape() == shape {
        return Ok(gradient);
    }
    let plan = Broadcast::new(shape, gradient.shape())?;
    let mut sum = run.zeros(shape)?;
    let (target, source) = (sum.data_mut(), gradient.data());
    plan.each(|_, ia, ib, length, sa, sb| match (sa, sb) {
        (0, 1) => target[ia] += source[ib..ib + length].iter().sum::<f32>(),
        (1, 1) => {
            for (slot, value) in target[ia..ia + length].iter_mut().zip(&source[ib..ib + length]) {
                *slot += value;
            }
        }
        _ => (0..length).for_each(|i| target[ia + i * sa] += source[ib + i * sb]),
    });
    run.give(gradient.into_data());
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_is_that_of_the_definition() {
        for (a, b) in [
            (vec![2, 3, 4], vec![3, 1]),
            (vec![2, 1, 4], vec![1, 3, 1]),
            (vec![], vec![2, 2]),
            (vec![5], vec![]),
            (vec![1], vec![1, 1, 1]),
            (vec![0, 3], vec![3]),
            (vec![4, 1, 1], vec![2, 4, 3, 3]),
            (vec![2, 3], vec![2, 3]),
        ] {
            let plan = Broadcast::new(&a, &b).unwrap();
            let values = |shape: &[usize]| (0..count(shape).unwrap()).collect::<Vec<usize>>();
            let mut out = Vec::new();
            plan.map(&values(&a), &values(&b), &mut out, |a, b| (*a, *b));
            let full = strides(&plan.shape);
            let locate = |shape: &[usize], index: usize| {
                let skip = plan.shape.len() - shape.len();
                let own = strides(shape);
                (0..shape.len())
                    .map(|k| {
                        if shape[k] == 1 { 0 } else { index / full[k + skip] % plan.shape[k + skip] * own[k] }
                    })
                    .sum::<usize>()
            };
            assert_eq!(out.len(), plan.len);
            for (index, pair) in out.into_iter().enumerate() {
                assert_eq!(pair, (locate(&a, index), locate(&b, index)));
            }
        }
        assert!(Broadcast::new(&[2], &[3]).is_err());
    }
}
