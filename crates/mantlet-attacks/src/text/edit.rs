//! What the edits of texts share: which words matter is asked first, then words are changed one after the other until
//! the decision turns, then every change that was not needed is taken back.
//!
//! Long because a text's three phases share one state.

use std::marker::PhantomData;

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::{edits, encode, is_word, pieces};
use crate::inquiry::{needs, wrong};
use crate::rows::{RowShape, classes_of};
use crate::{
    Answer, Ask, AttackError, Detail, Distances, Goal, Inquiry, Material, Norm, Outcome, Random, RowOutcome,
    State, Stop,
};

/// What tells one room from another.
pub(super) trait Style: Send + 'static {
    /// The room's card.
    const ABOUT: &'static About;

    /// Other ways to write a word, the least conspicuous first; `next` is the word after it.
    fn variants(word: &str, next: Option<&str>, random: &mut Random) -> Vec<String>;
}

/// How texts are edited. A changed text has to stay readable, so changes are bounded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Share of the words that may be changed; one word always may.
    pub words: f32,
    /// Ways to write a word that are tried.
    pub variants: usize,
    /// The most questions about one text.
    pub queries: u64,
    /// Whether scores are asked; labels otherwise.
    pub scores: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { words: 0.25, variants: 6, queries: 400, scores: true }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Phase {
    /// Each word left out in turn.
    Ranking,
    /// Ways to write the word at this place of the order.
    Trying {
        at: usize,
    },
    /// Changes taken back, one after the other, in this order of pieces.
    Mending {
        left: Vec<usize>,
    },
    Done,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    row: usize,
    label: usize,
    pieces: Vec<String>,
    current: Vec<String>,
    /// Changeable words by how much they matter.
    order: Vec<usize>,
    changed: usize,
    margin: f32,
    /// Whether no word left out alone moves the scores.
    flat: bool,
    won: Option<(Vec<String>, usize)>,
    phase: Phase,
    queries: u64,
    broken: bool,
    /// Texts of the open question: which piece and what it became.
    open: Vec<(usize, String)>,
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Editing<S> {
    config: Config,
    random: Random,
    shape: RowShape,
    texts: Vec<String>,
    rows: crate::Material,
    goal: Goal,
    lanes: Vec<Lane>,
    already: Vec<usize>,
    unanswered: Vec<usize>,
    begun: bool,
    asked: Vec<usize>,
    #[serde(skip)]
    style: PhantomData<fn() -> S>,
}

/// How near a text is to leaving its class: positive when it has.
fn margin(goal: Goal, label: usize, class: Option<usize>, scores: &[f32]) -> Option<f32> {
    let class = class?;
    let won = match goal {
        Goal::Class { class: wanted } => class == wanted,
        _ => class != label,
    };
    if scores.is_empty() {
        return Some(if won { 1.0 } else { -1.0 });
    }
    let shares = scores.iter().all(|score| (0.0..=1.0).contains(score));
    let level = |score: f32| if shares { score.max(1e-12).ln() } else { score };
    let best = |without: usize| {
        let others = scores.iter().enumerate().filter(|(other, _)| *other != without);
        others.map(|(_, score)| level(*score)).fold(f32::MIN, f32::max)
    };
    let at = |class: usize| scores.get(class).copied().map_or(f32::MIN, level);
    let value = match goal {
        Goal::Class { class } => at(class) - best(class),
        _ => best(label) - at(label),
    };
    Some(if won { value.clamp(0.0, 1e6) } else { value.clamp(-1e6, -1e-6) })
}

impl Lane {
    fn with(&self, piece: usize, text: &str) -> Vec<String> {
        let mut pieces = self.current.clone();
        pieces[piece] = text.to_owned();
        pieces
    }

    /// The changed text, when its changed words are few enough, and the class it got.
    fn winner(&self, share: f32) -> Option<&(Vec<String>, usize)> {
        self.won.as_ref().filter(|_| self.changed <= self.most(share))
    }

    /// The most words that may be changed.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small count"
    )]
    fn most(&self, share: f32) -> usize {
        let words = self.pieces.iter().filter(|piece| is_word(piece)).count();
        ((words as f32 * share) as usize).max(1)
    }
}

