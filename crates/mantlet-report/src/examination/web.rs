//! One self-contained page for an examination, and the finding list that other pages share.

use mantlet_vocab::{Examination, Finding, Severity, Verdict};
use maud::{Markup, html};

use super::{Style, all_gaps, summary};
use crate::page::page;
use crate::words::clean_line;

const CSS: &str = include_str!("../system/report.css");

pub(super) fn write(examination: &Examination, style: Style<'_>) -> String {
    let verdict = examination.verdict(style.threshold);
    let (tone, sign) = match verdict {
        Verdict::Clean => ("tone-good", "✓"),
        Verdict::Found => ("tone-bad", "✕"),
        Verdict::NotFullyExamined => ("tone-warning", "!"),
    };
    let body = html! {
        a.skip href="#verdict" { "Skip to the verdict" }
        header.masthead { p.kicker { "mantlet " (style.version) " · examination" } h1 { "What was taken in" } }
        main {
            section.verdict.(tone) id="verdict" aria-labelledby="verdict-title" {
                span.sign aria-hidden="true" { (sign) }
                div { h2 id="verdict-title" { (capital(verdict.word())) } p { (summary(examination)) "." } }
            }
            @if !examination.findings.is_empty() { section aria-label="Findings" { (finding_list(&examination.findings)) } }
            (gaps(examination))
            section {
                h2 { "Artifacts" }
                div.scroll { table {
                    thead { tr { th scope="col" { "File" } th scope="col" { "Recognised as" } th.num scope="col" { "Size" } th scope="col" { "SHA-256" } } }
                    tbody { @for artifact in &examination.artifacts { tr {
                        th scope="row" { (clean_line(&artifact.path)) }
                        td { (clean_line(&artifact.formats.join(", "))) }
                        td.num { (crate::bytes(artifact.size)) }
                        td { @match artifact.digest { Some(digest) => code { (digest.hex()) }, None => "not read to the end" } }
                    } } }
                } }
            }
        }
    };
    page(&format!("Examination: {}", verdict.word()), CSS, &body)
}

/// What was not examined, as a section; nothing when all was.
fn gaps(examination: &Examination) -> Markup {
    let gaps = all_gaps(examination);
    html! {
        @if !gaps.is_empty() {
            section {
                h2 { "What was not examined" }
                div.scroll tabindex="0" role="group" aria-label="What was not examined" { table {
                    thead { tr { th scope="col" { "What" } th scope="col" { "Why" } th scope="col" { "Remedy" } } }
                    tbody { @for gap in &gaps { tr {
                        th scope="row" { (clean_line(&gap.what)) } td { (clean_line(&gap.why)) } td { (clean_line(&gap.remedy)) }
                    } } }
                } }
            }
        }
    }
}

/// One sentence, the findings with their pictures, and what was not examined, for pages around them.
#[must_use]
pub fn findings(examination: &Examination) -> Markup {
    html! {
        p { (summary(examination)) "." }
        @if !examination.findings.is_empty() {
            section aria-labelledby="findings-title" { h2 id="findings-title" { "Findings" } (finding_list(&examination.findings)) }
        }
        (gaps(examination))
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

pub(crate) const fn tone_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Malicious => "tone-bad",
        Severity::Suspicious => "tone-warning",
        Severity::Note => "tone-neutral",
    }
}

/// Findings as a list of small articles, in report order.
#[must_use]
pub(crate) fn finding_list(findings: &[Finding]) -> Markup {
    html! {
        @for finding in findings {
            article.panel {
                h3 { span.tag.(tone_of(finding.severity)) { (finding.severity.word()) } " " (clean_line(&finding.title)) }
                p { (clean_line(&finding.message)) " — " code { (clean_line(&finding.place.to_string())) } }
                (super::picture::pictures(&finding.title, &finding.facts))
                @if !finding.trace.is_empty() {
                    pre tabindex="0" role="group" aria-label="Decoded trace" { code { @for line in &finding.trace { (clean_line(line)) "\n" } } }
                }
                dl.facts {
                    dt { "Why it matters" } dd { (clean_line(&finding.why)) }
                    dt { "What to do" } dd { (clean_line(&finding.help)) }
                    dt { "How sure" } dd { (finding.confidence.word()) }
                }
                p.basis {
                    code { "mantlet explain " (clean_line(&finding.name)) }
                    @for id in finding.atlas.iter().chain(&finding.owasp) { " " span title=(mantlet_vocab::catalogue::title(id).unwrap_or("")) { (id) } }
                }
            }
        }
    }
}
