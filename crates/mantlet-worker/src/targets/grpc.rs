//! The Open Inference Protocol v2 over gRPC: one message each way, and what its statuses mean to a campaign.

use std::time::SystemTime;

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, TE};
use hyper::{Method, StatusCode, Uri};
use mantlet_redteam::TargetError;
use mantlet_wire::grpc::{
    GrpcFrames, grpc_frame, read_grpc_metadata, read_grpc_reply, write_grpc_about, write_grpc_request,
};
use mantlet_wire::{InferReply, InferRequest, Limits};

use super::endpoint::{EndpointConfig, accept, malformed, retry_after_ms, unsupported};
use super::metadata::{Metadata, TensorMetadata};
use super::transport::{Reply, Transport};

/// The scheme of HTTP under an address of gRPC, and the rest of the address.
pub(super) fn scheme(address: &str) -> Option<(&'static str, &str)> {
    let plain = address.strip_prefix("grpc://").map(|rest| ("http", rest));
    plain.or_else(|| address.strip_prefix("grpcs://").map(|rest| ("https", rest)))
}

/// What the endpoint says of its model.
pub(super) fn metadata(
    transport: &Transport,
    config: &EndpointConfig,
    headers: &HeaderMap,
) -> Result<Metadata, TargetError> {
    let asked = write_grpc_about(&config.model, config.version.as_deref());
    let message = call(transport, config, headers, "ModelMetadata", &asked)?;
    let [inputs, outputs] = read_grpc_metadata(&message, &Limits::default())
        .map_err(|defect| malformed(format!("metadata of the model: {defect}")))?;
    let tensors = |list: Vec<mantlet_wire::grpc::GrpcTensor>| {
        let one = |tensor: mantlet_wire::grpc::GrpcTensor| TensorMetadata {
            name: tensor.name,
            datatype: tensor.datatype,
            shape: tensor.shape,
        };
        list.into_iter().map(one).collect()
    };
    Ok(Metadata { inputs: tensors(inputs), outputs: tensors(outputs) })
}

/// One inference.
pub(super) fn infer(
    transport: &Transport,
    config: &EndpointConfig,
    headers: &HeaderMap,
    request: &InferRequest,
) -> Result<InferReply, TargetError> {
    let message = call(transport, config, headers, "ModelInfer", &write_grpc_request(request))?;
    read_grpc_reply(&message, &Limits::default()).map_err(|defect| malformed(defect.to_string()))
}

/// One call: a message there, and the only message back.
fn call(
    transport: &Transport,
    config: &EndpointConfig,
    headers: &HeaderMap,
    method: &str,
    message: &[u8],
) -> Result<Vec<u8>, TargetError> {
    let address = scheme(&config.base_url).and_then(|(scheme, rest)| {
        let host = rest.trim_end_matches('/');
        format!("{scheme}://{host}/inference.GRPCInferenceService/{method}").parse::<Uri>().ok()
    });
    let address = address.ok_or_else(|| {
        unsupported(
            "the endpoint's address is not valid: give scheme and host, such as grpc://127.0.0.1:8081",
        )
    })?;
    let mut headers = headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    // Servers refuse clients that do not say they understand trailers.
    headers.insert(TE, HeaderValue::from_static("trailers"));
    let reply = transport.send(Method::POST, address, headers, grpc_frame(message))?;
    if reply.status != StatusCode::OK {
        // Something before the service answered.
        accept(&reply)?;
    }
    settled(&reply)?;
    let mut frames = GrpcFrames::new(Limits::default().bytes);
    let found = frames.feed(&reply.body).and_then(|found| frames.finish().map(|()| found));
    let found = found.map_err(|defect| malformed(defect.to_string()))?;
    match found.as_slice() {
        [one] if one.compressed() => Err(malformed("the answer is compressed, which was not asked for")),
        [one] => Ok(one.message().to_vec()),
        many => Err(malformed(format!("{} messages in the answer, 1 expected", many.len()))),
    }
}

/// An error unless the status is that of success.
fn settled(reply: &Reply) -> Result<(), TargetError> {
    // An answer without a message has its status among the headers.
    let word = |name: &str| {
        let value = reply.trailers.get(name).or_else(|| reply.headers.get(name));
        value.and_then(|value| value.to_str().ok()).map(str::trim)
    };
    let Some(code) = word("grpc-status").and_then(|code| code.parse::<u32>().ok()) else {
        return Err(malformed("the answer has no status of gRPC"));
    };
    let said = plain(word("grpc-message").unwrap_or_default());
    // What each status would be over REST (google.rpc.Code), so that a campaign treats both alike.
    let refused = |status: u16| {
        let pushback = word("grpc-retry-pushback-ms").and_then(|text| text.parse::<u64>().ok());
        let after = word(RETRY_AFTER.as_str()).and_then(|text| retry_after_ms(text, SystemTime::now()));
        TargetError::Refused {
            status,
            reason: format!("gRPC status {code}: {said}"),
            retry_after_ms: pushback.or(after),
        }
    };
    match code {
        0 => Ok(()),
        3 | 9 | 11 => Err(refused(400)),
        7 => Err(refused(403)),
        16 => Err(refused(401)),
        8 => Err(refused(429)),
        14 => Err(refused(503)),
        5 | 12 => Err(unsupported(format!("gRPC status {code}: {said}"))),
        _ => Err(TargetError::Failed { reason: format!("gRPC status {code}: {said}") }),
    }
}

/// A percent-encoded message, shortened and without control characters.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes().take(2_000);
    while let Some(byte) = rest.next() {
        let pair = if byte == b'%' { rest.clone().next().zip(rest.clone().nth(1)) } else { None };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match pair.and_then(|(high, low)| Some(digit(high)? * 16 + digit(low)?)) {
            Some(decoded) => {
                bytes.push(decoded);
                rest.nth(1);
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).chars().filter(|letter| !letter.is_control()).take(200).collect()
}
