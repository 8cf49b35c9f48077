//! Where the sentences of a text end, told while it is read.

/// Characters of a line from which its end may be no end of a sentence.
const WRAPPED: u32 = 60;

/// Where sentences end.
#[derive(Default)]
pub(super) struct Ends {
    /// After how many words one ends, and whether it asks.
    pub(super) found: Vec<(u32, bool)>,
    /// A sign that ends a sentence if white space follows, and whether it asks.
    open: Option<bool>,
    /// Characters of the line.
    line: u32,
    blank: bool,
}

impl Ends {
    /// So many letters one after another.
    pub(super) fn letters(&mut self, count: usize) {
        self.line = self.line.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.blank = false;
        self.open = None;
    }

    pub(super) fn other(&mut self) {
        self.line += 1;
        self.blank = false;
    }

    pub(super) fn sign(&mut self, c: char) {
        self.other();
        if matches!(c, '.' | ':' | ';' | '?' | '!' | '|') {
            self.open = Some(c == '?');
        }
    }

    /// White space after so many words. A line that is long enough to be wrapped goes on in the next one, unless that
    /// is empty.
    pub(super) fn space(&mut self, c: char, words: u32) {
        if c == '\n' {
            if self.line < WRAPPED || self.blank {
                self.open = self.open.or(Some(false));
            }
            (self.line, self.blank) = (0, true);
        } else {
            self.line += 1;
        }
        self.end(words);
    }

    pub(super) fn end(&mut self, words: u32) {
        if let Some(asks) = self.open.take()
            && words > 0
            && self.found.last().is_none_or(|last| last.0 < words)
        {
            self.found.push((words, asks));
        }
    }
}
