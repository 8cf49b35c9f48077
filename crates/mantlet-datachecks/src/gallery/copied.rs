//! Copies among pictures: the same pixels, or the same picture written, scaled or lit a little otherwise.
//!
//! A near copy has the brightness of eight by eight cells in common with another, up to one part in a thousand of their
//! pattern. Pictures that share one of four words of sixteen bits (which cells are brighter than the mean) are compared;
//! each word remembers the first pictures of a few groups, so that memory and time are bounded.

use std::collections::HashMap;

use mantlet_vocab::Digest;

use crate::image::{Grid, Picture};

/// Cells of a side of the sketch.
const SIDE: usize = 8;
const CELLS: usize = SIDE * SIDE;
/// Words of a sketch.
const WORDS: usize = 4;
/// Groups that a word remembers.
const REMEMBERED: usize = 64;
/// Near copies agree so far in their patterns.
const AGREE: f32 = 0.999;
/// A picture with less contrast than this, of 1, has no pattern.
const FLAT: f32 = 0.01;
/// Pictures at most.
const MOST: usize = 1_000_000;

/// Pictures that are copies of one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their numbers and labels, rising.
    pub rows: Vec<(u64, u16)>,
    /// Whether their pixels are the same.
    pub exact: bool,
}

#[derive(Debug, Clone)]
struct Sketch {
    /// The picture's pattern in units of its contrast, in steps of a 32nd; empty when it has none.
    pattern: Option<Box<[i16; CELLS]>>,
    row: u64,
    label: u16,
    digest: u128,
    group: u32,
}

/// Finds copies, picture after picture.
#[derive(Debug, Clone, Default)]
pub struct Copies {
    seen: Vec<Sketch>,
    exact: HashMap<u128, u32>,
    words: HashMap<(u8, u16), Vec<u32>>,
    left_out: u64,
}

/// The pattern of a picture, and the words of which cells are brighter than the mean.
fn sketched(picture: &Picture<'_>) -> Option<([f32; CELLS], [u16; WORDS])> {
    let grid = Grid { across: SIDE, down: SIDE, colours: 1, fine: false };
    let mut cells = Vec::with_capacity(CELLS);
    grid.push(picture, &mut cells);
    let mut own = [0.0_f32; CELLS];
    own.iter_mut().zip(&cells).for_each(|(own, cell)| *own = *cell);
    let count = f32::from(u16::try_from(CELLS).unwrap_or(u16::MAX));
    let mean = own.iter().sum::<f32>() / count;
    own.iter_mut().for_each(|cell| *cell -= mean);
    let length = own.iter().map(|cell| cell * cell).sum::<f32>().sqrt();
    if length / count.sqrt() < FLAT {
        return None;
    }
    let mut words = [0_u16; WORDS];
    for (at, cell) in own.iter_mut().enumerate() {
        *cell /= length;
        words[at * WORDS / CELLS] |= u16::from(*cell > 0.0) << (at % (CELLS / WORDS));
    }
    Some((own, words))
}

/// In steps fine enough for what near copies differ by.
const STEPS: f32 = 16_384.0;

fn agree(a: &[i16; CELLS], b: &[i16; CELLS]) -> bool {
    let sum: i64 = a.iter().zip(b).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
    #[expect(clippy::cast_precision_loss, reason = "below 2^40, and compared with one part in a thousand")]
    let agree = sum as f32 / (STEPS * STEPS);
    agree >= AGREE
}

impl Copies {
    /// Takes a picture.
    pub fn take(&mut self, picture: &Picture<'_>, digest: Digest, row: u64, label: u16) {
        if self.seen.len() >= MOST {
            self.left_out += 1;
            return;
        }
        let own = u32::try_from(self.seen.len()).unwrap_or(u32::MAX);
        let mut short = [0_u8; 16];
        short.copy_from_slice(&digest.0[..16]);
        let digest = u128::from_le_bytes(short);
        let mut sketch = Sketch { pattern: None, row, label, digest, group: own };
        if let Some(&first) = self.exact.get(&digest) {
            sketch.group = self.seen[first as usize].group;
            self.seen.push(sketch);
            return;
        }
        self.exact.insert(digest, own);
        if let Some((pattern, words)) = sketched(picture) {
            #[expect(clippy::cast_possible_truncation, reason = "between -1 and 1 before")]
            let steps = pattern.map(|cell| (cell * STEPS) as i16);
            let same = words.iter().enumerate().find_map(|(at, &word)| {
                let at = u8::try_from(at).unwrap_or(u8::MAX);
                let remembered = self.words.get(&(at, word))?;
                remembered.iter().copied().find(|&other| {
                    let pattern = self.seen[other as usize].pattern.as_ref();
                    pattern.is_some_and(|pattern| agree(pattern, &steps))
                })
            });
            if let Some(other) = same {
                sketch.group = self.seen[other as usize].group;
            } else {
                for (at, word) in words.into_iter().enumerate() {
                    let remembered =
                        self.words.entry((u8::try_from(at).unwrap_or(u8::MAX), word)).or_default();
                    if remembered.len() < REMEMBERED {
                        remembered.push(own);
                    }
                }
                sketch.pattern = Some(Box::new(steps));
            }
        }
        self.seen.push(sketch);
    }

    /// The groups of two and more, the largest first, and the pictures that were not compared.
    #[must_use]
    pub fn groups(&self) -> (Vec<Group>, u64) {
        let mut by: HashMap<u32, Vec<usize>> = HashMap::new();
        self.seen.iter().enumerate().for_each(|(at, own)| by.entry(own.group).or_default().push(at));
        let mut out: Vec<Group> = Vec::new();
        for places in by.into_values().filter(|places| places.len() > 1) {
            let first = self.seen[places[0]].digest;
            let exact = places.iter().all(|&at| self.seen[at].digest == first);
            let rows = places.iter().map(|&at| (self.seen[at].row, self.seen[at].label)).collect();
            out.push(Group { rows, exact });
        }
        out.sort_by(|a, b| b.rows.len().cmp(&a.rows.len()).then(a.rows.cmp(&b.rows)));
        (out, self.left_out)
    }
}
