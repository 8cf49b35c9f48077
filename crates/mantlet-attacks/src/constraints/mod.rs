//! What values an input may take: bounds, whole numbers, values that cannot change, and what must hold
//! between them.

use serde::{Deserialize, Serialize};

use crate::{Distances, Norm};

mod learn;
mod relation;

pub use mantlet_vocab::{Relation, Term};

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

/// What a row may be. A row that does not obey is no success.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Constraints {
    /// What each value may be.
    pub values: Vec<Constraint>,
    /// What must hold between values.
    pub relations: Vec<Relation>,
    /// What it costs an attacker to change each value by the width of its interval; empty means 1 for each.
    pub costs: Vec<f32>,
}

/// Constraints as they are written: the values alone, or with relations and costs.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Values(Vec<Constraint>),
    Whole(Whole),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    values: Vec<Constraint>,
    #[serde(default)]
    relations: Vec<Relation>,
    #[serde(default)]
    costs: Vec<f32>,
}

impl From<Written> for Constraints {
    fn from(written: Written) -> Self {
        match written {
            Written::Values(values) => Self::new(values),
            Written::Whole(Whole { values, relations, costs }) => Self { values, relations, costs },
        }
    }
}

impl From<Constraints> for Written {
    fn from(whole: Constraints) -> Self {
        let Constraints { values, relations, costs } = whole;
        if relations.is_empty() && costs.is_empty() {
            Self::Values(values)
        } else {
            Self::Whole(Whole { values, relations, costs })
        }
    }
}

/// Rounds of repair over the relations, each of which may break another.
const ROUNDS: usize = 12;
/// How often a change that cannot be mended is halved before it is given up.
const HALVINGS: usize = 3;

/// How often a mended row is pulled back into its ball.
const PULLS: usize = 3;

/// Whether a distance is within the radius, but for the rounding of the changed values themselves.
pub(crate) fn within(distance: f32, radius: f32) -> bool {
    distance <= radius * (1.0 + 1e-5) + 1e-6
}

impl Constraints {
    /// Constraints on each value alone.
    #[must_use]
    pub const fn new(values: Vec<Constraint>) -> Self {
        Self { values, relations: Vec::new(), costs: Vec::new() }
    }

    /// The same real interval for each of `len` values.
    #[must_use]
    pub fn uniform(len: usize, lower: f32, upper: f32) -> Self {
        Self::new(vec![Constraint { lower, upper, integer: false, immutable: false }; len])
    }

