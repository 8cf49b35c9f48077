//! The attacker's learner: small models of the project's own, fitted to what the target answered (copies) or
//! trained as the target was (shadows).

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;

use mantlet_attacks::{Lesson, Loss, Purpose, Random, ScoreKind, Warp};
use mantlet_learn::{Architecture, Boosted, Boosting, Network, Training, boost, train, train_soft};

use super::numbers;
use mantlet_redteam::{GradientAnswer, Imitation, Learner};
use mantlet_vocab::{Digest, Tensor};

/// What a shadow of the target is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kin {
    /// Boosted trees: the target is a tree ensemble.
    Trees,
    /// A network: convolutional on pictures, a perceptron on tables.
    Network,
}

/// Trains a small convolutional network on pictures of at least 8 by 8, else a perceptron on standardised
/// columns, or boosted trees where shadows of trees are wanted. Models of the last lessons are kept, so that
/// attacks that share lessons share the training.
pub struct SmallLearner {
    /// Steps of a copy's training, in rows seen.
    pub rows_seen: usize,
    /// Networks in a copy's committee.
    pub members: usize,
    /// How often each picture is shown, turned, moved and bent each time but the first.
    pub copies: usize,
    /// How far it is turned, moved and bent (see [`Warp::bent`]).
    pub strength: f32,
    /// Maps of the two convolutions of a copy, and the width of the layer behind them.
    pub widths: [usize; 3],
    /// What shadows are made of.
    pub kin: Kin,
    kept: VecDeque<(Digest, Rc<dyn Imitation>)>,
}

impl Default for SmallLearner {
    fn default() -> Self {
        Self {
            rows_seen: 24_000,
            members: 1,
            copies: 8,
            strength: 0.6,
            widths: [16, 32, 64],
            kin: Kin::Network,
            kept: VecDeque::new(),
        }
    }
}

impl SmallLearner {
    /// The most models kept.
    const KEPT: usize = 160;

    /// A learner whose shadows are of this kin.
    #[must_use]
    pub fn of(kin: Kin) -> Self {
        Self { kin, ..Self::default() }
    }

    fn train(&self, lesson: &Lesson) -> Result<Rc<dyn Imitation>, String> {
        if let Some(values) = &lesson.values {
            return numbers::train(self, lesson, values);
        }
        if lesson.purpose == Purpose::Shadow && self.kin == Kin::Trees {
            let boosting = Boosting::default();
            let targets = lesson.probabilities.clone().unwrap_or_else(|| one_hot(lesson));
            let trees = boost(&lesson.rows, &targets, &boosting).map_err(|error| error.to_string())?;
            return Ok(Rc::new(Trees(trees)));
        }
        let picture = matches!(lesson.rows.shape(), [_, _, height, width] if *height >= 8 && *width >= 8);
        let scale = if picture { Scale::none() } else { Scale::of(&lesson.rows) };
        let rows = scale.apply(&lesson.rows);
        let architecture = match (picture, lesson.purpose) {
            (true, Purpose::Shadow) => Architecture::Cnn { channels: vec![8, 16], dense: vec![32] },
            (true, _) => {
                let [first, second, dense] = self.widths;
                Architecture::Cnn { channels: vec![first, second], dense: vec![dense] }
            }
            (false, Purpose::Shadow) => Architecture::Mlp { hidden: vec![64, 64] },
            (false, _) => Architecture::Mlp { hidden: vec![64, 32] },
        };
        if lesson.purpose != Purpose::Shadow {
            return self.copy(lesson, &rows, scale, &architecture);
        }
        // A shadow has to remember its rows as the target does its own.
        let training = Training { epochs: 60, batch: 64, rate: 1.5e-3, decay: 0.0, seed: lesson.seed };
        let mut unwatched = |_| ControlFlow::Continue(());
        let network = match &lesson.probabilities {
            Some(soft) => train_soft(&architecture, &rows, soft, &training, &mut unwatched),
            None => train(&architecture, &rows, &lesson.labels, lesson.classes, &training, &mut unwatched),
        };
        Ok(Rc::new(Scaled { networks: vec![network.map_err(|error| error.to_string())?], scale }))
    }

