//! Operators whose results are weighted sums of a few values of their input: one table of sources and weights
//! serves the forward pass, and read backwards it carries gradients.

use mantlet_vocab::{Tensor, Value};

use super::{Edge, Gradients, Inputs, Operator, Pass, axis, strides};
use crate::run::{Fail, Run, count};
use crate::values::{dtype, integers, like, singles};

/// Which values go where.
pub(super) enum Weave {
    /// `GatherElements` along an axis.
    GatherElements(i64),
    /// `GatherND` behind so many batch axes.
    GatherNd(i64),
    /// `DepthToSpace`: block size, and whether depth is the outer part of a channel (`DCR`).
    DepthToSpace(usize, bool),
    /// `SpaceToDepth`.
    SpaceToDepth(usize),
    /// `Trilu`: the upper triangle, or the lower.
    Triangle(bool),
    /// `CumSum`: without the value itself, and from the end.
    CumSum { exclusive: bool, reverse: bool },
    /// `Resize` and `Upsample`.
    Resize(Resize),
}

/// How `Resize` finds its sources.
pub(super) struct Resize {
    pub(super) linear: bool,
    pub(super) coordinates: String,
    pub(super) nearest: String,
    /// Scales of an old `Upsample`, as an attribute.
    pub(super) scales: Option<Vec<f32>>,
    /// Which inputs hold scales and sizes.
    pub(super) places: (usize, usize),
    pub(super) axes: Option<Vec<i64>>,
}

/// For each result the range of its taps; each tap is a source and a weight.
#[derive(Default)]
struct Table {
    shape: Vec<usize>,
    ends: Vec<u32>,
    sources: Vec<u32>,
    weights: Vec<f32>,
}

impl Table {
    fn new(run: &mut Run, shape: Vec<usize>, taps: usize) -> Result<Self, Fail> {
        let len = count(&shape)?;
        run.room(len.checked_mul(taps.max(1)).ok_or(Fail::Memory)?, 12)?;
        Ok(Self { shape, ..Self::default() })
    }

    fn put(&mut self, source: usize, weight: f32) -> Result<(), Fail> {
        self.sources.push(u32::try_from(source).map_err(|_| Fail::Memory)?);
        self.weights.push(weight);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fail> {
        self.ends.push(u32::try_from(self.sources.len()).map_err(|_| Fail::Memory)?);
        Ok(())
    }

    /// One source, or none, for each result.
    fn one(&mut self, source: Option<usize>) -> Result<(), Fail> {
        if let Some(source) = source {
            self.put(source, 1.0)?;
        }
        self.end()
    }

    fn taps(&self, at: usize) -> std::ops::Range<usize> {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        start..self.ends[at] as usize
    }
}

/// Visits every index of a shape in order.
fn each(shape: &[usize], mut visit: impl FnMut(&[usize]) -> Result<(), Fail>) -> Result<(), Fail> {
    let total = count(shape)?;
    let mut index = vec![0; shape.len()];
    for _ in 0..total {
        visit(&index)?;
        for at in (0..shape.len()).rev() {
            index[at] += 1;
            if index[at] < shape[at] {
                break;
            }
            index[at] = 0;
        }
    }
    Ok(())
}

fn flat(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(index, stride)| index * stride).sum()
}

/// An index that may count from the end.
fn wrap(index: i64, length: usize) -> Result<usize, Fail> {
    axis(index, length).map_err(|_| Fail::Bad(format!("index {index} does not exist in {length} values")))
}

