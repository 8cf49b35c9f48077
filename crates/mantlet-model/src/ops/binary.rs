//! Arithmetic of two tensors that are broadcast to each other.

use mantlet_vocab::{Tensor, Value};

use super::broadcast::{Broadcast, reduce_to};
use super::{Edge, Gradients, Inputs, Operator, Pass};
use crate::run::{Fail, Run};
use crate::side::{Given, Side};
use crate::values::{self, dtype, len};

/// Which operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Max,
    Min,
    /// Slope for negative values.
    PRelu,
    /// Remainder with the sign of the dividend (`true`) or of the divisor.
    Mod(bool),
}

use Arithmetic::{Add, Div, Max, Min, Mod, Mul, PRelu, Pow, Sub};

/// Two operands; `Max`, `Min`, `Add` (`Sum`) and `Mean` take any number.
pub(super) struct Binary {
    pub(super) operation: Arithmetic,
    /// Whether the sum is divided by the number of operands (`Mean`).
    pub(super) mean: bool,
}

macro_rules! float_apply {
    ($operation:expr, $plan:expr, $a:expr, $b:expr, $out:expr, $t:ty) => {
        match $operation {
            Add => $plan.map($a, $b, $out, |a, b| a + b),
            Sub => $plan.map($a, $b, $out, |a, b| a - b),
            Mul => $plan.map($a, $b, $out, |a, b| a * b),
            Div => $plan.map($a, $b, $out, |a, b| a / b),
            Pow => $plan.map($a, $b, $out, |a, b| if *b == 2.0 { a * a } else { a.powf(*b) }),
            Max => $plan.map($a, $b, $out, |a, b| if *b > *a || b.is_nan() { *b } else { *a }),
            Min => $plan.map($a, $b, $out, |a, b| if *b < *a || b.is_nan() { *b } else { *a }),
            PRelu => $plan.map($a, $b, $out, |a, b| if *a < 0.0 { a * b } else { *a }),
            Mod(true) => $plan.map($a, $b, $out, |a, b| a % b),
            Mod(false) => $plan.map($a, $b, $out, |a, b| a - b * (a / b).floor()),
        }
    };
}

macro_rules! whole_apply {
    ($operation:expr, $plan:expr, $a:expr, $b:expr, $out:expr, $t:ty) => {
        match $operation {
            Add => $plan.map($a, $b, $out, |a: &$t, b: &$t| a.wrapping_add(*b)),
            Sub => $plan.map($a, $b, $out, |a: &$t, b: &$t| a.wrapping_sub(*b)),
            Mul => $plan.map($a, $b, $out, |a: &$t, b: &$t| a.wrapping_mul(*b)),
            Max => $plan.map($a, $b, $out, |a: &$t, b: &$t| *a.max(b)),
            Min => $plan.map($a, $b, $out, |a: &$t, b: &$t| *a.min(b)),
            Pow => $plan.map($a, $b, $out, |a: &$t, b: &$t| {
                a.wrapping_pow(u32::try_from(*b).unwrap_or(if *b < 0 { 0 } else { u32::MAX }))
            }),
            PRelu => $plan.map($a, $b, $out, |a: &$t, b: &$t| if *a < 0 { a.wrapping_mul(*b) } else { *a }),
            Div | Mod(_) => {
                if $b.contains(&0) {
                    return Err("division of whole numbers by zero".into());
                }
                match $operation {
                    Div => $plan.map($a, $b, $out, |a: &$t, b: &$t| a.wrapping_div(*b)),
                    Mod(true) => $plan.map($a, $b, $out, |a: &$t, b: &$t| a.wrapping_rem(*b)),
                    _ => $plan.map($a, $b, $out, |a: &$t, b: &$t| {
                        let rest = a.wrapping_rem(*b);
                        if rest != 0 && (rest < 0) != (*b < 0) { rest.wrapping_add(*b) } else { rest }
                    }),
                }
            }
        }
    };
}

impl Binary {
    pub(super) fn new(operation: Arithmetic) -> Self {
        Self { operation, mean: false }
    }

