//! A table as small codes: features, where each row comes from, its batch and its label.
//!
//! Long because what a column becomes is decided in one place.

use std::collections::{BTreeMap, HashMap};

use mantlet_datachecks::feed::{Axis, REST, Role};
use mantlet_dataset::{
    Coding, Column, Counted, Dataset, Engine, Feature, Gathered, Job, Kind, Lane, Look, Looked, Pass, Sketch,
    Sketched, Stream, day, sketched_by,
};
use mantlet_drift::DriftError;

pub(crate) use mantlet_dataset::{Chunk, NO_LABEL};

use crate::CurateError;

/// Steps of a number's table.
const STEPS: usize = 40;
/// Words of a feature with a code of their own.
const WORDS: usize = 200;
/// Words of a segment column at most; a column with more does not divide the rows into segments.
const SEGMENTS: usize = 64;
/// Feeds or labelers at most.
const SOURCES: usize = 4_000;
/// Batches at most.
const BATCHES: usize = 520;
/// Days that are batches of their own; with more, weeks are.
const DAYS: usize = 60;
/// Labels at most.
const LABELS: usize = 24;

/// What the columns of a table stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// The label.
    pub label: String,
    /// Who delivered a row.
    pub feed: Option<String>,
    /// Who labelled a row.
    pub labeler: Option<String>,
    /// The batch or time of a row; without it every file is a batch.
    pub time: Option<String>,
    /// Columns that divide the rows into segments; when empty, every column of few words.
    pub segments: Vec<String>,
    /// Columns that are no features: row numbers, scores, what is only known later.
    pub without: Vec<String>,
}

/// Counts that are not those of the pass that was asked for.
pub(crate) fn other_counts() -> CurateError {
    CurateError::Dataset(DriftError::Counts.into())
}

/// The engine that reads here, with the errors of this crate.
pub(crate) struct Streaming;

impl Engine for Streaming {
    type Error = CurateError;

    fn gather(&self, dataset: &Dataset, job: Job) -> Result<Gathered, CurateError> {
        Ok(Stream.gather(dataset, job)?)
    }
}

/// How a table is turned into codes, and its codes as long as they fit.
pub(crate) struct Coded<'a> {
    dataset: &'a Dataset,
    wanted: Vec<Column>,
    coding: Coding,
    kept: Option<Vec<Chunk>>,
    /// The axes in words.
    pub(crate) axis: Vec<Axis>,
    /// The batches in order.
    pub(crate) batches: Vec<String>,
    /// The labels, most frequent first, with their rows.
    pub(crate) labels: Vec<(String, u64)>,
    /// Rows.
    pub(crate) rows: u64,
    /// What was not looked at.
    pub(crate) gaps: Vec<String>,
}

/// The values of a lane as places in a list of words; a place beyond it is a missing value.
#[must_use]
pub fn keyed(lane: &Lane) -> (Vec<u32>, Vec<String>) {
    match lane {
        Lane::Words { keys, words } => (keys.clone(), words.clone()),
        Lane::Numbers(values) => {
            let mut words = Vec::new();
            let mut places: HashMap<u64, u32> = HashMap::new();
            let keys = values
                .iter()
                .map(|value| {
                    if value.is_nan() {
                        return u32::MAX;
                    }
                    *places.entry(value.to_bits()).or_insert_with(|| {
                        words.push(value.to_string());
                        u32::try_from(words.len() - 1).unwrap_or(u32::MAX)
                    })
                })
                .collect();
            (keys, words)
        }
    }
}

/// The place of a column.
pub(crate) fn find(dataset: &Dataset, name: &str) -> Result<usize, CurateError> {
    dataset.columns().iter().position(|column| column.name == name).ok_or_else(|| {
        let names: Vec<_> = dataset.columns().iter().take(12).map(|column| column.name.as_str()).collect();
        CurateError::Column { table: dataset.name(), column: name.to_owned(), has: names.join(", ") }
    })
}

impl<'a> Coded<'a> {
    /// Reads a table once to lay out its codes, and once more to keep them when they fit into `memory` bytes.
    pub(crate) fn new(dataset: &'a Dataset, roles: &Roles, memory: usize) -> Result<Self, CurateError> {
        Self::new_by(&Streaming, dataset, roles, memory)
    }

