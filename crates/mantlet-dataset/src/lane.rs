//! The values of one column in one batch of rows.

use std::borrow::Cow;
use std::collections::HashMap;

use mantlet_drift::Buckets;

/// The values of one column in one batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Lane {
    /// Numbers, or times in seconds since 1970 in UTC; NaN is a missing one.
    Numbers(Vec<f64>),
    /// Words by their place in a list; a place beyond the list is a missing one.
    Words {
        /// One for each row.
        keys: Vec<u32>,
        /// Each word once; it may hold words that no row has.
        words: Vec<String>,
    },
}

/// The key of a missing word.
pub(crate) const NO_WORD: u32 = u32::MAX;

/// Words of a batch, each kept once.
#[derive(Debug, Default)]
pub(crate) struct Words {
    keys: Vec<u32>,
    words: Vec<String>,
    places: HashMap<String, u32>,
}

impl Words {
    pub(crate) fn push(&mut self, word: Option<&str>) {
        let key = match word {
            None => NO_WORD,
            Some(word) => match self.places.get(word) {
                Some(&key) => key,
                None => {
                    let key = u32::try_from(self.words.len()).unwrap_or(NO_WORD);
                    self.words.push(word.to_owned());
                    self.places.insert(word.to_owned(), key);
                    key
                }
            },
        };
        self.keys.push(key);
    }

    pub(crate) fn finish(self) -> Lane {
        Lane::Words { keys: self.keys, words: self.words }
    }
}

impl Lane {
    /// The values of an Arrow array, read as a column of that kind just as the same array of a file would be; nothing
    /// where it cannot be one.
    #[must_use]
    pub fn of_arrow(array: &arrow_array::ArrayRef, kind: crate::Kind) -> Option<Self> {
        crate::read::lane(array, kind)
    }

    /// Rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Words { keys, .. } => keys.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a row as a word; nothing where it is missing.
    #[must_use]
    pub fn word(&self, row: usize) -> Option<Cow<'_, str>> {
        match self {
            Self::Numbers(values) => {
                values.get(row).filter(|value| !value.is_nan()).map(|value| value.to_string().into())
            }
            Self::Words { keys, words } => {
                let key = *keys.get(row)? as usize;
                words.get(key).map(|word| word.as_str().into())
            }
        }
    }

    /// The values as places in a list of words; a place beyond it is a missing value.
    #[must_use]
    pub fn keyed(&self) -> (Cow<'_, [u32]>, Cow<'_, [String]>) {
        match self {
            Self::Words { keys, words } => (keys.into(), words.into()),
            Self::Numbers(values) => {
                let mut words = Vec::new();
                let mut places: HashMap<u64, u32> = HashMap::new();
                let key = |value: &f64| {
                    if value.is_nan() {
                        return NO_WORD;
                    }
                    *places.entry(value.to_bits()).or_insert_with(|| {
                        words.push(value.to_string());
                        u32::try_from(words.len() - 1).unwrap_or(NO_WORD)
                    })
                };
                let keys: Vec<u32> = values.iter().map(key).collect();
                (keys.into(), words.into())
            }
        }
    }

    /// The codes of the values in these buckets.
    #[must_use]
    pub fn codes(&self, buckets: &Buckets) -> Vec<u16> {
        match self {
            Self::Numbers(values) => {
                values.iter().map(|&value| buckets.number((!value.is_nan()).then_some(value))).collect()
            }
            Self::Words { keys, words } => {
                let dictionary = buckets.dictionary();
                let missing = dictionary.code(None);
                let codes: Vec<u16> = words.iter().map(|word| dictionary.code(Some(word))).collect();
                keys.iter().map(|&key| codes.get(key as usize).copied().unwrap_or(missing)).collect()
            }
        }
    }
}
