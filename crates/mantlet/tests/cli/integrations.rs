//! What `integrations/` and the pre-commit hook run, run here as their hosts do.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Ran, ran};

const EVIL: &[u8] = b"cos\nsystem\n(S'true'\ntR.";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of the program first on the path.
fn path() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_mantlet"));
    format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default())
}

/// The shell step of the action, as a runner calls it: `bash --noprofile --norc -eo pipefail FILE`.
fn action(folder: &Path, paths: &str, strict: &str) -> Ran {
    let text = std::fs::read_to_string(root().join("integrations/github-action/action.yml")).unwrap();
    let (_, script) = text.split_once("      run: |\n").expect("the action has a script");
    let lines = script.lines().map(|line| line.strip_prefix("        ").unwrap_or(line));
    let file = folder.join("step.sh");
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let mut step = Command::new("bash");
    step.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(&file).current_dir(folder);
    step.env("PATH", path()).env("PATHS", paths).env("STRICT", strict);
    step.env("SUPPRESSIONS", "").env("SARIF", "out.sarif");
    ran(&step.output().unwrap())
}

#[test]
fn the_github_action_scans_what_it_is_given_and_fails_on_what_is_found() {
    let holder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(holder.path().join(name), bytes).unwrap();
    put("good.pkl", b"\x80\x04]\x94.");
    put("bad model.pkl", EVIL);
    put("odd.bin", &[0xc1; 64]);
    let run = |paths: &str, strict: &str| action(holder.path(), paths, strict);
    // A block of YAML ends with a newline, and Windows runners write others.
    assert_eq!(run("good.pkl\n", "true").code, 0);
    assert_eq!(run("good.pkl\r\n\n  \n", "true").code, 0);
    let bad = run("good.pkl\nbad model.pkl\n", "true");
    assert!(bad.code == 1 && bad.out.contains("::error::mantlet found something"), "{}", bad.out);
    let report = std::fs::read_to_string(holder.path().join("out.sarif")).unwrap();
    assert!(report.contains("pickle-unsafe-global"));
    assert_eq!(run("odd.bin", "true").code, 1);
    let odd = run("odd.bin", "false");
    assert!(odd.code == 2 && odd.out.contains("could not examine everything"), "{}", odd.out);
    assert_eq!(run("\n", "true").code, 3);
    // Nothing in a path is run or taken for an option.
    let odd = run("$(touch gone)\n--output=gone\n", "true");
    assert!(odd.code != 0 && !holder.path().join("gone").exists(), "{}", odd.out);
}

#[test]
fn the_pre_commit_hook_takes_names_as_names() {
    let holder = tempfile::tempdir().unwrap();
    std::fs::write(holder.path().join("--output.pkl"), b"\x80\x04]\x94.").unwrap();
    std::fs::write(holder.path().join("bad.pkl"), EVIL).unwrap();
    let text = std::fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
    let entry =
        text.lines().find_map(|line| line.trim().strip_prefix("entry: ")).expect("the hook has an entry");
    let run = |file: &str| {
        let mut words = entry.split_whitespace();
        let mut hook = Command::new(words.next().unwrap());
        hook.args(words).arg(file).current_dir(holder.path()).env("PATH", path());
        ran(&hook.output().unwrap())
    };
    assert_eq!(run("--output.pkl").code, 0);
    assert!(run("bad.pkl").out.contains("pickle-unsafe-global"));
}
