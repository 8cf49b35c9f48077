//! The operators of TensorFlow.
//!
//! Long because every operator has its line here.

use mantlet_formats::onnx::schema::DataType;

use super::{Node, Reader};
use crate::ModelError;
use crate::foreign::invalid;
use crate::foreign::layers::{Padding, Taken, Window};
use crate::foreign::numbers::{float, int, ints, word};
use crate::foreign::sketch::Val;

/// Operators that are one of ONNX, with two operands or one.
fn plain(operator: &str) -> Option<(&'static str, usize)> {
    Some(match operator {
        "Add" | "AddV2" | "BiasAddV1" => ("Add", 2),
        "Sub" => ("Sub", 2),
        "Mul" => ("Mul", 2),
        "RealDiv" | "Div" | "TruncateDiv" => ("Div", 2),
        "Maximum" => ("Max", 2),
        "Minimum" => ("Min", 2),
        "Pow" => ("Pow", 2),
        "Greater" => ("Greater", 2),
        "GreaterEqual" => ("GreaterOrEqual", 2),
        "Less" => ("Less", 2),
        "LessEqual" => ("LessOrEqual", 2),
        "Equal" => ("Equal", 2),
        "LogicalAnd" => ("And", 2),
        "LogicalOr" => ("Or", 2),
        "LogicalNot" => ("Not", 1),
        "IsNan" => ("IsNaN", 1),
        "IsInf" => ("IsInf", 1),
        "Relu" => ("Relu", 1),
        "Sigmoid" => ("Sigmoid", 1),
        "Tanh" => ("Tanh", 1),
        "Elu" => ("Elu", 1),
        "Selu" => ("Selu", 1),
        "Softplus" => ("Softplus", 1),
        "Softsign" => ("Softsign", 1),
        "Exp" => ("Exp", 1),
        "Log" => ("Log", 1),
        "Sqrt" => ("Sqrt", 1),
        "Neg" => ("Neg", 1),
        "Abs" => ("Abs", 1),
        "Sign" => ("Sign", 1),
        "Floor" => ("Floor", 1),
        "Ceil" => ("Ceil", 1),
        "Round" | "Rint" => ("Round", 1),
        "Erf" => ("Erf", 1),
        "Reciprocal" | "Inv" => ("Reciprocal", 1),
        "Sin" => ("Sin", 1),
        "Cos" => ("Cos", 1),
        "Tan" => ("Tan", 1),
        "Atan" => ("Atan", 1),
        _ => return None,
    })
}

fn reduction(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "Sum" => "ReduceSum",
        "Mean" => "ReduceMean",
        "Max" => "ReduceMax",
        "Min" => "ReduceMin",
        "Prod" => "ReduceProd",
        _ => return None,
    })
}

/// The whole numbers of an operand that is constant.
fn known(values: &[Val], index: usize) -> Option<Vec<i64>> {
    values.get(index)?.numbers.as_ref()?.whole()
}

