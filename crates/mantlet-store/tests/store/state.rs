//! Systems, versions, incidents, people, keys and records: kept, found again, audited.

use mantlet_access::{KeyError, Role, Scope, User};
use mantlet_registry::{Change, ModelVersion, RegistryStore as _, State, System, Transition, Update};
use mantlet_respond::{
    Alert, AlertKind, Incident, IncidentFilter, IncidentState, IncidentStore as _, IncidentStoreError,
};
use mantlet_store::{Record, RecordKind, Store, StoreError};
use mantlet_vocab::{Digest, Impact, Millis, Mode};
use serde_json::json;

use crate::{block, open};

fn system() -> System {
    System {
        name: "cheques".into(),
        decides: "digits".into(),
        impact: Impact::High,
        mode: Mode::Advise,
        owner: "ada".into(),
        created: Millis(5),
        serving: Some("claimed".into()),
        known_good: None,
    }
}

fn version(name: &str) -> ModelVersion {
    ModelVersion {
        system: "cheques".into(),
        version: name.into(),
        digest: Digest::of(name.as_bytes()),
        path: "m.onnx".into(),
        signature: None,
        state: State::Candidate,
        added_by: "ada".into(),
        added: Millis(6),
        approvals: vec![],
        reasons: vec!["no \"finding\"".into()],
        evidence: None,
    }
}

fn line(version: &ModelVersion) -> Transition {
    Transition {
        at: Millis(7),
        actor: "ada".into(),
        system: version.system.clone(),
        version: version.version.clone(),
        digest: version.digest,
        from: None,
        to: version.state,
        reason: "added".into(),
    }
}

async fn words(store: &Store) -> Vec<String> {
    let tail = store.audit().tail(1_000).await.unwrap();
    tail.into_iter().map(|entry| format!("{} {} {}", entry.actor, entry.action, entry.subject)).collect()
}

#[test]
fn the_registry_changes_all_or_nothing_and_leaves_its_trace() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(folder.path()).await;
        store.put_system(&system()).await.unwrap();
        let kept = store.system("cheques").await.unwrap().unwrap();
        assert_eq!(kept.serving, None, "a description puts nothing before users");
        store.put_system(&kept).await.unwrap();
        let (one, two) = (version("v1"), version("v2"));
        let add = |version: &ModelVersion| Update { before: None, after: version.clone() };
        let serving = System { serving: Some("v1".into()), ..kept.clone() };
        let updates = [add(&one), add(&two)];
        let history = [line(&one), line(&two)];
        let change = Change { expected: &kept, system: &serving, updates: &updates, history: &history };
        assert!(store.commit(change).await.unwrap());
        assert!(!store.commit(change).await.unwrap(), "what was read is no longer what is kept");
        let stale = [Update { before: Some(version("v3")), after: version("v1") }];
        let change = Change { expected: &serving, system: &serving, updates: &stale, history: &[] };
        assert!(!store.commit(change).await.unwrap());
        assert_eq!(store.versions("cheques").await.unwrap(), [one.clone(), two]);
        assert_eq!(store.history("cheques").await.unwrap(), history);
        // A new description keeps the pointers.
        store.put_system(&System { decides: "more".into(), ..system() }).await.unwrap();
        drop(store);
        let again = open(folder.path()).await;
        let kept = again.system("cheques").await.unwrap().unwrap();
        assert_eq!((kept.serving.as_deref(), kept.decides.as_str()), (Some("v1"), "more"));
        assert_eq!(again.version("cheques", "v1").await.unwrap(), Some(one));
        assert_eq!(again.version("other", "v1").await.unwrap(), None);
        assert_eq!(again.systems().await.unwrap().len(), 1);
        let expected = [
            "ada system-added cheques",
            "ada version-candidate cheques v1",
            "ada version-candidate cheques v2",
            "ada system-changed cheques",
        ];
        assert_eq!(words(&again).await, expected);
    });
}

#[test]
fn incidents_are_saved_by_revision() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(folder.path()).await;
        let make = |system: &str, at: u64| {
            let alert = Alert::new(AlertKind::Extraction, system, Impact::High, Millis(at));
            let mut incident = Incident::open(&alert, Mode::Enforce);
            incident.revision = 1;
            incident
        };
        let mut first = make("cheques", 1);
        store.save(&first).await.unwrap();
        store.save(&make("cheques", 2)).await.unwrap();
        store.save(&make("loans", 3)).await.unwrap();
        let conflict = store.save(&first).await.unwrap_err();
        assert!(matches!(conflict, IncidentStoreError::Conflict { .. }));
        first.revision = 2;
        first.state = IncidentState::Closed;
        first.note(Millis(9), "ada", "closed by hand");
        store.save(&first).await.unwrap();
        assert_eq!(store.load(&first.id).await.unwrap().unwrap(), first);
        assert_eq!(store.load("inc-none").await.unwrap(), None);
        let times = async |filter: IncidentFilter| {
            store.list(&filter).await.unwrap().iter().map(|i| i.opened.0).collect::<Vec<_>>()
        };
        assert_eq!(times(IncidentFilter::default()).await, [3, 2, 1]);
        assert_eq!(times(IncidentFilter::open()).await, [3, 2]);
        let one =
            IncidentFilter { system: Some("cheques".into()), limit: Some(1), ..IncidentFilter::default() };
        assert_eq!(times(one).await, [2]);
        let last = store.audit().tail(1).await.unwrap().remove(0);
        assert_eq!((last.actor.as_str(), last.action.as_str()), ("ada", "incident-changed"));
        assert_eq!(last.detail["lines"][0]["what"], "closed by hand");
        // A count that goes up is kept, and is no line of the log.
        let lines = words(&store).await.len();
        first.revision = 3;
        store.save(&first).await.unwrap();
        assert_eq!(store.load(&first.id).await.unwrap().unwrap().revision, 3);
        assert_eq!(words(&store).await.len(), lines);
    });
}

