//! Opens artifacts safely, bounds the work, fans out into members, and says what was covered.
//!
//! Nothing is loaded, unpickled or executed. The result is the same for any number of threads.

mod base;
mod beside;
mod cache;
mod companion;
pub mod diff;
mod engine;
mod file;
mod hub;
mod levels;
mod look;
mod members;
mod models;
mod packed;
mod seen;
mod select;
mod source_code;
mod structures;
mod suppress;
mod text;
mod torch;
mod user_rules;
mod walk;
mod watched;
mod wheel;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mantlet_formats::Bounds;
use mantlet_vocab::{ArtifactSummary, Examination, Finding, Gap, Source};

pub use base::{against, against_source};
pub use cache::{Cache, CacheError};
use engine::Engine;
use file::FileSource;

pub use levels::{Level, LevelError, Levels};
pub use select::{GlobError, Selection};
pub use suppress::{Suppression, SuppressionError, Suppressions};
pub use user_rules::{Judgement, UserRules};

/// How to scan.
#[derive(Debug, Clone)]
pub struct Options {
    /// Worker threads; 0 means as many as the machine offers.
    pub threads: usize,
    /// Containers inside containers that are opened.
    pub max_depth: u8,
    /// Reads every byte: digests each file, checks each checksum and looks for secrets everywhere, weights
    /// included. Without it only what a loader would interpret is read; small files are always read whole.
    pub full_content: bool,
    /// Which files inside folders are scanned.
    pub selection: Selection,
    /// Counts the bytes read from files larger than 1 MiB, for whoever shows progress.
    pub meter: Arc<AtomicU64>,
    /// Rules of the user's own, beside those of mantlet.
    pub user_rules: Option<Arc<dyn UserRules>>,
    /// Results of earlier scans that still hold.
    pub cache: Option<Arc<Cache>>,
    /// How long the examination of one artifact may take; what is not done by then is a gap. Without it only the other
    /// bounds limit the work, and the result depends on nothing but the bytes.
    pub max_time: Option<Duration>,
    /// Further bounds on the work; `max_depth` and `full_content` above win.
    pub bounds: Bounds,
}

impl Default for Options {
    fn default() -> Self {
        let bounds = Bounds::default();
        Self {
            threads: 0,
            max_depth: bounds.max_depth,
            full_content: false,
            selection: Selection::default(),
            meter: Arc::default(),
            user_rules: None,
            cache: None,
            max_time: None,
            bounds,
        }
    }
}

impl Options {
    fn bounds(&self) -> Bounds {
        Bounds { max_depth: self.max_depth, full_content: self.full_content, ..self.bounds }
    }

    /// The table of effects, when it is not the shipped one.
    fn effects(&self) -> Option<String> {
        self.bounds.effects.is_foreign().then(|| self.bounds.effects.name())
    }
}

/// Told how a scan proceeds, always from the calling thread.
pub trait Progress {
    /// The files to scan are known, and how many the selection leaves out.
    fn start(&mut self, _files: usize, _left_out: usize) {}
    /// One more file is done.
    fn file(&mut self, _path: &str, _done: usize, _files: usize) {}
}

/// Progress that nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;
impl Progress for Silent {}

/// One examined file: its summary and findings, or why it could not be examined.
type Outcome = Result<(ArtifactSummary, Vec<Finding>), Gap>;

