//! Batches of training data over HTTP and the real store: who may decide, about what they saw and nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use mantlet_access::{Role, User};
use mantlet_console::{Console, ConsoleConfig, Ports, Shelf};
use mantlet_registry::batch::{Batch, BatchEvent, BatchState};
use mantlet_registry::rows::{RowRuling, Sheet, SheetRow};
use mantlet_store::{Options, Store, SystemClock, batch_digest};
use mantlet_vocab::{Impact, Millis};

use crate::web::{Answer, ask, form};
use crate::world::{NOW, PASSWORD, World};

const SYSTEM: &str = "cards of the bank";
const PAGE: &str = "/data/cards%20of%20the%20bank/week-8";

struct Desk {
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    store: Store,
    console: Console,
}

struct Person {
    addr: SocketAddr,
    cookie: String,
}

impl Desk {
    /// A batch of high impact, delivered by ann, held, with four rows on its sheet.
    fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("week-8.csv");
        std::fs::write(&file, "amount,label\n1,0\n2,0\n3,1\n4,0\n5,1\n").unwrap();
        let options = Options { serve: true, ..Options::default() };
        let home = folder.path().join("home");
        let (store, console) = runtime.block_on(async {
            let store = Store::open(&home, Arc::new(SystemClock), options).await.unwrap();
            let people = [
                ("ann", Role::Admin),
                ("bea", Role::Reviewer),
                ("cem", Role::Reviewer),
                ("vic", Role::Viewer),
                ("ope", Role::Operator),
            ];
            for (name, role) in people {
                let user = User::new(name, role, PASSWORD, &[1; 16], NOW).unwrap();
                store.put_user(&user, "mantlet").await.unwrap();
            }
            let digest = batch_digest(std::slice::from_ref(&file)).unwrap();
            let batch = "week-8".to_owned();
            let delivered = BatchEvent::Delivered {
                batch: batch.clone(),
                feed: "bank-4".into(),
                files: vec![file.display().to_string()],
                digest,
                signer: None,
                parent: None,
                impact: Impact::High,
            };
            store.batch_event(SYSTEM, &delivered, "ann").await.unwrap();
            let row = |row: u64, group: &str, suggested: Option<&str>| SheetRow {
                row,
                group: group.into(),
                chance: None,
                label: "0".into(),
                suggested: suggested.map(Into::into),
                cells: vec![format!("<b>{row}</b>")],
                picture: match row {
                    3 => Some("iVBORw0KGgo=".into()),
                    4 => Some("\" onerror=\"alert(1)".into()),
                    _ => None,
                },
            };
            let sheet = Sheet {
                batch: batch.clone(),
                digest,
                at: Millis(77),
                of: 5,
                labels: vec!["0".into(), "1".into()],
                columns: vec!["amount".into()],
                rows: vec![
                    row(0, "labels turned in feed=bank-4", Some("1")),
                    row(1, "labels turned in feed=bank-4", Some("1")),
                    row(3, "near copies, group 1", None),
                    row(4, "near copies, group 1", None),
                ],
                gaps: vec![],
            };
            store.keep_sheet(SYSTEM, &sheet, "mantlet").await.unwrap();
            let findings = vec!["feed-label-shift".into()];
            let gated = BatchEvent::Gated { batch, digest, findings, complete: true, eyes: 0 };
            store.batch_event(SYSTEM, &gated, "mantlet").await.unwrap();
            let shelf = Arc::new(Shelf::new(store.clone()));
            let ports = Ports {
                live: shelf.live(),
                views: shelf.clone(),
                batches: shelf.clone(),
                people: shelf,
                actions: Arc::new(World::default()),
            };
            let config = ConsoleConfig::new(([127, 0, 0, 1], 0).into());
            (store, Console::start(config, ports).await.unwrap())
        });
        Self { runtime, folder, store, console }
    }

    fn person(&self, name: &str) -> Person {
        let addr = self.console.addr();
        let door = ask(addr, "GET", "/sign-in", &[], "");
        let mut person = Person { addr, cookie: door.cookies() };
        let fields = [("name", name), ("password", PASSWORD), ("form_token", &door.token())];
        let signed = person.post("/sign-in", &fields);
        assert_eq!(signed.status, 303, "{}", signed.body);
        person.cookie = signed.cookies();
        person
    }

    fn batch(&self) -> Batch {
        self.runtime.block_on(self.store.ledger(SYSTEM)).unwrap().0.batches["week-8"].clone()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("week-8.csv")
    }
}

impl Person {
    fn get(&self, path: &str) -> Answer {
        ask(self.addr, "GET", path, &[("Cookie", &self.cookie)], "")
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = format!("http://{}", self.addr);
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        ask(self.addr, "POST", path, &[("Cookie", &self.cookie), ("Origin", &origin), kind], &form(fields))
    }

