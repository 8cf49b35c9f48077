//! A batch beside those that came before it: bytes and rows that come again, units and clocks, groups, slow poison.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use mantlet_curate::CurateError;
use mantlet_curate::feeds::{Settings, study};
use mantlet_curate::split::split;
use mantlet_curate::versions::versions;
use mantlet_datachecks::again::{self, Again, SameFile};
use mantlet_dataset::{Dataset, DatasetError, Grouping, Stream, grouped_by};
use mantlet_drift::fairness::{FairnessSettings, gaps};
use mantlet_registry::batch::{Batch, BatchState, Ledger};
use mantlet_vocab::{Digest, Finding, Gap, Place, Severity};

use super::batches::{digest, files};
use super::examine::{Looked, influenced};
use super::pictures;
use crate::config::Data;

/// Suspects of the whole scan, of which those of this batch are shown.
const SUSPECTS: usize = 4_000;

/// Files of a batch told at most as delivered before.
const AGAIN: usize = 20;

/// Files of a batch whose bytes another batch brought: one that came before, whatever was decided about it, or one that
/// came later and was let through already.
pub(super) fn delivered_before(ledger: &Ledger, batch: &Batch, place: &Place) -> Vec<Finding> {
    let size =
        |file: &PathBuf| file.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
    let hash = |file: &PathBuf| digest(std::slice::from_ref(file)).ok();
    let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own: Vec<(PathBuf, Option<u64>)> =
        files(batch).into_iter().map(|file| (file.clone(), size(&file))).collect();
    let mut hashes: Vec<Option<Option<Digest>>> = vec![None; own.len()];
    let mut same = Vec::new();
    let is_told = |other: &&Batch| {
        let came_before = (other.at, &other.name) < (batch.at, &batch.name);
        other.name != batch.name
            && (other.state.is_usable() || (came_before && other.state != BatchState::Quarantined))
    };
    for other in ledger.batches.values().filter(is_told) {
        let theirs = files(other);
        let theirs: Vec<(PathBuf, Option<u64>)> =
            theirs.into_iter().map(|file| (file.clone(), size(&file))).collect();
        for ((file, size), known) in own.iter().zip(&mut hashes) {
            // The ledger remembers a batch as a whole, also when its files are gone.
            let is_same = other.digest == batch.digest
                || theirs.iter().any(|(their, len)| {
                    len.is_some()
                        && len == size
                        && known.get_or_insert_with(|| hash(file)).is_some_and(|own| hash(their) == Some(own))
                });
            if is_same && same.len() < AGAIN {
                same.push(SameFile {
                    file: name(file),
                    batch: other.name.clone(),
                    feed: other.feed.clone(),
                    state: other.state.word().to_owned(),
                });
            }
        }
    }
    let same: Vec<Again<'_>> = same.iter().map(Again::File).collect();
    again::look(&same, place)
}

/// The files of a batch, each under the name of the batch: in reports that is not a file somewhere.
fn named(batch: &Batch) -> Vec<(PathBuf, String)> {
    let all = files(batch);
    let alone = all.len() == 1;
    let name = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if alone { batch.name.clone() } else { format!("{}/{file}", batch.name) }
    };
    all.iter().map(|path| (path.clone(), name(path))).collect()
}

/// The fault of a file in why something failed.
pub(super) fn fault(error: &anyhow::Error) -> Option<&DatasetError> {
    error.chain().find_map(|link| match link.downcast_ref::<CurateError>() {
        Some(CurateError::Dataset(error)) => Some(error),
        _ => link.downcast_ref::<DatasetError>(),
    })
}

/// The batch beside those that were let through before it. One of them that cannot be read stops no gate: it is left out,
/// and named.
pub(super) fn before(
    looked: &mut Looked,
    data: &Data,
    (ledger, batch): (&Ledger, &Batch),
    place: &Place,
) -> anyhow::Result<()> {
    // What was taken back is learned from no more, but what it shows of its feed stays true.
    let is_known = |other: &&Batch| other.state.is_usable() || other.state == BatchState::Withdrawn;
    let mut earlier: Vec<&Batch> =
        ledger.batches.values().filter(is_known).filter(|other| other.name != batch.name).collect();
    // Pictures are no rows that a table could be compared with.
    earlier.retain(|other| !pictures::is_folder(&files(other)));
    earlier.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
    readable(looked, &mut earlier, data, batch);
    loop {
        let kept = (looked.examination.clone(), looked.gaps.clone(), looked.turned.clone());
        let Err(error) = beside(looked, data, (&earlier, batch), place) else { return Ok(()) };
        let bad = fault(&error).and_then(DatasetError::file);
        let Some(at) =
            bad.and_then(|bad| earlier.iter().position(|other| files(other).iter().any(|own| own == bad)))
        else {
            return Err(error);
        };
        (looked.examination, looked.gaps, looked.turned) = kept;
        let other = earlier.remove(at);
        if other.state.is_usable() {
            looked.gaps.push(without(other, &format!("{error:#}")));
        }
    }
}

fn without(other: &Batch, why: &str) -> String {
    format!(
        "batch {0}, which was let through before: {why}; `mantlet data withdraw {0}` takes it back",
        other.name
    )
}

