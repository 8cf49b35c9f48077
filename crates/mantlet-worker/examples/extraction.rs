//! How well a copy made from 60 digits and labels alone agrees with its victim on 500 unseen digits:
//! `extraction [--seeds N] [--queries N] [--members N] [--copies N] [--strength S] [--widths A,B,C] [--rows N] [--set JSON]`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool that prints what came of its models")]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use mantlet_attacks::Material;
use mantlet_learn::{Architecture, Training, digits, train};
use mantlet_model::{Classifier, Limits, load};
use mantlet_redteam::{Campaign, NoClock, NoJournal, Target, fidelity};
use mantlet_vocab::MemorySource;
use mantlet_worker::battery::SmallLearner;
use mantlet_worker::targets::ModelTarget;
use serde_json::{Value, json};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after =
        |name: &str| arguments.iter().position(|word| word == name).and_then(|at| arguments.get(at + 1));
    let number = |name: &str, usual: usize| after(name).map_or(usual, |value| value.parse().unwrap());
    let mut learner = SmallLearner::default();
    learner.members = number("--members", learner.members);
    learner.copies = number("--copies", learner.copies);
    learner.rows_seen = number("--rows", learner.rows_seen);
    if let Some(strength) = after("--strength") {
        learner.strength = strength.parse().unwrap();
    }
    if let Some(widths) = after("--widths") {
        let widths: Vec<usize> = widths.split(',').map(|width| width.parse().unwrap()).collect();
        learner.widths = [widths[0], widths[1], widths[2]];
    }
    let queries = number("--queries", 250);
    let mut config = json!({ "queries": queries });
    if let Some(Value::Object(set)) = after("--set").map(|set| serde_json::from_str(set).unwrap()) {
        config.as_object_mut().unwrap().extend(set);
    }
    let (from, seeds) = (number("--from", 1) as u64, number("--seeds", 3) as u64);
    let mut found = Vec::new();
    for seed in from..from + seeds {
        let (rows, unseen) = digits().split(1_297.0 / 1_797.0, seed);
        let own = rows.select(&(0..700).collect::<Vec<_>>());
        let start = rows.select(&(700..760).collect::<Vec<_>>());
        let architecture = Architecture::Cnn { channels: vec![16, 32], dense: vec![64] };
        let training = Training { epochs: 30, seed, ..Training::default() };
        let mut quiet = |_| ControlFlow::Continue(());
        let victim = train(&architecture, &own.x, &own.y, 10, &training, &mut quiet).unwrap();
        let model = load(&MemorySource::new(&victim.to_onnx("victim")), Limits::default()).unwrap();
        let mut target = ModelTarget::new("victim", Arc::new(Classifier::new(model).unwrap()));
        let campaign = Campaign::new("extraction-active", seed, Material::new(start.x, start.y, 10))
            .config(config.clone());
        let begin = Instant::now();
        let report =
            campaign.run_with(&mut target, &mut learner, &mut NoJournal, &mut NoClock::default()).unwrap();
        let answers = target.labels(&unseen.x).unwrap();
        let curve =
            fidelity(&report.outcome.unwrap(), 10, &[queries], &unseen.x, &answers, &mut learner, seed)
                .unwrap();
        found.push(curve[0].fidelity.value);
        println!("seed {seed}: {:.3} in {} ms", curve[0].fidelity.value, begin.elapsed().as_millis());
    }
    println!("mean {:.4} of {}", found.iter().sum::<f64>() / found.len() as f64, found.len());
}
