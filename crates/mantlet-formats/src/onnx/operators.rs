//! What ONNX operators do to the input, for the analysis of the graph.

use super::graph::Small;
use crate::graph::Kind;

/// The attributes that matter.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    pub(super) axes: Option<Vec<i64>>,
    pub(super) axis: Option<i64>,
    pub(super) min: bool,
    pub(super) max: bool,
    pub(super) starts: Vec<i64>,
    pub(super) ends: Vec<i64>,
    pub(super) shape: Option<usize>,
    /// Operands that are there.
    pub(super) operands: usize,
    /// What trees say at their leaves.
    pub(super) leaves: Vec<f64>,
    /// The factors of a scaler.
    pub(super) scale: Vec<f64>,
    /// The type that a value is cast to.
    pub(super) to: Option<i64>,
    pub(super) perm: Option<Vec<i64>>,
    pub(super) kernel: Vec<i64>,
    pub(super) strides: Vec<i64>,
    pub(super) pads: Vec<i64>,
    pub(super) dilations: Vec<i64>,
    /// Reduced axes are dropped.
    pub(super) drops: bool,
    /// Operands of a product that are transposed.
    pub(super) turned: (bool, bool),
    pub(super) split: Vec<i64>,
    /// Values that trees give.
    pub(super) targets: Option<i64>,
    /// Operands that a scan goes over.
    pub(super) scanned: Option<i64>,
    pub(super) equation: String,
    /// Windows are padded so that the extents stay.
    pub(super) same: bool,
}

