//! The five answers in plain words. Research terms, ids and figures stay in the details under them.

mod live;
mod still;

use mantlet_vocab::{Impact, Millis};

use crate::alert::AlertKind;
use crate::group::StepGroup;
use crate::incident::Incident;
use crate::record::FiveAnswers;
use crate::step::{OnExpiry, Step, StepState, Undo};

/// What differs from kind to kind.
struct Words {
    title: String,
    changed: String,
    suspicious: String,
    affected: String,
    decisions: String,
    /// What a person does beyond the steps.
    tasks: Vec<String>,
}

fn words(incident: &Incident) -> Words {
    match incident.kind {
        AlertKind::BoundaryWalk => live::boundary_walk(incident),
        AlertKind::Probing => live::probing(incident),
        AlertKind::Extraction => live::extraction(incident),
        AlertKind::Outlier => live::outlier(incident),
        AlertKind::Profile => live::profile(incident),
        AlertKind::Other => live::other(incident),
        AlertKind::Dependency => live::dependency(incident),
        AlertKind::Backdoor => still::backdoor(incident),
        AlertKind::Artifact => still::artifact(incident),
        AlertKind::Regression => still::regression(incident),
        AlertKind::Data => still::data(incident),
        AlertKind::Drift => still::behaviour(incident, "is not what it was"),
        AlertKind::Performance => still::behaviour(incident, "errs more than it used to"),
    }
}

/// One line for subject lines and lists.
pub(crate) fn title(incident: &Incident) -> String {
    words(incident).title
}

/// The five answers of an incident as it stands.
pub(crate) fn five(incident: &Incident) -> FiveAnswers {
    let words = words(incident);
    FiveAnswers {
        changed: words.changed,
        suspicious: words.suspicious,
        affected: words.affected,
        decisions: words.decisions,
        next: next(incident, &words.tasks),
    }
}

/// The steps with their buttons, then what is left for a person.
fn next(incident: &Incident, tasks: &[String]) -> String {
    let groups = incident.step_groups();
    let mut lines: Vec<String> = groups.iter().filter_map(|group| group_line(incident, group)).collect();
    if lines.is_empty() {
        lines.push("Nothing is done by itself about this.".to_owned());
    }
    lines.extend(tasks.iter().cloned());
    if incident.closed.is_none() {
        lines.push(format!("When it is settled: `mantlet incident close {}`.", incident.id));
    }
    lines.join("\n")
}

fn group_line(incident: &Incident, group: &StepGroup<'_>) -> Option<String> {
    if let Some(step) = group.only() {
        return step_line(incident, step);
    }
    let (id, plain) = (&incident.id, group.plain());
    let each = format!("`mantlet incident show {id}` lists each of them");
    let first = group.steps().first()?;
    Some(match first.state {
        StepState::Recorded => format!(
            "Would have been done (observe mode): {plain}. Do one: `mantlet incident contain {id} {}`; {each}.",
            first.id
        ),
        StepState::Proposed => format!(
            "Proposed: {plain}, because {}. Do one: `mantlet incident contain {id} {}`; {each}.",
            first.why, first.id
        ),
        StepState::Applying => format!("Being done: {plain}."),
        StepState::Applied => {
            format!("Done: {plain}. Undo one: `mantlet incident undo {id} {}`; {each}.", first.id)
        }
        StepState::Undoing => format!("Being undone: {plain}."),
        StepState::Failed { .. } | StepState::Undone | StepState::Expired => return None,
    })
}

