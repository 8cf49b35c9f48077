//! Why a proof, a checkpoint or a tile is not accepted.

/// Each rejection by name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The checkpoint text is not in the C2SP form.
    #[error("the checkpoint is malformed: {reason}")]
    Checkpoint {
        /// What is wrong.
        reason: &'static str,
    },
    /// The signed note is not in the C2SP form.
    #[error("the signed note is malformed: {reason}")]
    Note {
        /// What is wrong.
        reason: &'static str,
    },
    /// No signature by the key that is trusted.
    #[error("the note is not signed by `{name}`")]
    Unsigned {
        /// The key's name.
        name: String,
    },
    /// The signature does not fit.
    #[error("the signature of `{name}` does not fit the note")]
    WrongSignature {
        /// The key's name.
        name: String,
    },
    /// The checkpoint belongs to another log.
    #[error("the checkpoint is of the log `{found}`, not `{expected}`")]
    Origin {
        /// In the checkpoint.
        found: String,
        /// Of this log.
        expected: String,
    },
    /// A key text is not in the C2SP form.
    #[error("the log key is malformed: {reason}")]
    Key {
        /// What is wrong; never the key.
        reason: &'static str,
    },
    /// An index or size is outside the tree.
    #[error("{index} is outside a tree of {size}")]
    Range {
        /// The index or smaller size.
        index: u64,
        /// The size.
        size: u64,
    },
    /// A hash that a proof needs is not kept.
    #[error("the log keeps no node {index} at level {level}")]
    NoNode {
        /// Height above the leaves.
        level: u8,
        /// Position from the left.
        index: u64,
    },
    /// A proof does not lead to the root.
    #[error("the proof does not lead to the root")]
    Proof,
    /// An entry is longer than a bundle can hold.
    #[error("an entry of {len} bytes is longer than the {most} allowed")]
    EntryTooLong {
        /// Bytes.
        len: usize,
        /// Bytes allowed.
        most: usize,
    },
    /// An entry bundle ends within an entry, or holds more than a tile.
    #[error("the entry bundle is cut or overfull after {entries} entries")]
    Bundle {
        /// Entries read before.
        entries: usize,
    },
}
