//! Counts of every crossing of up to three columns: what a search for segments needs, in one pass.
//!
//! Only the crossings of exactly three columns are counted; those of two and one are sums over them.
//!
//! Long because how segments are cut, counted and handed over as bytes is one form.

use crate::bytes::{Left, put};
use crate::profile::{Buckets, ColumnProfile};
use crate::statistic::real;
use crate::{DriftError, Profile};

/// Levels of a column in a segment: the most frequent words, or ranges of a number.
pub const SEGMENT_LEVELS: usize = 64;
/// Columns that segments are cut from.
pub const DIMENSIONS: usize = 12;
/// Cells over all crossings; further columns are left out, and that is said.
const CELLS: usize = 2 << 20;
/// Bytes of all counts of one side.
const BYTES: usize = 128 << 20;
/// Sums of measures that a row adds to at most, over all crossings, so that crossings with a column of many numbers keep
/// them too.
const SUMS: usize = 4096;
/// Cells over all crossings while columns of many numbers are among them.
const CUT_CELLS: usize = CELLS / 4;
/// The unit of a rank: the highest rank a value can have.
pub const RANK: u64 = 1000;

/// A column that segments are cut from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimension {
    /// Its place in the profile.
    pub column: usize,
    /// The level of each code.
    pub levels: Vec<u8>,
    /// What each level is called.
    pub labels: Vec<String>,
    /// Whether its levels are ranges of a number with many values: errors are looked for in them, and no shifts, which
    /// would be shifts of a column within itself.
    pub is_cut: bool,
}

/// A quantity that is compared in each segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// Its place in the profile.
    pub column: usize,
    /// The rank of each code in the reference, from 0 to [`RANK`]; nothing for missing values, which do not count.
    pub ranks: Vec<Option<u16>>,
}

/// How segments are cut and what is compared in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The columns that segments are cut from.
    pub dimensions: Vec<Dimension>,
    /// What is compared, beside errors.
    pub measures: Vec<Measure>,
    /// Columns that would be cut from or compared, and are not for want of room.
    pub left_out: Vec<usize>,
    /// Columns of many numbers that errors are not looked for in the ranges of, for want of room.
    pub uncut: Vec<usize>,
    triples: Vec<[usize; 3]>,
    /// By triple: whether measures are summed in it.
    summed: Vec<bool>,
}

