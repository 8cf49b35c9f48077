//! A version on its way before users: its steps, what was observed, how sure that is, the way back; and the kill switch.

use std::sync::Arc;

use axum::extract::{Form, Path, State as Extract};
use axum::response::{Html, Redirect};
use mantlet_access::Act;
use mantlet_registry::System;
use mantlet_registry::rollout::{Phase, Rollout, Standing, Verdict};
use mantlet_vocab::Millis;
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{self, At, token};
use super::system::find;
use super::{path, when};
use crate::server::Shared;
use crate::session::{Fields, Who};

pub(crate) async fn show(
    Extract(shared): Extract<Arc<Shared>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Html<String>, Fault> {
    let system = find(&shared, &name).await?;
    let views = &shared.ports.views;
    let rollout = views.rollout(&name).await?;
    let diverted = views.diverted(&name).await?;
    let now = shared.now();
    let body = html! {
        p.crumbs { a href="/" { "Systems" } " / " a href=(path(&["systems", &name])) { (name) } " / Rollout" }
        @match &rollout {
            Some(rollout) => (told(&who, rollout, now)),
            None => {
                h1 { "No rollout" }
                p { "No version of " (name) " was ever rolled out step by step. " code { "mantlet registry rollout start VERSION" } " begins." }
            }
        }
        (switch(&who, &system, diverted.as_deref()))
        @if let Some(rollout) = &rollout { (past(rollout)) }
    };
    Ok(frame::page(&who, At::Overview, &format!("{name} rollout"), &body))
}

fn told(who: &Who, rollout: &Rollout, now: Millis) -> Markup {
    let verdict = rollout.judge(now);
    let (tone, sign) = match (&verdict, rollout.phase) {
        (Verdict::RollBack(_), _) | (_, Phase::RolledBack) => ("tone-bad", "✕"),
        (Verdict::Advance, _) | (_, Phase::Promoted) => ("tone-good", "✓"),
        (_, Phase::Aborted) => ("tone-neutral", "·"),
        (Verdict::Hold(_) | Verdict::Over, _) => ("tone-warning", "!"),
    };
    html! {
        div.verdict.(tone) {
            span.sign aria-hidden="true" { (sign) }
            div {
                h1 {
                    (rollout.candidate) " beside " (rollout.stable)
                    @if let Some(route) = &rollout.route { " on route " (route) }
                    ": " (rollout.phase)
                }
                p { (share(rollout.share())) " of the callers get " (rollout.candidate) ", begun " (when(rollout.since, now)) ". " (next(rollout, &verdict)) }
                @if let Verdict::Hold(holds) = &verdict { ul { @for hold in holds { li { "It waits: " (hold) } } } }
            }
        }
        (steps(rollout))
        (observed(rollout))
        (hands(who, rollout))
    }
}

fn next(rollout: &Rollout, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Hold(_) => String::new(),
        Verdict::Advance => "It goes on at the next look.".to_owned(),
        Verdict::RollBack(worse) => format!("It is taken back at the next look: {worse}."),
        Verdict::Over => {
            rollout.lines.last().map_or_else(String::new, |line| mantlet_report::sentence(&line.reason))
        }
    }
}

