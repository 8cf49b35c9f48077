//! Operators of `ai.onnx.ml`: what scikit-learn, XGBoost and LightGBM are exported to.

mod encode;
mod forest;
mod linear;
mod scale;
mod svm;
mod trees;

pub(super) use encode::{CategoryMapper, LabelEncoder, OneHot};
pub(super) use forest::{classifier, modern, regressor};
pub(super) use linear::{LabelPick, Linear, PostTransform};
pub(super) use scale::{Binarizer, FeatureVectorizer, Imputer, Normalizer, Scaler};
pub(super) use svm::Svm;

use mantlet_vocab::{Post, Tensor, Value};

use crate::attrs::Attrs;
use crate::ops::unary::logistic;
use crate::run::Fail;

/// `post_transform`.
pub(super) fn post(attrs: Attrs<'_>) -> Result<Post, Fail> {
    Ok(match attrs.text("post_transform").as_deref() {
        None | Some("NONE" | "") => Post::None,
        Some("SOFTMAX") => Post::Softmax,
        Some("SOFTMAX_ZERO") => Post::SoftmaxZero,
        Some("LOGISTIC") => Post::Logistic,
        Some("PROBIT") => Post::Probit,
        Some(other) => return Err(format!("post_transform `{other}` does not exist").into()),
    })
}

/// Applies a post-transform to one row of scores.
pub(super) fn apply(post: Post, row: &mut [f32]) {
    match post {
        Post::None => {}
        Post::Logistic => row.iter_mut().for_each(|v| *v = logistic(*v)),
        Post::Probit => row.iter_mut().for_each(|v| *v = probit(*v)),
        Post::Softmax | Post::SoftmaxZero => {
            let zero = |v: f32| post == Post::SoftmaxZero && v.abs() <= 1e-7;
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for v in row.iter_mut() {
                // A score of zero is taken as absent: it keeps its value and its share of the sum is linear.
                *v = if zero(*v) { *v * (-top).exp() } else { (*v - top).exp() };
                sum += *v;
            }
            row.iter_mut().for_each(|v| *v /= sum);
        }
    }
}

/// The quantile function of the normal distribution, as ONNX Runtime computes it (Winitzki's inverse of erf).
fn probit(v: f32) -> f32 {
    let x = 2.0 * v - 1.0;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let v = 2.0 / (std::f32::consts::PI * 0.147) + 0.5 * log;
    let v2 = log / 0.147;
    let v3 = -v + (v * v - v2).sqrt();
    std::f32::consts::SQRT_2 * x.signum() * v3.sqrt()
}

/// Class labels, in the attribute forms of classifiers and `ZipMap`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Labels {
    Text(Vec<String>),
    Whole(Vec<i64>),
}

impl Labels {
    pub(super) fn read(attrs: Attrs<'_>, whole: &str) -> Self {
        match attrs.texts("classlabels_strings").filter(|texts| !texts.is_empty()) {
            Some(texts) => Self::Text(texts),
            None => Self::Whole(attrs.ints(whole).unwrap_or_default().to_vec()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(texts) => texts.len(),
            Self::Whole(whole) => whole.len(),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Text(texts) => texts.clone(),
            Self::Whole(whole) => whole.iter().map(i64::to_string).collect(),
        }
    }

    /// The labels at these indices; an index past the end is itself the label.
    pub(super) fn pick(&self, indices: &[usize]) -> Result<Value, Fail> {
        let shape = [indices.len()];
        let own = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
        Ok(match self {
            Self::Text(texts) => {
                let name = |&index: &usize| texts.get(index).cloned().unwrap_or_else(|| index.to_string());
                Value::Text(Tensor::new(shape, indices.iter().map(name).collect())?)
            }
            Self::Whole(whole) => {
                let number = |&index: &usize| whole.get(index).copied().unwrap_or_else(|| own(index));
                Value::I64(Tensor::new(shape, indices.iter().map(number).collect())?)
            }
        })
    }
}

/// The two axes of a table of rows; a single axis is one row.
pub(super) fn table(shape: &[usize]) -> Result<(usize, usize), Fail> {
    match *shape {
        [features] => Ok((1, features)),
        [rows, features] => Ok((rows, features)),
        [rows, ref rest @ ..] if rest.iter().filter(|&&axis| axis != 1).count() <= 1 => {
            Ok((rows, rest.iter().product()))
        }
        _ => Err(format!("a table of rows expected, shape {shape:?} found").into()),
    }
}
