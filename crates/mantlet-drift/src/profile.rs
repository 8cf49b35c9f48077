//! The profile of a reference: how each column is divided into buckets, and how many rows fell into each.
//!
//! The reference is read twice, once to lay out the buckets and once to count, and never again: what comes later is
//! compared with the counts.
//!
//! Long because what a profile is, how it is laid out and how it is checked only make sense beside each other.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::sketch::{NumberSketch, WordSketch, mix, short};
use crate::{Counts, DriftError};

/// The version of the profile's form.
pub const PROFILE_VERSION: u32 = 2;
/// Edges of a numeric column at most. The KS distance over buckets is off by at most the largest bucket's share.
const EDGES: usize = 511;
/// Words with a bucket of their own.
const HEADS: usize = 255;
/// Levels of a column where columns are crossed.
pub const LEVELS: usize = 8;
/// Columns that are crossed in pairs: the first ones that are judged.
pub const CROSSED: usize = 64;

/// Code of a missing value.
pub const MISSING: u16 = 0;
/// Code of a word that the reference has not.
pub const NEW: u16 = 1;
/// First code of the words that the reference has without a bucket of their own.
pub const TAIL: u16 = 2;
/// Buckets over which those words are spread by their hashes.
const TAILS: u16 = 32;
/// Code of the first word with a bucket of its own.
const FIRST: u16 = TAIL + TAILS;

/// A reference: its columns and their counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The form of this profile.
    pub version: u32,
    /// What was read, in the reader's words.
    pub source: String,
    /// The columns, in the table's order.
    pub columns: Vec<ColumnProfile>,
    /// The reference's counts.
    pub counts: Counts,
}

/// One column of a reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// How its values are divided.
    pub buckets: Buckets,
}

/// How the values of a column are divided into codes; code 0 is a missing value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Buckets {
    /// Numbers: code `i + 1` for a value with `i` edges at or below it.
    Numbers {
        /// Edges, rising.
        #[serde(with = "exact")]
        edges: Vec<f64>,
        /// The level of each code, where columns are crossed.
        levels: Vec<u8>,
    },
    /// Words: 1 for one that the reference has not, then 32 codes over which the words without a bucket of their own
    /// are spread by their hashes, then `heads` in order.
    Words {
        /// Words with a bucket, most frequent first.
        heads: Vec<String>,
        /// Hashes of all other words of the reference, rising.
        known: Vec<u64>,
        /// Words that one row of the reference has. Their share is how many new words the next rows bring by
        /// chance (Good 1953, equation 9).
        once: u64,
        /// The level of each code, where columns are crossed.
        levels: Vec<u8>,
    },
    /// Nearly every row has a word of its own: counted, not judged.
    Identifier,
}

