//! Messages of the service, written.

use super::proto::{Fields, push_bytes, push_number};
use crate::write::write_binary;
use crate::{Datatype, Defect, InferReply};

/// `ModelInferResponse`, its tensors as raw contents.
#[must_use]
pub fn write_grpc_reply(reply: &InferReply) -> Vec<u8> {
    let mut message = Vec::new();
    push_bytes(&mut message, 1, reply.model.as_bytes());
    for (number, text) in [(2, &reply.version), (3, &reply.id)] {
        if let Some(text) = text {
            push_bytes(&mut message, number, text.as_bytes());
        }
    }
    for output in &reply.reply.outputs {
        let mut tensor = Vec::new();
        push_bytes(&mut tensor, 1, output.name.as_bytes());
        push_bytes(&mut tensor, 2, Datatype::of(&output.value).name().as_bytes());
        for axis in output.value.shape() {
            push_number(&mut tensor, 3, *axis as u64);
        }
        push_bytes(&mut message, 5, &tensor);
    }
    for output in &reply.reply.outputs {
        let mut raw = Vec::new();
        write_binary(&output.value, &mut raw);
        push_bytes(&mut message, 6, &raw);
    }
    message
}

/// `ModelStreamInferResponse` with an answer.
#[must_use]
pub fn write_grpc_stream_reply(reply: &InferReply) -> Vec<u8> {
    let mut message = Vec::new();
    push_bytes(&mut message, 2, &write_grpc_reply(reply));
    message
}

/// `ServerLiveResponse`, `ServerReadyResponse` or `ModelReadyResponse`.
#[must_use]
pub fn write_grpc_flag(flag: bool) -> Vec<u8> {
    let mut message = Vec::new();
    if flag {
        push_number(&mut message, 1, 1);
    }
    message
}

/// What `grpc.health.v1` says of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrpcHealth {
    /// `SERVING`
    Serving,
    /// `NOT_SERVING`
    NotServing,
    /// `SERVICE_UNKNOWN`, which only a watch says.
    Unknown,
}

/// `HealthCheckResponse` of `grpc.health.v1`.
#[must_use]
pub fn write_grpc_health(health: GrpcHealth) -> Vec<u8> {
    let mut message = Vec::new();
    let status = match health {
        GrpcHealth::Serving => 1,
        GrpcHealth::NotServing => 2,
        GrpcHealth::Unknown => 3,
    };
    push_number(&mut message, 1, status);
    message
}

/// `ServerMetadataResponse`.
#[must_use]
pub fn write_grpc_server(name: &str, version: &str) -> Vec<u8> {
    let mut message = Vec::new();
    push_bytes(&mut message, 1, name.as_bytes());
    push_bytes(&mut message, 2, version.as_bytes());
    message
}

/// A message about a model with another name and version of it (fields 1 and 2 of each such message), every other field
/// as it came.
///
/// # Errors
/// The first defect.
pub fn rename_grpc(message: &[u8], model: &str, version: Option<&str>) -> Result<Vec<u8>, Defect> {
    let mut renamed = Vec::with_capacity(message.len() + model.len() + 16);
    push_bytes(&mut renamed, 1, model.as_bytes());
    if let Some(version) = version {
        push_bytes(&mut renamed, 2, version.as_bytes());
    }
    let mut fields = Fields::new(message);
    let mut start = 0;
    while let Some((number, _)) = fields.next()? {
        if number > 2 {
            renamed.extend_from_slice(message.get(start..fields.at()).unwrap_or(&[]));
        }
        start = fields.at();
    }
    Ok(renamed)
}
