//! From what was found to what the report shows.

use mantlet_redteam::{Example, ProbeReport};
use mantlet_report::svg::Raster;
use mantlet_report::{
    Agreement, Basis, EvasionGrid, EvasionItem, ExtractionCurve, Field, Figure, Input, Interval,
    MembershipRoc, Outcome, ProbeRow, RecoveredTrigger, SystemReport, Tone, TriggerPanel, Unit,
};
use mantlet_vocab::About;
use mantlet_worker::battery::{Probe, Results};

use super::subject::Subject;
use crate::commands::explain;

/// Adds everything the battery showed about one version.
pub fn add_probes(report: &mut SystemReport, version: &str, results: &Results, subject: Option<&Subject>) {
    for probe in &results.probes {
        let shown = Shown { version, probe, subject };
        report.probes.push(shown.row());
        if let Some(gap) = &probe.report.not_examined {
            report.gaps.push(gap.clone());
            continue;
        }
        report.evasion.extend(shown.evasion());
        report.triggers.extend(shown.triggers());
        report.extraction.extend(shown.extraction());
        report.membership.extend(shown.membership());
    }
    for doubt in &results.doubts {
        report
            .verdict
            .sentences
            .push(format!("Not to be trusted ({version}, {}): {}.", doubt.probe, doubt.message));
    }
}

/// The class of this index in words.
pub fn class_name(subject: Option<&Subject>, class: Option<usize>) -> String {
    match (class, subject) {
        (None, _) => "?".to_owned(),
        (Some(class), Some(subject)) => {
            subject.classes.get(class).cloned().unwrap_or_else(|| class.to_string())
        }
        (Some(class), None) => class.to_string(),
    }
}

/// What an attack showed, as one sentence.
pub fn sentence(probe: &Probe, subject: Option<&Subject>) -> String {
    Shown { version: "", probe, subject }.sentence()
}

/// The room of an attack.
pub fn about(probe: &str) -> Option<&'static About> {
    explain::rooms().into_iter().find(|about| about.name == probe)
}

struct Shown<'a> {
    version: &'a str,
    probe: &'a Probe,
    subject: Option<&'a Subject>,
}

