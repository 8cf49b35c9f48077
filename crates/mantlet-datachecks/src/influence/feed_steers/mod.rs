//! One feed moves a model's answers in a segment away from what all others teach it.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Effect, InfluenceSettings};
use crate::datacheck::plain;

pub(super) const ABOUT: About = About {
    name: "influence-feed-steers",
    title: "one feed decides what a model says in a segment",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Segments named for a feed.
const NAMED: usize = 3;

pub(super) fn look(effects: &[Effect], settings: InfluenceSettings, place: &Place, found: &mut Vec<Finding>) {
    let size = |effect: &Effect| effect.moved().abs() / effect.usual.max(1e-6);
    let is_told = |effect: &&Effect| {
        // Both ways: a share that is halved is as much as one that is doubled.
        let least = effect.with.min(effect.without);
        size(effect) >= settings.deviations
            && effect.moved().abs() >= settings.least
            && effect.moved().abs() >= settings.part * least.max(1e-9)
    };
    let mut told: Vec<&Effect> = effects.iter().filter(is_told).collect();
    told.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.segment.cmp(&b.segment)));
    let mut feeds: Vec<&str> = Vec::new();
    for effect in &told {
        if !feeds.contains(&effect.feed.as_str()) {
            feeds.push(&effect.feed);
        }
    }
    for feed in feeds {
        let own: Vec<&&Effect> = told.iter().filter(|effect| effect.feed == feed).collect();
        let Some(first) = own.first() else { continue };
        let whose = |effect: &Effect| {
            effect.segment.as_ref().map_or_else(
                || "all rows".to_owned(),
                |(column, word)| format!("rows with {} {}", plain(column), plain(word)),
            )
        };
        let line = |effect: &Effect| {
            format!(
                "{}: `{}` in {:.2} % with it, {:.2} % without; its own rows say it in {:.2} %, all others in {:.2} %",
                whose(effect),
                plain(&effect.label),
                effect.with * 100.0,
                effect.without * 100.0,
                effect.said.0 * 100.0,
                effect.said.1 * 100.0
            )
        };
        let message = format!("feed {} moves a model's answers in {}", plain(feed), line(first));
        found.push(
            ABOUT
                .finding(place.part(format!("feed {}", plain(feed))), message)
                .trace(own.iter().skip(1).take(NAMED).map(|effect| line(effect)))
                .fact("feed", feed)
                .fact("segment", whose(first))
                .fact("with", first.with)
                .fact("without", first.without)
                .fact("deviations", size(first))
                .fact("rows", first.rows),
        );
    }
}
