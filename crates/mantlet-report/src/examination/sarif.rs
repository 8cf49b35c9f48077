//! SARIF 2.1.0 (OASIS Standard, 27 March 2020) for code-scanning services.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use mantlet_vocab::{About, Confidence, Digest, Examination, Finding, Place, Severity, catalogue};
use serde_json::{Value, json};

use super::{Style, all_gaps};

/// The official schema.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
const ATLAS: &str = "MITRE ATLAS";
const OWASP: &str = "OWASP Top 10";
const NIST: &str = "NIST AI RMF and AI 100-2";

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Malicious => "error",
        Severity::Suspicious => "warning",
        Severity::Note => "note",
    }
}

/// The scale of code-scanning services: 9 and above is critical, 7 high, 4 medium.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Malicious => "9.3",
        Severity::Suspicious => "6.5",
        Severity::Note => "2.0",
    }
}

const fn precision(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high",
        Confidence::Medium => "medium",
        Confidence::Low => "low",
    }
}

/// A message text. Braces are doubled (3.11.5, placeholders); a foreign `](` would make an embedded link
/// (3.11.6), so its brackets are parted.
fn text(words: &str) -> Value {
    let safe = crate::clean_line(words).replace('{', "{{").replace('}', "}}").replace("](", "] (");
    json!({ "text": if safe.is_empty() { "-".to_owned() } else { safe } })
}

pub(super) fn write(examination: &Examination, style: Style<'_>) -> String {
    let rules = Rules::new(style.rooms, &examination.findings);
    let ids: BTreeSet<&str> = rules.ids(&examination.findings);
    let taxonomies = taxonomies(&ids);
    let artifacts: Vec<Value> = examination
        .artifacts
        .iter()
        .map(|artifact| {
            let mut value = json!({
                "location": { "uri": uri(&artifact.path) },
                "roles": ["analysisTarget"],
                "length": i64::try_from(artifact.size).unwrap_or(i64::MAX),
            });
            if let Some(digest) = artifact.digest {
                value["hashes"] = json!({ "sha-256": digest.hex() });
            }
            if !artifact.formats.is_empty() {
                value["description"] = text(&format!("recognised as {}", artifact.formats.join(", ")));
            }
            value
        })
        .collect();
    let notifications: Vec<Value> = all_gaps(examination)
        .iter()
        .map(|gap| {
            json!({
                "descriptor": { "id": "not-examined" },
                "level": "warning",
                "message": text(&format!("{} was not examined: {}. {}", gap.what, gap.why, gap.remedy)),
            })
        })
        .collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> =
        examination.findings.iter().map(|finding| result(finding, &rules, &mut seen)).collect();
    let mut run = json!({
        "tool": { "driver": {
            "name": "mantlet",
            "version": style.version,
            "semanticVersion": style.version,
            "rules": rules.list,
            "notifications": [{
                "id": "not-examined",
                "shortDescription": { "text": "Something was not examined; silence about it is not cleanliness." },
            }],
            "supportedTaxonomies": taxonomies.iter().map(|taxonomy| json!({ "name": taxonomy["name"] })).collect::<Vec<_>>(),
        } },
        "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": notifications }],
        "artifacts": artifacts,
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": { "verdict": examination.verdict(style.threshold).word(), "threshold": style.threshold.word() },
    });
    if let Some(table) = &examination.effects {
        run["properties"]["effects"] = json!(table);
    }
    if !taxonomies.is_empty() {
        run["taxonomies"] = Value::Array(taxonomies);
    }
    super::json::print(&json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] }))
}

/// The rules in the driver and where each stands.
struct Rules {
    list: Vec<Value>,
    index: BTreeMap<String, usize>,
    ids: BTreeSet<&'static str>,
}

