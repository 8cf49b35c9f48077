//! What tells new texts, pictures and embeddings from those of a reference.

use std::collections::HashMap;
use std::path::Path;

use mantlet_datachecks::image::{Grid, Picture};
use mantlet_datachecks::trigger::{Content, slot};
use mantlet_dataset::{Column, Dataset, Kind, Pictures, Vectors};
use mantlet_drift::mix;
use mantlet_drift::unlike::{Domain, FEWEST, Unlike, Word, apart};

use crate::CurateError;
use crate::coding::{find, keyed};

/// Rows of each side that are looked at: those whose hashed numbers are smallest.
const SAMPLE: usize = 20_000;
/// Bytes of a text that are looked at.
const TEXT: usize = 2_000;
/// Words of a text that are looked at.
const WORDS: usize = 300;
/// Words counted one by one.
const COUNTED: usize = 400_000;
/// Words named.
const NAMED: usize = 6;
/// Examples shown.
const SHOWN: usize = 5;
/// Letters of an example.
const LETTERS: usize = 160;
/// Numbers of all rows of a side at most.
const NUMBERS: usize = 32 << 20;

/// A bounded sample of a side: the same however often it is drawn.
struct Sample<T> {
    most: usize,
    kept: Vec<(u64, u64, T)>,
    bound: u64,
    rows: u64,
}

impl<T> Sample<T> {
    const fn new(most: usize) -> Self {
        Self { most, kept: Vec::new(), bound: u64::MAX, rows: 0 }
    }

