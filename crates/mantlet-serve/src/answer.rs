//! What the server answers: metadata, and inference in the form that was asked for.

use mantlet_model::{Dtype, Model, Port};
use mantlet_vocab::{NamedValue, Reply, Value};
use mantlet_wire::{Datatype, InferReply, InferRequest, Limits, Refusal, Wire, refuse};
use serde_json::json;

use crate::{ServeConfig, ServeError, Served};

/// The versions on offer.
pub(crate) struct Shelf {
    name: String,
    versions: Vec<Served>,
    default: usize,
}

/// A good answer.
pub(crate) struct Written {
    pub(crate) body: Vec<u8>,
    pub(crate) head: Option<usize>,
    pub(crate) content_type: &'static str,
}

impl Written {
    pub(crate) const fn empty() -> Self {
        Self { body: Vec::new(), head: None, content_type: "application/json" }
    }

    fn json(value: &serde_json::Value) -> Self {
        Self { body: value.to_string().into_bytes(), ..Self::empty() }
    }
}

impl Shelf {
    pub(crate) fn new(config: &ServeConfig, versions: Vec<Served>) -> Result<Self, ServeError> {
        for (index, one) in versions.iter().enumerate() {
            if versions.iter().skip(index + 1).any(|other| other.version == one.version) {
                return Err(ServeError::Version { version: one.version.clone() });
            }
        }
        let default = match &config.default_version {
            None => versions.len().checked_sub(1).ok_or(ServeError::Nothing)?,
            Some(version) => versions
                .iter()
                .position(|one| one.version == *version)
                .ok_or_else(|| ServeError::Version { version: version.clone() })?,
        };
        Ok(Self { name: config.name.clone(), versions, default })
    }

    pub(crate) fn find(&self, model: &str, version: Option<&str>) -> Result<usize, Refusal> {
        if model != self.name {
            return Err(refuse(404, &format!("there is no model `{model}`"), ""));
        }
        let Some(version) = version else { return Ok(self.default) };
        let found = self.versions.iter().position(|one| one.version == version);
        found.ok_or_else(|| refuse(404, &format!("there is no version `{version}` of `{model}`"), ""))
    }

    pub(crate) fn server_metadata() -> Written {
        Written::json(&json!({
            "name": "mantlet-serve",
            "version": env!("CARGO_PKG_VERSION"),
            "extensions": ["binary_tensor_data"],
        }))
    }

    pub(crate) fn metadata(&self, found: usize) -> Written {
        let signature = self.versions[found].model.signature();
        Written::json(&json!({
            "name": self.name,
            "versions": self.versions.iter().map(|one| &one.version).collect::<Vec<_>>(),
            "platform": "onnx",
            "inputs": signature.inputs.iter().map(port).collect::<Vec<_>>(),
            "outputs": signature.outputs.iter().map(port).collect::<Vec<_>>(),
        }))
    }

    pub(crate) fn infer(
        &self,
        found: usize,
        head: Option<usize>,
        body: &[u8],
        max_body: usize,
    ) -> Result<Written, Refusal> {
        let served = &self.versions[found];
        let limits = Limits { bytes: max_body, ..Limits::default() };
        let mut request = mantlet_wire::read_request(&self.name, Some(&served.version), head, body, &limits)
            .map_err(|defect| refuse(400, &defect.to_string(), ""))?;
        let inputs = take_inputs(&mut request, &*served.model)?;
        let outputs = served.model.infer(&inputs).map_err(|error| {
            // What the caller sent wrong is in the message; what the server did wrong is in the log.
            if matches!(error, mantlet_model::ModelError::Input { .. }) {
                refuse(400, &error.to_string(), "")
            } else {
                tracing::error!(%error, "the model failed");
                refuse(500, "the model failed on this input", "")
            }
        })?;
        self.write(&served.version, request, outputs)
    }

    fn write(
        &self,
        version: &str,
        request: InferRequest,
        mut outputs: Vec<NamedValue>,
    ) -> Result<Written, Refusal> {
        if !request.outputs.is_empty() {
            let mut chosen = Vec::with_capacity(request.outputs.len());
            for wanted in &request.outputs {
                let place = outputs.iter().position(|output| output.name == wanted.name);
                let place = place
                    .ok_or_else(|| refuse(400, &format!("the model has no output `{}`", wanted.name), ""))?;
                chosen.push(outputs.swap_remove(place));
            }
            outputs = chosen;
        }
        let binary = |name: &str| {
            let own =
                request.outputs.iter().find(|output| output.name == name).and_then(|output| output.binary);
            own.unwrap_or(request.binary_outputs)
        };
        let wire: Vec<Wire> = outputs
            .iter()
            .map(|output| Wire { datatype: Datatype::of(&output.value), binary: binary(&output.name) })
            .collect();
        let lost = outputs.iter().zip(&wire).any(|(output, wire)| !wire.binary && !finite(&output.value));
        if lost {
            return Err(refuse(
                500,
                "an output is not finite and cannot stand in JSON; ask for binary data",
                "",
            ));
        }
        let reply = InferReply {
            reply: Reply { outputs, pieces: Vec::new() },
            wire,
            model: self.name.clone(),
            version: Some(version.to_owned()),
            id: request.id,
        };
        let encoded = mantlet_wire::write_reply(&reply);
        Ok(Written { content_type: encoded.content_type(), head: encoded.head, body: encoded.body })
    }
}

/// The inputs in the model's order, each of its element type.
fn take_inputs(request: &mut InferRequest, model: &dyn Model) -> Result<Vec<NamedValue>, Refusal> {
    let ports = &model.signature().inputs;
    let mut given = std::mem::take(&mut request.request.inputs);
    let mut inputs = Vec::with_capacity(ports.len());
    for port in ports {
        let place = given.iter().position(|input| input.name == port.name);
        let place = place.ok_or_else(|| refuse(400, &format!("input `{}` is missing", port.name), ""))?;
        let input = given.swap_remove(place);
        let found = Datatype::of(&input.value).name();
        if found != port.dtype.oip() {
            let text = format!("input `{}` is {found}, the model takes {}", port.name, port.dtype);
            return Err(refuse(400, &text, ""));
        }
        inputs.push(input);
    }
    match given.first() {
        Some(extra) => Err(refuse(400, &format!("the model has no input `{}`", extra.name), "")),
        None => Ok(inputs),
    }
}

fn finite(value: &Value) -> bool {
    match value {
        Value::F32(t) => t.data().iter().all(|value| value.is_finite()),
        Value::F64(t) => t.data().iter().all(|value| value.is_finite()),
        _ => true,
    }
}

fn port(port: &Port) -> serde_json::Value {
    let shape: Vec<i64> =
        port.shape.iter().map(|axis| axis.and_then(|axis| i64::try_from(axis).ok()).unwrap_or(-1)).collect();
    let dtype: Dtype = port.dtype;
    json!({ "name": port.name, "datatype": dtype.oip(), "shape": shape })
}
