//! Quantisation: values are rounded to a grid and back. Gradients pass straight through within the grid's range
//! (Bengio and others 2013), as quantisation-aware training takes them: the true slope is zero almost everywhere
//! and would hide the model.

use mantlet_vocab::{Tensor, Value};

use super::{Edge, Gradients, Inputs, Operator, Pass, around, axis};
use crate::Dtype;
use crate::run::{Fail, Run};
use crate::values::{dtype, like, require_float, singles};

/// `QuantizeLinear`, `DequantizeLinear` and `DynamicQuantizeLinear`.
pub(super) enum Quantise {
    /// To the grid, with this axis when scales are one a channel.
    To(i64),
    /// And back.
    From(i64),
    /// To unsigned bytes with a scale taken from the values.
    Dynamic,
}

/// One scale and zero point for all, or one for each place of an axis.
struct Grid {
    scale: Vec<f32>,
    zero: Vec<f32>,
    /// Values that follow each other with one scale.
    inner: usize,
}

impl Grid {
    fn new(inputs: Inputs<'_>, along: i64) -> Result<Self, Fail> {
        let shape = inputs.get(0)?.shape();
        let scale = singles(inputs.get(1)?)?.to_vec();
        let zero = match inputs.opt(2) {
            Some(value) => singles(value)?.to_vec(),
            None => vec![0.0; scale.len()],
        };
        if zero.len() != scale.len() || scale.iter().any(|scale| scale.is_nan() || *scale <= 0.0) {
            return Err("scales must be positive, one a zero point".into());
        }
        let inner = if scale.len() == 1 {
            usize::MAX
        } else {
            let (_, length, inner) = around(shape, axis(along, shape.len())?);
            if length != scale.len() {
                return Err(format!("{} scales for {length} values", scale.len()).into());
            }
            inner
        };
        Ok(Self { scale, zero, inner })
    }

    fn at(&self, index: usize) -> (f32, f32) {
        let place = index / self.inner % self.scale.len();
        (self.scale[place], self.zero[place])
    }
}

/// The range of the grid's numbers: signed bytes are held as whole numbers of 32 bits.
fn range(inputs: Inputs<'_>) -> (f32, f32) {
    match inputs.opt(2).map(dtype) {
        None | Some(Dtype::U8) => (0.0, 255.0),
        Some(_) => (-128.0, 127.0),
    }
}

/// Scale and zero point of unsigned bytes for these values, zero included (ONNX `DynamicQuantizeLinear`).
fn dynamic(x: &[f32]) -> (f32, f32) {
    let high = x.iter().copied().fold(0.0, f32::max);
    let low = x.iter().copied().fold(0.0, f32::min);
    let scale = (high - low) / 255.0;
    let zero = if scale > 0.0 { (-low / scale).clamp(0.0, 255.0).round_ties_even() } else { 0.0 };
    (scale, zero)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range of a byte")]
fn bytes(values: impl Iterator<Item = f32>) -> Vec<u8> {
    values.map(|value| value as u8).collect()
}

impl Operator for Quantise {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let shape = value.shape();
        run.room(crate::values::len(value), 8)?;
        let x = singles(value)?;
        Ok(match self {
            // The grid's numbers are kept as floats, which hold them exactly, so that gradients can pass.
            Self::To(along) => {
                require_float(value)?;
                let (grid, (low, high)) = (Grid::new(inputs, *along)?, range(inputs));
                let round = |(index, value): (usize, &f32)| {
                    let (scale, zero) = grid.at(index);
                    ((value / scale).round_ties_even() + zero).clamp(low, high)
                };
                vec![Value::F32(Tensor::new(shape, x.iter().enumerate().map(round).collect())?)]
            }
            Self::From(along) => {
                let grid = Grid::new(inputs, *along)?;
                let back = |(index, value): (usize, &f32)| {
                    let (scale, zero) = grid.at(index);
                    (value - zero) * scale
                };
                vec![like(inputs.get(1)?, Tensor::new(shape, x.iter().enumerate().map(back).collect())?)?]
            }
            Self::Dynamic => {
                require_float(value)?;
                let (scale, zero) = dynamic(&x);
                let divisor = if scale > 0.0 { scale } else { 1.0 };
                let round = |value: &f32| ((value / divisor).round_ties_even() + zero).clamp(0.0, 255.0);
                let scalar = Vec::<usize>::new;
                vec![
                    Value::F32(Tensor::new(shape, x.iter().map(round).collect())?),
                    Value::F32(Tensor::new(scalar(), vec![scale])?),
                    Value::U8(Tensor::new(scalar(), bytes(std::iter::once(zero)))?),
                ]
            }
        })
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blind }
    }

    fn backward(&self, _: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let x = singles(pass.inputs.get(0)?)?;
        let slots = gradient.data_mut().iter_mut().zip(&*x);
        match self {
            Self::To(along) => {
                let (grid, (low, high)) = (Grid::new(pass.inputs, *along)?, range(pass.inputs));
                for (index, (slot, value)) in slots.enumerate() {
                    let (scale, zero) = grid.at(index);
                    let inside = (low..=high).contains(&((value / scale).round_ties_even() + zero));
                    *slot = if inside { *slot / scale } else { 0.0 };
                }
            }
            Self::From(along) => {
                let grid = Grid::new(pass.inputs, *along)?;
                for (index, (slot, _)) in slots.enumerate() {
                    *slot *= grid.at(index).0;
                }
            }
            Self::Dynamic => {
                let (scale, _) = dynamic(&x);
                for (slot, _) in slots {
                    *slot = if scale > 0.0 { *slot / scale } else { 0.0 };
                }
            }
        }
        Ok(vec![Some(gradient)])
    }
}

