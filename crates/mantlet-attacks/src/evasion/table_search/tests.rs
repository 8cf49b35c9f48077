//! Its cases, and how near it comes to the smallest change there is.

use mantlet_vocab::Tensor;

use super::*;
use crate::evasion::ball::length;
use crate::evasion::tree_exact::tests::{answered, by_corners, class, ensemble};
use crate::{Constraints, Material, Random, Relation};

#[test]
fn cases_hold() {
    crate::testing::hold(ABOUT.name, ABOUT.cases);
}

/// For 30 random ensembles: what was found over the least there is, where there is any, and the queries it took.
fn measured(config: &Config) -> Vec<(f32, u64)> {
    let mut random = Random::new(23);
    let mut found = Vec::new();
    for round in 0..30 {
        let trees = ensemble(&mut random, if round % 2 == 0 { 1 } else { 3 });
        let row: Vec<f32> = (0..3).map(|_| random.unit()).collect();
        let label = class(&trees, &row);
        // What a believable row must not do: have more in the first place than in the second, if it did not before.
        let ordered = row[0] <= row[1];
        let turned =
            |values: &[f32]| class(&trees, values) != label && (!ordered || values[0] <= values[1] + 1e-6);
        let best = by_corners(&row, turned, |shift| length(&shift));
        let mut constraints = Constraints::uniform(3, 0.0, 1.0);
        constraints.relations.push(Relation::AtMost { terms: vec![(0, 1.0), (1, -1.0)], bound: 0.0 });
        let pool: Vec<f32> = (0..90).map(|_| random.unit()).collect();
        let pool = Tensor::new([30, 3], pool).unwrap();
        let labels = (0..30).map(|row| class(&trees, pool.row(row))).collect();
        let material = Material::new(Tensor::new([1, 3], row).unwrap(), vec![], trees.outputs.max(2))
            .constraints(constraints)
            .pool(pool, labels)
            .trees(Some(trees.clone()));
        let outcome = answered(&trees, &mut TableSearch::new(config.clone(), 3, material).unwrap());
        if let (Some(distances), true) = (outcome.rows[0].distances, best < f32::MAX) {
            // Where the order has to be mended both values move, and no corner is that.
            found.push((distances.l2 / best.max(1e-6), outcome.rows[0].queries));
        }
    }
    found
}

#[test]
fn with_the_trees_at_hand_the_change_is_the_smallest_and_four_questions_do() {
    let config = Config { radius: Some(2.0), learn: false, scores: false, ..Config::default() };
    let found = measured(&config);
    assert!(found.len() >= 15, "{}", found.len());
    let nearest = found.iter().filter(|(ratio, _)| *ratio < 1.001).count();
    assert!(nearest * 10 >= found.len() * 9, "{found:?}");
    assert!(found.iter().all(|(ratio, queries)| *ratio < 1.5 && *queries <= 4), "{found:?}");
}

#[test]
fn without_them_halving_comes_close() {
    let config = Config { radius: Some(2.0), learn: false, scores: false, trees: false, ..Config::default() };
    let found = measured(&config);
    assert!(found.len() >= 15, "{}", found.len());
    let mut ratios: Vec<f32> = found.iter().map(|(ratio, _)| *ratio).collect();
    ratios.sort_by(f32::total_cmp);
    assert!(ratios[ratios.len() / 2] < 1.1, "{ratios:?}");
    assert!(found.iter().all(|(_, queries)| *queries <= config.queries), "{found:?}");
}

#[test]
fn with_scores_the_steps_of_the_columns_are_learned() {
    let config = Config { radius: Some(2.0), learn: false, trees: false, ..Config::default() };
    let found = measured(&config);
    assert!(found.len() >= 15, "{}", found.len());
    let near = found.iter().filter(|(ratio, _)| *ratio < 1.005).count();
    assert!(near * 4 >= found.len() * 3, "{found:?}");
    assert!(found.iter().all(|(_, queries)| *queries <= config.queries), "{found:?}");
}
