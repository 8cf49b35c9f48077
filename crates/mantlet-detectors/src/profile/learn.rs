//! Learning a profile from the training table.
//!
//! Rows are shuffled by the seed; 70 % teach centres and covariance, 30 % are kept aside and calibrate: what a
//! statistic is on rows it was not fitted to is what it will be on honest traffic. Stream thresholds come from
//! simulated honest sessions over the rows kept aside, with retries of the same row and slightly noisy ones.

use std::collections::BTreeMap;

use mantlet_vocab::{NamedValue, Tensor, Value};

use super::linear::{eigen, k_means, nearest};
use super::space::Draws;
use super::{Column, Honest, InputProfile, Profile, ProfileError, Typical};
use crate::state::{CallerState, StateLimits};

/// Rows below which nothing can be learned.
const ROWS: usize = 32;
/// Rows beyond which more teach nothing; they are drawn at random.
const ENOUGH: usize = 6_000;
/// Columns a profile can hold.
const COLUMNS: usize = 1 << 16;
/// Texts in a column up to which they are categories.
const CATEGORIES: usize = 64;
/// Noise, in standard deviations of the input, that a noisy retry may have in simulated sessions.
const JITTER: f32 = 0.1;

/// What a profile is learned from.
#[derive(Debug, Clone)]
pub struct Learning<'a> {
    /// The training table as the model takes it: every input with the same number of rows.
    pub inputs: &'a [NamedValue],
    /// The label of each row, when known.
    pub labels: Option<&'a [usize]>,
    /// Class names.
    pub classes: &'a [String],
    /// The model's scores for each row, `[rows, classes]`, when known. Not used yet.
    pub scores: Option<&'a Tensor<f32>>,
    /// The false-positive rate wanted for a single row, for instance 0.001.
    pub outlier_rate: f64,
    /// Seed of the split and of the simulated honest streams that thresholds come from.
    pub seed: u64,
}

impl Profile {
    /// Learns a profile. Pure and deterministic: same table and seed, same profile.
    ///
    /// # Errors
    /// When the table is too small, uneven or has more columns than a profile can hold.
    pub fn learn(from: &Learning<'_>) -> Result<Self, ProfileError> {
        let rows = from.inputs.first().map_or(0, |input| input.value.shape().first().copied().unwrap_or(0));
        if rows < ROWS {
            return Err(ProfileError::Rows { found: rows, needed: ROWS });
        }
        let uneven =
            |what: &str, found: usize| ProfileError::Uneven { what: what.into(), found, expected: rows };
        for input in from.inputs {
            let found = input.value.shape().first().copied().unwrap_or(0);
            if found != rows {
                return Err(uneven(&input.name, found));
            }
        }
        if let Some(labels) = from.labels.filter(|labels| labels.len() != rows) {
            return Err(uneven("labels", labels.len()));
        }
        if let Some(scores) = from.scores.filter(|scores| scores.rows() != rows) {
            return Err(uneven("scores", scores.rows()));
        }
        let inputs = from.inputs.iter().map(input_profile).collect::<Result<Vec<_>, _>>()?;
        let columns = inputs.iter().map(|input| input.columns.len()).sum::<usize>();
        if columns > COLUMNS || columns == 0 {
            return Err(ProfileError::Columns { found: columns, limit: COLUMNS });
        }
        let mut profile = Self {
            format: 1,
            rows: rows as u64,
            inputs,
            classes: from.classes.to_vec(),
            priors: priors(from.labels, from.classes.len()),
            outlier_rate: from.outlier_rate.clamp(1e-9, 0.5),
            typical: Typical {
                width: 0,
                centres: Vec::new(),
                whiten: Vec::new(),
                units: [1.0; 2],
                scores: Vec::new(),
                aside: 0,
                threshold: f32::MAX,
            },
            honest: Honest {
                radius: 0.0,
                near: 0,
                aligned: 0,
                rare: 0,
                evidence: 0.0,
                near_needed: u32::MAX,
                aligned_needed: u32::MAX,
                evidence_needed: f64::MAX,
            },
        };
        let table = profile.encode(from.inputs).rows;
        let mut draws = Draws(from.seed);
        let mut order: Vec<usize> = (0..table.rows()).collect();
        draws.shuffle(&mut order);
        order.truncate(ENOUGH);
        let (taught, aside) = order.split_at(order.len() * 7 / 10);
        let (taught, aside) = (table.select(taught), table.select(aside));
        profile.typical = typical(&taught, &aside, profile.outlier_rate, &mut draws);
        profile.honest = honest(&profile, &taught, &aside, &mut draws);
        Ok(profile)
    }
}

