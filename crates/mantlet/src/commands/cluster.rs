//! Who counts a table: this program as it streams, DataFusion in this process, or a cluster; and the roles of a
//! cluster's own processes. What needs DataFusion is in builds that have the `cluster` feature.

mod kept;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use mantlet_dataset::{Dataset, Engine as Passes, Gathered, Job, Part as Piece, Prepared, Reference, Stream};

use super::monitor::sealed::Trusting;
use crate::exit::Usage;
use crate::terminal::Terminal;

/// Who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// This program, as it streams the table.
    Stream,
    /// DataFusion, in this process.
    Datafusion,
    /// The executors of a cluster.
    Cluster,
}

/// Who counts, and where.
#[derive(Debug, Args)]
pub struct Engine {
    /// Who counts: the report is the same, byte for byte.
    #[arg(long, value_enum, default_value_t = Which::Stream)]
    engine: Which,
    /// The cluster's scheduler.
    #[arg(long, value_name = "HOST:PORT", required_if_eq("engine", "cluster"))]
    scheduler: Option<String>,
    /// File with the cluster's token.
    #[arg(long, value_name = "FILE", required_if_eq("engine", "cluster"))]
    token_file: Option<PathBuf>,
    /// Memory that DataFusion may hold in this process, in MiB; a count that needs more is refused.
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    memory: usize,
    /// Keep in this folder what was counted so far: asked again after it was killed, the command goes on where it was.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Engine {
    /// Whether this program streams the table.
    pub fn is_stream(&self) -> bool {
        self.engine == Which::Stream
    }

    /// The engine as it makes passes. `storage` is the installation that signs profiles which are made on the way.
    pub fn chosen<'a>(&'a self, terminal: Terminal, storage: &'a std::path::Path) -> Chosen<'a> {
        Chosen { engine: self, terminal, storage }
    }
}

/// For commands whose rows stand in an order, or whose columns are learned from together: they are streamed here.
#[derive(Debug, Args)]
pub struct Alone {
    /// Streaming is the only way: rows are looked at one after the other.
    #[arg(long, value_enum, default_value_t = Which::Stream, hide = true)]
    engine: Which,
}

impl Alone {
    /// Refuses other engines, and says why.
    ///
    /// # Errors
    /// When another engine was asked for.
    pub fn check(&self, why: &str) -> Result<(), Usage> {
        if self.engine == Which::Stream {
            return Ok(());
        }
        Err(Usage(format!("{why}; leave --engine away: the table is streamed here, in bounded memory")))
    }
}

/// An engine as it makes passes over tables.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    engine: &'a Engine,
    terminal: Terminal,
    storage: &'a std::path::Path,
}

/// Parts of a table that DataFusion or a cluster is asked for at first when what was counted is kept.
const PIECES: usize = 8;
/// It is asked for twice as many as long as that takes less.
const SOON: Duration = Duration::from_secs(5);

impl Chosen<'_> {
    /// Makes a pass in pieces, and keeps what was counted so far after each of them.
    fn resumed(&self, folder: &std::path::Path, dataset: &Dataset, job: Job) -> anyhow::Result<Gathered> {
        let parts = dataset.parts()?;
        let kept = kept::Kept::new(folder, &job, &parts)?;
        let prepared = Arc::new(Prepared::new(job).map_err(mantlet_dataset::DatasetError::from)?);
        let is_stream = self.engine.is_stream();
        let (mut done, mut gathered) = kept.read(&prepared).unwrap_or_else(|| (0, prepared.nothing()));
        if done > 0 {
            let (all, name) = (parts.len(), dataset.name());
            self.terminal.note(&format!("{done} of {all} parts of {name} were counted before"));
        }
        let mut many = if is_stream { 1 } else { PIECES };
        while let Some(left) = parts.get(done..).filter(|left| !left.is_empty()) {
            let next = left.get(..many.min(left.len())).unwrap_or(left);
            let started = Instant::now();
            let more = if is_stream {
                Stream::gather_parts(&prepared, next, gathered.rows)?
            } else {
                self.gather_there(next.to_vec(), gathered.rows, prepared.job().clone())?
            };
            gathered.merge(more).map_err(mantlet_dataset::DatasetError::from)?;
            done += next.len();
            kept.write(done, &gathered)?;
            if !is_stream && started.elapsed() < SOON {
                many = many.saturating_mul(2);
            }
        }
        Ok(gathered)
    }
}

