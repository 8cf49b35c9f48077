//! The cache that Hugging Face libraries keep, as they lay it out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use mantlet_scan::{Options, Silent, scan};
use mantlet_vocab::Examination;

const EVIL: &[u8] = b"cos\nsystem\n(S'true'\ntR.";

/// `hub/models--org--name` with two revisions, a blob that none names, and links that are not what they should be.
fn hub() -> (tempfile::TempDir, PathBuf) {
    let holder = tempfile::tempdir().expect("a folder for a test");
    let repository = holder.path().join("hub/models--org--name");
    let put = |path: &str, bytes: &[u8]| {
        let path = repository.join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        fs::write(path, bytes).expect("it can be written");
    };
    let link = |target: &str, path: &str| {
        let path = repository.join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        symlink(target, path).expect("it can be linked");
    };
    put("refs/main", b"abc");
    put("blobs/aaaa", EVIL);
    put("blobs/bbbb", b"{\"a\": 1}");
    put("blobs/cccc", b"\x80\x04]\x94.");
    link("../../blobs/aaaa", "snapshots/r1/model.pkl");
    link("../../../blobs/bbbb", "snapshots/r1/sub/config.json");
    link("../../blobs/bbbb", "snapshots/r2/config.json");
    (holder, repository)
}

fn look(path: &Path) -> Examination {
    scan(&[path.to_owned()], &Options::default(), &mut Silent)
}

fn names(examination: &Examination, root: &Path) -> Vec<String> {
    let short =
        |path: &str| Path::new(path).strip_prefix(root).unwrap_or(Path::new(path)).display().to_string();
    examination.artifacts.iter().map(|artifact| short(&artifact.path)).collect()
}

#[test]
fn files_are_named_by_their_snapshot_from_wherever_one_looks() {
    let (holder, repository) = hub();
    let all = [
        "blobs/cccc",
        "refs/main",
        "snapshots/r1/model.pkl",
        "snapshots/r1/sub/config.json",
        "snapshots/r2/config.json",
    ];
    let seen = look(&repository);
    assert_eq!(names(&seen, &repository), all);
    assert_eq!(seen.gaps, []);
    assert!(seen.findings.iter().all(|finding| finding.place.artifact.ends_with("r1/model.pkl")));
    assert!(!seen.findings.is_empty());
    let seen = look(&holder.path().join("hub"));
    assert_eq!(names(&seen, &repository), all);
    let snapshot = repository.join("snapshots/r1");
    let seen = look(&snapshot);
    assert_eq!(names(&seen, &snapshot), ["model.pkl", "sub/config.json"]);
    assert_eq!(seen.gaps, []);
    let seen = look(&snapshot.join("sub"));
    assert_eq!((seen.artifacts.len(), seen.gaps.len()), (1, 0));
    let file = snapshot.join("model.pkl");
    assert_eq!(names(&look(&file), &snapshot), ["model.pkl"]);
}

/// What is told of links that leave a repository.
fn leaving(seen: &Examination) -> usize {
    let link = |finding: &&mantlet_vocab::Finding| finding.message.contains("file behind a link");
    seen.findings.iter().filter(link).count()
}

#[test]
fn links_to_anywhere_else_stay_gaps() {
    let (holder, repository) = hub();
    let secret = holder.path().join("secret.pkl");
    fs::write(&secret, EVIL).expect("it can be written");
    let other = holder.path().join("hub/models--org--other");
    fs::create_dir_all(other.join("blobs")).expect("it can be made");
    fs::write(other.join("blobs/dddd"), EVIL).expect("it can be written");
    let snapshot = repository.join("snapshots/r3");
    fs::create_dir_all(&snapshot).expect("it can be made");
    symlink(&secret, snapshot.join("outside.pkl")).expect("it can be linked");
    symlink("../../../models--org--other/blobs/dddd", snapshot.join("foreign.pkl"))
        .expect("it can be linked");
    symlink("../../blobs", snapshot.join("folder")).expect("it can be linked");
    symlink("../../refs/main", snapshot.join("ref.txt")).expect("it can be linked");
    symlink("../../blobs/eeee", snapshot.join("absent.pkl")).expect("it can be linked");
    // A blob that is itself a link out of the cache.
    symlink(&secret, repository.join("blobs/ffff")).expect("it can be linked");
    symlink("../../blobs/ffff", snapshot.join("through.pkl")).expect("it can be linked");
    let seen = look(&snapshot);
    assert_eq!(names(&seen, &snapshot), Vec::<String>::new());
    assert_eq!(seen.gaps.len(), 6, "{:#?}", seen.gaps);
    // The same layout under another name is no cache.
    let plain = holder.path().join("plain");
    fs::create_dir_all(plain.join("snapshots/r1")).expect("it can be made");
    fs::create_dir_all(plain.join("blobs")).expect("it can be made");
    fs::write(plain.join("blobs/aaaa"), EVIL).expect("it can be written");
    symlink("../../blobs/aaaa", plain.join("snapshots/r1/model.pkl")).expect("it can be linked");
    assert_eq!(look(&plain.join("snapshots/r1")).gaps.len(), 1);
    // With all that a repository of the cache has it is one, whatever it is called.
    fs::create_dir_all(plain.join("refs")).expect("it can be made");
    let seen = look(&plain);
    assert_eq!((seen.gaps.len(), leaving(&seen)), (0, 0));
    symlink("../../../secret.pkl", plain.join("snapshots/r1/config.json")).expect("it can be linked");
    let seen = look(&plain);
    assert_eq!((seen.gaps.len(), leaving(&seen)), (1, 1), "{:#?}", seen.findings);
}

#[test]
fn links_to_keys_are_told_and_other_links_are_gaps() {
    let holder = tempfile::tempdir().expect("a folder for a test");
    let link = |target: &str| {
        let folder = holder.path().join(target.replace('/', "_"));
        fs::create_dir_all(&folder).expect("it can be made");
        symlink(target, folder.join("pytorch_model.bin")).expect("it can be linked");
        let seen = look(&folder);
        (seen.findings.len(), seen.gaps.len())
    };
    assert_eq!(link("../../../../../root/.ssh/id_ed25519"), (1, 1));
    assert_eq!(link("/home/user/.aws/credentials"), (1, 1));
    assert_eq!(link("/models/shared/pytorch_model.bin"), (0, 1));
    assert_eq!(link("../../keys/id_ed25519.pub"), (0, 1));
}
