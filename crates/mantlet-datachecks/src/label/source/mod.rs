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
/// That share of what a source turns beyond the others' rate in one direction has an aim...
const AIMED: f64 = 0.6;
/// ...where its odds are this many times those that carelessness would give that direction.
const ODDS: f64 = 2.0;

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
    let all = real(own.len() as u64);
    let Aim { way, rows: most, aimed } = aim(labelled, origin, word, own);
    let name = crate::datacheck::plain(&origin.name);
    let who = crate::datacheck::plain(origin.words.get(word).map_or("", String::as_str));
    let share = all / real(size);
    let nature = if aimed {
        format!("aimed: {most} of them {}", labelled.way(way))
    } else {
        "noise: in the directions that carelessness has".to_owned()
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

/// Where a source's wrong labels go.
#[derive(Debug)]
struct Aim {
    /// What the rows are, and what the source calls them.
    way: (usize, usize),
    /// Rows turned that way.
    rows: u64,
    /// Whether that is more of them than carelessness explains.
    aimed: bool,
}

/// The direction in which a source turns more labels than the others' rates of each direction make expected, and whether
/// that is an aim. Carelessness has three faces: every row is turned alike often, labels are guessed as often as each is
/// given, or everyone's mistakes are made more often. Of two classes, one of them rare, each may turn most rows one way;
/// an aim is what none of the three explains.
fn aim(labelled: &Labelled<'_>, origin: &Origin, word: usize, own: &[&Mislabelled]) -> Aim {
    let classes = labelled.counts.len();
    let mine = |row: usize| origin.rows.get(row).copied() == u32::try_from(word).ok();
    let rows = &labelled.confident.rows;
    let ways = labelled.directions(own.iter().copied());
    let theirs = labelled.directions(rows.iter().filter(|row| !mine(row.row)));
    // Rows that truly are of each class: those given it, but for those that are called wrong.
    let (mut here, mut elsewhere) = (vec![0.0_f64; classes], vec![0.0_f64; classes]);
    let mut add = |row: usize, class: usize, by: f64| {
        let side = if mine(row) { &mut here } else { &mut elsewhere };
        side.get_mut(class).into_iter().for_each(|sum| *sum += by);
    };
    labelled.given.iter().enumerate().for_each(|(row, &class)| add(row, class as usize, 1.0));
    for row in rows {
        add(row.row, row.given, -1.0);
        add(row.row, row.meant, 1.0);
    }
    let of = |sums: &[f64], class: usize| sums.get(class).copied().unwrap_or(0.0).max(0.0);
    let other = |way: (usize, usize)| real(theirs.iter().find(|own| own.0 == way).map_or(0, |own| own.1));
    let excess = |&(way, count): &((usize, usize), u64)| {
        let rate = other(way) / of(&elsewhere, way.0).max(1.0);
        (real(count) - of(&here, way.0) * rate).max(0.0)
    };
    let beyond: f64 = ways.iter().map(excess).sum();
    let first = ways.first().copied().unwrap_or(((0, 0), 0));
    let main = ways.iter().copied().fold(first, |a, b| if excess(&b) > excess(&a) { b } else { a });
    let ((meant, given), count) = main;
    let top = excess(&main);
    // The shares of the main direction that the three faces of carelessness make likely.
    let size: f64 = here.iter().map(|sum| sum.max(0.0)).sum::<f64>().max(1.0);
    let alike = of(&here, meant) / size / real(classes.saturating_sub(1).max(1) as u64);
    let everywhere: Vec<f64> = (0..classes).map(|class| of(&here, class) + of(&elsewhere, class)).collect();
    let whole = everywhere.iter().sum::<f64>().max(1.0);
    let guess = |from: usize, to: usize| of(&here, from) / size * of(&everywhere, to) / whole;
    let apart: f64 =
        (0..classes).map(|class| of(&here, class) / size - guess(class, class)).sum::<f64>().max(1e-9);
    let usual = (other(main.0) + 0.5) / (theirs.iter().map(|own| real(own.1)).sum::<f64>() + 1.0);
    // What the others hardly do says nothing of how they do it.
    let usual = if theirs.iter().map(|own| own.1).sum::<u64>() >= 10 { usual } else { 0.0 };
    let likely = alike.max(guess(meant, given) / apart).max(usual).clamp(0.0, 1.0);
    let share = top / beyond.max(1e-9);
    let (top, beyond) = (whole_rows(top), whole_rows(beyond));
    let aimed = share >= AIMED
        && share * (1.0 - likely) >= ODDS * likely * (1.0 - share)
        && binomial_tail(top, beyond.max(top), likely) <= ALPHA;
    Aim { way: main.0, rows: count, aimed }
}

/// Rows, rounded down: less than a row is none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of rows, not below zero"
)]
fn whole_rows(rows: f64) -> u64 {
    rows.max(0.0) as u64
}
