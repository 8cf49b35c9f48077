//! The symbolic machine: every opcode of protocols 0 to 5, with stack, marks, memo and frames as the C
//! unpickler has them. Nothing is executed; calls are judged where a load would make them.

use std::collections::BTreeMap;

use mantlet_vocab::Source;

use super::effect::Effect;
use super::facts::{Defect, Fault, Pickle};
use super::memo::Memo;
use super::text;
use super::value::{Heap, Node, Shape, Val, View};
use crate::Bounds;
use crate::window::Window;

pub(super) struct Mark {
    pub(super) base: usize,
    pub(super) omitted: u64,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Stopped,
    Broken,
}

/// Plain values in one marked region beyond this many are dropped from the middle.
pub(super) const REGION: usize = 1 << 16;
/// Bytes of one name that are read.
const MAX_NAME: usize = 4_096;
pub(super) const MAX_STACK: usize = 2 << 20;
pub(super) const MAX_MARKS: usize = 200_000;
pub(super) const TORCH_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

pub(crate) struct Machine<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) window: Window<'a>,
    pub(super) heap: Heap,
    pub(super) stack: Vec<Val>,
    pub(super) marks: Vec<Mark>,
    pub(super) trim_at: usize,
    pub(super) memo: Memo,
    pub(super) facts: Pickle,
    pub(super) max_facts: usize,
    pub(super) extensions: BTreeMap<i64, Val>,
    pub(super) frame_end: u64,
    /// Whether raw arrays follow joblib's wrappers, as `joblib.load` reads them.
    pub(super) follow_arrays: bool,
    pub(super) depth: u8,
    used: [bool; 256],
}

impl<'a> Machine<'a> {
    pub(crate) fn new(source: &'a dyn Source, bounds: &Bounds, follow_arrays: bool) -> Self {
        Self {
            source,
            window: Window::new(source, 0),
            heap: Heap::judging_by(bounds.effects),
            stack: Vec::new(),
            marks: Vec::new(),
            trim_at: REGION,
            memo: Memo::default(),
            facts: Pickle::default(),
            max_facts: bounds.max_facts,
            extensions: BTreeMap::new(),
            frame_end: u64::MAX,
            follow_arrays,
            depth: 0,
            used: [false; 256],
        }
    }

    /// The opcodes met so far, as a set of 256 bits.
    pub(crate) fn used(&self) -> [u64; 4] {
        let mut bits = [0; 4];
        for (code, _) in self.used.iter().enumerate().filter(|(_, used)| **used) {
            bits[code >> 6] |= 1 << (code & 63);
        }
        bits
    }

    pub(super) fn limit(&mut self, what: &str) {
        if !self.facts.limits.iter().any(|known| known == what) {
            self.facts.limits.push(what.to_owned());
        }
    }

    pub(super) fn defect(&mut self, fault: Fault, offset: u64) {
        if self.facts.defects.len() < self.max_facts {
            self.facts.defects.push(Defect { fault, offset });
        }
    }

    /// Runs one pickle from `offset`; returns how it ended. The window is left after its last opcode.
    pub(crate) fn stream(&mut self, offset: u64) -> Ending {
        self.window.seek(offset);
        self.stack.clear();
        self.marks.clear();
        self.trim_at = REGION;
        self.memo = Memo::default();
        self.frame_end = u64::MAX;
        self.facts.streams += 1;
        loop {
            let at = self.window.offset();
            let Some(opcode) = self.window.byte() else {
                if let Some(error) = self.window.failed.clone() {
                    self.limit(&error.to_string());
                }
                self.defect(Fault::Truncated, at);
                return Ending::Broken;
            };
            self.facts.opcodes += 1;
            self.used[usize::from(opcode)] = true;
            match self.step(opcode, at, offset) {
                Ok(false) => {}
                Ok(true) => {
                    self.facts.stopped += 1;
                    return Ending::Stopped;
                }
                Err(fault) => {
                    if self.window.overlong {
                        self.limit("a line is longer than any real pickle has");
                    }
                    if let Some(fault) = fault {
                        self.defect(fault, at);
                    }
                    return Ending::Broken;
                }
            }
            let now = self.window.offset();
            if now >= self.frame_end {
                if now > self.frame_end && at < self.frame_end {
                    self.defect(Fault::FrameStraddled, at);
                }
                self.frame_end = u64::MAX;
            }
        }
    }

