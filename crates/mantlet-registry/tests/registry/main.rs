//! Models on disk signed and verified, and the way of a version with every gate closed once.
//!
//! Long because the store in memory and the signed folders are what every test here begins with.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rollout;
mod sequential;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use mantlet_registry::disk::{
    EVIDENCE_NAME, sign_evidence, sign_path, verify_evidence, verify_path, verify_path_without, write_whole,
};
use mantlet_registry::rollout::Rollout;
use mantlet_registry::{
    Change, DiskError, ModelVersion, Registry, RegistryError, RegistryStore, State, System, Transition,
    TrustedKeys, VersionId,
};
use mantlet_seal::{Difference, Evidence, Outcome, PrivateKey, PublicKey};
use mantlet_vocab::{Digest, Impact, Millis, Mode};

fn key() -> PrivateKey {
    PrivateKey::generate(&[7; 32]).unwrap()
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The tree the samples of the reference tool were made over.
fn sample_tree(folder: &Path) -> PathBuf {
    let tree = folder.join("tree");
    let files: [(&str, &[u8]); 11] = [
        ("日本.bin", b"z"),
        ("Upper", b"u\n"),
        (".gitignore", b"n\n"),
        ("q\"uote<&>.bin", b"q"),
        ("a-b/x", b"y\n"),
        ("empty", b""),
        ("sp ace", b"1\n"),
        ("sub/.gitignore", b"sub\n"),
        ("é.txt", b"2\n"),
        ("dotgit-note/README", b"root .git and .gitignore are excluded by default\n"),
        ("a/x", b"x\n"),
    ];
    for (name, bytes) in files {
        write(&tree.join(name), bytes);
    }
    tree
}

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../mantlet-seal/tests/oms/", $name))
    };
}

#[test]
fn samples_of_the_reference_tool_fit_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let tree = sample_tree(folder.path());
    let trusted = [PublicKey::from_pem(sample!("sample-ec256.pub")).unwrap()];
    let signature = folder.path().join("model.sig");
    fs::write(&signature, sample!("sample-key-p256.sig")).unwrap();
    assert_eq!(verify_path(&tree, &signature, &trusted).unwrap().files, 10);
    fs::write(&signature, sample!("sample-single-file-Upper.sig")).unwrap();
    assert_eq!(verify_path(&tree.join("Upper"), &signature, &trusted).unwrap().files, 1);
    // Shards never cover an empty file; it is reported, not passed over.
    fs::write(&signature, sample!("sample-key-p256-shards-4.sig")).unwrap();
    match verify_path(&tree, &signature, &trusted).unwrap_err() {
        DiskError::Differs { differences, .. } => {
            assert_eq!(differences, [Difference::Unsigned("empty".into())]);
        }
        other => panic!("{other}"),
    }
    fs::remove_file(tree.join("empty")).unwrap();
    verify_path(&tree, &signature, &trusted).unwrap();
    for text in [sample!("sample-key-p256-blake3.sig"), sample!("sample-key-p256-blake2b.sig")] {
        fs::write(&signature, text).unwrap();
        let fault = verify_path(&tree, &signature, &trusted).unwrap_err();
        assert!(matches!(fault, DiskError::Hash { .. }), "{fault}");
    }
}

#[test]
fn historical_bundles_fit_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = [PublicKey::from_pem(sample!("reference.pub")).unwrap()];
    let model = folder.path().join("m");
    write(&model.join("signme-1"), b"signme-1\n");
    write(&model.join("signme-2"), b"signme-2");
    write(&model.join("ignore-me"), b"");
    let signature = model.join("model.sig");
    for text in [sample!("reference-1.1.0.sig"), sample!("spec-key.bundle.json")] {
        fs::write(&signature, text).unwrap();
        assert_eq!(verify_path(&model, &signature, &trusted).unwrap().files, 2);
    }
    fs::write(&signature, sample!("reference-1.0.1.sig")).unwrap();
    assert!(matches!(verify_path(&model, &signature, &trusted), Err(DiskError::Differs { .. })));
    verify_path_without(&model, &signature, &trusted, &["ignore-me".to_owned()]).unwrap();
    for text in [sample!("reference-0.3.1.sig"), sample!("reference-1.0.0.sig")] {
        fs::write(&signature, text).unwrap();
        assert_eq!(verify_path(&model.join("signme-1"), &signature, &trusted).unwrap().files, 1);
    }
}

