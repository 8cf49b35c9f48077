//! The values of a tensor as lists of Protocol Buffers.

use mantlet_vocab::{Tensor, Value};

use super::proto::{Field, Fields};
use crate::tensor::product;
use crate::{Datatype, Defect};

/// Reads `InferTensorContents`, of whose lists only that of the datatype may hold anything.
pub(super) fn contents(
    message: &[u8],
    name: &str,
    datatype: Datatype,
    shape: &[usize],
    count: usize,
    budget: usize,
) -> Result<Value, Defect> {
    if count > budget {
        return Err(Defect::TooMany { what: "values", limit: budget });
    }
    let wanted = match datatype {
        Datatype::Bool => 1,
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => 2,
        Datatype::Int64 => 3,
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => 4,
        Datatype::Uint64 => 5,
        Datatype::Fp32 => 6,
        Datatype::Fp64 => 7,
        Datatype::Bytes => 8,
        Datatype::Fp16 | Datatype::Bf16 => return Err(Defect::BothForms { tensor: name.to_owned() }),
    };
    let range = || Defect::OutOfRange { offset: 0, datatype: datatype.name() };
    let whole = |out: &mut Vec<i64>| {
        collect(message, wanted, name, count, |field, room| {
            field.varints(|value| {
                room(out.len())?;
                // Signed numbers are sent as 64 bits, unsigned ones never are negative.
                out.push(if wanted == 5 { i64::try_from(value).map_err(|_| range())? } else { value as i64 });
                Ok(())
            })
        })
    };
    macro_rules! narrowed {
        ($variant:ident, $element:ty, $wide:ty) => {{
            let mut out = Vec::new();
            whole(&mut out)?;
            let narrow = |&value: &i64| <$wide>::try_from(value).map(<$element>::from).map_err(|_| range());
            Value::$variant(tensor(name, shape, out.iter().map(narrow).collect::<Result<Vec<_>, _>>()?)?)
        }};
    }
    Ok(match datatype {
        Datatype::Bool => {
            let mut out = Vec::new();
            whole(&mut out)?;
            Value::Bool(tensor(name, shape, out.iter().map(|&value| value != 0).collect())?)
        }
        Datatype::Int8 => narrowed!(I32, i32, i8),
        Datatype::Int16 => narrowed!(I32, i32, i16),
        Datatype::Int32 => narrowed!(I32, i32, i32),
        Datatype::Uint8 => narrowed!(U8, u8, u8),
        Datatype::Uint16 => narrowed!(I32, i32, u16),
        Datatype::Uint32 => narrowed!(I64, i64, u32),
        Datatype::Int64 | Datatype::Uint64 => {
            let mut out = Vec::new();
            whole(&mut out)?;
            Value::I64(tensor(name, shape, out)?)
        }
        Datatype::Fp32 => {
            let mut out = Vec::new();
            collect(message, wanted, name, count, |field, room| {
                field.fixed32s(|value| {
                    room(out.len())?;
                    out.push(f32::from_le_bytes(value));
                    Ok(())
                })
            })?;
            Value::F32(tensor(name, shape, out)?)
        }
        Datatype::Fp64 => {
            let mut out = Vec::new();
            collect(message, wanted, name, count, |field, room| {
                field.fixed64s(|value| {
                    room(out.len())?;
                    out.push(f64::from_le_bytes(value));
                    Ok(())
                })
            })?;
            Value::F64(tensor(name, shape, out)?)
        }
        Datatype::Bytes | Datatype::Fp16 | Datatype::Bf16 => {
            let mut out = Vec::new();
            collect(message, wanted, name, count, |field, room| {
                room(out.len())?;
                let text = std::str::from_utf8(field.bytes()?);
                out.push(text.map_err(|_| Defect::Text { tensor: name.to_owned() })?.to_owned());
                Ok(())
            })?;
            Value::Text(tensor(name, shape, out)?)
        }
    })
}

/// Reads the list of that number; any other list must be empty.
fn collect(
    message: &[u8],
    wanted: u32,
    name: &str,
    count: usize,
    mut read: impl FnMut(Field<'_>, &dyn Fn(usize) -> Result<(), Defect>) -> Result<(), Defect>,
) -> Result<(), Defect> {
    let room = |so_far: usize| {
        if so_far < count {
            Ok(())
        } else {
            Err(Defect::Count { tensor: name.to_owned(), expected: count, found: so_far + 1 })
        }
    };
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        if number == wanted {
            read(field, &room)?;
        } else if !matches!(field, Field::Bytes([])) {
            return Err(Defect::BothForms { tensor: name.to_owned() });
        }
    }
    Ok(())
}

fn tensor<T>(name: &str, shape: &[usize], data: Vec<T>) -> Result<Tensor<T>, Defect> {
    let found = data.len();
    let expected = product(name, shape)?;
    Tensor::new(shape, data).map_err(|_| Defect::Count { tensor: name.to_owned(), expected, found })
}