#[expect(private_bounds, reason = "the rooms beside are all the styles there are")]
impl<S: Style> Editing<S> {
    /// The texts a lane asks about next; moves on where there is nothing to ask.
    fn next(&mut self, lane: usize) -> Vec<Vec<String>> {
        let width = self.shape.len();
        loop {
            let own = &mut self.lanes[lane];
            let left = self.config.queries.saturating_sub(own.queries);
            if left == 0 || own.broken {
                own.phase = Phase::Done;
            }
            match own.phase.clone() {
                Phase::Done => return Vec::new(),
                Phase::Ranking => {
                    let words: Vec<usize> =
                        (0..own.pieces.len()).filter(|piece| is_word(&own.pieces[*piece])).collect();
                    let few = usize::try_from(left / 2).unwrap_or(usize::MAX).min(512);
                    own.order = words.iter().copied().take(few).collect();
                    if !self.config.scores || own.order.len() < 2 {
                        // Labels do not tell which word matters; longer words carry more.
                        self.random.shuffle(&mut own.order);
                        let pieces = &own.pieces;
                        own.order.sort_by_key(|piece| std::cmp::Reverse(pieces[*piece].chars().count()));
                        own.phase = Phase::Trying { at: 0 };
                        continue;
                    }
                    own.open = own.order.iter().map(|piece| (*piece, String::new())).collect();
                }
                Phase::Trying { at } => {
                    // Every word may be tried; what was not needed is taken back, and what is left has to be few enough.
                    let Some(&piece) = own.order.get(at) else {
                        own.phase = Phase::Done;
                        continue;
                    };
                    let next = own.pieces.get(piece + 2).map(String::as_str);
                    let mut ways = S::variants(&own.pieces[piece], next, &mut self.random);
                    ways.retain(|way| *way != own.pieces[piece]);
                    ways.dedup();
                    ways.truncate(self.config.variants.min(usize::try_from(left).unwrap_or(usize::MAX)));
                    ways.retain(|way| encode(&own.with(piece, way).concat(), width).is_some());
                    if ways.is_empty() {
                        own.phase = Phase::Trying { at: at + 1 };
                        continue;
                    }
                    own.open = ways.into_iter().map(|way| (piece, way)).collect();
                }
                Phase::Mending { mut left } => {
                    let Some(piece) = left.pop() else {
                        own.phase = Phase::Done;
                        continue;
                    };
                    own.open = vec![(piece, own.pieces[piece].clone())];
                    own.phase = Phase::Mending { left };
                }
            }
            own.queries += own.open.len() as u64;
            return own.open.iter().map(|(piece, text)| own.with(*piece, text)).collect();
        }
    }

    fn learn(&mut self, lane: usize, answers: &[Option<f32>], classes: &[Option<usize>]) {
        let own = &mut self.lanes[lane];
        let open = std::mem::take(&mut own.open);
        if answers.iter().any(Option::is_none) {
            own.broken = true;
            own.phase = Phase::Done;
            return;
        }
        let margins: Vec<f32> = answers.iter().copied().flatten().collect();
        match own.phase.clone() {
            Phase::Ranking => {
                let mut order: Vec<(f32, usize)> =
                    margins.iter().copied().zip(open.iter().map(|(piece, _)| *piece)).collect();
                order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                own.flat = order.iter().all(|(margin, _)| (margin - own.margin).abs() <= 1e-6);
                own.order = order.into_iter().map(|(_, piece)| piece).collect();
                own.phase = Phase::Trying { at: 0 };
            }
            Phase::Trying { at } => {
                let best =
                    (0..margins.len()).max_by(|a, b| margins[*a].total_cmp(&margins[*b]).then(b.cmp(a)));
                let Some(best) = best else { return };
                // Where answers do not move, a change is kept in the hope that several together turn the decision.
                if margins[best] > own.margin || !self.config.scores || own.flat {
                    let (piece, way) = &open[best];
                    own.current[*piece] = way.clone();
                    own.changed += 1;
                    own.margin = margins[best];
                }
                if own.margin > 0.0 {
                    let changed: Vec<usize> = (0..own.pieces.len())
                        .filter(|piece| own.current[*piece] != own.pieces[*piece])
                        .collect();
                    own.won = Some((own.current.clone(), classes[best].unwrap_or(own.label)));
                    own.phase =
                        if changed.len() > 1 { Phase::Mending { left: changed } } else { Phase::Done };
                } else {
                    own.phase = Phase::Trying { at: at + 1 };
                }
            }
            Phase::Mending { .. } => {
                if let (Some(margin), Some((piece, text))) = (margins.first(), open.first())
                    && *margin > 0.0
                {
                    own.current[*piece] = text.clone();
                    own.changed -= 1;
                    own.won = Some((own.current.clone(), classes[0].unwrap_or(own.label)));
                }
            }
            Phase::Done => {}
        }
    }
}

