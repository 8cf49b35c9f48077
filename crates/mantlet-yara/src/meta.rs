//! What the `meta` of a rule says about its findings.

use mantlet_vocab::{Severity, catalogue};

/// The part of a rule's `meta` that mantlet understands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) severity: Option<Severity>,
    pub(crate) description: Option<String>,
    pub(crate) remedy: Option<String>,
    pub(crate) atlas: Option<&'static str>,
}

const MAX_TEXT: usize = 1_000;

impl Meta {
    /// Takes one entry; the remark is for whoever wrote the rule.
    pub(crate) fn take(&mut self, name: &str, value: &str) -> Option<String> {
        match name {
            // Collections have scales of their own; what is none of ours leaves the default.
            "severity" => match value.parse() {
                Ok(severity) => self.severity = Some(severity),
                Err(why) => return Some(format!("severity: {why}; suspicious is taken")),
            },
            "description" => self.description = text(value),
            "remedy" => self.remedy = text(value),
            "atlas" => match catalogue::current(value) {
                Some(id) => self.atlas = Some(id),
                None => {
                    return Some(format!("atlas: `{value}` is not an id of {}", catalogue::ATLAS_EDITION));
                }
            },
            _ => {}
        }
        None
    }
}

/// The text without what would mislead a reader or a terminal.
fn text(value: &str) -> Option<String> {
    let plain: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect();
    let plain = plain.trim();
    (!plain.is_empty()).then(|| plain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_taken_and_the_rest_is_remarked() {
        let mut meta = Meta::default();
        for (name, value) in [
            ("severity", "malicious"),
            ("description", " two\nlines "),
            ("remedy", "delete it"),
            ("atlas", "AML.T0011.000"),
            ("author", "ada"),
        ] {
            assert_eq!(meta.take(name, value), None, "{name}");
        }
        assert_eq!(meta.severity, Some(Severity::Malicious));
        assert_eq!(meta.description.as_deref(), Some("two lines"));
        assert_eq!(meta.atlas, Some("AML.T0011.000"));
        assert!(meta.take("severity", "high").is_some_and(|remark| remark.contains("`high`")));
        assert!(meta.take("atlas", "AML.T9999").is_some_and(|remark| remark.contains("AML.T9999")));
    }
}