impl Layout {
    /// Cuts by every column of up to 255 words, and by every column of numbers with few values; compares every column of
    /// numbers with many.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        let mut dimensions: Vec<Dimension> = Vec::new();
        let mut measures = Vec::new();
        let mut left_out = Vec::new();
        for (at, column) in profile.columns.iter().enumerate() {
            let counts = &profile.counts.columns[at];
            let few = counts.iter().filter(|&&count| count > 0).count() <= SEGMENT_LEVELS / 2;
            match &column.buckets {
                Buckets::Numbers { .. } if !few => {
                    measures.push(Measure { column: at, ranks: ranks(counts) });
                }
                // Segments of words that share a bucket would have no name.
                Buckets::Words { known, .. } if !known.is_empty() => left_out.push(at),
                Buckets::Numbers { .. } | Buckets::Words { .. } => {
                    let dimension = dimension(at, column, counts);
                    let sizes: Vec<usize> =
                        dimensions.iter().chain([&dimension]).map(|d| d.labels.len()).collect();
                    let fits = dimensions.len() < DIMENSIONS && cells(&sizes) <= CELLS;
                    if dimension.labels.len() < 2 {
                        continue;
                    }
                    if fits { dimensions.push(dimension) } else { left_out.push(at) }
                }
                Buckets::Identifier => {}
            }
        }
        let all = cells(&dimensions.iter().map(|d| d.labels.len()).collect::<Vec<_>>()).max(1);
        let room = (BYTES / (all * 24)).saturating_sub(1);
        left_out.extend(measures.iter().skip(room).map(|measure| measure.column));
        measures.truncate(room);
        let triples = triples(dimensions.len());
        let summed = vec![true; triples.len()];
        Self { dimensions, measures, left_out, uncut: Vec::new(), triples, summed }
    }

    /// The same, and cuts by ranges of every column of numbers with many values, as far as there is room: what errors, and
    /// signals of the guard, are looked for in.
    #[must_use]
    pub fn of_errors(profile: &Profile) -> Self {
        let mut layout = Self::new(profile);
        let own = layout.dimensions.len();
        for (at, column) in profile.columns.iter().enumerate() {
            let Buckets::Numbers { edges, levels } = &column.buckets else { continue };
            let counts = profile.counts.columns.get(at).map_or(&[][..], Vec::as_slice);
            let is_known = layout.dimensions.iter().any(|dimension| dimension.column == at);
            if is_known || counts.iter().filter(|&&count| count > 0).count() <= SEGMENT_LEVELS / 2 {
                continue;
            }
            let dimension = ranges(at, (edges.as_slice(), levels.as_slice()), counts);
            let sizes: Vec<usize> =
                layout.dimensions.iter().chain([&dimension]).map(|d| d.labels.len()).collect();
            if layout.dimensions.len() < DIMENSIONS && cells(&sizes) <= CUT_CELLS {
                layout.dimensions.push(dimension);
            } else {
                layout.uncut.push(at);
            }
        }
        layout.triples = triples(layout.dimensions.len());
        let all: usize = layout.triples.iter().map(|&triple| layout.cells(triple)).sum();
        let measures = layout.measures.len();
        let fits = layout.triples.len().saturating_mul(measures) <= SUMS
            && all.saturating_mul(24).saturating_mul(measures + 1) <= BYTES;
        // Else only in crossings without such a column, and in one that has all the others.
        let others: Vec<usize> = (0..own).collect();
        let whole = layout.triples.iter().position(|triple| others.iter().all(|at| triple.contains(at)));
        let is_summed = |(at, triple): (usize, &[usize; 3])| {
            fits || Some(at) == whole || triple.iter().all(|&dimension| dimension < own)
        };
        layout.summed = layout.triples.iter().enumerate().map(is_summed).collect();
        layout
    }

    /// The places of the columns that are cut from or compared, rising; the first one of the profile where there are none,
    /// so that rows can be counted.
    #[must_use]
    pub fn columns(&self) -> Vec<usize> {
        let dimensions = self.dimensions.iter().map(|dimension| dimension.column);
        let mut columns: Vec<usize> =
            dimensions.chain(self.measures.iter().map(|measure| measure.column)).collect();
        columns.sort_unstable();
        columns.dedup();
        if columns.is_empty() {
            columns.push(0);
        }
        columns
    }

    /// Whether measures are summed in the segments of these dimensions.
    pub(crate) fn is_summed(&self, dimensions: &[usize]) -> bool {
        let holds = |triple: &[usize; 3]| dimensions.iter().all(|dimension| triple.contains(dimension));
        self.triples.iter().zip(&self.summed).any(|(triple, &summed)| summed && holds(triple))
    }

    fn size(&self, dimension: usize) -> usize {
        self.dimensions.get(dimension).map_or(1, |dimension| dimension.labels.len())
    }

    fn cells(&self, triple: [usize; 3]) -> usize {
        triple.iter().map(|&dimension| self.size(dimension)).product()
    }
}

/// Every choice of three of so many; fewer than three are filled up with dimensions of one level.
fn triples(dimensions: usize) -> Vec<[usize; 3]> {
    let all = dimensions.max(3);
    let mut triples = Vec::new();
    for a in 0..all {
        for b in a + 1..all {
            triples.extend((b + 1..all).map(|c| [a, b, c]));
        }
    }
    triples
}

fn cells(sizes: &[usize]) -> usize {
    let size = |at: usize| sizes.get(at).copied().unwrap_or(1);
    triples(sizes.len()).iter().map(|triple| triple.iter().map(|&at| size(at)).product::<usize>()).sum()
}

