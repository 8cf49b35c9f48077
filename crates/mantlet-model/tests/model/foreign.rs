//! Networks as TensorFlow, TensorFlow Lite and Keras write them: values beside those of the libraries, and what is refused.
//!
//! The files and what the libraries give are written by `scripts/vectors/foreign.py`.

use std::path::{Path, PathBuf};

use mantlet_model::{ExternalData, Limits, ModelError, load, load_foreign};
use mantlet_vocab::{MemorySource, NamedValue, Source, Tensor, Value};
use proptest::prelude::*;
use serde_json::Value as Json;

use crate::sketch::noise;
use crate::whole::{numbers, shape};

struct Folder(PathBuf);

impl ExternalData for Folder {
    fn open(&self, location: &str) -> Option<Box<dyn Source>> {
        let bytes = std::fs::read(self.0.join(location)).ok()?;
        Some(Box::new(MemorySource::new(&bytes)))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/model/foreign")
}

#[test]
fn values_are_those_of_the_libraries() {
    // Of the larger set that the script writes when it is asked for it.
    let folder = std::env::var_os("MANTLET_FOREIGN").map_or_else(folder, PathBuf::from);
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let known: Json = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    let mut files = 0;
    for (name, case) in known.as_object().unwrap() {
        files += 1;
        let path = folder.join(name);
        let source = MemorySource::new(&std::fs::read(&path).unwrap());
        let beside = Folder(path.parent().unwrap().to_owned());
        let foreign = match load_foreign(&source, Some(&beside), Limits::default()) {
            Ok(foreign) => foreign,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        // What is written down as ONNX is the same model.
        let again = load(&foreign.file, Limits::default()).unwrap();
        let shape = shape(case);
        let seed = case["seed"].as_u64().unwrap() as u32;
        let len: usize = shape.iter().product();
        let rows: Vec<f32> = (0..len as u32).map(|at| 2.0 * noise(seed, at) - 1.0).collect();
        let wanted = numbers(&case["output"]);
        let mut found = Vec::new();
        for row in rows.chunks(len / shape[0]) {
            let mut one = shape.clone();
            one[0] = 1;
            let input = foreign.model.signature().inputs[0].name.clone();
            let given =
                [NamedValue { name: input, value: Value::F32(Tensor::new(one, row.to_vec()).unwrap()) }];
            match foreign.model.infer(&given) {
                Ok(outputs) => {
                    assert_eq!(outputs, again.infer(&given).unwrap(), "{name}");
                    found.extend(outputs[0].value.to_f32().unwrap().into_data());
                }
                Err(error) => wrong.push(format!("{name}: {error}")),
            }
        }
        let far =
            found.iter().zip(&wanted).map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0_f32, f32::max);
        if found.len() != wanted.len() || far > 1e-4 {
            wrong.push(format!("{name}: off by {far}, {} values for {}", found.len(), wanted.len()));
        }
    }
    assert!(wrong.is_empty(), "{} of {files}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(files > 20);
}

#[test]
fn what_is_not_known_is_named() {
    let of = |name: &str| {
        let source = MemorySource::new(&std::fs::read(folder().join(name)).unwrap());
        load_foreign(&source, None, Limits::default()).err()
    };
    assert_eq!(of("unknown.pb"), Some(ModelError::Unsupported { operators: vec!["Lgamma".to_owned()] }));
    // Without its variables a saved model is none.
    let missing = of("written-saved/saved_model.pb").unwrap().to_string();
    assert!(missing.contains("variables.index"), "{missing}");
    let onnx =
        load_foreign(&MemorySource::new(b"\x08\x08"), None, Limits::default()).err().unwrap().to_string();
    assert!(onnx.contains("no graph of TensorFlow"), "{onnx}");
}

fn refused_or_built(name: &str, bytes: &[u8]) {
    let limits =
        Limits { max_bytes: 1 << 20, max_memory: 16 << 20, max_nodes: 2_000, max_millis: Some(2_000) };
    let beside = Folder(folder().join(name).parent().unwrap().to_owned());
    if let Ok(foreign) = load_foreign(&MemorySource::new(bytes), Some(&beside), limits) {
        let limits = Limits { max_bytes: 64 << 20, ..limits };
        assert!(load(&foreign.file, limits).is_ok(), "{name}");
    }
}

const BROKEN: [&str; 6] = [
    "dense.tflite",
    "written.tflite",
    "branch.pb",
    "planted.keras",
    "planted.h5",
    "branch-saved/saved_model.pb",
];

/// Files that end early: an error or a model, in bounded time and memory.
#[test]
fn files_that_end_early_are_refused_or_built() {
    for name in BROKEN {
        let whole = std::fs::read(folder().join(name)).unwrap();
        for step in 0..100 {
            refused_or_built(name, &whole[..whole.len() * step / 100]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_are_refused_or_built(
        file in 0..BROKEN.len(),
        edits in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = std::fs::read(folder().join(BROKEN[file])).unwrap();
        for (at, byte) in edits {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        refused_or_built(BROKEN[file], &bytes);
    }

    #[test]
    fn any_bytes_are_refused_or_built(
        front in 0..3_usize,
        rest in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let front = [&b"\x1c\0\0\0TFL3"[..], b"\x0a\x10", b"\x89HDF\r\n\x1a\n"][front];
        refused_or_built(BROKEN[0], &[front, &rest].concat());
    }
}
