//! What every evasion shares: which rows are attacked, what was asked, and the nearest success of each row.
//!
//! A method only says which rows to ask next and learns from the answers. Every answer is judged here: a row is
//! a success when the model's own answer on that very row, as it was sent, reaches the goal and the row obeys
//! the constraints. So the best row is never lost and never one that was not asked.
//!
//! Long because what was asked and what it proves have to stay in one place.

use mantlet_vocab::{About, Tensor, TreeEnsemble};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::ball::size;
use crate::constraints::within;
use crate::rows::{RowShape, classes_of};
use crate::{
    Answer, Ask, Attack, AttackError, Constraints, Detail, Goal, Loss, Material, Norm, Outcome, Random,
    RowOutcome, State, Step, Stop,
};

/// A row under attack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Its index in the material.
    pub(crate) index: usize,
    /// The class the model gives it (0 for a score that is no class).
    pub(crate) label: usize,
    /// The first score the model gives it, when scores were asked.
    pub(crate) score: f32,
    /// By how much that score is to move, with its sign, where the goal says so.
    pub(crate) by: f32,
    /// The nearest success.
    pub(crate) best: Option<Best>,
    broken: bool,
    pub(crate) queries: u64,
}

/// A success.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Best {
    pub(crate) values: Vec<f32>,
    pub(crate) after: usize,
    pub(crate) distance: f32,
}

/// The most rows of the pool that are ranked among.
const RANKED: usize = 2_000;

/// What an attack works on and what it reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Base {
    pub(crate) random: Random,
    pub(crate) shape: RowShape,
    pub(crate) originals: Tensor,
    truths: Vec<usize>,
    pub(crate) classes: usize,
    pub(crate) constraints: Constraints,
    pub(crate) goal: Goal,
    pub(crate) pool: Option<Tensor>,
    pub(crate) pool_labels: Vec<usize>,
    pub(crate) trees: Option<TreeEnsemble>,
    pub(crate) rows: Vec<Row>,
    already: Vec<usize>,
    unlabelled: Vec<usize>,
    /// The norm successes are compared in, and the largest distance that counts.
    pub(crate) norm: Norm,
    pub(crate) radius: f32,
    /// The ball that every changed row has to stay in, where the method keeps to one; mending relations could leave it.
    pub(crate) ball: Option<(Norm, f32)>,
    /// Whether a row within the radius is finished.
    pub(crate) stop_at_hit: bool,
    /// Whether successes count at the moment; a shared change counts only once it is finished.
    pub(crate) recording: bool,
    /// What is reported of the gradients and phases.
    pub(crate) gradient_rows: u64,
    pub(crate) gradient_zero: u64,
    pub(crate) by_loss: Vec<(String, usize)>,
    /// Below what distance no success exists, proved, by row of the material.
    pub(crate) bounds: Vec<(usize, f32)>,
    /// The rows of the open question and what was sent.
    asked: Vec<usize>,
    sent: Vec<f32>,
}

/// What a method is told.
pub(crate) struct Reply {
    /// The rows asked, in order, as indices into [`Base::rows`].
    pub(crate) rows: Vec<usize>,
    /// What was sent: one row of values each.
    pub(crate) sent: Vec<f32>,
    /// Whether each reached the goal.
    pub(crate) won: Vec<bool>,
    /// The class of each; `None` where the answer is no number.
    pub(crate) classes: Vec<Option<usize>>,
    pub(crate) scores: Option<Tensor>,
    pub(crate) loss: Vec<f32>,
    pub(crate) gradient: Option<Tensor>,
}

impl Reply {
    /// What was sent at this place.
    pub(crate) fn values(&self, place: usize) -> &[f32] {
        let len = self.sent.len().checked_div(self.rows.len()).unwrap_or(0);
        self.sent.get(place * len..(place + 1) * len).unwrap_or(&[])
    }

    /// The gradient at this place; empty when there is none or it is not all numbers.
    pub(crate) fn slope(&self, place: usize) -> &[f32] {
        let slope = self.gradient.as_ref().filter(|gradient| place < gradient.rows()).map(|g| g.row(place));
        slope.filter(|slope| slope.iter().all(|value| value.is_finite())).unwrap_or(&[])
    }

