//! Telling which rows a model was trained on.

pub mod threshold;
