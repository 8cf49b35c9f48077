//! `mantlet attack list|run|replay` and `mantlet backdoor`.
//!
//! Long because the options of a run and what is printed of it belong together.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use mantlet_attacks::Goal;
use mantlet_redteam::Target;
use mantlet_store::{Clock as _, SystemClock};
use mantlet_verdict::{Family, ReasonKind, weigh};
use mantlet_vocab::{ArtifactSummary, Coverage, Examination, Verdict};
use mantlet_worker::battery::{self, ATTACKS, FURTHER, Kin, MOVERS, Plan, Results, SCORED};
use mantlet_worker::harden::{Capped, Purse, Scene};

mod again;
mod compare;
mod constraints;
mod costs;
mod given;
mod keep;
mod moves;
mod replayed;
mod shown;
mod target;
mod text;
mod through;

use self::costs::Costs;
use self::given::Given;
use self::moves::Moves;
use self::shown::Form;
use self::target::Endpoint;
use crate::config::{self, Loaded};
use crate::exit::{self, Usage};
use crate::protect::{self, account, admit, subject};
use crate::terminal::{Terminal, deliver};

/// What to do with attacks.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The attacks of the battery.
    List,
    /// Run the battery, or one attack of it, and print every figure with n, seed and interval.
    Run(Box<RunOptions>),
    /// Attack a text classifier behind an endpoint or a program with the texts of a table.
    Text(Box<text::TextOptions>),
    /// Compare an earlier run with later ones: what is new, fixed, still there, or comes and goes.
    Compare(compare::CompareOptions),
    /// Replay attacks that once worked, against the guarded endpoint or the model file.
    Replay {
        /// The case; all cases when absent.
        case: Option<String>,
        /// The folder with mantlet.toml.
        #[arg(long, default_value = ".")]
        folder: PathBuf,
        /// Cases of this file or folder, as `attack run --keep` wrote them, instead of those on record.
        #[arg(long, value_name = "PATH")]
        from: Option<PathBuf>,
        /// Traces of this file or folder, against the rules and thresholds of the folder's guard; nothing is asked of
        /// the model.
        #[arg(long, value_name = "PATH", conflicts_with_all = ["case", "from", "endpoint", "target"])]
        traces: Option<PathBuf>,
        #[command(flatten)]
        endpoint: Endpoint,
    },
}

/// What to attack.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The folder with mantlet.toml.
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    given: Given,
    /// Only this attack; may be repeated.
    #[arg(long, value_name = "ATTACK")]
    only: Vec<String>,
    /// Only the attacks of this family (evasion, decision-evasion, extraction, membership, backdoor); may be repeated.
    #[arg(long, value_name = "FAMILY")]
    family: Vec<String>,
    /// All attacks, also those a policy does not weigh.
    #[arg(long)]
    all: bool,
    /// Set a key of the configuration of the attacks named by --only, such as `epsilon=0.05`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", requires = "only")]
    set: Vec<String>,
    /// A JSON file with what must hold for a believable row: bounds, fixed columns, costs and relations by column
    /// name.
    #[arg(long, value_name = "FILE")]
    constraints: Option<PathBuf>,
    #[command(flatten)]
    moves: Moves,
    /// Seed of every random choice; the configuration's when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Rows attacked by each evasion probe.
    #[arg(long)]
    rows: Option<usize>,
    /// Form of the report: words and figures, every figure as JSON, a page with pictures, or what build servers and
    /// code hosts read.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    /// As `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Write what is printed here.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A folder for journals: run the same command again after a kill, and it goes on where it was.
    #[arg(long, value_name = "FOLDER")]
    journal: Option<PathBuf>,
    /// Keep each hit here: the smallest case that shows it again, its stream, and a rule of the guard that is shown to
    /// stop unseen variants and to leave ordinary rows alone.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Run each attack that hits once more through a guard, `guard` for this folder's in this process, or the address of a
    /// running gateway (its key from `--key-env`), and print both side by side with what ordinary rows meet.
    #[arg(long, value_name = "guard|URL")]
    through: Option<String>,
    #[command(flatten)]
    costs: Costs,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// Where to look for a trigger.
