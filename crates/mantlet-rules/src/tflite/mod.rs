//! Rules over TensorFlow Lite models.

mod custom_operator;
mod malformed;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&custom_operator::TfliteCustomOperator, &malformed::TfliteMalformed]
}
