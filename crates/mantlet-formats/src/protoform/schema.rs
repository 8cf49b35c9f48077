//! The messages of TensorFlow and ONNX, as far as their readers look at them.

use super::Message;
use super::Type::{Bytes, Double, Float, Map, Message as M, Number, Text};

pub(super) static SAVED_MODEL: Message =
    Message(&[("saved_model_schema_version", 1, Number), ("meta_graphs", 2, M(&META))]);

pub(super) static META: Message = Message(&[
    ("graph_def", 2, M(&GRAPH)),
    ("signature_def", 5, Map(&SIGNATURE_ENTRY)),
    ("asset_file_def", 6, M(&ASSET)),
]);

static SIGNATURE_ENTRY: Message = Message(&[("key", 1, Text), ("value", 2, M(&SIGNATURE))]);
static SIGNATURE: Message =
    Message(&[("inputs", 1, Map(&INFO_ENTRY)), ("outputs", 2, Map(&INFO_ENTRY)), ("method_name", 3, Text)]);
static INFO_ENTRY: Message = Message(&[("key", 1, Text), ("value", 2, M(&INFO))]);
static INFO: Message = Message(&[("name", 1, Text), ("dtype", 2, Number), ("tensor_shape", 3, M(&SHAPE))]);
static ASSET: Message = Message(&[("tensor_info", 1, M(&INFO)), ("filename", 2, Text)]);

pub(super) static GRAPH: Message =
    Message(&[("node", 1, M(&NODE)), ("library", 2, M(&LIBRARY)), ("version", 3, Number)]);

static LIBRARY: Message = Message(&[("function", 1, M(&FUNCTION))]);
static FUNCTION: Message = Message(&[
    ("signature", 1, M(&SIGNED)),
    ("node_def", 3, M(&NODE)),
    ("ret", 4, Map(&TEXT_ENTRY)),
    ("attr", 5, Map(&ATTRIBUTE_ENTRY)),
]);
static SIGNED: Message =
    Message(&[("name", 1, Text), ("input_arg", 2, M(&ARGUMENT)), ("output_arg", 3, M(&ARGUMENT))]);
static ARGUMENT: Message = Message(&[("name", 1, Text)]);
static TEXT_ENTRY: Message = Message(&[("key", 1, Text), ("value", 2, Text)]);

static NODE: Message = Message(&[
    ("name", 1, Text),
    ("op", 2, Text),
    ("input", 3, Text),
    ("device", 4, Text),
    ("attr", 5, Map(&ATTRIBUTE_ENTRY)),
]);
static ATTRIBUTE_ENTRY: Message = Message(&[("key", 1, Text), ("value", 2, M(&ATTRIBUTE))]);
static ATTRIBUTE: Message = Message(&[
    ("list", 1, M(&LIST)),
    ("s", 2, Bytes),
    ("i", 3, Number),
    ("f", 4, Float),
    ("b", 5, Number),
    ("type", 6, Number),
    ("shape", 7, M(&SHAPE)),
    ("tensor", 8, M(&TENSOR)),
    ("func", 10, M(&CALL)),
]);
static LIST: Message = Message(&[
    ("s", 2, Bytes),
    ("i", 3, Number),
    ("f", 4, Float),
    ("b", 5, Number),
    ("type", 6, Number),
    ("shape", 7, M(&SHAPE)),
    ("tensor", 8, M(&TENSOR)),
    ("func", 9, M(&CALL)),
]);
static CALL: Message = Message(&[("name", 1, Text), ("attr", 2, Map(&ATTRIBUTE_ENTRY))]);
static SHAPE: Message = Message(&[("dim", 2, M(&EXTENT)), ("unknown_rank", 3, Number)]);
static EXTENT: Message = Message(&[("size", 1, Number), ("name", 2, Text)]);
static TENSOR: Message = Message(&[
    ("dtype", 1, Number),
    ("tensor_shape", 2, M(&SHAPE)),
    ("tensor_content", 4, Bytes),
    ("float_val", 5, Float),
    ("double_val", 6, Double),
    ("int_val", 7, Number),
    ("string_val", 8, Bytes),
    ("int64_val", 10, Number),
    ("bool_val", 11, Number),
    ("half_val", 13, Number),
]);

pub(super) static ONNX: Message = Message(&[
    ("ir_version", 1, Number),
    ("producer_name", 2, Text),
    ("producer_version", 3, Text),
    ("domain", 4, Text),
    ("model_version", 5, Number),
    ("doc_string", 6, Text),
    ("graph", 7, M(&ONNX_GRAPH)),
    ("opset_import", 8, M(&OPSET)),
    ("metadata_props", 14, M(&TEXT_ENTRY)),
    ("training_info", 20, M(&TRAINING)),
    ("functions", 25, M(&ONNX_FUNCTION)),
]);
static OPSET: Message = Message(&[("domain", 1, Text), ("version", 2, Number)]);
static TRAINING: Message =
    Message(&[("initialization", 1, M(&ONNX_GRAPH)), ("algorithm", 2, M(&ONNX_GRAPH))]);
