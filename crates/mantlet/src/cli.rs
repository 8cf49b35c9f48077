//! The commands a person types.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mantlet_vocab::Severity;

use crate::terminal::Terminal;
use crate::{commands, exit};

/// Protects a machine-learning model from the data it learns from to the decision it makes.
#[derive(Debug, Parser)]
#[command(name = "mantlet", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    /// Say only results.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Use no colour.
    #[arg(long, global = true)]
    no_color: bool,
    #[command(flatten)]
    engine: crate::engine::Options,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 clean; 1 found; 2 not fully examined; 3 usage or configuration error; 4 the run failed.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Protect, serve, attack and defend a worked example on this machine.
    Demo(commands::demo::Options),
    /// Look at a folder, ask three questions, write a commented mantlet.toml.
    Init(commands::init::Options),
    /// Take in, probe and admit the model of a folder: verdict, report.html, signed passport.
    Protect(commands::protect::Options),
    /// Run the gateway before the model's endpoint, and the console.
    Up(commands::up::Options),
    /// Scan model files, folders and archives.
    Scan(commands::scan::Options),
    /// Check training data.
    #[command(subcommand)]
    Data(commands::data::Command),
    /// Compare later data with the profile of a reference.
    #[command(subcommand)]
    Monitor(commands::monitor::Command),
    /// Run the guard's limits and detectors on what already happened: access logs, JSON Lines, Parquet.
    Watch(commands::watch::Options),
    /// Check lock files for pins, hashes and look-alike names.
    #[command(subcommand)]
    Deps(commands::deps::Command),
    /// Attack a model file or an endpoint; replay attacks that once worked.
    #[command(subcommand)]
    Attack(commands::attack::Command),
    /// Look for a planted trigger in a model.
    Backdoor(commands::attack::BackdoorOptions),
    /// Versions of the model: list, history, approve, promote, roll back.
    #[command(subcommand)]
    Registry(commands::registry::Command),
    /// Sign a model folder or file with the system's key (OpenSSF Model Signing).
    Sign(commands::seal::SignOptions),
    /// Verify a model against its signature.
    Verify(commands::seal::VerifyOptions),
    /// The append-only log of every change.
    #[command(subcommand)]
    Audit(commands::audit::Command),
    /// Incidents: list, show, contain, undo, close.
    #[command(subcommand)]
    Incident(commands::incident::Command),
    /// Decisions that wait for a person.
    #[command(subcommand)]
    Review(commands::review::Command),
    /// Keys of callers.
    #[command(subcommand)]
    Keys(commands::keys::KeyCommand),
    /// People who may sign in to the console.
    #[command(subcommand)]
    Users(commands::keys::UserCommand),
    /// Check, show or describe mantlet.toml.
    #[command(subcommand)]
    Config(commands::config::Command),
    /// What a rule, check, attack, detector or action is, why it matters and what to do.
    Explain(commands::explain::Options),
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person at a terminal.
    Text,
    /// For programs.
    Json,
    /// Static Analysis Results Interchange Format 2.1.0.
    Sarif,
    /// For pull requests and tickets.
    Markdown,
    /// One self-contained page.
    Html,
}

/// Where and how a report goes.
#[derive(Debug, Clone, Args)]
pub struct Reporting {
    /// Form of the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write the report here instead of to standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Findings of this severity and above count as found.
    #[arg(long, value_name = "SEVERITY", default_value = "suspicious")]
    pub threshold: Severity,
}

impl From<Format> for mantlet_report::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
            Format::Sarif => Self::Sarif,
            Format::Markdown => Self::Markdown,
            Format::Html => Self::Html,
        }
    }
}

/// `mantlet scan` by itself. It is started for each file that is committed or loaded, and the tree of all commands
/// would cost each start time and memory.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true)]
struct Scan {
    #[arg(long, short)]
    quiet: bool,
    #[arg(long)]
    no_color: bool,
    #[command(flatten)]
    options: commands::scan::Options,
}

impl Scan {
    /// Reads a line that asks for a scan. All others, wrong ones and those that ask for help, are for [`Cli`] to read.
    fn read(arguments: &[OsString]) -> Option<Cli> {
        let (program, rest) = arguments.split_first()?;
        let (_, rest) = rest.split_first().filter(|(command, _)| *command == "scan")?;
        let scan = Self::of_paths(rest)
            .or_else(|| Self::try_parse_from(std::iter::once(program).chain(rest)).ok())?;
        Some(Cli {
            quiet: scan.quiet,
            no_color: scan.no_color,
            engine: crate::engine::Options::default(),
            command: Command::Scan(scan.options),
        })
    }

