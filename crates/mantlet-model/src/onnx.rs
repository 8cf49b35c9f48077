//! An ONNX graph as a [`Model`].
//!
//! Long because answers, gradients and inner values go the same two ways, rows side by side and in one block.

use std::sync::{Arc, Mutex, PoisonError};

use mantlet_vocab::{NamedValue, Tensor, TreeEnsemble, Value};

use crate::execute::{Trace, backward, forward};
use crate::graph::Graph;
use crate::heads;
use crate::rows::numbers;
use crate::run::{Fail, Pool, Run};
use crate::side::{self, Plan};
use crate::{Heads, Limits, Model, ModelError, Signature, Words, values};

/// Spare buffers kept between calls, in bytes and in number of calls.
const SPARE_BYTES: usize = 64 << 20;
const SPARE_CALLS: usize = 4;
/// Ways for rows side by side that are remembered.
const PLANS: usize = 16;

/// A way that was looked for: its target, the shape of a row, and what was found.
type Known = (usize, Vec<usize>, Option<Arc<Plan>>);

/// A loaded ONNX model.
pub(crate) struct OnnxModel {
    graph: Graph,
    signature: Signature,
    heads: Heads,
    blocked: Vec<String>,
    limits: Limits,
    pools: Mutex<Vec<Pool>>,
    /// Ways for rows side by side that were looked for, by target and shape of a row.
    plans: Mutex<Vec<Known>>,
    words: Option<Words>,
}

impl OnnxModel {
    pub(crate) fn new(graph: Graph, limits: Limits) -> Self {
        let signature = Signature { inputs: graph.ports.0.clone(), outputs: graph.ports.1.clone() };
        let heads = heads::find(&graph);
        let blocked = match heads.scores.as_ref().and_then(|name| graph.slots.get(name)) {
            Some(&slot) => graph.smooth(slot).1,
            None => vec!["no floating-point output".to_owned()],
        };
        Self {
            graph,
            signature,
            heads,
            blocked,
            limits,
            pools: Mutex::default(),
            plans: Mutex::default(),
            words: None,
        }
    }

    /// With names for its classes.
    pub(crate) fn with_classes(mut self, names: Vec<String>) -> Self {
        self.heads.classes = names;
        self
    }

    /// With the words whose embeddings its input takes.
    pub(crate) fn with_words(mut self, words: Option<Words>) -> Self {
        self.words = words;
        self
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

    /// The way for these rows side by side to a value, when there is one and there are enough rows for it.
    fn plan(&self, run: &mut Run, feeds: &[(usize, Value)], of: usize) -> Option<Arc<Plan>> {
        let [(input, Value::F32(x))] = feeds else { return None };
        let (rows, row) = (x.rows(), x.shape().get(1..)?);
        if rows < side::LEAST {
            return None;
        }
        let known = |plans: &[Known]| {
            plans.iter().find(|(slot, shape, _)| *slot == of && shape == row).map(|(_, _, plan)| plan.clone())
        };
        let lock = || self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known(&lock());
        let plan = found.unwrap_or_else(|| {
            let made = Plan::new(&self.graph, run, *input, of, row).map(Arc::new);
            run.settle(0);
            let mut plans = lock();
            if plans.len() < PLANS && known(&plans).is_none() {
                plans.push((of, row.to_vec(), made.clone()));
            }
            made
        });
        plan.filter(|plan| plan.bytes(rows) <= self.limits.max_memory)
    }

    /// Scores and gradient of rows side by side.
    fn side_by_side(
        &self,
        run: &Run,
        plan: &Plan,
        x: &Tensor,
        of: usize,
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Tensor), ModelError> {
        let mut desk = plan.desk();
        let result = (|| {
            let failed = |fail| self.side_error(fail, of);
            let scores = plan.forward(&self.graph, run, &mut desk, x.data()).map_err(failed)?;
            let slope = cotangent(&scores);
            if slope.shape() != scores.shape() {
                let reason = format!("cotangent of shape {:?} for {:?}", slope.shape(), scores.shape());
                let place = format!("value `{}`", self.graph.names[of]);
                return Err(ModelError::Graph { place, reason });
            }
            let mut gradient = Tensor::full(x.shape(), 0.0);
            let target = gradient.data_mut();
            plan.backward(&self.graph, run, &mut desk, slope.data(), target).map_err(failed)?;
            Ok((scores, gradient))
        })();
        plan.clear(desk);
        result
    }

    /// One value for rows side by side; `None` where they do not go that way.
    fn beside(&self, inputs: &[NamedValue], of: usize) -> Option<Result<Tensor, ModelError>> {
        let [NamedValue { value: Value::F32(x), .. }] = inputs else { return None };
        if x.rows() < side::LEAST {
            return None;
        }
        let feeds = match self.feeds(inputs) {
            Ok(feeds) => feeds,
            Err(error) => return Some(Err(error)),
        };
        let mut run = self.begin();
        let found = self.plan(&mut run, &feeds, of).map(|plan| {
            let mut desk = plan.desk();
            let found = plan.forward(&self.graph, &run, &mut desk, x.data());
            plan.clear(desk);
            found.map_err(|fail| self.side_error(fail, of))
        });
        self.end(run);
        found
    }

    fn side_error(&self, fail: Fail, of: usize) -> ModelError {
        match fail {
            Fail::Bad(reason) => {
                ModelError::Graph { place: format!("value `{}`", self.graph.names[of]), reason }
            }
            Fail::Memory => ModelError::Memory { limit: self.limits.max_memory },
            Fail::Time => ModelError::Time { limit: self.limits.max_millis.unwrap_or(0) },
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

    fn words(&self) -> Option<&Words> {
        self.words.as_ref()
    }

    fn infer(&self, inputs: &[NamedValue]) -> Result<Vec<NamedValue>, ModelError> {
        let outputs = self.graph.outputs.clone();
        if let ([port], [of]) = (&self.signature.outputs[..], &outputs[..])
            && let Some(value) = self.beside(inputs, *of)
        {
            return Ok(vec![NamedValue { name: port.name.clone(), value: Value::F32(value?) }]);
        }
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
        let whole = matches!(&feeds[..], [(input, _)] if wrt == [*input]);
        let plan = if whole { self.plan(&mut run, &feeds, of) } else { None };
        let result = if let (Some(plan), Some((_, Value::F32(x)))) = (&plan, feeds.first()) {
            let found = self.side_by_side(&run, plan, x, of, cotangent);
            found.map(|(scores, gradient)| (scores, vec![gradient]))
        } else {
            self.differentiate(&mut run, feeds, of, &wrt, cotangent)
        };
        self.end(run);
        result
    }

    fn activations(&self, inputs: &[NamedValue], names: &[&str]) -> Result<Vec<Tensor>, ModelError> {
        let slots = names.iter().map(|name| self.slot(name)).collect::<Result<Vec<_>, _>>()?;
        if let [of] = slots[..]
            && let Some(value) = self.beside(inputs, of)
        {
            return Ok(vec![value?]);
        }
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
