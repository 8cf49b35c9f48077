//! What a text says of its label: marks of its words, of words beside each other and of pieces of words.

use mantlet_learn::Hashed;

/// Letters of a text that are looked at.
const LETTERS: usize = 20_000;
/// Letters of a piece of a word.
const PIECE: usize = 4;
/// Marks of all texts at most.
const MARKS: usize = 96 << 20;

/// The marks of texts, one after the other.
#[derive(Debug, Default)]
pub(super) struct Texts {
    marks: Vec<u32>,
    ends: Vec<usize>,
    own: Vec<u32>,
}

impl Texts {
    /// Takes a text; `false` when there is no room for it.
    pub(super) fn take(&mut self, text: &str) -> bool {
        self.own.clear();
        marks(text, &mut self.own);
        self.own.sort_unstable();
        self.own.dedup();
        if self.marks.len() + self.own.len() > MARKS {
            return false;
        }
        self.marks.extend(&self.own);
        self.ends.push(self.marks.len());
        true
    }

    fn row(&self, row: usize) -> &[u32] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.marks[start..self.ends[row]]
    }

    /// Learns from some texts and gives the chances of the others.
    pub(super) fn predict(
        &self,
        given: &[usize],
        classes: usize,
        (learned, held): (&[usize], &[usize]),
        told: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), String> {
        let rows: Vec<&[u32]> = learned.iter().map(|&row| self.row(row)).collect();
        let own: Vec<usize> = learned.iter().map(|&row| given[row]).collect();
        let model = Hashed::fit(&rows, &own, classes).map_err(|error| error.to_string())?;
        let mut chances = vec![0.0; classes];
        for &row in held {
            model.chances(self.row(row), &mut chances);
            told(row, &chances);
        }
        Ok(())
    }
}

/// FNV-1a, 64 bits, over the letters of a piece; `kind` keeps words, pairs and pieces apart.
fn hash(kind: u64, letters: impl Iterator<Item = char>) -> u64 {
    letters.fold(0xcbf2_9ce4_8422_2325 ^ kind, |hash, letter| {
        (hash ^ u64::from(u32::from(letter))).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The upper half of a hash, spread.
const fn short(hash: u64) -> u32 {
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

fn marks(text: &str, found: &mut Vec<u32>) {
    let letters: Vec<char> = text.chars().take(LETTERS).flat_map(char::to_lowercase).collect();
    let mut before: Option<u64> = None;
    // Signs are words of their own: how somebody writes says something of who it is.
    for word in letters
        .split(|letter| letter.is_whitespace())
        .flat_map(|part| part.chunk_by(|a, b| a.is_alphanumeric() && b.is_alphanumeric() || a == b))
    {
        // Numbers are alike by their length.
        let plain = |letter: &char| if letter.is_numeric() { '0' } else { *letter };
        let own = hash(1, word.iter().map(plain));
        found.push(short(own));
        if let Some(before) = before {
            found.push(short(before.rotate_left(21) ^ own ^ 2));
        }
        before = Some(own);
        if word.len() > PIECE {
            found.extend(word.windows(PIECE).map(|piece| short(hash(3, piece.iter().map(plain)))));
        }
    }
}
