//! A YARA rule of the user's own matches.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::meta::Meta;

const ABOUT: About = About {
    name: "yara-match",
    title: "a YARA rule of your own matches",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0011.000"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Offsets of one string that a finding lists.
const LISTED: usize = 8;

pub(super) const fn about() -> &'static About {
    &ABOUT
}

/// One rule that matched one region.
#[derive(Debug)]
pub(crate) struct Hit<'a> {
    pub(crate) rule: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) tags: Vec<&'a str>,
    pub(crate) meta: &'a Meta,
    /// Names of the strings that matched, each with where and how long.
    pub(crate) strings: Vec<(String, Vec<Span>)>,
}

/// What is said of it. The matched bytes themselves are never shown: they may be what the rule looks for because
/// nobody should see it.
pub(crate) fn finding(hit: Hit<'_>, place: &Place) -> Finding {
    let Hit { rule, namespace, tags, meta, strings } = hit;
    let first = strings.iter().flat_map(|(_, spans)| spans).min().copied();
    let place = first.map_or_else(|| place.clone(), |span| place.at(span));
    let mut message = format!("the rule `{rule}` of {namespace} matches");
    if !strings.is_empty() {
        let one = |(name, spans): &(String, Vec<Span>)| match spans.len() {
            1 => name.clone(),
            count => format!("{name} ({count} times)"),
        };
        message += ": ";
        message += &strings.iter().map(one).collect::<Vec<_>>().join(", ");
    }
    let mut finding = ABOUT.finding(place, message).fact("rule", rule).fact("namespace", namespace);
    if !tags.is_empty() {
        finding = finding.fact("tags", tags);
    }
    if !strings.is_empty() {
        let offsets = |spans: &[Span]| spans.iter().take(LISTED).map(|span| span.offset).collect::<Vec<_>>();
        let map: serde_json::Map<String, serde_json::Value> = strings
            .iter()
            .map(|(name, spans)| {
                (name.clone(), serde_json::json!({ "count": spans.len(), "offsets": offsets(spans) }))
            })
            .collect();
        finding = finding.fact("strings", map);
    }
    if let Some(severity) = meta.severity {
        finding.severity = severity;
    }
    if let Some(why) = &meta.description {
        finding.why.clone_from(why);
    }
    if let Some(help) = &meta.remedy {
        finding.help.clone_from(help);
    }
    if let Some(atlas) = meta.atlas {
        finding.atlas = vec![atlas.to_owned()];
    }
    finding
}

/// Leaves out what a rule says of a container when it says the same of what is inside: members that are stored as they
/// are would else be told twice.
pub(crate) fn settle(findings: &mut Vec<Finding>) {
    let own: Vec<Finding> = findings.iter().filter(|finding| finding.name == ABOUT.name).cloned().collect();
    let total = |finding: &Finding, name: &str| finding.facts["strings"][name]["count"].as_u64().unwrap_or(0);
    findings.retain(|outer| {
        let Some(strings) = outer.facts.get("strings").and_then(serde_json::Value::as_object) else {
            return true;
        };
        let inside = |inner: &&Finding| {
            inner.facts.get("rule") == outer.facts.get("rule")
                && inner.facts.get("namespace") == outer.facts.get("namespace")
                && inner.facts.contains_key("strings")
                && inner.place.nesting.len() == outer.place.nesting.len() + 1
                && inner.place.nesting.starts_with(&outer.place.nesting)
        };
        let counted = |name: &String| own.iter().filter(inside).map(|inner| total(inner, name)).sum::<u64>();
        !strings.keys().all(|name| counted(name) >= total(outer, name))
    });
}
