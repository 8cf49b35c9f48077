//! What a remote address names, and which network addresses are nobody's business.
//!
//! Long because each kind of address is taken apart here, beside the wrong ones that are refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::RemoteError;

/// A remote address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A repository of Hugging Face, or a file or folder in it.
    Hub { kind: &'static str, repository: String, revision: String, path: String },
    /// An object or a prefix of a bucket.
    Bucket { cloud: Cloud, bucket: String, path: String },
    /// One file behind a web address.
    Web { url: String },
    /// An image or artifact of an OCI registry.
    Image { registry: String, repository: String, reference: String },
    /// A model version or a run of MLflow.
    Mlflow { server: Option<String>, what: Tracked },
    /// A file or folder of a repository of Artifactory.
    Artifactory { server: Option<String>, path: String },
    /// What a project of DVC on this machine keeps elsewhere, all of it or one path; in the remote of that name.
    Dvc { path: PathBuf, remote: Option<String> },
    /// A repository that `torch.hub` loads from.
    TorchHub { repository: String, reference: Option<String> },
}

/// Schemes that are addresses.
pub(crate) const SCHEMES: [&str; 13] =
    ["hf", "s3", "gs", "az", "abfs", "abfss", "https", "http", "oci", "mlflow", "jfrog", "dvc", "torchhub"];

/// Who keeps a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cloud {
    /// S3, or what speaks like it.
    Amazon,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage: the account, when the address names one.
    Azure(Option<String>),
}

impl Cloud {
    /// The bucket's address, without a path.
    pub(crate) fn shown(&self, bucket: &str) -> String {
        match self {
            Self::Amazon => format!("s3://{bucket}"),
            Self::Google => format!("gs://{bucket}"),
            Self::Azure(None) => format!("az://{bucket}"),
            Self::Azure(Some(account)) => format!("abfss://{bucket}@{account}.dfs.core.windows.net"),
        }
    }
}

/// What is tracked by MLflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tracked {
    Version { name: String, version: String },
    Alias { name: String, alias: String },
    Run { id: String, path: String },
}

impl Address {
    pub(crate) fn parse(uri: &str) -> Result<Self, RemoteError> {
        let wrong = |form: &'static str| RemoteError::Address { uri: shown(uri), form };
        let web = uri.starts_with("http");
        if uri.chars().any(|c| c.is_control() || (c == ' ' && web)) {
            return Err(wrong("an address: a space in it is written `%20`, a control character not at all"));
        }
        let Some((scheme, rest)) = uri.split_once("://") else { return Err(wrong("scheme://...")) };
        match scheme {
            "hf" => hub(rest).ok_or_else(|| wrong("hf://[datasets/]owner/name[@revision][/path]")),
            "s3" | "gs" => {
                let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() || !plain(path) {
                    return Err(wrong("s3://bucket/path or gs://bucket/path"));
                }
                let (bucket, path) = (bucket.to_owned(), path.to_owned());
                let cloud = if scheme == "gs" { Cloud::Google } else { Cloud::Amazon };
                Ok(Self::Bucket { cloud, bucket, path })
            }
            "az" | "abfs" | "abfss" => azure(rest).ok_or_else(|| {
                wrong("az://container/path, or abfss://container@account.dfs.core.windows.net/path")
            }),
            "jfrog" => artifactory(rest).ok_or_else(|| {
                wrong("jfrog://host/repository/path, or jfrog:///repository/path with JFROG_URL")
            }),
            "dvc" => Ok(dvc(rest)),
            "torchhub" => torch_hub(rest).ok_or_else(|| wrong("torchhub://owner/name[:reference]")),
            "https" => match stored(rest) {
                Some(path) => artifactory(&path)
                    .ok_or_else(|| wrong("https://host/artifactory/api/storage/repository/path")),
                None => Ok(Self::Web { url: uri.to_owned() }),
            },
            "http" if local_host(rest.split(['/', '?']).next().unwrap_or("")) => {
                Ok(Self::Web { url: uri.to_owned() })
            }
            "http" => Err(wrong("https://host/path: plain http is taken from this machine only")),
            "oci" => image(rest).ok_or_else(|| wrong("oci://registry/repository:tag or @sha256:digest")),
            "mlflow" => mlflow(rest).ok_or_else(|| {
                wrong("mlflow://host/models:/name/version, mlflow://host/runs:/id/path, or mlflow:///... with MLFLOW_TRACKING_URI")
            }),
            _ => Err(wrong("hf://, s3://, gs://, az://, abfss://, https://, oci://, mlflow://, jfrog://, dvc:// or torchhub://")),
        }
    }
}

