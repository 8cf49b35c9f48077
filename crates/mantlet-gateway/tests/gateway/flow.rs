//! What honest and hostile clients see when everything works.

use http::StatusCode;
use mantlet_gateway::{GatewayConfig, GatewayError, Reviewed};
use mantlet_guard::{GuardConfig, KeyControl, RateLimit};
use mantlet_vocab::{Action, Millis, Mode};

use crate::world::{World, body, guard_config, json, route};

const FAR: [f32; 4] = [900.0, 0.0, 0.0, 0.0];

#[tokio::test]
async fn allowed_traffic_is_what_the_model_server_said() {
    let World { server, gateway, memory, client, .. } = World::start(guard_config()).await;
    let key = [("x-api-key", "secret-ann")];
    let path = "/v2/models/sums/infer";
    let direct = client.send(server.address(), "POST", path, &[], body([0.1, 0.2, 0.3, 0.1])).await;
    let guarded = client.send(gateway.address(), "POST", path, &key, body([0.1, 0.2, 0.3, 0.1])).await;
    assert_eq!((guarded.0, &guarded.2), (StatusCode::OK, &direct.2));
    assert_eq!(guarded.1["content-type"], direct.1["content-type"]);
    assert_eq!(guarded.1["x-mantlet-generation"], "1");
    let exchange = memory.last();
    assert_eq!(guarded.1["x-mantlet-exchange"], exchange.id.as_str());
    assert_eq!((exchange.caller.as_str(), exchange.version.as_str(), exchange.status), ("ann", "1", 200));
    assert_eq!((exchange.system.as_str(), exchange.route.as_str()), ("cheques", "digits"));
    assert_eq!(exchange.reply.unwrap().outputs[0].name, "p");
    assert!(memory.events.lock().unwrap().is_empty());

    // The binary form, as tritonclient sends it.
    let head = r#"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}}],"outputs":[{"name":"p","parameters":{"binary_data":true}}]}"#;
    let tail: Vec<u8> = [0.1_f32, 0.2, 0.3, 0.1].iter().flat_map(|v| v.to_le_bytes()).collect();
    let message = [head.as_bytes(), &tail].concat();
    let length = head.len().to_string();
    let headers = [("x-api-key", "secret-ann"), ("inference-header-content-length", &length)];
    let direct = client.send(server.address(), "POST", path, &headers[1..], message.clone()).await;
    let guarded = client.send(gateway.address(), "POST", path, &headers, message).await;
    assert_eq!((guarded.0, &guarded.2), (StatusCode::OK, &direct.2));
    let name = "inference-header-content-length";
    assert_eq!(guarded.1[name], direct.1[name]);

    for path in ["/v2/models/sums", "/v2/models/sums/ready", "/v2/models/sums/versions/1"] {
        let direct = client.send(server.address(), "GET", path, &[], "").await;
        let guarded = client.send(gateway.address(), "GET", path, &key, "").await;
        assert_eq!((guarded.0, &guarded.2), (direct.0, &direct.2), "{path}");
    }
    for path in ["/v2/health/live", "/v2/health/ready"] {
        assert_eq!(client.send(gateway.address(), "GET", path, &[], "").await.0, StatusCode::OK);
    }
    assert_eq!(json(&client.send(gateway.address(), "GET", "/v2", &key, "").await.2)["name"], "mantlet");
}

