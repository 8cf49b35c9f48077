//! Inference requests and replies.

use mantlet_vocab::{Kind, NamedValue, Piece, Reply, Request, Value};

use crate::json::Reader;
use crate::tensor::{product, read_binary, read_json};
use crate::text::{UNESCAPED, unescaped};
use crate::{Datatype, Defect, Limits};

/// How a tensor travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// The element type on the wire, which may be narrower than the value's.
    pub datatype: Datatype,
    /// Whether it was binary data.
    pub binary: bool,
}

/// An output the caller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// `binary_data`, when given.
    pub binary: Option<bool>,
}

/// An inference request.
#[derive(Debug, Clone, PartialEq)]
pub struct InferRequest {
    /// What is asked, in the vocabulary.
    pub request: Request,
    /// How each input travelled, in the order of `request.inputs`.
    pub wire: Vec<Wire>,
    /// The caller's own id for the request.
    pub id: Option<String>,
    /// The outputs asked for; empty means all.
    pub outputs: Vec<Output>,
    /// Whether outputs without their own choice come as binary data.
    pub binary_outputs: bool,
}

/// An inference reply.
#[derive(Debug, Clone, PartialEq)]
pub struct InferReply {
    /// What was answered, in the vocabulary.
    pub reply: Reply,
    /// How each output travelled, in the order of `reply.outputs`.
    pub wire: Vec<Wire>,
    /// The model that answered.
    pub model: String,
    /// Its version.
    pub version: Option<String>,
    /// The caller's id, given back.
    pub id: Option<String>,
}

/// Reads an inference request. `model` and `version` come from the path; `head` is the value of
/// [`crate::HEAD_LENGTH_HEADER`], when the request has it.
///
/// # Errors
/// The first defect, in the order of the message.
pub fn read_request(
    model: &str,
    version: Option<&str>,
    head: Option<usize>,
    body: &[u8],
    limits: &Limits,
) -> Result<InferRequest, Defect> {
    let (json, tail) = split(head, body, limits)?;
    let mut reader = Reader::new(json, limits)?;
    let mut tensors = None;
    let mut pieces = Vec::new();
    let (mut id, mut outputs, mut binary_outputs) = (None, Vec::new(), false);
    reader.object(|reader, key| {
        match key {
            "id" => id = Some(reader.string()?.into_owned()),
            "inputs" => tensors = Some(read_tensors(reader, "inputs", limits, &mut pieces)?),
            "outputs" => outputs = read_outputs(reader, limits, &mut pieces)?,
            "parameters" => reader.object(|reader, key| {
                if key == "binary_data_output" {
                    binary_outputs = reader.boolean()?;
                } else {
                    unknown(reader, &format!("/parameters/{}", escape(key)), &mut pieces)?;
                }
                Ok(())
            })?,
            other => unknown(reader, &format!("/{}", escape(other)), &mut pieces)?,
        }
        Ok(())
    })?;
    reader.finish()?;
    let tensors = tensors.ok_or(Defect::Missing { field: "inputs" })?;
    let (inputs, wire) = attach(tensors, tail, head.is_some(), limits)?;
    Ok(InferRequest {
        request: Request { model: model.to_owned(), version: version.map(Into::into), inputs, pieces },
        wire,
        id,
        outputs,
        binary_outputs,
    })
}

/// Reads an inference reply; `head` as for [`read_request`].
///
/// # Errors
/// The first defect, in the order of the message.
pub fn read_reply(head: Option<usize>, body: &[u8], limits: &Limits) -> Result<InferReply, Defect> {
    let (json, tail) = split(head, body, limits)?;
    let mut reader = Reader::new(json, limits)?;
    let mut tensors = None;
    let mut pieces = Vec::new();
    let (mut id, mut model, mut version) = (None, None, None);
    reader.object(|reader, key| {
        match key {
            "id" => id = Some(reader.string()?.into_owned()),
            "model_name" => model = Some(reader.string()?.into_owned()),
            "model_version" => version = Some(reader.string()?.into_owned()),
            "outputs" => tensors = Some(read_tensors(reader, "outputs", limits, &mut pieces)?),
            other => unknown(reader, &format!("/{}", escape(other)), &mut pieces)?,
        }
        Ok(())
    })?;
    reader.finish()?;
    let tensors = tensors.ok_or(Defect::Missing { field: "outputs" })?;
    let (outputs, wire) = attach(tensors, tail, head.is_some(), limits)?;
    let model = model.ok_or(Defect::Missing { field: "model_name" })?;
    Ok(InferReply { reply: Reply { outputs, pieces }, wire, model, version, id })
}

