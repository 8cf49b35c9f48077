//! Weights and graphs that are data: parsed, judged, and their texts looked into.

use mantlet_formats::metadata::Text;
use mantlet_formats::route::Format;
use mantlet_formats::{Facts, gguf, onnx};
use mantlet_vocab::{Place, Source, read_window};

use crate::engine::Engine;

/// Bytes of one metadata text that are looked at.
const MAX_TEXT: u64 = 8 << 10;

impl Engine<'_> {
    /// Examines a format of weights or graphs; false when it is none of them.
    pub(crate) fn model(&mut self, format: Format, source: &dyn Source, place: &Place) -> bool {
        match format {
            Format::Gguf => self.gguf(source, place),
            Format::Ggml => {
                let facts = gguf::analyse_ggml(source);
                self.limits(place, &facts.limits);
                self.judge(&Facts::Ggml(facts), place);
            }
            _ => return false,
        }
        true
    }

    fn gguf(&mut self, source: &dyn Source, place: &Place) {
        let facts = gguf::analyse(source, &self.bounds);
        self.limits(place, &facts.limits);
        let texts = facts.texts.iter().map(|text| {
            let value = read_window(source, text.start, text.len.min(MAX_TEXT) as usize).unwrap_or_default();
            let mut seen = Text::new(&text.key, &String::from_utf8_lossy(&value));
            seen.len = text.len;
            seen
        });
        self.metadata(texts.collect(), place);
        for template in &facts.templates {
            self.gap(
                &place.part(template.key.clone()),
                "its chat template is not judged".into(),
                "read the template; it is a program that the tokenizer renders",
            );
        }
        self.judge(&Facts::Gguf(facts), place);
    }

    /// Judges the texts that a file says about itself.
    pub(crate) fn metadata(&mut self, texts: Vec<Text>, place: &Place) {
        if !texts.is_empty() {
            self.judge(&Facts::Metadata(texts), place);
        }
    }

    /// Whether the raw input overrides the learned output.
    pub(crate) fn onnx_graph(&mut self, source: &dyn Source, place: &Place) {
        let graph = onnx::graph(source);
        if graph.cut {
            self.gap(
                place,
                "its graph is too large to be followed from input to output".into(),
                "split the model, or review its graph",
            );
        }
        let overrides = graph.overrides();
        if !overrides.is_empty() {
            self.judge(&Facts::Graph(overrides), place);
        }
    }
}
