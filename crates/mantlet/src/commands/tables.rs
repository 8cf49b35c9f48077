//! Tables for `mantlet data` and `mantlet monitor`: files and folders, and, in builds that have the `remote` feature,
//! addresses of object stores, Hugging Face, the web, and tables of a PostgreSQL server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum as _;
use mantlet_dataset::{Column, Dataset};

use crate::config::TypeWord;
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
    open_as(tables, &[])
}

/// The same with what some columns hold declared.
fn open_as(tables: &[PathBuf], declared: &[Column]) -> anyhow::Result<Dataset> {
    if !tables.iter().any(|table| is_address(table)) {
        return Ok(Dataset::open_as(tables, declared)?);
    }
    let folder = tempfile::Builder::new()
        .prefix("mantlet-tables")
        .tempdir()
        .context("cannot make a folder for copies")?;
    let copies = copy(tables, folder.path())?;
    Ok(Dataset::open_copies_as(copies, Arc::new(folder), declared)?)
}

/// What tells a file from all others, whichever name or link leads to it.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    path: PathBuf,
    node: Option<(u64, u64)>,
}

impl Identity {
    /// Nothing of what is not there.
    fn of(path: &Path) -> Option<Self> {
        let path = path.canonicalize().ok()?;
        #[cfg(unix)]
        let node = {
            use std::os::unix::fs::MetadataExt as _;
            path.metadata().ok().map(|file| (file.dev(), file.ino()))
        };
        #[cfg(not(unix))]
        let node = None;
        Some(Self { path, node })
    }

    fn is(&self, other: &Self) -> bool {
        self.path == other.path || (self.node.is_some() && self.node == other.node)
    }
}

/// Refuses to write over what is read, also through links: each file that is written with the option that names it.
///
/// # Errors
/// When one of them is read.
pub fn apart<'a>(
    read: impl IntoIterator<Item = &'a Path>,
    written: &[(&str, Option<&Path>)],
) -> Result<(), Usage> {
    let written: Vec<_> = written
        .iter()
        .filter_map(|(option, path)| Some((*option, (*path)?, Identity::of((*path)?)?)))
        .collect();
    if written.is_empty() {
        return Ok(());
    }
    for read in read {
        let Some(file) = Identity::of(read) else { continue };
        if let Some((option, path, _)) = written.iter().find(|(_, _, own)| own.is(&file)) {
            return Err(Usage(format!(
                "--{option} {} would be written over {}, which is read; name another file",
                path.display(),
                read.display()
            )));
        }
    }
    Ok(())
}

/// Refuses a name that promises another format than the CSV that is written.
///
/// # Errors
/// When the name ends as that of another format.
pub fn named_csv(out: &Path) -> Result<(), Usage> {
    let end = out.extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
    if end.as_deref() != Some("csv") && mantlet_dataset::is_table(&out.to_string_lossy()) {
        return Err(Usage(format!("--out {} is written as CSV; name it so (`.csv`)", out.display())));
    }
    Ok(())
}

/// How the features of a history are called.
#[derive(Debug, Default, clap::Args)]
pub struct Named {
    /// The features of the gateway's history by name, in the order in which the model takes them; without, they are
    /// `features.0` and so on.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    features: Vec<String>,
    /// Name them as the training data of the system in this folder does: `data.features`, or the columns of `data.train`
    /// but the label.
    #[arg(long, value_name = "DIR", conflicts_with = "features")]
    named_by: Option<PathBuf>,
    /// What a column of a text file holds, whatever its first rows look like: numbers, words or times. May be given more
    /// than once; the columns of `data.types` of the folder named by --named-by are declared too.
    #[arg(long = "type", value_name = "COLUMN=KIND")]
    types: Vec<String>,
}