    fn pair(&self, run: &mut Run, a: &Value, b: &Value) -> Result<Value, Fail> {
        let plan = Broadcast::new(a.shape(), b.shape())?;
        let op = self.operation;
        Ok(match (a, b) {
            (Value::F32(a), Value::F32(b)) => {
                let mut out = run.floats(plan.len)?;
                out.clear();
                float_apply!(op, plan, a.data(), b.data(), &mut out, f32);
                Value::F32(Tensor::new(plan.shape, out)?)
            }
            (Value::F64(a), Value::F64(b)) => {
                run.room(plan.len, 8)?;
                let mut out = Vec::with_capacity(plan.len);
                float_apply!(op, plan, a.data(), b.data(), &mut out, f64);
                Value::F64(Tensor::new(plan.shape, out)?)
            }
            (Value::I64(a), Value::I64(b)) => {
                run.room(plan.len, 8)?;
                let mut out = Vec::with_capacity(plan.len);
                whole_apply!(op, plan, a.data(), b.data(), &mut out, i64);
                Value::I64(Tensor::new(plan.shape, out)?)
            }
            (Value::I32(a), Value::I32(b)) => {
                run.room(plan.len, 4)?;
                let mut out = Vec::with_capacity(plan.len);
                whole_apply!(op, plan, a.data(), b.data(), &mut out, i32);
                Value::I32(Tensor::new(plan.shape, out)?)
            }
            (Value::U8(a), Value::U8(b)) if op != PRelu => {
                let wide = |t: &Tensor<u8>| t.data().iter().map(|&v| i32::from(v)).collect::<Vec<_>>();
                run.room(plan.len, 9)?;
                let (a, b) = (wide(a), wide(b));
                let mut out = Vec::with_capacity(plan.len);
                whole_apply!(op, plan, &a, &b, &mut out, i32);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes wrap")]
                let data = out.into_iter().map(|v: i32| v as u8).collect();
                Value::U8(Tensor::new(plan.shape, data)?)
            }
            // `Pow` alone may mix types: the exponent takes the type of the base.
            (Value::F32(_) | Value::F64(_), b) if op == Pow && !matches!(b, Value::Text(_)) => {
                let exponent = Tensor::new(b.shape(), values::singles(b)?.into_owned())?;
                let exponent = values::like(a, exponent)?;
                return self.pair(run, a, &exponent);
            }
            (a, b) => return Err(format!("not defined for {} and {}", dtype(a), dtype(b)).into()),
        })
    }

    /// The gradient of operand `own`, before it is summed to the operand's shape.
    fn slope(
        &self,
        run: &mut Run,
        own: usize,
        a: &Value,
        b: &Value,
        gradient: &Tensor,
    ) -> Result<Tensor, Fail> {
        let plan = Broadcast::new(a.shape(), b.shape())?;
        let (a, b) = (values::singles(a)?, values::singles(b)?);
        let mut out = run.floats(plan.len)?;
        out.clear();
        let (a, b, out_ref) = (&*a, &*b, &mut out);
        match (self.operation, own) {
            (Add, _) | (Sub, 0) => out_ref.resize(plan.len, 1.0),
            (Sub, _) => out_ref.resize(plan.len, -1.0),
            (Mul, 0) => plan.map(a, b, out_ref, |_, b| *b),
            (Mul, _) => plan.map(a, b, out_ref, |a, _| *a),
            (Div, 0) => plan.map(a, b, out_ref, |_, b| 1.0 / b),
            (Div, _) => plan.map(a, b, out_ref, |a, b| -a / (b * b)),
            (Pow, 0) => plan.map(a, b, out_ref, |a, b| match *b {
                2.0 => 2.0 * a,
                0.0 => 0.0,
                b => b * a.powf(b - 1.0),
            }),
            (Pow, _) => plan.map(a, b, out_ref, |a, b| if *a > 0.0 { a.powf(*b) * a.ln() } else { 0.0 }),
            (Max, 0) => plan.map(a, b, out_ref, |a, b| if *b > *a { 0.0 } else { 1.0 }),
            (Max, _) => plan.map(a, b, out_ref, |a, b| if *b > *a { 1.0 } else { 0.0 }),
            (Min, 0) => plan.map(a, b, out_ref, |a, b| if *b < *a { 0.0 } else { 1.0 }),
            (Min, _) => plan.map(a, b, out_ref, |a, b| if *b < *a { 1.0 } else { 0.0 }),
            (PRelu, 0) => plan.map(a, b, out_ref, |a, b| if *a > 0.0 { 1.0 } else { *b }),
            (PRelu, _) => plan.map(a, b, out_ref, |a, _| if *a < 0.0 { *a } else { 0.0 }),
            (Mod(_), _) => return Err("no gradient is defined here".into()),
        }
        for (slot, value) in out.iter_mut().zip(gradient.data()) {
            *slot *= value;
        }
        Ok(Tensor::new(plan.shape, out)?)
    }
}

