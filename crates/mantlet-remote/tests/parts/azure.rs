//! A fake of Azure Blob Storage: a container with two blobs, its listing in two pages.

use mantlet_vocab::Verdict;

use super::server::{Reply, Seen, Server};
use super::{EVIL, list, look, names, reasons, verdict, weights};

fn page(blobs: &str, next: &str) -> Reply {
    Reply::new(
        200,
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"models\">\
             <Blobs>{blobs}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
        ),
    )
    .with("content-type", "application/xml")
}

fn blob(name: &str, len: usize) -> String {
    format!(
        "<Blob><Name>{name}</Name><Properties><Last-Modified>Wed, 21 Oct 2026 07:28:00 GMT</Last-Modified>\
         <Etag>0x{len}</Etag><Content-Length>{len}</Content-Length><Content-Type>application/octet-stream\
         </Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
    )
}

/// `models` with two blobs below `v1/`; whoever `may` not is answered 403.
fn account(may: impl Fn(&Seen) -> bool + Send + Sync + 'static) -> Server {
    let weights = weights(3 << 20);
    Server::start(move |seen: &Seen| {
        if !may(seen) {
            return Reply::new(403, "<Error><Code>AuthenticationFailed</Code></Error>");
        }
        let object = |bytes: &[u8]| {
            let tag = format!("0x{}", bytes.len());
            if seen.header("if-match").is_some_and(|wanted| wanted != tag) {
                return Reply::new(412, "");
            }
            Reply::file(seen, bytes, &tag)
                .with("last-modified", "Wed, 21 Oct 2026 07:28:00 GMT")
                .with("x-ms-blob-type", "BlockBlob")
        };
        match seen.path() {
            "/models" if seen.target.contains("comp=list") && seen.target.contains("marker=two") => {
                page(&blob("v1/sub/call.pkl", EVIL.len()), "")
            }
            "/models" if seen.target.contains("comp=list") => {
                page(&blob("v1/big.safetensors", weights.len()), "two")
            }
            "/models/v1/big.safetensors" => object(&weights),
            "/models/v1/sub/call.pkl" => object(EVIL),
            _ => Reply::new(404, ""),
        }
    })
}

#[test]
fn containers_are_scanned_without_and_with_each_kind_of_credentials() {
    let open = account(|seen| seen.header("authorization").is_none() && !seen.target.contains("sig="));
    let url = open.url("");
    let base = [("AZURE_STORAGE_ACCOUNT", "acc"), ("AZURE_STORAGE_ENDPOINT", url.as_str())];
    let seen = look("az://models/v1", &base, true);
    assert_eq!(
        names(&seen),
        ["az://models/v1/big.safetensors", "az://models/v1/sub/call.pkl"],
        "{}",
        reasons(&seen)
    );
    assert_eq!((verdict(&seen), seen.gaps.len()), (Verdict::Found, 0));
    let one = look("abfss://models@acc.dfs.core.windows.net/v1/big.safetensors", &base, false);
    assert_eq!(names(&one), ["abfss://models@acc.dfs.core.windows.net/v1/big.safetensors"]);
    assert_eq!(verdict(&one), Verdict::Clean, "{}", reasons(&one));

    let signed = |start: &'static str| {
        account(move |seen| seen.header("authorization").is_some_and(|value| value.starts_with(start)))
    };
    let passed = account(|seen| seen.target.contains("sig=abc%2F"));
    for (server, variable, value) in [
        (signed("SharedKey acc:"), "AZURE_STORAGE_KEY", "Z2VoZWlt"),
        (signed("Bearer geheim"), "AZURE_STORAGE_TOKEN", "geheim"),
        (passed, "AZURE_STORAGE_SAS_TOKEN", "?sv=2024-11-04&sp=rl&sig=abc%2F"),
    ] {
        let url = server.url("");
        let base = [("AZURE_STORAGE_ACCOUNT", "acc"), ("AZURE_STORAGE_ENDPOINT", url.as_str())];
        let seen = look("az://models/v1/sub/call.pkl", &[&base[..], &[(variable, value)]].concat(), false);
        assert_eq!(verdict(&seen), Verdict::Found, "{variable}: {}", reasons(&seen));
        // Without it, or with another, nothing is clean, and no secret is told.
        let without = look("az://models/v1/sub/call.pkl", &base, false);
        assert_eq!(verdict(&without), Verdict::NotFullyExamined, "{variable}");
        let bad = [&base[..], &[("AZURE_STORAGE_SAS_TOKEN", "?sig=verraten")]].concat();
        let refused = look("az://models/v1/sub/call.pkl", &bad, false);
        assert_eq!(verdict(&refused), Verdict::NotFullyExamined, "{variable}");
        assert!(!reasons(&refused).contains("verraten"), "{}", reasons(&refused));
    }
}

#[test]
fn credentials_are_for_one_account_and_what_is_wrong_is_said() {
    let fault = |uri: &str, environment: &[(&str, &str)]| list(uri, environment).unwrap_err().to_string();
    assert!(fault("az://models/x", &[]).contains("AZURE_STORAGE_ACCOUNT"));
    let clear = [("AZURE_STORAGE_ACCOUNT", "acc"), ("AZURE_STORAGE_ENDPOINT", "http://example.invalid")];
    assert!(fault("az://models/x", &clear).contains("use https"));
    let server = account(|_| true);
    let url = server.url("");
    let other = [
        ("AZURE_STORAGE_ACCOUNT", "acc"),
        ("AZURE_STORAGE_ENDPOINT", url.as_str()),
        ("AZURE_STORAGE_KEY", "Z2VoZWlt"),
    ];
    let why = fault("abfss://models@other.dfs.core.windows.net/v1", &other);
    assert!(why.contains("which is not other") && !why.contains("Z2VoZWlt"), "{why}");
    assert_eq!(server.requests().len(), 0);
    assert!(
        fault("az://models/nothing/", &[other[0], ("AZURE_STORAGE_KEY", "no base64!"), other[1]])
            .contains("AZURE_STORAGE")
    );
}
