//! Tables for `mantlet data` and `mantlet monitor`: files and folders, and, in builds that have the `remote` feature,
//! addresses of object stores, Hugging Face, the web, and tables of a PostgreSQL server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use mantlet_dataset::Dataset;

#[cfg(not(feature = "remote"))]
use crate::exit::Usage;

/// Whether an argument is the address of a table.
pub fn is_address(table: &Path) -> bool {
    let text = table.to_string_lossy();
    super::remote::is_address(&text)
        || ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme))
}

/// Opens a table. What addresses stand for is copied to a folder that lives as long as the table does, in the order
/// of the arguments, the files of one address by name.
///
/// # Errors
/// When a table is not there or cannot be read, or this build has no addresses.
pub fn open(tables: &[PathBuf]) -> anyhow::Result<Dataset> {
    if !tables.iter().any(|table| is_address(table)) {
        return Ok(Dataset::open(tables)?);
    }
    let folder = tempfile::Builder::new()
        .prefix("mantlet-tables")
        .tempdir()
        .context("cannot make a folder for copies")?;
    let copies = copy(tables, folder.path())?;
    Ok(Dataset::open_copies(copies, Arc::new(folder))?)
}

/// Says which build has addresses.
///
/// # Errors
/// Always.
#[cfg(not(feature = "remote"))]
pub fn copy(tables: &[PathBuf], _: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let address = tables.iter().find(|table| is_address(table)).map(|table| table.display().to_string());
    let address = address.unwrap_or_default();
    let scheme = address.split("://").next().unwrap_or("");
    Err(Usage(format!(
        "`{scheme}://` is not in this build, which reads local tables only: build mantlet with `--features remote`, or \
         name a copy"
    ))
    .into())
}

/// Copies what addresses stand for into a folder; files of this machine stay where they are. Gives each file and what it
/// is called in reports.
///
/// # Errors
/// When a table is not there or cannot be read, or the folder cannot be written.
#[cfg(feature = "remote")]
pub fn copy(tables: &[PathBuf], folder: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    use std::fs::File;

    use mantlet_remote::{Limits, Outward, Remote};

    use crate::exit::Usage;

    let environment = |name: &str| std::env::var(name).ok();
    let outward = Outward::from_environment(&environment).map_err(|error| Usage(error.to_string()))?;
    let remote = Remote::through(Limits::default(), &outward)?;
    let mut copies: Vec<(PathBuf, String)> = Vec::new();
    let create = |copies: &[(PathBuf, String)], name: &str| {
        // The name's end tells what kind of table it is; the rest of it is a stranger's.
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
        let last: String = name.rsplit('/').next().unwrap_or("").chars().map(plain).collect();
        let last = last.get(last.len().saturating_sub(80)..).unwrap_or("table").to_owned();
        let path = folder.join(format!("{:06}-{last}", copies.len()));
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        anyhow::Ok((path, file))
    };
    for table in tables {
        let text = table.to_string_lossy();
        if !is_address(table) {
            for path in Dataset::open(std::slice::from_ref(table))?.files() {
                copies.push((path.to_owned(), path.display().to_string()));
            }
        } else if text.starts_with("postgres") {
            let (path, mut file) = create(&copies, "table.csv")?;
            let name = remote.copy_table(&text, &mut file)?;
            copies.push((path, name));
        } else {
            let listing = remote.list(&text, &environment)?;
            if let Some(gap) = listing.gaps.first() {
                anyhow::bail!("{} cannot be read: {}; {}", gap.what, gap.why, gap.remedy);
            }
            let named = listing.objects.iter().any(|object| object.path.is_empty());
            let mut found = 0;
            for object in &listing.objects {
                // Of a prefix, only what is a table by its name; what was named itself in any case.
                if !named && !mantlet_dataset::is_table(&object.name) {
                    continue;
                }
                let (path, mut file) = create(&copies, &object.name)?;
                remote.copy(object, &mut file)?;
                copies.push((path, object.name.clone()));
                found += 1;
            }
            if found == 0 {
                anyhow::bail!("{text} holds no table: CSV, JSON Lines, Parquet and Arrow files are read");
            }
        }
    }
    Ok(copies)
}
