//! Any JSON, by paths that say which of its values are the model's inputs and outputs.

use mantlet_vocab::{NamedValue, Piece};
use serde_json_path::JsonPath;

use super::cells::Column;
use crate::text::free_pieces;
use crate::{Defect, Limits};

/// Where a message of one's own shape holds the values of a model.
#[derive(Debug, Clone)]
pub struct Mapping {
    inputs: Vec<(String, JsonPath)>,
    outputs: Vec<(String, JsonPath)>,
}

/// A path of a mapping that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path of `{name}` is no JSONPath (RFC 9535): {reason}")]
pub struct PathError {
    /// The name the path is for.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Mapping {
    /// A mapping of names to JSONPath queries (RFC 9535), for requests and for replies.
    ///
    /// A query that finds one array makes its items the rows; one that finds several values makes each a row.
    ///
    /// # Errors
    /// When a query cannot be read.
    pub fn new(inputs: &[(String, String)], outputs: &[(String, String)]) -> Result<Self, PathError> {
        let compile = |paths: &[(String, String)]| {
            let one = |(name, path): &(String, String)| match JsonPath::parse(path) {
                Ok(path) => Ok((name.clone(), path)),
                Err(error) => Err(PathError { name: name.clone(), reason: error.to_string() }),
            };
            paths.iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { inputs: compile(inputs)?, outputs: compile(outputs)? })
    }

    /// Where the outputs of a reply stand, as JSON pointers.
    pub(super) fn places(&self, reply: &serde_json::Value) -> Vec<String> {
        let each = self.outputs.iter().flat_map(|(_, path)| path.query_located(reply).all());
        each.map(|node| node.location().to_json_pointer()).collect()
    }

    pub(super) fn read(
        &self,
        reply: bool,
        body: &[u8],
        limits: &Limits,
    ) -> Result<(Vec<NamedValue>, Vec<Piece>), Defect> {
        // The strict reading comes first: what the tree below would forgive (a key twice) never reaches it.
        let pieces = free_pieces(body, limits)?;
        let tree: serde_json::Value = serde_json::from_slice(body)
            .map_err(|_| Defect::Syntax { offset: 0, expected: "numbers that fit" })?;
        let mut left = limits.values;
        let paths = if reply { &self.outputs } else { &self.inputs };
        let mut values = Vec::with_capacity(paths.len());
        for (name, path) in paths {
            let nodes = path.query(&tree).all();
            let mut column = Column::new(name.as_str());
            match nodes.as_slice() {
                [] => return Err(Defect::Missing { field: "a value that the mapping names" }),
                [serde_json::Value::Array(items)] => {
                    items.iter().try_for_each(|item| row(&mut column, item, &mut left, limits))?;
                }
                nodes => nodes.iter().try_for_each(|node| row(&mut column, node, &mut left, limits))?,
            }
            values.push(column.finish(false)?);
        }
        Ok((values, pieces))
    }
}

fn row(
    column: &mut Column,
    value: &serde_json::Value,
    left: &mut usize,
    limits: &Limits,
) -> Result<(), Defect> {
    cell(column, value, 0, left, limits)?;
    column.end_row();
    Ok(())
}

fn cell(
    column: &mut Column,
    value: &serde_json::Value,
    depth: usize,
    left: &mut usize,
    limits: &Limits,
) -> Result<(), Defect> {
    use serde_json::Value;
    if !matches!(value, Value::Array(_)) {
        *left = left.checked_sub(1).ok_or(Defect::TooMany { what: "values", limit: limits.values })?;
    }
    match value {
        Value::Null => column.nothing(depth),
        Value::Bool(value) => column.truth(depth, *value),
        Value::Number(value) => column.number(depth, value.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => column.text(depth, text.clone()),
        Value::Array(items) => {
            items.iter().try_for_each(|item| cell(column, item, depth + 1, left, limits))?;
            column.close(depth, items.len())
        }
        Value::Object(_) => Err(Defect::Ragged { tensor: column.name().to_owned() }),
    }
}
