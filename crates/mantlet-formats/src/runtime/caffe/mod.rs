//! Caffe's networks and solvers in protobuf's text form: layers that are Python, places that are read and written, and
//! the graph.
//!
//! An absolute path of the machine a file was written on is ordinary in a layer of data for one phase of training;
//! what a network reads whenever it is loaded is not.
//!
//! Long because the reader of the form, its judge and its graph share one tree.

use std::collections::{HashMap, HashSet};

use mantlet_vocab::{Source, read_window};

use crate::graph::{Graph, Kind};
use crate::structure::{Power, Structure, escapes};

const MAX_TEXT: usize = 8 << 20;
const MAX_FIELDS: usize = 400_000;
const MAX_DEPTH: usize = 32;
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

/// A message: its fields in order, each with its offset.
#[derive(Debug, Default)]
struct Message(Vec<(String, Field, u64)>);

#[derive(Debug)]
enum Field {
    /// A number, a text or a word, without quotes.
    Value(String),
    Inner(Message),
}

impl Message {
    fn inner(&self, name: &'static str) -> impl Iterator<Item = (&Message, u64)> {
        self.0.iter().filter_map(move |(key, field, at)| match field {
            Field::Inner(inner) if key == name => Some((inner, *at)),
            _ => None,
        })
    }

    fn values(&self, name: &'static str) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().filter_map(move |(key, field, at)| match field {
            Field::Value(value) if key == name => Some((value.as_str(), *at)),
            _ => None,
        })
    }

    fn value(&self, name: &'static str) -> Option<&str> {
        self.values(name).last().map(|(value, _)| value)
    }

    fn number(&self, name: &'static str) -> Option<f64> {
        self.value(name)?.trim_end_matches(['f', 'F']).parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The parameters of a layer, by the end of their name.
    fn parameters(&self, name: &'static str) -> Option<&Message> {
        self.inner(name).map(|(inner, _)| inner).last()
    }
}

/// Reads the form; false when something of it was not understood or lies behind a bound.
fn parse(text: &str) -> (Message, bool) {
    let bytes = text.as_bytes();
    let mut open: Vec<(String, u64, Message)> = Vec::new();
    let (mut here, mut whole, mut fields, mut at) = (Message::default(), true, 0_usize, 0_usize);
    let skip = |mut at: usize| {
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'#' => at += bytes[at..].iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len() - at),
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b';' => at += 1,
                _ => break,
            }
        }
        at
    };
    loop {
        at = skip(at);
        let Some(&byte) = bytes.get(at) else { break };
        fields += 1;
        if fields > MAX_FIELDS {
            whole = false;
            break;
        }
        if matches!(byte, b'}' | b'>') {
            at += 1;
            match open.pop() {
                Some((name, start, outer)) => {
                    let inner = std::mem::replace(&mut here, outer);
                    here.0.push((name, Field::Inner(inner), start));
                }
                None => whole = false,
            }
            continue;
        }
        let start = at;
        while bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')) {
            at += 1;
        }
        if at == start {
            whole = false;
            at += 1;
            continue;
        }
        let name = text.get(start..at).unwrap_or("").to_owned();
        at = skip(at);
        if bytes.get(at) == Some(&b':') {
            at = skip(at + 1);
        }
        match bytes.get(at) {
            Some(b'{' | b'<') => {
                at += 1;
                if open.len() >= MAX_DEPTH {
                    whole = false;
                    break;
                }
                open.push((name, start as u64, std::mem::take(&mut here)));
            }
            Some(b'[') => {
                // A list of values under one name.
                at = skip(at + 1);
                while let Some(byte) = bytes.get(at).filter(|byte| **byte != b']') {
                    if matches!(byte, b'{' | b'}') || fields > MAX_FIELDS {
                        whole = false;
                        break;
                    }
                    let (value, end) = scalar(text, at);
                    here.0.push((name.clone(), Field::Value(value), start as u64));
                    (fields, at) = (fields + 1, skip(end));
                }
                at += usize::from(bytes.get(at) == Some(&b']'));
            }
            Some(_) => {
                let (value, end) = scalar(text, at);
                here.0.push((name, Field::Value(value), start as u64));
                at = end;
            }
            None => whole = false,
        }
    }
    whole &= open.is_empty();
    while let Some((name, start, outer)) = open.pop() {
        let inner = std::mem::replace(&mut here, outer);
        here.0.push((name, Field::Inner(inner), start));
    }
    (here, whole)
}

