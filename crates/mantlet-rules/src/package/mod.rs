//! Rules over what a package or environment installs.

mod foreign_source;
mod plugin_hook;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&foreign_source::PackageForeignSource, &plugin_hook::PackagePluginHook]
}
