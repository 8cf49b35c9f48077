//! Copying a model by asking it.

pub mod query_copy;
