//! Turns findings, probes and incidents into words on a screen, SARIF, and pages with pictures.
//!
//! Only this crate words results: rooms and engines hand over values. It is storey 1 of the house, so the
//! time on a page, the version of the program and the command that was run all come in as arguments.
//!
//! Plots are drawn by the small [`svg`] module here. Chart crates draw with fixed colours; a page that is
//! light or dark by the reader's preference needs every stroke to name a CSS variable instead, a caption
//! that a screen reader can speak, and tooltips that work without script.

mod examination;
mod junit;
mod page;
pub mod svg;
mod system;
mod words;

pub use examination::{Format, JSON_VERSION, Style, cyclonedx, examination, findings, pictures};
pub use junit::{JunitCase, JunitOutcome, junit};
pub use page::STYLE;
pub use system::{
    Admission, Agreement, Answers, Basis, EvasionGrid, EvasionItem, EventKind, ExtractionCurve, Field,
    Figure, HoldCurve, HoldLine, IncidentStory, Input, Interval, MembershipRoc, ModelCard, NamedExamination,
    NextStep, Outcome, Passport, PinnedCase, ProbeRow, RecoveredTrigger, SeedRow, SeedTable, StepRow,
    SystemReport, TimelineEvent, Tone, TriggerPanel, Unit, VerdictBlock, html, input, sections,
};
pub use words::{bytes, clean_line, count, duration, number, percent, prose, sentence};