impl Reader {
    /// The values of an operator.
    pub(super) fn operator(
        &mut self,
        node: &Node,
        label: &str,
        values: &[Val],
    ) -> Result<Vec<Val>, ModelError> {
        let operator = node.operator.as_str();
        let broken = |reason: &str| invalid(format!("node `{label}` ({operator})"), reason);
        let operand = |index: usize| values.get(index).ok_or_else(|| broken("an operand is not there"));
        let fixed =
            |index: usize| known(values, index).ok_or_else(|| broken("what is computed has to be constant"));
        // Other orders of axes, and numbers that are not computed in single floats, are not what is written here.
        let order = node.word("data_format");
        if !matches!(order.as_str(), "" | "NHWC" | "NDHWC" | "NWC") {
            return Ok(vec![self.sketch.unknown(&format!("{operator} with {order}"))]);
        }
        let floats = matches!(node.kind("T"), Some(DataType::Float | DataType::Double));
        let sketch = &mut self.sketch;
        if let Some((kind, count)) = plain(operator) {
            let mut reads = vec![operand(0)?];
            if count > 1 {
                reads.push(operand(1)?);
            }
            return Ok(vec![sketch.op(kind, label, &reads, vec![])]);
        }
        if let Some(kind) = reduction(operator) {
            let keep = node.int("keep_dims", 0) != 0;
            let axes = fixed(1)?;
            let value = match node.kind("T") {
                Some(own @ (DataType::Int32 | DataType::Int64)) => {
                    sketch.reduce_whole(kind, label, operand(0)?, &axes, (keep, own))
                }
                _ => sketch.reduce(kind, label, operand(0)?, Some(&axes), keep),
            };
            return Ok(vec![value]);
        }
        let value = match operator {
            "BiasAdd" => sketch.op("Add", label, &[operand(0)?, operand(1)?], vec![]),
            "Erfc" => {
                let one = sketch.number(&format!("{label}/one"), 1.0);
                let y = sketch.op("Erf", label, &[operand(0)?], vec![]);
                sketch.op("Sub", label, &[&one, &y], vec![])
            }
            "SpaceToBatchND" | "BatchToSpaceND" => {
                let (blocks, margins) = (fixed(1)?, fixed(2)?);
                let made = match operator {
                    "SpaceToBatchND" => sketch.space_to_batch(label, operand(0)?, &blocks, &margins),
                    _ => sketch.batch_to_space(label, operand(0)?, &blocks, &margins),
                };
                made.ok_or_else(|| broken("its blocks and margins do not fit"))?
            }
            "AddN" => sketch.op("Sum", label, &values.iter().collect::<Vec<_>>(), vec![]),
            "Relu6" => sketch.clipped(label, operand(0)?, 0.0, 6.0),
            "LeakyRelu" => {
                let alpha = node.float("alpha", 0.2);
                sketch.op("LeakyRelu", label, &[operand(0)?], vec![float("alpha", alpha)])
            }
            "ClipByValue" => {
                let low = sketch.op("Max", label, &[operand(0)?, operand(1)?], vec![]);
                sketch.op("Min", label, &[&low, operand(2)?], vec![])
            }
            "Rsqrt" => {
                let root = sketch.op("Sqrt", label, &[operand(0)?], vec![]);
                sketch.op("Reciprocal", label, &[&root], vec![])
            }
            "Square" => sketch.op("Mul", label, &[operand(0)?, operand(0)?], vec![]),
            "SquaredDifference" => {
                let apart = sketch.op("Sub", label, &[operand(0)?, operand(1)?], vec![]);
                sketch.op("Mul", label, &[&apart, &apart], vec![])
            }
            "FloorDiv" if floats => {
                let times = sketch.op("Div", label, &[operand(0)?, operand(1)?], vec![]);
                sketch.op("Floor", label, &[&times], vec![])
            }
            "FloorMod" if floats => sketch.modulo(label, operand(0)?, operand(1)?),
            "FloorMod" => sketch.op("Mod", label, &[operand(0)?, operand(1)?], vec![]),
            "NotEqual" => {
                let same = sketch.op("Equal", label, &[operand(0)?, operand(1)?], vec![]);
                sketch.op("Not", label, &[&same], vec![])
            }
            "SelectV2" => sketch.op("Where", label, &[operand(0)?, operand(1)?, operand(2)?], vec![]),
            "Select" => self.rows_chosen(label, operand(0)?, operand(1)?, operand(2)?),
            "All" | "Any" => {
                let keep = node.int("keep_dims", 0) != 0;
                sketch.quantified(operator == "All", label, operand(0)?, Some(&fixed(1)?), keep)
            }
            "ArgMax" | "ArgMin" => {
                let axis = fixed(1)?.first().copied().ok_or_else(|| broken("its axis is not there"))?;
                let attributes = vec![int("axis", axis), int("keepdims", 0)];
                let place = sketch.op(operator, label, &[operand(0)?], attributes);
                sketch.cast(label, &place, node.kind("output_type").unwrap_or(DataType::Int64))
            }
            "TopKV2" => {
                let largest = sketch.cast(label, operand(1)?, DataType::Int64);
                let one = sketch.list(&format!("{label}/one"), &[1]);
                let largest = sketch.op("Reshape", label, &[&largest, &one], vec![]);
                let attributes = vec![int("axis", -1), int("largest", 1), int("sorted", 1)];
                let mut made = sketch.many("TopK", label, &[operand(0)?, &largest], attributes, 2);
                made[1] = sketch.cast(label, &made[1], DataType::Int32);
                return Ok(made);
            }
            "Softmax" | "LogSoftmax" => sketch.op(operator, label, &[operand(0)?], vec![int("axis", -1)]),
            "MatMul" => {
                let turned =
                    |key| int(if key == "transpose_a" { "transA" } else { "transB" }, node.int(key, 0));
                let attributes = vec![turned("transpose_a"), turned("transpose_b")];
                sketch.op("Gemm", label, &[operand(0)?, operand(1)?], attributes)
            }
            "BatchMatMul" | "BatchMatMulV2" | "BatchMatMulV3"
                if node.int("adj_x", 0) == 0 && node.int("adj_y", 0) == 0 =>
            {
                sketch.op("MatMul", label, &[operand(0)?, operand(1)?], vec![])
            }
            "Einsum" => {
                let equation = node.word("equation");
                sketch.op(
                    "Einsum",
                    label,
                    &values.iter().collect::<Vec<_>>(),
                    vec![word("equation", &equation)],
                )
            }
            "Conv2D" | "DepthwiseConv2dNative" | "Conv3D" => {
                let window = window(node, if operator == "Conv3D" { 3 } else { 2 })
                    .ok_or_else(|| broken("its window moves over batch or channels"))?;
                let each = operator == "DepthwiseConv2dNative";
                sketch.conv(label, operand(0)?, operand(1)?, &window, (1, each))?
            }
            "MaxPool" | "AvgPool" | "MaxPool3D" | "AvgPool3D" => {
                let axes = if operator.ends_with("3D") { 3 } else { 2 };
                let (window, size) = window(node, axes)
                    .zip(inside(&node.ints("ksize"), axes))
                    .ok_or_else(|| broken("its window reaches over batch or channels"))?;
                sketch.pool(label, operand(0)?, operator.starts_with("Max"), &size, &window)?
            }
            "FusedBatchNorm" | "FusedBatchNormV2" | "FusedBatchNormV3" => {
                if node.int("is_training", 1) != 0 {
                    return Ok(vec![sketch.unknown(&format!("{operator} in training"))]);
                }
                let lists: Vec<Option<Vec<f32>>> =
                    (1..5).map(|index| values.get(index)?.numbers.as_ref()?.floats()).collect();
                if lists.iter().any(Option::is_none) {
                    return Ok(vec![sketch.unknown(&format!("{operator} by what is computed"))]);
                }
                let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(|at| lists[at].as_deref());
                let epsilon = node.float("epsilon", 1e-4);
                sketch.normed(label, operand(0)?, [gamma, beta, mean, variance], epsilon)?
            }
            "Reshape" => sketch.op("Reshape", label, &[operand(0)?, operand(1)?], vec![int("allowzero", 1)]),
            "Squeeze" => {
                let axes = node.ints("squeeze_dims");
                let attributes = if axes.is_empty() { vec![] } else { vec![ints("axes", &axes)] };
                sketch.op("Squeeze", label, &[operand(0)?], attributes)
            }
            "ExpandDims" => sketch.op("Unsqueeze", label, &[operand(0)?], vec![ints("axes", &fixed(1)?)]),
            "Transpose" => sketch.op("Transpose", label, &[operand(0)?], vec![ints("perm", &fixed(1)?)]),
            "ConcatV2" => {
                let Some((_, parts)) = values.split_last() else { return Err(broken("it has no operands")) };
                let axis = fixed(parts.len())?.first().copied().unwrap_or(0);
                sketch.op("Concat", label, &parts.iter().collect::<Vec<_>>(), vec![int("axis", axis)])
            }
            "Pack" => sketch.stacked(label, values, node.int("axis", 0)),
            "Unpack" => {
                let count = usize::try_from(node.int("num", 0)).unwrap_or(0);
                return Ok(sketch.unstacked(label, operand(0)?, node.int("axis", 0), count));
            }
            "Split" | "SplitV" => {
                let at = if operator == "Split" { 0 } else { 2 };
                let axis = fixed(at)?.first().copied().unwrap_or(0);
                let mut attributes = vec![int("axis", axis)];
                if operator == "SplitV" {
                    attributes.push(ints("split", &fixed(1)?));
                }
                let count = usize::try_from(node.int("num_split", 0)).unwrap_or(0).min(4_096);
                let x = operand(if operator == "Split" { 1 } else { 0 })?;
                return Ok(sketch.many("Split", label, &[x], attributes, count));
            }
            "StridedSlice" => {
                let masks = ["begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"];
                let masks = masks.map(|key| node.int(key, 0).cast_unsigned());
                let taken = Taken { begin: fixed(1)?, end: fixed(2)?, strides: fixed(3)?, masks };
                sketch.taken(label, operand(0)?, &taken)?
            }
            "Slice" => sketch.cut(label, operand(0)?, &fixed(1)?, &fixed(2)?)?,
            "Gather" => sketch.op("Gather", label, &[operand(0)?, operand(1)?], vec![int("axis", 0)]),
            "ResourceGather" if node.int("batch_dims", 0) == 0 => {
                sketch.op("Gather", label, &[operand(0)?, operand(1)?], vec![int("axis", 0)])
            }
            "GatherV2" if node.int("batch_dims", 0) == 0 => {
                let axis = fixed(2)?.first().copied().unwrap_or(0);
                sketch.op("Gather", label, &[operand(0)?, operand(1)?], vec![int("axis", axis)])
            }
            "GatherNd" => {
                let places = sketch.cast(label, operand(1)?, DataType::Int64);
                sketch.op("GatherND", label, &[operand(0)?, &places], vec![])
            }
            "Pad" | "PadV2" => {
                let pads = fixed(1)?;
                let order: Vec<i64> =
                    pads.iter().step_by(2).chain(pads.iter().skip(1).step_by(2)).copied().collect();
                let pads = sketch.list(&format!("{label}/pads"), &order);
                let mut reads = vec![operand(0)?, &pads];
                if operator == "PadV2" {
                    reads.push(operand(2)?);
                }
                sketch.op("Pad", label, &reads, vec![])
            }
            "Tile" => {
                let times = sketch.cast(label, operand(1)?, DataType::Int64);
                sketch.op("Tile", label, &[operand(0)?, &times], vec![])
            }
            "BroadcastTo" => {
                let shape = sketch.cast(label, operand(1)?, DataType::Int64);
                sketch.op("Expand", label, &[operand(0)?, &shape], vec![])
            }
            "Fill" => {
                let shape = sketch.cast(label, operand(0)?, DataType::Int64);
                sketch.op("Expand", label, &[operand(1)?, &shape], vec![])
            }
            "Shape" => {
                let shape = sketch.op("Shape", label, &[operand(0)?], vec![]);
                sketch.cast(label, &shape, node.kind("out_type").unwrap_or(DataType::Int32))
            }
            "Size" => {
                let size = sketch.op("Size", label, &[operand(0)?], vec![]);
                sketch.cast(label, &size, node.kind("out_type").unwrap_or(DataType::Int32))
            }
            "Range" => sketch.op("Range", label, &[operand(0)?, operand(1)?, operand(2)?], vec![]),
            "Cast" => match node.kind("DstT") {
                Some(
                    kind @ (DataType::Float
                    | DataType::Double
                    | DataType::Int32
                    | DataType::Int64
                    | DataType::Bool),
                ) => sketch.cast(label, operand(0)?, kind),
                _ => sketch.unknown("Cast to small numbers"),
            },
            // A word stands for whatever else its operands are.
            other => sketch.unknown(other),
        };
        Ok(vec![value])
    }

