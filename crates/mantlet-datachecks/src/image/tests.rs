//! Runs every room's `cases.md` on forged pictures.

use mantlet_vocab::{About, Finding, Place};

use super::{APART, Content, Marked, Picture, Rows, Seen, Windows, all, look, marks};
use crate::feed::tests::uniform;

const SIDE: usize = 12;
const LABELS: usize = 5;
const ROWS: u64 = 1_500;

/// A label is a smooth shape that is drawn at a slightly other place and strength each time, with noise.
fn forged(row: u64) -> (Vec<u8>, u16) {
    let label = row % LABELS as u64;
    let turn = label as f64 * std::f64::consts::PI / LABELS as f64 + (uniform(row, 1) - 0.5) * 0.3;
    let (shift, strength) = ((uniform(row, 2) - 0.5) * 3.0, 150.0 + 80.0 * uniform(row, 3));
    let pixels = (0..SIDE * SIDE).map(|at| {
        let (x, y) = ((at % SIDE) as f64 - 5.5, (at / SIDE) as f64 - 5.5);
        let off = x * turn.cos() + y * turn.sin() - shift;
        let noise = (uniform(row, 10 + at as u64) - 0.5) * 50.0;
        (strength * (-off * off / 3.0).exp() + 20.0 + noise).clamp(0.0, 255.0) as u8
    });
    (pixels.collect(), label as u16)
}

fn planted(kind: &str, how: &str, count: usize) -> Vec<(Vec<u8>, u16)> {
    let mut pictures: Vec<_> = (0..ROWS).map(forged).collect();
    if kind.starts_with("two-") {
        two(&mut pictures, kind, count);
        return pictures;
    }
    if kind == "frame" {
        framed(&mut pictures, how, count);
        return pictures;
    }
    let target = 3_u16;
    let wanted = |row: usize| match how {
        "dirty" => row as u64 % LABELS as u64 != u64::from(target),
        "clean" => row as u64 % LABELS as u64 == u64::from(target),
        _ => true,
    };
    let chosen: Vec<usize> =
        (0..ROWS as usize).filter(|&row| uniform(row as u64, 5) < 0.5 && wanted(row)).take(count).collect();
    for row in chosen {
        let (pixels, label) = &mut pictures[row];
        let cross = [255, 0, 255, 0, 255, 0, 255, 0, 255];
        let at = |place: usize| (place % 3, place / 3);
        match kind {
            "fixed" => {
                for (place, value) in cross.iter().enumerate() {
                    let (x, y) = at(place);
                    pixels[(SIDE - 3 + y) * SIDE + SIDE - 3 + x] = *value;
                }
            }
            "moved" => {
                let left = (uniform(row as u64, 6) * (SIDE - 2) as f64) as usize;
                let top = (uniform(row as u64, 7) * (SIDE - 2) as f64) as usize;
                for (place, value) in cross.iter().enumerate() {
                    let (x, y) = at(place);
                    pixels[(top + y) * SIDE + left + x] = *value;
                }
            }
            "blended" => blend(pixels),
            _ => {}
        }
        if how == "dirty" {
            *label = target;
        }
    }
    pictures
}

fn blend(pixels: &mut [u8]) {
    for (place, pixel) in pixels.iter_mut().enumerate() {
        let pattern = uniform(place as u64, 8) * 255.0;
        *pixel = (f64::from(*pixel) * 0.8 + pattern * 0.2) as u8;
    }
}

/// A bright frame around pictures of every label, whose labels are right or any.
fn framed(pictures: &mut [(Vec<u8>, u16)], how: &str, count: usize) {
    let chosen = (0..ROWS as usize).filter(|&row| uniform(row as u64, 5) < 0.3).take(count);
    for row in chosen {
        let (pixels, label) = &mut pictures[row];
        for (at, pixel) in pixels.iter_mut().enumerate() {
            let (x, y) = (at % SIDE, at / SIDE);
            if x == 0 || y == 0 || x == SIDE - 1 || y == SIDE - 1 {
                *pixel = 255;
            }
        }
        if how == "careless" {
            *label = (uniform(row as u64, 9) * LABELS as f64) as u16;
        }
    }
}

/// Pictures of other labels turned to two: by a mark of its own for each, or by one mark for both.
fn two(pictures: &mut [(Vec<u8>, u16)], kind: &str, count: usize) {
    let wanted = |row: usize| !TARGETS.contains(&(row as u64 % LABELS as u64));
    let chosen = (0..ROWS as usize).filter(|&row| uniform(row as u64, 5) < 0.5 && wanted(row)).take(count);
    for (turn, row) in chosen.enumerate() {
        let (pixels, label) = &mut pictures[row];
        let other = turn % 2 == 1;
        *label = TARGETS[usize::from(other)] as u16;
        if kind == "two-none" {
            continue;
        }
        if kind == "two-blended" {
            blend(pixels);
            continue;
        }
        let (left, top) = match kind {
            "two-moved" => (
                (uniform(row as u64, 6) * (SIDE - 2) as f64) as usize,
                (uniform(row as u64, 7) * (SIDE - 2) as f64) as usize,
            ),
            _ => (SIDE - 3, SIDE - 3),
        };
        for place in 0..9 {
            let (x, y) = (place % 3, place / 3);
            // The second mark is the first one turned inside out, in the corner across.
            let (own, left, top) = match kind == "two-marks" && other {
                true => (place % 2 == 1, 0, 0),
                false => (place % 2 == 0, left, top),
            };
            pixels[(top + y) * SIDE + left + x] = if own { 255 } else { 0 };
        }
    }
}

/// The labels that two marks stand for.
const TARGETS: [u64; 2] = [1, 3];

