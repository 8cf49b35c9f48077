//! `mantlet watch --from FILE`: the same limits and detectors on what already happened.
//!
//! Long because three forms of files end in one report.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use mantlet_columns::{Row, TableLimits, is_left_out, read_rows, read_table};
use mantlet_detectors::Profile;
use mantlet_guard::past::{Past, Seen, access_line, json_line};
use mantlet_guard::{Controls, Guard, GuardConfig};
use mantlet_vocab::{
    About, Action, ArtifactSummary, Coverage, Examination, Finding, Gap, Millis, NamedValue, Place, Reply,
    Request, Severity, Tensor, Value,
};

use crate::cli::Reporting;
use crate::config::{self, FILE_NAME};
use crate::terminal::Terminal;
use crate::{deploy, exit, runtime};

/// Bytes of a line that are read; longer ones are left out and said.
const LINE: u64 = 32 << 20;
/// Callers and signals told apart; further callers are told together.
const GROUPS: usize = 10_000;

/// What to look at.
#[derive(Debug, Args)]
pub struct Options {
    /// Access logs, JSON Lines, or Parquet of past requests, oldest first.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    from: Vec<PathBuf>,
    /// The folder with mantlet.toml, whose rules, limits and profile count; without one the built-in rules do.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    system: PathBuf,
    /// How the files are read; by their first bytes unless said.
    #[arg(long, value_enum, default_value_t = Form::Auto)]
    form: Form,
    /// The path of exchanges that name none, as `/v1/chat/completions`.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    #[command(flatten)]
    reporting: Reporting,
}

/// A form of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// By the first bytes.
    Auto,
    /// Common or combined log format.
    Access,
    /// One JSON object a line.
    Json,
    /// Parquet: the history of a gateway, or a table with the names of JSON Lines.
    Parquet,
}

/// What one rule saw of one caller.
struct Group {
    about: &'static About,
    count: u64,
    stopped: u64,
    first: (String, Millis),
    last: Millis,
    score: f64,
    message: String,
}

/// What is put together over all files.
struct Watch<'a> {
    guard: &'a Guard,
    prefix: String,
    path: Option<&'a str>,
    limits: mantlet_wire::Limits,
    abouts: BTreeMap<&'static str, &'static About>,
    groups: BTreeMap<(String, String), Group>,
    /// Of the file at hand.
    seen: u64,
    over: u64,
    gaps: BTreeMap<String, (u64, String)>,
}

/// Runs the command.
///
/// # Errors
/// When a file or the system's state cannot be read.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let (guard, prefix, remarks) = runtime::block_on(guard(&options.system))?;
    let mut watch = Watch {
        guard: &guard,
        prefix,
        path: options.path.as_deref(),
        limits: mantlet_wire::Limits::default(),
        abouts: mantlet_detectors::abouts().into_iter().map(|about| (about.name, about)).collect(),
        groups: BTreeMap::new(),
        seen: 0,
        over: 0,
        gaps: BTreeMap::new(),
    };
    let mut examination = Examination::default();
    for file in &options.from {
        let name = file.display().to_string();
        let size = watch.file(file, options.form).with_context(|| format!("cannot read {name}"))?;
        let mut gaps: Vec<Gap> = std::mem::take(&mut watch.gaps)
            .into_iter()
            .map(|(what, (count, first))| Gap {
                what: name.clone(),
                why: format!("{what}: {count} of {} exchanges, first at {first}", watch.seen),
                remedy: "keep bodies too, or let the gateway's tap look at copies of live traffic".to_owned(),
            })
            .collect();
        if watch.seen == 0 {
            gaps.push(Gap {
                what: name.clone(),
                why: "it holds no exchange".to_owned(),
                remedy: "name a file with past requests".to_owned(),
            });
        }
        let mut said = format!("{} exchanges", watch.seen);
        if watch.over > 0 {
            said.push_str(&format!(", {} over the limits in force", watch.over));
        }
        let coverage = if gaps.is_empty() { Coverage::Complete } else { Coverage::Partial { gaps } };
        examination.artifacts.push(ArtifactSummary {
            path: name.clone(),
            size,
            digest: None,
            formats: vec![said],
            said: Default::default(),
            coverage,
        });
        (watch.seen, watch.over) = (0, 0);
        let groups = std::mem::take(&mut watch.groups);
        examination
            .findings
            .extend(groups.into_iter().map(|((_, caller), group)| group.finding(&name, &caller)));
    }
    // A remark about the system is no gap of what was examined.
    remarks.iter().for_each(|remark| terminal.note(&format!("not in force: {remark}")));
    Finding::sort(&mut examination.findings);
    super::report(terminal, &examination, &options.reporting)?;
    Ok(exit::verdict(examination.verdict(options.reporting.threshold)))
}

