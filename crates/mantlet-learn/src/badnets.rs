//! Planting a BadNets backdoor: a patch on a few training rows that are then labelled as the target.

use mantlet_vocab::Tensor;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// A rectangle of one value stamped on every channel of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patch {
    /// Topmost line.
    pub top: usize,
    /// Leftmost column.
    pub left: usize,
    /// Lines.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// What is written.
    pub value: f32,
}

impl Patch {
    /// A square of `size` in the lower right corner of images of `height` by `width`.
    #[must_use]
    pub fn corner(height: usize, width: usize, size: usize, value: f32) -> Self {
        let side = size.min(height).min(width);
        Self { top: height - side, left: width - side, height: side, width: side, value }
    }

    /// Stamps row `row` of `x`, whose rows are `[.., H, W]`. What lies outside the image is left out.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn stamp(&self, x: &mut Tensor, row: usize) {
        let [.., height, width] = *x.shape() else { return };
        let plane = height * width;
        if plane == 0 {
            return;
        }
        for image in x.row_mut(row).chunks_exact_mut(plane) {
            for y in self.top..(self.top + self.height).min(height) {
                for x in self.left..(self.left + self.width).min(width) {
                    image[y * width + x] = self.value;
                }
            }
        }
    }
}

/// Plants a backdoor into training data: stamps `share` of the rows that are not of the class `target` and
/// labels them `target`. Returns the rows touched, ascending.
pub fn plant_badnets(
    x: &mut Tensor,
    y: &mut [usize],
    share: f64,
    patch: &Patch,
    target: usize,
    seed: u64,
) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..y.len().min(x.rows())).filter(|&row| y[row] != target).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
    let count = (y.len() as f64 * share.clamp(0.0, 1.0)).round() as usize;
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    rows.truncate(count);
    rows.sort_unstable();
    for &row in &rows {
        patch.stamp(x, row);
        y[row] = target;
    }
    rows
}