/// An address without what may be secret: user names, passwords and queries.
pub(crate) fn shown(uri: &str) -> String {
    let plain: String = uri.chars().map(|c| if c.is_control() { '?' } else { c }).take(500).collect();
    let plain = plain.split(['?', '#']).next().unwrap_or("");
    match plain.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            // Repositories name revisions with the same sign.
            let host = if matches!(
                scheme,
                "http" | "https" | "mlflow" | "jfrog" | "postgres" | "postgresql" | "mysql"
            ) {
                host
            } else {
                authority
            };
            format!("{scheme}://{host}{path}")
        }
        None => plain.to_owned(),
    }
}

/// Whether a path stays where it is put.
pub(crate) fn plain(path: &str) -> bool {
    path.is_empty() || path.split('/').all(|part| !matches!(part, "." | ".."))
}

/// Bytes of a path that a server lists: what buckets allow.
const MAX_PATH: usize = 1_024;

/// Whether a path that a server lists can be that of a file.
pub(crate) fn listable(path: &str) -> bool {
    !path.is_empty() && path.len() <= MAX_PATH && plain(path) && !path.chars().any(char::is_control)
}

fn hub(rest: &str) -> Option<Address> {
    let (kind, rest) = ["datasets", "spaces", "models"]
        .into_iter()
        .find_map(|kind| Some((kind, rest.strip_prefix(kind)?.strip_prefix('/')?)))
        .unwrap_or(("models", rest));
    let mut parts = rest.splitn(3, '/');
    let (owner, name) = (parts.next()?, parts.next()?);
    let path = parts.next().unwrap_or("");
    let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
    let word = |text: &str| {
        !text.is_empty()
            && plain(text)
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    // A branch such as `refs/pr/1` is written with its slashes encoded.
    let revision = revision.replace("%2F", "/").replace("%2f", "/");
    let named = !revision.is_empty()
        && plain(&revision)
        && revision.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    let fits = word(owner) && word(name) && named && plain(path);
    let repository = format!("{owner}/{name}");
    fits.then(|| Address::Hub { kind, repository, revision, path: path.trim_end_matches('/').to_owned() })
}

/// `container/path` with the account of the environment, or `container@account.dfs.core.windows.net/path`.
fn azure(rest: &str) -> Option<Address> {
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (container, account) = match place.split_once('@') {
        Some((container, host)) => {
            let account = [".dfs.core.windows.net", ".blob.core.windows.net"]
                .into_iter()
                .find_map(|suffix| host.strip_suffix(suffix))?;
            (container, Some(account))
        }
        None => (place, None),
    };
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let fits =
        (word(container) || matches!(container, "$root" | "$web")) && account.is_none_or(word) && plain(path);
    fits.then(|| Address::Bucket {
        cloud: Cloud::Azure(account.map(str::to_owned)),
        bucket: container.to_owned(),
        path: path.to_owned(),
    })
}

fn image(rest: &str) -> Option<Address> {
    let (registry, rest) = rest.split_once('/')?;
    let (repository, reference) = match rest.split_once('@') {
        Some((repository, digest)) => {
            // A tag beside a digest says nothing more.
            let repository = repository.split(':').next()?;
            (repository, digest)
        }
        None => rest.rsplit_once(':').unwrap_or((rest, "latest")),
    };
    let fits = !registry.is_empty()
        && !repository.is_empty()
        && !registry.contains('@')
        && plain(repository)
        && repository.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_./".contains(&b))
        && (reference.starts_with("sha256:")
            || reference.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)))
        && !reference.is_empty();
    fits.then(|| Address::Image {
        registry: registry.to_owned(),
        repository: repository.to_owned(),
        reference: reference.to_owned(),
    })
}

fn mlflow(rest: &str) -> Option<Address> {
    let (server, what) = rest.split_once('/')?;
    // A user name in an address is there to mislead.
    if server.contains('@') {
        return None;
    }
    let server = (!server.is_empty()).then(|| server.to_owned());
    let what = if let Some(model) = what.strip_prefix("models:/") {
        match (model.split_once('/'), model.split_once('@')) {
            (Some((name, version)), _) if !version.contains('/') => {
                Tracked::Version { name: name.to_owned(), version: version.to_owned() }
            }
            (None, Some((name, alias))) => Tracked::Alias { name: name.to_owned(), alias: alias.to_owned() },
            _ => return None,
        }
    } else {
        let run = what.strip_prefix("runs:/")?;
        let (id, path) = run.split_once('/').unwrap_or((run, ""));
        if id.is_empty() || !plain(path) {
            return None;
        }
        Tracked::Run { id: id.to_owned(), path: path.trim_end_matches('/').to_owned() }
    };
    Some(Address::Mlflow { server, what })
}

