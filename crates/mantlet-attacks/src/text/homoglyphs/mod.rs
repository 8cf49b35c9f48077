//! Letters replaced by others that look the same (Boucher and others, Bad Characters, 2022).

use mantlet_vocab::About;

use super::edit::{Editing, Style};
use crate::told::{Told, misread};
use crate::{Inquired, Random};

pub use super::edit::Config;

/// The room's card.
pub const ABOUT: About = About {
    name: "text-homoglyphs",
    title: "letters that look the same turn a text's decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::EVASION
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    misread(told, "letters are replaced by others that look the same")
}

/// The style.
#[derive(Debug, Clone)]
pub struct LookAlike;

/// The room's attack.
pub type Homoglyphs = Inquired<Editing<LookAlike>>;

/// Latin letters and what looks like them: Cyrillic, Greek and Armenian letters that most fonts draw alike.
const ALIKE: &[(char, char)] = &[
    ('a', '\u{430}'),
    ('c', '\u{441}'),
    ('d', '\u{501}'),
    ('e', '\u{435}'),
    ('g', '\u{581}'),
    ('h', '\u{4bb}'),
    ('i', '\u{456}'),
    ('j', '\u{458}'),
    ('l', '\u{4cf}'),
    ('n', '\u{578}'),
    ('o', '\u{43e}'),
    ('p', '\u{440}'),
    ('q', '\u{51b}'),
    ('s', '\u{455}'),
    ('u', '\u{57d}'),
    ('v', '\u{3bd}'),
    ('w', '\u{51d}'),
    ('x', '\u{445}'),
    ('y', '\u{443}'),
    ('A', '\u{410}'),
    ('B', '\u{412}'),
    ('C', '\u{421}'),
    ('E', '\u{415}'),
    ('H', '\u{41d}'),
    ('I', '\u{406}'),
    ('J', '\u{408}'),
    ('K', '\u{41a}'),
    ('M', '\u{41c}'),
    ('N', '\u{39d}'),
    ('O', '\u{41e}'),
    ('P', '\u{420}'),
    ('S', '\u{405}'),
    ('T', '\u{422}'),
    ('X', '\u{425}'),
    ('Y', '\u{4ae}'),
    ('Z', '\u{396}'),
];

/// The letter that looks like this one.
fn alike(letter: char) -> Option<char> {
    ALIKE.iter().find(|(latin, _)| *latin == letter).map(|(_, other)| *other)
}

impl Style for LookAlike {
    const ABOUT: &'static About = &ABOUT;

    fn variants(word: &str, _: Option<&str>, random: &mut Random) -> Vec<String> {
        let letters: Vec<char> = word.chars().collect();
        let mut places: Vec<usize> = (0..letters.len()).filter(|at| alike(letters[*at]).is_some()).collect();
        random.shuffle(&mut places);
        let with = |places: &[usize]| -> String {
            letters
                .iter()
                .enumerate()
                .map(
                    |(at, letter)| {
                        if places.contains(&at) { alike(*letter).unwrap_or(*letter) } else { *letter }
                    },
                )
                .collect()
        };
        let mut ways: Vec<String> = places.iter().take(3).map(|at| with(&[*at])).collect();
        if places.len() > 1 {
            ways.push(with(&places));
        }
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
    fn every_way_reads_the_same() {
        let back = |text: &str| -> String {
            let latin = |letter: char| {
                ALIKE.iter().find(|(_, other)| *other == letter).map_or(letter, |(own, _)| *own)
            };
            text.chars().map(latin).collect()
        };
        for word in ["payment", "Hello", "Zoo"] {
            let ways = LookAlike::variants(word, None, &mut Random::new(4));
            assert!(ways.len() > 1);
            assert!(ways.iter().all(|way| way != word && back(way) == word), "{ways:?}");
        }
        assert!(LookAlike::variants("\u{4f60}", None, &mut Random::new(4)).is_empty());
    }
}
