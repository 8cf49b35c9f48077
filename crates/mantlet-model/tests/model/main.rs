//! The interpreter against ONNX Runtime, finite differences, exported models and hostile files.
#![cfg(test)]

mod beside;
mod classifiers;
mod foreign;
mod hostile;
mod operators;
mod sketch;
mod slopes;
mod weights;
mod whole;
