//! The commented document that `mantlet init` writes.

use std::fmt::Write as _;

use mantlet_vocab::Impact;
use toml_edit::{Item, Table, Value as TomlValue};

use super::Config;

const HEAD: &str = "\
# What mantlet protects here, and how. `mantlet config check` reads it back; `mantlet config schema` lists
# every key. Relative paths start from this file's folder.
";

/// The comment above each key, by dotted path.
const COMMENTS: &[(&str, &str)] = &[
    ("system", "The system: a model and the decision it makes."),
    (
        "system.impact",
        "low, medium, high or critical: how much a wrong decision hurts. It sets the policy's bars.",
    ),
    ("model", "The model file or folder, and the name callers use for it."),
    ("data", "The training table: probes, the request profile and the outlier baseline are learned from it."),
    ("data.test", "Rows the model was not trained on: without them membership cannot be probed."),
    ("data.scale", "Multiplied into every feature before the model sees it."),
    ("dependencies", "Lock files, checked for pins, hashes and look-alike names."),
    ("probes", "The attacks run before the model is admitted."),
    ("probes.epsilon", "Largest change of one feature in the white-box probe, as a share of its range."),
    ("probes.immutable", "Columns an attacker cannot change."),
    ("policy", "What refuses admission. Leave a bar out and the impact class decides it."),
    ("gateway", "The inline guard."),
    ("gateway.upstream", "The endpoint to protect, or `built-in` to serve the model file here."),
    ("gateway.mode", "observe records what would be done, advise proposes it, enforce does it."),
    ("rollout", "How a version goes before users step by step: `mantlet registry rollout start VERSION`."),
    ("console", "The web console."),
    ("notify", "Who is told: `webhook = \"https://...\"`, and a table [notify.smtp] for mail."),
    ("storage", "Database, history, audit log and keys."),
    ("shared", "What replicas share: `database = \"postgres://...\"`, `redis = \"redis://...\"`."),
];

/// The first controls that fit an impact class, proposed at the end of `init`.
#[must_use]
pub fn first_controls(impact: Impact) -> [&'static str; 3] {
    match impact {
        Impact::Low => [
            "scan every new model file before it is loaded: `mantlet protect`",
            "put the gateway in front in observe mode: `mantlet up`",
            "pin and hash the dependencies the findings name",
        ],
        Impact::Medium => [
            "admit only models that pass `mantlet protect`, and verify the passport where they are loaded: `mantlet verify`",
            "put the gateway in front, `mode = \"advise\"`, and give each caller a key of its own: `mantlet keys add`",
            "name who is told: `[notify] webhook`",
        ],
        Impact::High | Impact::Critical => [
            "admit only models that pass `mantlet protect`, with a second person's approval",
            "put the gateway in front, `mode = \"enforce\"`, so that suspicious decisions go to a person before they count",
            "keep a known-good version to roll back to, and name who is woken: `[notify]`",
        ],
    }
}

/// The document for this configuration, with a comment above each part and the notes at the top.
#[must_use]
pub fn write(config: &Config, notes: &[String]) -> String {
    let mut document = toml_edit::ser::to_document(config).unwrap_or_default();
    for (key, item) in document.iter_mut() {
        if let Item::Value(TomlValue::InlineTable(inline)) = item {
            let table = std::mem::take(inline).into_table();
            *item = Item::Table(table);
        }
        if let Item::Table(table) = item {
            comment_table(key.get(), table);
        }
    }
    let mut text = HEAD.to_owned();
    for note in notes {
        let _ = writeln!(text, "# {note}");
    }
    text.push('\n');
    text.push_str(document.to_string().trim_start());
    text
}

fn comment_table(path: &str, table: &mut Table) {
    if let Some(comment) = comment(path) {
        table.decor_mut().set_prefix(format!("\n# {comment}\n"));
    }
    for (mut key, _) in table.iter_mut() {
        if let Some(comment) = self::comment(&format!("{path}.{}", key.get())) {
            key.leaf_decor_mut().set_prefix(format!("# {comment}\n"));
        }
    }
}

fn comment(path: &str) -> Option<&'static str> {
    COMMENTS.iter().find(|(key, _)| *key == path).map(|(_, comment)| *comment)
}
