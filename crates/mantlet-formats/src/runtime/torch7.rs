//! Torch7's serialised objects: tensors and tables, and functions of Lua as bytecode, which loading brings in.

use mantlet_vocab::Source;

use crate::structure::{Power, Structure};
use crate::window::Window;

const MAX_DEPTH: u32 = 400;
const MAX_OBJECTS: u64 = 4 << 20;

/// Whether the bytes begin like an object of Torch7 in binary, or a table of such.
#[must_use]
pub fn is_torch7(head: &[u8]) -> bool {
    let word =
        |at: usize| head.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(u32::MAX, u32::from_le_bytes);
    let object = |at: usize| {
        word(at) == 4
            && word(at + 4) < 1 << 20
            && word(at + 8) == 3
            && head.get(at + 12..at + 14) == Some(b"V ")
    };
    let function = |at: usize| {
        matches!(word(at), 6..=8)
            && head.get(at + 8..at + 20).is_some_and(|b| memchr::memmem::find(b, b"\x1bL").is_some())
    };
    // A table: its number, its size, a key in letters and what kind of value that has, or an object somewhere near.
    let named = || {
        let len = word(16) as usize;
        let key = head.get(20..20usize.saturating_add(len.min(64)));
        word(12) == 2
            && (1..64).contains(&len)
            && key
                .is_some_and(|key| key.len() == len && key.iter().all(|b| b.is_ascii_graphic() || *b == b' '))
            && word(20 + len) <= 8
    };
    object(0)
        || function(0)
        || word(0) == 3
            && word(4) == 1
            && (1..1 << 16).contains(&word(8))
            && (word(12) == 1 || word(12) == 2 && (1..256).contains(&word(16)))
            && (named() || (12..head.len().min(256)).any(|at| object(at) || function(at)))
}

/// The facts of an object. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut walk = Walk {
        window: Window::new(source, 0),
        facts: Structure::of("Torch7"),
        seen: Seen::default(),
        objects: 0,
    };
    match walk.object(0) {
        Some(()) => walk.facts.end = walk.window.offset(),
        None => {
            let at = walk.window.offset();
            if walk.facts.limits.is_empty() {
                walk.facts.limit(format!("it is not understood from {at:#x} on"));
            }
        }
    }
    if let Some(error) = walk.window.failed {
        walk.facts.limit(error.to_string());
    }
    walk.facts
}

type Seen = std::collections::BTreeSet<i32>;

struct Walk<'a> {
    window: Window<'a>,
    facts: Structure,
    seen: Seen,
    objects: u64,
}

impl Walk<'_> {
    fn int(&mut self) -> Option<i32> {
        self.window.array().map(i32::from_le_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.window.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let len = u64::try_from(self.int()?).ok().filter(|&len| len <= self.window.rest())?;
        let start = self.window.offset();
        let kept = self.window.take(len.min(256) as usize)?;
        let text = String::from_utf8_lossy(kept).into_owned();
        self.window.seek(start + len);
        Some(text)
    }

    /// Whether the object of this number was read before.
    fn again(&mut self) -> Option<bool> {
        let index = self.int()?;
        Some(!self.seen.insert(index))
    }

    fn object(&mut self, depth: u32) -> Option<()> {
        self.objects += 1;
        if depth > MAX_DEPTH || self.objects > MAX_OBJECTS {
            self.facts.limit("it is nested too deep or holds too many objects");
            return None;
        }
        let at = self.window.offset();
        match self.int()? {
            0 => Some(()),
            1 => self.window.skip(8).then_some(()),
            5 => self.window.skip(4).then_some(()),
            2 => self.text().map(drop),
            3 => {
                if self.again()? {
                    return Some(());
                }
                let count = self.int()?;
                for _ in 0..u64::try_from(count).ok()? {
                    self.object(depth + 1)?;
                    self.object(depth + 1)?;
                }
                Some(())
            }
            4 => {
                if self.again()? {
                    return Some(());
                }
                let version = self.text()?;
                let class = if version.starts_with("V ") { self.text()? } else { version };
                self.class(&class, depth, at)
            }
            kind @ 6..=8 => {
                if kind != 6 && self.again()? {
                    return Some(());
                }
                let size = u64::try_from(self.int()?).ok()?;
                self.facts.names(Power::Bytecode, "function", &format!("Lua function of {size} bytes"), at);
                self.window.skip(size).then_some(())?;
                self.object(depth + 1)
            }
            _ => None,
        }
    }

    fn class(&mut self, class: &str, depth: u32, at: u64) -> Option<()> {
        if class.starts_with("torch.") && class.ends_with("Storage") {
            let count = self.long()?;
            let width = match class.trim_start_matches("torch.").trim_start_matches("Cuda") {
                "ByteStorage" | "CharStorage" => 1,
                "ShortStorage" | "HalfStorage" => 2,
                "DoubleStorage" | "LongStorage" => 8,
                _ => 4,
            };
            let fits = count.checked_mul(width).is_some_and(|bytes| self.window.skip(bytes));
            if !fits {
                self.facts.defect(format!("a storage of {count} values is not all there"), at);
            }
            return fits.then_some(());
        }
        if class.starts_with("torch.") && class.ends_with("Tensor") {
            let rank = u64::try_from(self.int()?).ok().filter(|&rank| rank <= 64)?;
            self.window.skip(rank * 16 + 8).then_some(())?;
            return self.object(depth + 1);
        }
        // Everything else keeps its fields in a table.
        self.object(depth + 1)
    }
}
