//! The variables beside a SavedModel: `variables.index` is a sorted table of where each tensor lies, the shards hold them.

use std::collections::HashMap;

use mantlet_vocab::{Source, read_window};
use prost::bytes::Bytes;

use super::{checked, tensor};
use crate::foreign::invalid;
use crate::foreign::numbers::Numbers;
use crate::foreign::wire::{inner, number, varint};
use crate::{ExternalData, Limits, ModelError};

/// Bytes of the index; one entry takes some fifty.
const MAX_INDEX: usize = 32 << 20;
/// Entries of it.
const MAX_ENTRIES: usize = 200_000;
/// The last eight bytes of a table.
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;

/// The tensors by key, and the files they are in.
pub(super) struct Bundle {
    entries: HashMap<String, Bytes>,
    shards: Vec<Box<dyn Source>>,
    limit: usize,
}

fn broken(reason: &str) -> ModelError {
    invalid("`variables/variables.index`", reason)
}

impl Bundle {
    /// The variables beside a model, when there are any.
    pub(super) fn open(beside: &dyn ExternalData, limits: &Limits) -> Result<Option<Self>, ModelError> {
        let Some(index) = beside.open("variables/variables.index") else { return Ok(None) };
        if index.len() > MAX_INDEX as u64 {
            return Err(ModelError::TooLarge { len: index.len(), limit: MAX_INDEX });
        }
        let index = Bytes::from(read_window(&*index, 0, MAX_INDEX)?);
        let entries = table(&index).ok_or_else(|| broken("it is no table of tensors"))?;
        let header = entries.get("").ok_or_else(|| broken("it has no header"))?;
        let count = number(header, 1).unwrap_or(0);
        if number(header, 2).unwrap_or(0) != 0 || !(1..=1_024).contains(&count) {
            return Err(broken("its numbers are of the other byte order, or its shards are too many"));
        }
        let mut shards = Vec::new();
        for shard in 0..count {
            let name = format!("variables/variables.data-{shard:05}-of-{count:05}");
            let missing =
                || ModelError::ExternalData { tensor: "variables".to_owned(), location: name.clone() };
            shards.push(beside.open(&name).ok_or_else(missing)?);
        }
        Ok(Some(Self { entries, shards, limit: limits.max_bytes }))
    }

    /// The numbers of a tensor.
    pub(super) fn read(&mut self, key: &str) -> Result<Numbers, ModelError> {
        let place = || format!("variable `{key}`");
        let entry = self.entries.get(key).ok_or_else(|| invalid(place(), "`variables` does not have it"))?;
        if inner(entry, 7).is_some() {
            return Err(invalid(place(), "it is stored in slices"));
        }
        let of = |field| number(entry, field).unwrap_or(0);
        let kind =
            tensor::kind(of(1)).ok_or_else(|| invalid(place(), "its element type is not supported"))?;
        let dims = tensor::shape(&inner(entry, 2).unwrap_or_default()).unwrap_or_default();
        let outside = || invalid(place(), "its bytes lie outside its file");
        let shard =
            usize::try_from(of(3)).ok().and_then(|shard| self.shards.get(shard)).ok_or_else(outside)?;
        let len = usize::try_from(of(5)).ok().filter(|&len| len <= self.limit).ok_or_else(outside)?;
        if of(4).checked_add(len as u64).is_none_or(|end| end > shard.len()) {
            return Err(outside());
        }
        let raw = Bytes::from(read_window(&**shard, of(4), len)?);
        checked(&dims, kind, raw).ok_or_else(|| invalid(place(), "its bytes do not fit its shape"))
    }
}

/// Where a block is: offset and size.
fn handle(bytes: &[u8], at: &mut usize) -> Option<(usize, usize)> {
    let (offset, size) = (varint(bytes, at)?, varint(bytes, at)?);
    Some((usize::try_from(offset).ok()?, usize::try_from(size).ok()?))
}

/// All entries of a sorted table whose blocks are not compressed, as the writers of bundles make it.
fn table(index: &Bytes) -> Option<HashMap<String, Bytes>> {
    let footer = index.len().checked_sub(48)?;
    let magic = index.get(footer + 40..)?.first_chunk::<8>()?;
    if u64::from_le_bytes(*magic) != MAGIC {
        return None;
    }
    let mut at = footer;
    handle(index, &mut at)?;
    let top = handle(index, &mut at)?;
    let (mut entries, mut left) = (HashMap::new(), MAX_ENTRIES);
    for (_, value) in block(index, top, &mut left)? {
        let below = handle(&value, &mut 0)?;
        for (key, value) in block(index, below, &mut left)? {
            entries.insert(String::from_utf8(key).ok()?, value);
        }
    }
    Some(entries)
}

/// The entries of a block: each key shares a beginning with the one before.
fn block(index: &Bytes, (start, size): (usize, usize), left: &mut usize) -> Option<Vec<(Vec<u8>, Bytes)>> {
    let end = start.checked_add(size)?;
    // The byte behind a block says how it is compressed.
    if *index.get(end)? != 0 {
        return None;
    }
    let block = index.slice(start..end);
    let restarts = u32::from_le_bytes(*block.last_chunk::<4>()?) as usize;
    let stop = block.len().checked_sub(restarts.checked_mul(4)?.checked_add(4)?)?;
    let (mut at, mut key, mut entries) = (0, Vec::new(), Vec::new());
    while at < stop {
        *left = left.checked_sub(1)?;
        let mut next = || varint(&block, &mut at).and_then(|value| usize::try_from(value).ok());
        let (shared, own, len) = (next()?, next()?, next()?);
        let middle = at.checked_add(own)?;
        let last = middle.checked_add(len).filter(|&last| last <= stop)?;
        if shared > key.len() || shared.checked_add(own)? > 4_096 {
            return None;
        }
        key.truncate(shared);
        key.extend_from_slice(&block[at..middle]);
        entries.push((key.clone(), block.slice(middle..last)));
        at = last;
    }
    Some(entries)
}
