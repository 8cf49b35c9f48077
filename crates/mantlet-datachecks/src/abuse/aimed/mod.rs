//! A text insults somebody, threatens them, calls for self-harm, or calls a group of people vermin.

mod insult;
mod wish;

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::lexicon::{Kinds, WARM, kinds};
use super::{Abuse, Words};

pub(super) const ABOUT: About = About {
    name: "abuse-aimed",
    title: "texts insult or threaten somebody",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A sentence: its words, and what each can be.
struct Sentence<'a> {
    words: &'a [String],
    kinds: Vec<Kinds>,
    /// Whether the text has a word of affection: names are teasing then, unless nobody is called so in jest.
    warm: bool,
}

impl Sentence<'_> {
    fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    fn is(&self, at: usize, kinds: Kinds) -> bool {
        self.kinds.get(at).is_some_and(|own| own & kinds != 0)
    }

    fn one_of(&self, at: usize, words: &[&str]) -> bool {
        words.contains(&self.word(at))
    }

    /// Whether these words follow one another from here.
    fn follow(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(step, word)| self.word(at + step) == *word)
    }

    /// Whether these words follow one another anywhere; a bar divides words of which one will do, and `$` is where what is
    /// said ends.
    fn has(&self, words: &str) -> bool {
        let wanted: Vec<Vec<&str>> = words.split(' ').map(|word| word.split('|').collect()).collect();
        let fits = |at: usize, any: &[&str]| if any == ["$"] { self.ends(at) } else { self.one_of(at, any) };
        let here = |at: usize| wanted.iter().enumerate().all(|(step, any)| fits(at + step, any));
        (0..self.words.len()).any(here)
    }

    /// Whether any word of a kind stands in the places before this one.
    fn before(&self, at: usize, many: usize, kinds: Kinds) -> bool {
        (at.saturating_sub(many)..at).any(|place| self.is(place, kinds))
    }

    /// Whether what is said ends here, or goes on about somebody: not a noun that another noun explains.
    fn ends(&self, at: usize) -> bool {
        let next = self.word(at);
        next.is_empty()
            || matches!(
                next,
                "," | "and"
                    | "who"
                    | "that"
                    | "with"
                    | "in"
                    | "from"
                    | "or"
                    | "but"
                    | "like"
                    | "to"
                    | "when"
                    | "for"
                    | "because"
                    | "if"
                    | "then"
                    | "lol"
                    | "you"
                    | "go"
                    | "get"
                    | "so"
                    | "on"
                    | "just"
                    | "never"
                    | "as"
            )
    }
}

/// The gravest kind of abuse in a text.
#[must_use]
pub fn kind(words: &Words) -> Option<Abuse> {
    let warm = words.any(|word| kinds(word) & WARM != 0);
    let look = |words: &[String]| {
        let sentence = Sentence { words, kinds: words.iter().map(|word| kinds(word)).collect(), warm };
        [wish::look(&sentence), insult::look(&sentence)].into_iter().flatten().min()
    };
    words.sentences().filter_map(look).min()
}
