//! The Open Inference Protocol v2 over gRPC, as Triton and KServe speak it: which call a path is, messages and their
//! frames, and refusals as statuses of gRPC.
//!
//! Source: `grpc_service.proto` of Triton and `grpc_predict_v2.proto` of KServe, which agree in what is read here.

mod contents;
mod frames;
mod infer;
mod proto;
mod write;

use std::fmt::Write as _;

use self::proto::push_bytes;
use crate::text::named;

pub use frames::{GrpcFrame, GrpcFrames, grpc_frame};
pub use infer::{
    GrpcStreamReply, GrpcTensor, read_grpc_about, read_grpc_metadata, read_grpc_reply, read_grpc_request,
    read_grpc_stream_reply,
};

pub use write::{
    GrpcHealth, rename_grpc, write_grpc_about, write_grpc_flag, write_grpc_health, write_grpc_reply,
    write_grpc_request, write_grpc_server, write_grpc_stream_reply,
};

/// A call of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrpcCall {
    /// `ServerLive`
    Live,
    /// `ServerReady`
    Ready,
    /// `ServerMetadata`
    ServerMetadata,
    /// `ModelReady`, `ModelMetadata`, `ModelConfig`, `ModelStatistics`: their message names the model.
    About,
    /// `ModelInfer`: one message each way.
    Infer,
    /// `ModelStreamInfer`: messages both ways.
    StreamInfer,
    /// Registration of shared memory, which would hide inputs from inspection.
    SharedMemory,
    /// Loading and unloading, the repository's index, tracing, logging: administration, not inference.
    Administration,
    /// `Check` of the health protocol that orchestrators and load balancers ask by.
    Health,
    /// `Watch` of the same.
    HealthWatch,
    /// Nothing of these protocols.
    Unknown,
}

/// The call that a path makes; all are `POST`.
#[must_use]
pub fn grpc_call(path: &str) -> GrpcCall {
    match path {
        "/grpc.health.v1.Health/Check" => return GrpcCall::Health,
        "/grpc.health.v1.Health/Watch" => return GrpcCall::HealthWatch,
        _ => {}
    }
    let Some(method) = path.strip_prefix("/inference.GRPCInferenceService/") else {
        return GrpcCall::Unknown;
    };
    match method {
        "ServerLive" => GrpcCall::Live,
        "ServerReady" => GrpcCall::Ready,
        "ServerMetadata" => GrpcCall::ServerMetadata,
        "ModelReady" | "ModelMetadata" | "ModelConfig" | "ModelStatistics" => GrpcCall::About,
        "ModelInfer" => GrpcCall::Infer,
        "ModelStreamInfer" => GrpcCall::StreamInfer,
        "RepositoryIndex"
        | "RepositoryModelLoad"
        | "RepositoryModelUnload"
        | "TraceSetting"
        | "LogSettings" => GrpcCall::Administration,
        _ if method.contains("SharedMemory") => GrpcCall::SharedMemory,
        _ => GrpcCall::Unknown,
    }
}

/// A refusal: HTTP status 200, content type `application/grpc`, and these two in the trailers, or in the headers of an
/// answer that has no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcRefusal {
    /// The value of `grpc-status`.
    pub code: u32,
    /// The value of `grpc-message`, percent-encoded as it has to be.
    pub message: String,
}

/// The status of gRPC that says what an HTTP status says; `id` names the exchange.
#[must_use]
pub fn refuse_grpc(status: u16, reason: &str, id: &str) -> GrpcRefusal {
    let code = match status {
        400 | 422 => 3,        // INVALID_ARGUMENT
        401 => 16,             // UNAUTHENTICATED
        403 => 7,              // PERMISSION_DENIED
        404 => 5,              // NOT_FOUND
        408 | 504 => 4,        // DEADLINE_EXCEEDED
        413 | 429 => 8,        // RESOURCE_EXHAUSTED
        405 | 415 | 501 => 12, // UNIMPLEMENTED
        499 => 1,              // CANCELLED
        502 | 503 => 14,       // UNAVAILABLE
        500.. => 13,           // INTERNAL
        _ => 9,                // FAILED_PRECONDITION
    };
    let mut message = String::new();
    for byte in named(reason, id).bytes() {
        // Printable ASCII but the percent sign stands for itself (gRPC over HTTP/2, "Percent-Encoded").
        if matches!(byte, 0x20..=0x7e) && byte != b'%' {
            message.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(message, "%{byte:02X}");
        }
    }
    GrpcRefusal { code, message }
}

/// The message of `ModelStreamInfer` that tells the caller what went wrong with one of its requests, the stream going
/// on; framed.
#[must_use]
pub fn refuse_grpc_stream(reason: &str, id: &str) -> Vec<u8> {
    let mut message = Vec::new();
    push_bytes(&mut message, 1, named(reason, id).as_bytes());
    grpc_frame(&message)
}
