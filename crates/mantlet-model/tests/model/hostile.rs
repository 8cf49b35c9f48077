//! Files that lie: clear errors, bounded cost, no panic.

use mantlet_formats::onnx::schema::{DataType, GraphProto, ModelProto, StringStringEntryProto, TensorProto};
use mantlet_model::{Classifier, ExternalData, Limits, ModelError, load, load_with_external};
use mantlet_vocab::{MemorySource, NamedValue, Source, Tensor, Value};
use proptest::prelude::*;
use prost::Message as _;

use crate::sketch::{all, constant, model, node, noise, port};

fn small() -> Limits {
    Limits { max_bytes: 1 << 20, max_memory: 1 << 22, max_nodes: 1000, max_millis: Some(2000) }
}

fn graph(nodes: &[&str], constants: &[(&str, Value)]) -> GraphProto {
    GraphProto {
        name: "g".to_owned(),
        node: nodes.iter().map(|text| node(text)).collect(),
        initializer: constants.iter().map(|(name, value)| constant(name, value)).collect(),
        input: vec![port("x", DataType::Float, Some(&[0, 4]))],
        output: vec![port("y", DataType::Float, None)],
        ..GraphProto::default()
    }
}

fn opened(graph: GraphProto) -> Result<std::sync::Arc<dyn mantlet_model::Model>, ModelError> {
    load(&MemorySource::new(&model(graph, 17).encode_to_vec()), small())
}

fn rows(n: usize) -> NamedValue {
    NamedValue { name: "x".to_owned(), value: Value::F32(Tensor::full([n, 4], 0.5)) }
}

fn whole(list: &[i64]) -> Value {
    Value::I64(Tensor::new([list.len()], list.to_vec()).unwrap())
}

#[test]
fn every_unknown_operator_is_named() {
    let error =
        opened(graph(&["a = Zap(x)", "b = ml:Blur(a)", "c = Zap(b)", "y = Relu(c)"], &[])).err().unwrap();
    assert_eq!(
        error,
        ModelError::Unsupported { operators: vec!["Zap".to_owned(), "ai.onnx.ml.Blur".to_owned()] }
    );
    let mut calls_function = graph(&["y = Relu(x)"], &[]);
    calls_function.node[0].domain = "my.functions".to_owned();
    assert_eq!(
        opened(calls_function).err().unwrap().to_string(),
        "operators not supported: my.functions.Relu"
    );
}

#[test]
fn graphs_that_contradict_themselves_are_refused() {
    for (nodes, said) in [
        (&["a = Relu(y)", "y = Relu(a)"][..], "cycle"),
        (&["y = Relu(a)"], "nothing makes its input `a`"),
        (&["y = Relu(x)", "y = Exp(x)"], "made twice"),
        (&["x = Relu(x)", "y = Exp(x)"], "made twice"),
        (&["a = Relu(x)"], "output `y`"),
        (&["y = Conv(x, x) strides=[0,1]"], "stride"),
        (&["y = Conv(x, x) pads=[-1,0,0,0]"], "pads"),
        (&["y = MaxPool(x)  kernel_shape=[99999999999]"], "kernel_shape"),
        (&["y = Cast(x) to=99"], "cast"),
        (&["y = Cast(x) to=14"], "cast"),
        (&["y = Constant()"], "constant"),
        (&["l, y = ml:TreeEnsembleClassifier(x) nodes_treeids=[0,0]"], "lengths"),
        (&["y = ml:LinearRegressor(x) coefficients=[1.0,2.0,3.0] targets=2"], "coefficients"),
    ] {
        let error = opened(graph(nodes, &[])).err().unwrap_or_else(|| panic!("{nodes:?}")).to_string();
        assert!(error.contains(said), "{nodes:?}: {error}");
    }
    // Nodes out of order are put in order.
    assert!(opened(graph(&["y = Exp(a)", "a = Relu(x)"], &[])).is_ok());
}

