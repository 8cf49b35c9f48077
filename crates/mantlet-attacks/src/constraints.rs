//! What values an input may take: bounds, whole numbers, values that cannot change.

use serde::{Deserialize, Serialize};

use crate::Distances;

/// What one input value may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// Smallest value.
    pub lower: f32,
    /// Largest value.
    pub upper: f32,
    /// Whether only whole numbers are real inputs.
    #[serde(default)]
    pub integer: bool,
    /// Whether an attacker cannot change it.
    #[serde(default)]
    pub immutable: bool,
}

/// What each value of a row may be. A row that does not obey is no success.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Constraints(pub Vec<Constraint>);

impl Constraints {
    /// The same real interval for each of `len` values.
    #[must_use]
    pub fn uniform(len: usize, lower: f32, upper: f32) -> Self {
        Self(vec![Constraint { lower, upper, integer: false, immutable: false }; len])
    }

    /// How many values a row has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What one value may be; values past the end are unbounded.
    #[must_use]
    pub fn at(&self, index: usize) -> Constraint {
        self.0.get(index).copied().unwrap_or(Constraint {
            lower: f32::MIN,
            upper: f32::MAX,
            integer: false,
            immutable: false,
        })
    }

    /// The width of one value's interval, 1 where it is unbounded or a point.
    #[must_use]
    pub fn width(&self, index: usize) -> f32 {
        let constraint = self.at(index);
        let width = constraint.upper - constraint.lower;
        if width.is_finite() && width > 0.0 { width } else { 1.0 }
    }

    /// How far two rows are apart, each value in units of its permitted interval.
    #[must_use]
    pub fn distances(&self, a: &[f32], b: &[f32]) -> Distances {
        let scaled = |row: &[f32]| -> Vec<f32> {
            row.iter().enumerate().map(|(index, value)| value / self.width(index)).collect()
        };
        Distances::between(&scaled(a), &scaled(b))
    }

    /// Moves `changed` to the nearest row that obeys: clamped, whole numbers rounded towards the original (so
    /// that a repaired row never is farther away), fixed values restored, non-numbers replaced.
    pub fn repair(&self, original: &[f32], changed: &mut [f32]) {
        for (index, (original, changed)) in original.iter().zip(changed).enumerate() {
            let constraint = self.at(index);
            if constraint.immutable || !changed.is_finite() {
                *changed = *original;
                continue;
            }
            // A row of the user's own may lie outside the stated interval; it need not be moved inside.
            let (low, high) = (constraint.lower.min(*original), constraint.upper.max(*original));
            *changed = changed.clamp(low, high);
            if constraint.integer {
                *changed = if *changed >= *original {
                    (original + (*changed - original).floor()).min(high)
                } else {
                    (original - (original - *changed).floor()).max(low)
                };
            }
        }
    }

    /// Clamps a row that has no original and rounds its whole numbers.
    pub fn repair_values(&self, row: &mut [f32]) {
        for (index, value) in row.iter_mut().enumerate() {
            let constraint = self.at(index);
            if constraint.integer {
                *value = value.round();
            }
            *value = value.clamp(constraint.lower, constraint.upper);
        }
    }

    /// Whether `changed` is a row an attacker can send.
    #[must_use]
    pub fn obeys(&self, original: &[f32], changed: &[f32]) -> bool {
        original.len() == changed.len()
            && original.iter().zip(changed).enumerate().all(|(index, (original, changed))| {
                let constraint = self.at(index);
                let (low, high) = (constraint.lower.min(*original), constraint.upper.max(*original));
                let step = changed - original;
                (low..=high).contains(changed)
                    && (!constraint.immutable || step == 0.0)
                    && (!constraint.integer || (step - step.round()).abs() < 1e-4)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repaired_row_obeys_and_is_never_farther() {
        let constraints = Constraints(vec![
            Constraint { lower: 0.0, upper: 1.0, integer: false, immutable: false },
            Constraint { lower: 0.0, upper: 9.0, integer: true, immutable: false },
            Constraint { lower: 0.0, upper: 9.0, integer: false, immutable: true },
        ]);
        let original = [0.5, 4.0, 3.0];
        for wild in [[2.0, 7.9, 5.0], [-3.0, -8.0, 1.0], [f32::NAN, f32::INFINITY, 0.0], [0.5, 3.2, 3.0]] {
            let mut changed = wild;
            constraints.repair(&original, &mut changed);
            assert!(constraints.obeys(&original, &changed), "{changed:?}");
        }
        let mut changed = [0.9, 7.9, 3.0];
        constraints.repair(&original, &mut changed);
        assert_eq!(changed, [0.9, 7.0, 3.0]);
        assert!(!constraints.obeys(&original, &[0.5, 4.5, 3.0]));
    }
}
