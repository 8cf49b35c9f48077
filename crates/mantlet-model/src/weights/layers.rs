//! A description of layers, one after the other, with names for those that others come back to.
//!
//! Long because each kind of layer has its lines here.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::blocks::{self, FUNCTIONS};
use super::draft::{Bias, Draft, Spot, float, int, ints};
use super::{Architecture, MOST, misfit, size, wrong};
use crate::ModelError;

/// The kinds of layers beside the functions of each value.
const KINDS: [&str; 16] = [
    "linear",
    "conv1d",
    "conv2d",
    "batch_norm",
    "layer_norm",
    "max_pool",
    "average_pool",
    "global_average_pool",
    "global_max_pool",
    "flatten",
    "reshape",
    "softmax",
    "log_softmax",
    "dropout",
    "add",
    "concat",
];

/// A layer of a description, whose keys are taken one by one; what is left then is an error.
struct Layer {
    place: String,
    kind: String,
    keys: Map<String, Json>,
}

impl Layer {
    fn new(index: usize, json: &Json) -> Result<Self, ModelError> {
        let place = format!("layer {}", index + 1);
        // A layer without keys may stand as its kind alone.
        let mut keys = match json {
            Json::Object(keys) => keys.clone(),
            Json::String(kind) => Map::from_iter([("kind".to_owned(), Json::from(kind.as_str()))]),
            _ => return Err(misfit(place, "a table with a `kind` is expected")),
        };
        let Some(Json::String(kind)) = keys.remove("kind") else {
            return Err(misfit(place, "it has no `kind`"));
        };
        Ok(Self { place: format!("{place} (`{kind}`)"), kind, keys })
    }

    fn error(&self, reason: impl Into<String>) -> ModelError {
        misfit(self.place.clone(), reason)
    }

    fn word(&mut self, key: &str) -> Result<Option<String>, ModelError> {
        match self.keys.remove(key) {
            None => Ok(None),
            Some(Json::String(word)) => Ok(Some(word)),
            Some(_) => Err(self.error(format!("`{key}` has to be a word"))),
        }
    }

    fn words(&mut self, key: &str) -> Result<Vec<String>, ModelError> {
        let list = match self.keys.remove(key) {
            Some(Json::Array(list)) => list,
            Some(one @ Json::String(_)) => vec![one],
            _ => Vec::new(),
        };
        let words: Option<Vec<String>> = list.iter().map(|word| word.as_str().map(str::to_owned)).collect();
        words
            .filter(|words| !words.is_empty())
            .ok_or_else(|| self.error(format!("`{key}` has to name values")))
    }

    fn number(&mut self, key: &str) -> Result<Option<f32>, ModelError> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "numbers of a description are those of the model"
        )]
        let number = |value: Json| value.as_f64().map(|v| v as f32).filter(|v| v.is_finite());
        let Some(value) = self.keys.remove(key) else { return Ok(None) };
        number(value).map(Some).ok_or_else(|| self.error(format!("`{key}` has to be a number")))
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>, ModelError> {
        let Some(value) = self.keys.remove(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.error(format!("`{key}` has to be true or false")))
    }

    /// A size for each of the axes: one for all, or a list.
    fn sizes(&mut self, key: &str, axes: usize, least: usize) -> Result<Option<Vec<usize>>, ModelError> {
        let Some(value) = self.keys.remove(key) else { return Ok(None) };
        let one = |value: &Json| {
            value.as_u64().and_then(|v| usize::try_from(v).ok()).filter(|v| (least..=MOST).contains(v))
        };
        let sizes = match &value {
            Json::Array(list) => list.iter().map(one).collect::<Option<Vec<usize>>>(),
            single => one(single).map(|size| vec![size; axes]),
        };
        sizes.filter(|sizes| sizes.len() == axes).map(Some).ok_or_else(|| {
            self.error(format!("`{key}` has to be a whole number from {least} on, or a list of {axes}"))
        })
    }

    /// The beginning of the names of its tensors.
    fn weights(&mut self) -> Result<String, ModelError> {
        self.word("weights")?.ok_or_else(|| {
            self.error(
                "it has no `weights`: name the beginning of its tensors, such as `conv1` for `conv1.weight`",
            )
        })
    }

    fn bias(&mut self) -> Result<Bias, ModelError> {
        Ok(self.flag("bias")?.map_or(Bias::There, Bias::Told))
    }
}

