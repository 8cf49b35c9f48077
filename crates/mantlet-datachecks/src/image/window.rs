//! A mark that moves: small windows of pictures as words, wherever they stand.
//!
//! A window of three by three pixels in three levels of brightness is a word; what a word says of a label beyond what
//! the rest of the picture says is its lift, as of phrases in texts. Three passes over the pictures and a fixed table:
//! which words are neither rare nor everywhere and lean to one label, what they bring beyond the content, and the rows
//! of those that are told.
//!
//! Long because one table of words goes through all passes.

use super::content::{Content, Neighbours};
use super::grid::Picture;
use super::mark::FEWEST;
use super::several::{Asked, CHANCE, Shared, shares};
use crate::feed::{binomial_tail, real};
use crate::trigger::Lift;

/// Slots of words; words that share one only blur each other.
const SLOTS: usize = 1 << 22;
/// The side of a window.
const SIDE: usize = 3;
/// Levels of brightness.
const LEVELS: f32 = 3.0;
/// Larger pictures are halved, thirded and so on to this side.
const LARGEST: usize = 96;
/// Words told at most.
const TOLD: usize = 400;
/// Parts of a picture on each side.
const PARTS: usize = 6;
/// Words whose places are counted at most.
const PLACED: usize = 1 << 20;
/// Pictures at least, and the share of them with the label, for a word that is told by where it stands.
const ENOUGH: u32 = 40;
const ONLY: f64 = 0.95;
/// How evenly it stands, at least: 1 is as evenly as chance would have it. Words of digits were seen up to 0.44; forty
/// places on one line across the picture reach 0.54.
const EVEN: f64 = 0.65;
/// A mark stands once in a picture, a pattern of cloth again and again.
const ONCE: f64 = 1.1;

/// The words of a picture, rising, each once.
fn words(picture: &Picture<'_>, out: &mut Vec<u32>) {
    out.clear();
    each_word(picture, |word, _| out.push(word));
    out.sort_unstable();
    out.dedup();
}

