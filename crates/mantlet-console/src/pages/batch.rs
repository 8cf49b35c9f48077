//! One batch of training data: the rows most worth a look, group by group, a decision about each, and about the batch.
//!
//! Long because a row has as many faces as a person may decide about.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::response::{Html, Redirect};
use mantlet_access::Act;
use mantlet_registry::batch::{Batch, BatchState};
use mantlet_registry::rows::{RowRuled, RowRuling, Sheet, SheetRow};
use mantlet_store::Seen;
use mantlet_vocab::{Digest, Millis};
use maud::{Markup, html};

use super::batches::tone;
use super::fault::Fault;
use super::frame::{self, At, token};
use super::{path, when};
use crate::server::Shared;
use crate::session::{Fields, Who};

/// Labels offered for a row beside the one that is suggested.
const OFFERED: usize = 24;

/// The batch, and the ledger's word about retraining.
pub(crate) async fn find(
    shared: &Shared,
    system: &str,
    batch: &str,
) -> Result<(Batch, Option<String>), Fault> {
    let ledgers = shared.ports.batches.ledgers().await?;
    let ledger = ledgers.of(system);
    let found = ledger.and_then(|ledger| Some((ledger.batches.get(batch)?.clone(), ledger.frozen.clone())));
    found.ok_or_else(|| Fault::Missing(format!("batch {batch} of {system}")))
}

pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path((system, name)): Path<(String, String)>,
) -> Result<Html<String>, Fault> {
    who.must(Act::SeeExchanges)?;
    let (batch, frozen) = find(&shared, &system, &name).await?;
    let sheet = shared.ports.batches.sheet(&system, &batch).await?;
    let now = shared.now();
    let here = path(&["data", &system, &name]);
    let body = html! {
        p.crumbs { a href="/data" { "Training data" } " / " (batch.name) }
        h1 { (question(&batch)) }
        p.tags {
            span.tag.(tone(batch.state)) { (batch.state.word()) }
            @for name in &batch.findings { span.tag.tone-neutral { (name) } }
        }
        @if let Some(why) = &frozen { p.notice.tone-bad { "Retraining is frozen: " (why) } }
        (facts(&batch, &system, now))
        @match &sheet {
            Some(sheet) => { (rows(&who, &batch, sheet, &here, now)) }
            None if open(&batch) => {
                p.notice.tone-warning { "Its gate has not listed rows of these bytes. " code { "mantlet data gate " (batch.name) } " does." }
            }
            None => {}
        }
        (verdict(&who, &batch, &here))
    };
    Ok(frame::page(&who, At::Data, &batch.name, &body))
}

const fn open(batch: &Batch) -> bool {
    matches!(batch.state, BatchState::Held | BatchState::Quarantined)
}

fn question(batch: &Batch) -> String {
    match batch.state {
        BatchState::Held => format!("May a model learn from {}?", batch.name),
        BatchState::Quarantined => format!("{} waits for its gate", batch.name),
        BatchState::Passed => format!("{} passed its gate", batch.name),
        BatchState::Approved => format!("{} was let through", batch.name),
        BatchState::Rejected => format!("{} was thrown out", batch.name),
        BatchState::Withdrawn => format!("{} was taken back", batch.name),
    }
}

fn facts(batch: &Batch, system: &str, now: Millis) -> Markup {
    let (out, other) = batch.rulings.changes();
    html! {
        dl.facts {
            dt { "System" } dd { a href=(path(&["systems", system])) { (system) } }
            dt { "Feed" } dd { (batch.feed) }
            dt { "Delivered" } dd { (when(batch.at, now)) " by " (batch.by) }
            @if let Some(parent) = &batch.parent { dt { "After" } dd { a href=(path(&["data", system, parent])) { (parent) } } }
            @if let Some(signer) = &batch.signer { dt { "Signed by" } dd { (signer) } }
            dt { "Bytes" } dd { code { (batch.digest.to_string()) } }
            @if !batch.rulings.is_empty() {
                dt { "Rows" } dd { (batch.rulings.len()) " decided about: " (out) " left out, " (other) " with another label" }
            }
            @if let Some(back) = &batch.withdrawn { dt { "Taken back" } dd { (when(back.at, now)) " by " (back.by) ": " (back.note) } }
            @if !batch.approvals.is_empty() { dt { "Let through by" } dd { (batch.approvals.join(", ")) } }
            @if open(batch) {
                dt { "Needs" } dd {
                    @match batch.eyes() {
                        0 | 1 => { "one person other than " (batch.by) }
                        2 => { "two people, neither of them " (batch.by) }
                        eyes => { (eyes) " people, none of them " (batch.by) }
                    }
                }
            }
        }
    }
}

