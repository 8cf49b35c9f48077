//! Bundles of others verified, bundles of ours in their form, and each rule broken once.
//!
//! Long because every vector of the specification and of four reference versions stands beside its verdict.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mantlet_seal::{
    Bundle, Compat, Evidence, EvidenceItem, HashKind, Manifest, Method, Outcome, PrivateKey, PublicKey,
    SealError, Statement, TestOutcome,
};
use mantlet_vocab::{Digest, Millis};
use p256::ecdsa::signature::Signer as _;
use proptest::prelude::*;
use serde_json::{Value, json};

macro_rules! vector {
    ($name:literal) => {
        include_str!(concat!("oms/", $name))
    };
}

fn reference_key() -> PublicKey {
    PublicKey::from_pem(vector!("reference.pub")).unwrap()
}

fn sample_key() -> PublicKey {
    PublicKey::from_pem(vector!("sample-ec256.pub")).unwrap()
}

fn manifest_of(text: &str, key: &PublicKey) -> Result<Manifest, SealError> {
    Bundle::read(text.as_bytes())?.verify(std::slice::from_ref(key))?.statement.manifest()
}

#[test]
fn key_bundles_of_the_specification_and_of_four_reference_versions_verify() {
    let cases = [
        (vector!("spec-key.bundle.json"), 2, "signme-1"),
        (vector!("reference-0.3.1.sig"), 1, "."),
        (vector!("reference-1.0.0.sig"), 1, "."),
        (vector!("reference-1.0.1.sig"), 2, "signme-1"),
        (vector!("reference-1.1.0.sig"), 2, "signme-1"),
    ];
    for (text, files, first) in cases {
        let manifest = manifest_of(text, &reference_key()).unwrap();
        assert_eq!((manifest.resources.len(), manifest.resources[0].name.as_str()), (files, first));
        assert_eq!(manifest.hash, HashKind::Sha256);
        assert_eq!(manifest.resources[0].digest, Digest::of(b"signme-1\n").0);
    }
}

#[test]
fn samples_of_the_reference_tool_verify_also_where_it_cannot_verify_its_own() {
    let read = |text| manifest_of(text, &sample_key()).unwrap();
    assert_eq!(read(vector!("sample-key-p256.sig")).resources.len(), 10);
    assert_eq!(read(vector!("sample-key-p256-blake2b.sig")).hash, HashKind::Blake2b);
    assert_eq!(read(vector!("sample-key-p256-blake3.sig")).hash, HashKind::Blake3);
    let shards = read(vector!("sample-key-p256-shards-4.sig"));
    assert_eq!(shards.method, Method::Shards { size: 4 });
    assert!(shards.resources.iter().all(|resource| resource.shard().is_some()));
    let single = read(vector!("sample-single-file-Upper.sig"));
    assert!(single.is_single_file() && single.name == "Upper");
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let refused = |text: &str| Bundle::read(text.as_bytes()).map(|_| ()).unwrap_err();
    assert_eq!(refused(vector!("spec-certificate.bundle.json")), SealError::CertificateMode);
    assert_eq!(refused(vector!("reference-0.2.0-certificate.sig")), SealError::CertificateMode);
    assert_eq!(refused(vector!("spec-missing-tlog.bundle.json")), SealError::SigstoreMode);
    let p521 = PublicKey::from_pem(vector!("sample-ec521.pub")).unwrap_err();
    assert!(p521.to_string().contains("P-521 is not supported yet"), "{p521}");
    let untrusted = manifest_of(vector!("sample-key-p521.sig"), &sample_key()).unwrap_err();
    assert!(matches!(untrusted, SealError::UntrustedKey { trusted: 1, .. }));
}

#[test]
fn invalid_vectors_are_refused_with_their_reason() {
    let key = reference_key();
    let reason = |text| manifest_of(text, &key).unwrap_err();
    assert!(matches!(reason(""), SealError::NotJson { part: "bundle", .. }));
    let missing = |path: &str| SealError::Field { path: path.into(), expected: "an object" };
    assert_eq!(reason(vector!("spec-missing-envelope.bundle.json")), missing("dsseEnvelope"));
    assert_eq!(reason(vector!("spec-missing-material.bundle.json")), missing("verificationMaterial"));
    let wrong = reason(vector!("spec-wrong-predicate.bundle.json"));
    assert!(matches!(wrong, SealError::WrongSignature { .. }), "the vector keeps the old signature: {wrong}");
}