    /// The older choice: a condition of fewer axes chooses whole rows.
    fn rows_chosen(&mut self, label: &str, condition: &Val, yes: &Val, no: &Val) -> Val {
        let sketch = &mut self.sketch;
        let own = sketch.op("Shape", label, &[condition], vec![]);
        let shape = sketch.op("Shape", label, &[yes], vec![]);
        let [has, wants] = [&own, &shape].map(|shape| sketch.op("Shape", label, &[shape], vec![]));
        let missing = sketch.op("Sub", label, &[&wants, &has], vec![]);
        let one = sketch.list(&format!("{label}/one"), &[1]);
        let ones = sketch.op("Expand", label, &[&one, &missing], vec![]);
        let full = sketch.op("Concat", label, &[&own, &ones], vec![int("axis", 0)]);
        let condition = sketch.op("Reshape", label, &[condition, &full], vec![]);
        sketch.op("Where", label, &[&condition, yes, no], vec![])
    }
}

/// The entries of the axes of a picture, when those of batch and channels are one.
fn inside(list: &[i64], axes: usize) -> Option<Vec<usize>> {
    if list.is_empty() {
        return Some(vec![1; axes]);
    }
    if list.len() != axes + 2 || list[0] != 1 || list[axes + 1] != 1 {
        return None;
    }
    list[1..=axes].iter().map(|&step| usize::try_from(step).ok()).collect()
}

fn window(node: &Node, axes: usize) -> Option<Window> {
    let padding = match node.word("padding").as_str() {
        "SAME" => Padding::Same,
        "VALID" => Padding::Valid,
        "EXPLICIT" => {
            let pads = node.ints("explicit_paddings");
            let pairs = pads.as_chunks::<2>().0;
            let pairs = pairs.get(1..=axes)?;
            let size = |pad: i64| usize::try_from(pad).ok();
            Padding::Told(
                pairs.iter().map(|&[before, after]| size(before).zip(size(after))).collect::<Option<_>>()?,
            )
        }
        _ => return None,
    };
    Some(Window {
        strides: inside(&node.ints("strides"), axes)?,
        dilations: inside(&node.ints("dilations"), axes)?,
        padding,
    })
}