    /// The same, by an engine; what is kept is read here.
    pub(crate) fn new_by<E: Engine>(
        engine: &E,
        dataset: &'a Dataset,
        roles: &Roles,
        memory: usize,
    ) -> Result<Self, E::Error>
    where
        E::Error: From<CurateError>,
    {
        let place = |name: &String| find(dataset, name);
        let optional = |name: &Option<String>| name.as_ref().map(&place).transpose();
        let (label, feed, labeler) =
            (place(&roles.label)?, optional(&roles.feed)?, optional(&roles.labeler)?);
        let time = optional(&roles.time)?;
        let segments = roles.segments.iter().map(&place).collect::<Result<Vec<_>, _>>()?;
        let without = roles.without.iter().map(&place).collect::<Result<Vec<_>, _>>()?;
        let sources: Vec<usize> = [feed, labeler].into_iter().flatten().collect();
        let as_words: Vec<usize> = [Some(label), feed, labeler, time]
            .into_iter()
            .flatten()
            .chain(segments.iter().copied())
            .collect();
        let mut gaps = Vec::new();
        let mut wanted = Vec::new();
        let mut at = Vec::new();
        for (place, column) in dataset.columns().iter().enumerate() {
            let role = as_words.contains(&place);
            if without.contains(&place) && !role {
                continue;
            }
            match column.kind {
                Kind::Numbers | Kind::Words => wanted.push(column.clone()),
                Kind::Times if role => wanted.push(Column { name: column.name.clone(), kind: Kind::Words }),
                Kind::Times => continue,
                Kind::Other => {
                    gaps.push(format!(
                        "column `{}` holds {}, which are not read",
                        column.name,
                        column.kind.word()
                    ));
                    continue;
                }
            }
            at.push(place);
        }
        let words =
            |(column, place): (&Column, &usize)| column.kind == Kind::Words || as_words.contains(place);
        let words: Vec<bool> = wanted.iter().zip(&at).map(words).collect();
        let Sketched { rows, sketches, .. } = sketched_by(engine, dataset, &wanted, &words)?;
        let lane = |place: usize| at.iter().position(|&other| other == place);
        let missing = |role: &'static str, name: &str| CurateError::Role {
            column: name.to_owned(),
            role,
            why: "it holds neither words nor numbers".to_owned(),
        };
        let ranked = |lane: usize| match &sketches[lane] {
            Sketch::Words(words) => words.ranked().unwrap_or_default(),
            Sketch::Numbers(_) | Sketch::GivenUp => Vec::new(),
        };
        let label_lane = lane(label).ok_or_else(|| missing("label", &roles.label))?;
        let labels: Vec<(String, u64)> =
            ranked(label_lane).iter().map(|(word, count)| ((*word).to_owned(), *count)).collect();
        if labels.len() < 2 || labels.len() > LABELS {
            let why = format!("it has {} different values; 2 to {LABELS} can be examined", labels.len());
            return Err(CurateError::Role { column: roles.label.clone(), role: "label", why }.into());
        }
        let codes = labels
            .iter()
            .enumerate()
            .map(|(code, (word, _))| (word.clone(), u8::try_from(code).unwrap_or(NO_LABEL)));
        let codes = codes.collect();
        let (mut features, mut axes, mut axis) = (Vec::new(), Vec::new(), Vec::new());
        for (lane, sketch) in sketches.iter().enumerate() {
            let (place, name) = (at[lane], &wanted[lane].name);
            if place == label || Some(place) == time {
                continue;
            }
            let role = match place {
                _ if Some(place) == feed => Role::Feed,
                _ if Some(place) == labeler => Role::Labeler,
                _ => Role::Segment,
            };
            let most = if role == Role::Segment { SEGMENTS } else { SOURCES };
            if let Sketch::Words(words) = sketch {
                let named = sources.contains(&place) || segments.contains(&place);
                let ranked = words.ranked().unwrap_or_default();
                if named && (ranked.is_empty() || ranked.len() > most) {
                    let role = if role == Role::Feed {
                        "feed"
                    } else if role == Role::Labeler {
                        "labeler"
                    } else {
                        "segment"
                    };
                    let why = format!("it has no or more than {most} different values");
                    return Err(CurateError::Role { column: name.clone(), role, why }.into());
                }
                let divides = (2..=most).contains(&ranked.len()) && (named || segments.is_empty());
                if divides {
                    let levels: Vec<String> = ranked.iter().map(|(word, _)| (*word).to_owned()).collect();
                    let codes = levels
                        .iter()
                        .enumerate()
                        .map(|(at, word)| (word.clone(), u16::try_from(at + 1).unwrap_or(REST)));
                    axes.push((lane, codes.collect()));
                    axis.push(Axis { name: name.clone(), role, levels });
                }
                let identifier = ranked.is_empty() || ranked.len() as u64 * 4 > rows;
                if role == Role::Segment && !identifier {
                    let codes = ranked.iter().take(WORDS).enumerate();
                    let codes =
                        codes.map(|(at, (word, _))| ((*word).to_owned(), u8::try_from(at + 2).unwrap_or(1)));
                    features.push((lane, Feature::Words(codes.collect())));
                }
            } else if let Sketch::Numbers(numbers) = sketch {
                features.push((lane, Feature::Numbers(steps(&numbers.sorted()))));
            }
        }
        let (time, batches) = match time {
            None => (None, dataset.names().map(str::to_owned).collect()),
            Some(place) => {
                let name = roles.time.clone().unwrap_or_default();
                let lane = lane(place).ok_or_else(|| missing("time", &name))?;
                let words: Vec<String> = ranked(lane).iter().map(|(word, _)| (*word).to_owned()).collect();
                let (places, batches) = batches(&name, words)?;
                (Some((lane, places)), batches)
            }
        };
        if batches.len() > BATCHES {
            let why = format!("{} batches are more than the {BATCHES} that can be examined", batches.len());
            let column = roles.time.clone().unwrap_or_default();
            return Err(CurateError::Role { column, role: "time", why }.into());
        }
        let mut coded = Self {
            dataset,
            wanted,
            coding: Coding { features, axes, time, label: label_lane, codes },
            kept: None,
            axis,
            batches,
            labels,
            rows,
            gaps,
        };
        let row = coded.coding.features.len() + 2 * coded.coding.axes.len() + 3;
        if row.saturating_mul(usize::try_from(rows).unwrap_or(usize::MAX)) <= memory {
            let mut kept = Vec::new();
            coded.visit(|chunk| kept.push(chunk.clone()))?;
            coded.kept = Some(kept);
        }
        Ok(coded)
    }

    /// The number of features.
    pub(crate) fn features(&self) -> usize {
        self.coding.features.len()
    }

    /// The name of a feature.
    pub(crate) fn feature(&self, at: usize) -> &str {
        let column = self.coding.features.get(at).and_then(|(lane, _)| self.wanted.get(*lane));
        column.map_or("", |column| column.name.as_str())
    }

    /// The steps of a feature that is a number; its codes are from 0 (missing) to one more than these.
    pub(crate) fn steps(&self, at: usize) -> Option<usize> {
        match &self.coding.features.get(at)?.1 {
            Feature::Numbers(steps) => Some(steps.len()),
            Feature::Words(_) => None,
        }
    }

    /// Looks at every row for what turned: at the codes that are kept, or by the engine.
    pub(crate) fn look<E: Engine>(&self, engine: &E, look: Look) -> Result<Looked, E::Error>
    where
        E::Error: From<CurateError>,
    {
        if let Some(kept) = &self.kept {
            let mut looked = look.nothing(self.features());
            kept.iter().for_each(|chunk| look.add(chunk, &mut looked));
            return Ok(looked);
        }
        let pass = Pass::Coded { coding: self.coding.clone(), look };
        match engine.gather(self.dataset, Job::new(self.wanted.clone(), pass))?.counted {
            Counted::Looked(looked) => Ok(looked),
            _ => Err(other_counts().into()),
        }
    }

    /// Visits every row in order.
    pub(crate) fn visit(&self, mut each: impl FnMut(&Chunk)) -> Result<(), CurateError> {
        if let Some(kept) = &self.kept {
            kept.iter().for_each(each);
            return Ok(());
        }
        self.dataset.stream_files(&self.wanted, |file, first, lanes| {
            each(&self.coding.code(file, first, &lanes));
            Ok(())
        })?;
        Ok(())
    }
}

