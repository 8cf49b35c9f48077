//! The law of every parser: any bytes give facts, in bounded time, without a panic. The twin of `fuzz/`.

#[path = "parts/bounds.rs"]
mod bounds;
#[path = "parts/structures.rs"]
mod structures;
#[path = "parts/texts.rs"]
mod texts;

use mantlet_formats::inflate::{Inflated, Wrapper};
use mantlet_formats::runtime::program;
use mantlet_formats::{
    Bounds, gguf, hdf5, keras, npy, onnx, opened, pickle, protoform, route, safetensors, secrets, skops,
    strides, tar, tensorflow, tflite, torch, weights, zip,
};
use mantlet_testkit::forge;
use mantlet_vocab::{MemorySource, Source, SourceError};
use proptest::prelude::*;

fn every_parser(source: &dyn Source) {
    let bounds = Bounds { max_resident: 4_096, max_expanded: 1 << 20, ..Bounds::default() };
    let _ = pickle::analyse(source, &bounds);
    let _ = zip::analyse(source, &bounds);
    let _ = tar::analyse(source, &bounds);
    let _ = npy::analyse(source, &bounds);
    let _ = safetensors::analyse(source, &bounds);
    let _ = onnx::analyse(source, &bounds);
    let _ = onnx::graph(source).overrides();
    every_weights_parser(source, &bounds);
    let _ = secrets::find(source, u64::MAX);
    let _ = skops::analyse(source, &bounds);
    let code = mantlet_vocab::read_window(source, 0, 4_096).unwrap_or_default();
    let text = String::from_utf8_lossy(&code);
    let _ = (protoform::from_text(&text), protoform::from_json(source), torch::exported(source));
    let _ = (hdf5::pickles(source), secrets::named(&text));
    for graph in [program::paddle(source), program::paddle_json(source), program::coreml(source)] {
        let _ = graph.overrides();
    }
    let _ = torch::operators(&code, "code.py");
    torch::manifest(&code, &mut torch::Torch::default());
    let _ = torch::legacy::records(source, true, &bounds);
    let _ = torch::legacy::records(source, false, &bounds);
    for name in ["a", "a.pkl", "a.onnx", "a.safetensors", "a.json"] {
        let _ = route::recognise(source, name, &bounds);
    }
    for wrapper in [Wrapper::Raw, Wrapper::Zlib, Wrapper::Gzip] {
        let inflated = Inflated::open(source, wrapper, &bounds, bounds.max_expanded);
        let _ = pickle::analyse(&inflated, &bounds);
    }
}

fn every_weights_parser(source: &dyn Source, bounds: &Bounds) {
    let _ = gguf::analyse(source, bounds);
    let _ = gguf::analyse_ggml(source);
    let _ = weights::list(source, bounds);
    let _ = hdf5::analyse(source, bounds);
    let _ = hdf5::tensors(source, bounds);
    let _ = keras::analyse(source, bounds);
    let _ = tflite::analyse(source, bounds);
    let _ = tflite::graph(source).overrides();
    let tensors = weights::list(source, bounds).map(|listing| listing.tensors).unwrap_or_default();
    let _ = strides::strided(source, &tensors);
    let _ = weights::loud_rows(source, &tensors);
    let text = mantlet_vocab::read_window(source, 0, 4_096).unwrap_or_default();
    let _ = opened::analyse("a.url", &String::from_utf8_lossy(&text));
    let file = tensorflow::recognise(source).unwrap_or_default();
    let _ = tensorflow::analyse(source, file, bounds);
    let _ = tensorflow::graph(source, file).overrides();
}