    /// How many values a row has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What one value may be; values past the end are unbounded.
    #[must_use]
    pub fn at(&self, index: usize) -> Constraint {
        self.values.get(index).copied().unwrap_or(Constraint {
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

    /// What a changed row costs the attacker: the sum over values of the change in widths times the cost.
    #[must_use]
    pub fn cost(&self, original: &[f32], changed: &[f32]) -> f32 {
        let each = original.iter().zip(changed).enumerate().map(|(index, (a, b))| {
            (a - b).abs() / self.width(index) * self.costs.get(index).copied().unwrap_or(1.0)
        });
        each.sum()
    }

    /// The least and the most that value `index` may be where the original has `own`, at most `reach` widths away. A
    /// row of the user's own may lie outside the stated interval; it need not be moved inside. Whole numbers are whole
    /// steps from the original.
    fn bounds(&self, index: usize, own: f32, reach: f32) -> (f32, f32) {
        let constraint = self.at(index);
        if constraint.immutable {
            return (own, own);
        }
        if !own.is_finite() {
            return (constraint.lower.min(constraint.upper), constraint.lower.max(constraint.upper));
        }
        let far = reach * self.width(index);
        let (mut low, mut high) = (constraint.lower.min(own), constraint.upper.max(own));
        if far < own - low {
            low = own - far;
            // Rounded to the inside.
            low = if own - low > far { low.next_up() } else { low };
        }
        if far < high - own {
            high = own + far;
            high = if high - own > far { high.next_down() } else { high };
        }
        if constraint.integer { (own - (own - low).floor(), own + (high - own).floor()) } else { (low, high) }
    }

    /// Moves `changed` to a near row that obeys: clamped, whole numbers rounded towards the original (so that a
    /// repaired row never is farther away), fixed values restored, non-numbers replaced, relations mended.
    /// Where relations cannot be mended, half of the change is tried, and again; then the original is restored.
    pub fn repair(&self, original: &[f32], changed: &mut [f32]) {
        self.repair_within(original, changed, f32::MAX);
    }

    /// As [`Constraints::repair`], with no value more than `reach` widths from the original's: what mending a relation
    /// moves stays in that box too.
    pub fn repair_within(&self, original: &[f32], changed: &mut [f32], reach: f32) {
        self.repair_each(original, changed, reach);
        if self.relations.is_empty() {
            return;
        }
        let held: Vec<&Relation> =
            self.relations.iter().filter(|relation| relation.holds(original)).collect();
        if held.iter().all(|relation| relation.holds(changed)) {
            return;
        }
        let wild = changed.to_vec();
        let mut share = 1.0;
        for _ in 0..=HALVINGS {
            for _ in 0..ROUNDS {
                for relation in &held {
                    relation::mend(relation, self, original, changed, reach);
                }
                self.repair_each(original, changed, reach);
                if held.iter().all(|relation| relation.holds(changed)) {
                    return;
                }
            }
            share *= 0.5;
            for ((changed, wild), own) in changed.iter_mut().zip(&wild).zip(original) {
                *changed = own + share * (wild - own);
            }
            self.repair_each(original, changed, reach);
        }
        changed.copy_from_slice(original);
    }

    /// As [`Constraints::repair`] for a change inside a ball: mending a relation does not leave it.
    pub(crate) fn repair_inside(&self, original: &[f32], changed: &mut [f32], norm: Norm, radius: f32) {
        // Without relations each value only comes nearer to the original.
        let boxed = norm == Norm::Linf && !self.relations.is_empty();
        self.repair_within(original, changed, if boxed { radius } else { f32::MAX });
        if matches!(norm, Norm::L0 | Norm::Linf) || self.relations.is_empty() {
            return;
        }
        // On the line to the original everything linear still holds; the rest is mended again.
        for _ in 0..PULLS {
            let far = self.distances(original, changed).of(norm);
            if within(far, radius) {
                return;
            }
            let share = radius / far;
            for (changed, own) in changed.iter_mut().zip(original) {
                *changed = own + share * (*changed - own);
            }
            self.repair(original, changed);
        }
        if !within(self.distances(original, changed).of(norm), radius) {
            changed.copy_from_slice(original);
        }
    }

    fn repair_each(&self, original: &[f32], changed: &mut [f32], reach: f32) {
        for (index, (original, changed)) in original.iter().zip(changed).enumerate() {
            let constraint = self.at(index);
            if constraint.immutable || !changed.is_finite() {
                *changed = *original;
                continue;
            }
            let (low, high) = self.bounds(index, *original, reach);
            *changed = changed.clamp(low, high);
            if constraint.integer {
                *changed = if *changed >= *original {
                    original + (*changed - original).floor()
                } else {
                    original - (original - *changed).floor()
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
            && self.relations.iter().all(|relation| relation.holds(changed) || !relation.holds(original))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repaired_row_obeys_and_is_never_farther() {
        let constraints = Constraints::new(vec![
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

    fn between(lower: f32, upper: f32) -> Constraint {
        Constraint { lower, upper, integer: false, immutable: false }
    }

    #[test]
    fn relations_are_mended_or_the_row_is_given_back() {
        let mut constraints = Constraints::new(vec![between(0.0, 10.0); 6]);
        constraints.relations = vec![
            Relation::AtMost { terms: vec![(0, 1.0), (1, -1.0)], bound: 0.0 },
            Relation::OneOf { columns: vec![2, 3] },
            Relation::Sum { column: 5, terms: vec![(0, 1.0), (4, 2.0)], offset: 0.5 },
        ];
        let original = [1.0, 2.0, 1.0, 0.0, 3.0, 7.5];
        let mut random = crate::Random::new(1);
        for _ in 0..200 {
            let mut changed: Vec<f32> = (0..6).map(|_| random.between(-3.0, 13.0)).collect();
            constraints.repair(&original, &mut changed);
            assert!(constraints.obeys(&original, &changed), "{changed:?}");
        }
        assert!(!constraints.obeys(&original, &[3.0, 2.0, 1.0, 0.0, 3.0, 9.5]));
        assert!(!constraints.obeys(&original, &[1.0, 2.0, 1.0, 1.0, 3.0, 7.5]));
        assert!(!constraints.obeys(&original, &[1.0, 2.0, 1.0, 0.0, 3.0, 8.5]));
        // A row of the user's own that breaks a relation does not forbid every change.
        assert!(constraints.obeys(&[3.0, 2.0, 1.0, 0.0, 3.0, 9.5], &[3.0, 2.0, 0.0, 1.0, 3.0, 9.5]));
        assert!((constraints.cost(&original, &[2.0, 2.0, 1.0, 0.0, 3.0, 7.5]) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn what_is_mended_stays_in_the_box() {
        let mut constraints = Constraints::new(vec![between(0.0, 10.0); 7]);
        constraints.values[6].integer = true;
        constraints.relations = vec![
            Relation::AtMost { terms: vec![(0, 1.0), (1, -1.0)], bound: 0.0 },
            Relation::AtMost { terms: vec![(1, 1.0), (6, -1.0)], bound: 0.0 },
            Relation::OneOf { columns: vec![2, 3] },
            Relation::Sum { column: 5, terms: vec![(0, 1.0), (4, 2.0)], offset: 0.5 },
        ];
        let original = [4.0, 4.1, 1.0, 0.0, 2.0, 8.5, 5.0];
        let mut random = crate::Random::new(2);
        let mut moved = 0;
        for _ in 0..400 {
            let mut changed: Vec<f32> = original.iter().map(|own| own + random.between(-2.0, 2.0)).collect();
            constraints.repair_within(&original, &mut changed, 0.1);
            assert!(constraints.obeys(&original, &changed), "{changed:?}");
            let far = constraints.distances(&original, &changed).linf;
            assert!(far <= 0.1 + 1e-6, "{far} {changed:?}");
            moved += usize::from(far > 0.05);
        }
        // Hardly any is given up.
        assert!(moved > 380, "{moved}");
        for norm in [Norm::L1, Norm::L2] {
            for _ in 0..100 {
                let mut changed: Vec<f32> =
                    original.iter().map(|own| own + random.between(-2.0, 2.0)).collect();
                constraints.repair_inside(&original, &mut changed, norm, 0.2);
                assert!(constraints.obeys(&original, &changed), "{changed:?}");
                assert!(within(constraints.distances(&original, &changed).of(norm), 0.2), "{changed:?}");
            }
        }
    }

    #[test]
    fn constraints_are_written_as_a_list_or_with_relations() {
        let plain: Constraints = serde_json::from_str(r#"[{"lower": 0, "upper": 1}]"#).unwrap();
        assert_eq!(plain, Constraints::uniform(1, 0.0, 1.0));
        assert!(serde_json::to_string(&plain).unwrap().starts_with('['));
        let text = r#"{"values": [{"lower": 0, "upper": 1}, {"lower": 0, "upper": 1}],
            "relations": [{"relation": "at-most", "terms": [[0, 1.0], [1, -1.0]], "bound": 0.0}]}"#;
        let whole: Constraints = serde_json::from_str(text).unwrap();
        let again: Constraints = serde_json::from_str(&serde_json::to_string(&whole).unwrap()).unwrap();
        assert_eq!(whole, again);
        assert_eq!(whole.relations.len(), 1);
    }
}