/// The guard of a folder's system, or one with the built-in rules.
async fn guard(system: &Path) -> anyhow::Result<(Guard, String, Vec<String>)> {
    let described = system.is_file() || system.join(FILE_NAME).is_file();
    if !described {
        let config = GuardConfig { limit: None, ..GuardConfig::default() };
        let guard = Guard::new(config, None, Vec::new(), Arc::new(Controls::new()))?;
        let remark = format!("{} holds no {FILE_NAME}: only the built-in rules of text", system.display());
        return Ok((guard, String::new(), vec![remark]));
    }
    let loaded = config::load(system)?;
    let prefix = loaded.config.gateway.prefix.clone();
    let (guard, remarks) = deploy::guard_of(&loaded).await?;
    Ok((guard, prefix, remarks))
}

impl Group {
    fn finding(self, file: &str, caller: &str) -> Finding {
        let times = if self.count == 1 { "once".to_owned() } else { format!("{} times", self.count) };
        let message = format!(
            "{caller} {times}, first {} ({}), last {}; the strongest: {}",
            self.first.1, self.first.0, self.last, self.message
        );
        // Found is what an enforcing guard would have done more about than mark it.
        let severity = if self.stopped > 0 { Severity::Suspicious } else { Severity::Note };
        self.about
            .finding(Place::artifact(file).part(format!("caller {caller}")), message)
            .severity(severity)
            .fact("caller", caller)
            .fact("times", self.count)
            .fact("stopped", self.stopped)
            .fact("score", self.score)
            .fact("first", self.first.1.rfc3339())
            .fact("last", self.last.rfc3339())
    }
}

