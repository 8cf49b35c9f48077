//! From nodes of a file to operators.
//!
//! Long because every operator has its line here.

use mantlet_vocab::{Tensor, Value};

use super::attend::Attend;
use super::binary::{Arithmetic, Binary};
use super::conv::{Conv, Window};
use super::deconv::ConvTranspose;
use super::einsum::Einsum;
use super::index::{Concat, Gather, Split};
use super::layout::{Rearrange, Shape};
use super::logic::{Compare, Relation, Truth, Where};
use super::lp_pool::LpPool;
use super::marks::Marks;
use super::matmul::{Gemm, MatMul};
use super::norm::{BatchNorm, LpNorm, Standardise};
use super::norm_runs::{Neighbours, RunKind, Runs};
use super::pool::Pool;
use super::quantise::{Integers, Quantise};
use super::recurrent::{Cell, Recurrent};
use super::reduce::{ArgExtreme, Fold, Reduce, TopK};
use super::rotary::Rotary;
use super::scatter::Scatter;
use super::shapes::{Cast, Constant, Fill, Measure, Range};
use super::softmax::Softmax;
use super::unary::Clip;
use super::weave::{Resize, Weave};
use super::{Hint, Inputs, Operator, ml, unary};
use crate::Limits;
use crate::attrs::Attrs;
use crate::decode;
use crate::run::{Fail, Run};

/// One operator placed in the graph. A node of a file becomes one or several of them.
pub(crate) struct Part {
    pub(crate) operator: Box<dyn Operator>,
    pub(crate) kind: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
}

/// A tensor attribute, decoded.
fn tensor(attrs: Attrs<'_>, limits: &Limits, name: &str) -> Result<Option<Value>, Fail> {
    let decode =
        |tensor| decode::constant(tensor, None, limits).map_err(|error| Fail::Bad(error.to_string()));
    attrs.tensor(name).map(decode).transpose()
}

/// The operators of a node; `None` when the operator is not known.
pub(crate) fn lower(attrs: Attrs<'_>, limits: &Limits) -> Result<Option<Vec<Part>>, Fail> {
    let node = attrs.node;
    let part = |operator, kind: &str, inputs: &[String], outputs: &[String]| Part {
        operator,
        kind: kind.to_owned(),
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
    };
    match node.domain.as_str() {
        "" | "ai.onnx" if matches!(node.op_type.as_str(), "QLinearConv" | "QLinearMatMul") => {
            quantised(attrs).map(Some)
        }
        "" | "ai.onnx" => {
            let built = common(&node.op_type, attrs, limits)?;
            Ok(built.map(|operator| vec![part(operator, &node.op_type, &node.input, &node.output)]))
        }
        "ai.onnx.ml" if node.op_type == "LinearClassifier" => {
            let labels = ml::Labels::read(attrs, "classlabels_ints");
            let intercepts = attrs.floats("intercepts").unwrap_or_default().len();
            let targets = if intercepts > 0 { intercepts } else { labels.len() };
            let linear = ml::Linear::new(attrs, targets, false)?;
            let post = ml::PostTransform { post: ml::post(attrs)?, widen: targets == 1 && labels.len() == 2 };
            let output = |index: usize| node.output.get(index).cloned().unwrap_or_default();
            let stem = node.output.iter().find(|name| !name.is_empty()).cloned().unwrap_or_default();
            let inner = [format!("{stem}/scores")];
            Ok(Some(vec![
                part(Box::new(linear), "LinearClassifier", &node.input, &inner),
                part(Box::new(ml::LabelPick(labels)), "LinearLabel", &inner, &[output(0)]),
                part(Box::new(post), "PostTransform", &inner, &[output(1)]),
            ]))
        }
        "ai.onnx.ml" => {
            let built = learned(&node.op_type, attrs, limits)?;
            Ok(built.map(|operator| vec![part(operator, &node.op_type, &node.input, &node.output)]))
        }
        _ => Ok(None),
    }
}