fn dimension(at: usize, column: &ColumnProfile, counts: &[u64]) -> Dimension {
    // Every code with rows in the reference gets a level while there are some; the rest share the first.
    let mut order: Vec<usize> = (0..counts.len()).filter(|&code| counts[code] > 0).collect();
    order.sort_by(|&a, &b| counts[b].cmp(&counts[a]).then(a.cmp(&b)));
    order.truncate(SEGMENT_LEVELS - 1);
    order.sort_unstable();
    let mut levels = vec![0; counts.len()];
    let mut labels = vec!["anything else".to_owned()];
    for code in order {
        levels[code] = u8::try_from(labels.len()).unwrap_or(0);
        labels.push(column.buckets.label(u16::try_from(code).unwrap_or(0)));
    }
    Dimension { column: at, levels, labels, is_cut: false }
}

/// The ranges of a column of numbers, as wide as those in which columns are crossed in pairs.
fn ranges(at: usize, (edges, own): (&[f64], &[u8]), counts: &[u64]) -> Dimension {
    let mut levels = vec![0; counts.len()];
    let mut labels = vec!["anything else".to_owned()];
    if counts.first().is_some_and(|&missing| missing > 0) {
        labels.push("missing".to_owned());
        levels.iter_mut().take(1).for_each(|level| *level = 1);
    }
    let mut from = 1;
    while let Some(&level) = own.get(from) {
        let to = from + own.iter().skip(from).take_while(|&&other| other == level).count();
        let rows: u64 = counts.iter().take(to).skip(from).sum();
        if rows > 0 {
            let place = u8::try_from(labels.len()).unwrap_or(0);
            levels.iter_mut().take(to).skip(from).for_each(|level| *level = place);
            let low = from.checked_sub(2).and_then(|edge| edges.get(edge));
            labels.push(match (low, edges.get(to - 1)) {
                (Some(low), Some(high)) => format!("{low} to {high}"),
                (Some(low), None) => format!("{low} and above"),
                (None, Some(high)) => format!("below {high}"),
                (None, None) => "any number".to_owned(),
            });
        }
        from = to;
    }
    Dimension { column: at, levels, labels, is_cut: true }
}

/// The middle rank of each code: the share of the reference below it and half of it.
fn ranks(counts: &[u64]) -> Vec<Option<u16>> {
    let all = real(counts.iter().skip(1).sum::<u64>()).max(1.0);
    let mut below = 0.0;
    let rank = |(code, &count): (usize, &u64)| {
        if code == 0 {
            return None;
        }
        let middle = below + real(count) / 2.0;
        below += real(count);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to RANK")]
        Some((middle / all * real(RANK)).round() as u16)
    };
    counts.iter().enumerate().map(rank).collect()
}

/// What is known of one segment on one side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// Rows.
    pub rows: u64,
    /// Rows whose error is known.
    pub judged: u64,
    /// Rows on which the model erred.
    pub errors: u64,
    /// By measure: rows with a value, the sum of their ranks, the sum of the squares.
    pub measures: Vec<[u64; 3]>,
}

impl Cell {
    pub(crate) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.judged += other.judged;
        self.errors += other.errors;
        self.measures.resize(other.measures.len().max(self.measures.len()), [0; 3]);
        for (mine, theirs) in self.measures.iter_mut().zip(&other.measures) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
    }
}

/// The counts of one side. Cubes of one layout add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cube {
    // By triple: rows, judged, errors of each cell, then three numbers of each measure of each cell.
    heads: Vec<Vec<[u64; 3]>>,
    sums: Vec<Vec<[u64; 3]>>,
}

impl Cube {
    /// No rows.
    #[must_use]
    pub fn empty(layout: &Layout) -> Self {
        let cells = |triple: &[usize; 3]| layout.cells(*triple);
        Self {
            heads: layout.triples.iter().map(|triple| vec![[0; 3]; cells(triple)]).collect(),
            sums: layout
                .triples
                .iter()
                .zip(&layout.summed)
                .map(|(t, &summed)| vec![[0; 3]; if summed { cells(t) * layout.measures.len() } else { 0 }])
                .collect(),
        }
    }

