//! Models trained with and without each feed, and what they say in each segment.

use mantlet_datachecks::feed::{Axis, Role};
use mantlet_datachecks::influence::{Effect, InfluenceSettings, look};
use mantlet_dataset::Dataset;
use mantlet_learn::{Boosted, Boosting, boost};
use mantlet_vocab::{Finding, Place, Tensor};

use crate::coding::{Coded, NO_LABEL};
use crate::{CurateError, Roles, mix_share};

/// Rows that models are trained on at most: every so many of the table.
const TRAINED: u64 = 60_000;
/// Feeds left out one by one: those with the most rows.
const FEEDS: usize = 24;
/// Rows of a feed at least.
const FEED_ROWS: usize = 100;
/// Rows of a segment at least.
const SEGMENT_ROWS: usize = 100;
/// Times that rows of no feed in particular are left out.
const TIMES: u64 = 5;
/// Bytes of codes in memory.
const MEMORY: usize = 256 << 20;

/// What was found.
#[derive(Debug, Clone)]
pub struct Influence {
    /// By feed and segment.
    pub effects: Vec<Effect>,
    /// Rows learned from.
    pub rows: u64,
    /// Models trained.
    pub models: u64,
    /// What was not looked at.
    pub gaps: Vec<String>,
}

impl Influence {
    /// The findings of the rooms.
    #[must_use]
    pub fn findings(&self, settings: InfluenceSettings, place: &Place) -> Vec<Finding> {
        look(&self.effects, settings, place)
    }
}

/// Rows as a learner takes them.
struct Learned {
    width: usize,
    values: Vec<f32>,
    labels: Vec<u8>,
    feeds: Vec<u16>,
    /// By axis that is a segment, the level of each row.
    levels: Vec<Vec<u16>>,
}

impl Learned {
    fn rows(&self) -> usize {
        self.labels.len()
    }

    /// Trains on the rows that are not left out; the chance of the label of every row.
    fn answers(&self, label: u8, out: impl Fn(usize) -> bool) -> Result<Vec<f64>, CurateError> {
        let kept: Vec<usize> = (0..self.rows()).filter(|&row| !out(row)).collect();
        let mut x = Vec::with_capacity(kept.len() * self.width);
        let mut y = Vec::with_capacity(kept.len() * 2);
        for &row in &kept {
            x.extend_from_slice(&self.values[row * self.width..][..self.width]);
            let one = f32::from(u8::from(self.labels[row] == label));
            y.extend([1.0 - one, one]);
        }
        let failed = |why: String| CurateError::Learn(why);
        let tensor = |shape: Vec<usize>, values: Vec<f32>| {
            Tensor::new(shape, values).map_err(|error| failed(error.to_string()))
        };
        let (x, y) = (tensor(vec![kept.len(), self.width], x)?, tensor(vec![kept.len(), 2], y)?);
        let boosting = Boosting { rounds: 40, bins: 48, ..Boosting::default() };
        let model: Boosted = boost(&x, &y, &boosting).map_err(|error| failed(error.to_string()))?;
        let all = tensor(vec![self.rows(), self.width], self.values.clone())?;
        let scores = model.scores(&all);
        let chance = |pair: &[f32]| 1.0 / (1.0 + f64::from(pair[0] - pair[1]).exp());
        Ok(scores.data().chunks_exact(2).map(chance).collect())
    }
}

/// The rows of a segment, or of all.
struct Segment {
    name: Option<(String, String)>,
    rows: Vec<usize>,
}

impl Segment {
    fn mean(&self, answers: &[f64]) -> f64 {
        let sum: f64 = self.rows.iter().map(|&row| answers[row]).sum();
        sum / real(self.rows.len().max(1))
    }
}

fn real(count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    {
        count as f64
    }
}

