//! Every detection, check, attack and action has a room: code, explanation, cases, and its line in the family's list.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Fault;
use super::source::code;
use crate::project::{Crate, Project, files};

pub(super) fn check(project: &Project, crates: &[Crate], faults: &mut Vec<Fault>) -> Result<()> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for member in crates.iter().filter(|member| member.name != "mantlet-vocab") {
        let all = files(&member.folder.join("src"))?;
        let mut rooms: Vec<&Path> = all
            .iter()
            .filter(|path| path.file_name().is_some_and(|name| name == "explain.md" || name == "cases.md"))
            .filter_map(|path| path.parent())
            .collect();
        rooms.dedup();
        let mut texts = BTreeMap::new();
        for path in all.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
            texts.insert(path.as_path(), code(&read(path)?));
        }
        for room in &rooms {
            check_room(project, room, &mut names, faults)?;
            check_listed(project, room, &texts, faults);
        }
        for path in all.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
            let text = read(path)?;
            let is_room = path.file_name().is_some_and(|name| name == "mod.rs")
                && path.parent().is_some_and(|folder| rooms.contains(&folder));
            if declares_about(&text) && !is_room && !path.ends_with("tests.rs") {
                let what = "an `About` outside a room; give it a folder with mod.rs, explain.md and cases.md";
                faults.push(Fault::new(project.shown(path), "rooms", what));
            }
        }
    }
    Ok(())
}

fn check_room(
    project: &Project,
    room: &Path,
    names: &mut BTreeMap<String, String>,
    faults: &mut Vec<Fault>,
) -> Result<()> {
    let at = project.shown(room);
    for file in ["mod.rs", "explain.md", "cases.md"] {
        if !room.join(file).is_file() {
            faults.push(Fault::new(&at, "rooms", format!("the room has no {file}")));
            return Ok(());
        }
    }
    let text = read(&room.join("mod.rs"))?;
    if !declares_about(&text) {
        faults.push(Fault::new(&at, "rooms", "the room's mod.rs holds no `const ABOUT: About`"));
        return Ok(());
    }
    for file in ["explain.md", "cases.md"] {
        if !text.contains(&format!("include_str!(\"{file}\")")) {
            faults.push(Fault::new(&at, "rooms", format!("the room does not include its {file}")));
        }
    }
    let folder = name_of(room);
    let family = room.parent().map(name_of).unwrap_or_default();
    let expected = format!("{family}-{folder}").replace('_', "-");
    // A folder of two words or more may be the whole name.
    let full = folder.replace('_', "-");
    match room_name(&text) {
        Some(name) if name != expected && !(name == full && full.contains('-')) => {
            faults.push(Fault::new(
                &at,
                "rooms",
                format!("the room is called `{name}`, its folders say `{expected}`"),
            ));
        }
        None => faults.push(Fault::new(&at, "rooms", "the room's name is not a literal")),
        Some(name) => {
            if let Some(other) = names.insert(name.clone(), at.clone()) {
                faults.push(Fault::new(&at, "rooms", format!("`{name}` is the name of {other} too")));
            }
        }
    }
    let explain = read(&room.join("explain.md"))?;
    for heading in ["What it sees", "Why it matters", "What to do", "References"] {
        if !explain.lines().any(|line| line.trim_end() == format!("## {heading}")) {
            faults.push(Fault::new(&at, "rooms", format!("explain.md has no `## {heading}`")));
        }
    }
    let cases = read(&room.join("cases.md"))?.to_ascii_lowercase();
    for kind in ["hit", "near miss", "benign"] {
        if !cases.lines().any(|line| line.starts_with("## ") && line.contains(kind)) {
            faults.push(Fault::new(&at, "rooms", format!("cases.md has no `## {kind}`")));
        }
    }
    Ok(())
}

/// A room is a module of its family, and somewhere outside itself its crate uses it: that is its place on a list.
fn check_listed(project: &Project, room: &Path, texts: &BTreeMap<&Path, String>, faults: &mut Vec<Fault>) {
    let folder = name_of(room);
    let family = room.parent().map(|family| family.join("mod.rs")).unwrap_or_default();
    let module = texts.get(family.as_path()).is_some_and(|text| text.contains(&format!("mod {folder};")));
    let used =
        texts.iter().any(|(path, text)| !path.starts_with(room) && text.contains(&format!("{folder}::")));
    if !(module && used) {
        let what = format!("the room is not on the list of {}", project.shown(&family));
        faults.push(Fault::new(project.shown(room), "rooms", what));
    }
}

fn declares_about(text: &str) -> bool {
    code(text).lines().any(|line| {
        let line = line.trim_start().trim_start_matches("pub(super) ").trim_start_matches("pub(crate) ");
        line.trim_start_matches("pub ").starts_with("const ABOUT: About")
    })
}

/// The literal after the first `name:` of the identity card.
fn room_name(text: &str) -> Option<String> {
    let card = text.get(text.find("const ABOUT: About")?..)?;
    let value = card.get(card.find("name:")? + 5..)?.trim_start().strip_prefix('"')?;
    value.split('"').next().map(str::to_owned)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
