//! A configuration in force: checked once, then only read.
//!
//! Long because a route, its versions and where each is asked are checked together.

use std::collections::HashMap;
use std::sync::Arc;

use http::Uri;
use http::header::{HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use mantlet_vocab::Digest;
use mantlet_wire::classic::{Classic, ClassicCall, Mapping, classic_call};
use rustls::ServerConfig;

use crate::metrics::Counts;
use crate::upstream::Known;
use crate::upstream::breaker::Breaker;
use crate::upstream::direct::Lanes;
use crate::{GatewayConfig, GatewayError, Kind, Route, Upstream};

/// One generation of the configuration.
pub(crate) struct Live {
    pub(crate) config: GatewayConfig,
    pub(crate) routes: HashMap<String, Arc<LiveRoute>>,
    /// Routes of text and of classic dialects, those with the longest prefix first.
    pub(crate) prefixed: Vec<Arc<LiveRoute>>,
    pub(crate) generation: u64,
    pub(crate) limits: mantlet_wire::Limits,
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// A route with its upstreams' addresses taken apart.
pub(crate) struct LiveRoute {
    pub(crate) route: Route,
    pub(crate) targets: Vec<Target>,
    /// Where the values of a message of one's own shape stand.
    pub(crate) mapping: Option<Mapping>,
    total: u64,
    /// The place of the only version that takes traffic by weight, when there is one.
    only: Option<usize>,
}

/// A version and where it answers.
pub(crate) struct Target {
    pub(crate) upstream: Upstream,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) credentials: Vec<(HeaderName, HeaderValue)>,
    /// Its connections, when it speaks HTTP/1.1 without TLS.
    pub(crate) lanes: Option<Arc<Lanes>>,
    /// What `Host` is there.
    pub(crate) host: HeaderValue,
    /// Its address without a path.
    pub(crate) address: Uri,
    /// Where inference is asked for.
    infer: Uri,
    scheme: Scheme,
    authority: Authority,
    /// What stands before the path of a call, without a slash at its end.
    base: String,
    model: String,
    /// Where it answers gRPC.
    pub(crate) grpc: Option<Grpc>,
    /// What became of exchanges it answered.
    pub(crate) counts: Counts,
}

/// Where a version answers gRPC.
pub(crate) struct Grpc {
    pub(crate) breaker: Arc<Breaker>,
    scheme: Scheme,
    authority: Authority,
}

/// Why a version cannot be had.
pub(crate) enum NoVersion {
    /// The client asked for one that does not take traffic.
    NotServed,
    /// The chosen one has no upstream.
    NotConfigured,
}

impl Live {
    pub(crate) fn new(
        config: GatewayConfig,
        routes: Vec<Route>,
        generation: u64,
        known: &Known,
    ) -> Result<Self, GatewayError> {
        let mut live = HashMap::new();
        let mut prefixed = Vec::new();
        for route in routes {
            let targets = route
                .upstreams
                .iter()
                .map(|u| Target::new(u, &route, known))
                .collect::<Result<Vec<_>, _>>()?;
            let total = route.upstreams.iter().map(|upstream| u64::from(upstream.weight)).sum();
            if total == 0 {
                return Err(GatewayError::NoUpstream { model: route.model });
            }
            if let Some(version) = &route.fallback
                && !route.upstreams.iter().any(|upstream| upstream.version == *version)
            {
                let version = version.clone();
                return Err(GatewayError::Fallback { model: route.model, version });
            }
            let model = route.model.clone();
            let own_paths = route.kind != Kind::Tensors;
            let mapping = mapping(&route)?;
            if matches!(route.kind, Kind::Text { .. }) && route.inspect {
                route.guard.text_rules().prepare();
            }
            let mut weighty = (0..targets.len()).filter(|place| targets[*place].upstream.weight > 0);
            let only = weighty.next().filter(|_| weighty.next().is_none());
            let route = Arc::new(LiveRoute { route, targets, mapping, total, only });
            if own_paths {
                prefixed.push(Arc::clone(&route));
            }
            if live.insert(model.clone(), route).is_some() {
                return Err(GatewayError::DoubledRoute { model });
            }
        }
        prefixed.sort_by_key(|route| std::cmp::Reverse(route.prefix().len()));
        let limits =
            mantlet_wire::Limits { bytes: config.max_body.max(config.max_reply), ..Default::default() };
        let tls = config.tls.as_ref().map(crate::tls::Tls::server).transpose()?;
        Ok(Self { config, routes: live, prefixed, generation, limits, tls })
    }

    /// The route of text whose prefix a path begins with, and the rest of the path.
    pub(crate) fn text_route<'a>(&self, path: &'a str) -> Option<(&Arc<LiveRoute>, &'a str)> {
        self.prefixed.iter().filter(|route| matches!(route.route.kind, Kind::Text { .. })).find_map(|route| {
            let rest = path.strip_prefix(route.prefix())?;
            rest.starts_with('/').then_some((route, rest))
        })
    }

    /// The route that lets a path become a WebSocket, and the rest of the path.
    pub(crate) fn upgrade_route<'a>(&self, path: &'a str) -> Option<(&Arc<LiveRoute>, &'a str)> {
        let (route, rest) = self.prefixed.iter().find_map(|route| {
            let rest = path.strip_prefix(route.prefix())?;
            rest.starts_with('/').then_some((route, rest))
        })?;
        route.route.websocket.then_some((route, rest))
    }

    /// Routes that answer gRPC.
    pub(crate) fn grpc_routes(&self) -> impl Iterator<Item = &Arc<LiveRoute>> {
        self.routes.values().filter(|route| {
            route.route.kind == Kind::Tensors && route.targets.iter().any(|target| target.grpc.is_some())
        })
    }

    /// The route of a classic dialect that a call is of, and what it asks.
    pub(crate) fn classic_route(&self, method: &str, path: &str) -> Option<(&Arc<LiveRoute>, Asked)> {
        self.prefixed.iter().find_map(|route| {
            let Kind::Classic(classic) = &route.route.kind else { return None };
            let rest = path.strip_prefix(route.prefix())?;
            let call = classic_call(classic.dialect, method, rest)?;
            let own = call.model.as_ref().is_none_or(|model| *model == route.route.model);
            let here = classic.dialect != Classic::Mapped || (rest == classic.json.path && method == "POST");
            (own && here).then(|| (route, Asked { dialect: classic.dialect, call, path: rest.to_owned() }))
        })
    }
}

