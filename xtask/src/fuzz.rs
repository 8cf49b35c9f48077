//! Coverage-guided fuzzing of the parsers with the stable toolchain, or under AddressSanitizer with a nightly one.

mod covers;
mod ledger;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::project::Project;
use crate::run::{self, Outcome, Steps};
use ledger::{Entry, Ledger, said};

/// What the runs of `--until` came to.
const LEDGER: &str = "docs/benchmarks/fuzz.tsv";
/// Beside the targets: from which code each was built.
const BUILT: &str = "built.tsv";

/// The targets of `fuzz/`, by name.
fn targets(project: &Project) -> Result<Vec<String>> {
    let path = project.root.join("fuzz").join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: toml::Table = text.parse().with_context(|| format!("cannot parse {}", path.display()))?;
    let bins =
        manifest.get("bin").and_then(toml::Value::as_array).context("fuzz/Cargo.toml lists no targets")?;
    Ok(bins.iter().filter_map(|bin| bin.get("name")?.as_str()).map(str::to_owned).collect())
}

/// The step of `test`: the targets compile. Running them takes long; their property twins run on stable.
pub(crate) fn check(project: &Project) -> Result<Outcome> {
    let mut cargo = run::cargo(project);
    // Not `--locked`: this lock file follows the workspace's crates by itself.
    cargo
        .args([
            "check",
            "--bins",
            "--examples",
            "--quiet",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target-dir",
        ])
        .arg(project.target.join("fuzz"));
    let outcome = run::shown(&mut cargo)?;
    println!("cargo xtask fuzz runs the {} targets", targets(project)?.len());
    Ok(outcome)
}

/// How the targets are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sanitizer {
    /// With the stable toolchain: coverage for libFuzzer, debug assertions, overflow checks. The parsers have no
    /// unsafe code, so that a fault of memory could only come from a crate below them.
    None,
    /// AddressSanitizer as well, by cargo-fuzz on a nightly toolchain.
    Address,
}

/// What the task was asked for.
#[derive(Debug)]
struct Wish {
    seconds: u32,
    runs: Option<u64>,
    /// Mutations that each target shall have had in the state its code is in, earlier runs included.
    until: Option<u64>,
    /// Targets are taken as they were built last, whatever the code is now.
    as_built: bool,
    /// Only say what each target has had.
    list: bool,
    longest: u32,
    sanitizer: Sanitizer,
    compares: bool,
    only: Vec<String>,
}

impl Wish {
    fn read(arguments: &[String]) -> Result<Self> {
        let mut wish = Self {
            seconds: 60,
            runs: None,
            until: None,
            as_built: false,
            list: false,
            longest: 65_536,
            sanitizer: Sanitizer::None,
            compares: false,
            only: Vec::new(),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            let number = |value: &String| format!("`{value}` is no number");
            match argument.as_str() {
                "--seconds" => {
                    let value = value()?;
                    wish.seconds = value.parse().with_context(|| number(value))?;
                }
                "--runs" => {
                    let value = value()?;
                    wish.runs = Some(value.parse().with_context(|| number(value))?);
                }
                "--until" => {
                    let value = value()?;
                    wish.until = Some(value.parse().with_context(|| number(value))?);
                }
                "--as-built" => wish.as_built = true,
                "--list" => wish.list = true,
                "--max-len" => {
                    let value = value()?;
                    wish.longest = value.parse().with_context(|| number(value))?;
                }
                "--sanitizer" => {
                    wish.sanitizer = match value()?.as_str() {
                        "none" => Sanitizer::None,
                        "address" => Sanitizer::Address,
                        other => bail!("`{other}` is no sanitizer that is known: none or address"),
                    };
                }
                "--compares" => wish.compares = true,
                target => wish.only.push(target.to_owned()),
            }
        }
        Ok(wish)
    }

