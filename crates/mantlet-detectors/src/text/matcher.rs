//! Many patterns over a text that may still be growing: which matches are final, and which prefix is still open.
//!
//! One anchored automaton of all patterns is started at every byte. Whole texts and streams take the same way, so
//! what is found does not depend on how a text was cut: a start is left behind only when its automaton is dead, has
//! read [`HOLD`] bytes, or the text has ended.

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind, nfa::thompson};

use super::rooms::Room;

mod trace;

use self::trace::{Trace, add_end};

/// The longest match, in bytes of the text as it is matched. A pattern that goes on is cut into
/// matches of this length; nothing else is longer.
pub const HOLD: usize = 4096;

/// The memory an automaton may take, in bytes.
const AUTOMATON: usize = 8 << 20;

/// Bytes after which a start's states are remembered, so that later starts that come into the same state need not
/// go the same way again: without that, a text of nothing but beginnings would take [`HOLD`] steps a byte.
const REMEMBERED_FROM: usize = 64;

/// The score of what matched, and how many bytes at its beginning are only context; `None` when it is not what it
/// looks like. A score of nought is no find, and says that nothing within is one of the same room either.
pub(crate) type Check = fn(&[u8]) -> Option<(f64, usize)>;

/// One pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    /// Whose it is.
    pub(crate) room: Room,
    /// What it stands for, in words.
    pub(crate) label: String,
    /// The word a placeholder is made from.
    pub(crate) tag: &'static str,
    /// A byte-oriented regular expression.
    pub(crate) regex: String,
    /// The second look.
    pub(crate) check: Check,
    /// Of all matches from one start only the longest counts, whether or not it stands the second look.
    pub(crate) longest: bool,
    /// A match that reaches [`HOLD`] is taken as it is, and what follows belongs to it while it fits.
    pub(crate) goes_on: bool,
}

impl Pattern {
    pub(crate) fn new(room: Room, label: &str, tag: &'static str, regex: &str, check: Check) -> Self {
        Self {
            room,
            label: label.to_owned(),
            tag,
            regex: regex.to_owned(),
            check,
            longest: false,
            goes_on: false,
        }
    }
}

/// A match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Found {
    pub(crate) pattern: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) score: f64,
}

/// How far a matcher is in one text. Offsets count from the start of the text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cursor {
    /// Nothing before it can become part of a match any more.
    pub(crate) start: usize,
    at: usize,
    state: Option<StateID>,
    ends: Vec<(usize, usize)>,
    goes_on: bool,
    trace: Trace,
    /// This start's states are what is remembered.
    recording: bool,
    /// Steps taken, for tests of cost.
    #[cfg(test)]
    steps: usize,
}

/// Patterns compiled into one automaton.
#[derive(Debug)]
pub(crate) struct Matcher {
    dfa: dense::DFA<Vec<u32>>,
    pub(crate) patterns: Vec<Pattern>,
    /// The start state by the byte before, the last for none.
    starts: Vec<StateID>,
    /// The group of start states by the byte before, and by group which bytes begin anything.
    groups: Vec<u8>,
    begins: Vec<[bool; 256]>,
}

/// Patterns that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the patterns cannot be compiled within {AUTOMATON} bytes: {why}")]
pub struct Uncompilable {
    /// What the compiler says.
    pub why: String,
}

