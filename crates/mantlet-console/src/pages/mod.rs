//! The pages, one file each.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod batch;
pub(crate) mod batches;
pub(crate) mod fault;
pub(crate) mod frame;
pub(crate) mod incident;
pub(crate) mod incidents;
pub(crate) mod keys;
pub(crate) mod live;
pub(crate) mod overview;
pub(crate) mod reports;
pub(crate) mod review;
pub(crate) mod reviews;
pub(crate) mod rollout;
pub(crate) mod sign_in;
pub(crate) mod system;
pub(crate) mod version;

use mantlet_registry::State;
use mantlet_respond::{IncidentState, StepState};
use mantlet_vocab::{Impact, Millis};
use maud::{Markup, html};

/// A page that does not exist.
pub(crate) async fn lost() -> fault::Fault {
    fault::Fault::Missing("page at this address".to_owned())
}

/// A path of ours with foreign parts in it.
pub(crate) fn path(parts: &[&str]) -> String {
    let mut out = String::new();
    for part in parts {
        out.push('/');
        for byte in part.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
                // A segment of dots would climb.
                b'.' if !part.bytes().all(|byte| byte == b'.') => out.push('.'),
                byte => out.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    out
}

/// An instant: relative in words, exact on hover and for machines.
pub(crate) fn when(at: Millis, now: Millis) -> Markup {
    let ago = if now >= at {
        let past = now.since(at);
        if past < 2_000 { "just now".to_owned() } else { format!("{} ago", mantlet_report::duration(past)) }
    } else {
        format!("in {}", mantlet_report::duration(at.since(now)))
    };
    html! { time datetime=(at.rfc3339()) title=(at.rfc3339()) { (ago) } }
}

/// Hours, minutes and seconds of an instant.
pub(crate) fn clock_time(at: Millis) -> Markup {
    let text = at.rfc3339();
    html! { time datetime=(text) title=(text) { (text.get(11..19).unwrap_or("")) } }
}

pub(crate) const fn impact_tone(impact: Impact) -> &'static str {
    match impact {
        Impact::Low => "tone-neutral",
        Impact::Medium => "tone-warning",
        Impact::High | Impact::Critical => "tone-bad",
    }
}

pub(crate) const fn incident_tone(state: IncidentState) -> &'static str {
    match state {
        IncidentState::Open => "tone-bad",
        IncidentState::Contained => "tone-warning",
        IncidentState::Closed => "tone-neutral",
    }
}

pub(crate) const fn step_tone(state: &StepState) -> &'static str {
    match state {
        StepState::Applied => "tone-good",
        StepState::Applying | StepState::Undoing | StepState::Proposed => "tone-warning",
        StepState::Failed { .. } => "tone-bad",
        StepState::Recorded | StepState::Undone | StepState::Expired => "tone-neutral",
    }
}

pub(crate) const fn version_tone(state: State) -> &'static str {
    match state {
        State::Serving | State::KnownGood | State::Admitted => "tone-good",
        State::Candidate => "tone-warning",
        State::Refused => "tone-bad",
        State::Retired => "tone-neutral",
    }
}

pub(crate) fn action_tone(action: &str) -> &'static str {
    match action {
        "allow" => "tone-good",
        "flag" | "redact" | "coarsen" | "divert" => "tone-warning",
        "throttle" | "step-up" | "refuse" => "tone-bad",
        _ => "tone-neutral",
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn foreign_parts_cannot_leave_their_segment() {
        assert_eq!(path(&["systems", "cheque reader"]), "/systems/cheque%20reader");
        assert_eq!(path(&["a", "../../x?y#z"]), "/a/..%2F..%2Fx%3Fy%23z");
        assert_eq!(path(&["a", ".."]), "/a/%2E%2E");
    }
}
