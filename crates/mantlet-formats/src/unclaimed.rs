//! Bytes that no format claims: padding, or something put there.

use mantlet_vocab::{Source, read_window};

use crate::{Bounds, programs, route, sweep};

/// A run of bytes without an owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unclaimed {
    /// Where it starts in the file.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
    /// It is only zeros, line ends or the like.
    pub padding: bool,
    /// Its beginning is of a known format, which is worth examining.
    pub opens: bool,
    /// Programs in it, at offsets in the file.
    pub programs: Vec<programs::Program>,
    /// The first bytes, printable ones as they are.
    pub sample: String,
}

/// The facts of an unclaimed run that starts at `offset` of its file.
#[must_use]
pub fn analyse(source: &dyn Source, offset: u64, bounds: &Bounds) -> Unclaimed {
    let head = read_window(source, 0, 4_096).unwrap_or_default();
    let blank = |byte: &u8| matches!(byte, 0 | b'\n' | b'\r' | b' ');
    let mut padding = head.iter().all(blank);
    let mut at = head.len() as u64;
    // Padding of gigabytes is not read to its end: alignment never needs more than this.
    while padding && at < source.len() && at < 64 << 20 {
        let chunk = read_window(source, at, 1 << 20).unwrap_or_default();
        padding = !chunk.is_empty() && chunk.iter().all(blank);
        at += chunk.len() as u64;
    }
    let mut facts = Unclaimed { offset, len: source.len(), padding, ..Unclaimed::default() };
    if padding {
        return facts;
    }
    facts.opens = !route::recognise(source, "unclaimed", bounds).formats.is_empty();
    facts.programs = sweep::sweep(source, 256 << 20).programs;
    for program in &mut facts.programs {
        program.offset = program.offset.saturating_add(offset);
    }
    facts.sample =
        head.iter().take(32).map(|&b| if (32..127).contains(&b) { b as char } else { '.' }).collect();
    facts
}