    fn take(&mut self, row: u64, value: impl FnOnce() -> T) {
        self.rows += 1;
        let hash = mix(row ^ 0x6d61_6e74);
        if hash > self.bound {
            return;
        }
        self.kept.push((hash, row, value()));
        if self.kept.len() >= 2 * self.most {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.kept.len() > self.most {
            self.kept.select_nth_unstable_by_key(self.most - 1, |kept| kept.0);
            self.kept.truncate(self.most);
            self.bound = self.kept.iter().map(|kept| kept.0).max().unwrap_or(u64::MAX);
        }
    }

    /// In order of hash: every second one is a half that knows nothing of the other.
    fn finish(mut self) -> Vec<(u64, T)> {
        self.shrink();
        self.kept.sort_by_key(|kept| kept.0);
        self.kept.into_iter().map(|(_, row, value)| (row, value)).collect()
    }
}

/// What was told apart, and what was not looked at.
pub type Told = (Unlike, Vec<String>);

fn hash(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn words(text: &str) -> Vec<String> {
    let parts = |c: char| !c.is_alphanumeric();
    let mut words: Vec<String> =
        text.split(parts).filter(|word| !word.is_empty()).take(WORDS).map(str::to_lowercase).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn thin(what: &str, sizes: [usize; 2]) -> Option<String> {
    (sizes[0].min(sizes[1]) < 2 * FEWEST)
        .then(|| format!("there are {} and {} {what}; {} of each are needed", sizes[0], sizes[1], 2 * FEWEST))
}

fn plain(text: &str) -> String {
    let mut shown: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LETTERS).collect();
    if text.chars().nth(LETTERS).is_some() {
        shown.push('…');
    }
    shown
}

fn real(count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    {
        count as f64
    }
}

/// Texts of a column, on each side.
///
/// # Errors
/// When a table cannot be read, or the column is missing.
pub fn texts(before: &Dataset, now: &Dataset, text: &str) -> Result<Told, CurateError> {
    let mut sides = Vec::new();
    for dataset in [before, now] {
        let column = &dataset.columns()[find(dataset, text)?];
        let wanted = [Column { name: column.name.clone(), kind: Kind::Words }];
        let mut sample = Sample::new(SAMPLE);
        dataset.stream(&wanted, |first, lanes| {
            let (keys, texts) = keyed(&lanes[0]);
            for (row, key) in (first..).zip(keys) {
                let Some(text) = texts.get(key as usize) else { continue };
                sample.take(row, || {
                    let end = (0..=TEXT.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
                    text[..end.unwrap_or(0)].to_owned()
                });
            }
            Ok(())
        })?;
        sides.push(sample.finish());
    }
    let sizes = [sides[0].len(), sides[1].len()];
    let mut gaps: Vec<String> = thin("texts", sizes).into_iter().collect();
    let mut counts: HashMap<String, [u32; 2]> = HashMap::new();
    let mut rows: Vec<(Vec<u32>, bool)> = Vec::new();
    for (side, texts) in sides.iter().enumerate() {
        for (_, text) in texts {
            let words = words(text);
            for word in &words {
                if let Some(count) = counts.get_mut(word) {
                    count[side] += 1;
                } else if counts.len() < COUNTED {
                    let mut count = [0; 2];
                    count[side] = 1;
                    counts.insert(word.clone(), count);
                }
            }
            let mut slots: Vec<u32> = words.iter().map(|word| slot(hash(word))).collect();
            slots.sort_unstable();
            slots.dedup();
            rows.push((slots, side == 1));
        }
    }
    // Sides of one size: what is learned is which is which, not which is more.
    let equal = sizes[0].min(sizes[1]);
    let place = |at: usize| if at < sizes[0] { at } else { at - sizes[0] };
    let learned: Vec<usize> = (0..rows.len()).filter(|&at| place(at) % 2 == 0 && place(at) < equal).collect();
    // One of each side by turns.
    let mut turns: Vec<usize> = learned;
    turns.sort_by_key(|&at| (place(at), at));
    let (slots, new): (Vec<Vec<u32>>, Vec<bool>) = turns.iter().map(|&at| rows[at].clone()).unzip();
    let content = Content::fit(&slots, &new);
    let scores = |side: bool| -> Vec<(usize, f64)> {
        (0..rows.len())
            .filter(|&at| place(at) % 2 == 1 && rows[at].1 == side)
            .map(|at| (at, f64::from(content.margin(&rows[at].0))))
            .collect()
    };
    let (old_scores, mut new_scores) = (scores(false), scores(true));
    let values = |scores: &[(usize, f64)]| scores.iter().map(|(_, score)| *score).collect::<Vec<_>>();
    let (auc, chance) =
        if gaps.is_empty() { apart(&values(&old_scores), &values(&new_scores)) } else { (0.5, 1.0) };
    new_scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let example = |(at, _): &(usize, f64)| {
        let (row, text) = &sides[1][at - sizes[0]];
        format!("row {}: {}", row + 1, plain(text))
    };
    let examples = new_scores.iter().take(SHOWN).map(example).collect();
    let many = counts.len().max(1);
    let mut changed: Vec<(f64, Word)> = counts
        .into_iter()
        .filter_map(|(word, [old, new])| {
            let (n, m) = (real(sizes[0]), real(sizes[1]));
            let (before, now) = (f64::from(old) / n, f64::from(new) / m);
            let share = (f64::from(old) + f64::from(new)) / (n + m);
            let z = (now - before) / (share * (1.0 - share) * (1.0 / n + 1.0 / m) + 1e-12).sqrt();
            // Bonferroni over all words, by the bound exp(-z²/2) of the tail.
            let told = z * z / 2.0 > (real(many) / 0.01).ln() && (now - before).abs() >= 0.01;
            told.then(|| ((now - before).abs(), Word { word: plain(&word), before, now }))
        })
        .collect();
    changed.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.word.cmp(&b.1.word)));
    let words = changed.into_iter().take(NAMED).map(|(_, word)| word).collect();
    let rows = [old_scores.len() as u64, new_scores.len() as u64];
    if sizes[1] == 0 {
        gaps.push("there is no new text".into());
    }
    Ok((Unlike { what: "texts", auc, chance, rows, words, examples }, gaps))
}

/// Rows of numbers of each side, with what each is called.
fn numbers(
    what: &'static str,
    sides: [Vec<(u64, Vec<f32>)>; 2],
    name: impl Fn(u64) -> String,
    mut gaps: Vec<String>,
) -> Told {
    let sizes = [sides[0].len(), sides[1].len()];
    let short = thin(what, sizes);
    let is_thin = short.is_some();
    gaps.extend(short);
    let equal = sizes[0].min(sizes[1]);
    let (mut learn, mut new): (Vec<&[f32]>, Vec<bool>) = (Vec::new(), Vec::new());
    for at in (0..equal).step_by(2) {
        for (side, rows) in sides.iter().enumerate() {
            learn.push(&rows[at].1);
            new.push(side == 1);
        }
    }
    let domain = Domain::fit(&learn, &new);
    let scores = |side: usize| -> Vec<(u64, f64)> {
        sides[side].iter().skip(1).step_by(2).map(|(row, values)| (*row, domain.score(values))).collect()
    };
    let (before, mut now) = (scores(0), scores(1));
    let values = |scores: &[(u64, f64)]| scores.iter().map(|(_, score)| *score).collect::<Vec<_>>();
    let (auc, chance) = if is_thin { (0.5, 1.0) } else { apart(&values(&before), &values(&now)) };
    now.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let examples = now.iter().take(SHOWN).map(|(row, _)| name(*row)).collect();
    let rows = [before.len() as u64, now.len() as u64];
    (Unlike { what, auc, chance, rows, words: Vec::new(), examples }, gaps)
}

/// Embeddings of each side, in arrays.
///
/// # Errors
/// When an array cannot be read, or rows are not of one length.
pub fn embeddings(before: &Path, now: &Path) -> Result<Told, CurateError> {
    let (old, new) = (Vectors::open(before)?, Vectors::open(now)?);
    if old.dims() != new.dims() {
        return Err(CurateError::Lengths { before: old.dims(), now: new.dims() });
    }
    let draw = |vectors: &Vectors| -> Result<Vec<(u64, Vec<f32>)>, CurateError> {
        let mut sample = Sample::new((NUMBERS / vectors.dims()).clamp(2 * FEWEST, SAMPLE));
        vectors.visit(|row, values| sample.take(row as u64, || values.to_vec()))?;
        Ok(sample.finish())
    };
    Ok(numbers("embeddings", [draw(&old)?, draw(&new)?], |row| format!("row {row}"), Vec::new()))
}

/// Pictures of each side, as brightness in a grid of cells.
///
/// # Errors
/// When the pictures cannot be read at all.
pub fn pictures(before: &Pictures, now: &Pictures) -> Result<Told, CurateError> {
    let (mut grid, mut gaps) = (None, Vec::new());
    let many = before.len() + now.len();
    let mut draw = |pictures: &Pictures, gaps: &mut Vec<String>| -> Result<_, CurateError> {
        let mut sample: Sample<Vec<f32>> = Sample::new(SAMPLE);
        gaps.extend(pictures.visit(|row, _, frame| {
            let picture = Picture::new(frame.width, frame.height, frame.channels, &frame.pixels);
            let Some(picture) = picture else { return };
            let grid = *grid.get_or_insert_with(|| Grid::of(&picture, many));
            sample.take(row as u64, || {
                let mut values = Vec::with_capacity(grid.dims());
                grid.push(&picture, &mut values);
                values
            });
        })?);
        Ok(sample.finish())
    };
    let sides = [draw(before, &mut gaps)?, draw(now, &mut gaps)?];
    Ok(numbers("pictures", sides, |row| now.name(usize::try_from(row).unwrap_or(0)), gaps))
}

#[cfg(test)]
mod tests {
    use mantlet_drift::unlike::{UnlikeSettings, look};
    use mantlet_vocab::Place;

