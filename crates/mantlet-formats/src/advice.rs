//! What a README tells people to run: code of a repository, loaded without a look.
//!
//! Prose and programs are read as lines; what counts is which repository stands in the call, and whether the README
//! is that of this repository. A README can say anything, so what it is called by itself is only a hint.

/// A place that tells to pass `trust_remote_code=True`, or the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// The line as it is written, cut.
    pub shown: String,
    /// Byte offset.
    pub at: u64,
    /// The repository whose code would run, when it is named.
    pub repository: Option<String>,
    /// The README is about something else than this repository, and does not name it as what it is made from.
    pub foreign: bool,
    /// A commit is named, so that the code cannot change after a review.
    pub pinned: bool,
}

const SWITCHES: [&str; 2] = ["trust_remote_code", "--trust-remote-code"];
/// Places of one README that are told.
const MAX_PLACES: usize = 64;
/// Bytes around a switch that belong to its call.
const AROUND: usize = 1_200;
/// Words of headings that name nothing.
const PLAIN: [&str; 40] = [
    "a",
    "about",
    "an",
    "and",
    "api",
    "card",
    "code",
    "data",
    "demo",
    "description",
    "details",
    "dataset",
    "example",
    "examples",
    "for",
    "getting",
    "guide",
    "how",
    "inference",
    "info",
    "information",
    "installation",
    "introduction",
    "model",
    "models",
    "of",
    "overview",
    "project",
    "quick",
    "quickstart",
    "readme",
    "start",
    "started",
    "summary",
    "the",
    "this",
    "to",
    "usage",
    "use",
    "with",
];

/// The places, and whether these are all.
#[must_use]
pub fn analyse(text: &str) -> (Vec<Advice>, bool) {
    let mut found: Vec<Advice> = Vec::new();
    let identity = identity(text);
    let mut from = 0;
    while let Some((at, switch)) = next(text, from) {
        from = at + switch.len();
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
        let (before, after) = (&text[line_start..at], &text[from..line_end]);
        if !switched_on(switch, after) || advised_against(before) {
            continue;
        }
        if found.len() >= MAX_PLACES {
            return (found, false);
        }
        let call = call(text, at);
        let repository = named(call, text, at);
        let own = repository.as_deref().is_none_or(|name| is_own(name, &identity, text));
        found.push(Advice {
            shown: text[line_start..line_end].trim().chars().filter(|c| !c.is_control()).take(160).collect(),
            at: at as u64,
            foreign: !own,
            repository,
            pinned: pinned(call),
        });
    }
    (found, true)
}

/// The next switch.
fn next(text: &str, from: usize) -> Option<(usize, &'static str)> {
    let rest = text.get(from..)?;
    SWITCHES.iter().filter_map(|switch| Some((from + rest.find(switch)?, *switch))).min()
}

/// Whether what follows the switch turns it on.
fn switched_on(switch: &str, after: &str) -> bool {
    let value = after.trim_start_matches(['"', '\'', ' ']);
    let on = |value: &str| {
        let value = value.trim_start_matches(['"', '\'', ' ']).to_ascii_lowercase();
        value.starts_with("true") || value.starts_with('1')
    };
    match value.strip_prefix(['=', ':']) {
        Some(value) => on(value),
        // An option of a program alone; the name of the argument alone says nothing.
        None => switch.starts_with("--") && !value.to_ascii_lowercase().starts_with("false"),
    }
}

/// Whether the line warns of it, or is commented out.
fn advised_against(before: &str) -> bool {
    let before = before.to_lowercase();
    if before.trim_start().starts_with("# ") || before.contains(" # ") || before.contains("//") {
        return true;
    }
    let words = [
        " not ",
        "n't ",
        "n\u{2019}t ",
        "without ",
        "never ",
        "avoid ",
        "no longer ",
        "no need ",
        "instead of ",
    ];
    let padded = format!(" {before}");
    words.iter().any(|word| padded.contains(word))
}

/// The call or paragraph around a place.
fn call(text: &str, at: usize) -> &str {
    let floor = text.floor_char_boundary(at.saturating_sub(AROUND));
    let ceiling = text.ceil_char_boundary((at + AROUND).min(text.len()));
    let open = text[floor..at]
        .rfind("\n\n")
        .max(text[floor..at].rfind("```"))
        .max(text[floor..at].rfind("~~~"))
        .map_or(floor, |start| floor + start);
    // Of several calls in a row, the last that begins before the place.
    let begins = ["from_pretrained(", "pipeline(", "load_dataset(", "SentenceTransformer(", "LLM(", "serve "];
    let start = begins
        .iter()
        .filter_map(|begin| text[open..at].rfind(begin))
        .max()
        .map_or(open, |start| open + start);
    let end = text[at..ceiling].find("\n\n").map_or(ceiling, |end| at + end);
    &text[start..end]
}

