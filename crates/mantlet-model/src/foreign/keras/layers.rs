//! The layers of Keras.
//!
//! Long because every layer has its line here.

use mantlet_formats::onnx::schema::DataType;
use serde_json::Value as Json;

use super::{Layer, Reader, Variable};
use crate::ModelError;
use crate::foreign::invalid;
use crate::foreign::layers::{Padding, Window};
use crate::foreign::numbers::{float, int, ints};
use crate::foreign::sketch::Val;

impl Layer<'_> {
    fn flag(&self, key: &str, none: bool) -> bool {
        self.config.get(key).and_then(Json::as_bool).unwrap_or(none)
    }

    pub(super) fn text(&self, key: &str) -> &str {
        self.config.get(key).and_then(Json::as_str).unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<f32> {
        self.config.get(key).and_then(Json::as_f64).map(|number| number as f32)
    }

    /// A number, or a list of them.
    pub(super) fn whole(&self, key: &str) -> Option<Vec<i64>> {
        match self.config.get(key)? {
            Json::Array(items) => items.iter().map(Json::as_i64).collect(),
            value => value.as_i64().map(|value| vec![value]),
        }
    }

    /// As many sizes as a picture has axes.
    fn sizes(&self, key: &str, axes: usize) -> Option<Vec<usize>> {
        let list = self.whole(key)?;
        let list = if list.len() == 1 { vec![list[0]; axes] } else { list };
        let sizes: Option<Vec<usize>> = list.into_iter().map(|size| usize::try_from(size).ok()).collect();
        sizes.filter(|sizes| sizes.len() == axes)
    }

    /// The function that a layer ends with.
    fn bend(&self) -> Option<&str> {
        match self.config.get("activation") {
            None | Some(Json::Null) => Some("linear"),
            Some(Json::String(name)) => Some(name),
            Some(Json::Object(map)) => map.get("config").and_then(Json::as_str),
            _ => None,
        }
    }

    /// Whether an axis is the last one.
    fn is_last(&self, axis: i64) -> bool {
        axis == -1 || self.shape.is_some_and(|shape| usize::try_from(axis + 1) == Ok(shape.len()))
    }

    /// Its numbers are single floats.
    fn single(&self) -> bool {
        match self.config.get("dtype") {
            None | Some(Json::Null) => true,
            Some(Json::String(name)) => name == "float32",
            Some(policy) => {
                policy.get("config").and_then(|config| config.get("name")?.as_str()) == Some("float32")
            }
        }
    }

    fn wrong(&self, reason: &str) -> ModelError {
        invalid(format!("layer `{}` ({})", self.name, self.class), reason)
    }
}

