//! Each family of probe against its limit.

use mantlet_vocab::Severity;

use crate::admission::{Reason, ReasonKind};
use crate::policy::{EvasionLimit, ExtractionLimit, Gate, MembershipLimit, Norm};
use crate::probe::{Family, ProbeFigure, ProbeSummary, figure};
use crate::words::{percent, trials};

/// More failed trials than this share say more about the target than about the model.
const MOST_ERRORS: f64 = 0.1;

/// The reasons a probe gives under a gate. Never empty.
pub(crate) fn judge(probe: &ProbeSummary, gate: &Gate) -> Vec<Reason> {
    if let Some(gap) = &probe.not_examined {
        let plain =
            format!("It is not known: {}? The probe could not run: {}.", probe.family.question(), gap.why);
        return vec![Reason {
            kind: ReasonKind::NotExamined,
            severity: Severity::Note,
            plain,
            evidence: probe.probe.clone(),
            remedy: gap.remedy.clone(),
        }];
    }
    let mut reasons = match probe.family {
        Family::Evasion => evasion(probe, &gate.evasion, gate.min_trials),
        Family::DecisionEvasion => evasion(probe, &gate.decision_evasion, gate.min_trials),
        Family::Extraction => extraction(probe, &gate.extraction),
        Family::Membership => membership(probe, gate.membership, gate.min_trials),
        Family::Backdoor => backdoor(probe),
        Family::Other => other(probe),
    };
    let tally = &probe.tally;
    let total = tally.decided().saturating_add(tally.errors).saturating_add(tally.undecided);
    if share(tally.errors, total) > MOST_ERRORS {
        reasons.push(unexamined(
            probe,
            format!(
                "{} of {total} trials of `{}` failed, too many to trust the rest.",
                tally.errors, probe.probe
            ),
        ));
    }
    reasons
}

fn evasion(probe: &ProbeSummary, limit: &EvasionLimit, min_trials: u64) -> Vec<Reason> {
    let figures: Vec<&ProbeFigure> = probe
        .figures
        .iter()
        .filter(|figure| figure.name == figure::SUCCESS && figure.epsilon.is_some())
        .collect();
    // A success within a smaller change is a success within the stated one; so is one whose change is short
    // in l2, since no single feature can then have moved further.
    let worst = figures
        .iter()
        .filter(|figure| within(figure) <= limit.epsilon && at_least_as_tight(figure, limit.norm))
        .filter(|figure| figure.value.is_nan() || figure.value > limit.allow)
        .max_by(|a, b| a.value.total_cmp(&b.value));
    if let Some(figure) = worst {
        let kind = if figure.value <= limit.refuse_above { ReasonKind::Asks } else { ReasonKind::Refuses };
        let how = if probe.family == Family::Evasion { "" } else { " by asking alone" };
        return vec![Reason {
            kind,
            severity: Severity::Suspicious,
            plain: format!(
                "Small changes{how} turn {} of the decisions; the policy accepts {} at most.",
                percent(figure.value),
                percent(limit.allow)
            ),
            evidence: evidence(probe, figure),
            remedy:
                "train with such inputs included, keep a person in the decision, or accept the risk in the \
                     policy with a reason"
                    .to_owned(),
        }];
    }
    // A miss within a larger change, in the policy's own measure, is a miss within the stated one.
    let strongest = figures
        .iter()
        .filter(|figure| within(figure) >= limit.epsilon && named(figure, limit.norm))
        .min_by(|a, b| within(a).total_cmp(&within(b)));
    let Some(figure) = strongest else {
        return vec![unexamined(
            probe,
            format!(
                "`{}` did not measure success within the policy's change of {} ({}).",
                probe.probe,
                limit.epsilon,
                limit.norm.word()
            ),
        )];
    };
    // A larger budget that succeeds too often says nothing about the stated one.
    let open = share(probe.tally.undecided, figure.n.max(1));
    let worst = figure.value + open;
    if worst.is_nan() || worst > limit.allow {
        return vec![unexamined(
            probe,
            format!(
                "`{}` succeeded on {} within {} and left {} trials undecided, which does not show that the policy's \
                 limit ({} within {}) holds.",
                probe.probe,
                percent(figure.value),
                within(figure),
                probe.tally.undecided,
                percent(limit.allow),
                limit.epsilon
            ),
        )];
    }
    let plain = format!(
        "Small changes turn {} of the decisions, within the {} the policy accepts.",
        percent(figure.value),
        percent(limit.allow)
    );
    vec![enough(probe, figure, min_trials).unwrap_or_else(|| passed(probe, figure, plain))]
}

