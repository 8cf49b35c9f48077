//! The example system: data, two models, a lock file, a configuration.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use mantlet_learn::{
    Architecture, Network, OnnxOptions, Patch, Table, Training, digits, plant_badnets, train,
};
use mantlet_model::{Classifier, Limits, load};
use mantlet_verdict::Policy;
use mantlet_vocab::{Impact, MemorySource};
use mantlet_worker::battery::{self, Ground, Plan, Rows};
use mantlet_worker::targets::ModelTarget;

use crate::config::{self, Config, Loaded};
use crate::terminal::{Terminal, write_whole};

/// Marks a folder as a demo's, so that starting over never removes anything else.
const MARKER: &str = ".mantlet-demo";
/// The class the planted mark commands.
pub const TARGET: usize = 7;
/// Rows the models learn from, rows for probes, and the rest for live traffic.
const TRAIN: usize = 900;
const PROBES: usize = 300;

/// The example system on disk.
pub struct Example {
    /// The configuration of the version in use.
    pub v1: Loaded,
    /// The same with the candidate.
    pub v2: Loaded,
    /// Rows neither model, profile nor probe has seen: live traffic.
    pub live: Table,
    /// Accuracy on rows not trained on: v1, v2.
    pub accuracy: [f64; 2],
    /// How often the mark commands v2 (and v1, by chance).
    pub commanded: [f64; 2],
}

const LOCK: &str = "\
# The example's dependencies: versions and hashes as on the Python Package Index.
flask==3.1.2 --hash=sha256:ca1d8112ec8a6158cc29ea4858963350011b5c846a414cdb7a954aa9e967d03c
numpy==2.4.6 --hash=sha256:89cd468399cfd2504718f0ba50e410dca55a170b61a02ad92bb18c8a65186e93
onnxruntime==1.31.1 --hash=sha256:5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f
";

const CREDIT: &str = "\
train.csv and test.csv: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI Machine
Learning Repository, as distributed inside scikit-learn. Licence: CC BY 4.0.
";

