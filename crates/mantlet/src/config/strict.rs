//! Strict reading: unknown keys, wrong types and impossible values are errors with a place and a remedy.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::transport::Speaks;
use super::{Config, schema};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: write one with `mantlet init`, or name another folder", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or a value of the wrong type.
    #[error("{}:{line}:{column}: {message}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A key nobody knows.
    #[error("{}:{line}: unknown key `{key}`{}", file.display(), nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The key with its tables.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A value that cannot work.
    #[error("{}: `{key}` {problem}", file.display())]
    Impossible {
        /// The file.
        file: PathBuf,
        /// The key with its tables.
        key: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

pub(super) fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
    let invalid = |error: &toml::de::Error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        ConfigError::Invalid {
            file: file.to_owned(),
            line,
            column,
            message: error.message().replace('\n', "; "),
        }
    };
    let table = DeTable::parse(text).map_err(|error| invalid(&error))?;
    let schema = schema();
    if let Some((offset, key, nearest)) = unknown(table.get_ref(), &schema, &schema, "") {
        return Err(ConfigError::UnknownKey {
            file: file.to_owned(),
            line: place(text, offset).0,
            key,
            nearest,
        });
    }
    if let Some((offset, message)) = super::routes::own_fault(table.get_ref()) {
        let (line, column) = place(text, offset);
        return Err(ConfigError::Invalid { file: file.to_owned(), line, column, message });
    }
    let config: Config = toml::from_str(text).map_err(|error| invalid(&error))?;
    sensible(file, &config)?;
    Ok(config)
}

/// Line and column, from 1, of a byte offset.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
    (line, column)
}

/// The first key the schema does not know: its offset, its dotted path, the nearest known key.
fn unknown(
    table: &DeTable<'_>,
    schema: &Json,
    root: &Json,
    path: &str,
) -> Option<(usize, String, Option<String>)> {
    let schema = resolve(schema, root);
    let known = schema.get("properties").and_then(Json::as_object)?;
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let dotted = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let Some(inner) = known.get(name) else {
            let nearest = nearest(known.keys().map(String::as_str), name).map(str::to_owned);
            return Some((key.span().start, dotted, nearest));
        };
        if let DeValue::Table(inner_table) = value.get_ref()
            && let Some(found) = unknown(inner_table, inner, root, &dotted)
        {
            return Some(found);
        }
    }
    None
}

/// What looks most like a name, when anything does.
pub(super) fn nearest<'a>(known: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let near = known.map(|candidate| (strsim::damerau_levenshtein(candidate, name), candidate));
    near.filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Follows `$ref` and the non-null branch of `anyOf`.
fn resolve<'a>(schema: &'a Json, root: &'a Json) -> &'a Json {
    let mut schema = schema;
    for _ in 0..8 {
        if let Some(pointer) = schema.get("$ref").and_then(Json::as_str).and_then(|r| r.strip_prefix('#')) {
            match root.pointer(pointer) {
                Some(target) => schema = target,
                None => return schema,
            }
        } else if let Some(branch) = schema.get("anyOf").and_then(Json::as_array).and_then(|branches| {
            branches.iter().find(|b| b.get("type").and_then(Json::as_str) != Some("null"))
        }) {
            schema = branch;
        } else {
            return schema;
        }
    }
    schema
}

