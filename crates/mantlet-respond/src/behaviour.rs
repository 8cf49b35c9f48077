//! Alerts about live behaviour, as monitors find it when they look back at tables.

use mantlet_vocab::{Finding, Impact, Millis};

use crate::alert::{Alert, AlertKind};
use crate::record::FiveAnswers;

/// Named figures of a finding that are kept.
const MOST_FACTS: usize = 24;

impl Alert {
    /// A monitor has a finding about live behaviour: drift, a segment, errors that rose. The same finding about the
    /// same part joins the incident that is open about it. `look` is the command that shows where it is.
    #[must_use]
    pub fn behaviour(system: &str, impact: Impact, at: Millis, finding: &Finding, look: &str) -> Self {
        const ERRS: [&str; 4] =
            ["online-slow-evasion", "segment-loss", "performance-fell", "performance-contradicted"];
        let errs = ERRS.contains(&finding.name.as_str());
        let kind = if errs { AlertKind::Performance } else { AlertKind::Drift };
        let mut alert = Self::new(kind, system, impact, at);
        let part = finding.place.part.clone();
        let named = part.as_ref().map(|part| format!(", {part}")).unwrap_or_default();
        alert.subject = Some(format!("{}{named}", finding.title));
        alert.serving = true;
        alert.confidence = finding.confidence;
        alert.noticed = vec![finding.message.clone()];
        let said = |question: &str| {
            let lead = format!("{question}: ");
            finding.trace.iter().find_map(|line| line.strip_prefix(&lead)).map(str::to_owned)
        };
        let mut next: Vec<String> = match said("what to do now") {
            Some(text) => vec![text],
            None => vec![finding.help.clone(), format!("Look where it is: {look}")],
        };
        if !next.iter().any(|line| line.contains("`mantlet data freeze ")) {
            next.push(
                "Hold retraining until the cause is known: `mantlet data freeze --note \"look into drift\" --user YOU`."
                    .to_owned(),
            );
        }
        alert.told = Some(FiveAnswers {
            changed: said("what changed").unwrap_or_else(|| finding.message.clone()),
            suspicious: said("what is suspicious").unwrap_or_else(|| finding.why.clone()),
            affected: said("who and what is affected")
                .unwrap_or_else(|| part.unwrap_or_else(|| "everybody who is decided about".to_owned())),
            decisions: said("which decisions may be wrong")
                .unwrap_or_else(|| "those made on such rows since then".to_owned()),
            next: next.join("\n"),
        });
        let mut alert = alert.fact("finding", finding.name.as_str());
        for (name, value) in finding.facts.iter().take(MOST_FACTS) {
            alert.facts.insert(name.clone(), value.clone());
        }
        alert
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mantlet_vocab::{Confidence, Severity};

    use super::*;

    #[test]
    fn a_monitor_s_finding_brings_its_five_answers_and_its_kind() {
        let finding = |name: &str, trace: &[&str]| Finding {
            name: name.into(),
            title: "a share has changed".into(),
            severity: Severity::Suspicious,
            confidence: Confidence::High,
            place: mantlet_vocab::Place::artifact("week-48.csv").part("missed among channel api"),
            message: "since Tuesday".into(),
            why: "somebody may steer it".into(),
            help: "find the feed".into(),
            trace: trace.iter().map(|line| (*line).to_owned()).collect(),
            facts: BTreeMap::new(),
            atlas: vec![],
            owasp: vec![],
        };
        let told =
            finding("online-slow-evasion", &["what changed: misses rose", "what to do now: review 40"]);
        let alert = Alert::behaviour("cards", Impact::High, Millis(9), &told, "`look`");
        assert_eq!((alert.kind, alert.impact()), (AlertKind::Performance, Impact::High));
        let five = alert.told.as_ref().unwrap();
        assert_eq!(
            (five.changed.as_str(), five.suspicious.as_str()),
            ("misses rose", "somebody may steer it")
        );
        assert!(five.next.starts_with("review 40\nHold retraining"), "{}", five.next);
        let drift = Alert::behaviour(
            "cards",
            Impact::High,
            Millis(9),
            &finding("drift-marginal-shift", &[]),
            "`look`",
        );
        assert_eq!((drift.kind, drift.impact()), (AlertKind::Drift, Impact::Medium));
        assert!(drift.told.as_ref().unwrap().next.contains("Look where it is: `look`"));
        // The file's name is no part of what is concerned: next week's is the same trouble.
        assert_eq!(drift.subject.as_deref(), Some("a share has changed, missed among channel api"));
    }
}
