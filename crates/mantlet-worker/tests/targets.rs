//! The attacks on models this project trains and loads from their ONNX bytes.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::ops::ControlFlow;
use std::sync::Arc;

use mantlet_attacks::{Loss, Material};
use mantlet_learn::{Architecture, Network, Patch, Table, Training, digits, plant_badnets, train};
use mantlet_model::{Classifier, Limits, load};
use mantlet_redteam::{Campaign, NoClock, NoJournal, ProbeReport, Target};
use mantlet_vocab::MemorySource;
use mantlet_worker::targets::ModelTarget;
use serde_json::json;

fn fit(rows: &Table, seed: u64) -> Network {
    let architecture = Architecture::Cnn { channels: vec![8, 16], dense: vec![32] };
    let training = Training { epochs: 25, rate: 3e-3, seed, ..Training::default() };
    train(&architecture, &rows.x, &rows.y, 10, &training, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn target(network: &Network) -> ModelTarget {
    let model = load(&MemorySource::new(&network.to_onnx("digits")), Limits::default()).unwrap();
    ModelTarget::new("digits", Arc::new(Classifier::new(model).unwrap()))
}

fn run(campaign: &Campaign, target: &mut ModelTarget) -> ProbeReport {
    campaign.run(target, &mut NoJournal, &mut NoClock::default()).unwrap()
}

#[test]
fn a_planted_backdoor_is_found_in_its_class_and_a_sound_model_is_not_accused() {
    let (learned, unseen) = digits().split(0.5, 7);
    let mut poisoned = learned.clone();
    plant_badnets(&mut poisoned.x, &mut poisoned.y, 0.03, &Patch::corner(8, 8, 2, 1.0), 4, 1);
    let (sound, tampered) = (fit(&learned, 1), fit(&poisoned, 2));
    let rows = unseen.x.select(&(0..300).collect::<Vec<_>>());
    let search = Campaign::new("backdoor-trigger", 5, Material::new(rows, unseen.y[..300].to_vec(), 10));
    let report = run(&search, &mut target(&sound));
    assert_eq!((report.backdoored(), report.counts.undecided), (vec![], 0), "{:?}", report.figures);
    let report = run(&search, &mut target(&tampered));
    assert_eq!(report.backdoored(), [4], "{:?}", report.figures);
    let mask = &report.triggers[4].mask;
    let corner: f32 = [54, 55, 62, 63].iter().map(|&place| mask[place]).sum();
    assert!(corner > 0.5 * mask.iter().sum::<f32>(), "the picture is not of the planted corner: {mask:?}");
}

#[test]
fn a_model_in_process_gives_gradients_and_is_evaded_the_same_every_time() {
    let (learned, unseen) = digits().split(0.5, 7);
    let network = fit(&learned, 3);
    let mut target = target(&network);
    let rows = unseen.x.select(&(0..20).collect::<Vec<_>>());
    assert_eq!(target.labels(&rows).unwrap(), network.labels(&rows));
    let loss = Loss::CrossEntropy { labels: unseen.y[..20].to_vec() };
    let answer = target.gradient(&rows, &loss).unwrap();
    let mut moved = rows.clone();
    moved.data_mut()[10] += 1e-2;
    let after = target.gradient(&moved, &loss).unwrap();
    let (slope, difference) = (answer.gradient.data()[10], (after.loss[0] - answer.loss[0]) / 1e-2);
    assert!((slope - difference).abs() <= 0.1 * slope.abs().max(0.05), "{slope} {difference}");
    let material = Material::new(rows, unseen.y[..20].to_vec(), 10);
    let campaign = Campaign::new("evasion-pgd", 1, material).config(json!({"epsilon": 0.2}));
    let report = run(&campaign, &mut target);
    assert!(report.success.value > 0.7, "{:?}", report.success);
    assert_eq!(report, run(&campaign, &mut target));
}