fn sensible(file: &Path, config: &Config) -> Result<(), ConfigError> {
    let impossible = |key: &'static str, problem: String| {
        Err(ConfigError::Impossible { file: file.to_owned(), key, problem })
    };
    let name = &config.system.name;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return impossible("system.name", "must be 1 to 64 letters, digits, `-`, `_` or `.`".into());
    }
    for (key, value) in [("model.name", &config.model.name), ("model.version", &config.model.version)] {
        if value.is_empty() || value.len() > 64 || !value.chars().all(plain) {
            return impossible(key, "must be 1 to 64 letters, digits, `-`, `_` or `.`".into());
        }
    }
    if !(config.probes.epsilon > 0.0 && config.probes.epsilon <= 1.0) {
        return impossible(
            "probes.epsilon",
            format!("is {}; it must be above 0 and at most 1", config.probes.epsilon),
        );
    }
    if config.probes.rows == 0 || config.probes.rows > 100_000 {
        return impossible("probes.rows", format!("is {}; it must be 1 to 100000", config.probes.rows));
    }
    for (key, share) in [
        ("policy.evasion_success", config.policy.evasion_success),
        ("policy.membership", config.policy.membership),
    ] {
        if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return impossible(key, "is a share: it must be between 0 and 1".into());
        }
    }
    if let Some(problem) = config.monitor.fault() {
        return impossible("monitor.ranges", format!("cannot be held: {problem}"));
    }
    if let Some(problem) = config.data.as_ref().and_then(|data| data.gate.fault()) {
        return impossible("data.gate", problem);
    }
    for (key, listen) in
        [("gateway.listen", &config.gateway.listen), ("console.listen", &config.console.listen)]
    {
        if listen.parse::<std::net::SocketAddr>().is_err() {
            return impossible(
                key,
                format!("is `{listen}`; it must be an address and port such as `127.0.0.1:8480`"),
            );
        }
    }
    let upstream = &config.gateway.upstream;
    if upstream != "built-in" && !upstream.starts_with("http://") && !upstream.starts_with("https://") {
        return impossible(
            "gateway.upstream",
            format!("is `{upstream}`; it must be `built-in` or start with `http://` or `https://`"),
        );
    }
    let speaks = config.gateway.speaks;
    if config.gateway.grpc.is_some() && (upstream == "built-in" || speaks != Speaks::Tensors) {
        let problem = "belongs to `speaks = \"tensors\"` before an endpoint of your own";
        return impossible("gateway.grpc", problem.into());
    }
    if upstream == "built-in" && !matches!(speaks, Speaks::Tensors | Speaks::Text) {
        let problem = "must be an address: the built-in server speaks the Open Inference Protocol alone";
        return impossible("gateway.upstream", problem.into());
    }
    if (speaks == Speaks::Json) != config.gateway.json.is_some() {
        let problem = "says where the values of a message stand, and belongs to `speaks = \"json\"` alone";
        return impossible("gateway.json", problem.into());
    }
    if let Some((name, _)) = config.gateway.rules.iter().find(|(_, rule)| !rule.is_sensible()) {
        let problem = format!(
            "has a score for `{name}` that is never reached; scores are above 0, and 1.0 is a rule's threshold"
        );
        return impossible("gateway.rules", problem);
    }
    if let Some(problem) = config.gateway.unknown_rule() {
        return impossible("gateway.rules", problem);
    }
    if let Some(problem) = config.gateway.limits.iter().find_map(super::Limit::fault) {
        return impossible("gateway.limits", problem);
    }
    if let Some(problem) = config.gateway.names_fault() {
        return impossible("gateway.version_names", problem);
    }
    let weights = &config.gateway.weights;
    if !super::routes::shares_are_sensible(weights) {
        let problem = "are shares of the callers in percent: each at least 0.01, and 100 together at most";
        return impossible("gateway.weights", problem.into());
    }
    let nowhere =
        |version: &&String| upstream != "built-in" && !config.gateway.versions.contains_key(*version);
    if let Some(version) = weights.keys().find(nowhere) {
        let problem = format!("names `{version}`, which has no endpoint: add it to `[gateway.versions]`");
        return impossible("gateway.weights", problem);
    }
    if !config.record.without.is_empty() && !config.record.only.is_empty() {
        return impossible("record.only", "says all that `record.without` could: keep one of them".into());
    }
    if config.gateway.text_bytes == Some(0) || config.gateway.text_micros == Some(0) {
        let problem = "and `text_micros` must be at least 1; leave them out for the built-in budgets";
        return impossible("gateway.text_bytes", problem.into());
    }
    if config.gateway.tensor_values == Some(0) || config.gateway.tensor_micros == Some(0) {
        let problem = "and `tensor_micros` must be at least 1; leave them out for the built-in budgets";
        return impossible("gateway.tensor_values", problem.into());
    }
    if let Some(problem) = config.gateway.routes_fault(&config.model.name) {
        return impossible("gateway.routes", problem);
    }
    if config.gateway.requests_per_minute == 0 || config.gateway.burst == 0 {
        return impossible("gateway.requests_per_minute", "and `burst` must be at least 1".into());
    }
    Ok(())
}
