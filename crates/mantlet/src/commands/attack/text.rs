//! `mantlet attack text`: texts of a table against a text classifier behind an endpoint or a program.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use mantlet_attacks::{Constraints, Material, text};
use mantlet_columns::{TableLimits, read_table};
use mantlet_redteam::{Budget, Campaign, NoJournal, ProbeReport, Target, steady};
use mantlet_vocab::{Tensor, Verdict};
use mantlet_worker::battery::{Caps, WallClock};
use mantlet_worker::targets::{Answers, Remembering};

use super::again::settings;
use super::costs::Costs;
use super::target;
use crate::exit::{self, Usage};
use crate::terminal::{Terminal, deliver};

/// The attacks on texts.
const ATTACKS: [&str; 5] =
    ["text-homoglyphs", "text-unseen", "text-characters", "text-words", "text-trigger-word"];

/// Which texts, and what classifies them.
#[derive(Debug, Args)]
pub struct TextOptions {
    /// A table (CSV or Parquet) with texts and, where known, their labels.
    texts: PathBuf,
    /// The TOML file that describes the classifier: `kind = "json"` with `"$text"` or `"$texts"` in its body, or
    /// `kind = "process"` with `text = true`; `shape` is the most characters of a text.
    #[arg(long, value_name = "FILE")]
    target: PathBuf,
    /// The column of the texts.
    #[arg(long, value_name = "NAME", default_value = "text")]
    column: String,
    /// The column of the labels; texts are taken as the classifier reads them when the table has none.
    #[arg(long, value_name = "NAME", default_value = "label")]
    label: String,
    /// Only this attack; may be repeated.
    #[arg(long, value_name = "ATTACK")]
    only: Vec<String>,
    /// Set a key of the configuration of the attacks named by --only, such as `words=0.1`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", requires = "only")]
    set: Vec<String>,
    /// Seed of every random choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The most texts attacked by an evasion.
    #[arg(long, default_value_t = 50)]
    rows: usize,
    /// Print the reports as JSON; texts are lists of code points there.
    #[arg(long)]
    json: bool,
    /// Write what is printed here.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    costs: Costs,
}

/// Texts as rows, and their labels where all are known.
struct Texts {
    rows: Tensor,
    labels: Vec<usize>,
    /// Texts left out because they are empty or too long.
    left_out: usize,
}

fn read(options: &TextOptions, width: usize, classes: &[String]) -> anyhow::Result<Texts> {
    let table = read_table(&options.texts, &TableLimits::default())?;
    let column = |name: &str| table.column(name);
    let Some(texts) = column(&options.column) else {
        let name = &options.column;
        return Err(Usage(format!(
            "{} has no column `{name}`; name it with --column",
            options.texts.display()
        ))
        .into());
    };
    let labels = column(&options.label);
    let (mut data, mut known, mut left_out, mut count) = (Vec::new(), Vec::new(), 0, 0_usize);
    for row in 0..table.rows {
        let Some(encoded) = texts.cells.text(row).and_then(|text| text::encode(&text, width)) else {
            left_out += 1;
            continue;
        };
        if let Some(labels) = labels {
            let label = labels.cells.text(row).unwrap_or_default();
            let class = classes.iter().position(|class| *class == label);
            let class = class.with_context(|| {
                format!("row {row} has the label `{label}`, which is none of the target's classes: correct `classes`")
            })?;
            known.push(class);
        }
        data.extend(encoded);
        count += 1;
    }
    if count == 0 {
        let path = options.texts.display();
        return Err(Usage(format!("{path} has no text of at most {width} characters; raise `shape`")).into());
    }
    Ok(Texts { rows: Tensor::new([count, width], data)?, labels: known, left_out })
}

fn first(texts: &Texts, most: usize) -> (Tensor, Vec<usize>) {
    let rows: Vec<usize> = (0..texts.rows.rows().min(most)).collect();
    let labels = texts.labels.get(..rows.len()).unwrap_or(&[]).to_vec();
    (texts.rows.select(&rows), labels)
}

/// Runs `mantlet attack text`.
///
/// # Errors
/// When the target or the texts cannot be read, or a campaign cannot run.
pub fn run(terminal: Terminal, options: &TextOptions) -> anyhow::Result<ExitCode> {
    if let Some(name) = options.only.iter().find(|name| !ATTACKS.contains(&name.as_str())) {
        return Err(
            Usage(format!("there is no attack on texts `{name}`; there are {}", ATTACKS.join(", "))).into()
        );
    }
    let (mut target, classes) = target::described(&options.target)?;
    let facts = target.describe();
    let [width] = facts.input_shape[..] else {
        return Err(Usage(
            "`shape` of a text classifier is one number: the most characters of a text".to_owned(),
        )
        .into());
    };
    let texts = read(options, width, &classes)?;
    let mut caps = options.costs.caps()?;
    options.costs.countable(target.as_ref())?;
    let mut answers = memory(target.as_mut(), &texts.rows, &mut caps);
    let mut reports = Vec::new();
    for name in
        ATTACKS.iter().filter(|name| options.only.is_empty() || options.only.iter().any(|own| own == *name))
    {
        terminal.note(&format!("  {name}"));
        let mut remembering;
        let asked: &mut dyn Target = match &mut answers {
            Some(answers) => {
                remembering = Remembering::new(target.as_mut(), answers);
                &mut remembering
            }
            None => target.as_mut(),
        };
        reports.push(conduct(name, options, &texts, &classes, asked, facts.scores, &mut caps)?);
    }
    let text = if options.json {
        serde_json::to_string_pretty(&reports)?
    } else {
        table(&reports, &texts, &classes)
    };
    deliver(terminal, &text, options.output.as_deref())?;
    let found = reports.iter().any(|report| report.counts.hit > 0);
    let open = reports.iter().any(ProbeReport::incomplete);
    Ok(exit::verdict(match (found, open) {
        (true, _) => Verdict::Found,
        (false, true) => Verdict::NotFullyExamined,
        (false, false) => Verdict::Clean,
    }))
}

