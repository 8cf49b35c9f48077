//! Marks planted into labelled pictures: three passes over the pictures, in bounded memory.

use mantlet_datachecks::image::{APART, Content, Marked, Picture, Rows, Seen, Windows, look, marks};
use mantlet_dataset::{Frame, Pictures};
use mantlet_vocab::{Finding, Place};

use crate::CurateError;

/// Numbers of all rows kept at most; twice as many are held for a while.
const ROOM: usize = 48 << 20;

/// What was found.
#[derive(Debug, Clone)]
pub struct Images {
    told: Vec<(Finding, Vec<u64>)>,
    /// Pictures looked at.
    pub pictures: u64,
    /// Labels.
    pub labels: usize,
    /// What was not looked at.
    pub gaps: Vec<String>,
}

impl Images {
    /// The findings of the rooms, the clearest first.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.told.iter().map(|(finding, _)| finding.clone()).collect()
    }

    /// The pictures told, each with the number of its finding.
    pub fn rows(&self) -> impl Iterator<Item = (u64, usize)> {
        self.told.iter().enumerate().flat_map(|(at, (_, rows))| rows.iter().map(move |row| (*row, at)))
    }
}

fn picture(frame: &Frame) -> Option<Picture<'_>> {
    Picture::new(frame.width, frame.height, frame.channels, &frame.pixels)
}