impl Live {
    /// The model that a call in a classic dialect names, where a route speaks that dialect and has another one.
    pub(crate) fn classic_stranger(&self, method: &str, path: &str) -> Option<(Classic, String)> {
        self.prefixed.iter().find_map(|route| {
            let Kind::Classic(classic) = &route.route.kind else { return None };
            let call = classic_call(classic.dialect, method, path.strip_prefix(route.prefix())?)?;
            call.model.map(|model| (classic.dialect, model))
        })
    }
}

/// A call in a classic dialect.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) dialect: Classic,
    pub(crate) call: ClassicCall,
    /// The path behind the route's prefix.
    pub(crate) path: String,
}

/// The queries of a message of one's own shape.
fn mapping(route: &Route) -> Result<Option<Mapping>, GatewayError> {
    let Kind::Classic(classic) = &route.kind else { return Ok(None) };
    if classic.dialect != Classic::Mapped {
        return Ok(None);
    }
    let fault = |why: String| GatewayError::Json { model: route.model.clone(), why };
    let json = &classic.json;
    if !json.path.starts_with('/') || classic_call(Classic::Mapped, "POST", &json.path).is_none() {
        return Err(fault(format!("`{}` is no path of plain segments, as `/score`", json.path)));
    }
    if json.inputs.is_empty() {
        return Err(fault(
            "no query finds an input; say at least one, as `amount = \"$.amount\"`".to_owned(),
        ));
    }
    Mapping::new(&json.inputs, &json.outputs).map(Some).map_err(|error| fault(error.to_string()))
}

impl LiveRoute {
    pub(crate) fn prefix(&self) -> &str {
        match &self.route.kind {
            Kind::Text { prefix } => prefix.trim_end_matches('/'),
            Kind::Classic(classic) => classic.prefix.trim_end_matches('/'),
            Kind::Tensors => "",
        }
    }

    /// The version that is asked when this one cannot be, unless a person or playbook has chosen this one.
    pub(crate) fn fallback(&self, target: &Target) -> Option<&Target> {
        if self.route.fallback.is_none() || !self.route.guard.controls().may_fall_back() {
            return None;
        }
        let version = self.route.fallback.as_ref().filter(|version| **version != target.upstream.version)?;
        self.targets.iter().find(|target| target.upstream.version == *version)
    }

