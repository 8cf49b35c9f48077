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

/// What a score of the trees is, through an odds function or not.
fn scored(ensemble: &TreeEnsemble, row: &[f32], output: usize, way: fn(f32) -> f32) -> f32 {
    way(Forest::toward(ensemble, output, false, 0.0).unwrap().margin(row) as f32)
}

fn moved(trees: &TreeEnsemble, row: &[f32], goal: Goal, way: fn(f32) -> f32) -> crate::Outcome {
    let rows = Tensor::new([1, 3], row.to_vec()).unwrap();
    let material = Material::new(rows, vec![], trees.outputs).goal(goal).trees(Some(trees.clone()));
    let config = Config { radius: 1.0, boxes: 1_000_000 };
    let mut attack = TreeExact::new(config, 1, material).unwrap();
    let mut answer = None;
    loop {
        match attack.step(answer.take()) {
            Step::Done(outcome) => return outcome,
            Step::Ask(ask) => {
                let rows = ask.rows();
                let each = |row: usize| {
                    (0..trees.outputs).map(move |output| scored(trees, rows.row(row), output, way))
                };
                let scores: Vec<f32> = (0..rows.rows()).flat_map(each).collect();
                answer = Some(Answer::Scores(Tensor::new([rows.rows(), trees.outputs], scores).unwrap()));
            }
        }
    }
}

fn same(sum: f32) -> f32 {
    sum
}

fn odds(sum: f32) -> f32 {
    1.0 / (1.0 + (-sum).exp())
}

#[test]
fn a_score_is_moved_by_the_smallest_change_that_trying_every_corner_knows() {
    let mut random = Random::new(29);
    let (mut reached, mut impossible) = (0, 0);
    for round in 0..48 {
        let mut trees = ensemble(&mut random, if round % 3 == 0 { 2 } else { 1 });
        let way = if round % 4 == 1 { odds as fn(f32) -> f32 } else { same };
        if round % 2 == 0 {
            trees.aggregate = Aggregate::Average;
        }
        let column = trees.outputs - 1;
        let row: Vec<f32> = (0..3).map(|_| random.unit()).collect();
        let own = scored(&trees, &row, column, way);
        let by: f32 = [0.2, -0.2, 0.6, -1.1][round / 4 % 4];
        let wins = |values: &[f32]| (scored(&trees, values, column, way) - own) * by.signum() >= by.abs();
        let largest = |shift: [f32; 3]| shift.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let best = by_corners(&row, wins, largest);
        let outcome = moved(&trees, &row, Goal::Moved { by, column }, way);
        let Detail::Evasion { bounds, .. } = &outcome.detail else { panic!() };
        match outcome.rows[0].distances {
            Some(found) => {
                reached += 1;
                assert!((found.linf - best).abs() < 1e-5, "round {round}: {} {best}", found.linf);
                assert!(bounds[0].1 <= best + 1e-6 && bounds[0].1 >= best - 1e-5, "{bounds:?} {best}");
                assert!(wins(outcome.rows[0].changed.as_ref().unwrap()), "round {round}");
            }
            None => {
                impossible += 1;
                assert_eq!((best, bounds[0].1), (f32::MAX, 1.0), "round {round}");
                assert_eq!(outcome.rows[0].state, State::Miss);
            }
        }
    }
    assert!(reached >= 12 && impossible >= 6, "{reached} {impossible}");
}

/// One split at a half: a price of 100, or of so much more.
fn price(more: f32) -> TreeEnsemble {
    let split = Node::Split {
        feature: 1,
        threshold: 0.5,
        compare: Compare::LessOrEqual,
        left: 1,
        right: 2,
        missing_left: false,
    };
    let leaf = |vote| Node::Leaf { votes: vec![(0, vote)] };
    TreeEnsemble {
        features: 3,
        outputs: 1,
        trees: vec![Tree { nodes: vec![split, leaf(0.0), leaf(more)] }],
        base: vec![100.0],
        aggregate: Aggregate::Sum,
        post: Post::None,
    }
}

#[test]
fn just_the_amount_is_enough_and_a_little_less_is_not() {
    let row = [0.1, 0.2, 0.3];
    let goal = Goal::Moved { by: 30.0, column: 0 };
    for more in [30.0, 31.0] {
        let outcome = moved(&price(more), &row, goal, same);
        assert_eq!(outcome.rows[0].state, State::Hit, "{more}");
        let changed = outcome.rows[0].changed.as_ref().unwrap();
        assert_eq!((changed[0], changed[2]), (0.1, 0.3));
        assert!(changed[1] > 0.5 && changed[1] < 0.50001, "{changed:?}");
    }
    // So little is lacking that the bound does not speak of it, but it is no success.
    for more in [29.9999, 29.9] {
        assert_eq!(moved(&price(more), &row, goal, same).rows[0].state, State::Miss, "{more}");
    }
    // A price that cannot fall.
    let falls = moved(&price(30.0), &row, Goal::Moved { by: -1.0, column: 0 }, same);
    let Detail::Evasion { bounds, .. } = &falls.detail else { panic!() };
    assert_eq!((falls.rows[0].state, bounds[0].1), (State::Miss, 1.0));
}

#[test]
fn of_scores_that_are_not_the_sums_of_the_trees_nothing_is_said() {
    let outcome =
        moved(&price(30.0), &[0.1, 0.2, 0.3], Goal::Moved { by: 5.0, column: 0 }, |sum| (sum / 50.0).exp());
    let Detail::Evasion { bounds, .. } = &outcome.detail else { panic!() };
    assert_eq!(outcome.rows[0].state, State::Error);
    assert!(bounds.is_empty(), "{bounds:?}");
}