#[test]
fn values_that_do_not_fit_name_the_node() {
    let w = |shape: &[usize]| Value::F32(Tensor::full(shape, 1.0));
    for (nodes, constants) in [
        (&["y = MatMul(x, w)"][..], vec![("w", w(&[3, 2]))]),
        (&["y = Add(x, w)"], vec![("w", w(&[3]))]),
        (&["y = Reshape(x, s)"], vec![("s", whole(&[7, -1]))]),
        (&["y = Reshape(x, s)"], vec![("s", whole(&[-1, -1]))]),
        (&["y = Reshape(x, s)"], vec![("s", whole(&[i64::MAX, i64::MAX]))]),
        (&["y = Transpose(x) perm=[0,0]"], vec![]),
        (&["y = Softmax(x) axis=7"], vec![]),
        (&["y = Gather(x, i) axis=1"], vec![("i", whole(&[4]))]),
        (
            &["y = Slice(x, s, e, a, t)"],
            vec![("s", whole(&[0])), ("e", whole(&[2])), ("a", whole(&[0])), ("t", whole(&[0]))],
        ),
        (&["y = MaxPool(x) kernel_shape=[2,2]"], vec![]),
        (&["a = Cast(x) to=7", "z = Sub(a, a)", "b = Div(a, z)", "y = Cast(b) to=1"], vec![]),
        (&["y = TopK(x, k)"], vec![("k", whole(&[-3]))]),
        (&["y = BatchNormalization(x, w, w, w, w)"], vec![("w", w(&[3]))]),
        (&["y = Relu(s)", "s = Cast(x) to=8"], vec![]),
        (&["y = Expand(x, s)"], vec![("s", whole(&[-1, 4]))]),
        (&["y = Pad(x, p)"], vec![("p", whole(&[-9, 0, 0, 0]))]),
    ] {
        let loaded = opened(graph(nodes, &constants)).unwrap_or_else(|error| panic!("{nodes:?}: {error}"));
        let error = loaded.infer(&[rows(2)]).err().unwrap_or_else(|| panic!("{nodes:?} ran"));
        assert!(matches!(error, ModelError::Run { .. }), "{nodes:?}: {error}");
    }
}

#[test]
fn inputs_are_held_to_the_signature() {
    let loaded = opened(graph(&["y = Relu(x)"], &[])).unwrap();
    let wrong = |name: &str, value| NamedValue { name: name.to_owned(), value };
    for given in [
        vec![],
        vec![wrong("z", Value::F32(Tensor::full([1, 4], 0.0)))],
        vec![wrong("x", Value::F32(Tensor::full([1, 5], 0.0)))],
        vec![wrong("x", Value::F32(Tensor::full([4], 0.0)))],
        vec![wrong("x", Value::I64(Tensor::full([1, 4], 0)))],
        vec![rows(1), wrong("extra", Value::F32(Tensor::full([1], 0.0)))],
    ] {
        let error = loaded.infer(&given).unwrap_err();
        assert!(matches!(error, ModelError::Input { .. }), "{error}");
    }
    assert!(loaded.infer(&[rows(0)]).is_ok(), "no rows are fine");
}

