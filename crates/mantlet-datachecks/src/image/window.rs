//! A mark that moves: small windows of pictures as words, wherever they stand.
//!
//! A window of three by three pixels in three levels of brightness is a word; what a word says of a label beyond what
//! the rest of the picture says is its lift, as of phrases in texts. Three passes over the pictures and a fixed table:
//! which words are neither rare nor everywhere and lean to one label, what they bring beyond the content, and the rows
//! of those that are told.

use super::content::{Content, Neighbours};
use super::grid::Picture;
use crate::feed::real;
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

/// The words of a picture, rising, each once.
fn words(picture: &Picture<'_>, out: &mut Vec<u32>) {
    out.clear();
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
                out.push(u32::try_from((key >> 32) & (SLOTS as u64 - 1)).unwrap_or(0));
            }
        }
    }
    out.sort_unstable();
    out.dedup();
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
    labels: Vec<u64>,
    rows: u64,
    scratch: Vec<u32>,
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
        for (slot, index) in self.slots.iter().zip(&mut self.index) {
            // A label in four of five rows keeps at least three of five votes.
            let pure = u64::from(slot.votes) * 5 >= u64::from(slot.rows) * 3;
            if slot.rows >= LEAST && f64::from(slot.rows) <= MOST * real(self.rows) && pure {
                *index = kept;
                kept += 1;
            }
        }
        self.lifts = vec![Lift::default(); kept as usize];
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
        self.scratch = found;
    }

    /// Between second and third pass: the words that bring a label themselves.
    pub fn choose(&mut self) {
        let mut strong: Vec<(u32, f64)> = Vec::new();
        for (word, &index) in self.index.iter().enumerate() {
            let Some(lift) = self.lifts.get(index as usize) else { continue };
            if lift.rows >= u64::from(LEAST) && lift.share() >= PURE && lift.beyond() >= BEYOND {
                strong.push((u32::try_from(word).unwrap_or(0), lift.deviations()));
            }
        }
        strong.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        strong.truncate(TOLD);
        self.strong = strong.into_iter().map(|(word, _)| (word, Vec::new())).collect();
        self.strong.sort_by_key(|(word, _)| *word);
    }

    /// Third pass: the rows of the chosen.
    pub fn gather(&mut self, picture: &Picture<'_>, row: usize, label: u16) {
        if self.strong.is_empty() {
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
        }
        self.scratch = found;
    }

    /// Whether a third pass has anything to look for.
    #[must_use]
    pub fn has_strong(&self) -> bool {
        !self.strong.is_empty()
    }

    /// What was found: strongest first, each standing for those that share most of its rows.
    #[must_use]
    pub fn moved(&self, labels: &[u16], content: &Content<'_>, near: &Neighbours) -> Vec<Moved> {
        let mut own: Vec<Moved> = Vec::new();
        let mut strong: Vec<(&Vec<u64>, u16, Lift)> = self
            .strong
            .iter()
            .filter_map(|(word, rows)| {
                let lift = *self.lifts.get(self.index[*word as usize] as usize)?;
                Some((rows, self.slots[*word as usize].label, lift))
            })
            .collect();
        strong.sort_by(|a, b| b.2.deviations().total_cmp(&a.2.deviations()).then(a.0.cmp(b.0)));
        for (rows, label, lift) in strong {
            let same = |other: &&mut Moved| {
                let shared = rows.iter().filter(|row| other.rows.binary_search(row).is_ok()).count();
                other.label == label && shared * 2 >= rows.len().min(other.rows.len())
            };
            if let Some(other) = own.iter_mut().find(same) {
                other.rows.extend(rows);
                other.rows.sort_unstable();
                other.rows.dedup();
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
            own.push(Moved { label, lift, rows: rows.clone(), usual, base });
        }
        own
    }
}