impl<S: Style> Inquiry for Editing<S> {
    type Config = Config;
    const ABOUT: &'static About = S::ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let attack = S::ABOUT.name;
        if !(config.words > 0.0 && config.words <= 1.0) || config.variants == 0 || config.queries == 0 {
            return Err(wrong(
                attack,
                "words must be above 0 and at most 1, variants and queries at least 1",
            ));
        }
        if material.goal.column().is_some() {
            return Err(needs(attack, "a classifier"));
        }
        let texts = super::texts(attack, &material)?;
        Ok(Self {
            config,
            random: Random::new(seed),
            shape: RowShape::of(&material.rows),
            texts,
            goal: material.goal,
            rows: Material { pool: None, pool_labels: Vec::new(), ..material },
            lanes: Vec::new(),
            already: Vec::new(),
            unanswered: Vec::new(),
            begun: false,
            asked: Vec::new(),
            style: PhantomData,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        let put = |rows| if self.config.scores { Ask::Scores(rows) } else { Ask::Labels(rows) };
        if !self.begun {
            return Some(put(self.rows.rows.clone()));
        }
        let scores = self.config.scores;
        let (mut data, mut asked) = (Vec::new(), Vec::new());
        for lane in 0..self.lanes.len() {
            let texts = self.next(lane);
            asked.push(texts.len());
            for text in texts {
                // Held to the width before; a text left empty by leaving out its only word is sent as a space.
                let text = text.concat();
                let text = if text.is_empty() { " " } else { &text };
                data.extend(
                    encode(text, self.shape.len()).unwrap_or_else(|| vec![super::END; self.shape.len()]),
                );
            }
        }
        if data.is_empty() {
            return None;
        }
        self.asked = asked;
        let rows = self.shape.batch(data);
        Some(if scores { Ask::Scores(rows) } else { Ask::Labels(rows) })
    }

    fn take(&mut self, answer: Answer) -> bool {
        let (classes, scores) = match answer {
            Answer::Labels(labels) if !self.config.scores => (labels.into_iter().map(Some).collect(), None),
            Answer::Scores(scores) if self.config.scores => (classes_of(&scores), Some(scores)),
            _ => return false,
        };
        let row = |place: usize| scores.as_ref().map_or(&[][..], |scores| scores.row(place));
        if !self.begun {
            if classes.len() != self.texts.len()
                || classes.iter().flatten().any(|class| *class >= self.rows.classes)
            {
                return false;
            }
            self.begun = true;
            for (index, class) in classes.iter().enumerate() {
                let truth = self.rows.labels.get(index).copied();
                let there = matches!(self.goal, Goal::Class { class: wanted } if *class == Some(wanted));
                match class {
                    None => self.unanswered.push(index),
                    Some(class) if truth.is_some_and(|truth| truth != *class) || there => {
                        self.already.push(index)
                    }
                    Some(class) => {
                        let pieces = pieces(&self.texts[index]);
                        self.lanes.push(Lane {
                            row: index,
                            label: *class,
                            current: pieces.clone(),
                            pieces,
                            order: Vec::new(),
                            changed: 0,
                            margin: margin(self.goal, *class, Some(*class), row(index)).unwrap_or(-1e6),
                            flat: false,
                            won: None,
                            phase: Phase::Ranking,
                            queries: 1,
                            broken: false,
                            open: Vec::new(),
                        });
                    }
                }
            }
            return true;
        }
        if classes.len() != self.asked.iter().sum::<usize>() {
            return false;
        }
        let mut from = 0;
        for (lane, count) in std::mem::take(&mut self.asked).into_iter().enumerate() {
            if count == 0 {
                continue;
            }
            let label = self.lanes[lane].label;
            let part = from..from + count;
            from = part.end;
            let margins: Vec<Option<f32>> =
                part.clone().map(|place| margin(self.goal, label, classes[place], row(place))).collect();
            self.learn(lane, &margins, &classes[part]);
        }
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let mut rows: Vec<RowOutcome> = self
            .lanes
            .iter()
            .map(|lane| {
                let won = lane.winner(self.config.words);
                let state = match (won, stopped) {
                    (Some(_), _) => State::Hit,
                    (None, _) if lane.broken => State::Error,
                    (None, Some(why)) => why.state(),
                    (None, None) => State::Miss,
                };
                let text = won.map(|(pieces, _)| pieces.concat());
                let changed = text.as_ref().and_then(|text| encode(text, self.shape.len()));
                #[expect(clippy::cast_precision_loss, reason = "a count of letters")]
                let distances = text.as_ref().map(|text| {
                    let count = edits(&self.texts[lane.row], text);
                    Distances { l0: count, l1: count as f32, l2: (count as f32).sqrt(), linf: 1.0 }
                });
                RowOutcome {
                    before: Some(lane.label),
                    after: won.map(|(_, class)| *class),
                    changed,
                    distances,
                    queries: lane.queries,
                    ..RowOutcome::without_result(lane.row, state)
                }
            })
            .collect();
        rows.extend(self.unanswered.iter().map(|row| RowOutcome::without_result(*row, State::Error)));
        if !self.begun {
            let state = stopped.map_or(State::Error, Stop::state);
            rows = (0..self.texts.len()).map(|row| RowOutcome::without_result(row, state)).collect();
        }
        rows.sort_by_key(|row| row.row);
        let won = |lane: &&Lane| lane.winner(self.config.words).is_some();
        let words: usize = self.lanes.iter().filter(won).map(|lane| lane.changed).sum();
        #[expect(clippy::cast_precision_loss, reason = "a row's length")]
        let radius = self.shape.len() as f32;
        Outcome {
            attack: S::ABOUT.name.to_owned(),
            stopped,
            rows,
            detail: Detail::Evasion {
                gradients: false,
                norm: Norm::L0,
                radius,
                already_wrong: self.already.clone(),
                vanished: 0.0,
                by_loss: vec![("words changed".to_owned(), words)],
                bounds: Vec::new(),
            },
        }
    }
}
