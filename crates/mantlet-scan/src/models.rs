//! Weights and graphs that are data: parsed, judged, and their texts looked into.

use mantlet_formats::graph::Graph;
use mantlet_formats::metadata::Text;
use mantlet_formats::route::Format;
use mantlet_formats::{
    Facts, config, gguf, hdf5, jinja, keras, metadata, onnx, pickle, secrets, tensorflow, tflite,
};
use mantlet_vocab::{MemorySource, Place, Severity, Source, SubSource, read_window};

use crate::engine::{Engine, SMALL};

/// Bytes of one metadata text that are looked at.
const MAX_TEXT: u64 = 1 << 20;
/// Bytes of all metadata texts of one file.
const MAX_TEXTS: u64 = 16 << 20;
/// Bytes of the Python objects in tables of one file.
const MAX_OBJECTS: u64 = 64 << 20;
const SHORTER: &str = "keep what a model says about itself short, or read it yourself";
/// Bytes of all texts of an ONNX model.
const MAX_ONNX_TEXTS: u64 = 2 << 20;
/// Bytes of one chat template.
const MAX_TEMPLATE: u64 = 1 << 20;

/// A configuration of Keras, and the sizes of its weights, as far as they were met.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    config: Option<(Vec<u8>, Place)>,
    stored: keras::Stored,
    /// How many were met.
    pub(crate) met: u64,
}