#[test]
fn memory_and_time_are_bounded() {
    for (nodes, constants) in [
        (&["y = Expand(x, s)"][..], vec![("s", whole(&[1 << 40, 1, 4]))]),
        (&["y = Expand(x, s)"], vec![("s", whole(&[i64::MAX, i64::MAX, 4]))]),
        (&["c = ConstantOfShape(s)", "y = Add(x, c)"], vec![("s", whole(&[1 << 20, 1 << 20]))]),
        (&["y = Tile(x, s)"], vec![("s", whole(&[1 << 40, 1 << 40]))]),
        (&["y = Pad(x, s)"], vec![("s", whole(&[1 << 50, 0, 0, 0]))]),
        (&["t = Transpose(x)", "y = MatMul(t, z)", "z = Tile(x, s)"], vec![("s", whole(&[1, 1 << 22]))]),
        (
            &[
                "f = Flatten(x) axis=0",
                "u = Unsqueeze(f, a)",
                "y = MaxPool(u) kernel_shape=[16000000] pads=[15999999,15999999]",
            ],
            vec![("a", whole(&[0]))],
        ),
    ] {
        let start = std::time::Instant::now();
        let error = opened(graph(nodes, &constants)).and_then(|loaded| loaded.infer(&[rows(2)])).err();
        let error = error.unwrap_or_else(|| panic!("{nodes:?} ran"));
        let bounded =
            matches!(error, ModelError::Memory { .. } | ModelError::Time { .. } | ModelError::Run { .. });
        assert!(bounded, "{nodes:?}: {error}");
        assert!(start.elapsed().as_secs() < 10, "{nodes:?}");
    }
    let long: Vec<String> = (0..900).map(|i| format!("v{} = Exp(v{i})", i + 1)).collect();
    let mut nodes = vec!["v0 = Relu(x)"];
    nodes.extend(long.iter().map(String::as_str));
    nodes.push("y = Relu(v900)");
    let bytes = model(graph(&nodes, &[]), 17).encode_to_vec();
    let hurried = Limits { max_millis: Some(0), ..small() };
    let loaded = load(&MemorySource::new(&bytes), hurried);
    let error = loaded.and_then(|loaded| loaded.infer(&[rows(10)])).err();
    assert_eq!(error, Some(ModelError::Time { limit: 0 }));
    // Values that are no longer needed make room: the chain runs in the memory of a few rows.
    let loaded = load(&MemorySource::new(&bytes), Limits { max_memory: 4096, ..small() }).unwrap();
    assert!(loaded.infer(&[rows(64)]).is_ok());
    let few = Limits { max_nodes: 10, ..small() };
    assert!(load(&MemorySource::new(&bytes), few).err().unwrap().to_string().contains("max_nodes"));
    let short = Limits { max_bytes: 100, ..small() };
    assert!(matches!(load(&MemorySource::new(&bytes), short), Err(ModelError::TooLarge { .. })));
}

struct Beside(Vec<u8>);

impl ExternalData for Beside {
    fn open(&self, location: &str) -> Option<Box<dyn Source>> {
        (location == "weights.bin").then(|| Box::new(MemorySource::new(&self.0)) as Box<dyn Source>)
    }
}

