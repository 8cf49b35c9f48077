//! How good a model still is: measured from labels when they come, estimated before, and told when it fell.

mod calibration;
mod contradicted;
mod fell;
mod foretold;
mod judge;
mod metric;
mod tally;
#[cfg(test)]
mod tests;

use mantlet_vocab::{About, Finding, Place};

pub use judge::{
    Contradiction, Figure, LEAST_ROWS, PARTS, Performance, PerformanceSettings, Reference, Unknown, Window,
};
pub use metric::Metric;
pub use tally::{Scale, Tally};

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// Judged windows in, findings out.
    pub look: fn(&Performance, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &contradicted::ABOUT, look: contradicted::look },
        Room { about: &fell::ABOUT, look: fell::look },
        Room { about: &foretold::ABOUT, look: foretold::look },
    ]
}

/// Every finding of every room.
#[must_use]
pub fn look(performance: &Performance, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(performance, place, &mut found);
    }
    Finding::sort(&mut found);
    found
}

/// Stretches of neighbouring windows of which `told` says something.
fn stretches<T>(windows: &[Window], told: impl Fn(&Window) -> Option<T>) -> Vec<Vec<(&Window, T)>> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for window in windows {
        match told(window) {
            Some(what) => open.push((window, what)),
            None if open.is_empty() => {}
            None => found.push(std::mem::take(&mut open)),
        }
    }
    if !open.is_empty() {
        found.push(open);
    }
    found
}

/// `week 40`, or `week 40 to week 44 (5 windows)`.
fn span<T>(stretch: &[(&Window, T)]) -> String {
    match stretch {
        [(only, _)] => only.name.clone(),
        [(first, _), .., (last, _)] => {
            format!("{} to {} ({} windows)", first.name, last.name, stretch.len())
        }
        [] => String::new(),
    }
}

/// The falls of one kind: for each measure and stretch of windows, the worst window's figure beside the reference's.
fn falls(
    performance: &Performance,
    told: impl Fn(&Window) -> (&[(Metric, f64)], &[Figure]),
    mut each: impl FnMut(&Figure, &str, Fall),
) {
    for before in &performance.reference {
        let fall = |window: &Window| {
            let (told, figures) = told(window);
            let (_, chance) = told.iter().find(|(metric, _)| *metric == before.metric)?;
            let now = figures.iter().find(|figure| figure.metric == before.metric)?;
            Some((*now, *chance))
        };
        for stretch in stretches(&performance.windows, fall) {
            let worst = stretch.iter().min_by(|(_, a), (_, b)| a.0.value.total_cmp(&b.0.value));
            let Some((_, (now, _))) = worst else { continue };
            let least = stretch.iter().map(|(_, (_, chance))| *chance).fold(1.0, f64::min);
            let rows = stretch.iter().map(|(window, _)| window.rows).sum();
            let labelled = stretch.iter().map(|(window, _)| window.labelled).sum();
            each(before, &span(&stretch), Fall { now: *now, chance: least, rows, labelled });
        }
    }
}

/// A finding with the figures of a fall.
fn fallen(finding: Finding, before: &Figure, fall: &Fall) -> Finding {
    finding
        .fact("before", before.value)
        .fact("now", fall.now.value)
        .fact("rows", fall.rows)
        .fact("labelled", fall.labelled)
        .fact("chance", fall.chance)
}

/// A fall over a stretch of windows.
struct Fall {
    /// The figure of the worst window.
    now: Figure,
    /// The least adjusted chance of its windows.
    chance: f64,
    rows: u64,
    labelled: u64,
}
