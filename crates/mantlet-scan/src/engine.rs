//! One artifact: recognised, parsed, judged, and its members in turn.
//!
//! Long because one state goes through every kind of artifact.

use std::collections::BTreeSet;
use std::sync::Arc;

use mantlet_formats::inflate::Inflated;
use mantlet_formats::origin::Origin;
use mantlet_formats::pickle::Payload;
use mantlet_formats::route::{Format, recognise};
use mantlet_formats::{Bounds, Facts, npy, onnx, opened, pickle, safetensors, secrets, store, tar};
use mantlet_vocab::{
    ArtifactSummary, Coverage, Digest, Finding, Gap, MemorySource, Place, Source, SubSource,
};

use crate::look::MAX_WRITTEN;
use crate::watched::{Deadline, Watched};
use crate::{Options, UserRules, companion, structures};

/// Findings of one artifact beyond which the rest is a gap.
pub(crate) const MAX_FINDINGS: usize = 1_000;
const MAX_GAPS: usize = 200;
/// Bytes of members that may overlap others.
const OVERLAP: u64 = 64 << 10;
/// Gaps beyond which an examination that leaves more is not remembered.
const MAX_GAP_LOG: usize = 20_000;
/// Bytes of a document that are searched for what it does when it is opened.
const MAX_DOCUMENT: usize = 4 << 20;
const UNREADABLE: &str = "scan it where it can be read from end to end";
/// Files up to this long are digested and searched for secrets in any mode.
pub(crate) const SMALL: u64 = 1 << 20;
/// Bytes of one step of a search for credentials by their names, and those that two share.
const NAMED_STEP: usize = 4 << 20;
const NAMED_SHARED: u64 = 4 << 10;

/// The examination of one outermost artifact.
pub(crate) struct Engine {
    pub(crate) name: String,
    pub(crate) bounds: Bounds,
    pub(crate) findings: Vec<Finding>,
    pub(crate) user_findings: Vec<Finding>,
    gaps: BTreeSet<Gap>,
    /// The same in the order they were met, each time they were, as far as they are kept.
    pub(crate) gap_log: Vec<Gap>,
    /// Regions that were examined.
    pub(crate) seen: crate::seen::Seen,
    formats: Vec<String>,
    /// Bytes of members that were opened, and of the artifact itself.
    pub(crate) opened: u64,
    whole: u64,
    /// Decompressed bytes still allowed.
    pub(crate) budget: u64,
    /// Storages of torch that the pickles seen so far name.
    pub(crate) storages: Vec<mantlet_formats::pickle::Storage>,
    digest: Option<Digest>,
    /// Folders of zarr arrays in the archives that are open.
    pub(crate) stores: Vec<String>,
    pub(crate) user_rules: Option<Arc<dyn UserRules>>,
    /// The next member is a library that its package's record lists with this digest.
    pub(crate) declared: bool,
    /// The members that are open belong to an archive whose code a server imports.
    pub(crate) served: bool,
    /// When it must be over.
    deadline: Option<Arc<Deadline>>,
    /// What the artifact says of its licence and origin.
    pub(crate) said: Origin,
    /// What another program calls by itself in the module that is examined next.
    pub(crate) asked: Option<String>,
    /// The names of what lies in the archive that is open.
    pub(crate) inside: Arc<BTreeSet<String>>,
    /// Modules of the package that is open, which its pickles may name.
    pub(crate) carried: Vec<String>,
    /// The configuration of Keras that was read last, and the weights: they are judged together.
    pub(crate) keras: crate::models::Layers,
    /// Whether files beside the artifact were asked about, so that its own bytes do not decide alone.
    pub(crate) neighbours: bool,
}

impl Engine {
    pub(crate) fn new(name: &str, options: &Options) -> Self {
        let bounds = options.bounds();
        Self {
            name: name.to_owned(),
            bounds,
            findings: Vec::new(),
            user_findings: Vec::new(),
            gaps: BTreeSet::new(),
            gap_log: Vec::new(),
            seen: crate::seen::Seen::default(),
            formats: Vec::new(),
            opened: 0,
            whole: 0,
            budget: bounds.max_expanded,
            storages: Vec::new(),
            digest: None,
            stores: Vec::new(),
            user_rules: options.user_rules.clone(),
            declared: false,
            served: false,
            deadline: options.max_time.map(Deadline::new),
            said: Origin::default(),
            asked: None,
            inside: Arc::default(),
            carried: Vec::new(),
            keras: crate::models::Layers::default(),
            neighbours: false,
        }
    }

