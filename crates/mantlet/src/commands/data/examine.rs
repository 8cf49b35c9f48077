//! Every check that the gate runs on a batch: its own rows, its texts and labels, and what came before it.

use mantlet_curate::feedback::{FeedbackRoles, feedback};
use mantlet_curate::feeds::Studied;
use mantlet_curate::floods::{Flooded, floods};
use mantlet_curate::influence::influence;
use mantlet_curate::labels::{Asked, Found, labels};
use mantlet_curate::relations::relations;
use mantlet_curate::split::split;
use mantlet_curate::texts::texts;
use mantlet_curate::triggers::{Triggers, triggers};
use mantlet_curate::versions::feeds_apart;
use mantlet_curate::{CurateError, Roles};
use mantlet_datachecks::influence::InfluenceSettings;
use mantlet_datachecks::split::Split;
use mantlet_datachecks::trigger::Limits;
use mantlet_dataset::Dataset;
use mantlet_registry::batch::{Batch, Ledger};
use mantlet_vocab::{Examination, Finding, Place};

use super::batches::files;
use super::beside::{before, delivered_before};
use crate::config::{Data, Loaded};
use crate::exit::Usage;
use crate::protect::take_in;

/// What the checks gave, beyond findings.
pub(super) struct Looked {
    pub(super) examination: Examination,
    pub(super) roles: Roles,
    pub(super) own: Dataset,
    pub(super) studied: Option<Studied>,
    pub(super) flooded: Flooded,
    pub(super) triggers: Triggers,
    pub(super) labels: Option<Found>,
    /// What no check could look at, which holds no batch by itself.
    pub(super) gaps: Vec<String>,
    /// Batches of the same feed that were let through and stand in the window in which labels turned.
    pub(super) turned: Vec<String>,
}

impl Looked {
    pub(super) fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.examination.findings.extend(findings);
    }
}

/// Whether a file is a picture or an array of them, by what it begins with.
fn is_picture(file: &std::path::Path) -> bool {
    use std::io::Read as _;
    let mut head = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(8).read_to_end(&mut head));
    let begins = [&b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8\xff", b"\x93NUMPY"];
    read.is_ok() && begins.iter().any(|begin| head.starts_with(begin))
}

/// What every check says of a batch; the scan over feeds reads all usable batches before it, as well.
pub(super) fn examine(loaded: &Loaded, ledger: &Ledger, batch: &Batch) -> anyhow::Result<Looked> {
    let Some(data) = &loaded.config.data else {
        return Err(Usage(format!("{} names no data: add `[data]`", loaded.file.display())).into());
    };
    let Some(label) = data.label.clone() else {
        return Err(Usage(format!("{} names no `data.label`", loaded.file.display())).into());
    };
    let roles = Roles {
        label: label.clone(),
        feed: data.feed.clone(),
        labeler: data.labeler.clone(),
        without: data.without.clone(),
        ..Roles::default()
    };
    if let Some(picture) = files(batch).iter().find(|file| is_picture(file)) {
        return Err(Usage(format!(
            "batch {} holds pictures as single files ({}), which have no label: it stays in quarantine; deliver one \
             folder with a folder for each label, or with a list `labels.csv`",
            batch.name,
            picture.display()
        ))
        .into());
    }
    let mut examination = Examination::default();
    for file in &files(batch) {
        examination.merge(take_in::table(file, Some(&label)));
    }
    let types = &data.types();
    let own = Dataset::open_as(&files(batch), types)?;
    let place = Place::artifact(batch.name.clone());
    if let Some(schema) = &data.schema {
        examination.merge(super::check::against(&own, &loaded.path(schema))?);
    }
    let flooded = floods(&own, &roles, data.text.as_deref(), true)?;
    let mined = triggers(&own, &roles, data.text.as_deref(), &Limits::default())?;
    let mut looked = Looked {
        examination,
        roles,
        own,
        studied: None,
        flooded,
        triggers: mined,
        labels: None,
        gaps: Vec::new(),
        turned: Vec::new(),
    };
    let told = looked.flooded.findings(&place);
    looked.add(told);
    let told = looked.triggers.findings(&place);
    looked.add(told);
    read(&mut looked, data, &place)?;
    labelled(&mut looked, data, &place)?;
    apart(&mut looked, loaded, data)?;
    steered(&mut looked, data, &place)?;
    looked.add(delivered_before(ledger, batch, &place));
    before(&mut looked, data, (ledger, batch), &place)?;
    Finding::sort(&mut looked.examination.findings);
    looked.gaps.sort();
    looked.gaps.dedup();
    Ok(looked)
}

