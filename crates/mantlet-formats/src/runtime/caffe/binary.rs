//! Caffe's networks in binary (`.caffemodel`): the fields of the messages by their numbers, as the tree that their text
//! form gives. What is in no table here computes nothing that is judged.

use mantlet_vocab::Source;

use super::text::{Field, Message};
use crate::proto::{self, Fields, Value};
use crate::weights::{Dtype, TensorInfo};
use crate::window::Window;

/// What a field is.
#[derive(Debug, Clone, Copy)]
enum What {
    Text,
    Whole,
    Float,
    Flag,
    /// One of these words, by its number.
    Word(&'static [&'static str]),
    Inner(Table),
    /// Numbers of a layer.
    Weights,
}

use What::{Flag, Float, Inner, Text, Weights, Whole, Word};

type Table = &'static [(u64, &'static str, What)];

/// Fields that are kept, and bytes of their texts.
const MAX_FIELDS: usize = 200_000;
const MAX_TEXT: usize = 8 << 20;
/// Layers that are looked at to tell what a file is.
const MAX_TRIED: usize = 64;
/// Fields of the network that may come before its first layer.
const MAX_BEFORE: usize = 4_096;
/// Names of one network: graphs of other formats begin with a long row of the same field.
const MAX_NAMES: usize = 16;

const SHAPE: Table = &[(1, "dim", Whole)];
const RULE: Table = &[(1, "phase", Word(&["TRAIN", "TEST"])), (4, "stage", Text), (5, "not_stage", Text)];
const TRANSFORM: Table = &[(4, "mean_file", Text)];
const DATA: Table = &[(1, "source", Text), (3, "mean_file", Text)];
const IMAGES: Table = &[(1, "source", Text), (3, "mean_file", Text), (12, "root_folder", Text)];
const WINDOWS: Table = &[(1, "source", Text), (3, "mean_file", Text), (13, "root_folder", Text)];
const SOURCE: Table = &[(1, "source", Text)];
const WRITTEN: Table = &[(1, "file_name", Text)];
const OUTPUTS: Table = &[(1, "num_output", Whole)];
const LARGEST: Table = &[(3, "axis", Whole)];
const EACH: Table = &[(1, "operation", Word(&["PROD", "SUM", "MAX"])), (2, "coeff", Float)];
const POOLING: Table = &[(1, "pool", Word(&["MAX", "AVE", "STOCHASTIC"])), (12, "global_pooling", Flag)];
const REDUCTION: Table = &[(2, "axis", Whole), (3, "coeff", Float)];
const RESHAPE: Table = &[(1, "shape", Inner(SHAPE))];
const POWER: Table = &[(1, "power", Float), (2, "scale", Float), (3, "shift", Float)];
const EXP: Table = &[(1, "base", Float), (2, "scale", Float), (3, "shift", Float)];
const PYTHON: Table = &[(1, "module", Text), (2, "layer", Text), (3, "param_str", Text)];

const LAYER: Table = &[
    (1, "name", Text),
    (2, "type", Text),
    (3, "bottom", Text),
    (4, "top", Text),
    (7, "blobs", Weights),
    (8, "include", Inner(RULE)),
    (9, "exclude", Inner(RULE)),
    (100, "transform_param", Inner(TRANSFORM)),
    (103, "argmax_param", Inner(LARGEST)),
    (106, "convolution_param", Inner(OUTPUTS)),
    (107, "data_param", Inner(DATA)),
    (110, "eltwise_param", Inner(EACH)),
    (111, "exp_param", Inner(EXP)),
    (112, "hdf5_data_param", Inner(SOURCE)),
    (113, "hdf5_output_param", Inner(WRITTEN)),
    (115, "image_data_param", Inner(IMAGES)),
    (116, "infogain_loss_param", Inner(SOURCE)),
    (117, "inner_product_param", Inner(OUTPUTS)),
    (121, "pooling_param", Inner(POOLING)),
    (122, "power_param", Inner(POWER)),
    (129, "window_data_param", Inner(WINDOWS)),
    (130, "python_param", Inner(PYTHON)),
    (133, "reshape_param", Inner(RESHAPE)),
    (136, "reduction_param", Inner(REDUCTION)),
    (143, "input_param", Inner(RESHAPE)),
];

