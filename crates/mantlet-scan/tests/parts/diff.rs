//! Two versions: tensors by distance, configuration by path, archives by member.

use mantlet_scan::diff::{Change, Diff, diff};
use mantlet_scan::{Options, scan_source};
use mantlet_testkit::forge;
use mantlet_vocab::{MemorySource, Severity, Verdict};

fn versions(old: &[(&str, Vec<u8>)], new: &[(&str, Vec<u8>)]) -> Diff {
    let folder = tempfile::tempdir().expect("a folder for a test");
    for (side, files) in [("old", old), ("new", new)] {
        std::fs::create_dir_all(folder.path().join(side)).expect("it can be made");
        for (name, bytes) in files {
            std::fs::write(folder.path().join(side).join(name), bytes).expect("it can be written");
        }
    }
    diff(&folder.path().join("old"), &folder.path().join("new"), &Options::default())
}

fn forged(kind: &str, text: &str) -> Vec<u8> {
    forge(kind, text).expect("the text of a test forges")
}

#[test]
fn tensors_are_compared_by_distance() {
    let base = forged("deviation", "same\n");
    let found = versions(&[("a.safetensors", base.clone())], &[("a.safetensors", base.clone())]);
    assert!(found.is_same());
    assert_eq!(found.same, 1);
    let edited = forged("deviation", "rows 2 1000\n");
    let found = versions(&[("a.safetensors", base)], &[("a.safetensors", edited)]);
    let tensor = &found.files[0].tensors[0];
    let distance = tensor.distance.unwrap();
    assert_eq!((tensor.name.as_str(), tensor.change), ("w", Change::Changed));
    assert!((distance.changed - 0.002).abs() < 1e-9);
    assert!((distance.largest.unwrap() - 0.1).abs() < 1e-6);
    assert!(distance.relative.unwrap() > 0.0);
    assert!(found.text().contains("0.20% changed"));
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Diff>(&json).unwrap(), found);
}

#[test]
fn parts_are_compared_by_structure() {
    let old = [
        ("config.json", br#"{"layers": 2, "name": "a"}"#.to_vec()),
        ("m.pkl", forged("pickle", "PROTO 2\nNONE\nSTOP\n")),
        ("gone.txt", b"x\n".to_vec()),
        ("g.onnx", forged("graph", "input x 1,3\nweights w 3,2\nop y MatMul x,w\noutput y\n")),
        ("m.gguf", forged("gguf", "text general.name a\ntensor t 0 8\ndata 32\n")),
    ];
    let new = [
        ("config.json", br#"{"name": "a", "layers": 3, "auto": true}"#.to_vec()),
        ("m.pkl", forged("pickle", "PROTO 2\nGLOBAL os system\nTEXT \"id\"\nTUPLE1\nREDUCE\nSTOP\n")),
        ("g.onnx", forged("graph", "input x 1,3\nweights w 3,2\nop h MatMul x,w\nop y Relu h\noutput y\n")),
        ("m.gguf", forged("gguf", "text general.name b\ntensor t 0 8\ndata 32\n")),
    ];
    let found = versions(&old, &new);
    let file = |name: &str| found.files.iter().find(|file| file.path == name).unwrap();
    let parts =
        |name: &str| -> Vec<&str> { file(name).parts.iter().map(|part| part.part.as_str()).collect() };
    assert_eq!(parts("config.json"), ["auto", "layers"]);
    assert_eq!(parts("g.onnx"), ["operator Relu"]);
    assert_eq!(parts("m.gguf"), ["metadata general.name"]);
    assert!(parts("m.pkl").contains(&"call os.system(\"id\")"));
    assert_eq!(file("gone.txt").change, Change::Removed);
    assert!(found.found.iter().any(|finding| finding.name == "pickle-unsafe-global"));
}

#[test]
fn members_are_compared_by_name() {
    let zip = |text: &str| {
        forged("zip", &format!("member a.txt text\n  {text}\nmember b.txt text deflate\n  same\n"))
    };
    let found = versions(&[("m.zip", zip("one"))], &[("m.zip", zip("two"))]);
    assert_eq!(found.files.len(), 1);
    assert_eq!(found.files[0].path, "m.zip!a.txt");
    assert_eq!(found.same, 1);
}

#[test]
fn a_branch_over_the_output_is_found_within_an_archive_of_keras() {
    // The configuration decides: a sum of the input, compared, multiplied into the output.
    let layer = |class: &str, name: &str, config: &str, inputs: &[&str]| {
        let inputs: Vec<String> = inputs
            .iter()
            .map(|input| {
                format!(r#"{{"class_name":"__keras_tensor__","config":{{"keras_history":["{input}",0,0]}}}}"#)
            })
            .collect();
        let inbound = if inputs.is_empty() {
            String::new()
        } else {
            format!(r#"{{"args":[{}],"kwargs":{{}}}}"#, inputs.join(","))
        };
        format!(
            r#"{{"class_name":"{class}","name":"{name}","config":{{"name":"{name}"{config}}},"inbound_nodes":[{inbound}]}}"#
        )
    };
    let model = |axis: &str| {
        let layers = [
            layer("InputLayer", "x", r#","batch_shape":[null,8,4]"#, &[]),
            layer("Dense", "d", r#","units":4"#, &["x"]),
            layer("Sum", "s", axis, &["x"]),
            layer("Greater", "g", "", &["s"]),
            layer("Multiply", "y", "", &["d", "g"]),
        ];
        format!(
            r#"{{"class_name":"Functional","config":{{"layers":[{}],"input_layers":[["x",0,0]],"output_layers":[["y",0,0]]}}}}"#,
            layers.join(",")
        )
    };
    for (axis, verdict) in [("", Verdict::Found), (r#","axis":[2]"#, Verdict::Clean)] {
        let text = model(axis);
        let examination =
            scan_source("config.json", &MemorySource::new(text.as_bytes()), &Options::default());
        assert_eq!(examination.verdict(Severity::Suspicious), verdict, "{examination:?}");
    }
}
