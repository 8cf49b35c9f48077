//! Abuse in texts that a model would learn to repeat: insults, threats, calls to self-harm, and people called vermin.
//!
//! Words and how they stand to each other, no model and no list of slurs: what is told is aimed at somebody by the text
//! itself (`you`, `he`, `they`, a group of people, an order to be silent) and can be read off it. Slurs that stand alone
//! are a matter of the words the user names; irony, insults without a bad word, and other languages than English are
//! not understood.

mod aimed;
mod lexicon;
#[cfg(test)]
mod tests;
mod words;

use mantlet_vocab::About;

pub use aimed::kind;
pub use words::Words;

/// What kind of abuse a text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Abuse {
    /// Somebody is told to harm or kill themselves, or that they should.
    SelfHarm,
    /// Somebody is told that they will be hurt.
    Threat,
    /// A group of people is called animals or filth, or denied the right to live.
    Dehumanising,
    /// Somebody is called names.
    Insult,
}

impl Abuse {
    /// The word used in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SelfHarm => "calls to self-harm",
            Self::Threat => "threats",
            Self::Dehumanising => "people called vermin",
            Self::Insult => "insults",
        }
    }
}

/// One room: what it says about itself, and its look at one text.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// A text in, the gravest kind out.
    pub look: fn(&Words) -> Option<Abuse>,
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[Room { about: &aimed::ABOUT, look: aimed::kind }]
}

/// The rooms that speak of a text, by name, each with the gravest kind it found.
#[must_use]
pub fn look(text: &str) -> Vec<(&'static str, Abuse)> {
    let words = Words::of(text);
    all().iter().filter_map(|room| Some((room.about.name, (room.look)(&words)?))).collect()
}
