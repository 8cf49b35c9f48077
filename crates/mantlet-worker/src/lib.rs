//! Work that runs models: the battery before admission, the probe of a suspected branch, the targets that
//! campaigns attack; and the loop that answers alerts.

pub mod answer;
pub mod battery;
pub mod probe;
pub mod targets;
