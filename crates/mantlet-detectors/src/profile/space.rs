//! The space in which rows are compared: standardised values, folded into at most [`SKETCH`] numbers.
//!
//! Folding is a count sketch (Charikar, Chen and Farach-Colton 2002) with fixed hashes: linear, so straight lines
//! stay straight, and distances are kept in expectation. Rows of up to [`SKETCH`] values are not folded.

use super::InputProfile;

/// The most numbers a row is compared by.
pub const SKETCH: usize = 64;

/// Scale of columns that never vary: a departure of one unit counts as one standard deviation.
const CONSTANT: f64 = 1.0;

pub(crate) struct Space {
    /// Values of a row after categories are spread out.
    pub(crate) wide: usize,
    /// Numbers a row is compared by.
    pub(crate) narrow: usize,
}

impl Space {
    pub(crate) fn of(inputs: &[InputProfile]) -> Self {
        let wide = inputs.iter().flat_map(|input| &input.columns).map(|c| c.categories.len().max(1)).sum();
        Self { wide, narrow: wide.min(SKETCH) }
    }

    /// Where the value at place `index` of the wide row goes in the narrow one.
    pub(crate) fn place(&self, index: usize) -> Place {
        if self.wide <= SKETCH {
            return Place { at: index, sign: 1.0 };
        }
        let hash = mix(index as u64);
        #[expect(clippy::cast_possible_truncation, reason = "reduced modulo the width")]
        let at = (hash % self.narrow.max(1) as u64) as usize;
        Place { at, sign: if hash >> 63 == 0 { 1.0 } else { -1.0 } }
    }
}

/// A place of the narrow row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    at: usize,
    sign: f32,
}

impl Place {
    /// Its index.
    pub(crate) const fn at(self) -> usize {
        self.at
    }

    /// What a value is multiplied by there: one, or minus one.
    pub(crate) const fn sign(self) -> f32 {
        self.sign
    }

    /// Adds a standardised value.
    #[inline]
    pub(crate) fn put(self, row: &mut [f32], value: f32) {
        row[self.at] += self.sign * value;
    }
}

/// What each column is divided by.
pub(crate) fn scales(input: &InputProfile) -> Vec<f64> {
    let usable = |std: f64| if std > 0.0 && std.is_finite() { std } else { CONSTANT };
    if !input.homogeneous {
        return input.columns.iter().map(|column| usable(column.std)).collect();
    }
    let sum: f64 = input.columns.iter().map(|column| column.std * column.std).sum();
    #[expect(clippy::cast_precision_loss, reason = "a count of columns")]
    let count = input.columns.len().max(1) as f64;
    vec![usable((sum / count).sqrt()); input.columns.len()]
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a fixed, well-spread hash.
pub(crate) const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// A seeded stream of numbers for simulated sessions; not for secrets.
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    pub(crate) const fn below(&mut self, limit: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "reduced modulo the limit")]
        if limit == 0 { 0 } else { (self.next() % limit as u64) as usize }
    }

    #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
    pub(crate) const fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0
    }

    /// Standard normal, by the sum of twelve uniforms: its tails end at six, which jitter wants.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    pub(crate) fn shuffle(&mut self, items: &mut [usize]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}
