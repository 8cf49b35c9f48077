//! A text as words, in the order they stand, sentences apart.

/// Words of a text that are looked at.
const MOST: usize = 50_000;
/// Letters of a word.
const LETTERS: usize = 40;

/// Lower-case words; an empty one ends a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words(Vec<String>);

impl Words {
    /// Cuts a text into words. Apostrophes are left out (`you're` is `youre`), letters that stand for others are read as
    /// those (`1d10t`, `$tup!d` inside a word), and three or more of a letter are two.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut words = Vec::new();
        let mut word = String::new();
        let ends = |words: &mut Vec<String>, word: &mut String| {
            if !word.is_empty() {
                words.push(std::mem::take(word));
            }
        };
        let letters: Vec<char> = text.chars().take(MOST * 8).collect();
        for (at, &c) in letters.iter().enumerate() {
            if words.len() >= MOST {
                break;
            }
            let next_is_letter = letters.get(at + 1).is_some_and(|next| next.is_alphabetic());
            let inside = !word.is_empty() && next_is_letter;
            let folded = match c {
                '\'' | '\u{2019}' => continue,
                c if c.is_alphabetic() => Some(c),
                '0' if inside => Some('o'),
                '1' | '!' if inside => Some('i'),
                '3' if inside => Some('e'),
                '4' | '@' if inside => Some('a'),
                '5' | '$' if inside || (word.is_empty() && next_is_letter) => Some('s'),
                _ => None,
            };
            match folded {
                Some(letter) if word.chars().count() < LETTERS => {
                    let mut last = word.chars().rev();
                    let (one, two) = (last.next(), last.next());
                    for lower in letter.to_lowercase() {
                        if !(one == Some(lower) && two == Some(lower)) {
                            word.push(lower);
                        }
                    }
                }
                Some(_) => {}
                None => {
                    ends(&mut words, &mut word);
                    if matches!(c, '.' | '!' | '?' | ';' | '\n' | '"')
                        && words.last().is_some_and(|w| !w.is_empty())
                    {
                        words.push(String::new());
                    }
                }
            }
        }
        ends(&mut words, &mut word);
        Self(words)
    }

    /// The sentences.
    pub fn sentences(&self) -> impl Iterator<Item = &[String]> {
        self.0.split(String::is_empty).filter(|sentence| !sentence.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_sentences_stay_apart() {
        let words = Words::of("You're a $tup!d b1tch!!! LOOOOSER. It's 10 o'clock, really.");
        let sentences: Vec<String> = words.sentences().map(|words| words.join(" ")).collect();
        assert_eq!(sentences, ["youre a stupid bitch", "looser", "its oclock really"]);
    }
}
