//! The same law for models in formats that are data throughout.

use mantlet_formats::boosted::{catboost, legacy, lightgbm, xgboost};
use mantlet_formats::python::{Role, bytecode};
use mantlet_formats::route::Format;
use mantlet_formats::runtime::{coreml, mxnet, ncnn, openvino, paddle, pmml};
use mantlet_formats::{Bounds, models, msgpack, store};
use mantlet_testkit::{cases, forge};
use mantlet_vocab::{MemorySource, Source};
use proptest::prelude::*;

fn every_parser(bytes: &[u8]) {
    let source = MemorySource::new(bytes);
    let bounds = Bounds { max_resident: 4_096, max_expanded: 1 << 20, ..Bounds::default() };
    let parsers: [fn(&dyn Source) -> mantlet_formats::structure::Structure; 7] = [
        catboost::analyse,
        catboost::json,
        legacy::analyse,
        lightgbm::analyse,
        xgboost::json,
        xgboost::ubj,
        msgpack::analyse,
    ];
    for analyse in parsers {
        let facts = analyse(&source);
        assert!(facts.end <= source.len());
    }
    for format in [
        Format::CoreMl,
        Format::CoreMlWeights,
        Format::ExecuTorch,
        Format::ExecuTorchData,
        Format::Paddle,
        Format::PaddleParameters,
        Format::MxNet,
        Format::Torch7,
        Format::Caffe,
        Format::Cntk,
        Format::TensorRt,
    ] {
        let facts = models::analyse(format, &source, &bounds).expect("it is one of this family");
        assert!(facts.end <= source.len());
    }
    for analyse in [mxnet::symbol, coreml::manifest] {
        let _ = analyse(&source);
    }
    for analyse in [openvino::analyse, pmml::analyse, ncnn::analyse, paddle::json] {
        let _ = analyse(&source);
    }
    let _ = store::ocdbt::analyse(&source, &bounds);
    for name in ["a", ".zarray", ".zmetadata", "zarr.json"] {
        let _ = models::text(&source, name);
    }
    let _ = models::recognise(&source, bytes);
    let _ = bytecode::analyse(&source, Role::Module);
}

/// The cases of the rooms over these formats are the fixtures.
fn fixtures() -> &'static [Vec<u8>] {
    static FIXTURES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    FIXTURES.get_or_init(|| {
        let texts = [
            include_str!("../../../mantlet-rules/src/model/malformed/cases.md"),
            include_str!("../../../mantlet-rules/src/model/foreign_code/cases.md"),
            include_str!("../../../mantlet-rules/src/model/outside_file/cases.md"),
            include_str!("../../../mantlet-rules/src/code/hostile_command/cases.md"),
        ];
        let all = texts.iter().flat_map(|text| cases(text));
        all.map(|case| forge(&case.forge, &case.text).expect("the text of a case forges")).collect()
    })
}

