//! Sketches of many columns in bounded memory: what does not fit into one pass is sketched in the next.

use mantlet_drift::bytes::{Left, put, put_block};
use mantlet_drift::{DriftError, NumberSketch, WordSketch};

use super::{Counted, Engine, Job, Pass};
use crate::measure::{columns_at_once, first, other_counts};
use crate::{Column, Dataset, DatasetError, Kind, Lane};

/// What is known of one column of a reference.
#[derive(Debug, Clone)]
pub enum Sketch {
    /// Of numbers.
    Numbers(NumberSketch),
    /// Of words.
    Words(WordSketch),
    /// Given up: there was no room for it beside the others.
    GivenUp,
}

/// Sketches of the columns of a pass.
#[derive(Debug, Clone)]
pub struct Sketches {
    all: Vec<Sketch>,
    room: u64,
}

impl Sketch {
    fn take(&mut self, first: u64, lane: &Lane) {
        match (self, lane) {
            (Self::Numbers(sketch), Lane::Numbers(values)) => {
                values.iter().zip(first..).for_each(|(&value, row)| sketch.take(row, value));
            }
            (Self::Words(sketch), lane) => {
                let (keys, words) = lane.keyed();
                let mut times = vec![0_u64; words.len()];
                keys.iter().for_each(|&key| times.get_mut(key as usize).into_iter().for_each(|n| *n += 1));
                words.iter().zip(times).for_each(|(word, times)| sketch.take(word, times));
            }
            (Self::Numbers(_) | Self::GivenUp, _) => {}
        }
    }

    fn size(&self) -> u64 {
        let size = match self {
            Self::Numbers(sketch) => sketch.size(),
            Self::Words(sketch) => sketch.size(),
            Self::GivenUp => 0,
        };
        size as u64
    }
}

impl Sketches {
    pub(super) fn new(wanted: &[Column], words: &[bool], room: u64) -> Self {
        let sketch = |(column, words): (&Column, &bool)| match column.kind {
            Kind::Words => Sketch::Words(WordSketch::default()),
            _ if *words => Sketch::Words(WordSketch::default()),
            _ => Sketch::Numbers(NumberSketch::default()),
        };
        Self { all: wanted.iter().zip(words).map(sketch).collect(), room }
    }

    pub(super) fn take(&mut self, first: u64, lanes: &[Lane]) {
        self.all.iter_mut().zip(lanes).for_each(|(sketch, lane)| sketch.take(first, lane));
        self.fit();
    }

