//! Bytes far away as a source: read in blocks, a few of which are kept.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use mantlet_vocab::{Digest, Source, SourceError};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::Limits;

/// Bytes of a block.
pub(crate) const BLOCK: u64 = 1 << 20;
/// Blocks that are kept.
const KEPT: usize = 8;
/// Blocks that are asked for at once when reading goes straight on.
const AHEAD: u64 = 4;

/// What content was promised under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promised {
    Sha256(Digest),
    /// What DVC names content by, and old servers. It says that nothing was damaged or mixed up, not that nobody who
    /// made the content made another like it.
    Md5([u8; 16]),
    /// The same over a text with Unix line ends, as DVC before version 3 names texts; or over the bytes as they are.
    Md5OfText([u8; 16]),
}

impl Promised {
    /// An MD5 in hexadecimal digits.
    pub(crate) fn md5(hex: &str) -> Option<[u8; 16]> {
        let mut sum = [0; 16];
        if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in sum.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()?;
        }
        Some(sum)
    }
}

/// Compares content with what was promised, piece by piece.
pub(crate) struct Comparison {
    promised: Promised,
    sha256: Sha256,
    md5: Md5,
    of_text: Md5,
}

impl Comparison {
    pub(crate) fn new(promised: Promised) -> Self {
        Self { promised, sha256: Sha256::new(), md5: Md5::new(), of_text: Md5::new() }
    }

    /// Takes the next piece; DVC changes line ends in pieces of 1 MiB, so that is what these have to be.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        match self.promised {
            Promised::Sha256(_) => self.sha256.update(piece),
            Promised::Md5(_) => self.md5.update(piece),
            Promised::Md5OfText(_) => {
                self.md5.update(piece);
                let mut rest = piece;
                while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
                    self.of_text.update(&rest[..at]);
                    rest = &rest[at + 1..];
                }
                self.of_text.update(rest);
            }
        }
    }

    pub(crate) fn end(self) -> Result<(), String> {
        let hex = |sum: &[u8]| sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (same, found, wanted) = match self.promised {
            Promised::Sha256(wanted) => {
                let found = Digest(self.sha256.finalize().into());
                (found == wanted, found.to_string(), wanted.to_string())
            }
            Promised::Md5(wanted) | Promised::Md5OfText(wanted) => {
                let found: [u8; 16] = self.md5.finalize().into();
                let of_text: [u8; 16] = self.of_text.finalize().into();
                let text = matches!(self.promised, Promised::Md5OfText(_)) && of_text == wanted;
                (found == wanted || text, format!("md5:{}", hex(&found)), format!("md5:{}", hex(&wanted)))
            }
        };
        if same { Ok(()) } else { Err(format!("its digest is {found}, promised was {wanted}")) }
    }
}

/// Something that can be asked for a run of bytes.
pub(crate) trait Reach: Send + Sync {
    /// Exactly the bytes from `start` up to `end`.
    fn range(&self, start: u64, end: u64) -> Result<Bytes, String>;
}

/// An artifact behind an address.
pub struct RemoteSource {
    reach: Box<dyn Reach>,
    len: u64,
    state: Mutex<State>,
    /// Bytes that may be transferred in all, and until when.
    budget: u64,
    until: Instant,
}

#[derive(Default)]
struct State {
    kept: VecDeque<(u64, Bytes)>,
    last: Option<u64>,
    fetched: u64,
    /// The digest of each block, once the whole was compared with the digest it was promised under.
    sums: Option<Vec<[u8; 32]>>,
}

impl std::fmt::Debug for RemoteSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteSource").field("len", &self.len).finish_non_exhaustive()
    }
}

impl RemoteSource {
    pub(crate) fn new(reach: Box<dyn Reach>, len: u64, first: Option<Bytes>, limits: &Limits) -> Self {
        let mut state = State::default();
        if let Some(first) = first.filter(|first| first.len() as u64 == len.min(BLOCK) && len > 0) {
            state.fetched = first.len() as u64;
            state.kept.push_back((0, first));
            state.last = Some(0);
        }
        let budget = len.saturating_mul(4).saturating_add(64 << 20);
        Self { reach, len, state: Mutex::new(state), budget, until: Instant::now() + limits.object }
    }

