//! Whole networks as PyTorch exports them: values and gradients beside PyTorch's own.
//!
//! The files and what PyTorch gives are written by `scripts/vectors/whole.py`.

use std::path::Path;

use mantlet_model::{Limits, load};
use mantlet_vocab::{MemorySource, NamedValue, Tensor, Value};
use serde_json::Value as Json;

use crate::sketch::noise;

pub(crate) fn numbers(json: &Json) -> Vec<f32> {
    json.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

pub(crate) fn shape(json: &Json) -> Vec<usize> {
    json["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

pub(crate) fn input(name: &str, json: &Json) -> NamedValue {
    let shape = shape(json);
    let len = shape.iter().product::<usize>();
    let value = match json.get("whole") {
        Some(whole) => {
            let data = whole.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect();
            Value::I64(Tensor::new(shape, data).unwrap())
        }
        None => {
            let seed = json["seed"].as_u64().unwrap() as u32;
            Value::F32(
                Tensor::new(shape, (0..len as u32).map(|at| 2.0 * noise(seed, at) - 1.0).collect()).unwrap(),
            )
        }
    };
    NamedValue { name: name.to_owned(), value }
}

/// Within 1e-4 of each number; what is nearly nothing beside the others is held to 1e-6 of the largest.
pub(crate) fn near(what: &str, found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let most = wanted.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!(most > 1e-4, "{what}: nothing to compare");
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let far = (found - wanted).abs();
        assert!(
            far <= 1e-4 * wanted.abs() + 1e-6 * most,
            "{what}: value {at} is {found}, PyTorch has {wanted}"
        );
    }
}

#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/model/whole");
    let known: Json = serde_json::from_str(include_str!("whole/expected.json")).unwrap();
    let (mut files, mut inner) = (0, 0);
    for (family, case) in known.as_object().unwrap() {
        let given: Vec<NamedValue> =
            case["inputs"].as_object().unwrap().iter().map(|(name, json)| input(name, json)).collect();
        for (name, key) in case["files"].as_object().unwrap() {
            let bytes = std::fs::read(folder.join(format!("{name}.onnx"))).unwrap();
            let model = load(&MemorySource::new(&bytes), Limits::default())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            // The file's own order of inputs.
            let given: Vec<NamedValue> = model
                .signature()
                .inputs
                .iter()
                .map(|port| given.iter().find(|value| value.name == port.name).unwrap().clone())
                .collect();
            let floats: Vec<&str> = given
                .iter()
                .filter(|value| matches!(value.value, Value::F32(_)))
                .map(|value| value.name.as_str())
                .collect();
            let mut wrt = floats.clone();
            wrt.extend(key.as_str());
            let mut weigh = |y: &Tensor| {
                let data = (0..y.data().len() as u32).map(|at| 2.0 * noise(77, at) - 1.0).collect();
                Tensor::new(y.shape(), data).unwrap()
            };
            let (y, slopes) = model
                .gradient(&given, "y", &wrt, &mut weigh)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(y.shape(), shape(&case["y"]), "{name}");
            near(&format!("{name}: output"), y.data(), &numbers(&case["y"]["data"]));
            for (input, slope) in floats.iter().zip(&slopes) {
                near(
                    &format!("{name}: gradient of {input}"),
                    slope.data(),
                    &numbers(&case["slopes"][*input]),
                );
            }
            if let Some(key) = key.as_str() {
                let value = model.activations(&given, &[key]).unwrap().remove(0);
                assert_eq!(value.shape(), shape(&case["inner"]), "{name}");
                near(&format!("{name}: inner value"), value.data(), &numbers(&case["inner"]["data"]));
                let slope = slopes.last().unwrap().data();
                near(&format!("{name}: inner gradient"), slope, &numbers(&case["inner"]["slope"]));
                inner += 1;
            }
            files += 1;
        }
        assert!(!case["files"].as_object().unwrap().is_empty(), "{family}");
    }
    assert!(files >= 20 && inner >= 16, "{files} files, {inner} with an inner value");
}
