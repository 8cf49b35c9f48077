//! Classifiers as users export them: outputs against ONNX Runtime, and the classifier view.

use std::sync::Arc;

use mantlet_model::{Classifier, Limits, Model, OutputKind, load};
use mantlet_vocab::{MemorySource, NamedValue, Tensor, Value};

macro_rules! exports {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("exports/", $name, ".onnx")).as_slice())),*]
    };
}

fn all() -> Vec<(&'static str, &'static [u8])> {
    exports![
        "adaboost",
        "bayes",
        "boosted",
        "boosted-three",
        "columns",
        "columns-forest",
        "discriminant",
        "extra",
        "forest",
        "forest-three",
        "linear-svc",
        "logistic",
        "logistic-rest",
        "logistic-three",
        "minmax-mlp",
        "mlp-three",
        "scaled-logistic",
        "sgd",
        "svc",
        "svc-plain",
        "svc-three",
        "tree",
        "xgboost",
        "xgboost-three",
    ]
    .to_vec()
}

fn open(name: &str) -> Arc<dyn Model> {
    let (_, bytes) = all().into_iter().find(|(own, _)| *own == name).unwrap();
    load(&MemorySource::new(bytes), Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn known(name: &str) -> serde_json::Value {
    let all: serde_json::Value = serde_json::from_str(include_str!("exports/expected.json")).unwrap();
    all[name].clone()
}

fn shape(json: &serde_json::Value) -> Vec<usize> {
    json["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn inputs(known: &serde_json::Value) -> Vec<NamedValue> {
    let value = |json: &serde_json::Value| {
        let list = json["x"].as_array().unwrap();
        match json["dtype"].as_str().unwrap() {
            "float32" => {
                let data = list.iter().map(|v| v.as_f64().unwrap_or(f64::NAN) as f32).collect();
                Value::F32(Tensor::new(shape(json), data).unwrap())
            }
            "int64" => Value::I64(
                Tensor::new(shape(json), list.iter().map(|v| v.as_i64().unwrap()).collect()).unwrap(),
            ),
            _ => Value::Text(
                Tensor::new(shape(json), list.iter().map(|v| v.as_str().unwrap().to_owned()).collect())
                    .unwrap(),
            ),
        }
    };
    let named = |(name, json): (&String, _)| NamedValue { name: name.clone(), value: value(json) };
    known["inputs"].as_object().unwrap().iter().map(named).collect()
}

#[test]
fn outputs_are_those_of_onnx_runtime() {
    for (name, _) in all() {
        let (model, known) = (open(name), known(name));
        let outputs = model.infer(&inputs(&known)).unwrap_or_else(|error| panic!("{name}: {error}"));
        for output in outputs {
            let wanted = &known["outputs"][&output.name];
            let list = wanted["y"].as_array().unwrap();
            match &output.value {
                Value::F32(t) => {
                    assert_eq!(t.shape(), shape(wanted), "{name} {}", output.name);
                    for (found, wanted) in t.data().iter().zip(list) {
                        let wanted = wanted.as_f64().unwrap() as f32;
                        assert!(
                            (found - wanted).abs() <= 1e-5 + 1e-5 * wanted.abs(),
                            "{name}: {found} {wanted}"
                        );
                    }
                }
                Value::I64(t) => {
                    assert_eq!(
                        t.data(),
                        list.iter().map(|v| v.as_i64().unwrap()).collect::<Vec<_>>(),
                        "{name}"
                    );
                }
                Value::Text(t) => {
                    assert_eq!(
                        t.data(),
                        list.iter().map(|v| v.as_str().unwrap()).collect::<Vec<_>>(),
                        "{name}"
                    );
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn classifiers_know_their_classes_and_gradients() {
    use OutputKind::{Logits, Probabilities};
    for (name, classes, kind, smooth) in [
        ("logistic", &["0", "1"][..], Probabilities, true),
        ("logistic-three", &["maybe", "no", "yes"], Probabilities, true),
        ("logistic-rest", &["0", "1", "2"], Probabilities, true),
        ("scaled-logistic", &["bad", "good"], Probabilities, true),
        ("minmax-mlp", &["0", "1"], Probabilities, true),
        ("mlp-three", &["0", "1", "2"], Probabilities, true),
        ("discriminant", &["0", "1", "2"], Probabilities, true),
        ("linear-svc", &["0", "1", "2"], Logits, true),
        ("tree", &["a", "b", "c"], Probabilities, false),
        ("forest", &["0", "1"], Probabilities, false),
        ("boosted", &["0", "1"], Probabilities, false),
        ("boosted-three", &["0", "1", "2"], Probabilities, false),
        ("xgboost", &["0", "1"], Probabilities, false),
        ("xgboost-three", &["0", "1", "2"], Probabilities, false),
        ("svc-three", &["a", "b", "c"], Probabilities, false),
    ] {
        let (model, known) = (open(name), known(name));
        let view = Classifier::new(Arc::clone(&model)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (view.class_names(), view.kind(), view.input_shape()),
            (&classes.iter().map(ToString::to_string).collect::<Vec<_>>()[..], kind, &[4][..]),
            "{name}"
        );
        let Value::F32(x) = inputs(&known).remove(0).value else { panic!("{name}") };
        let (scores, labels) = (view.scores(&x).unwrap(), view.labels(&x).unwrap());
        assert_eq!(scores.shape(), [x.rows(), classes.len()], "{name}");
        let agree = scores.argmax_rows().iter().zip(&labels).filter(|(a, b)| a == b).count();
        assert!(agree + 1 >= labels.len(), "{name}: {agree}");
        assert_eq!(model.differentiable().is_ok(), smooth, "{name}");
        let margin = |s: &Tensor| {
            let mut cotangent = Tensor::full(s.shape(), 0.0);
            (0..s.rows()).for_each(|row| {
                cotangent.row_mut(row)[0] = 1.0;
                cotangent.row_mut(row)[1] = -1.0;
            });
            cotangent
        };
        let result = view.gradient(&x, &mut |s| margin(s));
        if !smooth {
            assert!(result.is_err(), "{name}");
            continue;
        }
        let (logits, gradient) = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(logits.argmax_rows(), scores.argmax_rows(), "{name}");
        for at in 0..x.data().len() {
            let moved = |by: f32| {
                let mut moved = x.clone();
                moved.data_mut()[at] += by;
                let logits = view.gradient(&moved, &mut |s| margin(s)).unwrap().0;
                logits.data().iter().zip(margin(&logits).data()).map(|(l, m)| f64::from(l * m)).sum::<f64>()
            };
            let slope = |step: f32| (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let exact = f64::from(gradient.data()[at]);
            let close = |step: &f32| (slope(*step) - exact).abs() <= 1e-2 + 1e-2 * exact.abs();
            assert!([1e-2, 1e-3].iter().any(close), "{name}: value {at}: {exact} {}", slope(1e-2));
        }
    }
}

#[test]
fn tables_with_text_columns_are_probed_with_the_text_held() {
    let (model, known) = (open("columns"), known("columns"));
    let view = Classifier::new(Arc::clone(&model)).unwrap();
    assert_eq!(view.features(), ["age", "pay"]);
    assert_eq!(view.text_inputs(), ["job", "town"]);
    assert_eq!(view.class_names(), ["<=50K", ">50K"]);
    let given = inputs(&known);
    let column = |name: &str| &given.iter().find(|value| value.name == name).unwrap().value;
    let x = Tensor::new([1, 2], vec![40.0, 30.0]).unwrap();
    assert!(view.scores(&x).is_err(), "text inputs are not fixed yet");
    let text = |name: &str, row: usize| {
        let Value::Text(t) = column(name) else { panic!() };
        let value = Value::Text(Tensor::new([1, 1], vec![t.data()[row].clone()]).unwrap());
        NamedValue { name: name.to_owned(), value }
    };
    let wanted = known["outputs"]["output_label"]["y"].as_array().unwrap();
    let mut view = view;
    for (row, wanted) in wanted.iter().enumerate() {
        view = view.with_fixed(vec![text("job", row), text("town", row)]).unwrap();
        let (age, pay) =
            (column("age").to_f32().unwrap().data()[row], column("pay").to_f32().unwrap().data()[row]);
        let x = Tensor::new([1, 2], vec![age, pay]).unwrap();
        let label = &view.class_names()[view.labels(&x).unwrap()[0]];
        assert_eq!(label, wanted.as_str().unwrap());
        let (_, gradient) = view.gradient(&x, &mut |s| Tensor::full(s.shape(), 1.0)).unwrap();
        assert_eq!(gradient.data()[0], 0.0, "whole-number inputs have no gradient");
    }
    let (_, gradient) = view
        .gradient(&x, &mut |s| {
            let mut cotangent = Tensor::full(s.shape(), 0.0);
            cotangent.data_mut()[1] = 1.0;
            cotangent
        })
        .unwrap();
    assert!(gradient.data()[1] > 0.0, "more pay, higher score");
}

#[test]
fn scores_that_contradict_the_label_are_left_out() {
    let view = Classifier::new(open("svc-plain")).unwrap();
    assert_eq!(view.kind(), OutputKind::LabelOnly);
    let Value::F32(x) = inputs(&known("svc-plain")).remove(0).value else { panic!() };
    assert_eq!(view.labels(&x).unwrap(), [1, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 1]);
    assert!(view.scores(&x).is_err());
}

#[test]
fn ensembles_are_shown_when_the_model_is_one() {
    let features = |name: &str| open(name).trees().map(|trees| (trees.trees.len(), trees.features));
    assert_eq!(features("forest"), Some((5, 4)));
    assert_eq!(features("xgboost-three"), Some((12, 4)));
    assert_eq!(features("logistic"), None);
}
