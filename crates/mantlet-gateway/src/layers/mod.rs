//! What happens to one exchange, layer by layer. The list of layers of each kind of traffic is one function:
//! `flow` in [`tensors`], [`grpc`], [`classic`], [`text`] and
//! [`pass`].
//!
//! ```text
//! identity -> limits -> shape -> detectors -> decision -> upstream -> detectors on the reply -> record -> metrics
//! ```
//!
//! A layer either hands on or ends the exchange; every [`Ending`] is carried out in one place,
//! [`crate::exchange::Open::end`], which also records and counts.

mod align;
pub(crate) mod analyze;
mod beside;
pub(crate) mod classic;
pub(crate) mod grpc;
pub(crate) mod identity;
pub(crate) mod limits;
pub(crate) mod pass;
pub(crate) mod shape;
pub(crate) mod step_up;
pub(crate) mod tap;
pub(crate) mod tensors;
pub(crate) mod text;
pub(crate) mod upgrade;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mantlet_guard::Inspection;
use mantlet_vocab::{Action, Decision, OnFailure};

use crate::exchange::Open;
use crate::live::{LiveRoute, NoVersion, Target};
use crate::upstream::Fault;

/// How an exchange ends.
pub(crate) enum Ending {
    /// The gateway's own refusal.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the caller is told.
        text: String,
    },
    /// The guard throttles or refuses.
    Stopped(Decision, String),
    /// The caller must authenticate again, and send this challenge back.
    Again(Decision, String, Option<String>),
    /// The answer waits for a person.
    Diverted(Decision, String),
    /// Something the exchange needs was not there, and the route's choice is carried out.
    Lost(Loss),
    /// The upstream or its reply failed.
    Failed {
        /// The HTTP status.
        status: u16,
        /// What the caller is told.
        text: String,
    },
    /// The upstream's reply goes out as it came.
    Passed(Box<Replied>),
}

/// What an exchange needed and did not have.
pub(crate) struct Loss {
    /// `upstream`, `record`, `limits` or `replicas`.
    pub(crate) what: &'static str,
    /// How it failed.
    pub(crate) how: &'static str,
    /// The HTTP status, unless a person decides.
    pub(crate) status: u16,
    /// What the route wants then.
    pub(crate) choice: OnFailure,
}

/// What an upstream answered.
pub(crate) struct Replied {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Ending {
    pub(crate) fn refused(status: u16, text: impl Into<String>) -> Self {
        Self::Refused { status, text: text.into() }
    }

