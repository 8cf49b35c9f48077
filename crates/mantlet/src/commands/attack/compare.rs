//! `mantlet attack compare`: an earlier run of the battery beside later ones.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use mantlet_redteam::{Comparison, ProbeReport, Trend, compare};
use mantlet_vocab::Verdict;

use crate::exit;
use crate::terminal::{Terminal, deliver};

/// The runs to compare, each written by `mantlet attack run --json --output FILE`.
#[derive(Debug, Args)]
pub struct CompareOptions {
    /// The earlier run.
    before: PathBuf,
    /// The later run; with several of them, rows that do not end the same in all are told as flaky.
    #[arg(required = true)]
    after: Vec<PathBuf>,
    /// Print the comparison as JSON.
    #[arg(long)]
    json: bool,
    /// Write what is printed here.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs `mantlet attack compare`: found when a probe is worse, not fully examined when one cannot be compared.
///
/// # Errors
/// When a file cannot be read or is no run.
pub fn run(terminal: Terminal, options: &CompareOptions) -> anyhow::Result<ExitCode> {
    let before = read(&options.before)?;
    let after: Vec<_> = options.after.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let found = compare(&before, &after);
    let text = if options.json { serde_json::to_string_pretty(&found)? } else { table(&found) };
    deliver(terminal, &text, options.output.as_deref())?;
    Ok(exit::verdict(verdict(&found)))
}

fn read(path: &Path) -> anyhow::Result<Vec<ProbeReport>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is no run of the battery: write one with `mantlet attack run --json --output`",
            path.display()
        )
    })
}

fn verdict(found: &[Comparison]) -> Verdict {
    if found.iter().any(|one| one.trend == Trend::Worse) {
        Verdict::Found
    } else if found.is_empty()
        // Rows that hold only before an attack that is led astray are not shown to hold.
        || found.iter().any(|one| one.trend == Trend::NotComparable || one.doubted.is_some())
    {
        Verdict::NotFullyExamined
    } else {
        Verdict::Clean
    }
}

fn table(found: &[Comparison]) -> String {
    let mut text = String::new();
    for one in found {
        let word = match one.trend {
            Trend::Worse => "worse",
            Trend::Better => "better",
            Trend::Flaky => "flaky",
            Trend::Same => "same",
            Trend::NotComparable => "not comparable",
        };
        let _ = writeln!(text, "{} {}: {word}", one.probe, one.config);
        let _ = writeln!(text, "  {}", one.sentence);
        if one.trend != Trend::NotComparable {
            let share = |share: mantlet_attacks::Interval| {
                format!("{:.3} [{:.3}, {:.3}]", share.value, share.low, share.high)
            };
            let _ = writeln!(text, "  hits before {}, now {}", share(one.before), share(one.after));
        }
        for (word, rows) in [("new", &one.new), ("fixed", &one.fixed), ("flaky", &one.flaky)] {
            if !rows.is_empty() {
                let shown: Vec<String> = rows.iter().take(20).map(ToString::to_string).collect();
                let more = if rows.len() > 20 { ", ..." } else { "" };
                let _ = writeln!(text, "  {word}: rows {}{more}", shown.join(", "));
            }
        }
    }
    text
}
