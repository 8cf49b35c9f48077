//! How large the numbers of a constant are, as far as the analysis of a graph cares.

use mantlet_vocab::{Source, read_window};

use crate::weights::{Dtype, TensorInfo, value};

/// The size of a constant's numbers, all without sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// The largest.
    pub largest: f64,
    /// The median of those that were read, or their mean where most are zero.
    pub typical: f64,
    /// How many numbers one result is made of, at most.
    pub fan_in: f64,
    /// Of a table of rows: the length (Euclidean) of the longest row, of the next, and of the one in the middle.
    pub rows: Option<(f64, f64, f64)>,
    /// The same of a table of fewer rows.
    pub few: Option<(f64, f64, f64)>,
    /// Most of those that were read are zero, but not all.
    pub sparse: bool,
}

/// Numbers of one constant that are read; of longer ones only the first.
const WHOLE: u64 = 2 << 20;
const FIRST: u64 = 64 << 10;
/// Numbers that are kept for the median.
const SAMPLE: u64 = 4_096;
const MAX_ROWS: u64 = 400_000;
/// Fewer rows are no table.
const MIN_ROWS: u64 = 8;
/// A matrix of fewer is not even looked at.
const FEW_ROWS: u64 = 3;

/// Numbers that are read for all constants of one graph.
pub(crate) const BUDGET: u64 = 16 << 20;

/// Measures the numbers of a tensor; nothing when they are not floats or whole numbers, or lie outside. `budget` is how
/// many numbers may still be read.
#[must_use]
pub(crate) fn measure(source: &dyn Source, tensor: &TensorInfo, budget: &mut u64) -> Option<Weight> {
    let width = tensor.dtype.width()?;
    if matches!(tensor.dtype, Dtype::Bool) || tensor.len == 0 {
        return None;
    }
    let count = tensor.len / width;
    let whole = count <= WHOLE;
    let read = if whole { count } else { FIRST }.min(*budget);
    *budget -= read;
    let columns = match tensor.shape[..] {
        [rows, columns] if whole && read == count && (FEW_ROWS..=MAX_ROWS).contains(&rows) => {
            Some(columns).filter(|&columns| columns > 0 && rows.checked_mul(columns) == Some(count))
        }
        _ => None,
    };
    let stride = (read / SAMPLE).max(1);
    let (mut sample, mut lengths) = (Vec::new(), Vec::new());
    let (mut largest, mut sum, mut row) = (0.0_f64, 0.0_f64, 0.0_f64);
    let mut at = 0;
    while at < read {
        let step = (read - at).min(8_192);
        let bytes =
            read_window(source, tensor.start.checked_add(at * width)?, (step * width) as usize).ok()?;
        for (index, element) in bytes.chunks_exact(width as usize).enumerate() {
            let number = value(&tensor.dtype, element).unwrap_or(0.0).abs();
            let number = if number.is_finite() { number } else { 0.0 };
            let place = at + index as u64;
            largest = largest.max(number);
            sum += number;
            if place.is_multiple_of(stride) {
                sample.push(number);
            }
            if let Some(columns) = columns {
                row += number * number;
                if (place + 1).is_multiple_of(columns) {
                    lengths.push(row.sqrt());
                    row = 0.0;
                }
            }
        }
        if (bytes.len() as u64) < step * width {
            return None;
        }
        at += step;
    }
    let table = lengths.len() as u64 >= MIN_ROWS;
    let ranks = ranks(lengths);
    let (rows, few) = if table { (ranks, None) } else { (None, ranks) };
    let sparse = sparse(&sample, largest);
    Some(Weight {
        typical: typical(sample, sum, read),
        largest,
        fan_in: fan_in(&tensor.shape),
        rows,
        few,
        sparse,
    })
}

/// Rows of a table: how many times the middle one, and the next, the longest may be.
const ROW_TO_MIDDLE: f64 = 60.0;
const ROW_TO_NEXT: f64 = 8.0;

/// How many times the middle row the longest is, where it outshouts that and the next.
pub(crate) fn loud_row((first, second, middle): (f64, f64, f64)) -> Option<u64> {
    let loud = middle > 0.0 && first >= middle * ROW_TO_MIDDLE && first >= second * ROW_TO_NEXT;
    loud.then(|| (first / middle).min(1e9) as u64)
}

/// A constant of a few numbers.
#[must_use]
pub(crate) fn of_numbers(numbers: &[f64], shape: &[u64]) -> Option<Weight> {
    let finite: Vec<f64> = numbers.iter().map(|number| number.abs()).filter(|n| n.is_finite()).collect();
    let largest = finite.iter().copied().reduce(f64::max)?;
    let (sum, count) = (finite.iter().sum(), finite.len() as u64);
    let sparse = sparse(&finite, largest);
    Some(Weight {
        largest,
        typical: typical(finite, sum, count),
        fan_in: fan_in(shape),
        rows: None,
        few: None,
        sparse,
    })
}

fn sparse(sample: &[f64], largest: f64) -> bool {
    let zeros = sample.iter().filter(|number| **number == 0.0).count();
    sample.len() >= 2 && zeros * 2 > sample.len() && largest > 0.0
}

fn typical(mut sample: Vec<f64>, sum: f64, count: u64) -> f64 {
    sample.sort_by(f64::total_cmp);
    let median = sample.get(sample.len() / 2).copied().unwrap_or(0.0);
    if median > 0.0 { median } else { sum / count.max(1) as f64 }
}

fn ranks(mut lengths: Vec<f64>) -> Option<(f64, f64, f64)> {
    lengths.sort_by(f64::total_cmp);
    let &[.., second, first] = lengths.as_slice() else { return None };
    Some((first, second, lengths[lengths.len() / 2]))
}

/// Filters hold their inputs in all but the first axis; of a matrix either side may be the input.
fn fan_in(shape: &[u64]) -> f64 {
    let count = match *shape {
        [] => 1,
        [one] => one,
        [rows, columns] => rows.max(columns),
        [_, ref rest @ ..] => rest.iter().fold(1_u64, |all, &extent| all.saturating_mul(extent)),
    };
    count.clamp(1, 4_096) as f64
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;

    #[test]
    fn rows_and_sizes_are_measured() {
        let mut numbers = [0.5_f32; 40];
        numbers[8] = -300.0;
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let mut tensor =
            TensorInfo { name: "t".into(), dtype: Dtype::F32, shape: vec![10, 4], start: 0, len: 160 };
        let mut budget = 100;
        let weight = measure(&MemorySource::new(&bytes), &tensor, &mut budget).unwrap();
        assert_eq!((weight.largest, weight.typical, weight.fan_in, budget), (300.0, 0.5, 10.0, 60));
        let (first, second, middle) = weight.rows.unwrap();
        assert!(first > 300.0 && second == 1.0 && middle == 1.0);
        tensor.len = 400;
        assert_eq!(measure(&MemorySource::new(&bytes), &tensor, &mut budget), None);
    }
}
