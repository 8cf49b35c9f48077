//! Requirements come from somewhere else than the usual index.

use mantlet_formats::Facts;
use mantlet_formats::requirements::{Foreign, Origin};
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "package-foreign-source",
    title: "requirements are fetched from an unusual place",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0010.001"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Requirements come from somewhere else than the usual index.
pub(crate) struct PackageForeignSource;

impl Rule for PackageForeignSource {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Requirements(list) = facts else { return };
        for foreign in &list.foreign {
            let Some((what, severity)) = judged(foreign) else { continue };
            let at =
                if foreign.line == 0 { place.clone() } else { place.part(format!("line {}", foreign.line)) };
            found.push(ABOUT.finding(at, format!("`{}` {what}", foreign.text)).severity(severity));
        }
        if !list.unpinned.is_empty() {
            let few: Vec<&str> = list.unpinned.iter().take(5).map(String::as_str).collect();
            let message = format!(
                "{} of {} requirements have no exact version: {}",
                list.unpinned.len(),
                list.named,
                few.join(", ")
            );
            found.push(ABOUT.finding(place.clone(), message).severity(Severity::Note));
        }
    }
}

/// What installing it means, and how bad that is.
fn judged(foreign: &Foreign) -> Option<(&'static str, Severity)> {
    let numeric = foreign.host.contains(':')
        || !foreign.host.is_empty() && foreign.host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let loopback = matches!(foreign.host.as_str(), "localhost" | "127.0.0.1" | "::1");
    let among = |hosts: &[&str]| {
        hosts.iter().any(|host| {
            foreign.host.strip_suffix(host).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    };
    let jax = foreign.text.contains("://storage.googleapis.com/jax-releases/");
    let (own, shared) = (among(&OWN) || jax, among(&SHARED));
    if foreign.origin == Origin::Local {
        return Some(("is installed from beside it, with whatever its build runs", Severity::Note));
    }
    if foreign.origin == Origin::Command {
        let why = "is a command where a requirement should be, for a tool that hands the line to a shell";
        return Some((why, Severity::Malicious));
    }
    if loopback {
        return None;
    }
    if foreign.plain {
        let why = "is fetched without encryption: anybody on the way can replace it";
        return Some((why, Severity::Suspicious));
    }
    let what = match foreign.origin {
        _ if numeric => "is fetched from a bare address",
        Origin::Unchecked => "switches the check of the server's certificate off",
        Origin::Index => "lets another index supply any package by name",
        Origin::Archive => "runs the build of an archive that no index vouches for",
        Origin::RemoteList => "lets a page on the network decide what is installed",
        Origin::Repository => "runs whatever the repository holds that day",
        Origin::PinnedRepository | Origin::Local | Origin::Command => {
            "is built from a repository at a fixed revision"
        }
    };
    let ordinary = match foreign.origin {
        Origin::Index => own,
        Origin::PinnedRepository => own || shared,
        _ => false,
    };
    // Anybody can publish on a shared host: an index there is anybody's.
    let light = match foreign.origin {
        Origin::PinnedRepository => true,
        Origin::Archive | Origin::Repository => own || shared,
        _ => own,
    };
    (!ordinary).then_some((what, if light { Severity::Note } else { Severity::Suspicious }))
}

/// Where the machine-learning libraries themselves say to fetch from.
const OWN: [&str; 10] = [
    "pypi.org",
    "files.pythonhosted.org",
    "conda.anaconda.org",
    "repo.anaconda.com",
    "download.pytorch.org",
    "data.pyg.org",
    "pypi.nvidia.com",
    "pypi.ngc.nvidia.com",
    "developer.download.nvidia.com",
    "wheels.vllm.ai",
];
/// Where they keep their repositories, as everybody may.
const SHARED: [&str; 6] = [
    "github.com",
    "gitlab.com",
    "bitbucket.org",
    "codeberg.org",
    "huggingface.co",
    "raw.githubusercontent.com",
];
