//! Everything the project can test with its own set-up, step by step.

use std::process::Command;

use anyhow::Result;

use crate::project::Project;
use crate::run::{self, Outcome, Steps};
use crate::{docs, fuzz, supply, tidy};

/// A program that tests use, and the Debian package that brings it.
const TOOLS: [(&str, &str); 7] = [
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("redis-server", "redis-server"),
    ("nats-server", "nats-server"),
    ("nginx", "nginx-light"),
    ("python3", "python3"),
    // Its own programs are in a folder of their version; this one stands on the path.
    ("pg_lsclusters", "postgresql"),
];

pub(crate) fn run(project: &Project, arguments: &[String]) -> Result<()> {
    let mut steps = Steps::keep_going(arguments.iter().any(|argument| argument == "--keep-going"));
    steps.step("tools", tools);
    steps.step("tidy", || tidy::outcome(project));
    steps.step("format", || run::shown(run::cargo(project).args(["fmt", "--all", "--check"])));
    steps.step("supply", || supply::outcome(project));
    steps.step("clippy", || {
        let arguments =
            ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
        run::shown(run::cargo(project).args(arguments))
    });
    steps.step("fuzz targets", || fuzz::check(project));
    steps.step("docs", || docs::outcome(project));
    steps.step("tests", || {
        run::shown(run::cargo(project).args(["test", "--workspace", "--locked", "--no-fail-fast"]))
    });
    // An optional feature: its crate is tested above, here it is only wired to the command line.
    steps.step("tests of the remote feature", || {
        let mut cargo = run::cargo(project);
        // Of the whole workspace, so that what the step before built serves here too.
        cargo.args(["test", "--workspace", "--features", "mantlet/remote"]);
        cargo.args(["--test", "cli", "--locked", "--quiet"]);
        run::shown(cargo.args(["--", "addresses"]))
    });
    // DataFusion and Ballista are built for this feature alone, so its crate is empty above and tested here.
    steps.step("tests of the cluster feature", || {
        let test = ["test", "-p", "mantlet", "-p", "mantlet-cluster", "--features", "mantlet/cluster"];
        let of = |more: &[&str]| {
            run::shown(run::cargo(project).args(test).args(["--locked", "--quiet"]).args(more))
        };
        match of(&["--lib"])? {
            Outcome::Passed => of(&["--test", "cli", "--", "cluster::", "engines::"]),
            other => Ok(other),
        }
    });
    steps.finish()
}

/// Installs what tests need where that is allowed; names it otherwise.
fn tools() -> Result<Outcome> {
    let missing =
        || TOOLS.iter().filter(|(program, _)| run::find(program).is_none()).map(|(_, package)| *package);
    let packages: Vec<&str> = missing().collect();
    if packages.is_empty() {
        println!("a browser, Redis, NATS, nginx, PostgreSQL and Python are installed");
        return Ok(Outcome::Passed);
    }
    if run::find("apt-get").is_some() && is_root() {
        println!("installing {}", packages.join(", "));
        let environment = ("DEBIAN_FRONTEND", "noninteractive");
        let mut update = Command::new("apt-get");
        let mut install = Command::new("apt-get");
        update.args(["-qq", "update"]).env(environment.0, environment.1);
        install
            .args(["-qq", "install", "-y", "--no-install-recommends"])
            .args(&packages)
            .env(environment.0, environment.1);
        for command in [&mut update, &mut install] {
            if let Outcome::Failed(why) = run::shown(command)? {
                println!("apt-get failed: {why}");
                break;
            }
        }
        if missing().next().is_none() {
            return Ok(Outcome::Passed);
        }
    }
    let why = format!("missing Debian packages: {}; what needs them is not tested", packages.join(", "));
    Ok(if Project::in_ci() { Outcome::Failed(why) } else { Outcome::Skipped(why) })
}

fn is_root() -> bool {
    run::captured(Command::new("id").arg("-u")).is_ok_and(|user| user.trim() == "0")
}
