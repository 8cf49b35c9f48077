//! The schema that a table keeps: what every one of its rows has in common, to be read, corrected and pinned.

use std::collections::BTreeMap;

use super::judge::{Lane, is_time, number};
use super::promise::{Column, Holds, SCHEMA_VERSION, Schema, Unique};
use crate::datacheck::share;

/// Different words counted of a column.
const WORDS: usize = 10_000;
/// Words of a closed list at most.
const CLOSED: usize = 64;
/// Rows from which on a list of words, a key or a spelling is believed.
const ROWS: u64 = 200;
/// Runs of letters of one kind in a spelling.
const RUNS: usize = 12;

/// What was seen of one column.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    rows: u64,
    missing: u64,
    numbers: u64,
    whole: u64,
    times: u64,
    bounds: Option<(f64, f64)>,
    span: Option<(String, String)>,
    words: BTreeMap<String, u64>,
    crowded: bool,
    longest: usize,
    shape: Option<Option<Shape>>,
}

/// Runs of one kind of letter: the kind, and the fewest and most letters of it.
type Shape = Vec<(char, usize, usize)>;

impl Seen {
    fn word(&mut self, word: &str, times: u64) {
        let word = word.trim();
        if let Some(number) = number(word).filter(|number| number.is_finite()) {
            self.numbers += times;
            self.whole += if number.fract() == 0.0 { times } else { 0 };
            let (low, high) = self.bounds.unwrap_or((number, number));
            self.bounds = Some((low.min(number), high.max(number)));
        } else if is_time(word) {
            self.times += times;
            let (first, last) = self.span.get_or_insert_with(|| (word.to_owned(), word.to_owned()));
            if word < first.as_str() {
                word.clone_into(first);
            } else if word > last.as_str() {
                word.clone_into(last);
            }
        }
        self.longest = self.longest.max(word.chars().count());
        if let Some(count) = self.words.get_mut(word) {
            *count += times;
        } else if self.words.len() < WORDS && word.len() <= 96 {
            self.words.insert(word.to_owned(), times);
        } else {
            self.crowded = true;
        }
        let own = shape(word);
        self.shape = Some(match self.shape.take() {
            None => own,
            Some(known) => known.zip(own).and_then(|(known, own)| joined(known, &own)),
        });
    }

    fn promise(self, name: &str) -> (Column, bool) {
        let filled = self.rows - self.missing;
        let kind = if filled == 0 {
            Holds::Words
        } else if self.whole == filled {
            Holds::Whole
        } else if self.numbers == filled {
            Holds::Numbers
        } else if self.times == filled {
            Holds::Times
        } else {
            Holds::Words
        };
        // As many again may be missing later; where none was, none may be.
        let missing = (share(self.missing, self.rows) * 2.0 * 1000.0).ceil() / 1000.0;
        let mut column =
            Column { name: name.to_owned(), kind, missing: missing.min(1.0), ..Column::default() };
        match kind {
            Holds::Numbers | Holds::Whole => {
                if let Some((low, high)) = self.bounds {
                    // Later rows may go beyond by as much as there was; what was never negative stays so.
                    let span = high - low;
                    let below = if low >= 0.0 { 0.0 } else { low - span };
                    column.range = Some([below, high + span]);
                }
            }
            Holds::Times => {}
            Holds::Words => {
                // A word seen once says that there are others; without one the list is closed (Good and Turing).
                let closed = !self.crowded && self.words.len() <= CLOSED;
                if filled >= ROWS && closed && self.words.values().all(|&count| count > 2) {
                    column.words = Some(self.words.keys().cloned().collect());
                } else if filled >= ROWS
                    && let Some(Some(shape)) = &self.shape
                {
                    column.pattern = Some(pattern(shape));
                } else if filled > 0 {
                    column.longest = Some(self.longest * 2);
                }
            }
        }
        let once = !self.crowded && self.words.len() as u64 == filled && self.missing == 0;
        let is_key = once && filled >= ROWS && matches!(kind, Holds::Whole | Holds::Words);
        (column, is_key)
    }
}

/// The runs of a word: digits `d`, capitals `A`, small letters `a`, anything else itself. Nothing for a text.
fn shape(word: &str) -> Option<Shape> {
    let mut runs: Shape = Vec::new();
    for letter in word.chars() {
        let kind = match letter {
            '0'..='9' => 'd',
            'A'..='Z' => 'A',
            'a'..='z' => 'a',
            ' ' => return None,
            other => other,
        };
        match runs.last_mut() {
            Some((last, low, high)) if *last == kind => {
                *low += 1;
                *high += 1;
            }
            _ => runs.push((kind, 1, 1)),
        }
        if runs.len() > RUNS {
            return None;
        }
    }
    // A word of letters alone is a word, no code.
    runs.iter().any(|(kind, ..)| *kind == 'd').then_some(runs)
}

fn joined(mut known: Shape, own: &Shape) -> Option<Shape> {
    if known.len() != own.len() {
        return None;
    }
    for ((kind, low, high), (other, least, most)) in known.iter_mut().zip(own) {
        if kind != other {
            return None;
        }
        *low = (*low).min(*least);
        *high = (*high).max(*most);
    }
    Some(known)
}

fn pattern(shape: &Shape) -> String {
    let run = |&(kind, low, high): &(char, usize, usize)| {
        let class = match kind {
            'd' => "[0-9]".to_owned(),
            'A' => "[A-Z]".to_owned(),
            'a' => "[a-z]".to_owned(),
            other if other.is_alphanumeric() => other.to_string(),
            other => format!(
                "[{}{other}]",
                if matches!(other, '^' | ']' | '\\' | '-' | '[' | '&' | '~') { "\\" } else { "" }
            ),
        };
        match (low, high) {
            (1, 1) => class,
            (low, high) if low == high => format!("{class}{{{low}}}"),
            (low, high) => format!("{class}{{{low},{high}}}"),
        }
    };
    shape.iter().map(run).collect()
}

/// Looks at a table to write down what it keeps.
#[derive(Debug, Clone)]
pub struct Inferring {
    names: Vec<String>,
    seen: Vec<Seen>,
}

impl Inferring {
    /// Starts with the columns of a table.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        let seen = vec![Seen::default(); names.len()];
        Self { names, seen }
    }

    /// Takes in a batch: a lane for each column.
    pub fn batch(&mut self, lanes: &[Lane<'_>]) {
        for (seen, lane) in self.seen.iter_mut().zip(lanes) {
            let mut times = vec![0_u64; lane.words.len()];
            for &key in lane.keys {
                seen.rows += 1;
                match times.get_mut(key as usize) {
                    Some(times) => *times += 1,
                    None => seen.missing += 1,
                }
            }
            for (word, times) in lane.words.iter().zip(times).filter(|(_, times)| *times > 0) {
                seen.word(word, times);
            }
        }
    }

    /// The schema.
    #[must_use]
    pub fn finish(self) -> Schema {
        let (mut columns, mut keys) = (Vec::new(), Vec::new());
        for (name, seen) in self.names.into_iter().zip(self.seen) {
            let (column, is_key) = seen.promise(&name);
            if is_key {
                keys.push(Unique { columns: vec![name] });
            }
            columns.push(column);
        }
        Schema {
            version: SCHEMA_VERSION,
            open: false,
            columns,
            keys,
            references: Vec::new(),
            orders: Vec::new(),
        }
    }
}
