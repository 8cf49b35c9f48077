//! What an exchange says about the version that answered it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use mantlet_guard::labels;
use mantlet_registry::rollout::{Arm, Observation, Outputs, Rollout};
use mantlet_vocab::{Action, Exchange, Reply, Value};

/// The status recorded when the client went away.
const CLIENT_GONE: u16 = 499;

/// The observation in an exchange and a hash of its caller; `None` when it says nothing of either version: the model
/// was not asked, because the gateway refused or throttled on its own.
#[must_use]
pub fn observation(exchange: &Exchange, rollout: &Rollout) -> Option<(u64, Observation)> {
    let arm = if exchange.version == rollout.candidate {
        Arm::Candidate
    } else if exchange.version == rollout.stable {
        Arm::Baseline
    } else {
        return None;
    };
    let answered = exchange.reply.is_some();
    let action = &exchange.decision.action;
    if !answered && !action.passes() && *action != Action::Divert {
        return None;
    }
    let failed = if answered && exchange.status < 500 {
        Some(false)
    } else if exchange.status == CLIENT_GONE || *action == Action::Divert {
        // Nobody can tell whether the version would have answered.
        None
    } else {
        Some(exchange.status >= 400)
    };
    let mut hasher = DefaultHasher::new();
    exchange.caller.hash(&mut hasher);
    let seen = Observation {
        arm,
        at: exchange.at,
        failed,
        took_ms: if failed.is_none() { f64::NAN } else { exchange.took_ms },
        signalled: Some(!exchange.decision.signals.is_empty() || *action != Action::Allow),
        output: exchange.reply.as_ref().and_then(|reply| output_of(reply, &rollout.plan.outputs)),
    };
    Some((hasher.finish(), seen))
}

/// The class or score range of a reply's first row; `None` when it has none, or a score that is no number.
#[must_use]
pub fn output_of(reply: &Reply, outputs: &Outputs) -> Option<usize> {
    let rows = reply.outputs.iter().find_map(|output| output.value.shape().first().copied()).unwrap_or(1);
    match outputs {
        Outputs::None => None,
        Outputs::Classes(_) => {
            let scores = reply.outputs.iter().filter_map(|output| match &output.value {
                Value::F32(_) | Value::F64(_) => output.value.to_f32(),
                _ => None,
            });
            if scores.flat_map(|scores| scores.data().to_vec()).any(f32::is_nan) {
                return None;
            }
            labels(reply, &[], rows)?.first().copied().filter(|class| *class != usize::MAX)
        }
        Outputs::Scores(_) => {
            let scores = reply.outputs.iter().find_map(|output| match &output.value {
                Value::F32(_) | Value::F64(_) => output.value.to_f32(),
                _ => None,
            })?;
            outputs.range(f64::from(*scores.data().first()?))
        }
    }
}