impl Reader<'_> {
    fn weight(&mut self, layer: &Layer<'_>, variable: Variable) -> Result<Val, ModelError> {
        let numbers = self.variable(layer, variable)?;
        Ok(self.sketch.constant(&format!("{}/{}", layer.name, variable.1), numbers))
    }

    /// Adds the function that a layer ends with.
    fn bent(&mut self, layer: &Layer<'_>, x: &Val) -> Val {
        let Some(name) = layer.bend() else {
            return self.sketch.unknown(&format!("activation of {}", layer.class));
        };
        if matches!(name, "hard_sigmoid" | "hard_silu" | "hard_swish") && self.version != Some(3) {
            return self.sketch.unknown(&format!("activation {name} of an older Keras"));
        }
        let bent = self.sketch.bent(layer.name, x, name);
        bent.unwrap_or_else(|| self.sketch.unknown(&format!("activation {name}")))
    }

    /// The value of a layer.
    pub(super) fn layer(&mut self, layer: &Layer<'_>, operands: &[Val]) -> Result<Val, ModelError> {
        let x = operands.first().ok_or_else(|| layer.wrong("it reads nothing"))?.clone();
        let name = layer.name;
        let class = layer.class;
        if layer.text("data_format") == "channels_first" {
            return Ok(self.sketch.unknown(&format!("{class} with channels first")));
        }
        if !layer.single() {
            return Ok(self.sketch.unknown(&format!("{class} in another precision")));
        }
        let axes = class.chars().find(char::is_ascii_digit).and_then(|digit| digit.to_digit(10)).unwrap_or(2);
        let axes = axes.clamp(1, 3) as usize;
        let many = |kind: &'static str| (kind, operands.iter().collect::<Vec<_>>());
        Ok(match class {
            "Dropout"
            | "SpatialDropout1D"
            | "SpatialDropout2D"
            | "SpatialDropout3D"
            | "GaussianNoise"
            | "GaussianDropout"
            | "AlphaDropout"
            | "ActivityRegularization"
            | "Identity" => x,
            "Dense" => {
                let kernel = self.weight(layer, (0, "kernel"))?;
                let mut y = self.sketch.op("MatMul", name, &[&x, &kernel], vec![]);
                if layer.flag("use_bias", true) {
                    let bias = self.weight(layer, (1, "bias"))?;
                    y = self.sketch.op("Add", name, &[&y, &bias], vec![]);
                }
                self.bent(layer, &y)
            }
            "Conv1D" | "Conv2D" | "Conv3D" | "Convolution2D" | "DepthwiseConv1D" | "DepthwiseConv2D" => {
                let each = class.starts_with("Depthwise");
                let kernel = self.weight(layer, (0, "kernel"))?;
                let window = window(layer, axes).ok_or_else(|| layer.wrong("its window cannot be read"))?;
                let groups = layer.whole("groups").and_then(|list| usize::try_from(*list.first()?).ok());
                let mut y = self.sketch.conv(name, &x, &kernel, &window, (groups.unwrap_or(1), each))?;
                if layer.flag("use_bias", true) {
                    let bias = self.weight(layer, (1, "bias"))?;
                    y = self.sketch.op("Add", name, &[&y, &bias], vec![]);
                }
                self.bent(layer, &y)
            }
            "SeparableConv1D" | "SeparableConv2D" => {
                let window = window(layer, axes).ok_or_else(|| layer.wrong("its window cannot be read"))?;
                let each = self.weight(layer, (0, "depthwise_kernel"))?;
                let across = self.weight(layer, (1, "pointwise_kernel"))?;
                let y = self.sketch.conv(name, &x, &each, &window, (1, true))?;
                let one = vec![1; axes];
                let plain = Window { strides: one.clone(), dilations: one, padding: Padding::Valid };
                let mut y = self.sketch.conv(name, &y, &across, &plain, (1, false))?;
                if layer.flag("use_bias", true) {
                    let bias = self.weight(layer, (2, "bias"))?;
                    y = self.sketch.op("Add", name, &[&y, &bias], vec![]);
                }
                self.bent(layer, &y)
            }
            "BatchNormalization" => {
                let axis = layer.whole("axis").unwrap_or_else(|| vec![-1]);
                if axis.len() != 1 || !layer.is_last(axis[0]) {
                    return Ok(self.sketch.unknown("BatchNormalization over another axis than the last"));
                }
                let (scale, center) = (layer.flag("scale", true), layer.flag("center", true));
                let before = usize::from(scale) + usize::from(center);
                let list = |reader: &mut Self, there: bool, variable: Variable| {
                    let numbers = there.then(|| reader.variable(layer, variable)).transpose()?;
                    Ok::<_, ModelError>(numbers.and_then(|numbers| numbers.floats()))
                };
                let gamma = list(self, scale, (0, "gamma"))?;
                let beta = list(self, center, (usize::from(scale), "beta"))?;
                let mean = list(self, true, (before, "moving_mean"))?;
                let variance = list(self, true, (before + 1, "moving_variance"))?;
                let lists = [gamma.as_deref(), beta.as_deref(), mean.as_deref(), variance.as_deref()];
                self.sketch.normed(name, &x, lists, layer.number("epsilon").unwrap_or(1e-3))?
            }
            "LayerNormalization" => {
                let axis = layer.whole("axis").unwrap_or_else(|| vec![-1]);
                let (scale, center) = (layer.flag("scale", true), layer.flag("center", true));
                if axis.len() != 1 || !layer.is_last(axis[0]) || !scale || layer.flag("rms_scaling", false) {
                    return Ok(self.sketch.unknown("LayerNormalization of another form"));
                }
                let gamma = self.weight(layer, (0, "gamma"))?;
                let beta = center.then(|| self.weight(layer, (1, "beta"))).transpose()?;
                let epsilon = layer.number("epsilon").unwrap_or(1e-3);
                let reads: Vec<&Val> =
                    [Some(&x), Some(&gamma), beta.as_ref()].into_iter().flatten().collect();
                let attributes = vec![int("axis", -1), float("epsilon", epsilon)];
                self.sketch.op("LayerNormalization", name, &reads, attributes)
            }
            "Activation" => self.bent(layer, &x),
            "ReLU" => {
                let slope = layer.number("negative_slope").unwrap_or(0.0);
                let threshold = layer.number("threshold").unwrap_or(0.0);
                match layer.number("max_value") {
                    _ if threshold != 0.0 => self.sketch.unknown("ReLU with a threshold"),
                    Some(_) if slope != 0.0 => self.sketch.unknown("ReLU with a bound and a slope"),
                    Some(most) => self.sketch.clipped(name, &x, 0.0, most),
                    None if slope != 0.0 => {
                        self.sketch.op("LeakyRelu", name, &[&x], vec![float("alpha", slope)])
                    }
                    None => self.sketch.op("Relu", name, &[&x], vec![]),
                }
            }
            "LeakyReLU" => match layer.number("negative_slope").or(layer.number("alpha")) {
                Some(slope) => self.sketch.op("LeakyRelu", name, &[&x], vec![float("alpha", slope)]),
                None => return Err(layer.wrong("it does not say its slope")),
            },
            "ELU" => {
                let alpha = layer.number("alpha").unwrap_or(1.0);
                self.sketch.op("Elu", name, &[&x], vec![float("alpha", alpha)])
            }
            "PReLU" => {
                let alpha = self.weight(layer, (0, "alpha"))?;
                self.sketch.op("PRelu", name, &[&x, &alpha], vec![])
            }
            "Softmax" => match layer.whole("axis").unwrap_or_else(|| vec![-1])[..] {
                [axis] => self.sketch.op("Softmax", name, &[&x], vec![int("axis", axis)]),
                _ => self.sketch.unknown("Softmax over several axes"),
            },
            "MaxPooling1D" | "MaxPooling2D" | "MaxPooling3D" | "AveragePooling1D" | "AveragePooling2D"
            | "AveragePooling3D" => {
                let size =
                    layer.sizes("pool_size", axes).ok_or_else(|| layer.wrong("its window cannot be read"))?;
                let strides = layer.sizes("strides", axes).unwrap_or_else(|| size.clone());
                let padding = match layer.text("padding") {
                    "same" => Padding::Same,
                    "valid" => Padding::Valid,
                    _ => return Err(layer.wrong("its padding is neither `same` nor `valid`")),
                };
                let window = Window { strides, dilations: vec![1; axes], padding };
                self.sketch.pool(name, &x, class.starts_with("Max"), &size, &window)?
            }
            "GlobalAveragePooling1D"
            | "GlobalAveragePooling2D"
            | "GlobalAveragePooling3D"
            | "GlobalMaxPooling1D"
            | "GlobalMaxPooling2D"
            | "GlobalMaxPooling3D" => {
                let kind = if class.contains("Max") { "ReduceMax" } else { "ReduceMean" };
                let over: Vec<i64> = (1..=axes as i64).collect();
                self.sketch.reduce(kind, name, &x, Some(&over), layer.flag("keepdims", false))
            }
            "Flatten" => self.sketch.op("Flatten", name, &[&x], vec![int("axis", 1)]),
            "Reshape" => {
                let target = layer.whole("target_shape").filter(|shape| !shape.contains(&0));
                let target = target.ok_or_else(|| layer.wrong("its shape cannot be read"))?;
                let shape: Vec<i64> = std::iter::once(0).chain(target).collect();
                let shape = self.sketch.list(&format!("{name}/shape"), &shape);
                self.sketch.op("Reshape", name, &[&x, &shape], vec![])
            }
            "Permute" => {
                let dims = layer.whole("dims").ok_or_else(|| layer.wrong("its axes cannot be read"))?;
                let perm: Vec<i64> = std::iter::once(0).chain(dims).collect();
                self.sketch.op("Transpose", name, &[&x], vec![ints("perm", &perm)])
            }
            "ZeroPadding1D" | "ZeroPadding2D" | "ZeroPadding3D" => {
                let pads = pairs(layer.config.get("padding").unwrap_or(&Json::Null), axes)
                    .ok_or_else(|| layer.wrong("its padding cannot be read"))?;
                let side = |of: fn(&(i64, i64)) -> i64| {
                    std::iter::once(0).chain(pads.iter().map(of)).chain([0]).collect::<Vec<_>>()
                };
                let order = [side(|pad| pad.0), side(|pad| pad.1)].concat();
                let pads = self.sketch.list(&format!("{name}/pads"), &order);
                self.sketch.op("Pad", name, &[&x, &pads], vec![])
            }
            "Rescaling" => {
                let (Some(scale), Some(offset)) = (layer.number("scale"), layer.number("offset")) else {
                    return Ok(self.sketch.unknown("Rescaling of each channel"));
                };
                let scale = self.sketch.number(&format!("{name}/scale"), scale);
                let offset = self.sketch.number(&format!("{name}/offset"), offset);
                let y = self.sketch.op("Mul", name, &[&x, &scale], vec![]);
                self.sketch.op("Add", name, &[&y, &offset], vec![])
            }
            "Embedding" => {
                let table = self.weight(layer, (0, "embeddings"))?;
                let words = self.sketch.cast(name, &x, DataType::Int64);
                self.sketch.op("Gather", name, &[&table, &words], vec![int("axis", 0)])
            }
            "Add" | "Multiply" | "Average" | "Maximum" | "Minimum" => {
                let (kind, reads) = match class {
                    "Add" => many("Sum"),
                    "Average" => many("Mean"),
                    "Maximum" => many("Max"),
                    "Minimum" => many("Min"),
                    _ => many("Mul"),
                };
                if kind == "Mul" {
                    let mut product = x.clone();
                    for factor in &reads[1..] {
                        product = self.sketch.op("Mul", name, &[&product, factor], vec![]);
                    }
                    product
                } else {
                    self.sketch.op(kind, name, &reads, vec![])
                }
            }
            "Subtract" if operands.len() == 2 => self.sketch.op("Sub", name, &[&x, &operands[1]], vec![]),
            "Concatenate" => {
                let axis = layer.whole("axis").and_then(|list| list.first().copied()).unwrap_or(-1);
                self.sketch.op("Concat", name, &many("Concat").1, vec![int("axis", axis)])
            }
            other => self.sketch.unknown(&format!("layer {other}")),
        })
    }
}

