//! The forge: hostile and benign artifacts built at test time from readable text, so that the repository
//! holds nothing live and reviewers can read everything.
//!
//! [`cases`] cuts a room's `cases.md` into cases; [`forge`] turns the text of one into bytes.

mod assembly;
mod binary;
mod cases;
mod containers;
mod models;
pub mod servers;
mod tensorflow;

pub use assembly::assemble;
pub use cases::{Case, Kind, cases};

/// Why a text cannot be forged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}: `{text}`")]
pub struct ForgeError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
    /// The line itself.
    pub text: String,
}

impl ForgeError {
    fn new(line: usize, reason: &'static str, text: &str) -> Self {
        Self { line, reason, text: text.to_owned() }
    }
}

/// Bytes of an artifact of this kind.
///
/// - `pickle`: opcodes as `pickletools` names them, one a line ([`assemble`]).
/// - `zip`, `tar`: `member NAME KIND [option...]` with the member's text indented by two spaces below it.
/// - `npy`: the header's dictionary, then `data N` or `pickle` with indented opcodes.
/// - `safetensors`: the JSON header, then `data N`; `length N` declares another header length.
/// - `onnx`: `node DOMAIN TYPE`, `function DOMAIN NAME CALLS`, `property KEY TEXT`, `external TENSOR LOCATION`, `tensor NAME DIM BYTES`.
/// - `graph`: an ONNX model with edges: `input NAME DIMS`, `weights NAME DIMS`, `values NAME NUMBER...`,
///   `op NAME TYPE OPERANDS [axes=N]`, `output NAME`.
/// - `gguf`: `text KEY VALUE`, `number KEY N`, `tensor NAME TYPE DIMS [offset=N]`, `data N`, `tail TEXT`.
/// - `hdf5`: `attribute NAME TEXT`, `dataset NAME FLOATS`, `claim NAME FLOATS` (none of them stored), `link NAME FILE` (external), `tail TEXT`.
/// - `tensorflow`: `node NAME TYPE INPUTS`, `const NAME TEXT`, `asset NAME`, `function NAME` (the nodes below
///   are in it), `cut N`.
/// - `lowbits`, `deviation`: float weights and what was done to them: `values N`, `payload N`, `coarse`,
///   `rows N OF`, `spike`, `bits N`, `trained`, `same`; the second is compared with the untouched weights.
/// - `tflite`: `builtin CODE`, `custom NAME`, `tail N`, `lie`.
/// - `proto`: protocol buffers: `FIELD NUMBER`, `FIELD "text"`, `FIELD xHEX`, or `FIELD` with a message below.
/// - `flat`: a flatbuffer: `id ABCD`, `sized ABCD`, `tail HEX`, then fields `N KIND VALUE`; kinds are `u8` to
///   `u64`, `text`, `bytes`, `ints`, `longs`, `doubles`, `texts`, `table`, `tables`.
/// - `ubj`, `msgpack`: those encodings from JSON; `tail HEX`.
/// - `gzip`, `zlib`: the inner kind on the first line, its text indented below.
/// - `text`: the text itself; `hex`: bytes in hexadecimal, `00*9` for nine of them.
///
/// # Errors
/// When the text is not in the kind's language.
pub fn forge(kind: &str, text: &str) -> Result<Vec<u8>, ForgeError> {
    match kind {
        "pickle" => assemble(text),
        "zip" => containers::zip(text),
        "tar" => containers::tar(text),
        "npy" => containers::npy(text),
        "safetensors" => containers::safetensors(text),
        "onnx" => containers::onnx(text),
        "graph" | "probe" => models::graph(text),
        "gguf" => models::gguf(text),
        "hdf5" => models::hdf5(text),
        "lowbits" | "deviation" => models::floats(text),
        "tensorflow" => tensorflow::saved_model(text),
        "tflite" => tensorflow::lite(text),
        "proto" => binary::proto(text),
        "flat" => binary::flat(text),
        "ubj" => binary::ubjson(text),
        "msgpack" => binary::msgpack(text),
        "gzip" | "zlib" => containers::compressed(kind, text),
        "text" => Ok(text.as_bytes().to_vec()),
        "hex" => {
            let words = text.split_whitespace().map(|word| match word.split_once('*') {
                Some((digits, times)) => digits.repeat(times.parse().unwrap_or(0)),
                None => word.to_owned(),
            });
            assembly::hex(&words.collect::<String>())
                .ok_or_else(|| ForgeError::new(1, "not hexadecimal", text))
        }
        _ => Err(ForgeError::new(0, "no such kind of artifact", kind)),
    }
}
