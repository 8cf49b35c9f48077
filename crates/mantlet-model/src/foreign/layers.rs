//! What layers of the other formats become: their pictures have the channels last, and their slices are Python's.

use mantlet_formats::onnx::schema::{AttributeProto, DataType};

use super::invalid;
use super::numbers::{MAX_RANK, Numbers, float, int, ints, sizes, word};
use super::sketch::{Sketch, Val};
use crate::ModelError;

/// How a window meets the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Padding {
    Same,
    Valid,
    /// Before and after, for each axis of the picture.
    Told(Vec<(usize, usize)>),
}

/// A window that moves over the axes between batch and channels.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) strides: Vec<usize>,
    pub(super) dilations: Vec<usize>,
    pub(super) padding: Padding,
}

/// Which parts of which axes are taken, as `x[begin:end:stride, ...]` has them.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken {
    pub(super) begin: Vec<i64>,
    pub(super) end: Vec<i64>,
    pub(super) strides: Vec<i64>,
    /// Masks of the positions that begin at the beginning, go to the end, stand for all axes that are not named, are new
    /// axes, and take one position.
    pub(super) masks: [u64; 5],
}

impl Sketch {
    /// The same with the channels in front of the picture, or behind it again.
    fn moved(&mut self, label: &str, x: &Val, axes: usize, front: bool) -> Val {
        let last = axes + 1;
        let perm: Vec<usize> = if front {
            [0, last].into_iter().chain(1..last).collect()
        } else {
            std::iter::once(0).chain(2..=last).chain([1]).collect()
        };
        self.op("Transpose", label, &[x], vec![sizes("perm", &perm)])
    }

    /// A convolution over a picture whose channels are last. The kernel is `[.., in, out]`, or of one channel each
    /// `[.., in, multiplier]` when `each`.
    pub(super) fn conv(
        &mut self,
        label: &str,
        x: &Val,
        kernel: &Val,
        window: &Window,
        (groups, each): (usize, bool),
    ) -> Result<Val, ModelError> {
        let Some(numbers) = kernel.numbers.clone() else {
            return Ok(self.unknown("a convolution whose kernel is computed"));
        };
        let axes = numbers.dims.len().saturating_sub(2);
        let wrong = || invalid(format!("`{label}`"), format!("its kernel has the shape {:?}", numbers.dims));
        if axes == 0 || axes > 3 {
            return Err(wrong());
        }
        self.spend(numbers.raw.len())?;
        let (front, size) = if each { ([axes, axes + 1], axes) } else { ([axes + 1, axes], axes) };
        let perm: Vec<usize> = front.into_iter().chain(0..size).collect();
        let mut turned = numbers.turned(&perm).ok_or_else(wrong)?;
        let mut groups = groups;
        if each {
            groups = turned.dims[0];
            let mut dims = vec![turned.dims[0] * turned.dims[1], 1];
            dims.extend(&turned.dims[2..]);
            turned = turned.shaped(dims).ok_or_else(wrong)?;
        }
        let mut attributes = window_of(window, axes, label)?;
        attributes.push(sizes("kernel_shape", &turned.dims[2..]));
        attributes.push(int("group", i64::try_from(groups).unwrap_or(i64::MAX)));
        let kernel = self.constant(&format!("{label}/kernel"), turned);
        let x = self.moved(label, x, axes, true);
        let y = self.op("Conv", label, &[&x, &kernel], attributes);
        Ok(self.moved(label, &y, axes, false))
    }

    /// A pool over a picture whose channels are last.
    pub(super) fn pool(
        &mut self,
        label: &str,
        x: &Val,
        largest: bool,
        size: &[usize],
        window: &Window,
    ) -> Result<Val, ModelError> {
        let axes = size.len();
        if axes == 0 || axes > 3 || size.contains(&0) {
            return Err(invalid(format!("`{label}`"), format!("its window has the shape {size:?}")));
        }
        let mut attributes = window_of(window, axes, label)?;
        // Pools of neither format dilate.
        attributes.retain(|attribute| attribute.name != "dilations");
        attributes.push(sizes("kernel_shape", size));
        let x = self.moved(label, x, axes, true);
        let y = self.op(if largest { "MaxPool" } else { "AveragePool" }, label, &[&x], attributes);
        Ok(self.moved(label, &y, axes, false))
    }

