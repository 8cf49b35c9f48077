//! Counts as bytes, for another process.

use std::collections::BTreeMap;

use mantlet_drift::bytes::{Left, put, put_block};
use mantlet_drift::{Counts, Cube, DriftError};

use super::{Counted, Gathered, Sketches};
use crate::coded::Looked;
use crate::decisions::Windows;
use crate::grouped::Groups;

/// The form of the bytes.
const FORM: u8 = 2;

impl Gathered {
    /// As bytes, for another process.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        put(&mut bytes, self.rows);
        put(&mut bytes, self.unreadable.len() as u64);
        self.unreadable.iter().for_each(|&count| put(&mut bytes, count));
        // Maps of numbers and texts can always be written as JSON.
        let json = |written: serde_json::Result<Vec<u8>>| written.unwrap_or_default();
        let (tag, block) = match &self.counted {
            Counted::Nothing => (0, Vec::new()),
            Counted::Rows(files) => {
                let mut block = Vec::new();
                put(&mut block, files.len() as u64);
                for (&file, &rows) in files {
                    put(&mut block, u64::from(file));
                    put(&mut block, rows);
                }
                (1, block)
            }
            Counted::Sketches(sketches) => (2, sketches.to_bytes()),
            Counted::Cube(cube) => (3, cube.to_bytes()),
            Counted::Windows(windows) => (4, json(serde_json::to_vec(windows))),
            Counted::Groups(groups) => (5, json(serde_json::to_vec(groups))),
            Counted::Looked(looked) => (6, looked.to_bytes()),
            Counted::Counts(counts) => (7, counts.to_bytes()),
        };
        bytes.push(tag);
        put_block(&mut bytes, &block);
        bytes
    }

    /// From bytes of another process.
    ///
    /// # Errors
    /// When the bytes are no counts.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DriftError> {
        let mut left = Left(bytes);
        Self::read(&mut left).filter(|_| left.is_empty()).ok_or(DriftError::Counts)
    }

    fn read(left: &mut Left<'_>) -> Option<Self> {
        if left.byte()? != FORM {
            return None;
        }
        let rows = left.number()?;
        let columns = left.many()?;
        let unreadable: Vec<u64> = (0..columns).map(|_| left.number()).collect::<Option<_>>()?;
        let tag = left.byte()?;
        let block = left.block()?;
        let mut inner = Left(block);
        let counted = match tag {
            0 if block.is_empty() => Counted::Nothing,
            1 => {
                let mut files = BTreeMap::new();
                for _ in 0..inner.many()? {
                    files.insert(u32::try_from(inner.number()?).ok()?, inner.number()?);
                }
                inner.is_empty().then_some(Counted::Rows(files))?
            }
            2 => Counted::Sketches(Sketches::read(block)?),
            3 => Counted::Cube(Cube::from_bytes(block).ok()?),
            4 => Counted::Windows(serde_json::from_slice::<Windows>(block).ok()?),
            5 => Counted::Groups(serde_json::from_slice::<Groups>(block).ok()?),
            6 => Counted::Looked(Looked::read(block)?),
            7 => Counted::Counts(Counts::from_bytes(block).ok()?),
            _ => return None,
        };
        Some(Self { rows, unreadable, counted })
    }
}