impl Shown<'_> {
    fn report(&self) -> &ProbeReport {
        &self.probe.report
    }

    fn basis(&self, of: &str) -> Basis {
        let report = self.report();
        Basis {
            n: report.n as u64,
            of: of.to_owned(),
            seeds: vec![report.seed],
            command: report.command.clone(),
            note: report.notes.first().cloned(),
        }
    }

    fn row(&self) -> ProbeRow {
        let report = self.report();
        let outcome = if report.not_examined.is_some() {
            Outcome::NotExamined
        } else if report.counts.hit > 0 {
            Outcome::Hit
        } else if report.counts.error > 0 {
            Outcome::Error
        } else if report.counts.undecided > 0 {
            Outcome::Undecided
        } else {
            Outcome::Miss
        };
        let backdoor = report.probe.starts_with("backdoor");
        let tone = match outcome {
            Outcome::Hit if backdoor => Tone::Bad,
            Outcome::Hit | Outcome::Undecided | Outcome::Error | Outcome::NotExamined => Tone::Warning,
            Outcome::Miss => Tone::Good,
        };
        let figures = report.figures.iter().filter(|figure| !figure.name.starts_with("trigger size"));
        ProbeRow {
            name: report.probe.clone(),
            title: report.title.clone(),
            model: self.version.to_owned(),
            outcome,
            tone,
            sentence: self.sentence(),
            figures: figures.map(|figure| self.figure(figure)).collect(),
            gap: report.not_examined.clone(),
            ids: about(&report.probe)
                .map(|about| about.atlas.iter().chain(about.owasp).map(|id| (*id).to_owned()).collect())
                .unwrap_or_default(),
        }
    }

    fn sentence(&self) -> String {
        let report = self.report();
        let counts = report.counts;
        if let Some(gap) = &report.not_examined {
            return format!("Not examined: {}.", gap.why);
        }
        match report.probe.as_str() {
            "backdoor-trigger" => match report.backdoored().as_slice() {
                [] => "No small mark was found that sends inputs of every kind to one class.".to_owned(),
                classes => {
                    let names: Vec<String> =
                        classes.iter().map(|&c| class_name(self.subject, Some(c))).collect();
                    format!("A small mark turns inputs of every kind into class {}.", names.join(", "))
                }
            },
            "extraction-query-copy" | "extraction-active" => match report
                .curve
                .iter()
                .find(|point| point.fidelity.value >= 0.8)
            {
                Some(point) => {
                    format!("A thief's copy agrees with the model on 80 % after {} queries.", point.queries)
                }
                None => "No copy reached 80 % agreement within the queries spent.".to_owned(),
            },
            "membership-threshold" => {
                "How well a stranger tells training rows from others; a lower bound.".to_owned()
            }
            name if name.starts_with("membership") => {
                format!("{} training rows are told from rows the model never saw.", counts.hit)
            }
            "extraction-transfer" => {
                format!("{} of {} rows changed on a stolen copy deceive the original.", counts.hit, report.n)
            }
            "extraction-linear" if counts.hit > 0 => {
                "The model's weights can be read off its scores.".to_owned()
            }
            "extraction-linear" => {
                "The model is not one whose weights can be read off its scores.".to_owned()
            }
            "backdoor-poisoned-rows" => {
                format!("{} training rows owe their label to a planted mark.", counts.hit)
            }
            "backdoor-stubborn-rows" => {
                format!("{} training rows keep their class whatever they are blended with.", counts.hit)
            }
            _ => {
                let norm = report.facts.get("norm").and_then(|norm| norm.as_str()).unwrap_or("").to_owned();
                let radius = report.facts.get("radius").and_then(serde_json::Value::as_f64).unwrap_or(0.0);
                format!(
                    "{} of {} rows changed class within {radius:.3} ({norm}), {} undecided.",
                    counts.hit,
                    counts.hit + counts.miss + counts.undecided + counts.error,
                    counts.undecided
                )
            }
        }
    }

    fn figure(&self, figure: &mantlet_redteam::Figure) -> Figure {
        let share = figure.name.contains("evaded") || figure.name.contains("exposed");
        let spread = figure.value.low < figure.value.high;
        Figure {
            name: figure.name.clone(),
            value: figure.value.value,
            unit: if share {
                Unit::Share
            } else if figure.name.contains("gathered") {
                Unit::Count
            } else {
                Unit::Plain
            },
            interval: spread.then(|| Interval {
                low: figure.value.low,
                high: figure.value.high,
                level: 0.95,
                method: if share { "Wilson" } else { "Hanley-McNeil" }.to_owned(),
            }),
            basis: Basis { n: figure.n as u64, ..self.basis("rows") },
        }
    }

    fn evasion(&self) -> Option<EvasionGrid> {
        let report = self.report();
        if !report.probe.starts_with("evasion") || report.examples.is_empty() {
            return None;
        }
        let truth = |example: &Example| {
            let rows = self.subject.map(|subject| subject.ground.held_out_or_train());
            class_name(self.subject, rows.and_then(|rows| rows.y.get(example.row).copied()))
        };
        let items = report.examples.iter().map(|example| EvasionItem {
            truth: truth(example),
            before: (class_name(self.subject, example.before), None),
            after: (class_name(self.subject, example.after), None),
            clean: self.input(&example.clean, &example.shape),
            perturbed: self.input(&example.changed, &example.shape),
        });
        Some(EvasionGrid {
            model: self.version.to_owned(),
            title: format!("{}: {}", self.version, report.title),
            sentence: self.sentence(),
            items: items.collect(),
            basis: self.basis("rows attacked"),
        })
    }

    fn input(&self, row: &[f32], shape: &[usize]) -> Input {
        match picture(row, shape, 0.0, 1.0) {
            Some(raster) => Input::Picture(raster),
            None => {
                let names = self.subject.map(|subject| subject.features.as_slice()).unwrap_or_default();
                let name =
                    |index: usize| names.get(index).cloned().unwrap_or_else(|| format!("value {index}"));
                let fields = row.iter().enumerate();
                Input::Fields {
                    fields: fields
                        .map(|(index, value)| Field { name: name(index), value: format!("{value:.4}") })
                        .collect(),
                }
            }
        }
    }

    fn triggers(&self) -> Option<TriggerPanel> {
        let report = self.report();
        if report.triggers.is_empty() {
            return None;
        }
        let triggers = report.triggers.iter().map(|trigger| RecoveredTrigger {
            class: class_name(self.subject, Some(trigger.class)),
            mask: picture(&trigger.mask, &trigger.shape, 0.0, 1.0),
            pattern: picture(
                &trigger.mask.iter().zip(&trigger.pattern).map(|(m, p)| m * p).collect::<Vec<_>>(),
                &trigger.shape,
                0.0,
                1.0,
            ),
            size: f64::from(trigger.size),
            anomaly: f64::from(trigger.anomaly),
            success: f64::from(trigger.transfer),
            flagged: trigger.flagged,
        });
        Some(TriggerPanel {
            model: self.version.to_owned(),
            title: format!("{}: the smallest mark that turns any input into each class", self.version),
            sentence: self.sentence(),
            triggers: triggers.collect(),
            threshold: 2.0,
            basis: self.basis("classes"),
        })
    }

    fn extraction(&self) -> Option<ExtractionCurve> {
        let report = self.report();
        if report.curve.is_empty() {
            return None;
        }
        let points = report.curve.iter().map(|point| Agreement {
            queries: point.queries as u64,
            agreement: point.fidelity.value,
            interval: Some((point.fidelity.low, point.fidelity.high)),
        });
        Some(ExtractionCurve {
            model: self.version.to_owned(),
            title: format!("{}: a stolen copy, by the number of queries", self.version),
            sentence: self.sentence(),
            points: points.collect(),
            goal: 0.8,
            flagged_at: None,
            blocked_at: None,
            basis: self.basis("queries"),
        })
    }

    fn membership(&self) -> Option<MembershipRoc> {
        let report = self.report();
        if report.roc.is_empty() {
            return None;
        }
        let auc = report.figures.iter().find(|figure| figure.name.contains("area"));
        Some(MembershipRoc {
            model: self.version.to_owned(),
            title: format!("{}: telling training rows from others", self.version),
            sentence: self.sentence(),
            points: report.roc.iter().map(|point| (point.fpr, point.tpr)).collect(),
            auc: auc.map_or(0.5, |figure| figure.value.value),
            figures: report.figures.iter().map(|figure| self.figure(figure)).collect(),
            basis: self.basis("rows"),
        })
    }
}

/// A row as a picture when its shape is one: `[height, width]` or `[channels, height, width]`.
pub fn picture(row: &[f32], shape: &[usize], low: f32, high: f32) -> Option<Raster> {
    match *shape {
        [height, width] if height > 1 && width > 1 => {
            Some(Raster::grey(width, height, row.to_vec(), low, high))
        }
        [1, height, width] if height > 1 && width > 1 => {
            Some(Raster::grey(width, height, row.to_vec(), low, high))
        }
        [3, height, width] => Some(Raster::planar(width, height, 3, row, low, high)),
        _ => None,
    }
}