fn extraction(probe: &ProbeSummary, limit: &ExtractionLimit) -> Vec<Reason> {
    let figures = probe.figures.iter().filter(|figure| {
        figure.name == figure::QUERIES_TO_AGREEMENT && figure.value >= 0.0 && figure.agreement.is_some()
    });
    // A copy that agrees more often agrees that often; a copy short of less is short of the goal.
    let (mut reached, mut short): (Option<&ProbeFigure>, Option<&ProbeFigure>) = (None, None);
    for figure in figures {
        let agreement = figure.agreement.unwrap_or(0.0);
        if !figure.not_reached
            && agreement >= limit.agreement
            && reached.is_none_or(|r| figure.value < r.value)
        {
            reached = Some(figure);
        }
        if figure.not_reached && agreement <= limit.agreement && short.is_none_or(|s| figure.value > s.value)
        {
            short = Some(figure);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "query counts are far below 2^53")]
    let (min, refuse_below) = (limit.min_queries as f64, limit.refuse_below as f64);
    if let Some(figure) = reached {
        let goal = percent(figure.agreement.unwrap_or(limit.agreement));
        let plain =
            format!("After {:.0} questions a copy agrees with the model on {goal} of inputs", figure.value);
        if figure.value >= min {
            return vec![passed(probe, figure, format!("{plain}; the policy accepts {min:.0} or more."))];
        }
        let kind = if figure.value < refuse_below { ReasonKind::Refuses } else { ReasonKind::Asks };
        return vec![Reason {
            kind,
            severity: Severity::Suspicious,
            plain: format!("{plain}; the policy asks that it take {min:.0} at least."),
            evidence: evidence(probe, figure),
            remedy: "answer with the class only, set a query budget for each key, or accept the risk in the policy"
                .to_owned(),
        }];
    }
    match short {
        Some(figure) if figure.value >= min => vec![passed(
            probe,
            figure,
            format!(
                "After {:.0} questions no copy agreed with the model on {} of inputs.",
                figure.value,
                percent(limit.agreement)
            ),
        )],
        _ => vec![unexamined(
            probe,
            format!(
                "`{}` did not ask {min:.0} questions aiming at {} agreement, so the cost of a copy is not known.",
                probe.probe,
                percent(limit.agreement)
            ),
        )],
    }
}

fn membership(probe: &ProbeSummary, limit: MembershipLimit, min_trials: u64) -> Vec<Reason> {
    let worst = probe
        .figures
        .iter()
        .filter(|figure| figure.name == figure::TPR_AT_1_FPR)
        .max_by(|a, b| a.value.total_cmp(&b.value));
    let Some(figure) = worst else {
        return vec![unexamined(probe, format!("`{}` gave no figure to judge by.", probe.probe))];
    };
    let plain = format!(
        "A stranger who accepts one false alarm in a hundred can name {} of the training records",
        percent(figure.value)
    );
    if figure.value <= limit.allow {
        let plain = format!("{plain}, within the {} the policy accepts.", percent(limit.allow));
        return vec![enough(probe, figure, min_trials).unwrap_or_else(|| passed(probe, figure, plain))];
    }
    let kind = if figure.value <= limit.refuse_above { ReasonKind::Asks } else { ReasonKind::Refuses };
    vec![Reason {
        kind,
        severity: Severity::Suspicious,
        plain: format!("{plain}; the policy accepts {} at most.", percent(limit.allow)),
        evidence: evidence(probe, figure),
        remedy:
            "train with less repetition, more data or differential privacy, or answer with the class only"
                .to_owned(),
    }]
}

