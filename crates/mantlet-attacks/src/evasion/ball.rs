//! Lengths of changes, balls of permitted changes, and the shortest way across a plane.

use crate::Norm;

/// Euclidean length.
pub(super) fn length(values: &[f32]) -> f32 {
    values.iter().map(|value| value * value).sum::<f32>().sqrt()
}

/// The length in this norm.
pub(super) fn size(norm: Norm, values: &[f32]) -> f32 {
    match norm {
        Norm::L0 => count(values.iter().filter(|value| **value != 0.0).count()),
        Norm::L1 => values.iter().map(|value| value.abs()).sum(),
        Norm::L2 => length(values),
        Norm::Linf => values.iter().fold(0.0, |top, value| top.max(value.abs())),
    }
}

/// Scales to this length; zeros stay.
pub(super) fn scale_to(values: &mut [f32], reach: f32) {
    // Divided by the largest first, so that tiny gradients do not underflow when squared.
    let top = values.iter().fold(0.0_f32, |top, value| top.max(value.abs()));
    if top > 0.0 && top.is_finite() {
        values.iter_mut().for_each(|value| *value /= top);
        let scale = reach / length(values);
        values.iter_mut().for_each(|value| *value *= scale);
    }
}

/// A small count as a factor.
pub(super) fn count(value: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    {
        value as f32
    }
}

/// The nearest point of the ball of this radius around zero.
pub(super) fn project(norm: Norm, radius: f32, values: &mut [f32]) {
    match norm {
        Norm::Linf => values.iter_mut().for_each(|value| *value = value.clamp(-radius, radius)),
        Norm::L2 => {
            let length = length(values);
            if length > radius {
                values.iter_mut().for_each(|value| *value *= radius / length);
            }
        }
        Norm::L1 => {
            if size(norm, values) <= radius {
                return;
            }
            // Duchi and others 2008: soft thresholding at the level that leaves the radius.
            let mut sorted: Vec<f32> = values.iter().map(|value| value.abs()).collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let (mut sum, mut level) = (0.0, 0.0);
            for (index, value) in sorted.iter().enumerate() {
                sum += value;
                let candidate = (sum - radius) / count(index + 1);
                if *value <= candidate {
                    break;
                }
                level = candidate;
            }
            values.iter_mut().for_each(|value| *value = value.signum() * (value.abs() - level).max(0.0));
        }
        Norm::L0 => {
            let keep = whole(radius);
            if keep >= values.len() {
                return;
            }
            for index in ranked(values).into_iter().skip(keep) {
                values[index] = 0.0;
            }
        }
    }
}

/// A radius as a count.
pub(super) fn whole(radius: f32) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive count")]
    {
        radius.max(0.0) as usize
    }
}

/// Indices in falling order of size; equal sizes keep their order.
pub(super) fn ranked(values: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].abs().total_cmp(&values[*a].abs()));
    order
}

/// The step of the given length in this norm that raises a linear function with this slope most. For `L1` and
/// `L0` the strongest twentieth of the values that can still move share it (Tramer and Boneh 2019), `room`
/// telling how far each can.
pub(super) fn steepest(norm: Norm, reach: f32, slope: &mut [f32], room: impl Fn(usize, bool) -> f32) {
    match norm {
        Norm::Linf => {
            for value in slope.iter_mut() {
                *value = if *value == 0.0 { 0.0 } else { reach * value.signum() };
            }
        }
        Norm::L2 => scale_to(slope, reach),
        Norm::L1 | Norm::L0 => {
            for (index, value) in slope.iter_mut().enumerate() {
                if room(index, *value > 0.0) <= 1e-6 {
                    *value = 0.0;
                }
            }
            let keep = (slope.len() / 20).max(1);
            let order = ranked(slope);
            let share = if norm == Norm::L1 { reach / count(keep) } else { reach };
            for (place, index) in order.into_iter().enumerate() {
                let value = slope[index];
                slope[index] = if place < keep && value != 0.0 { share * value.signum() } else { 0.0 };
            }
        }
    }
}

