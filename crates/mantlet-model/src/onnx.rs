//! An ONNX graph as a [`Model`].

use std::sync::{Mutex, PoisonError};

use mantlet_vocab::{NamedValue, Tensor, TreeEnsemble, Value};

use crate::execute::{Trace, backward, forward};
use crate::graph::Graph;
use crate::heads;
use crate::rows::numbers;
use crate::run::{Pool, Run};
use crate::{Heads, Limits, Model, ModelError, Signature, values};

/// Spare buffers kept between calls, in bytes and in number of calls.
const SPARE_BYTES: usize = 64 << 20;
const SPARE_CALLS: usize = 4;

/// A loaded ONNX model.
pub(crate) struct OnnxModel {
    graph: Graph,
    signature: Signature,
    heads: Heads,
    blocked: Vec<String>,
    limits: Limits,
    pools: Mutex<Vec<Pool>>,
}

impl OnnxModel {
    pub(crate) fn new(graph: Graph, limits: Limits) -> Self {
        let signature = Signature { inputs: graph.ports.0.clone(), outputs: graph.ports.1.clone() };
        let heads = heads::find(&graph);
        let blocked = match heads.scores.as_ref().and_then(|name| graph.slots.get(name)) {
            Some(&slot) => graph.smooth(slot).1,
            None => vec!["no floating-point output".to_owned()],
        };
        Self { graph, signature, heads, blocked, limits, pools: Mutex::default() }
    }

    fn begin(&self) -> Run {
        let pool = self.pools.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Run::new(self.limits, pool.unwrap_or_default())
    }

    fn end(&self, run: Run) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if pools.len() < SPARE_CALLS && run.pool.bytes() <= SPARE_BYTES {
            pools.push(run.pool);
        }
    }

    fn slot(&self, name: &str) -> Result<usize, ModelError> {
        self.graph.slots.get(name).copied().ok_or_else(|| ModelError::NoSuchValue { name: name.to_owned() })
    }

    /// The inputs in slots, checked against the signature.
    fn feeds(&self, inputs: &[NamedValue]) -> Result<Vec<(usize, Value)>, ModelError> {
        let refuse = |name: &str, reason: String| ModelError::Input { name: name.to_owned(), reason };
        for given in inputs {
            if !self.signature.inputs.iter().any(|port| port.name == given.name) {
                return Err(refuse(&given.name, "the model has no such input".to_owned()));
            }
        }
        let mut feeds = Vec::with_capacity(inputs.len());
        let mut bytes = 0_usize;
        for (port, &slot) in self.signature.inputs.iter().zip(&self.graph.inputs) {
            let given = inputs.iter().find(|given| given.name == port.name);
            let given = given.ok_or_else(|| refuse(&port.name, "it is missing".to_owned()))?;
            let shape = given.value.shape();
            let fits = port.shape.is_empty()
                || (shape.len() == port.shape.len()
                    && shape
                        .iter()
                        .zip(&port.shape)
                        .all(|(own, wanted)| wanted.is_none_or(|wanted| wanted == *own)));
            if !fits {
                let wanted: Vec<String> = port
                    .shape
                    .iter()
                    .map(|axis| axis.map_or("?".to_owned(), |axis| axis.to_string()))
                    .collect();
                return Err(refuse(
                    &port.name,
                    format!("shape {shape:?} given, [{}] expected", wanted.join(", ")),
                ));
            }
            bytes = bytes.saturating_add(values::bytes(&given.value));
            if bytes > self.limits.max_memory {
                return Err(ModelError::Memory { limit: self.limits.max_memory });
            }
            let own = values::dtype(&given.value);
            if own != port.dtype {
                return Err(refuse(&port.name, format!("{own} given, {} expected", port.dtype)));
            }
            feeds.push((slot, given.value.clone()));
        }
        Ok(feeds)
    }

    /// Runs forward for these slots and hands the trace to `take`.
    fn traced<T>(
        &self,
        inputs: &[NamedValue],
        targets: &[usize],
        take: impl FnOnce(&mut Trace) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        let feeds = self.feeds(inputs)?;
        let plan = self.graph.needed(targets);
        let mut run = self.begin();
        let trace = forward(&self.graph, &mut run, feeds, &plan, targets, false, &self.limits);
        let result = trace.and_then(|mut trace| {
            let result = take(&mut trace);
            trace.release(&mut run);
            result
        });
        self.end(run);
        result
    }

    fn differentiate(
        &self,
        run: &mut Run,
        feeds: Vec<(usize, Value)>,
        of: usize,
        wrt: &[usize],
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Vec<Tensor>), ModelError> {
        let (graph, limits) = (&self.graph, &self.limits);
        let mut plan = graph.needed(&[of]);
        // A value asked for need not be an ancestor: it is computed for its shape.
        plan.iter_mut().zip(graph.needed(wrt)).for_each(|(on, more)| *on |= more);
        let trace = forward(graph, run, feeds, &plan, &[], true, limits)?;
        let name = || graph.names[of].clone();
        let not_float =
            || ModelError::NotDifferentiable { operators: vec![format!("`{}` is no float", name())] };
        let value = trace.value(graph, of).ok_or_else(|| ModelError::NoSuchValue { name: name() })?;
        let scores = match value {
            Value::F32(t) => t.clone(),
            Value::F64(_) => value.to_f32().ok_or_else(not_float)?,
            _ => return Err(not_float()),
        };
        let gradient = cotangent(&scores);
        if gradient.shape() != scores.shape() {
            let reason = format!("cotangent of shape {:?} for {:?}", gradient.shape(), scores.shape());
            return Err(ModelError::Graph { place: format!("value `{}`", name()), reason });
        }
        let (reach, _) = graph.smooth(of);
        let found = backward(graph, run, &trace, of, gradient, &reach, wrt, limits)?;
        let mut out = Vec::with_capacity(wrt.len());
        for (gradient, &slot) in found.into_iter().zip(wrt) {
            let shape = trace.value(graph, slot).map(|value| value.shape().to_vec()).unwrap_or_default();
            out.push(gradient.unwrap_or_else(|| Tensor::full(shape, 0.0)));
        }
        trace.release(run);
        Ok((scores, out))
    }
}

