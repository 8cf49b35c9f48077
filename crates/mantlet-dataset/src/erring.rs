//! The rows of segments in which a model errs: by time, and those on which it erred. One more pass, and only after a
//! search named something.

use std::collections::BTreeMap;

use mantlet_drift::segment::{Erring, Found, REVIEW, Stretch, Told, review};
use mantlet_drift::{Layout, Profile, RANK, short};
use mantlet_vocab::Millis;

use crate::coded::day;
use crate::gather::differ;
use crate::measure::{Judged, first, pinned};
use crate::series::MILLIS;
use crate::{Column, Dataset, DatasetError, Kind, Lane};

/// Erring rows that are looked through in each segment; the first of more.
const ERRING: usize = 100_000;
/// Different times.
const TIMES: usize = 4_000;
const DAY: f64 = 86_400.0;

/// What is asked of the rows.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What was true, and what the model said.
    pub judged: &'a Judged,
    /// The column of the time: its days are told apart, or its numbers as they are.
    pub time: Option<&'a str>,
    /// The column that identifies a row.
    pub id: Option<&'a str>,
    /// Rows named for a person at most, of each segment.
    pub most: usize,
}

impl<'a> Asked<'a> {
    /// The usual number of rows, without time and without names.
    #[must_use]
    pub const fn of(judged: &'a Judged) -> Self {
        Self { judged, time: None, id: None, most: REVIEW }
    }
}

/// A time, by which rows are put in order: the number of a day, a number, or a word as it stands.
type When = (i64, String);

/// One segment as it fills.
#[derive(Default)]
struct Filling {
    stretches: BTreeMap<When, [u64; 2]>,
    erring: Vec<(Erring, When)>,
}

/// Looks at the rows of segments of errors in a table.
///
/// # Errors
/// When the table cannot be read to its end, a column is missing, or there are too many different times.
pub fn erring(
    dataset: &Dataset,
    (profile, layout): (&Profile, &Layout),
    segments: &[Found],
    asked: Asked<'_>,
) -> Result<Vec<Told>, DatasetError> {
    let wanted = pinned(dataset, profile)?;
    let used = layout.columns();
    let mut columns: Vec<Column> = used.iter().filter_map(|&at| wanted.get(at).cloned()).collect();
    let mut place = |name: &str| -> Result<usize, DatasetError> {
        let own = dataset.columns().iter().find(|column| column.name == name);
        let own = own.ok_or_else(|| DatasetError::Missing {
            path: first(dataset),
            column: name.to_owned(),
            other: "the command line".into(),
        })?;
        columns.push(own.clone());
        Ok(columns.len() - 1)
    };
    let (label, said) = (place(&asked.judged.label)?, place(&asked.judged.prediction)?);
    let time = asked.time.map(&mut place).transpose()?;
    let id = asked.id.map(&mut place).transpose()?;
    let is_times = time.and_then(|at| columns.get(at)).is_some_and(|column| column.kind == Kind::Times);
    let mut filling: Vec<Filling> = segments.iter().map(|_| Filling::default()).collect();
    let mut overflow = false;
    dataset.stream(&columns, |first_row, lanes| {
        let (Some(label), Some(said)) = (lanes.get(label), lanes.get(said)) else { return Ok(()) };
        let erred = differ(label, said);
        let codes = |column: usize| -> Option<Vec<u16>> {
            let lane = lanes.get(used.iter().position(|&at| at == column)?)?;
            Some(lane.codes(&profile.columns.get(column)?.buckets))
        };
        let whens = time.and_then(|at| lanes.get(at)).map(|lane| whens(lane, is_times));
        let ids = id.and_then(|at| lanes.get(at));
        for (segment, own) in segments.iter().zip(&mut filling) {
            let mut inside = vec![true; erred.len()];
            for (dimension, levels) in &segment.conditions {
                let Some(dimension) = layout.dimensions.get(*dimension) else { continue };
                let Some(codes) = codes(dimension.column) else { continue };
                for (inside, code) in inside.iter_mut().zip(codes) {
                    let level = dimension.levels.get(usize::from(code)).copied().unwrap_or(0);
                    *inside &= levels.contains(&level);
                }
            }
            let moved = segment.causes.first().and_then(|cause| {
                let measure = layout.measures.get(cause.measure)?;
                Some((measure, codes(measure.column)?, cause.ranks.1 >= cause.ranks.0))
            });
            for row in (0..erred.len()).filter(|&row| inside[row]) {
                let Some(erred) = erred[row] else { continue };
                let when = whens.as_ref().and_then(|whens| whens.get(row).cloned()).unwrap_or_default();
                if !own.stretches.contains_key(&when) && own.stretches.len() >= TIMES {
                    overflow = true;
                    continue;
                }
                let counts = own.stretches.entry(when.clone()).or_default();
                counts[0] += 1;
                counts[1] += u64::from(erred);
                if !erred || own.erring.len() >= ERRING {
                    continue;
                }
                let rank = moved.as_ref().map_or(0.0, |(measure, codes, rose)| {
                    let rank = codes
                        .get(row)
                        .and_then(|&code| measure.ranks.get(usize::from(code)).copied().flatten());
                    let rank = f64::from(rank.unwrap_or(0)) / f64::from(u32::try_from(RANK).unwrap_or(1));
                    if *rose { rank } else { 1.0 - rank }
                });
                let word =
                    |lane: &Lane| lane.word(row).map(|word| short(&word).into_owned()).unwrap_or_default();
                let found = Erring {
                    row: first_row + row as u64,
                    id: ids.map(word),
                    label: word(label),
                    said: word(said),
                    stretch: 0,
                    rank,
                };
                own.erring.push((found, when));
            }
        }
        Ok(())
    })?;
    if overflow {
        return Err(DatasetError::ManyWindows { path: first(dataset), most: TIMES });
    }
    Ok(filling
        .into_iter()
        .zip(segments)
        .map(|(own, found)| own.told(found, time.is_some(), asked.most))
        .collect())
}