impl Passes for Chosen<'_> {
    type Error = anyhow::Error;

    fn gather(&self, dataset: &Dataset, job: Job) -> anyhow::Result<Gathered> {
        if let Some(folder) = &self.engine.state {
            return self.resumed(folder, dataset, job);
        }
        if self.engine.is_stream() {
            return Ok(Stream.gather(dataset, job)?);
        }
        self.gather_there(dataset.parts()?, 0, job)
    }

    fn room(&self) -> u64 {
        if self.engine.is_stream() { Stream.room() } else { there().0 }
    }

    fn columns(&self) -> usize {
        if self.engine.is_stream() { Stream.columns() } else { there().1 }
    }

    fn vouch(&self, reference: Reference) -> anyhow::Result<Reference> {
        if self.engine.engine != Which::Cluster {
            return Ok(reference);
        }
        let seal = super::monitor::sealed::seal(reference.text().as_bytes(), self.storage)?;
        Ok(reference.under(seal))
    }
}

/// A process of a cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Roles scheduler and executor")]
pub struct Part {
    /// Where it listens: 127.0.0.1:8490 for the scheduler, any free port of this machine for an executor.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The name under which others reach this executor; the address at which it listens when absent.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The scheduler that an executor works for.
    #[arg(long, value_name = "HOST:PORT", required_if_eq("role", "executor"))]
    scheduler: Option<String>,
    /// File with the cluster's token, 32 random characters or more: whoever holds it belongs to the cluster.
    #[arg(long, value_name = "FILE", required_if_eq_any([("role", "executor"), ("role", "scheduler")]))]
    token_file: Option<PathBuf>,
    /// A folder or file that plans may read; nothing else is.
    #[arg(long, value_name = "PATH", required_if_eq_any([("role", "executor"), ("role", "scheduler")]))]
    root: Vec<PathBuf>,
    /// Folder for what is spilled and exchanged while a query runs; one of its own inside is removed at the end.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Memory that queries may hold, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    memory: usize,
    /// Disk that they may spill to, in MiB; counts are one row a task, and have nothing to spill.
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    spill: u64,
    /// Tasks of an executor at once; all of the machine's cores when absent.
    #[arg(long, value_name = "N")]
    cores: Option<NonZeroUsize>,
    /// Who may have signed the profiles that an executor counts with.
    #[command(flatten)]
    trusting: Trusting,
}

/// What a process of a cluster does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Hands out work.
    Scheduler,
    /// Does it.
    Executor,
}

#[cfg(feature = "cluster")]
mod engine {
    use std::path::Path;

    use anyhow::Context as _;
    use mantlet_cluster::{Asked, Bounds, ClusterError, Roots, Scheduler, Trust, Vouching};
    use serde_json::json;

    use super::*;
    use crate::runtime;

    /// A token is a line.
    const TOKEN_MOST: u64 = 4096;

    fn trust(file: Option<&Path>) -> anyhow::Result<Trust> {
        use std::io::Read as _;
        let file =
            file.ok_or_else(|| Usage("name the file with the cluster's token: --token-file".into()))?;
        let mut token = String::new();
        std::fs::File::open(file)
            .and_then(|opened| opened.take(TOKEN_MOST).read_to_string(&mut token))
            .with_context(|| format!("cannot read the token in {}", file.display()))?;
        Ok(Trust::from_token(&token).map_err(|error| Usage(format!("{}: {error}", file.display())))?)
    }

    fn scratch(parent: Option<&Path>) -> anyhow::Result<tempfile::TempDir> {
        let mut named = tempfile::Builder::new();
        let named = named.prefix("mantlet-cluster-");
        match parent {
            Some(parent) => named.tempdir_in(parent),
            None => named.tempdir(),
        }
        .context("cannot make a folder for what is spilled; name another with --scratch")
    }

    impl Chosen<'_> {
        /// Asks the engine, which is none that streams.
        fn ask<T>(
            &self,
            what: impl AsyncFnOnce(Asked<'_>, &Bounds) -> Result<T, ClusterError>,
        ) -> anyhow::Result<T> {
            let engine = self.engine;
            let scratch = scratch(None)?;
            let bounds =
                Bounds { memory: engine.memory.saturating_mul(1 << 20), ..Bounds::new(scratch.path()) };
            runtime::block_on(async {
                if engine.engine != Which::Cluster {
                    return Ok(what(Asked::Here, &bounds).await?);
                }
                let trust = trust(engine.token_file.as_deref())?;
                let scheduler = engine.scheduler.as_deref().unwrap_or_default();
                what(Asked::There(scheduler, &trust), &bounds)
                    .await
                    .with_context(|| format!("the cluster of {scheduler} did not count the table"))
            })
        }

        pub(super) fn gather_there(
            &self,
            parts: Vec<Piece>,
            first: u64,
            job: Job,
        ) -> anyhow::Result<Gathered> {
            self.ask(async |asked, bounds| {
                mantlet_cluster::gather_parts(asked, parts, first, job, bounds).await
            })
        }
    }

