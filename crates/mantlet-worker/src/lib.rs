//! Work that runs models: the battery before admission, the probe of a suspected branch, the targets that
//! campaigns attack; the loop that answers alerts; the analysis that takes versions on and back;
//! judges of text behind endpoints; what is made of a hit: cases, traces, rules of the guard.

pub mod answer;
pub mod battery;
pub mod harden;
pub mod judge;
pub mod probe;
pub mod rollout;
pub mod targets;
