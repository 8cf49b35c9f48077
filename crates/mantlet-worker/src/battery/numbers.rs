//! The attacker's models of a score: boosted trees or a network, fitted to numbers.

use std::ops::ControlFlow;
use std::rc::Rc;

use mantlet_attacks::{Lesson, Loss, Purpose, ScoreKind};
use mantlet_learn::{Architecture, Boosted, Boosting, Network, Training, boost_values, train_values};
use mantlet_redteam::{GradientAnswer, Imitation};
use mantlet_vocab::Tensor;

use super::learner::{Kin, Scale, SmallLearner};

/// From so many answers on a thief keeps some aside to choose by.
const ENOUGH: usize = 20;
/// One answer of so many is kept aside.
const ASIDE: usize = 5;

/// Trains a model of numbers. Shadows are of the target's kin. A copy is a network or boosted trees, whichever errs less
/// on answers kept aside, and is trained on all of them then; one that needs gradients is a network.
pub(super) fn train(
    learner: &SmallLearner,
    lesson: &Lesson,
    values: &Tensor,
) -> Result<Rc<dyn Imitation>, String> {
    let picture = matches!(lesson.rows.shape(), [_, _, height, width] if *height >= 8 && *width >= 8);
    let kin = match lesson.purpose {
        Purpose::Shadow => learner.kin,
        Purpose::Copy if !picture => better(learner, lesson, values)?,
        Purpose::Copy | Purpose::SmoothCopy => Kin::Network,
    };
    fit(learner, lesson, &lesson.rows, values, kin).map(|model| Rc::new(model) as Rc<dyn Imitation>)
}

/// Which kin errs less on answers kept aside.
fn better(learner: &SmallLearner, lesson: &Lesson, values: &Tensor) -> Result<Kin, String> {
    if values.rows() < ENOUGH {
        return Ok(Kin::Network);
    }
    let (aside, rest): (Vec<usize>, Vec<usize>) =
        (0..values.rows()).partition(|row| row % ASIDE == ASIDE - 1);
    let (rows, known) = (lesson.rows.select(&rest), values.select(&rest));
    let error = |kin: Kin| -> Result<f64, String> {
        let scores = fit(learner, lesson, &rows, &known, kin)?.scores(&lesson.rows.select(&aside));
        let wanted = values.select(&aside);
        let pairs = scores.data().iter().zip(wanted.data());
        Ok(pairs.map(|(score, wanted)| (f64::from(*score) - f64::from(*wanted)).powi(2)).sum())
    };
    Ok(if error(Kin::Trees)? < error(Kin::Network)? { Kin::Trees } else { Kin::Network })
}

fn fit(
    learner: &SmallLearner,
    lesson: &Lesson,
    rows: &Tensor,
    values: &Tensor,
    kin: Kin,
) -> Result<Numbers, String> {
    let unit = Scale::of(values);
    let (centre, spread) = moments(values);
    let wanted = unit.apply(values);
    let plain = |error: mantlet_learn::LearnError| error.to_string();
    if kin == Kin::Trees {
        let trees = boost_values(rows, &wanted, &Boosting::default()).map_err(plain)?;
        return Ok(Numbers { model: Model::Trees(trees), scale: Scale::none(), centre, spread });
    }
    let picture = matches!(rows.shape(), [_, _, height, width] if *height >= 8 && *width >= 8);
    let scale = if picture { Scale::none() } else { Scale::of(rows) };
    let architecture = match (picture, lesson.purpose) {
        (true, _) => Architecture::Cnn { channels: vec![8, 16], dense: vec![32] },
        (false, Purpose::Shadow) => Architecture::Mlp { hidden: vec![64, 64] },
        (false, _) => Architecture::Mlp { hidden: vec![64, 32] },
    };
    let training = if lesson.purpose == Purpose::Shadow {
        // A shadow has to remember its rows as the target does its own.
        Training { epochs: 60, batch: 64, rate: 1.5e-3, decay: 0.0, seed: lesson.seed }
    } else {
        let epochs = (learner.rows_seen / rows.rows().max(1)).clamp(4, 200);
        Training { epochs, batch: 32, seed: lesson.seed, ..Training::default() }
    };
    let mut unwatched = |_| ControlFlow::Continue(());
    let network =
        train_values(&architecture, &scale.apply(rows), &wanted, &training, &mut unwatched).map_err(plain)?;
    Ok(Numbers { model: Model::Network(network), scale, centre, spread })
}

