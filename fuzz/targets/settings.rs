//! Any text as what a person gives the scanner beside the files: accepted findings, a table of effects, globs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mantlet_formats::pickle::Effects;
use mantlet_scan::{Selection, Suppression, Suppressions};

#[derive(serde::Deserialize)]
struct File {
    suppress: Vec<Suppression>,
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if let Ok(file) = toml::from_str::<File>(&text)
        && let Ok(accepted) = Suppressions::new(file.suppress, &[])
    {
        let mut examination = mantlet_vocab::Examination::default();
        for (about, path) in mantlet_rules::abouts().iter().zip(["models/a.pkl", "a", "../b", "c/d/e.pt"]) {
            examination
                .findings
                .push(about.finding(mantlet_vocab::Place::artifact(path), "it calls something"));
        }
        let before = examination.findings.len();
        let _ = accepted.apply(&mut examination, mantlet_vocab::Millis(1_790_035_200_000));
        assert_eq!(examination.findings.len(), before, "what is accepted stays in the report");
    }
    let _ = Effects::check(&text);
    let globs: Vec<String> = text.lines().take(4).map(str::to_owned).collect();
    let _ = Selection::new(&globs, &globs);
});