#[tokio::test]
async fn keys_paths_and_bodies_are_checked() {
    let World { server: _server, gateway, memory, client, .. } = World::start(guard_config()).await;
    let at = gateway.address();
    let infer = "/v2/models/sums/infer";
    let key = ("x-api-key", "secret-ann");
    let good = body([0.0; 4]);
    for (method, path, headers, body, status) in [
        ("POST", infer, &[][..], good.as_str(), 401),
        ("POST", infer, &[("x-api-key", "wrong")], &good, 401),
        ("GET", "/v2/models/sums", &[], "", 401),
        ("GET", "/v2", &[], "", 401),
        ("GET", infer, &[key], "", 405),
        ("POST", "/v2/models/other/infer", &[key], &good, 404),
        ("POST", "/v2/models/sums/versions/9/infer", &[key], &good, 404),
        ("POST", "/v2/models/sums/versions/2/infer", &[key], &good, 404),
        ("POST", "/v2/models/sums/versions/1/infer", &[key], &good, 200),
        ("POST", "/v2/systemsharedmemory/region/r/register", &[key], "{}", 403),
        ("POST", "/v2/repository/models/sums/unload", &[key], "{}", 403),
        ("GET", "/elsewhere", &[key], "", 404),
        ("POST", infer, &[key], "{\"inputs\":[", 400),
        ("POST", infer, &[key, ("content-encoding", "gzip")], &good, 400),
        ("POST", infer, &[key, ("content-encoding", "compress")], &good, 415),
        ("POST", infer, &[key, ("inference-header-content-length", "x")], &good, 400),
        ("POST", infer, &[key, ("inference-header-content-length", "99999")], &good, 400),
    ] {
        let got = client.send(at, method, path, headers, body.to_owned()).await;
        assert_eq!(got.0.as_u16(), status, "{method} {path} {headers:?}");
        if status != 200 {
            let error = json(&got.2);
            assert!(error["error"].as_str().is_some_and(|text| !text.contains("secret")), "{error}");
        }
    }
    assert_eq!(memory.last().decision.action, Action::Refuse);
    let names: Vec<String> = memory
        .exchanges
        .lock()
        .unwrap()
        .iter()
        .flat_map(|exchange| {
            exchange
                .decision
                .signals
                .iter()
                .filter_map(|signal| signal.facts.get("defect")?.as_str().map(str::to_owned))
        })
        .collect();
    assert!(
        names.contains(&"wire-syntax".to_owned()) && names.contains(&"wire-head-length".to_owned()),
        "{names:?}"
    );
    // Keys that cannot be checked are refused, not believed.
    memory.keys_down.store(true, std::sync::atomic::Ordering::Relaxed);
    gateway.forget_keys();
    assert_eq!(client.infer(at, "ann", [0.0; 4]).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn controls_throttle_block_and_divert_one_key_only() {
    let config = GuardConfig { limit: Some(RateLimit { per_minute: 60.0, burst: 8 }), ..guard_config() };
    let World { server: _server, gateway, memory, client, guard, .. } = World::start(config).await;
    let at = gateway.address();
    let controls = guard.controls();
    controls.apply_key("eve", KeyControl::Throttle { per_minute: 1.0 }, Millis(0), None, "slow down");
    assert_eq!(client.infer(at, "eve", [0.0; 4]).await.0, StatusCode::OK);
    let got = client.infer(at, "eve", [0.0; 4]).await;
    assert_eq!(got.0, StatusCode::TOO_MANY_REQUESTS);
    let wait: u32 = got.1["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    assert!(json(&got.2)["error"].as_str().unwrap().starts_with("slow down"));
    assert!(controls.lift_key("eve", "throttle"));

    controls.apply_key("eve", KeyControl::Divert, Millis(0), None, "under review");
    let got = client.infer(at, "eve", [0.2; 4]).await;
    assert_eq!(got.0, StatusCode::ACCEPTED);
    let body = json(&got.2);
    assert_eq!(body["status"], "pending-review");
    assert!(body.get("outputs").is_none());
    let ticket = body["ticket"].as_str().unwrap();
    assert!(memory.filed.lock().unwrap()[ticket].reply.is_some(), "the reviewer sees the model's answer");
    let poll = body["poll"].as_str().unwrap();
    let poll = async |key: &str| client.send(at, "GET", poll, &[("x-api-key", key)], "").await;
    assert_eq!(json(&poll("secret-eve").await.2)["status"], "pending-review");
    assert_eq!(poll("secret-ann").await.0, StatusCode::NOT_FOUND, "a ticket is its own caller's");

    controls.apply_key("eve", KeyControl::Block, Millis(0), None, "blocked");
    assert_eq!(client.infer(at, "eve", [0.0; 4]).await.0, StatusCode::FORBIDDEN);
    // Others are untouched, until the route's own limit.
    for _ in 0..8 {
        assert_eq!(client.infer(at, "ann", [0.0; 4]).await.0, StatusCode::OK);
    }
    assert_eq!(client.infer(at, "ann", [0.0; 4]).await.0, StatusCode::TOO_MANY_REQUESTS);
    // The whole decision path can be diverted, and released.
    controls.divert_path(Millis(0), None, "all decisions are looked at");
    assert_eq!(client.infer(at, "bob", [0.0; 4]).await.0, StatusCode::ACCEPTED);
    assert!(controls.release_path());
    assert_eq!(client.infer(at, "bob", [0.0; 4]).await.0, StatusCode::OK);
    let actions: Vec<&str> = memory.events.lock().unwrap().iter().map(|e| e.decision.action.word()).collect();
    assert_eq!(actions, ["throttle", "divert", "refuse", "throttle", "divert"]);
}

#[tokio::test]
async fn a_caller_may_wait_for_the_person_who_decides() {
    let World { server: _server, gateway, memory, client, guard, .. } = World::start(guard_config()).await;
    let at = gateway.address();
    guard.controls().apply_key("eve", KeyControl::Divert, Millis(0), None, "under review");
    let poll = json(&client.infer(at, "eve", [0.2; 4]).await.2)["poll"].as_str().unwrap().to_owned();
    let ticket = poll.rsplit('/').next().unwrap().to_owned();
    let ask = async |wait: &str| {
        let headers = [("x-api-key", "secret-eve"), ("prefer", wait)];
        let begun = std::time::Instant::now();
        let got = client.send(at, "GET", &poll, &headers, "").await;
        (json(&got.2), begun.elapsed())
    };
    // Who does not wait, or says nonsense, is answered at once; who waits is not told before there is something to tell.
    for prefer in ["wait=0", "wait=-5", "wait=soon", "respond-async", "wait=99999999999999999999999"] {
        let (body, took) = ask(prefer).await;
        assert_eq!(body["status"], "pending-review", "{prefer}");
        assert!(took.as_secs() < 20, "{prefer}: {took:?}");
    }
    let (body, took) = ask("respond-async, wait=1").await;
    assert_eq!(body["status"], "pending-review");
    assert!(took.as_millis() >= 900, "{took:?}");
    let person = async {
        tokio::task::yield_now().await;
        let answer = Reviewed::Released(serde_json::json!({ "label": "7" }));
        memory.decided.lock().unwrap().insert(ticket.clone(), answer);
    };
    let ((body, took), ()) = tokio::join!(ask("wait=45"), person);
    assert_eq!((&body["status"], &body["answer"]["label"]), (&"released".into(), &"7".into()));
    assert!(took.as_secs() < 40, "{took:?}");
    memory.decided.lock().unwrap().insert(ticket, Reviewed::Rejected("not today".into()));
    let (body, _) = ask("wait=45").await;
    assert_eq!((&body["status"], &body["reason"]), (&"rejected".into(), &"not today".into()));
}

#[tokio::test]
async fn a_guard_that_enforces_refuses_and_one_that_observes_tells() {
    for (mode, status) in [(Mode::Enforce, 403), (Mode::Observe, 200), (Mode::Advise, 200)] {
        let World { server: _server, gateway, memory, client, .. } =
            World::start(GuardConfig { mode, ..guard_config() }).await;
        assert_eq!(client.infer(gateway.address(), "eve", FAR).await.0.as_u16(), status);
        let event = memory.events.lock().unwrap()[0].clone();
        assert_eq!(event.decision.proposed, Action::Refuse);
        assert_eq!(event.decision.action, if status == 403 { Action::Refuse } else { Action::Flag });
        assert_eq!(event.signals[0].name, "input-off-schema");
        assert_eq!((event.row, event.generation), (1, 1));
    }
}

#[tokio::test]
async fn versions_switch_at_once_and_back() {
    let World { server, gateway, client, guard, memory, .. } = World::start(guard_config()).await;
    let at = gateway.address();
    let answer = async |row| {
        let got = client.infer(at, "ann", row).await;
        (got.0.as_u16(), json(&got.2)["model_version"].as_str().map(str::to_owned))
    };
    assert_eq!(answer([0.1; 4]).await, (200, Some("1".into())));
    assert_eq!(guard.controls().set_version(Some("2".into())), None);
    assert_eq!(answer([0.1; 4]).await, (200, Some("2".into())));
    assert_eq!(memory.last().version, "2");
    let path = "/v2/models/sums/versions/1/infer";
    let got = client.send(at, "POST", path, &[("x-api-key", "secret-ann")], body([0.0; 4])).await;
    assert_eq!(got.0, StatusCode::NOT_FOUND, "a version rolled back cannot be asked for by name");
    assert_eq!(guard.controls().set_version(None), Some("2".into()));
    assert_eq!(answer([0.1; 4]).await, (200, Some("1".into())));
    guard.controls().set_version(Some("9".into()));
    assert_eq!(answer([0.1; 4]).await.0, 503);
    guard.controls().set_version(None);

    // A configuration with the weights the other way round, taken while running.
    let mut swapped = route(server.address(), &guard);
    swapped.upstreams[0].weight = 0;
    swapped.upstreams[1].weight = 5;
    assert_eq!(gateway.reload(GatewayConfig::default(), vec![swapped]).unwrap(), 2);
    let got = client.infer(at, "ann", [0.1; 4]).await;
    assert_eq!(
        (json(&got.2)["model_version"].as_str(), &got.1["x-mantlet-generation"]),
        (Some("2"), &"2".parse().unwrap())
    );
    let mut broken = route(server.address(), &guard);
    broken.upstreams[0].url = "ftp://x".into();
    assert!(matches!(gateway.reload(GatewayConfig::default(), vec![broken]), Err(GatewayError::Url { .. })));
    let elsewhere = GatewayConfig { listen: ([127, 0, 0, 1], 1).into(), ..GatewayConfig::default() };
    assert!(matches!(gateway.reload(elsewhere, vec![]), Err(GatewayError::NeedsRestart { field: "listen" })));
    assert_eq!(gateway.generation(), 2, "what cannot be used leaves the old one serving");
    assert_eq!(client.infer(at, "ann", [0.1; 4]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn status_and_metrics_tell_what_happens() {
    let World { server: _server, gateway, memory, client, .. } = World::start(guard_config()).await;
    let at = gateway.address();
    client.infer(at, "ann", [0.1; 4]).await;
    client.infer(at, "eve", FAR).await;
    memory.full.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        client.infer(at, "ann", [0.2; 4]).await.0,
        StatusCode::OK,
        "a full record does not stop the service"
    );
    let status = json(&client.send(at, "GET", "/status", &[], "").await.2);
    assert_eq!(status["generation"], 1);
    assert_eq!(status["routes"][0]["mode"], "enforce");
    assert_eq!(status["routes"][0]["versions"][0]["version"], "1");
    let text = client.send(at, "GET", "/metrics", &[], "").await.2;
    let text = std::str::from_utf8(&text).unwrap();
    for line in [
        r#"mantlet_gateway_exchanges_total{route="digits",version="1",action="allow",status="200"} 1"#,
        // Served without a record, and marked for it.
        r#"mantlet_gateway_exchanges_total{route="digits",version="1",action="flag",status="200"} 1"#,
        r#"mantlet_gateway_signals_total{route="digits",signal="dependency-lost"} 1"#,
        r#"mantlet_gateway_exchanges_total{route="digits",version="1",action="refuse",status="403"} 1"#,
        r#"mantlet_gateway_signals_total{route="digits",signal="input-off-schema"} 1"#,
        r#"mantlet_gateway_overloads_total{port="recorder"} 1"#,
        "mantlet_gateway_generation 1",
        "mantlet_gateway_callers 2",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("ann") && !text.contains("secret"));
}

/// Metrics are told by route, version, action and signal, never by who asked: strangers cannot make them longer.
#[tokio::test]
async fn metrics_do_not_grow_with_the_callers() {
    let world = World::start(guard_config()).await;
    let at = world.gateway.address();
    let lines = async || {
        let text = world.client.send(at, "GET", "/metrics", &[], "").await.2;
        let text = String::from_utf8(text.to_vec()).unwrap();
        (text.lines().count(), text)
    };
    // A row of each kind first, so that their series are there: allowed, and off the schema.
    world.client.infer(at, "first", [0.0; 4]).await;
    world.client.infer(at, "first", [9e5; 4]).await;
    let (before, _) = lines().await;
    for number in 0..600 {
        let row = if number % 5 == 0 { [9e5; 4] } else { [0.1; 4] };
        world.client.infer(at, &format!("caller-{number}"), row).await;
    }
    let (after, text) = lines().await;
    assert_eq!(before, after, "{text}");
    assert!(!text.contains("caller-"), "{text}");
    assert_eq!(world.memory.exchanges.lock().unwrap().len(), 602);
}
