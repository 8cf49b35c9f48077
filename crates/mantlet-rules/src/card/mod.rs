//! Rules over model cards.

mod incomplete;
mod remote_code;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&incomplete::CardIncomplete, &remote_code::CardRemoteCode]
}
