//! Levels that an installation gives to rules of its own accord.
//!
//! A finding whose level was set says so, with the level it had, by whom and why. What is malicious is lowered only for
//! a reason that somebody answers for, as a finding is accepted only so. Nothing inside what is scanned can set a level.

use std::str::FromStr;

use mantlet_vocab::{About, Finding, Severity};
use serde::{Deserialize, Serialize};

/// Who sets what stands on a command line.
const COMMAND_LINE: &str = "the command line";

/// One level, as people write it: in a file, or as `RULE=LEVEL` or `RULE=LEVEL:REASON`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// The rule's name.
    pub rule: String,
    /// How bad its findings are from now on.
    pub level: Severity,
    /// Why. Needed where what is malicious is lowered.
    #[serde(default)]
    pub reason: String,
    /// Who set it. Needed in the same case.
    #[serde(default)]
    pub owner: String,
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        let shape = || LevelError::Shape { text: text.chars().take(100).collect() };
        let (rule, rest) = text.split_once('=').ok_or_else(shape)?;
        let (level, reason) = rest.split_once(':').unwrap_or((rest, ""));
        Ok(Self {
            rule: rule.trim().to_owned(),
            level: level.trim().parse().map_err(|_| shape())?,
            reason: reason.trim().to_owned(),
            owner: COMMAND_LINE.to_owned(),
        })
    }
}

/// Why a level cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LevelError {
    /// It is not written as one.
    #[error(
        "`{text}` sets no level; write RULE=LEVEL or RULE=LEVEL:REASON, where LEVEL is note, suspicious or malicious"
    )]
    Shape {
        /// What was written.
        text: String,
    },
    /// No rule has this name, so nothing would change.
    #[error("there is no rule `{rule}`{}; `mantlet scan --list-rules` names them", nearest.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default())]
    Rule {
        /// The name.
        rule: String,
        /// A rule with a name like it.
        nearest: Option<&'static str>,
    },
    /// What is malicious would be lowered without anybody answering for it.
    #[error(
        "`{rule}` is malicious: setting it to {level} needs a reason and somebody who answers for it; \
         write {rule}={level}:REASON, or `reason` and `owner` in a file"
    )]
    Unanswered {
        /// The rule.
        rule: String,
        /// What it was to become.
        level: Severity,
    },
}

/// The levels of one installation.
#[derive(Debug, Clone, Default)]
pub struct Levels(Vec<Level>);