/// `QLinearConv` and `QLinearMatMul` as what they stand for: both operands from their grids, the operation, and the
/// result to its own grid; so gradients pass straight through, as through the operators one by one.
fn quantised(attrs: Attrs<'_>) -> Result<Vec<Part>, Fail> {
    let node = attrs.node;
    let conv = node.op_type == "QLinearConv";
    let output = node.output.first().cloned().unwrap_or_default();
    let input = |index: usize| node.input.get(index).cloned().unwrap_or_default();
    let inner = |what: &str| format!("{output}/{what}");
    let part = |operator: Box<dyn Operator>, kind: &str, inputs: Vec<String>, output: String| Part {
        operator,
        kind: kind.to_owned(),
        inputs,
        outputs: vec![output],
    };
    // Scales may be one a row of the left matrix, and one a column of the right one or a channel of the weights.
    let (left, right) = if conv { (1, 0) } else { (-2, -1) };
    let from = |axis| Box::new(Quantise::From(axis));
    let mut parts = vec![
        part(from(left), "DequantizeLinear", vec![input(0), input(1), input(2)], inner("left")),
        part(from(right), "DequantizeLinear", vec![input(3), input(4), input(5)], inner("right")),
    ];
    let mut operands = vec![inner("left"), inner("right")];
    if conv && !input(8).is_empty() {
        // The bias is on the grid of the products.
        let steps = Box::new(Binary::new(Arithmetic::Mul));
        parts.push(part(steps, "Mul", vec![input(1), input(4)], inner("steps")));
        parts.push(part(from(0), "DequantizeLinear", vec![input(8), inner("steps")], inner("shift")));
        operands.push(inner("shift"));
    }
    let operation: Box<dyn Operator> = if conv { Box::new(Conv::new(attrs)?) } else { Box::new(MatMul) };
    parts.push(part(operation, &node.op_type, operands, inner("sums")));
    let to = Box::new(Quantise::To(if conv { 1 } else { -2 }));
    parts.push(part(to, "QuantizeLinear", vec![inner("sums"), input(6), input(7)], output.clone()));
    Ok(parts)
}

