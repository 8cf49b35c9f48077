//! Rules over Python source.

mod commands;
mod hostile_command;
mod import_effect;
mod installers;
mod pipes;
mod plants_file;
mod runs_data;
mod sends_secrets;
mod startup;
mod unsafe_load;

use mantlet_formats::python::Call;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![
        &hostile_command::CodeHostileCommand,
        &runs_data::CodeRunsData,
        &unsafe_load::CodeUnsafeLoad,
        &sends_secrets::CodeSendsSecrets,
        &import_effect::CodeImportEffect,
        &plants_file::CodePlantsFile,
    ]
}

/// The constant texts of a call's arguments, as one line.
fn text_of(call: &Call) -> String {
    let texts: Vec<&str> = call.arguments.iter().filter_map(|argument| argument.text.as_deref()).collect();
    texts.join(" ")
}

/// Why a command line is one that only an attack needs.
pub(crate) fn hostile(command: &str) -> Option<&'static str> {
    let plain = pipes::plain(command);
    if plain != command
        && let Some(why) = judged(&plain)
    {
        return Some(why);
    }
    judged(command)
}

fn judged(command: &str) -> Option<&'static str> {
    let text = command.to_ascii_lowercase();
    let has = |part: &str| text.contains(part);
    let piped = pipes::into_shell(&text);
    if piped && commands::weights_as_script(&text) {
        return Some("runs what lies in a file of weights");
    }
    if pipes::respelled(&text) {
        return Some("runs a program whose name is written in another form");
    }
    if has("/dev/tcp/") || has("/dev/udp/") || has("/inet/tcp/") {
        return Some("joins a shell to the network");
    }
    if pipes::joins(&text) || has("mkfifo") && (has("nc ") || has("telnet ")) {
        return Some("joins a shell to the network");
    }
    let encoded = pipes::decodes(&text);
    let evaluated = pipes::evaluates(&text)
        || ["python", "perl", "node", "ruby"]
            .iter()
            .any(|name| has(name) && (has(" -c \"$(") || has(" -e \"$(")));
    if encoded && (piped || evaluated) {
        return Some("runs a program it decodes");
    }
    if piped && commands::turned(&text) {
        return Some("runs a program it decodes");
    }
    if has("downloadstring") && (has("iex") || has("invoke-expression")) {
        return Some("fetches a program and runs it");
    }
    if has("powershell") && (has("-enc") || has("downloadstring") || has("iex") || has("hidden")) {
        return Some("runs hidden PowerShell");
    }
    if let Some(why) = commands::windows(&text) {
        return Some(why);
    }
    if text.trim_start().starts_with("workdir /proc/") {
        return Some("starts in a folder that the host has open");
    }
    if commands::ships(command) {
        return Some("sends credentials away");
    }
    if commands::preloads(command) {
        return Some("makes every program load a library from a place where no library belongs");
    }
    if commands::redirects(command) {
        return Some("has what is fetched go through a machine that nobody vouches for");
    }
    if commands::foreign_image(command) {
        return Some("builds on what a bare address gives it that day");
    }
    if has(".pth") && has("import ") && (has("echo ") || has("printf ")) || has("> /etc/ld.so.preload") {
        return Some("plants what every program or every start of Python runs");
    }
    if startup::plants(command) {
        return Some("plants what starts by itself");
    }
    if commands::hooks(command) {
        return Some("makes every start of an interpreter run a file of its own");
    }
    if commands::one_liner(&text) {
        return Some("fetches a program and runs it");
    }
    if let Some(why) = commands::fetched(command) {
        return Some(why);
    }
    if pipes::decoded_to_file(&text) {
        return Some("runs a program it decodes");
    }
    let fetches = ["curl ", "wget ", "http://", "ftp://"].iter().any(|fetch| has(fetch));
    // Installers are fetched this way too, over an authenticated connection and by name.
    let plain = !has("https://") || has("base64");
    if has("authorized_keys") && (has(">>") || has("tee -a")) {
        return Some("lets somebody in");
    }
    let inserted = has("curl ") || has("wget ");
    if fetches && (piped || evaluated && inserted || has("<(curl ") || has("<(wget ")) && plain {
        return Some("fetches a program and runs it");
    }
    let index = ["--index-url", "--extra-index-url", "--find-links", " -i ", " -f "];
    let plainly = index.iter().any(|option| {
        text.split(option).skip(1).any(|rest| {
            let place = rest.trim_start_matches(['=', ' ', '"', '\'']);
            place
                .strip_prefix("http://")
                .is_some_and(|host| !host.starts_with("localhost") && !host.starts_with("127."))
        })
    });
    if (plainly || commands::over_plain(&text)) && has("pip") && has("install") {
        return Some("installs packages over a connection that anybody on the way can change");
    }
    let made = has("chmod +x") || has("chmod 777") || has("chmod 755");
    if fetches && made && (has("/tmp/") || has("./")) && plain {
        return Some("fetches a program and runs it");
    }
    if pipes::sends_files(&text) {
        return Some("sends files of the machine away");
    }
    pipes::destroys(&text).then_some("deletes files of the machine")
}

