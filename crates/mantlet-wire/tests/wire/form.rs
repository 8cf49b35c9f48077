//! Forms of several parts.

use mantlet_vocab::Kind;
use mantlet_wire::form::read_form;
use mantlet_wire::text::TextRequest;
use mantlet_wire::{Defect, Limits};
use proptest::prelude::*;

fn read(body: &[u8]) -> Result<TextRequest, Defect> {
    read_form("multipart/form-data; boundary=b", body, &Limits::default())
}

/// A form of these parts: the rest of the disposition, and the content.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (disposition, content) in parts {
        body.extend(format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n").into_bytes());
        body.extend_from_slice(content);
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    body
}

#[test]
fn fields_and_files_are_read() {
    let body = form(&[
        ("name=\"purpose\"", b"batch"),
        ("name=\"empty\"", b""),
        ("name=\"model\"", b"m"),
        ("name=\"file\"; filename=\"ignore all.jsonl\"", b"{\"a\":1}\r\n{\"b\":2}\n"),
        ("name=\"image\"; filename=\"x.png\"", b"\x89PNG\r\n--x\xff"),
    ]);
    let read = read(&body).unwrap();
    assert_eq!((read.model.as_deref(), read.opaque), (Some("m"), 1));
    let pieces: Vec<_> = read.pieces.iter().map(|p| (p.kind, p.pointer.as_str(), p.text.as_str())).collect();
    for piece in [
        (Kind::Unknown, "/0/purpose", "batch"),
        (Kind::Unknown, "/0/purpose~#", "purpose"),
        (Kind::Unknown, "/3/file/filename", "ignore all.jsonl"),
        (Kind::Document, "/3/file", "{\"a\":1}\r\n{\"b\":2}\n"),
    ] {
        assert!(pieces.contains(&piece), "{piece:?} in {pieces:?}");
    }
}

#[test]
fn what_two_servers_could_read_differently_is_refused() {
    let whole = form(&[("name=\"a\"", b"x")]);
    assert!(read(&whole).is_ok());
    let text = String::from_utf8(whole).unwrap();
    for (body, name) in [
        (format!("preamble\r\n{text}"), "wire-syntax"),
        (format!("{text}epilogue"), "wire-syntax"),
        (text.replace("--b--\r\n", ""), "wire-syntax"),
        (text.replace("\r\n", "\n"), "wire-syntax"),
        (text.replace("name=\"a\"", "name=\"a\"; name=\"b\""), "wire-duplicate-key"),
        (text.replace("name=\"a\"", "name=\"a\"; filename*=utf-8''x"), "wire-syntax"),
        (text.replace("name=\"a\"", "name=a"), "wire-syntax"),
        (text.replace("name=\"a\"", "name=\"a\\\"b\""), "wire-syntax"),
        (text.replace("name=\"a\"", ""), "wire-syntax"),
        (text.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n"), "wire-syntax"),
        (
            text.replace("\r\n\r\n", "\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\n"),
            "wire-duplicate-key",
        ),
        (text.replace("\r\n\r\n", "\r\n folded\r\n\r\n"), "wire-syntax"),
        (
            String::from_utf8(form(&[("name=\"a\"", b"x"), ("name=\"a\"", b"y")])).unwrap(),
            "wire-duplicate-key",
        ),
    ] {
        assert_eq!(read(body.as_bytes()).unwrap_err().name(), name, "{body:?}");
    }
    // One reader takes a line that only starts as the boundary for it.
    assert_eq!(read(&form(&[("name=\"a\"", b"\r\n--bx")])).unwrap_err().name(), "wire-syntax");
    assert_eq!(read(&form(&[("name=\"a\"", b"\xff")])).unwrap_err().name(), "wire-not-utf8");
    for kind in [
        "multipart/form-data",
        "multipart/mixed; boundary=b",
        "multipart/form-data; boundary=b; boundary=c",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=b b",
    ] {
        let refused = read_form(kind, &form(&[("name=\"a\"", b"x")]), &Limits::default());
        assert_eq!(refused.unwrap_err().name(), "wire-missing-field", "{kind}");
    }
    let many: Vec<(String, &[u8])> = (0..100).map(|n| (format!("name=\"n{n}\""), &b"x"[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    assert_eq!(read(&form(&many)).unwrap_err().name(), "wire-too-many");
}

proptest! {
    /// Any content comes back whole, unless it holds the boundary.
    #[test]
    fn contents_are_whole(contents in prop::collection::vec("[\\x00-\\x7f]{0,20}|(\r\n|-|b){0,12}", 1..4)) {
        prop_assume!(contents.iter().all(|content| !format!("\r\n{content}").contains("\r\n--b")));
        let names: Vec<String> = (0..contents.len()).map(|n| format!("name=\"n{n}\"; filename=\"f\"")).collect();
        let parts: Vec<(&str, &[u8])> =
            names.iter().zip(&contents).map(|(name, content)| (name.as_str(), content.as_bytes())).collect();
        let read = read(&form(&parts)).unwrap();
        for content in contents.iter().filter(|content| !content.is_empty()) {
            prop_assert!(read.pieces.iter().any(|p| p.kind == Kind::Document && p.text == *content), "{:?}", content);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "(--b|\r\n|Content-Disposition: form-data; name=\"a\"|--|x){0,20}") {
        let _ = read(&bytes);
        let _ = read(text.as_bytes());
        let _ = read(&[b"--b\r\n", text.as_bytes()].concat());
    }
}
