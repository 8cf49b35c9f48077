//! Rules over models in formats that are data throughout, whatever the format.

mod foreign_code;
mod malformed;
mod needle_leaf;
mod outside_file;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![
        &malformed::ModelMalformed,
        &foreign_code::ModelForeignCode,
        &outside_file::ModelOutsideFile,
        &needle_leaf::ModelNeedleLeaf,
    ]
}
