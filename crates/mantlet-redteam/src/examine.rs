//! A target examined before its figures are believed: does it answer the same twice, are its scores rounded, do
//! they move at all, and do its gradients say where.

use mantlet_attacks::Loss;
use mantlet_vocab::Tensor;

use crate::{Doubt, Target};

/// What came of an examination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Examined {
    /// Why figures of this target are not to be trusted, if so.
    pub doubts: Vec<Doubt>,
    /// The classes first answered; `None` when the target did not answer, or not with numbers, and nothing was examined.
    pub labels: Option<Vec<usize>>,
}

/// Asks a few questions about these rows and says, in plain words, why figures of gradient and score attacks
/// are not to be trusted, if so. Costs at most four questions about each row; a target that fails or refuses
/// is left to the campaigns.
#[must_use]
pub fn examine(target: &mut dyn Target, rows: &Tensor, probe: &str) -> Examined {
    let mut doubts = Vec::new();
    let doubt =
        |kind: &str, message: String| Doubt { probe: probe.to_owned(), kind: kind.to_owned(), message };
    if rows.rows() == 0 {
        return Examined::default();
    }
    let facts = target.describe();
    if !facts.scores {
        let (Some(first), Some(second)) = (labels(target, rows), labels(target, rows)) else {
            return Examined::default();
        };
        let differ = first.iter().zip(&second).filter(|(a, b)| a != b).count();
        if differ > 0 {
            doubts.push(doubt("randomised-answers", randomised(differ, rows.rows())));
        }
        return Examined { doubts, labels: Some(first) };
    }
    let (Some(first), Some(second)) = (scores(target, rows), scores(target, rows)) else {
        return Examined::default();
    };
    let Some(differ) = apart(&first, &second) else { return Examined::default() };
    let answered = Some(first.argmax_rows());
    if differ > 0 {
        doubts.push(doubt("randomised-answers", randomised(differ, rows.rows())));
        // What follows compares answers, which says nothing here.
        return Examined { doubts, labels: answered };
    }
    if let Some(places) = rounding(first.data()) {
        doubts.push(doubt(
            "rounded-scores",
            format!(
                "scores come in steps of {}, rounded or counted: attacks that watch scores see steps instead of \
                 slopes, and their misses say less than those of attacks that see decisions only",
                10_f32.powi(-i32::try_from(places).unwrap_or(3))
            ),
        ));
    }
    if let Ok(answer) = target.gradient(rows, &Loss::Margin { labels: first.argmax_rows() }) {
        doubts.extend(
            slopes(target, rows, &answer.gradient, &answer.loss).map(|(kind, message)| doubt(kind, message)),
        );
    }
    Examined { doubts, labels: answered }
}

/// Rows in batches the target takes.
fn batches(target: &dyn Target, rows: &Tensor) -> Vec<Tensor> {
    let size = match target.describe().max_rows {
        0 => rows.rows().max(1),
        most => most,
    };
    let part = |start: usize| {
        let indices: Vec<usize> = (start..(start + size).min(rows.rows())).collect();
        rows.select(&indices)
    };
    (0..rows.rows()).step_by(size).map(part).collect()
}

/// The scores of each row; `None` when the target does not answer for all of them.
fn scores(target: &mut dyn Target, rows: &Tensor) -> Option<Tensor> {
    let (mut data, mut columns) = (Vec::new(), 0);
    for part in batches(target, rows) {
        let scores = target.scores(&part).ok().filter(|scores| scores.rows() == part.rows())?;
        columns = scores.row_len();
        data.extend_from_slice(scores.data());
    }
    Tensor::new([rows.rows(), columns], data).ok()
}

/// The class of each row; `None` when the target does not answer for all of them.
fn labels(target: &mut dyn Target, rows: &Tensor) -> Option<Vec<usize>> {
    let mut all = Vec::new();
    for part in batches(target, rows) {
        all.extend(target.labels(&part).ok().filter(|labels| labels.len() == part.rows())?);
    }
    Some(all)
}

/// Whether a target answers the same question the same way twice: each of these rows is asked two times. `None` when it
/// does not answer, or not with numbers.
#[must_use]
pub fn steady(target: &mut dyn Target, rows: &Tensor) -> Option<bool> {
    differing(target, rows).map(|differ| differ == 0)
}

/// How many rows were answered differently the second time.
fn differing(target: &mut dyn Target, rows: &Tensor) -> Option<usize> {
    if target.describe().scores {
        return apart(&scores(target, rows)?, &scores(target, rows)?);
    }
    let (first, second) = (labels(target, rows)?, labels(target, rows)?);
    Some(first.iter().zip(&second).filter(|(a, b)| a != b).count())
}

/// Rows whose scores differ by more than rounding; `None` when they cannot be compared.
fn apart(first: &Tensor, second: &Tensor) -> Option<usize> {
    if first.shape() != second.shape() || first.data().iter().any(|value| !value.is_finite()) {
        return None;
    }
    let scale = spread(first.data()).max(1e-6);
    let moved = |row: &usize| {
        let pairs = first.row(*row).iter().zip(second.row(*row));
        pairs.into_iter().any(|(a, b)| (a - b).abs() > 1e-4 * scale)
    };
    Some((0..first.rows()).filter(moved).count())
}

fn randomised(differ: usize, rows: usize) -> String {
    format!(
        "the same question was answered differently on {differ} of {rows} rows: the model or what stands before \
         it draws random numbers, so a miss may be luck and every figure has to be repeated over several seeds"
    )
}

fn spread(values: &[f32]) -> f32 {
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    high - values.iter().copied().fold(f32::INFINITY, f32::min)
}

