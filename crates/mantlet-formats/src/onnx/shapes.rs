//! The shapes of values, from the shapes that inputs and weights say they have: how many answers a value can hold.
//!
//! What cannot be told is left open; nothing depends on a shape being known.
//!
//! Long because every operator has its own rule.

use super::graph::Small;
use super::operators::Attributes;

/// Extents; those that are not known, or named, are left open.
pub(super) type Shape = Vec<Option<u64>>;

pub(super) const MAX_RANK: usize = 16;

/// Axes that are neither the batch nor of extent one; nothing where that cannot be told.
pub(super) fn axes(shape: &Shape, batch: Option<u64>) -> Option<u8> {
    let first = match shape.as_slice() {
        [] => return Some(0),
        // A value for each sample, or one axis of a sample.
        [one] => return (*one == Some(1)).then_some(0),
        [first, ..] => *first,
    };
    let many = shape.iter().filter(|extent| **extent != Some(1)).count();
    let batched = first != Some(1) && (first.is_none() || first == batch);
    Some((many - usize::from(batched && many > 0)).min(8) as u8)
}

/// The shape of what an operator gives.
pub(super) fn of(
    operator: &str,
    attributes: &Attributes,
    shapes: &[Option<Shape>],
    small: &[Option<&Small>],
) -> Option<Shape> {
    let shape = |index: usize| shapes.get(index).cloned().flatten();
    let numbers = |index: usize| -> Option<Vec<i64>> {
        let small = small.get(index).copied().flatten()?;
        let count = small.dims.iter().product::<u64>();
        let whole = small.whole && count == small.values.len() as u64;
        whole.then(|| small.values.iter().map(|&value| value as i64).collect())
    };
    let same = [
        "Relu",
        "Sigmoid",
        "Tanh",
        "Erf",
        "Exp",
        "Log",
        "Sqrt",
        "Abs",
        "Neg",
        "Floor",
        "Ceil",
        "Round",
        "Sign",
        "Not",
        "Softmax",
        "LogSoftmax",
        "Hardmax",
        "Cast",
        "CastLike",
        "Identity",
        "Dropout",
        "Clip",
        "CumSum",
        "BatchNormalization",
        "LayerNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "LRN",
        "LpNormalization",
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "ScatterND",
        "ScatterElements",
        "Scatter",
        "Bernoulli",
        "RandomUniformLike",
        "RandomNormalLike",
        "Reciprocal",
        "Softplus",
        "Softsign",
        "Elu",
        "Selu",
        "Celu",
        "LeakyRelu",
        "ThresholdedRelu",
        "HardSigmoid",
        "HardSwish",
        "Gelu",
        "Mish",
        "Shrink",
        "Trilu",
        "IsNaN",
        "IsInf",
        "Sin",
        "Cos",
        "Tan",
        "BitwiseNot",
        "Binarizer",
        "Scaler",
        "Normalizer",
        "Imputer",
        "LabelEncoder",
        "PRelu",
        "ReverseSequence",
    ];
    match operator {
        _ if same.contains(&operator) => shape(0),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" | "Sum" | "Mean" | "Equal" | "Greater"
        | "Less" | "GreaterOrEqual" | "LessOrEqual" | "And" | "Or" | "Xor" | "Mod" | "BitShift"
        | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" | "Where" => {
            let mut all = shapes.iter().cloned();
            let first = all.next()??;
            all.try_fold(first, |one, other| Some(broadcast(&one, &other?)))
        }
        "Conv" | "ConvInteger" | "FusedConv" => {
            let (value, weights) = (shape(0)?, shape(1)?);
            let kernel = weights.get(2..)?.to_vec();
            let mut out = vec![*value.first()?, *weights.first()?];
            out.extend(windows(value.get(2..)?, &kernel, attributes));
            Some(out)
        }
        "MaxPool" | "AveragePool" | "LpPool" => {
            let value = shape(0)?;
            let kernel: Vec<Option<u64>> = attributes.kernel.iter().map(|&k| u64::try_from(k).ok()).collect();
            let mut out = value.get(..2)?.to_vec();
            out.extend(windows(value.get(2..)?, &kernel, attributes));
            Some(out)
        }
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => {
            let mut value = shape(0)?;
            value.iter_mut().skip(2).for_each(|extent| *extent = Some(1));
            Some(value)
        }
        "Flatten" => {
            let value = shape(0)?;
            let axis = position(attributes.axis.unwrap_or(1), value.len() + 1)?;
            Some(vec![product(value.get(..axis)?), product(value.get(axis..)?)])
        }
        "Reshape" => reshape(shape(0), &numbers(1)?),
        "Transpose" => {
            let value = shape(0)?;
            match &attributes.perm {
                Some(perm) => {
                    perm.iter().map(|&axis| value.get(usize::try_from(axis).ok()?).copied()).collect()
                }
                None => Some(value.into_iter().rev().collect()),
            }
        }
        "MatMul" | "MatMulInteger" | "FusedMatMul" => product_of(&shape(0)?, &shape(1)?),
        "Gemm" | "FusedGemm" => {
            let (mut one, mut other) = (shape(0)?, shape(1)?);
            if attributes.turned.0 {
                one.reverse();
            }
            if attributes.turned.1 {
                other.reverse();
            }
            Some(vec![*one.first()?, *other.get(1)?])
        }
        "Gather" => {
            let (value, index) = (shape(0)?, shape(1)?);
            let axis = position(attributes.axis.unwrap_or(0), value.len())?;
            Some([&value[..axis], &index, &value[axis + 1..]].concat())
        }
        "GatherElements" => shape(1),
        "ArrayFeatureExtractor" => {
            let mut value = shape(0)?;
            *value.last_mut()? = shape(1)?.last().copied().flatten();
            Some(value)
        }
        "Concat" => {
            let mut out = shape(0)?;
            let axis = position(attributes.axis.unwrap_or(0), out.len())?;
            for other in shapes.iter().skip(1) {
                let extent = *other.as_ref()?.get(axis)?;
                out[axis] = out[axis].zip(extent).and_then(|(one, other)| one.checked_add(other));
            }
            // Of many operands only the first were looked at.
            if attributes.operands > shapes.len() {
                out[axis] = None;
            }
            Some(out)
        }
        "Slice" => {
            let (starts, ends) = match numbers(1) {
                Some(starts) => (starts, numbers(2)?),
                None if shapes.len() < 2 => (attributes.starts.clone(), attributes.ends.clone()),
                None => return None,
            };
            let axes = numbers(3).or_else(|| attributes.axes.clone());
            let steps = numbers(4);
            slice(shape(0)?, &starts, &ends, axes.as_deref(), steps.as_deref())
        }
        "Squeeze" => {
            let value = shape(0)?;
            let axes = attributes.axes.clone().or_else(|| numbers(1));
            let drop: Option<Vec<usize>> =
                axes.map(|axes| axes.iter().filter_map(|&axis| position(axis, value.len())).collect());
            let keep = |(axis, extent): (usize, &Option<u64>)| match &drop {
                Some(drop) => !drop.contains(&axis),
                None => *extent != Some(1),
            };
            Some(
                value
                    .iter()
                    .enumerate()
                    .filter(|one| keep((one.0, one.1)))
                    .map(|(_, extent)| *extent)
                    .collect(),
            )
        }
        "Unsqueeze" => {
            let mut value = shape(0)?;
            let axes = attributes.axes.clone().or_else(|| numbers(1))?;
            let rank = value.len() + axes.len();
            let mut places: Vec<usize> = axes.iter().filter_map(|&axis| position(axis, rank)).collect();
            places.sort_unstable();
            for place in places {
                value.insert(place.min(value.len()), Some(1));
            }
            Some(value)
        }
        "ArgMax" | "ArgMin" => {
            let axis = attributes.axis.unwrap_or(0);
            reduce(shape(0)?, Some(&[axis]), !attributes.drops)
        }
        _ if operator.starts_with("Reduce") => {
            let axes = attributes.axes.clone().or_else(|| numbers(1));
            let open = axes.is_none() && small.len() > 1;
            if open { None } else { reduce(shape(0)?, axes.as_deref(), !attributes.drops) }
        }
        "TopK" => {
            let mut value = shape(0)?;
            let axis = position(attributes.axis.unwrap_or(-1), value.len())?;
            value[axis] = numbers(1).and_then(|count| u64::try_from(*count.first()?).ok());
            Some(value)
        }
        "Split" => {
            let mut value = shape(0)?;
            let axis = position(attributes.axis.unwrap_or(0), value.len())?;
            let parts = if attributes.split.is_empty() {
                numbers(1).unwrap_or_default()
            } else {
                attributes.split.clone()
            };
            let same = parts.windows(2).all(|two| two[0] == two[1]);
            value[axis] = parts.first().filter(|_| same).and_then(|&part| u64::try_from(part).ok());
            Some(value)
        }
        "Expand" => {
            let wanted: Shape = numbers(1)?.iter().map(|&extent| u64::try_from(extent).ok()).collect();
            Some(broadcast(&shape(0)?, &wanted))
        }
        "Einsum" => {
            let (reads, gives) = attributes.equation.split_once("->")?;
            let mut extents = std::collections::BTreeMap::new();
            for (letters, shape) in reads.split(',').zip(shapes) {
                let letters: Vec<char> = letters.chars().filter(|c| !c.is_whitespace()).collect();
                if letters.contains(&'.') {
                    return None;
                }
                for (letter, extent) in letters.into_iter().zip(shape.as_ref()?) {
                    extents.insert(letter, *extent);
                }
            }
            gives.chars().filter(|c| !c.is_whitespace()).map(|letter| extents.get(&letter).copied()).collect()
        }
        "GridSample" => {
            let (value, grid) = (shape(0)?, shape(1)?);
            let places = grid.get(1..grid.len().checked_sub(1)?)?;
            Some([value.get(..2)?, places].concat())
        }
        "Det" => {
            let value = shape(0)?;
            Some(value.get(..value.len().checked_sub(2)?)?.to_vec())
        }
        "OneHot" => {
            let mut value = shape(0)?;
            value.push(None);
            Some(value)
        }
        "TreeEnsembleRegressor" | "SVMRegressor" | "LinearRegressor" => {
            let targets = attributes.targets.and_then(|targets| u64::try_from(targets).ok());
            Some(vec![*shape(0)?.first()?, targets.or(Some(1)).filter(|_| operator != "LinearRegressor")])
        }
        _ => None,
    }
}

