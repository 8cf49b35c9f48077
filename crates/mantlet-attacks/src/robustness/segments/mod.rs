//! Where a model is worst: groups of rows by the ranges of one or two columns whose error is far above the rest. Found
//! on one half of the rows and counted on the other, so that a group picked for its bad luck does not stay.

use mantlet_vocab::{About, Tensor};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::told::{Told, percent, rows};
use crate::{
    Answer, Ask, AttackError, Detail, Inquired, Inquiry, Material, Measure, Outcome, Random, RowOutcome,
    State, Stop, at_least,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "robustness-segments",
    title: "a group of rows is decided wrong far more often than the rest",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::FIGURE
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    let group = told.figure("rows read right where ").filter(|_| told.hits() > 0);
    match (group, told.figure("rows read right")) {
        (Some(group), Some(all)) => {
            let place = group.name.trim_start_matches("rows read right where ");
            let (own, usual) = (percent(group.value.value), percent(all.value.value));
            format!("Where {place} only {own} of {} are read right, of all rows {usual}", rows(group.n))
        }
        _ => "No group of rows is decided wrong far more often than the rest".to_owned(),
    }
}

/// How groups are sought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Ranges of equal numbers a column is cut into.
    pub ranges: usize,
    /// The smallest share of rows that makes a group.
    pub share: f64,
    /// How much worse than the rest a group must be.
    pub worse_by: f64,
    /// The chance, over all groups confirmed, that one is no worse than the rest.
    pub false_alarms: f64,
    /// The most groups reported.
    pub most: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { ranges: 4, share: 0.05, worse_by: 0.1, false_alarms: 0.05, most: 5 }
    }
}

/// A range of a column: from `low` to `high`, both within.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Range {
    column: usize,
    low: f32,
    high: f32,
}

impl Range {
    fn holds(&self, row: &[f32]) -> bool {
        (self.low..=self.high).contains(&row[self.column])
    }

    fn words(&self) -> String {
        format!("column {} from {} to {}", self.column, self.low, self.high)
    }
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Groups {
    config: Config,
    rows: Tensor,
    labels: Vec<usize>,
    /// Rows on which groups are sought, and rows on which they are counted.
    sought: Vec<usize>,
    counted: Vec<usize>,
    given: Option<Vec<usize>>,
}

/// The room's attack.
pub type Segments = Inquired<Groups>;

/// A group with its counts on the second half: rows and wrong ones, inside and outside.
struct Found {
    ranges: Vec<Range>,
    inside: (usize, usize),
    outside: (usize, usize),
}

impl Groups {
    /// The ranges of a column: of equal numbers, or one a value where there are few.
    fn ranges(&self, column: usize) -> Vec<Range> {
        let mut values: Vec<f32> = self.sought.iter().map(|row| self.rows.row(*row)[column]).collect();
        values.sort_by(f32::total_cmp);
        let mut own = values.clone();
        own.dedup();
        if own.len() < 2 {
            return Vec::new();
        }
        if own.len() <= self.config.ranges {
            return own.into_iter().map(|value| Range { column, low: value, high: value }).collect();
        }
        let size = values.len().div_ceil(self.config.ranges);
        let mut ranges: Vec<Range> = values
            .chunks(size)
            .filter_map(|part| Some(Range { column, low: *part.first()?, high: *part.last()? }))
            .collect();
        // What lies between two ranges belongs to one of them.
        for index in 1..ranges.len() {
            let border = f32::midpoint(ranges[index - 1].high, ranges[index].low);
            (ranges[index - 1].high, ranges[index].low) = (border, border);
        }
        if let Some(first) = ranges.first_mut() {
            first.low = f32::MIN;
        }
        if let Some(last) = ranges.last_mut() {
            last.high = f32::MAX;
        }
        ranges
    }

    fn count(&self, rows: &[usize], given: &[usize], ranges: &[Range]) -> ((usize, usize), (usize, usize)) {
        let (mut inside, mut outside) = ((0, 0), (0, 0));
        for &row in rows {
            let wrong = usize::from(given[row] != self.labels[row]);
            let side = if ranges.iter().all(|range| range.holds(self.rows.row(row))) {
                &mut inside
            } else {
                &mut outside
            };
            side.0 += 1;
            side.1 += wrong;
        }
        (inside, outside)
    }