#[test]
fn every_kind_of_change_to_a_signed_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let tree = sample_tree(folder.path());
    let trusted = [key().public()];
    let (manifest, signature) = sign_path(&tree, None, &key()).unwrap();
    assert_eq!((manifest.resources.len(), signature.file_name().unwrap()), (10, "model.sig".as_ref()));
    let verified = verify_path(&tree, &signature, &trusted).unwrap();
    assert_eq!((verified.digest, verified.files), (manifest.root(), 10));
    // Signing again says the same, though the signature is there now.
    assert_eq!(sign_path(&tree, None, &key()).unwrap().0, manifest);
    let differences = || match verify_path(&tree, &signature, &trusted) {
        Err(DiskError::Differs { differences, .. }) => differences,
        other => panic!("{other:?}"),
    };
    fs::write(tree.join("a/x"), b"X\n").unwrap();
    assert_eq!(differences(), [Difference::Changed("a/x".into())]);
    fs::write(tree.join("a/x"), b"x\n").unwrap();
    fs::write(tree.join("sub/new"), b"").unwrap();
    assert_eq!(differences(), [Difference::Unsigned("sub/new".into())]);
    fs::rename(tree.join("sub/new"), tree.join(".gitignore")).unwrap();
    verify_path(&tree, &signature, &trusted).unwrap();
    fs::remove_file(tree.join("empty")).unwrap();
    assert_eq!(differences(), [Difference::Missing("empty".into())]);
    fs::write(tree.join("empty"), b"").unwrap();
    let other = PrivateKey::generate(&[8; 32]).unwrap().public();
    assert!(matches!(verify_path(&tree, &signature, &[other]), Err(DiskError::Seal { .. })));
    assert!(matches!(verify_path(&tree, &signature, &[]), Err(DiskError::Seal { .. })));
    assert!(matches!(verify_path(&tree.join("no"), &signature, &trusted), Err(DiskError::Io { .. })));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/hostname", tree.join("link")).unwrap();
        assert!(matches!(verify_path(&tree, &signature, &trusted), Err(DiskError::Special { .. })));
        assert!(matches!(sign_path(&tree, None, &key()), Err(DiskError::Special { .. })));
    }
}

#[test]
fn evidence_stands_beside_the_signature_and_belongs_to_one_root() {
    let folder = tempfile::tempdir().unwrap();
    let tree = sample_tree(folder.path());
    let (manifest, signature) = sign_path(&tree, None, &key()).unwrap();
    let evidence = Evidence {
        result: Outcome::Passed,
        at: Millis(5),
        producer: "test".into(),
        configuration: Digest::of(b""),
        tests: vec![],
        evidence: vec![],
    };
    let (path, _) = sign_evidence(&manifest, &evidence, &signature, &key()).unwrap();
    assert_eq!(path, tree.join(EVIDENCE_NAME));
    let trusted = [key().public()];
    verify_path(&tree, &signature, &trusted).unwrap();
    assert_eq!(verify_evidence(&path, manifest.root(), &trusted).unwrap(), evidence);
    assert!(verify_evidence(&path, Digest::of(b"other"), &trusted).is_err());
    assert!(verify_evidence(&signature, manifest.root(), &trusted).is_err());
    assert!(verify_path(&tree, &path, &trusted).is_err());
}

#[test]
fn private_files_are_private_from_the_first_byte_and_failures_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    write_whole(&path, b"secret", true).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let nowhere = folder.path().join("no/key.pem");
    assert!(matches!(write_whole(&nowhere, b"x", true), Err(DiskError::Io { verb: "write", .. })));
    fs::create_dir(folder.path().join("taken")).unwrap();
    assert!(write_whole(&folder.path().join("taken"), b"x", false).is_err());
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// A store in memory with the same promises.
#[derive(Default)]
struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    systems: BTreeMap<String, System>,
    versions: BTreeMap<VersionId, ModelVersion>,
    history: Vec<Transition>,
    held: BTreeSet<VersionId>,
    rollouts: BTreeMap<String, Rollout>,
}

impl RegistryStore for Memory {
    type Error = Infallible;

