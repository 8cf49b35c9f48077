//! From `[record]` to what goes on record: names of features to places in the model's inputs.

use std::collections::{BTreeMap, BTreeSet};

use mantlet_columns::{Places, Redaction};
use mantlet_detectors::{InputProfile, Profile};
use mantlet_store::Store;

use crate::config::{Loaded, Record, Replies};
use crate::exit::Usage;

/// What goes on record under a configuration.
///
/// # Errors
/// When a name is none of the model's, or the key of digests cannot be read.
pub(super) fn redaction(
    loaded: &Loaded,
    store: &Store,
    profile: Option<&Profile>,
    gaps: &mut Vec<String>,
) -> anyhow::Result<Redaction> {
    let record = &loaded.config.record;
    let features = match profile.filter(|_| record.names_features()) {
        Some(profile) => Some(places(record, &profile.inputs, &names(loaded)?)?),
        // Nobody knows which value is which.
        None if record.names_features() => {
            gaps.push(
                "there is no profile that says which value is which feature: as `[record]` names some, none is recorded; \
                 name `data.train` and run `mantlet protect`"
                    .to_owned(),
            );
            Some(BTreeMap::new())
        }
        None => None,
    };
    Ok(Redaction {
        caller: record.callers.into(),
        request: record.requests.into(),
        without_reply: record.replies == Replies::LeftOut,
        features,
        key: store.derived_key("what is recorded")?,
    })
}

/// The features in the order of the model: as configured, else the columns of the training table but the label.
fn names(loaded: &Loaded) -> anyhow::Result<Vec<String>> {
    let Some(data) = &loaded.config.data else { return Ok(Vec::new()) };
    if !data.features.is_empty() {
        return Ok(data.features.clone());
    }
    let train = loaded.path(&data.train);
    if !train.is_file() {
        return Ok(Vec::new());
    }
    let table = mantlet_dataset::Dataset::open(&[train])?;
    let own = table.columns().iter().map(|column| &column.name);
    let out = |name: &&String| Some(*name) != data.label.as_ref() && !data.without.contains(*name);
    Ok(own.filter(out).cloned().collect())
}

fn places(
    record: &Record,
    inputs: &[InputProfile],
    names: &[String],
) -> anyhow::Result<BTreeMap<String, Places>> {
    let mut known: BTreeSet<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let mut found = BTreeMap::new();
    for input in inputs {
        let width = input.columns.len();
        let kept = Places::Of { width, places: Vec::new() };
        // A table in one input has the columns of the training data; else each input is a feature by its own name.
        let named = inputs.len() == 1 && names.len() == width;
        let itself = record.without.contains(&input.name) || record.only.contains(&input.name);
        let own = if itself {
            if record.only.is_empty() { Places::All } else { kept }
        } else if named {
            let out = names.iter().enumerate().filter(|(_, name)| record.leaves_out(name));
            Places::Of { width, places: out.map(|(at, _)| at).collect() }
        } else if record.only.is_empty() {
            kept
        } else {
            Places::All
        };
        if named {
            known.extend(names.iter().map(String::as_str));
        }
        found.insert(input.name.clone(), own);
    }
    let mut asked = record.without.iter().chain(&record.only);
    if let Some(unknown) = asked.find(|name| !known.contains(name.as_str())) {
        let some: Vec<&str> = known.into_iter().take(12).collect();
        return Err(Usage(format!(
            "`[record]` names `{unknown}`, which the model has no feature of; it has {}",
            some.join(", ")
        ))
        .into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use mantlet_detectors::Column;

    use super::*;

    fn inputs(inputs: &[(&str, usize)]) -> Vec<InputProfile> {
        let input = |(name, width): &(&str, usize)| InputProfile {
            name: (*name).to_owned(),
            kind: "number".to_owned(),
            shape: vec![*width],
            columns: vec![Column::default(); *width],
            homogeneous: false,
        };
        inputs.iter().map(input).collect()
    }

    fn of(width: usize, places: &[usize]) -> Places {
        Places::Of { width, places: places.to_vec() }
    }

    #[test]
    fn names_become_places_and_a_wrong_one_is_told() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let names = words(&["income", "debt", "age"]);
        let table = inputs(&[("input", 3)]);
        let without = |names: &[&str]| Record { without: words(names), ..Record::default() };
        let only = |names: &[&str]| Record { only: words(names), ..Record::default() };
        let found = |record: &Record, inputs: &[InputProfile], names: &[String]| {
            places(record, inputs, names).map(|found| found.into_values().collect::<Vec<_>>())
        };
        assert_eq!(found(&without(&["debt"]), &table, &names).unwrap(), [of(3, &[1])]);
        assert_eq!(found(&only(&["debt"]), &table, &names).unwrap(), [of(3, &[0, 2])]);
        assert_eq!(found(&without(&["input"]), &table, &names).unwrap(), [Places::All]);
        assert_eq!(found(&only(&["input"]), &table, &names).unwrap(), [of(3, &[])]);
        let apart = inputs(&[("age", 1), ("zip", 1)]);
        assert_eq!(found(&without(&["zip"]), &apart, &names).unwrap(), [of(1, &[]), Places::All]);
        assert_eq!(found(&only(&["zip"]), &apart, &names).unwrap(), [Places::All, of(1, &[])]);
        for (record, inputs) in
            [(without(&["dept"]), &table), (only(&["debt", "x"]), &table), (without(&["debt"]), &apart)]
        {
            let told = found(&record, inputs, &names).unwrap_err().to_string();
            assert!(told.contains("no feature of"), "{told}");
        }
    }
}
