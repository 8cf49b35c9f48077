//! Admission on record: the candidate is kept, judged, signed and entered in the audit log.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mantlet_detectors::{Learning, Profile};
use mantlet_registry::disk::{self, write_whole};
use mantlet_registry::{ModelVersion, Registry, RegistryStore as _, State, System, TrustedKeys, VersionId};
use mantlet_seal::{Evidence, EvidenceItem, Outcome, PrivateKey, TestOutcome};
use mantlet_store::Store;
use mantlet_verdict::{Admission, Admit, ReasonKind};
use mantlet_vocab::{Digest, Millis};

use super::subject::Subject;
use crate::config::{Config, Loaded};

/// The signing key of an installation, made at first use, readable by its owner only.
pub fn signing_key(storage: &Path) -> anyhow::Result<PrivateKey> {
    let path = storage.join("keys/signing.pem");
    if path.exists() {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        return PrivateKey::from_pem(&text).with_context(|| format!("{} is no signing key", path.display()));
    }
    let folder = path.parent().unwrap_or(storage);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let key = loop {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy)
            .map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))?;
        // One draw in 2^32 is no scalar of the curve.
        if let Ok(key) = PrivateKey::generate(&entropy) {
            break key;
        }
    };
    write_whole(&path, key.to_pem()?.as_bytes(), true)?;
    write_whole(&path.with_file_name("signing.pub"), key.public().to_pem().as_bytes(), false)?;
    Ok(key)
}

/// The keys whose signatures count: our own and those in `keys/trusted/*.pub`.
pub fn trusted_keys(storage: &Path) -> anyhow::Result<TrustedKeys> {
    let mut keys = Vec::new();
    let mut files: Vec<PathBuf> = vec![storage.join("keys/signing.pub")];
    if let Ok(entries) = std::fs::read_dir(storage.join("keys/trusted")) {
        files.extend(
            entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|e| e == "pub")),
        );
    }
    for file in files.iter().filter(|file| file.exists()) {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        keys.push(
            mantlet_seal::PublicKey::from_pem(&text)
                .with_context(|| format!("{} is no public key", file.display()))?,
        );
    }
    Ok(TrustedKeys(keys))
}

/// Where a version's files are kept.
pub fn version_folder(loaded: &Loaded, version: &str) -> PathBuf {
    loaded.versions_folder().join(version)
}

/// Whether a version went through `protect` with rows enough for a profile: its evidence lists one. When the file is
/// not there, it was lost.
pub fn has_learned_profile(folder: &Path) -> bool {
    let evidence = std::fs::read(folder.join("evidence.json")).ok();
    let evidence: Option<Evidence> = evidence.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    evidence.is_some_and(|evidence| evidence.evidence.iter().any(|item| item.name == PROFILE))
}

/// The file of a version's profile.
pub const PROFILE: &str = "profile.json";

/// The profile of the configured version, when `protect` made one.
///
/// # Errors
/// When the file is there and is no profile.
pub fn profile(loaded: &Loaded) -> anyhow::Result<Option<Profile>> {
    let path = version_folder(loaded, &loaded.config.model.version).join(PROFILE);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is no profile: run `mantlet protect` again", path.display()))
            .map(Some),
        Err(_) => Ok(None),
    }
}

/// The class names of the configured version's profile; empty when there is none.
pub fn class_names(loaded: &Loaded) -> Vec<String> {
    let path = version_folder(loaded, &loaded.config.model.version).join(PROFILE);
    let profile: Option<Profile> =
        std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    profile.map(|profile| profile.classes).unwrap_or_default()
}

/// Everything the judgement of a version rests on.
pub struct Judged<'a> {
    /// The configuration.
    pub loaded: &'a Loaded,
    /// The decision.
    pub admission: &'a Admission,
    /// Model and rows, when probes could run.
    pub subject: Option<&'a Subject>,
    /// Evidence files: name, media type, contents.
    pub evidence: Vec<(&'static str, &'static str, Vec<u8>)>,
    /// Who asked for it.
    pub actor: &'a str,
}

/// What is on record now.
pub struct Recorded {
    /// The version.
    pub version: ModelVersion,
    /// The signature, when it was admitted.
    pub passport: Option<PathBuf>,
}

