//! One look at every byte: credentials, programs, low bits of weights, digests and checksums together.

use mantlet_formats::lowbits::Survey;
use mantlet_formats::metadata;
use mantlet_formats::pass::pass;
use mantlet_formats::python::Role;
use mantlet_formats::route::Format;
use mantlet_formats::sweep::Swept;
use mantlet_formats::weights::TensorInfo;
use mantlet_formats::{Facts, hdf5, pickle, strides, sweep, weights};
use mantlet_vocab::{Digest, MemorySource, Place, Source, SubSource, read_window};
use sha2::{Digest as _, Sha256};

use crate::engine::{Engine, SMALL};
use crate::members::shown;
use crate::packed::wrapper;

/// Bytes of what loaders interpret that are searched for credentials and programs without `--full`.
pub(crate) const MAX_WRITTEN: u64 = 512 << 20;
/// Bytes of it that are searched for hidden pickles.
const MAX_HIDING: u64 = 32 << 20;
/// Tensors of bytes that are asked whether they are pickles.
const MAX_STATES: usize = 4_096;
/// Formats that list their weights.
const LISTED: [Format; 7] =
    [Format::Safetensors, Format::Gguf, Format::Onnx, Format::Npy, Format::Hdf5, Format::Zip, Format::Caffe];

impl Engine {
    /// Looks at the bytes of a file, as far as they are to be read, and returns the SHA-256 of the outermost one.
    pub(crate) fn look(
        &mut self,
        source: &dyn Source,
        formats: &[Format],
        name: &str,
        place: &Place,
        depth: u8,
    ) -> Option<Digest> {
        let full = self.bounds.full_content;
        let promised = promised(name);
        let digests = depth == 0 && (full || source.len() <= SMALL) || promised.is_some();
        let swept = self.swept(source, formats);
        if swept == Some(MAX_WRITTEN) {
            let why = format!(
                "only its first {} MiB were searched for credentials and programs",
                MAX_WRITTEN >> 20
            );
            self.gap(place, why, "scan it with `--full`");
        }
        let listed = (full || source.len() <= SMALL) && formats.iter().any(|format| LISTED.contains(format));
        let listing = listed.then(|| weights::list(source, &self.bounds)).flatten();
        if let Some(listing) = &listing {
            self.weights(source, &listing.tensors, place);
        }
        if (full || source.len() <= SMALL) && formats.contains(&Format::Hdf5) {
            for (tensor, bytes) in hdf5::chunked(source, &self.bounds) {
                let (inner, part) = (MemorySource::new(&bytes), place.part(tensor.name.clone()));
                self.weights(&inner, std::slice::from_ref(&tensor), &part);
                let programs = sweep::sweep(&inner, u64::MAX).programs;
                if !programs.is_empty() {
                    self.judge(&Facts::Programs(programs), &part);
                }
            }
        }
        // Of long files the weights are numbers; states that are unpickled lie beside them.
        if listing.is_none()
            && formats.contains(&Format::Safetensors)
            && let Some(listing) = weights::list(source, &self.bounds)
        {
            self.byte_pickles(source, &listing.tensors, place);
        }
        let mut survey = listing.map(|listing| Survey::new(listing.tensors));
        let limit = if digests || survey.is_some() { u64::MAX } else { swept? };
        let until = if full { u64::MAX } else { MAX_HIDING };
        let mut found =
            if holds_pickles(formats) { Swept::for_pickles_until(until) } else { Swept::default() };
        let mut hasher = Sha256::new();
        let read = pass(source, limit, |step| {
            if digests {
                hasher.update(step.new_bytes());
            }
            if swept.is_some_and(|limit| step.offset() < limit) {
                found.see(step);
            }
            if let Some(survey) = &mut survey {
                survey.see(step.offset(), step.new_bytes());
            }
        });
        self.found(found, formats, place);
        let low = survey.map(Survey::found).unwrap_or_default();
        if !low.is_empty() {
            self.judge(&Facts::LowBits(low), place);
        }
        if !self.all_read(read, limit.min(source.len()), place) || !digests {
            return None;
        }
        let digest = Digest(hasher.finalize().into());
        if promised.is_some_and(|hex| !digest.to_string().ends_with(&hex)) {
            let what = format!("its name promises other bytes: their digest is {digest}");
            self.judge(&Facts::Damage(what), place);
        }
        Some(digest)
    }