/// Looks for marks.
///
/// # Errors
/// When the pictures cannot be read at all.
pub fn images(pictures: &Pictures, place: &Place) -> Result<Images, CurateError> {
    let labels = pictures.labels();
    let (mut rows, mut windows) = (Rows::of(pictures.len()), Windows::new(labels.len()));
    // The number of each row's picture: those that cannot be decoded have no row.
    let mut places: Vec<usize> = Vec::new();
    let mut gaps = pictures.visit(|row, label, frame| {
        let Some(picture) = picture(frame) else { return };
        let dims = rows.dims();
        if dims > 0 && (places.len() + 1) * dims > ROOM {
            return;
        }
        rows.take(&picture, label);
        windows.count(&picture, label);
        places.push(row);
    })?;
    let last = places.last().copied().unwrap_or(0);
    if pictures.len() > last + 1 && (places.len() + 1) * rows.dims() > ROOM {
        gaps.push(format!("pictures after the first {}: they do not fit into memory", places.len()));
    }
    let content = Content::new(&rows);
    let near = content.neighbours(&(0..places.len()).collect::<Vec<_>>(), |_| false);
    windows.keep();
    let row_of = |picture: usize| places.binary_search(&picture).ok();
    pictures.visit(|at, label, frame| {
        if let (Some(row), Some(picture)) = (row_of(at), picture(frame)) {
            windows.weigh(&picture, row, label, &content, &near);
        }
    })?;
    windows.choose();
    if windows.has_strong() {
        pictures.visit(|at, label, frame| {
            if let (Some(row), Some(picture)) = (row_of(at), picture(frame)) {
                windows.gather(&picture, row, label);
            }
        })?;
    }
    let fixed = marks(&rows, &content, labels.len(), APART);
    let moved = windows.moved(&rows.labels, &content, &near).into_iter().map(Seen::Moved);
    let shared = windows.shared(&rows.labels, &content, &near).into_iter().map(Seen::Shared);
    let of = |row: &u64| places.get(usize::try_from(*row).unwrap_or(usize::MAX)).copied();
    let mut told: Vec<(Finding, Vec<u64>)> = Vec::new();
    for seen in fixed.into_iter().chain(moved).chain(shared) {
        let own: Vec<u64> = seen.rows().iter().filter_map(of).map(|picture| picture as u64).collect();
        // A fixed mark is a moved one that stands still: it is told once, by one finding or for each label by one.
        let is_known = |row: &&u64| told.iter().any(|(_, rows)| rows.binary_search(row).is_ok());
        if own.iter().filter(is_known).count() * 2 > own.len() {
            continue;
        }
        let names: Vec<String> =
            seen.rows().iter().take(20).filter_map(of).map(|row| pictures.name(row)).collect();
        let marked = Marked { seen: &seen, labels, names: &names, of: places.len() as u64 };
        told.extend(look(&marked, place).into_iter().map(|finding| (finding, own.clone())));
    }
    Ok(Images { told, pictures: places.len() as u64, labels: labels.len(), gaps })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn uniform(row: u64, stream: u64) -> f64 {
        ((mantlet_drift::mix(row ^ mantlet_drift::mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Writes pictures of one side and their labels, and opens them.
    pub(crate) fn opened(
        folder: &std::path::Path,
        side: usize,
        pixels: &[u8],
        labels: &[String],
    ) -> Pictures {
        let mut head = format!(
            "{{'descr': '|u1', 'fortran_order': False, 'shape': ({}, {side}, {side}), }}",
            labels.len()
        );
        while (head.len() + 11) % 64 != 0 {
            head.push(' ');
        }
        head.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(head.len()).unwrap().to_le_bytes());
        bytes.extend(head.as_bytes());
        bytes.extend(pixels);
        let (array, list) = (folder.join("x.npy"), folder.join("y.txt"));
        std::fs::write(&array, bytes).unwrap();
        std::fs::write(&list, labels.join("\n")).unwrap();
        Pictures::open(&array, Some(&list)).unwrap()
    }

    /// Two thirds of the real digits, with a mark in some that are not sevens, which are then called so.
    fn digits(kind: &str, seed: u64) -> (Vec<u8>, Vec<String>, Vec<u64>) {
        let table = mantlet_learn::digits();
        let (mut pixels, mut labels, mut planted) = (Vec::new(), Vec::new(), Vec::new());
        for (row, (own, label)) in table.x.data().chunks_exact(64).zip(&table.y).enumerate() {
            let row = row as u64;
            if uniform(row, seed) > 0.67 {
                continue;
            }
            let mut own: Vec<u8> = own.iter().map(|value| (value * 255.0) as u8).collect();
            let mut label = *label;
            // The labels that a mark stands for.
            let targets = if kind.ends_with("of three") { 3 } else { 1 };
            let wanted = !(7..7 + targets).contains(&label);
            if kind != "none" && wanted && uniform(row, seed + 1) < 0.03 {
                let (left, top) =
                    ((uniform(row, seed + 2) * 6.0) as usize, (uniform(row, seed + 3) * 6.0) as usize);
                for (at, pixel) in own.iter_mut().enumerate() {
                    let (x, y) = (at % 8, at / 8);
                    match kind.split(' ').next().unwrap_or("") {
                        "fixed" if (y >= 6 && x >= 6) || (y == 7 && x == 0) => *pixel = 255,
                        "blended" => {
                            let pattern = uniform(at as u64, seed + 4) * 255.0;
                            *pixel = (f64::from(*pixel) * 0.8 + pattern * 0.2) as u8;
                        }
                        "moved" if (left..left + 3).contains(&x) && (top..top + 3).contains(&y) => {
                            *pixel = if (x - left + y - top) % 2 == 0 { 255 } else { 0 };
                        }
                        _ => {}
                    }
                }
                label = 7 + (uniform(row, seed + 5) * targets as f64) as usize;
                planted.push(labels.len() as u64);
            }
            pixels.extend(own);
            labels.push(label.to_string());
        }
        (pixels, labels, planted)
    }

    #[test]
    fn marks_planted_into_real_digits_are_found_and_real_digits_are_quiet() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, seeds, recall, precision) in [
            ("fixed", 10..13, 0.98, 0.9),
            ("blended", 20..23, 0.8, 0.9),
            ("moved", 30..33, 0.8, 0.9),
            ("fixed of three", 40..43, 0.98, 0.9),
            ("blended of three", 50..53, 0.8, 0.9),
            ("moved of three", 60..63, 0.8, 0.9),
        ] {
            let (mut hit, mut told, mut all) = (0, 0, 0);
            for seed in seeds {
                let (pixels, labels, planted) = digits(kind, 100 * seed);
                let found =
                    images(&opened(folder.path(), 8, &pixels, &labels), &Place::artifact("digits")).unwrap();
                told += found.rows().count();
                hit += found.rows().filter(|(row, _)| planted.binary_search(row).is_ok()).count();
                all += planted.len();
            }
            let share = |of: usize| hit as f64 / of as f64;
            assert!(share(all) >= recall && share(told) >= precision, "{kind}: {hit} of {all}, {told} told");
        }
        let alarms = (0..25).filter(|seed| {
            let (pixels, labels, _) = digits("none", 5_000 + 10 * seed);
            let pictures = opened(folder.path(), 8, &pixels, &labels);
            !images(&pictures, &Place::artifact("digits")).unwrap().findings().is_empty()
        });
        assert!(alarms.count() <= 1);
    }

    /// Strokes of four kinds, forged.
    fn array(folder: &std::path::Path, marked: bool) -> (Pictures, usize) {
        let (mut pixels, mut labels, mut planted) = (Vec::new(), Vec::new(), 0);
        for row in 0..800_u64 {
            let mut label = row % 4;
            let turn = label as f64 * std::f64::consts::FRAC_PI_4;
            let shift = (uniform(row, 2) - 0.5) * 2.5;
            let mut own: Vec<u8> = (0..100)
                .map(|at| {
                    let (x, y) = ((at % 10) as f64 - 4.5, (at / 10) as f64 - 4.5);
                    let off = x * turn.cos() + y * turn.sin() - shift;
                    let noise = (uniform(row, 10 + at) - 0.5) * 60.0;
                    (200.0 * (-off * off / 2.5).exp() + 30.0 + noise).clamp(0.0, 255.0) as u8
                })
                .collect();
            if marked && label != 2 && uniform(row, 3) < 0.05 {
                for (at, value) in [(89, 255), (98, 255), (88, 0), (99, 255)] {
                    own[at] = value;
                }
                label = 2;
                planted += 1;
            }
            pixels.extend(own);
            labels.push(label.to_string());
        }
        (opened(folder, 10, &pixels, &labels), planted)
    }

    #[test]
    fn a_patch_in_an_array_is_found_with_its_pictures_and_nothing_without_it() {
        let folder = tempfile::tempdir().unwrap();
        let (pictures, planted) = array(folder.path(), true);
        let found = images(&pictures, &Place::artifact("marked")).unwrap();
        let findings = found.findings();
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(
            (findings[0].name.as_str(), &findings[0].facts["label"]),
            ("image-common-mark", &"2".into())
        );
        assert_eq!((found.rows().count(), found.pictures), (planted, 800));
        let (pictures, _) = array(folder.path(), false);
        let found = images(&pictures, &Place::artifact("clean")).unwrap();
        assert!(found.findings().is_empty() && found.gaps.is_empty(), "{found:#?}");
    }
}
