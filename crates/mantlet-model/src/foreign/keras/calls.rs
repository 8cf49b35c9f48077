//! The operations of Keras 3 (`keras.ops`) between layers.
//!
//! Numbers that stand beside tensors take their element type, as Python's do.

use mantlet_formats::onnx::schema::DataType;
use serde_json::Value as Json;

use super::{Layer, Made, Reader, kind, text};
use crate::ModelError;
use crate::foreign::invalid;
use crate::foreign::layers::Taken;
use crate::foreign::numbers::{Numbers, int, ints};
use crate::foreign::sketch::Val;

/// What a call is given: a value and its element type where the file says it, or a number.
enum Given {
    Val(Val, Option<DataType>),
    Number(f64, bool),
}

impl Given {
    fn is_float(&self) -> bool {
        match self {
            Self::Val(_, kind) => matches!(kind, Some(DataType::Float | DataType::Double)),
            Self::Number(_, whole) => !whole,
        }
    }

    fn kind(&self) -> Option<DataType> {
        match self {
            Self::Val(_, kind) => *kind,
            Self::Number(..) => None,
        }
    }
}

/// Operations that are one of ONNX with one operand.
fn single(class: &str) -> Option<&'static str> {
    Some(match class {
        "Abs" | "Absolute" => "Abs",
        "Negative" => "Neg",
        "Exp" => "Exp",
        "Log" => "Log",
        "Sqrt" => "Sqrt",
        "Sign" => "Sign",
        "Floor" => "Floor",
        "Ceil" => "Ceil",
        "Tanh" => "Tanh",
        "Sin" => "Sin",
        "Cos" => "Cos",
        "Reciprocal" => "Reciprocal",
        "Relu" => "Relu",
        "Sigmoid" => "Sigmoid",
        "Softplus" => "Softplus",
        "Erf" => "Erf",
        _ => return None,
    })
}

/// Operations of two operands, and whether they answer yes or no.
fn double(class: &str) -> Option<(&'static str, bool)> {
    Some(match class {
        "Add" => ("Add", false),
        "Subtract" => ("Sub", false),
        "Multiply" => ("Mul", false),
        "Divide" | "TrueDivide" => ("Div", false),
        "Maximum" => ("Max", false),
        "Minimum" => ("Min", false),
        "Power" => ("Pow", false),
        "Greater" => ("Greater", true),
        "GreaterEqual" => ("GreaterOrEqual", true),
        "Less" => ("Less", true),
        "LessEqual" => ("LessOrEqual", true),
        "Equal" | "NotEqual" => ("Equal", true),
        _ => return None,
    })
}

