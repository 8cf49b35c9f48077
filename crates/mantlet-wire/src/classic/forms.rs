//! The messages of TensorFlow Serving, MLflow's scoring server, Seldon and KServe, as columns.

use mantlet_vocab::{Kind, NamedValue, Piece};

use super::cells::Cells;
use super::{Classic, table};
use crate::json::Reader;
use crate::{Defect, Limits};

type Read = Result<(Vec<NamedValue>, Vec<Piece>), Defect>;

/// Which member of the body holds the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Rows,
    Whole,
    Split,
    Seldon,
    Text,
}

/// Reads a body whose values stand under one of the dialect's members.
pub(super) fn read(dialect: Classic, reply: bool, body: &[u8], limits: &Limits) -> Read {
    let mut reader = Reader::new(body, limits)?;
    let mut cells = Cells::new(limits);
    let mut form = None;
    if reply && dialect == Classic::Mlflow && reader.peek() == Some(b'[') {
        // Scoring servers before MLflow 2.0 answer with the bare list.
        cells.rows(&mut reader, "predictions")?;
        reader.finish()?;
        return cells.finish(false);
    }
    reader.object(|reader, key| {
        let Some(found) = member(dialect, reply, key) else {
            return match (dialect, key) {
                (Classic::TfServing, "signature_name") | (_, "meta" | "params" | "parameters") => {
                    cells.unknown(reader, key)
                }
                // One of these makes the scoring server hand the whole message to a model of language instead.
                (Classic::Mlflow, "messages" | "prompt" | "input") if !reply => {
                    Err(Defect::Unserved { name: "a message for a model of language" })
                }
                (Classic::TfServing, "context") if !reply => Err(Defect::Unserved { name: "context" }),
                _ => cells.unknown(reader, key),
            };
        };
        // Which of two a server takes is its own choice.
        if form.replace(found).is_some() {
            return Err(Defect::BothForms { tensor: key.to_owned() });
        }
        cells.below(key, |cells| match found {
            Form::Rows => cells.rows(reader, key),
            Form::Whole => cells.whole(reader, key),
            Form::Split => split(reader, cells),
            Form::Seldon => seldon(reader, cells),
            Form::Text => {
                if reader.peek() == Some(b'"') {
                    let at = cells.column(key)?;
                    cells.cell(reader, at)
                } else {
                    cells.unknown(reader, key)
                }
            }
        })
    })?;
    reader.finish()?;
    let form = form.ok_or(Defect::Missing { field: needed(dialect, reply) })?;
    cells.finish(form == Form::Whole)
}

fn member(dialect: Classic, reply: bool, key: &str) -> Option<Form> {
    Some(match (dialect, reply, key) {
        (Classic::TfServing, false, "instances" | "examples") => Form::Rows,
        (Classic::TfServing, false, "inputs") => Form::Whole,
        (Classic::TfServing, true, "predictions" | "results") => Form::Rows,
        (Classic::TfServing, true, "outputs" | "result") => Form::Whole,
        (Classic::Kserve, false, "instances" | "inputs") | (Classic::Kserve, true, "predictions") => {
            Form::Rows
        }
        (Classic::Mlflow, false, "instances" | "dataframe_records") => Form::Rows,
        (Classic::Mlflow, false, "inputs") => Form::Whole,
        (Classic::Mlflow, false, "dataframe_split") => Form::Split,
        (Classic::Mlflow, true, "predictions") => Form::Rows,
        (Classic::Seldon, _, "data") => Form::Seldon,
        (Classic::Seldon, _, "strData" | "binData" | "jsonData") => Form::Text,
        _ => return None,
    })
}

const fn needed(dialect: Classic, reply: bool) -> &'static str {
    match (dialect, reply) {
        (Classic::TfServing | Classic::Kserve, false) => "instances",
        (Classic::TfServing | Classic::Kserve | Classic::Mlflow, true) => "predictions",
        (Classic::Mlflow, false) => "dataframe_split",
        (Classic::Seldon | Classic::Mapped, _) => "data",
    }
}

