//! Tasks of the project: `cargo xtask help` lists them.
#![expect(clippy::print_stdout, reason = "a task speaks to the person who started it")]

mod acceptance;
mod bench;
mod dist;
mod docs;
mod effects;
mod fuzz;
mod project;
mod run;
mod supply;
mod test;
mod tidy;
mod train;

use std::process::ExitCode;

use crate::project::Project;

const HELP: &str = "\
cargo xtask TASK

  tidy                     the laws of the house: storeys, purity, rooms, file lengths, wording
  supply                   licences, bans and sources of all dependencies, by deny.toml
  test [--keep-going]      everything the project can test with its own set-up
  acceptance               the released program on input this project did not make (needs ../shared and Python)
  bench scan|attack|gateway|data [--quick]
                           ours beside a peer in the same run; appends to docs/benchmarks/
  effects [--check] [FOLDER...]
                           the generated rows of the effect table, from the sources of pinned libraries or of
                           the installed ones in FOLDER; --check compares only (needs Python)
  train injection FOLDER [--check] [--leave-out]
                           the model of injection-suspected, from the data sets in FOLDER and pinned packages;
                           --check compares only, --leave-out measures it without each source (needs Python)
  fuzz [TARGET...] [--seconds N | --runs N | --until N [--as-built] | --list] [--max-len BYTES] [--compares]
       [--sanitizer none|address]
                           coverage-guided fuzzing of the parsers; `--until` goes on from the runs of the same code
                           in docs/benchmarks/fuzz.tsv, `--list` says what those came to; `address` needs a nightly toolchain and cargo-fuzz
  docs                     reference documentation, and the commands that README and docs name
  dist [--features NAMES]  a release archive with licences and checksums in dist/";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let project = match Project::here() {
        Ok(project) => project,
        Err(error) => {
            println!("error: {error:#}");
            return ExitCode::from(4);
        }
    };
    let result = match task.as_str() {
        "tidy" => tidy::run(&project),
        "supply" => supply::run(&project),
        "test" => test::run(&project, &rest),
        "acceptance" => acceptance::run(&project),
        "bench" => bench::run(&project, &rest),
        "effects" => effects::run(&project, &rest),
        "train" => train::run(&project, &rest),
        "fuzz" => fuzz::run(&project, &rest),
        "docs" => docs::run(&project),
        "dist" => dist::run(&project, &rest),
        "help" | "-h" | "--help" => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            println!("error: no task is called `{other}`\n\n{HELP}");
            return ExitCode::from(3);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