    /// Reads everything once and compares it with the digest it was promised under. From then on each block must be
    /// the one that was seen, so that a server cannot show one thing to the digest and another to the scan.
    pub(crate) fn verify(&self, promised: Promised) -> Result<(), String> {
        let mut comparison = Comparison::new(promised);
        let mut sums = Vec::new();
        for index in 0..self.len.div_ceil(BLOCK) {
            let block = self.block(index)?;
            comparison.take(&block);
            sums.push(Sha256::digest(&block).into());
        }
        comparison.end()?;
        self.state().sums = Some(sums);
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn block(&self, index: u64) -> Result<Bytes, String> {
        let mut state = self.state();
        if let Some(at) = state.kept.iter().position(|(kept, _)| *kept == index) {
            // Last used, last to go.
            if let Some(entry) = state.kept.remove(at) {
                state.last = Some(index);
                state.kept.push_back(entry.clone());
                return Ok(entry.1);
            }
        }
        let blocks = self.len.div_ceil(BLOCK);
        let straight_on = state.last.is_some_and(|last| last + 1 == index);
        let count = if straight_on { AHEAD.min(blocks - index) } else { 1 };
        let (start, end) = (index * BLOCK, ((index + count) * BLOCK).min(self.len));
        state.fetched = state.fetched.saturating_add(end - start);
        if state.fetched > self.budget {
            return Err(format!("more than {} bytes would have to be transferred", self.budget));
        }
        if Instant::now() > self.until {
            return Err("it takes too long to transfer".into());
        }
        let bytes = self.reach.range(start, end)?;
        if bytes.len() as u64 != end - start {
            return Err(format!("{} bytes came where {} were asked for", bytes.len(), end - start));
        }
        let mut first = None;
        for offset in 0..count {
            let from = (offset * BLOCK) as usize;
            let block = bytes.slice(from..(from + BLOCK as usize).min(bytes.len()));
            if let Some(sums) = &state.sums {
                let sum: [u8; 32] = Sha256::digest(&block).into();
                if sums.get((index + offset) as usize) != Some(&sum) {
                    return Err("it is not the content that was verified: the server changed it".into());
                }
            }
            state.kept.retain(|(kept, _)| *kept != index + offset);
            // A copy of its own, so that a kept block does not hold its neighbours.
            let block = if count == 1 { block } else { Bytes::copy_from_slice(&block) };
            if offset == 0 {
                first = Some(block.clone());
            }
            state.kept.push_back((index + offset, block));
        }
        while state.kept.len() > KEPT {
            state.kept.pop_front();
        }
        state.last = Some(index);
        first.ok_or_else(|| "no bytes came".to_owned())
    }
}

impl Source for RemoteSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset.saturating_add(done as u64);
            if at >= self.len {
                break;
            }
            let block = self.block(at / BLOCK).map_err(|reason| SourceError { offset: at, reason })?;
            let rest = block.get((at % BLOCK) as usize..).unwrap_or(&[]);
            if rest.is_empty() {
                return Err(SourceError { offset: at, reason: "the bytes end early".into() });
            }
            let count = rest.len().min(buffer.len() - done);
            buffer[done..done + count].copy_from_slice(&rest[..count]);
            done += count;
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_old_versions_of_dvc_are_compared_with_unix_line_ends() {
        let compared = |promised: Promised, piece: &[u8]| {
            let mut comparison = Comparison::new(promised);
            comparison.take(piece);
            comparison.end()
        };
        let sum = Promised::md5("b1946ac92492d2347c6235b4d2611184").unwrap();
        assert!(compared(Promised::Md5(sum), b"hello\n").is_ok());
        assert!(compared(Promised::Md5OfText(sum), b"hello\n").is_ok());
        assert!(compared(Promised::Md5OfText(sum), b"hello\r\n").is_ok());
        assert!(compared(Promised::Md5(sum), b"hello\r\n").unwrap_err().contains("promised was md5:b1946"));
        assert!(compared(Promised::Md5OfText(sum), b"hello\r\r\n").is_err());
        for wrong in [
            "",
            "b1946ac92492d2347c6235b4d261118",
            "+1946ac92492d2347c6235b4d2611184",
            "é1946ac92492d2347c6235b4d261118",
        ] {
            assert_eq!(Promised::md5(wrong), None, "{wrong}");
        }
    }
}
