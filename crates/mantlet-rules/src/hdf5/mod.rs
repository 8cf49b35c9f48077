//! Rules over HDF5 files.

mod malformed;
mod outside_file;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![&malformed::Hdf5Malformed, &outside_file::Hdf5OutsideFile]
}
