//! What a user of the scanner says about its rules: levels of their own, accepted findings, and the list of them all.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use mantlet_formats::pickle::Effects;
use mantlet_scan::{Level, Levels, Suppression, Suppressions};
use mantlet_vocab::{Examination, Millis};
use serde::Deserialize;

use crate::cli::{Format, Reporting};
use crate::exit::Usage;
use crate::terminal::{Terminal, deliver};

/// What an installation makes of findings: levels it gives to rules, and findings it has accepted.
pub(super) struct Own {
    pub(super) levels: Levels,
    suppressions: Suppressions,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnFile {
    #[serde(default)]
    suppress: Vec<Suppression>,
    #[serde(default)]
    level: Vec<Level>,
}

impl Own {
    /// Reads the file, and what the command line says.
    ///
    /// # Errors
    /// When either names a rule or a level that is none, or lowers what is malicious without a reason.
    pub(super) fn read(list: Option<&Path>, said: &[String]) -> anyhow::Result<Self> {
        let further = mantlet_yara::abouts();
        let mut file = OwnFile::default();
        if let Some(path) = list {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let wrong = |error: &dyn std::fmt::Display| Usage(format!("{}: {error}", path.display()));
            file = toml::from_str(&text).map_err(|error| wrong(&error))?;
            Levels::new(file.level.clone(), &further).map_err(|error| wrong(&error))?;
        }
        let suppressions = Suppressions::new(file.suppress, &further).map_err(|error| {
            Usage(match list {
                Some(path) => format!("{}: {error}", path.display()),
                None => error.to_string(),
            })
        })?;
        // The command line comes after the file, so it counts where both speak.
        let mut levels = file.level;
        for text in said {
            levels.push(text.parse::<Level>().map_err(|error| Usage(format!("-S: {error}")))?);
        }
        let levels = Levels::new(levels, &further).map_err(|error| Usage(format!("-S: {error}")))?;
        Ok(Self { levels, suppressions })
    }

    /// Sets levels, then turns what is accepted at this moment into notes.
    pub(super) fn apply(&self, terminal: Terminal, examination: &mut Examination, now: Millis) {
        tell_kept(terminal, &self.levels.apply(&mut examination.findings));
        for over in self.suppressions.apply(examination, now) {
            terminal.note(&format!(
                "the suppression of {} in {} by {} ended on {}: what it covered counts again",
                over.rule, over.path, over.owner, over.until
            ));
        }
    }
}

/// Says of which rules findings stay malicious.
pub(super) fn tell_kept(terminal: Terminal, rules: &[&str]) {
    for rule in rules {
        terminal.note(&format!(
            "a finding of {rule} stays malicious: setting it lower needs a reason, as {rule}=LEVEL:REASON"
        ));
    }
}

/// Names every rule.
///
/// # Errors
/// When the list cannot be written.
pub(super) fn list_rules(
    terminal: Terminal,
    levels: &Levels,
    reporting: &Reporting,
) -> anyhow::Result<ExitCode> {
    let mut rules = mantlet_rules::abouts();
    rules.extend(mantlet_yara::abouts());
    rules.sort_by_key(|about| about.name);
    let text = if reporting.format == Format::Json {
        let list: Vec<serde_json::Value> = rules
            .iter()
            .map(|about| {
                let mut rule = serde_json::json!({
                    "name": about.name,
                    "title": about.title,
                    "severity": about.severity,
                    "atlas": about.atlas,
                    "owasp": about.owasp,
                });
                if let Some(level) = levels.of(about.name) {
                    rule["set"] = serde_json::json!({
                        "severity": level.level, "by": who(level), "reason": level.reason,
                    });
                }
                rule
            })
            .collect();
        serde_json::to_string_pretty(&list)?
    } else {
        let width = rules.iter().map(|about| about.name.len()).max().unwrap_or(0);
        let line = |about: &&mantlet_vocab::About| {
            let (now, set) = match levels.of(about.name) {
                Some(level) => {
                    (level.level, format!(" (set by {}, shipped as {})", who(level), about.severity))
                }
                None => (about.severity, String::new()),
            };
            format!("{:width$}  {now:<10}  {}{set}", about.name, about.title)
        };
        let lines = rules.iter().map(line).collect::<Vec<_>>().join("\n");
        format!("{lines}\n\nwhat callables do is said by the table of effects {}", Effects::default().name())
    };
    deliver(terminal, &text, reporting.output.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

/// Who set a level.
fn who(level: &Level) -> &str {
    if level.owner.trim().is_empty() { "the configuration" } else { &level.owner }
}