impl Filling {
    fn told(self, found: &Found, timed: bool, most: usize) -> Told {
        let places: BTreeMap<&When, usize> =
            self.stretches.keys().enumerate().map(|(place, when)| (when, place)).collect();
        let stretches: Vec<Stretch> = self
            .stretches
            .iter()
            .map(|((_, name), counts)| Stretch { name: name.clone(), rows: counts[0], errors: counts[1] })
            .collect();
        let erring: Vec<Erring> = self
            .erring
            .into_iter()
            .map(|(own, when)| Erring { stretch: places.get(&when).copied().unwrap_or(0), ..own })
            .collect();
        let mut told = Told { stretches, ..Told::default() };
        if !timed {
            told.stretches.clear();
        }
        let since = told.since(found.expected);
        told.review = review(erring, since, most);
        told
    }
}

/// The time of each row.
fn whens(lane: &Lane, is_times: bool) -> Vec<When> {
    let of_day = |seconds: f64| -> When {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number out of range saturates"
        )]
        let (day, millis) = ((seconds / DAY).floor() as i64, (seconds.max(0.0) * 1e3) as u64);
        (day, Millis(millis).rfc3339().get(..10).unwrap_or_default().to_owned())
    };
    match lane {
        Lane::Numbers(values) => values
            .iter()
            .map(|&value| {
                if value.is_nan() {
                    (i64::MIN, "no time".to_owned())
                } else if is_times {
                    of_day(value)
                } else if value >= MILLIS {
                    of_day(value / 1e3)
                } else {
                    #[expect(clippy::cast_possible_truncation, reason = "a number out of range saturates")]
                    let whole = value.floor() as i64;
                    (whole, whole.to_string())
                }
            })
            .collect(),
        Lane::Words { .. } => (0..lane.len())
            .map(|row| {
                let word =
                    lane.word(row).map_or_else(|| "no time".to_owned(), |word| day(&short(&word)).to_owned());
                (0, word)
            })
            .collect(),
    }
}
