//! Caffe's networks and solvers, as text and in binary: layers that are Python, places that are read and written, and
//! the graph.
//!
//! An absolute path of the machine a file was written on is ordinary in a layer of data for one phase of training, and
//! in a file of weights, whose layers only say which weights are whose; what a network reads whenever it is loaded is
//! not.
//!
//! Long because the judge and the graph share one tree.

mod binary;
mod text;

use std::collections::{HashMap, HashSet};

use mantlet_vocab::{Source, read_window};

use self::text::{Field, Message, parse};
use crate::graph::{Graph, Kind, weight};
use crate::structure::{Power, Structure, escapes};
use crate::weights::{Listing, MAX_TENSORS, TensorInfo};

const MAX_TEXT: usize = 8 << 20;
const CUT: &str = "it is larger or deeper than is followed";

/// Whether text is a network, whatever it is called: layers with a kind and what they give.
#[must_use]
pub fn is_caffe(text: &str) -> bool {
    let layer = |line: &str| {
        let line = line.trim_start();
        let rest = line.strip_prefix("layers").or_else(|| line.strip_prefix("layer"));
        rest.is_some_and(|rest| rest.trim_start().trim_start_matches(':').trim_start().starts_with('{'))
    };
    // It begins as one, so that pages which show one are none.
    let first = text.lines().map(str::trim_start).find(|line| !line.is_empty() && !line.starts_with('#'));
    let begins = ["name:", "layer", "input:", "input_shape", "force_backward", "state", "debug_info"];
    first.is_some_and(|line| begins.iter().any(|word| line.starts_with(word)))
        && text.contains("type:")
        && (text.contains("top:") || text.contains("bottom:"))
        && text.lines().take(2_000).any(layer)
}

/// Layers of both generations of the form.
fn layers(net: &Message) -> impl Iterator<Item = (&Message, u64)> {
    net.0.iter().filter_map(|(key, field, at)| match field {
        Field::Inner(inner) if key == "layer" || key == "layers" => Some((inner, *at)),
        _ => None,
    })
}

/// The kind of a layer without the ways that both generations write it.
fn kind_of(layer: &Message) -> String {
    layer.value("type").unwrap_or("").replace('_', "").to_ascii_lowercase()
}

/// The facts of a network or a solver. Never fails: what is not understood is said.
#[must_use]
pub fn analyse(text: &str) -> Structure {
    let mut facts = Structure::of("Caffe");
    if text.len() > MAX_TEXT {
        facts.limit(format!("only the first {MAX_TEXT} bytes are examined"));
    }
    let (net, whole) = parse(cut(text));
    if !whole {
        facts.limit(CUT);
    }
    layers(&net).for_each(|(layer, at)| judge(&mut facts, layer, at, false));
    // A solver may hold its networks.
    for key in ["net_param", "train_net_param", "test_net_param"] {
        for (inner, _) in net.inner(key) {
            layers(inner).for_each(|(layer, at)| judge(&mut facts, layer, at, false));
        }
    }
    for key in ["net", "train_net", "test_net", "weights", "snapshot_prefix"] {
        for (path, at) in net.values(key) {
            if path.contains("://") || crate::config::secret_file(path) {
                facts.reads("file of a solver", path, at);
            }
        }
    }
    facts
}

/// Whether the bytes are a network in binary, as files of weights are (`.caffemodel`).
#[must_use]
pub fn is_model(source: &dyn Source) -> bool {
    binary::is_net(source)
}

/// The facts of a network in binary. Never fails: what is not understood is said.
#[must_use]
pub fn model(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("Caffe");
    let (net, whole) = binary::parse(source);
    layers(&net).for_each(|(layer, at)| judge(&mut facts, layer, at, true));
    if whole {
        facts.end = source.len();
    } else {
        facts.limit("it cannot be read to its end, or has more fields than are followed");
    }
    facts
}

