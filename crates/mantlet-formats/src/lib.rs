//! Windows of bytes to facts and defects, one module a format. Nothing here loads or executes a model.
//!
//! Each format has one pure entrance `analyse(&dyn Source, &Bounds)` that never fails and never panics: what
//! is broken is a defect among the facts.

pub mod advice;
pub mod ar;
pub mod boosted;
mod bounds;
pub mod card;
pub mod config;
mod decompress;
pub mod deployment;
mod engines;
pub mod fetching;
mod flat;
pub mod gguf;
pub mod go_template;
pub mod graph;
pub mod hdf5;
pub mod inflate;
pub mod inline;
pub mod java;
pub mod jinja;
pub mod keras;
mod keys;
pub mod lowbits;
mod markup;
pub mod media;
pub mod metadata;
pub mod models;
pub mod msgpack;
pub mod npy;
pub mod onnx;
pub mod opened;
pub mod origin;
pub mod page;
pub mod pass;
pub mod pickle;
pub mod programs;
mod proto;
pub mod protoform;
pub mod python;
pub mod rdata;
pub mod regexes;
pub mod requirements;
pub mod route;
pub mod runtime;
pub mod safetensors;
pub mod secrets;
pub mod sevenz;
pub mod skops;
pub mod spark;
pub mod store;
pub mod strides;
pub mod structure;
pub mod sweep;
pub mod tabular;
pub mod tar;
pub mod tensorflow;
pub mod tflite;
pub mod torch;
pub mod tree;
mod ubjson;
pub mod unclaimed;
pub mod weights;
mod window;
mod woven;
pub mod xml;
pub mod zip;
pub mod zstd;

pub use bounds::Bounds;

/// The facts that rules judge, one format at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// What the file is and what its name claims.
    Route(route::Route),
    /// A pickle.
    Pickle(pickle::Pickle),
    /// A zip archive; whether `torch.save` made it is [`zip::Zip::torch_root`].
    Zip(zip::Zip),
    /// A tar archive.
    Tar(tar::Tar),
    /// A 7z archive.
    SevenZip(sevenz::SevenZip),
    /// Addresses worth a look.
    Indicators(Vec<secrets::Secret>),
    /// Programs inside a file of another kind.
    Programs(Vec<programs::Program>),
    /// Harmful pickles inside a file of another kind.
    EmbeddedPickles(Vec<pickle::Embedded>),
    /// Bytes that no format claims.
    Unclaimed(unclaimed::Unclaimed),
    /// A configuration file.
    Config(Box<config::Config>),
    /// XML that declares something.
    Xml(xml::Xml),
    /// A model card.
    Card(card::Card),
    /// What a README tells to run.
    Advice(Vec<advice::Advice>),
    /// Serialised R objects.
    RData(rdata::RData),
    /// What a package or environment installs.
    Requirements(requirements::Requirements),
    /// Python source.
    Script(Box<python::Script>),
    /// A Jinja template.
    Template(Box<jinja::Template>),
    /// What an archive of torch holds beside pickles.
    Torch(torch::Torch),
    /// The schema of a skops file.
    Skops(skops::Skops),
    /// A NumPy array.
    Npy(npy::Npy),
    /// A safetensors file.
    Safetensors(safetensors::Safetensors),
    /// An ONNX model.
    Onnx(onnx::Onnx),
    /// A GGUF file.
    Gguf(gguf::Gguf),
    /// A file of a format before GGUF.
    Ggml(gguf::Ggml),
    /// Texts that a file of weights says about itself.
    Metadata(Vec<metadata::Text>),
    /// An HDF5 file.
    Hdf5(hdf5::Hdf5),
    /// A Keras configuration.
    Keras(keras::Keras),
    /// Low bits of weights that are not noise.
    LowBits(Vec<lowbits::LowBits>),
    /// How weights differ from those of their base model.
    Deviations(Vec<weights::Deviation>),
    /// A TensorFlow Lite model.
    Tflite(tflite::Tflite),
    /// A TensorFlow graph.
    TensorFlow(tensorflow::TensorFlow),
    /// Where a model's graph lets the raw input override the learned output.
    Graph(Vec<graph::Override>),
    /// What such a place does when the model runs.
    Probed(Vec<graph::Probed>),
    /// A model in a format that is data throughout.
    Structure(Box<structure::Structure>),
    /// Credentials in plain sight.
    Secrets(Vec<secrets::Secret>),
    /// What a file makes whoever opens it do.
    Opened(Vec<opened::Opened>),
    /// Something compressed that could not be unpacked as declared: a damaged stream, a wrong checksum.
    Damage(String),
}
