//! Ordinary clients: rows nobody attacked, some asked twice, and how many of them are not answered.

use std::collections::BTreeMap;

use mantlet_attacks::Random;
use mantlet_guard::Guard;
use mantlet_redteam::{Target, TargetError};
use mantlet_vocab::Tensor;

use super::{GuardedTarget, Layout};

/// Rows of one client.
const EACH: usize = 50;

/// What became of ordinary clients' requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Benign {
    /// Rows asked.
    pub rows: usize,
    /// Of these withheld.
    pub blocked: usize,
    /// Rows that failed otherwise and count as neither.
    pub failed: usize,
    /// Clients.
    pub callers: usize,
    /// Of these with at least one row withheld.
    pub callers_blocked: usize,
    /// The rules behind it.
    pub rules: BTreeMap<String, u64>,
}

/// What each client asks: rows by number, in an order drawn by the seed, one in ten asked once more.
fn sessions(rows: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut random = Random::new(seed ^ 0x0be1_1169);
    let mut order: Vec<usize> = (0..rows).collect();
    random.shuffle(&mut order);
    let each = order.chunks(EACH).map(|own| {
        let twice =
            own.iter().flat_map(|&row| if random.below(10) == 0 { vec![row, row] } else { vec![row] });
        twice.collect()
    });
    each.collect()
}

impl Benign {
    fn count(&mut self, answers: impl Iterator<Item = Result<(), TargetError>>) {
        let before = self.blocked;
        self.callers += 1;
        for answer in answers {
            match answer {
                Ok(()) => self.rows += 1,
                Err(TargetError::Refused { .. }) => {
                    self.rows += 1;
                    self.blocked += 1;
                }
                Err(_) => self.failed += 1,
            }
        }
        self.callers_blocked += usize::from(self.blocked > before);
    }
}

/// Ordinary clients of a model behind a guard in this process, each with a key of its own.
pub fn benign(target: &mut dyn Target, guard: &Guard, layout: &Layout, rows: &Tensor, seed: u64) -> Benign {
    let mut found = Benign::default();
    for (client, asked) in sessions(rows.rows(), seed).into_iter().enumerate() {
        let mut own = GuardedTarget::new(target, guard, layout, &format!("ordinary client {client}"));
        found.count(asked.into_iter().map(|row| own.labels(&rows.select(&[row])).map(drop)));
        for (rule, count) in own.passage.rules {
            *found.rules.entry(rule).or_default() += count;
        }
    }
    found
}

/// The same questions put to a running endpoint under one key, at most so many.
pub fn benign_through(target: &mut dyn Target, rows: &Tensor, seed: u64, most: usize) -> Benign {
    let mut found = Benign::default();
    let asked: Vec<usize> = sessions(rows.rows(), seed).into_iter().flatten().take(most).collect();
    found.count(asked.into_iter().map(|row| target.labels(&rows.select(&[row])).map(drop)));
    found
}
