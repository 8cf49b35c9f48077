//! The operators of TensorFlow Lite.
//!
//! Long because every operator has its line here.

use mantlet_formats::onnx::schema::DataType;

use super::{Op, Reader};
use crate::ModelError;
use crate::foreign::invalid;
use crate::foreign::layers::{Padding, Taken, Window};
use crate::foreign::numbers::{float, int, ints};
use crate::foreign::sketch::Val;

impl Op {
    fn whole(&self, index: usize) -> Option<Vec<i64>> {
        self.reads.get(index)?.as_ref()?.numbers.as_ref()?.whole()
    }

    fn rank(&self, index: usize) -> usize {
        self.from.get(index).and_then(Option::as_ref).map_or(0, |tensor| tensor.shape.len())
    }

    fn is_float(&self) -> bool {
        let first = self.from.first().and_then(Option::as_ref);
        first.is_some_and(|tensor| matches!(tensor.kind, Some(DataType::Float | DataType::Double)))
    }
}

/// Operators that are one of ONNX, with two operands or one.
fn plain(code: u64) -> Option<(&'static str, usize)> {
    Some(match code {
        8 => ("Floor", 1),
        14 => ("Sigmoid", 1),
        19 => ("Relu", 1),
        28 => ("Tanh", 1),
        47 => ("Exp", 1),
        54 => ("PRelu", 2),
        55 => ("Max", 2),
        57 => ("Min", 2),
        58 => ("Less", 2),
        59 => ("Neg", 1),
        61 => ("Greater", 2),
        62 => ("GreaterOrEqual", 2),
        63 => ("LessOrEqual", 2),
        66 => ("Sin", 1),
        71 => ("Equal", 2),
        73 => ("Log", 1),
        75 => ("Sqrt", 1),
        78 => ("Pow", 2),
        84 => ("Or", 2),
        86 => ("And", 2),
        87 => ("Not", 1),
        101 => ("Abs", 1),
        104 => ("Ceil", 1),
        108 => ("Cos", 1),
        111 => ("Elu", 1),
        116 => ("Round", 1),
        117 => ("HardSwish", 1),
        158 => ("Sign", 1),
        _ => return None,
    })
}

