//! TensorFlow Lite models as the graph that the interpreter runs.

mod ops;

use mantlet_formats::onnx::schema::{DataType, ModelProto};
use prost::bytes::Bytes;

use super::flat::{Flat, Table};
use super::invalid;
use super::numbers::Numbers;
use super::sketch::{Sketch, Val};
use crate::{Limits, ModelError};

/// Graphs within graphs, and graphs that are laid out in all.
const MAX_NESTING: u8 = 8;
const MAX_LAID: u32 = 64;

/// A tensor of a graph of the file.
#[derive(Debug, Clone)]
struct Tensor {
    shape: Vec<i64>,
    kind: Option<DataType>,
    name: String,
    /// It holds steps of a grid rather than numbers.
    gridded: bool,
}

struct Reader {
    flat: Flat,
    sketch: Sketch,
    codes: Vec<(u64, String)>,
    buffers: Vec<Table>,
    graphs: Vec<Table>,
    laid: u32,
}

/// An operator with what it reads.
struct Op {
    code: u64,
    label: String,
    options: Option<Table>,
    /// What it reads; `None` where an operand is left out.
    reads: Vec<Option<Val>>,
    /// The tensors that it reads and gives.
    from: Vec<Option<Tensor>>,
    to: Vec<Tensor>,
}

fn kind(code: u64) -> Option<DataType> {
    Some(match code {
        0 => DataType::Float,
        1 => DataType::Float16,
        2 => DataType::Int32,
        3 => DataType::Uint8,
        4 => DataType::Int64,
        6 => DataType::Bool,
        7 => DataType::Int16,
        9 => DataType::Int8,
        10 => DataType::Double,
        _ => return None,
    })
}

/// The model as ONNX has it.
pub(super) fn model(bytes: Bytes, limits: Limits) -> Result<ModelProto, ModelError> {
    let broken = || invalid("the file", "a table of the flatbuffer cannot be read");
    let mut flat = Flat::new(bytes);
    let root = flat.root().ok_or_else(broken)?;
    let codes = flat.tables(root, 1).ok_or_else(broken)?;
    let code = |table: &Table| {
        let (old, new) = (flat.value(*table, 0, 1, 0), flat.value(*table, 3, 4, 0));
        (old.max(new), flat.text(*table, 1))
    };
    let codes = codes.iter().map(code).collect();
    let graphs = flat.tables(root, 2).ok_or_else(broken)?;
    let buffers = flat.tables(root, 4).ok_or_else(broken)?;
    let mut reader = Reader { flat, sketch: Sketch::new(limits), codes, buffers, graphs, laid: 0 };
    let outputs = reader.graph(0, None, 0)?;
    for (name, value) in outputs {
        reader.sketch.output(&name, &value);
    }
    reader.sketch.into_model()
}