/// Draws the layers of a description.
pub(super) fn draft(draft: &mut Draft, given: &Architecture) -> Result<(), ModelError> {
    let layers =
        given.keys.get("layers").and_then(Json::as_array).ok_or_else(|| wrong("layers", "a list"))?;
    if layers.len() > 20_000 {
        return Err(wrong("layers", "a list of 20000 at most"));
    }
    let mut x = draft.input("input", false, &input(draft, given, layers)?);
    let mut named = BTreeMap::from([("input".to_owned(), x.clone())]);
    for (index, layer) in layers.iter().enumerate() {
        let mut layer = Layer::new(index, layer)?;
        let name = layer.word("name")?;
        if let Some(from) = layer.word("from")? {
            x = find(&layer, &named, &from)?.clone();
        }
        x = one(draft, &mut layer, x, &named)?;
        if let Some(key) = layer.keys.keys().next() {
            return Err(layer.error(format!("`{key}` is no key of such a layer")));
        }
        let values = x.row.iter().try_fold(1_usize, |all, axis| all.checked_mul(*axis));
        if values.is_none_or(|values| values == 0 || values > 1 << 28) {
            return Err(layer.error(format!("it gives rows of shape {:?}", x.row)));
        }
        if let Some(name) = name
            && named.insert(name.clone(), x.clone()).is_some()
        {
            return Err(layer.error(format!("the name `{name}` is there twice")));
        }
    }
    if x.row.len() != 1 {
        let reason =
            format!("it ends with rows of shape {:?}, and one value for each class is expected", x.row);
        return Err(misfit("the last layer", reason));
    }
    draft.output("scores", &x);
    Ok(())
}

fn find<'a>(layer: &Layer, named: &'a BTreeMap<String, Spot>, name: &str) -> Result<&'a Spot, ModelError> {
    named.get(name).ok_or_else(|| layer.error(format!("no layer before it has the name `{name}`")))
}

/// The shape of a row: as described, or what a first full layer reads.
fn input(draft: &Draft, given: &Architecture, layers: &[Json]) -> Result<Vec<usize>, ModelError> {
    let broken = || wrong("input", "the shape of a row, such as `[3, 32, 32]` or the number of its values,");
    let row = match given.keys.get("input") {
        Some(Json::Array(axes)) => {
            axes.iter().map(size).collect::<Option<Vec<usize>>>().ok_or_else(broken)?
        }
        Some(one) => vec![size(one).ok_or_else(broken)?],
        None => {
            let first = layers
                .first()
                .filter(|first| first["kind"] == "linear")
                .and_then(|first| first["weights"].as_str());
            let shape = first.map(|at| draft.store.shape(&format!("{at}.weight"))).transpose()?;
            let width = shape.as_ref().and_then(|shape| shape.get(1)).copied().filter(|width| *width > 0);
            vec![width.ok_or_else(|| {
                misfit("`input`", "it is missing: name the shape of a row, such as `[3, 32, 32]`")
            })?]
        }
    };
    let values =
        row.iter().try_fold(1_usize, |all, axis| all.checked_mul(*axis)).filter(|values| *values <= 1 << 28);
    if row.is_empty() || row.len() > 4 || values.is_none() { Err(broken()) } else { Ok(row) }
}

