//! C2SP tlog-tiles: where a node lives, and how entries are packed.

use super::LogError;

/// Hashes of a full tile, and entries of a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// Bytes of an entry at most (a 16-bit length).
pub const ENTRY_MOST: usize = u16::MAX as usize;

/// `tile/<level>/<index>` of a tile of hashes; `width` below 256 gives the partial tile `.p/<width>`.
/// Tile level `n` holds the nodes of height `8 n`.
#[must_use]
pub fn tile_path(level: u8, index: u64, width: u64) -> String {
    path(&level.to_string(), index, width)
}

/// `tile/entries/<index>` of a bundle of entries, with `.p/<width>` when it is not full.
#[must_use]
pub fn bundle_path(index: u64, width: u64) -> String {
    path("entries", index, width)
}

fn path(level: &str, index: u64, width: u64) -> String {
    let mut name = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        name = format!("x{:03}/{name}", rest % 1000);
        rest /= 1000;
    }
    let partial = if width < TILE_WIDTH { format!(".p/{width}") } else { String::new() };
    format!("tile/{level}/{name}{partial}")
}

/// Appends an entry to a bundle: a big-endian 16-bit length and the bytes.
///
/// # Errors
/// When the entry is too long.
pub fn pack_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), LogError> {
    let len = u16::try_from(entry.len());
    let len = len.map_err(|_| LogError::EntryTooLong { len: entry.len(), most: ENTRY_MOST })?;
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle.
///
/// # Errors
/// When it ends within an entry or holds more than a tile's width; says how many entries were whole.
pub fn unpack_entries(bundle: &[u8]) -> Result<Vec<&[u8]>, LogError> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        let fault = LogError::Bundle { entries: entries.len() };
        if entries.len() as u64 >= TILE_WIDTH {
            return Err(fault);
        }
        let Some((&[high, low], after)) = rest.split_first_chunk() else { return Err(fault) };
        let len = usize::from(u16::from_be_bytes([high, low]));
        let Some((entry, after)) = after.split_at_checked(len) else { return Err(fault) };
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_as_specified() {
        assert_eq!(tile_path(0, 0, 256), "tile/0/000");
        assert_eq!(tile_path(1, 1_234_067, 256), "tile/1/x001/x234/067");
        assert_eq!(tile_path(2, 7, 112), "tile/2/007.p/112");
        assert_eq!(bundle_path(1_000, 3), "tile/entries/x001/000.p/3");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn entries_survive_packing_and_cuts_are_seen(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bundle = Vec::new();
            for entry in &entries {
                pack_entry(&mut bundle, entry).unwrap();
            }
            prop_assert_eq!(unpack_entries(&bundle).unwrap(), entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let cut = cut.index(bundle.len());
            match unpack_entries(&bundle[..cut]) {
                Ok(whole) => prop_assert!(whole.len() < entries.len()),
                Err(LogError::Bundle { entries: whole }) => prop_assert!(whole < entries.len()),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = unpack_entries(&bytes);
        }
    }
}