#[test]
fn every_prefix_of_every_structure_gives_facts() {
    for bytes in fixtures() {
        let step = (bytes.len() / 120).max(1);
        for end in (0..=bytes.len()).step_by(step) {
            every_parser(&bytes[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_structures_give_facts(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = fixtures()[which.index(fixtures().len())].clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        every_parser(&bytes);
    }

    #[test]
    fn any_bytes_are_a_structure(bytes in prop::collection::vec(any::<u8>(), 0..300), which in 0_usize..5) {
        let heads: [&[u8]; 5] = [b"", b"{L\0\0\0\0\0\0\0\x07learner{", b"CBM1\x40\0\0\0", b"\x81\xa1a", b"tree\nversion=v4\n"];
        every_parser(&[heads[which], &bytes].concat());
    }
}

/// A model whose tensors lie in a file beside it, and that file.
fn kept_apart(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    use mantlet_formats::onnx::schema;
    let mut model = <schema::ModelProto as prost::Message>::decode(bytes).expect("a model");
    let mut outside = Vec::new();
    for tensor in &mut model.graph.as_mut().expect("a graph").initializer {
        let entry = |key: &str, value: String| schema::StringStringEntryProto { key: key.into(), value };
        tensor.external_data = vec![
            entry("location", "weights.bin".into()),
            entry("offset", outside.len().to_string()),
            entry("length", tensor.raw_data.len().to_string()),
        ];
        tensor.data_location = 1;
        outside.extend_from_slice(&tensor.raw_data);
        tensor.raw_data = Default::default();
    }
    (prost::Message::encode_to_vec(&model), outside)
}

#[test]
fn tensors_beside_a_model_are_measured() {
    use mantlet_formats::onnx;
    let text = "input x 1,12\nweights w 12,4 random\nweights v 12,4 random\nvalues loud 900\nop logits Gemm x,w\n\
                op bag TfIdfVectorizer x\nop said MatMul bag,v\nop shout Mul said,loud\nop y Add logits,shout\noutput y\n";
    let whole = forge("graph", text).expect("a graph");
    assert_eq!(onnx::graph(&MemorySource::new(&whole)).overrides().len(), 1);
    let (model, outside) = kept_apart(&whole);
    let model = MemorySource::new(&model);
    assert_eq!(onnx::graph(&model).overrides().len(), 0);
    let file: std::sync::Arc<dyn Source> = std::sync::Arc::new(MemorySource::new(&outside));
    let beside = [("weights.bin".to_owned(), file)];
    assert_eq!(onnx::graph_with(&model, &beside).overrides().len(), 1);
    let other = [("other.bin".to_owned(), std::sync::Arc::clone(&beside[0].1))];
    assert_eq!(onnx::graph_with(&model, &other).overrides().len(), 0);
}

/// A model of TensorFlow Lite: a layer over the input, and a branch whose condition is the largest input, or what the layer
/// says.
fn branching(condition: u8) -> Vec<u8> {
    let tensor = |shape: &str, kind: u8, buffer: u8| {
        format!("table\n  0 ints {shape}\n  1 u8 {kind}\n  2 u32 {buffer}\n")
    };
    let operator = |code: u8, inputs: &str, outputs: &str, options: &str| {
        format!("table\n  0 u32 {code}\n  1 ints {inputs}\n  2 ints {outputs}\n{options}")
    };
    let indent = |text: &str| text.lines().map(|line| format!("  {line}\n")).collect::<String>();
    let graph = |tensors: &str, inputs: &str, outputs: &str, operators: &str| {
        let (tensors, operators) = (indent(tensors), indent(operators));
        let body = format!("0 tables\n{tensors}1 ints {inputs}\n2 ints {outputs}\n3 tables\n{operators}");
        format!("table\n{}", indent(&body))
    };
    // 0 input, 1 weights, 2 logits, 3 largest, 4 the layer's largest, 5 result, 6 bound, 7 answer.
    let tensors = [
        ("1,8", 0, 1),
        ("4,8", 0, 2),
        ("1,4", 0, 1),
        ("1", 0, 1),
        ("1", 0, 1),
        ("1,4", 0, 1),
        ("1", 0, 3),
        ("1", 6, 1),
    ];
    let main: String = tensors.iter().map(|(shape, kind, buffer)| tensor(shape, *kind, *buffer)).collect();
    let steps = operator(0, "0,1", "2", "")
        + &operator(1, "0", "3", "")
        + &operator(1, "2", "4", "")
        + &operator(2, &format!("{condition},6"), "7", "")
        + &operator(3, "7,2", "5", "  3 u8 91\n  4 table\n    0 u32 1\n    1 u32 2\n");
    let same = graph(&tensor("1,4", 0, 1), "0", "0", "");
    let other = graph(&(tensor("1,4", 0, 1) + &tensor("1,4", 0, 4)), "0", "1", "");
    let codes: String =
        [9, 82, 61, 118].iter().map(|code| format!("table\n  0 u8 {code}\n  3 u32 {code}\n")).collect();
    let buffers: String = ["", "", "0000803f*", "0000003f", "0000a040"]
        .iter()
        .map(|bytes| match bytes.strip_suffix('*') {
            Some(one) => format!("table\n  0 bytes {}\n", one.repeat(32)),
            None if bytes.is_empty() => "table\n".to_owned(),
            None => format!("table\n  0 bytes {bytes}\n"),
        })
        .collect();
    let all = graph(&main, "0", "5", &steps) + &same + &other;
    let text = format!(
        "id TFL3\n0 u32 3\n1 tables\n{}2 tables\n{}4 tables\n{}",
        indent(&codes),
        indent(&all),
        indent(&buffers)
    );
    forge("flat", &text).expect("a flatbuffer")
}

#[test]
fn branches_of_tensorflow_lite_are_followed() {
    let overrides = |condition| {
        let graph = mantlet_formats::tflite::graph(&MemorySource::new(&branching(condition)));
        assert!(!graph.cut);
        graph.overrides().len()
    };
    assert_eq!(overrides(3), 1);
    // A choice by what the layer says is the model's own.
    assert_eq!(overrides(4), 0);
}
