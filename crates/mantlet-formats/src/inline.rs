//! Programs of Python within other texts: after `-c`, piped or written into an interpreter, in documents of a shell; and
//! what of Cython is Python.
//!
//! Long because every way in which Python stands in another text has its few lines and its tests here.

/// Programs of one text, and bytes of one of them.
const MAX_PROGRAMS: usize = 64;
const MAX_PROGRAM: usize = 256 << 10;
/// Lines that are looked at.
const MAX_LINES: usize = 100_000;

/// The programs that a command line gives to Python, each with where it begins.
#[must_use]
pub fn programs(line: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for name in ["python", "pypy"] {
        for (at, _) in line.match_indices(name).take(MAX_PROGRAMS) {
            let rest = line.get(at + name.len()..).unwrap_or("");
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | 't' | 'w'));
            let rest = rest.strip_prefix("exe").unwrap_or(rest);
            let program = option(rest).or_else(|| here(rest));
            let program = program.or_else(|| piped(line.get(..at).unwrap_or("")));
            if let Some(program) = program.filter(|program| !program.trim().is_empty())
                && found.len() < MAX_PROGRAMS
            {
                found.push((program, at));
            }
        }
    }
    found
}

/// The table that a script of Python carries in its comments and that tools install from before they run it (PEP 723).
#[must_use]
pub fn needs(text: &str) -> Option<String> {
    let mut lines = text.lines().take(MAX_LINES).skip_while(|line| line.trim_end() != "# /// script").skip(1);
    let mut block = String::new();
    for line in lines.by_ref().take(2_000) {
        if line.trim_end() == "# ///" {
            return Some(block);
        }
        let inner = line.strip_prefix('#')?;
        block.push_str(inner.strip_prefix(' ').unwrap_or(inner));
        block.push('\n');
    }
    None
}

/// The programs of a command that was given as one text, or as a list whose words were joined: then what follows `-c`
/// has no quotes and is the program to its end.
#[must_use]
pub fn given(command: &str) -> Vec<String> {
    let bare = command.split_once(" -c ").filter(|(before, program)| {
        let name = before.split_whitespace().next().unwrap_or("");
        let name = name.rsplit('/').next().unwrap_or(name);
        (name.starts_with("python") || name.starts_with("pypy"))
            && !program.trim_start().starts_with(['"', '\'', '$'])
    });
    match bare {
        Some((_, program)) => vec![program.chars().take(MAX_PROGRAM).collect()],
        None => programs(command).into_iter().map(|(program, _)| program).collect(),
    }
}

/// What the debugger of Python runs of a file of its commands, as Python: lines that are no command of its own, or that
/// begin with `!`, what its printing commands evaluate, and the bodies of aliases.
#[must_use]
pub fn debugger(text: &str) -> String {
    const EVALUATES: [&str; 8] = ["p", "pp", "display", "whatis", "source", "exceptions", "a", "alias"];
    const OWN: [&str; 46] = [
        "c",
        "cont",
        "continue",
        "n",
        "next",
        "s",
        "step",
        "l",
        "list",
        "ll",
        "longlist",
        "w",
        "where",
        "bt",
        "u",
        "up",
        "d",
        "down",
        "r",
        "return",
        "q",
        "quit",
        "exit",
        "h",
        "help",
        "b",
        "break",
        "tbreak",
        "cl",
        "clear",
        "disable",
        "enable",
        "ignore",
        "condition",
        "commands",
        "end",
        "until",
        "unt",
        "j",
        "jump",
        "args",
        "retval",
        "rv",
        "interact",
        "unalias",
        "undisplay",
    ];
    let mut code = String::new();
    for line in text.lines() {
        let line = line.trim();
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let run = match line.strip_prefix('!') {
            Some(run) => run,
            None if first == "alias" => rest.trim().split_once(' ').map_or("", |(_, body)| body),
            None if EVALUATES.contains(&first) && !rest.trim_start().starts_with('=') => rest,
            None if OWN.contains(&first) && !rest.trim_start().starts_with('=') => "",
            None => line,
        };
        code.push_str(run.trim_start().trim_start_matches('!').trim_start());
        code.push('\n');
    }
    code
}

/// The argument of `-c`, past other options.
fn option(text: &str) -> Option<String> {
    let mut rest = text;
    for _ in 0..16 {
        // In a list of words, their quotes and commas stand between them.
        let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        let trimmed = trimmed
            .strip_prefix(['"', '\''])
            .filter(|inner| inner.starts_with([',', ' ', '-']))
            .unwrap_or(trimmed);
        let trimmed = trimmed.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        let trimmed =
            trimmed.strip_prefix(['"', '\'']).filter(|inner| inner.starts_with('-')).unwrap_or(trimmed);
        let options = trimmed.strip_prefix('-')?;
        let len = options.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(options.len());
        let (letters, after) = options.split_at(len);
        if let Some(at) = letters.find('c') {
            let attached = letters.get(at + 1..).filter(|rest| !rest.is_empty());
            return match attached {
                Some(word) => Some(format!("{word}{}", after.split_whitespace().next().unwrap_or(""))),
                None => quoted(after),
            };
        }
        // What comes with an argument of its own.
        rest = match letters {
            "W" | "X" => after.trim_start().split_once(' ').map_or("", |(_, rest)| rest),
            "m" => return None,
            _ => after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '='),
        };
    }
    None
}

