//! What an installation is put together from: versions that may serve, where they answer, the guard before them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mantlet_detectors::{PinnedRule, Profile};
use mantlet_gateway::{Route, Upstream};
use mantlet_guard::{Controls, Guard, GuardConfig, RateLimit, RulePolicy, StepUp, WindowJudge};
use mantlet_registry::{ModelVersion, RegistryStore as _, State};
use mantlet_serve::{ServeConfig, Served, Server};
use mantlet_store::{RecordKind, Store};
use mantlet_vocab::{Impact, OnFailure};
use mantlet_worker::judge::{HttpJudge, JudgeConfig};

use super::connect;
use crate::config::text::{Judge, Says};
use crate::config::{self, Loaded, ON_FAILURE};
use crate::protect::{admit, subject};

/// Versions that may serve: those on record as serving, known-good or admitted.
pub(super) async fn servable(
    loaded: &Loaded,
    store: &Store,
    gaps: &mut Vec<String>,
) -> anyhow::Result<Vec<ModelVersion>> {
    let config = &loaded.config;
    let versions = store.versions(&config.system.name).await?;
    let may =
        |version: &ModelVersion| matches!(version.state, State::Serving | State::KnownGood | State::Admitted);
    let versions: Vec<ModelVersion> = versions.into_iter().filter(may).collect();
    let serving = versions.iter().any(|version| version.state == State::Serving);
    let root = loaded.words();
    if config.gateway.upstream == "built-in" {
        anyhow::ensure!(
            serving,
            "no version of {} serves: run `mantlet protect {root}`, then `mantlet registry promote {} {root} --user NAME`{}",
            config.system.name,
            config.model.version,
            if config.system.impact >= Impact::High {
                " after another person's `mantlet registry approve`"
            } else {
                ""
            }
        );
    } else if !serving {
        gaps.push(format!(
            "no version of {} was admitted and promoted: what answers at {} was not examined",
            config.system.name, config.gateway.upstream
        ));
    }
    Ok(versions)
}

/// The built-in server over every servable version, or the address of the user's own.
pub(super) async fn upstreams(
    loaded: &Loaded,
    versions: &[ModelVersion],
) -> anyhow::Result<(Option<Server>, Vec<Upstream>)> {
    let config = &loaded.config;
    if config.gateway.upstream != "built-in" {
        let version = versions.iter().find(|version| version.state == State::Serving);
        let serving = version.map_or_else(|| config.model.version.clone(), |version| version.version.clone());
        let own = &config.gateway.versions;
        let like = connect::upstream(loaded)?;
        let upstream = |version: &str, url: &str, weight| Upstream {
            version: version.to_owned(),
            url: url.to_owned(),
            grpc: config
                .gateway
                .grpc_versions
                .get(version)
                .or(if version == serving { config.gateway.grpc.as_ref() } else { None })
                .cloned(),
            upstream_version: config.gateway.upstream_versions.get(version).cloned(),
            weight,
            ..like.clone()
        };
        let url = own.get(&serving).unwrap_or(&config.gateway.upstream);
        let mut upstreams = vec![upstream(&serving, url, 1)];
        let others = own.iter().filter(|(version, _)| **version != serving);
        upstreams.extend(others.map(|(version, url)| upstream(version, url, 0)));
        return Ok((None, upstreams));
    }
    let mut served = Vec::new();
    for version in versions {
        let model = subject::run_as_data(&version.path)
            .with_context(|| format!("version {} cannot be served", version.version))?;
        served.push(Served { version: version.version.clone(), model });
    }
    let serving = versions.iter().find(|version| version.state == State::Serving);
    let settings = ServeConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        name: config.model.name.clone(),
        default_version: serving.map(|version| version.version.clone()),
        max_body: config.gateway.max_body,
    };
    let server = Server::start(settings, served).await?;
    let url = format!("http://{}", server.address());
    let each = versions.iter().map(|version| Upstream {
        version: version.version.clone(),
        url: url.clone(),
        upstream_version: Some(version.version.clone()),
        weight: u32::from(version.state == State::Serving),
        ..Upstream::default()
    });
    let upstreams = each.collect();
    Ok((Some(server), upstreams))
}

