//! A graph as it is drawn, layer by layer, with the shape of a row at every place.

use std::collections::BTreeSet;

use mantlet_formats::onnx::schema::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, dimension, type_proto,
};
use prost::bytes::Bytes;

use super::misfit;
use super::store::Store;
use crate::ModelError;

/// A value of the graph: its name and the shape of one row of it.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) name: String,
    pub(super) row: Vec<usize>,
}

/// A graph in the making.
pub(super) struct Draft {
    pub(super) store: Store,
    graph: GraphProto,
    kept: BTreeSet<String>,
    values: usize,
    /// The table of words and the number of the padding, where the input takes embeddings.
    pub(super) words: Option<(TensorProto, usize)>,
}

/// An attribute with one whole number.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

/// An attribute with a list of whole numbers.
pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto { ints: whole(values), ..attribute(name, AttributeType::Ints) }
}

/// An attribute with one number.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

/// An attribute with a word.
pub(super) fn word(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind as i32, ..AttributeProto::default() }
}

/// Sizes as attributes and shapes hold them.
pub(super) fn whole(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&value| i64::try_from(value).unwrap_or(i64::MAX)).collect()
}

fn port(name: &str, kind: DataType, row: &[usize]) -> ValueInfoProto {
    let free =
        Dimension { value: Some(dimension::Value::DimParam("rows".to_owned())), ..Dimension::default() };
    let axis = |length| Dimension { value: Some(dimension::Value::DimValue(length)), ..Dimension::default() };
    let dim = std::iter::once(free).chain(whole(row).into_iter().map(axis)).collect();
    let tensor = type_proto::Tensor { elem_type: kind as i32, shape: Some(TensorShapeProto { dim }) };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { value, ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}

impl Draft {
    pub(super) fn new(store: Store) -> Self {
        let graph = GraphProto { name: "weights".to_owned(), ..GraphProto::default() };
        Self { store, graph, kept: BTreeSet::new(), values: 0, words: None }
    }

    /// The input of the model.
    pub(super) fn input(&mut self, name: &str, whole: bool, row: &[usize]) -> Spot {
        let kind = if whole { DataType::Int64 } else { DataType::Float };
        self.graph.input.push(port(name, kind, row));
        Spot { name: name.to_owned(), row: row.to_vec() }
    }

    /// The output of the model.
    pub(super) fn output(&mut self, name: &str, from: &Spot) {
        self.node("Identity", &[&from.name], name, Vec::new());
        self.graph.output.push(port(name, DataType::Float, &from.row));
    }

    /// An operator that gives a value of this name.
    pub(super) fn node(&mut self, kind: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        self.graph.node.push(NodeProto {
            op_type: kind.to_owned(),
            name: output.to_owned(),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute,
            ..NodeProto::default()
        });
    }

    /// An operator, and its value.
    pub(super) fn op(&mut self, kind: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        self.values += 1;
        let name = format!("#{}", self.values);
        self.node(kind, inputs, &name, attribute);
        name
    }

    /// An operator that keeps the shape of a row.
    pub(super) fn map(&mut self, kind: &str, x: &Spot, attribute: Vec<AttributeProto>) -> Spot {
        Spot { name: self.op(kind, &[&x.name], attribute), row: x.row.clone() }
    }

    /// A constant of the architecture rather than of the file.
    pub(super) fn given(&mut self, dims: &[usize], data_type: DataType, raw: Vec<u8>) -> String {
        self.values += 1;
        let name = format!("#{}", self.values);
        self.keep(TensorProto {
            name: name.clone(),
            dims: whole(dims),
            data_type: data_type as i32,
            raw_data: raw.into(),
            ..TensorProto::default()
        });
        name
    }

    /// One number.
    pub(super) fn number(&mut self, value: f32) -> String {
        self.given(&[], DataType::Float, value.to_le_bytes().to_vec())
    }

    /// One whole number.
    pub(super) fn integer(&mut self, value: i64) -> String {
        self.given(&[], DataType::Int64, value.to_le_bytes().to_vec())
    }

    /// A list of whole numbers.
    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        self.given(
            &[values.len()],
            DataType::Int64,
            values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        )
    }

    fn keep(&mut self, tensor: TensorProto) {
        if self.kept.insert(tensor.name.clone()) {
            self.graph.initializer.push(tensor);
        }
    }

    /// The tensor of this name, of this shape; an axis of `None` may have any length.
    pub(super) fn weight(&mut self, name: &str, shape: &[Option<usize>]) -> Result<Vec<usize>, ModelError> {
        let own = self.shaped(name, shape)?;
        let tensor = self.store.constant(name)?;
        self.keep(tensor);
        Ok(own)
    }

    /// The shape of a tensor, which has to be this one.
    fn shaped(&self, name: &str, shape: &[Option<usize>]) -> Result<Vec<usize>, ModelError> {
        let own = self.store.shape(name)?;
        let fits = own.len() == shape.len()
            && own.iter().zip(shape).all(|(own, wanted)| wanted.is_none_or(|w| w == *own));
        if fits && !own.contains(&0) {
            return Ok(own);
        }
        let wanted: Vec<String> =
            shape.iter().map(|axis| axis.map_or_else(|| "any".to_owned(), |axis| axis.to_string())).collect();
        let reason = format!("it has the shape {own:?}, and its place takes [{}]", wanted.join(", "));
        Err(misfit(format!("tensor `{name}`"), reason))
    }

    /// Rows `from..from + count` of a table, under a name of their own.
    pub(super) fn rows(
        &mut self,
        name: &str,
        from: usize,
        count: usize,
        width: usize,
    ) -> Result<String, ModelError> {
        let own = self.shaped(name, &[None, Some(width)])?;
        let end = from.saturating_add(count);
        if end > own[0] {
            let reason = format!("it has {} rows, and row {} is asked for", own[0], end - 1);
            return Err(misfit(format!("tensor `{name}`"), reason));
        }
        let mut tensor = self.store.constant(name)?;
        let each = tensor.raw_data.len() / own[0];
        tensor.raw_data = tensor.raw_data.slice(from * each..end * each);
        tensor.dims = whole(&[count, width]);
        self.values += 1;
        tensor.name = format!("#{}", self.values);
        let name = tensor.name.clone();
        self.keep(tensor);
        Ok(name)
    }

    /// A table of rows of this width, which no operator reads.
    pub(super) fn table(&mut self, name: &str, width: usize) -> Result<TensorProto, ModelError> {
        self.shaped(name, &[None, Some(width)])?;
        self.store.constant(name)
    }

    /// A layer of full connections: over the whole row where it has one axis, else over its last.
    pub(super) fn linear(&mut self, at: &str, x: &Spot, bias: Bias) -> Result<Spot, ModelError> {
        let Some(&last) = x.row.last() else { return Err(misfit(format!("`{at}`"), "nothing reaches it")) };
        let weight = format!("{at}.weight");
        let shift = format!("{at}.bias");
        let own = self.store.shape(&weight)?;
        if own.len() == 2 && own[1] != last && x.row.len() > 1 && own[1] == x.row.iter().product::<usize>() {
            let reason = format!(
                "it reads {} values and rows of shape {:?} reach it: `flatten` them first",
                own[1], x.row
            );
            return Err(misfit(format!("tensor `{weight}`"), reason));
        }
        let own = self.shaped(&weight, &[None, Some(last)])?;
        let bias = match bias {
            Bias::There => true,
            Bias::Maybe => self.store.has(&shift),
            Bias::Told(told) => told,
        };
        if bias {
            self.weight(&shift, &[Some(own[0])])?;
        }
        let mut row = x.row.clone();
        row[x.row.len() - 1] = own[0];
        if x.row.len() == 1 {
            self.weight(&weight, &[Some(own[0]), Some(last)])?;
            let inputs: &[&str] = if bias { &[&x.name, &weight, &shift] } else { &[&x.name, &weight] };
            return Ok(Spot { name: self.op("Gemm", inputs, vec![int("transB", 1)]), row });
        }
        let mut tensor = self.store.constant(&weight)?;
        tensor.raw_data = turned(&tensor.raw_data, own[0], own[1]);
        tensor.dims = whole(&[own[1], own[0]]);
        tensor.name = format!("{weight}#turned");
        let name = tensor.name.clone();
        self.keep(tensor);
        let mut y = self.op("MatMul", &[&x.name, &name], Vec::new());
        if bias {
            y = self.op("Add", &[&y, &shift], Vec::new());
        }
        Ok(Spot { name: y, row })
    }

    /// A norm over the last axes of a row.
    pub(super) fn layer_norm(&mut self, at: &str, x: &Spot, epsilon: f32) -> Result<Spot, ModelError> {
        // Files of years ago have other words for the two.
        let old = self.store.has(&format!("{at}.gamma"));
        let (weight, shift) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        let (weight, shift) = (format!("{at}.{weight}"), format!("{at}.{shift}"));
        let axes = self.store.shape(&weight)?.len().clamp(1, x.row.len().max(1));
        let over: Vec<Option<usize>> =
            x.row[x.row.len().saturating_sub(axes)..].iter().copied().map(Some).collect();
        self.weight(&weight, &over)?;
        let mut inputs = vec![x.name.as_str(), &weight];
        if self.store.has(&shift) {
            self.weight(&shift, &over)?;
            inputs.push(&shift);
        }
        let axis = -i64::try_from(axes).unwrap_or(1);
        let name = self.op("LayerNormalization", &inputs, vec![int("axis", axis), float("epsilon", epsilon)]);
        Ok(Spot { name, row: x.row.clone() })
    }

    /// The whole as a model file.
    pub(super) fn into_model(self) -> ModelProto {
        let import = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
        ModelProto {
            ir_version: 10,
            opset_import: vec![import("", 21)],
            graph: Some(self.graph),
            ..ModelProto::default()
        }
    }
}

/// Whether a layer has a shift beside its factors.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bias {
    /// It has one.
    There,
    /// It has one where the file does.
    Maybe,
    /// As the description says.
    Told(bool),
}

/// A matrix of `rows` times `columns` elements, the other way round.
fn turned(raw: &Bytes, rows: usize, columns: usize) -> Bytes {
    let width = raw.len() / (rows * columns).max(1);
    let mut out = Vec::with_capacity(raw.len());
    for column in 0..columns {
        for row in 0..rows {
            let at = (row * columns + column) * width;
            out.extend_from_slice(&raw[at..at + width]);
        }
    }
    out.into()
}
