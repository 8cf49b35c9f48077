//! Which dialect a call speaks, and so how it is refused.

use mantlet_wire::Refusal;
use mantlet_wire::classic::Classic;
use mantlet_wire::grpc::{GrpcRefusal, refuse_grpc};
use mantlet_wire::service::Service;
use mantlet_wire::text::Surface;

/// The dialect of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The Open Inference Protocol.
    Tensors,
    /// A call of a language-model endpoint or an agent.
    Text {
        /// Which.
        surface: Surface,
        /// The id of a JSON-RPC call, as JSON: its refusal is an answer to that call.
        call: Option<String>,
    },
    /// A call of the guard as a service.
    Service(Service),
    /// Classic inference in another dialect.
    Classic(Classic),
    /// The Open Inference Protocol over gRPC.
    Grpc,
}

impl Dialect {
    /// Whether an answer can say that the decision comes later. In the other dialects a client would take it for the
    /// model's.
    pub(crate) const fn waits(&self) -> bool {
        matches!(self, Self::Tensors | Self::Classic(_))
    }

    /// A refusal that a client of the dialect reads as one.
    pub(crate) fn refuse(&self, status: u16, reason: &str, id: &str) -> Refusal {
        match self {
            Self::Tensors => mantlet_wire::refuse(status, reason, id),
            // An agent's client that knows its call takes another status for a broken session.
            Self::Text { surface: Surface::Mcp, call: Some(call) } if matches!(status, 400 | 403) => {
                mantlet_wire::text::refuse_call(Some(call), reason, id)
            }
            Self::Grpc => {
                let GrpcRefusal { code, message } = refuse_grpc(status, reason, id);
                let headers = vec![
                    ("content-type", "application/grpc".to_owned()),
                    ("grpc-status", code.to_string()),
                    ("grpc-message", message),
                ];
                Refusal { status: 200, headers, body: String::new() }
            }
            Self::Classic(dialect) => mantlet_wire::classic::refuse_classic(*dialect, status, reason, id),
            Self::Service(service) => mantlet_wire::service::refuse_service(*service, status, reason, id),
            Self::Text { surface, .. } => mantlet_wire::text::refuse(*surface, status, reason, id),
        }
    }
}
