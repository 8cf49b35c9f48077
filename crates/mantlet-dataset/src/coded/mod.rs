//! Rows as small codes: what their features say, where they come from, their batch and their label; and the passes of a
//! scan for slow poisoning over them.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use mantlet_datachecks::feed::{Additive, Axis, COUNTS_MOST, Grid, GridCounts, REST, Spot};
use mantlet_drift::bytes::{Left, put, put_block};
use mantlet_drift::{DriftError, short};
use serde::{Deserialize, Serialize};

use crate::Lane;

/// A missing label.
pub const NO_LABEL: u8 = u8::MAX;

/// How one feature becomes a code; 0 is a missing value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// A number by how many steps, rising, are at or below it.
    Numbers(#[serde(with = "bits")] Vec<f64>),
    /// A word by this table; 1 for any other.
    Words(BTreeMap<String, u8>),
}

/// Numbers as their bits: digits may come back as a neighbour.
mod bits {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(numbers: &[f64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(numbers.iter().map(|number| number.to_bits()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<u64>::deserialize(from)?.into_iter().map(f64::from_bits).collect())
    }
}

/// How the columns of a table become codes, each by its place among the columns that are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coding {
    /// What a label may follow from.
    pub features: Vec<(usize, Feature)>,
    /// Where rows come from.
    pub axes: Vec<(usize, BTreeMap<String, u16>)>,
    /// The batch of a row; its file without it.
    pub time: Option<(usize, BTreeMap<String, u16>)>,
    /// The label.
    pub label: usize,
    /// Its words.
    pub codes: BTreeMap<String, u8>,
}

/// A batch of rows in codes.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    /// The first row's number in the whole table.
    pub first: u64,
    /// By feature.
    pub features: Vec<Vec<u8>>,
    /// By axis.
    pub levels: Vec<Vec<u16>>,
    /// The batch of each row.
    pub batch: Vec<u16>,
    /// The label of each row.
    pub label: Vec<u8>,
}

impl Chunk {
    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.label.len()
    }
}

/// The day of a time, the whole word of anything else.
#[must_use]
pub fn day(word: &str) -> &str {
    let date =
        word.len() > 10 && word.as_bytes().get(4) == Some(&b'-') && word.as_bytes().get(7) == Some(&b'-');
    if date { word.get(..10).unwrap_or(word) } else { word }
}

fn lookup<T: Copy>(lane: &Lane, code: impl Fn(&str) -> T, missing: T) -> Vec<T> {
    let (keys, words) = lane.keyed();
    let codes: Vec<T> = words.iter().map(|word| code(&short(word))).collect();
    keys.iter().map(|&key| codes.get(key as usize).copied().unwrap_or(missing)).collect()
}

impl Coding {
    pub(crate) fn fits(&self, columns: usize) -> bool {
        let places = self.features.iter().map(|(at, _)| at).chain(self.axes.iter().map(|(at, _)| at));
        places.chain(self.time.iter().map(|(at, _)| at)).chain([&self.label]).all(|&at| at < columns)
    }

    /// The codes of a batch whose first row has this number, of the file at this place. Every place has to be one of
    /// the lanes'.
    #[must_use]
    pub fn code(&self, file: usize, first: u64, lanes: &[Lane]) -> Chunk {
        let features = self.features.iter().map(|(lane, feature)| match (feature, &lanes[*lane]) {
            (Feature::Numbers(steps), Lane::Numbers(values)) => values
                .iter()
                .map(|value| {
                    if value.is_nan() {
                        return 0;
                    }
                    u8::try_from(steps.partition_point(|step| step <= value) + 1).unwrap_or(u8::MAX)
                })
                .collect(),
            (Feature::Words(codes), lane) => lookup(lane, |word| codes.get(word).copied().unwrap_or(1), 0),
            (_, lane) => vec![0; lane.len()],
        });
        let levels = self.axes.iter().map(|(lane, codes)| {
            lookup(&lanes[*lane], |word| codes.get(word).copied().unwrap_or(REST), REST)
        });
        let rows = lanes.first().map_or(0, Lane::len);
        let batch = match &self.time {
            None => vec![u16::try_from(file).unwrap_or(u16::MAX); rows],
            Some((lane, places)) => {
                lookup(&lanes[*lane], |word| places.get(day(word)).copied().unwrap_or(u16::MAX), u16::MAX)
            }
        };
        let label = |word: &str| self.codes.get(word).copied().unwrap_or(NO_LABEL);
        Chunk {
            first,
            features: features.collect(),
            levels: levels.collect(),
            batch,
            label: lookup(&lanes[self.label], label, NO_LABEL),
        }
    }
}

/// What a pass over coded rows looks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Look {
    /// Rows from which is learned what features say of a label: one in `every`, outside what turned.
    Sample {
        /// One row in so many, by its number.
        every: u64,
        /// The label.
        code: u8,
        /// Cells that are left out.
        named: Vec<Spot>,
    },
    /// Rows with a label by where they come from and their batch, beside what is expected, outside what turned.
    Cells {
        /// The axes.
        axes: Vec<Axis>,
        /// The batches.
        batches: Vec<String>,
        /// What is expected.
        model: Additive,
        /// The label.
        code: u8,
        /// Cells that are left out.
        named: Vec<Spot>,
    },
}

/// Rows to learn from.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    width: usize,
    rows: Vec<u64>,
    truth: Vec<bool>,
    /// Row after row.
    codes: Vec<u8>,
}

impl Sample {
    /// By feature the codes, and whether each row has the label; in the order of the table's rows.
    #[must_use]
    pub fn columns(&self) -> (Vec<Vec<u8>>, Vec<bool>) {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|&at| self.rows[at]);
        let column = |feature: usize| order.iter().map(|&at| self.codes[at * self.width + feature]).collect();
        ((0..self.width).map(column).collect(), order.iter().map(|&at| self.truth[at]).collect())
    }
}