fn split<'a>(head: Option<usize>, body: &'a [u8], limits: &Limits) -> Result<(&'a [u8], &'a [u8]), Defect> {
    if body.len() > limits.bytes {
        return Err(Defect::TooLarge { found: body.len(), limit: limits.bytes });
    }
    match head {
        None => Ok((body, &[])),
        // A head of 0 is the raw form, whose tensor is named nowhere and so cannot be checked.
        Some(0) => Err(Defect::HeadLength { head: 0, body: body.len() }),
        Some(head) => body.split_at_checked(head).ok_or(Defect::HeadLength { head, body: body.len() }),
    }
}

/// A tensor whose binary data, if any, is still in the tail.
struct Loose {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    value: Option<Value>,
    binary: Option<usize>,
}

fn read_tensors(
    reader: &mut Reader<'_>,
    field: &'static str,
    limits: &Limits,
    pieces: &mut Vec<Piece>,
) -> Result<Vec<Loose>, Defect> {
    let mut tensors: Vec<Loose> = Vec::new();
    let mut left = limits.values;
    reader.array(|reader| {
        if tensors.len() >= limits.tensors {
            return Err(Defect::TooMany { what: "tensors", limit: limits.tensors });
        }
        let pointer = || format!("/{field}/{}", tensors.len());
        let tensor = read_tensor(reader, left, pieces, pointer)?;
        if tensors.iter().any(|other| other.name == tensor.name) {
            return Err(Defect::DuplicateTensor { name: tensor.name });
        }
        left -= product(&tensor.name, &tensor.shape)?.min(left);
        tensors.push(tensor);
        Ok(())
    })?;
    Ok(tensors)
}

fn read_tensor(
    reader: &mut Reader<'_>,
    budget: usize,
    pieces: &mut Vec<Piece>,
    pointer: impl Fn() -> String,
) -> Result<Loose, Defect> {
    let (mut name, mut datatype, mut shape) = (None::<String>, None, None::<Vec<usize>>);
    let (mut value, mut waiting, mut binary) = (None, None, None);
    let mut shared = false;
    reader.object(|reader, key| {
        match key {
            "name" => name = Some(reader.string()?.into_owned()),
            "datatype" => {
                let word = reader.string()?;
                let known = Datatype::named(&word);
                datatype =
                    Some(known.ok_or_else(|| Defect::Datatype { name: word.chars().take(40).collect() })?);
            }
            "shape" => shape = Some(read_shape(reader)?),
            "data" => match (&name, datatype, &shape) {
                (Some(name), Some(datatype), Some(shape)) => {
                    value = Some(read_json(reader, name, datatype, shape, budget)?);
                }
                // The data stands before what it means: check its grammar now, read it afterwards.
                _ => {
                    reader.peek();
                    waiting = Some((reader.at, reader.depth()));
                    reader.any()?;
                }
            },
            "parameters" => reader.object(|reader, key| {
                match key {
                    "binary_data_size" => binary = Some(read_size(reader)?),
                    "binary_data" => drop(reader.boolean()?),
                    _ if key.starts_with("shared_memory") => {
                        shared = true;
                        reader.any()?;
                    }
                    other => unknown(reader, &format!("{}/parameters/{}", pointer(), escape(other)), pieces)?,
                }
                Ok(())
            })?,
            other => unknown(reader, &format!("{}/{}", pointer(), escape(other)), pieces)?,
        }
        Ok(())
    })?;
    let name = name.ok_or(Defect::Missing { field: "name" })?;
    if shared {
        return Err(Defect::SharedMemory { tensor: name });
    }
    let datatype = datatype.ok_or(Defect::Missing { field: "datatype" })?;
    let shape = shape.ok_or(Defect::Missing { field: "shape" })?;
    if let Some((at, depth)) = waiting {
        let (end, end_depth) = (reader.at, reader.depth());
        reader.rewind(at, depth);
        value = Some(read_json(reader, &name, datatype, &shape, budget)?);
        reader.rewind(end, end_depth);
    }
    if value.is_some() == binary.is_some() {
        return Err(Defect::BothForms { tensor: name });
    }
    Ok(Loose { name, datatype, shape, value, binary })
}

