//! A look at the target before its figures are believed: whether it answers the same twice, whether its scores and gradients
//! say where, and whether its classes stand in the order of the labels. What it asks counts, and is paid from the caps.

use std::path::{Path, PathBuf};

use mantlet_redteam::{CampaignError, Doubt, JournalError, ProbeReport, Target, examine};
use mantlet_vocab::{Digest, Tensor};
use serde::{Deserialize, Serialize};

use super::{Battery, Results, Rows};

/// Rows asked at most, and at least.
const ROWS: usize = 16;
const FEW: usize = 4;
/// Questions about each row at most.
const EACH: u64 = 4;
/// Rows from which the order of classes is read, at most and at least.
const ORDER: usize = 200;
const ORDER_FEW: usize = 24;
/// How many times as much must be left for a look to be worth it.
const SPARE: u64 = 16;

/// What the look found.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Looked {
    doubts: Vec<Doubt>,
    /// Whether the target was asked and answered.
    examined: bool,
    /// Rows asked at most.
    asked: u64,
    /// Tokens set aside for them.
    tokens: u64,
}

impl Battery<'_> {
    /// Takes so many rows from the caps, if they are a small part of what is left.
    fn set_aside(&mut self, target: &dyn Target, rows: &Tensor, times: u64) -> bool {
        let queries = times * rows.rows() as u64;
        let tokens = times.saturating_mul(target.tokens_at_most(rows));
        let few = self.left.queries < SPARE.saturating_mul(queries)
            || self.left.tokens < SPARE.saturating_mul(tokens);
        if few {
            return false;
        }
        self.left.queries = self.left.queries.saturating_sub(queries);
        self.left.tokens = self.left.tokens.saturating_sub(tokens);
        true
    }

    /// Looks at the target, once: where there is a folder for journals, a run that goes on after a kill takes what the
    /// earlier one found, and has as much left for its attacks.
    pub(super) fn look(&mut self, target: &mut dyn Target) -> Result<Looked, CampaignError> {
        let Some(path) = self.noted(target) else { return Ok(self.looked(target)) };
        if let Some(looked) = read(&path)? {
            self.left.queries = self.left.queries.saturating_sub(looked.asked);
            self.left.tokens = self.left.tokens.saturating_sub(looked.tokens);
            return Ok(looked);
        }
        let before = self.left.tokens;
        let mut looked = self.looked(target);
        looked.tokens = before.saturating_sub(self.left.tokens);
        write(&path, &looked)?;
        Ok(looked)
    }

    /// Where it is noted what was found of this target with these rows.
    fn noted(&self, target: &dyn Target) -> Option<PathBuf> {
        let rows = self.ground.probe_rows(self.plan.rows.min(ROWS));
        let bytes: Vec<u8> = rows.x.data().iter().flat_map(|value| value.to_le_bytes()).collect();
        let key = format!("{} {} {:?}", target.describe().name, Digest::of(&bytes).hex(), rows.y);
        let name = format!("looked-{}.json", &Digest::of(key.as_bytes()).hex()[..12]);
        self.plan.journal.as_ref().map(|folder| folder.join(name))
    }

    /// Asks. The most it can cost is taken from the caps at once.
    fn looked(&mut self, target: &mut dyn Target) -> Looked {
        let mut looked = Looked::default();
        for count in [ROWS, FEW] {
            let rows = self.ground.probe_rows(self.plan.rows.min(count));
            if !self.set_aside(target, &rows.x, EACH) {
                continue;
            }
            looked.asked += EACH * rows.y.len() as u64;
            let found = examine(target, &rows.x, "");
            looked.examined = found.labels.is_some();
            looked.doubts = found.doubts;
            let right = found.labels.as_ref().map(|labels| right(labels, &rows.y));
            // A goal about scores has no classes that could be in another order.
            if self.plan.goal.column().is_none() && right.is_some_and(|right| 2 * right <= rows.y.len()) {
                self.order(target, &mut looked);
            }
            break;
        }
        looked
    }

    /// Whether the answers fit the labels once the classes are taken in another order.
    fn order(&mut self, target: &mut dyn Target, looked: &mut Looked) {
        let rows = self.ground.probe_rows(ORDER);
        if rows.y.len() < ORDER_FEW || !self.set_aside(target, &rows.x, 1) {
            return;
        }
        looked.asked += rows.y.len() as u64;
        // What is set aside above is what `labels` takes too.
        self.left.queries = self.left.queries.saturating_add(rows.y.len() as u64);
        self.left.tokens = self.left.tokens.saturating_add(target.tokens_at_most(&rows.x));
        let Some(given) = self.labels(target, &rows.x) else { return };
        if let Some(found) = reordered(&given, &rows, self.ground.classes) {
            let order: Vec<String> = found.order.iter().map(ToString::to_string).collect();
            looked.doubts.push(Doubt {
                probe: String::new(),
                kind: "class-order".to_owned(),
                message: format!(
                    "the target's classes seem to stand in another order than the labels: {} of {} rows are read right as \
                     they stand, {} when its answers are taken as classes {} in turn; name its classes in its own order \
                     (`data.classes`, or `classes` in the target's file)",
                    found.as_they_stand,
                    found.n,
                    found.in_order,
                    order.join(", ")
                ),
            });
        }
    }

    /// Puts what the look found beside the figures it is about, and into the list of the run.
    pub(super) fn doubt(&self, looked: Looked, results: &mut Results) {
        let evasion = |report: &ProbeReport| report.probe.starts_with("evasion-");
        // What was asked of the target, or remembered of it.
        let examined = |report: &ProbeReport| {
            report.not_examined.is_none()
                && (report.queries > 0 || report.facts.contains_key("answers-remembered"))
        };
        let mut doubts = looked.doubts;
        if !looked.examined {
            doubts.push(Doubt {
                probe: String::new(),
                kind: "not-cross-checked".to_owned(),
                message: "the target was not asked whether it answers the same twice and whether its scores and gradients \
                          say where: too little was left to spend, or it did not answer"
                    .to_owned(),
            });
        }
        for doubt in doubts {
            let mut first = true;
            for probe in &mut results.probes {
                let report = &mut probe.report;
                if !examined(report) || !(doubt.of_all() || evasion(report)) {
                    continue;
                }
                let own = Doubt { probe: report.probe.clone(), ..doubt.clone() };
                if std::mem::take(&mut first) {
                    results.doubts.push(own.clone());
                }
                report.doubts.push(own);
            }
        }
        results.looked = looked.asked;
    }
}