#[test]
fn tensors_in_other_files_are_read_only_through_the_caller() {
    let entry =
        |key: &str, value: &str| StringStringEntryProto { key: key.to_owned(), value: value.to_owned() };
    let build = |location: &str, offset: &str| {
        let mut own = graph(&["y = Add(x, w)"], &[]);
        own.initializer.push(TensorProto {
            name: "w".to_owned(),
            dims: vec![4],
            data_type: DataType::Float as i32,
            data_location: 1,
            external_data: vec![entry("location", location), entry("offset", offset), entry("length", "16")],
            ..TensorProto::default()
        });
        MemorySource::new(&model(own, 17).encode_to_vec())
    };
    let bytes: Vec<u8> = [9.0_f32, 1.0, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let loaded =
        load_with_external(&build("weights.bin", "4"), Some(&Beside(bytes.clone())), small()).unwrap();
    assert_eq!(loaded.infer(&[rows(1)]).unwrap()[0].value.to_f32().unwrap().data(), [1.5, 2.5, 3.5, 4.5]);
    assert!(matches!(load(&build("weights.bin", "4"), small()), Err(ModelError::ExternalData { .. })));
    for (location, offset) in [("../../etc/passwd", "0"), ("weights.bin", "8"), ("weights.bin", "-1")] {
        assert!(load_with_external(&build(location, offset), Some(&Beside(bytes.clone())), small()).is_err());
    }
}

#[test]
fn what_is_no_model_is_refused_plainly() {
    for bytes in [&b""[..], b"\0", b"PK\x03\x04", b"\x80\x04K\x01.", &[0xff; 64], b"\x3a\x00"] {
        let error = load(&MemorySource::new(bytes), small()).err();
        assert!(matches!(error, Some(ModelError::NotOnnx { .. } | ModelError::Graph { .. })), "{error:?}");
    }
    // Thirty thousand nested graphs: the decoder's recursion is bounded.
    let mut nested = Vec::new();
    for _ in 0..3000 {
        let mut next = vec![0x32];
        prost::encoding::encode_varint(nested.len() as u64, &mut next);
        next.extend(nested);
        nested = next;
    }
    assert!(ModelProto::decode(&nested[..]).is_ok() || load(&MemorySource::new(&nested), small()).is_err());
}

/// Loads and, when that works, runs a mutated model in every way.
fn survive(bytes: &[u8], x: &Value) {
    let limits = Limits { max_memory: 1 << 20, max_millis: Some(300), ..small() };
    let Ok(loaded) = load(&MemorySource::new(bytes), limits) else { return };
    let named = NamedValue { name: "x".to_owned(), value: x.clone() };
    let _ = loaded.infer(std::slice::from_ref(&named));
    if let Some(rows) = x.to_f32() {
        let _ = loaded.input_gradient(&rows, &mut |scores| Tensor::full(scores.shape(), 1.0));
    }
    let names: Vec<String> = loaded.values().into_iter().map(|(name, _)| name).collect();
    let _ = loaded.activations(&[named], &names.iter().map(String::as_str).collect::<Vec<_>>());
    if let Ok(view) = Classifier::new(loaded) {
        let mut shape = vec![2];
        shape.extend(view.input_shape());
        if shape.iter().product::<usize>() < 1 << 16 {
            let rows = Tensor::full(shape, 0.3);
            let _ = view.labels(&rows);
            let _ = view.gradient(&rows, &mut |scores| Tensor::full(scores.shape(), 1.0));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_models_never_panic(seed in any::<u32>()) {
        for (index, sketch) in all().into_iter().enumerate() {
            let at = |salt: u32, below: usize| {
                (noise(seed ^ salt, index as u32) * below as f32) as usize % below.max(1)
            };
            let mut bytes = sketch.bytes.clone();
            for change in 0..1 + at(1, 3) as u32 {
                let place = at(10 + change, bytes.len());
                match at(20 + change, 5) {
                    0 => bytes[place] ^= 1 << at(30 + change, 8),
                    1 => bytes[place] = at(40 + change, 256) as u8,
                    2 => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][at(50 + change, 5)],
                    3 => bytes.truncate(place.max(1)),
                    _ => {
                        let other = at(60 + change, bytes.len());
                        let (low, high) = (place.min(other), place.max(other).min(place.min(other) + 16));
                        bytes.copy_within(low..high, low.saturating_sub(8));
                    }
                }
            }
            survive(&bytes, &sketch.x);
        }
    }

    #[test]
    fn mutated_attributes_and_constants_never_panic(seed in any::<u32>()) {
        for (index, sketch) in all().into_iter().enumerate() {
            let Ok(mut file) = ModelProto::decode(&sketch.bytes[..]) else { continue };
            let Some(graph) = &mut file.graph else { continue };
            let at = |salt: u32, below: usize| {
                (noise(seed ^ salt, index as u32) * below as f32) as usize % below.max(1)
            };
            let odd = |salt| [i64::MIN, -7, -1, 0, 1, 2, 3, 5, 1 << 33, i64::MAX][at(salt, 10)];
            match at(1, 5) {
                0 => {
                    let node = at(2, graph.node.len());
                    for attribute in &mut graph.node[node].attribute {
                        if !attribute.ints.is_empty() {
                            let place = at(3, attribute.ints.len());
                            attribute.ints[place] = odd(4);
                        }
                        attribute.i = attribute.i.map(|_| odd(5));
                    }
                }
                1 => {
                    for tensor in &mut graph.initializer {
                        if tensor.data_type == DataType::Int64 as i32 {
                            let mut raw = tensor.raw_data.to_vec();
                            let place = at(6, raw.len() / 8) * 8;
                            raw[place..place + 8].copy_from_slice(&odd(7).to_le_bytes());
                            tensor.raw_data = raw.into();
                        }
                    }
                }
                2 => {
                    let node = at(8, graph.node.len());
                    let names: Vec<String> = graph.node.iter().flat_map(|node| node.input.clone()).collect();
                    let place = at(9, graph.node[node].input.len());
                    if let Some(input) = graph.node[node].input.get_mut(place) {
                        input.clone_from(&names[at(10, names.len())]);
                    }
                }
                3 => {
                    let node = at(11, graph.node.len());
                    graph.node[node].input.pop();
                }
                _ => {
                    if let Some(tensor) = graph.initializer.first_mut() {
                        tensor.dims.push([0, 1, 2][at(12, 3)]);
                    }
                }
            }
            survive(&file.encode_to_vec(), &sketch.x);
        }
    }
}