    /// Pickles that are all of a tensor of bytes, as states beside weights are kept (`_extra_state` of Transformer Engine)
    /// that are unpickled when the model is restored. Gives where those begin that were judged.
    fn byte_pickles(&mut self, source: &dyn Source, tensors: &[TensorInfo], place: &Place) -> Vec<u64> {
        let bytes = |tensor: &&TensorInfo| tensor.dtype.width() == Some(1) && tensor.len >= 8;
        let mut judged = Vec::new();
        for tensor in tensors.iter().filter(bytes).take(MAX_STATES) {
            let part = place.part(tensor.name.clone());
            if self.byte_pickle(source, (tensor.start, tensor.len), &part) {
                judged.push(tensor.start);
            }
        }
        judged
    }

    /// Judges bytes that are a pickle from the first to the last, but for zeros; false when they are none.
    pub(crate) fn byte_pickle(
        &mut self,
        source: &dyn Source,
        (start, len): (u64, u64),
        place: &Place,
    ) -> bool {
        let head = read_window(source, start, 2).unwrap_or_default();
        if !matches!(head[..], [0x80, 2..=5]) || len > SMALL {
            return false;
        }
        let bytes = read_window(source, start, len as usize).unwrap_or_default();
        let Some(last) = bytes.iter().rposition(|&byte| byte != 0).filter(|&last| bytes[last] == b'.') else {
            return false;
        };
        let inner = SubSource::new(source, start, last as u64 + 1);
        // Numbers may begin and end so; they do not spell opcodes to their end.
        let facts = pickle::analyse(&inner, &self.bounds);
        if facts.stopped == 0 || !facts.defects.is_empty() || facts.end != inner.len() {
            return false;
        }
        self.pickle(&[Format::Pickle], &inner, place, 1);
        true
    }

    /// Programs in parts of numbers, and tables with a row that outshouts all others.
    fn weights(&mut self, source: &dyn Source, tensors: &[TensorInfo], place: &Place) {
        let own = self.byte_pickles(source, tensors, place);
        let rest: Vec<TensorInfo>;
        let others = if own.is_empty() {
            tensors
        } else {
            let judged = |tensor: &&TensorInfo| !own.contains(&tensor.start);
            rest = tensors.iter().filter(judged).cloned().collect();
            &rest
        };
        let strided = strides::strided(source, others);
        if !strided.is_empty() {
            self.judge(&Facts::LowBits(strided), place);
        }
        if let Some(what) = metadata::joined(tensors.iter().map(|tensor| tensor.name.as_str())) {
            let mut text = metadata::Text::new("names of tensors", "");
            text.hides = Some(what);
            self.judge(&Facts::Metadata(vec![text]), place);
        }
        for tensor in
            tensors.iter().filter(|tensor| tensor.dtype.width() == Some(1) && tensor.len >= 16).take(64)
        {
            let bytes =
                read_window(source, tensor.start, tensor.len.min(64 << 10) as usize).unwrap_or_default();
            let printed = |byte: &&u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
            if bytes.iter().filter(printed).count() * 50 >= bytes.len() * 49 {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let inside = place.part(tensor.name.clone());
                self.commands(&text, &inside);
                self.python(&text, Role::Script, &inside);
            }
        }
        let loud = weights::loud_rows(source, tensors);
        if !loud.is_empty() {
            self.judge(&Facts::Deviations(loud), place);
        }
    }

    /// Credentials among texts of two or four bytes a letter, as arrays and other systems keep them.
    pub(crate) fn wide_text(&mut self, source: &dyn Source, place: &Place) {
        let bytes = read_window(source, 0, SMALL as usize).unwrap_or_default();
        // Zeros between the letters, and nothing else.
        let zeros = bytes.iter().filter(|&&byte| byte == 0).count();
        if zeros * 3 < bytes.len() {
            return;
        }
        let narrow: Vec<u8> = bytes.into_iter().filter(|&byte| byte != 0).collect();
        let mut swept = mantlet_formats::sweep::sweep(&MemorySource::new(&narrow), SMALL);
        swept.secrets.iter_mut().for_each(|secret| secret.offset = 0);
        if !swept.secrets.is_empty() {
            self.judge(&Facts::Secrets(swept.secrets), &place.part("wide text".to_owned()));
        }
    }

