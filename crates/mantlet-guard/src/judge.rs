//! Judges of text that no pattern can replace, asked window by window: toxicity, groundedness, a topic.
//!
//! A judge may be slow, full, wrong or broken; what then happens is its rule's choice. While a reply is being written a
//! judge sees windows of it, and says how much may be released before it has judged: its release lag.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mantlet_vocab::{About, Kind, Signal};

/// How a rule failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It said it could not.
    Error,
    /// It panicked.
    Panic,
    /// It took longer than it may.
    Timeout,
    /// It had no room.
    Overload,
    /// A file it needs is not there.
    Missing,
}

impl Failure {
    /// The word used in records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Overload => "overload",
            Self::Missing => "missing",
        }
    }
}

/// Judges windows of text. Implementations that ask another process keep their own time limit and say
/// [`Failure::Timeout`] when it is over.
pub trait WindowJudge: Send + Sync {
    /// What it calls itself; the rule under which policies name it.
    fn about(&self) -> &'static About;

    /// The most bytes it is shown at once. Windows overlap by half.
    fn window(&self) -> usize;

    /// Bytes of a reply that may be released before it has judged them; 0 holds everything back until then.
    fn lag(&self) -> usize;

    /// Judges a window.
    ///
    /// # Errors
    /// How it failed.
    fn judge(&self, kind: Kind, window: &str) -> Result<Option<Signal>, Failure>;
}

/// Asks, and takes a panic for what it is.
pub(crate) fn ask(judge: &dyn WindowJudge, kind: Kind, window: &str) -> Result<Option<Signal>, Failure> {
    catch_unwind(AssertUnwindSafe(|| judge.judge(kind, window))).unwrap_or(Err(Failure::Panic))
}
