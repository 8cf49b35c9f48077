//! The digits, a classifier trained on them, their profile, hostile and honest streams.

use std::sync::Arc;

use mantlet_attacks::{Answer, Ask, Material, Step};
use mantlet_detectors::{Learning, Profile, Trace, TraceRow};
use mantlet_guard::{Controls, Guard, GuardConfig};
use mantlet_learn::{Table, digits};
use mantlet_vocab::{Impact, Mode, NamedValue, Request, Tensor, Value};

/// Distance within which a changed digit still reads as what it was: 1.5 in units of pixels from 0 to 1.
pub const RADIUS: f32 = 1.5;

pub struct World {
    pub train: Table,
    pub rest: Table,
    pub model: Learner,
    pub profile: Arc<Profile>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let (train, rest) = digits().split(0.7, seed);
        let model = Learner::train(&train.x, &train.y, seed);
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
        Self { train, rest, model, profile }
    }

    pub fn guard(&self, mode: Mode) -> Guard {
        let config = GuardConfig { mode, impact: Impact::High, limit: None, ..GuardConfig::default() };
        Guard::new(config, Some(Arc::clone(&self.profile)), Vec::new(), Arc::new(Controls::new())).unwrap()
    }

    /// Runs an attack without a guard and writes down its stream. A row is a success when it is wrongly classified,
    /// within [`RADIUS`] of a rightly classified row the attack set out from, and neither that row nor a start row.
    pub fn attack(&self, name: &str, config: serde_json::Value, seed: u64, material: Material, most: usize) -> Trace {
        let originals: Vec<(Vec<f32>, usize)> = {
            let labels = self.model.labels(&material.rows);
            (0..material.rows.rows())
                .filter(|&row| labels[row] == material.labels[row])
                .map(|row| (material.rows.row(row).to_vec(), material.labels[row]))
                .collect()
        };
        let mut starts: Vec<Vec<f32>> = (0..material.rows.rows()).map(|row| material.rows.row(row).to_vec()).collect();
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
                    && originals.iter().any(|(original, truth)| label != *truth && distance(original, row) <= RADIUS);
                trace.rows.push(TraceRow { inputs: inputs(one(row)), label: Some(label), success });
            }
            if trace.rows.len() >= most {
                break;
            }
            answer = Some(Answer::Labels(labels));
        }
        trace
    }

    /// Decision-based evasion of `count` digits it has not seen, from start rows of the pool or from noise.
    pub fn evasion(&self, seed: u64, count: usize, pool: bool, most: usize) -> Trace {
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
    pub fn extraction(&self, seed: u64, seeds: usize, strategy: &str, queries: usize) -> Trace {
        let mut draws = Draws(seed * 1000 + 29);
        let rows: Vec<usize> = (0..seeds).map(|_| draws.below(self.rest.y.len())).collect();
        let picked = self.rest.select(&rows);
        let material = Material::new(picked.x, picked.y, 10);
        let config = serde_json::json!({ "strategy": strategy, "queries": queries });
        self.attack("extraction-query-copy", config, seed, material, queries)
    }

    /// The stream of an honest client: fresh digits, some sent again as they are, some scanned again.
    pub fn honest(&self, seed: u64, kind: Honest, queries: usize) -> Vec<Request> {
        let mut draws = Draws(seed * 7919 + 3);
        let rows: Vec<usize> = match kind {
            Honest::OneDigit(digit) => (0..self.rest.y.len()).filter(|&row| self.rest.y[row] == digit).collect(),
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
pub enum Honest {
    Mixed,
    OneDigit(usize),
    Noisy,
}

fn noisy(row: &[f32], by: f32, draws: &mut Draws) -> Vec<f32> {
    row.iter().map(|value| (value + by * draws.normal()).clamp(0.0, 1.0)).collect()
}

pub fn inputs(x: Tensor) -> Vec<NamedValue> {
    vec![NamedValue { name: "pixels".into(), value: Value::F32(x) }]
}

pub fn one(row: &[f32]) -> Tensor {
    Tensor::new([1, 1, 8, 8], row.to_vec()).unwrap()
}

pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}

/// A seeded stream of numbers.
pub struct Draws(pub u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0
    }
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}

/// A small perceptron, enough to have a decision boundary worth attacking.
pub struct Learner {
    w1: Vec<f32>,
    w2: Vec<f32>,
}

const HIDDEN: usize = 48;

impl Learner {
    pub fn train(x: &Tensor, y: &[usize], seed: u64) -> Self {
        let mut draws = Draws(seed + 5);
        let mut net = Self {
            w1: (0..HIDDEN * 65).map(|_| 0.15 * draws.normal()).collect(),
            w2: (0..10 * (HIDDEN + 1)).map(|_| 0.15 * draws.normal()).collect(),
        };
        let steps = 40 * y.len();
        for step in 0..steps {
            let row = draws.below(y.len());
            let rate = 0.08 * (1.0 - step as f32 / steps as f32);
            let (hidden, mut scores) = net.forward(x.row(row));
            let top = scores.iter().copied().fold(f32::MIN, f32::max);
            let sum: f32 = scores.iter().map(|s| (s - top).exp()).sum();
            scores.iter_mut().for_each(|s| *s = (*s - top).exp() / sum);
            scores[y[row]] -= 1.0;
            let mut back = [0.0; HIDDEN];
            for (class, grad) in scores.iter().enumerate() {
                let weights = &mut net.w2[class * (HIDDEN + 1)..(class + 1) * (HIDDEN + 1)];
                for unit in 0..HIDDEN {
                    back[unit] += grad * weights[unit];
                    weights[unit] -= rate * grad * hidden[unit];
                }
                weights[HIDDEN] -= rate * grad;
            }
            for unit in (0..HIDDEN).filter(|&unit| hidden[unit] > 0.0) {
                let weights = &mut net.w1[unit * 65..(unit + 1) * 65];
                for (weight, value) in weights.iter_mut().zip(x.row(row)) {
                    *weight -= rate * back[unit] * value;
                }
                weights[64] -= rate * back[unit];
            }
        }
        net
    }

    fn forward(&self, row: &[f32]) -> ([f32; HIDDEN], [f32; 10]) {
        let mut hidden = [0.0; HIDDEN];
        for (unit, weights) in hidden.iter_mut().zip(self.w1.chunks_exact(65)) {
            *unit = (weights[64] + row.iter().zip(weights).map(|(a, b)| a * b).sum::<f32>()).max(0.0);
        }
        let mut scores = [0.0; 10];
        for (score, weights) in scores.iter_mut().zip(self.w2.chunks_exact(HIDDEN + 1)) {
            *score = weights[HIDDEN] + hidden.iter().zip(weights).map(|(a, b)| a * b).sum::<f32>();
        }
        (hidden, scores)
    }

    pub fn labels(&self, x: &Tensor) -> Vec<usize> {
        let scores = (0..x.rows()).flat_map(|row| self.forward(x.row(row)).1).collect();
        Tensor::new([x.rows(), 10], scores).unwrap().argmax_rows()
    }
}
