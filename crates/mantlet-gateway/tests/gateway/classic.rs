//! Classic dialects through the gateway: what is allowed is byte-equal, what is not is refused in the dialect's shape.
//!
//! Long because every dialect is told in one table, which every test goes through.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Response;
use mantlet_detectors::text::TextConfig;
use mantlet_gateway::{
    Classic, Classical, Gateway, GatewayConfig, GatewayError, Json, Kind, Route, Upstream,
};
use mantlet_guard::{Controls, Guard, GuardConfig, RulePolicy};
use mantlet_vocab::{Action, Impact, Mode};

use crate::peer::{Peer, ok};
use crate::world::{Caller, Got, Memory, guard_config, json, ports, profile};

const KEY: (&str, &str) = ("x-api-key", "secret-ann");
const JSON: (&str, &str) = ("content-type", "application/json");

fn config() -> GuardConfig {
    let text = TextConfig { terms: vec!["project nightjar".into()], ..TextConfig::default() };
    GuardConfig { text, ..guard_config() }
}

pub(crate) fn shape() -> Json {
    let find = |name: &str, path: &str| (name.to_owned(), path.to_owned());
    Json {
        path: "/score".into(),
        inputs: vec![find("x", "$.rows[*].features")],
        outputs: vec![find("p", "$.answers[*].scores")],
    }
}

fn route(upstream: SocketAddr, dialect: Classic, config: GuardConfig) -> Route {
    let version =
        Upstream { version: "1".into(), url: format!("http://{upstream}"), weight: 1, ..Upstream::default() };
    let guard = Guard::new(config, Some(profile()), vec![], Arc::new(Controls::new())).unwrap();
    let json = if dialect == Classic::Mapped { shape() } else { Json::default() };
    Route {
        kind: Kind::Classic(Classical { json, ..Classical::new(dialect) }),
        ..Route::new("sums".into(), vec![version], Arc::new(guard))
    }
}

async fn gateway(upstream: SocketAddr, dialect: Classic, config: GuardConfig) -> (Gateway, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let routes = vec![route(upstream, dialect, config)];
    (Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap(), memory)
}

/// Each dialect: path, a request of two rows, and what its model answers.
pub(crate) const CALLS: [(Classic, &str, &str, &str); 11] = [
    (
        Classic::TfServing,
        "/v1/models/sums:predict",
        r#"{ "signature_name":"serving_default","instances":[[0.1,0.2,0.3,0.1],[0,0,0,0]] }"#,
        r#"{"predictions": [[0.25, 0.75], [0.5, 0.5]]}"#,
    ),
    (
        Classic::TfServing,
        "/v1/models/sums/versions/1:predict",
        r#"{"inputs":{"x":[[0.1,0.2,0.3,0.1],[0,0,0,0]]}}"#,
        r#"{"outputs": {"p": [[0.25, 0.75], [0.5, 0.5]]}}"#,
    ),
    (
        Classic::TfServing,
        "/v1/models/sums:classify",
        r#"{"examples":[{"x":[0.1,0.2,0.3,0.1]},{"x":[0,0,0,0]}]}"#,
        r#"{"results": [[["no", 0.25], ["yes", 0.75]], [["no", 0.5], ["yes", 0.5]]]}"#,
    ),
    (
        Classic::Mlflow,
        "/invocations",
        r#"{"dataframe_split":{"columns":["a","b","c","d"],"data":[[0.1,0.2,0.3,0.1],[0,0,0,0]]}}"#,
        r#"{"predictions": [[0.25, 0.75], [0.5, 0.5]]}"#,
    ),
    (
        Classic::Mlflow,
        "/invocations",
        r#"{"dataframe_records":[{"a":0.1,"b":0.2,"c":0.3,"d":0.1},{"a":0,"b":0,"c":0,"d":0}]}"#,
        r#"{"predictions": [1, 0]}"#,
    ),
    (
        Classic::Mlflow,
        "/invocations",
        r#"{"instances":[[0.1,0.2,0.3,0.1],[0,0,0,0]]}"#,
        r#"{"predictions": [[0.25, 0.75], [0.5, 0.5]]}"#,
    ),
    (
        Classic::Mlflow,
        "/invocations",
        r#"{"inputs":{"x":[[0.1,0.2,0.3,0.1],[0,0,0,0]]}}"#,
        r#"{"predictions": [{"no": 0.25, "yes": 0.75}, {"no": 0.5, "yes": 0.5}]}"#,
    ),
    (
        Classic::Seldon,
        "/api/v1.0/predictions",
        r#"{"data":{"names":["a","b","c","d"],"ndarray":[[0.1,0.2,0.3,0.1],[0,0,0,0]]}}"#,
        r#"{"data":{"names":["no","yes"],"ndarray":[[0.25,0.75],[0.5,0.5]]},"meta":{}}"#,
    ),
    (
        Classic::Seldon,
        "/api/v1.0/predictions",
        r#"{"data":{"tensor":{"shape":[2,4],"values":[0.1,0.2,0.3,0.1,0,0,0,0]}}}"#,
        r#"{"data":{"tensor":{"shape":[2,2],"values":[0.25,0.75,0.5,0.5]}}}"#,
    ),
    (
        Classic::Kserve,
        "/v1/models/sums:predict",
        r#"{"instances":[[0.1,0.2,0.3,0.1],[0,0,0,0]]}"#,
        r#"{"predictions": [[0.25, 0.75], [0.5, 0.5]]}"#,
    ),
    (
        Classic::Mapped,
        "/score",
        r#"{"id":"a7","rows":[{"features":[0.1,0.2,0.3,0.1]},{"features":[0,0,0,0]}]}"#,
        r#"{"answers":[{"scores":[0.25,0.75]},{"scores":[0.5,0.5]}]}"#,
    ),
];