fn priors(labels: Option<&[usize]>, classes: usize) -> Vec<f64> {
    let Some(labels) = labels else { return Vec::new() };
    let mut counts = vec![0_u32; classes];
    for &label in labels {
        if let Some(count) = counts.get_mut(label) {
            *count += 1;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    let total = labels.len().max(1) as f64;
    counts.into_iter().map(|count| f64::from(count) / total).collect()
}

fn input_profile(input: &NamedValue) -> Result<InputProfile, ProfileError> {
    let shape: Vec<usize> = input.value.shape().iter().skip(1).copied().collect();
    let width: usize = shape.iter().product();
    if width > COLUMNS {
        return Err(ProfileError::Columns { found: width, limit: COLUMNS });
    }
    let (kind, columns) = match &input.value {
        Value::Text(texts) => ("text", (0..width).map(|index| text_column(texts, index)).collect()),
        other => {
            let numbers = other.to_f32().unwrap_or_else(|| Tensor::full([0, 0], 0.0));
            let columns = (0..width)
                .map(|index| {
                    number_column(&numbers, index)
                        .ok_or_else(|| ProfileError::Empty { what: format!("{}[{index}]", input.name) })
                })
                .collect::<Result<Vec<_>, _>>()?;
            let kind = match other {
                Value::Bool(_) => "boolean",
                Value::I64(_) | Value::I32(_) | Value::U8(_) => "integer",
                _ => "number",
            };
            (kind, columns)
        }
    };
    let homogeneous = kind != "text" && (shape.len() >= 2 || alike(&columns));
    Ok(InputProfile { name: input.name.clone(), kind: kind.into(), shape, columns, homogeneous })
}

/// Many columns with about the same range share a unit: a flattened image, an embedding.
fn alike(columns: &[Column]) -> bool {
    let mut ranges: Vec<f64> = columns.iter().map(|column| column.max - column.min).collect();
    ranges.sort_by(f64::total_cmp);
    let (Some(&middle), Some(&widest)) = (ranges.get(ranges.len() / 2), ranges.last()) else { return false };
    columns.len() >= 16 && middle > 0.0 && widest <= 2.0 * middle
}

fn number_column(numbers: &Tensor<f32>, index: usize) -> Option<Column> {
    let rows = numbers.rows();
    let mut values: Vec<f64> =
        (0..rows).map(|row| f64::from(numbers.row(row)[index])).filter(|value| value.is_finite()).collect();
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    let (count, all) = (values.len() as f64, rows as f64);
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let at = |percent: usize| values[(values.len() - 1) * percent / 100];
    Some(Column {
        min: at(0),
        max: at(100),
        mean,
        std: variance.sqrt(),
        percentiles: [at(1), at(50), at(99)],
        integer: values.iter().all(|value| value.fract() == 0.0),
        missing: (all - count) / all,
        categories: Vec::new(),
    })
}

fn text_column(texts: &Tensor<String>, index: usize) -> Column {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for row in 0..texts.rows() {
        *counts.entry(&texts.row(row)[index]).or_default() += 1;
        if counts.len() > CATEGORIES {
            return Column::default();
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    let rows = texts.rows().max(1) as f64;
    let categories =
        counts.into_iter().map(|(text, count)| (text.to_owned(), f64::from(count) / rows)).collect();
    Column { categories, ..Column::default() }
}

fn typical(taught: &Tensor<f32>, aside: &Tensor<f32>, rate: f64, draws: &mut Draws) -> Typical {
    let width = taught.row_len();
    let clusters = (taught.rows() / 8).clamp(1, 128);
    let centres = k_means(taught.data(), width, clusters, 12, draws);
    let mut typical = Typical {
        width,
        whiten: whitening(taught),
        centres,
        units: [1.0; 2],
        scores: Vec::new(),
        aside: aside.rows() as u64,
        threshold: f32::MAX,
    };
    let distances = |typical: &Typical, which: usize| {
        let alone =
            Typical { units: if which == 0 { [1.0, f32::MAX] } else { [f32::MAX, 1.0] }, ..typical.clone() };
        let mut scores: Vec<f32> = (0..aside.rows()).map(|row| alone.score(aside.row(row))).collect();
        scores.sort_by(f32::total_cmp);
        scores
    };
    let unit = |scores: &[f32]| scores[(scores.len() - 1) * 95 / 100].max(1e-3);
    typical.units = [unit(&distances(&typical, 0)), unit(&distances(&typical, 1))];
    let mut scores: Vec<f32> = (0..aside.rows()).map(|row| typical.score(aside.row(row))).collect();
    scores.sort_by(f32::total_cmp);
    typical.threshold = tail(&scores, rate);
    let stride = scores.len().div_ceil(512).max(1);
    // Strided from the top, so that the rarest are kept.
    let mut kept: Vec<f32> = scores.iter().rev().step_by(stride).copied().collect();
    kept.reverse();
    typical.scores = kept;
    typical
}

/// The score that a share `rate` of honest rows reaches, by an exponential tail over the 90th percentile: what the
/// rows kept aside show where they reach, and a straight continuation where they do not.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts of rows, f32 scores"
)]
fn tail(ascending: &[f32], rate: f64) -> f32 {
    let start = ascending.len() * 9 / 10;
    let (Some(&base), top) = (ascending.get(start), ascending.get(start..).unwrap_or(&[])) else {
        return f32::MAX;
    };
    let excess = top.iter().map(|&score| f64::from(score - base)).sum::<f64>() / top.len().max(1) as f64;
    let tail = f64::from(base) + excess.max(1e-3) * (0.1 / rate).ln().max(0.0);
    tail.max(f64::from(base)) as f32
}

/// Scaled eigenvectors of the covariance, regularised by a twentieth of the mean variance.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts of rows, f32 storage"
)]
fn whitening(rows: &Tensor<f32>) -> Vec<f32> {
    let width = rows.row_len();
    let mut covariance = vec![0.0_f64; width * width];
    for row in 0..rows.rows() {
        let row = rows.row(row);
        for (i, &x) in row.iter().enumerate() {
            for (j, &y) in row.iter().enumerate().take(i + 1) {
                covariance[i * width + j] += f64::from(x) * f64::from(y);
            }
        }
    }
    let count = rows.rows().max(1) as f64;
    for i in 0..width {
        for j in 0..=i {
            let value = covariance[i * width + j] / count;
            covariance[i * width + j] = value;
            covariance[j * width + i] = value;
        }
    }
    let (values, vectors) = eigen(covariance, width);
    let ridge = (0.05 * values.iter().sum::<f64>() / width.max(1) as f64).max(1e-6);
    values
        .iter()
        .enumerate()
        .flat_map(|(index, value)| {
            let by = 1.0 / (value.max(0.0) + ridge).sqrt();
            vectors[index * width..(index + 1) * width].iter().map(move |v| (v * by) as f32)
        })
        .collect()
}

