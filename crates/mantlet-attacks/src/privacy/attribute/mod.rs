//! Attribute inference (Fredrikson and others 2014; Yeom and others 2018): everything of a training record but one
//! value is known, and the value that makes the model surest of the record's own outcome is taken for the true one.
//! What the model adds is the difference between members and rows it never saw.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::rows::RowShape;
use crate::told::Told;
use crate::{
    Answer, Ask, AtRisk, AttackError, Detail, Inquired, Inquiry, Interval, Material, Measure, Outcome,
    Random, RowOutcome, ScoreKind, State, Stop, wilson,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "privacy-attribute",
    title: "the model tells a hidden value of the records it learned",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0024.001"],
    owasp: &["ML03:2023", "ML04:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    match told.hits() {
        0 => {
            "No hidden value is guessed better for training rows than for rows the model never saw".to_owned()
        }
        hits => format!(
            "A hidden value that is not the usual one was guessed right for {hits} of {} training rows, in columns guessed \
             better for them than for rows the model never saw",
            told.all()
        ),
    }
}

/// What is guessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The columns whose values are guessed; those of few values when empty.
    pub columns: Vec<usize>,
    /// The most values a column may have to be guessed.
    pub values: usize,
    /// The most rows of either side.
    pub rows: usize,
    /// The most columns guessed.
    pub most: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { columns: Vec::new(), values: 8, rows: 300, most: 12 }
    }
}

/// One column and what was guessed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Column {
    at: usize,
    values: Vec<f32>,
    /// For each row asked, members first: the place of the guess and how far its fit is above the next.
    guesses: Vec<Option<(usize, f32)>>,
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Guessing {
    shape: RowShape,
    rows: Tensor,
    labels: Vec<usize>,
    /// The rows of the material that were picked as members; the rest of `rows` are others.
    members: Vec<usize>,
    columns: Vec<Column>,
    /// The column asked about next.
    at: usize,
    total: usize,
}

/// The room's attack.
pub type Attribute = Inquired<Guessing>;

impl Guessing {
    fn truth(&self, column: &Column, row: usize) -> Option<usize> {
        let own = self.rows.row(row)[column.at];
        column.values.iter().position(|value| *value == own)
    }

    /// The column's usual value among the rows that are not members.
    fn usual(&self, column: &Column) -> usize {
        let count = |value: usize| {
            (self.members.len()..self.labels.len())
                .filter(|row| self.truth(column, *row) == Some(value))
                .count()
        };
        (0..column.values.len()).max_by_key(|value| (count(*value), std::cmp::Reverse(*value))).unwrap_or(0)
    }

    fn right(&self, column: &Column, row: usize) -> Option<bool> {
        let (guess, _) = column.guesses.get(row).copied().flatten()?;
        Some(self.truth(column, row) == Some(guess))
    }

    fn tally(&self, column: &Column, rows: std::ops::Range<usize>) -> (usize, usize) {
        let known = || rows.clone().filter_map(|row| self.right(column, row));
        (known().filter(|right| *right).count(), known().count())
    }
}

/// Whether members are guessed better than others by more than chance: the lower end of one share's interval above the
/// other share.
fn leaks(members: Interval, others: Interval) -> bool {
    members.low > others.value && members.value > others.high
}

