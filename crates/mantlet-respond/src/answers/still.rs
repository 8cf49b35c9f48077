//! Words for what is found in models, files, data and defences.

use super::{Words, capital, noticed, review, stakes, text_fact};
use crate::incident::Incident;

fn version(incident: &Incident) -> String {
    incident
        .version
        .as_ref()
        .map_or_else(|| "a model version".to_owned(), |version| format!("version {version}"))
}

fn subject(incident: &Incident) -> String {
    incident.subject.clone().unwrap_or_else(|| "a file".to_owned())
}

/// How to list what a serving version decided.
fn given_out(incident: &Incident, what: &str) -> String {
    let number = if incident.in_doubt > 0 {
        super::count(incident.in_doubt, "decision")
    } else {
        "Every decision".to_owned()
    };
    format!(
        "{number} of {what} since it began to answer. List them: `mantlet incident show {} --decisions`.",
        incident.id
    )
}

pub(super) fn backdoor(incident: &Incident) -> Words {
    let version = version(incident);
    let forced = text_fact(incident, "forced").map(|class| format!(" {class}")).unwrap_or_default();
    let (affected, decisions) = if incident.serving {
        (
            format!(
                "Everybody who is decided about by {}. {} answers now.",
                stakes(incident),
                capital(&version)
            ),
            given_out(incident, &format!("{version}, above all those that came out as{forced}")),
        )
    } else {
        (
            format!("Nobody yet: {version} is a candidate for {} and decides nothing.", stakes(incident)),
            format!("None: {version} has not decided anything."),
        )
    };
    Words {
        title: format!("{}: {version} obeys a hidden mark", incident.system),
        changed: format!(
            "{} was examined, and a small mark was found that forces its decision.",
            capital(&version)
        ),
        suspicious: format!(
            "Put the mark on any input and the model answers{forced}, whatever the input shows. A model does not \
             learn that by itself: somebody planted it in the training data or in the file."
        ),
        affected,
        decisions,
        tasks: vec![
            format!("Do not use {version}. Ask who made it, from which data, and where the file came from."),
            "Look at the recovered mark in the report, and search recorded inputs for it.".to_owned(),
        ],
    }
}

pub(super) fn artifact(incident: &Incident) -> Words {
    let subject = subject(incident);
    let malicious = text_fact(incident, "worst") == Some("malicious");
    let (title, fallback) = if malicious {
        ("would do harm when it is loaded", "Loading the file as intended would do harm.")
    } else {
        ("needs a careful look before it is loaded", "Something in the file does not belong there.")
    };
    let (affected, decisions) = if incident.serving {
        (
            format!(
                "The machines that loaded it, and everybody who is decided about by {}.",
                stakes(incident)
            ),
            given_out(incident, &subject),
        )
    } else {
        (
            format!("Nobody yet: {subject} was not admitted to {}.", stakes(incident)),
            "None: it was not used for a decision.".to_owned(),
        )
    };
    let mut tasks =
        vec![format!("Do not load {subject}. Ask its source for another form that holds data only.")];
    if incident.serving {
        tasks.push(
            "Treat every machine that loaded it as broken into: take it off the network, change its keys."
                .to_owned(),
        );
    }
    Words {
        title: format!("{}: {subject} {title}", incident.system),
        changed: format!("{subject} was taken in and scanned."),
        suspicious: noticed(incident, fallback),
        affected,
        decisions,
        tasks,
    }
}

pub(super) fn regression(incident: &Incident) -> Words {
    let case = subject(incident);
    let change =
        text_fact(incident, "change").unwrap_or("a change of the model, the configuration or mantlet itself");
    Words {
        title: format!("{}: an attack that was stopped before now works", incident.system),
        changed: format!("{}.", capital(change.trim_end_matches('.'))),
        suspicious: format!(
            "The stored attack {case} was replayed, as after every change. It used to be stopped; now it passes. Whoever \
             used it before can use it again."
        ),
        affected: format!("Everybody who is decided about by {}.", stakes(incident)),
        decisions: if incident.in_doubt == 0 {
            format!(
                "None is known to be wrong: the replay itself decided nothing. Decisions since the change cannot be \
                 vouched for; list them: `mantlet incident show {} --decisions`.",
                incident.id
            )
        } else {
            given_out(incident, &incident.system)
        },
        tasks: vec![
            "Take the change back, or repair the rule that stopped the attack.".to_owned(),
            format!("Then replay it: `mantlet attack replay {case}`."),
            review(incident),
        ],
    }
}

pub(super) fn data(incident: &Incident) -> Words {
    let subject = subject(incident);
    if let Some(told) = &incident.told {
        return Words {
            title: format!("{}: {subject} is held and not learned from", incident.system),
            changed: told.changed.clone(),
            suspicious: told.suspicious.clone(),
            affected: format!("{} They decide for {}.", told.affected, stakes(incident)),
            decisions: told.decisions.clone(),
            tasks: told.next.lines().map(str::to_owned).collect(),
        };
    }
    Words {
        title: format!("{}: the data {subject} is not fit to train on as it is", incident.system),
        changed: format!("{subject} was checked before training."),
        suspicious: noticed(incident, "Part of the data does not fit the rest."),
        affected: format!("Nobody yet. A model trained on it would decide for {}.", stakes(incident)),
        decisions:
            "None: nothing was trained on it since the check. Models trained on it earlier should be probed."
                .to_owned(),
        tasks: vec![
            format!("Look at the rows named above: `mantlet data check {subject}`."),
            "Correct or remove them, say why, and check again.".to_owned(),
        ],
    }
}

/// What a monitor found, in its own words.
pub(super) fn behaviour(incident: &Incident, how: &str) -> Words {
    let told = incident.told.clone().unwrap_or_default();
    let sentence = |text: &str, otherwise: &str| {
        let text = if text.is_empty() { otherwise } else { text };
        format!("{}.", capital(text.trim_end_matches('.')))
    };
    let subject: String = incident.subject.as_deref().unwrap_or(how).chars().take(90).collect();
    let again = match incident.alerts {
        0 | 1 => String::new(),
        more => format!(" It was told {more} times."),
    };
    Words {
        title: format!("{}: {subject}", incident.system),
        changed: format!("{}{again}", sentence(&told.changed, &noticed(incident, how))),
        suspicious: sentence(&told.suspicious, "Nobody said that it would change"),
        affected: format!(
            "{} All of it is decided about by {}.",
            sentence(&told.affected, "Everybody who is decided about"),
            stakes(incident)
        ),
        decisions: sentence(&told.decisions, "Those made since then"),
        tasks: told.next.lines().map(|line| sentence(line, "Find the cause")).collect(),
    }
}