fn share(hundredths: u32) -> String {
    let text = format!("{:.2}", f64::from(hundredths) / 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn steps(rollout: &Rollout) -> Markup {
    let at = match rollout.phase {
        Phase::Canary(step) => Some(step),
        _ => None,
    };
    let over = |step: usize| rollout.phase == Phase::Promoted || at.is_some_and(|at| at > step);
    html! {
        section aria-labelledby="steps-title" {
            h2 id="steps-title" { "Steps" }
            div.scroll tabindex="0" role="group" aria-labelledby="steps-title" {
                table {
                    thead { tr { th scope="col" { "Step" } th scope="col" { "Callers" } th scope="col" { "Observations of each" } th scope="col" { "At least" } th scope="col" { "Where" } } }
                    tbody {
                        @if let Some(step) = rollout.plan.shadow {
                            tr {
                                th scope="row" { "Shadow" } td { "none: copies only" } td { (step.samples) } td { (step.dwell_ms / 1_000) " s" }
                                td { (place(rollout.phase == Phase::Shadow, at.is_some() || rollout.phase == Phase::Promoted)) }
                            }
                        }
                        @for (number, step) in rollout.plan.steps.iter().enumerate() {
                            tr {
                                th scope="row" { (number + 1) } td { (share(step.share)) } td { (step.samples) } td { (step.dwell_ms / 1_000) " s" }
                                td { (place(at == Some(number), over(number))) }
                            }
                        }
                        tr {
                            th scope="row" { "All" } td { "100 %" } td {} td {}
                            td { (place(false, rollout.phase == Phase::Promoted)) }
                        }
                    }
                }
            }
        }
    }
}

fn place(here: bool, over: bool) -> Markup {
    html! {
        @if here { span.tag.tone-warning { "here" } } @else if over { span.tag.tone-good { "over" } }
    }
}

fn observed(rollout: &Rollout) -> Markup {
    let tally = rollout.evidence.tally();
    let standings = rollout.evidence.standings();
    let seen: Vec<&Standing> = standings.iter().filter(|standing| standing.candidate.is_some()).collect();
    let percent = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{:.2} %", rate * 100.0));
    html! {
        section aria-labelledby="observed-title" {
            h2 id="observed-title" { "What was observed" }
            dl.facts {
                @if rollout.runs() {
                    dt { (rollout.candidate) } dd { (tally.candidate) " observations at this step, " (tally.candidate_labels) " labels" }
                    dt { (rollout.stable) } dd { (tally.baseline) " observations at this step, " (tally.baseline_labels) " labels" }
                    dt { "Lacking" } dd { (tally.missing) " without a figure, " (tally.late) " from before this step" }
                    dt { "One caller" } dd { "counts at most " (rollout.plan.per_caller) " times at a step: where few callers come, a step waits long" }
                }
                dt { "False alarms" }
                dd { "a version that is no worse than allowed is taken back in at most " (percent(Some(rollout.plan.false_rollback))) " of rollouts, however often one looks" }
            }
            @if !seen.is_empty() {
                div.scroll tabindex="0" role="group" aria-labelledby="observed-title" {
                    table {
                        thead { tr { th scope="col" { "Metric" } th scope="col" { (rollout.candidate) } th scope="col" { (rollout.stable) } th scope="col" { "May be worse by" } th scope="col" { "Evidence (e-value)" } th scope="col" { "p, valid at any time" } th scope="col" { "Says" } } }
                        tbody {
                            @for standing in seen {
                                tr {
                                    th scope="row" { (standing.metric) }
                                    td { (percent(standing.candidate)) } td { (percent(standing.baseline)) }
                                    td { (format!("{:.2} points", standing.margin * 100.0)) }
                                    td { (figure(standing.evidence)) } td { (format!("{:.3}", standing.p)) }
                                    td { (says(standing, rollout.plan.false_rollback)) }
                                }
                            }
                        }
                    }
                }
                p { "An e-value of 1 says nothing; one of 100 comes up by chance at most once in a hundred rollouts of a version that is within its margin. It may be looked at at any time." }
            }
        }
    }
}

fn figure(value: f64) -> String {
    if value >= 1e4 { format!("{value:.1e}") } else { format!("{value:.2}") }
}

fn says(standing: &Standing, most: f64) -> Markup {
    html! {
        @if standing.p <= most { span.tag.tone-bad { "worse" } }
        @else if standing.evidence >= 10.0 { span.tag.tone-warning { "looks worse" } }
        @else { span.tag.tone-neutral { "within" } }
    }
}

fn hands(who: &Who, rollout: &Rollout) -> Markup {
    let to = |what: &str| path(&["systems", &rollout.system, "rollout", what]);
    html! {
        @if rollout.runs() && who.may(Act::RollBack) {
            form.panel method="post" action=(to("take-back")) {
                (token(who))
                h2 { "Take it back" }
                p { "Everybody gets " (rollout.stable) " from the next request on." }
                label for="take-back-why" { "Why" }
                input id="take-back-why" name="why" required maxlength="1000" value="taken back on the console";
                button { "Take back " (rollout.candidate) }
            }
        }
        @if rollout.runs() && who.may(if rollout.paused { Act::Promote } else { Act::RollBack }) {
            form.panel method="post" action=(to(if rollout.paused { "resume" } else { "pause" })) {
                (token(who))
                label for="pause-why" { "Why" }
                input id="pause-why" name="why" required maxlength="1000" value=(if rollout.paused { "it may go on" } else { "to have a look" });
                button { @if rollout.paused { "Let it go on" } @else { "Stay at this step" } }
            }
        }
    }
}

/// Sends every decision to people, whatever version answers.
fn switch(who: &Who, system: &System, diverted: Option<&str>) -> Markup {
    let to = path(&["systems", &system.name, "rollout", "switch"]);
    html! {
        section aria-labelledby="switch-title" {
            h2 id="switch-title" { "Kill switch" }
            @match diverted {
                Some(reason) => p { span.tag.tone-bad { "on" } " Every decision goes to a person: " (reason) },
                None => p { span.tag.tone-good { "off" } " Decisions flow." },
            }
            @if who.may(if diverted.is_some() { Act::UndoContainment } else { Act::Contain }) {
                details.panel {
                    summary { @if diverted.is_some() { "Let decisions flow again" } @else { "Send every decision to a person" } }
                    form method="post" action=(to) {
                        (token(who))
                        input type="hidden" name="on" value=(if diverted.is_some() { "no" } else { "yes" });
                        label for="switch-why" { "Why, in words the callers may read" }
                        input id="switch-why" name="why" required maxlength="1000";
                        button { @if diverted.is_some() { "Let them flow" } @else { "Divert every decision" } }
                    }
                }
            }
        }
    }
}

fn past(rollout: &Rollout) -> Markup {
    html! {
        section aria-labelledby="past-title" {
            h2 id="past-title" { "What happened" }
            div.scroll tabindex="0" role="group" aria-labelledby="past-title" {
                table {
                    thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "Callers" } th scope="col" { "Why" } } }
                    tbody {
                        @for line in rollout.lines.iter().rev().take(100) {
                            tr {
                                td { (line.at.rfc3339().get(..19).unwrap_or("").replace('T', " ")) }
                                td { (line.actor) } td { (line.what) } td { (share(line.share)) } td { (line.reason) }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(crate) async fn act(
    Extract(shared): Extract<Arc<Shared>>,
    who: Who,
    Path((name, what)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Redirect, Fault> {
    who.check(&fields)?;
    let on = fields.get("on").is_some_and(|on| on == "yes");
    who.must(match &*what {
        "take-back" | "pause" => Act::RollBack,
        "resume" => Act::Promote,
        "switch" if on => Act::Contain,
        "switch" => Act::UndoContainment,
        _ => return Err(Fault::Missing("such a change of a rollout".to_owned())),
    })?;
    let why: String = fields.get("why").map_or("", |why| why.trim()).chars().take(1_000).collect();
    if why.is_empty() {
        return Err(Fault::Wrong("Say why.".to_owned()));
    }
    let actions = &shared.ports.actions;
    match &*what {
        "take-back" => actions.abort_rollout(who.name(), &name, &why).await?,
        "switch" => actions.divert(who.name(), &name, on, &why).await?,
        _ => actions.pause_rollout(who.name(), &name, what == "pause", &why).await?,
    }
    Ok(Redirect::to(&path(&["systems", &name, "rollout"])))
}
