//! Rules over safetensors files.

mod malformed;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&malformed::SafetensorsMalformed]
}
