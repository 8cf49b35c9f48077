//! The guard as a service: texts are judged and the judgement is the answer; nothing is forwarded.

use http::Request;
use hyper::body::Incoming;
use mantlet_guard::{Caller, GuardConfig, Inspection};
use mantlet_vocab::Action;
use mantlet_wire::Defect;
use mantlet_wire::service::{
    Examine, Hit, Judgement, Outcome, PolicyAction, Service, read_service, write_service, write_valid,
};
use mantlet_wire::text::{TextReply, TextRequest};

use super::limits as together;
use super::shape::received;
use super::{Ending, recordable};
use crate::answer::Answer;
use crate::exchange::Open;

/// One call of a known caller.
pub(crate) async fn answer(
    mut open: Open,
    key: &str,
    service: Service,
    query: Option<&str>,
    request: Request<Incoming>,
) -> Answer {
    match service {
        // The key was looked up before this.
        Service::ArgusVerifyKey => return open.answered(write_valid(true)),
        Service::ArgusVerifyAsset => {
            let config = open.route();
            let config = config.route.guard.config();
            let named =
                query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("asset_id=")));
            return open.answered(write_valid(named.is_some_and(|name| is_of(config, name))));
        }
        _ => {}
    }
    match flow(&mut open, key, service, request).await {
        Ok((examine, judgement)) => open.answered(write_service(service, &examine, &judgement)),
        Err(ending) => open.end(ending),
    }
}

/// The layers: limits, shape, detectors.
async fn flow(
    open: &mut Open,
    key: &str,
    service: Service,
    request: Request<Incoming>,
) -> Result<(Examine, Judgement), Ending> {
    let (live, route) = (open.live(), open.route());
    let guard = &route.route.guard;
    let caller = Caller { key };
    if let Some(stopped) = guard.admit(caller, open.at()) {
        return Err(Ending::Stopped(stopped.decision, stopped.reason));
    }
    recordable(open)?;
    let (parts, body) = request.into_parts();
    open.traced(&parts.headers);
    let received = received(open, &parts.headers, body).await?;
    together::arrived(open, received.raw.len()).await?;
    let began = std::time::Instant::now();
    let limits = mantlet_wire::Limits { bytes: live.config.max_body, ..live.limits };
    let examine = read_service(service, &received.text, &limits).map_err(|defect| {
        open.defect(&defect);
        let status = if matches!(defect, Defect::TooLarge { .. }) { 413 } else { 400 };
        Ending::refused(status, defect.to_string())
    })?;
    // A name that is nobody's is a slip of the pen, and whose rules were meant is not known.
    if let Some(name) = examine.system.as_deref().filter(|name| !is_of(guard.config(), name)) {
        let own = &guard.config().system;
        let name: String = name.chars().take(64).collect();
        return Err(Ending::refused(404, format!("there is no system `{name}` here; this is `{own}`")));
    }
    // Texts are counted as a model would count them; there is no reply to come.
    let expected = together::Expected { model: examine.model.clone(), most: Some(0), choices: 1 };
    together::tokens(open, &examine.pieces, &expected).await?;
    open.estimated(0);
    let (pieces, tools) = (examine.pieces.clone(), examine.tools.clone());
    let (inspection, edits) = if examine.reply {
        let mut inspection = guard.examine_text(caller, &TextRequest::default(), open.at());
        let edits = guard.examine_text_reply(&mut inspection, &TextReply { pieces, ..TextReply::default() });
        (inspection, edits)
    } else {
        let asked =
            TextRequest { pieces, tools, model: examine.model.clone(), choices: 1, ..TextRequest::default() };
        let mut inspection = guard.examine_text(caller, &asked, open.at());
        let edits = std::mem::take(&mut inspection.edits);
        (inspection, edits)
    };
    let hits = hits(guard, &examine, outcome(&inspection.decision.action));
    let outcome = judged(&examine, &inspection);
    let edits = if outcome == Outcome::Redacted { edits } else { Vec::new() };
    let reason = if inspection.reason.is_empty() && outcome != Outcome::Passed {
        inspection.decision.signals.first().map(|signal| signal.message.clone()).unwrap_or_default()
    } else {
        inspection.reason.clone()
    };
    open.looked(began.elapsed());
    open.pieces(examine.pieces.clone());
    open.decision(inspection.decision);
    let judgement = Judgement { outcome, reason, id: open.id(), hits, edits };
    Ok((examine, judgement))
}

/// Whether a name is that of the route's system, or of the route.
fn is_of(config: &GuardConfig, name: &str) -> bool {
    name == config.system || name == config.route
}

const fn outcome(action: &Action) -> Outcome {
    match action {
        Action::Allow => Outcome::Passed,
        Action::Flag | Action::Coarsen { .. } => Outcome::Flagged,
        Action::Redact => Outcome::Redacted,
        Action::Throttle { .. } | Action::StepUp | Action::Divert | Action::Refuse => Outcome::Blocked,
    }
}

/// What the call's own policies make of the decision: they say what becomes of the rules they name, the guard of all
/// others.
fn judged(examine: &Examine, inspection: &Inspection) -> Outcome {
    let decided = outcome(&inspection.decision.action);
    let signals = inspection.decision.signals.iter().filter(|signal| signal.score >= 1.0);
    let said: Vec<Option<PolicyAction>> = signals.map(|signal| examine.action_for(&signal.name)).collect();
    if said.is_empty() || said.iter().all(Option::is_none) {
        return decided;
    }
    let guard = if said.iter().any(Option::is_none) { decided } else { Outcome::Passed };
    let own = said.into_iter().flatten().map(|action| match action {
        PolicyAction::Block => Outcome::Blocked,
        PolicyAction::Flag => Outcome::Flagged,
        PolicyAction::Disabled => Outcome::Passed,
    });
    own.fold(guard, Ord::max)
}

/// Where the rules found what.
fn hits(guard: &mantlet_guard::Guard, examine: &Examine, decided: Outcome) -> Vec<Hit> {
    let rules = guard.text_rules();
    let pieces = &examine.pieces;
    let found = if examine.reply { rules.reply(pieces, &rules.prompts(&[])) } else { rules.request(pieces) };
    found
        .into_iter()
        .filter(|hit| examine.action_for(hit.rule) != Some(PolicyAction::Disabled))
        .filter_map(|hit| {
            let outcome = match examine.action_for(hit.rule) {
                Some(PolicyAction::Block) => Outcome::Blocked,
                Some(_) => Outcome::Flagged,
                None => decided,
            };
            let pointer = pieces.get(hit.piece)?.pointer.clone();
            Some(Hit {
                rule: hit.rule.to_owned(),
                pointer,
                range: hit.range,
                score: hit.score.min(1.0),
                outcome,
            })
        })
        .collect()
}
