//! An incident as text: for a terminal, a mail at three in the morning, or a ticket.

use std::fmt::Write as _;

use crate::alert::AlertKind;
use crate::incident::Incident;
use crate::step::lasting;

/// Columns of plain text.
const WIDTH: usize = 78;
/// Lines of the timeline in texts; the whole of it is in the incident.
const MOST_LINES: usize = 40;

impl Incident {
    /// One line for subject lines and lists: `[high] cheque reader: key k-12 is feeling for ...`.
    #[must_use]
    pub fn subject_line(&self) -> String {
        one_line(&format!("[{}] {}", self.impact, self.title))
    }

    /// The incident as plain text: the five answers first, details and timeline under them.
    #[must_use]
    pub fn plain(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "{}", one_line(&self.title));
        let _ = writeln!(text, "{}, {} impact, {}\n", self.id, self.impact, self.state.word());
        for (question, answer) in self.five.pairs() {
            let _ = writeln!(text, "{}", question.to_uppercase());
            let list = answer.contains('\n');
            for line in answer.lines() {
                text.push_str(&wrapped(line, if list { "  - " } else { "  " }));
            }
            text.push('\n');
        }
        text.push_str("DETAILS\n");
        for line in self.details() {
            text.push_str(&wrapped(&line, "  "));
        }
        text.push_str("\nTIMELINE\n");
        for line in self.timeline_lines() {
            text.push_str(&wrapped(&line, "  "));
        }
        text
    }

    /// The incident as Markdown, for tickets and chat.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "# {}\n", escaped(&one_line(&self.title)));
        let _ = writeln!(text, "`{}`, {} impact, {}\n", self.id, self.impact, self.state.word());
        for (question, answer) in self.five.pairs() {
            let _ = writeln!(text, "## {question}\n");
            let list = answer.contains('\n');
            for line in answer.lines() {
                let _ = writeln!(text, "{}{}", if list { "- " } else { "" }, escaped(line));
            }
            text.push('\n');
        }
        text.push_str("## Details\n\n");
        for line in self.details() {
            let _ = writeln!(text, "- {}", escaped(&line));
        }
        text.push_str("\n## Timeline\n\n");
        for line in self.timeline_lines() {
            let _ = writeln!(text, "- {}", escaped(&line));
        }
        text
    }

    /// Figures, terms and ids, a line each.
    #[must_use]
    pub fn details(&self) -> Vec<String> {
        let times = self.times();
        let mut lines = vec![
            format!("kind {}, confidence {}, mode {:?}", self.kind, self.confidence, self.mode)
                .to_lowercase(),
            format!("opened {}", self.opened),
        ];
        if self.kind.is_live() {
            lines.push(format!(
                "time to detect: at most {} and {} requests",
                precise(times.detect_ms),
                times.detect_queries
            ));
        }
        lines.push(match (times.contain_ms, times.contain_queries) {
            (Some(ms), Some(queries)) => {
                format!("time to contain: {} and {queries} requests after that", precise(ms))
            }
            _ => "time to contain: not contained".to_owned(),
        });
        lines.push(format!("alerts: {}", self.alerts));
        for signal in &self.signals {
            lines.push(format!(
                "{} {:.2} (confidence {}): {}",
                signal.name, signal.score, signal.confidence, signal.message
            ));
        }
        if self.kind == AlertKind::Profile || self.signals.is_empty() {
            lines.extend(self.noticed.iter().cloned());
        }
        for (name, value) in self.figures() {
            lines.push(format!("{name}: {value}"));
        }
        if !self.cases.is_empty() {
            lines.push(format!("replayable cases: {}", self.cases.join(", ")));
        }
        if !self.exchanges.is_empty() {
            let shown: Vec<&str> = self.exchanges.iter().rev().take(10).map(String::as_str).collect();
            lines.push(format!("latest of {} decisions in doubt: {}", self.in_doubt, shown.join(", ")));
        }
        let ids: Vec<String> = self
            .kind
            .ids()
            .iter()
            .map(|id| format!("{id} {}", mantlet_vocab::catalogue::title(id).unwrap_or_default()))
            .collect();
        if !ids.is_empty() {
            lines.push(ids.join("; "));
        }
        lines
    }

    /// Named figures that are words or numbers; pictures are drawn where there is room for them.
    pub fn figures(&self) -> impl Iterator<Item = (&String, &serde_json::Value)> {
        self.facts.iter().filter(|(name, _)| !name.starts_with("picture"))
    }

    fn timeline_lines(&self) -> Vec<String> {
        let cut = self.timeline.len().saturating_sub(MOST_LINES);
        let mut lines = Vec::new();
        if cut > 0 {
            lines.push(format!("({cut} earlier lines left out)"));
        }
        for entry in self.timeline.iter().skip(cut) {
            lines.push(format!("{}  {}: {}", entry.at, entry.actor, entry.what));
        }
        lines
    }
}

fn precise(millis: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    if millis < 120_000 { format!("{:.1} s", millis as f64 / 1_000.0) } else { lasting(millis) }
}

/// Control characters never reach a terminal, a header or a ticket.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Keeps what callers and files named themselves from becoming markup; commands stay code.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut code = false;
    for c in one_line(text).chars() {
        code ^= c == '`';
        if !code && matches!(c, '<' | '>' | '[' | ']' | '*' | '_' | '#' | '|') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The text wrapped at [`WIDTH`], the first line led by `lead`, the others indented alike. What stands in
/// backticks is not broken, so that it can be copied.
fn wrapped(text: &str, lead: &str) -> String {
    let indent = " ".repeat(lead.chars().count());
    let mut out = String::new();
    let mut line = lead.to_owned();
    let mut empty = true;
    for word in unbroken(&one_line(text)) {
        let length = line.chars().count() + 1 + word.chars().count();
        if !empty && length > WIDTH {
            let _ = writeln!(out, "{}", line.trim_end());
            line.clone_from(&indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(&word);
        empty = false;
    }
    let _ = writeln!(out, "{}", line.trim_end());
    out
}

fn unbroken(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if open => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        if word.matches('`').count() % 2 == 1 {
            open = !open;
        }
    }
    words
}
