//! The decision in a reply: which class each row was given, and how sure of it the model was.

use mantlet_vocab::{Reply, Value};

/// The class of each of `rows` rows, by the first of: a tensor with a score a class, an integer or text label, a
/// single score of a two-class model. `None` when the reply has none of these; classes then stay unknown.
#[must_use]
pub fn labels(reply: &Reply, classes: &[String], rows: usize) -> Option<Vec<usize>> {
    if rows == 0 {
        return None;
    }
    let shaped = |value: &Value| {
        let shape = value.shape();
        let count: usize = shape.iter().product();
        (shape.first() == Some(&rows) || (rows == 1 && shape.is_empty())).then_some(count / rows)
    };
    let outputs = || {
        reply.outputs.iter().filter_map(|output| shaped(&output.value).map(|width| (width, &output.value)))
    };
    for (width, value) in outputs() {
        if width >= 2
            && (classes.is_empty() || width == classes.len())
            && matches!(value, Value::F32(_) | Value::F64(_))
        {
            return Some(value.to_f32()?.reshape([rows, width]).ok()?.argmax_rows());
        }
    }
    let (_, value) = outputs().find(|(width, _)| *width == 1)?;
    let index = |label: i64| usize::try_from(label).unwrap_or(usize::MAX);
    Some(match value {
        Value::I64(t) => t.data().iter().map(|&v| index(v)).collect(),
        Value::I32(t) => t.data().iter().map(|&v| index(v.into())).collect(),
        Value::U8(t) => t.data().iter().map(|&v| usize::from(v)).collect(),
        Value::Bool(t) => t.data().iter().map(|&v| usize::from(v)).collect(),
        Value::Text(t) => {
            let class = |text| classes.iter().position(|class| class == text).unwrap_or(usize::MAX);
            t.data().iter().map(class).collect()
        }
        Value::F32(_) | Value::F64(_) => {
            value.to_f32()?.data().iter().map(|&v| usize::from(v > 0.5)).collect()
        }
    })
}

/// How far the best of these scores is above the next, as a share of 1: of shares as they are, of anything else once a
/// softmax has made shares of it. One score alone is the share of the second of two classes, or its log-odds. NaN where
/// a score is no number.
#[must_use]
pub fn margin(scores: &[f32]) -> f32 {
    let share = |value: &f32| (0.0..=1.0).contains(value);
    if let [only] = scores {
        let second = if share(only) { *only } else { 1.0 / (1.0 + (-only).exp()) };
        return (2.0 * second - 1.0).abs();
    }
    if scores.is_empty() || scores.iter().any(|value| !value.is_finite()) {
        return f32::NAN;
    }
    let sum: f32 = scores.iter().sum();
    let shares = scores.iter().all(share) && (sum - 1.0).abs() < 1e-2;
    let (mut best, mut next) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
    for &value in scores {
        if value > best {
            (best, next) = (value, best);
        } else {
            next = next.max(value);
        }
    }
    if shares {
        return best - next;
    }
    let total: f32 = scores.iter().map(|value| (value - best).exp()).sum();
    (1.0 - (next - best).exp()) / total
}

/// [`margin`] of each of `rows` rows, from the tensor [`labels`] would read classes from; `None` when the reply has
/// labels only.
#[must_use]
pub fn margins(reply: &Reply, classes: &[String], rows: usize) -> Option<Vec<f32>> {
    if rows == 0 {
        return None;
    }
    reply.outputs.iter().find_map(|output| {
        if !matches!(output.value, Value::F32(_) | Value::F64(_)) {
            return None;
        }
        let numbers = output.value.to_f32()?;
        let width = numbers.data().len().checked_div(rows).filter(|width| *width > 0)?;
        let whole = width * rows == numbers.data().len();
        let fits = width == 1 || classes.is_empty() || width == classes.len();
        (whole && fits).then(|| numbers.data().chunks_exact(width).map(margin).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::{NamedValue, Tensor};

    #[test]
    fn decisions_are_found_in_each_form() {
        let reply = |value| Reply { outputs: vec![NamedValue { name: "o".into(), value }], pieces: vec![] };
        let classes = ["a".to_owned(), "b".to_owned()];
        let scores = reply(Value::F32(Tensor::new([2, 2], vec![0.1, 0.9, 0.8, 0.2]).unwrap()));
        assert_eq!(labels(&scores, &classes, 2), Some(vec![1, 0]));
        assert_eq!(labels(&scores, &classes, 4), None);
        let label = reply(Value::I64(Tensor::new([2, 1], vec![7, 0]).unwrap()));
        assert_eq!(labels(&label, &[], 2), Some(vec![7, 0]));
        let text = reply(Value::Text(Tensor::new([1], vec!["b".into()]).unwrap()));
        assert_eq!(labels(&text, &classes, 1), Some(vec![1]));
        let single = reply(Value::F32(Tensor::new([2], vec![0.2, 0.7]).unwrap()));
        assert_eq!(labels(&single, &classes, 2), Some(vec![0, 1]));
        assert_eq!(labels(&Reply::default(), &classes, 1), None);
    }

    #[test]
    fn how_sure_an_answer_is_is_the_same_in_shares_and_in_logits() {
        let shares = [0.5_f32, 0.3, 0.2];
        let logits: Vec<f32> = shares.iter().map(|share| share.ln() + 2.0).collect();
        assert!((margin(&shares) - 0.2).abs() < 1e-6 && (margin(&logits) - 0.2).abs() < 1e-5);
        assert!((margin(&[0.6]) - 0.2).abs() < 1e-6 && margin(&[0.4, 0.4, 0.2]) < 1e-6);
        assert!((margin(&[3.0, -3.0]) - margin(&[6.0])).abs() < 1e-5);
        assert!(margin(&[f32::NAN, 0.5]).is_nan() && margin(&[]).is_nan());
        let value = Value::F32(Tensor::new([2, 2], vec![0.9, 0.1, 0.5, 0.5]).unwrap());
        let reply = Reply { outputs: vec![NamedValue { name: "o".into(), value }], pieces: vec![] };
        let found = margins(&reply, &[], 2).unwrap();
        assert!((found[0] - 0.8).abs() < 1e-6 && found[1].abs() < 1e-6);
        assert_eq!(margins(&reply, &["a".into(), "b".into(), "c".into()], 2), None);
    }
}