    /// The scores at this place.
    pub(crate) fn scores(&self, place: usize) -> &[f32] {
        self.scores.as_ref().filter(|scores| place < scores.rows()).map_or(&[], |scores| scores.row(place))
    }
}

impl Base {
    fn new(seed: u64, material: Material) -> Self {
        Self {
            random: Random::new(seed),
            shape: RowShape::of(&material.rows),
            originals: material.rows,
            truths: material.labels,
            classes: material.classes,
            constraints: material.constraints,
            goal: material.goal,
            pool: material.pool.filter(|pool| pool.rows() > 0),
            pool_labels: material.pool_labels,
            trees: material.trees,
            rows: Vec::new(),
            already: Vec::new(),
            unlabelled: Vec::new(),
            norm: Norm::Linf,
            radius: f32::MAX,
            ball: None,
            stop_at_hit: true,
            recording: true,
            gradient_rows: 0,
            gradient_zero: 0,
            by_loss: Vec::new(),
            bounds: Vec::new(),
            asked: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Rows of the pool that are ranked among; a bound on the first question.
    fn ranked(&self) -> usize {
        let among = self.pool.as_ref().filter(|_| matches!(self.goal, Goal::Ranked { .. }));
        among.map_or(0, |pool| pool.rows().min(RANKED))
    }

    /// How many rows the first question has.
    fn first_len(&self) -> usize {
        self.originals.rows() + self.ranked()
    }

    /// The rows of the first question: the originals, and those to rank among.
    fn first(&self) -> Tensor {
        let mut data = self.originals.data().to_vec();
        if let Some(pool) = &self.pool {
            data.extend_from_slice(&pool.data()[..self.ranked() * self.len()]);
        }
        self.shape.batch(data)
    }

    /// Values in a row.
    pub(crate) fn len(&self) -> usize {
        self.shape.len()
    }

    /// The original of a row under attack.
    pub(crate) fn original(&self, row: usize) -> &[f32] {
        self.originals.row(self.rows[row].index)
    }

    /// Rows on which there is work left.
    pub(crate) fn open(&self) -> Vec<usize> {
        (0..self.rows.len()).filter(|&row| self.is_open(row)).collect()
    }

    /// Whether there is work left on a row.
    pub(crate) fn is_open(&self, row: usize) -> bool {
        !(self.rows[row].broken || self.stop_at_hit && self.is_hit(row))
    }

    /// Nothing can be said of this row.
    pub(crate) fn give_up(&mut self, row: usize) {
        self.rows[row].broken = true;
    }

    /// Whether a success within the radius is known.
    pub(crate) fn is_hit(&self, row: usize) -> bool {
        self.rows[row].best.as_ref().is_some_and(|best| within(best.distance, self.radius))
    }

    /// The distance of the nearest success; the largest number while there is none.
    pub(crate) fn best_distance(&self, row: usize) -> f32 {
        self.rows[row].best.as_ref().map_or(f32::MAX, |best| best.distance)
    }

    /// How far value `at` may still move up or down, in widths, when it has moved by `shift` already.
    pub(crate) fn room(&self, row: usize, at: usize, shift: f32, up: bool) -> f32 {
        let constraint = self.constraints.at(at);
        if constraint.immutable {
            return 0.0;
        }
        if self.constraints.is_empty() {
            return f32::MAX;
        }
        let (value, width) = (self.original(row)[at], self.constraints.width(at));
        if up {
            (constraint.upper.max(value) - value) / width - shift
        } else {
            (value - constraint.lower.min(value)) / width + shift
        }
    }

    /// Clamps a change, in widths, to what the values of a row may be.
    pub(crate) fn clamp(&self, row: usize, shift: &mut [f32]) {
        if self.constraints.is_empty() {
            return;
        }
        let original = self.original(row);
        for (at, (shift, value)) in shift.iter_mut().zip(original).enumerate() {
            let (constraint, width) = (self.constraints.at(at), self.constraints.width(at));
            *shift = if constraint.immutable {
                0.0
            } else {
                let low = (constraint.lower.min(*value) - value) / width;
                let high = (constraint.upper.max(*value) - value) / width;
                shift.clamp(low, high)
            };
        }
    }

    /// The row as it is sent: the original changed by `shift` widths, repaired.
    pub(crate) fn shifted(&self, row: usize, shift: &[f32]) -> Vec<f32> {
        let original = self.original(row);
        let moved = original.iter().zip(shift).enumerate();
        let mut changed: Vec<f32> =
            moved.map(|(at, (value, shift))| value + shift * self.constraints.width(at)).collect();
        self.repair(row, &mut changed);
        changed
    }

    /// Moves a row to a near one that obeys, inside the ball where there is one.
    fn repair(&self, row: usize, changed: &mut [f32]) {
        let original = self.original(row);
        match self.ball {
            None => self.constraints.repair(original, changed),
            Some((norm, radius)) => self.constraints.repair_inside(original, changed, norm, radius),
        }
    }

    /// The change of these values from the original, in widths.
    pub(crate) fn shift_of(&self, row: usize, values: &[f32]) -> Vec<f32> {
        let pairs = self.original(row).iter().zip(values).enumerate();
        pairs.map(|(at, (original, value))| (value - original) / self.constraints.width(at)).collect()
    }

    /// A gradient in widths.
    pub(crate) fn widen(&self, slope: &[f32]) -> Vec<f32> {
        slope.iter().enumerate().map(|(at, value)| value * self.constraints.width(at)).collect()
    }

    /// Adds a row to the question; it is repaired first.
    pub(crate) fn put(&mut self, row: usize, mut values: Vec<f32>) {
        self.repair(row, &mut values);
        self.rows[row].queries += 1;
        self.asked.push(row);
        self.sent.extend(values);
    }

    /// Adds a row changed by `shift` widths to the question.
    pub(crate) fn put_shift(&mut self, row: usize, shift: &[f32]) {
        let values = self.shifted(row, shift);
        self.rows[row].queries += 1;
        self.asked.push(row);
        self.sent.extend(values);
    }

    fn batch(&self) -> Option<Tensor> {
        (!self.asked.is_empty()).then(|| self.shape.batch(self.sent.clone()))
    }

    /// Asks for the decision on the rows put: labels, or scores where the goal needs them.
    pub(crate) fn decide(&self) -> Option<Ask> {
        let rows = self.batch()?;
        Some(if self.goal.column().is_some() { Ask::Scores(rows) } else { Ask::Labels(rows) })
    }

    /// A turn without a question: the next one follows at once.
    pub(crate) fn nothing(&self) -> Option<Ask> {
        Some(Ask::Labels(self.shape.batch(Vec::new())))
    }

    /// Asks for the scores of the rows put.
    pub(crate) fn score(&self) -> Option<Ask> {
        self.batch().map(Ask::Scores)
    }

    /// Asks for the gradient of a loss on the rows put; see [`Base::loss`].
    pub(crate) fn gradient(&self, loss: impl FnOnce(Vec<usize>) -> Loss) -> Option<Ask> {
        let labels = self.asked.iter().map(|&row| self.rows[row].label).collect();
        let loss = match self.goal {
            Goal::Leave => loss(labels),
            Goal::Class { class } => match loss(labels) {
                Loss::CrossEntropy { .. } => Loss::Toward { class },
                Loss::LogitRatio { labels } | Loss::PairRatio { labels, .. } => {
                    Loss::PairRatio { targets: vec![class; labels.len()], labels }
                }
                Loss::Margin { labels } | Loss::Pair { labels, .. } => {
                    Loss::Pair { targets: vec![class; labels.len()], labels }
                }
                other => other,
            },
            Goal::Moved { column, .. } | Goal::Ranked { column, .. } => {
                Loss::Column { column, falls: self.goal.falls() }
            }
        };
        self.batch().map(|rows| Ask::Gradient { rows, loss })
    }

    /// How near scores are to the goal: positive when it is reached, higher is nearer. Probabilities are
    /// compared as logarithms, so that a saturated model still shows a direction.
    pub(crate) fn margin(&self, row: usize, scores: &[f32]) -> f32 {
        let own = &self.rows[row];
        // Shares sum to 1, or nearly where they are rounded; a logit may lie between 0 and 1 by chance, beside a 0.
        let probabilities = scores.iter().all(|score| (0.0..=1.0).contains(score))
            && (scores.iter().sum::<f32>() - 1.0).abs() < 0.05;
        let level = |score: f32| if probabilities { score.max(1e-12).ln() } else { score };
        let best_other = |class: usize| {
            let others = scores.iter().enumerate().filter(|(other, _)| *other != class);
            others.map(|(_, score)| level(*score)).fold(f32::NEG_INFINITY, f32::max)
        };
        let at = |class: usize| scores.get(class).copied().map_or(f32::NEG_INFINITY, level);
        let margin = match self.goal {
            Goal::Leave => best_other(own.label) - at(own.label),
            Goal::Class { class } => at(class) - best_other(class),
            Goal::Moved { column, .. } | Goal::Ranked { column, .. } => {
                (scores.get(column).copied().unwrap_or(own.score) - own.score) * own.by.signum()
                    - own.by.abs()
            }
        };
        // Kept finite, so that it can be written.
        if margin.is_nan() { f32::MIN } else { margin.clamp(f32::MIN, f32::MAX) }
    }

    fn reached(&self, row: usize, class: Option<usize>, scores: &[f32]) -> bool {
        match (self.goal, class) {
            (_, None) => false,
            (Goal::Leave, Some(class)) => class != self.rows[row].label,
            (Goal::Class { class: wanted }, Some(class)) => class == wanted,
            (Goal::Moved { .. } | Goal::Ranked { .. }, Some(_)) => self.margin(row, scores) >= 0.0,
        }
    }

    /// Keeps a success when it is the nearest; says whether it is one.
    fn judge(&mut self, row: usize, values: &[f32], class: Option<usize>, scores: &[f32]) -> bool {
        let obeys = self.constraints.obeys(self.originals.row(self.rows[row].index), values);
        let Some(after) = class.filter(|_| obeys && self.reached(row, class, scores)) else { return false };
        if self.recording {
            let distance =
                self.constraints.distances(self.originals.row(self.rows[row].index), values).of(self.norm);
            let nearest = self.rows[row].best.as_ref().is_none_or(|best| distance < best.distance);
            if nearest {
                let first = !self.is_hit(row);
                self.rows[row].best = Some(Best { values: values.to_vec(), after, distance });
                if first
                    && self.is_hit(row)
                    && let Some((_, hits)) = self.by_loss.last_mut()
                {
                    *hits += 1;
                }
            }
        }
        true
    }

    /// Rows that may be on the other side: of the pool where its labels say so, else noise between the bounds.
    pub(crate) fn start(&mut self, row: usize) -> Vec<f32> {
        let label = self.rows[row].label;
        let wanted = if let Goal::Class { class } = self.goal { Some(class) } else { None };
        if let Some(pool) = &self.pool {
            let fits = |index: usize| {
                self.pool_labels
                    .get(index)
                    .is_none_or(|own| wanted.map_or(*own != label, |wanted| *own == wanted))
            };
            let fitting = (0..pool.rows()).filter(|&index| fits(index)).count();
            if fitting > 0 {
                let pick = self.random.below(fitting);
                let index = (0..pool.rows()).filter(|&index| fits(index)).nth(pick).unwrap_or(0);
                return pool.row(index).to_vec();
            }
        }
        (0..self.len())
            .map(|at| {
                let bounds = self.constraints.at(at);
                let (low, high) = (bounds.lower.max(-1e6), bounds.upper.min(1e6));
                self.random.between(low, high)
            })
            .collect()
    }

    /// By how much a score has to move for the goal; `None` where a row cannot move so many places.
    fn by(&self, score: f32, ranking: &[f32]) -> Option<f32> {
        match self.goal {
            Goal::Leave | Goal::Class { .. } => Some(0.0),
            Goal::Moved { by, .. } => Some(by),
            Goal::Ranked { places, .. } => {
                let ahead = ranking.iter().filter(|other| **other > score).count();
                let steps = usize::try_from(places.unsigned_abs()).unwrap_or(usize::MAX);
                // The ranking is sorted, highest first: to climb, the score of the row that is `steps` ahead has to be
                // passed; to fall, that of the row as far behind.
                let passed = if places > 0 {
                    *ranking.get(ahead.checked_sub(steps)?)?
                } else {
                    let level = ranking.iter().filter(|other| **other >= score).count();
                    *ranking.get(level.checked_add(steps)?.checked_sub(1)?)?
                };
                let beyond = (passed - score).abs() * 1e-5 + passed.abs() * 1e-6 + 1e-9;
                Some(if places > 0 { passed - score + beyond } else { passed - score - beyond })
            }
        }
    }

    /// Takes the labels or scores of the originals; behind them those of the pool where the goal is about places.
    fn label(&mut self, classes: &[Option<usize>], scores: Option<&Tensor>) {
        let column = self.goal.column().unwrap_or(0);
        let score_of = |index: usize| scores.and_then(|scores| scores.row(index).get(column).copied());
        let count = self.originals.rows();
        let mut ranking: Vec<f32> =
            (count..classes.len()).filter_map(score_of).filter(|score| score.is_finite()).collect();
        ranking.sort_by(|a, b| b.total_cmp(a));
        for (index, class) in classes.iter().take(count).enumerate() {
            let score = score_of(index).unwrap_or(0.0);
            let by = self.by(score, &ranking);
            match (class, self.truths.get(index), self.goal) {
                (None, _, _) => self.unlabelled.push(index),
                (Some(class), Some(truth), Goal::Leave | Goal::Class { .. }) if class != truth => {
                    self.already.push(index);
                }
                // A row that is in the wanted class already cannot be driven there.
                (Some(own), _, Goal::Class { class }) if *own == class => self.already.push(index),
                (Some(class), _, goal) => {
                    let label = if goal.column().is_some() { 0 } else { *class };
                    match by {
                        Some(by) => {
                            self.rows.push(Row {
                                index,
                                label,
                                score,
                                by,
                                best: None,
                                broken: false,
                                queries: 1,
                            });
                        }
                        // There are not so many places ahead, or behind.
                        None => self.already.push(index),
                    }
                }
            }
        }
    }

    /// Judges an answer and hands it on; `None` when it does not fit the question.
    fn take(&mut self, answer: Answer) -> Option<Reply> {
        let (rows, sent) = (std::mem::take(&mut self.asked), std::mem::take(&mut self.sent));
        let count = rows.len();
        let mut reply = Reply {
            won: Vec::with_capacity(count),
            classes: Vec::new(),
            scores: None,
            loss: Vec::new(),
            gradient: None,
            rows,
            sent,
        };
        match answer {
            Answer::Labels(labels) if labels.len() == count => {
                reply.classes = labels.into_iter().map(Some).collect();
            }
            Answer::Scores(scores) if scores.rows() == count => {
                reply.classes = classes_of(&scores);
                reply.scores = Some(scores);
            }
            Answer::Gradient { scores, loss, gradient }
                if scores.rows() == count
                    && loss.len() == count
                    && gradient.rows() == count
                    && gradient.data().len() == reply.sent.len() =>
            {
                reply.classes = classes_of(&scores);
                (reply.scores, reply.loss, reply.gradient) = (Some(scores), loss, Some(gradient));
                for place in 0..count {
                    self.gradient_rows += 1;
                    let vanished = reply.slope(place).iter().all(|value| value.abs() < 1e-20);
                    self.gradient_zero += u64::from(vanished);
                }
            }
            _ => return None,
        }
        for place in 0..count {
            let (row, class) = (reply.rows[place], reply.classes[place]);
            if class.is_none() || (reply.gradient.is_some() && reply.slope(place).is_empty()) {
                self.rows[row].broken = true;
            }
            let won = self.judge(row, reply.values(place), class, reply.scores(place));
            reply.won.push(won);
        }
        Some(reply)
    }

    fn outcome(
        &self,
        about: &'static About,
        fresh: bool,
        stopped: Option<Stop>,
        rest: State,
        gradients: bool,
    ) -> Outcome {
        let mut rows: Vec<RowOutcome> = Vec::with_capacity(self.originals.rows());
        for (place, row) in self.rows.iter().enumerate() {
            let original = self.originals.row(row.index);
            let best = row.best.as_ref();
            rows.push(RowOutcome {
                row: row.index,
                state: match (self.is_hit(place), row.broken) {
                    (true, _) => State::Hit,
                    (false, true) => State::Error,
                    (false, false) => rest,
                },
                before: Some(row.label),
                after: best.map(|best| best.after),
                distances: best.map(|best| self.constraints.distances(original, &best.values)),
                changed: best.map(|best| best.values.clone()),
                queries: row.queries,
            });
        }
        if fresh {
            rows.extend((0..self.originals.rows()).map(|row| RowOutcome::without_result(row, rest)));
        } else {
            rows.extend(self.unlabelled.iter().map(|row| RowOutcome::without_result(*row, State::Error)));
        }
        rows.sort_by_key(|row| row.row);
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let vanished = self.gradient_zero as f32 / self.gradient_rows.max(1) as f32;
        Outcome {
            attack: about.name.to_owned(),
            stopped,
            rows,
            detail: Detail::Evasion {
                gradients,
                norm: self.norm,
                radius: self.radius,
                already_wrong: self.already.clone(),
                vanished: if gradients { vanished } else { 0.0 },
                by_loss: self.by_loss.clone(),
                bounds: self.bounds.clone(),
            },
        }
    }
}

/// One way to look for evasions.
pub(crate) trait Method: Serialize + DeserializeOwned + Send + Sized {
    /// Its configuration.
    type Config;
    /// The room's card.
    const ABOUT: &'static About;
    /// Whether it needs gradients.
    const GRADIENTS: bool;

    /// Checks the configuration and sets norm and radius; the error says what is wrong with it.
    fn prepare(config: Self::Config, base: &mut Base) -> Result<Self, String>;

    /// Called once when the rows under attack are known.
    fn begin(&mut self, base: &mut Base);

    /// Puts the next rows and asks; `None` ends the attack.
    fn ask(&mut self, base: &mut Base) -> Option<Ask>;

    /// Learns from the answer, which has been judged.
    fn take(&mut self, base: &mut Base, reply: &Reply);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Fresh,
    Labelling,
    Running,
    Over,
}

/// An evasion in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hunt<M> {
    base: Base,
    method: M,
    phase: Phase,
}

impl<M: Method> Hunt<M> {
    /// Prepares the attack.
    ///
    /// # Errors
    /// When the configuration is out of range or there are no rows.
    pub(super) fn new(config: M::Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let attack = M::ABOUT.name;
        crate::material::needs_rows(attack, &material)?;
        let mut base = Base::new(seed, material);
        if let Some(column) = base.goal.column() {
            let needs = |needs: &str| Err(AttackError::Material { attack, needs: needs.to_owned() });
            if column >= base.classes.max(1) {
                return needs("a score to move that the model gives");
            }
            // The scores a gradient comes with are those before the last softmax: other units than the goal's.
            if M::GRADIENTS && base.classes > 1 {
                return needs(
                    "a model that gives one score, not one a class; attacks that see scores take those",
                );
            }
            match base.goal {
                Goal::Moved { by, .. } if !(by.is_finite() && by != 0.0) => {
                    return needs("a score moved by something");
                }
                Goal::Ranked { places: 0, .. } => return needs("at least one place to move"),
                Goal::Ranked { .. } if base.pool.is_none() => {
                    return needs("rows to rank among, in the pool");
                }
                _ => {}
            }
        }
        let method =
            M::prepare(config, &mut base).map_err(|reason| AttackError::Config { attack, reason })?;
        if base.radius.is_nan() || base.radius <= 0.0 {
            let reason = "the radius must be a positive number".to_owned();
            return Err(AttackError::Config { attack, reason });
        }
        Ok(Self { base, method, phase: Phase::Fresh })
    }

