//! The UCI handwritten digits: 1,797 images of 8 by 8, as distributed inside scikit-learn.

use std::io::Read;

use mantlet_vocab::Tensor;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Rows and their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The rows.
    pub x: Tensor,
    /// Their classes.
    pub y: Vec<usize>,
}

impl Table {
    /// The rows at these indices.
    ///
    /// # Panics
    /// When an index is not a row.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { x: self.x.select(rows), y: rows.iter().map(|&row| self.y[row]).collect() }
    }

    /// Splits the rows in a seeded random order: `share` of them first, the rest second.
    #[must_use]
    pub fn split(&self, share: f64, seed: u64) -> (Self, Self) {
        let mut rows: Vec<usize> = (0..self.y.len()).collect();
        rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let count = ((rows.len() as f64) * share.clamp(0.0, 1.0)).round() as usize;
        (self.select(&rows[..count]), self.select(&rows[count..]))
    }
}

/// The digits: `x` is `[1797, 1, 8, 8]` from 0 to 1, `y` is 0 to 9.
///
/// # Panics
/// Never: the data are part of the program, and a test reads them.
#[must_use]
pub fn digits() -> Table {
    let packed: &[u8] = include_bytes!("../data/digits.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("the embedded digits are intact");
    let (mut pixels, mut y) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let numbers = line.split(',').map(|field| field.trim().parse::<f32>().unwrap_or(0.0));
        pixels.extend(numbers.take(64).map(|value| value / 16.0));
        let label = line.rsplit(',').next().and_then(|field| field.trim().parse::<f32>().ok());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a digit")]
        y.push(label.unwrap_or(0.0) as usize);
    }
    let x = Tensor::new([y.len(), 1, 8, 8], pixels).expect("each line of the embedded digits has 64 pixels");
    Table { x, y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_what_they_are_said_to_be() {
        let Table { x, y } = digits();
        assert_eq!(x.shape(), [1797, 1, 8, 8]);
        assert!(x.data().iter().all(|value| (0.0..=1.0).contains(value)));
        let mut counts = [0; 10];
        y.iter().for_each(|&class| counts[class] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }
}
