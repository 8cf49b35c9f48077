//! Answers of an endpoint are kept, in memory and beside the journals, so that no row is asked, or paid for, twice.
//!
//! Only for endpoints that answer the same question the same way: see [`mantlet_redteam::steady`].

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use mantlet_attacks::{Answer, Ask, Loss};
use mantlet_redteam::{GradientAnswer, JournalError, Target, TargetError, TargetFacts};
use mantlet_vocab::{Digest, Tensor};
use serde::{Deserialize, Serialize};

/// The most numbers kept: 64 MiB of them.
const KEPT: usize = 16 << 20;
/// What one row costs beside its scores, in numbers.
const ROW: usize = 16;
/// The longest file read.
const LONGEST: u64 = 1 << 30;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kept")]
enum Line {
    /// Whether the same question was answered the same way.
    Steady { steady: bool },
    /// The class of a row.
    Label { row: Digest, label: usize },
    /// The scores of a row, as bits.
    Scores { row: Digest, bits: Vec<u32> },
}

/// What was answered.
#[derive(Debug, Default)]
pub struct Answers {
    steady: Option<bool>,
    labels: HashMap<Digest, usize>,
    scores: HashMap<Digest, Vec<f32>>,
    kept: usize,
    file: Option<File>,
    /// Lines that are written once the campaign has its own line of them: what the file holds, a journal holds.
    open: Vec<u8>,
}

impl Answers {
    /// Opens or creates the file of this name and takes what it holds; a last line torn by a kill is cut off.
    ///
    /// # Errors
    /// When it cannot be opened, or holds a line that is none of its own.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let read =
            |reason: String| JournalError { verb: "read", reason: format!("{}: {reason}", path.display()) };
        let options = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = options.map_err(|error| read(error.to_string()))?;
        let mut text = Vec::new();
        (&file).take(LONGEST).read_to_end(&mut text).map_err(|error| read(error.to_string()))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut answers = Self::default();
        for (number, line) in text[..whole].split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let line = serde_json::from_slice(line).map_err(|error| {
                read(format!("line {} is no answer ({error}); remove the file to begin anew", number + 1))
            })?;
            match line {
                Line::Steady { steady } => answers.steady = Some(steady),
                Line::Label { row, label } => answers.keep_label(row, label),
                Line::Scores { row, bits } => {
                    answers.keep_scores(row, bits.into_iter().map(f32::from_bits).collect());
                }
            }
        }
        if whole < text.len() {
            file.set_len(whole as u64).map_err(|error| read(error.to_string()))?;
            file.seek(SeekFrom::End(0)).map_err(|error| read(error.to_string()))?;
        }
        answers.open.clear();
        answers.file = Some(file);
        Ok(answers)
    }

    /// Whether the same question was answered the same way, when that is known.
    #[must_use]
    pub const fn steady(&self) -> Option<bool> {
        self.steady
    }

    /// Notes whether the same question was answered the same way.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_steady(&mut self, steady: bool) -> Result<(), JournalError> {
        self.steady = Some(steady);
        self.line(&Line::Steady { steady });
        self.flush()
    }

    fn line(&mut self, line: &Line) {
        if self.file.is_some()
            && let Ok(mut text) = serde_json::to_vec(line)
        {
            text.push(b'\n');
            self.open.extend(text);
        }
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        if let Some(file) = &mut self.file
            && !self.open.is_empty()
        {
            let open = std::mem::take(&mut self.open);
            file.write_all(&open)
                .map_err(|error| JournalError { verb: "write", reason: error.to_string() })?;
        }
        Ok(())
    }

    fn has_room(&mut self, numbers: usize) -> bool {
        let fits = self.kept + numbers + ROW <= KEPT;
        if fits {
            self.kept += numbers + ROW;
        }
        fits
    }

    fn keep_label(&mut self, row: Digest, label: usize) {
        if !self.labels.contains_key(&row) && self.has_room(0) {
            self.labels.insert(row, label);
            self.line(&Line::Label { row, label });
        }
    }

    fn keep_scores(&mut self, row: Digest, scores: Vec<f32>) {
        if !self.scores.contains_key(&row) && self.has_room(scores.len()) {
            self.line(&Line::Scores { row, bits: scores.iter().map(|score| score.to_bits()).collect() });
            self.scores.insert(row, scores);
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        // What cannot be written now is asked again next time.
        let _ = self.flush();
    }
}

fn digest(row: &[f32]) -> Digest {
    let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
    Digest::of(&bytes)
}

fn digests(rows: &Tensor) -> Vec<Digest> {
    (0..rows.rows()).map(|row| digest(rows.row(row))).collect()
}

