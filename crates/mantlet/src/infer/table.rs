//! The label and the features of a table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mantlet_columns::{Column, Table, TableLimits, read_table};
use mantlet_model::Classifier;

use crate::config::Data;

/// Names that usually mean the label, best first.
const LABELS: [&str; 12] = [
    "label", "target", "class", "y", "outcome", "income", "default", "fraud", "is_fraud", "churn", "species",
    "digit",
];

/// Infers the `[data]` part from a training table.
///
/// # Errors
/// When the table cannot be read.
pub fn infer(
    folder: &Path,
    train: &Path,
    test: Option<&PathBuf>,
    classifier: Option<&Classifier>,
    notes: &mut Vec<String>,
) -> anyhow::Result<Data> {
    let limits = TableLimits { rows: 20_000, ..TableLimits::default() };
    let table = read_table(&folder.join(train), &limits)
        .with_context(|| format!("cannot infer a schema from {}", train.display()))?;
    notes.push(format!(
        "table: {} ({} columns{})",
        train.display(),
        table.columns.len(),
        if table.cut { String::new() } else { format!(", {} rows", table.rows) }
    ));
    let label = label(&table, classifier);
    match &label {
        Some((column, why)) => notes.push(format!("label: `{}`, {why}", column.name)),
        None => notes.push("no column looks like the label: name it in `data.label`".to_owned()),
    }
    let features = label.as_ref().and_then(|(label, _)| by_name(&table, label, classifier));
    Ok(Data {
        gate: crate::config::Gate::default(),
        train: train.to_owned(),
        test: test.cloned(),
        label: label.map(|(column, _)| column.name.clone()),
        feed: None,
        labeler: None,
        text: None,
        key: None,
        schema: None,
        without: Vec::new(),
        types: Default::default(),
        features: features.unwrap_or_default(),
        classes: Vec::new(),
        scale: None,
    })
}

fn distinct(column: &Column, most: usize) -> usize {
    let mut seen = BTreeSet::new();
    for row in 0..column.cells.len() {
        if let Some(text) = column.cells.text(row) {
            seen.insert(text);
        }
        if seen.len() > most {
            break;
        }
    }
    seen.len()
}

fn label<'t>(table: &'t Table, classifier: Option<&Classifier>) -> Option<(&'t Column, String)> {
    let classes = classifier.map(Classifier::classes);
    let fits = |column: &Column| classes.is_none_or(|classes| distinct(column, classes + 1) <= classes);
    for name in LABELS {
        if let Some(column) =
            table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name) && fits(column))
        {
            return Some((column, "by its name".to_owned()));
        }
    }
    let classes = classes?;
    let column = table.columns.iter().rev().find(|column| distinct(column, classes + 1) == classes)?;
    Some((column, format!("because it has {classes} values, as many as the model has classes")))
}

/// The features in the order of the model's inputs, when it takes one input for each column.
fn by_name(table: &Table, label: &Column, classifier: Option<&Classifier>) -> Option<Vec<String>> {
    let ports = &classifier?.model().signature().inputs;
    if ports.len() < 2 {
        return None;
    }
    let plain = |name: &str| name.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
    ports
        .iter()
        .map(|port| {
            let column = table.columns.iter().find(|column| plain(&column.name) == plain(&port.name))?;
            (column.name != label.name).then(|| column.name.clone())
        })
        .collect()
}
