//! One file behind a web address, and every way a server can lie about it.

use std::sync::atomic::{AtomicUsize, Ordering};

use mantlet_vocab::{Source as _, Verdict, read_window};

use super::server::{Body, Reply, Seen, Server};
use super::{EVIL, look, names, nothing, reasons, remote, verdict, weights};

const MB: usize = 1 << 20;

#[test]
fn ranges_are_read_where_they_are_needed_and_the_bytes_are_right() {
    let bytes = weights(12 * MB + 333);
    let served = bytes.clone();
    let server = Server::start(move |seen| Reply::file(seen, &served, "\"one\""));
    let url = server.url("/big.safetensors");
    let seen = look(&url, &[], false);
    assert_eq!(verdict(&seen), Verdict::Clean, "{}", reasons(&seen));
    assert_eq!(names(&seen), [url.as_str()]);
    assert_eq!(seen.artifacts[0].size, bytes.len() as u64);
    // The structure of a safetensors file is in its header: most of the file was never asked for.
    let asked: u64 = server.requests().iter().filter_map(Seen::range).map(|(start, end)| end - start).sum();
    assert!(asked < 6 * MB as u64, "{asked} bytes asked for");
    // Read from end to end it is the same file.
    let full = look(&url, &[], true);
    assert_eq!(verdict(&full), Verdict::Clean, "{}", reasons(&full));
    assert_eq!(full.artifacts[0].digest, Some(mantlet_vocab::Digest::of(&bytes)));
    let remote = remote();
    let listing = remote.list(&url, &nothing).unwrap();
    let source = remote.open(&listing.objects[0], false).unwrap();
    for at in [0, MB - 3, 9 * MB - 1, 5, 12 * MB, 3 * MB + 7] {
        let window = read_window(&source, at as u64, 2 * MB + 9).unwrap();
        assert!(window == bytes[at..(at + 2 * MB + 9).min(bytes.len())], "{at}");
    }
    assert_eq!(source.read_at(bytes.len() as u64, &mut [0; 9]).unwrap(), 0);
}

#[test]
fn a_call_is_found_behind_an_address_and_empty_files_are_empty() {
    let server = Server::start(|seen| match seen.path() {
        "/call.pkl" => Reply::file(seen, EVIL, "\"a\""),
        "/empty" => Reply::file(seen, b"", "\"b\""),
        _ => Reply::new(404, "no"),
    });
    let seen = look(&server.url("/call.pkl?signature=geheim"), &[], false);
    assert_eq!(verdict(&seen), Verdict::Found);
    assert!(!serde_json::to_string(&seen).unwrap().contains("geheim"));
    assert_eq!(verdict(&look(&server.url("/empty"), &[], false)), Verdict::Clean);
    let missing = look(&server.url("/other"), &[], false);
    assert_eq!(verdict(&missing), Verdict::NotFullyExamined);
    assert!(reasons(&missing).contains("404"));
}

#[test]
fn a_server_without_ranges_is_copied_once_up_to_a_bound() {
    let bytes = weights(2 * MB + 5);
    let (plain, chunked) = (bytes.clone(), bytes.clone());
    let server = Server::start(move |seen| match seen.path() {
        "/plain" => Reply::new(200, plain.clone()),
        "/chunked" => Reply::new(200, "").body(Body::Chunked(chunked.clone())),
        "/long" => Reply::new(200, vec![0; 4 * MB]),
        "/endless" => Reply::new(200, "").body(Body::Endless),
        "/short" => Reply::new(200, "").body(Body::Lying(500, b"only this".to_vec())),
        _ => Reply::new(200, "").body(Body::Open(b"\x80\x04N.".to_vec())),
    });
    for path in ["/plain", "/chunked"] {
        let seen = look(&server.url(path), &[], true);
        assert_eq!(verdict(&seen), Verdict::Clean, "{path}: {}", reasons(&seen));
        assert_eq!(seen.artifacts[0].digest, Some(mantlet_vocab::Digest::of(&bytes)));
    }
    assert_eq!(server.requests().len(), 2);
    for (path, word) in [
        ("/long", "knows no ranges"),
        ("/endless", "knows no ranges"),
        ("/short", "cannot be read"),
        ("/open", "does not say how long"),
    ] {
        let seen = look(&server.url(path), &[], false);
        assert_eq!(verdict(&seen), Verdict::NotFullyExamined, "{path}");
        assert!(reasons(&seen).contains(word), "{path}: {}", reasons(&seen));
    }
}

/// A server that is honest about the first block and then does something else.
fn turncoat(later: impl Fn(&Seen, &[u8]) -> Reply + Send + Sync + 'static) -> Server {
    let bytes = weights(6 * MB);
    Server::start(move |seen| match seen.range() {
        Some((0, _)) => Reply::file(seen, &bytes, "\"one\""),
        _ => later(seen, &bytes),
    })
}

