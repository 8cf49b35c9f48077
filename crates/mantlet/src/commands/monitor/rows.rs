//! The rows of segments in which the model errs: since when, and which to look at first.

use std::path::PathBuf;

use clap::Args;
use mantlet_curate::worth::{Shown, shown};
use mantlet_dataset::{Asked, Dataset, Judged, erring};
use mantlet_drift::segment::{REVIEW, Segments, Sheet};

use crate::terminal::write_whole;

/// What is said of single rows.
#[derive(Debug, Args)]
pub struct Rows {
    /// The column that says when a row came: segments of errors are told with the day, or the number, since when.
    #[arg(long, value_name = "COLUMN", requires = "prediction")]
    time: Option<String>,
    /// The column that identifies a row, by which rows to review are named.
    #[arg(long, value_name = "COLUMN", requires = "prediction")]
    id: Option<String>,
    /// Rows of each segment of errors that are named for a review.
    #[arg(long, value_name = "N", default_value_t = REVIEW, value_parser = most)]
    review: usize,
    /// Write the rows to review here, as CSV.
    #[arg(long, value_name = "FILE", requires = "prediction")]
    review_out: Option<PathBuf>,
}

/// Rows that people can look at.
const MOST: usize = 1_000;

fn most(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| "it is a whole number".to_owned())?;
    if number <= MOST { Ok(number) } else { Err(format!("it is at most {MOST}")) }
}

impl Rows {
    /// The columns that are about rows and no features.
    pub(super) fn own(&self) -> impl Iterator<Item = String> {
        self.time.iter().chain(&self.id).cloned()
    }

    /// Where rows to review are written.
    pub(super) fn out(&self) -> Option<&std::path::Path> {
        self.review_out.as_deref()
    }

    /// Adds what the rows say to each segment of errors, and writes those to review.
    pub(super) fn look(
        &self,
        now: &Dataset,
        segments: &mut Segments<'_>,
        judged: &Judged,
    ) -> anyhow::Result<()> {
        if segments.losses.is_empty() {
            return Ok(());
        }
        let asked = Asked {
            time: self.time.as_deref(),
            id: self.id.as_deref(),
            most: self.review,
            ..Asked::of(judged)
        };
        let told = erring(now, (segments.profile, segments.layout), &segments.losses, asked)?;
        let numbers: Vec<u64> = told.iter().flat_map(|told| &told.review).map(|own| own.row).collect();
        let first = self.id.as_deref().unwrap_or(&judged.label);
        let Shown { columns, cells, .. } = shown(now, first, &numbers)?;
        let mut cells = cells.into_iter();
        for (found, mut told) in segments.losses.iter_mut().zip(told) {
            let rows: Vec<Vec<String>> = cells.by_ref().take(told.review.len()).collect();
            told.sheet = Sheet { columns: columns.clone(), rows };
            found.told = told;
        }
        match &self.review_out {
            Some(out) => write_whole(out, &list(segments)?),
            None => Ok(()),
        }
    }
}

/// Rows to review as CSV: the segment, the number of the row as people count, its columns.
fn list(segments: &Segments<'_>) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = segments.losses.first().map(|found| found.told.sheet.columns.clone()).unwrap_or_default();
    let lead = ["segment".to_owned(), "row".to_owned()];
    writer.write_record(lead.iter().chain(&head))?;
    for found in &segments.losses {
        let who = segments.words(found);
        for (own, cells) in found.told.review.iter().zip(&found.told.sheet.rows) {
            let lead = [who.clone(), (own.row + 1).to_string()];
            writer.write_record(lead.iter().chain(cells))?;
        }
    }
    writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))
}
