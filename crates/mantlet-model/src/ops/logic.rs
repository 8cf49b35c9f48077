//! Comparisons, truth values and choices.

use mantlet_vocab::{Tensor, Value};

use super::broadcast::{Broadcast, reduce_to};
use super::{Edge, Gradients, Inputs, Operator, Pass};
use crate::run::{Fail, Run};
use crate::values::{dtype, singles};

/// Which comparison or connective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Xor,
}

/// A relation of two tensors.
pub(super) struct Compare(pub(super) Relation);

fn hold<T: PartialOrd + PartialEq>(
    relation: Relation,
    plan: &Broadcast,
    a: &[T],
    b: &[T],
) -> Option<Vec<bool>> {
    let mut out = Vec::with_capacity(plan.len);
    match relation {
        Relation::Equal => plan.map(a, b, &mut out, |a, b| a == b),
        Relation::Less => plan.map(a, b, &mut out, |a, b| a < b),
        Relation::LessOrEqual => plan.map(a, b, &mut out, |a, b| a <= b),
        Relation::Greater => plan.map(a, b, &mut out, |a, b| a > b),
        Relation::GreaterOrEqual => plan.map(a, b, &mut out, |a, b| a >= b),
        Relation::And | Relation::Or | Relation::Xor => return None,
    }
    Some(out)
}

impl Operator for Compare {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let (a, b) = (inputs.get(0)?, inputs.get(1)?);
        let plan = Broadcast::new(a.shape(), b.shape())?;
        run.room(plan.len, 1)?;
        let data = match (a, b) {
            (Value::F32(a), Value::F32(b)) => hold(self.0, &plan, a.data(), b.data()),
            (Value::F64(a), Value::F64(b)) => hold(self.0, &plan, a.data(), b.data()),
            (Value::I64(a), Value::I64(b)) => hold(self.0, &plan, a.data(), b.data()),
            (Value::I32(a), Value::I32(b)) => hold(self.0, &plan, a.data(), b.data()),
            (Value::U8(a), Value::U8(b)) => hold(self.0, &plan, a.data(), b.data()),
            (Value::Text(a), Value::Text(b)) => hold(self.0, &plan, a.data(), b.data()),
            (Value::Bool(a), Value::Bool(b)) => {
                let (a, b) = (a.data(), b.data());
                let mut out = Vec::with_capacity(plan.len);
                match self.0 {
                    Relation::And => plan.map(a, b, &mut out, |a, b| *a && *b),
                    Relation::Or => plan.map(a, b, &mut out, |a, b| *a || *b),
                    Relation::Xor => plan.map(a, b, &mut out, |a, b| a != b),
                    other => out = hold(other, &plan, a, b).unwrap_or_default(),
                }
                Some(out)
            }
            _ => None,
        };
        let data = data.ok_or_else(|| Fail::Bad(format!("not defined for {} and {}", dtype(a), dtype(b))))?;
        Ok(vec![Value::Bool(Tensor::new(plan.shape, data)?)])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blind
    }
}

/// `Not`, `IsNaN` and `IsInf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Not,
    IsNan,
    IsInf,
}

impl Operator for Truth {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let len = run.shape(value.shape(), 1)?;
        let data: Vec<bool> = match (self, value) {
            (Self::Not, Value::Bool(t)) => t.data().iter().map(|v| !v).collect(),
            (Self::IsNan, Value::F64(t)) => t.data().iter().map(|v| v.is_nan()).collect(),
            (Self::IsInf, Value::F64(t)) => t.data().iter().map(|v| v.is_infinite()).collect(),
            (Self::IsNan, Value::F32(t)) => t.data().iter().map(|v| v.is_nan()).collect(),
            (Self::IsInf, Value::F32(t)) => t.data().iter().map(|v| v.is_infinite()).collect(),
            (_, other) => return Err(format!("not defined for {}", dtype(other)).into()),
        };
        debug_assert_eq!(len, data.len());
        Ok(vec![Value::Bool(Tensor::new(value.shape(), data)?)])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blind
    }
}

