//! Small changes of a picture that leave what it shows: turned, scaled, moved.

use crate::Random;

/// A change of a picture about its middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warp {
    /// Radians, clockwise.
    pub angle: f32,
    /// Above 1 enlarges.
    pub scale: f32,
    /// Pixels down.
    pub down: f32,
    /// Pixels to the right.
    pub right: f32,
}

impl Warp {
    /// A random one: up to 15 degrees, an eighth in size, one pixel either way, times `strength`.
    #[must_use]
    pub fn random(random: &mut Random, strength: f32) -> Self {
        let mut about = |width: f32| random.between(-width, width) * strength;
        Self { angle: about(0.26), scale: 1.0 + about(0.125), down: about(1.0), right: about(1.0) }
    }

    /// The changed picture, bilinear between pixels; outside the picture is its corner value nearest.
    ///
    /// `row` holds `channels` planes of `height` by `width`; a row of another length comes back as it is.
    #[must_use]
    pub fn apply(&self, row: &[f32], (channels, height, width): (usize, usize, usize)) -> Vec<f32> {
        if row.len() != channels * height * width || height == 0 || width == 0 {
            return row.to_vec();
        }
        #[expect(clippy::cast_precision_loss, reason = "sides of a picture")]
        let size = |side: usize| side as f32;
        let (middle_y, middle_x) = ((size(height) - 1.0) / 2.0, (size(width) - 1.0) / 2.0);
        let (sine, cosine) = self.angle.sin_cos();
        let mut out = Vec::with_capacity(row.len());
        for plane in row.chunks_exact(height * width) {
            for y in 0..height {
                for x in 0..width {
                    let (dy, dx) = (size(y) - middle_y - self.down, size(x) - middle_x - self.right);
                    let from_y = (cosine * dy - sine * dx) / self.scale + middle_y;
                    let from_x = (sine * dy + cosine * dx) / self.scale + middle_x;
                    out.push(between(plane, height, width, from_y, from_x));
                }
            }
        }
        out
    }
}

fn between(plane: &[f32], height: usize, width: usize, y: f32, x: f32) -> f32 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the picture"
    )]
    let split = |value: f32, side: usize| {
        let value = value.clamp(0.0, (side - 1) as f32);
        let low = value.floor();
        (low as usize, (low as usize + 1).min(side - 1), value - low)
    };
    let ((top, bottom, down), (left, right, along)) = (split(y, height), split(x, width));
    let at = |y: usize, x: usize| plane[y * width + x];
    let upper = at(top, left) * (1.0 - along) + at(top, right) * along;
    let lower = at(bottom, left) * (1.0 - along) + at(bottom, right) * along;
    upper * (1.0 - down) + lower * down
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_changes_nothing_and_a_pixel_moves() {
        let row: Vec<f32> = (0..16).map(|value| value as f32).collect();
        let still = Warp { angle: 0.0, scale: 1.0, down: 0.0, right: 0.0 };
        assert_eq!(still.apply(&row, (1, 4, 4)), row);
        let right = Warp { right: 1.0, ..still }.apply(&row, (1, 4, 4));
        assert_eq!(right[5], row[4]);
        let turned = Warp { angle: std::f32::consts::FRAC_PI_2, ..still }.apply(&row, (1, 4, 4));
        assert!((turned[0] - row[12]).abs() < 1e-4, "{turned:?}");
        assert_eq!(still.apply(&row, (3, 4, 4)), row);
    }
}
