//! Runs every room's `cases.md` on forged pictures.

use mantlet_vocab::{About, Digest, Finding, Place, Severity};

use super::{Copies, Gallery, Shapes, all, look};
use crate::feed::tests::uniform;
use crate::image::Picture;

const SIDE: usize = 12;
const LABELS: u64 = 3;

/// A bar of a label's direction at a place and width of its own, with noise.
fn forged(row: u64, side: usize) -> Vec<u8> {
    let turn = (row % LABELS) as f64;
    let (shift, wide) = ((uniform(row, 2) - 0.5) * 6.0, 1.0 + 4.0 * uniform(row, 3));
    let pixel = |at: usize| {
        let scale = SIDE as f64 / side as f64;
        let (x, y) = ((at % side) as f64 * scale - 5.5, (at / side) as f64 * scale - 5.5);
        let off = x * turn.cos() + y * turn.sin() - shift;
        let noise = (uniform(row, 10 + at as u64) - 0.5) * 40.0;
        (170.0 * (-off * off / wide).exp() + 30.0 + noise).clamp(0.0, 255.0) as u8
    };
    (0..side * side).map(pixel).collect()
}

fn gallery(words: &[&str]) -> Gallery {
    let (all, kind, count) = (words[0].parse::<u64>().unwrap(), words[1], words[2].parse::<u64>().unwrap());
    let (mut shapes, mut copies) = (Shapes::default(), Copies::default());
    let mut out = Gallery {
        labels: (0..LABELS).map(|label| format!("kind{label}")).collect(),
        pictures: all,
        counts: vec![0; LABELS as usize],
        ..Gallery::default()
    };
    for row in 0..all {
        // Every fifth is odd until there are enough.
        let odd = row % 3 == 0 && row / 3 < count;
        let mut label = row % LABELS;
        let mut side = SIDE;
        let mut from = row;
        match kind {
            "broken" if odd => {
                out.broken.push(row);
                out.counts[label as usize] += 1;
                continue;
            }
            "larger-of-one" if odd => side = 16,
            "larger" if odd => {
                side = 16;
                label = (row / 3) % LABELS;
            }
            "any-size" if odd => side = 10 + (row % 60) as usize,
            "same" | "brighter" if odd => from = 0,
            "contradicted" if row > 0 && (row - 1).is_multiple_of(3) && row / 3 < count => {
                (from, label) = (row - 1, (row % LABELS + 1) % LABELS);
            }
            _ => {}
        }
        let mut pixels = forged(from, side);
        match kind {
            "brighter" if odd => {
                pixels.iter_mut().for_each(|pixel| *pixel = pixel.saturating_add((row % 7) as u8));
            }
            "flat" if odd => pixels.fill(9),
            _ => {}
        }
        out.counts[label as usize] += 1;
        shapes.take((side, side, 1), row, label as u16);
        copies.take(&Picture::new(side, side, 1, &pixels).unwrap(), Digest::of(&pixels), row, label as u16);
    }
    (out.usual, out.odd) = shapes.parted();
    (out.groups, _) = copies.groups();
    out
}

fn found(words: &[&str]) -> Vec<(Finding, Vec<u64>)> {
    look(&gallery(words), &Place::artifact("case"))
}

#[test]
fn every_case_holds() {
    for room in all() {
        let mut heading = "";
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            } else if line == "```gallery" {
                let words: Vec<&str> = lines.next().unwrap().split(' ').collect();
                let found = found(&words);
                let own: Vec<_> =
                    found.iter().filter(|(finding, _)| finding.name == room.about.name).collect();
                if heading.starts_with("hit") {
                    assert_eq!(own.len(), 1, "{heading}: {found:#?}");
                    let note = heading.ends_with("a note");
                    assert_eq!(own[0].0.severity == Severity::Note, note, "{heading}: {own:#?}");
                    // A picture and its copy with another label are both named.
                    let count: usize = words[2].parse().unwrap();
                    let each = if words[1] == "contradicted" { 2 } else { 1 };
                    assert_eq!(own[0].1.len(), each * count, "{heading}: {own:#?}");
                } else {
                    assert!(own.is_empty(), "{heading}: {own:#?}");
                }
                if heading.starts_with("benign") {
                    assert!(found.is_empty(), "{heading}: {found:#?}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_no_trouble_and_rooms_keep_the_house_rules() {
    assert!(look(&Gallery::default(), &Place::artifact("case")).is_empty());
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
