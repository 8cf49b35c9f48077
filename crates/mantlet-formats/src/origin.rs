//! What an artifact says of its licence and where it comes from, wherever it says it: facts for a bill of materials.
//!
//! Nothing here is believed or judged: a licence that is claimed may be wrong, and is said as a claim.

use std::collections::{BTreeMap, BTreeSet};

use mantlet_vocab::Source;

use crate::card::Card;
use crate::metadata::Text;
use crate::tree::{self, Event};

/// Values that are kept of one kind.
const MAX_VALUES: usize = 16;
/// Characters of one value.
const MAX_VALUE: usize = 200;
/// Bytes of a configuration that are looked through.
const MAX_CONFIG: u64 = 1 << 20;

/// What is said, by kind: `licence`, `author`, `base model`, `data set`, `source`, `written by`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin(BTreeMap<&'static str, BTreeSet<String>>);

/// The kind of a key of metadata: of GGUF (`general.license`, `general.base_model.0.repo_url`), of ModelSpec and of
/// trainers in safetensors, of ONNX properties, of packages and of configurations.
fn kind(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase().replace('-', "_");
    let parts: Vec<&str> = key.split('.').collect();
    let last = *parts.last()?;
    let within = |what: &str| parts.iter().rev().skip(1).any(|part| *part == what);
    Some(match last {
        "license" | "licence" | "license_name" | "license_expression" | "spdx" => "licence",
        "name" if within("license") => "licence",
        "link" if within("license") => "licence",
        _ if within("base_model") && matches!(last, "repo_url" | "name" | "url") => "base model",
        _ if within("dataset") && matches!(last, "repo_url" | "name" | "url") => "data set",
        "base_model"
        | "base_model_name_or_path"
        | "_name_or_path"
        | "merged_from"
        | "finetuned_from"
        | "ss_sd_model_name" => "base model",
        "datasets" | "dataset" => "data set",
        "author" | "authors" | "organization" | "maintainer" => "author",
        "repo_url" | "home_page" | "homepage" | "project_url" | "source_url" => "source",
        "url" if within("source") || within("general") => "source",
        "run_id" | "model_uuid" | "ss_session_id" => "source",
        "producer"
        | "transformers_version"
        | "_diffusers_version"
        | "keras_version"
        | "mlflow_version"
        | "sklearn_version"
        | "torch_version"
        | "quantized_by" => "written by",
        _ => return None,
    })
}

impl Origin {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is said, by kind, each value once and in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &BTreeSet<String>)> {
        self.0.iter().map(|(kind, values)| (*kind, values))
    }

    fn add(&mut self, kind: &'static str, value: &str) {
        let words = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let value: String = words.chars().filter(|c| !c.is_control()).take(MAX_VALUE).collect();
        if value.is_empty() || matches!(value.as_str(), "null" | "None" | "none" | "unknown" | "UNKNOWN") {
            return;
        }
        let values = self.0.entry(kind).or_default();
        if values.len() < MAX_VALUES {
            values.insert(value);
        }
    }

    /// The texts that a file of weights says about itself.
    pub fn texts(&mut self, texts: &[Text]) {
        for text in texts {
            if let Some(kind) = kind(&text.key) {
                self.add(kind, &text.shown);
            }
        }
    }

    /// The program that wrote a file.
    pub fn producer(&mut self, name: &str) {
        self.add("written by", name);
    }

    /// A model card.
    pub fn card(&mut self, card: &Card) {
        if let Some(license) = &card.license {
            self.add("licence", license);
        }
        for base in &card.base {
            self.add("base model", base);
        }
        for data in &card.data {
            self.add("data set", data);
        }
    }

    /// A configuration in JSON: its outermost keys.
    pub fn json(&mut self, source: &dyn Source) {
        if source.len() <= MAX_CONFIG {
            let mut keys = Keys::default();
            tree::json(source, &mut |event, _| keys.event(event, self));
        }
    }

    /// A configuration in YAML: its outermost keys.
    pub fn yaml(&mut self, text: &str) {
        if text.len() as u64 <= MAX_CONFIG {
            let mut keys = Keys::default();
            tree::yaml(text, &mut |event, _| keys.event(event, self));
        }
    }

    /// `METADATA` and `PKG-INFO` of a package: the header, in the form of mail.
    pub fn package(&mut self, text: &str) {
        for line in text.lines().take_while(|line| !line.is_empty()).take(2_000) {
            let Some((key, value)) = line.split_once(':') else { continue };
            if let Some(kind) = kind(key) {
                self.add(kind, value);
            } else if key == "Classifier"
                && let Some(license) = value.trim().strip_prefix("License :: ")
            {
                self.add("licence", license.rsplit(" :: ").next().unwrap_or(license));
            }
        }
    }

    /// The text of a licence: told by the words it is known by, as an SPDX identifier where it has one.
    pub fn license_text(&mut self, text: &str) {
        let head: String = text.chars().take(4_000).collect::<String>().to_ascii_lowercase();
        let head = head.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = LICENSES.iter().find(|(words, _)| words.iter().all(|word| head.contains(word)));
        self.add("licence", found.map_or("a text of its own", |(_, name)| name));
    }
}

