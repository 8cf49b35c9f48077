//! Every operator: values against ONNX Runtime, gradients against finite differences.

use std::sync::Arc;

use mantlet_model::{Limits, Model, load};
use mantlet_vocab::{MemorySource, NamedValue, Tensor, Value};

use crate::sketch::{all, noise, parse};

fn open(bytes: &[u8], name: &str) -> Arc<dyn Model> {
    load(&MemorySource::new(bytes), Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn run(model: &dyn Model, x: &Value, name: &str) -> Tensor {
    let input = NamedValue { name: "x".to_owned(), value: x.clone() };
    let outputs = model.infer(&[input]).unwrap_or_else(|error| panic!("{name}: {error}"));
    outputs[0].value.to_f32().unwrap()
}

#[test]
fn values_are_those_of_onnx_runtime() {
    let known: serde_json::Value = serde_json::from_str(include_str!("operators.json")).unwrap();
    for sketch in all() {
        let name = &sketch.name;
        let y = run(&*open(&sketch.bytes, name), &sketch.x, name);
        // Names in the vectors keep the mark of cases without a gradient.
        let wanted =
            known.get(name).or_else(|| known.get(format!("!{name}"))).unwrap_or_else(|| panic!("{name}"));
        let shape: Vec<usize> =
            wanted["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
        assert_eq!(y.shape(), shape, "{name}");
        for (found, wanted) in y.data().iter().zip(wanted["y"].as_array().unwrap()) {
            let wanted = wanted.as_f64().unwrap() as f32;
            assert!((found - wanted).abs() <= 2e-6 + 3e-6 * wanted.abs(), "{name}: {found} {wanted}");
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for sketch in all() {
        let name = &sketch.name;
        let model = open(&sketch.bytes, name);
        let Value::F32(x) = &sketch.x else {
            assert!(!sketch.smooth && model.differentiable().is_err(), "{name}");
            continue;
        };
        if !sketch.smooth {
            let operators = model.differentiable().expect_err(name);
            assert!(!operators.is_empty(), "{name}");
            assert!(model.input_gradient(x, &mut Tensor::clone).is_err(), "{name}");
            continue;
        }
        assert_eq!(model.differentiable(), Ok(()), "{name}");
        let weigh = |y: &Tensor| {
            let weights = (0..y.data().len() as u32).map(|at| 2.0 * noise(77, at) - 1.0).collect();
            Tensor::new(y.shape(), weights).unwrap()
        };
        let input = |x: Tensor| NamedValue { name: "x".to_owned(), value: Value::F32(x) };
        let (scores, mut gradients) = model
            .gradient(&[input(x.clone())], "y", &["x"], &mut |y| weigh(y))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(scores, run(&*model, &sketch.x, name), "{name}");
        let gradient = gradients.remove(0);
        assert_eq!(gradient.shape(), x.shape(), "{name}");
        let loss = |x: Tensor| -> f64 {
            let y = run(&*model, &Value::F32(x), name);
            y.data().iter().zip(weigh(&y).data()).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
        };
        for at in 0..x.data().len() {
            let exact = f64::from(gradient.data()[at]);
            let slope = |step: f32| {
                let shift = |by: f32| {
                    let mut moved = x.clone();
                    moved.data_mut()[at] += by;
                    (f64::from(moved.data()[at]), loss(moved))
                };
                let ((up, above), (down, below)) = (shift(step), shift(-step));
                (above - below) / (up - down)
            };
            // A larger step has less rounding, a smaller one crosses fewer kinks.
            let steps = [1e-2, 3e-3, 1e-3, 1e-4];
            let close = |step: &f32| (slope(*step) - exact).abs() <= 2e-3 + 3e-3 * exact.abs();
            assert!(
                steps.iter().any(close),
                "{name}: value {at} has gradient {exact}, differences {:?}",
                steps.map(slope)
            );
        }
    }
}

#[test]
fn quantised_products_are_those_of_onnx_runtime_and_gradients_pass_straight() {
    // The results are ONNX Runtime's; see `build` of `scripts/vectors/operators.py` for the files.
    let product = "qmatmul | x=2x3@0.0:2.0 s=f[0.02] t=f[0.05] u=f[0.1] z=i[0] v=i[3] k=i[1,20,3,14,5,6] r=i[3,2] | zu = Cast(z) to=2 ; vu = Cast(v) to=2 ; q = QuantizeLinear(x, s, zu) ; kr = Reshape(k, r) ; ku = Cast(kr) to=2 ; c = QLinearMatMul(q, s, zu, ku, t, vu, u, zu) ; y = DequantizeLinear(c, u, zu)";
    let conv = "qconv | x=1x1x3x4@0.0:2.0 s=f[0.02] t=f[0.05,0.03] u=f[0.1] z=i[0] v=i[3,0] k=i[1,20,3,14,5,6,7,9] r=i[2,1,2,2] b=i[40,900] | zu = Cast(z) to=2 ; vu = Cast(v) to=2 ; q = QuantizeLinear(x, s, zu) ; kr = Reshape(k, r) ; ku = Cast(kr) to=2 ; bi = Cast(b) to=6 ; c = QLinearConv(q, s, zu, ku, t, vu, u, zu, bi) pads=[1,0,0,0] ; y = DequantizeLinear(c, u, zu)";
    let results: [(&str, &[f32]); 2] = [
        (product, &[0.0, 1.6, 0.1, 1.7]),
        (conv, &[0.6, 0.4, 0.5, 1.8, 1.4, 1.1, 2.6, 1.6, 1.4, 1.0, 1.0, 0.9, 1.6, 1.6, 1.3, 1.7, 1.7, 1.5]),
    ];
    for (line, wanted) in results {
        let sketch = parse(line);
        let y = run(&*open(&sketch.bytes, line), &sketch.x, line);
        assert_eq!(y.data().len(), wanted.len(), "{line}");
        for (found, wanted) in y.data().iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-5, "{line}: {found} {wanted}");
        }
    }
    let sketch = parse(product);
    let Value::F32(x) = &sketch.x else { panic!() };
    let model = open(&sketch.bytes, product);
    let (_, gradient) = model.input_gradient(x, &mut |y| Tensor::full(y.shape(), 1.0)).unwrap();
    // The rows of the matrix, less its zero point, times its step.
    for row in 0..2 {
        for (found, wanted) in gradient.row(row).iter().zip([0.75, 0.55, 0.25]) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }
}

#[test]
fn every_call_gives_the_same_bits() {
    for sketch in all().iter().filter(|sketch| ["net", "attention", "conv-groups"].contains(&&*sketch.name)) {
        let model = open(&sketch.bytes, &sketch.name);
        let Value::F32(x) = &sketch.x else { continue };
        let once = model.input_gradient(x, &mut Tensor::clone).unwrap();
        for _ in 0..3 {
            assert_eq!(model.input_gradient(x, &mut Tensor::clone).unwrap(), once);
        }
    }
}

#[test]
fn the_first_of_equal_maxima_takes_the_gradient() {
    let sketch = all().into_iter().find(|sketch| sketch.name == "max-pool").unwrap();
    let model = open(&sketch.bytes, "max-pool");
    let flat = Tensor::full([2, 2, 4, 6], 0.25);
    let (_, gradient) = model.input_gradient(&flat, &mut |y| Tensor::full(y.shape(), 1.0)).unwrap();
    for (at, value) in gradient.data().iter().enumerate() {
        let (row, column) = (at / 6 % 4, at % 6);
        assert_eq!(*value, if row % 2 == 0 && column % 2 == 0 { 1.0 } else { 0.0 });
    }
}

#[test]
fn every_operator_of_the_page_is_known() {
    let page = include_str!("../../../../docs/operators.md");
    let (known, missing) = page.split_once("## Not yet").unwrap();
    let names = |text: &str| -> Vec<String> {
        let names = text.split('`').skip(1).step_by(2).filter(|name| !name.contains('.'));
        names.map(str::to_owned).collect()
    };
    let unknown = |name: &String| {
        let line = |domain: &str| format!("one | x=2x3 | y = {domain}{name}(x)");
        let refused = |line: String| {
            let bytes = parse(&line).bytes;
            let found = load(&MemorySource::new(&bytes), Limits::default());
            matches!(found, Err(mantlet_model::ModelError::Unsupported { .. }))
        };
        refused(line("")) && refused(line("ml:"))
    };
    let listed = names(known);
    assert!(listed.len() > 120, "{}", listed.len());
    assert_eq!(listed.iter().filter(|name| unknown(name)).collect::<Vec<_>>(), Vec::<&String>::new());
    let lacking = names(missing.split_once("## How").unwrap().0);
    assert!(lacking.iter().all(unknown), "{lacking:?}");
}
