//! Runs every room's `cases.md`, and the laws all rooms share.

use mantlet_vocab::{About, Place};
use proptest::prelude::*;

use super::all;

/// A case: its heading, the file name of its fence, the text.
fn cases(markdown: &str) -> Vec<(String, String, String)> {
    let mut cases = Vec::new();
    let mut heading = String::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title.to_owned();
        } else if let Some(file) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            cases.push((heading.clone(), file.to_owned(), text.join("\n")));
        }
    }
    cases
}

#[test]
fn each_room_hits_its_hits_and_nothing_else() {
    for room in all() {
        let name = room.about.name;
        for (heading, file, text) in cases(room.about.cases) {
            let examination = crate::check(&file, &text, Place::artifact(&*file));
            let hit = examination.findings.iter().any(|finding| finding.name == name);
            assert_eq!(hit, heading.starts_with("hit"), "{name}: {heading}: {:#?}", examination.findings);
            if heading.starts_with("benign") {
                let loud = examination
                    .findings
                    .iter()
                    .find(|finding| finding.severity > mantlet_vocab::Severity::Note);
                assert!(loud.is_none(), "{name}: {heading}: {loud:?}");
            }
        }
    }
}

#[test]
fn the_house_is_in_order() {
    assert_eq!(About::faults(&crate::abouts()), []);
}

#[test]
fn secrets_of_addresses_are_never_repeated() {
    let text = "-i https://bot:hunter2@pypi.example/simple\nthing @ git+https://bot:hunter2@git.example/t.git@main\n\
                --extra-index-url https://bot:hunter2@other.example/simple\nnumpy\n";
    let examination = crate::check("requirements.txt", text, Place::artifact("requirements.txt"));
    assert!(examination.findings.len() >= 4);
    assert!(!format!("{examination:?}").contains("hunter2"));
}

#[test]
fn this_projects_own_lock_is_quiet() {
    let lock = include_str!("../../../../Cargo.lock");
    let examination = crate::check("Cargo.lock", lock, Place::artifact("Cargo.lock"));
    assert_eq!(examination.findings, []);
    assert_eq!(examination.verdict(mantlet_vocab::Severity::Note), mantlet_vocab::Verdict::Clean);
}

#[test]
fn included_files_are_gaps_until_they_are_given() {
    let text = "-r base-requirements.txt\n";
    let alone = crate::check("requirements.txt", text, Place::artifact("requirements.txt"));
    assert_eq!(alone.verdict(mantlet_vocab::Severity::Suspicious).exit_code(), 2);
    let file = |name, text| crate::File { name, text, place: Place::artifact(name) };
    let both =
        crate::check_all(&[file("requirements.txt", text), file("base-requirements.txt", "numpy==1.26.4\n")]);
    assert_eq!(both.verdict(mantlet_vocab::Severity::Suspicious).exit_code(), 0);
}

#[test]
fn lines_are_those_of_the_file() {
    let lock =
        "[[package]]\nname = \"a\"\nversion = \"1\"\n\n[[package]]\nname = \"nurnpy\"\nversion = \"1\"\n";
    let examination = crate::check("poetry.lock", lock, Place::artifact("poetry.lock"));
    let finding = examination.findings.iter().find(|finding| finding.name == "deps-look-alike").unwrap();
    assert_eq!(finding.place.to_string(), "poetry.lock (line 6)");
}

const FILES: [&str; 6] =
    ["requirements.txt", "Pipfile.lock", "poetry.lock", "uv.lock", "pylock.toml", "Cargo.lock"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC*|[-a-z=<>#@:/\\[\\]{}\"' \\\\\n.0-9]{0,200}", file in 0..FILES.len()) {
        let _ = crate::check(FILES[file], &text, Place::artifact("x"));
    }

    #[test]
    fn mutilated_cases_do_not_panic(room in 0_usize..7, from in 0_usize..400, len in 0_usize..40, with in "\\PC{0,4}") {
        for (_, file, text) in cases(all()[room].about.cases) {
            let mut letters: Vec<char> = text.chars().collect();
            let from = from.min(letters.len());
            let to = (from + len).min(letters.len());
            letters.splice(from..to, with.chars());
            let text: String = letters.into_iter().collect();
            let examination = crate::check(&file, &text, Place::artifact("x"));
            prop_assert_eq!(examination, crate::check(&file, &text, Place::artifact("x")));
        }
    }
}
