//! Copies the model from few seeds by asking where a copy is unsure: after each round a copy is trained on the
//! answers so far, and the next questions are the made-up rows on which it hesitates most, spread out.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::rows::RowShape;
pub(crate) use crate::told::copied as say;
use crate::{
    Answer, Ask, Attack, AttackError, Constraints, Detail, Lesson, Material, Outcome, Purpose, Random,
    RowOutcome, State, Step, Stop, Warp, softmax,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "extraction-active",
    title: "a few examples and well-chosen questions are enough to train a copy of the model",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0024.002", "AML.T0040"],
    owasp: &["ML05:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// How it asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Rows asked in all, the seeds included.
    pub queries: usize,
    /// Rows asked between two trainings.
    pub round: usize,
    /// Made-up rows to choose from in each round.
    pub candidates: usize,
    /// Share of a round chosen by doubt; the rest is taken at random, so that what the copy is wrongly sure of is
    /// asked too.
    pub doubt: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { queries: 250, round: 38, candidates: 600, doubt: 0.5 }
    }
}

/// The share of made-up rows that are mixed of two.
const MIXED: f32 = 0.6;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Fresh,
    Asking,
    Choosing,
    Over,
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Active {
    config: Config,
    seed: u64,
    random: Random,
    shape: RowShape,
    classes: usize,
    constraints: Constraints,
    seeds: Tensor,
    /// Rows asked, then rows open.
    asked: Vec<f32>,
    labels: Vec<usize>,
    open: usize,
    candidates: Vec<f32>,
    phase: Phase,
}

impl Active {
    /// Prepares the attack from the seeds in `rows`.
    ///
    /// # Errors
    /// When the configuration is out of range or there are no rows or classes.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        if config.queries == 0
            || config.round == 0
            || config.candidates < config.round
            || !(0.0..=1.0).contains(&config.doubt)
        {
            let reason =
                "queries and round must be at least 1, candidates at least a round, doubt between 0 and 1";
            return Err(AttackError::Config { attack: ABOUT.name, reason: reason.to_owned() });
        }
        crate::material::needs_rows(ABOUT.name, &material)?;
        if material.classes < 2 {
            return Err(AttackError::Material {
                attack: ABOUT.name,
                needs: "at least two classes".to_owned(),
            });
        }
        Ok(Self {
            config,
            seed,
            random: Random::new(seed),
            shape: RowShape::of(&material.rows),
            classes: material.classes,
            constraints: material.constraints,
            seeds: material.rows,
            asked: Vec::new(),
            labels: Vec::new(),
            open: 0,
            candidates: Vec::new(),
            phase: Phase::Fresh,
        })
    }

    fn ask(&mut self, data: &[f32]) -> Step {
        self.open = data.len() / self.shape.len().max(1);
        self.asked.extend_from_slice(data);
        self.phase = Phase::Asking;
        Step::Ask(Ask::Labels(self.shape.batch(data.to_vec())))
    }

    /// Made-up rows, and what the copy of the moment makes of them.
    fn choose(&mut self) -> Step {
        self.candidates = (0..self.config.candidates).flat_map(|_| self.make()).collect();
        self.phase = Phase::Choosing;
        let lesson = Lesson::new(
            self.shape.batch(self.asked.clone()),
            self.labels.clone(),
            self.classes,
            Purpose::Copy,
            self.seed,
        );
        let rows = self.shape.batch(self.candidates.clone());
        Step::Ask(Ask::Learned { lesson: Box::new(lesson), rows, loss: None })
    }

    /// A seed turned, moved and bent (pictures) or jittered (tables), and more than half of them mixed with another:
    /// pictures with one the target gives the same class, since what lies between two ways to show one thing shows it
    /// too, while what lies between two things is like nothing it will be asked about; tables with any.
    fn make(&mut self) -> Vec<f32> {
        let seeds = self.seeds.rows();
        let first = self.random.below(seeds);
        let base = self.seeds.row(first).to_vec();
        let mut row = self.vary(&base);
        if self.random.unit() < MIXED {
            let pictures = self.shape.image().is_some();
            let fits = |other: usize| !pictures || self.labels.get(other) == self.labels.get(first);
            let others: Vec<usize> = (0..seeds).filter(|&other| fits(other)).collect();
            let other = others[self.random.below(others.len())];
            let other = self.seeds.row(other).to_vec();
            let other = self.vary(&other);
            let share = self.random.between(0.0, if pictures { 1.0 } else { 0.5 });
            row.iter_mut().zip(other).for_each(|(value, other)| *value += share * (other - *value));
        }
        self.constraints.repair(&base, &mut row);
        row
    }

    fn vary(&mut self, row: &[f32]) -> Vec<f32> {
        if let Some(image) = self.shape.image() {
            return Warp::bent(&mut self.random, 1.0, image).apply(row, image);
        }
        row.iter()
            .enumerate()
            .map(|(place, value)| value + 0.05 * self.constraints.width(place) * self.random.normal())
            .collect()
    }

    /// The next questions among the candidates: by doubt, each far from those already chosen, and some at random.
    fn pick(&mut self, scores: &Tensor) -> Vec<f32> {
        let len = self.shape.len();
        let count = self.config.round.min(self.config.queries - self.labels.len());
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a small count"
        )]
        let doubtful = (count as f32 * self.config.doubt).round() as usize;
        let doubts: Vec<f32> = (0..scores.rows()).map(|row| doubt(scores.row(row))).collect();
        let mut order: Vec<usize> = (0..doubts.len()).collect();
        order.sort_by(|a, b| doubts[*b].total_cmp(&doubts[*a]).then(a.cmp(b)));
        // Among the most doubtful, the one farthest from those chosen, again and again.
        let near: Vec<usize> = order.iter().copied().take(doubtful * 3).collect();
        let row = |index: usize| &self.candidates[index * len..(index + 1) * len];
        let mut chosen: Vec<usize> = near.first().copied().into_iter().take(doubtful).collect();
        let mut gaps = vec![f32::INFINITY; near.len()];
        while chosen.len() < doubtful.min(near.len()) {
            if let Some(last) = chosen.last() {
                for (gap, candidate) in gaps.iter_mut().zip(&near) {
                    let square = row(*candidate).iter().zip(row(*last)).map(|(a, b)| (a - b) * (a - b)).sum();
                    *gap = gap.min(square);
                }
            }
            let far = (0..near.len()).max_by(|a, b| gaps[*a].total_cmp(&gaps[*b]).then(b.cmp(a)));
            let Some(far) = far else { break };
            chosen.push(near[far]);
        }
        let mut rest: Vec<usize> = order.into_iter().filter(|index| !chosen.contains(index)).collect();
        self.random.shuffle(&mut rest);
        chosen.extend(rest.into_iter().take(count - chosen.len()));
        chosen.iter().flat_map(|index| self.candidates[index * len..(index + 1) * len].to_vec()).collect()
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let (len, answered) = (self.shape.len(), self.labels.len());
        let state = |row: usize| match stopped {
            _ if row < answered => State::Hit,
            Some(why) => why.state(),
            None => State::Undecided,
        };
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows: (0..self.config.queries)
                .map(|row| RowOutcome { queries: 1, ..RowOutcome::without_result(row, state(row)) })
                .collect(),
            detail: Detail::Extraction {
                rows: self.shape.batch(self.asked.get(..answered * len).unwrap_or(&[]).to_vec()),
                labels: self.labels.clone(),
                probabilities: None,
                values: Vec::new(),
                recognised: "labels".to_owned(),
            },
        }
    }
}

