//! `mantlet demo fraud`: twelve weeks of card payments, one bank that slowly calls fraud legitimate, and what comes of it
//! without and with the gate, the monitor and the known-good version.
//!
//! The payments are simulated and said to be. Everything else is the program as users run it: batches are delivered
//! into the ledger of a real folder and gated, versions are taken in, signed and promoted, decisions stand in the history
//! and are decided again, incidents and the audit log are the store's. Every figure is measured in this run.
//!
//! Long because the story is told in one order.

mod cards;
mod live;
mod models;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use mantlet_access::Role;
use mantlet_registry::batch::BatchState;
use mantlet_registry::{Registry, State, VersionId};
use mantlet_respond::{Containment, Incident, IncidentFilter, StepState};
use mantlet_store::{Store, SystemClock};
use mantlet_vocab::{ArtifactSummary, Examination, Finding, Gap};
use serde::Deserialize;

use super::example;
use crate::commands::data::batches::{Came, deliver_as};
use crate::commands::data::gate::{Gate, gate_of};
use crate::commands::keys::add_user;
use crate::commands::protect::Steps;
use crate::commands::{data, monitor};
use crate::config::{self, Loaded};
use crate::deploy::{self, Roles, Running};
use crate::protect::{self, Protected, admit};
use crate::runtime;
use crate::terminal::{Terminal, write_whole};
use cards::{BANKS, CLASSES, GOOD, Payment, WEEKS};
use models::{Outcome, share};

/// The system of the story.
const SYSTEM: &str = "card-payments";
/// Rows that people are shown of a held batch.
const SHEET: usize = 200;
/// Payments in the table that probes and the request profile are made from.
const PROBED: usize = 4_000;
/// How long the running installation may take to do what an incident asks for.
const PATIENCE: Duration = Duration::from_secs(60);

