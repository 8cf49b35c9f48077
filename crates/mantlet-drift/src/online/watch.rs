//! The watch itself: e-detectors of Shiryaev and Roberts' kind (Shin, Ramdas and Rinaldo, "E-detectors", 2022).
//!
//! Every stream is bet against in six ways: that its odds have risen or fallen by half, to double, to fourfold. A bet's
//! factor in a bin is the ratio of the likelihood under that change and under the least favourable usual share; while
//! nothing has changed its mean is at most one. The detector of a bet is `factor * (1 + detector before)`, and the mean
//! of all detectors reaches `run_length` by chance no sooner than after `run_length` bins on average, however many
//! streams there are. Bins that scatter more than coins do count for less.

use serde::{Deserialize, Serialize};

use super::usual::Usual;
use crate::statistic::real;

/// By what the odds change.
const ODDS: [f64; 3] = [1.5, 2.0, 4.0];
/// Bets of a stream.
const BETS: usize = 2 * ODDS.len();

/// Counts of a stream in a bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bin {
    /// Rows.
    pub rows: u64,
    /// Of them, counted ones.
    pub hits: u64,
}

impl Bin {
    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.hits = self.hits.saturating_add(other.hits.min(other.rows));
    }
}

/// How a watch judges.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchSettings {
    /// Bins between false alarms, at least, on average.
    pub run_length: f64,
    /// A change by that part of the usual share is no change.
    pub tolerance: f64,
    /// Bins for which a stream that was told is not told again.
    pub cooldown: u32,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self { run_length: 5_000.0, tolerance: 0.1, cooldown: 24 }
    }
}

/// A bet on one change of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bet {
    /// Logarithm of one plus the detector.
    grown: f64,
    /// Page's sum since it last was nothing, and the bin after which that was.
    page: f64,
    since: Option<i64>,
    /// Counts since then.
    counts: Bin,
    expected: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Watched {
    usual: Usual,
    bets: [Bet; BETS],
    quiet: u32,
}

/// Something that changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    /// The stream, by place.
    pub stream: usize,
    /// The likeliest first bin of the change.
    pub since: i64,
    /// The bin after which it was told.
    pub at: i64,
    /// Rows since the change.
    pub rows: u64,
    /// Of them, counted ones.
    pub hits: u64,
    /// The share that was usual.
    pub expected: f64,
    /// Whether it rose.
    pub rose: bool,
    /// The logarithm, to base 10, of the stream's own evidence.
    pub evidence: f64,
}

impl Alarm {
    /// The share since the change.
    #[must_use]
    pub fn share(&self) -> f64 {
        real(self.hits) / real(self.rows.max(1))
    }
}

/// A watch over streams; it can be kept and taken up again at any bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    settings: WatchSettings,
    streams: Vec<Watched>,
    last: Option<i64>,
    /// Bins that were watched.
    pub bins: u64,
}

/// `ln(exp(a) + exp(b))`.
fn sum(a: f64, b: f64) -> f64 {
    let (least, most) = (a.min(b), a.max(b));
    if least == f64::NEG_INFINITY { most } else { most + (least - most).exp().ln_1p() }
}

/// `ln(exp(a) - 1)` for what is at least 0.
fn less_one(a: f64) -> f64 {
    if a <= 0.0 { f64::NEG_INFINITY } else { a + (-(-a).exp()).ln_1p() }
}

fn with_odds(share: f64, times: f64) -> f64 {
    let odds = share / (1.0 - share) * times;
    odds / (1.0 + odds)
}

impl Watch {
    /// A watch over streams of which this is usual.
    #[must_use]
    pub fn new(usual: Vec<Usual>, settings: WatchSettings) -> Self {
        let watched = |usual| Watched { usual, bets: [Bet::default(); BETS], quiet: 0 };
        Self { settings, streams: usual.into_iter().map(watched).collect(), last: None, bins: 0 }
    }

    /// Whether a kept watch can be one: numbers in range, as many streams as named.
    #[must_use]
    pub fn is_sound(&self, streams: usize) -> bool {
        let settings = self.settings;
        self.streams.len() == streams
            && settings.run_length.is_finite()
            && settings.run_length > 1.0
            && (0.0..=10.0).contains(&settings.tolerance)
            && self.streams.iter().all(|own| {
                own.usual.is_sound()
                    && own
                        .bets
                        .iter()
                        .all(|bet| bet.grown.is_finite() && bet.grown >= 0.0 && bet.page.is_finite())
            })
    }

