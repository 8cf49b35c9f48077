//! Slips of the pen (after Gao and others, DeepWordBug, 2018, and Pruthi and others 2019): two letters swapped, one left
//! out, doubled, or hit beside its key; first and last letter stay, which keeps words readable.

use mantlet_vocab::About;

use super::edit::{Editing, Style};
use crate::told::{Told, misread};
use crate::{Inquired, Random};

pub use super::edit::Config;

/// The room's card.
pub const ABOUT: About = About {
    name: "text-characters",
    title: "a few slips of the pen turn a text's decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::EVASION
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    misread(told, "a few slips of the pen")
}

/// The style.
#[derive(Debug, Clone)]
pub struct Slips;

/// The room's attack.
pub type Characters = Inquired<Editing<Slips>>;

const KEYS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// The key beside this one.
fn beside(letter: char, random: &mut Random) -> Option<char> {
    let row = KEYS.iter().find(|row| row.contains(letter.to_ascii_lowercase()))?;
    let keys: Vec<char> = row.chars().collect();
    let at = keys.iter().position(|key| *key == letter.to_ascii_lowercase())?;
    let other = if at == 0 || (at + 1 < keys.len() && random.unit() < 0.5) { at + 1 } else { at - 1 };
    let key = *keys.get(other)?;
    Some(if letter.is_ascii_uppercase() { key.to_ascii_uppercase() } else { key })
}

impl Style for Slips {
    const ABOUT: &'static About = &ABOUT;

    fn variants(word: &str, _: Option<&str>, random: &mut Random) -> Vec<String> {
        let letters: Vec<char> = word.chars().collect();
        let len = letters.len();
        if len < 4 {
            // In a short word every letter carries the meaning.
            return Vec::new();
        }
        let mut ways: Vec<Vec<char>> = Vec::new();
        let inner = |random: &mut Random| 1 + random.below(len - 2);
        for _ in 0..2 {
            let at = 1 + random.below(len - 3);
            let mut swapped = letters.clone();
            swapped.swap(at, at + 1);
            ways.push(swapped);
            let mut without = letters.clone();
            without.remove(inner(random));
            ways.push(without);
            let at = inner(random);
            if let Some(key) = beside(letters[at], random) {
                let mut other = letters.clone();
                other[at] = key;
                ways.push(other);
            }
        }
        let at = inner(random);
        let mut doubled = letters.clone();
        doubled.insert(at, letters[at]);
        ways.push(doubled);
        ways.into_iter().map(|letters| letters.into_iter().collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_hold() {
        crate::testing::hold(ABOUT.name, ABOUT.cases);
    }

    #[test]
    fn slips_are_small_and_leave_both_ends() {
        for word in ["terrible", "Good", "na\u{ef}ve"] {
            for way in Slips::variants(word, None, &mut Random::new(9)) {
                assert!(super::super::edits(word, &way) <= 2, "{word} {way}");
                assert_eq!(way.chars().next(), word.chars().next());
                assert_eq!(way.chars().last(), word.chars().last());
            }
        }
        assert!(Slips::variants("bad", None, &mut Random::new(9)).is_empty());
    }
}
