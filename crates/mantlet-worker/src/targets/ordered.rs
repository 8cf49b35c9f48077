//! A target whose classes are named in another order than the caller's: its answers, put into the caller's order.

use mantlet_attacks::{Answer, Ask, Loss};
use mantlet_redteam::{GradientAnswer, Target, TargetError, TargetFacts};
use mantlet_vocab::Tensor;

/// A target in the caller's order of classes.
pub struct Ordered {
    inner: Box<dyn Target>,
    /// For each class of the target, the caller's.
    order: Vec<usize>,
}

impl Ordered {
    /// Puts a target that names its classes into the order of `wanted`. A target that names them in that order, or names
    /// others, is given back as it is.
    #[must_use]
    pub fn by_names(inner: Box<dyn Target>, named: &[String], wanted: &[String]) -> Box<dyn Target> {
        let order: Option<Vec<usize>> =
            named.iter().map(|name| wanted.iter().position(|other| other == name)).collect();
        match order {
            Some(order) if named.len() == wanted.len() && all_once(&order) && !order.is_sorted() => {
                Box::new(Self { inner, order })
            }
            _ => inner,
        }
    }
}

fn all_once(order: &[usize]) -> bool {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    sorted.iter().enumerate().all(|(at, class)| at == *class)
}

impl Target for Ordered {
    fn describe(&self) -> TargetFacts {
        self.inner.describe()
    }

    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        let labels = self.inner.labels(rows)?;
        Ok(labels.into_iter().map(|label| self.order.get(label).copied().unwrap_or(label)).collect())
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        let given = self.inner.scores(rows)?;
        if given.row_len() != self.order.len() {
            return Ok(given);
        }
        let mut scores = given.clone();
        for row in 0..given.rows() {
            for (from, to) in self.order.iter().enumerate() {
                scores.row_mut(row)[*to] = given.row(row)[from];
            }
        }
        Ok(scores)
    }

    fn gradient(&mut self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, TargetError> {
        Err(TargetError::Unsupported { reason: "an endpoint or a program gives no gradients".to_owned() })
    }

    fn unanswered(&self, ask: &Ask) -> usize {
        self.inner.unanswered(ask)
    }

    fn remind(&mut self, _: &Ask, _: &Answer) {}

    fn tokens_at_most(&self, rows: &Tensor) -> u64 {
        self.inner.tokens_at_most(rows)
    }

    fn tokens(&self) -> u64 {
        self.inner.tokens()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Second;
    impl Target for Second {
        fn describe(&self) -> TargetFacts {
            TargetFacts {
                name: "second".to_owned(),
                input_shape: vec![1],
                classes: Some(3),
                score_kind: None,
                scores: true,
                no_gradient: Some("a test".to_owned()),
                max_rows: 0,
            }
        }
        fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
            Ok(vec![1; rows.rows()])
        }
        fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
            Ok(Tensor::new([rows.rows(), 3], [0.1, 0.7, 0.2].repeat(rows.rows())).unwrap())
        }
        fn gradient(&mut self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, TargetError> {
            Err(TargetError::Unsupported { reason: "a test".to_owned() })
        }
    }

    #[test]
    fn answers_come_in_the_order_asked_for() {
        let names = |names: [&str; 3]| names.map(str::to_owned).to_vec();
        let rows = Tensor::full([2, 1], 0.0);
        let with = |named: [&str; 3], wanted: [&str; 3]| {
            let mut target = Ordered::by_names(Box::new(Second), &names(named), &names(wanted));
            (target.labels(&rows).unwrap()[0], target.scores(&rows).unwrap().row(1).to_vec())
        };
        assert_eq!(with(["a", "b", "c"], ["b", "c", "a"]), (0, vec![0.7, 0.2, 0.1]));
        assert_eq!(with(["a", "b", "c"], ["a", "b", "c"]), (1, vec![0.1, 0.7, 0.2]));
        // Names of its own say nothing about the order.
        assert_eq!(with(["0", "1", "2"], ["b", "c", "a"]), (1, vec![0.1, 0.7, 0.2]));
        assert_eq!(with(["a", "a", "b"], ["b", "c", "a"]), (1, vec![0.1, 0.7, 0.2]));
    }
}