/// `Where`: one of two values by a condition.
pub(super) struct Where;

impl Where {
    fn choose<T: Clone>(
        run: &mut Run,
        condition: &Tensor<bool>,
        a: &Tensor<T>,
        b: &Tensor<T>,
    ) -> Result<Tensor<T>, Fail> {
        let inner = Broadcast::new(a.shape(), b.shape())?;
        let plan = Broadcast::new(condition.shape(), &inner.shape)?;
        run.room(plan.len, size_of::<T>())?;
        let (left, right) =
            (Broadcast::new(a.shape(), &plan.shape)?, Broadcast::new(b.shape(), &plan.shape)?);
        if left.len != plan.len || right.len != plan.len {
            return Err("the branches do not fit the condition".into());
        }
        // The branches are widened by a walk each; the condition decides between the two.
        let flags = Broadcast::new(condition.shape(), &plan.shape)?;
        let mut source = Vec::with_capacity(plan.len);
        run.room(plan.len, 24)?;
        flags.each(|_, ic, _, length, sc, _| {
            source.extend((0..length).map(|i| condition.data()[ic + i * sc]))
        });
        let mut from_a = Vec::with_capacity(plan.len);
        left.each(|_, ia, _, length, sa, _| from_a.extend((0..length).map(|i| ia + i * sa)));
        let mut from_b = Vec::with_capacity(plan.len);
        right.each(|_, ib, _, length, sb, _| from_b.extend((0..length).map(|i| ib + i * sb)));
        let pick = |((flag, ia), ib): ((bool, usize), usize)| {
            if flag { a.data()[ia].clone() } else { b.data()[ib].clone() }
        };
        let data = source.into_iter().zip(from_a).zip(from_b).map(pick).collect();
        Ok(Tensor::new(plan.shape, data)?)
    }
}

impl Operator for Where {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let Value::Bool(condition) = inputs.get(0)? else {
            return Err("the condition must be boolean".into());
        };
        Ok(vec![match (inputs.get(1)?, inputs.get(2)?) {
            (Value::F32(a), Value::F32(b)) => Value::F32(Self::choose(run, condition, a, b)?),
            (Value::F64(a), Value::F64(b)) => Value::F64(Self::choose(run, condition, a, b)?),
            (Value::I64(a), Value::I64(b)) => Value::I64(Self::choose(run, condition, a, b)?),
            (Value::I32(a), Value::I32(b)) => Value::I32(Self::choose(run, condition, a, b)?),
            (Value::U8(a), Value::U8(b)) => Value::U8(Self::choose(run, condition, a, b)?),
            (Value::Bool(a), Value::Bool(b)) => Value::Bool(Self::choose(run, condition, a, b)?),
            (Value::Text(a), Value::Text(b)) => Value::Text(Self::choose(run, condition, a, b)?),
            (a, b) => return Err(format!("branches of {} and {}", dtype(a), dtype(b)).into()),
        }])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Blind } else { Edge::Smooth }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let condition = pass.inputs.get(0)?;
        let flags = singles(condition)?;
        let plan = Broadcast::new(condition.shape(), gradient.shape())?;
        let mut out = vec![None, None, None];
        for (index, taken) in [(1, 1.0), (2, 0.0)] {
            if !pass.wants(index) {
                continue;
            }
            let mut masked = run.copy(gradient.shape(), gradient.data())?;
            plan.each(|start, ic, _, length, sc, _| {
                for (i, slot) in masked.data_mut()[start..start + length].iter_mut().enumerate() {
                    if flags[ic + i * sc] != taken {
                        *slot = 0.0;
                    }
                }
            });
            out[index] = Some(reduce_to(run, masked, pass.inputs.get(index)?.shape())?);
        }
        Ok(out)
    }
}