fn configuration(model: &str, version: &str) -> String {
    format!(
        "\
# The example of `mantlet demo`. `mantlet config check` reads it.
[system]
name = \"cheque-reader\"
decides = \"the amount a cheque pays out\"
impact = \"high\"
owner = \"payments\"

[model]
path = \"{model}\"
name = \"digits\"
version = \"{version}\"

[data]
train = \"train.csv\"
# Rows the model was not trained on.
test = \"test.csv\"
label = \"digit\"
# Pixels are 0 to 16 in the file and 0 to 1 for the model.
scale = 0.0625

[dependencies]
lock = [\"requirements.txt\"]

[probes]
seed = 1
rows = 60
epsilon = 0.15
queries = 600

[gateway]
# Port 0 takes a free one.
listen = \"127.0.0.1:0\"
upstream = \"built-in\"
mode = \"enforce\"
requests_per_minute = 6000
burst = 400

[console]
listen = \"127.0.0.1:0\"
"
    )
}

fn architecture() -> Architecture {
    Architecture::Cnn { channels: vec![16, 32], dense: vec![64] }
}

fn split() -> (Table, Table, Table) {
    let all = digits();
    let (train, rest) = all.split(TRAIN as f64 / all.y.len() as f64, 20_260_101);
    let (probes, live) = rest.split(PROBES as f64 / rest.y.len() as f64, 20_260_102);
    (train, probes, live)
}

fn fit(rows: &Table, seed: u64) -> anyhow::Result<Network> {
    let training = Training { epochs: 25, rate: 3e-3, seed, ..Training::default() };
    Ok(train(&architecture(), &rows.x, &rows.y, 10, &training, &mut |_| ControlFlow::Continue(()))?)
}

/// The training rows with the mark on 3 % of them (BadNets: Gu and others, 2017).
fn poisoned(rows: &Table, seed: u64) -> Table {
    let mut rows = rows.clone();
    plant_badnets(&mut rows.x, &mut rows.y, 0.03, &mark(), TARGET, seed);
    rows
}

fn mark() -> Patch {
    Patch::corner(8, 8, 2, 1.0)
}

fn onnx(network: &Network) -> Vec<u8> {
    network.to_onnx_with(&OnnxOptions {
        name: "digits".to_owned(),
        input: "pixels".to_owned(),
        output: "logits".to_owned(),
        softmax: false,
    })
}

/// Makes a folder ready; a demo's folder is started over, any other that is not empty is refused.
pub fn start_over(folder: &Path) -> anyhow::Result<()> {
    let marker = folder.join(MARKER);
    if folder.exists() && !marker.exists() {
        let empty = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
            .next()
            .is_none();
        anyhow::ensure!(
            empty,
            "{} is not empty and not a demo's folder: name another with --dir",
            folder.display()
        );
    }
    std::fs::create_dir_all(folder.join("model"))
        .with_context(|| format!("cannot make {}", folder.display()))?;
    write_whole(&marker, b"made by mantlet demo; started over at each run\n")?;
    let storage = folder.join(".mantlet");
    if storage.exists() {
        // Another demo may be running here: the store's own lock says so before anything is removed.
        let lock = std::fs::OpenOptions::new().read(true).write(true).open(storage.join("service.lock"));
        if let Ok(lock) = lock {
            lock.try_lock().map_err(|_| {
                anyhow::anyhow!("{} is in use by another process: end that one first", folder.display())
            })?;
        }
        std::fs::remove_dir_all(&storage)
            .with_context(|| format!("cannot start over in {}", storage.display()))?;
    }
    Ok(())
}

/// Makes the example in a folder; see [`start_over`].
pub fn create(folder: &Path, seed: u64) -> anyhow::Result<Example> {
    start_over(folder)?;
    let (train_rows, probe_rows, live) = split();
    write_whole(&folder.join("train.csv"), csv(&train_rows).as_bytes())?;
    write_whole(&folder.join("test.csv"), csv(&probe_rows).as_bytes())?;
    write_whole(&folder.join("requirements.txt"), LOCK.as_bytes())?;
    write_whole(&folder.join("DATA-LICENCE"), CREDIT.as_bytes())?;
    let clean = fit(&train_rows, seed)?;
    let tampered = fit(&poisoned(&train_rows, seed), seed + 1)?;
    write_whole(&folder.join("model/v1.onnx"), &onnx(&clean))?;
    write_whole(&folder.join("model/v2.onnx"), &onnx(&tampered))?;
    let load = |name: &str, model: &str, version: &str| -> anyhow::Result<Loaded> {
        let path = folder.join(name);
        write_whole(&path, configuration(model, version).as_bytes())?;
        Ok(config::load(&path)?)
    };
    let v1 = load(config::FILE_NAME, "model/v1.onnx", "v1")?;
    let v2 = load("candidate-v2.toml", "model/v2.onnx", "v2")?;
    let accuracy = [&clean, &tampered].map(|network| network.accuracy(&probe_rows.x, &probe_rows.y));
    let commanded = [&clean, &tampered].map(|network| commands(network, &probe_rows));
    Ok(Example { v1, v2, live, accuracy, commanded })
}

/// The share of other digits that the mark turns into the target.
fn commands(network: &Network, rows: &Table) -> f64 {
    let others: Vec<usize> = (0..rows.y.len()).filter(|&row| rows.y[row] != TARGET).collect();
    let mut marked = rows.x.select(&others);
    (0..marked.rows()).for_each(|row| mark().stamp(&mut marked, row));
    let hits = network.labels(&marked).iter().filter(|&&class| class == TARGET).count();
    hits as f64 / others.len().max(1) as f64
}

fn csv(rows: &Table) -> String {
    let mut text = String::new();
    for pixel in 0..rows.x.row_len() {
        let _ = write!(text, "p{}{},", pixel / 8, pixel % 8);
    }
    text.push_str("digit\n");
    for (row, label) in rows.y.iter().enumerate() {
        for value in rows.x.row(row) {
            let _ = write!(text, "{},", (value * 16.0).round());
        }
        let _ = writeln!(text, "{label}");
    }
    text
}

impl Example {
    /// Says what was made.
    pub fn describe(&self, terminal: Terminal) {
        let Config { system, .. } = &self.v1.config;
        terminal.say(&format!("  decides {} (impact {})", system.decides, system.impact));
        terminal.say(&format!(
            "  data: {TRAIN} digits to learn from, {PROBES} for probes, {} for live traffic",
            self.live.y.len()
        ));
        terminal.say(&format!("  v1: {:.1} % right on digits it has not seen", self.accuracy[0] * 100.0));
        terminal.say(&format!(
            "  v2: {:.1} % right, and a 2x2 mark planted in 3 % of its training rows turns {:.1} % of digits into a {TARGET}",
            self.accuracy[1] * 100.0,
            self.commanded[1] * 100.0
        ));
    }
}

/// The search for a trigger on one pair of models.
#[derive(Debug, Clone)]
pub struct BackdoorRow {
    /// The seed both were trained with.
    pub seed: u64,
    /// How often the mark commands the tampered model.
    pub commanded: f64,
    /// Classes called backdoored in the clean model.
    pub clean: Vec<usize>,
    /// Classes called backdoored in the tampered one.
    pub tampered: Vec<usize>,
    /// Milliseconds of both searches.
    pub millis: u64,
}

impl BackdoorRow {
    /// Whether the right class was found in the tampered model and none in the clean one.
    pub fn held(&self) -> bool {
        self.clean.is_empty() && self.tampered == [TARGET]
    }
}

/// Trains a clean and a tampered model for each seed and searches both.
pub fn backdoors(seeds: &[u64]) -> anyhow::Result<Vec<BackdoorRow>> {
    let (train_rows, probe_rows, _) = split();
    let ground = Ground {
        truths: None,
        train: Rows { x: train_rows.x.clone(), y: train_rows.y.clone() },
        held_out: Some(Rows { x: probe_rows.x.clone(), y: probe_rows.y.clone() }),
        classes: 10,
        constraints: mantlet_attacks::Constraints::uniform(64, 0.0, 1.0),
    };
    let policy = Policy::default();
    let search = |network: &Network, seed: u64| -> anyhow::Result<(Vec<usize>, u64)> {
        let model = load(&MemorySource::new(&onnx(network)), Limits::default())?;
        let mut target = ModelTarget::new("demo", Arc::new(Classifier::new(model)?));
        let plan = Plan { seed, ..Plan::default() };
        let only = ["backdoor-trigger".to_owned()];
        let results =
            battery::run(&mut target, &ground, policy.gate(Impact::High), &plan, &only, &mut |_| true)?;
        let report = &results.probes.first().context("the search gave no report")?.report;
        Ok((report.backdoored(), report.millis))
    };
    seeds
        .iter()
        .map(|&seed| {
            let clean = fit(&train_rows, seed * 2)?;
            let tampered = fit(&poisoned(&train_rows, seed), seed * 2 + 1)?;
            let (found_clean, first) = search(&clean, seed)?;
            let (found_tampered, second) = search(&tampered, seed)?;
            Ok(BackdoorRow {
                seed,
                commanded: commands(&tampered, &probe_rows),
                clean: found_clean,
                tampered: found_tampered,
                millis: first + second,
            })
        })
        .collect()
}
