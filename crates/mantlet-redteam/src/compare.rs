//! Two runs of the battery side by side: what is new, what is fixed, what still works, what comes and goes.

use std::collections::BTreeMap;

use mantlet_attacks::{Interval, State, at_least, wilson};
use serde::{Deserialize, Serialize};

use crate::ProbeReport;

/// How one probe fared, from the earlier run to the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trend {
    /// More rows fall than chance explains, or the first ever does.
    Worse,
    /// Fewer rows fall than chance explains.
    Better,
    /// Rows differ, but no more than chance explains.
    Flaky,
    /// Every row ended as before.
    Same,
    /// Only one of the runs has the probe, or one of them did not examine it.
    NotComparable,
}

/// One probe, compared row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The attack's name.
    pub probe: String,
    /// Its configuration.
    pub config: serde_json::Value,
    /// The overall trend.
    pub trend: Trend,
    /// Rows (or classes) that held before and fall now.
    pub new: Vec<usize>,
    /// Rows that fell before and hold now.
    pub fixed: Vec<usize>,
    /// Rows that fell before and fall now.
    pub still: Vec<usize>,
    /// Rows that fell in some of the later runs and held in others.
    pub flaky: Vec<usize>,
    /// Rows that are undecided or errors in either run: nothing is said about them.
    pub unknown: usize,
    /// The chance of a difference at least this uneven if nothing had changed (exact McNemar test, two-sided).
    pub chance: f64,
    /// Share of hits before, with its interval.
    pub before: Interval,
    /// Share of hits in the later run.
    pub after: Interval,
    /// Why rows that hold are no good news: the first reason not to trust a figure of the later runs, or of the earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted: Option<String>,
    /// In plain words.
    pub sentence: String,
}

/// Below this chance a difference counts.
const CHANCE: f64 = 0.05;

/// Compares an earlier run with one or more later runs of the same battery. With several later runs, rows that do
/// not end the same in all of them are flaky, and the others are judged.
#[must_use]
pub fn compare(before: &[ProbeReport], after: &[Vec<ProbeReport>]) -> Vec<Comparison> {
    let Some(first) = after.first() else { return Vec::new() };
    let key = |report: &ProbeReport| (report.probe.clone(), report.config.to_string());
    let earlier: BTreeMap<_, _> = before.iter().map(|report| (key(report), report)).collect();
    let mut out: Vec<Comparison> = Vec::new();
    for report in first {
        let later: Vec<&ProbeReport> =
            after.iter().filter_map(|run| run.iter().find(|other| key(other) == key(report))).collect();
        out.push(match earlier.get(&key(report)) {
            Some(before) => one(before, &later),
            None => alone(report, "the earlier run does not have it"),
        });
    }
    for report in before {
        if !first.iter().any(|other| key(other) == key(report)) {
            out.push(alone(report, "the later run does not have it"));
        }
    }
    out
}

fn alone(report: &ProbeReport, why: &str) -> Comparison {
    Comparison {
        probe: report.probe.clone(),
        config: report.config.clone(),
        trend: Trend::NotComparable,
        new: Vec::new(),
        fixed: Vec::new(),
        still: Vec::new(),
        flaky: Vec::new(),
        unknown: report.n,
        chance: 1.0,
        before: wilson(0, 0),
        after: wilson(0, 0),
        doubted: None,
        sentence: format!("cannot be compared: {why}"),
    }
}

fn states(report: &ProbeReport) -> BTreeMap<usize, State> {
    let rows = report.outcome.iter().flat_map(|outcome| &outcome.rows);
    rows.map(|row| (row.row, row.state)).collect()
}

fn one(before: &ProbeReport, after: &[&ProbeReport]) -> Comparison {
    let Some(last) = after.last() else { return alone(before, "the later run does not have it") };
    if let Some(gap) = before.not_examined.as_ref().or(last.not_examined.as_ref()) {
        return alone(last, &gap.why);
    }
    let earlier = states(before);
    let later: Vec<_> = after.iter().map(|report| states(report)).collect();
    let mut found = Comparison { before: before.success, after: last.success, ..alone(last, "") };
    found.unknown = 0;
    for (&row, state) in &earlier {
        let now: Vec<State> =
            later.iter().map(|run| run.get(&row).copied().unwrap_or(State::Undecided)).collect();
        let decided = |state: &State| matches!(state, State::Hit | State::Miss);
        if !decided(state) || !now.iter().all(decided) {
            found.unknown += 1;
        } else if now.windows(2).any(|pair| pair[0] != pair[1]) {
            found.flaky.push(row);
        } else {
            match (state, now[0]) {
                (State::Miss, State::Hit) => found.new.push(row),
                (State::Hit, State::Miss) => found.fixed.push(row),
                (State::Hit, State::Hit) => found.still.push(row),
                _ => {}
            }
        }
    }
    found.unknown += later[0].keys().filter(|row| !earlier.contains_key(row)).count();
    let (new, fixed) = (found.new.len(), found.fixed.len());
    found.chance = (2.0 * at_least(new.max(fixed), new + fixed, 0.5)).min(1.0);
    let first_ever = before.counts.hit == 0 && new > 0;
    found.trend = if new + fixed == 0 {
        if found.flaky.is_empty() { Trend::Same } else { Trend::Flaky }
    } else if first_ever || (new > fixed && found.chance < CHANCE) {
        Trend::Worse
    } else if fixed > new && found.chance < CHANCE {
        Trend::Better
    } else {
        Trend::Flaky
    };
    let doubts = after.iter().flat_map(|report| &report.doubts).chain(&before.doubts);
    found.doubted = doubts.map(|doubt| doubt.message.clone()).next();
    found.sentence = sentence(&found, first_ever);
    if let Some(why) = &found.doubted {
        found.sentence += &format!(". This is not to be trusted, because {why}");
    }
    found
}

