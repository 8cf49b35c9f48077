//! Foreign text stays text: no markup, no terminal control, no broken document, in any format.

use mantlet_report::{Format, Style, examination, html};
use mantlet_vocab::{Examination, Gap, Place};
use proptest::prelude::*;

use crate::{sample, sarif};

/// Text that has hurt other programs, and any text at all.
fn hostile() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'--></style><svg onload=alert(1)>",
        "\u{1b}]0;owned\u{7}\u{1b}[2J",
        "\u{9b}31m\u{202e}gpj.exe",
        "[click](javascript:alert(1))",
        "{0} {not a placeholder} }{",
        "```\n# heading\n<b>x</b>",
        "| a | b |\n|---|---|",
        "a\r\nb\u{2028}c\0d",
        "&lt;b&gt; &#60;",
        "\u{e0041}\u{200b}\u{feff}",
    ]);
    (any::<String>(), known, any::<String>()).prop_map(|(a, b, c)| format!("{a}{b}{c}"))
}

/// The sample with this text wherever foreign text can stand.
fn poisoned(text: &str) -> Examination {
    let mut examination = sample::examination();
    let t = || text.to_owned();
    for finding in &mut examination.findings {
        finding.place = Place::artifact(text).member(text).part(text);
        finding.message = t();
        finding.why = t();
        finding.help = t();
        finding.title = t();
        finding.trace = vec![t(), t()];
        finding.facts.insert(t(), t().into());
        finding.atlas.push(t());
    }
    examination.findings[1].name = t();
    examination.artifacts[0].path = t();
    examination.artifacts[0].formats = vec![t()];
    examination.gaps.push(Gap { what: t(), why: t(), remedy: t() });
    examination
}

fn steers(text: &str) -> Option<char> {
    text.chars().find(|c| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{200b}')
    })
}

/// The tags and attribute names of a page, with text and attribute values taken away.
fn skeleton(page: &str) -> String {
    let mut out = String::new();
    let (mut in_tag, mut quoted) = (false, false);
    for c in page.chars() {
        match (in_tag, quoted, c) {
            (false, _, '<') => {
                in_tag = true;
                out.push(c);
            }
            (true, _, '"') => quoted = !quoted,
            (true, false, '>') => {
                in_tag = false;
                out.push(c);
            }
            (true, false, c) => out.push(c),
            _ => {}
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn hostile_text_stays_text_in_every_format(text in hostile()) {
        let bad = poisoned(&text);
        let plain = poisoned("plain");
        for format in Format::ALL {
            let out = examination(&bad, format, Style { rooms: &[&sample::ROOM], ..Style::default() });
            prop_assert_eq!(steers(&out), None, "{:?}", format);
        }
        let web = |of| skeleton(&examination(of, Format::Html, Style::default()));
        prop_assert_eq!(web(&bad), web(&plain));
        sarif::check(&sarif::sarif(&bad));
        let json = examination(&bad, Format::Json, Style::default());
        prop_assert_eq!(serde_json::from_str::<Examination>(&json).unwrap(), bad.clone());
        let markdown = examination(&bad, Format::Markdown, Style::default());
        let outside_fences = outside_code(&markdown);
        prop_assert!(!outside_fences.contains('<'), "{}", markdown);
        let headings = |text: &str| outside_code(text).lines().filter(|line| line.starts_with('#')).count();
        prop_assert_eq!(headings(&markdown), headings(&examination(&plain, Format::Markdown, Style::default())));
    }

    #[test]
    fn a_system_report_keeps_its_shape_under_hostile_names(text in hostile()) {
        // Every string of the report, by way of its JSON.
        let value = serde_json::to_value(sample::report()).unwrap();
        let page = |with: &str| {
            let changed = replaced(value.clone(), with);
            html(&serde_json::from_value(changed).unwrap())
        };
        // Backticks may make code of text, which is as harmless as text.
        let shape = |page: &str| skeleton(page).replace("<code></code>", "");
        prop_assert_eq!(shape(&page(&text)), shape(&page("plain")));
    }
}

/// Replaces the sentences of a document, leaving the words that stand for variants and digests.
fn replaced(value: serde_json::Value, with: &str) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(s) if s.contains(' ') => Value::String(with.to_owned()),
        Value::Array(items) => items.into_iter().map(|item| replaced(item, with)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, field)| (name, replaced(field, with))).collect()
        }
        other => other,
    }
}

fn outside_code(markdown: &str) -> String {
    let mut out = String::new();
    let mut fence: Option<String> = None;
    for line in markdown.lines() {
        match &fence {
            Some(open) if line.trim() == open => fence = None,
            Some(_) => {}
            None if line.starts_with("```") => fence = Some(line.trim_end_matches("text").to_owned()),
            None => {
                out.push_str(&spans_removed(line));
                out.push('\n');
            }
        }
    }
    out
}

/// A line without its code spans.
fn spans_removed(line: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = line.chars().collect();
    let mut index = 0;
    let run = |from: usize| chars[from..].iter().take_while(|c| **c == '`').count();
    while index < chars.len() {
        if chars[index] == '`' && (index == 0 || chars[index - 1] != '\\') {
            let open = run(index);
            let mut end = index + open;
            while end < chars.len() && run(end) != open {
                end += run(end).max(1);
            }
            index = (end + open).min(chars.len());
        } else {
            out.push(chars[index]);
            index += 1;
        }
    }
    out
}