    fn finish(&mut self) -> Step {
        self.phase = Phase::Over;
        Step::Done(self.outcome(None, State::Miss))
    }

    fn fail(&mut self) -> Step {
        let fresh = self.phase != Phase::Running;
        let outcome = self.base.outcome(M::ABOUT, fresh, Some(Stop::Failure), State::Error, M::GRADIENTS);
        self.phase = Phase::Over;
        Step::Done(outcome)
    }

    fn outcome(&self, stopped: Option<Stop>, rest: State) -> Outcome {
        let fresh = matches!(self.phase, Phase::Fresh | Phase::Labelling);
        self.base.outcome(M::ABOUT, fresh, stopped, rest, M::GRADIENTS)
    }
}

impl<M: Method> Attack for Hunt<M> {
    fn about(&self) -> &'static About {
        M::ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        match (self.phase, answer) {
            (Phase::Fresh, _) => {
                self.phase = Phase::Labelling;
                let rows = self.base.first();
                let scored = self.base.goal.column().is_some();
                return Step::Ask(if scored { Ask::Scores(rows) } else { Ask::Labels(rows) });
            }
            (Phase::Over, _) => return Step::Done(self.outcome(None, State::Miss)),
            (Phase::Labelling, Some(Answer::Labels(labels)))
                if labels.len() == self.base.originals.rows() && self.base.goal.column().is_none() =>
            {
                let classes: Vec<Option<usize>> = labels.into_iter().map(Some).collect();
                self.base.label(&classes, None);
                self.phase = Phase::Running;
                self.method.begin(&mut self.base);
            }
            (Phase::Labelling, Some(Answer::Scores(scores)))
                if scores.rows() == self.base.first_len()
                    && scores.row_len() > self.base.goal.column().unwrap_or(0) =>
            {
                self.base.label(&classes_of(&scores), Some(&scores));
                self.phase = Phase::Running;
                self.method.begin(&mut self.base);
            }
            (Phase::Running, Some(answer)) => match self.base.take(answer) {
                Some(reply) => self.method.take(&mut self.base, &reply),
                None => return self.fail(),
            },
            _ => return self.fail(),
        }
        // A method may have a turn in which there is nothing to ask.
        for _ in 0..10_000 {
            match self.method.ask(&mut self.base) {
                Some(ask) if ask.rows().rows() > 0 => return Step::Ask(ask),
                Some(_) => {}
                None => return self.finish(),
            }
        }
        self.finish()
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        self.outcome(Some(why), why.state())
    }