/// Words of a text, and what it is then; the first that fits.
const LICENSES: [(&[&str], &str); 15] = [
    (&["apache license", "version 2.0"], "Apache-2.0"),
    (&["permission is hereby granted, free of charge", "the software is provided \"as is\""], "MIT"),
    (&["gnu affero general public license", "version 3"], "AGPL-3.0"),
    (&["gnu lesser general public license", "version 3"], "LGPL-3.0"),
    (&["gnu general public license", "version 3"], "GPL-3.0"),
    (&["gnu general public license", "version 2"], "GPL-2.0"),
    (&["mozilla public license", "version 2.0"], "MPL-2.0"),
    (&["redistribution and use", "neither the name"], "BSD-3-Clause"),
    (&["redistribution and use"], "BSD-2-Clause"),
    (&["creativeml open rail"], "CreativeML Open RAIL"),
    (&["bigscience", "rail license"], "BigScience RAIL"),
    (&["llama", "community license agreement"], "Llama community licence"),
    (&["gemma terms of use"], "Gemma terms of use"),
    (&["creative commons", "noncommercial"], "Creative Commons, not for commerce"),
    (&["creative commons"], "Creative Commons"),
];

/// The outermost keys of a tree and their plain values.
#[derive(Default)]
struct Keys {
    depth: usize,
    kind: Option<&'static str>,
}

impl Keys {
    fn event(&mut self, event: Event<'_>, origin: &mut Origin) {
        match event {
            Event::Open { .. } => self.depth += 1,
            Event::Close => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth <= 1 {
                    self.kind = None;
                }
            }
            Event::Key(key) => {
                if self.depth == 1 {
                    self.kind = kind(key);
                } else {
                    self.kind = None;
                }
            }
            // The value itself, or one of its list.
            Event::Scalar { text, .. } if self.depth <= 2 => {
                if let Some(kind) = self.kind {
                    origin.add(kind, text);
                }
                if self.depth == 1 {
                    self.kind = None;
                }
            }
            Event::Scalar { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;

    fn said(read: impl FnOnce(&mut Origin)) -> Vec<String> {
        let mut origin = Origin::default();
        read(&mut origin);
        origin.iter().flat_map(|(kind, values)| values.iter().map(move |v| format!("{kind}: {v}"))).collect()
    }

    #[test]
    fn claims_are_found_under_the_keys_that_each_format_uses() {
        let texts = [
            ("general.license", "apache-2.0"),
            ("general.base_model.0.repo_url", "https://hub.example/a/b"),
            ("general.name", "tiny"),
            ("modelspec.author", "ada"),
            ("general.dataset.0.name", "d"),
            ("tokenizer.ggml.model", "llama"),
        ];
        let texts: Vec<Text> = texts.iter().map(|(key, value)| Text::new(key, value)).collect();
        assert_eq!(
            said(|origin| origin.texts(&texts)),
            ["author: ada", "base model: https://hub.example/a/b", "data set: d", "licence: apache-2.0"]
        );
        let json =
            br#"{"license":"mit","_name_or_path":"a/b","x":{"license":"no"},"datasets":["d","e"],"n":1}"#;
        assert_eq!(
            said(|origin| origin.json(&MemorySource::new(json))),
            ["base model: a/b", "data set: d", "data set: e", "licence: mit"]
        );
        let yaml = "mlflow_version: 2.9.2\nrun_id: abc\nflavors:\n  sklearn:\n    license: no\n";
        assert_eq!(said(|origin| origin.yaml(yaml)), ["source: abc", "written by: 2.9.2"]);
        let package = "Metadata-Version: 2.4\nName: x\nLicense-Expression: MIT\nHome-page: https://x.example\n\
             Classifier: License :: OSI Approved :: MIT License\nAuthor: UNKNOWN\n\nLicense: body\n";
        assert_eq!(
            said(|origin| origin.package(package)),
            ["licence: MIT", "licence: MIT License", "source: https://x.example"]
        );
    }

    #[test]
    fn licences_are_told_by_their_words_and_others_are_said_to_be_others() {
        let one = |text: &str| said(|origin| origin.license_text(text)).join(", ");
        assert_eq!(one("  Apache License\n   Version 2.0, January 2004\n"), "licence: Apache-2.0");
        assert_eq!(one("GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007"), "licence: GPL-3.0");
        assert_eq!(one("You may do nothing."), "licence: a text of its own");
        let many: Vec<Text> = (0..99).map(|index| Text::new("author", &format!("a{index}"))).collect();
        assert_eq!(said(|origin| origin.texts(&many)).len(), MAX_VALUES);
        assert_eq!(said(|origin| origin.producer(&"x".repeat(9_999)))[0].len(), 12 + MAX_VALUE);
    }
}