impl Rules {
    fn new(rooms: &[&'static About], findings: &[Finding]) -> Self {
        let mut rules = Self { list: Vec::new(), index: BTreeMap::new(), ids: BTreeSet::new() };
        for room in rooms {
            let explanation = room.explanation();
            let body = json!({
                "id": room.name,
                "shortDescription": text(room.title),
                "fullDescription": text(&one_line(explanation.why)),
                "help": { "text": one_line(explanation.help), "markdown": room.explain.trim() },
                "defaultConfiguration": { "level": level(room.severity) },
                "properties": {
                    "precision": precision(room.confidence), "security-severity": score(room.severity),
                    "tags": tags(room.atlas.iter().chain(room.owasp).copied()),
                },
                "relationships": room.atlas.iter().chain(room.owasp).filter_map(|id| relation(id)).collect::<Vec<_>>(),
            });
            rules.ids.extend(room.atlas.iter().chain(room.owasp));
            rules.add(room.name, body);
        }
        // A finding of a room that was not handed in still has a rule, from its own words.
        for finding in findings {
            let ids = || finding.atlas.iter().chain(&finding.owasp).map(String::as_str);
            let body = json!({
                "id": finding.name,
                "shortDescription": text(&finding.title),
                "fullDescription": text(&finding.why),
                "help": text(&finding.help),
                "defaultConfiguration": { "level": level(finding.severity) },
                "properties": {
                    "precision": precision(finding.confidence), "security-severity": score(finding.severity),
                    "tags": tags(ids()),
                },
                "relationships": ids().filter_map(relation).collect::<Vec<_>>(),
            });
            rules.add(&finding.name, body);
        }
        rules
    }

    fn add(&mut self, name: &str, mut body: Value) {
        if self.index.contains_key(name) {
            return;
        }
        // An empty array of relationships says nothing.
        if body["relationships"].as_array().is_some_and(Vec::is_empty)
            && let Some(object) = body.as_object_mut()
        {
            object.remove("relationships");
        }
        self.index.insert(name.to_owned(), self.list.len());
        self.list.push(body);
    }

    fn ids<'a>(&'a self, findings: &'a [Finding]) -> BTreeSet<&'a str> {
        let found = findings
            .iter()
            .flat_map(|f| f.atlas.iter().chain(&f.owasp))
            .filter_map(|id| catalogue::current(id));
        self.ids.iter().filter_map(|id| catalogue::current(id)).chain(found).collect()
    }
}

fn tags<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut tags: BTreeSet<String> = ids.map(str::to_owned).collect();
    tags.insert("security".to_owned());
    tags.into_iter().collect()
}

fn taxonomy_of(id: &str) -> &'static str {
    if id.starts_with("AML.") {
        ATLAS
    } else if id.contains(':') {
        OWASP
    } else {
        NIST
    }
}

/// A rule's relation to a taxon of a catalogue; `None` for ids the catalogue does not know.
fn relation(id: &str) -> Option<Value> {
    let id = catalogue::current(id)?;
    Some(
        json!({ "target": { "id": id, "toolComponent": { "name": taxonomy_of(id) } }, "kinds": ["relevant"] }),
    )
}

fn taxonomies(ids: &BTreeSet<&str>) -> Vec<Value> {
    let known = [
        (ATLAS, "MITRE", catalogue::ATLAS_EDITION, "https://atlas.mitre.org/"),
        (OWASP, "OWASP Foundation", "LLM 2026, ML 2023", "https://owasp.org/"),
        (NIST, "NIST", "AI RMF 1.0, AI 100-2 E2025", "https://www.nist.gov/itl/ai-risk-management-framework"),
    ];
    known.into_iter().filter_map(|(name, organization, version, home)| {
        let taxa: Vec<Value> = ids.iter().filter(|id| taxonomy_of(id) == name).map(|id| json!({
            "id": id, "name": catalogue::title(id).unwrap_or(id),
        })).collect();
        (!taxa.is_empty()).then(|| json!({
            "name": name, "organization": organization, "version": version, "informationUri": home,
            "isComprehensive": false, "shortDescription": { "text": format!("{name}, {version}") }, "taxa": taxa,
        }))
    }).collect()
}

