//! Preparation of features.

use mantlet_vocab::{Tensor, Value};

use super::table;
use crate::attrs::Attrs;
use crate::ops::{Edge, Gradients, Inputs, Operator, Pass};
use crate::run::{Fail, Run};
use crate::values::{like, singles};

/// `Scaler`: `(x - offset) * scale`.
pub(crate) struct Scaler {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

impl Scaler {
    pub(crate) fn new(attrs: Attrs<'_>) -> Result<Self, Fail> {
        let list = |name, default: f32| {
            let list = attrs.floats(name).unwrap_or_default();
            if list.is_empty() { vec![default] } else { list.to_vec() }
        };
        Ok(Self { offset: list("offset", 0.0), scale: list("scale", 1.0) })
    }

    fn check(&self, features: usize) -> Result<(), Fail> {
        let fits = |list: &[f32]| list.len() == 1 || list.len() == features;
        if fits(&self.offset) && fits(&self.scale) {
            return Ok(());
        }
        let known = self.offset.len().max(self.scale.len());
        Err(format!("{features} features given, {known} expected").into())
    }
}

impl Operator for Scaler {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let (_, features) = table(value.shape())?;
        self.check(features)?;
        let mut out = run.copy(value.shape(), &singles(value)?)?;
        if features > 0 {
            for row in out.data_mut().chunks_exact_mut(features) {
                for (at, v) in row.iter_mut().enumerate() {
                    *v = (*v - self.offset[at % self.offset.len()]) * self.scale[at % self.scale.len()];
                }
            }
        }
        Ok(vec![Value::F32(out)])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn backward(&self, _: &mut Run, _: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let (_, features) = table(gradient.shape())?;
        for (at, v) in gradient.data_mut().iter_mut().enumerate() {
            *v *= self.scale[at % features.max(1) % self.scale.len()];
        }
        Ok(vec![Some(gradient)])
    }

    fn features(&self) -> Option<usize> {
        Some(self.offset.len().max(self.scale.len())).filter(|&features| features > 1)
    }
}

/// `Normalizer`: rows are divided by their norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Normalizer {
    Max,
    L1,
    L2,
}

impl Normalizer {
    pub(crate) fn new(attrs: Attrs<'_>) -> Result<Self, Fail> {
        match attrs.text("norm").as_deref() {
            None | Some("MAX") => Ok(Self::Max),
            Some("L1") => Ok(Self::L1),
            Some("L2") => Ok(Self::L2),
            Some(other) => Err(format!("norm `{other}` does not exist").into()),
        }
    }

    fn norm(self, row: &[f32]) -> f32 {
        match self {
            Self::Max => row.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            Self::L1 => row.iter().map(|v| v.abs()).sum(),
            Self::L2 => row.iter().map(|v| v * v).sum::<f32>().sqrt(),
        }
    }
}

impl Operator for Normalizer {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let (_, columns) = table(value.shape())?;
        let mut out = run.copy(value.shape(), &singles(value)?)?;
        if columns > 0 {
            for row in out.data_mut().chunks_exact_mut(columns) {
                let norm = self.norm(row);
                if norm != 0.0 {
                    row.iter_mut().for_each(|v| *v /= norm);
                }
            }
        }
        Ok(vec![Value::F32(out)])
    }

    fn edge(&self, _: usize) -> Edge {
        if *self == Self::Max { Edge::Blocked } else { Edge::Smooth }
    }

    fn backward(&self, _: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let (_, columns) = table(gradient.shape())?;
        let x = singles(pass.inputs.get(0)?)?;
        if columns > 0 {
            for (g, x) in gradient.data_mut().chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
                let norm = self.norm(x);
                if norm == 0.0 {
                    continue;
                }
                let along: f32 = g.iter().zip(x).map(|(g, x)| g * x).sum::<f32>() / (norm * norm);
                for (g, x) in g.iter_mut().zip(x) {
                    let slope = if *self == Self::L1 { x.signum() } else { x / norm };
                    *g = *g / norm - along * slope;
                }
            }
        }
        Ok(vec![Some(gradient)])
    }
}

/// `Imputer`: a value for what is missing.
pub(crate) struct Imputer {
    fill: Vec<f32>,
    missing: f32,
    whole: Option<(Vec<i64>, i64)>,
}