    /// The last bin that was watched.
    #[must_use]
    pub const fn last(&self) -> Option<i64> {
        self.last
    }

    /// What is usual of a stream.
    #[must_use]
    pub fn usual(&self, stream: usize) -> Option<&Usual> {
        self.streams.get(stream).map(|own| &own.usual)
    }

    /// Streams.
    #[must_use]
    pub const fn streams(&self) -> usize {
        self.streams.len()
    }

    /// How it judges.
    #[must_use]
    pub const fn settings(&self) -> WatchSettings {
        self.settings
    }

    /// Takes the counts of all streams in the next bin; gives what is told after it, the strongest first. A bin that is
    /// not later than the last one is passed over.
    pub fn take(&mut self, bin: i64, counts: &[Bin]) -> Vec<Alarm> {
        if self.last.is_some_and(|last| bin <= last) {
            return Vec::new();
        }
        self.last = Some(bin);
        self.bins += 1;
        let tolerance = self.settings.tolerance;
        for (own, counts) in self.streams.iter_mut().zip(counts) {
            own.quiet = own.quiet.saturating_sub(1);
            if counts.rows > 0 {
                own.bet(bin, *counts, tolerance);
            }
        }
        let many = real((self.streams.len() * BETS).max(1) as u64);
        // Streams that were told are silent, and count as nothing.
        let loud = self.streams.iter().filter(|own| own.quiet == 0);
        let mean = loud.map(Watched::evidence).fold(f64::NEG_INFINITY, sum) - many.ln();
        if mean < self.settings.run_length.ln() {
            return Vec::new();
        }
        let (run_length, cooldown) = (self.settings.run_length, self.settings.cooldown);
        let strongest = self
            .streams
            .iter()
            .filter(|own| own.quiet == 0)
            .map(Watched::evidence)
            .fold(f64::NEG_INFINITY, f64::max);
        let mut told = Vec::new();
        for (stream, own) in self.streams.iter_mut().enumerate() {
            let evidence = own.evidence();
            // The strongest, and what is half way there: it is told beside it now rather than by itself soon.
            let enough = evidence >= strongest || evidence - real(BETS as u64).ln() >= 0.5 * run_length.ln();
            if own.quiet > 0 || !enough {
                continue;
            }
            told.extend(own.alarm(stream, bin));
            own.bets = [Bet::default(); BETS];
            own.quiet = cooldown.saturating_add(1);
        }
        told.sort_by(|a, b| b.evidence.total_cmp(&a.evidence).then(a.stream.cmp(&b.stream)));
        told
    }
}

impl Watched {
    fn bet(&mut self, bin: i64, counts: Bin, tolerance: f64) {
        let (least, most) = self.usual.bounds(bin, tolerance);
        let scatter = self.usual.scatter;
        let (hits, others) =
            (real(counts.hits.min(counts.rows)), real(counts.rows - counts.hits.min(counts.rows)));
        for (at, bet) in self.bets.iter_mut().enumerate() {
            let (from, to) = if at < ODDS.len() {
                (most, with_odds(most, ODDS[at]))
            } else {
                (least, with_odds(least, 1.0 / ODDS[at - ODDS.len()]))
            };
            let factor = (hits * (to / from).ln() + others * ((1.0 - to) / (1.0 - from)).ln()) / scatter;
            // ln(1 + factor * (1 + detector before)).
            bet.grown = sum(0.0, factor + bet.grown).min(1e6);
            if bet.page <= 0.0 {
                (bet.since, bet.counts, bet.expected) = (Some(bin), Bin::default(), 0.0);
            }
            bet.page = (bet.page + factor).max(0.0);
            bet.counts.add(counts);
            bet.expected += real(counts.rows) * self.usual.share(bin);
        }
    }

    /// The logarithm of the sum of its detectors.
    fn evidence(&self) -> f64 {
        self.bets.iter().map(|bet| less_one(bet.grown)).fold(f64::NEG_INFINITY, sum)
    }

    fn alarm(&self, stream: usize, at: i64) -> Option<Alarm> {
        let (place, bet) = self.bets.iter().enumerate().max_by(|a, b| a.1.grown.total_cmp(&b.1.grown))?;
        Some(Alarm {
            stream,
            since: bet.since?,
            at,
            rows: bet.counts.rows,
            hits: bet.counts.hits,
            expected: bet.expected / real(bet.counts.rows.max(1)),
            rose: place < ODDS.len(),
            evidence: less_one(bet.grown) / std::f64::consts::LN_10,
        })
    }
}
