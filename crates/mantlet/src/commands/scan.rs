//! `mantlet scan PATH...`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use clap::Args;
use indicatif::ProgressBar;
use mantlet_formats::pickle::Effects;
use mantlet_scan::{Cache, Levels, Selection};
use mantlet_vocab::{Examination, Millis, Severity, Verdict};

use super::own::{Own, list_rules, tell_kept};
use super::remote;
use crate::cli::{Format, Reporting};
use crate::exit::{self, Usage};
use crate::terminal::{Terminal, deliver, write_whole};

/// Results kept by `--cache`.
const CACHE_BYTES: u64 = 256 << 20;

/// Bytes of standard input that are taken.
const MAX_PIPE: u64 = 256 << 30;

/// What to scan, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// Model files, folders and archives, `-` for standard input; with the `remote` feature also hf://, s3://, gs://,
    /// az://, abfss://, https://, oci://, mlflow://, jfrog://, dvc:// and torchhub:// addresses.
    #[arg(required_unless_present_any = ["diff", "list_rules", "list_effects"])]
    paths: Vec<PathBuf>,
    /// What a loader would call the file that comes from standard input.
    #[arg(long, value_name = "NAME", default_value = "stdin")]
    stdin_name: String,
    /// Compare two versions instead: tensors, code, configuration and graph.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with_all = ["paths", "base"])]
    diff: Option<Vec<PathBuf>>,
    /// The model this one is said to be made from: its weights are compared for traces of tampering.
    #[arg(long, value_name = "BASE")]
    base: Option<PathBuf>,
    /// Run models whose graph has a suspected branch (ONNX, TensorFlow, TensorFlow Lite, Keras), on inputs searched for it;
    /// takes as much memory as they do.
    #[arg(long)]
    probe: bool,
    /// Name every rule with what it sees, and end; with `--format json` for programs.
    #[arg(long)]
    list_rules: bool,
    /// Print the shipped table of what callables do, and end: a beginning for one of your own.
    #[arg(long, conflicts_with = "list_rules")]
    list_effects: bool,
    /// Judge by this table of effects (or `effects.txt` in this folder) instead of the shipped one. Its signature
    /// lies beside it.
    #[arg(long, value_name = "FILE|FOLDER", requires = "effects_key")]
    effects: Option<PathBuf>,
    /// The public key (PEM) that must have signed the table of effects.
    #[arg(long, value_name = "FILE", requires = "effects")]
    effects_key: Option<PathBuf>,
    /// Threads; the report is the same for any number.
    #[arg(long)]
    threads: Option<usize>,
    /// How deep archives within archives are opened.
    #[arg(long)]
    max_depth: Option<u8>,
    /// Seconds that the examination of one file may take; what is not done by then counts as not examined.
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    max_time: u64,
    /// Read every byte: digests, hidden content in tensor data.
    #[arg(long)]
    full: bool,
    /// Inside folders, scan only files that match; may be repeated. `*.pkl` matches anywhere, `a/**` where it says.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Inside folders, leave out files that match; may be repeated.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Count what could not be examined as found (exit code 1 instead of 2).
    #[arg(long)]
    strict: bool,
    /// Set how bad findings of a rule are: note, suspicious or malicious; may be repeated. Lowering what is malicious
    /// needs a reason.
    #[arg(short = 'S', long = "level", value_name = "RULE=LEVEL[:REASON]")]
    levels: Vec<String>,
    /// A TOML list of `[[suppress]]` entries (rule, path, reason, owner, until) and `[[level]]` entries (rule, level,
    /// reason, owner). Never read from what is scanned.
    #[arg(long, value_name = "FILE")]
    suppressions: Option<PathBuf>,
    /// YARA rules of your own, or a folder of them, asked about each file and what is inside; may be repeated.
    #[arg(long, value_name = "FILE|FOLDER")]
    yara: Vec<PathBuf>,
    /// Keep results in this folder of your own, and do not examine again what has not changed.
    #[arg(long, value_name = "FOLDER", conflicts_with = "diff")]
    cache: Option<PathBuf>,
    /// Authorities (PEM) that servers of addresses may be certified by, beside the public ones.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Also write a CycloneDX 1.7 bill of materials of what was scanned.
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    #[command(flatten)]
    reporting: Reporting,
}

