//! Operators that map each value by itself.

use mantlet_vocab::{Tensor, Value};

use super::{Edge, Gradients, Inputs, Operator, Pass};
use crate::attrs::Attrs;
use crate::run::{Fail, Run};
use crate::side::{Given, Side};
use crate::values::{self, dtype};

/// A function of one value, in single and double precision, and its derivative from argument and result.
struct Elementwise<F, G, D> {
    single: F,
    double: G,
    derivative: D,
    whole: Option<fn(i64) -> i64>,
    edge: Edge,
}

impl<F, G, D> Operator for Elementwise<F, G, D>
where
    F: Fn(f32) -> f32 + Send + Sync,
    G: Fn(f64) -> f64 + Send + Sync,
    D: Fn(f32, f32) -> f32 + Send + Sync,
{
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let shape = value.shape();
        Ok(vec![match value {
            Value::F32(x) => {
                let mut out = run.copy(shape, x.data())?;
                for slot in out.data_mut() {
                    *slot = (self.single)(*slot);
                }
                Value::F32(out)
            }
            Value::F64(x) => {
                run.room(x.data().len(), 8)?;
                Value::F64(Tensor::new(shape, x.data().iter().map(|&v| (self.double)(v)).collect())?)
            }
            Value::I64(x) if self.whole.is_some() => {
                run.room(x.data().len(), 8)?;
                let f = self.whole.unwrap_or(|v| v);
                Value::I64(Tensor::new(shape, x.data().iter().map(|&v| f(v)).collect())?)
            }
            Value::I32(x) if self.whole.is_some() => {
                run.room(x.data().len(), 4)?;
                let f = self.whole.unwrap_or(|v| v);
                #[expect(clippy::cast_possible_truncation, reason = "whole-number operators wrap in ONNX")]
                let data = x.data().iter().map(|&v| f(i64::from(v)) as i32).collect();
                Value::I32(Tensor::new(shape, data)?)
            }
            other => return Err(format!("not defined for {}", dtype(other)).into()),
        }])
    }

    fn edge(&self, _: usize) -> Edge {
        self.edge
    }

    fn side(&self, given: &[Given<'_>], _: &[usize]) -> Option<Side> {
        matches!(given, [Given::Row(_)]).then_some(Side::Each)
    }

    fn each(&self, x: &[f32], to: &mut [f32]) {
        for (to, x) in to.iter_mut().zip(x) {
            *to = (self.single)(*x);
        }
    }

    fn each_back(&self, (x, y): (&[f32], &[f32]), gradient: &[f32], to: &mut [f32]) {
        for (((to, gradient), x), y) in to.iter_mut().zip(gradient).zip(x).zip(y) {
            *to = gradient * (self.derivative)(*x, *y);
        }
    }

    fn backward(&self, _: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let (x, y) = (values::singles(pass.inputs.get(0)?)?, values::singles(pass.output(0)?)?);
        for ((slot, &x), &y) in gradient.data_mut().iter_mut().zip(&*x).zip(&*y) {
            *slot *= (self.derivative)(x, y);
        }
        Ok(vec![Some(gradient)])
    }
}

/// `smooth!(x => f(x), (x, y) => f'(x))` with the same text for both precisions.
macro_rules! smooth {
    ($x:ident => $f:expr, ($a:pat, $b:pat) => $d:expr) => {
        Box::new(Elementwise {
            single: |$x: f32| $f,
            double: |$x: f64| $f,
            derivative: |$a: f32, $b: f32| $d,
            whole: None,
            edge: Edge::Smooth,
        })
    };
}

/// As `smooth!`, for functions of attributes: double precision is computed in single.
macro_rules! shaped {
    ($x:ident => $f:expr, ($a:pat, $b:pat) => $d:expr) => {{
        let single = move |$x: f32| $f;
        Box::new(Elementwise {
            single,
            #[expect(clippy::cast_possible_truncation, reason = "attributes are single precision")]
            double: move |x: f64| f64::from(single(x as f32)),
            derivative: move |$a: f32, $b: f32| $d,
            whole: None,
            edge: Edge::Smooth,
        })
    }};
}

/// Steps: no useful gradient.
macro_rules! step {
    ($x:ident => $f:expr, $whole:expr) => {
        Box::new(Elementwise {
            single: |$x: f32| $f,
            double: |$x: f64| $f,
            derivative: |_: f32, _: f32| 0.0,
            whole: $whole,
            edge: Edge::Blocked,
        })
    };
}

const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_GAMMA: f32 = 1.050_701;

