//! Label integrity: rows whose label out-of-sample predictions contradict, and whose rows they are.
//!
//! Long because reading a table, leaving columns out and learning from the others are one pass.

mod pictures;
mod words;

use std::collections::HashMap;

use mantlet_datachecks::label::{Confident, Labelled, Origin, confident, look};
use mantlet_dataset::{Column, Dataset, Kind, Lane};
use mantlet_learn::{Boosting, boost};
use mantlet_vocab::{Finding, Place, Tensor};

use crate::coding::keyed;
use crate::{CurateError, Roles};

pub use pictures::pictures;
use words::Texts;

/// Parts of the table; each is predicted by a model trained on the others.
const FOLDS: u64 = 3;
/// How often texts are learned from, each time without what was called wrong the time before.
const ROUNDS: usize = 3;
/// Rows a model is trained on at most.
const TRAINED: usize = 200_000;
/// Values kept in memory at most, features and probabilities together.
const VALUES: usize = 256 << 20;
/// Classes at most.
const CLASSES: usize = 1_000;

/// How labels are held against rows.
const BY_TREES: &str = "boosted trees, out of fold";
const BY_WORDS: &str = "words of the text, out of fold";
const BY_GIVEN: &str = "given probabilities";

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// What the columns stand for.
    pub roles: Roles,
    /// Classes with the column that holds their out-of-sample probability; when empty, models are trained here.
    pub probabilities: Vec<(String, String)>,
    /// The column with the text whose words alone say what a row is, instead of all columns.
    pub text: Option<String>,
}

impl Asked {
    /// What labels are held against, in words.
    #[must_use]
    pub const fn by(&self) -> &'static str {
        match (&self.text, self.probabilities.is_empty()) {
            (_, false) => BY_GIVEN,
            (Some(_), true) => BY_WORDS,
            (None, true) => BY_TREES,
        }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Flagged rows and the joint of given and true classes.
    pub confident: Confident,
    /// The classes' words.
    pub classes: Vec<String>,
    /// Rows of each class.
    pub counts: Vec<u64>,
    /// The class of each examined row.
    given: Vec<usize>,
    origins: Vec<Origin>,
    /// The numbers of the examined rows in the table, from 0.
    pub rows: Vec<u64>,
    /// What the flagged ones are called, where they are no rows of a table; in their order.
    pub names: Vec<String>,
    /// What was not looked at.
    pub gaps: Vec<String>,
}

impl Found {
    /// The findings of the rooms; row numbers are those of the table.
    #[must_use]
    pub fn findings(&self, place: &Place) -> Vec<Finding> {
        let mut confident = self.confident.clone();
        for row in &mut confident.rows {
            row.row = self.rows.get(row.row).and_then(|&row| usize::try_from(row).ok()).unwrap_or(row.row);
        }
        let placed = |words: &mut dyn Iterator<Item = u32>| {
            let last = self.rows.last().map_or(0, |&row| usize::try_from(row).unwrap_or(0) + 1);
            let mut rows = vec![u32::MAX; last];
            for (&row, word) in self.rows.iter().zip(words) {
                if let Some(at) = usize::try_from(row).ok().and_then(|row| rows.get_mut(row)) {
                    *at = word;
                }
            }
            rows
        };
        let origins: Vec<Origin> = self
            .origins
            .iter()
            .map(|origin| Origin { rows: placed(&mut origin.rows.iter().copied()), ..origin.clone() })
            .collect();
        let given = placed(&mut self.given.iter().map(|&class| u32::try_from(class).unwrap_or(u32::MAX)));
        let labelled = Labelled {
            confident: &confident,
            classes: &self.classes,
            counts: &self.counts,
            given: &given,
            origins: &origins,
            names: &self.names,
        };
        look(&labelled, place)
    }
}

/// Words met so far, each with a place.
#[derive(Debug, Default)]
struct Places {
    words: Vec<String>,
    places: HashMap<String, u32>,
}

impl Places {
    fn of(&mut self, lane: &Lane) -> Vec<u32> {
        let (keys, words) = keyed(lane);
        let mut known = vec![u32::MAX; words.len()];
        keys.into_iter()
            .map(|key| {
                let Some(word) = words.get(key as usize) else { return u32::MAX };
                if known[key as usize] == u32::MAX {
                    known[key as usize] = match self.places.get(word) {
                        Some(&place) => place,
                        None => {
                            let place = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
                            self.words.push(word.clone());
                            self.places.insert(word.clone(), place);
                            place
                        }
                    };
                }
                known[key as usize]
            })
            .collect()
    }
}