fn honest(profile: &Profile, taught: &Tensor<f32>, aside: &Tensor<f32>, draws: &mut Draws) -> Honest {
    let limits = StateLimits::default();
    let mut honest = profile.honest.clone();
    honest.radius = radius(taught, aside);
    let mut trial = profile.clone();
    trial.honest = honest.clone();
    let sessions = 24;
    for _ in 0..sessions {
        let mut state = CallerState::default();
        let mut last: Vec<f32> = Vec::new();
        for step in 0..4 * limits.trail {
            let fresh = aside.row(draws.below(aside.rows()));
            // Clients retry: the same row again, or the same thing captured once more.
            let row: Vec<f32> = match draws.below(10) {
                0 if step > 0 => last.clone(),
                1 if step > 0 => last.iter().map(|value| value + JITTER * draws.normal()).collect(),
                _ => fresh.to_vec(),
            };
            let facts = state.step(&trial, &row, &limits, mantlet_vocab::Millis(0));
            honest.near = honest.near.max(facts.near);
            honest.aligned = honest.aligned.max(facts.aligned);
            honest.rare = honest.rare.max(facts.rare);
            honest.evidence = honest.evidence.max(facts.evidence);
            last = row;
        }
    }
    honest.near_needed = (2 * honest.near + 2).max(8);
    honest.aligned_needed = 2 * honest.aligned + 1;
    honest.evidence_needed = (1.5 * honest.evidence).max(crate::state::EVIDENCE);
    honest
}

/// Six tenths of how near the nearest percent of different training rows come to one another.
fn radius(taught: &Tensor<f32>, aside: &Tensor<f32>) -> f32 {
    let width = taught.row_len();
    let mut distances: Vec<f32> = (0..aside.rows())
        .map(|row| nearest(aside.row(row), taught.data(), width).1.sqrt())
        .filter(|distance| *distance > 1e-3)
        .collect();
    distances.sort_by(f32::total_cmp);
    0.6 * distances.get(distances.len() / 100).copied().unwrap_or(1e-3)
}
