//! The walk's cases and promises.

use super::*;
use crate::testing::{Model, hold};

#[test]
fn cases_hold() {
    hold(ABOUT.name, ABOUT.cases);
}

fn model(json: &str) -> Model {
    serde_json::from_str(json).unwrap()
}

#[test]
fn it_comes_close_to_the_known_minimum_in_higher_dimensions() {
    let weights: Vec<f32> = (0..24).map(|place| if place % 3 == 0 { 1.0 } else { 0.2 }).collect();
    let norm = weights.iter().map(|weight| weight * weight).sum::<f32>().sqrt();
    let bias = -0.5 * weights.iter().sum::<f32>() + 0.2 * norm;
    let zero = vec![0.0; 24];
    let model = model(
        &serde_json::json!({"model": "linear", "weights": [weights, zero], "bias": [bias, 0.0]}).to_string(),
    );
    let rows = Tensor::full([4, 24], 0.5);
    let config = Config { queries: 1_200, ..Config::default() };
    let (outcome, queries) =
        model.play(&mut HopSkipJump::new(config, 5, Material::new(rows, vec![], 2)).unwrap());
    assert!(queries <= 4 * 1_201, "{queries}");
    for row in &outcome.rows {
        let reached = row.distances.unwrap().l2;
        assert!((0.2 - 1e-4..0.26).contains(&reached), "{reached}");
    }
}

#[test]
fn the_cap_on_queries_holds_for_each_row() {
    let model = model(r#"{"model": "ball", "centre": [0.5, 0.5, 0.5], "radius": 0.3}"#);
    for cap in [1, 2, 7, 50, 133] {
        let config = Config { queries: cap, ..Config::default() };
        let material = Material::new(Tensor::full([3, 3], 0.5), vec![], 2);
        let (outcome, _) = model.play(&mut HopSkipJump::new(config, 5, material).unwrap());
        assert!(outcome.rows.iter().all(|row| row.queries <= cap + 1), "{outcome:?}");
    }
}

#[test]
fn rows_within_the_radius_can_stop_costing_queries() {
    let model = model(r#"{"model": "ball", "centre": [0.5, 0.5, 0.5], "radius": 0.1}"#);
    let config = Config { stop_at_hit: true, radius: Some(0.2), ..Config::default() };
    let material = Material::new(Tensor::full([2, 3], 0.5), vec![], 2);
    let (outcome, queries) = model.play(&mut HopSkipJump::new(config, 5, material).unwrap());
    assert_eq!(outcome.count(State::Hit), 2);
    assert!(queries < 200, "{queries}");
}
