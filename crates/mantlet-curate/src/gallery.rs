//! Labelled picture files as a set: which are broken, unlike the others, or there more than once; and small pictures of
//! some of them for people to look at.

use mantlet_datachecks::gallery::{Copies, Gallery, Shapes, look};
use mantlet_datachecks::image::Picture;
use mantlet_dataset::Pictures;
use mantlet_vocab::{Digest, Finding, Place};

use crate::CurateError;
use crate::images::Images;
use crate::labels::Found;
use crate::worth::{Worth, share_out};

/// The longer side of a small picture.
const SIDE: usize = 64;
/// Bytes of all small pictures of a list.
const ROOM: usize = 6 << 20;

/// What was found.
#[derive(Debug, Clone)]
pub struct Checked {
    told: Vec<(Finding, Vec<u64>)>,
    /// Pictures, broken ones among them.
    pub pictures: u64,
    /// What was not looked at, a line each.
    pub gaps: Vec<String>,
}

impl Checked {
    /// The findings.
    pub fn findings(&self) -> impl Iterator<Item = Finding> {
        self.told.iter().map(|(finding, _)| finding.clone())
    }
}

/// Looks at all pictures once.
///
/// # Errors
/// When the pictures cannot be read at all.
pub fn gallery(pictures: &Pictures, place: &Place) -> Result<Checked, CurateError> {
    let (mut shapes, mut copies) = (Shapes::default(), Copies::default());
    let mut whole = vec![false; pictures.len()];
    let mut own = Gallery {
        labels: pictures.labels().to_vec(),
        pictures: pictures.len() as u64,
        counts: vec![0; pictures.labels().len()],
        ..Gallery::default()
    };
    for label in (0..pictures.len()).filter_map(|row| pictures.label(row)) {
        own.counts.get_mut(usize::from(label)).into_iter().for_each(|count| *count += 1);
    }
    pictures.visit(|row, label, frame| {
        let Some(picture) = Picture::new(frame.width, frame.height, frame.channels, &frame.pixels) else {
            return;
        };
        whole[row] = true;
        let shape = (frame.width, frame.height, frame.channels);
        shapes.take(shape, row as u64, label);
        // Two pictures with the same bytes in other shapes are two.
        let shape = format!("{} {} {}", shape.0, shape.1, shape.2);
        let digest = Digest::of(&[shape.as_bytes(), &Digest::of(&frame.pixels).0].concat());
        copies.take(&picture, digest, row as u64, label);
    })?;
    own.broken = whole.iter().enumerate().filter(|(_, whole)| !**whole).map(|(row, _)| row as u64).collect();
    (own.usual, own.odd) = shapes.parted();
    let (groups, left_out) = copies.groups();
    own.groups = groups;
    let mut gaps = Vec::new();
    if left_out > 0 {
        gaps.push(format!("copies among the last {left_out} pictures: they do not fit into memory"));
    }
    Ok(Checked { told: look(&own, place), pictures: own.pictures, gaps })
}

/// The pictures most worth a look, group after group, at most `most`; and what found no room.
#[must_use]
pub fn worth(
    checked: &Checked,
    images: &Images,
    labels: Option<&Found>,
    most: usize,
) -> (Vec<Worth>, Vec<String>) {
    let plain = |row: u64, group: &str| Worth {
        row,
        group: group.to_owned(),
        chance: None,
        label: None,
        suggested: None,
    };
    let mut groups: Vec<(String, Vec<Worth>)> = Vec::new();
    let findings = images.findings();
    for (at, finding) in findings.iter().enumerate() {
        let label = finding.facts.get("label").and_then(|label| label.as_str()).unwrap_or_default();
        let group = format!("{}: {label}", finding.title);
        let rows = images.rows().filter(|(_, own)| *own == at).map(|(row, _)| plain(row, &group)).collect();
        groups.push((group, rows));
    }
    for (finding, rows) in &checked.told {
        let rows = rows.iter().map(|&row| plain(row, &finding.title)).collect();
        groups.push((finding.title.clone(), rows));
    }
    if let Some(found) = labels {
        let mut rows: Vec<_> = found.confident.rows.iter().collect();
        rows.sort_by(|a, b| a.margin.total_cmp(&b.margin).then(a.row.cmp(&b.row)));
        for own in rows {
            let class = |at: usize| found.classes.get(at).cloned().unwrap_or_default();
            let Some(&row) = found.rows.get(own.row) else { continue };
            let group = format!("called `{}`, looks like `{}`", class(own.given), class(own.meant));
            let worth = Worth {
                row,
                group: group.clone(),
                chance: None,
                label: Some(class(own.given)),
                suggested: Some(class(own.meant)),
            };
            match groups.iter_mut().find(|(name, _)| *name == group) {
                Some((_, rows)) => rows.push(worth),
                None => groups.push((group, vec![worth])),
            }
        }
    }
    share_out(groups, most)
}

