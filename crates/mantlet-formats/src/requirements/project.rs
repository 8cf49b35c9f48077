//! What a Python project or a built package says of its installation: `pyproject.toml`, `METADATA`, entry points.

use super::{Hook, Origin, Requirements};

/// Groups of entry points that a program imports by itself when it starts, and which.
const LOADED: [(&str, &str); 13] = [
    ("torch.backends", "`import torch`"),
    ("vllm.general_plugins", "vLLM when it starts"),
    ("vllm.platform_plugins", "vLLM when it starts"),
    ("mlflow.run_context_provider", "MLflow when it logs"),
    ("mlflow.request_header_provider", "MLflow when it logs"),
    ("pytest11", "pytest when it starts"),
    ("jax_plugins", "JAX when it looks for devices"),
    ("airflow.plugins", "Airflow when it starts"),
    ("hypothesis", "`import hypothesis`"),
    ("dask.sizeof", "Dask when it measures an object"),
    ("distutils.setup_keywords", "setuptools when it builds any package"),
    ("setuptools.finalize_distribution_options", "setuptools when it builds any package"),
    ("numba_extensions", "Numba when it compiles"),
];
const MAX_HOOKS: usize = 64;
/// Bytes of a `pyproject.toml`; the longest of well-known projects have 50,000.
const MAX_TEXT: usize = 512 << 10;
/// Tables within tables of a `pyproject.toml` that are followed.
const MAX_DEPTH: u8 = 16;

/// The dependencies of a built package, one `Requires-Dist` a line.
pub(super) fn metadata(text: &str, facts: &mut Requirements) {
    // A blank line ends the headers; what follows is the description.
    for (line, number) in text.lines().take_while(|line| !line.trim().is_empty()).zip(1..) {
        if let Some(requirement) = line.strip_prefix("Requires-Dist:") {
            facts.line(requirement.trim(), number);
        }
    }
    // A library leaves the choice of versions to who installs it.
    facts.unpinned.clear();
}

/// The entry points of a built package that are imported unasked.
pub(super) fn entry_points(text: &str, facts: &mut Requirements) {
    let mut loader = None;
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if let Some(group) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            loader = LOADED.iter().find(|(known, _)| *known == group.trim()).map(|(_, loader)| *loader);
        } else if let (Some(loader), Some((_, target))) = (loader, line.split_once('='))
            && facts.hooks.len() < MAX_HOOKS
        {
            let target = target.trim().chars().filter(|c| !c.is_control()).take(120).collect();
            facts.hooks.push(Hook { target, loader, line: number });
        }
    }
}

/// The module that an entry point names, and what calls the function in it: `pkg.load:start [extra]`. Of a module alone
/// nothing is called that its import has not run, but for `initialize`, which plugins of JAX have.
#[must_use]
pub fn called(target: &str) -> Option<(String, String)> {
    let target = target.split('[').next()?;
    let (module, function) = target.split_once(':').unwrap_or((target, ""));
    let (module, function) = (module.trim(), function.trim());
    let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
    let call = match function {
        "" => "if 'initialize' in globals(): initialize()".to_owned(),
        function => format!("{function}()"),
    };
    (!module.is_empty() && plain(module) && plain(function)).then(|| (module.to_owned(), call))
}

/// The requirements of building, running and developing a project, from whatever tool's tables.
pub(super) fn pyproject(text: &str, facts: &mut Requirements) {
    // Values take many times their text.
    if text.len() > MAX_TEXT {
        facts.limits.push(format!("a project file of {} bytes is not read", text.len()));
        return;
    }
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            let place = error.span().map_or(0, |span| span.start);
            facts.limits.push(format!("the project file cannot be read at byte {place}"));
            return;
        }
    };
    if let Some(paths) = table.get("build-system").and_then(|build| build.get("backend-path")) {
        facts.foreign(Origin::Local, &format!("backend-path = {paths}"), "", 0);
    }
    values(&toml::Value::Table(table), "", false, 0, facts);
    facts.unpinned.clear();
}

/// Walks the tables; texts in lists of requirements are requirements, addresses of tools' tables are addresses.
fn values(value: &toml::Value, key: &str, listed: bool, depth: u8, facts: &mut Requirements) {
    if depth > MAX_DEPTH {
        let limit = format!("tables of the project file are followed {MAX_DEPTH} deep");
        if !facts.limits.contains(&limit) {
            facts.limits.push(limit);
        }
        return;
    }
    match value {
        toml::Value::Table(table) => {
            for (name, inner) in table {
                let requirements = matches!(
                    name.as_str(),
                    "requires" | "dependencies" | "optional-dependencies" | "dependency-groups"
                );
                values(inner, name, listed || requirements, depth + 1, facts);
            }
        }
        toml::Value::Array(items) => {
            for item in items {
                values(item, key, listed, depth + 1, facts);
            }
        }
        toml::Value::String(text) if listed && key == "git" => facts.line(&format!("git+{text}"), 0),
        toml::Value::String(text) if listed && text.contains("://") => facts.line(text, 0),
        toml::Value::String(text) if listed && key == "path" => facts.foreign(Origin::Local, text, "", 0),
        // `[[tool.uv.index]]`, `[[tool.poetry.source]]`, `[[tool.pdm.source]]`.
        toml::Value::String(text)
            if depth > 2
                && text.contains("://")
                && matches!(key, "url" | "index-url" | "extra-index-url") =>
        {
            facts.foreign(Origin::Index, text, text, 0);
        }
        toml::Value::String(text) if listed => facts.line(text, 0),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_points_that_are_loaded_unasked_say_what_is_called() {
        // The group, and whether somebody loads it by itself.
        for (group, loaded) in [
            ("torch.backends", true),
            ("vllm.general_plugins", true),
            ("pytest11", true),
            ("jax_plugins", true),
            ("airflow.plugins", true),
            ("numba_extensions", true),
            ("hypothesis", true),
            ("console_scripts", false),
            ("gui_scripts", false),
            ("xarray.backends", false),
        ] {
            let mut facts = Requirements::default();
            entry_points(&format!("[{group}]\nx = a.b:start\n"), &mut facts);
            assert_eq!(facts.hooks.len(), usize::from(loaded), "{group}");
        }
        assert_eq!(called("a.b:C.start [gpu]"), Some(("a.b".into(), "C.start()".into())));
        assert_eq!(called("a.b").map(|(module, _)| module), Some("a.b".into()));
        assert_eq!(called("a b:c;d"), None);
    }
}