pub(super) async fn guard(
    loaded: &Loaded,
    store: &Store,
    versions: &[ModelVersion],
    controls: Arc<Controls>,
    gaps: &mut Vec<String>,
) -> anyhow::Result<Guard> {
    let config = &loaded.config;
    let serving = versions.iter().find(|version| version.state == State::Serving);
    let name = serving.map_or(config.model.version.as_str(), |version| version.version.as_str());
    let folder = admit::version_folder(loaded, name);
    let path = folder.join(admit::PROFILE);
    let mut lacking = false;
    let profile = match std::fs::read(&path) {
        Ok(bytes) => {
            let profile: Profile = serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is no profile: run `mantlet protect` again", path.display()))?;
            Some(Arc::new(profile))
        }
        Err(_) if admit::has_learned_profile(&folder) => {
            lacking = true;
            gaps.push(format!(
                "the profile {} is missing: every rule that needs it fails, as `gateway.on_failure` says; run `mantlet protect`",
                path.display()
            ));
            None
        }
        Err(_) => {
            gaps.push(
                "there is no profile of the training data: only identity, limits and controls are in force; name \
                 `data.train` and run `mantlet protect`"
                    .to_owned(),
            );
            None
        }
    };
    let mut pinned = super::pinned::read(loaded, profile.as_deref())?;
    for record in store.records(RecordKind::GuardRule, Some(&config.system.name), 1_000).await? {
        if record.state == "active" {
            let rule = serde_json::from_value::<PinnedRule>(record.doc)?;
            if pinned.iter().all(|other| other.id != rule.id) {
                pinned.push(rule);
            }
        }
    }
    let guard = Guard::new(guard_config(loaded), profile, pinned, controls)?.with_judges(judges(loaded)?);
    let guard = if lacking { guard.lacking_profile() } else { guard };
    proving(loaded, store, guard)
}

/// The guards of further routes without a system of their own and where each leads, in the document's order. Controls on callers and on the decision
/// path are those of the model's own route.
pub(super) fn further(
    loaded: &Loaded,
    store: &Store,
    controls: &Arc<Controls>,
) -> anyhow::Result<Vec<Route>> {
    let route = |route: &config::Route| {
        let own = loaded.of_route(route);
        let controls = Arc::new(Controls::beside_those(controls.clone()));
        let profile = route.profile.as_ref().map(|file| profile_of(&loaded.path(file))).transpose()?;
        let guard = Guard::new(guard_config(&own), profile, Vec::new(), controls)?.with_judges(judges(&own)?);
        let guard = Arc::new(proving(&own, store, guard)?);
        let upstream = Upstream {
            version: route.name.clone(),
            url: route.upstream.clone(),
            grpc: route.grpc.clone(),
            upstream_version: route.upstream_versions.get(&route.name).cloned(),
            weight: 1,
            ..connect::upstream(&own)?
        };
        // Its numbers are of another model than the monitors know.
        Ok(Route { records: false, ..connect::route(&own, vec![upstream], guard) })
    };
    let plain = loaded.config.gateway.routes.iter().filter(|route| route.system.is_none());
    plain.map(route).collect()
}

/// A profile that `mantlet protect` wrote elsewhere.
fn profile_of(path: &Path) -> anyhow::Result<Arc<Profile>> {
    let bytes = std::fs::read(path).with_context(|| {
        format!("cannot read the profile {}, which `gateway.routes` names", path.display())
    })?;
    let profile = serde_json::from_slice(&bytes);
    let profile: Profile = profile.with_context(|| {
        format!("{} is no profile: name one that `mantlet protect` wrote", path.display())
    })?;
    Ok(Arc::new(profile))
}

