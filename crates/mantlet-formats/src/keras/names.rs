//! Names in a configuration: which belong to Keras, which of those are dangerous, and names inside byte code.

/// Packages of Keras and its companions.
const ROOTS: [&str; 11] = [
    "keras",
    "keras_core",
    "tf_keras",
    "keras_hub",
    "keras_nlp",
    "keras_cv",
    "keras_tuner",
    "tensorflow",
    "tensorflow_addons",
    "keras_contrib",
    "keras_rs",
];

/// Functions of Keras that do more than compute: they fetch, load, write, or switch checks off.
const DANGEROUS: [&str; 27] = [
    "get_file",
    "enable_unsafe_deserialization",
    "load_model",
    "load_weights",
    "save_model",
    "save_weights",
    "extract_archive",
    "_extract_archive",
    "model_from_json",
    "model_from_config",
    "legacy_load_model",
    "load_img",
    "load_data",
    "image_dataset_from_directory",
    "text_dataset_from_directory",
    "audio_dataset_from_directory",
    "timeseries_dataset_from_array",
    "deserialize_keras_object",
    "func_load",
    "func_dump",
    "set_backend",
    "run_script",
    "py_function",
    "numpy_function",
    "py_func",
    "load_op_library",
    "load_library",
];

/// Whether a dotted name is of Keras or TensorFlow.
pub(super) fn is_keras(name: &str) -> bool {
    let root = name.split('.').next().unwrap_or_default();
    ROOTS.contains(&root)
}

/// The dangerous part of a name, if there is one.
pub(super) fn dangerous(name: &str) -> Option<&'static str> {
    let parts: Vec<&str> = name.split('.').collect();
    let last = parts.last().copied().unwrap_or_default();
    // A module of Keras that is reached into for what it imports itself.
    const REACHED: [&str; 10] = [
        "os",
        "sys",
        "subprocess",
        "shutil",
        "pickle",
        "importlib",
        "socket",
        "marshal",
        "builtins",
        "urllib",
    ];
    DANGEROUS
        .iter()
        .find(|&&known| known == last)
        .or_else(|| REACHED.iter().find(|known| parts.iter().skip(1).any(|part| part == *known)))
        .copied()
}

/// Whether a name inside byte code is one that code needs to leave the model.
pub(super) fn reaches(name: &str) -> bool {
    const NAMES: [&str; 30] = [
        "os",
        "system",
        "popen",
        "subprocess",
        "Popen",
        "check_output",
        "exec",
        "eval",
        "compile",
        "__import__",
        "import_module",
        "socket",
        "urllib",
        "urlopen",
        "requests",
        "open",
        "builtins",
        "__builtins__",
        "__globals__",
        "__subclasses__",
        "ctypes",
        "pickle",
        "marshal",
        "pty",
        "posix",
        "nt",
        "shutil",
        "runpy",
        "getattr",
        "base64",
    ];
    NAMES.contains(&name)
}

/// Names and texts in base64-encoded byte code: the short texts of the marshal format.
pub(super) fn of_code(encoded: &str) -> Vec<String> {
    let bytes = crate::metadata::decode_base64(encoded.as_bytes()).unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    let mut at = 0;
    while at < bytes.len() && names.len() < 64 {
        // Short ASCII texts, interned or not, with the reference flag or without.
        let len = match bytes[at] & 0x7f {
            b'z' | b'Z' => bytes.get(at + 1).map(|&len| (2, usize::from(len))),
            b'a' | b'A' | b'u' | b't' => bytes
                .get(at + 1..at + 5)
                .and_then(|len| len.try_into().ok())
                .map(|len| (5, u32::from_le_bytes(len) as usize)),
            _ => None,
        };
        let text = len.and_then(|(skip, len)| {
            let text = bytes.get(at + skip..(at + skip).checked_add(len)?)?;
            let fine = len > 0 && text.iter().all(|byte| (0x20..0x7f).contains(byte));
            fine.then(|| (skip + len, String::from_utf8_lossy(&text[..len.min(120)]).into_owned()))
        });
        match text {
            Some((step, text)) => {
                if !names.contains(&text) {
                    names.push(text);
                }
                at += step;
            }
            None => at += 1,
        }
    }
    names
}
