//! What a probe says when it is over.
//!
//! Long because what is said of a probe is read off all kinds of outcomes.

use std::collections::BTreeMap;

use mantlet_attacks::extraction::COPIED;
use mantlet_attacks::{
    Detail, Goal, Interval, Measure, Method, Outcome, RocPoint, State, Stop, Told, Unit, tell, wilson,
};
use mantlet_vocab::Gap;
use serde::{Deserialize, Serialize};

use crate::{Budget, CurvePoint, Doubt, TargetFacts};

/// How many rows ended in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StateCounts {
    /// The attack worked.
    pub hit: usize,
    /// It did not.
    pub miss: usize,
    /// Answers could not be used.
    pub error: usize,
    /// It did not run to its end.
    pub undecided: usize,
}

/// A named figure with n and interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is, in plain words.
    pub name: String,
    /// The value and its 95 % interval (both ends equal the value where none applies).
    pub value: Interval,
    /// Over how many rows.
    pub n: usize,
    /// What it is in.
    #[serde(default)]
    pub unit: Unit,
    /// How the interval was found; `None` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

impl Figure {
    /// A share of `n` rows with Wilson's interval.
    #[must_use]
    pub fn share(name: impl Into<String>, value: Interval, n: usize) -> Self {
        Self { name: name.into(), value, n, unit: Unit::Share, method: Some(Method::Wilson) }
    }

    /// A number without an interval.
    #[must_use]
    pub fn plain(name: impl Into<String>, value: f64, n: usize) -> Self {
        Measure::plain(name, value, n).into()
    }

    /// In this unit.
    #[must_use]
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// With an interval found in this way.
    #[must_use]
    pub const fn by(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// The value with its interval, in its unit.
    #[must_use]
    pub fn words(&self) -> String {
        let Interval { value, low, high } = self.value;
        let one = |value: f64| match self.unit {
            Unit::Share => format!("{:.1} %", value * 100.0),
            Unit::Count => format!("{value:.0}"),
            Unit::Plain => format!("{value:.4}"),
        };
        match self.method {
            Some(method) if low < high => {
                format!("{} [{}, {}] ({})", one(value), one(low), one(high), method.word())
            }
            _ => one(value),
        }
    }
}

impl From<Measure> for Figure {
    fn from(Measure { name, value, n, unit, method }: Measure) -> Self {
        Self { name, value, n, unit, method }
    }
}

/// A clean row beside its changed row, for pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Index in the material.
    pub row: usize,
    /// Shape of one row.
    pub shape: Vec<usize>,
    /// The clean row.
    pub clean: Vec<f32>,
    /// The changed row.
    pub changed: Vec<f32>,
    /// The class before.
    pub before: Option<usize>,
    /// The class after.
    pub after: Option<usize>,
    /// Euclidean distance.
    pub l2: f32,
    /// Largest single change.
    pub linf: f32,
}

/// A reconstructed trigger, for pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerPicture {
    /// The class.
    pub class: usize,
    /// Shape of one row.
    pub shape: Vec<usize>,
    /// Mask, 0 to 1.
    pub mask: Vec<f32>,
    /// Pattern.
    pub pattern: Vec<f32>,
    /// Sum of the mask.
    pub size: f32,
    /// Share of held-out rows it sends to the class.
    pub transfer: f32,
    /// How suspect.
    pub anomaly: f32,
    /// Whether it is called a backdoor.
    pub flagged: bool,
}

/// One probe's result: everything a report prints about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// The attack's name.
    pub probe: String,
    /// The attack's title.
    pub title: String,
    /// What was attacked.
    pub target: TargetFacts,
    /// The seed.
    pub seed: u64,
    /// The attack's configuration.
    pub config: serde_json::Value,
    /// Rows attacked (classes for trigger reconstruction).
    pub n: usize,
    /// By state.
    pub counts: StateCounts,
    /// Share of hits among decided rows, with Wilson's interval.
    pub success: Interval,
    /// What it might spend; `None` in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Rows asked of the target, refused ones included.
    pub queries: u64,
    /// Rows asked when the first hit was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_hit_query: Option<u64>,
    /// Batches refused by the target.
    pub refusals: u64,
    /// Batches that failed.
    pub failures: u64,
    /// Milliseconds by the campaign's clock.
    pub millis: u64,
    /// Why it ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
    /// The figures, most telling first.
    pub figures: Vec<Figure>,
    /// Clean and changed rows of hits, at most [`ProbeReport::EXAMPLES`].
    pub examples: Vec<Example>,
    /// Reconstructed triggers, one a class.
    pub triggers: Vec<TriggerPicture>,
    /// Fidelity over queries.
    pub curve: Vec<CurvePoint>,
    /// The membership curve.
    pub roc: Vec<RocPoint>,
    /// Reasons not to trust the figures.
    pub doubts: Vec<Doubt>,
    /// Remarks a reader needs, such as "a lower bound".
    pub notes: Vec<String>,
    /// Set when the probe could not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_examined: Option<Gap>,
    /// The command that reproduces it, filled in by the command line.
    pub command: String,
    /// The raw outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Further facts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, serde_json::Value>,
}

