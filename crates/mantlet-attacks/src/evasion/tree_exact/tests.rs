//! The search against trying every corner, and its promises.

use mantlet_vocab::{Aggregate, Compare, Node, Post, Tensor, Tree, TreeEnsemble};

use super::*;
use crate::{Answer, Attack, Constraint, Constraints, Detail, Material, Random, State, Step};

/// A random ensemble over three features with thresholds at tenths.
pub(in crate::evasion) fn ensemble(random: &mut Random, outputs: usize) -> TreeEnsemble {
    let tree = |random: &mut Random| {
        let mut nodes = Vec::new();
        for at in 0..3 {
            nodes.push(Node::Split {
                feature: random.below(3),
                threshold: random.below(10) as f32 / 10.0 + 0.05,
                compare: if random.below(2) == 0 { Compare::LessOrEqual } else { Compare::Less },
                left: 2 * at + 1,
                right: 2 * at + 2,
                missing_left: false,
            });
        }
        for _ in 0..4 {
            let votes = (0..outputs).map(|output| (output, random.normal())).collect();
            nodes.push(Node::Leaf { votes });
        }
        Tree { nodes }
    };
    TreeEnsemble {
        features: 3,
        outputs,
        trees: (0..6).map(|_| tree(random)).collect(),
        base: vec![0.1; outputs],
        aggregate: Aggregate::Sum,
        post: Post::None,
    }
}

/// The class the trees give a row.
pub(in crate::evasion) fn class(ensemble: &TreeEnsemble, row: &[f32]) -> usize {
    if ensemble.outputs == 1 {
        return usize::from(leaves::sum(ensemble, row) > 0.0);
    }
    let margin = |rival: usize| {
        let forest = Forest::new(ensemble, 0, rival, 0.0).unwrap();
        let inside = |leaf: &&leaves::Leaf| {
            leaf.spans.iter().all(|span| (span.low..=span.high).contains(&row[span.feature]))
        };
        forest.base + forest.trees.iter().map(|tree| tree.iter().find(inside).unwrap().value).sum::<f64>()
    };
    (0..ensemble.outputs)
        .map(|rival| if rival == 0 { 0.0 } else { margin(rival) })
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(0, |(index, _)| index)
}

fn play(ensemble: &TreeEnsemble, rows: Tensor, constraints: Constraints, config: Config) -> crate::Outcome {
    let classes = ensemble.outputs.max(2);
    let material =
        Material::new(rows, vec![], classes).constraints(constraints).trees(Some(ensemble.clone()));
    answered(ensemble, &mut TreeExact::new(config, 1, material).unwrap())
}

/// What an attack that asks for labels ends with.
pub(in crate::evasion) fn answered(ensemble: &TreeEnsemble, attack: &mut dyn Attack) -> crate::Outcome {
    let mut answer = None;
    loop {
        match attack.step(answer.take()) {
            Step::Done(outcome) => return outcome,
            Step::Ask(ask) => {
                let rows = ask.rows();
                answer = Some(Answer::Labels(
                    (0..rows.rows()).map(|row| class(ensemble, rows.row(row))).collect(),
                ));
            }
        }
    }
}

/// The least size of a change after which `turned` holds, of every way to put three values on either side of a threshold
/// or leave them.
pub(in crate::evasion) fn by_corners(
    row: &[f32],
    turned: impl Fn(&[f32]) -> bool,
    size: impl Fn([f32; 3]) -> f32,
) -> f32 {
    let corners: Vec<Vec<f32>> = (0..3)
        .map(|feature| {
            let mut values = vec![row[feature]];
            for step in 0..10 {
                let t = step as f32 / 10.0 + 0.05;
                values.extend([t, t.next_up(), t.next_down()]);
            }
            values.retain(|value| (0.0..=1.0).contains(value));
            values
        })
        .collect();
    let mut best = f32::MAX;
    for &a in &corners[0] {
        for &b in &corners[1] {
            for &c in &corners[2] {
                if turned(&[a, b, c]) {
                    best = best.min(size([a - row[0], b - row[1], c - row[2]]));
                }
            }
        }
    }
    best
}

