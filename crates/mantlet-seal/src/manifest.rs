//! The OMS manifest: which files with which digests make up a model, and the root over them.

mod read;

use std::collections::BTreeMap;

use mantlet_vocab::Digest;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::strict::Node;
use crate::{SealError, hex, shorten};
pub(crate) use read::raw_digest;
use read::{plain_name, read_resource, shard_size};

/// Hash functions an OMS manifest may use for its resources. The root is always SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashKind {
    /// SHA-256.
    Sha256,
    /// BLAKE2b with 64 bytes.
    Blake2b,
    /// BLAKE3 with 32 bytes.
    Blake3,
}

impl HashKind {
    /// The name in the specification.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake2b => "blake2b",
            Self::Blake3 => "blake3",
        }
    }

    /// Bytes of a digest.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha256 | Self::Blake3 => 32,
            Self::Blake2b => 64,
        }
    }

    /// `blake2` is what the reference reads where it writes `blake2b`.
    fn read(word: &str) -> Result<Self, SealError> {
        match word {
            "sha256" => Ok(Self::Sha256),
            "blake2b" | "blake2" => Ok(Self::Blake2b),
            "blake3" => Ok(Self::Blake3),
            other => Err(SealError::Hash { found: shorten(other) }),
        }
    }
}

/// How files are cut before hashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// One digest a file.
    Files,
    /// One digest for each run of `size` bytes; resources are named `name:start:end`.
    Shards {
        /// Bytes of a shard.
        size: u64,
    },
}

/// Whose habits a written bundle follows where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compat {
    /// The OMS v1.0 specification: a single file is named by its base name.
    #[default]
    Spec,
    /// `model-signing` 1.x: a single file is named `.`.
    ModelSigning1,
}

/// One file, or one shard of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// Path relative to the model's root, `/` between components; `.` or the base name for a single file.
    pub name: String,
    /// The hash used.
    pub hash: HashKind,
    /// The raw digest.
    pub digest: Vec<u8>,
}

impl Resource {
    /// A whole file by its SHA-256.
    #[must_use]
    pub fn file(name: impl Into<String>, digest: Digest) -> Self {
        Self { name: name.into(), hash: HashKind::Sha256, digest: digest.0.to_vec() }
    }

    /// File, first byte and end of a shard's name, split on the last two colons.
    #[must_use]
    pub fn shard(&self) -> Option<(&str, u64, u64)> {
        let (rest, end) = self.name.rsplit_once(':')?;
        let (file, start) = rest.rsplit_once(':')?;
        let (start, end) = (start.parse().ok()?, end.parse().ok()?);
        (start < end).then_some((file, start, end))
    }
}

/// A difference between a signed manifest and what is on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// Signed and not there.
    #[error("`{0}` is signed but missing")]
    Missing(String),
    /// There and not signed.
    #[error("`{0}` is not covered by the signature")]
    Unsigned(String),
    /// Other bytes than were signed.
    #[error("`{0}` was changed after signing")]
    Changed(String),
}

/// A model as a list of digests, in listed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Base name of the model's path; informative.
    pub name: String,
    /// How files were cut.
    pub method: Method,
    /// The hash of all resources.
    pub hash: HashKind,
    /// Whether symbolic links were followed.
    pub allow_symlinks: bool,
    /// Paths left out, relative to the root.
    pub ignore_paths: Vec<String>,
    /// Files or shards, in the order the root is taken.
    pub resources: Vec<Resource>,
}

impl Manifest {
    /// A manifest of whole files by SHA-256, in the specification's order (code points of the name).
    ///
    /// # Errors
    /// When there is no file, a name is not allowed, or two are the same.
    pub fn of_files(
        name: impl Into<String>,
        files: impl IntoIterator<Item = (String, Digest)>,
        ignore_paths: impl IntoIterator<Item = String>,
    ) -> Result<Self, SealError> {
        let mut resources: Vec<Resource> =
            files.into_iter().map(|(name, digest)| Resource::file(name, digest)).collect();
        // Byte order of UTF-8 is code point order.
        resources.sort_by(|a, b| a.name.cmp(&b.name));
        let mut ignore_paths: Vec<String> = ignore_paths.into_iter().collect();
        ignore_paths.sort();
        ignore_paths.dedup();
        let manifest = Self {
            name: name.into(),
            method: Method::Files,
            hash: HashKind::Sha256,
            allow_symlinks: false,
            ignore_paths,
            resources,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// A manifest of one file, named as `compat` says.
    ///
    /// # Errors
    /// When the name is not allowed.
    pub fn of_file(name: &str, digest: Digest, compat: Compat) -> Result<Self, SealError> {
        let inner = match compat {
            Compat::Spec => name,
            Compat::ModelSigning1 => ".",
        };
        Self::of_files(name, [(inner.to_owned(), digest)], [])
    }

    /// SHA-256 over the raw digests of the resources in listed order.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut hasher = Sha256::new();
        for resource in &self.resources {
            hasher.update(&resource.digest);
        }
        Digest(hasher.finalize().into())
    }

    /// Whether it covers one single file rather than a folder.
    #[must_use]
    pub fn is_single_file(&self) -> bool {
        match self.resources.as_slice() {
            [only] => only.name == "." || only.name == self.name,
            _ => false,
        }
    }

    /// Differences to `found` (name to digest, for whole files or for shards by the same names), sorted. A
    /// single file is the same file whether named `.` or by its base name.
    #[must_use]
    pub fn differences(&self, found: &BTreeMap<String, Vec<u8>>) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut left: BTreeMap<&str, &[u8]> =
            found.iter().map(|(name, digest)| (name.as_str(), digest.as_slice())).collect();
        let alone = self.is_single_file() && found.len() == 1;
        for resource in &self.resources {
            let name = if alone { found.keys().next().map_or("", String::as_str) } else { &resource.name };
            match left.remove(name) {
                None => differences.push(Difference::Missing(resource.name.clone())),
                Some(digest) if digest != resource.digest => {
                    differences.push(Difference::Changed(resource.name.clone()));
                }
                Some(_) => {}
            }
        }
        differences.extend(left.into_keys().map(|name| Difference::Unsigned(name.to_owned())));
        differences.sort();
        differences
    }

