//! Reports about data and behaviour, kept so that people see them on the console: the newest of each system.

use mantlet_respond::SELF;
use mantlet_vocab::{Digest, Examination, Millis, Severity, Verdict};
use serde::{Deserialize, Serialize};

use crate::{Record, RecordKind, Store, StoreError};

/// Reports of one system that are kept.
pub const REPORTS: usize = 100;
/// Findings of one report that are kept, strongest first.
const FINDINGS: usize = 200;

/// A report that was kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// The system it is about.
    #[serde(default)]
    pub system: String,
    /// When it was made.
    #[serde(default)]
    pub at: Millis,
    /// The command that made it: `monitor drift`, `data gate week-08`.
    pub command: String,
    /// What it says.
    pub examination: Examination,
    /// Findings that found no room; the command that made the report says them.
    #[serde(default)]
    pub left_out: usize,
}

impl Report {
    /// The verdict, as the console shows it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.examination.verdict(Severity::Suspicious)
    }
}

impl Store {
    /// Keeps a report; the oldest of the system give way. Gives its id.
    ///
    /// # Errors
    /// When the log or the database fails.
    pub async fn keep_report(
        &self,
        system: &str,
        command: &str,
        examination: &Examination,
    ) -> Result<String, StoreError> {
        let at = self.now();
        let mut examination = examination.clone();
        let left_out = examination.findings.len().saturating_sub(FINDINGS);
        examination.findings.truncate(FINDINGS);
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let word: String = command.chars().take(60).map(plain).collect();
        let id = format!("{}-{word}-{}", at.0, Digest::of(system.as_bytes()).hex().get(..8).unwrap_or(""));
        let report = Report {
            id: id.clone(),
            system: system.to_owned(),
            at,
            command: command.to_owned(),
            examination,
            left_out,
        };
        let record = Record {
            id: id.clone(),
            system: system.to_owned(),
            at,
            state: report.verdict().word().to_owned(),
            doc: serde_json::to_value(&report).map_err(|error| unreadable(&error))?,
        };
        self.put_record(RecordKind::Examination, &record, SELF).await?;
        let kept = self.records(RecordKind::Examination, Some(system), REPORTS + 20).await?;
        for old in kept.iter().skip(REPORTS) {
            self.remove_record(RecordKind::Examination, &old.id, SELF).await?;
        }
        Ok(id)
    }

    /// Reports of all systems, newest first, at most `most`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reports(&self, most: usize) -> Result<Vec<Report>, StoreError> {
        let records = self.records(RecordKind::Examination, None, most).await?;
        records.into_iter().map(report).collect()
    }

    /// The report of this id.
    ///
    /// # Errors
    /// When the database fails, or what it holds does not read back.
    pub async fn report(&self, id: &str) -> Result<Option<Report>, StoreError> {
        self.record(RecordKind::Examination, id).await?.map(report).transpose()
    }
}

fn report(record: Record) -> Result<Report, StoreError> {
    serde_json::from_value(record.doc).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> StoreError {
    StoreError::Record { table: "records", reason: format!("a report: {error}") }
}
