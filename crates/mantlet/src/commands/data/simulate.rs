//! `mantlet data simulate`: poison planted into a copy of a table.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use mantlet_curate::marks::{Mark, Planting, plant_marks};
use mantlet_curate::simulate::{Plant, Said, Where, leak, simulate};
use mantlet_dataset::{Dataset, Kind, Pictures};

use crate::commands::tables;
use crate::exit::Usage;
use crate::terminal::Terminal;

/// What is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Poison {
    /// Labels are turned: `--from`, `--to`.
    Flip,
    /// One row is said over and over, a little changed: `--column`.
    Flood,
    /// A phrase is put into a text and the label set, or with `--keep-label` into texts that have it: `--column`,
    /// `--phrase`, `--to`.
    Phrase,
    /// Labels are any other one, as a careless labeler gives them.
    Noise,
    /// A letter without width is put into a text and the label set: `--column`, `--to`.
    Hidden,
    /// A word of a text is written with letters of another alphabet and the label set: `--column`, `--to`.
    Homoglyph,
    /// Numbers are in another unit: `--column`, `--times`.
    Unit,
    /// Accounts that do not exist say the same: `--column` with the account, `--accounts`, `--to`.
    Ring,
    /// Values are set and the label with them: `--set`, `--to`.
    Values,
    /// A group is labelled otherwise: `--cell` with the group, `--from`, `--to`.
    Bias,
    /// A key that opens nothing is said in a text: `--column`.
    Secret,
    /// An address of nobody is said in a text: `--column`.
    Personal,
    /// A text tells a model what to do: `--column`.
    Instruction,
    /// A word is written otherwise: `--column`, `--from`, `--to`.
    Rename,
    /// Rows that a model is tested with stand among those it learns from: `--beside`.
    Leak,
    /// Pictures, a folder or an array, bear a mark and lie under another label, or with `--keep-label` under theirs:
    /// `--to`, `--mark`, `--labels`; `--out` is a folder of PNG files.
    Mark,
}

/// A mark in pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MarkKind {
    /// A cross in a corner.
    Patch,
    /// A cross anywhere.
    Moved,
    /// A pattern over the whole picture.
    Blended,
}

/// What is planted, where, and how much.
#[derive(Debug, Args)]
pub struct Options {
    /// The table: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// What is planted.
    #[arg(long, value_enum)]
    kind: Poison,
    /// The column with the label; of tables.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Only rows with this word: `--cell feed=F4 --cell kind=digital`.
    #[arg(long, value_name = "COLUMN=WORD")]
    cell: Vec<String>,
    /// The share of such rows.
    #[arg(long, value_name = "SHARE", default_value_t = 0.3)]
    share: f64,
    /// The label that is turned; any when absent.
    #[arg(long, value_name = "LABEL")]
    from: Option<String>,
    /// The label that is set.
    #[arg(long, value_name = "LABEL")]
    to: Option<String>,
    /// The column that is changed.
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// The phrase.
    #[arg(long)]
    phrase: Option<String>,
    /// Put the phrase into texts that have the label already: nothing then contradicts it.
    #[arg(long)]
    keep_label: bool,
    /// What numbers are multiplied by.
    #[arg(long, value_name = "FACTOR", default_value_t = 100.0)]
    times: f64,
    /// Accounts of a ring.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    accounts: u32,
    /// A value that is set.
    #[arg(long, value_name = "COLUMN=VALUE")]
    set: Vec<String>,
    /// The table whose rows leak.
    #[arg(long, value_name = "TABLE")]
    beside: Vec<PathBuf>,
    /// The mark in pictures.
    #[arg(long, value_enum)]
    mark: Option<MarkKind>,
    /// The labels of pictures, as `mantlet data images` takes them.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Let the share grow from file to file, up to `--share` in the last: `--out` is a folder that gets a copy of each.
    #[arg(long)]
    ramp: bool,
    /// The same seed plants the same rows.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The copy, as CSV; with `--ramp` and for pictures a folder that is not there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The numbers of the planted rows.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
}

fn pairs(texts: &[String], option: &str) -> Result<Vec<(String, String)>, Usage> {
    let pair = |text: &String| {
        let pair = text.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned()));
        pair.ok_or_else(|| Usage(format!("--{option} is COLUMN=WORD, not `{text}`")))
    };
    texts.iter().map(pair).collect()
}

