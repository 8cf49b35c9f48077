//! One attack in this process, on one thread, without loading or report: one JSON line with the CPU seconds of the whole
//! and of the model's answers in it. With `--each` every row is attacked by itself, which tells the slowest. A part of
//! `cargo xtask bench attack`.
//!
//! `alone MODEL.onnx ROWS.csv ATTACK CONFIG ROWS [--each]`: the table has a header, and the label in its last column;
//! rows that the model reads wrong are left out, and what is left serves as pool.

use std::{env, fs, time::Instant};

use mantlet_attacks::{Answer, Ask, Material, Outcome, State, Step};
use mantlet_model::{Classifier, Limits};
use mantlet_vocab::{MemorySource, Tensor};

type Any<T> = Result<T, Box<dyn std::error::Error>>;

/// CPU seconds of this thread where the system tells (Linux), else time that passed.
fn now(start: Instant) -> f64 {
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next().and_then(|first| first.parse::<f64>().ok()));
    nanos.map_or_else(|| start.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}

fn rows(path: &str, shape: &[usize]) -> Any<(Tensor, Vec<usize>)> {
    let (mut data, mut labels, mut shape) = (Vec::new(), Vec::new(), shape.to_vec());
    for line in fs::read_to_string(path)?.lines().skip(1) {
        let mut fields: Vec<&str> = line.split(',').collect();
        labels.push(fields.pop().unwrap_or_default().parse()?);
        for field in fields {
            data.push(field.parse::<f32>()?);
        }
    }
    shape.insert(0, labels.len());
    Ok((Tensor::new(shape, data)?, labels))
}

/// Plays it to its end; its outcome, its CPU seconds, and those of the model's answers in them.
fn play(
    model: &Classifier,
    attack: &str,
    config: &serde_json::Value,
    material: Material,
    start: Instant,
) -> Any<(Outcome, f64, f64)> {
    let begin = now(start);
    let mut attack = mantlet_attacks::create(attack, config, 1, material)?;
    let (mut answer, mut answers) = (None, 0.0);
    loop {
        let ask = match attack.step(answer.take()) {
            Step::Done(outcome) => return Ok((outcome, now(start) - begin, answers)),
            Step::Ask(ask) => ask,
        };
        let asked = now(start);
        answer = Some(match ask {
            Ask::Labels(rows) => Answer::Labels(model.labels(&rows)?),
            Ask::Scores(rows) => Answer::Scores(model.scores(&rows)?),
            other => return Err(format!("`{}` is not answered here", other.word()).into()),
        });
        answers += now(start) - asked;
    }
}

fn main() -> Any<()> {
    let given: Vec<String> = env::args().skip(1).collect();
    let [file, table, attack, config, count, rest @ ..] = &given[..] else {
        return Err("give MODEL.onnx ROWS.csv ATTACK CONFIG ROWS".into());
    };
    let (config, count): (serde_json::Value, usize) = (serde_json::from_str(config)?, count.parse()?);
    let model =
        Classifier::new(mantlet_model::load(&MemorySource::new(&fs::read(file)?), Limits::default())?)?;
    let (all, labels) = rows(table, model.input_shape())?;
    let said = model.labels(&all)?;
    let right: Vec<usize> = (0..labels.len()).filter(|row| said[*row] == labels[*row]).collect();
    let (chosen, pool) = right.split_at(count.min(right.len()));
    let of = |rows: &[usize]| (all.select(rows), rows.iter().map(|row| labels[*row]).collect::<Vec<_>>());
    let material = |chosen: &[usize]| {
        let ((rows, own), (pool, others)) = (of(chosen), of(pool));
        let material = Material::new(rows, own, model.classes()).trees(model.model().trees().cloned());
        if others.is_empty() { material } else { material.pool(pool, others) }
    };
    let start = Instant::now();
    let parts: Vec<&[usize]> =
        if rest.iter().any(|word| word == "--each") { chosen.chunks(1).collect() } else { vec![chosen] };
    let (mut each, mut answers, mut distances, mut hits, mut bounds) = (Vec::new(), 0.0, Vec::new(), 0, 0);
    for part in parts {
        let (outcome, seconds, own) = play(&model, attack, &config, material(part), start)?;
        each.push(seconds);
        answers += own;
        hits += outcome.rows.iter().filter(|row| row.state == State::Hit).count();
        distances.extend(outcome.rows.iter().filter_map(|row| row.distances).map(|far| [far.l2, far.linf]));
        if let mantlet_attacks::Detail::Evasion { bounds: own, .. } = &outcome.detail {
            bounds += own.len();
        }
    }
    #[expect(clippy::print_stdout, reason = "a program for people and scripts")]
    {
        println!(
            "{}",
            serde_json::json!({
                "rows": chosen.len(), "hits": hits, "proved": bounds, "seconds": each.iter().sum::<f64>(),
                "model": answers, "each": each, "distances": distances,
            })
        );
    }
    Ok(())
}
