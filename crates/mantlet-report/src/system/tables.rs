//! The table half of a system report.

use mantlet_vocab::{Coverage, Gap, Verdict};
use maud::{Markup, html};

use super::data::{Figure, NamedExamination, Outcome, ProbeRow, SeedTable, SystemReport, Tone};
use super::pictures::Section;
use super::{basis, interval, value};
use crate::words::{count, plural};

impl Outcome {
    /// The words used in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hit => "worked",
            Self::Miss => "did not work",
            Self::Undecided => "undecided",
            Self::Error => "failed to run",
            Self::NotExamined => "not examined",
        }
    }
}

/// The table sections that have content, in reading order.
pub(super) fn sections(report: &SystemReport) -> Vec<Section> {
    let mut sections = Vec::new();
    if !report.seeds.is_empty() {
        sections.push((
            "seeds",
            "Detection, seed by seed",
            html! { @for table in &report.seeds { (seeds(table)) } },
        ));
    }
    if !report.probes.is_empty() {
        sections.push(("probes", "Every probe", probes(&report.probes)));
    }
    if !report.examinations.is_empty() {
        let markup = html! { @for one in &report.examinations { (examination(one, report)) } };
        sections.push(("take-in", "What was taken in", markup));
    }
    let figures: Vec<&Figure> = report
        .probes
        .iter()
        .flat_map(|probe| &probe.figures)
        .chain(report.membership.iter().flat_map(|roc| &roc.figures))
        .chain(&report.figures)
        .collect();
    if !figures.is_empty() {
        sections.push(("figures", "Every figure, and how to get it again", self::figures(&figures)));
    }
    if !report.gaps.is_empty() {
        sections.push(("gaps", "What was not examined", gaps(&report.gaps)));
    }
    sections
}

fn seeds(table: &SeedTable) -> Markup {
    let held = table.rows.iter().filter(|row| row.held).count();
    html! {
        div.panel {
            h3 { (table.title) }
            p { (table.sentence) }
            div.scroll tabindex="0" role="group" aria-label=(table.title) {
                table {
                    thead { tr {
                        th scope="col" { "Seed" }
                        @for column in &table.columns { th scope="col" { (column) } }
                        th scope="col" { "Held" }
                    } }
                    tbody {
                        @for row in &table.rows {
                            tr {
                                th scope="row" { (row.seed) }
                                @for cell in &row.cells { td { (cell) } }
                                td { @if row.held { span.tag.tone-good { "yes" } } @else { span.tag.tone-bad { "no" } } }
                            }
                        }
                    }
                }
            }
            p.small { "Held on " (held) " of " (plural(table.rows.len(), "seed")) "." }
            (basis(&table.basis))
        }
    }
}

fn probes(rows: &[ProbeRow]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Every probe" {
            table {
                thead { tr { th scope="col" { "Probe" } th scope="col" { "Model" } th scope="col" { "Attack" } th scope="col" { "What it means" } } }
                tbody {
                    @for row in rows {
                        tr {
                            th scope="row" { (row.title) br; code { (row.name) }
                                @if !row.ids.is_empty() { br; span.small.quiet { (row.ids.join(", ")) } } }
                            td { (row.model) }
                            td { span.tag.(row.tone.class()) { (row.outcome.word()) } }
                            td {
                                (row.sentence)
                                @if !row.spent.is_empty() { br; span.small.quiet { (row.spent) } }
                                @if let Some(gap) = &row.gap { br; span.quiet { (gap.why) ". " (gap.remedy) } }
                            }
                        }
                    }
                }
            }
        }
        p.small.quiet { "For what a probe does and what to do about it: " code { "mantlet explain NAME" } "." }
    }
}

fn examination(named: &NamedExamination, report: &SystemReport) -> Markup {
    let examination = &named.examination;
    let (word, tone) = match examination.verdict(report.threshold) {
        Verdict::Clean => ("clean", Tone::Good),
        Verdict::Found => ("found", Tone::Bad),
        Verdict::NotFullyExamined => ("not fully examined", Tone::Warning),
    };
    html! {
        div.panel {
            h3 { (named.name) " " span.tag.(tone.class()) { (word) } }
            @if examination.artifacts.is_empty() { p { "Nothing was examined." } } @else {
                div.scroll tabindex="0" role="group" aria-label={ "Artifacts: " (named.name) } {
                    table {
                        thead { tr { th scope="col" { "File" } th scope="col" { "Recognised as" } th.num scope="col" { "Size" } th scope="col" { "Examined" } } }
                        tbody {
                            @for artifact in &examination.artifacts {
                                tr {
                                    th scope="row" { (artifact.path) }
                                    td { (artifact.formats.join(", ")) }
                                    td.num { (crate::bytes(artifact.size)) }
                                    td { @match &artifact.coverage {
                                        Coverage::Complete => "all of it",
                                        Coverage::Partial { gaps } => { "not: " @for gap in gaps.iter().take(20) { (gap.what) " (" (gap.why) ") " } }
                                    } }
                                }
                            }
                        }
                    }
                }
            }
            (crate::examination::finding_list(&examination.findings))
            @if !examination.gaps.is_empty() { (gaps(&examination.gaps)) }
            @if !named.command.is_empty() { p.basis { "Again: " code { (named.command) } } }
        }
    }
}

fn figures(figures: &[&Figure]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Every figure" {
            table {
                thead { tr {
                    th scope="col" { "Figure" } th.num scope="col" { "Value" } th scope="col" { "Interval" }
                    th scope="col" { "n" } th scope="col" { "Seed" } th scope="col" { "Again" }
                } }
                tbody {
                    @for figure in figures {
                        tr {
                            th scope="row" { (figure.name) @if let Some(note) = &figure.basis.note { br; span.small.quiet { (note) } } }
                            td.num { (value(figure)) }
                            td { (interval(figure)) }
                            td { @if figure.basis.n > 0 { (count(figure.basis.n)) " " (figure.basis.of) } }
                            td { (figure.basis.seeds.iter().take(12).map(u64::to_string).collect::<Vec<_>>().join(", ")) }
                            td { @if !figure.basis.command.is_empty() { code { (figure.basis.command) } } }
                        }
                    }
                }
            }
        }
    }
}

fn gaps(gaps: &[Gap]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Not examined" {
            table {
                thead { tr { th scope="col" { "Not examined" } th scope="col" { "Why" } th scope="col" { "What would let it be" } } }
                tbody { @for gap in gaps { tr { th scope="row" { (gap.what) } td { (gap.why) } td { (gap.remedy) } } } }
            }
        }
    }
}
