//! Accounts that give the same feedback of the same items at the same time.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Acts, Ring};
use crate::datacheck::plain;

pub(super) const ABOUT: About = About {
    name: "feedback-coordinated",
    title: "accounts give feedback together",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0059"],
    owasp: &["ML02:2023", "ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(ring: &Ring, acts: &Acts, place: &Place, found: &mut Vec<Finding>) {
    let word = |words: &[String], at: u32| plain(words.get(at as usize).map_or("", String::as_str));
    let names: Vec<String> =
        ring.accounts.iter().take(12).map(|&account| word(&acts.accounts, account)).collect();
    let more = if ring.accounts.len() > names.len() { ", …" } else { "" };
    let mut message =
        format!("{} accounts did {} of their {} acts together", ring.accounts.len(), ring.shared, ring.acts);
    if let Some(first) = ring.steered.first() {
        message.push_str(&format!(
            "; of {} they say {}: {:.0} % of what is said of it, {:.0} % without them",
            word(&acts.items, first.item),
            word(&acts.values, first.value),
            first.with * 100.0,
            first.without * 100.0
        ));
    }
    let steered = ring.steered.iter().map(|own| {
        format!(
            "item {}: `{}` is {:.1} % of what is said, {:.1} % of {} acts without them",
            word(&acts.items, own.item),
            word(&acts.values, own.value),
            own.with * 100.0,
            own.without * 100.0,
            own.others
        )
    });
    found.push(
        ABOUT
            .finding(place.part(format!("account {}", names.first().map_or("", String::as_str))), message)
            .trace(std::iter::once(format!("accounts {}{more}", names.join(", "))).chain(steered))
            .fact("accounts", ring.accounts.len())
            .fact("acts", ring.acts)
            .fact("shared", ring.shared)
            .fact("items", ring.steered.len()),
    );
}
