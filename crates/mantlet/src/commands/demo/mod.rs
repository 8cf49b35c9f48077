//! `mantlet demo`: the main job once, end to end, on a real model trained here.
//!
//! Every figure printed is measured in this run. The attackers and the benign clients are simulated on loopback
//! by this process; the model, the gateway, the detectors, the store and the log are the ones users run.

mod battle;
mod example;
mod fraud;
mod harden;
mod sink;
mod story;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use mantlet_access::Role;
use mantlet_registry::{Registry, VersionId};
use mantlet_report::SystemReport;
use mantlet_store::{Store, SystemClock};
use mantlet_verdict::Admit;

use super::keys::add_user;
use super::protect::Steps;
use crate::config::Loaded;
use crate::deploy::{self, Roles, Running};
use crate::protect::{self, Protected, admit};
use crate::runtime;
use crate::terminal::{Terminal, write_whole};
use example::Example;

/// How the demo is run.
#[derive(Debug, Args)]
pub struct Options {
    /// The worked example.
    #[arg(value_enum, default_value_t = Scenario::Cheque)]
    scenario: Scenario,
    /// The folder to work in; made when absent, and started over when it is a demo's.
    #[arg(long, default_value = "mantlet-demo")]
    dir: PathBuf,
    /// The first seed; runs of attacks use this one and those after it.
    #[arg(long, default_value_t = 1001)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// End after the report instead of leaving console and gateway open.
    #[arg(long)]
    no_serve: bool,
}

/// The worked examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// A digit classifier that reads the amount of a cheque.
    Cheque,
    /// Card fraud: one bank slowly calls fraud legitimate; what the gate, the monitor and the known-good version make of it.
    Fraud,
    /// A language-model assistant: not there yet.
    Assistant,
}

/// Runs the demo.
///
/// # Errors
/// When the folder is not a demo's, or something cannot be written.
pub fn run(terminal: Terminal, options: Options) -> anyhow::Result<ExitCode> {
    if options.scenario == Scenario::Assistant {
        let does = "the scenario `assistant` does not exist yet; `cheque` and `fraud` do";
        return Err(crate::exit::Usage(does.to_owned()).into());
    }
    if options.scenario == Scenario::Fraud {
        runtime::quiet_logs();
        return fraud::run(terminal, &options.dir.join("fraud"), options.seed, !options.no_serve);
    }
    if !std::io::stderr().is_terminal() {
        terminal.note("no terminal: progress is printed as lines");
    }
    runtime::quiet_logs();
    let stop = Arc::new(AtomicBool::new(false));
    runtime::block_on(async {
        runtime::stop_on_interrupt(stop.clone());
        let mut demo = Demo { terminal, options, stop, clock: Stations::default() };
        demo.run().await
    })
}

/// Wall time by station.
#[derive(Debug, Default)]
struct Stations {
    done: Vec<(&'static str, Duration)>,
    open: Option<(&'static str, Instant)>,
}

impl Stations {
    fn begin(&mut self, name: &'static str) {
        self.end();
        self.open = Some((name, Instant::now()));
    }

    fn end(&mut self) {
        if let Some((name, since)) = self.open.take() {
            self.done.push((name, since.elapsed()));
        }
    }
}

struct Demo {
    terminal: Terminal,
    options: Options,
    stop: Arc<AtomicBool>,
    clock: Stations,
}

impl Demo {
    fn station(&mut self, number: u8, name: &'static str, what: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.stop.load(Ordering::Relaxed),
            "stopped by an interrupt; run it again to start over"
        );
        self.clock.begin(name);
        self.terminal.say(&self.terminal.heading(&format!("{number}. {what}")));
        Ok(())
    }

    fn seeds(&self) -> Vec<u64> {
        (0..self.options.seeds.max(1)).map(|offset| self.options.seed + offset).collect()
    }

    async fn run(&mut self) -> anyhow::Result<ExitCode> {
        let folder = self.options.dir.clone();
        self.station(
            1,
            "example",
            &format!("The example system \"cheque reader\", in {}", folder.display()),
        )?;
        let seed = self.options.seed;
        let example = {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || example::create(&folder, seed)).await??
        };
        example.describe(self.terminal);

        self.station(
            2,
            "take in, probe, admit",
            "Take in, probe and admit: v1, the model in use, and v2, a candidate from outside",
        )?;
        let (v1, v2) = self.admit(&example).await?;

        self.station(3, "backdoor on other seeds", "The same search on models trained with other seeds")?;
        let seeds = self.seeds();
        let backdoors = tokio::task::spawn_blocking(move || example::backdoors(&seeds)).await??;
        story::say_backdoors(self.terminal, &backdoors);

        self.station(4, "guard", "Guard: model server, gateway and console on this machine")?;
        let (sink, sink_address) = sink::Sink::start().await?;
        let mut loaded = example.v1.clone();
        loaded.config.notify.webhook = Some(format!("http://{sink_address}/incidents"));
        let running = deploy::start(&loaded, Roles { gateway: true, console: true, worker: true }).await?;
        let password = self.credentials(&running.store).await?;
        self.addresses(&running, &password);

        self.station(5, "attack", "Attack: hostile keys beside benign clients, through the gateway")?;
        let battle = battle::fight(&running, &example, &v1, &self.seeds(), self.stop.clone()).await?;
        battle.say(self.terminal);

        self.station(
            6,
            "answer",
            "Answer: incident, containment, delivery; the attack becomes a case and a rule",
        )?;
        running.answer.settle().await?;
        let hardened = harden::harden(&running, &example, &v1, &battle, self.options.seed + 500).await?;
        let incidents = story::incidents(&running.store).await?;
        story::say_answer(self.terminal, &incidents, &sink, &hardened);

        self.station(7, "report", "Report")?;
        let mut report = story::report(&example, &v1, &v2, &backdoors, &battle, &hardened, &incidents);
        report.command = format!("mantlet demo --dir {} --seed {seed}", folder.display());
        let page = folder.join("report.html");
        self.clock.end();
        story::add_times(&mut report, &self.clock.done);
        write_whole(&page, mantlet_report::html(&report).as_bytes())?;
        self.terminal.say(&format!("  {}", page.display()));
        for (name, took) in &self.clock.done {
            self.terminal.say(&format!("  {:>6.1} s  {name}", took.as_secs_f64()));
        }
        self.terminal.say(&story::not_yet());
        let held = story::held(&v1, &v2, &backdoors, &battle, &hardened);
        self.finish(running, &password, &page).await?;
        anyhow::ensure!(held.is_empty(), "the demo ran to its end, but did not hold: {}", held.join("; "));
        Ok(ExitCode::SUCCESS)
    }

