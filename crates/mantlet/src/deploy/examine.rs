//! What `mantlet up` would refuse and a document alone can tell, found without starting, opening or asking anything.

use std::sync::Arc;

use mantlet_gateway::{Gateway, Route, Upstream};
use mantlet_guard::{Controls, Guard};

use super::history::History;
use super::{connect, parts};
use crate::config::Loaded;

/// Where the built-in server is taken to answer.
const BUILT_IN: &str = "http://127.0.0.1:1";

/// Makes the guards and routes of a configuration, and drops them. Secrets, certificates and what is on record are not
/// looked for: they need not be on the machine where a document is written.
///
/// # Errors
/// When the configuration cannot be used, by this build or at all.
pub fn examine(loaded: &Loaded) -> anyhow::Result<()> {
    History::possible(loaded)?;
    let plain = loaded.config.gateway.routes.iter().filter(|route| route.system.is_none());
    let mut all = vec![loaded.clone()];
    all.extend(plain.map(|route| loaded.of_route(route)));
    all.extend(loaded.systems()?);
    let routes = all.iter().map(route).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Gateway::check(routes)?)
}

fn route(own: &Loaded) -> anyhow::Result<Route> {
    let gateway = &own.config.gateway;
    let guard = Guard::new(parts::guard_config(own), None, Vec::new(), Arc::new(Controls::new()))?;
    let url = if gateway.upstream == "built-in" { BUILT_IN } else { &gateway.upstream };
    let upstream = |version: &str, url: &str| Upstream {
        version: version.to_owned(),
        url: url.to_owned(),
        grpc: gateway.grpc_versions.get(version).or(gateway.grpc.as_ref()).cloned(),
        upstream_version: gateway.upstream_versions.get(version).cloned(),
        weight: 1,
        ..Upstream::default()
    };
    let mut upstreams = vec![upstream(&own.config.model.version, url)];
    upstreams.extend(gateway.versions.iter().map(|(version, url)| upstream(version, url)));
    // Which version serves, and so which may stand in for it, is on record.
    Ok(Route { fallback: None, ..connect::route(own, upstreams, Arc::new(guard)) })
}
