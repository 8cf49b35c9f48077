//! Support vector machines.

use mantlet_vocab::Value;

use super::{Labels, table};
use crate::attrs::Attrs;
use crate::ops::unary::logistic;
use crate::ops::{Edge, Hint, Inputs, Operator};
use crate::run::{Fail, Run};
use crate::values::singles;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

/// `SVMClassifier` (one against one, with or without probabilities) and `SVMRegressor`.
pub(crate) struct Svm {
    kernel: Kernel,
    gamma: f32,
    shift: f32,
    degree: f32,
    vectors: Vec<f32>,
    coefficients: Vec<f32>,
    rho: Vec<f32>,
    features: usize,
    /// Vectors of each class; none for a regression.
    per_class: Vec<usize>,
    sigmoids: Option<(Vec<f32>, Vec<f32>)>,
    labels: Option<Labels>,
}

impl Svm {
    pub(crate) fn new(attrs: Attrs<'_>, classifier: bool) -> Result<Self, Fail> {
        let list = |name| attrs.floats(name).unwrap_or_default().to_vec();
        let params = list("kernel_params");
        let kernel = match attrs.text("kernel_type").as_deref() {
            None | Some("LINEAR") => Kernel::Linear,
            Some("POLY") => Kernel::Poly,
            Some("RBF") => Kernel::Rbf,
            Some("SIGMOID") => Kernel::Sigmoid,
            Some(other) => return Err(format!("kernel_type `{other}` does not exist").into()),
        };
        let (vectors, coefficients, rho) = (list("support_vectors"), list("coefficients"), list("rho"));
        let (mut per_class, mut labels, mut sigmoids) = (Vec::new(), None, None);
        let count;
        if classifier {
            per_class = attrs.sizes("vectors_per_class")?.unwrap_or_default();
            labels = Some(Labels::read(attrs, "classlabels_ints"));
            count = per_class.iter().sum();
            let k = per_class.len();
            let pairs = k * k.saturating_sub(1) / 2;
            let (a, b) = (list("prob_a"), list("prob_b"));
            if k < 2 || rho.len() != pairs || coefficients.len() != (k - 1).saturating_mul(count) {
                return Err("the attributes do not make a one-against-one machine".into());
            }
            if !a.is_empty() {
                if a.len() != pairs || b.len() != pairs {
                    return Err("prob_a and prob_b do not fit the classes".into());
                }
                sigmoids = Some((a, b));
            }
        } else {
            count = usize::try_from(attrs.int("n_supports", 0)).unwrap_or(0);
            if rho.is_empty() || coefficients.len() != count {
                return Err("the attributes do not make a regression machine".into());
            }
        }
        if count == 0 || vectors.len() % count != 0 || vectors.is_empty() {
            return Err(format!("{} values for {count} support vectors", vectors.len()).into());
        }
        let param = |at: usize| params.get(at).copied().unwrap_or(0.0);
        let features = vectors.len() / count;
        let (gamma, shift, degree) = (param(0), param(1), param(2));
        Ok(Self {
            kernel,
            gamma,
            shift,
            degree,
            vectors,
            coefficients,
            rho,
            features,
            per_class,
            sigmoids,
            labels,
        })
    }

    fn kernels(&self, row: &[f32]) -> Vec<f32> {
        let one = |vector: &[f32]| {
            let pairs = row.iter().zip(vector);
            let dot = || row.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>();
            match self.kernel {
                Kernel::Linear => dot(),
                Kernel::Poly => (self.gamma * dot() + self.shift).powf(self.degree),
                Kernel::Sigmoid => (self.gamma * dot() + self.shift).tanh(),
                Kernel::Rbf => (-self.gamma * pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f32>()).exp(),
            }
        };
        self.vectors.chunks_exact(self.features).map(one).collect()
    }

    /// The decision of each pair of classes, positive for the first.
    fn pairs(&self, kernels: &[f32]) -> Vec<f32> {
        let count = kernels.len();
        let starts: Vec<usize> = self
            .per_class
            .iter()
            .scan(0, |sum, &own| {
                let start = *sum;
                *sum += own;
                Some(start)
            })
            .collect();
        let mut out = Vec::with_capacity(self.rho.len());
        for i in 0..self.per_class.len() {
            for j in i + 1..self.per_class.len() {
                let part = |class: usize, line: usize| {
                    let range = starts[class]..starts[class] + self.per_class[class];
                    range.map(|at| self.coefficients[line * count + at] * kernels[at]).sum::<f32>()
                };
                out.push(part(i, j - 1) + part(j, i) + self.rho[out.len()]);
            }
        }
        out
    }
}