fn common(name: &str, attrs: Attrs<'_>, limits: &Limits) -> Result<Option<Box<dyn Operator>>, Fail> {
    if let Some(operator) = unary::build(name, attrs) {
        return Ok(Some(operator));
    }
    if let Some(operator) = further(name, attrs)? {
        return Ok(Some(operator));
    }
    let relation = |relation| Box::new(Compare(relation)) as Box<dyn Operator>;
    let arithmetic = |operation| Box::new(Binary::new(operation)) as Box<dyn Operator>;
    let axes = || attrs.ints("axes").map(<[i64]>::to_vec);
    let late = attrs.opset >= 13;
    Ok(Some(match name {
        "Add" | "Sum" => arithmetic(Arithmetic::Add),
        "Sub" => arithmetic(Arithmetic::Sub),
        "Mul" => arithmetic(Arithmetic::Mul),
        "Div" => arithmetic(Arithmetic::Div),
        "Pow" => arithmetic(Arithmetic::Pow),
        "Max" => arithmetic(Arithmetic::Max),
        "Min" => arithmetic(Arithmetic::Min),
        "PRelu" => arithmetic(Arithmetic::PRelu),
        "Mod" => arithmetic(Arithmetic::Mod(attrs.flag("fmod"))),
        "Mean" => Box::new(Binary { operation: Arithmetic::Add, mean: true }),
        "Clip" => Box::new(Clip::new(attrs)),
        "Equal" => relation(Relation::Equal),
        "Less" => relation(Relation::Less),
        "LessOrEqual" => relation(Relation::LessOrEqual),
        "Greater" => relation(Relation::Greater),
        "GreaterOrEqual" => relation(Relation::GreaterOrEqual),
        "And" => relation(Relation::And),
        "Or" => relation(Relation::Or),
        "Xor" => relation(Relation::Xor),
        "Not" => Box::new(Truth::Not),
        "IsNaN" => Box::new(Truth::IsNan),
        "IsInf" => Box::new(Truth::IsInf),
        "Where" => Box::new(Where),
        "Gemm" => Box::new(Gemm {
            alpha: attrs.float("alpha", 1.0),
            beta: attrs.float("beta", 1.0),
            transposed: (attrs.flag("transA"), attrs.flag("transB")),
        }),
        "MatMul" => Box::new(MatMul),
        "Conv" => Box::new(Conv::new(attrs)?),
        "MaxPool" if attrs.gives(1) => return Err("MaxPool with indices is not supported".into()),
        "MaxPool" => Box::new(Pool::Max(Window::new(attrs)?)),
        "AveragePool" => Box::new(Pool::Average {
            window: Window::new(attrs)?,
            count_padding: attrs.flag("count_include_pad"),
        }),
        "GlobalMaxPool" => Box::new(Pool::GlobalMax),
        "GlobalAveragePool" => Box::new(Pool::GlobalAverage),
        "BatchNormalization" if attrs.flag("training_mode") || attrs.gives(1) => {
            return Err("BatchNormalization in training mode is not supported".into());
        }
        "BatchNormalization" => Box::new(BatchNorm(attrs.float("epsilon", 1e-5))),
        "LayerNormalization" if attrs.gives(1) || attrs.gives(2) => {
            return Err("LayerNormalization that gives its moments is not supported".into());
        }
        "LayerNormalization" => {
            let (axis, epsilon) = (attrs.int("axis", -1), attrs.float("epsilon", 1e-5));
            Box::new(Standardise { axis, epsilon, channels: false })
        }
        "InstanceNormalization" => {
            Box::new(Standardise { axis: 2, epsilon: attrs.float("epsilon", 1e-5), channels: true })
        }
        "LpNormalization" => {
            let p = attrs.int("p", 2);
            if !(1..=2).contains(&p) {
                return Err(format!("a norm of order {p} does not exist").into());
            }
            Box::new(LpNorm { axis: attrs.int("axis", -1), squared: p == 2 })
        }
        "Softmax" | "LogSoftmax" => {
            let axis = attrs.int("axis", if late { -1 } else { 1 });
            Box::new(Softmax { axis, log: name == "LogSoftmax", flat: !late })
        }
        "Identity" => Box::new(Shape::Identity),
        "Dropout" => Box::new(Shape::Dropout),
        "Reshape" => {
            Box::new(Shape::Reshape(attrs.ints("shape").map(<[i64]>::to_vec), attrs.flag("allowzero")))
        }
        "Flatten" => Box::new(Shape::Flatten(attrs.int("axis", 1))),
        "Squeeze" => Box::new(Shape::Squeeze(axes())),
        "Unsqueeze" => Box::new(Shape::Unsqueeze(axes())),
        "Transpose" => Box::new(Rearrange::Transpose(attrs.ints("perm").map(<[i64]>::to_vec))),
        "Slice" => {
            let bounds = attrs.ints("starts").zip(attrs.ints("ends"));
            Box::new(Rearrange::Slice(bounds.map(|(starts, ends)| (starts.to_vec(), ends.to_vec(), axes()))))
        }
        "Expand" => Box::new(Rearrange::Expand),
        "Tile" => Box::new(Rearrange::Tile),
        "Pad" => Box::new(Rearrange::Pad {
            mode: attrs.text("mode").unwrap_or_else(|| "constant".to_owned()),
            pads: attrs.ints("pads").map(<[i64]>::to_vec),
            value: attrs.float("value", 0.0),
        }),
        "Concat" => Box::new(Concat(attrs.int("axis", 0))),
        "Split" => Box::new(Split {
            axis: attrs.int("axis", 0),
            sizes: attrs.ints("split").map(<[i64]>::to_vec),
            outputs: attrs.node.output.len(),
        }),
        "Gather" => Box::new(Gather { axis: attrs.int("axis", 0), extract: false }),
        "Shape" => Box::new(Measure::Shape { start: attrs.int("start", 0), end: attrs.int("end", i64::MAX) }),
        "Size" => Box::new(Measure::Size),
        "Range" => Box::new(Range),
        "Constant" => Box::new(Constant(constant(attrs, limits)?)),
        "ConstantOfShape" => {
            let zero = || Ok(Value::F32(Tensor::new([1], vec![0.0])?));
            Box::new(Fill(tensor(attrs, limits, "value")?.map_or_else(zero, Ok::<_, Fail>)?))
        }
        "Cast" => {
            let to = i32::try_from(attrs.int("to", 0)).ok().and_then(decode::dtype);
            Box::new(Cast(Some(to.ok_or("a cast to an element type that is not supported")?)))
        }
        "CastLike" => Box::new(Cast(None)),
        "ArgMax" | "ArgMin" => Box::new(ArgExtreme {
            axis: attrs.int("axis", 0),
            keep: attrs.int("keepdims", 1) != 0,
            last: attrs.flag("select_last_index"),
            least: name == "ArgMin",
        }),
        "TopK" => Box::new(TopK { axis: attrs.int("axis", -1), largest: attrs.int("largest", 1) != 0 }),
        reduce => match fold(reduce) {
            Some(fold) => Box::new(Reduce {
                fold,
                axes: axes(),
                keep: attrs.int("keepdims", 1) != 0,
                empty_is_none: attrs.flag("noop_with_empty_axes"),
            }),
            None => return Ok(None),
        },
    }))
}