impl Reader {
    /// The values of an operator.
    pub(super) fn operator(&mut self, op: &Op, depth: u8) -> Result<Vec<Val>, ModelError> {
        let label = op.label.as_str();
        let broken = |reason: &str| invalid(format!("`{label}` (operator {})", op.code), reason);
        let operand = |index: usize| {
            let value = op.reads.get(index).and_then(Option::as_ref);
            value.ok_or_else(|| broken(&format!("operand {index} is not there")))
        };
        let option = |index: usize, width: usize, none: u64| {
            op.options.map_or(none, |table| self.flat.value(table, index, width, none))
        };
        let known =
            |list: Option<Vec<i64>>| list.ok_or_else(|| broken("what is computed has to be constant"));
        if let Some((kind, count)) = plain(op.code) {
            let mut reads = vec![operand(0)?];
            if count > 1 {
                reads.push(operand(1)?);
            }
            return Ok(vec![self.sketch.op(kind, label, &reads, vec![])]);
        }
        let value = match op.code {
            // Sums and the like, with what bends them.
            0 | 18 | 41 | 42 => {
                let kind = match op.code {
                    0 => "Add",
                    18 => "Mul",
                    41 => "Sub",
                    _ => "Div",
                };
                let bend = option(0, 1, 0);
                let y = self.sketch.op(kind, label, &[operand(0)?, operand(1)?], vec![]);
                self.fused(label, y, bend)
            }
            1 | 17 => {
                let size = [option(4, 4, 0) as usize, option(3, 4, 0) as usize];
                let strides = vec![option(2, 4, 0) as usize, option(1, 4, 0) as usize];
                let (padding, bend) = (padding(option(0, 1, 0)), option(5, 1, 0));
                let window = Window { strides, dilations: vec![1; 2], padding };
                let y = self.sketch.pool(label, operand(0)?, op.code == 17, &size, &window)?;
                self.fused(label, y, bend)
            }
            2 => {
                let (axis, bend) =
                    (op.options.map_or(0, |table| self.flat.signed(table, 0)), option(1, 1, 0));
                let reads: Vec<&Val> = op.reads.iter().flatten().collect();
                let y = self.sketch.op("Concat", label, &reads, vec![int("axis", axis)]);
                self.fused(label, y, bend)
            }
            3 | 4 => return self.convolution(op).map(|value| vec![value]),
            6 => operand(0)?.clone(),
            9 => return self.dense(op).map(|value| vec![value]),
            20 => self.sketch.clipped(label, operand(0)?, -1.0, 1.0),
            21 => self.sketch.clipped(label, operand(0)?, 0.0, 6.0),
            22 => {
                let shape = match op.reads.get(1).and_then(Option::as_ref) {
                    Some(shape) => shape.clone(),
                    None => {
                        let shape = op.options.and_then(|table| self.flat.numbers(table, 0));
                        self.sketch.list(&format!("{label}/shape"), &known(shape)?)
                    }
                };
                self.sketch.op("Reshape", label, &[operand(0)?, &shape], vec![int("allowzero", 1)])
            }
            25 => {
                let beta = op.options.and_then(|table| self.flat.float(table, 0)).unwrap_or(1.0);
                let factor = self.sketch.number(&format!("{label}/beta"), beta);
                let x = if beta == 1.0 {
                    operand(0)?.clone()
                } else {
                    self.sketch.op("Mul", label, &[operand(0)?, &factor], vec![])
                };
                self.sketch.op("Softmax", label, &[&x], vec![int("axis", -1)])
            }
            50 => self.sketch.op("LogSoftmax", label, &[operand(0)?], vec![int("axis", -1)]),
            34 | 60 | 100 => {
                let pads = known(op.whole(1))?;
                let order: Vec<i64> =
                    pads.iter().step_by(2).chain(pads.iter().skip(1).step_by(2)).copied().collect();
                let mirrored = op.code == 100;
                let pads = self.sketch.list(&format!("{label}/pads"), &order);
                let mut reads = vec![operand(0)?, &pads];
                if op.code == 60 {
                    reads.push(operand(2)?);
                }
                if mirrored && option(0, 1, 0) != 0 {
                    self.sketch.unknown("MIRROR_PAD that repeats the edge")
                } else {
                    let mode = if mirrored { "reflect" } else { "constant" };
                    let mode = crate::foreign::numbers::word("mode", mode);
                    self.sketch.op("Pad", label, &reads, vec![mode])
                }
            }
            36 if option(1, 4, 0) == 0 => {
                let axis = op.options.map_or(0, |table| self.flat.signed(table, 0));
                self.sketch.op("Gather", label, &[operand(0)?, operand(1)?], vec![int("axis", axis)])
            }
            37 | 38 => {
                let (blocks, margins) = (known(op.whole(1))?, known(op.whole(2))?);
                let made = match op.code {
                    38 => self.sketch.space_to_batch(label, operand(0)?, &blocks, &margins),
                    _ => self.sketch.batch_to_space(label, operand(0)?, &blocks, &margins),
                };
                made.ok_or_else(|| broken("its blocks and margins do not fit"))?
            }
            39 => {
                let perm = known(op.whole(1))?;
                self.sketch.op("Transpose", label, &[operand(0)?], vec![ints("perm", &perm)])
            }
            40 | 74 | 81 | 82 | 89 | 91 | 140 => {
                let axes = known(op.whole(1))?;
                let keep = option(0, 1, 0) != 0;
                match op.code {
                    91 | 140 => self.sketch.quantified(op.code == 140, label, operand(0)?, Some(&axes), keep),
                    code => {
                        let kind = match code {
                            40 => "ReduceMean",
                            74 => "ReduceSum",
                            81 => "ReduceProd",
                            82 => "ReduceMax",
                            _ => "ReduceMin",
                        };
                        match op.from.first().and_then(Option::as_ref).and_then(|tensor| tensor.kind) {
                            Some(own @ (DataType::Int32 | DataType::Int64)) => {
                                self.sketch.reduce_whole(kind, label, operand(0)?, &axes, (keep, own))
                            }
                            _ => self.sketch.reduce(kind, label, operand(0)?, Some(&axes), keep),
                        }
                    }
                }
            }
            43 => {
                let axes = op.options.and_then(|table| self.flat.numbers(table, 0)).unwrap_or_default();
                let attributes = if axes.is_empty() { vec![] } else { vec![ints("axes", &axes)] };
                self.sketch.op("Squeeze", label, &[operand(0)?], attributes)
            }
            45 => {
                let masks = [0, 1, 2, 3, 4].map(|index| option(index, 4, 0));
                if option(5, 1, 0) != 0 {
                    return Ok(vec![self.sketch.unknown("STRIDED_SLICE by lengths")]);
                }
                let [begin, end, strides] = [1, 2, 3].map(|index| known(op.whole(index)));
                let taken = Taken { begin: begin?, end: end?, strides: strides?, masks };
                self.sketch.taken(label, operand(0)?, &taken)?
            }
            49 | 102 => {
                let (x, axis, sizes) =
                    if op.code == 49 { (1, op.whole(0), None) } else { (0, op.whole(2), op.whole(1)) };
                let Some([axis]) = axis.as_deref() else { return Err(broken("its axis has to be constant")) };
                let mut attributes = vec![int("axis", *axis)];
                if op.code == 102 {
                    attributes.push(ints("split", &known(sizes)?));
                }
                return Ok(self.sketch.many("Split", label, &[operand(x)?], attributes, op.to.len()));
            }
            53 => match op.to.first().and_then(|tensor| tensor.kind) {
                Some(kind @ (DataType::Float | DataType::Int32 | DataType::Int64 | DataType::Bool)) => {
                    self.sketch.cast(label, operand(0)?, kind)
                }
                _ => self.sketch.unknown("CAST to small numbers"),
            },
            56 | 79 => {
                let axis =
                    known(op.whole(1))?.first().copied().ok_or_else(|| broken("its axis is not there"))?;
                let kind = if op.code == 56 { "ArgMax" } else { "ArgMin" };
                let attributes = vec![int("axis", axis), int("keepdims", 0)];
                let place = self.sketch.op(kind, label, &[operand(0)?], attributes);
                let to = op.to.first().and_then(|tensor| tensor.kind).unwrap_or(DataType::Int64);
                self.sketch.cast(label, &place, to)
            }
            // A condition of one axis chooses whole rows.
            64 | 123 => {
                let mut condition = operand(0)?.clone();
                let rank = op.rank(1).min(8) as i64;
                if op.code == 64 && op.rank(0) == 1 && rank > 1 {
                    let axes: Vec<i64> = (1..rank).collect();
                    condition = self.sketch.op("Unsqueeze", label, &[&condition], vec![ints("axes", &axes)]);
                }
                self.sketch.op("Where", label, &[&condition, operand(1)?, operand(2)?], vec![])
            }
            65 => {
                let (begin, size) = (known(op.whole(1))?, known(op.whole(2))?);
                self.sketch.cut(label, operand(0)?, &begin, &size)?
            }
            69 => {
                let times = self.sketch.cast(label, operand(1)?, DataType::Int64);
                self.sketch.op("Tile", label, &[operand(0)?, &times], vec![])
            }
            70 => {
                let axis = known(op.whole(1))?;
                self.sketch.op("Unsqueeze", label, &[operand(0)?], vec![ints("axes", &axis)])
            }
            72 => {
                let same = self.sketch.op("Equal", label, &[operand(0)?, operand(1)?], vec![]);
                self.sketch.op("Not", label, &[&same], vec![])
            }
            76 => {
                let root = self.sketch.op("Sqrt", label, &[operand(0)?], vec![]);
                self.sketch.op("Reciprocal", label, &[&root], vec![])
            }
            77 => {
                let shape = self.sketch.op("Shape", label, &[operand(0)?], vec![]);
                let to = op.to.first().and_then(|tensor| tensor.kind).unwrap_or(DataType::Int32);
                self.sketch.cast(label, &shape, to)
            }
            83 => {
                let axis = op.options.map_or(0, |table| self.flat.signed(table, 1));
                let reads: Vec<Val> = op.reads.iter().flatten().cloned().collect();
                self.sketch.stacked(label, &reads, axis)
            }
            88 => {
                let axis = op.options.map_or(0, |table| self.flat.signed(table, 1));
                return Ok(self.sketch.unstacked(label, operand(0)?, axis, op.to.len()));
            }
            90 if op.is_float() => {
                let times = self.sketch.op("Div", label, &[operand(0)?, operand(1)?], vec![]);
                self.sketch.op("Floor", label, &[&times], vec![])
            }
            92 => self.sketch.op("Mul", label, &[operand(0)?, operand(0)?], vec![]),
            94 => {
                let shape = self.sketch.cast(label, operand(0)?, DataType::Int64);
                self.sketch.op("Expand", label, &[operand(1)?, &shape], vec![])
            }
            95 if op.is_float() => self.sketch.modulo(label, operand(0)?, operand(1)?),
            95 => self.sketch.op("Mod", label, &[operand(0)?, operand(1)?], vec![]),
            98 => {
                let alpha = op.options.and_then(|table| self.flat.float(table, 0)).unwrap_or(0.0);
                self.sketch.op("LeakyRelu", label, &[operand(0)?], vec![float("alpha", alpha)])
            }
            99 => {
                let apart = self.sketch.op("Sub", label, &[operand(0)?, operand(1)?], vec![]);
                self.sketch.op("Mul", label, &[&apart, &apart], vec![])
            }
            106 => self.sketch.op("Sum", label, &op.reads.iter().flatten().collect::<Vec<_>>(), vec![]),
            118 => return self.choice(op, depth),
            126 if option(0, 1, 0) == 0 => self.product(op, option(1, 1, 0) != 0)?,
            130 => {
                let shape = self.sketch.cast(label, operand(1)?, DataType::Int64);
                self.sketch.op("Expand", label, &[operand(0)?, &shape], vec![])
            }
            150 if option(0, 1, 0) == 0 => self.sketch.op("Gelu", label, &[operand(0)?], vec![]),
            code => self.sketch.unknown(&format!("TensorFlow Lite operator {code}")),
        };
        Ok(vec![value])
    }