    /// Gives up columns from the last on until the others fit; the first one always stays, so that every pass brings some
    /// to their end.
    fn fit(&mut self) {
        let mut size: u64 = self.all.iter().map(Sketch::size).sum();
        for sketch in self.all.iter_mut().skip(1).rev() {
            if size <= self.room {
                return;
            }
            size -= sketch.size();
            *sketch = Sketch::GivenUp;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), DriftError> {
        if self.all.len() != other.all.len() {
            return Err(DriftError::Counts);
        }
        for (own, other) in self.all.iter_mut().zip(&other.all) {
            match (own, other) {
                (Sketch::Numbers(own), Sketch::Numbers(other)) => own.merge(other),
                (Sketch::Words(own), Sketch::Words(other)) => own.merge(other),
                (own, Sketch::GivenUp) => *own = Sketch::GivenUp,
                (Sketch::GivenUp, _) => {}
                _ => return Err(DriftError::Counts),
            }
        }
        self.fit();
        Ok(())
    }

    pub(super) fn size(&self) -> usize {
        usize::try_from(self.all.iter().map(Sketch::size).sum::<u64>()).unwrap_or(usize::MAX)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut block = Vec::new();
        put(&mut block, self.room);
        put(&mut block, self.all.len() as u64);
        for sketch in &self.all {
            let (kind, sketch) = match sketch {
                Sketch::Numbers(sketch) => (0, sketch.to_bytes()),
                Sketch::Words(sketch) => (1, sketch.to_bytes()),
                Sketch::GivenUp => (2, Vec::new()),
            };
            block.push(kind);
            put_block(&mut block, &sketch);
        }
        block
    }

    pub(super) fn read(block: &[u8]) -> Option<Self> {
        let mut left = Left(block);
        let room = left.number()?;
        let mut all = Vec::new();
        for _ in 0..left.many()? {
            let kind = left.byte()?;
            let block = left.block()?;
            all.push(match kind {
                0 => Sketch::Numbers(NumberSketch::from_bytes(block).ok()?),
                1 => Sketch::Words(WordSketch::from_bytes(block).ok()?),
                2 if block.is_empty() => Sketch::GivenUp,
                _ => return None,
            });
        }
        left.is_empty().then_some(Self { all, room })
    }
}

/// What is known of the columns of a table.
#[derive(Debug, Clone)]
pub struct Sketched {
    /// Its rows.
    pub rows: u64,
    /// By column: cells that could not be read.
    pub unreadable: Vec<u64>,
    /// By column.
    pub sketches: Vec<Sketch>,
}

/// Sketches these columns, as words where that is said, in as many passes as memory asks for.
///
/// # Errors
/// When the table cannot be read to its end or changes meanwhile, or as the engine says.
pub fn sketched_by<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    wanted: &[Column],
    words: &[bool],
) -> Result<Sketched, E::Error> {
    let mut rows = None;
    let mut unreadable = vec![0; wanted.len()];
    let mut sketches = vec![Sketch::GivenUp; wanted.len()];
    let mut left: Vec<usize> = (0..wanted.len()).collect();
    while !left.is_empty() || rows.is_none() {
        let now: Vec<usize> = left.drain(..left.len().min(columns_at_once(engine, dataset))).collect();
        let own = |at: &usize| wanted.get(*at).cloned();
        let as_words = now.iter().map(|&at| words.get(at).copied().unwrap_or(false)).collect();
        let pass = Pass::Sketches { words: as_words, room: engine.room() };
        let gathered = engine.gather(dataset, Job::new(now.iter().filter_map(own).collect(), pass))?;
        if rows.is_some_and(|rows| rows != gathered.rows) {
            return Err(DatasetError::Changed { path: first(dataset) }.into());
        }
        rows = Some(gathered.rows);
        let Counted::Sketches(found) = gathered.counted else { return Err(other_counts().into()) };
        let mut again = Vec::new();
        for ((&at, sketch), count) in now.iter().zip(found.all).zip(gathered.unreadable) {
            if matches!(sketch, Sketch::GivenUp) {
                again.push(at);
                continue;
            }
            if let (Some(own), Some(sum)) = (sketches.get_mut(at), unreadable.get_mut(at)) {
                (*own, *sum) = (sketch, count);
            }
        }
        if again.len() == now.len() && !now.is_empty() {
            return Err(other_counts().into());
        }
        again.append(&mut left);
        left = again;
    }
    Ok(Sketched { rows: rows.unwrap_or(0), unreadable, sketches })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketches(rows: std::ops::Range<u64>, room: u64) -> Sketches {
        let column = |name: &str, kind| Column { name: name.into(), kind };
        let wanted = [column("a", Kind::Numbers), column("b", Kind::Words), column("c", Kind::Numbers)];
        let mut sketches = Sketches::new(&wanted, &[false, true, false], room);
        let numbers = |seed: u64| Lane::Numbers(rows.clone().map(|row| (row * seed) as f64).collect());
        let words: Vec<String> = rows.clone().map(|row| format!("w{row}")).collect();
        let keys = (0..words.len() as u32).collect();
        sketches.take(rows.start, &[numbers(1), Lane::Words { keys, words }, numbers(3)]);
        sketches
    }

    fn given_up(sketches: &Sketches) -> Vec<bool> {
        sketches.all.iter().map(|sketch| matches!(sketch, Sketch::GivenUp)).collect()
    }

    #[test]
    fn what_does_not_fit_is_given_up_from_the_last_on_and_by_all_who_count() {
        assert_eq!(given_up(&sketches(0..500, 1 << 20)), [false; 3]);
        // 500 numbers take at least 8,000 bytes, as many words more.
        assert_eq!(given_up(&sketches(0..500, 1)), [false, true, true]);
        let mut wide = sketches(0..500, 1 << 20);
        let narrow = Sketches::read(&sketches(500..1000, 9000).to_bytes()).unwrap();
        assert!(given_up(&narrow)[2]);
        wide.merge(&narrow).unwrap();
        assert_eq!(given_up(&wide), given_up(&narrow));
        // What a merge brings over the bound is given up too.
        let room = sketches(0..500, 1 << 20).size() as u64 + 64;
        let mut one = sketches(0..500, room);
        assert_eq!(given_up(&one), [false; 3]);
        one.merge(&sketches(500..1000, room)).unwrap();
        assert!(given_up(&one)[2] && !given_up(&one)[0]);
    }
}