    /// The worst groups of the first half by the gap to the rest, no smaller than allowed, with what the second says.
    fn found(&self, given: &[usize]) -> Vec<Found> {
        let columns = self.rows.row_len();
        let ranges: Vec<Range> = (0..columns).flat_map(|column| self.ranges(column)).collect();
        let mut groups: Vec<(f64, Vec<Range>)> = Vec::new();
        let mut consider = |ranges: Vec<Range>| -> Option<f64> {
            let (inside, outside) = self.count(&self.sought, given, &ranges);
            let least = (self.config.share * ratio(self.sought.len(), 1)).max(8.0);
            if ratio(inside.0, 1) < least || outside.0 == 0 {
                return None;
            }
            let gap = ratio(inside.1, inside.0) - ratio(outside.1, outside.0);
            if gap > 0.0 {
                groups.push((gap, ranges));
            }
            Some(gap)
        };
        let mut single: Vec<(f64, Range)> =
            ranges.iter().filter_map(|range| consider(vec![*range]).map(|gap| (gap, *range))).collect();
        single.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, first) in single.iter().take(8) {
            for second in ranges.iter().filter(|second| second.column != first.column) {
                consider(vec![*first, *second]);
            }
        }
        groups.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.len().cmp(&b.1.len())));
        groups.truncate(self.config.most);
        groups
            .into_iter()
            .map(|(_, ranges)| {
                let (inside, outside) = self.count(&self.counted, given, &ranges);
                Found { ranges, inside, outside }
            })
            .collect()
    }

    fn confirmed(&self, found: &Found, of: usize) -> bool {
        // The rest's own rate is known from few errors; half an error more is given to it.
        #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
        let rate = (found.outside.1 as f64 + 0.5) / (found.outside.0 as f64 + 1.0);
        let chance = at_least(found.inside.1, found.inside.0, rate);
        found.inside.0 > 0
            && chance < self.config.false_alarms / ratio(of.max(1), 1)
            && ratio(found.inside.1, found.inside.0) - rate >= self.config.worse_by
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn ratio(count: usize, of: usize) -> f64 {
    count as f64 / of.max(1) as f64
}

impl Inquiry for Groups {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let share = |value: f64| value > 0.0 && value < 1.0;
        if config.ranges < 2
            || config.most == 0
            || ![config.share, config.worse_by, config.false_alarms].into_iter().all(share)
        {
            return Err(wrong(
                ABOUT.name,
                "ranges must be at least 2, most at least 1, share, worse_by and false_alarms between 0 and 1",
            ));
        }
        if material.labels.is_empty() {
            return Err(needs(ABOUT.name, "the labels of the rows"));
        }
        if material.rows.shape().len() != 2 || material.rows.row_len() > 512 {
            return Err(needs(ABOUT.name, "rows of a table with at most 512 columns"));
        }
        if material.rows.rows() < 40 {
            return Err(needs(ABOUT.name, "at least forty labelled rows"));
        }
        let mut sought: Vec<usize> = (0..material.rows.rows()).collect();
        Random::new(seed).shuffle(&mut sought);
        let counted = sought.split_off(sought.len() / 2);
        Ok(Self { config, rows: material.rows, labels: material.labels, sought, counted, given: None })
    }

    fn ask(&mut self) -> Option<Ask> {
        self.given.is_none().then(|| Ask::Labels(self.rows.clone()))
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Labels(given) = answer else { return false };
        let fits = given.len() == self.labels.len();
        if fits {
            self.given = Some(given);
        }
        fits
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let n = self.labels.len();
        let given = self.given.as_deref().filter(|_| stopped.is_none());
        let found = given.map(|given| self.found(given)).unwrap_or_default();
        let confirmed: Vec<&Found> =
            found.iter().filter(|group| self.confirmed(group, found.len())).collect();
        let mut figures = Vec::new();
        if let Some(given) = given {
            let right = given.iter().zip(&self.labels).filter(|(given, label)| given == label).count();
            figures.push(Measure::share("rows read right", right, n));
        }
        for group in &confirmed {
            let words: Vec<String> = group.ranges.iter().map(Range::words).collect();
            let (rows, wrong) = group.inside;
            let name = format!("rows read right where {}", words.join(" and "));
            figures.push(Measure::share(name, rows - wrong, rows));
        }
        let rows = (0..n).map(|row| {
            let inside = confirmed
                .iter()
                .any(|group| group.ranges.iter().all(|range| range.holds(self.rows.row(row))));
            let state = match (stopped, given) {
                (Some(why), _) => why.state(),
                (None, None) => State::Error,
                (None, Some(given)) if inside && given[row] != self.labels[row] => State::Hit,
                (None, Some(_)) => State::Miss,
            };
            RowOutcome {
                before: Some(self.labels[row]),
                after: given.map(|given| given[row]),
                queries: 1,
                ..RowOutcome::without_result(row, state)
            }
        });
        let rows = rows.collect();
        let notes = vec![format!(
            "groups were sought on {} rows and are counted on {} others; of {} groups that looked worst {} stayed worse \
             by {:.0} points at a chance of {} over all",
            self.sought.len(),
            self.counted.len(),
            found.len(),
            confirmed.len(),
            self.config.worse_by * 100.0,
            self.config.false_alarms
        )];
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
