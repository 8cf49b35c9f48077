//! Projects of DVC on this machine, whose remotes are a web server, a fake of S3 and a folder.

use std::path::Path;

use mantlet_vocab::Verdict;

use super::server::{Reply, Seen, Server};
use super::{EVIL, list, look, names, reasons, verdict};

/// The MD5 of `EVIL`, of `\x80\x04]\x94.`, of `a: 1\n`, and of the list of a folder.
const SUMS: [&str; 4] = [
    "908a6211ad4f9114a409569ece3317ff",
    "57dcc90d201e5f5e1c028afd6be43e5e",
    "e0ccdaf42c593022e15b18cc0e96d201",
    "62e8e2772fac637fe1500118fdfec8d8",
];
const CLEAN: &[u8] = b"\x80\x04]\x94.";
/// The list of `data/` as DVC writes it.
fn manifest() -> String {
    format!(
        "[{{\"md5\": \"{}\", \"relpath\": \"a/call.pkl\"}}, {{\"md5\": \"{}\", \"relpath\": \"b.pkl\"}}, \
         {{\"md5\": \"{}\", \"relpath\": \"../out.pkl\"}}]",
        SUMS[0], SUMS[1], SUMS[1]
    )
}

fn place(sum: &str, layout: &str, ending: &str) -> String {
    format!("{layout}{}/{}{ending}", &sum[..2], &sum[2..])
}

/// What a remote holds: path below its root, and content. The last is not what its name says.
fn held() -> Vec<(String, Vec<u8>)> {
    vec![
        (place(SUMS[0], "files/md5/", ""), EVIL.to_vec()),
        (place(SUMS[1], "files/md5/", ""), CLEAN.to_vec()),
        (place(SUMS[3], "files/md5/", ".dir"), manifest().into_bytes()),
        (place(SUMS[2], "", ""), b"a: 1\r\n".to_vec()),
        (place("00000000000000000000000000000000", "files/md5/", ""), CLEAN.to_vec()),
    ]
}

fn put(root: &Path, path: &str, text: impl AsRef<[u8]>) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder can be made");
    std::fs::write(path, text).expect("the file can be written");
}

/// A project whose remote `store` has this address.
fn project(url: &str, more: &str) -> (tempfile::TempDir, String) {
    let holder = tempfile::tempdir().expect("a folder can be made");
    let root = holder.path();
    put(
        root,
        ".dvc/config",
        format!("[core]\n    remote = store\n['remote \"store\"']\n    url = {url}\n{more}"),
    );
    let out =
        |sum: &str, path: &str| format!("outs:\n- md5: {sum}\n  size: 5\n  hash: md5\n  path: {path}\n");
    put(root, "models/good.pkl.dvc", out(SUMS[1], "good.pkl"));
    put(root, "models/call.pkl.dvc", out(SUMS[0], "call.pkl"));
    put(root, "bad/other.pkl.dvc", out("00000000000000000000000000000000", "other.pkl"));
    put(root, "old/params.yaml.dvc", format!("outs:\n- md5: {}\n  path: params.yaml\n", SUMS[2]));
    put(
        root,
        "dvc.lock",
        format!(
            "schema: '2.0'\nstages:\n  train:\n    cmd: python train.py\n    deps:\n    - path: no.pkl\n      md5: {}\n    \
             outs:\n    - path: data\n      hash: md5\n      md5: {}.dir\n    - path: scores.json\n      hash: md5\n      \
             md5: {}\n",
            SUMS[0], SUMS[3], SUMS[1]
        ),
    );
    let pipeline = "stages:\n  train:\n    cmd: python train.py\n    outs:\n    - data\n    metrics:\n    - scores.json:\n        \
                    cache: false\n";
    put(root, "dvc.yaml", pipeline);
    let text = root.to_str().expect("its name is text").to_owned();
    (holder, text)
}

fn web() -> Server {
    Server::start(|seen: &Seen| {
        assert_eq!(seen.header("authorization"), None);
        match held().into_iter().find(|(path, _)| seen.path() == format!("/store/{path}")) {
            Some((_, bytes)) => Reply::file(seen, &bytes, "\"1\""),
            None => Reply::new(404, ""),
        }
    })
}

