//! Runs every room's `cases.md`, and the law of false alarms.

use mantlet_vocab::{About, Finding, Place};

use super::{Domain, Unlike, UnlikeSettings, all, apart, look};
use crate::mix;

fn normal(row: u64, stream: u64) -> f32 {
    let uniform = ((mix(row ^ mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    (-std::f64::consts::SQRT_2 * statrs::function::erf::erfc_inv(2.0 * uniform)) as f32
}

fn told(what: &'static str, moved: f32, stretched: f32, seed: u64) -> Unlike {
    let row = |row: u64, new: bool| -> Vec<f32> {
        let own = |at: u64| normal(row, 100 * seed + at) * if new { stretched } else { 1.0 };
        (0..8).map(|at| own(at) + if new && at == 0 { moved } else { 0.0 }).collect()
    };
    let rows: Vec<(Vec<f32>, bool)> = (0..2_400).map(|at| (row(at, at % 2 == 1), at % 2 == 1)).collect();
    let (learn, test) = rows.split_at(1_200);
    let values: Vec<&[f32]> = learn.iter().map(|(row, _)| row.as_slice()).collect();
    let domain = Domain::fit(&values, &learn.iter().map(|(_, new)| *new).collect::<Vec<_>>());
    let scores = |wanted: bool| -> Vec<f64> {
        test.iter().filter(|(_, new)| *new == wanted).map(|(row, _)| domain.score(row)).collect()
    };
    let (auc, chance) = apart(&scores(false), &scores(true));
    Unlike { what, auc, chance, rows: [600, 600], words: Vec::new(), examples: Vec::new() }
}

fn found(case: &str, seed: u64) -> Vec<Finding> {
    let words: Vec<&str> = case.split(' ').collect();
    let what = if words[0] == "texts" { "texts" } else { "embeddings" };
    let unlike = told(what, words[1].parse().unwrap(), words[2].parse().unwrap(), seed);
    look(&unlike, UnlikeSettings::default(), &Place::artifact("t"))
}

#[test]
fn every_case_of_every_room() {
    for room in all() {
        let mut title = String::new();
        let mut lines = room.about.cases.lines();
        while let Some(line) = lines.next() {
            if let Some(found) = line.strip_prefix("## ") {
                title = found.to_owned();
            } else if line == "```unlike" {
                let found = found(lines.next().unwrap(), 1);
                let told = found.iter().any(|finding| finding.name == room.about.name);
                assert_eq!(told, title.starts_with("hit"), "{}: {title}: {found:#?}", room.about.name);
            }
        }
    }
}

#[test]
fn what_did_not_change_is_hardly_ever_told() {
    let alarms = (10..70).filter(|&seed| told("embeddings", 0.0, 1.0, seed).chance <= 0.01).count();
    assert!(alarms <= 3, "{alarms}");
}

#[test]
fn ties_count_half_and_nothing_tells_nothing() {
    assert_eq!(apart(&[1.0, 1.0], &[1.0, 1.0]).0, 0.5);
    assert_eq!(apart(&[1.0, 2.0], &[3.0, 4.0]).0, 1.0);
    assert_eq!(apart(&[], &[1.0]), (0.5, 1.0));
    assert_eq!(apart(&[3.0, 4.0], &[1.0, 2.0]).1, 1.0);
    let odd: [&[f32]; 2] = [&[f32::NAN, 1.0], &[f32::INFINITY, 1.0]];
    assert!(Domain::fit(&odd, &[true, false]).score(odd[0]).is_finite());
    assert!(Domain::fit(&[], &[]).score(&[]).is_finite());
}

#[test]
fn rooms_keep_the_house_rules() {
    let abouts: Vec<_> = all().iter().map(|room| room.about).collect();
    assert_eq!(About::faults(&abouts), []);
}