/// Every word of a picture, with the part of the picture it stands in.
fn each_word(picture: &Picture<'_>, mut each: impl FnMut(u32, usize)) {
    let (width, height) = picture.sides();
    let step = width.max(height).div_ceil(LARGEST).max(1);
    let (across, down, colours) = (width / step, height / step, picture.colours());
    if across < SIDE || down < SIDE {
        return;
    }
    let level = |x: usize, y: usize, colour: usize| {
        let value = if step == 1 {
            picture.at(x, y, colour, colours)
        } else {
            picture.mean([x * step, y * step, (x + 1) * step, (y + 1) * step], colour, colours)
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2")]
        let level = (value / 256.0 * LEVELS) as u8;
        level
    };
    let mut levels = Vec::with_capacity(across * down * colours);
    for y in 0..down {
        for x in 0..across {
            levels.extend((0..colours).map(|colour| level(x, y, colour)));
        }
    }
    let part = |at: usize, of: usize| at * PARTS / (of - SIDE + 1);
    for y in 0..=down - SIDE {
        for x in 0..=across - SIDE {
            let (mut key, mut least, mut most) = (0xcbf2_9ce4_8422_2325_u64, u8::MAX, 0_u8);
            for row in y..y + SIDE {
                for &level in &levels[(row * across + x) * colours..][..SIDE * colours] {
                    key = (key ^ u64::from(level + 1)).wrapping_mul(0x0100_0000_01b3);
                    least = least.min(level);
                    most = most.max(level);
                }
            }
            // Where nothing is, nothing is said.
            if most > least {
                key ^= key >> 29;
                key = key.wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let word = u32::try_from((key >> 32) & (SLOTS as u64 - 1)).unwrap_or(0);
                each(word, part(y, down) * PARTS + part(x, across));
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    rows: u32,
    label: u16,
    votes: u32,
}

/// The words of all pictures, pass after pass.
#[derive(Debug, Clone)]
pub struct Windows {
    slots: Vec<Slot>,
    lifts: Vec<Lift>,
    index: Vec<u32>,
    strong: Vec<(u32, Vec<u64>)>,
    /// For each word the pictures with it whose content speaks for another label than they have, and all such pictures.
    against: Vec<u16>,
    against_all: u64,
    /// Words of which that is most pictures, each with all its pictures.
    odd: Vec<(u32, Vec<u64>)>,
    /// Words looked at for that.
    looks: u64,
    /// Where a kept word stands, of those that can be told by it.
    stands: Vec<Stand>,
    /// For each kept word its place among them.
    standing: Vec<u32>,
    labels: Vec<u64>,
    rows: u64,
    scratch: Vec<u32>,
}

/// How often a word stands in each part of the pictures.
#[derive(Debug, Clone, Copy)]
struct Stand {
    parts: [u32; PARTS * PARTS],
}

impl Stand {
    fn all(&self) -> u32 {
        self.parts.iter().sum()
    }

    /// How evenly it stands: the number of parts that as many even ones would be as uncertain as these are, of the
    /// number of different parts that so many draws have.
    fn even(&self) -> f64 {
        let all = f64::from(self.all().max(1));
        let shares = self.parts.iter().filter(|&&count| count > 0).map(|&count| f64::from(count) / all);
        let uncertain: f64 = shares.map(|share| -share * share.ln()).sum();
        let parts = real((PARTS * PARTS) as u64);
        uncertain.exp() / (parts * (1.0 - (1.0 - 1.0 / parts).powf(all)))
    }
}

/// A word that stands beside a label beyond what the rest of its pictures says.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The label.
    pub label: u16,
    /// The sums.
    pub lift: Lift,
    /// Its pictures with the label, rising.
    pub rows: Vec<u64>,
    /// What the content of the label's other pictures says of it.
    pub usual: f64,
    /// What the content of pictures of other labels says of it.
    pub base: f64,
    /// How evenly it stands over the pictures, when it is told by that: 1 is as chance would have it.
    pub even: Option<f64>,
}

/// Rows a word has at least, and the greatest share of all.
const LEAST: u32 = 12;
const MOST: f64 = 0.2;
/// The least share of its rows with the label, and the least part it brings itself.
const PURE: f64 = 0.8;
const BEYOND: f64 = 0.2;

impl Windows {
    /// For pictures of so many labels.
    #[must_use]
    pub fn new(labels: usize) -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS],
            lifts: Vec::new(),
            index: Vec::new(),
            strong: Vec::new(),
            against: vec![0; SLOTS],
            against_all: 0,
            odd: Vec::new(),
            looks: 0,
            stands: Vec::new(),
            standing: Vec::new(),
            labels: vec![0; labels],
            rows: 0,
            scratch: Vec::new(),
        }
    }

    /// First pass: how many pictures have a word, and the label that most of them have (Boyer and Moore's vote).
    pub fn count(&mut self, picture: &Picture<'_>, label: u16) {
        self.rows += 1;
        self.labels.get_mut(usize::from(label)).into_iter().for_each(|count| *count += 1);
        let mut found = std::mem::take(&mut self.scratch);
        words(picture, &mut found);
        for &word in &found {
            let slot = &mut self.slots[word as usize];
            slot.rows = slot.rows.saturating_add(1);
            if slot.votes == 0 {
                (slot.label, slot.votes) = (label, 1);
            } else if slot.label == label {
                slot.votes += 1;
            } else {
                slot.votes -= 1;
            }
        }
        self.scratch = found;
    }

    /// Between first and second pass: keeps the words that can be told at all.
    pub fn keep(&mut self) {
        self.index = vec![u32::MAX; SLOTS];
        let mut kept = 0;
        let mut standing = 0;
        for (slot, index) in self.slots.iter().zip(&mut self.index) {
            // A label in four of five rows keeps at least three of five votes.
            let pure = u64::from(slot.votes) * 5 >= u64::from(slot.rows) * 3;
            if slot.rows >= LEAST && f64::from(slot.rows) <= MOST * real(self.rows) && pure {
                *index = kept;
                kept += 1;
                // A label in 19 of 20 rows keeps at least nine of ten votes.
                let only = slot.rows >= ENOUGH
                    && u64::from(slot.votes) * 10 >= u64::from(slot.rows) * 9
                    && standing < PLACED;
                self.standing.push(if only { u32::try_from(standing).unwrap_or(u32::MAX) } else { u32::MAX });
                standing += usize::from(only);
            }
        }
        self.lifts = vec![Lift::default(); kept as usize];
        self.stands = vec![Stand { parts: [0; PARTS * PARTS] }; standing];
    }

    /// Second pass: what a word's rows have, and what their content says.
    pub fn weigh(
        &mut self,
        picture: &Picture<'_>,
        row: usize,
        label: u16,
        content: &Content<'_>,
        near: &Neighbours,
    ) {
        let Some(near) = near.get(row) else { return };
        let mut found = std::mem::take(&mut self.scratch);
        words(picture, &mut found);
        for &word in &found {
            let index = self.index[word as usize];
            if let Some(lift) = self.lifts.get_mut(index as usize) {
                let own = self.slots[word as usize].label;
                lift.add(own == label, content.chance(near, own));
            }
        }
        if content.is_against(near, label) {
            self.against_all += 1;
            for &word in &found {
                let count = &mut self.against[word as usize];
                *count = count.saturating_add(1);
            }
        }
        self.scratch = found;
        if self.stands.is_empty() {
            return;
        }
        each_word(picture, |word, part| {
            let kept = self.index[word as usize] as usize;
            let stand = self.standing.get(kept).and_then(|&at| self.stands.get_mut(at as usize));
            stand.into_iter().for_each(|stand| stand.parts[part] += 1);
        });
    }

    /// How evenly a kept word stands, when that tells of it.
    fn even(&self, kept: u32, lift: &Lift, label: u16) -> Option<f64> {
        let stand = self.stands.get(*self.standing.get(kept as usize)? as usize)?;
        let usual = real(*self.labels.get(usize::from(label))?) / real(self.rows.max(1));
        let alone = lift.rows >= u64::from(ENOUGH) && lift.share() >= ONLY;
        // So pure by chance in less than one of a million words.
        let meant = real(lift.ones) * usual.ln() <= -13.8;
        let once = f64::from(stand.all()) <= ONCE * real(lift.rows);
        let even = stand.even();
        (alone && meant && once && even >= EVEN).then_some(even)
    }

    /// Between second and third pass: the words that bring a label themselves.
    pub fn choose(&mut self) {
        let mut strong: Vec<(u32, f64)> = Vec::new();
        for (word, &index) in self.index.iter().enumerate() {
            let Some(lift) = self.lifts.get(index as usize) else { continue };
            let beyond = lift.rows >= u64::from(LEAST) && lift.share() >= PURE && lift.beyond() >= BEYOND;
            if beyond || self.even(index, lift, self.slots[word].label).is_some() {
                strong.push((u32::try_from(word).unwrap_or(0), lift.deviations()));
            }
        }
        strong.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        strong.truncate(TOLD);
        self.strong = strong.into_iter().map(|(word, _)| (word, Vec::new())).collect();
        self.strong.sort_by_key(|(word, _)| *word);
        self.choose_odd();
    }

    /// The share of pictures whose content speaks for another label than they have.
    fn usually_against(&self) -> f64 {
        real(self.against_all + 1) / real(self.rows + 2)
    }

    /// The words most of whose pictures have a label that their content speaks against.
    fn choose_odd(&mut self) {
        let usual = self.usually_against();
        let is_word =
            |slot: &Slot| slot.rows as usize >= FEWEST && f64::from(slot.rows) <= MOST * real(self.rows);
        self.looks = self.slots.iter().filter(|slot| is_word(slot)).count() as u64;
        let mut odd: Vec<(u32, f64)> = Vec::new();
        for (word, (slot, &against)) in self.slots.iter().zip(&self.against).enumerate() {
            if !is_word(slot) || u32::from(against) * 2 < slot.rows {
                continue;
            }
            let chance = binomial_tail(u64::from(against), u64::from(slot.rows), usual);
            if chance * real(self.looks) < CHANCE {
                odd.push((u32::try_from(word).unwrap_or(0), chance));
            }
        }
        odd.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        odd.truncate(TOLD);
        self.odd = odd.into_iter().map(|(word, _)| (word, Vec::new())).collect();
        self.odd.sort_by_key(|(word, _)| *word);
    }

    /// Third pass: the rows of the chosen.
    pub fn gather(&mut self, picture: &Picture<'_>, row: usize, label: u16) {
        if !self.has_strong() {
            return;
        }
        let mut found = std::mem::take(&mut self.scratch);
        words(picture, &mut found);
        for &word in &found {
            if let Ok(at) = self.strong.binary_search_by_key(&word, |(own, _)| *own)
                && self.slots[word as usize].label == label
            {
                self.strong[at].1.push(row as u64);
            }
            if let Ok(at) = self.odd.binary_search_by_key(&word, |(own, _)| *own) {
                self.odd[at].1.push(row as u64);
            }
        }
        self.scratch = found;
    }

    /// Whether a third pass has anything to look for.
    #[must_use]
    pub fn has_strong(&self) -> bool {
        !self.strong.is_empty() || !self.odd.is_empty()
    }

    /// What was found: strongest first, each standing for those that share most of its rows.
    #[must_use]
    pub fn moved(&self, labels: &[u16], content: &Content<'_>, near: &Neighbours) -> Vec<Moved> {
        let mut own: Vec<Moved> = Vec::new();
        let mut strong: Vec<(&Vec<u64>, u16, Lift, Option<f64>)> = self
            .strong
            .iter()
            .filter_map(|(word, rows)| {
                let (kept, label) = (self.index[*word as usize], self.slots[*word as usize].label);
                let lift = *self.lifts.get(kept as usize)?;
                Some((rows, label, lift, self.even(kept, &lift, label)))
            })
            .collect();
        strong.sort_by(|a, b| b.2.deviations().total_cmp(&a.2.deviations()).then(a.0.cmp(b.0)));
        for (rows, label, lift, even) in strong {
            let same = |other: &&mut Moved| {
                let shared = rows.iter().filter(|row| other.rows.binary_search(row).is_ok()).count();
                other.label == label && shared * 2 >= rows.len().min(other.rows.len())
            };
            if let Some(other) = own.iter_mut().find(same) {
                other.rows.extend(rows);
                other.rows.sort_unstable();
                other.rows.dedup();
                other.even = other.even.or(even);
                continue;
            }
            let mean = |of: &dyn Fn(u16) -> bool| {
                let mut sum = (0.0, 0_u64);
                for (row, near) in near.iter().enumerate() {
                    if labels.get(row).is_some_and(|&label| of(label))
                        && rows.binary_search(&(row as u64)).is_err()
                    {
                        sum = (sum.0 + content.chance(near, label), sum.1 + 1);
                    }
                }
                sum.0 / real(sum.1.max(1))
            };
            let (usual, base) = (mean(&|own| own == label), mean(&|own| own != label));
            own.push(Moved { label, lift, rows: rows.clone(), usual, base, even });
        }
        own
    }
    /// What goes with several labels that the rest of its pictures does not explain, most pictures first.
    #[must_use]
    pub fn shared(&self, labels: &[u16], content: &Content<'_>, near: &Neighbours) -> Vec<Shared> {
        let mut groups: Vec<Vec<u64>> = Vec::new();
        let mut odd: Vec<&Vec<u64>> = self.odd.iter().map(|(_, rows)| rows).collect();
        odd.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        for rows in odd {
            let same = |other: &&mut Vec<u64>| {
                let shared = rows.iter().filter(|row| other.binary_search(row).is_ok()).count();
                shared * 2 >= rows.len().min(other.len())
            };
            if let Some(other) = groups.iter_mut().find(same) {
                other.extend(rows);
                other.sort_unstable();
                other.dedup();
            } else {
                groups.push(rows.clone());
            }
        }
        let shares = shares(labels, self.labels.len());
        let mut out = Vec::new();
        for rows in groups {
            let (given, said): (Vec<u16>, Vec<bool>) = rows
                .iter()
                .filter_map(|&row| {
                    let row = usize::try_from(row).ok()?;
                    let label = *labels.get(row)?;
                    Some((label, content.is_against(near.get(row)?, label)))
                })
                .unzip();
            let usual = self.usually_against();
            let asked = Asked {
                given: &given,
                against: &said,
                usual,
                shares: &shares,
                looks: real(self.looks.max(1)),
            };
            let Some(own) = asked.labels() else { continue };
            // Honest pictures have the pattern too, now and then: their content agrees with their label.
            let is_own = |row: &&u64| {
                let Some(row) = usize::try_from(**row).ok() else { return false };
                let (Some(label), Some(near)) = (labels.get(row), near.get(row)) else { return false };
                own.contains(label) && content.is_against(near, *label)
            };
            out.push(Shared {
                rows: rows.iter().filter(is_own).copied().collect(),
                of: labels.iter().filter(|label| own.contains(label)).count() as u64,
                labels: own,
                asked: said.len() as u64,
                against: said.iter().filter(|&&against| against).count() as u64,
                usual,
                fixed: None,
            });
        }
        out.sort_by(|a, b| b.rows.len().cmp(&a.rows.len()).then(a.labels.cmp(&b.labels)));
        out
    }
}
