//! How far each row is proved to hold its class (interval bounds, Gowal and others 2018): the largest box around it in
//! which no input at all gets another class, found by halving. Needs the file; costs no query.

use mantlet_vocab::{About, Tensor};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::rows::RowShape;
use crate::stats::middle;
use crate::told::{Told, percent, rows};
use crate::{
    Answer, Ask, AttackError, Constraints, Detail, Inquired, Inquiry, Material, Measure, Outcome, RowOutcome,
    State, Stop,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "robustness-interval",
    title: "how far no input at all is proved to change a decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::FIGURE
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    let median = told.figure("median proved Linf radius").map_or(String::new(), |figure| {
        format!(
            "Half of the rows read right are proved to hold while no value changes by more than {} of its range (Linf); ",
            percent(figure.value.value)
        )
    });
    match told.hits() {
        0 => format!("{median}none of {} is wrong as it stands", rows(told.all())),
        hits => format!("{median}{hits} of {} are wrong as they stand", rows(told.all())),
    }
}

/// What is proved, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The largest change of every value that is looked at.
    pub most: f32,
    /// Halvings of the way to it.
    pub halvings: usize,
    /// The changes that are reported.
    pub radii: Vec<f32>,
}

impl Default for Config {
    fn default() -> Self {
        Self { most: 0.25, halvings: 14, radii: vec![0.001, 0.005, 0.01, 0.05] }
    }
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Boxes {
    config: Config,
    shape: RowShape,
    rows: Tensor,
    truths: Vec<usize>,
    constraints: Constraints,
    labels: Vec<usize>,
    /// For each row the largest change proved to be harmless and the smallest not proved to be.
    known: Vec<(f32, f32)>,
    errors: Vec<bool>,
    done: usize,
}

/// The room's attack.
pub type IntervalBound = Inquired<Boxes>;

impl Boxes {
    /// The changes tried next: the whole way first.
    fn tried(&self) -> Vec<f32> {
        let next = |(low, high): &(f32, f32)| {
            if self.done == 0 { self.config.most } else { f32::midpoint(*low, *high) }
        };
        self.known.iter().map(next).collect()
    }

    /// One end of each row's box, within what values may be.
    fn end(&self, side: f32) -> Tensor {
        let mut data = Vec::with_capacity(self.rows.data().len());
        for (row, change) in self.tried().into_iter().enumerate() {
            for (at, value) in self.rows.row(row).iter().enumerate() {
                let bounds = self.constraints.at(at);
                let moved = value + side * change * self.constraints.width(at);
                data.push(if bounds.immutable {
                    *value
                } else if side < 0.0 {
                    moved.max(bounds.lower.min(*value))
                } else {
                    moved.min(bounds.upper.max(*value))
                });
            }
        }
        self.shape.batch(data)
    }
}

impl Inquiry for Boxes {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, _seed: u64, material: Material) -> Result<Self, AttackError> {
        if !(config.most > 0.0 && config.most.is_finite()) || config.halvings == 0 || config.halvings > 40 {
            return Err(wrong(ABOUT.name, "most must be positive and halvings 1 to 40"));
        }
        if material.labels.is_empty() {
            return Err(needs(ABOUT.name, "the labels of the rows"));
        }
        let count = material.rows.rows();
        Ok(Self {
            known: vec![(0.0, config.most); count],
            errors: vec![false; count],
            config,
            shape: RowShape::of(&material.rows),
            rows: material.rows,
            truths: material.labels,
            constraints: material.constraints,
            labels: Vec::new(),
            done: 0,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        if self.labels.is_empty() {
            return Some(Ask::Labels(self.rows.clone()));
        }
        (self.done <= self.config.halvings).then(|| Ask::Margins {
            low: self.end(-1.0),
            high: self.end(1.0),
            labels: self.labels.clone(),
        })
    }

    fn take(&mut self, answer: Answer) -> bool {
        match answer {
            Answer::Labels(labels) if self.labels.is_empty() && labels.len() == self.truths.len() => {
                self.labels = labels;
                true
            }
            Answer::Scores(margins)
                if !self.labels.is_empty()
                    && margins.rows() == self.known.len()
                    && margins.row_len() == 1 =>
            {
                for ((row, tried), margin) in self.tried().into_iter().enumerate().zip(margins.data()) {
                    self.errors[row] |= margin.is_nan();
                    let known = &mut self.known[row];
                    if *margin > 0.0 {
                        known.0 = tried;
                    } else {
                        known.1 = tried;
                    }
                }
                self.done += 1;
                true
            }
            _ => false,
        }
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let asked = self.done > 0;
        let right = |row: usize| self.labels.get(row) == Some(&self.truths[row]);
        let n = if asked { self.truths.len() } else { 0 };
        let mut figures = Vec::new();
        let proved: Vec<f32> = (0..n).filter(|row| right(*row)).map(|row| self.known[row].0).collect();
        if asked {
            for radius in &self.config.radii {
                let hold = proved.iter().filter(|own| *own >= radius).count();
                figures.push(Measure::share(format!("rows proved right within Linf {radius}"), hold, n));
            }
            let mut sorted = proved.clone();
            sorted.sort_by(f32::total_cmp);
            let median = f64::from(middle(&sorted));
            figures.push(Measure::plain(
                "median proved Linf radius of rows read right",
                median,
                sorted.len(),
            ));
        }
        let rows = (0..self.truths.len()).map(|row| {
            let state = match stopped {
                Some(why) => why.state(),
                None if !asked || self.errors[row] => State::Error,
                None if !right(row) => State::Hit,
                None if self.known[row].0 > 0.0 => State::Miss,
                None => State::Undecided,
            };
            RowOutcome {
                before: Some(self.truths[row]),
                after: self.labels.get(row).copied(),
                queries: 1 + self.done as u64,
                ..RowOutcome::without_result(row, state)
            }
        });
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows: rows.collect(),
            detail: Detail::Measured {
                figures,
                notes: vec![
                    "a lower bound that holds for every attack: interval bounds are loose, so small figures say little about \
                     a model that was not trained for them; a hit is a row that is wrong as it stands"
                        .to_owned(),
                ],
            },
        }
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
    fn on_a_line_the_proved_change_is_the_true_one() {
        let case = crate::testing::cases(ABOUT.cases).remove(1).body;
        let mut attack = IntervalBound::new(Config::default(), 1, case.material()).unwrap();
        let (outcome, _) = case.model.play(&mut attack);
        let Detail::Measured { figures, .. } = &outcome.detail else { panic!() };
        // The row is 0.02 and the border 0.5 - 0.02 away in one value of weight 1: 0.02 of its interval.
        let median = figures.last().unwrap().value.value;
        assert!((median - 0.02).abs() < 1e-4 && median <= 0.02 + 1e-6, "{median}");
    }
}
