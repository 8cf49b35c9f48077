//! Characters nobody sees put inside words (Boucher and others, Bad Characters, 2022).

use mantlet_vocab::About;

use super::edit::{Editing, Style};
use crate::told::{Told, misread};
use crate::{Inquired, Random};

pub use super::edit::Config;

/// The room's card.
pub const ABOUT: About = About {
    name: "text-unseen",
    title: "characters nobody sees turn a text's decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::EVASION
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    misread(told, "characters nobody sees are put into words")
}

/// The style.
#[derive(Debug, Clone)]
pub struct Unseen;

/// The room's attack.
pub type Invisible = Inquired<Editing<Unseen>>;

/// Zero-width space, non-joiner, joiner, word joiner, soft hyphen, and a variation selector.
const UNSEEN: [char; 6] = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{ad}', '\u{fe0f}'];

impl Style for Unseen {
    const ABOUT: &'static About = &ABOUT;

    fn variants(word: &str, _: Option<&str>, random: &mut Random) -> Vec<String> {
        let letters: Vec<char> = word.chars().collect();
        let first = random.below(UNSEEN.len());
        let put = |unseen: char, place: usize| -> String {
            let mut letters = letters.clone();
            letters.insert(place, unseen);
            letters.into_iter().collect()
        };
        let middle = letters.len().div_ceil(2);
        let mut ways: Vec<String> =
            (0..UNSEEN.len()).map(|at| put(UNSEEN[(first + at) % UNSEEN.len()], middle)).collect();
        let everywhere: Vec<String> = letters.iter().map(char::to_string).collect();
        ways.insert(1, everywhere.join(&UNSEEN[first].to_string()));
        ways
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
    fn what_is_seen_stays_the_same() {
        let ways = Unseen::variants("payment", None, &mut Random::new(4));
        let seen =
            |text: &str| -> String { text.chars().filter(|letter| !UNSEEN.contains(letter)).collect() };
        assert!(ways.iter().all(|way| way != "payment" && seen(way) == "payment"), "{ways:?}");
    }
}
