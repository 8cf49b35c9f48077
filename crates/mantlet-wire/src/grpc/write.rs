//! Messages of the service, written.

use mantlet_vocab::NamedValue;

use super::proto::{Fields, push_bytes, push_number};
use crate::write::write_binary;
use crate::{Datatype, Defect, InferReply, InferRequest};

/// `ModelInferRequest`, its tensors as raw contents.
#[must_use]
pub fn write_grpc_request(request: &InferRequest) -> Vec<u8> {
    let mut message = write_grpc_about(&request.request.model, request.request.version.as_deref());
    if let Some(id) = &request.id {
        push_bytes(&mut message, 3, id.as_bytes());
    }
    push_tensors(&mut message, &request.request.inputs);
    for output in &request.outputs {
        let mut wanted = Vec::new();
        push_bytes(&mut wanted, 1, output.name.as_bytes());
        push_bytes(&mut message, 6, &wanted);
    }
    push_raw(&mut message, 7, &request.request.inputs);
    message
}

/// `ModelMetadataRequest` and its kin: which model, and which version of it.
#[must_use]
pub fn write_grpc_about(model: &str, version: Option<&str>) -> Vec<u8> {
    let mut message = Vec::new();
    push_bytes(&mut message, 1, model.as_bytes());
    if let Some(version) = version {
        push_bytes(&mut message, 2, version.as_bytes());
    }
    message
}

/// Tensors in field 5: name, datatype and shape.
fn push_tensors(message: &mut Vec<u8>, values: &[NamedValue]) {
    for value in values {
        let mut tensor = Vec::new();
        push_bytes(&mut tensor, 1, value.name.as_bytes());
        push_bytes(&mut tensor, 2, Datatype::of(&value.value).name().as_bytes());
        for axis in value.value.shape() {
            push_number(&mut tensor, 3, *axis as u64);
        }
        push_bytes(message, 5, &tensor);
    }
}

/// Their values, each in a field of its own.
fn push_raw(message: &mut Vec<u8>, number: u32, values: &[NamedValue]) {
    for value in values {
        let mut raw = Vec::new();
        write_binary(&value.value, &mut raw);
        push_bytes(message, number, &raw);
    }
}

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
    push_tensors(&mut message, &reply.reply.outputs);
    push_raw(&mut message, 6, &reply.reply.outputs);
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