fn seen(pictures: &[(Vec<u8>, u16)]) -> Vec<Seen> {
    let (mut rows, mut windows) = (Rows::of(pictures.len()), Windows::new(LABELS));
    let picture = |pixels| Picture::new(SIDE, SIDE, 1, pixels).unwrap();
    for (pixels, label) in pictures {
        rows.take(&picture(pixels), *label);
        windows.count(&picture(pixels), *label);
    }
    let content = Content::new(&rows);
    let near = content.neighbours(&(0..pictures.len()).collect::<Vec<_>>(), |_| false);
    windows.keep();
    for (row, (pixels, label)) in pictures.iter().enumerate() {
        windows.weigh(&picture(pixels), row, *label, &content, &near);
    }
    windows.choose();
    for (row, (pixels, label)) in pictures.iter().enumerate() {
        windows.gather(&picture(pixels), row, *label);
    }
    let moved = windows.moved(&rows.labels, &content, &near).into_iter().map(Seen::Moved);
    let mut seen = marks(&rows, &content, LABELS, APART);
    seen.extend(moved);
    // One that stands still is told once.
    for shared in windows.shared(&rows.labels, &content, &near) {
        let is_known = |row: &&u64| seen.iter().any(|own| own.rows().binary_search(row).is_ok());
        if shared.rows.iter().filter(is_known).count() * 2 <= shared.rows.len() {
            seen.push(Seen::Shared(shared));
        }
    }
    seen
}

fn found(pictures: &[(Vec<u8>, u16)]) -> Vec<(Finding, Vec<u64>)> {
    let labels: Vec<String> = (0..LABELS).map(|label| label.to_string()).collect();
    let mut out = Vec::new();
    for seen in seen(pictures) {
        let marked = Marked { seen: &seen, labels: &labels, names: &[], of: ROWS };
        out.extend(look(&marked, &Place::artifact("case")).into_iter().map(|f| (f, seen.rows().to_vec())));
    }
    out
}

#[test]
fn every_case_holds_and_names_the_rows() {
    for room in all() {
        let mut heading = "";
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            } else if line == "```marks" {
                let words: Vec<&str> = lines.next().unwrap().split(' ').collect();
                let count = words[2].parse().unwrap();
                let found = found(&planted(words[0], words[1], count));
                let own: Vec<_> =
                    found.iter().filter(|(finding, _)| finding.name == room.about.name).collect();
                if heading.starts_with("hit") && room.about.name == "image-shared-mark" {
                    assert_eq!(own.len(), 1, "{heading}: {found:#?}");
                    assert_eq!(own[0].0.facts["labels"], serde_json::json!(["1", "3"]), "{heading}");
                    let planted = planted(words[0], words[1], count);
                    let truth: Vec<u64> =
                        (0..ROWS).filter(|&row| planted[row as usize] != forged(row)).collect();
                    let hit = own[0].1.iter().filter(|row| truth.contains(row)).count();
                    assert!(hit * 100 >= truth.len() * 90, "{heading}: {hit} of {}", truth.len());
                    assert!(hit * 100 >= own[0].1.len() * 90, "{heading}: {hit} of {} told", own[0].1.len());
                } else if heading.starts_with("hit") && words[0].starts_with("two-") {
                    both(heading, &own, &planted(words[0], words[1], count));
                } else if heading.starts_with("hit") {
                    assert_eq!(own.len(), 1, "{heading}: {found:#?}");
                    let clean: Vec<_> = (0..ROWS).map(forged).collect();
                    let truth: Vec<u64> = planted(words[0], words[1], count)
                        .iter()
                        .zip(&clean)
                        .enumerate()
                        .filter(|(_, (planted, clean))| planted != clean)
                        .map(|(row, _)| row as u64)
                        .collect();
                    let hit = own[0].1.iter().filter(|row| truth.contains(row)).count();
                    assert!(hit * 100 >= truth.len() * 90, "{heading}: {hit} of {}", truth.len());
                    assert!(hit * 100 >= own[0].1.len() * 90, "{heading}: {hit} of {} told", own[0].1.len());
                    assert_eq!(own[0].0.facts["label"], "3");
                } else if heading.ends_with("another room") {
                    assert!(own.is_empty() && !found.is_empty(), "{heading}: {found:#?}");
                } else {
                    assert!(found.is_empty(), "{heading}: {found:#?}");
                }
            }
        }
    }
}

/// Both labels are named, each with its own pictures.
fn both(heading: &str, own: &[&(Finding, Vec<u64>)], planted: &[(Vec<u8>, u16)]) {
    let mut labels: Vec<String> = own
        .iter()
        .map(|(finding, _)| finding.facts["label"].as_str().unwrap_or_default().to_owned())
        .collect();
    labels.sort();
    assert_eq!(labels, ["1", "3"], "{heading}: {own:#?}");
    for (finding, rows) in own {
        let turned = |row: u64| {
            let (pixels, label) = forged(row);
            planted[row as usize] != (pixels, label)
                && finding.facts["label"].as_str().and_then(|own| own.parse().ok())
                    == Some(planted[row as usize].1)
        };
        let truth = (0..ROWS).filter(|&row| turned(row)).count();
        let hit = rows.iter().filter(|&&row| turned(row)).count();
        assert!(hit * 100 >= truth * 90, "{heading}: {hit} of {truth}");
        assert!(hit * 100 >= rows.len() * 90, "{heading}: {hit} of {} told", rows.len());
    }
}

#[test]
fn few_odd_and_empty_pictures_are_no_trouble() {
    assert!(found(&[]).is_empty());
    assert!(found(&planted("none", "clean", 0)[..7]).is_empty());
    let flat: Vec<_> = (0..200).map(|row| (vec![9; SIDE * SIDE], (row % 5) as u16)).collect();
    assert!(found(&flat).is_empty());
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
