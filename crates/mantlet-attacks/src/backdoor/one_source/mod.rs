//! A trigger that works on one class only and sends it to one other (Gu and others 2017, single target; Tang and others
//! 2021, source-specific): for every pair of classes the smallest mark is sought. Honest classes that look alike have
//! small marks too, so the training rows decide: where rows bear a planted mark, far more rows labelled as the target
//! fall back to the source once the mark's places are painted over than rows the model was not trained on.
//!
//! Long because the search over pairs and its decision share one state.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use super::search::Search;
use super::trigger::tries;
use crate::inquiry::{needs, wrong};
use crate::rows::{RowShape, classes_of};
use crate::stats::excess;
use crate::{
    Answer, Ask, AttackError, Constraints, Detail, Inquired, Inquiry, Loss, Material, Outcome, Random,
    RowOutcome, State, Stop, Trigger,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "backdoor-one-source",
    title: "a small mark sends inputs of one class to one other class",
    severity: Severity::Malicious,
    impact: Impact::Critical,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.000", "AML.T0043.004", "AML.T0020"],
    owasp: &["ML10:2023", "ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// How it searches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Steps of each search, all pairs at once.
    pub steps: usize,
    /// Searches one after the other, each for a mark on other places than those before it: the smallest mark of classes
    /// that look alike is an honest one.
    pub rounds: usize,
    /// Rows of a class at each step.
    pub batch: usize,
    /// Rows of a class on which the found marks are tried.
    pub held_out: usize,
    /// Step length of the search.
    pub rate: f32,
    /// Share of a batch that must reach the class before the mask may shrink.
    pub success: f32,
    /// Rows labelled as the target that are painted over, for each pair, of the training rows and of the others each.
    pub painted: usize,
    /// How improbable it must be, over all pairs, that so many more training rows than others fall back by chance.
    pub chance: f64,
    /// Up to this improbability a pair that is not flagged is undecided.
    pub doubtful: f64,
    /// By how much the share of training rows that fall back must exceed that of the others.
    pub excess: f32,
    /// Share of held-out rows of the source that a small patch must send to the target.
    pub transfer: f32,
    /// The patch may cover this share of the input, and one place at least.
    pub patch: f32,
    /// With fewer classes this is a trigger's own room's matter.
    pub classes: usize,
    /// With more classes there are too many pairs for one search.
    pub most_classes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            steps: 60,
            rounds: 3,
            batch: 12,
            held_out: 48,
            rate: 0.3,
            success: 0.75,
            painted: 256,
            chance: 5e-3,
            doubtful: 5e-2,
            excess: 0.05,
            transfer: 0.6,
            patch: 1.0 / 16.0,
            classes: 4,
            most_classes: 16,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Labelling,
    Searching,
    Recalling,
    Painting,
    Trying,
    Over,
}

/// One class and where its rows are to go.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pair {
    source: usize,
    search: Search,
}

/// Rows painted over with a pair's mark, and how many fell back to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Painted {
    trained: (usize, usize),
    others: (usize, usize),
}

/// A pair of which more training rows fell back than chance would have it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Suspect {
    source: usize,
    /// How improbable it is, over all pairs and searches.
    chance: f64,
    painted: Painted,
    /// Its mark.
    search: Search,
}

/// The search in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pairwise {
    config: Config,
    random: Random,
    shape: RowShape,
    rows: Tensor,
    classes: usize,
    constraints: Constraints,
    labels: Vec<usize>,
    used: Vec<usize>,
    held_out: Vec<usize>,
    pairs: Vec<Pair>,
    /// Training rows with their labels, and what the model says of them.
    trained: Tensor,
    trained_labels: Vec<usize>,
    recalled: Vec<usize>,
    /// For each pair, in order, as far as painted.
    painted: Vec<Painted>,
    /// Pairs of the open question: training rows and other rows that were painted over.
    open: Vec<(usize, usize)>,
    /// Suspect pairs, the most improbable first.
    suspects: Vec<Suspect>,
    tries: Vec<usize>,
    phase: Phase,
    round: usize,
    step: usize,
    /// Rows of the open question, a list a class.
    asked: Vec<Vec<usize>>,
    queries: u64,
    errors: usize,
}