    /// A scan of paths and nothing else, which is what most are. The parser of options would take a third of the
    /// memory that the scan of a small file takes.
    fn of_paths(rest: &[OsString]) -> Option<Self> {
        let (mut quiet, mut no_color, mut paths) = (false, false, Vec::new());
        let mut rest = rest.iter();
        while let Some(argument) = rest.next() {
            match argument.as_encoded_bytes() {
                b"--" => paths.extend(rest.by_ref().map(PathBuf::from)),
                b"-q" | b"--quiet" if !quiet => quiet = true,
                b"--no-color" if !no_color => no_color = true,
                [] | [b'-', _, ..] => return None,
                _ => paths.push(PathBuf::from(argument)),
            }
        }
        // An empty path is a slip of a script, which the parser of options names.
        let named = !paths.is_empty() && paths.iter().all(|path| !path.as_os_str().is_empty());
        named.then(|| Self { quiet, no_color, options: commands::scan::Options::of(paths) })
    }
}

/// Runs one command line and gives its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Scan::read(&arguments).map_or_else(|| Cli::try_parse_from(&arguments), Ok) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // clap's own code for usage errors is 2, which here means "not fully examined".
            return ExitCode::from(if error.use_stderr() { 3 } else { 0 });
        }
    };
    let terminal = Terminal::new(cli.quiet, cli.no_color);
    crate::engine::choose(cli.engine);
    let result = match cli.command {
        Command::Demo(options) => commands::demo::run(terminal, options),
        Command::Init(options) => commands::init::run(terminal, options),
        Command::Protect(options) => commands::protect::run(terminal, options),
        Command::Up(options) => commands::up::run(terminal, options),
        Command::Scan(options) => commands::scan::run(terminal, options),
        Command::Data(command) => commands::data::run(terminal, command),
        Command::Monitor(command) => commands::monitor::run(terminal, command),
        Command::Watch(options) => commands::watch::run(terminal, &options),
        Command::Deps(command) => commands::deps::run(terminal, command),
        Command::Attack(command) => commands::attack::run(terminal, command),
        Command::Backdoor(options) => commands::attack::backdoor(terminal, options),
        Command::Registry(command) => commands::registry::run(terminal, command),
        Command::Sign(options) => commands::seal::sign(terminal, options),
        Command::Verify(options) => commands::seal::verify(terminal, options),
        Command::Audit(command) => commands::audit::run(terminal, command),
        Command::Incident(command) => commands::incident::run(terminal, command),
        Command::Review(command) => commands::review::run(terminal, command),
        Command::Keys(command) => commands::keys::run(terminal, command),
        Command::Users(command) => commands::keys::users(terminal, command),
        Command::Config(command) => commands::config::run(terminal, command),
        Command::Explain(options) => commands::explain::run(terminal, options),
    };
    result.unwrap_or_else(|error| {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr().lock(), "mantlet: {error:#}");
        exit::failure(&error)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        Scan::command().debug_assert();
    }

    #[test]
    fn a_scan_is_read_the_same_by_itself() {
        for (line, alone) in [
            ("scan a.pkl", true),
            ("scan a.pkl -q --no-color", true),
            ("scan --quiet --format json --threads 2 --exclude *.md --exclude b/** a b -", true),
            ("scan --diff old new", true),
            ("scan --list-rules --format=json", true),
            ("scan -- --full help", true),
            ("scan help", true),
            ("scan -q --no-color - a --", true),
            ("scan --quiet -- -q --", true),
            ("scan -q -q a", false),
            ("scan --", false),
            ("scan -q", false),
            // What is wrong or asks for help is said by the whole command line.
            ("scan", false),
            ("scan --version", false),
            ("scan -V a", false),
            ("scan --help", false),
            ("scan a --unknown", false),
            ("scan a --base b --diff c d", false),
            ("scan a --threads many", false),
            ("-q scan a", false),
            ("explain scan", false),
            ("", false),
        ] {
            let line: Vec<OsString> =
                ["mantlet"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect();
            let (by_itself, whole) = (Scan::read(&line), Cli::try_parse_from(&line).ok());
            assert_eq!(by_itself.is_some(), alone, "{line:?}");
            if alone {
                assert_eq!(format!("{by_itself:?}"), format!("{whole:?}"), "{line:?}");
            }
            if let Some(scan) = line.get(2..).and_then(Scan::of_paths).filter(|_| line[1] == "scan") {
                let Scan { quiet, no_color, options } = scan;
                let engine = crate::engine::Options::default();
                let plain = Cli { quiet, no_color, engine, command: Command::Scan(options) };
                assert_eq!(format!("{:?}", Some(plain)), format!("{whole:?}"), "{line:?}");
            }
        }
    }
}
