//! How DVC writes: settings in lines, and documents in YAML.

use mantlet_formats::tree::{Event, yaml};
use serde_json::{Map, Value};

/// Values of a document.
const MAX_NODES: usize = 500_000;

/// Section, key and value of each setting.
pub(super) fn settings(text: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(inner) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = unquoted(inner).to_owned();
        } else if let Some((key, value)) = line.split_once('=') {
            found.push((section.clone(), key.trim().to_owned(), unquoted(value.trim()).to_owned()));
        }
    }
    found
}

/// A text without the quotes around it.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text)
}

/// A document in YAML; every value that is neither list nor mapping is a text.
pub(super) fn value(text: &str) -> Result<Value, String> {
    let mut builder = Builder::default();
    let walked = yaml(text, &mut |event, _| builder.take(&event));
    if let Some(defect) = walked.defect {
        return Err(format!("it is no YAML: {defect}"));
    }
    if builder.nodes > MAX_NODES {
        return Err(format!("it has more than {MAX_NODES} values"));
    }
    Ok(builder.whole.unwrap_or(Value::Null))
}

#[derive(Default)]
struct Builder {
    /// Collections that are open, each with the key it will have.
    open: Vec<(Option<String>, Value)>,
    key: Option<String>,
    whole: Option<Value>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: &Event<'_>) {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return;
        }
        match event {
            Event::Key(key) => self.key = Some((*key).to_owned()),
            Event::Open { list, .. } => {
                let empty = if *list { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
                self.open.push((self.key.take(), empty));
            }
            Event::Close => {
                if let Some((key, value)) = self.open.pop() {
                    self.put(key, value);
                }
            }
            Event::Scalar { text, .. } => {
                let key = self.key.take();
                self.put(key, Value::String((*text).to_owned()));
            }
        }
    }

    fn put(&mut self, key: Option<String>, value: Value) {
        match self.open.last_mut().map(|(_, open)| open) {
            Some(Value::Array(list)) => list.push(value),
            Some(Value::Object(map)) => {
                map.insert(key.unwrap_or_default(), value);
            }
            _ if self.whole.is_none() => self.whole = Some(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_and_documents_are_read_as_dvc_writes_them() {
        let text = "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://b/p?x=1\n; no = no\n";
        let word = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(
            settings(text),
            [word("core", "remote", "store"), word("remote \"store\"", "url", "s3://b/p?x=1")]
        );
        let text = "outs:\n- md5: 0a\n  size: 3\n  path: m.pkl\n  cache: false\nstages: {}\n";
        assert_eq!(
            value(text).unwrap(),
            json!({ "outs": [{ "md5": "0a", "size": "3", "path": "m.pkl", "cache": "false" }], "stages": {} })
        );
        assert!(value("a: [").is_err());
        assert!(value(&"[0,".repeat(600)).is_err());
        let long = format!("[{}]", "0,".repeat(MAX_NODES + 1));
        assert!(value(&long).unwrap_err().contains("more than"));
    }
}
