//! Branches of the older kind: values are switched to one of two sides, and what comes of them is merged.
//!
//! Both sides are computed, and the merged value is chosen by the condition of the switches before it. Where these do not
//! agree (branches within branches, loops) the branch is not known.

use std::collections::{HashMap, HashSet};

use super::{Body, Given, MAX_STEPS, Node, Reader, flows, found, reference};
use crate::ModelError;
use crate::foreign::invalid;

impl Reader {
    /// Where the sides of a branch of the older kind meet.
    pub(super) fn merged(
        &mut self,
        body: &Body,
        values: &HashMap<String, Vec<Given>>,
        node: &Node,
        reads: &[Given],
        scope: &str,
    ) -> Result<Given, ModelError> {
        let label = format!("{scope}{}", node.name);
        let inputs: Vec<&String> = flows(&node.inputs).collect();
        let (&[a, b], [Given::Val(one), Given::Val(other)]) = (&inputs[..], reads) else {
            return Ok(Given::Val(self.sketch.unknown("Merge of more than two values")));
        };
        let (side, opposite) = (self.side(body, a)?, self.side(body, b)?);
        let (condition, first) = match (&side, &opposite) {
            (Some((none, _)), _) | (_, Some((none, _))) if none.is_empty() => {
                return Ok(Given::Val(self.sketch.unknown("Merge of branches within branches")));
            }
            (Some((condition, side)), Some((same, opposite))) if condition == same && side != opposite => {
                (condition, *side)
            }
            (Some((condition, side)), None) => (condition, *side),
            (None, Some((condition, opposite))) => (condition, !opposite),
            _ => return Ok(Given::Val(self.sketch.unknown("Merge of branches within branches"))),
        };
        let Given::Val(condition) = found(values, condition)? else {
            return Err(invalid(format!("node `{label}`"), "its condition is no tensor"));
        };
        let (yes, no) = if first { (one, other) } else { (other, one) };
        Ok(Given::Val(self.sketch.branch(&label, &condition, yes, no)))
    }

    /// The condition that decides whether a value is alive, and which answer it takes; `None` when it always is.
    fn side(&mut self, body: &Body, value: &str) -> Result<Option<(String, bool)>, ModelError> {
        let mut open = vec![value.to_owned()];
        let mut seen = HashSet::new();
        let mut found: Option<(String, bool)> = None;
        while let Some(value) = open.pop() {
            let (name, index) = reference(&value);
            let Some(node) = body.nodes.get(name).filter(|_| seen.insert(format!("{name}:{index}"))) else {
                continue;
            };
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(invalid("the graph", "its branches are too many"));
            }
            match (node.operator.as_str(), node.inputs.get(1)) {
                ("Switch", Some(condition)) => {
                    let own = (condition.clone(), index == 1);
                    if found.get_or_insert_with(|| own.clone()) != &own {
                        // A word for what no condition is called.
                        return Ok(Some((String::new(), true)));
                    }
                }
                ("Merge" | "Enter" | "Exit" | "NextIteration" | "LoopCond", _) => {
                    return Ok(Some((String::new(), true)));
                }
                _ => open.extend(node.inputs.iter().cloned()),
            }
        }
        Ok(found)
    }
}