/// `host/repository/path`, the host absent when the environment names it.
fn artifactory(rest: &str) -> Option<Address> {
    let (server, path) = rest.split_once('/')?;
    let path = path.trim_end_matches('/');
    let fits = !server.contains('@') && !path.is_empty() && plain(path);
    fits.then(|| Address::Artifactory {
        server: (!server.is_empty()).then(|| server.to_owned()),
        path: path.to_owned(),
    })
}

/// `host/repository/path`, when that is what the storage interface of Artifactory is asked for.
fn stored(rest: &str) -> Option<String> {
    let (server, path) = rest.split_once("/artifactory/api/storage/")?;
    let path = path.split(['?', '#']).next().unwrap_or("");
    (!server.is_empty() && !server.contains(['/', '?', '#'])).then(|| format!("{server}/{path}"))
}

/// A path of this machine, and `?remote=NAME`.
fn dvc(rest: &str) -> Address {
    let (path, remote) = match rest.rsplit_once("?remote=") {
        Some((path, remote)) if !remote.is_empty() => (path, Some(remote.to_owned())),
        _ => (rest, None),
    };
    Address::Dvc { path: PathBuf::from(if path.is_empty() { "." } else { path }), remote }
}

fn torch_hub(rest: &str) -> Option<Address> {
    let (repository, reference) = match rest.split_once(':') {
        Some((repository, reference)) => (repository, Some(reference)),
        None => (rest.trim_end_matches('/'), None),
    };
    let (owner, name) = repository.split_once('/')?;
    let word = |text: &str, more: &[u8]| {
        !text.is_empty()
            && plain(text)
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    let fits = word(owner, b"-_")
        && word(name, b"-_.")
        && reference.is_none_or(|reference| {
            word(reference, b"-_./") && !reference.starts_with('/') && !reference.ends_with('/')
        });
    fits.then(|| Address::TorchHub {
        repository: repository.to_owned(),
        reference: reference.map(str::to_owned),
    })
}

/// Whether a host, with or without a port, is this machine by name or number.
pub(crate) fn local_host(authority: &str) -> bool {
    // What stands before an `@` is a user name, however much it looks like a host.
    if authority.contains('@') {
        return false;
    }
    let host = host_of(authority);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The host without port and brackets.
pub(crate) fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// Whether an address belongs to a network that is not the public internet.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => private_v4(ip),
        IpAddr::V6(ip) => private_v6(ip),
    }
}

fn private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        // Carriers' networks, benchmarks, and the registry's own.
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (b == 18 || b == 19))
        || (a == 192 && b == 0 && c == 0)
}

fn private_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let inner = match segments {
        // Mapped, translated (well-known and local prefix), 6to4 and compatible addresses lead to an IPv4 one.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        [0x2002, high, low, ..] => Some((high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = inner {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        return private_v4(Ipv4Addr::new(a, b, c, d));
    }
    ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || segments[0] & 0xfe00 == 0xfc00
        || segments[0] & 0xffc0 == 0xfe80
        || segments[0] & 0xffc0 == 0xfec0
        || segments[..3] == [0x64, 0xff9b, 1]
        || (segments[0] == 0x2001 && segments[1] == 0xdb8)
}