impl Operator for Binary {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let first = inputs.get(0)?;
        if inputs.len() == 1 {
            run.room(values::bytes(first), 1)?;
            return Ok(vec![first.clone()]);
        }
        let mut result = self.pair(run, first, inputs.get(1)?)?;
        for index in 2..inputs.len() {
            result = self.pair(run, &result, inputs.get(index)?)?;
        }
        if let (true, Value::F32(t)) = (self.mean, &mut result) {
            #[expect(clippy::cast_precision_loss, reason = "a count of operands")]
            let share = 1.0 / inputs.len() as f32;
            t.data_mut().iter_mut().for_each(|v| *v *= share);
        } else if self.mean {
            return Err("the mean is defined for FP32".into());
        }
        Ok(vec![result])
    }

    fn edge(&self, _: usize) -> Edge {
        if matches!(self.operation, Mod(_)) { Edge::Blocked } else { Edge::Smooth }
    }

    fn side(&self, given: &[Given<'_>], out: &[usize]) -> Option<Side> {
        let &[first, second] = given else { return None };
        if self.mean {
            return None;
        }
        let (row, constant, turned) = match (first, second) {
            (Given::Row(a), Given::Row(b)) => return (self.operation == Add && a == b).then_some(Side::Sum),
            (Given::Row(row), Given::Constant(Value::F32(t))) => (row, t, false),
            (Given::Constant(Value::F32(t)), Given::Row(row)) => (row, t, true),
            _ => return None,
        };
        // The constant is the same for every row: walked along one row of the batch.
        let mut shape = vec![1];
        shape.extend_from_slice(row);
        let plan = Broadcast::new(constant.shape(), &shape).ok().filter(|plan| plan.shape == shape)?;
        let mut each = Vec::with_capacity(plan.len);
        let line = |c: f32| match (self.operation, turned) {
            (Add, _) => Some((1.0, c)),
            (Sub, false) => Some((1.0, -c)),
            (Sub, true) => Some((-1.0, c)),
            (Mul, _) => Some((c, 0.0)),
            (Div, false) => Some((1.0 / c, 0.0)),
            _ => None,
        };
        plan.map(constant.data(), &vec![0.0_f32; plan.len], &mut each, |c, _| line(*c));
        (row == out).then(|| each.into_iter().collect::<Option<Vec<_>>>())?.map(Side::Affine)
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let inputs = pass.inputs.all()?;
        if self.mean {
            #[expect(clippy::cast_precision_loss, reason = "a count of operands")]
            let share = 1.0 / inputs.len() as f32;
            gradient.data_mut().iter_mut().for_each(|v| *v *= share);
        }
        let mut wanted: Vec<usize> = (0..inputs.len()).filter(|&index| pass.wants(index)).collect();
        let mut out = vec![None; inputs.len()];
        // Sums pass the gradient as it is: no arithmetic, and no copy for the last operand.
        if self.operation == Add || (self.operation == Sub && !pass.wants(1)) {
            let last = wanted.pop();
            for index in wanted {
                let copy = run.copy(gradient.shape(), gradient.data())?;
                out[index] = Some(reduce_to(run, copy, inputs[index].shape())?);
            }
            if let Some(last) = last {
                out[last] = Some(reduce_to(run, gradient, inputs[last].shape())?);
            }
            return Ok(out);
        }
        if let [a, b] = inputs[..] {
            for index in wanted {
                let full = self.slope(run, index, a, b, &gradient)?;
                out[index] = Some(reduce_to(run, full, inputs[index].shape())?);
            }
            return Ok(out);
        }
        // Max and Min of one or many: the first operand that equals the result takes the gradient.
        let result = values::singles(pass.output(0)?)?;
        let shape = gradient.shape().to_vec();
        for (index, input) in inputs.iter().enumerate() {
            let operand = values::singles(input)?;
            let plan = Broadcast::new(input.shape(), &shape)?;
            let mut full = run.floats(len(pass.output(0)?))?;
            plan.each(|start, ia, _, length, sa, _| {
                for i in 0..length {
                    let slot = start + i;
                    if operand[ia + i * sa] == result[slot] {
                        full[slot] = std::mem::take(&mut gradient.data_mut()[slot]);
                    }
                }
            });
            let full = Tensor::new(shape.clone(), full)?;
            if pass.wants(index) {
                out[index] = Some(reduce_to(run, full, input.shape())?);
            }
        }
        Ok(out)
    }
}