    fn hits(&self) -> usize {
        (0..self.base.rows.len()).filter(|&row| self.base.is_hit(row)).count()
    }

    fn save(&self) -> serde_json::Value {
        crate::saved(self)
    }
}

/// Checks of configurations that many methods share.
pub(crate) fn positive(name: &str, value: f32) -> Result<(), String> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(format!("{name} must be a positive number")) }
}

/// As [`positive`], for counts.
pub(crate) fn at_least(name: &str, value: usize, least: usize) -> Result<(), String> {
    if value >= least { Ok(()) } else { Err(format!("{name} must be at least {least}")) }
}

/// The distance within which a success of a minimum-norm attack counts when the configuration does not say: a
/// tenth of the interval of each value on average (a twentieth of the values for `L0`).
pub(crate) fn usual_radius(norm: Norm, len: usize) -> f32 {
    let len = super::ball::count(len);
    match norm {
        Norm::L0 => (0.05 * len).max(1.0).ceil(),
        Norm::L1 => 0.1 * len,
        Norm::L2 => 0.1 * len.sqrt(),
        Norm::Linf => 0.1,
    }
}

/// A random point of the ball.
pub(crate) fn random_point(norm: Norm, radius: f32, len: usize, random: &mut Random) -> Vec<f32> {
    match norm {
        Norm::Linf => (0..len).map(|_| random.between(-radius, radius)).collect(),
        Norm::L0 => vec![0.0; len],
        Norm::L1 | Norm::L2 => {
            let reach = radius * random.unit();
            let mut shift: Vec<f32> = (0..len).map(|_| random.normal()).collect();
            let long = size(norm, &shift);
            if long > 0.0 {
                shift.iter_mut().for_each(|value| *value *= reach / long);
            }
            shift
        }
    }
}
