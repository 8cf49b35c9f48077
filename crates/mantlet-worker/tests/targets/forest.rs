//! Ensembles of trees as scikit-learn's exporter writes them, on rows of real data: the smallest change that the search
//! proves is the one that a solver of mixed integer programs found.
//!
//! The files and what the solver found are written by `scripts/vectors/forest.py`.

use std::sync::Arc;

use mantlet_attacks::{Constraint, Constraints, Detail, Material, State};
use mantlet_model::{Classifier, Limits, load};
use mantlet_redteam::{Campaign, Target as _};
use mantlet_vocab::{MemorySource, Tensor};
use mantlet_worker::targets::ModelTarget;
use serde_json::{Value, json};

use super::run;

fn numbers(json: &Value) -> Vec<f32> {
    json.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

#[test]
fn exported_forests_are_turned_by_the_change_that_a_solver_calls_the_smallest() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets/forest");
    let known: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let (low, high) = (numbers(&known["low"]), numbers(&known["high"]));
    let bounds = low.iter().zip(&high).map(|(lower, upper)| Constraint {
        lower: *lower,
        upper: *upper,
        integer: false,
        immutable: false,
    });
    let constraints = Constraints::new(bounds.collect());
    let mut rows_checked = 0;
    for name in ["random", "boosted"] {
        let case = &known[name];
        let rows: Vec<Vec<f32>> = case["rows"].as_array().unwrap().iter().map(numbers).collect();
        let least = numbers(&case["least"]);
        let labels: Vec<usize> = numbers(&case["labels"]).iter().map(|label| *label as usize).collect();
        let bytes = std::fs::read(folder.join(format!("{name}.onnx"))).unwrap();
        let model = load(&MemorySource::new(&bytes), Limits::default()).unwrap();
        let trees = model.trees().unwrap_or_else(|| panic!("{name}: the file is not seen as trees")).clone();
        let mut target = ModelTarget::new(name, Arc::new(Classifier::new(model).unwrap()));
        let x = Tensor::new([rows.len(), low.len()], rows.concat()).unwrap();
        assert_eq!(target.labels(&x).unwrap(), labels, "{name}");
        let material = Material::new(x, labels, 2).constraints(constraints.clone()).trees(Some(trees));
        let campaign = Campaign::new("evasion-tree-exact", 1, material).config(json!({"radius": 1.0}));
        let report = run(&campaign, &mut target);
        let outcome = report.outcome.as_ref().unwrap();
        let Detail::Evasion { bounds, .. } = &outcome.detail else { panic!("{name}") };
        for (row, least) in outcome.rows.iter().zip(&least) {
            assert_eq!(row.state, State::Hit, "{name}, row {}", row.row);
            let found = row.distances.unwrap().linf;
            let proved = bounds.iter().find(|(index, _)| *index == row.row).unwrap().1;
            assert!((found - least).abs() < 1e-5, "{name}, row {}: {found}, the solver {least}", row.row);
            assert!((proved - least).abs() < 1e-5, "{name}, row {}: {proved} proved, {least}", row.row);
            rows_checked += 1;
        }
    }
    assert_eq!(rows_checked, 24);
}
