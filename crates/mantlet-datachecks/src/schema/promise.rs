//! The schema itself: what is written down, and what of it makes no sense.

use serde::{Deserialize, Serialize};

/// The version that is written.
pub const SCHEMA_VERSION: u32 = 1;
/// Bytes that the automaton of one spelling may take.
const AUTOMATON: usize = 16 << 20;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// Numbers; truth values count as 0 and 1.
    Numbers,
    /// Numbers without a fraction.
    Whole,
    /// Dates, or dates and times, as in ISO 8601.
    Times,
    /// Words or texts.
    #[default]
    Words,
}

/// What is promised of one column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    #[serde(default)]
    pub kind: Holds,
    /// Whether the table may lack it.
    #[serde(default, skip_serializing_if = "is_no")]
    pub optional: bool,
    /// The greatest share of rows in which it may be missing, from 0 to 1.
    #[serde(default, skip_serializing_if = "is_none")]
    pub missing: f64,
    /// The least and the greatest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// The earliest time, `2024-01-01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<String>,
    /// The latest time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
    /// A regular expression that the whole value has to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Letters of the longest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<usize>,
    /// The only words there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<String>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_no(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_none(share: &f64) -> bool {
    *share == 0.0
}

/// Columns of which no two rows have the same values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    /// The columns.
    pub columns: Vec<String>,
}

/// Values that have to stand in another table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The columns here.
    pub columns: Vec<String>,
    /// The other table, relative to the schema.
    pub table: String,
    /// Its columns, in the same order; the same names when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
}

/// A column that is never above another: numbers or times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The smaller or earlier one.
    pub first: String,
    /// The greater or later one.
    pub then: String,
}

/// What a table promises.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// [`SCHEMA_VERSION`].
    pub version: u32,
    /// Whether the table may have columns that are not named here.
    #[serde(default, skip_serializing_if = "is_no")]
    pub open: bool,
    /// Its columns.
    #[serde(default, rename = "column")]
    pub columns: Vec<Column>,
    /// Its keys.
    #[serde(default, rename = "unique", skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Unique>,
    /// What has to stand in other tables.
    #[serde(default, rename = "reference", skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// Columns in order.
    #[serde(default, rename = "order", skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<Order>,
}

/// Why a schema makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Written by a later version.
    #[error("the schema has version {found}; this program reads {SCHEMA_VERSION}")]
    Version {
        /// What it says.
        found: u32,
    },
    /// A column named twice.
    #[error("the schema names column `{0}` twice")]
    Twice(String),
    /// A rule about a column that is not promised.
    #[error("a rule names column `{0}`, which the schema does not")]
    Unknown(String),
    /// A regular expression that is none, or whose automaton is too large.
    #[error("column `{column}`: the pattern cannot be used: {why}")]
    Pattern {
        /// The column.
        column: String,
        /// Why.
        why: String,
    },
    /// A bound that bounds nothing.
    #[error("column `{column}`: {why}")]
    Bound {
        /// The column.
        column: String,
        /// Why.
        why: &'static str,
    },
    /// A rule without columns, or a reference whose sides differ in number.
    #[error("a rule about {0} has no columns, or other many than it refers to")]
    Columns(String),
}

impl Schema {
    /// Looks whether the schema makes sense.
    ///
    /// # Errors
    /// Says what does not.
    pub fn check(&self) -> Result<(), SchemaError> {
        if self.version != SCHEMA_VERSION {
            return Err(SchemaError::Version { found: self.version });
        }
        let mut names = std::collections::BTreeSet::new();
        for column in &self.columns {
            if !names.insert(column.name.as_str()) {
                return Err(SchemaError::Twice(column.name.clone()));
            }
            let bound = |why| Err(SchemaError::Bound { column: column.name.clone(), why });
            if !(0.0..=1.0).contains(&column.missing) {
                return bound("`missing` is a share from 0 to 1");
            }
            if column.range.is_some_and(|[low, high]| low.is_nan() || high.is_nan() || low > high) {
                return bound("`range` is the least and the greatest number");
            }
            if column.range.is_some() && !matches!(column.kind, Holds::Numbers | Holds::Whole) {
                return bound("`range` is for numbers; `earliest` and `latest` are for times");
            }
            let times = [&column.earliest, &column.latest];
            if times.iter().any(|time| time.is_some()) && column.kind != Holds::Times {
                return bound("`earliest` and `latest` are for times");
            }
            if times.into_iter().flatten().any(|time| !super::judge::is_time(time)) {
                return bound("`earliest` and `latest` are dates such as 2024-01-31");
            }
        }
        let known = |columns: &[String]| {
            columns
                .iter()
                .find(|name| !names.contains(name.as_str()))
                .map_or(Ok(()), |name| Err(SchemaError::Unknown(name.clone())))
        };
        for key in &self.keys {
            if key.columns.is_empty() {
                return Err(SchemaError::Columns("a key".into()));
            }
            known(&key.columns)?;
        }
        for reference in &self.references {
            let other = reference.to.len();
            if reference.columns.is_empty() || (other != 0 && other != reference.columns.len()) {
                return Err(SchemaError::Columns(reference.table.clone()));
            }
            known(&reference.columns)?;
        }
        for order in &self.orders {
            known(&[order.first.clone(), order.then.clone()])?;
        }
        Ok(())
    }
}

/// The spelling of a column, as an automaton over the whole value.
#[derive(Debug)]
pub(super) struct Spelling(regex_automata::dfa::dense::DFA<Vec<u32>>);

impl Spelling {
    pub(super) fn new(column: &str, pattern: &str) -> Result<Self, SchemaError> {
        use regex_automata::dfa::{StartKind, dense};
        let why = |error: &dyn std::fmt::Display| SchemaError::Pattern {
            column: column.to_owned(),
            why: error.to_string().lines().next().unwrap_or("it is no regular expression").to_owned(),
        };
        let limits = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(AUTOMATON))
            .determinize_size_limit(Some(2 * AUTOMATON));
        let whole = format!(r"\A(?:{pattern})\z");
        let built = dense::Builder::new().configure(limits).build(&whole);
        built.map(Self).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            why(&source.as_deref().and_then(|text| text.lines().last()).unwrap_or(&error.to_string()))
        })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        use regex_automata::dfa::Automaton as _;
        let input = regex_automata::Input::new(text).anchored(regex_automata::Anchored::Yes);
        self.0.try_search_fwd(&input).is_ok_and(|found| found.is_some())
    }
}