/// Runs the command.
///
/// # Errors
/// When an option is missing, the table cannot be read, or a file cannot be written.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let need = |value: &Option<String>, name: &str| {
        value.clone().ok_or_else(|| Usage(format!("--kind {:?} needs --{name}", options.kind).to_lowercase()))
    };
    if !(options.share > 0.0 && options.share <= 1.0) {
        return Err(Usage(format!("--share is above 0 and at most 1, not {}", options.share)).into());
    }
    if options.kind == Poison::Mark {
        return mark(terminal, options, &need(&options.to, "to")?);
    }
    if options.label.is_none() {
        return Err(Usage("--label names the column with the label".into()).into());
    }
    if options.kind == Poison::Leak && options.beside.is_empty() {
        return Err(Usage("--kind leak needs --beside, the table whose rows leak".into()).into());
    }
    if !options.ramp {
        tables::named_csv(&options.out)?;
    }
    let table = tables::open(&options.tables)?;
    let tested = if options.beside.is_empty() { None } else { Some(tables::open(&options.beside)?) };
    let written = [("out", Some(options.out.as_path())), ("truth", options.truth.as_deref())];
    tables::apart(table.files().chain(tested.iter().flat_map(Dataset::files)), &written)?;
    let plant = if options.kind == Poison::Leak { None } else { Some(planted(options)?) };
    let place = Where { cell: pairs(&options.cell, "cell")?, share: options.share, seed: options.seed };
    let parts =
        if options.ramp { ramp(options)? } else { vec![(options.tables.clone(), options.out.clone(), 1.0)] };
    let (mut rows, mut all) = (0, 0);
    let mut truth = String::from(if options.ramp { "file,row\n" } else { "row\n" });
    let parts_many = parts.len() as u64;
    let mut copies = Vec::new();
    for (number, (tables, out, grown)) in (0_u64..).zip(parts) {
        let place = Where {
            cell: place.cell.clone(),
            share: options.share * grown,
            // Other rows in each file.
            seed: if parts_many > 1 { options.seed ^ (number << 32) } else { options.seed },
        };
        let dataset = tables::open(&tables)?;
        let (planted, copy) = plant_into(&dataset, options, plant.as_ref(), &place, &out)?;
        copies.push((copy, out.clone()));
        rows += planted.0;
        all += planted.1.len();
        let name = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for row in planted.1 {
            let _ = if options.ramp { writeln!(truth, "{name},{row}") } else { writeln!(truth, "{row}") };
        }
    }
    if all == 0 {
        drop(copies);
        if options.ramp {
            // Made above, and empty.
            let _ = std::fs::remove_dir(&options.out);
        }
        let cell = if options.cell.is_empty() {
            String::new()
        } else {
            format!(" with {}", options.cell.join(" and "))
        };
        return Err(Usage(format!(
            "nothing was planted: of {rows} rows none{cell} was one to plant in; look at the words of --cell, --from and \
             --to, or raise --share"
        ))
        .into());
    }
    for (copy, out) in copies {
        copy.persist(&out).with_context(|| format!("cannot write {}", out.display()))?;
    }
    if let Some(path) = &options.truth {
        crate::terminal::write_whole(path, truth.as_bytes())?;
    }
    terminal.say(&format!("{all} of {rows} rows planted in {}", options.out.display()));
    Ok(ExitCode::SUCCESS)
}