fn configuration(version: &str) -> String {
    format!(
        "\
# The example of `mantlet demo fraud`: simulated card payments. `mantlet config check` reads it.
[system]
name = \"{SYSTEM}\"
decides = \"which card payments are stopped\"
impact = \"high\"
owner = \"payments\"

[model]
path = \"model/{version}/cards.onnx\"
name = \"cards\"
version = \"{version}\"

[data]
# Part of what the first version learned from, as the model takes it; batches are delivered with words.
train = \"train.csv\"
label = \"label\"
feed = \"feed\"
features = [{features}]
classes = [\"{legitimate}\", \"{fraud}\"]

[probes]
seed = 1
rows = 16
queries = 200

[policy]
# This story is about data: what small changes of an amount do is measured and shown, and no reason to refuse.
evasion_success = 1.0
extraction_queries = 1
membership = 1.0

[gateway]
# Port 0 takes a free one.
listen = \"127.0.0.1:0\"
upstream = \"built-in\"
mode = \"enforce\"

[console]
listen = \"127.0.0.1:0\"
",
        features = cards::FEATURES.map(|name| format!("\"{name}\"")).join(", "),
        legitimate = CLASSES[0],
        fraud = CLASSES[1],
    )
}

/// A command as a person types it.
#[derive(Debug, Parser)]
#[command(name = "mantlet")]
struct Typed {
    #[command(subcommand)]
    command: Does,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, for as long as it runs")]
enum Does {
    #[command(subcommand)]
    Data(data::Command),
    #[command(subcommand)]
    Monitor(monitor::Command),
}

/// What a command wrote with `--format json`.
#[derive(Debug, Deserialize)]
struct Document {
    artifacts: Vec<ArtifactSummary>,
    findings: Vec<Finding>,
    gaps: Vec<Gap>,
}

/// A batch that was held.
struct Held {
    name: String,
    week: usize,
    bank: usize,
    examination: Examination,
    /// Batches let through before in which its labels turned, too.
    turned: Vec<String>,
}

/// What the gate made of all batches.
#[derive(Default)]
struct Gated {
    held: Vec<Held>,
    passed: usize,
    back: usize,
    /// Rows listed of the first held batch, and how many of them were turned; turned rows of that batch.
    sheet: (usize, usize, usize),
}

/// What is at stake in decisions that the known-good version makes otherwise.
#[derive(Default, Clone, Copy)]
struct Loss {
    /// Payments let through that it stops, and their sum.
    suspects: usize,
    bound: f64,
    /// Of that sum, what truly was fraud.
    lost: f64,
    /// What truly was fraud among all that was let through in that time.
    all: f64,
}

/// The story as it goes.
struct Story {
    terminal: Terminal,
    folder: PathBuf,
    seed: u64,
    stop: Arc<AtomicBool>,
    delivered: Vec<Payment>,
    outcomes: BTreeMap<&'static str, Outcome>,
    protected: BTreeMap<&'static str, Protected>,
    gated: Gated,
    segments: Examination,
    redecided: Examination,
    loss: Loss,
    /// What did not hold.
    broken: Vec<String>,
}

/// Runs the demo.
///
/// # Errors
/// When the folder is not a demo's, something cannot be written, or the story did not hold.
pub(super) fn run(terminal: Terminal, folder: &Path, seed: u64, serve: bool) -> anyhow::Result<ExitCode> {
    example::start_over(folder)?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut story = Story {
        terminal,
        folder: folder.to_owned(),
        seed,
        stop,
        delivered: cards::delivered(seed),
        outcomes: BTreeMap::new(),
        protected: BTreeMap::new(),
        gated: Gated::default(),
        segments: Examination::default(),
        redecided: Examination::default(),
        loss: Loss::default(),
        broken: Vec::new(),
    };
    story.write()?;
    story.first_version()?;
    story.without_the_gate()?;
    story.with_the_gate()?;
    story.without_what_was_held()?;
    story.decide_live()?;
    story.segment_alarm()?;
    story.decide_again()?;
    story.end(serve)
}

impl Story {
    fn station(&self, number: u8, what: &str) {
        self.terminal.say(&self.terminal.heading(&format!("{number}. {what}")));
    }

    fn say(&self, text: &str) {
        self.terminal.say(&format!("   {text}"));
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn model(&self, version: &str) -> PathBuf {
        self.at(&format!("model/{version}/cards.onnx"))
    }

    fn loaded(&self, version: &str) -> anyhow::Result<Loaded> {
        // The version that serves is the one of mantlet.toml.
        let file = if version == "v2" { config::FILE_NAME.to_owned() } else { format!("{version}.toml") };
        let path = self.at(&file);
        write_whole(&path, configuration(version).as_bytes())?;
        Ok(config::load(&path)?)
    }

    async fn store(&self, serve: bool) -> anyhow::Result<(Loaded, Store)> {
        let loaded = self.loaded("v2")?;
        let options = deploy::store_options(&loaded, serve)?;
        let store = Store::open(&loaded.storage(), Arc::new(SystemClock), options).await?;
        Ok((loaded, store))
    }

    /// Runs a command as typed, with the folder's paths in it, and says so; what it prints goes to files.
    fn typed(&self, words: &[&str]) -> anyhow::Result<()> {
        let shown: Vec<&str> = words.iter().take_while(|word| **word != "--format").copied().collect();
        self.say(&format!("$ mantlet {}", shown.join(" ")));
        let typed = Typed::try_parse_from(std::iter::once("mantlet").chain(words.iter().copied()))?;
        let quiet = Terminal { quiet: true, ..self.terminal };
        match typed.command {
            Does::Data(command) => data::run(quiet, command)?,
            Does::Monitor(command) => monitor::run(quiet, command)?,
        };
        Ok(())
    }

    fn examination(&self, name: &str) -> anyhow::Result<Examination> {
        let path = self.at(name);
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let Document { artifacts, findings, gaps } = serde_json::from_slice(&text)?;
        Ok(Examination { artifacts, findings, gaps, ..Examination::default() })
    }

    fn file_of(week: usize, bank: usize) -> String {
        format!("weeks/week-{:02}-{}.csv", week + 1, cards::bank(bank))
    }

    /// Writes what is delivered, and the tables of the first version.
    fn write(&self) -> anyhow::Result<()> {
        self.station(
            1,
            &format!(
                "Twelve weeks of simulated card payments from {BANKS} banks, in {}",
                self.folder.display()
            ),
        );
        for folder in ["weeks", "decisions", "model/v1", "model/v2", "model/v3"] {
            let path = self.at(folder);
            std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        for week in 0..WEEKS {
            for bank in 0..BANKS {
                let own = self.delivered.iter().filter(|p| p.when == week && p.bank == bank);
                write_whole(&self.at(&Self::file_of(week, bank)), cards::batch(own).as_bytes())?;
            }
        }
        let train = cards::numbers(self.delivered.iter().take(PROBED), |p| p.label);
        write_whole(&self.at("train.csv"), train.as_bytes())?;
        let turned = self.delivered.iter().filter(|p| p.is_turned()).count();
        let (bank, kind) = cards::cell();
        self.say(&format!(
            "{} payments; from week {} on {bank} calls a growing part of its {kind} fraud legitimate: {turned} rows, {:.0} \
             in a million",
            self.delivered.len(),
            GOOD + 1,
            share(turned, self.delivered.len()) * 1e6
        ));
        Ok(())
    }

    /// Takes a version in, probes and admits it, and asks it about payments nobody learned from.
    async fn admit(&mut self, version: &'static str) -> anyhow::Result<()> {
        let loaded = self.loaded(version)?;
        let options = deploy::store_options(&loaded, false)?;
        let store = Store::open(&loaded.storage(), Arc::new(SystemClock), options).await?;
        let command = format!("mantlet protect {}", loaded.file.display());
        let plan = protect::plan(&loaded.config, &command);
        let mut watch =
            Steps { terminal: self.terminal, bar: self.terminal.bar(8, version), stop: self.stop.clone() };
        watch.terminal.quiet = true;
        let protected = protect::protect(&loaded, &store, &plan, "demo-owner", &mut watch).await;
        watch.bar.finish_and_clear();
        let protected = protected?;
        let id = VersionId { system: SYSTEM.to_owned(), version: version.to_owned() };
        let note = "the story is about data";
        if protected.recorded.version.state == State::Candidate {
            admit::by_person(&store, &loaded, &id, "demo-approver", note).await?;
        }
        self.say(&format!("{version}: {}", protected.admission.headline()));
        self.protected.insert(version, protected);
        store.close().await?;
        let unseen = cards::unseen(self.seed);
        let rows: Vec<&Payment> = unseen.iter().collect();
        self.outcomes.insert(version, Outcome::of(&self.model(version), &rows)?);
        Ok(())
    }

    /// Puts a version before users: two people, simulated, for a system of high impact.
    async fn promote(&self, version: &str, known_good: bool) -> anyhow::Result<()> {
        let (loaded, store) = self.store(false).await?;
        let registry = Registry::new(store.clone(), admit::trusted_keys(&loaded.storage())?);
        let id = VersionId { system: SYSTEM.to_owned(), version: version.to_owned() };
        registry.approve(&id, "demo-approver", "looked at the report", store.now()).await?;
        registry.promote(&id, "demo-owner", "the next version", store.now()).await?;
        if known_good {
            registry.mark_known_good(&id, "demo-owner", store.now()).await?;
        }
        store.close().await?;
        Ok(())
    }

    fn said(&self, version: &str) -> String {
        let Some(own) = self.outcomes.get(version) else { return String::new() };
        let (bank, kind) = cards::cell();
        format!(
            "{version}: {:.2} % of {} decisions are right; of {} {kind} frauds of {bank} {} go through ({:.0} %)",
            own.accuracy() * 100.0,
            own.all,
            own.fraud,
            own.missed,
            own.through() * 100.0
        )
    }

    fn first_version(&mut self) -> anyhow::Result<()> {
        self.station(
            2,
            &format!("v1 learns from weeks 1 to {GOOD}: taken in, probed, admitted, known to be good"),
        );
        models::train(&self.model("v1"), self.delivered.iter().filter(|p| p.when < GOOD))?;
        runtime::block_on(async {
            self.admit("v1").await?;
            self.promote("v1", true).await
        })?;
        self.say(&self.said("v1"));
        Ok(())
    }

    fn without_the_gate(&mut self) -> anyhow::Result<()> {
        self.station(3, &format!("Without a gate: v2 learns from all {WEEKS} weeks"));
        models::train(&self.model("v2"), self.delivered.iter())?;
        runtime::block_on(self.admit("v2"))?;
        self.say(&self.said("v2"));
        let (v1, v2) = (self.outcomes["v1"], self.outcomes["v2"]);
        let change = (v2.accuracy() - v1.accuracy()) * 100.0;
        self.say(&format!("the share of right decisions moved by {change:+.2} points: nothing to see"));
        if change.abs() > 1.0 {
            self.broken.push(format!("accuracy moved by {change:+.2} points, which anybody would see"));
        }
        if v2.through() < v1.through() + 0.1 {
            self.broken.push("the poisoned version lets no more through than the good one".to_owned());
        }
        Ok(())
    }

    /// Every delivery goes through the ledger and its gate.
    fn with_the_gate(&mut self) -> anyhow::Result<()> {
        self.station(4, "With the gate: every delivery waits until it was looked at");
        let gated = runtime::block_on(async {
            let (loaded, store) = self.store(false).await?;
            let mut gated = Gated::default();
            for week in 0..WEEKS {
                let mut line = Vec::new();
                for bank in 0..BANKS {
                    let file = Self::file_of(week, bank);
                    let path =
                        self.at(&file).canonicalize().with_context(|| format!("cannot read {file}"))?;
                    let name = format!("week-{:02}-{}", week + 1, cards::bank(bank));
                    let feed = cards::bank(bank);
                    let parent = (week > 0).then(|| format!("week-{week:02}-{feed}"));
                    let came = Came { name: &name, feed: &feed, parent: parent.as_deref(), signer: None };
                    deliver_as(&loaded, &store, came, &[path], "demo-loader").await?;
                    let Gate { examination, batch, incident, turned, .. } =
                        gate_of(&loaded, &store, &name, SHEET).await?;
                    if batch.state != BatchState::Held {
                        gated.passed += 1;
                        continue;
                    }
                    let told: Vec<&str> = examination
                        .findings
                        .iter()
                        .filter(|finding| finding.severity >= mantlet_vocab::Severity::Suspicious)
                        .map(|finding| finding.message.as_str())
                        .collect();
                    let opened = incident.map(|(id, _)| format!("; incident {id}")).unwrap_or_default();
                    line.push(format!("{name} is held: {}{opened}", told.join("; ")));
                    gated.held.push(Held { name, week, bank, examination, turned });
                }
                let passed = BANKS - line.len();
                self.say(&format!("week {:>2}: {passed} of {BANKS} deliveries pass", week + 1));
                line.iter().for_each(|held| self.say(&format!("         {held}")));
            }
            store.close().await?;
            anyhow::Ok(gated)
        })?;
        self.gated = gated;
        let (bank, kind) = cards::cell();
        let Some(first) = self.gated.held.first() else {
            self.broken.push("no batch was held".to_owned());
            return Ok(());
        };
        let names = |held: &Held| {
            let cell = format!("{bank}, kind={kind}");
            held.examination
                .findings
                .iter()
                .any(|f| f.name == "feed-label-shift" && f.message.contains(&cell))
        };
        if cards::bank(first.bank) != bank || !names(first) {
            self.broken.push(
                "the first batch that was held is not of the bank and kind that were turned".to_owned(),
            );
        }
        let others = self.gated.held.iter().filter(|held| cards::bank(held.bank) != bank).count();
        if others > 0 {
            self.broken.push(format!("{others} batches of honest banks were held"));
        }
        let (name, out) = (first.name.clone(), self.at("review-batch.csv"));
        let (week, at) = (first.week, first.bank);
        let folder = self.folder.display().to_string();
        self.typed(&["data", "rows", &name, "--folder", &folder, "--out", &out.display().to_string()])?;
        let own: Vec<&Payment> = self.delivered.iter().filter(|p| p.when == week && p.bank == at).collect();
        let listed = column(&out, "row")?;
        let hits = listed.iter().filter_map(|row| own.get(row.parse::<usize>().ok()?.checked_sub(1)?));
        let hits = hits.filter(|p| p.is_turned()).count();
        self.gated.sheet = (listed.len(), hits, own.iter().filter(|p| p.is_turned()).count());
        self.say(&format!(
            "of {} rows listed for people {hits} were turned, of {} turned rows in that batch",
            listed.len(),
            self.gated.sheet.2
        ));
        Ok(())
    }

    /// The next version learns from what the ledger lets through.
    fn without_what_was_held(&mut self) -> anyhow::Result<()> {
        self.station(5, "With the gate: v3 learns from what was let through");
        // The gate named the batches in which this began: people take them back.
        let back = self.gated.held.first().map(|held| held.turned.clone()).unwrap_or_default();
        if !back.is_empty() {
            self.say(&format!(
                "taken back, as the first gate that held a batch asks for: {}",
                back.join(", ")
            ));
        }
        self.gated.back = back.len();
        let usable = runtime::block_on(async {
            let (_, store) = self.store(false).await?;
            for name in &back {
                let (ledger, _) = store.ledger(SYSTEM).await?;
                let Some(digest) = ledger.batches.get(name).map(|batch| batch.digest) else { continue };
                let note = "labels of its feed turned in it";
                store.withdraw_batch(SYSTEM, name, "demo-owner", digest, note).await?;
            }
            let (ledger, _) = store.ledger(SYSTEM).await?;
            let usable: BTreeSet<String> = ledger.usable().iter().map(|batch| batch.name.clone()).collect();
            store.close().await?;
            anyhow::Ok(usable)
        })?;
        let name = |p: &Payment| format!("week-{:02}-{}", p.when + 1, cards::bank(p.bank));
        models::train(&self.model("v3"), self.delivered.iter().filter(|p| usable.contains(&name(p))))?;
        runtime::block_on(self.admit("v3"))?;
        self.say(&self.said("v3"));
        let [v1, v2, v3] = ["v1", "v2", "v3"].map(|version| self.outcomes[version].through());
        if v3 - v1 > (v2 - v1) / 2.0 {
            self.broken.push(
                "the version that learned without what was held lets nearly as much through".to_owned(),
            );
        }
        Ok(())
    }

    /// The installation runs: it does what the incidents ask for; then the report, and the console until interrupted.
    fn end(mut self, serve: bool) -> anyhow::Result<ExitCode> {
        self.station(9, "The running installation holds retraining; report, audit log, console");
        runtime::block_on(async {
            runtime::stop_on_interrupt(self.stop.clone());
            let loaded = self.loaded("v2")?;
            let running =
                deploy::start(&loaded, Roles { gateway: true, console: true, worker: true }).await?;
            let incidents = self.contained(&running).await?;
            let (ledger, _) = running.store.ledger(SYSTEM).await?;
            let still = ledger.usable().len();
            self.say(&format!(
                "`mantlet data batches --usable`: {} batches before, {still} now: {}",
                self.gated.passed - self.gated.back,
                ledger
                    .frozen
                    .as_deref()
                    .map_or("retraining goes on".to_owned(), |why| format!("retraining is {why}"))
            ));
            if ledger.frozen.is_none() {
                self.broken.push("retraining was not held".to_owned());
            }
            let audit = running.store.audit().verify(None).await?;
            self.say(&format!("audit log: {} entries, verified", audit.size));
            let report = self.report(&incidents, running.store.now());
            let page = self.at("report.html");
            write_whole(&page, mantlet_report::html(&report).as_bytes())?;
            write_whole(&self.at("report.json"), &serde_json::to_vec_pretty(&report)?)?;
            mantlet_console::Shelf::new(running.store.clone())
                .keep_report("v2", &report, "demo-owner")
                .await?;
            self.say(&format!(
                "{}, report.json, review-batch.csv, review.csv and decide-again.csv",
                page.display()
            ));
            self.serve(running, &page, serve).await
        })?;
        anyhow::ensure!(
            self.broken.is_empty(),
            "the demo ran to its end, but did not hold: {}",
            self.broken.join("; ")
        );
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(&self, running: Running, page: &Path, serve: bool) -> anyhow::Result<()> {
        if serve {
            let mut ending = runtime::Ending::listen()?;
            let password = add_user(&running.store, "admin", Role::Admin, "demo").await?;
            if let Some(console) = running.console_address() {
                self.terminal.say(&format!(
                    "\nOpen {} and http://{console} (admin, {password}): Data shows the batches, Incidents what was told and \
                     done. Ctrl-C ends.",
                    page.display()
                ));
            }
            ending.asked().await;
        }
        running.stop().await
    }

    /// Waits until what the incidents planned by themselves is in force.
    async fn contained(&mut self, running: &Running) -> anyhow::Result<Vec<Incident>> {
        let begun = Instant::now();
        let incidents = loop {
            let mut incidents = running.store.incidents(&IncidentFilter::default()).await?;
            incidents.reverse();
            let waits =
                |incident: &Incident| incident.steps.iter().any(|step| step.state == StepState::Applying);
            if !incidents.iter().any(waits) || begun.elapsed() > PATIENCE {
                break incidents;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        for incident in &incidents {
            self.say(&format!("{}: {}", incident.id, incident.title));
            for step in incident.steps.iter().filter(|step| step.state == StepState::Applied) {
                self.say(&format!("         done: {}", step.action.plain()));
            }
        }
        let freezes = |incident: &Incident| {
            incident.steps.iter().any(|step| {
                matches!(step.action, Containment::FreezeRetraining { .. })
                    && step.state == StepState::Applied
            })
        };
        if !incidents.iter().any(freezes) {
            self.broken.push("no incident holds retraining".to_owned());
        }
        Ok(incidents)
    }
}

/// One column of a CSV file.
fn column(path: &Path, name: &str) -> anyhow::Result<Vec<String>> {
    let mut reader =
        csv::Reader::from_path(path).with_context(|| format!("cannot read {}", path.display()))?;
    let at = reader.headers()?.iter().position(|own| own == name);
    let at = at.with_context(|| format!("{} has no column `{name}`", path.display()))?;
    reader.records().map(|row| Ok(row?.get(at).unwrap_or_default().to_owned())).collect()
}