#[derive(Debug, Args)]
pub struct BackdoorOptions {
    /// The folder with mantlet.toml.
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    given: Given,
    /// Seed of every random choice; the configuration's when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `mantlet attack`.
///
/// # Errors
/// When the configuration, the model or the rows cannot be read.
pub fn run(terminal: Terminal, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List => {
            for about in mantlet_attacks::abouts() {
                terminal.say(&format!("{:<24} {}", about.name, about.title));
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(options) => attack(terminal, &options),
        Command::Text(options) => text::run(terminal, &options),
        Command::Compare(options) => compare::run(terminal, &options),
        Command::Replay { folder, traces: Some(traces), .. } => replayed::traces(terminal, &folder, &traces),
        Command::Replay { case, folder, from, endpoint, .. } => {
            replayed::cases(terminal, &folder, case.as_deref(), from.as_deref(), &endpoint)
        }
    }
}

/// Runs `mantlet backdoor`.
///
/// # Errors
/// As [`run`].
pub fn backdoor(terminal: Terminal, options: BackdoorOptions) -> anyhow::Result<ExitCode> {
    attack(
        terminal,
        &RunOptions {
            folder: options.folder,
            given: options.given,
            only: Vec::new(),
            family: vec![Family::Backdoor.word().to_owned()],
            all: false,
            set: Vec::new(),
            constraints: None,
            moves: Moves::default(),
            seed: options.seed,
            rows: None,
            format: if options.json { Form::Json } else { Form::Text },
            json: false,
            output: None,
            endpoint: Endpoint::default(),
            costs: Costs::default(),
            journal: None,
            keep: None,
            through: None,
        },
    )
}

fn prepare(folder: &Path, given: &Given, scored: bool) -> anyhow::Result<(Loaded, subject::Subject)> {
    let mut loaded = config::load(folder)?;
    given.apply(&mut loaded)?;
    let subject = subject::load_of(&loaded, scored)
        .and_then(|classifier| subject::subject(&loaded, classifier))
        .map_err(|gap| anyhow::anyhow!("{}; {}", gap.why, gap.remedy))?;
    Ok((loaded, subject))
}

/// The names of the attacks asked for; none for all.
fn chosen(options: &RunOptions) -> Result<Vec<String>, Usage> {
    let unknown = |what: &str, word: &str, known: Vec<&str>| {
        Usage(format!("there is no {what} `{word}`; the battery has {}", known.join(", ")))
    };
    let known = || ATTACKS.iter().chain(FURTHER);
    // What copies scores is no part of a family on a model of classes, and of a model of scores only what takes them is.
    let fits = |name: &str| match options.moves.scored(&options.only) {
        None => name != "extraction-score-copy",
        Some(_) if options.moves.any() => true,
        Some(_) => SCORED.contains(&name) && name != "extraction-transfer",
    };
    let mut only = options.only.clone();
    if let Some(name) = only.iter().find(|name| known().all(|(known, _)| known != name)) {
        return Err(unknown("attack", name, known().map(|(name, _)| *name).collect()));
    }
    for word in &options.family {
        let of_family = known().filter(|(name, family)| family.word() == word && fits(name));
        let before = only.len();
        only.extend(of_family.map(|(name, _)| (*name).to_owned()));
        if only.len() == before {
            return Err(unknown("family", word, ATTACKS.iter().map(|(_, family)| family.word()).collect()));
        }
    }
    let moves = options.moves.any();
    let goal = options.moves.score();
    let evasion = |name: &String| {
        known().any(|(known, family)| {
            known == name && matches!(family, Family::Evasion | Family::DecisionEvasion)
        })
    };
    let of_scores = |name: &String| SCORED.contains(&name.as_str());
    let scores = options.moves.scored(&options.only).is_some();
    if let Some(other) = only.iter().find(|name| moves && !evasion(name) && !(scores && of_scores(name))) {
        return Err(Usage(format!(
            "`{other}` is no evasion; --to-class, --score-moves and --rank-moves go with evasions"
        )));
    }
    let bare = |name: &&String| scores && !moves && (!of_scores(name) || *name == "extraction-transfer");
    if let Some(other) = only.iter().find(bare) {
        return Err(Usage(format!(
            "of a model that gives a score `{other}` needs to know what is to move: add --score-moves or --rank-moves if it \
             is an evasion or extraction-transfer; without them there are {}",
            SCORED
                .iter()
                .filter(|name| **name != "extraction-transfer")
                .copied()
                .collect::<Vec<_>>()
                .join(", ")
        )));
    }
    if moves && only.is_empty() {
        // These two take a class to leave or a score to move, and no other goal.
        let takes = |name: &str| {
            matches!(goal, Goal::Moved { .. })
                || !matches!(name, "evasion-pgd" | "evasion-hop-skip-jump" | "extraction-transfer")
        };
        let transfer = scores.then_some("extraction-transfer");
        let names = MOVERS.iter().copied().chain(transfer).filter(|name| takes(name));
        return Ok(names.map(str::to_owned).collect());
    }
    if scores && only.is_empty() {
        let quick = ["extraction-score-copy", "membership-threshold"];
        let names = SCORED.iter().filter(|name| options.all || quick.contains(name));
        return Ok(names
            .filter(|name| **name != "extraction-transfer")
            .map(|name| (*name).to_owned())
            .collect());
    }
    if options.all {
        only.extend(known().map(|(name, _)| (*name).to_owned()).filter(|name| fits(name)));
    }
    Ok(only)
}

fn attack(terminal: Terminal, options: &RunOptions) -> anyhow::Result<ExitCode> {
    let only = chosen(options)?;
    let scored = options.moves.scored(&only);
    let (loaded, mut subject) = prepare(&options.folder, &options.given, scored.is_some())?;
    let goal = options.moves.goal(&subject.classes)?;
    if let Some(file) = &options.constraints {
        let names = subject.features.clone();
        constraints::declare(file, &names, &mut subject.ground.constraints)?;
    }
    let mut plan = protect::plan(&loaded.config, &again::command(options));
    plan.seed = options.seed.unwrap_or(plan.seed);
    plan.rows = options.rows.unwrap_or(plan.rows);
    plan.caps = options.costs.caps()?;
    plan.patience = options.costs.patience();
    if let Some(folder) = &options.journal {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        plan.journal = Some(folder.clone());
    }
    if subject.classifier.model().trees().is_some() {
        plan.kin = Kin::Trees;
    }
    plan.goal = goal;
    plan.scored = scored;
    plan.streams = options.keep.is_some();
    plan.set = again::settings(&options.set)?;
    let policy = protect::policy(&loaded.config);
    let impact = loaded.config.system.impact;
    let mut target = options.endpoint.open(&loaded, &subject)?;
    options.costs.countable(target.as_ref())?;
    if let Some(engine) = subject.classifier.model().engine() {
        terminal.note(&format!("  {engine} computes what the model answers"));
    }
    let mut results =
        battery::run(target.as_mut(), &subject.ground, policy.gate(impact), &plan, &only, &mut |name| {
            terminal.note(&format!("  {name}"));
            true
        })?;
    let verdict = verdict(&results, impact, policy);
    let mut more = String::new();
    if options.keep.is_some() || options.through.is_some() {
        more = after(terminal, options, &loaded, &subject, target.as_mut(), &plan, &mut results)?;
    }
    let examined = |format| {
        let examination = shown::examination(&loaded, &results, &subject);
        mantlet_report::examination(&examination, format, mantlet_report::Style::default())
    };
    let text = match if options.json { Form::Json } else { options.format } {
        Form::Text => table(&results, &subject) + &more,
        Form::Json => shown::json(&results, &subject)?,
        Form::Markdown => examined(mantlet_report::Format::Markdown),
        Form::Sarif => examined(mantlet_report::Format::Sarif),
        Form::Junit => shown::junit(&loaded, &results, &subject),
        Form::Html => shown::page(&loaded, &results, &subject, verdict, &plan.command, SystemClock.now()),
    };
    deliver(terminal, &text, options.output.as_deref())?;
    Ok(exit::verdict(verdict))
}

/// Keeps hits and puts them through a guard, as asked; what is to be said of it on a terminal.
fn after(
    terminal: Terminal,
    options: &RunOptions,
    loaded: &Loaded,
    subject: &subject::Subject,
    target: &mut dyn Target,
    plan: &Plan,
    results: &mut Results,
) -> anyhow::Result<String> {
    let learned = admit::learn_profile(Some(subject))?;
    let profile = admit::profile(loaded)?.or(learned).map(Arc::new).ok_or_else(|| {
        Usage(
            "too few training rows to know what honest traffic looks like: --keep and --through need 32"
                .to_owned(),
        )
    })?;
    let (ground, kin) = (&subject.ground, plan.kin);
    let mut purse = Purse::of(&results.left);
    let mut asked = Capped::new(target, &mut purse);
    let scene = Scene::new(profile.clone(), ground, &subject.inputs, kin, plan.rows, plan.seed, &mut asked)
        .ok_or_else(|| {
        Usage("the model takes texts beside numbers: --keep and --through are for rows of numbers".to_owned())
    })?;
    let mut text = String::new();
    if let Some(folder) = &options.keep {
        text += &keep::keep(folder, &scene, target, &mut purse, results, &mut |name| {
            terminal.note(&format!("  keeping {name}"));
        })?;
    }
    let Some(door) = &options.through else { return Ok(text) };
    let mut step = |name: &str| terminal.note(&format!("  through the guard: {name}"));
    let compared = if door == through::GUARD {
        let (guard, notes) = through::guard_of(loaded, profile)?;
        through::in_process(&scene, target, &mut purse, &guard, results, notes, &mut step)
    } else {
        let mut gateway = options.endpoint.at(door).open(loaded, subject)?;
        through::running(&scene, gateway.as_mut(), &mut purse, results, &mut step)
    };
    compared.add_to(results);
    text += &compared.table();
    if purse.spent > 0 {
        let _ = writeln!(text, "{} further rows were asked of the model for this", purse.spent);
    }
    Ok(text)
}

/// Found when a hit is above the policy, not fully examined when something is undecided.
fn verdict(results: &Results, impact: mantlet_vocab::Impact, mut policy: mantlet_verdict::Policy) -> Verdict {
    let summaries: Vec<_> = results.probes.iter().filter_map(|probe| probe.summary.clone()).collect();
    let ran: Vec<Family> = summaries.iter().map(|summary| summary.family).collect();
    for gate in [&mut policy.low, &mut policy.medium, &mut policy.high, &mut policy.critical] {
        gate.required.retain(|family| ran.contains(family));
    }
    // Only the probes are judged here; the take-in is not part of this command.
    let taken = Examination {
        artifacts: vec![ArtifactSummary {
            path: String::new(),
            size: 0,
            digest: None,
            formats: Vec::new(),
            said: Default::default(),
            coverage: Coverage::Complete,
        }],
        ..Examination::default()
    };
    let admission = weigh(&taken, &summaries, impact, &policy);
    let any = |kinds: &[ReasonKind]| admission.reasons.iter().any(|reason| kinds.contains(&reason.kind));
    if any(&[ReasonKind::Asks, ReasonKind::Refuses]) {
        Verdict::Found
    } else if any(&[ReasonKind::NotExamined]) || !results.doubts.is_empty() {
        // Nothing was found, but by attacks that are not to be trusted.
        Verdict::NotFullyExamined
    } else {
        Verdict::Clean
    }
}

fn table(results: &Results, subject: &subject::Subject) -> String {
    let mut text = String::new();
    for probe in &results.probes {
        let report = &probe.report;
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
        let _ = writeln!(text, "  {}", account::told(probe, Some(subject)));
        for figure in &report.figures {
            let _ = writeln!(text, "  {:<36} {} n={}", figure.name, figure.words(), figure.n);
        }
        for point in &report.curve {
            if let Some(rank) = point.rank {
                let _ = writeln!(
                    text,
                    "  {:>5} queries: a copy explains {:.3} [{:.3}, {:.3}] of the score and ranks alike by {:.3} [{:.3}, {:.3}]",
                    point.queries,
                    point.fidelity.value,
                    point.fidelity.low,
                    point.fidelity.high,
                    rank.value,
                    rank.low,
                    rank.high
                );
                continue;
            }
            let _ = writeln!(
                text,
                "  {:>5} queries: a copy agrees on {:.3} [{:.3}, {:.3}]",
                point.queries, point.fidelity.value, point.fidelity.low, point.fidelity.high
            );
        }
        for trigger in report.triggers.iter().filter(|trigger| trigger.flagged) {
            let _ = writeln!(
                text,
                "  class {} has a trigger of size {:.2} that works on {:.1} % of other rows",
                trigger.class,
                trigger.size,
                trigger.transfer * 100.0
            );
        }
        if let Some(often) = account::often(report, subject) {
            let _ = writeln!(text, "  columns changed most often: {often}");
        }
        for note in &report.notes {
            let _ = writeln!(text, "  note: {note}");
        }
        let _ = writeln!(text, "  again: {}", report.command);
    }
    for doubt in &results.doubts {
        let _ = writeln!(text, "{}: not to be trusted, because {}", doubt.probe, doubt.message);
    }
    if results.looked > 0 {
        let _ = writeln!(
            text,
            "{} rows at most were asked to find out whether figures of this target can be believed",
            results.looked
        );
    }
    text
}
