//! Files of tensors alone, with what says how their layers stand: values and gradients beside PyTorch's own, and what
//! is wrong with the others in words.
//!
//! The files and what PyTorch gives are written by `scripts/vectors/weights.py`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mantlet_model::{Architecture, Classifier, Limits, Model, ModelError, load_weights};
use mantlet_vocab::{MemorySource, Tensor};
use serde_json::Value as Json;

use crate::sketch::noise;
use crate::whole::{input, near, numbers, shape};

fn read(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/model/weights");
    std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(name: &str) -> String {
    String::from_utf8(read(name)).unwrap()
}

/// The architecture of a case, as it takes this input.
fn architecture(name: &str, case: &Json, takes: &str) -> Architecture {
    let file = text(&format!("{name}.{}", case["form"].as_str().unwrap()));
    let Some(length) = case["length"].as_u64() else { return Architecture::read(&file).unwrap() };
    let takes = if takes == "input_ids" { "ids" } else { "embeddings" };
    let keys = format!("config = \"config.json\"\nlength = {length}\ntakes = \"{takes}\"\n");
    let described = Architecture::read(&keys).unwrap();
    assert_eq!(described.config(), Some("config.json"));
    described.with_config(&file).unwrap()
}

fn open(name: &str, architecture: Option<&Architecture>) -> Result<Arc<dyn Model>, ModelError> {
    load_weights(&MemorySource::new(&read(&format!("{name}.safetensors"))), architecture, Limits::default())
}

#[test]
fn values_and_gradients_of_weights_are_those_of_pytorch() {
    let known: Json = serde_json::from_slice(&read("expected.json")).unwrap();
    let (mut values, mut slopes) = (0, 0);
    for (name, case) in known.as_object().unwrap() {
        for (port, given) in case["inputs"].as_object().unwrap() {
            let model = open(name, Some(&architecture(name, case, port)));
            let model = model.unwrap_or_else(|error| panic!("{name}: {error}"));
            let x = input(port, given);
            let output = model.signature().outputs[0].name.clone();
            let wanted = numbers(&given["y"]["data"]);
            let y = model.infer(std::slice::from_ref(&x)).unwrap().remove(0);
            assert_eq!(y.value.shape(), shape(&given["y"]), "{name}");
            near(&format!("{name}: output from {port}"), y.value.to_f32().unwrap().data(), &wanted);
            values += 1;
            if given.get("slope").is_none() {
                assert!(model.differentiable().is_err(), "{name}: words have no gradient");
                continue;
            }
            let mut weigh = |y: &Tensor| {
                let data = (0..y.data().len() as u32).map(|at| 2.0 * noise(77, at) - 1.0).collect();
                Tensor::new(y.shape(), data).unwrap()
            };
            let (_, slope) = model
                .gradient(&[x], &output, &[port], &mut weigh)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            near(&format!("{name}: gradient of {port}"), slope[0].data(), &numbers(&given["slope"]));
            slopes += 1;
        }
    }
    assert!(values >= 15 && slopes >= 11, "{values} values and {slopes} gradients");
}

#[test]
fn classes_are_named_and_rows_are_those_of_the_input() {
    let known: Json = serde_json::from_slice(&read("expected.json")).unwrap();
    for (name, port, row) in [
        ("bert", "inputs_embeds", vec![8, 8]),
        ("vit", "pixel_values", vec![3, 12, 12]),
        ("cnn", "input", vec![3, 16, 16]),
    ] {
        let model = open(name, Some(&architecture(name, &known[name], port))).unwrap();
        let view = Classifier::new(model).unwrap();
        assert_eq!(view.class_names(), ["calm", "glad", "sad"], "{name}");
        assert_eq!(view.input_shape(), row, "{name}");
    }
    // A whole config.json is a description; then words are taken, as many as there are places.
    let model = open("roberta", Some(&Architecture::read(&text("roberta.json")).unwrap())).unwrap();
    assert_eq!(model.signature().inputs[0].shape, [None, Some(12)]);
    // What a softmax gives is told from logits.
    let view = Classifier::new(open("line", Some(&Architecture::read(&text("line.json")).unwrap())).unwrap());
    assert_eq!(view.unwrap().kind(), mantlet_model::OutputKind::Probabilities);
}

/// A safetensors file of these shapes, filled by noise.
fn file(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let mut header: BTreeMap<String, Json> = BTreeMap::new();
    let mut data = Vec::new();
    for (seed, (name, shape)) in tensors.iter().enumerate() {
        let start = data.len();
        let count: usize = shape.iter().product();
        (0..count as u32).for_each(|at| data.extend((noise(seed as u32, at) - 0.5).to_le_bytes()));
        header.insert(
            (*name).to_owned(),
            serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] }),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// What is said of tensors under a description; none is an empty one.
fn said(tensors: &[(&str, &[usize])], description: &str) -> String {
    let architecture = match Architecture::read(description) {
        Ok(architecture) => architecture,
        Err(_) if description.is_empty() => {
            return outcome(load_weights(&MemorySource::new(&file(tensors)), None, Limits::default()));
        }
        Err(error) => return error.to_string(),
    };
    outcome(load_weights(&MemorySource::new(&file(tensors)), Some(&architecture), Limits::default()))
}

fn outcome(model: Result<Arc<dyn Model>, ModelError>) -> String {
    model.map_or_else(|error| error.to_string(), |model| format!("{:?}", model.signature().inputs[0].shape))
}

const MLP: [(&str, &[usize]); 4] =
    [("0.weight", &[5, 4]), ("0.bias", &[5]), ("2.weight", &[3, 5]), ("2.bias", &[3])];

#[test]
fn a_sequential_is_taken_only_where_nothing_is_left_to_guess() {
    let tells = |tensors: &[(&str, &[usize])], description: &str, wanted: &str| {
        let found = said(tensors, description);
        assert!(found.contains(wanted), "{description}: {found}");
    };
    tells(&MLP, "activation = \"relu\"", "[None, Some(4)]");
    // Two full layers with nothing between them leave nothing open.
    tells(&[("net.0.weight", &[5, 4]), ("net.1.weight", &[3, 5])], "", "[None, Some(4)]");
    tells(&MLP, "", "something without tensors stands before `2`: name it");
    tells(&MLP, "activation = \"swoosh\"", "one of relu, gelu");
    tells(&[("0.weight", &[5, 4]), ("1.weight", &[3, 5])], "activation = \"relu\"", "no place for it");
    tells(&[("1.weight", &[5, 4]), ("3.weight", &[3, 5])], "activation = \"relu\"", "stands before `1`");
    tells(
        &[("0.weight", &[5, 4]), ("3.weight", &[3, 5])],
        "activation = \"relu\"",
        "2 layers without tensors",
    );
    tells(&[("0.weight", &[5, 4, 3, 3])], "activation = \"relu\"", "no full layer");
    tells(&[("0.weight", &[5, 4]), ("1.weight", &[5])], "activation = \"relu\"", "several kinds of layers");
    tells(
        &[("0.weight", &[5, 4]), ("head.weight", &[3, 5])],
        "activation = \"relu\"",
        "no tensor of a single nn.Sequential",
    );
    tells(
        &[("0.weight", &[5, 4]), ("2.weight", &[3, 6])],
        "activation = \"relu\"",
        "[3, 6], and its place takes [any, 5]",
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let two = |more: &str| {
        format!(
            "{more}\nlayers = [{{ kind = \"linear\", weights = \"0\" }}, \"relu\", {{ kind = \"linear\", weights = \"2\" }}]"
        )
    };
    let tells = |description: &str, wanted: &str| {
        let found = said(&MLP, description);
        assert!(found.contains(wanted), "{description}: {found}");
    };
    tells(&two(""), "[None, Some(4)]");
    tells(&two("input = 9"), "tensor `0.weight`: it has the shape [5, 4], and its place takes [any, 9]");
    tells(&two("input = [2, 2]"), "`flatten` them first");
    tells(&two("input = 0"), "`input`");
    tells(&two("input = [16777216, 16777216, 16777216]"), "`input`");
    tells(
        "layers = [{ kind = \"linear\", weights = \"0\" }]",
        "tensor `2.bias`: no layer reads it and 1 more",
    );
    tells("ignore = [\"2.\"]\nlayers = [{ kind = \"linear\", weights = \"0\" }]", "[None, Some(4)]");
    tells(
        "layers = [{ kind = \"linear\", weights = \"fc\" }]",
        "tensor `fc.weight`: the file does not have it; it begins with 0.bias",
    );
    tells("layers = [{ kind = \"linaer\", weights = \"0\" }]", "`input`: it is missing");
    tells("input = 4\nlayers = [\"linaer\"]", "layer 1 (`linaer`): there is no such kind; there are linear");
    tells("input = 4\nlayers = [{ kind = \"linear\" }]", "it has no `weights`");
    tells("input = 4\nlayers = [{ kind = \"relu\", size = 3 }]", "`size` is no key");
    tells("input = 4\nlayers = [{ kind = \"add\", with = \"b\" }]", "no layer before it has the name `b`");
    tells("input = 4\nlayers = [{ kind = \"max_pool\", size = 3 }]", "[channels, height, width]");
    tells("input = [1, 2, 2]\nlayers = [{ kind = \"max_pool\", size = 3 }]", "its window is larger");
    tells("input = [1, 2, 2]\nlayers = [{ kind = \"max_pool\", size = 0 }]", "`size` has to be");
    tells("input = [1, 2, 2]\nlayers = [\"relu\"]", "the last layer");
    tells("layer = []", "`layer`: a description has layers");
    tells("input = 4", "it takes one of `layers`");
    tells("layers = [", "the description: ");
    tells("{ \"model_type\": \"gpt2\" }", "model_type `gpt2`: bert, distilbert");
    tells(
        "{ \"model_type\": \"bert\", \"hidden_size\": 8 }",
        "tensor `bert.embeddings.position_embeddings.weight`",
    );
    tells("{ \"model_type\": \"bert\", \"problem_type\": \"multi_label_classification\" }", "multi_label");
    tells(
        "{ \"model_type\": \"bert\", \"architectures\": [\"BertForMaskedLM\"] }",
        "ForSequenceClassification",
    );
    tells("config = \"config.json\"", "was not read");
}

#[test]
fn a_config_that_contradicts_its_tensors_is_refused() {
    let config: Json = serde_json::from_str(&text("bert.json")).unwrap();
    for (key, value, wanted) in [
        ("num_attention_heads", Json::from(3), "3 heads do not share 8 values"),
        ("num_hidden_layers", Json::from(3), "tensor `bert.encoder.layer.2."),
        ("num_hidden_layers", Json::from(1), "no layer reads it"),
        ("hidden_size", Json::from(16), "it has the shape [20, 8]"),
        ("hidden_act", Json::from("swoosh"), "`swoosh` is not known"),
        ("id2label", serde_json::json!({ "0": "no", "1": "yes" }), "names 2 classes"),
        ("id2label", serde_json::json!({ "0": "no", "2": "yes" }), "without a gap"),
        ("position_embedding_type", Json::from("relative_key"), "not absolute"),
    ] {
        let mut changed = config.clone();
        changed[key] = value;
        let architecture = Architecture::read(&changed.to_string()).unwrap();
        let error =
            open("bert", Some(&architecture)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(wanted), "{key}: {error}");
    }
    let long =
        Architecture::read("config = \"c\"\nlength = 13").unwrap().with_config(&config.to_string()).unwrap();
    let error = open("bert", Some(&long)).err().unwrap().to_string();
    assert!(error.contains("12 places"), "{error}");
}

#[test]
fn broken_files_and_descriptions_are_refused_without_a_panic() {
    let whole = read("mlp.safetensors");
    let architecture = Architecture::read("activation = \"tanh\"").unwrap();
    for cut in (0..whole.len()).step_by(7) {
        let source = MemorySource::new(&whole[..cut]);
        assert!(load_weights(&source, Some(&architecture), Limits::default()).is_err(), "{cut} bytes");
    }
    let cnn = text("cnn.toml");
    let tensors = read("cnn.safetensors");
    let mut refused = 0;
    for at in 0..cnn.len() {
        for byte in [b'0', b'9', b'"', b'x'] {
            let mut other = cnn.clone().into_bytes();
            other[at] = byte;
            let Ok(other) = String::from_utf8(other) else { continue };
            let loaded = Architecture::read(&other).and_then(|other| {
                load_weights(&MemorySource::new(&tensors), Some(&other), Limits::default())
            });
            refused += usize::from(loaded.is_err());
        }
    }
    assert!(refused > cnn.len(), "{refused} of {} changes were refused", 4 * cnn.len());
    let limits = Limits { max_bytes: 100, ..Limits::default() };
    let error = load_weights(&MemorySource::new(&whole), Some(&architecture), limits).err();
    assert!(matches!(error, Some(ModelError::TooLarge { .. })));
}
