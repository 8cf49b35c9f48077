//! Rules over skops files.

mod malformed;
mod unknown_type;
mod unsafe_type;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&unsafe_type::SkopsUnsafeType, &unknown_type::SkopsUnknownType, &malformed::SkopsMalformed]
}
