//! Rules over Keras configurations.

mod dangerous_function;
mod foreign_import;
mod lambda;
mod outside_file;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![
        &lambda::KerasLambda,
        &foreign_import::KerasForeignImport,
        &dangerous_function::KerasDangerousFunction,
        &outside_file::KerasOutsideFile,
    ]
}