/// A path or a word as it stands in an address.
pub(crate) fn encoded(text: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (slashes && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_and_wrong_ones_named() {
        let hub = |kind, repository: &str, revision: &str, path: &str| Address::Hub {
            kind,
            repository: repository.into(),
            revision: revision.into(),
            path: path.into(),
        };
        let parsed = |uri: &str| Address::parse(uri).unwrap();
        assert_eq!(parsed("hf://org/name"), hub("models", "org/name", "main", ""));
        assert_eq!(parsed("hf://org/name@v1/a/b.pkl"), hub("models", "org/name", "v1", "a/b.pkl"));
        assert_eq!(parsed("hf://datasets/org/d@refs%2Fpr%2F1/x"), hub("datasets", "org/d", "refs/pr/1", "x"));
        assert_eq!(
            parsed("s3://b/some/key"),
            Address::Bucket { cloud: Cloud::Amazon, bucket: "b".into(), path: "some/key".into() }
        );
        let stored = |server: Option<&str>| Address::Artifactory {
            server: server.map(str::to_owned),
            path: "models/a b.pkl".into(),
        };
        assert_eq!(parsed("jfrog://h:8081/models/a b.pkl"), stored(Some("h:8081")));
        assert_eq!(parsed("jfrog:///models/a b.pkl/"), stored(None));
        assert_eq!(
            parsed("https://h/artifactory/api/storage/models/x?list"),
            Address::Artifactory { server: Some("h".into()), path: "models/x".into() }
        );
        assert!(matches!(parsed("https://h/x?/artifactory/api/storage/a"), Address::Web { .. }));
        let tracked = |path: &str, remote: Option<&str>| Address::Dvc {
            path: path.into(),
            remote: remote.map(str::to_owned),
        };
        assert_eq!(parsed("dvc://"), tracked(".", None));
        assert_eq!(parsed("dvc:///a/b.dvc?remote=store"), tracked("/a/b.dvc", Some("store")));
        let hub_of = |reference: Option<&str>| Address::TorchHub {
            repository: "pytorch/vision".into(),
            reference: reference.map(str::to_owned),
        };
        assert_eq!(parsed("torchhub://pytorch/vision"), hub_of(None));
        assert_eq!(parsed("torchhub://pytorch/vision:release/0.20"), hub_of(Some("release/0.20")));
        let azure = |account: Option<&str>, path: &str| Address::Bucket {
            cloud: Cloud::Azure(account.map(str::to_owned)),
            bucket: "c-1".into(),
            path: path.into(),
        };
        assert_eq!(parsed("az://c-1/m/"), azure(None, "m/"));
        assert_eq!(parsed("abfss://c-1@acc.dfs.core.windows.net/m/x"), azure(Some("acc"), "m/x"));
        assert_eq!(parsed("hf://org/name/a b.pkl"), hub("models", "org/name", "main", "a b.pkl"));
        let image = |registry: &str, repository: &str, reference: &str| Address::Image {
            registry: registry.into(),
            repository: repository.into(),
            reference: reference.into(),
        };
        assert_eq!(parsed("oci://reg.example:5000/a/b:v2"), image("reg.example:5000", "a/b", "v2"));
        assert_eq!(parsed("oci://reg.example/a/b"), image("reg.example", "a/b", "latest"));
        assert_eq!(parsed("oci://r/a:t@sha256:00"), image("r", "a", "sha256:00"));
        assert_eq!(
            parsed("mlflow://h:1/models:/m/3"),
            Address::Mlflow {
                server: Some("h:1".into()),
                what: Tracked::Version { name: "m".into(), version: "3".into() }
            }
        );
        assert_eq!(
            parsed("mlflow:///models:/m@champion"),
            Address::Mlflow {
                server: None,
                what: Tracked::Alias { name: "m".into(), alias: "champion".into() }
            }
        );
        for wrong in [
            "hf://name",
            "hf://a/b@/x",
            "hf://a/../b",
            "hf://a/b/../../c",
            "s3://",
            "s3://b/../c",
            "http://example.com/x",
            "ftp://x/y",
            "oci://reg",
            "oci://reg/UPPER",
            "mlflow://h/other",
            "mlflow://h/runs:/",
            "mlflow://localhost:1@evil.example/runs:/x",
            "oci://localhost:1@evil.example/a:v1",
            "http://localhost:1@evil.example/x",
            "https://a b/",
            "s3://b/a\nb",
            "hf://a/b@x?y",
            "az://",
            "az://C/x",
            "abfss://c@evil.example/x",
            "abfss://c@evil.example#.dfs.core.windows.net/x",
            "abfss://c@a.b.dfs.core.windows.net/x",
            "az://c/../x",
            "jfrog://host",
            "jfrog://host/../x",
            "jfrog://localhost:1@evil.example/repo/x",
            "https://host/artifactory/api/storage/a/../b",
            "torchhub://owner",
            "torchhub://owner/name/more",
            "torchhub://owner/name:a/../b",
            "torchhub://owner/name:",
            "torchhub://owner/na?me",
        ] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Address::parse("http://127.0.0.1:9/x").is_ok());
        assert_eq!(shown("https://user:secret@host/a?token=b"), "https://host/a");
        assert_eq!(shown("hf://a/b@v1/x"), "hf://a/b@v1/x");
    }

    #[test]
    fn networks_that_are_not_public_are_known() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "255.255.255.255",
        ] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["8.8.8.8", "2606:4700::1111", "172.32.0.1", "::ffff:8.8.8.8"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }
}