/// A value and where it ends. Texts that follow one another are one.
fn scalar(text: &str, from: usize) -> (String, usize) {
    let bytes = text.as_bytes();
    let (mut at, mut value) = (from, Vec::new());
    let mut quoted = false;
    while let Some(&quote) = bytes.get(at).filter(|byte| matches!(byte, b'"' | b'\'')) {
        quoted = true;
        at += 1;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            if byte == quote {
                break;
            }
            if byte != b'\\' {
                value.push(byte);
                continue;
            }
            let rest = bytes.get(at..).unwrap_or(&[]);
            let (radix, skip, most) = match rest.first() {
                Some(b'x' | b'X') => (16, 1, 2),
                Some(b'0'..=b'7') => (8, 0, 3),
                _ => (0, 0, 0),
            };
            let digit = |byte: &u8| radix > 0 && char::from(*byte).is_digit(radix);
            let len = rest.iter().skip(skip).take(most).take_while(|byte| digit(byte)).count();
            let digits = rest.get(skip..skip + len).and_then(|digits| std::str::from_utf8(digits).ok());
            match digits.and_then(|digits| u32::from_str_radix(digits, radix.max(2)).ok()) {
                Some(code) if len > 0 => {
                    value.push(code as u8);
                    at += skip + len;
                }
                _ => {
                    value.extend(rest.first().map(|byte| match byte {
                        b'n' => b'\n',
                        b't' => b'\t',
                        other => *other,
                    }));
                    at += 1;
                }
            }
        }
        let blank = |byte: &&u8| byte.is_ascii_whitespace();
        let after = at + bytes.get(at..).unwrap_or(&[]).iter().take_while(blank).count();
        if !bytes.get(after).is_some_and(|byte| matches!(byte, b'"' | b'\'')) {
            break;
        }
        at = after;
    }
    if !quoted {
        let end = |byte: &&u8| {
            !byte.is_ascii_whitespace()
                && !matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b';' | b'#' | b'"' | b'\'')
        };
        let len = bytes.get(at..).unwrap_or(&[]).iter().take_while(end).count().max(1);
        value.extend(bytes.get(at..at + len).unwrap_or(&[]));
        at += len;
    }
    (String::from_utf8_lossy(&value).into_owned(), at)
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
    layers(&net).for_each(|(layer, at)| judge(&mut facts, layer, at));
    // A solver may hold its networks.
    for key in ["net_param", "train_net_param", "test_net_param"] {
        for (inner, _) in net.inner(key) {
            layers(inner).for_each(|(layer, at)| judge(&mut facts, layer, at));
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

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

fn judge(facts: &mut Structure, layer: &Message, at: u64) {
    let kind = kind_of(layer);
    let python = layer.parameters("python_param");
    if kind == "python" || python.is_some() {
        let of = |key: &'static str| python.and_then(|python| python.value(key)).unwrap_or("?");
        facts.names(Power::Python, "layer", &format!("{}.{}", of("module"), of("layer")), at);
    }
    // Whether it is there in one phase of training only.
    let phased = ["include", "exclude"].iter().any(|key| {
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
    let bytes = read_window(source, 0, MAX_TEXT).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let (net, _) = parse(&text);
    let mut lay = Layout { graph: Graph::default(), blobs: HashMap::new(), labels: HashSet::new() };
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

struct Layout {
    graph: Graph,
    blobs: HashMap<String, u32>,
    /// Blobs that hold what was asked of people.
    labels: HashSet<String>,
}

impl Layout {
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
                Some(axis) if !(-1.0..=1.0).contains(&axis) => Kind::Sum(Some(2)),
                Some(axis) if axis < 0.0 => Kind::Sum(Some(1)),
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
            Kind::Weighted { .. } => operands.push(self.constant("weights", None, at)),
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