impl Inquiry for Guessing {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        if config.values < 2 || config.rows == 0 || config.most == 0 {
            return Err(wrong(ABOUT.name, "values must be at least 2, rows and most at least 1"));
        }
        if material.rows.shape().len() != 2 {
            return Err(needs(ABOUT.name, "rows of a table"));
        }
        let Some(others) = material.pool.filter(|pool| pool.rows() > 0) else {
            return Err(needs(ABOUT.name, "rows the model was not trained on, in the pool"));
        };
        if material.labels.is_empty() || material.pool_labels.is_empty() {
            return Err(needs(ABOUT.name, "labels of members and non-members"));
        }
        let len = material.rows.row_len();
        if config.columns.iter().any(|column| *column >= len) {
            return Err(wrong(ABOUT.name, "columns must be places of the row"));
        }
        let values_of = |column: usize| -> Option<Vec<f32>> {
            let mut values: Vec<f32> = Vec::new();
            for row in 0..material.rows.rows() {
                let value = material.rows.row(row)[column];
                if !values.contains(&value) {
                    values.push(value);
                }
                if values.len() > config.values {
                    return None;
                }
            }
            values.sort_by(f32::total_cmp);
            (values.len() >= 2).then_some(values)
        };
        let wanted: Vec<usize> =
            if config.columns.is_empty() { (0..len).collect() } else { config.columns.clone() };
        let columns: Vec<Column> = wanted
            .into_iter()
            .filter_map(|at| values_of(at).map(|values| Column { at, values, guesses: Vec::new() }))
            .take(config.most)
            .collect();
        if columns.is_empty() {
            return Err(needs(ABOUT.name, &format!("a column of 2 to {} different values", config.values)));
        }
        let mut random = Random::new(seed);
        let mut pick = |count: usize| {
            let mut order: Vec<usize> = (0..count).collect();
            random.shuffle(&mut order);
            order.truncate(config.rows);
            order.sort_unstable();
            order
        };
        let (members, strangers) = (pick(material.rows.rows()), pick(others.rows()));
        let shape = RowShape::of(&material.rows);
        let mut data = material.rows.select(&members).into_data();
        data.extend(others.select(&strangers).into_data());
        let labels = members.iter().map(|row| material.labels[*row]);
        let labels = labels.chain(strangers.iter().map(|row| material.pool_labels[*row])).collect();
        Ok(Self {
            rows: shape.batch(data),
            shape,
            labels,
            total: material.rows.rows(),
            members,
            columns,
            at: 0,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        let column = self.columns.get(self.at)?;
        let mut data = Vec::with_capacity(self.rows.data().len() * column.values.len());
        for row in 0..self.rows.rows() {
            for value in &column.values {
                let from = data.len();
                data.extend_from_slice(self.rows.row(row));
                data[from + column.at] = *value;
            }
        }
        Some(Ask::Scores(self.shape.batch(data)))
    }

    fn take(&mut self, answer: Answer) -> bool {
        let (Answer::Scores(scores), Some(column)) = (answer, self.columns.get_mut(self.at)) else {
            return false;
        };
        let count = column.values.len();
        if scores.rows() != self.labels.len() * count {
            return false;
        }
        let kind = ScoreKind::recognise(&scores);
        column.guesses = (0..self.labels.len())
            .map(|row| {
                let fits: Option<Vec<f32>> = (0..count)
                    .map(|value| {
                        crate::membership::log_odds(scores.row(row * count + value), self.labels[row], kind)
                    })
                    .collect();
                let fits = fits?;
                let best = (0..count).max_by(|a, b| fits[*a].total_cmp(&fits[*b]).then(b.cmp(a)))?;
                let next = (0..count)
                    .filter(|value| *value != best)
                    .map(|value| fits[value])
                    .fold(f32::MIN, f32::max);
                Some((best, (fits[best] - next).clamp(0.0, 1e6)))
            })
            .collect();
        self.at += 1;
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let inside = self.members.len();
        let mut figures = Vec::new();
        let mut notes = Vec::new();
        let mut at_risk: Vec<AtRisk> = Vec::new();
        let mut hit = vec![false; inside];
        let done = self.columns.iter().filter(|column| !column.guesses.is_empty());
        for column in done {
            let (own, own_n) = self.tally(column, 0..inside);
            let (other, other_n) = self.tally(column, inside..self.labels.len());
            let usual = self.usual(column);
            let prior = (0..inside).filter(|row| self.truth(column, *row) == Some(usual)).count();
            let at = column.at;
            figures.push(Measure::share(format!("column {at} guessed right, members"), own, own_n));
            figures.push(Measure::share(format!("column {at} guessed right, others"), other, other_n));
            figures.push(Measure::share(format!("column {at} guessed by its usual value"), prior, inside));
            let (own, other) = (wilson(own, own_n), wilson(other, other_n));
            if !leaks(own, other) {
                continue;
            }
            notes.push(format!(
                "column {}: the model gives away {:.1} points more about records it learned than about others",
                column.at,
                (own.value - other.value) * 100.0
            ));
            for (row, hit) in hit.iter_mut().enumerate() {
                let unusual = self.truth(column, row) != Some(usual);
                if let (true, Some(true), Some(Some((_, sure)))) =
                    (unusual, self.right(column, row), column.guesses.get(row))
                {
                    *hit = true;
                    at_risk.push(AtRisk { row: self.members[row], score: *sure });
                }
            }
        }
        at_risk.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
        let named: Vec<String> = at_risk.iter().take(10).map(|risk| risk.row.to_string()).collect();
        if !named.is_empty() {
            notes.push(format!("training rows most at risk: {}", named.join(", ")));
        }
        notes.push(
            "a hit is a training row whose unusual value is guessed right in a column that leaks; a column that is \
             guessed as well on rows the model never saw is common knowledge, not a leak"
                .to_owned(),
        );
        let over = self.at >= self.columns.len();
        let broken =
            |row: usize| self.columns.iter().any(|column| matches!(column.guesses.get(row), Some(None)));
        let asked: u64 = self.columns.iter().map(|column| column.values.len() as u64).sum();
        let rows = (0..inside).map(|row| {
            let state = match stopped {
                Some(why) => why.state(),
                None if !over || broken(row) => State::Error,
                None if hit[row] => State::Hit,
                None => State::Miss,
            };
            RowOutcome {
                before: Some(self.labels[row]),
                queries: asked,
                ..RowOutcome::without_result(self.members[row].min(self.total), state)
            }
        });
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows: rows.collect(),
            detail: Detail::Measured { figures, notes },
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
