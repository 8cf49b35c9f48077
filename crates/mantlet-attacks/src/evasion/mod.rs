//! Changing an input a little so that the model decides otherwise.

pub mod hop_skip_jump;
pub mod pgd;
