//! Code loads a model in a way that runs what is in it.

use mantlet_formats::Facts;
use mantlet_formats::python::{Call, Power};
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "code-unsafe-load",
    title: "code loads a model in a way that runs what is in it",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Code loads a model in a way that runs what is in it.
pub(crate) struct CodeUnsafeLoad;

impl Rule for CodeUnsafeLoad {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Script(script) = facts else { return };
        for call in &script.calls {
            let Some((what, severity)) = judged(call) else { continue };
            let at = place.part(format!("line {}", call.line));
            let finding = ABOUT.finding(at, format!("{} {what}", call.shown()));
            found.push(finding.severity(severity).fact("callee", call.callee.clone()));
        }
    }
}

/// What is unsafe about a call, and how bad that is.
fn judged(call: &Call) -> Option<(&'static str, Severity)> {
    let is = |name: &str, value: &str| {
        call.keyword(name).is_some_and(|argument| argument.shown.eq_ignore_ascii_case(value))
    };
    let origin = call.origin();
    match call.power {
        Power::Unpickles if origin.network => Some(("opens a pickle from the network", Severity::Suspicious)),
        Power::Unpickles if call.callee == "torch.load" => {
            if is("weights_only", "True") {
                return None;
            }
            Some(match is("weights_only", "False") {
                true => ("switches the check of what a file may build off", Severity::Suspicious),
                false => ("opens a pickle; before torch 2.6 without any check", Severity::Note),
            })
        }
        Power::Unpickles => Some(("opens a pickle, which runs what is in it", Severity::Note)),
        Power::Disarms => Some(("switches a check off", Severity::Suspicious)),
        Power::Yaml => yaml(call),
        Power::Loads if is("trust_remote_code", "True") => {
            let pinned = call
                .keyword("revision")
                .and_then(|revision| revision.text.as_deref())
                .is_some_and(|text| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
            Some(match pinned {
                true => ("runs code of the repository, at a pinned revision", Severity::Note),
                false => ("runs whatever code the repository has that day", Severity::Suspicious),
            })
        }
        Power::Loads if is("safe_mode", "False") => {
            Some(("switches the check of what a model may carry off", Severity::Suspicious))
        }
        Power::Loads if is("allow_pickle", "True") => Some(("opens pickles in arrays", Severity::Note)),
        Power::Loads
            if call.callee == "torch.hub.load"
                && is("trust_repo", "True")
                && is("skip_validation", "True")
                && !call.arguments.first().is_some_and(|repository| {
                    repository.text.as_deref().is_none_or(|name| name.starts_with("pytorch/"))
                }) =>
        {
            Some(("runs code of a repository that it tells not to check or ask about", Severity::Suspicious))
        }
        // Fetched and unpickled at once.
        Power::Loads
            if matches!(call.callee.rsplit('.').next(), Some("load_state_dict_from_url" | "load_url")) =>
        {
            let address = call.arguments.first().and_then(|address| address.text.as_deref()).unwrap_or("");
            let plain = address.starts_with("http://") && !is("check_hash", "True");
            if is("weights_only", "False") {
                Some((
                    "opens a pickle from the network without the check of what it may build",
                    Severity::Suspicious,
                ))
            } else if plain && !is("weights_only", "True") {
                Some((
                    "opens a pickle from the network over a way that anybody can change",
                    Severity::Suspicious,
                ))
            } else {
                None
            }
        }
        Power::Loads if call.callee == "torch.hub.load" => {
            let local = call.keyword("source").is_some_and(|source| source.text.as_deref() == Some("local"));
            (!local).then_some(("fetches a repository and runs its code", Severity::Note))
        }
        _ => None,
    }
}

fn yaml(call: &Call) -> Option<(&'static str, Severity)> {
    if call.callee.ends_with("unsafe_load") {
        return Some(("builds any object the file names", Severity::Suspicious));
    }
    if call.callee.ends_with("full_load") {
        return Some(("builds some objects the file names", Severity::Note));
    }
    let loader =
        call.keyword("Loader").or_else(|| call.arguments.get(1)).map(|argument| argument.shown.as_str());
    match loader.map(|loader| loader.rsplit('.').next().unwrap_or(loader)) {
        None => Some(("builds any object the file names, before PyYAML 6", Severity::Note)),
        Some("Loader" | "UnsafeLoader" | "CLoader") => {
            Some(("builds any object the file names", Severity::Suspicious))
        }
        Some("FullLoader") => Some(("builds some objects the file names", Severity::Note)),
        Some(_) => None,
    }
}
