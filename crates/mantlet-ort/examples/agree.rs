//! Whether an ONNX Runtime library answers as the interpreter does: `agree LIBRARY MODEL.onnx...` runs each file by
//! both on the same numbers, and fails when an output is further apart than 1e-4 (relative above 1). A part of
//! `cargo xtask acceptance`.

use std::path::Path;
use std::{env, fs};

use mantlet_model::{Dtype, Limits, Model, ModelError, Port};
use mantlet_ort::{Device, Runtime};
use mantlet_vocab::{MemorySource, NamedValue, Tensor, Value};

type Any<T> = Result<T, Box<dyn std::error::Error>>;

/// A row count for free batch axes: more than one block of rows side by side.
const ROWS: usize = 37;

/// Numbers of different size and sign for an input, all positive where the file's name says that it needs them.
fn numbers(port: &Port, positive: bool) -> Any<NamedValue> {
    let axes = port.shape.iter().enumerate();
    let shape: Vec<usize> = axes.map(|(at, axis)| axis.unwrap_or(if at == 0 { ROWS } else { 3 })).collect();
    let count: usize = shape.iter().product();
    let wave = |at: usize| {
        let value = (at as f32 * 0.731).sin();
        if positive { value.abs() + 0.5 } else { value }
    };
    let value = match port.dtype {
        Dtype::F32 => Value::F32(Tensor::new(shape, (0..count).map(wave).collect())?),
        Dtype::I64 => Value::I64(Tensor::new(shape, (0..count).map(|at| (at % 2) as i64).collect())?),
        other => return Err(format!("inputs of {other} are not tried").into()),
    };
    Ok(NamedValue { name: port.name.clone(), value })
}

/// The largest distance between two answers; the error says where they are of another shape.
fn apart(theirs: &dyn Model, ours: &dyn Model, inputs: &[NamedValue]) -> Any<f32> {
    let (theirs, ours) = (theirs.infer(inputs)?, ours.infer(inputs)?);
    let mut most = 0.0_f32;
    for value in &theirs {
        let own = ours.iter().find(|own| own.name == value.name).ok_or("an output is missing")?;
        let (Some(a), Some(b)) = (value.value.to_f32(), own.value.to_f32()) else {
            if value.value == own.value {
                continue;
            }
            return Err(format!("`{}` differs", value.name).into());
        };
        if a.shape() != b.shape() {
            return Err(format!("`{}`: {:?} and {:?}", value.name, a.shape(), b.shape()).into());
        }
        for (a, b) in a.data().iter().zip(b.data()) {
            let same = a == b || (a.is_nan() && b.is_nan());
            let gap = if same { 0.0 } else { (a - b).abs() / b.abs().max(1.0) };
            most = if gap.is_nan() { f32::INFINITY } else { most.max(gap) };
        }
    }
    Ok(most)
}

#[expect(clippy::print_stdout, reason = "a program for people and scripts")]
fn main() -> Any<()> {
    let given: Vec<String> = env::args().skip(1).collect();
    let [library, files @ ..] = &given[..] else { return Err("give LIBRARY MODEL.onnx...".into()) };
    let runtime = Runtime::open(Path::new(library), Device::Cpu)?;
    let (mut compared, mut alone, mut wrong) = (0, 0, 0);
    for file in files {
        let source = MemorySource::new(&fs::read(file)?);
        let ours = match mantlet_model::load(&source, Limits::default()) {
            Ok(ours) => ours,
            Err(ModelError::Unsupported { operators }) => {
                println!("{file}: only {} has {}", runtime.name(), operators.join(", "));
                runtime.load(&source, None, &Limits::default())?;
                alone += 1;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let theirs = runtime.load(&source, Some(ours.clone()), &Limits::default())?;
        let positive = file.contains("positive");
        let ports = &ours.signature().inputs;
        let inputs = ports.iter().map(|port| numbers(port, positive)).collect::<Any<Vec<_>>>()?;
        compared += 1;
        match apart(&*theirs, &*ours, &inputs) {
            Ok(most) if most <= 1e-4 => {}
            Ok(most) => {
                wrong += 1;
                println!("{file}: {most} apart");
            }
            Err(error) => {
                wrong += 1;
                println!("{file}: {error}");
            }
        }
    }
    println!("{}: {compared} files by both, {wrong} apart, {alone} by it alone", runtime.name());
    if wrong > 0 || compared == 0 { Err("the engines do not agree".into()) } else { Ok(()) }
}