/// Operators of sequences, of quantised models and of generators.
fn further(name: &str, attrs: Attrs<'_>) -> Result<Option<Box<dyn Operator>>, Fail> {
    let axis = |default| attrs.int("axis", default);
    let size = |name: &str, default| {
        usize::try_from(attrs.int(name, default)).map_err(|_| Fail::Bad(format!("{name} below 0")))
    };
    let epsilon = || attrs.float("epsilon", 1e-5);
    let word = |name: &str, default: &str| attrs.text(name).unwrap_or_else(|| default.to_owned());
    Ok(Some(match name {
        "Attention" => Box::new(Attend::new(attrs)?),
        "RotaryEmbedding" => Box::new(Rotary::new(attrs)),
        "LpPool" => Box::new(LpPool::new(attrs, Some(Window::new(attrs)?))?),
        "GlobalLpPool" => Box::new(LpPool::new(attrs, None)?),
        "OneHot" => Box::new(Marks::OneHot(axis(-1))),
        "Hardmax" => {
            let late = attrs.opset >= 13;
            Box::new(Marks::Largest(axis(if late { -1 } else { 1 }), !late))
        }
        "EyeLike" => {
            let to =
                attrs.has("dtype").then(|| decode::dtype(i32::try_from(attrs.int("dtype", 1)).unwrap_or(0)));
            let to = to.map(|to| to.ok_or("an element type that is not supported")).transpose()?;
            Box::new(Marks::Diagonal(attrs.int("k", 0), to))
        }
        "NonZero" => Box::new(Marks::NonZero),
        "ConvTranspose" => Box::new(ConvTranspose::new(attrs)?),
        "ConvInteger" => Box::new(Integers(Conv::new(attrs)?)),
        "MatMulInteger" => Box::new(Integers(MatMul)),
        "Einsum" => Box::new(Einsum::new(&attrs.text("equation").unwrap_or_default())?),
        "LSTM" => Box::new(Recurrent::new(Cell::Lstm, attrs)?),
        "GRU" => Box::new(Recurrent::new(Cell::Gru, attrs)?),
        "RNN" => Box::new(Recurrent::new(Cell::Rnn, attrs)?),
        "QuantizeLinear" => Box::new(Quantise::To(axis(1))),
        "DequantizeLinear" => Box::new(Quantise::From(axis(1))),
        "DynamicQuantizeLinear" => Box::new(Quantise::Dynamic),
        "GroupNormalization" => {
            let kind = RunKind::Groups(size("num_groups", 1)?, attrs.opset >= 21);
            Box::new(Runs { kind, epsilon: epsilon() })
        }
        "RMSNormalization" | "SimplifiedLayerNormalization" => {
            Box::new(Runs { kind: RunKind::Square(axis(-1)), epsilon: epsilon() })
        }
        "MeanVarianceNormalization" => {
            let usual = attrs.ints("axes").is_none_or(|axes| matches!(axes, [0, 2, 3] | [0, 2]));
            if !usual {
                return Err("axes other than batch and image are not supported".into());
            }
            Box::new(Runs { kind: RunKind::Channel, epsilon: 1e-9 })
        }
        "LRN" => {
            let size = size("size", 1)?.max(1);
            let (alpha, beta) = (attrs.float("alpha", 1e-4), attrs.float("beta", 0.75));
            Box::new(Neighbours { alpha, beta, bias: attrs.float("bias", 1.0), size })
        }
        "GatherElements" => Box::new(Weave::GatherElements(axis(0))),
        "GatherND" => Box::new(Weave::GatherNd(attrs.int("batch_dims", 0))),
        "DepthToSpace" => Box::new(Weave::DepthToSpace(size("blocksize", 0)?, word("mode", "DCR") == "DCR")),
        "SpaceToDepth" => Box::new(Weave::SpaceToDepth(size("blocksize", 0)?)),
        "Trilu" => Box::new(Weave::Triangle(attrs.int("upper", 1) != 0)),
        "CumSum" => {
            Box::new(Weave::CumSum { exclusive: attrs.flag("exclusive"), reverse: attrs.flag("reverse") })
        }
        "Resize" | "Upsample" => {
            let mode = word("mode", "nearest");
            if !matches!(mode.as_str(), "nearest" | "linear" | "bilinear") || attrs.flag("antialias") {
                return Err(format!("mode `{mode}` is not supported").into());
            }
            let old = name == "Upsample" || attrs.opset < 11;
            Box::new(Weave::Resize(Resize {
                linear: mode != "nearest",
                coordinates: if old {
                    "asymmetric".to_owned()
                } else {
                    word("coordinate_transformation_mode", "half_pixel")
                },
                nearest: if old { "floor".to_owned() } else { word("nearest_mode", "round_prefer_floor") },
                scales: attrs.floats("scales").filter(|_| attrs.has("scales")).map(<[f32]>::to_vec),
                places: if old { (1, usize::MAX) } else { (2, 3) },
                axes: attrs.ints("axes").map(<[i64]>::to_vec),
            }))
        }
        "ScatterElements" | "Scatter" | "ScatterND" => {
            let add = match word("reduction", "none").as_str() {
                "none" => false,
                "add" => true,
                other => return Err(format!("reduction `{other}` is not supported").into()),
            };
            Box::new(Scatter { axis: (name != "ScatterND").then(|| axis(0)), add })
        }
        _ => return Ok(None),
    }))
}