fn read_size(reader: &mut Reader<'_>) -> Result<usize, Defect> {
    reader.peek();
    let offset = reader.at;
    reader.number()?.parse().map_err(|_| Defect::OutOfRange { offset, datatype: "a size" })
}

fn read_shape(reader: &mut Reader<'_>) -> Result<Vec<usize>, Defect> {
    let mut shape = Vec::new();
    reader.array(|reader| {
        if shape.len() >= 16 {
            return Err(Defect::TooMany { what: "axes", limit: 16 });
        }
        shape.push(read_size(reader)?);
        Ok(())
    })?;
    Ok(shape)
}

fn read_outputs(
    reader: &mut Reader<'_>,
    limits: &Limits,
    pieces: &mut Vec<Piece>,
) -> Result<Vec<Output>, Defect> {
    let mut outputs: Vec<Output> = Vec::new();
    reader.array(|reader| {
        if outputs.len() >= limits.tensors {
            return Err(Defect::TooMany { what: "outputs", limit: limits.tensors });
        }
        let (mut name, mut binary, mut shared) = (None::<String>, None, false);
        let pointer = format!("/outputs/{}", outputs.len());
        reader.object(|reader, key| {
            match key {
                "name" => name = Some(reader.string()?.into_owned()),
                "parameters" => reader.object(|reader, key| {
                    match key {
                        "binary_data" => binary = Some(reader.boolean()?),
                        "classification" => return Err(Defect::Unserved { name: "classification" }),
                        _ if key.starts_with("shared_memory") => {
                            shared = true;
                            reader.any()?;
                        }
                        other => unknown(reader, &format!("{pointer}/parameters/{}", escape(other)), pieces)?,
                    }
                    Ok(())
                })?,
                other => unknown(reader, &format!("{pointer}/{}", escape(other)), pieces)?,
            }
            Ok(())
        })?;
        let name = name.ok_or(Defect::Missing { field: "name" })?;
        if shared {
            return Err(Defect::SharedMemory { tensor: name });
        }
        if outputs.iter().any(|other| other.name == name) {
            return Err(Defect::DuplicateTensor { name });
        }
        outputs.push(Output { name, binary });
        Ok(())
    })?;
    Ok(outputs)
}

/// Keeps a field no rule knows as a piece: it is forwarded, so it is scanned.
fn unknown(reader: &mut Reader<'_>, pointer: &str, pieces: &mut Vec<Piece>) -> Result<(), Defect> {
    let text = reader.any()?;
    pieces.push(Piece { kind: Kind::Unknown, pointer: pointer.to_owned(), text: text.to_owned() });
    // What a reader of it sees can differ from what stands here: `\u0041` is an A.
    if text.contains('\\') {
        let plain = unescaped(text, &Limits { depth: 128, ..Limits::default() });
        let pointer = format!("{pointer}{UNESCAPED}");
        pieces.extend(plain.map(|text| Piece { kind: Kind::Unknown, pointer, text }));
    }
    Ok(())
}

/// A key as a token of a JSON pointer (RFC 6901).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Gives each tensor its binary data; every byte of the tail must belong to one.
fn attach(
    tensors: Vec<Loose>,
    tail: &[u8],
    has_head: bool,
    limits: &Limits,
) -> Result<(Vec<NamedValue>, Vec<Wire>), Defect> {
    let claimed = tensors
        .iter()
        .filter_map(|tensor| tensor.binary)
        .try_fold(0_usize, usize::checked_add)
        .unwrap_or(usize::MAX);
    if claimed != tail.len() || (claimed > 0 && !has_head) {
        return Err(Defect::BinaryTail { expected: claimed, found: tail.len() });
    }
    let mut values = Vec::with_capacity(tensors.len());
    let mut wire = Vec::with_capacity(tensors.len());
    let (mut rest, mut left) = (tail, limits.values);
    for Loose { name, datatype, shape, value, binary } in tensors {
        let value = match value {
            Some(value) => value,
            None => {
                let size = binary.unwrap_or(0);
                let (bytes, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
                rest = after;
                read_binary(bytes, &name, datatype, &shape, left)?
            }
        };
        left -= product(&name, &shape)?.min(left);
        wire.push(Wire { datatype, binary: binary.is_some() });
        values.push(NamedValue { name, value });
    }
    Ok((values, wire))
}
