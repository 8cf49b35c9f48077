//! Templates of engines other than Jinja and Go: whether one reaches the program that fills it in.

/// Whether a file is called like a template of such an engine.
pub(crate) fn is_template(file: &str) -> bool {
    const ENDINGS: [&str; 24] = [
        ".erb",
        ".ejs",
        ".hbs",
        ".handlebars",
        ".mustache",
        ".ftl",
        ".ftlh",
        ".vm",
        ".mako",
        ".mao",
        ".twig",
        ".tpl",
        ".liquid",
        ".cshtml",
        ".jsp",
        ".jspx",
        ".gsp",
        ".njk",
        ".pug",
        ".haml",
        ".slim",
        ".eta",
        ".smarty",
        ".tmpl",
    ];
    ENDINGS.iter().any(|end| file.ends_with(end))
}

/// The first line that reaches the host of the engine, from 1, and what it says.
pub(crate) fn reaches(text: &str) -> Option<(u32, String)> {
    const REACH: [&str; 39] = [
        "child_process",
        "process.mainmodule",
        "process.binding",
        "global.process",
        ".constructor",
        "\"constructor\"",
        "'constructor'",
        "__proto__",
        "getclass(",
        ".forname(",
        "java.lang.runtime",
        "java.lang.process",
        "processbuilder",
        "?new(",
        "freemarker.template.utility",
        "?api.",
        "import os",
        "import subprocess",
        "__import__",
        "__globals__",
        "__subclasses__",
        "os.system",
        "os.popen",
        "subprocess.",
        "eval(",
        "exec(",
        "system(",
        "popen(",
        "shell_exec",
        "passthru(",
        "%x(",
        "%x{",
        "file.read(",
        "file.open(",
        "_self.env",
        "registerundefinedfiltercallback",
        "{php}",
        "system.diagnostics",
        "classloader",
    ];
    (1_u32..).zip(text.lines().take(20_000)).find_map(|(number, line)| {
        let lower = line.to_ascii_lowercase();
        // Ruby and Perl run what stands between these quotes.
        let quoted = lower.split("<%").skip(1).any(|code| {
            let code = code.split("%>").next().unwrap_or("").trim_start_matches(['=', '-', ' ']);
            code.starts_with('`') && code.matches('`').count() >= 2
        });
        (quoted || REACH.iter().any(|word| lower.contains(word))).then(|| (number, line.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_that_reach_out_are_told_from_those_that_fill_in() {
        for hostile in [
            "<%= `id` %>",
            "<% import os %>",
            "<#assign x=\"freemarker.template.utility.Execute\"?new()>",
            "#set($e=$x.getClass().forName(\"java.lang.Runtime\"))",
            "{{#with (lookup string.sub \"constructor\")}}",
            "<%- global.process.mainModule.require('child_process') %>",
        ] {
            assert!(reaches(hostile).is_some(), "{hostile}");
        }
        for plain in
            ["<%= user.name %>", "{{#each items}}{{this}}{{/each}}", "${model.title}", "#set($a = 1)"]
        {
            assert!(reaches(plain).is_none(), "{plain}");
        }
    }
}
