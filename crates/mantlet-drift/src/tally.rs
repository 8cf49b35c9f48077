//! Counts that are made where no profile is at hand: cells carry all that is needed to add them up.
//!
//! An engine that spreads rows over processes turns each value into a *cell*, a code with its level, with
//! [`Buckets::cells`], adds the cells of all columns up in [`Tally`]s, and merges those in any order. With the profile
//! again, [`Tally::counts`] gives the very [`Counts`] that a [`Counter`](crate::Counter) would have made of the same
//! rows.

use crate::bytes::{Left, put};
use crate::profile::{Buckets, ColumnProfile, LEVELS, crossed};
use crate::{Cells, Counts, DriftError};

/// Set in the cells of columns that are crossed in pairs.
const CROSSED_BIT: u32 = 1 << 31;
/// Where a cell's level begins.
const LEVEL_SHIFT: u32 = 16;
/// Crossings of two columns' levels.
const CROSSINGS: usize = LEVELS * LEVELS;
/// The form of the bytes.
const FORM: u8 = 1;
/// Columns in bytes at most; tables have no more.
const COLUMNS_MOST: usize = 10_000;

impl Buckets {
    /// The cells of these codes: the code below, its level above, and whether the column is crossed.
    #[must_use]
    pub fn cells(&self, codes: &[u16], crossed: bool) -> Vec<u32> {
        let levels = self.levels();
        let last = levels.len().saturating_sub(1);
        let flag = if crossed { CROSSED_BIT } else { 0 };
        let cell = |&code: &u16| {
            let code = usize::from(code).min(last);
            let level = u32::from(levels.get(code).copied().unwrap_or(0)) % LEVELS as u32;
            flag | level << LEVEL_SHIFT | u32::try_from(code).unwrap_or(0)
        };
        codes.iter().map(cell).collect()
    }
}

/// Rows added up by their cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    rows: u64,
    columns: Vec<Column>,
    pairs: Vec<[u64; CROSSINGS]>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Column {
    crossed: bool,
    /// By code, as far as codes were seen.
    counts: Vec<u64>,
}