/// `{"columns": [...], "index": [...], "data": [[...], ...]}`; the data may stand before the columns.
fn split(reader: &mut Reader<'_>, cells: &mut Cells<'_>) -> Result<(), Defect> {
    let mut names: Option<Vec<String>> = None;
    let mut waiting = None;
    reader.object(|reader, key| {
        match key {
            "columns" => {
                let mut read = Vec::new();
                reader.array(|reader| {
                    let name = match reader.peek() {
                        Some(b'"') => reader.string()?.into_owned(),
                        _ => reader.decimal()?.text.to_owned(),
                    };
                    // The place of a column is its place among the names, so no name may come twice.
                    let offset = reader.at;
                    if cells.column(&name)? != read.len() {
                        return Err(Defect::DuplicateKey { offset, key: name.chars().take(100).collect() });
                    }
                    read.push(name);
                    Ok(())
                })?;
                names = Some(read);
            }
            "data" => match &names {
                Some(names) => return cells.below(key, |cells| table::rows(reader, cells, names.len())),
                None => {
                    reader.peek();
                    waiting = Some((reader.at, reader.depth()));
                    reader.any()?;
                }
            },
            // Numbers of rows say nothing; names of rows are forwarded, so they are looked at.
            "index" => {
                reader.peek();
                let (at, depth) = (reader.at, reader.depth());
                if reader.any()?.contains('"') {
                    reader.rewind(at, depth);
                    return cells.unknown(reader, key);
                }
            }
            other => return cells.unknown(reader, other),
        }
        Ok(())
    })?;
    if let Some((at, depth)) = waiting {
        let (end, end_depth) = (reader.at, reader.depth());
        reader.rewind(at, depth);
        match names {
            Some(names) => cells.below("data", |cells| table::rows(reader, cells, names.len()))?,
            // Without names the columns are counted.
            None => cells.below("data", |cells| cells.rows(reader, "data"))?,
        }
        reader.rewind(end, end_depth);
    }
    Ok(())
}

/// `{"names": [...], "ndarray": [[...]]}` or `{"tensor": {"shape": [...], "values": [...]}}`.
fn seldon(reader: &mut Reader<'_>, cells: &mut Cells<'_>) -> Result<(), Defect> {
    let mut values = 0;
    reader.object(|reader, key| match key {
        "names" => reader.array(|reader| {
            let name = reader.string()?;
            cells.piece(Kind::Unknown, &name)
        }),
        "ndarray" => {
            values += 1;
            cells.below(key, |cells| cells.rows(reader, "ndarray"))
        }
        "tensor" => {
            values += 1;
            cells.below(key, |cells| tensor(reader, cells))
        }
        other => cells.unknown(reader, other),
    })?;
    if values == 1 { Ok(()) } else { Err(Defect::BothForms { tensor: "data".to_owned() }) }
}

fn tensor(reader: &mut Reader<'_>, cells: &mut Cells<'_>) -> Result<(), Defect> {
    let mut shape: Option<Vec<usize>> = None;
    let mut count = None;
    reader.object(|reader, key| {
        match key {
            "shape" => {
                let mut read = Vec::new();
                reader.array(|reader| {
                    if read.len() >= 16 {
                        return Err(Defect::TooMany { what: "axes", limit: 16 });
                    }
                    let offset = reader.at;
                    let size = reader.decimal()?.to_u64().and_then(|size| usize::try_from(size).ok());
                    read.push(size.ok_or(Defect::OutOfRange { offset, datatype: "a size" })?);
                    Ok(())
                })?;
                shape = Some(read);
            }
            "values" => {
                let mut values = 0_usize;
                let at = cells.column("tensor")?;
                reader.array(|reader| {
                    values += 1;
                    cells.cell(reader, at)
                })?;
                count = Some(values);
            }
            other => cells.unknown(reader, other)?,
        }
        Ok(())
    })?;
    let (shape, count) =
        (shape.ok_or(Defect::Missing { field: "shape" })?, count.ok_or(Defect::Missing { field: "values" })?);
    let expected = crate::tensor::product("tensor", &shape)?;
    if expected == count {
        let at = cells.column("tensor")?;
        cells.columns[at].shaped(shape);
        Ok(())
    } else {
        Err(Defect::Count { tensor: "tensor".to_owned(), expected, found: count })
    }
}
