//! Pictures whose size or channels are unlike all others.

use mantlet_vocab::{About, Confidence, Impact, Place, Severity};

use super::{Gallery, Shape, Told};
use crate::feed::{binomial_tail, real};

pub(super) const ABOUT: About = About {
    name: "gallery-odd-shape",
    title: "a few pictures have another size or other channels than all others",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The share of pictures with the usual shape, at least: photographs have many shapes.
const USUAL: f64 = 0.95;
/// Odd pictures from which on, and the share of them of one label from which on, the shape stands for the label.
const ENOUGH: u64 = 16;
const ONE_LABEL: f64 = 0.95;
/// The chance of that where shapes and labels have nothing to do with each other.
const CHANCE: f64 = 1e-4;

fn words((width, height, channels): Shape) -> String {
    let mode = match channels {
        1 => "grey",
        2 => "grey with transparency",
        3 => "colours",
        _ => "colours with transparency",
    };
    format!("{width} by {height} pixels, {mode}")
}

pub(super) fn look(gallery: &Gallery, place: &Place, found: &mut Vec<Told>) {
    let Some((usual, many)) = gallery.usual else { return };
    let mut odd: Vec<(u64, u16)> = gallery.odd.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
    if odd.is_empty() || real(many) < USUAL * real(many + odd.len() as u64) {
        return;
    }
    odd.sort_unstable();
    let rows: Vec<u64> = odd.iter().map(|(row, _)| *row).collect();
    let all = odd.len() as u64;
    let mut counts = vec![0_u64; gallery.labels.len()];
    odd.iter().for_each(|(_, label)| {
        counts.get_mut(usize::from(*label)).into_iter().for_each(|count| *count += 1);
    });
    let most = (0..counts.len()).max_by_key(|&at| (counts[at], std::cmp::Reverse(at)));
    let told = most.filter(|&at| {
        let share = real(gallery.counts.get(at).copied().unwrap_or(0)) / real(gallery.pictures.max(1));
        all >= ENOUGH
            && real(counts[at]) >= ONE_LABEL * real(all)
            && binomial_tail(counts[at], all, share) * real(counts.len() as u64) < CHANCE
    });
    let shapes: Vec<String> = gallery.odd.iter().take(3).map(|(shape, _)| words(*shape)).collect();
    let label = told.map_or(String::new(), |at| {
        format!("; {} of them are `{}`", counts[at], gallery.word(u16::try_from(at).unwrap_or(u16::MAX)))
    });
    let message = format!(
        "{all} of {} pictures are {}, where all others are {}{label}",
        gallery.pictures,
        shapes.join(" or "),
        words(usual)
    );
    let finding = ABOUT.finding(place.clone(), message).trace([super::numbers(&rows)]).fact("pictures", all);
    found.push((if told.is_some() { finding.severity(Severity::Suspicious) } else { finding }, rows));
}