/// Numbers as texts: edges are values of the data, so one that came back as its neighbour would move every row that has
/// it, which readers of JSON numbers do not rule out; and infinities are no JSON numbers.
mod exact {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(edges: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(edges.iter().map(f64::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let number = |text: String| text.parse().map_err(|_| D::Error::custom("an edge is no number"));
        Vec::<String>::deserialize(deserializer)?.into_iter().map(number).collect()
    }
}

impl Buckets {
    /// Buckets for a column of numbers.
    #[must_use]
    pub fn of_numbers(sketch: &NumberSketch) -> Self {
        let sorted = sketch.sorted();
        let mut edges: Vec<f64> = Vec::new();
        for i in 1..=EDGES {
            let Some(&value) = sorted.get(i * sorted.len() / (EDGES + 1)) else { break };
            if edges.last().is_none_or(|&last| value > last) {
                edges.push(value);
            } else if edges.last() == Some(&value) && value.next_up() > value {
                // The value fills more than a bucket: one of its own ends right above it.
                edges.push(value.next_up());
            }
        }
        // Everything equals the first edge: values below it are still told apart from it.
        let per_level = sorted.len().div_ceil(LEVELS - 1).max(1);
        let level = |value: f64| {
            let below = sorted.partition_point(|&other| other < value);
            u8::try_from(below / per_level + 1).unwrap_or(u8::MAX).min(LEVELS as u8 - 1)
        };
        let mut levels = vec![0, 1];
        levels.extend(edges.iter().map(|&edge| level(edge)));
        Self::Numbers { edges, levels }
    }

    /// Buckets for a column of words.
    #[must_use]
    pub fn of_words(sketch: &WordSketch) -> Self {
        let Some(ranked) = sketch.ranked() else { return Self::Identifier };
        let rows: u64 = ranked.iter().map(|(_, count)| count).sum();
        // Three quarters of the rows have a word that no other row has: a number, a name, an address.
        let alone = ranked.iter().filter(|(_, count)| *count == 1).count() as u64;
        if rows >= 100 && alone * 4 > rows * 3 {
            return Self::Identifier;
        }
        let cut = cut(&ranked);
        let heads: Vec<String> = ranked.iter().take(cut).map(|(word, _)| (*word).to_owned()).collect();
        let mut known: Vec<u64> = ranked.iter().skip(cut).map(|(word, _)| hash(word)).collect();
        known.sort_unstable();
        known.dedup();
        // Rare words share the level of words without a bucket.
        let level = |(at, (_, count)): (usize, &(&str, u64))| {
            if at < LEVELS - 3 && count * 50 >= rows { u8::try_from(at + 3).unwrap_or(2) } else { 2 }
        };
        let mut levels = vec![0, 1];
        levels.resize(usize::from(FIRST), 2);
        levels.extend(ranked.iter().take(cut).enumerate().map(level));
        Self::Words { heads, known, once: alone, levels }
    }

    /// The number of codes.
    #[must_use]
    pub fn codes(&self) -> usize {
        match self {
            Self::Numbers { edges, .. } => edges.len() + 2,
            Self::Words { heads, .. } => heads.len() + usize::from(FIRST),
            Self::Identifier => 2,
        }
    }

    /// The level of each code where columns are crossed; every level is below [`LEVELS`].
    #[must_use]
    pub fn levels(&self) -> &[u8] {
        match self {
            Self::Numbers { levels, .. } | Self::Words { levels, .. } => levels,
            Self::Identifier => &[0, 1],
        }
    }

    /// The code of a number.
    #[must_use]
    pub fn number(&self, value: Option<f64>) -> u16 {
        match (self, value) {
            (Self::Numbers { edges, .. }, Some(value)) if !value.is_nan() => {
                u16::try_from(edges.partition_point(|&edge| edge <= value) + 1).unwrap_or(u16::MAX)
            }
            (Self::Identifier, Some(_)) => 1,
            // A number in a column of words has no word of the reference.
            (Self::Words { .. }, Some(_)) => NEW,
            _ => MISSING,
        }
    }

    /// What the code of each word is.
    #[must_use]
    pub fn dictionary(&self) -> Dictionary<'_> {
        match self {
            Self::Words { heads, known, .. } => Dictionary {
                heads: heads
                    .iter()
                    .enumerate()
                    .map(|(i, word)| (word.as_str(), u16::try_from(i).map_or(TAIL, |i| FIRST + i)))
                    .collect(),
                known,
                other: None,
            },
            Self::Numbers { .. } => Dictionary { heads: HashMap::new(), known: &[], other: Some(MISSING) },
            Self::Identifier => Dictionary { heads: HashMap::new(), known: &[], other: Some(1) },
        }
    }

    /// What a code stands for, in words.
    #[must_use]
    pub fn label(&self, code: u16) -> String {
        if code == MISSING {
            return "missing".into();
        }
        let at = usize::from(code);
        match self {
            Self::Numbers { edges, .. } => {
                let low = at.checked_sub(2).and_then(|i| edges.get(i));
                match (low, edges.get(at - 1)) {
                    (Some(low), Some(high)) if low.next_up() == *high => format!("{low}"),
                    (Some(low), Some(high)) => format!("{low} to {high}"),
                    (Some(low), None) => format!("{low} and above"),
                    (None, Some(high)) => format!("below {high}"),
                    (None, None) => "any number".into(),
                }
            }
            Self::Words { heads, .. } => match code {
                NEW => "not in the reference".into(),
                TAIL..FIRST => format!("rare words, group {}", code - TAIL + 1),
                _ => {
                    at.checked_sub(usize::from(FIRST)).and_then(|i| heads.get(i)).cloned().unwrap_or_default()
                }
            },
            Self::Identifier => "present".into(),
        }
    }

    pub(crate) fn check(&self, name: &str) -> Result<(), DriftError> {
        let fault = |what| DriftError::Profile { column: name.to_owned(), what };
        let levels = self.levels();
        if levels.len() != self.codes() || levels.iter().any(|&level| usize::from(level) >= LEVELS) {
            return Err(fault("its levels do not fit its buckets"));
        }
        match self {
            Self::Numbers { edges, .. } => {
                let rising = edges.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
                if edges.len() > 2 * EDGES || !rising || edges.iter().any(|edge| edge.is_nan()) {
                    return Err(fault("its edges do not rise"));
                }
            }
            Self::Words { heads, .. } if heads.len() > HEADS => return Err(fault("it has too many words")),
            _ => {}
        }
        Ok(())
    }
}

/// The codes of words.
#[derive(Debug, Clone)]
pub struct Dictionary<'a> {
    heads: HashMap<&'a str, u16>,
    known: &'a [u64],
    other: Option<u16>,
}

