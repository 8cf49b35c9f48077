//! What a campaign can attack: a model file in process, or an endpoint over HTTP; and its journal in a file.

mod endpoint;
mod journal;
mod metadata;
mod model;
mod transport;

pub use endpoint::{EndpointConfig, EndpointTarget};
pub use journal::FileJournal;
pub use model::ModelTarget;
