//! What the content of a text says of its label: a linear model over hashed words (logistic regression, AdaGrad,
//! Duchi, Hazan and Singer 2011), from which the weight of any word can be taken out.

/// Slots of the hashed words.
const SLOTS: usize = 1 << 18;
const ROUNDS: usize = 6;
const RATE: f32 = 0.4;
const RIDGE: f32 = 1e-5;

/// The slot of a word.
#[must_use]
pub const fn slot(word: u64) -> u32 {
    (mix(word) >> 46) as u32
}

const fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A fitted model of one label.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    base: f32,
    weights: Vec<f32>,
}

impl Content {
    /// Fits `truth` on rows of slots, each slot once a row. No part is random: the same rows give the same model.
    #[must_use]
    pub fn fit(rows: &[Vec<u32>], truth: &[bool]) -> Self {
        let mut own = Self { base: 0.0, weights: vec![0.0; SLOTS] };
        let mut squares = vec![1e-2_f32; SLOTS];
        let mut base_squares = 1e-2_f32;
        for _ in 0..ROUNDS {
            for (row, &one) in rows.iter().zip(truth) {
                let error = own.chance(own.margin(row)) - f32::from(u8::from(one));
                base_squares += error * error;
                own.base -= RATE * error / base_squares.sqrt();
                for &slot in row {
                    let at = slot as usize % SLOTS;
                    let slope = error + RIDGE * own.weights[at];
                    squares[at] += slope * slope;
                    own.weights[at] -= RATE * slope / squares[at].sqrt();
                }
            }
        }
        own
    }

    /// The log-odds of a row.
    #[must_use]
    pub fn margin(&self, row: &[u32]) -> f32 {
        self.base + row.iter().map(|&slot| self.weight(slot)).sum::<f32>()
    }

    /// The weight of a slot.
    #[must_use]
    pub fn weight(&self, slot: u32) -> f32 {
        self.weights[slot as usize % SLOTS]
    }

    /// The chance of a margin.
    #[must_use]
    pub fn chance(&self, margin: f32) -> f32 {
        1.0 / (1.0 + (-margin).exp())
    }
}