/// A private key for tests, made from fixed bytes.
fn key() -> PrivateKey {
    PrivateKey::generate(&[7; 32]).unwrap()
}

fn files() -> Vec<(String, Digest)> {
    ["a/x", "a-b/x", "empty", "日本.bin", "q\"uote<&>.bin"]
        .map(|name| (name.to_owned(), Digest::of(name.as_bytes())))
        .to_vec()
}

#[test]
fn what_we_sign_is_deterministic_in_specification_order_and_verifies() {
    let manifest = Manifest::of_files("model", files(), [".git".to_owned()]).unwrap();
    let names: Vec<_> = manifest.resources.iter().map(|resource| resource.name.as_str()).collect();
    assert_eq!(names, ["a-b/x", "a/x", "empty", "q\"uote<&>.bin", "日本.bin"]);
    let text = Bundle::sign_manifest(&manifest, &key());
    let mut turned = files();
    turned.reverse();
    let again = Manifest::of_files("model", turned, [".git".to_owned()]).unwrap();
    assert_eq!(text, Bundle::sign_manifest(&again, &key()));
    assert_eq!(manifest_of(&text, &key().public()).unwrap(), manifest);
    // The hint is the SHA-256 of the PEM text, 64 columns and a final newline.
    let pem = key().public().to_pem();
    assert!(pem.ends_with("-----END PUBLIC KEY-----\n") && pem.lines().all(|line| line.len() <= 64));
    assert!(text.contains(&Digest::of(pem.as_bytes()).hex()));
}

#[test]
fn keys_travel_as_pem_and_never_print() {
    let pem = key().to_pem().unwrap();
    let again = PrivateKey::from_pem(&pem).unwrap();
    assert_eq!(again.public(), key().public());
    assert_eq!(PublicKey::from_pem(&key().public().to_pem()).unwrap(), key().public());
    assert!(!format!("{again:?}").contains("PRIVATE"));
    for bad in
        ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", vector!("sample-ec256.pub")]
    {
        assert!(matches!(PrivateKey::from_pem(bad), Err(SealError::Key { kind: "private", .. })));
    }
    assert!(PrivateKey::generate(&[0; 32]).is_err() && PrivateKey::generate(&[0xff; 32]).is_err());
}

#[test]
fn names_that_leave_the_folder_are_never_signed() {
    for name in ["", "/etc/passwd", "../x", "a/../x", "a//x", "a/./x", "a/", "x\0y"] {
        let made = Manifest::of_files("m", [(name.to_owned(), Digest::of(b""))], []);
        assert!(matches!(made, Err(SealError::Name { .. })), "{name:?}");
    }
    assert_eq!(Manifest::of_files("m", [], []), Err(SealError::NoResources));
    let twice = [("a".to_owned(), Digest::of(b"")), ("a".to_owned(), Digest::of(b"x"))];
    assert_eq!(Manifest::of_files("m", twice, []), Err(SealError::DuplicateName { name: "a".into() }));
    // A colon, a backslash, a space and a leading dot are ordinary.
    for name in ["C:\\x", "a:0:4", " x", ".hidden", "..x", "x.."] {
        Manifest::of_files("m", [(name.to_owned(), Digest::of(b""))], []).unwrap();
    }
}

#[test]
fn a_single_file_is_named_as_the_switch_says_and_both_are_one_file() {
    let digest = Digest::of(b"x");
    let spec = Manifest::of_file("m.onnx", digest, Compat::Spec).unwrap();
    let compat = Manifest::of_file("m.onnx", digest, Compat::ModelSigning1).unwrap();
    assert_eq!((spec.resources[0].name.as_str(), compat.resources[0].name.as_str()), ("m.onnx", "."));
    assert_eq!(spec.root(), compat.root());
    for manifest in [spec, compat] {
        for name in [".", "m.onnx"] {
            assert_eq!(manifest.differences(&[(name.to_owned(), digest.0.to_vec())].into()), []);
            assert_eq!(manifest.differences(&[(name.to_owned(), vec![1; 32])].into()).len(), 1);
        }
    }
}

