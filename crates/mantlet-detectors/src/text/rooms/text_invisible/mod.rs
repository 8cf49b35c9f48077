//! Text that nobody sees is hidden between what is seen.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use crate::text::view::is_invisible;

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "text-invisible",
    title: "text that nobody sees is hidden between what is seen",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0068", "AML.T0051"],
    owasp: &["LLM01:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A run from which characters without a shape are no accident: joiners and emoji need at most three in a row.
const RUN: usize = 8;
/// Tag characters have no use but in flags, which begin with a black flag.
const TAGS: usize = 3;
/// Variation selectors follow a character one at a time.
const SELECTORS: usize = 3;
/// The longest run reported as one.
const LONGEST: usize = 1024;

/// A run of characters that nobody sees, so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Unseen {
    /// Where it begins.
    start: usize,
    count: usize,
    tags: usize,
    selectors: usize,
    flag: bool,
    after_flag: bool,
    /// The run was reported up to here, and goes on.
    reported: bool,
}

impl Unseen {
    /// Where a run is open that could still become a hit.
    pub(crate) fn open(&self) -> Option<usize> {
        (self.count > 0).then_some(self.start)
    }

    /// Reads on; `at` is where `text` begins. Calls `hit` with the range of a run that is over.
    pub(crate) fn feed(&mut self, text: &str, at: usize, hit: &mut impl FnMut(usize, usize, f64)) {
        if text.is_ascii() {
            if !text.is_empty() {
                self.end(at, hit);
                self.flag = false;
            }
            return;
        }
        for (offset, c) in text.char_indices() {
            let here = at + offset;
            // An override turns the order of letters round: what is read is not what is written.
            if matches!(c, '\u{202d}' | '\u{202e}') {
                self.end(here, hit);
                hit(here, here + c.len_utf8(), 1.0);
                continue;
            }
            if !is_invisible(c) {
                self.end(here, hit);
                self.flag = c == '\u{1f3f4}';
                continue;
            }
            if self.count == 0 {
                *self =
                    Self { start: here, after_flag: self.flag, reported: self.reported, ..Self::default() };
            }
            self.count += 1;
            self.tags += usize::from(matches!(c, '\u{e0000}'..='\u{e007f}'));
            self.selectors += usize::from(matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'));
            if self.count == LONGEST {
                self.end(here + c.len_utf8(), hit);
                self.reported = true;
            }
        }
    }

    /// The run, if any, is over at `at`.
    pub(crate) fn end(&mut self, at: usize, hit: &mut impl FnMut(usize, usize, f64)) {
        let flag = self.after_flag && self.tags <= 7;
        let many = self.count >= RUN || (self.tags >= TAGS && !flag) || self.selectors >= SELECTORS;
        if self.count > 0 && ((many && !flag) || self.reported) {
            #[expect(clippy::cast_precision_loss, reason = "at most 1024")]
            let score = 1.0 + self.count.max(1) as f64 / RUN as f64 * if self.tags > 0 { 2.0 } else { 0.5 };
            hit(self.start, at, score.min(4.0));
        }
        *self = Self::default();
    }
}
