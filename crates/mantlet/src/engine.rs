//! Which engine computes what a model file answers: mantlet's interpreter, or an ONNX Runtime the user names.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use clap::Args;
use mantlet_model::{Limits, Model, ModelError};
use mantlet_ort::{Device, Runtime};
use mantlet_vocab::Source;

/// What the command line says of it.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Let this ONNX Runtime library (libonnxruntime.so) compute what model files answer; ORT_DYLIB_PATH names it too.
    #[arg(long, global = true, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
    /// On the first CUDA device.
    #[arg(long, global = true)]
    cuda: bool,
}

static CHOSEN: OnceLock<(PathBuf, Device)> = OnceLock::new();

/// Settles the engine for this process, before any model is loaded. An empty variable is none.
pub fn choose(options: Options) {
    let named = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = options.onnxruntime.or(named) {
        let device = if options.cuda { Device::Cuda } else { Device::Cpu };
        let _ = CHOSEN.set((path, device));
    }
}

/// The words that choose this engine again, for commands in reports.
pub fn again() -> Vec<String> {
    let Some((path, device)) = CHOSEN.get() else { return Vec::new() };
    let mut words = vec!["--onnxruntime".to_owned(), path.display().to_string()];
    if *device == Device::Cuda {
        words.push("--cuda".to_owned());
    }
    words
}

/// The model as the chosen engine runs it, given what the interpreter made of the file.
///
/// # Errors
/// When neither engine can run it.
pub fn of(source: &dyn Source, ours: Result<Arc<dyn Model>, ModelError>) -> anyhow::Result<Arc<dyn Model>> {
    let Some((path, device)) = CHOSEN.get() else {
        return Ok(match ours {
            Err(ModelError::Unsupported { operators }) => {
                let hint = "`--onnxruntime FILE` runs such a file with your ONNX Runtime, for attacks that need no gradient";
                return Err(ModelError::Unsupported { operators }).context(hint);
            }
            other => other?,
        });
    };
    let ours = match ours {
        Ok(ours) => Some(ours),
        // What only the interpreter lacks; a file that is broken stays refused.
        Err(ModelError::Unsupported { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let runtime = Runtime::open(path, *device)?;
    let model = runtime.load(source, ours, &Limits::default());
    model.with_context(|| {
        format!("{} cannot run it (leave --onnxruntime out for the interpreter)", runtime.name())
    })
}
