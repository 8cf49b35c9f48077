//! A linear classifier over rows of numbers and their squares: what is new, and what of the reference (logistic
//! regression, AdaGrad, Duchi, Hazan and Singer 2011).

use crate::statistic::real;

const ROUNDS: usize = 12;
const RATE: f32 = 0.1;
const RIDGE: f32 = 1e-3;

/// A fitted classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Domain {
    means: Vec<f32>,
    scales: Vec<f32>,
    weights: Vec<f32>,
    base: f32,
}

impl Domain {
    /// Learns which rows are new. All rows have as many numbers as the first; what is no number counts as the mean.
    #[must_use]
    pub fn fit(rows: &[&[f32]], new: &[bool]) -> Self {
        let dims = rows.first().map_or(0, |row| row.len());
        let (mut sums, mut squares) = (vec![0.0_f64; dims], vec![0.0_f64; dims]);
        for row in rows {
            for ((sum, square), value) in sums.iter_mut().zip(&mut squares).zip(*row) {
                let value = if value.is_finite() { f64::from(*value) } else { 0.0 };
                *sum += value;
                *square += value * value;
            }
        }
        let many = real(rows.len().max(1) as u64);
        #[expect(clippy::cast_possible_truncation, reason = "single precision is enough for a mean")]
        let means: Vec<f32> = sums.iter().map(|sum| (sum / many) as f32).collect();
        let scale = |(sum, square): (&f64, &f64)| {
            let deviation = (square / many - (sum / many).powi(2)).max(0.0).sqrt();
            #[expect(clippy::cast_possible_truncation, reason = "single precision is enough for a deviation")]
            let scale = if deviation > 1e-9 { (1.0 / deviation) as f32 } else { 0.0 };
            scale
        };
        let scales = sums.iter().zip(&squares).map(scale).collect();
        let mut own = Self { means, scales, weights: vec![0.0; 2 * dims], base: 0.0 };
        let (mut slopes, mut base_slopes) = (vec![1e-2_f32; 2 * dims], 1e-2_f32);
        let mut features = Vec::with_capacity(2 * dims);
        // A longer row of numbers says more at once: steps are shorter.
        let rate = RATE / f32::from(u16::try_from(dims.max(1)).unwrap_or(u16::MAX)).sqrt();
        for _ in 0..ROUNDS {
            for (row, &new) in rows.iter().zip(new) {
                own.features(row, &mut features);
                let error = 1.0 / (1.0 + (-own.margin(&features)).exp()) - f32::from(u8::from(new));
                base_slopes += error * error;
                own.base -= RATE * error / base_slopes.sqrt();
                for ((weight, slopes), feature) in own.weights.iter_mut().zip(&mut slopes).zip(&features) {
                    let slope = error * feature + RIDGE * *weight;
                    *slopes += slope * slope;
                    *weight -= rate * slope / slopes.sqrt();
                }
            }
        }
        own
    }

    /// Each number in deviations, and its square less one, bounded.
    fn features(&self, row: &[f32], out: &mut Vec<f32>) {
        out.clear();
        let deviation = |((value, mean), scale): ((&f32, &f32), &f32)| {
            if value.is_finite() { ((value - mean) * scale).clamp(-5.0, 5.0) } else { 0.0 }
        };
        out.extend(row.iter().zip(&self.means).zip(&self.scales).map(deviation));
        for at in 0..out.len() {
            out.push((out[at] * out[at] - 1.0).clamp(-1.0, 8.0) * 0.5);
        }
    }

    fn margin(&self, features: &[f32]) -> f32 {
        self.base + self.weights.iter().zip(features).map(|(weight, feature)| weight * feature).sum::<f32>()
    }

    /// How new a row looks; higher is newer.
    #[must_use]
    pub fn score(&self, row: &[f32]) -> f64 {
        let mut features = Vec::with_capacity(2 * row.len());
        self.features(row, &mut features);
        f64::from(self.margin(&features))
    }
}