impl Levels {
    /// Checks each level; of two for one rule the later counts. `further` are rules that are not mantlet's own.
    ///
    /// # Errors
    /// The first that cannot be set.
    pub fn new(list: Vec<Level>, further: &[&'static About]) -> Result<Self, LevelError> {
        let mut rules = mantlet_rules::abouts();
        rules.extend(further);
        let mut checked: Vec<Level> = Vec::with_capacity(list.len());
        for one in list {
            let Some(about) = rules.iter().find(|about| about.name == one.rule) else {
                return Err(LevelError::Rule { nearest: nearest(&one.rule, &rules), rule: one.rule });
            };
            if about.severity == Severity::Malicious && one.level < Severity::Malicious && !answered(&one) {
                return Err(LevelError::Unanswered { rule: one.rule, level: one.level });
            }
            checked.retain(|other| other.rule != one.rule);
            checked.push(one);
        }
        Ok(Self(checked))
    }

    /// The level set for a rule.
    #[must_use]
    pub fn of(&self, rule: &str) -> Option<&Level> {
        self.0.iter().find(|level| level.rule == rule)
    }

    /// Sets the levels of findings. Gives the rules of which findings stay malicious, since nobody answers for less:
    /// a rule that is milder as a whole may find something worse.
    pub fn apply(&self, findings: &mut [Finding]) -> Vec<&str> {
        let mut kept = Vec::new();
        for finding in findings.iter_mut() {
            let Some(level) = self.of(&finding.name).filter(|level| level.level != finding.severity) else {
                continue;
            };
            if finding.severity == Severity::Malicious && !answered(level) {
                if !kept.contains(&level.rule.as_str()) {
                    kept.push(level.rule.as_str());
                }
                continue;
            }
            set(finding, level);
        }
        Finding::sort(findings);
        kept
    }
}

fn answered(level: &Level) -> bool {
    !level.reason.trim().is_empty() && !level.owner.trim().is_empty()
}

fn set(finding: &mut Finding, level: &Level) {
    let Level { level: now, reason, owner, .. } = level;
    let was = finding.severity;
    let by = if owner.trim().is_empty() { "the configuration" } else { owner.as_str() };
    finding.facts.insert(
        "level".to_owned(),
        serde_json::json!({ "severity": now, "was": was, "by": by, "reason": reason }),
    );
    let why = if reason.trim().is_empty() { String::new() } else { format!(": {reason}") };
    finding.help = format!("{} ({by} set this rule to {now}, it was {was}{why})", finding.help);
    finding.severity = *now;
}

/// The rule whose name is most like this one, if any is.
fn nearest(name: &str, rules: &[&'static About]) -> Option<&'static str> {
    // Names are short; what is written need not be.
    let name: String = name.chars().take(100).collect();
    rules
        .iter()
        .map(|about| (strsim::damerau_levenshtein(about.name, &name), about.name))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::Place;

    use super::*;

    fn about(severity: Severity) -> &'static About {
        mantlet_rules::abouts().into_iter().find(|about| about.severity == severity).unwrap()
    }

    fn levels(list: &[&str]) -> Result<Levels, LevelError> {
        Levels::new(list.iter().map(|text| text.parse()).collect::<Result<_, _>>()?, &[])
    }

    #[test]
    fn levels_are_set_and_say_what_they_were_and_by_whom() {
        let (bad, odd) = (about(Severity::Malicious), about(Severity::Suspicious));
        let list = [format!("{}=note:our own, reviewed", bad.name), format!("{}=malicious", odd.name)];
        let levels = levels(&[&list[0], &list[1]]).unwrap();
        let at = |about: &'static About, path: &str| about.finding(Place::artifact(path), "seen");
        let other = mantlet_rules::abouts().into_iter().find(|it| it.name != bad.name && it.name != odd.name);
        let untouched = at(other.unwrap(), "c");
        let mut findings = vec![at(bad, "a"), at(odd, "b"), untouched.clone()];
        assert_eq!(levels.apply(&mut findings), Vec::<&str>::new());
        let found = |name: &str| findings.iter().find(|finding| finding.name == name).unwrap();
        let (lowered, raised) = (found(bad.name), found(odd.name));
        assert_eq!((lowered.severity, raised.severity), (Severity::Note, Severity::Malicious));
        assert_eq!(lowered.facts["level"]["was"], "malicious");
        assert_eq!(lowered.facts["level"]["reason"], "our own, reviewed");
        assert_eq!(raised.facts["level"]["by"], COMMAND_LINE);
        assert!(
            lowered.help.contains("set this rule to note, it was malicious: our own"),
            "{}",
            lowered.help
        );
        assert!(findings.contains(&untouched));
        assert!(findings.is_sorted_by(|a, b| a.severity >= b.severity), "worst first");
    }

    #[test]
    fn what_is_malicious_is_lowered_for_a_reason_only() {
        let (bad, odd) = (about(Severity::Malicious), about(Severity::Suspicious));
        for text in [format!("{}=note", bad.name), format!("{}=suspicious: ", bad.name)] {
            let fault = levels(&[&text]).unwrap_err().to_string();
            assert!(fault.contains("needs a reason"), "{fault}");
        }
        let owned = Level {
            rule: bad.name.into(),
            level: Severity::Note,
            reason: "reviewed".into(),
            owner: " ".into(),
        };
        assert!(Levels::new(vec![owned.clone()], &[]).is_err());
        assert!(Levels::new(vec![Level { owner: "ada".into(), ..owned }], &[]).is_ok());
        // A mild rule that found something worse.
        let mut findings = vec![odd.finding(Place::artifact("a"), "seen").severity(Severity::Malicious)];
        let text = format!("{}=note", odd.name);
        assert_eq!(levels(&[&text]).unwrap().apply(&mut findings), [odd.name]);
        assert_eq!(findings[0].severity, Severity::Malicious);
        assert_eq!(levels(&[&format!("{text}:seen")]).unwrap().apply(&mut findings), Vec::<&str>::new());
        assert_eq!(findings[0].severity, Severity::Note);
    }

    #[test]
    fn wrong_levels_are_named_with_what_was_meant() {
        let fault = |list: &[&str]| levels(list).unwrap_err().to_string();
        assert!(fault(&["pickle-unsafe-globl=note:x"]).contains("did you mean `pickle-unsafe-global`?"));
        assert!(!fault(&["nothing-like-any-of-them-at-all-really=note"]).contains("did you mean"));
        for text in ["pickle-unsafe-global", "pickle-unsafe-global=low", "=", ""] {
            let fault = fault(&[text]);
            assert!(fault.contains("RULE=LEVEL") || fault.contains("no rule"), "{fault}");
        }
        let name = about(Severity::Suspicious).name;
        let two = levels(&[&format!("{name}=note"), &format!("{name}=malicious")]).unwrap();
        assert_eq!(two.of(name).map(|level| level.level), Some(Severity::Malicious), "the later counts");
    }
}