impl Imputer {
    pub(crate) fn new(attrs: Attrs<'_>) -> Result<Self, Fail> {
        let whole = attrs
            .ints("imputed_value_int64s")
            .filter(|list| !list.is_empty())
            .map(|list| (list.to_vec(), attrs.int("replaced_value_int64", 0)));
        let fill = attrs.floats("imputed_value_floats").unwrap_or_default().to_vec();
        if fill.is_empty() && whole.is_none() {
            return Err("the imputed values are missing".into());
        }
        Ok(Self { fill, missing: attrs.float("replaced_value_float", 0.0), whole })
    }

    fn is_missing(&self, v: f32) -> bool {
        v == self.missing || (v.is_nan() && self.missing.is_nan())
    }
}

impl Operator for Imputer {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let (_, columns) = table(value.shape())?;
        let fits = |len: usize| len == 1 || len == columns;
        if let (Value::I64(t), Some((fill, missing))) = (value, &self.whole) {
            if !fits(fill.len()) {
                return Err(format!("{} imputed values for {columns} features", fill.len()).into());
            }
            run.room(t.data().len(), 8)?;
            let pick = |(at, &v): (usize, &i64)| {
                if v == *missing { fill[at % columns.max(1) % fill.len()] } else { v }
            };
            return Ok(vec![Value::I64(Tensor::new(
                t.shape(),
                t.data().iter().enumerate().map(pick).collect(),
            )?)]);
        }
        if !fits(self.fill.len()) {
            return Err(format!("{} imputed values for {columns} features", self.fill.len()).into());
        }
        let mut out = run.copy(value.shape(), &singles(value)?)?;
        for (at, v) in out.data_mut().iter_mut().enumerate() {
            if self.is_missing(*v) {
                *v = self.fill[at % columns.max(1) % self.fill.len()];
            }
        }
        Ok(vec![like(value, out)?])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn backward(&self, _: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let x = singles(pass.inputs.get(0)?)?;
        for (g, &x) in gradient.data_mut().iter_mut().zip(x.iter()) {
            if self.is_missing(x) {
                *g = 0.0;
            }
        }
        Ok(vec![Some(gradient)])
    }
}

/// `Binarizer`: above a threshold or not.
pub(crate) struct Binarizer(pub(crate) f32);

impl Operator for Binarizer {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let mut out = run.copy(value.shape(), &singles(value)?)?;
        out.data_mut().iter_mut().for_each(|v| *v = f32::from(u8::from(*v > self.0)));
        Ok(vec![like(value, out)?])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blocked
    }
}

/// `FeatureVectorizer`: columns side by side, as floats.
pub(crate) struct FeatureVectorizer;

impl Operator for FeatureVectorizer {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let inputs = inputs.all()?;
        let tables = inputs.iter().map(|value| table(value.shape())).collect::<Result<Vec<_>, _>>()?;
        let rows = tables.first().map_or(0, |&(rows, _)| rows);
        if tables.iter().any(|&(own, _)| own != rows) {
            return Err("columns of different lengths".into());
        }
        let width: usize = tables.iter().map(|&(_, columns)| columns).sum();
        let mut out = run.zeros(&[rows, width])?;
        let mut skip = 0;
        for (value, &(_, columns)) in inputs.iter().zip(&tables) {
            let x = singles(value)?;
            for row in 0..rows {
                let to = row * width + skip;
                out.data_mut()[to..to + columns].copy_from_slice(&x[row * columns..(row + 1) * columns]);
            }
            skip += columns;
        }
        Ok(vec![Value::F32(out)])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Smooth
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let (rows, width) = table(gradient.shape())?;
        let mut skip = 0;
        let mut out = Vec::new();
        for value in pass.inputs.all()? {
            let (_, columns) = table(value.shape())?;
            let mut own = run.zeros(value.shape())?;
            for row in 0..rows {
                let from = row * width + skip;
                own.data_mut()[row * columns..(row + 1) * columns]
                    .copy_from_slice(&gradient.data()[from..from + columns]);
            }
            skip += columns;
            out.push(Some(own));
        }
        run.give(gradient.into_data());
        Ok(out)
    }
}