    /// Counts a batch: the codes of every column of the profile that [`Layout::columns`] names, and whether the model
    /// erred on each row, where that is known. The lists of other columns may be empty.
    ///
    /// # Errors
    /// When the lists do not fit the layout.
    pub fn add(
        &mut self,
        layout: &Layout,
        codes: &[Vec<u16>],
        errors: Option<&[Option<bool>]>,
    ) -> Result<(), DriftError> {
        let rows = codes.iter().map(Vec::len).max().unwrap_or(0).max(errors.map_or(0, <[_]>::len));
        let column = |at: usize| codes.get(at).filter(|codes| codes.len() == rows).ok_or(DriftError::Counts);
        if errors.is_some_and(|errors| errors.len() != rows) || self.heads.len() != layout.triples.len() {
            return Err(DriftError::Counts);
        }
        let mut levels: Vec<Vec<u8>> = Vec::with_capacity(layout.dimensions.len());
        for dimension in &layout.dimensions {
            let level = |&code: &u16| dimension.levels.get(usize::from(code)).copied().unwrap_or(0);
            levels.push(column(dimension.column)?.iter().map(level).collect());
        }
        let mut ranks: Vec<Vec<Option<u16>>> = Vec::with_capacity(layout.measures.len());
        for measure in &layout.measures {
            let rank = |&code: &u16| measure.ranks.get(usize::from(code)).copied().flatten();
            ranks.push(column(measure.column)?.iter().map(rank).collect());
        }
        let level = |dimension: usize, row: usize| levels.get(dimension).map_or(0, |l| usize::from(l[row]));
        for ((triple, heads), sums) in layout.triples.iter().zip(&mut self.heads).zip(&mut self.sums) {
            let [a, b, c] = *triple;
            let (of_b, of_c) = (layout.size(b), layout.size(c));
            let is_summed = !sums.is_empty();
            for row in 0..rows {
                let cell = (level(a, row) * of_b + level(b, row)) * of_c + level(c, row);
                let head = &mut heads[cell];
                head[0] += 1;
                if let Some(erred) = errors.and_then(|errors| errors[row]) {
                    head[1] += 1;
                    head[2] += u64::from(erred);
                }
                if !is_summed {
                    continue;
                }
                let sums = &mut sums[cell * ranks.len()..(cell + 1) * ranks.len()];
                for (sum, ranks) in sums.iter_mut().zip(&ranks) {
                    if let Some(rank) = ranks[row].map(u64::from) {
                        sum[0] += 1;
                        sum[1] += rank;
                        sum[2] += rank * rank;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the counts of other rows over the same layout.
    ///
    /// # Errors
    /// When the other counts are of another layout.
    pub fn merge(&mut self, other: &Self) -> Result<(), DriftError> {
        let shape =
            |cube: &Self| -> Vec<usize> { cube.heads.iter().chain(&cube.sums).map(Vec::len).collect() };
        if shape(self) != shape(other) {
            return Err(DriftError::Counts);
        }
        let mine = self.heads.iter_mut().chain(&mut self.sums).flatten();
        for (mine, theirs) in mine.zip(other.heads.iter().chain(&other.sums).flatten()) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine = mine.saturating_add(*theirs));
        }
        Ok(())
    }

    /// Bytes of memory held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        self.heads.iter().chain(&self.sums).map(|cells| cells.len() * 24).sum()
    }

    /// As bytes, for another process; cells without rows are left out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, self.heads.len() as u64);
        for (heads, sums) in self.heads.iter().zip(&self.sums) {
            let measures = sums.len() / heads.len().max(1);
            let full = || heads.iter().enumerate().filter(|(_, head)| head[0] > 0);
            for count in [heads.len(), measures, full().count()] {
                put(&mut bytes, count as u64);
            }
            let mut before = 0;
            for (cell, head) in full() {
                put(&mut bytes, (cell - before) as u64);
                before = cell;
                let sums = sums.iter().skip(cell * measures).take(measures);
                head.iter().chain(sums.flatten()).for_each(|&count| put(&mut bytes, count));
            }
        }
        bytes
    }

    /// From bytes of another process.
    ///
    /// # Errors
    /// When the bytes are no cube, or a larger one than any layout has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DriftError> {
        Self::read(&mut Left(bytes)).ok_or(DriftError::Counts)
    }