    /// A batch norm by what training kept, over the last axis: factor and shift, computed here.
    pub(super) fn normed(
        &mut self,
        label: &str,
        x: &Val,
        [gamma, beta, mean, variance]: [Option<&[f32]>; 4],
        epsilon: f32,
    ) -> Result<Val, ModelError> {
        let wrong = || invalid(format!("`{label}`"), "its statistics are no lists of one length");
        let (mean, variance) = mean.zip(variance).ok_or_else(wrong)?;
        let same = [gamma, beta].into_iter().flatten().all(|list| list.len() == mean.len());
        if !same || mean.len() != variance.len() {
            return Err(wrong());
        }
        let of = |list: Option<&[f32]>, at: usize, none: f32| list.map_or(none, |list| list[at]);
        let factors: Vec<f32> = variance
            .iter()
            .enumerate()
            .map(|(at, var)| of(gamma, at, 1.0) / (var + epsilon).sqrt())
            .collect();
        let shifts: Vec<f32> =
            mean.iter().enumerate().map(|(at, mean)| of(beta, at, 0.0) - mean * factors[at]).collect();
        let count = vec![mean.len()];
        let factor = self.made(&format!("{label}/factor"), Numbers::floats_of(count.clone(), &factors))?;
        let shift = self.made(&format!("{label}/shift"), Numbers::floats_of(count, &shifts))?;
        let y = self.op("Mul", label, &[x, &factor], vec![]);
        Ok(self.op("Add", label, &[&y, &shift], vec![]))
    }

    /// A sum, mean or extreme over these axes.
    pub(super) fn reduce(
        &mut self,
        kind: &str,
        label: &str,
        x: &Val,
        axes: Option<&[i64]>,
        keep: bool,
    ) -> Val {
        // No axis at all is no reduction in the other formats, and every axis in ONNX.
        if axes.is_some_and(<[i64]>::is_empty) {
            return self.op("Identity", label, &[x], vec![]);
        }
        let mut attributes = vec![int("keepdims", i64::from(keep))];
        attributes.extend(axes.map(|axes| ints("axes", axes)));
        self.op(kind, label, &[x], attributes)
    }

    /// A sum, product or extreme of whole numbers, which stay exact.
    pub(super) fn reduce_whole(
        &mut self,
        kind: &str,
        label: &str,
        x: &Val,
        axes: &[i64],
        (keep, own): (bool, DataType),
    ) -> Val {
        if kind == "ReduceMean" {
            return self.unknown("a mean of whole numbers");
        }
        let x = self.cast(label, x, DataType::Int64);
        let reduced = self.reduce(kind, label, &x, Some(axes), keep);
        self.cast(label, &reduced, own)
    }

    /// Whether all or any of yes-or-no answers are yes.
    pub(super) fn quantified(
        &mut self,
        all: bool,
        label: &str,
        x: &Val,
        axes: Option<&[i64]>,
        keep: bool,
    ) -> Val {
        let numbers = self.cast(label, x, DataType::Float);
        let kind = if all { "ReduceMin" } else { "ReduceMax" };
        let reduced = self.reduce(kind, label, &numbers, axes, keep);
        self.cast(label, &reduced, DataType::Bool)
    }

