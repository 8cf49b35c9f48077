//! The tensors of archives that hold them one a member: storages of torch, arrays of NumPy.

use mantlet_vocab::{Source, SubSource};

use crate::weights::{Dtype, Listing, MAX_TENSORS, TensorInfo};
use crate::zip::{Entry, Zip};
use crate::{Bounds, npy, pickle, zip};

/// The storages of a torch archive, named by their members, or the arrays of an `.npz` archive; `None` when it
/// is neither.
#[must_use]
pub fn tensors(source: &dyn Source, bounds: &Bounds) -> Option<Listing> {
    let zip = zip::analyse(source, bounds);
    let mut listing = Listing::default();
    let mut packed = 0;
    if let Some(root) = zip.torch_root() {
        storages(source, &zip, root, bounds, &mut listing, &mut packed);
    } else if zip.entries.iter().any(|entry| entry.name.ends_with(".npy")) {
        for entry in zip.entries.iter().filter(|entry| entry.name.ends_with(".npy")).take(MAX_TENSORS) {
            let Some((start, len)) = plain(entry, &mut packed) else { continue };
            let array = npy::tensor(&SubSource::new(source, start, len), bounds);
            listing.limits.extend(array.limits);
            listing.tensors.extend(array.tensors.into_iter().map(|tensor| TensorInfo {
                name: entry.name.clone(),
                start: start.saturating_add(tensor.start),
                ..tensor
            }));
        }
    } else {
        return None;
    }
    if packed > 0 {
        listing.limits.push(format!("{packed} members are compressed, and their values are not compared"));
    }
    Some(listing)
}

fn storages(
    source: &dyn Source,
    zip: &Zip,
    root: &str,
    bounds: &Bounds,
    listing: &mut Listing,
    packed: &mut usize,
) {
    let find = |name: &str| zip.entries.iter().find(|entry| entry.name == name);
    let Some((start, len)) = find(&format!("{root}data.pkl")).and_then(|entry| plain(entry, packed)) else {
        return;
    };
    let declared = pickle::analyse(&SubSource::new(source, start, len), bounds).storage_list;
    let folder = format!("{root}data/");
    let members: std::collections::BTreeMap<&str, &Entry> =
        zip.entries.iter().filter_map(|entry| Some((entry.name.strip_prefix(&folder)?, entry))).collect();
    let mut seen = std::collections::BTreeSet::new();
    for storage in declared {
        let Some(entry) = members.get(storage.key.as_str()) else { continue };
        if !seen.insert(storage.key.clone()) || listing.tensors.len() >= MAX_TENSORS {
            continue;
        }
        let Some((start, len)) = plain(entry, packed) else { continue };
        listing.tensors.push(TensorInfo {
            name: format!("data/{}", storage.key),
            dtype: storage.float.unwrap_or_else(|| Dtype::Other("storage".into())),
            shape: vec![storage.count],
            start,
            len,
        });
    }
}

/// Where the bytes of a member are, when they are stored as they are.
fn plain(entry: &Entry, packed: &mut usize) -> Option<(u64, u64)> {
    let start = entry.data?;
    if entry.method == 0 {
        return Some((start, entry.packed));
    }
    *packed += 1;
    None
}