    /// What libFuzzer is told. Memory is bounded by the parsers; 1 GiB is far above what any of them may take.
    fn bounds(&self) -> Vec<String> {
        vec![
            self.runs
                .filter(|_| self.until.is_none())
                .map_or_else(|| format!("-max_total_time={}", self.seconds), |runs| format!("-runs={runs}")),
            format!("-max_len={}", self.longest),
            "-rss_limit_mb=1024".into(),
            "-timeout=20".into(),
            "-print_final_stats=1".into(),
        ]
    }
}

/// The task: each target, or those named, for some seconds or, with `--runs`, that many mutations.
pub(crate) fn run(project: &Project, arguments: &[String]) -> Result<()> {
    let wish = Wish::read(arguments)?;
    if let Some(what) = missing().filter(|_| wish.sanitizer == Sanitizer::Address) {
        bail!("{what}");
    }
    let all = targets(project)?;
    if let Some(unknown) = wish.only.iter().find(|only| !all.contains(only)) {
        bail!("no target is called `{unknown}`; there are {}", all.join(", "));
    }
    let chosen: Vec<&String> =
        if wish.only.is_empty() { all.iter().collect() } else { wish.only.iter().collect() };
    if wish.list {
        let ledger = Ledger::open(&project.root.join(LEDGER))?;
        for target in chosen {
            let code = covers::code(&project.root, target)?;
            let (mutations, fault) = ledger.so_far(target, &code);
            println!("{target}\t{code}\t{mutations}{}", if fault { "\ta fault" } else { "" });
        }
        return Ok(());
    }
    let mut steps = Steps::keep_going(true);
    if !wish.as_built {
        steps.step("seeds", || {
            let mut seeds = run::cargo(project);
            seeds.args([
                "run",
                "--quiet",
                "--manifest-path",
                "fuzz/Cargo.toml",
                "--example",
                "seeds",
                "--target-dir",
            ]);
            run::shown(seeds.arg(project.target.join("fuzz")))
        });
    }
    let built = project.target.join("fuzz-run");
    if wish.sanitizer == Sanitizer::None && !wish.as_built {
        steps.step("targets with coverage", || {
            let outcome = run::shown(&mut instrumented(project, &built, &chosen, wish.compares)?)?;
            note(project, &built, &chosen)?;
            Ok(outcome)
        });
    }
    for target in chosen {
        steps.step(target, || match (wish.sanitizer, wish.until) {
            (Sanitizer::Address, _) => {
                let mut cargo = Command::new("cargo");
                cargo.args(["+nightly", "fuzz", "run", target, "--target-dir"]).arg(&built).arg("--");
                run::shown(cargo.current_dir(&project.root).args(wish.bounds()))
            }
            (Sanitizer::None, Some(until)) => go_on(project, &built, target, &wish, until),
            (Sanitizer::None, None) => run::shown(fuzzer(project, &built, target)?.args(wish.bounds())),
        });
    }
    steps.finish()
}

/// A target that was built with coverage, with its inputs and a place for its faults.
fn fuzzer(project: &Project, built: &Path, target: &str) -> Result<Command> {
    let (corpus, artifacts) =
        (project.root.join("fuzz/corpus").join(target), project.root.join("fuzz/artifacts").join(target));
    std::fs::create_dir_all(&corpus).context("cannot make the folder of inputs")?;
    std::fs::create_dir_all(&artifacts).context("cannot make the folder of faults")?;
    let mut fuzzer = Command::new(built.join(host()?).join("release").join(target));
    fuzzer.current_dir(&project.root).arg(&corpus);
    fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display()));
    Ok(fuzzer)
}

/// Writes down from which code targets were built.
fn note(project: &Project, built: &Path, targets: &[&String]) -> Result<()> {
    let head = run::captured(Command::new("git").current_dir(&project.root).args([
        "describe",
        "--always",
        "--dirty",
        "--exclude=*",
    ]))
    .unwrap_or_default();
    let mut lines: BTreeMap<String, String> = noted(built).into_iter().collect();
    for target in targets {
        lines.insert((*target).clone(), format!("{}\t{}", covers::code(&project.root, target)?, head.trim()));
    }
    let text: String = lines.iter().map(|(target, rest)| format!("{target}\t{rest}\n")).collect();
    std::fs::write(built.join(BUILT), text).context("cannot write down what was built")
}

