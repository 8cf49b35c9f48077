//! `report.html`: the verdict first in plain words, then pictures, then tables.

mod data;
mod pictures;
mod tables;

pub use data::*;
use maud::{Markup, html};

use crate::page::page;
use crate::words::instant;

const CSS: &str = include_str!("report.css");

impl Tone {
    /// The CSS class.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Good => "tone-good",
            Self::Warning => "tone-warning",
            Self::Bad => "tone-bad",
            Self::Neutral => "tone-neutral",
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Warning => "!",
            Self::Bad => "✕",
            Self::Neutral => "·",
        }
    }
}

impl Admission {
    /// The word and how to read it.
    #[must_use]
    pub const fn word(self) -> (&'static str, Tone) {
        match self {
            Self::Admitted => ("admitted", Tone::Good),
            Self::Refused => ("refused", Tone::Bad),
            Self::NeedsPerson => ("needs a person", Tone::Warning),
        }
    }
}

/// The report as one self-contained page.
#[must_use]
pub fn html(report: &SystemReport) -> String {
    let pictures = pictures::sections(report);
    let tables = tables::sections(report);
    let contents = pictures.iter().chain(&tables).map(|(id, title, _)| (*id, *title));
    let body = html! {
        a.skip href="#verdict" { "Skip to the verdict" }
        header.masthead {
            p.kicker { "mantlet · report on a protected system" }
            h1 { (report.system) }
            @if !report.purpose.is_empty() { p.lede { (report.purpose) } }
            p.meta {
                "Impact of its decisions: " strong { (report.impact.word()) } ". Made "
                time datetime=(report.made_at.rfc3339()) { (instant(report.made_at)) }
                @if !report.mantlet.is_empty() { " by mantlet " (report.mantlet) }
                @if !report.command.is_empty() { " with " code { (report.command) } } "."
            }
        }
        main {
            (verdict(&report.verdict))
            (models(&report.models))
            nav.contents aria-label="Contents" {
                ol { @for (id, title) in contents { li { a href={ "#" (id) } { (title) } } } }
            }
            @for (id, title, section) in pictures.iter().chain(&tables) {
                section id=(id) aria-labelledby={ (id) "-title" } {
                    h2 id={ (id) "-title" } { (title) }
                    (section)
                }
            }
        }
        footer {
            @for credit in &report.credits { p.small.quiet { (credit) } }
            p.small.quiet {
                "This file holds everything it shows: it needs no network and no script. What is not listed as "
                "examined was not examined."
            }
        }
    };
    page(&format!("{}: {}", report.system, report.verdict.headline), CSS, &body)
}

/// The sections of a report, pictures before tables: (anchor, heading, content).
#[must_use]
pub fn sections(report: &SystemReport) -> Vec<(&'static str, &'static str, Markup)> {
    let mut sections = pictures::sections(report);
    sections.extend(tables::sections(report));
    sections
}

/// One row given to a model, as a picture or as a table of named values.
#[must_use]
pub fn input(input: &Input, alt: &str) -> Markup {
    match input {
        Input::Picture(raster) => crate::svg::picture(raster, alt),
        Input::Fields { fields } => html! {
            table {
                caption { (alt) }
                thead { tr { th scope="col" { "Input" } th scope="col" { "Value" } } }
                tbody { @for field in fields.iter().take(200) { tr { th scope="row" { (field.name) } td { (field.value) } } } }
            }
            @if fields.len() > 200 { p.small.quiet { (fields.len() - 200) " more inputs are not shown." } }
        },
    }
}

fn verdict(verdict: &VerdictBlock) -> Markup {
    html! {
        section.verdict.(verdict.tone.class()) id="verdict" aria-labelledby="verdict-title" {
            span.sign aria-hidden="true" { (verdict.tone.sign()) }
            div {
                h2 id="verdict-title" { (verdict.headline) }
                @for sentence in &verdict.sentences { p { (sentence) } }
                @if !verdict.next.is_empty() {
                    h3 { "What to do now" }
                    ol.next {
                        @for step in &verdict.next {
                            li { (step.what) @if let Some(command) = &step.command { br; code { (command) } } }
                        }
                    }
                }
            }
        }
    }
}

fn models(models: &[ModelCard]) -> Markup {
    html! {
        @if !models.is_empty() {
            div.cards {
                @for model in models {
                    @let (word, tone) = model.admission.word();
                    article.card.(tone.class()) {
                        h3 { (model.version) " " span.tag.(tone.class()) { (word) } }
                        @for reason in &model.reasons { p { (reason) } }
                        dl.facts.small {
                            dt { "File" } dd { (model.path) " (" (crate::bytes(model.size)) ")" }
                            @if let Some(digest) = model.digest { dt { "Digest" } dd { code { (digest.to_string()) } } }
                            @for (name, value) in &model.facts { dt { (name) } dd { (value) } }
                            @if let Some(passport) = &model.passport {
                                dt { "Passport" } dd { (passport.path) ", signed with key " code { (passport.key) } }
                                dt { "Verify" } dd { code { (passport.verify) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a picture or table rests on, under it.
fn basis(basis: &Basis) -> Markup {
    let seeds: Vec<String> = basis.seeds.iter().take(40).map(u64::to_string).collect();
    html! {
        p.basis {
            @if basis.n > 0 { "n = " (crate::count(basis.n)) " " (basis.of) ". " }
            @if !seeds.is_empty() {
                @if seeds.len() == 1 { "Seed " } @else { "Seeds " } (seeds.join(", ")) ". "
            }
            @if let Some(note) = &basis.note { (note) " " }
            @if !basis.command.is_empty() { "Again: " code { (basis.command) } }
        }
    }
}

/// A figure's value in its unit.
pub(crate) fn value(figure: &Figure) -> String {
    write_value(figure.value, figure.unit)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a u64 holds")]
fn write_value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => crate::percent(value),
        Unit::Millis if value.is_finite() => crate::duration(value.max(0.0) as u64),
        Unit::Bytes if value.is_finite() => crate::bytes(value.max(0.0) as u64),
        Unit::Count | Unit::Plain | Unit::Millis | Unit::Bytes => crate::number(value),
    }
}

fn interval(figure: &Figure) -> String {
    figure.interval.as_ref().map_or_else(String::new, |interval| {
        format!(
            "{} to {} ({}, {})",
            write_value(interval.low, figure.unit),
            write_value(interval.high, figure.unit),
            crate::percent(interval.level),
            interval.method
        )
    })
}
