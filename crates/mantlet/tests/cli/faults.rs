//! Wrong input and a world that does not cooperate: a message with place and remedy, the right exit code.

use crate::program::{Folder, expect, mantlet, ran, run};

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    let folder = Folder::with_model();
    folder.edit(|text| text.replacen("[system]", "[system]\nimpakt = \"low\"", 1));
    let ran = run(["config", "check", folder.text()]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    for words in ["mantlet.toml", "impakt", "impact"] {
        assert!(ran.err.contains(words), "`{words}` in: {}", ran.err);
    }
    let line = std::fs::read_to_string(folder.path.join("mantlet.toml")).unwrap();
    let line = line.lines().position(|line| line.contains("impakt")).unwrap() + 1;
    assert!(ran.err.contains(&line.to_string()), "line {line} in: {}", ran.err);
}

#[test]
fn init_never_writes_over_a_configuration() {
    let folder = Folder::with_model();
    let before = std::fs::read_to_string(folder.path.join("mantlet.toml")).unwrap();
    expect(
        3,
        [
            "init",
            folder.text(),
            "--decides",
            "x",
            "--endpoint",
            "built-in",
            "--notify",
            "nobody",
            "--impact",
            "low",
        ],
    );
    assert_eq!(std::fs::read_to_string(folder.path.join("mantlet.toml")).unwrap(), before);
}

#[test]
fn a_broken_model_is_never_passed() {
    let folder = Folder::with_model();
    let model = folder.path.join("model.onnx");
    let bytes = std::fs::read(&model).unwrap();
    for kept in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&model, &bytes[..kept]).unwrap();
        let protected = run(["protect", folder.text()]);
        assert!(matches!(protected.code, 1 | 2 | 4), "{kept} bytes: {} {}", protected.code, protected.out);
        // Another length is another file: the version on record keeps its bytes.
        std::fs::remove_dir_all(folder.path.join(".mantlet")).unwrap();
    }
    std::fs::remove_file(&model).unwrap();
    let absent = run(["protect", folder.text()]);
    assert!(absent.code >= 2, "{}", absent.out);
    assert!((absent.err + &absent.out).contains("model.onnx"));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = Folder::with_model();
    // A file where the store wants a folder: the same for every user, root included.
    std::fs::write(folder.path.join(".mantlet"), "in the way").unwrap();
    let refused = run(["protect", folder.text()]);
    assert_eq!(refused.code, 4, "{}", refused.out);
    assert!(refused.err.contains(".mantlet"), "{}", refused.err);
    let refused = run(["up", folder.text()]);
    assert_eq!(refused.code, 4, "{}", refused.out);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_not_a_clean_scan() {
    let folder = Folder::with_model();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let done =
        mantlet(["scan", folder.path.join("model.onnx").to_str().unwrap()]).stdout(full).output().unwrap();
    assert_eq!(done.status.code(), Some(4));
    assert!(ran(&done).err.contains("cannot write"), "{}", ran(&done).err);
    let refused = run(["scan", folder.text(), "--output", "/dev/null/report.txt"]);
    assert_eq!(refused.code, 4);
    assert!(refused.err.contains("/dev/null/report.txt"), "{}", refused.err);
}

#[test]
fn wrong_words_are_usage_errors() {
    for arguments in [
        &["frobnicate"][..],
        &["scan"],
        &["scan", "--format", "jsn", "."],
        &["explain", "pickle-unsafe-globl"],
        &["protect", "/nowhere/at/all"],
        &["config", "check", "/nowhere/at/all"],
    ] {
        let ran = run(arguments);
        assert_eq!(ran.code, 3, "{arguments:?}: {} {}", ran.out, ran.err);
        assert!(!ran.err.is_empty());
    }
    let folder = Folder::with_model();
    for (option, word) in [("--family", "evasoin"), ("--only", "evasion-pdg")] {
        let ran = run(["attack", "run", folder.text(), option, word]);
        assert_eq!(ran.code, 3, "{}", ran.err);
        assert!(ran.err.contains("evasion"), "{}", ran.err);
    }
}

#[test]
fn an_attack_can_be_chosen_by_its_family() {
    let folder = Folder::with_model();
    let ran = run(["attack", "run", folder.text(), "--family", "membership"]);
    assert!(
        ran.out.contains("membership-threshold") && !ran.out.contains("evasion-pgd"),
        "{} {}",
        ran.out,
        ran.err
    );
}