impl Tally {
    /// Rows added up.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of memory held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let counts: usize = self.columns.iter().map(|column| column.counts.capacity() * 8 + 32).sum();
        counts + self.pairs.len() * CROSSINGS * 8
    }

    /// Adds a batch of rows: one list of cells for each column, all of one length.
    ///
    /// # Errors
    /// When lists are not of one length, are not as many as before, or a column is crossed in one row and not in
    /// another.
    pub fn add(&mut self, columns: &[&[u32]]) -> Result<(), DriftError> {
        let rows = columns.first().map_or(0, |cells| cells.len());
        if columns.iter().any(|cells| cells.len() != rows) {
            return Err(DriftError::Counts);
        }
        if rows == 0 {
            return Ok(());
        }
        let flags = |cells: &&[u32]| {
            let (any, all) = cells.iter().fold((0, u32::MAX), |(any, all), &cell| (any | cell, all & cell));
            (any & CROSSED_BIT == all & CROSSED_BIT).then_some(all & CROSSED_BIT != 0)
        };
        let crossed: Option<Vec<bool>> = columns.iter().map(flags).collect();
        self.lay_out(&crossed.ok_or(DriftError::Counts)?)?;
        self.rows = self.rows.saturating_add(rows as u64);
        for (column, cells) in self.columns.iter_mut().zip(columns) {
            for &cell in *cells {
                let code = cell as usize & usize::from(u16::MAX);
                if code >= column.counts.len() {
                    column.counts.resize(code + 1, 0);
                }
                column.counts[code] += 1;
            }
        }
        let lanes: Vec<Vec<u8>> = columns
            .iter()
            .zip(&self.columns)
            .filter(|(_, column)| column.crossed)
            .map(|(cells, _)| cells.iter().map(|&cell| level(cell)).collect())
            .collect();
        let mut pairs = self.pairs.iter_mut();
        for (i, first) in lanes.iter().enumerate() {
            for second in lanes.iter().skip(i + 1) {
                let Some(pair) = pairs.next() else { return Err(DriftError::Counts) };
                // Four tables, so that neighbouring rows of one crossing do not wait for each other.
                let mut crossings = [[0_u32; CROSSINGS]; 4];
                for (at, (&a, &b)) in first.iter().zip(second).enumerate() {
                    crossings[at % 4][(usize::from(a) * LEVELS + usize::from(b)) % CROSSINGS] += 1;
                }
                for (at, count) in pair.iter_mut().enumerate() {
                    *count += crossings.iter().map(|table| u64::from(table[at])).sum::<u64>();
                }
            }
        }
        Ok(())
    }

    /// Adds what was added up elsewhere.
    ///
    /// # Errors
    /// When it is of other columns.
    pub fn merge(&mut self, other: &Self) -> Result<(), DriftError> {
        if other.rows == 0 {
            return Ok(());
        }
        let crossed: Vec<bool> = other.columns.iter().map(|column| column.crossed).collect();
        self.lay_out(&crossed)?;
        self.rows = self.rows.saturating_add(other.rows);
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            if mine.counts.len() < theirs.counts.len() {
                mine.counts.resize(theirs.counts.len(), 0);
            }
            let sums = mine.counts.iter_mut().zip(&theirs.counts);
            sums.for_each(|(mine, theirs)| *mine = mine.saturating_add(*theirs));
        }
        for (mine, theirs) in self.pairs.iter_mut().zip(&other.pairs) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine = mine.saturating_add(*theirs));
        }
        Ok(())
    }

    /// Takes the columns as the first rows have them; later rows must have the same.
    fn lay_out(&mut self, crossed: &[bool]) -> Result<(), DriftError> {
        if self.rows > 0 {
            let same = self.columns.len() == crossed.len()
                && self.columns.iter().zip(crossed).all(|(column, &crossed)| column.crossed == crossed);
            return if same { Ok(()) } else { Err(DriftError::Counts) };
        }
        let lanes = crossed.iter().filter(|&&crossed| crossed).count();
        if crossed.len() > COLUMNS_MOST || lanes > crate::CROSSED {
            return Err(DriftError::Counts);
        }
        self.columns = crossed.iter().map(|&crossed| Column { crossed, counts: Vec::new() }).collect();
        self.pairs = vec![[0; CROSSINGS]; pair_count(lanes)];
        Ok(())
    }

    /// The counts over a profile's columns.
    ///
    /// # Errors
    /// When the cells were not made with this profile.
    pub fn counts(&self, columns: &[ColumnProfile]) -> Result<Counts, DriftError> {
        self.over(&crossed(columns), Cells::new(columns).nothing())
    }

    /// The counts over some columns of a profile, each by itself.
    ///
    /// # Errors
    /// When the cells were not made with this profile, or were crossed.
    pub fn plain_counts(&self, columns: &[ColumnProfile]) -> Result<Counts, DriftError> {
        self.over(&[], Cells::plain(columns).nothing())
    }

    fn over(&self, places: &[usize], mut counts: Counts) -> Result<Counts, DriftError> {
        if self.rows == 0 {
            return Ok(counts);
        }
        let fits = self.columns.len() == counts.columns.len()
            && self.columns.iter().enumerate().all(|(at, column)| {
                column.crossed == places.contains(&at) && column.counts.len() <= counts.columns[at].len()
            });
        if !fits || self.pairs.len() != counts.pairs.len() {
            return Err(DriftError::Counts);
        }
        counts.rows = self.rows;
        for (to, from) in counts.columns.iter_mut().zip(&self.columns) {
            to.iter_mut().zip(&from.counts).for_each(|(to, from)| *to = *from);
        }
        counts.pairs = self.pairs.iter().map(|pair| pair.to_vec()).collect();
        Ok(counts)
    }

    /// As bytes, for another process.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        put(&mut bytes, self.rows);
        put(&mut bytes, self.columns.len() as u64);
        for column in &self.columns {
            bytes.push(u8::from(column.crossed));
            put(&mut bytes, column.counts.len() as u64);
            column.counts.iter().for_each(|&count| put(&mut bytes, count));
        }
        self.pairs.iter().flatten().for_each(|&count| put(&mut bytes, count));
        bytes
    }

    /// From bytes of another process. What does not add up to its number of rows is refused.
    ///
    /// # Errors
    /// When the bytes are no tally.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DriftError> {
        let mut left = Left(bytes);
        Self::take(&mut left).filter(|_| left.is_empty()).ok_or(DriftError::Counts)
    }

    fn take(left: &mut Left<'_>) -> Option<Self> {
        if left.byte()? != FORM {
            return None;
        }
        let rows = left.number()?;
        let columns = usize::try_from(left.number()?).ok().filter(|&columns| columns <= COLUMNS_MOST)?;
        let mut tally = Self { rows, columns: Vec::new(), pairs: Vec::new() };
        let mut lanes = 0;
        for _ in 0..columns {
            let crossed = match left.byte()? {
                0 => false,
                1 => true,
                _ => return None,
            };
            lanes += usize::from(crossed);
            let codes = usize::try_from(left.number()?).ok().filter(|&codes| codes <= 1 << LEVEL_SHIFT)?;
            let counts: Vec<u64> = (0..codes).map(|_| left.number()).collect::<Option<_>>()?;
            tally.columns.push(Column { crossed, counts });
        }
        if lanes > crate::CROSSED {
            return None;
        }
        for _ in 0..pair_count(lanes) {
            let mut pair = [0; CROSSINGS];
            for count in &mut pair {
                *count = left.number()?;
            }
            tally.pairs.push(pair);
        }
        let whole = |counts: &[u64]| {
            counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count)) == Some(rows)
        };
        let adds_up = tally.columns.iter().all(|column| whole(&column.counts))
            && tally.pairs.iter().all(|pair| whole(pair));
        adds_up.then_some(tally)
    }
}

