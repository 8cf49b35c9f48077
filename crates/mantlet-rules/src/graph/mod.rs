//! Rules over the graphs of models, whatever their format.

mod input_override;
mod override_confirmed;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&input_override::GraphInputOverride, &override_confirmed::GraphOverrideConfirmed]
}
