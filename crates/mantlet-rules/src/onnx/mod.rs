//! Rules over ONNX models.

mod custom_operator;
mod external_escape;
mod malformed;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![
        &external_escape::OnnxExternalEscape,
        &custom_operator::OnnxCustomOperator,
        &malformed::OnnxMalformed,
    ]
}