/// The operator of this name, if it is one of these.
pub(super) fn build(name: &str, attrs: Attrs<'_>) -> Option<Box<dyn Operator>> {
    Some(match name {
        "Exp" => smooth!(x => x.exp(), (_, y) => y),
        "Log" => smooth!(x => x.ln(), (x, _) => 1.0 / x),
        "Sqrt" => smooth!(x => x.sqrt(), (_, y) => 0.5 / y),
        "Reciprocal" => smooth!(x => 1.0 / x, (_, y) => -y * y),
        "Sin" => smooth!(x => x.sin(), (x, _) => x.cos()),
        "Cos" => smooth!(x => x.cos(), (x, _) => -x.sin()),
        "Tan" => smooth!(x => x.tan(), (_, y) => 1.0 + y * y),
        "Asin" => smooth!(x => x.asin(), (x, _) => 1.0 / (1.0 - x * x).sqrt()),
        "Acos" => smooth!(x => x.acos(), (x, _) => -1.0 / (1.0 - x * x).sqrt()),
        "Atan" => smooth!(x => x.atan(), (x, _) => 1.0 / (1.0 + x * x)),
        "Sinh" => smooth!(x => x.sinh(), (x, _) => x.cosh()),
        "Cosh" => smooth!(x => x.cosh(), (x, _) => x.sinh()),
        "Asinh" => smooth!(x => x.asinh(), (x, _) => 1.0 / (1.0 + x * x).sqrt()),
        "Acosh" => smooth!(x => x.acosh(), (x, _) => 1.0 / (x * x - 1.0).sqrt()),
        "Atanh" => smooth!(x => x.atanh(), (x, _) => 1.0 / (1.0 - x * x)),
        "Shrink" => {
            let (bias, lambda) = (attrs.float("bias", 0.0), attrs.float("lambd", 0.5));
            shaped!(
                x => if x < -lambda { x + bias } else if x > lambda { x - bias } else { 0.0 },
                (x, _) => if x.abs() > lambda { 1.0 } else { 0.0 }
            )
        }
        "Tanh" => smooth!(x => x.tanh(), (_, y) => 1.0 - y * y),
        "Softsign" => smooth!(x => x / (1.0 + x.abs()), (x, _) => (1.0 + x.abs()).powi(-2)),
        "Softplus" => smooth!(x => x.max(0.0) + (-x.abs()).exp().ln_1p(), (x, _) => logistic(x)),
        "Mish" => smooth!(x => x * (x.max(0.0) + (-x.abs()).exp().ln_1p()).tanh(), (x, _) => mish_slope(x)),
        "Sigmoid" => Box::new(Elementwise {
            single: logistic,
            double: |x: f64| if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) },
            derivative: |_: f32, y: f32| y * (1.0 - y),
            whole: None,
            edge: Edge::Smooth,
        }),
        "Relu" => Box::new(Elementwise {
            single: |x: f32| if x < 0.0 { 0.0 } else { x },
            double: |x: f64| if x < 0.0 { 0.0 } else { x },
            derivative: |x: f32, _: f32| if x > 0.0 { 1.0 } else { 0.0 },
            whole: Some(|x| x.max(0)),
            edge: Edge::Smooth,
        }),
        "Abs" => Box::new(Elementwise {
            single: f32::abs,
            double: f64::abs,
            derivative: |x: f32, _: f32| sign(x),
            whole: Some(i64::wrapping_abs),
            edge: Edge::Smooth,
        }),
        "Neg" => Box::new(Elementwise {
            single: |x: f32| -x,
            double: |x: f64| -x,
            derivative: |_: f32, _: f32| -1.0,
            whole: Some(i64::wrapping_neg),
            edge: Edge::Smooth,
        }),
        "Erf" => Box::new(Elementwise {
            single: libm::erff,
            double: libm::erf,
            derivative: |x: f32, _: f32| std::f32::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
            whole: None,
            edge: Edge::Smooth,
        }),
        "LeakyRelu" => {
            let a = attrs.float("alpha", 0.01);
            shaped!(x => if x < 0.0 { a * x } else { x }, (x, _) => if x > 0.0 { 1.0 } else { a })
        }
        "ThresholdedRelu" => {
            let a = attrs.float("alpha", 1.0);
            shaped!(x => if x > a { x } else { 0.0 }, (x, _) => if x > a { 1.0 } else { 0.0 })
        }
        "Elu" => {
            let a = attrs.float("alpha", 1.0);
            shaped!(x => if x < 0.0 { a * x.exp_m1() } else { x }, (x, y) => if x > 0.0 { 1.0 } else { y + a })
        }
        "Celu" => {
            let a = attrs.float("alpha", 1.0);
            shaped!(
                x => x.max(0.0) + (a * (x / a).exp_m1()).min(0.0),
                (x, _) => if x > 0.0 { 1.0 } else { (x / a).exp() }
            )
        }
        "Selu" => {
            let (a, g) = (attrs.float("alpha", SELU_ALPHA), attrs.float("gamma", SELU_GAMMA));
            shaped!(
                x => g * if x > 0.0 { x } else { a * x.exp_m1() },
                (x, y) => if x > 0.0 { g } else { y + g * a }
            )
        }
        "HardSigmoid" => {
            let (a, b) = (attrs.float("alpha", 0.2), attrs.float("beta", 0.5));
            shaped!(x => (a * x + b).clamp(0.0, 1.0), (_, y) => if y > 0.0 && y < 1.0 { a } else { 0.0 })
        }
        "HardSwish" => shaped!(
            x => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            (x, _) => if x <= -3.0 { 0.0 } else if x >= 3.0 { 1.0 } else { x / 3.0 + 0.5 }
        ),
        "Swish" => {
            let a = attrs.float("alpha", 1.0);
            shaped!(x => x * logistic(a * x), (x, y) => {
                let s = logistic(a * x);
                s + a * y * (1.0 - s)
            })
        }
        "Gelu" if attrs.text("approximate").as_deref() == Some("tanh") => {
            shaped!(x => 0.5 * x * (1.0 + gelu_inner(x).tanh()), (x, _) => {
                let t = gelu_inner(x).tanh();
                let slope = GELU_SCALE * (1.0 + 3.0 * GELU_CUBE * x * x);
                0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope
            })
        }
        "Gelu" => shaped!(x => 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)), (x, _) => {
            let density = (-0.5 * x * x).exp() * 0.398_942_3;
            0.5 * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)) + x * density
        }),
        "Floor" => step!(x => x.floor(), None),
        "Ceil" => step!(x => x.ceil(), None),
        "Round" => step!(x => x.round_ties_even(), None),
        "Sign" => step!(x => if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x }, Some(i64::signum)),
        _ => return None,
    })
}

