//! Repositories that `torch.hub` loads from: the archive of one commit, and what its `hubconf.py` fetches from elsewhere.

use http::StatusCode;

use crate::address::{Address, encoded, shown};
use crate::http::{Ask, Http, Secret};
use crate::{Environment, Listing, Object, Reachable, RemoteError, web};

/// Addresses of weights that are told of one repository.
const MAX_WEIGHTS: usize = 1_000;
/// Endings of files that are weights or hold them.
const WEIGHTS: [&str; 16] = [
    ".pth",
    ".pt",
    ".bin",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".safetensors",
    ".onnx",
    ".npz",
    ".npy",
    ".h5",
    ".tar",
    ".tgz",
    ".gz",
    ".zip",
    ".th",
];

/// The interface of GitHub, and who asks.
#[derive(Debug)]
pub(crate) struct Forge {
    api: String,
    secret: Option<Secret>,
}

impl Forge {
    pub(crate) fn new(environment: Environment<'_>) -> Result<Self, RemoteError> {
        let wrong = |why: String| RemoteError::Environment { variable: "GITHUB_API_URL", why };
        let said = |name: &str| environment(name).filter(|value| !value.is_empty());
        let api = said("GITHUB_API_URL").unwrap_or_else(|| "https://api.github.com".to_owned());
        let api = api.trim_end_matches('/').to_owned();
        if !(api.starts_with("https://") || api.starts_with("http://")) {
            return Err(wrong("it is no web address".into()));
        }
        let token = said("GITHUB_TOKEN").or_else(|| said("GH_TOKEN"));
        let secret = token.map(|token| Secret::new(&api, &format!("Bearer {token}"))).transpose();
        Ok(Self { secret: secret.map_err(wrong)?, api })
    }

    fn ask(&self, repository: &str, path: &str, accept: Option<&'static str>) -> Ask {
        Ask {
            url: format!("{}/repos/{repository}/{path}", self.api),
            home: self.api.clone(),
            secret: self.secret.clone(),
            accept,
            ..Ask::default()
        }
    }

    fn said(&self, status: StatusCode) -> String {
        let hint = match status.as_u16() {
            403 | 404 | 429 if self.secret.is_none() => {
                "; a private repository, or more than some sixty requests an hour, need GITHUB_TOKEN"
            }
            _ => "",
        };
        web::said(status) + hint
    }
}

pub(crate) async fn list(http: &Http, forge: &Forge, address: &Address) -> Result<Listing, String> {
    let Address::TorchHub { repository, reference } = address else { return Ok(Listing::default()) };
    let mut listing = Listing::new(&http.limits);
    let (reference, commit) = commit(http, forge, repository, reference.as_deref()).await?;
    let name = format!("torchhub://{repository}:{}", reference.replace('/', "%2F"));
    listing.notes.push(format!("{name} is commit {commit}"));
    let path = format!("contents/hubconf.py?ref={commit}");
    let ask = forge.ask(repository, &path, Some("application/vnd.github.raw+json"));
    let (status, _, body) = http.document(&ask).await?;
    match status {
        StatusCode::OK => {
            for address in weights(&String::from_utf8_lossy(&body)) {
                listing.gap(
                    &shown(&address),
                    format!("weights that hubconf.py of {name} names are not part of the repository"),
                    "scan that address",
                );
            }
        }
        StatusCode::NOT_FOUND => {
            listing.notes.push(format!("{name} has no hubconf.py: torch.hub would load nothing from it"));
        }
        status => listing.gap(&format!("{name}/hubconf.py"), forge.said(status), "look at it yourself"),
    }
    listing.objects.push(Object {
        name: format!("{name}/source.zip"),
        path: String::new(),
        promised: None,
        pinned: false,
        reach: Reachable::Web(forge.ask(repository, &format!("zipball/{commit}"), None)),
    });
    Ok(listing)
}

/// The reference that is loaded, and the commit it stands for: without one `main`, else `master`, as torch does.
async fn commit(
    http: &Http,
    forge: &Forge,
    repository: &str,
    reference: Option<&str>,
) -> Result<(String, String), String> {
    let candidates = reference.map_or_else(|| vec!["main", "master"], |reference| vec![reference]);
    let mut last = String::new();
    for candidate in candidates {
        let path = format!("commits/{}", encoded(candidate, true));
        let ask = forge.ask(repository, &path, Some("application/vnd.github.sha"));
        let (status, _, body) = http.document(&ask).await?;
        match status {
            StatusCode::OK => {
                let sha = std::str::from_utf8(&body).unwrap_or("").trim();
                if sha.len() != 40 || !sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err("the server does not say which commit that is".into());
                }
                return Ok((candidate.to_owned(), sha.to_owned()));
            }
            // A repository or a reference that is not there.
            StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => last = forge.said(status),
            status => return Err(forge.said(status)),
        }
    }
    Err(last)
}

/// Addresses of weights among the strings of a Python text, in their order; comments are passed over.
pub(crate) fn weights(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for string in strings(text) {
        // A docstring may hold several.
        for word in string.split(|c: char| c.is_whitespace() || "<>()[],;`'\"".contains(c)) {
            let address = word.trim_end_matches(['.', ':']);
            if !(address.starts_with("https://") || address.starts_with("http://")) {
                continue;
            }
            let path = address.split(['?', '#']).next().unwrap_or("").to_ascii_lowercase();
            let ends = WEIGHTS.iter().any(|ending| path.ends_with(ending));
            if ends && found.len() < MAX_WEIGHTS && !found.iter().any(|other| other == address) {
                found.push(address.to_owned());
            }
        }
    }
    found
}

/// The strings of a Python text, by its quotes alone.
fn strings(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'#' => at += bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at),
            b'"' | b'\'' => {
                let triple = bytes.get(at..at + 3).is_some_and(|three| three.iter().all(|one| *one == byte));
                let width = if triple { 3 } else { 1 };
                let start = at + width;
                at = start;
                loop {
                    match bytes.get(at) {
                        None => break,
                        Some(b'\\') => at += 2,
                        Some(b'\n') if !triple => break,
                        Some(_)
                            if bytes[at..].iter().take(width).filter(|one| **one == byte).count()
                                == width =>
                        {
                            break;
                        }
                        Some(_) => at += 1,
                    }
                }
                let end = at.min(bytes.len());
                // Quotes and backslashes stand alone in UTF-8, but what follows a backslash may be cut.
                found.extend(text.get(start..end));
                at = end + width;
            }
            _ => at += 1,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_a_hubconf_names_are_found_in_strings_only() {
        let text = "dependencies = ['torch']\n\
             # https://example.com/comment.pth\n\
             a = load_state_dict_from_url('https://dl.example/a.pth?x=1', progress=True)  # it's \"odd\n\
             b = f\"https://dl.example/{name}.pt\"\n\
             c = 'don\\'t' + \"https://dl.example/c.safetensors\"\n\
             d = \"\"\"See https://docs.example/page.html and https://dl.example/d.zip.\n\"\"\"\n\
             e = 'https://dl.example/a.pth?x=1'\n\
             f = 'unclosed https://dl.example/f.bin\n\
             g = 'https://docs.example/'\n";
        assert_eq!(
            weights(text),
            [
                "https://dl.example/a.pth?x=1",
                "https://dl.example/{name}.pt",
                "https://dl.example/c.safetensors",
                "https://dl.example/d.zip",
                "https://dl.example/f.bin",
            ]
        );
        for odd in ["'", "\"\"\"", "'\\", "'é\\é'", "\"\"\"\"", "#"] {
            assert_eq!(weights(odd), Vec::<String>::new(), "{odd}");
        }
    }
}