/// Values at even ranks, each once.
fn steps(sorted: &[f64]) -> Vec<f64> {
    let mut steps: Vec<f64> =
        (1..STEPS).filter_map(|at| sorted.get(at * sorted.len() / STEPS).copied()).collect();
    steps.dedup();
    // A value that fills the first steps is told from what lies above it.
    if let (Some(first), Some(lowest)) = (steps.first().copied(), sorted.first())
        && first == *lowest
    {
        let above = sorted.partition_point(|value| *value <= first);
        if let Some(&next) = sorted.get(above)
            && !steps.contains(&next)
        {
            steps.insert(1, next);
        }
    }
    steps
}

/// The place of each value of a time column, and the batches' names in order.
fn batches(name: &str, words: Vec<String>) -> Result<(BTreeMap<String, u16>, Vec<String>), CurateError> {
    let mut days: Vec<String> = words.iter().map(|word| day(word).to_owned()).collect();
    days.sort_unstable();
    days.dedup();
    if days.is_empty() {
        let why =
            "it has no value, or a different one in nearly every row; give a day, a week or a batch number"
                .to_owned();
        return Err(CurateError::Role { column: name.to_owned(), role: "time", why });
    }
    if days.iter().all(|word| word.parse::<f64>().is_ok()) {
        days.sort_by(|a, b| {
            let number = |word: &String| word.parse().unwrap_or(f64::NAN);
            number(a).total_cmp(&number(b))
        });
    }
    let numbers: Option<Vec<i64>> = days.iter().map(|day| days_since(day)).collect();
    if let Some(numbers) = numbers.filter(|_| days.len() > DAYS) {
        let first = numbers.iter().copied().min().unwrap_or(0);
        let mut names: BTreeMap<i64, String> = BTreeMap::new();
        for (number, day) in numbers.iter().zip(&days) {
            names.entry((number - first) / 7).or_insert_with(|| format!("week of {day}"));
        }
        let order: HashMap<i64, u16> = names
            .keys()
            .enumerate()
            .map(|(at, &week)| (week, u16::try_from(at).unwrap_or(u16::MAX)))
            .collect();
        let places = numbers.iter().zip(days).map(|(number, day)| (day, order[&((number - first) / 7)]));
        return Ok((places.collect(), names.into_values().collect()));
    }
    let places =
        days.iter().enumerate().map(|(at, day)| (day.clone(), u16::try_from(at).unwrap_or(u16::MAX)));
    Ok((places.collect(), days))
}

