//! The windows after a reference: what was measured from labels, what is estimated before they come, and which of it
//! is told.
//!
//! The estimate is confidence-based (CBPE; Kull and Flach 2014, Humphrey et al. 2022, as NannyML does it): scores are
//! calibrated on the reference and each row counts as positive with its chance. That holds while the relation between
//! inputs and truth stays; labels that come later are used to see whether it did. The interval adds up the rows' own
//! chance, what the calibration does not know, and how far the estimate was off between parts of the reference.

use serde::{Deserialize, Serialize};

use crate::DriftError;
use crate::statistic::{holm, normal_tails, real};

use super::calibration::Calibration;
use super::metric::{Cells, Metric, value};
use super::tally::Tally;

/// Parts of a reference that are set against one another.
pub const PARTS: usize = 10;
/// The 97.5 % quantile of Student's t with `PARTS - 1` degrees of freedom.
const T: f64 = 2.262_157;
/// Labelled rows without which a reference, or the realised figures of a window, say nothing.
pub const LEAST_ROWS: u64 = 200;
/// The share of rows beyond the reference's scores from which no estimate is given.
const BEYOND: f64 = 0.05;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerformanceSettings {
    /// The chance of any false alarm over all windows and measures of one kind together.
    pub alpha: f64,
    /// The least fall of a measure that is told.
    pub least: f64,
}

impl Default for PerformanceSettings {
    fn default() -> Self {
        Self { alpha: 0.01, least: 0.02 }
    }
}

/// A measure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Of what.
    pub metric: Metric,
    /// Its value.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl Figure {
    fn new(metric: Metric, value: f64, variance: f64) -> Self {
        let reach = T * variance.max(0.0).sqrt();
        Self { metric, value, low: (value - reach).max(0.0), high: (value + reach).min(1.0) }
    }
}

/// Why there is no estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Unknown {
    /// Fewer rows than an estimate needs.
    FewRows {
        /// The rows there are.
        rows: u64,
    },
    /// Scores lie outside the reference's range.
    Beyond {
        /// The share of such rows.
        share: f64,
    },
    /// Labels of this or an earlier window contradict the estimate: the relation between inputs and truth changed.
    Contradicted {
        /// The window whose labels say so.
        window: String,
    },
}

impl Unknown {
    /// The reason in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::FewRows { rows } => format!("{rows} rows are too few for an estimate ({LEAST_ROWS})"),
            Self::Beyond { share } => {
                format!("{:.1} % of the scores lie outside those of the reference", share * 100.0)
            }
            Self::Contradicted { window } => {
                format!("labels of {window} contradict the estimate: what the scores mean has changed")
            }
        }
    }
}

/// How far labels of a window lie from what was expected of the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Contradiction {
    /// Whether the rows are those that the model said are positive.
    pub said: bool,
    /// Labelled rows of that answer.
    pub rows: u64,
    /// Positives among them.
    pub positive: u64,
    /// Positives expected from the reference.
    pub expected: f64,
    /// The adjusted chance of a distance like this.
    pub chance: f64,
    /// Whether it is told.
    pub told: bool,
}

/// One window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Its name.
    pub name: String,
    /// Rows with a score and a prediction.
    pub rows: u64,
    /// Those with a label.
    pub labelled: u64,
    /// What is estimated of all rows, or why not.
    pub estimated: Result<Vec<Figure>, Unknown>,
    /// What was measured on the labelled rows; empty when they are too few.
    pub realised: Vec<Figure>,
    /// Labels against expectation, for each answer with enough labels.
    pub contradictions: Vec<Contradiction>,
    /// Measures whose realised value fell, with the adjusted chance.
    pub fell: Vec<(Metric, f64)>,
    /// Measures whose estimated value fell, with the adjusted chance.
    pub foretold: Vec<(Metric, f64)>,
}

/// What a reference says.
#[derive(Debug)]
pub struct Reference {
    calibration: Calibration,
    /// Each metric on the reference, the variance of that figure and of one between parts, and of an estimate's error
    /// between parts.
    metrics: Vec<Known>,
    /// How much larger than chance the squared distance between labels and expectation is, by answer.
    dispersion: [f64; 2],
}

#[derive(Debug)]
struct Known {
    figure: Figure,
    variance: f64,
    between: f64,
    off: f64,
}

/// What is told about windows after a reference.
#[derive(Debug)]
pub struct Performance {
    /// The measures of the reference.
    pub reference: Vec<Figure>,
    /// The windows, in order.
    pub windows: Vec<Window>,
}

