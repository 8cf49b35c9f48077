//! How many lines of the log are about single exchanges.
//!
//! Every exchange is in the record and counted. A line in the log is for those somebody may want to look at; whoever
//! attacks decides how many these are, so that they are bounded: writing them costs more than serving an exchange, and
//! a disk full of them would cost more than that.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use mantlet_vocab::Millis;

/// Lines about single exchanges in one second.
const EACH_SECOND: u64 = 50;

/// Counts the lines of the second.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    second: AtomicU64,
    written: AtomicU64,
    left_out: AtomicU64,
}

impl Lines {
    /// Whether another line may be written now; with it, how many were left out since one last was.
    pub(crate) fn another(&self, now: Millis) -> Option<u64> {
        let second = now.0 / 1_000;
        // A clock that is set back begins a second too.
        if self.second.swap(second, Relaxed) != second {
            self.written.store(0, Relaxed);
        }
        if self.written.fetch_add(1, Relaxed) >= EACH_SECOND {
            self.left_out.fetch_add(1, Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_and_told_of() {
        let lines = Lines::default();
        let written = (0..10_000).filter(|_| lines.another(Millis(5_000)) == Some(0)).count();
        assert_eq!(written as u64, EACH_SECOND);
        assert_eq!(lines.another(Millis(5_999)), None);
        assert_eq!(lines.another(Millis(6_000)), Some(10_001 - EACH_SECOND));
        assert_eq!(lines.another(Millis(6_001)), Some(0));
    }
}
