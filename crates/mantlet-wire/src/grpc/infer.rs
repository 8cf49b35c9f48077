//! Inference requests and replies as messages of Protocol Buffers.

use mantlet_vocab::{Kind, NamedValue, Piece, Reply, Request};

use super::contents::contents;
use super::proto::{Field, Fields};
use crate::tensor::{product, read_binary};
use crate::{Datatype, Defect, InferReply, InferRequest, Limits, Output, Wire};

/// Reads `ModelInferRequest`.
///
/// # Errors
/// The first defect.
pub fn read_grpc_request(message: &[u8], limits: &Limits) -> Result<InferRequest, Defect> {
    let read = read(message, &REQUEST, limits)?;
    let Read { model, version, id, values, wire, outputs, pieces } = read;
    let request = Request { model, version, inputs: values, pieces };
    Ok(InferRequest { request, wire, id, outputs, binary_outputs: true })
}

/// Reads `ModelInferResponse`.
///
/// # Errors
/// The first defect.
pub fn read_grpc_reply(message: &[u8], limits: &Limits) -> Result<InferReply, Defect> {
    let Read { model, version, id, values, wire, pieces, .. } = read(message, &RESPONSE, limits)?;
    Ok(InferReply { reply: Reply { outputs: values, pieces }, wire, model, version, id })
}

/// A message of `ModelStreamInfer` to the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct GrpcStreamReply {
    /// What went wrong, when anything did.
    pub error: Option<String>,
    /// The answer.
    pub reply: Option<InferReply>,
}

/// Reads `ModelStreamInferResponse`.
///
/// # Errors
/// The first defect.
pub fn read_grpc_stream_reply(message: &[u8], limits: &Limits) -> Result<GrpcStreamReply, Defect> {
    let mut fields = Fields::new(message);
    let mut read = GrpcStreamReply { error: None, reply: None };
    let mut others = Vec::new();
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => once(&mut read.error, "error_message", field.text()?.to_owned())?,
            2 => once(&mut read.reply, "infer_response", read_grpc_reply(field.bytes()?, limits)?)?,
            _ => unknown(&mut others, "", number, field, limits)?,
        }
    }
    match (&mut read.reply, others.is_empty()) {
        (_, true) => {}
        (Some(reply), false) => reply.reply.pieces.append(&mut others),
        (None, false) => return Err(Defect::Missing { field: "infer_response" }),
    }
    Ok(read)
}

/// The model and version that `ModelReadyRequest`, `ModelMetadataRequest`, `ModelConfigRequest` and
/// `ModelStatisticsRequest` name; an empty name asks about all.
///
/// # Errors
/// The first defect; fields that this reader does not know are none of these messages'.
pub fn read_grpc_about(message: &[u8]) -> Result<(String, Option<String>), Defect> {
    let (mut model, mut version) = (None, None);
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => once(&mut model, "name", field.text()?.to_owned())?,
            2 => once(&mut version, "version", field.text()?.to_owned())?,
            _ => return Err(Defect::Unserved { name: "a field of a later protocol" }),
        }
    }
    Ok((model.unwrap_or_default(), version.filter(|version| !version.is_empty())))
}

/// An input or output as `ModelMetadataResponse` describes it; an axis below zero is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcTensor {
    /// Its name.
    pub name: String,
    /// The name of its datatype, whatever it is.
    pub datatype: String,
    /// Its shape.
    pub shape: Vec<i64>,
}

/// The inputs and outputs of a model, of `ModelMetadataResponse`; fields of later protocols are left out.
///
/// # Errors
/// The first defect.
pub fn read_grpc_metadata(message: &[u8], limits: &Limits) -> Result<[Vec<GrpcTensor>; 2], Defect> {
    if message.len() > limits.bytes {
        return Err(Defect::TooLarge { found: message.len(), limit: limits.bytes });
    }
    let mut found = [Vec::new(), Vec::new()];
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        let place = match number {
            4 => 0,
            5 => 1,
            _ => continue,
        };
        few(found[place].len(), limits.tensors, "tensors")?;
        found[place].push(described(field.bytes()?)?);
    }
    Ok(found)
}

fn described(message: &[u8]) -> Result<GrpcTensor, Defect> {
    let (mut name, mut datatype, mut shape) = (None, None, Vec::new());
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => once(&mut name, "name", field.text()?.to_owned())?,
            2 => once(&mut datatype, "datatype", field.text()?.to_owned())?,
            3 => field.varints(|size| {
                few(shape.len(), 16, "axes")?;
                // Free axes are negative, and written as numbers of 64 bits.
                shape.push(size as i64);
                Ok(())
            })?,
            _ => {}
        }
    }
    let name = name.ok_or(Defect::Missing { field: "name" })?;
    Ok(GrpcTensor { name, datatype: datatype.unwrap_or_default(), shape })
}

