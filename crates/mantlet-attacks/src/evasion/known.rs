//! Attacks that look for the smallest change, on a border whose distance is known in every norm.

use mantlet_vocab::Tensor;

use crate::testing::Model;
use crate::{Attack, Material, Norm, Outcome, Step};

const WIDTH: usize = 24;
/// How far the border is from every row, in the Euclidean norm.
const FAR: f32 = 0.15;

fn weights() -> Vec<f32> {
    let size = |place: usize| if place.is_multiple_of(3) { 1.0 } else { 0.2 };
    (0..WIDTH).map(|place| if place.is_multiple_of(2) { size(place) } else { -size(place) }).collect()
}

fn long(weights: &[f32]) -> f32 {
    weights.iter().map(|weight| weight * weight).sum::<f32>().sqrt()
}

/// The distance of the border in this norm: the margin over the weights' size in the dual one.
fn least(norm: Norm) -> f32 {
    let weights = weights();
    let margin = FAR * long(&weights);
    match norm {
        Norm::L1 => margin / weights.iter().fold(0.0_f32, |most, weight| most.max(weight.abs())),
        Norm::Linf => margin / weights.iter().map(|weight| weight.abs()).sum::<f32>(),
        Norm::L0 | Norm::L2 => FAR,
    }
}

fn model() -> Model {
    let weights = weights();
    let bias = -0.5 * weights.iter().sum::<f32>() + FAR * long(&weights);
    let zero = vec![0.0; WIDTH];
    let json = serde_json::json!({"model": "linear", "weights": [weights, zero], "bias": [bias, 0.0]});
    serde_json::from_value(json).unwrap()
}

/// Rows that all lie on one plane beside the border.
fn material(rows: usize) -> Material {
    let mut data = Vec::new();
    for row in 0..rows {
        let mut values = vec![0.5_f32; WIDTH];
        // Up in one place, down in another of the same weight.
        values[6 * row % WIDTH] += 0.05;
        values[(6 * row + 12) % WIDTH] -= 0.05;
        data.extend(values);
    }
    let pool = (0..12 * WIDTH)
        .map(|at| if weights()[at % WIDTH] > 0.0 { 0.1 } else { 0.9 })
        .enumerate()
        .map(|(at, value): (usize, f32)| value + 0.01 * (at % 7) as f32)
        .collect();
    let rows = Tensor::new([rows, WIDTH], data).unwrap();
    Material::new(rows, vec![], 2).pool(Tensor::new([12, WIDTH], pool).unwrap(), vec![1; 12])
}

fn attack(name: &str, config: &str, rows: usize) -> Box<dyn Attack> {
    let config = serde_json::from_str(config).unwrap();
    crate::create(name, &config, 7, material(rows)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What it ends with, and how many questions of several rows it put.
fn played(name: &str, config: &str, rows: usize) -> (Outcome, usize) {
    let (model, mut attack) = (model(), attack(name, config, rows));
    let (mut answer, mut calls) = (None, 0);
    loop {
        match attack.step(answer.take()) {
            Step::Done(outcome) => return (outcome, calls),
            Step::Ask(ask) => {
                calls += 1;
                assert!(calls < 100_000, "{name} does not end");
                answer = Some(model.answer(&ask));
            }
        }
    }
}

/// Attack, configuration, norm, and how much farther than the least it may end: what they reach, the slow ones (by the sign
/// of decisions, by one value at a time) least near.
const ATTACKS: [(&str, &str, Norm, f32); 14] = [
    ("evasion-deep-fool", r#"{"norm": "l2", "radius": 5}"#, Norm::L2, 1.05),
    ("evasion-deep-fool", r#"{"norm": "linf", "radius": 5}"#, Norm::Linf, 1.05),
    ("evasion-ddn", r#"{"radius": 5}"#, Norm::L2, 1.05),
    ("evasion-fmn", r#"{"norm": "l2", "radius": 5}"#, Norm::L2, 1.05),
    ("evasion-fmn", r#"{"norm": "linf", "radius": 5}"#, Norm::Linf, 1.1),
    ("evasion-fmn", r#"{"norm": "l1", "radius": 5}"#, Norm::L1, 1.1),
    ("evasion-fab", r#"{"norm": "l2", "radius": 5}"#, Norm::L2, 1.02),
    ("evasion-fab", r#"{"norm": "linf", "radius": 5}"#, Norm::Linf, 1.02),
    ("evasion-fab", r#"{"norm": "l1", "radius": 5}"#, Norm::L1, 1.02),
    ("evasion-carlini-wagner", r#"{"radius": 5}"#, Norm::L2, 1.05),
    ("evasion-elastic-net", r#"{"radius": 5}"#, Norm::L1, 1.2),
    ("evasion-geoda", r#"{"norm": "l2", "radius": 5, "queries": 2000}"#, Norm::L2, 1.35),
    ("evasion-sign-opt", r#"{"norm": "l2", "radius": 5, "queries": 4000}"#, Norm::L2, 1.2),
    ("evasion-zoo", r#"{"radius": 5, "queries": 4000}"#, Norm::L2, 2.2),
];

#[test]
fn the_smallest_change_is_nearly_found_and_never_undercut() {
    let mut wrong = Vec::new();
    for (name, config, norm, most) in ATTACKS {
        let (outcome, _) = played(name, config, 4);
        assert_eq!(outcome.rows.len(), 4, "{name}");
        for row in &outcome.rows {
            let ratio = row.distances.map_or(f32::INFINITY, |distances| distances.of(norm)) / least(norm);
            if !(0.999..=most).contains(&ratio) {
                wrong.push(format!("{name} {config} row {}: {ratio} of the least", row.row));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rows_are_asked_together() {
    for (name, config) in [
        ("evasion-geoda", r#"{"radius": 5, "queries": 400}"#),
        ("evasion-sign-opt", r#"{"radius": 5, "queries": 400}"#),
        ("evasion-pointwise", r#"{"radius": 24, "queries": 400}"#),
        ("evasion-boundary", r#"{"radius": 5, "queries": 400}"#),
        ("evasion-hop-skip-jump", r#"{"radius": 5, "queries": 400}"#),
        ("evasion-zoo", r#"{"radius": 5, "queries": 400}"#),
        ("evasion-nes", r#"{"epsilon": 0.01, "queries": 400}"#),
        ("evasion-simba", r#"{"epsilon": 0.01, "queries": 400}"#),
        ("evasion-square", r#"{"epsilon": 0.01, "queries": 400}"#),
    ] {
        let ((_, one), (_, eight)) = (played(name, config, 1), played(name, config, 8));
        assert!(
            one > 1 && eight <= one + one / 2 + 8,
            "{name}: {eight} questions for eight rows, {one} for one"
        );
    }
}
