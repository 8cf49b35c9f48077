//! What a model gives away about single records and whole classes, beyond who was among its training rows.

pub mod attribute;
pub mod inversion;
