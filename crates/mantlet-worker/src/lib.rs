//! Background work of a running installation: the targets that campaigns attack, and the loop that answers
//! alerts.

pub mod answer;
pub mod targets;