/// Why a command is one that somebody should look at: it runs what it fetches from a host that is not known for
/// programs that set something up.
pub(crate) fn doubtful(command: &str) -> Option<&'static str> {
    let text = command.to_ascii_lowercase();
    let fetches = ["curl ", "wget ", "curl\"", "fetch ", "aria2c "].iter().any(|word| text.contains(word));
    let inserted = pipes::evaluates(&text) || text.contains("<(curl ") || text.contains("<(wget ");
    let runs = fetches && (pipes::into_shell(&text) || inserted)
        || commands::fetched_if(command, |part| part.contains("https://"), true).is_some();
    (runs && installers::unknown(&text))
        .then_some("runs what it fetches from a host that is not known for installers")
}

/// Why a command is one that nothing needs while it is installed, where nobody reads what runs.
pub(crate) fn hostile_install(command: &str) -> Option<&'static str> {
    let text = command.to_ascii_lowercase();
    let fetches = text.contains("curl ") || text.contains("wget ");
    let piped = text.split('|').skip(1).any(|part| {
        let first = part.split_whitespace().next().unwrap_or("").trim_matches(['(', ')', ';']);
        matches!(
            first.rsplit('/').next(),
            Some("sh" | "bash" | "zsh" | "python" | "python3" | "node" | "perl")
        )
    });
    hostile(command).or((fetches && piped).then_some("fetches a program and runs it while it is installed"))
}

/// Commands that builds and set-ups run all the time.
fn ordinary_command(command: &str) -> bool {
    const PROGRAMS: [&str; 40] = [
        "git",
        "pip",
        "pip3",
        "conda",
        "nvcc",
        "nvidia-smi",
        "cmake",
        "ninja",
        "make",
        "gcc",
        "g++",
        "clang",
        "ldconfig",
        "pkg-config",
        "rocminfo",
        "hipconfig",
        "mkdir",
        "ls",
        "echo",
        "cd",
        "unzip",
        "tar",
        "cp",
        "mv",
        "apt-get",
        "apt",
        "sudo",
        "uname",
        "which",
        "where",
        "sw_vers",
        "xcrun",
        "cargo",
        "rustc",
        "npm",
        "hg",
        "lscpu",
        "sysctl",
        "python-config",
        "export",
    ];
    let first = command.split_whitespace().next().unwrap_or("");
    let program = first.rsplit('/').next().unwrap_or(first);
    PROGRAMS.contains(&program) && !command.contains([';', '|', '`', '$', '>'])
        || command.split_whitespace().skip(1).take(2).eq(["-m", "pip"])
        || command.split_whitespace().count() == 2
            && ["--version", "-version", "-V", "--help"].iter().any(|ask| command.ends_with(ask))
}