    /// The result, and whether files beside the artifact had a part in it.
    pub(crate) fn run(mut self, source: &dyn Source) -> (ArtifactSummary, Vec<Finding>, bool) {
        let place = Place::artifact(self.name.clone());
        let name = self.name.clone();
        self.begin(source);
        let watched = Watched::new(source, self.deadline.clone());
        self.examine(&watched, &name, &place, 0);
        if let Some(deadline) = self.deadline.clone().filter(|deadline| deadline.was_missed()) {
            let why = format!("its examination takes longer than {} s", deadline.allowed.as_secs_f64());
            self.gap(&place, why, "give it more time (`--max-time`), or treat it as unexamined");
        } else if let Some(failure) = watched.failure() {
            self.gap(&place, failure.to_string(), UNREADABLE);
        }
        self.settle();
        Finding::sort(&mut self.findings);
        self.findings.dedup();
        let coverage = if self.gaps.is_empty() {
            Coverage::Complete
        } else {
            Coverage::Partial { gaps: self.gaps.into_iter().collect() }
        };
        let (path, formats, digest) = (self.name, self.formats, self.digest);
        let said = self.said.iter().map(|(kind, values)| (kind.to_owned(), values.iter().cloned().collect()));
        let said = said.collect();
        let summary = ArtifactSummary { path, size: source.len(), digest, formats, said, coverage };
        (summary, self.findings, self.neighbours)
    }

    /// What there is to examine.
    pub(crate) fn begin(&mut self, source: &dyn Source) {
        self.whole = source.len();
    }

    pub(crate) fn gap(&mut self, place: &Place, why: String, remedy: &str) {
        self.add_gap(Gap { what: place.to_string(), why, remedy: remedy.to_owned() });
    }

    pub(crate) fn add_gap(&mut self, gap: Gap) {
        if self.gap_log.len() < MAX_GAP_LOG {
            self.gap_log.push(gap.clone());
        }
        if self.gaps.len() < MAX_GAPS {
            self.gaps.insert(gap);
        }
    }

    /// Whether a member of this many bytes may still be opened. Members that lie beside one another and within one
    /// another only are never more, all together, than what there is on each level; those that overlap are.
    pub(crate) fn may_open(&mut self, bytes: u64) -> bool {
        self.opened = self.opened.saturating_add(bytes);
        let there = self.whole.saturating_add(self.bounds.max_expanded.saturating_sub(self.budget));
        let levels = u64::from(self.bounds.max_depth).saturating_add(2);
        self.opened <= there.saturating_mul(levels).saturating_add(OVERLAP)
    }

