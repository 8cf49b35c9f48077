//! What was asked on the command line: as keys of an attack, and as the command that asks it again.

use mantlet_worker::targets::without_credentials;

use super::RunOptions;
use crate::exit::Usage;

/// The command that asks the same questions again; each attack adds its own name and the seed.
pub(super) fn command(options: &RunOptions) -> String {
    let mut words = vec![options.folder.display().to_string()];
    words.extend(options.given.again());
    words.extend(options.rows.iter().flat_map(|rows| ["--rows".to_owned(), rows.to_string()]));
    words.extend(options.set.iter().flat_map(|set| ["--set".to_owned(), set.clone()]));
    let constraints = options.constraints.iter();
    words.extend(constraints.flat_map(|file| ["--constraints".to_owned(), file.display().to_string()]));
    words.extend(options.moves.again());
    words.extend(options.costs.again());
    words.extend(options.endpoint.again());
    words.extend(crate::engine::again());
    let keep = options.keep.iter();
    words.extend(keep.flat_map(|folder| ["--keep".to_owned(), folder.display().to_string()]));
    words.extend(options.through.iter().flat_map(|door| ["--through".to_owned(), without_credentials(door)]));
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("mantlet attack run {}", words.join(" "))
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The keys set on the command line; a value that is no JSON is a word.
pub(super) fn settings(set: &[String]) -> Result<serde_json::Value, Usage> {
    if set.is_empty() {
        return Ok(serde_json::Value::Null);
    }
    let mut keys = serde_json::Map::new();
    for one in set {
        let Some((key, value)) = one.split_once('=') else {
            return Err(Usage(format!("`--set {one}`: KEY=VALUE is expected, such as `epsilon=0.05`")));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        keys.insert(key.to_owned(), value);
    }
    Ok(keys.into())
}