/// Signs any payload with the test key, outside our own writer.
fn seal(payload: &str) -> String {
    let signing = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let signature: p256::ecdsa::Signature = signing.sign(&mantlet_seal::pae(payload.as_bytes()));
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": key().public().hint()}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": STANDARD.encode(payload),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": STANDARD.encode(signature.to_der().as_bytes()), "keyid": ""}],
        },
    })
    .to_string()
}

fn payload() -> Value {
    let manifest = Manifest::of_files("model", files(), []).unwrap();
    let text = Bundle::sign_manifest(&manifest, &key());
    let bundle: Value = serde_json::from_str(&text).unwrap();
    let raw = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&raw).unwrap()
}

#[test]
fn validly_signed_statements_that_break_a_rule_are_refused_by_that_rule() {
    type Break = (&'static str, fn(&mut Value), fn(&SealError) -> bool);
    let resources = "/predicate/resources";
    assert!(payload().pointer(resources).is_some());
    let cases: &[Break] = &[
        (
            "parent name",
            |p| p["predicate"]["resources"][0]["name"] = "../x".into(),
            |e| matches!(e, SealError::Name { reason, .. } if reason.contains("..")),
        ),
        (
            "absolute name",
            |p| p["predicate"]["resources"][0]["name"] = "/x".into(),
            |e| matches!(e, SealError::Name { reason, .. } if reason.contains("absolute")),
        ),
        (
            "parent in ignored",
            |p| p["predicate"]["serialization"]["ignore_paths"] = json!(["../.."]),
            |e| matches!(e, SealError::Name { .. }),
        ),
        ("no resources", |p| p["predicate"]["resources"] = json!([]), |e| *e == SealError::NoResources),
        (
            "duplicate name",
            |p| {
                let name = p["predicate"]["resources"][0]["name"].clone();
                p["predicate"]["resources"][1]["name"] = name;
            },
            |e| matches!(e, SealError::DuplicateName { .. }),
        ),
        (
            "uppercase digest",
            |p| {
                let upper = p["predicate"]["resources"][0]["digest"].as_str().unwrap().to_uppercase();
                p["predicate"]["resources"][0]["digest"] = upper.into();
            },
            |e| matches!(e, SealError::Digest { digits: 64, .. }),
        ),
        (
            "short digest",
            |p| p["predicate"]["resources"][0]["digest"] = "ab".into(),
            |e| matches!(e, SealError::Digest { .. }),
        ),
        (
            "uppercase root",
            |p| {
                let upper = p["subject"][0]["digest"]["sha256"].as_str().unwrap().to_uppercase();
                p["subject"][0]["digest"]["sha256"] = upper.into();
            },
            |e| matches!(e, SealError::Digest { .. }),
        ),
        (
            "wrong root",
            |p| p["subject"][0]["digest"]["sha256"] = "0".repeat(64).into(),
            |e| matches!(e, SealError::WrongRoot { .. }),
        ),
        (
            "other order, other root",
            |p| p["predicate"]["resources"].as_array_mut().unwrap().reverse(),
            |e| matches!(e, SealError::WrongRoot { .. }),
        ),
        (
            "own predicate field",
            |p| p["predicate"]["mantlet"] = 1.into(),
            |e| *e == SealError::UnknownField { path: "predicate.mantlet".into() },
        ),
        (
            "own serialization field",
            |p| p["predicate"]["serialization"]["x"] = 1.into(),
            |e| matches!(e, SealError::UnknownField { .. }),
        ),
        (
            "two subjects",
            |p| {
                let subject = p["subject"][0].clone();
                p["subject"].as_array_mut().unwrap().push(subject);
            },
            |e| matches!(e, SealError::Field { path, .. } if path == "subject"),
        ),
        (
            "another predicate",
            |p| p["predicateType"] = "https://x.invalid/y".into(),
            |e| matches!(e, SealError::Predicate { .. }),
        ),
        (
            "another statement",
            |p| p["_type"] = "https://in-toto.io/Statement/v0.1".into(),
            |e| matches!(e, SealError::Value { .. }),
        ),
        (
            "another hash",
            |p| p["predicate"]["serialization"]["hash_type"] = "md5".into(),
            |e| matches!(e, SealError::Hash { .. }),
        ),
        (
            "mixed hashes",
            |p| p["predicate"]["resources"][0]["algorithm"] = "blake3".into(),
            |e| matches!(e, SealError::Value { .. }),
        ),
        (
            "dot among others",
            |p| p["predicate"]["resources"][0]["name"] = ".".into(),
            |e| matches!(e, SealError::Name { .. }),
        ),
        (
            "shards without size",
            |p| p["predicate"]["serialization"]["method"] = "shards".into(),
            |e| matches!(e, SealError::Field { path, .. } if path.ends_with("shard_size")),
        ),
    ];
    assert!(manifest_of(&seal(&payload().to_string()), &key().public()).is_ok());
    for (name, change, expected) in cases {
        let mut broken = payload();
        change(&mut broken);
        let fault = manifest_of(&seal(&broken.to_string()), &key().public()).unwrap_err();
        assert!(expected(&fault), "{name}: {fault:?}");
    }
    // Any order verifies when the root is taken over it; the reference's shards have float sizes and colons.
    let mut doubled = payload().to_string();
    doubled = doubled.replacen("{", "{\"predicateType\":\"x\",", 1);
    let fault = manifest_of(&seal(&doubled), &key().public()).unwrap_err();
    assert_eq!(fault, SealError::DuplicateKey { part: "payload", key: "predicateType".into() });
}

#[test]
fn bundles_that_break_a_rule_are_refused_by_that_rule() {
    let good = seal(&payload().to_string());
    let change = |change: fn(&mut Value)| {
        let mut bundle: Value = serde_json::from_str(&good).unwrap();
        change(&mut bundle);
        manifest_of(&bundle.to_string(), &key().public()).unwrap_err()
    };
    let second = change(|b| {
        let signature = b["dsseEnvelope"]["signatures"][0].clone();
        b["dsseEnvelope"]["signatures"].as_array_mut().unwrap().push(signature);
    });
    assert_eq!(second, SealError::SignatureCount { found: 2 });
    assert_eq!(
        change(|b| b["dsseEnvelope"]["signatures"] = json!([])),
        SealError::SignatureCount { found: 0 }
    );
    assert_eq!(change(|b| b["extra"] = 1.into()), SealError::UnknownField { path: "extra".into() });
    assert!(matches!(change(|b| b["mediaType"] = "x".into()), SealError::Value { .. }));
    assert!(matches!(change(|b| b["dsseEnvelope"]["payload"] = "*".into()), SealError::Base64 { .. }));
    let hint = change(|b| b["verificationMaterial"]["publicKey"]["hint"] = "0".repeat(64).into());
    assert!(matches!(hint, SealError::UntrustedKey { .. }));
    let doubled = good.replacen("{", "{\"mediaType\":\"x\",", 1);
    let fault = manifest_of(&doubled, &key().public()).unwrap_err();
    assert_eq!(fault, SealError::DuplicateKey { part: "bundle", key: "mediaType".into() });
    // Raw r||s, as some libraries write it, is not DER.
    let signing = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let raw: p256::ecdsa::Signature = signing.sign(&mantlet_seal::pae(payload().to_string().as_bytes()));
    let mut bundle: Value = serde_json::from_str(&good).unwrap();
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = STANDARD.encode(raw.to_bytes()).into();
    let fault = manifest_of(&bundle.to_string(), &key().public()).unwrap_err();
    assert!(matches!(fault, SealError::WrongSignature { .. }));
    // Missing hint, log entries and key id are accepted: every trusted key is tried.
    let mut lean: Value = serde_json::from_str(&good).unwrap();
    lean["verificationMaterial"] = json!({"publicKey": {}});
    lean["dsseEnvelope"]["signatures"][0].as_object_mut().unwrap().remove("keyid");
    let trusted = [sample_key(), key().public()];
    Bundle::read(lean.to_string().as_bytes()).unwrap().verify(&trusted).unwrap();
}

#[test]
fn evidence_is_bound_to_the_root_and_is_no_model_signature() {
    let evidence = Evidence {
        result: Outcome::Warned,
        at: Millis(1),
        producer: "mantlet 0.1.0".into(),
        configuration: Digest::of(b"policy"),
        tests: vec![TestOutcome { name: "pgd".into(), result: Outcome::NotExamined, note: "no data".into() }],
        evidence: vec![EvidenceItem {
            name: "scan.json".into(),
            media_type: "application/json".into(),
            digest: Digest::of(b"{}"),
        }],
    };
    let root = Digest::of(b"root");
    let text = Bundle::sign_evidence("model", root, &evidence, &key());
    let signed = Bundle::read(text.as_bytes()).unwrap().verify(&[key().public()]).unwrap();
    assert_eq!(signed.statement.subject.digest, root);
    assert_eq!(Evidence::read(&signed.statement), Ok(evidence));
    assert!(matches!(signed.statement.manifest(), Err(SealError::Predicate { .. })));
    let model = Statement::read(payload().to_string().as_bytes()).unwrap();
    assert!(matches!(Evidence::read(&model), Err(SealError::Predicate { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "[\\[\\]{}:,\"a-z0-9\\\\]*") {
        let _ = Bundle::read(&bytes);
        let _ = Bundle::read(text.as_bytes());
        let _ = Statement::read(&bytes).and_then(|statement| statement.manifest());
    }

    /// A changed bundle either says exactly what was signed or is refused.
    #[test]
    fn no_flipped_bit_changes_what_a_bundle_says(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let manifest = Manifest::of_files("model", files(), []).unwrap();
        let text = Bundle::sign_manifest(&manifest, &key());
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let read = Bundle::read(&bytes).and_then(|bundle| bundle.verify(&[key().public()]));
        if let Ok(signed) = read {
            prop_assert_eq!(signed.statement.manifest().unwrap(), manifest);
        }
    }

    #[test]
    fn any_names_that_are_allowed_verify(names in prop::collection::btree_set("[^/\0]{1,12}", 1..8)) {
        let files = names.iter().filter(|name| !matches!(name.as_str(), "." | "..")).map(|name| {
            (format!("d/{name}"), Digest::of(name.as_bytes()))
        });
        if let Ok(manifest) = Manifest::of_files("m", files, []) {
            let text = Bundle::sign_manifest(&manifest, &key());
            prop_assert_eq!(manifest_of(&text, &key().public()).unwrap(), manifest);
        }
    }
}

#[test]
fn one_file_is_verified_from_its_bytes_and_no_other_bytes_or_keys_pass() {
    let key = PrivateKey::generate(&[7; 32]).unwrap();
    let text = Bundle::sign_bytes("profile.json", b"counts", &key).unwrap();
    let bundle = Bundle::read(text.as_bytes()).unwrap();
    assert_eq!(bundle.verify_bytes(b"counts", &[key.public()]), Ok(key.public().hint()));
    let other = bundle.verify_bytes(b"count5", &[key.public()]);
    assert!(matches!(other, Err(SealError::OtherBytes { .. })), "{other:?}");
    let stranger = PrivateKey::generate(&[8; 32]).unwrap();
    let untrusted = bundle.verify_bytes(b"counts", &[stranger.public()]);
    assert!(matches!(untrusted, Err(SealError::UntrustedKey { .. })), "{untrusted:?}");
    // A signature of a folder of files is not one of a file.
    let files = vec![("a".to_owned(), Digest::of(b"counts")), ("b".to_owned(), Digest::of(b"counts"))];
    let folder = Bundle::sign_manifest(&Manifest::of_files("x", files, Vec::new()).unwrap(), &key);
    let folder = Bundle::read(folder.as_bytes()).unwrap().verify_bytes(b"counts", &[key.public()]);
    assert!(matches!(folder, Err(SealError::Field { .. })), "{folder:?}");
}