static ONNX_GRAPH: Message = Message(&[
    ("node", 1, M(&ONNX_NODE)),
    ("name", 2, Text),
    ("initializer", 5, M(&ONNX_TENSOR)),
    ("doc_string", 10, Text),
    ("input", 11, M(&ONNX_VALUE)),
    ("output", 12, M(&ONNX_VALUE)),
    ("value_info", 13, M(&ONNX_VALUE)),
    ("sparse_initializer", 15, M(&ONNX_SPARSE)),
    ("metadata_props", 16, M(&TEXT_ENTRY)),
]);
static ONNX_SPARSE: Message =
    Message(&[("values", 1, M(&ONNX_TENSOR)), ("indices", 2, M(&ONNX_TENSOR)), ("dims", 3, Number)]);
static ONNX_NODE: Message = Message(&[
    ("input", 1, Text),
    ("output", 2, Text),
    ("name", 3, Text),
    ("op_type", 4, Text),
    ("attribute", 5, M(&ONNX_ATTRIBUTE)),
    ("doc_string", 6, Text),
    ("domain", 7, Text),
    ("overload", 8, Text),
    ("metadata_props", 9, M(&TEXT_ENTRY)),
]);
static ONNX_ATTRIBUTE: Message = Message(&[
    ("name", 1, Text),
    ("f", 2, Float),
    ("i", 3, Number),
    ("s", 4, Bytes),
    ("t", 5, M(&ONNX_TENSOR)),
    ("g", 6, M(&ONNX_GRAPH)),
    ("floats", 7, Float),
    ("ints", 8, Number),
    ("strings", 9, Bytes),
    ("tensors", 10, M(&ONNX_TENSOR)),
    ("graphs", 11, M(&ONNX_GRAPH)),
    ("doc_string", 13, Text),
    ("type", 20, Number),
    ("ref_attr_name", 21, Text),
    ("sparse_tensor", 22, M(&ONNX_SPARSE)),
]);
static ONNX_TENSOR: Message = Message(&[
    ("dims", 1, Number),
    ("data_type", 2, Number),
    ("float_data", 4, Float),
    ("int32_data", 5, Number),
    ("string_data", 6, Bytes),
    ("int64_data", 7, Number),
    ("name", 8, Text),
    ("raw_data", 9, Bytes),
    ("double_data", 10, Double),
    ("uint64_data", 11, Number),
    ("doc_string", 12, Text),
    ("external_data", 13, M(&TEXT_ENTRY)),
    ("data_location", 14, Number),
]);
static ONNX_VALUE: Message =
    Message(&[("name", 1, Text), ("type", 2, M(&ONNX_TYPE)), ("doc_string", 3, Text)]);
static ONNX_TYPE: Message = Message(&[("tensor_type", 1, M(&ONNX_TENSOR_TYPE)), ("denotation", 6, Text)]);
static ONNX_TENSOR_TYPE: Message = Message(&[("elem_type", 1, Number), ("shape", 2, M(&ONNX_SHAPE))]);
static ONNX_SHAPE: Message = Message(&[("dim", 1, M(&ONNX_EXTENT))]);
static ONNX_EXTENT: Message =
    Message(&[("dim_value", 1, Number), ("dim_param", 2, Text), ("denotation", 3, Text)]);
static ONNX_FUNCTION: Message = Message(&[
    ("name", 1, Text),
    ("input", 4, Text),
    ("output", 5, Text),
    ("attribute", 6, Text),
    ("node", 7, M(&ONNX_NODE)),
    ("doc_string", 8, Text),
    ("opset_import", 9, M(&OPSET)),
    ("domain", 10, Text),
    ("overload", 13, Text),
]);

/// The number behind a name of an enumeration.
pub(super) fn number(name: &str) -> u64 {
    const TYPES: [(&str, u64); 22] = [
        ("DT_FLOAT", 1),
        ("DT_DOUBLE", 2),
        ("DT_INT32", 3),
        ("DT_UINT8", 4),
        ("DT_INT16", 5),
        ("DT_INT8", 6),
        ("DT_STRING", 7),
        ("DT_COMPLEX64", 8),
        ("DT_INT64", 9),
        ("DT_BOOL", 10),
        ("DT_BFLOAT16", 14),
        ("DT_UINT16", 17),
        ("DT_HALF", 19),
        ("DT_RESOURCE", 20),
        ("FLOAT", 1),
        ("INT", 2),
        ("STRING", 3),
        ("TENSOR", 4),
        ("GRAPH", 5),
        ("FLOATS", 6),
        ("INTS", 7),
        ("EXTERNAL", 1),
    ];
    TYPES.iter().find(|(known, _)| *known == name).map_or(0, |&(_, number)| number)
}
