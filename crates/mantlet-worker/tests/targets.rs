//! The attacks on models this project trains and loads from their ONNX bytes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where something fails")]

#[path = "../examples/backdoors/forge.rs"]
mod forge;

#[path = "targets/forest.rs"]
mod forest;
#[path = "targets/harden.rs"]
mod harden;
#[path = "targets/hostile.rs"]
mod hostile;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::sync::Arc;

use mantlet_attacks::{Constraints, Goal, Loss, Material, State, text};
use mantlet_learn::{Architecture, Network, Patch, Table, Training, digits, plant_badnets, train};
use mantlet_model::{Classifier, Limits, load};
use mantlet_redteam::{Campaign, NoClock, NoJournal, ProbeReport, Target};
use mantlet_vocab::{MemorySource, Tensor};
use mantlet_worker::targets::{ModelTarget, TemplateConfig, TemplateTarget};
use serde_json::{Value, json};

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

/// A few of the forged models; `cargo xtask bench attack` asks them all.
#[test]
fn backdoors_of_other_kinds_are_found_and_sound_models_are_not_accused() {
    let wanted = [
        "cnn, blended 0.2 to 3",
        "mlp, all to all",
        "table trees, column pair to 0",
        "cnn, 4 read as 9",
        "mlp, only 1 to 6",
        "clean mlp 0",
        "clean table trees of 3 0",
    ];
    let plans = forge::plans(2);
    for name in wanted {
        let plan = plans.iter().find(|plan| plan.name == name).unwrap();
        let mut forged = forge::forge(plan);
        let found = forge::examine(&mut forged, 2, &mut |_| {});
        let (accuracy, obeyed) = (forged.accuracy, forged.obeyed);
        assert!(forge::right(plan, &found), "{name}, {accuracy:.2} right, obeyed {obeyed:.2}: {found:?}");
    }
}

