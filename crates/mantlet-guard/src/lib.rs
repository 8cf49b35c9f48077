//! One exchange through limits, controls, detectors and pinned rules to a decision. No HTTP, no clock.
//!
//! [`Guard::inspect`] decides before the model is asked, [`Guard::observe_reply`] once it has answered (and may
//! withhold the answer). What a person or a playbook changes while traffic flows lives in [`Controls`].
//! [`Recorder`] and [`Events`] are the ports through which exchanges and alerts leave; neither may block.

mod callers;
mod config;
mod controls;
mod gaps;
mod guard;
mod labels;
mod limits;
mod ports;
mod replay;
mod verdict;

pub use config::{GuardConfig, RateLimit, RulePolicy};
pub use controls::{ActiveControl, Controls, ControlsSnapshot, KeyControl};
pub use guard::{Caller, Guard, GuardError, Inspection};
pub use limits::TokenBucket;
pub use ports::{Events, GuardEvent, Nowhere, Overloaded, Recorder};
pub use replay::Replayed;
