//! A mask and a pattern, descended together (Adam), with a price on the mask that follows success. A mask of one
//! place is the share of a blend over the whole row.

use serde::{Deserialize, Serialize};

use crate::{Constraints, Random};

/// The search for one class's trigger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Search {
    pub(super) class: usize,
    /// Values of a row; a mask place covers one value of each channel.
    len: usize,
    places: usize,
    lower: Vec<f32>,
    upper: Vec<f32>,
    fixed: Vec<bool>,
    /// Mask places, then pattern values, before the sigmoid.
    inner: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
    rate: f32,
    step: i32,
    price: f32,
    /// Values a mask place covers, which its price is counted in.
    weight: f32,
    /// Success, smoothed over steps.
    success: f32,
    /// The smallest mask that worked: its size, mask places and pattern.
    best: Option<(f32, Vec<f32>, Vec<f32>)>,
    /// Share of held-out rows each try sent to the class.
    pub(super) transfers: Vec<f32>,
}

/// A place of an image covers its channels, and counts once; the one place of a blend covers the whole row.
#[expect(clippy::cast_precision_loss, reason = "a row's length")]
fn weight(len: usize, places: usize) -> f32 {
    if places == 1 { len as f32 } else { 1.0 }
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

impl Search {
    pub(super) fn new(
        class: usize,
        len: usize,
        places: usize,
        rate: f32,
        constraints: &Constraints,
        random: &mut Random,
    ) -> Self {
        let mut inner = vec![0.0; places];
        inner.extend((0..len).map(|_| 0.1 * random.normal()));
        Self {
            class,
            len,
            places,
            lower: (0..len).map(|place| constraints.at(place).lower).collect(),
            upper: (0..len).map(|place| constraints.at(place).upper).collect(),
            fixed: (0..places)
                .map(|place| (place..len).step_by(places.max(1)).all(|value| constraints.at(value).immutable))
                .collect(),
            mean: vec![0.0; inner.len()],
            square: vec![0.0; inner.len()],
            inner,
            rate,
            step: 0,
            price: 0.02,
            weight: weight(len, places),
            success: 0.0,
            best: None,
            transfers: Vec::new(),
        }
    }

    fn mask(&self) -> Vec<f32> {
        self.inner[..self.places]
            .iter()
            .zip(&self.fixed)
            .map(|(value, fixed)| if *fixed { 0.0 } else { sigmoid(*value) })
            .collect()
    }

    fn pattern(&self) -> Vec<f32> {
        (0..self.len)
            .map(|index| {
                let (low, high) = (self.lower[index], self.upper[index]);
                low + (high - low) * sigmoid(self.inner[self.places + index])
            })
            .collect()
    }

    /// The row under the current trigger.
    pub(super) fn stamp(&self, row: &[f32], out: &mut Vec<f32>) {
        let (mask, pattern) = (self.mask(), self.pattern());
        out.extend(row.iter().zip(&pattern).enumerate().map(|(index, (value, pattern))| {
            let mask = mask[index % self.places];
            value * (1.0 - mask) + pattern * mask
        }));
    }

    /// The row under the best trigger: soft when `count` is 0, else its `count` strongest places overwritten.
    pub(super) fn stamp_best(&self, row: &[f32], count: usize, out: &mut Vec<f32>) {
        let (mask, pattern) = self.best();
        let mut hard = mask.clone();
        if count > 0 {
            let mut order: Vec<usize> = (0..self.places).collect();
            order.sort_by(|a, b| mask[*b].total_cmp(&mask[*a]).then(a.cmp(b)));
            hard.fill(0.0);
            order.iter().take(count).for_each(|place| hard[*place] = 1.0);
        }
        out.extend(row.iter().zip(&pattern).enumerate().map(|(index, (value, pattern))| {
            let mask = hard[index % self.places];
            value * (1.0 - mask) + pattern * mask
        }));
    }

    /// Mask and pattern of the best trigger, or of the last one when none worked.
    pub(super) fn best(&self) -> (Vec<f32>, Vec<f32>) {
        match &self.best {
            Some((_, mask, pattern)) => (mask.clone(), pattern.clone()),
            None => (self.mask(), self.pattern()),
        }
    }

    /// How many places a mask has.
    pub(super) const fn places(&self) -> usize {
        self.places
    }

    /// Whether any trigger worked while searching.
    pub(super) const fn worked(&self) -> bool {
        self.best.is_some()
    }

    /// The mask's size: that of the best trigger, or the number of places when none worked.
    #[expect(clippy::cast_precision_loss, reason = "a row's length")]
    pub(super) fn size(&self) -> f32 {
        self.best.as_ref().map_or(self.places as f32, |(size, _, _)| *size)
    }

    /// The mask for each value of a row.
    pub(super) fn spread(&self, mask: &[f32]) -> Vec<f32> {
        (0..self.len).map(|index| mask[index % self.places]).collect()
    }

    /// Forgets what worked so far, because something else is wanted from now on.
    pub(super) fn anew(&mut self) {
        self.best = None;
        self.success = 0.0;
        self.price = 0.02;
    }

    /// One step: `slopes` are the gradients of the cross-entropy with the class at the stamped rows.
    pub(super) fn learn(&mut self, originals: &[&[f32]], slopes: &[&[f32]], success: f32, wanted: f32) {
        let (mask, pattern) = (self.mask(), self.pattern());
        let size: f32 = mask.iter().sum();
        let smooth = if self.step == 0 { 1.0 } else { 0.5 };
        self.success += smooth * (success - self.success);
        if success >= wanted
            && self.success >= wanted
            && self.best.as_ref().is_none_or(|(best, _, _)| size < *best)
        {
            self.best = Some((size, mask.clone(), pattern.clone()));
        }
        self.price = (self.price * if self.success >= wanted { 1.15 } else { 0.8 }).clamp(1e-4, 10.0);
        #[expect(clippy::cast_precision_loss, reason = "rows of a batch")]
        let share = 1.0 / originals.len().max(1) as f32;
        let mut gradient = vec![0.0; self.inner.len()];
        for (original, slope) in originals.iter().zip(slopes) {
            for (index, (value, slope)) in original.iter().zip(*slope).enumerate() {
                if !slope.is_finite() {
                    continue;
                }
                let place = index % self.places;
                gradient[place] += share * slope * (pattern[index] - value);
                gradient[self.places + index] += share * slope * mask[place];
            }
        }
        for (place, mask) in mask.iter().enumerate() {
            gradient[place] = (gradient[place] + self.price * self.weight) * mask * (1.0 - mask);
        }
        for (index, pattern) in pattern.iter().enumerate() {
            let width = self.upper[index] - self.lower[index];
            let share = if width > 0.0 { (pattern - self.lower[index]) / width } else { 0.5 };
            gradient[self.places + index] *= width * share * (1.0 - share);
        }
        self.descend(&gradient);
    }

    /// Adam with the decay rates 0.5 and 0.9.
    fn descend(&mut self, gradient: &[f32]) {
        self.step += 1;
        let (first, second) = (1.0 - 0.5_f32.powi(self.step), 1.0 - 0.9_f32.powi(self.step));
        for (((inner, mean), square), slope) in
            self.inner.iter_mut().zip(&mut self.mean).zip(&mut self.square).zip(gradient)
        {
            *mean += 0.5 * (slope - *mean);
            *square += 0.1 * (slope * slope - *square);
            *inner -= self.rate * (*mean / first) / ((*square / second).sqrt() + 1e-8);
            // Beyond this the sigmoid has no slope left to come back by.
            *inner = inner.clamp(-8.0, 8.0);
        }
    }
}
