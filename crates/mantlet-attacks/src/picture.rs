//! Small changes of a picture that leave what it shows: turned, scaled, moved, slanted, bent.

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
    /// How far right a row is moved for each row further down.
    pub slant: f32,
    /// Above 1 enlarges from top to bottom only.
    pub stretch: f32,
    /// Further pixels down and to the right at the corners, the middles of the sides and the middle, row by row; what
    /// lies between moves in proportion (Simard and others 2003).
    pub bend: [[f32; 9]; 2],
}

impl Warp {
    /// A random one: up to 15 degrees, an eighth in size, one pixel either way, times `strength`.
    #[must_use]
    pub fn random(random: &mut Random, strength: f32) -> Self {
        let mut about = |width: f32| random.between(-width, width) * strength;
        Self {
            angle: about(0.26),
            scale: 1.0 + about(0.125),
            down: about(1.0),
            right: about(1.0),
            slant: 0.0,
            stretch: 1.0,
            bend: [[0.0; 9]; 2],
        }
    }

    /// A random one that also slants by up to a quarter, stretches by up to an eighth, and bends by a sixteenth of the
    /// smaller side on average, times `strength`: it shows more ways to write the same.
    #[must_use]
    pub fn bent(random: &mut Random, strength: f32, (_, height, width): (usize, usize, usize)) -> Self {
        let mut warp = Self::random(random, strength);
        warp.slant = random.between(-0.25, 0.25) * strength;
        warp.stretch = 1.0 + random.between(-0.15, 0.15) * strength;
        #[expect(clippy::cast_precision_loss, reason = "sides of a picture")]
        let reach = height.min(width) as f32 / 16.0 * strength;
        for value in warp.bend.as_flattened_mut() {
            *value = random.normal() * reach;
        }
        warp
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
                    let from_y = (cosine * dy - sine * dx) / self.scale / self.stretch;
                    let from_x = (sine * dy + cosine * dx) / self.scale + self.slant * from_y;
                    let [bent_y, bent_x] = self.bend.map(|field| {
                        let part = |at: usize, side: usize| 2.0 * size(at) / size(side.max(2) - 1);
                        between(&field, 3, 3, part(y, height), part(x, width))
                    });
                    let (from_y, from_x) = (from_y + bent_y + middle_y, from_x + bent_x + middle_x);
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
        let still = Warp {
            angle: 0.0,
            scale: 1.0,
            down: 0.0,
            right: 0.0,
            slant: 0.0,
            stretch: 1.0,
            bend: [[0.0; 9]; 2],
        };
        assert_eq!(still.apply(&row, (1, 4, 4)), row);
        let right = Warp { right: 1.0, ..still }.apply(&row, (1, 4, 4));
        assert_eq!(right[5], row[4]);
        let turned = Warp { angle: std::f32::consts::FRAC_PI_2, ..still }.apply(&row, (1, 4, 4));
        assert!((turned[0] - row[12]).abs() < 1e-4, "{turned:?}");
        assert_eq!(still.apply(&row, (3, 4, 4)), row);
        // Bent down by one pixel at the left side, and by none at the right.
        let mut bent = still;
        bent.bend[0] = [1.0, 0.5, 0.0, 1.0, 0.5, 0.0, 1.0, 0.5, 0.0];
        let bent = bent.apply(&row, (1, 4, 4));
        assert!((bent[0] - row[4]).abs() < 1e-5 && (bent[3] - row[3]).abs() < 1e-5, "{bent:?}");
        let slanted = Warp { slant: 1.0, ..still }.apply(&row, (1, 4, 4));
        assert!((slanted[13] - 14.5).abs() < 1e-5 && (slanted[1] - 0.0).abs() < 1e-5, "{slanted:?}");
    }
}
