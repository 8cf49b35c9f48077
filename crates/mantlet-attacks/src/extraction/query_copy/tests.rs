//! The thief's cases and promises.

use super::*;
use crate::testing::{Model, hold};

#[test]
fn cases_hold() {
    hold(ABOUT.name, ABOUT.cases);
}

fn gather(model: &str, config: Config) -> (Tensor, Vec<usize>, Option<Tensor>, String) {
    let model: Model = serde_json::from_str(model).unwrap();
    let rows = Tensor::new([3, 2], vec![0.5, 0.5, 0.1, 0.2, 0.9, 0.9]).unwrap();
    let (outcome, _) = model.play(&mut QueryCopy::new(config, 4, Material::new(rows, vec![], 2)).unwrap());
    let Detail::Extraction { rows, labels, probabilities, recognised, .. } = outcome.detail else { panic!() };
    (rows, labels, probabilities, recognised)
}

#[test]
fn logits_are_turned_into_probabilities_and_labels_agree() {
    let logits = r#"{"model": "linear", "weights": [[4, 4], [-4, -4]], "bias": [-3, 3]}"#;
    let soft = r#"{"model": "linear", "weights": [[4, 4], [-4, -4]], "bias": [-3, 3], "softmax": true}"#;
    let config = Config { queries: 40, scores: true, across: 0.0, ..Config::default() };
    let (rows, labels, probabilities, recognised) = gather(logits, config.clone());
    assert!(recognised.starts_with("logits"), "{recognised}");
    let (same_rows, same_labels, same, recognised) = gather(soft, config);
    assert_eq!((recognised.as_str(), rows, labels), ("probabilities", same_rows, same_labels));
    for (a, b) in probabilities.unwrap().data().iter().zip(same.unwrap().data()) {
        assert!((a - b).abs() < 1e-5);
    }
}

#[test]
fn images_are_shifted_whole() {
    let image: Vec<f32> = (0..9).map(|value| value as f32).collect();
    assert_eq!(shifted(&image, 1, 3, 3, 1, 1), image);
    assert_eq!(shifted(&image, 1, 3, 3, 2, 1), [6.0, 7.0, 8.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}
