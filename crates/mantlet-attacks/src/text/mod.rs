//! Attacks on text classifiers without a model of language: texts travel as rows of code points, so that campaigns,
//! journals and cases treat them as any other input.

pub mod characters;
pub mod homoglyphs;
pub mod trigger_word;
pub mod unseen;
pub mod words;

mod edit;

use mantlet_vocab::{About, Confidence, Impact, Severity};

use crate::{Material, inquiry::needs};

/// What the cards of the evasions share.
const EVASION: About = About {
    name: "",
    title: "",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0043.001", "AML.T0015"],
    owasp: &["ML01:2023"],
    explain: "",
    cases: "",
};

/// What stands behind the end of a text in a row.
const END: f32 = -1.0;

/// A text as a row of `width` code points, the rest filled up; `None` when it is longer or empty.
#[must_use]
pub fn encode(text: &str, width: usize) -> Option<Vec<f32>> {
    let mut row = Vec::with_capacity(width);
    for letter in text.chars() {
        if row.len() == width {
            return None;
        }
        // Code points stay below 2^21, which an f32 holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "code points are below 2^21")]
        row.push(u32::from(letter) as f32);
    }
    if row.is_empty() {
        return None;
    }
    row.resize(width, END);
    Some(row)
}

/// The text of a row; `None` when the row holds anything but code points and what fills it up.
#[must_use]
pub fn decode(row: &[f32]) -> Option<String> {
    let end = row.iter().position(|value| *value == END).unwrap_or(row.len());
    if row[end..].iter().any(|value| *value != END) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "held to a whole number in range"
    )]
    let letter = |value: &f32| {
        let whole = (0.0..1_114_112.0).contains(value) && value.fract() == 0.0;
        whole.then_some(*value as u32).and_then(char::from_u32)
    };
    row[..end].iter().map(letter).collect()
}

/// The texts of the rows of a material.
fn texts(attack: &'static str, material: &Material) -> Result<Vec<String>, crate::AttackError> {
    let text = |row| decode(material.rows.row(row)).filter(|text| !text.is_empty());
    let texts: Option<Vec<String>> = (0..material.rows.rows()).map(text).collect();
    if material.rows.shape().len() != 2 || !material.constraints.is_empty() {
        return Err(needs(attack, "texts as rows of code points, without constraints"));
    }
    texts.ok_or_else(|| needs(attack, "texts as rows of code points"))
}

/// A text cut into words and what stands between them; joined again it is the same text.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut last = None;
    for letter in text.chars() {
        let word = letter.is_alphanumeric() || letter == '\'';
        match pieces.last_mut() {
            Some(piece) if last == Some(word) => piece.push(letter),
            _ => pieces.push(letter.to_string()),
        }
        last = Some(word);
    }
    pieces
}

/// Whether a piece is a word that can be changed.
fn is_word(piece: &str) -> bool {
    piece.chars().any(char::is_alphabetic)
}

/// How many letters have to be put in, left out or replaced to come from one text to the other (Levenshtein 1966).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, own) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = at + 1;
        for (place, other) in b.iter().enumerate() {
            let replaced = corner + usize::from(own != *other);
            corner = row[place + 1];
            row[place + 1] = replaced.min(row[place] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_go_through_rows_unchanged() {
        for text in ["a", "Grüße, \u{1f600} und \u{200b}mehr", "line\nline"] {
            let row = encode(text, 40).unwrap();
            assert_eq!(decode(&row).as_deref(), Some(text));
            assert_eq!(pieces(text).concat(), text);
        }
        assert_eq!(encode("four", 3), None);
        assert_eq!(encode("", 3), None);
        for bad in [[97.5, -1.0], [-1.0, 97.0], [55_296.0, -1.0], [2e6, -1.0], [f32::NAN, -1.0]] {
            assert_eq!(decode(&bad), None, "{bad:?}");
        }
        assert_eq!(pieces("it's  so-so!"), ["it's", "  ", "so", "-", "so", "!"]);
        assert_eq!((edits("kitten", "sitting"), edits("", "abc"), edits("same", "same")), (3, 3, 0));
    }
}
