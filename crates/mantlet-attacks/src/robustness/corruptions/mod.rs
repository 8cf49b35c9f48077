//! Everyday damage (after Hendrycks and Dietterich 2019): noise, blur, contrast, brightness and pixelation of
//! pictures; missing, rounded, shifted and mistaken units in tables; five severities each. Labels only.

use mantlet_vocab::{About, Tensor};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::rows::RowShape;
use crate::told::{Told, percent, rows};
use crate::{
    Answer, Ask, AttackError, Constraints, Detail, Inquired, Inquiry, Material, Measure, Outcome, Random,
    RowOutcome, State, Stop,
};

mod damage;

pub use damage::Damage;

/// The room's card.
pub const ABOUT: About = About {
    name: "robustness-corruptions",
    title: "everyday damage to inputs changes decisions",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::FIGURE
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    let worst = match &told.outcome.detail {
        Detail::Measured { figures, .. } => {
            let damaged = figures.iter().filter(|figure| figure.name.contains(" of severity "));
            damaged.min_by(|a, b| a.value.value.total_cmp(&b.value.value))
        }
        _ => None,
    };
    let worst = worst.map_or(String::new(), |figure| {
        format!("; at worst, {}: {}", figure.name, percent(figure.value.value))
    });
    match told.hits() {
        0 => format!("The mildest everyday damage turns none of {}{worst}", rows(told.all())),
        hits => format!("The mildest everyday damage turns {hits} of {}{worst}", rows(told.all())),
    }
}

/// What is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The severities, 1 to 5.
    pub severities: Vec<u8>,
    /// The kinds of damage; those that fit the rows when empty.
    pub kinds: Vec<Damage>,
}

impl Default for Config {
    fn default() -> Self {
        Self { severities: vec![1, 2, 3, 4, 5], kinds: Vec::new() }
    }
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Everyday {
    config: Config,
    random: Random,
    shape: RowShape,
    rows: Tensor,
    labels: Vec<usize>,
    /// The middle of each value over the rows at hand, in place of what is missing.
    usual: Vec<f32>,
    constraints: Constraints,
    plain: Option<Vec<usize>>,
    /// Kind, severity and the answers.
    given: Vec<(Damage, u8, Vec<usize>)>,
    plan: Vec<(Damage, u8)>,
}

/// The room's attack.
pub type Corruptions = Inquired<Everyday>;

impl Inquiry for Everyday {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        if config.severities.is_empty()
            || config.severities.iter().any(|severity| !(1..=5).contains(severity))
        {
            return Err(wrong(ABOUT.name, "severities must be among 1 to 5"));
        }
        if material.labels.is_empty() {
            return Err(needs(ABOUT.name, "the labels of the rows"));
        }
        let shape = RowShape::of(&material.rows);
        let picture = shape.image().is_some() && material.rows.shape().len() > 2;
        let fitting = if picture { Damage::PICTURE } else { Damage::TABLE };
        let kinds = if config.kinds.is_empty() { fitting.to_vec() } else { config.kinds.clone() };
        if kinds.iter().any(|kind| !fitting.contains(kind)) {
            let words: Vec<&str> = fitting.iter().map(|kind| kind.word()).collect();
            return Err(wrong(ABOUT.name, &format!("kinds for these rows are {}", words.join(", "))));
        }
        let from = material.pool.as_ref().unwrap_or(&material.rows);
        let usual = (0..shape.len())
            .map(|place| {
                let mut values: Vec<f32> = (0..from.rows()).map(|row| from.row(row)[place]).collect();
                values.sort_by(f32::total_cmp);
                crate::stats::middle(&values)
            })
            .collect();
        let mut plan: Vec<(Damage, u8)> = Vec::new();
        for kind in kinds {
            plan.extend(config.severities.iter().map(|severity| (kind, *severity)));
        }
        plan.reverse();
        Ok(Self {
            config,
            random: Random::new(seed),
            shape,
            rows: material.rows,
            labels: material.labels,
            usual,
            constraints: material.constraints,
            plain: None,
            given: Vec::new(),
            plan,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        if self.plain.is_none() {
            return Some(Ask::Labels(self.rows.clone()));
        }
        let (kind, severity) = *self.plan.last()?;
        let mut data = Vec::with_capacity(self.rows.data().len());
        for row in 0..self.rows.rows() {
            let from = data.len();
            data.extend(kind.apply(
                severity,
                self.rows.row(row),
                self.shape.image(),
                &self.usual,
                &self.constraints,
                &mut self.random,
            ));
            // What is damaged is still what a sensor or a form can hold.
            if kind.keeps_bounds() {
                self.constraints.repair_values(&mut data[from..]);
            }
        }
        Some(Ask::Labels(self.shape.batch(data)))
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Labels(given) = answer else { return false };
        if given.len() != self.rows.rows() {
            return false;
        }
        if self.plain.is_none() {
            self.plain = Some(given);
        } else if let Some((kind, severity)) = self.plan.pop() {
            self.given.push((kind, severity, given));
        }
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let n = self.labels.len();
        let right =
            |given: &[usize]| given.iter().zip(&self.labels).filter(|(given, label)| given == label).count();
        let plain = self.plain.clone().unwrap_or_default();
        let mut figures = Vec::new();
        if self.plain.is_some() {
            figures.push(Measure::share("rows read right, undamaged", right(&plain), n));
        }
        // The worst kind first, by its mean over severities.
        let mut kinds: Vec<Damage> = Vec::new();
        for (kind, _, _) in &self.given {
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
        let total = |kind: Damage| -> usize {
            self.given.iter().filter(|(own, _, _)| *own == kind).map(|(_, _, given)| right(given)).sum()
        };
        kinds.sort_by_key(|kind| total(*kind));
        for kind in &kinds {
            for (_, severity, given) in self.given.iter().filter(|(own, _, _)| own == kind) {
                let name = format!("rows read right, {} of severity {severity}", kind.word());
                figures.push(Measure::share(name, right(given), n));
            }
        }
        let mildest = self.config.severities.iter().min().copied().unwrap_or(1);
        let rows = (0..n).map(|row| {
            let turned = |(_, severity, given): &&(Damage, u8, Vec<usize>)| {
                *severity == mildest && given[row] != self.labels[row]
            };
            let first = self.given.iter().find(turned);
            let state = match stopped {
                Some(why) => why.state(),
                None if plain.get(row) != Some(&self.labels[row]) => State::Miss,
                None if first.is_some() => State::Hit,
                None => State::Miss,
            };
            RowOutcome {
                before: plain.get(row).copied(),
                after: first.map(|(_, _, given)| given[row]),
                queries: 1 + self.given.len() as u64,
                ..RowOutcome::without_result(row, state)
            }
        });
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows: rows.collect(),
            detail: Detail::Measured {
                figures,
                notes: vec![format!(
                    "a row counts as a hit when it is read right undamaged and wrong under some damage of severity {mildest}"
                )],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
