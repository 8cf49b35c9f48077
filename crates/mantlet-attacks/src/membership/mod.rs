//! Telling which rows the model was trained on.

pub mod label_only;
pub mod likelihood_ratio;
pub mod relative;
pub mod shadow;
pub mod threshold;

mod epsilon;
mod measure;
mod shadows;

pub(crate) use threshold::log_odds;