fn sentence(found: &Comparison, first_ever: bool) -> String {
    let rows = |rows: &[usize]| rows.len();
    let counts = format!(
        "{} new, {} fixed, {} still, {} flaky, {} unknown",
        rows(&found.new),
        rows(&found.fixed),
        rows(&found.still),
        rows(&found.flaky),
        found.unknown
    );
    let verdict = match found.trend {
        Trend::Worse if first_ever => "what never worked before works now".to_owned(),
        Trend::Worse => {
            format!("worse: chance explains so uneven a change in {:.2} % of cases", found.chance * 100.0)
        }
        Trend::Better => {
            format!("better: chance explains so uneven a change in {:.2} % of cases", found.chance * 100.0)
        }
        Trend::Flaky if found.new.is_empty() && found.fixed.is_empty() => {
            "some rows come and go between runs of the same battery".to_owned()
        }
        Trend::Flaky => format!(
            "no clear change: chance alone would be as uneven in {:.0} % of cases; attack more rows to tell",
            found.chance * 100.0
        ),
        Trend::Same => "every row that was decided ended as before".to_owned(),
        Trend::NotComparable => String::new(),
    };
    format!("{counts}; {verdict}")
}

#[cfg(test)]
mod tests {
    use mantlet_attacks::{Detail, Norm, Outcome, RowOutcome};

    use super::*;
    use crate::{Campaign, StateCounts, TargetFacts};

    fn run(states: &str) -> Vec<ProbeReport> {
        let rows: Vec<RowOutcome> = states
            .chars()
            .enumerate()
            .map(|(row, state)| {
                let state = match state {
                    'h' => State::Hit,
                    'm' => State::Miss,
                    'e' => State::Error,
                    _ => State::Undecided,
                };
                RowOutcome::without_result(row, state)
            })
            .collect();
        let outcome = Outcome {
            attack: "evasion-pgd".to_owned(),
            stopped: None,
            rows,
            detail: Detail::Evasion {
                gradients: true,
                norm: Norm::Linf,
                radius: 0.1,
                already_wrong: Vec::new(),
                vanished: 0.0,
                by_loss: Vec::new(),
                bounds: Vec::new(),
            },
        };
        struct Nothing;
        impl crate::Target for Nothing {
            fn describe(&self) -> TargetFacts {
                TargetFacts {
                    name: String::new(),
                    input_shape: vec![1],
                    classes: None,
                    score_kind: None,
                    scores: false,
                    no_gradient: None,
                    max_rows: 0,
                }
            }
            fn labels(&mut self, _: &mantlet_vocab::Tensor) -> Result<Vec<usize>, crate::TargetError> {
                Ok(Vec::new())
            }
            fn scores(
                &mut self,
                _: &mantlet_vocab::Tensor,
            ) -> Result<mantlet_vocab::Tensor, crate::TargetError> {
                Err(crate::TargetError::Unsupported { reason: String::new() })
            }
            fn gradient(
                &mut self,
                _: &mantlet_vocab::Tensor,
                _: &mantlet_attacks::Loss,
            ) -> Result<crate::GradientAnswer, crate::TargetError> {
                Err(crate::TargetError::Unsupported { reason: String::new() })
            }
        }
        let material =
            mantlet_attacks::Material::new(mantlet_vocab::Tensor::full([1, 1], 0.0), Vec::new(), 2);
        let gap = mantlet_vocab::Gap { what: String::new(), why: String::new(), remedy: String::new() };
        let mut report = Campaign::new("evasion-pgd", 1, material).skipped(&Nothing, gap);
        report.not_examined = None;
        report.take(outcome, |_| None);
        assert_ne!(report.counts, StateCounts::default());
        vec![report]
    }

    fn trend(before: &str, after: &[&str]) -> (Trend, Vec<usize>, Vec<usize>, Vec<usize>) {
        let after: Vec<_> = after.iter().map(|states| run(states)).collect();
        let found = compare(&run(before), &after).remove(0);
        (found.trend, found.new, found.fixed, found.flaky)
    }

    #[test]
    fn chance_is_told_from_change() {
        assert_eq!(trend("hmmm", &["hmmm"]).0, Trend::Same);
        // One more and one less of many is chance; eight more and none less is not.
        assert_eq!(trend("hhmmmmmm", &["hmhmmmmm"]), (Trend::Flaky, vec![2], vec![1], vec![]));
        assert_eq!(trend("hmmmmmmmmm", &["hhhhhhhhhm"]).0, Trend::Worse);
        assert_eq!(trend("hhhhhhhhhm", &["hmmmmmmmmm"]).0, Trend::Better);
        // Three more could be chance, unless the attack had never worked.
        assert_eq!(trend("hmmmmmmm", &["hhhhmmmm"]).0, Trend::Flaky);
        assert_eq!(trend("mmmmmmmm", &["mhmmmmmm"]).0, Trend::Worse);
    }

    #[test]
    fn errors_and_rows_that_come_and_go_are_no_change() {
        assert_eq!(trend("hhmm", &["eumm"]).0, Trend::Same);
        assert_eq!(trend("hmmm", &["hhmm", "hmmm"]), (Trend::Flaky, vec![], vec![], vec![1]));
        let found = compare(&run("hhmm"), &[run("eumm")]).remove(0);
        assert_eq!(found.unknown, 2);
        assert_eq!(compare(&run("h"), &[Vec::new()]).remove(0).trend, Trend::NotComparable);
    }
}
