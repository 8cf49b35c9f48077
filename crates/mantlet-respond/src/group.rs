//! Steps that do the same to several keys, said once.

use crate::incident::Incident;
use crate::step::{Step, StepState};

/// Steps alike in action and state, in the order of the first; a step that is alone is a group of one.
#[derive(Debug, Clone, PartialEq)]
pub struct StepGroup<'a>(Vec<&'a Step>);

/// Groups smaller than this are said step by step.
const SEVERAL: usize = 3;

impl Incident {
    /// The steps, with those that do the same to three or more keys together.
    #[must_use]
    pub fn step_groups(&self) -> Vec<StepGroup<'_>> {
        let mut groups: Vec<StepGroup<'_>> = Vec::new();
        for step in &self.steps {
            match groups.iter_mut().find(|group| alike(group.0[0], step)) {
                Some(group) => group.0.push(step),
                None => groups.push(StepGroup(vec![step])),
            }
        }
        groups
            .into_iter()
            .flat_map(|group| {
                if group.0.len() >= SEVERAL {
                    vec![group]
                } else {
                    group.0.into_iter().map(|step| StepGroup(vec![step])).collect()
                }
            })
            .collect()
    }
}

/// What failed is said for itself: each failure has a reason of its own.
fn alike(one: &Step, other: &Step) -> bool {
    one.action.key().is_some()
        && one.action.word() == other.action.word()
        && one.state == other.state
        && !matches!(one.state, StepState::Failed { .. })
}

impl<'a> StepGroup<'a> {
    /// The steps, one or more.
    #[must_use]
    pub fn steps(&self) -> &[&'a Step] {
        &self.0
    }

    /// The only step, when there is one.
    #[must_use]
    pub fn only(&self) -> Option<&'a Step> {
        match self.0.as_slice() {
            [step] => Some(step),
            _ => None,
        }
    }

    /// What is done, to whom, as an instruction in plain words.
    #[must_use]
    pub fn plain(&self) -> String {
        let keys: Vec<&str> = self.0.iter().filter_map(|step| step.action.key()).collect();
        let first = &self.0[0].action;
        let together = if self.0.len() > 1 { first.plain_for(&keys) } else { None };
        together.unwrap_or_else(|| first.plain())
    }
}