    /// `x[begin:end:stride, ...]`.
    pub(super) fn taken(&mut self, label: &str, x: &Val, taken: &Taken) -> Result<Val, ModelError> {
        let Taken { begin, end, strides, masks: [at_begin, at_end, dots, new, one] } = taken;
        let count = begin.len();
        let wrong = || invalid(format!("`{label}`"), "what it takes of its axes contradicts itself");
        let set = |mask: &u64, at: usize| at < 64 && mask >> at & 1 == 1;
        if end.len() != count || strides.len() != count || count > 2 * MAX_RANK || strides.contains(&0) {
            return Err(wrong());
        }
        let dots = (0..count).find(|&at| set(dots, at));
        let (mut starts, mut ends, mut axes, mut steps) = (vec![], vec![], vec![], vec![]);
        let (mut dropped, mut added) = (vec![], vec![]);
        // Axes behind the dots are counted from the end.
        let behind = |from: usize| (from..count).filter(|&at| !set(new, at)).count();
        for at in (0..count).filter(|&at| Some(at) != dots) {
            let late = dots.is_some_and(|dots| at > dots);
            if set(new, at) {
                added.push((at, late));
                continue;
            }
            let axis =
                if late { -(behind(at) as i64) } else { (0..at).filter(|&at| !set(new, at)).count() as i64 };
            let (mut from, mut to, step) = (begin[at], end[at], strides[at]);
            if set(one, at) {
                to = if from == -1 { i64::MAX } else { from.checked_add(1).ok_or_else(wrong)? };
                dropped.push(axis);
            } else {
                // A slice that runs backwards begins at the end.
                if set(at_begin, at) {
                    from = if step > 0 { 0 } else { i64::MAX };
                }
                if set(at_end, at) {
                    to = if step > 0 { i64::MAX } else { i64::MIN + 1 };
                }
            }
            if (from, to, step) != (0, i64::MAX, 1) {
                starts.push(from);
                ends.push(to);
                axes.push(axis);
                steps.push(if set(one, at) { 1 } else { step });
            }
        }
        let mut value = x.clone();
        if !starts.is_empty() {
            let lists = [starts, ends, axes, steps].map(|list| self.list(&format!("{label}/part"), &list));
            let [starts, ends, axes, steps] = &lists;
            value = self.op("Slice", label, &[&value, starts, ends, axes, steps], vec![]);
        }
        if !dropped.is_empty() {
            value = self.op("Squeeze", label, &[&value], vec![ints("axes", &dropped)]);
        }
        if !added.is_empty() {
            if added.iter().any(|(_, late)| *late) {
                return Ok(self.unknown("a slice with new axes behind an ellipsis"));
            }
            let left = |at: usize| (0..at).filter(|&at| set(new, at) || !set(one, at)).count() as i64;
            let axes: Vec<i64> = added.iter().map(|&(at, _)| left(at)).collect();
            value = self.op("Unsqueeze", label, &[&value], vec![ints("axes", &axes)]);
        }
        Ok(value)
    }

    /// So many positions of each axis from these on; -1 is all that are left.
    pub(super) fn cut(
        &mut self,
        label: &str,
        x: &Val,
        begin: &[i64],
        size: &[i64],
    ) -> Result<Val, ModelError> {
        let wrong = || invalid(format!("`{label}`"), "what it takes of its axes contradicts itself");
        if begin.len() != size.len() || begin.len() > MAX_RANK || begin.iter().any(|&at| at < 0) {
            return Err(wrong());
        }
        let end = |(from, count): (&i64, &i64)| match count {
            -1 => Some(i64::MAX),
            count => from.checked_add(*count).filter(|_| *count >= 0),
        };
        let ends = begin.iter().zip(size).map(end).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        let lists = [begin.to_vec(), ends].map(|list| self.list(&format!("{label}/part"), &list));
        Ok(self.op("Slice", label, &[x, &lists[0], &lists[1]], vec![]))
    }

    /// Values side by side on a new axis.
    pub(super) fn stacked(&mut self, label: &str, values: &[Val], axis: i64) -> Val {
        let each: Vec<Val> = values
            .iter()
            .map(|value| self.op("Unsqueeze", label, &[value], vec![ints("axes", &[axis])]))
            .collect();
        self.op("Concat", label, &each.iter().collect::<Vec<_>>(), vec![int("axis", axis)])
    }

