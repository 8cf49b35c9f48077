//! Findings, gaps and probes against the policy.

use mantlet_vocab::{Coverage, Examination, Finding, Gap, Impact, Severity, Verdict};

use crate::admission::{Admission, Admit, Reason, ReasonKind};
use crate::limits;
use crate::policy::{Gate, Policy};
use crate::probe::ProbeSummary;

/// Weighs what is known of a model for a system of this impact class.
#[must_use]
pub fn weigh(
    examination: &Examination,
    probes: &[ProbeSummary],
    impact: Impact,
    policy: &Policy,
) -> Admission {
    let gate = policy.gate(impact);
    let mut reasons: Vec<Reason> = Vec::new();
    reasons.extend(examination.findings.iter().map(|finding| of_finding(finding, gate)));
    reasons.extend(gaps(examination));
    for probe in probes {
        let judged = limits::judge(probe, gate);
        // A probe the policy does not require cannot hold a model up by being absent, only by what it saw.
        let required = gate.required.contains(&probe.family) || probe.not_examined.is_none();
        reasons.extend(judged.into_iter().map(|reason| if required { reason } else { noted(reason) }));
    }
    for family in &gate.required {
        if !probes.iter().any(|probe| probe.family == *family) {
            reasons.push(Reason {
                kind: ReasonKind::NotExamined,
                severity: Severity::Note,
                plain: format!("It is not known: {}? No such probe was run.", family.question()),
                evidence: format!("policy {impact}.required, {}", family.word()),
                remedy: format!("run `mantlet attack run --family {}` on the model", family.word()),
            });
        }
    }
    reasons.sort_by(|a, b| {
        (b.kind, b.severity).cmp(&(a.kind, a.severity)).then_with(|| a.evidence.cmp(&b.evidence))
    });
    let decision = reasons.iter().map(|reason| reason.kind.decision()).max().unwrap_or(Admit::NeedsPerson);
    let found = reasons.iter().any(|reason| matches!(reason.kind, ReasonKind::Asks | ReasonKind::Refuses));
    let unexamined = reasons.iter().any(|reason| reason.kind == ReasonKind::NotExamined);
    let verdict = if found || examination.findings.iter().any(|finding| finding.severity >= policy.threshold)
    {
        Verdict::Found
    } else if unexamined {
        Verdict::NotFullyExamined
    } else {
        Verdict::Clean
    };
    Admission { verdict, decision, impact, reasons, exit_code: verdict.exit_code() }
}

fn of_finding(finding: &Finding, gate: &Gate) -> Reason {
    let kind = match finding.severity {
        severity if severity >= gate.refuse_at => ReasonKind::Refuses,
        severity if severity >= gate.ask_at => ReasonKind::Asks,
        _ => ReasonKind::Noted,
    };
    Reason {
        kind,
        severity: finding.severity,
        plain: format!("{}: {}.", finding.title, finding.message.trim_end_matches('.')),
        evidence: format!("{} at {} (confidence {})", finding.name, finding.place, finding.confidence),
        remedy: finding.help.clone(),
    }
}

fn gaps(examination: &Examination) -> Vec<Reason> {
    let of_gap = |place: &str, gap: &Gap| Reason {
        kind: ReasonKind::NotExamined,
        severity: Severity::Note,
        plain: format!("{} was not examined: {}.", gap.what, gap.why.trim_end_matches('.')),
        evidence: place.to_owned(),
        remedy: gap.remedy.clone(),
    };
    let mut reasons: Vec<Reason> = examination.gaps.iter().map(|gap| of_gap(&gap.what, gap)).collect();
    for artifact in &examination.artifacts {
        if let Coverage::Partial { gaps } = &artifact.coverage {
            reasons.extend(gaps.iter().map(|gap| of_gap(&artifact.path, gap)));
            if gaps.is_empty() {
                let gap = Gap {
                    what: "a part of it".to_owned(),
                    why: "the scanner did not say".to_owned(),
                    remedy: "scan it again".to_owned(),
                };
                reasons.push(of_gap(&artifact.path, &gap));
            }
        }
    }
    if examination.artifacts.is_empty() {
        reasons.push(Reason {
            kind: ReasonKind::NotExamined,
            severity: Severity::Note,
            plain: "No file was examined, so nothing is known of what would be loaded.".to_owned(),
            evidence: "take-in".to_owned(),
            remedy: "name the model file, the data and the lock file".to_owned(),
        });
    }
    reasons
}

fn noted(reason: Reason) -> Reason {
    match reason.kind {
        ReasonKind::NotExamined => Reason { kind: ReasonKind::Noted, ..reason },
        _ => reason,
    }
}

#[cfg(test)]
mod tests;
