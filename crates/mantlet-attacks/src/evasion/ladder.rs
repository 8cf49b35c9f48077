//! Attacks made of stages, each on the rows the earlier ones left standing.

use std::marker::PhantomData;

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::ascent::{Aim, Ascent};
use super::frontier::{Gait, Walks};
use super::hunt::{Base, Method, Reply};
use super::square_walk::SquareWalk;
use crate::{Ask, Goal, Norm};

/// What tells one room from another.
pub(super) trait Style: Send + Sync + 'static {
    /// The room's configuration.
    type Config;
    /// The room's card.
    const ABOUT: &'static About;
    /// Whether a stage needs gradients.
    const GRADIENTS: bool = true;
    /// The stages; sets the norm and radius of `base`.
    fn stages(config: Self::Config, base: &mut Base) -> Result<Vec<Stage>, String>;
}

/// One stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Self-halving ascent; `rank` says which other class a targeted one climbs to.
    Ascend { norm: Norm, epsilon: f32, steps: usize, aim: Aim, rank: usize, random: bool },
    /// A walk along the borders.
    Walk { gait: Gait, spread: Option<f32>, only: Option<usize> },
    /// Random squares.
    Squares { epsilon: f32, turns: usize, share: f32 },
}

impl Stage {
    fn word(&self) -> &'static str {
        match self {
            Self::Ascend { aim, .. } => aim.word(),
            Self::Walk { .. } => "border",
            Self::Squares { .. } => "squares",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Running {
    Nothing,
    Ranking,
    Ascent(Ascent, Aim),
    Walks(Walks),
    Squares(SquareWalk),
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Ladder<S> {
    stages: Vec<Stage>,
    at: usize,
    running: Running,
    /// The other classes of each row, likeliest first; asked for when a stage is targeted.
    ranks: Vec<Vec<usize>>,
    targets: Vec<usize>,
    #[serde(skip)]
    style: PhantomData<fn() -> S>,
}

impl<S: Style> Ladder<S> {
    /// Starts the next stage; false when there is none.
    fn next_stage(&mut self, base: &mut Base) -> bool {
        let Some(stage) = self.stages.get(self.at).cloned() else { return false };
        if base.by_loss.last().is_none_or(|(word, _)| word != stage.word()) {
            base.by_loss.push((stage.word().to_owned(), 0));
        }
        self.at += 1;
        base.ball = match stage {
            Stage::Ascend { norm, epsilon, .. } => Some((norm, epsilon)),
            Stage::Squares { epsilon, .. } => Some((Norm::Linf, epsilon)),
            Stage::Walk { .. } => None,
        };
        self.running = match stage {
            Stage::Ascend { norm, epsilon, steps, aim, rank, random } => {
                if aim == Aim::Targeted {
                    self.targets = (0..base.rows.len())
                        .map(|row| {
                            self.ranks.get(row).and_then(|ranks| ranks.get(rank)).copied().unwrap_or(0)
                        })
                        .collect();
                }
                Running::Ascent(Ascent::new(base, norm, epsilon, steps, random), aim)
            }
            Stage::Walk { gait, spread, only } => Running::Walks(Walks::new(base, gait, spread, only)),
            Stage::Squares { epsilon, turns, share } => {
                Running::Squares(SquareWalk::new(base, epsilon, turns, share))
            }
        };
        true
    }
}

impl<S: Style> Method for Ladder<S> {
    type Config = S::Config;
    const ABOUT: &'static About = S::ABOUT;
    const GRADIENTS: bool = S::GRADIENTS;

    fn prepare(config: S::Config, base: &mut Base) -> Result<Self, String> {
        let mut stages = S::stages(config, base)?;
        // One class is wanted, or a score: there is one target for all ranks.
        if !matches!(base.goal, Goal::Leave) {
            stages.retain(|stage| {
                !matches!(stage, Stage::Ascend { rank: 1.., .. } | Stage::Walk { only: Some(1..), .. })
            });
        }
        let style = PhantomData;
        Ok(Self { stages, at: 0, running: Running::Nothing, ranks: Vec::new(), targets: Vec::new(), style })
    }

    fn begin(&mut self, base: &mut Base) {
        let targeted = |stage: &Stage| matches!(stage, Stage::Ascend { aim: Aim::Targeted, .. });
        if self.stages.iter().any(targeted) && base.goal == Goal::Leave {
            self.running = Running::Ranking;
            self.ranks = vec![Vec::new(); base.rows.len()];
        }
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        loop {
            let ask = match &mut self.running {
                Running::Nothing => None,
                Running::Ranking => {
                    for row in base.open() {
                        let original = base.original(row).to_vec();
                        base.put(row, original);
                    }
                    return base.score();
                }
                Running::Ascent(ascent, aim) => ascent.ask(base, *aim, &self.targets),
                Running::Walks(walks) => walks.ask(base),
                Running::Squares(squares) => squares.ask(base),
            };
            if ask.is_some() {
                return ask;
            }
            if base.open().is_empty() || !self.next_stage(base) {
                return None;
            }
        }
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        match &mut self.running {
            Running::Nothing => {}
            Running::Ranking => {
                for (place, &row) in reply.rows.iter().enumerate() {
                    let scores = reply.scores(place);
                    let mut order: Vec<usize> =
                        (0..scores.len()).filter(|class| *class != base.rows[row].label).collect();
                    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
                    self.ranks[row] = order;
                }
                self.running = Running::Nothing;
            }
            Running::Ascent(ascent, _) => ascent.take(base, reply),
            Running::Walks(walks) => walks.take(base, reply),
            Running::Squares(squares) => squares.take(base, reply),
        }
    }
}
