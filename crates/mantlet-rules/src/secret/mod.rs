//! Rules over credentials.

mod in_artifact;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&in_artifact::SecretInArtifact]
}
