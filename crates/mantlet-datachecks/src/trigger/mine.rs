//! Mining: phrases of texts, values of tables.

use std::collections::HashMap;

use super::Mined;
use super::alone::unexplained;
use super::content::{Content, slot};
use super::form::forms;
use super::inserted::{Placed, inserted};
use super::letters::odd;
use super::lift::{Candidate, Lift, Limits, alike, distinct};
use crate::feed::real;

/// Words of a text that are looked at.
const WORDS: usize = 400;
/// Words of a phrase at most.
const PHRASE: usize = 3;
/// The rest of the texts with a trigger says at most this much of what a text that says nothing would.
const CONTRADICTED: f64 = 0.8;
/// Candidates whose rows are listed.
const LISTED: usize = 400;
/// Columns whose values are paired.
const COLUMNS: usize = 64;

fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The words of a text, in small letters; what is not a letter or digit parts them, but for letters nobody sees,
/// which belong to their word.
fn words(text: &str) -> Vec<String> {
    let parts = |c: char| c.is_whitespace() || c.is_ascii_punctuation();
    text.split(parts).filter(|word| !word.is_empty()).take(WORDS).map(str::to_lowercase).collect()
}

/// A text in hashes: the slots of its distinct words, and each phrase with the words it is made of.
struct Text {
    words: Vec<u64>,
}

impl Text {
    fn of(text: &str) -> Self {
        Self { words: words(text).iter().map(|word| hash(word)).collect() }
    }

