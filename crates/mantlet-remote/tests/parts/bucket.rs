//! Fakes of S3 and of Google Cloud Storage; the acceptance run asks a real S3 server process.

use mantlet_vocab::Verdict;

use super::server::{Body, Reply, Seen, Server};
use super::{EVIL, list, look, names, reasons, verdict, weights};

/// `bucket` with two objects below `models/`; `later` answers reads that are not of the first block.
fn store(later: impl Fn(&Seen, Reply) -> Reply + Send + Sync + 'static) -> Server {
    let weights = weights(9 << 20);
    Server::start(move |seen: &Seen| {
        let dated = |reply: Reply| reply.with("last-modified", "Wed, 21 Oct 2026 07:28:00 GMT");
        let entry = |key: &str, size: usize| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-10-21T07:28:00.000Z</LastModified>\
                 <ETag>&quot;{key}&quot;</ETag><Size>{size}</Size></Contents>"
            )
        };
        let object = |bytes: &[u8], key: &str| {
            let tag = format!("\"{key}\"");
            if seen.header("if-match").is_some_and(|wanted| wanted != tag) {
                return Reply::new(412, "");
            }
            let reply = dated(Reply::file(seen, bytes, &tag));
            if seen.range().is_some_and(|(start, _)| start > 0) { later(seen, reply) } else { reply }
        };
        // Google's paths are encoded whole.
        match seen.path().replace("%2F", "/").replace("%2E", ".").as_str() {
            "/bucket" | "/bucket/" | "/" => {
                let listed = entry("models/big.safetensors", weights.len())
                    + &entry("models/sub/call.pkl", EVIL.len());
                Reply::new(
                    200,
                    format!(
                        "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
                    ),
                )
            }
            "/bucket/models/big.safetensors" => object(&weights, "models/big.safetensors"),
            "/bucket/models/sub/call.pkl" => object(EVIL, "models/sub/call.pkl"),
            _ => Reply::new(404, ""),
        }
    })
}

#[test]
fn a_prefix_and_an_object_are_scanned_with_and_without_keys() {
    let server = store(|_, reply| reply);
    let url = server.url("");
    for (uri, endpoint) in
        [("s3://bucket/models", "AWS_ENDPOINT_URL"), ("gs://bucket/models", "STORAGE_EMULATOR_HOST")]
    {
        let environment = [(endpoint, &*url)];
        let seen = look(uri, &environment, true);
        assert_eq!(
            names(&seen),
            [format!("{uri}/big.safetensors"), format!("{uri}/sub/call.pkl")],
            "{}",
            reasons(&seen)
        );
        assert_eq!(verdict(&seen), Verdict::Found);
        assert_eq!(seen.gaps, []);
        assert!(server.requests().iter().all(|request| request.header("authorization").is_none()));
        let one = look(&format!("{uri}/big.safetensors"), &environment, false);
        assert_eq!(verdict(&one), Verdict::Clean, "{}", reasons(&one));
    }
    let keys =
        [("AWS_ENDPOINT_URL", &*url), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "geheim")];
    let seen = look("s3://bucket/models/sub/call.pkl", &keys, false);
    assert_eq!(verdict(&seen), Verdict::Found);
    let last = server.requests().pop().unwrap();
    let signed = last.header("authorization").unwrap_or("");
    assert!(signed.starts_with("AWS4-HMAC-SHA256") && !signed.contains("geheim"));
}

#[test]
fn objects_that_change_or_lie_are_never_clean() {
    for (word, server) in [
        ("changed", store(|_, _| Reply::new(412, ""))),
        (
            "changed",
            store(|_, mut reply| {
                reply.headers.retain(|(name, _)| name != "etag");
                reply.with("etag", "\"other\"")
            }),
        ),
        (
            "",
            store(|_, mut reply| {
                reply.headers.retain(|(name, _)| name != "content-range");
                reply.with("content-range", "bytes 0-9/9437184")
            }),
        ),
        ("", store(|_, reply| reply.body(Body::Lying(4 << 20, vec![1; 1000])))),
        ("sends more", store(|_, reply| reply.body(Body::Endless))),
    ] {
        let url = server.url("");
        let seen = look("s3://bucket/models/big.safetensors", &[("AWS_ENDPOINT_URL", &*url)], true);
        assert_eq!(verdict(&seen), Verdict::NotFullyExamined, "{word}: {}", reasons(&seen));
        assert!(reasons(&seen).contains(word), "{word}: {}", reasons(&seen));
    }
}

#[test]
fn what_is_wrong_with_the_environment_is_said() {
    let half = list("s3://b/x", &[("AWS_ACCESS_KEY_ID", "id")]).unwrap_err().to_string();
    assert!(half.contains("belong together"), "{half}");
    let clear = list("s3://b/x", &[("AWS_ENDPOINT_URL", "http://example.invalid")]).unwrap_err().to_string();
    assert!(clear.contains("use https"), "{clear}");
    let key = list("gs://b/x", &[("GOOGLE_APPLICATION_CREDENTIALS", "not-there.json")]).unwrap_err();
    assert!(key.to_string().contains("cannot be read"), "{key}");
    let server = Server::start(|_| {
        Reply::new(200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    });
    let nothing = list("s3://bucket/", &[("AWS_ENDPOINT_URL", &server.url(""))]).unwrap_err().to_string();
    assert!(nothing.contains("nothing under that name"), "{nothing}");
}