impl Named {
    /// The names; none when nobody gave any.
    fn names(&self) -> anyhow::Result<Vec<String>> {
        let Some(folder) = &self.named_by else { return Ok(self.features.clone()) };
        let loaded = crate::config::load(folder)?;
        let Some(data) = &loaded.config.data else {
            return Err(Usage(format!(
                "{} names no data: add `[data]`, or use --features",
                loaded.file.display()
            ))
            .into());
        };
        if !data.features.is_empty() {
            return Ok(data.features.clone());
        }
        // As `mantlet protect` takes them: all columns but the label.
        let table = open(&[loaded.path(&data.train)])?;
        let own = table.columns().iter().map(|column| &column.name);
        Ok(own.filter(|name| Some(*name) != data.label.as_ref()).cloned().collect())
    }

    /// What columns are declared to hold; what the command line says goes before what the configuration does.
    fn declared(&self) -> anyhow::Result<Vec<Column>> {
        let mut declared = Vec::new();
        if let Some(folder) = &self.named_by
            && let Some(data) = &crate::config::load(folder)?.config.data
        {
            declared = data.types();
        }
        for text in &self.types {
            let known = text.rsplit_once('=').and_then(|(name, word)| {
                Some(Column { name: name.to_owned(), kind: TypeWord::from_str(word, false).ok()?.into() })
            });
            declared.push(known.ok_or_else(|| {
                Usage(format!("--type is COLUMN=KIND with numbers, words or times, not `{text}`"))
            })?);
        }
        Ok(declared)
    }

    fn named(names: &[String], table: Dataset) -> anyhow::Result<Dataset> {
        // The other table of a comparison may name its columns itself.
        if names.is_empty() || !table.is_history() {
            return Ok(table);
        }
        Ok(table.with_features(names)?)
    }

    /// Opens a table; a history gets the names.
    ///
    /// # Errors
    /// As [`open`], or when a history has another number of features.
    pub fn open(&self, tables: &[PathBuf]) -> anyhow::Result<Dataset> {
        Self::named(&self.names()?, open_as(tables, &self.declared()?)?)
    }

    /// Opens both tables of a comparison, of which one at least has to be a history when features are named.
    ///
    /// # Errors
    /// As [`Named::open`].
    pub fn both(&self, before: &[PathBuf], now: &[PathBuf]) -> anyhow::Result<(Dataset, Dataset)> {
        let (names, declared) = (self.names()?, self.declared()?);
        let open = |tables| open_as(tables, &declared);
        let (before, now) = (Self::named(&names, open(before)?)?, Self::named(&names, open(now)?)?);
        if !names.is_empty() && !before.is_history() && !now.is_history() {
            return Ok((before, now.with_features(&names)?));
        }
        Ok((before, now))
    }

    /// Opens the only table of a command.
    ///
    /// # Errors
    /// As [`Named::open`], or when features are named of what is no history.
    pub fn only(&self, tables: &[PathBuf]) -> anyhow::Result<Dataset> {
        let (names, table) = (self.names()?, open_as(tables, &self.declared()?)?);
        Ok(if names.is_empty() { table } else { table.with_features(&names)? })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_not_written_over_whatever_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("table.csv"), "a\n1\n").unwrap();
        std::fs::write(at("other.csv"), "a\n1\n").unwrap();
        let table = at("table.csv");
        let refused = |out: &Path| apart([table.as_path()], &[("rows", None), ("out", Some(out))]).is_err();
        assert!(refused(&table));
        assert!(refused(&at(".").join("table.csv")));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&table, at("link.csv")).unwrap();
            std::fs::hard_link(&table, at("second.csv")).unwrap();
            assert!(refused(&at("link.csv")) && refused(&at("second.csv")));
        }
        // What is like it, and what is not there yet.
        assert!(!refused(&at("other.csv")) && !refused(&at("new.csv")));
    }

    #[test]
    fn csv_is_not_written_under_the_name_of_another_format() {
        for (name, refused) in
            [("a.parquet", true), ("a.JSONL", true), ("a.csv", false), ("a.CSV", false), ("a", false)]
        {
            assert_eq!(named_csv(Path::new(name)).is_err(), refused, "{name}");
        }
    }
}
