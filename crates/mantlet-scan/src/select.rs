//! Which files inside folders are scanned, by globs.

use std::path::Path;

use globset::GlobMatcher;

use crate::suppress::glob;

/// Globs over the paths of files, as seen from the folder that is scanned. A file named by itself is always scanned.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    include: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
}

/// A glob that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{glob}` is no glob: {why}")]
pub struct GlobError {
    /// As written.
    glob: String,
    /// What is wrong.
    why: String,
}

impl Selection {
    /// Files that match one of `include` (all, when it is empty) and none of `exclude`. A glob without a slash is
    /// compared with the file's name, one with a slash with its path.
    ///
    /// # Errors
    /// The first glob that is none.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, GlobError> {
        let read = |globs: &[String]| -> Result<Vec<GlobMatcher>, GlobError> {
            let one = |text: &String| {
                let anywhere = if text.contains('/') { text.clone() } else { format!("**/{text}") };
                glob(&anywhere).map_err(|why| GlobError { glob: text.clone(), why })
            };
            globs.iter().map(one).collect()
        };
        Ok(Self { include: read(include)?, exclude: read(exclude)? })
    }

    /// Whether a file inside a folder is scanned, by its path from there.
    #[must_use]
    pub fn takes(&self, path: &Path) -> bool {
        let any = |globs: &[GlobMatcher]| globs.iter().any(|glob| glob.is_match(path));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_anywhere_and_paths_where_they_say() {
        let selection = |include: &[&str], exclude: &[&str]| {
            let owned = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>();
            Selection::new(&owned(include), &owned(exclude)).unwrap()
        };
        let takes = |selection: &Selection, path: &str| selection.takes(Path::new(path));
        let only = selection(&["*.pkl", "vendor/**"], &["test_*"]);
        for (path, taken) in [
            ("a.pkl", true),
            ("deep/er/b.pkl", true),
            ("deep/b.onnx", false),
            ("vendor/x/y.onnx", true),
            ("sub/vendor/y.onnx", false),
            ("deep/test_b.pkl", false),
        ] {
            assert_eq!(takes(&only, path), taken, "{path}");
        }
        assert!(takes(&Selection::default(), "anything"));
        let fault = Selection::new(&["a[".to_owned()], &[]).unwrap_err();
        assert!(fault.to_string().contains("`a[`"));
    }
}
