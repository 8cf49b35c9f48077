//! Literate cases: a room's `cases.md` cut into runnable cases.

/// What a case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The room must speak.
    Hit,
    /// Close to a hit; the room must be silent.
    NearMiss,
    /// Ordinary; the room must be silent, and nothing else may be found either.
    Benign,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it is for.
    pub kind: Kind,
    /// The heading after the kind.
    pub title: String,
    /// The file name the artifact is given.
    pub file: String,
    /// The kind of artifact for [`crate::forge`].
    pub forge: String,
    /// The text to forge.
    pub text: String,
}

/// The cases of a `cases.md`: a heading `## hit: title`, then a fence with the kind of artifact and, if it
/// matters, the file name.
#[must_use]
pub fn cases(markdown: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let (mut kind, mut title) = (None, String::new());
    let mut open: Option<Case> = None;
    for line in markdown.lines() {
        if let Some(case) = &mut open {
            if line.starts_with("```") {
                cases.extend(open.take());
            } else {
                case.text.push_str(line);
                case.text.push('\n');
            }
        } else if let Some(heading) = line.strip_prefix("## ") {
            let (word, rest) = heading.split_once(':').unwrap_or((heading, ""));
            kind = match word.trim() {
                "hit" => Some(Kind::Hit),
                "near miss" => Some(Kind::NearMiss),
                "benign" => Some(Kind::Benign),
                _ => None,
            };
            title = rest.trim().to_owned();
        } else if let (Some(info), Some(kind)) = (line.strip_prefix("```"), kind) {
            let (forge, file) = info.trim().split_once(' ').unwrap_or((info.trim(), ""));
            let file = if file.is_empty() { default_name(forge) } else { file.trim().to_owned() };
            let text = String::new();
            open = Some(Case { kind, title: title.clone(), file, forge: forge.to_owned(), text });
        }
    }
    cases
}

fn default_name(forge: &str) -> String {
    match forge {
        "pickle" => "model.pkl".into(),
        "zip" => "model.pt".into(),
        "text" => "notes.txt".into(),
        "gzip" | "zlib" => "model.joblib".into(),
        other => format!("model.{other}"),
    }
}