#[test]
fn the_smallest_change_is_that_of_trying_every_corner() {
    let mut random = Random::new(11);
    for round in 0..24 {
        let trees = ensemble(&mut random, if round % 2 == 0 { 1 } else { 3 });
        let row: Vec<f32> = (0..3).map(|_| random.unit()).collect();
        let label = class(&trees, &row);
        let turned = |values: &[f32]| class(&trees, values) != label;
        let largest = |shift: [f32; 3]| shift.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let best = by_corners(&row, turned, largest);
        let rows = Tensor::new([1, 3], row).unwrap();
        let config = Config { radius: 1.0, boxes: 1_000_000 };
        let outcome = play(&trees, rows, Constraints::uniform(3, 0.0, 1.0), config);
        let Detail::Evasion { bounds, .. } = &outcome.detail else { panic!() };
        match outcome.rows[0].distances {
            Some(found) => {
                assert!((found.linf - best).abs() < 1e-5, "round {round}: {} {best}", found.linf);
                assert!(bounds[0].1 <= found.linf + 1e-6 && bounds[0].1 >= found.linf - 1e-5, "{bounds:?}");
            }
            None => assert_eq!((best, bounds[0].1), (f32::MAX, 1.0), "round {round}"),
        }
    }
}

#[test]
fn fixed_values_and_whole_numbers_are_kept() {
    let split = |feature, threshold| Node::Split {
        feature,
        threshold,
        compare: Compare::LessOrEqual,
        left: 1,
        right: 2,
        missing_left: false,
    };
    let leaf = |vote| Node::Leaf { votes: vec![(0, vote)] };
    let trees = TreeEnsemble {
        features: 2,
        outputs: 1,
        trees: vec![
            Tree { nodes: vec![split(0, 3.5), leaf(-1.0), leaf(0.6)] },
            Tree { nodes: vec![split(1, 0.5), leaf(0.0), leaf(1.5)] },
        ],
        base: vec![],
        aggregate: Aggregate::Sum,
        post: Post::Logistic,
    };
    let value = |integer, immutable, upper| Constraint { lower: 0.0, upper, integer, immutable };
    let rows = || Tensor::new([1, 2], vec![1.0, 0.2]).unwrap();
    let constraints = Constraints::new(vec![value(true, false, 10.0), value(false, true, 1.0)]);
    let outcome = play(&trees, rows(), constraints, Config { radius: 0.4, boxes: 1000 });
    assert_eq!(outcome.rows[0].changed, Some(vec![4.0, 0.2]));
    assert_eq!(outcome.rows[0].state, State::Hit);
    let constraints = Constraints::new(vec![value(true, true, 10.0), value(false, true, 1.0)]);
    let outcome = play(&trees, rows(), constraints, Config { radius: 0.4, boxes: 1000 });
    assert_eq!(outcome.rows[0].state, State::Miss);
}

#[test]
fn too_little_work_still_gives_a_true_bound() {
    let mut random = Random::new(5);
    let trees = ensemble(&mut random, 1);
    let rows = Tensor::new([1, 3], vec![0.4, 0.5, 0.6]).unwrap();
    let bounds = |boxes| {
        let config = Config { radius: 1.0, boxes };
        let outcome = play(&trees, rows.clone(), Constraints::uniform(3, 0.0, 1.0), config);
        let Detail::Evasion { bounds, .. } = outcome.detail else { panic!() };
        bounds[0].1
    };
    assert!(bounds(1) <= bounds(1_000_000) + 1e-6);
}

#[test]
fn a_model_that_is_no_forest_is_refused() {
    let material = Material::new(Tensor::full([1, 2], 0.5), vec![], 2);
    assert!(TreeExact::new(Config::default(), 1, material).is_err());
}