    /// The function that is fused into an operator.
    fn fused(&mut self, label: &str, x: Val, bend: u64) -> Val {
        match bend {
            0 => x,
            1 => self.sketch.op("Relu", label, &[&x], vec![]),
            2 => self.sketch.clipped(label, &x, -1.0, 1.0),
            3 => self.sketch.clipped(label, &x, 0.0, 6.0),
            4 => self.sketch.op("Tanh", label, &[&x], vec![]),
            other => self.sketch.unknown(&format!("fused activation {other}")),
        }
    }

    fn convolution(&mut self, op: &Op) -> Result<Val, ModelError> {
        let label = op.label.as_str();
        let broken =
            || invalid(format!("`{label}`"), "a convolution takes a picture, a kernel and its strides");
        let part = |index: usize| op.reads.get(index).and_then(Option::as_ref);
        let (x, kernel) = part(0).zip(part(1)).ok_or_else(broken)?;
        let options = op.options.ok_or_else(broken)?;
        let each = op.code == 4;
        let (bend, dilation) = if each { (4, 5) } else { (3, 4) };
        let size = |index: usize, none: u64| self.flat.value(options, index, 4, none) as usize;
        let window = Window {
            strides: vec![size(2, 0), size(1, 0)],
            dilations: vec![size(dilation + 1, 1), size(dilation, 1)],
            padding: padding(self.flat.value(options, 0, 1, 0)),
        };
        let bend = self.flat.value(options, bend, 1, 0);
        let Some(numbers) = &kernel.numbers else {
            return Ok(self.sketch.unknown("a convolution whose kernel is computed"));
        };
        // Kernels are kept as [out, height, width, in], and of one channel each as [1, height, width, out].
        self.sketch.spend(numbers.raw.len())?;
        let (perm, groups) = if each {
            (vec![1, 2, 3, 0], 0)
        } else {
            let into = *numbers.dims.last().filter(|_| numbers.dims.len() == 4).ok_or_else(broken)?;
            let channels = op.from.first().and_then(Option::as_ref).and_then(|tensor| tensor.shape.last());
            let channels =
                channels.and_then(|&channels| usize::try_from(channels).ok()).ok_or_else(broken)?;
            (vec![1, 2, 3, 0], channels.checked_div(into).filter(|&groups| groups > 0).unwrap_or(1))
        };
        let mut turned = numbers.turned(&perm).ok_or_else(broken)?;
        if each {
            let [height, width, out, _] = turned.dims[..] else { return Err(broken()) };
            let times = (size(3, 0)).max(1);
            let channels =
                out.checked_div(times).filter(|channels| channels * times == out).ok_or_else(broken)?;
            turned = turned.shaped(vec![height, width, channels, times]).ok_or_else(broken)?;
        }
        let kernel = self.sketch.constant(&format!("{label}/weights"), turned);
        let mut y = self.sketch.conv(label, x, &kernel, &window, (groups, each))?;
        if let Some(bias) = part(2) {
            y = self.sketch.op("Add", label, &[&y, bias], vec![]);
        }
        Ok(self.fused(label, y, bend))
    }