/// Whether this person may decide about this batch, and why not.
fn hindrance(who: &Who, batch: &Batch) -> Option<String> {
    let own = || "You delivered this batch; another person decides about it.".to_owned();
    withholds(who).or_else(|| (batch.by == who.name()).then(own))
}

fn rows(who: &Who, batch: &Batch, sheet: &Sheet, here: &str, now: Millis) -> Markup {
    let decides = open(batch) && hindrance(who, batch).is_none();
    let table = groups(batch, sheet, decides);
    html! {
        section aria-labelledby="rows-title" {
            h2 id="rows-title" { "Rows most worth a look" }
            p.quiet {
                (mantlet_report::count(sheet.rows.len() as u64)) " of " (mantlet_report::count(sheet.of))
                " rows, chosen by the gate " (when(sheet.at, now)) ". What stands together was found for the same reason."
            }
            @if decides {
                form method="post" action={ (here) "/rows" } {
                    (token(who))
                    input type="hidden" name="digest" value=(batch.digest.to_string());
                    input type="hidden" name="sheet" value=(sheet.at.0);
                    (table)
                    label for="rows-note" { "Why (kept in the audit log)" }
                    textarea id="rows-note" name="note" rows="2" maxlength="1000" required {}
                    button { "Keep decisions about rows" }
                    p.small.quiet { "They count once the batch is let through. Whoever let it through before has to do so again." }
                }
            } @else { (table) }
            @if !sheet.gaps.is_empty() {
                details { summary { "Not on this list" } ul { @for gap in &sheet.gaps { li { (gap) } } } }
            }
        }
    }
}

fn groups(batch: &Batch, sheet: &Sheet, decides: bool) -> Markup {
    html! {
        @for (at, (group, rows)) in sheet.groups().iter().enumerate() {
            @let suggests = rows.iter().any(|row| row.suggested.is_some());
            @let weighs = rows.iter().any(|row| row.chance.is_some());
            @let pictured = rows.iter().any(|row| picture(row).is_some());
            @let undecided = rows.iter().filter(|row| batch.rulings.of(row.row).is_none()).count();
            details open[at < 3] {
                summary id={ "group-" (at) } { (group) ": " (rows.len()) " rows" @if undecided < rows.len() { ", " (rows.len() - undecided) " decided" } }
                @if decides && undecided > 0 {
                    label for={ "all-" (at) } { "All " (undecided) " of these that are not decided about below" }
                    select id={ "all-" (at) } name={ "all-" (at) } {
                        option value="" { "one by one" }
                        option value="keep" { "right as they are" }
                        option value="leave-out" { "leave out" }
                        @if suggests { option value="suggested" { "the suggested label" } }
                    }
                }
                div.scroll tabindex="0" role="group" aria-labelledby={ "group-" (at) } {
                    table {
                        thead { tr {
                            th scope="col" { "Decision" } th scope="col" { "Row" }
                            @if pictured { th scope="col" { "Picture" } }
                            th scope="col" { "Label" }
                            @if suggests { th scope="col" { "Suggested" } }
                            @if weighs { th scope="col" { "Chance it is wrong" } }
                            @for column in &sheet.columns { th scope="col" { (column) } }
                        } }
                        tbody { @for row in rows { (line(batch, sheet, row, [decides, suggests, weighs, pictured])) } }
                    }
                }
            }
        }
    }
}

/// The small PNG of a row; what is no base64 is none.
fn picture(row: &SheetRow) -> Option<&str> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    row.picture.as_deref().filter(|picture| picture.bytes().all(is_base64))
}

fn line(
    batch: &Batch,
    sheet: &Sheet,
    row: &SheetRow,
    [decides, suggests, weighs, pictured]: [bool; 4],
) -> Markup {
    let ruled = batch.rulings.of(row.row);
    let number = row.row + 1;
    let chosen = ruled.map(|(ruling, _)| value(sheet, ruling));
    let is = |own: &str| chosen.as_deref() == Some(own);
    html! {
        tr {
            td {
                @if decides {
                    select name={ "row-" (row.row) } aria-label={ "Decision about row " (number) } {
                        @match ruled {
                            None => option value="" { "not yet" },
                            // A label that is not on the list stays what it is.
                            Some((ruling, _)) if chosen.as_deref() == Some("") => option value="" selected { (words(ruling)) },
                            Some(_) => {}
                        }
                        option value="keep" selected[is("keep")] { "right" }
                        option value="leave-out" selected[is("leave-out")] { "leave out" }
                        @for (at, label) in offered(sheet, row, ruled.map(|(ruling, _)| ruling)) {
                            option value={ "relabel-" (at) } selected[is(&format!("relabel-{at}"))] { "is " (label) }
                        }
                    }
                } @else if let Some((ruling, _)) = ruled { (words(ruling)) }
                @if let Some((_, by)) = ruled { " " span.quiet.small { "by " (by) } }
            }
            td.num { (number) }
            @if pictured { td { @if let Some(picture) = picture(row) {
                img.sample src={ "data:image/png;base64," (picture) } alt={ "picture " (number) };
            } } }
            td { (row.label) }
            @if suggests { td { (row.suggested.as_deref().unwrap_or("")) } }
            @if weighs { td.num { @if let Some(chance) = row.chance { (mantlet_report::percent(chance)) } } }
            @for cell in &row.cells { td { (cell) } }
        }
    }
}

