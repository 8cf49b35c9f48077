//! Lengths of changes.

/// Euclidean length.
pub(super) fn length(values: &[f32]) -> f32 {
    values.iter().map(|value| value * value).sum::<f32>().sqrt()
}

/// Scales to this length; zeros stay.
pub(super) fn scale_to(values: &mut [f32], reach: f32) {
    // Divided by the largest first, so that tiny gradients do not underflow when squared.
    let top = values.iter().fold(0.0_f32, |top, value| top.max(value.abs()));
    if top > 0.0 {
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
