//! The threshold's cases and promises.

use super::*;
use crate::testing::hold;

#[test]
fn cases_hold() {
    hold(ABOUT.name, ABOUT.cases);
}

#[test]
fn saturated_scores_keep_their_order() {
    // In f32 both probabilities of the true class are 1; the small shares still differ.
    let soft = |rest: f32| log_odds(&[1.0, rest], 0, ScoreKind::Probabilities).unwrap();
    assert!(soft(1e-9) > soft(1e-8));
    let hard = |other: f32| log_odds(&[100.0, other], 0, ScoreKind::Logits).unwrap();
    assert!(hard(0.0) > hard(10.0));
    assert_eq!(log_odds(&[f32::NAN, 0.0], 0, ScoreKind::Logits), None);
    assert_eq!(log_odds(&[1.0], 3, ScoreKind::Logits), None);
}

#[test]
fn it_needs_outsiders_and_labels() {
    let rows = Tensor::full([2, 2], 0.5);
    let bare = Material::new(rows.clone(), vec![0, 1], 2);
    assert!(matches!(Threshold::new(Config::default(), 0, bare.clone()), Err(AttackError::Material { .. })));
    assert!(Threshold::new(Config::default(), 0, bare.pool(rows, vec![])).is_err());
}