/// What a pass over coded rows found.
#[derive(Debug, Clone)]
pub enum Looked {
    /// Rows to learn from.
    Sample(Sample),
    /// Cells, with what they are cells of.
    Cells(Box<Grid>),
    /// Cells as another process counted them.
    Counts(GridCounts),
}

impl Look {
    /// Nothing yet, of rows with so many features.
    #[must_use]
    pub fn nothing(&self, width: usize) -> Looked {
        match self {
            Self::Sample { .. } => Looked::Sample(Sample { width, ..Sample::default() }),
            Self::Cells { axes, batches, .. } => {
                Looked::Cells(Box::new(Grid::new(axes.clone(), batches.clone())))
            }
        }
    }

    pub(crate) fn fits(&self, coding: &Coding) -> bool {
        let within = |spot: &Spot| {
            spot.axes.len() == spot.levels.len() && spot.axes.iter().all(|&axis| axis < coding.axes.len())
        };
        match self {
            Self::Sample { every, named, .. } => *every > 0 && named.iter().all(within),
            Self::Cells { axes, batches, named, .. } => {
                // Pairs of axes that would take too much are left out by the grid; what is never left out is bounded.
                let levels = axes.iter().map(|axis| axis.levels.len() + 1).sum::<usize>();
                axes.len() == coding.axes.len()
                    && levels.saturating_mul(batches.len()) <= 4 * COUNTS_MOST
                    && named.iter().all(within)
            }
        }
    }

    /// Looks at a batch.
    pub fn add(&self, chunk: &Chunk, to: &mut Looked) {
        match (self, to) {
            (Self::Sample { every, code, named }, Looked::Sample(sample)) => {
                for row in 0..chunk.rows() {
                    let number = chunk.first + row as u64;
                    let sampled = *every == 1 || mantlet_drift::mix(number).is_multiple_of(*every);
                    let known = chunk.label[row] != NO_LABEL;
                    if !sampled || !known || is_within(named, |axis| chunk.levels[axis][row]) {
                        continue;
                    }
                    sample.rows.push(number);
                    sample.truth.push(chunk.label[row] == *code);
                    sample.codes.extend(chunk.features.iter().map(|codes| codes[row]));
                }
            }
            (Self::Cells { model, code, named, .. }, Looked::Cells(grid)) => {
                let mut levels = vec![0; chunk.levels.len()];
                for row in 0..chunk.rows() {
                    if chunk.label[row] == NO_LABEL || is_within(named, |axis| chunk.levels[axis][row]) {
                        continue;
                    }
                    levels.iter_mut().zip(&chunk.levels).for_each(|(level, codes)| *level = codes[row]);
                    let chance = model.chance(chunk.features.iter().map(|codes| codes[row]));
                    grid.add(&levels, usize::from(chunk.batch[row]), chunk.label[row] == *code, chance);
                }
            }
            _ => {}
        }
    }
}

/// Whether a row lies in one of these cells.
fn is_within(named: &[Spot], level: impl Fn(usize) -> u16) -> bool {
    named.iter().any(|spot| spot.axes.iter().zip(&spot.levels).all(|(&axis, &own)| level(axis) == own))
}

impl Looked {
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), DriftError> {
        match (self, other) {
            (Self::Sample(own), Self::Sample(other)) if own.width == other.width => {
                own.rows.extend(other.rows);
                own.truth.extend(other.truth);
                own.codes.extend(other.codes);
            }
            (Self::Cells(own), Self::Counts(other)) => {
                if !own.take(&other) {
                    return Err(DriftError::Counts);
                }
            }
            (Self::Counts(own), Self::Counts(other)) => {
                if !own.merge(&other) {
                    return Err(DriftError::Counts);
                }
            }
            _ => return Err(DriftError::Counts),
        }
        Ok(())
    }

    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Sample(sample) => sample.rows.len() * (9 + sample.width),
            Self::Cells(grid) => grid.size() * grid.batches.len() * 56,
            Self::Counts(counts) => counts.size(),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Counts can always be written as JSON.
        let counts = |counts: &GridCounts, bytes: &mut Vec<u8>| {
            bytes.push(1);
            put_block(bytes, &serde_json::to_vec(counts).unwrap_or_default());
        };
        match self {
            Self::Sample(sample) => {
                bytes.push(0);
                put(&mut bytes, sample.width as u64);
                put(&mut bytes, sample.rows.len() as u64);
                for (at, &row) in sample.rows.iter().enumerate() {
                    put(&mut bytes, row);
                    bytes.push(u8::from(sample.truth[at]));
                    bytes.extend_from_slice(&sample.codes[at * sample.width..(at + 1) * sample.width]);
                }
            }
            Self::Cells(grid) => counts(&grid.counts(), &mut bytes),
            Self::Counts(own) => counts(own, &mut bytes),
        }
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut left = Left(bytes);
        let looked = match left.byte()? {
            0 => {
                let width = left.many()?;
                let mut sample = Sample { width, ..Sample::default() };
                for _ in 0..left.many()? {
                    sample.rows.push(left.number()?);
                    sample.truth.push(left.byte()? == 1);
                    let (codes, rest) = left.0.split_at_checked(width)?;
                    sample.codes.extend_from_slice(codes);
                    left.0 = rest;
                }
                Self::Sample(sample)
            }
            1 => Self::Counts(serde_json::from_slice(left.block()?).ok()?),
            _ => return None,
        };
        left.is_empty().then_some(looked)
    }
}