    /// Bytes that the sketches of one pass may take, and its columns.
    pub(super) const fn there() -> (u64, usize) {
        (mantlet_cluster::ROOM, mantlet_cluster::COLUMNS)
    }

    /// Runs a process of a cluster until it is interrupted or terminated.
    ///
    /// # Errors
    /// When the token, a root or the address is none, or the scheduler cannot be reached.
    pub fn run(terminal: Terminal, does: Does, part: Part, json: bool) -> anyhow::Result<ExitCode> {
        runtime::logs(json);
        let trust = trust(part.token_file.as_deref())?;
        let roots = Roots::new(&part.root)?;
        let scratch = scratch(part.scratch.as_deref())?;
        let mut bounds = Bounds {
            memory: part.memory.saturating_mul(1 << 20),
            spill: part.spill.saturating_mul(1 << 20),
            ..Bounds::new(scratch.path())
        };
        bounds.cores = part.cores.unwrap_or(bounds.cores);
        let say = |name: &str, address: SocketAddr| {
            if json {
                terminal.say(&json!({ name: address.to_string() }).to_string());
            } else {
                terminal.say(&format!("{name:<17} {address}"));
                terminal.note("Ctrl-C stops.");
            }
        };
        runtime::block_on(async {
            match does {
                Does::Scheduler => {
                    let listen = part.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8490)));
                    let mut ending = runtime::Ending::listen()?;
                    let scheduler = Scheduler::bind(listen, trust, &roots, &bounds).await?;
                    say("scheduler", scheduler.address());
                    scheduler.run(async move { ending.asked().await }).await?;
                }
                Does::Executor => {
                    let listen = part.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
                    let executor = mantlet_cluster::executor(listen, part.host).await?;
                    say("executor", executor.address());
                    let scheduler = part.scheduler.unwrap_or_default();
                    let keys = part.trusting.keys()?;
                    let vouching = Vouching::of(keys, part.trusting.accepts_unsigned());
                    executor
                        .run(&scheduler, &trust, (&roots, &vouching), &bounds)
                        .await
                        .with_context(|| format!("the executor of {scheduler} ended"))?;
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

#[cfg(feature = "cluster")]
pub use engine::run;
#[cfg(feature = "cluster")]
use engine::there;

/// Bytes that the sketches of one pass may take, and its columns; passes are refused here.
#[cfg(not(feature = "cluster"))]
const fn there() -> (u64, usize) {
    (48 << 20, 500)
}

/// What a build without the feature says.
#[cfg(not(feature = "cluster"))]
const ABSENT: &str = "is not in this build: build mantlet with `--features cluster`";

#[cfg(not(feature = "cluster"))]
impl Chosen<'_> {
    fn absent<T>(&self) -> anyhow::Result<T> {
        // Only an engine that this build has would read them.
        let _ = (&self.engine.scheduler, &self.engine.token_file, self.engine.memory);
        let name = if self.engine.engine == Which::Cluster { "cluster" } else { "datafusion" };
        Err(Usage(format!("the engine {name} {ABSENT}")).into())
    }

    fn gather_there(&self, _: Vec<Piece>, _: u64, _: Job) -> anyhow::Result<Gathered> {
        self.absent()
    }
}

/// Says which build can do it.
///
/// # Errors
/// Always.
#[cfg(not(feature = "cluster"))]
pub fn run(_: Terminal, does: Does, part: Part, _: bool) -> anyhow::Result<ExitCode> {
    // Only a role that this build has would read them.
    let _ = (part.listen, part.host, part.scheduler, part.token_file, part.root);
    let _ = (part.scratch, part.memory, part.spill, part.cores, part.trusting.keys());
    let _ = part.trusting.accepts_unsigned();
    let role = if does == Does::Scheduler { "scheduler" } else { "executor" };
    Err(Usage(format!("the role {role} {ABSENT}")).into())
}