/// The room's attack.
pub type OneSource = Inquired<Pairwise>;

impl Pairwise {
    /// Rows of each class among those of this phase.
    fn own(&mut self) -> Vec<Vec<usize>> {
        let trying = self.phase == Phase::Trying;
        let most = if trying { self.config.held_out } else { self.config.batch };
        (0..self.classes)
            .map(|class| {
                let from = if trying { &self.held_out } else { &self.used };
                let mut rows: Vec<usize> =
                    from.iter().copied().filter(|row| self.labels[*row] == class).collect();
                if !trying {
                    self.random.shuffle(&mut rows);
                }
                rows.truncate(most);
                rows
            })
            .collect()
    }

    fn small(&self) -> usize {
        let places = self.pairs.first().map_or(0, |pair| pair.search.places());
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a row's length"
        )]
        let small = (places as f32 * self.config.patch).max(1.0) as usize;
        small
    }

    fn searched(&mut self, given: &[Option<usize>], gradient: &Tensor) {
        self.errors += given.iter().filter(|class| class.is_none()).count();
        let asked = std::mem::take(&mut self.asked);
        let mut from = 0;
        for pair in &mut self.pairs {
            let rows = &asked[pair.source];
            let part = from..from + rows.len();
            from = part.end;
            if rows.is_empty() {
                continue;
            }
            let reached =
                given[part.clone()].iter().filter(|given| **given == Some(pair.search.class)).count();
            let originals: Vec<&[f32]> = rows.iter().map(|row| self.rows.row(*row)).collect();
            let slopes: Vec<&[f32]> = part.map(|row| gradient.row(row)).collect();
            pair.search.learn(&originals, &slopes, share(reached, rows.len()), self.config.success);
        }
        self.step += 1;
        if self.step >= self.config.steps {
            self.phase = if self.round == 0 { Phase::Recalling } else { Phase::Painting };
        }
    }

    /// The strongest places of a pair's mark, as many as a patch has.
    fn places(&self, pair: &Pair) -> Vec<usize> {
        let (mask, _) = pair.search.best();
        let mut order: Vec<usize> = (0..mask.len()).collect();
        order.sort_by(|a, b| mask[*b].total_cmp(&mask[*a]).then(a.cmp(b)));
        order.truncate(self.small());
        order
    }

    /// Rows that the model reads as the target of the next pairs, each with the mark's places taken from a clean row of
    /// the source; as many pairs as make one question. Empty when every pair was painted.
    fn paint(&mut self) -> Vec<f32> {
        let mut data = Vec::new();
        self.open.clear();
        while self.painted.len() + self.open.len() < self.pairs.len() {
            let at = self.painted.len() + self.open.len();
            let (source, target) = (self.pairs[at].source, self.pairs[at].search.class);
            let places = self.places(&self.pairs[at]);
            let count = self.pairs[at].search.places().max(1);
            let clean: Vec<usize> = (0..self.rows.rows()).filter(|row| self.labels[*row] == source).collect();
            let worked = self.pairs[at].search.worked() && !clean.is_empty();
            let most = if worked { self.config.painted } else { 0 };
            let as_taught =
                |row: &usize| self.trained_labels.get(*row) == Some(&target) && self.recalled[*row] == target;
            let trained: Vec<usize> = (0..self.trained.rows()).filter(as_taught).take(most).collect();
            let others = (0..self.rows.rows()).filter(|row| self.labels[*row] == target).take(most);
            let others: Vec<usize> = others.collect();
            let rows = trained.len() + others.len();
            if !self.open.is_empty() && (data.len() / self.shape.len().max(1)) + rows > ASKED {
                break;
            }
            self.open.push((trained.len(), others.len()));
            let all = trained.iter().map(|row| (true, *row)).chain(others.iter().map(|row| (false, *row)));
            for (of_training, row) in all {
                let over = self.rows.row(clean[self.random.below(clean.len())]);
                let from = if of_training { self.trained.row(row) } else { self.rows.row(row) };
                let start = data.len();
                data.extend_from_slice(from);
                for place in &places {
                    for index in (*place..over.len()).step_by(count) {
                        data[start + index] = over[index];
                    }
                }
                self.constraints.repair_values(&mut data[start..]);
            }
        }
        data
    }

    fn fell_back(&mut self, given: &[usize]) {
        let mut given = given.iter();
        for (trained, others) in std::mem::take(&mut self.open) {
            let source = self.pairs[self.painted.len()].source;
            let mut count =
                |of: usize| (given.by_ref().take(of).filter(|class| **class == source).count(), of);
            self.painted.push(Painted { trained: count(trained), others: count(others) });
        }
        if self.painted.len() < self.pairs.len() {
            return;
        }
        self.suspect();
        self.round += 1;
        if self.round < self.config.rounds {
            for at in 0..self.pairs.len() {
                let pair = &self.pairs[at];
                let places = if pair.search.worked() { self.places(pair) } else { Vec::new() };
                self.pairs[at].search.elsewhere(&places);
            }
            (self.step, self.phase) = (0, Phase::Searching);
            return;
        }
        self.rank();
        self.phase = if self.suspects.is_empty() { Phase::Over } else { Phase::Trying };
    }

    /// Remembers pairs whose excess of this round is improbable.
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    fn suspect(&mut self) {
        let count = (self.pairs.len() * self.config.rounds) as f64;
        for (pair, painted) in self.pairs.iter().zip(std::mem::take(&mut self.painted)) {
            let (trained, others) = (painted.trained, painted.others);
            let more = share(trained.0, trained.1) - share(others.0, others.1) >= self.config.excess;
            let chance = (excess(trained, others) * count).min(1.0);
            if more && chance <= self.config.doubtful {
                let (source, search) = (pair.source, pair.search.clone());
                self.suspects.push(Suspect { source, chance, painted, search });
            }
        }
    }

    /// The most improbable suspects. Where most classes have one towards the same target, the mark is no one class's:
    /// that is the trigger's own room's matter.
    fn rank(&mut self) {
        let mut sources = vec![vec![false; self.classes]; self.classes];
        self.suspects.iter().for_each(|one| sources[one.search.class][one.source] = true);
        let count = |target: usize| sources[target].iter().filter(|source| **source).count();
        let classes = self.classes;
        self.suspects.retain(|one| count(one.search.class) * 2 < classes);
        self.suspects.sort_by(|a, b| a.chance.total_cmp(&b.chance));
        self.suspects.truncate(CLOSELY);
    }

    /// The best share of held-out rows a mark of few places sends, with the number of places.
    fn best(&self, search: &Search) -> (usize, f32) {
        let small = self.small();
        let shares = self.tries.iter().copied().zip(search.transfers.iter().copied());
        shares
            .filter(|(places, _)| (1..=small).contains(places))
            .fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best })
    }
}

