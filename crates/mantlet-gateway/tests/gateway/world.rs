//! A model, a server, a gateway with ports that remember, and a client.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mantlet_detectors::{Learning, Profile};
use mantlet_gateway::{
    Clock, Gateway, GatewayConfig, KeyLookup, Keys, Ports, Reviewed, Reviews, Route, Soon, Ticket, Upstream,
};
use mantlet_guard::shared::InMemory;
use mantlet_guard::{Controls, Events, Guard, GuardConfig, GuardEvent, Overloaded, Recorder};
use mantlet_model::{Dtype, Heads, Model, ModelError, Port, Signature};
use mantlet_serve::{ServeConfig, Served, Server};
use mantlet_vocab::{Exchange, Impact, Millis, NamedValue, Tensor, TreeEnsemble, Value};

/// Two classes by the sign of the sum of a row; `bias` tells versions apart.
pub(crate) struct Sums {
    signature: Signature,
    heads: Heads,
    bias: f32,
}

impl Sums {
    pub(crate) fn model(bias: f32) -> Arc<dyn Model> {
        let port =
            |name: &str, width| Port { name: name.into(), dtype: Dtype::F32, shape: vec![None, Some(width)] };
        Arc::new(Self {
            signature: Signature { inputs: vec![port("x", 4)], outputs: vec![port("p", 2)] },
            heads: Heads::default(),
            bias,
        })
    }
}

impl Model for Sums {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn infer(&self, inputs: &[NamedValue]) -> Result<Vec<NamedValue>, ModelError> {
        let x = inputs[0].value.to_f32().unwrap();
        let rows = x.rows();
        let data = (0..rows)
            .flat_map(|row| {
                let sum = x.row(row).iter().sum::<f32>() + self.bias;
                [0.5 - sum.tanh() / 2.0, 0.5 + sum.tanh() / 2.0]
            })
            .collect();
        Ok(vec![NamedValue { name: "p".into(), value: Value::F32(Tensor::new([rows, 2], data).unwrap()) }])
    }
    fn differentiable(&self) -> Result<(), Vec<String>> {
        Err(vec![])
    }
    fn last_layer(&self) -> Option<(String, Tensor)> {
        None
    }
    fn margins(&self, _: &[NamedValue], _: &[NamedValue], _: &[usize]) -> Result<Vec<f32>, ModelError> {
        Err(ModelError::NotDifferentiable { operators: vec![] })
    }
    fn input_gradient(
        &self,
        _: &Tensor,
        _: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Tensor), ModelError> {
        Err(ModelError::NotDifferentiable { operators: vec![] })
    }
    fn gradient(
        &self,
        _: &[NamedValue],
        _: &str,
        _: &[&str],
        _: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Vec<Tensor>), ModelError> {
        Err(ModelError::NotDifferentiable { operators: vec![] })
    }
    fn activations(&self, _: &[NamedValue], _: &[&str]) -> Result<Vec<Tensor>, ModelError> {
        Ok(vec![])
    }
    fn values(&self) -> Vec<(String, String)> {
        vec![]
    }
    fn trees(&self) -> Option<&TreeEnsemble> {
        None
    }
    fn heads(&self) -> &Heads {
        &self.heads
    }
    fn row_hint(&self, _: &str) -> Option<usize> {
        None
    }
}

/// Ports that remember what they were handed.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) exchanges: Mutex<Vec<Exchange>>,
    pub(crate) events: Mutex<Vec<GuardEvent>>,
    pub(crate) filed: Mutex<HashMap<String, Exchange>>,
    pub(crate) shadowed: Mutex<Vec<Exchange>>,
    /// What people decided, by ticket.
    pub(crate) decided: Mutex<HashMap<String, Reviewed>>,
    /// Tickets whose request can go to the model, and whether it went.
    pub(crate) goes_on: Mutex<HashMap<String, bool>>,
    pub(crate) full: AtomicBool,
    pub(crate) keys_down: AtomicBool,
    /// The record, and nothing else, cannot be written.
    pub(crate) unrecorded: AtomicBool,
}

impl Memory {
    fn room(&self) -> Result<(), Overloaded> {
        if self.full.load(Ordering::Relaxed) { Err(Overloaded) } else { Ok(()) }
    }
    pub(crate) fn last(&self) -> Exchange {
        self.exchanges.lock().unwrap().last().unwrap().clone()
    }
}

impl Recorder for Memory {
    fn record(&self, exchange: Exchange) -> Result<(), Overloaded> {
        self.room()?;
        if self.unrecorded.load(Ordering::Relaxed) {
            return Err(Overloaded);
        }
        self.exchanges.lock().unwrap().push(exchange);
        Ok(())
    }
    fn keeps(&self) -> bool {
        !self.full.load(Ordering::Relaxed) && !self.unrecorded.load(Ordering::Relaxed)
    }
    fn shadowed(&self, exchange: Exchange) -> Result<(), Overloaded> {
        self.shadowed.lock().unwrap().push(exchange);
        Ok(())
    }
}

impl Events for Memory {
    fn emit(&self, event: GuardEvent) -> Result<(), Overloaded> {
        self.room()?;
        self.events.lock().unwrap().push(event);
        Ok(())
    }
}

