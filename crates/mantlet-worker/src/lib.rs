//! Background work of a running installation: the battery before admission, the targets that campaigns attack,
//! and the loop that answers alerts.

pub mod answer;
pub mod battery;
pub mod targets;