/// Days of a date `2026-11-03` since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
fn days_since(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    if date.len() != 10 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_stand_in_order_of_time() {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (places, names) = batches("week", words(&["10", "9", "1"])).unwrap();
        assert_eq!(names, ["1", "9", "10"]);
        assert_eq!(places["10"], 2);
        let (places, names) =
            batches("day", words(&["2026-11-03T10:00:00", "2026-11-03T11:00:00", "2026-11-01"])).unwrap();
        assert_eq!((names.len(), places["2026-11-03"]), (2, 1));
        let many: Vec<String> =
            (0..70).map(|at| format!("2026-{:02}-{:02}", 1 + at / 28, 1 + at % 28)).collect();
        let (_, names) = batches("day", many).unwrap();
        assert_eq!(names.first().unwrap(), "week of 2026-01-01");
        assert!(names.len() < 14, "{names:?}");
        assert_eq!((days_since("1970-01-01"), days_since("2000-03-01")), (Some(0), Some(11_017)));
        assert!(batches("t", Vec::new()).is_err());
    }

    #[test]
    fn a_value_that_fills_the_column_has_a_step_of_its_own() {
        let mut values = vec![0.0; 1000];
        values.extend((1..20).map(f64::from));
        let steps = steps(&values);
        assert_eq!(steps, [0.0, 1.0]);
    }
}
