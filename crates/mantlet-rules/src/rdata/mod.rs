//! Rules over serialised R objects.

mod promise;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&promise::RdataPromise]
}
