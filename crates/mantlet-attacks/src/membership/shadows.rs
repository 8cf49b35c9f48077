//! Shadow models: the target is asked once about every candidate; models of the attacker's own are then trained on
//! random halves of the candidates, each half and its complement, so that every candidate is in exactly half of
//! them.

use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};

use super::measure::Measured;
use super::threshold::{log_odds, residuals};
use crate::{
    Answer, Ask, AttackError, Lesson, Material, Outcome, Purpose, Random, ScoreKind, Stop, material,
};

/// How shadows are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shadowing {
    /// How many, rounded up to an even number.
    pub shadows: usize,
    /// The most members, and the most non-members, that are judged.
    pub candidates: usize,
    /// The most further training rows that every shadow learns too, so that shadows are as large as the target.
    pub background: usize,
    /// The share of non-members that may be called members.
    pub false_alarms: f64,
}

impl Default for Shadowing {
    fn default() -> Self {
        Self { shadows: 64, candidates: 1_000, background: 4_000, false_alarms: 0.01 }
    }
}

/// The work in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Shadows {
    shadowing: Shadowing,
    classes: usize,
    /// Members, then others.
    rows: Tensor,
    labels: Vec<usize>,
    /// The true score of each candidate where the model gives a score, and which of its scores that is.
    truths: Vec<f32>,
    column: usize,
    /// The spread of true scores: what distances are told in.
    scale: f32,
    /// For each member its row in the material.
    members: Vec<usize>,
    background: Tensor,
    background_labels: Vec<usize>,
    background_truths: Vec<f32>,
    random: Random,
    seed: u64,
    /// Whether the target has been asked, and how many shadows have answered.
    asked: bool,
    trained: usize,
    /// For each shadow, which candidates it learned.
    inside: Vec<Vec<bool>>,
    /// Log-odds of the true class, or by how much the score is above the true one: the target's, and each shadow's.
    target: Vec<Option<f32>>,
    shadows: Vec<Vec<f32>>,
}

/// What comes next.
pub(super) enum Next {
    Ask(Ask),
    /// All shadows have answered.
    Ready,
    Failed,
}

impl Shadows {
    /// Members in `rows`, non-members in `pool`, both with labels.
    pub(super) fn new(
        attack: &'static str,
        shadowing: Shadowing,
        seed: u64,
        material: &Material,
    ) -> Result<Self, AttackError> {
        let share = shadowing.false_alarms > 0.0 && shadowing.false_alarms < 1.0;
        if !share || !(2..=512).contains(&shadowing.shadows) || shadowing.candidates == 0 {
            let reason =
                "shadows must be 2 to 512, candidates at least 1, false_alarms between 0 and 1".to_owned();
            return Err(AttackError::Config { attack, reason });
        }
        material::needs_rows(attack, material)?;
        let needs = |needs: &str| AttackError::Material { attack, needs: needs.to_owned() };
        let Some(pool) = material.pool.as_ref().filter(|pool| pool.rows() > 0) else {
            return Err(needs("rows the model was not trained on, in the pool"));
        };
        let scored = !material.values.is_empty() && !material.pool_values.is_empty();
        let unlabelled = material.labels.is_empty() || material.pool_labels.is_empty();
        if !scored && (unlabelled || material.classes < 2) {
            return Err(needs("labels of members and non-members, and two classes"));
        }
        if !scored
            && material.labels.iter().chain(&material.pool_labels).any(|label| *label >= material.classes)
        {
            return Err(needs("labels below the number of classes"));
        }
        let mut random = Random::new(seed);
        let mut draw = |rows: usize| {
            let mut order: Vec<usize> = (0..rows).collect();
            random.shuffle(&mut order);
            let rest = order.split_off(rows.min(shadowing.candidates));
            order.sort_unstable();
            (order, rest)
        };
        let (members, mut rest) = draw(material.rows.rows());
        let (others, _) = draw(pool.rows());
        rest.truncate(shadowing.background);
        rest.sort_unstable();
        let mut rows = material.rows.select(&members);
        let mut shape = rows.shape().to_vec();
        shape[0] += others.len();
        let mut data = std::mem::replace(&mut rows, Tensor::full([0], 0.0)).into_data();
        data.extend_from_slice(pool.select(&others).data());
        let gather = |own: &[f32], pool: &[f32]| -> Vec<f32> {
            let all = members.iter().map(|&row| own[row]).chain(others.iter().map(|&row| pool[row]));
            if scored { all.collect() } else { Vec::new() }
        };
        let truths = gather(&material.values, &material.pool_values);
        let labels = if scored {
            vec![0; truths.len()]
        } else {
            let labels = members.iter().map(|&row| material.labels[row]);
            labels.chain(others.iter().map(|&row| material.pool_labels[row])).collect()
        };
        let of_rest = |values: &[usize]| -> Vec<usize> {
            rest.iter().map(|&row| values.get(row).copied().unwrap_or(0)).collect()
        };
        Ok(Self {
            classes: if scored { 1 } else { material.classes },
            column: material.score,
            scale: spread(&truths),
            background_truths: rest.iter().filter_map(|&row| material.values.get(row).copied()).collect(),
            truths,
            rows: Tensor::new(shape, data).map_err(|_| needs("rows and pool of one shape"))?,
            labels,
            background: material.rows.select(&rest),
            background_labels: of_rest(&material.labels),
            members,
            random,
            seed,
            asked: false,
            trained: 0,
            inside: Vec::new(),
            target: Vec::new(),
            shadows: Vec::new(),
            shadowing,
        })
    }