impl Options {
    /// What `mantlet scan PATH...` says when it says nothing else.
    pub fn of(paths: Vec<PathBuf>) -> Self {
        Self {
            paths,
            stdin_name: "stdin".to_owned(),
            diff: None,
            base: None,
            probe: false,
            list_rules: false,
            list_effects: false,
            effects: None,
            effects_key: None,
            threads: None,
            max_depth: None,
            max_time: 3_600,
            full: false,
            include: Vec::new(),
            exclude: Vec::new(),
            strict: false,
            levels: Vec::new(),
            suppressions: None,
            yara: Vec::new(),
            cache: None,
            ca: None,
            sbom: None,
            reporting: Reporting { format: Format::Text, output: None, threshold: Severity::Suspicious },
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the report cannot be written.
pub fn run(terminal: Terminal, options: Options) -> anyhow::Result<ExitCode> {
    let own = Own::read(options.suppressions.as_deref(), &options.levels)?;
    if options.list_rules {
        return list_rules(terminal, &own.levels, &options.reporting);
    }
    if options.list_effects {
        deliver(terminal, Effects::default().text(), options.reporting.output.as_deref())?;
        return Ok(ExitCode::SUCCESS);
    }
    let usage = |error: &dyn std::fmt::Display| Usage(error.to_string());
    let mut settings = mantlet_scan::Options {
        selection: Selection::new(&options.include, &options.exclude).map_err(|error| usage(&error))?,
        full_content: options.full,
        max_time: Some(Duration::from_secs(options.max_time)),
        ..mantlet_scan::Options::default()
    };
    if let (Some(table), Some(key)) = (&options.effects, &options.effects_key) {
        settings.bounds.effects =
            super::effects::load(table, key).map_err(|error| Usage(format!("{error:#}")))?;
    }
    if !options.yara.is_empty() {
        let rules = mantlet_yara::Rules::load(&options.yara).map_err(faulty)?;
        for remark in rules.remarks() {
            terminal.note(remark);
        }
        settings.user_rules = Some(Arc::new(rules));
    }
    if let Some(folder) = &options.cache {
        settings.cache = Some(Arc::new(Cache::open(folder, CACHE_BYTES).map_err(faulty)?));
    }
    if let Some(threads) = options.threads {
        settings.threads = threads.max(1);
    }
    if let Some(depth) = options.max_depth {
        settings.max_depth = depth;
    }
    if let Some([old, new]) = options.diff.as_deref() {
        if [old, new].iter().any(|path| path.to_str().is_some_and(remote::is_address)) {
            return Err(Usage("--diff compares local files: give copies".to_owned()).into());
        }
        return compare(terminal, [old, new], &settings, &own.levels, &options.reporting);
    }
    let mut progress = Bar::new(terminal, Arc::clone(&settings.meter));
    let text = |path: &PathBuf| path.to_str().filter(|text| remote::is_address(text)).map(str::to_owned);
    let addresses: Vec<String> = options.paths.iter().filter_map(text).collect();
    let (pipes, paths): (Vec<PathBuf>, Vec<PathBuf>) =
        options.paths.iter().filter(|path| text(path).is_none()).cloned().partition(|path| is_pipe(path));
    if pipes.len() > 1 || options.base.is_some() && !pipes.is_empty() {
        return Err(Usage(
            "standard input is read once and has no place in a comparison: name `-` once, \
             and files with --base"
                .to_owned(),
        )
        .into());
    }
    if options.base.is_some() && !addresses.is_empty() {
        return Err(Usage("--base compares local files: scan a copy".to_owned()).into());
    }
    // What reading options and settings ran is not needed while files are looked at: a third of a small scan's memory.
    if let Err(error) = mantlet_resident::give_code_back() {
        tracing::debug!(%error, "code that ran once stays in memory");
    }
    // Addresses first, so that one that is wrong is said before anything long begins.
    let mut examination =
        remote::scan(terminal, &addresses, options.ca.as_deref(), &settings, &mut progress)?;
    if !paths.is_empty() {
        examination.merge(mantlet_scan::scan(&paths, &settings, &mut progress));
    }
    if !pipes.is_empty() {
        let mut pipe = std::io::stdin().lock();
        examination.merge(mantlet_scan::scan_pipe(&options.stdin_name, &mut pipe, MAX_PIPE, &settings));
    }
    if let Some(bar) = &progress.bar {
        bar.finish_and_clear();
    }
    if let Some(base) = &options.base {
        for path in &options.paths {
            let (findings, gaps) = mantlet_scan::against(base, path, &settings.bounds);
            examination.merge(Examination { findings, gaps, ..Examination::default() });
        }
    }
    if let Some(cache) = settings.cache.as_ref().filter(|cache| cache.hits() > 0) {
        terminal.note(&format!("{} files have not changed since they were scanned last", cache.hits()));
    }
    if options.probe {
        super::probe::run(&mut examination);
    }
    if progress.left_out > 0 {
        terminal.note(&format!("{} files were left out by --include and --exclude", progress.left_out));
    }
    own.apply(terminal, &mut examination, now());
    if let Some(file) = &options.sbom {
        write_whole(
            file,
            mantlet_report::cyclonedx(&examination, env!("CARGO_PKG_VERSION"), now()).as_bytes(),
        )?;
    }
    super::report(terminal, &examination, &options.reporting)?;
    Ok(exit::verdict(verdict(&examination, &options)))
}

/// Whether an argument stands for standard input. A file of that name is `./-`.
fn is_pipe(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Compares two versions: found when the new one has findings the old one has not, whatever else changed.
fn compare(
    terminal: Terminal,
    [old, new]: [&Path; 2],
    settings: &mantlet_scan::Options,
    levels: &Levels,
    reporting: &Reporting,
) -> anyhow::Result<ExitCode> {
    let mut diff = mantlet_scan::diff::diff(old, new, settings);
    tell_kept(terminal, &levels.apply(&mut diff.found));
    let text = match reporting.format {
        Format::Text => diff.text(),
        Format::Json => serde_json::to_string_pretty(&diff)? + "\n",
        _ => {
            return Err(Usage(
                "a comparison is printed as text or json: use --format text or --format json".to_owned(),
            )
            .into());
        }
    };
    deliver(terminal, &text, reporting.output.as_deref())?;
    let verdict = if diff.found.iter().any(|finding| finding.severity >= reporting.threshold) {
        Verdict::Found
    } else if diff.gaps.is_empty() {
        Verdict::Clean
    } else {
        Verdict::NotFullyExamined
    };
    Ok(exit::verdict(verdict))
}

/// What is wrong with a file that says how to scan: a fault of configuration, with its cause.
fn faulty(error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    let text = format!("{:#}", anyhow::Error::new(error));
    Usage(text).into()
}

fn verdict(examination: &Examination, options: &Options) -> Verdict {
    match examination.verdict(options.reporting.threshold) {
        Verdict::NotFullyExamined if options.strict => Verdict::Found,
        other => other,
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Shows scan progress on a terminal: files done, and bytes read from large ones.
struct Bar {
    /// None where nobody would see it.
    bar: Option<ProgressBar>,
    meter: Arc<AtomicU64>,
    left_out: usize,
}

impl Bar {
    fn new(terminal: Terminal, meter: Arc<AtomicU64>) -> Self {
        let bar = terminal.shows().then(|| terminal.bar(0, "scan"));
        let read = Arc::clone(&meter);
        let since = std::time::Instant::now();
        if let Some(bar) = &bar {
            let shown = bar.downgrade();
            // Ends with the bar: a bar that is gone cannot be upgraded.
            std::thread::spawn(move || {
                while let Some(bar) = shown.upgrade().filter(|bar| !bar.is_finished()) {
                    let bytes = read.load(Ordering::Relaxed);
                    let seconds = since.elapsed().as_secs_f64().max(0.001);
                    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
                    let rate = bytes as f64 / seconds / 1e6;
                    bar.set_message(format!("scan, {:.1} GB read, {rate:.0} MB/s", bytes as f64 / 1e9));
                    std::thread::sleep(Duration::from_millis(250));
                }
            });
        }
        Self { bar, meter, left_out: 0 }
    }
}

impl mantlet_scan::Progress for Bar {
    fn start(&mut self, files: usize, left_out: usize) {
        self.meter.store(0, Ordering::Relaxed);
        self.left_out += left_out;
        if let Some(bar) = &self.bar {
            bar.set_length(files as u64);
        }
    }

    fn file(&mut self, _: &str, done: usize, _: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        }
    }
}
