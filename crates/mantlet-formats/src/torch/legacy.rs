//! The tar archives of torch 0.1: `sys_info`, `pickle`, `tensors` and `storages`, pickles with raw data between.

use mantlet_vocab::{Source, SubSource, read_window};

use crate::tar::Tar;
use crate::{Bounds, pickle};

/// Records of one member that are followed.
const MAX_RECORDS: u64 = 100_000;

/// Whether the members are those of a torch 0.1 archive.
#[must_use]
pub fn is_legacy(tar: &Tar) -> bool {
    ["pickle", "tensors", "storages"]
        .iter()
        .all(|name| tar.entries.iter().any(|entry| base(&entry.name) == *name))
}

/// The name of a member without its leading `./`.
#[must_use]
pub fn base(name: &str) -> &str {
    name.trim_start_matches("./")
}

/// The pickles of a `storages` or `tensors` member, one after another, and what could not be followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// Where each pickle starts and how long it is.
    pub pickles: Vec<(u64, u64)>,
    /// Why the walk ended early.
    pub limit: Option<String>,
}

/// Walks a member: a pickle of a count, then that many pickles, each followed by raw data.
#[must_use]
pub fn records(source: &dyn Source, storages: bool, bounds: &Bounds) -> Records {
    let mut records = Records::default();
    let mut at = 0;
    let stop = |mut records: Records, at: u64| {
        records.limit = Some(format!("the data at {at:#x} does not follow the layout of torch 0.1"));
        records
    };
    while at < source.len() {
        if records.pickles.len() as u64 >= MAX_RECORDS {
            return stop(records, at);
        }
        let one = SubSource::new(source, at, u64::MAX);
        let facts = pickle::first(&one, bounds);
        let len = facts.end;
        records.pickles.push((at, len));
        if facts.stopped == 0 || len == 0 {
            return stop(records, at);
        }
        at += len;
        if records.pickles.len() == 1 {
            continue;
        }
        let skip = if storages {
            let item = facts.imports.iter().find_map(|import| pickle::storage_item(&import.name));
            let count = read_window(source, at, 8)
                .ok()
                .and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
            count.zip(item).and_then(|(count, item)| count.checked_mul(item)?.checked_add(8))
        } else {
            let axes = read_window(source, at, 4)
                .ok()
                .and_then(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?)));
            // Four bytes of count, four of padding, sizes and strides, and the offset into the storage.
            axes.filter(|&axes| axes <= 1_024).map(|axes| 8 + u64::from(axes) * 16 + 8)
        };
        match skip.and_then(|skip| at.checked_add(skip)).filter(|&next| next <= source.len()) {
            Some(next) => at = next,
            None => return stop(records, at),
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn raw_data_between_pickles_is_stepped_over() {
        let mut bytes = b"\x80\x02K\x01.".to_vec();
        bytes.extend(b"\x80\x02ctorch\nFloatStorage\n.");
        bytes.extend(2_u64.to_le_bytes());
        bytes.extend(b"cos\nsys\n");
        let found = records(&MemorySource::new(&bytes), true, &Bounds::default());
        assert_eq!((found.pickles.len(), found.limit), (2, None));
        bytes.truncate(bytes.len() - 1);
        assert!(records(&MemorySource::new(&bytes), true, &Bounds::default()).limit.is_some());
        assert!(records(&MemorySource::new(&b"\0\0"[..]), false, &Bounds::default()).limit.is_some());
    }
}
