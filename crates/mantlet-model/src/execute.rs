//! Running a graph forwards and backwards.

use mantlet_vocab::{Tensor, Value};

use crate::graph::Graph;
use crate::ops::{Inputs, Pass};
use crate::run::{Fail, Run};
use crate::{Limits, ModelError, values};

/// What a forward run left behind.
pub(crate) struct Trace {
    /// Values by slot; constants are in the graph.
    pub(crate) slots: Vec<Option<Value>>,
    memos: Vec<Vec<u32>>,
}

impl Trace {
    /// The value of a slot.
    pub(crate) fn value<'a>(&'a self, graph: &'a Graph, slot: usize) -> Option<&'a Value> {
        self.slots[slot].as_ref().or(graph.constants[slot].as_ref())
    }

    /// Gives all buffers back.
    pub(crate) fn release(self, run: &mut Run) {
        self.slots.into_iter().flatten().for_each(|value| run.release(value));
    }
}

/// Runs the nodes of `plan`. Values in `keep`, or all of them when `record` is set, stay for later.
pub(crate) fn forward(
    graph: &Graph,
    run: &mut Run,
    feeds: Vec<(usize, Value)>,
    plan: &[bool],
    keep: &[usize],
    record: bool,
    limits: &Limits,
) -> Result<Trace, ModelError> {
    let mut slots: Vec<Option<Value>> = (0..graph.names.len()).map(|_| None).collect();
    for (slot, value) in feeds {
        run.settle(values::bytes(&value));
        slots[slot] = Some(value);
    }
    let mut uses = vec![0_usize; slots.len()];
    let planned = || graph.nodes.iter().zip(plan).filter(|(_, on)| **on).map(|(node, _)| node);
    if record {
        uses.fill(usize::MAX);
    } else {
        planned().flat_map(|node| node.inputs.iter().flatten()).for_each(|&slot| uses[slot] += 1);
        keep.iter().for_each(|&slot| uses[slot] = usize::MAX);
    }
    let mut memos: Vec<Vec<u32>> = if record { vec![Vec::new(); graph.nodes.len()] } else { Vec::new() };
    let mut inputs: Vec<Option<&Value>> = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if !plan[index] {
            continue;
        }
        inputs.clear();
        for slot in &node.inputs {
            let value = slot.and_then(|slot| slots[slot].as_ref().or(graph.constants[slot].as_ref()));
            inputs.push(value);
        }
        let result =
            run.tick().and_then(|()| node.operator.forward(run, Inputs(&inputs), memos.get_mut(index)));
        let outputs = result.map_err(|fail| node.error(fail, limits))?;
        run.settle(outputs.iter().map(values::bytes).sum());
        inputs = Vec::new();
        for (slot, value) in node.outputs.iter().zip(outputs) {
            match slot {
                Some(slot) if uses[*slot] > 0 => slots[*slot] = Some(value),
                _ => run.release(value),
            }
        }
        if !record {
            for &slot in node.inputs.iter().flatten() {
                if uses[slot] != usize::MAX {
                    uses[slot] -= 1;
                    if uses[slot] == 0
                        && let Some(value) = slots[slot].take()
                    {
                        run.release(value);
                    }
                }
            }
        }
    }
    Ok(Trace { slots, memos })
}

#[expect(clippy::too_many_arguments, reason = "one call, from one place")]
/// The gradients of the slots in `wanted`, given that of slot `of`, along the edges in `reach`.
pub(crate) fn backward(
    graph: &Graph,
    run: &mut Run,
    trace: &Trace,
    of: usize,
    gradient: Tensor,
    reach: &[bool],
    wanted: &[usize],
    limits: &Limits,
) -> Result<Vec<Option<Tensor>>, ModelError> {
    let mut gradients: Vec<Option<Tensor>> = (0..graph.names.len()).map(|_| None).collect();
    // Only what lies between `of` and the wanted slots needs a gradient.
    let mut useful = vec![false; graph.names.len()];
    wanted.iter().for_each(|&slot| useful[slot] = true);
    for node in &graph.nodes {
        if node.inputs.iter().flatten().any(|&slot| useful[slot]) {
            node.outputs.iter().flatten().for_each(|&slot| useful[slot] = true);
        }
    }
    run.settle(gradient.data().len() * 4);
    gradients[of] = Some(gradient);
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        let has = node.outputs.iter().flatten().any(|&slot| gradients[slot].is_some());
        let wants: Vec<bool> = node
            .inputs
            .iter()
            .enumerate()
            .map(|(at, slot)| {
                let passes = node.operator.edge(at) == crate::ops::Edge::Smooth;
                passes
                    && slot.is_some_and(|slot| useful[slot] && reach[slot] && graph.constants[slot].is_none())
            })
            .collect();
        if !has || !wants.contains(&true) {
            continue;
        }
        let mut own = Vec::with_capacity(node.outputs.len());
        for slot in &node.outputs {
            let taken = match *slot {
                // A wanted value in the middle keeps its gradient.
                Some(slot) if wanted.contains(&slot) => match &gradients[slot] {
                    Some(t) => Some(run.copy(t.shape(), t.data()).map_err(|fail| node.error(fail, limits))?),
                    None => None,
                },
                Some(slot) => gradients[slot].take(),
                None => None,
            };
            own.push(taken);
        }
        let spent: usize = own.iter().flatten().map(|t| t.data().len() * 4).sum();
        let inputs: Vec<Option<&Value>> =
            node.inputs.iter().map(|slot| slot.and_then(|slot| trace.value(graph, slot))).collect();
        let outputs: Vec<Option<&Value>> =
            node.outputs.iter().map(|slot| slot.and_then(|slot| trace.value(graph, slot))).collect();
        let pass = Pass {
            inputs: Inputs(&inputs),
            outputs: &outputs,
            memo: trace.memos.get(index).map(Vec::as_slice).unwrap_or_default(),
            wants: &wants,
        };
        let result = run.tick().and_then(|()| node.operator.backward_all(run, &pass, own));
        let results = result.map_err(|fail| node.error(fail, limits))?;
        run.spend(spent, results.iter().flatten().map(|t| t.data().len() * 4).sum());
        for ((slot, result), wanted) in node.inputs.iter().zip(results).zip(&wants) {
            let (Some(slot), Some(result)) = (*slot, result) else { continue };
            if !wanted {
                run.release_gradient(result);
                continue;
            }
            match &mut gradients[slot] {
                Some(sum) => {
                    if sum.shape() != result.shape() {
                        let fail = Fail::Bad("gradients of different shapes".to_owned());
                        return Err(node.error(fail, limits));
                    }
                    sum.data_mut().iter_mut().zip(result.data()).for_each(|(sum, v)| *sum += v);
                    run.release_gradient(result);
                }
                empty => *empty = Some(result),
            }
        }
    }
    let out = wanted.iter().map(|&slot| gradients[slot].take()).collect();
    gradients.into_iter().flatten().for_each(|gradient| run.release_gradient(gradient));
    Ok(out)
}