    /// Whether gaps are still written down in order.
    pub(crate) fn logs_gaps(&self) -> bool {
        self.gap_log.len() < MAX_GAP_LOG
    }

    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.as_ref().is_some_and(|deadline| deadline.was_missed())
    }

    /// Whether one more finding is kept; if not, that is a gap.
    pub(crate) fn has_room(&mut self, place: &Place) -> bool {
        let room = self.findings.len() < MAX_FINDINGS;
        if !room {
            self.gap(place, "too many findings already".into(), "the artifact is hostile; do not use it");
        }
        room
    }

    pub(crate) fn limits(&mut self, place: &Place, limits: &[String]) {
        for limit in limits {
            self.gap(place, limit.clone(), "treat the file as unexamined, or raise the bounds of the scan");
        }
    }

    pub(crate) fn judge(&mut self, facts: &Facts, place: &Place) {
        // What was read when the time ended looks cut off, and is no evidence.
        if !self.is_over() && self.has_room(place) {
            mantlet_rules::check(facts, place, &mut self.findings);
        }
    }

    /// Examines one file, member or payload.
    pub(crate) fn examine(&mut self, source: &dyn Source, name: &str, place: &Place, depth: u8) {
        if depth > self.bounds.max_depth {
            let why = format!("it is nested deeper than {} containers", self.bounds.max_depth);
            self.gap(place, why, "unpack it and scan the inner file");
            return;
        }
        if self.deadline.as_ref().is_some_and(|deadline| deadline.is_missed()) {
            return;
        }
        let before = match self.known(source, name, place, depth) {
            Ok(()) => return,
            Err(before) => before,
        };
        self.look_into(source, name, place, depth);
        self.remember(before, place, depth);
    }

    fn look_into(&mut self, source: &dyn Source, name: &str, place: &Place, depth: u8) {
        if let Some(act) = opened::member(name) {
            self.judge(&Facts::Opened(vec![act]), place);
        }
        let mut route = recognise(source, name, &self.bounds);
        let chunk = self.is_chunk(name, depth);
        if chunk {
            structures::as_numbers(&mut route);
        }
        route.declared = std::mem::take(&mut self.declared);
        if route.formats.contains(&Format::Tar)
            && route.formats.contains(&Format::Zip)
            && tar::analyse(source, &self.bounds).end >= source.len()
        {
            // The directory at the end is that of the last member, which is examined as one.
            route.formats.retain(|format| *format != Format::Zip);
        }
        for format in &route.formats {
            let word = format.name();
            if !self.formats.iter().any(|known| known == word) {
                self.formats.push(word.to_owned());
            }
        }
        let formats = route.formats.clone();
        self.judge(&Facts::Route(route), place);
        let listed = if formats.is_empty() && !chunk { store::parameters(source) } else { None };
        if let Some(mut list) = listed {
            self.formats.push(list.facts.format.to_owned());
            if depth == 0 && !list.shards.is_empty() {
                self.neighbours = true;
                companion::shards(&self.name, &list.shards, &mut list.facts);
            }
            self.structure(list.facts, source, place, depth);
        } else if formats.is_empty()
            && (chunk || companion::of_program(name) || depth == 0 && self.belongs(name, source))
        {
            if !self.formats.iter().any(|known| known == companion::FORMAT) {
                self.formats.push(companion::FORMAT.into());
            }
        } else if formats.is_empty() {
            self.gap(
                place,
                "its format is not recognised".into(),
                "if it is a model, say what wrote it; if not, keep it out of the scan",
            );
        }
        for &format in &formats {
            self.format(format, &formats, source, name, place, depth);
        }
        let digest = self.look(source, &formats, name, place, depth);
        if depth == 0 {
            self.digest = digest;
        }
        self.user_rules(source, place);
    }

    fn belongs(&mut self, name: &str, source: &dyn Source) -> bool {
        self.neighbours = true;
        companion::belongs(name, source, self.bounds.full_content || source.len() <= SMALL)
    }

    fn format(
        &mut self,
        format: Format,
        all: &[Format],
        source: &dyn Source,
        name: &str,
        place: &Place,
        depth: u8,
    ) {
        match format {
            Format::Pickle => self.pickle(all, source, place, depth),
            Format::Zip => self.zip(source, place, depth),
            Format::Tar => self.tar(source, place, depth),
            Format::Gzip
            | Format::Zlib
            | Format::Bzip2
            | Format::Xz
            | Format::Lzma
            | Format::Lz4
            | Format::Zstd => self.compressed(format, source, name, place, depth),
            Format::SevenZip => self.seven_zip(source, place, depth),
            Format::Ar => self.ar(source, place, depth),
            Format::JoblibZ => self.zfile(source, name, place, depth),
            Format::Npy => {
                let facts = npy::analyse(source, &self.bounds);
                self.wide_text(source, place);
                let (objects, data, next) = (facts.objects, facts.data, facts.next);
                self.judge(&Facts::Npy(facts), place);
                if objects {
                    let inner = SubSource::new(source, data, u64::MAX);
                    self.formats.retain(|known| known != Format::Pickle.name());
                    self.formats.push(Format::Pickle.name().into());
                    self.pickle(&[Format::Pickle], &inner, &place.member("objects"), depth + 1);
                }
                if let Some(next) = next {
                    let inner = SubSource::new(source, next, u64::MAX);
                    self.examine(&inner, name, &place.member(format!("array at {next:#x}")), depth + 1);
                }
            }
            Format::Safetensors => {
                let facts = safetensors::analyse(source, &self.bounds);
                self.limits(place, &facts.limits);
                self.metadata(facts.metadata.clone(), place);
                self.judge(&Facts::Safetensors(facts), place);
            }
            Format::Onnx => {
                let mut facts = onnx::analyse(source, &self.bounds);
                self.limits(place, &facts.limits);
                self.said.producer(&facts.producer);
                self.onnx_texts(&facts, source, place);
                let mut beside = Vec::new();
                if depth == 0 && !facts.external.is_empty() {
                    self.neighbours = true;
                    beside = companion::external_data(&self.name, &mut facts);
                }
                self.judge(&Facts::Onnx(facts), place);
                self.onnx_graph(source, &beside, place);
            }
            Format::Json | Format::Text | Format::Script => self.text(format, source, name, place, depth),
            Format::Empty => {}
            other if self.model(other, source, place) => {}
            other if self.structured(other, source, place, depth) => {}
            other if self.beside(other, source, place, depth) => {}
            other => {
                if other == Format::Pdf {
                    let bytes = mantlet_vocab::read_window(source, 0, MAX_DOCUMENT).unwrap_or_default();
                    let acts = opened::document(&bytes);
                    if !acts.is_empty() {
                        self.judge(&Facts::Opened(acts), place);
                    }
                }
                let why = format!("{} is recognised but not examined yet", other.name());
                let remedy = match other {
                    Format::Rar => "unpack it and scan the inner file",
                    Format::Hdf5 | Format::Gguf | Format::Tflite | Format::Ggml => {
                        "use another scanner for this format, or convert to ONNX or safetensors"
                    }
                    _ => "keep it out of the scan if it is no model",
                };
                self.gap(place, why, remedy);
            }
        }
    }

    /// Decompressed bytes: their damage, then what is in them.
    pub(crate) fn inflated(&mut self, inflated: &Inflated<'_>, name: &str, place: &Place, depth: u8) {
        self.unpacking(inflated, place);
        let window = self.bounds.max_window;
        self.bounds.max_window = window.saturating_sub(inflated.window());
        self.examine(inflated, name, place, depth + 1);
        self.bounds.max_window = window;
    }

    pub(crate) fn pickle(&mut self, all: &[Format], source: &dyn Source, place: &Place, depth: u8) {
        let mut facts = pickle::analyse(source, &self.bounds);
        if self.storages.len() < 100_000 {
            self.storages.append(&mut facts.storage_list);
        } else if !facts.storage_list.is_empty() {
            let why = "not every storage is compared with its member of the archive".into();
            self.gap(place, why, "load it with `weights_only=True`, or convert it to safetensors");
        }
        let named = named_in_pickle(source, if self.bounds.full_content { u64::MAX } else { MAX_WRITTEN });
        if !named.is_empty() {
            self.judge(&Facts::Secrets(named), place);
        }
        self.limits(place, &facts.limits);
        facts.carried.clone_from(&self.carried);
        if facts.trailing > 0 && all.len() == 1 {
            let why = format!("{} bytes after the last pickle belong to no known format", facts.trailing);
            self.gap(place, why, "find out what wrote them");
        }
        let payloads = facts.payloads.clone();
        self.judge(&Facts::Pickle(facts), place);
        for payload in payloads {
            if depth >= self.bounds.max_depth {
                self.gap(place, "pickles are nested too deep".into(), "do not load it");
                break;
            }
            match payload {
                Payload::Span { offset, len } => {
                    let inner = SubSource::new(source, offset, len);
                    self.examine(
                        &inner,
                        "payload.pkl",
                        &place.member(format!("bytes at {offset:#x}")),
                        depth + 1,
                    );
                }
                Payload::Inline(bytes) => {
                    let inner = MemorySource::new(&bytes);
                    self.examine(&inner, "payload.pkl", &place.member("computed bytes"), depth + 1);
                }
            }
        }
    }
}

