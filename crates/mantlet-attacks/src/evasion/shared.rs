//! One change for all rows: universal perturbations and patches.

use std::marker::PhantomData;

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::ball::{project, ranked};
use super::hunt::{Base, Method, Reply, at_least, positive};
use crate::{Ask, Loss, Norm};

/// What tells one room from another.
pub(super) trait Style: Send + Sync + 'static {
    /// The room's configuration.
    type Config: Into<Settings>;
    /// The room's card.
    const ABOUT: &'static About;
}

/// What is shared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(crate) kind: Kind,
    pub(crate) steps: usize,
    /// Share of the rows it is made on; the others show whether it carries over.
    pub(crate) made_on: f32,
}

/// Added to every row within a ball, or put over a few values outright.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Kind {
    Added { norm: Norm, epsilon: f32 },
    Put { share: f32 },
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Shared<S> {
    settings: Settings,
    at: usize,
    /// Rows it is made on: the first so many.
    made_on: usize,
    /// The change in widths, or the values put.
    shared: Vec<f32>,
    /// Places of a patch; empty until they are chosen.
    places: Vec<usize>,
    momentum: Vec<f32>,
    #[serde(skip)]
    style: PhantomData<fn() -> S>,
}

impl<S: Style> Shared<S> {
    fn changed(&self, base: &Base, row: usize) -> Vec<f32> {
        match self.settings.kind {
            Kind::Added { .. } => base.shifted(row, &self.shared),
            Kind::Put { .. } => {
                let mut values = base.original(row).to_vec();
                self.places.iter().for_each(|&place| values[place] = self.shared[place]);
                values
            }
        }
    }

    /// The places of a patch: for images the square whose gradients weigh most, else the values whose do.
    fn choose(&mut self, base: &Base, weight: &[f32], share: f32) {
        let count = super::ball::count(weight.len());
        let wanted = super::ball::whole((share * count).max(1.0));
        let movable = |at: &usize| !base.constraints.at(*at).immutable;
        self.places = if let Some((channels, height, width)) = base.shape.image() {
            let side = super::ball::whole((share * super::ball::count(height * width)).sqrt().max(1.0));
            let (side_y, side_x) = (side.min(height), side.min(width));
            let square = |top: usize, left: usize| {
                let rows = move |channel: usize| {
                    (top..top + side_y).flat_map(move |y| {
                        (left..left + side_x).map(move |x| (channel * height + y) * width + x)
                    })
                };
                (0..channels).flat_map(rows)
            };
            let mut best: Option<(f32, usize, usize)> = None;
            for top in 0..=height - side_y {
                for left in 0..=width - side_x {
                    let sum: f32 = square(top, left).map(|at| weight[at]).sum();
                    if best.is_none_or(|(most, ..)| sum > most) {
                        best = Some((sum, top, left));
                    }
                }
            }
            best.map(|(_, top, left)| square(top, left).filter(movable).collect()).unwrap_or_default()
        } else {
            ranked(weight).into_iter().filter(movable).take(wanted).collect()
        };
        for &place in &self.places {
            let bounds = base.constraints.at(place);
            let (low, high) = (bounds.lower.max(-1e6), bounds.upper.min(1e6));
            self.shared[place] = f32::midpoint(low, high);
        }
    }

    fn climb(&mut self, base: &Base, slope: &[f32]) {
        let last = super::ball::count(self.at) / super::ball::count(self.settings.steps);
        for (momentum, slope) in self.momentum.iter_mut().zip(slope) {
            *momentum = 0.9 * *momentum + slope;
        }
        match self.settings.kind {
            Kind::Added { norm, epsilon } => {
                let mut way = self.momentum.clone();
                let reach = epsilon * (0.25 * (1.0 - last)).max(0.02);
                super::ball::steepest(norm, reach, &mut way, |_, _| f32::MAX);
                self.shared.iter_mut().zip(&way).for_each(|(shared, way)| *shared += way);
                project(norm, epsilon, &mut self.shared);
            }
            Kind::Put { .. } => {
                for &place in &self.places {
                    let reach = (0.25 * (1.0 - last)).max(0.02) * base.constraints.width(place);
                    let bounds = base.constraints.at(place);
                    let step = if self.momentum[place] == 0.0 { 0.0 } else { self.momentum[place].signum() };
                    self.shared[place] =
                        (self.shared[place] + reach * step).clamp(bounds.lower, bounds.upper);
                }
            }
        }
    }
}