#[test]
fn a_server_that_lies_later_is_never_clean() {
    let range = |start: u64, end: u64| format!("bytes {start}-{}/{}", end - 1, 6 * MB);
    let cut = |seen: &Seen, bytes: &[u8]| {
        let (start, end) = seen.range().unwrap();
        bytes[start as usize..end as usize].to_vec()
    };
    let cases: Vec<(&str, Server)> = vec![
        (
            "not what was asked for",
            turncoat(move |seen, bytes| {
                let (start, end) = seen.range().unwrap();
                Reply::new(206, cut(seen, bytes))
                    .with("content-range", range(start + 1, end + 1))
                    .with("etag", "\"one\"")
            }),
        ),
        (
            "makes no sense",
            turncoat(move |seen, bytes| {
                Reply::new(206, cut(seen, bytes)).with("content-range", "bytes 9-5/3").with("etag", "\"one\"")
            }),
        ),
        (
            "which bytes it sends",
            turncoat(move |seen, bytes| Reply::new(206, cut(seen, bytes)).with("etag", "\"one\"")),
        ),
        (
            "not what was asked for",
            turncoat(move |seen, bytes| {
                let (start, end) = seen.range().unwrap();
                Reply::new(206, cut(seen, bytes))
                    .with("content-range", format!("bytes {start}-{}/{}", end - 1, 7 * MB))
                    .with("etag", "\"one\"")
            }),
        ),
        (
            "it changed while it was read",
            turncoat(move |seen, bytes| {
                let (start, end) = seen.range().unwrap();
                Reply::new(206, cut(seen, bytes))
                    .with("content-range", range(start, end))
                    .with("etag", "\"two\"")
            }),
        ),
        (
            "it changed while it was read",
            turncoat(move |seen, bytes| {
                let (start, end) = seen.range().unwrap();
                Reply::new(206, cut(seen, bytes)).with("content-range", range(start, end))
            }),
        ),
        (
            "bytes came where",
            turncoat(move |seen, bytes| {
                let (start, end) = seen.range().unwrap();
                Reply::new(206, &cut(seen, bytes)[1..])
                    .with("content-range", range(start, end))
                    .with("etag", "\"one\"")
            }),
        ),
        (
            "error reading",
            turncoat(move |seen, bytes| {
                let (start, end) = seen.range().unwrap();
                Reply::new(206, "")
                    .with("content-range", range(start, end))
                    .with("etag", "\"one\"")
                    .body(Body::Lying(end - start, cut(seen, bytes)[..1000].to_vec()))
            }),
        ),
        (
            "sends more than",
            turncoat(move |seen, _| {
                let (start, end) = seen.range().unwrap();
                Reply::new(206, "")
                    .with("content-range", range(start, end))
                    .with("etag", "\"one\"")
                    .body(Body::Endless)
            }),
        ),
        (
            "did not come within",
            turncoat(move |seen, _| {
                let (start, end) = seen.range().unwrap();
                Reply::new(206, "")
                    .with("content-range", range(start, end))
                    .with("etag", "\"one\"")
                    .body(Body::Slow)
            }),
        ),
        (
            "compresses it on the way",
            turncoat(move |seen, bytes| {
                let (start, end) = seen.range().unwrap();
                Reply::new(206, cut(seen, bytes))
                    .with("content-range", range(start, end))
                    .with("etag", "\"one\"")
                    .with("content-encoding", "gzip")
            }),
        ),
        ("answers 200", turncoat(|_, bytes| Reply::new(200, bytes))),
        ("answers 500", turncoat(|_, _| Reply::new(500, "sorry"))),
    ];
    for (word, server) in cases {
        let seen = look(&server.url("/a.safetensors"), &[], true);
        assert_eq!(verdict(&seen), Verdict::NotFullyExamined, "{word}: {}", reasons(&seen));
        assert!(reasons(&seen).contains(word), "{word}: {}", reasons(&seen));
    }
}

#[test]
fn a_server_that_lies_at_once_is_refused() {
    for (word, server) in [
        (
            "not what was asked for",
            Server::start(|_| Reply::new(206, "abc").with("content-range", "bytes 5-7/100")),
        ),
        (
            "not what was asked for",
            Server::start(|_| Reply::new(206, "abc").with("content-range", "bytes 0-2/100")),
        ),
        ("makes no sense", Server::start(|_| Reply::new(206, "abc").with("content-range", "bytes 0-2/*"))),
        ("redirects more than", Server::start(|seen| Reply::redirect(&format!("{}x", seen.target)))),
        ("another protocol", Server::start(|_| Reply::redirect("ftp://127.0.0.1/x"))),
        ("redirects to nowhere", Server::start(|_| Reply::new(302, ""))),
        ("answers 416", Server::start(|_| Reply::new(416, ""))),
    ] {
        let seen = look(&server.url("/a"), &[], false);
        assert_eq!(verdict(&seen), Verdict::NotFullyExamined, "{word}");
        assert!(reasons(&seen).contains(word), "{word}: {}", reasons(&seen));
    }
    // Nobody there at all.
    let gone = Server::start(|_| Reply::new(200, "")).url("/a");
    assert_eq!(verdict(&look(&gone, &[], false)), Verdict::NotFullyExamined);
}

#[test]
fn a_shortcut_that_ends_is_asked_for_again() {
    let bytes = weights(20 * MB);
    let served = bytes.clone();
    let store = Server::start(move |seen| {
        // Each signature is good for three requests.
        static USED: AtomicUsize = AtomicUsize::new(0);
        let turn = USED.fetch_add(1, Ordering::Relaxed) / 3;
        if seen.target.ends_with(&format!("sig={turn}")) || seen.range().is_some_and(|(start, _)| start == 0)
        {
            return Reply::file(seen, &served, "\"one\"");
        }
        USED.fetch_sub(1, Ordering::Relaxed);
        Reply::new(403, "expired")
    });
    let target = store.url("/blob");
    let front = Server::start(move |_| {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        Reply::redirect(&format!("{target}?sig={}", TURN.fetch_add(1, Ordering::Relaxed)))
    });
    let seen = look(&front.url("/a.safetensors"), &[], true);
    assert_eq!(verdict(&seen), Verdict::Clean, "{}", reasons(&seen));
    assert_eq!(seen.artifacts[0].digest, Some(mantlet_vocab::Digest::of(&bytes)));
    assert!(front.requests().len() >= 2);
}
