//! Requirements and lock files: what an AI system is built from, whether it is pinned, and what looks wrong.
//!
//! Text comes in, facts and defects come out, rooms turn them into findings. Nothing is contacted: known
//! vulnerabilities and withdrawn releases need an advisory database and are not judged here.

pub mod deps;
mod facts;
mod parse;
mod place;

use std::collections::BTreeSet;

use mantlet_vocab::{About, ArtifactSummary, Coverage, Digest, Examination, Finding, Gap, Place};

pub use facts::{Defect, Dependency, Ecosystem, Facts, Format, Include, IndexOption, Origin};

/// Files longer than this are read up to here and reported as partly examined.
pub const MAX_TEXT: usize = 16 << 20;
/// Dependencies after this many are counted as not examined.
pub const MAX_DEPENDENCIES: usize = 100_000;

/// One requirements or lock file to examine.
#[derive(Debug, Clone)]
pub struct File<'a> {
    /// Its name, which decides how it is read; folders in front are ignored.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Where findings say they are.
    pub place: Place,
}

/// How a file of this name is read; `None` when it is no requirements or lock file that we know.
#[must_use]
pub fn recognise(file_name: &str) -> Option<Format> {
    Format::of(file_name)
}

/// The facts of one file, or `None` when its name is not known.
#[must_use]
pub fn facts(file_name: &str, text: &str) -> Option<Facts> {
    Format::of(file_name).map(|format| parse::parse(format, text))
}

/// Examines one file. Files it includes by `-r` or `-c` are gaps; [`check_all`] resolves them.
#[must_use]
pub fn check(file_name: &str, text: &str, place: Place) -> Examination {
    check_all(&[File { name: file_name, text, place }])
}

/// Examines several files of one system together: an included file among them is no gap.
#[must_use]
pub fn check_all(files: &[File<'_>]) -> Examination {
    let names: BTreeSet<&str> = files.iter().map(|file| base_name(file.name)).collect();
    let mut examination = Examination::default();
    for file in files {
        examine(file, &names, &mut examination);
    }
    Finding::sort(&mut examination.findings);
    examination
}

/// What every room of this crate says about itself.
#[must_use]
pub fn abouts() -> Vec<&'static About> {
    deps::all().iter().map(|room| room.about).collect()
}

fn examine(file: &File<'_>, names: &BTreeSet<&str>, examination: &mut Examination) {
    let Some(format) = Format::of(file.name) else {
        examination.gaps.push(Gap {
            what: file.place.to_string(),
            why: "not a requirements or lock file this version reads".into(),
            remedy: "give requirements.txt, Pipfile.lock, poetry.lock, uv.lock, pylock.toml or Cargo.lock"
                .into(),
        });
        return;
    };
    let facts = parse::parse(format, file.text);
    for room in deps::all() {
        (room.check)(&facts, &file.place, &mut examination.findings);
    }
    let mut gaps: Vec<Gap> = facts
        .includes
        .iter()
        .filter(|include| !names.contains(base_name(&include.path)))
        .map(|include| Gap {
            what: format!("{} (included at line {})", place::plain(&include.path), include.line),
            why: "the file it includes was not given".into(),
            remedy: "examine the included file too".into(),
        })
        .collect();
    if !facts.defects.is_empty() {
        gaps.push(Gap {
            what: format!("{} part(s) of {}", facts.defects.len(), file.place),
            why: facts.defects.first().map_or_else(String::new, |defect| defect.what.clone()),
            remedy: "correct the file, or write it anew with the tool that made it".into(),
        });
    }
    examination.artifacts.push(ArtifactSummary {
        path: file.place.artifact.clone(),
        size: file.text.len() as u64,
        digest: Some(Digest::of(file.text.as_bytes())),
        formats: vec![format.word().to_owned()],
        said: Default::default(),
        coverage: if gaps.is_empty() { Coverage::Complete } else { Coverage::Partial { gaps } },
    });
}

fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