    /// How many candidates there are, members first.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether what is compared is by how much a score is above the true one, in spreads of true scores: nearer 0 is a
    /// better fit. Log-odds of the true class otherwise: higher is a better fit.
    pub(super) const fn scored(&self) -> bool {
        !self.truths.is_empty()
    }

    /// How well a row is fitted, higher being better, from what [`Shadows::target`] and [`Shadows::split`] give.
    pub(super) fn fit(&self, value: f32) -> f32 {
        if self.scored() { -value.abs() } else { value }
    }

    /// By how much the scores of candidates are above the true ones.
    fn apart(&self, scores: &Tensor, column: usize) -> Option<Vec<Option<f32>>> {
        let apart = residuals(scores, &self.truths, column)?;
        Some(apart.into_iter().map(|apart| apart.map(|apart| apart / self.scale)).collect())
    }

    /// Each candidate's log-odds in the target; `None` where the answer was no number.
    pub(super) fn target(&self) -> &[Option<f32>] {
        &self.target
    }

    /// The candidate's log-odds in the shadows that learned it, and in those that did not.
    pub(super) fn split(&self, candidate: usize) -> (Vec<f32>, Vec<f32>) {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for (inside, scores) in self.inside.iter().zip(&self.shadows) {
            if inside[candidate] { with.push(scores[candidate]) } else { without.push(scores[candidate]) }
        }
        (with, without)
    }

    /// The label of a candidate.
    pub(super) fn label(&self, candidate: usize) -> usize {
        self.labels[candidate]
    }

    pub(super) fn next(&mut self, answer: Option<Answer>) -> Next {
        match answer {
            None if !self.asked => {
                self.asked = true;
                return Next::Ask(Ask::Scores(self.rows.clone()));
            }
            Some(Answer::Scores(scores))
                if self.scored() && scores.rows() == self.len() && self.target.is_empty() =>
            {
                let Some(apart) = self.apart(&scores, self.column) else { return Next::Failed };
                self.target = apart;
            }
            Some(Answer::Scores(scores))
                if self.scored() && scores.rows() == self.len() && self.shadows.len() < self.inside.len() =>
            {
                let Some(apart) = self.apart(&scores, 0) else { return Next::Failed };
                self.shadows.push(apart.into_iter().map(Option::unwrap_or_default).collect());
                self.trained += 1;
            }
            Some(Answer::Scores(scores)) if scores.rows() == self.len() && self.target.is_empty() => {
                let kind = ScoreKind::recognise(&scores);
                self.target = (0..self.len())
                    .map(|row| {
                        log_odds(scores.row(row), self.labels[row], kind).filter(|odds| odds.is_finite())
                    })
                    .collect();
            }
            Some(Answer::Scores(scores))
                if scores.rows() == self.len() && self.shadows.len() < self.inside.len() =>
            {
                let odds = (0..self.len())
                    .map(|row| log_odds(scores.row(row), self.labels[row], ScoreKind::Logits).unwrap_or(0.0))
                    .collect();
                self.shadows.push(odds);
                self.trained += 1;
            }
            _ => return Next::Failed,
        }
        if self.trained >= self.shadowing.shadows.next_multiple_of(2) {
            return Next::Ready;
        }
        Next::Ask(self.train())
    }

