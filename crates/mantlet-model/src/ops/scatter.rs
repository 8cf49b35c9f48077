//! `ScatterElements` and `ScatterND`: values put, or added, at places given by indices.

use mantlet_vocab::{Tensor, Value};

use super::{Edge, Gradients, Inputs, Operator, Pass, axis, strides};
use crate::run::{Fail, Run, count};
use crate::values::{integers, like, require_float, singles};

/// What is done at the places.
pub(super) struct Scatter {
    /// Along one axis (`ScatterElements`), or by whole indices (`ScatterND`).
    pub(super) axis: Option<i64>,
    /// Added to what is there, in place of put over it.
    pub(super) add: bool,
}

impl Scatter {
    /// For each update its place in the data.
    fn places(&self, inputs: Inputs<'_>) -> Result<Vec<usize>, Fail> {
        let (shape, indices) = (inputs.get(0)?.shape(), inputs.get(1)?);
        let (updates, own) = (inputs.get(2)?.shape(), strides(shape));
        let place = indices.shape().to_vec();
        let numbers = integers(indices)?;
        let wrap = |index: i64, length: usize| {
            axis(index, length)
                .map_err(|_| Fail::Bad(format!("index {index} does not exist in {length} values")))
        };
        if let Some(along) = self.axis {
            let at = axis(along, shape.len())?;
            let fits =
                place.len() == shape.len() && (0..shape.len()).all(|k| k == at || place[k] <= shape[k]);
            if !fits || updates != place {
                return Err(format!("indices {place:?} and updates {updates:?} do not fit {shape:?}").into());
            }
            let steps = strides(&place);
            return numbers
                .iter()
                .enumerate()
                .map(|(flat, &index)| {
                    let mut to = wrap(index, shape[at])? * own[at];
                    for k in (0..shape.len()).filter(|k| *k != at) {
                        to += flat / steps[k] % place[k] * own[k];
                    }
                    Ok(to)
                })
                .collect();
        }
        let depth = *place.last().ok_or("indices without an axis")?;
        if depth == 0 || depth > shape.len() {
            return Err(format!("indices {place:?} do not fit {shape:?}").into());
        }
        let wanted: Vec<usize> = place[..place.len() - 1].iter().chain(&shape[depth..]).copied().collect();
        if updates != wanted {
            return Err(format!("updates {updates:?} given, {wanted:?} expected").into());
        }
        let size = count(&shape[depth..])?;
        let mut out = Vec::with_capacity(count(&wanted)?);
        for index in numbers.chunks_exact(depth) {
            let mut start = 0;
            for (k, &index) in index.iter().enumerate() {
                start += wrap(index, shape[k])? * own[k];
            }
            out.extend(start..start + size);
        }
        Ok(out)
    }
}

impl Operator for Scatter {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        require_float(value)?;
        run.room(crate::values::len(inputs.get(2)?), 8)?;
        let places = self.places(inputs)?;
        let mut out = run.copy(value.shape(), &singles(value)?)?;
        for (&place, update) in places.iter().zip(&*singles(inputs.get(2)?)?) {
            let slot = &mut out.data_mut()[place];
            *slot = if self.add { *slot + update } else { *update };
        }
        Ok(vec![like(value, out)?])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 1 { Edge::Blind } else { Edge::Smooth }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let places = self.places(pass.inputs)?;
        let mut own = None;
        if pass.wants(2) {
            let mut updates = run.zeros(pass.inputs.get(2)?.shape())?;
            // Where several are put over one place only the last one counts.
            let mut seen = vec![false; if self.add { 0 } else { gradient.data().len() }];
            for (slot, &place) in updates.data_mut().iter_mut().zip(&places).rev() {
                if self.add || !std::mem::replace(&mut seen[place], true) {
                    *slot = gradient.data()[place];
                }
            }
            own = Some(updates);
        }
        if !self.add {
            places.iter().for_each(|&place| gradient.data_mut()[place] = 0.0);
        }
        Ok(vec![Some(gradient), None, own])
    }
}
