//! Stores of arrays, a file for each chunk: the metadata of zarr 2 and 3, Orbax, and OCDBT databases.

pub mod ocdbt;
mod parameters;

pub use parameters::{Parameters, parameters};

use mantlet_vocab::{Source, read_window};
use serde_json::Value;

use crate::structure::{Power, Structure};

/// Bytes of one metadata file.
const MAX_JSON: usize = 4 << 20;
/// Arrays of one consolidated file.
const MAX_ARRAYS: usize = 20_000;
/// Codecs of one list, and lists of codecs inside codecs.
const MAX_CODECS: usize = 64;
const MAX_DEPTH: u8 = 8;

/// Codecs that turn bytes into numbers and nothing else, as numcodecs, zarr and tensorstore name them.
const CODECS: [&str; 43] = [
    "blosc",
    "zstd",
    "gzip",
    "zlib",
    "bz2",
    "lzma",
    "lz4",
    "delta",
    "fixedscaleoffset",
    "quantize",
    "bitround",
    "packbits",
    "shuffle",
    "astype",
    "categorize",
    "vlen-utf8",
    "vlen-bytes",
    "vlen-array",
    "json2",
    "msgpack2",
    "crc32",
    "adler32",
    "fletcher32",
    "jenkins_lookup3",
    "crc32c",
    "pcodec",
    "zfpy",
    "base64",
    "bytes",
    "endian",
    "transpose",
    "sharding_indexed",
    "reshape",
    "scale_offset",
    "cast_value",
    "zlib-ng",
    "bitshuffle",
    "lz4hc",
    "optional",
    "zfp",
    "grib",
    "null",
    "raw",
];

/// Whether a file of this name holds metadata of a store.
#[must_use]
pub fn is_metadata(name: &str) -> bool {
    matches!(file(name), ".zarray" | ".zmetadata" | "zarr.json")
}

fn file(name: &str) -> &str {
    name.rsplit(['/', '\\', '!']).next().unwrap_or(name)
}

/// The facts of one metadata file; `None` when it is no object of JSON.
#[must_use]
pub fn analyse(source: &dyn Source, name: &str) -> Option<Structure> {
    let mut facts = Structure::of("zarr");
    if source.len() > MAX_JSON as u64 {
        facts.limit(format!("metadata of more than {MAX_JSON} bytes is not examined"));
        return Some(facts);
    }
    let text = read_window(source, 0, MAX_JSON).unwrap_or_default();
    let Ok(Value::Object(json)) = serde_json::from_slice::<Value>(&text) else {
        facts.defect("its metadata is no JSON object", 0);
        return Some(facts);
    };
    let consolidated = match file(name) {
        ".zarray" => {
            array(&Value::Object(json), &mut facts);
            return Some(facts);
        }
        ".zmetadata" => json.get("metadata"),
        _ => json.get("consolidated_metadata").and_then(|inner| inner.get("metadata")),
    };
    let arrays = consolidated.and_then(Value::as_object);
    if arrays.is_some_and(|arrays| arrays.len() > MAX_ARRAYS) {
        facts.limit(format!("only the first {MAX_ARRAYS} arrays are examined"));
    }
    for (index, (path, inner)) in arrays.into_iter().flatten().enumerate() {
        facts.reads("path of an array", path, 0);
        if index >= MAX_ARRAYS {
            continue;
        }
        if inner.get("chunks").is_some() || inner.get("chunk_grid").is_some() {
            array(inner, &mut facts);
        }
    }
    if json.get("node_type").and_then(Value::as_str) == Some("array") {
        array(&Value::Object(json), &mut facts);
    }
    Some(facts)
}

fn numbers(value: Option<&Value>) -> Option<Vec<u64>> {
    value?.as_array()?.iter().map(Value::as_u64).collect()
}

