//! Replies with less detail: rounded scores, or the decision alone.

use mantlet_vocab::{Detail, NamedValue, Reply, Tensor, Value};

/// The reply with what is left of its scores. Whole numbers, texts and truth values are decisions, and stay.
/// The highest score of each row stays the highest: decisions do not change.
#[must_use]
pub fn coarsened(reply: &Reply, to: Detail) -> Reply {
    let outputs = reply.outputs.iter().map(|output| NamedValue {
        name: output.name.clone(),
        value: match &output.value {
            Value::F32(scores) => Value::F32(rows(
                scores,
                to,
                |v| f64::from(*v),
                |v| {
                    #[expect(clippy::cast_possible_truncation, reason = "it was one before")]
                    let value = v as f32;
                    value
                },
            )),
            Value::F64(scores) => Value::F64(rows(scores, to, |v| *v, |v| v)),
            other => other.clone(),
        },
    });
    Reply { outputs: outputs.collect(), pieces: reply.pieces.clone() }
}

fn rows<T: Clone>(
    scores: &Tensor<T>,
    to: Detail,
    up: impl Fn(&T) -> f64,
    down: impl Fn(f64) -> T,
) -> Tensor<T> {
    let shape = scores.shape().to_vec();
    let width = if shape.len() < 2 { 1 } else { shape.last().copied().unwrap_or(1).max(1) };
    let mut data = Vec::with_capacity(scores.data().len());
    for row in scores.data().chunks(width) {
        let values: Vec<f64> = row.iter().map(&up).collect();
        data.extend(coarse(&values, to).into_iter().map(&down));
    }
    Tensor::new(shape, data).unwrap_or_else(|_| scores.clone())
}

fn coarse(row: &[f64], to: Detail) -> Vec<f64> {
    let best = row
        .iter()
        .enumerate()
        .filter(|(_, v)| !v.is_nan())
        .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    match (to, best) {
        (Detail::Label, Some((best, value))) if row.len() == 1 => {
            let _ = best;
            // One score of a model of two classes: which side it is on.
            vec![if *value > 0.5 { 1.0 } else { 0.0 }]
        }
        (Detail::Label, Some((best, _))) => {
            (0..row.len()).map(|at| if at == best { 1.0 } else { 0.0 }).collect()
        }
        (Detail::Label, None) => row.to_vec(),
        (Detail::Digits(digits), best) => {
            let scale = 10_f64.powi(i32::from(digits.min(15)));
            let mut rounded: Vec<f64> = row.iter().map(|v| (v * scale).round() / scale).collect();
            // Where rounding makes an earlier class as high as the highest, the decision would change.
            if let Some((best, _)) = best
                && rounded.iter().take(best).any(|v| *v >= rounded[best])
            {
                rounded[best] += 1.0 / scale;
            }
            rounded
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(data: Vec<f32>, shape: [usize; 2], to: Detail) -> Vec<f32> {
        let value = Value::F32(Tensor::new(shape, data).expect("a table"));
        let reply = Reply { outputs: vec![NamedValue { name: "o".into(), value }], pieces: vec![] };
        match coarsened(&reply, to).outputs.remove(0).value {
            Value::F32(scores) => scores.into_data(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn detail_goes_and_decisions_stay() {
        let data = vec![0.7312, 0.2688, 0.4961, 0.5039];
        assert_eq!(scores(data.clone(), [2, 2], Detail::Digits(1)), [0.7, 0.3, 0.5, 0.6]);
        assert_eq!(scores(data.clone(), [2, 2], Detail::Label), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(scores(vec![0.51, 0.49], [2, 1], Detail::Label), [1.0, 0.0]);
        assert_eq!(scores(data.clone(), [2, 2], Detail::Digits(7)), data);
        for digits in 0..6 {
            for seed in 0..200_u32 {
                let row: Vec<f32> =
                    (0..5).map(|i| ((seed * 31 + i * 17) % 101) as f32 / 101.0 + i as f32 * 1e-4).collect();
                let best =
                    |row: &[f32]| row.iter().enumerate().fold(0, |b, (i, v)| if *v > row[b] { i } else { b });
                assert_eq!(best(&row), best(&scores(row.clone(), [1, 5], Detail::Digits(digits))), "{row:?}");
            }
        }
    }
}