    async fn system(&self, name: &str) -> Result<Option<System>, Infallible> {
        Ok(self.0.lock().unwrap().systems.get(name).cloned())
    }
    async fn systems(&self) -> Result<Vec<System>, Infallible> {
        Ok(self.0.lock().unwrap().systems.values().cloned().collect())
    }
    async fn put_system(&self, system: &System) -> Result<(), Infallible> {
        self.0.lock().unwrap().systems.insert(system.name.clone(), system.clone());
        Ok(())
    }
    async fn version(&self, system: &str, version: &str) -> Result<Option<ModelVersion>, Infallible> {
        let id = VersionId { system: system.into(), version: version.into() };
        Ok(self.0.lock().unwrap().versions.get(&id).cloned())
    }
    async fn versions(&self, system: &str) -> Result<Vec<ModelVersion>, Infallible> {
        let kept = self.0.lock().unwrap();
        Ok(kept.versions.values().filter(|version| version.system == system).cloned().collect())
    }
    async fn is_held(&self, system: &str, version: &str) -> Result<bool, Infallible> {
        let id = VersionId { system: system.into(), version: version.into() };
        Ok(self.0.lock().unwrap().held.contains(&id))
    }
    async fn commit(&self, change: Change<'_>) -> Result<bool, Infallible> {
        let mut kept = self.0.lock().unwrap();
        let stale = change.updates.iter().any(|u| kept.versions.get(&u.after.id()) != u.before.as_ref());
        if stale || kept.systems.get(&change.expected.name) != Some(change.expected) {
            return Ok(false);
        }
        kept.systems.insert(change.system.name.clone(), change.system.clone());
        for update in change.updates {
            kept.versions.insert(update.after.id(), update.after.clone());
        }
        kept.history.extend_from_slice(change.history);
        Ok(true)
    }
    async fn rollout(&self, system: &str) -> Result<Option<Rollout>, Infallible> {
        Ok(self.0.lock().unwrap().rollouts.get(system).cloned())
    }
    async fn save_rollout(&self, before: Option<u64>, rollout: &Rollout) -> Result<bool, Infallible> {
        let mut kept = self.0.lock().unwrap();
        let free = match (kept.rollouts.get(&rollout.system), before) {
            (Some(kept), Some(before)) => kept.id == rollout.id && kept.revision == before,
            (Some(kept), None) => !kept.runs(),
            (None, before) => before.is_none(),
        };
        if free {
            kept.rollouts.insert(rollout.system.clone(), rollout.clone());
        }
        Ok(free)
    }
    async fn history(&self, system: &str) -> Result<Vec<Transition>, Infallible> {
        let kept = self.0.lock().unwrap();
        Ok(kept.history.iter().filter(|line| line.system == system).cloned().collect())
    }
}

type Desk = Registry<Memory, TrustedKeys>;

fn id(version: &str) -> VersionId {
    VersionId { system: "cheques".into(), version: version.into() }
}

/// A signed candidate.
fn signed(folder: &Path, version: &str) -> ModelVersion {
    let path = folder.join(version);
    write(&path.join("model.onnx"), version.as_bytes());
    let (manifest, signature) = sign_path(&path, None, &key()).unwrap();
    ModelVersion {
        system: "cheques".into(),
        version: version.into(),
        digest: manifest.root(),
        path,
        signature: Some(signature),
        state: State::Serving,
        added_by: "ada".into(),
        added: Millis(1),
        approvals: vec![],
        reasons: vec![],
        evidence: None,
    }
}

/// A registry with one system of this impact and two signed candidates of different bytes.
async fn desk(folder: &Path, impact: Impact) -> Desk {
    let registry = Registry::new(Memory::default(), TrustedKeys(vec![key().public()]));
    let system = System {
        name: "cheques".into(),
        decides: "which digits a cheque shows".into(),
        impact,
        mode: Mode::Enforce,
        owner: "ada".into(),
        created: Millis(0),
        serving: None,
        known_good: None,
    };
    registry.put_system(&system).await.unwrap();
    for version in ["v1", "v2"] {
        let model = signed(folder, version);
        let added = registry.add(model).await.unwrap();
        assert_eq!(added.state, State::Candidate, "whatever the caller claims");
    }
    registry
}

async fn admit(registry: &Desk, version: &str) {
    let known = registry.store().version("cheques", version).await.unwrap().unwrap();
    registry.admit(&known, vec!["no finding".into()], "mantlet", Millis(2)).await.unwrap();
}

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

#[test]
fn a_version_goes_its_way_and_back() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let registry = desk(folder.path(), Impact::Medium).await;
        let early = registry.promote(&id("v1"), "ada", "go", Millis(2)).await;
        assert!(matches!(early, Err(RegistryError::State { state: State::Candidate, .. })));
        admit(&registry, "v1").await;
        admit(&registry, "v2").await;
        let first = registry.promote(&id("v1"), "ada", "go", Millis(3)).await.unwrap();
        assert_eq!((first.from, first.system.serving.as_deref()), (None, Some("v1")));
        assert!(matches!(
            registry.roll_back("cheques", "ada", "x", Millis(4)).await,
            Err(RegistryError::NoKnownGood(_))
        ));
        registry.mark_known_good(&id("v1"), "ada", Millis(4)).await.unwrap();
        let second = registry.promote(&id("v2"), "ada", "better", Millis(5)).await.unwrap();
        assert_eq!(second.from.as_deref(), Some("v1"));
        let state = async |v| registry.store().version("cheques", v).await.unwrap().unwrap().state;
        assert_eq!((state("v1").await, state("v2").await), (State::KnownGood, State::Serving));
        let back = registry.roll_back("cheques", "mantlet", "attack", Millis(6)).await.unwrap();
        assert_eq!((back.from.as_deref(), back.to.version.as_str()), (Some("v2"), "v1"));
        assert_eq!((state("v1").await, state("v2").await), (State::Serving, State::Retired));
        let history = registry.store().history("cheques").await.unwrap();
        let last: Vec<_> = history.iter().rev().take(2).map(|t| (t.version.as_str(), t.to)).collect();
        assert_eq!(last, [("v1", State::Serving), ("v2", State::Retired)]);
        assert!(matches!(
            registry.promote(&id("v2"), "ada", "again", Millis(7)).await,
            Err(RegistryError::State { state: State::Retired, .. })
        ));
        assert!(matches!(
            registry.promote(&id("v9"), "a", "", Millis(7)).await,
            Err(RegistryError::NoVersion(_))
        ));
    });
}