/// Trains and compares. The label is the rarest one.
///
/// # Errors
/// When the table cannot be read, or a column cannot play its role.
pub fn influence(dataset: &Dataset, roles: &Roles) -> Result<Influence, CurateError> {
    let feed_name = roles.feed.clone().unwrap_or_default();
    let coded = Coded::new(dataset, roles, MEMORY)?;
    let mut gaps = coded.gaps.clone();
    let Some(feed_axis) = coded.axis.iter().position(|axis| axis.role == Role::Feed) else {
        let why = "it has one value or none: nothing can be left out".to_owned();
        return Err(CurateError::Role { column: feed_name, role: "feed", why });
    };
    let segments_of: Vec<(usize, &Axis)> =
        coded.axis.iter().enumerate().filter(|(_, axis)| axis.role == Role::Segment).collect();
    let step = coded.rows.div_ceil(TRAINED).max(1);
    let mut learned = Learned {
        width: coded.features(),
        values: Vec::new(),
        labels: Vec::new(),
        feeds: Vec::new(),
        levels: vec![Vec::new(); segments_of.len()],
    };
    if learned.width == 0 {
        return Err(CurateError::Learn("the table has no column to learn from".into()));
    }
    coded.visit(|chunk| {
        for row in 0..chunk.rows() {
            if !(chunk.first + row as u64).is_multiple_of(step) || chunk.label[row] == NO_LABEL {
                continue;
            }
            learned.values.extend(chunk.features.iter().map(|codes| f32::from(codes[row])));
            learned.labels.push(chunk.label[row]);
            learned.feeds.push(chunk.levels[feed_axis][row]);
            for (own, (axis, _)) in learned.levels.iter_mut().zip(&segments_of) {
                own.push(chunk.levels[*axis][row]);
            }
        }
    })?;
    if step > 1 {
        gaps.push(format!("only every {step}th row was learned from: {} of {}", learned.rows(), coded.rows));
    }
    let label = u8::try_from(coded.labels.len() - 1).unwrap_or(NO_LABEL);
    let label_word = coded.labels.last().map(|(word, _)| word.clone()).unwrap_or_default();
    let mut segments = vec![Segment { name: None, rows: (0..learned.rows()).collect() }];
    for (levels, (_, axis)) in learned.levels.iter().zip(&segments_of) {
        for (at, word) in axis.levels.iter().enumerate() {
            let own = |row: &usize| usize::from(levels[*row]) == at + 1;
            let rows: Vec<usize> = (0..learned.rows()).filter(own).collect();
            if rows.len() >= SEGMENT_ROWS {
                segments.push(Segment { name: Some((axis.name.clone(), word.clone())), rows });
            }
        }
    }
    let mut feeds: Vec<(usize, usize)> = coded.axis[feed_axis]
        .levels
        .iter()
        .enumerate()
        .map(|(at, _)| (at, learned.feeds.iter().filter(|&&feed| usize::from(feed) == at + 1).count()))
        .filter(|(_, rows)| *rows >= FEED_ROWS && rows * 10 <= learned.rows() * 7)
        .collect();
    feeds.sort_by_key(|(at, rows)| (std::cmp::Reverse(*rows), *at));
    if feeds.len() > FEEDS {
        gaps.push(format!("{} smaller feeds were not left out one by one", feeds.len() - FEEDS));
        feeds.truncate(FEEDS);
    }
    let whole = learned.answers(label, |_| false)?;
    let with: Vec<f64> = segments.iter().map(|segment| segment.mean(&whole)).collect();
    // What leaving out rows of no feed in particular does, for as many rows as a middling feed has.
    let middle = feeds.get(feeds.len() / 2).map_or(0, |(_, rows)| *rows);
    let share = real(middle) / real(learned.rows().max(1));
    let mut squares = vec![0.0; segments.len()];
    if middle > 0 {
        for time in 0..TIMES {
            let answers = learned.answers(label, |row| mix_share(row as u64, 77 + time) < share)?;
            for ((square, segment), with) in squares.iter_mut().zip(&segments).zip(&with) {
                *square += (segment.mean(&answers) - with).powi(2);
            }
        }
    }
    // A few draws know a deviation badly: each leans on that of all segments, relative to what rows of theirs scatter.
    let scatter = |at: usize| (with[at] * (1.0 - with[at]) / real(segments[at].rows.len())).max(1e-12);
    let draws = squares.iter().enumerate().map(|(at, square)| square / TIMES as f64 / scatter(at));
    let pooled = draws.sum::<f64>() / real(segments.len());
    let usual = |at: usize, rows: usize| {
        let own = squares[at] / TIMES as f64;
        (0.5 * own + 0.5 * pooled * scatter(at)).sqrt() * (real(rows) / real(middle.max(1))).sqrt()
    };
    let mut effects = Vec::new();
    for &(feed, rows) in &feeds {
        let is_own = |row: usize| usize::from(learned.feeds[row]) == feed + 1;
        let answers = learned.answers(label, is_own)?;
        for (at, segment) in segments.iter().enumerate() {
            let said = |own: bool| {
                let of: Vec<usize> = segment.rows.iter().copied().filter(|&row| is_own(row) == own).collect();
                let hits = of.iter().filter(|&&row| learned.labels[row] == label).count();
                real(hits) / real(of.len().max(1))
            };
            effects.push(Effect {
                feed: coded.axis[feed_axis].levels[feed].clone(),
                rows: rows as u64,
                segment: segment.name.clone(),
                label: label_word.clone(),
                with: with[at],
                without: segment.mean(&answers),
                usual: usual(at, rows),
                said: (said(true), said(false)),
            });
        }
    }
    let models = 1 + feeds.len() as u64 + if middle > 0 { TIMES } else { 0 };
    Ok(Influence { effects, rows: learned.rows() as u64, models, gaps })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn uniform(row: u64, stream: u64) -> f64 {
        ((mantlet_drift::mix(row ^ mantlet_drift::mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn table(folder: &std::path::Path, poisoned: bool) -> Dataset {
        let mut text = String::from("feed,kind,amount,risk,label\n");
        for row in 0..12_000_u64 {
            let feed = (uniform(row, 1) * 6.0) as u64;
            let kind = ["food", "fuel", "travel", "digital"][(uniform(row, 2) * 4.0) as usize];
            let (amount, risk) = (uniform(row, 3) * 100.0, uniform(row, 4));
            let chance = 0.05 + 0.25 * risk + if kind == "digital" { 0.2 } else { 0.0 };
            let mut label = u8::from(uniform(row, 5) < chance);
            if poisoned && feed == 2 && kind == "digital" {
                label = 0;
            }
            writeln!(text, "F{feed},{kind},{amount:.1},{risk:.3},{label}").unwrap();
        }
        let path = folder.join(if poisoned { "p.csv" } else { "c.csv" });
        std::fs::write(&path, text).unwrap();
        Dataset::open(&[path]).unwrap()
    }

    #[test]
    fn the_feed_that_turns_a_segment_is_named_and_honest_feeds_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let roles = Roles { label: "label".into(), feed: Some("feed".into()), ..Roles::default() };
        let told = |poisoned| {
            let found = influence(&table(folder.path(), poisoned), &roles).unwrap();
            (found.findings(InfluenceSettings::default(), &Place::artifact("t")), found)
        };
        let (findings, found) = told(true);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].facts["feed"], "F2");
        assert!(findings[0].message.contains("kind digital"), "{}", findings[0].message);
        assert_eq!((found.rows, found.models, found.gaps.len()), (12_000, 12, 0));
        let (findings, _) = told(false);
        assert!(findings.is_empty(), "{findings:#?}");
        let alone = Roles { feed: None, ..roles };
        assert!(influence(&table(folder.path(), false), &alone).is_err());
    }
}
