//! Copying a model by asking it.

pub mod active;
pub mod linear;
pub mod query_copy;
pub mod score_copy;
pub mod transfer;
pub mod tree_paths;

/// From this agreement on a copy stands in for the model.
pub const COPIED: f64 = 0.9;
