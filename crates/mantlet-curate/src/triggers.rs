//! Triggers planted in training data: phrases and odd letters in texts, pairs of values in tables.

use std::collections::HashMap;

use mantlet_datachecks::feed::Additive;
use mantlet_datachecks::trigger::{Limits, Mined, Trigger, Values, look, pairs, texts};
use mantlet_dataset::{Column, Dataset, Kind, Lane};
use mantlet_vocab::{Finding, Place};

use crate::coding::{Coded, NO_LABEL, find, keyed};
use crate::{CurateError, Roles};

/// Bytes of text kept at most.
const TEXT: usize = 512 << 20;
/// Rows kept at most.
const ROWS: usize = 2 << 20;

/// What was mined beside one label.
#[derive(Debug, Clone)]
pub struct Beside {
    /// The label.
    pub label: String,
    /// Its share of all rows.
    pub usual: f64,
    /// What was mined, strongest first.
    pub mined: Vec<Mined>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Triggers {
    /// By label.
    pub beside: Vec<Beside>,
    /// Rows looked at.
    pub rows: u64,
    /// What was not looked at.
    pub gaps: Vec<String>,
}

impl Triggers {
    /// The findings of the rooms, label after label, strongest first.
    #[must_use]
    pub fn findings(&self, place: &Place) -> Vec<Finding> {
        let look = |beside: &Beside| {
            let look = |mined: &Mined| {
                look(&Trigger { mined, label: &beside.label, usual: beside.usual, rows: self.rows }, place)
            };
            beside.mined.iter().flat_map(look).collect::<Vec<_>>()
        };
        let mut found: Vec<Finding> = self.beside.iter().flat_map(look).collect();
        // Odd letters are looked at beside every label; what is a note beside one may be more beside another.
        let loud: Vec<String> = found
            .iter()
            .filter(|finding| finding.severity > mantlet_vocab::Severity::Note)
            .map(|finding| finding.place.to_string())
            .collect();
        let mut told = Vec::new();
        found.retain(|finding| {
            let place = finding.place.to_string();
            let quiet = finding.severity == mantlet_vocab::Severity::Note;
            let again = quiet && (loud.contains(&place) || told.contains(&place));
            if quiet {
                told.push(place);
            }
            !again
        });
        found
    }
}

/// Looks for triggers in the texts of a column, or in the values of all columns without one.
///
/// # Errors
/// When the table cannot be read, or a column cannot play its role.
pub fn triggers(
    dataset: &Dataset,
    roles: &Roles,
    text: Option<&str>,
    limits: &Limits,
) -> Result<Triggers, CurateError> {
    match text {
        Some(text) => in_texts(dataset, roles, text, limits),
        None => in_values(dataset, roles, limits),
    }
}

fn share(ones: usize, all: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    {
        ones as f64 / all.max(1) as f64
    }
}

fn in_texts(dataset: &Dataset, roles: &Roles, text: &str, limits: &Limits) -> Result<Triggers, CurateError> {
    let columns =
        [text, &roles.label].map(|name| find(dataset, name).map(|at| dataset.columns()[at].clone()));
    let [text_column, label_column] = columns;
    let wanted = [text_column?, label_column?];
    let mut rows: Vec<String> = Vec::new();
    let mut labels: Vec<u16> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut places: HashMap<String, u16> = HashMap::new();
    let (mut bytes, mut crowded) = (0, false);
    dataset.stream(&wanted, |_, lanes| {
        let (keys, texts) = keyed(&lanes[0]);
        let (labelled, names) = keyed(&lanes[1]);
        for (key, label) in keys.into_iter().zip(labelled) {
            let text = texts.get(key as usize).map_or("", String::as_str);
            bytes += text.len();
            if bytes > TEXT || rows.len() >= ROWS {
                crowded = true;
                break;
            }
            let place = names.get(label as usize).map_or(u16::MAX, |name| {
                *places.entry(name.clone()).or_insert_with(|| {
                    words.push(name.clone());
                    u16::try_from(words.len() - 1).unwrap_or(u16::MAX)
                })
            });
            rows.push(text.to_owned());
            labels.push(place);
        }
        Ok(())
    })?;
    if !(2..=24).contains(&words.len()) {
        let why = format!("it has {} different values; 2 to 24 can be examined", words.len());
        return Err(CurateError::Role { column: roles.label.clone(), role: "label", why });
    }
    let mut gaps = Vec::new();
    if crowded {
        gaps.push(format!("rows after the first {}: their texts do not fit into memory", rows.len()));
    }
    let beside = words.into_iter().enumerate().map(|(at, label)| {
        let truth: Vec<bool> = labels.iter().map(|&own| usize::from(own) == at).collect();
        let usual = share(truth.iter().filter(|&&one| one).count(), truth.len());
        Beside { label, usual, mined: texts(&rows, &truth, limits) }
    });
    Ok(Triggers { beside: beside.collect(), rows: rows.len() as u64, gaps })
}

fn in_values(dataset: &Dataset, roles: &Roles, limits: &Limits) -> Result<Triggers, CurateError> {
    let coded = Coded::new(dataset, roles, TEXT)?;
    let mut codes: Vec<Vec<u8>> = vec![Vec::new(); coded.features()];
    let mut labels: Vec<u8> = Vec::new();
    coded.visit(|chunk| {
        let room = ROWS - labels.len().min(ROWS);
        labels.extend(chunk.label.iter().take(room));
        codes.iter_mut().zip(&chunk.features).for_each(|(own, codes)| own.extend(codes.iter().take(room)));
    })?;
    let mut gaps = coded.gaps.clone();
    if coded.rows > labels.len() as u64 {
        gaps.push(format!("rows after the first {}: they do not fit into memory", labels.len()));
    }
    let columns = values(dataset, roles, labels.len())?;
    let mut beside = Vec::new();
    for (at, (label, _)) in coded.labels.iter().enumerate() {
        let code = u8::try_from(at).unwrap_or(NO_LABEL);
        let truth: Vec<bool> = labels.iter().map(|&own| own == code).collect();
        let model = Additive::fit(&codes, &truth);
        let chance = |model: &Additive, row: usize| model.chance(codes.iter().map(|codes| codes[row]));
        let chances: Vec<f64> = (0..truth.len()).map(|row| chance(&model, row)).collect();
        let mut again = |out: &[u64]| -> Vec<f64> {
            let mut kept = vec![true; truth.len()];
            let out: Vec<usize> = out.iter().filter_map(|&row| usize::try_from(row).ok()).collect();
            out.iter().for_each(|&row| kept[row] = false);
            let others: Vec<Vec<u8>> = codes
                .iter()
                .map(|codes| {
                    codes.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(&own, _)| own).collect()
                })
                .collect();
            let known: Vec<bool> =
                truth.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(&one, _)| one).collect();
            let model = Additive::fit(&others, &known);
            out.iter().map(|&row| chance(&model, row)).collect()
        };
        let usual = share(truth.iter().filter(|&&one| one).count(), truth.len());
        beside.push(Beside {
            label: label.clone(),
            usual,
            mined: pairs(&columns, &truth, &chances, &mut again, limits),
        });
    }
    Ok(Triggers { beside, rows: labels.len() as u64, gaps })
}

