//! What was asked and answered, in order, so that a killed campaign goes on where it was.

use mantlet_vocab::Digest;
use serde::{Deserialize, Serialize};

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "entry")]
pub enum Entry {
    /// The first line: which campaign this is the journal of.
    Begin {
        /// Digest of attack, configuration, seed, material and target name.
        campaign: Digest,
    },
    /// A batch of rows was answered.
    Answered {
        /// `labels`, `scores` or `gradient`.
        ask: String,
        /// Digest of the rows asked.
        rows: Digest,
        /// How many rows the target was asked about; what is remembered of it is not among them.
        count: usize,
        /// Tokens billed.
        #[serde(default, skip_serializing_if = "none")]
        tokens: u64,
        /// Labels, when labels were asked.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        labels: Vec<usize>,
        /// Scores as hexadecimal bits, when scores were asked. Gradients are not journalled: they come from a
        /// model in process and are computed again.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        scores: String,
        /// Milliseconds spent so far.
        spent_ms: u64,
    },
    /// A batch was refused.
    Refused {
        /// How many rows were in it.
        count: usize,
        /// The status.
        status: u16,
        /// How long the target said to stay away, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// Milliseconds spent so far.
        spent_ms: u64,
    },
    /// A batch failed.
    Failed {
        /// How many rows were in it.
        count: usize,
        /// What happened.
        reason: String,
        /// Tokens billed, or the most it may have cost where that is not known.
        #[serde(default, skip_serializing_if = "none")]
        tokens: u64,
        /// Milliseconds spent so far.
        spent_ms: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn none(count: &u64) -> bool {
    *count == 0
}

impl Entry {
    /// The rows asked in this line's batch; 0 for the first line.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        match self {
            Self::Begin { .. } => 0,
            Self::Answered { count, .. } | Self::Refused { count, .. } | Self::Failed { count, .. } => {
                *count as u64
            }
        }
    }

    /// The tokens of this line's batch.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        match self {
            Self::Begin { .. } | Self::Refused { .. } => 0,
            Self::Answered { tokens, .. } | Self::Failed { tokens, .. } => *tokens,
        }
    }
}

/// A journal that cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {verb} the campaign's journal: {reason}")]
pub struct JournalError {
    /// `read` or `write`.
    pub verb: &'static str,
    /// What happened.
    pub reason: String,
}

/// Where a campaign writes its lines, and finds those of an earlier, interrupted run.
pub trait Journal {
    /// The lines already there, in order.
    ///
    /// # Errors
    /// When they cannot be read.
    fn entries(&mut self) -> Result<Vec<Entry>, JournalError>;

    /// Adds a line; when this returns, the line survives a kill of the process.
    ///
    /// # Errors
    /// When it cannot be written.
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError>;
}

/// A journal in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal(pub Vec<Entry>);

impl Journal for MemoryJournal {
    fn entries(&mut self) -> Result<Vec<Entry>, JournalError> {
        Ok(self.0.clone())
    }
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.0.push(entry.clone());
        Ok(())
    }
}

/// No journal: the campaign cannot be resumed.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn entries(&mut self) -> Result<Vec<Entry>, JournalError> {
        Ok(Vec::new())
    }
    fn append(&mut self, _: &Entry) -> Result<(), JournalError> {
        Ok(())
    }
}