    /// What the page's forms hold hidden, with further fields.
    fn sends(&self, page: &Answer, to: &str, more: &[(&str, &str)]) -> Answer {
        let token = page.token();
        let hidden = |name: &str| {
            let text = format!("name=\"{name}\" value=\"");
            page.body.split(&text).nth(1).map(|rest| rest.split('"').next().unwrap().to_owned())
        };
        let kept: Vec<(&str, String)> = ["digest", "sheet", "rulings"]
            .into_iter()
            .filter_map(|name| Some((name, hidden(name)?)))
            .chain([("form_token", token)])
            .collect();
        let mut fields: Vec<(&str, &str)> =
            kept.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.extend(more);
        self.post(&format!("{PAGE}/{to}"), &fields)
    }

    fn decides(&self, page: &Answer, ruling: &str) -> u16 {
        self.sends(page, "decide", &[("ruling", ruling), ("note", "looked at it")]).status
    }
}

#[test]
fn rows_and_batches_are_decided_by_identified_people_and_never_by_who_delivered_them() {
    let desk = Desk::new();
    let [ann, bea, cem] = ["ann", "bea", "cem"].map(|name| desk.person(name));
    let list = bea.get("/data");
    assert!(list.status == 200 && list.body.contains(PAGE), "{}", list.body);
    let page = bea.get(PAGE);
    for part in [
        "May a model learn from week-8?",
        "&lt;b&gt;3&lt;/b&gt;",
        "near copies, group 1: 2 rows",
        "4 of 5 rows",
        "<img class=\"sample\" src=\"data:image/png;base64,iVBORw0KGgo=\" alt=\"picture 4\">",
    ] {
        assert!(page.body.contains(part), "{part} in {}", page.body);
    }
    // What is no picture is not shown as one.
    assert!(!page.body.contains("onerror"), "{}", page.body);
    // Rows: a group at once, one of it otherwise, one of another with another label.
    let rows =
        [("all-0", "suggested"), ("row-1", "keep"), ("row-4", "relabel-0"), ("note", "checked by hand")];
    assert_eq!(bea.sends(&page, "rows", &rows).status, 303);
    let rulings = desk.batch().rulings;
    let said: Vec<(u64, RowRuling, String)> =
        rulings.iter().map(|(row, ruling, by)| (row, ruling.clone(), by.to_owned())).collect();
    let one = |row, ruling| (row, ruling, "bea".to_owned());
    assert_eq!(
        said,
        [
            one(0, RowRuling::Relabel("1".into())),
            one(1, RowRuling::Keep),
            one(4, RowRuling::Relabel("0".into()))
        ]
    );
    assert_eq!(bea.sends(&page, "rows", &rows).status, 400, "nothing new");
    assert_eq!(bea.sends(&page, "rows", &[("row-3", "relabel-9"), ("note", "x")]).status, 400);
    // Consent is to rows as they were seen: bea's old page is stale, her new one is not.
    assert_eq!(bea.decides(&page, "approve"), 409);
    let page = bea.get(PAGE);
    assert!(page.body.contains("without the 0 rows left out and with the 2 labels changed"), "{}", page.body);
    assert_eq!(bea.decides(&page, "approve"), 303);
    assert!(bea.get(PAGE).body.contains("Another person has to, too"));
    assert_eq!(bea.decides(&bea.get(PAGE), "approve"), 303);
    assert_eq!((desk.batch().state, desk.batch().approvals), (BatchState::Held, vec!["bea".to_owned()]));
    // Who delivered it cannot, an administrator included; a viewer cannot even look; an operator looks only.
    let own = ann.get(PAGE);
    assert!(own.body.contains("You delivered this batch") && !own.body.contains("name=\"ruling\""));
    let digest = desk.batch().digest.to_string();
    let token = own.token();
    let forged =
        [("form_token", token.as_str()), ("digest", &digest), ("ruling", "approve"), ("note", "mine")];
    assert_eq!(ann.post(&format!("{PAGE}/decide"), &forged).status, 409);
    assert_eq!(desk.person("vic").get(PAGE).status, 403);
    let ope = desk.person("ope");
    let seen = ope.get(PAGE);
    assert!(seen.body.contains("A reviewer decides this") && !seen.body.contains("name=\"ruling\""));
    let token = seen.token();
    let forged =
        [("form_token", token.as_str()), ("digest", &digest), ("ruling", "approve"), ("note", "mine")];
    assert_eq!(ope.post(&format!("{PAGE}/decide"), &forged).status, 403);
    // Without the session's token, or a reason, nothing happens.
    let page = cem.get(PAGE);
    assert_eq!(cem.post(&format!("{PAGE}/decide"), &forged).status, 403);
    assert_eq!(cem.sends(&page, "decide", &[("ruling", "approve")]).status, 400);
    assert_eq!(cem.decides(&page, "release"), 400);
    assert_eq!(cem.decides(&page, "approve"), 303);
    assert_eq!(desk.batch().state, BatchState::Approved);
    assert!(cem.get(PAGE).body.contains("week-8 was let through"));
    assert_eq!(cem.decides(&page, "reject"), 409, "decided once");
    // What was let through is taken back by one, who may decide and says why; who delivered it included.
    let forged =
        [("form_token", token.as_str()), ("digest", &digest), ("ruling", "withdraw"), ("note", "mine")];
    assert_eq!(ope.post(&format!("{PAGE}/decide"), &forged).status, 403);
    assert!(!ope.get(PAGE).body.contains("Take back week-8"));
    let page = ann.get(PAGE);
    assert!(page.body.contains("Take back week-8"), "{}", page.body);
    assert_eq!(ann.sends(&page, "decide", &[("ruling", "withdraw")]).status, 400, "without a reason");
    assert_eq!(
        ann.sends(&page, "decide", &[("ruling", "withdraw"), ("note", "it was poisoned")]).status,
        303
    );
    assert_eq!(desk.batch().state, BatchState::Withdrawn);
    let page = ann.get(PAGE);
    assert!(
        page.body.contains("week-8 was taken back") && page.body.contains("it was poisoned"),
        "{}",
        page.body
    );
    assert_eq!(
        ann.sends(&cem.get(PAGE), "decide", &[("ruling", "withdraw"), ("note", "twice")]).status,
        403,
        "another session's page"
    );
    // The audit log has all of it, and adds up.
    let audit = cem.get("/audit").body;
    for part in
        ["batch-rows-ruled", "batch-approved", "batch-withdrawn", "batch-sheet-kept", "checked by hand"]
    {
        assert!(audit.contains(part), "{part}");
    }
    desk.runtime.block_on(desk.store.close()).unwrap();
    let report = mantlet_store::verify_audit(&desk.folder.path().join("home/audit"), None, None);
    assert!(report.is_ok(), "{report:?}");
}

