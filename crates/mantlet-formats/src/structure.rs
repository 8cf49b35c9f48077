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
    /// It starts programs or loads further code.
    Process,
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
    /// Leaves of trees that next to no input reaches and that outweigh all others, in words, with offsets.
    pub needles: Vec<(String, u64)>,
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
    /// How many of the paths lead outside.
    outside: usize,
    /// Bytes of texts looked at.
    said: usize,
}

/// Facts of one kind that are kept.
const MAX_KEPT: usize = 256;
/// Bytes of texts that are looked at.
const MAX_SAID: usize = 8 << 20;

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
        if self.code.iter().any(|(known, named)| *known == power && named.name == name) {
            return;
        }
        if self.code.len() < MAX_KEPT {
            self.code.push((power, Named { name, role, at }));
        } else {
            self.limit(format!("only the first {MAX_KEPT} names of code are told"));
        }
    }

    pub(crate) fn reads(&mut self, role: &'static str, path: &str, at: u64) {
        let outside = outside(path);
        let kept = if outside.is_some() { self.outside } else { self.paths.len() - self.outside };
        if kept >= MAX_KEPT {
            // Of paths that stay inside, no more is needed than examples.
            if outside.is_some() {
                self.limit(format!("only the first {MAX_KEPT} paths that lead outside are told"));
            }
        } else if !path.is_empty() {
            let mut name = shown(path);
            if let Some(from) = outside {
                self.outside += 1;
                if !escapes(&name) {
                    name = format!("\u{2026}{}", shown(&path[from..]));
                }
            }
            self.paths.push(Named { name, role, at });
        }
    }

    pub(crate) fn says(&mut self, key: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        self.said = self.said.saturating_add(text.len());
        if self.said > MAX_SAID {
            self.limit(format!("only the first {MAX_SAID} bytes of its texts are examined"));
            return;
        }
        let text = Text::new(key, text);
        // Of texts that are only words, no more is needed than examples.
        if self.texts.len() < MAX_KEPT || text.does_something() && self.texts.len() < 2 * MAX_KEPT {
            self.texts.push(text);
        } else if text.does_something() {
            self.limit("more of its texts are templates or hide something than are told");
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
    outside(path).is_some()
}

/// Where a path shows that it leads outside.
fn outside(path: &str) -> Option<usize> {
    if path.starts_with(['/', '\\', '~']) {
        return Some(0);
    }
    let mut at = 0_usize;
    for part in path.split(['/', '\\']) {
        if part == ".." {
            return Some(at.saturating_sub(1));
        }
        if let Some(colon) = part.find(':') {
            return Some(at + colon);
        }
        at += part.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_outside_are_kept_after_many_that_do_not() {
        for path in ["/x", "\\\\host\\x", "~/x", "c:x", "a/../x", "..", "a\\.."] {
            assert!(escapes(path), "{path}");
        }
        assert!(!["", "a", "a/b..c/...", "a~"].iter().any(|path| escapes(path)));
        let mut facts = Structure::of("zarr");
        (0..300).for_each(|index| facts.reads("path", &format!("w{index}"), 0));
        facts.reads("path", &format!("{}/../../x", "é".repeat(250)), 0);
        assert!(facts.paths.len() == 257 && facts.limits.is_empty());
        assert_eq!(facts.paths[256].name, "\u{2026}/../../x");
        (0..256).for_each(|_| facts.reads("path", "../x", 0));
        assert_eq!(facts.limits, ["only the first 256 paths that lead outside are told"]);
    }

    #[test]
    fn texts_and_names_beyond_a_bound_are_said_not_to_be_told() {
        let mut facts = Structure::of("Core ML");
        (0..300).for_each(|index| facts.says(&format!("note {index}"), "nothing but words"));
        facts.says("late", "{{ ''.__class__ }}");
        assert!(facts.limits.is_empty() && facts.texts.len() == 257);
        assert!(facts.texts[256].template.is_some());
        (0..256).for_each(|_| facts.says("late", "{{ x }}"));
        assert_eq!(facts.limits, ["more of its texts are templates or hide something than are told"]);
        facts.says("long", &"x".repeat(MAX_SAID));
        assert!(facts.limits[1].starts_with("only the first 8388608 bytes"), "{:?}", facts.limits);

        let mut facts = Structure::of("TensorRT");
        (0..256).for_each(|index| facts.names(Power::Native, "plugin", &format!("p{index}"), 0));
        facts.names(Power::Native, "plugin", "p7", 0);
        assert!(facts.limits.is_empty());
        facts.names(Power::Python, "plugin", "p7", 0);
        assert_eq!(facts.limits, ["only the first 256 names of code are told"]);
    }
}
