//! What a requirements or lock file says, whatever its format, and what in it could not be read.

/// The package index a name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ecosystem {
    /// Python packages.
    Python,
    /// Rust crates.
    Rust,
}

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `requirements*.txt`, `constraints*.txt`, the output of `pip freeze`.
    Requirements,
    /// `Pipfile.lock`.
    PipfileLock,
    /// `poetry.lock`.
    PoetryLock,
    /// `uv.lock`.
    UvLock,
    /// `pylock.toml`, `pylock.*.toml`.
    PyLock,
    /// `Cargo.lock`.
    CargoLock,
}

impl Format {
    /// The format of a file by its name.
    #[must_use]
    pub fn of(file_name: &str) -> Option<Self> {
        let name = crate::base_name(file_name).to_ascii_lowercase();
        match name.as_str() {
            "pipfile.lock" => Some(Self::PipfileLock),
            "poetry.lock" => Some(Self::PoetryLock),
            "uv.lock" => Some(Self::UvLock),
            "cargo.lock" => Some(Self::CargoLock),
            _ if name.starts_with("pylock.") && name.ends_with(".toml") => Some(Self::PyLock),
            _ => {
                let stem = name.strip_suffix(".txt").or_else(|| name.strip_suffix(".in"))?;
                ["requirements", "constraints", "freeze"]
                    .iter()
                    .any(|word| stem.contains(word))
                    .then_some(Self::Requirements)
            }
        }
    }

    /// The name shown in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requirements => "pip requirements",
            Self::PipfileLock => "Pipfile.lock",
            Self::PoetryLock => "poetry.lock",
            Self::UvLock => "uv.lock",
            Self::PyLock => "pylock.toml",
            Self::CargoLock => "Cargo.lock",
        }
    }

    /// Where its names live.
    #[must_use]
    pub const fn ecosystem(self) -> Ecosystem {
        match self {
            Self::CargoLock => Ecosystem::Rust,
            _ => Ecosystem::Python,
        }
    }
}

/// Where a dependency is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A package index, by name.
    Index,
    /// An archive at an address.
    Url(String),
    /// A version-control address, and the revision asked for.
    Vcs {
        /// The address.
        url: String,
        /// Branch, tag or commit.
        revision: Option<String>,
    },
    /// A path on this machine, the workspace's own members included.
    Path(String),
}

/// One dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The name as written; empty for a bare address or path.
    pub name: String,
    /// The one exact version, when the file names one.
    pub version: Option<String>,
    /// The version condition as written.
    pub condition: String,
    /// How many hashes the file gives for it.
    pub hashes: usize,
    /// Where it comes from.
    pub origin: Origin,
    /// Its line, when known; the first is 1.
    pub line: Option<u32>,
}

impl Dependency {
    /// The name as indexes compare names: lower case, runs of `-`, `_` and `.` as one `-`.
    #[must_use]
    pub fn normal(&self) -> String {
        normalise(&self.name)
    }
}

/// An option that decides where packages are fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexOption {
    /// `index-url`, `extra-index-url`, `find-links` or `trusted-host`.
    pub option: &'static str,
    /// Its value.
    pub value: String,
    /// Its line, when known.
    pub line: Option<u32>,
}

/// Another file this one includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The path as written.
    pub path: String,
    /// Its line.
    pub line: u32,
}

/// A part that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// Its line, when known.
    pub line: Option<u32>,
    /// What is wrong.
    pub what: String,
}

/// Everything a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How it was read.
    pub format: Format,
    /// Its dependencies, in its order.
    pub dependencies: Vec<Dependency>,
    /// Where packages come from.
    pub indexes: Vec<IndexOption>,
    /// Other files it includes.
    pub includes: Vec<Include>,
    /// What could not be read.
    pub defects: Vec<Defect>,
}

impl Facts {
    pub(crate) const fn new(format: Format) -> Self {
        Self {
            format,
            dependencies: Vec::new(),
            indexes: Vec::new(),
            includes: Vec::new(),
            defects: Vec::new(),
        }
    }

    pub(crate) fn defect(&mut self, line: Option<u32>, what: impl Into<String>) {
        if self.defects.len() < 1_000 {
            self.defects.push(Defect { line, what: what.into() });
        }
    }
}

/// A name as indexes compare names.
#[must_use]
pub(crate) fn normalise(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '-' | '_' | '.') {
            if !normal.ends_with('-') {
                normal.push('-');
            }
        } else {
            normal.extend(character.to_lowercase());
        }
    }
    normal
}
