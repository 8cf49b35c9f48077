//! Rows as the detectors see them.

use mantlet_vocab::{NamedValue, Tensor};

use super::Profile;

/// The rows of one request in the profile's space.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// One row a row of the request, standardised.
    pub rows: Tensor<f32>,
    /// Where the request departs from the schema, at most a few dozen.
    pub faults: Vec<SchemaFault>,
}

/// A departure from the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaFault {
    /// The input.
    pub input: String,
    /// The row and column, when one value is meant.
    pub at: Option<(usize, usize)>,
    /// What is wrong, in plain words.
    pub what: String,
    /// 1.0 where a departure starts to be noticed; wrong types and shapes have 10.
    pub score: f64,
}

impl Profile {
    /// The rows of a request as the detectors see them.
    #[must_use]
    pub fn encode(&self, inputs: &[NamedValue], rows: usize) -> Encoded {
        let _ = (inputs, rows);
        Encoded { rows: Tensor::full([0, 0], 0.0), faults: Vec::new() }
    }
}
