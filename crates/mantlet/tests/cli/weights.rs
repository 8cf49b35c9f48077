//! Models that are weights alone: attacked from the file, with what says how their layers stand.

use mantlet_formats::onnx;
use mantlet_vocab::MemorySource;
use serde_json::{Value, json};

use crate::program::{Folder, Ran, credit, expect, run};

/// The tensors of the small network as a safetensors file, named as PyTorch names those of an `nn.Sequential`.
fn weights(of: &[u8]) -> Vec<u8> {
    let listing = onnx::tensors(&MemorySource::new(of));
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (tensor, name) in listing.tensors.iter().zip(["0.weight", "0.bias", "2.weight", "2.bias"]) {
        let from = data.len();
        data.extend_from_slice(&of[tensor.start as usize..(tensor.start + tensor.len) as usize]);
        let entry = json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [from, data.len()]});
        header.insert(name.to_owned(), entry);
    }
    assert_eq!(header.len(), 4, "{listing:?}");
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

const LAYERS: &str =
    "layers = [{ kind = \"linear\", weights = \"0\" }, \"relu\", { kind = \"linear\", weights = \"2\" }]\n";

fn rows(ran: &Ran) -> (Value, String) {
    let reports: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.err));
    (reports[0]["outcome"]["rows"].clone(), reports[0]["command"].as_str().unwrap().to_owned())
}

#[test]
fn weights_alone_are_attacked_as_the_exported_model_is() {
    let folder = Folder::with_model();
    let file = |name: &str| folder.path.join(name).to_str().unwrap().to_owned();
    let attack = |more: &[&str]| {
        let common = ["attack", "run", folder.text(), "--only", "evasion-pgd", "--rows", "20", "--seed", "3"];
        run(common.into_iter().chain(["--set", "epsilon=0.12", "--json"]).chain(more.iter().copied()))
    };
    let (exported, _) = rows(&attack(&[]));
    let hits = exported.as_array().unwrap().iter().filter(|row| row["state"] == "hit").count();
    assert!(hits > 3, "{exported}");
    let [given, layers] = [file("given.safetensors"), file("layers.toml")];
    std::fs::write(&given, weights(&credit(false).1)).unwrap();
    // Nothing says what stands between the two layers, and nothing is guessed.
    let refused = attack(&["--model", &given]);
    assert!(refused.code > 1 && refused.out.is_empty(), "{}", refused.out);
    for needed in ["something without tensors stands before `2`", "--architecture", "given.safetensors"] {
        assert!(refused.err.contains(needed), "{}", refused.err);
    }
    std::fs::write(&layers, LAYERS).unwrap();
    let (own, command) = rows(&attack(&["--model", &given, "--architecture", &layers]));
    assert_eq!(own, exported);
    assert!(command.contains("--model") && command.contains("--architecture"), "{command}");
    // Beside the file, under its own name.
    std::fs::write(file("given.toml"), "activation = \"relu\"\n").unwrap();
    assert_eq!(rows(&attack(&["--model", &given])).0, exported);
    // Another function between the layers is another model.
    std::fs::write(&layers, LAYERS.replace("relu", "tanh")).unwrap();
    assert_ne!(rows(&attack(&["--model", &given, "--architecture", &layers])).0, exported);
    // A layer left out is no smaller model, but an error that names its tensors.
    std::fs::write(&layers, "layers = [{ kind = \"linear\", weights = \"0\" }]\n").unwrap();
    let short = attack(&["--model", &given, "--architecture", &layers]);
    assert!(short.err.contains("tensor `2.bias`") && short.err.contains("layers.toml"), "{}", short.err);
}

#[test]
fn a_configuration_names_weights_and_their_architecture_for_every_command() {
    let folder = Folder::with_model();
    std::fs::write(folder.path.join("given.safetensors"), weights(&credit(false).1)).unwrap();
    std::fs::write(folder.path.join("layers.toml"), LAYERS).unwrap();
    std::fs::remove_file(folder.path.join("model.onnx")).unwrap();
    folder.edit(|text| {
        text.replacen(
            "path = \"model.onnx\"",
            "path = \"given.safetensors\"\narchitecture = \"layers.toml\"",
            1,
        )
    });
    let ran = run(["backdoor", folder.text(), "--seed", "3", "--json"]);
    let reports: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.err));
    let trigger = reports.as_array().unwrap().iter().find(|report| report["probe"] == "backdoor-trigger");
    assert!(trigger.is_some_and(|report| report["not_examined"].is_null()), "{reports}");
    // The same file by name, from a folder that says nothing of it.
    let other = Folder::with_model();
    let [model, layers] =
        ["given.safetensors", "layers.toml"].map(|name| folder.path.join(name).to_str().unwrap().to_owned());
    let named = run([
        "backdoor",
        other.text(),
        "--seed",
        "3",
        "--json",
        "--model",
        &model,
        "--architecture",
        &layers,
    ]);
    assert_eq!(named.code, ran.code, "{} {}", named.out, named.err);
    expect(4, ["attack", "run", other.text(), "--model", &model, "--architecture", "/nowhere/layers.toml"]);
}