/// The text of a here-string.
fn here(rest: &str) -> Option<String> {
    let (before, text) = rest.split_once("<<<")?;
    (!before.contains([';', '|', '&'])).then(|| quoted(text)).flatten()
}

/// What is printed into the interpreter that comes next.
fn piped(before: &str) -> Option<String> {
    let before = before
        .trim_end()
        .trim_end_matches(|c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'));
    let before = before.trim_end().strip_suffix('|')?.trim_end();
    let start = ["echo ", "printf ", "printf '%s' ", "echo -e ", "echo -n "]
        .iter()
        .filter_map(|word| before.rfind(word).map(|at| at + word.len()))
        .max()?;
    let text = before.get(start..)?;
    // Nothing stands between the two that changes the text.
    let program = quoted(text)?;
    (!text.contains('|') || program.contains('|')).then(|| program.replace("\\n", "\n"))
}

/// A quoted word at the start of a text, as a shell or a list of words writes it; a word without quotes to its end.
fn quoted(text: &str) -> Option<String> {
    let mut text = text.trim_start();
    let mut list = false;
    if let Some(rest) = text.strip_prefix(['"', '\'']).map(str::trim_start)
        && let Some(rest) = rest.strip_prefix(',')
    {
        text = rest.trim_start();
        list = true;
    }
    let dollar = text.starts_with("$'");
    let text = if dollar { &text[1..] } else { text };
    let (open, rest) = match text.strip_prefix('\\') {
        Some(inner) if inner.starts_with(['"', '\'']) => (text.get(..2)?, text.get(2..)?),
        _ if text.starts_with(['"', '\'']) => (text.get(..1)?, text.get(1..)?),
        _ => return Some(text.split([' ', '\t', '\n', '|', '&']).next().unwrap_or("").to_owned()),
    };
    let mut out = String::new();
    let mut rest = rest;
    while let Some(c) = rest.chars().next() {
        if out.len() >= MAX_PROGRAM {
            break;
        }
        // A quote within quotes, as shells write it.
        if open == "'" {
            let inner = ["'\\''", "'\"'\"'"].iter().find_map(|way| rest.strip_prefix(way));
            if let Some(after) = inner {
                out.push('\'');
                rest = after;
                continue;
            }
        }
        if rest.starts_with(open) {
            break;
        }
        if c == '\\' && (open == "\"" || dollar || list) {
            let mut letters = rest.get(1..).unwrap_or("").chars();
            let next = letters.next();
            let read = match next {
                Some('n') if list || dollar => Some("\n".to_owned()),
                Some('t') if list || dollar => Some("\t".to_owned()),
                Some(c @ ('"' | '\\' | '$' | '`' | '\'')) => Some(c.to_string()),
                Some('\n') => Some(String::new()),
                _ => None,
            };
            if let Some(read) = read {
                out.push_str(&read);
                rest = letters.as_str();
                continue;
            }
        }
        out.push(c);
        rest = rest.get(c.len_utf8()..).unwrap_or("");
    }
    Some(out)
}

/// The documents that a shell script writes into Python or into a file of it, each with its line, from 1.
#[must_use]
pub fn documents(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    within(text, 0, 0, &mut found);
    found
}

/// Documents within documents: a step of a container's recipe is one for a shell.
const MAX_WITHIN: u8 = 4;

fn within(text: &str, before: usize, depth: u8, found: &mut Vec<(String, usize)>) {
    let mut lines = (1_usize..).zip(text.lines().take(MAX_LINES));
    while let Some((number, line)) = lines.next() {
        let Some(at) = line.find("<<").filter(|at| !line[*at..].starts_with("<<<")) else { continue };
        let after = line.get(at + 2..).unwrap_or("");
        let after = after.strip_prefix('-').unwrap_or(after).trim_start();
        let word: String = after
            .trim_start_matches(['"', '\'', '\\'])
            .chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
            .take(80)
            .collect();
        if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let mut body = String::new();
        for (_, inner) in lines.by_ref() {
            if inner.trim() == word || body.len() >= MAX_PROGRAM {
                break;
            }
            body.push_str(inner);
            body.push('\n');
        }
        let begins =
            body.lines().next().is_some_and(|first| first.starts_with("#!") && first.contains("python"));
        if line.contains("python") || line.contains(".py") || begins {
            if found.len() < MAX_PROGRAMS {
                found.push((body, before + number));
            }
        } else if depth < MAX_WITHIN && body.contains("<<") {
            within(&body, before + number, depth + 1, found);
        }
    }
}

/// Cython as Python: what it takes from C under the names that Python has for it, and functions without their types.
#[must_use]
pub fn cython(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let blank = line.len() - line.trim_start().len();
        let start = line.trim_start();
        let typed = start.strip_prefix("cdef ").or_else(|| start.strip_prefix("cpdef "));
        let plain = match typed {
            Some(rest) if rest.trim_end().ends_with(':') && rest.contains('(') => {
                let (head, tail) = rest.split_once('(').unwrap_or((rest, "):"));
                let name = head.rsplit([' ', '*']).next().unwrap_or("f");
                // Types before names are left out; what the arguments are called does not matter.
                let ends =
                    if tail.trim_start().starts_with("self") { "self, *arguments):" } else { "*arguments):" };
                format!("def {name}({ends}")
            }
            Some(rest) if rest.contains('=') => {
                let (head, value) = rest.split_once('=').unwrap_or((rest, "0"));
                format!("{} = {value}", head.trim().rsplit([' ', '*']).next().unwrap_or("x"))
            }
            Some(_) => "pass".to_owned(),
            None => start
                .replace(" cimport ", " import ")
                .replace("libc.stdlib", "os")
                .replace("libc.stdio", "os")
                .replace("posix.unistd", "os"),
        };
        out.push_str(line.get(..blank).unwrap_or(""));
        out.push_str(&plain);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_the_debugger_are_what_they_run() {
        let text = "!import os\nalias pi for k in %1: print(k)\np os.getcwd()\ncontinue\nb 12, x > 1\nx = 1\nn = 2\n";
        let expected = "import os\nfor k in %1: print(k)\nos.getcwd()\n\n\nx = 1\nn = 2\n";
        assert_eq!(super::debugger(text), expected);
    }

    #[test]
    fn tables_of_scripts_are_read() {
        let script =
            "#!/usr/bin/env python\n# /// script\n# dependencies = [\n#   'x',\n# ]\n# ///\nimport x\n";
        assert_eq!(needs(script).as_deref(), Some("dependencies = [\n  'x',\n]\n"));
        assert_eq!(needs("# /// script\nimport x\n# ///\n"), None);
        assert_eq!(needs("# dependencies = ['x']\nimport x\n"), None);
    }

    #[test]
    fn programs_of_command_lines_are_told() {
        for line in [
            "python -c 'import os'",
            "python3.11 -c \"import os\"",
            "cd /x && /usr/bin/python3 -u -W ignore -c 'import os' && ls",
            "python3 -Bc 'import os'",
            "CMD [\"python\", \"-c\", \"import os\"]",
            "sh -c \"python -c \\\"import os\\\"\"",
            "python3 <<< 'import os'",
            "echo 'import os' | python3",
            "printf \"import os\" | /usr/bin/python3 -",
            "python3 -c $'import os'",
        ] {
            let found: Vec<String> = programs(line).into_iter().map(|(program, _)| program).collect();
            assert_eq!(found, ["import os"], "{line}");
        }
        assert_eq!(programs("x | [\"python\", \"-c\", \"a\\nb\"]")[0].0, "a\nb");
        assert_eq!(given("python3 -c import os; os.x('a b')"), ["import os; os.x('a b')"]);
        assert_eq!(given("sh -c python -c 'import os'"), ["import os"]);
        assert_eq!(programs("python -c 'print('\\''a'\\'')'")[0].0, "print('a')");
        for line in [
            "python -m pip install x",
            "python train.py -c config.yaml",
            "echo x | rev | python",
            "pythonic -c",
        ] {
            assert!(
                programs(line).iter().all(|(program, _)| program == "onic"),
                "{line}: {:?}",
                programs(line)
            );
        }
    }

    #[test]
    fn documents_of_shells_and_cython_are_read() {
        let text = "ls\npython3 - <<'EOF'\nimport os\nEOF\ncat > /tmp/a.py <<-X\n\timport re\n\tX\ncat <<E\nimport sys\nE\n";
        assert_eq!(documents(text), [("import os\n".to_owned(), 2), ("\timport re\n".to_owned(), 5)]);
        assert_eq!(documents("x = 1 << 2\n"), []);
        let text = "from libc.stdlib cimport system\ncdef int go(char *a):\n    system(b'id')\ncdef int x = system(b'a')\n";
        let plain = "from os import system\ndef go(*arguments):\n    system(b'id')\nx =  system(b'a')\n";
        assert_eq!(cython(text), plain);
    }

    #[test]
    fn any_text_ends() {
        for text in [
            "python -",
            "python -c",
            "python -c '",
            "python3 -c \"\\",
            "| python",
            "<<",
            "<<-",
            "cdef",
            "cdef =",
        ] {
            let _ = (programs(text), documents(text), cython(text));
        }
    }
}
