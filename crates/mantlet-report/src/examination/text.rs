//! For a terminal: what it is called, what was seen, where exactly, why care, what now.

use std::fmt::Write as _;

use mantlet_vocab::{Confidence, Examination, Finding, Severity, Verdict};

use super::{Style, all_gaps, summary};
use crate::words::clean_line;

const BOLD: &str = "1";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const BLUE: &str = "1;34";
const GREEN: &str = "1;32";

struct Ink(bool);

impl Ink {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

const fn colour_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Malicious => RED,
        Severity::Suspicious => YELLOW,
        Severity::Note => BLUE,
    }
}

pub(super) fn write(examination: &Examination, style: Style<'_>) -> String {
    let ink = Ink(style.colour);
    let mut out = String::new();
    for finding in &examination.findings {
        write_finding(&mut out, finding, &ink);
    }
    for gap in all_gaps(examination) {
        let _ = writeln!(out, "{}: {}", ink.paint(YELLOW, "not examined"), clean_line(&gap.what));
        field(&mut out, &ink, "why", &gap.why);
        field(&mut out, &ink, "help", &gap.remedy);
        out.push('\n');
    }
    // Of many files this would be noise; the other forms have it for each.
    if let [artifact] = examination.artifacts.as_slice() {
        for (kind, values) in &artifact.said {
            let _ =
                writeln!(out, "{} {}: {}", ink.paint(BLUE, "it says"), kind, clean_line(&values.join(", ")));
        }
    }
    let verdict = examination.verdict(style.threshold);
    let colour = match verdict {
        Verdict::Clean => GREEN,
        Verdict::Found => RED,
        Verdict::NotFullyExamined => YELLOW,
    };
    let _ = writeln!(out, "{}: {}", ink.paint(colour, verdict.word()), summary(examination));
    out
}

fn write_finding(out: &mut String, finding: &Finding, ink: &Ink) {
    let head = format!("{}[{}]", finding.severity, clean_line(&finding.name));
    let _ = writeln!(
        out,
        "{}{}",
        ink.paint(colour_of(finding.severity), &head),
        ink.paint(BOLD, &format!(": {}", clean_line(&finding.title)))
    );
    let _ = writeln!(out, "  {} {}", ink.paint(BLUE, "-->"), clean_line(&finding.place.to_string()));
    let bar = ink.paint(BLUE, "|");
    for line in &finding.trace {
        let _ = writeln!(out, "   {bar}  {}", clean_line(line).trim_end());
    }
    let message = clean_line(&finding.message);
    match finding.trace.as_slice() {
        [only] => {
            let (indent, width) = underline(&clean_line(only));
            let carets = ink.paint(colour_of(finding.severity), &"^".repeat(width));
            let _ = writeln!(out, "   {bar}  {}{carets} {message}", " ".repeat(indent));
        }
        [] => {
            let _ = writeln!(out, "   {bar}  {message}");
        }
        _ => field(out, ink, "seen", &finding.message),
    }
    let ids: Vec<&str> = finding.atlas.iter().chain(&finding.owasp).map(String::as_str).collect();
    let ids = if ids.is_empty() { String::new() } else { format!(" ({})", ids.join(", ")) };
    field(out, ink, "why", &format!("{}{ids}", finding.why));
    field(out, ink, "help", &finding.help);
    if finding.confidence != Confidence::High {
        field(out, ink, "confidence", finding.confidence.word());
    }
    field(out, ink, "more", &format!("mantlet explain {}", finding.name));
    out.push('\n');
}

/// Where carets go under a trace line: past its offset column, as wide as the rest.
fn underline(line: &str) -> (usize, usize) {
    let line = line.trim_end();
    let total = line.chars().count();
    let start = line.strip_prefix("0x").map_or(0, |rest| {
        let digits = rest.chars().take_while(char::is_ascii_hexdigit).count();
        let blanks = rest.chars().skip(digits).take_while(|c| *c == ' ').count();
        if blanks == 0 { 0 } else { 2 + digits + blanks }
    });
    (start.min(total), (total - start.min(total)).clamp(1, 72))
}

fn field(out: &mut String, ink: &Ink, name: &str, text: &str) {
    let text = clean_line(text);
    if !text.trim().is_empty() {
        let _ = writeln!(out, "   {} {}", ink.paint(BLUE, "="), format_args!("{name}: {}", text.trim()));
    }
}
