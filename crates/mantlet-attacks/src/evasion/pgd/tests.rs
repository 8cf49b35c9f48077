//! The climb's cases and promises.

use super::*;
use crate::testing::{Model, cases, hold};

#[test]
fn cases_hold() {
    hold(ABOUT.name, ABOUT.cases);
}

#[test]
fn finished_rows_stop_costing_queries() {
    let case = cases(ABOUT.cases).into_iter().next().unwrap().body;
    let pgd = Pgd::new(Config { epsilon: 0.2, restarts: 5, ..Config::default() }, 3, case.material());
    let (outcome, queries) = case.model.play(&mut pgd.unwrap());
    assert_eq!(outcome.count(State::Hit), 1);
    assert!(queries < 30, "{queries}");
}

#[test]
fn hidden_gradients_are_counted() {
    let case = cases(ABOUT.cases).into_iter().find(|case| case.title.contains("hides")).unwrap().body;
    let (outcome, _) = case.model.play(&mut Pgd::new(Config::default(), 1, case.material()).unwrap());
    let Detail::Evasion { vanished, .. } = outcome.detail else { panic!() };
    assert_eq!(vanished, 1.0);
}

#[test]
fn scaled_logits_blind_cross_entropy_only() {
    let case = cases(ABOUT.cases).into_iter().find(|case| case.title.contains("scaled")).unwrap().body;
    let config = Config { epsilon: 0.12, ..Config::default() };
    let (outcome, _) = case.model.play(&mut Pgd::new(config, 1, case.material()).unwrap());
    let Detail::Evasion { vanished, by_loss, .. } = outcome.detail else { panic!() };
    assert!(vanished > 0.9);
    assert_eq!(by_loss, [("cross-entropy".to_owned(), 0), ("logit-ratio".to_owned(), 1)]);
}

#[test]
fn a_stop_keeps_what_was_found_and_decides_nothing_else() {
    let model: Model =
        serde_json::from_str(r#"{"model": "linear", "weights": [[1, 1], [-1, -1]], "bias": [-0.9, 0.9]}"#)
            .unwrap();
    let rows = Tensor::new([2, 2], vec![0.46, 0.46, 0.9, 0.9]).unwrap();
    let mut pgd =
        Pgd::new(Config { epsilon: 0.05, ..Config::default() }, 1, Material::new(rows, vec![], 2)).unwrap();
    let mut answer = None;
    for _ in 0..10 {
        let Step::Ask(ask) = pgd.step(answer.take()) else { panic!() };
        answer = Some(model.answer(&ask));
    }
    let outcome = pgd.stop(Stop::Budget);
    let states: Vec<_> = outcome.rows.iter().map(|row| row.state).collect();
    assert_eq!(states, [State::Hit, State::Undecided]);
    assert_eq!(pgd.stop(Stop::Failure).rows[1].state, State::Error);
}

#[test]
fn nonsense_configurations_are_named() {
    let material = Material::new(Tensor::full([1, 2], 0.5), vec![], 2);
    for config in [r#"{"epsilon": 0}"#, r#"{"steps": 0}"#, r#"{"epsilom": 1}"#, r#"{"losses": []}"#] {
        let config = serde_json::from_str(config).unwrap();
        assert!(matches!(
            crate::create(ABOUT.name, &config, 0, material.clone()),
            Err(AttackError::Config { attack: "evasion-pgd", .. })
        ));
    }
    let empty = Material::new(Tensor::full([0, 2], 0.5), vec![], 2);
    assert!(Pgd::new(Config::default(), 0, empty).is_err());
}
