//! What a campaign can attack: a model file in process, an endpoint that speaks the Open Inference Protocol
//! over REST or gRPC, or JSON of its own, or a program of the user's; its journal and its answers in files.

mod endpoint;
mod grpc;
mod journal;
mod metadata;
mod model;
mod ordered;
mod process;
mod remembered;
mod template;
mod transport;

pub use endpoint::{EndpointConfig, EndpointTarget, without_credentials};
pub use journal::FileJournal;
pub use model::ModelTarget;
pub use ordered::Ordered;
pub use process::{ProcessConfig, ProcessTarget};
pub use remembered::{Answers, Remembering};
pub use template::{TemplateConfig, TemplateTarget};
