//! What an attack costs beside everything else: one JSON line with the CPU seconds of forty gradient steps on every
//! row, of the same with finished rows retired, and of the ensemble, on one thread; loading is not counted. A part of
//! `cargo xtask bench attack`.
//!
//! `evasion MODEL.onnx ROWS.csv EPSILON REPEATS`: the table has a header, and the label in its last column.

use std::{env, fs, time::Instant};

use mantlet_attacks::{Answer, Ask, Attack, Loss, Material, Outcome, ScoreKind, State, Step};
use mantlet_model::{Classifier, Limits};
use mantlet_vocab::{MemorySource, Tensor};

type Any = Result<(), Box<dyn std::error::Error>>;

const STEPS: usize = 40;
const BLOCK: usize = 32;

/// CPU seconds of this thread where the system tells (Linux), else time that passed.
fn now(start: Instant) -> f64 {
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next().and_then(|first| first.parse::<f64>().ok()));
    nanos.map_or_else(|| start.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}

fn rows(path: &str, shape: &[usize]) -> Result<(Tensor, Vec<usize>), Box<dyn std::error::Error>> {
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

/// The first hundred rows that the model gets right.
fn right(model: &Classifier, rows: &Tensor, labels: &[usize]) -> (Tensor, Vec<usize>) {
    let said = model.labels(rows).expect("the model answers");
    let fits = (0..labels.len()).filter(|row| said[*row] == labels[*row]);
    let kept: Vec<usize> = fits.take(100).collect();
    (rows.select(&kept), kept.iter().map(|row| labels[*row]).collect())
}

/// Gradients of a loss: scores, losses, slopes. Rows are asked as the program asks them, a few blocks at a time.
fn slopes(model: &Classifier, rows: &Tensor, loss: &Loss) -> (Tensor, Vec<f32>, Tensor) {
    let (mut scores, mut losses, mut gradients) = (Vec::new(), Vec::new(), Vec::new());
    for start in (0..rows.rows()).step_by(BLOCK) {
        let range = start..rows.rows().min(start + BLOCK);
        let own = loss.select(range.clone());
        let found = model.gradient(&rows.select(&range.collect::<Vec<_>>()), &mut |scores| {
            let (values, slopes) = own.evaluate(scores, ScoreKind::Logits);
            losses.extend(values);
            slopes
        });
        let (own_scores, own_gradients) = found.expect("the model has gradients");
        scores.extend(own_scores.into_data());
        gradients.extend(own_gradients.into_data());
    }
    let scores = Tensor::new([rows.rows(), model.classes()], scores);
    let gradients = Tensor::new(rows.shape(), gradients);
    (scores.expect("one score a class"), losses, gradients.expect("one gradient a value"))
}

/// Rows out of their class after all steps, none retired.
fn all_steps(model: &Classifier, rows: &Tensor, labels: &[usize], epsilon: f32) -> usize {
    let (loss, step) = (Loss::CrossEntropy { labels: labels.to_vec() }, epsilon / 10.0);
    let mut at = rows.clone();
    for (index, value) in at.data_mut().iter_mut().enumerate() {
        // A start in the ball that needs no generator: the golden ratio's multiples.
        let place = (index as f32 * 0.618_034).fract() * 2.0 - 1.0;
        *value = (*value + epsilon * place).clamp(0.0, 1.0);
    }
    for _ in 0..STEPS {
        let (_, _, gradient) = slopes(model, &at, &loss);
        for ((value, slope), from) in at.data_mut().iter_mut().zip(gradient.data()).zip(rows.data()) {
            let moved = *value + if *slope == 0.0 { 0.0 } else { step * slope.signum() };
            *value = moved.clamp((from - epsilon).max(0.0), (from + epsilon).min(1.0));
        }
    }
    let after = model.labels(&at).expect("the model answers");
    after.iter().zip(labels).filter(|(after, label)| after != label).count()
}

fn run(model: &Classifier, mut attack: Box<dyn Attack>) -> Outcome {
    let mut answer = None;
    loop {
        let ask = match attack.step(answer.take()) {
            Step::Done(outcome) => return outcome,
            Step::Ask(ask) => ask,
        };
        answer = Some(match ask {
            Ask::Gradient { rows, loss } => {
                let (scores, loss, gradient) = slopes(model, &rows, &loss);
                Answer::Gradient { scores, loss, gradient }
            }
            Ask::Labels(rows) => Answer::Labels(model.labels(&rows).expect("the model answers")),
            other => Answer::Scores(model.scores(other.rows()).expect("the model answers")),
        });
    }
}

fn main() -> Any {
    let given: Vec<String> = env::args().skip(1).collect();
    let [file, table, epsilon, repeats, rest @ ..] = &given[..] else {
        return Err("give MODEL.onnx ROWS.csv EPSILON REPEATS".into());
    };
    let (epsilon, repeats): (f32, usize) = (epsilon.parse()?, repeats.parse()?);
    let model =
        Classifier::new(mantlet_model::load(&MemorySource::new(&fs::read(file)?), Limits::default())?)?;
    let (rows, labels) = rows(table, model.input_shape())?;
    let (rows, labels) = right(&model, &rows, &labels);
    let start = Instant::now();
    for _ in 0..repeats {
        let begin = now(start);
        let wrong = all_steps(&model, &rows, &labels, epsilon);
        let every = now(start) - begin;
        let mut said = vec![("all steps", every, wrong, rows.rows())];
        for (attack, config) in [
            (
                "evasion-pgd",
                serde_json::json!({"epsilon": epsilon, "step": epsilon / 10.0, "steps": STEPS, "restarts": 1}),
            ),
            ("evasion-ensemble", serde_json::json!({"epsilon": epsilon})),
        ] {
            if rest.iter().any(|word| word == "--pgd") && attack != "evasion-pgd" {
                continue;
            }
            let material = Material::new(rows.clone(), labels.clone(), model.classes());
            let begin = now(start);
            let outcome = run(&model, mantlet_attacks::create(attack, &config, 1, material)?);
            let took = now(start) - begin;
            let hits = outcome.rows.iter().filter(|row| row.state == State::Hit).count();
            said.push((attack, took, hits, outcome.rows.len()));
        }
        let line: serde_json::Map<String, serde_json::Value> = said
            .into_iter()
            .map(|(name, seconds, turned, of)| {
                (name.to_owned(), serde_json::json!({"seconds": seconds, "turned": turned, "of": of}))
            })
            .collect();
        #[expect(clippy::print_stdout, reason = "a program for people and scripts")]
        {
            println!("{}", serde_json::Value::Object(line));
        }
    }
    Ok(())
}
