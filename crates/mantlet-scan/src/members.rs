//! Members of archives, each under the reading its container gives it.

use mantlet_formats::inflate::{Inflated, Wrapper};
use mantlet_formats::{Facts, tar, zip};
use mantlet_vocab::{Place, Source, SubSource};

use crate::engine::Engine;
use crate::structures;

impl Engine {
    pub(crate) fn zip(&mut self, source: &dyn Source, place: &Place, depth: u8) {
        let facts = zip::analyse(source, &self.bounds);
        self.limits(place, &facts.limits);
        let mut archive = self.open_archive(&facts);
        let outer = std::mem::replace(&mut self.stores, structures::stores(&facts));
        let root = facts.torch_root().map(|root| format!("{root}data/"));
        for entry in &facts.entries {
            if entry.name.ends_with('/') && entry.packed == 0 {
                continue;
            }
            let inside = place.member(shown(&entry.name));
            let Some(data) = entry.data else {
                self.gap(&inside, "it has no local header".into(), "do not use the archive");
                continue;
            };
            let packed = SubSource::new(source, data, entry.packed);
            // Tensors are not interpreted by any loader; what looks like a pickle in them is numbers.
            let tensor = root.as_ref().is_some_and(|root| entry.name.starts_with(root.as_str()));
            match entry.method {
                0 => {
                    let full = self.bounds.full_content;
                    let read = full || !tensor && packed.len() <= self.bounds.max_resident as u64;
                    if read && packed.len() == entry.packed {
                        self.look_at_member(&packed, tensor, Some(entry.crc), &entry.name, &inside);
                    }
                    if !tensor {
                        self.archive_member(&mut archive, &packed, &entry.name, &inside, depth);
                    }
                }
                8 if tensor && !self.bounds.full_content && self.user_rules.is_none() => {}
                8 => {
                    let inflated = Inflated::open(&packed, Wrapper::Raw, &self.bounds, self.budget);
                    if inflated.damage.is_none() && !inflated.cut {
                        self.checksum(entry.crc, inflated.crc, &entry.name, &inside);
                    }
                    self.unpacking(&inflated, &inside);
                    if tensor {
                        self.look_at_member(&inflated, true, None, &entry.name, &inside);
                        self.user_rules(&inflated, &inside);
                    } else {
                        let window = self.bounds.max_window;
                        self.bounds.max_window = window.saturating_sub(inflated.window());
                        self.archive_member(&mut archive, &inflated, &entry.name, &inside, depth);
                        self.bounds.max_window = window;
                    }
                }
                other => {
                    let why = format!("compression method {other} is not supported");
                    self.gap(&inside, why, "unpack the archive and scan the folder");
                }
            }
        }
        self.stores = outer;
        self.close_archive(archive, &facts, place);
        self.judge(&Facts::Zip(facts), place);
    }

    pub(crate) fn tar(&mut self, source: &dyn Source, place: &Place, depth: u8) {
        let mut facts = tar::analyse(source, &self.bounds);
        self.limits(place, &facts.limits);
        let holder = place.to_string();
        facts.layer = holder.contains("blobs/sha256/") || holder.ends_with("layer.tar");
        if facts.end > 0 && facts.end < source.len() {
            self.unclaimed(source, facts.end, source.len(), place, depth);
        }
        for entry in &facts.entries {
            let inside = place.member(shown(&entry.name));
            match &entry.kind {
                tar::TarKind::File => {
                    let inner = SubSource::new(source, entry.data, entry.size);
                    if !self.legacy_member(&facts, entry, &inner, &inside, depth) {
                        self.examine(&inner, &entry.name, &inside, depth + 1);
                    }
                }
                tar::TarKind::Folder | tar::TarKind::Link(_) => {}
                tar::TarKind::Other(kind) => {
                    let why = format!("a tar member of type {kind} is not a file");
                    self.gap(&inside, why, "no model needs devices or pipes; do not unpack it");
                }
            }
        }
        self.judge(&Facts::Tar(facts), place);
    }
}

/// A member name without characters that would mislead a reader or a terminal.
pub(crate) fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).take(200).collect()
}