/// A small PNG of each of these pictures, written anew from its pixels, so that nothing of the file that came is handed
/// on; nothing for those that cannot be decoded or find no room.
#[must_use]
pub fn small(pictures: &Pictures, rows: &[u64]) -> Vec<Option<Vec<u8>>> {
    let mut room = ROOM;
    let mut one = |row: &u64| {
        let frame = pictures.frame(usize::try_from(*row).ok()?).ok()?;
        let png = frame.shrunk(SIDE).to_png().ok()?;
        room = room.checked_sub(png.len())?;
        Some(png)
    };
    rows.iter().map(&mut one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_dataset::Frame;

    fn written(folder: &std::path::Path, name: &str, frame: &Frame) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, frame.to_png().unwrap()).unwrap();
    }

    /// Pictures of random cells, each of its own.
    fn frame(row: u64, side: usize) -> Frame {
        let cell = |x: usize, y: usize| {
            let own = (y * 4 / side * 4 + x * 4 / side) as u64;
            (mantlet_drift::mix(row * 64 + own) % 200) as u8
        };
        let pixels = (0..side * side).map(|at| cell(at % side, at / side)).collect();
        Frame { width: side, height: side, channels: 1, pixels }
    }

    #[test]
    fn copies_and_broken_files_are_told_with_their_pictures_and_shown_anew() {
        let folder = tempfile::tempdir().unwrap();
        for row in 0..60_u64 {
            written(folder.path(), &format!("kind{}/{row:03}.png", row % 2), &frame(row, 20));
        }
        let place = Place::artifact("pictures");
        let clean = Pictures::open(folder.path(), None).unwrap();
        assert_eq!(gallery(&clean, &place).unwrap().findings().count(), 0);
        // The first picture again, larger, and a file that is none.
        for copy in 0..25 {
            written(folder.path(), &format!("kind0/copy{copy:02}.png"), &frame(0, 20 + 4 * (copy % 3)));
        }
        std::fs::write(folder.path().join("kind1/zz.png"), b"\x89PNG\r\n\x1a\nno").unwrap();
        let pictures = Pictures::open(folder.path(), None).unwrap();
        let checked = gallery(&pictures, &place).unwrap();
        let told: Vec<(String, usize)> =
            checked.told.iter().map(|(finding, rows)| (finding.name.clone(), rows.len())).collect();
        assert_eq!(told, [("gallery-broken".to_owned(), 1), ("gallery-copies".to_owned(), 26)]);
        let images = crate::images::images(&pictures, &place).unwrap();
        let (rows, gaps) = worth(&checked, &images, None, 20);
        assert_eq!((rows.len(), gaps.len()), (20, 1), "{gaps:?}");
        let numbers: Vec<u64> = rows.iter().map(|worth| worth.row).collect();
        let shown = small(&pictures, &numbers);
        assert_eq!(shown.iter().filter(|png| png.is_none()).count(), 1, "the broken one");
        for png in shown.into_iter().flatten() {
            let frame = Frame::of_bytes(&png).unwrap();
            assert!(frame.width <= SIDE && frame.height <= SIDE);
        }
        let large = frame(3, 200).shrunk(SIDE);
        assert_eq!((large.width, large.pixels[0]), (SIDE, frame(3, 200).pixels[0]));
    }
}
