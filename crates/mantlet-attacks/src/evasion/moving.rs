//! Scores and ranks that are moved: every attack that takes such a goal, on a price that is a line.

use mantlet_vocab::Tensor;

use crate::testing::Model;
use crate::{Constraints, Goal, Material, State};

const WEIGHTS: [f32; 4] = [3.0, -2.0, 1.0, 0.5];

fn price() -> Model {
    Model::Linear {
        weights: vec![WEIGHTS.to_vec()],
        bias: vec![10.0],
        scale: 1.0,
        backdoor: None,
        softmax: false,
        masked: false,
    }
}

fn material(goal: Goal) -> Material {
    let rows = Tensor::new([3, 4], vec![0.5, 0.5, 0.5, 0.5, 0.2, 0.7, 0.4, 0.1, 0.9, 0.3, 0.6, 0.8]).unwrap();
    let pool =
        (0..40).flat_map(|row| (0..4).map(move |at| ((row * 7 + at * 13) % 40) as f32 / 40.0)).collect();
    let mut material =
        Material::new(rows, Vec::new(), 1).pool(Tensor::new([40, 4], pool).unwrap(), Vec::new());
    material.constraints = Constraints::uniform(4, 0.0, 1.0);
    material.goal(goal)
}

fn score(row: &[f32]) -> f32 {
    10.0 + WEIGHTS.iter().zip(row).map(|(weight, value)| weight * value).sum::<f32>()
}

const MOVERS: [(&str, &str); 15] = [
    ("evasion-pgd", r#"{"epsilon": 0.3}"#),
    ("evasion-apgd", r#"{"epsilon": 0.3}"#),
    ("evasion-fmn", r#"{"norm": "l2", "radius": 0.6}"#),
    ("evasion-nes", r#"{"epsilon": 0.3}"#),
    ("evasion-zoo", r#"{"radius": 0.6, "queries": 2000}"#),
    ("evasion-hop-skip-jump", r#"{"radius": 0.8}"#),
    ("evasion-bim", r#"{"epsilon": 0.3}"#),
    ("evasion-mi-fgsm", r#"{"epsilon": 0.3}"#),
    ("evasion-deep-fool", r#"{"norm": "l2", "radius": 0.6}"#),
    ("evasion-ddn", r#"{"radius": 0.6}"#),
    ("evasion-table-climb", r#"{"norm": "linf", "epsilon": 0.3}"#),
    ("evasion-square", r#"{"epsilon": 0.3, "queries": 400}"#),
    ("evasion-simba", r#"{"norm": "l2", "epsilon": 0.6, "step": 0.1}"#),
    ("evasion-boundary", r#"{"radius": 0.8, "queries": 1500}"#),
    ("evasion-table-search", r#"{"norm": "l2", "radius": 0.8}"#),
];

#[test]
fn a_price_is_moved_up_and_down_by_the_stated_amount() {
    for (name, config) in MOVERS {
        for by in [0.5, -0.5] {
            let config = serde_json::from_str(config).unwrap();
            let material = material(Goal::Moved { by, column: 0 });
            let mut attack = crate::create(name, &config, 5, material.clone()).unwrap();
            let (outcome, _) = price().play(attack.as_mut());
            assert_eq!(outcome.rows.len(), 3, "{name}");
            // Without a row of the pool that is so far up, an attack by decisions has nowhere to begin.
            let least =
                if matches!(name, "evasion-boundary" | "evasion-hop-skip-jump" | "evasion-table-search") {
                    2
                } else {
                    3
                };
            assert!(outcome.count(State::Hit) >= least, "{name} {by}: {outcome:?}");
            for row in outcome.rows.iter().filter(|row| row.state == State::Hit) {
                let moved = score(row.changed.as_ref().unwrap()) - score(material.rows.row(row.row));
                assert!(moved * by.signum() >= by.abs() - 1e-4, "{name} {by}: {moved}");
            }
        }
    }
}

#[test]
fn a_price_out_of_reach_is_not_called_moved() {
    for (name, config) in MOVERS {
        let config = serde_json::from_str(config).unwrap();
        // The whole range of the price is 6.5.
        let mut attack =
            crate::create(name, &config, 5, material(Goal::Moved { by: 8.0, column: 0 })).unwrap();
        let (outcome, _) = price().play(attack.as_mut());
        // An attack by decisions that finds no row so far up has nowhere to begin; that is no success either.
        assert_eq!(outcome.count(State::Hit), 0, "{name}: {outcome:?}");
        assert!(outcome.rows.iter().all(|row| row.state == State::Miss), "{name}: {outcome:?}");
    }
}

#[test]
fn a_rank_is_moved_by_the_stated_places() {
    let place = |score: f32, pool: &Tensor| {
        (0..pool.rows()).filter(|row| self::score(pool.row(*row)) > score).count()
    };
    for (name, config) in MOVERS {
        for places in [4_i64, -4] {
            let config = serde_json::from_str(config).unwrap();
            if matches!(name, "evasion-pgd" | "evasion-hop-skip-jump") {
                continue; // These say what takes a rank in their place.
            }
            let material = material(Goal::Ranked { places, column: 0 });
            let pool = material.pool.clone().unwrap();
            let mut attack = crate::create(name, &config, 5, material.clone()).unwrap();
            let (outcome, _) = price().play(attack.as_mut());
            let mut hits = 0;
            for row in outcome.rows.iter().filter(|row| row.state == State::Hit) {
                hits += 1;
                let before = place(score(material.rows.row(row.row)), &pool) as i64;
                let after = place(score(row.changed.as_ref().unwrap()), &pool) as i64;
                assert!(
                    (before - after) * places.signum() >= places.abs(),
                    "{name} {places}: {before} {after}"
                );
            }
            assert!(hits >= 1, "{name} {places}: {outcome:?}");
        }
    }
}

#[test]
fn goals_that_cannot_be_are_refused() {
    let refused =
        |name: &str, material: Material| crate::create(name, &serde_json::Value::Null, 1, material).is_err();
    let goal = Goal::Moved { by: 0.5, column: 0 };
    for name in ["evasion-pgd", "evasion-hop-skip-jump"] {
        assert!(!refused(name, material(goal)), "{name}");
        assert!(refused(name, material(Goal::Ranked { places: 2, column: 0 })), "{name}");
        assert!(refused(name, material(Goal::Moved { by: 0.0, column: 0 })), "{name}");
        assert!(refused(name, material(Goal::Moved { by: 1.0, column: 1 })), "{name}");
    }
    // Before a softmax the units are others than those of the score.
    let classes = Material { classes: 3, ..material(goal) };
    assert!(refused("evasion-bim", classes.clone()));
    assert!(!refused("evasion-square", classes.clone()));
    assert!(refused("evasion-square", classes.goal(Goal::Moved { by: 0.5, column: 3 })));
    assert!(refused("evasion-square", material(Goal::Moved { by: 0.0, column: 0 })));
    let alone = Material { pool: None, ..material(Goal::Ranked { places: 2, column: 0 }) };
    assert!(refused("evasion-square", alone));
}