    pub(crate) fn read(name: &str, predicate: &Node<'_>) -> Result<Self, SealError> {
        predicate.only(&["serialization", "resources"])?;
        let serialization = predicate.object("serialization")?;
        serialization.only(&["method", "hash_type", "allow_symlinks", "ignore_paths", "shard_size"])?;
        let hash = HashKind::read(serialization.text("hash_type")?)?;
        let method = match serialization.text("method")? {
            "files" => Method::Files,
            "shards" => Method::Shards { size: shard_size(&serialization)? },
            other => {
                return Err(SealError::Value {
                    path: serialization.path("method"),
                    found: shorten(other),
                    expected: "files` or `shards",
                });
            }
        };
        let allow_symlinks = serialization.value("allow_symlinks").and_then(Value::as_bool);
        let allow_symlinks = allow_symlinks.ok_or_else(|| SealError::Field {
            path: serialization.path("allow_symlinks"),
            expected: "true or false",
        })?;
        let ignore_paths = match serialization.value("ignore_paths") {
            None => Vec::new(),
            Some(_) => serialization
                .list("ignore_paths")?
                .iter()
                .map(|path| {
                    path.as_str().map(str::to_owned).ok_or_else(|| SealError::Field {
                        path: serialization.path("ignore_paths"),
                        expected: "a list of texts",
                    })
                })
                .collect::<Result<_, _>>()?,
        };
        let resources = predicate
            .objects("resources")?
            .iter()
            .map(|resource| read_resource(resource, hash, method))
            .collect::<Result<_, _>>()?;
        let manifest = Self { name: name.to_owned(), method, hash, allow_symlinks, ignore_paths, resources };
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), SealError> {
        if self.resources.is_empty() {
            return Err(SealError::NoResources);
        }
        let mut seen = std::collections::BTreeSet::new();
        for resource in &self.resources {
            let name = match self.method {
                Method::Files => resource.name.as_str(),
                Method::Shards { .. } => {
                    resource.shard().map(|(file, ..)| file).ok_or_else(|| SealError::Name {
                        name: shorten(&resource.name),
                        reason: "a shard is named `file:start:end`",
                    })?
                }
            };
            if !(name == "." && self.resources.iter().all(|other| other.name.starts_with('.'))) {
                plain_name(name)?;
            } else if self.method == Method::Files && self.resources.len() > 1 {
                return Err(SealError::Name { name: ".".into(), reason: "`.` stands for a single file" });
            }
            if !seen.insert(resource.name.as_str()) {
                return Err(SealError::DuplicateName { name: shorten(&resource.name) });
            }
        }
        for path in &self.ignore_paths {
            plain_name(path)?;
        }
        Ok(())
    }

    pub(crate) fn predicate(&self) -> Predicate<'_> {
        let (method, shard_size) = match self.method {
            Method::Files => ("files", None),
            Method::Shards { size } => ("shards", Some(size)),
        };
        Predicate {
            resources: self
                .resources
                .iter()
                .map(|resource| ResourceJson {
                    algorithm: resource.hash.word(),
                    digest: hex(&resource.digest),
                    name: &resource.name,
                })
                .collect(),
            serialization: Serialization {
                allow_symlinks: self.allow_symlinks,
                hash_type: self.hash.word(),
                ignore_paths: &self.ignore_paths,
                method,
                shard_size,
            },
        }
    }
}

/// The written form; members in the order of their names, so that output never varies.
#[derive(Serialize)]
pub(crate) struct Predicate<'a> {
    resources: Vec<ResourceJson<'a>>,
    serialization: Serialization<'a>,
}

#[derive(Serialize)]
struct ResourceJson<'a> {
    algorithm: &'static str,
    digest: String,
    name: &'a str,
}

#[derive(Serialize)]
struct Serialization<'a> {
    allow_symlinks: bool,
    hash_type: &'static str,
    ignore_paths: &'a [String],
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard_size: Option<u64>,
}