/// Products of quantised matrices and images: `MatMulInteger` and `ConvInteger`, which take their zero points off
/// first. The numbers are held as floats, which hold sums of bytes exactly up to 2^24.
pub(super) struct Integers<O>(pub(super) O);

impl<O: Operator> Integers<O> {
    /// The operands less their zero points.
    fn centred(inputs: Inputs<'_>) -> Result<[Value; 2], Fail> {
        let centre = |index: usize| -> Result<Value, Fail> {
            let value = inputs.get(index)?;
            let mut data = singles(value)?.to_vec();
            if let Some(zero) = inputs.opt(index + 2) {
                let &[zero] = &singles(zero)?[..] else {
                    return Err("one zero point a matrix is supported".into());
                };
                data.iter_mut().for_each(|value| *value -= zero);
            }
            Ok(Value::F32(Tensor::new(value.shape(), data)?))
        };
        Ok([centre(0)?, centre(1)?])
    }
}

impl<O: Operator> Operator for Integers<O> {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        memo: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let [a, b] = Self::centred(inputs)?;
        self.0.forward(run, Inputs(&[Some(&a), Some(&b)]), memo)
    }

    fn edge(&self, index: usize) -> Edge {
        match index {
            0 => Edge::Smooth,
            1 => Edge::Blocked,
            _ => Edge::Blind,
        }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let [a, b] = Self::centred(pass.inputs)?;
        let inputs = [Some(&a), Some(&b)];
        let wants = [pass.wants(0), false];
        let own = Pass { inputs: Inputs(&inputs), outputs: pass.outputs, memo: pass.memo, wants: &wants };
        self.0.backward(run, &own, gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::run::Pool;

    #[test]
    fn gradients_pass_straight_within_the_range_and_not_beyond() {
        let mut run = Run::new(Limits::default(), Pool::default());
        let tensor = |data: Vec<f32>| Value::F32(Tensor::new([data.len()], data).unwrap());
        let (x, scale) = (tensor(vec![0.31, 100.0, -3.0, 1.0]), tensor(vec![0.1]));
        let inputs = [Some(&x), Some(&scale)];
        let to = Quantise::To(1);
        let out = to.forward(&mut run, Inputs(&inputs), None).unwrap();
        assert_eq!(singles(&out[0]).unwrap()[..], [3.0, 255.0, 0.0, 10.0]);
        let outputs = [Some(&out[0])];
        let pass = Pass { inputs: Inputs(&inputs), outputs: &outputs, memo: &[], wants: &[true] };
        let gradient = to.backward(&mut run, &pass, Tensor::full([4], 1.0)).unwrap();
        assert_eq!(gradient[0].as_ref().unwrap().data(), [10.0, 0.0, 0.0, 10.0]);
    }
}
