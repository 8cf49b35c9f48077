//! Further endpoints behind the same gateway.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use mantlet_vocab::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Rule;
use super::transport::{Calls, Json, Speaks, is_yes};
use super::{Gateway, Limit, Loaded, ModeWord};

/// An endpoint beside the model's own, with a dialect, a mode, rules and limits of its own. What is not named is as the
/// gateway has it, but for limits, which belong to one route alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name in records, metrics and keys' scopes; for `tensors` the model's name in the path.
    pub name: String,
    /// The endpoint it protects.
    pub upstream: String,
    /// What stands before the path of a call, but for `tensors`; empty for nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// What the endpoint speaks.
    #[serde(default = "tensors")]
    pub speaks: Speaks,
    /// Where it answers gRPC, when it does; for `tensors`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// Where the values stand in a message of one's own shape, for `speaks = "json"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Json>,
    /// How far automation may go here; as the gateway when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ModeWord>")]
    pub mode: Option<Mode>,
    /// Rules that differ from the gateway's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, Rule>,
    /// Limits on what callers ask for here, counted apart from those of other routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// Requests a key may make here per minute; as the gateway when absent, and counted apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Requests a key may make here at once before the rate counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// The profile that its tensors are checked against, as `mantlet protect` wrote it for the model behind it
    /// (`.mantlet/versions/VERSION/profile.json` of that system's folder); none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<PathBuf>,
    /// Whether requests and replies are read and looked at.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub inspect: bool,
    /// Whether the endpoint is spoken to in HTTP/2 without TLS telling so.
    #[serde(default)]
    pub http2: bool,
    /// A path that answers with success while it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// Headers added to each call, as its own key: name of the header, and the file that holds its value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, PathBuf>,
}

const fn tensors() -> Speaks {
    Speaks::Tensors
}

const fn yes() -> bool {
    true
}

impl Loaded {
    /// This configuration as it is for a further route: a document of one endpoint, whose other versions, pinned rules
    /// and credentials stay with the model's own.
    #[must_use]
    pub fn of_route(&self, route: &Route) -> Self {
        let mut own = self.clone();
        own.config.model.name.clone_from(&route.name);
        let of = &self.config.gateway;
        let mut rules = of.rules.clone();
        rules.extend(route.rules.clone());
        own.config.gateway = Gateway {
            upstream: route.upstream.clone(),
            versions: BTreeMap::new(),
            weights: BTreeMap::new(),
            fallback: None,
            grpc: route.grpc.clone(),
            grpc_versions: BTreeMap::new(),
            mode: route.mode.unwrap_or(of.mode),
            rules,
            limits: route.limits.clone(),
            requests_per_minute: route.requests_per_minute.unwrap_or(of.requests_per_minute),
            burst: route.burst.unwrap_or(of.burst),
            pinned: Vec::new(),
            speaks: route.speaks,
            prefix: route.prefix.clone(),
            json: route.json.clone(),
            inspect: route.inspect,
            websocket: false,
            calls: Calls {
                http2: route.http2,
                health: route.health.clone(),
                headers: route.headers.clone(),
                ..of.calls.clone()
            },
            routes: Vec::new(),
            ..of.clone()
        };
        own
    }
}

impl Gateway {
    /// Why two routes could not be told from one another, or one is none; the model's own is called `model`.
    pub(super) fn routes_fault(&self, model: &str) -> Option<String> {
        let (mut names, mut places) = (HashSet::from([model]), HashSet::new());
        let place = |speaks: Speaks, prefix: &str| {
            (speaks != Speaks::Tensors).then(|| (speaks, prefix.trim_end_matches('/').to_owned()))
        };
        places.extend(place(self.speaks, &self.prefix));
        for route in &self.routes {
            let name = &route.name;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
            if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
                return Some(format!(
                    "has the name `{name}`; it must be 1 to 64 letters, digits, `-`, `_` or `.`"
                ));
            }
            if !names.insert(name) {
                return Some(format!("has the name `{name}` twice; the model's own route has one too"));
            }
            if !route.upstream.starts_with("http://") && !route.upstream.starts_with("https://") {
                return Some(format!(
                    "has no endpoint for `{name}`: `upstream` must start with `http://` or `https://`"
                ));
            }
            if !route.prefix.is_empty() && !route.prefix.starts_with('/') {
                return Some(format!("has a prefix for `{name}` that does not start with `/`"));
            }
            if let Some(place) = place(route.speaks, &route.prefix)
                && !places.insert(place)
            {
                return Some(format!(
                    "has calls of `{name}` at the same paths as another route: give it a `prefix` of its own"
                ));
            }
            if (route.speaks == Speaks::Json) != route.json.is_some() {
                return Some(format!("needs `json` for `{name}` with `speaks = \"json\"`, and only with it"));
            }
            if route.profile.is_some() && route.speaks == Speaks::Text {
                return Some(format!(
                    "has a profile for `{name}`, whose calls are text: there is nothing to check by it"
                ));
            }
            if route.grpc.is_some() && route.speaks != Speaks::Tensors {
                return Some(format!("has `grpc` for `{name}`, which belongs to `speaks = \"tensors\"`"));
            }
            if route.requests_per_minute == Some(0) || route.burst == Some(0) {
                return Some(format!(
                    "has a rate of 0 for `{name}`; `requests_per_minute` and `burst` must be at least 1"
                ));
            }
            if let Some((rule, _)) = route.rules.iter().find(|(_, rule)| !rule.is_sensible()) {
                return Some(format!(
                    "has a score for `{rule}` on `{name}` that is never reached; scores are above 0"
                ));
            }
        }
        None
    }
}

/// What belongs to the model's own route, and why a further one has none.
const OWN: [(&str, &str); 9] = [
    ("versions", "versions"),
    ("weights", "shares of versions"),
    ("fallback", "fallback versions"),
    ("grpc_versions", "versions"),
    ("rollout", "rollouts"),
    ("pinned", "pinned rules"),
    ("record_features", "features on record"),
    ("judges", "judges of its own"),
    ("websocket", "WebSockets"),
];

/// Why a further route cannot have what its table says, in words that help more than that the key is unknown.
pub(super) fn own_fault(table: &toml::de::DeTable<'_>) -> Option<(usize, String)> {
    let gateway = table.get("gateway")?.get_ref().as_table()?;
    let routes = gateway.get("routes")?.get_ref().as_array()?;
    routes.iter().find_map(|route| {
        let table = route.get_ref().as_table()?;
        table.iter().find_map(|(key, _)| {
            let name = key.get_ref().as_ref();
            let (_, what) = OWN.iter().find(|(own, _)| *own == name)?;
            let said = format!(
                "`{name}` in `[[gateway.routes]]`: {what} are the model's own route's alone; serve this endpoint with a `mantlet up` of its own to have them"
            );
            Some((key.span().start, said))
        })
    })
}
