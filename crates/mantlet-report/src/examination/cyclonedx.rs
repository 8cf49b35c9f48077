//! CycloneDX 1.7 (ECMA-424): what was scanned, as a bill of materials.

use mantlet_vocab::{ArtifactSummary, Coverage, Digest, Examination, Finding, Millis, Severity};
use serde_json::{Value, json};

use super::json::print;

/// Formats that hold a model or weights; everything else is listed as a file.
const MODELS: [&str; 9] =
    ["pickle", "npy", "safetensors", "onnx", "hdf5", "gguf", "ggml", "tflite", "tensorflow"];

/// The bill of materials of an examination: one component an artifact, with digest, formats, coverage and the number of
/// findings by severity. The serial number follows from what was scanned, so the same scan has the same one.
#[must_use]
pub fn cyclonedx(examination: &Examination, version: &str, now: Millis) -> String {
    let components: Vec<Value> =
        examination.artifacts.iter().map(|artifact| component(artifact, &examination.findings)).collect();
    let identity = serde_json::to_vec(&components).unwrap_or_default();
    print(&json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": format!("urn:uuid:{}", uuid(&Digest::of(&identity))),
        "version": 1,
        "metadata": {
            "timestamp": now.rfc3339(),
            "tools": { "components": [{ "type": "application", "name": "mantlet", "version": version }] },
            "lifecycles": [{ "phase": "post-build" }],
        },
        "components": components,
    }))
}

fn component(artifact: &ArtifactSummary, findings: &[Finding]) -> Value {
    let model = artifact.formats.iter().any(|format| MODELS.contains(&format.as_str()));
    let name = artifact.path.rsplit(['/', '\\']).next().unwrap_or(&artifact.path);
    let mut properties = vec![
        property("mantlet:path", &artifact.path),
        property("mantlet:size", &artifact.size.to_string()),
        property(
            "mantlet:coverage",
            if artifact.coverage == Coverage::Complete { "complete" } else { "partial" },
        ),
    ];
    properties.extend(artifact.formats.iter().map(|format| property("mantlet:format", format)));
    for (kind, values) in &artifact.said {
        properties.extend(values.iter().map(|value| property(&format!("mantlet:said:{kind}"), value)));
    }
    for severity in [Severity::Malicious, Severity::Suspicious, Severity::Note] {
        let of = |finding: &&Finding| finding.place.artifact == artifact.path && finding.severity == severity;
        let count = findings.iter().filter(of).count();
        if count > 0 {
            properties.push(property(&format!("mantlet:findings:{}", severity.word()), &count.to_string()));
        }
    }
    let mut component = json!({
        "type": if model { "machine-learning-model" } else { "file" },
        "bom-ref": artifact.path,
        "name": name,
        "properties": properties,
    });
    let said = |kind: &str| artifact.said.get(kind).into_iter().flatten();
    let licence = |name: &String| match super::licence::spdx(name) {
        Some(id) => json!({ "license": { "id": id } }),
        None => json!({ "license": { "name": name } }),
    };
    let mut licenses: Vec<Value> = Vec::new();
    for one in said("licence").map(licence) {
        // A card and a text may say the same in other words.
        if !licenses.contains(&one) {
            licenses.push(one);
        }
    }
    if !licenses.is_empty() {
        component["licenses"] = licenses.into();
    }
    let authors: Vec<Value> = said("author").map(|name| json!({ "name": name })).collect();
    if !authors.is_empty() {
        component["authors"] = authors.into();
    }
    // Where it comes from, as far as it is an address.
    let addresses = ["base model", "data set", "source"].into_iter().flat_map(said);
    let references: Vec<Value> = addresses
        .filter(|url| url.starts_with("https://") || url.starts_with("http://"))
        .map(|url| json!({ "type": "other", "url": url }))
        .collect();
    if !references.is_empty() {
        component["externalReferences"] = references.into();
    }
    if let Some(digest) = &artifact.digest {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": digest.hex() }]);
    }
    component
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

/// A UUID of version 8 (RFC 9562, section 5.8) from the first bytes of a digest.
fn uuid(digest: &Digest) -> String {
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest.0[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_component_an_artifact_and_the_same_scan_has_the_same_number() {
        let artifact = |path: &str, format: &str| ArtifactSummary {
            path: path.to_owned(),
            size: 3,
            digest: Some(Digest::of(b"abc")),
            formats: vec![format.to_owned()],
            said: Default::default(),
            coverage: Coverage::Complete,
        };
        let mut model = artifact("a/m.onnx", "onnx");
        let licences = ["Apache-2.0", "apache-2.0", "our own"].map(str::to_owned);
        model.said.insert("licence".to_owned(), licences.into_iter().collect());
        let examination =
            Examination { artifacts: vec![model, artifact("a/README.md", "text")], ..Examination::default() };
        let bom: Value = serde_json::from_str(&cyclonedx(&examination, "1", Millis(0))).unwrap();
        assert_eq!(bom["components"][0]["type"], "machine-learning-model");
        assert_eq!(bom["components"][1]["type"], "file");
        assert_eq!(bom["components"][0]["name"], "m.onnx");
        assert_eq!(
            bom["components"][0]["hashes"][0]["content"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            bom["components"][0]["licenses"],
            json!([{ "license": { "id": "Apache-2.0" } }, { "license": { "name": "our own" } }])
        );
        assert_eq!(bom["components"][1].get("licenses"), None);
        let again: Value = serde_json::from_str(&cyclonedx(&examination, "1", Millis(9))).unwrap();
        assert_eq!(bom["serialNumber"], again["serialNumber"]);
        let number = bom["serialNumber"].as_str().unwrap();
        assert!(number.len() == 45 && number.as_bytes()[23] == b'8', "{number}");
    }
}
