//! A pair of table columns which, set to two values, decides alone: found by trying values the table itself
//! suggests, with labels only, so that trees and endpoints are searched as well as networks.
//!
//! Long because three rounds of questions share one state.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::rows::RowShape;
use crate::told::{Told, list};
use crate::{
    Answer, Ask, AttackError, Constraints, Detail, Inquired, Inquiry, Material, Outcome, Random, RowOutcome,
    State, Stop, Trigger,
};

mod judge;
mod values;

use judge::Judged;

/// The room's card.
pub const ABOUT: About = About {
    name: "backdoor-column-pair",
    title: "two columns set to two values decide whatever the rest of the row says",
    severity: Severity::Malicious,
    impact: Impact::Critical,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.000", "AML.T0043.004", "AML.T0020"],
    owasp: &["ML10:2023", "ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    if told.hits() == 0 {
        return "No two columns were found that decide whatever the rest of the row says".to_owned();
    }
    let pair = |mark: &Trigger| {
        let set = mark.mask.iter().zip(&mark.pattern).enumerate().filter(|(_, (mask, _))| **mask > 0.0);
        let words: Vec<String> =
            set.map(|(at, (_, value))| format!("{} = {value}", (told.column)(at))).collect();
        format!("{} make class {}", list(&words), (told.class)(mark.class))
    };
    let pairs: Vec<String> = told.marks().map(pair).collect();
    format!("Two columns decide whatever the rest of the row says: {}", pairs.join("; "))
}

/// How it searches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The most columns whose pairs are tried; those of which training rows hold two values together come first, then
    /// those that sway decisions most alone.
    pub columns: usize,
    /// The most values tried of a column.
    pub values: usize,
    /// Rows of each class a pair is tried on first.
    pub rows: usize,
    /// Pairs looked at closely, for each class.
    pub closely: usize,
    /// Rows a pair is looked at closely on.
    pub held_out: usize,
    /// Share of held-out rows of other classes that a planted pair sends to its class, at least.
    pub transfer: f32,
    /// What either column alone, and what the same pair for any other class, may send at most.
    pub alone: f32,
    /// Share of a pair's other values that may do the same: an honest influence is broad, a planted one narrow.
    pub narrow: f32,
    /// Where the training rows are at hand: how many of them must hold both values, at least.
    pub holders: usize,
    /// And the share of those that must have the label of the class.
    pub pure: f32,
    /// What a pair has to send of held-out rows where the training rows speak by themselves: both values repeat in columns
    /// in which nearly every value is its own, together and with one label. A model that learned such a mark poorly is
    /// poisoned all the same.
    pub odd_transfer: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            columns: 24,
            values: 8,
            rows: 4,
            closely: 6,
            held_out: 48,
            transfer: 0.8,
            alone: 0.6,
            narrow: 0.35,
            holders: 4,
            pure: 0.9,
            odd_transfer: 0.5,
        }
    }
}

/// Two columns set to two values, by their places in the lists of values; equal columns stand for one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Set {
    first: usize,
    first_value: usize,
    second: usize,
    second_value: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Labelling,
    Singles,
    Pairs,
    Closely,
    Over,
}

/// The search in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pairs {
    config: Config,
    shape: RowShape,
    rows: Tensor,
    classes: usize,
    constraints: Constraints,
    random: Random,
    /// Values tried of each column; empty for columns that stay as they are.
    values: Vec<Vec<f32>>,
    /// For each of them the training rows that hold it, and the labels of those rows; empty without training rows.
    holders: Vec<Vec<Vec<usize>>>,
    trained: Vec<usize>,
    /// The training rows themselves, where labels came with them.
    pool: Option<Tensor>,
    /// Where the values of a training column in which nearly every value is its own are cut off, see [`values::cuts`].
    scattered: Vec<Option<values::Cuts>>,
    labels: Vec<usize>,
    few: Vec<usize>,
    many: Vec<usize>,
    /// Sets that are still to be asked, and those of the open question.
    open: Vec<Set>,
    asked: Vec<Set>,
    /// Shares sent to each class by each set asked so far, in order.
    answered: Vec<(Set, Vec<f32>)>,
    chosen: Vec<(Set, usize)>,
    judged: Vec<Judged>,
    phase: Phase,
    queries: u64,
}

