//! Constants that a configuration writes out.

use mantlet_formats::onnx::schema::DataType;
use serde_json::Value as Json;

use crate::foreign::numbers::Numbers;

/// Numbers that are written out as lists within lists.
pub(super) fn written(value: &Json, dtype: &str) -> Option<Numbers> {
    fn walk(value: &Json, depth: usize, dims: &mut Vec<usize>, out: &mut Vec<f64>) -> Option<()> {
        match value {
            Json::Array(items) => {
                match dims.get(depth) {
                    None if depth < 8 && out.is_empty() => dims.push(items.len()),
                    Some(&length) if length == items.len() => {}
                    _ => return None,
                }
                items.iter().try_for_each(|item| walk(item, depth + 1, dims, out))?;
            }
            Json::Number(number) if dims.len() == depth => out.push(number.as_f64()?),
            Json::Bool(yes) if dims.len() == depth => out.push(f64::from(u8::from(*yes))),
            _ => return None,
        }
        Some(())
    }
    let (mut dims, mut out) = (Vec::new(), Vec::new());
    walk(value, 0, &mut dims, &mut out)?;
    match dtype {
        "float32" => Numbers::floats_of(dims, &out.iter().map(|&value| value as f32).collect::<Vec<_>>()),
        "int32" => {
            let raw = out.iter().flat_map(|&value| (value as i32).to_le_bytes()).collect();
            Numbers::new(dims, DataType::Int32, raw)
        }
        "int64" => Numbers::whole_of(dims, &out.iter().map(|&value| value as i64).collect::<Vec<_>>()),
        "bool" => {
            let raw = out.iter().map(|&value| u8::from(value != 0.0)).collect();
            Numbers::new(dims, DataType::Bool, raw)
        }
        _ => None,
    }
}
