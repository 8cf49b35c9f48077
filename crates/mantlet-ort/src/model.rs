//! A session of the library as a [`Model`].

use std::sync::{Arc, Mutex, PoisonError};

use mantlet_model::{Dtype, Heads, Model, ModelError, OutputKind, Signature};
use mantlet_vocab::{NamedValue, Tensor, TreeEnsemble};
use ort::ep::{self, ExecutionProvider as _};

use crate::{Device, Runtime, values};

/// A model whose outputs the library computes.
pub(crate) struct Session {
    session: Mutex<ort::session::Session>,
    engine: String,
    signature: Signature,
    heads: Heads,
    ours: Option<Arc<dyn Model>>,
    max_memory: usize,
}

impl Session {
    pub(crate) fn new(
        runtime: &Runtime,
        bytes: &[u8],
        ours: Option<Arc<dyn Model>>,
        regression: bool,
        max_memory: usize,
    ) -> Result<Self, ModelError> {
        let engine = runtime.name();
        let failed = |reason: String| ModelError::Engine { engine: engine.clone(), reason };
        let session = begin(runtime, bytes).map_err(failed)?;
        let mut signature = Signature::default();
        for input in session.inputs() {
            let port = values::port(input.name(), input.dtype()).map_err(|found| ModelError::Input {
                name: input.name().to_owned(),
                reason: format!("it takes {found}"),
            })?;
            signature.inputs.push(port);
        }
        // A sequence of maps, as scikit-learn exports end in, has no tensor of its own here.
        signature.outputs.extend(
            session.outputs().iter().filter_map(|output| values::port(output.name(), output.dtype()).ok()),
        );
        let heads = match &ours {
            Some(ours) => ours.heads().clone(),
            None => heads(&signature, regression),
        };
        Ok(Self { session: Mutex::new(session), engine, signature, heads, ours, max_memory })
    }

    /// Whether the library gives this value.
    fn gives(&self, name: &str) -> bool {
        self.signature.outputs.iter().any(|port| port.name == name)
    }

    fn failed(&self, reason: String) -> ModelError {
        ModelError::Engine { engine: self.engine.clone(), reason }
    }

    /// What only the interpreter can tell.
    fn inside(&self) -> Result<&dyn Model, ModelError> {
        let why = "it gives outputs only, no gradients and no inner values, and the interpreter lacks operators of this file";
        self.ours.as_deref().ok_or_else(|| self.failed(why.to_owned()))
    }

    /// The inputs, checked against the signature and the limit.
    fn check(&self, inputs: &[NamedValue]) -> Result<(), ModelError> {
        let mut bytes = 0_usize;
        for given in inputs {
            if !self.signature.inputs.iter().any(|port| port.name == given.name) {
                let reason = "the model has no such input".to_owned();
                return Err(ModelError::Input { name: given.name.clone(), reason });
            }
            let count =
                given.value.shape().iter().fold(8_usize, |product, axis| product.saturating_mul(*axis));
            bytes = bytes.saturating_add(count);
        }
        if bytes > self.max_memory { Err(ModelError::Memory { limit: self.max_memory }) } else { Ok(()) }
    }
}

/// A session with one thread, so that sums are always taken in one order.
fn begin(runtime: &Runtime, bytes: &[u8]) -> Result<ort::session::Session, String> {
    let text = |error: ort::Error| error.to_string();
    let recovered = |error: ort::Error<ort::session::builder::SessionBuilder>| error.to_string();
    let mut builder = ort::session::Session::builder(&runtime.environment)
        .map_err(text)?
        .with_intra_threads(1)
        .map_err(recovered)?
        .with_inter_threads(1)
        .map_err(recovered)?;
    if runtime.device == Device::Cuda {
        if !ep::CUDA::is_available().map_err(text)? {
            return Err("this library was built without CUDA; name one that has it, or leave the device out"
                .to_owned());
        }
        builder = builder
            .with_execution_providers([ep::CUDA::default().build().error_on_failure()])
            .map_err(recovered)?;
    }
    builder.commit_from_memory(bytes).map_err(text)
}

