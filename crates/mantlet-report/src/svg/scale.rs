//! Maps values to places on an axis, and chooses round numbers to label it with.

use serde::{Deserialize, Serialize};

/// How values are laid along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Equal steps for equal differences.
    #[default]
    Linear,
    /// Equal steps for equal ratios; values at or below zero sit at the lower end.
    Log,
}

impl Scale {
    /// Where `value` lies between `low` (0) and `high` (1), held inside.
    #[must_use]
    pub fn place(self, value: f64, low: f64, high: f64) -> f64 {
        let part = match self {
            Self::Linear => (value - low) / (high - low),
            Self::Log if value > 0.0 && low > 0.0 => (value / low).ln() / (high / low).ln(),
            Self::Log => 0.0,
        };
        if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Round values between `low` and `high`: 1, 2 or 5 times a power of ten, or decades on a log axis.
/// About `wanted` of them, never more than 12.
#[must_use]
pub fn ticks(scale: Scale, low: f64, high: f64, wanted: usize) -> Vec<f64> {
    if !(low.is_finite() && high.is_finite() && low < high) {
        return Vec::new();
    }
    match scale {
        Scale::Log if low > 0.0 => {
            #[expect(clippy::cast_possible_truncation, reason = "exponents of finite floats are small")]
            let (first, last) = ((low.log10() - 1e-9).ceil() as i32, (high.log10() + 1e-9).floor() as i32);
            let stride = ((last - first) / 6 + 1).max(1);
            (first..=last).step_by(usize::try_from(stride).unwrap_or(1)).map(|e| 10_f64.powi(e)).collect()
        }
        _ => {
            #[expect(clippy::cast_precision_loss, reason = "a handful")]
            let rough = (high - low) / wanted.clamp(1, 10) as f64;
            let power = 10_f64.powf(rough.log10().floor());
            let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|&s| s >= rough * 0.999);
            let Some(step) = step.filter(|s| *s > 0.0 && s.is_finite()) else { return Vec::new() };
            let first = (low / step - 1e-9).ceil();
            (0..12)
                .map(|index| (first + f64::from(index)) * step)
                .take_while(|&tick| tick <= high + step * 1e-9)
                .map(|tick| if tick == 0.0 { 0.0 } else { tick })
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(Scale::Linear, 0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.600_000_000_000_000_1, 0.8, 1.0]);
        assert_eq!(ticks(Scale::Linear, 0.0, 730.0, 5), [0.0, 200.0, 400.0, 600.0]);
        assert_eq!(ticks(Scale::Log, 0.001, 1.0, 5), [0.001, 0.01, 0.1, 1.0]);
        assert!(ticks(Scale::Linear, 1.0, 1.0, 5).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_axis_has_few_ticks_and_keeps_values_inside(low in any::<f64>(), span in any::<f64>(), v in any::<f64>()) {
            for scale in [Scale::Linear, Scale::Log] {
                prop_assert!(ticks(scale, low, low + span, 5).len() <= 700);
                prop_assert!((0.0..=1.0).contains(&scale.place(v, low, low + span)));
            }
        }
    }
}
