//! The decision in a reply: which class each row was given.

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
}
