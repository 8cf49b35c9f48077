//! From what was found to what the report shows.

use mantlet_redteam::{Change, Changes, Example, ProbeReport};
use mantlet_report::svg::Raster;
use mantlet_report::{
    Agreement, Basis, EvasionGrid, EvasionItem, ExtractionCurve, Field, Figure, Input, Interval,
    MembershipRoc, Outcome, ProbeRow, RecoveredTrigger, SystemReport, Tone, TriggerPanel, Unit,
};
use mantlet_vocab::About;
use mantlet_worker::battery::{Probe, Results};

use super::curves;
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
    report.curves.extend(curves::curves(version, results, &report.command));
    for doubt in &results.doubts {
        report
            .verdict
            .sentences
            .push(format!("Not to be trusted ({version}, {}), because {}.", doubt.probe, doubt.message));
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

/// What an attack spent, of what it might have, and what it left open.
pub fn spent(report: &ProbeReport) -> String {
    let most = report.budget.map_or(String::new(), |budget| format!(" of at most {}", budget.queries));
    let counts = report.counts;
    format!(
        "{} queries{most}; {} undecided and {} errors of {}",
        report.queries, counts.undecided, counts.error, report.n
    )
}

/// What an attack showed, with the cheapest change in the user's own columns where it changed rows of a table.
pub fn told(probe: &Probe, subject: Option<&Subject>) -> String {
    let mut text = sentence(probe, subject);
    if let Some(changes) = changes(&probe.report) {
        let each: Vec<String> = changed(&changes.cheapest, subject);
        let more = each.len().saturating_sub(6);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        text += &format!(
            " The cheapest change (row {}, cost {:.3}): {}{rest}.",
            changes.row,
            changes.cost,
            each.iter().take(6).cloned().collect::<Vec<_>>().join(", ")
        );
    }
    text
}

/// Which columns hits changed most often, in words.
pub fn often(report: &ProbeReport, subject: &Subject) -> Option<String> {
    let each = changes(report)?.columns;
    let words = each.iter().take(6).map(|(column, hits, median)| {
        format!("{} in {hits} (median {:.3} of its range)", column_name(Some(subject), *column), median)
    });
    Some(words.collect::<Vec<_>>().join(", ")).filter(|words| !words.is_empty())
}

fn changes(report: &ProbeReport) -> Option<Changes> {
    report.facts.get("changes").and_then(|facts| serde_json::from_value(facts.clone()).ok())
}

fn column_name(subject: Option<&Subject>, column: usize) -> String {
    let name = subject.and_then(|subject| subject.features.get(column));
    name.cloned().unwrap_or_else(|| format!("value {column}"))
}

/// A number of a row as it stands in the user's table, before it was scaled for the model.
fn in_units(subject: Option<&Subject>, value: f32) -> String {
    let scale = subject.map_or(1.0, |subject| subject.scale);
    let value = if scale == 0.0 { f64::from(value) } else { f64::from(value) / scale };
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Changes in words. Of columns of which exactly one is 1 the choice is told, not the numbers.
fn changed(list: &[Change], subject: Option<&Subject>) -> Vec<String> {
    let relations =
        subject.map(|subject| subject.ground.constraints.relations.as_slice()).unwrap_or_default();
    let choice = |column: usize| {
        relations.iter().position(
            |relation| matches!(relation, mantlet_attacks::Relation::OneOf { columns } if columns.contains(&column)),
        )
    };
    let name = |column: usize| column_name(subject, column);
    list.iter()
        .filter_map(|change| {
            let Some(group) = choice(change.column) else {
                let (before, after) = (in_units(subject, change.before), in_units(subject, change.after));
                return Some(format!("{} {before} -> {after}", name(change.column)));
            };
            // The one that was chosen before is told together with the one that is now.
            let now =
                list.iter().find(|other| choice(other.column) == Some(group) && other.after > other.before);
            match now {
                Some(now) if now.column != change.column => {
                    Some(format!("{} -> {}", name(change.column), name(now.column)))
                }
                _ => None,
            }
        })
        .collect()
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
        } else if report.worked() {
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
            // What is not to be trusted is no good news.
            Outcome::Miss if !report.doubts.is_empty() => Tone::Warning,
            Outcome::Miss => Tone::Good,
        };
        let figures = report.figures.iter().filter(|figure| !figure.name.starts_with("trigger size"));
        ProbeRow {
            name: report.probe.clone(),
            title: report.title.clone(),
            model: self.version.to_owned(),
            outcome,
            tone,
            sentence: told(self.probe, self.subject),
            spent: format!("{}, seed {}. Again: {}", spent(report), report.seed, report.command),
            figures: figures.map(|figure| self.figure(figure)).collect(),
            gap: report.not_examined.clone(),
            ids: about(&report.probe)
                .map(|about| about.atlas.iter().chain(about.owasp).map(|id| (*id).to_owned()).collect())
                .unwrap_or_default(),
        }
    }

    fn sentence(&self) -> String {
        let column = |at: usize| column_name(self.subject, at);
        self.report().sentence(&|class| class_name(self.subject, Some(class)), &column)
    }

    fn figure(&self, figure: &mantlet_redteam::Figure) -> Figure {
        let method = figure.method.filter(|_| figure.value.low < figure.value.high);
        Figure {
            name: figure.name.clone(),
            value: figure.value.value,
            unit: match figure.unit {
                mantlet_attacks::Unit::Share => Unit::Share,
                mantlet_attacks::Unit::Count => Unit::Count,
                mantlet_attacks::Unit::Plain => Unit::Plain,
            },
            interval: method.map(|method| Interval {
                low: figure.value.low,
                high: figure.value.high,
                level: 0.95,
                method: method.word().to_owned(),
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
            sentence: told(self.probe, self.subject),
            items: items.collect(),
            basis: self.basis("rows attacked"),
        })
    }

    fn input(&self, row: &[f32], shape: &[usize]) -> Input {
        match picture(row, shape, 0.0, 1.0) {
            Some(raster) => Input::Picture(raster),
            None => {
                let fields = row.iter().enumerate();
                Input::Fields {
                    fields: fields
                        .map(|(index, value)| Field {
                            name: column_name(self.subject, index),
                            value: in_units(self.subject, *value),
                        })
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
            agreement: point.fidelity.value.max(0.0),
            interval: Some((point.fidelity.low.max(0.0), point.fidelity.high.max(0.0))),
        });
        Some(ExtractionCurve {
            model: self.version.to_owned(),
            title: format!("{}: a stolen copy, by the number of queries", self.version),
            sentence: self.sentence(),
            points: points.collect(),
            goal: mantlet_attacks::extraction::COPIED,
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