impl Reader {
    /// Lays a graph out; `given` are the values of its inputs. Gives its outputs with their names.
    fn graph(
        &mut self,
        index: usize,
        given: Option<&[Val]>,
        depth: u8,
    ) -> Result<Vec<(String, Val)>, ModelError> {
        let place = || format!("graph {index}");
        let broken = || invalid(place(), "a table of the flatbuffer cannot be read");
        let graph = *self.graphs.get(index).ok_or_else(|| invalid(place(), "the file does not have it"))?;
        self.laid += 1;
        if depth > MAX_NESTING || self.laid > MAX_LAID {
            return Err(invalid(place(), "graphs name graphs too deeply or too often"));
        }
        let tables = self.flat.tables(graph, 0).ok_or_else(broken)?;
        let mut tensors = Vec::with_capacity(tables.len());
        for table in &tables {
            tensors.push(self.tensor(*table).ok_or_else(broken)?);
        }
        let mut values: Vec<Option<Val>> = vec![None; tensors.len()];
        for (at, table) in tables.iter().enumerate() {
            values[at] = self.stored(*table, &tensors[at])?;
        }
        let inputs = self.flat.numbers(graph, 1).ok_or_else(broken)?;
        for (place, input) in inputs.into_iter().enumerate() {
            let at = usize::try_from(input).ok().filter(|&at| at < tensors.len()).ok_or_else(broken)?;
            values[at] = Some(match given {
                Some(given) => given.get(place).cloned().ok_or_else(broken)?,
                None => self.input(&tensors[at], tables[at])?,
            });
        }
        for operator in self.flat.tables(graph, 3).ok_or_else(broken)? {
            self.sketch.room()?;
            let code = self.codes.get(self.flat.value(operator, 0, 4, 0) as usize).cloned();
            let (code, custom) = code.ok_or_else(broken)?;
            let reads = self.flat.numbers(operator, 1).ok_or_else(broken)?;
            let gives = self.flat.numbers(operator, 2).ok_or_else(broken)?;
            let tensor = |at: &i64| usize::try_from(*at).ok().and_then(|at| tensors.get(at)).cloned();
            let to: Vec<Tensor> = gives.iter().map(tensor).collect::<Option<_>>().ok_or_else(broken)?;
            let mut read = Vec::with_capacity(reads.len());
            for at in &reads {
                let Ok(at) = usize::try_from(*at) else {
                    read.push(None);
                    continue;
                };
                let value = values.get(at).cloned().ok_or_else(broken)?;
                let none =
                    || invalid(format!("tensor `{}`", tensors[at].name), "it is read before it is made");
                read.push(Some(value.ok_or_else(none)?));
            }
            let label = to.first().map_or_else(String::new, |tensor| tensor.name.clone());
            let op = Op {
                code,
                label,
                options: self.flat.child(operator, 4),
                reads: read,
                from: reads.iter().map(tensor).collect(),
                to,
            };
            let grid = op.from.iter().flatten().chain(&op.to).zip(reads.iter().chain(&gives));
            let gridded = grid.filter(|(tensor, _)| tensor.gridded).any(|(_, at)| {
                let at = usize::try_from(*at).unwrap_or(usize::MAX);
                values.get(at).is_none_or(|value| value.as_ref().is_none_or(|value| value.numbers.is_none()))
            });
            let made = if gridded {
                self.sketch.unknown("values on a grid (the model is quantised)");
                vec![]
            } else if code == 32 {
                self.sketch.unknown(&format!("custom operator {custom}"));
                vec![]
            } else {
                self.operator(&op, depth)?
            };
            for (at, place) in gives.iter().enumerate() {
                // What an unknown operator gives has no name; the graph is refused at its end.
                let value = made.get(at).cloned().unwrap_or(Val { name: String::new(), numbers: None });
                if let Some(slot) = usize::try_from(*place).ok().and_then(|place| values.get_mut(place)) {
                    *slot = Some(value);
                }
            }
        }
        let outputs = self.flat.numbers(graph, 2).ok_or_else(broken)?;
        let value = |at: i64| {
            let at = usize::try_from(at).ok()?;
            Some((tensors.get(at)?.name.clone(), values.get(at)?.clone()?))
        };
        outputs.into_iter().map(value).collect::<Option<Vec<_>>>().ok_or_else(broken)
    }

    fn tensor(&mut self, table: Table) -> Option<Tensor> {
        let shape = self.flat.numbers(table, 0)?;
        let code = self.flat.value(table, 1, 1, 0);
        let scaled = self.flat.child(table, 4).is_some_and(|grid| self.flat.has(grid, 2));
        Some(Tensor {
            shape,
            kind: kind(code),
            name: self.flat.text(table, 3),
            gridded: scaled && matches!(code, 2 | 3 | 4 | 7 | 9),
        })
    }