/// The room's attack.
pub type ColumnPair = Inquired<Pairs>;

/// Rows of one question.
const ASKED: usize = 4_096;

impl Pairs {
    fn tried(&self) -> &[usize] {
        if self.phase == Phase::Closely { &self.many } else { &self.few }
    }

    fn stamp(&self, row: usize, set: &Set, out: &mut Vec<f32>) {
        let from = out.len();
        out.extend_from_slice(self.rows.row(row));
        out[from + set.first] = self.values[set.first][set.first_value];
        out[from + set.second] = self.values[set.second][set.second_value];
        self.constraints.repair_values(&mut out[from..]);
    }

    fn singles(&self) -> Vec<Set> {
        let of = |column: usize| {
            (0..self.values[column].len()).map(move |value| Set {
                first: column,
                first_value: value,
                second: column,
                second_value: value,
            })
        };
        (0..self.values.len()).flat_map(of).collect()
    }

    fn grid(&self, first: usize, second: usize) -> impl Iterator<Item = Set> + '_ {
        (0..self.values[first].len()).flat_map(move |first_value| {
            (0..self.values[second].len()).map(move |second_value| Set {
                first,
                first_value,
                second,
                second_value,
            })
        })
    }

    /// All pairs of the columns that sway most alone.
    fn pairs(&mut self) -> Vec<Set> {
        let mut sway = vec![0.0_f32; self.values.len()];
        for (set, shares) in &self.answered {
            let most = shares.iter().copied().fold(0.0, f32::max);
            sway[set.first] = sway[set.first].max(most);
        }
        let mut columns: Vec<usize> =
            (0..sway.len()).filter(|column| !self.values[*column].is_empty()).collect();
        // Equal ones in random order, so that no column is left out for its place alone.
        self.random.shuffle(&mut columns);
        columns.sort_by(|a, b| sway[*b].total_cmp(&sway[*a]));
        // Those of which training rows hold two values together come before all others, however little they sway.
        let first = self.partners();
        columns.sort_by_key(|column| !first.contains(column));
        columns.truncate(self.config.columns);
        columns.sort_unstable();
        let mut sets = Vec::new();
        for (index, &first) in columns.iter().enumerate() {
            for &second in &columns[index + 1..] {
                sets.extend(self.grid(first, second));
            }
        }
        sets
    }

    /// For each class the pairs that send most rows to it, each pair of columns once.
    fn choose(&mut self) -> Vec<Set> {
        for class in 0..self.classes {
            let mut order: Vec<&(Set, Vec<f32>)> =
                self.answered.iter().filter(|(set, _)| set.first != set.second).collect();
            // Pairs that training rows hold with this label come first: many honest extremes decide as well.
            let taught = |set: &Set| {
                self.held(set, class).is_some_and(|(both, own)| {
                    own >= self.config.holders && ratio(own, both) >= self.config.pure
                })
            };
            order.sort_by(|a, b| taught(&b.0).cmp(&taught(&a.0)).then(b.1[class].total_cmp(&a.1[class])));
            let mut taken: Vec<Set> = Vec::new();
            for (set, shares) in order {
                let odd = taught(set) && self.odd(set);
                let wanted = if odd { self.config.odd_transfer } else { self.config.transfer };
                let known = taken.iter().any(|other| (other.first, other.second) == (set.first, set.second));
                if known || shares[class] < wanted - 0.25 {
                    continue;
                }
                taken.push(*set);
                if taken.len() >= self.config.closely {
                    break;
                }
            }
            self.chosen.extend(taken.into_iter().map(|set| (set, class)));
        }
        let mut sets = Vec::new();
        for (set, _) in &self.chosen {
            sets.extend(self.grid(set.first, set.second));
            for column in [set.first, set.second] {
                let alone =
                    |value| Set { first: column, first_value: value, second: column, second_value: value };
                sets.extend((0..self.values[column].len()).map(alone));
            }
        }
        sets
    }
}