/// One array: its shape, its chunks, what its bytes go through.
fn array(json: &Value, facts: &mut Structure) {
    let old = json.get("chunks").is_some();
    let shape = numbers(json.get("shape"));
    let chunks = if old {
        numbers(json.get("chunks"))
    } else {
        let grid = json.get("chunk_grid");
        let regular = grid.and_then(|grid| grid.get("name")).and_then(Value::as_str) == Some("regular");
        let chunks = grid.and_then(|grid| numbers(grid.get("configuration")?.get("chunk_shape")));
        if regular { chunks } else { shape.clone() }
    };
    match (shape, chunks) {
        (Some(shape), Some(chunks)) => {
            if shape.len() != chunks.len() {
                facts.defect(format!("an array of {} axes has chunks of {}", shape.len(), chunks.len()), 0);
            }
            if chunks.contains(&0) && !shape.contains(&0) {
                facts.defect("a chunk has no extent", 0);
            }
            let all = |axes: &[u64]| axes.iter().try_fold(8_u64, |all, &axis| all.checked_mul(axis));
            if all(&shape).is_none() || all(&chunks).is_none_or(|bytes| bytes > 1 << 40) {
                facts.defect(format!("an array of {shape:?} in chunks of {chunks:?} fits no machine"), 0);
            }
        }
        _ => facts.defect("the shape of an array or of its chunks cannot be read", 0),
    }
    if old {
        codec(json.get("compressor"), "id", facts);
        for filter in json.get("filters").and_then(Value::as_array).into_iter().flatten() {
            codec(Some(filter), "id", facts);
        }
        let object = json.get("dtype").and_then(Value::as_str).is_some_and(|kind| kind.contains('O'));
        let filtered = json.get("filters").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        if object && !filtered {
            facts.defect("an array of Python objects names nothing that could read them", 0);
        }
    } else {
        codecs(json.get("codecs"), facts, 0);
        for storage in json.get("storage_transformers").and_then(Value::as_array).into_iter().flatten() {
            if let Some(name) = storage.get("name").and_then(Value::as_str) {
                facts.names(Power::Native, "storage transformer", name, 0);
            }
        }
    }
}

fn codecs(list: Option<&Value>, facts: &mut Structure, depth: u8) {
    let list = list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if !list.is_empty() && depth > MAX_DEPTH {
        facts.limit(format!("codecs inside codecs are examined {MAX_DEPTH} deep"));
        return;
    }
    if list.len() > MAX_CODECS {
        facts.limit(format!("only the first {MAX_CODECS} codecs of an array are examined"));
    }
    for one in list.iter().take(MAX_CODECS) {
        codec(Some(one), "name", facts);
        let inner = one.get("configuration");
        for key in ["codecs", "index_codecs"] {
            codecs(inner.and_then(|inner| inner.get(key)), facts, depth + 1);
        }
    }
}

fn codec(codec: Option<&Value>, key: &str, facts: &mut Structure) {
    let Some(codec) = codec.filter(|codec| !codec.is_null()) else { return };
    let name = codec.get(key).or(Some(codec)).and_then(Value::as_str);
    let Some(name) = name else {
        facts.defect("a codec has no name", 0);
        return;
    };
    let plain = name.rsplit_once("numcodecs.").map_or(name, |(_, plain)| plain);
    if plain == "pickle" {
        facts.names(Power::Pickle, "codec", name, 0);
    } else if !CODECS.contains(&plain) && !plain.starts_with("imagecodecs_") {
        facts.names(Power::Native, "codec", name, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    const PICKLE: &str = r#"{"name":"numcodecs.pickle"}"#;

    fn array(codecs: &str) -> String {
        format!(
            r#"{{"node_type":"array","shape":[1],"chunk_grid":{{"name":"regular","configuration":
            {{"chunk_shape":[1]}}}},"codecs":[{codecs}]}}"#
        )
    }

    fn nested(depth: usize) -> String {
        (0..depth).fold(PICKLE.to_owned(), |inner, _| {
            format!(r#"{{"name":"sharding_indexed","configuration":{{"codecs":[{inner}]}}}}"#)
        })
    }

    fn facts(name: &str, text: &str) -> Structure {
        analyse(&MemorySource::new(text.as_bytes()), name).expect("it is metadata")
    }

    #[test]
    fn what_lies_beyond_a_bound_is_said() {
        for depth in [0, 1, 8] {
            let facts = facts("zarr.json", &array(&nested(depth)));
            assert!(facts.code.len() == 1 && facts.limits.is_empty(), "{depth} {facts:?}");
        }
        let bytes = r#"{"name":"bytes"},"#.repeat(64);
        for codecs in [nested(10), format!("{bytes}{PICKLE}")] {
            let facts = facts("zarr.json", &array(&codecs));
            assert!(facts.code.is_empty() && facts.limits.len() == 1, "{facts:?}");
        }
        let many: String = (0..20_000).map(|index| format!("\"{index}\":{{}},")).collect();
        let text = format!(r#"{{"metadata":{{{many}"zz/../../x":{}}}}}"#, array(PICKLE));
        let facts = facts(".zmetadata", &text);
        assert_eq!(facts.limits, ["only the first 20000 arrays are examined"]);
        assert_eq!(facts.paths[256].name, "zz/../../x");
    }
}
