//! NCNN's text graphs: a mark, two counts, a line for each layer with the blobs it reads and writes and its numbers.

use std::collections::HashMap;

use mantlet_vocab::{Source, read_window};

use crate::graph::{Graph, Kind};
use crate::structure::Structure;

const MAX_TEXT: usize = 8 << 20;

/// Whether text begins like a graph of NCNN.
#[must_use]
pub fn is_ncnn(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"7767517")
}

/// The facts of a graph. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("NCNN");
    facts.whole_text = true;
    let bytes = read_window(source, 0, MAX_TEXT).unwrap_or_default();
    if source.len() > MAX_TEXT as u64 {
        facts.limit(format!("only the first {MAX_TEXT} bytes are examined"));
        return facts;
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).skip(1);
    let counts: Vec<u64> =
        lines.next().unwrap_or("").split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect();
    let &[layers, blobs] = counts.as_slice() else {
        facts.defect("it does not say how many layers it has", 0);
        return facts;
    };
    let (mut seen, mut outputs) = (0_u64, 0_u64);
    for line in lines {
        seen += 1;
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let count = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
        let (Some(inputs), Some(results)) = (count(2), count(3)) else {
            facts.defect(format!("line {} is no layer", seen + 2), 0);
            continue;
        };
        outputs = outputs.saturating_add(results);
        if inputs.saturating_add(results).saturating_add(4) > words.len() as u64 {
            facts.defect(format!("the layer of line {} names fewer blobs than it declares", seen + 2), 0);
        }
    }
    if seen != layers {
        facts.defect(format!("it declares {layers} layers and has {seen}"), 0);
    }
    if outputs > blobs {
        facts.defect(format!("it declares {blobs} blobs and its layers write {outputs}"), 0);
    }
    facts
}

/// The graph of a text graph. Never fails: what is broken is left out (and a defect of the facts).
#[must_use]
pub fn graph(source: &dyn Source) -> Graph {
    let mut graph = Graph::default();
    let bytes = read_window(source, 0, MAX_TEXT).unwrap_or_default();
    graph.cut = source.len() > MAX_TEXT as u64;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).skip(2);
    let mut blobs: HashMap<&str, u32> = HashMap::new();
    let mut read: Vec<&str> = Vec::new();
    let mut written: Vec<&str> = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let count = |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok());
        let (Some(inputs), Some(results)) = (count(2), count(3)) else { continue };
        let Some(end) = inputs.checked_add(results).and_then(|count| count.checked_add(4)) else { continue };
        let (Some(from), Some(to)) = (words.get(4..4 + inputs), words.get(4 + inputs..end)) else { continue };
        let layer = Layer { kind: words[0], numbers: &words[end..] };
        let mut operands: Vec<u32> = from.iter().filter_map(|blob| blobs.get(blob).copied()).collect();
        read.extend(from);
        let kind = layer.kind(inputs);
        let constant =
            |graph: &mut Graph, name: &str| graph.add(Kind::Constant, name, words[1], Vec::new(), 0);
        match kind {
            Kind::Weighted { .. } if inputs == 1 => operands.push(constant(&mut graph, "weights")),
            Kind::Lookup => operands.insert(0, constant(&mut graph, "table")),
            _ => {}
        }
        if let Some(number) = layer.scalar() {
            let scalar = constant(&mut graph, "scalar");
            graph.weigh(scalar, number.abs());
            operands.push(scalar);
        }
        let node = graph.add(kind, layer.kind, words[1], operands, 0);
        for blob in to {
            blobs.insert(blob, node);
            written.push(blob);
        }
    }
    let read: std::collections::HashSet<&str> = read.into_iter().collect();
    for blob in written.into_iter().filter(|blob| !read.contains(blob)) {
        if let Some(&node) = blobs.get(blob) {
            graph.output(node);
        }
    }
    graph
}

/// A layer: its kind, and its numbers as `KEY=VALUE`.
struct Layer<'t> {
    kind: &'t str,
    numbers: &'t [&'t str],
}

