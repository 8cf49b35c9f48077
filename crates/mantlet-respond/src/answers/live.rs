//! Words for what callers do.

use super::{Words, capital, clock, count, doubtful, review, stakes, who};
use crate::incident::Incident;

fn asked(incident: &Incident) -> String {
    format!("{} since {}", count(incident.queries, "request"), clock(incident.since))
}

/// The verb for one key or for several.
fn verb(incident: &Incident, one: &'static str, several: &'static str) -> &'static str {
    if incident.callers.len() > 1 { several } else { one }
}

/// The owner or owners of the keys.
fn owner(incident: &Incident) -> String {
    format!("the {} of {}", verb(incident, "owner", "owners"), who(incident))
}

fn answering(incident: &Incident) -> String {
    let version = incident.version.as_ref().map(|v| format!(" Version {v} answered.")).unwrap_or_default();
    let route = incident.route.as_ref().map(|r| format!(" on route {r}")).unwrap_or_default();
    format!("{}{route}.{version}", stakes(incident))
}

pub(super) fn boundary_walk(incident: &Incident) -> Words {
    let who = who(incident);
    Words {
        title: format!("{}: {who} {} feeling for the point where a decision flips", incident.system, verb(incident, "is", "are")),
        changed: format!(
            "{} began to send requests that differ only a little from one another and come ever closer to the \
             point where the answer changes: {}.",
            capital(&who),
            asked(incident)
        ),
        suspicious: "Real customers do not ask the same thing over and over with tiny changes. This is how \
                     somebody makes an input that looks right to a person and is decided wrongly by the model, for \
                     instance one amount read as another."
            .to_owned(),
        affected: format!("{} Only what {who} asked is in doubt; other callers are answered as before.", answering(incident)),
        decisions: doubtful(incident, "any of which may be a manipulated input that got the answer its sender wanted"),
        tasks: vec![
            review(incident),
            format!("Ask {} whether they did this; if a key was stolen, replace it.", owner(incident)),
        ],
    }
}

pub(super) fn probing(incident: &Incident) -> Words {
    let who = who(incident);
    Words {
        title: format!(
            "{}: {who} {} nearly the same request over and over",
            incident.system,
            verb(incident, "sends", "send")
        ),
        changed: format!("{} began to send nearly identical requests: {}.", capital(&who), asked(incident)),
        suspicious:
            "Repeating a request with tiny changes is how one finds out what the model looks at, before \
                     misusing it. A broken client that retries can look the same."
                .to_owned(),
        affected: format!("{} Other callers are answered as before.", answering(incident)),
        decisions: doubtful(incident, "some of which may be tries of a manipulated input"),
        tasks: vec![
            review(incident),
            format!(
                "Ask the owner of {who} whether a client is stuck repeating itself; if so, undo the steps above."
            ),
        ],
    }
}

pub(super) fn extraction(incident: &Incident) -> Words {
    let who = who(incident);
    let answers = count(incident.in_doubt, "answer");
    Words {
        title: format!("{}: {who} {} asking enough to build a copy of the model", incident.system, verb(incident, "is", "are")),
        changed: format!("{} began to ask across the whole range of inputs: {}.", capital(&who), asked(incident)),
        suspicious: "A customer asks about its own cases. These questions are spread so that the answers together \
                     describe the model. With a copy at home, somebody can find the model's mistakes without being \
                     seen, or sell your work."
            .to_owned(),
        affected: format!("{} Its owner's work is at stake; other callers are not touched.", answering(incident)),
        decisions: format!(
            "Likely none: asking does not change what the model decides. {} got {answers}; what can be done with \
             them comes later. List them: `mantlet incident show {} --decisions`.",
            capital(&who),
            incident.id
        ),
        tasks: vec![
            format!("Ask {} what the answers are for; set a budget for the key that fits its real need.", owner(incident)),
            "If callers do not need scores, answer with the class only: it makes a copy far dearer.".to_owned(),
        ],
    }
}

pub(super) fn outlier(incident: &Incident) -> Words {
    let who = who(incident);
    Words {
        title: format!("{}: {who} {} inputs the model has never seen the like of", incident.system, verb(incident, "sends", "send")),
        changed: format!("Inputs of {who} stopped looking like what the model was made from: {}.", asked(incident)),
        suspicious: "The model has no experience with such inputs, so its answers to them are guesses. Most often \
                     something before the model broke or changed (a scanner, a form, a unit); sometimes somebody is \
                     trying things out."
            .to_owned(),
        affected: format!("{} Other callers are answered as before.", answering(incident)),
        decisions: doubtful(incident, "those on odd inputs being no better than guesses"),
        tasks: vec![
            format!("Ask {} what changed on their side.", owner(incident)),
            "If these inputs are right and here to stay, make a new profile from data that has them.".to_owned(),
        ],
    }
}

pub(super) fn profile(incident: &Incident) -> Words {
    let who = who(incident);
    Words {
        title: format!(
            "{}: {who} {} inputs that break the rules of the profile",
            incident.system,
            verb(incident, "sends", "send")
        ),
        changed: format!(
            "Inputs of {who} have wrong types, values out of range or unknown categories: {}.",
            asked(incident)
        ),
        suspicious:
            "Values the model was never made for can push it anywhere. Most often a client was changed or is \
                     broken; sometimes somebody is testing what gets through."
                .to_owned(),
        affected: format!("{} Other callers are answered as before.", answering(incident)),
        decisions: doubtful(incident, "those on ill-formed inputs having no meaning"),
        tasks: vec![
            format!("Send {} the list of broken rules; it is under the details.", owner(incident)),
            "If the profile is wrong, correct it and sign it again.".to_owned(),
        ],
    }
}

pub(super) fn dependency(incident: &Incident) -> Words {
    Words {
        title: format!("{}: what its answers depend on is not there", incident.system),
        changed: format!(
            "Requests of {} met something that was not there: {}.",
            who(incident),
            asked(incident)
        ),
        suspicious: super::noticed(
            incident,
            "An endpoint, the record or what replicas share gave no answer; see the details.",
        ),
        affected: "Whoever asks this route, not this caller alone.".to_owned(),
        decisions: doubtful(incident, "since they were made without it"),
        tasks: vec!["Bring back what is missing; `/metrics` and the log name it.".to_owned()],
    }
}

pub(super) fn other(incident: &Incident) -> Words {
    let who = who(incident);
    Words {
        title: format!(
            "{}: {who} {} something a detector warns about",
            incident.system,
            verb(incident, "does", "do")
        ),
        changed: format!("A detector began to warn about {who}: {}.", asked(incident)),
        suspicious: super::noticed(incident, "The detector gave no further words; see the details."),
        affected: answering(incident),
        decisions: doubtful(incident, "as far as the detector can tell"),
        tasks: vec![review(incident)],
    }
}