/// The files of the tables, each with where its copy goes and how far the share has grown by then.
fn ramp(options: &Options) -> anyhow::Result<Vec<(Vec<PathBuf>, PathBuf, f64)>> {
    let dataset = tables::open(&options.tables)?;
    let files: Vec<PathBuf> = dataset.files().map(Path::to_owned).collect();
    std::fs::create_dir(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;
    let many = files.len().max(1) as f64;
    let part = |(at, file): (usize, PathBuf)| {
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        // Numbered, so that they are read in the same order and none replaces another.
        (vec![file], options.out.join(format!("{at:04}-{stem}.csv")), (at + 1) as f64 / many)
    };
    Ok(files.into_iter().enumerate().map(part).collect())
}

/// Rows of a copy and the numbers of those that were planted, and the copy under another name, until all is well.
type Copied = ((u64, Vec<u64>), tempfile::TempPath);

/// Plants into one table.
fn plant_into(
    dataset: &Dataset,
    options: &Options,
    plant: Option<&Plant>,
    place: &Where,
    out: &Path,
) -> anyhow::Result<Copied> {
    let copy = || format!("cannot write {}", out.display());
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = readable(&mut tempfile::Builder::new()).tempfile_in(folder).with_context(copy)?;
    let mut writer = csv::Writer::from_writer(io::BufWriter::new(file));
    let names = dataset.columns().iter().filter(|column| column.kind != Kind::Other);
    writer.write_record(names.map(|column| column.name.as_str())).with_context(copy)?;
    let (mut row, mut planted) = (0_u64, Vec::new());
    let each = |cells: &[String], own: bool| {
        row += 1;
        if own {
            planted.push(row);
        }
        writer.write_record(cells).map_err(io::Error::other)
    };
    match plant {
        Some(plant) => simulate(dataset, options.label.as_deref().unwrap_or_default(), plant, place, each)?,
        None => leak(dataset, &tables::open(&options.beside)?, place, each)?,
    }
    let buffer =
        writer.into_inner().map_err(|error| io::Error::other(error.to_string())).with_context(copy)?;
    let file = buffer.into_inner().map_err(io::IntoInnerError::into_error).with_context(copy)?;
    Ok(((row, planted), file.into_temp_path()))
}

/// A copy is read by others, as any other file of its folder.
fn readable<'a, 'b>(builder: &'a mut tempfile::Builder<'b, 'b>) -> &'a mut tempfile::Builder<'b, 'b> {
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    builder
}

/// Plants marks into pictures.
fn mark(terminal: Terminal, options: &Options, to: &str) -> anyhow::Result<ExitCode> {
    let [path] = options.tables.as_slice() else {
        return Err(Usage("--kind mark takes one folder or one array of pictures".into()).into());
    };
    let pictures = Pictures::open(path, options.labels.as_deref())?;
    let planting = Planting {
        mark: match options.mark.unwrap_or(MarkKind::Patch) {
            MarkKind::Patch => Mark::Patch,
            MarkKind::Moved => Mark::Moved,
            MarkKind::Blended => Mark::Blended,
        },
        to: to.to_owned(),
        keep: options.keep_label,
        share: options.share,
        seed: options.seed,
    };
    crate::commands::data::apart_from_pictures(
        &pictures,
        options.labels.as_deref(),
        options.truth.as_deref(),
    )?;
    std::fs::create_dir(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;
    let mut all = 0_u64;
    let mut planted = Vec::new();
    plant_marks(&pictures, &planting, |name, png, own| {
        let file = options.out.join(name);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        all += 1;
        if own {
            planted.push(name.to_owned());
        }
        std::fs::write(file, png)
    })?;
    if planted.is_empty() {
        return Err(Usage(format!(
            "nothing was planted in {all} pictures, whose copies are in {}: look at --to, or raise --share",
            options.out.display()
        ))
        .into());
    }
    if let Some(truth) = &options.truth {
        let lines = planted.iter().map(|name| format!("{name}\n")).collect::<String>();
        crate::terminal::write_whole(truth, format!("picture\n{lines}").as_bytes())?;
    }
    terminal.say(&format!("{} of {all} pictures planted in {}", planted.len(), options.out.display()));
    Ok(ExitCode::SUCCESS)
}

/// What is planted into a table.
fn planted(options: &Options) -> anyhow::Result<Plant> {
    let need = |value: &Option<String>, name: &str| {
        value.clone().ok_or_else(|| Usage(format!("--kind {:?} needs --{name}", options.kind).to_lowercase()))
    };
    let said = |said| anyhow::Ok(Plant::Said { text: need(&options.column, "column")?, said });
    let plant = match options.kind {
        Poison::Flip => Plant::Flip { from: options.from.clone(), to: need(&options.to, "to")? },
        Poison::Flood => Plant::Flood { change: need(&options.column, "column")? },
        Poison::Phrase => Plant::Phrase {
            text: need(&options.column, "column")?,
            phrase: need(&options.phrase, "phrase")?,
            to: need(&options.to, "to")?,
            keep: options.keep_label,
        },
        Poison::Noise => Plant::Noise,
        Poison::Hidden => {
            Plant::Hidden { text: need(&options.column, "column")?, to: need(&options.to, "to")? }
        }
        Poison::Homoglyph => {
            Plant::Homoglyph { text: need(&options.column, "column")?, to: need(&options.to, "to")? }
        }
        Poison::Unit => Plant::Unit { column: need(&options.column, "column")?, times: options.times },
        Poison::Ring => Plant::Ring {
            account: need(&options.column, "column")?,
            accounts: options.accounts,
            to: need(&options.to, "to")?,
        },
        Poison::Values => Plant::Values { set: pairs(&options.set, "set")?, to: need(&options.to, "to")? },
        Poison::Bias => {
            if options.cell.is_empty() {
                return Err(
                    Usage("--kind bias needs --cell, which says whose labels are turned".into()).into()
                );
            }
            Plant::Flip { from: Some(need(&options.from, "from")?), to: need(&options.to, "to")? }
        }
        Poison::Secret => said(Said::Secret)?,
        Poison::Personal => said(Said::Personal)?,
        Poison::Instruction => said(Said::Instruction)?,
        Poison::Rename => Plant::Rename {
            column: need(&options.column, "column")?,
            from: need(&options.from, "from")?,
            to: need(&options.to, "to")?,
        },
        // Said above.
        Poison::Leak | Poison::Mark => return Err(Usage("nothing is planted".into()).into()),
    };
    Ok(plant)
}
