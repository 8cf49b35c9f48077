//! Rules over model cards.

mod incomplete;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&incomplete::CardIncomplete]
}