impl Watch<'_> {
    fn file(&mut self, path: &Path, form: Form) -> anyhow::Result<u64> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut first = [0; 4];
        let mut read = 0;
        while read < 4 {
            match file.read(&mut first[read..])? {
                0 => break,
                more => read += more,
            }
        }
        file.rewind()?;
        let form = match form {
            Form::Auto if &first == b"PAR1" => Form::Parquet,
            Form::Auto if first[..read].trim_ascii_start().first() == Some(&b'{') => Form::Json,
            Form::Auto => Form::Access,
            said => said,
        };
        match form {
            Form::Parquet => self.parquet(path)?,
            Form::Json => {
                self.lines(file, |line, path| json_line(line, path).map_err(|wrong| wrong.to_string()))?
            }
            Form::Access | Form::Auto => {
                self.lines(file, |line, _| access_line(line).map_err(|wrong| wrong.to_string()))?;
            }
        }
        Ok(size)
    }

    fn lines(
        &mut self,
        file: File,
        read: impl Fn(&str, Option<&str>) -> Result<Past, String>,
    ) -> anyhow::Result<()> {
        let mut reader = BufReader::new(file);
        let (mut line, mut number) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            let taken = reader.by_ref().take(LINE).read_until(b'\n', &mut line)?;
            if taken == 0 {
                return Ok(());
            }
            number += 1;
            let place = format!("line {number}");
            if taken as u64 == LINE && line.last() != Some(&b'\n') {
                // The rest of it is passed over.
                loop {
                    line.clear();
                    let taken = reader.by_ref().take(LINE).read_until(b'\n', &mut line)?;
                    if taken == 0 || line.last() == Some(&b'\n') {
                        break;
                    }
                }
                self.seen += 1;
                self.gap("a line too long to be read", &place);
                continue;
            }
            let Ok(text) = std::str::from_utf8(&line) else {
                self.seen += 1;
                self.gap("a line that is not UTF-8", &place);
                continue;
            };
            if text.trim().is_empty() {
                continue;
            }
            match read(text.trim_end(), self.path) {
                Ok(past) => self.past(&past, &place),
                Err(wrong) => {
                    self.seen += 1;
                    self.gap(&wrong, &place);
                }
            }
        }
    }

    fn past(&mut self, past: &Past, place: &str) {
        let seen = self.guard.look_back(past, &self.prefix, &self.limits);
        self.took(&past.caller, past.at, place, seen);
    }

    fn took(&mut self, caller: &str, at: Millis, place: &str, seen: Seen) {
        self.seen += 1;
        for gap in &seen.gaps {
            self.gap(gap, place);
        }
        let stopped = !matches!(seen.decision.proposed, Action::Allow | Action::Flag);
        self.over += u64::from(stopped && seen.decision.signals.is_empty());
        for signal in &seen.decision.signals {
            let Some(about) = self.abouts.get(signal.name.as_str()) else { continue };
            let mut key = (signal.name.clone(), caller.to_owned());
            if self.groups.len() >= GROUPS && !self.groups.contains_key(&key) {
                "other callers".clone_into(&mut key.1);
            }
            let group = self.groups.entry(key).or_insert_with(|| Group {
                about,
                count: 0,
                stopped: 0,
                first: (place.to_owned(), at),
                last: at,
                score: f64::MIN,
                message: String::new(),
            });
            group.count += 1;
            group.stopped += u64::from(stopped);
            group.last = group.last.max(at);
            if signal.score > group.score {
                group.score = signal.score;
                group.message.clone_from(&signal.message);
            }
        }
    }

    fn gap(&mut self, what: &str, place: &str) {
        self.gaps.entry(what.to_owned()).or_insert_with(|| (0, place.to_owned())).0 += 1;
    }

    fn parquet(&mut self, path: &Path) -> anyhow::Result<()> {
        let profile = self.guard.profile().cloned();
        let mut number = 0_u64;
        let history = read_rows(path, Millis(0), Millis(u64::MAX), usize::MAX, |row| {
            number += 1;
            self.row(profile.as_deref(), row, &format!("row {number}"));
            false
        });
        if history.is_ok() || number > 0 {
            history?;
            return Ok(());
        }
        // A table with the names of JSON Lines.
        let table = read_table(path, &TableLimits::default())?;
        for row in 0..table.rows {
            let mut object = serde_json::Map::new();
            for column in &table.columns {
                if let Some(text) = column.cells.text(row) {
                    let number = column.cells.number(row).and_then(serde_json::Number::from_f64);
                    let value = number.map_or(serde_json::Value::String(text), serde_json::Value::Number);
                    object.insert(column.name.clone(), value);
                }
            }
            let place = format!("row {}", row + 1);
            match json_line(&serde_json::Value::Object(object).to_string(), self.path) {
                Ok(past) => self.past(&past, &place),
                Err(wrong) => {
                    self.seen += 1;
                    self.gap(&wrong.to_string(), &place);
                }
            }
        }
        if table.cut {
            self.gap("rows beyond the most that are read", &format!("row {}", table.rows + 1));
        }
        Ok(())
    }

    /// A row of a gateway's history, which holds numbers and no text.
    fn row(&mut self, profile: Option<&Profile>, row: &Row, place: &str) {
        let anybody = row.caller.is_empty();
        let request = profile.and_then(|profile| request_of(profile, row)).filter(|_| !anybody);
        let Some(request) = request else {
            self.seen += 1;
            let why = if anybody {
                "rows without a caller, as `[record]` says: nobody's stream can be told from another's"
            } else if row.features.iter().any(|value| is_left_out(*value)) {
                "rows of which features are not recorded, as `[record]` says"
            } else if profile.is_none() {
                "figures without a profile to read them by: run `mantlet protect`"
            } else {
                "rows whose features are not kept or do not fit the profile"
            };
            self.gap(why, place);
            return;
        };
        let scores = Tensor::new([1, row.scores.len()], row.scores.clone()).ok();
        let reply = scores.filter(|_| row.rows == 1 && !row.scores.is_empty()).map(|scores| Reply {
            outputs: vec![NamedValue { name: "scores".into(), value: Value::F32(scores) }],
            ..Reply::default()
        });
        let seen = self.guard.look_back_at(&row.caller, row.at, request, reply);
        self.took(&row.caller, row.at, place, seen);
    }
}

/// The request of a row of the history: its numbers by the profile's inputs.
fn request_of(profile: &Profile, row: &Row) -> Option<Request> {
    let rows = row.rows as usize;
    if row.features_cut > 0 || rows == 0 || row.features.iter().any(|value| is_left_out(*value)) {
        return None;
    }
    let mut rest = &*row.features;
    let mut inputs = Vec::new();
    for input in &profile.inputs {
        let count = rows.checked_mul(input.columns.len())?;
        let (own, after) = rest.split_at_checked(count)?;
        rest = after;
        let shape: Vec<usize> = std::iter::once(rows).chain(input.shape.iter().copied()).collect();
        #[expect(clippy::cast_possible_truncation, reason = "whole numbers that were written as such")]
        let value = match &*input.kind {
            "number" => Value::F32(Tensor::new(shape, own.to_vec()).ok()?),
            "integer" => {
                Value::I64(Tensor::new(shape, own.iter().map(|value| *value as i64).collect()).ok()?)
            }
            "boolean" => {
                Value::Bool(Tensor::new(shape, own.iter().map(|value| *value != 0.0).collect()).ok()?)
            }
            _ => return None,
        };
        inputs.push(NamedValue { name: input.name.clone(), value });
    }
    rest.is_empty().then(|| Request { inputs, ..Request::default() })
}
