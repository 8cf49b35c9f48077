//! Small files that say what is run: Ollama's Modelfile, Triton's `config.pbtxt`, TensorFlow's `checkpoint`, Caffe's
//! `.prototxt`.
//!
//! Of Caffe the layers that are Python are of interest, of the others places only: a path above the folder, or one on another machine. A model by its name, and an
//! absolute path of the machine the file was written on, are ordinary in these files.

use crate::structure::{Power, Structure};

/// The facts of such a file; `None` for other text. `file` is its name in lower case.
#[must_use]
pub fn analyse(file: &str, text: &str) -> Option<Structure> {
    let mut facts;
    if file == "modelfile" || file.ends_with(".modelfile") {
        facts = Structure::of("Ollama");
        for (at, line) in lines(text) {
            let (word, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let role = match word.to_ascii_uppercase().as_str() {
                "FROM" => "model",
                "ADAPTER" => "adapter",
                _ => continue,
            };
            elsewhere(&mut facts, role, value.trim(), at);
        }
    } else if file == "config.pbtxt" {
        facts = Structure::of("Triton");
        for (at, _) in text.match_indices("EXECUTION_ENV_PATH").take(16) {
            let after = text.get(at..).and_then(|rest| rest.split_once("string_value")).map(|(_, rest)| rest);
            let value = after.and_then(|rest| rest.split(['"', '\'']).nth(1)).unwrap_or("");
            elsewhere(&mut facts, "environment", value, at);
        }
        for (at, key) in ["default_model_filename", "cc_model_filenames"]
            .iter()
            .flat_map(|key| text.match_indices(key).take(16))
        {
            let rest = text.get(at + key.len()..).unwrap_or("");
            // A mapping of several has the names as its values.
            let rest = match key {
                "cc_model_filenames" => rest.split_once("value").map_or("", |(_, rest)| rest),
                _ => rest,
            };
            let value = rest.split(['"', '\'']).nth(1).unwrap_or("");
            if crate::structure::escapes(value) {
                facts.reads("model file", value, at as u64);
            }
        }
        for (at, _) in text.match_indices("op_library_filename").take(16) {
            let list = text.get(at..).and_then(|rest| rest.split([']', '}']).next()).unwrap_or("");
            for name in list.split(['"', '\'']).skip(1).step_by(2).take(16) {
                facts.names(Power::Native, "library of operations", name, at as u64);
            }
        }
    } else if file == ".gitmodules" {
        facts = Structure::of("Git");
        submodules(&mut facts, text);
    } else if file == "checkpoint" && text.starts_with("model_checkpoint_path:") {
        facts = Structure::of("TensorFlow checkpoint");
        for (at, line) in lines(text) {
            let value = line.split_once(':').map_or("", |(_, value)| value.trim().trim_matches('"'));
            elsewhere(&mut facts, "checkpoint", value, at);
        }
    } else if file.ends_with(".prototxt") {
        facts = Structure::of("Caffe");
        for (at, _) in text.match_indices("python_param").take(64) {
            let block = text.get(at..).and_then(|rest| rest.split('}').next()).unwrap_or("");
            let value = |key: &str| {
                block.split_once(key).and_then(|(_, rest)| rest.split(['"', '\'']).nth(1)).unwrap_or("?")
            };
            facts.names(
                Power::Python,
                "layer",
                &format!("{}.{}", value("module"), value("layer:")),
                at as u64,
            );
        }
    } else {
        return None;
    }
    Some(facts)
}

/// What submodules say that makes git act outside of their folder.
fn submodules(facts: &mut Structure, text: &str) {
    let mut start = 0;
    for line in text.split_inclusive('\n').take(20_000) {
        let at = start as u64;
        start += line.len();
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim_matches([' ', '\t', '\n']);
        // The return of a line's end stands outside of the quotes.
        let quoted = value.strip_prefix('"').and_then(|value| value.split('"').next());
        if key.trim() == "path" && quoted.is_some_and(|value| value.contains('\r')) {
            facts.defect(
                "the path of a submodule has a return, which git loses on the way (CVE-2025-48384)",
                at,
            );
        }
        let plain = value.trim_matches(['"', '\r']);
        match key.trim() {
            "path" if plain.split('/').any(|part| part == ".." || part.eq_ignore_ascii_case(".git")) => {
                facts.reads("submodule", &format!("../{plain}"), at);
            }
            "path" | "url" if plain.starts_with('-') => {
                facts.defect("a submodule begins like an option of git (CVE-2018-17456)", at);
            }
            "update" if plain.starts_with('!') => facts.defect("the update of a submodule is a command", at),
            _ => {}
        }
    }
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').take(20_000).scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line.trim()))
    })
}

fn elsewhere(facts: &mut Structure, role: &'static str, path: &str, at: usize) {
    let remote =
        path.contains("://") && !path.starts_with("hf.co") && !path.starts_with("https://huggingface.co/");
    if remote || crate::config::secret_file(path) || path.split(['/', '\\']).any(|part| part == "..") {
        facts.reads(role, path, at as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_above_the_folder_or_on_other_machines_are_told() {
        let paths = |file: &str, text: &str| analyse(file, text).map(|facts| facts.paths.len());
        assert_eq!(paths("modelfile", "FROM llama3:8b\nADAPTER ../x.gguf\n"), Some(1));
        assert_eq!(paths("modelfile", "FROM ./m.gguf\nSYSTEM see http://x\n"), Some(0));
        let triton = "parameters { key: \"EXECUTION_ENV_PATH\" value { string_value: \"s3://b/e.tar.gz\" } }";
        assert_eq!(paths("config.pbtxt", triton), Some(1));
        let library = "model_operations { op_library_filename: [ \"/srv/a.so\", \"b.so\" ] }";
        assert_eq!(analyse("config.pbtxt", library).map(|facts| facts.code.len()), Some(2));
        assert_eq!(paths("checkpoint", "model_checkpoint_path: \"/home/me/m-1\"\n"), Some(0));
        assert_eq!(paths("checkpoint", "other"), None);
        assert_eq!(paths("config.pbtxt", "default_model_filename: \"../m.py\""), Some(1));
        assert_eq!(
            paths("config.pbtxt", "cc_model_filenames { key: \"7.5\" value: \"/t/m.plan\" }"),
            Some(1)
        );
        assert_eq!(paths("config.pbtxt", "default_model_filename: \"m.py\""), Some(0));
        let modules = |line: &str| {
            let text = format!("[submodule \"w\"]\r\n\t{line}\r\n");
            analyse(".gitmodules", &text).map(|facts| (facts.paths.len(), facts.defects.len()))
        };
        assert_eq!(modules("path = \"w\r\""), Some((0, 1)));
        assert_eq!(modules("path = \"w\""), Some((0, 0)));
        assert_eq!(modules("path = ../w"), Some((1, 0)));
        assert_eq!(modules("update = !sh x"), Some((0, 1)));
        let caffe = "layer {\n type: \"Python\"\n python_param { module: \"os\" layer: \"system\" }\n}";
        let facts = analyse("deploy.prototxt", caffe).unwrap();
        assert_eq!(facts.code[0].1.name, "os.system");
    }
}