/// Examines the labels of a table.
///
/// # Errors
/// When the table cannot be read, a column is missing, or there are too few or too many classes.
pub fn labels(dataset: &Dataset, asked: &Asked) -> Result<Found, CurateError> {
    let roles = &asked.roles;
    let find = |name: &String| crate::coding::find(dataset, name);
    let label = find(&roles.label)?;
    let origins: Vec<(usize, String)> = [&roles.feed, &roles.labeler]
        .into_iter()
        .flatten()
        .map(|name| Ok((find(name)?, name.clone())))
        .collect::<Result<_, CurateError>>()?;
    let without = roles.without.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let time = roles.time.as_ref().map(find).transpose()?;
    let given: Vec<usize> =
        asked.probabilities.iter().map(|(_, name)| find(name)).collect::<Result<_, _>>()?;
    let text = asked.text.as_ref().filter(|_| given.is_empty()).map(find).transpose()?;
    let mut gaps = Vec::new();
    let features: Vec<usize> = if let Some(text) = text {
        vec![text]
    } else if given.is_empty() {
        let own = |&place: &usize| {
            let column = &dataset.columns()[place];
            let taken = place == label
                || Some(place) == time
                || without.contains(&place)
                || origins.iter().any(|(other, _)| *other == place);
            if !taken && column.kind == Kind::Other {
                gaps.push(format!(
                    "column `{}` holds {}, which are not read",
                    column.name,
                    column.kind.word()
                ));
            }
            !taken && matches!(column.kind, Kind::Numbers | Kind::Words)
        };
        (0..dataset.columns().len()).filter(own).collect()
    } else {
        given.clone()
    };
    let places: Vec<usize> = std::iter::once(label)
        .chain(origins.iter().map(|(place, _)| *place))
        .chain(features.iter().copied())
        .collect();
    let wanted: Vec<Column> = places.iter().map(|&place| dataset.columns()[place].clone()).collect();
    if let Some(column) = wanted.iter().find(|column| matches!(column.kind, Kind::Times | Kind::Other)) {
        let why = "it holds neither words nor numbers".to_owned();
        return Err(CurateError::Role {
            column: column.name.clone(),
            role: "label, feed, labeler, text or probability",
            why,
        });
    }
    let given_columns = if given.is_empty() { &[] } else { &wanted[1 + origins.len()..] };
    if let Some(column) = given_columns.iter().find(|column| column.kind != Kind::Numbers) {
        let why = "it holds words; name columns of probabilities from 0 to 1".to_owned();
        return Err(CurateError::Role { column: column.name.clone(), role: "probability", why });
    }
    let first = 1 + origins.len();
    let mut classes = Places::default();
    let mut words: Vec<Places> = (0..wanted.len()).map(|_| Places::default()).collect();
    let mut codes: Vec<u32> = Vec::new();
    let mut rows: Vec<u64> = Vec::new();
    let mut of: Vec<Vec<u32>> = vec![Vec::new(); origins.len()];
    let mut values: Vec<f32> = Vec::new();
    let mut texts = Texts::default();
    let width = if text.is_some() { 0 } else { features.len() };
    let mut crowded = false;
    dataset.stream(&wanted, |row, lanes| {
        let own = classes.of(&lanes[0]);
        let from: Vec<Vec<u32>> = (0..origins.len()).map(|at| words[1 + at].of(&lanes[1 + at])).collect();
        let written = text.map(|_| keyed(&lanes[first]));
        let columns = if text.is_some() { &[] } else { &lanes[first..] };
        let cells: Vec<Vec<f32>> = columns
            .iter()
            .zip(&mut words[first..])
            .map(|(lane, words)| match lane {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "features and probabilities as the learner takes them"
                )]
                Lane::Numbers(values) => values.iter().map(|&value| value as f32).collect(),
                // Words as numbers in order of their first row: trees cut them apart.
                lane => words
                    .of(lane)
                    .into_iter()
                    .map(|word| if word == u32::MAX { f32::NAN } else { word as f32 })
                    .collect(),
            })
            .collect();
        for (at, &class) in own.iter().enumerate() {
            if class == u32::MAX {
                continue;
            }
            if values.len() + width > VALUES {
                crowded = true;
                break;
            }
            if let Some((keys, words)) = &written
                && !texts.take(words.get(keys[at] as usize).map_or("", String::as_str))
            {
                crowded = true;
                break;
            }
            codes.push(class);
            rows.push(row + at as u64);
            of.iter_mut().zip(&from).for_each(|(of, from)| of.push(from[at]));
            values.extend(cells.iter().map(|cells| cells[at]));
        }
        Ok(())
    })?;
    if crowded {
        gaps.push(format!(
            "rows after the first {}: they do not fit into memory; examine the table in parts",
            rows.len()
        ));
    }
    let width = if asked.probabilities.is_empty() {
        let own = |at: usize| words[first + at].words.len() * 2 > rows.len() && rows.len() > 100;
        let alone: Vec<usize> = (0..width).filter(|&at| own(at)).collect();
        gaps.extend(alone.iter().map(|&at| {
            format!(
                "column `{}` has a word of its own in most rows: it is not learned from; if it is a text, name it as \
                 such (`--text`)",
                wanted[first + at].name
            )
        }));
        without_columns(&mut values, width, &alone)
    } else {
        width
    };
    let role = |why: String| CurateError::Role { column: roles.label.clone(), role: "label", why };
    let count = classes.words.len();
    if !(2..=CLASSES).contains(&count) {
        return Err(role(format!("it has {count} different values; 2 to {CLASSES} can be examined")));
    }
    let (order, probabilities) = if given.is_empty() {
        // Classes in order of their words, so that the first rows do not decide.
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| classes.words[a].cmp(&classes.words[b]));
        (order, None)
    } else {
        let place = |(class, _): &(String, String)| {
            let at = classes.words.iter().position(|word| word == class);
            at.ok_or_else(|| role(format!("no row has the class `{class}` that a probability was named for")))
        };
        let order = asked.probabilities.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        if order.len() != count {
            return Err(role(format!(
                "it has {count} values and {} probabilities; name one for each",
                order.len()
            )));
        }
        (order, Some(std::mem::take(&mut values)))
    };
    let mut probabilities = probabilities;
    if let Some(values) = &mut probabilities {
        let is_known = known(&asked.probabilities, values, &rows)?;
        let unknown = is_known.iter().filter(|known| !**known).count();
        if unknown > 0 {
            retain(&mut codes, &is_known, 1);
            retain(&mut rows, &is_known, 1);
            of.iter_mut().for_each(|of| retain(of, &is_known, 1));
            retain(values, &is_known, width);
            gaps.push(format!("{unknown} rows lack a probability of a class and were not examined"));
        }
    }
    let mut rank = vec![0; count];
    order.iter().enumerate().for_each(|(at, &class)| rank[class] = at);
    let given: Vec<usize> = codes.iter().map(|&code| rank[code as usize]).collect();
    let probabilities = match probabilities {
        Some(probabilities) => probabilities,
        None if text.is_some() => doubting(&given, count, &rows, &texts).map_err(role)?,
        None => out_of_fold(&mut values, width, &given, count, &rows).map_err(role)?,
    };
    let mut counts = vec![0_u64; count];
    given.iter().for_each(|&class| counts[class] += 1);
    let origins = origins
        .into_iter()
        .zip(of)
        .enumerate()
        .map(|(at, ((_, name), rows))| Origin { name, words: std::mem::take(&mut words[1 + at].words), rows })
        .collect();
    Ok(Found {
        confident: confident(&given, &probabilities, count),
        classes: order.iter().map(|&class| classes.words[class].clone()).collect(),
        counts,
        given,
        origins,
        rows,
        names: Vec::new(),
        gaps,
    })
}