impl Weave {
    fn table(&self, run: &mut Run, inputs: Inputs<'_>) -> Result<Table, Fail> {
        let shape = inputs.get(0)?.shape().to_vec();
        let own = strides(&shape);
        match self {
            Self::GatherElements(along) => {
                let at = axis(*along, shape.len())?;
                let indices = inputs.get(1)?;
                let picked = indices.shape().to_vec();
                let fits =
                    picked.len() == shape.len() && (0..shape.len()).all(|k| k == at || picked[k] <= shape[k]);
                if !fits {
                    return Err(format!("indices of shape {picked:?} do not fit {shape:?}").into());
                }
                let indices = integers(indices)?;
                let mut table = Table::new(run, picked.clone(), 1)?;
                let mut next = indices.iter();
                each(&picked, |index| {
                    let mut from = index.to_vec();
                    from[at] = wrap(next.next().copied().unwrap_or(0), shape[at])?;
                    table.one(Some(flat(&from, &own)))
                })?;
                Ok(table)
            }
            Self::GatherNd(batch) => {
                let batch = usize::try_from(*batch).map_err(|_| Fail::from("batch_dims below 0"))?;
                let indices = inputs.get(1)?;
                let place = indices.shape().to_vec();
                let depth = *place.last().ok_or("indices without an axis")?;
                if batch >= place.len() || batch + depth > shape.len() || place[..batch] != shape[..batch] {
                    return Err(format!("indices of shape {place:?} do not fit {shape:?}").into());
                }
                let rest = &shape[batch + depth..];
                let out: Vec<usize> = place[..place.len() - 1].iter().chain(rest).copied().collect();
                let indices = integers(indices)?;
                let size = count(rest)?;
                let mut table = Table::new(run, out, 1)?;
                let mut row = 0;
                each(&place[..place.len() - 1], |index| {
                    let mut start = flat(&index[..batch], &own);
                    for k in 0..depth {
                        start += wrap(indices[row * depth + k], shape[batch + k])? * own[batch + k];
                    }
                    row += 1;
                    (0..size).try_for_each(|at| table.one(Some(start + at)))
                })?;
                Ok(table)
            }
            Self::DepthToSpace(block, outer) => {
                let &[n, c, h, w] = &shape[..] else { return Err("four axes are needed".into()) };
                let square = block.checked_mul(*block).filter(|square| *square > 0 && c % square == 0);
                let depth = c / square.ok_or("the channels are no multiple of the block")?;
                let out = vec![n, depth, h * block, w * block];
                let mut table = Table::new(run, out.clone(), 1)?;
                each(&out, |index| {
                    let (dy, dx) = (index[2] % block, index[3] % block);
                    let channel = if *outer {
                        (dy * block + dx) * depth + index[1]
                    } else {
                        (index[1] * block + dy) * block + dx
                    };
                    table.one(Some(flat(&[index[0], channel, index[2] / block, index[3] / block], &own)))
                })?;
                Ok(table)
            }
            Self::SpaceToDepth(block) => {
                let &[n, c, h, w] = &shape[..] else { return Err("four axes are needed".into()) };
                if *block == 0 || h % block != 0 || w % block != 0 {
                    return Err("height or width are no multiple of the block".into());
                }
                let out = vec![n, c * block * block, h / block, w / block];
                let mut table = Table::new(run, out.clone(), 1)?;
                each(&out, |index| {
                    let (place, channel) = (index[1] / c, index[1] % c);
                    let (y, x) = (index[2] * block + place / block, index[3] * block + place % block);
                    table.one(Some(flat(&[index[0], channel, y, x], &own)))
                })?;
                Ok(table)
            }
            Self::Triangle(upper) => {
                let rank = shape.len();
                if rank < 2 {
                    return Err("two axes are needed".into());
                }
                let offset = inputs.integers(1)?.and_then(|list| list.first().copied()).unwrap_or(0);
                let mut table = Table::new(run, shape.clone(), 1)?;
                each(&shape, |index| {
                    let diagonal = i64::try_from(index[rank - 1]).unwrap_or(i64::MAX)
                        - i64::try_from(index[rank - 2]).unwrap_or(i64::MAX);
                    let kept = if *upper { diagonal >= offset } else { diagonal <= offset };
                    table.one(kept.then(|| flat(index, &own)))
                })?;
                Ok(table)
            }
            Self::CumSum { exclusive, reverse } => {
                let along = inputs.integers(1)?.and_then(|list| list.first().copied()).ok_or("no axis")?;
                let at = axis(along, shape.len())?;
                let mut table = Table::new(run, shape.clone(), shape[at].div_ceil(2))?;
                each(&shape, |index| {
                    let own_place = index[at];
                    let mut from = index.to_vec();
                    for place in 0..shape[at] {
                        let inside = if *reverse { place > own_place } else { place < own_place };
                        if inside || (place == own_place && !exclusive) {
                            from[at] = place;
                            table.put(flat(&from, &own), 1.0)?;
                        }
                    }
                    table.end()
                })?;
                Ok(table)
            }
            Self::Resize(resize) => resize.table(run, inputs, &shape),
        }
    }
}