fn position(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(i64::try_from(rank).ok()?)? } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

fn product(extents: &[Option<u64>]) -> Option<u64> {
    extents.iter().try_fold(1_u64, |all, &extent| all.checked_mul(extent?))
}

/// Two shapes, aligned at their ends.
fn broadcast(one: &Shape, other: &Shape) -> Shape {
    let rank = one.len().max(other.len());
    let at = |shape: &Shape, axis: usize| {
        let from = rank - shape.len();
        if axis < from { Some(1) } else { shape[axis - from] }
    };
    (0..rank)
        .map(|axis| match (at(one, axis), at(other, axis)) {
            (Some(1), extent) | (extent, Some(1)) => extent,
            (Some(extent), _) | (None, Some(extent)) => Some(extent),
            (None, None) => None,
        })
        .collect()
}

/// What windows of this extent leave of each axis.
fn windows(extents: &[Option<u64>], kernel: &[Option<u64>], attributes: &Attributes) -> Shape {
    let number = |list: &[i64], axis: usize, usual: u64| match list.get(axis) {
        Some(&number) => u64::try_from(number).ok(),
        None => Some(usual),
    };
    let rank = extents.len();
    (0..rank)
        .map(|axis| {
            let stride = number(&attributes.strides, axis, 1)?.max(1);
            let extent = extents[axis]?;
            if attributes.same {
                return Some(extent.div_ceil(stride));
            }
            let wide = kernel.get(axis).copied()??.checked_sub(1)?;
            let span = wide.checked_mul(number(&attributes.dilations, axis, 1)?)?.checked_add(1)?;
            let padded = extent.checked_add(number(&attributes.pads, axis, 0)?)?.checked_add(number(
                &attributes.pads,
                axis + rank,
                0,
            )?)?;
            Some(padded.checked_sub(span)? / stride + 1)
        })
        .collect()
}

