//! Files of code that a configuration names and that a loader takes from beside it.

use super::{MAX_SAID, Reader, Said};

/// Keys whose value is such a file, or a module beside the configuration.
const KEYS: [&str; 34] = [
    "handler",
    "entry_point",
    "entrypoint",
    "entry",
    "module_file",
    "module_path",
    "custom_module",
    "custom_code",
    "code_file",
    "code_path",
    "code_paths",
    "code",
    "python_file",
    "python_model_path",
    "plugin",
    "plugins",
    "plugin_path",
    "import_plugins",
    "custom_generate",
    "model_code_path",
    "source_file",
    "script_file",
    "predict",
    "train",
    "service",
    "user_module",
    "class_file",
    "class_path",
    "custom_pipeline",
    "custom_pipelines",
    "preprocess_script",
    "postprocess_script",
    "prediction_script",
    "inference_script",
];

impl Reader {
    pub(super) fn code(&mut self, near: &str, text: &str, at: u64) {
        let key = near.to_ascii_lowercase();
        if matches!(key.as_str(), "preinstall" | "install" | "postinstall" | "prepare" | "cmdclass") {
            return self.installs(&key, text, at);
        }
        if !KEYS.contains(&key.as_str()) || text.len() > 300 || text.contains(char::is_whitespace) {
            return;
        }
        let file = text.split_once(".py").filter(|(stem, rest)| {
            !stem.is_empty() && (rest.is_empty() || rest.starts_with(':')) && !stem.contains("://")
        });
        // Names of modules stand under these keys only; elsewhere a word is a word.
        let module = matches!(key.as_str(), "import_plugins" | "user_module" | "custom_module")
            || key == "service" && text.contains(':') && self.levels.last().is_some_and(|level| !level.list);
        let name = match file {
            Some((stem, _)) => format!("{stem}.py"),
            None if module
                && super::callee::is_dotted_or_plain(text)
                && !super::callee::is_known_library(text) =>
            {
                format!("{}.py", text.split(':').next().unwrap_or(text).replace('.', "/"))
            }
            None => return,
        };
        self.names_code(name, at);
    }

    /// A script that the installation of a package runs, or a class that takes the place of one of its steps.
    fn installs(&mut self, key: &str, text: &str, at: u64) {
        if key == "cmdclass" {
            let class = text.split_once('=').map_or(text, |(_, class)| class).trim();
            if let Some((module, _)) = class.rsplit_once('.').filter(|_| super::callee::is_dotted(class)) {
                self.names_code(format!("{}.py", module.replace('.', "/")), at);
            }
            return;
        }
        let mut words = text.split_whitespace();
        let runs = words
            .next()
            .is_some_and(|word| matches!(word, "node" | "python" | "python3" | "sh" | "bash" | "tsx"));
        let file = words.next().filter(|file| runs && file.contains('.') && !file.starts_with('-'));
        if let Some(file) = file {
            self.names_code(file.to_owned(), at);
        }
    }

    /// What builds a package, when it lies in the package itself.
    pub(super) fn builds(&mut self) {
        let backend = self.scalars.get("build-system.build-backend").cloned();
        let places =
            (0..4).filter_map(|at| self.scalars.get(&format!("build-system.backend-path.{at}")).cloned());
        let places: Vec<String> = places.collect();
        let Some(backend) = backend.filter(|_| !places.is_empty()) else { return };
        let module = backend.split(':').next().unwrap_or("").replace('.', "/");
        for place in places {
            let place = place.trim_start_matches("./").trim_end_matches('/').to_owned();
            let inside = if matches!(place.as_str(), "" | ".") { String::new() } else { format!("{place}/") };
            self.names_code(format!("{inside}{module}.py"), 0);
        }
    }

    fn names_code(&mut self, name: String, at: u64) {
        if self.config.code.len() < MAX_SAID && !self.config.code.iter().any(|said| said.text == name) {
            let path = self.path();
            self.config.code.push(Said { path, text: name, offset: at });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::KEYS;
    use crate::pickle::Effects;

    fn code(text: &str) -> Vec<String> {
        yaml(text, Effects::default()).code.into_iter().map(|said| said.text).collect()
    }

    #[test]
    fn every_key_that_names_code_does() {
        for key in KEYS {
            let text = format!("{key}: own/thing.py\n");
            assert_eq!(code(&text), ["own/thing.py"], "{text}");
            assert_eq!(code(&format!("{key}: a thing\n")).len(), 0, "{key}");
            assert_eq!(code(&format!("about_{key}_x: own/thing.py\n")).len(), 0, "{key}");
        }
    }

    #[test]
    fn files_of_code_are_told_by_their_keys() {
        assert_eq!(code("predict: predict.py:Predictor\n"), ["predict.py"]);
        assert_eq!(code("model:\n  handler: my/handler.py\n"), ["my/handler.py"]);
        assert_eq!(code("service: 'service:svc'\n"), ["service.py"]);
        assert_eq!(
            code("scripts:\n  postinstall: node setup.js\n  install: node-gyp rebuild\n"),
            ["setup.js"]
        );
        assert_eq!(code("build-system:\n  build-backend: be\n  backend-path: ['.']\n"), ["be.py"]);
        assert_eq!(code("build-system:\n  build-backend: hatchling.build\n"), [""; 0]);
        assert_eq!(code("import_plugins: [own_plugin]\n"), ["own_plugin.py"]);
        assert_eq!(
            code("handler: image_classifier\nservice: api\nfile: x.py\nentry_point: python x.py\n"),
            [""; 0]
        );
    }
}
