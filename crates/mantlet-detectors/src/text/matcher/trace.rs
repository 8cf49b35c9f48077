//! What a matcher remembers of the way an earlier start went.

use regex_automata::util::primitives::StateID;

/// Ends remembered of one pattern at one start: the last ones.
const ENDS: usize = 16;

/// The way of an earlier start: the state after each byte from `from` on, what it found, and how it ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    pub(super) from: usize,
    pub(super) states: Vec<StateID>,
    pub(super) ends: Vec<(usize, usize)>,
    pub(super) dead: bool,
}

impl Trace {
    pub(super) fn end(&self) -> usize {
        self.from + self.states.len()
    }

    pub(super) fn has(&self, at: usize, state: StateID) -> bool {
        at.checked_sub(self.from).and_then(|index| self.states.get(index)) == Some(&state)
    }
}

/// Adds an end; of one pattern only the last ones are kept.
pub(super) fn add_end(ends: &mut Vec<(usize, usize)>, pattern: usize, at: usize) {
    if ends.contains(&(pattern, at)) {
        return;
    }
    if ends.iter().filter(|(other, _)| *other == pattern).count() == ENDS
        && let Some(oldest) = ends.iter().position(|(other, _)| *other == pattern)
    {
        ends.remove(oldest);
    }
    ends.push((pattern, at));
}
