//! Prometheus metrics. Labels are names of the configuration, never callers or contents.

use std::sync::{Mutex, PoisonError};

use mantlet_guard::{PeersStatus, Split};
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Answered {
    pub(crate) route: String,
    pub(crate) version: String,
    pub(crate) action: &'static str,
    pub(crate) status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Noticed {
    pub(crate) route: String,
    pub(crate) signal: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Tokens {
    pub(crate) route: String,
    pub(crate) direction: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Stepped {
    pub(crate) how: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Cost {
    pub(crate) route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Port {
    pub(crate) port: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Refusal {
    pub(crate) why: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Tried {
    route: String,
    version: String,
    shadow: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(crate) struct Limited {
    pub(crate) standing: &'static str,
    pub(crate) taken: bool,
}

impl EncodeLabelSet for Limited {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [("standing", self.standing), ("taken", if self.taken { "yes" } else { "no" })].encode(encoder)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Sighting {
    pub(crate) what: &'static str,
}

/// The counters of exchanges that one version answered, by what was done: found without naming route and version.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<Vec<(&'static str, u16, Counter)>>);

/// Kinds of end that are found so.
const KINDS: usize = 32;

impl Counts {
    /// Counts one.
    pub(crate) fn count(
        &self,
        all: &Family<Answered, Counter>,
        route: &str,
        version: &str,
        action: &'static str,
        status: u16,
    ) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, counter)) = known.iter().find(|(a, s, _)| *a == action && *s == status) {
            counter.inc();
            return;
        }
        let answered = Answered { route: route.to_owned(), version: version.to_owned(), action, status };
        let counter = all.get_or_create(&answered).clone();
        counter.inc();
        if known.len() < KINDS {
            known.push((action, status, counter));
        }
    }
}

pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) exchanges: Family<Answered, Counter>,
    pub(crate) signals: Family<Noticed, Counter>,
    pub(crate) overloads: Family<Port, Counter>,
    pub(crate) refusals: Family<Refusal, Counter>,
    pub(crate) limits: Family<Limited, Counter>,
    pub(crate) upstream_faults: Counter,
    pub(crate) tokens: Family<Tokens, Counter>,
    pub(crate) cost: Family<Cost, Counter>,
    pub(crate) step_ups: Family<Stepped, Counter>,
    pub(crate) retries: Counter,
    pub(crate) fallbacks: Counter,
    pub(crate) breaks: Counter,
    pub(crate) shadowed: Counter,
    pub(crate) shadows_left_out: Counter,
    pub(crate) reloads: Counter,
    pub(crate) generation: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) callers: Gauge,
    rollouts: Family<Tried, Gauge>,
    alone: Gauge,
    sightings: Family<Sighting, Gauge>,
    pub(crate) took: Histogram,
    pub(crate) guarded: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("mantlet_gateway");
        let seconds =
            || Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0]);
        let small =
            || Histogram::new([0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.01, 0.1]);
        let metrics = Self {
            exchanges: Family::default(),
            signals: Family::default(),
            overloads: Family::default(),
            refusals: Family::default(),
            limits: Family::default(),
            upstream_faults: Counter::default(),
            tokens: Family::default(),
            cost: Family::default(),
            step_ups: Family::default(),
            retries: Counter::default(),
            fallbacks: Counter::default(),
            breaks: Counter::default(),
            shadowed: Counter::default(),
            shadows_left_out: Counter::default(),
            reloads: Counter::default(),
            generation: Gauge::default(),
            connections: Gauge::default(),
            callers: Gauge::default(),
            rollouts: Family::default(),
            alone: Gauge::default(),
            sightings: Family::default(),
            took: seconds(),
            guarded: small(),
            registry: Registry::default(),
        };
        registry.register("exchanges", "Inference exchanges by what was done", metrics.exchanges.clone());
        registry.register("signals", "Signals of detectors and pinned rules", metrics.signals.clone());
        registry.register(
            "overloads",
            "Records, events or reviews for which there was no room",
            metrics.overloads.clone(),
        );
        registry.register(
            "limits",
            "Requests asked of limits, by where the answer came from: the shared counts, this replica's share, or neither",
            metrics.limits.clone(),
        );
        registry.register("refusals", "Requests that did not become an exchange", metrics.refusals.clone());
        registry.register(
            "upstream_faults",
            "Upstream calls that failed or timed out",
            metrics.upstream_faults.clone(),
        );
        registry.register("tokens", "Tokens that upstreams counted", metrics.tokens.clone());
        registry.register(
            "cost_millionths",
            "What exchanges cost where cost is limited, in millionths of the configured currency",
            metrics.cost.clone(),
        );
        registry.register(
            "step_ups",
            "Answers to challenges, by what became of them",
            metrics.step_ups.clone(),
        );
        registry.register("upstream_retries", "Upstream calls made a second time", metrics.retries.clone());
        registry.register("upstream_fallbacks", "Calls that went to a fallback", metrics.fallbacks.clone());
        registry.register(
            "upstream_breaks",
            "Times an upstream was left alone after failing repeatedly",
            metrics.breaks.clone(),
        );
        registry.register(
            "shadowed",
            "Requests copied to a version tried in the shadow",
            metrics.shadowed.clone(),
        );
        registry.register(
            "shadows_left_out",
            "Requests not copied because too many copies were under way",
            metrics.shadows_left_out.clone(),
        );
        registry.register("reloads", "Configurations taken while running", metrics.reloads.clone());
        registry.register("generation", "Configuration generation in force", metrics.generation.clone());
        registry.register("connections", "Open client connections", metrics.connections.clone());
        registry.register("callers", "Callers remembered by guards", metrics.callers.clone());
        registry.register(
            "rollout_share",
            "Share of a route's callers that a version being tried answers, in hundredths of a percent",
            metrics.rollouts.clone(),
        );
        registry.register(
            "alone",
            "Whether guards of other replicas are out of reach: 1 when they are",
            metrics.alone.clone(),
        );
        registry.register(
            "sightings",
            "What guards told one another of callers since the start: told, heard, left out, missed",
            metrics.sightings.clone(),
        );
        registry.register("took_seconds", "From a request's head to its reply", metrics.took.clone());
        registry.register(
            "guard_seconds",
            "Reading and judging one request and reply",
            metrics.guarded.clone(),
        );
        Self { registry, ..metrics }
    }

    /// The versions that are tried now, by the route.
    pub(crate) fn rollouts(&self, splits: impl Iterator<Item = (String, Split)>) {
        self.rollouts.clear();
        for (route, split) in splits {
            let shadow = if split.shadow { "yes" } else { "no" };
            let tried = Tried { route, version: split.candidate, shadow };
            self.rollouts.get_or_create(&tried).set(i64::from(split.share));
        }
    }

    /// How news between replicas is doing now.
    pub(crate) fn peers(&self, peers: &PeersStatus) {
        self.alone.set(i64::from(peers.alone));
        let counts = [
            ("told", peers.told),
            ("heard", peers.heard),
            ("left-out", peers.left_out),
            ("missed", peers.missed),
        ];
        for (what, count) in counts {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.sightings.get_or_create(&Sighting { what }).set(count);
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
