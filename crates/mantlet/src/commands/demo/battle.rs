//! The attack on the running gateway: for each seed a hostile evader and a hostile thief with keys of their own,
//! beside benign clients. What the same attacks reach without a guard is measured on the model itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mantlet_access::Scope;
use mantlet_attacks::{Loss, Material};
use mantlet_detectors::{Trace, TraceRow};
use mantlet_learn::Table;
use mantlet_redteam::{
    Budget, Campaign, GradientAnswer, NoJournal, Patience, ProbeReport, Target, TargetError, TargetFacts,
    fidelity,
};
use mantlet_store::ExchangeFilter;
use mantlet_vocab::{NamedValue, Tensor, Value};
use mantlet_worker::battery::{SmallLearner, WallClock};
use mantlet_worker::targets::{EndpointConfig, EndpointTarget, ModelTarget};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::example::Example;
use crate::deploy::Running;
use crate::protect::Protected;
use crate::terminal::Terminal;

/// A wrongly read digit this near (L2) to the digit it was made from, and neither it nor a start image, is a
/// success of the evader: a person still reads the old digit.
pub const RADIUS: f32 = 1.5;
/// Queries an evader may spend on one digit.
const QUERIES: u64 = 450;
/// Queries a thief may spend.
const THIEF_QUERIES: u64 = 800;
/// Digits a thief begins with.
const THIEF_SEEDS: usize = 40;
/// Sizes of the transfer set at which the thief's copy is measured.
const POINTS: [usize; 11] = [25, 50, 75, 100, 150, 200, 250, 350, 450, 600, 800];
/// Benign clients, and queries of each.
const CLIENTS: usize = 6;
const EACH: usize = 200;

/// One attack of one seed.
#[derive(Debug, Clone)]
pub struct Attack {
    /// `evasion` or `extraction`.
    pub kind: &'static str,
    /// The seed.
    pub seed: u64,
    /// The hostile key's id.
    pub key: String,
    /// The query (from 1) at which the guard first marked the caller.
    pub flagged_at: Option<u64>,
    /// The query at which it first withheld an answer.
    pub withheld_at: Option<u64>,
    /// The query at which the same attack succeeds without a guard: first success, or a copy that agrees on 80 %.
    pub succeeds_at: Option<u64>,
    /// Successes reached through the guard.
    pub reached: bool,
    /// The stream without a guard, which is the confirmed attack.
    pub trace: Trace,
    /// The campaign, to be replayed.
    pub campaign: Campaign,
    /// What it reached without a guard.
    pub unguarded: ProbeReport,
}

