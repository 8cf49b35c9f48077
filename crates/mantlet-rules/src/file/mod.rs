//! Rules over what a file is.

mod acts_when_opened;
mod embedded_pickle;
mod embedded_program;
mod executable;
mod extension_lies;
mod network_indicator;
mod unclaimed;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![
        &extension_lies::FileExtensionLies,
        &executable::FileExecutable,
        &embedded_program::FileEmbeddedProgram,
        &embedded_pickle::FileEmbeddedPickle,
        &unclaimed::FileUnclaimed,
        &network_indicator::FileNetworkIndicator,
        &acts_when_opened::FileActsWhenOpened,
    ]
}