#[test]
fn keys_and_people_are_kept_as_hashes_and_withdrawn_for_good() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(folder.path()).await;
        let (secret, key) = store.make_key("till 4", vec![Scope::InferAny], None, "ada").await.unwrap();
        let ring = store.key_ring().await.unwrap();
        let wanted = Scope::Infer("digits".into());
        assert_eq!(ring.verify(secret.expose(), &wanted, store.now()).unwrap().id, key.id);
        let revoked = store.revoke_key(&key.id, "ada").await.unwrap();
        assert_eq!(store.revoke_key(&key.id, "ada").await.unwrap(), revoked, "twice is once");
        let ring = store.key_ring().await.unwrap();
        let refused = ring.verify(secret.expose(), &wanted, store.now());
        assert_eq!(refused, Err(KeyError::Revoked { id: key.id.clone() }));
        assert!(matches!(store.revoke_key("none", "ada").await, Err(StoreError::Missing { .. })));
        let user = User::new("rita", Role::Reviewer, "long enough now", &[1; 16], Millis(0)).unwrap();
        store.put_user(&user, "ada").await.unwrap();
        assert_eq!(store.user("rita").await.unwrap().as_ref(), Some(&user));
        let (token, session) = store.begin_session(&user, 1_000).await.unwrap();
        assert_eq!(store.session(token.expose()).await.unwrap(), Some(session.clone()));
        assert_eq!(store.session("guess").await.unwrap(), None);
        store.end_session(&session.hash).await.unwrap();
        assert_eq!(store.session(token.expose()).await.unwrap(), None);
        let (token, _) = store.begin_session(&user, 1_000).await.unwrap();
        store.put_user(&User { disabled: Some(Millis(1)), ..user.clone() }, "ada").await.unwrap();
        assert_eq!(store.session(token.expose()).await.unwrap(), None, "a changed person signs in again");
        let (token, _) = store.begin_session(&user, 0).await.unwrap();
        assert_eq!(store.session(token.expose()).await.unwrap(), None, "it ended as it began");
        assert_eq!(store.users().await.unwrap().len(), 1);
        store.close().await.unwrap();
        // No secret is in any file.
        let mut left = vec![folder.path().to_owned()];
        while let Some(path) = left.pop() {
            if path.is_dir() {
                left.extend(std::fs::read_dir(path).unwrap().flatten().map(|entry| entry.path()));
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            for secret in [&secret.expose()[16..], "long enough now", token.expose()] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{path:?}");
            }
        }
    });
}

#[test]
fn a_version_is_held_and_released_on_record() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(folder.path()).await;
        assert!(!store.is_held("cheques", "v2").await.unwrap());
        store.hold("cheques", "v2", true, "mantlet").await.unwrap();
        assert!(store.is_held("cheques", "v2").await.unwrap());
        assert!(!store.is_held("loans", "v2").await.unwrap());
        store.hold("cheques", "v2", false, "ada").await.unwrap();
        assert!(!store.is_held("cheques", "v2").await.unwrap());
        assert_eq!(words(&store).await, ["mantlet hold-kept cheques/v2", "ada hold-kept cheques/v2"]);
    });
}

#[test]
fn records_of_others_are_kept_by_kind() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(folder.path()).await;
        let record = |id: &str, at: u64, system: &str| Record {
            id: id.into(),
            system: system.into(),
            at: Millis(at),
            state: "hit".into(),
            doc: json!({ "probe": "pgd", "id": id }),
        };
        store.put_record(RecordKind::ProbeReport, &record("p1", 1, "a"), "mantlet").await.unwrap();
        store.put_record(RecordKind::ProbeReport, &record("p2", 2, "b"), "mantlet").await.unwrap();
        store.put_record(RecordKind::Case, &record("p1", 3, "a"), "mantlet").await.unwrap();
        store.put_record(RecordKind::Delivery, &record("d", 3, "a"), "mantlet").await.unwrap();
        let changed = Record { state: "stopped".into(), ..record("p1", 4, "a") };
        store.put_record(RecordKind::ProbeReport, &changed, "mantlet").await.unwrap();
        assert_eq!(store.record(RecordKind::ProbeReport, "p1").await.unwrap(), Some(changed.clone()));
        let all = store.records(RecordKind::ProbeReport, None, 10).await.unwrap();
        assert_eq!(all, [changed, record("p2", 2, "b")]);
        assert_eq!(store.records(RecordKind::ProbeReport, Some("b"), 10).await.unwrap().len(), 1);
        assert_eq!(store.records(RecordKind::ProbeReport, None, 1).await.unwrap().len(), 1);
        assert!(store.remove_record(RecordKind::Case, "p1", "ada").await.unwrap());
        assert!(!store.remove_record(RecordKind::Case, "p1", "ada").await.unwrap());
        let words = words(&store).await;
        assert_eq!(words.len(), 5, "deliveries are not audited: {words:?}");
        assert_eq!(words[4], "ada case-removed p1");
    });
}