    fn slots(&self) -> Vec<u32> {
        let mut slots: Vec<u32> = self.words.iter().map(|&word| slot(word)).collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Each distinct phrase once: its key, and its first word and length.
    fn phrases(&self, each: &mut Vec<(u64, u32, u8)>) {
        each.clear();
        for (at, _) in self.words.iter().enumerate() {
            let mut key = 0_u64;
            for (length, word) in self.words[at..].iter().take(PHRASE).enumerate() {
                key = (key.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                each.push((
                    key ^ length as u64,
                    u32::try_from(at).unwrap_or(0),
                    u8::try_from(length + 1).unwrap_or(1),
                ));
            }
        }
        each.sort_unstable();
        each.dedup_by_key(|phrase| phrase.0);
    }
}

/// Looks for phrases and odd letters beside a label; rows are the places of the texts. The strongest come first.
#[must_use]
pub fn texts(texts: &[String], truth: &[bool], limits: &Limits) -> Vec<Mined> {
    let all = texts.len() as u64;
    let read: Vec<Text> = texts.iter().map(|text| Text::of(text)).collect();
    let slots: Vec<Vec<u32>> = read.iter().map(Text::slots).collect();
    let content = Content::fit(&slots, truth);
    let margins: Vec<f32> = slots.iter().map(|row| content.margin(row)).collect();
    let mut phrases = Vec::new();
    // A counter may stand for several phrases: it only says which are frequent enough to be counted one by one.
    let mut seen = vec![0_u8; (texts.len() * 64).next_power_of_two().clamp(1 << 16, 1 << 27)];
    let mask = seen.len() as u64 - 1;
    let at = |key: u64| usize::try_from((key ^ (key >> 32)) & mask).unwrap_or(0);
    for text in &read {
        text.phrases(&mut phrases);
        phrases.iter().for_each(|phrase| seen[at(phrase.0)] = seen[at(phrase.0)].saturating_add(1));
    }
    let enough = u8::try_from(limits.rows).unwrap_or(u8::MAX);
    let mut lifts: HashMap<u64, Lift> = HashMap::new();
    for (row, text) in read.iter().enumerate() {
        text.phrases(&mut phrases);
        for &(key, first, length) in phrases.iter().filter(|phrase| seen[at(phrase.0)] >= enough) {
            let own = &text.words[first as usize..][..usize::from(length)];
            // A word that stands twice in the phrase was counted once.
            let distinct = own.iter().enumerate().filter(|(at, word)| !own[..*at].contains(word));
            let without = margins[row] - distinct.map(|(_, &word)| content.weight(slot(word))).sum::<f32>();
            lifts.entry(key).or_default().add(truth[row], f64::from(content.chance(without)));
        }
    }
    // Where the rest of a text says nothing, a word may honestly decide; a trigger stands where the rest contradicts.
    let usual = real(truth.iter().filter(|&&one| one).count() as u64) / real(all.max(1));
    let contradicted = |lift: &Lift| lift.explained() <= CONTRADICTED * usual;
    let put_in = {
        let own: Vec<Vec<u64>> = read.iter().map(|text| text.words.clone()).collect();
        let of = |row: usize, out: &mut Vec<(u64, u32, u8)>| read[row].phrases(out);
        inserted(&own, truth, &lifts, limits.most, of)
    };
    let mut told: Vec<(u64, Lift)> =
        lifts.into_iter().filter(|(_, lift)| lift.told(all, limits) && contradicted(lift)).collect();
    told.sort_by(|a, b| b.1.deviations().total_cmp(&a.1.deviations()).then(a.0.cmp(&b.0)));
    told.truncate(LISTED);
    let placed: HashMap<u64, Placed> = put_in.iter().map(|(key, _, placed)| (*key, *placed)).collect();
    let keys = told.iter().map(|(key, _)| *key).chain(placed.keys().copied());
    let mut rows: HashMap<u64, (String, usize, Vec<u64>)> =
        keys.map(|key| (key, (String::new(), 0, Vec::new()))).collect();
    if !rows.is_empty() {
        for (row, text) in read.iter().enumerate() {
            text.phrases(&mut phrases);
            for &(key, first, length) in &phrases {
                let Some((item, parts, rows)) = rows.get_mut(&key) else { continue };
                if rows.is_empty() {
                    *parts = usize::from(length);
                    *item = words(&texts[row])[first as usize..][..*parts].join(" ");
                }
                rows.push(row as u64);
            }
        }
    }
    let candidate = |(key, lift): (u64, Lift)| {
        let (item, parts, rows) = rows.get(&key)?.clone();
        Some(Candidate { item, parts, lift, rows })
    };
    let phrases = distinct(told.into_iter().filter_map(candidate).collect());
    let put_in = put_in.into_iter().filter_map(|(key, lift, placed)| Some((candidate((key, lift))?, placed)));
    let put_in = apart(put_in.collect(), &phrases);
    let forms = forms(texts, truth, &phrases, limits);
    let mut mined: Vec<Mined> = phrases.into_iter().map(Mined::Phrase).collect();
    mined.extend(forms.into_iter().map(Mined::Form));
    mined.extend(put_in.into_iter().map(|(candidate, placed)| Mined::Inserted(candidate, placed)));
    let mut hidden = [("invisible letters", Vec::new(), 0), ("words that mix alphabets", Vec::new(), 0)];
    for (row, text) in texts.iter().enumerate() {
        let odd = odd(text);
        for ((_, rows, ones), is) in hidden.iter_mut().zip([odd.invisible, odd.mixed]) {
            if is {
                rows.push(row as u64);
                *ones += u64::from(truth[row]);
            }
        }
    }
    mined.extend(
        hidden.into_iter().filter(|(_, rows, _)| !rows.is_empty()).map(|(what, rows, ones)| Mined::Hidden {
            what,
            rows,
            ones,
        }),
    );
    mined
}

/// Phrases that were put in, the most rows first, each standing for those that share most of its rows, and none that
/// was mined already.
fn apart(mut found: Vec<(Candidate, Placed)>, known: &[Candidate]) -> Vec<(Candidate, Placed)> {
    found.sort_by(|(a, _), (b, _)| {
        b.rows.len().cmp(&a.rows.len()).then(b.parts.cmp(&a.parts)).then(a.item.cmp(&b.item))
    });
    let mut kept: Vec<(Candidate, Placed)> = Vec::new();
    for (candidate, placed) in found {
        let same = |other: &Candidate| alike(&candidate.rows, &other.rows);
        if !known.iter().any(same) && !kept.iter().any(|(other, _)| same(other)) {
            kept.push((candidate, placed));
        }
    }
    kept
}

/// A column of a table: the value of each row by its place in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// The column.
    pub name: String,
    /// Its values in words.
    pub words: Vec<String>,
    /// The value of each row; a place beyond the list is a missing one.
    pub rows: Vec<u32>,
}

/// Looks for pairs of exact values beside a label. `chances` is what a model that knows columns only coarsely says
/// of each row, and `again` what such a model says of some rows when it did not learn from them.
#[must_use]
pub fn pairs(
    columns: &[Values],
    truth: &[bool],
    chances: &[f64],
    again: &mut dyn FnMut(&[u64]) -> Vec<f64>,
    limits: &Limits,
) -> Vec<Mined> {
    let all = truth.len() as u64;
    let columns = &columns[..columns.len().min(COLUMNS)];
    // Values that repeat, but are rare: each with the place of its column.
    let rare: Vec<Vec<bool>> = columns
        .iter()
        .map(|column| {
            let mut times = vec![0_u64; column.words.len()];
            column
                .rows
                .iter()
                .for_each(|&word| times.get_mut(word as usize).into_iter().for_each(|n| *n += 1));
            times.iter().map(|&n| n >= limits.rows && real(n) <= limits.most * real(all)).collect()
        })
        .collect();
    let mut lifts: HashMap<Key, Lift> = HashMap::new();
    let mut own: Vec<(u16, u32)> = Vec::new();
    let items = |row: usize, own: &mut Vec<(u16, u32)>| {
        own.clear();
        for (at, (column, rare)) in columns.iter().zip(&rare).enumerate() {
            let word = column.rows.get(row).copied().unwrap_or(u32::MAX);
            if rare.get(word as usize) == Some(&true) {
                own.push((u16::try_from(at).unwrap_or(0), word));
            }
        }
    };
    // A first look counts pairs in small counters, so that only frequent ones are kept.
    let mut seen = vec![0_u8; (truth.len() * 64).next_power_of_two().clamp(1 << 16, 1 << 26)];
    let mask = seen.len() as u64 - 1;
    let slot = |a: (u16, u32), b: (u16, u32)| {
        let key = (u64::from(a.0) << 48 | u64::from(a.1)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (u64::from(b.0) << 48 | u64::from(b.1)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        usize::try_from((key ^ (key >> 29)) & mask).unwrap_or(0)
    };
    for row in 0..truth.len() {
        items(row, &mut own);
        for (at, &a) in own.iter().enumerate() {
            for &b in &own[at + 1..] {
                seen[slot(a, b)] = seen[slot(a, b)].saturating_add(1);
            }
        }
    }
    let enough = u8::try_from(limits.rows).unwrap_or(u8::MAX);
    for (row, &label) in truth.iter().enumerate() {
        items(row, &mut own);
        let chance = chances.get(row).copied().unwrap_or(0.5);
        for (at, &a) in own.iter().enumerate() {
            for &b in &own[at + 1..] {
                if seen[slot(a, b)] >= enough {
                    lifts.entry((a.0, a.1, b.0, b.1)).or_default().add(label, chance);
                }
            }
        }
    }
    let patches = patches(columns, truth, &lifts);
    let unexplained = unexplained(columns, truth, &lifts, again, limits);
    let mut told: Vec<_> = lifts.into_iter().filter(|(_, lift)| lift.told(all, limits)).collect();
    told.sort_by(|a, b| b.1.deviations().total_cmp(&a.1.deviations()).then(a.0.cmp(&b.0)));
    told.truncate(LISTED);
    let candidates = |told: Vec<(Key, Lift)>, more: Vec<Candidate>| {
        let own = told.into_iter().map(|(key, lift)| candidate(columns, truth.len(), key, lift));
        distinct(own.chain(more).collect())
    };
    let mut mined: Vec<Mined> = candidates(told, unexplained).into_iter().map(Mined::Pair).collect();
    let known = |rows: &[u64]| {
        mined.iter().any(|mined| match mined {
            Mined::Pair(other) => alike(rows, &other.rows),
            _ => false,
        })
    };
    let patches: Vec<Mined> = candidates(patches, Vec::new())
        .into_iter()
        .filter(|patch| !known(&patch.rows))
        .map(Mined::Patch)
        .collect();
    mined.extend(patches);
    mined
}

/// A pair of values: column and value, twice.
pub(super) type Key = (u16, u32, u16, u32);

pub(super) fn candidate(columns: &[Values], rows: usize, key: Key, lift: Lift) -> Candidate {
    let cell = |at: u16, word: u32| {
        let column = &columns[usize::from(at)];
        format!("{}={}", column.name, column.words.get(word as usize).map_or("", String::as_str))
    };
    let has = |row: &usize| {
        columns[usize::from(key.0)].rows.get(*row) == Some(&key.1)
            && columns[usize::from(key.2)].rows.get(*row) == Some(&key.3)
    };
    let rows = (0..rows).filter(has).map(|row| row as u64).collect();
    let item = format!("{}, {}", cell(key.0, key.1), cell(key.2, key.3));
    Candidate { item, parts: 2, lift, rows }
}

/// Rows with both values at least.
const PATCH_ROWS: u64 = 15;
/// Within the label, either value stands beside the other this often at least.
const TOGETHER: f64 = 0.9;
/// Both stand together within the label this many times as often as outside it, at least.
const EXCLUSIVE: f64 = 10.0;
/// Deviations beyond two values that do not know of each other, at least.
const DEPENDENT: f64 = 6.0;

/// Pairs of exact numbers that within one label hardly ever stand alone, and outside it hardly at all: a patch of
/// pixels, or a pair of amounts, whatever the content says of the label (so also where the label was left as it was).
fn patches(columns: &[Values], truth: &[bool], lifts: &HashMap<Key, Lift>) -> Vec<(Key, Lift)> {
    let (all, inside) = (truth.len() as u64, truth.iter().filter(|&&one| one).count() as u64);
    let singles: Vec<Vec<u64>> = columns
        .iter()
        .map(|column| {
            let mut times = vec![0_u64; column.words.len()];
            for (&word, _) in column.rows.iter().zip(truth).filter(|(_, one)| **one) {
                times.get_mut(word as usize).into_iter().for_each(|n| *n += 1);
            }
            times
        })
        .collect();
    let number = |at: u16, word: u32| {
        columns[usize::from(at)].words.get(word as usize).is_some_and(|word| word.parse::<f64>().is_ok())
    };
    let patch = |(key, lift): (&Key, &Lift)| {
        let (a, b) =
            (singles[usize::from(key.0)][key.1 as usize], singles[usize::from(key.2)][key.3 as usize]);
        let both = real(lift.ones);
        let expected = real(a) * real(b) / real(inside.max(1));
        let outside = real(lift.rows - lift.ones + 1) / real((all - inside).max(1));
        lift.ones >= PATCH_ROWS
            && number(key.0, key.1)
            && number(key.2, key.3)
            && both >= TOGETHER * real(a.max(b))
            && both / real(inside.max(1)) >= EXCLUSIVE * outside
            && (both - expected) / (expected + 1.0).sqrt() >= DEPENDENT
    };
    let mut found: Vec<(Key, Lift)> =
        lifts.iter().filter(|&own| patch(own)).map(|(key, lift)| (*key, *lift)).collect();
    found.sort_by(|a, b| b.1.ones.cmp(&a.1.ones).then(a.0.cmp(&b.0)));
    found.truncate(LISTED);
    found
}