/// Keeps a copy of the candidate and its evidence, and admits, refuses or leaves it to a person.
///
/// # Errors
/// When the version is on record with other bytes, or something cannot be written.
pub async fn record(store: &Store, judged: &Judged<'_>) -> anyhow::Result<Recorded> {
    let Loaded { config, .. } = judged.loaded;
    let storage = judged.loaded.storage();
    let key = signing_key(&storage)?;
    let registry = Registry::new(store.clone(), trusted_keys(&storage)?);
    ensure_system(&registry, config, store.now()).await?;
    let model = judged.loaded.path(&config.model.path);
    let digest = disk::manifest_of(&model, None)?.root();
    let id = VersionId { system: config.system.name.clone(), version: config.model.version.clone() };
    let known = store.version(&id.system, &id.version).await?;
    if let Some(known) = &known
        && known.digest != digest
    {
        anyhow::bail!(
            "version {} of {} is on record with other bytes ({}): give this file another `model.version`",
            id.version,
            id.system,
            known.digest
        );
    }
    let folder = version_folder(judged.loaded, &id.version);
    let kept = keep(&model, &folder)?;
    let mut items = Vec::new();
    if let Some(profile) = learn_profile(judged.subject)? {
        items.push(write_evidence(&folder, PROFILE, "application/json", &serde_json::to_vec(&profile)?)?);
    }
    for (name, media_type, bytes) in &judged.evidence {
        items.push(write_evidence(&folder, name, media_type, bytes)?);
    }
    let candidate = match known {
        Some(known) => known,
        None => {
            registry
                .add(ModelVersion {
                    system: id.system.clone(),
                    version: id.version.clone(),
                    digest,
                    path: kept,
                    signature: None,
                    state: State::Candidate,
                    added_by: judged.actor.to_owned(),
                    added: store.now(),
                    approvals: Vec::new(),
                    reasons: Vec::new(),
                    evidence: None,
                })
                .await?
        }
    };
    let evidence = evidence(judged, items, store.now())?;
    write_whole(&folder.join("evidence.json"), &serde_json::to_vec_pretty(&evidence)?, false)?;
    if candidate.state != State::Candidate {
        let passport = candidate.signature.clone();
        return Ok(Recorded { version: candidate, passport });
    }
    let reasons: Vec<String> = judged.admission.deciding().map(|reason| reason.plain.clone()).collect();
    match judged.admission.decision {
        Admit::Admit => {
            let version =
                sign_and_admit(&registry, candidate, &evidence, &key, reasons, judged.actor, store.now())
                    .await?;
            let passport = version.signature.clone();
            Ok(Recorded { version, passport })
        }
        Admit::Refuse => {
            let version = registry.refuse(&id, reasons, judged.actor, store.now()).await?;
            Ok(Recorded { version, passport: None })
        }
        Admit::NeedsPerson => Ok(Recorded { version: candidate, passport: None }),
    }
}

/// A person admits a candidate that the policy left to them.
///
/// # Errors
/// When it is no candidate, or its files are not what was judged.
pub async fn by_person(
    store: &Store,
    loaded: &Loaded,
    id: &VersionId,
    actor: &str,
    note: &str,
) -> anyhow::Result<ModelVersion> {
    let storage = &loaded.storage();
    let registry = Registry::new(store.clone(), trusted_keys(storage)?);
    let candidate = store
        .version(&id.system, &id.version)
        .await?
        .with_context(|| format!("{id} is not on record: run `mantlet protect` first"))?;
    let path = version_folder(loaded, &id.version).join("evidence.json");
    let text = std::fs::read(&path)
        .with_context(|| format!("cannot read {}: run `mantlet protect` again", path.display()))?;
    let mut evidence: Evidence = serde_json::from_slice(&text)?;
    evidence.result = Outcome::Warned;
    evidence.at = store.now();
    evidence.tests.push(TestOutcome {
        name: "a person's decision".to_owned(),
        result: Outcome::Warned,
        note: format!("{actor}: {note}"),
    });
    let reasons = vec![format!("{actor} accepted what the policy left to a person: {note}")];
    sign_and_admit(&registry, candidate, &evidence, &signing_key(storage)?, reasons, actor, store.now()).await
}

