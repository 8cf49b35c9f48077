//! Systems behind further routes: each described by a document of its own, all kept by one installation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{ConfigError, Loaded, Record, Route, load};

/// Where a system stands that is not an installation's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The folder of the installation.
    pub folder: PathBuf,
    /// The further route it answers on.
    pub route: String,
}

/// A path that means the same from every folder.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Loaded {
    /// The system behind a further route that names one. Model, data, dependencies, probes and bars are as its own
    /// document says; where it answers, and where state is kept, as this one does.
    ///
    /// # Errors
    /// When its document cannot be read, is not valid, or its name cannot be one here.
    pub fn system_of(&self, route: &Route) -> Result<Option<Self>, ConfigError> {
        let Some(path) = &route.system else { return Ok(None) };
        let theirs = load(&self.path(path))?;
        let impossible = |problem: String| ConfigError::Impossible {
            file: self.file.clone(),
            key: "gateway.routes",
            problem,
        };
        let name = theirs.config.system.name.clone();
        if name.chars().all(|c| c == '.') {
            return Err(impossible(format!("names a system `{name}`, which is no name of a folder")));
        }
        if name == self.config.system.name {
            return Err(impossible(format!(
                "has `{}` stand before the system `{name}`, which is the model's own: give {} another `system.name`",
                route.name,
                theirs.file.display()
            )));
        }
        let here = self.of_route(route);
        let mut own = theirs;
        let config = &mut own.config;
        config.model.name.clone_from(&route.name);
        config.storage.dir = absolute(&self.storage());
        config.shared = self.config.shared.without_root(&self.root);
        config.console = self.config.console.clone();
        config.notify = self.config.notify.clone();
        config.reviews = self.config.reviews.clone();
        if config.record.is_default() {
            // What it says of callers and replies holds for every route; its features are another model's.
            config.record = Record { without: Vec::new(), only: Vec::new(), ..self.config.record.clone() };
        }
        if let Some(rollout) = &route.rollout {
            config.rollout = rollout.clone();
        }
        config.gateway = here.config.gateway;
        let files = |files: &mut BTreeMap<String, PathBuf>| {
            files.values_mut().for_each(|file| *file = absolute(&self.path(file)));
        };
        files(&mut config.gateway.calls.headers);
        config.gateway.judges.iter_mut().for_each(|judge| files(&mut judge.headers));
        own.behind = Some(Behind { folder: self.root.clone(), route: route.name.clone() });
        Ok(Some(own))
    }

    /// The systems behind further routes, in the document's order.
    ///
    /// # Errors
    /// When one cannot be read, or two are the same.
    pub fn systems(&self) -> Result<Vec<Self>, ConfigError> {
        let mut systems: Vec<Self> = Vec::new();
        for route in &self.config.gateway.routes {
            let Some(system) = self.system_of(route)? else { continue };
            let name = &system.config.system.name;
            if systems.iter().any(|other| other.config.system.name == *name) {
                return Err(ConfigError::Impossible {
                    file: self.file.clone(),
                    key: "gateway.routes",
                    problem: format!(
                        "has the system `{name}` behind two routes; a system answers on one route"
                    ),
                });
            }
            systems.push(system);
        }
        Ok(systems)
    }

    /// Names of the systems behind further routes.
    ///
    /// # Errors
    /// When one cannot be read, or two are the same.
    pub fn system_names(&self) -> Result<Vec<String>, ConfigError> {
        Ok(self.systems()?.into_iter().map(|system| system.config.system.name).collect())
    }

    /// The route whose versions these are.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.config.model.name
    }

    /// Where this system's versions and their evidence are kept.
    #[must_use]
    pub fn versions_folder(&self) -> PathBuf {
        let storage = self.storage();
        match &self.behind {
            Some(_) => mantlet_store::system_folder(&storage, &self.config.system.name).join("versions"),
            None => storage.join("versions"),
        }
    }

    /// The words by which commands find this system.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.behind {
            Some(Behind { folder, route }) => format!("{} --route {route}", folder.display()),
            None => self.root.display().to_string(),
        }
    }
}