/// The numbers of fields that differ between the two messages.
struct Layout {
    tensors: u32,
    outputs: u32,
    raw: u32,
    word: &'static str,
}

const REQUEST: Layout = Layout { tensors: 5, outputs: 6, raw: 7, word: "inputs" };
// A response asks for nothing: no field has the number 0.
const RESPONSE: Layout = Layout { tensors: 5, outputs: 0, raw: 6, word: "outputs" };

struct Read {
    model: String,
    version: Option<String>,
    id: Option<String>,
    values: Vec<NamedValue>,
    wire: Vec<Wire>,
    outputs: Vec<Output>,
    pieces: Vec<Piece>,
}

fn read(message: &[u8], layout: &Layout, limits: &Limits) -> Result<Read, Defect> {
    if message.len() > limits.bytes {
        return Err(Defect::TooLarge { found: message.len(), limit: limits.bytes });
    }
    let (mut model, mut version, mut id) = (None, None, None);
    let (mut tensors, mut raw, mut outputs) = (Vec::new(), Vec::new(), Vec::<Output>::new());
    let mut pieces = Vec::new();
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => once(&mut model, "model_name", field.text()?.to_owned())?,
            2 => once(&mut version, "model_version", field.text()?.to_owned())?,
            3 => once(&mut id, "id", field.text()?.to_owned())?,
            4 => drop(parameter(field.bytes()?, "", &mut pieces, limits)?),
            number if number == layout.tensors => {
                few(tensors.len(), limits.tensors, "tensors")?;
                let pointer = format!("/{}/{}", layout.word, tensors.len());
                tensors.push(loose(field.bytes()?, &pointer, &mut pieces, limits)?);
            }
            number if number == layout.raw => {
                few(raw.len(), limits.tensors, "tensors")?;
                raw.push(field.bytes()?);
            }
            number if number == layout.outputs => {
                few(outputs.len(), limits.tensors, "outputs")?;
                let pointer = format!("/outputs/{}", outputs.len());
                let output = output(field.bytes()?, &pointer, &mut pieces, limits)?;
                if outputs.iter().any(|other| other.name == output.name) {
                    return Err(Defect::DuplicateTensor { name: output.name });
                }
                outputs.push(output);
            }
            _ => unknown(&mut pieces, "", number, field, limits)?,
        }
    }
    let (values, wire) = attach(tensors, &raw, limits)?;
    Ok(Read {
        model: model.unwrap_or_default(),
        version: version.filter(|version: &String| !version.is_empty()),
        id: id.filter(|id: &String| !id.is_empty()),
        values,
        wire,
        outputs,
        pieces,
    })
}

/// A tensor whose values are still in its `contents`, or in the message's list of raw ones.
struct Loose<'a> {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    contents: Option<&'a [u8]>,
}

fn loose<'a>(
    message: &'a [u8],
    pointer: &str,
    pieces: &mut Vec<Piece>,
    limits: &Limits,
) -> Result<Loose<'a>, Defect> {
    let (mut name, mut datatype, mut contents) = (None, None, None);
    let mut shape = Vec::new();
    let mut shared = false;
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => once(&mut name, "name", field.text()?.to_owned())?,
            2 => {
                let word = field.text()?;
                let known = Datatype::named(word);
                let known =
                    known.ok_or_else(|| Defect::Datatype { name: word.chars().take(40).collect() })?;
                once(&mut datatype, "datatype", known)?;
            }
            3 => field.varints(|size| {
                few(shape.len(), 16, "axes")?;
                // Negative sizes are numbers of 64 bits and do not fit.
                let size = i64::try_from(size).ok().and_then(|size| usize::try_from(size).ok());
                shape.push(size.ok_or(Defect::OutOfRange { offset: 0, datatype: "a size" })?);
                Ok(())
            })?,
            4 => shared |= parameter(field.bytes()?, pointer, pieces, limits)?.starts_with("shared_memory"),
            5 => once(&mut contents, "contents", field.bytes()?)?,
            _ => unknown(pieces, pointer, number, field, limits)?,
        }
    }
    let name = name.ok_or(Defect::Missing { field: "name" })?;
    if shared {
        return Err(Defect::SharedMemory { tensor: name });
    }
    let datatype = datatype.ok_or(Defect::Missing { field: "datatype" })?;
    Ok(Loose { name, datatype, shape, contents })
}

