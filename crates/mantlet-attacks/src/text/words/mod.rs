//! Words written otherwise without a dictionary: split, run together with the next, in capitals, stretched, with digits
//! for letters, or marked up. What is read stays the same word.

use mantlet_vocab::About;

use super::edit::{Editing, Style};
use crate::told::{Told, misread};
use crate::{Inquired, Random};

pub use super::edit::Config;

/// The room's card.
pub const ABOUT: About = About {
    name: "text-words",
    title: "words split, stretched or spelt with digits turn a text's decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::EVASION
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    misread(told, "words are split, stretched or spelt with digits")
}

/// The style.
#[derive(Debug, Clone)]
pub struct Spellings;

/// The room's attack.
pub type Words = Inquired<Editing<Spellings>>;

const DIGITS: [(char, char); 7] =
    [('a', '@'), ('e', '3'), ('i', '1'), ('o', '0'), ('s', '$'), ('t', '7'), ('b', '8')];

impl Style for Spellings {
    const ABOUT: &'static About = &ABOUT;

    fn variants(word: &str, _: Option<&str>, random: &mut Random) -> Vec<String> {
        let letters: Vec<char> = word.chars().collect();
        let text = |letters: &[char]| letters.iter().collect::<String>();
        let mut ways = Vec::new();
        if letters.len() >= 4 {
            let at = 2 + random.below(letters.len() - 3);
            ways.push(format!("{}-{}", text(&letters[..at]), text(&letters[at..])));
            ways.push(format!("{} {}", text(&letters[..at]), text(&letters[at..])));
        }
        let vowel = letters.iter().rposition(|letter| "aeiouAEIOU".contains(*letter));
        if let Some(at) = vowel {
            let mut stretched = letters.clone();
            stretched.splice(at..at, [letters[at]; 2]);
            ways.push(text(&stretched));
        }
        let digits: Vec<char> = letters
            .iter()
            .map(|letter| DIGITS.iter().find(|(own, _)| own == letter).map_or(*letter, |(_, digit)| *digit))
            .collect();
        ways.push(text(&digits));
        let other =
            if word.chars().any(char::is_lowercase) { word.to_uppercase() } else { word.to_lowercase() };
        ways.push(other);
        ways.push(letters.iter().map(char::to_string).collect::<Vec<_>>().join("."));
        ways.push(format!("*{word}*"));
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
    fn every_way_still_spells_the_word() {
        let plain = |text: &str| -> String {
            let letter =
                |own: char| DIGITS.iter().find(|(_, digit)| *digit == own).map_or(own, |(letter, _)| *letter);
            let mut letters: Vec<char> =
                text.to_lowercase().chars().filter(|own| !"-. *".contains(*own)).map(letter).collect();
            letters.dedup();
            letters.into_iter().collect()
        };
        for word in ["terrible", "Good", "scam"] {
            let ways = Spellings::variants(word, None, &mut Random::new(2));
            assert!(ways.len() >= 4, "{ways:?}");
            assert!(ways.iter().all(|way| plain(way) == plain(word)), "{ways:?}");
        }
    }
}