impl ProbeReport {
    /// The most example pairs kept.
    pub const EXAMPLES: usize = 12;

    /// The classes called backdoored.
    #[must_use]
    pub fn backdoored(&self) -> Vec<usize> {
        self.triggers.iter().filter(|trigger| trigger.flagged).map(|trigger| trigger.class).collect()
    }

    /// What it showed, in the words of the attack's own room, with its classes and columns in the caller's words; and
    /// whether that is to be trusted.
    #[must_use]
    pub fn sentence(&self, class: &dyn Fn(usize) -> String, column: &dyn Fn(usize) -> String) -> String {
        if let Some(gap) = &self.not_examined {
            return format!("Not examined: {}.", gap.why);
        }
        let Some(outcome) = &self.outcome else { return "Not examined: it has no outcome.".to_owned() };
        let copies: Vec<(usize, f64)> =
            self.curve.iter().map(|point| (point.queries, point.fidelity.value)).collect();
        let goal = self.facts.get("goal").and_then(|goal| serde_json::from_value(goal.clone()).ok());
        let goal = goal.unwrap_or(Goal::Leave);
        let mut text = tell(&Told { outcome, goal, copies: &copies, class, column });
        for doubt in &self.doubts {
            text += &format!(" This is not to be trusted, because {}.", doubt.message);
        }
        text
    }

    /// Whether the attack worked: rows were hit, or, where hits are answers or guesses, a copy agrees or members are told
    /// better than by chance.
    #[must_use]
    pub fn worked(&self) -> bool {
        let detail = self.outcome.as_ref().map(|outcome| &outcome.detail);
        self.not_examined.is_none()
            && self.counts.hit > 0
            && match detail {
                Some(Detail::Membership { auc, tpr_at_1, tpr_at_01, .. }) => {
                    auc.low > 0.5 || tpr_at_1.low > 0.01 || tpr_at_01.low > 0.001
                }
                _ if !self.curve.is_empty() => self.curve.iter().any(|point| point.fidelity.value >= COPIED),
                _ => true,
            }
    }

    /// Whether something was left undecided, failed or not examined.
    #[must_use]
    pub const fn incomplete(&self) -> bool {
        self.not_examined.is_some() || self.counts.error > 0 || self.counts.undecided > 0
    }

    pub(crate) fn take(&mut self, outcome: Outcome, clean: impl Fn(usize) -> Option<Vec<f32>>) {
        self.counts = StateCounts {
            hit: outcome.count(State::Hit),
            miss: outcome.count(State::Miss),
            error: outcome.count(State::Error),
            undecided: outcome.count(State::Undecided),
        };
        self.n = outcome.rows.len();
        let decided = self.counts.hit + self.counts.miss;
        self.success = wilson(self.counts.hit, decided);
        self.stopped = outcome.stopped;
        figures(self, &outcome, decided);
        for row in outcome.rows.iter().filter(|row| row.state == State::Hit).take(Self::EXAMPLES) {
            let (Some(clean), Some(changed), Some(distances)) =
                (clean(row.row), row.changed.clone(), row.distances)
            else {
                continue;
            };
            self.examples.push(Example {
                row: row.row,
                shape: self.target.input_shape.clone(),
                clean,
                changed,
                before: row.before,
                after: row.after,
                l2: distances.l2,
                linf: distances.linf,
            });
        }
        self.outcome = Some(outcome);
    }
}

fn median(mut values: Vec<f32>) -> Option<f64> {
    values.sort_by(f32::total_cmp);
    let middle = values.len() / 2;
    let upper = f64::from(*values.get(middle)?);
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(f64::from(values[middle - 1]), upper) })
}

