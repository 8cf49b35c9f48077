//! What TensorFlow's operators do to the input, for the analysis of the graph.

use super::graph::Attributes;
use crate::graph::Kind;

/// The kind of an operator; `sizes` are how many numbers its operands have that are small constants.
pub(super) fn kind(operator: &str, attributes: &Attributes, sizes: &[Option<u64>]) -> Kind {
    let axes = || sizes.get(1).copied().flatten().map(|count| count.min(8) as u8).or(Some(1));
    match operator {
        "Placeholder" | "PlaceholderWithDefault" => Kind::Input { axes: attributes.axes.unwrap_or(3) },
        "Const"
        | "VarHandleOp"
        | "ReadVariableOp"
        | "VariableV2"
        | "Variable"
        | "HashTableV2"
        | "RandomUniform"
        | "RandomStandardNormal"
        | "StatelessRandomUniformV2"
        | "RngReadAndSkip" => Kind::Constant,
        "MatMul"
        | "BatchMatMul"
        | "BatchMatMulV2"
        | "BatchMatMulV3"
        | "Conv1D"
        | "Conv2D"
        | "Conv3D"
        | "DepthwiseConv2dNative"
        | "Conv2DBackpropInput"
        | "Conv3DBackpropInputV2"
        | "_FusedConv2D"
        | "_FusedMatMul"
        | "_FusedDepthwiseConv2dNative"
        | "Einsum"
        | "SparseMatMul"
        | "QuantizedMatMul"
        | "QuantizedConv2D"
        | "XlaDotV2"
        | "XlaConvV2" => Kind::Weighted { narrow: false },
        "CudnnRNN"
        | "CudnnRNNV2"
        | "CudnnRNNV3"
        | "BlockLSTM"
        | "BlockLSTMV2"
        | "LSTMBlockCell"
        | "GRUBlockCell"
        | "BoostedTreesPredict"
        | "SimpleMLInferenceOpWithHandle" => Kind::Learned,
        "Greater"
        | "GreaterEqual"
        | "Less"
        | "LessEqual"
        | "Equal"
        | "NotEqual"
        | "ApproximateEqual"
        | "IsNan"
        | "IsInf"
        | "IsFinite"
        | "Sign"
        | "OneHot"
        | "StringRegexFullMatch"
        | "StaticRegexFullMatch"
        | "InTopKV2"
        | "Bucketize"
        | "LogicalAnd"
        | "LogicalOr"
        | "LogicalNot"
        | "BitwiseOr"
        | "Invert"
        | "InTopK"
        | "RegexFullMatch"
        | "ListDiff"
        | "BitwiseAnd"
        | "BitwiseXor"
        | "StringToHashBucket"
        | "StringToHashBucketFast"
        | "StringToHashBucketStrong"
        | "Bincount"
        | "DenseBincount"
        | "LookupTableFind"
        | "LookupTableFindV2"
        | "LowerBound"
        | "UpperBound"
        | "SearchSorted" => Kind::Compare,
        "Sigmoid"
        | "Tanh"
        | "Relu"
        | "Relu6"
        | "Floor"
        | "Ceil"
        | "Round"
        | "Rint"
        | "ClipByValue"
        | "Mod"
        | "FloorMod"
        | "Softsign"
        | "Erf"
        | "Softmax"
        | "FloorDiv"
        | "Elu"
        | "LogSoftmax"
        | "TruncateMod"
        | "TruncateDiv"
        | "LeftShift"
        | "RightShift"
        | "QuantizeV2"
        | "QuantizeAndDequantizeV2"
        | "QuantizeAndDequantizeV3"
        | "QuantizeAndDequantizeV4"
        | "FakeQuantWithMinMaxVars"
        | "Selu"
        | "LeakyRelu"
        | "Quantize"
        | "FakeQuantWithMinMaxArgs" => Kind::Squash,
        "Split" | "SplitV" | "Unpack" => Kind::Part,
        "Exp" | "Expm1" | "Reciprocal" | "Inv" | "Rsqrt" | "Softplus" => Kind::Bump,
        "Sum" | "Mean" | "EuclideanNorm" | "L2Loss" => Kind::Sum(axes()),
        "Max" | "Min" | "All" | "Any" | "Prod" => Kind::Extreme(axes()),
        "ArgMax" | "ArgMin" => Kind::Sum(Some(1)),
        "TopKV2" | "TopK" | "ApproxTopK" => Kind::Extreme(Some(1)),
        "Reshape" => {
            let rank = sizes.get(1).copied().flatten();
            Kind::Reshape(rank.map_or(8, |rank| rank.saturating_sub(1).clamp(1, 8) as u8))
        }
        "StridedSlice" if attributes.shrinks => Kind::Pick(1),
        "GatherV2" | "Gather" | "GatherNd" | "ResourceGather" | "ResourceGatherNd" => {
            if sizes.get(1).copied().flatten() == Some(1) { Kind::Pick(1) } else { Kind::Lookup }
        }
        "Shape" | "Size" | "Rank" | "ShapeN" => Kind::Shape,
        // Kept by computed answers, or as many as answer so.
        "Where" | "Unique" | "UniqueV2" | "UniqueWithCounts" | "DynamicPartition" | "StringSplitV2" => {
            Kind::Count
        }
        "Select" | "SelectV2" => Kind::Select,
        "Mul" | "RealDiv" | "Div" | "DivNoNan" | "MulNoNan" | "Pow" | "Xdivy" => Kind::Scale,
        "Add"
        | "AddV2"
        | "AddN"
        | "Sub"
        | "BiasAdd"
        | "Maximum"
        | "Minimum"
        | "TensorScatterUpdate"
        | "TensorScatterAdd"
        | "TensorScatterSub"
        | "TensorScatterMax"
        | "TensorScatterMin"
        | "ScatterNd"
        | "DynamicStitch"
        | "ParallelDynamicStitch"
        | "TensorStridedSliceUpdate"
        | "InplaceUpdate" => Kind::Combine,
        "Concat" | "ConcatV2" | "Pack" | "ParallelConcat" | "TensorListStack" => Kind::Concat,
        // Products of other runtimes and numbers of fewer bits.
        _ if ["MatMul", "Conv2D", "Conv3D", "Convolution", "QuantizedDot"]
            .iter()
            .any(|word| operator.contains(word))
            && !operator.contains("Grad") =>
        {
            Kind::Weighted { narrow: false }
        }
        "Conv" | "XlaDot" | "XlaConv" | "XlaEinsum" => Kind::Weighted { narrow: false },
        _ => Kind::Pass,
    }
}
