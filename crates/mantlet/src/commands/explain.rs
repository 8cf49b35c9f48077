//! `mantlet explain NAME`: every room speaks for itself.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use mantlet_vocab::{About, catalogue};

use crate::exit::Usage;
use crate::terminal::Terminal;

/// What to explain.
#[derive(Debug, Args)]
pub struct Options {
    /// The name of a rule, check, attack, detector or action; all names when absent.
    name: Option<String>,
}

/// Every room of the house, in order of name.
pub fn rooms() -> Vec<&'static About> {
    let mut rooms = mantlet_rules::abouts();
    rooms.extend(mantlet_deps::abouts());
    rooms.extend(mantlet_datachecks::abouts());
    rooms.extend(mantlet_drift::abouts());
    rooms.extend(mantlet_attacks::abouts());
    rooms.extend(mantlet_detectors::abouts());
    rooms.extend(mantlet_respond::abouts());
    rooms.extend(mantlet_yara::abouts());
    rooms.sort_by_key(|about| about.name);
    rooms
}

/// Runs the command.
///
/// # Errors
/// When no room has that name.
pub fn run(terminal: Terminal, options: Options) -> anyhow::Result<ExitCode> {
    let rooms = rooms();
    let Some(name) = options.name else {
        let width = rooms.iter().map(|about| about.name.len()).max().unwrap_or(0);
        let lines: Vec<String> = rooms.iter().map(|a| format!("{:width$}  {}", a.name, a.title)).collect();
        terminal.say(&lines.join("\n"));
        return Ok(ExitCode::SUCCESS);
    };
    let Some(about) = rooms.iter().find(|about| about.name == name) else {
        let far = |about: &&&About| strsim::damerau_levenshtein(about.name, &name);
        // A name of which every other letter is another is no slip of the hand.
        let nearest = rooms.iter().min_by_key(far).filter(|about| far(about) <= name.chars().count() / 2);
        let hint =
            nearest.map_or_else(|| ";".to_owned(), |about| format!("; did you mean `{}`?", about.name));
        return Err(
            Usage(format!("nothing is called `{name}`{hint} `mantlet explain` lists every name")).into()
        );
    };
    terminal.say(&text(terminal, about));
    Ok(ExitCode::SUCCESS)
}

fn text(terminal: Terminal, about: &About) -> String {
    let parts = about.explanation();
    let mut text = format!("{}\n{}\n", terminal.heading(about.name), about.title);
    for (title, body) in [
        ("What it sees", parts.sees),
        ("Why it matters", parts.why),
        ("What to do", parts.help),
        ("References", parts.references),
    ] {
        let _ = write!(text, "\n{}\n{body}\n", terminal.heading(title));
    }
    let ids: Vec<String> = about
        .atlas
        .iter()
        .chain(about.owasp)
        .map(|id| format!("{id} {}", catalogue::title(id).unwrap_or("")))
        .collect();
    let _ = write!(
        text,
        "\n{}\nseverity {}, impact {}, confidence {}\n{} ({})\n",
        terminal.heading("Mapping"),
        about.severity,
        about.impact,
        about.confidence,
        ids.join("; "),
        catalogue::ATLAS_EDITION
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_room_of_the_house_is_in_order() {
        let faults = About::faults(&rooms());
        assert!(faults.is_empty(), "{faults:#?}");
        assert!(rooms().len() > 30);
    }
}
