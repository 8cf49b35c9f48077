//! Ours beside a peer on the same work in the same run; each run appends a dated row to `docs/benchmarks/`.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::acceptance::python;
use crate::project::Project;
use crate::run::{self, Outcome, Steps};

/// A benchmark: its name and what of the program it builds.
const BENCHES: [&str; 5] = ["scan", "attack", "gateway", "data", "engines"];

pub(crate) fn run(project: &Project, arguments: &[String]) -> Result<()> {
    let name = arguments
        .iter()
        .find(|argument| !argument.starts_with('-'))
        .context("which one? scan, attack, gateway, data or engines")?;
    if !BENCHES.contains(&name.as_str()) {
        bail!("no benchmark is called `{name}`; there are {}", BENCHES.join(", "));
    }
    let environment = project.target.join(format!("bench-{name}-venv"));
    let mut steps = Steps::default();
    // What a gateway costs is told of the program as it is handed out (`cargo xtask dist`, `Containerfile`).
    let profile = if name == "gateway" { "dist" } else { "release" };
    steps.step("python environment", || python(project, &environment, &format!("scripts/bench/{name}.txt")));
    steps.step(&format!("{profile} build"), || {
        let mut build = run::cargo(project);
        build.args(["build", "--profile", profile, "-p", "mantlet", "--bin", "mantlet", "--locked"]);
        if name == "engines" {
            build.args(["--features", "cluster"]);
        }
        if name == "attack" {
            // Models with planted backdoors, and attacks alone: with the program, so that what both need is built once.
            build.args(["-p", "mantlet-worker", "--example", "backdoors"]);
            build.args(["--example", "evasion", "--example", "extraction", "--example", "alone"]);
        }
        run::shown(&mut build)
    });
    if arguments.iter().any(|argument| argument == "--litellm") {
        for (name, pins) in
            [("bench-litellm-venv", "litellm"), ("bench-litellm-reference-venv", "litellm-reference")]
        {
            let peer = project.target.join(name);
            steps.step(name, || python(project, &peer, &format!("scripts/bench/{pins}.txt")));
        }
    }
    if name == "gateway" {
        let proxies = ["build", "--profile", profile, "-p", "mantlet-gateway", "--examples", "--locked"];
        steps.step("calibration proxy and the gateway alone", || {
            run::shown(run::cargo(project).args(proxies))
        });
    }
    steps.step(name, || {
        let mut script = Command::new(environment.join("bin").join("python"));
        script.current_dir(&project.root).args(["-B", "-u", &format!("scripts/bench/{name}.py")]);
        script.arg("--mantlet").arg(project.target.join(profile).join("mantlet"));
        script.arg("--work").arg(project.target.join(format!("bench-{name}")));
        script.arg("--page").arg(format!("docs/benchmarks/{name}.md"));
        script.args(arguments.iter().filter(|argument| *argument != name));
        let outcome = run::shown(&mut script)?;
        Ok(match outcome {
            Outcome::Failed(why) => Outcome::Failed(format!("{why}; nothing was appended")),
            other => other,
        })
    });
    steps.finish()
}
