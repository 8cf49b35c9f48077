//! The thief's learner: a small network of the project's own, fitted to what the model answered.

use std::ops::ControlFlow;

use mantlet_learn::{Architecture, Network, Training, train, train_soft};
use mantlet_redteam::{Learner, Thief, Transfer};
use mantlet_vocab::Tensor;

/// Trains a small convolutional network on pictures of at least 8 by 8, else a perceptron on standardised
/// columns.
#[derive(Debug, Clone, Copy)]
pub struct SmallLearner {
    /// Steps of training, in rows seen.
    pub rows_seen: usize,
}

impl Default for SmallLearner {
    fn default() -> Self {
        Self { rows_seen: 24_000 }
    }
}

impl Learner for SmallLearner {
    fn fit(&mut self, transfer: &Transfer, seed: u64) -> Result<Box<dyn Thief>, String> {
        let picture = matches!(transfer.rows.shape(), [_, _, height, width] if *height >= 8 && *width >= 8);
        let architecture = if picture {
            Architecture::Cnn { channels: vec![8, 16], dense: vec![32] }
        } else {
            Architecture::Mlp { hidden: vec![64, 32] }
        };
        let scale = if picture { Scale::none() } else { Scale::of(&transfer.rows) };
        let rows = scale.apply(&transfer.rows);
        let training = Training {
            epochs: (self.rows_seen / rows.rows().max(1)).clamp(4, 200),
            batch: 32,
            seed,
            ..Training::default()
        };
        let mut unwatched = |_| ControlFlow::Continue(());
        let network = match &transfer.probabilities {
            Some(soft) => train_soft(&architecture, &rows, soft, &training, &mut unwatched),
            None => {
                train(&architecture, &rows, &transfer.labels, transfer.classes, &training, &mut unwatched)
            }
        };
        Ok(Box::new(Copy { network: network.map_err(|error| error.to_string())?, scale }))
    }
}

struct Copy {
    network: Network,
    scale: Scale,
}

impl Thief for Copy {
    fn labels(&self, rows: &Tensor) -> Vec<usize> {
        self.network.labels(&self.scale.apply(rows))
    }
}

/// Mean and inverse deviation of each column; empty leaves rows as they are.
struct Scale(Vec<(f32, f32)>);

impl Scale {
    const fn none() -> Self {
        Self(Vec::new())
    }

    fn of(rows: &Tensor) -> Self {
        let (count, len) = (rows.rows(), rows.row_len());
        let columns = (0..len).map(|column| {
            let values = || (0..count).map(|row| f64::from(rows.row(row)[column]));
            let n = count.max(1) as f64;
            let mean = values().sum::<f64>() / n;
            let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
            #[expect(clippy::cast_possible_truncation, reason = "networks compute in f32")]
            (mean as f32, if deviation > 1e-9 { (1.0 / deviation) as f32 } else { 0.0 })
        });
        Self(columns.collect())
    }

    fn apply(&self, rows: &Tensor) -> Tensor {
        let mut rows = rows.clone();
        if !self.0.is_empty() {
            for row in 0..rows.rows() {
                for (value, (mean, inverse)) in rows.row_mut(row).iter_mut().zip(&self.0) {
                    *value = (*value - mean) * inverse;
                }
            }
        }
        rows
    }
}
