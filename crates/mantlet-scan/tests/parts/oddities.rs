//! What no library writes and what harms nobody is told, and weighs less than what harms.

use mantlet_scan::{Options, scan_source};
use mantlet_testkit::forge;
use mantlet_vocab::{MemorySource, Severity};

/// The gravest finding on a pickle under this name, and what it is called.
fn gravest(file: &str, assembly: &str) -> Option<(Severity, String)> {
    let bytes = forge("pickle", assembly).expect("an assembly");
    let examination = scan_source(file, &MemorySource::new(&bytes), &Options::default());
    assert_eq!(examination.gaps, []);
    examination.findings.into_iter().map(|finding| (finding.severity, finding.name)).max()
}

#[test]
fn a_second_proto_a_dumped_array_and_a_harmless_name_put_together_weigh_less_than_their_hostile_twins() {
    let call = "TEXT \"true\"\nTUPLE1\nREDUCE\nSTOP\n";
    let note = |name: &str| Some((Severity::Note, name.to_owned()));
    let malicious = |found: Option<(Severity, String)>| {
        assert_eq!(found.as_ref().map(|(severity, _)| *severity), Some(Severity::Malicious), "{found:?}");
    };
    assert_eq!(gravest("a.pkl", "PROTO 2\nNONE\nPROTO 2\nSTOP\n"), note("pickle-malformed"));
    malicious(gravest("a.pkl", &format!("PROTO 2\nGLOBAL os system\nPROTO 2\n{call}")));
    assert_eq!(gravest("a.npy", "PROTO 2\nEMPTY_LIST\nSTOP\n"), note("file-extension-lies"));
    malicious(gravest("a.npy", &format!("PROTO 2\nGLOBAL os system\n{call}")));
    let put = |first: &str, second: &str, name: &str, rest: &str| {
        let text = |text: &str| format!("SHORT_BINUNICODE \"{text}\"\n");
        format!(
            "PROTO 4\nGLOBAL operator concat\n{}{}TUPLE2\nREDUCE\n{}STACK_GLOBAL\n{rest}",
            text(first),
            text(second),
            text(name)
        )
    };
    let harmless = gravest("a.pkl", &put("collec", "tions", "OrderedDict", "EMPTY_TUPLE\nREDUCE\nSTOP\n"));
    assert_eq!(harmless, Some((Severity::Suspicious, "pickle-hidden-name".to_owned())));
    malicious(gravest("a.pkl", &put("o", "s", "system", call)));
    // What is not known is not harmless.
    malicious(gravest("a.pkl", &put("mod", "ule", "thing", "EMPTY_TUPLE\nREDUCE\nSTOP\n")));
}

#[test]
fn modules_of_a_torch_package_are_judged_as_what_its_importer_runs() {
    let package = |code: &str| {
        let text = format!(
            "member p/.data/version text\n  6\nmember p/.data/extern_modules text\n  os\n\
             member p/mine.py text\n  {code}\n"
        );
        let bytes = forge("zip", &text).expect("an archive");
        let examination = scan_source("model.pt", &MemorySource::new(&bytes), &Options::default());
        let gravest = examination.findings.iter().map(|finding| finding.severity).max();
        (gravest, examination.findings.into_iter().any(|finding| finding.name == "code-import-effect"))
    };
    assert_eq!(package("import os\n  os.system('id')"), (Some(Severity::Suspicious), true));
    assert_eq!(
        package("import os\n  def size(path):\n      return os.path.getsize(path)"),
        (Some(Severity::Note), false)
    );
}

#[test]
fn credentials_far_into_a_pickle_are_found() {
    // A literal of 40 MiB, dropped again, then a text.
    let found = |key: &str| {
        let text = format!("AKIA{key}");
        let len = 40_u64 << 20;
        let mut bytes = b"\x80\x04\x8e".to_vec();
        bytes.extend(len.to_le_bytes());
        bytes.resize(bytes.len() + len as usize, 7);
        bytes.extend(b"0\x8c");
        bytes.push(text.len() as u8);
        bytes.extend(text.as_bytes());
        bytes.push(b'.');
        let examination = scan_source("state.pkl", &MemorySource::new(&bytes), &Options::default());
        examination.findings.iter().any(|one| one.name == "secret-in-artifact")
    };
    assert!(found("Z7Q4M2K9X1B6W3T8"));
    assert!(!found("IOSFODNN7EXAMPLE"));
}

#[test]
fn states_that_are_kept_as_bytes_beside_weights_are_judged_as_pickles() {
    let found = |assembly: &str| {
        let state = forge("pickle", assembly).expect("an assembly");
        let (len, end) = (state.len(), state.len() + 16);
        let header = format!(
            r#"{{"l._extra_state":{{"dtype":"U8","shape":[{len}],"data_offsets":[0,{len}]}},"l.weight":{{"dtype":"F32","shape":[4],"data_offsets":[{len},{end}]}}}}"#
        );
        let header = format!("{header:<width$}", width = header.len().next_multiple_of(8));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(state);
        bytes.extend([0; 16]);
        let examination = scan_source("model.safetensors", &MemorySource::new(&bytes), &Options::default());
        examination.findings.into_iter().map(|one| (one.severity, one.name)).max()
    };
    let call = "PROTO 4\nGLOBAL cProfile run\nSHORT_BINUNICODE \"x\"\nTUPLE1\nREDUCE\nSTOP\n";
    assert!(matches!(found(call), Some((Severity::Malicious, name)) if name.starts_with("pickle-")));
    let plain =
        "PROTO 4\nEMPTY_DICT\nSHORT_BINUNICODE \"recipe\"\nSHORT_BINUNICODE \"delayed\"\nSETITEM\nSTOP\n";
    assert_eq!(found(plain), None);
}
