//! RFC 6962 Merkle trees: leaves, nodes, roots, inclusion and consistency proofs.

use sha2::{Digest as _, Sha256};

use super::LogError;

/// A node's hash.
pub type Hash = [u8; 32];

/// The hash of a leaf.
#[must_use]
pub fn leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of an inner node.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the empty tree.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Complete nodes by height and position; whoever keeps them implements this.
pub trait Nodes {
    /// The hash of the complete subtree of 2^`level` leaves that begins at leaf `index << level`.
    fn find(&self, level: u8, index: u64) -> Option<Hash>;
}

/// The right edge of a growing tree: one hash for each set bit of the size. Appending costs O(1) amortised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Complete subtrees from left (largest) to right.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// The edge of a tree of this size, from kept nodes.
    ///
    /// # Errors
    /// When a node is not kept.
    pub fn load(nodes: &impl Nodes, size: u64) -> Result<Self, LogError> {
        let mut peaks = Vec::new();
        let mut start = 0;
        for level in (0..64_u8).rev().filter(|level| size >> level & 1 == 1) {
            let index = start >> level;
            peaks.push(nodes.find(level, index).ok_or(LogError::NoNode { level, index })?);
            start += 1 << level;
        }
        Ok(Self { size, peaks })
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash and reports each node that became complete: (level, index, hash), leaf first.
    pub fn push(&mut self, hash: Hash, mut complete: impl FnMut(u8, u64, Hash)) {
        let mut hash = hash;
        complete(0, self.size, hash);
        for level in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().unwrap_or_default();
            hash = node(&left, &hash);
            #[expect(clippy::cast_possible_truncation, reason = "fewer than 64 levels")]
            complete(level as u8 + 1, self.size >> (level + 1), hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(&last) = peaks.next() else { return empty_root() };
        peaks.fold(last, |right, left| node(left, &right))
    }
}

/// A whole tree in memory, 64 bytes a leaf.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    levels: Vec<Vec<Hash>>,
    frontier: Frontier,
}

impl Tree {
    /// The tree of these leaf hashes.
    pub fn of(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut tree = Self::default();
        for hash in leaves {
            tree.push(hash);
        }
        tree
    }

    /// Appends a leaf hash.
    pub fn push(&mut self, hash: Hash) {
        let levels = &mut self.levels;
        self.frontier.push(hash, |level, _, hash| {
            let level = usize::from(level);
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            levels[level].push(hash);
        });
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }
}

impl Nodes for Tree {
    fn find(&self, level: u8, index: u64) -> Option<Hash> {
        self.levels.get(usize::from(level))?.get(usize::try_from(index).ok()?).copied()
    }
}

/// The root of the first `size` leaves.
///
/// # Errors
/// When a node is not kept.
pub fn root(nodes: &impl Nodes, size: u64) -> Result<Hash, LogError> {
    Ok(Frontier::load(nodes, size)?.root())
}

