//! Inference requests and replies written in the protocol's JSON or binary form.

use mantlet_vocab::{NamedValue, Value};
use serde_json::{Map, json};

use crate::{Datatype, InferReply, InferRequest};

/// A message ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The value of [`crate::HEAD_LENGTH_HEADER`], when there is binary data.
    pub head: Option<usize>,
    /// The body.
    pub body: Vec<u8>,
}

impl Encoded {
    /// The content type that belongs to the form.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        if self.head.is_some() { "application/octet-stream" } else { "application/json" }
    }
}

/// Writes a request; inputs whose [`crate::Wire::binary`] is set become binary data. Values that are not
/// finite cannot stand in JSON and are written as `null`, which readers refuse: send them as binary data.
#[must_use]
pub fn write_request(request: &InferRequest) -> Encoded {
    let mut head = Map::new();
    if let Some(id) = &request.id {
        head.insert("id".into(), json!(id));
    }
    if request.binary_outputs {
        head.insert("parameters".into(), json!({ "binary_data_output": true }));
    }
    let binary = |index: usize| request.wire.get(index).is_some_and(|wire| wire.binary);
    if !request.outputs.is_empty() {
        let outputs = request.outputs.iter().map(|output| match output.binary {
            Some(binary) => json!({ "name": output.name, "parameters": { "binary_data": binary } }),
            None => json!({ "name": output.name }),
        });
        head.insert("outputs".into(), outputs.collect());
    }
    encode(head, "inputs", &request.request.inputs, binary)
}

/// Writes a reply; outputs whose [`crate::Wire::binary`] is set become binary data.
#[must_use]
pub fn write_reply(reply: &InferReply) -> Encoded {
    let mut head = Map::new();
    head.insert("model_name".into(), json!(reply.model));
    if let Some(version) = &reply.version {
        head.insert("model_version".into(), json!(version));
    }
    if let Some(id) = &reply.id {
        head.insert("id".into(), json!(id));
    }
    let binary = |index: usize| reply.wire.get(index).is_some_and(|wire| wire.binary);
    encode(head, "outputs", &reply.reply.outputs, binary)
}

fn encode(
    mut head: Map<String, serde_json::Value>,
    field: &str,
    values: &[NamedValue],
    binary: impl Fn(usize) -> bool,
) -> Encoded {
    let mut tail = Vec::new();
    let mut any = false;
    let tensors = values.iter().enumerate().map(|(index, NamedValue { name, value })| {
        let mut tensor = json!({
            "name": name,
            "shape": value.shape(),
            "datatype": Datatype::of(value).name(),
        });
        if binary(index) {
            any = true;
            let before = tail.len();
            write_binary(value, &mut tail);
            tensor["parameters"] = json!({ "binary_data_size": tail.len() - before });
        } else {
            tensor["data"] = write_json(value);
        }
        tensor
    });
    let tensors: serde_json::Value = tensors.collect();
    head.insert(field.into(), tensors);
    let mut body = serde_json::Value::Object(head).to_string().into_bytes();
    let length = body.len();
    body.append(&mut tail);
    Encoded { head: any.then_some(length), body }
}

fn write_json(value: &Value) -> serde_json::Value {
    match value {
        Value::F32(t) => json!(t.data()),
        Value::F64(t) => json!(t.data()),
        Value::I64(t) => json!(t.data()),
        Value::I32(t) => json!(t.data()),
        Value::U8(t) => json!(t.data()),
        Value::Bool(t) => json!(t.data()),
        Value::Text(t) => json!(t.data()),
    }
}

pub(crate) fn write_binary(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::F32(t) => t.data().iter().for_each(|v| out.extend(v.to_le_bytes())),
        Value::F64(t) => t.data().iter().for_each(|v| out.extend(v.to_le_bytes())),
        Value::I64(t) => t.data().iter().for_each(|v| out.extend(v.to_le_bytes())),
        Value::I32(t) => t.data().iter().for_each(|v| out.extend(v.to_le_bytes())),
        Value::U8(t) => out.extend_from_slice(t.data()),
        Value::Bool(t) => out.extend(t.data().iter().map(|&v| u8::from(v))),
        Value::Text(t) => {
            for text in t.data() {
                // A text longer than 4 GiB cannot be written in this form; no reader accepts one either.
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                out.extend(length.to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}