const FIXTURES: [(&str, &str); 14] = [
    ("tensorflow", "const n /x\nnode r ReadFile n\nasset v\nfunction f\nnode y PyFunc n\n"),
    ("tflite", "builtin 3\ncustom FlexX\n"),
    (
        "text",
        "{\"__class__\":\"call\",\"__module__\":\"os\",\"__loader__\":\"FunctionNode\",\"content\":[1]}",
    ),
    ("text", "def f(self):\n  '''x'''\n  return ^Run()(ops.image.write_file(\"a\\\"b\", x)) # c\n"),
    ("text", "{\"model\":{\"handler\":\"../h.py:f\"}"),
    ("hdf5", "attribute model_config {\"class_name\":\"x\"}\ndataset w 4\nlink a other.h5\n"),
    ("gguf", "text general.architecture llama\nnumber general.alignment 32\ntensor a 2 32,2\ndata 64\n"),
    (
        "graph",
        "input x 1,3,8,8\nweights w 10,8\nvalues v 3\nop f Flatten x\nop l Gemm f,w\n\
         op s ReduceSum x axes=1,2,3\nop g Greater s,v\nop y Where g,v,l\noutput y\n",
    ),
    (
        "pickle",
        "PROTO 4\nFRAME 30\nGLOBAL os system\nMEMOIZE\nTEXT \"id\"\nTUPLE1\nREDUCE\nEMPTY_DICT\nBUILD\nSTOP\n",
    ),
    (
        "zip",
        "member archive/data.pkl pickle deflate later\n  PROTO 2\n  NONE\n  STOP\nmember x text unlisted\n  y\n",
    ),
    ("tar", "member a text\n  x\nlink b ../c\n"),
    ("npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\ndata 8\n"),
    ("safetensors", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}\ndata 8\n"),
    ("onnx", "node - Relu\nsubgraph x Y\nfunction a B\nexternal w ../x\ntensor t 2 8\n"),
];

#[test]
fn every_prefix_of_every_fixture_gives_facts() {
    for (kind, text) in FIXTURES {
        let bytes = forge(kind, text).unwrap();
        for end in 0..=bytes.len().min(700) {
            every_parser(&MemorySource::new(&bytes[..end]));
        }
    }
}

/// A disk that fails after some bytes.
struct Failing(MemorySource, u64);

impl Source for Failing {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        if offset + buffer.len() as u64 > self.1 {
            return Err(SourceError { offset, reason: "input/output error".into() });
        }
        self.0.read_at(offset, buffer)
    }
}

#[test]
fn read_errors_are_said_and_never_look_like_an_end() {
    let bytes = forge("pickle", "PROTO 2\nNONE\nSTOP\n").unwrap();
    let facts = pickle::analyse(&Failing(MemorySource::new(&bytes), 0), &Bounds::default());
    assert!(!facts.limits.is_empty() && !facts.defects.is_empty());
    for (kind, text) in FIXTURES {
        let bytes = forge(kind, text).unwrap();
        every_parser(&Failing(MemorySource::new(&bytes), 20));
    }
}

#[test]
fn a_long_tuple_and_a_long_dict_stay_small_and_calls_in_them_are_found() {
    let mut bytes = b"\x80\x04(".to_vec();
    for index in 0..300_000_u32 {
        bytes.extend([b'K', index as u8]);
    }
    bytes.extend(b"cos\nsystem\n\x8c\x02id\x85R");
    for index in 0..300_000_u32 {
        bytes.extend([b'K', index as u8]);
    }
    bytes.extend(b"t.");
    let facts = pickle::analyse(&MemorySource::new(&bytes), &Bounds::default());
    assert_eq!(facts.calls.len(), 1);
    assert_eq!(facts.calls[0].text, "os.system(\"id\")");
    assert!(facts.defects.is_empty() && facts.limits.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_facts(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        every_parser(&MemorySource::new(&bytes));
    }

    #[test]
    fn mutated_fixtures_give_facts(
        which in 0..FIXTURES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (kind, text) = FIXTURES[which];
        let mut bytes = forge(kind, text).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        every_parser(&MemorySource::new(&bytes));
    }
}

#[test]
fn an_onnx_graph_with_more_operands_than_are_followed_says_so() {
    use mantlet_formats::onnx::schema::{GraphProto, ModelProto, NodeProto};
    use prost::Message as _;
    let cut = |operands: usize| {
        let input = (0..operands).map(|index| format!("x{index}")).collect();
        let node = vec![NodeProto {
            op_type: "Concat".into(),
            input,
            output: vec!["y".into()],
            ..Default::default()
        }];
        let graph = Some(GraphProto { node, ..Default::default() });
        let bytes = ModelProto { ir_version: 8, graph, ..Default::default() }.encode_to_vec();
        mantlet_formats::onnx::graph(&MemorySource::new(&bytes)).cut
    };
    assert!(!cut(4_096));
    assert!(cut(4_097));
}