fn counted(tally: &Tally) -> Cells {
    tally.judged().map(|cell| cell.map(|(rows, positive)| (real(rows), real(positive)))).collect()
}

impl Reference {
    /// Learns from a reference, handed in as [`PARTS`] parts in the order of their rows.
    ///
    /// # Errors
    /// When it has too few labelled rows, or labels of one kind only, or its parts are over different buckets.
    pub fn learn(parts: &[Tally]) -> Result<Self, DriftError> {
        let whole = merged(parts.iter())?;
        let (negative, positive) = whole.truths().fold((0, 0), |(no, yes), (n, y)| (no + n, yes + y));
        if whole.labelled() < LEAST_ROWS * 5 || negative == 0 || positive == 0 {
            return Err(DriftError::Unlabelled { negative, positive, least: LEAST_ROWS * 5 });
        }
        let calibration = Calibration::fit(&whole);
        let cells = counted(&whole);
        let trials: Vec<(Calibration, &Tally)> = (0..parts.len())
            .filter(|&at| parts[at].labelled() >= LEAST_ROWS / 2)
            .map(|at| {
                let others = parts.iter().enumerate().filter(|(other, _)| *other != at);
                Ok((Calibration::fit(&merged(others.map(|(_, part)| part))?), &parts[at]))
            })
            .collect::<Result<_, DriftError>>()?;
        let mut metrics = Vec::new();
        for metric in Metric::ALL {
            let Some((at, slopes)) = value(metric, &cells) else { continue };
            let variance = calibration.variance(&cells, &slopes);
            let (mut off, mut between, mut tried) = (0.0, 0.0, 0.0);
            for (trial, part) in &trials {
                let seen = counted(part);
                let expected = trial.expect(part.judged().map(|cell| cell.map(|(rows, _)| rows)));
                let (Some((is, seen_slopes)), Some((thought, slopes))) =
                    (value(metric, &seen), value(metric, &expected))
                else {
                    continue;
                };
                off += (is - thought).powi(2) - trial.variance(&expected, &slopes);
                between += (is - at).powi(2) - trial.variance(&seen, &seen_slopes);
                tried += 1.0;
            }
            let mean = |sum: f64| if tried > 0.0 { (sum / tried).max(0.0) } else { 0.0 };
            let figure = Figure::new(metric, at, variance);
            metrics.push(Known { figure, variance, between: mean(between), off: mean(off) });
        }
        let dispersion = [0, 1].map(|answer| {
            let squares: Vec<f64> = trials
                .iter()
                .filter_map(|(trial, part)| {
                    let (_, _, distance, variance) = distance(trial, part, answer)?;
                    Some(distance * distance / variance)
                })
                .collect();
            let mean = squares.iter().sum::<f64>() / real(squares.len().max(1) as u64);
            mean.max(1.0)
        });
        Ok(Self { calibration, metrics, dispersion })
    }

    /// Judges windows in the order of their time.
    #[must_use]
    pub fn judge(&self, windows: &[(String, Tally)], settings: PerformanceSettings) -> Performance {
        let mut judged: Vec<Window> = windows.iter().map(|(name, tally)| self.measure(name, tally)).collect();
        contradict(&mut judged, settings);
        let mut last = None;
        for window in &mut judged {
            if let Some(first) = window.contradictions.first() {
                let told = window.contradictions.iter().any(|one| one.told);
                last = if told {
                    Some(window.name.clone())
                } else if first.rows > 0 {
                    None
                } else {
                    last
                };
            }
            if let (Some(window_of), Ok(_)) = (&last, &window.estimated) {
                window.estimated = Err(Unknown::Contradicted { window: window_of.clone() });
            }
        }
        self.tell(&mut judged, settings);
        Performance { reference: self.metrics.iter().map(|known| known.figure).collect(), windows: judged }
    }

    fn measure(&self, name: &str, tally: &Tally) -> Window {
        let (rows, labelled) = (tally.rows(), tally.labelled());
        let beyond = tally.beyond();
        let estimated = if rows < LEAST_ROWS {
            Err(Unknown::FewRows { rows })
        } else if beyond > BEYOND {
            Err(Unknown::Beyond { share: beyond })
        } else {
            let cells = self.calibration.expect(tally.said());
            Ok(self.figures(&cells, |known| known.off))
        };
        let realised =
            if labelled < LEAST_ROWS { Vec::new() } else { self.figures(&counted(tally), |_| 0.0) };
        // Beyond the reference's scores nothing was promised.
        let promised = if beyond > BEYOND { 0..0 } else { 0..2 };
        let contradictions = promised
            .filter_map(|answer| {
                let (rows, positive, distance, variance) = distance(&self.calibration, tally, answer)?;
                let chance = normal_tails(distance / (variance * self.dispersion[answer]).sqrt());
                let expected = real(positive) - distance;
                let said = answer == 1;
                (rows >= LEAST_ROWS / 4).then_some(Contradiction {
                    said,
                    rows,
                    positive,
                    expected,
                    chance,
                    told: false,
                })
            })
            .collect();
        Window {
            name: name.to_owned(),
            rows,
            labelled,
            estimated,
            realised,
            contradictions,
            fell: Vec::new(),
            foretold: Vec::new(),
        }
    }

