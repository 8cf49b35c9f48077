//! Weighs findings, gaps and probe figures against a policy, and says in plain words whether a model may
//! serve.
//!
//! [`weigh`] is a pure function: an [`mantlet_vocab::Examination`], the [`ProbeSummary`] of each attack that
//! was run, the system's [`mantlet_vocab::Impact`] and a [`Policy`] go in, an [`Admission`] comes out.
//! Three laws hold for every input: what was not examined never passes; found wins over not examined; and
//! adding a worse finding never improves the verdict.

mod admission;
mod limits;
mod policy;
mod probe;
mod weigh;
mod words;

pub use admission::{Admission, Admit, Reason, ReasonKind};
pub use policy::{EvasionLimit, ExtractionLimit, Gate, MembershipLimit, Norm, Policy, PolicyError};
pub use probe::{Family, ProbeFigure, ProbeSummary, Tally, figure};
pub use weigh::weigh;
