//! Gradients of single operators beside PyTorch's, which `scripts/vectors/slopes.py` writes.

use std::collections::BTreeMap;

use mantlet_model::{Limits, load};
use mantlet_vocab::{MemorySource, Tensor, Value};

use crate::sketch::{all, noise};

#[test]
fn gradients_are_those_of_pytorch() {
    let mut known: BTreeMap<String, Vec<f64>> = serde_json::from_str(include_str!("slopes.json")).unwrap();
    let mut without = 0;
    for sketch in all().iter().filter(|sketch| sketch.smooth) {
        let (name, Value::F32(x)) = (&sketch.name, &sketch.x) else { panic!() };
        let Some(wanted) = known.remove(name) else {
            without += 1;
            continue;
        };
        let model = load(&MemorySource::new(&sketch.bytes), Limits::default()).unwrap();
        let (_, gradient) = model
            .input_gradient(x, &mut |y| {
                let weights = (0..y.data().len() as u32).map(|at| 2.0 * noise(77, at) - 1.0).collect();
                Tensor::new(y.shape(), weights).unwrap()
            })
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(gradient.data().len(), wanted.len(), "{name}");
        for (at, (found, wanted)) in gradient.data().iter().zip(wanted).enumerate() {
            let far = (f64::from(*found) - wanted).abs();
            assert!(far <= 1e-4 * wanted.abs() + 2e-6, "{name}: value {at}: {found}, PyTorch has {wanted}");
        }
    }
    assert!(known.is_empty(), "gradients of what is not there: {:?}", known.keys());
    assert!(without <= 19, "{without} operators are held against finite differences alone");
}