impl Model for OnnxModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn infer(&self, inputs: &[NamedValue]) -> Result<Vec<NamedValue>, ModelError> {
        let outputs = self.graph.outputs.clone();
        self.traced(inputs, &outputs, |trace| {
            let mut named = Vec::with_capacity(outputs.len());
            for (port, &slot) in self.signature.outputs.iter().zip(&outputs) {
                let value = match trace.slots[slot].take() {
                    // The same value may be listed as two outputs.
                    Some(value) if outputs.iter().filter(|&&other| other == slot).count() == 1 => value,
                    Some(value) => {
                        trace.slots[slot] = Some(value.clone());
                        value
                    }
                    None => self.graph.constants[slot]
                        .clone()
                        .ok_or_else(|| ModelError::NoSuchValue { name: port.name.clone() })?,
                };
                named.push(NamedValue { name: port.name.clone(), value });
            }
            Ok(named)
        })
    }

    fn differentiable(&self) -> Result<(), Vec<String>> {
        if self.blocked.is_empty() { Ok(()) } else { Err(self.blocked.clone()) }
    }

    fn input_gradient(
        &self,
        x: &Tensor,
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Tensor), ModelError> {
        self.differentiable().map_err(|operators| ModelError::NotDifferentiable { operators })?;
        let [port] = &self.signature.inputs[..] else {
            let reason = "the model has several inputs: use `gradient` or a classifier view".to_owned();
            return Err(ModelError::NotClassifier { reason });
        };
        let of = self.heads.scores.clone().unwrap_or_default();
        let input = NamedValue { name: port.name.clone(), value: numbers(port.dtype, x.clone())? };
        let (scores, mut gradients) = self.gradient(&[input], &of, &[&port.name], cotangent)?;
        let gradient = gradients.pop().ok_or(ModelError::NoSuchValue { name: port.name.clone() })?;
        Ok((scores, gradient))
    }

    fn gradient(
        &self,
        inputs: &[NamedValue],
        of: &str,
        wrt: &[&str],
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Vec<Tensor>), ModelError> {
        let of = self.slot(of)?;
        let wrt = wrt.iter().map(|name| self.slot(name)).collect::<Result<Vec<_>, _>>()?;
        let feeds = self.feeds(inputs)?;
        let mut run = self.begin();
        let result = self.differentiate(&mut run, feeds, of, &wrt, cotangent);
        self.end(run);
        result
    }

    fn activations(&self, inputs: &[NamedValue], names: &[&str]) -> Result<Vec<Tensor>, ModelError> {
        let slots = names.iter().map(|name| self.slot(name)).collect::<Result<Vec<_>, _>>()?;
        self.traced(inputs, &slots, |trace| {
            let value = |(&slot, name): (&usize, &&str)| {
                let value = trace.value(&self.graph, slot).and_then(Value::to_f32);
                value.ok_or_else(|| ModelError::NoSuchValue { name: (*name).to_owned() })
            };
            slots.iter().zip(names).map(value).collect()
        })
    }

    fn values(&self) -> Vec<(String, String)> {
        let variable = |slot: &usize| self.graph.constants[*slot].is_none();
        let outputs = self.graph.nodes.iter().flat_map(|node| {
            let slots = node.outputs.iter().flatten().copied().filter(variable);
            slots.map(|slot| (self.graph.names[slot].clone(), node.kind.clone()))
        });
        outputs.collect()
    }

    fn trees(&self) -> Option<&TreeEnsemble> {
        heads::trees(&self.graph)
    }

    fn heads(&self) -> &Heads {
        &self.heads
    }

    fn last_layer(&self) -> Option<(String, Tensor)> {
        let (slot, weights) = heads::last_layer(&self.graph, &self.heads)?;
        Some((self.graph.names[slot].clone(), weights))
    }

    fn margins(
        &self,
        low: &[NamedValue],
        high: &[NamedValue],
        labels: &[usize],
    ) -> Result<Vec<f32>, ModelError> {
        let none = || ModelError::NotClassifier { reason: "it has no last layer of weights".to_owned() };
        let (before, weights) = heads::last_layer(&self.graph, &self.heads).ok_or_else(none)?;
        let of = self.heads.logits.as_ref().or(self.heads.scores.as_ref()).ok_or_else(none)?;
        let of = self.slot(of)?;
        let feeds = [self.feeds(low)?, self.feeds(high)?];
        let mut run = self.begin();
        let result = crate::bounds::margins(
            &self.graph,
            &mut run,
            feeds,
            (before, &weights),
            of,
            labels,
            &self.limits,
        );
        self.end(run);
        result
    }

    fn row_hint(&self, input: &str) -> Option<usize> {
        heads::row_hint(&self.graph, *self.graph.slots.get(input)?)
    }
}
