//! Rules over GGUF files and the formats before them.

mod malformed;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&malformed::GgufMalformed]
}