impl Reader<'_> {
    /// The value of an operation.
    pub(super) fn call(&mut self, layer: &Layer<'_>, call: &Json, made: &Made) -> Result<Val, ModelError> {
        let (class, name) = (layer.class, layer.name);
        let wrong = |reason: &str| invalid(format!("operation `{name}` ({class})"), reason);
        let args = call.get("args").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        // Operands by name are rare, and which place they take is a matter of the version.
        if call.get("kwargs").and_then(Json::as_object).is_some_and(|named| !named.is_empty()) {
            return Ok(self.sketch.unknown(&format!("operation {class} with operands by name")));
        }
        let whole = |key: &str| layer.whole(key);
        let keep = layer.config.get("keepdims").and_then(Json::as_bool).unwrap_or(false);
        if class == "GetItem" {
            let x = self.given(args.first().unwrap_or(&Json::Null), made)?;
            let Some(Given::Val(x, _)) = x else { return Err(wrong("it takes parts of nothing")) };
            return match taken(args.get(1).unwrap_or(&Json::Null)) {
                Some(taken) => self.sketch.taken(name, &x, &taken),
                None => Ok(self.sketch.unknown("operation GetItem by what is computed")),
            };
        }
        if matches!(class, "Concatenate" | "Stack") {
            let axis = whole("axis").and_then(|list| list.first().copied()).unwrap_or(0);
            let mut parts = Vec::new();
            self.operands(args.first().unwrap_or(&Json::Null), made, &mut parts, 0)?;
            if parts.is_empty() {
                return Err(wrong("it puts nothing together"));
            }
            return Ok(match class {
                "Stack" => self.sketch.stacked(name, &parts, axis),
                _ => {
                    self.sketch.op("Concat", name, &parts.iter().collect::<Vec<_>>(), vec![int("axis", axis)])
                }
            });
        }
        let mut given = Vec::new();
        for arg in args.iter().take(4) {
            match self.given(arg, made)? {
                Some(value) => given.push(value),
                None => return Ok(self.sketch.unknown(&format!("operation {class} with such operands"))),
            }
        }
        if let (Some((kind, _)), 2) = (double(class), given.len()) {
            let both = self.alike(name, &given, kind == "Div")?;
            let y = self.sketch.op(kind, name, &[&both[0], &both[1]], vec![]);
            return Ok(if class == "NotEqual" { self.sketch.op("Not", name, &[&y], vec![]) } else { y });
        }
        if class == "Where" && given.len() == 3 {
            let condition = self.truth(name, &given[0])?;
            let both = self.alike(name, &given[1..], false)?;
            return Ok(self.sketch.op("Where", name, &[&condition, &both[0], &both[1]], vec![]));
        }
        if let ("LogicalAnd" | "LogicalOr", [a, b]) = (class, &given[..]) {
            let (a, b) = (self.truth(name, a)?, self.truth(name, b)?);
            return Ok(self.sketch.op(
                if class == "LogicalAnd" { "And" } else { "Or" },
                name,
                &[&a, &b],
                vec![],
            ));
        }
        if let ("Matmul", [Given::Val(a, _), Given::Val(b, _)]) = (class, &given[..]) {
            return Ok(self.sketch.op("MatMul", name, &[a, b], vec![]));
        }
        let Some(first @ Given::Val(x, _)) = given.first().filter(|_| given.len() == 1) else {
            return Ok(self.sketch.unknown(&format!("operation {class}")));
        };
        if let Some(kind) = single(class) {
            if !first.is_float() {
                return Ok(self.sketch.unknown(&format!("operation {class} of whole numbers")));
            }
            return Ok(self.sketch.op(kind, name, &[x], vec![]));
        }
        let axes = whole("axis");
        Ok(match class {
            "Sum" | "Mean" | "Max" | "Min" | "Prod" | "Amax" | "Amin" if first.is_float() => {
                let kind = match class {
                    "Sum" => "ReduceSum",
                    "Mean" => "ReduceMean",
                    "Max" | "Amax" => "ReduceMax",
                    "Min" | "Amin" => "ReduceMin",
                    _ => "ReduceProd",
                };
                self.sketch.reduce(kind, name, x, axes.as_deref(), keep)
            }
            "All" | "Any" => {
                let x = self.truth(name, first)?;
                self.sketch.quantified(class == "All", name, &x, axes.as_deref(), keep)
            }
            "LogicalNot" => {
                let x = self.truth(name, first)?;
                self.sketch.op("Not", name, &[&x], vec![])
            }
            "Square" => self.sketch.op("Mul", name, &[x, x], vec![]),
            "Rsqrt" => {
                let root = self.sketch.op("Sqrt", name, &[x], vec![]);
                self.sketch.op("Reciprocal", name, &[&root], vec![])
            }
            "Softmax" => {
                let axis = axes.and_then(|list| list.first().copied()).unwrap_or(-1);
                self.sketch.op("Softmax", name, &[x], vec![int("axis", axis)])
            }
            "Clip" => {
                let bound =
                    |key: &str| layer.config.get(key).and_then(Json::as_f64).map(|bound| bound as f32);
                match bound("x_min").zip(bound("x_max")).filter(|_| first.is_float()) {
                    Some((low, high)) => self.sketch.clipped(name, x, low, high),
                    None => self.sketch.unknown("operation Clip of such bounds"),
                }
            }
            "Cast" => match kind(layer.text("dtype")) {
                Some(to) if to != DataType::Uint8 => self.sketch.cast(name, x, to),
                _ => self.sketch.unknown("operation Cast to small numbers"),
            },
            "ExpandDims" => {
                let axes = axes.ok_or_else(|| wrong("its axis cannot be read"))?;
                self.sketch.op("Unsqueeze", name, &[x], vec![ints("axes", &axes)])
            }
            "Squeeze" => {
                let attributes = axes.map(|axes| ints("axes", &axes)).into_iter().collect();
                self.sketch.op("Squeeze", name, &[x], attributes)
            }
            "Reshape" => match whole("newshape").filter(|shape| !shape.contains(&0)) {
                Some(shape) => {
                    let shape = self.sketch.list(&format!("{name}/shape"), &shape);
                    self.sketch.op("Reshape", name, &[x, &shape], vec![])
                }
                None => self.sketch.unknown("operation Reshape to what is computed"),
            },
            "Transpose" => match whole("axes") {
                Some(axes) => self.sketch.op("Transpose", name, &[x], vec![ints("perm", &axes)]),
                None => self.sketch.op("Transpose", name, &[x], vec![]),
            },
            "Argmax" | "Argmin" => match axes.as_deref() {
                Some([axis]) => {
                    let attributes = vec![int("axis", *axis), int("keepdims", i64::from(keep))];
                    let kind = if class == "Argmax" { "ArgMax" } else { "ArgMin" };
                    let place = self.sketch.op(kind, name, &[x], attributes);
                    self.sketch.cast(name, &place, DataType::Int32)
                }
                _ => self.sketch.unknown("operation Argmax over all axes"),
            },
            other => self.sketch.unknown(&format!("operation {other}")),
        })
    }

    fn given(&mut self, value: &Json, made: &Made) -> Result<Option<Given>, ModelError> {
        if let Json::Number(number) = value {
            let whole = number.is_i64() || number.is_u64();
            return Ok(number.as_f64().map(|number| Given::Number(number, whole)));
        }
        let dtype = value.get("config").map(|config| text(config, "dtype")).and_then(kind);
        Ok(self.history(value, made)?.map(|value| Given::Val(value, dtype)))
    }

    /// The operands in one element type.
    fn alike(&mut self, name: &str, given: &[Given], float: bool) -> Result<Vec<Val>, ModelError> {
        let known: Vec<DataType> = given.iter().filter_map(Given::kind).collect();
        let first = known.first().copied();
        let same = known.iter().all(|kind| Some(*kind) == first);
        let to = if float || given.iter().any(Given::is_float) {
            if known.contains(&DataType::Double) { DataType::Double } else { DataType::Float }
        } else if same && first.is_some_and(|first| first != DataType::Bool) {
            first.unwrap_or(DataType::Int32)
        } else {
            DataType::Int64
        };
        let mut values = Vec::with_capacity(given.len());
        for one in given {
            values.push(match one {
                Given::Val(value, Some(kind)) if *kind == to => value.clone(),
                Given::Val(value, Some(_)) => self.sketch.cast(name, value, to),
                Given::Val(..) => self.sketch.unknown("a value whose element type the file does not say"),
                Given::Number(number, _) => {
                    let numbers = match to {
                        DataType::Float => Numbers::floats_of(vec![], &[*number as f32]),
                        DataType::Double => Numbers::new(vec![], to, number.to_le_bytes().to_vec().into()),
                        DataType::Int32 => {
                            Numbers::new(vec![], to, (*number as i32).to_le_bytes().to_vec().into())
                        }
                        _ => Numbers::whole_of(vec![], &[*number as i64]),
                    };
                    self.sketch.made(&format!("{name}/number"), numbers)?
                }
            });
        }
        Ok(values)
    }

    /// A value as yes or no.
    fn truth(&mut self, name: &str, given: &Given) -> Result<Val, ModelError> {
        Ok(match given {
            Given::Val(value, Some(DataType::Bool)) => value.clone(),
            Given::Val(value, _) => self.sketch.cast(name, value, DataType::Bool),
            Given::Number(..) => {
                return Err(invalid(format!("operation `{name}`"), "a number stands for yes or no"));
            }
        })
    }
}

