//! What is attacked: the model file, an endpoint, or what a target file describes.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use mantlet_redteam::Target;
use mantlet_worker::targets::{
    EndpointConfig, EndpointTarget, ModelTarget, Ordered, ProcessConfig, ProcessTarget, TemplateConfig,
    TemplateTarget, without_credentials,
};
use serde::Deserialize;

use crate::config::Loaded;
use crate::exit::Usage;
use crate::protect::subject::Subject;

/// An endpoint or program to attack instead of the model file.
#[derive(Debug, Clone, Default, Args)]
pub struct Endpoint {
    /// Address of an Open Inference Protocol endpoint, such as the gateway's; `grpc://` for gRPC; the model file when
    /// absent.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Environment variable that holds the API key for it.
    #[arg(long, value_name = "VARIABLE", default_value = "MANTLET_KEY")]
    key_env: String,
    /// A TOML file that describes what to attack: `kind = "json"` for an endpoint with JSON of its own form, or
    /// `kind = "process"` for a program that speaks JSON lines.
    #[arg(long, value_name = "FILE", conflicts_with = "endpoint")]
    target: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Described {
    Json(TemplateConfig),
    Process(ProcessConfig),
}

impl Endpoint {
    /// The options that name this target again.
    pub fn again(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(url) = &self.endpoint {
            words.extend(["--endpoint".to_owned(), without_credentials(url)]);
            if self.key_env != "MANTLET_KEY" {
                words.extend(["--key-env".to_owned(), self.key_env.clone()]);
            }
        }
        if let Some(file) = &self.target {
            words.extend(["--target".to_owned(), file.display().to_string()]);
        }
        words
    }

    /// The same key for another address.
    pub fn at(&self, url: &str) -> Self {
        Self { endpoint: Some(url.to_owned()), key_env: self.key_env.clone(), target: None }
    }

    /// Opens the target.
    ///
    /// # Errors
    /// When it cannot be reached, started or understood.
    pub fn open(&self, loaded: &Loaded, subject: &Subject) -> anyhow::Result<Box<dyn Target>> {
        if let Some(file) = &self.target {
            let (target, named) = described(file)?;
            return Ok(Ordered::by_names(target, &named, &subject.classes));
        }
        let Some(url) = &self.endpoint else {
            let name = loaded.config.model.path.display().to_string();
            return Ok(Box::new(ModelTarget::new(name, subject.classifier.clone())));
        };
        let mut config = EndpointConfig::new(url.clone(), loaded.config.model.name.clone());
        config.row_shape = Some(subject.classifier.input_shape().to_vec());
        config.class_names = subject.classes.clone();
        config.scorer = subject.classifier.is_scorer();
        if let Ok(key) = std::env::var(&self.key_env) {
            config.key = Some(("x-api-key".to_owned(), key));
        }
        Ok(Box::new(EndpointTarget::connect(config)?))
    }
}

/// What a file describes, with the names of its classes.
///
/// # Errors
/// When it cannot be read, understood, reached or started.
pub(super) fn described(file: &Path) -> anyhow::Result<(Box<dyn Target>, Vec<String>)> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let described: Described =
        toml::from_str(&text).map_err(|error| Usage(format!("{}: {error}", file.display())))?;
    Ok(match described {
        Described::Json(config) => {
            let key = config.key_env.as_ref().map(|name| {
                std::env::var(name)
                    .map_err(|_| Usage(format!("the environment has no `{name}` to take the key from")))
            });
            let classes = config.classes.clone();
            (Box::new(TemplateTarget::new(config, key.transpose()?.as_deref())?), classes)
        }
        Described::Process(config) => {
            let classes = config.classes.clone();
            (Box::new(ProcessTarget::start(config)?), classes)
        }
    })
}