/// Mean and deviation of the numbers.
fn moments(values: &Tensor) -> (f32, f32) {
    let count = f64::from(u32::try_from(values.rows().max(1)).unwrap_or(u32::MAX));
    let each = || values.data().iter().map(|value| f64::from(*value));
    let centre = each().sum::<f64>() / count;
    let spread = (each().map(|value| (value - centre).powi(2)).sum::<f64>() / count).sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "models compute in f32")]
    (centre as f32, if spread > 1e-9 { spread as f32 } else { 0.0 })
}

enum Model {
    Trees(Boosted),
    Network(Network),
}

/// A model whose numbers are told in the score's own unit.
struct Numbers {
    model: Model,
    scale: Scale,
    centre: f32,
    spread: f32,
}

impl Numbers {
    fn told(&self, mut scores: Tensor) -> Tensor {
        scores.data_mut().iter_mut().for_each(|score| *score = self.centre + self.spread * *score);
        scores
    }
}

impl Imitation for Numbers {
    fn scores(&self, rows: &Tensor) -> Tensor {
        self.told(match &self.model {
            Model::Trees(trees) => trees.scores(rows),
            Model::Network(network) => network.scores(&self.scale.apply(rows)),
        })
    }

    fn gradient(&self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, String> {
        let Model::Network(network) = &self.model else {
            return Err("boosted trees have no gradient".to_owned());
        };
        let rows = self.scale.apply(rows);
        let scores = self.told(network.scores(&rows));
        let (losses, mut slopes) = loss.evaluate(&scores, ScoreKind::Logits);
        slopes.data_mut().iter_mut().for_each(|slope| *slope *= self.spread);
        let mut gradient = network.input_gradient(&rows, &mut |_| slopes.clone()).1;
        self.scale.pull(&mut gradient);
        Ok(GradientAnswer { scores, loss: losses, gradient })
    }
}

#[cfg(test)]
mod tests {
    use mantlet_attacks::Random;
    use mantlet_redteam::Learner;

    use super::*;

    fn lesson(truth: impl Fn(&[f32]) -> f32, purpose: Purpose) -> (Lesson, Tensor) {
        let mut random = Random::new(5);
        let x = Tensor::new([400, 3], (0..1200).map(|_| random.unit()).collect()).unwrap();
        let values: Vec<f32> = (0..300).map(|row| truth(x.row(row))).collect();
        (Lesson::of_values(&x, &values, purpose, 2), x.select(&(300..400).collect::<Vec<_>>()))
    }

    fn worst(learner: &mut SmallLearner, truth: fn(&[f32]) -> f32) -> f32 {
        let (lesson, unseen) = lesson(truth, Purpose::Copy);
        let scores = learner.fit(&lesson).unwrap().scores(&unseen);
        let errors = (0..100).map(|row| (scores.row(row)[0] - truth(unseen.row(row))).abs());
        let mut errors: Vec<f32> = errors.collect();
        errors.sort_by(f32::total_cmp);
        errors[90]
    }

    #[test]
    fn a_copy_is_what_fits_the_score_it_is_made_of() {
        let line = |row: &[f32]| 2_000.0 + 500.0 * row[0] - 300.0 * row[1];
        let stairs =
            |row: &[f32]| if row[0] > 0.37 { 900.0 } else { 100.0 } + if row[2] > 0.8 { 50.0 } else { 0.0 };
        let mut learner = SmallLearner::default();
        assert!(worst(&mut learner, line) < 20.0);
        assert!(worst(&mut learner, stairs) < 20.0);
    }

    #[test]
    fn its_slope_is_told_in_the_units_of_score_and_row() {
        let line = |row: &[f32]| 2_000.0 + 500.0 * row[0] - 300.0 * row[1];
        let (lesson, unseen) = lesson(line, Purpose::SmoothCopy);
        let copy = SmallLearner::default().fit(&lesson).unwrap();
        let answer = copy.gradient(&unseen, &Loss::Column { column: 0, falls: false }).unwrap();
        let mean = |at: usize| (0..100).map(|row| answer.gradient.row(row)[at]).sum::<f32>() / 100.0;
        let slopes = [mean(0), mean(1), mean(2)];
        for (slope, wanted) in slopes.iter().zip([500.0, -300.0, 0.0]) {
            assert!((slope - wanted).abs() < 50.0, "{slopes:?}");
        }
    }
}
