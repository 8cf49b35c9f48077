//! The kinds of damage. Strengths are in units of each value's permitted interval and stand in tables, one a severity.

use serde::{Deserialize, Serialize};

use crate::{Constraints, Random};

/// A kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// Gaussian noise on every value.
    Noise,
    /// Each pixel mixed with those around it.
    Blur,
    /// Values drawn towards their mean.
    Contrast,
    /// All values raised.
    Brightness,
    /// Squares of one value.
    Pixelate,
    /// Values missing, filled with the middle of their column.
    Missing,
    /// Values rounded to few steps.
    Rounding,
    /// Values in another unit: ten, a hundred, a thousand times too large or small.
    Unit,
    /// Every value a little off in one direction, as a badly set instrument is.
    Shift,
}

impl Damage {
    /// Those of pictures.
    pub(super) const PICTURE: &'static [Self] =
        &[Self::Noise, Self::Blur, Self::Contrast, Self::Brightness, Self::Pixelate];
    /// Those of tables.
    pub(super) const TABLE: &'static [Self] =
        &[Self::Noise, Self::Missing, Self::Rounding, Self::Unit, Self::Shift];

    /// In words.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Blur => "blur",
            Self::Contrast => "low contrast",
            Self::Brightness => "brightness",
            Self::Pixelate => "pixelation",
            Self::Missing => "missing values",
            Self::Rounding => "rounded values",
            Self::Unit => "a mistaken unit",
            Self::Shift => "a shift of all values",
        }
    }

    /// Whether what comes out is within the permitted intervals; a mistaken unit is not.
    pub(super) fn keeps_bounds(self) -> bool {
        self != Self::Unit
    }

    /// The damaged row.
    pub(super) fn apply(
        self,
        severity: u8,
        row: &[f32],
        image: Option<(usize, usize, usize)>,
        usual: &[f32],
        constraints: &Constraints,
        random: &mut Random,
    ) -> Vec<f32> {
        let level = usize::from(severity.clamp(1, 5)) - 1;
        let width = |place: usize| constraints.width(place);
        let open = |place: usize| !constraints.at(place).immutable;
        let each = |change: &mut dyn FnMut(usize, f32) -> f32| -> Vec<f32> {
            row.iter()
                .enumerate()
                .map(|(at, value)| if open(at) { change(at, *value) } else { *value })
                .collect()
        };
        match self {
            Self::Noise => {
                let strength = [0.04, 0.08, 0.12, 0.18, 0.26][level];
                each(&mut |at, value| value + strength * width(at) * random.normal())
            }
            Self::Shift => {
                let strength = [0.02, 0.04, 0.06, 0.1, 0.15][level];
                each(&mut |at, value| value + strength * width(at))
            }
            Self::Brightness => {
                let strength = [0.1, 0.2, 0.3, 0.4, 0.5][level];
                each(&mut |at, value| value + strength * width(at))
            }
            Self::Contrast => {
                let keep = [0.75, 0.6, 0.45, 0.3, 0.2][level];
                #[expect(clippy::cast_precision_loss, reason = "a row's length")]
                let mean = row.iter().sum::<f32>() / row.len().max(1) as f32;
                each(&mut |_, value| mean + keep * (value - mean))
            }
            Self::Blur => blurred(row, image, [0.4, 0.55, 0.7, 0.9, 1.2][level]),
            Self::Pixelate => pixelated(row, image, [2, 2, 3, 4, 5][level], [0.5, 1.0, 1.0, 1.0, 1.0][level]),
            Self::Missing => {
                let share = [0.05, 0.1, 0.2, 0.3, 0.5][level];
                each(&mut |at, value| {
                    if random.unit() < share { usual.get(at).copied().unwrap_or(value) } else { value }
                })
            }
            Self::Rounding => {
                let steps = [20.0, 10.0, 6.0, 4.0, 2.0][level];
                each(&mut |at, value| {
                    let (unit, lower) = (width(at) / steps, constraints.at(at).lower);
                    let lower = if lower.abs() < 1e30 { lower } else { 0.0 };
                    lower + ((value - lower) / unit).round() * unit
                })
            }
            Self::Unit => {
                // One column, the more of them the more severe, by a power of ten either way.
                let columns = usize::from(severity.clamp(1, 5));
                let mut out = row.to_vec();
                for _ in 0..columns.min(row.len()) {
                    let at = random.below(row.len());
                    let power = [0.001, 0.01, 0.1, 10.0, 100.0, 1_000.0][random.below(6)];
                    if open(at) {
                        out[at] = row[at] * power;
                    }
                }
                out
            }
        }
    }
}

/// A Gaussian of this width in pixels, over 5 by 5, weights of what lies outside left out.
fn blurred(row: &[f32], image: Option<(usize, usize, usize)>, sigma: f32) -> Vec<f32> {
    let Some((_, height, width)) = image else { return row.to_vec() };
    let mut out = Vec::with_capacity(row.len());
    for plane in row.chunks_exact(height * width) {
        for y in 0..height {
            for x in 0..width {
                let (mut sum, mut weights) = (0.0, 0.0);
                for near_y in y.saturating_sub(2)..(y + 3).min(height) {
                    for near_x in x.saturating_sub(2)..(x + 3).min(width) {
                        #[expect(clippy::cast_precision_loss, reason = "at most 2")]
                        let (down, along) = (near_y.abs_diff(y) as f32, near_x.abs_diff(x) as f32);
                        let weight = (-(down * down + along * along) / (2.0 * sigma * sigma)).exp();
                        sum += weight * plane[near_y * width + near_x];
                        weights += weight;
                    }
                }
                out.push(sum / weights);
            }
        }
    }
    out
}

/// Squares of `side` pixels drawn towards their mean by `share`.
fn pixelated(row: &[f32], image: Option<(usize, usize, usize)>, side: usize, share: f32) -> Vec<f32> {
    let Some((_, height, width)) = image else { return row.to_vec() };
    let mut out = row.to_vec();
    for plane in out.chunks_exact_mut(height * width) {
        for top in (0..height).step_by(side) {
            for left in (0..width).step_by(side) {
                let places: Vec<usize> = (top..(top + side).min(height))
                    .flat_map(|y| (left..(left + side).min(width)).map(move |x| y * width + x))
                    .collect();
                #[expect(clippy::cast_precision_loss, reason = "a few pixels")]
                let mean = places.iter().map(|place| plane[*place]).sum::<f32>() / places.len() as f32;
                places.iter().for_each(|place| plane[*place] += share * (mean - plane[*place]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_grows_with_severity_and_leaves_fixed_values_alone() {
        let row: Vec<f32> = (0..64).map(|at| ((at * 37) % 64) as f32 / 64.0).collect();
        let constraints = Constraints::uniform(64, 0.0, 1.0);
        let usual = vec![0.5; 64];
        let image = Some((1, 8, 8));
        for kind in [Damage::PICTURE, Damage::TABLE].concat() {
            let far = |severity: u8| {
                let changed = kind.apply(severity, &row, image, &usual, &constraints, &mut Random::new(3));
                assert_eq!(changed.len(), row.len());
                changed.iter().zip(&row).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
            };
            assert!(far(1) > 0.0 && far(5) > far(1), "{kind:?}: {} {}", far(1), far(5));
        }
        let value =
            |at: usize| crate::Constraint { lower: 0.0, upper: 1.0, integer: false, immutable: at == 3 };
        let fixed = Constraints::new((0..64).map(value).collect());
        let changed = Damage::Noise.apply(5, &row, None, &usual, &fixed, &mut Random::new(3));
        assert_eq!(changed[3], row[3]);
    }
}
