//! Label integrity: rows whose label out-of-sample predictions contradict, and whose rows they are.
//!
//! Long because the tests plant what it finds.

use std::collections::HashMap;

use mantlet_datachecks::label::{Confident, Labelled, Origin, confident, look};
use mantlet_dataset::{Column, Dataset, Kind, Lane};
use mantlet_learn::{Boosting, boost};
use mantlet_vocab::{Finding, Place, Tensor};

use crate::coding::keyed;
use crate::{CurateError, Roles};

/// Parts of the table; each is predicted by a model trained on the others.
const FOLDS: u64 = 3;
/// Rows a model is trained on at most.
const TRAINED: usize = 200_000;
/// Values kept in memory at most, features and probabilities together.
const VALUES: usize = 256 << 20;
/// Classes at most.
const CLASSES: usize = 1_000;

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// What the columns stand for.
    pub roles: Roles,
    /// Classes with the column that holds their out-of-sample probability; when empty, models are trained here.
    pub probabilities: Vec<(String, String)>,
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
    origins: Vec<Origin>,
    /// The numbers of the examined rows in the table, from 0.
    pub rows: Vec<u64>,
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
        let origins: Vec<Origin> = self
            .origins
            .iter()
            .map(|origin| {
                let last = self.rows.last().map_or(0, |&row| usize::try_from(row).unwrap_or(0) + 1);
                let mut rows = vec![u32::MAX; last];
                for (&row, &word) in self.rows.iter().zip(&origin.rows) {
                    if let Some(at) = usize::try_from(row).ok().and_then(|row| rows.get_mut(row)) {
                        *at = word;
                    }
                }
                Origin { rows, ..origin.clone() }
            })
            .collect();
        let labelled = Labelled {
            confident: &confident,
            classes: &self.classes,
            counts: &self.counts,
            origins: &origins,
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
    let mut gaps = Vec::new();
    let features: Vec<usize> = if given.is_empty() {
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
            role: "label, feed, labeler or probability",
            why,
        });
    }
    let first = 1 + origins.len();
    let mut classes = Places::default();
    let mut words: Vec<Places> = (0..wanted.len()).map(|_| Places::default()).collect();
    let mut codes: Vec<u32> = Vec::new();
    let mut rows: Vec<u64> = Vec::new();
    let mut of: Vec<Vec<u32>> = vec![Vec::new(); origins.len()];
    let mut values: Vec<f32> = Vec::new();
    let width = features.len();
    let mut crowded = false;
    dataset.stream(&wanted, |row, lanes| {
        let own = classes.of(&lanes[0]);
        let from: Vec<Vec<u32>> = (0..origins.len()).map(|at| words[1 + at].of(&lanes[1 + at])).collect();
        let cells: Vec<Vec<f32>> = lanes[first..]
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
    for (words, column) in words.iter().zip(&wanted).skip(first) {
        if rows.len() > 100 && words.words.len() * 2 > rows.len() {
            gaps.push(format!(
                "column `{}` has a word of its own in most rows, from which trees learn nothing: labels are not held \
                 against it",
                column.name
            ));
        }
    }
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
    let mut rank = vec![0; count];
    order.iter().enumerate().for_each(|(at, &class)| rank[class] = at);
    let given: Vec<usize> = codes.iter().map(|&code| rank[code as usize]).collect();
    let probabilities = match probabilities {
        Some(probabilities) => probabilities,
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
        origins,
        rows,
        gaps,
    })
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
        let mut targets = vec![0.0_f32; learned.len() * classes];
        learned.iter().enumerate().for_each(|(at, &row)| targets[at * classes + given[row]] = 1.0);
        let table = |rows: &[usize]| {
            let data =
                rows.iter().flat_map(|&row| values[row * width..(row + 1) * width].iter().copied()).collect();
            Tensor::new([rows.len(), width], data).map_err(|error| error.to_string())
        };
        let targets = Tensor::new([learned.len(), classes], targets).map_err(|error| error.to_string())?;
        let boosting = Boosting { rounds: 40, depth: 5, rate: 0.25, weight: 2.0, ..Boosting::default() };
        let model = boost(&table(&learned)?, &targets, &boosting).map_err(|error| error.to_string())?;
        drop(targets);
        for rows in held.chunks(8_192) {
            let scores = model.scores(&table(rows)?);
            for (at, &row) in rows.iter().enumerate() {
                let own = scores.row(at);
                let top = own.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f32 = own.iter().map(|score| (score - top).exp()).sum();
                for (class, score) in own.iter().enumerate() {
                    probabilities[row * classes + class] = (score - top).exp() / sum;
                }
            }
        }
    }
    Ok(probabilities)
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
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn uniform(row: u64, stream: u64) -> f64 {
        ((mantlet_drift::mix(row ^ mantlet_drift::mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Three classes in three places of a plane; one labeler calls a part of its `red` rows `green`.
    #[test]
    fn a_labeler_with_an_aim_is_named_by_own_and_by_given_probabilities() {
        let mut text = String::from("x,y,shade,labeler,p_red,p_green,p_blue,label\n");
        let mut flipped = Vec::new();
        for row in 0..3000_u64 {
            let class = row % 3;
            let labeler = (uniform(row, 1) * 6.0) as u64;
            let noise = |stream| uniform(row, stream) - uniform(row, stream + 1);
            let (x, y) = (class as f64 + noise(2) * 0.6, (class * class) as f64 * 0.5 + noise(4) * 0.6);
            let turned = class == 0 && labeler == 4 && uniform(row, 6) < 0.4;
            if turned {
                flipped.push(row);
            }
            let p = [0, 1, 2].map(|other| if other == class { 0.9 } else { 0.05 });
            let label = ["red", "green", "blue"][if turned { 1 } else { class as usize }];
            let shade = ["dark", "light", "?"][(row % 7 % 3) as usize];
            writeln!(text, "{x:.3},{y:.3},{shade},l{labeler},{},{},{},{label}", p[0], p[1], p[2]).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        let dataset = Dataset::open(&[folder.path().to_owned()]).unwrap();
        let without = ["p_red", "p_green", "p_blue"].map(String::from).to_vec();
        let roles =
            Roles { label: "label".into(), labeler: Some("labeler".into()), without, ..Roles::default() };
        let given = ["red", "green", "blue"].map(|class| (class.to_owned(), format!("p_{class}"))).to_vec();
        for probabilities in [Vec::new(), given] {
            let own = probabilities.is_empty();
            let found = labels(&dataset, &Asked { roles: roles.clone(), probabilities }).unwrap();
            let rows: Vec<u64> = found.confident.rows.iter().map(|row| found.rows[row.row]).collect();
            let hits = rows.iter().filter(|row| flipped.contains(row)).count();
            // Where the classes overlap a flipped row may look like what it is called.
            assert!(hits * 100 >= flipped.len() * if own { 75 } else { 100 }, "{hits} of {}", flipped.len());
            assert!(hits * 10 >= rows.len() * if own { 5 } else { 10 }, "{hits} of {} flagged", rows.len());
            let findings = found.findings(&Place::artifact("t"));
            let source = findings.iter().find(|finding| finding.name == "label-source").unwrap();
            assert_eq!(source.place.to_string(), "t (labeler=l4)");
            assert_eq!(source.facts["main_direction"], "red -> green");
        }
        let missing = vec![("red".to_owned(), "p_red".to_owned())];
        let error = labels(&dataset, &Asked { roles, probabilities: missing }).unwrap_err();
        assert!(error.to_string().contains("3 values and 1 probabilities"), "{error}");
    }

    #[test]
    fn a_text_is_said_to_teach_trees_nothing_and_few_words_are_not() {
        let mut text = String::from("x,message,shade,label\n");
        for row in 0..600_u64 {
            let (x, shade) = (row % 2, ["dark", "light", "grey"][(row % 3) as usize]);
            writeln!(text, "{x},message number {row},{shade},c{}", row % 2).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        let dataset = Dataset::open(&[folder.path().to_owned()]).unwrap();
        let gaps = |without: &[&str]| {
            let without = without.iter().map(|name| (*name).to_owned()).collect();
            let roles = Roles { label: "label".into(), without, ..Roles::default() };
            labels(&dataset, &Asked { roles, ..Asked::default() }).unwrap().gaps
        };
        let told = gaps(&[]);
        assert!(told.len() == 1 && told[0].contains("`message`"), "{told:?}");
        assert!(gaps(&["message"]).is_empty());
    }
}