fn level(cell: u32) -> u8 {
    // Three bits.
    ((cell >> LEVEL_SHIFT) % LEVELS as u32) as u8
}

const fn pair_count(lanes: usize) -> usize {
    lanes * lanes.saturating_sub(1) / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Counter, NumberSketch, WordSketch};

    fn columns() -> Vec<ColumnProfile> {
        let mut numbers = NumberSketch::default();
        (0..1000_u32).for_each(|i| numbers.take(u64::from(i), f64::from(i * 37 % 1000)));
        let mut words = WordSketch::default();
        (0..40_u64).for_each(|i| words.take(&format!("w{i}"), 1000 / (i + 1)));
        let mut names = WordSketch::default();
        (0..200).for_each(|i| names.take(&format!("id-{i}"), 1));
        let column = |name: &str, buckets| ColumnProfile { name: name.into(), buckets };
        vec![
            column("number", Buckets::of_numbers(&numbers)),
            column("word", Buckets::of_words(&words)),
            column("name", Buckets::of_words(&names)),
            column("other", Buckets::of_numbers(&numbers)),
        ]
    }

    fn cells(columns: &[ColumnProfile], codes: &[Vec<u16>]) -> Vec<Vec<u32>> {
        let places = crossed(columns);
        let cells = |(at, codes): (usize, &Vec<u16>)| columns[at].buckets.cells(codes, places.contains(&at));
        codes.iter().enumerate().map(cells).collect()
    }

    fn tally(columns: &[ColumnProfile], codes: &[Vec<u16>]) -> Tally {
        let cells = cells(columns, codes);
        let mut tally = Tally::default();
        tally.add(&cells.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        tally
    }

    proptest! {
        #[test]
        fn however_the_rows_are_divided_the_counts_are_those_of_one_pass(
            rows in proptest::collection::vec(proptest::array::uniform4(0_u16..600), 0..200),
            cut in 0_usize..200,
        ) {
            let columns = columns();
            let codes = |rows: &[[u16; 4]]| -> Vec<Vec<u16>> {
                (0..4).map(|at| rows.iter().map(|row| row[at]).collect()).collect()
            };
            let mut counter = Counter::new(&columns);
            counter.add(&codes(&rows)).unwrap();
            let (first, second) = rows.split_at(cut.min(rows.len()));
            let (first, second) = (tally(&columns, &codes(first)), tally(&columns, &codes(second)));
            let mut merged = Tally::from_bytes(&second.to_bytes()).unwrap();
            merged.merge(&Tally::from_bytes(&first.to_bytes()).unwrap()).unwrap();
            prop_assert_eq!(merged.counts(&columns).unwrap(), counter.finish());
        }

        #[test]
        fn bytes_of_anything_are_a_tally_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(tally) = Tally::from_bytes(&bytes) {
                prop_assert_eq!(Tally::from_bytes(&tally.to_bytes()).unwrap(), tally);
            }
        }
    }

    #[test]
    fn what_does_not_add_up_or_is_of_another_profile_is_refused() {
        let columns = columns();
        let codes = vec![vec![1, 2, 3], vec![2, 3, 40], vec![0, 1, 1], vec![4, 5, 6]];
        let good = tally(&columns, &codes);
        assert_eq!(good.rows(), 3);
        let mut bytes = good.to_bytes();
        // One row more than the columns hold.
        bytes[1] = 4;
        assert_eq!(Tally::from_bytes(&bytes), Err(DriftError::Counts));
        let short = good.to_bytes();
        assert_eq!(Tally::from_bytes(&short[..short.len() - 1]), Err(DriftError::Counts));
        assert_eq!(good.counts(&columns[..3]), Err(DriftError::Counts));
        let mut other = tally(&columns[..3], &codes[..3]);
        assert_eq!(other.merge(&good), Err(DriftError::Counts));
        // A column that is crossed in one row and not in another was made by two profiles.
        assert_eq!(Tally::default().add(&[&[CROSSED_BIT, 0]]), Err(DriftError::Counts));
    }
}