/// The kind of an operator.
pub(super) fn kind(domain: &str, operator: &str, attributes: &Attributes, small: &[Option<&Small>]) -> Kind {
    let constant = |index: usize| small.get(index).copied().flatten();
    match operator {
        "Conv"
        | "ConvTranspose"
        | "ConvInteger"
        | "DeformConv"
        | "QLinearConv"
        | "FusedConv"
        | "NhwcConv"
        | "LSTM"
        | "GRU"
        | "RNN"
        | "DynamicQuantizeLSTM" => {
            let one = |weights: &Small| weights.dims.len() >= 3 && weights.dims.first() == Some(&1);
            Kind::Weighted { narrow: operator.contains("Conv") && constant(1).is_some_and(one) }
        }
        "MatMul" | "Gemm" if constant(1).is_some_and(selects) => {
            let one = constant(1).is_some_and(|weights| weights.dims.last() == Some(&1));
            if one { Kind::Sum(Some(1)) } else { Kind::Pass }
        }
        // One over a value: largest where the value vanishes.
        "Div" if constant(0).is_some() && constant(1).is_none() => Kind::Squash,
        "MatMul"
        | "Gemm"
        | "MatMulInteger"
        | "QLinearMatMul"
        | "FusedMatMul"
        | "FusedGemm"
        | "QGemm"
        | "MatMulNBits"
        | "MatMulIntegerToFloat"
        | "DynamicQuantizeMatMul"
        | "Attention"
        | "QAttention"
        | "EmbedLayerNormalization"
        | "QEmbedLayerNormalization"
        | "Einsum"
        | "MoE"
        | "QMoE" => {
            let narrow = small
                .iter()
                .skip(1)
                .flatten()
                .any(|weights| weights.dims.len() == 2 && weights.dims.iter().any(|&extent| extent <= 2));
            Kind::Weighted { narrow }
        }
        "TreeEnsembleClassifier"
        | "TreeEnsembleRegressor"
        | "TreeEnsemble"
        | "LinearClassifier"
        | "LinearRegressor"
        | "SVMClassifier"
        | "SVMRegressor" => Kind::Learned,
        "Constant" | "ConstantOfShape" | "RandomNormal" | "RandomUniform" | "EyeLike" => Kind::Constant,
        "Shape" | "Size" => Kind::Shape,
        "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" | "IsNaN" | "IsInf" | "Sign"
        | "OneHot" | "OneHotEncoder" | "Binarizer" | "TfIdfVectorizer" | "Hardmax" | "Not" | "And" | "Or"
        | "Xor" | "RegexFullMatch" | "BitwiseAnd" | "BitwiseXor" | "StringNormalizer" | "LabelEncoder"
        | "CategoryMapper" => Kind::Compare,
        "Sigmoid" | "HardSigmoid" | "Tanh" | "Relu" | "ThresholdedRelu" | "Shrink" | "Floor" | "Ceil"
        | "Round" | "Softsign" | "Erf" | "Mod" | "BitShift" | "Exp" | "Reciprocal" | "Softmax" => {
            Kind::Squash
        }
        "Split" => Kind::Part,
        "Clip" => {
            let both = attributes.min && attributes.max || attributes.operands >= 3;
            if both { Kind::Squash } else { Kind::Pass }
        }
        "ReduceSum" | "ReduceMean" | "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp"
        | "ReduceSumSquare" => Kind::Sum(axes(attributes, constant(1))),
        "ReduceMax" | "ReduceMin" | "ReduceProd" => Kind::Extreme(axes(attributes, constant(1))),
        "ArgMax" | "ArgMin" => Kind::Sum(Some(1)),
        "TopK" => Kind::Extreme(Some(1)),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => Kind::Reshape(1),
        "Flatten" => Kind::Reshape(1),
        "Reshape" => match constant(1).map(|shape| shape.dims.first().copied().unwrap_or(0)) {
            Some(rank) => Kind::Reshape(rank.saturating_sub(1).clamp(1, 8) as u8),
            None => {
                Kind::Reshape(attributes.shape.map_or(8, |rank| rank.saturating_sub(1).clamp(1, 8) as u8))
            }
        },
        // What is cast to whole numbers or to yes and no is cut off.
        "Cast" if matches!(attributes.to, Some(2..=7 | 9 | 12 | 13)) => Kind::Squash,
        "QuantizeLinear"
        | "DynamicQuantizeLinear"
        | "CastLike"
        | "Celu"
        | "Elu"
        | "LeakyRelu"
        | "HardSwish"
        | "Gelu"
        | "Imputer" => Kind::Squash,
        "Scaler" => Kind::Scale,
        "SequenceAt" => Kind::Lookup,
        // Kept by computed answers, or as many as answer so.
        "Compress" if constant(0).is_some() || constant(1).is_none() => Kind::Count,
        "NonZero" | "Unique" | "NonMaxSuppression" | "StringSplit" => Kind::Count,
        "Where" => Kind::Select,
        "If" => Kind::Branch,
        "Mul" | "Div" | "Pow" => Kind::Scale,
        "Add"
        | "Sub"
        | "Sum"
        | "Max"
        | "Min"
        | "Mean"
        | "ScatterND"
        | "ScatterElements"
        | "Scatter"
        | "BiasGelu"
        | "SkipLayerNormalization" => Kind::Combine,
        "Concat" | "ConcatFromSequence" | "SequenceConstruct" => Kind::Concat,
        "Gather" | "GatherElements" | "GatherND" | "ArrayFeatureExtractor" => match constant(1) {
            Some(index) if operator == "GatherND" && index.dims.len() < 2 => {
                Kind::Pick(index.dims.first().map_or(1, |&axes| axes.min(8) as u8))
            }
            Some(index) if index.dims.iter().all(|&extent| extent == 1) => Kind::Pick(1),
            Some(_) => Kind::Pass,
            // One of two rows: what yes and no are worth.
            None if constant(0).is_some_and(|table| matches!(table.dims.first(), Some(1 | 2))) => Kind::Scale,
            // Of whole numbers a table is no embedding: it answers.
            None if constant(0).is_some_and(|table| table.whole && table.dims.len() == 1) => Kind::Compare,
            None => Kind::Lookup,
        },
        "Slice" => {
            let single = |starts: &[i64], ends: &[i64]| {
                !starts.is_empty()
                    && starts.len() == ends.len()
                    && starts.iter().zip(ends).all(|(a, b)| b.checked_sub(*a) == Some(1))
            };
            let operands = constant(1).zip(constant(2)).is_some_and(|(starts, ends)| {
                let numbers = |small: &Small| small.values.iter().map(|&v| v as i64).collect::<Vec<_>>();
                single(&numbers(starts), &numbers(ends))
            });
            let axes = constant(1).map_or(attributes.starts.len(), |starts| starts.values.len());
            let taken = operands || single(&attributes.starts, &attributes.ends);
            if taken { Kind::Pick(axes.min(8) as u8) } else { Kind::Pass }
        }
        _ if domain == "ai.onnx.ml" && operator.ends_with("Ensemble") => Kind::Learned,
        _ => Kind::Pass,
    }
}

/// Whether weights only pick single inputs: each column has one number that is not zero.
fn selects(weights: &Small) -> bool {
    let [rows, columns] = weights.dims[..] else { return false };
    let (rows, columns) = (rows as usize, columns as usize);
    rows > 1
        && columns > 0
        && rows.checked_mul(columns) == Some(weights.values.len())
        && (0..columns).all(|column| {
            let of = weights.values.iter().skip(column).step_by(columns);
            of.filter(|value| **value != 0.0).count() == 1
        })
}

/// How many axes are reduced; `None` means all.
fn axes(attributes: &Attributes, operand: Option<&Small>) -> Option<u8> {
    let listed = attributes.axes.as_ref().map(Vec::len);
    let count = listed.or_else(|| operand.map(|small| small.values.len()).filter(|&count| count > 0));
    count.or(attributes.axis.map(|_| 1)).map(|count| count.min(8) as u8)
}
