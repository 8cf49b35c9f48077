//! One diverted decision: the input to look at, what the model says, why it was withheld, and the ruling.

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::response::{Html, Redirect};
use mantlet_access::Act;
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{self, At, token};
use super::{path, when};
use crate::server::Shared;
use crate::session::{Fields, Who};
use crate::{Review, ReviewState, Ruling};

/// Rows of one request that are shown.
const SHOWN: usize = 12;

async fn find(shared: &Shared, id: &str) -> Result<Review, Fault> {
    shared.ports.views.review(id).await?.ok_or_else(|| Fault::Missing(format!("decision {id}")))
}

pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Html<String>, Fault> {
    who.must(Act::SeeExchanges)?;
    let review = find(&shared, &id).await?;
    let now = shared.now();
    let body = html! {
        p.crumbs { a href="/reviews" { "Decisions" } " / " (review.id) }
        h1 { (question(&review)) }
        p.quiet {
            "Key " (review.caller) " asked " a href=(path(&["systems", &review.system])) { (review.system) } " "
            (review.version) ", " (when(review.at, now)) "."
            @if review.state == ReviewState::Waiting {
                " " @if review.owner.is_empty() { "To be decided " } @else { strong { (review.owner) } " decides " }
                (when(review.deadline, now))
                @if review.releases && review.asked { "; otherwise the model's answer goes out." }
                @else if review.releases { "; otherwise it may go to the model." } @else { "; otherwise the caller gets no answer." }
            }
            @if let Some(incident) = &review.incident { " Part of " a href=(path(&["incidents", incident])) { "incident " (incident) } "." }
        }
        div.bench {
            section aria-labelledby="input-title" {
                h2 id="input-title" { "What was sent" }
                div.inputs {
                    @for (index, input) in review.inputs.iter().take(SHOWN).enumerate() {
                        figure { (mantlet_report::input(input, &format!("Input {}", index + 1))) }
                    }
                }
                @if review.inputs.is_empty() { p { "Inputs of this route are not kept, by its privacy setting." } }
                @if review.inputs.len() > SHOWN { p.small.quiet { (review.inputs.len() - SHOWN) " more rows." } }
            }
            div {
                (says(&review))
                (verdict(&who, &review, now))
            }
        }
    };
    Ok(frame::page(&who, At::Reviews, "A decision", &body))
}

fn question(review: &Review) -> String {
    match (&review.state, &review.answer) {
        (ReviewState::Decided { .. }, _) => "This decision was made".to_owned(),
        (ReviewState::Waiting, Some(answer)) => format!("The model says {answer}. Is that right?"),
        (ReviewState::Waiting, None) if review.asked => "May this answer go out?".to_owned(),
        (ReviewState::Waiting, None) if review.goes_on => {
            "The model was not asked. May this go to it?".to_owned()
        }
        (ReviewState::Waiting, None) => "The model was not asked. What is the answer?".to_owned(),
    }
}

fn says(review: &Review) -> Markup {
    html! {
        section aria-labelledby="why-title" {
            h2 id="why-title" { "Why it was withheld" }
            @if review.signals.is_empty() { p { "No rule asked for it. Everything of this key, or of this model, goes to a person for now." } }
            ul { @for signal in &review.signals { li { (signal.message) " " span.quiet.small { (signal.name) ", score " (mantlet_report::number(signal.score)) } } } }
        }
        @if !review.written.is_empty() {
            section aria-labelledby="written-title" {
                h2 id="written-title" { "What the model wrote" }
                div.inputs {
                    @for (index, text) in review.written.iter().take(SHOWN).enumerate() {
                        figure { (mantlet_report::input(text, &format!("Text {}", index + 1))) }
                    }
                }
                @if review.written.len() > SHOWN { p.small.quiet { (review.written.len() - SHOWN) " more texts." } }
            }
        }
        @if !review.scores.is_empty() {
            section aria-labelledby="scores-title" {
                h2 id="scores-title" { "The model's scores" }
                ul.bars {
                    @for (class, score) in review.scores.iter().take(10) {
                        li {
                            span { (class) }
                            meter min="0" max="1" value=(format!("{:.4}", score.clamp(0.0, 1.0))) aria-label={ "Score of " (class) } {}
                            span.num { (mantlet_report::percent(*score)) }
                        }
                    }
                }
            }
        }
    }
}

fn verdict(who: &Who, review: &Review, now: mantlet_vocab::Millis) -> Markup {
    match &review.state {
        ReviewState::Decided { by, at, ruling, note } => html! {
            section.notice.tone-good { p { (by) ", " (when(*at, now)) ": " (ruling.plain(review.asked)) "." } @if !note.is_empty() { p { (note) } } }
        },
        ReviewState::Waiting if who.may(Act::DecideReview) => html! {
            form.panel method="post" action=(path(&["reviews", &review.id])) {
                (token(who))
                fieldset {
                    legend { "Your decision" }
                    @if let Some(answer) = &review.answer {
                        label.choice { input type="radio" name="ruling" value="release" required; span { "Right: release " strong { (answer) } } }
                    } @else if review.asked {
                        label.choice { input type="radio" name="ruling" value="release" required; " Release the answer as the model gave it" }
                    } @else if review.goes_on {
                        label.choice { input type="radio" name="ruling" value="release" required; " Let it go to the model, once; its answer is looked at too" }
                    }
                    @if !review.choices.is_empty() {
                        label.choice { input type="radio" name="ruling" value="answer" required; " Wrong: answer instead" }
                        label.visually-hidden for="answer" { "The answer instead" }
                        select id="answer" name="answer" { @for choice in &review.choices { option value=(choice) { (choice) } } }
                    }
                    label.choice { input type="radio" name="ruling" value="reject" required; " Give no answer: refuse the request" }
                }
                label for="note" { "Why (kept in the audit log)" }
                textarea id="note" name="note" rows="2" maxlength="1000" {}
                button.strong { "Decide and release" }
            }
        },
        ReviewState::Waiting => {
            html! { p.notice.tone-warning { "A reviewer decides this. Your role may look." } }
        }
    }
}

pub(crate) async fn decide(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Redirect, Fault> {
    who.check(&fields)?;
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    carry_out(&shared, &who, &id, field("ruling"), field("answer"), field("note")).await?;
    Ok(Redirect::to(&path(&["reviews", &id])))
}

/// Checks and carries out a ruling, for the page and the API.
pub(crate) async fn carry_out(
    shared: &Shared,
    who: &Who,
    id: &str,
    ruling: &str,
    answer: &str,
    note: &str,
) -> Result<(), Fault> {
    who.must(Act::DecideReview)?;
    let review = find(shared, id).await?;
    let ruling = match ruling {
        "release" if review.asked || review.goes_on => Ruling::Release,
        "answer" if review.choices.iter().any(|choice| choice == answer) => Ruling::Answer(answer.to_owned()),
        "reject" => Ruling::Reject,
        _ => return Err(Fault::Wrong("Choose one of the decisions offered.".to_owned())),
    };
    if let ReviewState::Decided { by, .. } = &review.state {
        return Err(Fault::Refused(format!("{by} has decided this already.")));
    }
    let note: String = note.trim().chars().take(1_000).collect();
    Ok(shared.ports.actions.decide_review(who.name(), id, &ruling, &note).await?)
}
