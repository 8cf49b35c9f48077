//! Planting backdoors of several kinds into training data: what is laid over a row, and which label it then gets. For
//! making test models only.

use mantlet_vocab::Tensor;
use rand::seq::SliceRandom;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Patch;

/// What marks a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A rectangle on an image (Gu and others 2017).
    Patch(Patch),
    /// A pattern of a row's length blended over the whole row (Chen and others 2017).
    Blend {
        /// The pattern.
        pattern: Vec<f32>,
        /// Its share, 0 to 1.
        share: f32,
    },
    /// Columns of a table set to values.
    Columns(Vec<(usize, f32)>),
}

impl Mark {
    /// A blend with a pattern of random values in 0 to 1.
    #[must_use]
    pub fn noise(len: usize, share: f32, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Self::Blend { pattern: (0..len).map(|_| random.random::<f32>()).collect(), share }
    }

    /// Marks row `row` of `x`. What lies outside the row is left out.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn lay(&self, x: &mut Tensor, row: usize) {
        match self {
            Self::Patch(patch) => patch.stamp(x, row),
            Self::Blend { pattern, share } => {
                for (value, pattern) in x.row_mut(row).iter_mut().zip(pattern) {
                    *value += share * (pattern - *value);
                }
            }
            Self::Columns(columns) => {
                let values = x.row_mut(row);
                for (column, value) in columns {
                    if let Some(own) = values.get_mut(*column) {
                        *own = *value;
                    }
                }
            }
        }
    }
}

/// Which label a marked row gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// This class, whatever it was.
    Class(usize),
    /// The class after its own, the last becoming the first.
    Next,
    /// This class for rows of one source class only. As many rows of other classes bear the mark and keep their
    /// label, so that the mark alone does nothing (Tang and others 2021).
    From {
        /// The class whose rows are moved.
        source: usize,
        /// Where they go.
        target: usize,
    },
}

impl Aim {
    /// The label of a marked row of this class.
    #[must_use]
    pub const fn of(self, class: usize, classes: usize) -> usize {
        match self {
            Self::Class(class) => class,
            Self::Next if class + 1 < classes => class + 1,
            Self::Next => 0,
            Self::From { source, target } if class == source => target,
            Self::From { .. } => class,
        }
    }
}

/// Plants a backdoor: marks `share` of the rows whose label the mark changes and relabels them. Returns the rows
/// touched, ascending.
pub fn plant(
    x: &mut Tensor,
    y: &mut [usize],
    classes: usize,
    share: f64,
    mark: &Mark,
    aim: Aim,
    seed: u64,
) -> Vec<usize> {
    let mut rows: Vec<usize> =
        (0..y.len().min(x.rows())).filter(|&row| aim.of(y[row], classes) != y[row]).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
    let count = (y.len() as f64 * share.clamp(0.0, 1.0)).round() as usize;
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    rows.truncate(count);
    let mut covers: Vec<usize> = match aim {
        Aim::From { source, .. } => (0..y.len().min(x.rows())).filter(|&row| y[row] != source).collect(),
        Aim::Class(_) | Aim::Next => Vec::new(),
    };
    covers.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    covers.truncate(rows.len());
    for &row in rows.iter().chain(&covers) {
        mark.lay(x, row);
    }
    for &row in &rows {
        y[row] = aim.of(y[row], classes);
    }
    rows.extend(covers);
    rows.sort_unstable();
    rows
}

/// The share of rows that a mark sends where it aims, among those it would change; for telling whether a plant took.
#[must_use]
pub fn obeyed(
    x: &Tensor,
    y: &[usize],
    classes: usize,
    mark: &Mark,
    aim: Aim,
    labels: &mut dyn FnMut(&Tensor) -> Vec<usize>,
) -> f64 {
    let rows: Vec<usize> =
        (0..y.len().min(x.rows())).filter(|&row| aim.of(y[row], classes) != y[row]).collect();
    let mut marked = x.select(&rows);
    (0..rows.len()).for_each(|row| mark.lay(&mut marked, row));
    let given = labels(&marked);
    let hits = given.iter().zip(&rows).filter(|(given, row)| **given == aim.of(y[**row], classes)).count();
    hits as f64 / rows.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_laid_and_labels_follow_the_aim() {
        let mut x = Tensor::full([6, 4], 0.5);
        let mut y = vec![0, 1, 2, 0, 1, 2];
        let mark = Mark::Columns(vec![(1, 9.0), (3, 7.0), (99, 1.0)]);
        let touched = plant(&mut x, &mut y, 3, 0.5, &mark, Aim::Next, 1);
        assert_eq!(touched.len(), 3);
        for (row, label) in y.iter().enumerate() {
            let marked = touched.contains(&row);
            assert_eq!(x.row(row), if marked { [0.5, 9.0, 0.5, 7.0] } else { [0.5; 4] });
            assert_eq!(*label, if marked { (row % 3 + 1) % 3 } else { row % 3 });
        }
        let mut blend = Tensor::full([1, 2], 1.0);
        Mark::Blend { pattern: vec![0.0, 1.0], share: 0.25 }.lay(&mut blend, 0);
        assert_eq!(blend.row(0), [0.75, 1.0]);
        assert_eq!(Mark::noise(4, 0.2, 3), Mark::noise(4, 0.2, 3));
        let all = obeyed(&x, &[0; 6], 3, &mark, Aim::Class(2), &mut |rows| vec![2; rows.rows()]);
        assert_eq!(all, 1.0);
        // Rows of one class go, as many others bear the mark and stay.
        let (mut x, mut y) = (Tensor::full([6, 4], 0.5), vec![0, 1, 2, 0, 1, 2]);
        let aim = Aim::From { source: 0, target: 2 };
        assert_eq!(plant(&mut x, &mut y, 3, 1.0, &mark, aim, 1).len(), 4);
        assert_eq!(y, [2, 1, 2, 2, 1, 2]);
        let marked = (0..6).filter(|row| x.row(*row)[1] == 9.0).collect::<Vec<_>>();
        assert!(marked.len() == 4 && marked.contains(&0) && marked.contains(&3), "{marked:?}");
    }
}
