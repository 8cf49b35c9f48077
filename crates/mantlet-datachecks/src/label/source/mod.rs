//! A labeler or feed whose labels are wrong more often than the others'.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Labelled, Mislabelled, Origin};
use crate::feed::{binomial_tail, real};

pub(super) const ABOUT: About = About {
    name: "label-source",
    title: "one labeler's or feed's labels are wrong more often than all others'",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The chance of any false alarm over all words of a column.
const ALPHA: f64 = 0.01;
/// That share of a source's wrong labels in one direction has an aim, where the others have at most half of it.
const AIMED: f64 = 0.6;

pub(super) fn look(labelled: &Labelled<'_>, place: &Place, found: &mut Vec<Finding>) {
    for origin in labelled.origins {
        let rows = &labelled.confident.rows;
        let mut sizes = vec![0_u64; origin.words.len()];
        origin.rows.iter().for_each(|&word| sizes.get_mut(word as usize).into_iter().for_each(|n| *n += 1));
        let mut wrong: Vec<Vec<&Mislabelled>> = vec![Vec::new(); origin.words.len()];
        for row in rows {
            let word = origin.rows.get(row.row).copied().unwrap_or(u32::MAX);
            wrong.get_mut(word as usize).into_iter().for_each(|of| of.push(row));
        }
        if sizes.iter().filter(|&&size| size >= 20).count() < 2 {
            continue;
        }
        let typical = typical(&wrong, &sizes);
        for (word, (own, &size)) in wrong.iter().zip(&sizes).enumerate() {
            if size < 20 {
                continue;
            }
            let chance = binomial_tail(own.len() as u64, size, typical.max(1e-6)) * real(sizes.len() as u64);
            let times = real(own.len() as u64) / real(size) / typical.max(1.0 / real(size));
            if chance <= ALPHA && times >= 1.5 {
                found.push(finding(labelled, origin, word, own, (size, typical, chance), place));
            }
        }
    }
}

/// The share of wrong labels of the middle source: one bad one does not move it. At least what a source without
/// any could hide.
fn typical(wrong: &[Vec<&Mislabelled>], sizes: &[u64]) -> f64 {
    let mut shares: Vec<(f64, u64)> = wrong
        .iter()
        .zip(sizes)
        .filter(|(_, size)| **size >= 20)
        .map(|(own, &size)| ((real(own.len() as u64) + 0.5) / (real(size) + 1.0), size))
        .collect();
    shares.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = shares.iter().map(|(_, size)| size).sum::<u64>() / 2;
    let mut below = 0;
    for (share, size) in &shares {
        below += size;
        if below > half {
            return *share;
        }
    }
    shares.last().map_or(0.0, |(share, _)| *share)
}

fn finding(
    labelled: &Labelled<'_>,
    origin: &Origin,
    word: usize,
    own: &[&Mislabelled],
    (size, typical, chance): (u64, f64, f64),
    place: &Place,
) -> Finding {
    let ways = labelled.directions(own.iter().copied());
    let all = real(own.len() as u64);
    let (way, most) = ways.first().copied().unwrap_or(((0, 0), 0));
    let others = labelled
        .confident
        .rows
        .iter()
        .filter(|row| origin.rows.get(row.row).copied() != u32::try_from(word).ok());
    let (mut same, mut rest) = (0_u64, 0_u64);
    others.for_each(|row| {
        rest += 1;
        same += u64::from((row.meant, row.given) == way);
    });
    let usual = if rest == 0 { 0.0 } else { real(same) / real(rest) };
    let aimed = real(most) / all >= AIMED && usual <= real(most) / all / 2.0;
    let name = crate::datacheck::plain(&origin.name);
    let who = crate::datacheck::plain(origin.words.get(word).map_or("", String::as_str));
    let share = all / real(size);
    let nature = if aimed {
        format!("aimed: {most} of them {}", labelled.way(way))
    } else {
        "noise: in many directions, as everyone's mistakes".to_owned()
    };
    let message = format!(
        "{name}={who}: {:.1} % of {size} labels look wrong, elsewhere {:.1} %; {nature}",
        share * 100.0,
        typical * 100.0
    );
    let finding = ABOUT
        .finding(place.part(format!("{name}={who}")), message)
        .fact("rows", own.len())
        .fact("of", size)
        .fact("elsewhere", typical)
        .fact("chance", chance.min(1.0))
        .fact("aimed", aimed)
        .fact("main_direction", labelled.way(way))
        .fact("main_direction_rows", most);
    if aimed { finding } else { finding.severity(Severity::Note).confidence(Confidence::Medium) }
}