/// How much the copy hesitates between its two best classes: 0 sure, 1 undecided.
fn doubt(scores: &[f32]) -> f32 {
    let mut shares = scores.to_vec();
    softmax(&mut shares);
    shares.sort_by(|a, b| b.total_cmp(a));
    let margin = shares.first().copied().unwrap_or(1.0) - shares.get(1).copied().unwrap_or(0.0);
    if margin.is_finite() { 1.0 - margin } else { 0.0 }
}

impl Attack for Active {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        match (self.phase, answer) {
            (Phase::Fresh, _) => {
                let first = self.seeds.rows().min(self.config.queries);
                let seeds = self.seeds.data()[..first * self.shape.len()].to_vec();
                return self.ask(&seeds);
            }
            (Phase::Asking, Some(Answer::Labels(labels)))
                if labels.len() == self.open && labels.iter().all(|label| *label < self.classes) =>
            {
                self.labels.extend(labels);
                self.open = 0;
            }
            (Phase::Choosing, Some(Answer::Scores(scores))) if scores.rows() == self.config.candidates => {
                let data = self.pick(&scores);
                self.candidates.clear();
                return self.ask(&data);
            }
            (Phase::Over, _) => return Step::Done(self.outcome(None)),
            _ => return Step::Done(self.outcome(Some(Stop::Failure))),
        }
        if self.labels.len() >= self.config.queries {
            self.phase = Phase::Over;
            return Step::Done(self.outcome(None));
        }
        self.choose()
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        self.outcome(Some(why))
    }

    /// None before the end: a few answers are no copy.
    fn hits(&self) -> usize {
        if self.phase == Phase::Over { self.labels.len() } else { 0 }
    }

    fn save(&self) -> serde_json::Value {
        crate::saved(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_hold() {
        crate::testing::hold(ABOUT.name, ABOUT.cases);
    }

    #[test]
    fn questions_gather_where_the_copy_hesitates() {
        let case = crate::testing::cases(ABOUT.cases).remove(0).body;
        let config = Config { queries: 40, round: 17, candidates: 200, doubt: 1.0 };
        let mut attack = Active::new(config, 5, case.material()).unwrap();
        let (outcome, _) = case.model.play(&mut attack);
        let Detail::Extraction { rows, .. } = outcome.detail else { panic!() };
        // The boundary of the case's model is where the values sum to 0.9.
        let gap = |row: usize| (rows.row(row).iter().sum::<f32>() - 0.9).abs();
        let mean = |rows: std::ops::Range<usize>| {
            let count = rows.len() as f32;
            rows.map(gap).sum::<f32>() / count
        };
        let seeds = case.rows.len();
        assert!(mean(seeds + 17..40) < 0.7 * mean(0..seeds), "{} {}", mean(seeds + 17..40), mean(0..seeds));
    }
}
