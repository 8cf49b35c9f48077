//! Pixel pictures: an input, a trigger, or the difference of two inputs.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// The longest side that is drawn; larger pictures are averaged down.
const LONGEST_SIDE: usize = 64;

/// A picture as numbers: row-major, one value per pixel for grey or three for red, green and blue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Raster {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// 1 for grey, 3 for colour, channels interleaved.
    pub channels: usize,
    /// The values.
    pub values: Vec<f32>,
    /// The value drawn black.
    pub low: f32,
    /// The value drawn white.
    pub high: f32,
}

impl Raster {
    /// A grey picture.
    #[must_use]
    pub fn grey(width: usize, height: usize, values: Vec<f32>, low: f32, high: f32) -> Self {
        Self { width, height, channels: 1, values, low, high }
    }

    /// A picture from values that stand channel after channel (the order of `NCHW` tensors).
    #[must_use]
    pub fn planar(width: usize, height: usize, channels: usize, values: &[f32], low: f32, high: f32) -> Self {
        let plane = width.saturating_mul(height);
        let at = |pixel: usize, channel: usize| values.get(channel * plane + pixel).copied().unwrap_or(low);
        let values = (0..plane.min(values.len()))
            .flat_map(|pixel| (0..channels.min(3)).map(move |channel| at(pixel, channel)))
            .collect();
        Self { width, height, channels: channels.min(3), values, low, high }
    }

    /// The value of a channel of a pixel from 0 (low) to 1 (high); missing values are 0.
    fn value(&self, x: usize, y: usize, channel: usize) -> f32 {
        let index = y
            .checked_mul(self.width)
            .and_then(|row| row.checked_add(x))
            .and_then(|pixel| pixel.checked_mul(self.channels.max(1)))
            .and_then(|pixel| pixel.checked_add(channel.min(self.channels.max(1) - 1)));
        let value = index.and_then(|index| self.values.get(index)).copied().unwrap_or(self.low);
        let part = (value - self.low) / (self.high - self.low);
        if part.is_finite() { part } else { 0.0 }
    }

    /// Pixels across and down that are drawn, and how many of ours each stands for.
    fn drawn(&self) -> (usize, usize, usize) {
        let side = self.width.max(self.height).max(1);
        let step = side.div_ceil(LONGEST_SIDE).max(1);
        (self.width.div_ceil(step).min(LONGEST_SIDE), self.height.div_ceil(step).min(LONGEST_SIDE), step)
    }

    /// The mean of a drawn pixel.
    fn mean(&self, x: usize, y: usize, step: usize, channel: usize) -> f32 {
        // At most 16 samples a block: enough for a thumbnail, bounded for a lying size.
        let stride = step.div_ceil(4).max(1);
        let (mut sum, mut n) = (0.0, 0.0_f32);
        for dy in (0..step).step_by(stride) {
            for dx in (0..step).step_by(stride) {
                let (px, py) = (x * step + dx, y * step + dy);
                if px < self.width && py < self.height {
                    sum += self.value(px, py, channel);
                    n += 1.0;
                }
            }
        }
        if n == 0.0 { 0.0 } else { sum / n }
    }
}

/// A picture as inline SVG. `alt` is spoken by screen readers and shown as a tooltip.
#[must_use]
pub fn picture(raster: &Raster, alt: &str) -> Markup {
    let (width, height, step) = raster.drawn();
    let cell = |x, y| Some((pattern_colour(raster, x, y, step), String::new()));
    frame(width, height, alt, &runs(width, height, cell))
}