fn window(layer: &Layer<'_>, axes: usize) -> Option<Window> {
    let strides = layer.sizes("strides", axes)?;
    let dilations = layer.sizes("dilation_rate", axes).unwrap_or_else(|| vec![1; axes]);
    let padding = match layer.text("padding") {
        "same" => Padding::Same,
        "valid" => Padding::Valid,
        "causal" if axes == 1 => {
            let size = layer.sizes("kernel_size", 1)?[0];
            Padding::Told(vec![(size.checked_sub(1)?.checked_mul(dilations[0])?, 0)])
        }
        _ => return None,
    };
    Some(Window { strides, dilations, padding })
}

/// Paddings before and after each axis: one number, one for each axis, or two for each.
fn pairs(value: &Json, axes: usize) -> Option<Vec<(i64, i64)>> {
    let size = |value: &Json| value.as_i64().filter(|size| (0..1 << 16).contains(size));
    match value {
        Json::Number(_) => size(value).map(|size| vec![(size, size); axes]),
        Json::Array(items) if axes == 1 && items.len() == 2 => {
            Some(vec![(size(&items[0])?, size(&items[1])?)])
        }
        Json::Array(items) if items.len() == axes => items
            .iter()
            .map(|item| match item {
                Json::Array(both) if both.len() == 2 => Some((size(&both[0])?, size(&both[1])?)),
                other => size(other).map(|size| (size, size)),
            })
            .collect(),
        _ => None,
    }
}
