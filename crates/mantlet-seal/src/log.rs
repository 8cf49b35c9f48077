//! Transparency-log arithmetic: RFC 6962 hashes and proofs, C2SP tiles, checkpoints and signed notes.

mod checkpoint;
mod error;
mod merkle;
mod note;
mod tile;

pub use checkpoint::Checkpoint;
pub use error::LogError;
pub use merkle::{
    Frontier, Hash, Nodes, Tree, check_consistency, check_inclusion, consistency, empty_root, inclusion,
    leaf, node, root,
};
pub use note::{LogKey, LogVerifier};
pub use tile::{ENTRY_MOST, TILE_WIDTH, bundle_path, pack_entry, tile_path, unpack_entries};