fn pattern_colour(raster: &Raster, x: usize, y: usize, step: usize) -> String {
    let shade = |channel| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
        let byte = (raster.mean(x, y, step, channel).clamp(0.0, 1.0) * 255.0).round() as u8;
        byte
    };
    let [red, green, blue] =
        if raster.channels == 3 { [shade(0), shade(1), shade(2)] } else { [shade(0); 3] };
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// What `after` added (warm) and took away (cool), strongest change fully coloured.
#[must_use]
pub fn difference(before: &Raster, after: &Raster, alt: &str) -> Markup {
    let (width, height, step) = before.drawn();
    let change = |x, y| {
        let channels = before.channels.clamp(1, 3);
        let sum: f32 = (0..channels).map(|c| after.mean(x, y, step, c) - before.mean(x, y, step, c)).sum();
        #[expect(clippy::cast_precision_loss, reason = "at most three")]
        let mean = sum / channels as f32;
        mean
    };
    let mut most = 0.0_f32;
    for y in 0..height {
        for x in 0..width {
            most = most.max(change(x, y).abs());
        }
    }
    let cell = |x, y| {
        let part = change(x, y) / most;
        if !part.is_finite() || part.abs() < 0.02 {
            return None;
        }
        let colour = if part > 0.0 { "var(--added)" } else { "var(--removed)" };
        Some((colour.to_owned(), format!("{:.2}", part.abs().clamp(0.0, 1.0))))
    };
    frame(width, height, alt, &runs(width, height, cell))
}

/// A pattern seen through a mask: what the mask hides shows the ground.
#[must_use]
pub fn masked(pattern: &Raster, mask: &Raster, alt: &str) -> Markup {
    let (width, height, step) = mask.drawn();
    let cell = |x, y| {
        let through = mask.mean(x, y, step, 0).clamp(0.0, 1.0);
        (through >= 0.02).then(|| (pattern_colour(pattern, x, y, step), format!("{through:.2}")))
    };
    frame(width, height, alt, &runs(width, height, cell))
}

/// A horizontal run of equal pixels: x, y, length, (fill, opacity).
type Run = (usize, usize, usize, (String, String));

fn runs(width: usize, height: usize, cell: impl Fn(usize, usize) -> Option<(String, String)>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let Some(paint) = cell(x, y) else { continue };
            match runs.last_mut() {
                Some((start, row, len, last)) if *row == y && *start + *len == x && *last == paint => {
                    *len += 1
                }
                _ => runs.push((x, y, 1, paint)),
            }
        }
    }
    runs
}

fn frame(width: usize, height: usize, alt: &str, runs: &[Run]) -> Markup {
    html! {
        svg.pixels role="img" aria-label=(alt) viewBox={ "0 0 " (width) " " (height) } shape-rendering="crispEdges" {
            title { (alt) }
            rect.ground width=(width) height=(height) {}
            @for (x, y, len, (fill, opacity)) in runs {
                rect x=(x) y=(y) width=(len) height="1" fill=(fill)
                    fill-opacity=[(!opacity.is_empty()).then_some(opacity)] {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lying_or_huge_raster_is_drawn_small_and_does_not_panic() {
        let lying = Raster::grey(usize::MAX, 3, vec![0.5], 0.0, 1.0);
        assert!(picture(&lying, "x").into_string().len() < 60_000);
        let huge = Raster::grey(1_000, 1_000, (0..1_000_000).map(|i| (i % 97) as f32).collect(), 0.0, 96.0);
        assert!(picture(&huge, "x").into_string().matches("<rect").count() <= 64 * 64 + 1);
        let flat = Raster { low: 1.0, high: 1.0, ..Raster::grey(0, 0, vec![], 0.0, 0.0) };
        assert!(picture(&flat, "x").into_string().starts_with("<svg"));
        assert!(difference(&lying, &flat, "x").into_string().starts_with("<svg"));
    }

    #[test]
    fn a_difference_paints_only_what_changed() {
        let before = Raster::grey(2, 1, vec![0.0, 1.0], 0.0, 1.0);
        let after = Raster::grey(2, 1, vec![0.5, 1.0], 0.0, 1.0);
        let svg = difference(&before, &after, "x").into_string();
        assert_eq!(svg.matches("var(--added)").count(), 1);
        assert!(!svg.contains("--removed"));
    }

    #[test]
    fn planes_become_pixels() {
        let raster = Raster::planar(1, 2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.0, 6.0);
        assert_eq!(raster.values, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    }
}
