//! Seeded random numbers whose place in the stream can be saved.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A stream of random numbers that is a function of its seed.
#[derive(Debug, Clone)]
pub struct Random {
    seed: u64,
    inner: ChaCha8Rng,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    seed: u64,
    place: u64,
}

impl Random {
    /// The stream of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, inner: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
        let value = (self.inner.next_u32() >> 8) as f32;
        value / 16_777_216.0
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform among 0..count; 0 when count is 0.
    pub fn below(&mut self, count: usize) -> usize {
        let wide = u128::from(self.inner.next_u64()) * count as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.unit()).cos()
    }

    /// Puts these in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

impl Serialize for Random {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let place = u64::try_from(self.inner.get_word_pos()).unwrap_or(u64::MAX);
        Saved { seed: self.seed, place }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Random {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = Saved::deserialize(deserializer)?;
        let mut random = Self::new(saved.seed);
        random.inner.set_word_pos(u128::from(saved.place));
        Ok(random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_stream_goes_on_where_it_was() {
        let mut random = Random::new(7);
        for _ in 0..13 {
            random.normal();
        }
        let mut copy: Random = serde_json::from_value(serde_json::to_value(&random).unwrap()).unwrap();
        assert_eq!([random.unit(), random.unit()], [copy.unit(), copy.unit()]);
        assert_eq!(random.below(0), 0);
        let mean = (0..2000).map(|_| random.normal()).sum::<f32>() / 2000.0;
        assert!(mean.abs() < 0.1, "{mean}");
    }
}
