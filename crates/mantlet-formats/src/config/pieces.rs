//! Texts that lie side by side and are one program when they are put together.

use super::Reader;
use crate::metadata::{self, Text, begins};

/// Bytes that are put together: enough for the header of any program.
const JOINED: usize = 2_048;
/// Texts that may begin a program in one file.
const MAX_STARTS: usize = 64;
/// Shorter texts begin nothing.
const SHORT: usize = 6;

/// A text that began like a program in another form, and what came behind it under the same key.
#[derive(Debug)]
struct Start {
    key: String,
    path: String,
    text: String,
    pieces: u32,
}

/// The texts of a file in their order.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    open: Vec<Start>,
    starts: usize,
}

impl Reader {
    /// Looks at a text as a piece of a program.
    pub(super) fn piece(&mut self, key: &str, text: &str) {
        if self.pieces.open.is_empty() && (text.len() < SHORT || !begins(text)) {
            return;
        }
        let mut done = Vec::new();
        for (at, start) in self.pieces.open.iter_mut().enumerate() {
            if start.key != key {
                continue;
            }
            let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte));
            if plain && start.text.len() < JOINED {
                start.text.push_str(text);
                start.pieces += 1;
            }
            if !plain || start.text.len() >= JOINED {
                done.push(at);
            }
        }
        for at in done.into_iter().rev() {
            let start = self.pieces.open.remove(at);
            self.tell(start);
        }
        if text.len() >= SHORT && begins(text) && self.pieces.starts < MAX_STARTS {
            self.pieces.starts += 1;
            let path = self.path();
            self.pieces.open.push(Start { key: key.to_owned(), path, text: text.to_owned(), pieces: 1 });
        }
    }

    /// Tells what began and was not told yet.
    pub(super) fn all_pieces(&mut self) {
        for start in std::mem::take(&mut self.pieces.open) {
            self.tell(start);
        }
    }

    fn tell(&mut self, start: Start) {
        // A text of one piece is looked at by itself.
        let hides = metadata::hidden(start.text.as_bytes()).filter(|_| start.pieces > 1);
        if hides.is_some() && self.config.hidden.len() < 16 {
            let mut text = Text::new(&start.path, &start.text);
            text.hides = hides;
            self.config.hidden.push(text);
        }
    }
}
