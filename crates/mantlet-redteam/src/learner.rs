//! Copying the model from what an extraction gathered: the learner is a port.

use mantlet_attacks::{Detail, Interval, Outcome, wilson};
use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};

/// What an extraction gathered.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    /// The rows sent.
    pub rows: Tensor,
    /// The labels received.
    pub labels: Vec<usize>,
    /// Probabilities, when scores were received.
    pub probabilities: Option<Tensor>,
    /// Number of classes.
    pub classes: usize,
}

/// A copy of the model.
pub trait Thief {
    /// The class of each row.
    fn labels(&self, rows: &Tensor) -> Vec<usize>;
}

/// Trains copies.
pub trait Learner {
    /// Trains one on this transfer set.
    ///
    /// # Errors
    /// In plain words, when it cannot.
    fn fit(&mut self, transfer: &Transfer, seed: u64) -> Result<Box<dyn Thief>, String>;
}

/// One point of the fidelity curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Rows asked of the victim.
    pub queries: usize,
    /// Share of held-out rows on which the copy agrees with the victim.
    pub fidelity: Interval,
}

/// Trains a copy on each of the first `points` rows of an extraction's transfer set and measures its
/// agreement with the victim's labels on rows that were not sent. Points past the rows gathered are left out.
///
/// # Errors
/// When the outcome is no extraction, or the learner fails.
pub fn fidelity(
    outcome: &Outcome,
    classes: usize,
    points: &[usize],
    held_out: &Tensor,
    victim: &[usize],
    learner: &mut dyn Learner,
    seed: u64,
) -> Result<Vec<CurvePoint>, String> {
    let Detail::Extraction { rows, labels, probabilities, .. } = &outcome.detail else {
        return Err(format!("attack `{}` gathered no transfer set", outcome.attack));
    };
    let mut curve = Vec::new();
    for &point in points {
        if point == 0 || point > rows.rows() || point > labels.len() {
            continue;
        }
        let first: Vec<usize> = (0..point).collect();
        let transfer = Transfer {
            rows: rows.select(&first),
            labels: labels[..point].to_vec(),
            probabilities: probabilities.as_ref().map(|soft| soft.select(&first)),
            classes,
        };
        let thief = learner.fit(&transfer, seed)?;
        let agree = thief.labels(held_out).iter().zip(victim).filter(|(copy, victim)| copy == victim).count();
        curve.push(CurvePoint { queries: point, fidelity: wilson(agree, held_out.rows()) });
    }
    Ok(curve)
}