    pub(crate) fn failed(status: u16, text: impl Into<String>) -> Self {
        Self::Failed { status, text: text.into() }
    }
}

/// The upstream gave no answer: the route's choice decides.
pub(crate) fn unanswered(open: &Open, fault: Fault) -> Ending {
    let choice = open.route().route.guard.config().upstream_on_failure;
    Ending::Lost(Loss { what: "upstream", how: fault.text(), status: fault.status(), choice })
}

/// Layer: a person decides while the caller waits, where it prefers to (RFC 7240), in dialects that cannot say that an
/// answer comes later. What a person lets through goes on marked, and the record says that it was withheld.
pub(crate) async fn released(
    open: &mut Open,
    inspection: &mut Inspection,
    wait: std::time::Duration,
) -> Result<(), Ending> {
    let (decision, reason) = (inspection.decision.clone(), &inspection.reason);
    if wait.is_zero() {
        return Err(Ending::Diverted(decision, reason.clone()));
    }
    let Some((ticket, found)) = open.asks(decision.clone(), wait).await else {
        return Err(Ending::Diverted(decision, reason.clone()));
    };
    let path = ticket_path(&ticket);
    let words = match found {
        crate::Reviewed::GoesOn { .. } => {
            if open.goes_on(&ticket).await {
                inspection.decision.action = Action::Flag;
                open.decision(inspection.decision.clone());
                return Ok(());
            }
            format!("{reason}; it was released and did not go to the model, see {path}")
        }
        crate::Reviewed::Released(_) => {
            inspection.decision.action = Action::Flag;
            open.decision(inspection.decision.clone());
            return Ok(());
        }
        crate::Reviewed::Rejected(why) => why,
        crate::Reviewed::Answered(_) => format!("{reason}; a person gave another answer, see {path}"),
        crate::Reviewed::Pending | crate::Reviewed::Unknown => {
            format!("{reason}; a person decides, see {path}")
        }
    };
    Err(Ending::failed(403, words))
}

/// Header of a request that was released before: the ticket under which it goes to the model.
pub(crate) const REVIEW: &str = "x-mantlet-review";

/// Where a ticket is polled.
pub(crate) fn ticket_path(ticket: &str) -> String {
    format!("/mantlet/v1/reviews/{ticket}")
}

/// Layer: as [`released`], before the model is asked. A request that a person released goes on once when it comes again
/// with its ticket.
pub(crate) async fn released_before(
    open: &mut Open,
    inspection: &mut Inspection,
    headers: &HeaderMap,
    wait: std::time::Duration,
) -> Result<(), Ending> {
    if let Some(ticket) = headers.get(REVIEW) {
        let ticket = ticket.to_str().unwrap_or_default();
        if !open.goes_on(ticket).await {
            let words = "this ticket lets no such request of this key go to the model, or one went already";
            return Err(Ending::refused(403, words));
        }
        inspection.decision.action = Action::Flag;
        open.decision(inspection.decision.clone());
        return Ok(());
    }
    open.unasked(true);
    released(open, inspection, wait).await?;
    open.unasked(false);
    Ok(())
}

/// Layer: whether what is done can be written down. A route that wants no exchange without a record begins none.
pub(crate) fn recordable(open: &mut Open) -> Result<(), Ending> {
    seen_whole(open)?;
    if open.keeps() {
        return Ok(());
    }
    let choice = open.route().route.guard.config().record_on_failure;
    let loss = Loss { what: "record", how: "cannot be written now", status: 503, choice };
    if choice == OnFailure::PassAndFlag {
        open.lost(&loss);
        return Ok(());
    }
    Err(Ending::Lost(loss))
}

/// Layer: whether what callers do at other replicas, and what was switched there, is seen here.
fn seen_whole(open: &mut Open) -> Result<(), Ending> {
    let guard = &open.route().route.guard;
    let how = if guard.controls().is_cut_off() {
        "share a record that is out of reach: keys and switches are those that were read last"
    } else if guard.peers().is_some_and(|peers| peers.alone) {
        "cannot be heard, and callers may ask there too"
    } else {
        return Ok(());
    };
    let choice = guard.config().replicas_on_failure;
    let loss = Loss { what: "replicas", how, status: 503, choice };
    if choice == OnFailure::PassAndFlag {
        open.lost(&loss);
        return Ok(());
    }
    Err(Ending::Lost(loss))
}

/// Layer: the version that answers this caller.
pub(crate) fn version<'a>(
    open: &mut Open,
    route: &'a LiveRoute,
    key: &str,
    named: Option<&str>,
) -> Result<&'a Target, Ending> {
    let target = route.target(key, named).map_err(|fault| match fault {
        NoVersion::NotServed => {
            Ending::refused(404, format!("version `{}` does not take traffic", named.unwrap_or("-")))
        }
        NoVersion::NotConfigured => Ending::refused(503, "the chosen version has no endpoint"),
    })?;
    open.version(&target.upstream.version);
    Ok(target)
}

/// Layer: what is done with what the guard decided about a request. `true` means the answer will wait for a person.
pub(crate) fn decision(inspection: &Inspection) -> Result<bool, Ending> {
    let Inspection { decision, reason, challenge, .. } = inspection;
    match decision.action {
        Action::Allow | Action::Flag | Action::Redact | Action::Coarsen { .. } => Ok(false),
        Action::Divert => Ok(true),
        Action::StepUp => Err(Ending::Again(decision.clone(), reason.clone(), challenge.clone())),
        Action::Throttle { .. } | Action::Refuse => Err(Ending::Stopped(decision.clone(), reason.clone())),
    }
}
