//! The battery's results for whoever reads them: build servers, code hosts, people with a browser.

use clap::ValueEnum;
use mantlet_report::{JunitCase, JunitOutcome, NextStep, SystemReport, Tone, VerdictBlock};
use mantlet_vocab::{ArtifactSummary, Coverage, Examination, Gap, Impact, Millis, Place, Severity, Verdict};
use mantlet_worker::battery::{ATTACKS, FURTHER, Probe, Results};

use crate::config::Loaded;
use crate::protect::account;
use crate::protect::subject::Subject;

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For a terminal.
    Text,
    /// For machines and `mantlet attack compare`.
    Json,
    /// For pull requests and tickets.
    Markdown,
    /// For code hosts.
    Sarif,
    /// For build servers: an attack that worked is a failure, one that could not be judged an error.
    Junit,
    /// One page with pictures that needs no network.
    Html,
}

/// The family of an attack, as `--family` names it.
fn family(name: &str) -> &'static str {
    let found = ATTACKS.iter().chain(FURTHER).find(|(known, _)| *known == name);
    found.map_or("attack", |(_, family)| family.word())
}

/// Why an attack says nothing, when it says nothing.
fn unknown(probe: &Probe) -> Option<(String, String)> {
    let report = &probe.report;
    if let Some(gap) = &report.not_examined {
        return Some((format!("not examined: {}", gap.why), gap.remedy.clone()));
    }
    if report.worked() {
        return None;
    }
    let counts = report.counts;
    if counts.error + counts.undecided > 0 {
        let message =
            format!("{} errors and {} undecided of {} rows", counts.error, counts.undecided, report.n);
        return Some((message, "ask with a larger budget, or mend what the target answered with".to_owned()));
    }
    // A miss that is not to be trusted, or one on nothing, is no pass.
    if let Some(doubt) = report.doubts.first() {
        let message = format!("not to be trusted, because {}", doubt.message);
        return Some((message, "look at the target before the figure is used".to_owned()));
    }
    (report.n == 0).then(|| {
        let message = report.sentence(&|class| class.to_string(), &|column| column.to_string());
        (message, "check that the classes of the model stand in the order of the labels".to_owned())
    })
}

/// Every figure, with n and interval, and how to get it again.
fn detail(probe: &Probe) -> String {
    let report = &probe.report;
    let figures =
        report.figures.iter().map(|figure| format!("{}: {} n={}\n", figure.name, figure.words(), figure.n));
    let mut text: String = figures.collect();
    for doubt in &report.doubts {
        text += &format!("not to be trusted, because {}\n", doubt.message);
    }
    text += &format!("{}, seed {}\nagain: {}\n", account::spent(report), report.seed, report.command);
    text
}

/// Every report with its sentence.
pub(super) fn json(results: &Results, subject: &Subject) -> serde_json::Result<String> {
    let mut reports = Vec::new();
    for probe in &results.probes {
        let mut report = serde_json::to_value(&probe.report)?;
        if let Some(fields) = report.as_object_mut() {
            fields.insert("sentence".to_owned(), account::sentence(probe, Some(subject)).into());
        }
        reports.push(report);
    }
    serde_json::to_string_pretty(&reports)
}

/// One test case for each attack: it fails when the attack worked on any row, and is an error when nothing can be
/// said.
pub(super) fn junit(loaded: &Loaded, results: &Results, subject: &Subject) -> String {
    let cases: Vec<JunitCase> = results
        .probes
        .iter()
        .map(|probe| {
            let report = &probe.report;
            let outcome = match unknown(probe) {
                Some((message, remedy)) => {
                    JunitOutcome::Unknown(message, format!("{remedy}\n{}", detail(probe)))
                }
                None if report.worked() => {
                    JunitOutcome::Failed(account::told(probe, Some(subject)), detail(probe))
                }
                None => JunitOutcome::Passed,
            };
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
            let seconds = report.millis as f64 / 1000.0;
            JunitCase {
                family: family(&report.probe).to_owned(),
                name: report.probe.clone(),
                seconds,
                outcome,
            }
        })
        .collect();
    let system = &loaded.config.system.name;
    mantlet_report::junit(&format!("mantlet attack {system} {}", loaded.config.model.version), &cases)
}