    fn train(&mut self) -> Ask {
        let inside: Vec<bool> = match self.inside.last() {
            Some(last) if self.trained % 2 == 1 => last.iter().map(|inside| !inside).collect(),
            _ => {
                let mut order: Vec<usize> = (0..self.len()).collect();
                self.random.shuffle(&mut order);
                let mut inside = vec![false; self.len()];
                order.iter().take(self.len() / 2).for_each(|row| inside[*row] = true);
                inside
            }
        };
        let chosen: Vec<usize> = (0..self.len()).filter(|row| inside[*row]).collect();
        self.inside.push(inside);
        let mut shape = self.rows.shape().to_vec();
        shape[0] = chosen.len() + self.background.rows();
        let mut data = self.rows.select(&chosen).into_data();
        data.extend_from_slice(self.background.data());
        let labels = chosen.iter().map(|&row| self.labels[row]);
        let labels = labels.chain(self.background_labels.iter().copied()).collect();
        let rows = Tensor::new(shape, data).unwrap_or_else(|_| Tensor::full([0], 0.0));
        let seed = self.seed.wrapping_mul(1_000).wrapping_add(self.trained as u64);
        let mut lesson = Lesson::new(rows, labels, self.classes, Purpose::Shadow, seed);
        if self.scored() {
            let truths =
                chosen.iter().map(|&row| self.truths[row]).chain(self.background_truths.iter().copied());
            lesson = Lesson::of_values(&lesson.rows, &truths.collect::<Vec<_>>(), Purpose::Shadow, seed);
        }
        Ask::Learned { lesson: Box::new(lesson), rows: self.rows.clone(), loss: None }
    }

    /// The outcome for these scores, one a candidate; none when the attack was stopped.
    pub(super) fn outcome(
        &self,
        attack: &'static str,
        scores: &[Option<f32>],
        score: String,
        stopped: Option<Stop>,
    ) -> Outcome {
        let split = self.members.len().min(scores.len());
        Measured {
            attack,
            rows: &self.members,
            labels: &self.labels[..self.members.len()],
            members: &scores[..split],
            others: &scores[split..],
            false_alarms: self.shadowing.false_alarms,
            score,
            queries_each: u64::from(self.asked),
            stopped,
        }
        .outcome()
    }
}

/// The deviation of some values, at least a trifle.
#[expect(clippy::cast_possible_truncation, reason = "a unit to tell distances in")]
fn spread(values: &[f32]) -> f32 {
    let centre = mean(values);
    let squares = values.iter().map(|value| (f64::from(*value) - centre).powi(2)).sum::<f64>();
    let count = f64::from(u32::try_from(values.len().max(1)).unwrap_or(u32::MAX));
    ((squares / count).sqrt() as f32).max(1e-12)
}

/// Mean of some values; 0 of none.
pub(super) fn mean(values: &[f32]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few shadows")]
    let count = values.len().max(1) as f64;
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / count
}

/// An attack that is a score over [`Shadows`]: the state machine all of them share.
macro_rules! over_shadows {
    ($attack:ident) => {
        impl Attack for $attack {
            fn about(&self) -> &'static About {
                &ABOUT
            }

            fn step(&mut self, answer: Option<Answer>) -> Step {
                if self.over {
                    return Step::Done(self.outcome(None));
                }
                match self.shadows.next(answer) {
                    Next::Ask(ask) => Step::Ask(ask),
                    Next::Ready => {
                        self.over = true;
                        Step::Done(self.outcome(None))
                    }
                    Next::Failed => Step::Done(self.outcome(Some(Stop::Failure))),
                }
            }

            fn stop(&mut self, why: Stop) -> Outcome {
                self.outcome(Some(why))
            }

            fn hits(&self) -> usize {
                if self.over { self.outcome(None).count(State::Hit) } else { 0 }
            }

            fn save(&self) -> serde_json::Value {
                crate::saved(self)
            }
        }

        impl $attack {
            fn outcome(&self, stopped: Option<Stop>) -> Outcome {
                let scores = if stopped.is_none() { self.scores() } else { Vec::new() };
                self.shadows.outcome(ABOUT.name, &scores, self.score(), stopped)
            }
        }
    };
}
pub(super) use over_shadows;
