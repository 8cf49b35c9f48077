//! Rule files and folders, compiled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use boreal::compiler::{AddRuleError, Compiler, CompilerBuilder, CompilerParams};
use boreal::module::{Hash, Math, String_};
use boreal::scanner::ScanParams;
use boreal::{Metadata, MetadataValue, Scanner};
use mantlet_vocab::Digest;
use sha2::{Digest as _, Sha256};

use crate::meta::Meta;
use crate::{Rules, size};

/// Files of one folder, and bytes of one file.
const MAX_FILES: usize = 10_000;
const MAX_BYTES: u64 = 64 << 20;
const MAX_DEPTH: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file or folder cannot be read.
    #[error("cannot read the YARA rules {path}: make them readable for the user who scans")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no text, or beyond all sense of size.
    #[error("the YARA rules {path} are {what}")]
    NotRules {
        /// The path.
        path: PathBuf,
        /// What they are instead.
        what: &'static str,
    },
    /// A folder without rules.
    #[error("there is no `.yar` or `.yara` file in {path}: name the folder that holds the rules")]
    Empty {
        /// The path.
        path: PathBuf,
    },
    /// The compiler refuses a rule.
    #[error("{diagnosis}; correct the rule or leave its file out{hint}")]
    Rule {
        /// `file:line:column: error: ...`, in the compiler's words.
        diagnosis: String,
        /// What helps with this kind of fault.
        hint: &'static str,
    },
}

impl Rules {
    /// Compiles rule files, and every `.yar` and `.yara` file of folders. Each file is a namespace of its own, called
    /// by its path, so that equal names in two files do not clash.
    ///
    /// # Errors
    /// At the first file that cannot be read or compiled.
    pub fn load(paths: &[PathBuf]) -> Result<Self, LoadError> {
        let mut files = Vec::new();
        for path in paths {
            collect(path, &mut files)?;
        }
        let texts = files.iter().map(|file| Ok((file.display().to_string(), read(file)?)));
        let texts = texts.collect::<Result<Vec<_>, LoadError>>()?;
        Self::compile(&texts)?.ok_or_else(|| {
            let path = paths.first().cloned().unwrap_or_default();
            LoadError::NotRules { path, what: "without a single rule" }
        })
    }

    /// Compiles one text, for the fuzzer. Nothing is read.
    ///
    /// # Errors
    /// When the compiler refuses it.
    #[doc(hidden)]
    pub fn of_text(text: &str) -> Result<Option<Self>, LoadError> {
        Self::compile(&[("text".to_owned(), text.to_owned())])
    }

    /// Compiles texts under their names; none without a rule in them.
    fn compile(texts: &[(String, String)]) -> Result<Option<Self>, LoadError> {
        // What `time` answers is not a fact of the file, and the same bytes shall give the same report.
        let builder = CompilerBuilder::default().add_module(Hash).add_module(Math).add_module(String_);
        let mut compiler = builder.build();
        compiler.set_params(CompilerParams::default().disable_includes(true));
        compiler.define_symbol(size::VARIABLE, 0_i64);
        let (mut remarks, mut hasher) = (Vec::new(), Sha256::new());
        for (name, text) in texts {
            add(&mut compiler, name, text, &mut remarks)?;
            for part in [name.as_bytes(), text.as_bytes()] {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        let mut scanner = compiler.finalize();
        // Only where a string matched is told, never what it was.
        scanner.set_scan_params(ScanParams::default().compute_full_matches(true).match_max_length(1));
        let meta = metadata(&scanner, &mut remarks);
        let digest = Digest(hasher.finalize().into());
        Ok((!meta.is_empty()).then_some(Self { scanner, meta, remarks, digest, patience: PATIENCE }))
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    let unreadable = |path: &Path, source| LoadError::Unreadable { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(|error| unreadable(path, error))?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut inside = Vec::new();
    let mut waiting = vec![(path.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
            let entry = entry.map_err(|error| unreadable(&folder, error))?;
            let (kind, path) = (entry.file_type(), entry.path());
            let kind = kind.map_err(|error| unreadable(&path, error))?;
            if kind.is_dir() && depth < MAX_DEPTH {
                waiting.push((path, depth + 1));
            } else if path.extension().is_some_and(|end| end == "yar" || end == "yara") && !kind.is_dir() {
                inside.push(path);
            }
            if inside.len() > MAX_FILES {
                let what = "more files than a set of rules has";
                return Err(LoadError::NotRules { path: folder, what });
            }
        }
    }
    if inside.is_empty() {
        return Err(LoadError::Empty { path: path.to_owned() });
    }
    inside.sort();
    files.append(&mut inside);
    Ok(())
}

fn read(path: &Path) -> Result<String, LoadError> {
    let unreadable = |source| LoadError::Unreadable { path: path.to_owned(), source };
    let wrong = |what| LoadError::NotRules { path: path.to_owned(), what };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(wrong("a pipe, socket or device, not a file"));
    }
    if metadata.len() > MAX_BYTES {
        return Err(wrong("larger than 64 MiB"));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    if bytes.starts_with(b"YARA") {
        return Err(wrong("compiled by another program: give the source of the rules"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("not UTF-8 text"))
}

fn add(compiler: &mut Compiler, name: &str, text: &str, remarks: &mut Vec<String>) -> Result<(), LoadError> {
    // The compiler does not know the file's name when it is given text.
    let named = |error: &AddRuleError| {
        let text = error.to_string().replace(size::VARIABLE, "filesize");
        let text = text.strip_prefix("mem:").map_or_else(|| text.clone(), |rest| format!("{name}:{rest}"));
        text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
    };
    // A comment on a last line without an end is no comment to the compiler.
    match compiler.add_rules_str_in_namespace(size::portable(text) + "\n", name) {
        Ok(status) => {
            remarks.extend(status.warnings().map(named));
            Ok(())
        }
        Err(error) => {
            let diagnosis = named(&error);
            let hint = if diagnosis.contains("import") {
                "; the modules here are hash, math and string"
            } else if diagnosis.contains("include") {
                "; instead of including files, name each, or their folder, with --yara"
            } else {
                ""
            };
            Err(LoadError::Rule { diagnosis, hint })
        }
    }
}

/// What the rules say about themselves.
fn metadata(scanner: &Scanner, remarks: &mut Vec<String>) -> BTreeMap<(String, String), Meta> {
    let mut all = BTreeMap::new();
    for rule in scanner.rules() {
        let mut meta = Meta::default();
        for Metadata { name, value } in rule.metadatas {
            let MetadataValue::Bytes(value) = value else { continue };
            let value = String::from_utf8_lossy(scanner.get_bytes_symbol(*value)).into_owned();
            if let Some(remark) = meta.take(scanner.get_string_symbol(*name), &value) {
                remarks.push(format!("{}: rule {}: {remark}", rule.namespace, rule.name));
            }
        }
        all.insert((rule.namespace.to_owned(), rule.name.to_owned()), meta);
    }
    all
}
