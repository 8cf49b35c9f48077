//! The loop closes: a hit becomes the smallest case that shows it, its stream a trace, and both a rule of the guard that
//! is shown to stop unseen variants and no ordinary row; and the same battery is run through a guard.

mod benign;
mod confirmed;
mod guarded;
mod layout;
mod prove;
mod purse;
mod tap;
mod through;

use std::sync::Arc;

use mantlet_attacks::Constraints;
use mantlet_detectors::{Ordinary, PinnedRule, Profile, Trace};
use mantlet_guard::{Controls, Guard, GuardConfig, margin};
use mantlet_redteam::{Campaign, Clock, ProbeReport, Target};
use mantlet_vocab::{Impact, Mode, NamedValue, Relation, Tensor};

use crate::battery::{Ground, Kin, WallClock};

pub use benign::{Benign, benign, benign_through};
pub use confirmed::{Example, Reproducer};
pub use guarded::{GuardedTarget, Passage};
pub use layout::Layout;
pub use purse::{Capped, Purse};
pub use tap::{Stream, Tap};
pub use through::{Through, through};

/// Ordinary rows whose scores are asked for, to learn how sure the model usually is.
const MARGINS: usize = 1_500;
/// Rows a target must take at once for its scores to be had for nothing: a file does.
const FILE: usize = 256;

/// Time that passes, and never waits: what a guard tells a caller to wait is waited in the guard's own time.
#[derive(Debug, Default)]
pub struct Hurried(WallClock);

impl Clock for Hurried {
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }
    fn wait_ms(&mut self, _: u64) {}
}

/// What rules are made and judged with.
pub struct Scene<'a> {
    /// What honest traffic looks like.
    pub profile: Arc<Profile>,
    /// How rows become requests.
    pub layout: Layout,
    /// The rows.
    pub ground: &'a Ground,
    /// The training rows as requests have them.
    pub inputs: &'a [NamedValue],
    /// What the attacker's own models are made of.
    pub kin: Kin,
    /// Rows from the start of the held-out ones that attacks used; what comes after them is unseen.
    pub used: usize,
    /// Seed of what is drawn.
    pub seed: u64,
    margins: Vec<f32>,
    relations: Vec<Relation>,
}

/// A hit with all that was made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Hardened {
    /// The smallest case that shows it.
    pub case: Option<Reproducer>,
    /// Its stream, as an endpoint sees it.
    pub trace: Trace,
    /// The rule, when there is one that stops the attack and no ordinary row.
    pub rule: Option<PinnedRule>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

impl<'a> Scene<'a> {
    /// A scene; `None` where rows hold texts, which no attack of the battery changes.
    #[must_use]
    pub fn new(
        profile: Arc<Profile>,
        ground: &'a Ground,
        inputs: &'a [NamedValue],
        kin: Kin,
        used: usize,
        seed: u64,
        target: &mut dyn Target,
    ) -> Option<Self> {
        let layout = Layout::of(inputs)?;
        let facts = target.describe();
        let free = facts.scores && (facts.max_rows == 0 || facts.max_rows >= FILE);
        let margins = if free { margins(&ground.train.x, target) } else { Vec::new() };
        let relations = if ground.train.x.shape().len() == 2 {
            Constraints::learn(&ground.train.x).relations
        } else {
            Vec::new()
        };
        Some(Self { profile, layout, ground, inputs, kin, used, seed, margins, relations })
    }

    /// What is known of ordinary rows.
    fn ordinary(&self) -> Ordinary<'_> {
        Ordinary { inputs: self.inputs, margins: &self.margins, relations: &self.relations }
    }

    /// A guard that has this rule and nothing else, and enforces.
    #[must_use]
    pub fn alone(&self, rule: &PinnedRule) -> Option<Guard> {
        let config = GuardConfig {
            system: "proof".to_owned(),
            impact: Impact::High,
            mode: Mode::Enforce,
            limit: None,
            ..GuardConfig::default()
        };
        let (profile, controls) = (Some(Arc::clone(&self.profile)), Arc::new(Controls::new()));
        Guard::with_detectors(config, profile, vec![rule.clone()], controls, Vec::new()).ok()
    }

    /// Rows no attack began with: where there are enough of them, those after the ones attacks used.
    #[must_use]
    pub fn unseen(&self) -> Vec<usize> {
        let all = self.ground.held_out_or_train().y.len();
        if all >= 2 * self.used { (self.used..all).collect() } else { (0..all).collect() }
    }

    /// Every second of the unseen rows: for choosing (`0`) and for showing (`1`) what a rule does to ordinary rows.
    #[must_use]
    pub fn half(&self, which: usize) -> Tensor {
        let rows: Vec<usize> = self
            .unseen()
            .into_iter()
            .enumerate()
            .filter(|(at, _)| at % 2 == which)
            .map(|(_, row)| row)
            .collect();
        self.ground.held_out_or_train().x.select(&rows)
    }

    /// Makes of a hit its case, trace and rule. `None` when the report has no hit, or is not of a kind a guard can do
    /// anything about.
    pub fn harden(
        &self,
        target: &mut dyn Target,
        campaign: &Campaign,
        report: &ProbeReport,
        stream: &Stream,
    ) -> Option<Hardened> {
        prove::harden(self, target, campaign, report, stream)
    }
}

/// How sure the model is of ordinary rows; empty when it does not say.
fn margins(rows: &Tensor, target: &mut dyn Target) -> Vec<f32> {
    let first: Vec<usize> = (0..rows.rows().min(MARGINS)).collect();
    let mut margins = Vec::with_capacity(first.len());
    for part in first.chunks(FILE) {
        let Ok(scores) = target.scores(&rows.select(part)) else { return Vec::new() };
        if scores.rows() != part.len() {
            return Vec::new();
        }
        margins
            .extend((0..part.len()).map(|row| margin(scores.row(row))).filter(|margin| margin.is_finite()));
    }
    margins
}
