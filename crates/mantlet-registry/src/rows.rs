//! Rows of a batch: those shown to people because they are most worth a look, and what people decided about them.

use std::collections::BTreeMap;

use mantlet_vocab::{Digest, Millis};
use serde::{Deserialize, Serialize};

/// Rows of one batch that can be decided about one by one; whoever has more to say rejects the batch.
pub const MOST_RULED: usize = 10_000;
/// Bytes of a label that a person may write.
pub const LABEL_MOST: usize = 200;

/// What a person decides about a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ruling", content = "label")]
pub enum RowRuling {
    /// The row is right as it is.
    Keep,
    /// No model learns from the row.
    LeaveOut,
    /// The row has this label.
    Relabel(String),
}

impl RowRuling {
    /// The word used in lists of decisions.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::LeaveOut => "leave-out",
            Self::Relabel(_) => "relabel",
        }
    }
}

/// A row and what was decided about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRuled {
    /// Its number in the batch, from 0, files in order.
    pub row: u64,
    /// The decision.
    #[serde(flatten)]
    pub ruling: RowRuling,
}

/// What was decided about rows of a batch; a later decision about a row replaces the earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rulings(BTreeMap<u64, (RowRuling, String)>);

impl Rulings {
    /// Takes in decisions of a person; says whether what is learned from the batch changed.
    pub(crate) fn take(&mut self, rows: &[RowRuled], by: &str) -> bool {
        let before = self.digest();
        for ruled in rows {
            self.0.insert(ruled.row, (ruled.ruling.clone(), by.to_owned()));
        }
        before != self.digest()
    }

    /// The decision about a row, and whose it is.
    #[must_use]
    pub fn of(&self, row: u64) -> Option<(&RowRuling, &str)> {
        self.0.get(&row).map(|(ruling, by)| (ruling, by.as_str()))
    }

    /// Every row that was decided about.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &RowRuling, &str)> {
        self.0.iter().map(|(row, (ruling, by))| (*row, ruling, by.as_str()))
    }

    /// Rows that were decided about.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no row was decided about.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rows left out, and rows with another label.
    #[must_use]
    pub fn changes(&self) -> (usize, usize) {
        let count = |word: &str| self.0.values().filter(|(ruling, _)| ruling.word() == word).count();
        (count("leave-out"), count("relabel"))
    }

    /// What a consent to the batch with these decisions names; nothing when they change no row. Who decided is no
    /// part of it.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        let changed = self.0.iter().filter(|(_, (ruling, _))| *ruling != RowRuling::Keep);
        let text: String = changed
            .map(|(row, (ruling, _))| match ruling {
                RowRuling::Relabel(label) => format!("{row} relabel {label:?}\n"),
                other => format!("{row} {}\n", other.word()),
            })
            .collect();
        (!text.is_empty()).then(|| Digest::of(text.as_bytes()))
    }
}

/// The rows of a batch most worth a look, as its gate chose them; kept with the digest they were read from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// The batch.
    pub batch: String,
    /// What was read.
    pub digest: Digest,
    /// When.
    pub at: Millis,
    /// Rows of the whole batch.
    pub of: u64,
    /// Labels a row may be given instead, most frequent first; the first hundred.
    pub labels: Vec<String>,
    /// Names of the columns that are shown.
    pub columns: Vec<String>,
    /// The rows, grouped, likeliest first in each group.
    pub rows: Vec<SheetRow>,
    /// What was not looked at, and rows that found no room.
    pub gaps: Vec<String>,
}

/// A row that is worth a look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SheetRow {
    /// Its number in the batch, from 0.
    pub row: u64,
    /// What it shares with others: the cell that turned, the flood, the trigger; in words.
    pub group: String,
    /// The chance that its label is wrong, where it is known.
    pub chance: Option<f64>,
    /// Its label.
    pub label: String,
    /// The label it should have; nothing when that is not known.
    pub suggested: Option<String>,
    /// Its values, shortened, in the order of the columns.
    pub cells: Vec<String>,
    /// A small PNG of it in base64, where it is a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

impl Sheet {
    /// The groups in order, each with its rows.
    #[must_use]
    pub fn groups(&self) -> Vec<(&str, Vec<&SheetRow>)> {
        let mut groups: Vec<(&str, Vec<&SheetRow>)> = Vec::new();
        for row in &self.rows {
            match groups.iter_mut().find(|(group, _)| *group == row.group) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((&row.group, vec![row])),
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_rows_is_part_of_what_is_consented_to() {
        let mut rulings = Rulings::default();
        let keep = RowRuled { row: 4, ruling: RowRuling::Keep };
        assert!(!rulings.take(std::slice::from_ref(&keep), "ann"));
        assert_eq!((rulings.digest(), rulings.len()), (None, 1));
        let out = RowRuled { row: 4, ruling: RowRuling::LeaveOut };
        let other = RowRuled { row: 9, ruling: RowRuling::Relabel("no".into()) };
        assert!(rulings.take(&[out.clone(), other.clone()], "bea"));
        let digest = rulings.digest();
        assert!(digest.is_some() && rulings.changes() == (1, 1));
        assert!(!rulings.take(&[out], "cem"), "another person says the same");
        assert_eq!(rulings.of(4), Some((&RowRuling::LeaveOut, "cem")));
        assert!(rulings.take(&[keep], "cem") && rulings.digest() != digest);
        let text = serde_json::to_string(&other).unwrap();
        assert_eq!(text, r#"{"row":9,"ruling":"relabel","label":"no"}"#);
        assert_eq!(serde_json::from_str::<RowRuled>(&text).unwrap(), other);
    }
}