impl Engine {
    /// Examines a format of weights or graphs; false when it is none of them.
    pub(crate) fn model(&mut self, format: Format, source: &dyn Source, place: &Place) -> bool {
        match format {
            Format::Gguf => self.gguf(source, place),
            Format::Hdf5 => self.hdf5(source, place),
            Format::TensorFlow => self.tensorflow(source, place),
            Format::Tflite => {
                let facts = tflite::analyse(source, &self.bounds);
                self.limits(place, &facts.limits);
                self.judge(&Facts::Tflite(facts), place);
                self.follow(&tflite::graph(source), place);
            }
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
        let (mut budget, mut texts) = (MAX_TEXTS, Vec::new());
        for text in &facts.texts {
            let value = self.said_in(source, (&text.key, text.start, text.len), &mut budget, place);
            let mut seen = Text::new(&text.key, &String::from_utf8_lossy(&value));
            seen.len = text.len;
            // Templates are listed apart, whole.
            seen.template = None;
            texts.push(seen);
        }
        self.metadata(texts, place);
        for template in &facts.templates {
            let text = read_window(source, template.start, template.len.min(MAX_TEMPLATE) as usize);
            let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
            let mut judged = jinja::analyse(&text);
            if template.len > MAX_TEMPLATE {
                judged
                    .limits
                    .push(format!("only the first {MAX_TEMPLATE} bytes of the template are examined"));
            }
            self.template(judged, true, &place.part(template.key.clone()));
        }
        self.judge(&Facts::Gguf(facts), place);
    }

    /// A text that a file says about itself, with a gap where it is cut.
    fn said_in(
        &mut self,
        source: &dyn Source,
        (key, start, len): (&str, u64, u64),
        budget: &mut u64,
        place: &Place,
    ) -> Vec<u8> {
        let read = len.min(MAX_TEXT).min(*budget);
        *budget -= read;
        if read < len {
            let why = format!("only the first {read} bytes of `{key}` are examined");
            self.gap(place, why, SHORTER);
        }
        read_window(source, start, read as usize).unwrap_or_default()
    }

    /// The Python objects that PyTables keeps in cells, which it unpickles when they are read.
    fn cells(&mut self, source: &dyn Source, place: &Place, depth: u8) {
        let (objects, mut whole) = hdf5::pickles(source);
        let mut budget = MAX_OBJECTS;
        for (start, len) in objects {
            let Some(left) = budget.checked_sub(len) else {
                whole = false;
                break;
            };
            budget = left;
            let inner = SubSource::new(source, start, len);
            self.pickle(&[Format::Pickle], &inner, &place.part(format!("object at {start:#x}")), depth);
        }
        if !whole {
            let why = "it holds more Python objects than are examined".into();
            self.gap(place, why, "keep the columns as numbers and text");
        }
    }

    fn tensorflow(&mut self, source: &dyn Source, place: &Place) {
        let Some(file) = tensorflow::recognise(source) else { return };
        let facts = tensorflow::analyse(source, file, &self.bounds);
        self.limits(place, &facts.limits);
        for (index, configuration) in facts.configurations.iter().enumerate() {
            let inner = SubSource::new(source, configuration.start, configuration.len);
            self.keras(&inner, &place.part(format!("layer {index}")));
        }
        self.judge(&Facts::TensorFlow(facts), place);
        self.follow(&tensorflow::graph(source, file), place);
    }

    fn hdf5(&mut self, source: &dyn Source, place: &Place) {
        // Nobody but whoever put it there reads the block before the file.
        if let Some(block) = hdf5::signature(source).filter(|&start| start > 0) {
            let inner = SubSource::new(source, 0, block);
            let facts = mantlet_formats::unclaimed::analyse(&inner, 0, &self.bounds);
            if facts.opens && !facts.padding {
                self.examine(&inner, "user block", &place.member("user block"), 2);
            }
            if !facts.programs.is_empty() {
                self.judge(&Facts::Unclaimed(facts), place);
            }
        }
        let facts = hdf5::analyse(source, &self.bounds);
        self.limits(place, &facts.limits);
        let (mut texts, mut budget, mut objects) = (Vec::new(), MAX_TEXTS, false);
        for text in &facts.texts {
            let part = place.part(format!("{}: {}", text.object, text.name));
            let inner = SubSource::new(source, text.start, text.len);
            if !self.keras(&inner, &part) {
                let value = self.said_in(&inner, (&text.name, 0, text.len), &mut budget, &part);
                objects |= text.name == "PSEUDOATOM" && value.starts_with(b"object");
                // A text that is a pickle is opened as one by PyTables.
                let bare =
                    value.iter().rposition(|&byte| byte != 0).map_or(&value[..0], |end| &value[..=end]);
                if bare.len() > 8 && bare.ends_with(b".") {
                    let source = MemorySource::new(bare);
                    let facts = Facts::Pickle(pickle::analyse(&source, &self.bounds));
                    let mut found = Vec::new();
                    mantlet_rules::check(&facts, &part, &mut found);
                    if found.iter().any(|one| one.severity == Severity::Malicious) {
                        self.judge(&facts, &part);
                    }
                }
                texts.push(Text::new(&text.name, &String::from_utf8_lossy(&value)));
            }
        }
        if objects {
            self.cells(source, place, 1);
        }
        self.metadata(texts, place);
        self.judge(&Facts::Hdf5(facts), place);
        self.keras.stored = keras::Stored::read(source, &self.bounds);
        self.keras.met += 1;
        self.layers();
    }

    /// Judges a configuration of Keras with the sizes of its weights, once both were met.
    fn layers(&mut self) {
        if self.keras.stored.is_empty() {
            return;
        }
        if let Some((text, place)) = self.keras.config.take() {
            let overrides = keras::overrides(&text, &self.keras.stored);
            self.keras.stored = keras::Stored::default();
            if !overrides.is_empty() {
                self.judge(&Facts::Graph(overrides), &place);
            }
        }
    }

    /// Judges a Keras configuration; false when it is none.
    pub(crate) fn keras(&mut self, source: &dyn Source, place: &Place) -> bool {
        let text = read_window(source, 0, keras::MAX_CONFIG as usize).unwrap_or_default();
        if !keras::is_keras(&text) {
            return false;
        }
        let facts = keras::analyse(source, &self.bounds);
        self.limits(place, &facts.limits);
        if !facts.overrides.is_empty() {
            self.judge(&Facts::Graph(facts.overrides.clone()), place);
        }
        self.judge(&Facts::Keras(facts), place);
        self.keras.config = Some((text, place.clone()));
        self.keras.met += 1;
        self.layers();
        true
    }

    /// Judges the texts that a file says about itself.
    pub(crate) fn metadata(&mut self, texts: Vec<Text>, place: &Place) {
        self.said.texts(&texts);
        let named =
            |text: &Text| text.secret || !secrets::named(&format!("{}={}", text.key, text.shown)).is_empty();
        if let Some(text) = texts.iter().find(|text| named(text)) {
            let secret = secrets::Secret { kind: "credential", offset: 0 };
            self.judge(&Facts::Secrets(vec![secret]), &place.part(text.key.clone()));
        }
        for (key, template) in texts.iter().filter_map(|text| Some((&text.key, text.template.clone()?))) {
            self.template(*template, key == "chat_template", &place.part(key.clone()));
        }
        // Parts under one key each.
        if let Some(what) = metadata::joined(texts.iter().map(|text| text.shown.as_str()))
            && texts.iter().all(|text| text.hides.is_none())
        {
            let mut text = Text::new("all texts together", "");
            text.hides = Some(what);
            self.judge(&Facts::Metadata(vec![text]), place);
        }
        // A configuration within a text, as some loaders read it.
        for text in texts.iter().filter(|text| text.shown.contains("_target_")) {
            let facts = config::yaml(&text.shown, self.bounds.effects);
            self.config(facts, false, &place.part(text.key.clone()));
        }
        if !texts.is_empty() {
            self.judge(&Facts::Metadata(texts), place);
        }
    }

    /// Descriptions and properties: judged as metadata, searched for credentials, read as templates.
    pub(crate) fn onnx_texts(&mut self, facts: &onnx::Onnx, source: &dyn Source, place: &Place) {
        self.metadata(facts.texts.iter().map(|(text, ..)| text.clone()).collect(), place);
        let mut budget = MAX_ONNX_TEXTS;
        for (text, start, len) in &facts.texts {
            let part = place.part(text.key.clone());
            let value = read_window(source, *start, (*len).min(MAX_TEMPLATE) as usize).unwrap_or_default();
            budget = budget.saturating_sub(*len);
            if budget == 0 {
                self.gap(place, "it says more about itself than is read".into(), "read it yourself");
                break;
            }
            let value = String::from_utf8_lossy(&value);
            if text.key.contains("template") || jinja::has_tags(&value) {
                self.template(jinja::analyse(&value), text.key.contains("template"), &part);
            }
            // Small files are searched from end to end anyway.
            if source.len() > SMALL {
                let swept =
                    mantlet_formats::sweep::sweep(&SubSource::new(source, *start, *len), MAX_TEMPLATE);
                if !swept.secrets.is_empty() {
                    self.judge(&Facts::Secrets(swept.secrets), &part);
                }
            }
        }
    }

    /// Whether the raw input overrides the learned output.
    pub(crate) fn onnx_graph(&mut self, source: &dyn Source, beside: &onnx::Beside, place: &Place) {
        self.follow(&onnx::graph_with(source, beside), place);
        let trees = onnx::trees(source);
        self.limits(place, &trees.limits);
        if !trees.needles.is_empty() {
            self.judge(&Facts::Structure(Box::new(trees)), place);
        }
    }

    pub(crate) fn follow(&mut self, graph: &Graph, place: &Place) {
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
