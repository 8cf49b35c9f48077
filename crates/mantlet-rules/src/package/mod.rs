//! Rules over what a package or environment installs.

mod foreign_source;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&foreign_source::PackageForeignSource]
}
