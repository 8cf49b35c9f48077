//! What a model says about itself: descriptions and properties, at every node if an exporter likes.

use super::walk::Walk;
use crate::jinja;
use crate::metadata::{Text, hidden};

/// Texts that are kept whatever they are, and as many again that are more than words.
const MAX_TEXTS: usize = 256;
/// Bytes of texts beyond those that are searched, and in which pieces.
pub(super) const MAX_SEARCHED: u64 = 64 << 20;
const PIECE: u64 = 8 << 10;

impl Walk<'_> {
    /// Keeps a text of which the beginning is given, with its place and length.
    pub(super) fn says(&mut self, key: &str, text: &str, at: u64, len: u64) {
        if text.is_empty() {
            return;
        }
        let room = self.facts.texts.len();
        // Exporters write a text or two at every node; of many, those that are more than words are kept.
        if room < MAX_TEXTS || self.does_something(key, text, at, len) && room < 2 * MAX_TEXTS {
            self.facts.texts.push((Text::new(key, text), at, len));
        } else if self.does_something(key, text, at, len) {
            self.limit("more of its texts are templates or hide something than are told".into());
        }
    }

    /// Whether a text, of which the beginning is given, is a template or something in another form.
    fn does_something(&mut self, key: &str, text: &str, at: u64, len: u64) -> bool {
        if key.contains("template") || jinja::has_tags(text) || hidden(text.as_bytes()).is_some() {
            return true;
        }
        let (back, end) = (self.window.offset(), at.saturating_add(len));
        let (mut from, mut found) = (at.saturating_add(text.len() as u64).saturating_sub(1), false);
        while from.saturating_add(1) < end && !found {
            let count = (end - from).min(PIECE);
            if self.searched < count {
                self.limit(format!("only the first {MAX_SEARCHED} bytes of its texts are examined"));
                break;
            }
            self.searched -= count;
            self.window.seek(from);
            let Some(bytes) = self.window.take(count as usize) else { break };
            found = [b"{{", b"{%"].iter().any(|tag| memchr::memmem::find(bytes, *tag).is_some());
            from += count - 1;
        }
        self.window.seek(back);
        found
    }
}