async fn sign_and_admit(
    registry: &Registry<Store, TrustedKeys>,
    candidate: ModelVersion,
    evidence: &Evidence,
    key: &PrivateKey,
    reasons: Vec<String>,
    actor: &str,
    at: Millis,
) -> anyhow::Result<ModelVersion> {
    let folder = candidate.path.parent().and_then(Path::parent).unwrap_or(Path::new(".")).to_owned();
    let (manifest, signature) = disk::sign_path(&candidate.path, Some(&folder.join("model.sig")), key)?;
    let (_, digest) = disk::sign_evidence(&manifest, evidence, &signature, key)?;
    let signed = ModelVersion { signature: Some(signature), evidence: Some(digest), ..candidate };
    Ok(registry.admit(&signed, reasons, actor, at).await?)
}

async fn ensure_system(
    registry: &Registry<Store, TrustedKeys>,
    config: &Config,
    now: Millis,
) -> anyhow::Result<()> {
    let known = registry.store().system(&config.system.name).await?;
    let system = System {
        name: config.system.name.clone(),
        decides: config.system.decides.clone(),
        impact: config.system.impact,
        mode: config.gateway.mode,
        owner: config.system.owner.clone(),
        created: known.as_ref().map_or(now, |known| known.created),
        serving: known.as_ref().and_then(|known| known.serving.clone()),
        known_good: known.as_ref().and_then(|known| known.known_good.clone()),
    };
    if known.as_ref() != Some(&system) {
        registry.put_system(&system).await?;
    }
    Ok(())
}

/// Copies the model into the version's folder, so that what was admitted is there to roll back to.
fn keep(model: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let name = model.file_name().context("`model.path` names no file")?;
    let target = folder.join("model").join(name);
    let parent = target.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    if model.is_dir() {
        copy_folder(model, &target)?;
    } else {
        copy_file(model, &target)?;
    }
    Ok(target.canonicalize().unwrap_or(target))
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        // Links were refused when the manifest was taken; only folders and files are left.
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?
        } else {
            copy_file(&entry.path(), &target)?
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    let partial = to.with_extension("partial");
    std::fs::copy(from, &partial).and_then(|_| std::fs::rename(&partial, to)).with_context(|| {
        format!("cannot copy {} to {}: check that there is space", from.display(), to.display())
    })
}

/// The request profile learned from the training rows; `None` when there are too few.
pub fn learn_profile(subject: Option<&Subject>) -> anyhow::Result<Option<Profile>> {
    let Some(subject) = subject else { return Ok(None) };
    let learning = Learning {
        inputs: &subject.inputs,
        labels: Some(&subject.ground.train.y),
        classes: &subject.classes,
        scores: None,
        outlier_rate: 0.001,
        seed: 1,
    };
    match Profile::learn(&learning) {
        Ok(profile) => Ok(Some(profile)),
        Err(mantlet_detectors::ProfileError::Rows { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write_evidence(folder: &Path, name: &str, media_type: &str, bytes: &[u8]) -> anyhow::Result<EvidenceItem> {
    write_whole(&folder.join(name), bytes, false)?;
    Ok(EvidenceItem { name: name.to_owned(), media_type: media_type.to_owned(), digest: Digest::of(bytes) })
}

fn evidence(judged: &Judged<'_>, items: Vec<EvidenceItem>, at: Millis) -> anyhow::Result<Evidence> {
    let admission = judged.admission;
    let outcome = |kind: ReasonKind| match kind {
        ReasonKind::Passed | ReasonKind::Noted => Outcome::Passed,
        ReasonKind::NotExamined => Outcome::NotExamined,
        ReasonKind::Asks => Outcome::Warned,
        ReasonKind::Refuses => Outcome::Failed,
    };
    let tests = admission.reasons.iter().map(|reason| TestOutcome {
        name: reason.evidence.clone(),
        result: outcome(reason.kind),
        note: reason.plain.clone(),
    });
    Ok(Evidence {
        result: match admission.decision {
            Admit::Admit => Outcome::Passed,
            Admit::NeedsPerson => Outcome::Warned,
            Admit::Refuse => Outcome::Failed,
        },
        at,
        producer: format!("mantlet {}", env!("CARGO_PKG_VERSION")),
        configuration: Digest::of(serde_json::to_string(&judged.loaded.config)?.as_bytes()),
        tests: tests.collect(),
        evidence: items,
    })
}