fn words(ruling: &RowRuling) -> String {
    match ruling {
        RowRuling::Keep => "right".to_owned(),
        RowRuling::LeaveOut => "left out".to_owned(),
        RowRuling::Relabel(label) => format!("is {label}"),
    }
}

/// What the form says of a decision.
fn value(sheet: &Sheet, ruling: &RowRuling) -> String {
    match ruling {
        RowRuling::Relabel(label) => {
            let at = sheet.labels.iter().position(|own| own == label);
            at.map_or_else(String::new, |at| format!("relabel-{at}"))
        }
        other => other.word().to_owned(),
    }
}

/// The labels that can be given, with their places: the suggested one first.
fn offered<'a>(
    sheet: &'a Sheet,
    row: &SheetRow,
    ruling: Option<&RowRuling>,
) -> impl Iterator<Item = (usize, &'a String)> {
    let given = match ruling {
        Some(RowRuling::Relabel(label)) => Some(label),
        _ => None,
    };
    let mut places: Vec<usize> = (0..sheet.labels.len())
        .filter(|&at| sheet.labels[at] != row.label || given == Some(&sheet.labels[at]))
        .collect();
    let wanted = |at: &usize| {
        let label = &sheet.labels[*at];
        row.suggested.as_ref() == Some(label) || given == Some(label)
    };
    places.sort_by_key(|at| !wanted(at));
    places.truncate(OFFERED);
    places.into_iter().filter_map(|at| Some((at, sheet.labels.get(at)?)))
}

fn verdict(who: &Who, batch: &Batch, here: &str) -> Markup {
    if batch.state.is_usable() {
        return back(who, batch, here);
    }
    if !open(batch) {
        return html! {};
    }
    if let Some(why) = hindrance(who, batch) {
        return html! { p.notice.tone-warning { (why) } };
    }
    let consents = batch.approvals.iter().any(|by| by == who.name());
    let (out, other) = batch.rulings.changes();
    html! {
        form.panel method="post" action={ (here) "/decide" } {
            (token(who))
            input type="hidden" name="digest" value=(batch.digest.to_string());
            input type="hidden" name="rulings" value=(batch.rulings.digest().map(|digest| digest.to_string()).unwrap_or_default());
            fieldset {
                legend { "The batch as a whole" }
                @if batch.state == BatchState::Quarantined {
                    p { "Nobody lets it through before its gate ran: " code { "mantlet data gate " (batch.name) } }
                } @else if consents {
                    p { "You let it through. Another person has to, too." }
                } @else {
                    label.choice { input type="radio" name="ruling" value="approve" required;
                        span { "A model may learn from it" @if out + other > 0 { ", without the " (out) " rows left out and with the " (other) " labels changed" } }
                    }
                }
                label.choice { input type="radio" name="ruling" value="reject" required; span { "No model learns from it" } }
            }
            label for="note" { "Why (kept in the audit log)" }
            textarea id="note" name="note" rows="2" maxlength="1000" required {}
            button.strong { "Decide" }
        }
    }
}

/// Whether this person may take a batch back, and why not. Who delivered it may: less is learned, never more.
fn withholds(who: &Who) -> Option<String> {
    if !who.is_person() {
        Some("A person decides about training data, no key.".to_owned())
    } else if !who.may(Act::DecideReview) {
        Some("A reviewer decides this. Your role may look.".to_owned())
    } else {
        None
    }
}

fn back(who: &Who, batch: &Batch, here: &str) -> Markup {
    if withholds(who).is_some() {
        return html! {};
    }
    html! {
        form.panel method="post" action={ (here) "/decide" } {
            (token(who))
            input type="hidden" name="digest" value=(batch.digest.to_string());
            input type="hidden" name="ruling" value="withdraw";
            h2 { "Take it back" }
            p { "No model learns from it any more, whatever its gate said. Versions that learned from it stay as they are: hold them back, or train them again without it." }
            label for="note" { "Why (kept in the audit log)" }
            textarea id="note" name="note" rows="2" maxlength="1000" required {}
            button.strong { "Take back " (batch.name) }
        }
    }
}

fn note(fields: &Fields) -> Result<String, Fault> {
    let note: String = fields.get("note").map_or("", |note| note.trim()).chars().take(1_000).collect();
    if note.is_empty() { Err(Fault::Wrong("Say why, for the audit log.".to_owned())) } else { Ok(note) }
}