/// The audit path of leaf `index` in the tree of the first `size` leaves (RFC 6962, 2.1.1).
///
/// # Errors
/// When the index is outside, or a node is not kept.
pub fn inclusion(nodes: &impl Nodes, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
    if index >= size {
        return Err(LogError::Range { index, size });
    }
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range(nodes, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the first `old` leaves are a prefix of the first `size` (RFC 6962, 2.1.2).
///
/// # Errors
/// When `old` is zero or larger than `size`, or a node is not kept.
pub fn consistency(nodes: &impl Nodes, old: u64, size: u64) -> Result<Vec<Hash>, LogError> {
    if old == 0 || old > size {
        return Err(LogError::Range { index: old, size });
    }
    let (mut start, mut end, mut whole) = (0, size, true);
    let mut path = Vec::new();
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range(nodes, start, middle)?);
            start = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(range(nodes, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks an audit path (RFC 9162, 2.1.3.2).
///
/// # Errors
/// When it does not lead to the root.
pub fn check_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), LogError> {
    if index >= size {
        return Err(LogError::Range { index, size });
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return Err(LogError::Proof);
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            if at & 1 == 0 {
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(LogError::Proof) }
}

/// Checks a consistency proof (RFC 9162, 2.1.4.2).
///
/// # Errors
/// When it does not lead from the old root to the new one.
pub fn check_consistency(
    old: u64,
    size: u64,
    old_root: &Hash,
    root: &Hash,
    path: &[Hash],
) -> Result<(), LogError> {
    if old == 0 || old > size {
        return Err(LogError::Range { index: old, size });
    }
    if old == size {
        return if path.is_empty() && old_root == root { Ok(()) } else { Err(LogError::Proof) };
    }
    let mut path = path.iter();
    let (mut at, mut last) = (old - 1, size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let first = if old.is_power_of_two() { old_root } else { path.next().ok_or(LogError::Proof)? };
    let (mut before, mut after) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return Err(LogError::Proof);
        }
        if at & 1 == 1 || at == last {
            before = node(sibling, &before);
            after = node(sibling, &after);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            after = node(&after, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last == 0 && before == *old_root && after == *root { Ok(()) } else { Err(LogError::Proof) }
}

/// The hash of leaves `start..end`, where `start` is a multiple of a power of two not below the length.
fn range(nodes: &impl Nodes, start: u64, end: u64) -> Result<Hash, LogError> {
    let len = end - start;
    if len.is_power_of_two() {
        #[expect(clippy::cast_possible_truncation, reason = "fewer than 64 levels")]
        let level = len.trailing_zeros() as u8;
        let index = start >> level;
        return nodes.find(level, index).ok_or(LogError::NoNode { level, index });
    }
    let middle = start + split(len);
    Ok(node(&range(nodes, start, middle)?, &range(nodes, middle, end)?))
}

/// The largest power of two below `len`, for `len` of at least 2.
const fn split(len: u64) -> u64 {
    1 << (63 - (len - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;
    use proptest::prelude::*;

    /// RFC 6962's recursive definition, for cross-checking.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [only] => *only,
            many => {
                let (left, right) = many.split_at(split(many.len() as u64) as usize);
                node(&defined(left), &defined(right))
            }
        }
    }

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
    }

    /// Roots over the eight inputs of the Certificate Transparency reference tests (certificate-transparency-go,
    /// `merkletree`), as widely published.
    #[test]
    fn published_roots() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::default();
        assert_eq!(hex(&tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (input, root) in inputs.iter().zip(roots) {
            tree.push(leaf(input));
            assert_eq!(hex(&tree.root()), root);
        }
    }

    #[test]
    fn every_proof_of_small_trees_holds_and_no_other_root_does() {
        let all = leaves(70);
        let tree = Tree::of(all.iter().copied());
        for size in 1..=70_u64 {
            let whole = root(&tree, size).unwrap();
            assert_eq!(whole, defined(&all[..size as usize]));
            for index in 0..size {
                let path = inclusion(&tree, index, size).unwrap();
                let leaf = all[index as usize];
                check_inclusion(&leaf, index, size, &path, &whole).unwrap();
                assert!(check_inclusion(&leaf, index, size, &path, &leaf).is_err() || size == 1);
                assert!(check_inclusion(&whole, index, size, &path, &whole).is_err() || size == 1);
            }
            for old in 1..=size {
                let before = root(&tree, old).unwrap();
                let path = consistency(&tree, old, size).unwrap();
                check_consistency(old, size, &before, &whole, &path).unwrap();
                if old < size {
                    assert!(check_consistency(old, size, &whole, &whole, &path).is_err());
                    assert!(check_consistency(old, size, &before, &before, &path).is_err());
                }
            }
        }
        assert!(inclusion(&tree, 70, 70).is_err() && consistency(&tree, 0, 70).is_err());
        assert!(root(&tree, 71).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_damaged_proof_is_never_accepted(size in 2_u64..300, at in any::<u64>(), bit in 0_usize..256) {
            let all = leaves(size);
            let tree = Tree::of(all.iter().copied());
            let index = at % size;
            let mut path = inclusion(&tree, index, size).unwrap();
            let place = bit % path.len();
            path[place][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(check_inclusion(&all[index as usize], index, size, &path, &tree.root()).is_err());
            path.pop();
            prop_assert!(check_inclusion(&all[index as usize], index, size, &path, &tree.root()).is_err());
        }
    }
}
