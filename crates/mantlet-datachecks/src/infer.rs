//! What the columns of an unknown table mean, guessed from its header and its first rows.

use crate::cell::{Cell, ColumnSpec, Kind};

/// Column names that usually hold the class.
const LABEL_NAMES: [&str; 12] = [
    "label",
    "target",
    "class",
    "y",
    "outcome",
    "species",
    "digit",
    "fraud",
    "is_fraud",
    "income",
    "credit_risk",
    "default",
];

/// Guesses the columns of a table. `label` names the column with the class; without it, a column with a usual name,
/// or none. Rows with other lengths than the header's are read as far as they go.
#[must_use]
pub fn infer<S: AsRef<str>>(header: &[S], sample: &[Vec<S>], label: Option<&str>) -> Vec<ColumnSpec> {
    let same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
    let label = match label {
        Some(label) => header.iter().position(|name| same(name.as_ref(), label)),
        None => {
            LABEL_NAMES.iter().find_map(|usual| header.iter().rposition(|name| same(name.as_ref(), usual)))
        }
    };
    let column = |(index, name): (usize, &S)| {
        let kind = if Some(index) == label { Kind::Label } else { kind(index, sample) };
        ColumnSpec::new(name.as_ref().trim(), kind)
    };
    header.iter().enumerate().map(column).collect()
}

fn kind<S: AsRef<str>>(index: usize, sample: &[Vec<S>]) -> Kind {
    let (mut numbers, mut texts, mut length) = (0_usize, 0_usize, 0_usize);
    let mut distinct = std::collections::BTreeSet::new();
    for cell in sample.iter().take(10_000).filter_map(|row| row.get(index)) {
        match Cell::parse(cell.as_ref()) {
            Cell::Missing => {}
            Cell::Number(_) => numbers += 1,
            Cell::Text(text) => {
                texts += 1;
                length += text.len();
                distinct.insert(text);
            }
        }
    }
    if texts == 0 || numbers > texts.saturating_mul(9) {
        Kind::Numeric
    } else if distinct.len() > 20 && distinct.len() * 2 > texts && length / texts > 24 {
        Kind::Text
    } else {
        Kind::Categorical
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_cells_and_the_label_its_name() {
        let sample: Vec<Vec<String>> = (0..50)
            .map(|i| {
                let word = if i % 2 == 0 { "red" } else { "blue" };
                let note = format!("customer number {i} wrote a long sentence");
                vec![format!("{}.5", i), word.to_owned(), note, "?".to_owned(), (i % 3).to_string()]
            })
            .collect();
        let header: Vec<String> = ["amount", "colour", "note", "empty", "Class"].map(String::from).to_vec();
        let kinds: Vec<Kind> = infer(&header, &sample, None).into_iter().map(|column| column.kind).collect();
        assert_eq!(kinds, [Kind::Numeric, Kind::Categorical, Kind::Text, Kind::Numeric, Kind::Label]);
        assert_eq!(infer(&header, &sample, Some("colour"))[1].kind, Kind::Label);
        assert!(infer(&header, &sample, Some("nothing")).iter().all(|column| column.kind != Kind::Label));
    }
}
