//! Campaigns of attacks over a [`Target`]: hard budgets, counted and journalled queries, four states a row,
//! and cases that replay.
//!
//! An attack never touches the model; the [`Campaign`] asks for it, cuts what it asks into batches, keeps the
//! budget, writes the journal and turns what came of it into a [`ProbeReport`].

mod ask;
mod bits;
mod budget;
mod campaign;
mod case;
mod changes;
mod compare;
mod distrust;
mod examine;
mod journal;
mod learner;
mod report;
mod target;

pub use ask::labels_of;
pub use budget::{Budget, Clock, NoClock, Patience};
pub use campaign::{Campaign, CampaignError};
pub use case::{Case, Expected, ReplayResult, ReplayVerdict};
pub use changes::{Change, Changes, changes};
pub use compare::{Comparison, Trend, compare};
pub use distrust::{Doubt, distrust};
pub use examine::{Examined, examine, steady};
pub use journal::{Entry, Journal, JournalError, MemoryJournal, NoJournal};
pub use learner::{CurvePoint, Imitation, Learner, NoLearner, fidelity, score_fidelity};
pub use report::{Example, Figure, ProbeReport, StateCounts, TriggerPicture};
pub use target::{GradientAnswer, Target, TargetError, TargetFacts};

#[cfg(test)]
mod testing;
