//! Numbers of a reply rewritten where they stand, for answers that are given with less detail.

use serde_json::{Number, Value};

use super::{Classic, Mapping};
use crate::Defect;

/// What becomes of one row of scores.
type Change<'a> = &'a mut dyn FnMut(&[f64]) -> Vec<f64>;

/// The reply with every row of scores changed. Rows are the innermost lists of numbers, and numbers that stand alone in
/// their row; whole numbers are labels and stay as they are, unless they stand in a list with others.
///
/// # Errors
/// When the body is no JSON, or nothing in it holds values of the dialect.
pub fn rewrite_scores(
    dialect: Classic,
    body: &[u8],
    mapping: Option<&Mapping>,
    change: Change<'_>,
) -> Result<Vec<u8>, Defect> {
    let mut tree: Value =
        serde_json::from_slice(body).map_err(|_| Defect::Syntax { offset: 0, expected: "one JSON value" })?;
    let places: Vec<String> = match dialect {
        Classic::TfServing => words(&["/predictions", "/results", "/outputs", "/result"]),
        Classic::Kserve => words(&["/predictions"]),
        Classic::Mlflow => words(&["/predictions", ""]),
        Classic::Seldon => words(&["/data/ndarray", "/data/tensor", "/jsonData"]),
        Classic::Mapped => mapping.map(|mapping| mapping.places(&tree)).unwrap_or_default(),
    };
    let mut found = false;
    for place in places {
        // The bare list of older scoring servers is the whole message; an object has its own place.
        if place.is_empty() && !tree.is_array() {
            continue;
        }
        let Some(values) = tree.pointer_mut(&place) else { continue };
        found = true;
        if place == "/data/tensor" { flat(values, change) } else { column(values, change) }
    }
    if found {
        Ok(tree.to_string().into_bytes())
    } else {
        Err(Defect::Missing { field: "values that can be given with less detail" })
    }
}

fn words(places: &[&str]) -> Vec<String> {
    places.iter().map(|place| (*place).to_owned()).collect()
}

/// A value whose first axis, if it has one, is the rows.
fn column(value: &mut Value, change: Change<'_>) {
    match value {
        Value::Array(rows) => rows.iter_mut().for_each(|row| cell(row, change)),
        Value::Object(columns) => columns.values_mut().for_each(|column| self::column(column, change)),
        other => cell(other, change),
    }
}

/// A row: a number, a list of them, lists of lists, or members by name. Readers bound the nesting.
fn cell(value: &mut Value, change: Change<'_>) {
    match value {
        Value::Array(items) if items.iter().all(Value::is_number) => put(items, change),
        Value::Array(items) => items.iter_mut().for_each(|item| cell(item, change)),
        Value::Object(members) => members.values_mut().for_each(|member| cell(member, change)),
        Value::Number(number) if number.is_f64() => {
            if let Some(changed) = change(&[number.as_f64().unwrap_or(f64::NAN)]).first() {
                *value = written(*changed);
            }
        }
        _ => {}
    }
}

fn put(items: &mut [Value], change: Change<'_>) {
    if !items.iter().any(Value::is_f64) {
        return;
    }
    let row: Vec<f64> = items.iter().map(|item| item.as_f64().unwrap_or(f64::NAN)).collect();
    for (item, changed) in items.iter_mut().zip(change(&row)) {
        *item = written(changed);
    }
}

/// `{"shape": [...], "values": [...]}`: a row is as long as the last axis.
fn flat(tensor: &mut Value, change: Change<'_>) {
    let shape: Vec<u64> = tensor
        .get("shape")
        .and_then(Value::as_array)
        .map(|shape| shape.iter().filter_map(Value::as_u64).collect())
        .unwrap_or_default();
    let width = if shape.len() < 2 { 1 } else { shape.last().copied().unwrap_or(1).max(1) };
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    if let Some(values) = tensor.get_mut("values").and_then(Value::as_array_mut) {
        values.chunks_mut(width).for_each(|row| put(row, change));
    }
}

fn written(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
