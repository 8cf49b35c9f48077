//! The opcodes of protocols 0 to 5, one arm each, as the C unpickler has them.

use super::facts::{Fault, How};
use super::machine::{MAX_MARKS, MAX_STACK, Machine, Mark, REGION, TORCH_MAGIC};
use super::text;
use super::value::{Node, Shape, Val};

impl Machine<'_> {
    #[expect(clippy::too_many_lines, reason = "one arm per opcode, as the specification lists them")]
    #[inline]
    pub(super) fn step(&mut self, opcode: u8, at: u64, start: u64) -> Result<bool, Option<Fault>> {
        match opcode {
            b'(' => {
                if self.marks.len() >= MAX_MARKS || self.stack.len() >= MAX_STACK {
                    self.limit("the stack is larger than any known pickle needs");
                    return Err(None);
                }
                self.marks.push(Mark { base: self.stack.len(), omitted: 0 });
                self.trim_at = self.stack.len() + REGION;
            }
            0x94 => {
                let index = self.memo.count;
                self.remember(index)?;
            }
            0x8c => {
                let len = self.u8()?;
                self.literal(Some(u64::from(len)), Val::text(at))?;
            }
            b'K' => {
                let value = self.u8()?;
                self.push(Val::int(i64::from(value)));
            }
            b'q' => {
                let index = self.u8()?;
                self.remember(u64::from(index))?;
            }
            b'r' => {
                let index = self.u32()?;
                self.remember(u64::from(index))?;
            }
            b'h' => {
                let index = self.u8()?;
                self.recall(u64::from(index))?;
            }
            b'j' => {
                let index = self.u32()?;
                self.recall(u64::from(index))?;
            }
            b'X' => {
                let len = self.u32()?;
                self.literal(Some(u64::from(len)), Val::text(at))?;
            }
            b'M' => {
                let value = self.window.array().map(u16::from_le_bytes).ok_or(Some(Fault::Truncated))?;
                self.push(Val::int(i64::from(value)));
            }
            b'J' => {
                let value = self.u32()?;
                self.push(Val::int(i64::from(value.cast_signed())));
            }
            b'G' => self.literal(Some(8), Val::NUMBER)?,
            b'N' => self.push(Val::NONE),
            0x88 => self.push(Val::boolean(true)),
            0x89 => self.push(Val::boolean(false)),
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let from = self.stack.len().checked_sub(count).filter(|&from| from >= self.fence());
                let from = from.ok_or(Some(Fault::StackUnderflow))?;
                let value = self.heap.tuple(&self.stack[from..]);
                self.stack.truncate(from);
                self.push(value);
            }
            b')' => {
                let value = self.heap.tuple(&[]);
                self.push(value);
            }
            b't' => {
                let value = self.marked_tuple()?;
                self.push(value);
            }
            b']' => {
                let value = self.heap.container(Shape::List, &[]);
                self.push(value);
            }
            b'}' => {
                let value = self.heap.container(Shape::Dict, &[]);
                self.push(value);
            }
            0x8f => {
                let value = self.heap.container(Shape::Set, &[]);
                self.push(value);
            }
            b'u' | b'e' | 0x90 => self.marked_extend(opcode, at)?,
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                let target = self.top()?;
                self.takes_items(opcode, target, at);
                self.heap.extend(target, &[key, value]);
                self.hooked_items(target, &[key, value], at);
                self.instantiated(&[key, value], at);
                self.fill(target, at);
            }
            b'a' => {
                let value = self.pop()?;
                let target = self.top()?;
                self.takes_items(opcode, target, at);
                self.heap.extend(target, &[value]);
                self.fill(target, at);
            }
            b'l' => self.marked_container(Shape::List)?,
            b'd' => self.marked_container(Shape::Dict)?,
            0x91 => self.marked_container(Shape::FrozenSet)?,
            b'.' => {
                self.pop()?;
                if !self.stack.is_empty() || !self.marks.is_empty() {
                    self.defect(Fault::StackNotEmpty, at);
                }
                return Ok(true);
            }
            b'0' => {
                if self.marks.last().is_some_and(|mark| mark.base == self.stack.len()) {
                    self.mark()?;
                } else {
                    self.pop()?;
                }
            }
            b'1' => {
                let mark = self.mark()?;
                self.stack.truncate(mark.base);
            }
            b'2' => {
                let value = self.top()?;
                self.push(value);
            }
            b'F' | b'L' | b'I' => {
                let line = self.line()?;
                let text = std::str::from_utf8(&line).map_err(|_| Some(Fault::BadArgument))?;
                let text = text.trim().trim_end_matches('L');
                let value = match (opcode, text) {
                    (b'I', "00") => Val::boolean(false),
                    (b'I', "01") => Val::boolean(true),
                    (b'F', text) => {
                        text.parse::<f64>().map_err(|_| Some(Fault::BadArgument))?;
                        Val::NUMBER
                    }
                    (_, text) => text::integer(text).ok_or(Some(Fault::BadArgument))?,
                };
                self.push(value);
            }
            0x8a => {
                let len = self.u8()?;
                let mut bytes = [0_u8; 16];
                let raw = self.window.take(usize::from(len)).ok_or(Some(Fault::Truncated))?;
                if raw == TORCH_MAGIC && at <= 2 {
                    self.facts.torch_legacy = true;
                }
                let value = if raw.len() <= bytes.len() {
                    bytes.fill(if raw.last().is_some_and(|&top| top >= 0x80) { 0xff } else { 0 });
                    bytes[..raw.len()].copy_from_slice(raw);
                    i64::try_from(i128::from_le_bytes(bytes)).map_or(Val::NUMBER, Val::int)
                } else {
                    Val::NUMBER
                };
                self.push(value);
            }
            0x8b => {
                let len = self.u32()?;
                self.literal(Some(u64::from(len)), Val::NUMBER)?;
            }
            b'S' | b'V' => {
                let line = self.window.line(256).ok_or(Some(Fault::Truncated))?;
                let quoted = line.bytes.trim_ascii().first().is_some_and(|b| matches!(b, b'\'' | b'"'));
                if opcode == b'S' && !quoted {
                    return Err(Some(Fault::BadArgument));
                }
                self.push(Val::text(at));
            }
            b'T' => {
                let len = self.u32()?;
                self.literal(Some(u64::from(len)), Val::text(at))?;
            }
            b'U' => {
                let len = self.u8()?;
                self.literal(Some(u64::from(len)), Val::text(at))?;
            }
            b'B' => {
                let len = self.u32()?;
                self.literal(Some(u64::from(len)), Val::bytes(at))?;
            }
            b'C' => {
                let len = self.u8()?;
                self.literal(Some(u64::from(len)), Val::bytes(at))?;
            }
            0x8d => {
                let len = self.u64()?;
                self.literal(Some(len), Val::text(at))?;
            }
            0x8e | 0x96 => {
                let len = self.u64()?;
                self.literal(Some(len), Val::bytes(at))?;
            }
            0x97 => self.push(Val::UNKNOWN),
            0x98 => {
                self.top()?;
            }
            b'p' => {
                let index = self.index()?;
                self.remember(index)?;
            }
            b'g' => {
                let index = self.index()?;
                self.recall(index)?;
            }
            b'c' => {
                let (module, name) = (self.name()?, self.name()?);
                let value = self.heap.intern(&module, &name, at, false);
                self.push(value);
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let value = self.stack_global(module, name, at);
                self.push(value);
            }
            b'i' => {
                let (module, name) = (self.name()?, self.name()?);
                let callee = self.heap.intern(&module, &name, at, false);
                let args = self.marked_tuple()?;
                let value = self.invoke(How::Object, callee, args, None, at);
                self.push(value);
            }
            b'o' => {
                let mark = self.mark()?;
                let callee = self.stack.get(mark.base).copied().ok_or(Some(Fault::StackUnderflow))?;
                let args = self.heap.tuple(&self.stack[mark.base + 1..]);
                self.stack.truncate(mark.base);
                let value = self.invoke(How::Object, callee, args, None, at);
                self.push(value);
            }
            b'R' => {
                let args = self.pop()?;
                let callee = self.top()?;
                let value = self.invoke(How::Reduce, callee, args, None, at);
                self.replace_top(value);
            }
            0x81 => {
                let args = self.pop()?;
                let callee = self.top()?;
                let value = self.invoke(How::New, callee, args, None, at);
                self.replace_top(value);
            }
            0x92 => {
                let (kwargs, args) = (self.pop()?, self.pop()?);
                let callee = self.top()?;
                let value = self.invoke(How::New, callee, args, Some(kwargs), at);
                self.replace_top(value);
            }
            b'b' => {
                let state = self.pop()?;
                let instance = self.top()?;
                let value = self.build(instance, state, at)?;
                self.replace_top(value);
            }
            b'P' => {
                self.line()?;
                self.persistent(Val::text(at), at);
                self.push(Val::UNKNOWN);
            }
            b'Q' => {
                let id = self.pop()?;
                let value = self.persistent(id, at);
                self.push(value);
            }
            0x82..=0x84 => {
                let mut code = [0_u8; 4];
                let width = [1, 2, 4][usize::from(opcode - 0x82)];
                let raw = self.window.take(width).ok_or(Some(Fault::Truncated))?;
                code[..width].copy_from_slice(raw);
                let code = i64::from(i32::from_le_bytes(code));
                let value = self.extensions.get(&code).copied();
                if value.is_none() {
                    self.defect(Fault::ExtensionCode(code), at);
                }
                let value = value.unwrap_or_else(|| self.heap.add(Node::Extension(code), Val::UNKNOWN));
                self.push(value);
            }
            0x80 => {
                let version = self.u8()?;
                if version > 5 {
                    return Err(Some(Fault::ProtocolUnknown(version)));
                }
                if at != start {
                    self.defect(Fault::ProtocolMisplaced, at);
                }
                self.facts.protocol = self.facts.protocol.max(Some(version));
            }
            0x95 => {
                let len = self.u64()?;
                if at < self.frame_end && self.frame_end != u64::MAX {
                    self.defect(Fault::FrameNested, at);
                }
                if len > self.window.rest() {
                    self.defect(Fault::FrameTooLong, at);
                } else {
                    self.frame_end = self.window.offset() + len;
                }
            }
            other => return Err(Some(Fault::UnknownOpcode(other))),
        }
        Ok(false)
    }
}
