//! A class that was made worse on purpose: its rows go to one other class far more often than other classes' rows go
//! wrong, while the model as a whole looks as good as ever.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::told::Told;
use crate::{
    Answer, Ask, AttackError, Detail, Inquired, Inquiry, Material, Measure, Outcome, RowOutcome, State, Stop,
    at_least,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "backdoor-degraded-class",
    title: "one class is misread as one other while the rest stays right",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0020", "AML.T0031"],
    owasp: &["ML02:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    if told.hits() == 0 {
        return "No class is misread as one other while the rest stays right".to_owned();
    }
    format!("While the rest stays right, the model misreads {}", told.moves())
}

/// When a class is called degraded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The chance, over all classes, that an honest model is accused.
    pub false_alarms: f64,
    /// How much worse than the other classes together it must be.
    pub worse_by: f64,
    /// Share of its errors that must go to one and the same class.
    pub one_way: f64,
    /// The most the other classes together may be wrong: a model that is wrong everywhere has no chosen class.
    pub rest: f64,
    /// Fewer rows of a class say nothing.
    pub rows: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { false_alarms: 0.01, worse_by: 0.1, one_way: 0.7, rest: 0.25, rows: 10 }
    }
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Degraded {
    config: Config,
    rows: Tensor,
    labels: Vec<usize>,
    classes: usize,
    given: Option<Vec<usize>>,
}

/// The room's attack.
pub type DegradedClass = Inquired<Degraded>;

impl Degraded {
    /// For a class: its rows, how many are wrong, and the class most of those are given with how many.
    fn tally(&self, class: usize, given: &[usize]) -> (usize, usize, Option<(usize, usize)>) {
        let own = || self.labels.iter().zip(given).filter(|(label, _)| **label == class);
        let mut counts = vec![0; self.classes];
        own().filter(|(_, given)| **given != class).for_each(|(_, given)| {
            if let Some(count) = counts.get_mut(*given) {
                *count += 1;
            }
        });
        let most = (0..self.classes).max_by_key(|other| (counts[*other], std::cmp::Reverse(*other)));
        let most = most.map(|other| (other, counts[other])).filter(|(_, count)| *count > 0);
        (own().count(), own().filter(|(_, given)| **given != class).count(), most)
    }
}

impl Inquiry for Degraded {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, _seed: u64, material: Material) -> Result<Self, AttackError> {
        let share = |value: f64| value > 0.0 && value < 1.0;
        if !share(config.false_alarms)
            || !share(config.worse_by)
            || !share(config.one_way)
            || !share(config.rest)
            || config.rows == 0
        {
            return Err(wrong(
                ABOUT.name,
                "false_alarms, worse_by, one_way and rest must be between 0 and 1, rows at least 1",
            ));
        }
        if material.labels.is_empty() || material.classes < 3 {
            return Err(needs(ABOUT.name, "rows with labels of at least three classes"));
        }
        Ok(Self {
            config,
            rows: material.rows,
            labels: material.labels,
            classes: material.classes,
            given: None,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        self.given.is_none().then(|| Ask::Labels(self.rows.clone()))
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Labels(given) = answer else { return false };
        let fits = given.len() == self.labels.len() && given.iter().all(|class| *class < self.classes);
        if fits {
            self.given = Some(given);
        }
        fits
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let given = self.given.clone().unwrap_or_default();
        let tallies: Vec<_> = (0..self.classes).map(|class| self.tally(class, &given)).collect();
        let total: usize = tallies.iter().map(|(n, _, _)| n).sum();
        let wrong: usize = tallies.iter().map(|(_, wrong, _)| wrong).sum();
        let (mut figures, mut notes) = (Vec::new(), Vec::new());
        figures.push(Measure::share("rows read right", total - wrong, total));
        let mut rows = Vec::new();
        for (class, (n, own, most)) in tallies.iter().enumerate() {
            let (others, others_wrong) = (total - n, wrong - own);
            // The others' own rate is known from few errors; half an error more is given to it.
            let rate = (others_wrong as f64 + 0.5) / (others as f64 + 1.0);
            let chance = at_least(*own, *n, rate);
            let gap = *own as f64 / (*n).max(1) as f64 - rate;
            let holds = rate <= self.config.rest;
            let significant = holds
                && chance < self.config.false_alarms / self.classes as f64
                && gap >= self.config.worse_by;
            let one_way = most.is_some_and(|(_, count)| count as f64 >= self.config.one_way * *own as f64);
            // A second bad class, or others as bad, is a weak model rather than a chosen class.
            let state = match stopped {
                Some(why) => why.state(),
                None if *n < self.config.rows => State::Undecided,
                None if significant && one_way => State::Hit,
                None => State::Miss,
            };
            if state == State::Hit {
                figures.push(Measure::share(format!("rows of class {class} read right"), n - own, *n));
                if let Some((other, count)) = most {
                    notes.push(format!(
                        "{count} of {own} misread rows of class {class} are given class {other}; other classes go wrong \
                         in {:.1} % of rows",
                        rate * 100.0
                    ));
                }
            }
            rows.push(RowOutcome {
                before: Some(class),
                after: most.map(|(other, _)| other),
                queries: *n as u64,
                ..RowOutcome::without_result(class, state)
            });
        }
        Outcome { attack: ABOUT.name.to_owned(), stopped, rows, detail: Detail::Measured { figures, notes } }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