    /// The parts of an axis apart, without it.
    pub(super) fn unstacked(&mut self, label: &str, x: &Val, axis: i64, count: usize) -> Vec<Val> {
        let parts = self.many("Split", label, &[x], vec![int("axis", axis)], count.min(4_096));
        parts.iter().map(|part| self.op("Squeeze", label, &[part], vec![ints("axes", &[axis])])).collect()
    }

    /// What is left of a division that rounds down.
    pub(super) fn modulo(&mut self, label: &str, x: &Val, y: &Val) -> Val {
        let times = self.op("Div", label, &[x, y], vec![]);
        let times = self.op("Floor", label, &[&times], vec![]);
        let whole = self.op("Mul", label, &[&times, y], vec![]);
        self.op("Sub", label, &[x, &whole], vec![])
    }

    /// One of two values, both of which are computed; that they are of one shape is checked when it runs.
    pub(super) fn branch(&mut self, label: &str, condition: &Val, yes: &Val, no: &Val) -> Val {
        let mut value = self.op("Where", label, &[condition, yes, no], vec![]);
        for side in [yes, no] {
            let shape = self.op("Shape", label, &[side], vec![]);
            value = self.op("Reshape", label, &[&value, &shape], vec![int("allowzero", 1)]);
        }
        value
    }

    /// The function that a layer ends with, by the name that Keras gives it; `None` when it is not known.
    pub(super) fn bent(&mut self, label: &str, x: &Val, name: &str) -> Option<Val> {
        let plain = |kind: &'static str| (kind, vec![]);
        let (kind, attributes) = match name {
            "linear" => return Some(x.clone()),
            "relu" => plain("Relu"),
            "sigmoid" => plain("Sigmoid"),
            "tanh" => plain("Tanh"),
            "softplus" => plain("Softplus"),
            "softsign" => plain("Softsign"),
            "exponential" => plain("Exp"),
            "elu" => ("Elu", vec![float("alpha", 1.0)]),
            "selu" => plain("Selu"),
            "mish" => plain("Mish"),
            "softmax" => ("Softmax", vec![int("axis", -1)]),
            "log_softmax" => ("LogSoftmax", vec![int("axis", -1)]),
            "gelu" => plain("Gelu"),
            "leaky_relu" => ("LeakyRelu", vec![float("alpha", 0.2)]),
            "hard_sigmoid" => ("HardSigmoid", vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)]),
            "relu6" => return Some(self.clipped(label, x, 0.0, 6.0)),
            "silu" | "swish" => {
                let gate = self.op("Sigmoid", label, &[x], vec![]);
                return Some(self.op("Mul", label, &[x, &gate], vec![]));
            }
            "hard_silu" | "hard_swish" => plain("HardSwish"),
            _ => return None,
        };
        Some(self.op(kind, label, &[x], attributes))
    }

    pub(super) fn clipped(&mut self, label: &str, x: &Val, low: f32, high: f32) -> Val {
        let (low, high) =
            (self.number(&format!("{label}/low"), low), self.number(&format!("{label}/high"), high));
        self.op("Clip", label, &[x, &low, &high], vec![])
    }
}

fn window_of(window: &Window, axes: usize, label: &str) -> Result<Vec<AttributeProto>, ModelError> {
    let most = |list: &[usize]| list.len() != axes || list.iter().any(|&step| step == 0 || step > 1 << 16);
    if most(&window.strides) || most(&window.dilations) {
        return Err(invalid(format!("`{label}`"), "its strides or dilations are no steps of its picture"));
    }
    let mut attributes = vec![sizes("strides", &window.strides), sizes("dilations", &window.dilations)];
    match &window.padding {
        Padding::Same => attributes.push(word("auto_pad", "SAME_UPPER")),
        Padding::Valid => attributes.push(word("auto_pad", "VALID")),
        Padding::Told(pads) => {
            let ends = pads.iter().map(|pad| pad.0).chain(pads.iter().map(|pad| pad.1));
            attributes.push(sizes("pads", &ends.collect::<Vec<_>>()));
        }
    }
    Ok(attributes)
}
