//! Categories to numbers and back.

use std::collections::HashMap;

use mantlet_vocab::{Tensor, Value};

use crate::attrs::Attrs;
use crate::ops::{Edge, Inputs, Operator};
use crate::run::{Fail, Run};
use crate::values::{dtype, len, same_type};

/// A category.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Text(String),
    Whole(i64),
    /// The bits of a double; all NaN are one.
    Real(u64),
}

fn real(v: f64) -> Key {
    let v = if v.is_nan() { f64::NAN } else { v + 0.0 };
    Key::Real(v.to_bits())
}

fn keys(value: &Value) -> Vec<Key> {
    match value {
        Value::Text(t) => t.data().iter().cloned().map(Key::Text).collect(),
        Value::I64(t) => t.data().iter().map(|&v| Key::Whole(v)).collect(),
        Value::I32(t) => t.data().iter().map(|&v| Key::Whole(i64::from(v))).collect(),
        Value::U8(t) => t.data().iter().map(|&v| Key::Whole(i64::from(v))).collect(),
        Value::Bool(t) => t.data().iter().map(|&v| Key::Whole(i64::from(v))).collect(),
        Value::F32(t) => t.data().iter().map(|&v| real(f64::from(v))).collect(),
        Value::F64(t) => t.data().iter().map(|&v| real(v)).collect(),
    }
}

/// `LabelEncoder` in all its attribute forms.
pub(crate) struct LabelEncoder {
    index: HashMap<Key, usize>,
    /// The values; the last is the default.
    values: Value,
}

impl LabelEncoder {
    pub(crate) fn new(
        attrs: Attrs<'_>,
        tensor: &dyn Fn(&str) -> Result<Option<Value>, Fail>,
    ) -> Result<Self, Fail> {
        let pack = |name: &str| -> Result<Option<Value>, Fail> {
            if let Some(texts) = attrs.texts(&format!("{name}_strings")).filter(|list| !list.is_empty()) {
                return Ok(Some(Value::Text(Tensor::new([texts.len()], texts)?)));
            }
            if let Some(whole) = attrs.ints(&format!("{name}_int64s")).filter(|list| !list.is_empty()) {
                return Ok(Some(Value::I64(Tensor::new([whole.len()], whole.to_vec())?)));
            }
            if let Some(reals) = attrs.floats(&format!("{name}_floats")).filter(|list| !list.is_empty()) {
                return Ok(Some(Value::F32(Tensor::new([reals.len()], reals.to_vec())?)));
            }
            tensor(&format!("{name}_tensor"))
        };
        let (keys_value, values) = match (pack("keys")?, pack("values")?) {
            (Some(keys), Some(values)) => (keys, values),
            _ => return Err("keys or values are missing".into()),
        };
        let index: HashMap<Key, usize> = keys(&keys_value).into_iter().zip(0..).collect();
        if len(&keys_value) != len(&values) {
            return Err(format!("{} keys for {} values", len(&keys_value), len(&values)).into());
        }
        let given = tensor("default_tensor")?;
        macro_rules! with_default {
            ($t:expr, $v:ident, $default:expr) => {{
                let default = match &given {
                    Some(Value::$v(given)) => given.data().first().cloned().unwrap_or($default),
                    _ => $default,
                };
                let mut list = $t.data().to_vec();
                list.push(default);
                Value::$v(Tensor::new([list.len()], list)?)
            }};
        }
        let values = match &values {
            Value::Text(t) => {
                with_default!(t, Text, attrs.text("default_string").unwrap_or_else(|| "_Unused".to_owned()))
            }
            Value::I64(t) => with_default!(t, I64, attrs.int("default_int64", -1)),
            Value::I32(t) => with_default!(t, I32, -1),
            Value::F32(t) => with_default!(t, F32, attrs.float("default_float", -0.0)),
            Value::F64(t) => with_default!(t, F64, -0.0),
            other => return Err(format!("values of {}", dtype(other)).into()),
        };
        Ok(Self { index, values })
    }
}

impl Operator for LabelEncoder {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        run.room(len(value), 64)?;
        let default = self.index.len().max(len(&self.values) - 1);
        let picks: Vec<usize> =
            keys(value).iter().map(|key| self.index.get(key).copied().unwrap_or(default)).collect();
        let shape = value.shape().to_vec();
        Ok(vec![same_type!(&self.values, t => {
            Tensor::new(shape.clone(), picks.iter().filter_map(|&at| t.data().get(at).cloned()).collect())?
        })])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blocked
    }
}

