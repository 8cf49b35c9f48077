//! What a feed does to a model: how the model would answer in each segment had the feed not been learned from.

mod feed_steers;
#[cfg(test)]
mod tests;

use mantlet_vocab::{About, Finding, Place};

/// A model's answers in one segment, with and without a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The feed.
    pub feed: String,
    /// Rows of the feed that were learned from.
    pub rows: u64,
    /// The column and word of the segment; nothing for all rows.
    pub segment: Option<(String, String)>,
    /// The label.
    pub label: String,
    /// The mean chance of the label, learned with the feed.
    pub with: f64,
    /// The same without it.
    pub without: f64,
    /// How much leaving out as many rows of no feed in particular moves it: one deviation.
    pub usual: f64,
    /// How often rows of the segment have the label: in the feed, and in all others.
    pub said: (f64, f64),
}

impl Effect {
    /// By how much the feed moves the answers.
    #[must_use]
    pub fn moved(&self) -> f64 {
        self.with - self.without
    }
}

/// When an effect is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InfluenceSettings {
    /// Deviations of what leaving out rows at random does.
    pub deviations: f64,
    /// The least part by which the feed moves the share without it.
    pub part: f64,
    /// And the least difference.
    pub least: f64,
}

impl Default for InfluenceSettings {
    fn default() -> Self {
        Self { deviations: 6.0, part: 0.15, least: 0.002 }
    }
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// Effects in, findings out.
    pub look: fn(&[Effect], InfluenceSettings, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[Room { about: &feed_steers::ABOUT, look: feed_steers::look }]
}

/// Every finding of every room.
#[must_use]
pub fn look(effects: &[Effect], settings: InfluenceSettings, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(effects, settings, place, &mut found);
    }
    found
}