fn backdoor(probe: &ProbeSummary) -> Vec<Reason> {
    let tally = &probe.tally;
    let told =
        if probe.message.is_empty() { String::new() } else { format!(" {}.", sentence(&probe.message)) };
    if tally.hits > 0 {
        return vec![Reason {
            kind: ReasonKind::Refuses,
            severity: Severity::Malicious,
            plain: format!("A hidden mark on an input forces the model's decision.{told}"),
            evidence: format!(
                "{}, {} of {} classes or triggers tried",
                probe.probe,
                tally.hits,
                tally.decided()
            ),
            remedy:
                "do not use this model; go back to the last good version and ask where the training data and \
                     the file came from"
                    .to_owned(),
        }];
    }
    if tally.undecided > 0 || tally.misses == 0 {
        let plain = format!(
            "The search for a hidden mark did not finish ({} undecided of {}).",
            tally.undecided,
            tally.decided().saturating_add(tally.undecided)
        );
        return vec![unexamined(probe, plain)];
    }
    vec![Reason {
        kind: ReasonKind::Passed,
        severity: Severity::Note,
        plain: "No hidden mark that forces a decision was found.".to_owned(),
        evidence: format!("{}, {} tried", probe.probe, tally.misses),
        remedy: String::new(),
    }]
}

fn other(probe: &ProbeSummary) -> Vec<Reason> {
    let tally = &probe.tally;
    let kind = match (tally.hits, tally.undecided, tally.misses) {
        (1.., _, _) => ReasonKind::Asks,
        (0, 0, 1..) => ReasonKind::Passed,
        _ => return vec![unexamined(probe, format!("`{}` came to no result.", probe.probe))],
    };
    let told = if probe.message.is_empty() { String::new() } else { format!(": {}", probe.message) };
    let (severity, verb) = if tally.hits > 0 {
        (Severity::Suspicious, "succeeded")
    } else {
        (Severity::Note, "did not succeed")
    };
    vec![Reason {
        kind,
        severity,
        plain: format!("`{}` {verb}{told}.", probe.probe),
        evidence: format!("{}, {} hits of {}", probe.probe, tally.hits, tally.decided()),
        remedy: String::new(),
    }]
}

fn within(figure: &ProbeFigure) -> f64 {
    figure.epsilon.unwrap_or(f64::NAN)
}

fn named(figure: &ProbeFigure, norm: Norm) -> bool {
    figure.norm.as_deref().is_some_and(|text| text.eq_ignore_ascii_case(norm.word()))
}

fn at_least_as_tight(figure: &ProbeFigure, norm: Norm) -> bool {
    named(figure, norm) || norm == Norm::Linf && named(figure, Norm::L2)
}

fn share(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "trial counts are far below 2^53")]
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn enough(probe: &ProbeSummary, figure: &ProbeFigure, min_trials: u64) -> Option<Reason> {
    (figure.n < min_trials).then(|| {
        let plain =
            format!("`{}` made {} trials; the policy asks for {min_trials} at least.", probe.probe, figure.n);
        unexamined(probe, plain)
    })
}

fn evidence(probe: &ProbeSummary, figure: &ProbeFigure) -> String {
    let within = match (figure.epsilon, &figure.norm) {
        (Some(epsilon), Some(norm)) => format!(", within {norm} {epsilon}"),
        _ => String::new(),
    };
    format!(
        "{}, {} {:.4}{within}, {}",
        probe.probe,
        figure.name,
        figure.value,
        trials(figure.n, figure.interval)
    )
}

fn passed(probe: &ProbeSummary, figure: &ProbeFigure, plain: String) -> Reason {
    Reason {
        kind: ReasonKind::Passed,
        severity: Severity::Note,
        plain,
        evidence: evidence(probe, figure),
        remedy: String::new(),
    }
}

fn unexamined(probe: &ProbeSummary, plain: String) -> Reason {
    let remedy = if probe.command.is_empty() {
        "run the probe again with a larger budget".to_owned()
    } else {
        format!("run it again with a larger budget: {}", probe.command)
    };
    Reason {
        kind: ReasonKind::NotExamined,
        severity: Severity::Note,
        plain,
        evidence: probe.probe.clone(),
        remedy,
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
