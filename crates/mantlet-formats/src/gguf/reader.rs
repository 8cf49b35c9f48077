//! Numbers and strings of a GGUF file, in either byte order.

use mantlet_vocab::Source;

use crate::window::Window;

/// How wide counts and lengths are.
#[derive(Clone, Copy)]
pub(super) enum Wide {
    Four,
    Eight,
}

pub(super) struct Reader<'a> {
    window: Window<'a>,
    pub(super) big: bool,
    pub(super) wide: Wide,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a dyn Source) -> Self {
        Self { window: Window::new(source, 0), big: false, wide: Wide::Eight }
    }

    pub(super) fn offset(&self) -> u64 {
        self.window.offset()
    }

    pub(super) fn rest(&self) -> u64 {
        self.window.rest()
    }

    pub(super) fn failed(&self) -> Option<String> {
        self.window.failed.as_ref().map(ToString::to_string)
    }

    pub(super) fn skip(&mut self, count: u64) -> bool {
        self.window.skip(count)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let bytes = self.window.array()?;
        Some(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        let bytes = self.window.array()?;
        Some(if self.big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    pub(super) fn count(&mut self) -> Option<u64> {
        match self.wide {
            Wide::Four => self.u32().map(u64::from),
            Wide::Eight => self.u64(),
        }
    }

    /// A string cut at `max` bytes, and its whole length.
    pub(super) fn string(&mut self, max: usize) -> Option<(String, u64)> {
        let len = self.count()?;
        if len > self.rest() {
            return None;
        }
        let keep = len.min(max as u64);
        let text = String::from_utf8_lossy(self.window.take(keep as usize)?).into_owned();
        self.window.skip(len - keep).then_some((text, len))
    }
}
