//! Starting points for the fuzzer: the artifacts of all rooms' cases, forged, and a few messages.

use std::path::{Path, PathBuf};

use mantlet_testkit::{cases, forge};

const OIP: &str = r#"{"id":"1","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[0.5,1]}],"outputs":[{"name":"y","parameters":{"binary_data":true}}]}"#;
const OIP_BINARY: &str =
    r#"{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}"#;
const BUNDLE: &str = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"00"},"tlogEntries":[]},"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AA==","keyid":""}]}}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0_usize;
    for path in cases_files(&root.join("../crates"))? {
        for case in cases(&std::fs::read_to_string(path)?) {
            let (target, bytes) = match case.forge.as_str() {
                "csv" => ("table", case.text.clone().into_bytes()),
                kind @ ("requirements.txt" | "Pipfile.lock" | "poetry.lock" | "uv.lock" | "Cargo.lock") => {
                    let names = [
                        "requirements.txt",
                        "Pipfile.lock",
                        "poetry.lock",
                        "uv.lock",
                        "pylock.toml",
                        "Cargo.lock",
                    ];
                    let first = names.iter().position(|name| *name == kind).unwrap_or(0) as u8;
                    ("locks", [&[first], case.text.as_bytes()].concat())
                }
                kind => match forge(kind, &case.text) {
                    Ok(bytes) => (kind, bytes),
                    Err(_) => continue,
                },
            };
            let targets: &[&str] = match target {
                "text" => &["config", "jinja", "keras", "python", "requirements", "skops", "torch", "xml"],
                "hex" => &["npy", "packed", "pickle", "rdata", "tar", "zip"],
                "graph" => &["model", "onnx"],
                "onnx" => &["model", "onnx"],
                "zip" => &["packed", "zip"],
                "lowbits" | "deviation" => &["safetensors"],
                "gzip" | "zlib" => &["packed"],
                one => &[one],
            };
            for target in targets {
                seed(root, target, count, &bytes)?;
            }
            for parser in parsers(target, &case.file) {
                seed(root, parser, count, &bytes)?;
            }
            if !matches!(target, "locks" | "table") {
                seed(root, "scan", count, &[&[6], bytes.as_slice()].concat())?;
            }
            count += 1;
        }
    }
    seed(root, "oip", 0, &[&[0], OIP.as_bytes()].concat())?;
    seed(root, "oip", 1, &[&[1], OIP_BINARY.as_bytes(), &[0, 0, 0, 0]].concat())?;
    seed(root, "bundle", 0, BUNDLE.as_bytes())?;
    seed(root, "bundle", 1, b"example\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")?;
    println!("{count} cases became seeds in fuzz/corpus");
    Ok(())
}

/// The parsers of models that a kind of artifact, or a name, belongs to.
fn parsers(kind: &str, file: &str) -> &'static [&'static str] {
    match (kind, file) {
        (_, "helper.pyc") => &["bytecode"],
        ("ubj", _) => &["boosted"],
        ("msgpack", _) => &["msgpack"],
        ("flat", _) => &["boosted", "runtime"],
        ("proto", _) => &["runtime"],
        ("hex" | "text", "model.model" | "model.txt" | "model.json") => &["boosted", "runtime"],
        (_, "model.t7" | "model.engine" | "model.params" | "weight.bin" | "model.pdiparams" | "model.param") => {
            &["runtime"]
        }
        ("text", "model.xml" | "model.pmml" | "model-symbol.json" | "Manifest.json") => &["runtime"],
        ("text", ".zarray" | ".zmetadata" | "zarr.json") => &["store"],
        _ => &[],
    }
}

fn seed(root: &Path, target: &str, number: usize, bytes: &[u8]) -> std::io::Result<()> {
    // Longer ones slow the fuzzer down and show it nothing new.
    if bytes.len() > 64 << 10 {
        return Ok(());
    }
    let folder = root.join("corpus").join(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("seed-{number:04}")), bytes)
}

fn cases_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(cases_files(&path)?);
        } else if path.file_name().is_some_and(|name| name == "cases.md") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
