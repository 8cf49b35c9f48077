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
    use mantlet_attacks::{Loss, Material, ScoreKind};
    use mantlet_redteam::{Campaign, GradientAnswer, NoClock, Target, TargetError, TargetFacts};
    use mantlet_vocab::Tensor;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Class 1 where the sum of a row is above 1, eleven rows a question; every row asked is counted.
    struct Line(u64);

    impl Target for Line {
        fn describe(&self) -> TargetFacts {
            TargetFacts {
                name: "line".to_owned(),
                input_shape: vec![3],
                classes: Some(2),
                score_kind: Some(ScoreKind::Logits),
                scores: true,
                no_gradient: Some("it is asked as an endpoint is".to_owned()),
                max_rows: 11,
            }
        }

        fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
            Ok(self.scores(rows)?.argmax_rows())
        }

        fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
            self.0 += rows.rows() as u64;
            let margin = |row: usize| rows.row(row).iter().sum::<f32>() - 1.0;
            let data = (0..rows.rows()).flat_map(|row| [0.0, margin(row)]).collect();
            Ok(Tensor::new([rows.rows(), 2], data).unwrap())
        }

        fn gradient(&mut self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, TargetError> {
            unreachable!("no gradient is offered")
        }
    }

    #[test]
    fn a_file_cut_at_any_byte_goes_on_to_the_same_report_and_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let rows = Tensor::new([3, 3], vec![0.5, 0.5, 0.5, 0.45, 0.4, 0.5, 0.1, 0.2, 0.3]).unwrap();
        let campaign = |name: &str, config: serde_json::Value| {
            Campaign::new(name, 7, Material::new(rows.clone(), vec![], 2)).config(config)
        };
        let mut random = ChaCha8Rng::seed_from_u64(20);
        let mut cuts = 0;
        for (campaign, points) in [
            (campaign("evasion-hop-skip-jump", serde_json::json!({"queries": 120, "radius": 0.2})), 25),
            (campaign("evasion-square", serde_json::json!({"queries": 60, "epsilon": 0.1})), 15),
            (
                campaign(
                    "extraction-query-copy",
                    serde_json::json!({"queries": 40, "scores": true, "batch": 7}),
                ),
                10,
            ),
        ] {
            let _ = std::fs::remove_file(&path);
            let run = |target: &mut Line| {
                let mut journal = FileJournal::open(&path).unwrap();
                let left: u64 = journal.entries().unwrap().iter().map(Entry::rows).sum();
                let report = campaign.run(target, &mut journal, &mut NoClock::default()).unwrap();
                (left, serde_json::to_string(&report).unwrap())
            };
            let mut fresh = Line(0);
            let (_, whole) = run(&mut fresh);
            let bytes = std::fs::read(&path).unwrap();
            assert!(bytes.len() > 1_000 && fresh.0 > 30, "{} bytes, {} rows", bytes.len(), fresh.0);
            for _ in 0..points {
                let cut = random.random_range(0..=bytes.len());
                std::fs::write(&path, &bytes[..cut]).unwrap();
                let mut target = Line(0);
                let (left, report) = run(&mut target);
                assert!(report == whole, "cut after {cut} of {} bytes: another report", bytes.len());
                assert!(std::fs::read(&path).unwrap() == bytes, "cut after {cut}: another file");
                assert_eq!(target.0 + left, fresh.0, "cut after {cut}: what was answered was asked again");
                cuts += 1;
            }
        }
        assert_eq!(cuts, 50);
    }

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
