//! The layout of each format, exactly.

use mantlet_report::{Format, JSON_VERSION, Style, examination, html};
use mantlet_vocab::{Examination, Severity};

use crate::sample;

#[test]
fn text_answers_name_sight_place_reason_and_remedy_in_that_order() {
    let only = Examination { findings: vec![sample::finding()], gaps: vec![], ..sample::examination() };
    let text = examination(&only, Format::Text, Style::default());
    let expected = "\
malicious[pickle-unsafe-global]: pickle calls a function that can run commands
  --> weights.pt!archive/data.pkl @ 0x1f
   |  0x1f  GLOBAL  'posix system'
   |        ^^^^^^^^^^^^^^^^^^^^^^ `posix.system` can run shell commands
   = why: Opening this file with torch.load runs it. (AML.T0011.000, ML06:2023)
   = help: Load the weights from safetensors instead.
   = more: mantlet explain pickle-unsafe-global

not examined: requirements.txt: line 9
   = why: refers to another file
   = help: scan that file too

found: 1 finding (1 malicious) in 2 artifacts, 1.2\u{a0}MB
";
    assert_eq!(text, expected);
    let colour = examination(&only, Format::Text, Style { colour: true, ..Style::default() });
    assert!(colour.starts_with("\u{1b}[1;31mmalicious[pickle-unsafe-global]\u{1b}[0m"));
    assert_eq!(uncoloured(&colour), expected);
}

fn uncoloured(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').unwrap().1)
}

#[test]
fn the_threshold_decides_the_verdict_in_every_format() {
    let mut partial = sample::examination();
    partial.findings.remove(0);
    for (threshold, word) in [(Severity::Suspicious, "found"), (Severity::Malicious, "not fully examined")] {
        let style = Style { threshold, ..Style::default() };
        for format in [Format::Text, Format::Markdown, Format::Sarif] {
            assert!(examination(&partial, format, style).contains(word), "{format:?}");
        }
    }
}

#[test]
fn json_carries_its_version_and_reads_back_as_the_same_examination() {
    let json = examination(&sample::examination(), Format::Json, Style::default());
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["version"], JSON_VERSION);
    assert_eq!(value["format"], "mantlet-examination");
    assert_eq!(value["verdict"], "found");
    let back: Examination = serde_json::from_value(value).unwrap();
    assert_eq!(back, sample::examination());
}

#[test]
fn an_empty_examination_is_not_clean_in_any_format() {
    for format in Format::ALL {
        let out = examination(&Examination::default(), format, Style::default());
        let lower = out.to_lowercase();
        assert!(lower.contains("not fully examined") || lower.contains("not-fully-examined"), "{format:?}");
    }
}

#[test]
fn a_system_report_is_one_file_that_fetches_nothing_and_needs_no_script() {
    let page = html(&sample::report());
    for word in ["<script", "http://", "https://", "src=", "@import", "url(", "javascript:", "onload"] {
        assert!(!page.contains(word), "{word}");
    }
    for id in [
        "verdict",
        "evasion",
        "backdoors",
        "extraction",
        "membership",
        "incidents",
        "seeds",
        "figures",
        "gaps",
    ] {
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
    let (verdict, picture) = (page.find("id=\"verdict\"").unwrap(), page.find("<svg").unwrap());
    assert!(verdict < picture && picture < page.find("id=\"figures\"").unwrap(), "verdict, pictures, tables");
    // Kept for a person to look at.
    let folder = env!("CARGO_TARGET_TMPDIR");
    std::fs::write(format!("{folder}/system-report.html"), &page).unwrap();
    let examined = examination(&sample::examination(), Format::Html, Style::default());
    std::fs::write(format!("{folder}/examination.html"), examined).unwrap();
}

#[test]
fn every_picture_can_be_heard_and_every_table_has_headings() {
    let page = html(&sample::report());
    for svg in page.split("<svg").skip(1) {
        let head = svg.split('>').next().unwrap();
        assert!(head.contains("role=\"img\"") && head.contains("aria-label=\""), "{head}");
    }
    for table in page.split("<table").skip(1) {
        assert!(table.split("</table>").next().unwrap().contains("<th scope=\"col\""));
    }
    assert!(page.contains("<html lang=\"en\">"));
    assert_eq!(page.matches("<h1").count(), 1);
    assert_eq!(page.matches("<main").count(), 1);
}

#[test]
fn a_report_without_pictures_is_still_a_report() {
    let full = sample::report();
    let bare = mantlet_report::SystemReport::new("s", full.impact, full.made_at, full.verdict);
    let page = html(&bare);
    assert!(page.contains("hides a backdoor") && !page.contains("<svg"));
    let text = serde_json::to_string(&bare).unwrap();
    assert_eq!(serde_json::from_str::<mantlet_report::SystemReport>(&text).unwrap(), bare);
}