/// Whether each row has a probability for every class: numbers from 0 to 1 that add up to 1.
fn known(named: &[(String, String)], values: &[f32], rows: &[u64]) -> Result<Vec<bool>, CurateError> {
    // Each may be rounded to two digits.
    let slack = 0.02 + 0.005 * f64::from(u32::try_from(named.len()).unwrap_or(u32::MAX));
    let mut is_known = Vec::with_capacity(rows.len());
    for (own, row) in values.chunks(named.len().max(1)).zip(rows) {
        let wrong = |at: usize, why: String| CurateError::Role {
            column: named.get(at).map(|(_, column)| column.clone()).unwrap_or_default(),
            role: "probability",
            why: format!("{why} in row {}; name columns of probabilities from 0 to 1", row + 1),
        };
        if let Some(at) = own.iter().position(|value| *value < -1e-6 || *value > 1.0 + 1e-6) {
            return Err(wrong(at, format!("it holds {}", own[at])));
        }
        let sum: f64 = own.iter().map(|&value| f64::from(value)).sum();
        if !sum.is_nan() && (sum - 1.0).abs() > slack {
            return Err(wrong(
                0,
                format!("with those of the other classes it adds up to {sum:.3}, not to 1,"),
            ));
        }
        is_known.push(!sum.is_nan());
    }
    Ok(is_known)
}

/// Keeps what belongs to rows that are marked, so many of each.
fn retain<T>(values: &mut Vec<T>, marked: &[bool], each: usize) {
    let mut at = 0;
    values.retain(|_| {
        let keep = marked.get(at / each.max(1)).copied().unwrap_or(true);
        at += 1;
        keep
    });
}

/// Leaves columns out of a table of this width; gives the width then.
fn without_columns(values: &mut Vec<f32>, width: usize, out: &[usize]) -> usize {
    if out.is_empty() {
        return width;
    }
    let mut at = 0;
    values.retain(|_| {
        let column = at % width;
        at += 1;
        !out.contains(&column)
    });
    width - out.len()
}