/// Credentials of a pickle by their names, in steps; what lies behind `most` bytes is said to be left out where the rest
/// of it is searched.
fn named_in_pickle(source: &dyn Source, most: u64) -> Vec<secrets::Secret> {
    let (mut found, mut at) = (Vec::<secrets::Secret>::new(), 0_u64);
    while at < source.len().min(most) && found.len() < secrets::MAX_NAMED {
        let bytes = mantlet_vocab::read_window(source, at, NAMED_STEP).unwrap_or_default();
        for one in secrets::named_in_pickle(&bytes) {
            let offset = at + one.offset;
            if !found.iter().any(|known| known.offset == offset) {
                found.push(secrets::Secret { offset, ..one });
            }
        }
        if bytes.len() < NAMED_STEP {
            break;
        }
        at += NAMED_STEP as u64 - NAMED_SHARED;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_by_their_names_are_found_in_every_step_of_a_pickle() {
        let entry = [&b"\x8c\x07api_key\x94\x8c\x10"[..], b"q7Rk2ZtV", b"9mXw4LpB", b"\x94s"].concat();
        // Within a step, across its edge, in what two share, and in a later one.
        for at in [100, NAMED_STEP - 12, NAMED_STEP - 3_000, NAMED_STEP + 9_000, 3 * NAMED_STEP] {
            let mut bytes = vec![0; at];
            bytes.extend_from_slice(&entry);
            let found = |most: u64| named_in_pickle(&MemorySource::new(&bytes), most).len();
            assert_eq!((found(u64::MAX), found(0)), (1, 0), "{at}");
        }
    }
}