/// The shortest change, in this norm, that raises a linear function with this slope by `rise`, when value `i`
/// can move by at most `room(i, up)`. `None` when no permitted change raises it so far; `L0` changes as few
/// values as possible (as `L1` does, which is optimal there too).
pub(super) fn cross(
    norm: Norm,
    slope: &[f32],
    rise: f32,
    room: impl Fn(usize, bool) -> f32,
) -> Option<Vec<f32>> {
    let caps: Vec<f32> = slope.iter().enumerate().map(|(index, w)| room(index, *w > 0.0).max(0.0)).collect();
    let mut change = vec![0.0; slope.len()];
    if rise <= 0.0 {
        return Some(change);
    }
    let signed = |w: f32, by: f32| if w == 0.0 { 0.0 } else { by * w.signum() };
    match norm {
        Norm::L1 | Norm::L0 => {
            let mut order: Vec<usize> = (0..slope.len()).collect();
            // One value at full reach after the other: for L1 by gain a unit, for L0 by gain in all.
            let gain =
                |index: usize| slope[index].abs() * if norm == Norm::L0 { caps[index].min(1e6) } else { 1.0 };
            order.sort_by(|a, b| gain(*b).total_cmp(&gain(*a)));
            let mut left = rise;
            for index in order {
                let weight = slope[index].abs();
                if weight == 0.0 || caps[index] == 0.0 {
                    continue;
                }
                let by = caps[index].min(left / weight);
                change[index] = signed(slope[index], by);
                left -= by * weight;
                if left <= rise * 1e-6 {
                    return Some(change);
                }
            }
            None
        }
        Norm::L2 | Norm::Linf => {
            // The rise is a concave, piecewise linear function of the level; its corners are where values reach
            // their caps.
            let pace = |index: usize| if norm == Norm::L2 { slope[index].abs() } else { 1.0 };
            let mut order: Vec<usize> =
                (0..slope.len()).filter(|&index| slope[index] != 0.0 && caps[index] > 0.0).collect();
            order.sort_by(|a, b| (caps[*a] / pace(*a)).total_cmp(&(caps[*b] / pace(*b))));
            let mut speed: f64 =
                order.iter().map(|&index| f64::from(slope[index].abs()) * f64::from(pace(index))).sum();
            let (mut reached, mut level, rise) = (0.0_f64, 0.0_f64, f64::from(rise));
            let mut found = None;
            for &index in &order {
                let corner = f64::from(caps[index] / pace(index));
                let next = reached + speed * (corner - level);
                if next >= rise {
                    found = Some(level + (rise - reached) / speed);
                    break;
                }
                (reached, level) = (next, corner);
                speed -= f64::from(slope[index].abs()) * f64::from(pace(index));
            }
            let level = found?;
            #[expect(clippy::cast_possible_truncation, reason = "a length")]
            let level = level as f32;
            for (index, slot) in change.iter_mut().enumerate() {
                *slot = signed(slope[index], (level * pace(index)).min(caps[index]));
            }
            Some(change)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    #[test]
    fn projections_are_inside_and_nearest() {
        let mut random = Random::new(3);
        for norm in [Norm::L1, Norm::L2, Norm::Linf] {
            for _ in 0..50 {
                let values: Vec<f32> = (0..6).map(|_| random.between(-1.0, 1.0)).collect();
                let mut nearest = values.clone();
                project(norm, 0.7, &mut nearest);
                assert!(size(norm, &nearest) <= 0.7 + 1e-5);
                let distance =
                    |other: &[f32]| -> f32 { values.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum() };
                for _ in 0..50 {
                    let mut other: Vec<f32> = nearest.iter().map(|v| v + random.between(-0.2, 0.2)).collect();
                    let long = size(norm, &other);
                    if long > 0.7 {
                        other.iter_mut().for_each(|value| *value *= 0.7 / long);
                    }
                    assert!(distance(&other) >= distance(&nearest) - 1e-4, "{norm:?}");
                }
            }
        }
        let mut sparse = [0.1, -3.0, 0.0, 2.0];
        project(Norm::L0, 1.0, &mut sparse);
        assert_eq!(sparse, [0.0, -3.0, 0.0, 0.0]);
    }

    #[test]
    fn crossings_rise_by_what_is_asked_and_no_other_is_shorter() {
        let mut random = Random::new(9);
        for norm in [Norm::L1, Norm::L2, Norm::Linf] {
            for _ in 0..60 {
                let slope: Vec<f32> = (0..5).map(|_| random.between(-1.0, 1.0)).collect();
                let caps: Vec<f32> = (0..5).map(|_| random.between(0.1, 0.6)).collect();
                let most: f32 = slope.iter().zip(&caps).map(|(w, cap)| w.abs() * cap).sum();
                let rise = 0.8 * most;
                let found = cross(norm, &slope, rise, |index, _| caps[index]).unwrap();
                let gain = |change: &[f32]| slope.iter().zip(change).map(|(w, d)| w * d).sum::<f32>();
                assert!((gain(&found) - rise).abs() < 1e-4, "{norm:?} {} {rise}", gain(&found));
                assert!(cross(norm, &slope, 1.1 * most, |index, _| caps[index]).is_none());
                for _ in 0..200 {
                    let other: Vec<f32> = found
                        .iter()
                        .zip(&caps)
                        .map(|(d, cap)| (d + random.between(-0.1, 0.1)).clamp(-cap, *cap))
                        .collect();
                    if gain(&other) >= rise {
                        assert!(size(norm, &other) >= size(norm, &found) - 1e-4, "{norm:?}");
                    }
                }
            }
        }
    }
}
