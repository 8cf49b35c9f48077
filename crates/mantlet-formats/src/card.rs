//! Model cards: what a README claims about data, licence, evaluation and limits, and what it leaves out.

use crate::tree::{self, Event};

/// The facts of a model card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// The licence it claims.
    pub license: Option<String>,
    /// The models it says it is made from.
    pub base: Vec<String>,
    /// The data sets it names.
    pub data: Vec<String>,
    /// What is there, of `ITEMS`.
    pub present: Vec<&'static str>,
    /// What is not.
    pub missing: Vec<&'static str>,
    /// Files of data it names that lie outside of its repository.
    pub outside: Vec<String>,
    /// The header does not parse.
    pub defect: Option<String>,
}

/// What a card is asked for: the name, keys of the header, words of headings.
const ITEMS: [(&str, &[&str], &[&str]); 9] = [
    ("licence", &["license", "license_name", "license_link"], &["license", "licence"]),
    ("training data", &["datasets", "dataset"], &["training data", "training dataset", "dataset", "data"]),
    (
        "evaluation",
        &["model-index", "metrics", "eval_results"],
        &["evaluation", "results", "performance", "benchmark"],
    ),
    (
        "origin",
        &["base_model", "model_name"],
        &["model details", "model description", "overview", "introduction"],
    ),
    ("intended use", &["pipeline_tag"], &["intended use", "uses", "usage", "how to use", "use"]),
    ("limitations", &[], &["limitation", "bias", "risk", "out-of-scope"]),
    ("safety", &["extra_gated_prompt"], &["safety", "ethic", "responsib", "misuse", "red team"]),
    (
        "training procedure",
        &[],
        &["training procedure", "training", "hyperparameter", "fine-tuning", "finetuning"],
    ),
    ("contact or citation", &[], &["citation", "contact", "author", "acknowledg", "cite"]),
];

/// The card in a README; `None` when it has no header and is therefore no card.
#[must_use]
pub fn analyse(text: &str) -> Option<Card> {
    let body = text.trim_start_matches('\u{feff}').strip_prefix("---")?;
    let body = body.strip_prefix("\r\n").or_else(|| body.strip_prefix('\n'))?;
    let end = body.find("\n---")?;
    let (header, rest) = (&body[..end], &body[end..]);
    let mut card = Card::default();
    let mut keys: Vec<String> = Vec::new();
    let (mut depth, mut key, mut inner) = (0_u32, String::new(), String::new());
    let walked = tree::yaml(header, &mut |event, _| match event {
        Event::Key(name) if depth > 1 => inner = name.chars().take(80).collect(),
        Event::Open { .. } => depth += 1,
        Event::Close => depth = depth.saturating_sub(1),
        Event::Key(name) if depth == 1 => {
            key = name.chars().take(80).collect();
            if keys.len() < 256 {
                keys.push(key.clone());
            }
            inner.clone_from(&key);
        }
        Event::Scalar { text, .. }
            if matches!(inner.as_str(), "path" | "data_files" | "data_dir")
                && card.outside.len() < 16
                && local_escape(text) =>
        {
            card.outside.push(text.chars().filter(|c| !c.is_control()).take(200).collect());
        }
        Event::Scalar { text, .. } if depth <= 2 && !text.is_empty() => match key.as_str() {
            "license" => card.license = Some(text.chars().take(80).collect()),
            "base_model" if card.base.len() < 16 => card.base.push(text.chars().take(200).collect()),
            "datasets" if card.data.len() < 16 => card.data.push(text.chars().take(200).collect()),
            _ => {}
        },
        _ => {}
    });
    card.defect = walked.defect;
    let headings: Vec<String> = rest
        .lines()
        .filter(|line| line.starts_with('#') || line.starts_with("**"))
        .take(400)
        .map(|line| line.to_lowercase())
        .collect();
    for (name, wanted, words) in ITEMS {
        let claimed = keys.iter().any(|key| wanted.contains(&key.as_str()));
        let told = headings.iter().any(|heading| words.iter().any(|word| heading.contains(word)));
        if claimed || told { &mut card.present } else { &mut card.missing }.push(name);
    }
    Some(card)
}

/// Whether a pattern of files leads out of the repository into the file system of whoever loads it.
fn local_escape(text: &str) -> bool {
    text.starts_with(['/', '~', '\\'])
        || text.starts_with("file:")
        || text.split(['/', '\\']).any(|part| part == "..")
}

impl Card {
    /// Hundredths of what is asked for that are there.
    #[must_use]
    pub fn score(&self) -> u32 {
        let all = self.present.len() + self.missing.len();
        (self.present.len() * 100).checked_div(all).unwrap_or(0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_claimed_and_missing_is_told() {
        let card =
            analyse("---\nlicense: mit\nbase_model:\n- a/b\ndatasets: [x]\n---\n# Name\n## Limitations\n")
                .unwrap();
        assert_eq!(card.license.as_deref(), Some("mit"));
        assert_eq!(card.base, ["a/b"]);
        assert!(card.present.contains(&"limitations") && card.missing.contains(&"evaluation"));
        assert_eq!(card.score(), 44);
        assert_eq!(analyse("# a README\n---\n"), None);
    }
}
