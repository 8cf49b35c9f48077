//! Seeded, deterministic training of small learners (linear, multi-layer perceptron, small convolutional
//! network, boosted trees) with weight gradients; networks are written as ONNX; and the digits they are shown on.

mod badnets;
mod boosted;
mod digits;
mod hashed;
mod layers;
mod network;
mod onnx;
mod plant;

pub use badnets::{Patch, plant_badnets};
pub use boosted::{Boosted, Boosting, boost, boost_values};
pub use digits::{Table, digits};
pub use hashed::Hashed;
pub use network::{Architecture, LearnError, Network, Progress, Training, train, train_soft, train_values};
pub use onnx::OnnxOptions;
pub use plant::{Aim, Mark, obeyed, plant};

#[cfg(test)]
mod tests;
