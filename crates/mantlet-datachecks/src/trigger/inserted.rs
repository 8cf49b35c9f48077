//! Phrases that were put into texts, whatever the texts say: a trigger taught with honest labels.
//!
//! A label does not contradict such a trigger, and honest words go with a label as well. What tells them apart is
//! grammar: a word of the language chooses its neighbours, and a phrase that was put in at any place has parted two
//! words that belong together. So of each phrase that hardly any other label has it is asked whether its two
//! neighbours follow one another elsewhere as often as any two neighbours in the same texts do (if the phrase is taken
//! out, the text closes), and whether its neighbours on the left and on the right are as many different words as
//! words drawn from all texts would be.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::lift::Lift;
use crate::feed::real;

/// Phrases that are asked about at most.
const ASKED: usize = 20_000;
/// Rows at least.
const ROWS: u64 = 15;
/// The share of its rows with the label at least.
const PURE: f64 = 0.95;
/// The chance of so pure a phrase, had it nothing to do with the label, at most.
const CHANCE: f64 = 1e-3;
/// How far a phrase has to be from choosing its neighbours: 1 is what a phrase at random places has. Words of the
/// language were seen up to 0.67 (phrases) and 0.74 (single words) in five sets of real texts.
const FREE: [f64; 2] = [0.72, 0.78];
/// Of phrases that do not go with the label, at most this share may be as free: texts whose words do not choose their
/// neighbours (lists, tags, words drawn one by one) say nothing. In real texts it is up to 0.03.
const FREE_USUALLY: f64 = 0.1;
/// Such phrases that are asked.
const USUAL: usize = 2_000;
/// Before the first word, and after the last.
const EDGES: [u64; 2] = [1, 2];

/// How a phrase stands in its texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    /// Rows in which its neighbours follow one another elsewhere, of all.
    pub closes: f64,
    /// The same of any two neighbours in those texts.
    pub usual: f64,
    /// Different neighbours on its left, of as many as drawn words would be.
    pub left: f64,
    /// The same on its right.
    pub right: f64,
}

impl Placed {
    /// The least sign of having been put in.
    fn free(&self) -> f64 {
        (self.closes / self.usual.max(1e-9)).min(self.left).min(self.right)
    }
}

/// What was seen of a phrase's neighbours.
#[derive(Default)]
struct Around {
    rows: u64,
    closes: u64,
    usual: f64,
    sides: [HashSet<u64>; 2],
}

/// Counts of pairs of words that follow one another, each at most once a text; pairs that share a counter only make
/// closing more usual.
struct Following {
    counts: Vec<u8>,
}

impl Following {
    fn of(texts: &[Vec<u64>]) -> Self {
        let words: usize = texts.iter().map(Vec::len).sum();
        let mut own = Self { counts: vec![0; (words * 8).next_power_of_two().clamp(1 << 16, 1 << 28)] };
        let mut places: Vec<usize> = Vec::new();
        for text in texts {
            places.clear();
            places.extend(pairs(text).map(|pair| own.place(pair)));
            places.sort_unstable();
            places.dedup();
            places.iter().for_each(|&place| own.counts[place] = own.counts[place].saturating_add(1));
        }
        own
    }

    fn place(&self, (one, other): (u64, u64)) -> usize {
        let key = (one.rotate_left(29) ^ other).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from((key ^ (key >> 31)) & (self.counts.len() as u64 - 1)).unwrap_or(0)
    }

    fn times(&self, pair: (u64, u64)) -> u8 {
        self.counts[self.place(pair)]
    }

    /// Of the pairs of a text, the share that other texts have.
    fn usual(&self, text: &[u64]) -> f64 {
        let known = pairs(text).filter(|&pair| self.times(pair) >= 2).count();
        real(known as u64) / real(text.len() as u64 + 1)
    }
}

/// Each word with the next, edges included.
fn pairs(text: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    let at = |place: usize| side(text, place);
    (0..=text.len()).map(move |place| (at(place), at(place + 1)))
}

/// The word at a place counted from 1, or the edge.
fn side(text: &[u64], place: usize) -> u64 {
    match place.checked_sub(1) {
        None => EDGES[0],
        Some(at) => text.get(at).copied().unwrap_or(EDGES[1]),
    }
}

/// How many different words so many drawn ones are.
struct Drawn {
    /// How often a word stands in all texts, and how many words stand so often.
    often: Vec<(f64, f64)>,
    known: BTreeMap<u64, f64>,
}