impl Inquiry for Pairwise {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        if config.steps == 0
            || config.rounds == 0
            || config.batch == 0
            || config.held_out == 0
            || config.painted == 0
        {
            return Err(wrong(ABOUT.name, "steps, rounds, batch, held_out and painted must be at least 1"));
        }
        let within = |value: f32| (0.0..=1.0).contains(&value);
        let rate = config.rate > 0.0 && config.rate.is_finite();
        if !(rate && within(config.success) && within(config.transfer) && within(config.patch)) {
            let reason = "rate must be positive, success, transfer and patch between 0 and 1";
            return Err(wrong(ABOUT.name, reason));
        }
        let (least, most) = (config.classes.max(4), config.most_classes);
        if !(least..=most).contains(&material.classes) || material.rows.rows() < 8 {
            return Err(needs(ABOUT.name, &format!("{least} to {most} classes and eight clean rows")));
        }
        let len = material.rows.row_len();
        let bounds = |place: usize| material.constraints.at(place);
        if (0..len).any(|place| !(bounds(place).upper - bounds(place).lower).is_finite()) {
            return Err(needs(ABOUT.name, "bounds for each input value"));
        }
        let Some(trained) = material.pool.filter(|pool| pool.rows() == material.pool_labels.len()) else {
            return Err(needs(ABOUT.name, "the training rows with their labels"));
        };
        if trained.row_len() != len {
            return Err(needs(ABOUT.name, "training rows of the same length"));
        }
        if (least * least).max(material.classes * material.classes) * config.batch * len > VALUES {
            return Err(needs(ABOUT.name, "smaller inputs: every pair of classes is asked at once"));
        }
        let mut random = Random::new(seed);
        let mut used: Vec<usize> = (0..material.rows.rows()).collect();
        random.shuffle(&mut used);
        let held_out = used.split_off(used.len() / 2);
        let shape = RowShape::of(&material.rows);
        let places = shape.image().map_or(len, |(channels, _, _)| len / channels);
        let classes = material.classes;
        let mut pairs = Vec::with_capacity(classes * (classes - 1));
        for source in 0..classes {
            for target in (0..classes).filter(|target| *target != source) {
                let search =
                    Search::new(target, len, places, config.rate, &material.constraints, &mut random);
                pairs.push(Pair { source, search });
            }
        }
        Ok(Self {
            config,
            random,
            shape,
            rows: material.rows,
            classes,
            constraints: material.constraints,
            labels: Vec::new(),
            used,
            held_out,
            pairs,
            trained,
            trained_labels: material.pool_labels,
            recalled: Vec::new(),
            painted: Vec::new(),
            open: Vec::new(),
            suspects: Vec::new(),
            tries: tries(places),
            phase: Phase::Labelling,
            round: 0,
            step: 0,
            asked: Vec::new(),
            queries: 0,
            errors: 0,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        match self.phase {
            Phase::Over => return None,
            Phase::Labelling => {
                self.queries += self.rows.rows() as u64;
                return Some(Ask::Labels(self.rows.clone()));
            }
            Phase::Recalling => {
                self.queries += self.trained.rows() as u64;
                return Some(Ask::Labels(self.trained.clone()));
            }
            Phase::Painting => {
                let data = self.paint();
                let rows = self.shape.batch(data);
                if rows.rows() == 0 {
                    // No pair left a mark to paint over.
                    self.fell_back(&[]);
                    return self.ask();
                }
                self.queries += rows.rows() as u64;
                return Some(Ask::Labels(rows));
            }
            Phase::Searching | Phase::Trying => self.asked = self.own(),
        }
        let (mut data, mut labels) = (Vec::new(), Vec::new());
        if self.phase == Phase::Searching {
            for pair in &self.pairs {
                for &row in &self.asked[pair.source] {
                    pair.search.stamp(self.rows.row(row), &mut data);
                    labels.push(pair.search.class);
                }
            }
        } else {
            for suspect in &self.suspects {
                for &places in &self.tries {
                    for &row in &self.asked[suspect.source] {
                        let from = data.len();
                        suspect.search.stamp_best(self.rows.row(row), places, &mut data);
                        self.constraints.repair_values(&mut data[from..]);
                    }
                }
            }
        }
        let rows = self.shape.batch(data);
        if rows.rows() == 0 {
            self.phase = Phase::Over;
            return None;
        }
        self.queries += rows.rows() as u64;
        Some(match self.phase {
            Phase::Searching => Ask::Gradient { rows, loss: Loss::CrossEntropy { labels } },
            _ => Ask::Labels(rows),
        })
    }

    fn take(&mut self, answer: Answer) -> bool {
        let count = |pair: &Pair| self.asked.get(pair.source).map_or(0, Vec::len);
        match (self.phase, answer) {
            (Phase::Labelling, Answer::Labels(labels))
                if labels.len() == self.rows.rows() && labels.iter().all(|label| *label < self.classes) =>
            {
                self.labels = labels;
                self.phase = Phase::Searching;
            }
            (Phase::Searching, Answer::Gradient { scores, gradient, .. }) => {
                let open: usize = self.pairs.iter().map(count).sum();
                if scores.rows() != open || gradient.data().len() != open * self.shape.len() {
                    return false;
                }
                self.searched(&classes_of(&scores), &gradient);
            }
            (Phase::Recalling, Answer::Labels(labels)) if labels.len() == self.trained.rows() => {
                self.recalled = labels;
                self.phase = Phase::Painting;
            }
            (Phase::Painting, Answer::Labels(labels)) => {
                let open: usize = self.open.iter().map(|(trained, others)| trained + others).sum();
                if labels.len() != open {
                    return false;
                }
                self.fell_back(&labels);
            }
            (Phase::Trying, Answer::Labels(labels)) => {
                let open: usize = self
                    .suspects
                    .iter()
                    .filter_map(|suspect| self.asked.get(suspect.source))
                    .map(Vec::len)
                    .sum();
                if labels.len() != open * self.tries.len() {
                    return false;
                }
                let mut labels = labels.into_iter();
                for suspect in &mut self.suspects {
                    let rows = self.asked.get(suspect.source).map_or(0, Vec::len);
                    let target = suspect.search.class;
                    let shares = self.tries.iter().map(|_| {
                        share(labels.by_ref().take(rows).filter(|given| *given == target).count(), rows)
                    });
                    suspect.search.transfers = shares.collect();
                }
                self.phase = Phase::Over;
            }
            _ => return false,
        }
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let over = self.phase == Phase::Over && stopped.is_none();
        let mut triggers = Vec::new();
        let rows = (0..self.classes).map(|source| {
            let own = || self.suspects.iter().filter(|suspect| suspect.source == source);
            let works = |suspect: &&Suspect| self.best(&suspect.search).1 >= self.config.transfer;
            let found = own().find(works).or_else(|| own().next()).filter(|_| over);
            let mut state = match stopped {
                Some(why) => why.state(),
                None if self.errors > 0 => State::Error,
                None => State::Miss,
            };
            let Some(suspect) = found else { return RowOutcome::without_result(source, state) };
            let (places, transfer) = self.best(&suspect.search);
            if state == State::Miss && transfer >= self.config.transfer {
                state = if suspect.chance <= self.config.chance { State::Hit } else { State::Undecided };
            }
            let (mask, pattern) = suspect.search.best();
            triggers.push(Trigger {
                class: suspect.search.class,
                mask: suspect.search.spread(&mask),
                pattern,
                size: suspect.search.size(),
                transfer,
                hard: vec![(places, transfer)],
                #[expect(clippy::cast_precision_loss, reason = "a small count")]
                places: places as f32,
                #[expect(clippy::cast_possible_truncation, reason = "shown, not summed")]
                anomaly: -(suspect.chance.max(1e-30).log10() as f32),
                ratio: share(suspect.painted.trained.0, suspect.painted.trained.1)
                    / share(suspect.painted.others.0, suspect.painted.others.1).max(0.01),
                flagged: state == State::Hit,
            });
            RowOutcome {
                before: Some(source),
                after: Some(suspect.search.class),
                queries: self.queries / self.classes.max(1) as u64,
                ..RowOutcome::without_result(source, state)
            }
        });
        let rows = rows.collect();
        let decision = format!(
            "a class is called backdoored towards another when, with the places of the smallest mark that sends its rows \
             there painted over, at least {:.0} % more of the training rows labelled as the other than of rows the model \
             was not trained on fall back to the class, which chance does in at most {} of all such searches, and \
             overwriting at most {} places with the mark sends at least {:.0} % of the class's held-out rows; all {} \
             pairs were searched",
            self.config.excess * 100.0,
            self.config.chance,
            self.small(),
            self.config.transfer * 100.0,
            self.pairs.len(),
        );
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows,
            detail: Detail::Triggers { triggers, shape: self.shape.0.clone(), decision },
        }
    }
}

/// The most values of one question.
const VALUES: usize = 1 << 26;
/// Rows of one question while painting.
const ASKED: usize = 4_096;
/// Suspect pairs whose marks are tried on held-out rows.
const CLOSELY: usize = 12;

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn share(count: usize, of: usize) -> f32 {
    count as f32 / of.max(1) as f32
}

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
