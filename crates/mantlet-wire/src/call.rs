//! Which call of the protocol a method and path are.

/// A call of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `GET /v2/health/live`
    Live,
    /// `GET /v2/health/ready`
    Ready,
    /// `GET /v2`
    ServerMetadata,
    /// A call about one model.
    Model {
        /// The model.
        model: String,
        /// The version, when the path names one.
        version: Option<String>,
        /// What is asked.
        verb: Verb,
    },
    /// Shared-memory registration, which would hide inputs from inspection.
    SharedMemory,
    /// Loading, unloading, tracing, logging settings and the repository index: administration, not inference.
    Administration,
    /// A known path with a method it does not have.
    WrongMethod,
    /// Nothing of this protocol.
    Unknown,
}

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `POST .../infer`
    Infer,
    /// `GET .../ready`
    Ready,
    /// `GET ...`
    Metadata,
    /// `GET .../config`
    Config,
    /// `GET .../stats`
    Statistics,
}

/// The call that a method and a path (without query) make.
///
/// Path segments must be plain: percent-encoding, empty and dot segments make it [`Call::Unknown`], so that
/// no two servers can read one path differently.
#[must_use]
pub fn call(method: &str, path: &str) -> Call {
    let mut segments = [""; 9];
    let mut count = 0;
    let rest = path.strip_prefix('/').unwrap_or("\u{0}");
    let rest = if matches!(rest, "v2/") { "v2" } else { rest };
    for segment in rest.split('/') {
        let plain = !segment.is_empty()
            && segment.len() <= 256
            && segment != "."
            && segment != ".."
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'+'));
        match segments.get_mut(count) {
            Some(slot) if plain => *slot = segment,
            _ => return Call::Unknown,
        }
        count += 1;
    }
    let parts = &segments[..count];
    let (expects, call) = match parts {
        ["v2"] => ("GET", Call::ServerMetadata),
        ["v2", "health", "live"] => ("GET", Call::Live),
        ["v2", "health", "ready"] => ("GET", Call::Ready),
        ["v2", "systemsharedmemory" | "cudasharedmemory" | "xpusharedmemory", ..] => {
            return Call::SharedMemory;
        }
        ["v2", "repository", ..] | ["v2", "logging"] | ["v2", "trace", ..] | ["v2", "models", "stats"] => {
            return Call::Administration;
        }
        ["v2", "models", _, "trace", ..] => return Call::Administration,
        ["v2", "models", model, "versions", version, rest @ ..] => match verb(rest) {
            Some((method, verb)) => (
                method,
                Call::Model { model: (*model).to_owned(), version: Some((*version).to_owned()), verb },
            ),
            None => return Call::Unknown,
        },
        ["v2", "models", model, rest @ ..] => match verb(rest) {
            Some((method, verb)) => (method, Call::Model { model: (*model).to_owned(), version: None, verb }),
            None => return Call::Unknown,
        },
        _ => return Call::Unknown,
    };
    if method == expects || (expects == "GET" && method == "HEAD") { call } else { Call::WrongMethod }
}

fn verb(rest: &[&str]) -> Option<(&'static str, Verb)> {
    Some(match rest {
        [] => ("GET", Verb::Metadata),
        ["infer"] => ("POST", Verb::Infer),
        ["ready"] => ("GET", Verb::Ready),
        ["config"] => ("GET", Verb::Config),
        ["stats"] => ("GET", Verb::Statistics),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_one_way_only() {
        let model = |version: Option<&str>, verb| Call::Model {
            model: "digits".into(),
            version: version.map(Into::into),
            verb,
        };
        for (method, path, expected) in [
            ("GET", "/v2", Call::ServerMetadata),
            ("GET", "/v2/", Call::ServerMetadata),
            ("GET", "/v2/health/live", Call::Live),
            ("GET", "/v2/health/ready", Call::Ready),
            ("POST", "/v2/health/ready", Call::WrongMethod),
            ("POST", "/v2/models/digits/infer", model(None, Verb::Infer)),
            ("POST", "/v2/models/digits/versions/2/infer", model(Some("2"), Verb::Infer)),
            ("GET", "/v2/models/digits/versions/2/infer", Call::WrongMethod),
            ("GET", "/v2/models/digits", model(None, Verb::Metadata)),
            ("GET", "/v2/models/digits/versions/2", model(Some("2"), Verb::Metadata)),
            ("GET", "/v2/models/digits/ready", model(None, Verb::Ready)),
            ("GET", "/v2/models/digits/config", model(None, Verb::Config)),
            ("GET", "/v2/models/digits/versions/1/stats", model(Some("1"), Verb::Statistics)),
            ("POST", "/v2/systemsharedmemory/region/x/register", Call::SharedMemory),
            ("POST", "/v2/cudasharedmemory/status", Call::SharedMemory),
            ("POST", "/v2/repository/models/digits/load", Call::Administration),
            ("POST", "/v2/repository/index", Call::Administration),
            ("POST", "/v2/models/digits/../x/infer", Call::Unknown),
            ("POST", "/v2/models/dig%69ts/infer", Call::Unknown),
            ("POST", "/v2//models/digits/infer", Call::Unknown),
            ("POST", "/v2/models/digits/infer/", Call::Unknown),
            ("POST", "v2/models/digits/infer", Call::Unknown),
            ("POST", "", Call::Unknown),
            ("GET", "/v1/models", Call::Unknown),
        ] {
            assert_eq!(call(method, path), expected, "{method} {path}");
        }
    }
}
