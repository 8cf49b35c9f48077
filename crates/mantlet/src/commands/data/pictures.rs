//! A batch of pictures: one folder, its gate, the pictures that people are shown, and the list to learn from.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use mantlet_curate::CurateError;
use mantlet_curate::gallery::{Checked, gallery, small, worth};
use mantlet_curate::images::{Images, images};
use mantlet_curate::labels::Found;
use mantlet_dataset::Pictures;
use mantlet_registry::batch::Batch;
use mantlet_registry::rows::{RowRuling, Sheet, SheetRow};
use mantlet_vocab::{ArtifactSummary, Coverage, Examination, Finding, Gap, Millis, Place};

use super::batches::files;

/// The list of labels in a folder whose pictures do not lie in a folder for each label.
const LIST: &str = "labels.csv";
/// Labels a person may choose from.
const LABELS: usize = 100;

/// Whether a batch is one folder, as batches of pictures are.
pub(super) fn is_folder(files: &[PathBuf]) -> bool {
    matches!(files, [one] if one.is_dir())
}

/// Opens the pictures of a folder, with its list of labels where it has one.
fn opened(folder: &Path) -> anyhow::Result<Pictures> {
    let list = folder.join(LIST);
    Ok(Pictures::open(folder, list.is_file().then_some(list.as_path()))?)
}

/// What the checks gave.
pub(super) struct Looked {
    pub(super) examination: Examination,
    /// What no check could look at, which holds no batch by itself.
    pub(super) gaps: Vec<String>,
    pictures: Pictures,
    checked: Checked,
    marked: Images,
    labels: Option<Found>,
}

/// What every check says of a batch of pictures.
pub(super) fn examine(batch: &Batch) -> anyhow::Result<Looked> {
    let own = files(batch);
    let folder = own.first().context("the batch has no files")?;
    let pictures = opened(folder)?;
    let place = Place::artifact(batch.name.clone());
    let checked = gallery(&pictures, &place)?;
    let marked = images(&pictures, &place)?;
    let mut gaps = checked.gaps.clone();
    let mut findings: Vec<Finding> = checked.findings().chain(marked.findings()).collect();
    let labels = match mantlet_curate::labels::pictures(&pictures) {
        Ok(found) => {
            findings.extend(found.findings(&place));
            Some(found)
        }
        Err(CurateError::Dataset(error)) => return Err(error.into()),
        // Too few pictures or labels to learn from are no fault of the batch.
        Err(other) => {
            gaps.push(format!("labels were not compared with what other pictures look like: {other}"));
            None
        }
    };
    Finding::sort(&mut findings);
    // Pictures that do not fit into memory, or cannot be decoded, were not looked at.
    let gap = |why: &String| Gap {
        what: batch.name.clone(),
        why: why.clone(),
        remedy: "mend or remove the pictures, or deliver fewer at a time".to_owned(),
    };
    let coverage: Vec<Gap> = marked.gaps.iter().map(gap).collect();
    let artifact = ArtifactSummary {
        path: batch.name.clone(),
        size: pictures.size(),
        digest: Some(batch.digest),
        formats: vec![format!("{} pictures of {} labels", checked.pictures, pictures.labels().len())],
        said: Default::default(),
        coverage: if coverage.is_empty() { Coverage::Complete } else { Coverage::Partial { gaps: coverage } },
    };
    let examination = Examination { artifacts: vec![artifact], findings, ..Examination::default() };
    Ok(Looked { examination, gaps, pictures, checked, marked, labels })
}

impl Looked {
    /// The pictures most worth a look, each small and written anew.
    pub(super) fn sheet(&self, batch: &Batch, most: usize, at: Millis) -> Sheet {
        let (rows, left) = worth(&self.checked, &self.marked, self.labels.as_ref(), most);
        let numbers: Vec<u64> = rows.iter().map(|worth| worth.row).collect();
        let shown = small(&self.pictures, &numbers);
        let words = self.pictures.labels();
        let rows = rows.into_iter().zip(shown).map(|(worth, png)| {
            let row = usize::try_from(worth.row).unwrap_or(usize::MAX);
            let label = self.pictures.label(row).and_then(|label| words.get(usize::from(label)));
            SheetRow {
                row: worth.row,
                group: worth.group,
                chance: worth.chance,
                label: worth.label.or_else(|| label.cloned()).unwrap_or_default(),
                suggested: worth.suggested,
                cells: vec![self.pictures.name(row)],
                picture: png.map(|png| base64::engine::general_purpose::STANDARD.encode(png)),
            }
        });
        let mut labels: Vec<String> = words.to_vec();
        labels.sort();
        labels.truncate(LABELS);
        Sheet {
            batch: batch.name.clone(),
            digest: batch.digest,
            at,
            of: self.checked.pictures,
            labels,
            columns: vec!["file".to_owned()],
            rows: rows.collect(),
            gaps: self.gaps.iter().cloned().chain(left).collect(),
        }
    }
}

/// Writes the list of pictures to learn from, with their labels as people decided; gives those written and left out.
pub(super) fn write(own: &[PathBuf], batch: &Batch, out: &Path) -> anyhow::Result<(u64, u64)> {
    let folder = own.first().context("the batch has no files")?;
    let pictures = opened(folder)?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["file", "label"])?;
    let (mut rows, mut left) = (0, 0);
    for row in 0..pictures.len() {
        let given = pictures.label(row).and_then(|label| pictures.labels().get(usize::from(label)));
        let label = match batch.rulings.of(row as u64) {
            Some((RowRuling::LeaveOut, _)) => {
                left += 1;
                continue;
            }
            Some((RowRuling::Relabel(other), _)) => other.as_str(),
            Some((RowRuling::Keep, _)) | None => given.map_or("", String::as_str),
        };
        writer.write_record([pictures.name(row).as_str(), label])?;
        rows += 1;
    }
    crate::terminal::write_whole(out, &writer.into_inner()?)?;
    Ok((rows, left))
}