    /// Both versions through the three stations; v1 is then consented to and put before users.
    async fn admit(&mut self, example: &Example) -> anyhow::Result<(Protected, Protected)> {
        let store =
            Store::open(&example.v1.storage(), Arc::new(SystemClock), mantlet_store::Options::default())
                .await?;
        let v1 = self.judge(&example.v1, &store).await?;
        let v2 = self.judge(&example.v2, &store).await?;
        for protected in [&v1, &v2] {
            self.terminal.say(&format!("  {}", protected.report.verdict.headline));
        }
        anyhow::ensure!(
            v1.admission.decision == Admit::Admit,
            "v1 was not admitted: {}",
            v1.admission.headline()
        );
        let registry = Registry::new(store.clone(), admit::trusted_keys(&example.v1.storage())?);
        let id = VersionId { system: example.v1.config.system.name.clone(), version: "v1".to_owned() };
        // Two people, simulated: a system of high impact is not promoted by one.
        registry.approve(&id, "demo-approver", "looked at the report", store.now()).await?;
        registry.promote(&id, "demo-owner", "first version", store.now()).await?;
        registry.mark_known_good(&id, "demo-owner", store.now()).await?;
        if let Some(passport) = &v1.recorded.passport {
            self.terminal.say(&format!("  passport {}", passport.display()));
        }
        let report = store.audit().verify(None).await?;
        self.terminal.say(&format!("  audit log: {} entries, verified", report.size));
        store.close().await?;
        Ok((v1, v2))
    }

    async fn judge(&mut self, loaded: &Loaded, store: &Store) -> anyhow::Result<Protected> {
        let command = format!("mantlet attack run {}", loaded.file.display());
        let mut watch = Steps {
            terminal: self.terminal,
            bar: self.terminal.bar(8, &loaded.config.model.version),
            stop: self.stop.clone(),
        };
        let plan = protect::plan(&loaded.config, &command);
        let protected = protect::protect(loaded, store, &plan, "demo-owner", &mut watch).await;
        watch.bar.finish_and_clear();
        protected
    }

    async fn credentials(&self, store: &Store) -> anyhow::Result<String> {
        add_user(store, "admin", Role::Admin, "demo").await.context("cannot make the console's first user")
    }

    fn addresses(&self, running: &Running, password: &str) {
        for (name, address) in [
            ("model server", running.server_address()),
            ("gateway", running.gateway_address()),
            ("console", running.console_address()),
        ] {
            if let Some(address) = address {
                self.terminal.say(&format!("  {name:<13} http://{address}"));
            }
        }
        self.terminal.say(&format!("  sign in as    admin, password {password} (shown once)"));
        running.gaps.iter().for_each(|gap| self.terminal.say(&format!("  not in force: {gap}")));
    }

    async fn finish(&self, running: Running, password: &str, page: &std::path::Path) -> anyhow::Result<()> {
        let mut ending = runtime::Ending::listen()?;
        if !self.options.no_serve && !self.stop.load(Ordering::Relaxed) {
            if let Some(console) = running.console_address() {
                self.terminal.say(&format!(
                    "\nOpen {} and http://{console} (admin, {password}). Ctrl-C ends.",
                    page.display()
                ));
            }
            ending.asked().await;
        }
        running.stop().await
    }
}

/// An empty report to add to.
fn blank(protected: &Protected) -> SystemReport {
    protected.report.clone()
}