    /// The version that a client means by a name; none for whichever answers.
    fn known_as<'a>(&'a self, named: &'a str) -> Option<&'a str> {
        let version = self.route.names.get(named).map_or(named, String::as_str);
        Some(version).filter(|version| *version != "*")
    }

    /// The version that answers a caller: the one being rolled out, for the callers it has; the one chosen by a person
    /// or playbook; else the one the path names, when it takes traffic; else by weight, the same for the same caller.
    pub(crate) fn target(&self, caller: &str, named: Option<&str>) -> Result<&Target, NoVersion> {
        let named = named.and_then(|named| self.known_as(named));
        let find = |version: &str| self.targets.iter().find(|target| target.upstream.version == version);
        let controls = self.route.guard.controls();
        // A version that has no endpoint here yet is not tried; its callers get the one that serves.
        if let Some(canary) = controls.canary(caller)
            && named.is_none_or(|named| named == canary)
            && let Some(target) = find(&canary)
        {
            return Ok(target);
        }
        if let Some(chosen) = controls.version() {
            if named.is_some_and(|named| named != chosen) {
                return Err(NoVersion::NotServed);
            }
            return find(&chosen).ok_or(NoVersion::NotConfigured);
        }
        if let Some(named) = named {
            return find(named).filter(|target| target.upstream.weight > 0).ok_or(NoVersion::NotServed);
        }
        if let Some(only) = self.only.and_then(|place| self.targets.get(place)) {
            return Ok(only);
        }
        // The digest is even and the same on every replica and in every build.
        let digest = Digest::of(caller.as_bytes());
        let place = digest.0.iter().take(8).fold(0_u64, |place, byte| place << 8 | u64::from(*byte));
        let mut place = place % self.total.max(1);
        for target in &self.targets {
            match place.checked_sub(u64::from(target.upstream.weight)) {
                Some(rest) => place = rest,
                None => return Ok(target),
            }
        }
        Err(NoVersion::NotConfigured)
    }
}

impl LiveRoute {
    /// Where copies of requests go, while a version is tried in the shadow.
    pub(crate) fn shadow(&self) -> Option<&Target> {
        let version = self.route.guard.controls().shadow()?;
        self.targets.iter().find(|target| target.upstream.version == version)
    }

    /// Where a version answers.
    pub(crate) fn of_version(&self, version: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.upstream.version == version)
    }
}

/// An address of gRPC, which has no path.
fn grpc(url: &str, known: &Known) -> Result<Grpc, GatewayError> {
    let fault = || GatewayError::Url { url: url.to_owned() };
    let parts = url.parse::<Uri>().map_err(|_| fault())?.into_parts();
    let bare = parts.path_and_query.as_ref().is_none_or(|path| path.as_str() == "/");
    match (parts.scheme, parts.authority) {
        (Some(scheme), Some(authority)) if bare && (scheme == Scheme::HTTP || scheme == Scheme::HTTPS) => {
            Ok(Grpc { breaker: known.breakers.of(url), scheme, authority })
        }
        _ => Err(fault()),
    }
}

impl Grpc {
    /// The address of a method, `/inference.GRPCInferenceService/ModelInfer`.
    pub(crate) fn uri(&self, method: &str) -> Option<Uri> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(method)
            .build()
            .ok()
    }
}

impl Target {
    /// The name and version of the model there, when they are not those a message of gRPC has already.
    pub(crate) fn renames(&self, model: &str, version: Option<&str>) -> Option<(&str, Option<&str>)> {
        // A version that only this gateway knows is left out.
        let wanted = self.upstream.upstream_version.as_deref();
        (self.model != model || wanted != version).then_some((self.model.as_str(), wanted))
    }