pub(super) fn guard_config(loaded: &Loaded) -> GuardConfig {
    let config = &loaded.config;
    let impact = config.system.impact;
    let of_text = mantlet_detectors::text::text_abouts();
    let rules = mantlet_detectors::configurable().into_iter().chain(of_text).filter_map(|about| {
        let own = config.gateway.rules.get(about.name);
        if own.is_none() && config.gateway.on_failure.is_none() {
            return None;
        }
        let mut rule = RulePolicy::for_rule(about.name, impact);
        rule.on_failure = config.gateway.on_failure.unwrap_or(rule.on_failure);
        if let Some(own) = own {
            own.apply(&mut rule);
        }
        Some((about.name.to_owned(), rule))
    });
    let mut rules: BTreeMap<String, RulePolicy> = rules.collect();
    for (name, own) in &config.gateway.rules {
        // A name no detector has is for the guard to refuse by name.
        rules.entry(name.clone()).or_insert_with(|| {
            let built_in = RulePolicy::for_rule(name, impact);
            let mut rule = RulePolicy { on_failure: OnFailure::PassAndFlag, ..built_in };
            own.apply(&mut rule);
            rule
        });
    }
    for (name, score) in &config.gateway.step_up.rules {
        let rule = rules.entry(name.clone()).or_insert_with(|| RulePolicy::for_rule(name, impact));
        rule.step_up = Some(*score);
    }
    for judge in &config.gateway.judges {
        let mut rule = RulePolicy::for_rule(&judge.name, impact);
        let at = Some(1.0);
        match judge.says {
            Says::Flag => {}
            Says::Throttle => rule.throttle = at,
            Says::Divert => rule.divert = at,
            Says::Refuse => rule.refuse = at,
        }
        let blocking = if impact >= Impact::High && judge.says != Says::Flag {
            OnFailure::Refuse
        } else {
            OnFailure::PassAndFlag
        };
        rule.on_failure = judge.on_failure.or(config.gateway.on_failure).unwrap_or(blocking);
        if let Some(own) = config.gateway.rules.get(&judge.name) {
            own.apply(&mut rule);
        }
        rules.insert(judge.name.clone(), rule);
    }
    GuardConfig {
        judges: config.gateway.judges.iter().map(|judge| judge.name.clone()).collect(),
        system: config.system.name.clone(),
        route: config.model.name.clone(),
        impact,
        mode: config.gateway.mode,
        limit: Some(RateLimit {
            per_minute: f64::from(config.gateway.requests_per_minute),
            burst: config.gateway.burst,
        }),
        limits: config.gateway.limits.iter().map(|limit| (*limit).into()).collect(),
        prices: config.gateway.prices.iter().map(|(model, price)| (model.clone(), (*price).into())).collect(),
        reply_tokens: config.gateway.reply_tokens.unwrap_or(GuardConfig::default().reply_tokens),
        limits_on_failure: config.gateway.limits_on_failure.unwrap_or(ON_FAILURE),
        upstream_on_failure: config.gateway.upstream_on_failure.unwrap_or(OnFailure::Refuse),
        record_on_failure: config.gateway.record_on_failure.unwrap_or(OnFailure::PassAndFlag),
        replicas_on_failure: config.gateway.replicas_on_failure.unwrap_or(OnFailure::PassAndFlag),
        rules,
        text: config.gateway.text.rules(),
        text_bytes: config.gateway.text_bytes.unwrap_or(GuardConfig::default().text_bytes),
        text_micros: config.gateway.text_micros.unwrap_or(GuardConfig::default().text_micros),
        tensor_values: config.gateway.tensor_values.unwrap_or(GuardConfig::default().tensor_values),
        tensor_micros: config.gateway.tensor_micros.unwrap_or(GuardConfig::default().tensor_micros),
        ..GuardConfig::default()
    }
}

/// The guard with what callers prove again.
fn proving(loaded: &Loaded, store: &Store, guard: Guard) -> anyhow::Result<Guard> {
    let step_up = &loaded.config.gateway.step_up;
    if step_up.rules.is_empty() {
        return Ok(guard);
    }
    let key = store.derived_key("step-up challenges")?;
    let (within, valid) = (step_up.answer_seconds.max(1) * 1_000, step_up.valid_seconds * 1_000);
    Ok(guard.with_step_up(StepUp::new(key, within, valid)))
}

/// The judges behind endpoints that are configured.
fn judges(loaded: &Loaded) -> anyhow::Result<Vec<Arc<dyn WindowJudge>>> {
    let judge = |judge: &Judge| {
        let headers = connect::values(loaded, "gateway.judges.headers", &judge.headers)?;
        let made = HttpJudge::new(JudgeConfig {
            name: judge.name.clone(),
            endpoint: judge.endpoint.clone(),
            headers: headers.into_iter().map(|(name, value)| (name, value.0)).collect(),
            threshold: judge.threshold,
            window: judge.window.max(64),
            lag: judge.lag,
            timeout: Duration::from_millis(judge.timeout_ms.clamp(1, 60_000)),
            at_once: judge.at_once,
        })?;
        Ok(Arc::new(made) as Arc<dyn WindowJudge>)
    };
    loaded.config.gateway.judges.iter().map(judge).collect()
}