/// Probabilities of classes from those of pairs (Wu, Lin and Weng 2004, the second method), by the fixed-point
/// iteration the field uses.
fn couple(pairs: &[Vec<f64>]) -> Vec<f64> {
    let k = pairs.len();
    let q = |t: usize, j: usize| {
        if t == j {
            (0..k).filter(|&i| i != t).map(|i| pairs[i][t] * pairs[i][t]).sum::<f64>()
        } else {
            -pairs[j][t] * pairs[t][j]
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of classes")]
    let classes = k as f64;
    let mut p = vec![1.0 / classes; k];
    for _ in 0..k.max(100) {
        let mut qp: Vec<f64> = (0..k).map(|t| (0..k).map(|j| q(t, j) * p[j]).sum()).collect();
        let mut pqp: f64 = p.iter().zip(&qp).map(|(p, q)| p * q).sum();
        if qp.iter().map(|v| (v - pqp).abs()).fold(0.0, f64::max) < 0.005 / classes {
            break;
        }
        for t in 0..k {
            let diff = (pqp - qp[t]) / q(t, t);
            p[t] += diff;
            pqp = (pqp + diff * (diff * q(t, t) + 2.0 * qp[t])) / (1.0 + diff) / (1.0 + diff);
            for j in 0..k {
                qp[j] = (qp[j] + diff * q(t, j)) / (1.0 + diff);
                p[j] /= 1.0 + diff;
            }
        }
    }
    p
}

impl Operator for Svm {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let (rows, features) = table(value.shape())?;
        if features != self.features {
            return Err(format!("{features} features given, {} expected", self.features).into());
        }
        let x = singles(value)?;
        let classes = self.per_class.len();
        let columns = match (&self.labels, &self.sigmoids) {
            (None, _) => 1,
            (_, Some(_)) => classes,
            (_, None) if classes == 2 => 2,
            _ => self.rho.len(),
        };
        let mut scores = run.zeros(&[rows, columns])?;
        let mut best = Vec::with_capacity(rows);
        for (row, out) in scores.data_mut().chunks_exact_mut(columns).enumerate() {
            let kernels = self.kernels(&x[row * features..(row + 1) * features]);
            run.tick()?;
            if self.labels.is_none() {
                out[0] =
                    self.coefficients.iter().zip(&kernels).map(|(a, b)| a * b).sum::<f32>() + self.rho[0];
                continue;
            }
            let pairs = self.pairs(&kernels);
            let mut votes = vec![0_u32; classes];
            let mut table = vec![vec![0.0_f64; classes]; classes];
            let mut at = 0;
            for i in 0..classes {
                for j in i + 1..classes {
                    votes[if pairs[at] > 0.0 { i } else { j }] += 1;
                    if let Some((a, b)) = &self.sigmoids {
                        let share =
                            f64::from(1.0 - logistic(pairs[at] * a[at] + b[at])).clamp(1e-7, 1.0 - 1e-7);
                        (table[i][j], table[j][i]) = (share, 1.0 - share);
                    }
                    at += 1;
                }
            }
            if self.sigmoids.is_some() {
                #[expect(clippy::cast_possible_truncation, reason = "scores are f32")]
                out.iter_mut().zip(couple(&table)).for_each(|(slot, p)| *slot = p as f32);
            } else if classes == 2 {
                // As ONNX Runtime gives them: the label's score is the smaller one.
                out.copy_from_slice(&[-pairs[0], pairs[0]]);
            } else {
                out.copy_from_slice(&pairs);
            }
            // The label is that of the votes, also where the probabilities, fitted apart, would say another.
            best.push(
                votes.iter().enumerate().fold(0, |top, (at, v)| if *v > votes[top] { at } else { top }),
            );
        }
        Ok(match &self.labels {
            None => vec![Value::F32(scores)],
            Some(labels) => vec![labels.pick(&best)?, Value::F32(scores)],
        })
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blocked
    }

    fn hint(&self) -> Hint {
        match &self.labels {
            None => Hint::Regression,
            Some(labels) => Hint::Classifier(labels.names(), self.sigmoids.as_ref().map(|_| true)),
        }
    }

    fn features(&self) -> Option<usize> {
        Some(self.features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coupling_recovers_consistent_probabilities() {
        let p = [0.5, 0.3, 0.2];
        let pairs: Vec<Vec<f64>> = (0..3)
            .map(|i| (0..3).map(|j| if i == j { 0.0 } else { p[i] / (p[i] + p[j]) }).collect())
            .collect();
        for (found, wanted) in couple(&pairs).iter().zip(p) {
            assert!((found - wanted).abs() < 0.01);
        }
    }
}