    fn read(left: &mut Left<'_>) -> Option<Self> {
        let triples = left.many()?;
        let mut cube = Self { heads: Vec::new(), sums: Vec::new() };
        let mut room = BYTES / 24 + CELLS;
        for _ in 0..triples {
            let mut number = || usize::try_from(left.number()?).ok();
            let (cells, measures, full) = (number()?, number()?, number()?);
            room = room.checked_sub(cells.checked_mul(measures.checked_add(1)?)?)?;
            let (mut heads, mut sums) = (vec![[0; 3]; cells], vec![[0; 3]; cells * measures]);
            let mut cell = 0_usize;
            for at in 0..full {
                let step = usize::try_from(left.number()?).ok()?;
                if at > 0 && step == 0 {
                    return None;
                }
                cell = cell.checked_add(step)?;
                let sums = sums.get_mut(cell.checked_mul(measures)?..)?.iter_mut().take(measures);
                for count in heads.get_mut(cell)?.iter_mut().chain(sums.flatten()) {
                    *count = left.number()?;
                }
            }
            cube.heads.push(heads);
            cube.sums.push(sums);
        }
        left.is_empty().then_some(cube)
    }

    /// Every segment of these dimensions (one to three, rising), by its levels in order.
    pub(crate) fn segments(&self, layout: &Layout, dimensions: &[usize]) -> Vec<(Vec<u8>, Cell)> {
        // Where measures are summed, if anywhere.
        let holds = |triple: &[usize; 3]| dimensions.iter().all(|dimension| triple.contains(dimension));
        let of = |summed: bool| {
            let own = layout.triples.iter().zip(&layout.summed).enumerate();
            own.filter(|(_, (_, own))| **own == summed).find(|(_, (triple, _))| holds(triple))
        };
        let Some((at, (triple, _))) = of(true).or_else(|| of(false)) else { return Vec::new() };
        let sizes: Vec<usize> = dimensions.iter().map(|&dimension| layout.size(dimension)).collect();
        let mut found = vec![Cell::default(); sizes.iter().product()];
        let measures = if self.sums[at].is_empty() { 0 } else { layout.measures.len() };
        for (cell, &[rows, judged, errors]) in self.heads[at].iter().enumerate() {
            if rows == 0 {
                continue;
            }
            let levels = split(layout, *triple, cell);
            let place = dimensions.iter().zip(&sizes).fold(0, |place, (dimension, size)| {
                let level = triple.iter().position(|other| other == dimension).map_or(0, |at| levels[at]);
                place * size + level
            });
            let sums = &self.sums[at][cell * measures..(cell + 1) * measures];
            found[place].add(&Cell { rows, judged, errors, measures: sums.to_vec() });
        }
        let levels = |mut place: usize| {
            let mut levels = vec![0_u8; sizes.len()];
            for (level, size) in levels.iter_mut().zip(&sizes).rev() {
                *level = u8::try_from(place % size).unwrap_or(0);
                place /= size;
            }
            levels
        };
        found
            .into_iter()
            .enumerate()
            .filter(|(_, cell)| cell.rows > 0)
            .map(|(at, c)| (levels(at), c))
            .collect()
    }

    /// All rows together.
    #[must_use]
    pub fn whole(&self, layout: &Layout) -> Cell {
        let mut whole = Cell { measures: vec![[0; 3]; layout.measures.len()], ..Cell::default() };
        for (_, cell) in self.segments(layout, &[0]) {
            whole.add(&cell);
        }
        whole
    }
}

/// The levels of a cell.
fn split(layout: &Layout, [_, b, c]: [usize; 3], cell: usize) -> [usize; 3] {
    let (of_b, of_c) = (layout.size(b), layout.size(c));
    [cell / (of_b * of_c), cell / of_c % of_b, cell % of_c]
}