/// `CategoryMapper` and the first `LabelEncoder`: names to numbers or back by what comes in.
pub(crate) struct CategoryMapper {
    texts: Vec<String>,
    numbers: Vec<i64>,
    default: (String, i64),
}

impl CategoryMapper {
    pub(crate) fn new(attrs: Attrs<'_>) -> Result<Self, Fail> {
        let default = (
            attrs.text("default_string").unwrap_or_else(|| "_Unused".to_owned()),
            attrs.int("default_int64", -1),
        );
        if let Some(texts) = attrs.texts("classes_strings") {
            let numbers = (0..).take(texts.len()).collect();
            return Ok(Self { texts, numbers, default });
        }
        let texts = attrs.texts("cats_strings").unwrap_or_default();
        let numbers = attrs.ints("cats_int64s").unwrap_or_default().to_vec();
        if texts.len() != numbers.len() {
            return Err(format!("{} names for {} numbers", texts.len(), numbers.len()).into());
        }
        Ok(Self { texts, numbers, default })
    }
}

impl Operator for CategoryMapper {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        run.room(len(value), 64)?;
        Ok(vec![match value {
            Value::Text(t) => {
                let index: HashMap<&str, i64> =
                    self.texts.iter().map(String::as_str).zip(self.numbers.iter().copied()).collect();
                let number = |text: &String| index.get(text.as_str()).copied().unwrap_or(self.default.1);
                Value::I64(Tensor::new(t.shape(), t.data().iter().map(number).collect())?)
            }
            Value::I64(t) => {
                let index: HashMap<i64, &String> = self.numbers.iter().copied().zip(&self.texts).collect();
                let name =
                    |v: &i64| index.get(v).map_or_else(|| self.default.0.clone(), |&text| text.clone());
                Value::Text(Tensor::new(t.shape(), t.data().iter().map(name).collect())?)
            }
            other => return Err(format!("not defined for {}", dtype(other)).into()),
        }])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blocked
    }
}

/// `OneHotEncoder` of `ai.onnx.ml`.
pub(crate) struct OneHot {
    index: HashMap<Key, usize>,
    width: usize,
    /// Unknown categories give a row of zeros rather than an error.
    zeros: bool,
}

impl OneHot {
    pub(crate) fn new(attrs: Attrs<'_>) -> Result<Self, Fail> {
        let categories: Vec<Key> = match attrs.texts("cats_strings").filter(|texts| !texts.is_empty()) {
            Some(texts) => texts.into_iter().map(Key::Text).collect(),
            None => attrs.ints("cats_int64s").unwrap_or_default().iter().map(|&v| Key::Whole(v)).collect(),
        };
        let width = categories.len();
        if width == 0 {
            return Err("the categories are missing".into());
        }
        Ok(Self {
            index: categories.into_iter().zip(0..).collect(),
            width,
            zeros: attrs.int("zeros", 1) != 0,
        })
    }
}

impl Operator for OneHot {
    fn forward(
        &self,
        run: &mut Run,
        inputs: Inputs<'_>,
        _: Option<&mut Vec<u32>>,
    ) -> Result<Vec<Value>, Fail> {
        let value = inputs.get(0)?;
        let mut shape = value.shape().to_vec();
        shape.push(self.width);
        let mut out = run.zeros(&shape)?;
        #[expect(clippy::cast_possible_truncation, reason = "categories are whole numbers")]
        let categories: Vec<Key> = match value {
            Value::F32(t) => t.data().iter().map(|&v| Key::Whole(v as i64)).collect(),
            Value::F64(t) => t.data().iter().map(|&v| Key::Whole(v as i64)).collect(),
            other => keys(other),
        };
        for (row, key) in out.data_mut().chunks_exact_mut(self.width).zip(&categories) {
            match self.index.get(key) {
                Some(&at) => row[at] = 1.0,
                None if self.zeros => {}
                None => return Err("an unknown category".into()),
            }
        }
        Ok(vec![Value::F32(out)])
    }

    fn edge(&self, _: usize) -> Edge {
        Edge::Blocked
    }
}