/// An empty memory of answers, where the same texts are answered the same way twice; what it costs to find that out is
/// taken from the caps.
fn memory(target: &mut dyn Target, texts: &Tensor, caps: &mut Caps) -> Option<Answers> {
    let first =
        texts.select(&(0..texts.rows().min(target.describe().max_rows.clamp(1, 4))).collect::<Vec<_>>());
    let (queries, tokens) = (2 * first.rows() as u64, 2 * target.tokens_at_most(&first));
    if caps.queries < 16 * queries || caps.tokens < tokens.saturating_mul(16) {
        return None;
    }
    caps.queries -= queries;
    caps.tokens -= tokens;
    (steady(target, &first) == Some(true)).then(Answers::default)
}

fn conduct(
    name: &str,
    options: &TextOptions,
    texts: &Texts,
    classes: &[String],
    target: &mut dyn Target,
    scores: bool,
    caps: &mut Caps,
) -> anyhow::Result<ProbeReport> {
    let evasion = name != "text-trigger-word";
    let (rows, labels) = first(texts, if evasion { options.rows } else { 2_000 });
    let material = Material::new(rows, labels, classes.len()).constraints(Constraints::default());
    let mut config = if evasion { serde_json::json!({ "scores": scores }) } else { serde_json::json!({}) };
    if let (Some(config), serde_json::Value::Object(set)) = (config.as_object_mut(), settings(&options.set)?)
    {
        config.extend(set);
    }
    let mut campaign = Campaign::new(name, options.seed, material).config(config);
    campaign.budget = Budget {
        queries: caps.queries.min(5_000_000),
        millis: caps.millis.min(600_000),
        tokens: caps.tokens,
    };
    campaign.command = format!(
        "mantlet attack text {} --target {} --only {name} --seed {} --rows {}",
        options.texts.display(),
        options.target.display(),
        options.seed,
        options.rows
    );
    let report = campaign.run(target, &mut NoJournal, &mut WallClock::default())?;
    caps.queries = caps.queries.saturating_sub(report.queries);
    let tokens = report.facts.get("tokens").and_then(serde_json::Value::as_u64).unwrap_or(0);
    caps.tokens = caps.tokens.saturating_sub(tokens);
    caps.millis = caps.millis.saturating_sub(report.millis);
    Ok(report)
}

/// What cannot be seen, made visible.
fn visible(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        let unseen = matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}');
        if unseen || letter.is_control() {
            let _ = write!(out, "<{:x}>", u32::from(letter));
        } else {
            out.push(letter);
        }
    }
    out
}

fn table(reports: &[ProbeReport], texts: &Texts, classes: &[String]) -> String {
    let mut text = String::new();
    if texts.left_out > 0 {
        let _ = writeln!(
            text,
            "{} texts are empty or longer than the target takes and were left out",
            texts.left_out
        );
    }
    for report in reports {
        let counts = report.counts;
        let _ = writeln!(text, "{} ({}), seed {}", report.probe, report.title, report.seed);
        if let Some(gap) = &report.not_examined {
            let _ = writeln!(text, "  not examined: {}; {}", gap.why, gap.remedy);
            continue;
        }
        let _ = writeln!(
            text,
            "  {} hit, {} miss, {} error, {} undecided; {} queries, {} ms",
            counts.hit, counts.miss, counts.error, counts.undecided, report.queries, report.millis
        );
        let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
        let _ = writeln!(text, "  {}", report.sentence(&name, &|column| format!("value {column}")));
        for figure in report.figures.iter().filter(|figure| !figure.name.contains("median L")) {
            let _ = writeln!(text, "  {:<36} {} n={}", figure.name, figure.words(), figure.n);
        }
        let class =
            |class: Option<usize>| class.and_then(|class| classes.get(class)).map_or("?", String::as_str);
        let rows = report.outcome.as_ref().map(|outcome| outcome.rows.as_slice()).unwrap_or_default();
        for row in rows.iter().filter(|row| row.changed.is_some()).take(3) {
            let before = text::decode(texts.rows.row(row.row)).unwrap_or_default();
            let after = row.changed.as_deref().and_then(text::decode).unwrap_or_default();
            let _ = writeln!(text, "  {}: {}", class(row.before), visible(&before));
            let _ = writeln!(text, "  {}: {}", class(row.after), visible(&after));
        }
        for note in &report.notes {
            let _ = writeln!(text, "  note: {note}");
        }
        let _ = writeln!(text, "  again: {}", report.command);
    }
    text
}