impl Attack {
    /// Whether it was seen, and stopped, before it succeeded.
    pub fn held(&self) -> bool {
        let before = |at: Option<u64>| match (at, self.succeeds_at) {
            (Some(at), Some(success)) => at <= success,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let flagged_before = match (self.flagged_at, self.succeeds_at) {
            (Some(at), Some(success)) => at < success || (at == success && !self.reached),
            (Some(_), None) => true,
            (None, _) => false,
        };
        flagged_before && before(self.withheld_at) && !self.reached
    }
}

/// Everything that happened.
#[derive(Debug, Clone)]
pub struct Battle {
    /// The attacks.
    pub attacks: Vec<Attack>,
    /// Benign queries.
    pub benign: usize,
    /// Benign queries that were refused, throttled or diverted.
    pub benign_refused: usize,
    /// Benign queries that were marked and answered.
    pub benign_flagged: usize,
}

impl Battle {
    /// Prints what happened.
    pub fn say(&self, terminal: Terminal) {
        for attack in &self.attacks {
            let number = |at: Option<u64>| at.map_or("-".to_owned(), |at| at.to_string());
            terminal.say(&format!(
                "  seed {} {:<10} flagged at query {:>3}, answer withheld at {:>3}; without a guard it succeeds at {:>4}  {}",
                attack.seed,
                attack.kind,
                number(attack.flagged_at),
                number(attack.withheld_at),
                number(attack.succeeds_at),
                if attack.held() { "held" } else { "NOT HELD" }
            ));
        }
        terminal.say(&format!(
            "  benign: {} queries of {CLIENTS} clients, {} refused, {} marked and answered",
            self.benign, self.benign_refused, self.benign_flagged
        ));
    }
}

/// Runs everything; benign clients and attackers at the same time.
pub async fn fight(
    running: &Running,
    example: &Example,
    v1: &Protected,
    seeds: &[u64],
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Battle> {
    let benign_seed = seeds.first().copied().unwrap_or(0);
    let benign = benign(running, example, benign_seed, "benign", stop.clone()).await?;
    let mut attacks = Vec::new();
    for &seed in seeds {
        for kind in ["evasion", "extraction"] {
            anyhow::ensure!(
                !stop.load(Ordering::Relaxed),
                "stopped by an interrupt; run it again to start over"
            );
            attacks.push(attack(running, example, v1, kind, seed).await?);
        }
    }
    let (benign, benign_refused, keys) = benign.await??;
    let mut benign_flagged = 0;
    for key in keys {
        let filter =
            ExchangeFilter { caller: Some(key), noticed: true, most: 10_000, ..ExchangeFilter::default() };
        benign_flagged +=
            running.store.exchanges(filter).await?.iter().filter(|seen| seen.action == "flag").count();
    }
    Ok(Battle { attacks, benign, benign_refused, benign_flagged })
}

/// The campaign of one attack: rows drawn by the seed from the live digits.
pub fn campaign(example: &Example, v1: &Protected, kind: &str, seed: u64) -> anyhow::Result<Campaign> {
    let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(7919).wrapping_add(17));
    let live = &example.live;
    let subject = v1.subject.as_ref().ok_or_else(|| anyhow::anyhow!("v1 has no rows"))?;
    let answers = subject.classifier.labels(&live.x)?;
    let right: Vec<usize> = (0..live.y.len()).filter(|&row| answers[row] == live.y[row]).collect();
    let mut draw = |count: usize| -> Vec<usize> {
        (0..count).map(|_| right[random.random_range(0..right.len())]).collect()
    };
    let queries = if kind == "evasion" { QUERIES } else { THIEF_QUERIES };
    let budget = Budget { queries, millis: 60_000, ..Budget::default() };
    let patience = Patience { refusals: 3, failures: 3, wait_ms: 20 };
    let mut campaign = if kind == "evasion" {
        let rows = live.select(&draw(1));
        let pool = live.select(&draw(40));
        let material = Material::new(rows.x, rows.y, 10).pool(pool.x, pool.y);
        Campaign::new("evasion-hop-skip-jump", seed, material).config(
            serde_json::json!({ "queries": QUERIES, "radius": RADIUS, "stop_at_hit": true, "starts": 10 }),
        )
    } else {
        let rows = live.select(&draw(THIEF_SEEDS));
        let material = Material::new(rows.x, rows.y, 10);
        Campaign::new("extraction-query-copy", seed, material).config(
            serde_json::json!({ "strategy": "mixed", "queries": THIEF_QUERIES, "scores": false, "batch": 25 }),
        )
    };
    campaign.budget = budget;
    campaign.patience = patience;
    campaign.command = format!("mantlet demo --seed {seed} --seeds 1");
    Ok(campaign)
}

/// The attack without a guard: what is at stake, and the stream to learn from.
pub fn unguarded(v1: &Protected, campaign: &Campaign) -> anyhow::Result<(ProbeReport, Trace)> {
    let subject = v1.subject.as_ref().ok_or_else(|| anyhow::anyhow!("v1 has no rows"))?;
    let mut tap = Tap::new(ModelTarget::new("v1", subject.classifier.clone()), campaign);
    let report = campaign.run(&mut tap, &mut NoJournal, &mut WallClock::default())?;
    Ok((report, tap.trace))
}

/// A hostile key's endpoint.
pub async fn endpoint(running: &Running, label: &str) -> anyhow::Result<(EndpointTarget, String)> {
    let (secret, key) = running.store.make_key(label, vec![Scope::InferAny], None, "demo").await?;
    running.take_keys().await?;
    let address = running.gateway_address().ok_or_else(|| anyhow::anyhow!("the gateway does not run"))?;
    let mut config = EndpointConfig::new(format!("http://{address}"), "digits");
    config.key = Some(("x-api-key".to_owned(), secret.expose().to_owned()));
    config.row_shape = Some(vec![1, 8, 8]);
    let target = tokio::task::spawn_blocking(move || EndpointTarget::connect(config)).await??;
    Ok((target, key.id))
}

async fn attack(
    running: &Running,
    example: &Example,
    v1: &Protected,
    kind: &'static str,
    seed: u64,
) -> anyhow::Result<Attack> {
    let campaign = campaign(example, v1, kind, seed)?;
    let (unguarded, trace) = unguarded(v1, &campaign)?;
    let succeeds_at = match kind {
        "evasion" => trace.rows.iter().position(|row| row.success).map(|at| at as u64 + 1),
        _ => copied_at(v1, example, &unguarded, seed)?,
    };
    let (target, key) = endpoint(running, &format!("hostile {kind} {seed}")).await?;
    let through = {
        let campaign = campaign.clone();
        tokio::task::spawn_blocking(move || -> anyhow::Result<Trace> {
            let mut tap = Tap::new(target, &campaign);
            campaign.run(&mut tap, &mut NoJournal, &mut WallClock::default())?;
            Ok(tap.trace)
        })
        .await??
    };
    running.answer.settle().await?;
    let filter = ExchangeFilter { caller: Some(key.clone()), most: 10_000, ..ExchangeFilter::default() };
    let mut seen = running.store.exchanges(filter).await?;
    seen.sort_by_key(|exchange| exchange.at);
    let order = |wanted: &dyn Fn(&str) -> bool| {
        seen.iter().position(|row| wanted(&row.action)).map(|at| at as u64 + 1)
    };
    let reached = match kind {
        "evasion" => through.rows.iter().any(|row| row.success && row.label.is_some()),
        _ => succeeds_at
            .is_some_and(|at| through.rows.iter().filter(|row| row.label.is_some()).count() as u64 >= at),
    };
    Ok(Attack {
        kind,
        seed,
        key,
        flagged_at: order(&|action| action != "allow"),
        withheld_at: order(&|action| !matches!(action, "allow" | "flag")),
        succeeds_at,
        reached,
        trace,
        campaign,
        unguarded,
    })
}

/// The smallest transfer set from which a copy agrees with the model on 80 % of live digits.
fn copied_at(
    v1: &Protected,
    example: &Example,
    report: &ProbeReport,
    seed: u64,
) -> anyhow::Result<Option<u64>> {
    let subject = v1.subject.as_ref().ok_or_else(|| anyhow::anyhow!("v1 has no rows"))?;
    let victim = subject.classifier.labels(&example.live.x)?;
    let Some(outcome) = &report.outcome else { return Ok(None) };
    let curve = fidelity(outcome, 10, &POINTS, &example.live.x, &victim, &mut SmallLearner::default(), seed)
        .map_err(|why| anyhow::anyhow!(why))?;
    Ok(curve.iter().find(|point| point.fidelity.value >= 0.8).map(|point| point.queries as u64))
}

type Benign = tokio::task::JoinHandle<anyhow::Result<(usize, usize, Vec<String>)>>;

/// Benign clients: fresh digits, one in ten sent again as it was, one in ten with slight noise.
pub async fn benign(
    running: &Running,
    example: &Example,
    seed: u64,
    label: &str,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Benign> {
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        clients.push(endpoint(running, &format!("{label} client {client}")).await?);
    }
    let live = example.live.clone();
    Ok(tokio::task::spawn_blocking(move || {
        let keys = clients.iter().map(|(_, key)| key.clone()).collect();
        let (mut asked, mut refused) = (0, 0);
        let mut streams: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(client, (target, _))| {
                (target, Client::new(&live, seed.wrapping_mul(31).wrapping_add(client as u64)))
            })
            .collect();
        for _ in 0..EACH {
            for (target, client) in &mut streams {
                if stop.load(Ordering::Relaxed) {
                    return Ok((asked, refused, keys));
                }
                asked += 1;
                match target.labels(&client.next(&live)) {
                    Ok(_) => {}
                    Err(TargetError::Refused { .. }) => refused += 1,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok((asked, refused, keys))
    }))
}

struct Client {
    random: ChaCha8Rng,
    last: Option<Vec<f32>>,
    rows: usize,
}

impl Client {
    fn new(live: &Table, seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), last: None, rows: live.y.len() }
    }

    fn next(&mut self, live: &Table) -> Tensor {
        let kind: f32 = self.random.random_range(0.0..1.0);
        let row = match (&self.last, kind) {
            (Some(last), 0.0..0.1) => last.clone(),
            (Some(last), 0.1..0.2) => {
                let noisy = last
                    .iter()
                    .map(|value| (value + self.random.random_range(-0.03..0.03_f32)).clamp(0.0, 1.0));
                noisy.collect()
            }
            _ => live.x.row(self.random.random_range(0..self.rows)).to_vec(),
        };
        self.last = Some(row.clone());
        Tensor::new([1, 1, 8, 8], row).unwrap_or_else(|_| Tensor::full([1, 1, 8, 8], 0.0))
    }
}

/// Writes down what an attack asks and is answered.
struct Tap<T> {
    inner: T,
    originals: Vec<(Vec<f32>, usize)>,
    starts: Vec<Vec<f32>>,
    trace: Trace,
}

impl<T: Target> Tap<T> {
    fn new(inner: T, campaign: &Campaign) -> Self {
        let material = &campaign.material;
        let row = |tensor: &Tensor, index: usize| tensor.row(index).to_vec();
        let originals: Vec<_> = (0..material.rows.rows())
            .map(|index| (row(&material.rows, index), material.labels[index]))
            .collect();
        let mut starts: Vec<Vec<f32>> = originals.iter().map(|(row, _)| row.clone()).collect();
        if let Some(pool) = &material.pool {
            starts.extend((0..pool.rows()).map(|index| row(pool, index)));
        }
        let case = format!("{}-{}", campaign.attack, campaign.seed);
        let trace = Trace { case, attack: campaign.attack.clone(), rows: Vec::new() };
        Self { inner, originals, starts, trace }
    }

    fn note(&mut self, rows: &Tensor, labels: Option<&[usize]>) {
        for index in 0..rows.rows() {
            let row = rows.row(index);
            let label = labels.and_then(|labels| labels.get(index).copied());
            let near = |original: &[f32]| {
                original.iter().zip(row).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt() <= RADIUS
            };
            let success = !self.starts.iter().any(|start| start == row)
                && self
                    .originals
                    .iter()
                    .any(|(original, truth)| label.is_some_and(|label| label != *truth) && near(original));
            let input =
                Tensor::new([1, 1, 8, 8], row.to_vec()).unwrap_or_else(|_| Tensor::full([1, 1, 8, 8], 0.0));
            let inputs = vec![NamedValue { name: "pixels".to_owned(), value: Value::F32(input) }];
            self.trace.rows.push(TraceRow { inputs, label, margin: None, success });
        }
    }
}

impl<T: Target> Target for Tap<T> {
    fn describe(&self) -> TargetFacts {
        self.inner.describe()
    }

    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        let answer = self.inner.labels(rows);
        self.note(rows, answer.as_deref().ok());
        answer
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        self.inner.scores(rows)
    }

    fn gradient(&mut self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, TargetError> {
        self.inner.gradient(rows, loss)
    }
}