fn reshape(value: Option<Shape>, wanted: &[i64]) -> Option<Shape> {
    let value = value.unwrap_or_default();
    let mut out: Shape = Vec::new();
    for (axis, &extent) in wanted.iter().enumerate() {
        out.push(match extent {
            0 => value.get(axis).copied().flatten(),
            extent => u64::try_from(extent).ok(),
        });
    }
    // The one that is left open takes what remains.
    if let [open] = wanted.iter().enumerate().filter(|(_, extent)| **extent < 0).collect::<Vec<_>>()[..] {
        let others: Vec<Option<u64>> =
            out.iter().enumerate().filter(|(axis, _)| *axis != open.0).map(|(_, extent)| *extent).collect();
        let left = product(&value).zip(product(&others)).filter(|(_, others)| *others > 0);
        out[open.0] = left.filter(|_| !value.is_empty()).map(|(all, others)| all / others);
    }
    Some(out)
}

fn product_of(one: &Shape, other: &Shape) -> Option<Shape> {
    match (one.len(), other.len()) {
        (0, _) | (_, 0) => None,
        (1, 1) => Some(Vec::new()),
        (1, rank) => {
            let mut out = other.clone();
            out.remove(rank - 2);
            Some(out)
        }
        (_, 1) => Some(one[..one.len() - 1].to_vec()),
        (rank, others) => {
            let mut out = broadcast(&one[..rank - 2].to_vec(), &other[..others - 2].to_vec());
            out.push(one[rank - 2]);
            out.push(other[others - 1]);
            Some(out)
        }
    }
}