/// Probabilities of each row by models that did not learn from it: `predict` is given the rows to learn from and those
/// to say something of, and says it row by row.
fn folds(
    given: &[usize],
    classes: usize,
    rows: &[u64],
    mut predict: impl FnMut(&[usize], &[usize], &mut dyn FnMut(usize, &[f32])) -> Result<(), String>,
) -> Result<Vec<f32>, String> {
    let fold = |row: u64| mantlet_drift::mix(row) % FOLDS;
    let mut probabilities = vec![0.0_f32; given.len() * classes];
    for part in 0..FOLDS {
        let learned: Vec<usize> = (0..given.len()).filter(|&at| fold(rows[at]) != part).collect();
        let every = learned.len().div_ceil(TRAINED).max(1);
        let learned: Vec<usize> = learned.into_iter().step_by(every).collect();
        let held: Vec<usize> = (0..given.len()).filter(|&at| fold(rows[at]) == part).collect();
        if learned.len() < 20 || held.is_empty() {
            return Err("there are too few rows to learn from".to_owned());
        }
        predict(&learned, &held, &mut |row, chances| {
            probabilities[row * classes..(row + 1) * classes].copy_from_slice(chances);
        })?;
    }
    Ok(probabilities)
}

/// Probabilities of texts by models that learned neither from them nor from what the models before called wrong: labels
/// that were turned towards one side teach the same error otherwise.
fn doubting(given: &[usize], classes: usize, rows: &[u64], texts: &Texts) -> Result<Vec<f32>, String> {
    let mut doubted = vec![false; given.len()];
    let mut left = ROUNDS;
    loop {
        let probabilities = folds(given, classes, rows, |learned, held, told| {
            let learned: Vec<usize> = learned.iter().copied().filter(|&row| !doubted[row]).collect();
            texts.predict(given, classes, (&learned, held), told)
        })?;
        left -= 1;
        if left == 0 {
            return Ok(probabilities);
        }
        doubted.fill(false);
        confident(given, &probabilities, classes).rows.iter().for_each(|row| doubted[row.row] = true);
        // A label half of whose rows are doubted is not understood: nothing better is learned without them.
        let mut sums = vec![[0_usize; 2]; classes];
        given.iter().zip(&doubted).for_each(|(&class, &doubted)| sums[class][usize::from(doubted)] += 1);
        if doubted.iter().all(|&doubted| !doubted) || sums.iter().any(|[kept, doubted]| doubted > kept) {
            return Ok(probabilities);
        }
    }
}

/// Scores become chances.
fn soft(scores: &mut [f32]) {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - top).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// Probabilities of each row by boosted trees that did not learn from it.
fn out_of_fold(
    values: &mut [f32],
    width: usize,
    given: &[usize],
    classes: usize,
    rows: &[u64],
) -> Result<Vec<f32>, String> {
    if width == 0 {
        return Err("there is no other column to predict it from".to_owned());
    }
    fill(values, width);
    let values = &*values;
    folds(given, classes, rows, |learned, held, told| {
        let mut targets = vec![0.0_f32; learned.len() * classes];
        learned.iter().enumerate().for_each(|(at, &row)| targets[at * classes + given[row]] = 1.0);
        let table = |rows: &[usize]| {
            let data =
                rows.iter().flat_map(|&row| values[row * width..(row + 1) * width].iter().copied()).collect();
            Tensor::new([rows.len(), width], data).map_err(|error| error.to_string())
        };
        let targets = Tensor::new([learned.len(), classes], targets).map_err(|error| error.to_string())?;
        let boosting = Boosting { rounds: 40, depth: 5, rate: 0.25, weight: 2.0, ..Boosting::default() };
        let model = boost(&table(learned)?, &targets, &boosting).map_err(|error| error.to_string())?;
        drop(targets);
        for rows in held.chunks(8_192) {
            let mut scores = model.scores(&table(rows)?);
            for (at, &row) in rows.iter().enumerate() {
                let own = scores.row_mut(at);
                soft(own);
                told(row, own);
            }
        }
        Ok(())
    })
}

/// Missing values become a value below all others of their column; infinite ones its ends.
fn fill(values: &mut [f32], width: usize) {
    for column in 0..width {
        let cells = || (column..values.len()).step_by(width);
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for at in cells() {
            if values[at].is_finite() {
                (low, high) = (low.min(values[at]), high.max(values[at]));
            }
        }
        if low > high {
            (low, high) = (0.0, 0.0);
        }
        let below = low - (high - low).max(1.0) / 16.0;
        let below = if below.is_finite() { below } else { low };
        for at in cells().collect::<Vec<_>>() {
            let value = values[at];
            if value.is_nan() {
                values[at] = below;
            } else if value.is_infinite() {
                values[at] = if value > 0.0 { high } else { low };
            }
        }
    }
}

#[cfg(test)]
mod tests;
