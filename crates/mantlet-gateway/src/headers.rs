//! Which headers go on, in both directions.
//!
//! What is end to end goes on as it came. What belongs to one connection (RFC 9110, section 7.6.1) does not, nor do
//! this gateway's keys, nor headers by which some servers read another request than the one that was looked at.

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName,
    HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};

use crate::coding::acceptable;

/// Of one connection.
fn hop(name: &HeaderName) -> bool {
    matches!(
        *name,
        CONNECTION
            | TE
            | TRAILER
            | TRANSFER_ENCODING
            | UPGRADE
            | PROXY_AUTHENTICATE
            | PROXY_AUTHORIZATION
            | CONTENT_LENGTH
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

/// Headers of a request that stay here: credentials are this gateway's, and overrides would make the upstream answer
/// something else than was asked.
fn kept(name: &HeaderName) -> bool {
    matches!(*name, HOST | EXPECT | AUTHORIZATION | COOKIE)
        || matches!(
            name.as_str(),
            "x-api-key"
                | "api-key"
                | "x-goog-api-key"
                | "forwarded"
                | "x-http-method"
                | "x-http-method-override"
                | "x-method-override"
                | "x-original-url"
                | "x-original-method"
                | "x-rewrite-url"
                | "x-forwarded-for"
                | "x-forwarded-host"
                | "x-forwarded-proto"
                | "x-forwarded-prefix"
                | "x-real-ip"
        )
        || name.as_str().starts_with("x-mantlet-")
}

/// Names that `Connection` makes headers of the connection.
fn nominated(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// The headers of a request that go to the upstream. `plain` asks for an answer without compression.
pub(crate) fn onward(headers: &HeaderMap, plain: bool) -> HeaderMap {
    onward_of(headers.clone(), plain)
}

/// The same of headers that nobody needs any more.
pub(crate) fn onward_of(headers: HeaderMap, plain: bool) -> HeaderMap {
    let nominated = nominated(&headers);
    let goes = |name: &HeaderName| !(hop(name) || kept(name) || named(&nominated, name));
    filtered(headers, 1, goes, |name, value| {
        if *name != ACCEPT_ENCODING {
            return Some(value);
        }
        acceptable(&value).filter(|_| !plain)
    })
}

fn named(nominated: &[String], name: &HeaderName) -> bool {
    nominated.iter().any(|other| other == name.as_str())
}

/// Those whose name goes, each with the value it goes with, and room for a few more.
fn filtered(
    headers: HeaderMap,
    more: usize,
    goes: impl Fn(&HeaderName) -> bool,
    with: impl Fn(&HeaderName, HeaderValue) -> Option<HeaderValue>,
) -> HeaderMap {
    let mut filtered = HeaderMap::with_capacity(headers.len() + more);
    // A further value of a header comes without its name.
    let mut last: Option<HeaderName> = None;
    for (name, value) in headers {
        let name = match (name, &last) {
            (Some(name), _) => {
                last = Some(name.clone()).filter(|name| goes(name));
                name
            }
            (None, Some(last)) => last.clone(),
            (None, None) => continue,
        };
        if last.is_some()
            && let Some(value) = with(&name, value)
        {
            filtered.append(name, value);
        }
    }
    filtered
}

/// The headers of a reply that go to the client.
pub(crate) fn back(headers: HeaderMap) -> HeaderMap {
    let nominated = nominated(&headers);
    // Cookies would be this gateway's origin's.
    let own = |name: &HeaderName| name.as_str().starts_with("x-mantlet-") || *name == SET_COOKIE;
    filtered(headers, 2, |name| !(hop(name) || own(name) || named(&nominated, name)), |_, value| Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_to_end_headers_pass_and_nothing_else() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "gateway"),
            ("authorization", "Bearer secret"),
            ("x-api-key", "secret"),
            ("connection", "close, X-Custom"),
            ("x-custom", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("x-http-method-override", "DELETE"),
            ("x-original-url", "/admin"),
            ("x-mantlet-exchange", "forged"),
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
            ("accept-encoding", "gzip, compress"),
            ("anthropic-version", "2023-06-01"),
            ("x-stainless-lang", "python"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let names = |headers: &HeaderMap| {
            let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(
            names(&onward(&headers, false)),
            ["accept-encoding", "anthropic-version", "content-encoding", "content-type", "x-stainless-lang"]
        );
        assert_eq!(onward(&headers, false)["accept-encoding"], "gzip");
        assert!(!onward(&headers, true).contains_key("accept-encoding"));
        // Several values of one header stay together and in order, or go together.
        for name in ["x-twice", "x-custom", "cookie"] {
            for value in ["a", "b"] {
                headers.append(name, value.parse().unwrap());
            }
        }
        headers.append("x-last", "c".parse().unwrap());
        let twice = onward(&headers, false);
        assert_eq!(twice.get_all("x-twice").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((twice.len(), &twice["x-last"]), (8, &"c".parse::<HeaderValue>().unwrap()));
        assert!(!names(&back(headers)).iter().any(|name| name == "x-custom" || name == "connection"));
    }
}
