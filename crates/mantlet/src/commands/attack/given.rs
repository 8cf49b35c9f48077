//! Another model file than the configuration's, and what says how its layers stand.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::config::Loaded;

/// Which model is attacked.
#[derive(Debug, Clone, Default, Args)]
pub struct Given {
    /// This model file instead of the configuration's: ONNX, or the weights alone as safetensors.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// What says how the layers of a safetensors file stand: a Hugging Face config.json or a description of layers;
    /// looked for beside the file when absent.
    #[arg(long, value_name = "FILE")]
    architecture: Option<PathBuf>,
}

impl Given {
    /// The words that name the same again.
    pub fn again(&self) -> Vec<String> {
        let option = |name: &str, file: &Option<PathBuf>| {
            file.iter().flat_map(|file| [name.to_owned(), file.display().to_string()]).collect::<Vec<_>>()
        };
        [option("--model", &self.model), option("--architecture", &self.architecture)].concat()
    }

    /// Puts them into the configuration.
    pub fn apply(&self, loaded: &mut Loaded) -> anyhow::Result<()> {
        let here = |file: &Path| {
            std::path::absolute(file).with_context(|| format!("cannot find {}", file.display()))
        };
        if let Some(model) = &self.model {
            loaded.config.model.path = here(model)?;
            // What was named for the other file says nothing of this one.
            loaded.config.model.architecture = None;
        }
        if let Some(architecture) = &self.architecture {
            loaded.config.model.architecture = Some(here(architecture)?);
        }
        Ok(())
    }
}
