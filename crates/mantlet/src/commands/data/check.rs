//! `mantlet data check`: one table by itself, against its schema, feed by feed, and beside the rows it is tested with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use mantlet_curate::Roles;
use mantlet_curate::relations::relations;
use mantlet_curate::schema::judge;
use mantlet_curate::split::split;
use mantlet_curate::versions::feeds_apart;
use mantlet_datachecks::schema::Schema;
use mantlet_datachecks::split::Split;
use mantlet_dataset::Dataset;
use mantlet_vocab::{Examination, Finding, Gap, Place};

use crate::cli::Reporting;
use crate::commands::tables;
use crate::protect::take_in;
use crate::terminal::Terminal;
use crate::{config, exit};

/// The table, and what is known of it.
#[derive(Debug, Args)]
pub struct Options {
    /// A file (CSV, JSON Lines, Parquet, Arrow), a folder with mantlet.toml, or, in builds with `remote`, the address of a
    /// file, of a prefix of an object store, or of a table of a PostgreSQL server.
    path: PathBuf,
    /// The column that holds the label; the configuration's for a folder.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// What the table promises (see `mantlet data schema`); the configuration's for a folder.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Rows that a model is tested with: none of them may stand in this table. The configuration's for a folder.
    #[arg(long, value_name = "TABLE")]
    test: Option<PathBuf>,
    /// The column that says whose a row is: nobody's rows may stand on both sides.
    #[arg(long, value_name = "COLUMN")]
    key: Option<String>,
    /// The column that says who delivered a row: units and clocks of each feed beside all others, and columns that go
    /// with the label in some feeds only.
    #[arg(long, value_name = "COLUMN")]
    feed: Option<String>,
    /// A column that is no feature.
    #[arg(long, value_name = "COLUMN")]
    without: Vec<String>,
    #[command(flatten)]
    reporting: Reporting,
}

/// What is asked of a table beyond itself.
#[derive(Debug, Default)]
pub struct Beyond {
    label: Option<String>,
    schema: Option<PathBuf>,
    test: Option<PathBuf>,
    key: Option<String>,
    feed: Option<String>,
    without: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When the folder has no valid configuration, a table or a schema cannot be read, or the report cannot be written.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let mut examination = Examination::default();
    let mut beyond = Beyond {
        label: options.label.clone(),
        schema: options.schema.clone(),
        test: options.test.clone(),
        key: options.key.clone(),
        feed: options.feed.clone(),
        without: options.without.clone(),
    };
    let mut path = options.path.clone();
    if path.is_dir() {
        let loaded = config::load(&path)?;
        let Some(data) = &loaded.config.data else {
            anyhow::bail!("{} names no data: add `data.train`", loaded.file.display());
        };
        let own = |file: &Option<PathBuf>| file.as_ref().map(|file| loaded.path(file));
        beyond.label = beyond.label.or_else(|| data.label.clone());
        beyond.schema = beyond.schema.or_else(|| own(&data.schema));
        beyond.test = beyond.test.or_else(|| own(&data.test));
        beyond.feed = beyond.feed.or_else(|| data.feed.clone());
        beyond.key = beyond.key.or_else(|| data.key.clone());
        beyond.without.extend(data.without.iter().cloned());
        path = loaded.path(&data.train);
        if let Some(test) = &beyond.test {
            examination.merge(take_in::table(test, beyond.label.as_deref()));
        }
    }
    let beside = [beyond.schema.as_deref(), beyond.test.as_deref()].into_iter().flatten();
    let output = [("output", options.reporting.output.as_deref())];
    tables::apart(beside.chain([path.as_path()]), &output)?;
    match tables::open(std::slice::from_ref(&path)) {
        Ok(table) => {
            tables::apart(table.files(), &output)?;
            for (file, name) in table.files().zip(table.names()) {
                examination.merge(take_in::table_as(file, name, beyond.label.as_deref()));
            }
            examination.merge(beyond.examine(&table)?);
        }
        // An address that cannot be reached is an error; a file that is none is said in the report.
        Err(error) if tables::is_address(&path) => return Err(error),
        Err(_) => examination.merge(take_in::table(&path, beyond.label.as_deref())),
    }
    crate::commands::report(terminal, &examination, &options.reporting)?;
    Ok(exit::verdict(examination.verdict(options.reporting.threshold)))
}

/// Reads a schema.
///
/// # Errors
/// When the file cannot be read, or is no schema.
pub fn schema(path: &Path) -> anyhow::Result<Schema> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let schema: Schema = toml::from_str(&text).with_context(|| format!("{} is no schema", path.display()))?;
    schema.check().with_context(|| format!("{} makes no sense", path.display()))?;
    Ok(schema)
}

/// Holds a table against its schema; tables that it refers to lie beside it.
///
/// # Errors
/// When the schema or a table cannot be read.
pub fn against(table: &Dataset, path: &Path) -> anyhow::Result<Examination> {
    let schema = schema(path)?;
    let base = path.parent().unwrap_or(Path::new(""));
    let judged = judge(table, &schema, base)?;
    let findings = mantlet_datachecks::schema::look(&judged, &Place::artifact(table.name()));
    Ok(said(table, findings, judged.gaps))
}

fn said(table: &Dataset, findings: Vec<Finding>, gaps: Vec<String>) -> Examination {
    let gap = |why: String| Gap {
        what: table.name(),
        why,
        remedy: "mend the feed, or leave the column out".to_owned(),
    };
    Examination { findings, gaps: gaps.into_iter().map(gap).collect(), ..Examination::default() }
}

impl Beyond {
    fn examine(&self, table: &Dataset) -> anyhow::Result<Examination> {
        let place = Place::artifact(table.name());
        let mut all = Examination::default();
        if let Some(path) = &self.schema {
            all.merge(against(table, path)?);
        }
        if let Some(feed) = &self.feed {
            let apart = feeds_apart(table, feed, &self.without)?;
            all.merge(said(table, mantlet_datachecks::version::look(&apart.changes, &place), apart.gaps));
            if let Some(label) = &self.label {
                let roles = Roles {
                    label: label.clone(),
                    feed: Some(feed.clone()),
                    without: self.without.clone(),
                    ..Roles::default()
                };
                let found = relations(table, &roles)?;
                all.merge(said(table, mantlet_datachecks::relation::look(&found.uneven, &place), found.gaps));
            }
        }
        if let Some(test) = &self.test {
            let test = match tables::open(std::slice::from_ref(test)) {
                Ok(table) => table,
                Err(error) if tables::is_address(test) => return Err(error),
                Err(error) => {
                    let (what, remedy) = (test.display().to_string(), "name a table".to_owned());
                    all.gaps.push(Gap { what, why: format!("{error:#}"), remedy });
                    return Ok(all);
                }
            };
            let found = split(table, &test, self.label.as_deref(), self.key.as_deref(), &self.without)?;
            let mut splits = vec![Split::Rows(&found.rows)];
            splits.extend(found.keys.as_ref().map(Split::Keys));
            let findings = mantlet_datachecks::split::look(&splits, &Place::artifact(test.name()));
            all.merge(said(&test, findings, found.gaps));
        }
        Ok(all)
    }
}