    /// Runs a pickle that sits between the opcodes of this one, with its own stack and memo.
    pub(super) fn inner_stream(&mut self) -> Ending {
        if self.depth >= 16 {
            self.limit("pickles inside arrays are nested deeper than 16");
            return Ending::Broken;
        }
        let (stack, marks) = (std::mem::take(&mut self.stack), std::mem::take(&mut self.marks));
        let (memo, frame, trim) = (std::mem::take(&mut self.memo), self.frame_end, self.trim_at);
        self.depth += 1;
        let ending = self.stream(self.window.offset());
        self.depth -= 1;
        (self.stack, self.marks, self.memo, self.frame_end, self.trim_at) = (stack, marks, memo, frame, trim);
        ending
    }

    #[inline]
    pub(super) fn fence(&self) -> usize {
        self.marks.last().map_or(0, |mark| mark.base)
    }

    #[inline]
    pub(super) fn push(&mut self, value: Val) {
        self.stack.push(value);
        if self.stack.len() >= self.trim_at {
            self.trim();
        }
    }

    /// Drops plain values from the middle of the marked region, so that a tuple of millions stays small.
    #[cold]
    pub(super) fn trim(&mut self) {
        let from = self.fence() + 64;
        let to = self.stack.len() - 1_024;
        let before = self.stack.len();
        if from < to {
            let tail = self.stack.split_off(to);
            let middle = self.stack.split_off(from);
            self.stack.extend(middle.into_iter().filter(|value| !value.is_plain()));
            self.stack.extend(tail);
        }
        if let Some(mark) = self.marks.last_mut() {
            mark.omitted += (before - self.stack.len()) as u64;
        }
        self.trim_at = self.stack.len() + REGION;
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Result<Val, Option<Fault>> {
        if self.stack.len() > self.fence() {
            self.stack.pop().ok_or(Some(Fault::StackUnderflow))
        } else {
            Err(Some(Fault::StackUnderflow))
        }
    }

    #[inline]
    pub(super) fn top(&self) -> Result<Val, Option<Fault>> {
        if self.stack.len() > self.fence() {
            self.stack.last().copied().ok_or(Some(Fault::StackUnderflow))
        } else {
            Err(Some(Fault::StackUnderflow))
        }
    }

    #[inline]
    pub(super) fn mark(&mut self) -> Result<Mark, Option<Fault>> {
        let mark = self.marks.pop().ok_or(Some(Fault::MarkMissing))?;
        self.trim_at = self.fence().max(mark.base) + REGION;
        Ok(mark)
    }

    pub(super) fn marked_tuple(&mut self) -> Result<Val, Option<Fault>> {
        let mark = self.mark()?;
        let value = if mark.omitted > 0 {
            if self.stack[mark.base..].iter().all(|item| item.is_plain()) {
                Val::DROPPED
            } else {
                Val::UNKNOWN
            }
        } else {
            self.heap.tuple(&self.stack[mark.base..])
        };
        self.stack.truncate(mark.base);
        Ok(value)
    }

    pub(super) fn marked_container(&mut self, shape: Shape) -> Result<(), Option<Fault>> {
        let mark = self.mark()?;
        let value = self.heap.container(shape, &self.stack[mark.base..]);
        self.stack.truncate(mark.base);
        self.push(value);
        Ok(())
    }

    /// Puts the marked items into the object below the mark.
    pub(super) fn marked_extend(&mut self, opcode: u8, at: u64) -> Result<(), Option<Fault>> {
        let mark = self.mark()?;
        if mark.base <= self.fence() {
            return Err(Some(Fault::StackUnderflow));
        }
        let target = self.stack[mark.base - 1];
        if self.stack.len() > mark.base || mark.omitted > 0 {
            self.takes_items(opcode, target, at);
        }
        self.heap.extend(target, &self.stack[mark.base..]);
        if opcode == b'u' && matches!(target.view(), View::Instance(_)) {
            let pairs: Vec<Val> = self.stack[mark.base..]
                .chunks_exact(2)
                .filter(|pair| !pair[1].is_plain())
                .flatten()
                .copied()
                .collect();
            self.hooked_items(target, &pairs, at);
        }
        self.named_items(opcode, mark.base, at);
        self.stack.truncate(mark.base);
        self.fill(target, at);
        Ok(())
    }

    pub(super) fn literal(&mut self, len: Option<u64>, value: Val) -> Result<(), Option<Fault>> {
        match len {
            Some(len) if self.window.skip(len) => {
                self.push(value);
                Ok(())
            }
            _ => Err(Some(Fault::Truncated)),
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8, Option<Fault>> {
        self.window.byte().ok_or(Some(Fault::Truncated))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Option<Fault>> {
        self.window.array().map(u32::from_le_bytes).ok_or(Some(Fault::Truncated))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Option<Fault>> {
        self.window.array().map(u64::from_le_bytes).ok_or(Some(Fault::Truncated))
    }

    pub(super) fn line(&mut self) -> Result<Vec<u8>, Option<Fault>> {
        self.window.line(4_096).map(|line| line.bytes).ok_or(Some(Fault::Truncated))
    }

    pub(super) fn name(&mut self) -> Result<String, Option<Fault>> {
        Ok(String::from_utf8_lossy(&self.line()?).into_owned())
    }

    pub(super) fn index(&mut self) -> Result<u64, Option<Fault>> {
        let line = self.line()?;
        let text = std::str::from_utf8(&line).ok().and_then(written_index);
        text.ok_or(Some(Fault::BadArgument))
    }

    pub(super) fn remember(&mut self, index: u64) -> Result<(), Option<Fault>> {
        let value = self.top()?;
        self.memo.put(index, value);
        if self.memo.lost {
            self.limit("the memo is larger than 4 million entries");
        }
        Ok(())
    }

    pub(super) fn recall(&mut self, index: u64) -> Result<(), Option<Fault>> {
        let value = self.memo.get(index).ok_or(Some(Fault::MemoMissing(index)))?;
        self.push(value);
        Ok(())
    }

    pub(super) fn replace_top(&mut self, value: Val) {
        if let Some(top) = self.stack.last_mut() {
            *top = value;
        }
    }
    pub(super) fn stack_global(&mut self, module: Val, name: Val, at: u64) -> Val {
        if module == Val::DROPPED || name == Val::DROPPED {
            self.limit("an import takes its name from data that was dropped to stay within memory");
            return Val::UNKNOWN;
        }
        match (self.string(module), self.string(name)) {
            (Some(module), Some(name)) => {
                let literal = matches!((module.1, name.1), (true, true));
                let value = self.heap.intern(&module.0, &name.0, at, !literal);
                if !literal {
                    let effect = self.heap.global(value).map_or(Effect::Unknown, |global| global.effect);
                    let full = super::clean(&format!("{}.{}", module.0, name.0));
                    self.defect(Fault::ComputedName(full, effect.is_allowed()), at);
                }
                value
            }
            _ => {
                self.defect(Fault::DynamicName, at);
                Val::UNKNOWN
            }
        }
    }

    /// A text value and whether it is a literal of the stream.
    pub(super) fn string(&self, value: Val) -> Option<(String, bool)> {
        match value.view() {
            View::Text(offset) => {
                let literal = text::read(self.source, offset, MAX_NAME)?;
                Some((String::from_utf8_lossy(&literal.bytes).into_owned(), true))
            }
            _ => match self.heap.node(value)? {
                Node::Text(text) => Some((text.chars().take(MAX_NAME).collect(), false)),
                _ => None,
            },
        }
    }

    pub(super) fn persistent(&mut self, id: Val, at: u64) -> Val {
        let items = self.heap.items(id).to_vec();
        let storage = items.len() >= 5
            && self.string(items[0]).is_some_and(|(kind, _)| kind == "storage")
            && self.heap.global(items[1]).is_some_and(|class| class.module.starts_with("torch"));
        if storage {
            self.facts.storages += 1;
            return self.storage(&items);
        }
        self.facts.persistent += 1;
        if self.facts.persistent_example.is_none() {
            let shown = match self.source_line(at) {
                Some(line) if matches!(id.view(), View::Text(offset) if offset == at) => line,
                _ => self.show(id),
            };
            self.facts.persistent_example = Some(shown);
        }
        Val::UNKNOWN
    }

    pub(super) fn source_line(&self, at: u64) -> Option<String> {
        let window = mantlet_vocab::read_window(self.source, at + 1, 80).ok()?;
        let line = window.split(|&byte| byte == b'\n').next()?;
        Some(text::quote(line, "", 80, false))
    }
}

/// A number as Python's `int()` reads it: with a sign, zeros in front and single underscores between digits.
fn written_index(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let odd = text.starts_with('_') || text.ends_with('_') || text.contains("__") || text.starts_with('+');
    if odd { None } else { text.replace('_', "").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::written_index;

    #[test]
    fn indices_are_read_as_python_reads_them() {
        let read: Vec<Option<u64>> =
            ["10", "1_0", "011", " +7 "].iter().map(|text| written_index(text)).collect();
        assert_eq!(read, [Some(10), Some(10), Some(11), Some(7)]);
        assert!(["", "_1", "1_", "1__0", "-1", "++1", "a"].iter().all(|text| written_index(text).is_none()));
    }
}