    use super::*;

    fn table(path: &Path, new: bool, from: u64) -> Dataset {
        let pick = |row: u64, stream: u64, of: &[&str]| {
            of[usize::try_from(mix(row ^ mix(stream)) % of.len() as u64).unwrap()].to_owned()
        };
        let things = ["parcel", "invoice", "refund", "delivery", "account", "password", "order", "card"];
        let said = ["is late", "is wrong", "was lost", "came twice", "is missing", "was changed"];
        let mut text = String::from("text\n");
        for row in from..from + 1_000 {
            let other = if new && mix(row).is_multiple_of(5) { " gift voucher code" } else { "" };
            let (thing, said) = (pick(row, 1, &things), pick(row, 2, &said));
            text.push_str(&format!("my {thing} {said} since day {}{other}\n", mix(row) % 30));
        }
        std::fs::write(path, text).unwrap();
        Dataset::open(&[path.to_owned()]).unwrap()
    }

    #[test]
    fn new_words_are_told_with_examples_and_other_texts_of_the_same_kind_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let before = table(&folder.path().join("a.csv"), false, 0);
        let same = table(&folder.path().join("b.csv"), false, 5_000);
        let now = table(&folder.path().join("c.csv"), true, 9_000);
        let told = |now: &Dataset| {
            let (unlike, gaps) = texts(&before, now, "text").unwrap();
            assert!(gaps.is_empty(), "{gaps:?}");
            (look(&unlike, UnlikeSettings::default(), &Place::artifact("t")), unlike)
        };
        assert!(told(&same).0.is_empty(), "{:?}", told(&same).1);
        let (found, unlike) = told(&now);
        assert_eq!(found.len(), 1, "{unlike:?}");
        assert_eq!(found[0].name, "unlike-texts");
        assert!(unlike.words.iter().any(|word| word.word == "voucher" && word.before == 0.0), "{unlike:?}");
        assert!(unlike.examples.iter().all(|example| example.contains("voucher")), "{unlike:?}");
        let few = table(&folder.path().join("d.csv"), true, 0);
        let (unlike, gaps) =
            texts(&few, &Dataset::open(&[folder.path().join("d.csv")]).unwrap(), "text").unwrap();
        assert!(gaps.is_empty() && unlike.auc < 0.55, "{unlike:?}");
    }
}