    fn new(upstream: &Upstream, route: &Route, known: &Known) -> Result<Self, GatewayError> {
        let fault = || GatewayError::Url { url: upstream.url.clone() };
        let uri: Uri = upstream.url.parse().map_err(|_| fault())?;
        let parts = uri.into_parts();
        let base = parts.path_and_query.as_ref().map_or("", |path| path.as_str()).trim_end_matches('/');
        // Tensors are asked for at a path that is known; a base path in their address would be a mistake.
        if base.contains('?') || (route.kind == Kind::Tensors && !base.is_empty()) {
            return Err(fault());
        }
        let grpc = upstream.grpc.as_ref().map(|url| grpc(url, known)).transpose()?;
        let credentials = upstream.credentials.iter().map(|(name, value)| {
            let fault = |_| GatewayError::Credential { name: name.clone() };
            let parsed = HeaderName::try_from(name.as_str()).map_err(|_| fault(()))?;
            let mut value = HeaderValue::try_from(value.0.as_str()).map_err(|_| fault(()))?;
            value.set_sensitive(true);
            Ok((parsed, value))
        });
        let credentials = credentials.collect::<Result<Vec<_>, GatewayError>>()?;
        match (parts.scheme, parts.authority) {
            (Some(scheme), Some(authority)) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => {
                let lanes = (scheme == Scheme::HTTP && !upstream.h2).then(|| known.lanes.of(&upstream.url));
                // Without a name of a user, and without the port that is meant anyway.
                let host = match authority.port() {
                    Some(port) if port.as_u16() != 80 => format!("{}:{port}", authority.host()),
                    _ => authority.host().to_owned(),
                };
                let mut target = Self {
                    model: upstream.model.clone().unwrap_or_else(|| route.model.clone()),
                    upstream: upstream.clone(),
                    breaker: known.breakers.of(&upstream.url),
                    credentials,
                    lanes,
                    host: HeaderValue::try_from(host).map_err(|_| fault())?,
                    address: Uri::default(),
                    infer: Uri::default(),
                    base: base.to_owned(),
                    grpc,
                    counts: Counts::default(),
                    scheme,
                    authority,
                };
                target.address = target.absolute(PathAndQuery::from_static("/")).ok_or_else(fault)?;
                if route.kind == Kind::Tensors {
                    target.infer = target.made("/infer").ok_or_else(fault)?;
                }
                Ok(target)
            }
            _ => Err(fault()),
        }
    }

    /// Closes connections that have waited for too long.
    pub(crate) fn sweep(&self) {
        if let Some(lanes) = &self.lanes {
            lanes.sweep();
        }
    }

    /// The address of a call about the model; `verb` is empty or begins with a slash.
    pub(crate) fn uri(&self, verb: &str) -> Option<Uri> {
        if verb == "/infer" { Some(self.infer.clone()) } else { self.made(verb) }
    }

    fn made(&self, verb: &str) -> Option<Uri> {
        let path = match &self.upstream.upstream_version {
            Some(version) => format!("/v2/models/{}/versions/{version}{verb}", self.model),
            None => format!("/v2/models/{}{verb}", self.model),
        };
        self.server_uri(path)
    }

    /// A path of a classic dialect as this version is asked for it: its own names for model and version stand in the
    /// place of the route's.
    pub(crate) fn classic(&self, asked: &Asked) -> String {
        let named = self.upstream.model.is_some() || self.upstream.upstream_version.is_some();
        let Some(rest) = asked.path.strip_prefix("/v1/models/").filter(|_| named) else {
            return asked.path.clone();
        };
        let (rest, verb) = rest.split_once(':').map_or((rest, ""), |(rest, verb)| (rest, verb));
        let metadata = if rest.ends_with("/metadata") { "/metadata" } else { "" };
        let model = &self.model;
        let version = match &self.upstream.upstream_version {
            Some(version) if asked.dialect == Classic::TfServing => format!("/versions/{version}"),
            _ => String::new(),
        };
        let verb = if verb.is_empty() { String::new() } else { format!(":{verb}") };
        format!("/v1/models/{model}{version}{metadata}{verb}")
    }

    /// The address of a path below the base address.
    pub(crate) fn below(&self, path: &str) -> Option<Uri> {
        self.server_uri(format!("{}{path}", self.base))
    }

    /// The full address of a path below the base address.
    pub(crate) fn whole(&self, path: &str) -> Option<Uri> {
        self.absolute(PathAndQuery::try_from(format!("{}{path}", self.base)).ok()?)
    }

    /// Where a path is: as the first line of a request over its own connection says it, or in full.
    fn server_uri(&self, path: String) -> Option<Uri> {
        let path = PathAndQuery::try_from(path).ok()?;
        if self.lanes.is_some() { Some(Uri::from(path)) } else { self.absolute(path) }
    }

    fn absolute(&self, path: PathAndQuery) -> Option<Uri> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .ok()
    }
}
