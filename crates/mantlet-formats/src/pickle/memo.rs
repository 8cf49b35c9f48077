//! The memo of a pickle: millions of entries in eight bytes each.

use std::collections::HashMap;

use super::value::Val;

/// The memo: dense and chunked, with a small sparse part for far-off indices.
#[derive(Default)]
pub(crate) struct Memo {
    chunks: Vec<Box<[Val]>>,
    sparse: HashMap<u64, Val>,
    /// Number of entries, which is where MEMOIZE writes next.
    pub(crate) count: u64,
    /// Entries were dropped to stay within memory.
    pub(crate) lost: bool,
}

const CHUNK: usize = 4_096;
const MAX_DENSE: u64 = 4 << 20;
const MAX_SPARSE: usize = 100_000;

impl Memo {
    #[inline]
    pub(crate) fn put(&mut self, index: u64, value: Val) {
        let (chunk, slot) = ((index / CHUNK as u64) as usize, (index % CHUNK as u64) as usize);
        if index < MAX_DENSE && chunk <= self.chunks.len() + 16 {
            while self.chunks.len() <= chunk {
                self.chunks.push(vec![Val::ABSENT; CHUNK].into_boxed_slice());
            }
            let slot = &mut self.chunks[chunk][slot];
            self.count += u64::from(*slot == Val::ABSENT);
            *slot = value;
        } else if self.sparse.len() < MAX_SPARSE || self.sparse.contains_key(&index) {
            self.count += u64::from(self.sparse.insert(index, value).is_none());
        } else {
            self.count += 1;
            self.lost = true;
        }
    }

    #[inline]
    pub(crate) fn get(&self, index: u64) -> Option<Val> {
        let dense = self
            .chunks
            .get((index / CHUNK as u64) as usize)
            .map(|chunk| chunk[(index % CHUNK as u64) as usize])
            .filter(|&value| value != Val::ABSENT);
        dense.or_else(|| self.sparse.get(&index).copied()).or_else(|| self.lost.then_some(Val::DROPPED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memo_is_dense_sparse_and_bounded() {
        let mut memo = Memo::default();
        memo.put(0, Val::NONE);
        memo.put(0, Val::int(1));
        memo.put(u64::MAX - 5, Val::int(2));
        assert_eq!(memo.count, 2);
        assert_eq!(memo.get(0), Some(Val::int(1)));
        assert_eq!(memo.get(u64::MAX - 5), Some(Val::int(2)));
        assert_eq!(memo.get(1), None);
    }
}