    /// A committee of networks, each trained on the rows and, for pictures, on turned, moved and bent copies of them: what
    /// is shown does not change, and the copy learns that from few answers.
    fn copy(
        &self,
        lesson: &Lesson,
        rows: &Tensor,
        scale: Scale,
        architecture: &Architecture,
    ) -> Result<Rc<dyn Imitation>, String> {
        let targets = lesson.probabilities.clone().unwrap_or_else(|| one_hot(lesson));
        let image = match *rows.shape() {
            [_, height, width] => Some((1, height, width)),
            [_, channels, height, width] if channels <= 4 => Some((channels, height, width)),
            _ => None,
        };
        let mut networks = Vec::new();
        for member in 0..self.members as u64 {
            let mut random = Random::new(lesson.seed ^ member.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let copies = if image.is_some() { self.copies.max(1) } else { 1 };
            let mut data = rows.data().to_vec();
            let mut wanted = targets.data().to_vec();
            for _ in 1..copies {
                for row in 0..rows.rows() {
                    let Some(image) = image else { break };
                    data.extend(Warp::bent(&mut random, self.strength, image).apply(rows.row(row), image));
                    wanted.extend_from_slice(targets.row(row));
                }
            }
            let mut shape = rows.shape().to_vec();
            shape[0] *= copies;
            let all = Tensor::new(shape, data).map_err(|error| error.to_string())?;
            let wanted =
                Tensor::new([all.rows(), lesson.classes], wanted).map_err(|error| error.to_string())?;
            let training = Training {
                epochs: (self.rows_seen / all.rows().max(1)).clamp(4, 200),
                batch: 32,
                seed: lesson.seed.wrapping_add(member),
                ..Training::default()
            };
            let mut unwatched = |_| ControlFlow::Continue(());
            let network = train_soft(architecture, &all, &wanted, &training, &mut unwatched);
            networks.push(network.map_err(|error| error.to_string())?);
        }
        Ok(Rc::new(Scaled { networks, scale }))
    }
}

impl Learner for SmallLearner {
    fn fit(&mut self, lesson: &Lesson) -> Result<Rc<dyn Imitation>, String> {
        let digest = lesson.digest();
        if let Some((_, known)) = self.kept.iter().find(|(known, _)| *known == digest) {
            return Ok(Rc::clone(known));
        }
        let model = self.train(lesson)?;
        if self.kept.len() >= Self::KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((digest, Rc::clone(&model)));
        Ok(model)
    }
}

fn one_hot(lesson: &Lesson) -> Tensor {
    let mut targets = Tensor::full([lesson.labels.len(), lesson.classes], 0.0);
    for (row, &label) in lesson.labels.iter().enumerate() {
        if let Some(value) = targets.row_mut(row).get_mut(label) {
            *value = 1.0;
        }
    }
    targets
}

struct Trees(Boosted);

impl Imitation for Trees {
    fn scores(&self, rows: &Tensor) -> Tensor {
        self.0.scores(rows)
    }

    fn gradient(&self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, String> {
        Err("boosted trees have no gradient".to_owned())
    }
}

/// One network or a committee, whose logits are averaged.
struct Scaled {
    networks: Vec<Network>,
    scale: Scale,
}

impl Imitation for Scaled {
    fn scores(&self, rows: &Tensor) -> Tensor {
        let rows = self.scale.apply(rows);
        mean(self.networks.iter().map(|network| network.scores(&rows)).collect())
    }

    fn gradient(&self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, String> {
        let rows = self.scale.apply(rows);
        let scores = mean(self.networks.iter().map(|network| network.scores(&rows)).collect());
        let (losses, slopes) = loss.evaluate(&scores, ScoreKind::Logits);
        let gradients =
            self.networks.iter().map(|network| network.input_gradient(&rows, &mut |_| slopes.clone()).1);
        let mut gradient = mean(gradients.collect());
        self.scale.pull(&mut gradient);
        Ok(GradientAnswer { scores, loss: losses, gradient })
    }
}

/// The mean of tensors of one shape.
fn mean(tensors: Vec<Tensor>) -> Tensor {
    #[expect(clippy::cast_precision_loss, reason = "a few networks")]
    let share = 1.0 / tensors.len().max(1) as f32;
    let mut tensors = tensors.into_iter();
    let mut sum = tensors.next().unwrap_or_else(|| Tensor::full([0, 0], 0.0));
    for tensor in tensors {
        sum.data_mut().iter_mut().zip(tensor.data()).for_each(|(sum, value)| *sum += value);
    }
    sum.data_mut().iter_mut().for_each(|value| *value *= share);
    sum
}

/// Mean and inverse deviation of each column; empty leaves rows as they are.
pub(super) struct Scale(Vec<(f32, f32)>);

impl Scale {
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn of(rows: &Tensor) -> Self {
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

    pub(super) fn apply(&self, rows: &Tensor) -> Tensor {
        let mut rows = rows.clone();
        self.each(&mut rows, |value, mean, inverse| (value - mean) * inverse);
        rows
    }

    /// The gradient before scaling, from that after it.
    pub(super) fn pull(&self, gradient: &mut Tensor) {
        self.each(gradient, |value, _, inverse| value * inverse);
    }

    fn each(&self, rows: &mut Tensor, change: impl Fn(f32, f32, f32) -> f32) {
        if self.0.is_empty() {
            return;
        }
        for row in 0..rows.rows() {
            for (value, (mean, inverse)) in rows.row_mut(row).iter_mut().zip(&self.0) {
                *value = change(*value, *mean, *inverse);
            }
        }
    }
}
