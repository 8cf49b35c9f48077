//! The recorded stream of an attack, and how it is kept in a file: one JSON value a line, the first about the whole.

use mantlet_vocab::NamedValue;
use serde::{Deserialize, Serialize};

/// The recorded stream of a confirmed attack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trace {
    /// Id of the case.
    pub case: String,
    /// Name of the attack, when known.
    pub attack: String,
    /// Its queries in order.
    pub rows: Vec<TraceRow>,
}

/// One query of an attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceRow {
    /// The inputs, one row.
    pub inputs: Vec<NamedValue>,
    /// The label the model gave, when it was asked.
    pub label: Option<usize>,
    /// How far its best score was above the next, as shares of 1, when it gave scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f32>,
    /// Whether the attack succeeded with this row.
    pub success: bool,
}

/// Why a text is no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// A line cannot be read.
    #[error(
        "line {line} of the trace cannot be read: {reason}; record it again with `mantlet attack run --keep`"
    )]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It has no first line.
    #[error("the trace is empty; record it again with `mantlet attack run --keep`")]
    Empty,
    /// It is longer than what is read.
    #[error("the trace has more than {limit} rows; cut it")]
    Long {
        /// The most rows.
        limit: usize,
    },
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    trace: u32,
    case: String,
    attack: String,
}

/// The most rows read.
const ROWS: usize = 200_000;

impl Trace {
    /// As lines, the last one ended too.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let head = Head { trace: 1, case: self.case.clone(), attack: self.attack.clone() };
        let lines =
            std::iter::once(serde_json::to_string(&head)).chain(self.rows.iter().map(serde_json::to_string));
        lines.filter_map(Result::ok).fold(String::new(), |text, line| text + &line + "\n")
    }

    /// Reads the lines again; empty ones are passed over.
    ///
    /// # Errors
    /// When a line is something else, or there are too many.
    pub fn from_lines(text: &str) -> Result<Self, TraceError> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let wrong = |line: usize, error: serde_json::Error| TraceError::Line {
            line: line + 1,
            reason: error.to_string(),
        };
        let (at, first) = lines.next().ok_or(TraceError::Empty)?;
        let head: Head = serde_json::from_str(first).map_err(|error| wrong(at, error))?;
        let mut trace = Self { case: head.case, attack: head.attack, rows: Vec::new() };
        for (at, line) in lines {
            if trace.rows.len() == ROWS {
                return Err(TraceError::Long { limit: ROWS });
            }
            trace.rows.push(serde_json::from_str(line).map_err(|error| wrong(at, error))?);
        }
        Ok(trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::{Tensor, Value};

    #[test]
    fn a_trace_is_read_as_it_was_written_and_anything_else_is_refused() {
        let value = Value::F32(Tensor::new([1, 2], vec![0.1, -3.5e-7]).unwrap());
        let row = |label, success| TraceRow {
            inputs: vec![NamedValue { name: "x".into(), value: value.clone() }],
            label,
            margin: label.map(|_| 0.25),
            success,
        };
        let trace = Trace {
            case: "case-1".into(),
            attack: "evasion-square".into(),
            rows: vec![row(Some(3), false), row(None, true)],
        };
        let text = trace.to_lines();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(Trace::from_lines(&text).unwrap(), trace);
        assert_eq!(Trace::from_lines(" \n\n"), Err(TraceError::Empty));
        assert!(matches!(Trace::from_lines("{}"), Err(TraceError::Line { line: 1, .. })));
        let broken = format!("{text}\n{{\"inputs\": 3}}\n");
        assert!(matches!(Trace::from_lines(&broken), Err(TraceError::Line { line: 5, .. })));
    }
}