#[test]
fn what_a_project_keeps_elsewhere_is_scanned_by_its_content() {
    let server = web();
    let (_holder, root) = project(&server.url("/store"), "");
    let uri = format!("dvc://{root}");
    let seen = look(&uri, &[], false);
    let wanted = ["data/a/call.pkl", "data/b.pkl", "models/call.pkl", "models/good.pkl", "old/params.yaml"];
    assert_eq!(names(&seen), wanted.map(|path| format!("{uri}/{path}")), "{}", reasons(&seen));
    assert_eq!(verdict(&seen), Verdict::Found);
    // The file of another content, and the one that leads out of its folder; what git keeps is none.
    let gaps = reasons(&seen);
    assert_eq!(seen.gaps.len(), 2, "{gaps}");
    assert!(gaps.contains("promised was md5:0000") && gaps.contains("leads elsewhere"), "{gaps}");
    for (named, files) in [
        ("models", &["models/call.pkl", "models/good.pkl"][..]),
        ("models/good.pkl", &["models/good.pkl"]),
        ("models/good.pkl.dvc", &["models/good.pkl"]),
        ("data/a", &["data/a/call.pkl"]),
        ("old", &["old/params.yaml"]),
    ] {
        let seen = look(&format!("{uri}/{named}"), &[], false);
        let files: Vec<String> = files.iter().map(|path| format!("{uri}/{path}")).collect();
        assert_eq!(names(&seen), files, "{named}: {}", reasons(&seen));
        assert_eq!(seen.gaps.len(), 0, "{named}: {}", reasons(&seen));
    }
    assert!(list(&format!("{uri}/none"), &[]).unwrap_err().to_string().contains("nothing elsewhere"));
}

#[test]
fn folders_and_buckets_are_remotes_too() {
    let store = tempfile::tempdir().unwrap();
    for (path, bytes) in held() {
        put(store.path(), &path, bytes);
    }
    let (_holder, root) = project(store.path().to_str().unwrap(), "");
    let seen = look(&format!("dvc://{root}/models"), &[], false);
    assert_eq!((verdict(&seen), names(&seen).len()), (Verdict::Found, 2), "{}", reasons(&seen));
    // As an S3 bucket, below a prefix; by another remote that names it.
    let bucket = Server::start(|seen: &Seen| {
        match held().into_iter().find(|(path, _)| seen.path() == format!("/bucket/dvc/{path}")) {
            Some((path, bytes)) => Reply::file(seen, &bytes, &format!("\"{path}\""))
                .with("last-modified", "Wed, 21 Oct 2026 07:28:00 GMT"),
            None => Reply::new(404, ""),
        }
    });
    let url = bucket.url("");
    let more = format!("    endpointurl = {url}\n['remote \"other\"']\n    url = remote://store/dvc\n");
    let (_holder, root) = project("s3://bucket", &more);
    let uri = format!("dvc://{root}/models?remote=other");
    let seen = look(&uri, &[("AWS_ENDPOINT_URL", &url)], false);
    assert_eq!((verdict(&seen), names(&seen).len()), (Verdict::Found, 2), "{}", reasons(&seen));
    // A project may not say where credentials go.
    let own = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "geheim")];
    let before = bucket.requests().len();
    let fault = list(&uri, &own).unwrap_err().to_string();
    assert!(fault.contains("AWS_ENDPOINT_URL") && !fault.contains("geheim"), "{fault}");
    assert_eq!(bucket.requests().len(), before);
}

#[test]
fn what_cannot_be_fetched_is_said() {
    for (url, more, word) in [
        ("ssh://host/x", "", "not spoken"),
        ("s3://b/x", "    version_aware = true\n", "scan s3://b/x itself"),
        ("https://h.example/x", "    auth = basic\n", "not sent"),
        ("http://h.example/x", "", "plain http"),
        ("remote://remote", "", "no remote `remote`"),
    ] {
        let (_holder, root) = project(url, more);
        let fault = list(&format!("dvc://{root}"), &[]).unwrap_err().to_string();
        assert!(fault.contains(word), "{url}: {fault}");
    }
    let (holder, root) = project("/nowhere", "");
    let fault = list(&format!("dvc://{root}?remote=none"), &[]).unwrap_err().to_string();
    assert!(fault.contains("`none`"), "{fault}");
    let out = format!("outs:\n- md5: {}\n  hash: md5\n  path: ", SUMS[1]);
    put(holder.path(), "odd/out.dvc", format!("{out}../../up.pkl\n"));
    put(
        holder.path(),
        "odd/repo.dvc",
        format!("deps:\n- path: x\n  repo:\n    url: https://g.example/r\n{out}x\n"),
    );
    put(holder.path(), "odd/etag.dvc", "outs:\n- etag: abc\n  path: s\n");
    put(holder.path(), "odd/broken.dvc", "outs: [");
    let listing = list(&format!("dvc://{root}/odd"), &[]).unwrap();
    let gaps = format!("{:?}", listing.gaps);
    for word in ["outside of the project", "imported from another", "not tracked by the MD5", "no YAML"] {
        assert!(gaps.contains(word), "{word}: {gaps}");
    }
    assert!(listing.objects.is_empty());
    let lone = tempfile::tempdir().unwrap();
    let fault = list(&format!("dvc://{}", lone.path().display()), &[]).unwrap_err().to_string();
    assert!(fault.contains("no .dvc folder"), "{fault}");
}