/// A target that is asked about each row once.
pub struct Remembering<'a> {
    inner: &'a mut dyn Target,
    answers: &'a mut Answers,
}

impl<'a> Remembering<'a> {
    /// Over this target, with these answers of it.
    pub fn new(inner: &'a mut dyn Target, answers: &'a mut Answers) -> Self {
        Self { inner, answers }
    }

    /// The first place of each row that is not known, in order.
    fn unknown(rows: &[Digest], known: impl Fn(&Digest) -> bool) -> Vec<usize> {
        let mut seen = std::collections::HashSet::new();
        (0..rows.len()).filter(|&row| !known(&rows[row]) && seen.insert(rows[row])).collect()
    }

    fn written(&mut self) -> Result<(), TargetError> {
        self.answers.flush().map_err(|error| TargetError::Failed { reason: error.to_string() })
    }
}

impl Target for Remembering<'_> {
    fn describe(&self) -> TargetFacts {
        self.inner.describe()
    }

    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        self.written()?;
        let all = digests(rows);
        let unknown = Self::unknown(&all, |row| self.answers.labels.contains_key(row));
        let mut fresh = HashMap::new();
        if !unknown.is_empty() {
            let labels = self.inner.labels(&rows.select(&unknown))?;
            if labels.len() != unknown.len() {
                let reason = format!("{} rows asked, {} answered", unknown.len(), labels.len());
                return Err(TargetError::Malformed { reason });
            }
            for (row, label) in unknown.into_iter().zip(labels) {
                fresh.insert(all[row], label);
                self.answers.keep_label(all[row], label);
            }
        }
        let known = |row: &Digest| fresh.get(row).or_else(|| self.answers.labels.get(row)).copied();
        Ok(all.iter().filter_map(known).collect())
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        self.written()?;
        let all = digests(rows);
        let unknown = Self::unknown(&all, |row| self.answers.scores.contains_key(row));
        let mut fresh: HashMap<Digest, Vec<f32>> = HashMap::new();
        if !unknown.is_empty() {
            let scores = self.inner.scores(&rows.select(&unknown))?;
            if scores.rows() != unknown.len() {
                let reason = format!("{} rows asked, {} answered", unknown.len(), scores.rows());
                return Err(TargetError::Malformed { reason });
            }
            for (place, row) in unknown.into_iter().enumerate() {
                fresh.insert(all[row], scores.row(place).to_vec());
                self.answers.keep_scores(all[row], scores.row(place).to_vec());
            }
        }
        let mut data = Vec::new();
        for row in &all {
            data.extend_from_slice(
                fresh.get(row).or_else(|| self.answers.scores.get(row)).map_or(&[], Vec::as_slice),
            );
        }
        let columns = data.len().checked_div(all.len()).unwrap_or(0);
        Tensor::new([all.len(), columns], data)
            .map_err(|error| TargetError::Malformed { reason: error.to_string() })
    }

    fn gradient(&mut self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, TargetError> {
        self.inner.gradient(rows, loss)
    }

    fn activations(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        self.inner.activations(rows)
    }

    fn margins(&mut self, low: &Tensor, high: &Tensor, labels: &[usize]) -> Result<Vec<f32>, TargetError> {
        self.inner.margins(low, high, labels)
    }

    fn unanswered(&self, ask: &Ask) -> usize {
        match ask {
            Ask::Labels(rows) => {
                Self::unknown(&digests(rows), |row| self.answers.labels.contains_key(row)).len()
            }
            Ask::Scores(rows) => {
                Self::unknown(&digests(rows), |row| self.answers.scores.contains_key(row)).len()
            }
            _ => self.inner.unanswered(ask),
        }
    }

    fn remind(&mut self, ask: &Ask, answer: &Answer) {
        match (ask, answer) {
            (Ask::Labels(rows), Answer::Labels(labels)) => {
                for (row, label) in digests(rows).into_iter().zip(labels) {
                    self.answers.keep_label(row, *label);
                }
            }
            (Ask::Scores(rows), Answer::Scores(scores)) if scores.rows() == rows.rows() => {
                for (place, row) in digests(rows).into_iter().enumerate() {
                    self.answers.keep_scores(row, scores.row(place).to_vec());
                }
            }
            _ => {}
        }
        self.inner.remind(ask, answer);
    }

    fn tokens_at_most(&self, rows: &Tensor) -> u64 {
        self.inner.tokens_at_most(rows)
    }

    fn tokens(&self) -> u64 {
        self.inner.tokens()
    }

    fn last_weights(&self) -> Option<Tensor> {
        self.inner.last_weights()
    }

    fn trees(&self) -> Option<mantlet_vocab::TreeEnsemble> {
        self.inner.trees()
    }
}