#[tokio::test]
async fn allowed_traffic_of_each_dialect_is_byte_equal_looked_at_and_recorded() {
    let client = Caller::new();
    for (dialect, path, asks, answers) in CALLS {
        let peer = Peer::start(Box::new(move |_| ok(answers))).await;
        let (gateway, memory) = gateway(peer.address, dialect, config()).await;
        let got = client.send(gateway.address(), "POST", path, &[KEY, JSON], asks).await;
        assert_eq!((got.0.as_u16(), &got.2[..]), (200, answers.as_bytes()), "{asks}");
        let asked = peer.last();
        assert_eq!((asked.path.as_str(), &asked.body[..]), (path, asks.as_bytes()));
        assert!(!asked.headers.contains_key("x-api-key"));
        let exchange = memory.last();
        assert_eq!(exchange.decision.action, Action::Allow, "{asks}: {:?}", exchange.decision.signals);
        assert_eq!((exchange.caller.as_str(), exchange.status), ("ann", 200));
        let input = &exchange.request.inputs[0];
        assert_eq!((input.name.as_str(), input.value.shape()), ("x", &[2, 4][..]), "{asks}");
        let near = |found: &[f32], wanted: &[f32]| {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6)
        };
        let found = input.value.to_f32().unwrap();
        assert!(near(found.data(), &[0.1, 0.2, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0]), "{asks}: {found:?}");
        assert!(!exchange.reply.unwrap().outputs.is_empty());
        assert_eq!(got.1["x-mantlet-exchange"], exchange.id.as_str());
    }
}

/// Whether an answer is an error of the dialect.
fn is_refusal(dialect: Classic, got: &Got) -> bool {
    let body = json(&got.2);
    match dialect {
        Classic::TfServing | Classic::Kserve | Classic::Mapped => body["error"].is_string(),
        Classic::Mlflow => body["error_code"].is_string() && body["message"].is_string(),
        Classic::Seldon => body["status"]["status"] == "FAILURE",
    }
}

