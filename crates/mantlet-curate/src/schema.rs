//! A table held against its schema, and the schema that a table keeps.

use std::path::Path;

use mantlet_datachecks::schema::{Inferring, Judge, Judged, Keys, Lane as Words, Schema};
use mantlet_dataset::{Column, Dataset, Kind, Lane};

use crate::CurateError;

/// Columns that are read, all as words: what stands there is judged, not what could be read of it.
fn readable(dataset: &Dataset) -> (Vec<Column>, Vec<String>) {
    let (read, unread): (Vec<&Column>, Vec<&Column>) =
        dataset.columns().iter().partition(|column| column.kind != Kind::Other);
    let words = |column: &Column| Column { name: column.name.clone(), kind: Kind::Words };
    let gap = |column: &&Column| {
        format!("column `{}` holds {}, which are not read", column.name, column.kind.word())
    };
    (read.into_iter().map(words).collect(), unread.iter().map(gap).collect())
}

fn each(dataset: &Dataset, wanted: &[Column], mut take: impl FnMut(&[Words<'_>])) -> Result<(), CurateError> {
    dataset.stream(wanted, |_, lanes| {
        let keyed: Vec<_> = lanes.iter().map(Lane::keyed).collect();
        let words: Vec<Words<'_>> = keyed.iter().map(|(keys, words)| Words { keys, words }).collect();
        take(&words);
        Ok(())
    })?;
    Ok(())
}

/// The schema that a table keeps.
///
/// # Errors
/// When the table cannot be read.
pub fn infer(dataset: &Dataset) -> Result<Schema, CurateError> {
    let (wanted, _) = readable(dataset);
    let mut inferring = Inferring::new(wanted.iter().map(|column| column.name.clone()).collect());
    each(dataset, &wanted, |lanes| inferring.batch(lanes))?;
    Ok(inferring.finish())
}

/// Holds a table against its schema. Tables that it refers to are relative to `base`.
///
/// # Errors
/// When the schema makes no sense, or a table cannot be read.
pub fn judge(dataset: &Dataset, schema: &Schema, base: &Path) -> Result<Judged, CurateError> {
    schema.check()?;
    let mut foreign = Vec::new();
    for reference in &schema.references {
        let other = Dataset::open(&[base.join(&reference.table)])?;
        let names = if reference.to.is_empty() { &reference.columns } else { &reference.to };
        let wanted = names
            .iter()
            .map(|name| {
                let at = crate::coding::find(&other, name)?;
                Ok(Column { name: other.columns()[at].name.clone(), kind: Kind::Words })
            })
            .collect::<Result<Vec<_>, CurateError>>()?;
        let mut keys = Keys::default();
        each(&other, &wanted, |lanes| keys.batch(lanes))?;
        foreign.push(keys);
    }
    let (wanted, gaps) = readable(dataset);
    let header: Vec<String> = wanted.iter().map(|column| column.name.clone()).collect();
    let mut judge = Judge::new(schema, &header, foreign)?;
    each(dataset, &wanted, |lanes| judge.batch(lanes))?;
    let mut judged = judge.finish();
    judged.gaps.extend(gaps);
    Ok(judged)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_schema_is_written_down_and_a_reference_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut text = String::from("customer,amount\n");
        (0..300).for_each(|row| writeln!(text, "c{},{}.5", row % 20, row).unwrap());
        std::fs::write(at("t.csv"), &text).unwrap();
        let customers: String = (0..20).map(|id| format!("c{id}\n")).collect();
        std::fs::write(at("customers.csv"), format!("id\n{customers}")).unwrap();
        let dataset = Dataset::open(&[at("t.csv")]).unwrap();
        let mut schema = infer(&dataset).unwrap();
        schema.references.push(mantlet_datachecks::schema::Reference {
            columns: vec!["customer".into()],
            table: "customers.csv".into(),
            to: vec!["id".into()],
        });
        let found = |dataset: &Dataset| {
            let judged = judge(dataset, &schema, folder.path()).unwrap();
            let place = mantlet_vocab::Place::artifact("t");
            let names = mantlet_datachecks::schema::look(&judged, &place).into_iter().map(|one| one.name);
            names.collect::<Vec<_>>()
        };
        assert_eq!(found(&dataset), [] as [&str; 0]);
        std::fs::write(at("later.csv"), text + "c99,12.5\nc3,twelve\n").unwrap();
        let later = Dataset::open(&[at("later.csv")]).unwrap();
        let names = found(&later);
        assert!(names.contains(&"schema-dangling-reference".to_owned()), "{names:?}");
        assert!(names.contains(&"schema-broken-value".to_owned()), "{names:?}");
        schema.references[0].table = "nowhere.csv".into();
        assert!(judge(&dataset, &schema, folder.path()).unwrap_err().to_string().contains("nowhere.csv"));
    }
}
