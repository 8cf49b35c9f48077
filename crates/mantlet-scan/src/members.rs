//! Members of archives, each under the reading its container gives it.

use std::collections::BTreeSet;
use std::sync::Arc;

use mantlet_formats::inflate::{Inflated, Wrapper};
use mantlet_formats::{Facts, ar, tar, zip};
use mantlet_vocab::{Place, Source, SubSource, read_window};

use crate::engine::{Engine, SMALL};
use crate::structures;
use crate::wheel::{self, Wheel};

/// How much of a storage is read in any mode.
const BEGINNING: u64 = 4 << 10;
/// Longest file with holes that is examined.
const MAX_HOLES: u64 = 64 << 30;
/// Symbolic links of one archive, and bytes of where each leads.
const MAX_LINKS: usize = 10_000;
const MAX_TARGET: usize = 4 << 10;
/// Names of one archive that are kept to be asked about.
const MAX_NAMES: usize = 50_000;

impl Engine {
    pub(crate) fn zip(&mut self, source: &dyn Source, place: &Place, depth: u8) {
        let mut facts = zip::analyse(source, &self.bounds);
        self.limits(place, &facts.limits);
        // TensorFlow Lite keeps the files that belong to a model in a zip behind it, and Python its applications in one
        // behind the line that names the interpreter. A stream or a pickle that ends where the file does holds its zip.
        let prefix = facts.faults.iter().find_map(|(fault, _)| match fault {
            zip::ZipFault::Prefix(len) => Some(*len),
            _ => None,
        });
        if prefix.is_some_and(|len| self.owns_prefix(source, len)) {
            facts.faults.retain(|(fault, _)| !matches!(fault, zip::ZipFault::Prefix(_)));
        }
        let mut archive = self.open_archive(&facts);
        let served = std::mem::replace(&mut self.served, archive.is_served());
        let outer = std::mem::replace(&mut self.stores, structures::stores(&facts));
        let layers = std::mem::take(&mut self.keras);
        let carried = std::mem::replace(&mut self.carried, packaged(&facts));
        // Only what pip would install may vouch for its own libraries.
        if facts.torch_root().is_none() && place.to_string().to_ascii_lowercase().ends_with(".whl") {
            archive.wheel = Wheel::read(source, &facts, &self.bounds);
        }
        archive.hooks = wheel::hooks(source, &facts, &self.bounds);
        let listed = facts.entries.iter().map(|entry| entry.name.clone());
        let around = std::mem::replace(&mut self.inside, names(listed));
        let root = facts.torch_root();
        let mut links = Vec::new();
        for entry in &facts.entries {
            if entry.name.ends_with('/') && entry.packed == 0 {
                continue;
            }
            let inside = place.member(shown(&entry.name));
            let stream = entry.name.rsplit_once(':').is_some_and(|(_, stream)| {
                let ends = [".exe", ".dll", ".bat", ".cmd", ".ps1", ".vbs", ".js", ".scr", ".hta"];
                ends.iter().any(|end| stream.to_ascii_lowercase().ends_with(end))
            });
            if entry.name.contains('\0') || stream {
                let what = format!("readers take the name `{}` for different ones", shown(&entry.name));
                self.judge(&Facts::Damage(what), &inside);
            }
            let Some(data) = entry.data else {
                self.gap(&inside, "it has no local header".into(), "do not use the archive");
                continue;
            };
            let packed = SubSource::new(source, data, entry.packed);
            if !self.may_open(packed.len()) {
                let why = "its members share their bytes again and again, and not each is examined".into();
                self.gap(place, why, "no tool writes such an archive; do not use it");
                break;
            }
            if entry.symlink && links.len() < MAX_LINKS {
                let stored = entry.method == 0;
                let inflated = (!stored).then(|| Inflated::open(&packed, Wrapper::Raw, &self.bounds, SMALL));
                let target: &dyn Source = inflated.as_ref().map_or(&packed, |inflated| inflated);
                let target = read_window(target, 0, MAX_TARGET).unwrap_or_default();
                links.push((entry.name.clone(), String::from_utf8_lossy(&target).into_owned(), entry.header));
            }
            // Tensors are not interpreted by any loader; what looks like a pickle in them is numbers.
            // torch calls its storages by numbers, those of a traced program's constants too.
            let tensor = root.as_ref().and_then(|root| entry.name.strip_prefix(root)).is_some_and(|name| {
                let number = name.strip_prefix("data/").or_else(|| name.strip_prefix("constants/"));
                number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
            });
            match entry.method {
                0 => {
                    let full = self.bounds.full_content;
                    let read = full || !tensor && packed.len() <= self.bounds.max_resident as u64;
                    if read && packed.len() == entry.packed {
                        self.look_at_member(&packed, tensor, Some(entry.crc), &entry.name, &inside);
                    } else if tensor {
                        // Whether a storage begins with a program is cheap to see.
                        let all = packed.len() <= SMALL && source.len() <= 8 * SMALL;
                        let length = if all { entry.packed } else { entry.packed.min(BEGINNING) };
                        let start = SubSource::new(source, data, length);
                        self.look_at_member(&start, true, None, &entry.name, &inside);
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
                12 | 14 | 93 | 95 => {
                    let (skipped, wrapper) = match entry.method {
                        12 => (0, Some(Wrapper::Bzip2)),
                        14 => zip_lzma(&packed, entry.size),
                        93 => (0, Some(Wrapper::Zstd)),
                        _ => (0, Some(Wrapper::Xz)),
                    };
                    let Some(wrapper) = wrapper else {
                        let what = format!("`{}` has no LZMA header", shown(&entry.name));
                        self.judge(&Facts::Damage(what), &inside);
                        continue;
                    };
                    let body = SubSource::new(&packed, skipped, u64::MAX);
                    let inflated = Inflated::open(&body, wrapper, &self.bounds, self.budget);
                    if inflated.damage.is_none() && !inflated.cut && inflated.refused.is_none() {
                        self.checksum(entry.crc, inflated.crc, &entry.name, &inside);
                    }
                    self.unpacking(&inflated, &inside);
                    let window = self.bounds.max_window;
                    self.bounds.max_window = window.saturating_sub(inflated.window());
                    self.archive_member(&mut archive, &inflated, &entry.name, &inside, depth);
                    self.bounds.max_window = window;
                }
                other => {
                    let why = format!("compression method {other} is not supported");
                    self.gap(&inside, why, "unpack the archive and scan the folder");
                }
            }
        }
        // A program there is owned by no member, and found by whoever knows where it lies.
        for (start, end) in facts.gaps.clone() {
            let inner = SubSource::new(source, start, end - start);
            let swept = mantlet_formats::sweep::sweep(&inner, SMALL);
            if !swept.programs.is_empty() || !swept.scripts.is_empty() {
                self.unclaimed(source, start, end, place, depth);
            }
        }
        self.inside = around;
        self.stores = outer;
        self.keras = layers;
        self.carried = carried;
        self.served = served;
        self.close_archive(archive, source, &facts, place);
        facts.links = links;
        self.judge(&Facts::Zip(facts), place);
    }

    /// The members of an `ar` archive.
    pub(crate) fn ar(&mut self, source: &dyn Source, place: &Place, depth: u8) {
        let (members, defect) = ar::members(source, self.bounds.max_members);
        if let Some(defect) = defect {
            self.gap(place, defect, "unpack it and scan the folder");
        }
        for member in members {
            let inner = SubSource::new(source, member.data, member.size);
            self.examine(&inner, &member.name, &place.member(shown(&member.name)), depth + 1);
        }
    }

    pub(crate) fn tar(&mut self, source: &dyn Source, place: &Place, depth: u8) {
        let mut facts = tar::analyse(source, &self.bounds);
        self.limits(place, &facts.limits);
        let holder = place.to_string();
        facts.layer = holder.contains("blobs/sha256/") || holder.ends_with("layer.tar");
        if facts.end > 0 && facts.end < source.len() {
            self.unclaimed(source, facts.end, source.len(), place, depth);
        }
        let around =
            std::mem::replace(&mut self.inside, names(facts.entries.iter().map(|entry| entry.name.clone())));
        for entry in &facts.entries {
            let inside = place.member(shown(&entry.name));
            match &entry.kind {
                tar::TarKind::File => {
                    if let Some(holes) = &entry.sparse {
                        if holes.len > MAX_HOLES {
                            let why = format!(
                                "it is a file of {} bytes, of which next to none are stored",
                                holes.len
                            );
                            self.gap(&inside, why, "treat it as a decompression bomb");
                        } else {
                            let inner = tar::Sparse::new(source, holes);
                            self.examine(&inner, &entry.name, &inside, depth + 1);
                        }
                        continue;
                    }
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
        self.inside = around;
        self.judge(&Facts::Tar(facts), place);
    }
}

/// The names of members as places show them, as many as are asked about.
fn names(all: impl Iterator<Item = String>) -> Arc<BTreeSet<String>> {
    Arc::new(all.take(MAX_NAMES).map(|name| shown(&name)).collect())
}

impl Engine {
    /// Whether what lies before the first member of a zip is where it belongs.
    fn owns_prefix(&self, source: &dyn Source, len: u64) -> bool {
        if read_window(source, 4, 4).is_ok_and(|mark| mark == *b"TFL3") {
            return true;
        }
        let head = read_window(source, 0, len.min(256) as usize).unwrap_or_default();
        if head.starts_with(b"#!") && head.len() as u64 == len {
            return head.iter().position(|&byte| byte == b'\n') == Some(head.len() - 1);
        }
        if source.len() > SMALL {
            return false;
        }
        if matches!(head.as_slice(), [0x80, 2..=5, ..]) {
            let facts = mantlet_formats::pickle::analyse(source, &self.bounds);
            return facts.trailing == 0 && facts.defects.is_empty();
        }
        let wrapper = match head.as_slice() {
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Wrapper::Zstd,
            [0x1f, 0x8b, 8, ..] => Wrapper::Gzip,
            [0x04, 0x22, 0x4d, 0x18, ..] => Wrapper::Lz4,
            _ => return false,
        };
        let inflated = Inflated::open(source, wrapper, &self.bounds, self.budget.min(16 << 20));
        let ended = inflated.consumed.is_none_or(|end| end >= source.len());
        inflated.damage.is_none() && inflated.refused.is_none() && !inflated.cut && ended
    }
}

/// The modules of an archive of `torch.package`, whose importer takes them from there and from nowhere else.
fn packaged(facts: &zip::Zip) -> Vec<String> {
    if !facts.entries.iter().any(|entry| entry.name.ends_with("/.data/extern_modules")) {
        return Vec::new();
    }
    let modules = facts.entries.iter().filter_map(|entry| {
        let (_, path) = entry.name.split_once('/')?;
        let module = path.strip_suffix(".py")?;
        let module = module.strip_suffix("/__init__").unwrap_or(module);
        (module.len() <= 200).then(|| module.replace('/', "."))
    });
    modules.take(1_000).collect()
}

/// A member name without characters that would mislead a reader or a terminal.
pub(crate) fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).take(200).collect()
}

/// The header LZMA has in zip: a version, the length of the properties, the properties.
fn zip_lzma(packed: &dyn Source, size: u64) -> (u64, Option<Wrapper>) {
    let mut header = [0; 9];
    let whole = mantlet_vocab::read_exact_at(packed, 0, &mut header).is_ok();
    let [_, _, 5, 0, a, b, c, d, e] = header else { return (0, None) };
    (9, whole.then_some(Wrapper::RawLzma([a, b, c, d, e], size)))
}
