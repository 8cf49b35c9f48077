//! Exit codes, the same for every command: 0 clean, 1 found, 2 not fully examined, 3 usage or
//! configuration, 4 the run itself failed.

use std::process::ExitCode;

use mantlet_vocab::Verdict;

use crate::config::ConfigError;

/// Wrong use of the command line, said where clap cannot.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The code for a verdict.
pub fn verdict(verdict: Verdict) -> ExitCode {
    ExitCode::from(verdict.exit_code())
}

/// The code for a failure.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    let usage = error.chain().any(|cause| cause.is::<ConfigError>() || cause.is::<Usage>());
    ExitCode::from(if usage { 3 } else { 4 })
}