impl Resize {
    /// The resized length and the scale of each axis.
    fn lengths(&self, inputs: Inputs<'_>, shape: &[usize]) -> Result<Vec<(usize, f32)>, Fail> {
        let axes = match &self.axes {
            Some(axes) => axes.iter().map(|&a| axis(a, shape.len())).collect::<Result<Vec<_>, _>>()?,
            None => (0..shape.len()).collect(),
        };
        let given = inputs.opt(self.places.0).map(singles).transpose()?;
        let scales = self.scales.clone().or_else(|| given.map(|scales| scales.to_vec()));
        let sizes = inputs.integers(self.places.1)?;
        let mut lengths: Vec<(usize, f32)> = shape.iter().map(|&length| (length, 1.0)).collect();
        let fits = |len: usize| len == axes.len();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "lengths of images"
        )]
        match (scales.filter(|scales| !scales.is_empty()), sizes) {
            (Some(scales), _) if fits(scales.len()) => {
                for (&at, &scale) in axes.iter().zip(&scales) {
                    if !(scale.is_finite() && scale > 0.0 && scale < 1e6) {
                        return Err(format!("a scale of {scale}").into());
                    }
                    lengths[at] = ((shape[at] as f32 * scale).floor() as usize, scale);
                }
            }
            (_, Some(sizes)) if fits(sizes.len()) => {
                for (&at, &size) in axes.iter().zip(&sizes) {
                    let size = usize::try_from(size).map_err(|_| Fail::from("a size below 0"))?;
                    lengths[at] = (size, size as f32 / shape[at].max(1) as f32);
                }
            }
            _ => return Err("scales or sizes, one an axis, are needed".into()),
        }
        Ok(lengths)
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places in an image"
    )]
    fn table(&self, run: &mut Run, inputs: Inputs<'_>, shape: &[usize]) -> Result<Table, Fail> {
        let lengths = self.lengths(inputs, shape)?;
        let mut along: Vec<Vec<Vec<(usize, f32)>>> = Vec::with_capacity(shape.len());
        for (&length, &(wanted, scale)) in shape.iter().zip(&lengths) {
            if length == 0 {
                return Err("an empty axis".into());
            }
            run.room(wanted, 64)?;
            let last = (length - 1) as f32;
            let place = |at: usize| -> Result<f32, Fail> {
                let at = at as f32;
                Ok(match self.coordinates.as_str() {
                    _ if wanted == length && (scale - 1.0).abs() < 1e-6 => at,
                    "half_pixel" => (at + 0.5) / scale - 0.5,
                    "pytorch_half_pixel" if wanted > 1 => (at + 0.5) / scale - 0.5,
                    "pytorch_half_pixel" => 0.0,
                    "align_corners" if wanted > 1 => at * last / (wanted - 1) as f32,
                    "align_corners" => 0.0,
                    "asymmetric" => at / scale,
                    other => return Err(format!("coordinates `{other}` are not supported").into()),
                })
            };
            let mut axis_taps = Vec::with_capacity(wanted);
            for at in 0..wanted {
                let x = place(at)?;
                axis_taps.push(if self.linear {
                    let x = x.clamp(0.0, last);
                    let (low, rest) = (x.floor(), x - x.floor());
                    let next = (low as usize + 1).min(length - 1);
                    if rest == 0.0 {
                        vec![(low as usize, 1.0)]
                    } else {
                        vec![(low as usize, 1.0 - rest), (next, rest)]
                    }
                } else {
                    let nearest = match self.nearest.as_str() {
                        "round_prefer_floor" => (x - 0.5).ceil(),
                        "round_prefer_ceil" => (x + 0.5).floor(),
                        "floor" => x.floor(),
                        "ceil" => x.ceil(),
                        other => return Err(format!("nearest mode `{other}` does not exist").into()),
                    };
                    vec![(nearest.clamp(0.0, last) as usize, 1.0)]
                });
            }
            along.push(axis_taps);
        }
        let out: Vec<usize> = lengths.iter().map(|(length, _)| *length).collect();
        let own = strides(shape);
        let most = along.iter().map(|taps| taps.iter().map(Vec::len).max().unwrap_or(1)).product();
        let mut table = Table::new(run, out.clone(), most)?;
        let (mut now, mut next) = (Vec::new(), Vec::new());
        each(&out, |index| {
            now.clear();
            now.push((0, 1.0_f32));
            for (k, &at) in index.iter().enumerate() {
                next.clear();
                for &(source, weight) in &now {
                    next.extend(along[k][at].iter().map(|(place, w)| (source + place * own[k], weight * w)));
                }
                std::mem::swap(&mut now, &mut next);
            }
            now.iter().try_for_each(|&(source, weight)| table.put(source, weight))?;
            table.end()
        })?;
        Ok(table)
    }
}

impl Operator for Weave {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let table = self.table(run, inputs)?;
        run.tick()?;
        let results = 0..table.ends.len();
        Ok(vec![match value {
            Value::I64(x) => {
                let add = |at| table.taps(at).map(|tap| x.data()[table.sources[tap] as usize]).sum();
                Value::I64(Tensor::new(table.shape.clone(), results.map(add).collect())?)
            }
            Value::F32(_) | Value::F64(_) => {
                let x = singles(value)?;
                let add = |at| {
                    let taps = table.taps(at);
                    taps.map(|tap| table.weights[tap] * x[table.sources[tap] as usize]).sum()
                };
                like(value, Tensor::new(table.shape.clone(), results.map(add).collect())?)?
            }
            other => return Err(format!("not defined for {}", dtype(other)).into()),
        }])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blind }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, gradient: Tensor) -> Result<Gradients, Fail> {
        let table = self.table(run, pass.inputs)?;
        let mut out = run.zeros(pass.inputs.get(0)?.shape())?;
        let target = out.data_mut();
        for (at, slope) in gradient.data().iter().enumerate() {
            for tap in table.taps(at) {
                target[table.sources[tap] as usize] += table.weights[tap] * slope;
            }
        }
        run.give(gradient.into_data());
        Ok(vec![Some(out)])
    }
}
