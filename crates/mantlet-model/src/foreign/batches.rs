//! Blocks of a picture as rows of the batch and back: how TensorFlow writes convolutions that dilate.
//!
//! No shape is needed: what is taken apart is sliced in steps, what is put together is interleaved on new axes.

use super::numbers::{int, ints};
use super::sketch::{Sketch, Val};

/// Blocks that are taken apart, over all axes.
const MAX_BLOCKS: i64 = 256;

/// The blocks and margins of a picture: lengths, and pairs of what is added or cut before and after.
fn checked<'a>(blocks: &'a [i64], margins: &'a [i64]) -> Option<(&'a [i64], &'a [[i64; 2]])> {
    let (pairs, rest) = margins.as_chunks::<2>();
    let count = blocks.iter().try_fold(1_i64, |count, &block| count.checked_mul(block))?;
    let sane =
        blocks.iter().all(|&block| block > 0) && pairs.as_flattened().iter().all(|&margin| margin >= 0);
    let fits = rest.is_empty() && pairs.len() == blocks.len() && (1..=3).contains(&blocks.len());
    (sane && fits && count <= MAX_BLOCKS).then_some((blocks, pairs))
}

/// Every place within a block, the last axis fastest.
fn places(blocks: &[i64]) -> Vec<Vec<i64>> {
    blocks.iter().fold(vec![Vec::new()], |places, &block| {
        let next = |place: Vec<i64>| (0..block).map(move |at| place.iter().copied().chain([at]).collect());
        places.into_iter().flat_map(next).collect()
    })
}

impl Sketch {
    /// Rows of the batch for every place within the blocks.
    pub(super) fn space_to_batch(
        &mut self,
        label: &str,
        x: &Val,
        blocks: &[i64],
        pads: &[i64],
    ) -> Option<Val> {
        let (blocks, pads) = checked(blocks, pads)?;
        let side = |at: usize| std::iter::once(0).chain(pads.iter().map(move |pad| pad[at])).chain([0]);
        let list: Vec<i64> = side(0).chain(side(1)).collect();
        let list = self.list(&format!("{label}/pads"), &list);
        let padded = self.op("Pad", label, &[x, &list], vec![]);
        let axes: Vec<i64> = (1..=blocks.len() as i64).collect();
        let mut parts = Vec::new();
        for place in places(blocks) {
            let ends = vec![i64::MAX; blocks.len()];
            let lists = [place, ends, axes.clone(), blocks.to_vec()];
            let [starts, ends, axes, steps] = lists.map(|list| self.list(&format!("{label}/part"), &list));
            parts.push(self.op("Slice", label, &[&padded, &starts, &ends, &axes, &steps], vec![]));
        }
        Some(self.op("Concat", label, &parts.iter().collect::<Vec<_>>(), vec![int("axis", 0)]))
    }

    /// The picture that rows of the batch are the places of.
    pub(super) fn batch_to_space(
        &mut self,
        label: &str,
        x: &Val,
        blocks: &[i64],
        crops: &[i64],
    ) -> Option<Val> {
        let (blocks, crops) = checked(blocks, crops)?;
        let count = places(blocks).len();
        let mut parts = self.many("Split", label, &[x], vec![int("axis", 0)], count);
        // The last axis first: those that differ in it alone stand beside each other.
        for (axis, &block) in blocks.iter().enumerate().rev() {
            let axis = axis as i64 + 1;
            let mut scale = vec![1; blocks.len() + 2];
            scale[axis as usize] = block;
            let scale = self.list(&format!("{label}/blocks"), &scale);
            let mut joined = Vec::new();
            for group in parts.chunks(usize::try_from(block).unwrap_or(1)) {
                let mut apart = Vec::new();
                for part in group {
                    apart.push(self.op("Unsqueeze", label, &[part], vec![ints("axes", &[axis + 1])]));
                }
                let beside =
                    self.op("Concat", label, &apart.iter().collect::<Vec<_>>(), vec![int("axis", axis + 1)]);
                let shape = self.op("Shape", label, &[&group[0]], vec![]);
                let shape = self.op("Mul", label, &[&shape, &scale], vec![]);
                joined.push(self.op("Reshape", label, &[&beside, &shape], vec![]));
            }
            parts = joined;
        }
        let whole = parts.pop()?;
        let starts: Vec<i64> = crops.iter().map(|crop| crop[0]).collect();
        let ends: Vec<i64> =
            crops.iter().map(|crop| if crop[1] == 0 { i64::MAX } else { -crop[1] }).collect();
        let axes: Vec<i64> = (1..=blocks.len() as i64).collect();
        let [starts, ends, axes] =
            [starts, ends, axes].map(|list| self.list(&format!("{label}/crops"), &list));
        Some(self.op("Slice", label, &[&whole, &starts, &ends, &axes], vec![]))
    }
}
