//! Decisions that wait for a person while the caller does, in dialects whose answers cannot say that they come later.

use std::sync::Arc;
use std::time::Duration;

use mantlet_gateway::{Gateway, GatewayConfig, Kind, Reviewed, Route, Upstream};
use mantlet_guard::{Controls, Guard, GuardConfig, RulePolicy};
use mantlet_vocab::Action;
use mantlet_wire::grpc::grpc_frame;

use crate::grpc_peer::{FAR, Grpc, KEY, Server, asks, config, model, route as grpc_route};
use crate::peer::{Peer, ok};
use crate::text::{ask, reply};
use crate::world::{Caller, Memory, ports};

const CHAT: &str = "/v1/chat/completions";

/// A rule that leaves everything it sees to a person.
fn diverting(rule: &str) -> GuardConfig {
    let mut config = config();
    let policy = RulePolicy { flag: None, refuse: None, ..RulePolicy::for_rule(rule, config.impact) };
    config.rules.insert(rule.into(), RulePolicy { divert: Some(1.0), ..policy });
    config
}

/// Decides on the next ticket.
fn decide(memory: &Arc<Memory>, decision: Reviewed) -> tokio::task::JoinHandle<()> {
    let memory = Arc::clone(memory);
    tokio::spawn(async move {
        loop {
            let ticket = memory.filed.lock().unwrap().keys().next().cloned();
            if let Some(ticket) = ticket {
                memory.decided.lock().unwrap().insert(ticket, decision);
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

#[tokio::test]
async fn a_text_that_a_person_lets_through_is_answered_in_its_own_shape() {
    let said = Arc::new(std::sync::Mutex::new(String::new()));
    let answers = Arc::clone(&said);
    let peer = Peer::start(Box::new(move |_| ok(answers.lock().unwrap().clone()))).await;
    let asked = "tell me about project nightjar";
    // What was asked waits, or what was answered.
    for (asked, answered) in [(asked, "it is a bird"), ("what is that bird?", "it is project nightjar")] {
        let whole = reply(answered);
        *said.lock().unwrap() = whole.clone();
        let before_the_model = asked.contains("nightjar");
        for (decision, wait, status) in [
            (Some(Reviewed::Released(serde_json::Value::Null)), "wait=30", 200),
            (Some(Reviewed::Rejected("not today".into())), "wait=30", 403),
            (Some(Reviewed::Answered("no".into())), "wait=30", 403),
            (None, "wait=1", 403),
            (None, "respond-async", 403),
        ] {
            let url = format!("http://{}", peer.address);
            let version = Upstream { version: "1".into(), url, weight: 1, ..Upstream::default() };
            let guard =
                Guard::new(diverting("blocked-term"), None, vec![], Arc::new(Controls::new())).unwrap();
            let route = Route::new("chat".into(), vec![version], Arc::new(guard));
            let route = Route { kind: Kind::Text { prefix: String::new() }, ..route };
            let memory = Arc::new(Memory::default());
            let gateway =
                Gateway::start(GatewayConfig::default(), vec![route], ports(&memory)).await.unwrap();
            let released = status == 200;
            let decided = decision.clone().map(|decision| decide(&memory, decision));
            let before = peer.count();
            let headers = [KEY, ("prefer", wait)];
            let client = Caller::new();
            let got = client.send(gateway.address(), "POST", CHAT, &headers, ask(asked, false)).await;
            let text = String::from_utf8(got.2.to_vec()).unwrap();
            let case = format!("{asked} {decision:?} {wait}: {text}");
            assert_eq!(got.0.as_u16(), status, "{case}");
            assert_eq!(text == whole, released, "{case}");
            let model_asked = !before_the_model || released;
            assert_eq!(peer.count() - before, usize::from(model_asked), "{case}");
            assert_eq!(memory.filed.lock().unwrap().len(), 1, "{case}: one ticket");
            if before_the_model && wait == "respond-async" {
                sent_again(&gateway, &memory, &client, asked, &whole).await;
                assert_eq!(peer.count() - before, 1, "{case}: once");
                continue;
            }
            let exchange = memory.last();
            assert_eq!(exchange.decision.proposed, Action::Divert, "{case}");
            let done = if released { Action::Flag } else { Action::Divert };
            assert_eq!((exchange.decision.action, exchange.status), (done, status), "{case}");
            match decision {
                Some(Reviewed::Rejected(why)) => assert!(text.contains(&why), "{case}"),
                Some(Reviewed::Released(_)) => {}
                _ => assert!(text.contains("/mantlet/v1/reviews/t-"), "{case}"),
            }
            if let Some(decided) = decided {
                decided.await.unwrap();
            }
        }
    }
}

/// A released request of a caller who does not wait: it goes to the model once, when it comes again as it was, with the
/// ticket and the same key.
async fn sent_again(gateway: &Gateway, memory: &Arc<Memory>, client: &Caller, asked: &str, whole: &str) {
    let ticket = memory.filed.lock().unwrap().keys().next().cloned().unwrap();
    let send = |key: (&'static str, &'static str), ticket: &str, words: &str| {
        let (ticket, body) = (ticket.to_owned(), ask(words, false));
        async move {
            let headers = [key, ("x-mantlet-review", ticket.as_str())];
            let got = client.send(gateway.address(), "POST", CHAT, &headers, body).await;
            (got.0.as_u16(), String::from_utf8(got.2.to_vec()).unwrap())
        }
    };
    assert_eq!(send(KEY, &ticket, asked).await.0, 403, "nobody released it yet");
    memory.decided.lock().unwrap().insert(ticket.clone(), Reviewed::Released(serde_json::Value::Null));
    let polled = |status: bool| {
        let path = format!("/mantlet/v1/reviews/{ticket}");
        async move {
            let got = client.send(gateway.address(), "GET", &path, &[KEY], "").await;
            let said: serde_json::Value = serde_json::from_slice(&got.2).unwrap();
            assert_eq!(
                (said["status"].as_str(), said["went"].as_bool()),
                (Some("goes-on"), Some(status)),
                "{said}"
            );
        }
    };
    polled(false).await;
    assert_eq!(send(KEY, &ticket, "now about project nightjar's eggs").await.0, 403, "another request");
    assert_eq!(send(KEY, "t-none", asked).await.0, 403, "another ticket");
    assert_eq!(send(("x-api-key", "secret-eve"), &ticket, asked).await.0, 403, "another caller");
    let got = send(KEY, &ticket, asked).await;
    assert_eq!((got.0, got.1.as_str()), (200, whole));
    let exchange = memory.last();
    assert_eq!((exchange.decision.action, exchange.decision.proposed), (Action::Flag, Action::Divert));
    assert_eq!(send(KEY, &ticket, asked).await.0, 403, "it went once");
    polled(true).await;
}

#[tokio::test]
async fn an_inference_over_grpc_that_a_person_lets_through_is_answered_as_the_model_said() {
    let server = Server::start(Box::new(model)).await;
    for (decision, wait, code) in [
        (Some(Reviewed::Released(serde_json::Value::Null)), "wait=30", "0"),
        (Some(Reviewed::Rejected("not today".into())), "wait=30", "7"),
        (None, "wait=1", "7"),
        (None, "wait=0", "7"),
    ] {
        let memory = Arc::new(Memory::default());
        let routes = vec![grpc_route(server.address, diverting("input-off-schema"))];
        let gateway = Gateway::start(GatewayConfig::default(), routes, ports(&memory)).await.unwrap();
        let decided = decision.clone().map(|decision| decide(&memory, decision));
        let frame = grpc_frame(&asks(&FAR));
        let headers = [KEY, ("prefer", wait)];
        let got = Grpc::new().call(gateway.address(), "ModelInfer", &headers, &frame).await;
        let case = format!("{decision:?} {wait}: {}", got.message);
        assert_eq!((got.code.as_str(), got.body.is_empty()), (code, code != "0"), "{case}");
        assert_eq!(memory.filed.lock().unwrap().len(), 1, "{case}: one ticket");
        let exchange = memory.last();
        assert_eq!(exchange.decision.proposed, Action::Divert, "{case}");
        let done = if code == "0" { Action::Flag } else { Action::Divert };
        assert_eq!(exchange.decision.action, done, "{case}");
        if let Some(decided) = decided {
            decided.await.unwrap();
        }
    }
}
