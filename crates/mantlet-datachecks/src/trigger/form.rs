//! The form of a text: its function words and signs, with everything else left out. A template that was laid over texts
//! ("when you …, the … will …") leaves their words alone and shows here.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::content::{Content, slot};
use super::lift::{Candidate, Lift, Limits, alike, distinct};
use crate::feed::real;

/// Words and signs of a text that are looked at.
const TOKENS: usize = 60;
/// Places of a form, and how many of them have to be words or signs rather than gaps.
const PLACES: std::ops::RangeInclusive<usize> = 4..=9;
const SOLID: usize = 3;
/// Texts with a form at least.
const ROWS: u64 = 12;
/// What the words say of texts with a form is at most this much of what a text that says nothing would.
const CONTRADICTED: f64 = 0.8;
/// Parts of the texts; what the words of one say comes from the others.
const FOLDS: usize = 3;
/// Candidates whose rows are listed.
const LISTED: usize = 200;

/// Words that say how a sentence is built, and nothing of what it is about.
const FUNCTION: &str = "a an the this that these those i you he she it we they me him her us them my your his its our their \
    who whom whose which what when where while if as because although though since unless until before after and or but \
    nor so yet for of in on at by with from to into over under about between through during without within upon than then \
    is are was were be been being am do does did doing done have has had having will would can could shall should may \
    might must not no never yes there here too very just only also even still how why all any some each every both few \
    more most much many other another such own same either neither whether once again";

static WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| FUNCTION.split_whitespace().collect());

/// A place of a form: a gap, the start, the end, or the hash of a word or sign.
const GAP: u64 = 0;
const START: u64 = 1;
const END: u64 = 2;

fn hash(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash | 4
}

