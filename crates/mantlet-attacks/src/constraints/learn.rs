//! Constraints learned from rows of real data: what held for every one of them.

use mantlet_vocab::Tensor;

use super::{Constraint, Constraints, Relation};

/// Rows below which nothing beyond the range of each value is believed.
const ENOUGH: usize = 40;
/// Columns beyond which relations between three columns are not looked for.
const TRIPLES: usize = 48;
/// The most orderings kept.
const ORDERINGS: usize = 256;

impl Constraints {
    /// What holds for every one of these rows: ranges, whole numbers, values that never change, groups of
    /// columns of which exactly one is 1, columns that are the sum of two others, and columns that never exceed
    /// another. From few rows only ranges, whole numbers and constants are taken.
    #[must_use]
    pub fn learn(rows: &Tensor) -> Self {
        let (count, width) = (rows.rows(), rows.row_len());
        let column = |index: usize| (0..count).map(move |row| rows.row(row)[index]);
        let mut values = Vec::with_capacity(width);
        for index in 0..width {
            let lower = column(index).fold(f32::INFINITY, f32::min);
            let upper = column(index).fold(f32::NEG_INFINITY, f32::max);
            let (lower, upper) = if lower <= upper { (lower, upper) } else { (f32::MIN, f32::MAX) };
            let integer = count > 0 && column(index).all(|value| value.fract() == 0.0 && value.abs() < 1e6);
            values.push(Constraint { lower, upper, integer, immutable: lower == upper });
        }
        let mut learned = Self::new(values);
        if count >= ENOUGH {
            let ones = one_of(&learned, rows);
            let sums = sums(&learned, rows, &ones);
            learned.relations.extend(ones);
            learned.relations.extend(sums);
            let orders = orders(&learned, rows);
            learned.relations.extend(orders);
        }
        learned
    }
}

fn binary(constraints: &Constraints, index: usize) -> bool {
    let value = constraints.at(index);
    value.integer && value.lower == 0.0 && value.upper == 1.0
}

/// Runs of neighbouring 0/1 columns that sum to 1 in every row, the longest first.
fn one_of(constraints: &Constraints, rows: &Tensor) -> Vec<Relation> {
    let mut groups = Vec::new();
    let mut start = 0;
    while start < constraints.len() {
        let mut end = start;
        while end < constraints.len() && binary(constraints, end) {
            end += 1;
        }
        // From here, the shortest run whose rows all sum to exactly 1.
        let run = (start + 2..=end)
            .find(|&stop| (0..rows.rows()).all(|row| rows.row(row)[start..stop].iter().sum::<f32>() == 1.0));
        if let Some(stop) = run {
            groups.push(Relation::OneOf { columns: (start..stop).collect() });
            start = stop;
        } else {
            start += 1;
        }
    }
    groups
}

/// Columns that are the sum of two others in every row.
fn sums(constraints: &Constraints, rows: &Tensor, ones: &[Relation]) -> Vec<Relation> {
    let width = constraints.len();
    if width > TRIPLES {
        return Vec::new();
    }
    let grouped = |index: usize| {
        ones.iter().any(|one| matches!(one, Relation::OneOf { columns } if columns.contains(&index)))
    };
    let real =
        |index: &usize| !constraints.at(*index).immutable && !grouped(*index) && !binary(constraints, *index);
    let columns: Vec<usize> = (0..width).filter(real).collect();
    let mut found: Vec<Relation> = Vec::new();
    for &whole in &columns {
        let parts =
            columns.iter().enumerate().flat_map(|(at, &a)| columns[at + 1..].iter().map(move |&b| (a, b)));
        for (a, b) in parts {
            let relation = Relation::Sum { column: whole, terms: vec![(a, 1.0), (b, 1.0)], offset: 0.0 };
            if whole != a && whole != b && (0..rows.rows()).all(|row| relation.holds(rows.row(row))) {
                found.push(relation);
                break;
            }
        }
    }
    found
}

/// Pairs of columns of which one never exceeds the other, where their ranges overlap so far that this is no
/// accident of scale.
fn orders(constraints: &Constraints, rows: &Tensor) -> Vec<Relation> {
    let width = constraints.len();
    let mut found = Vec::new();
    for low in 0..width {
        for high in 0..width {
            let (a, b) = (constraints.at(low), constraints.at(high));
            if low == high
                || a.immutable
                || b.immutable
                || binary(constraints, low)
                || binary(constraints, high)
            {
                continue;
            }
            let overlap = a.upper.min(b.upper) - a.lower.max(b.lower);
            let span = (a.upper - a.lower).min(b.upper - b.lower);
            if overlap < 0.5 * span || !(0..rows.rows()).all(|row| rows.row(row)[low] <= rows.row(row)[high])
            {
                continue;
            }
            // That it holds must be news: in another pairing of the rows it would often fail.
            let count = rows.rows();
            let shuffled =
                (0..count).filter(|&row| rows.row(row)[low] > rows.row((row + count / 2) % count)[high]);
            if shuffled.count() * 20 < count {
                continue;
            }
            found.push(Relation::AtMost { terms: vec![(low, 1.0), (high, -1.0)], bound: 0.0 });
            if found.len() == ORDERINGS {
                return found;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    #[test]
    fn what_holds_in_the_data_is_learned_and_nothing_else() {
        let mut random = Random::new(4);
        let mut data = Vec::new();
        for row in 0..200 {
            let a = random.between(0.0, 10.0);
            let b = a + random.between(0.0, 5.0);
            let kind = random.below(3);
            let one = |wanted: usize| f32::from(u8::from(kind == wanted));
            let free = random.between(0.0, 10.0);
            data.extend([a, b, one(0), one(1), one(2), a + b, free, 7.0, (row % 9) as f32]);
        }
        let learned = Constraints::learn(&Tensor::new([200, 9], data).unwrap());
        let order = |a, b| Relation::AtMost { terms: vec![(a, 1.0), (b, -1.0)], bound: 0.0 };
        assert!(learned.relations.contains(&Relation::OneOf { columns: vec![2, 3, 4] }));
        assert!(learned.relations.contains(&Relation::Sum {
            column: 5,
            terms: vec![(0, 1.0), (1, 1.0)],
            offset: 0.0
        }));
        assert!(learned.relations.contains(&order(0, 1)));
        assert!(
            !learned.relations.iter().any(|relation| *relation == order(6, 0) || *relation == order(0, 6))
        );
        assert!(learned.at(7).immutable && learned.at(8).integer && !learned.at(0).integer);
    }

    #[test]
    fn few_rows_teach_no_relations() {
        let rows = Tensor::new([3, 2], vec![0.0, 1.0, 0.5, 2.0, 1.0, 3.0]).unwrap();
        assert!(Constraints::learn(&rows).relations.is_empty());
        assert!(Constraints::learn(&Tensor::full([0, 2], 0.0)).relations.is_empty());
    }
}