/// Kinds of layers of the older form, by their numbers.
const KINDS: &[&str] = &[
    "NONE",
    "ACCURACY",
    "BNLL",
    "CONCAT",
    "CONVOLUTION",
    "DATA",
    "DROPOUT",
    "EUCLIDEAN_LOSS",
    "FLATTEN",
    "HDF5_DATA",
    "HDF5_OUTPUT",
    "IM2COL",
    "IMAGE_DATA",
    "INFOGAIN_LOSS",
    "INNER_PRODUCT",
    "LRN",
    "MULTINOMIAL_LOGISTIC_LOSS",
    "POOLING",
    "RELU",
    "SIGMOID",
    "SOFTMAX",
    "SOFTMAX_LOSS",
    "SPLIT",
    "TANH",
    "WINDOW_DATA",
    "ELTWISE",
    "POWER",
    "SIGMOID_CROSS_ENTROPY_LOSS",
    "HINGE_LOSS",
    "MEMORY_DATA",
    "ARGMAX",
    "THRESHOLD",
    "DUMMY_DATA",
    "SLICE",
    "MVN",
    "ABSVAL",
    "SILENCE",
    "CONTRASTIVE_LOSS",
    "EXP",
    "DECONVOLUTION",
];

const OLDER: Table = &[
    (2, "bottom", Text),
    (3, "top", Text),
    (4, "name", Text),
    (5, "type", Word(KINDS)),
    (6, "blobs", Weights),
    (10, "convolution_param", Inner(OUTPUTS)),
    (11, "data_param", Inner(DATA)),
    (13, "hdf5_data_param", Inner(SOURCE)),
    (14, "hdf5_output_param", Inner(WRITTEN)),
    (15, "image_data_param", Inner(IMAGES)),
    (16, "infogain_loss_param", Inner(SOURCE)),
    (17, "inner_product_param", Inner(OUTPUTS)),
    (19, "pooling_param", Inner(POOLING)),
    (20, "window_data_param", Inner(WINDOWS)),
    (21, "power_param", Inner(POWER)),
    (23, "argmax_param", Inner(LARGEST)),
    (24, "eltwise_param", Inner(EACH)),
    (32, "include", Inner(RULE)),
    (33, "exclude", Inner(RULE)),
    (36, "transform_param", Inner(TRANSFORM)),
    (41, "exp_param", Inner(EXP)),
];

const NET: Table = &[
    (1, "name", Text),
    (2, "layers", Inner(OLDER)),
    (3, "input", Text),
    (4, "input_dim", Whole),
    (8, "input_shape", Inner(SHAPE)),
    (100, "layer", Inner(LAYER)),
];

/// Whether the bytes are a network: layers, each with its kind, and nothing else before the first.
pub(super) fn is_net(source: &dyn Source) -> bool {
    let mut window = Window::new(source, 0);
    let mut fields = Fields::new(0, source.len());
    let mut names = 0;
    for _ in 0..MAX_BEFORE {
        let Some(field) = fields.next(&mut window) else { return false };
        names += usize::from(field.number == 1);
        if names > MAX_NAMES {
            return false;
        }
        match (field.number, field.bytes()) {
            (1 | 3 | 6 | 8, Some(_)) | (4 | 5 | 7, None) => {}
            (2, Some(span)) => return is_layer(&mut window, span, false),
            (100, Some(span)) => return is_layer(&mut window, span, true),
            _ => return false,
        }
    }
    false
}

/// Whether a message is a layer: a kind, and a name or what it reads or gives, in text that is such.
fn is_layer(window: &mut Window<'_>, (start, end): (u64, u64), newer: bool) -> bool {
    let mut fields = Fields::new(start, end);
    let (mut kind, mut named) = (false, false);
    for _ in 0..MAX_TRIED {
        let Some(field) = fields.next(window) else { break };
        match (newer, field.number, field.value) {
            (true, 2, Value::Bytes { start, end }) => {
                let text = proto::text(window, start, end);
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if text.len() < 2 || text.len() > 80 || !text.chars().all(word) {
                    return false;
                }
                kind = true;
            }
            (true, 1 | 3 | 4, Value::Bytes { start, end }) | (false, 2..=4, Value::Bytes { start, end }) => {
                let text = proto::text(window, start, end);
                if text.is_empty() || text.chars().any(|c| c.is_control() || c == '\u{fffd}') {
                    return false;
                }
                named = true;
            }
            (false, 5, Value::Number(number)) => {
                kind = usize::try_from(number).is_ok_and(|n| n < KINDS.len())
            }
            (true, 1..=4, _) | (false, 2..=5, _) => return false,
            _ => {}
        }
    }
    kind && named && fields.broken.is_none()
}

/// The tree of a network; false when something of it was not read or lies behind a bound.
pub(super) fn parse(source: &dyn Source) -> (Message, bool) {
    let mut walk = Walk { window: Window::new(source, 0), fields: 0, text: 0, whole: true };
    let net = walk.message((0, source.len()), NET);
    (net, walk.whole && walk.window.failed.is_none())
}