fn fold(name: &str) -> Option<Fold> {
    Some(match name {
        "ReduceSum" => Fold::Sum,
        "ReduceMean" => Fold::Mean,
        "ReduceMax" => Fold::Max,
        "ReduceMin" => Fold::Min,
        "ReduceProd" => Fold::Prod,
        "ReduceL1" => Fold::L1,
        "ReduceL2" => Fold::L2,
        "ReduceSumSquare" => Fold::SumSquare,
        "ReduceLogSum" => Fold::LogSum,
        "ReduceLogSumExp" => Fold::LogSumExp,
        _ => return None,
    })
}

/// The value of a `Constant` node in any of its attribute forms.
fn constant(attrs: Attrs<'_>, limits: &Limits) -> Result<Value, Fail> {
    if let Some(value) = tensor(attrs, limits, "value")? {
        return Ok(value);
    }
    let scalar = || Vec::<usize>::new();
    if attrs.has("value_float") {
        return Ok(Value::F32(Tensor::new(scalar(), vec![attrs.float("value_float", 0.0)])?));
    }
    if attrs.has("value_int") {
        return Ok(Value::I64(Tensor::new(scalar(), vec![attrs.int("value_int", 0)])?));
    }
    if let Some(list) = attrs.floats("value_floats").filter(|_| attrs.has("value_floats")) {
        return Ok(Value::F32(Tensor::new([list.len()], list.to_vec())?));
    }
    if let Some(list) = attrs.ints("value_ints") {
        return Ok(Value::I64(Tensor::new([list.len()], list.to_vec())?));
    }
    if let Some(text) = attrs.text("value_string") {
        return Ok(Value::Text(Tensor::new(scalar(), vec![text])?));
    }
    if let Some(list) = attrs.texts("value_strings") {
        return Ok(Value::Text(Tensor::new([list.len()], list)?));
    }
    Err("a constant without a value".into())
}