    /// A full layer: weights are `[out, in]`, and axes before the last are one unless they are to be kept.
    fn dense(&mut self, op: &Op) -> Result<Val, ModelError> {
        let label = op.label.as_str();
        let broken = || invalid(format!("`{label}`"), "a full layer takes rows and a matrix of weights");
        let part = |index: usize| op.reads.get(index).and_then(Option::as_ref);
        let (x, weights) = part(0).zip(part(1)).ok_or_else(broken)?;
        let option = |index: usize| op.options.map_or(0, |options| self.flat.value(options, index, 1, 0));
        let (bend, format, keep) = (option(0), option(1), option(2) != 0);
        let Some(numbers) = weights.numbers.clone().filter(|_| format == 0) else {
            return Ok(self.sketch.unknown("a full layer whose weights are computed or shuffled"));
        };
        let [_, into] = numbers.dims[..] else { return Err(broken()) };
        let mut y = if keep && op.rank(0) > 2 {
            self.sketch.spend(numbers.raw.len())?;
            let turned = self.sketch.made(&format!("{label}/weights"), numbers.turned(&[1, 0]))?;
            self.sketch.op("MatMul", label, &[x, &turned], vec![])
        } else {
            let flat = self.sketch.list(&format!("{label}/rows"), &[-1, i64::try_from(into).unwrap_or(-1)]);
            let x = if op.rank(0) == 2 {
                x.clone()
            } else {
                self.sketch.op("Reshape", label, &[x, &flat], vec![])
            };
            self.sketch.op("Gemm", label, &[&x, weights], vec![int("transB", 1)])
        };
        if let Some(bias) = part(2) {
            y = self.sketch.op("Add", label, &[&y, bias], vec![]);
        }
        Ok(self.fused(label, y, bend))
    }