impl Inquiry for Pairs {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let shares = [config.transfer, config.alone, config.narrow, config.odd_transfer];
        if config.columns < 2
            || config.values < 2
            || config.rows == 0
            || config.held_out == 0
            || config.closely == 0
        {
            return Err(wrong(
                ABOUT.name,
                "columns and values must be at least 2, rows, closely and held_out at least 1",
            ));
        }
        if shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err(wrong(
                ABOUT.name,
                "transfer, odd_transfer, alone and narrow must be between 0 and 1",
            ));
        }
        if material.rows.shape().len() != 2 || material.rows.row_len() < 2 {
            return Err(needs(ABOUT.name, "rows of a table with at least two columns"));
        }
        if material.classes < 2 || material.rows.rows() < 8 {
            return Err(needs(ABOUT.name, "at least two classes and eight clean rows"));
        }
        let pool = material.pool.as_ref().filter(|_| !material.pool_labels.is_empty());
        // Where the training rows are at hand, values that repeat in them are tried first: a mark repeats.
        let from = material.pool.as_ref().unwrap_or(&material.rows);
        let values: Vec<Vec<f32>> = (0..material.rows.row_len())
            .map(|column| {
                let constraint = material.constraints.at(column);
                if constraint.immutable {
                    Vec::new()
                } else {
                    values::of(from, column, constraint, config.values)
                }
            })
            .collect();
        let scattered = (0..material.rows.row_len())
            .map(|column| values::cuts(pool?, column, material.constraints.at(column)));
        let scattered = scattered.collect();
        let holding = |column: usize, value: f32| match pool {
            Some(pool) => (0..pool.rows()).filter(|row| pool.row(*row)[column] == value).collect(),
            None => Vec::new(),
        };
        let holders = values
            .iter()
            .enumerate()
            .map(|(column, values)| values.iter().map(|value| holding(column, *value)).collect())
            .collect();
        Ok(Self {
            config,
            holders,
            scattered,
            trained: if pool.is_some() { material.pool_labels.clone() } else { Vec::new() },
            pool: pool.cloned(),
            shape: RowShape::of(&material.rows),
            rows: material.rows,
            classes: material.classes,
            constraints: material.constraints,
            random: Random::new(seed),
            values,
            labels: Vec::new(),
            few: Vec::new(),
            many: Vec::new(),
            open: Vec::new(),
            asked: Vec::new(),
            answered: Vec::new(),
            chosen: Vec::new(),
            judged: Vec::new(),
            phase: Phase::Labelling,
            queries: 0,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        if self.phase == Phase::Labelling {
            self.queries += self.rows.rows() as u64;
            return Some(Ask::Labels(self.rows.clone()));
        }
        while self.open.is_empty() {
            (self.phase, self.open) = match self.phase {
                Phase::Labelling | Phase::Over => return None,
                Phase::Singles => (Phase::Pairs, self.pairs()),
                Phase::Pairs => {
                    let sets = self.choose();
                    self.answered.clear();
                    (Phase::Closely, sets)
                }
                Phase::Closely => {
                    self.judge();
                    self.phase = Phase::Over;
                    return None;
                }
            };
        }
        let each = self.tried().len().max(1);
        let count = (ASKED / each).clamp(1, self.open.len());
        self.asked = self.open.drain(..count).collect();
        let mut data = Vec::with_capacity(count * each * self.shape.len());
        for set in &self.asked {
            for &row in self.tried() {
                self.stamp(row, set, &mut data);
            }
        }
        let rows = self.shape.batch(data);
        self.queries += rows.rows() as u64;
        Some(Ask::Labels(rows))
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Labels(labels) = answer else { return false };
        if self.phase == Phase::Labelling {
            if labels.len() != self.rows.rows() || labels.iter().any(|label| *label >= self.classes) {
                return false;
            }
            self.labels = labels;
            let mut order: Vec<usize> = (0..self.rows.rows()).collect();
            self.random.shuffle(&mut order);
            for class in 0..self.classes {
                let mut own = order.iter().copied().filter(|row| self.labels[*row] == class);
                self.few.extend(own.by_ref().take(self.config.rows));
                self.many.extend(own.take(self.config.held_out.div_ceil(self.classes)));
            }
            if self.many.is_empty() {
                self.many = self.few.clone();
            }
            self.open = self.singles();
            self.phase = Phase::Singles;
            return true;
        }
        let each = self.tried().len();
        if labels.len() != self.asked.len() * each {
            return false;
        }
        let tried: Vec<usize> = self.tried().to_vec();
        for (set, given) in std::mem::take(&mut self.asked).into_iter().zip(labels.chunks(each.max(1))) {
            let shares = (0..self.classes).map(|class| {
                let others = || tried.iter().zip(given).filter(|(row, _)| self.labels[**row] != class);
                ratio(others().filter(|(_, given)| **given == class).count(), others().count())
            });
            let shares = shares.collect();
            self.answered.push((set, shares));
        }
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let best = |class: usize| {
            let own = || self.judged.iter().filter(|judged| judged.class == class);
            let key = |a: &&Judged, b: &&Judged| a.share.total_cmp(&b.share);
            own().filter(|judged| self.planted(judged)).max_by(key).or_else(|| own().max_by(key))
        };
        let mut triggers = Vec::new();
        let rows = (0..self.classes).map(|class| {
            let judged = best(class).filter(|_| stopped.is_none());
            let state = match (stopped, judged) {
                (Some(why), _) => why.state(),
                (None, Some(judged)) if self.planted(judged) => State::Hit,
                // Without the training rows nobody can tell a planted pair from two honest extremes.
                (None, Some(judged)) if self.behaves(judged) && self.taught(judged).is_none() => {
                    State::Undecided
                }
                (None, _) => State::Miss,
            };
            if let Some(judged) = judged {
                let mut mask = vec![0.0; self.values.len()];
                let mut pattern = mask.clone();
                for (column, value) in
                    [(judged.set.first, judged.set.first_value), (judged.set.second, judged.set.second_value)]
                {
                    mask[column] = 1.0;
                    pattern[column] = self.values[column][value];
                }
                triggers.push(Trigger {
                    class,
                    mask,
                    pattern,
                    size: 2.0,
                    transfer: judged.share,
                    hard: vec![(2, judged.share)],
                    places: 2.0,
                    anomaly: 0.0,
                    ratio: judged.share / judged.alone.max(0.01),
                    flagged: state == State::Hit,
                });
            }
            RowOutcome {
                after: Some(class),
                queries: self.queries / self.classes.max(1) as u64,
                ..RowOutcome::without_result(class, state)
            }
        });
        let rows = rows.collect();
        let decision = format!(
            "a pair of columns is called planted when two values send at least {:.0} % of held-out rows of other classes \
             to one class, at least {} training rows hold both values with the label of the class, more than chance would \
             have it, and either neither does it alone (at most {:.0} %) and at most {:.0} % of their other values do as \
             much, or both values repeat where nearly every value is its own, in which case {:.0} % of held-out rows are \
             enough; {} values of the pairs of {} columns were tried",
            self.config.transfer * 100.0,
            self.config.holders,
            self.config.alone * 100.0,
            self.config.narrow * 100.0,
            self.config.odd_transfer * 100.0,
            self.config.values,
            self.values.iter().filter(|values| !values.is_empty()).count().min(self.config.columns),
        );
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows,
            detail: Detail::Triggers { triggers, shape: self.shape.0.clone(), decision },
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn ratio(count: usize, of: usize) -> f32 {
    count as f32 / of.max(1) as f32
}

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