    /// Looks at a stored member of an archive that no loader interprets, or compares its checksum only.
    pub(crate) fn look_at_member(
        &mut self,
        source: &dyn Source,
        sweep: bool,
        declared: Option<u32>,
        name: &str,
        place: &Place,
    ) {
        let mut found = Swept::default();
        let mut crc = flate2::Crc::new();
        let read = pass(source, u64::MAX, |step| {
            if declared.is_some() {
                crc.update(step.new_bytes());
            }
            if sweep {
                found.see(step);
            }
        });
        self.found(found, &[], place);
        if self.all_read(read, source.len(), place)
            && let Some(declared) = declared
        {
            self.checksum(declared, crc.sum(), name, place);
        }
    }

    pub(crate) fn checksum(&mut self, declared: u32, actual: u32, name: &str, place: &Place) {
        if declared != actual {
            let what = format!("the checksum of `{}` is wrong; some loaders do not check it", shown(name));
            self.judge(&Facts::Damage(what), place);
        }
    }

    fn all_read(
        &mut self,
        read: Result<u64, mantlet_vocab::SourceError>,
        wanted: u64,
        place: &Place,
    ) -> bool {
        match read {
            Ok(count) if count == wanted => return true,
            Ok(_) => {
                self.gap(
                    place,
                    "its length changed while it was read".into(),
                    "scan it while nobody writes it",
                );
            }
            Err(error) => self.gap(place, error.to_string(), "scan a copy on a working disk"),
        }
        false
    }

    /// How far a file that is no container is searched for credentials and programs: where loaders interpret it
    /// always, and in the rest when every byte is to be read. Members of containers are searched one by one.
    fn swept(&self, source: &dyn Source, formats: &[Format]) -> Option<u64> {
        let container = |format: &Format| {
            matches!(format, Format::Zip | Format::Tar | Format::SevenZip) || wrapper(*format).is_some()
        };
        let interpreted = |format: &Format| {
            matches!(
                format,
                Format::Pickle
                    | Format::Json
                    | Format::Text
                    | Format::Script
                    | Format::Onnx
                    | Format::Bytecode
            )
        };
        if formats.iter().all(container) && !formats.is_empty() {
            return None;
        }
        let read = formats.iter().any(interpreted);
        let most = if read { MAX_WRITTEN } else { SMALL };
        if self.bounds.full_content || source.len() <= most { Some(u64::MAX) } else { read.then_some(most) }
    }

    fn found(&mut self, mut swept: Swept, formats: &[Format], place: &Place) {
        let cut = swept.cut();
        if !swept.secrets.is_empty() {
            self.judge(&Facts::Secrets(swept.secrets), place);
        }
        if !swept.indicators.is_empty() {
            self.judge(&Facts::Indicators(swept.indicators), place);
        }
        if cut {
            let why = "more in it looks like the beginning of a pickle than is followed".to_owned();
            self.gap(place, why, "treat the file as unexamined");
        }
        if !swept.pickles.is_empty() {
            self.judge(&Facts::EmbeddedPickles(swept.pickles), place);
        }
        // A script is text, and at home in any other file than one of weights.
        let weights = |format: &Format| matches!(format, Format::Safetensors | Format::Gguf | Format::Npy);
        if formats.iter().any(weights) {
            swept.programs.append(&mut swept.scripts);
        }
        let program = |format: &Format| matches!(format, Format::Elf | Format::Pe | Format::MachO);
        if !swept.programs.is_empty() && !formats.iter().any(program) {
            self.judge(&Facts::Programs(swept.programs), place);
        }
    }
}

/// Whether a pickle among the bytes is worth a word: not in a pickle, whose own bytes are followed to decoders,
/// not in a container, whose members are looked at one by one, and not among tensors.
fn holds_pickles(formats: &[Format]) -> bool {
    let other = |format: &Format| {
        matches!(
            format,
            Format::Pickle
                | Format::Npy
                | Format::Safetensors
                | Format::Gguf
                | Format::Ggml
                | Format::Zip
                | Format::Tar
                | Format::SevenZip
                | Format::Script
                | Format::Caffe
        )
    };
    !formats.iter().any(other)
}

/// The digest that the name of a blob of an image layout promises.
fn promised(name: &str) -> Option<String> {
    let mut parts = name.rsplit(['/', '\\', '!']);
    let (Some(hex), Some("sha256"), Some("blobs")) = (parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| hex.to_ascii_lowercase())
}
