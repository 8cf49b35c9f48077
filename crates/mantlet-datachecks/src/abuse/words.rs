//! A text as words, in the order they stand, sentences apart.

use super::lexicon::{TELLS, kinds};

/// Words of a text that are looked at.
const MOST: usize = 50_000;
/// Letters of a word.
const LETTERS: usize = 40;
/// Letters in a row, each by itself, that are one word taken apart.
const APART: usize = 4;

/// Lower-case words; an empty one ends a sentence, a comma stands by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words(Vec<String>);

/// Letters of other alphabets that look like Latin ones, and accents.
const ALIKE: &[(&str, char)] = &[
    ("аɑα@áàâäãåª", 'a'),
    ("ЬƄ", 'b'),
    ("сϲçс", 'c'),
    ("ԁɗ", 'd'),
    ("еёéèêëєε", 'e'),
    ("ɡց", 'g'),
    ("һհ", 'h'),
    ("іíìîïıι", 'i'),
    ("јϳ", 'j'),
    ("кκ", 'k'),
    ("ⅼӏ", 'l'),
    ("мｍ", 'm'),
    ("ոñη", 'n'),
    ("оοóòôöõøօσ", 'o'),
    ("рρ", 'p'),
    ("ѕꜱ", 's'),
    ("тτ", 't'),
    ("υսúùûü", 'u'),
    ("νѵ", 'v'),
    ("ԝω", 'w'),
    ("хχ", 'x'),
    ("уүýÿγ", 'y'),
];

/// Capitals that look like another letter than their small ones do.
const CAPITALS: &[(&str, char)] = &[
    ("Υ", 'y'),
    ("ВΒ", 'b'),
    ("НΗ", 'h'),
    ("РΡ", 'p'),
    ("Ν", 'n'),
    ("Χ", 'x'),
    ("Ζ", 'z'),
    ("Μ", 'm'),
    ("Σ", 'e'),
];

/// A small letter as the Latin one that it looks like.
fn latin(letter: char) -> char {
    if letter.is_ascii() {
        return letter;
    }
    // Full-width forms lie apart from ASCII by one offset.
    if let Some(plain) = u32::from(letter).checked_sub(0xfee0).and_then(char::from_u32)
        && plain.is_ascii_lowercase()
    {
        return plain;
    }
    ALIKE.iter().find(|(alike, _)| alike.contains(letter)).map_or(letter, |(_, plain)| *plain)
}

/// Letters without width.
const fn is_hidden(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{ad}' | '\u{feff}')
}

/// A raw word in letters: digits and signs that stand for letters are read as those, three or more of a letter are two.
fn folded(raw: &str) -> Option<String> {
    if !raw.chars().any(char::is_alphabetic) {
        return None;
    }
    let mut word = String::new();
    let capital = |letter: char| {
        CAPITALS.iter().find(|(alike, _)| alike.contains(letter)).map_or(letter, |(_, plain)| *plain)
    };
    for letter in raw.chars().map(capital).flat_map(char::to_lowercase).take(LETTERS) {
        let letter = match latin(letter) {
            '0' => 'o',
            '1' | '!' => 'i',
            '3' => 'e',
            '4' | '@' => 'a',
            '5' | '$' => 's',
            '7' => 't',
            other => other,
        };
        let mut last = word.chars().rev();
        if !(last.next() == Some(letter) && last.next() == Some(letter)) {
            word.push(letter);
        }
    }
    Some(word)
}

impl Words {
    /// Cuts a text into words. Apostrophes are left out (`you're` is `youre`), letters that stand for others are read as
    /// those (`1d10t`, `$tup!d`, letters of other alphabets), words taken apart are put together (`d u m b`, `m-o-r-o-n`),
    /// a masked letter stays a star (`b*tch`). What somebody is told to have said, in quotation marks, is left out.
    #[must_use]
    pub fn of(text: &str) -> Self {
        // Only where something outside says that somebody is quoted: marks alone would hide an insult.
        let outside = Self::cut(text, true);
        if outside.any(|word| kinds(word) & TELLS != 0) { outside } else { Self::cut(text, false) }
    }