impl Drawn {
    fn of(texts: &[Vec<u64>]) -> Self {
        let mut times: HashMap<u64, u64> = HashMap::new();
        let mut all = 0_u64;
        for text in texts {
            for &word in text.iter().chain(&EDGES) {
                *times.entry(word).or_default() += 1;
                all += 1;
            }
        }
        let mut words: BTreeMap<u64, u64> = BTreeMap::new();
        times.values().for_each(|&times| *words.entry(times).or_default() += 1);
        let often = words.into_iter().map(|(times, words)| (real(times) / real(all.max(1)), real(words)));
        Self { often: often.collect(), known: BTreeMap::new() }
    }

    fn different(&mut self, drawn: u64) -> f64 {
        let often = &self.often;
        *self.known.entry(drawn).or_insert_with(|| {
            let seen = |(share, words): &(f64, f64)| words * (1.0 - (1.0 - share).powf(real(drawn)));
            often.iter().map(seen).sum::<f64>().max(1.0)
        })
    }
}

/// Of the phrases counted, those that were put in, with how they stand; in order of key. `texts` are the hashes of
/// words, `phrases` gives the phrases of a text, each once: key, first word, words.
pub(super) fn inserted(
    texts: &[Vec<u64>],
    truth: &[bool],
    lifts: &HashMap<u64, Lift>,
    most: f64,
    phrases: impl Fn(usize, &mut Vec<(u64, u32, u8)>),
) -> Vec<(u64, Lift, Placed)> {
    let all = truth.len() as u64;
    let share = real(truth.iter().filter(|&&one| one).count() as u64) / real(all.max(1));
    let pure = |lift: &Lift| {
        let enough = lift.rows >= ROWS && real(lift.rows) <= most * real(all) && lift.share() >= PURE;
        enough && real(lift.ones) * share.ln() <= CHANCE.ln()
    };
    let neutral = |lift: &Lift| lift.rows >= ROWS && real(lift.rows) <= most * real(all) && !pure(lift);
    let mut asked: Vec<(u64, u64)> =
        lifts.iter().filter(|(_, lift)| pure(lift)).map(|(key, lift)| (lift.rows, *key)).collect();
    asked.sort_unstable_by(|a, b| b.cmp(a));
    asked.truncate(ASKED);
    if asked.is_empty() {
        return Vec::new();
    }
    // Keys are hashes: the least are as good as drawn.
    let mut usual: Vec<u64> = lifts.iter().filter(|(_, lift)| neutral(lift)).map(|(key, _)| *key).collect();
    usual.sort_unstable();
    usual.truncate(USUAL);
    let following = Following::of(texts);
    let mut around: HashMap<u64, Around> =
        asked.iter().map(|(_, key)| key).chain(&usual).map(|key| (*key, Around::default())).collect();
    let mut lengths: HashMap<u64, u8> = HashMap::new();
    let mut own = Vec::new();
    for (row, text) in texts.iter().enumerate() {
        phrases(row, &mut own);
        let mut any = None;
        for &(key, first, length) in &own {
            let Some(around) = around.get_mut(&key) else { continue };
            lengths.insert(key, length);
            let first = first as usize;
            let sides = [side(text, first), side(text, first + usize::from(length) + 1)];
            around.rows += 1;
            around.closes += u64::from(following.times((sides[0], sides[1])) >= 1);
            around.usual += *any.get_or_insert_with(|| following.usual(text));
            for (seen, word) in around.sides.iter_mut().zip(sides) {
                seen.insert(word);
            }
        }
    }
    let mut drawn = Drawn::of(texts);
    let mut stands = |key: u64| {
        let around = around.get(&key)?;
        let different = drawn.different(around.rows);
        let [left, right] = [0, 1].map(|side| real(around.sides[side].len() as u64) / different);
        let rows = real(around.rows.max(1));
        let placed = Placed { closes: real(around.closes) / rows, usual: around.usual / rows, left, right };
        let single = usize::from(lengths.get(&key) == Some(&1));
        Some((placed, placed.free() >= FREE[single]))
    };
    let free = usual.iter().filter_map(|&key| stands(key)).filter(|(_, free)| *free).count();
    if real(free as u64) > FREE_USUALLY * real(usual.len() as u64) {
        return Vec::new();
    }
    let mut found: Vec<(u64, Lift, Placed)> = asked
        .into_iter()
        .filter_map(|(_, key)| {
            let (placed, free) = stands(key)?;
            free.then_some((key, *lifts.get(&key)?, placed))
        })
        .collect();
    found.sort_unstable_by_key(|(key, ..)| *key);
    found
}
