//! A planted mark: rows that carry it are refused.

use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};

/// The most places of a mark that are compared.
const PLACES: usize = 256;
/// The share of stamped rows that must be within reach, or the mark says nothing.
const STAMPED: f32 = 0.9;

/// Values at certain places of a row, as a planted trigger has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Place, weight and value.
    pub places: Vec<(usize, f32, f32)>,
    /// The mean weighted difference up to which a row carries it.
    pub reach: f32,
}

impl Mark {
    /// The mark of a reconstructed trigger (one mask and pattern value a value of a row), told from ordinary rows: half
    /// as far from it as four fifths of them are, since rows that planted the trigger may stand among them. `None` when
    /// ordinary rows cannot be told from it, or stamped rows do not carry it.
    #[must_use]
    pub fn of(mask: &[f32], pattern: &[f32], ordinary: &Tensor<f32>) -> Option<Self> {
        if mask.len() != pattern.len() || ordinary.row_len() != mask.len() || ordinary.rows() == 0 {
            return None;
        }
        let strongest = mask.iter().copied().filter(|weight| weight.is_finite()).fold(0.0_f32, f32::max);
        let mut places: Vec<(usize, f32, f32)> = mask
            .iter()
            .zip(pattern)
            .enumerate()
            .filter(|(_, (weight, value))| **weight > 0.1 * strongest && value.is_finite())
            .map(|(place, (weight, value))| (place, *weight, *value))
            .collect();
        places.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        places.truncate(PLACES);
        places.sort_by_key(|(place, ..)| *place);
        let mut mark = Self { places, reach: 0.0 };
        if mark.places.is_empty() {
            return None;
        }
        let rows = || (0..ordinary.rows()).map(|row| ordinary.row(row));
        let mut distances: Vec<f32> = rows().map(|row| mark.distance(row)).collect();
        distances.sort_by(f32::total_cmp);
        mark.reach = 0.5 * distances[distances.len() / 5];
        let stamp = |row: &[f32]| -> Vec<f32> {
            let values = row.iter().zip(mask.iter().zip(pattern));
            values.map(|(value, (weight, pattern))| value + weight * (pattern - value)).collect()
        };
        let carried = rows().filter(|row| mark.carried_by(&stamp(row))).count();
        #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
        let enough = carried as f32 >= STAMPED * ordinary.rows() as f32;
        (mark.reach > 1e-3 && mark.reach.is_finite() && enough).then_some(mark)
    }

    /// Whether a row carries the mark.
    #[must_use]
    pub fn carried_by(&self, row: &[f32]) -> bool {
        self.distance(row) <= self.reach
    }

    fn distance(&self, row: &[f32]) -> f32 {
        let (mut sum, mut weights) = (0.0_f32, 0.0_f32);
        for &(place, weight, value) in &self.places {
            let Some(own) = row.get(place) else { return f32::INFINITY };
            sum += weight * (own - value).abs();
            weights += weight;
        }
        let distance = sum / weights;
        if distance.is_finite() { distance } else { f32::INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_the_mark_are_told_from_rows_without() {
        let rows: Vec<f32> =
            (0..40).map(|at| if at % 4 == 3 { 0.1 } else { (at % 7) as f32 / 7.0 }).collect();
        let rows = Tensor::new([10, 4], rows).unwrap();
        let mark = Mark::of(&[0.02, 0.0, 0.0, 0.95], &[0.3, 0.0, 0.0, 1.0], &rows).unwrap();
        assert_eq!(mark.places.len(), 1);
        assert!(mark.carried_by(&[0.5, 0.2, 0.9, 1.0]) && !mark.carried_by(&[0.5, 0.2, 0.9, 0.2]));
        assert!(!mark.carried_by(&[]) && !mark.carried_by(&[0.0, 0.0, 0.0, f32::NAN]));
        // What ordinary rows carry is no mark, and a faint one cannot be told.
        assert_eq!(Mark::of(&[0.0, 0.0, 0.0, 0.9], &[0.0, 0.0, 0.0, 0.1], &rows), None);
        assert_eq!(Mark::of(&[0.1; 4], &[0.9; 4], &rows), None);
    }
}
