//! Rules over what a file is.

mod executable;
mod extension_lies;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&extension_lies::FileExtensionLies, &executable::FileExecutable]
}