impl<S: Style> Method for Shared<S> {
    type Config = S::Config;
    const ABOUT: &'static About = S::ABOUT;
    const GRADIENTS: bool = true;

    fn prepare(config: S::Config, base: &mut Base) -> Result<Self, String> {
        let settings: Settings = config.into();
        at_least("steps", settings.steps, 1)?;
        if !(settings.made_on > 0.0 && settings.made_on <= 1.0) {
            return Err("made_on must be a share above 0 and at most 1".to_owned());
        }
        match settings.kind {
            Kind::Added { norm: Norm::L0, .. } => return Err("norm must be l1, l2 or linf".to_owned()),
            Kind::Added { norm, epsilon } => {
                positive("epsilon", epsilon)?;
                (base.norm, base.radius) = (norm, epsilon);
                base.ball = Some((norm, epsilon));
            }
            Kind::Put { share } => {
                if !(share > 0.0 && share <= 1.0) {
                    return Err("share must be above 0 and at most 1".to_owned());
                }
                (base.norm, base.radius) = (Norm::L0, super::ball::count(base.len()));
            }
        }
        base.recording = false;
        let zero = vec![0.0; base.len()];
        let (shared, momentum) = (zero.clone(), zero);
        let style = PhantomData;
        Ok(Self { settings, at: 0, made_on: 0, shared, places: Vec::new(), momentum, style })
    }

    fn begin(&mut self, base: &mut Base) {
        let share = self.settings.made_on * super::ball::count(base.rows.len());
        self.made_on = super::ball::whole(share.ceil()).clamp(1, base.rows.len().max(1));
        if let Kind::Added { norm, epsilon } = self.settings.kind {
            self.shared = super::hunt::random_point(norm, 0.5 * epsilon, base.len(), &mut base.random);
        }
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        self.at += 1;
        if self.at <= self.settings.steps {
            for row in base.open().into_iter().filter(|&row| row < self.made_on) {
                let changed = self.changed(base, row);
                base.put(row, changed);
            }
            return base.gradient(|labels| Loss::Margin { labels });
        }
        // Finished: now it counts, first where it was made, then where it was not.
        let (word, rows) = match self.at - self.settings.steps {
            1 => ("rows it was made on", 0..self.made_on.min(base.rows.len())),
            2 => ("rows it had not seen", self.made_on.min(base.rows.len())..base.rows.len()),
            _ => return None,
        };
        base.recording = true;
        base.by_loss.push((word.to_owned(), 0));
        for row in rows.filter(|&row| base.is_open(row)).collect::<Vec<_>>() {
            let changed = self.changed(base, row);
            base.put(row, changed);
        }
        base.decide().or_else(|| base.nothing())
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        if reply.gradient.is_none() {
            return;
        }
        let mut sum = vec![0.0; base.len()];
        let mut weight = vec![0.0; base.len()];
        for (place, &row) in reply.rows.iter().enumerate() {
            let own = reply.slope(place);
            if own.is_empty() || !base.is_open(row) {
                continue;
            }
            let slope = base.widen(own);
            // Every row has the same say; one that has left its class need not go further.
            let long = super::ball::length(&slope);
            for (at, value) in slope.iter().enumerate() {
                weight[at] += value.abs();
                if !reply.won[place] && long > 0.0 {
                    sum[at] += value / long;
                }
            }
        }
        if let Kind::Put { share } = self.settings.kind
            && self.places.is_empty()
        {
            self.choose(base, &weight, share);
            return;
        }
        self.climb(base, &sum);
    }
}