/// The hits as findings about the model, for SARIF and Markdown.
pub(super) fn examination(loaded: &Loaded, results: &Results, subject: &Subject) -> Examination {
    let path = loaded.config.model.path.display().to_string();
    let mut gaps: Vec<Gap> = Vec::new();
    let mut findings = Vec::new();
    for probe in &results.probes {
        let report = &probe.report;
        if let Some((why, remedy)) = unknown(probe) {
            gaps.push(Gap { what: report.probe.clone(), why, remedy });
        }
        let Some(about) = account::about(&report.probe) else { continue };
        if !report.worked() {
            continue;
        }
        let place = Place::artifact(path.clone()).part(report.probe.clone());
        let mut finding = about
            .finding(place, account::told(probe, Some(subject)))
            .fact("n", report.n as u64)
            .fact("hit", report.counts.hit as u64)
            .fact("miss", report.counts.miss as u64)
            .fact("undecided", report.counts.undecided as u64)
            .fact("errors", report.counts.error as u64)
            .fact("success", report.success.value)
            .fact("success_low", report.success.low)
            .fact("success_high", report.success.high)
            .fact("budget", report.budget.map_or(0, |budget| budget.queries))
            .fact("queries", report.queries)
            .fact("seed", report.seed)
            .fact("again", report.command.clone());
        // A hit is something found, whatever the room says of a mere sight of it.
        finding.severity = finding.severity.max(Severity::Suspicious);
        findings.push(finding);
    }
    for doubt in &results.doubts {
        gaps.push(Gap {
            what: doubt.probe.clone(),
            why: format!("not to be trusted, because {}", doubt.message),
            remedy: "look at the target before the figure is used".to_owned(),
        });
    }
    Examination {
        artifacts: vec![ArtifactSummary {
            path,
            size: 0,
            digest: None,
            said: Default::default(),
            formats: vec![format!("{} attacks", results.probes.len())],
            coverage: if gaps.is_empty() { Coverage::Complete } else { Coverage::Partial { gaps } },
        }],
        findings,
        ..Examination::default()
    }
}

/// What a hit of this attack means and how much harm it can do, then the share of rows it surely works on: a planted
/// backdoor comes before any number of rows that small changes turn.
fn danger(name: &str, surely: f64) -> (Option<(Severity, Impact)>, f64) {
    (account::about(name).map(|about| (about.severity, about.impact)), surely)
}

/// One page with pictures, which needs no network.
pub(super) fn page(
    loaded: &Loaded,
    results: &Results,
    subject: &Subject,
    verdict: Verdict,
    command: &str,
    now: Millis,
) -> String {
    let config = &loaded.config;
    let (tone, headline) = match verdict {
        Verdict::Found => (Tone::Bad, "attacks worked beyond what the policy allows"),
        Verdict::NotFullyExamined => (Tone::Warning, "some attacks could not be judged"),
        Verdict::Clean => (Tone::Good, "no attack worked beyond what the policy allows"),
    };
    // The five most dangerous of those that worked, in plain words.
    let mut hits: Vec<&Probe> = results.probes.iter().filter(|probe| probe.report.worked()).collect();
    hits.sort_by(|a, b| {
        let (a, b) =
            (danger(&a.report.probe, a.report.success.low), danger(&b.report.probe, b.report.success.low));
        b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    let verdict = VerdictBlock {
        tone,
        headline: format!("{}: {headline}", config.model.version),
        sentences: hits.iter().take(5).map(|probe| account::sentence(probe, Some(subject))).collect(),
        next: vec![NextStep { what: "run it again".to_owned(), command: Some(command.to_owned()) }],
    };
    let mut report = SystemReport::new(config.system.name.clone(), config.system.impact, now, verdict);
    report.purpose = config.system.decides.clone();
    report.mantlet = env!("CARGO_PKG_VERSION").to_owned();
    report.command = command.to_owned();
    report.threshold = config.policy.threshold;
    account::add_probes(&mut report, &config.model.version, results, Some(subject));
    mantlet_report::html(&report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worse_comes_before_what_works_more_often() {
        let before = |a: (&str, f64), b: (&str, f64)| {
            let (a, b) = (danger(a.0, a.1), danger(b.0, b.1));
            b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).is_lt()
        };
        assert!(before(("backdoor-trigger", 0.05), ("evasion-fgsm", 1.0)));
        assert!(before(("evasion-fgsm", 0.2), ("robustness-calibration", 0.9)));
        assert!(before(("evasion-fgsm", 0.9), ("evasion-fgsm", 0.3)));
    }
}
