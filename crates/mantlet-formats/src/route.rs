//! What a file is, by its content. The extension only says what it claims to be.
//!
//! Long because every recogniser is asked in one place.

use mantlet_vocab::{Source, read_window};

use crate::python::bytecode;
use crate::{Bounds, java, media, models, npy, onnx, pickle, rdata, safetensors, tar, tensorflow, zip};

macro_rules! formats {
    ($($(#[$doc:meta])* $variant:ident $name:literal),+ $(,)?) => {
        /// A format recognised by content.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the variants are the formats")]
        pub enum Format { $($variant),+ }
        impl Format {
            /// The name used in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}
formats! {
    Pickle "pickle", Zip "zip", Tar "tar", Gzip "gzip", Zlib "zlib", Npy "npy", Safetensors "safetensors",
    Onnx "onnx", Json "json", Text "text", Empty "empty", Hdf5 "hdf5", Gguf "gguf", Ggml "ggml", Bzip2 "bzip2",
    Xz "xz", Lzma "lzma", Lz4 "lz4", Zstd "zstd", SevenZip "7z", Rar "rar", Elf "elf executable",
    Pe "windows executable", MachO "mac executable", Parquet "parquet", Arrow "arrow", Tflite "tflite",
    Vocabulary "sentencepiece", RData "r data", Image "image", Pdf "pdf", Sqlite "sqlite", Script "script",
    TensorFlow "tensorflow", XgBoost "xgboost", Ubjson "ubjson", CatBoost "catboost", MessagePack "messagepack",
    Ocdbt "ocdbt", CoreMl "core ml", CoreMlWeights "core ml weights", ExecuTorch "executorch",
    ExecuTorchData "executorch data", Paddle "paddle", PaddleParameters "paddle parameters", MxNet "mxnet parameters",
    TensorRt "tensorrt", Rknn "rknn", Cntk "cntk", Torch7 "torch7", Caffe "caffe",
    Bytecode "python bytecode", Ar "ar", Java "java objects", JoblibZ "joblib zfile",
    Shortcut "windows shortcut",
}

impl Format {
    /// Whether mantlet opens and judges this format today.
    #[must_use]
    pub const fn is_examined(self) -> bool {
        !matches!(
            self,
            Self::Rar
                | Self::Elf
                | Self::Pe
                | Self::MachO
                | Self::Pdf
                | Self::Sqlite
                | Self::Script
                | Self::TensorRt
                | Self::Rknn
                | Self::Cntk
        )
    }
}

/// What a file is and what its name claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// Every format whose recogniser matched, outermost reading first.
    pub formats: Vec<Format>,
    /// The formats that fit the extension; empty when the extension claims nothing.
    pub claimed: Vec<Format>,
    /// The extension, lower-case.
    pub extension: String,
    /// The package it lies in lists it, with this digest, as a library for the package's platform.
    pub declared: bool,
}

impl Route {
    /// Formats that are there although the name claims others.
    #[must_use]
    pub fn lies(&self) -> Vec<Format> {
        if self.claimed.is_empty() {
            return Vec::new();
        }
        self.formats.iter().copied().filter(|format| !self.claimed.contains(format)).collect()
    }
}

fn claims(extension: &str) -> &'static [Format] {
    use Format::{
        Bzip2, Gguf, Gzip, Hdf5, Image, Json, Npy, Onnx, Parquet, Safetensors, SevenZip, Tar, Text, Tflite,
        Xz, Zip,
    };
    match extension {
        "safetensors" => &[Safetensors],
        "onnx" => &[Onnx],
        "npy" => &[Npy],
        "npz" | "zip" | "keras" | "whl" => &[Zip],
        "gguf" => &[Gguf],
        "h5" | "hdf5" => &[Hdf5],
        "json" | "ipynb" => &[Json],
        "txt" | "md" | "csv" | "tsv" | "yaml" | "yml" | "toml" | "cfg" | "ini" | "jsonl" | "rst" => {
            &[Text, Json]
        }
        "parquet" => &[Parquet],
        // Label files travel in a zip behind the model (TensorFlow Lite metadata).
        "tflite" => &[Tflite, Zip],
        "tar" => &[Tar],
        "gz" | "tgz" => &[Gzip],
        "bz2" => &[Bzip2],
        "xz" => &[Xz],
        "7z" => &[SevenZip],
        "png" | "jpg" | "jpeg" | "gif" | "webp" => &[Image],
        _ => &[],
    }
}

fn is_pickle_name(extension: &str) -> bool {
    matches!(
        extension,
        "pkl"
            | "pickle"
            | "p"
            | "pk"
            | "joblib"
            | "pt"
            | "pth"
            | "ckpt"
            | "dill"
            | "sav"
            | "model"
            | "data"
            | "dat"
            | "pyt"
            | "t7"
    )
}

const MAGIC: [(&[u8], Format); 24] = [
    (b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", Format::Shortcut),
    (crate::ar::MAGIC, Format::Ar),
    (b"ZF0x", Format::JoblibZ),
    (b"\x89HDF\r\n\x1a\n", Format::Hdf5),
    (b"GGUF", Format::Gguf),
    (b"tjgg", Format::Ggml),
    (b"lmgg", Format::Ggml),
    (b"fmgg", Format::Ggml),
    (b"algg", Format::Ggml),
    (b"\xfd7zXZ\0", Format::Xz),
    (b"\x04\x22\x4d\x18", Format::Lz4),
    (b"\x28\xb5\x2f\xfd", Format::Zstd),
    (b"7z\xbc\xaf\x27\x1c", Format::SevenZip),
    (b"Rar!\x1a\x07", Format::Rar),
    (b"\x7fELF", Format::Elf),
    (b"\xcf\xfa\xed\xfe", Format::MachO),
    (b"\xca\xfe\xba\xbe", Format::MachO),
    (b"PAR1", Format::Parquet),
    (b"ARROW1", Format::Arrow),
    (b"\x89PNG", Format::Image),
    (b"\xff\xd8\xff", Format::Image),
    (b"GIF8", Format::Image),
    (b"%PDF-", Format::Pdf),
    (b"SQLite format 3\0", Format::Sqlite),
];

/// Tries every recogniser. `name` only supplies the extension.
#[must_use]
pub fn recognise(source: &dyn Source, name: &str, bounds: &Bounds) -> Route {
    let file = name.rsplit(['/', '\\', '!']).next().unwrap_or(name).to_ascii_lowercase();
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension).to_owned();
    let claimed = claims(&extension);
    let mut route = Route { formats: Vec::new(), claimed: claimed.to_vec(), extension, declared: false };
    let head = read_window(source, 0, 4_096).unwrap_or_default();
    let found = &mut route.formats;
    if source.is_empty() {
        found.push(Format::Empty);
        return route;
    }
    if safetensors::is_safetensors(&head, source.len()) {
        found.push(Format::Safetensors);
    }
    if npy::is_npy(&head) {
        found.push(Format::Npy);
    }
    if tar::is_tar(&head) {
        found.push(Format::Tar);
    }
    found.extend(MAGIC.iter().filter(|(magic, _)| head.starts_with(magic)).map(|&(_, format)| format));
    // A class of Java has a version where a program of macOS has the number of its parts.
    if head.get(4..8).is_some_and(|count| count > [0, 0, 0, 40].as_slice())
        && head.starts_with(b"\xca\xfe\xba\xbe")
    {
        found.retain(|format| *format != Format::MachO);
    }
    if matches!(head.as_slice(), [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..])
        || head.starts_with(b"BZh") && head.get(4..10) == Some(b"\x17\x72\x45\x38\x50\x90")
    {
        found.push(Format::Bzip2);
    }
    if let Some(format) = skipping(source, &head) {
        found.push(format);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        found.push(Format::Image);
    }
    if rdata::is_rdata(&head) {
        found.push(Format::RData);
    }
    // Behind a block of the user's own.
    let hdf5 = |start: &usize| head.get(*start..).is_some_and(|rest| rest.starts_with(b"\x89HDF\r\n\x1a\n"));
    if !found.contains(&Format::Hdf5) && [512, 1_024, 2_048].iter().any(hdf5) {
        found.push(Format::Hdf5);
    }
    if found.is_empty() && media::is_sentencepiece(source) {
        found.push(Format::Vocabulary);
    }
    if java::is_java(&head) {
        found.push(Format::Java);
    }
    if bytecode::is_bytecode(&head) {
        found.push(Format::Bytecode);
    }
    let model = if found.is_empty() { models::recognise(source, &head) } else { None };
    found.extend(model);
    if model.is_none() && is_lzma(&head) {
        found.push(Format::Lzma);
    }
    if head.get(4..8) == Some(b"TFL3") {
        found.push(Format::Tflite);
    }
    // Programs that run everywhere begin as one for Windows whose header is a shell script too.
    if head.starts_with(b"MZqFpD=") || head.starts_with(b"MZ") && head.len() > 0x40 && is_pe(&head) {
        found.push(Format::Pe);
    }
    if head.starts_with(&[0x1f, 0x8b, 8]) {
        found.push(Format::Gzip);
    } else if is_zlib(&head) {
        found.push(Format::Zlib);
    }
    // Modules that read archives have their marks among their constants.
    if zip::is_zip(source) && (!found.contains(&Format::Bytecode) || ends_as_zip(source)) {
        found.push(Format::Zip);
    }
    if onnx::is_onnx(source) {
        found.push(Format::Onnx);
    } else if matches!(head.first(), Some(8 | 10 | 18)) && tensorflow::recognise(source).is_some() {
        found.push(Format::TensorFlow);
    }
    let text = is_text(&head);
    // A plain unpickler refuses persistent ids, so what begins with one (as every zip does) is none.
    let zip = !found.is_empty() && head.starts_with(b"P");
    if !zip && is_pickle(source, &head, text, &route.extension, bounds) {
        route.formats.push(Format::Pickle);
    }
    if text && route.formats.is_empty() {
        let first = head.trim_ascii_start().first();
        let json = matches!(first, Some(b'{' | b'['))
            && matches!(route.extension.as_str(), "json" | "ipynb" | "")
            || route.extension == "json";
        let script = head.starts_with(b"#!")
            || matches!(route.extension.as_str(), "py" | "sh" | "js" | "rb" | "pl" | "ps1" | "bat");
        route.formats.push(if script {
            Format::Script
        } else if json {
            Format::Json
        } else {
            Format::Text
        });
    }
    // Nothing matched: what the name claims is tried, so that a broken file is said to be broken.
    if route.formats.is_empty() {
        let fallback =
            claimed.iter().copied().find(|f| matches!(f, Format::Safetensors | Format::Onnx | Format::Zip));
        let pickle = is_pickle_name(&route.extension) && matches!(head.first(), Some(0x80));
        route.formats.extend(fallback.or(pickle.then_some(Format::Pickle)));
    }
    route
}

/// Frames that decoders of Zstandard and LZ4 skip may come first: what follows them decides.
fn skipping(source: &dyn Source, head: &[u8]) -> Option<Format> {
    let skips = |bytes: &[u8]| matches!(bytes, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
    if !skips(head) {
        return None;
    }
    let mut at = 0_u64;
    for _ in 0..1_024 {
        let frame = read_window(source, at, 8).ok()?;
        match frame.get(..4)? {
            b"\x28\xb5\x2f\xfd" => return Some(Format::Zstd),
            b"\x04\x22\x4d\x18" => return Some(Format::Lz4),
            start if skips(start) => {}
            _ => return None,
        }
        let len = u32::from_le_bytes(frame.get(4..8)?.try_into().ok()?);
        at = at.checked_add(8 + u64::from(len))?;
    }
    None
}

/// Whether the end of an archive is the end of the file.
fn ends_as_zip(source: &dyn Source) -> bool {
    let start = source.len().saturating_sub(66_000);
    let tail = read_window(source, start, 66_000).unwrap_or_default();
    memchr::memmem::rfind_iter(&tail, b"PK\x05\x06").any(|at| {
        let comment = tail.get(at + 20..at + 22).and_then(|len| len.try_into().ok()).map(u16::from_le_bytes);
        comment.is_some_and(|len| at + 22 + usize::from(len) == tail.len())
    })
}

fn is_pe(head: &[u8]) -> bool {
    let at = head.get(0x3c..0x40).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    at.and_then(|at| head.get(at as usize..at as usize + 4)) == Some(b"PE\0\0")
}

fn is_zlib(head: &[u8]) -> bool {
    let &[cmf, flags, ..] = head else { return false };
    if cmf & 15 != 8
        || cmf >> 4 > 7
        || flags & 0x20 != 0
        || (u32::from(cmf) * 256 + u32::from(flags)) % 31 != 0
    {
        return false;
    }
    let mut out = [0; 512];
    let mut stream = flate2::Decompress::new(true);
    stream.decompress(head, &mut out, flate2::FlushDecompress::None).is_ok() && stream.total_out() > 0
}

/// The older LZMA has no magic: properties that encoders write, a dictionary of a power of two or thereabouts,
/// a length that is unknown or sensible, and the first byte of the range coder, which is zero.
fn is_lzma(head: &[u8]) -> bool {
    let &[props, a, b, c, d, ref rest @ ..] = head else { return false };
    let (Some(size), Some(&[0, _])) =
        (rest.get(..8).and_then(|size| size.try_into().ok()).map(u64::from_le_bytes), rest.get(8..10))
    else {
        return false;
    };
    let dictionary = u32::from_le_bytes([a, b, c, d]);
    let shape = dictionary.is_power_of_two()
        || (dictionary / 3).is_power_of_two() && dictionary % 3 == 0
        || dictionary == u32::MAX;
    props < 225 && shape && dictionary >= 4_096 && (size == u64::MAX || size < 1 << 40)
}

fn is_text(head: &[u8]) -> bool {
    if head.len() > 3 && matches!(head, [0xff, 0xfe, _, 0, ..] | [0xfe, 0xff, 0, _, ..]) {
        return true;
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    };
    valid && !head.iter().any(|&byte| byte < 9 || (14..32).contains(&byte) && byte != 27)
}

/// A pickle announces itself by PROTO; older ones are recognised by making sense to the end.
fn is_pickle(source: &dyn Source, head: &[u8], text: bool, extension: &str, bounds: &Bounds) -> bool {
    let named = is_pickle_name(extension) || extension == "bin";
    let announced = matches!(head, [0x80, 0..=5, ..]);
    if announced && named {
        return true;
    }
    if !announced {
        // Cheap refusal of almost everything before the machine is started.
        let opening = matches!(
            head.first(),
            Some(
                b'('
                | b'c'
                | b'i'
                | b'}'
                | b']'
                | b')'
                | b'N'
                | b'I'
                | b'K'
                | b'J'
                | b'M'
                | b'L'
                | b'F'
                | b'G'
                | b'S'
                | b'T'
                | b'U'
                | b'V'
                | b'X'
                | b'P'
                | b'B'
                | b'C'
                | 0x88..=0x8f
                | 0x95..=0x96
                | 0x82..=0x84,
            )
        );
        if !opening {
            return false;
        }
    }
    let facts = pickle::analyse(source, bounds);
    let names =
        facts.imports.iter().all(|import| is_dotted_name(&import.module) && is_dotted_name(&import.name));
    let reaches = names
        && (facts.call_count > 0 && !facts.imports.is_empty()
            || facts
                .imports
                .iter()
                .any(|import| !import.effect.is_allowed() && import.effect != pickle::Effect::Unknown));
    if announced {
        return reaches || facts.stopped > 0 || !facts.imports.is_empty();
    }
    let whole = facts.stopped > 0 && facts.end == source.len();
    reaches
        || (whole && names && (named || (!text && facts.opcodes > 2)))
        || (facts.stopped > 0 && named && facts.opcodes > 1)
}

fn is_dotted_name(name: &str) -> bool {
    !name.is_empty()
        && name.split('.').all(|part| {
            part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        })
}
