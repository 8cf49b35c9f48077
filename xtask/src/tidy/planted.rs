//! Planted violations in a small house: each law must see its own, and the house without them is in order.

use std::path::Path;

use super::faults;
use crate::project::Project;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn manifest(name: &str, dependencies: &str) -> String {
    format!("[package]\nname = \"{name}\"\n\n[dependencies]\n{dependencies}")
}

const ROOM: &str = "//! A room.\n\nconst ABOUT: About = About {\n    name: \"data-bad\",\n    explain: include_str!(\"explain.md\"),\n    cases: include_str!(\"cases.md\"),\n};\n";

/// A house in order.
fn house(root: &Path) {
    write(root, "Cargo.toml", "[workspace]\n");
    write(root, "crates/mantlet-formats/Cargo.toml", &manifest("mantlet-formats", ""));
    write(root, "crates/mantlet-formats/src/lib.rs", "//! Formats.\n");
    write(root, "crates/mantlet-rules/Cargo.toml", &manifest("mantlet-rules", "mantlet-formats = \"1\"\n"));
    write(root, "crates/mantlet-rules/src/lib.rs", "//! Rules.\nmod data;\n");
    let list = "//! The family.\nmod bad;\n\npub fn all() -> &'static [&'static About] { &[&bad::ABOUT] }\n";
    write(root, "crates/mantlet-rules/src/data/mod.rs", list);
    write(root, "crates/mantlet-rules/src/data/bad/mod.rs", ROOM);
    let explain = "## What it sees\na\n## Why it matters\nb\n## What to do\nc\n## References\nd\n";
    write(root, "crates/mantlet-rules/src/data/bad/explain.md", explain);
    write(root, "crates/mantlet-rules/src/data/bad/cases.md", "## hit\n## near miss\n## benign\n");
}

/// The laws broken after one change to a house in order.
fn broken(change: impl FnOnce(&Path)) -> Vec<&'static str> {
    let folder = tempfile::tempdir().unwrap();
    house(folder.path());
    change(folder.path());
    let project = Project { root: folder.path().to_owned(), target: folder.path().join("target") };
    let mut laws: Vec<_> = faults(&project).unwrap().into_iter().map(|fault| fault.law).collect();
    laws.dedup();
    laws
}

#[test]
fn a_house_in_order_has_no_faults() {
    assert_eq!(broken(|_| ()), [""; 0]);
}

#[test]
fn looking_up_or_sideways_is_seen() {
    let up = |root: &Path| {
        write(
            root,
            "crates/mantlet-formats/Cargo.toml",
            &manifest("mantlet-formats", "mantlet-rules = \"1\"\n"),
        )
    };
    assert_eq!(broken(up), ["storeys"]);
    let renamed = "rules = { package = \"mantlet-rules\", version = \"1\" }\n";
    assert_eq!(
        broken(|root| write(
            root,
            "crates/mantlet-formats/Cargo.toml",
            &manifest("mantlet-formats", renamed)
        )),
        ["storeys"]
    );
    let platform = "[target.'cfg(unix)'.dependencies]\nmantlet-store = \"1\"\n";
    assert_eq!(
        broken(|root| write(
            root,
            "crates/mantlet-formats/Cargo.toml",
            &manifest("mantlet-formats", platform)
        )),
        ["storeys"]
    );
    let unknown = |root: &Path| {
        write(root, "crates/mantlet-attic/Cargo.toml", &manifest("mantlet-attic", ""));
        write(root, "crates/mantlet-attic/src/lib.rs", "//! Attic.\n");
    };
    assert_eq!(broken(unknown), ["storeys"]);
}

#[test]
fn reaching_the_world_from_a_pure_storey_is_seen() {
    let file = |root: &Path| write(root, "crates/mantlet-formats/src/lib.rs", "//! Formats.\nuse std::fs;\n");
    assert_eq!(broken(file), ["purity"]);
    let tokio = |root: &Path| {
        write(root, "crates/mantlet-formats/Cargo.toml", &manifest("mantlet-formats", "tokio = \"1\"\n"))
    };
    assert_eq!(broken(tokio), ["purity"]);
    let in_test_file = |root: &Path| {
        write(root, "crates/mantlet-formats/src/lib.rs", "//! Formats.\n#[cfg(test)]\nmod far;\n");
        write(root, "crates/mantlet-formats/src/far.rs", "//! Tests.\nuse std::fs;\n");
    };
    assert_eq!(broken(in_test_file), [""; 0]);
}

#[test]
fn a_room_out_of_order_is_seen() {
    let room = "crates/mantlet-rules/src/data/bad";
    let family = "crates/mantlet-rules/src/data/mod.rs";
    type Change<'a> = Box<dyn Fn(&Path) + 'a>;
    let changes: Vec<Change<'_>> = vec![
        Box::new(|root| std::fs::remove_file(root.join(room).join("cases.md")).unwrap()),
        Box::new(|root| write(root, family, "//! The family.\nmod bad;\n")),
        Box::new(|root| write(root, &format!("{room}/mod.rs"), &ROOM.replace("data-bad", "data-worse"))),
        Box::new(|root| write(root, &format!("{room}/mod.rs"), "//! A room.\n")),
        Box::new(|root| write(root, &format!("{room}/explain.md"), "## What it sees\n")),
        Box::new(|root| write(root, &format!("{room}/cases.md"), "## hit\n## benign\n")),
        Box::new(|root| write(root, "crates/mantlet-rules/src/lib.rs", ROOM)),
    ];
    for (number, change) in changes.iter().enumerate() {
        assert_eq!(broken(change), ["rooms"], "change {number}");
    }
}

#[test]
fn two_rooms_of_one_name_are_seen() {
    let twin = |root: &Path| {
        for file in ["data/mod.rs", "data/bad/mod.rs", "data/bad/explain.md", "data/bad/cases.md"] {
            let text = std::fs::read_to_string(root.join("crates/mantlet-rules/src").join(file)).unwrap();
            write(root, &format!("crates/mantlet-formats/src/{file}"), &text);
        }
    };
    assert_eq!(broken(twin), ["rooms"]);
}

#[test]
fn long_files_and_files_without_a_sentence_are_seen() {
    let long = |head: &str| format!("//! Formats.\n{head}{}", "fn f() {}\n".repeat(400));
    let path = "crates/mantlet-formats/src/lib.rs";
    assert_eq!(broken(|root| write(root, path, &long(""))), ["files"]);
    assert_eq!(broken(|root| write(root, path, &long("//! Long because the table is one.\n"))), [""; 0]);
    assert_eq!(broken(|root| write(root, path, "fn f() {}\n")), ["files"]);
}

#[test]
fn open_ends_are_seen() {
    let text = concat!("//! Formats.\n// TO", "DO more\n");
    assert_eq!(broken(|root| write(root, "crates/mantlet-formats/src/lib.rs", text)), ["wording"]);
}