    fn input(&mut self, tensor: &Tensor, table: Table) -> Result<Val, ModelError> {
        let place = || format!("input `{}`", tensor.name);
        let kind = tensor.kind.ok_or_else(|| invalid(place(), "its element type is not supported"))?;
        let free = self.flat.numbers(table, 7).filter(|free| free.len() == tensor.shape.len());
        let shape: Vec<Option<usize>> = free
            .unwrap_or_else(|| tensor.shape.clone())
            .into_iter()
            .map(|axis| usize::try_from(axis).ok().filter(|&axis| axis > 0))
            .collect();
        Ok(self.sketch.input(&tensor.name, kind, Some(&shape)))
    }

    /// The numbers of a constant tensor.
    fn stored(&mut self, table: Table, tensor: &Tensor) -> Result<Option<Val>, ModelError> {
        let place = || format!("tensor `{}`", tensor.name);
        let index = self.flat.value(table, 2, 4, 0) as usize;
        let Some(&buffer) = self.buffers.get(index).filter(|_| index > 0) else { return Ok(None) };
        let (offset, size) = (self.flat.value(buffer, 1, 8, 0), self.flat.value(buffer, 2, 8, 0));
        let raw = if offset > 1 {
            // Large models keep the bytes outside the flatbuffer.
            let start = usize::try_from(offset).ok();
            let end = offset.checked_add(size).and_then(|end| usize::try_from(end).ok());
            let range = start.zip(end).filter(|&(_, end)| end <= self.flat.bytes.len());
            let (start, end) = range.ok_or_else(|| invalid(place(), "its bytes lie outside the file"))?;
            self.flat.bytes.slice(start..end)
        } else {
            self.flat.raw(buffer, 0).unwrap_or_default()
        };
        let dims: Option<Vec<usize>> = tensor.shape.iter().map(|&axis| usize::try_from(axis).ok()).collect();
        let empty = dims.as_ref().is_some_and(|dims| dims.contains(&0));
        if raw.is_empty() && !empty {
            return Ok(None);
        }
        self.sketch.spend(raw.len().saturating_mul(4))?;
        let Some(kind) = tensor.kind else { return Ok(None) };
        let numbers = dims.and_then(|dims| Numbers::new(dims, kind, raw));
        let numbers = match numbers {
            Some(numbers) if tensor.gridded => self.off_grid(table, &numbers),
            Some(numbers) if kind == DataType::Float16 => {
                let floats = numbers.floats().unwrap_or_default();
                Numbers::floats_of(numbers.dims, &floats)
            }
            other => other,
        };
        self.sketch.made(&tensor.name, numbers).map(Some)
    }

    /// The numbers that steps of a grid stand for: one scale for all, or one for each position of an axis.
    fn off_grid(&mut self, table: Table, steps: &Numbers) -> Option<Numbers> {
        let grid = self.flat.child(table, 4)?;
        let scales: Vec<f32> =
            self.flat.numbers(grid, 2)?.into_iter().map(|bits| f32::from_bits(bits as u32)).collect();
        let zeros = self.flat.long(grid, 3).unwrap_or_default();
        let axis = usize::try_from(self.flat.signed(grid, 6)).ok()?;
        let whole: Vec<i64> = match steps.kind {
            DataType::Int8 => steps.raw.iter().map(|&byte| byte.cast_signed().into()).collect(),
            DataType::Uint8 => steps.raw.iter().map(|&byte| byte.into()).collect(),
            DataType::Int16 => {
                steps.raw.as_chunks::<2>().0.iter().map(|&chunk| i16::from_le_bytes(chunk).into()).collect()
            }
            _ => steps.whole()?,
        };
        let (length, inner) = if scales.len() == 1 {
            (1, usize::MAX)
        } else {
            (*steps.dims.get(axis)?, steps.dims.get(axis + 1..)?.iter().product::<usize>().max(1))
        };
        if scales.len() != length || !zeros.is_empty() && zeros.len() != length {
            return None;
        }
        let floats: Vec<f32> = whole
            .iter()
            .enumerate()
            .map(|(at, &step)| {
                let place = at / inner % length;
                (step - zeros.get(place).copied().unwrap_or(0)) as f32 * scales[place]
            })
            .collect();
        Numbers::floats_of(steps.dims.clone(), &floats)
    }
}
