//! Columns that go with the label in some feeds, batches or files only.

use mantlet_datachecks::feed::{REST, Role};
use mantlet_datachecks::relation::{Somewhere, Uneven, uneven};
use mantlet_dataset::{Dataset, NO_LABEL};

use crate::coding::Coded;
use crate::{CurateError, Roles};

/// Places told apart: the largest.
const PLACES: usize = 48;
/// Levels of a column.
const LEVELS: usize = 16;
/// Columns looked at.
const COLUMNS: usize = 500;
/// Bytes of codes kept.
const MEMORY: usize = 256 << 20;

/// What was found.
#[derive(Debug, Clone)]
pub struct Relations {
    /// By column.
    pub uneven: Vec<Uneven>,
    /// What was not looked at.
    pub gaps: Vec<String>,
}

/// Looks for columns that go with the label in some places only: feeds, where there is a column for them, else batches
/// or files.
///
/// # Errors
/// When the table cannot be read, or a column cannot play its role.
pub fn relations(dataset: &Dataset, roles: &Roles) -> Result<Relations, CurateError> {
    let coded = Coded::new(dataset, roles, MEMORY)?;
    let axis = coded.axis.iter().position(|axis| axis.role == Role::Feed);
    let (by, names): (String, &[String]) = match axis {
        Some(axis) => (coded.axis[axis].name.clone(), &coded.axis[axis].levels),
        None => (roles.time.clone().unwrap_or_else(|| "the file".to_owned()), &coded.batches),
    };
    let mut gaps = coded.gaps.clone();
    if names.len() > PLACES {
        gaps.push(format!("{by}: {} of {} that are told apart", names.len() - PLACES, names.len()));
    }
    let places = names.len().min(PLACES);
    if places < 2 {
        return Ok(Relations { uneven: Vec::new(), gaps });
    }
    let columns = coded.features().min(COLUMNS);
    let labels = coded.labels.len();
    let steps: Vec<Option<usize>> = (0..columns).map(|at| coded.steps(at)).collect();
    let mut counts = vec![vec![vec![vec![0_u64; labels]; LEVELS]; places]; columns];
    coded.visit(|chunk| {
        for row in 0..chunk.rows() {
            let place = match axis {
                Some(axis) => chunk.levels[axis].get(row).filter(|&&code| code != REST).map(|code| code - 1),
                None => chunk.batch.get(row).copied(),
            };
            let Some(place) = place.map(usize::from).filter(|&place| place < places) else { continue };
            let label = chunk.label[row];
            if label == NO_LABEL {
                continue;
            }
            for ((counts, codes), steps) in counts.iter_mut().zip(&chunk.features).zip(&steps) {
                // Codes of numbers rise with them; of words the most frequent come first, and the last level is the rest.
                let code = usize::from(codes[row]);
                let level =
                    steps.map_or(code, |steps| code.div_ceil((steps + 1).div_ceil(LEVELS - 1).max(1)));
                counts[place][level.min(LEVELS - 1)][usize::from(label)] += 1;
            }
        }
    })?;
    let mut found = Vec::new();
    for (at, counts) in counts.into_iter().enumerate() {
        let somewhere =
            names.iter().zip(counts).map(|(name, counts)| Somewhere { name: name.clone(), counts });
        found.extend(uneven(coded.feature(at), &by, &somewhere.collect::<Vec<_>>()));
    }
    Ok(Relations { uneven: found, gaps })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::mix_share;

    #[test]
    fn a_margin_that_only_one_scanner_adds_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let table = |odd: bool| {
            let mut text = String::from("site,margin,size,label\n");
            for row in 0..6_000_u64 {
                let share = |stream: u64| mix_share(row, stream);
                let site = (share(1) * 4.0) as u32;
                let ill = share(2) < 0.3;
                let margin = if odd && site == 2 { if ill { 3.0 } else { 1.0 } } else { 2.0 };
                let size = share(3) + if ill { 0.5 } else { 0.0 };
                writeln!(text, "s{site},{:.3},{size:.4},{}", margin + share(4), u8::from(ill)).unwrap();
            }
            let path = folder.path().join("t.csv");
            std::fs::write(&path, text).unwrap();
            Dataset::open(&[path]).unwrap()
        };
        let roles = Roles { label: "label".into(), feed: Some("site".into()), ..Roles::default() };
        assert_eq!(relations(&table(false), &roles).unwrap().uneven, []);
        let found = relations(&table(true), &roles).unwrap().uneven;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].column.as_str(), found[0].there[0].0.as_str()), ("margin", "s2"));
        // One file and no feeds: there is no elsewhere.
        let alone = Roles { feed: None, ..roles };
        assert_eq!(relations(&table(true), &alone).unwrap().uneven, []);
    }
}