impl Matcher {
    /// `unicode`: whether `.`, classes and case mean characters rather than bytes.
    pub(crate) fn new(patterns: Vec<Pattern>, unicode: bool) -> Result<Self, Uncompilable> {
        let regexes: Vec<&str> = patterns.iter().map(|pattern| pattern.regex.as_str()).collect();
        let dfa = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .match_kind(MatchKind::All)
                    .start_kind(StartKind::Anchored)
                    .dfa_size_limit(Some(AUTOMATON))
                    .determinize_size_limit(Some(AUTOMATON)),
            )
            .syntax(syntax::Config::new().unicode(unicode).utf8(unicode))
            .thompson(thompson::Config::new().utf8(unicode).nfa_size_limit(Some(AUTOMATON)))
            .build_many(&regexes)
            .map_err(|error| Uncompilable { why: error.to_string() })?;
        let mut starts = Vec::with_capacity(257);
        for before in (0..=255).map(Some).chain([None]) {
            let config = start::Config::new().look_behind(before).anchored(Anchored::Yes);
            starts.push(dfa.start_state(&config).map_err(|error| Uncompilable { why: error.to_string() })?);
        }
        let (mut groups, mut known, mut begins) = (Vec::new(), Vec::new(), Vec::new());
        for &state in &starts {
            let group = known.iter().position(|&other| other == state).unwrap_or_else(|| {
                known.push(state);
                let mut table = [false; 256];
                for (byte, begins) in (0..=255).zip(&mut table) {
                    *begins = !dfa.is_dead_state(dfa.next_state(state, byte));
                }
                begins.push(table);
                known.len() - 1
            });
            groups.push(u8::try_from(group).unwrap_or(0));
        }
        Ok(Self { dfa, patterns, starts, groups, begins })
    }

    /// Bytes the automaton takes.
    pub(crate) fn memory(&self) -> usize {
        self.dfa.memory_usage()
    }

    /// Reads on as far as `text` goes, which begins `base` bytes into the whole and `before` the byte before it.
    /// `last`: the text ends here. Final matches are added to `found`, in order of their start.
    pub(crate) fn advance(
        &self,
        cursor: &mut Cursor,
        text: &[u8],
        base: usize,
        before: Option<u8>,
        last: bool,
        found: &mut Vec<Found>,
    ) {
        let end = base + text.len();
        loop {
            let mut state = match cursor.state {
                Some(state) => state,
                None => {
                    let Some((start, state)) = self.next_start(cursor.start, text, base, before) else {
                        cursor.start = end;
                        return;
                    };
                    cursor.start = start;
                    cursor.at = start;
                    cursor.ends.clear();
                    cursor.goes_on = false;
                    cursor.recording = false;
                    state
                }
            };
            let mut dead = false;
            let mut full = false;
            while cursor.at < end {
                let byte = text[cursor.at - base];
                if cursor.at - cursor.start >= HOLD && byte & 0xc0 != 0x80 {
                    full = true;
                    break;
                }
                state = self.dfa.next_state(state, byte);
                #[cfg(test)]
                {
                    cursor.steps += 1;
                }
                if self.dfa.is_special_state(state) {
                    if self.dfa.is_match_state(state) {
                        self.note(state, cursor);
                    } else if self.dfa.is_dead_state(state) || self.dfa.is_quit_state(state) {
                        dead = true;
                        break;
                    }
                }
                if cursor.at - cursor.start >= REMEMBERED_FROM && !cursor.goes_on {
                    if let Some(ahead) = self.follow(cursor, state) {
                        let Some(ahead) = ahead else {
                            dead = true;
                            break;
                        };
                        state = ahead;
                        continue;
                    }
                    remember(cursor, state);
                }
                cursor.at += 1;
            }
            if !cursor.goes_on && (dead || full) {
                close(cursor, dead);
            }
            if full && self.cut(state, cursor, found) {
                continue;
            }
            if !dead && !full {
                if !last {
                    cursor.state = Some(state);
                    return;
                }
                let state = self.dfa.next_eoi_state(state);
                if self.dfa.is_match_state(state) {
                    self.note(state, cursor);
                }
            }
            self.settle(cursor, text, base, found);
        }
    }

    /// The next place from which anything can begin.
    fn next_start(
        &self,
        from: usize,
        text: &[u8],
        base: usize,
        before: Option<u8>,
    ) -> Option<(usize, StateID)> {
        let rest = text.get(from - base..)?;
        let mut index = match from.checked_sub(base + 1) {
            Some(at) => usize::from(text[at]),
            None => before.map_or(256, usize::from),
        };
        for (offset, &byte) in rest.iter().enumerate() {
            if self.begins[usize::from(self.groups[index])][usize::from(byte)] {
                return Some((from + offset, self.starts[index]));
            }
            index = usize::from(byte);
        }
        None
    }

    /// What is found from one start, with nothing remembered.
    #[cfg(test)]
    fn one(&self, cursor: &mut Cursor, text: &[u8], found: &mut Vec<Found>) {
        let start = cursor.start;
        if self.next_start(start, text, 0, None).is_none_or(|(first, _)| first != start) {
            return;
        }
        let mut all = Vec::new();
        let end = text.len().min(start + HOLD + 1);
        self.advance(cursor, &text[..end], 0, None, end == text.len(), &mut all);
        found.extend(all.into_iter().filter(|found| found.start == start));
    }

    fn note(&self, state: StateID, cursor: &mut Cursor) {
        for index in 0..self.dfa.match_len(state) {
            let pattern = self.dfa.match_pattern(state, index).as_usize();
            if cursor.at <= cursor.start || (cursor.goes_on && !self.patterns[pattern].goes_on) {
                continue;
            }
            add_end(&mut cursor.ends, pattern, cursor.at);
        }
    }

    /// When an earlier start was in this state at this byte, its way is this start's too: `Some(None)` when it led
    /// nowhere, else the state from which to go on where it stopped.
    fn follow(&self, cursor: &mut Cursor, state: StateID) -> Option<Option<StateID>> {
        if cursor.recording || !cursor.trace.has(cursor.at, state) {
            return None;
        }
        for &(pattern, end) in cursor.trace.ends.iter().filter(|(_, end)| *end > cursor.at) {
            // Not beyond what this start may read; it may read further than the earlier one.
            add_end(&mut cursor.ends, pattern, end);
        }
        if cursor.trace.dead {
            return Some(None);
        }
        cursor.at = cursor.trace.end();
        cursor.recording = true;
        Some(cursor.trace.states.last().copied())
    }

    /// Takes what was read of a pattern that goes on as a match, and goes on from there in the same state.
    fn cut(&self, state: StateID, cursor: &mut Cursor, found: &mut Vec<Found>) -> bool {
        let goes_on = cursor.ends.iter().rev().find(|(pattern, _)| self.patterns[*pattern].goes_on);
        let Some(&(pattern, _)) = goes_on else { return false };
        found.push(Found { pattern, start: cursor.start, end: cursor.at, score: 1.0 });
        cursor.start = cursor.at;
        cursor.state = Some(state);
        cursor.ends.clear();
        cursor.goes_on = true;
        cursor.trace = Trace::default();
        true
    }

    /// The automaton of this start is done: what it found is final.
    fn settle(&self, cursor: &mut Cursor, text: &[u8], base: usize, found: &mut Vec<Found>) {
        // The longest first; of equals the pattern that stands first in the list.
        cursor.ends.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let first = found.len();
        let mut next = cursor.start + 1;
        for (index, &(pattern, end)) in cursor.ends.iter().enumerate() {
            let of = &self.patterns[pattern];
            let longer = || cursor.ends[..index].iter().any(|(other, _)| *other == pattern);
            let before =
                found[first..].iter().position(|found| found.pattern == pattern).map(|at| at + first);
            if before.is_some_and(|at| found[at].score > 0.0) || (of.longest && longer()) {
                continue;
            }
            let said = if cursor.goes_on {
                Some((1.0, 0))
            } else {
                text.get(cursor.start - base..end - base).and_then(of.check)
            };
            let Some((score, skip)) = said else { continue };
            match before {
                Some(at) if score > 0.0 => {
                    found[at] = Found { pattern, start: cursor.start + skip, end, score }
                }
                Some(_) => {}
                None => found.push(Found { pattern, start: cursor.start + skip, end, score }),
            }
            if of.goes_on {
                next = next.max(end);
            }
        }
        cursor.start = next;
        cursor.state = None;
    }
}

/// Remembers the state after the byte at `cursor.at`, unless an earlier way is remembered there.
fn remember(cursor: &mut Cursor, state: StateID) {
    let trace = &mut cursor.trace;
    if !cursor.recording {
        if cursor.at < trace.end() {
            return;
        }
        trace.from = cursor.at;
        trace.states.clear();
        trace.ends.clear();
        trace.dead = false;
        cursor.recording = true;
    }
    trace.states.push(state);
}

/// This start is done: its way is remembered with what it found.
fn close(cursor: &mut Cursor, dead: bool) {
    if cursor.recording {
        for &(pattern, end) in &cursor.ends {
            add_end(&mut cursor.trace.ends, pattern, end);
        }
        cursor.trace.dead = dead;
        // What every later start has left behind.
        let gone = cursor.start.saturating_sub(cursor.trace.from).min(cursor.trace.states.len());
        cursor.trace.states.drain(..gone);
        cursor.trace.from += gone;
    }
}

#[cfg(test)]
mod tests;