struct Walk<'a> {
    window: Window<'a>,
    fields: usize,
    text: usize,
    whole: bool,
}

impl Walk<'_> {
    /// The tables nest no deeper than three messages, and so do calls of this.
    fn message(&mut self, (start, end): (u64, u64), table: Table) -> Message {
        let mut message = Message::default();
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            self.fields += 1;
            if self.fields > MAX_FIELDS || self.text > MAX_TEXT {
                self.whole = false;
                break;
            }
            let Some(&(_, name, what)) = table.iter().find(|(number, ..)| *number == field.number) else {
                continue;
            };
            let mut push = |value: Field| message.0.push((name.to_owned(), value, field.at));
            match (what, field.value) {
                (Text, Value::Bytes { start, end }) => {
                    let text = proto::text(&mut self.window, start, end);
                    self.text += text.len();
                    push(Field::Value(text));
                }
                (Inner(table), Value::Bytes { start, end }) => {
                    push(Field::Inner(self.message((start, end), table)));
                }
                (Weights, Value::Bytes { start, end }) => {
                    push(Field::Weights(Box::new(self.weights((start, end)))));
                }
                // Whole numbers have a sign.
                (Whole, Value::Number(number)) => push(Field::Value((number as i64).to_string())),
                (Flag, Value::Number(number)) => push(Field::Value((number != 0).to_string())),
                (Word(words), Value::Number(number)) => {
                    let word = usize::try_from(number).ok().and_then(|number| words.get(number));
                    push(Field::Value(word.map_or_else(|| number.to_string(), |word| (*word).to_owned())));
                }
                (Float, Value::Number(bits)) => {
                    push(Field::Value(f32::from_bits(bits as u32).to_string()));
                }
                (Whole | Float, packed @ Value::Bytes { .. }) => {
                    for text in self.packed(packed, matches!(what, Float)) {
                        self.fields += 1;
                        message.0.push((name.to_owned(), Field::Value(text), field.at));
                    }
                }
                // A field of another kind than its message says is skipped by readers too.
                _ => {}
            }
        }
        self.whole &= fields.broken.is_none();
        message
    }

    /// Packed numbers as text; of one field no more are kept than a list of extents has.
    fn packed(&mut self, value: Value, floats: bool) -> Vec<String> {
        const MOST: usize = 1_024;
        let Value::Bytes { start, end } = value else { return Vec::new() };
        if !floats {
            let mut numbers = Vec::new();
            proto::numbers(&mut self.window, value, &mut numbers, MOST);
            return numbers.into_iter().map(|number| (number as i64).to_string()).collect();
        }
        self.window.seek(start);
        let mut found = Vec::new();
        while self.window.offset() + 4 <= end && found.len() < MOST {
            let Some(bytes) = self.window.array() else { break };
            found.push(f32::from_le_bytes(bytes).to_string());
        }
        found
    }

    /// Where the numbers of a blob are, and its shape in one of two ways. Those that stand one by one have no place.
    fn weights(&mut self, (start, end): (u64, u64)) -> TensorInfo {
        let (mut shape, mut old, mut data) = (Vec::new(), [None; 4], None);
        let mut half = false;
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            match (field.number, field.value) {
                (1..=4, Value::Number(extent)) => old[field.number as usize - 1] = Some(extent),
                (5, Value::Bytes { start, end }) => data = Some((Dtype::F32, start, end)),
                (8, Value::Bytes { start, end }) => data = Some((Dtype::F64, start, end)),
                // A fork keeps other types as they are.
                (10, Value::Number(number)) => half = number == 2,
                (12, Value::Bytes { start, end }) => {
                    data = Some((if half { Dtype::F16 } else { Dtype::F32 }, start, end));
                }
                (7, Value::Bytes { start, end }) => {
                    let mut inner = Fields::new(start, end);
                    while let Some(field) = inner.next(&mut self.window) {
                        if field.number == 1 {
                            proto::numbers(&mut self.window, field.value, &mut shape, 32);
                        }
                    }
                }
                _ => {}
            }
            // Numbers one by one are not kept.
            self.fields += usize::from(!matches!(field.number, 5 | 6 | 8 | 9));
            if self.fields > MAX_FIELDS {
                self.whole = false;
                break;
            }
        }
        self.whole &= fields.broken.is_none();
        if shape.is_empty() {
            // Extents of one came first where a matrix or a row was meant.
            shape = old.into_iter().flatten().skip_while(|&extent| extent == 1).collect();
        }
        let (dtype, start, end) = data.unwrap_or((Dtype::F32, 0, 0));
        TensorInfo { name: String::new(), dtype, shape, start, len: end - start }
    }
}
