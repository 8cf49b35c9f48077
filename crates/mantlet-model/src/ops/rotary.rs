//! Places told by turning: `RotaryEmbedding` of opset 23 and later.

use mantlet_vocab::{Tensor, Value};

use super::{Edge, Gradients, Inputs, Operator, Pass};
use crate::attrs::Attrs;
use crate::run::{Fail, Run};
use crate::values::{integers, like, require_float, singles};

/// Turns pairs of values by the angles of their place.
pub(super) struct Rotary {
    /// Whether a pair stands side by side, or half a head apart.
    woven: bool,
    /// Heads, when they are packed in the last axis.
    heads: usize,
    /// How many values of a head are turned; all when 0.
    turned: usize,
}

impl Rotary {
    pub(super) fn new(attrs: Attrs<'_>) -> Self {
        let number = |name: &str| usize::try_from(attrs.int(name, 0)).unwrap_or(0);
        Self {
            woven: attrs.flag("interleaved"),
            heads: number("num_heads"),
            turned: number("rotary_embedding_dim"),
        }
    }

    /// Visits each pair: the places of both values, and of their angle in the caches.
    fn pairs(
        &self,
        run: &Run,
        inputs: Inputs<'_>,
        mut visit: impl FnMut(usize, usize, usize),
    ) -> Result<(), Fail> {
        let (batches, heads, length, width, packed) = match *inputs.get(0)?.shape() {
            [n, heads, length, width] => (n, heads, length, width, false),
            [n, length, all] if self.heads > 0 && all % self.heads == 0 => {
                (n, self.heads, length, all / self.heads, true)
            }
            ref shape => return Err(format!("heads are not told for shape {shape:?}").into()),
        };
        let turned = if self.turned == 0 { width } else { self.turned };
        let half = turned / 2;
        if turned > width || turned % 2 != 0 {
            return Err(format!("{turned} of {width} values cannot be turned").into());
        }
        let cache = inputs.get(1)?.shape();
        let places = inputs.opt(3).map(integers).transpose()?;
        let known = match (&places, cache) {
            (Some(places), &[known, angles]) if angles == half && places.len() == batches * length => known,
            (None, &[n, l, angles]) if angles == half && n == batches && l == length => batches * length,
            _ => return Err(format!("angles of shape {cache:?} do not fit").into()),
        };
        if inputs.get(2)?.shape() != cache {
            return Err("sines and cosines differ in shape".into());
        }
        for batch in 0..batches {
            for place in 0..length {
                run.tick()?;
                let at = batch * length + place;
                let angle = match &places {
                    Some(places) => usize::try_from(places[at])
                        .ok()
                        .filter(|at| *at < known)
                        .ok_or_else(|| Fail::Bad(format!("place {} is not among {known}", places[at])))?,
                    None => at,
                };
                for head in 0..heads {
                    let start = if packed {
                        (at * heads + head) * width
                    } else {
                        ((batch * heads + head) * length + place) * width
                    };
                    for pair in 0..half {
                        let (left, right) =
                            if self.woven { (2 * pair, 2 * pair + 1) } else { (pair, pair + half) };
                        visit(start + left, start + right, angle * half + pair);
                    }
                }
            }
        }
        Ok(())
    }

    fn turn(&self, run: &Run, inputs: Inputs<'_>, x: &mut [f32], back: bool) -> Result<(), Fail> {
        let (cos, sin) = (singles(inputs.get(1)?)?, singles(inputs.get(2)?)?);
        self.pairs(run, inputs, |left, right, angle| {
            let (c, s) = (cos[angle], if back { -sin[angle] } else { sin[angle] });
            let (a, b) = (x[left], x[right]);
            (x[left], x[right]) = (c * a - s * b, s * a + c * b);
        })
    }
}

impl Operator for Rotary {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        require_float(value)?;
        let mut out = run.copy(value.shape(), &singles(value)?)?;
        self.turn(run, inputs, out.data_mut(), false)?;
        Ok(vec![like(value, out)?])
    }

    fn edge(&self, index: usize) -> Edge {
        match index {
            0 => Edge::Smooth,
            3 => Edge::Blind,
            _ => Edge::Blocked,
        }
    }

    fn backward(&self, run: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        self.turn(run, pass.inputs, gradient.data_mut(), true)?;
        Ok(vec![Some(gradient)])
    }
}