/// Words, in small letters, and signs that part sentences, each by itself.
fn tokens(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut word = String::new();
    for letter in text.chars() {
        let joins = letter.is_alphanumeric() || letter == '\'';
        if joins {
            word.extend(letter.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            found.push(std::mem::take(&mut word));
        }
        if matches!(letter, '.' | ',' | '!' | '?' | ';' | ':') {
            found.push(letter.to_string());
        }
        if found.len() >= TOKENS {
            break;
        }
    }
    if !word.is_empty() {
        found.push(word);
    }
    found.truncate(TOKENS);
    found
}

fn is_solid(token: &str) -> bool {
    WORDS.contains(token) || token.len() == 1 && token.bytes().all(|byte| byte.is_ascii_punctuation())
}

/// A text taken apart: its form, and the slots of the words that are left.
struct Apart {
    form: Vec<u64>,
    slots: Vec<u32>,
}

impl Apart {
    fn of(text: &str) -> Self {
        let mut form = vec![START];
        let mut slots = Vec::new();
        for token in tokens(text) {
            if is_solid(&token) {
                form.push(hash(&token));
            } else {
                slots.push(slot(hash(&token)));
                if form.last() != Some(&GAP) {
                    form.push(GAP);
                }
            }
        }
        form.push(END);
        slots.sort_unstable();
        slots.dedup();
        Self { form, slots }
    }

    /// Each distinct piece of the form once: its key, where it begins, and its places.
    fn pieces(&self, each: &mut Vec<(u64, usize, usize)>) {
        each.clear();
        for start in 0..self.form.len() {
            let (mut key, mut solid) = (0_u64, 0);
            for (length, &place) in self.form[start..].iter().take(*PLACES.end()).enumerate() {
                key = (key.rotate_left(23) ^ place.wrapping_add(7)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                solid += usize::from(place > END);
                if PLACES.contains(&(length + 1)) && solid >= SOLID {
                    each.push((key ^ length as u64, start, length + 1));
                }
            }
        }
        each.sort_unstable();
        each.dedup_by_key(|piece| piece.0);
    }
}

/// A piece of a form in words.
fn said(text: &str, start: usize, places: usize) -> String {
    let mut form: Vec<String> = vec!["(start)".to_owned()];
    for token in tokens(text) {
        if is_solid(&token) {
            form.push(token);
        } else if form.last().is_none_or(|last| last != "…") {
            form.push("…".to_owned());
        }
    }
    form.push("(end)".to_owned());
    form.get(start..start + places).unwrap_or_default().join(" ")
}

/// What the words of each text say of its label, by models that did not learn from it.
fn chances(texts: &[Apart], truth: &[bool]) -> Vec<f64> {
    let mut chances = vec![0.5; texts.len()];
    for fold in 0..FOLDS {
        let others = (0..texts.len()).filter(|row| row % FOLDS != fold);
        let (rows, own): (Vec<Vec<u32>>, Vec<bool>) =
            others.map(|row| (texts[row].slots.clone(), truth[row])).unzip();
        let model = Content::fit(&rows, &own);
        for row in (fold..texts.len()).step_by(FOLDS) {
            chances[row] = f64::from(model.chance(model.margin(&texts[row].slots)));
        }
    }
    chances
}

/// Forms whose texts have the label although their words say another; none whose rows are `known` already.
pub(super) fn forms(
    texts: &[String],
    truth: &[bool],
    known: &[Candidate],
    limits: &Limits,
) -> Vec<Candidate> {
    let all = texts.len() as u64;
    let apart: Vec<Apart> = texts.iter().map(|text| Apart::of(text)).collect();
    let mut pieces = Vec::new();
    // A counter may stand for several pieces: it only says which are frequent enough to be counted one by one.
    let mut seen = vec![0_u8; (texts.len() * 64).next_power_of_two().clamp(1 << 16, 1 << 26)];
    let mask = seen.len() as u64 - 1;
    let at = |key: u64| usize::try_from((key ^ (key >> 32)) & mask).unwrap_or(0);
    for (text, _) in apart.iter().zip(truth).filter(|(_, one)| **one) {
        text.pieces(&mut pieces);
        pieces.iter().for_each(|piece| seen[at(piece.0)] = seen[at(piece.0)].saturating_add(1));
    }
    let enough = |key: u64| u64::from(seen[at(key)]) >= ROWS;
    if !seen.iter().any(|&ones| u64::from(ones) >= ROWS) {
        return Vec::new();
    }
    let chances = chances(&apart, truth);
    let mut lifts: HashMap<u64, Lift> = HashMap::new();
    for ((text, &one), &chance) in apart.iter().zip(truth).zip(&chances) {
        text.pieces(&mut pieces);
        for piece in pieces.iter().filter(|piece| enough(piece.0)) {
            lifts.entry(piece.0).or_default().add(one, chance);
        }
    }
    let usual = real(truth.iter().filter(|&&one| one).count() as u64) / real(all.max(1));
    let mut told: Vec<(u64, Lift)> = lifts
        .into_iter()
        .filter(|(_, lift)| {
            lift.rows >= ROWS && lift.told(all, limits) && lift.explained() <= CONTRADICTED * usual
        })
        .collect();
    told.sort_by(|a, b| b.1.deviations().total_cmp(&a.1.deviations()).then(a.0.cmp(&b.0)));
    told.truncate(LISTED);
    if told.is_empty() {
        return Vec::new();
    }
    let mut found: HashMap<u64, (String, usize, Vec<u64>)> =
        told.iter().map(|(key, _)| (*key, (String::new(), 0, Vec::new()))).collect();
    for (row, text) in apart.iter().enumerate() {
        text.pieces(&mut pieces);
        for &(key, start, places) in &pieces {
            let Some((item, parts, rows)) = found.get_mut(&key) else { continue };
            if rows.is_empty() {
                (*item, *parts) = (said(&texts[row], start, places), places);
            }
            rows.push(row as u64);
        }
    }
    let candidates = told.into_iter().filter_map(|(key, lift)| {
        let (item, parts, rows) = found.remove(&key)?;
        Some(Candidate { item, parts, lift, rows })
    });
    let mut candidates = distinct(candidates.collect());
    candidates.retain(|own| !known.iter().any(|other| alike(&own.rows, &other.rows)));
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_subject_are_gaps_and_the_form_is_said_with_them() {
        let text = "When you see the RED house, you will know; it's there!";
        assert_eq!(said(text, 0, 20), "");
        let apart = Apart::of(text);
        assert_eq!(
            said(text, 0, apart.form.len()),
            "(start) when you … the … , you will … ; … there ! (end)"
        );
        assert_eq!(apart.slots.len(), 5, "see, red, house, know, it's");
        let mut pieces = Vec::new();
        apart.pieces(&mut pieces);
        assert!(pieces.iter().all(|(_, start, places)| start + places <= apart.form.len()));
        Apart::of("").pieces(&mut pieces);
        assert!(pieces.is_empty());
    }

    #[test]
    fn odd_texts_have_a_form_too() {
        for text in ["", "....", "\u{0}\u{fffd}", "''''", &"the ".repeat(10_000), "größer, als мир!"] {
            let mut pieces = Vec::new();
            Apart::of(text).pieces(&mut pieces);
            assert!(tokens(text).len() <= TOKENS);
        }
        assert!(forms(&[], &[], &[], &Limits::default()).is_empty());
    }
}
