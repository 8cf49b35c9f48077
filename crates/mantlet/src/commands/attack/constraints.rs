//! What must hold for a believable row, as people write it: by column name.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use mantlet_attacks::{Constraints, Relation};
use serde::Deserialize;
use serde_json::Value;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    #[serde(default)]
    columns: BTreeMap<String, Column>,
    #[serde(default)]
    relations: Vec<Value>,
}

/// What one column may be; what is absent stays as the training rows show it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    lower: Option<f32>,
    upper: Option<f32>,
    integer: Option<bool>,
    immutable: Option<bool>,
    cost: Option<f32>,
}

/// Adds what the file declares to the constraints.
///
/// # Errors
/// When the file cannot be read, or names a column the model does not have.
pub(super) fn declare(file: &Path, names: &[String], constraints: &mut Constraints) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let place = || format!("{} is no file of constraints", file.display());
    let declared: Declared = serde_json::from_str(&text).with_context(place)?;
    for (name, column) in declared.columns {
        let index = find(&name, names).with_context(place)?;
        let Some(own) = constraints.values.get_mut(index) else { continue };
        own.lower = column.lower.unwrap_or(own.lower);
        own.upper = column.upper.unwrap_or(own.upper);
        own.integer = column.integer.unwrap_or(own.integer);
        own.immutable = column.immutable.unwrap_or(own.immutable);
        if own.lower > own.upper {
            bail!("{}: column `{name}` has a lower bound above its upper one", file.display());
        }
        if let Some(cost) = column.cost {
            if !(cost.is_finite() && cost >= 0.0) {
                bail!("{}: the cost of column `{name}` must not be negative", file.display());
            }
            constraints.costs.resize(names.len(), 1.0);
            constraints.costs[index] = cost;
        }
    }
    for relation in declared.relations {
        let numbered = numbered(relation, names).with_context(place)?;
        let relation: Relation = serde_json::from_value(numbered).with_context(place)?;
        constraints.relations.push(relation);
    }
    Ok(())
}

fn find(name: &str, names: &[String]) -> anyhow::Result<usize> {
    names
        .iter()
        .position(|own| own == name)
        .with_context(|| format!("the model has no column `{name}`; it has {}", names.join(", ")))
}

/// The relation with column numbers in place of names.
fn numbered(mut relation: Value, names: &[String]) -> anyhow::Result<Value> {
    let number = |value: &mut Value| -> anyhow::Result<()> {
        if let Some(name) = value.as_str() {
            *value = find(name, names)?.into();
        }
        Ok(())
    };
    let Some(fields) = relation.as_object_mut() else { bail!("a relation is not an object") };
    for (key, value) in fields.iter_mut() {
        match (key.as_str(), value) {
            ("column" | "over" | "under", value) => number(value)?,
            ("columns" | "factors", Value::Array(list)) => list.iter_mut().try_for_each(number)?,
            ("terms", Value::Array(terms)) => {
                for term in terms {
                    if let Some(column) = term.get_mut(0) {
                        number(column)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(relation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Constraints> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("rules.json");
        std::fs::write(&file, text)?;
        let names = ["age", "income", "debt", "total"].map(str::to_owned);
        let mut constraints = Constraints::uniform(4, 0.0, 100.0);
        declare(&file, &names, &mut constraints)?;
        Ok(constraints)
    }

    #[test]
    fn columns_and_relations_are_named() {
        let constraints = read(
            r#"{"columns": {"age": {"immutable": true}, "debt": {"upper": 50, "cost": 3}},
                "relations": [
                  {"relation": "at-most", "terms": [["debt", 1], ["income", -1]], "bound": 0},
                  {"relation": "sum", "column": "total", "terms": [["income", 1], ["debt", 1]]}]}"#,
        )
        .unwrap();
        assert!(constraints.values[0].immutable && constraints.values[2].upper == 50.0);
        assert_eq!(constraints.costs, [1.0, 1.0, 3.0, 1.0]);
        let terms = vec![(1, 1.0), (2, 1.0)];
        assert_eq!(constraints.relations[1], Relation::Sum { column: 3, terms, offset: 0.0 });
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, word) in [
            (r#"{"columns": {"agee": {}}}"#, "agee"),
            (r#"{"columns": {"age": {"lower": 5, "upper": 1}}}"#, "lower bound"),
            (r#"{"columns": {"age": {"cost": -1}}}"#, "cost"),
            (r#"{"relations": [{"relation": "at-most", "terms": [["x", 1]], "bound": 0}]}"#, "`x`"),
            (r#"{"rows": []}"#, "no file of constraints"),
        ] {
            let said = format!("{:#}", read(text).unwrap_err());
            assert!(said.contains(word), "{said}");
        }
    }
}
