//! The console over the real store: sign in, see a diverted picture, decide it; the caller gets the answer.

use std::sync::Arc;

use mantlet_access::{Role, User};
use mantlet_console::{Actions, Console, ConsoleConfig, PortError, Ports, Ruling, Shelf, Soon};
use mantlet_store::{Options, ReviewDecision, Store, SystemClock};
use mantlet_vocab::{Action, Examination, Finding, NamedValue, Place, Reply, Severity, Tensor, Value};

use crate::web::{ask, form};
use crate::world::{NOW, PASSWORD, exchange};

struct OnlyReviews(Shelf);

fn never<'a>() -> Soon<'a, ()> {
    Box::pin(std::future::ready(Err(PortError::Failed("not in this test".into()))))
}

impl Actions for OnlyReviews {
    fn apply_step<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> Soon<'a, ()> {
        never()
    }
    fn undo_step<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> Soon<'a, ()> {
        never()
    }
    fn close_incident<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> Soon<'a, ()> {
        never()
    }
    fn decide_review<'a>(
        &'a self,
        actor: &'a str,
        review: &'a str,
        ruling: &'a Ruling,
        note: &'a str,
    ) -> Soon<'a, ()> {
        Box::pin(self.0.decide(actor, review, ruling, note))
    }
    fn roll_back<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> Soon<'a, ()> {
        never()
    }
    fn abort_rollout<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> Soon<'a, ()> {
        never()
    }
    fn pause_rollout<'a>(&'a self, _: &'a str, _: &'a str, _: bool, _: &'a str) -> Soon<'a, ()> {
        never()
    }
    fn divert<'a>(&'a self, _: &'a str, _: &'a str, _: bool, _: &'a str) -> Soon<'a, ()> {
        never()
    }
}

fn named(name: &str, value: Value) -> NamedValue {
    NamedValue { name: name.into(), value }
}

#[test]
fn a_diverted_picture_is_decided_and_its_caller_gets_the_answer() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock);
    let options = Options { serve: true, ..Options::default() };
    let store = runtime.block_on(Store::open(folder.path(), clock, options)).unwrap();
    let user = User::new("rae", Role::Reviewer, PASSWORD, &[1; 16], NOW).unwrap();
    runtime.block_on(store.put_user(&user, "mantlet")).unwrap();

    let mut diverted = exchange(1, Action::Divert, "k-9f21");
    let pixels = Tensor::new([1, 8, 8], (0..64_u8).map(f32::from).collect()).unwrap();
    diverted.request.inputs = vec![named("pixels", Value::F32(pixels))];
    let scores = Tensor::new([1, 3], vec![0.1, 0.2, 0.7]).unwrap();
    let outputs = vec![named("scores", Value::F32(scores))];
    diverted.reply = Some(Reply { outputs, pieces: vec![] });
    let ticket = store.desk().file(&diverted, 3_600_000).unwrap();

    let shelf = Shelf::new(store.clone())
        .class_names("cheque reader", ["zero", "one", "two"].map(Into::into).to_vec());
    let views = Arc::new(shelf.clone());
    let live = runtime.block_on(async { shelf.live() });
    let ports = Ports {
        views: views.clone(),
        batches: views.clone(),
        people: views,
        actions: Arc::new(OnlyReviews(shelf)),
        live: live.clone(),
    };
    let console =
        runtime.block_on(Console::start(ConsoleConfig::new(([127, 0, 0, 1], 0).into()), ports)).unwrap();
    let (addr, origin) = (console.addr(), format!("http://{}", console.addr()));

    let post = |path: &str, cookie: &str, fields: &[(&str, &str)]| {
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        ask(addr, "POST", path, &[("Cookie", cookie), ("Origin", &origin), kind], &form(fields))
    };
    let door = ask(addr, "GET", "/sign-in", &[], "");
    let fields = [("name", "rae"), ("password", PASSWORD), ("form_token", &door.token())];
    let cookie = post("/sign-in", &door.cookies(), &fields).cookies();
    let get = |path: &str| ask(addr, "GET", path, &[("Cookie", &cookie)], "");

    // A report that a monitor kept stands on the console with its pictures, and what it says of strangers is text.
    let mut examination = Examination::default();
    let about = mantlet_respond::abouts()[0];
    let picture = serde_json::json!({"kind": "then-now", "names": ["<i>to 10", "above"], "then": [0.8, 0.2], "now": [0.3, 0.7]});
    let finding =
        about.finding(Place::artifact("w.csv"), "column <i>amount</i> moved").fact("picture", picture);
    examination.findings = vec![Finding { severity: Severity::Suspicious, ..finding }];
    let id = runtime.block_on(store.keep_report("cheque reader", "monitor drift", &examination)).unwrap();
    let list = get("/reports").body;
    assert!(list.contains(&format!("/reports/{id}")) && list.contains("monitor drift"), "{list}");
    let page = get(&format!("/reports/{id}"));
    assert!(
        page.status == 200 && page.body.contains("&lt;i&gt;amount") && !page.body.contains("<i>"),
        "{}",
        page.body
    );
    assert_eq!(page.body.matches("class=\"bar-now").count(), 2, "{}", page.body);
    assert_eq!(get("/reports/none").status, 404);
    // The desk writes behind: the ticket is known at once, the database learns it within a moment.
    let path = format!("/reviews/{ticket}");
    let page = std::iter::repeat_with(|| get(&path))
        .take(2_000)
        .find(|page| page.status == 200)
        .expect("the review");
    assert!(
        page.body.contains("The model says two. Is that right?")
            && page.body.contains("<svg class=\"pixels\"")
    );
    assert!(get("/reviews").body.contains(&path));
    let fields = [
        ("form_token", page.token()),
        ("ruling", "answer".into()),
        ("answer", "one".into()),
        ("note", "thin pen".into()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(post(&path, &cookie, &fields).status, 303);
    assert_eq!(post(&path, &cookie, &fields).status, 409, "decided once");
    assert!(get(&path).body.contains("answered one instead of the model"));

    let known = store.desk().poll(&ticket, "k-9f21").unwrap();
    let Some(ReviewDecision::Answer(answer)) = known.decision else { panic!("{known:?}") };
    let answer: Reply = serde_json::from_value(answer).unwrap();
    assert_eq!(answer.outputs[0].value, Value::F32(Tensor::new([1, 3], vec![0.0, 1.0, 0.0]).unwrap()));

    use mantlet_guard::Recorder as _;
    store.recorder().unwrap().record(exchange(5, Action::Allow, "k-teller")).unwrap();
    let mut lines = std::iter::repeat_with(|| live.recent(5)).take(2_000_000);
    assert_eq!(lines.find(|lines| !lines.is_empty()).expect("a live line")[0].caller, "k-teller");

    let audit = get("/audit").body;
    for part in ["signed-in", "review-decided", "review-note", "thin pen"] {
        assert!(audit.contains(part), "{part}");
    }
    // The newest are kept.
    for _ in 0..mantlet_store::REPORTS + 3 {
        runtime.block_on(store.keep_report("other", "monitor segments", &Examination::default())).unwrap();
    }
    let kept = runtime.block_on(store.reports(1_000)).unwrap();
    assert_eq!(kept.iter().filter(|report| report.system == "other").count(), mantlet_store::REPORTS);
    assert_eq!(kept.iter().filter(|report| report.id == id).count(), 1, "of another system");
    assert_eq!(get("/keys").status, 200);
    runtime.block_on(async {
        console.shutdown().await;
        store.close().await.unwrap();
    });
}
