//! The released program on input this project did not make: models, clients and verifiers from package registries.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::project::Project;
use crate::run::{self, Outcome, Steps};

pub(crate) fn run(project: &Project) -> Result<()> {
    let shared = project.root.join("..").join("shared").join("data");
    let mut steps = Steps::default();
    let mut ready = true;
    steps.step("inputs", || {
        let mut missing = Vec::new();
        if !shared.is_dir() {
            missing.push("the folder ../shared/data");
        }
        if run::find("python3").is_none() {
            missing.push("python3");
        }
        if missing.is_empty() {
            return Ok(Outcome::Passed);
        }
        ready = false;
        let why = format!("missing: {}", missing.join(", "));
        Ok(if Project::in_ci() { Outcome::Failed(why) } else { Outcome::Skipped(why) })
    });
    if !ready {
        return steps.finish();
    }
    let environment = project.target.join("acceptance-venv");
    steps.step("python environment", || python(project, &environment, "scripts/acceptance/requirements.txt"));
    steps.step("torch", || Ok(torch(project, &environment)));
    steps.step("release build", || {
        run::shown(run::cargo(project).args(["build", "--release", "-p", "mantlet", "--locked"]))
    });
    steps.step("acceptance", || {
        let mut python = Command::new(environment.join("bin").join("python"));
        python.current_dir(&project.root).args(["-B", "-u", "scripts/acceptance/run.py"]);
        python.arg("--mantlet").arg(project.target.join("release").join("mantlet"));
        python.arg("--data").arg(&shared).arg("--work").arg(project.target.join("acceptance"));
        run::shown(&mut python)
    });
    let clients = project.target.join("acceptance-clients-venv");
    steps.step("python environment with clients", || {
        python(project, &clients, "scripts/acceptance/clients.txt")
    });
    steps.step("acceptance of clients of language models", || through(project, &clients, "clients.py"));
    steps.step("acceptance of clients of tensors, tables and tools", || {
        through(project, &clients, "dialects.py")
    });
    let litellm = project.target.join("acceptance-litellm-venv");
    steps.step("python environment with LiteLLM", || {
        python(project, &litellm, "scripts/acceptance/litellm.txt")
    });
    steps.step("acceptance of another gateway's guardrails", || through(project, &litellm, "gateways.py"));
    let engines = project.target.join("acceptance-engines-venv");
    steps.step("python environment with ONNX Runtime", || {
        python(project, &engines, "scripts/acceptance/engines.txt")
    });
    steps.step("build of the comparison of engines", || {
        run::shown(run::cargo(project).args(["build", "-p", "mantlet-ort", "--example", "agree", "--locked"]))
    });
    steps.step("acceptance of ONNX Runtime as the engine", || {
        let mut python = Command::new(engines.join("bin").join("python"));
        python.current_dir(&project.root).args(["-B", "-u", "scripts/acceptance/engines.py"]);
        python.arg("--mantlet").arg(project.target.join("release").join("mantlet"));
        python.arg("--agree").arg(project.target.join("debug").join("examples").join("agree"));
        python.arg("--work").arg(project.target.join("acceptance"));
        run::shown(&mut python)
    });
    let store = project.target.join("acceptance-s3-venv");
    steps.step("python environment with an S3 server", || {
        python(project, &store, "scripts/acceptance/s3.txt")
    });
    steps.step("build with the remote feature", || {
        run::shown(run::cargo(project).args(["build", "-p", "mantlet", "--features", "remote", "--locked"]))
    });
    steps.step("acceptance of remote artifacts", || {
        let mut python = Command::new(store.join("bin").join("python"));
        python.current_dir(&project.root).args(["-B", "-u", "scripts/acceptance/s3.py"]);
        python.arg("--mantlet").arg(project.target.join("debug").join("mantlet"));
        run::shown(&mut python)
    });
    steps.step("acceptance of replicas on shared services", || {
        let mut python = Command::new(store.join("bin").join("python"));
        python.current_dir(&project.root).args(["-B", "-u", "scripts/acceptance/replicas.py"]);
        python.arg("--mantlet").arg(project.target.join("debug").join("mantlet"));
        python.arg("--work").arg(project.target.join("acceptance"));
        run::shown(&mut python)
    });
    steps.finish()
}

/// A script of clients through the released program.
fn through(project: &Project, environment: &Path, script: &str) -> Result<Outcome> {
    let mut python = Command::new(environment.join("bin").join("python"));
    python.current_dir(&project.root).args(["-B", "-u"]);
    python.arg(Path::new("scripts").join("acceptance").join(script));
    python.arg("--mantlet").arg(project.target.join("release").join("mantlet"));
    python.arg("--work").arg(project.target.join("acceptance"));
    run::shown(&mut python)
}

/// PyTorch, where it installs: some gigabytes, and not for every platform. Its two models are left out without it.
fn torch(project: &Project, environment: &Path) -> Outcome {
    let stamp = environment.join("torch.installed");
    if stamp.is_file() {
        println!("torch is installed");
        return Outcome::Passed;
    }
    let mut pip = Command::new(environment.join("bin").join("python"));
    pip.current_dir(&project.root);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-cache-dir",
        "--timeout",
        "60",
    ]);
    pip.args(["-r", "scripts/acceptance/torch.txt"]);
    match run::shown(&mut pip) {
        Ok(Outcome::Passed) if std::fs::write(&stamp, "").is_ok() => Outcome::Passed,
        _ => Outcome::Skipped(
            "torch does not install here: the MLP and CNN from PyTorch are NOT examined".into(),
        ),
    }
}

/// A virtual environment with exactly what a requirements file pins; made anew when the file changes.
pub(crate) fn python(project: &Project, environment: &Path, requirements: &str) -> Result<Outcome> {
    let wanted = std::fs::read_to_string(project.root.join(requirements))
        .with_context(|| format!("cannot read {requirements}"))?;
    let stamp = environment.join("requirements.installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("{} is up to date", project.shown(environment));
        return Ok(Outcome::Passed);
    }
    if environment.exists() {
        std::fs::remove_dir_all(environment)
            .with_context(|| format!("cannot clear {}", environment.display()))?;
    }
    let made = run::shown(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
    if made != Outcome::Passed {
        return Ok(made);
    }
    let mut pip = Command::new(environment.join("bin").join("python"));
    pip.current_dir(&project.root);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "-r",
        requirements,
    ]);
    let installed = run::shown(&mut pip)?;
    if installed == Outcome::Passed {
        std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    Ok(installed)
}
