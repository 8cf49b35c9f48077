//! What a model says about itself in the formats that are data throughout: code and files it names, parts that
//! do not agree, texts, and where its bytes end.

use crate::metadata::Text;

/// Where the code that a model names comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    /// A native library that whoever loads the model must have, or that is loaded for it.
    Native,
    /// A class of the application.
    Class,
    /// A Python function.
    Python,
    /// A pickle decoded for every item.
    Pickle,
    /// Machine code within the file.
    Machine,
    /// Bytecode within the file, which loading turns into functions.
    Bytecode,
    /// It reads or writes files.
    Files,
    /// It talks to other machines.
    Network,
}

/// Something named, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What it is called, without control characters.
    pub name: String,
    /// What it is: `custom layer`, `plugin`, `linked model`.
    pub role: &'static str,
    /// Offset in the file.
    pub at: u64,
}

/// The facts of a model whose format is data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Structure {
    /// The format in the words of its users.
    pub format: &'static str,
    /// Code that the model needs and that the format's own runtime does not bring.
    pub code: Vec<(Power, Named)>,
    /// Files that are read when it is loaded.
    pub paths: Vec<Named>,
    /// What is wrong, in words, with offsets.
    pub defects: Vec<(String, u64)>,
    /// Parts that are examined as files of their own: a name, where, how long.
    pub parts: Vec<(String, u64, u64)>,
    /// Texts about the model.
    pub texts: Vec<Text>,
    /// Offset after the last byte that belongs to the model; 0 when that is not known.
    pub end: u64,
    /// Bytes that the file of weights beside it must have at least; 0 when it says nothing about that.
    pub needs: u64,
    /// It is text, and this reader has read it to its end.
    pub whole_text: bool,
    /// What was not followed, or cannot be.
    pub limits: Vec<String>,
}

/// Facts of one kind that are kept.
const MAX_KEPT: usize = 256;

impl Structure {
    /// No facts yet about a model of this format.
    #[must_use]
    pub fn of(format: &'static str) -> Self {
        Self { format, ..Self::default() }
    }

    pub(crate) fn defect(&mut self, what: impl Into<String>, at: u64) {
        if self.defects.len() < MAX_KEPT {
            self.defects.push((what.into(), at));
        }
    }

    pub(crate) fn names(&mut self, power: Power, role: &'static str, name: &str, at: u64) {
        let name = shown(name);
        if self.code.len() < MAX_KEPT && !self.code.iter().any(|(_, known)| known.name == name) {
            self.code.push((power, Named { name, role, at }));
        }
    }

    pub(crate) fn reads(&mut self, role: &'static str, path: &str, at: u64) {
        if self.paths.len() < MAX_KEPT && !path.is_empty() {
            self.paths.push(Named { name: shown(path), role, at });
        }
    }

    pub(crate) fn says(&mut self, key: &str, text: &str) {
        if self.texts.len() < MAX_KEPT && !text.is_empty() {
            self.texts.push(Text::new(key, text));
        }
    }

    pub(crate) fn limit(&mut self, what: impl Into<String>) {
        let what = what.into();
        if self.limits.len() < MAX_KEPT && !self.limits.contains(&what) {
            self.limits.push(what);
        }
    }
}

pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Whether a path leads out of the folder it is looked up in, or to another machine.
#[must_use]
pub fn escapes(path: &str) -> bool {
    let path = path.replace('\\', "/");
    path.starts_with(['/', '~']) || path.contains(':') || path.split('/').any(|part| part == "..")
}
