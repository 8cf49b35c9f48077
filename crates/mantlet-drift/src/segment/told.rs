//! What the rows of a segment say beyond counts: since when the model errs there, and which rows to look at.

use crate::statistic::real;

/// Rows that are named for a person.
pub const REVIEW: usize = 40;
/// Points of a timeline that is drawn.
const POINTS: usize = 48;

/// Rows of a segment in a stretch of time, and how many of them the model erred on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The time in words: a day, a number.
    pub name: String,
    /// Rows whose error is known.
    pub rows: u64,
    /// Rows on which the model erred.
    pub errors: u64,
}

/// A row on which the model erred.
#[derive(Debug, Clone, PartialEq)]
pub struct Erring {
    /// Its number in the table, from 0.
    pub row: u64,
    /// What identifies it, where a column does.
    pub id: Option<String>,
    /// What was true.
    pub label: String,
    /// What the model said.
    pub said: String,
    /// The place of its time among the stretches.
    pub stretch: usize,
    /// The rank of its value in the column that moved here, from 0 to 1; 0 where none did.
    pub rank: f64,
}

/// Rows as a person is shown them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sheet {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The values, as many in each row as there are columns.
    pub rows: Vec<Vec<String>>,
}

/// What is told of a segment's rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    /// In order of time; empty where no column says when a row came.
    pub stretches: Vec<Stretch>,
    /// Rows to look at first.
    pub review: Vec<Erring>,
    /// The same, with their columns.
    pub sheet: Sheet,
}

impl Told {
    /// The stretch from which on the model errs more than `expected`; nothing without times.
    #[must_use]
    pub fn since(&self, expected: f64) -> Option<usize> {
        since(&self.stretches, expected)
    }

    /// Rows and errors from a stretch on; of all where none is named.
    #[must_use]
    pub fn from(&self, stretch: Option<usize>) -> (u64, u64) {
        let own = self.stretches.iter().skip(stretch.unwrap_or(0));
        own.fold((0, 0), |(rows, errors), own| (rows + own.rows, errors + own.errors))
    }

    /// The timeline as a picture: errors that the past explains, and those seen.
    pub(super) fn picture(&self, expected: f64) -> Option<serde_json::Value> {
        if self.stretches.len() < 2 {
            return None;
        }
        let wide = self.stretches.len().div_ceil(POINTS);
        let parts: Vec<(&str, u64, u64)> = self
            .stretches
            .chunks(wide)
            .map(|part| {
                let name = part.first().map_or("", |first| first.name.as_str());
                (name, part.iter().map(|own| own.rows).sum(), part.iter().map(|own| own.errors).sum())
            })
            .collect();
        Some(serde_json::json!({
            "kind": "timeline",
            "what": "errors of the model in this segment",
            "since": self.since(expected).map(|at| at / wide),
            "names": parts.iter().map(|part| part.0).collect::<Vec<_>>(),
            "expected": parts.iter().map(|part| real(part.1) * expected).collect::<Vec<_>>(),
            "seen": parts.iter().map(|part| part.2).collect::<Vec<_>>(),
        }))
    }
}

/// The most likely stretch from which on errors are more than expected: where the evidence for all that follows is
/// strongest (the estimate of a change point that goes with a cumulative sum).
fn since(stretches: &[Stretch], expected: f64) -> Option<usize> {
    let expected = expected.clamp(1e-4, 1.0 - 1e-4);
    let (mut rows, mut errors) = (0, 0);
    let mut best: Option<(f64, usize)> = None;
    for (at, own) in stretches.iter().enumerate().rev() {
        rows += own.rows;
        errors += own.errors;
        let share = (real(errors) / real(rows).max(1.0)).clamp(1e-4, 1.0 - 1e-4);
        if share <= expected {
            continue;
        }
        let evidence = real(errors) * (share / expected).ln()
            + real(rows - errors) * ((1.0 - share) / (1.0 - expected)).ln();
        if best.is_none_or(|(most, _)| evidence > most) {
            best = Some((evidence, at));
        }
    }
    best.map(|(_, at)| at)
}

/// The rows a person looks at first: since the change, of the kind of error there is most of, and those furthest along
/// in the column that moved, or the newest.
#[must_use]
pub fn review(mut erring: Vec<Erring>, since: Option<usize>, most: usize) -> Vec<Erring> {
    erring.retain(|own| since.is_none_or(|since| own.stretch >= since));
    let mut kinds: std::collections::BTreeMap<(String, String), u64> = std::collections::BTreeMap::new();
    for own in &erring {
        *kinds.entry((own.label.clone(), own.said.clone())).or_default() += 1;
    }
    let times = |own: &Erring| kinds.get(&(own.label.clone(), own.said.clone())).copied().unwrap_or(0);
    erring.sort_by(|a, b| {
        let kind = times(b).cmp(&times(a)).then_with(|| (&a.label, &a.said).cmp(&(&b.label, &b.said)));
        kind.then(b.rank.total_cmp(&a.rank)).then(b.stretch.cmp(&a.stretch)).then(b.row.cmp(&a.row))
    });
    erring.truncate(most);
    erring
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretches(errors: &[u64]) -> Vec<Stretch> {
        let name = |at: usize| format!("{}", at + 1);
        errors.iter().enumerate().map(|(at, &errors)| Stretch { name: name(at), rows: 100, errors }).collect()
    }

    #[test]
    fn a_change_is_dated_where_it_began_and_none_where_there_is_none() {
        assert_eq!(since(&stretches(&[5, 4, 6, 5, 20, 22, 19]), 0.05), Some(4));
        assert_eq!(since(&stretches(&[20, 22, 19]), 0.05), Some(0), "all of it came after the change");
        // One bad stretch in the middle is not what the rest is like, and is still where the excess begins.
        assert_eq!(since(&stretches(&[5, 5, 30, 5, 5]), 0.05), Some(2));
        assert_eq!(since(&stretches(&[5, 4, 3]), 0.05), None);
        assert_eq!(since(&[], 0.05), None);
    }

    #[test]
    fn rows_to_review_are_of_the_commonest_error_and_after_the_change() {
        let one = |row: u64, said: &str, stretch: usize, rank: f64| Erring {
            row,
            id: None,
            label: if said == "good" { "bad" } else { "good" }.to_owned(),
            said: said.to_owned(),
            stretch,
            rank,
        };
        let all = vec![
            one(0, "good", 0, 1.0),
            one(1, "good", 2, 0.1),
            one(2, "bad", 2, 0.9),
            one(3, "good", 3, 0.7),
            one(4, "good", 2, 0.7),
        ];
        let rows =
            |most| -> Vec<u64> { review(all.clone(), Some(2), most).iter().map(|own| own.row).collect() };
        assert_eq!(rows(40), [3, 4, 1, 2]);
        assert_eq!(rows(2), [3, 4]);
    }

    #[test]
    fn a_long_timeline_is_drawn_with_few_points_that_add_up() {
        let told = Told { stretches: stretches(&[1; 100]), ..Told::default() };
        let picture = told.picture(0.02).unwrap();
        let seen: Vec<u64> = picture["seen"].as_array().unwrap().iter().filter_map(|n| n.as_u64()).collect();
        assert!(seen.len() <= POINTS && seen.iter().sum::<u64>() == 100, "{picture}");
        assert_eq!(Told { stretches: stretches(&[1]), ..Told::default() }.picture(0.02), None);
    }
}
