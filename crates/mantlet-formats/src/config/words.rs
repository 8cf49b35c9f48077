//! Which values are words for people, rows of data or what a tokenizer knows: nothing takes code from them.
//!
//! A key is read word by word: `text` and `prompt_text` hold words, `context_fn` and `encoder` do not.

use super::Reader;

/// What holds words for people.
const WORDS: [&str; 30] = [
    "code",
    "content",
    "text",
    "prompt",
    "description",
    "answer",
    "question",
    "output",
    "input",
    "instruction",
    "completion",
    "response",
    "title",
    "message",
    "comment",
    "summary",
    "help",
    "example",
    "note",
    "license",
    "chosen",
    "rejected",
    "reason",
    "query",
    "snippet",
    "docstring",
    "documentation",
    "readme",
    "changelog",
    "doc",
];
/// The last word of a key whose value is called, started or imported, whatever comes before it.
const CALLED: [&str; 41] = [
    "fn",
    "func",
    "function",
    "handler",
    "hook",
    "callback",
    "transform",
    "transformer",
    "processor",
    "preprocessor",
    "postprocessor",
    "filter",
    "encoder",
    "decoder",
    "factory",
    "cls",
    "class",
    "module",
    "loader",
    "parser",
    "formatter",
    "cmd",
    "command",
    "script",
    "exec",
    "run",
    "runner",
    "init",
    "setup",
    "plugin",
    "target",
    "callable",
    "method",
    "provider",
    "adapter",
    "builder",
    "converter",
    "mapper",
    "reader",
    "writer",
    "generator",
];
/// What a tokenizer or a classifier knows: its entries are in lists, or stand under numbers.
const TABLES: [&str; 8] = [
    "vocab",
    "merges",
    "added_tokens",
    "added_tokens_decoder",
    "id2label",
    "label2id",
    "word_index",
    "index_word",
];
/// Lists of what is not to be used.
const REFUSED: [&str; 10] = [
    "banned-api",
    "banned",
    "ignore",
    "deny",
    "denylist",
    "blacklist",
    "blocklist",
    "forbidden",
    "unsafe",
    "dangerous",
];
/// What rules of tools that search for code name it under.
const PATTERNS: [&str; 8] = [
    "pattern",
    "patterns",
    "pattern-either",
    "pattern-not",
    "pattern-inside",
    "pattern-sinks",
    "pattern-sources",
    "id",
];
/// Entries of a list without keys that are looked at: what names code names few things, a list of words many.
const MAX_PLAIN: u64 = 4;

/// The words of a key, in lower case: at `_`, `-`, `.`, blanks, and where a capital follows a small letter.
fn split(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in key.chars().take(120) {
        let apart = !c.is_alphanumeric();
        if (apart || c.is_uppercase() && small) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        small = c.is_lowercase() || c.is_ascii_digit();
        if let (false, Some(word)) = (apart, words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn among(word: &str, list: &[&str]) -> bool {
    list.contains(&word) || word.strip_suffix('s').is_some_and(|one| list.contains(&one))
}

/// Whether a key holds words for people.
pub(super) fn prose(key: &str) -> bool {
    let words = split(key);
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return false };
    !among(last, &CALLED) && (among(last, &WORDS) || among(first, &WORDS))
}

impl Reader {
    /// Whether a value stands among words for people, rows of data or what a tokenizer knows. A name without blanks is
    /// no words: it is left alone in rows and tables only.
    pub(super) fn of_words(&self, near: &str, text: &str) -> bool {
        let lower = near.to_ascii_lowercase();
        let listed = self.levels.last().is_some_and(|level| level.list);
        let numbered = lower.bytes().all(|byte| byte.is_ascii_digit());
        let within = |list: &[&str]| self.levels.iter().any(|level| list.contains(&level.key.as_str()));
        if (listed || numbered) && within(&TABLES) || listed && within(&REFUSED) {
            return true;
        }
        // Of a notebook: what its cells have given out.
        if within(&["outputs"]) && within(&["cells", "worksheets"]) {
            return true;
        }
        if within(&["rules"]) && PATTERNS.contains(&lower.as_str()) {
            return true;
        }
        let rooted = self.levels.first().is_none_or(|level| level.list);
        if rooted
            && self.levels.len() == 1
            && self.levels.last().is_some_and(|level| level.index >= MAX_PLAIN)
        {
            return true;
        }
        if !prose(near) {
            return false;
        }
        let spaced = text.trim().contains(char::is_whitespace);
        // One of many that are alike: a row of a table, an entry of an index.
        let row = self.levels.iter().any(|level| level.list);
        let said =
            !among(&lower, &["code", "content", "text", "input", "output", "prompt", "message", "response"]);
        spaced || row || said && split(near).len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_word_by_word() {
        for key in
            ["text", "texts", "prompt_text", "inputText", "system_prompt", "code", "example-code", "output"]
        {
            assert!(prose(key), "{key}");
        }
        for key in [
            "encoder",
            "decoder",
            "context",
            "output_fn",
            "input_transform",
            "messageHandler",
            "title_fn",
            "textProcessor",
            "hook",
            "notebook",
            "",
        ] {
            assert!(!prose(key), "{key}");
        }
    }
}
