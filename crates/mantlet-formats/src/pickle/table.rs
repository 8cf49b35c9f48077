//! The table of effects: the one that is shipped, or a newer one that is handed in.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::OnceLock;

use mantlet_vocab::Digest;

use super::effect::{Effect, Special};

/// The reviewed rows, and the rows that `scripts/effects` generated from library sources.
const SHIPPED: &str = concat!(include_str!("effects.txt"), include_str!("effects-generated.txt"));
/// Bytes of a table that is handed in; the shipped one has 64 KiB.
const MAX_TEXT: usize = 4 << 20;

pub(super) type Row = (&'static str, Effect, Special);

/// The rows by module.
#[derive(Default)]
pub(super) struct Table {
    pub(super) exact: HashMap<&'static str, Vec<Row>>,
    pub(super) below: HashMap<&'static str, Vec<Row>>,
    /// Bytes of the longest name of a module, and parts of the deepest.
    pub(super) longest: usize,
    pub(super) parts: usize,
    /// How names of modules begin.
    pub(super) roots: HashSet<&'static str>,
    text: &'static str,
    version: [u32; 3],
    digest: OnceLock<Digest>,
}

/// Why a text is no table of effects to judge by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EffectsError {
    /// It is larger than any table.
    #[error("the table has {len} bytes, more than the {MAX_TEXT} allowed")]
    TooLarge {
        /// Bytes.
        len: usize,
    },
    /// The first line does not say which version it is.
    #[error("the first line of the table must be `# version YEAR.MONTH.NUMBER`")]
    Unversioned,
    /// A row that this program would not understand as whoever wrote it meant it.
    #[error("line {line} of the table: {what}")]
    Row {
        /// The line, from 1.
        line: usize,
        /// What is not understood.
        what: String,
    },
    /// An older table than the one in the program could hide what the program knows.
    #[error(
        "the table is version {found}, older than version {shipped} of this program: raise its first line after \
         taking over what is new"
    )]
    Older {
        /// The version of the table.
        found: String,
        /// The version shipped.
        shipped: String,
    },
}

/// A table of what callables do: the shipped one, unless another was read.
#[derive(Clone, Copy, Default)]
pub struct Effects(Option<&'static Table>);

impl Effects {
    /// A table from its text, not older than the shipped one. It is kept as long as the process: read it once.
    /// Whether the text may be believed is for the caller to know.
    ///
    /// # Errors
    /// When a row is not understood, or the version is missing or older.
    pub fn read(text: &str) -> Result<Self, EffectsError> {
        Self::check(text)?;
        Ok(Self(Some(Box::leak(Box::new(Table::of(Box::leak(text.to_owned().into_boxed_str())))))))
    }

    /// Whether a text would be taken as a table; nothing of it is kept.
    ///
    /// # Errors
    /// As [`Effects::read`].
    pub fn check(text: &str) -> Result<(), EffectsError> {
        if text.len() > MAX_TEXT {
            return Err(EffectsError::TooLarge { len: text.len() });
        }
        let version = version(text).ok_or(EffectsError::Unversioned)?;
        rows(text, |_, _, _, _| ())?;
        let shipped = Self::default().table().version;
        if version < shipped {
            return Err(EffectsError::Older { found: dotted(version), shipped: dotted(shipped) });
        }
        Ok(())
    }

    /// The table as text, comments included.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.table().text
    }

    /// Its version.
    #[must_use]
    pub fn version(self) -> String {
        dotted(self.table().version)
    }

    /// The digest of its text.
    #[must_use]
    pub fn digest(self) -> Digest {
        let table = self.table();
        *table.digest.get_or_init(|| Digest::of(table.text.as_bytes()))
    }

    /// Version and digest, as reports name it.
    #[must_use]
    pub fn name(self) -> String {
        format!("{} {}", self.version(), self.digest())
    }

    /// Whether it is another table than the shipped one.
    #[must_use]
    pub const fn is_foreign(self) -> bool {
        self.0.is_some()
    }

    pub(super) fn table(self) -> &'static Table {
        static TABLE: OnceLock<Table> = OnceLock::new();
        self.0.unwrap_or_else(|| TABLE.get_or_init(|| Table::of(SHIPPED)))
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl PartialEq for Effects {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.table(), other.table()) || self.text() == other.text()
    }
}

impl Eq for Effects {}

impl Table {
    fn of(text: &'static str) -> Self {
        let mut table = Self { text, version: version(text).unwrap_or_default(), ..Self::default() };
        // Of the shipped table a test says that it is understood, of any other its reader.
        let _ = rows(text, |modules, names, effect, special| {
            for module in modules.split(',') {
                let (map, module) = match module.strip_suffix(".**") {
                    Some(module) => (&mut table.below, module),
                    None => (&mut table.exact, module),
                };
                table.longest = table.longest.max(module.len());
                table.roots.insert(module.split('.').next().unwrap_or(module));
                table.parts = table.parts.max(module.split('.').count());
                map.entry(module).or_default().extend(names.iter().map(|&name| (name, effect, special)));
            }
        });
        table
    }
}

