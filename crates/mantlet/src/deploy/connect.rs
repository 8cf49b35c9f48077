//! From the document to the gateway: addresses, TLS, how the upstream is called.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use mantlet_gateway::{
    Classic, Classical, GatewayConfig, Json, Kind, Oidc, Otlp, Route, Secret, Tls, Upstream, UpstreamTls,
};
use mantlet_guard::Guard;

use crate::config::Loaded;
use crate::config::transport::Speaks;

/// The gateway's configuration.
///
/// # Errors
/// When the address to listen on is none.
pub fn gateway_config(loaded: &Loaded) -> anyhow::Result<GatewayConfig> {
    let gateway = &loaded.config.gateway;
    let calls = &gateway.calls;
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| loaded.path(path));
    Ok(GatewayConfig {
        listen: gateway.listen.parse().context("`gateway.listen` is no address")?,
        max_body: gateway.max_body,
        upstream_timeout_ms: gateway.timeout_ms,
        // Each route says for itself.
        record_tensors: gateway.record_features
            || gateway.routes.iter().any(|route| route.record_features == Some(true)),
        tls: gateway.tls.as_ref().map(|tls| Tls {
            certificate: loaded.path(&tls.certificate),
            key: loaded.path(&tls.key),
            client_authorities: path(&tls.client_authorities),
            client_required: tls.client_required,
        }),
        upstream_tls: UpstreamTls {
            authorities: path(&calls.authorities),
            certificate: path(&calls.certificate),
            key: path(&calls.key),
        },
        certificates: gateway.certificates.clone(),
        oidc: gateway.oidc.as_ref().map(|oidc| Oidc {
            issuer: oidc.issuer.clone(),
            audience: oidc.audience.clone(),
            caller: oidc.caller.clone().unwrap_or_else(|| "sub".to_owned()),
            models: oidc.models.clone(),
            user: oidc.user.clone(),
            tenant: oidc.tenant.clone(),
            leeway_s: 30,
        }),
        anonymous: gateway.anonymous,
        otlp: otlp(loaded)?,
        tap: gateway.tap,
        websockets_per_caller: gateway.websockets.per_caller,
        websocket_idle_ms: gateway.websockets.idle_seconds.max(1).saturating_mul(1_000),
        breaker_failures: calls.failures,
        breaker_open_ms: calls.rest_ms,
        ..GatewayConfig::default()
    })
}

/// Where telemetry goes.
fn otlp(loaded: &Loaded) -> anyhow::Result<Option<Otlp>> {
    let Some(otlp) = &loaded.config.gateway.otlp else { return Ok(None) };
    Ok(Some(Otlp {
        endpoint: otlp.endpoint.clone(),
        headers: values(loaded, "gateway.otlp.headers", &otlp.headers)?,
        service: otlp.service.clone().unwrap_or_else(|| "mantlet".to_owned()),
        interval_ms: otlp.seconds.unwrap_or(10).clamp(1, 3_600) * 1_000,
    }))
}

/// Headers whose values stand in files of their own.
pub(super) fn values(
    loaded: &Loaded,
    key: &str,
    headers: &BTreeMap<String, PathBuf>,
) -> anyhow::Result<Vec<(String, Secret)>> {
    let value = |(name, file): (&String, &PathBuf)| {
        let file = loaded.path(file);
        let value = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}, which `{key}` names", file.display()))?;
        Ok((name.clone(), Secret(value.trim().to_owned())))
    };
    headers.iter().map(value).collect()
}

/// The route to the system's model.
pub fn route(loaded: &Loaded, upstreams: Vec<Upstream>, guard: Arc<Guard>) -> Route {
    let config = &loaded.config;
    let prefix = config.gateway.prefix.clone();
    let classic = |dialect| {
        let json = config.gateway.json.as_ref().map(|json| Json {
            path: json.path.clone(),
            inputs: json.inputs.iter().map(|find| (find.name.clone(), find.find.clone())).collect(),
            outputs: json.outputs.iter().map(|find| (find.name.clone(), find.find.clone())).collect(),
        });
        Kind::Classic(Classical { dialect, prefix: prefix.clone(), json: json.unwrap_or_default() })
    };
    let kind = match config.gateway.speaks {
        Speaks::Tensors => Kind::Tensors,
        Speaks::Text => Kind::Text { prefix: prefix.clone() },
        Speaks::TfServing => classic(Classic::TfServing),
        Speaks::Mlflow => classic(Classic::Mlflow),
        Speaks::Seldon => classic(Classic::Seldon),
        Speaks::KserveV1 => classic(Classic::Kserve),
        Speaks::Json => classic(Classic::Mapped),
    };
    let inspect = config.gateway.inspect;
    let (websocket, fallback) = (config.gateway.websocket, config.gateway.fallback.clone());
    let records = config.gateway.record_features;
    Route {
        kind,
        inspect,
        websocket,
        fallback,
        records,
        names: config.gateway.version_names.clone(),
        ..Route::new(config.model.name.clone(), upstreams, guard)
    }
}

/// How the user's own upstream is called.
///
/// # Errors
/// When a file with a header's value cannot be read.
pub fn upstream(loaded: &Loaded) -> anyhow::Result<Upstream> {
    let calls = &loaded.config.gateway.calls;
    Ok(Upstream {
        h2: calls.http2,
        health: calls.health.clone(),
        credentials: values(loaded, "gateway.calls.headers", &calls.headers)?,
        ..Upstream::default()
    })
}
