//! A campaign's journal as a file of JSON lines.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use mantlet_redteam::{Entry, Journal, JournalError};

/// Appends a line for each answered batch. A line that has returned survives a kill of the process; a last line
/// torn by one is cut off when the file is opened again.
#[derive(Debug)]
pub struct FileJournal {
    file: File,
    entries: Vec<Entry>,
}

impl FileJournal {
    /// Opens or creates the file and reads what an interrupted campaign left.
    ///
    /// # Errors
    /// When the file cannot be opened, or holds a whole line that is no entry.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let read = |reason: String| JournalError { verb: "read", reason };
        let name = path.display();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(|error| read(format!("{name}: {error}")))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|error| read(format!("{name}: {error}")))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut entries = Vec::new();
        for (number, line) in text[..whole].split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let entry = serde_json::from_slice(line).map_err(|error| {
                read(format!(
                    "{name}: line {} is no entry ({error}); remove the file to begin anew",
                    number + 1
                ))
            })?;
            entries.push(entry);
        }
        if whole < text.len() {
            file.set_len(whole as u64).map_err(|error| read(format!("{name}: {error}")))?;
            file.seek(SeekFrom::End(0)).map_err(|error| read(format!("{name}: {error}")))?;
        }
        Ok(Self { file, entries })
    }
}

impl Journal for FileJournal {
    fn entries(&mut self) -> Result<Vec<Entry>, JournalError> {
        Ok(self.entries.clone())
    }

    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let write = |reason: String| JournalError { verb: "write", reason };
        let mut line = serde_json::to_vec(entry).map_err(|error| write(error.to_string()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| write(error.to_string()))?;
        self.entries.push(entry.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let entry = Entry::Refused { count: 3, status: 429, retry_after_ms: Some(40), spent_ms: 1 };
        FileJournal::open(&path).unwrap().append(&entry).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"entry\":\"ref").unwrap();
        let mut journal = FileJournal::open(&path).unwrap();
        assert_eq!(journal.entries().unwrap(), std::slice::from_ref(&entry));
        journal.append(&entry).unwrap();
        assert_eq!(FileJournal::open(&path).unwrap().entries().unwrap().len(), 2);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"nonsense\n").unwrap();
        let error = FileJournal::open(&path).unwrap_err();
        assert!(error.reason.contains("line 3"), "{error}");
    }
}
