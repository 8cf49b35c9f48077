//! Rules over archives and compressed files.

mod damaged;
mod disagreement;
mod path_traversal;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&disagreement::ArchiveDisagreement, &path_traversal::ArchivePathTraversal, &damaged::ArchiveDamaged]
}

/// Whether a member name leads out of the folder it is unpacked into.
pub(crate) fn escapes(name: &str) -> bool {
    let name = name.replace('\\', "/");
    if name.starts_with('/') || name.get(1..2) == Some(":") {
        return true;
    }
    let mut depth = 0_i64;
    name.split('/').any(|part| {
        match part {
            ".." => depth -= 1,
            "" | "." => {}
            _ => depth += 1,
        }
        depth < 0
    })
}
