//! Past decisions beside what another version says of the same inputs.

mod overturned;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use mantlet_vocab::{About, Finding, Place};

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// Decisions and second answers in, findings out.
    pub look: fn(&Redecided, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[Room { about: &overturned::ABOUT, look: overturned::look }]
}

/// Every finding of every room.
#[must_use]
pub fn look(redecided: &Redecided, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(redecided, place, &mut found);
    }
    Finding::sort(&mut found);
    found
}

/// A decision that was answered a second time.
#[derive(Debug, Clone, PartialEq)]
pub struct Redecision {
    /// Its identifier.
    pub id: String,
    /// When it was made, as it is told.
    pub at: String,
    /// Who asked.
    pub caller: String,
    /// The version that decided.
    pub version: String,
    /// What it said.
    pub then: String,
    /// What the other version says.
    pub now: String,
    /// The amount at stake, where one is named.
    pub amount: Option<f64>,
    /// Names of what the guard noticed at the time.
    pub signals: Vec<String>,
}

impl Redecision {
    /// Whether the two answers differ.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.then != self.now
    }
}

/// Decisions of a time, each with the answer of another version.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Redecided {
    /// The version that answered again.
    pub with: String,
    /// How many decisions it answered.
    pub decided: u64,
    /// How many of them another version than itself had made.
    pub foreign: u64,
    suspects: Vec<Redecision>,
    turns: BTreeMap<(String, String), Turn>,
}

/// Decisions that turn from one answer to another.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Turn {
    /// How many.
    pub decisions: u64,
    /// The sum of their amounts, where they are known.
    pub amount: f64,
    /// Those whose amount is known.
    pub with_amount: u64,
    /// Those at which the guard had noticed something.
    pub noticed: u64,
}

/// Suspects kept whole; all are counted.
const SUSPECTS: usize = 10_000;

impl Redecided {
    /// No decision yet.
    #[must_use]
    pub fn new(with: impl Into<String>) -> Self {
        Self { with: with.into(), ..Self::default() }
    }

    /// Takes a decision.
    pub fn take(&mut self, decision: Redecision) {
        self.decided += 1;
        self.foreign += u64::from(decision.version != self.with);
        if !decision.differs() {
            return;
        }
        let turn = self.turns.entry((decision.then.clone(), decision.now.clone())).or_default();
        turn.decisions += 1;
        turn.noticed += u64::from(!decision.signals.is_empty());
        if let Some(amount) = decision.amount.filter(|amount| amount.is_finite()) {
            turn.amount += amount;
            turn.with_amount += 1;
        }
        self.suspects.push(decision);
        if self.suspects.len() >= 2 * SUSPECTS {
            self.rank();
        }
    }

    fn rank(&mut self) {
        let amount = |one: &Redecision| one.amount.filter(|amount| amount.is_finite()).map_or(0.0, f64::abs);
        self.suspects.sort_by(|a, b| {
            amount(b).total_cmp(&amount(a)).then(b.signals.len().cmp(&a.signals.len())).then(a.id.cmp(&b.id))
        });
        self.suspects.truncate(SUSPECTS);
    }

    /// The decisions that turn: the largest amounts first, then those at which the guard noticed most.
    #[must_use]
    pub fn suspects(&mut self) -> &[Redecision] {
        self.rank();
        &self.suspects
    }

    /// What turned into what: the answer then, the answer now.
    pub fn turns(&self) -> impl Iterator<Item = (&str, &str, &Turn)> {
        self.turns.iter().map(|((then, now), turn)| (then.as_str(), now.as_str(), turn))
    }
}
