//! One question put to a target, and the answers of its batches put together.

use mantlet_attacks::{Answer, Ask, Lesson, Loss};
use mantlet_vocab::Tensor;

use crate::{Learner, Target, TargetError};

/// Asks, and holds the answer to the question's size.
pub(crate) fn query(target: &mut dyn Target, ask: &Ask) -> Result<Answer, TargetError> {
    let count = ask.rows().rows();
    let fits = |answered: usize| {
        if answered == count {
            Ok(())
        } else {
            Err(TargetError::Malformed { reason: format!("{count} rows asked, {answered} answered") })
        }
    };
    match ask {
        Ask::Labels(rows) => {
            let labels = target.labels(rows)?;
            fits(labels.len())?;
            Ok(Answer::Labels(labels))
        }
        Ask::Scores(rows) => {
            let scores = numbers(target.scores(rows)?)?;
            fits(scores.rows())?;
            Ok(Answer::Scores(scores))
        }
        Ask::Margins { low, high, labels } => {
            let margins = target.margins(low, high, labels)?;
            fits(margins.len())?;
            let malformed =
                |error: mantlet_vocab::ShapeError| TargetError::Malformed { reason: error.to_string() };
            Ok(Answer::Scores(Tensor::new([count, 1], margins).map_err(malformed)?))
        }
        Ask::Activations(rows) => {
            let values = target.activations(rows)?;
            fits(values.rows())?;
            Ok(Answer::Scores(values))
        }
        Ask::Gradient { rows, loss } => {
            let answer = target.gradient(rows, loss)?;
            fits(answer.scores.rows())?;
            if answer.gradient.data().len() != rows.data().len() || answer.loss.len() != count {
                return Err(TargetError::Malformed { reason: "a gradient of another shape".to_owned() });
            }
            let scores = numbers(answer.scores)?;
            Ok(Answer::Gradient { scores, loss: answer.loss, gradient: answer.gradient })
        }
        Ask::Learned { .. } => {
            Err(TargetError::Unsupported { reason: "a target does not train models".to_owned() })
        }
    }
}

/// A row of which any score is no finite number has no scores at all: it is the target's error, and never moved, turned or
/// ranked by it. Where that is so of every row, the answer is none.
fn numbers(mut scores: Tensor) -> Result<Tensor, TargetError> {
    let mut broken = 0;
    for row in 0..scores.rows() {
        if scores.row(row).iter().any(|value| !value.is_finite()) {
            scores.row_mut(row).fill(f32::NAN);
            broken += 1;
        }
    }
    if broken > 0 && broken == scores.rows() {
        return Err(TargetError::Malformed { reason: "its scores are no numbers".to_owned() });
    }
    Ok(scores)
}

/// The best class of each row of scores.
///
/// # Errors
/// When the scores of a row are no finite numbers: of those no class can be read.
pub fn labels_of(scores: &Tensor) -> Result<Vec<usize>, TargetError> {
    match (0..scores.rows()).find(|row| scores.row(*row).iter().any(|value| !value.is_finite())) {
        None => Ok(scores.argmax_rows()),
        Some(row) => {
            Err(TargetError::Malformed { reason: format!("the scores of row {row} are no numbers") })
        }
    }
}

/// Asks a model of the attacker's own, and holds its answer to the question's size.
pub(crate) fn learned(
    learner: &mut dyn Learner,
    lesson: &Lesson,
    rows: &Tensor,
    loss: Option<&Loss>,
) -> Result<Answer, String> {
    let copy = learner.fit(lesson)?;
    let fits = |scores: &Tensor| {
        let (given, columns) = (scores.rows(), scores.row_len());
        if given == rows.rows() && columns == lesson.classes {
            Ok(())
        } else {
            Err(format!("the copy gave {given} rows of {columns} scores for {} rows", rows.rows()))
        }
    };
    match loss {
        None => {
            let scores = copy.scores(rows);
            fits(&scores)?;
            Ok(Answer::Scores(scores))
        }
        Some(loss) => {
            let answer = copy.gradient(rows, loss)?;
            fits(&answer.scores)?;
            Ok(Answer::Gradient { scores: answer.scores, loss: answer.loss, gradient: answer.gradient })
        }
    }
}

/// Puts the answers of two batches of one question together.
pub(crate) fn join(first: Option<Answer>, second: Answer) -> Answer {
    match (first, second) {
        (Some(Answer::Labels(mut all)), Answer::Labels(more)) => {
            all.extend(more);
            Answer::Labels(all)
        }
        (Some(Answer::Scores(all)), Answer::Scores(more)) => Answer::Scores(stack(all, more)),
        (
            Some(Answer::Gradient { scores, mut loss, gradient }),
            Answer::Gradient { scores: more_scores, loss: more_loss, gradient: more_gradient },
        ) => {
            loss.extend(more_loss);
            Answer::Gradient {
                scores: stack(scores, more_scores),
                loss,
                gradient: stack(gradient, more_gradient),
            }
        }
        (_, second) => second,
    }
}

fn stack(first: Tensor, second: Tensor) -> Tensor {
    let mut shape = first.shape().to_vec();
    if let Some(rows) = shape.first_mut() {
        *rows += second.rows();
    }
    let mut data = first.into_data();
    data.extend_from_slice(second.data());
    let len = data.len();
    // Batches of one question have rows of one length; should they not, the rows stay and the shape is flat.
    Tensor::new(shape, data).unwrap_or_else(|_| Tensor::full([len, 0], 0.0))
}