const GELU_SCALE: f32 = 0.797_884_6;
const GELU_CUBE: f32 = 0.044_715;

fn gelu_inner(x: f32) -> f32 {
    GELU_SCALE * (x + GELU_CUBE * x * x * x)
}

fn mish_slope(x: f32) -> f32 {
    let t = (x.max(0.0) + (-x.abs()).exp().ln_1p()).tanh();
    t + x * (1.0 - t * t) * logistic(x)
}

fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// The logistic function, exact at both ends.
pub(super) fn logistic(x: f32) -> f32 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// `Clip`, with bounds as attributes (before opset 11) or inputs.
pub(super) struct Clip {
    bounds: (Option<f32>, Option<f32>),
}

impl Clip {
    pub(super) fn new(attrs: Attrs<'_>) -> Self {
        let bound = |name| attrs.has(name).then(|| attrs.float(name, 0.0));
        Self { bounds: (bound("min"), bound("max")) }
    }

    fn bounds(&self, inputs: Inputs<'_>) -> Result<(f64, f64), Fail> {
        let bound = |index, attribute: Option<f32>, default: f64| -> Result<f64, Fail> {
            match inputs.opt(index) {
                Some(Value::F64(t)) => Ok(t.data().first().copied().unwrap_or(default)),
                #[expect(clippy::cast_precision_loss, reason = "bounds beyond 2^53 are not met")]
                Some(Value::I64(t)) => Ok(t.data().first().map_or(default, |&v| v as f64)),
                Some(value) => Ok(values::singles(value)?.first().map_or(default, |&v| f64::from(v))),
                None => Ok(attribute.map_or(default, f64::from)),
            }
        };
        Ok((bound(1, self.bounds.0, f64::NEG_INFINITY)?, bound(2, self.bounds.1, f64::INFINITY)?))
    }
}

impl Operator for Clip {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let (low, high) = self.bounds(inputs)?;
        // The upper bound wins when they cross, as in ONNX; NaN passes.
        let clip = |v: f64| {
            if v > high || low > high {
                high
            } else if v < low {
                low
            } else {
                v
            }
        };
        run.room(values::len(value), values::width(dtype(value)))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "within the bounds")]
        let out = match value {
            Value::F32(t) => {
                let (low, high) = (low as f32, high as f32);
                let clip = |&v: &f32| {
                    if v > high || low > high {
                        high
                    } else if v < low {
                        low
                    } else {
                        v
                    }
                };
                Value::F32(Tensor::new(t.shape(), t.data().iter().map(clip).collect())?)
            }
            Value::F64(t) => Value::F64(Tensor::new(t.shape(), t.data().iter().map(|&v| clip(v)).collect())?),
            Value::I64(t) => {
                Value::I64(Tensor::new(t.shape(), t.data().iter().map(|&v| clip(v as f64) as i64).collect())?)
            }
            Value::I32(t) => {
                let data = t.data().iter().map(|&v| clip(f64::from(v)) as i32).collect();
                Value::I32(Tensor::new(t.shape(), data)?)
            }
            other => return Err(format!("not defined for {}", dtype(other)).into()),
        };
        Ok(vec![out])
    }

    fn edge(&self, index: usize) -> Edge {
        if index == 0 { Edge::Smooth } else { Edge::Blind }
    }

    fn backward(&self, _: &mut Run, pass: &Pass<'_>, mut gradient: Tensor) -> Result<Gradients, Fail> {
        let (low, high) = self.bounds(pass.inputs)?;
        let x = values::singles(pass.inputs.get(0)?)?;
        for (slot, &x) in gradient.data_mut().iter_mut().zip(&*x) {
            if f64::from(x) < low || f64::from(x) > high {
                *slot = 0.0;
            }
        }
        Ok(vec![Some(gradient)])
    }
}