fn result(finding: &Finding, rules: &Rules, seen: &mut BTreeMap<String, u64>) -> Value {
    let taxa: Vec<Value> = finding
        .atlas
        .iter()
        .chain(&finding.owasp)
        .filter_map(|id| catalogue::current(id))
        .map(|id| json!({ "id": id, "toolComponent": { "name": taxonomy_of(id) } }))
        .collect();
    let mut value = json!({
        "ruleId": finding.name,
        "kind": "fail",
        "level": level(finding.severity),
        "message": text(&format!("{}. {}", finding.message, finding.help)),
        "locations": [location(&finding.place)],
        "partialFingerprints": { "mantletFinding/v1": fingerprint(finding, seen) },
        "properties": {
            "severity": finding.severity.word(), "confidence": finding.confidence.word(),
            "why": finding.why, "trace": finding.trace, "facts": finding.facts,
        },
    });
    if let Some(index) = rules.index.get(&finding.name) {
        value["ruleIndex"] = json!(index);
    }
    if !taxa.is_empty() {
        value["taxa"] = Value::Array(taxa);
    }
    if let Some(accepted) = finding.facts.get("accepted") {
        let word = |name: &str| accepted.get(name).and_then(Value::as_str).unwrap_or_default();
        let why = format!("{} (accepted by {} until {})", word("reason"), word("by"), word("until"));
        // 3.35: accepted outside of the code that was analysed.
        value["suppressions"] = json!([{
            "kind": "external", "status": "accepted", "justification": crate::clean_line(&why),
        }]);
    }
    value
}

/// Stays the same while bytes move: rule, place without offset, message. Equal findings are numbered.
fn fingerprint(finding: &Finding, seen: &mut BTreeMap<String, u64>) -> String {
    let place = Place { span: None, ..finding.place.clone() };
    let parts = serde_json::to_string(&(&finding.name, &place, &finding.message)).unwrap_or_default();
    let digest = Digest::of(parts.as_bytes()).hex();
    let turn = seen.entry(digest.clone()).or_insert(0);
    *turn += 1;
    format!("{digest}:{turn}")
}

fn location(place: &Place) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(&place.artifact) } });
    let line =
        place.part.as_deref().and_then(|part| part.strip_prefix("line ")).and_then(|n| n.parse::<u32>().ok());
    let mut region = json!({});
    if let Some(line) = line.filter(|line| *line > 0) {
        region["startLine"] = json!(line);
    }
    // Offsets inside a member are not offsets of the artifact a viewer would open.
    if let Some(span) = place.span.filter(|_| place.nesting.is_empty())
        && let (Ok(offset), Ok(len)) = (i64::try_from(span.offset), i64::try_from(span.len))
    {
        region["byteOffset"] = json!(offset);
        region["byteLength"] = json!(len);
    }
    if region.as_object().is_some_and(|region| !region.is_empty()) {
        physical["region"] = region;
    }
    let mut value = json!({ "physicalLocation": physical });
    if !place.nesting.is_empty() || place.part.is_some() || place.span.is_some() {
        value["logicalLocations"] = json!([{ "fullyQualifiedName": place.to_string(), "kind": "member" }]);
    }
    value
}

/// A path as a URI reference (RFC 3986): absolute paths under `file:`, everything unusual percent-encoded.
/// A first segment with a colon would read as a scheme, so colons are encoded unless the name is a URI.
fn uri(path: &str) -> String {
    let (head, rest) = match path.split_once("://") {
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) =>
        {
            (format!("{scheme}://"), rest)
        }
        _ if path.starts_with("//") => ("file://".to_owned(), path.trim_start_matches('/')),
        _ if path.starts_with('/') => ("file://".to_owned(), path),
        _ => (String::new(), path),
    };
    let mut out = head;
    if out == "file://" && !rest.starts_with('/') {
        out.push('/');
    }
    for byte in rest.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte))
            }
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    if out.is_empty() { ".".to_owned() } else { out }
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "-".to_owned() } else { line }
}
