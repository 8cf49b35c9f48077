//! Rules over TensorFlow graphs.

mod malformed;
mod path_escape;
mod unknown_operator;
mod unsafe_operator;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![
        &unsafe_operator::TensorflowUnsafeOperator,
        &unknown_operator::TensorflowUnknownOperator,
        &path_escape::TensorflowPathEscape,
        &malformed::TensorflowMalformed,
    ]
}