    fn product(&mut self, op: &Op, turned: bool) -> Result<Val, ModelError> {
        let label = op.label.as_str();
        let broken = || invalid(format!("`{label}`"), "a product takes two matrices");
        let part = |index: usize| op.reads.get(index).and_then(Option::as_ref);
        let (x, y) = part(0).zip(part(1)).ok_or_else(broken)?;
        let mut y = y.clone();
        if turned {
            let rank = op.rank(1).min(8) as i64;
            if rank < 2 {
                return Err(broken());
            }
            let perm: Vec<i64> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
            y = self.sketch.op("Transpose", label, &[&y], vec![ints("perm", &perm)]);
        }
        Ok(self.sketch.op("MatMul", label, &[x, &y], vec![]))
    }

    /// One of two graphs: both are laid out, and the condition chooses among what they give.
    fn choice(&mut self, op: &Op, depth: u8) -> Result<Vec<Val>, ModelError> {
        let label = op.label.as_str();
        let broken = || invalid(format!("`{label}`"), "a branch takes a condition and two graphs");
        let given: Vec<Val> = op.reads.iter().flatten().cloned().collect();
        let (condition, given) = given.split_first().ok_or_else(broken)?;
        let options = op.options.ok_or_else(broken)?;
        let index = |index: usize| usize::try_from(self.flat.signed(options, index)).ok();
        let (one, other) = index(0).zip(index(1)).ok_or_else(broken)?;
        let yes = self.graph(one, Some(given), depth + 1)?;
        let no = self.graph(other, Some(given), depth + 1)?;
        let both = yes.into_iter().zip(no);
        Ok(both.map(|((_, yes), (_, no))| self.sketch.branch(label, condition, &yes, &no)).collect())
    }
}

fn padding(code: u64) -> Padding {
    if code == 0 { Padding::Same } else { Padding::Valid }
}