fn one(
    draft: &mut Draft,
    layer: &mut Layer,
    x: Spot,
    named: &BTreeMap<String, Spot>,
) -> Result<Spot, ModelError> {
    let kind = layer.kind.clone();
    let slope = if matches!(kind.as_str(), "leaky_relu" | "elu") { layer.number("alpha")? } else { None };
    if kind == "dropout" {
        // Its share says nothing of answers.
        layer.number("p")?;
        return Ok(x);
    }
    if let Some(bent) = blocks::function(draft, &kind, &x, slope) {
        return Ok(bent);
    }
    let width: usize = x.row.iter().product();
    match kind.as_str() {
        "linear" => {
            let (at, bias) = (layer.weights()?, layer.bias()?);
            draft.linear(&at, &x, bias)
        }
        "conv1d" => convolution(draft, layer, &x, 1),
        "conv2d" => convolution(draft, layer, &x, 2),
        "batch_norm" => batch_norm(draft, layer, &x),
        "layer_norm" => {
            let (at, epsilon) = (layer.weights()?, layer.number("epsilon")?.unwrap_or(1e-5));
            draft.layer_norm(&at, &x, epsilon)
        }
        "max_pool" | "average_pool" => pool(draft, layer, &x),
        "global_average_pool" | "global_max_pool" => {
            let axes = spatial(layer, &x)?;
            let kind = if kind == "global_max_pool" { "GlobalMaxPool" } else { "GlobalAveragePool" };
            let name = draft.op(kind, &[&x.name], Vec::new());
            let row = std::iter::once(x.row[0]).chain(std::iter::repeat_n(1, axes)).collect();
            Ok(Spot { name, row })
        }
        "flatten" => {
            Ok(Spot { name: draft.op("Flatten", &[&x.name], vec![int("axis", 1)]), row: vec![width] })
        }
        "reshape" => {
            let Some(Json::Array(list)) = layer.keys.remove("shape") else {
                return Err(layer.error("`shape` has to be the shape of a row"));
            };
            let row: Option<Vec<usize>> = list.iter().map(size).collect();
            let row = row.filter(|row| {
                row.iter().try_fold(1_usize, |all, axis| all.checked_mul(*axis)) == Some(width)
            });
            let row =
                row.ok_or_else(|| layer.error(format!("`shape` has to hold the {width} values of a row")))?;
            let mut shape = vec![0_i64];
            shape.extend(super::draft::whole(&row));
            let shape = draft.integers(&shape);
            Ok(Spot { name: draft.op("Reshape", &[&x.name, &shape], Vec::new()), row })
        }
        "softmax" => Ok(draft.map("Softmax", &x, vec![int("axis", -1)])),
        "log_softmax" => Ok(draft.map("LogSoftmax", &x, vec![int("axis", -1)])),
        "add" => {
            let mut sum = x;
            for name in layer.words("with")? {
                let other = find(layer, named, &name)?;
                if other.row != sum.row {
                    let reason = format!(
                        "rows of `{name}` have the shape {:?}, and {:?} reaches it",
                        other.row, sum.row
                    );
                    return Err(layer.error(reason));
                }
                sum.name = draft.op("Add", &[&sum.name, &other.name], Vec::new());
            }
            Ok(sum)
        }
        "concat" => {
            let mut joined = x;
            for name in layer.words("with")? {
                let other = find(layer, named, &name)?;
                if other.row.is_empty()
                    || other.row.len() != joined.row.len()
                    || other.row[1..] != joined.row[1..]
                {
                    let reason = format!(
                        "rows of `{name}` have the shape {:?}, and {:?} reaches it",
                        other.row, joined.row
                    );
                    return Err(layer.error(reason));
                }
                joined.name = draft.op("Concat", &[&joined.name, &other.name], vec![int("axis", 1)]);
                joined.row[0] += other.row[0];
            }
            Ok(joined)
        }
        other => {
            let reason =
                format!("there is no such kind; there are {} and {}", KINDS.join(", "), FUNCTIONS.join(", "));
            Err(misfit(format!("{} (`{other}`)", layer.place.split(" (").next().unwrap_or_default()), reason))
        }
    }
}

/// The number of axes behind the channels.
fn spatial(layer: &Layer, x: &Spot) -> Result<usize, ModelError> {
    match x.row.len() {
        2 | 3 => Ok(x.row.len() - 1),
        _ => Err(layer
            .error(format!("rows of shape {:?} reach it, and [channels, height, width] is expected", x.row))),
    }
}

/// How long an axis is after a window went over it.
fn slid(length: usize, window: usize, stride: usize, pads: usize) -> Option<usize> {
    (length + pads).checked_sub(window).map(|room| room / stride + 1)
}