#[test]
fn an_encoder_is_attacked_by_what_its_words_become() {
    let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../mantlet-model/tests/model/weights");
    let folder = Folder::with_model();
    let copy = |name: &str, to: &str| std::fs::copy(from.join(name), folder.path.join(to)).unwrap();
    copy("bert.safetensors", "sentences.safetensors");
    copy("bert.json", "config.json");
    // Rows of eight words, some with padding, labelled as the model reads them.
    let source = MemorySource::new(&std::fs::read(folder.path.join("sentences.safetensors")).unwrap());
    let plain = mantlet_model::Architecture::read("config = \"config.json\"\nlength = 8").unwrap();
    let plain =
        plain.with_config(&std::fs::read_to_string(folder.path.join("config.json")).unwrap()).unwrap();
    let model = mantlet_model::load_weights(&source, Some(&plain), mantlet_model::Limits::default()).unwrap();
    let view = mantlet_model::Classifier::new(model).unwrap();
    let ids: Vec<Vec<f32>> =
        (0..60_usize)
            .map(|row| {
                (0..8).map(move |at| {
                    if row % 6 == 5 && at > 4 { 0 } else { 3 + (row * 7 + at * at * 5 + row * at) % 17 }
                })
            })
            .map(|row| row.map(|word| word as f32).collect())
            .collect();
    let labels = view.labels(&mantlet_vocab::Tensor::new([60, 8], ids.concat()).unwrap()).unwrap();
    let mut csv = "a,b,c,d,e,f,g,h,mood\n".to_owned();
    for (row, label) in ids.iter().zip(&labels) {
        let cells: Vec<String> = row.iter().map(f32::to_string).collect();
        csv += &format!("{},{}\n", cells.join(","), view.class_names()[*label]);
    }
    std::fs::write(folder.path.join("train.csv"), &csv).unwrap();
    std::fs::write(
        folder.path.join("sentences.toml"),
        "config = \"config.json\"\nlength = 8\ntakes = \"embeddings\"\n",
    )
    .unwrap();
    folder.edit(|text| {
        let text = text.replacen("path = \"model.onnx\"", "path = \"sentences.safetensors\"", 1);
        let kept = text.lines().filter(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            !["features", "classes", "scale", "label"].iter().any(|key| line.starts_with(key))
        });
        kept.collect::<Vec<_>>().join("\n").replacen("[data]", "[data]\nlabel = \"mood\"", 1)
    });
    let attack = |set: &str| {
        run([
            "attack",
            "run",
            folder.text(),
            "--only",
            "evasion-pgd",
            "--rows",
            "20",
            "--seed",
            "3",
            "--set",
            set,
            "--json",
        ])
    };
    let ran = attack("epsilon=0.2");
    let (found, _) = rows(&ran);
    let found = found.as_array().unwrap();
    // Ten of sixty rows have padding and are left out; the others are read as the numbers of their words are.
    assert!(found.len() == 20 && found.iter().all(|row| row["before"].is_u64()), "{found:?}");
    assert!(found.iter().any(|row| row["state"] == "hit"), "{found:?}");
    let reports: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(!reports[0]["notes"].to_string().contains("already wrong"), "{reports}");
    // Next to nothing turns next to none: weights drawn at random have a row or two on a boundary.
    let hits = |rows: &[Value]| rows.iter().filter(|row| row["state"] == "hit").count();
    let (near, _) = rows(&attack("epsilon=0.0001"));
    let few = hits(near.as_array().unwrap());
    assert!(few <= 2 && few < hits(found), "{few} of {}: {near}", hits(found));
    // A number that is no word is named with its column.
    std::fs::write(folder.path.join("train.csv"), csv.replacen("\n3,", "\n99,", 1)).unwrap();
    let refused = attack("epsilon=0.2");
    assert!(refused.err.contains("column `a` has `99`"), "{}", refused.err);
}