#[tokio::test]
async fn what_is_off_the_models_schema_or_malformed_is_refused_in_the_dialects_shape() {
    let client = Caller::new();
    for (dialect, path, asks, answers) in CALLS {
        let peer = Peer::start(Box::new(move |_| ok(answers))).await;
        let (gateway, memory) = gateway(peer.address, dialect, config()).await;
        let far = asks.replacen("0.2", "9e5", 1);
        let twice =
            format!(r#"{{"instances":[[1]],"data":{{}},"rows":[],{}"#, asks.trim().trim_start_matches('{'));
        for (body, status, why) in [
            (far, 403, "input-off-schema"),
            (asks.replacen("0.1", "\"a\"", 1), 403, "input-off-schema"),
            (asks.replacen("0.1", "1e999", 1), 400, "request-malformed"),
            (asks.replacen("0.1", "NaN", 1), 400, "request-malformed"),
            (asks.trim_end()[..asks.trim_end().len() - 1].to_owned(), 400, "request-malformed"),
            (format!("{asks} {{}}"), 400, "request-malformed"),
            (twice.clone() + "}", 400, "request-malformed"),
            (format!("\u{feff}{asks}"), 400, "request-malformed"),
            ("[".repeat(4000), 400, "request-malformed"),
            (String::new(), 400, "request-malformed"),
            (asks.replacen('{', r#"{"note":"tell me of Project Nightjar","#, 1), 403, "blocked-term"),
            (asks.replacen('{', r#"{"note":"tell me of Project N\u0069ghtjar","#, 1), 403, "blocked-term"),
        ] {
            let before = peer.count();
            let got = client.send(gateway.address(), "POST", path, &[KEY, JSON], body.clone()).await;
            assert_eq!(got.0.as_u16(), status, "{dialect:?} {body}: {}", String::from_utf8_lossy(&got.2));
            assert!(is_refusal(dialect, &got), "{dialect:?} {body}");
            assert_eq!(peer.count(), before, "{body} reached the model");
            let exchange = memory.last();
            assert_eq!((exchange.decision.action, exchange.status), (Action::Refuse, status));
            let named = exchange.decision.signals.iter().any(|signal| signal.name == why);
            assert!(named, "{body}: {:?}", exchange.decision.signals);
        }
        // Members that make the scoring server read another message.
        if dialect == Classic::Mlflow {
            for more in ["\"messages\":[],", "\"prompt\":\"x\",", "\"input\":1,"] {
                let body = asks.replacen('{', &format!("{{{more}"), 1);
                let got = client.send(gateway.address(), "POST", path, &[KEY, JSON], body).await;
                assert_eq!((got.0.as_u16(), peer.count()), (400, 0), "{more}");
            }
        }
        // A row of another width.
        if dialect == Classic::Kserve {
            let body = r#"{"instances":[[0.1,0.2,0.3]]}"#;
            let got = client.send(gateway.address(), "POST", path, &[KEY, JSON], body).await;
            assert_eq!((got.0.as_u16(), peer.count()), (403, 0));
        }
        // Without a key, or with one nobody has.
        for headers in [&[JSON][..], &[JSON, ("x-api-key", "wrong")]] {
            let got = client.send(gateway.address(), "POST", path, headers, asks).await;
            assert_eq!(got.0.as_u16(), 401);
            assert!(is_refusal(dialect, &got));
        }
    }
}

#[tokio::test]
async fn a_server_cannot_be_made_to_read_another_message_than_was_looked_at() {
    let client = Caller::new();
    for (dialect, path, asks, answers) in CALLS {
        let peer = Peer::start(Box::new(move |_| ok(answers))).await;
        let (gateway, _) = gateway(peer.address, dialect, config()).await;
        let at = gateway.address();
        let strict = !matches!(dialect, Classic::TfServing | Classic::Kserve);
        let form = ("content-type", "application/x-www-form-urlencoded");
        let csv = ("content-type", "text/csv");
        let parts = ("content-type", "multipart/form-data; boundary=b");
        let mut cases = vec![
            (path.to_owned(), vec![KEY, parts], asks, 415),
            (path.to_owned(), vec![KEY, ("content-type", "application/json; charset=utf-7")], asks, 415),
            (path.to_owned(), vec![KEY, JSON, csv], asks, 400),
            (format!("{path}/"), vec![KEY, JSON], asks, 404),
            (path.replacen("sums", "other", 1).replacen("score", "other", 1), vec![KEY, JSON], asks, 404),
            (path.replacen('o', "%6f", 1), vec![KEY, JSON], asks, 404),
        ];
        if !path.contains("sums") && dialect != Classic::Mapped {
            // Nothing in this path names a model.
            cases.remove(4);
        }
        if strict {
            cases.push((path.to_owned(), vec![KEY, form], asks, 415));
        }
        if dialect != Classic::Mapped {
            cases.push((format!("{path}?json=%7B%7D"), vec![KEY, JSON], asks, 400));
        }
        if dialect == Classic::Mlflow {
            // Read as the table that the type says it is, this has no columns of the model.
            let got = client.send(at, "POST", path, &[KEY, csv], asks).await;
            assert!(matches!(got.0.as_u16(), 400 | 403), "{asks}");
        }
        for (path, headers, body, status) in cases {
            let got = client.send(at, "POST", &path, &headers, body).await;
            assert_eq!(got.0.as_u16(), status, "{dialect:?} {path} {headers:?}");
        }
        assert_eq!(peer.count(), 0);
    }
}

#[tokio::test]
async fn comma_separated_tables_are_read_as_mlflow_reads_them() {
    let peer = Peer::start(Box::new(|_| ok(r#"{"predictions":[1,0]}"#))).await;
    let (gateway, memory) = gateway(peer.address, Classic::Mlflow, config()).await;
    let csv = ("content-type", "text/csv; charset=utf-8");
    let client = Caller::new();
    let table = "a,b,c,d\n0.1,0.2,0.3,0.1\n0,0,0,0\n";
    let got = client.send(gateway.address(), "POST", "/invocations", &[KEY, csv], table).await;
    assert_eq!((got.0.as_u16(), &peer.last().body[..]), (200, table.as_bytes()));
    assert_eq!(memory.last().request.inputs[0].value.shape(), [2, 4]);
    for (table, status) in [
        ("a,b,c,d\n0.1,0.2,0.3,9000\n", 403),
        ("a,b,c,d\n0.1,0.2\n", 400),
        ("a,a,c,d\n0.1,0.2,0,0\n", 400),
        ("a,b,c,d\n0.1,0.2,0,\"inf\"\n", 400),
    ] {
        let got = client.send(gateway.address(), "POST", "/invocations", &[KEY, csv], table).await;
        assert_eq!(got.0.as_u16(), status, "{table}");
        assert!(is_refusal(Classic::Mlflow, &got));
    }
    assert_eq!(peer.count(), 1);
}

#[tokio::test]
async fn calls_about_a_server_pass_and_liveness_needs_no_key() {
    let client = Caller::new();
    let answer = r#"{"model_version_status":[{"version":"1","state":"AVAILABLE"}]}"#;
    for (dialect, path, open) in [
        (Classic::TfServing, "/v1/models/sums", false),
        (Classic::TfServing, "/v1/models/sums/metadata", false),
        (Classic::TfServing, "/v1/models/sums/versions/1/metadata", false),
        (Classic::Mlflow, "/ping", true),
        (Classic::Mlflow, "/health", true),
        (Classic::Mlflow, "/version", false),
        (Classic::Seldon, "/health/status", true),
        (Classic::Kserve, "/v1/models/sums", false),
    ] {
        let peer = Peer::start(Box::new(move |_| ok(answer))).await;
        let (gateway, memory) = gateway(peer.address, dialect, config()).await;
        let got = client.send(gateway.address(), "GET", path, &[KEY], "").await;
        assert_eq!((got.0.as_u16(), &got.2[..]), (200, answer.as_bytes()), "{path}");
        assert_eq!(peer.last().path, path);
        let got = client.send(gateway.address(), "GET", path, &[], "").await;
        assert_eq!(got.0.as_u16(), if open { 200 } else { 401 }, "{path}");
        assert_eq!(memory.exchanges.lock().unwrap().len(), usize::from(!open), "{path}");
        let wrong = client.send(gateway.address(), "DELETE", path, &[KEY], "").await;
        assert!(matches!(wrong.0.as_u16(), 404 | 405), "{path}");
    }
}

#[tokio::test]
async fn names_and_versions_of_the_upstream_stand_in_the_path_it_is_asked_at() {
    let peer = Peer::start(Box::new(|_| ok(r#"{"predictions":[[0.25,0.75]]}"#))).await;
    let mut route = route(peer.address, Classic::TfServing, config());
    route.upstreams[0].model = Some("their_sums".into());
    route.upstreams[0].upstream_version = Some("17".into());
    route.upstreams[0].url = format!("http://{}/base/", peer.address);
    let memory = Arc::new(Memory::default());
    let gateway = Gateway::start(GatewayConfig::default(), vec![route], ports(&memory)).await.unwrap();
    let client = Caller::new();
    let asks = r#"{"instances":[[0.1,0.2,0.3,0.1]]}"#;
    for (method, path, asked) in [
        ("POST", "/v1/models/sums:predict", "/base/v1/models/their_sums/versions/17:predict"),
        ("POST", "/v1/models/sums/versions/1:predict", "/base/v1/models/their_sums/versions/17:predict"),
        ("GET", "/v1/models/sums/metadata", "/base/v1/models/their_sums/versions/17/metadata"),
        ("GET", "/v1/models/sums", "/base/v1/models/their_sums/versions/17"),
    ] {
        let got = client.send(gateway.address(), method, path, &[KEY], asks).await;
        assert_eq!((got.0.as_u16(), peer.last().path.as_str()), (200, asked), "{path}");
    }
    let got =
        client.send(gateway.address(), "POST", "/v1/models/sums/versions/2:predict", &[KEY], asks).await;
    assert_eq!(got.0.as_u16(), 404);
}

#[tokio::test]
async fn a_client_pins_a_version_by_the_names_that_the_route_gives_it() {
    let peer = Peer::start(Box::new(|_| ok(r#"{"predictions":[[0.25,0.75]]}"#))).await;
    let client = Caller::new();
    let asks = r#"{"instances":[[0.1,0.2,0.3,0.1]]}"#;
    for (there, pinned, asked) in [
        (None, "versions/3", Some("versions/3")),
        (Some("17"), "versions/3", Some("versions/17")),
        (Some("17"), "labels/stable", Some("versions/17")),
        (None, "labels/stable", Some("labels/stable")),
        // Its own name stays good; what no name stands for is nobody's, and so is a name for what is not here.
        (Some("17"), "versions/1", Some("versions/17")),
        (Some("17"), "versions/17", None),
        (None, "labels/canary", None),
        (None, "versions/4", None),
    ] {
        let mut route = route(peer.address, Classic::TfServing, config());
        route.upstreams[0].upstream_version = there.map(str::to_owned);
        route.names = [("3", "1"), ("stable", "*"), ("4", "2")].map(|(a, b)| (a.into(), b.into())).into();
        let memory = Arc::new(Memory::default());
        let gateway = Gateway::start(GatewayConfig::default(), vec![route], ports(&memory)).await.unwrap();
        let path = format!("/v1/models/sums/{pinned}:predict");
        let before = peer.count();
        let got = client.send(gateway.address(), "POST", &path, &[KEY], asks).await;
        match asked {
            Some(asked) => {
                assert_eq!(got.0.as_u16(), 200, "{pinned}");
                assert_eq!(peer.last().path, format!("/v1/models/sums/{asked}:predict"));
            }
            None => assert_eq!((got.0.as_u16(), peer.count()), (404, before), "{pinned}"),
        }
    }
}

#[tokio::test]
async fn a_model_that_is_not_here_is_said_in_the_dialects_shape_to_who_has_a_key() {
    let peer = Peer::start(Box::new(|_| ok("{}"))).await;
    let client = Caller::new();
    for (dialect, path) in
        [(Classic::TfServing, "/v1/models/others:predict"), (Classic::Kserve, "/v1/models/others:predict")]
    {
        let (gateway, _) = gateway(peer.address, dialect, config()).await;
        let got = client.send(gateway.address(), "POST", path, &[KEY], "{}").await;
        let text = String::from_utf8_lossy(&got.2).into_owned();
        assert_eq!(got.0.as_u16(), 404, "{text}");
        assert!(json(&got.2)["error"].is_string() && text.contains("there is no model `others`"), "{text}");
        let got = client.send(gateway.address(), "POST", path, &[], "{}").await;
        assert_eq!(got.0.as_u16(), 401);
        let got = client.send(gateway.address(), "POST", "/v1/nothing", &[KEY], "{}").await;
        assert_eq!(got.0.as_u16(), 404);
        assert!(!String::from_utf8_lossy(&got.2).contains("there is no model"));
    }
    assert_eq!(peer.count(), 0);
}

#[tokio::test]
async fn replies_are_looked_at_too() {
    let client = Caller::new();
    let path = "/v1/models/sums:predict";
    let asks = r#"{"instances":[[0.1,0.2,0.3,0.1]]}"#;
    for (reply, mode, status, sees) in [
        (r#"{"predictions":[[0.25,0.75]],"predictions":[[1,0]]}"#, Mode::Enforce, 502, "request-malformed"),
        (r#"{"predictions":[[0.25,0.75]],"predictions":[[1,0]]}"#, Mode::Observe, 200, "request-malformed"),
        (r#"{"predictions":[[0.25,NaN]]}"#, Mode::Enforce, 502, "request-malformed"),
        ("<html>", Mode::Enforce, 502, "request-malformed"),
        // What may not leave waits for a person: the model has answered already.
        (r#"{"predictions":[["about Project Nightjar"]]}"#, Mode::Enforce, 202, "blocked-term"),
        (r#"{"predictions":[["about Project Nightjar"]]}"#, Mode::Observe, 200, "blocked-term"),
        (r#"{"predictions":[[0.25,0.75]],"trace":"Project Nightjar"}"#, Mode::Enforce, 202, "blocked-term"),
        // Data about people is what such models are about.
        (r#"{"predictions":[["ann@example.org"]]}"#, Mode::Enforce, 200, "personal-data"),
    ] {
        let peer = Peer::start(Box::new(move |_| ok(reply))).await;
        let (gateway, memory) =
            gateway(peer.address, Classic::TfServing, GuardConfig { mode, ..config() }).await;
        let got = client.send(gateway.address(), "POST", path, &[KEY], asks).await;
        assert_eq!(got.0.as_u16(), status, "{reply} {mode:?}: {}", String::from_utf8_lossy(&got.2));
        if status == 200 {
            assert_eq!(&got.2[..], reply.as_bytes());
        } else {
            assert!(!String::from_utf8_lossy(&got.2).contains("Nightjar"));
        }
        let signals = memory.last().decision.signals;
        assert!(signals.iter().any(|signal| signal.name == sees), "{reply}: {signals:?}");
    }
    // An error of the server is its own.
    let peer = Peer::start(Box::new(|_| {
        let mut answer: Response<_> = ok(r#"{"error":"no such signature"}"#);
        *answer.status_mut() = http::StatusCode::BAD_REQUEST;
        answer
    }))
    .await;
    let (gateway, _) = gateway(peer.address, Classic::TfServing, config()).await;
    let got = client.send(gateway.address(), "POST", path, &[KEY], asks).await;
    assert_eq!((got.0.as_u16(), &got.2[..]), (400, &br#"{"error":"no such signature"}"#[..]));
}

#[tokio::test]
async fn less_detail_is_given_where_it_stands_in_each_dialect() {
    let client = Caller::new();
    let coarse = RulePolicy {
        coarsen: Some(1.0),
        refuse: None,
        ..RulePolicy::for_rule("input-off-schema", Impact::High)
    };
    for (dialect, path, asks, answers) in CALLS {
        if !answers.contains("0.25") {
            continue;
        }
        let fine = answers.replace("0.25", "0.251239").replace("0.75", "0.748761");
        let sent = fine.clone();
        let peer = Peer::start(Box::new(move |_| ok(sent.clone()))).await;
        let rules = [("input-off-schema".to_owned(), coarse)].into();
        let (gateway, memory) = gateway(peer.address, dialect, GuardConfig { rules, ..config() }).await;
        let got =
            client.send(gateway.address(), "POST", path, &[KEY, JSON], asks.replacen("0.2", "9", 1)).await;
        let text = String::from_utf8_lossy(&got.2);
        assert_eq!(got.0.as_u16(), 200, "{asks}: {text}");
        assert!(matches!(memory.last().decision.action, Action::Coarsen { .. }), "{asks}");
        assert_eq!(json(&got.2), json(&answers.into()), "{dialect:?}: {text}");
    }
}

#[tokio::test]
async fn a_message_of_ones_own_is_described_in_a_way_that_can_be_used() {
    let peer = Peer::start(Box::new(|_| ok("{}"))).await;
    let with = |edit: &dyn Fn(&mut Json)| {
        let mut route = route(peer.address, Classic::Mapped, config());
        let mut shape = shape();
        edit(&mut shape);
        route.kind = Kind::Classic(Classical { json: shape, ..Classical::new(Classic::Mapped) });
        route
    };
    for route in [
        with(&|json| json.path = "score".into()),
        with(&|json| json.path = "/a/../b".into()),
        with(&|json| json.inputs.clear()),
        with(&|json| json.inputs[0].1 = "rows".into()),
    ] {
        let memory = Arc::new(Memory::default());
        let started = Gateway::start(GatewayConfig::default(), vec![route], ports(&memory)).await;
        assert!(matches!(started, Err(GatewayError::Json { .. })));
    }
}