fn slice(
    mut value: Shape,
    starts: &[i64],
    ends: &[i64],
    axes: Option<&[i64]>,
    steps: Option<&[i64]>,
) -> Option<Shape> {
    for (index, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        let axis = match axes {
            Some(axes) => position(*axes.get(index)?, value.len())?,
            None => index,
        };
        let extent = value.get_mut(axis)?;
        let step = steps.map_or(Some(&1), |steps| steps.get(index)).copied().filter(|&step| step > 0);
        *extent = extent.zip(step).and_then(|(extent, step)| {
            let extent = i64::try_from(extent).ok()?;
            let bound = |place: i64| if place < 0 { (place + extent).max(0) } else { place.min(extent) };
            let len = (bound(end) - bound(start)).max(0);
            u64::try_from(len.checked_add(step - 1)? / step).ok()
        });
    }
    Some(value)
}

fn reduce(value: Shape, axes: Option<&[i64]>, keeps: bool) -> Option<Shape> {
    let reduced: Vec<usize> = match axes {
        Some(axes) if !axes.is_empty() => {
            axes.iter().filter_map(|&axis| position(axis, value.len())).collect()
        }
        _ => (0..value.len()).collect(),
    };
    let of = |(axis, extent): (usize, Option<u64>)| match (reduced.contains(&axis), keeps) {
        (false, _) => Some(extent),
        (true, true) => Some(Some(1)),
        (true, false) => None,
    };
    Some(value.into_iter().enumerate().filter_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_follow_operators() {
        let shape = |extents: &[u64]| Some(extents.iter().map(|&extent| Some(extent)).collect::<Shape>());
        let given = |operator: &str, attributes: &Attributes, shapes: &[Option<Shape>]| {
            of(operator, attributes, shapes, &[])
        };
        let plain = Attributes::default();
        let image = shape(&[1, 3, 8, 8]);
        assert_eq!(given("Conv", &plain, &[image.clone(), shape(&[6, 3, 3, 3])]), shape(&[1, 6, 6, 6]));
        assert_eq!(given("Flatten", &plain, std::slice::from_ref(&image)), shape(&[1, 192]));
        assert_eq!(given("GlobalMaxPool", &plain, std::slice::from_ref(&image)), shape(&[1, 3, 1, 1]));
        assert_eq!(given("Add", &plain, &[shape(&[4, 1]), shape(&[5])]), shape(&[4, 5]));
        assert_eq!(given("MatMul", &plain, &[shape(&[2, 3, 4]), shape(&[4, 5])]), shape(&[2, 3, 5]));
        let equation = Attributes { equation: "nchw,hw->nc".into(), ..Attributes::default() };
        assert_eq!(given("Einsum", &equation, &[image, shape(&[8, 8])]), shape(&[1, 3]));
        assert_eq!(axes(&shape(&[1, 3, 1, 1]).unwrap(), None), Some(1));
        assert_eq!(axes(&vec![None, Some(1)], None), Some(0));
        assert_eq!(axes(&vec![None, None, Some(7)], None), Some(2));
        assert_eq!(axes(&vec![Some(32), Some(1)], Some(32)), Some(0));
        assert_eq!(axes(&vec![None], None), None);
    }

    #[test]
    fn nothing_overflows() {
        let huge = Some(vec![Some(u64::MAX), Some(2), None]);
        for operator in
            ["Flatten", "Conv", "Gather", "Slice", "Concat", "Reshape", "TopK", "Split", "Squeeze"]
        {
            let attributes = Attributes {
                axis: Some(i64::MIN),
                starts: vec![i64::MIN, 5],
                ends: vec![i64::MAX, i64::MIN],
                pads: vec![i64::MAX; 6],
                strides: vec![-1, 0],
                ..Attributes::default()
            };
            let _ = of(operator, &attributes, &[huge.clone(), huge.clone()], &[]);
        }
        assert_eq!(
            reshape(huge, &[0, -1, i64::MAX]),
            Some(vec![Some(u64::MAX), None, Some(i64::MAX as u64)])
        );
    }
}
