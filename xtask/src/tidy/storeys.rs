//! A crate depends only on storeys below its own.

use toml::Value;

use super::Fault;
use crate::project::{Crate, Project};

/// The storey of each crate, as `ARCHITECTURE.md` draws them. A new crate gets its line here.
pub(super) const STOREYS: [(&str, u8); 39] = [
    ("vocab", 0),
    ("formats", 1),
    ("kernels", 1),
    ("seal", 1),
    ("wire", 1),
    ("deps", 1),
    ("verdict", 1),
    ("report", 1),
    ("rules", 2),
    ("datachecks", 2),
    ("detectors", 2),
    ("attacks", 2),
    ("drift", 2),
    ("model", 3),
    ("learn", 3),
    ("scan", 3),
    ("columns", 3),
    ("dataset", 3),
    ("guard", 3),
    ("redteam", 3),
    ("access", 3),
    ("registry", 3),
    ("respond", 3),
    ("store", 4),
    ("cluster", 4),
    ("curate", 4),
    ("yara", 4),
    ("ort", 4),
    ("remote", 4),
    ("replicas", 4),
    ("resident", 4),
    ("gateway", 5),
    ("console", 5),
    ("serve", 5),
    ("worker", 5),
    ("mantlet", 6),
    // Beside the house: used by tests and tasks, by no storey.
    ("testkit", 9),
    ("xtask", 9),
    ("fuzz", 9),
];

/// Storeys from this one down perform no I/O.
pub(super) const PURE: u8 = 2;

/// The storey of a package, by its name with or without the prefix.
pub(super) fn storey(package: &str) -> Option<u8> {
    let short = package.strip_prefix("mantlet-").unwrap_or(package);
    STOREYS.iter().find(|(name, _)| *name == short).map(|(_, storey)| *storey)
}

pub(super) fn check(project: &Project, crates: &[Crate], faults: &mut Vec<Fault>) {
    for member in crates {
        let at = project.shown(&member.folder.join("Cargo.toml"));
        let folder =
            member.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if folder != member.name {
            faults.push(Fault::new(
                &at,
                "storeys",
                format!("the folder `{folder}` is not called `{}`", member.name),
            ));
        }
        let Some(own) = storey(&member.name) else {
            let what = format!(
                "`{}` has no storey; give it one in xtask/src/tidy/storeys.rs and ARCHITECTURE.md",
                member.name
            );
            faults.push(Fault::new(&at, "storeys", what));
            continue;
        };
        for (table, dependency) in dependencies(&member.manifest) {
            let Some(theirs) = storey(&dependency).filter(|_| is_ours(&dependency)) else { continue };
            // Tests may look sideways, and use the forge beside the house.
            let allowed = match table {
                "dev-dependencies" => theirs <= own || theirs == 9,
                _ => theirs < own,
            };
            if !allowed {
                let what = format!(
                    "`{}` (storey {own}) depends on `{dependency}` (storey {theirs}) in [{table}]",
                    member.name
                );
                faults.push(Fault::new(&at, "storeys", what));
            }
        }
        if own <= PURE {
            foreign_worlds(&member.manifest, &at, faults);
        }
    }
}

fn is_ours(dependency: &str) -> bool {
    dependency == "mantlet" || dependency.starts_with("mantlet-")
}

/// Crates that exist to reach the world: no business of a pure storey.
fn foreign_worlds(manifest: &toml::Table, at: &str, faults: &mut Vec<Fault>) {
    const WORLDLY: [&str; 16] = [
        "tokio",
        "hyper",
        "hyper-util",
        "axum",
        "sqlx",
        "getrandom",
        "tempfile",
        "async-trait",
        "futures",
        "rayon",
        "crossbeam",
        "lettre",
        "indicatif",
        "tracing-subscriber",
        "mio",
        "reqwest",
    ];
    for (table, dependency) in dependencies(manifest) {
        if table != "dev-dependencies" && WORLDLY.contains(&dependency.as_str()) {
            faults.push(Fault::new(at, "purity", format!("a pure storey depends on `{dependency}`")));
        }
    }
}

/// Every dependency with the table it stands in, those of single platforms included.
fn dependencies(manifest: &toml::Table) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for table in ["dependencies", "build-dependencies", "dev-dependencies"] {
        let mut places = vec![manifest.get(table)];
        if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
            places.extend(targets.values().map(|target| target.get(table)));
        }
        for dependencies in places.into_iter().flatten().filter_map(Value::as_table) {
            for (name, value) in dependencies {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(name);
                found.push((table, package.to_owned()));
            }
        }
    }
    found
}
