//! Rules over serialised R objects.

mod carried_command;
mod promise;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&promise::RdataPromise, &carried_command::RdataCarriedCommand]
}