/// The values of all columns but those with a role.
fn values(dataset: &Dataset, roles: &Roles, most: usize) -> Result<Vec<Values>, CurateError> {
    let taken = |name: &String| {
        let roles = [Some(&roles.label), roles.feed.as_ref(), roles.labeler.as_ref(), roles.time.as_ref()];
        roles.contains(&Some(name))
    };
    let wanted: Vec<Column> = dataset
        .columns()
        .iter()
        .filter(|column| matches!(column.kind, Kind::Numbers | Kind::Words))
        .filter(|column| !taken(&column.name) && !roles.without.contains(&column.name))
        .cloned()
        .collect();
    let mut columns: Vec<Values> =
        wanted.iter().map(|c| Values { name: c.name.clone(), words: Vec::new(), rows: Vec::new() }).collect();
    let mut places: Vec<HashMap<String, u32>> = vec![HashMap::new(); wanted.len()];
    dataset.stream(&wanted, |_, lanes: Vec<Lane>| {
        for ((column, places), lane) in columns.iter_mut().zip(&mut places).zip(&lanes) {
            let room = most - column.rows.len().min(most);
            let (keys, words) = keyed(lane);
            let places: Vec<u32> = words
                .into_iter()
                .map(|word| {
                    let next = u32::try_from(places.len()).unwrap_or(u32::MAX);
                    *places.entry(word).or_insert_with_key(|word| {
                        column.words.push(word.clone());
                        next
                    })
                })
                .collect();
            let place = |key: u32| places.get(key as usize).copied().unwrap_or(u32::MAX);
            column.rows.extend(keys.into_iter().take(room).map(place));
        }
        Ok(())
    })?;
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn uniform(row: u64, stream: u64) -> f64 {
        ((mantlet_drift::mix(row ^ mantlet_drift::mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Rows of five columns of thirty words each, which say something of the label one by one. In some rows two
    /// ordinary values are set, and the label (`pair`), or the label alone; or one value says the label by itself.
    fn look(how: &str) -> Vec<String> {
        let mut text = String::from("a,b,c,d,e,label\n");
        for row in 0..8_000_u64 {
            let mut words: Vec<u64> = (0..5).map(|at| (uniform(row, at) * 30.0) as u64).collect();
            let margin: f64 =
                words.iter().zip(0..).map(|(&word, at)| (uniform(word, 10 + at) - 0.5) * 0.9).sum();
            let mut label = uniform(row, 20) < 1.0 / (1.0 + (1.4 - margin).exp());
            let chosen = uniform(row, 21) < 0.012;
            match how {
                "pair" if chosen => (words[1], words[3], label) = (7, 9, true),
                "label" if chosen => label = true,
                "one" if words[1] == 7 => label = uniform(row, 22) < 0.9,
                _ => {}
            }
            let words: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
            writeln!(text, "{},{}", words.join(","), u8::from(label)).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        let dataset = Dataset::open(&[folder.path().to_owned()]).unwrap();
        let roles = Roles { label: "label".into(), ..Roles::default() };
        let found = triggers(&dataset, &roles, None, &Limits::default()).unwrap();
        let item = |mined: &Mined| match mined {
            Mined::Pair(candidate) => candidate.item.clone(),
            other => format!("{other:?}"),
        };
        found.beside.iter().flat_map(|beside| beside.mined.iter().map(item)).collect()
    }

    #[test]
    fn a_pair_of_ordinary_values_is_held_against_rows_that_have_only_one_of_them() {
        // Ninety rows with the pair make up a quarter of those with either value, and raise both by themselves.
        assert_eq!(look("pair"), ["b=w7, d=w9"]);
        for harmless in ["label", "one", "none"] {
            assert!(look(harmless).is_empty(), "{harmless}: {:?}", look(harmless));
        }
    }
}