    fn cut(text: &str, quotations: bool) -> Self {
        let letters: Vec<char> = text.chars().filter(|letter| !is_hidden(*letter)).take(MOST * 8).collect();
        let quoted = if quotations { quoted(&letters) } else { Vec::new() };
        let is_quoted = |at: usize| quoted.get(at).is_some_and(|quoted| *quoted);
        let mut words: Vec<String> = Vec::new();
        let mut raw = String::new();
        let mut spaces = 0;
        let mut single: Vec<String> = Vec::new();
        let letter_at = |at: Option<usize>| {
            at.and_then(|at| letters.get(at)).is_some_and(|letter| letter.is_alphanumeric())
        };
        for at in 0..=letters.len() {
            let letter = letters.get(at).copied().unwrap_or('\n');
            if words.len() >= MOST {
                break;
            }
            if matches!(letter, '\'' | '\u{2019}') && letter_at(at.checked_sub(1)) {
                continue;
            }
            let (before, after) = (letter_at(at.checked_sub(1)), letter_at(Some(at + 1)));
            let inside = match letter {
                '@' | '$' => before || after,
                '!' => before && after,
                '*' => before || (after && !raw.is_empty()),
                _ => letter.is_alphanumeric(),
            };
            if inside && !is_quoted(at) {
                raw.push(letter);
                continue;
            }
            if !raw.is_empty() {
                if let Some(word) = folded(&std::mem::take(&mut raw)) {
                    // Single letters are kept back: they may be a word taken apart.
                    if word.chars().count() == 1 {
                        if spaces > 1 {
                            together(&mut words, &mut single);
                        }
                        single.push(word);
                    } else {
                        together(&mut words, &mut single);
                        words.push(word);
                    }
                } else {
                    together(&mut words, &mut single);
                }
                spaces = 0;
                raw.clear();
            }
            spaces = if letter == ' ' { spaces + 1 } else { 0 };
            let ends = match letter {
                '!' | '?' | ';' | '\n' | '"' | '\u{201c}' | '\u{201d}' => true,
                // A dot between single letters takes a word apart.
                '.' => single.is_empty() || !after,
                _ => false,
            };
            let comma = matches!(letter, ',' | ':' | '(' | ')');
            if ends || comma {
                together(&mut words, &mut single);
            }
            if ends && words.last().is_some_and(|word| !word.is_empty()) {
                words.push(String::new());
            } else if comma && words.last().is_some_and(|word| !word.is_empty() && word != ",") {
                words.push(",".to_owned());
            }
        }
        Self(words)
    }

    /// The sentences.
    pub fn sentences(&self) -> impl Iterator<Item = &[String]> {
        self.0.split(String::is_empty).filter(|sentence| !sentence.is_empty())
    }

    /// Whether a word is in the text.
    pub(super) fn any(&self, is: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|word| is(word))
    }
}

/// Single letters in a row are one word when there are enough of them.
fn together(words: &mut Vec<String>, single: &mut Vec<String>) {
    if single.len() >= APART {
        words.push(single.concat());
        single.clear();
    } else {
        words.append(single);
    }
}

/// What stands in double quotation marks, where other words stand outside of them: `said "you idiot" and laughed`.
fn quoted(letters: &[char]) -> Vec<bool> {
    let mut quoted = vec![false; letters.len()];
    let mut open: Option<usize> = None;
    for (at, letter) in letters.iter().enumerate() {
        let straight = *letter == '"';
        if straight || matches!(letter, '\u{201c}' | '\u{201d}' | '\u{201e}') {
            match open.take() {
                Some(from) => quoted[from..at].fill(true),
                None if straight || *letter != '\u{201d}' => open = Some(at),
                None => {}
            }
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<String> {
        Words::of(text).sentences().map(|words| words.join(" ")).collect()
    }

    #[test]
    fn words_are_folded_and_sentences_stay_apart() {
        let told = sentences("You're a $tup!d b1tch!!! LOOOOSER. It's 10 o'clock, really.");
        assert_eq!(told, ["youre a stupid bitch", "looser", "its oclock , really"]);
    }

    #[test]
    fn words_taken_apart_masked_or_in_other_letters_are_put_together() {
        assert_eq!(sentences("you d u m b a s s"), ["you dumbass"]);
        assert_eq!(sentences("f u c k   y o u r mother"), ["fuck your mother"]);
        assert_eq!(sentences("an i.d.i.o.t, m-o-r-o-n and i_d_i_o_t"), ["an idiot , moron and idiot"]);
        assert_eq!(sentences("b*tch, 1d10t, Υou are ѕtupid"), ["b*tch , idiot , you are stupid"]);
        assert_eq!(sentences("st\u{200b}upid"), ["stupid"]);
        // Ordinary abbreviations stay what they are.
        assert_eq!(sentences("I am in the U.S. a lot"), ["i am in the u s", "a lot"]);
    }

    #[test]
    fn what_somebody_is_said_to_have_said_is_left_out() {
        assert_eq!(sentences("She said \"you idiot\" and laughed."), ["she said", "and laughed"]);
        assert_eq!(sentences("\"you idiot\""), ["you idiot"]);
    }
}
