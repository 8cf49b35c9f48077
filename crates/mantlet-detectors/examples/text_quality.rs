//! How well orders and jailbreaks are told from questions, on data that neither rules nor models were made from.
//!
//! `cargo run --release -p mantlet-detectors --example text_quality -- FOLDER [CRATES]`
//!
//! FOLDER holds the data sets named in `docs/benchmarks/injection.md`, each in a folder of its name. CRATES is a folder
//! of unpacked crates, whose pages are ordinary documents; a third of them, by the digest of their names, was kept apart.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a tool for the terminal")]

use std::fs;
use std::path::PathBuf;

use mantlet_detectors::text::{TextConfig, TextRules};
use mantlet_vocab::{Kind, Piece};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

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
    let mail = |n: usize| &mails[n % mails.len()];
    let end = orders.iter().enumerate().map(|(n, order)| format!("{} {order}", mail(n))).collect();
    let start = orders.iter().enumerate().map(|(n, order)| format!("{order} {}", mail(n))).collect();
    let middle = |(n, order): (usize, &String)| {
        let mail = mail(n);
        let half = mail.char_indices().nth(mail.chars().count() / 2).map_or(0, |(at, _)| at);
        let cut = mail[half..].find(". ").map_or(mail.len(), |at| half + at + 1);
        format!("{} {order}{}", &mail[..cut], &mail[cut..])
    };
    let middle = orders.iter().enumerate().map(middle).collect();
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
        source("BIPIA text attacks, end of a mail", true, Kind::Document, end),
        source("BIPIA text attacks, middle of a mail", true, Kind::Document, middle),
        source("BIPIA text attacks, start of a mail", true, Kind::Document, start),
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

/// Whether more words that hardly any English text is without occur than German ones.
fn english(text: &str) -> bool {
    let count = |words: &[&str]| {
        let lower = text.to_lowercase();
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| words.contains(word)).count()
    };
    count(&["the", "and", "you", "of", "to", "is", "what", "your", "me", "all", "now", "for", "my", "a"])
        >= count(&[
            "der", "die", "und", "du", "ich", "nicht", "ist", "mir", "alle", "das", "den", "für", "ein",
            "wie",
        ])
}

/// The beginnings of pages of crates that were kept apart.
fn pages(folder: &str) -> Vec<String> {
    let mut crates: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    crates.sort();
    let apart = |path: &PathBuf| {
        path.file_name().is_some_and(|name| Sha256::digest(name.as_encoded_bytes())[0] % 3 == 2)
    };
    let page = |path: PathBuf| {
        let text = fs::read_to_string(path.join("README.md")).ok()?;
        Some(text.chars().take(3000).collect::<String>()).filter(|text| text.len() > 200)
    };
    crates.into_iter().filter(apart).filter_map(page).collect()
}

fn main() {
    let mut args = std::env::args().skip(1);
    let data = Data(PathBuf::from(args.next().expect("the folder of the data sets")));
    let rules = TextRules::new(&TextConfig::default()).unwrap();
    println!(
        "| source | n | rules, marked | rules, refused | model, marked | marked by any |\n|---|---|---|---|---|---|"
    );
    let mut sources = held_out(&data);
    if let Some(folder) = args.next() {
        let texts = pages(&folder);
        sources.push(Source {
            name: "pages of crates, kept apart",
            attack: false,
            kind: Kind::Document,
            texts,
        });
    }
    for source in &sources {
        row(&rules, source.name, source.kind, &source.texts, if source.attack { "attack" } else { "benign" });
    }
    let pooled = |attack: bool, only: fn(&str) -> bool| -> Vec<String> {
        let of = sources.iter().filter(|s| s.attack == attack && s.kind == Kind::User);
        of.flat_map(|source| source.texts.iter().filter(|text| only(text)).cloned()).collect()
    };
    row(&rules, "deepset, English", Kind::User, &only(&sources[0].texts, true), "attack");
    row(&rules, "deepset, not English", Kind::User, &only(&sources[0].texts, false), "attack");
    row(&rules, "all direct attacks", Kind::User, &pooled(true, |_| true), "attack");
    row(&rules, "all direct attacks, English", Kind::User, &pooled(true, english), "attack");
    row(&rules, "all requests", Kind::User, &pooled(false, |_| true), "benign");
    let plain: Vec<String> = sources[0].texts.iter().chain(&sources[1].texts).cloned().collect();
    for (name, hide) in DISGUISES {
        let texts: Vec<String> = plain.iter().map(|text| hide(text)).collect();
        row(&rules, &format!("deepset and GPTFuzzer, {name}"), Kind::User, &texts, "attack");
    }
    let asked = sources.iter().find(|source| source.name.starts_with("deepset benign")).unwrap();
    for (name, hide) in DISGUISES {
        let texts: Vec<String> = asked.texts.iter().map(|text| hide(text)).collect();
        row(&rules, &format!("deepset questions, {name}"), Kind::User, &texts, "benign");
    }
    patterns(&rules, &data);
}

fn only(texts: &[String], wanted: bool) -> Vec<String> {
    texts.iter().filter(|text| english(text) == wanted).cloned().collect()
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
    let (mut marked, mut refused, mut learned, mut any) = (0, 0, 0, 0);
    for text in texts {
        let piece = Piece { kind, pointer: String::new(), text: text.clone() };
        let hits = rules.request(&[piece]);
        let score = |rules: &[&str]| {
            hits.iter().filter(|hit| rules.contains(&hit.rule)).map(|hit| hit.score).fold(0.0, f64::max)
        };
        let by_rules = score(&["prompt-injection", "prompt-jailbreak", "indirect-injection"]);
        let by_model = score(&["injection-suspected"]);
        marked += usize::from(by_rules >= 1.0);
        refused += usize::from(by_rules >= 2.0);
        learned += usize::from(by_model >= 1.0);
        any += usize::from(by_rules.max(by_model) >= 1.0);
    }
    let cells = [marked, refused, learned, any].map(|hits| share(hits, texts.len())).join(" | ");
    println!("| {what}: {name} | {} | {cells} |", texts.len());
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
