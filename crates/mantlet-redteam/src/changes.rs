//! What an evasion of table rows came down to: the cheapest change, and which columns were changed how often.

use mantlet_attacks::{Constraints, Outcome, State};
use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};

/// One column's value before and after.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The column.
    pub column: usize,
    /// Its value in the user's row.
    pub before: f32,
    /// Its value in the changed row.
    pub after: f32,
}

/// The changes of all hits of one probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// The row whose change costs least: by the declared costs, a width of a column costing 1 where none is.
    pub row: usize,
    /// What it costs.
    pub cost: f32,
    /// The change, largest first.
    pub cheapest: Vec<Change>,
    /// For each column that hits changed: (column, hits that changed it, median change in widths), most often
    /// first.
    pub columns: Vec<(usize, usize, f32)>,
}

/// The most columns listed.
const LISTED: usize = 40;

/// Reads the changes off an outcome; `None` when there is no hit or a row is no list of columns.
#[must_use]
pub fn changes(outcome: &Outcome, rows: &Tensor, constraints: &Constraints) -> Option<Changes> {
    if rows.shape().len() != 2 {
        return None;
    }
    let hits: Vec<(usize, &[f32], &[f32])> = outcome
        .rows
        .iter()
        .filter(|row| row.state == State::Hit && row.row < rows.rows())
        .filter_map(|row| Some((row.row, rows.row(row.row), row.changed.as_deref()?)))
        .filter(|(_, before, after)| before.len() == after.len())
        .collect();
    let cost = |(_, before, after): &(usize, &[f32], &[f32])| constraints.cost(before, after);
    let cheapest = hits.iter().min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    let widths = |column: usize, before: f32, after: f32| (after - before).abs() / constraints.width(column);
    let mut list: Vec<Change> = (0..cheapest.1.len())
        .map(|column| Change { column, before: cheapest.1[column], after: cheapest.2[column] })
        .filter(|change| change.before != change.after)
        .collect();
    let size = |change: &Change| widths(change.column, change.before, change.after);
    list.sort_by(|a, b| size(b).total_cmp(&size(a)));
    list.truncate(LISTED);
    let mut columns = Vec::new();
    for column in 0..rows.row_len() {
        let mut moved: Vec<f32> = hits
            .iter()
            .map(|(_, before, after)| widths(column, before[column], after[column]))
            .filter(|by| *by > 0.0)
            .collect();
        moved.sort_by(f32::total_cmp);
        if let Some(median) = moved.get(moved.len() / 2) {
            columns.push((column, moved.len(), *median));
        }
    }
    columns.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    columns.truncate(LISTED);
    Some(Changes { row: cheapest.0, cost: cost(cheapest), cheapest: list, columns })
}

#[cfg(test)]
mod tests {
    use mantlet_attacks::{Detail, Norm, RowOutcome};

    use super::*;

    #[test]
    fn the_cheapest_hit_is_told_by_cost_not_by_distance() {
        let rows = Tensor::new([3, 2], vec![0.0; 6]).unwrap();
        let row = |row, state, changed: [f32; 2]| RowOutcome {
            changed: Some(changed.to_vec()),
            ..RowOutcome::without_result(row, state)
        };
        let outcome = Outcome {
            attack: "evasion-table-search".to_owned(),
            stopped: None,
            rows: vec![
                row(0, State::Hit, [0.5, 0.0]),
                row(1, State::Hit, [0.0, 0.2]),
                row(2, State::Miss, [0.0, 0.1]),
            ],
            detail: Detail::Evasion {
                gradients: false,
                norm: Norm::L2,
                radius: 1.0,
                already_wrong: vec![],
                vanished: 0.0,
                by_loss: vec![],
                bounds: vec![],
            },
        };
        let mut constraints = Constraints::uniform(2, 0.0, 1.0);
        let found = changes(&outcome, &rows, &constraints).unwrap();
        assert_eq!((found.row, found.cheapest[0].column), (1, 1));
        assert_eq!(found.columns, [(0, 1, 0.5), (1, 1, 0.2)]);
        constraints.costs = vec![1.0, 10.0];
        assert_eq!(changes(&outcome, &rows, &constraints).unwrap().row, 0);
        assert_eq!(changes(&outcome, &Tensor::full([3, 1, 2], 0.0), &constraints), None);
    }
}