impl Dictionary<'_> {
    /// The code of a word.
    #[must_use]
    pub fn code(&self, word: Option<&str>) -> u16 {
        let Some(word) = word else { return MISSING };
        if let Some(code) = self.other {
            return code;
        }
        let word = short(word);
        match self.heads.get(word.as_ref()) {
            Some(&code) => code,
            None => {
                let hash = hash(&word);
                let known = self.known.binary_search(&hash).is_ok();
                if known { TAIL + u16::try_from(hash % u64::from(TAILS)).unwrap_or(0) } else { NEW }
            }
        }
    }
}

/// How many of the words, most frequent first, get a bucket of their own. When not all fit, the cut falls where the
/// next word is rarer by more than chance: words picked for happening to be frequent in the reference would all
/// seem to fade afterwards.
fn cut(ranked: &[(&str, u64)]) -> usize {
    if ranked.len() <= HEADS {
        return ranked.len();
    }
    let apart = |pair: &[(&str, u64)]| match pair {
        [(_, more), (_, less)] => (more - less) * (more - less) > 16 * more,
        _ => false,
    };
    ranked.windows(2).take(HEADS).rposition(apart).map_or(0, |at| at + 1)
}

/// A stable hash of a word (FNV-1a, then mixed).
fn hash(word: &str) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in word.as_bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(state)
}

impl Profile {
    /// A profile whose counts are still to come.
    #[must_use]
    pub fn new(source: impl Into<String>, columns: Vec<ColumnProfile>) -> Self {
        let counts = Counts::empty(&columns);
        Self { version: PROFILE_VERSION, source: source.into(), columns, counts }
    }

    /// Checks a profile that came from outside.
    ///
    /// # Errors
    /// When its parts do not fit one another, or it is of another version.
    pub fn check(&self) -> Result<(), DriftError> {
        if self.version != PROFILE_VERSION {
            return Err(DriftError::Version { found: self.version });
        }
        for column in &self.columns {
            column.buckets.check(&column.name)?;
        }
        if !self.counts.fits(&self.columns) {
            return Err(DriftError::Counts);
        }
        Ok(())
    }