/// The decimal places all scores are rounded to, when they are few and some score is not a whole number.
fn rounding(scores: &[f32]) -> Option<u32> {
    let whole =
        |scale: f32| scores.iter().all(|value| ((value * scale) - (value * scale).round()).abs() < 1e-3);
    if whole(1.0) {
        return None;
    }
    (1..=3).find(|places| whole(10_f32.powi(i32::try_from(*places).unwrap_or(3))))
}

/// Compares what gradients promise with what a small step brings.
fn slopes(
    target: &mut dyn Target,
    rows: &Tensor,
    gradient: &Tensor,
    before: &[f32],
) -> Option<(&'static str, String)> {
    let mut stepped = rows.clone();
    let mut promised = vec![0.0_f64; rows.rows()];
    for (row, promise) in promised.iter_mut().enumerate() {
        let slope = gradient.row(row);
        let length = slope.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        if length <= 1e-20 {
            continue;
        }
        // A step of a thousandth of the row's own size along the gradient.
        let size = rows.row(row).iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt().max(1.0);
        let step = 1e-3 * size;
        #[expect(clippy::cast_possible_truncation, reason = "a small step")]
        for (value, slope) in stepped.row_mut(row).iter_mut().zip(slope) {
            *value += (step * f64::from(*slope) / length) as f32;
        }
        *promise = step * length;
    }
    let labels = scores(target, rows)?.argmax_rows();
    let after = target.gradient(&stepped, &Loss::Margin { labels }).ok()?.loss;
    let with = promised.iter().filter(|promise| **promise > 0.0).count();
    if with * 2 < rows.rows() {
        return Some((
            "vanishing-gradients",
            format!(
                "{} of {} rows have no gradient at all: a miss of a gradient attack says nothing about this model",
                rows.rows() - with,
                rows.rows()
            ),
        ));
    }
    let ratio = |row: usize| f64::from(after[row] - before[row]) / promised[row];
    let judged: Vec<usize> =
        (0..rows.rows().min(before.len()).min(after.len())).filter(|&row| promised[row] > 0.0).collect();
    let still = judged.iter().filter(|&&row| after[row] == before[row]).count();
    if still * 2 > judged.len() {
        return Some((
            "staircase",
            format!(
                "on {still} of {} rows a small step changes no score although there is a gradient: something in \
                 the model rounds its input, so gradients are those of a stand-in",
                judged.len()
            ),
        ));
    }
    let wrong = judged.iter().filter(|&&row| !(0.2..=5.0).contains(&ratio(row))).count();
    (wrong * 2 > judged.len()).then(|| {
        (
            "gradients-mislead",
            format!(
                "on {wrong} of {} rows a small step along the gradient does not bring what it promises: attacks \
                 that follow gradients are led astray on this model",
                judged.len()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use mantlet_attacks::ScoreKind;

    use super::*;
    use crate::{GradientAnswer, TargetError, TargetFacts};

    /// A two-class model over one value with something wrong in front of it.
    struct Odd {
        asked: u32,
        noise: f32,
        places: Option<i32>,
        quantised: bool,
        slope: f32,
    }

    impl Odd {
        fn value(&mut self, x: f32) -> f32 {
            self.asked += 1;
            let x = if self.quantised { (x * 4.0).round() / 4.0 } else { x };
            let noise = self.noise * (self.asked % 7) as f32;
            let value = x * 0.733 + 0.017 + noise;
            self.places.map_or(value, |places| (value * 10_f32.powi(places)).round() / 10_f32.powi(places))
        }
    }

    impl Target for Odd {
        fn describe(&self) -> TargetFacts {
            TargetFacts {
                name: "odd".to_owned(),
                input_shape: vec![1],
                classes: Some(2),
                score_kind: Some(ScoreKind::Logits),
                scores: true,
                no_gradient: None,
                max_rows: 0,
            }
        }
        fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
            Ok(self.scores(rows)?.argmax_rows())
        }
        fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
            let data = rows.data().iter().flat_map(|x| [0.0, self.value(*x)]).collect();
            Ok(Tensor::new([rows.rows(), 2], data).unwrap())
        }
        fn gradient(&mut self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, TargetError> {
            let scores = self.scores(rows)?;
            let (loss, slopes) = loss.evaluate(&scores, ScoreKind::Logits);
            let data = (0..rows.rows()).map(|row| slopes.row(row)[1] * self.slope).collect();
            let gradient = Tensor::new(rows.shape().to_vec(), data).unwrap();
            Ok(GradientAnswer { scores, loss, gradient })
        }
    }

    fn kinds(mut odd: Odd) -> Vec<String> {
        let rows = Tensor::new([8, 1], (0..8).map(|row| 0.13 * row as f32 + 0.03).collect()).unwrap();
        examine(&mut odd, &rows, "evasion-pgd").doubts.into_iter().map(|doubt| doubt.kind).collect()
    }

    const PLAIN: Odd = Odd { asked: 0, noise: 0.0, places: None, quantised: false, slope: 0.733 };

    #[test]
    fn an_honest_model_raises_no_doubt() {
        assert_eq!(kinds(PLAIN), Vec::<String>::new());
    }

    #[test]
    fn what_is_odd_is_named() {
        assert_eq!(kinds(Odd { noise: 0.01, ..PLAIN }), ["randomised-answers"]);
        assert_eq!(kinds(Odd { places: Some(2), ..PLAIN })[0], "rounded-scores");
        assert_eq!(kinds(Odd { quantised: true, ..PLAIN }), ["staircase"]);
        assert_eq!(kinds(Odd { slope: 0.0, ..PLAIN }), ["vanishing-gradients"]);
        assert_eq!(kinds(Odd { slope: -0.733, ..PLAIN }), ["gradients-mislead"]);
    }
}
