//! Which dialect a call speaks, and so how it is refused.

use mantlet_wire::Refusal;
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
}

impl Dialect {
    /// A refusal that a client of the dialect reads as one.
    pub(crate) fn refuse(&self, status: u16, reason: &str, id: &str) -> Refusal {
        match self {
            Self::Tensors => mantlet_wire::refuse(status, reason, id),
            // An agent's client that knows its call takes another status for a broken session.
            Self::Text { surface: Surface::Mcp, call: Some(call) } if matches!(status, 400 | 403) => {
                mantlet_wire::text::refuse_call(Some(call), reason, id)
            }
            Self::Service(service) => mantlet_wire::service::refuse_service(*service, status, reason, id),
            Self::Text { surface, .. } => mantlet_wire::text::refuse(*surface, status, reason, id),
        }
    }
}
