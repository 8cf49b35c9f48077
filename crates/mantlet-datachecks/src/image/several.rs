//! Whether a mark goes with several labels that the content of its pictures does not explain.

use super::mark::FEWEST;
use crate::feed::{binomial_tail, real};

/// The chance of a mark like this where nothing is planted, over everything that was looked at.
pub(super) const CHANCE: f64 = 1e-3;
/// The share of its pictures whose content speaks for another label, at least, and beside the usual share.
const AGAINST: f64 = 0.5;
const BESIDE: f64 = 2.0;
/// Of those pictures, the share that the labels have together, and that each has, at least.
const TOGETHER: f64 = 0.9;
const EACH: f64 = 0.1;
/// Pictures of each label at least.
const LEAST: u64 = 4;

/// One mark that goes with several labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    /// The labels, rising.
    pub labels: Vec<u16>,
    /// Its pictures that have them, rising.
    pub rows: Vec<u64>,
    /// Pictures of these labels.
    pub of: u64,
    /// Its pictures whose content was asked.
    pub asked: u64,
    /// Of them, those whose content speaks for another label than they have.
    pub against: u64,
    /// The share of pictures without the mark of which that is so.
    pub usual: f64,
    /// How far its pictures lie from the others, in deviations, and where it lies; nothing when it stands anywhere.
    pub fixed: Option<(f64, [u8; 4])>,
}

/// What the content of a mark's pictures said.
pub(super) struct Asked<'a> {
    /// The labels they have.
    pub(super) given: &'a [u16],
    /// Whether their content speaks for another.
    pub(super) against: &'a [bool],
    /// How often that is so in pictures without the mark.
    pub(super) usual: f64,
    /// The share of all pictures that each label has.
    pub(super) shares: &'a [f64],
    /// How many marks were looked at.
    pub(super) looks: f64,
}

impl Asked<'_> {
    /// The labels that the mark stands for, when they are several: content speaks against most of its pictures, which
    /// carelessness alone would not do, and they have few labels, which careless ones would not have.
    pub(super) fn labels(&self) -> Option<Vec<u16>> {
        let mut counts = vec![0_u64; self.shares.len()];
        for (&label, _) in self.given.iter().zip(self.against).filter(|(_, against)| **against) {
            *counts.get_mut(usize::from(label))? += 1;
        }
        let (all, against) = (self.given.len() as u64, counts.iter().sum::<u64>());
        let share = real(against) / real(all.max(1));
        if all < FEWEST as u64 || share < AGAINST || share < BESIDE * self.usual {
            return None;
        }
        let is_own = |&label: &usize| counts[label] >= LEAST && real(counts[label]) >= EACH * real(against);
        let own: Vec<usize> = (0..counts.len()).filter(is_own).collect();
        let together: u64 = own.iter().map(|&label| counts[label]).sum();
        if own.len() < 2 || real(together) < TOGETHER * real(against) {
            return None;
        }
        let expected: f64 = own.iter().map(|&label| self.shares[label]).sum();
        let choices = (0..own.len())
            .fold(1.0, |choices, at| choices * real((counts.len() - at) as u64) / real(at as u64 + 1));
        let careless = binomial_tail(against, all, self.usual) * self.looks;
        let scattered = binomial_tail(together, against, expected) * self.looks * choices;
        (careless < CHANCE && scattered < CHANCE)
            .then(|| own.into_iter().filter_map(|label| u16::try_from(label).ok()).collect())
    }
}

/// The share of all rows that each label has.
pub(super) fn shares(labels: &[u16], many: usize) -> Vec<f64> {
    let mut counts = vec![0_u64; many];
    labels.iter().for_each(|&label| {
        counts.get_mut(usize::from(label)).into_iter().for_each(|count| *count += 1);
    });
    counts.into_iter().map(|count| real(count) / real(labels.len().max(1) as u64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(given: &[u16], against: &[bool], usual: f64, shares: &[f64]) -> Option<Vec<u16>> {
        Asked { given, against, usual, shares, looks: 64.0 }.labels()
    }

    #[test]
    fn few_labels_against_content_are_told_and_scattered_or_honest_ones_are_not() {
        let even = [0.1; 10];
        let two: Vec<u16> = (0..40).map(|at| [2, 7][at % 2]).collect();
        assert_eq!(told(&two, &[true; 40], 0.03, &even), Some(vec![2, 7]));
        // Its pictures' content agrees, or usually disagrees as often.
        assert_eq!(told(&two, &[false; 40], 0.03, &even), None);
        assert_eq!(told(&two, &[true; 40], 0.6, &even), None);
        // Careless labels fall everywhere.
        let any: Vec<u16> = (0..40).map(|at| at % 10).collect();
        assert_eq!(told(&any, &[true; 40], 0.03, &even), None);
        // One label is for the other room, and two that nearly all pictures have say nothing.
        assert_eq!(told(&[3; 40], &[true; 40], 0.03, &even), None);
        let usual: Vec<u16> = (0..40).map(|at| at % 2).collect();
        assert_eq!(told(&usual, &[true; 40], 0.03, &[0.49, 0.49, 0.02]), None);
        assert_eq!(told(&two[..12], &[true; 12], 0.03, &even), None);
    }
}