fn read(path: &Path) -> Result<Option<Looked>, JournalError> {
    let failed =
        |reason: String| JournalError { verb: "read", reason: format!("{}: {reason}", path.display()) };
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| failed(format!("{error}; remove the file to begin anew"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Written whole or not at all.
fn write(path: &Path, looked: &Looked) -> Result<(), JournalError> {
    let failed =
        |reason: String| JournalError { verb: "write", reason: format!("{}: {reason}", path.display()) };
    let text = serde_json::to_vec(looked).map_err(|error| failed(error.to_string()))?;
    let half = path.with_extension("half");
    std::fs::write(&half, text)
        .and_then(|()| std::fs::rename(&half, path))
        .map_err(|error| failed(error.to_string()))
}

fn right(given: &[usize], labels: &[usize]) -> usize {
    given.iter().zip(labels).filter(|(given, label)| given == label).count()
}

/// An order of classes that fits better.
struct Reordered {
    /// For each class answered, the class it is.
    order: Vec<usize>,
    /// Rows counted: those the order was not chosen on.
    n: usize,
    as_they_stand: usize,
    in_order: usize,
}

/// The order in which the classes answered fit the labels, chosen on every other row and counted on the rest; `None` unless
/// it is surely better than the order as it stands and right on most rows.
fn reordered(given: &[usize], rows: &Rows, classes: usize) -> Option<Reordered> {
    if classes < 2 || given.len() != rows.y.len() {
        return None;
    }
    let pairs = || given.iter().copied().zip(rows.y.iter().copied()).enumerate();
    let mut counts = vec![0_usize; classes * classes];
    for (_, (answer, label)) in pairs().filter(|(row, _)| row % 2 == 0) {
        if answer < classes && label < classes {
            counts[answer * classes + label] += 1;
        }
    }
    // The most frequent pairs first; classes seen in none keep their place if it is free.
    let mut order: Vec<Option<usize>> = vec![None; classes];
    let mut cells: Vec<usize> = (0..counts.len()).filter(|cell| counts[*cell] > 0).collect();
    cells.sort_by_key(|cell| (std::cmp::Reverse(counts[*cell]), *cell));
    for cell in cells {
        let (answer, label) = (cell / classes, cell % classes);
        if order[answer].is_none() && !order.contains(&Some(label)) {
            order[answer] = Some(label);
        }
    }
    for answer in 0..classes {
        if order[answer].is_none() {
            let free = |class: &usize| !order.contains(&Some(*class));
            order[answer] = Some(answer).filter(free).or_else(|| (0..classes).find(free));
        }
    }
    let order: Vec<usize> = order.into_iter().flatten().collect();
    let judged: Vec<(usize, usize)> = pairs().filter(|(row, _)| row % 2 == 1).map(|(_, pair)| pair).collect();
    let n = judged.len();
    let as_they_stand = judged.iter().filter(|(answer, label)| answer == label).count();
    let in_order = judged.iter().filter(|(answer, label)| order.get(*answer) == Some(label)).count();
    let surely = mantlet_attacks::wilson(in_order, n).low > mantlet_attacks::wilson(as_they_stand, n).high;
    (surely && 5 * in_order >= 3 * n).then_some(Reordered { order, n, as_they_stand, in_order })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(labels: &[usize]) -> Rows {
        Rows { x: Tensor::full([labels.len(), 1], 0.0), y: labels.to_vec() }
    }

    #[test]
    fn what_was_found_is_noted_whole_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("looked-1.json");
        assert!(read(&path).unwrap().is_none());
        let doubt = Doubt { probe: String::new(), kind: "staircase".to_owned(), message: "m".to_owned() };
        let looked = Looked { doubts: vec![doubt.clone()], examined: true, asked: 64, tokens: 7 };
        write(&path, &looked).unwrap();
        let again = read(&path).unwrap().unwrap();
        assert_eq!((again.doubts, again.examined, again.asked, again.tokens), (vec![doubt], true, 64, 7));
        // What is no note is named, with what to do about it.
        std::fs::write(&path, "{").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("looked-1.json") && error.contains("remove the file"), "{error}");
    }

    #[test]
    fn another_order_is_found_and_a_bad_model_is_none() {
        let labels: Vec<usize> = (0..90).map(|row| (row * 7) % 3).collect();
        // Read right in an order of its own, but for every ninth row.
        let turned: Vec<usize> = labels
            .iter()
            .enumerate()
            .map(|(row, label)| (label + 1 + usize::from(row % 9 == 0)) % 3)
            .collect();
        let found = reordered(&turned, &rows(&labels), 3).unwrap();
        assert_eq!(found.order, [2, 0, 1]);
        assert!(found.in_order > 35 && found.as_they_stand < 5, "{} {}", found.in_order, found.as_they_stand);
        // As it should be, of one answer, of chance, and no better than half right in any order.
        assert!(reordered(&labels, &rows(&labels), 3).is_none());
        assert!(reordered(&[1; 90], &rows(&labels), 3).is_none());
        let chance: Vec<usize> =
            (0..90_u64).map(|row| (row.wrapping_mul(2_654_435_761) >> 7) as usize % 3).collect();
        assert!(reordered(&chance, &rows(&labels), 3).is_none());
        let half: Vec<usize> = labels
            .iter()
            .zip(&chance)
            .map(|(label, chance)| if chance % 2 == 0 { *chance } else { (label + 1) % 3 })
            .collect();
        assert!(reordered(&half, &rows(&labels), 3).is_none());
    }
}
