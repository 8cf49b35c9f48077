//! What an attack asks of a target and is answered, written down as it happens.

use mantlet_attacks::{Answer, Ask, Loss};
use mantlet_guard::margin;
use mantlet_redteam::{GradientAnswer, Target, TargetError, TargetFacts};
use mantlet_vocab::{Tensor, TreeEnsemble};

/// The most numbers kept of one stream: 32 MiB of them.
const KEPT: usize = 8 << 20;

/// Questions about labels and scores, in order. Gradients are an attacker's own affair: he has the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stream {
    /// Values of a row.
    pub width: usize,
    /// The rows, side by side.
    pub rows: Vec<f32>,
    /// The class of each, and how far the best score was above the next where there were scores.
    pub heard: Vec<(Option<usize>, Option<f32>)>,
    /// Whether scores were asked for.
    pub scores: bool,
    /// Whether more was asked than is kept.
    pub cut: bool,
}

impl Stream {
    /// The rows with what was heard of them.
    pub fn iter(&self) -> impl Iterator<Item = (&[f32], Option<usize>, Option<f32>)> {
        let rows = self.rows.chunks_exact(self.width.max(1));
        rows.zip(&self.heard).map(|(row, (label, margin))| (row, *label, *margin))
    }

    fn note(&mut self, rows: &Tensor, heard: impl Fn(usize) -> (Option<usize>, Option<f32>)) {
        if self.rows.is_empty() {
            self.width = rows.row_len();
        }
        if rows.row_len() != self.width || self.rows.len() + rows.data().len() > KEPT {
            self.cut = true;
            return;
        }
        self.rows.extend_from_slice(rows.data());
        self.heard.extend((0..rows.rows()).map(heard));
    }
}

/// A target whose questions are written down.
pub struct Tap<'a> {
    inner: &'a mut dyn Target,
    /// What was asked so far.
    pub stream: Stream,
}

impl<'a> Tap<'a> {
    /// Over this target.
    pub fn new(inner: &'a mut dyn Target) -> Self {
        Self { inner, stream: Stream::default() }
    }
}

impl Target for Tap<'_> {
    fn describe(&self) -> TargetFacts {
        self.inner.describe()
    }

    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        let answer = self.inner.labels(rows);
        let labels = answer.as_deref().ok();
        self.stream.note(rows, |row| (labels.and_then(|labels| labels.get(row).copied()), None));
        answer
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        let answer = self.inner.scores(rows);
        self.stream.scores = true;
        let scores = answer.as_ref().ok().filter(|scores| scores.rows() == rows.rows());
        let best = scores.map(Tensor::argmax_rows).unwrap_or_default();
        self.stream.note(rows, |row| {
            (best.get(row).copied(), scores.map(|scores| margin(scores.row(row))).filter(|m| m.is_finite()))
        });
        answer
    }

    fn gradient(&mut self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, TargetError> {
        self.inner.gradient(rows, loss)
    }

    fn activations(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        self.inner.activations(rows)
    }

    fn margins(&mut self, low: &Tensor, high: &Tensor, labels: &[usize]) -> Result<Vec<f32>, TargetError> {
        self.inner.margins(low, high, labels)
    }

    fn unanswered(&self, ask: &Ask) -> usize {
        self.inner.unanswered(ask)
    }

    fn remind(&mut self, ask: &Ask, answer: &Answer) {
        self.inner.remind(ask, answer);
    }

    fn tokens_at_most(&self, rows: &Tensor) -> u64 {
        self.inner.tokens_at_most(rows)
    }

    fn tokens(&self) -> u64 {
        self.inner.tokens()
    }

    fn last_weights(&self) -> Option<Tensor> {
        self.inner.last_weights()
    }

    fn trees(&self) -> Option<TreeEnsemble> {
        self.inner.trees()
    }
}
