//! Coverage-guided fuzzing of the parsers, where a nightly toolchain and cargo-fuzz exist.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::project::Project;
use crate::run::{self, Outcome, Steps};

/// The targets of `fuzz/`, by name.
fn targets(project: &Project) -> Result<Vec<String>> {
    let path = project.root.join("fuzz").join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: toml::Table = text.parse().with_context(|| format!("cannot parse {}", path.display()))?;
    let bins =
        manifest.get("bin").and_then(toml::Value::as_array).context("fuzz/Cargo.toml lists no targets")?;
    Ok(bins.iter().filter_map(|bin| bin.get("name")?.as_str()).map(str::to_owned).collect())
}

/// The step of `test`: the targets compile. Running them needs nightly; their property twins run on stable.
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
    match missing() {
        Some(what) => println!(
            "fuzzing itself is ABSENT here: {what}; the property tests of each parser run in its place"
        ),
        None => println!("cargo xtask fuzz runs the {} targets", targets(project)?.len()),
    }
    Ok(outcome)
}

/// The task: each target, or one, for some seconds or, with `--runs`, that many mutations.
pub(crate) fn run(project: &Project, arguments: &[String]) -> Result<()> {
    let mut seconds = 60_u32;
    let mut runs = None::<u64>;
    let mut only = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let value = arguments.next().context("--seconds needs a number")?;
            seconds = value.parse().with_context(|| format!("`{value}` is no number of seconds"))?;
        } else if argument == "--runs" {
            let value = arguments.next().context("--runs needs a number")?;
            runs = Some(value.parse().with_context(|| format!("`{value}` is no number of runs"))?);
        } else {
            only = Some(argument.clone());
        }
    }
    if let Some(what) = missing() {
        bail!("{what}");
    }
    let all = targets(project)?;
    if let Some(only) = only.as_ref().filter(|only| !all.contains(only)) {
        bail!("no target is called `{only}`; there are {}", all.join(", "));
    }
    let mut steps = Steps::keep_going(true);
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
    for target in all.iter().filter(|target| only.as_ref().is_none_or(|only| only == *target)) {
        steps.step(target, || {
            let mut cargo = Command::new("cargo");
            cargo
                .current_dir(&project.root)
                .args(["+nightly", "fuzz", "run", target, "--target-dir"])
                .arg(project.target.join("fuzz-run"));
            // Memory is bounded by the parsers; 1 GiB is far above what any of them may take.
            cargo.args([
                "--",
                &runs.map_or_else(|| format!("-max_total_time={seconds}"), |runs| format!("-runs={runs}")),
                "-rss_limit_mb=1024",
                "-max_len=65536",
                "-timeout=10",
                "-print_final_stats=1",
            ]);
            run::shown(&mut cargo)
        });
    }
    steps.finish()
}

/// What fuzzing lacks here.
fn missing() -> Option<String> {
    if run::find("cargo-fuzz").is_none() {
        return Some("cargo-fuzz is not installed (`cargo install cargo-fuzz`)".into());
    }
    let toolchains = run::captured(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    (!toolchains.lines().any(|line| line.starts_with("nightly")))
        .then(|| "no nightly toolchain is installed (`rustup toolchain install nightly`)".into())
}