fn noted(built: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(built.join(BUILT)).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once('\t')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

/// Runs a target piece by piece until it has had its mutations; each piece is written down, so that this can be ended
/// and begun again at any time.
fn go_on(project: &Project, built: &Path, target: &str, wish: &Wish, until: u64) -> Result<Outcome> {
    let path = project.root.join(LEDGER);
    let log = project.root.join("fuzz/artifacts").join(format!("{target}.log"));
    loop {
        let from = noted(built).into_iter().find(|(name, _)| name == target).map(|(_, rest)| rest);
        let from = from.context("it was not built: leave out --as-built")?;
        let (code, head) = from.split_once('\t').unwrap_or((&from, ""));
        let (so_far, fault) = Ledger::open(&path)?.so_far(target, code);
        if fault {
            return Ok(Outcome::Failed(format!("a fault is written down for this code in {LEDGER}")));
        }
        if so_far >= until {
            println!("{target}: {so_far} mutations of {code}");
            return Ok(Outcome::Passed);
        }
        let mut fuzzer = fuzzer(project, built, target)?;
        let output = std::fs::File::create(&log).context("cannot write what the fuzzer says")?;
        fuzzer.args(wish.bounds()).arg(format!("-runs={}", until - so_far));
        let start = Instant::now();
        let status = fuzzer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).status()?;
        let text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
        let (mutations, peak, mut fault) = said(&text);
        if fault.is_empty() && !status.success() {
            fault = "ended".to_owned();
        }
        let failed = !fault.is_empty();
        // Opened again: other targets may have run meanwhile.
        Ledger::open(&path)?.add(Entry {
            target: target.to_owned(),
            code: code.to_owned(),
            built: head.to_owned(),
            mutations,
            seconds: start.elapsed().as_secs(),
            peak,
            fault,
        })?;
        if failed {
            let last: Vec<&str> = text.lines().rev().take(30).collect();
            last.iter().rev().for_each(|line| println!("{line}"));
            return Ok(Outcome::Failed(status.to_string()));
        }
        if mutations == 0 {
            return Ok(Outcome::Failed(format!("it did nothing in {} s", wish.seconds)));
        }
    }
}

/// The build with LLVM's coverage for libFuzzer, which needs no nightly compiler. The target is named so that
/// build scripts and macros are built without it.
fn instrumented(project: &Project, folder: &Path, targets: &[&String], compares: bool) -> Result<Command> {
    const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
         -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table";
    // Values that are compared guide the fuzzer to magic numbers, and cost it half of its speed. The seeds know these.
    const COMPARES: &str = " -Cllvm-args=-sanitizer-coverage-trace-compares";
    let mut cargo = run::cargo(project);
    cargo
        .args(["build", "--release", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--target"])
        .arg(host()?)
        .arg("--target-dir")
        .arg(folder)
        .env("RUSTFLAGS", COVERAGE.to_owned() + if compares { COMPARES } else { "" })
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true");
    for target in targets {
        cargo.args(["--bin", target]);
    }
    Ok(cargo)
}

/// The machine that the compiler builds for by itself.
fn host() -> Result<String> {
    let text = run::captured(Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("the compiler does not say for which machine it builds")
}

/// What AddressSanitizer lacks here.
fn missing() -> Option<String> {
    if run::find("cargo-fuzz").is_none() {
        return Some("cargo-fuzz is not installed (`cargo install cargo-fuzz`)".into());
    }
    let toolchains = run::captured(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    (!toolchains.lines().any(|line| line.starts_with("nightly")))
        .then(|| "no nightly toolchain is installed (`rustup toolchain install nightly`)".into())
}
