//! The digits, a classifier trained on them, their profile, hostile and honest streams.

use std::ops::ControlFlow;
use std::sync::Arc;

use mantlet_attacks::{Answer, Ask, Material, Step};
use mantlet_detectors::{Learning, Profile, Trace, TraceRow};
use mantlet_guard::{Controls, Guard, GuardConfig};
use mantlet_learn::{Architecture, Network, Table, Training, digits, train};
use mantlet_vocab::{Impact, Mode, NamedValue, Request, Tensor, Value};

/// Distance within which a changed digit still reads as what it was: 1.5 in units of pixels from 0 to 1.
pub(crate) const RADIUS: f32 = 1.5;

pub(crate) struct World {
    pub(crate) rest: Table,
    pub(crate) model: Network,
    pub(crate) profile: Arc<Profile>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let (train, rest) = digits().split(0.7, seed);
        let shape = Architecture::Cnn { channels: vec![8, 16], dense: vec![32] };
        let training = Training { epochs: 30, seed, ..Training::default() };
        let model =
            self::train(&shape, &train.x, &train.y, 10, &training, &mut |_| ControlFlow::Continue(()))
                .unwrap();
        let inputs = inputs(train.x.clone());
        let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
        let learning = Learning {
            inputs: &inputs,
            labels: Some(&train.y),
            classes: &classes,
            scores: None,
            outlier_rate: 0.001,
            seed,
        };
        let profile = Arc::new(Profile::learn(&learning).unwrap());
        Self { rest, model, profile }
    }

    pub(crate) fn guard(&self, mode: Mode) -> Guard {
        self.guard_with(|config| config.mode = mode)
    }

    pub(crate) fn guard_with(&self, edit: impl FnOnce(&mut GuardConfig)) -> Guard {
        let mut config = GuardConfig { impact: Impact::High, limit: None, ..GuardConfig::default() };
        edit(&mut config);
        Guard::new(config, Some(Arc::clone(&self.profile)), Vec::new(), Arc::new(Controls::new())).unwrap()
    }

    /// A guard without detectors, whose pinned rules enforce.
    pub(crate) fn watching(&self) -> Guard {
        let config = GuardConfig { impact: Impact::High, limit: None, ..GuardConfig::default() };
        let controls = Arc::new(Controls::new());
        Guard::with_detectors(config, Some(Arc::clone(&self.profile)), vec![], controls, vec![]).unwrap()
    }

    /// After how many answers a copy trained on them agrees with the model on this share of unseen rows.
    pub(crate) fn copied(&self, trace: &Trace, share: f64) -> Option<usize> {
        let truth = self.model.labels(&self.rest.x);
        let rows: Vec<f32> =
            trace.rows.iter().flat_map(|row| row.inputs[0].value.to_f32().unwrap().into_data()).collect();
        let labels: Vec<usize> = trace.rows.iter().map(|row| row.label.unwrap()).collect();
        (50..=trace.rows.len()).step_by(50).find(|&count| {
            let x = Tensor::new([count, 1, 8, 8], rows[..count * 64].to_vec()).unwrap();
            let shape = Architecture::Mlp { hidden: vec![64] };
            let training = Training { epochs: 40, batch: 16, rate: 5e-3, seed: 1, ..Training::default() };
            let copy = train(&shape, &x, &labels[..count], 10, &training, &mut |_| ControlFlow::Continue(()));
            copy.is_ok_and(|copy| copy.accuracy(&self.rest.x, &truth) >= share)
        })
    }

    /// Runs an attack without a guard and writes down its stream. A row is a success when it is wrongly classified,
    /// within [`RADIUS`] of a rightly classified row the attack set out from, and neither that row nor a start row.
    pub(crate) fn attack(
        &self,
        name: &str,
        config: serde_json::Value,
        seed: u64,
        material: Material,
        most: usize,
    ) -> Trace {
        let originals: Vec<(Vec<f32>, usize)> = {
            let labels = self.model.labels(&material.rows);
            (0..material.rows.rows())
                .filter(|&row| labels[row] == material.labels[row])
                .map(|row| (material.rows.row(row).to_vec(), material.labels[row]))
                .collect()
        };
        let mut starts: Vec<Vec<f32>> =
            (0..material.rows.rows()).map(|row| material.rows.row(row).to_vec()).collect();
        if let Some(pool) = &material.pool {
            starts.extend((0..pool.rows()).map(|row| pool.row(row).to_vec()));
        }
        let mut attack = mantlet_attacks::create(name, &config, seed, material).unwrap();
        let mut trace = Trace { case: format!("{name}-{seed}"), attack: name.into(), rows: Vec::new() };
        let mut answer = None;
        while let Step::Ask(ask) = attack.step(answer.take()) {
            let Ask::Labels(rows) = ask else { panic!("labels only") };
            let labels = self.model.labels(&rows);
            for (index, &label) in labels.iter().enumerate() {
                let row = rows.row(index);
                let success = !starts.iter().any(|start| start == row)
                    && originals
                        .iter()
                        .any(|(original, truth)| label != *truth && distance(original, row) <= RADIUS);
                let (inputs, label) = (inputs(one(row)), Some(label));
                trace.rows.push(TraceRow { inputs, label, margin: None, success });
            }
            if trace.rows.len() >= most {
                break;
            }
            answer = Some(Answer::Labels(labels));
        }
        trace
    }

    /// Decision-based evasion of `count` digits it has not seen, from start rows of the pool or from noise.
    pub(crate) fn evasion(&self, seed: u64, count: usize, pool: bool, most: usize) -> Trace {
        let mut draws = Draws(seed * 1000 + 17);
        let rows: Vec<usize> = (0..count).map(|_| draws.below(self.rest.y.len())).collect();
        let picked = self.rest.select(&rows);
        let mut material = Material::new(picked.x, picked.y, 10);
        if pool {
            let rows: Vec<usize> = (0..60).map(|_| draws.below(self.rest.y.len())).collect();
            let starts = self.rest.select(&rows);
            material = material.pool(starts.x, starts.y);
        }
        self.attack("evasion-hop-skip-jump", serde_json::json!({ "queries": 400 }), seed, material, most)
    }

    /// A thief with `seeds` digits of each kind he could get.
    pub(crate) fn extraction(&self, seed: u64, seeds: usize, strategy: &str, queries: usize) -> Trace {
        let mut draws = Draws(seed * 1000 + 29);
        let rows: Vec<usize> = (0..seeds).map(|_| draws.below(self.rest.y.len())).collect();
        let picked = self.rest.select(&rows);
        let mut material = Material::new(picked.x, picked.y, 10);
        if strategy == "natural" {
            material = material.pool(self.rest.x.clone(), self.rest.y.clone());
        }
        let config = serde_json::json!({ "strategy": strategy, "queries": queries });
        self.attack("extraction-query-copy", config, seed, material, queries)
    }

    /// The stream of an honest client: fresh digits, some sent again as they are, some scanned again.
    pub(crate) fn honest(&self, seed: u64, kind: Honest, queries: usize) -> Vec<Request> {
        let mut draws = Draws(seed * 7919 + 3);
        let rows: Vec<usize> = match kind {
            Honest::OneDigit(digit) => {
                (0..self.rest.y.len()).filter(|&row| self.rest.y[row] == digit).collect()
            }
            _ => (0..self.rest.y.len()).collect(),
        };
        let mut last: Vec<f32> = Vec::new();
        (0..queries)
            .map(|step| {
                let fresh = self.rest.x.row(rows[draws.below(rows.len())]).to_vec();
                let row = match draws.below(10) {
                    0 if step > 0 => last.clone(),
                    1 if step > 0 => noisy(&last, 0.03, &mut draws),
                    _ if kind == Honest::Noisy => noisy(&fresh, 0.03, &mut draws),
                    _ => fresh,
                };
                last.clone_from(&row);
                Request { model: "digits".into(), inputs: inputs(one(&row)), ..Request::default() }
            })
            .collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Honest {
    Mixed,
    OneDigit(usize),
    Noisy,
}

fn noisy(row: &[f32], by: f32, draws: &mut Draws) -> Vec<f32> {
    row.iter().map(|value| (value + by * draws.normal()).clamp(0.0, 1.0)).collect()
}

pub(crate) fn inputs(x: Tensor) -> Vec<NamedValue> {
    vec![NamedValue { name: "pixels".into(), value: Value::F32(x) }]
}

pub(crate) fn one(row: &[f32]) -> Tensor {
    Tensor::new([1, 1, 8, 8], row.to_vec()).unwrap()
}

pub(crate) fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}

/// A seeded stream of numbers.
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0
    }
    pub(crate) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}
