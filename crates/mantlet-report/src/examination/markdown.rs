//! For tickets and pull requests: Markdown in which foreign text can be nothing but text.

use std::fmt::Write as _;

use mantlet_vocab::{Examination, Finding};

use super::{Style, all_gaps, summary};
use crate::words::clean_line;

pub(super) fn write(examination: &Examination, style: Style<'_>) -> String {
    let mut out = String::new();
    let verdict = examination.verdict(style.threshold);
    let _ = writeln!(out, "# Examination: {}\n\n{}.\n", verdict.word(), summary(examination));
    if !examination.findings.is_empty() {
        out.push_str("## Findings\n\n");
        for finding in &examination.findings {
            write_finding(&mut out, finding);
        }
    }
    let gaps = all_gaps(examination);
    if !gaps.is_empty() {
        out.push_str("## Not examined\n\n| What | Why | Remedy |\n|---|---|---|\n");
        for gap in &gaps {
            let _ = writeln!(out, "| {} | {} | {} |", plain(&gap.what), plain(&gap.why), plain(&gap.remedy));
        }
        out.push('\n');
    }
    if !examination.artifacts.is_empty() {
        out.push_str("## Artifacts\n\n| File | Recognised as | Size | SHA-256 |\n|---|---|---:|---|\n");
        for artifact in &examination.artifacts {
            let digest = artifact
                .digest
                .map_or_else(|| "not read to the end".to_owned(), |digest| code(&digest.hex()));
            let formats = plain(&artifact.formats.join(", "));
            let _ = writeln!(
                out,
                "| {} | {formats} | {} | {digest} |",
                plain(&artifact.path),
                crate::bytes(artifact.size)
            );
        }
    }
    out
}

fn write_finding(out: &mut String, finding: &Finding) {
    let _ = writeln!(out, "### {}: {}\n", finding.severity, plain(&finding.title));
    let _ = writeln!(out, "{} at {}\n", plain(&finding.message), code(&finding.place.to_string()));
    if !finding.trace.is_empty() {
        let lines: Vec<String> = finding.trace.iter().map(|line| clean_line(line)).collect();
        let fence = "`".repeat(longest_run(&lines.join("\n")).max(2) + 1);
        let _ = writeln!(out, "{fence}text\n{}\n{fence}\n", lines.join("\n"));
    }
    let ids: Vec<String> = finding.atlas.iter().chain(&finding.owasp).map(|id| plain(id)).collect();
    let ids = if ids.is_empty() { String::new() } else { format!(" ({})", ids.join(", ")) };
    let _ = writeln!(out, "- **Why it matters:** {}{ids}", plain(&finding.why));
    let _ = writeln!(out, "- **What to do:** {}", plain(&finding.help));
    let _ = writeln!(out, "- **How sure:** {}", finding.confidence);
    let _ = writeln!(out, "- **More:** {}\n", code(&format!("mantlet explain {}", finding.name)));
}

/// Text in which nothing is markup: Markdown punctuation is escaped, angle brackets and ampersands become
/// entities, mentions and autolinks are broken.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in clean_line(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            ':' => out.push_str("&#58;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|' | '~'
            | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // A bare `www.` is an autolink in GitHub's dialect.
    out.replace("www.", "www&#46;").replace("WWW.", "WWW&#46;")
}

/// A code span whose fence is longer than any run inside; a pipe would end a table cell.
fn code(text: &str) -> String {
    let text = clean_line(text).replace('|', "\u{a6}");
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.trim().is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}