#[cfg(test)]
mod tests {
    use mantlet_attacks::ScoreKind;
    use mantlet_redteam::{Budget, Campaign, MemoryJournal, NoClock};

    use super::*;

    /// Class 1 when the sum is above 1.2; counts rows.
    #[derive(Default)]
    struct Counting {
        asked: usize,
    }

    impl Target for Counting {
        fn describe(&self) -> TargetFacts {
            TargetFacts {
                name: "counting".to_owned(),
                input_shape: vec![3],
                classes: Some(2),
                score_kind: Some(ScoreKind::Logits),
                scores: true,
                no_gradient: Some("none".to_owned()),
                max_rows: 7,
            }
        }
        fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
            Ok(self.scores(rows)?.argmax_rows())
        }
        fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
            self.asked += rows.rows();
            let scores = (0..rows.rows()).flat_map(|row| [1.2, rows.row(row).iter().sum::<f32>()]).collect();
            Ok(Tensor::new([rows.rows(), 2], scores).unwrap())
        }
        fn gradient(&mut self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, TargetError> {
            Err(TargetError::Unsupported { reason: "none".to_owned() })
        }
    }

    fn campaign(seed: u64) -> Campaign {
        let rows = Tensor::new([3, 3], vec![0.5, 0.5, 0.5, 0.45, 0.4, 0.5, 0.1, 0.2, 0.3]).unwrap();
        let material = mantlet_attacks::Material::new(rows, vec![], 2);
        Campaign::new("evasion-hop-skip-jump", seed, material)
            .config(serde_json::json!({"queries": 90, "radius": 0.2}))
            .budget(Budget { queries: 5_000, ..Budget::default() })
    }

    #[test]
    fn a_row_is_asked_once_and_twice_in_one_question_is_once() {
        let (mut target, mut answers) = (Counting::default(), Answers::default());
        let rows = Tensor::new([3, 3], vec![0.1; 9]).unwrap();
        let mut once = Remembering::new(&mut target, &mut answers);
        assert_eq!(once.unanswered(&Ask::Labels(rows.clone())), 1);
        assert_eq!(once.labels(&rows).unwrap(), [0, 0, 0]);
        assert_eq!(once.unanswered(&Ask::Labels(rows.clone())), 0);
        // Scores are another question.
        assert_eq!(once.unanswered(&Ask::Scores(rows.clone())), 1);
        assert_eq!(once.scores(&rows).unwrap().shape(), [3, 2]);
        assert_eq!(once.scores(&rows).unwrap().row(2), [1.2, [0.1_f32; 3].iter().sum::<f32>()]);
        assert_eq!(target.asked, 2);
    }

    #[test]
    fn what_is_remembered_is_no_query_and_a_killed_run_counts_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let run = |path: &Path, journal: &mut MemoryJournal, target: &mut Counting, seed| {
            let mut answers = Answers::open(path).unwrap();
            let mut remembering = Remembering::new(target, &mut answers);
            campaign(seed).run(&mut remembering, journal, &mut NoClock::default()).unwrap()
        };
        let (mut target, mut journal) = (Counting::default(), MemoryJournal::default());
        let whole = run(&folder.path().join("whole"), &mut journal, &mut target, 3);
        assert_eq!(target.asked as u64, whole.queries);
        // The same again: nothing is asked.
        let mut second = Counting::default();
        let again = run(&folder.path().join("whole"), &mut MemoryJournal::default(), &mut second, 3);
        assert_eq!((second.asked, again.queries), (0, 0));
        assert_eq!(again.counts, whole.counts);
        assert!(again.facts["answers-remembered"].as_u64().unwrap() >= whole.queries);
        // Killed after some lines, with what the file held by then: the report is the same.
        let lines = journal.0.len();
        for cut in (1..lines).step_by((lines / 5).max(1)) {
            let path = folder.path().join(format!("killed {cut}"));
            let mut first = Counting::default();
            let mut left = MemoryJournal(journal.0[..cut].to_vec());
            let resumed = run(&path, &mut left, &mut first, 3);
            assert_eq!(
                serde_json::to_string(&resumed).unwrap(),
                serde_json::to_string(&whole).unwrap(),
                "cut after {cut} of {lines}"
            );
        }
        std::fs::write(folder.path().join("broken"), "nonsense\n").unwrap();
        assert!(Answers::open(&folder.path().join("broken")).unwrap_err().reason.contains("line 1"));
    }
}