fn figures(report: &mut ProbeReport, outcome: &Outcome, decided: usize) {
    match &outcome.detail {
        Detail::Evasion { already_wrong, vanished, by_loss, norm, radius, bounds, .. } => {
            report.figures.push(Figure::share("rows evaded", report.success, decided));
            let hits = || outcome.rows.iter().filter(|row| row.state == State::Hit);
            let reached = || outcome.rows.iter().filter(|row| row.changed.is_some());
            let l2 = reached().filter_map(|row| row.distances).map(|d| d.l2).collect();
            let linf = hits().filter_map(|row| row.distances).map(|d| d.linf).collect();
            for (name, values) in [("median L2 of changed rows", l2), ("median Linf of hits", linf)] {
                let n = Vec::len(&values);
                if let Some(value) = median(values) {
                    report.figures.push(Figure::plain(name, value, n));
                }
            }
            if let Some(value) = median(bounds.iter().map(|(_, bound)| *bound).collect()) {
                let name = "median distance below which nothing turns a row, proved";
                report.figures.push(Figure::plain(name, value, bounds.len()));
                report.facts.insert("proved-bounds".to_owned(), serde_json::json!(bounds));
            }
            report.facts.insert("norm".to_owned(), serde_json::json!(norm));
            report.facts.insert("radius".to_owned(), (*radius).into());
            report.facts.insert("already-wrong".to_owned(), already_wrong.len().into());
            report.facts.insert("gradients-vanished".to_owned(), (*vanished).into());
            report.facts.insert("hits-by-loss".to_owned(), serde_json::json!(by_loss));
        }
        Detail::Extraction { rows, recognised, .. } => {
            report
                .figures
                .push(Figure::plain("rows gathered", count(rows.rows()), rows.rows()).unit(Unit::Count));
            report.facts.insert("recognised-as".to_owned(), recognised.clone().into());
        }
        Detail::Membership {
            members,
            non_members,
            auc,
            tpr_at_1,
            tpr_at_01,
            epsilon,
            at_risk,
            roc,
            score,
        } => {
            report.figures.push(
                Figure {
                    value: *auc,
                    ..Figure::plain("area under the curve", auc.value, members + non_members)
                }
                .by(Method::HanleyMcNeil),
            );
            for (name, value) in [
                ("members exposed at 1 % false alarms", tpr_at_1),
                ("members exposed at 0.1 % false alarms", tpr_at_01),
            ] {
                report.figures.push(Figure::share(name, *value, *members));
            }
            if let Some(bound) = epsilon {
                let name = "epsilon of differential privacy, at least";
                let value = Interval { value: bound.value, low: bound.low, high: bound.value };
                report.figures.push(
                    Figure { value, ..Figure::plain(name, bound.value, members + non_members) }
                        .by(Method::ClopperPearson),
                );
            }
            report.roc = roc.clone();
            report.facts.insert("score".to_owned(), score.clone().into());
            report.facts.insert("members-at-risk".to_owned(), serde_json::json!(at_risk));
            if *non_members < 1_000 {
                report.notes.push(format!(
                    "with {non_members} non-members a false-alarm rate of 0.1 % is not a whole row: that figure \
                     means no false alarm at all"
                ));
            }
            if outcome.attack == "membership-threshold" {
                report.notes.push(
                    "a threshold on the model's own scores is the weakest attack of its kind: these figures are a \
                     lower bound of what leaks"
                        .to_owned(),
                );
            }
        }
        Detail::Measured { figures, notes } => {
            report.figures.extend(figures.iter().cloned().map(Figure::from));
            report.notes.extend(notes.iter().cloned());
        }
        Detail::Rows { share, decision } => {
            report.figures.push(Figure::share("rows singled out", *share, decided));
            let rows = outcome.rows.iter().filter(|row| row.state == State::Hit).map(|row| row.row);
            report.facts.insert("rows".to_owned(), rows.collect::<Vec<_>>().into());
            report.notes.push(decision.clone());
        }
        Detail::Triggers { triggers, shape, decision } => {
            if outcome.attack == "backdoor-poisoned-rows" {
                let rows = outcome.rows.iter().filter(|row| row.state == State::Hit).map(|row| row.row);
                let rows: Vec<usize> = rows.collect();
                let name = "rows that owe their label to the mark";
                report.figures.push(Figure::share(name, report.success, decided));
                report.facts.insert("rows".to_owned(), rows.into());
            }
            report.triggers = triggers
                .iter()
                .map(|trigger| TriggerPicture {
                    class: trigger.class,
                    shape: shape.clone(),
                    mask: trigger.mask.clone(),
                    pattern: trigger.pattern.clone(),
                    size: trigger.size,
                    transfer: trigger.transfer,
                    anomaly: trigger.anomaly,
                    flagged: trigger.flagged,
                })
                .collect();
            let drawn = outcome.attack == "privacy-inversion";
            for trigger in triggers {
                let what =
                    if drawn { "likeness of what was drawn to class" } else { "trigger size of class" };
                report.figures.push(Figure::plain(
                    format!("{what} {}", trigger.class),
                    f64::from(trigger.size),
                    1,
                ));
            }
            report.notes.push(decision.clone());
        }
    }
}

fn count(value: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    {
        value as f64
    }
}