/// Where the decision is, by types and names alone.
fn heads(signature: &Signature, regression: bool) -> Heads {
    let named = |name: &str, words: &[&str]| words.iter().any(|word| name.to_lowercase().contains(word));
    let floats = || signature.outputs.iter().filter(|port| port.dtype.is_float());
    let labels = || {
        let kinds = [Dtype::I64, Dtype::I32, Dtype::Text];
        signature.outputs.iter().filter(move |port| kinds.contains(&port.dtype))
    };
    let scores =
        floats().find(|port| named(&port.name, &["prob", "score", "logit"])).or_else(|| floats().next());
    let label = labels().find(|port| named(&port.name, &["label", "class"])).or_else(|| labels().next());
    Heads {
        kind: (scores.is_none() && label.is_some()).then_some(OutputKind::LabelOnly),
        regression: regression && label.is_none(),
        scores: scores.map(|port| port.name.clone()),
        label: label.map(|port| port.name.clone()),
        ..Heads::default()
    }
}

impl Model for Session {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn engine(&self) -> Option<&str> {
        Some(&self.engine)
    }

    fn infer(&self, inputs: &[NamedValue]) -> Result<Vec<NamedValue>, ModelError> {
        self.check(inputs)?;
        let mut given = Vec::with_capacity(inputs.len());
        for input in inputs {
            let value = values::give(&input.value).map_err(|error| self.failed(error.to_string()))?;
            given.push((input.name.clone(), value));
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(given).map_err(|error| self.failed(error.to_string()))?;
        let mut named = Vec::with_capacity(self.signature.outputs.len());
        for port in &self.signature.outputs {
            let missing = || ModelError::NoSuchValue { name: port.name.clone() };
            let value = values::take(outputs.get(&port.name).ok_or_else(missing)?);
            named.push(NamedValue {
                name: port.name.clone(),
                value: value.map_err(|found| self.failed(format!("output `{}` is {found}", port.name)))?,
            });
        }
        Ok(named)
    }

    fn differentiable(&self) -> Result<(), Vec<String>> {
        match &self.ours {
            Some(ours) => ours.differentiable(),
            None => Err(vec![format!("operators that only {} has", self.engine)]),
        }
    }

    fn input_gradient(
        &self,
        x: &Tensor,
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Tensor), ModelError> {
        self.inside()?.input_gradient(x, cotangent)
    }

    fn gradient(
        &self,
        inputs: &[NamedValue],
        of: &str,
        wrt: &[&str],
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Vec<Tensor>), ModelError> {
        self.inside()?.gradient(inputs, of, wrt, cotangent)
    }

    fn activations(&self, inputs: &[NamedValue], names: &[&str]) -> Result<Vec<Tensor>, ModelError> {
        if !names.iter().all(|name| self.gives(name)) {
            return self.inside()?.activations(inputs, names);
        }
        let outputs = self.infer(inputs)?;
        let value = |name: &&str| {
            let found = outputs.iter().find(|output| output.name == *name);
            let found = found.and_then(|output| output.value.to_f32());
            found.ok_or_else(|| ModelError::NoSuchValue { name: (*name).to_owned() })
        };
        names.iter().map(value).collect()
    }

    fn values(&self) -> Vec<(String, String)> {
        self.ours.as_ref().map(|ours| ours.values()).unwrap_or_default()
    }

    fn trees(&self) -> Option<&TreeEnsemble> {
        self.ours.as_ref().and_then(|ours| ours.trees())
    }

    fn heads(&self) -> &Heads {
        &self.heads
    }

    fn last_layer(&self) -> Option<(String, Tensor)> {
        self.ours.as_ref().and_then(|ours| ours.last_layer())
    }

    fn margins(
        &self,
        low: &[NamedValue],
        high: &[NamedValue],
        labels: &[usize],
    ) -> Result<Vec<f32>, ModelError> {
        self.inside()?.margins(low, high, labels)
    }

    fn row_hint(&self, input: &str) -> Option<usize> {
        self.ours.as_ref().and_then(|ours| ours.row_hint(input))
    }
}
