//! Code runs a command that only an attack needs.

use mantlet_formats::Facts;
use mantlet_formats::python::{Call, Power, Role, Script};
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "code-hostile-command",
    title: "code runs a command that only an attack needs",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.001", "AML.T0050", "AML.T0072"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Code runs a command that only an attack needs.
pub(crate) struct CodeHostileCommand;

impl Rule for CodeHostileCommand {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Script(script) = facts else { return };
        for call in script.calls.iter().filter(|call| {
            // What is compiled and loaded is given as text too.
            call.power == Power::Runs
                || call.power == Power::Evaluates && !matches!(call.callee.as_str(), "exec" | "eval")
        }) {
            let text = command(call);
            let at = place.part(format!("line {}", call.line));
            if call.power == Power::Evaluates && starts_programs(&text) {
                let message = format!("{} compiles a program that starts others", call.shown());
                found.push(ABOUT.finding(at.clone(), message).severity(Severity::Suspicious));
            }
            if let Some(why) = super::hostile(&text) {
                found.push(ABOUT.finding(at, format!("{} {why}", call.shown())));
            } else if let Some(why) = super::doubtful(&text).filter(|_| call.power == Power::Runs) {
                let message = format!("{} {why}", call.shown());
                found.push(ABOUT.finding(at, message).severity(Severity::Suspicious));
            } else if call.hidden && call.power == Power::Runs {
                found.push(
                    ABOUT.finding(
                        at,
                        format!("code that a reader does not see as code calls {}", call.shown()),
                    ),
                );
            }
        }
        for (text, line) in &script.veiled {
            let at = place.part(format!("line {line}"));
            let message = format!("a line that is shown as a comment, or not at all, runs `{text}`");
            found.push(ABOUT.finding(at, message).severity(Severity::Suspicious));
        }
        for call in script.calls.iter().filter(|call| {
            call.assembled && matches!(call.power, Power::Runs | Power::Evaluates | Power::Unpickles)
        }) {
            let at = place.part(format!("line {}", call.line));
            let message = format!("the way to {} is not written plainly, which hides the call", call.shown());
            found.push(ABOUT.finding(at, message).severity(Severity::Suspicious));
        }
        let judge = if script.role == Role::Install { super::hostile_install } else { super::hostile };
        for (text, line) in &script.shell {
            if let Some(why) = judge(text) {
                let at = place.part(format!("line {line}"));
                found.push(ABOUT.finding(at, format!("the command `{text}` {why}")));
            } else if let Some(why) = super::doubtful(text).filter(|_| !script.told) {
                let at = place.part(format!("line {line}"));
                let message = format!("the command `{text}` {why}");
                found.push(ABOUT.finding(at, message).severity(Severity::Suspicious));
            }
        }
        if !script.shell.iter().any(|(text, _)| judge(text).is_some())
            && let Some((why, line)) = together(script)
        {
            found.push(ABOUT.finding(place.part(format!("line {line}")), format!("the script {why}")));
        }
        for call in fetched(script) {
            let at = place.part(format!("line {}", call.line));
            let why = "runs a program that the script fetches over a way that anybody can change";
            found.push(ABOUT.finding(at, format!("{} {why}", call.shown())));
        }
        let connected = script.calls.iter().any(|call| {
            call.power == Power::Network
                && matches!(
                    call.callee.rsplit('.').next(),
                    Some("connect" | "connect_ex" | "create_connection")
                )
        });
        for call in script.calls.iter().filter(|call| call.power == Power::Runs) {
            if call.origin().socket || connected && super::commands::is_shell(&command(call)) {
                let at = place.part(format!("line {}", call.line));
                found.push(ABOUT.finding(at, format!("{} joins a shell to the network", call.shown())));
            }
        }
        for call in script.calls.iter().filter(|call| call.power == Power::Redirects) {
            if call.origin().socket {
                let at = place.part(format!("line {}", call.line));
                let message = format!("{} hands the process to a network connection", call.shown());
                found.push(ABOUT.finding(at, message));
            }
        }
    }
}

/// What the lines of a script do together, and the line where it begins.
fn together(script: &Script) -> Option<(&'static str, u32)> {
    const FETCH: [&str; 6] = ["curl ", "wget ", "ADD http", "certutil", "bitsadmin", "Invoke-WebRequest"];
    let fetch = |text: &str| FETCH.iter().any(|word| text.contains(word));
    let (_, line) = script.shell.iter().find(|(text, _)| fetch(text))?;
    let all: Vec<&str> = script.shell.iter().map(|(text, _)| text.as_str()).take(2_000).collect();
    let all = all.join("\n");
    let windows = ["certutil", "bitsadmin", "Invoke-WebRequest"].iter().any(|word| all.contains(word));
    let why = super::commands::fetched(&all);
    let why = why.or_else(|| super::commands::windows(&all.to_ascii_lowercase()).filter(|_| windows));
    why.map(|why| (why, *line))
}

/// Whether a text is a program of C that starts others or makes memory that runs.
fn starts_programs(text: &str) -> bool {
    let calls = ["system(", "popen(", "execl(", "execve(", "execvp(", "posix_spawn(", "mprotect(", "dlopen("];
    text.contains('{') && calls.iter().any(|call| text.contains(call))
}

/// The text of a command, whether given as one or in parts.
fn command(call: &Call) -> String {
    super::text_of(call)
}

/// Calls that start a file to which the script has saved what it fetched from a place nobody vouches for.
fn fetched(script: &Script) -> impl Iterator<Item = &Call> {
    let saved: Vec<&str> = script
        .calls
        .iter()
        .filter(|call| call.power == Power::Network && super::commands::unguarded(&super::text_of(call)))
        .filter(|call| matches!(call.callee.rsplit('.').next(), Some("urlretrieve" | "download")))
        .filter_map(|call| {
            let named = ["filename", "out"].iter().find_map(|name| call.keyword(name));
            named.or_else(|| call.arguments.get(1)).and_then(|argument| argument.text.as_deref())
        })
        .filter(|path| path.len() > 2)
        .collect();
    script.calls.iter().filter(move |call| {
        let text = command(call);
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or("");
        let shell = ["sh", "bash", "python", "python3"].contains(&first.rsplit('/').next().unwrap_or(first));
        let started = if shell { words.next().unwrap_or("") } else { first };
        call.power == Power::Runs && saved.contains(&started)
    })
}