/// Leaves out batches whose bytes are not those of the ledger, that cannot be read, or whose columns are not those of
/// this batch. When most of them have other columns it is this batch that is odd, and it is not wholly examined.
fn readable(looked: &mut Looked, earlier: &mut Vec<&Batch>, data: &Data, batch: &Batch) {
    let (own, types) = (files(batch), data.types());
    let (mut gaps, mut odd) = (Vec::new(), Vec::new());
    earlier.retain(|other| {
        let theirs = files(other);
        let why = match digest(&theirs) {
            Err(error) => Some(format!("{error:#}")),
            Ok(found) if found != other.digest => Some("it has other bytes than were let through".to_owned()),
            Ok(_) => Dataset::open_as(&theirs, &types).err().map(|error| error.to_string()),
        };
        if let Some(why) = why {
            if other.state.is_usable() {
                gaps.push(without(other, &why));
            }
            return false;
        }
        let both: Vec<PathBuf> = theirs.into_iter().chain(own.iter().cloned()).collect();
        match Dataset::open_as(&both, &types) {
            Ok(_) => true,
            Err(error) => {
                if other.state.is_usable() {
                    odd.push(without(other, &error.to_string()));
                }
                false
            }
        }
    });
    looked.gaps.extend(gaps);
    if odd.len() > earlier.len() {
        let why =
            format!("it cannot be held against most of what was let through before: {}", odd.join("; "));
        let remedy = "deliver it with the columns of the others, or take back what it replaces".to_owned();
        looked.examination.gaps.push(Gap { what: batch.name.clone(), why, remedy });
    } else {
        looked.gaps.extend(odd);
    }
}

fn beside(
    looked: &mut Looked,
    data: &Data,
    (known, batch): (&[&Batch], &Batch),
    place: &Place,
) -> anyhow::Result<()> {
    let types = &data.types();
    let earlier: Vec<&Batch> = known.iter().copied().filter(|other| other.state.is_usable()).collect();
    groups(looked, data, (&earlier, batch), place)?;
    let before: Vec<(PathBuf, String)> = earlier.into_iter().flat_map(named).collect();
    let mut tables = before.clone();
    tables.extend(named(batch));
    influenced(looked, data, &Dataset::open_copies_as(tables, Arc::new(()), types)?, place)?;
    if !before.is_empty() {
        // Units, clocks and names as in all batches that were let through before.
        let known = Dataset::open_copies_as(before, Arc::new(()), types)?;
        let compared = versions(&known, &looked.own, data.feed.as_deref(), &data.without)?;
        looked.add(mantlet_datachecks::version::look(&compared.changes, place));
        match split(&known, &looked.own, data.label.as_deref(), None, &data.without) {
            Ok(found) => looked.add(again::look(&[Again::Rows(&found.rows)], place)),
            Err(CurateError::Dataset(error)) => return Err(error.into()),
            Err(other) => {
                looked.gaps.push(format!("rows were not compared with those of batches before: {other}"));
            }
        }
    }
    // Batches of one file each are what the scan divides time by.
    let mut tables: Vec<(PathBuf, String)> = known.iter().copied().flat_map(named).collect();
    let owners: Vec<&Batch> =
        known.iter().flat_map(|other| other.files.iter().map(move |_| *other)).collect();
    let first = tables.len();
    if first == 0 {
        return Ok(());
    }
    tables.extend(named(batch));
    let settings = Settings { rows: SUSPECTS, ..Settings::default() };
    let all = study(&Dataset::open_copies_as(tables, Arc::new(()), types)?, &looked.roles, &settings)?;
    // What ended before this batch was decided about when its own batch came.
    let mut turned: BTreeSet<String> = BTreeSet::new();
    for (cell, finding) in all.cells.iter().zip(all.findings(place)) {
        let (from, to) = cell.alarm.window;
        if to < first {
            continue;
        }
        if finding.severity >= Severity::Suspicious {
            let window = owners.iter().skip(from);
            let usable = window.filter(|other| other.state.is_usable() && other.feed == batch.feed);
            turned.extend(usable.map(|other| other.name.clone()));
        }
        looked.add([finding]);
    }
    looked.turned = turned.into_iter().collect();
    looked.studied = Some(all);
    Ok(())
}

/// Groups that are labelled otherwise than in the batch before this one: the one it names, else the last of its feed.
fn groups(
    looked: &mut Looked,
    data: &Data,
    (earlier, batch): (&[&Batch], &Batch),
    place: &Place,
) -> anyhow::Result<()> {
    if data.gate.groups.is_empty() {
        return Ok(());
    }
    let parent = match &batch.parent {
        Some(name) => earlier.iter().find(|other| other.name == *name),
        None => earlier.iter().rev().find(|other| other.feed == batch.feed),
    };
    let Some(parent) = parent else {
        looked.gaps.push("groups were not compared: no batch of this feed was let through before".into());
        return Ok(());
    };
    let grouping = Grouping {
        decision: looked.roles.label.clone(),
        label: None,
        positive: data.gate.positive.clone().unwrap_or_else(|| "1".to_owned()),
        groups: data.gate.groups.clone(),
        given: data.gate.given.clone(),
    };
    let old = grouped_by(&Stream, &Dataset::open_as(&files(parent), &data.types())?, &grouping)?;
    let new = grouped_by(&Stream, &looked.own, &grouping)?;
    let found = gaps(&old.value, &new.value, FairnessSettings::default());
    looked.add(mantlet_drift::fairness::look(&found, place));
    looked.gaps.extend(new.gaps);
    Ok(())
}
