//! Archives of torch and of skops: the members that only their own loaders understand.

use mantlet_formats::pickle::Storage;
use mantlet_formats::route::Format;
use mantlet_formats::tar::{Tar, TarEntry};
use mantlet_formats::torch::{Layout, Torch, legacy};
use mantlet_formats::zip::Zip;
use mantlet_formats::{Facts, skops, torch};
use mantlet_vocab::{Place, Source, SubSource, read_window};

use crate::engine::Engine;
use crate::wheel::Wheel;

/// TorchScript sources and manifests longer than this are not read to their end.
const MAX_CODE: usize = 4 << 20;
/// Bytes of TorchScript that are held until all of an archive is known.
const MAX_HELD: usize = 16 << 20;
/// Storages of bytes that are asked whether they are pickles.
const MAX_STATES: usize = 256;
/// Operators of one archive that are kept.
const MAX_OPERATORS: usize = 256;

/// What is known of a zip archive before its members are opened.
pub(crate) struct Archive {
    layout: Option<Layout>,
    root: String,
    skops: bool,
    facts: Torch,
    pub(crate) wheel: Option<Wheel>,
    /// Functions of its modules that other programs call by themselves: the member, and the call.
    pub(crate) hooks: Vec<(String, String)>,
    /// TorchScript that is followed when all of it is known.
    code: Vec<(String, String, Place)>,
    held: usize,
    outer: Vec<Storage>,
}

impl Archive {
    /// Whether its modules are imported by what opens it: TorchServe, and the importer of `torch.package`.
    pub(crate) fn is_served(&self) -> bool {
        matches!(self.layout, Some(Layout::Serve | Layout::Package))
    }

    /// Whether a member is read by this module and by nothing else.
    pub(crate) fn owns(&self, name: &str) -> bool {
        (self.layout == Some(Layout::Script) && torch::is_script(&self.root, name))
            || (self.skops && name == "schema.json")
    }
}

impl Engine {
    pub(crate) fn open_archive(&mut self, zip: &Zip) -> Archive {
        let layout = torch::layout(zip);
        Archive {
            layout,
            root: zip.torch_root().unwrap_or_default().to_owned(),
            skops: layout.is_none() && skops::is_skops(zip),
            facts: Torch { layout: layout.unwrap_or_default(), ..Torch::default() },
            wheel: None,
            hooks: Vec::new(),
            code: Vec::new(),
            held: 0,
            outer: std::mem::take(&mut self.storages),
        }
    }

    /// Reads a member; `depth` is that of the archive.
    pub(crate) fn archive_member(
        &mut self,
        archive: &mut Archive,
        source: &dyn Source,
        name: &str,
        place: &Place,
        depth: u8,
    ) {
        if archive.skops && name == "schema.json" {
            let facts = skops::analyse(source, &self.bounds);
            if facts.nodes > 0 || facts.defect.is_some() {
                self.limits(place, &facts.limits);
                self.judge(&Facts::Skops(facts), place);
                self.user_rules(source, place);
                return;
            }
        } else if archive.owns(name) {
            let code = read_window(source, 0, MAX_CODE).unwrap_or_default();
            if source.len() > MAX_CODE as u64 {
                self.gap(
                    place,
                    format!("only the first {MAX_CODE} bytes of the code are judged"),
                    "review the rest yourself",
                );
            }
            let text = String::from_utf8_lossy(&code).into_owned();
            if archive.held + text.len() <= MAX_HELD {
                archive.held += text.len();
                archive.code.push((name.to_owned(), text, place.clone()));
            } else {
                for graph in torch::graphs(&text) {
                    self.follow(&graph, place);
                }
            }
            let (operators, whole) = torch::operators(&code, name);
            archive.facts.operators.extend(operators);
            if !whole || archive.facts.operators.len() > MAX_OPERATORS {
                archive.facts.operators.truncate(MAX_OPERATORS);
                let why = "its code uses more operators that do not only compute than are told".into();
                self.gap(place, why, "review the rest yourself");
            }
            self.user_rules(source, place);
            return;
        }
        let before = self.storages.len();
        self.asked = archive.hooks.iter().find(|(member, _)| member == name).map(|(_, call)| call.clone());
        self.declared = archive.wheel.as_ref().is_some_and(|wheel| wheel.vouches(name, source));
        self.examine(source, name, place, depth + 1);
        self.asked = None;
        match archive.layout {
            // The storages that count are those of the pickle that torch reads.
            Some(Layout::Weights | Layout::Script)
                if name.strip_prefix(archive.root.as_str()) == Some("data.pkl") => {}
            Some(Layout::Serve) if name == "MAR-INF/MANIFEST.json" => {
                let json = read_window(source, 0, MAX_CODE).unwrap_or_default();
                torch::manifest(&json, &mut archive.facts);
            }
            Some(Layout::Package) if name.ends_with(".py") && archive.facts.code.len() < 256 => {
                let shown = name.chars().filter(|c| !c.is_control()).take(200).collect();
                archive.facts.code.push((shown, "`torch.package` runs it when the package is used"));
                self.storages.truncate(before);
            }
            _ => self.storages.truncate(before),
        }
    }

    pub(crate) fn close_archive(&mut self, archive: Archive, source: &dyn Source, zip: &Zip, place: &Place) {
        let storages = std::mem::replace(&mut self.storages, archive.outer);
        let sources = archive.code.iter().map(|(name, text, _)| (name.as_str(), text.as_str()));
        let classes = torch::Classes::of(sources);
        for (_, text, inside) in &archive.code {
            for graph in torch::graphs_with(text, &classes) {
                self.follow(&graph, inside);
            }
        }
        if archive.layout.is_some() {
            let mut facts = archive.facts;
            torch::compare(source, zip, &archive.root, &storages, &mut facts);
            self.limits(place, &facts.limits);
            self.judge(&Facts::Torch(facts), place);
            // Tensors of bytes may be states that are unpickled when the model is restored.
            let folder = format!("{}data/", archive.root);
            let bytes = |storage: &&Storage| storage.item == Some(1) && storage.float.is_none();
            for storage in storages.iter().filter(bytes).take(MAX_STATES) {
                let member = zip.entries.iter().find(|entry| {
                    entry.method == 0 && entry.name.strip_prefix(folder.as_str()) == Some(&storage.key)
                });
                if let Some((entry, start)) = member.and_then(|entry| Some((entry, entry.data?))) {
                    self.byte_pickle(source, (start, entry.size), &place.member(entry.name.clone()));
                }
            }
        }
    }

    /// A `storages` or `tensors` member of a torch 0.1 archive; false when the archive is none.
    pub(crate) fn legacy_member(
        &mut self,
        tar: &Tar,
        entry: &TarEntry,
        source: &dyn Source,
        place: &Place,
        depth: u8,
    ) -> bool {
        let base = legacy::base(&entry.name);
        if !matches!(base, "storages" | "tensors") || !legacy::is_legacy(tar) {
            return false;
        }
        let records = legacy::records(source, base == "storages", &self.bounds);
        if let Some(limit) = &records.limit {
            self.gap(place, limit.clone(), "do not load it; torch has not written this format since 2017");
        }
        for (offset, len) in records.pickles {
            let one = SubSource::new(source, offset, len);
            let inside = place.member(format!("pickle at {offset:#x}"));
            self.pickle(&[Format::Pickle], &one, &inside, depth + 1);
        }
        true
    }
}