/// Personal data, secrets, instructions to a model and abuse in texts.
fn read(looked: &mut Looked, data: &Data, place: &Place) -> anyhow::Result<()> {
    let Some(text) = &data.text else { return Ok(()) };
    let found = texts(&looked.own, text, data.feed.as_deref(), &[])?;
    looked.add(found.findings(place));
    looked.gaps.extend(found.gaps);
    Ok(())
}

/// Labels that the other rows contradict. What cannot be learned row by row is no fault of the batch.
fn labelled(looked: &mut Looked, data: &Data, place: &Place) -> anyhow::Result<()> {
    let asked = Asked { roles: looked.roles.clone(), text: data.text.clone(), ..Asked::default() };
    match labels(&looked.own, &asked) {
        Ok(found) => {
            looked.add(found.findings(place));
            looked.gaps.extend(found.gaps.iter().cloned());
            looked.labels = Some(found);
        }
        Err(CurateError::Dataset(error)) => return Err(error.into()),
        Err(other) => {
            looked.gaps.push(format!("labels were not compared with what other rows say: {other}"));
        }
    }
    Ok(())
}

/// Units and relations of one feed beside the others in the batch, and rows that a model is tested with.
fn apart(looked: &mut Looked, loaded: &Loaded, data: &Data) -> anyhow::Result<()> {
    let place = Place::artifact(looked.own.name());
    if let Some(feed) = &data.feed {
        let found = feeds_apart(&looked.own, feed, &data.without)?;
        looked.add(mantlet_datachecks::version::look(&found.changes, &place));
        looked.gaps.extend(found.gaps);
        let found = relations(&looked.own, &looked.roles)?;
        looked.add(mantlet_datachecks::relation::look(&found.uneven, &place));
        looked.gaps.extend(found.gaps);
    }
    let Some(test) = &data.test else { return Ok(()) };
    let test = match Dataset::open_as(&[loaded.path(test)], &data.types()) {
        Ok(test) => test,
        Err(error) => {
            looked.gaps.push(format!("rows were not compared with those of `data.test`: {error}"));
            return Ok(());
        }
    };
    match split(&looked.own, &test, data.label.as_deref(), data.key.as_deref(), &data.without) {
        Ok(found) => {
            let mut splits = vec![Split::Rows(&found.rows)];
            splits.extend(found.keys.as_ref().map(Split::Keys));
            looked.add(mantlet_datachecks::split::look(&splits, &place));
            looked.gaps.extend(found.gaps);
        }
        Err(CurateError::Dataset(error)) => return Err(error.into()),
        Err(other) => {
            looked.gaps.push(format!("rows were not compared with those of `data.test`: {other}"));
        }
    }
    Ok(())
}

/// Accounts that steer feedback together.
fn steered(looked: &mut Looked, data: &Data, place: &Place) -> anyhow::Result<()> {
    let Some(columns) = &data.gate.feedback else { return Ok(()) };
    let roles = FeedbackRoles {
        account: columns.account.clone(),
        item: columns.item.clone(),
        value: columns.value.clone(),
        time: columns.time.clone(),
    };
    let found = feedback(&looked.own, &roles, place)?;
    looked.add(found.findings);
    looked.gaps.extend(found.gaps);
    Ok(())
}

/// The feed that decides what a model says in a segment, over the batch and what was let through before it.
pub(super) fn influenced(
    looked: &mut Looked,
    data: &Data,
    all: &Dataset,
    place: &Place,
) -> anyhow::Result<()> {
    if !data.gate.influence {
        return Ok(());
    }
    if data.feed.is_none() {
        looked.gaps.push("influence of feeds was not looked at: `data.feed` names no column".to_owned());
        return Ok(());
    }
    // A labeler is no feature of what a model decides later.
    let mut roles = looked.roles.clone();
    roles.without.extend(roles.labeler.take());
    match influence(all, &roles) {
        Ok(found) => {
            looked.add(found.findings(InfluenceSettings::default(), place));
            looked.gaps.extend(found.gaps);
        }
        Err(CurateError::Dataset(error)) => return Err(error.into()),
        Err(other) => looked.gaps.push(format!("influence of feeds was not looked at: {other}")),
    }
    Ok(())
}
