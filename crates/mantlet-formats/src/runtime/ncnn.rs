//! NCNN's text graphs: a mark, two counts, a line for each layer.

use mantlet_vocab::{Source, read_window};

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