#[test]
fn a_version_that_an_incident_holds_is_not_promoted_until_it_is_released() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let registry = desk(folder.path(), Impact::Low).await;
        admit(&registry, "v1").await;
        registry.store().0.lock().unwrap().held.insert(id("v1"));
        let fault = registry.promote(&id("v1"), "ada", "go", Millis(3)).await.unwrap_err();
        assert!(matches!(&fault, RegistryError::Held(held) if *held == id("v1")), "{fault}");
        registry.store().0.lock().unwrap().held.clear();
        registry.promote(&id("v1"), "ada", "go", Millis(4)).await.unwrap();
    });
}

#[test]
fn a_tampered_rollback_target_is_never_switched_to() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let registry = desk(folder.path(), Impact::Medium).await;
        admit(&registry, "v1").await;
        admit(&registry, "v2").await;
        registry.mark_known_good(&id("v1"), "ada", Millis(3)).await.unwrap();
        registry.promote(&id("v2"), "ada", "go", Millis(3)).await.unwrap();
        let before = registry.store().system("cheques").await.unwrap();
        let model = folder.path().join("v1/model.onnx");
        let refuse = async |what: &str| {
            let fault = registry.roll_back("cheques", "ada", "x", Millis(4)).await.unwrap_err();
            let named = matches!(fault, RegistryError::NotVerified { .. } | RegistryError::OtherBytes { .. });
            assert!(named, "{what}: {fault}");
            assert_eq!(registry.store().system("cheques").await.unwrap(), before, "{what}");
        };
        fs::write(&model, b"V1").unwrap();
        refuse("changed bytes").await;
        // Signed anew by someone with the key, but not the bytes that were admitted.
        sign_path(&folder.path().join("v1"), None, &key()).unwrap();
        refuse("other bytes, signed").await;
        fs::write(&model, b"v1").unwrap();
        sign_path(&folder.path().join("v1"), None, &PrivateKey::generate(&[9; 32]).unwrap()).unwrap();
        refuse("a stranger's signature").await;
        fs::remove_file(folder.path().join("v1/model.sig")).unwrap();
        refuse("no signature").await;
        sign_path(&folder.path().join("v1"), None, &key()).unwrap();
        registry.roll_back("cheques", "ada", "x", Millis(5)).await.unwrap();
    });
}

#[test]
fn high_impact_needs_a_second_person_for_these_very_bytes() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let registry = desk(folder.path(), Impact::High).await;
        admit(&registry, "v1").await;
        let promote = async |actor: &str| registry.promote(&id("v1"), actor, "go", Millis(9)).await;
        let closed = |result| matches!(result, Err(RegistryError::FourEyes { .. }));
        assert!(closed(promote("ada").await) && closed(promote("bob").await));
        registry.approve(&id("v1"), "ada", "mine", Millis(3)).await.unwrap();
        assert!(closed(promote("bob").await), "who added it is no second person");
        registry.approve(&id("v1"), "bob", "looked", Millis(4)).await.unwrap();
        assert!(closed(promote("bob").await), "who asks is no second person");
        let known = registry.store().version("cheques", "v1").await.unwrap().unwrap();
        assert_eq!(known.approvals.len(), 2);
        assert!(promote("ada").await.is_ok());
        let refused =
            registry.refuse(&id("v2"), vec!["a trigger".into()], "mantlet", Millis(5)).await.unwrap();
        assert_eq!(refused.state, State::Refused);
        assert!(registry.approve(&id("v2"), "bob", "but", Millis(6)).await.is_err());
        assert!(registry.promote(&id("v2"), "ada", "go", Millis(6)).await.is_err());
        assert!(matches!(registry.add(known).await, Err(RegistryError::Exists(_))));
    });
}
