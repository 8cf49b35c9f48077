//! Any two files in one folder, under names that belong together: what a scan of the folder reads of both.
#![no_main]

mod support;

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// A model and what lies beside it.
const NAMES: [[&str; 2]; 10] = [
    ["config.json", "modeling_tiny.py"],
    ["model.safetensors.index.json", "model.safetensors"],
    ["model.onnx", "weights.bin"],
    ["variables.index", "variables.data-00000-of-00001"],
    ["saved_model.pb", "fingerprint.pb"],
    ["model.xml", "model.bin"],
    ["model.pdmodel", "model.pdiparams"],
    ["manifest.ocdbt", "d"],
    ["MLmodel", "model.pkl"],
    ["index.json", "oci-layout"],
];

/// In memory where the system has such a folder: a disk would be what is tested.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
        place.join(format!("mantlet-fuzz-{}", std::process::id()))
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((&[names, cut], data)) = data.split_first_chunk::<2>() else { return };
    let number = usize::from(names) % NAMES.len();
    let names = NAMES[number];
    let folder = folder().join(number.to_string());
    std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
    let (one, other) = data.split_at((data.len() * usize::from(cut) / 256).min(data.len()));
    for (name, bytes) in names.iter().zip([one, other]) {
        std::fs::write(folder.join(name), bytes).expect("the folder for temporary files can be written");
    }
    let options =
        mantlet_scan::Options { bounds: support::bounds(), threads: 1, ..mantlet_scan::Options::default() };
    let examination = mantlet_scan::scan(&[folder], &options, &mut mantlet_scan::Silent);
    assert_eq!(examination.artifacts.len() + examination.gaps.len(), 2, "each file has a verdict");
});