/// Hands out the rows of a table: modules, names, effect, and how the call is evaluated.
fn rows<'t>(
    text: &'t str,
    mut row: impl FnMut(&'t str, &[&'t str], Effect, Special),
) -> Result<(), EffectsError> {
    let mut names: Vec<&str> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let wrong = |what: String| EffectsError::Row { line: index + 1, what };
        let mut words = line.split_whitespace();
        let Some(modules) = words.next().filter(|word| !word.starts_with('#')) else { continue };
        let effect = words.next().unwrap_or_default();
        let known = Effect::parse(effect);
        if known == Effect::Unknown && effect != "unknown" {
            return Err(wrong(format!("`{effect}` is no effect")));
        }
        let mut special = Special::None;
        names.clear();
        for word in words {
            match word.strip_prefix('=') {
                Some(word) => {
                    special = Special::parse(word);
                    if special == Special::None {
                        return Err(wrong(format!("`={word}` is no way to evaluate a call")));
                    }
                }
                None => names.push(word),
            }
        }
        if names.is_empty() || modules.split(',').any(|module| module.trim_end_matches(".**").is_empty()) {
            return Err(wrong("a row is `modules effect names`".to_owned()));
        }
        row(modules, &names, known, special);
    }
    Ok(())
}

fn version(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.lines().next()?.strip_prefix("# version ")?.trim().split('.');
    let mut next = || parts.next()?.parse().ok();
    let version = [next()?, next()?, next()?];
    parts.next().is_none().then_some(version)
}

fn dotted([year, month, number]: [u32; 3]) -> String {
    format!("{year}.{month}.{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pickle::effect::is_grave;

    #[test]
    fn the_shipped_table_is_understood_and_generated_rows_only_make_it_stricter() {
        let shipped = Effects::default();
        assert!(shipped.version().starts_with("2026.") && !shipped.is_foreign());
        assert_eq!(rows(SHIPPED, |_, _, _, _| ()), Ok(()));
        assert_eq!(shipped.lookup("joblib.disk", "mkdirp").0, Effect::Writes);
        assert_eq!(shipped.lookup("numpy.core", "_ufunc_reconstruct").0, Effect::Resolves);
        let mut generated = 0;
        let all = rows(include_str!("effects-generated.txt"), |_, _, effect, _| {
            generated += 1;
            assert!(is_grave(effect), "{effect:?}");
        });
        assert!(all.is_ok() && generated > 100);
    }

    #[test]
    fn the_shipped_table_is_the_one_that_was_reviewed() {
        // Whoever changes a row changes this file too, so that both stand in one review.
        let digest = Effects::default().digest().to_string();
        let hex = digest.rsplit(':').next().unwrap();
        assert_eq!(
            include_str!("effects.digest").trim(),
            format!("sha256:{hex}"),
            "write it into effects.digest"
        );
    }

    #[test]
    fn generated_rows_name_what_they_were_made_from() {
        // Offline: the script and the versions of the libraries are those of the rows, or `cargo xtask effects` is due.
        for (name, text) in [
            ("effects.py", include_str!("../../../../scripts/effects/effects.py")),
            ("requirements.txt", include_str!("../../../../scripts/effects/requirements.txt")),
        ] {
            let digest = Digest::of(text.as_bytes()).to_string();
            let line = format!("# from {name} sha256:{}", digest.rsplit(':').next().unwrap());
            let known = include_str!("effects-generated.txt").lines().any(|known| known == line);
            assert!(known, "the rows were not made from this {name}: run `cargo xtask effects`");
        }
        // Every pinned library has its section, in the version that is pinned.
        for pin in include_str!("../../../../scripts/effects/requirements.txt").lines() {
            let Some((_, version)) = pin.split_once("==") else { continue };
            let sections =
                include_str!("effects-generated.txt").lines().filter(|line| line.starts_with("# "));
            let ends = format!(" {}", version.trim());
            assert!(sections.clone().any(|line| line.ends_with(&ends)), "no section of {pin}");
        }
    }

    #[test]
    fn a_newer_table_is_read_and_an_older_or_odd_one_refused() {
        let newer = format!("# version 3000.1.0\nmine.nets object Net\n{SHIPPED}");
        let table = Effects::read(&newer).expect("a newer table");
        assert_eq!(table.lookup("mine.nets", "Net").0, Effect::Object);
        assert_eq!(table.lookup("os", "system").0, Effect::Executes);
        assert_eq!(Effects::default().lookup("mine.nets", "Net").0, Effect::Unknown);
        assert_eq!(table.name(), format!("3000.1.0 {}", Digest::of(newer.as_bytes())));
        assert!(table.is_foreign() && table != Effects::default() && table == Effects::read(&newer).unwrap());
        // The same text again is no other table.
        assert_eq!(Effects::read(SHIPPED), Ok(Effects::default()));
        let refused = |text: &str| Effects::read(text).expect_err(text).to_string();
        assert!(
            refused("# version 2025.12.31\n")
                .starts_with("the table is version 2025.12.31, older than version 2026")
        );
        for text in
            ["", "os exec system\n", "# version 3000.1\n", "# version 3000.1.0.1\n", "# version 3000.x.1\n"]
        {
            assert_eq!(Effects::read(text), Err(EffectsError::Unversioned), "{text}");
        }
        assert_eq!(
            refused("# version 3000.1.0\n\nos execute system"),
            "line 3 of the table: `execute` is no effect"
        );
        assert_eq!(
            refused("# version 3000.1.0\nos exec system =shell"),
            "line 2 of the table: `=shell` is no way to evaluate a call"
        );
        for row in ["os exec", "os,,nt exec system", ".** exec *", "os exec =str"] {
            assert_eq!(
                refused(&format!("# version 3000.1.0\n{row}")),
                "line 2 of the table: a row is `modules effect names`"
            );
        }
        assert!(matches!(Effects::read(&"#".repeat(MAX_TEXT + 1)), Err(EffectsError::TooLarge { .. })));
    }
}
