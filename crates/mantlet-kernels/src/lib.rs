//! Matrix product, convolution and pooling on flat slices, shared by the interpreter (`mantlet-model`) and
//! the trainer (`mantlet-learn`). Pure: no I/O, no clock, no threads; the same input gives the same bits.
//!
//! This is the only crate that holds unsafe code, and only `matrix.rs` does: the well-kept kernels of
//! `matrixmultiply` take raw pointers, and its safe wrapper here checks every extent first; and code compiled for
//! wide registers is called only where the machine has them.

mod conv;
mod direct;
mod lanes;
mod matrix;
mod rows;

pub use conv::{Axis, Conv2d, col2im, im2col};
pub use direct::{Direct, LANES};
pub use lanes::{Dense, Lanes, Pool2d, interleave, part};
pub use matrix::{Layout, sgemm};
pub use rows::{distance, distances, products};