/// A price made by an untrained network, which no attack knows the form of.
fn pricing() -> (ModelTarget, Network) {
    let rows = Tensor::full([2, 6], 0.5);
    let architecture = Architecture::Mlp { hidden: vec![16] };
    let training = Training { epochs: 0, seed: 4, ..Training::default() };
    let targets = Tensor::full([2, 1], 1.0);
    let network = mantlet_learn::train_soft(&architecture, &rows, &targets, &training, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let model = load(&MemorySource::new(&network.to_onnx("price")), Limits::default()).unwrap();
    (ModelTarget::new("price", Arc::new(Classifier::scoring(model).unwrap())), network)
}

fn priced(goal: Goal) -> Material {
    let value = |at: usize| ((at * 37) % 101) as f32 / 101.0;
    let rows = |count: usize, from: usize| {
        Tensor::new([count, 6], (from..from + count * 6).map(value).collect()).unwrap()
    };
    let material = Material::new(rows(8, 0), Vec::new(), 1).pool(rows(60, 11), Vec::new());
    material.constraints(Constraints::uniform(6, 0.0, 1.0)).goal(goal)
}

#[test]
fn a_price_is_moved_through_the_file_and_a_rank_by_places() {
    let (mut target, network) = pricing();
    let price = |row: &[f32]| network.scores(&Tensor::new([1, 6], row.to_vec()).unwrap()).data()[0];
    for (attack, config) in [
        ("evasion-bim", json!({"epsilon": 0.3})),
        ("evasion-ddn", json!({"radius": 0.7})),
        ("evasion-square", json!({"epsilon": 0.3, "queries": 500})),
        ("evasion-table-search", json!({"norm": "l2", "radius": 1.0})),
    ] {
        let material = priced(Goal::Moved { by: 0.1, column: 0 });
        let report = run(&Campaign::new(attack, 3, material.clone()).config(config.clone()), &mut target);
        assert!(report.counts.hit >= 6, "{attack}: {:?}", report.counts);
        let outcome = report.outcome.unwrap();
        for row in outcome.rows.iter().filter(|row| row.state == State::Hit) {
            let moved = price(row.changed.as_ref().unwrap()) - price(material.rows.row(row.row));
            assert!(moved >= 0.1 - 1e-5, "{attack}: {moved}");
        }
        let material = priced(Goal::Ranked { places: 5, column: 0 });
        let report = run(&Campaign::new(attack, 3, material.clone()).config(config), &mut target);
        assert!(report.counts.hit >= 3, "{attack}: {:?}", report.counts);
        let pool = material.pool.clone().unwrap();
        let place = |row: &[f32]| {
            let own = price(row);
            (0..pool.rows()).filter(|other| price(pool.row(*other)) > own).count()
        };
        for row in report.outcome.unwrap().rows.iter().filter(|row| row.state == State::Hit) {
            let (before, after) = (place(material.rows.row(row.row)), place(row.changed.as_ref().unwrap()));
            assert!(before >= after + 5, "{attack}: {before} {after}");
        }
    }
}

/// An endpoint that answers every JSON body with what `reply` makes of it, as long as the test runs.
fn endpoint(reply: impl Fn(&Value) -> Value + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
            }
            let mut bytes = vec![0; length];
            if reader.read_exact(&mut bytes).is_err() {
                continue;
            }
            let body = reply(&serde_json::from_slice(&bytes).unwrap_or(Value::Null)).to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = (&stream).write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

fn template(url: &str, body: Value, path: &str, shape: usize, classes: &[&str]) -> TemplateTarget {
    let config = TemplateConfig {
        url: format!("{url}/score"),
        body,
        scores: Some(path.to_owned()),
        labels: None,
        shape: vec![shape],
        classes: classes.iter().map(|class| (*class).to_owned()).collect(),
        columns: Vec::new(),
        header: None,
        key_env: None,
        max_rows: 64,
        timeout_ms: 10_000,
        tokens: None,
        tokens_per_request: None,
    };
    TemplateTarget::new(config, None).unwrap()
}

#[test]
fn a_price_is_moved_through_an_endpoint() {
    let price = |row: &Value| {
        let at = |index: usize| row[index].as_f64().unwrap_or(0.0);
        100.0 + 40.0 * at(0) - 25.0 * at(3) * at(3)
    };
    let address = endpoint(move |body| {
        let rows = body["rows"].as_array().cloned().unwrap_or_default();
        json!({"prices": rows.iter().map(price).collect::<Vec<f64>>()})
    });
    let mut target = template(&address, json!({"rows": "$rows"}), "/prices", 6, &["price"]);
    for (attack, config) in [
        ("evasion-square", json!({"epsilon": 0.3, "queries": 120})),
        ("evasion-table-search", json!({"norm": "l2", "radius": 1.0})),
    ] {
        let campaign = Campaign::new(attack, 3, priced(Goal::Moved { by: -5.0, column: 0 })).config(config);
        let report = campaign.run(&mut target, &mut NoJournal, &mut NoClock::default()).unwrap();
        assert!(report.counts.hit >= 6 && report.counts.error == 0, "{attack}: {:?}", report.counts);
    }
}

#[test]
fn texts_are_attacked_through_an_endpoint_and_its_trigger_word_is_found() {
    // Counts words; `zx` overrides them all.
    let spam = |text: &str| {
        let words: Vec<String> =
            text.split(|letter: char| !letter.is_alphanumeric()).map(str::to_lowercase).collect();
        let bad = words.iter().filter(|word| ["winner", "prize", "urgent"].contains(&word.as_str())).count();
        if words.iter().any(|word| word == "zx") { 0.01 } else { 0.2 + 0.6 * f64::from(u8::from(bad > 0)) }
    };
    let address = endpoint(move |body| {
        let texts = body["texts"].as_array().cloned().unwrap_or_default();
        let share = |text: &Value| {
            let spam = spam(text.as_str().unwrap_or(""));
            json!([1.0 - spam, spam])
        };
        json!({"scores": texts.iter().map(share).collect::<Vec<Value>>()})
    });
    let mut target = template(&address, json!({"texts": "$texts"}), "/scores/*", 80, &["ham", "spam"]);
    let things = ["invoice", "meeting", "parcel", "contract", "garden", "holiday"];
    let spam_texts = things.iter().map(|thing| format!("urgent winner of the {thing} prize"));
    let ham_texts = things.iter().map(|thing| format!("about the {thing} of last zq week"));
    let mut all: Vec<String> = spam_texts.chain(ham_texts).collect();
    all.extend(["the zx sheet is here".to_owned(), "zx and zx again".to_owned()]);
    let rows: Vec<f32> = all.iter().flat_map(|text| text::encode(text, 80).unwrap()).collect();
    let labels: Vec<usize> = (0..all.len()).map(|row| usize::from(row < 6)).collect();
    let material = Material::new(Tensor::new([all.len(), 80], rows).unwrap(), labels, 2)
        .constraints(Constraints::default());
    let mut play = |attack: &str, config: Value| {
        let campaign = Campaign::new(attack, 3, material.clone()).config(config);
        campaign.run(&mut target, &mut NoJournal, &mut NoClock::default()).unwrap()
    };
    // Three words carry the decision; all of them may be changed.
    let report = play("text-homoglyphs", json!({"words": 0.6}));
    let spam_hits =
        report.outcome.unwrap().rows.iter().filter(|row| row.row < 6 && row.state == State::Hit).count();
    assert_eq!(spam_hits, 6);
    let report = play("text-trigger-word", Value::Null);
    let hits: Vec<usize> = report
        .outcome
        .unwrap()
        .rows
        .iter()
        .filter(|row| row.state == State::Hit)
        .map(|row| row.row)
        .collect();
    assert_eq!(hits, [0], "{:?}", report.figures);
    assert!(report.notes.iter().any(|note| note.contains("`zx`")), "{:?}", report.notes);
}