/// Scans files and folders, in the order given and by name inside folders. `.git` folders are left out, and
/// links that lead out of a named folder are gaps, but for those of a Hugging Face cache into its own blobs.
pub fn scan(paths: &[PathBuf], options: &Options, progress: &mut dyn Progress) -> Examination {
    let walk::Found { files, gaps, escapes, left_out } = walk::files(paths, &options.selection);
    progress.start(files.len(), left_out);
    let machine = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if options.threads == 0 { machine } else { options.threads };
    let threads = threads.min(files.len().div_ceil(8)).max(threads.min(files.len()).min(2)).max(1);
    let mut outcomes: Vec<Option<Outcome>> = Vec::new();
    outcomes.resize_with(files.len(), || None);
    if threads == 1 {
        for (index, path) in files.iter().enumerate() {
            outcomes[index] = Some(examine_file(path, options));
            progress.file(&path.to_string_lossy(), index + 1, files.len());
        }
    } else {
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (sender, next, files) = (sender.clone(), &next, &files);
                scope.spawn(move || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(path) = files.get(index) else { break };
                        if sender.send((index, examine_file(path, options))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for (done, (index, outcome)) in receiver.iter().enumerate() {
                outcomes[index] = Some(outcome);
                progress.file(&files[index].to_string_lossy(), done + 1, files.len());
            }
        });
    }
    let mut examination = Examination { gaps, ..Examination::default() };
    for outcome in outcomes.into_iter().flatten() {
        match outcome {
            Ok((artifact, findings)) => {
                examination.artifacts.push(artifact);
                examination.findings.extend(findings);
            }
            Err(gap) => examination.gaps.push(gap),
        }
    }
    for (link, target) in escapes {
        let mut facts = mantlet_formats::structure::Structure::of("folder");
        let name = target.chars().filter(|c| !c.is_control()).take(200).collect();
        facts.paths.push(mantlet_formats::structure::Named { name, role: "file behind a link", at: 0 });
        let place = mantlet_vocab::Place::artifact(link.to_string_lossy().into_owned());
        let facts = mantlet_formats::Facts::Structure(Box::new(facts));
        mantlet_rules::check(&facts, &place, &mut examination.findings);
    }
    if let Some(cache) = &options.cache {
        cache.prune();
    }
    Finding::sort(&mut examination.findings);
    examination.effects = options.effects();
    examination
}

fn examine_file(path: &std::path::Path, options: &Options) -> Outcome {
    let name = path.to_string_lossy().into_owned();
    let source = FileSource::metered(path, Arc::clone(&options.meter)).map_err(|error| Gap {
        what: name.clone(),
        why: format!("it cannot be read: {error}"),
        remedy: "make it readable for the user who scans, or scan a copy".into(),
    })?;
    let kept = options.cache.as_ref().map(|cache| cache.ask(&name, &source, options));
    let ticket = match kept {
        Some(Ok(result)) => return Ok(result),
        Some(Err(ticket)) => ticket,
        None => None,
    };
    let (artifact, findings, neighbours) = examine(&name, &source, options)?;
    let result = (artifact, findings);
    if let (Some(cache), Some(ticket), false) = (&options.cache, ticket, neighbours) {
        cache.keep(&ticket, &source, &result);
    }
    Ok(result)
}

/// Scans bytes from any source under the name the user knows them by.
#[must_use]
pub fn scan_source(name: &str, source: &dyn Source, options: &Options) -> Examination {
    match examine(name, source, options) {
        Ok((artifact, findings, _)) => Examination {
            artifacts: vec![artifact],
            findings,
            effects: options.effects(),
            ..Examination::default()
        },
        Err(gap) => Examination { gaps: vec![gap], effects: options.effects(), ..Examination::default() },
    }
}

/// Scans what comes from a pipe, such as standard input, under the name a loader would know it by. Formats are read
/// from their ends and by offsets, so more than 1 MiB is kept on disk until the scan is over, in a file without a name.
/// More than `most` bytes are a gap.
pub fn scan_pipe(name: &str, pipe: &mut dyn std::io::Read, most: u64, options: &Options) -> Examination {
    let gap = |why: String, remedy: &str| {
        let gap = Gap { what: name.to_owned(), why, remedy: remedy.to_owned() };
        Examination { gaps: vec![gap], effects: options.effects(), ..Examination::default() }
    };
    match FileSource::spooled(pipe, most, Arc::clone(&options.meter)) {
        Ok(Some(source)) => scan_source(name, &source, options),
        Ok(None) => {
            gap(format!("more than {most} bytes come from the pipe"), "save it to a file and scan that")
        }
        Err(error) => gap(
            format!("it cannot be read: {error}"),
            "make room in the folder for temporary files, or save it to a file and scan that",
        ),
    }
}

/// A defect of ours on one file must neither hide the others nor pass as clean.
fn examine(
    name: &str,
    source: &dyn Source,
    options: &Options,
) -> Result<(ArtifactSummary, Vec<Finding>, bool), Gap> {
    catch_unwind(AssertUnwindSafe(|| Engine::new(name, options).run(source))).map_err(|_| Gap {
        what: name.to_owned(),
        why: "the scanner failed on it, which is a defect of mantlet".into(),
        remedy: "do not use the file; please report it".into(),
    })
}
