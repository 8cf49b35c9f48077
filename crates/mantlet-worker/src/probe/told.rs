//! An input of a model in words.

use mantlet_vocab::{NamedValue, Tensor, Value};

/// Numbers of one input that are told one by one.
const TOLD: usize = 12;

/// An input in words: all of its numbers when they are few, else how far they reach and the outermost of them.
pub(super) fn told(named: &NamedValue) -> String {
    let name: String = named.name.chars().take(60).collect();
    let shape = named.value.shape().to_vec();
    let numbers = named.value.to_f32().map(Tensor::into_data).unwrap_or_default();
    let head = format!("`{name}` {shape:?}");
    if numbers.len() <= TOLD {
        let all: Vec<String> = numbers.iter().map(|number| format!("{number:.4}")).collect();
        return format!("{head} = {}", all.join(", "));
    }
    if matches!(named.value, Value::I64(_) | Value::I32(_)) {
        let first: Vec<String> = numbers.iter().take(TOLD).map(|number| format!("{number:.0}")).collect();
        return format!("{head} that begins {}", first.join(", "));
    }
    let (low, high) = numbers
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &number| (low.min(number), high.max(number)));
    let middle = numbers.iter().sum::<f32>() / numbers.len() as f32;
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&a, &b| (numbers[b] - middle).abs().total_cmp(&(numbers[a] - middle).abs()));
    let place = |mut at: usize| {
        let mut place = vec![0; shape.len()];
        for (axis, length) in shape.iter().enumerate().rev() {
            place[axis] = at % length;
            at /= length;
        }
        place
    };
    let outermost: Vec<String> =
        order.iter().take(4).map(|&at| format!("{:.4} at {:?}", numbers[at], place(at))).collect();
    format!("{head} from {low:.4} to {high:.4}, outermost {}", outermost.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_numbers_are_told_and_of_many_the_outermost() {
        let value = |shape: [usize; 2], data: Vec<f32>| NamedValue {
            name: "x".to_owned(),
            value: Value::F32(Tensor::new(shape, data).expect("as many as the shape says")),
        };
        assert_eq!(told(&value([1, 2], vec![0.5, -1.0])), "`x` [1, 2] = 0.5000, -1.0000");
        let mut many = vec![0.25; 20];
        many[13] = 9.0;
        many[2] = -3.0;
        let words = told(&value([2, 10], many));
        assert!(
            words.starts_with(
                "`x` [2, 10] from -3.0000 to 9.0000, outermost 9.0000 at [1, 3], -3.0000 at [0, 2]"
            ),
            "{words}"
        );
    }
}