impl Reviews for Memory {
    fn file(&self, exchange: &Exchange, goes_on: bool) -> Result<Ticket, Overloaded> {
        self.room()?;
        if goes_on && exchange.reply.is_none() {
            self.goes_on.lock().unwrap().insert(format!("t-{}", exchange.id), false);
        }
        self.filed.lock().unwrap().insert(format!("t-{}", exchange.id), exchange.clone());
        Ok(Ticket(format!("t-{}", exchange.id)))
    }
    fn poll(&self, ticket: &str, caller: &str) -> Reviewed {
        match self.filed.lock().unwrap().get(ticket) {
            Some(exchange) if exchange.caller == caller => {
                let decided = self.decided.lock().unwrap().get(ticket).cloned();
                let decided = decided.unwrap_or(Reviewed::Pending);
                // As the store has it: without an answer of the model there is nothing to release but the request.
                if matches!(decided, Reviewed::Released(_)) && exchange.reply.is_none() {
                    return match self.goes_on.lock().unwrap().get(ticket) {
                        Some(&went) => Reviewed::GoesOn { went },
                        None => Reviewed::Pending,
                    };
                }
                decided
            }
            _ => Reviewed::Unknown,
        }
    }
    fn goes_on<'a>(&'a self, ticket: &'a str, exchange: &'a Exchange) -> Soon<'a, bool> {
        let released = self.poll(ticket, &exchange.caller) == Reviewed::GoesOn { went: false };
        let same = self.filed.lock().unwrap().get(ticket).is_some_and(|filed| {
            (&filed.request, &filed.system, &filed.route)
                == (&exchange.request, &exchange.system, &exchange.route)
        });
        let goes = released && same;
        if goes {
            self.goes_on.lock().unwrap().insert(ticket.to_owned(), true);
        }
        Box::pin(std::future::ready(goes))
    }
}

impl Keys for Memory {
    fn reads_status(&self, presented: &str, _: Millis) -> bool {
        presented == "secret-prometheus"
    }
    fn lookup(&self, presented: &str, _: &str, _: Millis) -> KeyLookup {
        if self.keys_down.load(Ordering::Relaxed) {
            return KeyLookup::Unavailable;
        }
        match presented.strip_prefix("secret-") {
            Some(id) => KeyLookup::Valid { id: id.into(), until: None },
            None => KeyLookup::Invalid,
        }
    }
}

pub(crate) struct Now;

impl Clock for Now {
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Millis(u64::try_from(since.as_millis()).unwrap())
    }
}

pub(crate) fn ports(memory: &Arc<Memory>) -> Ports {
    Ports {
        keys: memory.clone(),
        reviews: memory.clone(),
        recorder: memory.clone(),
        events: memory.clone(),
        clock: Arc::new(Now),
        limits: Arc::new(InMemory::default()),
    }
}

pub(crate) fn profile() -> Arc<Profile> {
    let mut x = 1_u64;
    let mut next = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 40) as f32 / 16_777_216.0 * 2.0 - 1.0
    };
    let data = (0..400 * 4).map(|_| next()).collect();
    let inputs =
        vec![NamedValue { name: "x".into(), value: Value::F32(Tensor::new([400, 4], data).unwrap()) }];
    let classes = ["no".to_owned(), "yes".to_owned()];
    let learning = Learning {
        inputs: &inputs,
        labels: None,
        classes: &classes,
        scores: None,
        outlier_rate: 0.001,
        seed: 1,
    };
    Arc::new(Profile::learn(&learning).unwrap())
}

pub(crate) fn guard(config: GuardConfig) -> Arc<Guard> {
    Arc::new(Guard::new(config, Some(profile()), vec![], Arc::new(Controls::new())).unwrap())
}

pub(crate) fn guard_config() -> GuardConfig {
    GuardConfig {
        system: "cheques".into(),
        route: "digits".into(),
        impact: Impact::High,
        limit: None,
        ..Default::default()
    }
}

pub(crate) fn route(upstream: SocketAddr, guard: &Arc<Guard>) -> Route {
    let version = |version: &str, weight| Upstream {
        version: version.into(),
        url: format!("http://{upstream}"),
        model: None,
        upstream_version: Some(version.into()),
        weight,
        ..Upstream::default()
    };
    Route::new("sums".into(), vec![version("1", 1), version("2", 0)], Arc::clone(guard))
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) gateway: Gateway,
    pub(crate) guard: Arc<Guard>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) client: Caller,
}

impl World {
    pub(crate) async fn start(config: GuardConfig) -> Self {
        let served = |version: &str, bias| Served { version: version.into(), model: Sums::model(bias) };
        let config_serve =
            ServeConfig { name: "sums".into(), default_version: Some("1".into()), ..Default::default() };
        let server = Server::start(config_serve, vec![served("1", 0.0), served("2", 0.25)]).await.unwrap();
        let guard = guard(config);
        let memory = Arc::new(Memory::default());
        let gateway =
            Gateway::start(GatewayConfig::default(), vec![route(server.address(), &guard)], ports(&memory));
        Self { gateway: gateway.await.unwrap(), server, guard, memory, client: Caller::new() }
    }
}

pub(crate) struct Caller(Client<HttpConnector, Full<Bytes>>);

pub(crate) type Got = (StatusCode, HeaderMap, Bytes);

impl Caller {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) async fn send(
        &self,
        to: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Got {
        let mut request = Request::builder().method(method).uri(format!("http://{to}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = self.0.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (parts, body) = reply.into_parts();
        (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
    }

    /// Infers as the client `key`.
    pub(crate) async fn infer(&self, to: SocketAddr, key: &str, row: [f32; 4]) -> Got {
        let key = format!("Bearer secret-{key}");
        self.send(to, "POST", "/v2/models/sums/infer", &[("authorization", &key)], body(row)).await
    }
}

pub(crate) fn body(row: [f32; 4]) -> String {
    serde_json::json!({ "id": "7", "inputs": [{ "name": "x", "shape": [1, 4], "datatype": "FP32", "data": row }] })
        .to_string()
}

pub(crate) fn json(bytes: &Bytes) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}
