//! Further endpoints behind the same gateway.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use mantlet_vocab::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Rule;
use super::transport::{Calls, Json, Speaks, is_yes};
use super::{Gateway, Limit, Loaded, ModeWord, Rollout};

/// An endpoint beside the model's own, with a dialect, a mode, rules and limits of its own. What is not named is as the
/// gateway has it, but for limits, which belong to one route alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name in records, metrics and keys' scopes; for `tensors`, `tf-serving` and `kserve-v1` the model's name in the
    /// path.
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
    /// The folder, or document, of the system behind it: its model, data and bars. It then has versions of its own, which
    /// `mantlet protect --route NAME` admits and `mantlet registry --route NAME` puts before users, and its profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<PathBuf>,
    /// Endpoints by version, when they differ from `upstream`; with `system`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
    /// Shares of the callers, in percent, of versions beside the one that serves; with `system`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
    /// The version that is asked when the chosen one cannot be reached; with `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// Where versions answer gRPC, when it is not where `grpc` says; with `system`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grpc_versions: BTreeMap<String, String>,
    /// Names that clients pin a version by, each with the version that it stands for here, or `*` for whichever serves;
    /// without a system the version is called as the route is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version_names: BTreeMap<String, String>,
    /// What versions are called at their endpoint; a call then asks for that version there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub upstream_versions: BTreeMap<String, String>,
    /// How a version goes before its users step by step; as the system's own document says when absent. With `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Whether its exchanges go to the record with their features; as the gateway when absent. With `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_features: Option<bool>,
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
    /// This configuration as it is for a further route: a document of one endpoint, whose pinned rules and credentials
    /// stay with the model's own.
    #[must_use]
    pub fn of_route(&self, route: &Route) -> Self {
        let mut own = self.clone();
        own.config.model.name.clone_from(&route.name);
        let of = &self.config.gateway;
        let mut rules = of.rules.clone();
        rules.extend(route.rules.clone());
        own.config.gateway = Gateway {
            upstream: route.upstream.clone(),
            versions: route.versions.clone(),
            weights: route.weights.clone(),
            fallback: route.fallback.clone(),
            grpc: route.grpc.clone(),
            grpc_versions: route.grpc_versions.clone(),
            version_names: route.version_names.clone(),
            upstream_versions: route.upstream_versions.clone(),
            record_features: route.record_features.unwrap_or(of.record_features),
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
            let built_in = route.upstream == "built-in";
            if built_in && (route.system.is_none() || route.speaks != Speaks::Tensors) {
                return Some(format!(
                    "has the built-in server behind `{name}`, which needs a `system` and `speaks = \"tensors\"`"
                ));
            }
            if !built_in && !route.upstream.starts_with("http://") && !route.upstream.starts_with("https://")
            {
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
            if let Some(fault) = route.system_fault() {
                return Some(fault);
            }
            if route.grpc.is_some() && (built_in || route.speaks != Speaks::Tensors) {
                return Some(format!("has `grpc` for `{name}`, which belongs to `speaks = \"tensors\"`"));
            }
            if route.requests_per_minute == Some(0) || route.burst == Some(0) {
                return Some(format!(
                    "has a rate of 0 for `{name}`; `requests_per_minute` and `burst` must be at least 1"
                ));
            }
            if let Some(fault) = route.limits.iter().find_map(Limit::fault) {
                return Some(format!("has a limit for `{name}` that {fault}"));
            }
            if let Some(fault) = names_fault(&route.upstream, &route.version_names, &route.upstream_versions)
            {
                return Some(format!("has names of versions for `{name}` that cannot hold: {fault}"));
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

impl Route {
    /// Why what it says of versions cannot hold.
    fn system_fault(&self) -> Option<String> {
        let name = &self.name;
        if self.system.is_some() && self.profile.is_some() {
            return Some(format!(
                "has a profile for `{name}`, whose `system` has one of its own: keep one of them"
            ));
        }
        let of_a_system = [
            ("versions", !self.versions.is_empty()),
            ("weights", !self.weights.is_empty()),
            ("fallback", self.fallback.is_some()),
            ("grpc_versions", !self.grpc_versions.is_empty()),
            ("rollout", self.rollout.is_some()),
            ("record_features", self.record_features.is_some()),
        ];
        if self.system.is_none()
            && let Some((key, _)) = of_a_system.iter().find(|(_, said)| *said)
        {
            return Some(format!(
                "has `{key}` for `{name}`, whose versions nobody examined: name the folder of its system, `system = \"../{name}\"`"
            ));
        }
        if !shares_are_sensible(&self.weights) {
            return Some(format!(
                "has weights for `{name}` that are no shares of the callers in percent: each at least 0.01, and 100 together at most"
            ));
        }
        if self.system.is_none()
            && let Some(version) = self
                .version_names
                .values()
                .chain(self.upstream_versions.keys())
                .find(|version| *version != name && *version != "*")
        {
            return Some(format!(
                "names the version `{version}` of `{name}`, whose only version is called `{name}` as long as it has no `system`"
            ));
        }
        let nowhere =
            |version: &&String| self.upstream != "built-in" && !self.versions.contains_key(*version);
        let lost = self.weights.keys().find(nowhere)?;
        Some(format!("gives `{lost}` a share on `{name}`, where it has no endpoint: add it to `versions`"))
    }
}

impl Gateway {
    /// Why names of versions cannot hold.
    pub(super) fn names_fault(&self) -> Option<String> {
        names_fault(&self.upstream, &self.version_names, &self.upstream_versions)
    }
}

/// Why what clients and an endpoint call versions cannot stand in a path.
fn names_fault(
    upstream: &str,
    names: &BTreeMap<String, String>,
    there: &BTreeMap<String, String>,
) -> Option<String> {
    let plain = |name: &str| {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
        (1..=64).contains(&name.len()) && name.chars().all(part) && name.chars().any(|c| c != '.')
    };
    if upstream == "built-in" && !there.is_empty() {
        return Some(
            "`upstream_versions` are of an endpoint of your own; the built-in server needs none".into(),
        );
    }
    let versions = names.values().filter(|version| *version != "*");
    let mut all = names.keys().chain(versions).chain(there.keys()).chain(there.values());
    let odd = all.find(|name| !plain(name))?;
    Some(format!(
        "names `{odd}`; it must be 1 to 64 letters, digits, `-`, `_` or `.`, or `*` for whichever serves"
    ))
}

/// Whether these are shares of the callers, in percent. What is no number is no share either.
pub(super) fn shares_are_sensible(shares: &BTreeMap<String, f64>) -> bool {
    shares.values().all(|share| (0.01..=100.0).contains(share)) && shares.values().sum::<f64>() <= 100.0
}

/// What belongs to the model's own route, and why a further one has none.
const OWN: [(&str, &str); 3] =
    [("pinned", "pinned rules"), ("judges", "judges of its own"), ("websocket", "WebSockets")];

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