fn convolution(draft: &mut Draft, layer: &mut Layer, x: &Spot, axes: usize) -> Result<Spot, ModelError> {
    if spatial(layer, x)? != axes {
        return Err(layer.error(format!("rows of shape {:?} reach it", x.row)));
    }
    let (at, bias) = (layer.weights()?, layer.bias()?);
    let stride = layer.sizes("stride", axes, 1)?.unwrap_or_else(|| vec![1; axes]);
    let dilation = layer.sizes("dilation", axes, 1)?.unwrap_or_else(|| vec![1; axes]);
    let groups = layer.sizes("groups", 1, 1)?.map_or(1, |groups| groups[0]);
    let weight = format!("{at}.weight");
    let same = layer.keys.get("padding").is_some_and(|padding| padding == "same");
    let mut shape = vec![None, Some(x.row[0] / groups)];
    shape.extend(std::iter::repeat_n(None, axes));
    let own = draft.weight(&weight, &shape)?;
    if !x.row[0].is_multiple_of(groups) || !own[0].is_multiple_of(groups) {
        return Err(layer.error(format!("{groups} groups do not share {} and {} channels", x.row[0], own[0])));
    }
    let window: Vec<usize> =
        own[2..].iter().zip(&dilation).map(|(size, step)| (size - 1).saturating_mul(*step) + 1).collect();
    let (front, back) = if same {
        layer.keys.remove("padding");
        if stride.iter().any(|stride| *stride != 1) {
            return Err(layer.error("`padding = \"same\"` goes with a stride of 1"));
        }
        let all = || window.iter().map(|window| window - 1);
        (all().map(|all| all / 2).collect::<Vec<_>>(), all().map(|all| all - all / 2).collect::<Vec<_>>())
    } else {
        let pads = layer.sizes("padding", axes, 0)?.unwrap_or_else(|| vec![0; axes]);
        (pads.clone(), pads)
    };
    let mut row = vec![own[0]];
    for (axis, window) in window.iter().enumerate() {
        let length = slid(x.row[1 + axis], *window, stride[axis], front[axis] + back[axis]);
        row.push(
            length
                .ok_or_else(|| layer.error(format!("its window is larger than rows of shape {:?}", x.row)))?,
        );
    }
    let shift = format!("{at}.bias");
    let mut inputs = vec![x.name.as_str(), &weight];
    if !matches!(bias, Bias::Told(false)) {
        draft.weight(&shift, &[Some(own[0])])?;
        inputs.push(&shift);
    }
    let groups = i64::try_from(groups).unwrap_or(1);
    let attributes = vec![
        ints("strides", &stride),
        ints("dilations", &dilation),
        ints("pads", &[front, back].concat()),
        int("group", groups),
    ];
    Ok(Spot { name: draft.op("Conv", &inputs, attributes), row })
}

fn batch_norm(draft: &mut Draft, layer: &mut Layer, x: &Spot) -> Result<Spot, ModelError> {
    let (at, epsilon) = (layer.weights()?, layer.number("epsilon")?.unwrap_or(1e-5));
    let channels = x.row.first().copied().unwrap_or(0);
    let names = ["weight", "bias", "running_mean", "running_var"].map(|name| format!("{at}.{name}"));
    for name in &names {
        draft.weight(name, &[Some(channels)])?;
    }
    let [weight, bias, mean, variance] = &names;
    let name = draft.op(
        "BatchNormalization",
        &[&x.name, weight, bias, mean, variance],
        vec![float("epsilon", epsilon)],
    );
    Ok(Spot { name, row: x.row.clone() })
}

fn pool(draft: &mut Draft, layer: &mut Layer, x: &Spot) -> Result<Spot, ModelError> {
    let axes = spatial(layer, x)?;
    let window =
        layer.sizes("size", axes, 1)?.ok_or_else(|| layer.error("it has no `size`: that of its window"))?;
    let stride = layer.sizes("stride", axes, 1)?.unwrap_or_else(|| window.clone());
    let pads = layer.sizes("padding", axes, 0)?.unwrap_or_else(|| vec![0; axes]);
    let mut row = vec![x.row[0]];
    for (axis, window) in window.iter().enumerate() {
        if pads[axis] * 2 > *window {
            return Err(layer.error("more than half of a window would be padding"));
        }
        let length = slid(x.row[1 + axis], *window, stride[axis], pads[axis] * 2);
        row.push(
            length
                .ok_or_else(|| layer.error(format!("its window is larger than rows of shape {:?}", x.row)))?,
        );
    }
    let mut attributes = vec![
        ints("kernel_shape", &window),
        ints("strides", &stride),
        ints("pads", &[pads.clone(), pads].concat()),
    ];
    let kind = if layer.kind == "max_pool" { "MaxPool" } else { "AveragePool" };
    if kind == "AveragePool" {
        let counted = layer.flag("count_padding")?.unwrap_or(true);
        attributes.push(int("count_include_pad", i64::from(counted)));
    }
    Ok(Spot { name: draft.op(kind, &[&x.name], attributes), row })
}
