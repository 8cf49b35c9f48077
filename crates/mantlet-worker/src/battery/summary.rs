//! From a probe's report to the few figures a policy weighs.

use mantlet_redteam::ProbeReport;
use mantlet_verdict::{Family, Gate, ProbeFigure, ProbeSummary, Tally, figure};

/// What the policy sees of a report.
#[must_use]
pub fn summarise(report: &ProbeReport, family: Family, gate: &Gate) -> ProbeSummary {
    if let Some(gap) = &report.not_examined {
        let mut summary = ProbeSummary::skipped(&report.probe, family, gap.clone());
        summary.command = report.command.clone();
        return summary;
    }
    let counts = report.counts;
    let tally = Tally {
        hits: counts.hit as u64,
        misses: counts.miss as u64,
        errors: counts.error as u64,
        undecided: counts.undecided as u64,
    };
    let mut summary = ProbeSummary::ran(&report.probe, family, tally);
    summary.command = report.command.clone();
    match family {
        Family::Evasion | Family::DecisionEvasion => {
            let limit = if family == Family::Evasion { gate.evasion } else { gate.decision_evasion };
            summary.figures.push(
                ProbeFigure::new(figure::SUCCESS, report.success.value, tally.decided())
                    .within(limit.epsilon, limit.norm.word())
                    .interval(report.success.low, report.success.high),
            );
        }
        Family::Extraction => {
            let goal = gate.extraction.agreement;
            let last = report.curve.last().map_or(0, |point| point.queries);
            let reached = report.curve.iter().find(|point| point.fidelity.value >= goal);
            let queries = reached.map_or(last, |point| point.queries);
            #[expect(clippy::cast_precision_loss, reason = "query counts are far below 2^53")]
            let found = ProbeFigure::new(figure::QUERIES_TO_AGREEMENT, queries as f64, 1).agreement(goal);
            summary.figures.push(if reached.is_some() { found } else { found.not_reached() });
        }
        Family::Membership => {
            let exposed = report.figures.iter().find(|figure| figure.name.contains("1 %"));
            if let Some(exposed) = exposed {
                summary.figures.push(
                    ProbeFigure::new(figure::TPR_AT_1_FPR, exposed.value.value, exposed.n as u64)
                        .interval(exposed.value.low, exposed.value.high),
                );
            }
        }
        Family::Backdoor => {
            if counts.hit > 0 {
                summary.message = said(report);
            }
        }
        Family::Other if counts.hit > 0 => summary.message = said(report),
        Family::Other => {}
    }
    summary
}

/// What the attack's room says, as part of a sentence; classes and columns by their numbers.
fn said(report: &ProbeReport) -> String {
    let text = report.sentence(&|class| class.to_string(), &|column| format!("column {column}"));
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}