/// The repository in a call; one that is held by a name is the last that was given to a name before.
fn named(call: &str, text: &str, at: usize) -> Option<String> {
    repositories(call).next().or_else(|| {
        let floor = text.floor_char_boundary(at.saturating_sub(8 * AROUND));
        let given = text[floor..at].lines().rev().filter(|line| line.contains('='));
        given.flat_map(repositories).next()
    })
}

/// Words like `organisation/name`.
fn repositories(text: &str) -> impl Iterator<Item = String> + '_ {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | ':' | '@');
    text.split(move |c: char| !word(c))
        .filter(|part| is_repository(part))
        .map(|part| part.trim_end_matches(['.', ':']).chars().take(120).collect())
}

fn is_repository(part: &str) -> bool {
    let Some((owner, name)) = part.trim_end_matches(['.', ':']).split_once('/') else { return false };
    let plain = |text: &str| {
        text.starts_with(|c: char| c.is_alphanumeric())
            && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let file =
        ["py", "json", "jsonl", "csv", "txt", "md", "png", "jpg", "wav", "parquet", "sh", "yaml", "bin"];
    plain(owner)
        && plain(name)
        && owner.contains(|c: char| c.is_alphabetic())
        && !name.rsplit_once('.').is_some_and(|(_, end)| file.contains(&end))
}

/// The words by which a README calls itself: its first heading, without the words of all headings.
fn identity(text: &str) -> Vec<String> {
    let heading = text.lines().take(400).find_map(|line| line.trim_start().strip_prefix("# "));
    let heading = heading.unwrap_or_default();
    words(heading).filter(|word| !PLAIN.contains(&word.as_str())).take(64).collect()
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Whether the README may be that of the repository, or names it as what it is made from. One that calls itself
/// nothing may be any.
fn is_own(repository: &str, identity: &[String], text: &str) -> bool {
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let shared = words(name).any(|word| word.len() > 1 && identity.contains(&word));
    let joined: String = words(name).collect();
    let same = identity.iter().any(|word| word.len() > 3 && joined.contains(word.as_str()));
    identity.is_empty() || shared || same || is_base(repository, text)
}

/// Whether the header says that the model is made from this one.
fn is_base(repository: &str, text: &str) -> bool {
    let Some(header) = text.strip_prefix("---").and_then(|rest| Some(&rest[..rest.find("\n---")?])) else {
        return false;
    };
    header
        .lines()
        .filter(|line| line.contains("base_model") || line.trim_start().starts_with('-'))
        .any(|line| line.trim().trim_end_matches(['"', '\'']).ends_with(repository))
}

/// Whether a commit is named.
fn pinned(call: &str) -> bool {
    call.split("revision").skip(1).any(|rest| {
        let value = rest.trim_start_matches(['=', ':', ' ', '"', '\'']);
        value.len() >= 40 && value.bytes().take(40).all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(Option<String>, bool, bool)> {
        analyse(text).0.into_iter().map(|advice| (advice.repository, advice.foreign, advice.pinned)).collect()
    }

    #[test]
    fn the_repository_of_the_call_is_the_one_that_is_told() {
        let own = "# Tiny LM 2\n\nm = AutoModel.from_pretrained(\n    \"org/tiny-lm-2\",\n    trust_remote_code=True)\n";
        assert_eq!(told(own), [(Some("org/tiny-lm-2".into()), false, false)]);
        let foreign = own.replace("org/tiny-lm-2", "someone/helper");
        assert_eq!(told(&foreign), [(Some("someone/helper".into()), true, false)]);
        let held = "# Tiny\n\nname = 'someone/helper'\nx = 1\nm = AutoModel.from_pretrained(name, trust_remote_code = True)";
        assert_eq!(told(held), [(Some("someone/helper".into()), true, false)]);
        let based = format!("---\nbase_model: someone/helper\n---\n{foreign}");
        assert_eq!(told(&based), [(Some("someone/helper".into()), false, false)]);
        let pinned = foreign.replace("True", &format!("True, code_revision='{}'", "a1".repeat(20)));
        assert_eq!(told(&pinned), [(Some("someone/helper".into()), true, true)]);
        let command = "# Reviews\n\nvllm serve someone/helper --trust-remote-code --port 8000\n";
        assert_eq!(told(command), [(Some("someone/helper".into()), true, false)]);
        assert_eq!(told("{\"trust_remote_code\": true}"), [(None, false, false)]);
    }

    #[test]
    fn warnings_comments_and_false_are_no_advice() {
        for text in [
            "Do not pass trust_remote_code=True.",
            "It works without `trust_remote_code=True`.",
            "You don't need trust_remote_code=True any more.",
            "m = f('a/b', trust_remote_code=False)",
            "# m = f('a/b', trust_remote_code=True)",
            "the argument trust_remote_code decides",
            "serve a/b --trust-remote-code=false",
        ] {
            assert_eq!(told(text), [], "{text}");
        }
        let (many, whole) = analyse(&"trust_remote_code=True\n".repeat(65));
        assert!(many.len() == MAX_PLACES && !whole);
    }
}