fn digest(fields: &Fields, name: &str) -> Option<Digest> {
    fields.get(name).and_then(|text| text.parse().ok())
}

/// The batch as this person saw it, when they may decide about it.
fn may(who: &Who, batch: &Batch, fields: &Fields) -> Result<Seen, Fault> {
    who.must(Act::DecideReview)?;
    if let Some(why) = hindrance(who, batch) {
        return Err(Fault::Refused(why));
    }
    let digest = digest(fields, "digest").ok_or(Fault::Stale)?;
    Ok(Seen { digest, rulings: self::digest(fields, "rulings") })
}

pub(crate) async fn rule(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path((system, name)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Redirect, Fault> {
    who.check(&fields)?;
    let (batch, _) = find(&shared, &system, &name).await?;
    let seen = may(&who, &batch, &fields)?;
    let sheet = shared.ports.batches.sheet(&system, &batch).await?;
    let sheet = sheet.ok_or(Fault::Conflict)?;
    // Places of labels are those of the list that was shown.
    if fields.get("sheet").map(String::as_str) != Some(sheet.at.0.to_string().as_str()) {
        return Err(Fault::Conflict);
    }
    let rows = decided(&batch, &sheet, &fields)?;
    let note = note(&fields)?;
    shared.ports.batches.rule(who.name(), &system, &name, seen, rows, &note).await?;
    Ok(Redirect::to(&path(&["data", &system, &name])))
}

/// What the form decides otherwise than it was decided.
fn decided(batch: &Batch, sheet: &Sheet, fields: &Fields) -> Result<Vec<RowRuled>, Fault> {
    let wrong = || Fault::Wrong("Choose one of the decisions offered.".to_owned());
    let mut ruled: BTreeMap<u64, RowRuling> = BTreeMap::new();
    for (at, (_, rows)) in sheet.groups().into_iter().enumerate() {
        let all = fields.get(&format!("all-{at}")).map_or("", String::as_str);
        for row in rows {
            let own = fields.get(&format!("row-{}", row.row)).map_or("", String::as_str);
            // A choice for all is for those that are not decided about.
            if own.is_empty() && batch.rulings.of(row.row).is_some() {
                continue;
            }
            let ruling = match (own, all) {
                ("", "") => continue,
                ("", "suggested") => match &row.suggested {
                    Some(label) => RowRuling::Relabel(label.clone()),
                    None => continue,
                },
                ("keep", _) | ("", "keep") => RowRuling::Keep,
                ("leave-out", _) | ("", "leave-out") => RowRuling::LeaveOut,
                (own, _) => {
                    let at = own.strip_prefix("relabel-").and_then(|at| at.parse::<usize>().ok());
                    let label = at.and_then(|at| sheet.labels.get(at)).ok_or_else(wrong)?;
                    RowRuling::Relabel(label.clone())
                }
            };
            if batch.rulings.of(row.row).map(|(ruling, _)| ruling) != Some(&ruling) {
                ruled.insert(row.row, ruling);
            }
        }
    }
    if ruled.is_empty() {
        return Err(Fault::Wrong("No row was decided about otherwise than before.".to_owned()));
    }
    Ok(ruled.into_iter().map(|(row, ruling)| RowRuled { row, ruling }).collect())
}

pub(crate) async fn decide(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path((system, name)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Redirect, Fault> {
    who.check(&fields)?;
    carry_out(&shared, &who, (&system, &name), &fields).await?;
    Ok(Redirect::to(&path(&["data", &system, &name])))
}

/// Checks and carries out a decision about a whole batch, for the page and the API.
pub(crate) async fn carry_out(
    shared: &Shared,
    who: &Who,
    (system, name): (&str, &str),
    fields: &Fields,
) -> Result<(), Fault> {
    let (batch, _) = find(shared, system, name).await?;
    if fields.get("ruling").map(String::as_str) == Some("withdraw") {
        who.must(Act::DecideReview)?;
        if let Some(why) = withholds(who) {
            return Err(Fault::Refused(why));
        }
        let seen = Seen { digest: digest(fields, "digest").ok_or(Fault::Stale)?, rulings: None };
        let note = note(fields)?;
        shared.ports.batches.withdraw(who.name(), system, name, seen, &note).await?;
        return Ok(());
    }
    let seen = may(who, &batch, fields)?;
    let approve = match fields.get("ruling").map(String::as_str) {
        Some("approve") => true,
        Some("reject") => false,
        _ => return Err(Fault::Wrong("Choose one of the decisions offered.".to_owned())),
    };
    let note = note(fields)?;
    shared.ports.batches.decide(who.name(), system, name, seen, approve, &note).await?;
    Ok(())
}