fn output(message: &[u8], pointer: &str, pieces: &mut Vec<Piece>, limits: &Limits) -> Result<Output, Defect> {
    let mut name = None;
    let mut shared = false;
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => once(&mut name, "name", field.text()?.to_owned())?,
            2 => {
                let key = parameter(field.bytes()?, pointer, pieces, limits)?;
                if key == "classification" {
                    return Err(Defect::Unserved { name: "classification" });
                }
                shared |= key.starts_with("shared_memory");
            }
            _ => unknown(pieces, pointer, number, field, limits)?,
        }
    }
    let name: String = name.ok_or(Defect::Missing { field: "name" })?;
    if shared {
        return Err(Defect::SharedMemory { tensor: name });
    }
    Ok(Output { name, binary: None })
}

/// An entry of a map of parameters; gives its key. A text among them is forwarded, so it is a piece.
fn parameter<'a>(
    entry: &'a [u8],
    pointer: &str,
    pieces: &mut Vec<Piece>,
    limits: &Limits,
) -> Result<&'a str, Defect> {
    let (mut key, mut value) = (None, None);
    let mut fields = Fields::new(entry);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => once(&mut key, "a parameter's key", field.text()?)?,
            2 => once(&mut value, "a parameter's value", field.bytes()?)?,
            _ => unknown(pieces, pointer, number, field, limits)?,
        }
    }
    let key = key.unwrap_or("");
    let mut place = format!("{pointer}/parameters/");
    crate::text::push_token(&mut place, key);
    let mut fields = Fields::new(value.unwrap_or(&[]));
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (3, field) => piece(pieces, place.clone(), field.text()?, limits)?,
            (1..=5, Field::Varint(_) | Field::Fixed64(_)) => {}
            _ => unknown(pieces, &place, number, field, limits)?,
        }
    }
    // Names of parameters are few and the protocol's; another can be a text.
    let plain =
        key.len() <= 64 && key.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'-' | b'.'));
    if !plain {
        piece(pieces, format!("{place}{}", crate::text::KEYS), key, limits)?;
    }
    Ok(key)
}

/// A field that no rule knows: forwarded, so looked at, as the text it may be.
fn unknown(
    pieces: &mut Vec<Piece>,
    pointer: &str,
    number: u32,
    field: Field<'_>,
    limits: &Limits,
) -> Result<(), Defect> {
    match field {
        Field::Bytes(bytes) => {
            piece(pieces, format!("{pointer}/#{number}"), &String::from_utf8_lossy(bytes), limits)
        }
        _ => Ok(()),
    }
}

fn piece(pieces: &mut Vec<Piece>, pointer: String, text: &str, limits: &Limits) -> Result<(), Defect> {
    if !text.is_empty() {
        few(pieces.len(), limits.pieces, "texts")?;
        pieces.push(Piece { kind: Kind::Unknown, pointer, text: text.to_owned() });
    }
    Ok(())
}

/// A field that stands once: readers keep the last of several, or put them together.
fn once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), Defect> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Defect::DuplicateKey { offset: 0, key: name.to_owned() }),
    }
}

const fn few(count: usize, limit: usize, what: &'static str) -> Result<(), Defect> {
    if count < limit { Ok(()) } else { Err(Defect::TooMany { what, limit }) }
}

/// Gives each tensor its values: all from the message's list of raw ones, or each from its `contents`.
fn attach(
    tensors: Vec<Loose<'_>>,
    raw: &[&[u8]],
    limits: &Limits,
) -> Result<(Vec<NamedValue>, Vec<Wire>), Defect> {
    let binary = !raw.is_empty();
    if binary && raw.len() != tensors.len() {
        return Err(Defect::BinaryTail { expected: tensors.len(), found: raw.len() });
    }
    let mut values: Vec<NamedValue> = Vec::with_capacity(tensors.len());
    let mut wire = Vec::with_capacity(tensors.len());
    let mut left = limits.values;
    for (place, Loose { name, datatype, shape, contents: own }) in tensors.into_iter().enumerate() {
        if values.iter().any(|other| other.name == name) {
            return Err(Defect::DuplicateTensor { name });
        }
        let count = product(&name, &shape)?;
        let value = match (raw.get(place), own) {
            (Some(_), Some(_)) => return Err(Defect::BothForms { tensor: name }),
            (Some(raw), None) => read_binary(raw, &name, datatype, &shape, left)?,
            (None, own) => contents(own.unwrap_or(&[]), &name, datatype, &shape, count, left)?,
        };
        left -= count.min(left);
        wire.push(Wire { datatype, binary });
        values.push(NamedValue { name, value });
    }
    Ok((values, wire))
}