/// What an item takes of the axes: slices, positions, dots and new axes; `None` when some of it is computed.
fn taken(key: &Json) -> Option<Taken> {
    let parts = match key {
        Json::Array(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut taken = Taken::default();
    for (at, part) in parts.iter().enumerate().take(32) {
        let set = |masks: &mut [u64; 5], mask: usize| masks[mask] |= 1 << at;
        let (mut from, mut to, mut step) = (0, 0, 1);
        match part {
            Json::Null => set(&mut taken.masks, 3),
            Json::Number(number) => {
                from = number.as_i64()?;
                set(&mut taken.masks, 4);
            }
            Json::Object(_) => {
                let config = part.get("config")?;
                match text(part, "class_name") {
                    "__slice__" => {
                        let bound = |key: &str| match config.get(key) {
                            None | Some(Json::Null) => Some(None),
                            Some(value) => value.as_i64().map(Some),
                        };
                        step = bound("step")?.unwrap_or(1);
                        match bound("start")? {
                            Some(start) => from = start,
                            None => set(&mut taken.masks, 0),
                        }
                        match bound("stop")? {
                            Some(stop) => to = stop,
                            None => set(&mut taken.masks, 1),
                        }
                    }
                    "__ellipsis__" => set(&mut taken.masks, 2),
                    _ => return None,
                }
            }
            _ => return None,
        }
        taken.begin.push(from);
        taken.end.push(to);
        taken.strides.push(step);
    }
    (parts.len() <= 32).then_some(taken)
}