    /// Takes in the counts of another profile that divides the same columns at the same places: the profile of all rows
    /// of both.
    ///
    /// # Errors
    /// When it divides its rows otherwise.
    pub fn merge(&mut self, other: &Self) -> Result<(), DriftError> {
        if self.version != other.version || self.columns != other.columns {
            return Err(DriftError::Counts);
        }
        self.counts.merge(&other.counts)
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<(usize, &ColumnProfile)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name == name)
    }
}

/// The columns that are crossed in pairs, as their places in the profile.
#[must_use]
pub fn crossed(columns: &[ColumnProfile]) -> Vec<usize> {
    columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !matches!(column.buckets, Buckets::Identifier))
        .map(|(at, _)| at)
        .take(CROSSED)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: impl IntoIterator<Item = f64>) -> Buckets {
        let mut sketch = NumberSketch::default();
        values.into_iter().enumerate().for_each(|(row, value)| sketch.take(row as u64, value));
        Buckets::of_numbers(&sketch)
    }

    #[test]
    fn edges_part_the_values_evenly_and_give_a_frequent_value_its_own_bucket() {
        let buckets = numbers((0..10_000).map(|i| if i % 10 < 7 { 0.0 } else { f64::from(i) }));
        let zero = buckets.number(Some(0.0));
        assert_ne!(zero, buckets.number(Some(-1.0)));
        assert_ne!(zero, buckets.number(Some(7.0)));
        assert_eq!(buckets.label(zero), "0");
        assert_eq!(buckets.number(None), MISSING);
        assert_eq!(buckets.number(Some(f64::NAN)), MISSING);
        assert_eq!(usize::from(buckets.number(Some(f64::INFINITY))) + 1, buckets.codes());
        assert!(buckets.check("x").is_ok());
    }

    #[test]
    fn edges_come_back_from_a_file_to_the_last_bit() {
        let mut buckets = numbers((1..3000_u32).map(|i| f64::from(i).sqrt() / 7.0));
        if let Buckets::Numbers { edges, levels } = &mut buckets {
            edges.push(f64::INFINITY);
            levels.push(7);
        }
        let text = serde_json::to_string(&buckets).unwrap();
        assert_eq!(serde_json::from_str::<Buckets>(&text).unwrap(), buckets);
        let broken = text.replacen('"', "\"x", 1);
        assert!(serde_json::from_str::<Buckets>(&broken).is_err());
    }

    #[test]
    fn words_of_the_reference_are_told_from_new_ones() {
        let mut sketch = WordSketch::default();
        (0..400_u64).for_each(|i| sketch.take(&format!("w{i}"), 1_000_000 / (i + 1)));
        let buckets = Buckets::of_words(&sketch);
        let dictionary = buckets.dictionary();
        assert_eq!(dictionary.code(Some("w0")), FIRST);
        assert!((TAIL..FIRST).contains(&dictionary.code(Some("w399"))));
        assert_eq!(dictionary.code(Some("else")), NEW);
        assert_eq!(dictionary.code(None), MISSING);
        assert!(buckets.check("x").is_ok());
        let levels = buckets.levels();
        let first = usize::from(FIRST);
        assert_eq!((levels[first], levels[first + 4], levels[first + 5]), (3, 7, 2));
    }

    #[test]
    fn names_of_single_rows_are_no_category() {
        let mut sketch = WordSketch::default();
        (0..200).for_each(|i| sketch.take(&format!("id-{i}"), 1));
        assert_eq!(Buckets::of_words(&sketch), Buckets::Identifier);
    }

    #[test]
    fn a_constant_column_and_an_empty_one_have_buckets() {
        let constant = numbers((0..1000).map(|_| 5.0));
        assert_ne!(constant.number(Some(5.0)), constant.number(Some(4.9)));
        assert_ne!(constant.number(Some(5.0)), constant.number(Some(5.1)));
        let empty = numbers([]);
        assert_eq!(empty.number(Some(1.0)), 1);
        assert!(constant.check("x").is_ok() && empty.check("x").is_ok());
    }
}