impl Layer<'_> {
    fn text(&self, key: i64) -> Option<&str> {
        let of = |word: &&str| word.split_once('=').filter(|(name, _)| name.parse() == Ok(key)).is_some();
        self.numbers.iter().find(|word| of(word)).and_then(|word| Some(word.split_once('=')?.1))
    }

    fn number(&self, key: i64) -> Option<i64> {
        self.text(key)?.parse().ok()
    }

    /// The number that an operation of two has in the place of its second operand.
    fn scalar(&self) -> Option<f64> {
        let with = matches!(self.kind, "BinaryOp" if self.number(1) == Some(1));
        if with { self.text(2)?.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
    }

    fn kind(&self, inputs: usize) -> Kind {
        let operation = self.number(0).unwrap_or(0);
        match self.kind {
            "Input" => {
                let extents = [0, 1, 2, 11].iter().filter_map(|key| self.number(*key));
                let axes = extents.filter(|extent| *extent > 1).count() as u8;
                Kind::Input { axes: if axes == 0 { 3 } else { axes } }
            }
            "MemoryData" => Kind::Constant,
            "InnerProduct" => Kind::Weighted { narrow: operation <= 2 },
            kind if kind.starts_with("Convolution") || kind.starts_with("Deconvolution") => {
                Kind::Weighted { narrow: operation <= 1 }
            }
            "Gemm" | "MatMul" | "Einsum" => Kind::Weighted { narrow: false },
            "LSTM" | "GRU" | "RNN" | "MultiHeadAttention" => Kind::Learned,
            "Embed" => Kind::Lookup,
            "Threshold" => Kind::Compare,
            "ReLU" | "PReLU" | "Clip" | "Sigmoid" | "TanH" | "HardSigmoid" | "HardSwish" | "Softmax"
            | "ELU" | "SELU" | "CELU" | "Swish" | "GELU" | "Mish" | "Erf" | "BNLL" | "Quantize"
            | "Shrink" => Kind::Squash,
            "UnaryOp" => match operation {
                2 | 3 | 16 | 18 | 19 => Kind::Squash,
                6 | 7 | 15 => Kind::Bump,
                _ => Kind::Pass,
            },
            "Exp" => Kind::Bump,
            "BinaryOp" if matches!(operation, 2 | 3 | 6 | 8 | 9) => Kind::Scale,
            "BinaryOp" => Kind::Combine,
            "Eltwise" if operation == 0 => Kind::Scale,
            "Eltwise" | "CopyTo" => Kind::Combine,
            "Reduction" => {
                // All axes, unless a list of them is given: its length, then each.
                let listed = self.text(-23303).and_then(|list| list.split(',').next()?.parse::<u8>().ok());
                let axes = if self.number(1) == Some(0) { listed } else { None };
                if matches!(operation, 4..=6) { Kind::Extreme(axes) } else { Kind::Sum(axes) }
            }
            "Pooling" if self.number(4) == Some(1) => Kind::Reshape(1),
            "Flatten" => Kind::Reshape(1),
            "Crop" if [3, 4].iter().all(|key| self.number(*key) == Some(1)) => Kind::Pick(2),
            "ArgMax" => Kind::Sum(Some(1)),
            "Slice" => Kind::Part,
            "Concat" | "Stack" => Kind::Concat,
            _ if inputs > 8 => Kind::Concat,
            _ => Kind::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;

    fn found(middle: &str) -> usize {
        let text = format!(
            "7767517\n9 9\nInput in 0 1 x 0=28 1=28 2=1\nSplit s 1 2 x x1 x2\nInnerProduct a 1 1 x1 h 0=32 1=1\n\
             InnerProduct b 1 1 h y 0=10 1=1\n{middle}"
        );
        graph(&MemorySource::new(text.as_bytes())).overrides().len()
    }

    #[test]
    fn an_answer_about_the_raw_input_that_is_added_or_multiplied_is_found() {
        let sum = "Reduction r 1 1 x2 m 0=0 1=1\nThreshold t 1 1 m g 0=3.5\n";
        assert_eq!(found(&format!("{sum}BinaryOp w 2 1 y g out 0=2\n")), 1);
        assert_eq!(found(&format!("{sum}Eltwise w 2 1 y g out 0=1\n")), 1);
        let learned = "Split t 1 2 y y1 y2\nReduction r 1 1 y1 m 0=0 1=1\nThreshold t 1 1 m g 0=3.5\n";
        assert_eq!(found(&format!("{learned}BinaryOp w 2 1 y2 g out 0=2\n")), 0);
        assert_eq!(found("Softmax p 1 1 y out 0=0\nNoop n 1 0 x2\n"), 0);
        assert_eq!(found("Reduction r 9999999999999999999 1\nBinaryOp w 2 1 y\n"), 0);
    }
}
