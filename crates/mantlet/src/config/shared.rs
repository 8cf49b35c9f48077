//! `[shared]`: what the replicas of one installation share; and limits, which they keep together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use mantlet_guard::shared::{LimitRule, Per, What};
use mantlet_replicas::{Bus, RedisOptions, Tls};
use mantlet_vocab::OnFailure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the replicas of one installation share. Without it everything is on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shared {
    /// PostgreSQL for the state and the audit log: `postgres://user@host/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// File with that address, when it holds a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_file: Option<PathBuf>,
    /// Redis or Valkey for limits and what guards saw of callers: `redis://host:6379`, or `rediss://` with TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
    /// File with that address, when it holds a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_file: Option<PathBuf>,
    /// NATS with JetStream for events and changes: `nats://host:4222`, or `tls://` with TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats: Option<String>,
    /// File with that address, when it holds a password or token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats_file: Option<PathBuf>,
    /// PEM file with the authorities that Redis and NATS are trusted by over TLS; without it the machine's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// PEM file with the client certificate shown to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file with that certificate's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Whether guards of all replicas tell one another through Redis what they see of callers.
    pub detectors: bool,
    /// Where exchange history is kept for all machines: `s3://bucket/prefix` or `gs://bucket/prefix`, with the
    /// credentials of the environment. Needs a build with the `remote` feature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// Seconds between looks for segments that are not there yet.
    pub history_seconds: u64,
    /// Begins the name of whatever is kept in shared services.
    pub prefix: String,
    /// Replicas of the gateway at most: each one's share of a limit while Redis cannot be reached is the limit divided
    /// by this.
    pub replicas: u32,
    /// How long a request waits for Redis while it is quick, in milliseconds; while it is slow, up to a quarter of
    /// `quiet_ms`.
    pub wait_ms: u64,
    /// Milliseconds without an answer after which a replica spends its own share; it refuses until then.
    pub quiet_ms: u64,
    /// Seconds for which the share of a replica out of reach stays reserved, and for which it may spend it.
    pub lease_seconds: u64,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            database: None,
            database_file: None,
            redis: None,
            redis_file: None,
            nats: None,
            nats_file: None,
            authorities: None,
            certificate: None,
            key: None,
            detectors: true,
            history: None,
            history_seconds: 30,
            prefix: "mantlet".into(),
            replicas: 3,
            wait_ms: 5,
            quiet_ms: 500,
            lease_seconds: 60,
        }
    }
}

impl Shared {
    /// The database's address, with its password.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn database_url(&self, root: &Path) -> anyhow::Result<Option<String>> {
        address("shared.database_file", self.database.as_deref(), self.database_file.as_deref(), root)
    }

    /// How limits are shared, when they are.
    ///
    /// # Errors
    /// When the file with the address cannot be read.
    pub fn redis_options(&self, root: &Path) -> anyhow::Result<Option<RedisOptions>> {
        let url = address("shared.redis_file", self.redis.as_deref(), self.redis_file.as_deref(), root)?;
        let tls = self.tls(root)?;
        Ok(url.map(|url| RedisOptions {
            tls,
            wait: Duration::from_millis(self.wait_ms),
            quiet: Duration::from_millis(self.quiet_ms),
            lease: Duration::from_secs(self.lease_seconds),
            ..RedisOptions::new(url, self.prefix.clone(), self.replicas)
        }))
    }
}

impl Shared {
    /// The same from whatever folder it is read.
    #[must_use]
    pub fn without_root(&self, root: &Path) -> Self {
        let absolute = |path: &Option<PathBuf>| path.as_ref().map(|path| super::absolute(&root.join(path)));
        Self {
            database_file: absolute(&self.database_file),
            redis_file: absolute(&self.redis_file),
            nats_file: absolute(&self.nats_file),
            authorities: absolute(&self.authorities),
            certificate: absolute(&self.certificate),
            key: absolute(&self.key),
            ..self.clone()
        }
    }

    /// Whom TLS to Redis and NATS trusts, and what it shows.
    fn tls(&self, root: &Path) -> anyhow::Result<Tls> {
        let identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((root.join(certificate), root.join(key))),
            (None, None) => None,
            _ => anyhow::bail!("`shared.certificate` and `shared.key` belong together: name both or neither"),
        };
        Ok(Tls { authorities: self.authorities.as_ref().map(|path| root.join(path)), identity })
    }
}

/// The bus between replicas, when there is one.
///
/// # Errors
/// When the file with the address cannot be read, or the address is none.
pub async fn bus(shared: &Shared, root: &Path) -> anyhow::Result<Option<Bus>> {
    let url = address("shared.nats_file", shared.nats.as_deref(), shared.nats_file.as_deref(), root)?;
    Ok(match url {
        Some(url) => Some(Bus::start(&url, &shared.prefix, &shared.tls(root)?).await?),
        None => None,
    })
}

fn address(
    key: &str,
    plain: Option<&str>,
    file: Option<&Path>,
    root: &Path,
) -> anyhow::Result<Option<String>> {
    let Some(file) = file else { return Ok(plain.map(str::to_owned)) };
    let path = root.join(file);
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("cannot read `{key}` {}", path.display()))?;
    Ok(Some(text.trim().to_owned()))
}

/// A limit, kept together by all replicas.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What is counted: requests, rows, tokens, bytes, cost or concurrency.
    #[schemars(with = "WhatWord")]
    pub what: What,
    /// Whose count it is: key, user, tenant or route.
    #[schemars(with = "PerWord")]
    pub per: Per,
    /// Units a minute; for concurrency the number at the same time. Cost in millionths of your currency.
    pub most: f64,
    /// Units at once; a minute's worth when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<f64>,
}

impl Limit {
    /// Why nothing would ever pass.
    pub(super) fn fault(&self) -> Option<String> {
        let (most, once) = (self.most, self.burst.unwrap_or(self.most));
        let sensible = |number: f64| number.is_finite() && number > 0.0;
        (!sensible(most) || !sensible(once) || once < 1.0).then(|| {
            format!(
                "would let nothing pass with `most = {most}`: it must be above 0, and `burst`, or `most` without one, at least 1"
            )
        })
    }
}

impl From<Limit> for LimitRule {
    fn from(Limit { what, per, most, burst }: Limit) -> Self {
        Self { what, per, most, burst }
    }
}

/// What happens while limits cannot be counted: refuse unless configured.
pub const ON_FAILURE: OnFailure = OnFailure::Refuse;

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used: the value type lives in the guard")]
enum WhatWord {
    Requests,
    Rows,
    Tokens,
    Bytes,
    Cost,
    Concurrency,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used: the value type lives in the guard")]
enum PerWord {
    Key,
    User,
    Tenant,
    Route,
}
