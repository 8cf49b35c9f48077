//! Findings that a person has accepted, with a reason, a name and an end.
//!
//! An accepted finding is never dropped: it stays in the report as a note that says who accepted it, why and until
//! when, and no longer decides the verdict. Nothing inside what is scanned can accept anything.

use globset::{GlobBuilder, GlobMatcher};
use mantlet_vocab::{About, Examination, Finding, Millis, Severity};
use serde::{Deserialize, Serialize};

/// One suppression, as people write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suppression {
    /// The rule's name.
    pub rule: String,
    /// The artifacts it holds for, as a glob over their paths; `**` for all.
    pub path: String,
    /// Why the finding is accepted.
    pub reason: String,
    /// Who accepted it.
    pub owner: String,
    /// The last day it holds, `YYYY-MM-DD` in UTC.
    pub until: String,
}

/// The suppressions of one installation.
#[derive(Debug, Clone, Default)]
pub struct Suppressions(Vec<(Suppression, GlobMatcher)>);

/// Why a list of suppressions cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuppressionError {
    /// No rule has this name, so nothing would be accepted.
    #[error("suppression {place}: there is no rule `{rule}`; `mantlet scan --list-rules` names them")]
    Rule {
        /// Which one, from 1.
        place: usize,
        /// The name.
        rule: String,
    },
    /// The path is no glob.
    #[error("suppression {place}: `path` is no glob: {why}")]
    Path {
        /// Which one, from 1.
        place: usize,
        /// What is wrong.
        why: String,
    },
    /// The day is none.
    #[error("suppression {place}: `until` is `{until}`; write a day such as 2027-03-31")]
    Until {
        /// Which one, from 1.
        place: usize,
        /// What was written.
        until: String,
    },
    /// A reason or an owner is missing.
    #[error(
        "suppression {place}: `{field}` is empty; a suppression needs a reason and somebody who answers for it"
    )]
    Empty {
        /// Which one, from 1.
        place: usize,
        /// The field.
        field: &'static str,
    },
}

impl Suppressions {
    /// Checks each suppression. `further` are rules that are not mantlet's own.
    ///
    /// # Errors
    /// The first that cannot be used, by its place in the list.
    pub fn new(list: Vec<Suppression>, further: &[&'static About]) -> Result<Self, SuppressionError> {
        let mut rules = mantlet_rules::abouts();
        rules.extend(further);
        let mut checked = Vec::with_capacity(list.len());
        for (index, one) in list.into_iter().enumerate() {
            let place = index + 1;
            for (field, text) in [("reason", &one.reason), ("owner", &one.owner)] {
                if text.trim().is_empty() {
                    return Err(SuppressionError::Empty { place, field });
                }
            }
            if rules.iter().all(|rule| rule.name != one.rule) {
                return Err(SuppressionError::Rule { place, rule: one.rule });
            }
            if !is_day(&one.until) {
                return Err(SuppressionError::Until { place, until: one.until });
            }
            let glob = glob(&one.path).map_err(|why| SuppressionError::Path { place, why })?;
            checked.push((one, glob));
        }
        Ok(Self(checked))
    }

    /// Turns what is accepted at this moment into notes. Gives the suppressions that are over and would have held.
    pub fn apply(&self, examination: &mut Examination, now: Millis) -> Vec<&Suppression> {
        let today = now.rfc3339();
        let mut over = Vec::new();
        for finding in &mut examination.findings {
            for (suppression, glob) in &self.0 {
                if finding.name != suppression.rule || !glob.is_match(artifact_of(finding)) {
                    continue;
                }
                if today.get(..10).is_some_and(|today| today <= suppression.until.as_str()) {
                    accept(finding, suppression);
                    break;
                }
                if !over.contains(&suppression) {
                    over.push(suppression);
                }
            }
        }
        Finding::sort(&mut examination.findings);
        over
    }
}

/// A path as people write it: `*` stays within a folder, `**` does not.
pub(crate) fn glob(text: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
}

fn artifact_of(finding: &Finding) -> &str {
    &finding.place.artifact
}

fn accept(finding: &mut Finding, suppression: &Suppression) {
    let Suppression { reason, owner, until, .. } = suppression;
    let was = finding.severity;
    finding.facts.insert(
        "accepted".to_owned(),
        serde_json::json!({ "by": owner, "until": until, "reason": reason, "severity": was }),
    );
    finding.help = format!("{owner} accepted this until {until}: {reason}");
    finding.severity = Severity::Note;
}

fn is_day(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 10
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<u8>().ok());
    shape && matches!((part(5..7), part(8..10)), (Some(1..=12), Some(1..=31)))
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::Place;

    use super::*;

    fn suppression() -> Suppression {
        Suppression {
            rule: "pickle-unsafe-global".into(),
            path: "models/**".into(),
            reason: "reviewed, loads its own class".into(),
            owner: "ada".into(),
            until: "2026-09-21".into(),
        }
    }

    fn examination() -> Examination {
        let about: &'static About =
            mantlet_rules::abouts().into_iter().find(|about| about.name == "pickle-unsafe-global").unwrap();
        let at = |path: &str| about.finding(Place::artifact(path), "calls os.system");
        Examination { findings: vec![at("models/old/a.pkl"), at("other/b.pkl")], ..Examination::default() }
    }

    #[test]
    fn what_is_accepted_stays_in_the_report_until_its_day() {
        let accepted = Suppressions::new(vec![suppression()], &[]).unwrap();
        let mut seen = examination();
        // The last millisecond of the day.
        assert_eq!(accepted.apply(&mut seen, Millis(1_790_035_199_999)), Vec::<&Suppression>::new());
        let severities: Vec<_> =
            seen.findings.iter().map(|f| (f.place.artifact.as_str(), f.severity)).collect();
        assert_eq!(severities, [("other/b.pkl", Severity::Malicious), ("models/old/a.pkl", Severity::Note)]);
        assert_eq!(seen.findings[1].facts["accepted"]["by"], "ada");
        assert!(seen.findings[1].help.contains("reviewed"));
        let mut seen = examination();
        let over = accepted.apply(&mut seen, Millis(1_790_035_200_000));
        assert_eq!(over.len(), 1);
        assert!(seen.findings.iter().all(|finding| finding.severity == Severity::Malicious));
    }

    #[test]
    fn a_suppression_needs_a_rule_a_reason_an_owner_and_a_day() {
        let wrong = |change: fn(&mut Suppression)| {
            let mut one = suppression();
            change(&mut one);
            Suppressions::new(vec![suppression(), one], &[]).unwrap_err().to_string()
        };
        for (fault, word) in [
            (wrong(|one| one.rule = "no-such-rule".into()), "no-such-rule"),
            (wrong(|one| one.reason = " ".into()), "`reason`"),
            (wrong(|one| one.owner = String::new()), "`owner`"),
            (wrong(|one| one.until = "2026-13-01".into()), "2026-13-01"),
            (wrong(|one| one.until = "soon".into()), "soon"),
            (wrong(|one| one.path = "a[".into()), "`path`"),
        ] {
            assert!(fault.contains("suppression 2") && fault.contains(word), "{fault}");
        }
    }
}
