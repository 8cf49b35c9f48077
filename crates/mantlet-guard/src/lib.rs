//! One exchange through limits, controls, detectors and pinned rules to a decision. No HTTP, no clock.
//!
//! [`Guard::inspect`] decides before the model is asked, [`Guard::observe_reply`] once it has answered (and may
//! withhold the answer). Text of language models goes through [`Guard::examine_text`] and, for the reply,
//! [`Guard::examine_text_reply`] or [`Guard::watch`]. What a person or a playbook changes while traffic flows lives in [`Controls`].
//! [`Recorder`] and [`Events`] are the ports through which exchanges and alerts leave; neither may block.

mod callers;
mod coarse;
mod config;
mod controls;
mod gaps;
mod guard;
mod judge;
mod labels;
mod limits;
pub mod past;
mod peers;
mod ports;
mod replay;
pub mod shared;
mod step_up;
mod text;
mod vault;
mod verdict;
mod watch;

pub use coarse::coarsened;
pub use config::{GuardConfig, RateLimit, RulePolicy};
pub use controls::{ActiveControl, Beside, Controls, ControlsSnapshot, KeyControl, Split};
pub use guard::{Caller, Guard, GuardError, Inspection};
pub use judge::{Failure, WindowJudge};
pub use labels::{labels, margin, margins};
pub use limits::TokenBucket;
pub use peers::{Note, Peers, PeersStatus, Seen, Told};
pub use ports::{Events, GuardEvent, Nowhere, Overloaded, Recorder};
pub use replay::Replayed;
pub use step_up::{Answered, StepUp, StepUpError};
pub use text::Meter;
pub use vault::Vault;
pub use watch::{Release, ReplyWatch, Verdict};