fn learned(name: &str, attrs: Attrs<'_>, limits: &Limits) -> Result<Option<Box<dyn Operator>>, Fail> {
    let tensor = |name: &str| tensor(attrs, limits, name);
    Ok(Some(match name {
        "TreeEnsembleClassifier" => Box::new(ml::classifier(attrs, &tensor)?),
        "TreeEnsembleRegressor" => Box::new(ml::regressor(attrs, &tensor)?),
        "TreeEnsemble" => Box::new(ml::modern(attrs, &tensor)?),
        "SVMClassifier" => Box::new(ml::Svm::new(attrs, true)?),
        "SVMRegressor" => Box::new(ml::Svm::new(attrs, false)?),
        "LinearRegressor" => {
            let targets = usize::try_from(attrs.int("targets", 1)).unwrap_or(0);
            if ml::post(attrs)? != mantlet_vocab::Post::None {
                return Err("LinearRegressor with a post_transform is not supported".into());
            }
            Box::new(ml::Linear::new(attrs, targets, true)?)
        }
        "Scaler" => Box::new(ml::Scaler::new(attrs)?),
        "Normalizer" => Box::new(ml::Normalizer::new(attrs)?),
        "Imputer" => Box::new(ml::Imputer::new(attrs)?),
        "Binarizer" => Box::new(ml::Binarizer(attrs.float("threshold", 0.0))),
        "FeatureVectorizer" => Box::new(ml::FeatureVectorizer),
        "OneHotEncoder" => Box::new(ml::OneHot::new(attrs)?),
        "LabelEncoder" if attrs.has("classes_strings") => Box::new(ml::CategoryMapper::new(attrs)?),
        "LabelEncoder" => Box::new(ml::LabelEncoder::new(attrs, &tensor)?),
        "CategoryMapper" => Box::new(ml::CategoryMapper::new(attrs)?),
        "ArrayFeatureExtractor" => Box::new(Gather { axis: -1, extract: true }),
        "ZipMap" => Box::new(ZipMap(ml::Labels::read(attrs, "classlabels_int64s").names())),
        _ => return Ok(None),
    }))
}

/// `ZipMap`: a map from class to score for each row. Values here are tensors, so the scores pass and the
/// classes are kept for those who ask.
struct ZipMap(Vec<String>);

impl Operator for ZipMap {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        Shape::Identity.forward(run, inputs, None)
    }

    fn edge(&self, _: usize) -> super::Edge {
        super::Edge::Smooth
    }

    fn backward(&self, _: &mut Run, _: &super::Pass<'_>, gradient: Tensor) -> Result<super::Gradients, Fail> {
        Ok(vec![Some(gradient)])
    }

    fn hint(&self) -> Hint {
        Hint::Classes(self.0.clone())
    }
}