#[test]
fn other_bytes_than_were_seen_are_not_decided_about_and_a_key_is_no_person() {
    let desk = Desk::new();
    let cem = desk.person("cem");
    let page = cem.get(PAGE);
    std::fs::write(desk.file(), "amount,label\n1,1\n").unwrap();
    assert_eq!(cem.decides(&page, "approve"), 409);
    assert_eq!(cem.sends(&page, "rows", &[("row-3", "keep"), ("note", "x")]).status, 409);
    assert!(desk.batch().approvals.is_empty() && desk.batch().rulings.is_empty());
    // Delivered again it is another batch: quarantined, and its old list of rows is not shown.
    let digest = batch_digest(&[desk.file()]).unwrap();
    let again = BatchEvent::Delivered {
        batch: "week-8".into(),
        feed: "bank-4".into(),
        files: vec![desk.file().display().to_string()],
        digest,
        signer: None,
        parent: None,
        impact: Impact::High,
    };
    desk.runtime.block_on(desk.store.batch_event(SYSTEM, &again, "ann")).unwrap();
    let fresh = cem.get(PAGE);
    assert!(fresh.body.contains("waits for its gate") && fresh.body.contains("has not listed rows"));
    assert!(!fresh.body.contains("value=\"approve\""), "nobody lets it through before its gate");
    assert_eq!(cem.decides(&fresh, "approve"), 409);
    assert!(desk.batch().approvals.is_empty());
    assert_eq!(cem.decides(&page, "approve"), 409, "an old page is about old bytes");
    // The API: people read and decide, a managing key reads.
    let scopes = vec![mantlet_access::Scope::Manage];
    let (key, _) = desk.runtime.block_on(desk.store.make_key("ci", scopes, None, "ann")).unwrap();
    let bearer = format!("Bearer {}", key.expose());
    let json = ("Content-Type", "application/json");
    let api = "/api/v1/batches/cards%20of%20the%20bank/week-8";
    let head = [("Authorization", bearer.as_str()), json];
    let one = ask(cem.addr, "GET", api, &head, "").json();
    assert_eq!(one["batch"]["batch"]["state"], "quarantined", "{one}");
    let text =
        serde_json::json!({ "ruling": "approve", "note": "bot", "digest": digest.to_string() }).to_string();
    let decide = format!("{api}/decide");
    let refused = ask(cem.addr, "POST", &decide, &head, &text);
    assert!(refused.status == 409 && refused.body.contains("A person decides"), "{}", refused.body);
    let token = cem.get("/data").token();
    let origin = format!("http://{}", cem.addr);
    let head = [("Cookie", cem.cookie.as_str()), ("Origin", &origin), ("X-Form-Token", token.as_str()), json];
    let early = ask(cem.addr, "POST", &decide, &head, &text);
    assert!(early.status == 409 && early.body.contains("has not run"), "{}", early.body);
    let findings = vec!["feed-label-shift".to_owned()];
    let gated = BatchEvent::Gated { batch: "week-8".into(), digest, findings, complete: true, eyes: 0 };
    desk.runtime.block_on(desk.store.batch_event(SYSTEM, &gated, "mantlet")).unwrap();
    let done = ask(cem.addr, "POST", &decide, &head, &text);
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(desk.batch().approvals, ["cem"]);
    let all = ask(cem.addr, "GET", "/api/v1/batches", &[("Cookie", &cem.cookie)], "").json();
    assert_eq!(all["batches"][0]["system"], SYSTEM, "{all}");
}