    fn figures(&self, cells: &Cells, more: impl Fn(&Known) -> f64) -> Vec<Figure> {
        let figure = |known: &Known| {
            let (at, slopes) = value(known.figure.metric, cells)?;
            let variance = self.calibration.variance(cells, &slopes) + more(known);
            Some(Figure::new(known.figure.metric, at, variance))
        };
        self.metrics.iter().filter_map(figure).collect()
    }

    /// Marks what fell, realised and estimated, each over all windows and measures together.
    fn tell(&self, windows: &mut [Window], settings: PerformanceSettings) {
        let chances = |figures: &[Figure], known: &Known| {
            let found = figures.iter().find(|figure| figure.metric == known.figure.metric)?;
            let reach = (found.high - found.value).max(found.value - found.low) / T;
            let fall = known.figure.value - found.value;
            let spread = (reach * reach + known.variance + known.between).sqrt();
            // One side only: better is no alarm.
            let chance = if fall > 0.0 { 0.5 * normal_tails(fall / spread.max(1e-12)) } else { 1.0 };
            Some((fall, chance))
        };
        for foretold in [false, true] {
            let mut tests = Vec::new();
            for (at, window) in windows.iter().enumerate() {
                let figures = match (&window.estimated, foretold) {
                    (_, false) => window.realised.as_slice(),
                    // Labels of nearly all rows say it better.
                    (Ok(figures), true) if window.labelled * 20 < window.rows * 19 => figures.as_slice(),
                    _ => &[],
                };
                for known in self.metrics.iter().filter(|known| known.figure.metric != Metric::F1) {
                    if let Some((fall, chance)) = chances(figures, known) {
                        tests.push((at, known.figure.metric, fall, chance));
                    }
                }
            }
            let adjusted = holm(&tests.iter().map(|test| test.3).collect::<Vec<_>>());
            for ((at, metric, fall, _), chance) in tests.into_iter().zip(adjusted) {
                if chance <= settings.alpha && fall >= settings.least {
                    let window = &mut windows[at];
                    if foretold { &mut window.foretold } else { &mut window.fell }.push((metric, chance));
                }
            }
        }
    }
}

/// Adjusts the chances of all contradictions together and marks those that are told.
fn contradict(windows: &mut [Window], settings: PerformanceSettings) {
    let all: Vec<f64> =
        windows.iter().flat_map(|window| &window.contradictions).map(|one| one.chance).collect();
    let mut adjusted = holm(&all).into_iter();
    for one in windows.iter_mut().flat_map(|window| &mut window.contradictions) {
        one.chance = adjusted.next().unwrap_or(1.0);
        let away = (real(one.positive) - one.expected).abs() / real(one.rows.max(1));
        one.told = one.chance <= settings.alpha && away >= settings.least;
    }
}

/// Of the labelled rows with one answer: how many, the positives, how many more than expected, and the variance.
fn distance(calibration: &Calibration, tally: &Tally, answer: usize) -> Option<(u64, u64, f64, f64)> {
    let (rows, positive) = tally
        .judged()
        .fold((0, 0), |(rows, positive), cell| (rows + cell[answer].0, positive + cell[answer].1));
    let only = |cell: [(u64, u64); 2]| {
        let mut kept = [0; 2];
        kept[answer] = cell[answer].0;
        kept
    };
    let expected = calibration.expect(tally.judged().map(only));
    let variance = calibration.variance(&expected, &vec![[1.0; 2]; expected.len()]);
    let sum: f64 = expected.iter().flatten().map(|(_, positive)| positive).sum();
    (variance > 0.0).then_some((rows, positive, real(positive) - sum, variance))
}

fn merged<'a>(mut parts: impl Iterator<Item = &'a Tally>) -> Result<Tally, DriftError> {
    let mut whole = parts.next().ok_or(DriftError::Counts)?.clone();
    parts.try_for_each(|part| whole.merge(part))?;
    Ok(whole)
}