fn step_line(incident: &Incident, step: &Step) -> Option<String> {
    let (id, plain) = (&incident.id, step.action.plain());
    let contain = format!("`mantlet incident contain {id} {}`", step.id);
    let undo = match &step.undo {
        Undo::By { plain } => format!("Undo: `mantlet incident undo {id} {}`, then {plain}.", step.id),
        Undo::None { why } => format!("It cannot be undone: {why}."),
    };
    let reach = &step.blast_radius.plain;
    Some(match &step.state {
        StepState::Recorded => {
            format!("Would have been done (observe mode): {plain}. Touches {reach}. Do it: {contain}.")
        }
        StepState::Proposed => {
            format!("Proposed: {plain}, because {}. Touches {reach}. Do it: {contain}.", step.why)
        }
        StepState::Applying => format!("Being done: {plain}."),
        StepState::Applied => {
            let end = match (step.on_expiry, step.expires) {
                (OnExpiry::Undo, Some(expires)) => format!(" until {}", clock(expires)),
                (OnExpiry::Remind, Some(expires)) => format!("; you will be reminded {}", date(expires)),
                (_, None) => String::new(),
            };
            format!("Done: {plain}{end}. Touches {reach}. {undo}")
        }
        StepState::Undoing => format!("Being undone: {plain}."),
        StepState::Failed { why, undoing: false } => {
            format!("COULD NOT BE DONE: {plain}: {why}. Try again: {contain}.")
        }
        StepState::Failed { why, undoing: true } => {
            format!(
                "COULD NOT BE UNDONE: {plain}: {why}. Try again: `mantlet incident undo {id} {}`.",
                step.id
            )
        }
        StepState::Undone | StepState::Expired => return None,
    })
}

/// `key k-12`, or `3 keys (a, b, c)`.
fn who(incident: &Incident) -> String {
    match incident.callers.as_slice() {
        [] => "a caller".to_owned(),
        [key] => format!("key {key}"),
        keys => {
            let first: Vec<&str> = keys.iter().take(5).map(String::as_str).collect();
            let more = if keys.len() > 5 { ", ..." } else { "" };
            format!("{} keys ({}{more})", keys.len(), first.join(", "))
        }
    }
}

/// What it means for the system, by its impact class.
fn stakes(incident: &Incident) -> String {
    let what = match incident.system_impact {
        Impact::Low => "its mistakes are annoying, no more",
        Impact::Medium => "its mistakes cost time or some money",
        Impact::High => "its decisions move money, access or rights of people",
        Impact::Critical => "its decisions can hurt people",
    };
    format!("{} ({what})", incident.system)
}

/// Which decisions were given out to the callers in question, and how to list them.
fn doubtful(incident: &Incident, because: &str) -> String {
    if incident.in_doubt == 0 {
        return "None: no decision was given out to it.".to_owned();
    }
    let first: Vec<&str> = incident.exchanges.iter().rev().take(3).map(String::as_str).collect();
    let latest = if first.is_empty() { String::new() } else { format!(" The latest: {}.", first.join(", ")) };
    format!(
        "{} given to {} since {}, {because}.{latest} List them: `mantlet incident show {} --decisions`.",
        count(incident.in_doubt, "decision"),
        who(incident),
        clock(incident.since),
        incident.id
    )
}

fn review(incident: &Incident) -> String {
    format!("Decide what waits for a person: `mantlet review list --incident {}`.", incident.id)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// `14:32 UTC on 2026-09-21`.
fn clock(at: Millis) -> String {
    let text = at.rfc3339();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{time} UTC on {day}"),
        _ => text,
    }
}

fn date(at: Millis) -> String {
    at.rfc3339().get(..10).unwrap_or_default().to_owned()
}

/// What was noticed, as the findings or detectors say it; `otherwise` when they say nothing.
fn noticed(incident: &Incident, otherwise: &str) -> String {
    let lines: Vec<String> =
        incident.noticed.iter().take(3).map(|line| format!("{}.", line.trim_end_matches('.'))).collect();
    let more = incident.noticed.len().saturating_sub(3);
    match (lines.is_empty(), more) {
        (true, _) => otherwise.to_owned(),
        (false, 0) => lines.join(" "),
        (false, more) => format!("{} And {more} more.", lines.join(" ")),
    }
}

fn text_fact<'a>(incident: &'a Incident, name: &str) -> Option<&'a str> {
    incident.facts.get(name).and_then(serde_json::Value::as_str)
}

#[cfg(test)]
mod tests;
