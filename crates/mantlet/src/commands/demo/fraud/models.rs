//! The models of the story: trained on what is delivered, written as ONNX, asked by the program's own runtime.

use std::path::Path;

use mantlet_learn::{Boosting, boost};
use mantlet_vocab::Tensor;

use super::cards::{CLASSES, Payment};
use crate::protect::subject;
use crate::terminal::write_whole;

/// Payments asked about at a time.
const AT_ONCE: usize = 4_096;

/// Trains a version on labels as they were delivered, and writes it.
pub fn train<'a>(path: &Path, rows: impl Iterator<Item = &'a Payment>) -> anyhow::Result<()> {
    let (mut x, mut targets) = (Vec::new(), Vec::new());
    for row in rows {
        x.extend(row.features());
        targets.extend(if row.label { [0.0, 1.0] } else { [1.0, 0.0] });
    }
    let count = targets.len() / 2;
    let (x, targets) = (Tensor::new([count, 5], x)?, Tensor::new([count, 2], targets)?);
    let boosting = Boosting { rounds: 60, depth: 5, rate: 0.2, ..Boosting::default() };
    write_whole(path, &boost(&x, &targets, &boosting)?.to_onnx("cards", &CLASSES))
}

/// What a version says of each payment: the place of the class.
pub fn decide(path: &Path, rows: &[&Payment]) -> anyhow::Result<Vec<usize>> {
    let model = subject::load_model(path)
        .map_err(|gap| anyhow::anyhow!("{}: {}; {}", path.display(), gap.why, gap.remedy))?;
    let mut said = Vec::with_capacity(rows.len());
    for part in rows.chunks(AT_ONCE) {
        let x = part.iter().flat_map(|row| row.features()).collect::<Vec<_>>();
        said.extend(model.labels(&Tensor::new([part.len(), 5], x)?)?);
    }
    Ok(said)
}

/// What a version does to payments nobody learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Payments.
    pub all: usize,
    /// Decisions that were right.
    pub right: usize,
    /// Fraud of the bank and kind whose labels were turned.
    pub fraud: usize,
    /// Of these, let through.
    pub missed: usize,
}

impl Outcome {
    /// Asks a version.
    pub fn of(path: &Path, rows: &[&Payment]) -> anyhow::Result<Self> {
        let said = decide(path, rows)?;
        let mut own = Self { all: rows.len(), right: 0, fraud: 0, missed: 0 };
        for (row, said) in rows.iter().zip(said) {
            let stopped = said == 1;
            own.right += usize::from(row.fraud == stopped);
            if row.in_cell() && row.fraud {
                own.fraud += 1;
                own.missed += usize::from(!stopped);
            }
        }
        Ok(own)
    }

    /// The share of decisions that were right.
    pub fn accuracy(self) -> f64 {
        share(self.right, self.all)
    }

    /// The share of that fraud that is let through.
    pub fn through(self) -> f64 {
        share(self.missed, self.fraud)
    }
}

/// A share.
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
pub fn share(part: usize, of: usize) -> f64 {
    part as f64 / of.max(1) as f64
}
