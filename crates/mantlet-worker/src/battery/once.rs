//! What a battery still may spend, and what an endpoint need not be asked twice.

use mantlet_redteam::{CampaignError, Target, steady};
use mantlet_vocab::{Digest, Tensor};

use super::{Battery, Caps};
use crate::targets::Answers;

/// Rows asked twice to find out whether answers are worth keeping.
const STEADY: usize = 4;
/// How many times as much must be left for that to be worth it.
const SPARE: u64 = 16;

impl Battery<'_> {
    /// What an endpoint answered so far, when it answers the same question the same way; the questions that find it out
    /// count. Files answer for nothing, and are asked again.
    pub(super) fn memory(&mut self, target: &mut dyn Target) -> Result<Option<Answers>, CampaignError> {
        let facts = target.describe();
        if facts.max_rows == 0 {
            return Ok(None);
        }
        let rows = self.ground.probe_rows(STEADY.min(facts.max_rows)).x;
        let (queries, tokens) = (2 * rows.rows() as u64, 2 * target.tokens_at_most(&rows));
        let few = self.left.queries < SPARE.saturating_mul(queries)
            || self.left.tokens < SPARE.saturating_mul(tokens);
        if few || rows.rows() == 0 {
            return Ok(None);
        }
        self.left.queries = self.left.queries.saturating_sub(queries);
        self.left.tokens = self.left.tokens.saturating_sub(tokens);
        let mut answers = match &self.plan.journal {
            Some(folder) => {
                let name = Digest::of(facts.name.as_bytes()).hex();
                Answers::open(&folder.join(format!("answers-{}.jsonl", &name[..12])))?
            }
            None => Answers::default(),
        };
        let steady = match answers.steady() {
            Some(steady) => steady,
            None => {
                let Some(steady) = steady(target, &rows) else { return Ok(None) };
                answers.set_steady(steady)?;
                steady
            }
        };
        Ok(steady.then_some(answers))
    }

    /// What is left of the caps now.
    pub(super) fn caps_left(&self) -> Caps {
        let spent = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let millis =
            if self.plan.caps.millis == u64::MAX { u64::MAX } else { self.left.millis.saturating_sub(spent) };
        Caps { millis, ..self.left }
    }

    /// The scores of further rows in one column, within the caps; `None` beyond them or when the target does not answer.
    pub(super) fn scores(
        &mut self,
        target: &mut dyn Target,
        rows: &Tensor,
        column: usize,
    ) -> Option<Vec<f32>> {
        self.further_rows(target, rows, |target, part| {
            let scores = target.scores(part).ok().filter(|scores| scores.rows() == part.rows())?;
            (0..part.rows()).map(|row| scores.row(row).get(column).copied()).collect()
        })
    }

    /// Labels of further rows, within the caps; `None` beyond them or when the target does not answer.
    pub(super) fn labels(&mut self, target: &mut dyn Target, rows: &Tensor) -> Option<Vec<usize>> {
        self.further_rows(target, rows, |target, part| target.labels(part).ok())
    }

    /// An answer for each of further rows, in batches that the target takes.
    fn further_rows<A>(
        &mut self,
        target: &mut dyn Target,
        rows: &Tensor,
        mut ask: impl FnMut(&mut dyn Target, &Tensor) -> Option<Vec<A>>,
    ) -> Option<Vec<A>> {
        let count = rows.rows() as u64;
        self.left.queries = self.left.queries.checked_sub(count)?;
        let most = target.describe().max_rows;
        let size = if most == 0 { rows.rows().max(1) } else { most };
        let mut answers = Vec::with_capacity(rows.rows());
        for start in (0..rows.rows()).step_by(size) {
            let part: Vec<usize> = (start..(start + size).min(rows.rows())).collect();
            let part = rows.select(&part);
            self.left.tokens = self.left.tokens.checked_sub(target.tokens_at_most(&part))?;
            answers.extend(ask(target, &part)?);
        }
        (answers.len() == rows.rows()).then_some(answers)
    }
}