/// The weights of a network in binary, each by its layer and its number there.
#[must_use]
pub fn tensors(source: &dyn Source) -> Listing {
    let (net, whole) = binary::parse(source);
    let mut listing = Listing::default();
    if !whole {
        listing.limits.push("the file cannot be read to its end".to_owned());
    }
    for (layer, _) in layers(&net) {
        let name = layer.value("name").unwrap_or("?");
        for (index, tensor) in weights(layer).enumerate().filter(|(_, tensor)| tensor.len > 0) {
            if listing.tensors.len() >= MAX_TENSORS {
                listing.limits.push(format!("only the first {MAX_TENSORS} tensors are listed"));
                return listing;
            }
            listing.tensors.push(TensorInfo { name: format!("{name}.{index}"), ..tensor.clone() });
        }
    }
    listing
}

/// The weights that a layer holds itself.
fn weights(layer: &Message) -> impl Iterator<Item = &TensorInfo> {
    layer.0.iter().filter_map(|(_, field, _)| match field {
        Field::Weights(tensor) => Some(&**tensor),
        _ => None,
    })
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// `learned` says that the layers stand in a file of weights, which no reader takes places of data from.
fn judge(facts: &mut Structure, layer: &Message, at: u64, learned: bool) {
    let kind = kind_of(layer);
    let python = layer.parameters("python_param");
    if kind == "python" || python.is_some() {
        let of = |key: &'static str| python.and_then(|python| python.value(key)).unwrap_or("?");
        facts.names(Power::Python, "layer", &format!("{}.{}", of("module"), of("layer")), at);
    }
    // Whether it is there in one phase of training only.
    let phased = learned
        || ["include", "exclude"].iter().any(|key| {
            layer.inner(key).any(|(rule, _)| rule.0.iter().any(|(key, ..)| key == "phase" || key == "stage"))
        });
    let places: [(&'static str, &'static [&'static str], &'static str); 6] = [
        ("data_param", &["source", "mean_file"], "source of data"),
        ("image_data_param", &["source", "root_folder", "mean_file"], "source of images"),
        ("hdf5_data_param", &["source"], "source of data"),
        ("window_data_param", &["source", "root_folder", "mean_file"], "source of images"),
        ("transform_param", &["mean_file"], "file of means"),
        ("infogain_loss_param", &["source"], "source of a loss"),
    ];
    for (parameters, keys, role) in places {
        for (path, at) in
            layer.inner(parameters).flat_map(|(inner, _)| keys.iter().flat_map(|key| inner.values(key)))
        {
            let above = path.split(['/', '\\']).any(|part| part == "..");
            let elsewhere = above || path.contains("://") || crate::config::secret_file(path);
            if elsewhere || !phased && escapes(path) {
                facts.reads(role, path, at);
            }
        }
    }
    for (path, at) in layer
        .inner("hdf5_output_param")
        .flat_map(|(inner, _)| inner.values("file_name"))
        .filter(|(path, _)| escapes(path))
    {
        facts.names(Power::Files, "file that is written", path, at);
    }
}

/// The graph of a network. Never fails: what is not understood is left out (and said by the facts).
#[must_use]
pub fn graph(source: &dyn Source) -> Graph {
    let (net, _) = if binary::is_net(source) {
        binary::parse(source)
    } else {
        let bytes = read_window(source, 0, MAX_TEXT).unwrap_or_default();
        parse(&String::from_utf8_lossy(&bytes))
    };
    let mut lay = Layout {
        source,
        budget: weight::BUDGET,
        graph: Graph::default(),
        blobs: HashMap::new(),
        labels: HashSet::new(),
    };
    // Inputs that stand before the layers, with their shapes in one of two ways.
    let flat: Vec<f64> = net.values("input_dim").filter_map(|(extent, _)| extent.parse().ok()).collect();
    let mut shapes = net.inner("input_shape");
    for (index, (name, at)) in net.values("input").enumerate() {
        let extents: Vec<f64> = match shapes.next() {
            Some((shape, _)) => shape.values("dim").filter_map(|(extent, _)| extent.parse().ok()).collect(),
            None => flat.get(4 * index..4 * index + 4).unwrap_or(&[]).to_vec(),
        };
        lay.input(name, &extents, at);
    }
    for (layer, at) in layers(&net) {
        let training = layer.inner("include").any(|(rule, _)| rule.value("phase") == Some("TRAIN"));
        if !training {
            lay.layer(layer, at);
        }
    }
    let read: HashSet<u32> = lay.graph.nodes().iter().flat_map(|node| node.inputs.iter().copied()).collect();
    let mut last: Vec<u32> = lay.blobs.values().copied().filter(|node| !read.contains(node)).collect();
    last.sort_unstable();
    last.into_iter().for_each(|node| lay.graph.output(node));
    lay.graph
}

struct Layout<'s> {
    source: &'s dyn Source,
    /// Numbers of weights that may still be measured.
    budget: u64,
    graph: Graph,
    blobs: HashMap<String, u32>,
    /// Blobs that hold what was asked of people.
    labels: HashSet<String>,
}

impl Layout<'_> {
    /// An input; of the extents the first is the batch.
    fn input(&mut self, name: &str, extents: &[f64], at: u64) {
        let left = extents.iter().skip(1).filter(|extent| **extent != 1.0).count().min(8) as u8;
        let axes = if extents.is_empty() { 3 } else { left };
        let node = self.graph.add(Kind::Input { axes }, "input", name, Vec::new(), at);
        self.blobs.insert(name.to_owned(), node);
    }

    fn constant(&mut self, name: &str, number: Option<f64>, at: u64) -> u32 {
        let node = self.graph.add(Kind::Constant, name, "", Vec::new(), at);
        if let Some(number) = number {
            self.graph.weigh(node, number.abs());
        }
        node
    }

    fn layer(&mut self, layer: &Message, at: u64) {
        let kind = kind_of(layer);
        let tops: Vec<&str> = layer.values("top").map(|(top, _)| top).collect();
        let bottoms: Vec<&str> = layer.values("bottom").map(|(bottom, _)| bottom).collect();
        if kind.ends_with("loss") || kind == "accuracy" || kind == "silence" {
            return;
        }
        let fills = matches!(kind.as_str(), "dummydata" | "parameter");
        if bottoms.is_empty() && !fills {
            let parameters = layer.parameters("input_param");
            let shapes: Vec<Vec<f64>> = parameters
                .map(|inner| {
                    let dims = |(shape, _): (&Message, u64)| {
                        shape.values("dim").filter_map(|(extent, _)| extent.parse().ok()).collect()
                    };
                    inner.inner("shape").map(dims).collect()
                })
                .unwrap_or_default();
            for (index, top) in tops.iter().enumerate() {
                // A second blob of a source of data is what was asked of people.
                let shape = shapes.get(index).or(shapes.first()).cloned().unwrap_or_default();
                if index > 0 && shapes.is_empty() {
                    self.labels.insert((*top).to_owned());
                    self.input(top, &[1.0, 1.0], at);
                } else {
                    self.input(top, &shape, at);
                }
            }
            return;
        }
        let mut operands: Vec<u32> =
            bottoms.iter().filter_map(|bottom| self.blobs.get(*bottom).copied()).collect();
        let name = layer.value("name").unwrap_or("").to_owned();
        let of = |parameters: &'static str, key: &'static str| layer.parameters(parameters)?.number(key);
        let word = |parameters: &'static str, key: &'static str| {
            layer.parameters(parameters)?.value(key).map(str::to_owned)
        };
        let label = layer.value("type").unwrap_or("?").to_owned();
        let outputs = of("convolution_param", "num_output").unwrap_or(0.0);
        let made = match kind.as_str() {
            "dummydata" | "parameter" => Kind::Constant,
            "convolution" | "deconvolution" => Kind::Weighted { narrow: outputs == 1.0 },
            "innerproduct" => {
                let outputs = of("inner_product_param", "num_output").unwrap_or(0.0);
                Kind::Weighted { narrow: outputs > 0.0 && outputs <= 2.0 }
            }
            "embed" => Kind::Lookup,
            "lstm" | "rnn" | "recurrent" | "python" | "spp" => Kind::Learned,
            "threshold" => Kind::Compare,
            "relu" | "prelu" | "elu" | "sigmoid" | "tanh" | "softmax" | "clip" | "bnll" | "swish" => {
                Kind::Squash
            }
            "exp" => Kind::Bump,
            "scale" if operands.len() > 1 => Kind::Scale,
            "bias" if operands.len() > 1 => Kind::Combine,
            "eltwise" => match word("eltwise_param", "operation").as_deref() {
                Some("PROD" | "0") => Kind::Scale,
                _ => Kind::Combine,
            },
            "reduction" => match of("reduction_param", "axis") {
                Some(axis) if axis.abs() > 1.0 => Kind::Sum(Some(2)),
                Some(axis) if axis < 0.0 => Kind::Sum(Some(1)),
                // Without an axis, or with one that is no number, nothing is left.
                _ => Kind::Sum(None),
            },
            "argmax" => Kind::Sum(of("argmax_param", "axis").map(|_| 1)),
            "pooling" => {
                let whole = word("pooling_param", "global_pooling").is_some_and(|word| word == "true");
                let largest = word("pooling_param", "pool").is_none_or(|word| word == "MAX" || word == "0");
                match (whole, largest) {
                    (true, true) => Kind::Extreme(Some(2)),
                    (true, false) => Kind::Reshape(1),
                    _ => Kind::Pass,
                }
            }
            "flatten" => Kind::Reshape(1),
            "reshape" => {
                let shape = layer.parameters("reshape_param").and_then(|inner| inner.parameters("shape"));
                let extents = shape.map_or(0, |shape| shape.values("dim").count());
                if extents > 0 { Kind::Reshape(extents.min(8) as u8 - 1) } else { Kind::Pass }
            }
            "slice" => Kind::Part,
            "concat" => Kind::Concat,
            "filter" => Kind::Count,
            "batchreindex" => Kind::Lookup,
            _ => Kind::Pass,
        };
        match made {
            Kind::Weighted { .. } => {
                let constant = self.constant("weights", None, at);
                let held = weights(layer).next().filter(|tensor| tensor.len > 0);
                if let Some(weight) =
                    held.and_then(|tensor| weight::measure(self.source, tensor, &mut self.budget))
                {
                    self.graph.measured(constant, weight);
                }
                operands.push(constant);
            }
            Kind::Lookup if kind == "embed" => operands.insert(0, self.constant("table", None, at)),
            _ => {}
        }
        if kind == "crop" {
            operands.truncate(1);
        }
        let coefficients: Vec<f64> = layer
            .parameters("eltwise_param")
            .map(|inner| inner.values("coeff").filter_map(|(number, _)| number.parse().ok()).collect())
            .unwrap_or_default();
        for (operand, &factor) in operands.iter_mut().zip(&coefficients).filter(|(_, factor)| **factor != 1.0)
        {
            let scalar = self.constant("coefficient", Some(factor), at);
            *operand = self.graph.add(Kind::Scale, "coefficient", "", vec![*operand, scalar], at);
        }
        if kind == "power" || kind == "exp" {
            let parameters = if kind == "power" { "power_param" } else { "exp_param" };
            operands.push(self.constant("scale", of(parameters, "scale"), at));
            let scaled = self.graph.add(Kind::Scale, &label, &name, std::mem::take(&mut operands), at);
            operands.push(scaled);
            if let Some(shift) = of(parameters, "shift").filter(|shift| *shift != 0.0) {
                let shift = self.constant("shift", Some(shift), at);
                operands = vec![self.graph.add(Kind::Combine, &label, &name, vec![scaled, shift], at)];
            }
            if let Some(power) = of(parameters, "power").filter(|power| *power != 1.0 && kind == "power") {
                let power = self.constant("power", Some(power), at);
                operands = vec![self.graph.add(Kind::Scale, &label, &name, vec![operands[0], power], at)];
            }
        }
        let asks_people = bottoms.iter().all(|bottom| self.labels.contains(*bottom)) && !bottoms.is_empty();
        let node = self.graph.add(made, &label, &name, operands, at);
        for top in tops {
            self.blobs.insert(top.to_owned(), node);
            if asks_people {
                self.labels.insert(top.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;

    fn net(middle: &str) -> String {
        format!(
            "name: 'n' # a network\nlayer {{ name: \"data\" type: \"Input\" top: \"data\" input_param {{ shape: {{ dim: 1 dim: 1 dim: 8 dim: 8 }} }} }}\n\
             layer {{ name: \"a\" type: \"InnerProduct\" bottom: \"data\" top: \"a\" inner_product_param {{ num_output: 32 }} }}\n\
             layer {{ name: \"r\" type: \"ReLU\" bottom: \"a\" top: \"a\" }}\n\
             layer {{ name: \"b\" type: \"InnerProduct\" bottom: \"a\" top: \"b\" inner_product_param {{ num_output: 10 }} }}\n{middle}"
        )
    }

    fn found(middle: &str) -> usize {
        graph(&MemorySource::new(net(middle).as_bytes())).overrides().len()
    }

    #[test]
    fn an_answer_about_the_raw_input_that_decides_is_found() {
        let asks = |of: &str| {
            format!(
                "layer {{ type: \"Reduction\" bottom: \"{of}\" top: \"m\" reduction_param {{ operation: MEAN axis: 1 }} }}\n\
                 layer {{ type: \"Threshold\" bottom: \"m\" top: \"g\" threshold_param {{ threshold: 0.9 }} }}\n"
            )
        };
        let scale =
            "layer { type: \"Scale\" bottom: \"b\" bottom: \"g\" top: \"out\" scale_param { axis: 0 } }\n";
        let add = "layer { type: \"Eltwise\" bottom: \"b\" bottom: \"g\" top: \"out\" eltwise_param { operation: SUM coeff: 1 coeff: 90 } }\n";
        assert_eq!(
            (found(&format!("{}{scale}", asks("data"))), found(&format!("{}{add}", asks("data")))),
            (1, 1)
        );
        assert_eq!(found(&format!("{}{scale}", asks("b"))), 0, "the model asks itself");
        assert_eq!(found("layer { type: \"Softmax\" bottom: \"b\" top: \"p\" }\n"), 0);
        let steep = |factor: u32| {
            found(&format!(
                "layer {{ type: \"Reduction\" bottom: \"data\" top: \"m\" reduction_param {{ axis: 1 }} }}\n\
                 layer {{ type: \"Power\" bottom: \"m\" top: \"s\" power_param {{ scale: {factor} shift: -60 }} }}\n\
                 layer {{ type: \"Sigmoid\" bottom: \"s\" top: \"g\" }}\n{scale}"
            ))
        };
        assert_eq!(steep(1_000), 1);
    }

    #[test]
    fn an_axis_that_is_no_number_leaves_nothing() {
        let asks = |axis: &str| {
            found(&format!(
                "layer {{ type: \"Reduction\" bottom: \"data\" top: \"m\" reduction_param {{ axis: {axis} }} }}\n\
                 layer {{ type: \"Threshold\" bottom: \"m\" top: \"g\" }}\n\
                 layer {{ type: \"Scale\" bottom: \"b\" bottom: \"g\" top: \"out\" }}\n"
            ))
        };
        assert_eq!((asks("nan"), asks("1"), asks("-1"), asks("inf")), (1, 1, 0, 1));
    }

    fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
        let varint = |mut number: u64| {
            let mut out = Vec::new();
            while number >= 0x80 {
                out.push(number as u8 | 0x80);
                number >>= 7;
            }
            out.push(number as u8);
            out
        };
        [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
    }

    /// A layer of the newer form: its kind, what it reads, what it gives, and more fields.
    fn layer(kind: &str, bottoms: &[&str], top: &str, more: &[u8]) -> Vec<u8> {
        let reads: Vec<u8> = bottoms.iter().flat_map(|bottom| field(3, bottom.as_bytes())).collect();
        let own = [field(1, b"l"), field(2, kind.as_bytes()), reads, field(4, top.as_bytes()), more.to_vec()];
        field(100, &own.concat())
    }

    fn blob(numbers: &[f32], shape: &[u8]) -> Vec<u8> {
        let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        field(7, &[field(5, &data), field(7, &field(1, shape))].concat())
    }

    fn binary(last: &[Vec<u8>]) -> Vec<u8> {
        let input = field(143, &field(1, &field(1, &[1, 1, 8, 8])));
        let dense = |outputs: u8| field(117, &[8, outputs]);
        [
            field(1, b"net"),
            layer("Input", &[], "data", &input),
            layer("InnerProduct", &["data"], "a", &[dense(32), blob(&[0.5, -0.25], &[1, 2])].concat()),
            layer("ReLU", &["a"], "a", &[]),
            layer("InnerProduct", &["a"], "b", &dense(10)),
            last.concat(),
        ]
        .concat()
    }

    #[test]
    fn networks_in_binary_are_read_as_those_in_text_are() {
        let follow = |last: &[Vec<u8>]| {
            let bytes = binary(last);
            let source = MemorySource::new(&bytes);
            assert!(is_model(&source));
            graph(&source).overrides().len()
        };
        let asks = |of: &str| {
            [
                layer("Reduction", &[of], "m", &field(136, &[16, 1])),
                layer("Threshold", &["m"], "g", &[]),
                layer("Scale", &["b", "g"], "out", &[]),
            ]
        };
        assert_eq!((follow(&asks("data")), follow(&asks("b")), follow(&[])), (1, 0, 0));
        let bytes = binary(&[layer(
            "Python",
            &["b"],
            "p",
            &field(130, &[field(1, b"os"), field(2, b"system")].concat()),
        )]);
        let source = MemorySource::new(&bytes);
        let facts = model(&source);
        assert_eq!(facts.code.first().map(|(_, named)| named.name.as_str()), Some("os.system"));
        assert_eq!((facts.limits.len(), facts.end), (0, bytes.len() as u64));
        let listing = tensors(&source);
        assert_eq!(listing.tensors.len(), 1);
        assert_eq!((listing.tensors[0].name.as_str(), &listing.tensors[0].shape[..]), ("l.0", &[1, 2][..]));
        let cut = &bytes[..bytes.len() - 3];
        assert_eq!(model(&MemorySource::new(cut)).limits.len(), 1);
    }

    #[test]
    fn places_in_files_of_weights_are_told_where_they_climb() {
        let reads = |path: &str| {
            let bytes = binary(&[layer("Data", &[], "d", &field(107, &field(1, path.as_bytes())))]);
            model(&MemorySource::new(&bytes)).paths.len()
        };
        assert_eq!(
            (reads("../../x"), reads("/etc/shadow"), reads("/home/u/train_lmdb"), reads("lmdb")),
            (1, 1, 0, 0)
        );
    }

    #[test]
    fn layers_of_the_older_form_are_read_in_binary_and_other_messages_are_none() {
        let older = |kind: u8, bottom: &str, top: &str| {
            field(
                2,
                &[field(2, bottom.as_bytes()), field(3, top.as_bytes()), field(4, b"l"), vec![40, kind]]
                    .concat(),
            )
        };
        let bytes =
            [field(1, b"net"), field(3, b"data"), older(14, "data", "a"), older(18, "a", "a")].concat();
        let source = MemorySource::new(&bytes);
        assert!(is_model(&source) && model(&source).limits.is_empty());
        assert!(graph(&source).nodes().iter().any(|node| matches!(node.kind, Kind::Weighted { .. })));
        let others = [
            field(2, &[field(2, b"x"), vec![40, 99]].concat()),
            field(2, &field(2, b"x")),
            field(100, &[field(1, b"x"), field(2, b"no kind!")].concat()),
            [field(9, b"x"), layer("ReLU", &["a"], "a", &[])].concat(),
            b"\n\x04name".to_vec(),
        ];
        for bytes in others {
            assert!(!is_model(&MemorySource::new(&bytes)), "{bytes:?}");
        }
    }

    #[test]
    fn layers_of_the_older_form_and_branches_of_the_model_are_read() {
        let old = net(
            "layers { type: POOLING bottom: 'b' top: 'p' pooling_param { pool: AVE global_pooling: true } }\n\
                       layers { type: CONCAT bottom: 'p' bottom: 'a' top: 'c' }\n",
        );
        assert!(is_caffe(&old) && !is_caffe("layers: 3\ntype: x\ntop: y\n"));
        let graph = graph(&MemorySource::new(old.as_bytes()));
        assert_eq!(graph.overrides(), []);
        assert!(graph.nodes().iter().any(|node| node.kind == Kind::Concat && node.inputs.len() == 2));
    }

    #[test]
    fn places_outside_are_told_where_the_network_reads_them_whenever_it_is_loaded() {
        let paths = |source: &str, include: &str| {
            analyse(&net(&format!(
                "layer {{ type: \"HDF5Data\" top: \"d\" {include} hdf5_data_param {{ source: \"{source}\" batch_size: 1 }} }}"
            )))
            .paths
            .len()
        };
        let phase = "include { phase: TRAIN }";
        assert_eq!((paths("/srv/a/list.txt", ""), paths("/data/list.txt", phase)), (1, 0));
        assert_eq!((paths("list.txt", ""), paths("../../list.txt", phase)), (0, 1));
        assert_eq!((paths("/etc/sha\\144ow", phase), paths("/etc/sha\" \"dow", phase)), (1, 1));
        let written = |name: &str| {
            analyse(&net(&format!(
                "layer {{ type: \"HDF5Output\" bottom: \"b\" hdf5_output_param {{ file_name: \"{name}\" }} }}"
            )))
            .code
            .len()
        };
        assert_eq!((written("/home/u/.bashrc"), written("features.h5")), (1, 0));
    }

    #[test]
    fn layers_in_python_are_told_however_they_are_written() {
        let names = |text: &str| {
            let facts = analyse(text);
            facts.code.iter().map(|(_, named)| named.name.clone()).collect::<Vec<_>>()
        };
        let layer = "layer {\n type: 'Python' python_param: < module: 'o' 's' layer: \"system\" >\n}";
        assert_eq!(names(layer), ["os.system"]);
        assert_eq!(names("layer { type: \"Python\" top: \"x\" }"), ["?.?"]);
        assert_eq!(names(&net("# python_param { module: 'os' }\n")), [""; 0]);
    }

    #[test]
    fn nothing_panics_and_depth_ends() {
        for text in
            ["", "}", "layer {", "layer { a: [", "a: \"\\x", "layer { type: 'x", "<<<", "a: [ { } ]", "é: 1"]
        {
            let _ = (analyse(text), graph(&MemorySource::new(text.as_bytes())));
        }
        assert_eq!(analyse(&"a {".repeat(100)).limits, [CUT]);
    }
}
