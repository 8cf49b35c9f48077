//! Models compiled or written for one runtime: what they name that the runtime does not bring, which files they
//! read, and whether their parts agree.

pub mod caffe;
pub mod cntk;
pub mod coreml;
pub mod executorch;
mod mil;
pub mod mxnet;
pub mod ncnn;
pub mod opaque;
pub mod openvino;
pub mod paddle;
pub mod pmml;
pub mod program;
pub mod torch7;
