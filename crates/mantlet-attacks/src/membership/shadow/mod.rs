//! Membership by an attack model learned from shadows (Shokri and others, 2017): what tells rows a shadow learned
//! from rows it did not is applied to the target.

use mantlet_vocab::{About, Confidence, Impact, Severity};
use serde::{Deserialize, Serialize};

use super::shadows::{Next, Shadows, over_shadows};
pub(crate) use crate::told::members as say;
use crate::{Answer, Attack, AttackError, Material, Outcome, State, Step, Stop};

pub use super::shadows::Shadowing;

/// The room's card.
pub const ABOUT: About = About {
    name: "membership-shadow",
    title: "what tells learned records from others in look-alike models tells them in this one",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0024.000"],
    owasp: &["ML04:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// How it is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The shadows.
    pub shadowing: Shadowing,
}

impl Default for Config {
    fn default() -> Self {
        Self { shadowing: Shadowing { shadows: 8, ..Shadowing::default() } }
    }
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shadow {
    shadows: Shadows,
    over: bool,
}

/// The log-odds are cut into this many parts of equal numbers.
const PARTS: usize = 16;

impl Shadow {
    /// Prepares the attack: members in `rows`, non-members in `pool`, both with labels.
    ///
    /// # Errors
    /// When the configuration is out of range, or there are no non-members or labels.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        Ok(Self { shadows: Shadows::new(ABOUT.name, config.shadowing, seed, &material)?, over: false })
    }

    /// The attack model: for each class, the share of learned rows at each height of the log-odds, made monotone by
    /// nothing, since overfit models may err in both directions.
    fn scores(&self) -> Vec<Option<f32>> {
        let rows = self.shadows.len();
        let classes = (0..rows).map(|row| self.shadows.label(row)).max().map_or(0, |top| top + 1);
        let mut seen: Vec<Vec<(f32, bool)>> = vec![Vec::new(); classes];
        for row in 0..rows {
            let (with, without) = self.shadows.split(row);
            let of_class = &mut seen[self.shadows.label(row)];
            of_class.extend(with.into_iter().map(|odds| (self.shadows.fit(odds), true)));
            of_class.extend(without.into_iter().map(|odds| (self.shadows.fit(odds), false)));
        }
        let models: Vec<Vec<(f32, f32)>> = seen.into_iter().map(parts).collect();
        self.shadows
            .target()
            .iter()
            .enumerate()
            .map(|(row, odds)| odds.map(|odds| at(&models[self.shadows.label(row)], self.shadows.fit(odds))))
            .collect()
    }

    fn score(&self) -> String {
        if self.shadows.scored() {
            "share of learned rows among rows whose score is as near the true one, in models of the same kind"
        } else {
            "share of learned rows among rows of the same class and like log-odds, in models of the same kind"
        }
        .to_owned()
    }
}

over_shadows!(Shadow);

/// The middle of each part of equal numbers, with the share of learned rows in it.
fn parts(mut seen: Vec<(f32, bool)>) -> Vec<(f32, f32)> {
    seen.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let size = seen.len().div_ceil(PARTS).max(1);
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    seen.chunks(size)
        .map(|part| {
            let learned = part.iter().filter(|(_, inside)| *inside).count();
            // One of each is added, so that a few rows do not make a certainty.
            (part[part.len() / 2].0, (learned as f32 + 1.0) / (part.len() as f32 + 2.0))
        })
        .collect()
}

/// The share at this height: between the middles of two parts, a mix of theirs.
fn at(model: &[(f32, f32)], odds: f32) -> f32 {
    let above = model.partition_point(|(middle, _)| *middle < odds);
    match (above.checked_sub(1).and_then(|below| model.get(below)), model.get(above)) {
        (Some(low), Some(high)) if high.0 > low.0 => {
            low.1 + (high.1 - low.1) * (odds - low.0) / (high.0 - low.0)
        }
        (_, Some(only)) | (Some(only), None) => only.1,
        (None, None) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_hold() {
        crate::testing::hold(ABOUT.name, ABOUT.cases);
    }

    #[test]
    fn the_attack_model_follows_what_it_has_seen() {
        let seen = (0..320).map(|value| (value as f32, value >= 160)).collect();
        let model = parts(seen);
        assert!(at(&model, 300.0) > 0.9 && at(&model, 10.0) < 0.1, "{model:?}");
        assert_eq!(at(&[], 1.0), 0.5);
    }
}
